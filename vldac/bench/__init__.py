"""What `vldac bench NAME` measures: both sides of every comparison in turn, and a JSON row with where and how."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from vldac.arguments import BenchArguments, parse
from vldac.bench.arguments import ThroughputArguments
from vldac.errors import ConfigError, nearest


@dataclass(frozen=True, slots=True)
class Bench:
    """One benchmark: its arguments, and what runs it, prints its table and returns its row."""

    arguments: type[Any]
    run: Callable[[Any], dict[str, Any]]


def _kernels(arguments: BenchArguments) -> dict[str, Any]:
    from vldac.bench.kernels import run

    return run(arguments)


def _throughput(arguments: ThroughputArguments) -> dict[str, Any]:
    from vldac.bench.throughput import run

    return run(arguments)


BENCHES = {
    "kernels": Bench(BenchArguments, _kernels),
    "rollout": Bench(ThroughputArguments, _throughput),
    "train": Bench(ThroughputArguments, _throughput),
}


def parse_bench(argv: Sequence[str]) -> Any:
    """Return the arguments of `vldac bench NAME ...`. Raises ConfigError for an unknown name, and for what does not parse."""
    names = [word for word in argv if not word.startswith("-")]
    if not names:
        return parse(BenchArguments, argv, prog="vldac bench")  # --help, or the refusal of a missing name
    name = next((word for word in names if word in BENCHES), names[0])
    if name not in BENCHES:
        raise ConfigError(
            expected=f"one of the benchmarks {', '.join(BENCHES)}{nearest(name, BENCHES)}",
            got=repr(name), where="vldac bench", do="name one of them, e.g. vldac bench kernels",
        )  # fmt: skip
    return parse(BENCHES[name].arguments, argv, prog=f"vldac bench {name}")


def bench(arguments: Any) -> dict[str, Any]:
    """Run the benchmark of these arguments and return its row. Raises ConfigError for counts below 1."""
    for flag, value in (("--threads", arguments.threads), ("--rounds", arguments.rounds)):
        if value < 1:
            raise ConfigError(expected="at least 1", got=str(value), where=flag, do="raise it, or leave it out")
    return BENCHES[arguments.name].run(arguments)
