"""`vldac bench rollout` and `vldac bench train`: environment steps per second, every side in turn, round by round."""

from __future__ import annotations

import dataclasses
import gc
import os
import platform
import shlex
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch

import vldac
from vldac.bench import workload
from vldac.bench.arguments import ThroughputArguments
from vldac.bench.original import Original, check
from vldac.bench.switches import ladder
from vldac.bench.workload import SHAPES, TOY, Ours, Sample, Shape
from vldac.config import TrainConfig
from vldac.configuration import setting_types
from vldac.errors import ConfigError
from vldac.policy import pick_device
from vldac.provenance import commit, processor_name, versions

if TYPE_CHECKING:
    from rich.table import Table

ORIGINAL = "original"
FIGURES = ("all_in", "rollout")
"""What is printed and held against goals, by the clock; the same with "_cpu" is per second of processor time."""
_WIDTH = 110
"""Columns of the output where it goes to a file."""
_ALL_FIGURES = (*FIGURES, *(f"{name}_cpu" for name in FIGURES))
LAYOUTS = {"images_first": "equal prompts", "shared_prefix": "the same prompt with its text before its pictures"}


class Side(Protocol):
    """What a round is taken of."""

    prompt_tokens: int
    """Of the longest prompt so far."""
    facts: dict[str, Any]
    """What the row says of it beside its rounds."""

    def warm_up(self, *, has_update: bool) -> None: ...

    def round(self, *, has_update: bool) -> Sample: ...

    def close(self) -> None: ...


@dataclass(kw_only=True, slots=True)
class Measured:
    """The rounds of one side."""

    what: str
    """Where the name does not say it."""
    settings: dict[str, Any]
    """Overrides of this side."""
    samples: list[Sample] = field(default_factory=list)
    prompt_tokens: int = 0
    facts: dict[str, Any] = field(default_factory=dict)

    def rates(self, name: str) -> list[float]:
        """Environment steps per second by round; name: as in FIGURES."""
        return [rate for sample in self.samples if (rate := getattr(sample, name)) is not None]

    def shares(self) -> dict[str, float]:
        """Share of time by part over all rounds, largest first."""
        total = sum(sum(sample.seconds.values()) for sample in self.samples)
        sums: dict[str, float] = {}
        for sample in self.samples:
            for name, seconds in sample.seconds.items():
                sums[name] = sums.get(name, 0.0) + seconds
        return {name: seconds / total for name, seconds in sorted(sums.items(), key=lambda item: -item[1])}


def ratios(measured: Measured, base: Measured, name: str) -> list[float]:
    """How many times faster than `base`, round by round."""
    return [ours / theirs for ours, theirs in zip(measured.rates(name), base.rates(name), strict=True)]


def run(arguments: ThroughputArguments) -> dict[str, Any]:
    """Measure every shape, print a table for each, and return the row. Raises ConfigError for what cannot be measured."""
    from rich.console import Console
    from transformers.utils import logging

    if arguments.original is not None or arguments.original_python is not None:
        check(arguments)
    _check_own(arguments)
    logging.disable_progress_bar()  # of loading and saving weights
    torch.set_num_threads(arguments.threads)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDTH)
    cases = []
    for shape in _shapes(arguments):
        console.print(_title(shape, arguments), style="bold", soft_wrap=True)
        case = _measure(shape, arguments)
        console.print(_table(case))
        for name, side in case["sides"].items():
            parts = ", ".join(f"{part} {share:.0%}" for part, share in side["shares"].items() if share >= 0.005)
            said = f"{name}, prompts of {side['prompt_tokens']} tokens: {parts}"
            console.print(said, style="dim", markup=False, soft_wrap=True)
        for goal in case["goals"]:
            console.print(_goal_text(goal), style="green" if goal["holds"] else "red", soft_wrap=True)
        console.print()
        cases.append(case)
    return _row(arguments, cases)


def _check_own(arguments: ThroughputArguments) -> None:
    own = (arguments.hidden, arguments.layers)
    if arguments.model is not None and own != (None, None):
        raise ConfigError(
            expected="--model, or the tiny model's --hidden and --layers",
            got="both",
            where="command line",
            do="leave one out",
        )
    if arguments.random_weights and arguments.model is None:
        raise ConfigError(
            expected="--model with --random-weights (the tiny model always has them)", got="none", where="command line",
            do="name a model, or leave the flag out",
        )  # fmt: skip
    if (arguments.hidden or 32) % 32:
        raise ConfigError(
            expected="a multiple of 32 (heads have 32)", got=str(arguments.hidden), where="--hidden", do="use 128"
        )
    for flag in ("tokens", "layers", "hidden", "epochs", "prompt_tokens"):
        value = getattr(arguments, flag)
        if value is not None and value < 1:
            raise ConfigError(
                expected="at least 1",
                got=str(value),
                where=f"--{flag.replace('_', '-')}",
                do="raise it, or leave it out",
            )
    for item in arguments.set:
        if item.partition("=")[0] not in setting_types():
            raise ConfigError(
                expected="SETTING=VALUE with a setting of `vldac train`", got=repr(item), where="--set",
                do="for example --set optim.microbatch_steps=16",
            )  # fmt: skip


def _shapes(arguments: ThroughputArguments) -> tuple[Shape, ...]:
    if arguments.quick:
        return (TOY,)
    if arguments.model is not None:
        return (Shape(hidden=0, layers=0, tokens=arguments.tokens or 96),)
    if (arguments.hidden, arguments.layers, arguments.tokens) == (None, None, None):
        return SHAPES
    own = Shape(hidden=arguments.hidden or 128, layers=arguments.layers or 3, tokens=arguments.tokens or 32)
    same = [s for s in SHAPES if (s.hidden, s.layers, s.tokens) == (own.hidden, own.layers, own.tokens)]
    return (same[0] if same else own,)


def _sides(arguments: ThroughputArguments) -> dict[str, Measured]:
    """Name to what is measured, ours only."""
    if arguments.switches:
        return {name: Measured(what="", settings=overrides) for name, overrides in ladder().items()}
    return {layout: Measured(what=what, settings={"env.prompt_layout": layout}) for layout, what in LAYOUTS.items()}


def _measure(shape: Shape, arguments: ThroughputArguments) -> dict[str, Any]:
    """Every side of one shape: opened, warmed up by one round, then `rounds` rounds in turn."""
    sides = _sides(arguments)
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        texts = None if arguments.original is None else Original(arguments).texts()
        name = arguments.model
        if name is None:
            name = str(
                workload.tiny_folder(scratch / "model", shape, texts or workload.own_texts(arguments), arguments)
            )
        openers: dict[str, Callable[[], Side]] = {}
        if arguments.original is not None:
            sides = {ORIGINAL: Measured(what="its own loop, one environment", settings={})} | sides
            openers[ORIGINAL] = lambda: Original(arguments, Path(name), shape.tokens)
        for side, measured in sides.items():
            if side != ORIGINAL:
                config = workload.configuration(_sized(arguments), name, shape.tokens, measured.settings)
                openers[side] = _opener(config, texts)
        # A large model is there once at a time.
        _take_rounds(sides, openers, arguments, keeps=arguments.model is None or len(openers) == 1)
    base = sides.get(ORIGINAL) or (next(iter(sides.values())) if arguments.switches else None)
    return {
        "shape": {"hidden": shape.hidden, "layers": shape.layers, "model": arguments.model, "tokens": shape.tokens},
        "sides": {side: _side(measured, base) for side, measured in sides.items()},
        "goals": _goals(shape, sides) if not arguments.quick else [],
    }


def _take_rounds(
    sides: Mapping[str, Measured], openers: Mapping[str, Callable[[], Side]], arguments: ThroughputArguments, *, keeps: bool
) -> None:  # fmt: skip
    """Take every side's rounds in turn, each round beginning with another side. keeps: a side stays open between its rounds."""
    has_update, names = arguments.name == "train", list(openers)
    opened: dict[str, Side] = {}
    try:
        for index in range(arguments.rounds):
            start = index % len(names)
            for name in names[start:] + names[:start]:
                if name not in opened:
                    opened[name] = openers[name]()
                    opened[name].warm_up(has_update=has_update)
                sides[name].samples.append(opened[name].round(has_update=has_update))
                sides[name].prompt_tokens, sides[name].facts = opened[name].prompt_tokens, opened[name].facts
                if not keeps:
                    opened.pop(name).close()
                    if torch.cuda.is_initialized():
                        gc.collect()  # what refers to itself keeps its weights until then
    finally:
        for side in opened.values():
            side.close()


def _opener(config: TrainConfig, texts: Sequence[str] | None) -> Callable[[], Side]:
    return lambda: Ours(config, texts)


def _sized(arguments: ThroughputArguments) -> ThroughputArguments:
    """The arguments, with a toy's sizes where a toy was asked for."""
    return dataclasses.replace(arguments, num_envs=2, steps=4) if arguments.quick else arguments


def _side(measured: Measured, base: Measured | None) -> dict[str, Any]:
    rates = {name: measured.rates(name) for name in _ALL_FIGURES}
    peaks = [sample.peak_bytes for sample in measured.samples if sample.peak_bytes is not None]
    return {
        "what": measured.what,
        "settings": measured.settings,
        "steps_per_round": measured.samples[0].steps,
        "prompt_tokens": measured.prompt_tokens,
        "env_steps_per_s": {name: _spread(values) for name, values in rates.items() if values},
        "times_base": {
            name: _spread(ratios(measured, base, name)) for name, values in rates.items() if values and base is not None
        },
        "shares": measured.shares(),
        **({"peak_gib": max(peaks) / (1 << 30)} if peaks else {}),
        **({"facts": measured.facts} if measured.facts else {}),
    }


def _spread(values: Sequence[float]) -> dict[str, Any]:
    return {"median": statistics.median(values), "min": min(values), "max": max(values), "rounds": list(values)}


def _goals(shape: Shape, sides: Mapping[str, Measured]) -> list[dict[str, Any]]:
    """What the project wants of each of our sides beside the original; nothing without it."""
    base = sides.get(ORIGINAL)
    if base is None:
        return []
    goals = []
    for name, measured in sides.items():
        wanted = (("all_in", shape.all_in_at_least, shape.all_in_goal), ("rollout", shape.rollout_at_least, None))
        for what, at_least, goal in wanted:
            if name == ORIGINAL or at_least is None or not measured.rates(what):
                continue
            figure = statistics.median(ratios(measured, base, what))
            goals.append(
                {
                    "side": name,
                    "what": what,
                    "figure": figure,
                    "at_least": at_least,
                    "goal": goal,
                    "holds": figure >= at_least,
                }
            )
    return goals


def _row(arguments: ThroughputArguments, cases: list[dict[str, Any]]) -> dict[str, Any]:
    root = Path(vldac.__file__).resolve().parent.parent
    goals = [goal | case["shape"] for case in cases for goal in case["goals"]]
    device = pick_device(arguments.device)
    return {
        "benchmark": arguments.name,
        "claim": {"goals": goals, "holds": all(goal["holds"] for goal in goals) if goals else None},
        "cases": cases,
        "workload": {
            "env": arguments.env_id, "num_envs": arguments.num_envs, "num_images": arguments.num_images,
            "image_size": arguments.image_size, "epochs": arguments.epochs, "reference": True, "rounds": arguments.rounds,
            "settings": list(arguments.set),
        },
        "quick": arguments.quick,
        "command": shlex.join(["vldac", *sys.argv[1:]]),
        "date": time.strftime("%Y-%m-%d"),
        "commit": commit(root) if (root / ".git").exists() else "unknown",
        "versions": versions(),
        "device": {
            "cpu": processor_name(), "cores": os.cpu_count(), "torch_threads": arguments.threads, "system": platform.system(),
            "gpu": torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        },
        "load": os.getloadavg(),
    }  # fmt: skip


# -- what is printed -------------------------------------------------------------------------------------------------


def _title(shape: Shape, arguments: ThroughputArguments) -> str:
    model = str(shape) if arguments.model is None else f"{arguments.model}, {shape.tokens} tokens"
    return f"{arguments.name}: {model}, {arguments.env_id} x {arguments.num_images} images"


def _table(case: dict[str, Any]) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("env steps/s", min_width=12)
    figures = [name for name in FIGURES if any(name in side["env_steps_per_s"] for side in case["sides"].values())]
    has_base = any(side["times_base"] for side in case["sides"].values())
    for name in figures:
        table.add_column(name.replace("_", "-"), justify="right", no_wrap=True)
        table.add_column("times" if has_base else "min - max", justify="right", no_wrap=True)
        if has_base:
            table.add_column("CPU", justify="right", no_wrap=True)
    for name, side in case["sides"].items():
        cells = []
        for figure in figures:
            rate, times = side["env_steps_per_s"][figure], side["times_base"].get(figure)
            between = f"{rate['min']:.3g} - {rate['max']:.3g}"
            if times:
                between = f"{times['median']:.2f} ({times['min']:.2f}-{times['max']:.2f})"
            by_cpu = [f"{side['times_base'][f'{figure}_cpu']['median']:.2f}"] if times else []
            cells += [f"{rate['median']:.3g}", between, *by_cpu]
        table.add_row(name, *cells)
    return table


def _goal_text(goal: dict[str, Any]) -> str:
    verdict = "met   " if goal["holds"] else "MISSED"
    aim = "" if goal["goal"] is None else f", goal {goal['goal']:g}"
    what = goal["what"].replace("_", "-")
    return (
        f"{verdict} {goal['side']}: {what} {goal['figure']:.1f} times the original (at least {goal['at_least']:g}{aim})"
    )
