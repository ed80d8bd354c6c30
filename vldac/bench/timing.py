"""Wall-clock times of several functions, interleaved: every round calls each of them, so that a busy moment meets all."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

_SAMPLE_S = 2e-3
"""A sample repeats a function until it lasts about this long: below that, the clock and cold caches decide."""
_MAX_CALLS = 200
_MIN_ROUNDS = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Timing:
    """Seconds per call, one sample per round."""

    samples: tuple[float, ...]
    calls: int
    """calls that a sample averages"""

    @property
    def median_s(self) -> float:
        """The middle sample."""
        return statistics.median(self.samples)

    def quantile_s(self, share: float) -> float:
        """The sample below which `share` of them lie, interpolated."""
        return quantile(self.samples, share)

    def as_json(self) -> dict[str, float]:
        """Milliseconds, with the number of rounds and of calls per sample."""
        return {
            "median": 1e3 * self.median_s, "p20": 1e3 * self.quantile_s(0.2), "p80": 1e3 * self.quantile_s(0.8),
            "min": 1e3 * min(self.samples), "rounds": len(self.samples), "calls": self.calls,
        }  # fmt: skip


def interleave(functions: Mapping[str, Callable[[], object]], *, rounds: int, budget_s: float) -> dict[str, Timing]:
    """Time each function in `rounds` rounds, fewer (but 3) where all of them together would last longer than budget_s.

    Each is called twice before, and a round begins with another function each time.
    """
    calls, total = {}, 0.0
    for name, function in functions.items():
        function()
        took = _seconds(function, 1)
        calls[name] = max(1, min(_MAX_CALLS, round(_SAMPLE_S / max(took, 1e-9))))
        total += took * calls[name]
    rounds = max(min(rounds, _MIN_ROUNDS), min(rounds, int(budget_s / total)))
    samples: dict[str, list[float]] = {name: [] for name in functions}
    names = list(functions)
    for index in range(rounds):
        start = index % len(names)
        for name in names[start:] + names[:start]:
            samples[name].append(_seconds(functions[name], calls[name]))
    return {name: Timing(samples=tuple(samples[name]), calls=calls[name]) for name in functions}


def speedup(slow: Timing, fast: Timing) -> float:
    """How many times faster `fast` is: the median over the rounds of each round's ratio."""
    return statistics.median(a / b for a, b in zip(slow.samples, fast.samples, strict=True))


def quantile(samples: Sequence[float], share: float) -> float:
    """The linearly interpolated quantile of at least one sample."""
    ordered = sorted(samples)
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def _seconds(function: Callable[[], object], calls: int) -> float:
    start = time.perf_counter()
    for _ in range(calls):
        function()
    return (time.perf_counter() - start) / calls
