"""The data that crosses modules: one update's environment steps.

Legend: E environments, T steps of each in an update, S = E x T steps, environment-major (step i = e * T + t).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from vldac import _core
from vldac.frames import StepFeatures, Window
from vldac.prompting import Prompt
from vldac.tracks import Tracks


@dataclass(frozen=True, kw_only=True, slots=True)
class EpisodeEnd:
    """An episode that ended during the rollout."""

    success: bool
    episode_return: float
    length: int
    fault: str | None
    task_type: str = ""
    """Where the environment has several kinds of tasks (ALFWorld)"""
    score: float | None = None
    """Of 100, where the environment has one beside success (WebShop)"""


@dataclass(frozen=True, kw_only=True, slots=True)
class RolloutBatch:
    """One update's steps. Numbers, tokens and frames live in native memory; everything here is a view of it."""

    buffer: _core.RolloutBuffer
    """Columns of shape [S]: reward, value, final_value (float64), terminated, truncated, success, fault, is_valid, has_end
    (bool), action, num_tokens, episode, index (int64), status (uint8), entropy (float32); tokens and logprob [S, max tokens];
    frames [E, slots, height, width, 3] uint8."""
    prompts: list[Prompt]
    """[S]; steps with the same text share one object's tensors."""
    commands: list[str] = field(default_factory=list)
    """[S], what text environments were told in words; of others empty"""
    features: Sequence[Window]
    """[S]; the encoded frames of each step's prompt, oldest first. Read several at once with `features_of`."""
    bootstrap: np.ndarray
    """[E] float64, value of the observation after each environment's last step."""
    value_input: torch.Tensor
    """[S, H] in the model's dtype, on the policy's device: the hidden states that `buffer.value` was read from."""
    episodes: list[EpisodeEnd]
    seconds: dict[str, float]
    tracks: Tracks | None = None
    """Where the agents went, of a recorded update in an environment with a map."""
    stats: dict[str, float] = field(default_factory=dict)
    """What the rollout tells of itself, by the names of the metrics."""

    def __len__(self) -> int:
        return len(self.prompts)

    @property
    def segment_offsets(self) -> np.ndarray:
        """[E + 1] int64, first step of each environment."""
        return np.arange(self.buffer.num_envs + 1, dtype=np.int64) * self.buffer.steps

    def features_of(self, rows: Sequence[int] | np.ndarray) -> list[Window]:
        """Windows of steps `rows` [R]: features that playing made, or new ones, with a graph, where the vision tower is trained."""
        features = self.features
        return features.of(rows) if isinstance(features, StepFeatures) else [features[r] for r in rows]

    def response(self, i: int) -> torch.Tensor:
        """Sampled tokens of step i, [tokens] int64, a view."""
        return torch.from_numpy(self.buffer.tokens[i, : self.buffer.num_tokens[i]])

    def decode_logprob(self, i: int) -> torch.Tensor:
        """Log-probs under which step i's tokens were sampled, [tokens] float32, a view."""
        return torch.from_numpy(self.buffer.logprob[i, : self.buffer.num_tokens[i]])

    def lengths(self) -> np.ndarray:
        """[S] int64, tokens of prompt and response."""
        return np.array([len(p.ids) for p in self.prompts], np.int64) + self.buffer.num_tokens

    def frames(self, i: int) -> list[np.ndarray]:
        """Frames that step i's prompt shows, [height, width, 3] uint8 each, oldest first, views."""
        env, t = divmod(i, self.buffer.steps)
        end = self.buffer.num_images + t
        return list(self.buffer.frames[env, end - int(self.buffer.shown[i]) : end])
