"""Where Triton cannot run, the tier says why; nothing imports Triton before a kernel is launched."""

import subprocess
import sys

import pytest
import torch

from vldac.kernels import triton_fused_tier, triton_launch, triton_tier

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    monkeypatch.setattr(triton_launch, "version", lambda: (3, 6))


def test_importing_the_tiers_imports_no_triton() -> None:
    code = """
import sys
import vldac.kernels, vldac.kernels.triton_tier, vldac.kernels.triton_fused_tier, vldac.kernels.triton_table
from vldac.kernels import triton_tier
import torch
assert triton_tier.unavailable(torch.device("cpu"), torch.float32) and triton_tier.describe()
assert not [name for name in sys.modules if name.split(".")[0] == "triton"], "triton was imported"
"""
    subprocess.run([sys.executable, "-P", "-c", code], check=True)


def test_the_reason_names_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    for tier in (triton_tier, triton_fused_tier):
        assert "float64" in str(tier.unavailable(CPU, torch.float64))
        assert "device cpu" in str(tier.unavailable(CPU, torch.float32))
    monkeypatch.setattr(triton_launch, "version", lambda: (3, 5))
    assert triton_tier.unavailable(CPU, torch.float32) == "Triton 3.5 is older than 3.6"
    monkeypatch.setattr(triton_launch, "version", lambda: None)
    assert triton_tier.unavailable(CPU, torch.float32) == "Triton is not installed"


def test_an_old_gpu_is_refused_by_its_capability(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    cuda = torch.device("cuda:0")
    assert triton_tier.unavailable(cuda, torch.bfloat16) == "compute capability 7.5 is below 8.0"
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    assert triton_tier.unavailable(cuda, torch.bfloat16) is None


def test_the_interpreter_stands_in_for_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    assert triton_tier.unavailable(CPU, torch.bfloat16) is None
    assert "interpreter" in triton_tier.describe() and "fused" in triton_fused_tier.describe()
