"""The workload of workers.py: a Python environment whose steps take a random time, mostly waiting. Registered by importing it."""

from __future__ import annotations

import time
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

CPU_S = 0.2e-3


class Jitter(gym.Env[np.ndarray, int]):
    """Sleeps for an exponential time of mean `wait_s`, works for 0.2 ms, shows a 64x64 picture; episodes of 100 steps.

    The wait stands for a simulator in another process, a driver, a network; the work for the environment's own Python.
    """

    def __init__(self, wait_s: float = 2e-3) -> None:
        self.observation_space = spaces.Box(0, 255, (64, 64, 3), np.uint8)
        self.action_space = spaces.Discrete(4)
        self._wait_s = wait_s

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self._count = 0
        return np.zeros((64, 64, 3), np.uint8), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        if self._wait_s:
            time.sleep(self.np_random.exponential(self._wait_s))
        end = time.thread_time() + CPU_S  # CPU time: a preempted process has not worked
        while time.thread_time() < end:
            pass
        self._count += 1
        picture = np.full((64, 64, 3), self._count, np.uint8)
        return picture, 1.0, self._count == 100, False, {}


gym.register("vldac_benchmark/Jitter-v0", Jitter)
