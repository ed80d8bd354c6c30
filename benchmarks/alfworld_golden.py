"""Write the golden transcripts of tests/envs/alfworld/golden: what TextWorld says in games that are stored with them.

    pip install '.[alfworld]'
    python benchmarks/alfworld_golden.py            # all of them again, from the problems that they hold
    python benchmarks/alfworld_golden.py --real DIR # also chooses the problems of the real games again, from json_2.1.1 below DIR

A transcript is a problem, how its domain and grammar are worded (tests/envs/alfworld/wordings.json), and what TextWorld answers to
commands of an expert and of a wanderer: text, admissible commands (those of the reset, then what goes and what comes), score, won,
done. The script fails if the transcripts leave out a kind of action, a room, a task or a wording.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
TESTS = ROOT / "tests" / "envs" / "alfworld"
GOLDEN = TESTS / "golden"
HERE = str(ROOT / "benchmarks")
sys.path[:0] = [HERE, str(TESTS)]
from alfworld_reference import EVENTS, KINDS, Reference, dumps, transcript  # noqa: E402
from household import WORDINGS, game, problem  # noqa: E402

sys.path[:] = [path for path in sys.path if path != HERE]  # its alfworld.py is not the package

REAL: dict[str, tuple[str, str]] = {
    "real-pick-bathroom": ("pick_and_place_simple-ToiletPaper-None-ToiletPaperHanger-406", "2.1.1"),
    "real-pick-kitchen": ("pick_and_place_simple-Knife-None-SideTable-3", "package"),
    "real-look-bedroom": ("look_at_obj_in_light-AlarmClock-None-DeskLamp-323", "2.1.1"),
    "real-look-living": ("look_at_obj_in_light-Box-None-DeskLamp-205", "package"),
    "real-clean-bathroom": ("pick_clean_then_place_in_recep-SoapBar-None-GarbageCan-416", "2.1.1"),
    "real-clean-kitchen": ("pick_clean_then_place_in_recep-Fork-None-SideTable-21", "2.1.1"),
    "real-heat-kitchen": ("pick_heat_then_place_in_recep-Mug-None-SideTable-21", "2.1.2"),
    "real-cool-kitchen": ("pick_cool_then_place_in_recep-Tomato-None-Microwave-14", "package"),
    "real-two-living": ("pick_two_obj_and_place-RemoteControl-None-ArmChair-208", "2.1.2"),
    "real-two-bedroom": ("pick_two_obj_and_place-CD-None-Drawer-306", "2.1.1"),
}
"""Games of ALFWorld's release (MIT) and the wording in which they are played; 2.1.1 is the one that they come in."""

KITCHEN = [
    "Cabinet|1 @ a", "Cabinet|2 @ a", "Cabinet|3 @ b", "CounterTop|1 @ a", "Fridge|1 @ c", "Microwave|1 @ d", "Sink|1|SinkBasin @ e",
    "GarbageCan|1 @ e", "StoveBurner|1 @ f", "StoveBurner|2 @ f",
]  # fmt: skip
FOOD = [
    "Apple|1 in Fridge|1", "Apple|2 in CounterTop|1", "Potato|1 in Cabinet|3", "Knife|1 in CounterTop|1",
    "ButterKnife|1 in Cabinet|1", "Mug|1 in Fridge|1", "Plate|1 in CounterTop|1", "Bowl|1 in StoveBurner|1, StoveBurner|2",
    "Egg|1 in Fridge|1", "Painting|1 @ a",
]  # fmt: skip
SMALL: dict[str, tuple[dict[str, Any], str, str]] = {
    "small-slice": (
        {"receptacles": KITCHEN, "objects": FOOD, "goal": "pick Knife Fridge"}, "package", "put a knife in fridge"
    ),
    "small-heat-cool": (
        {
            "receptacles": KITCHEN, "objects": FOOD, "goal": "heat Apple GarbageCan", "start": "a",
            "facts": ["(opened Fridge|1)", "(isCool Mug|1)", "(inReceptacleObject Apple|2 Plate|1)"],
        },
        "package", "heat some apple and put it in garbagecan",
    ),
    "small-comma-removed": (
        {
            "receptacles": KITCHEN, "objects": [*FOOD, "DeskLamp|1 in CounterTop|1"], "goal": "cool Mug CounterTop",
            "cannot": [("StoveBurner", "Mug")],
        },
        "comma removed", "put a cool mug in countertop",
    ),
    "small-first": (
        {
            "receptacles": ["Desk|1 @ a", "Drawer|1 @ a", "Drawer|2 @ b", "SideTable|1 @ b", "Bed|1 @ c"],
            "objects": [
                "DeskLamp|1 in Desk|1", "DeskLamp|2 in Drawer|1", "FloorLamp|1 @ c", "Book|1 in Bed|1", "Book|2 in Drawer|2",
                "Mug|1 in Desk|1", "Pen|1 in Drawer|1",
            ],
            "goal": "look Book DeskLamp",
        },
        "first", "look at book under the desklamp",
    ),
    "small-lamps": (
        {
            "receptacles": ["Desk|1 @ a", "Drawer|1 @ a", "Drawer|2 @ b", "SideTable|1 @ b", "Safe|1 @ c"],
            "objects": [
                "DeskLamp|1 in Desk|1, SideTable|1", "DeskLamp|2 in Drawer|1", "FloorLamp|1 @ c", "Book|1 in Safe|1",
                "Book|2 in Drawer|2", "Mug|1 in Desk|1", "Pen|1", "Box|1 @ b",
            ],
            "goal": "look Book DeskLamp",
        },
        "2.1.1", "examine the book with the desklamp",
    ),
    "small-shared": (
        {
            "receptacles": ["Cabinet|1 @ a", "Cabinet|2 @ a", "CounterTop|1 @ a", "Toilet|1 @ a", "Bathtub|1|BathtubBasin @ b",
                            "Sink|1|SinkBasin @ b", "Sink|2|SinkBasin @ b"],
            "objects": ["SoapBar|1 in Cabinet|1", "SoapBar|2 in Toilet|1", "Cloth|1 in CounterTop|1, Toilet|1",
                        "Candle|1 in Sink|1|SinkBasin", "SoapBar|3 in CounterTop|1"],
            "goal": "two SoapBar Cabinet",
        },
        "package", "put two soapbar in cabinet",
    ),
    "small-order": (
        {
            "receptacles": ["CounterTop|2 @ a", "CounterTop|1 @ a", "Toilet|1 @ a", "Shelf|1 @ a", "Shelf|2 @ b"],
            "objects": ["SoapBar|1 in CounterTop|1", "Candle|1 in Toilet|1", "Cloth|1 in Shelf|1", "SoapBar|2 in Shelf|2",
                        "Candle|2 in Toilet|1, Shelf|2"],
            "goal": "pick SoapBar Shelf",
        },
        "2.1.2", "put a soapbar in shelf",
    ),
}  # fmt: skip
"""Games made up for what real ones seldom or never show."""
SCRIPTS = {
    "small-slice": [
        "go to countertop 1", "take knife 1 from countertop 1", "slice apple 1 with knife 1", "slice apple 1 with knife 1",
        "move knife 1 to countertop 1", "take apple 1 from countertop 1", "examine apple 1", "go to sinkbasin 1",
        "clean apple 1 with sinkbasin 1", "examine apple 1", "go to microwave 1", "heat apple 1 with microwave 1",
        "examine apple 1", "go to fridge 1", "cool apple 1 with fridge 1", "examine apple 1", "open fridge 1",
        "move apple 1 to fridge 1", "take egg 1 from fridge 1", "cool egg 1 with fridge 1", "examine egg 1", "go to microwave 1",
        "heat egg 1 with microwave 1", "examine egg 1",
    ],
    "small-heat-cool": [
        "go to countertop 1", "take plate 1 from countertop 1", "examine plate 1", "clean plate 1 with sinkbasin 1",
        "go to sinkbasin 1", "clean plate 1 with sinkbasin 1", "examine plate 1", "move plate 1 to sinkbasin 1",
        "go to fridge 1", "take apple 2 from fridge 1", "cool apple 2 with fridge 1", "examine apple 2", "go to microwave 1",
        "heat apple 2 with microwave 1", "examine apple 2", "go to sinkbasin 1", "clean apple 2 with sinkbasin 1",
        "examine apple 2", "go to fridge 1", "cool apple 2 with fridge 1", "examine apple 2", "close fridge 1",
        "move apple 2 to fridge 1", "heat apple 2 with microwave 1",
    ],
    "small-comma-removed": [
        "go to countertop 1", "examine desklamp 1", "use desklamp 1", "examine desklamp 1", "use desklamp 1",
        "examine desklamp 1", "examine plate 1", "examine bowl 1", "go to stoveburner 1", "examine bowl 1",
        "take bowl 1 from stoveburner 1", "examine stoveburner 2", "go to stoveburner 2", "move bowl 1 to stoveburner 2", "look",
        "go to cabinet 3", "examine potato 1", "open cabinet 3", "examine potato 1",
    ],
    "small-lamps": [
        "go to sidetable 1", "use desklamp 2", "look", "go to desk 1", "use desklamp 2", "use desklamp 1", "examine desklamp 2",
        "open drawer 2", "use desklamp 1", "take mug 1 from desk 1", "move mug 1 to drawer 2", "put mug 1 in/on drawer 2", "look",
        "go to safe 1", "look", "use floorlamp 1",
    ],
    "small-shared": [
        "go to toilet 1", "take soapbar 2 from toilet 1", "move soapbar 2 to countertop 1", "look", "open cabinet 1",
        "take soapbar 2 from countertop 1", "look", "move soapbar 2 to cabinet 1", "look", "close cabinet 1", "look",
        "go to cabinet 2", "go to bathtubbasin 1", "go to sinkbasin 2", "go to toilet 1", "look",
        "take cloth 1 from countertop 1", "examine toilet 1", "look", "move cloth 1 to cabinet 2", "move cloth 1 to toilet 1",
        "take cloth 1 from toilet 1", "examine toilet 1", "look",
    ],
    "small-order": [
        "go to toilet 1", "take candle 2 from toilet 1", "move candle 2 to countertop 2", "look",
        "take soapbar 2 from countertop 2", "move soapbar 2 to toilet 1", "look", "take candle 2 from countertop 2",
        "move candle 2 to countertop 1", "look", "take cloth 1 from shelf 2", "move cloth 1 to toilet 1", "look",
        "take candle 1 from toilet 1", "move candle 1 to countertop 1", "look", "take soapbar 2 from toilet 1",
        "move soapbar 2 to countertop 1", "look", "go to shelf 1", "take candle 1 from shelf 1", "go to toilet 1", "look",
    ],
}  # fmt: skip
"""What is said first, after `ALWAYS`; some of it is not admissible on purpose."""

ALWAYS = ("look", "inventory", "help", "go to nowhere 1")
"""The first commands in every game: `look` before the first move, and one that matches nothing."""


def compact(text: str) -> str:
    """Return a real problem without indentation, empty lines and repeated facts; their order stays."""
    found = re.fullmatch(r"(.*\(:objects)(.*)(\)\s*\(:init)(.*)(\)\s*\(:goal.*)", text, re.DOTALL)
    assert found is not None
    parts = [found[1], *_unique(found[2]), found[3], *_unique(found[4]), found[5]]
    return "\n".join(" ".join(part.split()) for part in parts) + "\n"


def _unique(lines: str) -> list[str]:
    return [line for line in dict.fromkeys(" ".join(line.split()) for line in lines.splitlines()) if line]


def chosen(folder: Path) -> dict[str, dict[str, Any]]:
    """Return problems and sentences of the real games."""
    found = {}
    for name, (start, wording) in REAL.items():
        paths = sorted(folder.glob(f"json_2.1.1/*/{start}/*/game.tw-pddl"))
        games = [(path, json.loads(path.read_text(encoding="utf-8"))) for path in paths]
        path, content = next((path, content) for path, content in games if content["solvable"])
        sentence = re.search(r"Your task is to: ([^\"\\\n]*)\.\"", content["grammar"])
        assert sentence is not None, path
        found[name] = {
            "name": name, "source": f"ALFWorld 2.1.1, {path.parent.parent.name}/{path.parent.name}", "wording": wording,
            "sentence": sentence[1], "problem": compact(content["pddl_problem"]),
        }  # fmt: skip
    return found


def made() -> dict[str, dict[str, Any]]:
    """Return the games that are made up here."""
    return {
        name: {"name": name, "source": "made up", "wording": wording, "sentence": sentence, "problem": problem(**parts)}
        for name, (parts, wording, sentence) in SMALL.items()
    }


def record(reference: Reference, entry: dict[str, Any], num_steps: int) -> Counter[str]:
    """Add a transcript to a game; return how often each kind of action and event occurred."""
    content = game(entry["problem"], entry["wording"], entry["sentence"])
    script = [*ALWAYS, *SCRIPTS.get(entry["name"], ())]
    told, counts = transcript(reference, content, zlib.crc32(entry["name"].encode()), num_steps, script)
    entry |= told
    return counts


def main() -> int:
    """Write the transcripts; return 1 if something is not covered."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real", type=Path, help="data folder to take the real games from")
    parser.add_argument("--steps", type=int, default=70, help="commands per game")
    arguments = parser.parse_args()
    GOLDEN.mkdir(exist_ok=True)
    stored = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(GOLDEN.glob("real-*.json"))}
    entries = (chosen(arguments.real) if arguments.real else stored) | made()
    reference, total = Reference(), Counter[str]()
    for name, entry in entries.items():
        counts = record(reference, entry, arguments.steps)
        entry["counts"] = dict(sorted(counts.items()))
        (GOLDEN / f"{name}.json").write_text(dumps(entry) + "\n", encoding="utf-8")
        print(f"{name}: {entry['counts']}", flush=True)
        total += counts
    print(dict(total))
    wanted = (*KINDS, *EVENTS)
    missing = [kind for kind in wanted if not total[kind]]
    missing += sorted(set(WORDINGS) - {entry["wording"] for entry in entries.values()})
    if missing:
        print(f"not covered: {', '.join(missing)}", file=sys.stderr)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
