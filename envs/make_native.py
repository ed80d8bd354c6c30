"""Making a native environment: options, their checks and defaults."""

from __future__ import annotations

import math
import os
from typing import Any

from gymnasium.vector import AutoresetMode
from vldac.envs.catalogue import native_options, native_spec
from vldac.envs.file_worlds import choose
from vldac.envs.native import PATCH_DTYPES, NativeConfig, NativeVectorEnv
from vldac.envs.prompts import styles
from vldac.envs.vector_arguments import mode_of

from vldac._core import EnvSpec
from vldac.errors import EnvError
from vldac.vision import ImageSpec
from vldac.vision import image_spec as image_spec_of


def make_native(
    env_id: str,
    num_envs: int,
    *,
    seed: int = 0,
    num_threads: int | None = None,
    batch_size: int | None = None,
    order: str = "fifo",
    autoreset_mode: AutoresetMode | str = AutoresetMode.SAME_STEP,
    rng: str | None = None,
    task: str | None = None,
    prompt: str = "paper",
    image_size: tuple[int, int] | None = None,
    image_format: str = "hwc",
    image_spec: Any = None,
    max_episode_steps: int | None = None,
    step_timeout: float = 60.0,
    max_ring_bytes: int = 2**30,
    may_caller_step: bool = True,
    failure_reward: float | None = None,
    textures: str = "auto",
    render_mode: str | None = None,
    **options: Any,
) -> NativeVectorEnv:
    """Return a pool of native environments.

    num_threads: C++ threads that step the environments (default: one per core, at most one per environment).
    batch_size: rows of a `recv` (default: all). order: "fifo" receives in the order of `send` (reproducible), "ready" as
    environments finish. autoreset_mode: Gymnasium's SAME_STEP, NEXT_STEP or DISABLED.
    rng: "episode" (episode 0 of environment i draws from PCG64(SeedSequence(s + i)), episode e from SeedSequence([s + i, e]))
    or "stream" (one stream per environment, as upstream). task: None is upstream's environment, "vldac" adds the paper's step
    limit, actions and rewards. failure_reward: the last reward of an episode that ends with none above 0 (default: the task's
    own). image_size: (width, height) pixels, default the environment's own. image_format: "hwc" gives obs["image"] as uint8 pixels;
    "patches" (float32), "patches_bf16" (through DLPack only) and "patches_u8" (for a folded patch embedding, `vldac.fold`) give
    obs["pixel_values"], ready for the checkpoint whose image processor, or `vldac.vision.ImageSpec`, is image_spec.
    max_episode_steps: 0 for no limit. step_timeout: seconds that one environment call may take. max_ring_bytes: cap of the
    memory of batches that are held by views. may_caller_step: False never steps on the calling thread (by default it does where
    an environment declares every call short and waking a thread would cost more). textures: "miniworld" (the
    installed package's), "builtin", or "auto" (the first of these that is there; `env.textures` says which), for environments that
    draw with textures. render_mode: "rgb_array" for `render()`. options: the environment's own (`vldac envs ID` lists them).
    Raises EnvError for unknown ids and unusable values.
    """
    spec = native_spec(env_id)
    checks = {
        "num_envs": (num_envs >= 1, num_envs, "at least 1"),
        "num_threads": (num_threads is None or num_threads >= 1, num_threads, "at least 1"),
        "batch_size": (batch_size is None or 1 <= batch_size <= num_envs, batch_size, f"1 to num_envs ({num_envs})"),
        "order": (order in ("fifo", "ready"), order, "'fifo' or 'ready'"),
        "rng": (rng in (None, "episode", "stream"), rng, "'episode' or 'stream'"),
        "task": (task in (None, "vldac"), task, "None or 'vldac'"),
        "prompt": (prompt in styles(env_id), prompt, f"one of {', '.join(styles(env_id))}"),
        "max_episode_steps": (max_episode_steps is None or max_episode_steps >= 0, max_episode_steps, "at least 0"),
        "image_size": (image_size is None or min(image_size) >= 28, image_size, "sides of at least 28 pixels"),
        "image_format": (
            image_format in ("hwc", *PATCH_DTYPES),
            image_format,
            f"'hwc' or one of {', '.join(PATCH_DTYPES)}",
        ),
        "image_spec": (
            image_format == "hwc" or image_spec is not None,
            image_spec,
            "the checkpoint's image processor or ImageSpec",
        ),
        "step_timeout": (step_timeout > 0, step_timeout, "more than 0 seconds"),
        "max_ring_bytes": (max_ring_bytes > 0, max_ring_bytes, "more than 0 bytes"),
        "failure_reward": (
            failure_reward is None or math.isfinite(failure_reward),
            failure_reward,
            "a finite number",
        ),
        "textures": (textures in ("auto", "miniworld", "builtin"), textures, "'auto', 'miniworld' or 'builtin'"),
        "render_mode": (render_mode in (None, "rgb_array"), render_mode, "None or 'rgb_array'"),
    }
    for name, (ok, value, expected) in checks.items():
        if not ok:
            raise EnvError(expected=expected, got=repr(value), where=f"make({env_id!r}), {name}", do="correct it")
    view, window = "agent", None
    if spec.assets == "miniworld":
        from vldac.envs.miniworld.options import upstream_options

        image_size, view, window, options = upstream_options(spec, options, image_size)
    chosen = choose(env_id, options, task)
    numbers = native_options(spec, options) if chosen is None else chosen.numbers
    known = {option.name for option in spec.options}
    if "task" in known:
        numbers["task"] = float(task == "vldac")
    drawn_with = _textures(spec, textures)
    if drawn_with is not None:
        numbers["builtin_assets"] = float(drawn_with == "builtin")
    limit = 0 if spec.limits_itself else spec.max_episode_steps
    if task == "vldac":
        limit = spec.task_episode_steps
        failure_reward = spec.task_failure_reward if failure_reward is None else failure_reward
    width, height = image_size or spec.image_size
    cores = os.cpu_count() or 1
    return NativeVectorEnv(
        NativeConfig(
            env_id=env_id, num_envs=num_envs, seed=seed, num_threads=num_threads or min(num_envs, cores),
            batch_size=batch_size or num_envs, order=order, autoreset_mode=mode_of(autoreset_mode, env_id),
            rng=rng or "episode", task=task,
            prompt=prompt, image_size=(int(width), int(height)),
            max_episode_steps=limit if max_episode_steps is None else max_episode_steps, step_timeout=step_timeout,
            max_ring_bytes=max_ring_bytes, may_caller_step=may_caller_step, image_format=image_format,
            image_spec=_image_spec(image_spec), options=numbers, textures=drawn_with,
            failure_reward=math.nan if failure_reward is None else failure_reward,
            render_mode=render_mode, view=view, window_size=window, panel=None if chosen is None else chosen.played,
        )
    )  # fmt: skip


def _textures(spec: EnvSpec, which: str) -> str | None:
    """Load what the environment draws with, and return its full name; None where it draws with nothing of the kind."""
    if spec.assets == "miniworld":
        from vldac.envs.miniworld.assets import ensure_assets

        return ensure_assets(which)
    if which != "auto":
        raise EnvError(
            expected="no textures: this environment draws with none", got=repr(which),
            where=f"make({spec.id!r}), textures", do="remove it",
        )  # fmt: skip
    return None


def _image_spec(given: Any) -> ImageSpec | None:
    return given if given is None or isinstance(given, ImageSpec) else image_spec_of(given.to_dict())
