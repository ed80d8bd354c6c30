"""Chunk sizes and launch settings follow from the shape and the card alone."""

import pytest
import torch

from vldac.kernels import triton_table as table

GPU = torch.device("cuda:0")


@pytest.fixture
def h200(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "architecture", lambda device: "sm90")
    monkeypatch.setattr(table, "free_memory", lambda device: 80 * 2**30)
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: False)


@pytest.mark.parametrize(
    ("hidden", "vocabulary", "rows"), [(3584, 152064, 1152), (1536, 151936, 2816), (2048, 151936, 2048)]
)
def test_qwen_shapes_take_whole_waves_of_tiles(h200: None, hidden: int, vocabulary: int, rows: int) -> None:
    assert table.chunk_rows(GPU, torch.bfloat16, hidden, vocabulary) == rows
    tiles = (rows // 128) * (hidden // 256)
    assert tiles / (132 * -(-tiles // 132)) > 0.95


def test_the_7b_head_needs_less_than_the_scratch_that_was_promised(h200: None) -> None:
    rows = table.chunk_rows(GPU, torch.bfloat16, 3584, 152064)
    assert rows * table.row_bytes(2, 152064) <= 1.2 * 2**30


def test_a_shape_without_an_entry_takes_a_gibibyte(h200: None) -> None:
    rows = table.chunk_rows(GPU, torch.bfloat16, 4096, 32000)
    assert rows % 128 == 0 and 0.9 * 2**30 < rows * table.row_bytes(2, 32000) <= 2**30
    assert table.chunk_rows(torch.device("cpu"), torch.float32, 64, 1000) == 8192


def test_a_full_gpu_means_smaller_chunks_but_not_in_batch_invariant_mode(
    h200: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "free_memory", lambda device: 2**30)
    rows = table.chunk_rows(GPU, torch.bfloat16, 3584, 152064)
    assert 128 <= rows < 1152 and rows * table.row_bytes(2, 152064) <= 2**29
    assert table.chunk_rows(GPU, torch.bfloat16, 3584, 152064, memory_bound=False) == 1152
    monkeypatch.setattr(table, "free_memory", lambda device: 0)
    assert table.chunk_rows(GPU, torch.bfloat16, 3584, 152064) == 128


@pytest.mark.parametrize("size", [1, 37, 128, 1000, 8192, 152064])
def test_blocks_are_powers_of_two_that_give_a_thread_the_same_work(size: int) -> None:
    for is_bent in (False, True):
        block, warps = table.row_block(size, is_bent=is_bent)
        assert block & (block - 1) == 0 and warps & (warps - 1) == 0
        assert block >= min(size, 4096) and 1 <= warps <= 16
    setting = table.head_setting(torch.bfloat16, 3584, size)
    splits = -(-size // (setting.tiles * setting.block_v))
    assert 1 <= splits <= table.HEAD_SPLITS
