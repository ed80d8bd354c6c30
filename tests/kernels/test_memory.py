"""Peak memory of a vocabulary that is never held whole, each call in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kernels.backends import Kernels

ROWS, VOCAB = 1024, 152_064
LOGITS = 4 * ROWS * VOCAB
"""bytes of float32 logits: 594 MiB"""

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="reads Linux's peak of resident memory"
)


def extra(operation: str, backend: str, rows: int = ROWS, vocab: int = VOCAB, width: int = 16) -> int:
    """Bytes of peak resident memory beyond inputs and weights."""
    script = Path(__file__).with_name("peak_memory.py")
    command = [sys.executable, "-P", str(script), operation, backend, *map(str, (rows, vocab, width))]
    # glibc raises its threshold for mapped blocks as it goes; fixed, what is freed is returned and only live memory counts.
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": str(1 << 20), "OMP_NUM_THREADS": "1"}
    run = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert run.returncode == 0, run.stderr[-2000:]
    return int(run.stdout)


def on_cpu(tier: Kernels) -> str:
    if tier.is_interpreted or tier.device.type != "cpu":
        pytest.skip("resident memory says nothing about a GPU, and the interpreter is too slow for this size")
    return tier.name


SHARE = {"torch": 1 / 4, "cpp": 1 / 12}
"""Of the logits that a call may hold. Measured at width 16: torch 110 MiB, C++ 17; eager torch 1.8 GiB."""


def test_scoring_with_a_frozen_head_holds_a_fraction_of_the_logits(tier: Kernels) -> None:
    backend = on_cpu(tier)
    assert extra("linear_backward", backend) < SHARE[backend] * LOGITS


def test_a_trainable_head_adds_its_own_gradient_and_no_logits(tier: Kernels) -> None:
    """Measured with half the rows, the gradient of the head included: torch 120 MiB, C++ 20."""
    backend = on_cpu(tier)
    assert extra("trainable_head", backend, rows=ROWS // 2) < SHARE[backend] * LOGITS


def test_the_meter_sees_the_logits_of_eager_torch() -> None:
    """So that the bounds above can fail."""
    rows = 256
    assert extra("eager", "torch", rows=rows) > 2 * 4 * rows * VOCAB
