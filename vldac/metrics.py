"""Metrics of a run: the glossary of keys, `metrics.jsonl`, optional trackers, and interval estimates.

Keys are `area/name_unit`. A key that an update has no value for (no episode ended, say) is absent from its line.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from vldac.errors import ConfigError

GLOSSARY: dict[str, str] = {
    "rollout/return_mean": "mean undiscounted return of the episodes that ended in this rollout",
    "rollout/success_rate": "share of those episodes that succeeded, in the environment's own sense",
    "rollout/success_ci_low": "lower end of its 95 % Wilson interval",
    "rollout/success_ci_high": "upper end of its 95 % Wilson interval",
    "rollout/success_rate_of/*": "the same for one kind of task, where the environment has several (ALFWorld, WebShop)",
    "rollout/score_mean": "mean score of those episodes, of 100, where the environment has one (WebShop: 100 x reward)",
    "rollout/episodes": "episodes that ended in this rollout",
    "rollout/episode_length_mean": "mean length in environment steps",
    "rollout/reward_mean": "mean reward of an environment step",
    "rollout/response_tokens_mean": "mean tokens of a response, end-of-turn included",
    "rollout/invalid_action_frac": "share of responses without a usable action",
    "rollout/length_limit_frac": "share of responses cut at the token limit",
    "rollout/entropy_mean": "mean token entropy while sampling, nats",
    "rollout/repetition_frac": "share of responses equal to the one before in the same episode",
    "rollout/fault_frac": "share of steps in which the environment failed (excluded from the loss)",
    "rollout/drain_frac": "async: share of slot-ticks that were idle because the slot's environment had its steps of the update",
    "rollout/wait_frac": "async: share of playing that waited for environments (see rollout.env_tokens)",
    "rollout/device_idle_frac": "share of the rollout in which the GPU had no work, between the pieces of it; absent on the CPU",
    "rollout/graph_frac": "share of the decoded tokens that came from replayed CUDA graphs; absent on the CPU",
    "rollout/context_cut": "episodes that were truncated because their prompt no longer fitted the context; absent where none was",
    "rollout/env_steps": "environment steps since the start of the run",
    "value/explained_variance": "1 - Var(return - value) / Var(return) over the update's steps",
    "value/loss": "weighted half squared error of the value",
    "policy/loss": "clipped surrogate plus KL term",
    "policy/kl_ref_k3": "k3 estimate of KL to the initial policy, token mean inside a step",
    "policy/kl_old_k1": "k1 estimate of KL to the sampling policy",
    "policy/clip_frac": "share of tokens whose ratio lies outside the clip range",
    "policy/ratio_max": "largest token ratio of the update",
    "policy/first_ratio_deviation": "max |log-ratio| at the first micro-batch; 0 up to rounding",
    "policy/is_frozen": "1 during value warm-up",
    "policy/decode_mismatch_mean": "mean |log-ratio| between decoding and the update's own path, over the first optimiser batch",
    "policy/decode_mismatch_p99": "its 99th percentile",
    "policy/decode_mismatch_clip_frac": "share of tokens that this gap alone puts outside the clip range",
    "alarm/count": "collapse alarms of this update",
    "optim/lr": "learning rate of the adapter",
    "optim/value_lr": "learning rate of the value head",
    "optim/microbatch_tokens": "tokens of a forward and backward pass at most: chosen, or what was left when memory ran out",
    "optim/packed_frac": "share of the tokens run that were needed: a prefix counts once per optimiser step, not per micro-batch",
    "optim/grad_norm_policy": "mean gradient norm of the adapter before clipping",
    "optim/grad_norm_value": "mean gradient norm of the value head before clipping",
    "time/collect_s": "seconds of the rollout",
    "time/encode_s": "seconds of preprocessing and encoding frames",
    "time/generate_s": "seconds of prompts, prefill, decoding, parsing, and values of final observations",
    "time/env_s": "seconds of stepping the environments; async: of sending to them",
    "time/wait_s": "async: seconds in which environments were waited for",
    "time/reference_s": "seconds of scoring old and reference log-probs",
    "time/advantage_s": "seconds of GAE",
    "time/pack_s": "seconds of packing steps into micro-batches in the update",
    "time/update_s": "seconds of all epochs",
    "time/forward_s": "seconds of forward passes and losses in the update",
    "time/backward_s": "seconds of backward passes",
    "time/optimizer_s": "seconds of clipping and optimiser steps",
    "time/env_steps_per_s": "environment steps per second, all phases included",
    "memory/peak_bytes": "largest memory in use since the start: of the GPU if there is one, else of the process",
    "eval/success_rate": "share of held-out episodes that succeeded",
    "eval/success_ci_low": "lower end of its 95 % Wilson interval",
    "eval/success_ci_high": "upper end of its 95 % Wilson interval",
    "eval/success_rate_of/*": "the same for one kind of task, where the environment has several (ALFWorld, WebShop)",
    "eval/score_mean": "mean score of the held-out episodes, of 100, where the environment has one (WebShop)",
    "eval/return_mean": "mean undiscounted return of the held-out episodes",
    "eval/episode_length_mean": "mean length of the held-out episodes in environment steps",
    "eval/episodes": "held-out episodes played",
}


_HOPS = ("generate", "encode", "env", "wait", "reference", "advantage", "update")


def entry_of(key: str) -> str:
    """Return the glossary's name of a key: "area/name/kind" stands under "area/name/*"."""
    return f"{key.rsplit('/', 1)[0]}/*" if key.count("/") > 1 else key


def time_shares(line: Mapping[str, Any]) -> dict[str, float]:
    """Return each hop's share of an update's time, in the order in which they run; empty if the line has no times.

    "rest" is what collecting spent outside the hops named here (the buffer, checks, records of tracks).
    """
    seconds = {hop: float(line[f"time/{hop}_s"]) for hop in _HOPS if f"time/{hop}_s" in line}
    collecting = sum(seconds.get(hop, 0.0) for hop in ("generate", "encode", "env", "wait"))
    seconds["rest"] = max(0.0, float(line.get("time/collect_s", 0.0)) - collecting)
    total = sum(seconds.values())
    return {hop: value / total for hop, value in seconds.items()} if total > 0 else {}


def wilson_interval(successes: int, total: int) -> tuple[float, float]:
    """Return the 95 % Wilson interval of a proportion; (0, 1) without observations."""
    if total == 0:
        return 0.0, 1.0
    z = 1.959963984540054
    share, spread = successes / total, z * z / total
    centre = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(share * (1 - share) / total + spread / (4 * total))
    return max(0.0, centre - half), min(1.0, centre + half)


def success_by_task(outcomes: Sequence[tuple[str | None, bool]]) -> dict[str, dict[str, float]]:
    """Return the success rate and the number of episodes of each kind of task; {} where there is but one, unnamed."""
    kinds = sorted({task for task, _ in outcomes if task})
    wins = {kind: [success for task, success in outcomes if task == kind] for kind in kinds}
    return {kind: {"success_rate": sum(won) / len(won), "episodes": len(won)} for kind, won in wins.items()}


class Tracker(Protocol):
    """A sink beside `metrics.jsonl`."""

    def write(self, update: int, metrics: Mapping[str, float]) -> None:
        """Record one update."""

    def close(self) -> None:
        """Flush and stop."""


class MetricsWriter:
    """Appends one line per update to `metrics.jsonl`; refuses keys without a glossary entry.

    `trackers` are names out of "tensorboard", "wandb" and "trackio"; one that is not installed raises ConfigError.
    """

    def __init__(self, run_dir: str | Path, trackers: Iterable[str] = ()) -> None:
        self.path = Path(run_dir) / "metrics.jsonl"
        self.trackers = [make_tracker(name, Path(run_dir)) for name in trackers]

    def write(self, update: int, metrics: Mapping[str, float | None]) -> None:
        """Append and sync one update's metrics; non-finite and None values are left out (JSON has no NaN)."""
        unknown = sorted(key for key in metrics if entry_of(key) not in GLOSSARY)
        if unknown:
            raise KeyError(f"metrics without a glossary entry: {unknown}; describe them in vldac/metrics.py")
        known = {key: _plain(value) for key, value in metrics.items() if value is not None and math.isfinite(value)}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"update": int(update), **known}, allow_nan=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        for tracker in self.trackers:
            tracker.write(int(update), known)

    def truncate_to(self, update: int) -> None:
        """Keep the lines of updates up to `update` (a resumed run repeats the later ones); drops a torn last line."""
        if not self.path.exists():
            return
        kept = [line for line in read_lines(self.path) if line["update"] <= update]
        temporary = self.path.with_name(f".{self.path.name}.tmp-{os.getpid()}")
        with temporary.open("w", encoding="utf-8") as file:
            file.write("".join(json.dumps(line) + "\n" for line in kept))
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, self.path)

    def close(self) -> None:
        """Close the trackers; the metrics file is never held open."""
        for tracker in self.trackers:
            tracker.close()
        self.trackers = []


def _plain(value: Any) -> float | int:
    return value if type(value) is int else float(value)


def read_metrics(run_dir: str | Path) -> list[dict[str, Any]]:
    """Return one dictionary per update ("update" and the metric keys), oldest first; empty if there are none."""
    path = Path(run_dir) / "metrics.jsonl"
    return read_lines(path) if path.exists() else []


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Return the complete lines of a metrics file: those up to the first that is torn."""
    lines = []
    for text in path.read_text(encoding="utf-8", errors="replace").split("\n")[:-1]:
        try:
            line = json.loads(text)
        except ValueError:
            break
        if not isinstance(line, dict) or "update" not in line:
            break
        lines.append(line)
    return lines


def make_tracker(name: str, run_dir: Path) -> Tracker:
    """Start a tracker by name. Raises ConfigError for an unknown one or one that is not installed."""
    makers: dict[str, Callable[[str, Path], Tracker]] = {
        "tensorboard": _TensorBoard,
        "wandb": _Hosted,
        "trackio": _Hosted,
    }
    if name not in makers:
        raise _tracker_error(f"one of {sorted(makers)}", repr(name), "correct the name")
    try:
        return makers[name](name, run_dir)
    except ImportError as error:
        raise _tracker_error(
            f"{name} installed", str(error), f"pip install {name}, or take {name} out of `log`"
        ) from error


def _tracker_error(expected: str, got: str, do: str) -> ConfigError:
    return ConfigError(expected=expected, got=got, where="config key log", do=do)


class _TensorBoard:
    """Event files in `<run>/tensorboard`, written without torch."""

    def __init__(self, name: str, run_dir: Path) -> None:
        from tensorboard.summary import Writer

        self._writer = Writer(str(run_dir / "tensorboard"))

    def write(self, update: int, metrics: Mapping[str, float]) -> None:
        for key, value in metrics.items():
            self._writer.add_scalar(key, value, update)
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()


class _Hosted:
    """wandb or trackio, which share an interface."""

    def __init__(self, name: str, run_dir: Path) -> None:
        import importlib

        self._module = importlib.import_module(name)
        options: dict[str, Any] = {"dir": str(run_dir)} if name == "wandb" else {}
        self._module.init(project="vldac", name=run_dir.resolve().name, **options)

    def write(self, update: int, metrics: Mapping[str, float]) -> None:
        self._module.log(dict(metrics), step=update)

    def close(self) -> None:
        self._module.finish()
