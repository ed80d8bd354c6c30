"""From a response's text to an action: native parsing, and what an unparsable response does instead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import Any, Literal, get_args

import numpy as np

from vldac import _core
from vldac.errors import ConfigError, EnvError, nearest

ANY_WORDS = "<words>"
"""Stands for any words in a command."""

ParseMode = Literal["tolerant", "vldac", "rl4vlm", "json"]
"""How a response is read; see `parse_action`."""


class ParseStatus(IntEnum):
    """Why a response has an action, or has none."""

    OK = 0
    """The form that the mode asks for (tolerant: one JSON object, as json reads it) with a known action."""
    TOLERANT = 1
    """A known action all the same: in a damaged or embedded object, in other case, by a synonym; rl4vlm: by the last character."""
    NO_ACTION = 2
    """No "action" anywhere."""
    UNKNOWN_ACTION = 3
    """An "action" that is none of the names."""
    TOO_LONG = 4
    """More than 65,536 bytes."""
    MALFORMED = 5
    """json and vldac: not the form that the mode asks for, or nested deeper than 64."""
    AMBIGUOUS = 6
    """rl4vlm and tolerant: an "action" that names two."""


@dataclass(frozen=True, slots=True)
class ParseResult:
    """Outcome of `parse_action`."""

    action: int | None
    """Index into the action names, or None."""
    status: ParseStatus


class ActionNames:
    """The actions that a response may name, prepared once.

    names: each a string of at most 1,024 bytes, all different. synonyms: other ways to say an action, to its name; tolerant mode
    alone takes them. accepts_index: a number is the action's index (as MiniWorld's prompts ask), unless it is a name itself.
    finds_inside: names are commands of several words; in tolerant and rl4vlm modes the longest that stands in the answer counts,
    between words ("go to cabinet 1" is not in "go to cabinet 12").
    Raises `EnvError` for names that repeat or are empty, and for a synonym that two actions claim.
    """

    __slots__ = ("_native", "accepts_index", "names")

    def __init__(
        self,
        names: Sequence[str],
        synonyms: Mapping[str, str] | None = None,
        *,
        accepts_index: bool = False,
        finds_inside: bool = False,
    ) -> None:
        self.names = tuple(names)
        self.accepts_index = accepts_index
        try:
            pairs = [(text, self.names.index(name)) for text, name in (synonyms or {}).items()]
            self._native = _core.ActionNames(self.names, pairs, accepts_index, finds_inside)
        except ValueError as error:
            raise EnvError(
                expected="action names that differ, and synonyms that mean one of them each",
                got=str(error),
                where=f"actions {self.names!r}",
                do="rename the action, or drop the synonym",
            ) from error

    def __len__(self) -> int:
        return len(self.names)


def parse_action(text: str, actions: Sequence[str] | ActionNames, mode: ParseMode = "tolerant") -> ParseResult:
    """Find the action that a response names. The text is untrusted: never evaluated, at most 65,536 bytes, linear time.

    mode "tolerant": a JSON object; else the last object in the text that has an "action", with text or code fences around it,
        single quotes, unquoted keys, trailing commas or a missing end; else the last `action:`. Names match in any case, by
        synonym, and next to other ways to name the same action ("2: move forward").
    mode "json": the whole text is one RFC 8259 object; its last top-level "action" is a name, or the integer of a name's digits.
    mode "vldac": the whole text is one Python dict literal, as VL-DAC's original code evaluates it; "action" is the name, byte
        for byte, or an integer of its digits. Where actions are indices: an integer, 2.0 for 2, True for 1, or "2".
    mode "rl4vlm": behind the first `"action":` exactly one name occurs ("10" is taken out first), case aside; without that
        key the last character is the action.

    Raises `ConfigError` for another mode and `EnvError` for unusable names.
    """
    found, statuses = parse_actions([text], actions, mode)
    action = int(found[0])
    return ParseResult(action if action >= 0 else None, ParseStatus(int(statuses[0])))


def parse_actions(
    texts: Sequence[str] | tuple[np.ndarray, np.ndarray],
    actions: Sequence[str] | ActionNames,
    mode: ParseMode = "tolerant",
) -> tuple[np.ndarray, np.ndarray]:
    """Parse a batch: (action index or -1 [R] int64, `ParseStatus` [R] uint8). The texts are not copied, the GIL is released.

    texts: R strings (a lone surrogate reads as "?"), or (UTF-8 bytes [N] uint8, offsets [R + 1] int64).
    Raises `ConfigError` for an unknown mode and `EnvError` for unusable names or offsets.
    """
    if mode not in get_args(ParseMode):
        modes = get_args(ParseMode)
        raise ConfigError(
            expected=f"a parse mode, one of {', '.join(modes)}",
            got=repr(mode),
            where="parse_actions(mode=...)",
            do=f"use one of them{nearest(str(mode), modes)}",
        )
    names = actions if isinstance(actions, ActionNames) else _prepared(tuple(actions), False)
    if isinstance(texts, tuple) and len(texts) == 2 and isinstance(texts[0], np.ndarray):
        try:
            return _core.parse_buffer(texts[0], texts[1], names._native, mode)
        except ValueError as error:
            raise EnvError(
                expected="UTF-8 bytes [N] uint8 and offsets [R + 1] int64 into them",
                got=str(error),
                where="parse_actions(texts=...)",
                do="check the offsets",
            ) from error
    if isinstance(texts, str):
        raise EnvError(
            expected="a sequence of texts", got="one string", where="parse_actions(texts=...)", do="put it into a list"
        )
    return _core.parse_actions(texts, names._native, mode)


@dataclass(frozen=True, slots=True)
class CommandResult:
    """Outcome of `parse_command`."""

    action: int
    """Index of the command, or of the form that it fills; -1 for none"""
    status: ParseStatus
    command: str | None
    """In words, as the environment takes it"""


def parse_command(text: str, commands: Sequence[str], mode: ParseMode = "tolerant") -> CommandResult:
    """Find the command that a response names among those that are admissible in a text environment (`parse_action`'s modes).

    A command with "<words>" in it stands for all that have other words there: "search[<words>]" takes "search[red shoes]".
    In tolerant and rl4vlm modes commands are found within longer text, such forms before others.
    """
    known = tuple(commands)
    actions, statuses, said = _core.parse_commands([text], command_names(known)._native, mode)
    action = int(actions[0])
    command = None if action < 0 else said[0] or known[action]
    return CommandResult(action, ParseStatus(int(statuses[0])), command)


def is_form(command: str) -> bool:
    """Whether a command stands for all that have other words in the place of its "<words>"."""
    return ANY_WORDS in command


def fill_form(command: str, text: str, number: int) -> str:
    """Return a form with one to three words of `text`, for those who play at random; which follows from `number` (64 bits)."""
    return _core.fill_form(command, text, number)


def actions_of(env: Any) -> ActionNames:
    """Return the actions that a response may name in a vector environment: numbers, too, where its prompt gives them.

    Raises `EnvError` for names that repeat or are empty.
    """
    from vldac.envs.prompts import accepts_numbers

    return _prepared(tuple(env.action_names), accepts_numbers(getattr(env, "env_id", "")))


@lru_cache(maxsize=4096)
def command_names(commands: tuple[str, ...]) -> ActionNames:
    """Return the commands that are admissible in one state of a text environment, as what a response may name."""
    return ActionNames(commands, finds_inside=True)


@lru_cache(maxsize=64)
def _prepared(names: tuple[str, ...], accepts_index: bool) -> ActionNames:
    return ActionNames(names, accepts_index=accepts_index)


def resolve(
    parsed: np.ndarray, fallback: str, num_actions: int, seed: int, env_ids: np.ndarray, counter: int | np.ndarray
) -> np.ndarray:
    """Replace -1 in `parsed` [E] by the fallback action: a seeded uniform legal one ("random_legal", "penalty"), or 0 ("noop").

    counter: one for all, or [E]. The draw depends on (seed, environment, counter) alone.
    """
    if fallback == "noop":
        nothing: np.ndarray = np.maximum(parsed, 0)
        return nothing
    counters = np.broadcast_to(np.asarray(counter, np.int64), parsed.shape)
    return _core.resolve_actions(parsed, num_actions, seed, np.asarray(env_ids, np.int64), counters)
