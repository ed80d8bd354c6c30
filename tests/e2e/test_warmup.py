"""Value warm-up trains the head on the hidden states that the rollout kept, as if the policy had been run again."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.e2e.conftest import build
from vldac.advantage import Advantages, step_advantages
from vldac.batch import TokenBatch
from vldac.checkpoint import restore, save_checkpoint
from vldac.config import TrainConfig
from vldac.data import RolloutBatch
from vldac.errors import CheckpointError, SelfCheckError, Stopped
from vldac.model import load_model
from vldac.optim import clip_and_step
from vldac.trainer import Trainer
from vldac.update import epoch_plan, token_batch, value_loss_of

POLICY_LOSS_KEYS = {
    "policy/loss", "policy/kl_ref_k3", "policy/kl_old_k1", "policy/clip_frac", "policy/ratio_max", "optim/grad_norm_policy",
}  # fmt: skip


@pytest.fixture
def warming(config: TrainConfig) -> TrainConfig:
    """Two frozen updates of three epochs, then one that moves."""
    optim = dataclasses.replace(config.optim, warmup_updates=2, warmup_cap=2, epochs=3)
    return dataclasses.replace(config, optim=optim)


def started(config: TrainConfig, start: Path) -> Trainer:
    """A trainer after its first frozen update, the head moved so far that every layer of it has a gradient."""
    trainer = build(config, start)
    trainer.update(trainer.collect())
    return trainer


def advantages_of(trainer: Trainer, batch: RolloutBatch) -> Advantages:
    config = trainer.config
    return step_advantages(
        batch, config.algorithm, seed=config.seed, update=trainer.updates_done, kernels=config.model.kernels
    )


def update_by_the_whole_policy(trainer: Trainer, batch: RolloutBatch) -> None:
    """The frozen update without what the rollout kept: every micro-batch of every epoch through the trunk."""
    config, policy, advantages = trainer.config, trainer.policy, advantages_of(trainer, batch)
    trainer._set_learning_rates(trainer.updates_done)
    for epoch in range(config.optim.epochs):
        for minibatch in epoch_plan(config, len(batch), update=trainer.updates_done, epoch=epoch):
            total = float(advantages.weight[torch.from_numpy(minibatch)].sum())
            for rows in np.array_split(minibatch, 2):
                with torch.no_grad():
                    value_input = policy(token_batch(policy, batch, rows), temperature=1.0).value_input
                loss = value_loss_of(policy.value_head(value_input), batch, rows, advantages, config, total)
                (config.algorithm.value_coef * loss).backward()
            clip_and_step(trainer.optimizers["value"], config.optim.max_grad_norm, "value")


def test_the_value_head_is_the_one_that_the_whole_policy_would_give(warming: TrainConfig, start: Path) -> None:
    ours, theirs = started(warming, start), started(warming, start)
    before = {name: p.detach().clone() for name, p in ours.policy.value_head.named_parameters()}
    ours.update(ours.collect())
    update_by_the_whole_policy(theirs, theirs.collect())
    other = dict(theirs.policy.value_head.named_parameters())
    for name, parameter in ours.policy.value_head.named_parameters():
        p = parameter.detach()
        assert float((p - before[name]).norm() / p.norm()) > 1e-3, f"{name} has not moved"
        assert float((p - other[name].detach()).norm() / p.norm()) < 1e-5, name


def test_a_frozen_update_runs_the_trunk_for_one_microbatch(
    warming: TrainConfig, start: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = started(warming, start)
    batches, calls, run = [trainer.collect()], [], trainer.policy.hidden_states

    def counted(batch: TokenBatch, *arguments: object, **options: object) -> torch.Tensor:
        calls.append((batch.num_rows, torch.is_grad_enabled()))
        return run(batch, *arguments, **options)

    monkeypatch.setattr(trainer.policy, "hidden_states", counted)
    frozen = trainer.update(batches[0])
    assert frozen["policy/is_frozen"] == 1 and calls == [(warming.optim.microbatch_steps, False)]
    assert not POLICY_LOSS_KEYS & set(frozen) and frozen["policy/first_ratio_deviation"] <= 1e-4
    assert frozen["policy/decode_mismatch_mean"] <= 1e-4 and frozen["value/loss"] > 0
    moving_batch = trainer.collect()
    calls.clear()
    moving = trainer.update(moving_batch)
    assert moving["policy/is_frozen"] == 0 and set(moving) >= POLICY_LOSS_KEYS
    assert len(calls) == (1 + warming.optim.epochs) * 4 and sum(grad for _, grad in calls) == 4 * warming.optim.epochs


@pytest.mark.parametrize("source", ["decode", "trainer"])
def test_a_frozen_update_still_compares_sampling_and_scoring(warming: TrainConfig, start: Path, source: str) -> None:
    rollout = dataclasses.replace(warming.rollout, old_logprob=source)
    trainer = started(dataclasses.replace(warming, rollout=rollout), start)
    batch = trainer.collect()
    batch.buffer.logprob[:] += np.float32(0.01)
    if source == "decode":
        with pytest.raises(SelfCheckError, match="ratio 1"):
            trainer.update(batch)
        return
    found = trainer.update(batch)
    assert found["policy/first_ratio_deviation"] == 0
    assert found["policy/decode_mismatch_mean"] == pytest.approx(0.01, rel=0.05)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_kept_states_are_those_that_the_recorded_values_were_read_from(
    warming: TrainConfig, start: Path, dtype: str
) -> None:
    config = dataclasses.replace(warming, model=dataclasses.replace(warming.model, dtype=dtype))
    trainer = Trainer(config, load_model(str(start), dtype=getattr(torch, dtype)))
    trainer.update(trainer.collect())
    batch = trainer.collect()
    assert batch.value_input.shape == (16, 64) and batch.value_input.dtype == getattr(torch, dtype)
    recorded = torch.from_numpy(batch.buffer.value).float().view(4, 4)
    assert float(recorded.std()) > 0
    with torch.no_grad():
        rounds = [trainer.policy.value_head(batch.value_input.view(4, 4, -1)[:, t]) for t in range(4)]
        scored = trainer.policy(token_batch(trainer.policy, batch, np.arange(16)), temperature=1.0).value_input
    assert torch.equal(torch.stack(rounds, dim=1), recorded)
    gap = float((scored - batch.value_input.float()).norm() / scored.norm())
    apart = float((scored - scored.roll(1, 0)).norm() / scored.norm())
    assert gap < (1e-5 if dtype == "float32" else 3e-2) and gap < apart / 3, "of other steps, or of another path"


def test_a_frozen_rollout_that_was_cut_goes_on_as_if_uncut(warming: TrainConfig, start: Path, tmp_path: Path) -> None:
    whole, first = started(warming, start), started(warming, start)
    expected = whole.collect()
    answers = iter([False] * 2 + [True])
    first.rollout.should_stop = lambda: next(answers)
    with pytest.raises(Stopped):
        first.collect()
    save_checkpoint(first, tmp_path / "partial")
    second = build(warming, start)
    restore(second, tmp_path / "partial")
    assert int(second.rollout.buffer.filled[0]) == 2
    batch = second.collect()
    assert torch.equal(batch.value_input, expected.value_input)
    a, b = second.update(batch), whole.update(expected)
    assert a["policy/is_frozen"] == 1
    assert {k: v for k, v in a.items() if not k.startswith("time/")} == {
        k: v for k, v in b.items() if not k.startswith("time/")
    }
    heads = zip(second.policy.value_head.parameters(), whole.policy.value_head.parameters(), strict=True)
    assert all(torch.equal(ours, theirs) for ours, theirs in heads)


def test_a_cut_rollout_without_its_hidden_states_is_refused(
    warming: TrainConfig, start: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = started(warming, start)
    answers = iter([False, True])
    trainer.rollout.should_stop = lambda: next(answers)
    with pytest.raises(Stopped):
        trainer.collect()
    whole_state = trainer.state_dict

    def without() -> dict:
        state = whole_state()
        del state["tensors"]["rollout/value_input"]
        return state

    monkeypatch.setattr(trainer, "state_dict", without)
    save_checkpoint(trainer, tmp_path / "old")
    with pytest.raises(CheckpointError, match=r"(?s)rollout/value_input.*--resume-from"):
        restore(build(warming, start), tmp_path / "old")
