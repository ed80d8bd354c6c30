"""The GPU benchmark of the kernels runs from end to end on a CPU, so that a GPU hour is not lost to a slip of the pen."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from vldac.kernels.triton_launch import version

SCRIPT = Path(__file__).resolve().parent.parent / "benchmarks" / "gpu_kernels.py"


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> dict:
    out = tmp_path_factory.mktemp("out")
    environment = os.environ | {"TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(SCRIPT), "--device", "cpu", "--quick", "--no-compile", "--out", str(out)]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    record = json.loads((out / "gpu_kernels.json").read_text())
    with (out / "gpu_kernels.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == len(record["rows"])
    return record


def test_ceilings_answers_and_checks_are_all_there(record: dict) -> None:
    assert record["ceilings"]["product_tflops"] > 0 and record["ceilings"]["copy_tb_s"] > 0
    assert "failed" not in record["answers"]
    if version() is None:
        return
    assert record["answers"]["toy_batch_invariance"]["batch_invariant"] == {"logprob": 0.0, "gradient": 0.0}
    for name in ("no_host_sync", "sampler_in_a_graph", "linear_logprob_in_a_graph"):
        assert record["checks"][name] == "ok", record["checks"]
    assert record["checks"]["far_offsets"].startswith("ok")


def test_every_provider_has_figures_or_a_reason(record: dict) -> None:
    assert len({row["provider"] for row in record["rows"]}) >= 24
    for row in record["rows"]:
        assert ("ms" in row) != bool(row["note"]), row
    timed = {row["provider"] for row in record["rows"] if "ms" in row}
    assert {"two products", "eager, action rows", "eager, all positions", "torch chunks, checkpointed"} <= timed
    assert version() is None or {"ours, triton", "ours, scoring, triton_fused", "ours, triton, summed"} <= timed


def test_errors_against_float64_are_those_of_fp32(record: dict) -> None:
    for row in record["rows"]:
        if "ms" in row and row["block"] != "ceiling":
            assert row.get("logprob_error") is None or row["logprob_error"] < 1e-4, row
            assert row.get("gradient_error") is None or row["gradient_error"] < 1e-4, row
            assert row["over_two_products"] > 0
