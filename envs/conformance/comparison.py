"""Comparing what environments return: batches, nested and not."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np


def row_of(env: Any, batch: Any, row: int) -> Any:
    """One environment's part of a batch of observations."""
    if isinstance(batch, dict):
        return {key: row_of(env, part, row) for key, part in batch.items()}
    if isinstance(batch, tuple) and not (batch and isinstance(batch[0], str)):
        return tuple(row_of(env, part, row) for part in batch)
    return batch[row]


def contains(space: gym.Space[Any], value: Any) -> bool:
    """As `space.contains`, but strict about dtypes: a float32 picture is none, whatever its values."""
    if isinstance(space, gym.spaces.Dict):
        has_keys = isinstance(value, dict) and value.keys() == space.spaces.keys()
        return has_keys and all(contains(part, value[key]) for key, part in space.spaces.items())
    if isinstance(space, gym.spaces.Tuple):
        return len(value) == len(space) and all(contains(part, item) for part, item in zip(space, value, strict=True))
    is_typed = not isinstance(space, gym.spaces.Box) or (isinstance(value, np.ndarray) and value.dtype == space.dtype)
    return is_typed and bool(space.contains(value))


def same(a: Any, b: Any) -> bool:
    """Equal all the way down; NaN equals NaN."""
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, tuple | list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, np.ndarray):
        if not isinstance(b, np.ndarray) or a.dtype != b.dtype or a.shape != b.shape:
            return False
        if a.dtype == object:
            return all(same(x, y) for x, y in zip(a.ravel(), b.ravel(), strict=True))
        return np.array_equal(a, b, equal_nan=a.dtype.kind in "fc")
    return bool(a == b) or (a != a and b != b)


def arrays_of(value: Any) -> list[np.ndarray]:
    if isinstance(value, dict):
        return [array for part in value.values() for array in arrays_of(part)]
    if isinstance(value, tuple | list):
        return [array for part in value for array in arrays_of(part)]
    return [value] if isinstance(value, np.ndarray) else []


def outline(value: Any) -> str:
    """Dtypes and shapes rather than numbers."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {list(value.shape)}"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {outline(part)}" for key, part in value.items()) + "}"
    return repr(value)[:200] if value is None or isinstance(value, int | float | str) else type(value).__name__
