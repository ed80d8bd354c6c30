"""From responses to what environments take: numbers where actions have numbers, commands in words in text environments.

A response is untrusted text (`vldac.actions`). One without a usable action does what the fallback says: a legal action drawn from the
seed, the environment and its step, or nothing: action 0, in text environments an empty command, which none of them admits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vldac.actions import actions_of, command_names, parse_actions, resolve

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
        found, how = parse_actions([response], command_names(tuple(known)), mode)
        parsed[row], status[row] = -1 if cut[row] else found[0], how[0]
        action[row] = parsed[row]
        if parsed[row] < 0 and fallback != "noop" and known:
            one = slice(row, row + 1)
            action[row] = resolve(parsed[one], fallback, len(known), seed, env_ids[one] + shift, counters[one])[0]
        commands.append(known[action[row]] if action[row] >= 0 else NOTHING)
    return Moves(action=action, status=status, is_valid=parsed >= 0, commands=commands)
