"""One policy in one vector environment: look, answer, step. The rollout and the evaluation both play through it."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from vldac.actions import actions_of, parse_actions, resolve
from vldac.batch import FrameFeatures
from vldac.config import EnvConfig, TrainConfig
from vldac.envs import make
from vldac.envs.catalogue import own_options
from vldac.generation import Responses
from vldac.policy import Policy
from vldac.prompting import Prompt, arrange
from vldac.spans import span

Window = tuple[FrameFeatures, ...]


def build_env(config: TrainConfig, num_envs: int | None = None) -> Any:
    """Return the vector environment of a configuration."""
    env = config.env
    return make_env(env, num_envs or env.num_envs, seed=config.seed, num_threads=env.num_threads)


def make_env(env: EnvConfig, num_envs: int, **arguments: Any) -> Any:
    """Return `num_envs` environments of a configuration; further arguments go to `make`."""
    options = own_options(env.id, env.options)
    if env.textures != "auto":
        options["textures"] = env.textures
    return make(
        env.id, num_envs, task=env.task, prompt=env.prompt, image_size=env.image_size, max_episode_steps=env.max_episode_steps,
        **arguments, **options,
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Answers:
    """What the policy said in R environments, and what it means there."""

    prompts: list[Prompt]
    windows: list[Window]
    said: Responses
    action: np.ndarray
    """[R] int64, fallback included"""
    status: np.ndarray
    """[R] uint8, `ParseStatus`"""
    is_valid: np.ndarray
    """[R] bool, False where the fallback acted"""


class FrameWindow:
    """The last `num_images` frames of each environment's running episode; every frame is encoded once."""

    def __init__(self, policy: Policy, num_envs: int, num_images: int) -> None:
        self._policy = policy
        self._shown: list[deque[FrameFeatures]] = [deque(maxlen=num_images) for _ in range(num_envs)]

    def see(self, images: np.ndarray, env_ids: Sequence[int] | np.ndarray) -> None:
        """Encode [R, height, width, 3] uint8 frames, one per environment, in one batch."""
        if not len(env_ids):
            return
        for e, features in zip(env_ids, self._policy.encode_frames(images), strict=True):
            self._shown[e].append(features)

    def forget(self, env_ids: Sequence[int] | np.ndarray) -> None:
        """An episode ended: its frames are not shown again."""
        for e in env_ids:
            self._shown[e].clear()

    def of(self, env: int) -> Window:
        """The frames that the environment's next prompt shows, oldest first."""
        return tuple(self._shown[env])

    def ending_with(self, images: np.ndarray, env_ids: np.ndarray) -> list[Window]:
        """Windows as they would be after these frames (final observations), which are not kept."""
        encoded = self._policy.encode_frames(images)
        windows = (deque(self._shown[e], maxlen=self._shown[e].maxlen) for e in env_ids)
        return [(*window, features)[-(window.maxlen or 1) :] for window, features in zip(windows, encoded, strict=True)]


class Player:
    """Plays `policy` in `env`, a vector environment with `prompts()` and `action_names`."""

    def __init__(self, policy: Policy, env: Any, config: TrainConfig) -> None:
        self.policy, self.env, self.config = policy, env, config
        self.window = FrameWindow(policy, env.num_envs, config.env.num_images)

    def prompts(self, messages: Sequence[Any], windows: Sequence[Window]) -> list[Prompt]:
        """Encode chat messages, each with its window's frames."""
        encode = self.policy.encoder.encode
        return [
            encode(arrange(message, len(window), self.config.env.prompt_layout), range(len(window)), window[0].grid)
            for message, window in zip(messages, windows, strict=True)
        ]

    def answer(self, env_ids: np.ndarray, seeds: torch.Tensor, counter: int, *, seed: int, shift: int = 0) -> Answers:
        """Respond to the present observations of `env_ids` [R].

        seeds: [R] int64, sampling seeds. The fallback draws from (seed, environment + shift, counter).
        """
        rollout, names = self.config.rollout, actions_of(self.env)
        with span("prompts"):
            messages = self.env.prompts()
            windows = [self.window.of(e) for e in env_ids]
            prompts = self.prompts([messages[e] for e in env_ids], windows)
        said = self.policy.act(
            prompts, windows, seeds=seeds, max_new_tokens=rollout.max_new_tokens, temperature=rollout.temperature,
            top_k=rollout.top_k,
        )  # fmt: skip
        with span("parse"):
            replies = self.policy.model_info.tokenizer.batch_decode(said.ids, skip_special_tokens=True)
            parsed, status = parse_actions(replies, names, self.config.env.parse_mode)
            parsed = np.where(said.has_end, parsed, -1)
            action = resolve(parsed, self.config.env.fallback, len(names), seed, env_ids + shift, counter)
        return Answers(prompts=prompts, windows=windows, said=said, action=action, status=status, is_valid=parsed >= 0)

    def observe(self, images: np.ndarray, ended: np.ndarray, env_ids: np.ndarray) -> None:
        """Move on to the next observations: images [R, height, width, 3] uint8, ended [R] bool."""
        self.window.forget(env_ids[ended])
        self.window.see(images, env_ids)
