"""Environments that play what files say, games or shops: from `make`'s options to the files, and to native numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from vldac.errors import EnvError, nearest


class Played(Protocol):
    """What the files hold: ALFWorld's panel of games, WebShop's shop."""

    @property
    def kind(self) -> str:
        """What it is, in a word."""
        ...

    @property
    def left_out(self) -> tuple[tuple[str, str], ...]:
        """(where, why) of what is in the files and not played."""
        ...

    def summary(self) -> str:
        """One line for people."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Chosen:
    """What is played, and the environment's native options."""

    played: Played
    numbers: dict[str, float]


def choose(env_id: str, options: Mapping[str, Any], task: str | None) -> Chosen | None:
    """Return what is played and the native options; None for environments without files. Raises EnvError."""
    if env_id == "ALFWorld-v0":
        from vldac.envs.alfworld import settings as alfworld

        return alfworld.choose(options, task)
    if env_id == "WebShop-v0":
        from vldac.envs.webshop import settings as webshop

        return webshop.choose(options, task)
    return None


def option_help(env_id: str) -> dict[str, str] | None:
    """Return every option in words; None for environments without files."""
    if env_id == "ALFWorld-v0":
        from vldac.envs.alfworld import settings as alfworld

        return alfworld.HELP
    if env_id == "WebShop-v0":
        from vldac.envs.webshop import settings as webshop

        return webshop.HELP
    return None


def check_names(options: Mapping[str, Any], known: Mapping[str, str], where: str) -> None:
    """Raise EnvError for an option that is not known."""
    for name in options:
        if name not in known:
            raise EnvError(
                expected=f"options of make() or of the environment: {', '.join(known)}{nearest(name, list(known))}", got=name,
                where=where, do="remove or correct it",
            )  # fmt: skip


def word_of(given: Any, known: Sequence[str], where: str) -> str:
    """Return an option that is one of a few words. Raises EnvError."""
    if given not in known:
        raise EnvError(
            expected=f"one of {', '.join(known)}{nearest(str(given), known)}",
            got=repr(given),
            where=where,
            do="correct it",
        )
    return str(given)


def number_of(given: Any, low: float, high: float, where: str, *, is_whole: bool = False) -> float:
    """Return an option that is a number. Raises EnvError."""
    is_number = isinstance(given, bool | int | float) and low <= given <= high
    if not is_number or (is_whole and given != int(given)):
        kind = "a whole number" if is_whole else "a number"
        raise EnvError(expected=f"{kind} from {low} to {high}", got=repr(given), where=where, do="correct it")
    return float(given)
