"""Write a household as the PDDL problem that upstream's engine reads.

What its parser insists on: objects, init, goal in this order and no metric; the domain's own constants (SinkBasinType, KnifeType,
...) among the objects; every id escaped, since PDDL has no bars, dots and signs in names.
"""

from __future__ import annotations

from vldac.envs.alfworld.household import Household, Item
from vldac.envs.alfworld.naming import escape, location_id
from vldac.envs.alfworld.tables import Facts, load_facts

# The domain names these, so a problem must have them even where the room has nothing of their kind.
_DOMAIN_RTYPES = ("SinkBasin", "Microwave", "Fridge")
_DOMAIN_OTYPES = ("Knife", "ButterKnife")
_ABILITIES = ("cleanable", "heatable", "coolable", "sliceable")


def write_problem(household: Household, number: int) -> str:
    """Return the problem's text; `number` goes into its name."""
    goal = household.goal
    objects = "\n".join(f"        {escape(name)} - {kind}" for name, kind in _objects(household))
    facts = "\n".join(f"        {escape(fact)}" for fact in _init(household))
    goal_text = load_facts().tasks[goal.task].goal
    goal_text = escape(goal_text.format(obj=goal.target, recep=goal.parent, toggle=goal.toggle))
    return (
        f"\n(define (problem plan_{number})\n    (:domain alfred)\n    (:objects\n{objects}\n    )\n"
        f"    (:init\n        (= (total-cost) 0)\n{facts}\n    )\n{goal_text.rstrip()}\n"
    )


def _objects(household: Household) -> list[tuple[str, str]]:
    rtypes = sorted({r.kind for r in household.receptacles} | set(_DOMAIN_RTYPES))
    fixtures = household.oddities.fixtures
    otypes = sorted({item.kind for item in household.items} | {f.kind for f in fixtures} | set(_DOMAIN_OTYPES))
    poses = sorted({r.pose for r in household.receptacles} | {f.pose for f in fixtures} | {household.start})
    return [
        ("agent1", "agent"),
        *((item.key, "object") for item in household.items),
        *((fixture.key, "object") for fixture in fixtures),
        *((r.key, "receptacle") for r in household.receptacles),
        *((f"{kind}Type", "otype") for kind in otypes),
        *((f"{kind}Type", "rtype") for kind in rtypes),
        *((location_id(pose), "location") for pose in poses),
    ]


def _init(household: Household) -> list[str]:
    facts = load_facts()
    lines = []
    for r in household.receptacles:
        lines.append(f"(receptacleType {r.key} {r.kind}Type)")
        lines.append(f"(receptacleAtLocation {r.key} {location_id(r.pose)})")
        if r.kind in facts.openable:
            lines.append(f"(openable {r.key})")
    kinds = sorted({item.kind for item in household.items})
    for rtype in sorted({r.kind for r in household.receptacles}):
        lines += [f"(canContain {rtype}Type {kind}Type)" for kind in kinds if kind in facts.can_contain[rtype]]
    for item in household.items:
        lines += _item_facts(item, facts)
    lines += _odd_facts(household, facts)
    lines.append(f"(atLocation agent1 {location_id(household.start)})")
    return lines


def _item_facts(item: Item, facts: Facts) -> list[str]:
    lines = [
        f"(objectType {item.key} {item.kind}Type)",
        f"(inReceptacle {item.key} {item.receptacle.key})",
        f"(objectAtLocation {item.key} {location_id(item.receptacle.pose)})",
    ]
    is_lamp = item.kind in facts.actions["toggleable"]
    lines.append(f"({'toggleable' if is_lamp else 'pickupable'} {item.key})")
    if item.kind in facts.movable:
        lines.append(f"(isReceptacleObject {item.key})")
    return lines + [f"({name} {item.key})" for name in _ABILITIES if item.kind in facts.actions[name]]


def _odd_facts(household: Household, facts: Facts) -> list[str]:
    odd = household.oddities
    lines = [f"(inReceptacle {item.key} {receptacle.key})" for item, receptacle in odd.also_in]
    lines += [f"(inReceptacleObject {inner.key} {outer.key})" for inner, outer in odd.inside]
    lines += [f"(isCool {item.key})" for item in odd.cold]
    for fixture in odd.fixtures:
        lines.append(f"(objectType {fixture.key} {fixture.kind}Type)")
        lines.append(f"(objectAtLocation {fixture.key} {location_id(fixture.pose)})")
        if fixture.kind in facts.actions["toggleable"]:
            lines.append(f"(toggleable {fixture.key})")
    return lines
