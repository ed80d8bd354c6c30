"""What benchmarks of environments share: rows in benchmarks/results, rates of sides that take turns, resident memory."""

from __future__ import annotations

import json
import random
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from vldac import _core
from vldac.actions import fill_form, is_form
from vldac.provenance import commit, processor_name, versions

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"


def in_turns(
    sides: Mapping[str, Callable[[], tuple[int, float]]], rounds: int, targets: Mapping[str, float]
) -> tuple[dict[str, Any], bool]:
    """Play every side once a round; return steps per second by side (median and rounds), and whether all targets are met."""
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, play in sides.items():
            steps, seconds = play()
            rates[name].append(steps / seconds)
    figures = {name: {"steps_per_s": statistics.median(own), "rounds": own} for name, own in rates.items()}
    holds = True
    for name, found in figures.items():
        target = targets.get(name)
        holds &= target is None or found["steps_per_s"] >= target
        aim = f"   target {target:,.0f}" if target else ""
        print(f"{name:20} {found['steps_per_s']:12,.0f} steps/s{aim}", flush=True)
    return figures, holds


def in_pool(made: Any, steps: int) -> tuple[int, float]:
    """(steps, seconds of processor time) of commands at random, without Python between steps; closes the environments."""
    rounds = max(1, steps // made.num_envs)
    tick = time.process_time()
    made._pool.play_commands(rounds, 2)
    seconds = time.process_time() - tick
    made.close()
    return rounds * made.num_envs, seconds


def through_python(made: Any, steps: int) -> tuple[int, float]:
    """The same with lists of strings in and out."""
    rounds, draw = max(1, steps // made.num_envs), random.Random(0).random
    info = made.reset(seed=0)[1]
    known, texts, seconds = info["admissible_commands"], 0, 0.0
    for _ in range(rounds):
        chosen = [own[int(draw() * len(own))] for own in known]  # the policy's part: not timed
        if any(map(is_form, chosen)):
            words = made.random_words()
            chosen = [fill_form(c, words[i], int(draw() * 2**53)) if is_form(c) else c for i, c in enumerate(chosen)]
        tick = time.process_time()
        obs, _, _, _, info = made.step(chosen)
        known = info["admissible_commands"]
        texts += len(obs["text"])
        seconds += time.process_time() - tick
    made.close()
    assert texts == rounds * made.num_envs
    return texts, seconds


def resident() -> int:
    """Bytes of the process in memory."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096


def memory_over(made: Any, wanted: int, what: str) -> tuple[list[dict[str, int]], int]:
    """Play at random until `wanted` episodes have ended; return the marks of each tenth, and the growth in bytes after the first."""
    ended, marks = 0, list[dict[str, int]]()
    while ended < wanted:
        ended += made._pool.play_commands(200, len(marks))
        if ended >= wanted * len(marks) // 10:
            marks.append({what: ended, "bytes": resident(), "symbols": _core.num_symbols()})
            print(f"{ended:10,} {what}: {marks[-1]['bytes'] / 2**20:.1f} MiB", flush=True)
    made.close()
    growth = marks[-1]["bytes"] - marks[min(1, len(marks) - 1)]["bytes"]
    print(f"growth after the first tenth: {growth / 2**20:.2f} MiB")
    return marks, growth


def write_row(name: str, row: dict[str, Any]) -> None:
    """Keep one result, with what it was measured on."""
    row |= {
        "commit": commit(ROOT), "command": f"python benchmarks/{Path(sys.argv[0]).name} {' '.join(sys.argv[1:])}",
        "processor": processor_name(), "versions": versions(), "time": time.strftime("%Y-%m-%d %H:%M"),
    }  # fmt: skip
    (RESULTS / f"{name}.json").write_text(json.dumps(row, indent=1) + "\n", encoding="utf-8")
