"""From a response's text to an action: native parsing, and what an unparsable response does instead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from vldac import _core


class ParseStatus(IntEnum):
    """Why a response has an action, or has none."""

    OK = 0
    """One JSON object with a known action."""
    TOLERANT = 1
    """A known action behind an "action" key in text that is not one JSON object."""
    NO_ACTION = 2
    UNKNOWN_ACTION = 3
    TOO_LONG = 4


@dataclass(frozen=True, slots=True)
class ParseResult:
    """Outcome of `parse_action`."""

    action: int | None
    """Index into the action names, or None."""
    status: ParseStatus


def parse_action(text: str, actions: Sequence[str]) -> ParseResult:
    """Parse one response. The text is untrusted: never evaluated, at most 65,536 bytes, linear time."""
    found, statuses = parse_actions([text], actions)
    action = int(found[0])
    return ParseResult(action if action >= 0 else None, ParseStatus(int(statuses[0])))


def parse_actions(texts: Sequence[str], actions: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Parse a batch: (action index or -1 [E] int64, `ParseStatus` [E] uint8)."""
    clean = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
    found, statuses = _core.parse_actions(clean, list(actions))
    return found, statuses


def resolve(
    parsed: np.ndarray, fallback: str, num_actions: int, seed: int, env_ids: np.ndarray, counter: int | np.ndarray
) -> np.ndarray:
    """Replace -1 in `parsed` [E] by the fallback action: a seeded uniform legal one ("random_legal", "penalty"), or 0 ("noop").

    counter: one for all, or [E]. The draw depends on (seed, environment, counter) alone.
    """
    result = parsed.copy()
    counters = np.broadcast_to(counter, parsed.shape)
    for i in np.flatnonzero(parsed < 0):
        if fallback == "noop":
            result[i] = 0
        else:
            result[i] = _core.counter_random(seed, 2, int(env_ids[i]), int(counters[i])) % num_actions
    return result
