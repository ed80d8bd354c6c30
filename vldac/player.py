"""One policy in one vector environment: look, answer, step. The rollout and the evaluation both play through it."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from vldac.actions import actions_of, parse_actions, resolve
from vldac.config import EnvConfig, TrainConfig
from vldac.envs import make
from vldac.envs.catalogue import own_options
from vldac.errors import ConfigError, EnvError
from vldac.frames import FrameStore, Window
from vldac.generation import Responses
from vldac.policy import Policy
from vldac.prompting import Prompt, arrange
from vldac.spans import span


def build_env(config: TrainConfig, num_envs: int | None = None) -> Any:
    """Return the vector environment of a configuration."""
    env = config.env
    rows = (
        {"batch_size": 1, "order": config.rollout.order} if config.rollout.mode == "async" and num_envs is None else {}
    )
    return make_env(env, num_envs or env.num_envs, seed=config.seed, num_threads=env.num_threads, **rows)


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


class Player:
    """Plays `policy` in `env`, a vector environment with `prompts()` and `action_names`."""

    def __init__(self, policy: Policy, env: Any, config: TrainConfig) -> None:
        self.policy, self.env, self.config = policy, env, config
        self.frames = FrameStore(policy, env.num_envs, config.env.num_images)
        self._prompts_of_some = takes_env_ids(env)
        self._room = policy.context - config.rollout.max_new_tokens
        """Tokens that a prompt may have"""
        if self._room < 1:
            raise ConfigError(
                expected=f"room for a prompt beside the response, in the model's context of {policy.context} tokens",
                got=f"responses of up to {config.rollout.max_new_tokens} tokens", where="rollout.max_new_tokens",
                do="lower rollout.max_new_tokens",
            )  # fmt: skip

    def ask(self, env_ids: np.ndarray) -> tuple[list[Prompt], list[Window]]:
        """Return the prompts of the present observations of `env_ids` [R], and the windows that they show."""
        with span("prompts"):
            if self._prompts_of_some:
                messages = self.env.prompts(env_ids)
            else:
                every = self.env.prompts()
                messages = [every[e] for e in env_ids]
            windows = [self.frames.window(e) for e in env_ids]
            return self.prompts(messages, windows, env_ids, [self.frames.ids(e) for e in env_ids]), windows

    def prompts(
        self, messages: Sequence[Any], windows: Sequence[Window], env_ids: np.ndarray, frames: Sequence[Sequence[int]] | None = None
    ) -> list[Prompt]:  # fmt: skip
        """Encode chat messages of `env_ids` [R], each with its window's frames. Raises EnvError if one does not fit the context."""
        encode = self.policy.encoder.encode
        prompts = []
        for row, (message, window) in enumerate(zip(messages, windows, strict=True)):
            ids = range(len(window)) if frames is None else frames[row]
            prompt = encode(arrange(message, len(window), self.config.env.prompt_layout), ids, window[0].grid)
            if len(prompt.ids) > self._room:
                self._refuse(int(env_ids[row]), len(prompt.ids))
            prompts.append(prompt)
        return prompts

    def _refuse(self, env: int, length: int) -> None:
        raise EnvError(
            expected=f"prompts of at most {self._room} tokens: the model's context of {self.policy.context} without "
            f"rollout.max_new_tokens {self.config.rollout.max_new_tokens}",
            got=f"{length} tokens from environment {env}", where=self.config.env.id,
            do="shorten the prompt's text, or lower env.num_images, env.image_size or rollout.max_new_tokens",
        )  # fmt: skip

    def answer(
        self, env_ids: np.ndarray, seeds: torch.Tensor, counter: int | np.ndarray, *, seed: int, shift: int = 0
    ) -> Answers:  # fmt: skip
        """Respond to the present observations of `env_ids` [R], all in one batch.

        seeds: [R] int64, sampling seeds. The fallback draws from (seed, environment + shift, counter).
        """
        rollout = self.config.rollout
        prompts, windows = self.ask(env_ids)
        said = self.policy.act(
            prompts, windows, seeds=seeds, max_new_tokens=rollout.max_new_tokens, temperature=rollout.temperature,
            top_k=rollout.top_k,
        )  # fmt: skip
        return self.read(prompts, windows, said, env_ids + shift, counter, seed=seed)

    def read(
        self, prompts: list[Prompt], windows: list[Window], said: Responses, env_ids: np.ndarray, counter: int | np.ndarray, *,
        seed: int,
    ) -> Answers:  # fmt: skip
        """Find the actions of R responses; the fallback draws from (seed, environment, counter), one counter for all or [R]."""
        names = actions_of(self.env)
        with span("parse"):
            replies = self.policy.model_info.tokenizer.batch_decode(said.ids, skip_special_tokens=True)
            parsed, status = parse_actions(replies, names, self.config.env.parse_mode)
            parsed = np.where(said.has_end, parsed, -1)
            action = resolve(parsed, self.config.env.fallback, len(names), seed, env_ids, counter)
        return Answers(prompts=prompts, windows=windows, said=said, action=action, status=status, is_valid=parsed >= 0)

    def observe(self, images: np.ndarray, ended: np.ndarray, env_ids: np.ndarray) -> None:
        """Move on to the next observations: images [R, height, width, 3] uint8, ended [R] bool."""
        self.frames.forget(env_ids[ended])
        self.frames.see(images, env_ids)


def takes_env_ids(env: Any) -> bool:
    """Whether `env.prompts` can be asked for some of the environments."""
    try:
        return "env_ids" in inspect.signature(env.prompts).parameters
    except (TypeError, ValueError):  # a callable that does not tell
        return False
