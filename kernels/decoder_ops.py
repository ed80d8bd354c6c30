"""The torch operators of decoder layers: schema, fake, implementation, derivative. Checks are in `decoder` and `attention`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from vldac.kernels.dispatch import ODD_WIDTH, choose
from vldac.kernels.library import define, derivative
from vldac.kernels.tier import accumulate_dtype

# -- rms_norm -----------------------------------------------------------------------------------------------------------


def _rms_norm(x: Tensor, weight: Tensor, eps: float, backend: str) -> tuple[Tensor, Tensor]:
    return choose("rms_norm", x.device, x.dtype, backend).function(x, weight, eps)  # type: ignore[no-any-return]


define(
    "rms_norm(Tensor x, Tensor weight, float eps, str backend) -> (Tensor, Tensor)",
    _rms_norm,
    lambda x, weight, eps, backend: (x.new_empty(x.shape), x.new_empty(x.shape[0], dtype=accumulate_dtype(x.dtype))),
)


def _rms_norm_backward(
    grad: Tensor, x: Tensor, weight: Tensor, inverse: Tensor, needs_weight: bool, backend: str
) -> tuple[Tensor, Tensor]:
    tier = choose("rms_norm_backward", x.device, x.dtype, backend)
    for_x, for_weight = tier.function(grad, x, weight, inverse, needs_weight)
    return for_x, weight.new_empty(0) if for_weight is None else for_weight


define(
    "rms_norm_backward(Tensor grad, Tensor x, Tensor weight, Tensor inverse, bool needs_weight, str backend) -> (Tensor, Tensor)",
    _rms_norm_backward,
    lambda grad, x, weight, inverse, needs_weight, backend: (
        x.new_empty(x.shape),
        weight.new_empty(weight.shape if needs_weight else (0,)),
    ),
)


def _save_norm(ctx: Any, inputs: Any, output: Any) -> None:
    x, weight, _, ctx.backend = inputs
    ctx.mark_non_differentiable(output[1])
    ctx.save_for_backward(x, weight, output[1])


def _norm_derivative(ctx: Any, grad: Tensor, _: Any) -> tuple[Tensor | None, ...]:
    x, weight, inverse = ctx.saved_tensors
    needs_weight = bool(ctx.needs_input_grad[1])
    for_x, for_weight = torch.ops.vldac.rms_norm_backward(grad, x, weight, inverse, needs_weight, ctx.backend)
    return for_x, for_weight if needs_weight else None, None, None


derivative("rms_norm", _norm_derivative, _save_norm)

# -- swiglu -------------------------------------------------------------------------------------------------------------


def _swiglu(gate: Tensor, up: Tensor, backend: str) -> Tensor:
    return choose("swiglu", gate.device, gate.dtype, backend).function(gate, up)  # type: ignore[no-any-return]


define(
    "swiglu(Tensor gate, Tensor up, str backend) -> Tensor",
    _swiglu,
    lambda gate, up, backend: gate.new_empty(gate.shape),
)


def _swiglu_backward(grad: Tensor, gate: Tensor, up: Tensor, backend: str) -> tuple[Tensor, Tensor]:
    tier = choose("swiglu_backward", gate.device, gate.dtype, backend)
    return tier.function(grad, gate, up)  # type: ignore[no-any-return]


define(
    "swiglu_backward(Tensor grad, Tensor gate, Tensor up, str backend) -> (Tensor, Tensor)",
    _swiglu_backward,
    lambda grad, gate, up, backend: (gate.new_empty(gate.shape), up.new_empty(up.shape)),
)


def _save_swiglu(ctx: Any, inputs: Any, output: Any) -> None:
    gate, up, ctx.backend = inputs
    ctx.save_for_backward(gate, up)


def _swiglu_derivative(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    return *torch.ops.vldac.swiglu_backward(grad, *ctx.saved_tensors, ctx.backend), None


derivative("swiglu", _swiglu_derivative, _save_swiglu)

# -- rotary -------------------------------------------------------------------------------------------------------------


def _rotary(x: Tensor, cos: Tensor, sin: Tensor, is_inverse: bool, backend: str) -> Tensor:
    return choose("rotary", x.device, x.dtype, backend).function(x, cos, sin, is_inverse)  # type: ignore[no-any-return]


define(
    "rotary(Tensor x, Tensor cos, Tensor sin, bool is_inverse, str backend) -> Tensor",
    _rotary,
    lambda x, cos, sin, is_inverse, backend: x.new_empty(x.shape),
)


def _save_turn(ctx: Any, inputs: Any, output: Any) -> None:
    _, cos, sin, ctx.is_inverse, ctx.backend = inputs
    ctx.save_for_backward(cos, sin)


def _turn_back(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    return torch.ops.vldac.rotary(grad, *ctx.saved_tensors, not ctx.is_inverse, ctx.backend), *[None] * 4


derivative("rotary", _turn_back, _save_turn)

# -- slot_attention: no derivative --------------------------------------------------------------------------------------


def _need(query: Tensor) -> str | None:
    return ODD_WIDTH if query.shape[2] % 16 else None


def slot_attention(
    query: Tensor, key_cache: Tensor, value_cache: Tensor, slot: Tensor, length: Tensor, prefix_key: Tensor | None,
    prefix_value: Tensor | None, scale: float, backend: str,
) -> Tensor:  # fmt: skip
    """The operator's implementation, which a call without a tracer takes directly."""
    tier = choose("slot_attention", query.device, query.dtype, backend, need=_need(query))
    return tier.function(  # type: ignore[no-any-return]
        query, key_cache, value_cache, slot, length, prefix_key, prefix_value, scale
    )


define(
    "slot_attention(Tensor query, Tensor key_cache, Tensor value_cache, Tensor slot, Tensor length, Tensor? prefix_key, "
    "Tensor? prefix_value, float scale, str backend) -> Tensor",
    slot_attention,
    lambda query, *rest: query.new_empty(query.shape),
)

# -- prefix_attention ---------------------------------------------------------------------------------------------------


def prefix_attention(
    query: Tensor, key: Tensor, value: Tensor, prefix_key: Tensor | None, prefix_value: Tensor | None, offsets: Tensor,
    query_offsets: Tensor, scale: float, backend: str,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """The operator's implementation, which a call without a tracer and a gradient takes directly."""
    tier = choose("prefix_attention", query.device, query.dtype, backend, need=_need(query))
    return tier.function(  # type: ignore[no-any-return]
        query, key, value, prefix_key, prefix_value, offsets, query_offsets, scale
    )


define(
    "prefix_attention(Tensor query, Tensor key, Tensor value, Tensor? prefix_key, Tensor? prefix_value, Tensor offsets, "
    "Tensor query_offsets, float scale, str backend) -> (Tensor, Tensor)",
    prefix_attention,
    lambda query, *rest: (
        query.new_empty(query.shape),
        query.new_empty(query.shape[:2], dtype=accumulate_dtype(query.dtype)),
    ),
)


def _prefix_attention_backward(
    grad: Tensor, query: Tensor, key: Tensor, value: Tensor, prefix_key: Tensor | None, prefix_value: Tensor | None,
    offsets: Tensor, query_offsets: Tensor, scale: float, out: Tensor, lse: Tensor, backend: str,
) -> tuple[Tensor, ...]:  # fmt: skip
    tier = choose("prefix_attention_backward", query.device, query.dtype, backend, need=_need(query))
    found = tier.function(grad, query, key, value, prefix_key, prefix_value, offsets, query_offsets, scale, out, lse)
    return tuple(query.new_empty(0) if t is None else t for t in found)


define(
    "prefix_attention_backward(Tensor grad, Tensor query, Tensor key, Tensor value, Tensor? prefix_key, Tensor? prefix_value, "
    "Tensor offsets, Tensor query_offsets, float scale, Tensor out, Tensor lse, str backend) "
    "-> (Tensor, Tensor, Tensor, Tensor, Tensor)",
    _prefix_attention_backward,
    lambda grad, query, key, value, prefix_key, prefix_value, *rest: tuple(
        query.new_empty((0,) if t is None else t.shape) for t in (query, key, value, prefix_key, prefix_value)
    ),
)


def _save_rows(ctx: Any, inputs: Any, output: Any) -> None:
    *tensors, ctx.scale, ctx.backend = inputs
    ctx.mark_non_differentiable(output[1])
    ctx.save_for_backward(*tensors, *output)


def _rows_derivative(ctx: Any, grad: Tensor, _: Any) -> tuple[Tensor | None, ...]:
    *tensors, out, lse = ctx.saved_tensors
    found = torch.ops.vldac.prefix_attention_backward(grad, *tensors, ctx.scale, out, lse, ctx.backend)
    needed = (gradient if need else None for gradient, need in zip(found, ctx.needs_input_grad, strict=False))
    return *needed, None, None, None, None


derivative("prefix_attention", _rows_derivative, _save_rows)
