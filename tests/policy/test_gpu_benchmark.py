"""The 7B benchmark's whole code path runs on the CPU with a shrunken stand-in."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gpu_7b.py"


def test_the_stand_in_does_three_updates_and_reports_rates_phases_and_memory(tmp_path: Path) -> None:
    pytest.importorskip("vldac.estimate", reason="the memory estimate is not in this version")
    row_file = tmp_path / "row.json"
    done = subprocess.run(
        [sys.executable, "-P", str(SCRIPT), "--stand-in", "--json", str(row_file)],
        capture_output=True, text=True, check=False, env={"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    row = json.loads(row_file.read_text(encoding="utf-8"))
    assert [u["update"] for u in row["updates"]] == [1, 2, 3]
    assert [u["is_value_warmup"] for u in row["updates"]] == [True, True, False]
    assert row["command"] == f"python benchmarks/gpu_7b.py --stand-in --json {row_file}"
    for update in row["updates"]:
        assert update["env_steps_per_s"] == pytest.approx(8 / update["seconds"])
        phases = update["phases_s"]
        assert 0 < phases["generate"] <= update["collect_s"] < update["seconds"]
        assert 0 < phases["backward"] <= phases["update"] <= update["update_s"]
        assert update["first_ratio_deviation"] <= 1e-4
    memory = row["memory"]
    assert memory["update_peak_bytes"] > memory["estimate"]["terms"]["frozen weights, float32"] > 0
    assert row["versions"]["transformers"] and row["settings"]["minibatch_steps"] == 4
