"""Environments: `make` a vector environment, `list_ids` what there is."""

from __future__ import annotations

import os
from typing import Any

from vldac.envs.catalogue import list_ids, native_options, native_spec
from vldac.envs.native import NativeVectorEnv
from vldac.errors import EnvError

__all__ = ["NativeVectorEnv", "list_ids", "make"]


def make(
    env_id: str,
    num_envs: int,
    *,
    seed: int = 0,
    num_threads: int | None = None,
    rng: str = "episode",
    task: str | None = None,
    prompt: str = "paper",
    image_size: tuple[int, int] | None = None,
    max_episode_steps: int | None = None,
    **options: Any,
) -> NativeVectorEnv:
    """Return a vector environment with same-step autoreset.

    rng: "episode" (episode 0 of environment i draws from PCG64(SeedSequence(s + i)), episode e from SeedSequence([s + i, e]))
    or "stream". task: None is upstream's environment, "vldac" adds the paper's step limit. image_size: (width, height) pixels,
    default 300x300. Raises EnvError for unknown ids and options.
    """
    spec = native_spec(env_id)
    native_options(spec, options)
    checks = {
        "num_envs": (num_envs >= 1, num_envs, "at least 1"),
        "rng": (rng in ("episode", "stream"), rng, "'episode' or 'stream'"),
        "task": (task in (None, "vldac"), task, "None or 'vldac'"),
        "prompt": (prompt in ("paper", "short"), prompt, "'paper' or 'short'"),
        "max_episode_steps": (max_episode_steps is None or max_episode_steps >= 1, max_episode_steps, "at least 1"),
        "image_size": (image_size is None or min(image_size) >= 28, image_size, "sides of at least 28 pixels"),
    }
    for name, (ok, value, expected) in checks.items():
        if not ok:
            raise EnvError(expected=expected, got=repr(value), where=f"make({env_id!r}), {name}", do="correct it")
    limit = max_episode_steps or (spec.task_episode_steps if task == "vldac" else spec.max_episode_steps)
    return NativeVectorEnv(
        env_id, num_envs, seed=seed, num_threads=num_threads or min(num_envs, os.cpu_count() or 1), rng=rng, task=task,
        prompt=prompt, image_size=_size(image_size), max_episode_steps=limit,
    )  # fmt: skip


def _size(given: tuple[int, int] | None) -> tuple[int, int]:
    width, height = given or (300, 300)
    return int(width), int(height)
