"""Prompts of the MiniWorld ids, in our own words, with the contents of VL-DAC's prompts (versions v1, v2 and v3).

All have the same parts in the same order: what this is and what it pays; the task; how far the episode is; the actions by name
and number; guidance; two hints; the form of the answer. v1 also asks for a description of the picture. v1 and v2 tell the layout
and ask for few steps; v3, which the original's scripts use and "paper" means, says the task in as few words as it can.
The number of actions so far is the true one; the original tells the number of pictures instead (docs/deviations.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

VERSIONS = ("v1", "v2", "v3")
PAPER_VERSION = "v3"


@dataclass(frozen=True, slots=True)
class Task:
    """What one family of ids asks for."""

    brief: str
    """v3, and the short prompt"""
    layout: str
    """v1 and v2: where the agent is, and what it shall do"""


_FEW = "Take as few steps as you can."
_RED = "go to red box"
_JUNCTION = "You stand in a corridor that ends in a junction; a red box is at the end of one of its arms."
_MAZE = "You are in a maze of small rooms; a red box is somewhere in it."
_TASKS = {
    "CollectHealth": Task(
        "pick up medical kits before your health runs out",
        "You are in a big room with a harmful floor: every step costs health. Walk to medical kits and pick them up to stay alive.",
    ),
    "FourRooms": Task(_RED, "Four rooms are connected by openings in a ring; a red box is in one of them. Find it and go to it."),
    "Hallway": Task(_RED, "You are in a hallway; a red box is at its end. Go to it."),
    "Maze": Task(_RED, f"{_MAZE} Find it and go to it."),
    "OneRoom": Task(_RED, "You are in one big room with a red box in it. Go to the box."),
    "PickupObjects": Task(
        "pick up all objects",
        "You are in a big room with five objects: boxes, balls and keys. Walk to each of them and pick it up.",
    ),
    "PutNext": Task(
        "put red box next to yellow box",
        "You are in a big room with boxes of several colours. Pick up the red box, carry it to the yellow box and put it down there.",
    ),
    "RoomObjects": Task(
        "look at the objects",
        "You are in a room with a box, a ball and a key. There is no goal: look at the objects from all sides.",
    ),
    "Sidewalk": Task(
        "go to red box along the sidewalk",
        "You are on a sidewalk beside a street; a red box is at the sidewalk's end. Go to it and never step into the street.",
    ),
    "Sign": Task(
        "touch the {goal_object} in the colour that the sign names",
        "You are in a U-shaped maze with boxes and keys in three colours. A sign on a wall names one colour. Find the sign, then "
        "touch the {goal_object} of that colour and nothing else: touching an object ends the episode.",
    ),
    "TMaze": Task(_RED, f"{_JUNCTION} Find out which and go to the box."),
    "ThreeRooms": Task(
        "explore the three rooms",
        "One big room has openings to two small ones, with a few objects in them. There is no goal: see all of the rooms.",
    ),
    "WallGap": Task(_RED, "You are in a yard; a red box is behind a wall that has a gap. Pass through the gap and go to the box."),
    "YMaze": Task(_RED, f"{_JUNCTION} Find out which and go to the box."),
}  # fmt: skip

_HEADER = (
    "You are an agent in a simulated 3-D world and see it with your own eyes: the last picture is the present view, pictures before "
    "it are earlier views, oldest first. Complete the task: you are rewarded when it is done, and get 0 if it is not.\n"
)
_WHERE = "You have taken {steps} actions in this episode. Take one action now.\n"
_GUIDANCE = {
    "v1": "First describe what you see, then reason about where to go, then choose an action.\n",
    "v2": "Think about what you see and where to go, then choose an action.\n",
    "v3": "Think about what you see and where to go, then choose an action.\n",
}
_HINTS = "Hints: if a wall blocks your way, turn around. If you do not see what you look for, explore.\n"
_ANSWER = {
    "v1": '{{"description": "<what you see>", "thoughts": "<your reasoning>", "action": "<name or number of an action>"}}',
    "v2": '{{"thoughts": "<your reasoning>", "action": "<name or number of an action>"}}',
    "v3": '{{"thoughts": "<your reasoning>", "action": "<name or number of an action>"}}',
}


def is_miniworld(env_id: str) -> bool:
    """Whether an id is one of MiniWorld's."""
    return env_id.startswith("MiniWorld-")


def template(env_id: str, style: str, actions: Sequence[str]) -> str:
    """Return the text of an id's prompt, with {slots} for facts. style: "paper", "short", or one of VERSIONS."""
    task = _task(env_id)
    if style == "short":
        return f"{task.brief[0].upper()}{task.brief[1:]}. Answer in JSON."
    version = PAPER_VERSION if style == "paper" else style
    text = task.brief if version == "v3" else f"{task.layout} {_FEW}"
    listed = ", ".join(f"{name} ({number})" for number, name in enumerate(actions))
    before = f"{_HEADER}TASK: {text}\n{_WHERE}Actions: {listed}.\n{_GUIDANCE[version]}{_HINTS}"
    return f"{before}Answer with one JSON object: {_ANSWER[version]}"


def _task(env_id: str) -> Task:
    """The task of an id's family: the longest name of a family that the id begins with."""
    name = env_id.removeprefix("MiniWorld-")
    return _TASKS[max((family for family in _TASKS if name.startswith(family)), key=len)]
