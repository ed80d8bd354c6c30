"""From responses to what environments take: numbers where actions have numbers, commands in words in text environments.

A response is untrusted text (`vldac.actions`). One without a usable action does what the fallback says: a legal action drawn from the
seed, the environment and its step, or nothing: action 0, in text environments an empty command, which none of them admits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vldac import _core
from vldac.actions import actions_of, fill_form, is_form, parse_actions, parse_command, resolve

_WORDS = 7  # purpose of the stream, as in vldac/seeding.py, which needs torch
NOTHING = ""
"""The command that stands for none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Moves:
    """What R environments are told."""

    action: np.ndarray
    """[R] int64, fallback included: numbers of the actions, or places among the commands that were admissible (-1: nothing)"""
    status: np.ndarray
    """[R] uint8, `ParseStatus`"""
    is_valid: np.ndarray
    """[R] bool, False where the fallback acted"""
    commands: list[str] | None = None
    """In text environments the commands in words"""

    @property
    def told(self) -> Any:
        """What `env.step` and `env.send` take."""
        return self.action if self.commands is None else self.commands

    def told_all(self, env_ids: np.ndarray, num_envs: int) -> Any:
        """What `env.step` takes for all environments; those beside env_ids [R] are told nothing."""
        if self.commands is None:
            actions = np.zeros(num_envs, np.int64)
            actions[env_ids] = self.action
            return actions
        commands = [NOTHING] * num_envs
        for e, command in zip(env_ids.tolist(), self.commands, strict=True):
            commands[e] = command
        return commands


def is_text(env: Any) -> bool:
    """Whether a vector environment takes commands in words."""
    return bool(getattr(env, "is_text", False))


def read_moves(
    env: Any, responses: Sequence[str], env_ids: np.ndarray, *, mode: Any, fallback: str, seed: int,
    counter: int | np.ndarray, shift: int = 0, has_end: np.ndarray | None = None,
) -> Moves:  # fmt: skip
    """Find the moves in R responses of environments `env_ids`, which must not be in flight.

    has_end: [R] bool, False for a response that was cut off, which counts as unparsable. The fallback draws from (seed,
    environment + shift, counter).
    """
    cut = np.zeros(len(responses), bool) if has_end is None else ~np.asarray(has_end)
    counters = np.broadcast_to(np.asarray(counter, np.int64), len(responses))
    if not is_text(env):
        names = actions_of(env)
        parsed, status = parse_actions(responses, names, mode)
        parsed = np.where(cut, -1, parsed)
        action = resolve(parsed, fallback, len(names), seed, env_ids + shift, counters)
        return Moves(action=action, status=status, is_valid=parsed >= 0)
    admissible = env.commands(env_ids)
    parsed, status = np.full(len(responses), -1), np.zeros(len(responses), np.uint8)
    action, commands = parsed.copy(), []
    for row, (response, known) in enumerate(zip(responses, admissible, strict=True)):
        found = parse_command(response, known, mode)
        status[row] = found.status
        command = None if cut[row] else found.command
        if command is not None:
            parsed[row] = action[row] = found.action
        elif fallback != "noop" and known:
            place = np.array([-1]), len(known), seed, env_ids[row : row + 1] + shift, counters[row : row + 1]
            action[row] = resolve(place[0], fallback, *place[1:])[0]
            command = known[action[row]]
            if is_form(command):
                command = _filled(env, command, int(env_ids[row]), seed, int(env_ids[row]) + shift, int(counters[row]))
                action[row] = -1 if command is None else action[row]
        commands.append(NOTHING if command is None else command)
    return Moves(action=action, status=status, is_valid=parsed >= 0, commands=commands)


def _filled(env: Any, form: str, env_id: int, seed: int, stream: int, counter: int) -> str | None:
    """A form with words that environment `env_id` offers, drawn from (seed, stream, counter); None where it offers none."""
    if not hasattr(env, "random_words"):
        return None
    number = _core.counter_random(seed, _WORDS, stream, counter)
    return fill_form(form, env.random_words(np.array([env_id]))[0], number)
