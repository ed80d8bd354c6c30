"""Infos of single environments as one dictionary of arrays with masks, laid out as `gymnasium.vector.SyncVectorEnv` does."""

from __future__ import annotations

from typing import Any

import numpy as np


def add_info(batch: dict[str, Any], info: dict[str, Any], row: int, count: int) -> dict[str, Any]:
    """Add one environment's info to `batch` at `row` of `count`; returns `batch`.

    Every key gets an array [count] (numbers and arrays of their dtype, everything else objects; dictionaries are batched inside)
    and a mask "_key" [count] bool. (Gymnasium's own `_add_info` sizes by the number of environments; a batch may be smaller.)
    """
    for key, value in info.items():
        if key == "final_obs":
            array = batch.get(key)
            array = np.full(count, None, dtype=object) if array is None else array
            array[row] = value
        elif isinstance(value, dict):
            array = add_info(batch.get(key, {}), value, row, count)
        else:
            array = batch[key] if key in batch else _empty(value, count)
            array[row] = value
        mask = batch.get(f"_{key}")
        mask = np.zeros(count, np.bool_) if mask is None else mask
        mask[row] = True
        batch[key], batch[f"_{key}"] = array, mask
    return batch


def _empty(value: Any, count: int) -> np.ndarray:
    if type(value) in (int, float, bool) or isinstance(value, np.number):
        return np.zeros(count, dtype=type(value))
    if isinstance(value, np.ndarray):
        return np.zeros((count, *value.shape), dtype=value.dtype)
    return np.full(count, None, dtype=object)
