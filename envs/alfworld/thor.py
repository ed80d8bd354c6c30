"""ALFWorld's own visual environment (AlfredThorEnv) for those who have an AI2-THOR build: an adapter, never claimed to equal ours.

    make("gymnasium:vldac/ALFWorldThor-v0", 1, imports=["vldac.envs.alfworld.thor"], env_kwargs={"reward": "rl4vlm"})

It needs alfworld[full], which brings ai2thor 2.1.0; its Unity build of 2019 is downloaded at the first use and draws on an X display.
None of that can be had where this library is tested: the translation is tested on a stand-in, the simulator never ran under it.
The simulator differs from the text games: a lamp has to be visible, heating does not undo cooling, and a scene may fail to load.

Observations: {"image": uint8 [height, width, 3] RGB (upstream gives BGR), "text": what the simulator says}. Actions are commands.
Infos: admissible_commands, won, success, goal_condition_rate, game. Rewards are those of ALFWorld-v0, games come from `find_games`.
"""

from __future__ import annotations

import importlib
import random
import string
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from vldac.envs.alfworld.panel import find_games
from vldac.envs.alfworld.settings import REWARDS

from vldac.errors import EnvError, nearest

ENV_ID = "vldac/ALFWorldThor-v0"
_NEVER = 1 << 30  # steps: the limit here is gymnasium's
_CHARACTERS = string.printable


class AlfworldThorEnv(gym.Env[dict[str, Any], str]):
    """One room of the simulator. Raises EnvError where it cannot be had."""

    def __init__(
        self, split: str = "train", data: str | Path | None = None, tasks: Sequence[str] = (), reward: str = "success",
        image_size: tuple[int, int] = (300, 300), human_goals: float = 0.0, config: dict[str, Any] | None = None,
    ) -> None:  # fmt: skip
        """reward: success 1; rl4vlm 50 and vldac 1 for a win, plus the rate of goal conditions in every step; increase 1 and what the
        rate exceeds its best by. The last three take 1 off for a command that is not admissible. image_size: (width, height).
        config: groups of upstream's configuration that replace parts of the one made here.
        """
        if reward not in REWARDS:
            raise EnvError(
                expected=f"one of {', '.join(REWARDS)}{nearest(reward, REWARDS)}", got=repr(reward), where=f"{ENV_ID}, reward",
                do="correct it",
            )  # fmt: skip
        self._reward, self._panel = reward, find_games(split, data=data, tasks=tasks)
        width, height = image_size
        settings = _settings(width, height, human_goals)
        for group, values in (config or {}).items():
            settings[group] = {**settings.get(group, {}), **values}
        self._upstream = _start(settings)
        self.observation_space = spaces.Dict(
            {
                "image": spaces.Box(0, 255, (height, width, 3), np.uint8),
                "text": spaces.Text(4096, min_length=0, charset=_CHARACTERS),
            }
        )
        self.action_space = spaces.Text(256, min_length=0, charset=_CHARACTERS)
        self._admissible: list[str] = []
        self._best = 0.0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Begin a game that the stream draws, or number options["game"] of the panel."""
        super().reset(seed=seed)
        chosen = (options or {}).get("game")
        number = int(self.np_random.integers(len(self._panel.paths))) if chosen is None else int(chosen)
        # Upstream draws a file of its list, and the goal's words, from Python's global stream.
        random.seed(int(self.np_random.integers(2**32)))
        self._upstream.json_file_list = [str(Path(self._panel.paths[number]).with_name("traj_data.json"))]
        texts, infos = self._upstream.reset()
        self._check()
        info = self._info(infos, number)
        self._best = info["goal_condition_rate"]
        return self._observation(texts[0]), info

    def step(self, action: str) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        """Give a command."""
        is_admissible = action in self._admissible
        texts, _, _, infos = self._upstream.step([action])
        self._check()
        info = self._info(infos, None)
        return self._observation(texts[0]), self._paid(info, is_admissible), info["won"], False, info

    def close(self) -> None:
        """Stop the simulator."""
        self._upstream.close()

    def _check(self) -> None:
        """Upstream plays in a thread; one that died leaves the last answer behind, and the next call would wait for ever."""
        if not all(room.is_alive() for room in self._upstream.envs):
            raise RuntimeError("the simulator's thread died of an exception, which it has printed")

    def _paid(self, info: dict[str, Any], is_admissible: bool) -> float:
        won, rate = float(info["won"]), info["goal_condition_rate"]
        gained, self._best = max(0.0, rate - self._best), max(self._best, rate)
        if self._reward == "success":
            return won
        bonus = {"rl4vlm": 50 * won + rate, "vldac": won + rate, "increase": won + gained}[self._reward]
        return float(bonus - (not is_admissible))

    def _observation(self, text: str) -> dict[str, Any]:
        frame = np.asarray(self._upstream.get_frames()[0])
        return {"image": np.ascontiguousarray(frame[:, :, ::-1]), "text": str(text)}

    def _info(self, infos: dict[str, Any], number: int | None) -> dict[str, Any]:
        self._admissible = [str(command) for command in infos["admissible_commands"][0]]
        won = bool(infos["won"][0])
        info = {
            "admissible_commands": self._admissible, "won": won, "success": won,
            "goal_condition_rate": float(infos["goal_condition_success_rate"][0]),
        }  # fmt: skip
        return info if number is None else {**info, "game": self._panel.paths[number]}


def _start(settings: dict[str, Any]) -> Any:
    """Start the simulator with one room."""
    try:
        kind = importlib.import_module("alfworld.agents.environment").get_environment("AlfredThorEnv")
        # Anything but "train" spares the hand-written expert, which is asked at every step there; the list is set before resets.
        upstream = kind(settings, train_eval="eval_out_of_distribution").init_env(batch_size=1)
    except Exception as error:
        raise EnvError(
            expected="ALFWorld's visual environment: alfworld[full], an AI2-THOR build and an X display",
            got=f"{type(error).__name__}: {error}", where=ENV_ID,
            do="pip install 'alfworld[full]==0.4.2' on a machine with a display (the build is downloaded at the first use), or use "
            "the native pictures: make('ALFWorld-v0', ..., picture='ego')",
        ) from error  # fmt: skip
    upstream.train_eval = "train"  # one file is drawn from the list, which is not read from the disk again
    return upstream


def _settings(width: int, height: int, human_goals: float) -> dict[str, Any]:
    """Upstream's configuration for an oracle controller and no files of its own."""
    none = str(Path(__file__).with_name("no-games-of-upstreams-own"))
    limit = {"training": {"max_nb_steps_per_episode": _NEVER}}
    return {
        "dataset": {
            "data_path": none, "eval_id_data_path": none, "eval_ood_data_path": none, "num_train_games": -1, "num_eval_games": -1,
        },
        "env": {
            "type": "AlfredThorEnv", "task_types": [1, 2, 3, 4, 5, 6], "goal_desc_human_anns_prob": human_goals,
            "thor": {
                "screen_width": width, "screen_height": height, "smooth_nav": False, "save_frames_to_disk": False,
                "save_frames_path": "",
            },
        },
        "controller": {"type": "oracle", "debug": False, "load_receps": True},
        "general": {"training_method": "dqn"}, "rl": limit, "dagger": limit,
    }  # fmt: skip


gym.register(id=ENV_ID, entry_point="vldac.envs.alfworld.thor:AlfworldThorEnv", max_episode_steps=50)
