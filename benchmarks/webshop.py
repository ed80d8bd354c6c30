"""How fast WebShop's environment is, on the shipped shop of 1,000 products.

    python benchmarks/webshop.py speed     # steps per second: inside the pool, through Python, with pictures
    python benchmarks/webshop.py soak      # resident memory over 1,000,000 episodes

Every step gives the page's whole text and the admissible commands; commands are drawn from these, searches are one to three words of
the instruction. "pool": texts and commands stay in the pool's memory (play_commands); "python": `step` with a list of strings, then
obs["text"] and info["admissible_commands"], as lists. Times are processor time of the process, one thread, the median of rounds;
the sides take turns in one run. Chromium's rate over the same pages: benchmarks/webshop_pages.py.
Rows go to benchmarks/results. Exit code 1 if a target is missed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any

from rows import in_pool, in_turns, memory_over, through_python, write_row

from vldac.envs import make

TARGETS = {"pool": 100_000.0, "python": 20_000.0, "raster_512x896": 300.0}
"""Environment steps per second of one core."""
MAX_GROWTH_BYTES = 8 * 2**20


def speed(arguments: argparse.Namespace) -> bool:
    """Steps per second of each way to play."""
    envs, steps = arguments.num_envs, arguments.steps

    def part(share: int) -> int:
        return max(1, steps // share)

    sides: dict[str, Callable[[], tuple[int, float]]] = {
        "pool": lambda: in_pool(env(envs), steps),
        "pool_page_of_10": lambda: in_pool(env(envs, page_size=10), steps),
        "pool_text_rich": lambda: in_pool(env(envs, observation_mode="text_rich"), steps),
        "pool_html": lambda: in_pool(env(envs, observation_mode="html"), part(4)),
        "pool_compat": lambda: in_pool(env(envs, compat=True), steps),
        "python": lambda: through_python(env(envs), part(2)),
        "raster_512x896": lambda: in_pool(env(envs, picture="raster"), part(200)),
        "raster_224x392": lambda: in_pool(env(envs, picture="raster", image_size=(224, 392)), part(200)),
    }
    figures, holds = in_turns(sides, arguments.rounds, TARGETS)
    write_row("webshop_speed", {"num_envs": envs, "figures": figures, "targets": TARGETS, "is_met": holds})
    return holds


def env(num_envs: int, **options: Any) -> Any:
    """Environments in the shipped shop, reset."""
    options = {"picture": "none", **options}
    made = make("WebShop-v0", num_envs, num_threads=1, task="vldac", **options)
    made.reset(seed=0)
    made._pool.play_commands(60, 1)  # memory has its size
    return made


def soak(arguments: argparse.Namespace) -> bool:
    """Resident memory while episodes begin and end."""
    made = make("WebShop-v0", 64, num_threads=1, picture="none", task="vldac", max_episode_steps=6)
    made.reset(seed=0)
    marks, growth = memory_over(made, arguments.episodes, "episodes")
    holds = growth <= MAX_GROWTH_BYTES
    write_row("webshop_soak", {"marks": marks, "growth_bytes": growth, "is_met": holds})
    return holds


def main() -> int:
    """Run one benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    for name, run in {"speed": speed, "soak": soak}.items():
        command = commands.add_parser(name, help=(run.__doc__ or "").splitlines()[0])
        command.set_defaults(run=run)
        if name == "speed":
            command.add_argument("--num-envs", type=int, default=64)
            command.add_argument("--steps", type=int, default=400_000)
            command.add_argument("--rounds", type=int, default=5)
        if name == "soak":
            command.add_argument("--episodes", type=int, default=1_000_000)
    arguments = parser.parse_args()
    return 0 if arguments.run(arguments) else 1


if __name__ == "__main__":
    sys.exit(main())
