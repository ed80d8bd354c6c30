"""What is known of the 120 floor plans and of the household's rules: the data of third_party/alfworld, read once.

Cells are 0.25 m; a pose is (x, z, quarter turns, pitch in degrees downwards), the numbers of a location's id.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from types import MappingProxyType
from typing import Literal

Split = Literal["train", "valid_seen", "valid_unseen"]
SPLITS: tuple[Split, ...] = ("train", "valid_seen", "valid_unseen")
DATA_FOLDER = "json_2.1.1"
"""Upstream's name of the folder that holds the splits."""
TASK_NAMES = {
    "pick": "pick_and_place_simple",
    "look": "look_at_obj_in_light",
    "clean": "pick_clean_then_place_in_recep",
    "heat": "pick_heat_then_place_in_recep",
    "cool": "pick_cool_then_place_in_recep",
    "pick_two": "pick_two_obj_and_place",
}
"""Upstream's names of the six tasks by the short ones, in the order of upstream's numbers 1 to 6."""


def full_task_name(task: str) -> str:
    """Return upstream's name of a task that is named shortly, "two" for "pick_two" included; other words as they are."""
    return TASK_NAMES.get("pick_two" if task == "two" else task, task)


CELL_M = 0.25

Pose = tuple[int, int, int, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Receptacle:
    """A receptacle of a floor plan."""

    key: str
    """Its id as AI2-THOR writes it: "CounterTop|+00.69|+00.95|-02.48"."""
    kind: str
    """Its type: "CounterTop"."""
    pose: Pose
    """Where the agent stands to use it."""
    position: tuple[float, float, float]
    """x, y, z in metres."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FloorPlan:
    """One of the 120 rooms."""

    number: int
    room: str
    """Kitchen, LivingRoom, Bedroom or Bathroom."""
    cells: tuple[tuple[int, int], ...]
    """Where an agent can stand: (x, z)."""
    types: frozenset[str]
    """The object types that the room has."""
    receptacles: tuple[Receptacle, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """One of the six task types."""

    name: str
    rooms: tuple[str, ...]
    goal: str
    """PDDL with {obj}, {recep} and {toggle} to fill in; `#` stands for the dash of typed variables."""
    sentences: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """The household's rules."""

    rooms: tuple[str, ...]
    tasks: Mapping[str, Task]
    unseen: frozenset[int]
    """Floor plans of valid_unseen; train and valid_seen share the others."""
    can_contain: Mapping[str, frozenset[str]]
    """Receptacle type to object types, movable receptacles included."""
    movable: frozenset[str]
    """Object types that are receptacles too, such as plates."""
    openable: frozenset[str]
    actions: Mapping[str, frozenset[str]]
    """cleanable, coolable, heatable, sliceable, toggleable: object types."""


@lru_cache(maxsize=1)
def load_facts() -> Facts:
    """Return the rules."""
    raw = json.loads(read_data("facts.json"))
    tasks = {
        name: Task(
            name=name, rooms=tuple(task["rooms"]), goal=task["goal"], sentences=tuple(task["sentences"])
        )
        for name, task in raw["tasks"].items()
    }  # fmt: skip
    return Facts(
        rooms=tuple(raw["rooms"]),
        tasks=MappingProxyType(tasks),
        unseen=frozenset(raw["unseen"]),
        can_contain=MappingProxyType({key: frozenset(value) for key, value in raw["can_contain"].items()}),
        movable=frozenset(raw["movable"]),
        openable=frozenset(raw["openable"]),
        actions=MappingProxyType({key: frozenset(value) for key, value in raw["actions"].items()}),
    )


@lru_cache(maxsize=1)
def load_floor_plans() -> Mapping[int, FloorPlan]:
    """Return the 120 floor plans by number."""
    rooms = json.loads(read_data("facts.json"))["rooms"]
    room_of = {number: room for room, (first, last) in rooms.items() for number in range(first, last + 1)}
    plans = {}
    for raw in json.loads(read_data("floor_plans.json")):
        plans[raw["number"]] = FloorPlan(
            number=raw["number"],
            room=room_of[raw["number"]],
            cells=tuple((x, z) for z, first, last in raw["cells"] for x in range(first, last + 1)),
            types=frozenset(raw["types"]),
            receptacles=tuple(_receptacle(*row) for row in sorted(raw["receptacles"] + raw["added"])),
        )
    return MappingProxyType(plans)


def floor_plans_of(split: Split) -> tuple[FloorPlan, ...]:
    """Return the floor plans of a split, by number: the first six of each room kind are unseen, as in ALFRED."""
    unseen = load_facts().unseen
    return tuple(plan for n, plan in load_floor_plans().items() if (n in unseen) == (split == "valid_unseen"))


@lru_cache(maxsize=8)
def read_data(name: str) -> str:
    """Return a file of third_party/alfworld: "alfred.pddl"."""
    return files("vldac.third_party.alfworld").joinpath(name).read_text(encoding="utf-8")


def _receptacle(key: str, x: int, z: int, turns: int, pitch: int) -> Receptacle:
    parts = key.split("|")
    kind = parts[4] if len(parts) == 5 else parts[0]  # "Sink|x|y|z|SinkBasin"
    place = (float(parts[1]), float(parts[2]), float(parts[3]))
    return Receptacle(key=key, kind=kind, pose=(x, z, turns, pitch), position=place)
