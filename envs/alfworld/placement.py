"""Draw a household: the floor plan, the goal, which receptacles are kept, what lies where.

A draw can fail (nothing of the task fits into the room, no place is left for a target): `Rejected` says why, and the generator
draws again.
"""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Collection
from functools import lru_cache

from vldac.envs.alfworld.household import Goal, Household, Item
from vldac.envs.alfworld.naming import coordinate
from vldac.envs.alfworld.oddities import Oddities, draw_oddities
from vldac.envs.alfworld.options import GeneratorOptions
from vldac.envs.alfworld.tables import FloorPlan, Pose, Receptacle, Split, floor_plans_of, load_facts

MAX_COPIES = 3  # of an object type, as upstream's scenes have
LAMP = "DeskLamp"
LAMP_STANDS = frozenset(
    {"Desk", "SideTable", "Dresser", "DiningTable", "CoffeeTable", "Shelf", "CounterTop", "TVStand"}
)
# Which receptacle type a treatment needs, and what the objects must be able to do.
TREATMENTS = {
    "pick_clean_then_place_in_recep": ("SinkBasin", "cleanable"),
    "pick_heat_then_place_in_recep": ("Microwave", "heatable"),
    "pick_cool_then_place_in_recep": ("Fridge", "coolable"),
}
HELD_OUT_FRAC = 0.1  # of a task's (object, receptacle) pairs: they are in valid_seen alone

# How much lies in a receptacle at most, and how likely it is to be chosen: about twice what lies on a used one in the released
# games. Not a rule of the game; it keeps lists and pictures readable.
_CAPACITY = {
    "StoveBurner": 1, "CoffeeMachine": 1, "Toaster": 1, "TowelHolder": 1, "HandTowelHolder": 1, "ToiletPaperHanger": 1,
    "Cabinet": 2, "Drawer": 2, "Microwave": 2, "Safe": 2, "GarbageCan": 3, "Shelf": 3, "Ottoman": 3, "ArmChair": 3,
    "BathtubBasin": 3, "LaundryHamper": 3, "Toilet": 4, "SinkBasin": 5, "Cart": 5, "TVStand": 5, "SideTable": 5, "Sofa": 5,
    "Bed": 7, "Fridge": 8, "Desk": 8, "Dresser": 8, "CoffeeTable": 8, "CounterTop": 12, "DiningTable": 14,
}  # fmt: skip
# Metres above the floor of the surface of receptacles whose id has the floor's height, and how far things lie from its centre.
_HEIGHT = {
    "SideTable": 0.6, "DiningTable": 0.76, "CoffeeTable": 0.46, "Desk": 0.76, "Dresser": 0.9, "Bed": 0.6, "Sofa": 0.45,
    "ArmChair": 0.45, "Ottoman": 0.4, "TVStand": 0.55, "Fridge": 0.9, "Toilet": 0.6, "Cart": 0.8, "Safe": 0.2,
    "LaundryHamper": 0.3, "GarbageCan": 0.1,
}  # fmt: skip
_SPREAD = {
    "CounterTop": 0.35,
    "DiningTable": 0.4,
    "CoffeeTable": 0.3,
    "Desk": 0.35,
    "Dresser": 0.3,
    "Bed": 0.4,
    "Sofa": 0.4,
}
_SMALL_SPREAD = 0.12


class Rejected(Exception):
    """A draw that makes no game; the message names the reason and is counted in the report."""


def draw_household(rng: random.Random, task: str, split: Split, options: GeneratorOptions) -> Household:
    """Return a household whose goal is not met. Raises Rejected."""
    plan = rng.choice([plan for plan in floor_plans_of(split) if plan.room in _rooms(task, options)])
    goals = possible_goals(plan, task, split)
    if not goals:
        raise Rejected("no goal of the task fits the floor plan")
    goal = rng.choice(goals)
    receptacles = _kept(rng, plan, goal, options)
    items = _Placer(rng, plan, goal, receptacles, options).place_all()
    has_oddities = not options.is_visible_only
    return Household(
        floor_plan=plan, goal=goal, receptacles=receptacles, items=items, start=_start(rng, plan, receptacles),
        oddities=draw_oddities(rng, plan, goal, receptacles, items) if has_oddities else Oddities(),
    )  # fmt: skip


@lru_cache(maxsize=4096)
def possible_goals(plan: FloorPlan, task: str, split: Split) -> tuple[Goal, ...]:
    """Return the goals of a task in a floor plan that belong to the split.

    train and valid_seen have the same floor plans and no (task, object, receptacle) in common; valid_unseen has them all.
    """
    goals = _all_goals(plan, task)
    if split == "valid_unseen":
        return goals
    held_out = _held_out(task)
    return tuple(goal for goal in goals if (goal in held_out) == (split == "valid_seen"))


@lru_cache(maxsize=8)
def _held_out(task: str) -> frozenset[Goal]:
    goals = {goal for plan in floor_plans_of("train") for goal in _all_goals(plan, task)}

    def shuffled(goal: Goal) -> str:
        return hashlib.sha256(f"{goal.task}-{goal.target}-{goal.parent}-{goal.toggle}".encode()).hexdigest()

    return frozenset(sorted(goals, key=shuffled)[: math.ceil(HELD_OUT_FRAC * len(goals))])


def _all_goals(plan: FloorPlan, task: str) -> tuple[Goal, ...]:
    facts = load_facts()
    kinds = sorted({receptacle.kind for receptacle in plan.receptacles})
    if plan.room not in facts.tasks[task].rooms:
        return ()
    targets = sorted(portable_types(plan))
    if task == "look_at_obj_in_light":
        has_stand = not LAMP_STANDS.isdisjoint(kinds)
        return tuple(Goal(task=task, target=o, parent="", toggle=LAMP) for o in targets if has_stand)
    appliance, ability = TREATMENTS.get(task, ("", ""))
    if appliance and appliance not in kinds:
        return ()
    return tuple(
        Goal(task=task, target=target, parent=parent, toggle="")
        for target in targets
        if not ability or target in facts.actions[ability]
        for parent in kinds
        if parent != appliance and target in facts.can_contain[parent]
        if any(kind != parent and target in facts.can_contain[kind] for kind in kinds)
    )


@lru_cache(maxsize=128)
def portable_types(plan: FloorPlan) -> frozenset[str]:
    """Return the room's object types that can be carried: some receptacle of the room has a place for them."""
    can_contain = load_facts().can_contain
    kinds = {receptacle.kind for receptacle in plan.receptacles}
    return plan.types & {kind for receptacle in kinds for kind in can_contain[receptacle]} - kinds


def _rooms(task: str, options: GeneratorOptions) -> Collection[str]:
    return [room for room in load_facts().tasks[task].rooms if room in options.rooms]


def _kept(
    rng: random.Random, plan: FloorPlan, goal: Goal, options: GeneratorOptions
) -> tuple[Receptacle, ...]:  # fmt: skip
    """Return the receptacles of the game, in the floor plan's order: all, or the goal's and as many others as asked for."""
    bounds = options.receptacle_bounds
    if bounds is None:
        return plan.receptacles
    facts = load_facts()
    shuffled = rng.sample(plan.receptacles, len(plan.receptacles))
    visible = [r for r in shuffled if not options.is_visible_only or r.kind not in facts.openable]
    holders = [r for r in visible if goal.target in facts.can_contain[r.kind] and r.kind != goal.parent]
    wanted = [[r for r in shuffled if r.kind == goal.parent]] if goal.parent else []
    if goal.toggle:
        wanted.append([r for r in visible if r.kind in LAMP_STANDS])
    if goal.task in TREATMENTS:
        wanted.append([r for r in shuffled if r.kind == TREATMENTS[goal.task][0]])
    kept: list[Receptacle] = []
    for choices in [*wanted, holders]:
        if not choices:
            raise Rejected("no visible place for the target or the lamp")
        if kept and choices is holders and any(r in holders for r in kept):
            continue
        kept.append(choices[0])
    num = rng.randint(*bounds)
    kept += [r for r in visible if r not in kept][: max(0, num - len(kept))]
    return tuple(r for r in plan.receptacles if r in kept)


def _start(rng: random.Random, plan: FloorPlan, receptacles: tuple[Receptacle, ...]) -> Pose:
    taken = {receptacle.pose[:2] for receptacle in receptacles}
    free = [cell for cell in plan.cells if cell not in taken]
    x, z = rng.choice(free)
    return (x, z, rng.randrange(4), 30)


class _Placer:
    """Lays objects into receptacles one by one."""

    def __init__(
        self, rng: random.Random, plan: FloorPlan, goal: Goal, receptacles: tuple[Receptacle, ...], options: GeneratorOptions
    ) -> None:  # fmt: skip
        self._rng, self._goal, self._receptacles = rng, goal, receptacles
        self._facts = load_facts()
        self._can_hide = not options.is_visible_only
        self._num_objects = rng.randint(*options.object_bounds(plan.room))
        self._others = sorted(portable_types(plan) - {goal.target})
        self._room_left = {receptacle.key: _CAPACITY[receptacle.kind] for receptacle in receptacles}
        self._items: list[Item] = []

    def place_all(self) -> tuple[Item, ...]:
        """Return the objects: the goal's first, then one of each type of the room, then copies, up to the drawn number."""
        self._place_lamp()
        self._place_targets()
        kinds = self._rng.sample(self._others, len(self._others))
        for kind in kinds + self._rng.choices(self._others, k=MAX_COPIES * len(self._others)):
            if len(self._items) >= self._num_objects:
                break
            if sum(item.kind == kind for item in self._items) < MAX_COPIES:
                self._place(kind, self._holders(kind))
        return tuple(sorted(self._items, key=lambda item: item.key))

    def _place_lamp(self) -> None:
        if not self._goal.toggle:
            return
        stands = [r for r in self._receptacles if r.kind in LAMP_STANDS]
        if not self._place(LAMP, stands):
            raise Rejected("no place for the lamp")

    def _place_targets(self) -> None:
        """At least as many targets as the goal needs, none where they would meet it."""
        goal = self._goal
        needed = 2 if goal.task == "pick_two_obj_and_place" else 1
        extra = self._rng.choices(range(MAX_COPIES - needed + 1), weights=[6, 3, 1][: MAX_COPIES - needed + 1])[0]
        # What lies in the fridge is cold.
        holders = [
            r
            for r in self._holders(goal.target)
            if TREATMENTS.get(goal.task, ("",))[0] != "Fridge" or r.kind != "Fridge"
        ]
        elsewhere = [r for r in holders if r.kind != goal.parent]
        for copy in range(needed + min(extra, self._num_objects // 4)):
            # A treatment comes first anyway; of two, one may lie in place.
            may_be_there = goal.task in TREATMENTS or (needed == 2 and copy == 0)
            if not self._place(goal.target, holders if may_be_there else elsewhere) and copy < needed:
                raise Rejected("no place for the target")

    def _holders(self, kind: str) -> list[Receptacle]:
        facts = self._facts
        return [
            r
            for r in self._receptacles
            if kind in facts.can_contain[r.kind] and (self._can_hide or r.kind not in facts.openable)
        ]

    def _place(self, kind: str, holders: list[Receptacle]) -> bool:
        weights = [self._room_left[r.key] for r in holders]
        if not any(weights):
            return False
        receptacle = self._rng.choices(holders, weights=weights)[0]
        self._room_left[receptacle.key] -= 1
        keys = {item.key for item in self._items}
        while True:
            position = self._position(receptacle)
            key = "|".join([kind, *map(coordinate, position)])
            if key not in keys:
                self._items.append(Item(key=key, kind=kind, position=position, receptacle=receptacle))
                return True

    def _position(self, receptacle: Receptacle) -> tuple[float, float, float]:
        x, y, z = receptacle.position
        spread = _SPREAD.get(receptacle.kind, _SMALL_SPREAD)
        height = max(y, _HEIGHT.get(receptacle.kind, y))
        return (
            x + spread * (2 * self._rng.random() - 1),
            height + 0.02 + 0.02 * self._rng.random(),
            z + spread * (2 * self._rng.random() - 1),
        )
