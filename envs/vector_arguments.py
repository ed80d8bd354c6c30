"""Checks of what callers pass to a vector environment: masks, seeds, environments, actions. Every mistake is an EnvError."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode

from vldac.errors import EnvError

MAX_SEED = 2**62


def mode_of(given: AutoresetMode | str, env_id: str) -> AutoresetMode:
    """Return Gymnasium's autoreset mode by itself, its name or its value."""
    for mode in AutoresetMode:
        if given in (mode, mode.value, mode.name):
            return mode
    raise EnvError(
        expected="SAME_STEP, NEXT_STEP or DISABLED", got=repr(given), where=f"make({env_id!r}), autoreset_mode",
        do="correct it",
    )  # fmt: skip


def rows_of_mask(mask: Any, num_envs: int) -> np.ndarray:
    """Return the environments [R] that options["reset_mask"] names; None names all."""
    if mask is None:
        return np.arange(num_envs)
    mask = np.asarray(mask)
    if mask.shape != (num_envs,) or mask.dtype != np.bool_ or not mask.any():
        raise EnvError(
            expected=f"a bool array [{num_envs}] with at least one True", got=repr(mask),
            where='reset, options["reset_mask"]', do="pass terminated | truncated",
        )  # fmt: skip
    return np.flatnonzero(mask)


def rows_of_ids(env_ids: Sequence[int] | np.ndarray | None, num_envs: int) -> np.ndarray:
    """Return different environments [R] int64; None names all."""
    if env_ids is None:
        return np.arange(num_envs)
    rows = np.asarray(env_ids)
    is_fine = rows.ndim == 1 and len(rows) and np.issubdtype(rows.dtype, np.integer)
    if not is_fine or rows.min() < 0 or rows.max() >= num_envs or len(np.unique(rows)) != len(rows):
        raise EnvError(
            expected=f"different environments in 0..{num_envs - 1}", got=repr(env_ids), where="send, env_ids",
            do="pass info['env_id'] of recv()",
        )  # fmt: skip
    return rows.astype(np.int64)


def seeds_of(seed: int | Sequence[int | None] | None, num_envs: int) -> list[int | None]:
    """Return a seed per environment, seed + i as in Gymnasium; None leaves it as it is."""
    if seed is None:
        return [None] * num_envs
    seeds: list[int | None] = (
        [int(seed) + i for i in range(num_envs)] if isinstance(seed, int | np.integer) else list(seed)
    )
    if len(seeds) != num_envs or any(s is not None and not 0 <= s < MAX_SEED for s in seeds):
        raise EnvError(
            expected=f"a seed, or {num_envs} of them, in 0..2**62", got=repr(seed), where="reset", do="use other seeds"
        )
    return seeds


def array_actions(actions: Any, count: int, space: gym.Space[Any], where: str) -> np.ndarray:
    """Return actions [count, ...] of a Box, Discrete, MultiDiscrete or MultiBinary that the space can mean.

    Bounds of a Box are the environment's matter, as in Gymnasium.
    """
    array: np.ndarray = np.asarray(actions)
    assert space.shape is not None and space.dtype is not None, "a space of arrays"
    if array.shape != (count, *space.shape) or array.dtype.kind not in "iubf":
        raise bad_actions(actions, count, space, where)
    if not np.isfinite(array).all() if np.issubdtype(space.dtype, np.floating) else array.dtype.kind == "f":
        raise bad_actions(actions, count, space, where)
    match space:
        case gym.spaces.Discrete(n=n, start=start):
            is_fine = (array >= start) & (array < start + n)
        case gym.spaces.MultiDiscrete(nvec=nvec, start=start):
            is_fine = (array >= start) & (array < start + nvec)
        case gym.spaces.MultiBinary():
            is_fine = (array == 0) | (array == 1)
        case _:
            return array
    if not is_fine.all():
        raise bad_actions(actions, count, space, where)
    return array


def bad_actions(actions: Any, count: int, space: gym.Space[Any], where: str) -> EnvError:
    """The error for actions that cannot be meant."""
    return EnvError(expected=f"{count} actions of {space}", got=repr(actions)[:300], where=where, do="check them")
