"""Environments for the tests of the workers; they are registered by importing this module, in the worker processes, too."""

from __future__ import annotations

import os
import signal
import time
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from gymnasium import spaces


class Walk(gym.Env[np.ndarray, int]):
    """A random walk whose picture shows where it is; infos of every kind. Ends at +-3, or after 7 steps."""

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array"]}

    def __init__(self, render_mode: str | None = None, reuses_its_array: bool = False) -> None:
        self.render_mode, self._reuses = render_mode, reuses_its_array
        self.observation_space = spaces.Box(0, 255, (28, 30, 3), np.uint8)
        self.action_space = spaces.Discrete(2)
        self._picture = np.zeros((28, 30, 3), np.uint8)

    def _look(self) -> np.ndarray:
        self._picture[:] = 40 * (self.position + 3)
        self._picture[0, 0] = self.noise
        return self._picture if self._reuses else self._picture.copy()

    def _info(self) -> dict[str, Any]:
        info = {
            "position": self.position, "weight": 0.5 * self.position, "is_left": self.position < 0, "name": f"at {self.position}",
            "vector": np.full(2, self.position, np.int16), "small": np.float32(self.position), "flag": np.bool_(self.position > 0),
            "inner": {"count": self.count, "what": None}, "list": [self.position, "x"],
        }  # fmt: skip
        return info | ({"odd": self.count} if self.count % 2 else {})

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self.position, self.count = int(self.np_random.integers(-1, 2)), 0
        self.position = (options or {}).get("position", self.position)
        self.noise = int(self.np_random.integers(256))
        return self._look(), self._info()

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self.position += 1 if action else -1
        self.count += 1
        self.noise = int(self.np_random.integers(256))
        ended = abs(self.position) >= 3
        return self._look(), float(self.position), ended, self.count >= 7 and not ended, self._info()


class Mixed(gym.Env[Any, Any]):
    """Observations and actions of every supported kind, drawn from the environment's own stream."""

    def __init__(self) -> None:
        kinds = {
            "box": spaces.Box(-1.0, 1.0, (2, 3), np.float64), "discrete": spaces.Discrete(5, start=2),
            "many": spaces.MultiDiscrete([3, 4]), "binary": spaces.MultiBinary(4), "text": spaces.Text(9, charset="abcé"),
            "tuple": spaces.Tuple([spaces.Box(0, 1, (), np.float32), spaces.Dict({"deep": spaces.Discrete(3)})]),
        }  # fmt: skip
        self.observation_space = spaces.Dict(kinds)
        self.action_space = spaces.Dict(
            {"move": spaces.Box(-1, 1, (2,), np.float32), "word": spaces.Text(5, charset="xyz")}
        )

    def _look(self) -> Any:
        self.observation_space.seed(int(self.np_random.integers(1 << 30)))
        return self.observation_space.sample()

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        return self._look(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        reward = float(action["move"].sum()) + len(action["word"])
        return self._look(), reward, bool(self.np_random.random() < 0.3), False, {"word": action["word"]}


class Trouble(gym.Env[np.ndarray, int]):
    """Counts its steps on the picture; the action says what goes wrong."""

    FINE, RAISE, HANG, KILL, NAN, SLOW, SHAPE = range(7)

    def __init__(self, broken_start: bool = False, broken_reset: bool = False, big_info: bool = False) -> None:
        self.observation_space = spaces.Box(0, 255, (28, 28, 3), np.uint8)
        self.action_space = spaces.Discrete(7)
        self._broken_reset, self._big_info, self.count = broken_reset, big_info, 0
        if broken_start:
            raise ValueError("the constructor says no")

    def _look(self) -> np.ndarray:
        picture = np.full((28, 28, 3), self.count, np.uint8)
        picture[1, 1] = self.start
        return picture

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        if self._broken_reset:
            raise ValueError("the reset says no")
        self.count, self.start = 0, int(self.np_random.integers(256))
        return self._look(), {"start": self.start}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        reward, obs_shape = 1.0, None
        self.count += 1
        match int(action):
            case self.RAISE:
                raise RuntimeError("this step says no")
            case self.HANG:
                signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
                time.sleep(3600)
            case self.KILL:
                os.kill(os.getpid(), signal.SIGKILL)
            case self.NAN:
                reward = float("nan")
            case self.SLOW:
                time.sleep(0.3)
            case self.SHAPE:
                obs_shape = (3, 28, 28)
        info: dict[str, Any] = {"count": self.count}
        if self._big_info:
            info |= {"long": "x" * 100_000, "thing": object()}
        obs = self._look() if obs_shape is None else np.zeros(obs_shape, np.uint8)
        return obs, reward, self.count >= 5, False, info


gym.register("vldac_test/Walk-v0", Walk)
gym.register("vldac_test/Mixed-v0", Mixed)
gym.register("vldac_test/Trouble-v0", Trouble, max_episode_steps=50)
