"""Every Triton kernel becomes an sm_90 binary without a GPU: no spills, no more shared memory than there is, wide loads."""

import json
import os
import subprocess
import sys

import pytest
from vldac.kernels.triton_launch import version

pytestmark = pytest.mark.skipif(version() is None, reason="Triton is not installed")
SCRIPT = """
import json
from vldac.kernels.triton_compile import compile_all
print(json.dumps([row.asdict() for row in compile_all(90)]))
"""
ROW_KERNELS = ("softmax_stats_grad", "logits_gradient", "sample_split")
ELEMENT_KERNELS = ("norm", "norm_gradient", "swiglu", "swiglu_gradient", "rotate")
SHARED_LIMIT = 227 * 1024


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[dict]:
    """One row per kernel and set of constants. A process of its own: this one's kernels may be the interpreter's."""
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    environment |= {"TRITON_CACHE_DIR": str(tmp_path_factory.mktemp("triton")), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-P", "-c", SCRIPT]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=600)
    assert run.returncode == 0, run.stderr[-4000:]
    return json.loads(run.stdout.splitlines()[-1])


def test_every_kernel_compiles_at_both_shapes(rows: list[dict]) -> None:
    names = {(row["kernel"], row["variant"][:2]) for row in rows}
    by_vocabulary = {"softmax_stats_grad", "logits_gradient", "head_split", "head_merge", "sample_split"}
    assert {(name, shape) for name in by_vocabulary for shape in ("7B", "2B")} <= names
    assert {"sample_merge", "advantage_scan"} <= {name for name, _ in names}
    assert {(name, shape) for name in ELEMENT_KERNELS for shape in ("7B", "2B")} <= names
    assert all(row["cubin"] > 0 for row in rows)


def test_row_kernels_spill_nothing(rows: list[dict]) -> None:
    spilling = [row for row in rows if row["spill_stores"] + row["spill_loads"] + row["stack"]]
    spilling = [row for row in spilling if row["kernel"] in ROW_KERNELS + ELEMENT_KERNELS]
    assert not spilling, spilling


def test_no_kernel_asks_for_more_shared_memory_than_an_sm_has(rows: list[dict]) -> None:
    assert max(row["shared"] for row in rows) <= SHARED_LIMIT
    # A program's registers fit too: 65,536 per multiprocessor.
    assert all(row["registers"] * 32 * row["warps"] <= 65536 for row in rows)


def test_row_kernels_read_128_bits_at_a_time(rows: list[dict]) -> None:
    for row in rows:
        if row["kernel"] in ROW_KERNELS + ELEMENT_KERNELS:
            assert row["vector_loads"] >= 2, row


def test_attention_spills_nothing_and_multiplies_16_bit_numbers_on_tensor_cores(rows: list[dict]) -> None:
    found = [row for row in rows if row["kernel"] == "attend_slot"]
    assert len(found) >= 4
    for row in found:
        assert not row["spill_stores"] + row["spill_loads"] + row["stack"], row
        assert "float32" in row["variant"] or row["tensor_core_products"] > 0, row


def test_the_fused_head_multiplies_on_tensor_cores(rows: list[dict]) -> None:
    heads = [row for row in rows if row["kernel"] == "head_split" and "float32" not in row["variant"]]
    assert len(heads) == 3 and all(row["tensor_core_products"] > 0 for row in heads)
