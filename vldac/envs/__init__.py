"""Environments: `make` a vector environment, `list_ids` what there is."""

from __future__ import annotations

from typing import Any

from vldac.envs.catalogue import list_ids
from vldac.envs.make_native import make_native
from vldac.envs.native import NativeVectorEnv

__all__ = ["NativeVectorEnv", "list_ids", "make"]


def make(env_id: str, num_envs: int, *, seed: int = 0, **options: Any) -> Any:
    """Return `num_envs` environments as one `gymnasium.vector.VectorEnv`, with same-step autoreset unless told otherwise.

    env_id: a native one (`list_ids`), "gymnasium:<id>" for a Python environment in worker processes, or "envpool:<id>".
    Options that all of them have: seed, num_threads, batch_size, order, autoreset_mode, rng, task, prompt, image_size,
    max_episode_steps; the others are described where each kind is made: `make_native`, `make_gymnasium`, `make_envpool`.
    Raises EnvError for unknown ids and options and for unusable values.
    """
    if env_id.startswith("gymnasium:"):
        from vldac.envs.foreign.gymnasium_env import make_gymnasium

        return make_gymnasium(env_id, num_envs, seed=seed, **options)
    if env_id.startswith("envpool:"):
        from vldac.envs.foreign.envpool_env import make_envpool

        return make_envpool(env_id, num_envs, seed=seed, **options)
    return make_native(env_id, num_envs, seed=seed, **options)
