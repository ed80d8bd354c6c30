"""VL-DAC's task on MiniWorld: prompts, actions by name and number."""

from __future__ import annotations

import string
from types import SimpleNamespace

import pytest
from vldac.envs.prompts import styles, template

from vldac.actions import ParseStatus, actions_of, parse_actions
from vldac.config import EnvConfig, TrainConfig
from vldac.configuration import check_config
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
        with pytest.raises(ConfigError, match=r"(?s)v1 to v3 are MiniWorld's.*env\.prompt"):
            check_config(TrainConfig(env=EnvConfig(id=env_id, prompt="v1")))
