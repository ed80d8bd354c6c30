"""Small ALFWorld games for tests, written in a few words: problems, domains and grammars in every wording that is known.

alfred.pddl and alfred.twl2 beside this file are those of alfworld 0.4.2 (MIT, LICENSE.alfworld); wordings.json says what other
releases of the games have instead.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent
WORDINGS: dict[str, dict[str, list[list[str]]]] = json.loads((FOLDER / "wordings.json").read_text(encoding="utf-8"))
"""package: alfworld 0.4.2. comma removed: the package's, less the comma that hides a branch of examineObject. 2.1.2: the games that
0.4.2 downloads. 2.1.1: the games before (put in/on, loc 7, no help). first: the first ones (one open receptacle, lamps by place)."""

OPENABLE = {"Box", "Cabinet", "Drawer", "Fridge", "Microwave", "Safe"}
PROPERTIES = {
    "cleanable": {"Apple", "Bowl", "Fork", "Knife", "Mug", "Plate", "Potato", "SoapBar"},
    "heatable": {"Apple", "Egg", "Mug", "Plate", "Potato"},
    "coolable": {"Apple", "Bowl", "Egg", "Mug", "Plate", "Potato"},
    "sliceable": {"Apple", "Potato"},
    "toggleable": {"DeskLamp", "FloorLamp"},
    "isReceptacleObject": {"Bowl", "Mug", "Plate"},
}
FIXED = {"DeskLamp", "FloorLamp", "Painting"}
"""Types that cannot be picked up"""

_PLACED = "(objectType ?o {obj}Type) (receptacleType ?r {recep}Type) (inReceptacle ?o ?r)"
_ONE = "(exists (?r - receptacle) (exists (?o - object) (and {facts})))"
GOALS = {
    "pick": _ONE.format(facts=_PLACED),
    "clean": _ONE.format(facts="(cleanable ?o) (isClean ?o) " + _PLACED),
    "heat": _ONE.format(facts="(heatable ?o) (isHot ?o) " + _PLACED),
    "cool": _ONE.format(facts="(coolable ?o) (isCool ?o) " + _PLACED),
    "two": (
        "(exists (?r - receptacle) (exists (?o1 - object) (and (objectType ?o1 {obj}Type) (receptacleType ?r {recep}Type) "
        "(inReceptacle ?o1 ?r) (exists (?o2 - object) (and (not (= ?o1 ?o2)) (objectType ?o2 {obj}Type) "
        "(receptacleType ?r {recep}Type) (inReceptacle ?o2 ?r))))))"
    ),
    "look": (
        "(exists (?ot - object ?r - receptacle ?a - agent ?l - location) (and (objectType ?ot {recep}Type) (toggleable ?ot) "
        "(isToggled ?ot) (receptacleAtLocation ?r ?l) (atLocation ?a ?l) (inReceptacle ?ot ?r))) "
        "(exists (?o - object ?a - agent) (and (objectType ?o {obj}Type) (holds ?a ?o)))"
    ),
}
"""The six tasks; recep is the lamp's type of a look."""


def escaped(text: str) -> str:
    """Return an id as problems write it."""
    for sign, word in (("-", "_minus_"), ("|", "_bar_"), ("+", "_plus_"), (".", "_dot_"), (",", "_comma_")):
        text = text.replace(sign, word)
    return text


def place(letter: str) -> str:
    """Return a location's id: one pose per letter."""
    return escaped(f"loc|{ord(letter) - ord('m')}|{ord(letter) % 5}|{ord(letter) % 4}|30")


def problem(
    *, receptacles: Sequence[str], objects: Sequence[str], goal: str, start: str = "z", facts: Iterable[str] = (),
    cannot: Iterable[tuple[str, str]] = (),
) -> str:  # fmt: skip
    """Return a problem.

    receptacles: "Cabinet|1 @ a", a type, anything that tells it from others, and a letter for where the agent stands before it.
    objects: "Mug|1 in Cabinet|1", also in several receptacles ("in A, B"); "FloorLamp|1 @ a" for one that is in none; "Mug|1" for
    one that is nowhere. goal: "heat Apple Table". facts: more of the initial facts, in their own notation. cannot: (receptacle type,
    object type) of what does not fit; everything else does.
    """
    places = {r.split(" @ ")[0]: r.split(" @ ")[1] for r in receptacles}
    kinds = {name: name.split("|")[0] for name in places}
    kinds |= {n: {"Sink": "SinkBasin", "Bathtub": "BathtubBasin"}.get(k, k) for n, k in kinds.items() if "Basin" in n}
    init = ["(= (total-cost) 0)", f"(atLocation agent1 {place(start)})"]
    for name, where in places.items():
        init += [f"(receptacleType {name} {kinds[name]}Type)", f"(receptacleAtLocation {name} {place(where)})"]
        init += [f"(openable {name})"] if kinds[name] in OPENABLE else []
    things: dict[str, str] = {}
    for line in objects:
        name = line.split(" ")[0]
        kind = things[name] = name.split("|")[0]
        init.append(f"(objectType {name} {kind}Type)")
        if " in " in line:
            homes = line.split(" in ")[1].split(", ")
            init += [f"(inReceptacle {name} {home})" for home in homes]
            init.append(f"(objectAtLocation {name} {place(places[homes[0]])})")
        elif " @ " in line:
            init.append(f"(objectAtLocation {name} {place(line.split(' @ ')[1])})")
        init += [] if kind in FIXED else [f"(pickupable {name})"]
        init += [f"({fact} {name})" for fact, members in PROPERTIES.items() if kind in members]
    task, obj, recep = goal.split()
    receptacle_types = {*kinds.values(), "SinkBasin", "Microwave", "Fridge"} | ({recep} if task != "look" else set())
    object_types = {*things.values(), obj, "Knife", "ButterKnife", "Sink"} | ({recep} if task == "look" else set())
    object_types -= receptacle_types
    init += [
        f"(canContain {r}Type {o}Type)" for r in sorted(set(kinds.values())) for o in sorted(set(things.values()))
        if (r, o) not in cannot
    ]  # fmt: skip
    declared = {
        "agent": ["agent1"], "receptacle": dict.fromkeys([*places, *sorted(receptacle_types)]),
        "object": dict.fromkeys([*things, *sorted(object_types)]), "otype": [f"{o}Type" for o in sorted(object_types)],
        "rtype": [f"{r}Type" for r in sorted(receptacle_types)],
        "location": sorted({place(letter) for letter in [*places.values(), start, *(o[-1] for o in objects if " @ " in o)]}),
    }  # fmt: skip
    lines = [f"  {escaped(name)} - {kind}" for kind, names in declared.items() for name in names]
    written = [line if "total-cost" in line else escaped(line) for line in [*init, *facts]]
    return "\n".join([
        "(define (problem small)", " (:domain alfred)", " (:objects", *lines, " )", " (:init", *(f"  {line}" for line in written),
        " )", f" (:goal (and {GOALS[task].format(obj=obj, recep=recep)}))", ")", "",
    ])  # fmt: skip


def logic(wording: str = "package", sentence: str = "do something") -> dict[str, str]:
    """Return domain and grammar in a wording, with the sentence that says the task."""
    parts = {
        "pddl_domain": (FOLDER / "alfred.pddl").read_text(encoding="utf-8"),
        "grammar": (FOLDER / "alfred.twl2").read_text(encoding="utf-8").replace("UNKNOWN GOAL", sentence),
    }
    for part, pairs in WORDINGS[wording].items():
        for old, new in pairs:
            if old not in parts[part]:
                raise ValueError(f"{part} of {wording} has no {old!r}")
            parts[part] = parts[part].replace(old, new)
    return parts


def game(text: str, wording: str = "package", sentence: str = "do something", **more: Any) -> dict[str, Any]:
    """Return what a game file holds."""
    return {**logic(wording, sentence), "pddl_problem": text, "solvable": True, "walkthrough": None, **more}


def encoded(content: Mapping[str, Any]) -> bytes:
    """Return a game file's bytes."""
    return json.dumps(content).encode()
