"""What released games have besides things that lie in a receptacle, and an agent should have met: a pan that stands on two stove
burners at once, a fork in a cup, cold food in the fridge, and things that stand in the room and cannot be used.

How often each occurs is as in 474 released games, roughly. None of it may meet the goal or make it easier.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from vldac.envs.alfworld.household import Fixture, Goal, Item
from vldac.envs.alfworld.naming import coordinate
from vldac.envs.alfworld.tables import CELL_M, FloorPlan, Receptacle, load_facts

# (object types, where it lies, where it lies too): a share of such objects is in both.
_TWICE = (
    (frozenset({"Pot", "Pan"}), "StoveBurner", "StoveBurner", 0.5),
    (frozenset({"Mug"}), "CoffeeMachine", "CounterTop", 0.6),
    (frozenset({"Bowl", "AlarmClock", "Mug", "Pencil", "DeskLamp"}), "Desk", "Shelf", 0.2),
)
_INSIDE_FRAC = 0.2  # of games have one thing inside another
_FIXTURES = {  # how many of each type that the room has, and their height in metres
    "StoveKnob": (4, 1.1), "Window": (1, 1.6), "Chair": (2, 0.0), "LightSwitch": (1, 1.3), "Mirror": (1, 1.5), "Blinds": (1, 1.8),
    "Painting": (1, 1.6), "FloorLamp": (1, 0.0), "Television": (1, 0.9), "HousePlant": (1, 0.3), "Curtains": (1, 1.6),
    "ShowerDoor": (1, 1.0), "Poster": (1, 1.6), "LaundryHamperLid": (1, 0.6),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Oddities:
    """See the module."""

    also_in: tuple[tuple[Item, Receptacle], ...] = ()
    """Objects that lie in another receptacle, too."""
    inside: tuple[tuple[Item, Item], ...] = ()
    """(inner, outer): both lie in the same receptacle."""
    cold: tuple[Item, ...] = ()
    fixtures: tuple[Fixture, ...] = ()


def draw_oddities(
    rng: random.Random, plan: FloorPlan, goal: Goal, receptacles: tuple[Receptacle, ...], items: tuple[Item, ...]
) -> Oddities:
    """Return what is odd about a household."""
    facts = load_facts()
    cold = tuple(item for item in items if item.receptacle.kind == "Fridge" and item.kind in facts.actions["coolable"])
    return Oddities(
        also_in=_twice(rng, goal, receptacles, items), inside=_inside(rng, items), cold=cold, fixtures=_fixtures(rng, plan)
    )  # fmt: skip


def _twice(
    rng: random.Random, goal: Goal, receptacles: tuple[Receptacle, ...], items: tuple[Item, ...]
) -> tuple[tuple[Item, Receptacle], ...]:
    found = []
    for item in items:
        for kinds, first, second, frac in _TWICE:
            if item.kind not in kinds or item.receptacle.kind != first:
                continue
            if item.kind == goal.target and second == goal.parent:
                continue  # the goal could be met by itself
            others = [r for r in receptacles if r.kind == second and r is not item.receptacle]
            if others and rng.random() < frac:
                found.append((item, min(others, key=lambda r: _distance(r, item.receptacle))))
    return tuple(found)


def _inside(rng: random.Random, items: tuple[Item, ...]) -> tuple[tuple[Item, Item], ...]:
    if rng.random() >= _INSIDE_FRAC:
        return ()
    facts = load_facts()
    pairs = [
        (inner, outer)
        for outer in items
        if outer.kind in facts.movable
        for inner in items
        if inner is not outer and inner.receptacle is outer.receptacle and inner.kind in facts.can_contain[outer.kind]
    ]
    return (rng.choice(pairs),) if pairs else ()


def _fixtures(rng: random.Random, plan: FloorPlan) -> tuple[Fixture, ...]:
    found = []
    for kind in sorted(plan.types & set(_FIXTURES)):
        copies, height = _FIXTURES[kind]
        for x, z in rng.sample(plan.cells, min(copies, len(plan.cells))):
            place = (x * CELL_M, height, z * CELL_M)
            key = "|".join([kind, *map(coordinate, place)])
            found.append(Fixture(key=key, kind=kind, pose=(x, z, rng.randrange(4), 30)))
    return tuple(found)


def _distance(one: Receptacle, other: Receptacle) -> float:
    return sum((a - b) ** 2 for a, b in zip(one.position, other.position, strict=True))
