"""Frozen linear layers with a low-rank update, several of one input at a time.

    y_i = x W_i^T + b_i + scale (x A_i^T) B_i^T

W and b are frozen, so that nothing of the base's forward pass is kept but x, once for all layers that read it, and x A^T. The
adapter's weights are float32 masters, cast to the dtype of x for the product: PEFT's own float32 adapter on a bfloat16 base keeps a
float32 copy of every layer's input. Never merged: bfloat16 weights do not survive it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from vldac.errors import ModelError

ADAPTER = "default"
"""PEFT's name of the adapter that is trained."""


@dataclass(slots=True)
class Projection:
    """One linear layer of the base, and its adapter where it has one."""

    weight: torch.Tensor
    """[out, in], frozen"""
    bias: torch.Tensor | None
    lora_a: nn.Parameter | None
    """[rank, in] float32"""
    lora_b: nn.Parameter | None
    """[out, rank] float32"""
    scale: float

    @classmethod
    def of(cls, module: Any, name: str) -> Projection:
        """Wrap a `torch.nn.Linear`, or PEFT's adapter around one. Raises ModelError for any other layer."""
        base = getattr(module, "base_layer", module)
        if type(base) is not nn.Linear:
            raise ModelError(
                expected="language projections that are torch.nn.Linear, with or without PEFT's adapter around them",
                got=type(base).__name__,
                where=f"layers of {name!r}",
                do="load the model without quantisation and without replaced layers",
            )
        if base is module:
            return cls(weight=base.weight, bias=base.bias, lora_a=None, lora_b=None, scale=0.0)
        return cls(
            weight=base.weight, bias=base.bias, lora_a=module.lora_A[ADAPTER].weight,
            lora_b=module.lora_B[ADAPTER].weight, scale=float(module.scaling[ADAPTER]),
        )  # fmt: skip


class Group:
    """Projections of one input: q, k and v; gate and up; or one alone."""

    def __init__(self, projections: Sequence[Projection]) -> None:
        self.projections = tuple(projections)
        self.has_adapter = all(p.lora_a is not None for p in self.projections)
        self.scale = self.projections[0].scale
        self._cast: list[torch.Tensor] = []
        self._version: tuple[int, ...] = ()

    def __call__(self, x: torch.Tensor, *, is_adapted: bool) -> list[torch.Tensor]:
        """[T, in] to one [T, out] for each projection."""
        if not (is_adapted and self.has_adapter):
            return [torch.nn.functional.linear(x, p.weight, p.bias) for p in self.projections]
        if not torch.is_grad_enabled():
            down, *ups = self._weights(x.dtype)
            return _forward(x, down, ups, self.projections, self.scale)[0]
        flat = [w for p in self.projections for w in (p.lora_a, p.lora_b)]
        return list(_Adapted.apply(x, self.projections, self.scale, *flat))

    def _weights(self, dtype: torch.dtype) -> list[torch.Tensor]:
        """All A below each other and every B, in `dtype`. Written anew, in their place, once the adapter has changed."""
        downs, ups = [p.lora_a for p in self.projections], [p.lora_b for p in self.projections]
        version = tuple(w._version for w in (*downs, *ups) if w is not None)
        if not self._cast or self._cast[0].dtype != dtype:
            self._cast = [torch.empty_like(weight) for weight in _cast(downs, ups, dtype)]
            self._version = ()
        if self._version != version:
            for kept, weight in zip(self._cast, _cast(downs, ups, dtype), strict=True):
                kept.copy_(weight)
            self._version = version
        return self._cast

    def refresh(self, dtype: torch.dtype) -> None:
        """Bring the copies in `dtype` that forward passes without gradient read up to date."""
        if self.has_adapter:
            self._weights(dtype)


def _cast(downs: Sequence[Any], ups: Sequence[Any], dtype: torch.dtype) -> list[torch.Tensor]:
    down = downs[0].detach() if len(downs) == 1 else torch.cat([a.detach() for a in downs])
    return [down.to(dtype), *(b.detach().to(dtype) for b in ups)]


def _forward(
    x: torch.Tensor, down: torch.Tensor, ups: Sequence[torch.Tensor], projections: Sequence[Projection], scale: float
) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Return the outputs and x A^T, [T, all ranks]."""
    low = x @ down.t()
    outputs, first = [], 0
    for projection, up in zip(projections, ups, strict=True):
        y = torch.nn.functional.linear(x, projection.weight, projection.bias)
        rank = up.shape[1]
        outputs.append(y.addmm_(low[:, first : first + rank], up.t(), alpha=scale))
        first += rank
    return outputs, low


class _Adapted(torch.autograd.Function):
    """Forward and backward of a `Group`. The gradient of x is gathered in one buffer."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, projections: Any, scale: float, *weights: torch.Tensor) -> Any:
        down, *ups = _cast(weights[0::2], weights[1::2], x.dtype)
        outputs, low = _forward(x, down, ups, projections, scale)
        ctx.projections, ctx.scale, ctx.master = projections, scale, weights[0].dtype
        ctx.save_for_backward(x, low, down, *ups)
        return tuple(outputs)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> Any:
        x, low, down, *ups = ctx.saved_tensors
        low_gradient, grads_b, first = torch.empty_like(low), [], 0
        for gradient, up in zip(gradients, ups, strict=True):
            part = slice(first, first + up.shape[1])
            torch.mm(gradient, up, out=low_gradient[:, part])
            grads_b.append((gradient.t() @ low[:, part]).to(ctx.master).mul_(ctx.scale))
            first = part.stop
        low_gradient.mul_(ctx.scale)
        grad_down = (low_gradient.t() @ x).to(ctx.master)
        grads_a = grad_down.split([up.shape[1] for up in ups])
        grad_x = None
        if ctx.needs_input_grad[0]:
            grad_x = low_gradient @ down
            for gradient, projection in zip(gradients, ctx.projections, strict=True):
                grad_x.addmm_(gradient, projection.weight)
        pairs = [gradient for pair in zip(grads_a, grads_b, strict=True) for gradient in pair]
        return grad_x, None, None, *pairs
