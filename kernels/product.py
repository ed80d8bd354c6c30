"""Products with the language head: float32 results from any weight dtype, and never a float32 copy of the head.

A copy of the whole head in float32 would cost a gigabyte of traffic at 7B. Products of bfloat16 numbers are exact in float32, and
all of these accumulate in float32.
"""

from __future__ import annotations

import torch
from torch import Tensor
from vldac.kernels.tier import accumulate_dtype

_ROWS = 1024
"""Head rows converted at a time where no fused product exists: a block that stays in the processor's cache."""


@torch.no_grad()
def head_logits(hidden: Tensor, weight: Tensor, *, out: Tensor | None = None) -> Tensor:
    """[N, V] logits of hidden [N, H] under the head [V, H], float32 (float64 kept); no gradient. `out` receives them.

    float32 and float64: a plain product. bfloat16 or float16 on a GPU: one product with float32 output. Elsewhere: block by block.
    """
    wide = accumulate_dtype(weight.dtype)
    if weight.dtype == wide:
        return torch.mm(hidden.to(wide), weight.T, out=out) if out is not None else hidden.to(wide) @ weight.T
    if weight.is_cuda:
        logits = torch.mm(hidden.to(weight.dtype), weight.T, out_dtype=wide)
        return logits if out is None else out.copy_(logits)
    rows = hidden.to(wide)
    logits = rows.new_empty(len(rows), len(weight)) if out is None else out
    block = rows.new_empty(min(_ROWS, len(weight)), weight.shape[1])
    for start in range(0, len(weight), _ROWS):
        part = weight[start : start + _ROWS]
        block[: len(part)].copy_(part)
        logits[:, start : start + len(part)] = rows @ block[: len(part)].T
    return logits


@torch.no_grad()
def through_head(delta: Tensor, weight: Tensor) -> Tensor:
    """[N, H] delta [N, V] times the head [V, H], in the head's dtype, accumulated in float32 (float64 kept)."""
    wide = accumulate_dtype(weight.dtype)
    if weight.dtype == wide:
        return delta.to(wide) @ weight
    if weight.is_cuda:
        return torch.mm(delta.to(weight.dtype), weight, out_dtype=wide).to(weight.dtype)
    result = delta.new_zeros(len(delta), weight.shape[1], dtype=wide)
    block = result.new_empty(min(_ROWS, len(weight)), weight.shape[1])
    for start in range(0, len(weight), _ROWS):
        part = weight[start : start + _ROWS]
        block[: len(part)].copy_(part)
        result.addmm_(delta[:, start : start + len(part)].to(wide), block[: len(part)])
    return result.to(weight.dtype)
