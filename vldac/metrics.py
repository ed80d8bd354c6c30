"""Metrics of a run: the glossary of keys, `metrics.jsonl`, and interval estimates."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

GLOSSARY = {
    "rollout/return_mean": "mean undiscounted return of the episodes that ended in this rollout",
    "rollout/success_rate": "share of those episodes that succeeded, in the environment's own sense",
    "rollout/success_ci_low": "lower end of its 95 % Wilson interval",
    "rollout/success_ci_high": "upper end of its 95 % Wilson interval",
    "rollout/episodes": "episodes that ended in this rollout",
    "rollout/episode_length_mean": "mean length in environment steps",
    "rollout/reward_mean": "mean reward of an environment step",
    "rollout/response_tokens_mean": "mean tokens of a response, end-of-turn included",
    "rollout/invalid_action_frac": "share of responses without a usable action",
    "rollout/length_limit_frac": "share of responses cut at the token limit",
    "rollout/entropy_mean": "mean token entropy while sampling, nats",
    "rollout/fault_frac": "share of steps in which the environment failed (excluded from the loss)",
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
    "optim/lr": "learning rate of the adapter",
    "optim/value_lr": "learning rate of the value head",
    "optim/grad_norm_policy": "mean gradient norm of the adapter before clipping",
    "optim/grad_norm_value": "mean gradient norm of the value head before clipping",
    "time/collect_s": "seconds of the rollout",
    "time/encode_s": "seconds of preprocessing and encoding frames",
    "time/generate_s": "seconds of prefill and decoding",
    "time/env_s": "seconds of parsing and stepping",
    "time/reference_s": "seconds of scoring old and reference log-probs",
    "time/advantage_s": "seconds of GAE",
    "time/update_s": "seconds of all epochs",
    "time/forward_s": "seconds of forward passes in the update",
    "time/backward_s": "seconds of backward passes",
    "time/optimizer_s": "seconds of clipping and optimiser steps",
    "time/env_steps_per_s": "environment steps per second, all phases included",
}


def wilson_interval(successes: int, total: int) -> tuple[float, float]:
    """Return the 95 % Wilson interval of a proportion."""
    if total == 0:
        return 0.0, 1.0
    z = 1.959963984540054
    share, spread = successes / total, z * z / total
    centre = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(share * (1 - share) / total + spread / (4 * total))
    return max(0.0, centre - half), min(1.0, centre + half)


class MetricsWriter:
    """Appends one line per update to `metrics.jsonl`; refuses keys without a glossary entry."""

    def __init__(self, run_dir: Path) -> None:
        self.path = run_dir / "metrics.jsonl"

    def write(self, update: int, metrics: dict[str, float]) -> None:
        """Append and sync one update's metrics."""
        unknown = sorted(set(metrics) - set(GLOSSARY))
        assert not unknown, f"metrics without a glossary entry: {unknown}"
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"update": update, **metrics}) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def truncate_to(self, update: int) -> None:
        """Keep the lines of updates up to `update` (a resumed run repeats the later ones); drops a torn last line."""
        if not self.path.exists():
            return
        kept = [line for line in read_lines(self.path) if line["update"] <= update]
        temporary = self.path.with_suffix(".tmp")
        temporary.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")
        os.replace(temporary, self.path)


def read_lines(path: Path) -> list[dict[str, float]]:
    """Return the complete lines of a metrics file."""
    lines = []
    for text in path.read_text(encoding="utf-8").splitlines():
        try:
            lines.append(json.loads(text))
        except ValueError:
            break
    return lines
