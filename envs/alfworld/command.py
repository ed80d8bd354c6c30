"""`vldac envs generate-alfworld`: write games, show how far it is, say what was written."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, TextIO

from vldac.envs.alfworld.game import Game
from vldac.envs.alfworld.generate import Report, generate
from vldac.envs.alfworld.options import GeneratorOptions

if TYPE_CHECKING:
    from vldac.arguments import GenerateAlfworldArguments

_LINE_EVERY_S = 5.0  # where there is no terminal


def run(arguments: GenerateAlfworldArguments, stream: TextIO | None = None) -> Report:
    """Write the games that the arguments ask for; report on `stream` (stdout). Raises ConfigError, EnvError."""
    stream = sys.stdout if stream is None else stream
    options = GeneratorOptions(
        tasks=arguments.tasks, rooms=arguments.rooms, difficulty=arguments.difficulty, num_objects=arguments.num_objects,
        num_receptacles=arguments.num_receptacles, max_plan_length=arguments.max_plan_length,
        min_plan_length=arguments.min_plan_length, wording=arguments.wording,
    )  # fmt: skip
    start = time.perf_counter()
    report = generate(
        arguments.out, arguments.num, split=arguments.split, seed=arguments.seed, options=options,
        overwrite=arguments.overwrite, on_game=_progress(arguments.num, stream),
    )  # fmt: skip
    seconds = time.perf_counter() - start
    if stream.isatty():
        stream.write("\r\x1b[K")
    print(summary(report), file=stream)
    print(f"{report.num_games / seconds:,.0f} games/s; use them with data={arguments.out}", file=stream)
    return report


def summary(report: Report) -> str:
    """Return what was written as lines: games, tasks, rooms, rejected draws by reason."""
    lines = [
        f"{report.num_games} games in {report.folder}",
        *_table("task", report.tasks),
        *_table("room", report.rooms),
    ]
    num_draws = report.num_games + report.rejected.total()
    lines.append(f"  rejected  {report.rejected.total()} of {num_draws} draws")
    return "\n".join(lines + [f"    {count:>7}  {reason}" for reason, count in report.rejected.most_common()])


def _table(title: str, counts: Counter[str]) -> list[str]:
    return [f"  {title}", *(f"    {count:>7}  {name}" for name, count in sorted(counts.items()))]


def _progress(total: int, stream: TextIO) -> Callable[[Game], None]:
    """Return what tells of each game: a line that is rewritten on a terminal, a line now and then elsewhere."""
    is_terminal = stream.isatty()
    every = 0.1 if is_terminal else _LINE_EVERY_S
    state = {"done": 0, "last": time.perf_counter()}

    def on_game(_: Game) -> None:
        state["done"] += 1
        if time.perf_counter() - state["last"] < every:
            return
        state["last"] = time.perf_counter()
        text = f"{state['done']}/{total} games"
        stream.write(f"\r\x1b[K{text}" if is_terminal else f"{text}\n")
        stream.flush()

    return on_game
