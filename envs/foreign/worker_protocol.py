"""What the parent and a worker process say to each other.

At the start frames (length, msgpack) go both ways: what to make, which spaces came of it, how large the arrays are. From then on
each direction is a pipe of 8-byte messages; everything else lies in the segment. A pipe is a doorbell that also says which
environment is meant, in order, and its end of file says that the other side is gone. Commands carry a sequence number and can be
repeated: a worker answers a repeated one with the same result.
"""

from __future__ import annotations

import struct
from enum import IntEnum, IntFlag
from typing import Any

import gymnasium as gym
import numpy as np
from vldac.envs.foreign.shared_memory import Field, space_fields

MESSAGE = struct.Struct("<IBBH")
"""environment, `Command` or `Status`, `Mark`s, sequence number modulo 65536"""
LENGTH = struct.Struct("<I")
"""Size of the frame that follows, in bytes."""


class Command(IntEnum):
    """What a worker is asked to do with one environment."""

    STEP = 1
    RESET = 2
    """Begin the episode whose number is in `episode`."""
    RECOVER = 3
    """As RESET, after a fault: a stream that was lost is seeded by (seed, episode)."""
    CLOSE = 4


class Status(IntEnum):
    """How it went."""

    OK = 1
    FAULT = 2
    """The environment raised or returned nonsense; it is a fresh instance now."""
    HOPELESS = 3
    """No instance in this process can begin an episode: start the process anew."""


class Mark(IntFlag):
    """What a result holds besides the observation."""

    NONE = 0
    SLOT = 1
    """The observation is in the environment's second slot."""
    BEGAN = 2
    """The observation is the first of a new episode."""
    FINAL = 4
    """An episode ended in this step; its last observation is in the final slot."""
    INFO = 8
    """There is an info."""
    OBSERVED = 16
    """There is an observation; a fault may have none."""


def control_fields(num_envs: int, num_workers: int, info_bytes: int) -> list[Field]:
    """Return the arrays beside observations and actions; [E] is written by the environment's worker unless said."""

    def field(name: str, dtype: Any, *shape: int) -> Field:
        return Field(name, np.dtype(dtype), shape)

    return [
        field("reward", np.float64, num_envs), field("terminated", np.bool_, num_envs), field("truncated", np.bool_, num_envs),
        field("info", np.uint8, num_envs, info_bytes), field("info_length", np.int64, num_envs),
        field("seen", np.uint8, num_envs),  # by the parent: the slot (0 or 1) that is shown and must not be overwritten
        field("seed", np.int64, num_envs),  # by the parent
        field("episode", np.int64, num_envs),  # by the parent
        field("options", np.uint8, 1 << 16), field("options_length", np.int64, 1),  # by the parent, for all resets of a call
        field("beat_ns", np.int64, num_workers),  # monotonic clock at the last sign of life
        field("serving", np.int64, num_workers),  # the environment that a worker is in, or -1
    ]  # fmt: skip


def segment_fields(
    observation: gym.Space[Any],
    action: gym.Space[Any],
    *,
    num_envs: int,
    num_workers: int,
    info_bytes: int,
    text_bytes: int,
) -> list[Field]:
    """Return all arrays of the segment: slots k * num_envs + e, k = 0, 1 in turns, 2 final."""
    return [
        *control_fields(num_envs, num_workers, info_bytes),
        *space_fields(action, "action", num_envs, text_bytes),
        *space_fields(observation, "obs", 3 * num_envs, text_bytes),
    ]


def episode_seed(seed: int, episode: int) -> int:
    """Return what `reset(seed=...)` of a later episode gets: 31 bits of SeedSequence([seed, episode]); episode 0 gets `seed` itself.

    31 bits because many environments accept no more.
    """
    return seed if episode == 0 else int(np.random.SeedSequence([seed, episode]).generate_state(1)[0]) >> 1
