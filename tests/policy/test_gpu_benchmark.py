"""The 7B benchmark's whole code path runs on the CPU with shrunken stand-ins, and counts what the passes compute."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from vldac.errors import SelfCheckError
from vldac.policy import Policy

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gpu_7b.py"


def run(out: Path, *words: str) -> tuple[subprocess.CompletedProcess[str], dict[str, dict[str, Any]]]:
    """The process, and its rows by part; the header's is ""."""
    done = subprocess.run(
        [sys.executable, "-P", str(SCRIPT), "--stand-in", "--out", str(out), *words],
        capture_output=True, text=True, check=False, env={"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
    )  # fmt: skip
    lines = out.read_text(encoding="utf-8").splitlines() if out.exists() else []
    return done, {row.get("part", ""): row for row in map(json.loads, lines)}


@pytest.fixture
def script() -> Any:
    spec = importlib.util.spec_from_file_location("gpu_7b", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["gpu_7b"] = module
    spec.loader.exec_module(module)
    return module


def test_the_stand_in_measures_every_kind_of_part_and_appends_its_rows(tmp_path: Path) -> None:
    chosen = ("ceilings", "shared", "decode", "original", "async")
    done, rows = run(tmp_path / "rows.jsonl", "--parts", ",".join(chosen))
    assert done.returncode == 0, done.stderr
    assert tuple(rows) == ("", *chosen)
    assert rows[""]["command"].startswith("python benchmarks/gpu_7b.py --stand-in --out")
    assert rows[""]["versions"]["transformers"] and rows[""]["workload"]["tokens"] == 3
    ceiling = rows["ceilings"]["product_tflop_s"]
    for name in ("shared", "async"):
        row = rows[name]
        (taken,) = row["rounds"]
        assert 0 < row["all_in"] < row["rollout"] and sum(row["shares"].values()) == pytest.approx(1)
        assert row["update_tflop_s"] == pytest.approx(1e-12 * taken["trained_flop"] / taken["update_s"])
        assert row["update_share"] == pytest.approx(row["update_tflop_s"] / ceiling)
        assert taken["trained_tokens"] == 2 * taken["scored_tokens"] > 0, "two epochs, one reference pass"
        assert row["update_estimate_bytes"] > row["terms"]["frozen weights, float32"] > 0
    decode, original = rows["decode"], rows["original"]
    assert (
        decode["prefix"] + decode["own_prompt_tokens"] == original["prompt_tokens"] >= rows["shared"]["prompt_tokens"]
    )
    assert 0 < decode["limit_ms"] < decode["ms_per_token"]
    assert set(original["seconds_per_step"]) == {"generate", "score", "reference", "update"}
    assert original["all_in"] == pytest.approx(1 / sum(original["seconds_per_step"].values()))
    assert "other figures that want a GPU" in done.stdout and "MISSED" in done.stdout


def test_a_part_that_fails_leaves_the_others_and_its_reason(tmp_path: Path) -> None:
    done, rows = run(
        tmp_path / "rows.jsonl", "--parts", "shared,2B shared", "--set", "env.num_images=0"
    )  # fmt: skip
    assert done.returncode == 1
    assert all("num_images" in rows[part]["error"] for part in ("shared", "2B shared"))


def test_an_unknown_part_is_refused(tmp_path: Path) -> None:
    done, rows = run(tmp_path / "rows.jsonl", "--parts", "shered")
    assert done.returncode == 1 and "expected some of ceilings, shared" in done.stderr and not rows


def test_a_failed_self_check_is_told_and_the_figure_taken_without_it(
    script: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen = []

    def rounds_of(size: str, settings: dict[str, Any], bench: Any) -> dict[str, Any]:
        seen.append(settings)
        if "waive" not in settings:
            raise SelfCheckError(expected="a", got="b", where="c", do="d")
        return {"all_in": 1.0}

    monkeypatch.setattr(script, "rounds_of", rounds_of)
    bench = script.Bench(script.parse(["--stand-in"]), tmp_path)
    row = script.trained("7B", rollout__mode="sync")(bench)
    assert row["all_in"] == 1.0 and "expected a" in row["self_check"]
    assert seen[0] == {"rollout.mode": "sync"} and seen[1]["waive"]


@pytest.mark.parametrize("instruction", ["", "You see a number line game: a target number and a current number. "])
def test_the_arithmetic_of_a_pass_is_what_torch_counts(
    script: Any, make_policy: Callable[..., Policy], make_rows: Any, instruction: str
) -> None:
    """But for the head, whose kernel torch does not see into, and attention, which is not in the figure."""
    policy = make_policy()
    rows = make_rows(policy, instruction=instruction)
    batch = policy.collate(rows.prompts, rows.responses, rows.features)
    assert (batch.prefix is None) == (not instruction)
    products = script.Products.of(policy.network.config.get_text_config(), 4)

    def in_place(out: Any, a: Any, b: Any, *rest: Any, **options: Any) -> int:
        return 2 * a[0] * a[1] * b[1]

    def counted(has_gradient: bool, is_adapted: bool) -> tuple[int, int]:
        with FlopCounterMode(display=False, custom_mapping={torch.ops.aten.addmm_: in_place}) as counter:
            if not has_gradient:
                with torch.no_grad():
                    hidden = policy.hidden_states(batch)
            else:
                hidden = policy.hidden_states(batch)
                hidden.sum().backward()
        ours = products.needed(batch.num_tokens, len(batch.keep), 0, has_gradient=has_gradient, is_adapted=is_adapted)
        found = counter.get_flop_counts()["Global"]
        by_products = (torch.ops.aten.mm, torch.ops.aten.addmm, torch.ops.aten.addmm_)
        return ours, sum(found.get(kind, 0) for kind in by_products)

    for has_gradient in (False, True):
        ours, theirs = counted(has_gradient, True)
        assert ours == theirs
    with policy.reference():
        ours, theirs = counted(False, False)
        assert ours == theirs
