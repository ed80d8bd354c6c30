"""What a decoder layer does between its products: RMS norm, SwiGLU, rotary position embedding.

These run in every layer of every decoded token, where a call costs as much as its work: a call whose result needs no gradient goes
straight to its tier; operators of torch's library carry the derivative and the compiler's view. Shapes are looked at in one
expression, and explained only once that has failed.
"""

from __future__ import annotations

import torch
from torch import Tensor
from vldac.kernels.dispatch import choose

from vldac.kernels import checks, decoder_ops  # noqa: F401 -- decoder_ops defines torch.ops.vldac


def rms_norm(x: Tensor, weight: Tensor, eps: float, *, backend: str = "auto") -> Tensor:
    """x over the root of its mean square, times weight: Hugging Face's RMSNorm of decoders, in one pass.

    x: [N, H] floating, any strides. weight: [H] of the same dtype. eps > 0. Squares are summed in float32 (float64 for float64); the
    quotient is rounded to x's dtype before it meets the weight. Differentiable in x and weight; x and one number per row are kept.
    Returns [N, H] in x's dtype. Raises KernelError (shapes, eps, a back end that cannot run) and KernelTypeError (dtypes, devices).
    """
    if (
        x.dim() != 2
        or weight.shape != x.shape[1:]
        or x.dtype != weight.dtype
        or x.device != weight.device
        or not x.is_floating_point()
        or not 0 < eps < torch.inf
    ):
        _refuse_norm(x, weight, eps)
    if is_traced(x) or (torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad)):
        return torch.ops.vldac.rms_norm(x, weight, eps, backend)[0]  # type: ignore[no-any-return]
    return choose("rms_norm", x.device, x.dtype, backend).function(x, weight, eps)[0]  # type: ignore[no-any-return]


def swiglu(gate: Tensor, up: Tensor, *, backend: str = "auto") -> Tensor:
    """silu(gate) * up, the gated activation of Llama's and Qwen's decoders; nothing but its two inputs is kept for backward.

    gate, up: [N, I] of one floating dtype, any strides. Differentiable in both.
    Returns [N, I]. Raises KernelError (shapes, a back end that cannot run) and KernelTypeError (dtypes, devices).
    """
    if (
        gate.dim() != 2
        or gate.shape != up.shape
        or gate.dtype != up.dtype
        or gate.device != up.device
        or not gate.is_floating_point()
    ):
        _refuse_swiglu(gate, up)
    if is_traced(gate) or (torch.is_grad_enabled() and (gate.requires_grad or up.requires_grad)):
        return torch.ops.vldac.swiglu(gate, up, backend)  # type: ignore[no-any-return]
    return choose("swiglu", gate.device, gate.dtype, backend).function(gate, up)  # type: ignore[no-any-return]


def apply_rotary(x: Tensor, cos: Tensor, sin: Tensor, *, backend: str = "auto") -> Tensor:
    """Rotary position embedding: (x1 cos - x2 sin, x2 cos + x1 sin), where x1, x2 are the halves of x's last dimension.

    x: [N, heads, D] floating, any strides (a view of a projection will do), D even. cos, sin: [N, D / 2] floating, no gradient; they
    are rounded to x's dtype first, as Hugging Face's are. Differentiable in x.
    Returns [N, heads, D], contiguous. Raises KernelError (shapes, cos or sin with a gradient, a back end that cannot run) and
    KernelTypeError (dtypes, devices).
    """
    if (
        x.dim() != 3
        or cos.shape != sin.shape
        or cos.dim() != 2
        or cos.shape[0] != x.shape[0]
        or 2 * cos.shape[1] != x.shape[2]
        or not (x.is_floating_point() and cos.is_floating_point() and sin.is_floating_point())
        or not x.device == cos.device == sin.device
        or cos.requires_grad
        or sin.requires_grad
    ):
        _refuse_rotary(x, cos, sin)
    if cos.dtype != x.dtype or sin.dtype != x.dtype:
        cos, sin = cos.to(x.dtype), sin.to(x.dtype)
    if is_traced(x) or (torch.is_grad_enabled() and x.requires_grad):
        return torch.ops.vldac.rotary(x, cos, sin, False, backend)  # type: ignore[no-any-return]
    return choose("rotary", x.device, x.dtype, backend).function(x, cos, sin, False)  # type: ignore[no-any-return]


def is_traced(x: Tensor) -> bool:
    """A compiler, a fake or a meta tensor: something that wants an operator's name, not its result."""
    return torch.compiler.is_compiling() or type(x) is not Tensor or x.is_meta


def _refuse_norm(x: Tensor, weight: Tensor, eps: float) -> None:
    where = "rms_norm"
    checks.shape(where, "x", x, "N", "H")
    checks.shape(where, "weight", weight, x.shape[1])
    checks.dtype(where, "x", x, checks.FLOATS)
    checks.same_dtype(where, x=x, weight=weight)
    checks.one_device(where, x=x, weight=weight)
    checks.positive(where, "eps", eps)


def _refuse_swiglu(gate: Tensor, up: Tensor) -> None:
    where = "swiglu"
    checks.shape(where, "gate", gate, "N", "I")
    checks.shape(where, "up", up, *gate.shape)
    checks.dtype(where, "gate", gate, checks.FLOATS)
    checks.same_dtype(where, gate=gate, up=up)
    checks.one_device(where, gate=gate, up=up)


def _refuse_rotary(x: Tensor, cos: Tensor, sin: Tensor) -> None:
    where = "apply_rotary"
    checks.shape(where, "x", x, "N", "heads", "D")
    checks.even(where, "the last dimension of x", x.shape[2])
    for name, tensor in (("cos", cos), ("sin", sin)):
        checks.shape(where, name, tensor, x.shape[0], x.shape[2] // 2)
        checks.dtype(where, name, tensor, checks.FLOATS)
    checks.dtype(where, "x", x, checks.FLOATS)
    checks.one_device(where, x=x, cos=cos, sin=sin)
    checks.no_gradient(where, cos=cos, sin=sin)
