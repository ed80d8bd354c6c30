"""Reading responses: every mode against Python's own readers, in one process and one thread.

    python benchmarks/parsing.py

CPU time per response of a batch of 64 responses of 400 bytes, thoughts and an action. Every repeat runs every variant once, one after
the other, so that a busy moment meets all. Python's side is `json.loads` (or `ast.literal_eval`), the look-up of "action" and of its
name. All variants must find the same actions before anything is timed. Writes one JSON row; exit code 1 if a mode is slower
than `json.loads`.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np

from vldac.actions import ParseMode, parse_actions
from vldac.provenance import commit, processor_name, versions

ROOT = Path(__file__).resolve().parent.parent
NAMES = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "+", "*", "="]
RESPONSE_BYTES, BATCH, CALLS = 400, 64, 40
WORDS = [
    "first",
    "card",
    "is",
    "a",
    "ten",
    "second",
    "shows",
    "two",
    "their",
    "sum",
    "gives",
    "twelve",
    "end",
    "formula",
]


def response(index: int, action: str) -> str:
    """Return one JSON object of RESPONSE_BYTES bytes with thoughts of plain words."""
    words, i = [], index
    frame = json.dumps({"thoughts": "", "action": action})
    while sum(map(len, words)) + len(words) < RESPONSE_BYTES:
        words.append(WORDS[i % len(WORDS)])
        i += 1
    return json.dumps({"thoughts": " ".join(words)[: RESPONSE_BYTES - len(frame)], "action": action})


def with_python(read: Callable[[str], Any], texts: list[str]) -> list[int]:
    """What a user would write: read, look up, refuse nothing quietly."""
    positions = {name: i for i, name in enumerate(NAMES)}
    return [positions[read(text)["action"]] for text in texts]


def variants(texts: list[str], fenced: list[str]) -> dict[str, Callable[[], Any]]:
    encoded = [text.encode() for text in texts]
    buffer = (
        np.frombuffer(b"".join(encoded), np.uint8),
        np.cumsum([0, *map(len, encoded)], dtype=np.int64),
    )
    native: dict[str, Callable[[], Any]] = {
        mode: lambda mode=mode: parse_actions(texts, NAMES, mode)[0] for mode in get_args(ParseMode)
    }
    return native | {
        "tolerant, fenced": lambda: parse_actions(fenced, NAMES)[0],
        "tolerant, buffer": lambda: parse_actions(buffer, NAMES)[0],
        "json.loads": lambda: with_python(json.loads, texts),
        "ast.literal_eval": lambda: with_python(ast.literal_eval, texts),
    }


def main() -> int:
    """Measure, print and write the row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=31)
    parser.add_argument("--json", type=Path, default=ROOT / "benchmarks" / "results" / "parsing.json")
    arguments = parser.parse_args()
    expected = [i % len(NAMES) for i in range(BATCH)]
    texts = [response(i, NAMES[action]) for i, action in enumerate(expected)]
    fenced = [f"Here is my answer.\n```json\n{text[:-1]},}}\n```" for text in texts]
    calls = variants(texts, fenced)
    for name, call in calls.items():
        if list(call()) != expected:
            raise SystemExit(f"{name} finds other actions")
    load = os.getloadavg()
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(arguments.repeats):
        for name, call in calls.items():
            start = time.process_time_ns()
            for _ in range(CALLS):
                call()
            times[name].append((time.process_time_ns() - start) / (CALLS * BATCH))
    rows = {
        name: {
            "ns_per_response": round(statistics.median(values)),
            "least": round(min(values)),
            "most": round(max(values)),
        }
        for name, values in times.items()
    }
    python = rows["json.loads"]["ns_per_response"]
    for row in rows.values():
        row["times_faster_than_json_loads"] = round(python / row["ns_per_response"], 2)
    holds = all(rows[mode]["ns_per_response"] <= python for mode in get_args(ParseMode))
    for name, row in rows.items():
        print(f"{name:18} {row['ns_per_response']:6} ns  {row['times_faster_than_json_loads']:6.2f} x json.loads")
    result = {
        "what": f"CPU ns per response of {RESPONSE_BYTES} bytes, batch of {BATCH}, texts to actions",
        "claim": {"no mode is slower than": "json.loads and a look-up", "holds": holds},
        "variants": rows, "repeats": arguments.repeats, "threads": 1, "load_before": load, "load_after": os.getloadavg(),
        "device": {"cpu": processor_name(), "cores": os.cpu_count()},
        "command": f"python benchmarks/parsing.py --repeats {arguments.repeats}",
        "date": time.strftime("%Y-%m-%d"), "commit": commit(ROOT), "versions": versions(("vldac", "numpy")),
    }  # fmt: skip
    arguments.json.write_text(json.dumps(result, indent=1) + "\n")
    print(f"claim {'holds' if holds else 'does NOT hold'}; wrote {arguments.json}")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
