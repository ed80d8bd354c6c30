"""Training does not depend on the kernels: every tier ends where the specification does, and none holds [tokens, V]."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.e2e.conftest import build
from vldac.config import TrainConfig
from vldac.data import RolloutBatch
from vldac.kernels import KernelError, reference
from vldac.trainer import Trainer

UPDATES = 20


def with_kernels(config: TrainConfig, backend: str) -> TrainConfig:
    """A batch that another run collected is not this policy's own: its old log-probs are taken on the path of the update."""
    return dataclasses.replace(
        config,
        model=dataclasses.replace(config.model, kernels=backend),
        optim=dataclasses.replace(config.optim, num_updates=UPDATES),
        rollout=dataclasses.replace(config.rollout, old_logprob="trainer"),
    )


def adapters(trainer: Trainer) -> torch.Tensor:
    return torch.cat([p.detach().double().flatten() for _, p in trainer.policy.lora_parameters()])


@pytest.fixture(scope="module")
def recorded(config: TrainConfig, start: Path) -> tuple[list[RolloutBatch], torch.Tensor]:
    """The rollouts of a run whose kernels are the specification itself, and the adapters it ends with."""

    def scored(*arguments: Any, return_entropy: bool, backend: str, **options: Any) -> Any:
        return reference.linear_logprob(*arguments, **options)

    def clipped(*arguments: Any, backend: str, **options: Any) -> Any:
        return reference.ppo_clip_loss(*arguments, **options)

    def squared(*arguments: Any, backend: str, **options: Any) -> Any:
        return reference.value_loss(*arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vldac.policy.linear_logprob", scored)
        patch.setattr("vldac.update.ppo_clip_loss", clipped)
        patch.setattr("vldac.update.value_loss", squared)
        trainer = build(with_kernels(config, "torch"), start)
        batches = []
        for _ in range(UPDATES):
            batches.append(trainer.collect())
            trainer.update(batches[-1])
    return batches, adapters(trainer)


@pytest.mark.parametrize("backend", ["torch", "cpp"])
def test_twenty_updates_on_recorded_rollouts_end_with_the_same_adapters(
    config: TrainConfig, start: Path, recorded: tuple[list[RolloutBatch], torch.Tensor], backend: str
) -> None:
    batches, expected = recorded
    trainer = build(with_kernels(config, backend), start)
    before = adapters(trainer)
    for batch in batches:
        trainer.update(batch)
    assert float((expected - before).norm() / expected.norm()) > 0.01, "the policy has moved"
    assert float((adapters(trainer) - expected).norm() / expected.norm()) <= 1e-4


def test_a_back_end_that_cannot_run_is_refused_before_anything_is_built(config: TrainConfig, start: Path) -> None:
    with pytest.raises(KernelError, match="triton"):
        build(with_kernels(config, "triton_fused"), start)


_PEAK = """
import sys
import torch
from pathlib import Path
sys.path.append({root!r})
from tests.policy.conftest import Rows, save_checkpoint_folder
from vldac.config import ModelConfig
from vldac.model import load_model
from vldac.policy import Policy
torch.set_num_threads(1)
V, TOKENS, ROWS = 151_936, 64, 8
folder = save_checkpoint_folder(Path({folder!r}), "qwen2_vl", vocab_size=V)
settings = ModelConfig(lora_rank=4, lora_alpha=8, value_hidden=(32,), kernels={backend!r})
policy = Policy(load_model(str(folder), dtype=torch.float32), settings, device=torch.device("cpu"), seed=3)
rows = Rows(policy, images=(1,) * ROWS)
responses = [torch.full((TOKENS,), int(rows.responses[0][0])) for _ in range(ROWS)]
batch = policy.collate(rows.prompts, responses, rows.features)


def kilobytes(key):
    return int(Path("/proc/self/status").read_text().split(key + ":")[1].split()[0])


def growth(work):
    work()  # what stays (thread pools, caches) is there before the second time is measured
    Path("/proc/self/clear_refs").write_text("5")
    before = kilobytes("VmRSS")
    work()
    return (kilobytes("VmHWM") - before) * 1024


def update():
    out = policy(batch, temperature=1.0)
    (out.logprob.sum() + out.value.sum()).backward()


def reference():
    with torch.no_grad(), policy.reference():
        policy(batch, temperature=1.0)


def rollout():
    policy.act(rows.prompts, rows.features, seeds=torch.arange(ROWS), max_new_tokens=4, temperature=1.0)


for name, work in (("update", update), ("reference", reference), ("rollout", rollout)):
    print(name, growth(work) / (ROWS * TOKENS * V * 4))
"""


@pytest.mark.parametrize("backend", ["torch", "cpp"])
def test_no_path_holds_the_logits_of_all_tokens(tmp_path: Path, backend: str) -> None:
    """Peak resident memory of each path, over [tokens, V] in float32: 512 tokens, V = 151,936, 311 MB."""
    root = str(Path(__file__).parents[2])
    code = _PEAK.format(root=root, folder=str(tmp_path / "checkpoint"), backend=backend)
    result = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    shares = {name: float(share) for name, share in (line.split() for line in result.stdout.splitlines())}
    # Five float32 chunks of 16 MiB in torch, a tile of 16 MiB in C++; decoding has eight rows of logits and what becomes of them.
    limits = {"update": 0.4, "reference": 0.4, "rollout": 0.3} if backend == "torch" else dict.fromkeys(shares, 0.15)
    assert {name for name, share in shares.items() if share > limits[name]} == set(), shares
