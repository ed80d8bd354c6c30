"""The torch tier of decoder layers: the contract of `decoder_tier` in torch operations, any device and dtype."""

from __future__ import annotations

import torch
from torch import Tensor
from vldac.kernels.tier import accumulate_dtype
from vldac.kernels.torch_tier import describe, unavailable

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


def slot_attention(
    query: Tensor, key_cache: Tensor, value_cache: Tensor, slot: Tensor, length: Tensor, prefix_key: Tensor | None,
    prefix_value: Tensor | None, scale: float,
) -> Tensor:  # fmt: skip
    """See `DecoderTier.slot_attention`. Gathers the slots: as many keys as the longest row has on the CPU, whole slots on a GPU."""
    wide, (count, heads, width), kv_heads = accumulate_dtype(query.dtype), query.shape, key_cache.shape[2]
    longest = int(length.max()) if length.device.type == "cpu" and count else key_cache.shape[1]
    inside = (slot >= 0) & (slot < len(key_cache)) & (length >= 1) & (length <= key_cache.shape[1])
    at = torch.where(inside, slot, 0)
    unseen = torch.arange(longest, device=length.device) >= length[:, None]
    own = [
        cache[:, :longest].index_select(0, at).to(wide).masked_fill_(unseen[:, :, None, None], 0.0).permute(0, 2, 1, 3)
        for cache in (key_cache, value_cache)
    ]
    q = query.to(wide).view(count, kv_heads, heads // kv_heads, width) * scale
    scores = q @ own[0].transpose(2, 3)
    scores = scores.masked_fill(unseen[:, None, None], -torch.inf)
    if prefix_key is None or prefix_value is None:
        out = scores.softmax(-1) @ own[1]
    else:
        shared = prefix_key.to(wide).permute(1, 2, 0)  # [kv_heads, D, P]
        share = torch.cat([q @ shared, scores], -1).softmax(-1)
        split = len(prefix_key)
        out = share[..., :split] @ prefix_value.to(wide).transpose(0, 1) + share[..., split:] @ own[1]
    out = out.masked_fill(~inside[:, None, None, None], torch.nan)
    return out.reshape(count, heads, width).to(query.dtype)
