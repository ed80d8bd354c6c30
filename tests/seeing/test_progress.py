"""The progress display."""

from __future__ import annotations

import io

from vldac.progress import LiveProgress, PlainProgress, format_seconds, make_progress

METRICS = {"rollout/env_steps": 1024.0, "rollout/success_rate": 0.25, "time/env_steps_per_s": 12.34}


def test_plain_progress_prints_one_line_per_update() -> None:
    stream = io.StringIO()
    progress = make_progress(10, stream=stream)
    assert isinstance(progress, PlainProgress)
    progress.phase("collect")
    progress.update(METRICS)
    progress.update({"update": 5, "rollout/return_mean": float("nan")})
    progress.message("saved [bold]x")
    progress.close()
    first, second, third = stream.getvalue().splitlines()
    assert first.startswith("update 1/10  env steps 1,024  success 0.250  return -  KL -  steps/s 12.3  eta ")
    assert second.startswith("update 5/10") and third == "saved [bold]x"


def test_live_progress_shows_phase_and_numbers() -> None:
    stream = io.StringIO()
    progress = make_progress(10, is_terminal=True, updates_done=2, stream=stream)
    assert isinstance(progress, LiveProgress)
    progress.phase("[red]collect")
    progress.update(METRICS)
    progress.message("kept [bold]as is[/bold]")
    progress.close()
    progress.close()
    text = stream.getvalue()
    assert "3/10" in text and "1,024" in text and "0.250" in text
    assert "kept [bold]as is[/bold]" in text and "[red]collect" in text


def test_durations_are_readable() -> None:
    assert [format_seconds(x) for x in (-1, 42.4, 185, 7620)] == ["0s", "42s", "3m05s", "2h07m"]
