"""The data that crosses modules: one environment step, and one update's worth of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from vldac.policy import FrameFeatures
from vldac.prompting import Prompt


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One environment step: what the model saw and said, and what came of it."""

    env: int
    episode: int
    index: int
    """Step number inside its episode, from 0."""
    prompt: Prompt
    features: tuple[FrameFeatures, ...]
    frames: tuple[np.ndarray, ...]
    """[height, width, 3] uint8 each, oldest first; references, never copies"""
    prompt_text: str
    response: torch.Tensor
    """[tokens] int64"""
    old_logprob: torch.Tensor
    """[tokens] float32"""
    response_text: str
    action: int
    parse_status: str
    is_valid: bool
    has_end: bool
    entropy: float
    value: float
    reward: float = 0.0
    terminated: bool = False
    truncated: bool = False
    final_value: float = 0.0
    """Value of the final observation where the episode was truncated."""
    success: bool | None = None
    """The environment's own notion, at the end of an episode."""
    fault: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class RolloutBatch:
    """S environment steps, environment-major: environment e's steps are contiguous and in time order."""

    steps: list[Step]
    segment_offsets: np.ndarray
    """[E + 1] int64, first step of each environment"""
    bootstrap: np.ndarray
    """[E] float64, value of the observation after each environment's last step"""
    episodes: list[EpisodeEnd]
    seconds: dict[str, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class EpisodeEnd:
    """An episode that ended during the rollout."""

    success: bool
    episode_return: float
    length: int
    fault: str | None
