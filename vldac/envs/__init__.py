"""Environments: `make` a vector environment, `list_ids` what there is."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from vldac import _core
from vldac.envs.native import TASK_STEP_LIMITS, NativeVectorEnv
from vldac.errors import EnvError, nearest

if TYPE_CHECKING:
    from gymnasium.vector import VectorEnv

__all__ = ["NativeVectorEnv", "list_ids", "make"]


def list_ids() -> list[str]:
    """Return the ids of the native environments."""
    ids: list[str] = _core.env_ids()
    return ids


def make(
    env_id: str,
    num_envs: int,
    *,
    seed: int = 0,
    num_threads: int | None = None,
    rng: str | None = None,
    task: str | None = None,
    prompt: Any = "paper",
    image_size: tuple[int, int] | None = None,
    max_episode_steps: int | None = None,
    **options: Any,
) -> Any:
    """Return a vector environment with same-step autoreset.

    rng: "episode" (episode 0 of environment i draws from PCG64(SeedSequence(s + i)), episode e from SeedSequence([s + i, e])) or
    "stream"; None is "episode" (EnvPool has "stream" only). task: None is upstream's environment, "vldac" adds the paper's step
    limit. image_size: (width, height) pixels, default 300x300. Raises EnvError for unknown ids and options.
    "gymnasium:<id>" makes a Python environment in worker processes, "envpool:<id>" one of EnvPool's; see `make_gymnasium` and
    `make_envpool` for their options.
    """
    if env_id.startswith(("gymnasium:", "envpool:")):
        given = {
            "seed": seed,
            "num_threads": num_threads,
            "rng": rng,
            "task": task,
            "prompt": prompt,
            "image_size": image_size,
        }
        return _make_foreign(env_id, num_envs, given | {"max_episode_steps": max_episode_steps} | options)
    if env_id not in list_ids():
        raise EnvError(
            expected=f"one of {', '.join(list_ids())}{nearest(env_id, list_ids())}",
            got=repr(env_id), where="environment id", do="run `vldac envs` to list them; gymnasium:<id> reaches others",
        )  # fmt: skip
    if options:
        raise EnvError(
            expected="options rng, task, prompt, image_size, max_episode_steps, num_threads, seed",
            got=", ".join(sorted(options)), where=f"make({env_id!r})", do="remove them; they are not implemented",
        )  # fmt: skip
    checks = {
        "num_envs": (num_envs >= 1, num_envs, "at least 1"),
        "rng": (rng in (None, "episode", "stream"), rng, "'episode' or 'stream'"),
        "task": (task in (None, "vldac"), task, "None or 'vldac'"),
        "prompt": (prompt in ("paper", "short"), prompt, "'paper' or 'short'"),
        "max_episode_steps": (max_episode_steps is None or max_episode_steps >= 1, max_episode_steps, "at least 1"),
        "image_size": (image_size is None or min(image_size) >= 28, image_size, "sides of at least 28 pixels"),
    }
    for name, (ok, value, expected) in checks.items():
        if not ok:
            raise EnvError(expected=expected, got=repr(value), where=f"make({env_id!r}), {name}", do="correct it")
    limit = max_episode_steps or (TASK_STEP_LIMITS[env_id] if task == "vldac" else 300)
    return NativeVectorEnv(
        env_id, num_envs, seed=seed, num_threads=num_threads or min(num_envs, os.cpu_count() or 1), rng=rng or "episode", task=task,
        prompt=prompt, image_size=_size(image_size), max_episode_steps=limit,
    )  # fmt: skip


def _make_foreign(env_id: str, num_envs: int, options: dict[str, Any]) -> VectorEnv[Any, Any, Any]:
    if env_id.startswith("envpool:"):
        from vldac.envs.envpool_env import make_envpool

        return make_envpool(env_id, num_envs, **options)
    from vldac.envs.gymnasium_env import make_gymnasium

    return make_gymnasium(env_id, num_envs, **options)


def _size(given: tuple[int, int] | None) -> tuple[int, int]:
    width, height = given or (300, 300)
    return int(width), int(height)
