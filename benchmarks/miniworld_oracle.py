"""How often the scripted expert of each MiniWorld id succeeds in the paper's 128 steps, and in upstream's own; beside random play.

    python benchmarks/miniworld_oracle.py              # 200 seeds per id, about four minutes; rows in benchmarks/results
    python benchmarks/miniworld_oracle.py --markdown   # prints the rows as the table of docs/miniworld.md

The paper's task has four actions and no more, so nothing can be picked up in it: those ids have an expert with upstream's actions
alone. Random play takes each of the four actions with equal odds. A failure is an episode that ends otherwise, or reaches the limit.
Times are processor time of oracle_actions() per action.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from vldac.envs import list_ids, make
from vldac.errors import EnvError
from vldac.metrics import wilson_interval
from vldac.provenance import commit, processor_name, versions

ROOT = Path(__file__).resolve().parent.parent
RESULT = ROOT / "benchmarks" / "results" / "miniworld_oracle.json"
SEED = 3_000_000


def play(env_id: str, task: str | None, episodes: int, *, is_random: bool = False) -> dict[str, Any] | None:
    """Play one episode of each of `episodes` seeds with the expert, or at random; None where there is no expert."""
    env = make(env_id, episodes, task=task, num_threads=1, image_size=(28, 28))
    env.reset(seed=SEED)
    outcomes: dict[int, tuple[bool, int]] = {}
    seconds, count = 0.0, 0
    rng = np.random.default_rng(SEED)
    while len(outcomes) < episodes:
        tick = time.process_time()
        try:
            actions = rng.integers(0, 4, episodes) if is_random else env.oracle_actions()
        except EnvError:
            return None
        seconds, count = seconds + time.process_time() - tick, count + episodes
        _, _, terminated, truncated, info = env.step(actions)
        final = info.get("final_info")
        for e in np.flatnonzero(terminated | truncated):
            outcomes.setdefault(int(e), (bool(final["success"][e]), int(final["length"][e])))
    env.close()
    won = [length for success, length in outcomes.values() if success]
    return {
        "success_rate": len(won) / episodes, "success_ci": list(wilson_interval(len(won), episodes)),
        "steps_mean": float(np.mean(won)) if won else None, "steps_max": max(won, default=None),
    } | ({} if is_random else {
        "failed_seeds": [SEED + e for e, (success, _) in sorted(outcomes.items()) if not success],
        "us_per_action": round(seconds / count * 1e6, 1),
    })  # fmt: skip


def markdown(rows: dict[str, Any]) -> str:
    """Return the rows as a table."""

    def cells(row: dict[str, Any] | None) -> str:
        if row is None:
            return "no expert | "
        return f"{row['success_rate']:.3f} | " + ("" if row["steps_mean"] is None else f"{row['steps_mean']:.0f}")

    head = ["id", "random, 128 steps", "expert, 128 steps", "mean steps", "expert, upstream's own limit", "mean steps"]
    lines = [f"| {' | '.join(head)} |", "| --- " * len(head) + "|"]
    lines += [
        f"| {name} | {row['random']['success_rate']:.3f} | {cells(row['vldac'])} | {cells(row['upstream'])} |"
        for name, row in rows.items()
    ]
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    """Measure every id, or print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=200)
    parser.add_argument(
        "--markdown", action="store_true", help="print the table of the recorded rows and measure nothing"
    )
    arguments = parser.parse_args(argv)
    if arguments.markdown:
        print(markdown(json.loads(RESULT.read_text(encoding="utf-8"))["rows"]))
        return 0
    measured_at, rows = commit(ROOT), {}
    for env_id in sorted(name for name in list_ids() if name.startswith("MiniWorld-")):
        limited = play(env_id, "vldac", arguments.episodes)
        own = play(env_id, None, arguments.episodes)
        by_chance = play(env_id, "vldac", arguments.episodes, is_random=True)
        rows[env_id] = {"vldac": limited, "upstream": own, "random": by_chance}
        shown = {k: v and (v["success_rate"], v["steps_mean"], v.get("us_per_action")) for k, v in rows[env_id].items()}
        print(f"{env_id}: {shown}", flush=True)
    result = {
        "benchmark": "miniworld_oracle", "date": time.strftime("%Y-%m-%d"), "commit": measured_at,
        "command": f"python benchmarks/miniworld_oracle.py --episodes {arguments.episodes}", "versions": versions(),
        "device": {"cpu": processor_name(), "cores": os.cpu_count()}, "seeds": [SEED, SEED + arguments.episodes - 1], "rows": rows,
    }  # fmt: skip
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
