"""The trainer: `collect()` one update's steps, `update(batch)` the policy, `save(path)`; and the loop over them.

One update, as in the paper: roll out, score the reference, step-level GAE, epochs of token-wise PPO; the first updates train
the value head alone until it explains the returns.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vldac.advantage import Advantages, step_advantages
from vldac.audit import start_audit
from vldac.config import TrainConfig
from vldac.data import RolloutBatch
from vldac.envs import make
from vldac.metrics import wilson_interval
from vldac.model import VisionLanguageModel
from vldac.optim import adam, cosine
from vldac.policy import Policy
from vldac.rollout import Rollout
from vldac.update import OldLogprobs, Updater, score


def build_env(config: TrainConfig, num_envs: int | None = None) -> Any:
    """Return the vector environment of a configuration."""
    env = config.env
    return make(
        env.id,
        num_envs or env.num_envs,
        seed=config.seed,
        num_threads=env.num_threads,
        task=env.task,
        prompt=env.prompt,
        image_size=env.image_size,
        max_episode_steps=env.max_episode_steps,
    )


def pick_device(name: str) -> torch.device:
    """ "auto" is a GPU if there is one, else the CPU."""
    return torch.device(("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name)


class Trainer:
    """Trains one model in one vector environment. Everything it needs to go on is in `state_dict()`."""

    def __init__(self, config: TrainConfig, model: VisionLanguageModel, env: Any | None = None) -> None:
        if config.num_threads:
            torch.set_num_threads(config.num_threads)
        self.config = config
        self.device = pick_device(config.device)
        self.policy = Policy(model, config.model, device=self.device, seed=config.seed)
        self.env = env if env is not None else build_env(config)
        self.rollout = Rollout(self.policy, self.env, config)
        optim = config.optim
        self.optimizers = {
            "policy": adam([p for _, p in self.policy.lora_parameters()], optim.lr, optim),
            "value": adam(self.policy.value_head.parameters(), optim.value_lr, optim),
        }
        self.updater = Updater(self.policy, config, self.optimizers)
        self.updates_done = 0
        self.is_warm = False
        """True once the value head has explained the returns (or the cap was reached): the policy moves from then on."""
        self.env_steps = 0
        self.last_advantages: Advantages | None = None
        """Of the newest update, for the trajectory page."""

    # -- the two verbs ----------------------------------------------------------------------------------------------

    def collect(self) -> RolloutBatch:
        """Take one update's steps with the policy as it is."""
        return self.rollout.collect()

    def update(self, batch: RolloutBatch) -> dict[str, float]:
        """Run one PPO update on a batch; return its metrics."""
        config, steps, update = self.config, batch.steps, self.updates_done
        if update == 0:
            start_audit(self.policy, steps, config)
        is_frozen = self._is_value_warmup(update)
        self._set_learning_rates(update)
        seconds: dict[str, float] = {}
        tick = time.perf_counter()
        logprobs = self._old_logprobs(batch, needs_reference=not is_frozen and config.algorithm.kl_coef > 0)
        seconds["time/reference_s"] = time.perf_counter() - tick
        tick = time.perf_counter()
        advantages = step_advantages(batch, config.algorithm, seed=config.seed, update=update)
        self.last_advantages = advantages
        seconds["time/advantage_s"] = time.perf_counter() - tick
        tick = time.perf_counter()
        metrics = self.updater.run(steps, advantages, logprobs, update=update, is_frozen=is_frozen)
        seconds["time/update_s"] = time.perf_counter() - tick
        self.is_warm = self.is_warm or self._explains(advantages.explained_variance, update)
        self.updates_done += 1
        self.env_steps += len(steps)
        metrics["value/explained_variance"] = advantages.explained_variance
        metrics["policy/is_frozen"] = float(is_frozen)
        metrics["optim/lr"] = self.optimizers["policy"].param_groups[0]["lr"]
        metrics["optim/value_lr"] = self.optimizers["value"].param_groups[0]["lr"]
        return metrics | seconds | self._rollout_metrics(batch)

    # -- parts ------------------------------------------------------------------------------------------------------

    def _old_logprobs(self, batch: RolloutBatch, *, needs_reference: bool) -> OldLogprobs:
        config, steps = self.config, batch.steps
        temperature, size = config.rollout.temperature, config.optim.microbatch_steps
        source = config.rollout.old_logprob
        if source == "auto":
            source = "decode" if config.model.dtype == "float32" else "trainer"
        if source == "trainer":
            old = score(self.policy, steps, temperature=temperature, size=size)
        else:
            old = [s.old_logprob for s in steps]
        reference = None
        if needs_reference:
            with self.policy.reference():
                reference = score(self.policy, steps, temperature=temperature, size=size)
        return OldLogprobs(old=old, reference=reference)

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

    def _rollout_metrics(self, batch: RolloutBatch) -> dict[str, float]:
        steps, episodes = batch.steps, [e for e in batch.episodes if not e.fault]
        metrics = {
            "rollout/env_steps": float(self.env_steps),
            "rollout/episodes": float(len(episodes)),
            "rollout/reward_mean": float(np.mean([s.reward for s in steps])),
            "rollout/response_tokens_mean": float(np.mean([len(s.response) for s in steps])),
            "rollout/invalid_action_frac": float(np.mean([not s.is_valid for s in steps])),
            "rollout/length_limit_frac": float(np.mean([not s.has_end for s in steps])),
            "rollout/entropy_mean": float(np.mean([s.entropy for s in steps])),
            "rollout/fault_frac": float(np.mean([s.fault is not None for s in steps])),
        }
        metrics |= {f"time/{phase}_s": value for phase, value in batch.seconds.items()}
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
        return metrics

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
