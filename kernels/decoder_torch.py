"""The torch tier of decoder layers: the contract of `decoder_tier` in torch operations, any device and dtype."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from vldac.kernels.tier import accumulate_dtype
from vldac.kernels.torch_tier import describe, unavailable

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


class _Padded(NamedTuple):
    """Packed rows as a rectangle, flush right, so that every row's queries are the last of its Q columns and tokens of its L."""

    queries: Tensor
    """[R, Q] number of the query in a place; 0 in places without"""
    is_query: Tensor
    """[R, Q]"""
    tokens: Tensor
    """[R, L] number of the token in a place; 0 in places without"""
    seen: Tensor
    """[R, Q, L] own tokens that a place of the queries sees; one without a query sees all before it, so that nothing is NaN"""
    query_places: Tensor
    """[Nq] the place of each query in [R x Q]"""
    token_places: Tensor
    """[T] the place of each token in [R x L]"""


def _pad(offsets: Tensor, query_offsets: Tensor, device: torch.device) -> _Padded:
    """From offsets on the host; built there, copied without waiting."""
    lengths, counts = offsets.diff(), query_offsets.diff()
    length, count = int(lengths.max()), int(counts.max())
    column, asked = torch.arange(length), torch.arange(count)
    is_token, is_query = column >= length - lengths[:, None], asked >= count - counts[:, None]
    tokens = torch.where(is_token, offsets[1:, None] - length + column, 0)
    queries = torch.where(is_query, query_offsets[1:, None] - count + asked, 0)
    seen = column <= length - count + asked[:, None]
    seen = seen & (is_token[:, None] | ~is_query[:, :, None])
    places = (is_query.flatten().nonzero()[:, 0], is_token.flatten().nonzero()[:, 0])
    return _Padded(*(t.to(device, non_blocking=True) for t in (queries, is_query, tokens, seen, *places)))


def prefix_attention(
    query: Tensor, key: Tensor, value: Tensor, prefix_key: Tensor | None, prefix_value: Tensor | None, offsets: Tensor,
    query_offsets: Tensor, scale: float,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """See `DecoderTier.prefix_attention`. Torch's fused attention over padded rows behind their own copies of the prefix."""
    lse = query.new_zeros(query.shape[:2], dtype=accumulate_dtype(query.dtype))
    if not query.numel():
        return query.new_empty(query.shape), lse
    at, seen, pair = _pad(offsets, query_offsets, query.device), None, []
    for own, shared in ((key, prefix_key), (value, prefix_value)):
        rows = own[at.tokens]
        if shared is not None:
            rows = torch.cat([shared.expand(len(rows), *shared.shape), rows], 1)
            seen = torch.cat([at.seen.new_ones(*at.seen.shape[:2], len(shared)), at.seen], 2)
        pair.append(rows.transpose(1, 2))
    if query.is_cuda:  # where grouped heads with a mask have no fused kernel
        pair = [t.repeat_interleave(query.shape[1] // t.shape[1], 1) for t in pair]
    mask = (at.seen if seen is None else seen)[:, None]
    out = torch.nn.functional.scaled_dot_product_attention(
        query[at.queries].transpose(1, 2), pair[0], pair[1], attn_mask=mask, scale=scale, enable_gqa=not query.is_cuda
    )
    return out.transpose(1, 2).flatten(0, 1)[at.query_places], lse


_SCORE_BYTES = 256 << 20
"""Of one tensor of scores in backward; four of them are alive at once."""


def prefix_attention_backward(
    grad: Tensor, query: Tensor, key: Tensor, value: Tensor, prefix_key: Tensor | None, prefix_value: Tensor | None,
    offsets: Tensor, query_offsets: Tensor, scale: float, out: Tensor, lse: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor | None, Tensor | None]:  # fmt: skip
    """See `DecoderTier.prefix_attention_backward`. Scores again, some rows at a time, in F; the prefix is not copied."""
    given = (query, key, value, prefix_key, prefix_value)
    if not query.numel():
        return tuple(None if t is None else t.new_zeros(t.shape) for t in given)  # type: ignore[return-value]
    at, wide = _pad(offsets, query_offsets, query.device), accumulate_dtype(query.dtype)
    (count, asked), length = at.queries.shape, at.tokens.shape[1]
    (heads, width), kv_heads, prefix = query.shape[1:], key.shape[1], 0 if prefix_key is None else len(prefix_key)
    # The prefix as [kv_heads, P, D]; without one as none of its keys.
    shared = [
        (own.new_empty(0, kv_heads, width) if t is None else t).to(wide).transpose(0, 1)
        for own, t in ((key, prefix_key), (value, prefix_value))
    ]
    for_shared = [torch.zeros_like(t) for t in shared]
    step = max(1, _SCORE_BYTES // (heads * asked * (prefix + length) * wide.itemsize))
    parts: list[tuple[Tensor, Tensor, Tensor]] = []
    for rows in (slice(first, first + step) for first in range(0, count, step)):
        # [rows, kv_heads, group x Q, D] and [rows, kv_heads, L, D]
        q, above, result = (
            t[at.queries[rows]].to(wide).transpose(1, 2).reshape(-1, kv_heads, heads // kv_heads * asked, width)
            for t in (query, grad, out)
        )
        k, v = (t[at.tokens[rows]].to(wide).transpose(1, 2) for t in (key, value))
        above = above * at.is_query[rows].repeat(1, heads // kv_heads)[:, None, :, None]
        unseen = ~at.seen[rows].repeat(1, heads // kv_heads, 1)[:, None]
        scores = torch.cat([q @ shared[0].mT, (q @ k.mT).masked_fill(unseen, -torch.inf)], -1)
        share = (scale * scores).softmax(-1)
        slope = torch.cat([above @ shared[1].mT, above @ v.mT], -1) - (above * result).sum(-1, keepdim=True)
        slope = scale * share * slope
        (share_before, own_share), (slope_before, own_slope) = (t.split([prefix, length], -1) for t in (share, slope))
        for_shared[0] += (slope_before.mT @ q).sum(0)
        for_shared[1] += (share_before.mT @ above).sum(0)
        for_query = (slope_before @ shared[0] + own_slope @ k).reshape(-1, heads, asked, width)
        parts.append(tuple(t.transpose(1, 2) for t in (for_query, own_slope.mT @ q, own_share.mT @ above)))
    found = [torch.cat(pieces).flatten(0, 1) for pieces in zip(*parts, strict=True)]
    gradients = [found[0][at.query_places], *(t[at.token_places] for t in found[1:])]
    gradients += [t.transpose(0, 1).contiguous() for t in for_shared] if prefix_key is not None else []
    results = [t.to(query.dtype) for t in gradients]
    return tuple(results + [None] * (5 - len(results)))  # type: ignore[return-value]
