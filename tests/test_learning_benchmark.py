"""The judge of benchmarks/learning.py: its z test and its targets say no where they should."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def learning() -> ModuleType:
    path = Path(__file__).resolve().parent.parent / "benchmarks" / "learning.py"
    spec = importlib.util.spec_from_file_location("learning", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def outcome(successes: int, episodes: int = 600) -> dict[str, float]:
    return {"successes": successes, "episodes": episodes}


def test_z_is_that_of_the_pooled_two_proportion_test(learning: ModuleType) -> None:
    # 360/600 against 330/600: pooled 0.575, standard error sqrt(0.575 * 0.425 * 2 / 600) = 0.028541, difference 0.05.
    assert learning.z_above(outcome(360), outcome(330)) == pytest.approx(0.05 / 0.0285409, rel=1e-5)
    assert learning.z_above(outcome(330), outcome(360)) < 0
    assert learning.z_above(outcome(600), outcome(600)) == 0.0


def test_a_rise_of_five_points_is_significant_and_one_of_four_is_not(learning: ModuleType) -> None:
    assert learning.z_above(outcome(396), outcome(366)) > 1.645  # 0.66 against 0.61
    assert learning.z_above(outcome(390), outcome(366)) < 1.645  # 0.65 against 0.61


@pytest.mark.parametrize(
    ("recipe", "start", "end", "end_return", "expected"),
    [
        ("quickstart", 0.6, 0.98, 0.90, True),
        ("quickstart", 0.6, 0.975, 0.95, False),
        ("quickstart", 0.6, 1.0, 0.895, False),
        ("ezpoints", 0.39, 0.80, -9.0, True),
        ("ezpoints", 0.41, 0.95, 9.0, False),
        ("ezpoints", 0.30, 0.795, 9.0, False),
    ],
)
def test_a_run_is_judged_by_every_target(
    learning: ModuleType, recipe: str, start: float, end: float, end_return: float, expected: bool
) -> None:
    run = {"start": {"success_rate": start}, "end": {"success_rate": end, "return_mean": end_return}}
    assert learning.is_met(run, learning.TARGETS[recipe]) is expected


def test_evaluations_are_read_from_the_run_folder(learning: ModuleType, tmp_path: Path) -> None:
    file = tmp_path / "evaluations.jsonl"
    line = {
        "success_ci": [0.5, 0.7],
        "return_mean": -2.41,
        "episode_length": 5.0,
        "episodes": 200,
        "seed": 7,
        "env_id": "x",
    }
    start, end = {"update": 0, "success_rate": 0.645, **line}, {"update": 16, "success_rate": 1.0, **line}
    file.write_text(json.dumps(start) + "\n" + json.dumps(end) + "\n", encoding="utf-8")
    before, after = learning.evaluations(tmp_path)
    assert before["successes"] == 129 and before["return_mean"] == -2.41 and after["successes"] == 200
    file.write_text(json.dumps(end) + "\n", encoding="utf-8")
    with pytest.raises(SystemExit, match="before and one after"):
        learning.evaluations(tmp_path)
