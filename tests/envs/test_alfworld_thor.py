"""The adapter to ALFWorld's visual environment, on a stand-in for it: frames, texts, commands, rewards, and the error without it."""

from __future__ import annotations

import importlib.util
import json
import random
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vldac.envs.alfworld.thor import ENV_ID, REWARDS, AlfworldThorEnv

import vldac
from vldac.errors import EnvError

FOLDER = Path(__file__).resolve().parent / "alfworld"
TAKE, MOVE = "take mug 1 from shelf 1", "move mug 1 to desk 1"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three games that the panel finds."""
    for i in range(3):
        folder = tmp_path / "json_2.1.1" / "train" / f"pick-{i}" / "trial"
        folder.mkdir(parents=True)
        (folder / "traj_data.json").write_text('{"task_type": "pick_and_place_simple"}', encoding="utf-8")
        parts = {"pddl_domain": "d", "grammar": "g", "pddl_problem": str(i), "solvable": True}
        (folder / "game.tw-pddl").write_text(json.dumps(parts), encoding="utf-8")
    return tmp_path


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The stand-in, where upstream's module would be."""
    for name in ("alfworld", "alfworld.agents", "alfworld.agents.environment"):
        monkeypatch.setitem(sys.modules, name, sys)  # taken back after the test
    spec = importlib.util.spec_from_file_location("a_stand_in", FOLDER / "thor_stand_in.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.install()
    return module


def test_frames_are_rgb_and_of_the_size_that_was_asked_for(data: Path, stand_in: Any) -> None:
    env = AlfworldThorEnv(data=data, image_size=(40, 30))
    obs, info = env.reset(seed=1)
    assert obs["image"].shape == (30, 40, 3) and obs["image"].dtype == np.uint8 and obs["image"].flags.c_contiguous
    assert obs["image"][0, 0].tolist() == [stand_in.RED, stand_in.GREEN, stand_in.BLUE]
    assert env.observation_space.contains(obs)
    assert info["admissible_commands"] == ["look", TAKE] and info["won"] is False and info["goal_condition_rate"] == 0.0
    assert info["game"].endswith("game.tw-pddl")
    thor = env._upstream.config["env"]["thor"]
    assert (thor["screen_width"], thor["screen_height"]) == (40, 30)


@pytest.mark.parametrize(
    ("reward", "expected"),
    [
        ("success", [0, 0, 0, 1]), ("rl4vlm", [-1, 0.5, -0.5, 51]), ("vldac", [-1, 0.5, -0.5, 2]), ("increase", [-1, 0.5, -1, 1.5]),
    ],
)  # fmt: skip
def test_each_reward_pays_what_it_says(data: Path, stand_in: Any, reward: str, expected: list[float]) -> None:
    env = AlfworldThorEnv(data=data, reward=reward)
    env.reset(seed=0)
    paid = []
    for command, is_admissible in (("dance", False), (TAKE, True), (TAKE, False), (MOVE, True)):
        obs, value, terminated, truncated, info = env.step(command)
        paid.append(value)
        assert not truncated and terminated == info["won"] == info["success"] == (command == MOVE)
        assert obs["text"] == (f"You {command}." if is_admissible else "Nothing happens.")
    assert paid == expected
    env.close()
    assert env._upstream.closed == 1


def test_a_seed_draws_the_game_and_its_words(data: Path, stand_in: Any) -> None:
    env = AlfworldThorEnv(data=data)
    seen = {}
    for seed in range(12):
        obs, info = env.reset(seed=seed)
        random.seed(99)  # what others do with the global stream is no matter
        again, more = env.reset(seed=seed)
        assert (again["text"], more["game"]) == (obs["text"], info["game"])
        seen[info["game"]] = obs["text"]
    assert len(seen) == 3 and len(set(seen.values())) == 3
    for number in range(3):
        assert f"pick-{number}" in env.reset(options={"game": number})[1]["game"]


def test_a_simulator_whose_thread_died_is_a_fault_and_no_answer(data: Path, stand_in: Any) -> None:
    env = AlfworldThorEnv(data=data)
    env.reset(seed=0)
    dead = threading.Thread(target=lambda: None)
    env._upstream.envs = [dead]
    with pytest.raises(RuntimeError, match="thread died"):
        env.step("look")


def test_workers_play_it_with_commands_as_actions(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    env = vldac.envs.make(
        f"gymnasium:{ENV_ID}", 2, num_workers=1, imports=["thor_stand_in"],
        env_kwargs={"data": str(data), "reward": "vldac", "image_size": [40, 30]}, prompt="{text} Say one of {admissible_commands}.",
    )  # fmt: skip
    try:
        obs, _ = env.reset(seed=0)
        assert obs["image"].shape == (2, 30, 40, 3) and obs["image"][0, 0, 0].tolist() == [30, 20, 10]
        assert "You see a mug 1." in env.prompts()[0][0]["content"][1]["text"] and TAKE in str(env.prompts()[1])
        _, reward, terminated, _, _ = env.step([TAKE, "dance"])
        assert reward.tolist() == [0.5, -1.0] and not terminated.any()
        _, reward, terminated, _, info = env.step([MOVE, TAKE])
        assert reward.tolist() == [2.0, 0.5] and terminated.tolist() == [True, False]
        assert bool(info["final_info"]["success"][0])
    finally:
        env.close()


def test_an_unknown_reward_is_refused(data: Path) -> None:
    with pytest.raises(EnvError, match="did you mean 'vldac'") as caught:
        AlfworldThorEnv(data=data, reward="vldak")
    assert all(name in caught.value.expected for name in REWARDS)


@pytest.mark.skipif(importlib.util.find_spec("ai2thor") is not None, reason="the simulator may be there")
def test_without_the_simulator_the_error_says_what_it_needs(data: Path) -> None:
    with pytest.raises(EnvError) as caught:
        AlfworldThorEnv(data=data)
    assert "alfworld[full]" in caught.value.expected and "Error: " in caught.value.got
    assert "pip install 'alfworld[full]" in caught.value.do and "picture='ego'" in caught.value.do
