"""Importing the kernels: without Triton, without a GPU, without compiling anything, and quickly."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

PROBE = """
import json, sys, time
{before}
import torch
before = set(sys.modules)
start = time.process_time()
import vldac.kernels
seconds = time.process_time() - start
new = sorted(set(sys.modules) - before)
import vldac.kernels as k
answer = {{"new": new, "seconds": seconds, "cuda": torch.cuda.is_initialized()}}
{after}
print(json.dumps(answer))
"""


def probe(before: str = "", after: str = "", **environment: str) -> dict[str, Any]:
    """Import the kernels in a process of its own and say what happened."""
    code = PROBE.format(before=before, after=after)
    run = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False, env=os.environ | environment
    )
    assert run.returncode == 0, run.stderr[-2000:]
    answer: dict[str, Any] = json.loads(run.stdout)
    return answer


def test_importing_the_kernels_imports_no_compiler_and_touches_no_gpu() -> None:
    answer = probe()
    families = {name.split(".")[0] for name in answer["new"]}
    assert not families & {"triton", "transformers", "peft", "gymnasium", "matplotlib", "rich", "tyro"}, families
    assert not [
        name for name in answer["new"] if name.startswith(("torch._dynamo", "torch._inductor", "vldac.kernels.triton_"))
    ]
    assert answer["cuda"] is False
    # Processor time beyond torch's own import: a bound on work done, not a measurement of speed.
    assert answer["seconds"] < 1.0


HIDE_TRITON = "sys.modules['triton'] = None  # found by nobody, and an import of it raises"

USE = """
hidden, weight, target = torch.randn(3, 4, requires_grad=True), torch.randn(9, 4), torch.tensor([1, 2, 3])
k.linear_logprob(hidden, weight, target).logprob.sum().backward()
answer["explained"] = k.explain("linear_logprob")
answer["finite"] = bool(torch.isfinite(hidden.grad).all())
answer["errors"] = []
for backend in ("triton", "triton_fused"):
    try:
        k.linear_logprob(hidden, weight, target, backend=backend)
    except k.KernelError as error:
        answer["errors"].append(str(error))
answer["triton"] = [name for name, module in sys.modules.items() if module and name.split(".")[0] == "triton"]
"""


def test_without_triton_everything_runs_and_asking_for_it_says_that_it_is_missing() -> None:
    answer = probe(HIDE_TRITON, USE, TRITON_INTERPRET="")
    assert answer["finite"] and answer["explained"].startswith(("cpp: ", "torch: "))
    assert len(answer["errors"]) == 2
    for text in answer["errors"]:
        assert "Triton is not installed" in text and "expected a back end that can run linear_logprob" in text
    assert answer["triton"] == []


def test_without_a_gpu_asking_for_triton_says_so_and_starts_no_compilation() -> None:
    answer = probe("", USE, CUDA_VISIBLE_DEVICES="", TRITON_INTERPRET="")
    assert len(answer["errors"]) == 2
    assert all("'triton" in text and "cpu" in text.lower() for text in answer["errors"]), answer["errors"]
    assert not [name for name in answer["triton"] if name.startswith("triton.compiler")]


def test_without_the_extension_auto_says_once_that_it_takes_torch() -> None:
    hide = "sys.modules['vldac.kernels.cpp_rows'] = None"
    after = """
import warnings
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    for _ in range(3):
        k.linear_logprob(torch.randn(3, 4), torch.randn(9, 4), torch.tensor([1, 2, 3]))
answer["texts"] = [str(w.message) for w in caught]
answer["explained"] = k.explain("linear_logprob")
try:
    k.linear_logprob(torch.randn(3, 4), torch.randn(9, 4), torch.tensor([1, 2, 3]), backend="cpp")
except k.KernelError as error:
    answer["error"] = str(error)
"""
    answer = probe(hide, after)
    assert len(answer["texts"]) == 1 and "torch is used" in answer["texts"][0]
    assert answer["explained"].startswith("torch: ") and "'cpp'" in answer["error"]
