"""SIGINT and SIGTERM ask a run to stop at the next point from which it can go on; a second one ends it at once."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any

EXIT_STOPPED = 75
"""Exit code of a run that was stopped and saved (EX_TEMPFAIL: run it again with --resume)."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopOnSignal:
    """While entered, the first SIGINT or SIGTERM sets `requested`, and the next one has its default effect.

    Outside the main thread, where Python admits no handlers, it does nothing.
    """

    def __init__(self) -> None:
        self.requested: str | None = None
        """Name of the signal that came, or None."""
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopOnSignal:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._handle) for number in _SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def should_stop(self) -> bool:
        """True once a signal has come."""
        return self.requested is not None

    def _handle(self, number: int, _: FrameType | None) -> None:
        self.requested = signal.Signals(number).name
        for each in _SIGNALS:
            signal.signal(each, signal.SIG_DFL)
