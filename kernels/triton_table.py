"""Launch settings and chunk sizes of the Triton kernels, from static tables: nothing is tuned at run time.

The choice depends on architecture, dtype, hidden width and vocabulary, never on the number of rows, so that two runs and two ranks
reduce in one order. `benchmarks/gpu_kernels.py` times what a new entry should choose from.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

ROW_BLOCK, BENT_ROW_BLOCK, ROW_WARPS = 8192, 4096, 16
"""a soft-cap needs more registers: half the columns at a time, or a thread would spill"""
SPLIT_BLOCK, SPLIT_WARPS = 4096, 8
SCAN_STEPS, SCAN_COLUMNS, SCAN_WARPS = 256, 8, 4
SMALLEST_BLOCK = 128
NORM_BLOCK, NORM_ITEMS, STRETCH_BLOCK = 8192, 1024, 1024
SCRATCH_SHARE = 0.5
"""of the free memory, at most, for a chunk's logits and their gradient"""

# (architecture, bytes of an element, hidden, vocabulary bucket): rows of a chunk, so that the tiles (128 x 256) of the second product
# fill whole waves of 132 multiprocessors: 1152 rows x 3584 are 126 tiles, 2816 x 1536 are 132. Predicted, not yet swept.
CHUNK_ROWS = {
    ("sm90", 2, 3584, "152k"): 1152,
    ("sm90", 2, 2048, "152k"): 2048,
    ("sm90", 2, 1536, "152k"): 2816,
}
DEFAULT_SCRATCH = 2**30
"""bytes of scratch from which the rows of a chunk follow where the table has no entry"""


def row_block(size: int, *, is_bent: bool = False) -> tuple[int, int]:
    """(columns of a block, warps) of the row kernels for a row of this size, with or without a soft-cap."""
    largest = BENT_ROW_BLOCK if is_bent else ROW_BLOCK
    block = min(largest, max(SMALLEST_BLOCK, power_of_two(size)))
    return block, max(1, ROW_WARPS * block // largest)


def split_block(size: int) -> tuple[int, int]:
    """(columns of a split, warps) of the sampler."""
    block = min(SPLIT_BLOCK, max(SMALLEST_BLOCK, power_of_two(size)))
    return block, max(1, SPLIT_WARPS * block // SPLIT_BLOCK)


def scan_block(steps: int, columns: int) -> tuple[int, int]:
    """(steps, columns) of a block of the advantage scan."""
    return min(SCAN_STEPS, power_of_two(steps)), min(SCAN_COLUMNS, power_of_two(columns))


def norm_block(size: int) -> tuple[int, int, int]:
    """(rows, columns of a block, warps) of the norm kernels: short rows share a program, long ones are taken in blocks."""
    block = min(NORM_BLOCK, power_of_two(size))
    rows = max(1, NORM_ITEMS // block)
    return rows, block, max(1, min(16, rows * block // 512))


def stretch_block(size: int) -> tuple[int, int]:
    """(columns of a stretch, warps) of the gated activation."""
    block = min(STRETCH_BLOCK, max(32, power_of_two(size)))
    return block, max(1, block // 256)


def turn_warps(items: int) -> int:
    """Warps of a program that turns a row of this many items."""
    return max(1, min(8, power_of_two(items) // 512))


def key_block(dtype: torch.dtype, width: int) -> tuple[int, int]:
    """(keys of a block, warps) of decoding attention: 8192 numbers, a quarter in float32, which has no tensor cores to hold them."""
    most = 8192 if dtype.itemsize == 2 else 2048
    return max(16, min(64, most // power_of_two(width))), 4


def chunk_rows(
    device: torch.device, dtype: torch.dtype, hidden: int, vocabulary: int, *, memory_bound: bool = True
) -> int:
    """Rows of a chunk of the head: the table's, or what DEFAULT_SCRATCH holds; multiples of 128.

    With memory_bound at most what half of the free memory holds, so that a full GPU means smaller chunks instead of a failure (and
    sums in another order; without it they depend on nothing but the shape).
    """
    per_row = row_bytes(dtype.itemsize, vocabulary)
    rows = planned_rows(dtype.itemsize, hidden, vocabulary, architecture(device))
    if memory_bound and device.type == "cuda" and not torch.cuda.is_current_stream_capturing():
        rows = min(rows, whole(int(free_memory(device) * SCRATCH_SHARE) // per_row))
    return rows


def planned_rows(itemsize: int, hidden: int, vocabulary: int, arch: str = "sm90") -> int:
    """Rows of a chunk on an architecture with memory to spare: what the table says, or as many as DEFAULT_SCRATCH holds."""
    rows = CHUNK_ROWS.get((arch, itemsize, hidden, bucket(vocabulary)))
    return whole(DEFAULT_SCRATCH // row_bytes(itemsize, vocabulary)) if rows is None else rows


def row_bytes(itemsize: int, vocabulary: int) -> int:
    """Scratch of one row: fp32 logits and their gradient in the weight's dtype."""
    return vocabulary * (4 + itemsize)


def whole(rows: int) -> int:
    """Rounded down to a multiple of 128, at least 128, at most 8192."""
    return max(128, min(8192, rows // 128 * 128))


def bucket(vocabulary: int) -> str:
    """Vocabularies within 4,000 of each other's centre share a bucket: "152k" is Qwen2's, whose sizes differ by padding."""
    return f"{round(vocabulary / 8000) * 8}k"


def architecture(device: torch.device) -> str:
    """sm90 for an H100 or H200; the device's type where it is no CUDA device."""
    if device.type != "cuda":
        return device.type
    major, minor = torch.cuda.get_device_capability(device)
    return f"sm{major}{minor}"


def free_memory(device: torch.device) -> int:
    """Bytes that an allocation may use: free on the device, or cached by torch's allocator and unused."""
    free, _ = torch.cuda.mem_get_info(device)
    return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)


def power_of_two(size: int) -> int:
    """The smallest power of two that is not below size."""
    return 1 << max(0, size - 1).bit_length()


@dataclass(frozen=True)
class HeadSetting:
    """Tile of the fused head: rows x columns x depth, pipeline stages, warps, and column tiles of one vocabulary split."""

    block_n: int
    block_v: int
    block_h: int
    stages: int
    warps: int
    tiles: int


def head_setting(dtype: torch.dtype, width: int, size: int) -> HeadSetting:
    """The fused head's tile for a dtype and a shape; the splits follow from the vocabulary alone (119 at 152064)."""
    if dtype.itemsize == 4:  # IEEE products run without tensor cores: small tiles
        tile = (64, 64, 32, 2, 4)
    else:
        tile = (128, 256, 64, 4, 8)
    block_v = min(tile[1], max(32, power_of_two(size)))
    block_h = min(tile[2], max(16, power_of_two(width)))
    return HeadSetting(tile[0], block_v, block_h, tile[3], tile[4], -(-size // (block_v * HEAD_SPLITS)))


HEAD_SPLITS = 132
"""vocabulary splits at most: one per multiprocessor, so that a few rows already keep all of them busy"""


def multiprocessors(device: torch.device) -> int:
    """Programs of the persistent kernel: one per multiprocessor; 132, an H100's, where it is compiled without a GPU."""
    if device.type != "cuda":
        return 132
    return torch.cuda.get_device_properties(device).multi_processor_count
