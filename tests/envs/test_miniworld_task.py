"""VL-DAC's task on MiniWorld: prompts, actions by name and number, rewards, and facts that the picture shows."""

from __future__ import annotations

import json
import string
from types import SimpleNamespace

import numpy as np
import pytest
from vldac.envs.prompts import styles, template

from vldac.actions import ParseStatus, actions_of, parse_actions
from vldac.clone import play_samples
from vldac.config import EnvConfig, TrainConfig
from vldac.configuration import check_config
from vldac.envs import make
from vldac.errors import ConfigError

ACTIONS = ["turn left", "turn right", "move forward", "move back"]
GOAL_IDS = [
    "Hallway",
    "OneRoom",
    "OneRoomS6",
    "OneRoomS6Fast",
    "FourRooms",
    "WallGap",
    "TMaze",
    "TMazeLeft",
    "TMazeRight",
]
GOAL_IDS += ["YMaze", "YMazeLeft", "YMazeRight", "Maze", "MazeS2", "MazeS3", "MazeS3Fast"]
IDS = [*GOAL_IDS, "Sidewalk", "CollectHealth", "PickupObjects", "PutNext", "RoomObjects", "ThreeRooms", "Sign"]
IDS = [f"MiniWorld-{name}-v0" for name in IDS]


@pytest.mark.parametrize("env_id", IDS)
def test_every_id_has_the_originals_parts_in_three_versions(env_id: str) -> None:
    """Header with the rewards, task, progress, actions by name and number, guidance, two hints, form of the answer: in order."""
    assert len(set(IDS)) == 23 and styles(env_id) == ("paper", "short", "v1", "v2", "v3")
    texts = {style: template(env_id, style, ACTIONS) for style in styles(env_id)}
    parts = ["rewarded when it is done, and get 0", "TASK: ", "You have taken {steps} actions", "Take one action"]
    parts += [
        "turn left (0), turn right (1), move forward (2), move back (3)",
        "choose an action",
        "turn around",
        "look for, explore",
    ]
    parts += ['"thoughts": ', '"action": ']
    for version in ("v1", "v2", "v3"):
        places = [texts[version].index(part) for part in parts]
        assert places == sorted(places)
        slots = {name for _, name, _, _ in string.Formatter().parse(texts[version]) if name}
        assert slots == {"steps"} | ({"goal_object"} if "Sign" in env_id else set())
    assert texts["paper"] == texts["v3"]
    assert '"description": ' in texts["v1"] and "describe" in texts["v1"] and "description" not in texts["v2"]
    few = [version for version in ("v1", "v2", "v3") if "as few steps" in texts[version]]
    assert few == ["v1", "v2"] and len(texts["v3"]) < len(texts["v2"]) < len(texts["v1"])
    assert len(texts["short"]) < 90 and texts["short"].endswith("Answer in JSON.")


def test_the_four_tasks_of_the_paper_are_one_in_v3() -> None:
    briefs = {
        template(f"MiniWorld-{name}-v0", "v3", ACTIONS) for name in ("Hallway", "OneRoom", "FourRooms", "WallGap")
    }
    layouts = {
        template(f"MiniWorld-{name}-v0", "v2", ACTIONS) for name in ("Hallway", "OneRoom", "FourRooms", "WallGap")
    }
    assert len(briefs) == 1 and "TASK: go to red box\n" in briefs.pop() and len(layouts) == 4


@pytest.mark.parametrize(
    ("said", "action"),
    [
        ('"turn left"', 0), ("0", 0), ('"3"', 3), ("2", 2), ('"Move Forward"', 2), ('"turn_right"', 1), ('"2: move forward"', 2),
        ("4", -1), ("-1", -1), ('"17"', -1), ("1e9", -1), ('"jump"', -1), ('"turn left or turn right"', -1),
    ],
)  # fmt: skip
def test_actions_are_named_or_numbered_within_their_range(said: str, action: int) -> None:
    env = SimpleNamespace(env_id="MiniWorld-OneRoom-v0", action_names=ACTIONS)
    (found,), (status,) = parse_actions([f'{{"thoughts": "2 or 3 steps more", "action": {said}}}'], actions_of(env))
    assert found == action and (status in (ParseStatus.OK, ParseStatus.TOLERANT)) == (action >= 0)


def test_numbers_are_no_names_where_the_prompt_gives_none() -> None:
    env = SimpleNamespace(env_id="gym_cards/NumberLine-v0", action_names=["-", "+"])
    assert parse_actions(['{"action": 1}'], actions_of(env))[0].tolist() == [-1]


def test_prompt_versions_are_refused_where_there_are_none() -> None:
    check_config(TrainConfig(env=EnvConfig(id="MiniWorld-Hallway-v0", prompt="v1")))
    for env_id in ("gym_cards/EZPoints-v0", "gymnasium:CartPole-v1"):
        with pytest.raises(ConfigError, match=r"(?s)one of paper, short for .*env\.prompt"):
            check_config(TrainConfig(env=EnvConfig(id=env_id, prompt="v1")))


@pytest.mark.parametrize("env_id", IDS)
def test_prompts_of_every_id_are_filled_natively(env_id: str) -> None:
    for style in styles(env_id):
        env = make(env_id, 1, task="vldac", prompt=style, image_size=(28, 28), textures="builtin")
        env.reset(seed=0)
        env.step(np.array([2]))
        ((message,),) = env.prompts()
        image, text = message["content"]
        assert image == {"type": "image"} and "{steps}" not in text["text"] and "{goal" not in text["text"]
        assert style == "short" or "You have taken 1 actions in this episode" in text["text"]
        assert env.action_names == ACTIONS


def test_rewards_keep_the_environments_own_horizon_and_failures_pay_minus_one() -> None:
    env = make("MiniWorld-OneRoom-v0", 32, task="vldac", image_size=(28, 28), textures="builtin")
    env.reset(seed=11)
    rng = np.random.default_rng(0)
    seen: set[bool] = set()
    for step in range(140):
        actions = np.where(np.arange(32) < 16, env.oracle_actions(), rng.integers(0, 2, 32))  # the others turn
        _, reward, terminated, truncated, info = env.step(actions)
        for e in np.flatnonzero(terminated | truncated):
            success, length = bool(info["final_info"]["success"][e]), int(info["final_info"]["length"][e])
            seen.add(success)
            assert success == terminated[e] and (success or length == 128)
            assert reward[e] == (1.0 - 0.2 * (length / 180) if success else -1.0)
        if step < 127:
            assert not truncated[16:].any()
    assert seen == {True, False}


@pytest.mark.parametrize(("name", "half_turn"), [("OneRoom", 7.5), ("OneRoomS6Fast", 22.5)])
def test_what_is_said_of_the_goal_is_what_the_picture_shows(name: str, half_turn: float) -> None:
    """Side and distance as measured on the picture: where the red pixels are, and how high they reach."""
    env = make(f"MiniWorld-{name}-v0", 256, task="vldac", textures="builtin", num_threads=1)
    obs, _ = env.reset(seed=5)
    focal = 30 / np.tan(np.radians(30))  # pixels
    checked = missing = 0
    for fact, image in zip(env.facts(), obs["image"].astype(int), strict=True):
        is_red = (image[..., 0] > 2 * image[..., 1] + 20) & (image[..., 0] > 2 * image[..., 2] + 20)
        columns = np.flatnonzero(is_red.any(0))
        if fact["goal"] == "none":
            assert not len(columns) or columns.max() < 4 or columns.min() > 75  # at most a sliver, at the edge
            continue
        distance, side = fact["goal"].split()
        missing += not len(columns)
        if not len(columns) or columns.min() == 0 or columns.max() == 79:
            continue  # cut off: its middle cannot be measured
        angle = np.degrees(np.arctan((39.5 - columns.mean()) / focal))
        if abs(abs(angle) - half_turn) > 3:
            assert side == ("ahead" if abs(angle) < half_turn else "left" if angle > 0 else "right")
        bottom = (
            np.flatnonzero(is_red.any(1)).max() + 0.5 - 30
        )  # the box's nearest edge on the floor, 1.5 m below the eye
        metres = 1.5 * focal / bottom / np.cos(np.radians(angle)) + 0.48
        limits = {"near": (0, 2.5), "medium": (2.5, 5), "far": (5, 15)}[distance]
        assert limits[0] - 0.7 < metres < limits[1] * 1.2 + 0.7
        checked += 1
    assert checked > 20 and missing <= 2  # a sliver may be missing


def test_a_quarter_of_the_cloned_actions_are_the_experts() -> None:
    """uniform: an action in four agrees with the expert by chance; quarter_oracle: 1/4 + 3/4 x 1/4."""
    config = EnvConfig(id="MiniWorld-Hallway-v0", prompt="short", textures="builtin")
    shares = {}
    for mode in ("uniform", "quarter_oracle"):
        samples = play_samples(config, 2048, seed=1, action=mode)
        ahead = [json.loads(s.response)["action"] for s in samples if s.facts["goal"] == "far ahead"]
        assert len(ahead) > 50
        shares[mode] = np.mean([action == "move forward" for action in ahead])
    assert abs(shares["uniform"] - 0.25) < 0.1 and 0.33 < shares["quarter_oracle"] < 0.56, shares
