"""Where agents went while an update was collected, in environments with a map: what the trajectory page draws.

Only updates that are recorded are tracked. Nothing here reaches the policy or the loss, and no checkpoint holds it: an update that
was interrupted between two of its steps has no poses for the steps before, and no map of the episodes that were running.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

MAP_SIZE = (256, 192)
"""(width, height) of a map in pixels."""


@dataclass(frozen=True, slots=True)
class MapView:
    """A world from above at an episode's first recorded step."""

    picture: np.ndarray
    """[height, width, 3] uint8"""
    frame: tuple[float, float, float, float]
    """(min_x, min_z, scale_x, scale_z): a point (x, z) is at column (x - min_x) * scale_x, row (z - min_z) * scale_z"""


@dataclass(frozen=True, slots=True)
class Tracks:
    """Of one update's steps, environment-major."""

    poses: np.ndarray
    """[S, 3] float64: x, z in metres and heading in radians when the step's picture was seen; NaN where it was not tracked"""
    maps: dict[tuple[int, int], MapView]
    """By environment and episode."""


class Tracker:
    """Follows the environments of a rollout through one update."""

    def __init__(self, env: Any, steps: int) -> None:
        self.env, self.steps = env, steps
        self.poses = np.full((env.num_envs, steps, 3), np.nan)
        self.maps: dict[tuple[int, int], MapView] = {}

    def see(self, env_ids: np.ndarray, step: np.ndarray, episodes: np.ndarray, is_new: np.ndarray) -> None:
        """Note the poses of `env_ids` [R] before steps `step` [R] of the update; if `is_new` [R], also the maps of `episodes` [R]."""
        self.poses[env_ids, step] = self.env.poses(env_ids)
        envs = env_ids[is_new]
        if len(envs):
            pictures, frames = self.env.map_view(*MAP_SIZE, envs)
            for e, episode, picture, frame in zip(
                envs.tolist(), episodes[is_new].tolist(), pictures, frames.tolist(), strict=True
            ):
                self.maps[e, episode] = MapView(picture.copy(), _frame(frame))

    def tracks(self) -> Tracks:
        """What was noted."""
        return Tracks(self.poses.reshape(-1, 3), self.maps)


def has_map(env: Any) -> bool:
    """Whether a vector environment can tell where its agents are."""
    return bool(getattr(env, "has_map", False))


def _frame(values: Sequence[float]) -> tuple[float, float, float, float]:
    min_x, min_z, scale_x, scale_z = values
    return min_x, min_z, scale_x, scale_z
