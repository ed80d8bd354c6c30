"""The fused Triton head (`backend="triton_fused"`): scoring without gradient in one pass, no logits in memory.

It costs speed against the chunked products and saves their scratch. With a gradient there is nothing for it to do.
"""

from __future__ import annotations

import torch
from torch import Tensor
from vldac.kernels.triton_launch import contiguous, is_interpreting, launch
from vldac.kernels.triton_launch import unavailable as _unavailable
from vldac.kernels.triton_tier import _kernels, _three
from vldac.kernels.triton_tier import describe as _describe

from vldac.kernels import triton_table as table
from vldac.kernels import triton_tier

__all__ = ["describe", "linear_logprob", "unavailable"]

LACKS = {"linear_logprob": ("gradient",)}


def unavailable(device: torch.device, dtype: torch.dtype) -> str | None:
    """Why the fused head cannot run here; None if it can."""
    return _unavailable(device, dtype)


def describe() -> str:
    """One line on what runs."""
    return _describe().replace("chunked products with a row kernel", "fused head without logits")


def linear_logprob(
    hidden: Tensor, weight: Tensor, target: Tensor, column_bias: Tensor | None, temperature: Tensor, softcap: float,
    ignore_index: int, *, needs_gradient: bool, chunk_rows: int, batch_invariant: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """(logprob, entropy, lse) [N] fp32 and an empty gradient [0, H]. chunk_rows and batch_invariant change nothing here.

    A head whose rows are not contiguous (a transposed one) goes through the chunked products, which read any strides.
    """
    if needs_gradient:
        raise NotImplementedError("linear_logprob: the fused head has no gradient (LACKS tells)")
    if weight.stride(1) != 1:
        return triton_tier.linear_logprob(
            hidden, weight, target, column_bias, temperature, softcap, ignore_index,
            needs_gradient=False, chunk_rows=chunk_rows, batch_invariant=batch_invariant,
        )  # fmt: skip
    if hidden.stride(1) != 1:
        hidden = hidden.contiguous()
    (count, width), size = hidden.shape, weight.shape[0]
    logprob, entropy, lse = _three(hidden)
    gradient = hidden.new_empty(0, width)
    if count == 0:
        return logprob, entropy, lse, gradient
    setting = table.head_setting(hidden.dtype, width, size)
    target, column_bias, temperature = contiguous(target, column_bias, temperature)  # type: ignore[assignment]
    splits = -(-size // (setting.tiles * setting.block_v))
    items = -(-count // setting.block_n) * splits
    programs = min(items, table.multiprocessors(hidden.device))
    partial = hidden.new_empty(count, splits, 4, dtype=torch.float32)
    kernels = _kernels("triton_head")
    launch(
        kernels.head_split, (programs,), hidden, hidden.stride(0), weight, weight.stride(0), target, column_bias, temperature,
        int(temperature.numel() > 1), softcap, partial, count, items, programs,
        width=width, size=size, TILES=setting.tiles, SOFTCAP=softcap > 0, UPCAST=is_interpreting(), BLOCK_N=setting.block_n,
        BLOCK_V=setting.block_v, BLOCK_H=setting.block_h, STAGES=setting.stages, num_warps=setting.warps,
        num_stages=setting.stages,
    )  # fmt: skip
    launch(
        kernels.head_merge, (count,), partial, target, ignore_index, logprob, entropy, lse,
        size=size, NUM_SPLITS=splits, SPLITS=table.power_of_two(splits), num_warps=1,
    )  # fmt: skip
    return logprob, entropy, lse, gradient
