"""A plan that wins a generated household, built from what the generator knows."""

from __future__ import annotations

from collections import Counter

from vldac.envs.alfworld.options import Wording
from vldac.envs.alfworld.placement import TREATMENTS, Household, Item
from vldac.envs.alfworld.tables import Receptacle, load_facts


def entity_names(household: Household) -> dict[str, str]:
    """Return the name of each object and receptacle id: type and number, the first sorted id having the highest number."""
    keys = [item.key for item in household.items] + [r.key for r in household.receptacles]
    kinds = {key: _shown_kind(key) for key in keys}
    left = Counter(kinds.values())
    names = {}
    for key in sorted(keys, key=_sort_key):
        names[key] = f"{kinds[key]} {left[kinds[key]]}"
        left[kinds[key]] -= 1
    return names


def solve(household: Household, wording: Wording) -> list[str]:
    """Return commands that win, for each choice of objects and receptacles the shortest."""
    names, goal = entity_names(household), household.goal
    targets = [item for item in household.items if item.kind == goal.target]
    if goal.toggle:
        lamps = [item for item in household.items if item.kind == goal.toggle]
        plans = [_look(household, names, item, lamp) for item in targets for lamp in lamps]
        return min(plans, key=len)
    parents = [r for r in household.receptacles if r.kind == goal.parent]
    plans = []
    for parent in parents:
        there = [item for item in targets if item.receptacle is parent]
        away = [item for item in targets if item.receptacle is not parent]
        if goal.task == "pick_two_obj_and_place":
            for first in there or away:
                pairs = [[first, second] for second in away if second is not first]
                for pair in pairs:
                    carried = [item for item in pair if item not in there]
                    plans.append(_carry(household, names, carried, parent, wording))
        else:
            plans += [_carry(household, names, [item], parent, wording) for item in targets]
    return min(plans, key=len)


class _Walk:
    def __init__(self, household: Household, names: dict[str, str]) -> None:
        self.names, self.pose = names, household.start
        self.open: set[str] = set()
        self.commands: list[str] = []

    def reach(self, receptacle: Receptacle, *, inside: bool) -> None:
        if receptacle.pose != self.pose:
            self.commands.append(f"go to {self.names[receptacle.key]}")
            self.pose = receptacle.pose
        if inside and receptacle.kind in load_facts().openable and receptacle.key not in self.open:
            self.commands.append(f"open {self.names[receptacle.key]}")
            self.open.add(receptacle.key)

    def take(self, item: Item) -> None:
        self.reach(item.receptacle, inside=True)
        self.commands.append(f"take {self.names[item.key]} from {self.names[item.receptacle.key]}")


def _look(household: Household, names: dict[str, str], item: Item, lamp: Item) -> list[str]:
    walk = _Walk(household, names)
    walk.take(item)
    walk.reach(lamp.receptacle, inside=False)
    return [*walk.commands, f"use {names[lamp.key]}"]


def _carry(
    household: Household, names: dict[str, str], items: list[Item], parent: Receptacle, wording: Wording
) -> list[str]:
    walk = _Walk(household, names)
    for item in items:
        walk.take(item)
        if household.goal.task in TREATMENTS:
            appliance, ability = TREATMENTS[household.goal.task]
            by = next((r for r in household.receptacles if r.kind == appliance and r.pose == walk.pose), None)
            by = by or next(r for r in household.receptacles if r.kind == appliance)
            walk.reach(by, inside=False)
            walk.commands.append(f"{ability.removesuffix('able')} {names[item.key]} with {names[by.key]}")
        walk.reach(parent, inside=True)
        move = "move {} to {}" if wording == "new" else "put {} in/on {}"
        walk.commands.append(move.format(names[item.key], names[parent.key]))
    return walk.commands


def _shown_kind(key: str) -> str:
    return key.split("|", 1)[0].lower() + ("basin" if "basin" in key.lower() else "")


def _sort_key(key: str) -> str:
    from vldac.envs.alfworld.problem import escape

    return escape(key).lower()
