"""The specification of the decoder's kernels, in plain differentiable torch: what `reference` is for the others.

Shapes: N rows, H hidden, I intermediate, D head width.
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
