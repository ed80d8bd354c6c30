"""Runs the files of CHECKS, the kernels against the specification: interpreted on every machine, compiled where a GPU is."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from vldac.kernels.triton_launch import version

pytestmark = pytest.mark.skipif(version() is None, reason="Triton is not installed")
CHECKS = {"triton_checks.py": 100, "triton_decoder_checks.py": 10}
"""Files, and how many checks must pass in each."""


def run_checks(file: str, interpret: str) -> int:
    """Run the checks of a file in a process of their own; the number that passed."""
    environment = os.environ | {"TRITON_INTERPRET": interpret, "OMP_NUM_THREADS": "1"}
    options = [
        "-o",
        "addopts=--import-mode=importlib",
        "-p",
        "no:cacheprovider",
        "-x",
        str(Path(__file__).with_name(file)),
    ]
    command = [sys.executable, "-P", "-m", "pytest", *options]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=900)
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-2000:]
    passed = re.search(r"(\d+) passed", run.stdout)
    assert passed is not None, run.stdout[-1000:]
    return int(passed[1])


@pytest.mark.parametrize("file", CHECKS)
def test_every_kernel_equals_the_specification_in_the_interpreter(file: str) -> None:
    assert run_checks(file, "1") >= CHECKS[file]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("file", CHECKS)
def test_every_kernel_equals_the_specification_compiled(file: str) -> None:
    assert run_checks(file, "0") >= CHECKS[file]
