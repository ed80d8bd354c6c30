"""Where agents went and what they clicked while an update was collected: what the trajectory page draws.

Only updates that are recorded are tracked. Nothing here reaches the policy or the loss, and no checkpoint holds it: an update that
was interrupted between two of its steps has no poses for the steps before, and no map of the episodes that were running.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vldac.moves import is_text

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
    boxes: np.ndarray
    """[S, 4] int64: x, y, width and height in pixels of what the step's command points to on its last frame; -1 where nothing"""


class Tracker:
    """Follows the environments of a rollout through one update."""

    def __init__(self, env: Any, steps: int) -> None:
        self.env, self.steps = env, steps
        self.poses = np.full((env.num_envs, steps, 3), np.nan)
        self.maps: dict[tuple[int, int], MapView] = {}
        self.boxes = np.full((env.num_envs, steps, 4), -1)
        self._has_map, self._points = has_map(env), points(env)

    def see(self, env_ids: np.ndarray, step: np.ndarray, episodes: np.ndarray, is_new: np.ndarray) -> None:
        """Note the poses of `env_ids` [R] before steps `step` [R] of the update; if `is_new` [R], also the maps of `episodes` [R]."""
        if not self._has_map:
            return
        self.poses[env_ids, step] = self.env.poses(env_ids)
        envs = env_ids[is_new]
        if len(envs):
            pictures, frames = self.env.map_view(*MAP_SIZE, envs)
            for e, episode, picture, frame in zip(
                envs.tolist(), episodes[is_new].tolist(), pictures, frames.tolist(), strict=True
            ):
                self.maps[e, episode] = MapView(picture.copy(), _frame(frame))

    def point(self, env_ids: np.ndarray, step: np.ndarray, commands: Sequence[str] | None) -> None:
        """Note what `commands` [R] point to on the pictures of `env_ids` [R], which are not told of them yet."""
        if self._points and commands is not None:
            self.boxes[env_ids, step] = self.env.locate(commands, env_ids)

    def tracks(self) -> Tracks:
        """What was noted."""
        return Tracks(self.poses.reshape(-1, 3), self.maps, self.boxes.reshape(-1, 4))


def has_map(env: Any) -> bool:
    """Whether a vector environment can tell where its agents are."""
    return bool(getattr(env, "has_map", False))


def points(env: Any) -> bool:
    """Whether a vector environment can tell what commands point to on its pictures."""
    return is_text(env) and hasattr(env, "locate")


def _frame(values: Sequence[float]) -> tuple[float, float, float, float]:
    min_x, min_z, scale_x, scale_z = values
    return min_x, min_z, scale_x, scale_z
