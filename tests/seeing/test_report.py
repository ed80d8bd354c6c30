"""The report of a run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from vldac.errors import ConfigError
from vldac.metrics import MetricsWriter
from vldac.report import wall_seconds, write_report


@pytest.mark.parametrize("updates", [1, 2, 80])
def test_a_report_has_curves_and_a_page(make_run: Callable[[int], Path], updates: int) -> None:
    run = make_run(updates)
    png, svg, page = write_report(run)
    assert png == run / "plots" / "curve.png" and png.read_bytes().startswith(b"\x89PNG")
    assert svg.read_text(encoding="utf-8").startswith("<?xml")
    text = page.read_text(encoding="utf-8")
    assert "&lt;b&gt;tiny&lt;/b&gt;" in text and "<b>tiny" not in text
    assert "value/explained_variance" in text and f"Metrics of update {updates}<" in text
    assert text.count("src=") == 1 and 'src="data:image/png;base64,' in text and "href" not in text


def test_a_line_with_few_metrics_is_enough(tmp_path: Path) -> None:
    MetricsWriter(tmp_path).write(1, {"policy/loss": 1.0, "rollout/success_rate": 0.5})
    assert len(write_report(tmp_path)) == 3


def test_no_metrics_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no metrics"):
        write_report(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_wall_time_comes_from_steps_and_speed() -> None:
    lines = [
        {"update": 1, "rollout/env_steps": 100.0, "time/env_steps_per_s": 10.0},
        {"update": 2, "rollout/env_steps": 300.0, "time/env_steps_per_s": 20.0},
        {"update": 3, "rollout/env_steps": 400.0, "time/collect_s": 3.0, "time/update_s": 4.0},
    ]
    assert wall_seconds(lines) == [10.0, 20.0, 27.0]


def test_the_evaluation_before_training_is_in_the_curve(make_run: Callable[[int], Path]) -> None:
    run = make_run(3)
    without = write_report(run)[1].read_text(encoding="utf-8")
    (run / "evaluations.jsonl").write_text('{"update": 0, "success_rate": 0.61}\n', encoding="utf-8")
    assert "held-out evaluation" not in without and "held-out evaluation" in write_report(run)[1].read_text(
        encoding="utf-8"
    )


@pytest.mark.parametrize("updates", [1, 3, 80])
def test_the_curve_stacks_the_shares_of_time_where_they_are_known(
    make_run: Callable[[int], Path], tmp_path: Path, updates: int
) -> None:
    run = make_run(updates)
    assert "share of an update" not in write_report(run)[1].read_text(encoding="utf-8")
    file = run / "metrics.jsonl"
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    lines[-1] |= {"time/collect_s": 3.0, "time/generate_s": 2.0, "time/encode_s": 0.5, "time/update_s": 1.0}
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    text = write_report(run)[1].read_text(encoding="utf-8")
    told = (
        "share of an update's time",
        "generate 50.0 %",
        "encode 12.5 %",
        "rest 12.5 %",
        "update 25.0 %",
        "env 0.0 %",
    )
    assert [words for words in told if words not in text] == []
