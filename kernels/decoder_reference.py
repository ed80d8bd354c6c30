"""The specification of the decoder's kernels, in plain differentiable torch: what `reference` is for the others.

Shapes: N rows, H hidden, I intermediate, D head width; A rows of a decode batch, C capacity of a slot, P keys of the shared prefix.
"""

from __future__ import annotations

import torch
from torch import Tensor
from vldac.kernels.tier import accumulate_dtype


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """x [N, H] over the root of its mean square, rounded to x's dtype, then times weight [H]: Hugging Face's order."""
    wide = x.to(accumulate_dtype(x.dtype))
    return weight * (wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + eps)).to(x.dtype)


def swiglu(gate: Tensor, up: Tensor) -> Tensor:
    """silu(gate) * up, [N, I]."""
    return torch.nn.functional.silu(gate) * up


def apply_rotary(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """x [N, heads, D] turned by angles whose cosines and sines are [N, D / 2]: (x1 cos - x2 sin, x2 cos + x1 sin), halves of D."""
    first, second = x.chunk(2, -1)
    cos, sin = cos.to(x.dtype)[:, None], sin.to(x.dtype)[:, None]
    return torch.cat([first * cos - second * sin, second * cos + first * sin], -1)


def slot_attention(
    query: Tensor, key_cache: Tensor, value_cache: Tensor, slot: Tensor, length: Tensor, prefix_key: Tensor | None = None,
    prefix_value: Tensor | None = None, *, scale: float,
) -> Tensor:  # fmt: skip
    """Attention of query [A, heads, D] over the prefix [P, kv_heads, D] and the first length[a] keys in slot[a] of the caches.

    Caches: [slots, C, kv_heads, D]. Head h reads kv head h // (heads // kv_heads). Softmax and sums in float32 (float64 for float64).
    """
    rows = []
    for row, (at, count) in enumerate(zip(slot.tolist(), length.tolist(), strict=True)):
        keys, values = key_cache[at, :count], value_cache[at, :count]
        if prefix_key is not None and prefix_value is not None:
            keys, values = torch.cat([prefix_key, keys]), torch.cat([prefix_value, values])
        rows.append(_attend(query[row : row + 1], keys, values, None, scale)[0])
    return torch.stack(rows) if rows else torch.zeros_like(query)


def prefix_attention(
    query: Tensor, key: Tensor, value: Tensor, prefix_key: Tensor | None, prefix_value: Tensor | None, offsets: Tensor,
    query_offsets: Tensor | None = None, *, scale: float,
) -> Tensor:  # fmt: skip
    """Causal attention of packed rows behind a shared prefix: row r owns tokens offsets[r] ... of key and value [T, kv_heads, D].

    Its queries, query_offsets[r] ... of query [Nq, heads, D], are its last tokens; each sees the prefix and its row up to itself.
    """
    starts, asked = offsets.tolist(), (offsets if query_offsets is None else query_offsets).tolist()
    rows = []
    for row in range(len(starts) - 1):
        keys, values = key[starts[row] : starts[row + 1]], value[starts[row] : starts[row + 1]]
        queries, count = query[asked[row] : asked[row + 1]], len(keys)
        if len(queries) == 0:
            continue
        position = torch.arange(count - len(queries), count, device=key.device)
        hidden = torch.arange(count, device=key.device) > position[:, None]
        if prefix_key is not None and prefix_value is not None:
            hidden = torch.cat([hidden.new_zeros(len(queries), len(prefix_key)), hidden], 1)
            keys, values = torch.cat([prefix_key, keys]), torch.cat([prefix_value, values])
        rows.append(_attend(queries, keys, values, hidden, scale))
    return torch.cat(rows) if rows else query * 0


def _attend(query: Tensor, key: Tensor, value: Tensor, hidden: Tensor | None, scale: float) -> Tensor:
    """softmax(scale query key^T) value: query [n, heads, D], key and value [m, kv_heads, D], hidden [n, m] True where unseen."""
    wide, group = accumulate_dtype(query.dtype), query.shape[1] // key.shape[1]
    q, k, v = (t.to(wide).transpose(0, 1) for t in (query, key, value))
    k, v = k.repeat_interleave(group, 0), v.repeat_interleave(group, 0)
    scores = scale * (q @ k.transpose(1, 2))
    if hidden is not None:
        scores = scores.masked_fill(hidden, -torch.inf)
    return (scores.softmax(-1) @ v).transpose(0, 1).to(query.dtype)
