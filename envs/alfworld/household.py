"""A drawn game, before it is written as text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vldac.envs.alfworld.tables import FloorPlan, Pose, Receptacle

if TYPE_CHECKING:
    from vldac.envs.alfworld.oddities import Oddities


@dataclass(frozen=True, kw_only=True, slots=True)
class Goal:
    """What is to be done: the task and its types. An empty string where the task has no such part."""

    task: str
    target: str
    parent: str
    toggle: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """An object: its id, type, position in metres and the receptacle that it lies in."""

    key: str
    kind: str
    position: tuple[float, float, float]
    receptacle: Receptacle


@dataclass(frozen=True, kw_only=True, slots=True)
class Fixture:
    """A thing that stands in the room, outside all receptacles: its id, type and the pose that is nearest to it."""

    key: str
    kind: str
    pose: Pose


@dataclass(frozen=True, kw_only=True, slots=True)
class Household:
    """See the module."""

    floor_plan: FloorPlan
    goal: Goal
    receptacles: tuple[Receptacle, ...]
    items: tuple[Item, ...]
    start: Pose
    oddities: Oddities
