"""Stands in for alfworld.agents.environment: a room with a mug, answered in the form of upstream's AlfredThorEnv (no simulator)."""

from __future__ import annotations

import json
import random
import sys
import threading
import types
from typing import Any

import numpy as np

BLUE, GREEN, RED = 10, 20, 30


class AlfredThorEnv:
    """Won by taking the mug and putting it on the desk; half of the conditions are met while the mug is held."""

    def __init__(self, config: dict[str, Any], train_eval: str) -> None:
        self.config, self.train_eval, self.closed = config, train_eval, 0
        self.json_file_list: list[str] = []
        self.envs: list[Any] = []

    def init_env(self, batch_size: int) -> AlfredThorEnv:
        assert batch_size == 1
        self.envs = [threading.current_thread()]
        return self

    def reset(self) -> tuple[list[str], dict[str, Any]]:
        assert self.train_eval == "train"
        (self.file,) = random.sample(self.json_file_list, k=1)
        with open(self.file, encoding="utf-8") as file:
            assert json.load(file)["task_type"]
        self.has_mug = self.won = False
        return [f"You see a mug 1. Draw {random.random():.6f}."], self._infos()

    def step(self, actions: list[str]) -> tuple[list[str], None, list[bool], dict[str, Any]]:
        text = "Nothing happens."
        if actions[0] in self._infos()["admissible_commands"][0]:
            text = f"You {actions[0]}."
            self.won = actions[0].startswith("move")
            self.has_mug = actions[0].startswith("take") or (self.has_mug and not self.won)
        return [text], None, [self.won], self._infos()

    def get_frames(self) -> np.ndarray:
        thor = self.config["env"]["thor"]
        frame = np.empty((thor["screen_height"], thor["screen_width"], 3), np.uint8)
        frame[:] = BLUE, GREEN, RED
        return frame[None]

    def close(self) -> None:
        self.closed += 1

    def _infos(self) -> dict[str, Any]:
        commands = ["look", "move mug 1 to desk 1" if self.has_mug else "take mug 1 from shelf 1"]
        rate = 1.0 if self.won else 0.5 if self.has_mug else 0.0
        return {"admissible_commands": [commands], "won": [self.won], "goal_condition_success_rate": [rate]}


def install() -> types.ModuleType:
    """Take the place of alfworld.agents.environment in this process."""
    module = types.ModuleType("alfworld.agents.environment")
    module.get_environment = lambda name: {"AlfredThorEnv": AlfredThorEnv}[name]  # type: ignore[attr-defined]
    for name in ("alfworld", "alfworld.agents"):
        sys.modules[name] = types.ModuleType(name)
    sys.modules["alfworld.agents.environment"] = module
    return module


if __name__ == "thor_stand_in":  # imported by a worker, which begins with this module's name
    install()
    import vldac.envs.alfworld.thor  # noqa: F401
