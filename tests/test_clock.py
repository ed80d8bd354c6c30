"""The idle share of a device is what lies between the pieces of work that it was given."""

from __future__ import annotations

import pytest
import torch

from vldac.clock import DeviceClock, device_clock


class Queue:
    """A device that is handed work by a host; times in milliseconds."""

    def __init__(self) -> None:
        self.host = self.free = 0.0
        self.waits = 0

    def submit(self, work: float) -> None:
        self.free = max(self.free, self.host) + work

    def event(self) -> QueueEvent:
        return QueueEvent(self)


class QueueEvent:
    def __init__(self, queue: Queue) -> None:
        self.queue, self.at = queue, 0.0

    def record(self) -> None:
        self.at = self.queue.free = max(self.queue.free, self.queue.host)

    def synchronize(self) -> None:
        self.queue.waits += 1

    def elapsed_time(self, other: QueueEvent) -> float:
        return other.at - self.at


def play(clock: DeviceClock, queue: Queue) -> None:
    """Work of 10, 20 and 30 ms; the host needs 5 ms after the first, which hides behind it, and 90 ms after the second."""
    with clock.piece():
        queue.submit(10)
    queue.host += 5
    with clock.piece():
        queue.submit(15)
        with clock.piece():
            queue.submit(5)
    queue.host = 120
    with clock.piece():
        queue.submit(30)


def test_idle_is_what_the_host_does_not_hide() -> None:
    queue = Queue()
    clock = DeviceClock(queue.event)
    play(clock, queue)
    assert clock.idle_frac() is None, "nothing is noted before begin()"
    queue.host = queue.free = 0
    clock.begin()
    play(clock, queue)
    assert clock.idle_frac() == pytest.approx(90 / 150) and queue.waits == 1
    clock.begin()
    with clock.piece():
        queue.submit(1)
    assert clock.idle_frac() is None


def test_a_piece_that_fails_is_closed() -> None:
    queue = Queue()
    clock = DeviceClock(queue.event)
    clock.begin()
    with pytest.raises(ValueError, match="planted"), clock.piece():
        queue.submit(10)
        raise ValueError("planted")
    play(clock, queue)
    assert clock.idle_frac() == pytest.approx(80 / 150)


def test_the_cpu_has_no_idle_share() -> None:
    clock = device_clock(torch.device("cpu"))
    clock.begin()
    for _ in range(3):
        with clock.piece():
            torch.ones(3).sum()
    assert clock.idle_frac() is None
