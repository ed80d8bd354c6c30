"""How fast ALFWorld's engine is, on generated games of all rooms and tasks (whole floor plans).

    python benchmarks/alfworld.py speed     # steps per second: inside the pool, through Python, the generic layer, with pictures
    python benchmarks/alfworld.py load      # milliseconds of a game's first load and of later resets
    python benchmarks/alfworld.py soak      # resident memory over 1,000,000 resets

Every step gives the whole text and the admissible commands; commands are drawn from these. "pool": texts and commands stay in the
pool's memory (play_commands); "python": `step` with a list of strings, then obs["text"] and info["admissible_commands"], as lists.
Times are processor time of the process, one thread, the median of rounds; the sides take turns in one run.
Rows go to benchmarks/results. Exit code 1 if a target is missed.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from rows import in_pool, in_turns, memory_over, through_python, write_row

from vldac import _core
from vldac.envs import make

TARGETS = {"pool": 500_000.0, "python": 300_000.0, "generic": 10_000.0, "ego_300x300": 1_000.0}
"""Environment steps per second of one core."""
MAX_RESET_MS, MAX_LOAD_MS, MAX_GROWTH_BYTES = 1.0, 20.0, 8 * 2**20
_GAMES = {"data": "generated", "num_games": 120, "games_seed": 7, "split": "train"}


def speed(arguments: argparse.Namespace) -> bool:
    """Steps per second of each way to play."""
    envs = arguments.num_envs
    sides: dict[str, Callable[[], tuple[int, float]]] = {
        "pool": lambda: in_pool(env("none", envs), arguments.steps),
        "python": lambda: through_python(env("none", envs), arguments.steps // 2),
        "generic": lambda: in_pool(env("none", envs, layer="generic"), max(1, arguments.steps // 40)),
        "ego_300x300": lambda: in_pool(env("ego", envs), max(1, arguments.steps // 400)),
        "ego_84x84": lambda: in_pool(env("ego", envs, image_size=(84, 84)), max(1, arguments.steps // 400)),
        "schematic_300x300": lambda: in_pool(env("schematic", envs), max(1, arguments.steps // 400)),
        "panel_300x300": lambda: in_pool(env("panel", envs), max(1, arguments.steps // 400)),
    }
    figures, holds = in_turns(sides, arguments.rounds, TARGETS)
    write_row(
        "alfworld_speed", {"num_envs": envs, "games": _GAMES, "figures": figures, "targets": TARGETS, "is_met": holds}
    )
    return holds


def env(picture: str, num_envs: int, **options: Any) -> Any:
    """Environments on the benchmark's games, reset."""
    made = make("ALFWorld-v0", num_envs, num_threads=1, task="vldac", picture=picture, **_GAMES, **options)
    made.reset(seed=0)
    made._pool.play_commands(60, 1)  # games are loaded, memory has its size
    return made


def load(arguments: argparse.Namespace) -> bool:
    """First loads and later resets."""
    made = make("ALFWorld-v0", 1, num_threads=1, picture="ego", game_order="seed", **_GAMES)
    paths = made.panel.paths
    first, again = [], []
    for path in paths:
        tick = time.process_time()
        game = _core.AlfworldGame.load(path)
        _core.AlfworldPlayer(game, "auto").reset()
        first.append((time.process_time() - tick) * 1e3)
    for seeds in (again, again):
        seeds.clear()
        for seed in range(len(paths)):
            tick = time.process_time()
            made.reset(seed=seed)
            seeds.append((time.process_time() - tick) * 1e3)
    figures = {
        "first_load_ms": {"median": statistics.median(first), "max": max(first)},
        "reset_with_ego_300x300_ms": {"median": statistics.median(again), "max": max(again)},
    }
    made.close()
    plain = make("ALFWorld-v0", 1, num_threads=1, picture="none", game_order="seed", **_GAMES)
    again = []
    for turn in range(2):
        for seed in range(len(paths)):
            tick = time.process_time()
            plain.reset(seed=seed)
            if turn:
                again.append((time.process_time() - tick) * 1e3)
    figures["reset_ms"] = {"median": statistics.median(again), "max": max(again)}
    holds = figures["first_load_ms"]["median"] < MAX_LOAD_MS and figures["reset_ms"]["median"] < MAX_RESET_MS
    for name, found in figures.items():
        print(f"{name:28} median {found['median']:.3f}, max {found['max']:.3f}", flush=True)
    write_row("alfworld_load", {"num_games": len(paths), "figures": figures, "is_met": holds})
    return holds


def soak(arguments: argparse.Namespace) -> bool:
    """Resident memory while episodes begin and end: as many resets as asked for."""
    made = make("ALFWorld-v0", 64, num_threads=1, picture="none", max_episode_steps=2, **_GAMES)
    made.reset(seed=0)
    marks, growth = memory_over(made, arguments.resets, "resets")
    holds = growth <= MAX_GROWTH_BYTES
    write_row("alfworld_soak", {"marks": marks, "growth_bytes": growth, "is_met": holds})
    return holds


def main() -> int:
    """Run one benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    for name, run in {"speed": speed, "load": load, "soak": soak}.items():
        command = commands.add_parser(name, help=(run.__doc__ or "").splitlines()[0])
        command.set_defaults(run=run)
        if name == "speed":
            command.add_argument("--num-envs", type=int, default=64)
            command.add_argument("--steps", type=int, default=400_000)
            command.add_argument("--rounds", type=int, default=5)
        if name == "soak":
            command.add_argument("--resets", type=int, default=1_000_000)
    arguments = parser.parse_args()
    return 0 if arguments.run(arguments) else 1


if __name__ == "__main__":
    sys.exit(main())
