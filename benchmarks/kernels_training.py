"""Twenty updates on recorded rollouts: do the tiers end with the adapters that the specification ends with?

    python benchmarks/kernels_training.py [--updates 20] [--steps 128]

One run with the quickstart's model and settings collects and trains with `vldac.kernels.reference` in place of the kernels; every
tier then trains on those very rollouts, and so does the reference with its log-probs in float64: the yardstick of what rounding
alone does. Old log-probs come from the update's own path (a recorded batch is not the tier's own). Twice: at the learning rate of
the recipe `paper` (the claim: at most 1e-4 apart), and at the quickstart's, twenty times as large, where a token at the bound of
the clip can fall on either side of it and the distance jumps. Writes benchmarks/results/kernels_training.json: the relative
distance of the adapters after every update. Exit code 1 if the claim does not hold.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest import mock

import torch

from vldac.config import TrainConfig
from vldac.configuration import load_config
from vldac.kernels import reference
from vldac.provenance import commit, processor_name, versions
from vldac.start import start_model
from vldac.trainer import Trainer

ROOT = Path(__file__).resolve().parent.parent
LIMIT = 1e-4
TIERS = ("torch", "cpp")


def specification(function: Any) -> Any:
    """The reference with the public function's signature."""

    def call(*arguments: Any, backend: str, return_entropy: bool = False, **options: Any) -> Any:
        return function(*arguments, **options)

    return call


def trainer(config: TrainConfig, folder: Path, backend: str) -> Trainer:
    """A trainer from the same warm start, with a back end of its own."""
    chosen = dataclasses.replace(config, model=dataclasses.replace(config.model, kernels=backend))
    return Trainer(chosen, start_model(chosen, folder, lambda text: None, lambda: False))


def adapters(one: Trainer) -> torch.Tensor:
    """All adapter weights, flat, float64."""
    return torch.cat([p.detach().double().flatten() for _, p in one.policy.lora_parameters()])


def float64(hidden: torch.Tensor, weight: torch.Tensor, target: torch.Tensor, **options: Any) -> Any:
    """The reference's log-probs and entropies, computed in float64."""
    scored = reference.linear_logprob(hidden.double(), weight.double(), target, **options)
    return type(scored)(*(field.float() for field in scored))


def replay(lr: float, arguments: argparse.Namespace) -> dict[str, Any]:
    """Record with the reference, then train every side on it; relative distances after every update."""
    settings = {
        "optim.lr": lr, "optim.lr_final": lr / 10, "rollout.old_logprob": "trainer", "num_threads": 1,
        "rollout.steps_per_update": arguments.steps,
    }  # fmt: skip
    config = load_config("quickstart", settings)
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as patches:
        folder = Path(name)
        patches.enter_context(mock.patch("vldac.policy.linear_logprob", specification(reference.linear_logprob)))
        patches.enter_context(mock.patch("vldac.update.ppo_clip_loss", specification(reference.ppo_clip_loss)))
        patches.enter_context(mock.patch("vldac.update.value_loss", specification(reference.value_loss)))
        first = trainer(config, folder, "torch")
        start = adapters(first)
        batches, states = [], []
        for _ in range(arguments.updates):
            batches.append(first.collect())
            first.update(batches[-1])
            states.append(adapters(first))
        distances: dict[str, list[float]] = {}
        for side in ("reference, float64", *TIERS):
            if side in TIERS:
                patches.close()
                other = trainer(config, folder, side)
            else:
                patches.enter_context(mock.patch("vldac.policy.linear_logprob", specification(float64)))
                other = trainer(config, folder, "torch")
            distances[side] = []
            for batch, state in zip(batches, states, strict=True):
                other.update(batch)
                distances[side].append(float((adapters(other) - state).norm() / state.norm()))
            print(f"lr {lr:g}, {side}: {distances[side][-1]:.1e} after {arguments.updates} updates", flush=True)
    return {"moved": float((states[-1] - start).norm() / states[-1].norm()), "distances": distances}


def main() -> int:
    """Both learning rates, and the row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--updates", type=int, default=20)
    parser.add_argument("--steps", type=int, default=128, help="environment steps per update (default 128)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rates = {"paper": load_config("paper").optim.lr, "quickstart": load_config("quickstart").optim.lr}
    runs = {name: {"lr": lr} | replay(lr, arguments) for name, lr in rates.items()}
    holds = all(runs["paper"]["distances"][tier][-1] <= LIMIT for tier in TIERS)
    row = {
        "benchmark": "kernels_training",
        "date": time.strftime("%Y-%m-%d"),
        "commit": commit(ROOT),
        "command": f"python benchmarks/kernels_training.py --updates {arguments.updates} --steps {arguments.steps}",
        "versions": versions(),
        "device": {"cpu": processor_name(), "cores": os.cpu_count(), "torch_threads": 1},
        "claim": {"rate": "paper", "relative_distance_max": LIMIT, "holds": holds},
        "runs": runs,
    }
    path = ROOT / "benchmarks" / "results" / "kernels_training.json"
    path.write_text(json.dumps(row, indent=1) + "\n", encoding="utf-8")
    print(f"{'holds' if holds else 'DOES NOT HOLD'}: {path.relative_to(ROOT)}")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
