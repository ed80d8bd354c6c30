"""Exception types of the package.

Every message a user can cause has four parts: what was expected, what arrived, where it came from, what to do next.
`FourPartError` builds the text, so that no call site can forget one of them.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any


class FourPartError(ValueError):
    """Base of all user-facing errors; the command line prints it and exits with code 2."""

    def __init__(self, *, expected: str, got: str, where: str, do: str) -> None:
        self.expected, self.got, self.where, self.do = expected, got, where, do
        super().__init__(f"expected {expected}\n     got {got}\n   where {where}\n      do {do}")

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.expected, self.got, self.where, self.do))


def _rebuild(cls: type[FourPartError], expected: str, got: str, where: str, do: str) -> FourPartError:
    return cls(expected=expected, got=got, where=where, do=do)


class ConfigError(FourPartError):
    """A setting that cannot work."""


class ModelError(FourPartError):
    """A model, tokenizer or processor that cannot be used."""


class EnvError(FourPartError):
    """An environment id, option or action that cannot be used."""


class EnvHangError(EnvError):
    """An environment that does not come back from a call. Its thread cannot be stopped: the pool is of no further use."""


class CheckpointError(FourPartError):
    """A checkpoint that is missing, truncated, altered, or of another model."""


class SelfCheckError(FourPartError):
    """A start-up audit or first-micro-batch invariant that does not hold: the run would train wrongly."""


class NonFiniteError(FourPartError):
    """A non-finite loss, gradient, reward or log-prob.

    `batch` holds the tensors of the offending optimiser batch by name, where there is one; a run dumps them into its folder.
    """

    batch: dict[str, Any] | None = None


class DeviceMemoryError(FourPartError):
    """Memory ran out, and no smaller pass is left to try."""


class CollapseError(FourPartError):
    """The policy has collapsed by the alarms' measure for as many updates as the configuration tolerates."""


class Stopped(Exception):
    """A run was asked to stop (SIGINT, SIGTERM, `Rollout.should_stop`) and did so at a point from which it can go on."""


def nearest(word: str, known: Iterable[str]) -> str:
    """Return ", did you mean 'x'?" for the known word nearest to `word`, or an empty string."""
    words = list(known)
    initials = "".join(part[0] for part in word.split("_") if part)  # learning_rate: lr
    match = [initials] if initials in words else difflib.get_close_matches(word, words, n=1, cutoff=0.5)
    return f", did you mean {match[0]!r}?" if match and match[0] != word else ""
