"""Normalisation and the repeated temporal slice, folded into the patch embedding.

A vision tower's first layer is linear, and so is what the image processor does before it: pixel / 255, minus mean, over std,
the frame repeated over the temporal axis. Their product is one linear layer of the bytes themselves,

    weight'[d, c, y, x] = sum over t of weight[d, c, t, y, x] / (255 std[c])
    bias'[d]            = bias[d] - sum over c, t, y, x of weight[d, c, t, y, x] mean[c] / std[c]

so that a row of `PatchEmitter`'s uint8 patches (588 bytes at patch 14) is all that the model needs: 8 times less than the 1176
floats of the processor. Exact algebra, another rounding: the product is computed in float64, kept and applied in float32.
In float32 outputs agree to about 1e-6 of their size. In bfloat16 the folded layer is the better one: bytes and weights are not
rounded to 8 bits, as pixels and sums are in the original.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from vldac.errors import ModelError
from vldac.vision import ImageSpec


class FoldedPatchEmbed(nn.Module):
    """The patch embedding of uint8 patches: [N, 3 * patch * patch], columns (channel, y, x), to [N, embedding]."""

    weight: torch.Tensor
    """[embedding, 3 * patch * patch] float32"""
    bias: torch.Tensor
    """[embedding] float32"""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor, dtype: torch.dtype) -> None:
        super().__init__()
        self.register_buffer("weight", weight, persistent=False)
        self.register_buffer("bias", bias, persistent=False)
        self.dtype = dtype

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        """Embed bytes, as uint8 or as any float type (bfloat16 holds them exactly); returns the tower's dtype."""
        return functional.linear(patches.float(), self.weight, self.bias).to(self.dtype)


@torch.no_grad()
def fold_patch_embed(vision: Any, spec: ImageSpec) -> FoldedPatchEmbed:
    """Return the folded patch embedding of a Qwen2-VL, Qwen2.5-VL or Qwen3-VL vision tower, on its device.

    It is a copy: fold again where the tower's weights have changed. Raises ModelError for a tower whose first layer is not
    the convolution that `spec` says.
    """
    projection = getattr(getattr(vision, "patch_embed", None), "proj", None)
    kernel = (spec.temporal_patch_size, spec.patch_size, spec.patch_size)
    if not isinstance(projection, nn.Conv3d) or projection.in_channels != 3 or projection.kernel_size != kernel:
        raise ModelError(
            expected=f"a vision tower whose patch_embed.proj is a Conv3d of 3 channels and kernel {kernel}",
            got=str(projection),
            where="fold_patch_embed",
            do="use the ImageSpec of the same checkpoint, and a Qwen2-VL, Qwen2.5-VL or Qwen3-VL tower",
        )
    weight = projection.weight.double().sum(dim=2)  # [embedding, channel, y, x]
    mean, std = (weight.new_tensor(values)[:, None, None] for values in (spec.mean, spec.std))
    bias = -(weight * (mean / std)).sum(dim=(1, 2, 3))
    if projection.bias is not None:
        bias += projection.bias.double()
    folded = (weight / (255 * std)).flatten(1)
    return FoldedPatchEmbed(folded.float(), bias.float(), projection.weight.dtype)


class KeptFold:
    """One tower's fold, made anew when the weights that it was made of have changed or were replaced."""

    def __init__(self) -> None:
        self._made: tuple[list[tuple[torch.Tensor, int]], FoldedPatchEmbed] | None = None

    def of(self, vision: Any, spec: ImageSpec) -> FoldedPatchEmbed:
        """Return `fold_patch_embed(vision, spec)`."""
        now = [(weight, weight._version) for weight in vision.patch_embed.parameters()]
        if self._made is None or not _are_same(self._made[0], now):
            self._made = now, fold_patch_embed(vision, spec)
        return self._made[1]


def _are_same(made: list[tuple[torch.Tensor, int]], now: list[tuple[torch.Tensor, int]]) -> bool:
    pairs = zip(made, now, strict=False)
    return len(made) == len(now) and all(a is b and before == after for (a, before), (b, after) in pairs)


@contextlib.contextmanager
def fed_with_bytes(vision: Any, spec: ImageSpec, kept: KeptFold | None = None) -> Iterator[None]:
    """Inside, the vision tower takes uint8 patches [N, 3 * patch * patch] in place of `pixel_values`; no gradient reaches its
    patch embedding. The fold is that of the present weights; `kept` spares making it again while they stand still."""
    original = vision.patch_embed
    vision.patch_embed = fold_patch_embed(vision, spec) if kept is None else kept.of(vision, spec)
    try:
        yield
    finally:
        vision.patch_embed = original
