"""One policy in one vector environment: look, answer, step. The rollout and the evaluation both play through it."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import numpy as np
import torch

from vldac.config import EnvConfig, TrainConfig
from vldac.envs import make
from vldac.envs.catalogue import own_options
from vldac.errors import ConfigError, EnvError
from vldac.frames import FrameStore, Window
from vldac.generation import Responses
from vldac.moves import Moves, read_moves
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


def held_out(config: TrainConfig) -> TrainConfig:
    """Return the configuration of an evaluation, whose environment has the options of config.eval beside its own."""
    return replace(config, env=replace(config.env, options=config.env.options | config.eval.options))


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
class Asked:
    """What R environments ask the policy."""

    env_ids: np.ndarray
    """[R] int64"""
    prompts: list[Prompt]
    windows: list[Window]
    fits: np.ndarray
    """[R] bool, False where the model's context has no room for the prompt and a response"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answers:
    """What the policy said in R environments, and what it means there."""

    prompts: list[Prompt]
    windows: list[Window]
    said: Responses
    moves: Moves


class Player:
    """Plays `policy` in `env`, a vector environment with `prompts()` and `action_names`, or `commands()` in words."""

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

    def ask(self, env_ids: np.ndarray) -> Asked:
        """Return the prompts of the present observations of `env_ids` [R], none of which may be in flight."""
        with span("prompts"):
            if self._prompts_of_some:
                messages = self.env.prompts(env_ids)
            else:
                every = self.env.prompts()
                messages = [every[e] for e in env_ids]
            windows = [self.frames.window(e) for e in env_ids]
            prompts = self.prompts(messages, windows, [self.frames.ids(e) for e in env_ids])
        fits = np.array([len(prompt.ids) <= self._room for prompt in prompts], bool)
        return Asked(env_ids=env_ids, prompts=prompts, windows=windows, fits=fits)

    def prompts(
        self, messages: Sequence[Any], windows: Sequence[Window], frames: Sequence[Sequence[int]] | None = None
    ) -> list[Prompt]:
        """Encode chat messages, each with its window's frames; frames: their ids, where somebody wants to know them."""
        encode, layout = self.policy.encoder.encode, self.config.env.prompt_layout
        ids = frames or [range(len(window)) for window in windows]
        return [
            encode(arrange(message, len(window), layout), own, window[0].grid)
            for message, window, own in zip(messages, windows, ids, strict=True)
        ]

    def refuse(self, env: int, length: int) -> NoReturn:
        """Raise EnvError for a prompt of `length` tokens, which does not fit the context, from environment `env`."""
        raise EnvError(
            expected=f"prompts of at most {self._room} tokens: the model's context of {self.policy.context} without "
            f"rollout.max_new_tokens {self.config.rollout.max_new_tokens}",
            got=f"{length} tokens at the start of an episode of environment {env}", where=self.config.env.id,
            do="shorten the prompt's text, or lower env.num_images, env.image_size or rollout.max_new_tokens",
        )  # fmt: skip

    def answer(
        self, asked: Asked, seeds: torch.Tensor, counter: int | np.ndarray, *, seed: int, shift: int = 0
    ) -> Answers:
        """Respond to R prompts, all in one batch.

        seeds: [R] int64, sampling seeds. The fallback draws from (seed, environment + shift, counter).
        """
        rollout = self.config.rollout
        said = self.policy.act(
            asked.prompts, asked.windows, seeds=seeds, max_new_tokens=rollout.max_new_tokens, temperature=rollout.temperature,
            top_k=rollout.top_k,
        )  # fmt: skip
        return self.read(asked, said, counter, seed=seed, shift=shift)

    def read(self, asked: Asked, said: Responses, counter: int | np.ndarray, *, seed: int, shift: int = 0) -> Answers:
        """Find the moves in R responses; the fallback draws from (seed, environment + shift, counter), one counter for all or [R]."""
        with span("parse"):
            replies = self.policy.model_info.tokenizer.batch_decode(said.ids, skip_special_tokens=True)
            moves = read_moves(
                self.env, replies, asked.env_ids, mode=self.config.env.parse_mode, fallback=self.config.env.fallback, seed=seed,
                counter=counter, shift=shift, has_end=said.has_end,
            )  # fmt: skip
        return Answers(prompts=asked.prompts, windows=asked.windows, said=said, moves=moves)

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
