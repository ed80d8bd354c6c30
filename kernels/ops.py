"""The torch operators `vldac::*`: a schema, a fake (shapes), an implementation that asks `dispatch`, and a derivative.

Seen by torch.compile each is one node. Public functions with defaults and checks are in the files named after them.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from vldac.kernels.checks import targets_in_range
from vldac.kernels.dispatch import choose
from vldac.kernels.library import define, derivative
from vldac.kernels.tier import accumulate_dtype
from vldac.kernels.types import PPOStats, ValueStats


def _vectors(like: Tensor, count: int, number: int) -> tuple[Tensor, ...]:
    return tuple(like.new_empty(count, dtype=accumulate_dtype(like.dtype)) for _ in range(number))


# -- scale_rows: the whole backward of a frozen head --------------------------------------------------------------------


def _scale_rows(rows: Tensor, scale: Tensor) -> Tensor:
    """rows [N, H] times scale [N]; 0 where the scale is 0, whatever the row (a masked NaN leaves no trace)."""
    column = scale[:, None]
    return torch.where(column == 0, rows.new_zeros(()), rows * column).to(rows.dtype)


define("scale_rows(Tensor rows, Tensor scale) -> Tensor", _scale_rows, lambda rows, scale: torch.empty_like(rows))


# -- linear_logprob -----------------------------------------------------------------------------------------------------


def _linear_logprob(
    hidden: Tensor, weight: Tensor, target: Tensor, column_bias: Tensor | None, temperature: Tensor, softcap: float,
    ignore_index: int, needs_gradient: bool, chunk_rows: int, batch_invariant: bool, backend: str,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    targets_in_range("linear_logprob", target, len(weight), ignore_index)
    tier = choose("linear_logprob", hidden.device, hidden.dtype, backend, need="gradient" if needs_gradient else None)
    return tier.function(  # type: ignore[no-any-return]
        hidden, weight, target, column_bias, temperature, softcap, ignore_index,
        needs_gradient=needs_gradient, chunk_rows=chunk_rows, batch_invariant=batch_invariant,
    )  # fmt: skip


define(
    "linear_logprob(Tensor hidden, Tensor weight, Tensor target, Tensor? column_bias, Tensor temperature, float softcap, "
    "int ignore_index, bool needs_gradient, int chunk_rows, bool batch_invariant, str backend) "
    "-> (Tensor, Tensor, Tensor, Tensor)",
    _linear_logprob,
    lambda hidden, weight, target, column_bias, temperature, softcap, ignore_index, needs_gradient, chunk_rows, invariant, backend: (
        *_vectors(hidden, hidden.shape[0], 3),
        hidden.new_empty((hidden.shape[0] if needs_gradient else 0, hidden.shape[1])),
    ),
)


def _save_jacobian(ctx: Any, inputs: Any, output: Any) -> None:
    _, entropy, lse, gradient = output
    ctx.mark_non_differentiable(entropy, lse, gradient)
    ctx.save_for_backward(gradient)


def _apply_jacobian(ctx: Any, grad_logprob: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
    (gradient,) = ctx.saved_tensors
    return torch.ops.vldac.scale_rows(gradient, grad_logprob), *[None] * 10


derivative("linear_logprob", _apply_jacobian, _save_jacobian)


# -- linear_logprob_recompute: trainable head, trainable bias, or an entropy with gradient ------------------------------


def _linear_logprob_recompute(
    hidden: Tensor, weight: Tensor, target: Tensor, column_bias: Tensor | None, temperature: Tensor, softcap: float,
    ignore_index: int, chunk_rows: int, batch_invariant: bool, backend: str,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    return _linear_logprob(
        hidden,
        weight,
        target,
        column_bias,
        temperature,
        softcap,
        ignore_index,
        False,
        chunk_rows,
        batch_invariant,
        backend,
    )[:3]


define(
    "linear_logprob_recompute(Tensor hidden, Tensor weight, Tensor target, Tensor? column_bias, Tensor temperature, "
    "float softcap, int ignore_index, int chunk_rows, bool batch_invariant, str backend) -> (Tensor, Tensor, Tensor)",
    _linear_logprob_recompute,
    lambda hidden, *rest: _vectors(hidden, hidden.shape[0], 3),
)


def _linear_logprob_backward(
    grad_logprob: Tensor, grad_entropy: Tensor | None, hidden: Tensor, weight: Tensor, target: Tensor,
    column_bias: Tensor | None, temperature: Tensor, softcap: float, ignore_index: int, lse: Tensor, entropy: Tensor,
    needs_hidden: bool, needs_weight: bool, needs_bias: bool, chunk_rows: int, backend: str,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    tier = choose("linear_logprob_backward", hidden.device, hidden.dtype, backend)
    found = tier.function(
        grad_logprob, grad_entropy, hidden, weight, target, column_bias, temperature, softcap, ignore_index, lse, entropy,
        needs_hidden=needs_hidden, needs_weight=needs_weight, needs_bias=needs_bias, chunk_rows=chunk_rows,
    )  # fmt: skip
    return tuple(hidden.new_empty(0) if t is None else t for t in found)  # type: ignore[return-value]


def _fake_linear_logprob_backward(
    grad_logprob: Tensor, grad_entropy: Tensor | None, hidden: Tensor, weight: Tensor, target: Tensor,
    column_bias: Tensor | None, temperature: Tensor, softcap: float, ignore_index: int, lse: Tensor, entropy: Tensor,
    needs_hidden: bool, needs_weight: bool, needs_bias: bool, chunk_rows: int, backend: str,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    return (
        hidden.new_empty(hidden.shape if needs_hidden else (0,)),
        weight.new_empty(weight.shape if needs_weight else (0,)),
        lse.new_empty(weight.shape[0] if needs_bias else 0),
    )


define(
    "linear_logprob_backward(Tensor grad_logprob, Tensor? grad_entropy, Tensor hidden, Tensor weight, Tensor target, "
    "Tensor? column_bias, Tensor temperature, float softcap, int ignore_index, Tensor lse, Tensor entropy, bool needs_hidden, "
    "bool needs_weight, bool needs_bias, int chunk_rows, str backend) -> (Tensor, Tensor, Tensor)",
    _linear_logprob_backward,
    _fake_linear_logprob_backward,
)


def _save_rows(ctx: Any, inputs: Any, output: Any) -> None:
    hidden, weight, target, column_bias, temperature, ctx.softcap, ctx.ignore_index, ctx.chunk_rows, _, ctx.backend = (
        inputs
    )
    _, entropy, lse = output
    ctx.mark_non_differentiable(lse)
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(hidden, weight, target, column_bias, temperature, lse, entropy)


def _recompute_rows(
    ctx: Any, grad_logprob: Tensor | None, grad_entropy: Tensor | None, _: Any
) -> tuple[Tensor | None, ...]:
    hidden, weight, target, column_bias, temperature, lse, entropy = ctx.saved_tensors
    if grad_logprob is None:
        grad_logprob = torch.zeros_like(lse)
    needs = [bool(ctx.needs_input_grad[i]) for i in (0, 1, 3)]
    found = torch.ops.vldac.linear_logprob_backward(
        grad_logprob, grad_entropy, hidden, weight, target, column_bias, temperature, ctx.softcap, ctx.ignore_index, lse, entropy,
        *needs, ctx.chunk_rows, ctx.backend,
    )  # fmt: skip
    grad_hidden, grad_weight, grad_bias = (t if need else None for t, need in zip(found, needs, strict=True))
    return grad_hidden, grad_weight, None, grad_bias, *[None] * 6


derivative("linear_logprob_recompute", _recompute_rows, _save_rows)


# -- selective_log_softmax ----------------------------------------------------------------------------------------------


def _selective_log_softmax(
    logits: Tensor,
    target: Tensor,
    column_bias: Tensor | None,
    temperature: Tensor,
    ignore_index: int,
    inplace: bool,
    backend: str,
) -> tuple[Tensor, Tensor, Tensor]:
    targets_in_range("selective_log_softmax", target, logits.shape[1], ignore_index)
    tier = choose("selective_log_softmax", logits.device, logits.dtype, backend)
    return tier.function(logits, target, column_bias, temperature, ignore_index)  # type: ignore[no-any-return]


define(
    "selective_log_softmax(Tensor logits, Tensor target, Tensor? column_bias, Tensor temperature, int ignore_index, "
    "bool inplace, str backend) -> (Tensor, Tensor, Tensor)",
    _selective_log_softmax,
    lambda logits, *rest: _vectors(logits, logits.shape[0], 3),
)


def _selective_backward(
    grad_logprob: Tensor, grad_entropy: Tensor | None, logits: Tensor, target: Tensor, column_bias: Tensor | None,
    temperature: Tensor, ignore_index: int, lse: Tensor, entropy: Tensor, backend: str,
) -> Tensor:  # fmt: skip
    tier = choose("selective_log_softmax_backward", logits.device, logits.dtype, backend)
    return tier.function(  # type: ignore[no-any-return]
        grad_logprob, grad_entropy, logits, target, column_bias, temperature, ignore_index, lse, entropy, inplace=False
    )


def _selective_backward_inplace(
    grad_logprob: Tensor, grad_entropy: Tensor | None, logits: Tensor, target: Tensor, column_bias: Tensor | None,
    temperature: Tensor, ignore_index: int, lse: Tensor, entropy: Tensor, backend: str,
) -> None:  # fmt: skip
    tier = choose("selective_log_softmax_backward", logits.device, logits.dtype, backend)
    tier.function(
        grad_logprob, grad_entropy, logits, target, column_bias, temperature, ignore_index, lse, entropy, inplace=True
    )


_BACKWARD_ARGUMENTS = (
    "Tensor target, Tensor? column_bias, Tensor temperature, int ignore_index, Tensor lse, Tensor entropy, str backend"
)
define(
    f"selective_log_softmax_backward(Tensor grad_logprob, Tensor? grad_entropy, Tensor logits, {_BACKWARD_ARGUMENTS}) -> Tensor",
    _selective_backward,
    lambda grad_logprob, grad_entropy, logits, *rest: torch.empty_like(logits),
)
define(
    "selective_log_softmax_backward_(Tensor grad_logprob, Tensor? grad_entropy, Tensor(a!) logits, "
    f"{_BACKWARD_ARGUMENTS}) -> ()",
    _selective_backward_inplace,
    lambda *arguments: None,
)


def _save_logits(ctx: Any, inputs: Any, output: Any) -> None:
    logits, target, column_bias, temperature, ctx.ignore_index, ctx.inplace, ctx.backend = inputs
    _, entropy, lse = output
    ctx.mark_non_differentiable(lse)
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(logits, target, column_bias, temperature, lse, entropy)


def _backward_of_logits(
    ctx: Any, grad_logprob: Tensor | None, grad_entropy: Tensor | None, _: Any
) -> tuple[Tensor | None, ...]:
    logits, target, column_bias, temperature, lse, entropy = ctx.saved_tensors
    if grad_logprob is None:
        grad_logprob = torch.zeros_like(lse)
    rest = (target, column_bias, temperature, ctx.ignore_index, lse, entropy, ctx.backend)
    if ctx.inplace:
        # Over the logits themselves: whoever saved them for a backward of its own is told so by their version.
        gradient = logits.detach()
        torch.ops.vldac.selective_log_softmax_backward_(grad_logprob, grad_entropy, gradient, *rest)
        torch.autograd.graph.increment_version(logits)
    else:
        gradient = torch.ops.vldac.selective_log_softmax_backward(grad_logprob, grad_entropy, logits, *rest)
    return gradient, *[None] * 6


derivative("selective_log_softmax", _backward_of_logits, _save_logits)


# -- losses on vectors --------------------------------------------------------------------------------------------------


def _ppo_clip_loss(
    logprob: Tensor, old_logprob: Tensor, advantages: Tensor, step_index: Tensor, token_weight: Tensor, ref_logprob: Tensor | None,
    clip_low: float, clip_high: float, kl_coef: float, kl_estimator: str, ratio_guard: float, dual_clip: float,
    log_ratio_cap: float, backend: str,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    tier = choose("ppo_clip_loss", logprob.device, logprob.dtype, backend)
    return tier.function(  # type: ignore[no-any-return]
        logprob, old_logprob, advantages, step_index, token_weight, ref_logprob, clip_low, clip_high, kl_coef, kl_estimator,
        ratio_guard, dual_clip, log_ratio_cap,
    )  # fmt: skip


define(
    "ppo_clip_loss(Tensor logprob, Tensor old_logprob, Tensor advantages, Tensor step_index, Tensor token_weight, "
    "Tensor? ref_logprob, float clip_low, float clip_high, float kl_coef, str kl_estimator, float ratio_guard, float dual_clip, "
    "float log_ratio_cap, str backend) -> (Tensor, Tensor, Tensor)",
    _ppo_clip_loss,
    lambda logprob, *rest: (logprob.new_empty(()), logprob.new_empty(len(PPOStats._fields)), torch.empty_like(logprob)),
)


def _value_loss(
    value: Tensor, old_value: Tensor | None, returns: Tensor, step_weight: Tensor, clip: float, huber: float, coef: float,
    backend: str,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    tier = choose("value_loss", value.device, value.dtype, backend)
    return tier.function(value, old_value, returns, step_weight, clip, huber, coef)  # type: ignore[no-any-return]


define(
    "value_loss(Tensor value, Tensor? old_value, Tensor returns, Tensor step_weight, float clip, float huber, float coef, "
    "str backend) -> (Tensor, Tensor, Tensor)",
    _value_loss,
    lambda value, *rest: (value.new_empty(()), value.new_empty(len(ValueStats._fields)), torch.empty_like(value)),
)


def _scale(vector: Tensor, scale: Tensor) -> Tensor:
    return vector * scale


define("scale(Tensor vector, Tensor scale) -> Tensor", _scale, lambda vector, scale: torch.empty_like(vector))


def _save_coefficient(ctx: Any, inputs: Any, output: Any) -> None:
    _, stats, coefficient = output
    ctx.mark_non_differentiable(stats, coefficient)
    ctx.arguments = len(inputs)
    ctx.save_for_backward(coefficient)


def _apply_coefficient(ctx: Any, grad_loss: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
    (coefficient,) = ctx.saved_tensors
    return torch.ops.vldac.scale(coefficient, grad_loss), *[None] * (ctx.arguments - 1)


derivative("ppo_clip_loss", _apply_coefficient, _save_coefficient)
derivative("value_loss", _apply_coefficient, _save_coefficient)


# -- advantages and sampling: no derivative -----------------------------------------------------------------------------


def _gae(
    reward: Tensor, value: Tensor, bootstrap: Tensor, terminated: Tensor, truncated: Tensor, final_value: Tensor | None,
    segment_offsets: Tensor | None, gamma: float, lam: float, backend: str,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    tier = choose("gae", value.device, value.dtype, backend)
    return tier.function(  # type: ignore[no-any-return]
        reward, value, bootstrap, terminated, truncated, final_value, segment_offsets, gamma, lam
    )


define(
    "gae(Tensor reward, Tensor value, Tensor bootstrap, Tensor terminated, Tensor truncated, Tensor? final_value, "
    "Tensor? segment_offsets, float gamma, float lam, str backend) -> (Tensor, Tensor)",
    _gae,
    lambda reward, value, *rest: (torch.empty_like(value), torch.empty_like(value)),
)


def _masked_whiten(values: Tensor, mask: Tensor, unbiased: bool, eps: float, backend: str) -> Tensor:
    tier = choose("masked_whiten", values.device, values.dtype, backend)
    return tier.function(values, mask, unbiased, eps)  # type: ignore[no-any-return]


define(
    "masked_whiten(Tensor values, Tensor mask, bool unbiased, float eps, str backend) -> Tensor",
    _masked_whiten,
    lambda values, *rest: torch.empty_like(values),
)


def _sample(
    logits: Tensor, column_bias: Tensor | None, temperature: Tensor, top_k: Tensor | None, top_p: Tensor | None, min_p: float,
    seed: Tensor, position: Tensor, greedy: Tensor, backend: str,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    is_truncated = top_k is not None or top_p is not None or min_p > 0
    tier = choose("sample", logits.device, logits.dtype, backend, need="truncation" if is_truncated else None)
    return tier.function(  # type: ignore[no-any-return]
        logits, column_bias, temperature, top_k, top_p, min_p, seed, position, greedy
    )


define(
    "sample(Tensor logits, Tensor? column_bias, Tensor temperature, Tensor? top_k, Tensor? top_p, float min_p, Tensor seed, "
    "Tensor position, Tensor greedy, str backend) -> (Tensor, Tensor, Tensor, Tensor, Tensor)",
    _sample,
    lambda logits, *rest: (
        logits.new_empty(logits.shape[0], dtype=torch.int64),
        *_vectors(logits, logits.shape[0], 3),
        logits.new_empty(logits.shape[0], dtype=torch.bool),
    ),
)
