"""What a run says while it works: a live table on a terminal, one plain line per update otherwise."""

from __future__ import annotations

import math
import shutil
import sys
import time
from collections.abc import Mapping
from typing import Any, Protocol, TextIO

from vldac.metrics import time_shares

_COLUMNS = (
    ("rollout/env_steps", "env steps", "{:,.0f}"),
    ("rollout/success_rate", "success", "{:.3f}"),
    ("rollout/return_mean", "return", "{:.3f}"),
    ("policy/kl_ref_k3", "KL", "{:.4f}"),
    ("time/env_steps_per_s", "steps/s", "{:.1f}"),
)


class Progress(Protocol):
    """Where a run reports what it does."""

    def phase(self, text: str) -> None:
        """Name what is being done now, e.g. "collect"."""

    def update(self, metrics: Mapping[str, Any]) -> None:
        """Report a finished update; its number is `metrics["update"]`, or one more than the last one."""

    def message(self, text: str) -> None:
        """Print a lasting line."""

    def close(self) -> None:
        """Stop; more calls of close do nothing."""


def make_progress(
    total_updates: int, is_terminal: bool | None = None, *, updates_done: int = 0, stream: TextIO | None = None
) -> Progress:
    """Return a live table for a terminal, plain lines otherwise; `is_terminal=None` asks the stream (stdout)."""
    stream = sys.stdout if stream is None else stream
    is_terminal = stream.isatty() if is_terminal is None else is_terminal
    kind = LiveProgress if is_terminal else PlainProgress
    return kind(total_updates, updates_done, stream)


class _Clock:
    """Counts updates and estimates the time that is left from those of this process."""

    def __init__(self, total: int, done: int) -> None:
        self.total, self.done, self.first = total, done, done
        self.start: float | None = None

    def begin(self) -> None:
        """The first update begins: what came before (loading, cloning, evaluation) does not count."""
        if self.start is None:
            self.start = time.perf_counter()

    def advance(self, metrics: Mapping[str, Any]) -> None:
        self.done = int(metrics.get("update", self.done + 1))

    def eta(self) -> str:
        seen = self.done - self.first
        if seen <= 0 or self.start is None:
            return "-"
        return format_seconds((time.perf_counter() - self.start) / seen * max(0, self.total - self.done))


def format_seconds(seconds: float) -> str:
    """Return e.g. "42s", "3m05s" or "2h07m"."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"


def _text(metrics: Mapping[str, Any], key: str, form: str) -> str:
    value = metrics.get(key)
    return "-" if value is None or not math.isfinite(value) else form.format(value)


def shares_text(metrics: Mapping[str, Any]) -> str:
    """Return e.g. "generate 58 %, update 33 %, encode 7 %": an update's hops, largest first, without those below half a percent."""
    shares = sorted(time_shares(metrics).items(), key=lambda item: -item[1])
    return ", ".join(f"{hop} {share:.0%}".replace("%", " %") for hop, share in shares if share >= 0.005)


class PlainProgress:
    """One line per update, for logs and pipes."""

    def __init__(self, total_updates: int, updates_done: int, stream: TextIO) -> None:
        self._clock, self._stream = _Clock(total_updates, updates_done), stream

    def phase(self, text: str) -> None:
        """Phases are not printed: a log holds one line per update."""
        if text == "collect":
            self._clock.begin()

    def update(self, metrics: Mapping[str, Any]) -> None:
        """Print the update's line."""
        self._clock.advance(metrics)
        cells = [f"{title} {_text(metrics, key, form)}" for key, title, form in _COLUMNS]
        line = f"update {self._clock.done}/{self._clock.total}  {'  '.join(cells)}  eta {self._clock.eta()}"
        whole = f"{line}  {shares_text(metrics)}".rstrip()
        has_room = not self._stream.isatty() or len(whole) <= shutil.get_terminal_size().columns
        self.message(whole if has_room else line)

    def message(self, text: str) -> None:
        """Print a line."""
        print(text, file=self._stream, flush=True)

    def close(self) -> None:
        """Nothing to stop."""


class LiveProgress:
    """A table that redraws itself in place (rich)."""

    def __init__(self, total_updates: int, updates_done: int, stream: TextIO) -> None:
        from rich.console import Console
        from rich.live import Live

        self._clock = _Clock(total_updates, updates_done)
        self._phase = "start"
        self._metrics: dict[str, Any] = {}
        self._console = Console(file=stream, force_terminal=True)
        self._live = Live(
            console=self._console, get_renderable=self._table, refresh_per_second=4, redirect_stdout=False,
            redirect_stderr=False,
        )  # fmt: skip
        self._live.start()
        self._is_open = True

    def phase(self, text: str) -> None:
        """Show what is being done now."""
        self._phase = text
        if text == "collect":
            self._clock.begin()

    def update(self, metrics: Mapping[str, Any]) -> None:
        """Show the update's numbers."""
        self._clock.advance(metrics)
        self._metrics = dict(metrics)
        self._live.refresh()

    def message(self, text: str) -> None:
        """Print a line above the table; markup in it is not interpreted."""
        self._console.print(text, markup=False, highlight=False)

    def close(self) -> None:
        """Leave the last table on the screen."""
        if self._is_open:
            self._is_open = False
            self._phase = "done"
            self._live.stop()

    def _table(self) -> Any:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        table = Table()
        for title in ("phase", "update", *(title for _, title, _ in _COLUMNS), "eta"):
            table.add_column(title, justify="left" if title == "phase" else "right", no_wrap=True)
        cells = [_text(self._metrics, key, form) for key, _, form in _COLUMNS]
        clock = self._clock
        table.add_row(Text(self._phase), f"{clock.done}/{clock.total}", *cells, clock.eta())
        shares = shares_text(self._metrics)
        has_room = shares and len(shares) < self._console.width
        return Group(table, Text(f" {shares}", style="dim")) if has_room else table
