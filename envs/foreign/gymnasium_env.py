"""`gymnasium:<id>`: any registered Gymnasium environment in worker processes, shown to a model.

What this adds to `workers`: the options and their checks, prompts, names of actions, and what an episode's end means
(`success`). Same-step resets, seeds and faults are those of every vector environment here.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode
from vldac.envs.foreign.model_face import ModelFace, Prompt, check_template, checked_names, picture_size
from vldac.envs.foreign.shared_memory import DictSlots
from vldac.envs.foreign.values import encode
from vldac.envs.foreign.worker_pool import IDLE, WorkerSettings
from vldac.envs.foreign.workers import WorkerVectorEnv
from vldac.envs.text_steps import TextSteps
from vldac.envs.vector_arguments import mode_of, rows_of_ids

from vldac.errors import EnvError, nearest

PREFIX = "gymnasium:"
KNOWN_PACKAGES = {"MiniWorld-": "miniworld", "MiniGrid-": "minigrid", "BabyAI-": "minigrid", "ALE/": "ale_py"}
"""Packages that register ids of this beginning when they are imported."""


class GymnasiumVectorEnv(TextSteps, WorkerVectorEnv):
    """A Gymnasium environment as a batch, with `prompts()` and `action_names`."""

    action_names: list[str]
    """Names of the actions in the order of their numbers; only where the actions are numbered from 0."""

    def __init__(self, settings: WorkerSettings, prompt: Prompt, names: Sequence[str] | None) -> None:
        check_template(prompt)
        self._text_steps = 0
        super().__init__(settings)
        report = self._pool.report
        try:
            found = checked_names(names, report["action_names"], self.single_action_space)
        except EnvError:
            self.close()
            raise
        if found is not None:
            self.action_names = found
        self._face = ModelFace(
            env_id=settings.env_id,
            prompt=prompt,
            action_names=tuple(found or ()),
            reward_threshold=report["reward_threshold"],
        )

    @property
    def image_size(self) -> tuple[int, int]:
        """(width, height) in pixels of obs["image"]. Raises EnvError where there is no picture."""
        return picture_size(self.single_observation_space, self.env_id)

    def prompts(self, env_ids: Sequence[int] | np.ndarray | None = None) -> list[list[dict[str, Any]]]:
        """Chat messages of `env_ids` (None: all), with one image item for the present picture. Raises EnvError where there is none.

        Those that are named must not be in flight; the others may.
        """
        _ = self.image_size
        pool = self._pool
        with pool.alone():
            rows = rows_of_ids(env_ids, self.num_envs)
            if env_ids is not None and (pool.state[rows] != IDLE).any():
                raise EnvError(
                    expected="environments that are not in flight",
                    got=f"environment {int(rows[pool.state[rows] != IDLE][0])}", where="prompts",
                    do="receive their answers first",
                )  # fmt: skip
            parts = pool.obs.parts.items() if isinstance(pool.obs, DictSlots) else ()
            slots = pool.shown_slots(rows)
            return [
                self._face.messages(
                    env=e, step=int(pool.length[e]), info=self.infos[e],
                    texts={key: part.read(int(slot)) for key, part in parts if key != "image"},
                )
                for e, slot in zip(rows.tolist(), slots, strict=True)
            ]  # fmt: skip

    def _text_seed(self) -> int:
        return self.settings.seed

    def _text_counters(self) -> np.ndarray:
        self._text_steps += 1
        return np.full(self.num_envs, self._text_steps)

    def _final_extras(self, env: int, final_info: dict[str, Any], obs: Any) -> dict[str, Any]:
        """`success`, and the prompt of the final observation (a truncated episode is valued there)."""
        arrays = self._pool.arrays
        is_success = final_info["fault"] is None and self._face.is_success(
            info=final_info, returned=final_info["return"], reward=float(arrays["reward"][env]),
            terminated=bool(arrays["terminated"][env]),
        )  # fmt: skip
        if not (isinstance(obs, dict) and "image" in obs):
            return {"success": is_success}
        texts = {key: value for key, value in obs.items() if key != "image"}
        prompt = self._face.messages(env=env, step=final_info["length"], texts=texts, info=final_info)
        return {"success": is_success, "prompt": prompt}


def make_gymnasium(
    env_id: str, num_envs: int, *, seed: int = 0, num_workers: int | None = None, num_threads: int | None = None,
    batch_size: int | None = None, order: str = "fifo", autoreset_mode: AutoresetMode | str = AutoresetMode.SAME_STEP,
    rng: str | None = None, task: str | None = None, prompt: Prompt = "paper", action_names: Sequence[str] | None = None,
    image_size: tuple[int, int] | None = None, render_image: bool | None = None, max_episode_steps: int | None = None,
    env_kwargs: Mapping[str, Any] | None = None, imports: Sequence[str] = (), step_timeout: float = 60.0,
    start_timeout: float = 120.0, max_restarts: int = 3, info_bytes: int = 1 << 16, text_bytes: int = 1 << 14,
    worker_variables: Mapping[str, str] | None = None, **unknown: Any,
) -> GymnasiumVectorEnv:  # fmt: skip
    """Return `num_envs` environments gym.make(env_id, **env_kwargs) in `num_workers` processes (default: as many as cores).

    imports: modules that register the id, imported in the workers (as in "module:Id-v0"); some packages are known. The workers are
    fresh interpreters with the parent's `sys.path`; they do not run the main module, so that a script needs no guard.
    seed, rng: environment i begins with seed + i; later episodes with `episode_seed(seed + i, episode)` (rng="episode"), or as the
    environment's own stream goes on (rng="stream", as Gymnasium does).
    prompt: "paper", "short", a template with {step}, {actions}, {env_id}, and infos and entries of the observation by name, or a
    function of these that returns a text or chat messages. render_image: obs["image"] is the rendered picture, for environments
    whose observation is none; None means: if task="vldac" and the observation is no picture.
    image_size: (width, height) in pixels that pictures are resized to. step_timeout, start_timeout: seconds after which a worker
    counts as hung in one step or reset, and while starting. max_restarts: of one worker without a step in between.
    info_bytes: of one environment's infos of one step; what is longer is left out with a message. text_bytes: of a Text.
    worker_variables: environment variables of the workers, which are headless (EGL) and single-threaded by default.
    Raises EnvError for what cannot work, with the worker's own message.
    """
    gym_id = env_id.removeprefix(PREFIX)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    workers, batch = num_workers or num_threads or min(num_envs, cores), batch_size or num_envs
    checks: dict[str, tuple[bool, Any, str]] = {
        "options": (not unknown, ", ".join(unknown), f"known options{_near(unknown)}"),
        "num_envs": (num_envs >= 1, num_envs, "at least 1"),
        "num_workers": (workers >= 1, workers, "at least 1"),
        "batch_size": (1 <= batch <= num_envs, batch, f"1 to num_envs = {num_envs}"),
        "order": (order in ("fifo", "ready"), order, "'fifo' or 'ready'"),
        "rng": (rng in (None, "episode", "stream"), rng, "'episode' or 'stream'"),
        "task": (task in (None, "vldac"), task, "None or 'vldac'"),
        "seed": (0 <= seed < 2**62, seed, "0 to 2**62"),
        "image_size": (image_size is None or min(image_size) >= 1, image_size, "a width and a height in pixels"),
        "max_episode_steps": (max_episode_steps is None or max_episode_steps >= 1, max_episode_steps, "at least 1"),
        "step_timeout": (step_timeout > 0 and start_timeout > 0, step_timeout, "seconds above 0"),
        "max_restarts": (max_restarts >= 0, max_restarts, "0 or more"),
        "info_bytes": (info_bytes >= 1 << 14, info_bytes, "at least 16384"),
        "text_bytes": (text_bytes >= 1, text_bytes, "at least 1"),
    }
    for name, (ok, value, expected) in checks.items():
        if not ok:
            raise EnvError(expected=expected, got=repr(value), where=f"make({env_id!r}), {name}", do="correct it")
    settings = WorkerSettings(
        env_id=gym_id, num_envs=num_envs, num_workers=min(workers, num_envs), batch_size=batch, seed=seed, order=order,
        rng=rng or "episode",
        autoreset_mode=mode_of(autoreset_mode, env_id), env_kwargs=_plain(env_kwargs or {}, env_id),
        imports=tuple(dict.fromkeys([*imports, *(p for begin, p in KNOWN_PACKAGES.items() if gym_id.startswith(begin))])),
        max_episode_steps=max_episode_steps, render_image=render_image, renders_if_blind=task == "vldac",
        image_size=(int(image_size[0]), int(image_size[1])) if image_size else None,
        step_timeout_s=step_timeout, start_timeout_s=start_timeout,
        max_restarts=max_restarts, info_bytes=info_bytes, text_bytes=text_bytes, variables=dict(worker_variables or {}),
    )  # fmt: skip
    return GymnasiumVectorEnv(settings, prompt, action_names)


def _near(unknown: Mapping[str, Any]) -> str:
    names = list(make_gymnasium.__kwdefaults__ or ())
    return f" ({', '.join(names)}){nearest(next(iter(unknown)), names)}" if unknown else ""


def _plain(values: Mapping[str, Any], env_id: str) -> dict[str, Any]:
    try:
        encode(values)
    except (TypeError, OverflowError, RecursionError, ValueError) as error:
        raise EnvError(
            expected="plain values and NumPy arrays (they go to another process, and not by pickle)", got=str(error),
            where=f"make({env_id!r}), env_kwargs", do="register a variant of the environment in a module and name it in imports",
        ) from error  # fmt: skip
    return dict(values)
