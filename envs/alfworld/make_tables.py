"""Write the data of third_party/alfworld from an installed alfworld package (MIT).

Usage: python envs/alfworld/make_tables.py third_party/alfworld

alfred.pddl, alfred.twl2            domain and grammar, as the package has them (0.4.0 and later: "move X to Y")
alfred-old.pddl, alfred-old.twl2    those of the older releases ("put X in/on Y"), whose differences are listed in _OLD
facts.json                          task goals and sentences, what each receptacle can hold, what can be done to each object
floor_plans.json                    per floor plan: reachable cells, object types, receptacles with their place and pose

Lengths in floor_plans.json are in metres (receptacles) and in cells of 0.25 m (cells, poses). A row of cells is [z, first x, last x].
A receptacle is [id, x, z, quarter turns, pitch]. Those under "added" are no upstream data: the package says that the floor plan has
such a receptacle (a stove burner, a towel holder) but not where, so this script puts it at the edge of the reachable cells.
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

Cell = tuple[int, int]
Place = tuple[float, float, float]
CELL = 0.25  # metres
TASKS = (
    "pick_and_place_simple", "look_at_obj_in_light", "pick_clean_then_place_in_recep", "pick_heat_then_place_in_recep",
    "pick_cool_then_place_in_recep", "pick_two_obj_and_place",
)  # fmt: skip
# Where and how many of a receptacle type that the tables lack: copies, height of its origin in metres, is on a counter.
ADDED = {
    "StoveBurner": (4, 0.92, True), "Toaster": (1, 0.98, True), "CoffeeMachine": (1, 0.98, True), "GarbageCan": (1, 0.0, False),
    "Drawer": (2, 0.55, False), "Shelf": (2, 1.0, False), "Cabinet": (2, 0.5, False), "Safe": (1, 0.0, False),
    "Ottoman": (1, 0.0, False), "LaundryHamper": (1, 0.0, False), "Toilet": (1, 0.0, False), "SinkBasin": (1, 0.8, False),
    "TowelHolder": (1, 1.4, False), "HandTowelHolder": (1, 1.4, False), "ToiletPaperHanger": (1, 0.75, False),
}  # fmt: skip
CLEARANCE = 0.45  # metres between an added receptacle and its neighbours, where there is room
# (text of the new file, text of the old one); upstream's revision 2f8d357 has the files with these sums.
_OLD = {
    "alfred.twl2": [
        ("You arrive at {r.name}. ", "You arrive at {lend.name}. "),
        ("You move the {o.name} to the {r.name}.", "You put the {o.name} in/on the {r.name}."),
        ("move {o} to {r}", "put {o} in/on {r}"),
    ],
    "alfred.pddl": [],
}
_OLD_SUMS = {"alfred.twl2": "02dfb0c97c59699c75b0d0fcc1219d8b", "alfred.pddl": "019ac38df8f1718bc03a027e70188428"}


def main(target: Path) -> None:
    import alfworld
    from alfworld.gen import constants, goal_library

    source = Path(alfworld.__file__).parent
    for name in ("alfred.pddl", "alfred.twl2"):
        shutil.copyfile(source / "data" / name, target / name)
        old = _old_text(name, (source / "data" / name).read_text(encoding="utf-8"))
        (target / name.replace(".", "-old.")).write_text(old, encoding="utf-8")
    facts = _facts(constants, goal_library)
    _write(target / "facts.json", json.dumps(facts, indent=1, sort_keys=True))
    plans = [_floor_plan(source / "gen" / "layouts", number, facts) for number in sorted(constants.SCENE_NUMBERS)]
    lines = ",\n".join(json.dumps(plan, separators=(",", ":")) for plan in plans)
    _write(target / "floor_plans.json", f"[\n{lines}\n]")


def _old_text(name: str, text: str) -> str:
    for new, old in _OLD[name]:
        assert new in text, new
        text = text.replace(new, old)
    # The older releases have no help action. Nothing but the domain's closing bracket follows it.
    if name.endswith("twl2"):
        text = text[: text.index("\naction help {")]
    else:
        start = text.index("\n(:action help\n")
        text = text[:start] + text[text.index("\n)\n", start) + len("\n)\n") :]
    digest = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
    assert digest == _OLD_SUMS[name], (name, digest)
    return text


def _facts(constants: Any, goal_library: Any) -> dict[str, Any]:
    return {
        "rooms": {kind: [min(numbers), max(numbers)] for kind, numbers in constants.SCENE_TYPE.items()},
        "unseen": sorted(constants.TEST_SCENE_NUMBERS),
        "tasks": {
            task: {
                "rooms": sorted(constants.GOALS_VALID[task]),
                "goal": goal_library.gdict[task]["pddl"],
                "sentences": goal_library.gdict[task]["templates"],
            }
            for task in TASKS
        },
        "can_contain": {key: sorted(value) for key, value in sorted(constants.VAL_RECEPTACLE_OBJECTS.items())},
        "movable": sorted(constants.MOVABLE_RECEPTACLES_SET),
        "openable": sorted(constants.OPENABLE_CLASS_SET),
        "actions": {key.lower(): sorted(value) for key, value in constants.VAL_ACTION_OBJECTS.items()},
    }


def _floor_plan(folder: Path, number: int, facts: dict[str, Any]) -> dict[str, Any]:
    cells = np.load(folder / f"FloorPlan{number}-layout.npy") / CELL
    assert (cells == cells.round()).all()
    reachable = {(int(x), int(z)) for x, z in cells}
    types = set(json.loads((folder / f"FloorPlan{number}-objects.json").read_text(encoding="utf-8")))
    poses = json.loads((folder / f"FloorPlan{number}-openable.json").read_text(encoding="utf-8"))
    receptacles = [
        [key, round(x / CELL), round(z / CELL), yaw // 90, pitch] for key, (x, z, yaw, pitch) in sorted(poses.items())
    ]
    have = {type_of(key) for key in poses}
    fixed = set(facts["can_contain"]) - set(facts["movable"])
    return {
        "number": number,
        "cells": _rows(reachable),
        "types": sorted(types),
        "receptacles": receptacles,
        "added": _added(sorted((types & fixed) - have), receptacles, reachable),
    }


def type_of(key: str) -> str:
    """Return the type in an id: "Cabinet|+00.68|+00.50|-02.20" is a Cabinet, "Sink|...|SinkBasin" a SinkBasin."""
    parts = key.split("|")
    return parts[-1] if len(parts) == 5 else parts[0]


def place_of(key: str) -> Place:
    """Return the coordinates in an id, in metres."""
    x, y, z = (float(part) for part in key.split("|")[1:4])
    return x, y, z


def _rows(reachable: set[Cell]) -> list[list[int]]:
    rows = []
    for z in sorted({z for _, z in reachable}):
        xs = sorted(x for x, row in reachable if row == z)
        start = xs[0]
        for x, after in pairwise([*xs, xs[-1] + 2]):
            if after != x + 1:
                rows.append([z, start, x])
                start = after
    return rows


def _added(missing: list[str], receptacles: list[list[Any]], reachable: set[Cell]) -> list[list[Any]]:
    """Put each missing type where a wall or furniture bounds the reachable cells, away from what is there."""
    taken: list[Place] = [place_of(key) for key, *_ in receptacles]
    counters = [place for place, (key, *_) in zip(taken, receptacles, strict=True) if type_of(key) == "CounterTop"]
    centre = (sum(x for x, _ in reachable) / len(reachable), sum(z for _, z in reachable) / len(reachable))
    added = []
    for kind in missing:
        copies, height, is_on_counter = ADDED[kind]
        spots = 2 if kind == "StoveBurner" else copies  # burners come in pairs: one in front of the other
        for _ in range(spots):
            x, z, turns, place = _spot(reachable, taken, counters if is_on_counter else [], centre, height)
            taken.append(place)
            side = (math.sin(turns * math.pi / 2) * 0.13, math.cos(turns * math.pi / 2) * 0.13)
            for sign in (1, -1) if kind == "StoveBurner" else (0,):
                where = (place[0] + sign * side[0], height, place[2] + sign * side[1])
                name = kind.removesuffix("Basin") if kind == "SinkBasin" else kind
                key = "|".join([name, *map(coordinate, where), *(["SinkBasin"] if kind == "SinkBasin" else [])])
                added.append([key, x, z, turns, 0 if height > 1.2 else 30])
    assert len({key for key, *_ in added}) == len(added)
    return added


def coordinate(metres: float) -> str:
    """Write a coordinate as AI2-THOR's ids do: sign, two digits, point, two digits; zero has no sign."""
    return f"{metres:+06.2f}" if f"{abs(metres):.2f}" != "0.00" else "00.00"


def _spot(
    reachable: set[Cell], taken: list[Place], counters: list[Place], centre: tuple[float, float], height: float
) -> tuple[int, int, int, Place]:
    best: tuple[tuple[float, ...], tuple[int, int, int, Place]] | None = None
    for x, z in sorted(reachable):
        for turns, (dx, dz) in enumerate([(0, 1), (1, 0), (0, -1), (-1, 0)]):
            if any((x + step * dx, z + step * dz) in reachable for step in (1, 2, 3)):
                continue
            place = (x * CELL + 0.6 * dx, height, z * CELL + 0.6 * dz)
            # What stands at another height is in the way only if it is close.
            gap = min(
                (math.dist((place[0], place[2]), (a, c)) for a, b, c in taken if abs(b - height) < 0.75), default=9.0
            )
            near = min((math.dist((place[0], place[2]), (a, c)) for a, _, c in counters), default=0.0)
            far = -0.01 * math.dist((x, z), centre)
            score = (max(0.0, CLEARANCE - gap), round(max(0.0, near - 0.8), 3), round(far, 3), x, z, turns)
            if best is None or score < best[0]:
                best = (score, (x, z, turns, place))
    assert best is not None
    return best[1]


def _write(path: Path, text: str) -> None:
    path.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
