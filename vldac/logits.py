"""Logits of a decoding step: a product with float32 accumulation that never makes a float32 copy of the head.

A copy of the whole head in float32 would cost, per token, a gigabyte of traffic at 7B. The sum is that of the scorer
(`vldac.kernels.linear_logprob`): products of bfloat16 numbers are exact in float32, and both accumulate in float32.
"""

from __future__ import annotations

import torch

_ROWS = 1024
"""Head rows converted at a time where no fused product exists: a block that stays in the processor's cache."""


@torch.no_grad()
def head_logits(hidden: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """[B, V] float32 logits of hidden [B, H] under the head weight [V, H]; no gradient.

    float32 (or float64, kept) weights: a plain product. bfloat16 or float16 on a GPU: one product with float32 output.
    Elsewhere: the same numbers block by block.
    """
    if weight.dtype in (torch.float32, torch.float64):
        return hidden.to(weight.dtype) @ weight.T
    if weight.is_cuda:
        return torch.mm(hidden.to(weight.dtype), weight.T, out_dtype=torch.float32)
    rows = hidden.float()
    logits = rows.new_empty(len(rows), len(weight))
    block = rows.new_empty(min(_ROWS, len(weight)), weight.shape[1])
    for start in range(0, len(weight), _ROWS):
        part = weight[start : start + _ROWS]
        block[: len(part)].copy_(part)
        logits[:, start : start + len(part)] = rows @ block[: len(part)].T
    return logits
