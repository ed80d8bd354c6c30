"""`vldac bench kernels`: time, memory and error of the kernels on the CPU, beside eager torch and torch.compile.

A goal is held against the tier that `backend="auto"` takes. Nothing here decides about a tier: it only measures.
"""

from __future__ import annotations

import os
import shlex
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

import vldac
from vldac import _core
from vldac.bench.cases import CASES, Problem, Sizes
from vldac.bench.memory import measure_apart
from vldac.bench.timing import Timing, interleave, speedup
from vldac.provenance import commit, processor_name, versions

if TYPE_CHECKING:
    from rich.table import Table

    from vldac.arguments import BenchArguments

_BUDGET_S = 120.0
"""Of one measurement, all sides together; a slow one gets fewer rounds, which its row tells."""
_MIB = 1 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Goal:
    """A figure to reach."""

    what: str
    figure: Callable[[dict[str, Any], str], float | None]
    """from a measurement and the tier's name"""
    at_least: float | None = None
    at_most: float | None = None

    def judge(self, measured: dict[str, Any], tier: str) -> dict[str, Any]:
        """Return the figure and whether it holds; what could not be measured does not hold."""
        value = self.figure(measured, tier)
        holds = value is not None and (
            value >= self.at_least if self.at_least is not None else value <= (self.at_most or 0.0)
        )
        limit = {"at_least": self.at_least} if self.at_least is not None else {"at_most": self.at_most}
        return {"what": self.what, "tier": tier, "figure": value, **limit, "holds": holds}


@dataclass(frozen=True, kw_only=True, slots=True)
class Measurement:
    """A case at one size."""

    case: str
    sizes: Sizes
    has_memory: bool = False
    goals: tuple[Goal, ...] = ()


def _speedup(measured: dict[str, Any], tier: str) -> float | None:
    value: float | None = measured["sides"][tier]["speedup_over_eager"]
    return value


def _memory_share(measured: dict[str, Any], tier: str) -> float | None:
    ours, eager = (measured["sides"][name].get("extra_memory_mib") for name in (tier, "eager"))
    return None if ours is None or not eager else float(ours) / float(eager)


def _ns_per_element(measured: dict[str, Any], tier: str) -> float | None:
    """Of the least sample: unlike a ratio, an absolute figure takes in whatever else the machine does."""
    sizes: Sizes = measured["sizes"]
    return 1e6 * float(measured["sides"][tier]["ms"]["min"]) / (sizes["T"] * sizes["E"])


def _faster(times: float) -> Goal:
    return Goal(what="times faster than eager", figure=_speedup, at_least=times)


FULL = (
    Measurement(case="selective_log_softmax", sizes={"N": 64, "V": 152_064}, goals=(_faster(5.0),)),
    Measurement(case="selective_log_softmax", sizes={"N": 8, "V": 2_048}),
    Measurement(
        case="linear_logprob", sizes={"N": 1_024, "V": 152_064, "H": 256}, has_memory=True,
        goals=(
            Goal(what="share of eager's extra memory", figure=_memory_share, at_most=1 / 20),
            Goal(what="times faster than eager", figure=_speedup, at_least=1.0),
        ),
    ),
    Measurement(case="linear_logprob", sizes={"N": 8, "V": 2_048, "H": 64}),
    Measurement(case="sample_with_logprob", sizes={"B": 64, "V": 152_064}, goals=(_faster(3.0),)),
    Measurement(case="sample_with_logprob", sizes={"B": 64, "V": 2_048}, goals=(_faster(3.0),)),
    Measurement(case="sample_with_logprob", sizes={"B": 8, "V": 2_048}),
    Measurement(case="ppo_clip_loss", sizes={"N": 4_096}),
    Measurement(case="ppo_clip_loss", sizes={"N": 65_536}),
    Measurement(
        case="generalized_advantage_estimate", sizes={"T": 512, "E": 64},
        goals=(_faster(5.0), Goal(what="ns per element", figure=_ns_per_element, at_most=3.0)),
    ),
    Measurement(case="generalized_advantage_estimate", sizes={"T": 32, "E": 8}),
)  # fmt: skip
"""Figures of the project's issue, and decode-like sizes, where what a call costs decides."""


def run(arguments: BenchArguments) -> dict[str, Any]:
    """Measure, print the table, and return the row. --quick: toy sizes, no torch.compile, no goals."""
    from rich.console import Console

    torch.set_num_threads(arguments.threads)
    console = Console(highlight=False)
    measured = []
    for item in _quick() if arguments.quick else FULL:
        console.print(f"{item.case} {_shape(item.sizes)}: {CASES[item.case].what}", style="bold", soft_wrap=True)
        measured.append(_measure(item, arguments))
        console.print(_table(measured[-1]))
        for name, why_not in measured[-1]["skipped"].items():
            console.print(f"{name:9} not measured: {why_not}", style="dim", markup=False, soft_wrap=True)
        console.print()
    goals = [goal | {"case": m["case"], "sizes": m["sizes"]} for m in measured for goal in m["goals"]]
    for goal in goals:
        console.print(_goal_text(goal), style="green" if goal["holds"] else "red", soft_wrap=True)
    return _row(arguments, measured, goals)


def _quick() -> tuple[Measurement, ...]:
    return tuple(
        Measurement(case=name, sizes=case.small, has_memory=name == "linear_logprob") for name, case in CASES.items()
    )


def _measure(item: Measurement, arguments: BenchArguments) -> dict[str, Any]:
    problem = CASES[item.case].build(item.sizes)
    sides, skipped = dict(problem.providers), dict(problem.skipped)
    if "compiled" in sides and (why_not := "--quick" if arguments.quick else _fails(problem)):
        del sides["compiled"]
        skipped["compiled"] = why_not
    errors = {name: problem.errors(side()) for name, side in sides.items()}
    timings = interleave(sides, rounds=arguments.rounds, budget_s=_BUDGET_S)
    del problem
    result: dict[str, Any] = {
        "case": item.case, "what": CASES[item.case].what, "sizes": item.sizes, "skipped": skipped,
        "sides": {name: _side(timings, name, errors[name]) for name in sides},
    }  # fmt: skip
    if item.has_memory:
        for name in sides:
            extra = measure_apart(item.case, name, item.sizes, arguments.threads)
            result["sides"][name]["extra_memory_mib"] = None if extra is None else extra / _MIB
    tier = "cpp" if "cpp" in sides else "torch"
    result["goals"] = [goal.judge(result, tier) for goal in item.goals]
    return result


def _fails(problem: Problem) -> str | None:
    """Why torch.compile does not work here (no compiler, say); None if it does."""
    try:
        problem.providers["compiled"]()
    except RuntimeError as error:
        return f"{type(error).__name__}: {str(error).strip().splitlines()[0][:200]}"
    return None


def _side(timings: dict[str, Timing], name: str, errors: dict[str, float]) -> dict[str, Any]:
    return {
        "ms": timings[name].as_json(),
        "speedup_over_eager": speedup(timings["eager"], timings[name]),
        "error": errors,
    }


def _row(arguments: BenchArguments, measured: list[dict[str, Any]], goals: list[dict[str, Any]]) -> dict[str, Any]:
    root = Path(vldac.__file__).resolve().parent.parent
    return {
        "benchmark": "kernels",
        "claim": {"goals": goals, "holds": all(goal["holds"] for goal in goals) if goals else None},
        "measurements": measured,
        "quick": arguments.quick,
        "command": shlex.join(["vldac", *sys.argv[1:]]),
        "date": time.strftime("%Y-%m-%d"),
        "commit": commit(root) if (root / ".git").exists() else "unknown",
        "versions": versions(("vldac", "torch", "numpy")),
        "device": {
            "cpu": processor_name(), "cores": os.cpu_count(), "torch_threads": arguments.threads, "isa": _core.kernel_isa(),
        },
        "load": os.getloadavg(),
    }  # fmt: skip


def _table(measured: dict[str, Any]) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("side", min_width=9)
    has_memory = any("extra_memory_mib" in side for side in measured["sides"].values())
    for name in ("median ms", "p20 - p80", "over eager", "error", *(["extra MiB"] if has_memory else [])):
        table.add_column(name, justify="right", no_wrap=True)
    for name, side in measured["sides"].items():
        times, memory = side["ms"], side.get("extra_memory_mib")
        table.add_row(
            name, f"{times['median']:.4g}", f"{times['p20']:.4g} - {times['p80']:.4g}",
            f"{side['speedup_over_eager']:.2f}x", f"{max(side['error'].values()):.1e}",
            *([] if not has_memory else ["unknown" if memory is None else f"{memory:.1f}"]),
        )  # fmt: skip
    return table


def _shape(sizes: Sizes) -> str:
    return " ".join(f"{name}={size:,}" for name, size in sizes.items())


def _goal_text(goal: dict[str, Any]) -> str:
    sign, limit = (">=", goal["at_least"]) if "at_least" in goal else ("<=", goal["at_most"])
    figure = "not measured" if goal["figure"] is None else f"{goal['figure']:.3g}"
    verdict = "met    " if goal["holds"] else "MISSED "
    return f"{verdict} {goal['case']} {_shape(goal['sizes'])}: {goal['what']} {figure} (goal {sign} {limit:g}, {goal['tier']})"
