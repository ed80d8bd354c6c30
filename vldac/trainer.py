"""The trainer: `collect()` one update's steps, `update(batch)` the policy, `save(path)`; and the loop over them.

One update, as in the paper: roll out, score the reference, step-level GAE, epochs of token-wise PPO; the first updates train
the value head alone until it explains the returns.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from vldac.advantage import Advantages, step_advantages
from vldac.audit import start_audit
from vldac.config import TrainConfig
from vldac.data import RolloutBatch
from vldac.errors import EnvError
from vldac.metrics import success_by_task, wilson_interval
from vldac.model import VisionLanguageModel
from vldac.optim import adam, cosine
from vldac.outcomes import mean_score
from vldac.packing import Packing, until_it_fits
from vldac.player import build_env
from vldac.policy import Policy, pick_device
from vldac.rollout import Rollout
from vldac.spans import name_native_ranges, span, time_metrics
from vldac.update import OldLogprobs, Updater, epoch_plan, score

if TYPE_CHECKING:
    from vldac.evaluation import EvalResult


class Trainer:
    """Trains one model in one vector environment. Everything it needs to go on is in `state_dict()`."""

    def __init__(self, config: TrainConfig, model: VisionLanguageModel | None = None, env: Any | None = None) -> None:
        """model: what `load_model` returned; None loads `config.model.name`. env: a vector environment; None makes `config.env`."""
        if config.num_threads:
            torch.set_num_threads(config.num_threads)
        if model is None:
            from vldac.start import start_model

            model = start_model(config)
        self.config = config
        self.device = pick_device(config.device)
        self.policy = Policy(model, config.model, device=self.device, seed=config.seed)
        if self.device.type == "cuda":
            name_native_ranges()
        self.env = env if env is not None else build_env(config)
        budget, optim = self.policy.budget, config.optim
        budget.tokens, budget.rows, budget.explain = (
            optim.microbatch_tokens,
            optim.microbatch_steps,
            self._explain_memory,
        )
        self.rollout = Rollout(self.policy, self.env, config)
        rates = {"policy": config.optim.lr, "value": config.optim.value_lr}
        self.optimizers = {
            group: adam([p for _, p in self.group_parameters(group)], rate, config.optim)
            for group, rate in rates.items()
        }
        self.updater = Updater(self.policy, config, self.optimizers)
        self.updates_done = 0
        self.is_warm = False
        """True once the value head has explained the returns (or the cap was reached): the policy moves from then on."""
        self.env_steps = 0
        self.last_advantages: Advantages | None = None
        """Of the newest update, for the trajectory page."""
        self.last_evaluation: EvalResult | None = None
        """The newest held-out evaluation of these weights, for the model card."""

    def group_parameters(self, group: str) -> list[tuple[str, torch.nn.Parameter]]:
        """Parameters of an optimiser, "policy" or "value", by name, in a fixed order."""
        return self.policy.lora_parameters() if group == "policy" else list(self.policy.value_head.named_parameters())

    # -- the two verbs ----------------------------------------------------------------------------------------------

    def collect(self) -> RolloutBatch:
        """Take one update's steps with the policy as it is."""
        return self.rollout.collect()

    def update(self, batch: RolloutBatch) -> dict[str, float]:
        """Run one PPO update on a batch; return its metrics."""
        config, update = self.config, self.updates_done
        self._check_faults(batch)
        packing = self._packing(batch)
        if update == 0:
            start_audit(self.policy, batch, config, packing)
        is_frozen = self._is_value_warmup(update)
        self._set_learning_rates(update)
        seconds: dict[str, float] = {}
        with span("advantage", seconds):
            advantages = step_advantages(
                batch, config.algorithm, seed=config.seed, update=update, kernels=config.model.kernels
            )
        self.last_advantages = advantages
        logprobs = OldLogprobs(old=[], reference=None)

        def score_old() -> None:
            found = until_it_fits(
                lambda: self._old_logprobs(batch, packing, is_frozen=is_frozen), packing.budget.shrink
            )
            logprobs.old, logprobs.reference = found.old, found.reference

        with span("reference", seconds):
            score_old()
        with span("update", seconds):
            metrics = self.updater.run(
                batch, packing, advantages, logprobs, update=update, is_frozen=is_frozen, rescore=score_old
            )
        self.is_warm = self.is_warm or self._explains(advantages.explained_variance, update)
        self.updates_done += 1
        self.env_steps += len(batch)
        metrics["value/explained_variance"] = advantages.explained_variance
        metrics["policy/is_frozen"] = float(is_frozen)
        metrics["optim/lr"] = self.optimizers["policy"].param_groups[0]["lr"]
        metrics["optim/value_lr"] = self.optimizers["value"].param_groups[0]["lr"]
        metrics["rollout/env_steps"] = float(self.env_steps)
        return metrics | time_metrics(seconds) | rollout_metrics(batch)

    # -- parts ------------------------------------------------------------------------------------------------------

    def _packing(self, batch: RolloutBatch) -> Packing:
        """How the batch's steps are put together; the first one chooses the budget of the run where it is automatic."""
        packing = Packing.of(batch, self.policy.image_token_id, self.policy.budget)
        if packing.budget.tokens == 0:
            from vldac.estimate import automatic_tokens

            packing.budget.tokens = automatic_tokens(self.policy, self.config, shared=packing.shared)
        return packing

    def _explain_memory(self) -> tuple[str, str]:
        """The largest term of the memory estimate of this run, and its remedy."""
        from vldac.estimate import estimate_running, readable

        largest = estimate_running(self.policy, self.config).largest
        return f"{largest.name}, {readable(largest.size)}", largest.remedy

    def _old_logprobs(self, batch: RolloutBatch, packing: Packing, *, is_frozen: bool) -> OldLogprobs:
        """Old log-probs from where the configuration says, and those of the initial policy where the loss needs them.

        A frozen update reads the first micro-batch alone: no more than that is scored for it.
        """
        config, temperature = self.config, self.config.rollout.temperature
        minibatches = epoch_plan(config, len(batch), update=self.updates_done, epoch=0)
        if is_frozen:
            minibatches = packing.split(minibatches[0])[:1]
        source = config.rollout.old_logprob
        if source == "auto":
            source = "decode" if config.model.dtype == "float32" else "trainer"
        if source == "trainer":
            old = score(self.policy, batch, packing, minibatches, temperature=temperature)
        else:
            old = [batch.decode_logprob(i) for i in range(len(batch))]
        reference = None
        if not is_frozen and config.algorithm.kl_coef > 0:
            with self.policy.reference():
                reference = score(self.policy, batch, packing, minibatches, temperature=temperature)
        return OldLogprobs(old=old, reference=reference)

    def _check_faults(self, batch: RolloutBatch) -> None:
        share, limit = float(batch.buffer.fault.mean()), self.config.env.max_fault_frac
        if share > limit:
            raise EnvError(
                expected=f"at most {limit:.1%} of an update's steps to be environment faults",
                got=f"{share:.1%}, e.g. {next((e.fault for e in batch.episodes if e.fault), 'no message')!r}",
                where=f"{self.config.env.id}, update {self.updates_done + 1}",
                do="fix the environment, or raise env.max_fault_frac if such a share is expected",
            )

    def _is_value_warmup(self, update: int) -> bool:
        """Value warm-up: at least warmup_updates, then until the value explains the returns, at most warmup_cap."""
        optim = self.config.optim
        return update < optim.warmup_updates or (
            not self.is_warm and update < optim.warmup_cap and optim.warmup_updates > 0
        )

    def _explains(self, explained_variance: float, update: int) -> bool:
        optim = self.config.optim
        return update + 1 >= optim.warmup_updates and explained_variance >= optim.warmup_explained_variance

    def _set_learning_rates(self, update: int) -> None:
        optim = self.config.optim
        for name, start, final in (
            ("policy", optim.lr, optim.lr_final),
            ("value", optim.value_lr, optim.value_lr_final),
        ):
            for group in self.optimizers[name].param_groups:
                group["lr"] = cosine(start, final, update, optim.num_updates)

    # -- state ------------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Return everything a resumed trainer needs, as tensors, bytes and JSON values."""
        from vldac.checkpoint import trainer_state

        return trainer_state(self)

    def save(self, path: str | Path) -> Path:
        """Write a checkpoint folder atomically and return it."""
        from vldac.checkpoint import save_checkpoint

        return save_checkpoint(self, Path(path))

    def close(self) -> None:
        """Stop the environment's threads."""
        self.env.close()


def rollout_metrics(batch: RolloutBatch) -> dict[str, float]:
    """Statistics of the collected steps and of the episodes that ended among them (faulty ones left out)."""
    buffer, episodes = batch.buffer, [e for e in batch.episodes if not e.fault]
    metrics = {
        "rollout/episodes": float(len(episodes)),
        "rollout/reward_mean": float(buffer.reward.mean()),
        "rollout/response_tokens_mean": float(buffer.num_tokens.mean()),
        "rollout/invalid_action_frac": 1.0 - float(buffer.is_valid.mean()),
        "rollout/length_limit_frac": 1.0 - float(buffer.has_end.mean()),
        "rollout/entropy_mean": float(buffer.entropy.mean()),
        "rollout/fault_frac": float(buffer.fault.mean()),
        "rollout/repetition_frac": _repetition(batch),
    }
    metrics |= batch.stats | time_metrics(batch.seconds)
    if episodes:
        successes = sum(e.success for e in episodes)
        low, high = wilson_interval(successes, len(episodes))
        metrics |= {
            "rollout/return_mean": float(np.mean([e.episode_return for e in episodes])),
            "rollout/success_rate": successes / len(episodes),
            "rollout/success_ci_low": low,
            "rollout/success_ci_high": high,
            "rollout/episode_length_mean": float(np.mean([e.length for e in episodes])),
        }
        score = mean_score([e.score for e in episodes])
        metrics |= {} if score is None else {"rollout/score_mean": score}
        by_task = success_by_task([(e.task_type, e.success) for e in episodes])
        metrics |= {f"rollout/success_rate_of/{task}": found["success_rate"] for task, found in by_task.items()}
    return metrics


def _repetition(batch: RolloutBatch) -> float:
    """Share of the steps that follow another in their episode whose response is that one's again."""
    buffer = batch.buffer
    same_length = buffer.num_tokens[1:] == buffer.num_tokens[:-1]
    within = np.arange(buffer.tokens.shape[1])[None] < buffer.num_tokens[1:, None]
    same = same_length & ((buffer.tokens[1:] == buffer.tokens[:-1]) | ~within).all(1)
    follows = (buffer.index[1:] > 0) & (np.arange(1, len(batch)) % buffer.steps != 0)
    return float(same[follows].mean()) if follows.any() else 0.0
