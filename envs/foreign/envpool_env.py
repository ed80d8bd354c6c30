"""`envpool:<id>`: a thin wrapper of EnvPool (extra `envpool`), so that its environments keep this package's contract.

EnvPool resets on the step after an episode's end and ignores that step's action: for a language model a response per episode thrown
away. Its last observation of an episode is in the ending step, though, and it can reset some environments by themselves; so
same-step autoreset is had exactly, by one such reset behind every step in which an episode ended. Tested against EnvPool as it is:
the same observations, without the step that does nothing. autoreset_mode=NEXT_STEP leaves it as it is.

What EnvPool cannot do and what follows: seeds are fixed when a pool is made, so reset(seed=...) makes a new pool, and only for all
environments; one random stream per environment (rng="stream"); no isolation of faults (a C++ exception ends the process, which is
why actions are checked here first); asynchronous batches would mix with the resets and are refused; an episode that terminates in
the very step of its time limit is told as truncated only. Arrays are fresh for every step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from vldac.envs.foreign.image_view import is_picture
from vldac.envs.foreign.model_face import ModelFace, Prompt, check_template, checked_names, picture_size
from vldac.envs.text_steps import TextSteps
from vldac.envs.vector_arguments import array_actions, mode_of, rows_of_ids, rows_of_mask, seeds_of

from vldac.errors import EnvError, nearest

PREFIX = "envpool:"
_NOT_INFO = ("env_id", "players")
"""Entries that EnvPool adds for itself"""


class EnvPoolVectorEnv(TextSteps, VectorEnv[Any, Any, Any]):
    """One of EnvPool's environments as a batch, with `prompts()` and `action_names`."""

    action_names: list[str]
    """Names of the actions in the order of their numbers; only where the actions are numbered from 0."""
    _pool: Any = None

    def __init__(
        self, env_id: str, num_envs: int, *, seed: int, autoreset_mode: AutoresetMode, prompt: Prompt,
        names: Sequence[str] | None, render_image: bool | None, renders_if_blind: bool, options: dict[str, Any],
    ) -> None:  # fmt: skip
        self.env_id, self.num_envs, self._seed, self._options = f"{PREFIX}{env_id}", num_envs, seed, options
        self._id, self._seeds, self._is_open = env_id, [seed + i for i in range(num_envs)], True
        self._open()
        inner = self._pool.observation_space
        self._is_picture = is_picture(inner)
        self._renders = (renders_if_blind and not self._is_picture) if render_image is None else render_image
        self.single_action_space = self._pool.action_space
        self._is_reset, self._mode = False, autoreset_mode
        self.single_observation_space = self._space(inner)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.metadata = {"autoreset_mode": autoreset_mode, "render_modes": ["rgb_array"]}
        space = self.single_action_space
        numbers = range(space.n) if isinstance(space, gym.spaces.Discrete) and space.start == 0 else None
        found = checked_names(names, None if numbers is None else [str(i) for i in numbers], space)
        if found is not None:
            self.action_names = found
        check_template(prompt)
        self._face = ModelFace(
            env_id=env_id, prompt=prompt, action_names=tuple(found or ()),
            reward_threshold=self._pool.config.get("reward_threshold"),
        )  # fmt: skip
        self._text_steps = 0
        self._return, self._length = np.zeros(num_envs), np.zeros(num_envs, np.int64)
        self._ended, self._info = np.zeros(num_envs, bool), dict[str, Any]()
        self._obs: Any = None

    def _text_seed(self) -> int:
        return self._seed

    def _text_counters(self) -> np.ndarray:
        self._text_steps += 1
        return np.full(self.num_envs, self._text_steps)

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin episodes; a seed (environment i gets seed + i) makes a new pool. options={"reset_mask": [E] bool} resets some."""
        self._check_open()
        options = dict(options or {})
        rows = rows_of_mask(options.pop("reset_mask", None), self.num_envs)
        seeds = seeds_of(seed, self.num_envs)
        if options or (seed is not None and len(rows) < self.num_envs) or (seed is not None and None in seeds):
            raise EnvError(
                expected="a seed for all environments, or a reset_mask without one", got=f"seed {seed!r}, options {options}",
                where=self.env_id, do="EnvPool cannot seed some of a pool; seed all, or reset some",
            )  # fmt: skip
        if (seed is not None and self._is_reset) or (seed is not None and seeds != self._seeds):
            self._seeds = [int(s) for s in seeds if s is not None]
            self._open()
        if self._is_reset is False and len(rows) < self.num_envs:
            raise EnvError(
                expected="a reset of all first",
                got="a reset_mask",
                where=self.env_id,
                do="call reset() without a mask first",
            )
        self._begin(rows)
        self._is_reset = True
        return self._copy(), dict(self._info)

    def step(self, actions: Any) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Step every environment; in same-step mode ended ones are in their next episode, the end is in final_obs and final_info."""
        self._check_open()
        if not self._is_reset:
            raise EnvError(
                expected="reset() before the first step", got="step()", where=self.env_id, do="call reset(seed=...)"
            )
        space = self.single_action_space
        chosen = array_actions(actions, self.num_envs, space, self.env_id).astype(space.dtype)
        obs, paid, terminated, truncated, info = self._pool.step(chosen)
        reward, terminated, truncated = np.asarray(paid, np.float64), terminated.astype(bool), truncated.astype(bool)
        self._obs, self._info = self._view(obs, np.arange(self.num_envs)), _infos(info, self.num_envs)
        is_reset = self._ended if self._mode is AutoresetMode.NEXT_STEP else np.zeros(self.num_envs, bool)
        self._return, self._length = self._return + reward, self._length + 1
        self._return[is_reset], self._length[is_reset] = 0.0, 0
        ended = terminated | truncated
        extra: dict[str, Any] = {}
        if ended.any() and self._mode is AutoresetMode.SAME_STEP:
            extra = self._final(ended, reward, terminated)
            self._begin(np.flatnonzero(ended))
        self._ended = ended
        return self._copy(), reward, terminated, truncated, extra | self._info

    def prompts(self, env_ids: Sequence[int] | np.ndarray | None = None) -> list[list[dict[str, Any]]]:
        """Chat messages of `env_ids` (None: all), with one image item for the picture. Raises EnvError where there is none."""
        _ = self.image_size
        return [self._messages(e) for e in rows_of_ids(env_ids, self.num_envs).tolist()]

    @property
    def image_size(self) -> tuple[int, int]:
        """(width, height) in pixels of obs["image"]. Raises EnvError where there is no picture."""
        return picture_size(self.single_observation_space, self.env_id)

    def render(self) -> tuple[np.ndarray, ...] | None:
        """Return each environment's present picture, where the observations have one."""
        return tuple(self._obs["image"].copy()) if isinstance(self._obs, dict) and "image" in self._obs else None

    def close_extras(self, **kwargs: Any) -> None:
        """End EnvPool's threads. `close()` can be called again and again."""
        self._is_open = False
        if self._pool is not None:
            self._pool.close()
            self._pool = None

    # -- parts ------------------------------------------------------------------------------------------------------

    def _open(self) -> None:
        import envpool

        if self._pool is not None:
            self._pool.close()
        self._pool = envpool.make_gymnasium(self._id, num_envs=self.num_envs, seed=list(self._seeds), **self._options)
        self._is_reset = False

    def _check_open(self) -> None:
        if not self._is_open:
            raise EnvError(expected="open environments", got="closed ones", where=self.env_id, do="make new ones")

    def _space(self, inner: gym.Space[Any]) -> gym.Space[Any]:
        if not self._renders:
            return gym.spaces.Dict({"image": inner}) if self._is_picture else inner
        self._pool.reset()
        frame = self._pool.render(env_ids=[0])[0]
        self._open()  # as it was
        picture = gym.spaces.Box(0, 255, frame.shape, np.uint8)
        rest = dict(inner.spaces) if isinstance(inner, gym.spaces.Dict) else {"state": inner}
        return gym.spaces.Dict({"image": picture, **{key: part for key, part in rest.items() if key != "image"}})

    def _view(self, obs: Any, rows: np.ndarray) -> Any:
        if self._renders:
            rest = (
                {key: part for key, part in obs.items() if key != "image"} if isinstance(obs, dict) else {"state": obs}
            )
            return {"image": self._pool.render(env_ids=rows.tolist()), **rest}
        return {"image": obs} if self._is_picture else obs

    def _begin(self, rows: np.ndarray) -> None:
        """Reset `rows` and put their first observations and infos among the others'."""
        obs, info = self._pool.reset(rows.astype(np.int32))
        view, fresh = self._view(obs, rows), _infos(info, len(rows))
        if len(rows) == self.num_envs:
            self._obs, self._info = view, fresh
        else:
            self._obs = _merged(self._obs, view, rows)
            self._info = {key: _merged(self._info[key], fresh[key], rows) for key in self._info if key in fresh}
        self._return[rows], self._length[rows], self._ended[rows] = 0.0, 0, False

    def _final(self, ended: np.ndarray, reward: np.ndarray, terminated: np.ndarray) -> dict[str, Any]:
        final_obs, prompts = np.full(self.num_envs, None, object), np.full(self.num_envs, None, object)
        success = np.zeros(self.num_envs, bool)
        for e in np.flatnonzero(ended).tolist():
            final_obs[e] = _row(self._obs, e)
            success[e] = self._face.is_success(
                info=self._info_of(e),
                returned=float(self._return[e]),
                reward=float(reward[e]),
                terminated=bool(terminated[e]),
            )
            if isinstance(self._obs, dict) and "image" in self._obs:
                prompts[e] = self._messages(e)
        own = {key: value for key, value in self._info.items() if not key.startswith("_")}
        added = {
            "return": self._return.copy(), "length": self._length.copy(), "success": success, "prompt": prompts,
            "fault": np.full(self.num_envs, None, object),
        }  # fmt: skip
        final_info = {
            name: value
            for key, part in (own | added).items()
            for name, value in ((key, part), (f"_{key}", ended.copy()))
        }
        return {
            "final_obs": final_obs,
            "_final_obs": ended.copy(),
            "final_info": final_info,
            "_final_info": ended.copy(),
        }

    def _messages(self, env: int) -> list[dict[str, Any]]:
        texts = {key: _row(part, env) for key, part in self._obs.items() if key != "image"}
        return self._face.messages(env=env, step=int(self._length[env]), texts=texts, info=self._info_of(env))

    def _info_of(self, env: int) -> dict[str, Any]:
        return {key: _row(part, env) for key, part in self._info.items() if not key.startswith("_")}

    def _copy(self) -> Any:
        """What is handed out is the caller's."""
        return {k: v.copy() for k, v in self._obs.items()} if isinstance(self._obs, dict) else self._obs.copy()


def make_envpool(
    env_id: str, num_envs: int, *, seed: int = 0, num_threads: int | None = None, batch_size: int | None = None,
    order: str = "fifo", autoreset_mode: AutoresetMode | str = AutoresetMode.SAME_STEP, rng: str | None = None,
    task: str | None = None, prompt: Prompt = "paper", action_names: Sequence[str] | None = None,
    image_size: tuple[int, int] | None = None, render_image: bool | None = None, max_episode_steps: int | None = None,
    env_kwargs: Mapping[str, Any] | None = None, **unknown: Any,
) -> EnvPoolVectorEnv:  # fmt: skip
    """Return EnvPool's environment `env_id` (with or without "envpool:"); env_kwargs go to `envpool.make_gymnasium`.

    seed: environment i gets seed + i. rng: EnvPool has streams only ("stream", the default here). render_image, prompt, action_names,
    task: as in `make_gymnasium`; image_size: (width, height) in pixels of the rendered picture. Raises EnvError for what EnvPool
    does not have or cannot do.
    """
    pool_id = env_id.removeprefix(PREFIX)
    known = _known_ids()
    mode = mode_of(autoreset_mode, env_id)
    options = dict(env_kwargs or {})
    checks: dict[str, tuple[bool, Any, str]] = {
        "id": (pool_id in known, pool_id, f"an id of EnvPool{nearest(pool_id, known)}"),
        "options": (not unknown, ", ".join(unknown), "known options"),
        "num_envs": (num_envs >= 1, num_envs, "at least 1"),
        "batch_size": (batch_size in (None, num_envs), batch_size, f"num_envs = {num_envs} (batches of some would mix with resets)"),
        "order": (order in ("fifo", "ready"), order, "'fifo' or 'ready'"),
        "rng": (rng in (None, "stream"), rng, "'stream' (EnvPool's episodes have no seeds of their own)"),
        "task": (task in (None, "vldac"), task, "None or 'vldac'"),
        "autoreset_mode": (mode is not AutoresetMode.DISABLED, mode, "SAME_STEP or NEXT_STEP"),
    }  # fmt: skip
    for name, (ok, value, expected) in checks.items():
        if not ok:
            raise EnvError(expected=expected, got=repr(value), where=f"make({env_id!r}), {name}", do="correct it")
    if num_threads is not None:
        options["num_threads"] = num_threads
    if max_episode_steps is not None:
        options["max_episode_steps"] = max_episode_steps
    if render_image or (render_image is None and task == "vldac"):
        options["render_mode"] = "rgb_array"
        if image_size is not None:
            options |= {"render_width": int(image_size[0]), "render_height": int(image_size[1])}
    env = EnvPoolVectorEnv(
        pool_id, num_envs, seed=seed, autoreset_mode=mode, prompt=prompt, names=action_names, render_image=render_image,
        renders_if_blind=task == "vldac", options=options,
    )  # fmt: skip
    if image_size is not None and env.image_size != tuple(image_size):
        own = env.image_size
        env.close()
        raise EnvError(
            expected=f"pictures of {own[0]}x{own[1]}, the environment's own", got=repr(image_size),
            where=f"make({env_id!r}), image_size", do="leave it out, or pass render_image=True to have it drawn at that size",
        )  # fmt: skip
    return env


def _known_ids() -> list[str]:
    try:
        import envpool
    except ImportError as error:
        raise EnvError(
            expected="the package envpool", got="none", where="environments with the prefix envpool:",
            do="pip install 'vldac[envpool]' (about 1 GB)",
        ) from error  # fmt: skip
    return list(envpool.list_all_envs())


def _infos(info: Mapping[str, Any], count: int) -> dict[str, Any]:
    """EnvPool's infos as Gymnasium's: every array with its mask."""
    kept = {key: value for key, value in info.items() if key not in _NOT_INFO and isinstance(value, np.ndarray)}
    return {
        name: part for key, value in kept.items() for name, part in ((key, value), (f"_{key}", np.ones(count, bool)))
    }


def _merged(batch: Any, part: Any, rows: np.ndarray) -> Any:
    if isinstance(batch, dict):
        return {key: _merged(value, part[key], rows) for key, value in batch.items()}
    merged = batch.copy()
    merged[rows] = part
    return merged


def _row(batch: Any, row: int) -> Any:
    if isinstance(batch, dict):
        return {key: _row(value, row) for key, value in batch.items()}
    return batch[row].copy() if isinstance(batch[row], np.ndarray) else batch[row]
