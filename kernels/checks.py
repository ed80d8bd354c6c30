"""Is this something a kernel can take? Every mistake is told before anything runs, in four parts; nothing reads a GPU tensor."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from vldac.kernels.dispatch import KernelError


class KernelTypeError(KernelError, TypeError):
    """A dtype, device or type that an operation cannot take."""


class KernelIndexError(KernelError, IndexError):
    """An id outside its range."""


FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
INTEGERS = (torch.int32, torch.int64)


def shape(where: str, name: str, tensor: Tensor, *sizes: int | str) -> None:
    """The tensor has these sizes; a string names a size that may be any."""
    is_right = tensor.dim() == len(sizes) and all(
        isinstance(want, str) or want == has for want, has in zip(sizes, tensor.shape, strict=True)
    )
    if not is_right:
        raise KernelError(
            expected=f"{name} of shape [{', '.join(map(str, sizes))}]", got=f"shape {list(tensor.shape)}", where=where,
            do="give every argument the shapes of the docstring",
        )  # fmt: skip


def dtype(where: str, name: str, tensor: Tensor, allowed: tuple[torch.dtype, ...]) -> None:
    """The tensor has one of these dtypes."""
    if tensor.dtype not in allowed:
        raise KernelTypeError(
            expected=f"{name} of dtype {' or '.join(str(d).removeprefix('torch.') for d in allowed)}",
            got=str(tensor.dtype).removeprefix("torch."), where=where, do="convert it before the call",
        )  # fmt: skip


def one_device(where: str, **tensors: Tensor | None) -> None:
    """All on the same device."""
    present = {name: t.device for name, t in tensors.items() if isinstance(t, Tensor)}
    if len(set(present.values())) > 1:
        raise KernelTypeError(
            expected="all tensors on one device", got=", ".join(f"{name} on {d}" for name, d in present.items()),
            where=where, do="move them to the device of the first one",
        )  # fmt: skip


def same_dtype(where: str, **tensors: Tensor) -> None:
    """All of one dtype: a silent conversion would copy, or round."""
    if len({t.dtype for t in tensors.values()}) > 1:
        raise KernelTypeError(
            expected=f"{' and '.join(tensors)} of one dtype",
            got=", ".join(f"{name} {str(t.dtype).removeprefix('torch.')}" for name, t in tensors.items()),
            where=where, do="convert one of them before the call",
        )  # fmt: skip


def positive(where: str, name: str, value: float, *, zero: bool = False) -> None:
    """A finite number above 0 (or 0, with `zero`)."""
    if not (math.isfinite(value) and (value > 0 or (zero and value == 0))):
        raise KernelError(
            expected=f"{name} {'>= 0' if zero else '> 0'} and finite",
            got=repr(value),
            where=where,
            do="correct the option",
        )


def even(where: str, name: str, value: int) -> None:
    """An even number."""
    if value % 2:
        raise KernelError(expected=f"{name} even", got=str(value), where=where, do="correct the shape")


def groups(where: str, heads: int, kv_heads: int) -> None:
    """Heads that share the keys of kv_heads heads in groups of one size."""
    if kv_heads == 0 or heads % kv_heads:
        raise KernelError(
            expected="heads that are a multiple of kv_heads", got=f"{heads} heads, {kv_heads} kv_heads", where=where,
            do="give the head counts of the model's configuration",
        )  # fmt: skip


def fraction(where: str, name: str, value: float) -> None:
    """A number in [0, 1]."""
    if not 0 <= value <= 1:
        raise KernelError(expected=f"{name} in [0, 1]", got=repr(value), where=where, do="correct the option")


def no_gradient(where: str, **tensors: object) -> None:
    """The operation has no derivative with respect to these; asking for one must not give zeros."""
    if torch.is_grad_enabled():
        for name, tensor in tensors.items():
            if isinstance(tensor, Tensor) and tensor.requires_grad:
                raise KernelError(
                    expected=f"{name} without gradient", got="requires_grad True", where=where,
                    do=f"detach {name}; the operation is not differentiable in it",
                )  # fmt: skip


def targets_in_range(where: str, target: Tensor, vocab: int, ignore_index: int) -> None:
    """On the CPU: every id is in [0, vocab) or ignored. (A GPU marks such rows with NaN instead: nothing waits for it.)"""
    if target.device.type != "cpu" or not len(target):
        return
    outside = ((target < 0) | (target >= vocab)) & (target != ignore_index)
    if bool(outside.any()):
        raise KernelIndexError(
            expected=f"targets in [0, {vocab}), or {ignore_index} for rows to ignore",
            got=f"{target[outside][:4].tolist()} in rows {outside.nonzero()[:4, 0].tolist()}", where=where,
            do="check the tokenizer against the head's vocabulary, and the mask",
        )  # fmt: skip
