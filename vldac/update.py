"""One PPO update (paper Eq. 3-6): the loss of a micro-batch, and the epochs over the update's steps.

Every environment step has equal weight: the mean over the tokens inside a step, then the mean over the steps of the
optimiser batch. Weights are divided by global counts, so no split into micro-batches changes the gradient beyond rounding.

Value warm-up trains the value head alone, on the hidden states that the rollout read its values from; the trunk runs once, on the
first micro-batch, for the self-checks. The weights below the head have not moved since, so these are the states that it would compute
again, up to rounding (in bfloat16 that of bfloat16): before the first step the head's values are the recorded ones.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from vldac import seeding
from vldac.advantage import Advantages
from vldac.batch import TokenBatch
from vldac.config import TrainConfig
from vldac.data import RolloutBatch
from vldac.errors import NonFiniteError, SelfCheckError
from vldac.kernels import ppo_clip_loss, value_loss
from vldac.kernels.dispatch import vector_backend
from vldac.optim import clip_and_step
from vldac.packing import Packing, PassSize, Rows, until_it_fits
from vldac.policy import Evaluation, Policy
from vldac.spans import span, time_metrics


@dataclass(kw_only=True, slots=True)
class OldLogprobs:
    """Per step [tokens] float32 vectors; empty where nothing was scored (see `Trainer._old_logprobs`)."""

    old: list[torch.Tensor]
    reference: list[torch.Tensor] | None


def token_batch(policy: Policy, batch: RolloutBatch, rows: Rows, *, shared: int | None = None) -> TokenBatch:
    """Collate steps for scoring. shared: tokens of their common prefix; None finds out."""
    return policy.collate(
        [batch.prompts[r] for r in rows],
        [batch.response(r) for r in rows],
        batch.features_of(rows),
        shared=shared,
    )


def epoch_plan(config: TrainConfig, num_steps: int, *, update: int, epoch: int) -> list[Rows]:
    """Return the epoch's optimiser batches of shuffled steps."""
    order = seeding.generator(config.seed, "shuffle", update, epoch).permutation(num_steps)
    size = config.optim.minibatch_steps
    return [order[i : i + size] for i in range(0, num_steps, size)]


@torch.no_grad()
def score(
    policy: Policy, batch: RolloutBatch, packing: Packing, minibatches: Sequence[Rows], *, temperature: float
) -> list[torch.Tensor]:
    """Log-probs of these steps' responses under the policy as it is (inside `policy.reference()`: the initial policy).

    In the micro-batches of the update: with the first epoch's `minibatches` the ratio at its first one is 1 bit for bit. Raises
    PassTooLarge where memory runs out.
    """
    result: list[torch.Tensor] = [torch.empty(0)] * len(batch)
    for rows in (part for minibatch in minibatches for part in packing.split(minibatch)):
        with packing.sized_pass(rows):
            tokens = token_batch(policy, batch, rows, shared=packing.shared)
            scored = policy(tokens, temperature=temperature).logprob.cpu()
        for r, part in zip(rows, scored.split(batch.buffer.num_tokens[rows].tolist()), strict=True):
            result[r] = part.clone()
    return result


def microbatch_loss(
    evaluation: Evaluation,
    batch: RolloutBatch,
    rows: Rows,
    advantages: Advantages,
    logprobs: OldLogprobs,
    config: TrainConfig,
    total_weight: float,
) -> tuple[torch.Tensor, torch.Tensor, Any]:
    """Return (policy loss with KL, value loss, statistics) of a micro-batch; both already divided by the global weight."""
    device, algorithm = evaluation.logprob.device, config.algorithm
    index = torch.from_numpy(rows)
    weight = (advantages.weight[index] / total_weight).to(device)
    counts = torch.from_numpy(batch.buffer.num_tokens[rows]).to(device)
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
        backend=vector_backend(config.model.kernels),
    )
    return policy_loss, value_loss_of(evaluation.value, batch, rows, advantages, config, total_weight), stats


def value_loss_of(
    value: torch.Tensor, batch: RolloutBatch, rows: Rows, advantages: Advantages, config: TrainConfig, total_weight: float
) -> torch.Tensor:  # fmt: skip
    """Return the value loss of `rows`, whose values are `value` [B] float32; already divided by the global weight."""
    index = torch.from_numpy(rows)
    loss, _ = value_loss(
        value,
        torch.from_numpy(batch.buffer.value[rows]).float().to(value.device),
        advantages.returns[index].to(value.device),
        (advantages.weight[index] / total_weight).to(value.device),
        clip=config.algorithm.value_clip,
        backend=vector_backend(config.model.kernels),
    )
    return loss


def check_first_ratio(evaluation: Evaluation, old: torch.Tensor, *, limit: float) -> float:
    """Return max |log-ratio| before any optimiser step; above `limit` the scoring path differs from the sampling path."""
    deviation = float((evaluation.logprob.detach().cpu() - old).abs().max()) if len(evaluation.logprob) else 0.0
    highest = float(evaluation.logprob.detach().max()) if len(evaluation.logprob) else 0.0
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
        self, batch: RolloutBatch, packing: Packing, advantages: Advantages, logprobs: OldLogprobs, *, update: int,
        is_frozen: bool, rescore: Callable[[], None] = lambda: None,
    ) -> dict[str, float]:  # fmt: skip
        """Run all epochs; return metrics. With `is_frozen` only the value head moves (value warm-up).

        rescore: takes `logprobs` anew; called where the budget is halved before the first optimiser step, because the first ratio
        is 1 in the same micro-batches only.
        """
        means = _Means()
        if is_frozen:
            self._check_frozen(batch, packing, logprobs, rescore, update, means)
        for epoch in range(self.config.optim.epochs):
            for rows in epoch_plan(self.config, len(batch), update=update, epoch=epoch):
                total_weight = float(advantages.weight[torch.from_numpy(rows)].sum())
                if total_weight == 0:
                    continue
                if is_frozen:
                    loss = self._accumulate_values(batch, rows, advantages, total_weight, means)
                else:
                    loss, means = self._accumulate_fitting(
                        batch, packing, rows, advantages, logprobs, rescore, total_weight, means
                    )
                where = f"update {update + 1}, epoch {epoch + 1}"
                with span("optimizer", means.seconds):
                    self._step(loss, batch, rows, advantages, logprobs, where, is_frozen, means)
        gaps = decode_mismatch(torch.cat(means.gaps), self.config.algorithm.clip) if means.gaps else {}
        return means.metrics() | gaps | {"optim/microbatch_tokens": float(packing.budget.tokens)}

    def _accumulate_fitting(
        self, batch: RolloutBatch, packing: Packing, rows: Rows, advantages: Advantages, logprobs: OldLogprobs,
        rescore: Callable[[], None], total_weight: float, means: _Means,
    ) -> tuple[torch.Tensor, _Means]:  # fmt: skip
        """Forward and backward of one optimiser batch, anew in smaller passes each time memory runs out.

        Returns its detached loss, and the means with it.
        """

        def attempt() -> tuple[torch.Tensor, _Means]:
            trial, loss = means.copy(), torch.zeros((), device=self.policy.device)
            for part in packing.split(rows):
                with packing.sized_pass(part):
                    loss += self._accumulate(batch, packing, part, advantages, logprobs, total_weight, trial)
            trial.useful_tokens += packing.tokens(rows)
            return loss, trial

        def shrink(low: PassSize) -> None:
            for optimizer in self.optimizers.values():
                optimizer.zero_grad(set_to_none=True)
            packing.budget.shrink(low)
            if not means.norms:
                rescore()

        return until_it_fits(attempt, shrink)

    def _accumulate(
        self, batch: RolloutBatch, packing: Packing, rows: Rows, advantages: Advantages, logprobs: OldLogprobs,
        total_weight: float, means: _Means,
    ) -> torch.Tensor:  # fmt: skip
        """Forward and backward of one micro-batch; returns its detached part of the loss."""
        config = self.config
        with span("pack", means.seconds):
            tokens = token_batch(self.policy, batch, rows, shared=packing.shared)
        with span("forward", means.seconds):
            evaluation = self.policy(tokens, temperature=config.rollout.temperature)
            self._compare(evaluation, batch, rows, logprobs, means)
            policy_loss, values, stats = microbatch_loss(
                evaluation, batch, rows, advantages, logprobs, config, total_weight
            )
            loss = config.algorithm.value_coef * values + policy_loss
        with span("backward", means.seconds):
            loss.backward()
        weight = float(advantages.weight[torch.from_numpy(rows)].sum())
        means.add_policy(policy_loss.detach() * total_weight, stats, weight)
        means.add_values(values.detach() * total_weight, weight)
        means.run_tokens += tokens.num_tokens
        return loss.detach()

    def _accumulate_values(
        self, batch: RolloutBatch, rows: Rows, advantages: Advantages, total_weight: float, means: _Means
    ) -> torch.Tensor:
        """Forward and backward of the value head on an optimiser batch; returns its detached loss."""
        with span("forward", means.seconds):
            value = self.policy.value_head(batch.value_input[torch.from_numpy(rows)])
            values = value_loss_of(value, batch, rows, advantages, self.config, total_weight)
            loss = self.config.algorithm.value_coef * values
        with span("backward", means.seconds):
            loss.backward()
        means.add_values(values.detach() * total_weight, total_weight)
        return loss.detach()

    @torch.no_grad()
    def _check_frozen(
        self, batch: RolloutBatch, packing: Packing, logprobs: OldLogprobs, rescore: Callable[[], None], update: int,
        means: _Means,
    ) -> None:  # fmt: skip
        """Score the first micro-batch of a frozen update for the comparisons that every update makes."""

        def attempt() -> None:
            rows = packing.split(epoch_plan(self.config, len(batch), update=update, epoch=0)[0])[0]
            with packing.sized_pass(rows):
                with span("pack", means.seconds):
                    tokens = token_batch(self.policy, batch, rows, shared=packing.shared)
                with span("forward", means.seconds):
                    evaluation = self.policy(tokens, temperature=self.config.rollout.temperature)
            self._compare(evaluation, batch, rows, logprobs, means)

        def shrink(low: PassSize) -> None:
            packing.budget.shrink(low)
            rescore()

        until_it_fits(attempt, shrink)

    def _compare(
        self, evaluation: Evaluation, batch: RolloutBatch, rows: Rows, logprobs: OldLogprobs, means: _Means
    ) -> None:
        """Check the first micro-batch's ratio; until the weights move, note how far decoding is from this path."""
        if means.first_deviation is None:
            limit = 1e-4 if "first-ratio" not in self.config.waive else float("inf")
            old = torch.cat([logprobs.old[r] for r in rows])
            means.first_deviation = check_first_ratio(evaluation, old, limit=limit)
        if not means.norms:  # before the first optimiser step the weights are those that sampled
            decoded = torch.cat([batch.decode_logprob(r) for r in rows]).to(evaluation.logprob.device)
            means.gaps.append((evaluation.logprob.detach() - decoded).abs())

    def _step(
        self, loss: torch.Tensor, batch: RolloutBatch, rows: Rows, advantages: Advantages, logprobs: OldLogprobs, where: str,
        is_frozen: bool, means: _Means,
    ) -> None:  # fmt: skip
        """Step the optimisers on the accumulated gradient; a non-finite loss or gradient ends the run with the batch attached."""
        try:
            if not bool(torch.isfinite(loss)):
                raise NonFiniteError(
                    expected="a finite loss", got=str(float(loss)), where=where,
                    do="inspect the dumped batch; lower the learning rate or resume from the last good checkpoint",
                )  # fmt: skip
            for name, optimizer in self.optimizers.items():
                if name == "value" or not is_frozen:
                    means.norms[name].append(
                        clip_and_step(optimizer, self.config.optim.max_grad_norm, f"{where}, {name}")
                    )
        except NonFiniteError as error:
            error.batch = dump_of(batch, rows, advantages, logprobs)
            raise


def decode_mismatch(gap: torch.Tensor, clip: float) -> dict[str, float]:
    """How far decoding is from the update's own path: gap [N] = |log-ratio| at unchanged weights, and its share outside the clip."""
    return {
        "policy/decode_mismatch_mean": float(gap.mean()),
        "policy/decode_mismatch_p99": float(gap.float().quantile(0.99)) if len(gap) < 2**24 else float(gap.max()),
        "policy/decode_mismatch_clip_frac": float((gap.expm1() > clip).float().mean()),
    }


def dump_of(batch: RolloutBatch, rows: Rows, advantages: Advantages, logprobs: OldLogprobs) -> dict[str, torch.Tensor]:
    """Return the tensors of an optimiser batch by name, rows padded to the longest (for a dump that a person can load)."""
    pad = torch.nn.utils.rnn.pad_sequence
    index = torch.from_numpy(rows)
    result = {
        "rows": index,
        "prompt_ids": pad([batch.prompts[r].ids for r in rows], batch_first=True, padding_value=-1),
        "response_ids": pad([batch.response(r) for r in rows], batch_first=True, padding_value=-1),
        "old_logprob": pad([logprobs.old[r] for r in rows], batch_first=True, padding_value=float("nan")),
        "advantage": advantages.advantage[index],
        "returns": advantages.returns[index],
        "weight": advantages.weight[index],
        "value": torch.from_numpy(batch.buffer.value[rows]),
        "value_input": batch.value_input[index].cpu(),
        "reward": torch.from_numpy(batch.buffer.reward[rows]),
    }
    if logprobs.reference is not None:
        refs = [logprobs.reference[r] for r in rows]
        result["ref_logprob"] = pad(refs, batch_first=True, padding_value=float("nan"))
    return result


class _Means:
    """Means over the update's steps, kept on the device until the end: nothing here waits for it."""

    KEYS = ("clip_frac", "kl_ref_k3", "kl_old_k1")

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.norms: dict[str, list[float]] = defaultdict(list)
        self.first_deviation: float | None = None
        self.gaps: list[torch.Tensor] = []
        """|log-ratio| between decoding and this path, of the first optimiser batch's steps (frozen: micro-batch's)"""
        self._sums: dict[str, Any] = defaultdict(float)
        self._ratio_max: list[torch.Tensor] = []
        self._weight = 0.0
        self.run_tokens = 0
        """Tokens that went through the trunk: every micro-batch runs the shared prefix"""
        self.useful_tokens = 0
        """Tokens that had to: every optimiser batch runs the shared prefix once"""

    def copy(self) -> _Means:
        """The same means with containers of their own, but for the seconds: time that is spent is spent."""
        other = _Means()
        other.seconds, other.norms, other.first_deviation = self.seconds, self.norms, self.first_deviation
        other.gaps, other._sums, other._ratio_max = list(self.gaps), self._sums.copy(), list(self._ratio_max)
        other._weight, other.run_tokens, other.useful_tokens = self._weight, self.run_tokens, self.useful_tokens
        return other

    def add_values(self, loss: torch.Tensor, weight: float) -> None:
        """loss: sum over steps. weight: their number."""
        self._sums["value/loss"] = self._sums["value/loss"] + loss
        self._weight += weight

    def add_policy(self, loss: torch.Tensor, stats: Any, weight: float) -> None:
        """loss: sum over the steps whose values are added, too. stats: means over them. weight: their number."""
        self._sums["policy/loss"] = self._sums["policy/loss"] + loss  # not in place: `copy` shares the tensors
        for key in self.KEYS:
            self._sums[f"policy/{key}"] = self._sums[f"policy/{key}"] + getattr(stats, key) * weight
        self._ratio_max.append(stats.ratio_max)

    def metrics(self) -> dict[str, float]:
        result = {key: float(value) / max(self._weight, 1.0) for key, value in self._sums.items()}
        result |= {f"optim/grad_norm_{name}": float(np.mean(norms)) for name, norms in self.norms.items()}
        if self._ratio_max:
            result["policy/ratio_max"] = float(torch.stack(self._ratio_max).max())
            result["optim/packed_frac"] = self.useful_tokens / self.run_tokens
        result["policy/first_ratio_deviation"] = self.first_deviation or 0.0
        return result | time_metrics(self.seconds)
