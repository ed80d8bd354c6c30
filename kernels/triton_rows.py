# mypy: ignore-errors
# Triton compiles these functions; their arguments have no Python types.
"""Triton kernels over rows of logits: statistics, their gradient, and a logits gradient from saved statistics.

One program per row, blocks of columns, plain pointers, int64 row offsets. Columns past the end and excluded ones (column_bias -inf)
are -inf before any reduction, the running maximum starts at -inf. Importing this file needs triton.
"""

import triton
import triton.language as tl


@triton.jit
def tanh(x):
    """tanh in fp32: a series near zero, where the exponential form cancels."""
    square = x * x
    near = x * (1.0 + square * (-1.0 / 3 + square * (2.0 / 15 + square * (-17.0 / 315 + square * (62.0 / 2835)))))
    far = 1.0 - 2.0 / (tl.exp(2.0 * x) + 1.0)
    return tl.where(square < 0.0625, near, far)


@triton.jit
def scaled_columns(row_ptr, bias_ptr, columns, size: tl.constexpr, softcap, inverse_temperature, SOFTCAP: tl.constexpr):
    """(z, slope): logits of a block of columns after bias, soft-cap and temperature, and the soft-cap's derivative (1 without)."""
    is_inside = columns < size
    z = tl.load(row_ptr + columns, mask=is_inside, other=-float("inf")).to(tl.float32)
    is_kept = is_inside
    if bias_ptr is not None:
        bias = tl.load(bias_ptr + columns, mask=is_inside, other=-float("inf"))
        is_kept = bias != -float("inf")
        z += tl.where(is_kept, bias, 0.0)
    slope = 1.0
    if SOFTCAP:
        bent = tanh(z / softcap)
        z = softcap * bent
        slope = 1.0 - bent * bent
    return tl.where(is_kept, z * inverse_temperature, -float("inf")), slope


@triton.jit
def add_block(largest, total, moment, z, axis: tl.constexpr):
    """Add a block of logits to (max, sum exp(z - max), sum (z - max) exp(z - max)) along an axis.

    Nothing is shifted by -inf, so blocks and partials without a finite logit add exactly 0; a NaN or +inf logit makes the sums NaN.
    """
    after = tl.maximum(largest, tl.max(z, axis))
    shift = tl.where(after == -float("inf"), 0.0, after)
    moved = tl.where(largest == -float("inf"), 0.0, largest - shift)
    keep = tl.where(largest == -float("inf"), 0.0, tl.exp(moved))
    below = z - tl.expand_dims(shift, axis) if axis == 1 else z - shift
    e = tl.exp(below)
    moment = keep * (moment + total * moved) + tl.sum(tl.where(e == 0.0, 0.0, e * below), axis)
    return after, keep * total + tl.sum(e, axis), moment


@triton.jit
def merge_partials(maxima, sums, moments):
    """(max, sum, moment) of a row from those of its vocabulary splits, one vector each; splits past the end hold -inf, 0, 0.

    A split whose sum is NaN holds a NaN or +inf logit: its weight may be 0 or NaN, the total must not lose it.
    """
    largest = tl.max(maxima, 0)
    shift = tl.where(largest == -float("inf"), 0.0, largest)
    moved = tl.where(maxima == -float("inf"), 0.0, maxima - shift)
    weight = tl.where(maxima == -float("inf"), 0.0, tl.exp(moved))
    total = tl.sum(tl.where(sums == sums, weight * sums, float("nan")), 0)
    return largest, total, tl.sum(weight * (moments + sums * moved), 0)


@triton.jit
def softmax_stats_grad(
    logits_ptr, logits_stride, target_ptr, bias_ptr, temperature_ptr, temperature_stride, softcap, ignore_index,
    logprob_ptr, entropy_ptr, lse_ptr, gradient_ptr, gradient_stride, gradient_scale,
    size: tl.constexpr, SOFTCAP: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """logprob, entropy, lse of one row; with gradient_ptr also gradient_scale * d logprob / d logits, in the buffer's dtype."""
    row = tl.program_id(0).to(tl.int64)
    target = tl.load(target_ptr + row)
    is_scored = target != ignore_index
    is_outside = (target < 0) | (target >= size)
    inverse = 1.0 / tl.load(temperature_ptr + row * temperature_stride)
    row_ptr = logits_ptr + row * logits_stride
    largest, total, moment, chosen = -float("inf"), 0.0, 0.0, 0.0
    for start in range(0, size, BLOCK):
        columns = start + tl.arange(0, BLOCK)
        z, slope = scaled_columns(row_ptr, bias_ptr, columns, size, softcap, inverse, SOFTCAP)
        largest, total, moment = add_block(largest, total, moment, z, 0)
        chosen += tl.sum(tl.where(columns == target, z, 0.0), 0)
    log_total = tl.log(tl.where(is_outside, float("nan"), total))
    entropy = log_total - moment / total
    entropy = tl.where(entropy < 0.0, 0.0, entropy)
    tl.store(logprob_ptr + row, tl.where(is_scored, chosen - largest - log_total, 0.0))
    tl.store(entropy_ptr + row, tl.where(is_scored, entropy, 0.0))
    tl.store(lse_ptr + row, tl.where(is_scored, largest + log_total, 0.0))
    if gradient_ptr is not None:
        out_ptr = gradient_ptr + row * gradient_stride
        scale = inverse * gradient_scale
        for start in range(0, size, BLOCK):
            columns = start + tl.arange(0, BLOCK)
            z, slope = scaled_columns(row_ptr, bias_ptr, columns, size, softcap, inverse, SOFTCAP)
            one_hot = tl.where((columns == target) & (z != -float("inf")), 1.0, 0.0)
            value = (one_hot - tl.exp(z - largest - log_total)) * slope * scale
            value = tl.where(is_scored, value, 0.0).to(gradient_ptr.dtype.element_ty)
            tl.store(out_ptr + columns, value, mask=columns < size)


@triton.jit
def logits_gradient(
    logits_ptr, logits_stride, target_ptr, bias_ptr, temperature_ptr, temperature_stride, softcap, ignore_index,
    lse_ptr, entropy_ptr, grad_logprob_ptr, grad_entropy_ptr, grad_scale_ptr, gradient_ptr, gradient_stride,
    size: tl.constexpr, SOFTCAP: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Gradient of one row of logits from the saved lse and entropy; one read, one write, which may go over the logits.

    The upstream gradients are divided by grad_scale_ptr[0] where that is given.
    """
    row = tl.program_id(0).to(tl.int64)
    target = tl.load(target_ptr + row)
    is_scored = target != ignore_index
    inverse = 1.0 / tl.load(temperature_ptr + row * temperature_stride)
    lse = tl.load(lse_ptr + row)
    upstream = tl.load(grad_logprob_ptr + row)
    scale = inverse
    if grad_scale_ptr is not None:
        scale = inverse / tl.load(grad_scale_ptr)
    row_ptr = logits_ptr + row * logits_stride
    out_ptr = gradient_ptr + row * gradient_stride
    for start in range(0, size, BLOCK):
        columns = start + tl.arange(0, BLOCK)
        z, slope = scaled_columns(row_ptr, bias_ptr, columns, size, softcap, inverse, SOFTCAP)
        log_p = z - lse
        p = tl.exp(log_p)
        value = upstream * (tl.where((columns == target) & (z != -float("inf")), 1.0, 0.0) - p)
        if grad_entropy_ptr is not None:
            surprise = tl.where(p == 0.0, 0.0, p * (log_p + tl.load(entropy_ptr + row)))
            value -= tl.load(grad_entropy_ptr + row) * surprise
        value = tl.where(is_scored, value * slope * scale, 0.0).to(gradient_ptr.dtype.element_ty)
        tl.store(out_ptr + columns, value, mask=columns < size)
