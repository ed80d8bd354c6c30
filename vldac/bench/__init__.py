"""What `vldac bench NAME` measures: both sides in one process, interleaved, and a JSON row with where and how."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from vldac.errors import ConfigError, nearest

if TYPE_CHECKING:
    from vldac.arguments import BenchArguments


def _kernels(arguments: BenchArguments) -> dict[str, Any]:
    from vldac.bench.kernels import run

    return run(arguments)


BENCHES: dict[str, Callable[[BenchArguments], dict[str, Any]]] = {"kernels": _kernels}
"""Name to what runs it, prints its table and returns its row."""


def bench(arguments: BenchArguments) -> dict[str, Any]:
    """Run one benchmark and return its row. Raises ConfigError for an unknown name and for counts below 1."""
    if arguments.name not in BENCHES:
        raise ConfigError(
            expected=f"one of the benchmarks {', '.join(BENCHES)}{nearest(arguments.name, BENCHES)}",
            got=repr(arguments.name), where="vldac bench", do="name one of them, e.g. vldac bench kernels",
        )  # fmt: skip
    for flag, value in (("--threads", arguments.threads), ("--rounds", arguments.rounds)):
        if value < 1:
            raise ConfigError(expected="at least 1", got=str(value), where=flag, do="raise it, or leave it out")
    return BENCHES[arguments.name](arguments)
