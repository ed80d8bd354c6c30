"""How long an accelerator had nothing to do while something was going on: events around each piece of work that is given to it.

Events are recorded on the device's own queue and read once, at the end, so that nothing waits for them. Idle is the time between the
end of one piece and the beginning of the next; gaps inside a piece, between its own kernels, count as work. On the CPU there is
nothing to measure.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import torch


class Event(Protocol):
    """A point in a device's queue; `torch.cuda.Event(enable_timing=True)` is one."""

    def record(self) -> Any:
        """Put it into the queue."""

    def synchronize(self) -> Any:
        """Wait until the device has come to it."""

    def elapsed_time(self, other: Any) -> float:
        """Milliseconds from this one to `other`, both of which the device has come to."""


class DeviceClock:
    """Pieces of work on one queue, from `begin` to `idle_frac`. `make_event` None: there is no device, and nothing is measured."""

    def __init__(self, make_event: Callable[[], Event] | None = None) -> None:
        self._make_event = make_event
        self._pieces: list[tuple[Event, Event]] | None = None
        self._depth = 0

    def begin(self) -> None:
        """Note the pieces from now on."""
        self._pieces = [] if self._make_event else None

    @contextlib.contextmanager
    def piece(self) -> Iterator[None]:
        """What is submitted inside is one piece of work; a piece inside a piece is part of it."""
        if self._make_event is None or self._pieces is None or self._depth:
            yield
            return
        begin, end = self._make_event(), self._make_event()
        self._depth += 1
        begin.record()
        try:
            yield
        finally:
            end.record()
            self._depth -= 1
            self._pieces.append((begin, end))

    def idle_frac(self) -> float | None:
        """Return the idle share of the time from the first piece to the end of the last, None without two pieces, and stop noting.

        Waits for the device.
        """
        pieces, self._pieces = self._pieces or [], None
        if len(pieces) < 2:
            return None
        first, last = pieces[0][0], pieces[-1][1]
        last.synchronize()
        total = first.elapsed_time(last)
        idle = sum(before[1].elapsed_time(after[0]) for before, after in itertools.pairwise(pieces))
        return min(1.0, max(0.0, idle / total)) if total > 0 else None


def device_clock(device: torch.device) -> DeviceClock:
    """Return the clock of a device: of CUDA's events, or one that measures nothing."""
    return DeviceClock(lambda: torch.cuda.Event(enable_timing=True)) if device.type == "cuda" else DeviceClock()
