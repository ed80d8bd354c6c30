"""The torch tier of decoder layers: the contract of `decoder_tier` in torch operations, any device and dtype."""

from __future__ import annotations

import torch
from torch import Tensor
from vldac.kernels.tier import accumulate_dtype
from vldac.kernels.torch_tier import describe, unavailable

__all__ = ["describe", "rms_norm", "rms_norm_backward", "rotary", "swiglu", "swiglu_backward", "unavailable"]


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """See `DecoderTier.rms_norm`."""
    wide = x.to(accumulate_dtype(x.dtype))
    inverse = torch.rsqrt(wide.square().mean(-1) + eps)
    return (weight * (wide * inverse[:, None]).to(x.dtype)).contiguous(), inverse


def rms_norm_backward(
    grad: Tensor, x: Tensor, weight: Tensor, inverse: Tensor, needs_weight: bool
) -> tuple[Tensor, Tensor | None]:
    """See `DecoderTier.rms_norm_backward`."""
    above, unit = grad.to(inverse.dtype), x.to(inverse.dtype) * inverse[:, None]
    for_weight = (above * unit).sum(0).to(weight.dtype) if needs_weight else None
    above = above * weight
    along = (above * unit).mean(-1, keepdim=True)
    return ((above - unit * along) * inverse[:, None]).to(x.dtype).contiguous(), for_weight


def swiglu(gate: Tensor, up: Tensor) -> Tensor:
    """See `DecoderTier.swiglu`."""
    return (torch.nn.functional.silu(gate) * up).contiguous()


def swiglu_backward(grad: Tensor, gate: Tensor, up: Tensor) -> tuple[Tensor, Tensor]:
    """See `DecoderTier.swiglu_backward`."""
    for_gate, for_up = torch.ops.aten.silu_backward(grad * up, gate), grad * torch.nn.functional.silu(gate)
    return for_gate.contiguous(), for_up.contiguous()


def rotary(x: Tensor, cos: Tensor, sin: Tensor, is_inverse: bool) -> Tensor:
    """See `DecoderTier.rotary`."""
    half = x.shape[-1] // 2
    cos, sin = cos[:, None], -sin[:, None] if is_inverse else sin[:, None]
    first, second = x[..., :half], x[..., half:]
    out = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    out[..., :half] = first * cos - second * sin
    out[..., half:] = second * cos + first * sin
    return out
