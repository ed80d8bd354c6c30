# mypy: ignore-errors
# Triton compiles these functions; their arguments have no Python types.
"""Triton kernels of decoder layers: RMS norm, SwiGLU, rotary position embedding, and their gradients.

A program has a few rows or a stretch of one; offsets of rows are int64. Values are float32 inside and rounded to the tensor's type
where Hugging Face's layers round. Importing this file needs triton.
"""

import triton
import triton.language as tl


@triton.jit
def norm(
    x_ptr, x_stride, weight_ptr, eps, y_ptr, inverse_ptr, count, size: tl.constexpr, ROWS: tl.constexpr, BLOCK: tl.constexpr
):  # fmt: skip
    """y = weight (x inverse), and inverse = 1 / sqrt(mean x^2 + eps), of ROWS rows."""
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    in_count = (row < count)[:, None]
    total = tl.zeros([ROWS], tl.float32)
    for start in range(0, size, BLOCK):
        columns = start + tl.arange(0, BLOCK)
        mask = in_count & (columns < size)[None, :]
        x = tl.load(x_ptr + row[:, None] * x_stride + columns[None, :], mask=mask, other=0.0).to(tl.float32)
        total += tl.sum(x * x, 1)
    inverse = tl.div_rn(1.0, tl.sqrt_rn(total / size + eps))
    tl.store(inverse_ptr + row, inverse, mask=row < count)
    for start in range(0, size, BLOCK):
        columns = start + tl.arange(0, BLOCK)
        mask = in_count & (columns < size)[None, :]
        x = tl.load(x_ptr + row[:, None] * x_stride + columns[None, :], mask=mask, other=0.0).to(tl.float32)
        weight = tl.load(weight_ptr + columns, mask=columns < size, other=0.0).to(tl.float32)
        unit = (x * inverse[:, None]).to(y_ptr.dtype.element_ty).to(tl.float32)
        tl.store(
            y_ptr + row[:, None] * size + columns[None, :],
            (unit * weight[None, :]).to(y_ptr.dtype.element_ty),
            mask=mask,
        )


@triton.jit
def norm_gradient(
    grad_ptr, grad_stride, x_ptr, x_stride, weight_ptr, inverse_ptr, out_ptr, count,
    size: tl.constexpr, ROWS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """inverse (weight g - u mean(weight g u)), u = x inverse, of ROWS rows."""
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    in_count = (row < count)[:, None]
    inverse = tl.load(inverse_ptr + row, mask=row < count, other=0.0)
    total = tl.zeros([ROWS], tl.float32)
    for start in range(0, size, BLOCK):
        columns = start + tl.arange(0, BLOCK)
        mask = in_count & (columns < size)[None, :]
        weight = tl.load(weight_ptr + columns, mask=columns < size, other=0.0).to(tl.float32)
        grad = tl.load(grad_ptr + row[:, None] * grad_stride + columns[None, :], mask=mask, other=0.0).to(tl.float32)
        x = tl.load(x_ptr + row[:, None] * x_stride + columns[None, :], mask=mask, other=0.0).to(tl.float32)
        total += tl.sum(grad * weight[None, :] * (x * inverse[:, None]), 1)
    along = total / size
    for start in range(0, size, BLOCK):
        columns = start + tl.arange(0, BLOCK)
        mask = in_count & (columns < size)[None, :]
        weight = tl.load(weight_ptr + columns, mask=columns < size, other=0.0).to(tl.float32)
        grad = tl.load(grad_ptr + row[:, None] * grad_stride + columns[None, :], mask=mask, other=0.0).to(tl.float32)
        x = tl.load(x_ptr + row[:, None] * x_stride + columns[None, :], mask=mask, other=0.0).to(tl.float32)
        value = (grad * weight[None, :] - x * inverse[:, None] * along[:, None]) * inverse[:, None]
        tl.store(out_ptr + row[:, None] * size + columns[None, :], value.to(out_ptr.dtype.element_ty), mask=mask)


@triton.jit
def swiglu(gate_ptr, gate_stride, up_ptr, up_stride, y_ptr, size: tl.constexpr, BLOCK: tl.constexpr):
    """silu(gate) * up of a stretch of one row."""
    row = tl.program_id(0).to(tl.int64)
    columns = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    mask = columns < size
    gate = tl.load(gate_ptr + row * gate_stride + columns, mask=mask, other=0.0).to(tl.float32)
    up = tl.load(up_ptr + row * up_stride + columns, mask=mask, other=0.0).to(tl.float32)
    silu = (gate * tl.sigmoid(gate)).to(y_ptr.dtype.element_ty).to(tl.float32)
    tl.store(y_ptr + row * size + columns, (silu * up).to(y_ptr.dtype.element_ty), mask=mask)


@triton.jit
def swiglu_gradient(
    grad_ptr, grad_stride, gate_ptr, gate_stride, up_ptr, up_stride, grad_gate_ptr, grad_up_ptr,
    size: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Gradients of gate and up of a stretch of one row."""
    row = tl.program_id(0).to(tl.int64)
    columns = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    mask = columns < size
    grad = tl.load(grad_ptr + row * grad_stride + columns, mask=mask, other=0.0).to(tl.float32)
    gate = tl.load(gate_ptr + row * gate_stride + columns, mask=mask, other=0.0).to(tl.float32)
    up = tl.load(up_ptr + row * up_stride + columns, mask=mask, other=0.0).to(tl.float32)
    share = tl.sigmoid(gate)
    slope = share * (1.0 + gate * (1.0 - share))
    tl.store(grad_gate_ptr + row * size + columns, (grad * up * slope).to(grad_gate_ptr.dtype.element_ty), mask=mask)
    tl.store(grad_up_ptr + row * size + columns, (grad * gate * share).to(grad_up_ptr.dtype.element_ty), mask=mask)


@triton.jit
def rotate(
    x_ptr, x_row_stride, x_head_stride, cos_ptr, cos_stride, sin_ptr, sin_stride, sign, y_ptr, heads,
    half: tl.constexpr, HEADS: tl.constexpr, HALF: tl.constexpr,
):  # fmt: skip
    """The pairs (x[i], x[i + half]) of every head of one row, turned by the row's angles (sign -1: back)."""
    row = tl.program_id(0).to(tl.int64)
    head = tl.arange(0, HEADS)[:, None]
    at = tl.arange(0, HALF)[None, :]
    mask = (head < heads) & (at < half)
    from_ptr = x_ptr + row * x_row_stride + head * x_head_stride + at
    first = tl.load(from_ptr, mask=mask, other=0.0).to(tl.float32)
    second = tl.load(from_ptr + half, mask=mask, other=0.0).to(tl.float32)
    cos = tl.load(cos_ptr + row * cos_stride + at, mask=at < half, other=0.0).to(tl.float32)
    sin = tl.load(sin_ptr + row * sin_stride + at, mask=at < half, other=0.0).to(tl.float32) * sign
    to_ptr = y_ptr + (row * heads + head) * (2 * half) + at
    kind = y_ptr.dtype.element_ty
    low = (first * cos).to(kind).to(tl.float32) - (second * sin).to(kind).to(tl.float32)
    high = (second * cos).to(kind).to(tl.float32) + (first * sin).to(kind).to(tl.float32)
    tl.store(to_ptr, low.to(kind), mask=mask)
    tl.store(to_ptr + half, high.to(kind), mask=mask)
