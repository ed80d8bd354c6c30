"""Pictures of ALFWorld's rooms: whether they show what texts list, how long they take, and what they look like.

    python benchmarks/alfworld_pictures.py parity    # all 120 floor plans, every location, contents at random, 300x300
    python benchmarks/alfworld_pictures.py crowded   # every type, one to six at a place, 20 objects of one class in one of them
    python benchmarks/alfworld_pictures.py speed     # processor time per picture
    python benchmarks/alfworld_pictures.py sheet --image sheet.png   # four rooms and four places in every mode

parity and crowded count pixels in pictures where each thing has a flat colour of its own: every receptacle that the agent faces,
every object that its text lists there (up to 20) and the held one must have at least 16 of them, and no object behind a closed door
or in none of the room's places may have any. Speed is the processor time of the calling thread, the call from Python included.
Rows go to benchmarks/results. Exit code 1 if a claim does not hold.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shlex
import statistics
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from vldac.envs.alfworld.tables import CELL_M, FloorPlan, load_facts, load_floor_plans

from vldac import _core
from vldac.provenance import commit, processor_name, versions

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
LEAST_PIXELS, MOST_OBJECTS = 16, 20
MOST_CLAIMED = 3
"""Of one type at one place, in `crowded`: more are measured and reported"""
PICTURES_PER_SECOND = 1000
STATES = ("clean", "hot", "cool", "on", "sliced")
Room = dict[str, Any]
State = dict[str, Any]


# -- households -------------------------------------------------------------------------------------------------------


def named(types: list[str]) -> list[str]:
    """Number things of one type downwards in their order, as games do."""
    left = Counter(types)
    names = []
    for kind in types:
        names.append(f"{kind} {left[kind]}")
        left[kind] -= 1
    return names


def shown_type(kind: str) -> str:
    """A type as texts call it: "SinkBasin" is "sinkbasin"."""
    return kind.lower()


def household(plan: FloorPlan, rng: random.Random, num_objects: int = 40) -> Room:
    """A floor plan's receptacles, and objects that they can hold, in the form of AlfworldGame.room()."""
    facts = load_facts()
    poses = sorted({receptacle.pose for receptacle in plan.receptacles})
    start = (*rng.choice(plan.cells), rng.randrange(4), 30)
    kinds = [receptacle.kind for receptacle in plan.receptacles]
    receptacles = [
        {
            "type": shown_type(one.kind), "name": name, "position": one.position, "location": poses.index(one.pose),
            "flags": ["openable"] if one.kind in facts.openable else [],
        }
        for one, name in zip(plan.receptacles, named([shown_type(kind) for kind in kinds]), strict=True)
    ]  # fmt: skip
    types = sorted({kind for one in kinds for kind in facts.can_contain.get(one, ())})
    chosen = sorted(shown_type(rng.choice(types)) for _ in range(num_objects))
    objects = [
        {"type": kind, "name": name, "position": (0.0, 0.0, 0.0)}
        for kind, name in zip(chosen, named(chosen), strict=True)
    ]  # fmt: skip
    locations = [
        {"name": f"loc {i}", "pose": (x * CELL_M, z * CELL_M, turns * 90, pitch)}
        for i, (x, z, turns, pitch) in enumerate([*poses, start])
    ]
    return {"locations": locations, "receptacles": receptacles, "objects": objects, "start": len(poses)}


def faced(room: Room, location: int) -> list[int]:
    """The receptacles at a location."""
    return [i for i, one in enumerate(room["receptacles"]) if one["location"] == location]


def state_at(room: Room, location: int, rng: random.Random, num_here: int | None = None) -> State:
    """Any state with the agent there, and up to MOST_OBJECTS objects (or `num_here`) in what it faces."""
    count, here = len(room["objects"]), faced(room, location)
    elsewhere = [i for i in range(len(room["receptacles"])) if i not in here]
    contents: list[list[int]] = [[] for _ in room["receptacles"]]
    order = rng.sample(range(count), count)
    held = order.pop() if rng.random() < 0.7 else None
    num_here = rng.choice((0, 1, 3, 6, 12, MOST_OBJECTS)) if num_here is None else num_here
    for n, thing in enumerate(order):
        if here and n < num_here:
            contents[rng.choice(here)].append(thing)
        elif elsewhere:
            contents[rng.choice(elsewhere)].append(thing)
    return {
        "location": location,
        "held": held,
        "contents": contents,
        "object_state": [[name for name in STATES if rng.random() < 0.2] for _ in range(count)],
        "is_open": [rng.random() < (0.8 if i in here else 0.3) for i in range(len(room["receptacles"]))],
    }


def shows(room: Room, state: State, receptacle: int) -> bool:
    """What is in it can be seen."""
    return "openable" not in room["receptacles"][receptacle]["flags"] or state["is_open"][receptacle]


def pixels(room: Room, state: State, width: int, height: int, decals: bool = True) -> tuple[Counter[str], Counter[str]]:
    """Pixels of everything that the text lists here, and of everything that must not be seen, by name."""
    ids = _core.alfworld_picture_ids(room, state, width, height, decals)
    things = [one["name"] for one in room["receptacles"]] + [one["name"] for one in room["objects"]]
    counts = np.bincount(ids[ids >= 0], minlength=len(things))
    here = faced(room, state["location"])
    first = len(room["receptacles"])
    listed = {*here, *(first + thing for i in here if shows(room, state, i) for thing in state["contents"][i])}
    visible = {first + thing for i in range(first) if shows(room, state, i) for thing in state["contents"][i]}
    if state["held"] is not None:
        listed.add(first + state["held"])
    hidden = set(range(first, len(things))) - visible - listed
    return (
        Counter({things[i]: int(counts[i]) for i in sorted(listed)}),
        Counter({things[i]: int(counts[i]) for i in sorted(hidden) if counts[i]}),
    )


def places(plans: list[FloorPlan], seed: int = 0) -> Iterator[tuple[FloorPlan, Room, State]]:
    """A state at every location of every plan, the middle of the room included."""
    for plan in plans:
        rng = random.Random(plan.number * 1000 + seed)
        room = household(plan, rng)
        for location in range(len(room["locations"])):
            yield plan, room, state_at(room, location, rng)


# -- the claims -------------------------------------------------------------------------------------------------------


def parity(arguments: argparse.Namespace) -> bool:
    """Count pixels at every location of every floor plan."""
    least, worst, listed, pictures, hidden = 10**9, "", 0, 0, 0
    sizes = arguments.sizes or [(300, 300)]
    for seed in range(arguments.repeats):
        for plan, room, state in places(list(load_floor_plans().values()), seed):
            for size in sizes:
                found, leaked = pixels(room, state, *size)
                pictures, listed, hidden = pictures + 1, listed + len(found), hidden + len(leaked)
                for name, count in found.items():
                    if count < least:
                        least, worst = count, f"{name} in floor plan {plan.number}, location {state['location']}"
    claim = {"least_pixels": LEAST_PIXELS, "least_found": least, "hidden_seen": hidden}
    claim["holds"] = least >= LEAST_PIXELS and not hidden
    runs = [{"sizes": sizes, "pictures": pictures, "things_listed": listed, "least_pixels": least, "worst": worst}]
    print(
        f"{pictures} pictures, {listed} things listed: at least {least} pixels ({worst}); {hidden} hidden things seen"
    )
    return write_row("alfworld_pictures_parity", arguments, claim, runs)


def crowded_state(kind: str, copies: int, thing: str, where: int) -> tuple[Room, State]:
    """20 objects of a class in one of several receptacles of a type at one place, and one more in the hand."""
    flags = ["openable"] if kind in {name.lower() for name in load_facts().openable} else []
    receptacles = [
        {"type": kind, "name": f"{kind} {i + 1}", "position": (0.3 * i, 0.8, 1.0), "location": 0, "flags": flags}
        for i in range(copies)
    ]
    objects = [
        {"type": thing, "name": f"{thing} {i + 1}", "position": (0.0, 0.0, 0.0)} for i in range(MOST_OBJECTS + 1)
    ]
    pose = {"name": "loc 1", "pose": (0.0, 0.0, 0, 30)}
    room = {"locations": [pose], "receptacles": receptacles, "objects": objects, "start": 0}
    contents = [list(range(MOST_OBJECTS)) if i == where else [] for i in range(copies)]
    state = {
        "location": 0, "held": MOST_OBJECTS, "contents": contents, "object_state": [[]] * (MOST_OBJECTS + 1),
        "is_open": [True] * copies,
    }  # fmt: skip
    return room, state


def crowded(arguments: argparse.Namespace) -> bool:
    """Count pixels in the fullest places that there could be: what a receptacle can hold, and all of it of one class."""
    facts = load_facts()
    rng = random.Random(0)
    runs = []
    for kind in (row[0] for row in _core.alfworld_receptacle_looks()):
        held = next((value for key, value in facts.can_contain.items() if key.lower() == kind), frozenset())
        for copies in range(1, 7):
            least, worst = 10**9, ""
            for thing in sorted(shown_type(name) for name in held):
                room, state = crowded_state(kind, copies, thing, rng.randrange(copies))
                name, count = min(pixels(room, state, 300, 300)[0].items(), key=lambda item: item[1])
                if count < least:
                    least, worst = count, name
            if worst:
                runs.append({"receptacle": kind, "at_a_place": copies, "least_pixels": least, "worst": worst})
    runs.sort(key=lambda run: run["least_pixels"])
    least = min(run["least_pixels"] for run in runs if run["at_a_place"] <= MOST_CLAIMED)
    below = [run for run in runs if run["least_pixels"] < LEAST_PIXELS]
    claim = {"least_pixels": LEAST_PIXELS, "at_a_place": MOST_CLAIMED, "least_found": least, "below_beyond": len(below)}
    claim["holds"] = least >= LEAST_PIXELS
    for run in runs[:8]:
        print(run)
    return write_row("alfworld_pictures_crowded", arguments, claim, runs)


def speed(arguments: argparse.Namespace) -> bool:
    """Measure the processor time of pictures, each state once per turn, the least of the turns."""
    runs = []
    for mode in ("ego", "panel", "schematic"):
        for size in arguments.sizes or [(300, 300), (224, 224), (112, 112), (84, 84)]:
            times = []
            for plan in list(load_floor_plans().values())[:: arguments.every]:
                rng = random.Random(plan.number)
                room = household(plan, rng)
                painter = _core.AlfworldPainter(room)
                states = [painter.state(state_at(room, i, rng)) for i in range(len(room["locations"]))]
                best = [float("inf")] * len(states)
                for _ in range(arguments.repeats + 1):
                    for i, state in enumerate(states):
                        begin = time.thread_time()
                        painter.draw(state, mode, *size)
                        best[i] = min(best[i], time.thread_time() - begin)
                times += best
            mean = statistics.mean(times)
            p50, p99 = np.quantile(times, [0.5, 0.99])
            run = {
                "mode": mode, "width": size[0], "height": size[1], "pictures": len(times), "mean_ms": 1e3 * mean,
                "p50_ms": 1e3 * p50, "p99_ms": 1e3 * p99, "max_ms": 1e3 * max(times), "pictures_per_s": 1 / mean,
            }  # fmt: skip
            runs.append(run)
            print(
                f"{mode} {size[0]}x{size[1]}: {run['pictures_per_s']:.0f}/s; p50 {run['p50_ms']:.3f} ms, p99 {run['p99_ms']:.3f} ms",
                flush=True,
            )
    ego = next(run for run in runs if run["mode"] == "ego")
    claim = {"pictures_per_s": PICTURES_PER_SECOND, "found": ego["pictures_per_s"]}
    claim["holds"] = ego["pictures_per_s"] >= PICTURES_PER_SECOND
    return write_row("alfworld_pictures_speed", arguments, claim, runs)


# -- what they look like ----------------------------------------------------------------------------------------------


def sheet(arguments: argparse.Namespace) -> bool:
    """Write one image: a row per kind of room, from its middle and from three places, modes in turn."""
    from PIL import Image

    width, height = (arguments.sizes or [(300, 300)])[0]
    rows = []
    for number in (1, 203, 303, 403):
        rng = random.Random(number)
        room = household(load_floor_plans()[number], rng)
        begin = state_at(room, room["start"], rng)
        begin |= {"is_open": [False] * len(begin["is_open"]), "held": None}
        where = sorted({one["location"] for one in room["receptacles"]})
        shots = [_core.alfworld_picture(room, begin, "ego", width, height)]
        for mode, location in zip(("ego", "ego", "panel", "schematic"), rng.sample(where, 4), strict=True):
            state = state_at(room, location, rng, num_here=rng.choice((2, 4, 7)))
            shots.append(_core.alfworld_picture(room, state, mode, width, height))
        rows.append(np.concatenate(shots, 1))
    Image.fromarray(np.concatenate(rows)).save(arguments.image, optimize=True)
    return True


def write_row(name: str, arguments: argparse.Namespace, claim: dict[str, Any], runs: list[dict[str, Any]]) -> bool:
    """Write one JSON row file and return whether its claim holds."""
    row = {
        "claim": claim, "runs": runs,
        "command": "OMP_NUM_THREADS=1 " + shlex.join(["python", "benchmarks/alfworld_pictures.py", *sys.argv[1:]]),
        "isa": _core.isa_tiers()[-1], "repeats": arguments.repeats, "load": os.getloadavg(), "date": time.strftime("%Y-%m-%d"),
        "processor": processor_name(), "cores": os.cpu_count(), "commit": commit(ROOT), "versions": versions(("vldac", "numpy")),
    }  # fmt: skip
    folder = arguments.out or RESULTS
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(row, indent=1) + "\n")
    print(f"{'holds' if claim['holds'] else 'DOES NOT HOLD'}: {folder / name}.json")
    return bool(claim["holds"])


def size_of(text: str) -> tuple[int, int]:
    """Return WIDTHxHEIGHT as numbers."""
    width, height = map(int, text.split("x"))
    return width, height


def main() -> int:
    """Run one of the commands and return 0 if its claim holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("parity", "crowded", "speed", "sheet"))
    parser.add_argument("--sizes", nargs="+", type=size_of, help="WIDTHxHEIGHT (default: 300x300; speed: four sizes)")
    parser.add_argument("--repeats", type=int, default=1, help="parity: other contents; speed: turns")
    parser.add_argument("--every", type=int, default=4, help="speed: every so manieth floor plan")
    parser.add_argument("--out", type=Path, help="folder of the row (default: benchmarks/results)")
    parser.add_argument("--image", type=Path, default=Path("alfworld.png"), help="sheet: the file")
    arguments = parser.parse_args()
    commands = {"parity": parity, "crowded": crowded, "speed": speed, "sheet": sheet}
    return 0 if commands[arguments.what](arguments) else 1


if __name__ == "__main__":
    sys.exit(main())
