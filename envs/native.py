"""Native environments as a `gymnasium.vector.VectorEnv` with same-step autoreset."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from vldac.envs.catalogue import native_spec
from vldac.envs.prompts import render

from vldac import _core
from vldac.errors import EnvError


class NativeVectorEnv(VectorEnv):
    """A pool of one native environment. Observations are {"image": [E, height, width, 3] uint8}, fresh arrays."""

    def __init__(
        self,
        env_id: str,
        num_envs: int,
        *,
        seed: int,
        num_threads: int,
        rng: str,
        task: str | None,
        prompt: str,
        image_size: tuple[int, int],
        max_episode_steps: int,
    ) -> None:
        self.env_id, self.num_envs, self.task, self.prompt = env_id, num_envs, task, prompt
        self._seed = seed
        self._arguments: dict[str, Any] = {
            "seed": seed, "num_threads": num_threads, "rng": rng, "task": task, "prompt": prompt,
            "image_size": image_size, "max_episode_steps": max_episode_steps,
        }  # fmt: skip
        self.image_size = image_size
        """(width, height) in pixels"""
        width, height = image_size
        self._pool = _core.Pool(env_id, num_envs, num_threads, width, height, rng == "stream", max_episode_steps)
        spec = native_spec(env_id)
        self.action_names: list[str] = spec.action_names
        self.response_fields = tuple(spec.fields)
        self.metadata = {"autoreset_mode": AutoresetMode.SAME_STEP, "render_modes": []}
        self.single_action_space = gym.spaces.Discrete(len(self.action_names))
        self.single_observation_space = gym.spaces.Dict({"image": gym.spaces.Box(0, 255, (height, width, 3), np.uint8)})
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self._is_reset = False

    def reset(
        self, *, seed: int | list[int] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Seed environment i with seed + i (or seed[i]) and start; options={"reset_mask": [E] bool} resets some."""
        mask = (options or {}).get("reset_mask")
        if seed is None and not self._is_reset:
            seed = self._seed
        seeds = (
            [] if seed is None else list(seed) if isinstance(seed, list) else [seed + i for i in range(self.num_envs)]
        )
        if any(s < 0 for s in seeds):
            raise EnvError(expected="seeds of at least 0", got=str(min(seeds)), where="reset", do="use another seed")
        images = self._pool.reset(seeds, [] if mask is None else [bool(m) for m in mask])
        self._is_reset = True
        return {"image": images}, {}

    def step(
        self, actions: np.ndarray
    ) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Step every environment; ended ones are already in their next episode, the end is in final_obs and final_info."""
        if not self._is_reset:
            raise EnvError(expected="reset() before step()", got="step()", where=self.env_id, do="call reset(seed=...)")
        chosen = np.asarray(actions, np.int64)
        count = len(self.action_names)
        if chosen.shape != (self.num_envs,) or (chosen < 0).any() or (chosen >= count).any():
            raise EnvError(
                expected=f"{self.num_envs} actions in 0..{count - 1}",
                got=f"{actions!r}",
                where=self.env_id,
                do="check them",
            )
        images, reward, terminated, truncated, final_images, success, returns, length, facts, faults = self._pool.step(
            chosen
        )
        info: dict[str, Any] = {}
        ended = terminated | truncated
        if ended.any():
            final_obs = np.full(self.num_envs, None, dtype=object)
            prompts = np.full(self.num_envs, None, dtype=object)
            for e in np.flatnonzero(ended):
                final_obs[e] = {"image": final_images[e]}
                prompts[e] = render(self.env_id, self.prompt, facts[e])
            info = {
                "final_obs": final_obs,
                "_final_obs": ended.copy(),
                "final_info": {
                    "success": success, "return": returns, "length": length, "prompt": prompts,
                    "fault": np.array([fault or None for fault in faults], dtype=object),
                },
                "_final_info": ended.copy(),
            }  # fmt: skip
        return {"image": images}, reward, terminated, truncated, info

    def prompts(self) -> list[list[dict[str, Any]]]:
        """Chat messages per environment, with one image item for the current observation."""
        return [render(self.env_id, self.prompt, facts) for facts in self.facts()]

    def facts(self) -> list[dict[str, Any]]:
        """What is truly on each picture."""
        found: list[dict[str, Any]] = self._pool.facts()
        return found

    def oracle_actions(self) -> np.ndarray:
        """Actions of a scripted expert, [E] int64."""
        result: np.ndarray = self._pool.oracle_actions()
        return result

    def observe(self) -> dict[str, np.ndarray]:
        """The current observation, drawn anew."""
        return {"image": self._pool.render()}

    def get_state(self) -> bytes:
        """Every environment's state and random stream; `set_state` restores it bit for bit."""
        state: bytes = self._pool.save()
        return state

    def set_state(self, state: bytes) -> None:
        """Restore `get_state`. Raises EnvError if it is truncated, altered or of another environment."""
        try:
            self._pool.load(state)
        except ValueError as error:
            raise EnvError(
                expected=f"a state of {self.num_envs} x {self.env_id}", got=str(error), where="set_state",
                do="use the state of a checkpoint of this environment",
            ) from error  # fmt: skip
        self._is_reset = True

    def clone(self) -> NativeVectorEnv:
        """Return an independent copy that goes on the same way."""
        copy = NativeVectorEnv(self.env_id, self.num_envs, **self._arguments)
        copy.set_state(self.get_state())
        return copy
