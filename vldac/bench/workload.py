"""What the throughput benchmarks run: a model, prompts of a length, a trainer whose responses all have the same length."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from vldac.bench.arguments import ThroughputArguments
from vldac.config import EnvConfig, TinyConfig, TrainConfig
from vldac.configuration import parse_config

if TYPE_CHECKING:
    from vldac.data import RolloutBatch
    from vldac.model import VisionLanguageModel

VOCABULARY = 2_048
"""Head rows of the tiny model; its tokenizer has fewer ids."""
_CONTAINERS = ("update", "collect")
"""Spans that hold others."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """One size of the tiny model with its response length, and what the project wants there beside the original."""

    hidden: int
    layers: int
    tokens: int
    all_in_at_least: float | None = None
    all_in_goal: float | None = None
    rollout_at_least: float | None = None

    def __str__(self) -> str:
        return f"hidden {self.hidden} x {self.layers} layers, {self.tokens} tokens"


SHAPES = (
    Shape(hidden=64, layers=2, tokens=32, all_in_at_least=12, all_in_goal=15, rollout_at_least=20),
    Shape(hidden=256, layers=4, tokens=32, all_in_at_least=9, all_in_goal=12, rollout_at_least=15),
    Shape(hidden=128, layers=3, tokens=128, all_in_at_least=8, all_in_goal=12, rollout_at_least=15),
)
TOY = Shape(hidden=32, layers=1, tokens=4)


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """One round of one side."""

    steps: int
    rollout: float
    """Environment steps per second of the rollout alone (on the other side without its reference pass)."""
    all_in: float | None
    """The same of rollout, reference and update; None where there was no update."""
    rollout_cpu: float
    all_in_cpu: float | None
    """The same two per second of processor time, all threads: on a busy machine the steadier measure, for the CPU's work alone."""
    seconds: Mapping[str, float]
    """By part; "rest" is what no part holds. They add up to the round."""
    peak_bytes: int | None = None
    """Most of the GPU's memory that was allocated in the round."""


# -- the model -------------------------------------------------------------------------------------------------------


def tiny_folder(folder: Path, shape: Shape, texts: Sequence[str], arguments: ThroughputArguments) -> Path:
    """Write a Qwen2-VL with random weights and return the folder.

    Its tokenizer has as many merges as cut the longest of `texts`, with the chat format and the images, to `prompt_tokens` or less,
    or as near as merging gets: a token never spans two words.
    """
    from vldac import tiny

    longest = max(texts, key=len)
    content = [{"type": "image"}] * arguments.num_images + [{"type": "text", "text": longest}]
    per_image = _image_tokens(arguments)

    def tokens(tokenizer: Any) -> int:
        text = tokenizer.apply_chat_template(
            [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
        )
        return len(tokenizer(text).input_ids) + arguments.num_images * (per_image - 1)

    low, high = 257, VOCABULARY - 64
    while low < high:  # more merges, fewer tokens
        middle = (low + high) // 2
        if tokens(tiny.build_tokenizer(texts, middle)) > arguments.prompt_tokens:
            low = middle + 1
        else:
            high = middle
    tokenizer = tiny.build_tokenizer(texts, low)
    model = tiny.build_model(tokenizer, TinyConfig(hidden_size=shape.hidden, num_layers=shape.layers), seed=0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model.resize_token_embeddings(VOCABULARY, mean_resizing=False)
        tiny.fan_in_init(model)
    # The original bans no id: a placeholder that a random model says ends its loop. A row of zeros is never the largest.
    with torch.no_grad():
        model.get_output_embeddings().weight[tokenizer.convert_tokens_to_ids(list(tiny.SPECIAL_TOKENS))] = 0.0
    tiny.save(folder, model, tokenizer)
    return folder


def _image_tokens(arguments: ThroughputArguments) -> int:
    from vldac import tiny
    from vldac.player import make_env
    from vldac.vision import image_spec, smart_resize

    env = make_env(EnvConfig(id=arguments.env_id, image_size=arguments.image_size), 1, num_threads=1)
    width, height = env.image_size
    env.close()
    spec = image_spec(tiny.build_image_processor().to_dict())
    height, width = smart_resize(height, width, spec)
    return (height // spec.factor) * (width // spec.factor)


def own_texts(arguments: ThroughputArguments) -> list[str]:
    """The text of the environment's first prompt."""
    from vldac.player import make_env

    env = make_env(EnvConfig(id=arguments.env_id, image_size=arguments.image_size), 1, num_threads=1)
    env.reset(seed=0)
    texts = [part["text"] for message in env.prompts()[0] for part in message["content"] if "text" in part]
    env.close()
    return ["".join(texts)]


# -- the configuration -----------------------------------------------------------------------------------------------


def configuration(arguments: ThroughputArguments, model: str, tokens: int, overrides: Mapping[str, Any]) -> TrainConfig:
    """The settings of one side of ours: the paper's, every update a full one. Raises ConfigError for what cannot work."""
    import yaml

    is_tiny = arguments.model is None
    settings: dict[str, Any] = {
        "model.name": model, "model.dtype": arguments.dtype or ("float32" if is_tiny else "bfloat16"),
        "model.random_weights": arguments.random_weights,
        "env.id": arguments.env_id, "env.num_envs": arguments.num_envs, "env.num_images": arguments.num_images,
        "env.image_size": None if arguments.image_size is None else list(arguments.image_size),
        "env.num_threads": arguments.threads, "rollout.steps_per_update": arguments.steps, "rollout.max_new_tokens": tokens,
        "algorithm.timeout": "terminal", "optim.epochs": arguments.epochs, "optim.warmup_updates": 0, "eval.episodes": 0,
        "device": arguments.device, "num_threads": arguments.threads,
    }  # fmt: skip
    chosen = dict(item.partition("=")[::2] for item in arguments.set)
    return parse_config(
        "", where=f"vldac bench {arguments.name}",
        overrides=settings | dict(overrides) | {key: yaml.safe_load(value) for key, value in chosen.items()},
    )  # fmt: skip


# -- our side --------------------------------------------------------------------------------------------------------


class WithTexts:
    """A vector environment whose prompts say other texts: `texts[k]` with k + 1 pictures."""

    def __init__(self, env: Any, texts: Sequence[str]) -> None:
        self._env, self._texts = env, texts
        self._taken = np.zeros(env.num_envs, np.int64)
        """Steps of the running episodes."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._env, name)

    def reset(self, **options: Any) -> Any:
        """As the environment."""
        self._taken[:] = 0
        return self._env.reset(**options)

    def step(self, actions: np.ndarray) -> Any:
        """As the environment."""
        result = self._env.step(actions)
        self._moved(np.arange(len(self._taken)), result[2] | result[3])
        return result

    def recv(self, *arguments: Any, **options: Any) -> Any:
        """As the environment."""
        result = self._env.recv(*arguments, **options)
        self._moved(np.asarray(result[4]["env_id"]), result[2] | result[3])
        return result

    def _moved(self, env_ids: np.ndarray, ended: np.ndarray) -> None:
        self._taken[env_ids] = np.where(ended, 0, self._taken[env_ids] + 1)

    def prompts(self, env_ids: np.ndarray | None = None) -> list[list[dict[str, Any]]]:
        """The environment's messages with the other text."""
        rows = np.arange(len(self._taken)) if env_ids is None else np.asarray(env_ids)
        texts = [self._texts[min(taken, len(self._texts) - 1)] for taken in self._taken[rows]]
        return [
            [{**message, "content": _with_text(message["content"], text)} for message in messages]
            for messages, text in zip(self._env.prompts(rows), texts, strict=True)
        ]


def _with_text(content: list[dict[str, Any]], text: str) -> list[dict[str, Any]]:
    return [part for part in content if "text" not in part] + [{"type": "text", "text": text}]


class Ours:
    """A trainer whose rounds are timed."""

    def __init__(
        self, config: TrainConfig, texts: Sequence[str] | None = None, model: VisionLanguageModel | None = None
    ) -> None:
        """texts: see `WithTexts`; None leaves the environment's own. model: None loads what the configuration names."""
        from vldac.player import build_env
        from vldac.trainer import Trainer

        env = build_env(config)
        self.trainer = Trainer(config, model, env if texts is None else WithTexts(env, texts))
        policy = self.trainer.policy
        # What ends a response is banned, in sampling and in scoring alike: every response runs to its limit.
        policy.banned_ids = torch.unique(torch.cat([policy.banned_ids, policy.end_ids]))
        self.prompt_tokens = 0
        """Of the longest prompt so far."""
        self.facts: dict[str, Any] = {}

    def warm_up(self, *, has_update: bool) -> None:
        """A whole round, in which the first update's checks run, too."""
        self.round(has_update=has_update)

    def round(self, *, has_update: bool) -> Sample:
        """One rollout, and with `has_update` the update on it. Raises RuntimeError if a response is shorter than its limit."""
        is_cuda = self.trainer.device.type == "cuda"
        if is_cuda:
            torch.cuda.reset_peak_memory_stats(self.trainer.device)
        rollout_s, rollout_cpu_s, batch = self._timed(self.trainer.collect)
        update_s, update_cpu_s, metrics = (
            self._timed(lambda: self.trainer.update(batch)) if has_update else (0.0, 0.0, {})
        )
        self._check(batch)
        total, steps = rollout_s + update_s, len(batch)
        times = {f"time/{name}_s": value for name, value in batch.seconds.items()} | metrics
        parts = {key[5:-2]: value for key, value in times.items() if key.startswith("time/") and key.endswith("_s")}
        parts = {name: value for name, value in parts.items() if name not in _CONTAINERS}
        parts["rest"] = total - sum(parts.values())
        return Sample(
            steps=steps, rollout=steps / rollout_s, all_in=steps / total if has_update else None, rollout_cpu=steps / rollout_cpu_s,
            all_in_cpu=steps / (rollout_cpu_s + update_cpu_s) if has_update else None, seconds=parts,
            peak_bytes=torch.cuda.max_memory_allocated(self.trainer.device) if is_cuda else None,
        )  # fmt: skip

    def _timed(self, function: Callable[[], Any]) -> tuple[float, float, Any]:
        """Seconds by the clock, seconds of processor time, result."""
        start, cpu = time.perf_counter(), time.process_time()
        result = function()
        if self.trainer.device.type == "cuda":
            torch.cuda.synchronize(self.trainer.device)
        return time.perf_counter() - start, time.process_time() - cpu, result

    def _check(self, batch: RolloutBatch) -> None:
        limit = self.trainer.config.rollout.max_new_tokens
        lengths = set(batch.buffer.num_tokens.tolist())
        if lengths != {limit}:
            raise RuntimeError(f"responses of {sorted(lengths)} tokens, not {limit}")
        self.prompt_tokens = max(self.prompt_tokens, *(len(prompt.ids) for prompt in batch.prompts))

    def close(self) -> None:
        """Stop the environment's threads."""
        self.trainer.close()
