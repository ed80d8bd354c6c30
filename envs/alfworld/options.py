"""What a user can ask of the game generator, checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from vldac.envs.alfworld.tables import TASK_NAMES, full_task_name, load_facts

from vldac.errors import ConfigError, nearest

Wording = Literal["new", "old"]
Difficulty = Literal["full", "small"]
MAX_STEPS = 50  # upstream's horizon

ROOMS = ("Kitchen", "LivingRoom", "Bedroom", "Bathroom")
# Portable objects of 474 released games, fewest and most but for single outliers.
_NUM_OBJECTS = {"Kitchen": (32, 60), "LivingRoom": (13, 32), "Bedroom": (17, 32), "Bathroom": (12, 25)}


@dataclass(frozen=True, kw_only=True, slots=True)
class GeneratorOptions:
    """Which games are made. Raises ConfigError for values that cannot work."""

    tasks: tuple[str, ...] = tuple(TASK_NAMES)
    """Tasks by short or full name; they take turns."""
    rooms: tuple[str, ...] = ROOMS
    """Kitchen, LivingRoom, Bedroom, Bathroom."""
    difficulty: Difficulty = "full"
    """full: whole floor plans, things behind doors. small: four to six receptacles, few objects, all of them in view."""
    num_objects: tuple[int, int] | None = None
    """Fewest and most objects; None is as many as released games have (32 to 60 in kitchens), and 3 to 6 in small rooms. Rooms
    that have no place for so many hold fewer."""
    num_receptacles: tuple[int, int] | None = None
    """Fewest and most receptacles; None is all of the floor plan, and (4, 6) in small rooms."""
    max_plan_length: int = MAX_STEPS
    """Steps in which the expert must win."""
    min_plan_length: int = 1
    """Steps that the expert must need at least."""
    wording: Wording = "new"
    """new: "move X to Y", as games since 0.4.0. old: "put X in/on Y", and no help command."""

    def __post_init__(self) -> None:
        _check_words("tasks", self.tasks, [*TASK_NAMES, "two", *TASK_NAMES.values()])
        _check_words("rooms", self.rooms, ROOMS)
        _check_words("wording", (self.wording,), ("new", "old"))
        _check_words("difficulty", (self.difficulty,), ("full", "small"))
        _check_bounds("num_objects", self.num_objects)
        _check_bounds("num_receptacles", self.num_receptacles)
        if not 1 <= self.min_plan_length <= self.max_plan_length:
            raise ConfigError(
                expected="1 <= min_plan_length <= max_plan_length",
                got=f"min_plan_length {self.min_plan_length}, max_plan_length {self.max_plan_length}",
                where="game generator", do="raise max_plan_length or lower min_plan_length",
            )  # fmt: skip
        for task in self.full_tasks:
            rooms = load_facts().tasks[task].rooms
            if not set(rooms) & set(self.rooms):
                raise ConfigError(
                    expected=f"a room for {task}: {', '.join(rooms)}", got=f"rooms {', '.join(self.rooms)}",
                    where="game generator", do="add one of its rooms, or leave the task out",
                )  # fmt: skip

    @property
    def full_tasks(self) -> tuple[str, ...]:
        """The tasks by their full names."""
        return tuple(full_task_name(task) for task in self.tasks)

    def object_bounds(self, room: str) -> tuple[int, int]:
        """Return the fewest and most objects of a room."""
        return self.num_objects or ((3, 6) if self.difficulty == "small" else _NUM_OBJECTS[room])

    @property
    def receptacle_bounds(self) -> tuple[int, int] | None:
        """Fewest and most receptacles; None: all."""
        return self.num_receptacles or ((4, 6) if self.difficulty == "small" else None)

    @property
    def is_visible_only(self) -> bool:
        """Whether nothing lies behind a door."""
        return self.difficulty == "small"


def _check_words(name: str, words: Sequence[str], known: Sequence[str]) -> None:
    unknown = [word for word in words if word not in known]
    if unknown or not words:
        hint = nearest(unknown[0], known) if unknown else ""
        raise ConfigError(
            expected=f"{name} among {', '.join(known)}{hint}", got=repr(unknown[0]) if unknown else "none",
            where="game generator", do="choose from the list",
        )  # fmt: skip


def _check_bounds(name: str, bounds: tuple[int, int] | None) -> None:
    if bounds is not None and not (len(bounds) == 2 and 1 <= bounds[0] <= bounds[1]):
        raise ConfigError(
            expected=f"{name} as two numbers, fewest and most, from 1", got=str(bounds),
            where="game generator", do="write them in rising order, for example (3, 6)",
        )  # fmt: skip
