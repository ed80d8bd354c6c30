"""The tests of this folder over the Triton tiers, behind the public functions: in Triton's interpreter, on every machine.

The kernels themselves are checked one by one, mutants included, in `triton_checks.py`; this runs what needs few programs of the
interpreter (milliseconds each), in a process of its own, since Triton reads TRITON_INTERPRET when a kernel is decorated.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from vldac.kernels.triton_launch import version

FOLDER = Path(__file__).parent
FILES = (
    "test_linear",
    "test_edges",
    "test_fused",
    "test_gae",
    "test_sampling",
    "test_offsets",
    "test_decoder",
    "test_attention",
)
SELECTED = (
    # test_linear
    "every_option", "trainable_head_and", "chunks_rows", "batch_invariant",
    # test_edges
    "one_certain_id", "minus_infinity", "row_that_is_not_finite", "an_ignored_row", "extreme_logits", "no_rows", "one_id", "strides",
    # test_sampling
    "draw_the_same", "lowest_id_among", "cannot_be_sampled",
    "test_fused", "test_gae", "test_offsets", "test_decoder", "test_attention",
)  # fmt: skip
# triton_fused has a kernel of its own for the head alone.
SHARED = (
    "test_gae",
    "test_decoder",
    "test_attention",
    "test_sampling",
    "test_offsets",
    "selective_log_softmax",
    "strides_of_logits",
)


@pytest.mark.skipif(version() is None, reason="Triton is not installed")
def test_the_triton_tiers_pass_the_same_tests_in_the_interpreter() -> None:
    environment = os.environ | {"TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    options = ["-o", "addopts=--import-mode=importlib", "-p", "no:cacheprovider", "-W", "ignore"]
    chosen = f"triton and ({' or '.join(SELECTED)}) and not (triton_fused and ({' or '.join(SHARED)}))"
    files = [str(FOLDER / f"{name}.py") for name in FILES]
    command = [sys.executable, "-P", "-m", "pytest", *options, "-k", chosen, *files]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=900)
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-2000:]
    passed = re.search(r"(\d+) passed", run.stdout)
    assert passed is not None and int(passed[1]) >= 50, run.stdout[-1000:]
