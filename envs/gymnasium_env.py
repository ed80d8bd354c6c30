"""`gymnasium:<id>`: any registered Gymnasium environment in worker processes, shown to a model.

What this adds to `workers`: the options and their checks, prompts, names of actions, and what an episode's end means
(`success`). Same-step resets, seeds and faults are those of every vector environment here.
"""

from __future__ import annotations

import os
import string
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from vldac.envs.shared_memory import DictSlots
from vldac.envs.values import encode
from vldac.envs.workers import WorkerSettings, WorkerVectorEnv

from vldac.errors import EnvError, nearest

PREFIX = "gymnasium:"
PROMPTS = {
    "paper": (
        "You see the present state of the environment {env_id}, step {step} of this episode. "
        "Actions: {actions}. "
        'Answer with one JSON object: {{"thoughts": "<reason step by step>", "action": "<one of the actions>"}}'
    ),
    "short": "Actions: {actions}. Answer in JSON.",
}
"""Templates for environments that have none of their own, by the names that a configuration knows."""
KNOWN_PACKAGES = {"MiniWorld-": "miniworld", "MiniGrid-": "minigrid", "BabyAI-": "minigrid", "ALE/": "ale_py"}
"""Packages that register ids of this beginning when they are imported."""
Prompt = str | Callable[[dict[str, Any]], str | list[dict[str, Any]]]


class GymnasiumVectorEnv(WorkerVectorEnv):
    """A Gymnasium environment as a batch, with `prompts()` and `action_names`."""

    action_names: list[str]
    """Names of the actions in the order of their numbers; only where the actions are numbered from 0."""

    def __init__(self, settings: WorkerSettings, prompt: Prompt, names: Sequence[str] | None) -> None:
        super().__init__(settings)
        self._prompt = PROMPTS.get(prompt, prompt) if isinstance(prompt, str) else prompt
        found = list(names) if names is not None else self._report["action_names"]
        if found is not None:
            self.action_names = found
        space = self.single_action_space
        if names is not None and not (
            isinstance(space, gym.spaces.Discrete) and space.n == len(names) == len(set(names))
        ):
            self.close()
            raise EnvError(
                expected=f"a different name for each action of {space}", got=repr(list(names)), where="action_names",
                do="correct them",
            )  # fmt: skip
        self._template_fields = _fields(self._prompt) if isinstance(self._prompt, str) else frozenset()

    @property
    def image_size(self) -> tuple[int, int]:
        """(width, height) in pixels of obs["image"]. Raises EnvError where there is no picture."""
        space = self.single_observation_space
        if not (isinstance(space, gym.spaces.Dict) and "image" in space.spaces and space["image"].shape is not None):
            raise self._no_picture()
        height, width = space["image"].shape[:2]
        return int(width), int(height)

    def prompts(self) -> list[list[dict[str, Any]]]:
        """Chat messages per environment, with one image item for the present picture. Raises EnvError where there is none."""
        _ = self.image_size
        with self._alone():
            slots = self._slot * self.num_envs + np.arange(self.num_envs)
            return [self._messages(e, self._texts(int(slots[e])), self.infos[e]) for e in range(self.num_envs)]

    def _messages(self, env: int, texts: dict[str, Any], info: dict[str, Any]) -> list[dict[str, Any]]:
        names = getattr(self, "action_names", [])
        facts = {
            "env_id": self.settings.env_id, "env": env, "step": int(self._length[env]), "actions": ", ".join(names),
            "obs": texts, "info": info,
        }  # fmt: skip
        if isinstance(self._prompt, str):
            text: Any = self._fill(self._prompt, facts | {k: v for k, v in (texts | info).items() if k not in facts})
        else:
            text = self._prompt(facts)
        if not isinstance(text, str):
            return list(text)
        return [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": text}]}]

    def _fill(self, template: str, facts: Mapping[str, Any]) -> str:
        unknown = sorted(self._template_fields - facts.keys())
        if unknown:
            raise EnvError(
                expected=f"fields of {', '.join(facts)}{nearest(unknown[0], facts)}", got="{" + unknown[0] + "}", where="prompt",
                do="use these fields (infos and entries of the observation by name), or pass a function",
            )  # fmt: skip
        return template.format(**facts)

    def _texts(self, slot: int) -> dict[str, Any]:
        """The observation's entries beside the picture."""
        parts = self._obs.parts.items() if isinstance(self._obs, DictSlots) else ()
        return {key: part.read(slot) for key, part in parts if key != "image"}

    def _final_extras(self, env: int, final_info: dict[str, Any], obs: Any) -> dict[str, Any]:
        """`success`, and the prompt of the final observation (a truncated episode is valued there)."""
        extras: dict[str, Any] = {"success": self._is_success(env, final_info)}
        if isinstance(obs, dict) and "image" in obs:
            texts = {key: value for key, value in obs.items() if key != "image"}
            extras["prompt"] = self._messages(env, texts, final_info)
        return extras

    def _is_success(self, env: int, final_info: dict[str, Any]) -> bool:
        """The environment's own notion; else its registered reward threshold; else a positive reward in the last step."""
        if final_info["fault"] is not None:
            return False
        for key in ("success", "is_success"):
            if key in final_info:
                return bool(final_info[key])
        threshold = self._report["reward_threshold"]
        if threshold is not None:
            return bool(self._return[env] >= threshold)
        return bool(self._arrays["terminated"][env] and self._arrays["reward"][env] > 0)

    def _no_picture(self) -> EnvError:
        return EnvError(
            expected="observations with a picture", got=str(self.single_observation_space), where=self.env_id,
            do='pass render_image=True (or task="vldac"), so that the environment is drawn',
        )  # fmt: skip


def make_gymnasium(
    env_id: str, num_envs: int, *, seed: int = 0, num_workers: int | None = None, num_threads: int | None = None,
    batch_size: int | None = None, order: str = "fifo", autoreset_mode: AutoresetMode | str = AutoresetMode.SAME_STEP,
    rng: str = "episode", task: str | None = None, prompt: Prompt = "paper", action_names: Sequence[str] | None = None,
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
        "rng": (rng in ("episode", "stream"), rng, "'episode' or 'stream'"),
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
        env_id=gym_id, num_envs=num_envs, num_workers=min(workers, num_envs), batch_size=batch, seed=seed, order=order, rng=rng,
        autoreset_mode=AutoresetMode(autoreset_mode), env_kwargs=_plain(env_kwargs or {}, env_id),
        imports=tuple(dict.fromkeys([*imports, *(p for begin, p in KNOWN_PACKAGES.items() if gym_id.startswith(begin))])),
        max_episode_steps=max_episode_steps, render_image=render_image, renders_if_blind=task == "vldac",
        image_size=tuple(image_size) if image_size else None, step_timeout_s=step_timeout, start_timeout_s=start_timeout,
        max_restarts=max_restarts, info_bytes=info_bytes, text_bytes=text_bytes, variables=dict(worker_variables or {}),
    )  # fmt: skip
    return GymnasiumVectorEnv(settings, prompt, action_names)


def _near(unknown: Mapping[str, Any]) -> str:
    names = [name for name in make_gymnasium.__kwdefaults__]
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


def _fields(template: str) -> frozenset[str]:
    """The names that a template uses. Raises EnvError for one that is none."""
    try:
        names = {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}
    except ValueError as error:
        raise EnvError(
            expected="a template of str.format", got=str(error), where="prompt", do="write {{ and }} for braces"
        ) from error
    return frozenset(name.split(".")[0].split("[")[0] for name in names)
