"""The progress display."""

from __future__ import annotations

import io

import pytest

from vldac.progress import LiveProgress, PlainProgress, format_seconds, make_progress, shares_text

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


TIMES = {"time/collect_s": 5.0, "time/generate_s": 3.0, "time/encode_s": 1.0, "time/env_s": 0.98, "time/update_s": 5.0}
SHARES = "update 50 %, generate 30 %, encode 10 %, env 10 %"


def test_a_line_in_a_log_ends_with_the_shares_of_time() -> None:
    stream = io.StringIO()
    progress = make_progress(10, stream=stream)
    progress.update(METRICS | TIMES)
    progress.update(METRICS)
    first, second = stream.getvalue().splitlines()
    assert first.endswith(f"eta 0s  {SHARES}") or first.endswith(f"eta -  {SHARES}")
    assert second.endswith("-") and shares_text(METRICS) == ""


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("columns", "is_shown"), [(200, True), (80, False)])
def test_plain_lines_on_a_terminal_have_the_shares_only_where_they_fit(
    monkeypatch: pytest.MonkeyPatch, columns: int, is_shown: bool
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    stream = Terminal()
    progress = make_progress(10, is_terminal=False, stream=stream)
    progress.update(METRICS | TIMES)
    assert (SHARES in stream.getvalue()) is is_shown


@pytest.mark.parametrize(("columns", "is_shown"), [(120, True), (len(SHARES) + 1, True), (len(SHARES), False)])
def test_the_live_table_has_the_shares_under_it_only_where_they_fit(
    monkeypatch: pytest.MonkeyPatch, columns: int, is_shown: bool
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    stream = io.StringIO()
    progress = make_progress(10, is_terminal=True, stream=stream)
    progress.update(METRICS | TIMES)
    progress.close()
    last_table = stream.getvalue().rpartition("phase")[2]
    assert (SHARES in last_table) is is_shown and ("update 50" in last_table) is is_shown
