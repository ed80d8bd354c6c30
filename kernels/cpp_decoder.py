"""The C++ tier of decoder layers on CPU tensors in float32: `decoder_tier.DecoderTier` says what each function computes.

It runs on torch's own threads (`torch.set_num_threads`), and no result depends on their number. The environment variable VLDAC_ISA
forces an instruction set.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor
from torch.utils.dlpack import to_dlpack  # type: ignore[attr-defined]
from vldac.kernels.cpp_rows import describe, share_pool
from vldac.kernels.dispatch import ODD_WIDTH

from vldac import _core

__all__ = [
    "describe",
    "prefix_attention",
    "prefix_attention_backward",
    "rms_norm",
    "rms_norm_backward",
    "rotary",
    "slot_attention",
    "swiglu",
    "swiglu_backward",
    "unavailable",
]

LACKS = {name: (ODD_WIDTH,) for name in ("slot_attention", "prefix_attention", "prefix_attention_backward")}


def unavailable(device: torch.device, dtype: torch.dtype) -> str | None:
    """Why it cannot run there; None if it can."""
    if device.type != "cpu":
        return "it runs on the CPU only"
    return None if dtype == torch.float32 else f"it has no kernels for {str(dtype).removeprefix('torch.')}"


@functools.cache
def _native() -> _core.DecoderKernels:
    """The kernels of this machine, once torch's threads are theirs."""
    share_pool()
    return _core.DecoderKernels()


@functools.cache
def _attention() -> _core.AttentionKernels:
    share_pool()
    return _core.AttentionKernels()


def _lend(tensor: Tensor | None) -> object:
    """A capsule of the tensor's memory, for one call; its last stride becomes 1."""
    return None if tensor is None else to_dlpack(_rows(tensor))


def _rows(matrix: Tensor) -> Tensor:
    """[N, H] with neighbouring columns, copied where they are not."""
    return matrix if matrix.stride(-1) == 1 or matrix.shape[-1] <= 1 else matrix.contiguous()


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """See `DecoderTier.rms_norm`."""
    count, width = x.shape
    y, inverse = x.new_empty(count, width), x.new_empty(count)
    _native().rms_norm(to_dlpack(_rows(x)), to_dlpack(weight.contiguous()), eps, to_dlpack(y), to_dlpack(inverse))
    return y, inverse


def rms_norm_backward(
    grad: Tensor, x: Tensor, weight: Tensor, inverse: Tensor, needs_weight: bool
) -> tuple[Tensor, Tensor | None]:
    """See `DecoderTier.rms_norm_backward`. The weight's gradient, which a frozen decoder never asks for, is torch's sum."""
    gradient = x.new_empty(x.shape)
    _native().rms_norm_gradient(
        to_dlpack(_rows(grad)), to_dlpack(_rows(x)), to_dlpack(weight.contiguous()), to_dlpack(inverse), to_dlpack(gradient)
    )  # fmt: skip
    return gradient, (grad * (x * inverse[:, None])).sum(0) if needs_weight else None


def swiglu(gate: Tensor, up: Tensor) -> Tensor:
    """See `DecoderTier.swiglu`."""
    y = gate.new_empty(gate.shape)
    _native().swiglu(to_dlpack(_rows(gate)), to_dlpack(_rows(up)), to_dlpack(y))
    return y


def swiglu_backward(grad: Tensor, gate: Tensor, up: Tensor) -> tuple[Tensor, Tensor]:
    """See `DecoderTier.swiglu_backward`."""
    for_gate, for_up = gate.new_empty(gate.shape), up.new_empty(up.shape)
    _native().swiglu_gradient(
        to_dlpack(_rows(grad)), to_dlpack(_rows(gate)), to_dlpack(_rows(up)), to_dlpack(for_gate), to_dlpack(for_up)
    )  # fmt: skip
    return for_gate, for_up


def rotary(x: Tensor, cos: Tensor, sin: Tensor, is_inverse: bool) -> Tensor:
    """See `DecoderTier.rotary`."""
    y = x.new_empty(x.shape)
    _native().rotate(to_dlpack(_rows(x)), to_dlpack(_rows(cos)), to_dlpack(_rows(sin)), is_inverse, to_dlpack(y))
    return y


def slot_attention(
    query: Tensor, key_cache: Tensor, value_cache: Tensor, slot: Tensor, length: Tensor, prefix_key: Tensor | None,
    prefix_value: Tensor | None, scale: float,
) -> Tensor:  # fmt: skip
    """See `DecoderTier.slot_attention`."""
    out = query.new_empty(query.shape)
    _attention().slot_attention(
        _lend(query), _lend(key_cache), _lend(value_cache), to_dlpack(slot.contiguous()), to_dlpack(length.contiguous()),
        _lend(prefix_key), _lend(prefix_value), scale, to_dlpack(out),
    )  # fmt: skip
    return out


def prefix_attention(
    query: Tensor, key: Tensor, value: Tensor, prefix_key: Tensor | None, prefix_value: Tensor | None, offsets: Tensor,
    query_offsets: Tensor, scale: float,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """See `DecoderTier.prefix_attention`."""
    out, lse = query.new_empty(query.shape), query.new_empty(query.shape[:2])
    _attention().packed_attention(
        _lend(query), _lend(key), _lend(value), _lend(prefix_key), _lend(prefix_value), to_dlpack(offsets), to_dlpack(query_offsets),
        scale, to_dlpack(out), to_dlpack(lse),
    )  # fmt: skip
    return out, lse


def prefix_attention_backward(
    grad: Tensor, query: Tensor, key: Tensor, value: Tensor, prefix_key: Tensor | None, prefix_value: Tensor | None,
    offsets: Tensor, query_offsets: Tensor, scale: float, out: Tensor, lse: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor | None, Tensor | None]:  # fmt: skip
    """See `DecoderTier.prefix_attention_backward`."""
    gradients = [None if t is None else t.new_empty(t.shape) for t in (query, key, value, prefix_key, prefix_value)]
    _attention().packed_attention_gradient(
        _lend(grad), _lend(query), _lend(key), _lend(value), _lend(prefix_key), _lend(prefix_value), to_dlpack(offsets),
        to_dlpack(query_offsets), scale, to_dlpack(out), to_dlpack(lse), *map(_lend, gradients),
    )  # fmt: skip
    return tuple(gradients)  # type: ignore[return-value]
