"""Twenty updates on recorded rollouts: do the tiers end with the adapters that the specification ends with?

    python benchmarks/kernels_training.py [--lr 1e-3] [--updates 20] [--steps 128]

One run with the quickstart's model and settings collects and trains with `vldac.kernels.reference` in place of the kernels; every
tier then trains on those very rollouts. Old log-probs come from the update's own path (a recorded batch is not the tier's own).
Writes benchmarks/results/kernels_training.json: the relative distance of the adapters after every update, in float32. Exit code 1
if the last one is above 1e-4.
"""

from __future__ import annotations

import argparse
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


def main() -> int:
    """Record, replay, write the row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lr", type=float, default=1e-3, help="learning rate (default: the quickstart's)")
    parser.add_argument("--updates", type=int, default=20)
    parser.add_argument("--steps", type=int, default=128, help="environment steps per update (default 128)")
    parser.add_argument("--tiers", nargs="+", default=["torch", "cpp"])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    settings = {
        "optim.lr": arguments.lr, "optim.lr_final": arguments.lr / 10, "rollout.old_logprob": "trainer", "num_threads": 1,
        "rollout.steps_per_update": arguments.steps,
    }  # fmt: skip
    config = load_config("quickstart", settings)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with (
            mock.patch("vldac.policy.linear_logprob", specification(reference.linear_logprob)),
            mock.patch("vldac.update.ppo_clip_loss", specification(reference.ppo_clip_loss)),
            mock.patch("vldac.update.value_loss", specification(reference.value_loss)),
        ):
            first = trainer(config, folder, "torch")
            start = adapters(first)
            batches, states = [], []
            for _ in range(arguments.updates):
                batches.append(first.collect())
                first.update(batches[-1])
                states.append(adapters(first))
        distances: dict[str, list[float]] = {}
        for tier in arguments.tiers:
            other = trainer(config, folder, tier)
            distances[tier] = []
            for batch, state in zip(batches, states, strict=True):
                other.update(batch)
                distances[tier].append(float((adapters(other) - state).norm() / state.norm()))
            print(f"{tier}: {distances[tier][-1]:.1e} after {arguments.updates} updates", flush=True)
    holds = all(d[-1] <= LIMIT for d in distances.values())
    row = {
        "benchmark": "kernels_training",
        "date": time.strftime("%Y-%m-%d"),
        "commit": commit(ROOT),
        "command": f"python benchmarks/kernels_training.py --lr {arguments.lr:g} --updates {arguments.updates} "
        f"--steps {arguments.steps}",
        "versions": versions(),
        "device": {"cpu": processor_name(), "cores": os.cpu_count(), "torch_threads": 1},
        "claim": {"relative_distance_max": LIMIT, "holds": holds},
        "moved": float((states[-1] - start).norm() / states[-1].norm()),
        "distances": distances,
    }
    path = ROOT / "benchmarks" / "results" / "kernels_training.json"
    path.write_text(json.dumps(row, indent=1) + "\n", encoding="utf-8")
    print(f"{'holds' if holds else 'DOES NOT HOLD'}: {path.relative_to(ROOT)}")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
