# mypy: ignore-errors
# Triton compiles these functions; their arguments have no Python types.
"""Triton kernels of the fused head: hidden times weight tile by tile into softmax statistics; no logits are written.

A work item is a block of rows and a split of the vocabulary, which follows from the vocabulary alone, so that a row's value depends
on nothing else. The splits are merged in a fixed order: no locks, no atomics. Plain pointers. Importing this file needs triton.
"""

import triton
import triton.language as tl
from vldac.kernels.triton_rows import add_block, merge_partials, tanh


@triton.jit
def head_split(
    hidden_ptr, hidden_stride, weight_ptr, weight_stride, target_ptr, bias_ptr, temperature_ptr, temperature_stride, softcap,
    partial_ptr, rows, num_items, num_programs,
    width: tl.constexpr, size: tl.constexpr, TILES: tl.constexpr, SOFTCAP: tl.constexpr, UPCAST: tl.constexpr,
    BLOCK_N: tl.constexpr, BLOCK_V: tl.constexpr, BLOCK_H: tl.constexpr, STAGES: tl.constexpr,
):  # fmt: skip
    """(max, sum, moment, target's logit) of BLOCK_N rows over TILES tiles of BLOCK_V columns into partial [rows, splits, 4]."""
    row_blocks = tl.cdiv(rows, BLOCK_N)
    splits: tl.constexpr = (size + TILES * BLOCK_V - 1) // (TILES * BLOCK_V)
    item = tl.program_id(0)
    # Programs side by side share a split: its tiles of the weight are read once, the hidden states stay in the L2 cache.
    while item < num_items:
        split = item // row_blocks
        row = (item % row_blocks) * BLOCK_N + tl.arange(0, BLOCK_N)
        in_rows = row < rows
        target = tl.load(target_ptr + row, mask=in_rows, other=-1)
        inverse = 1.0 / tl.load(temperature_ptr + row * temperature_stride, mask=in_rows, other=1.0)
        # Rows past the end read row 0: their results are not stored.
        hidden_row = hidden_ptr + tl.where(in_rows, row, 0).to(tl.int64)[:, None] * hidden_stride
        largest = tl.full([BLOCK_N], -float("inf"), tl.float32)
        total = tl.zeros([BLOCK_N], tl.float32)
        moment = tl.zeros([BLOCK_N], tl.float32)
        chosen = tl.zeros([BLOCK_N], tl.float32)
        for tile in range(0, TILES):
            column = (split * TILES + tile) * BLOCK_V + tl.arange(0, BLOCK_V)
            in_size = column < size
            weight_row = weight_ptr + tl.where(in_size, column, 0).to(tl.int64)[None, :] * weight_stride
            z = tl.zeros([BLOCK_N, BLOCK_V], tl.float32)
            for start in tl.range(0, width, BLOCK_H, num_stages=STAGES):
                part = start + tl.arange(0, BLOCK_H)
                if width % BLOCK_H == 0:
                    a = tl.load(hidden_row + part[None, :])
                    b = tl.load(weight_row + part[:, None])
                else:
                    a = tl.load(hidden_row + part[None, :], mask=part[None, :] < width, other=0.0)
                    b = tl.load(weight_row + part[:, None], mask=part[:, None] < width, other=0.0)
                if UPCAST:  # the interpreter multiplies the bit patterns of 16-bit operands
                    a, b = a.to(tl.float32), b.to(tl.float32)
                z = tl.dot(a, b, z, input_precision="ieee")
            is_kept = in_size
            if bias_ptr is not None:
                bias = tl.load(bias_ptr + column, mask=in_size, other=-float("inf"))
                is_kept = bias != -float("inf")
                z += tl.where(is_kept, bias, 0.0)[None, :]
            if SOFTCAP:
                z = softcap * tanh(z / softcap)
            z = tl.where(is_kept[None, :], z * inverse[:, None], -float("inf"))
            chosen += tl.sum(tl.where(column[None, :] == target[:, None], z, 0.0), 1)
            largest, total, moment = add_block(largest, total, moment, z, 1)
        out = partial_ptr + (row.to(tl.int64) * splits + split) * 4
        tl.store(out, largest, mask=in_rows)
        tl.store(out + 1, total, mask=in_rows)
        tl.store(out + 2, moment, mask=in_rows)
        tl.store(out + 3, chosen, mask=in_rows)
        item += num_programs


@triton.jit
def head_merge(
    partial_ptr, target_ptr, ignore_index, logprob_ptr, entropy_ptr, lse_ptr,
    size: tl.constexpr, NUM_SPLITS: tl.constexpr, SPLITS: tl.constexpr,
):  # fmt: skip
    """Merge the splits of one row of partial [rows, NUM_SPLITS, 4]; SPLITS is a power of two >= NUM_SPLITS."""
    row = tl.program_id(0).to(tl.int64)
    split = tl.arange(0, SPLITS)
    is_inside = split < NUM_SPLITS
    place = partial_ptr + (row * NUM_SPLITS + split) * 4
    largest, total, moment = merge_partials(
        tl.load(place, mask=is_inside, other=-float("inf")),
        tl.load(place + 1, mask=is_inside, other=0.0),
        tl.load(place + 2, mask=is_inside, other=0.0),
    )
    chosen = tl.sum(tl.load(place + 3, mask=is_inside, other=0.0), 0)
    target = tl.load(target_ptr + row)
    log_total = tl.log(tl.where((target < 0) | (target >= size), float("nan"), total))
    is_scored = target != ignore_index
    entropy = log_total - moment / total
    entropy = tl.where(entropy < 0.0, 0.0, entropy)
    tl.store(logprob_ptr + row, tl.where(is_scored, chosen - largest - log_total, 0.0))
    tl.store(entropy_ptr + row, tl.where(is_scored, entropy, 0.0))
    tl.store(lse_ptr + row, tl.where(is_scored, largest + log_total, 0.0))
