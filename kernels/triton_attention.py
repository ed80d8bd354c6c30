# mypy: ignore-errors
# Triton compiles these functions; their arguments have no Python types.
"""Triton kernels of attention over a shared prefix and a row's own keys. Importing this file needs triton.

The queries of a group of heads are the rows of a block, so that keys are read once for all of them; softmax is online, in fp32 and
base 2. Blocks of 16-bit numbers meet on tensor cores and are summed in fp32, fp32 ones are multiplied as such.
"""

import triton
import triton.language as tl


@triton.jit
def absorb(
    query, scale, largest, total, out, key_ptr, key_stride, value_ptr, value_stride, start, count, head, width,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """Take keys start ... start + BLOCK - 1, those below count, into (max, sum, weighted values) of the queries of a group."""
    at = start + tl.arange(0, BLOCK)
    is_key = (at < count)[:, None] & (head < width)[None, :]
    keys = tl.load(key_ptr + at[:, None] * key_stride + head[None, :], mask=is_key, other=0.0)
    values = tl.load(value_ptr + at[:, None] * value_stride + head[None, :], mask=is_key, other=0.0)
    scores = tl.dot(query, tl.trans(keys), input_precision="ieee") * scale
    scores = tl.where((at < count)[None, :], scores, -float("inf"))
    after = tl.maximum(largest, tl.max(scores, 1))
    share = tl.exp2(scores - after[:, None])
    keep = tl.exp2(largest - after)
    out = out * keep[:, None] + tl.dot(share.to(values.dtype), values, input_precision="ieee")
    return after, total * keep + tl.sum(share, 1), out


@triton.jit
def attend_slot(
    query_ptr, query_row_stride, query_head_stride, key_ptr, key_slot_stride, key_stride, key_head_stride,
    value_ptr, value_slot_stride, value_stride, value_head_stride, slot_ptr, length_ptr,
    prefix_key_ptr, prefix_key_stride, prefix_key_head_stride, prefix_value_ptr, prefix_value_stride, prefix_value_head_stride,
    prefix_count, out_ptr, slots, capacity, scale, heads, group,
    width: tl.constexpr, GROUP: tl.constexpr, WIDTH: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """One row and one head of keys: the prefix, then as many of the slot's keys as the row has; NaN for a row outside the cache."""
    row = tl.program_id(0).to(tl.int64)
    kv_head = tl.program_id(1)
    slot = tl.load(slot_ptr + row)
    length = tl.load(length_ptr + row)
    is_inside = (slot >= 0) & (slot < slots) & (length >= 1) & (length <= capacity)
    slot = tl.where(is_inside, slot, 0)
    length = tl.where(is_inside, length, 0).to(tl.int32)
    member, head = tl.arange(0, GROUP), tl.arange(0, WIDTH)
    mask = (member < group)[:, None] & (head < width)[None, :]
    place = (kv_head * group + member)[:, None]
    query = tl.load(
        query_ptr + row * query_row_stride + place * query_head_stride + head[None, :], mask=mask, other=0.0
    )
    scale *= 1.4426950408889634
    largest = tl.full([GROUP], -float("inf"), tl.float32)
    total = tl.zeros([GROUP], tl.float32)
    out = tl.zeros([GROUP, WIDTH], tl.float32)
    if prefix_key_ptr is not None:
        for start in range(0, prefix_count, BLOCK):
            largest, total, out = absorb(
                query, scale, largest, total, out, prefix_key_ptr + kv_head * prefix_key_head_stride, prefix_key_stride,
                prefix_value_ptr + kv_head * prefix_value_head_stride, prefix_value_stride, start, prefix_count, head, width, BLOCK,
            )  # fmt: skip
    own_key_ptr = key_ptr + slot * key_slot_stride + kv_head * key_head_stride
    own_value_ptr = value_ptr + slot * value_slot_stride + kv_head * value_head_stride
    for start in range(0, length, BLOCK):
        largest, total, out = absorb(
            query, scale, largest, total, out, own_key_ptr, key_stride, own_value_ptr, value_stride, start, length, head, width,
            BLOCK,
        )  # fmt: skip
    out = tl.where(is_inside, out / total[:, None], float("nan"))
    to_ptr = out_ptr + (row * heads + place) * width + head[None, :]
    tl.store(to_ptr, out.to(out_ptr.dtype.element_ty), mask=mask)
