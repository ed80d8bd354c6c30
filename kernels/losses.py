"""The losses of an update: token-wise clipped surrogate with a step's advantage on each of its tokens, and the value's error."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from vldac.kernels.dispatch import KernelError, vector_backend
from vldac.kernels.scoring import linear_logprob
from vldac.kernels.types import PPOStats, ValueStats

from vldac.kernels import checks, ops  # noqa: F401 -- ops defines torch.ops.vldac

KL_ESTIMATORS = ("k1", "k2", "k3")
_WIDE = (torch.float32, torch.float64)


def ppo_clip_loss(
    logprob: Tensor,
    old_logprob: Tensor,
    advantages: Tensor,
    step_index: Tensor,
    token_weight: Tensor,
    *,
    ref_logprob: Tensor | None = None,
    clip_low: float = 0.1,
    clip_high: float = 0.1,
    kl_coef: float = 0.0,
    kl_estimator: str = "k3",
    ratio_guard: float | None = None,
    dual_clip: float | None = None,
    log_ratio_cap: float = 20.0,
    backend: str = "auto",
) -> tuple[Tensor, PPOStats]:
    """sum_i w_i (-min(r_i A, clip(r_i, 1 - clip_low, 1 + clip_high) A) + kl_coef kl_i), to be minimised (paper Eq. 3, 5, 6).

    r_i = exp(logprob_i - old_i), its exponent kept within log_ratio_cap; A = advantages[step_index_i]. The weight carries mask and
    aggregation: 1 / (tokens of the step x steps of the batch) gives the paper's mean. A token of weight 0 leaves no trace, NaN or
    not.

    logprob, old_logprob, ref_logprob, token_weight: [N] float32 or float64, one dtype. advantages: [S]. step_index: [N] int into S.
    ref_logprob with kl_coef: KL to the initial policy, k1 = -(ref - logprob), k2 = half its square, k3 = exp(x) - x - 1 with
    x = ref - logprob. ratio_guard: if any token of a step has a ratio above it, all of them take the clipped branch (the original
    repository). dual_clip: c > 1 bounds the loss of negative advantages at -c A (arXiv 1912.09729).
    Returns (loss [], statistics); differentiable in logprob alone. Raises KernelError, KernelTypeError; on the CPU KernelIndexError.
    """
    where = "ppo_clip_loss"
    checks.shape(where, "logprob", logprob, "N")
    checks.dtype(where, "logprob", logprob, _WIDE)
    vectors = {"old_logprob": old_logprob, "token_weight": token_weight, "ref_logprob": ref_logprob}
    present = {name: t for name, t in vectors.items() if t is not None}
    for name, tensor in present.items():
        checks.shape(where, name, tensor, len(logprob))
    checks.shape(where, "advantages", advantages, "S")
    checks.shape(where, "step_index", step_index, len(logprob))
    checks.dtype(where, "step_index", step_index, checks.INTEGERS)
    checks.same_dtype(where, logprob=logprob, advantages=advantages, **present)
    checks.one_device(where, logprob=logprob, advantages=advantages, step_index=step_index, **present)
    checks.no_gradient(where, advantages=advantages, **present)
    _check_options(where, clip_low, clip_high, kl_estimator, ratio_guard, dual_clip, log_ratio_cap)
    _check_steps(where, step_index, len(advantages))
    loss, stats, _ = torch.ops.vldac.ppo_clip_loss(
        logprob, old_logprob, advantages, step_index, token_weight, ref_logprob, clip_low, clip_high, kl_coef, kl_estimator,
        ratio_guard or 0.0, dual_clip or 0.0, log_ratio_cap, backend,
    )  # fmt: skip
    return loss, PPOStats(*stats.unbind())


def _check_options(
    where: str,
    clip_low: float,
    clip_high: float,
    kl_estimator: str,
    ratio_guard: float | None,
    dual_clip: float | None,
    cap: float,
) -> None:
    checks.fraction(where, "clip_low", clip_low)
    checks.positive(where, "clip_high", clip_high, zero=True)
    checks.positive(where, "log_ratio_cap", cap)
    for name, value in (("ratio_guard", ratio_guard), ("dual_clip", dual_clip)):
        if value is not None and not value > 1:
            raise KernelError(
                expected=f"{name} above 1, or None", got=repr(value), where=where, do="correct the option"
            )
    if kl_estimator not in KL_ESTIMATORS:
        raise KernelError(
            expected=f"kl_estimator among {', '.join(KL_ESTIMATORS)}",
            got=repr(kl_estimator),
            where=where,
            do="name one of them",
        )


def _check_steps(where: str, step_index: Tensor, steps: int) -> None:
    """On the CPU, where looking costs nothing."""
    if step_index.device.type != "cpu" or torch.compiler.is_compiling() or not len(step_index):
        return
    low, high = int(step_index.min()), int(step_index.max())
    if low < 0 or high >= steps:
        raise checks.KernelIndexError(
            expected=f"step_index in [0, {steps}), the number of advantages", got=f"from {low} to {high}", where=where,
            do="give one advantage per step of the batch",
        )  # fmt: skip


def value_loss(
    value: Tensor,
    old_value: Tensor | None,
    returns: Tensor,
    step_weight: Tensor,
    *,
    clip: float | None = None,
    huber: float | None = None,
    coef: float = 0.5,
    backend: str = "auto",
) -> tuple[Tensor, ValueStats]:
    """coef sum_s w_s (value_s - return_s)^2: one value per environment step (paper Eq. 4); unclipped unless `clip` is given.

    value, old_value, returns, step_weight: [S] float32 or float64, one dtype. clip: the larger of the error and that of the value
    moved at most `clip` from old_value (which it needs). huber = d: straight beyond |error| = d. Steps of weight 0 leave no trace.
    Returns (loss [], statistics); differentiable in value alone. Raises KernelError, KernelTypeError.
    """
    where = "value_loss"
    checks.shape(where, "value", value, "S")
    checks.dtype(where, "value", value, _WIDE)
    vectors = {"returns": returns, "step_weight": step_weight, "old_value": old_value}
    present = {name: t for name, t in vectors.items() if t is not None}
    for name, tensor in present.items():
        checks.shape(where, name, tensor, len(value))
    checks.same_dtype(where, value=value, **present)
    checks.one_device(where, value=value, **present)
    checks.no_gradient(where, **present)
    for name, option in (("clip", clip), ("huber", huber)):
        if option is not None:
            checks.positive(where, name, option)
    if clip is not None and old_value is None:
        raise KernelError(
            expected="old_value, which clip needs", got="None", where=where, do="give it, or leave clip out"
        )
    loss, stats, _ = torch.ops.vldac.value_loss(
        value, old_value, returns, step_weight, clip or 0.0, huber or 0.0, coef, backend
    )
    return loss, ValueStats(*stats.unbind())


def fused_linear_ppo_loss(
    hidden: Tensor,
    weight: Tensor,
    target: Tensor,
    old_logprob: Tensor,
    advantages: Tensor,
    step_index: Tensor,
    token_weight: Tensor,
    *,
    ref_logprob: Tensor | None = None,
    ref_hidden: Tensor | None = None,
    bias: Tensor | None = None,
    temperature: float | Tensor = 1.0,
    softcap: float | None = None,
    banned_ids: Tensor | None = None,
    ignore_index: int = -100,
    chunk_rows: int | None = None,
    batch_invariant: bool = False,
    backend: str = "auto",
    **loss_options: Any,
) -> tuple[Tensor, PPOStats, Tensor]:
    """`linear_logprob` followed by `ppo_clip_loss`: (loss [], statistics, log-probs [N] detached).

    ref_hidden [N, H]: hidden states of the initial policy (adapters off), scored by the same head without gradient in place of
    ref_logprob. The other arguments are those of the two functions. backend "triton" or "triton_fused" is that of the scoring.
    """
    scoring: dict[str, Any] = {
        "bias": bias, "temperature": temperature, "softcap": softcap, "banned_ids": banned_ids, "ignore_index": ignore_index,
        "chunk_rows": chunk_rows, "batch_invariant": batch_invariant, "backend": backend,
    }  # fmt: skip
    if ref_hidden is not None:
        if ref_logprob is not None:
            raise KernelError(
                expected="ref_logprob or ref_hidden",
                got="both",
                where="fused_linear_ppo_loss",
                do="leave one of them out",
            )
        with torch.no_grad():
            ref_logprob = linear_logprob(ref_hidden, weight, target, **scoring).logprob
    logprob = linear_logprob(hidden, weight, target, **scoring).logprob
    loss, stats = ppo_clip_loss(
        logprob,
        old_logprob,
        advantages,
        step_index,
        token_weight,
        ref_logprob=ref_logprob,
        backend=vector_backend(backend),
        **loss_options,
    )
    return loss, stats, logprob.detach()
