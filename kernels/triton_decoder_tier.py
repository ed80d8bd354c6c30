"""The Triton tier of decoder layers: see `decoder_tier` for the contract. Triton is imported by the first launch."""

from __future__ import annotations

import importlib
from types import ModuleType

import torch
from torch import Tensor
from vldac.kernels.triton_launch import launch, unavailable
from vldac.kernels.triton_tier import describe

from vldac.kernels import triton_table as table

__all__ = [
    "describe",
    "rms_norm",
    "rms_norm_backward",
    "rotary",
    "slot_attention",
    "swiglu",
    "swiglu_backward",
    "unavailable",
]


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """See `DecoderTier.rms_norm`."""
    x, (count, size) = _rows(x), x.shape
    y, inverse = x.new_empty(count, size), x.new_empty(count, dtype=torch.float32)
    if x.numel():
        rows, block, warps = table.norm_block(size)
        launch(
            _kernels("triton_decoder").norm, (-(-count // rows),), x, x.stride(0), weight.contiguous(), eps, y, inverse, count,
            size=size, ROWS=rows, BLOCK=block, num_warps=warps,
        )  # fmt: skip
    return y, inverse


def rms_norm_backward(
    grad: Tensor, x: Tensor, weight: Tensor, inverse: Tensor, needs_weight: bool
) -> tuple[Tensor, Tensor | None]:
    """See `DecoderTier.rms_norm_backward`. The weight's gradient, which a frozen decoder never asks for, is torch's sum."""
    x, grad, (count, size) = _rows(x), _rows(grad), x.shape
    gradient = x.new_empty(count, size)
    if x.numel():
        rows, block, warps = table.norm_block(size)
        launch(
            _kernels("triton_decoder").norm_gradient, (-(-count // rows),), grad, grad.stride(0), x, x.stride(0),
            weight.contiguous(), inverse, gradient, count, size=size, ROWS=rows, BLOCK=block, num_warps=warps,
        )  # fmt: skip
    return gradient, (grad * (x * inverse[:, None])).sum(0).to(weight.dtype) if needs_weight else None


def swiglu(gate: Tensor, up: Tensor) -> Tensor:
    """See `DecoderTier.swiglu`."""
    gate, up, (count, size) = _rows(gate), _rows(up), gate.shape
    y = gate.new_empty(count, size)
    if gate.numel():
        block, warps = table.stretch_block(size)
        launch(
            _kernels("triton_decoder").swiglu, (count, -(-size // block)), gate, gate.stride(0), up, up.stride(0), y,
            size=size, BLOCK=block, num_warps=warps,
        )  # fmt: skip
    return y


def swiglu_backward(grad: Tensor, gate: Tensor, up: Tensor) -> tuple[Tensor, Tensor]:
    """See `DecoderTier.swiglu_backward`."""
    grad, gate, up, (count, size) = _rows(grad), _rows(gate), _rows(up), gate.shape
    for_gate, for_up = gate.new_empty(count, size), up.new_empty(count, size)
    if gate.numel():
        block, warps = table.stretch_block(size)
        launch(
            _kernels("triton_decoder").swiglu_gradient, (count, -(-size // block)), grad, grad.stride(0), gate, gate.stride(0),
            up, up.stride(0), for_gate, for_up, size=size, BLOCK=block, num_warps=warps,
        )  # fmt: skip
    return for_gate, for_up


def rotary(x: Tensor, cos: Tensor, sin: Tensor, is_inverse: bool) -> Tensor:
    """See `DecoderTier.rotary`."""
    x, cos, sin, (count, heads, width) = _rows(x), _rows(cos), _rows(sin), x.shape
    y = x.new_empty(count, heads, width)
    if x.numel():
        launch(
            _kernels("triton_decoder").rotate, (count,), x, x.stride(0), x.stride(1), cos, cos.stride(0), sin, sin.stride(0),
            -1.0 if is_inverse else 1.0, y, heads, half=width // 2, HEADS=table.power_of_two(heads),
            HALF=table.power_of_two(width // 2), num_warps=table.turn_warps(heads * width),
        )  # fmt: skip
    return y


def slot_attention(
    query: Tensor, key_cache: Tensor, value_cache: Tensor, slot: Tensor, length: Tensor, prefix_key: Tensor | None,
    prefix_value: Tensor | None, scale: float,
) -> Tensor:  # fmt: skip
    """See `DecoderTier.slot_attention`. One program per row and head of keys."""
    query, keys, values, (count, heads, width) = _rows(query), _rows(key_cache), _rows(value_cache), query.shape
    out = query.new_empty(count, heads, width)
    slots, capacity, kv_heads, _ = keys.shape
    has_prefix = prefix_key is not None and prefix_value is not None and len(prefix_key) > 0
    shared = (_rows(prefix_key), _rows(prefix_value)) if has_prefix else (None, None)  # type: ignore[arg-type]
    strides = [(0, 0) if t is None else t.stride()[:2] for t in shared]
    if out.numel():
        block, warps = table.key_block(query.dtype, width)
        launch(
            _kernels("triton_attention").attend_slot, (count, kv_heads), query, *query.stride()[:2], keys, *keys.stride()[:3],
            values, *values.stride()[:3], slot.contiguous(), length.contiguous(), shared[0], *strides[0], shared[1], *strides[1],
            0 if shared[0] is None else len(shared[0]), out, slots, capacity, scale, heads, heads // kv_heads,
            width=width, GROUP=max(16, table.power_of_two(heads // kv_heads)), WIDTH=max(16, table.power_of_two(width)),
            BLOCK=block, num_warps=warps, num_stages=2,
        )  # fmt: skip
    return out


def _kernels(name: str) -> ModuleType:
    return importlib.import_module(f"vldac.kernels.{name}")


def _rows(tensor: Tensor) -> Tensor:
    """With neighbouring columns, copied where they are not."""
    return tensor if tensor.stride(-1) == 1 else tensor.contiguous()
