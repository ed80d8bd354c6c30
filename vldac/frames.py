"""Frames and what the vision tower says of them: each goes through the tower once, for as long as the tower stands still.

While no weight of the tower is trained or moves, a frame is preprocessed and encoded when it is first seen, and its features serve
every prompt that shows it, the bootstrap, the reference and every epoch; windows cross an update as they are, and a checkpoint holds
them. A tower that is trained switches this off by itself: features are then made anew whenever they are used, from the frames' bytes
in the rollout buffer, with a graph where gradients are on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from vldac import _core
from vldac.batch import FrameFeatures

if TYPE_CHECKING:
    from vldac.policy import Policy

Window = tuple[FrameFeatures, ...]
"""The frames that one prompt shows, oldest first."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame that was seen."""

    id: int
    """Frames of its environment before it * number of environments + environment: never used twice in a run"""
    features: FrameFeatures


class FrameStore:
    """The last `num_images` frames of each environment's running episode, with their features."""

    def __init__(self, policy: Policy, num_envs: int, num_images: int) -> None:
        self._policy, self.num_images = policy, num_images
        self.version = policy.tower_version()
        """Of the vision tower when the oldest of the features was made."""
        self.shown: list[deque[Frame]] = [deque(maxlen=num_images) for _ in range(num_envs)]
        self.seen = [0] * num_envs
        """Frames of each environment so far"""

    @property
    def device(self) -> torch.device:
        """Where the features are."""
        return self._policy.device

    def restore(self, shown: list[deque[Frame]], seen: list[int]) -> None:
        """Take what another store showed, made by the tower as it is now."""
        self.shown, self.seen, self.version = shown, seen, self._policy.tower_version()

    @property
    def is_current(self) -> bool:
        """False once the vision tower has moved: features that were made before are no longer its own."""
        return self.version == self._policy.tower_version()

    @torch.no_grad()
    def see(self, images: np.ndarray, env_ids: Sequence[int] | np.ndarray) -> None:
        """Encode [R, height, width, 3] uint8 frames, one per environment, in one batch."""
        if not len(env_ids):
            return
        if not any(self.shown):
            self.version = self._policy.tower_version()
        for e, features in zip(map(int, env_ids), self._policy.encode_frames(images), strict=True):
            self.shown[e].append(Frame(self.seen[e] * len(self.seen) + e, features))
            self.seen[e] += 1

    def forget(self, env_ids: Sequence[int] | np.ndarray) -> None:
        """An episode ended: its frames are not shown again."""
        for e in env_ids:
            self.shown[e].clear()

    def window(self, env: int) -> Window:
        """What the environment's next prompt shows."""
        return tuple(frame.features for frame in self.shown[env])

    def ids(self, env: int) -> tuple[int, ...]:
        """Ids of the frames that the environment's next prompt shows."""
        return tuple(frame.id for frame in self.shown[env])

    @torch.no_grad()
    def ending_with(self, images: np.ndarray, env_ids: np.ndarray) -> list[Window]:
        """Windows as they would be after these frames (final observations, which no later prompt shows)."""
        encoded = self._policy.encode_frames(images)
        return [(*self.window(e), features)[-self.num_images :] for e, features in zip(env_ids, encoded, strict=True)]


class StepFeatures(Sequence[Window]):
    """The windows of an update's steps: those that playing made, or new ones where the vision tower is trained or has moved."""

    def __init__(self, policy: Policy, buffer: _core.RolloutBuffer, windows: list[list[Window]], version: int) -> None:
        """windows: per environment, one per step. version: of the tower that made them."""
        self._policy, self._buffer, self._windows, self._version = policy, buffer, windows, version

    def __len__(self) -> int:
        return self._buffer.num_envs * self._buffer.steps

    def __getitem__(self, step: int) -> Window:  # type: ignore[override]
        if not 0 <= step < len(self):
            raise IndexError(step)
        return self.of([step])[0]

    def __iter__(self) -> Iterator[Window]:
        return iter(self.of(range(len(self))))

    def of(self, rows: Sequence[int] | np.ndarray) -> list[Window]:
        """Return the windows of steps `rows` [R]; where they are made anew, each frame once, in one batch."""
        policy, steps = self._policy, self._buffer.steps
        places = [divmod(int(row), steps) for row in rows]
        if not policy.is_tower_trained and policy.tower_version() == self._version:
            return [self._windows[e][t] for e, t in places]
        slots = [self._slots(e, t) for e, t in places]
        distinct = {slot: number for number, slot in enumerate(dict.fromkeys(s for own in slots for s in own))}
        images = np.stack([self._buffer.frames[slot] for slot in distinct])
        encoded = policy.encode_frames(images)
        return [tuple(encoded[distinct[slot]] for slot in own) for own in slots]

    def _slots(self, env: int, t: int) -> list[tuple[int, int]]:
        """(environment, slot in the buffer) of the frames that a step shows."""
        end = self._buffer.num_images + t
        return [(env, slot) for slot in range(end - int(self._buffer.shown[env * self._buffer.steps + t]), end)]
