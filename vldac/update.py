"""One PPO update (paper Eq. 3-6): the loss of a micro-batch, and the epochs over the update's steps.

Every environment step has equal weight: the mean over the tokens inside a step, then the mean over the steps of the
optimiser batch. Weights are divided by global counts, so no split into micro-batches changes the gradient beyond rounding.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from vldac import seeding
from vldac.advantage import Advantages
from vldac.config import TrainConfig
from vldac.data import Step
from vldac.errors import NonFiniteError, SelfCheckError
from vldac.kernels import ppo_clip_loss, value_loss
from vldac.optim import clip_and_step
from vldac.policy import Evaluation, Policy, TokenBatch, collate


@dataclass(frozen=True, kw_only=True, slots=True)
class OldLogprobs:
    """Per step [tokens] float32 vectors."""

    old: list[torch.Tensor]
    reference: list[torch.Tensor] | None


def token_batch(policy: Policy, steps: Sequence[Step]) -> TokenBatch:
    """Collate steps for scoring."""
    return collate(
        [s.prompt for s in steps],
        [s.response for s in steps],
        [s.features for s in steps],
        policy.device,
        policy.pad_id,
    )


def by_length(steps: Sequence[Step], rows: np.ndarray, size: int) -> list[np.ndarray]:
    """Split `rows` into micro-batches of at most `size` steps of similar length (less padding, same loss)."""
    lengths = np.array([len(steps[r].prompt.ids) + len(steps[r].response) for r in rows])
    ordered = rows[np.argsort(lengths, kind="stable")]
    return [ordered[i : i + size] for i in range(0, len(ordered), size)]


@torch.no_grad()
def score(policy: Policy, steps: Sequence[Step], *, temperature: float, size: int) -> list[torch.Tensor]:
    """Log-probs of every step's response under the policy as it is (inside `policy.reference()`: the initial policy)."""
    result: list[torch.Tensor] = [torch.empty(0)] * len(steps)
    for rows in by_length(steps, np.arange(len(steps)), size):
        scored = policy(token_batch(policy, [steps[r] for r in rows]), temperature=temperature).logprob.cpu()
        for r, part in zip(rows, scored.split([len(steps[r].response) for r in rows]), strict=True):
            result[r] = part.clone()
    return result


def microbatch_loss(
    evaluation: Evaluation,
    steps: Sequence[Step],
    rows: np.ndarray,
    advantages: Advantages,
    logprobs: OldLogprobs,
    config: TrainConfig,
    total_weight: float,
) -> tuple[torch.Tensor, torch.Tensor, Any]:
    """Return (policy loss with KL, value loss, statistics) of a micro-batch; both already divided by the global weight."""
    device = evaluation.logprob.device
    index = torch.from_numpy(rows)
    weight = (advantages.weight[index] / total_weight).to(device)
    counts = torch.tensor([len(steps[r].response) for r in rows], device=device)
    algorithm = config.algorithm
    reference = None if logprobs.reference is None else torch.cat([logprobs.reference[r] for r in rows]).to(device)
    policy_loss, stats = ppo_clip_loss(
        evaluation.logprob,
        torch.cat([logprobs.old[r] for r in rows]).to(device),
        advantages.advantage[index].to(device),
        evaluation.step_index,
        (weight / counts)[evaluation.step_index],
        ref_logprob=reference,
        clip_low=algorithm.clip,
        clip_high=algorithm.clip,
        kl_coef=algorithm.kl_coef,
        ratio_guard=algorithm.ratio_guard,
    )
    values = value_loss(
        evaluation.value,
        advantages.returns[index].to(device),
        weight,
        old_value=torch.tensor([steps[r].value for r in rows], device=device),
        clip=algorithm.value_clip,
    )
    return policy_loss, values, stats


def check_first_ratio(evaluation: Evaluation, old: torch.Tensor, *, limit: float) -> float:
    """Return max |log-ratio| before any optimiser step; above `limit` the scoring path differs from the sampling path."""
    deviation = float((evaluation.logprob.detach().cpu() - old).abs().max()) if len(old) else 0.0
    highest = float(evaluation.logprob.detach().max()) if len(old) else 0.0
    if not np.isfinite(deviation) or deviation > limit or highest > 1e-5:
        raise SelfCheckError(
            expected=f"ratio 1 at the first micro-batch (|log-ratio| <= {limit:g}) and log-probs <= 0",
            got=f"|log-ratio| up to {deviation:g}, largest log-prob {highest:g}",
            where="first micro-batch of the update",
            do="look for dropout, low-precision log-probs, a shifted mask or dropped images; in bfloat16: old_logprob trainer",
        )
    return deviation


class Updater:
    """Owns the two optimisers and runs the epochs of one update."""

    def __init__(self, policy: Policy, config: TrainConfig, optimizers: dict[str, torch.optim.Adam]) -> None:
        self.policy, self.config, self.optimizers = policy, config, optimizers

    def run(
        self, steps: Sequence[Step], advantages: Advantages, logprobs: OldLogprobs, *, update: int, is_frozen: bool
    ) -> dict[str, float]:
        """Run all epochs; return metrics. With `is_frozen` only the value head moves (value warm-up)."""
        config, totals, seconds = self.config, defaultdict(list), defaultdict(float)
        first_deviation: float | None = None
        for epoch in range(config.optim.epochs):
            order = seeding.generator(config.seed, "shuffle", update, epoch).permutation(len(steps))
            for start in range(0, len(order), config.optim.minibatch_steps):
                minibatch = order[start : start + config.optim.minibatch_steps]
                total_weight = float(advantages.weight[torch.from_numpy(minibatch)].sum())
                if total_weight == 0:
                    continue
                for rows in by_length(steps, minibatch, config.optim.microbatch_steps):
                    tick = time.perf_counter()
                    batch = token_batch(self.policy, [steps[r] for r in rows])
                    with torch.set_grad_enabled(not is_frozen):
                        evaluation = self.policy(batch, temperature=config.rollout.temperature)
                    if is_frozen:
                        value = self.policy.value_head(evaluation.value_input)
                        evaluation = _with_value(evaluation, value)
                    if first_deviation is None:
                        limit = 1e-4 if "first-ratio" not in config.waive else float("inf")
                        old = torch.cat([logprobs.old[r] for r in rows])
                        first_deviation = check_first_ratio(evaluation, old, limit=limit)
                    policy_loss, values, stats = microbatch_loss(
                        evaluation, steps, rows, advantages, logprobs, config, total_weight
                    )
                    loss = config.algorithm.value_coef * values + (0.0 if is_frozen else policy_loss)
                    if not bool(torch.isfinite(loss.detach())):
                        raise NonFiniteError(
                            expected="a finite loss",
                            got=f"policy {float(policy_loss.detach())}, value {float(values.detach())}",
                            where=f"update {update}, epoch {epoch}, steps {rows.tolist()}",
                            do="inspect the dumped batch; lower the learning rate or resume from the last good checkpoint",
                        )
                    seconds["time/forward_s"] += time.perf_counter() - tick
                    tick = time.perf_counter()
                    loss.backward()
                    seconds["time/backward_s"] += time.perf_counter() - tick
                    totals["policy/loss"].append(float(policy_loss.detach()) * total_weight / len(minibatch))
                    totals["value/loss"].append(float(values.detach()))
                    _collect(totals, stats)
                tick = time.perf_counter()
                for name, optimizer in self.optimizers.items():
                    if name == "policy" and is_frozen:
                        continue
                    totals[f"optim/grad_norm_{name}"].append(clip_and_step(optimizer, config.optim.max_grad_norm, name))
                seconds["time/optimizer_s"] += time.perf_counter() - tick
        metrics = {key: float(np.mean(values)) for key, values in totals.items() if key != "policy/ratio_max"}
        metrics["policy/ratio_max"] = float(np.max(totals["policy/ratio_max"]))
        metrics["policy/first_ratio_deviation"] = first_deviation or 0.0
        return metrics | seconds


def _with_value(evaluation: Evaluation, value: torch.Tensor) -> Evaluation:
    import dataclasses

    return dataclasses.replace(evaluation, value=value)


def _collect(totals: dict[str, list[float]], stats: Any) -> None:
    for key in ("clip_frac", "kl_ref_k3", "kl_old_k1", "ratio_max"):
        totals[f"policy/{key}"].append(float(getattr(stats, key)))
