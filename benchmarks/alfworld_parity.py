"""The native ALFWorld beside TextWorld's: the same games and commands, every text, every admissible command, score, won and done.

    pip install '.[alfworld]'
    python benchmarks/alfworld_parity.py record --num 520   # TextWorld plays; half an hour or more, goes on where it was stopped
    python benchmarks/alfworld_parity.py compare            # both native layers play the same; seconds, writes the row

`record` generates games for all four kinds of room, both wordings and all splits, and lets TextWorld play each with commands of its
own seed: `look` before the first move, a wanderer's, an expert's until it has won, then the win is undone. It keeps what TextWorld
said in --work. With --real it plays the games that ALFWORLD_DATA names instead of generated ones; --shard 1/2 takes every second
game. TextWorld's parses of a grammar's texts are kept, which makes it three times as fast and changes no word.

`compare` lets the fast path and the interpreter play what was recorded. Exit code 1 if anything differs, if fewer than --steps steps
or --games games were compared, or if a kind of action, an event, a room or a task is missing. A row goes to benchmarks/results.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import sys
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
HERE = str(ROOT / "benchmarks")
sys.path.insert(0, HERE)
from alfworld_reference import EVENTS, KINDS, Reference, dumps, transcript  # noqa: E402

sys.path[:] = [path for path in sys.path if path != HERE]  # its alfworld.py is not the package

from vldac.provenance import commit, processor_name, versions  # noqa: E402

LAYERS = ("fast", "generic")
SPLITS = {"train": 0.6, "valid_seen": 0.2, "valid_unseen": 0.2}
WORDINGS = ("new", "old")
ROOM_OF = ("kitchen", "", "living room", "bedroom", "bathroom")  # by the hundreds of a floor plan's number
START = ("look", "inventory", "help", "look")


# -- what TextWorld says ----------------------------------------------------------------------------------------------


def generated(work: Path, num: int) -> list[Path]:
    """Return the game files of generated games; they are made where they are missing."""
    from vldac.envs.alfworld.generate import generate
    from vldac.envs.alfworld.options import GeneratorOptions

    found: list[Path] = []
    for wording in WORDINGS:
        for split, share in SPLITS.items():
            count = round(num * share / len(WORDINGS))
            folder = work / "games" / f"{wording}-{count}"
            if not (folder / "json_2.1.1" / split).is_dir():
                generate(folder, count, split=split, seed=len(found), options=GeneratorOptions(wording=wording))
            found += sorted((folder / "json_2.1.1" / split).glob("*/*/game.tw-pddl"))
    return found


def real() -> list[Path]:
    """Return the game files below ALFWORLD_DATA that upstream plays, in a fixed but mixed order."""
    from vldac.envs.alfworld.panel import SPLITS as NAMES
    from vldac.envs.alfworld.panel import find_games

    found = [Path(path) for split in NAMES for path in find_games(split).paths]
    random.Random(0).shuffle(found)
    return found


def record(arguments: argparse.Namespace) -> int:
    """Let TextWorld play what it has not played yet."""
    work: Path = arguments.work
    games = real()[: arguments.num] if arguments.real else generated(work, arguments.num)
    part, parts = (int(number) for number in arguments.shard.split("/"))
    folder = work / ("real" if arguments.real else "generated")
    folder.mkdir(parents=True, exist_ok=True)
    reference = Reference(keeps_parses=True)
    for i, path in enumerate(games):
        name = "--".join(path.parts[-4:-1])
        target = folder / f"{name}.json.gz"
        if i % parts != part - 1 or target.exists():
            continue
        start = time.perf_counter()
        content = json.loads(path.read_text(encoding="utf-8"))
        told, counts = transcript(reference, content, zlib.crc32(name.encode()), arguments.steps, START)
        entry = {
            "name": name,
            "game": content,
            "task": path.parts[-3].split("-")[0],
            "room": room_of(path.parts[-3]),
            **told,
        }
        draft = target.with_suffix(".tmp")
        draft.write_bytes(gzip.compress(dumps({**entry, "counts": counts}).encode(), 6))
        draft.replace(target)  # whole or not at all
        print(
            f"{i + 1}/{len(games)} {name}: {time.perf_counter() - start:.1f} s, won {counts['won']} times", flush=True
        )
    return 0


def room_of(folder: str) -> str:
    """Return the kind of room of a game's folder, whose name ends in the number of a floor plan."""
    return ROOM_OF[int(folder.rpartition("-")[2]) // 100]


# -- what the native engine says --------------------------------------------------------------------------------------


def differences(entry: dict[str, Any], layer: str) -> Iterator[str]:
    """Yield what a layer says otherwise than TextWorld; after the first difference of a game there is no second."""
    from vldac import _core

    try:
        player = _core.AlfworldPlayer(_core.AlfworldGame.parse(dumps(entry["game"]).encode(), entry["name"]), layer)
    except ValueError as error:
        yield f"refused: {error}"
        return
    commands = set(entry["reset"]["commands"])
    won = int(entry["reset"]["won"])
    for i, (command, text, gone, come, outcome) in enumerate(
        [[None, entry["reset"]["text"], [], [], [won, won, won]], *entry["steps"]]
    ):
        said = player.reset() if command is None else player.step(command)
        commands = (commands - set(gone)) | set(come)
        where = f"step {i} {command!r}"
        if said != text:
            yield f"{where}: {said!r}, TextWorld {text!r}"
            return
        if player.commands() != sorted(commands):
            more, less = set(player.commands()) - commands, commands - set(player.commands())
            yield f"{where}: admissible too {sorted(more)}, missing {sorted(less)}"
            return
        if [player.score, int(player.won), int(player.done)] != outcome:
            yield f"{where}: score, won, done {[player.score, player.won, player.done]}, TextWorld {outcome}"
            return


def compare(arguments: argparse.Namespace) -> int:
    """Compare what was recorded, write the row and return 0 if it holds."""
    made_of = commit(ROOT)
    runs: dict[str, Any] = {}
    missing: list[str] = []
    for source in ("generated", "real"):
        counts: Counter[str] = Counter()
        different: dict[str, list[str]] = {layer: [] for layer in LAYERS}
        rooms: Counter[str] = Counter()
        tasks: Counter[str] = Counter()
        wordings: Counter[str] = Counter()
        for path in sorted((arguments.work / source).glob("*.json.gz")):
            entry = json.loads(gzip.decompress(path.read_bytes()))
            for layer in LAYERS:
                different[layer] += [f"{entry['name']}, {what}" for what in differences(entry, layer)]
            counts.update(entry["counts"])
            counts["steps"] += len(entry["steps"])
            counts["resets"] += 1
            counts["look before the first move"] += entry["steps"][0][0] == "look"
            rooms[entry["room"]] += 1
            tasks[entry["task"]] += 1
            wordings["put X in/on Y" if "put {o} in/on {r}" in entry["game"]["grammar"] else "move X to Y"] += 1
        if not counts:
            continue
        runs[source] = {
            "games": sum(rooms.values()), "rooms": dict(rooms), "tasks": dict(tasks), "wordings": dict(wordings),
            "counts": dict(counts),
            "different": {layer: len(what) for layer, what in different.items()},
            "first_differences": {layer: what[:5] for layer, what in different.items()},
        }  # fmt: skip
        print(
            f"{source}: {runs[source]['games']} games, {counts['steps']} steps, different {runs[source]['different']}"
        )
        for layer in LAYERS:
            for what in different[layer][:5]:
                print(f"    {layer}: {what[:600]}")
        if source == "generated":
            wanted = (*KINDS, *EVENTS, "look before the first move")
            missing += [kind for kind in wanted if not counts[kind]]
            missing += [room for room in ROOM_OF if room and not rooms[room]]
            missing += [] if len(wordings) == 2 else ["a wording"]
            missing += [] if len(tasks) == 6 else [f"tasks: {', '.join(sorted(tasks))} alone"]
            missing += [] if counts["steps"] >= arguments.steps else [f"{arguments.steps} steps: {counts['steps']}"]
            missing += (
                [] if sum(rooms.values()) >= arguments.games else [f"{arguments.games} games: {sum(rooms.values())}"]
            )
    is_equal = bool(runs) and not any(count for run in runs.values() for count in run["different"].values())
    claim = {
        "equal": "texts, sorted admissible commands, score, won and done of every reset and step, in both layers",
        "games": sum(run["games"] for run in runs.values()), "steps": sum(run["counts"]["steps"] for run in runs.values()),
        "missing": missing, "holds": is_equal and "generated" in runs and not missing,
    }  # fmt: skip
    row = {
        "claim": claim, "runs": runs, "command": "python " + " ".join(["benchmarks/alfworld_parity.py", "compare"]),
        "date": time.strftime("%Y-%m-%d"), "processor": processor_name(), "load": os.getloadavg(), "commit": made_of,
        "versions": versions(("vldac", "alfworld", "textworld", "fast-downward-textworld")),
    }  # fmt: skip
    (arguments.out or RESULTS).mkdir(parents=True, exist_ok=True)
    path = (arguments.out or RESULTS) / "alfworld_parity.json"
    path.write_text(json.dumps(row, indent=1) + "\n", encoding="utf-8")
    if missing:
        print(f"missing: {', '.join(missing)}")
    print(f"{'holds' if claim['holds'] else 'DOES NOT HOLD'}: {path}, {claim['games']} games, {claim['steps']} steps")
    return 0 if claim["holds"] else 1


def main() -> int:
    """Do what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="what", required=True)
    recorder = commands.add_parser("record", help="let TextWorld play")
    recorder.add_argument("--num", type=int, default=520, help="games")
    recorder.add_argument("--steps", type=int, default=42, help="commands per game")
    recorder.add_argument("--real", action="store_true", help="the games of ALFWORLD_DATA")
    recorder.add_argument("--shard", default="1/1", help="of several recorders this one")
    comparer = commands.add_parser("compare", help="let the native engine play the same")
    comparer.add_argument("--games", type=int, default=500, help="generated ones that are demanded")
    comparer.add_argument("--steps", type=int, default=20_000, help="in generated games that are demanded")
    comparer.add_argument("--out", type=Path, help="folder of the row (default: benchmarks/results)")
    for command in (recorder, comparer):
        command.add_argument(
            "--work", type=Path, default=ROOT / "runs" / "alfworld_parity", help="folder of what is recorded"
        )
    arguments = parser.parse_args()
    return record(arguments) if arguments.what == "record" else compare(arguments)


if __name__ == "__main__":
    sys.exit(main())
