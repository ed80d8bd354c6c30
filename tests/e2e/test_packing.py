"""Micro-batches by a budget of packed tokens: what the update runs, and what it does when memory runs out."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.e2e.conftest import build
from vldac.batch import TokenBatch
from vldac.checkpoint import read_checkpoint, restore
from vldac.config import TrainConfig
from vldac.configuration import load_config
from vldac.errors import DeviceMemoryError
from vldac.packing import Packing, PassBudget, PassSize, PassTooLarge, in_parts, is_out_of_memory, sized_pass
from vldac.policy import Policy
from vldac.trainer import Trainer


def out() -> torch.OutOfMemoryError:
    return torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


@pytest.fixture
def moving(config: TrainConfig) -> TrainConfig:
    """No value warm-up, and no limit on the steps of a pass."""
    optim = dataclasses.replace(config.optim, warmup_updates=0, microbatch_steps=0)
    return dataclasses.replace(config, optim=optim)


def lora(trainer: Trainer) -> torch.Tensor:
    return torch.cat([p.detach().flatten().clone() for _, p in trainer.policy.lora_parameters()])


class Memory:
    """Stands in for a device: passes of more than `tokens` tokens fail, in forward, or in backward behind a whole forward pass."""

    def __init__(self, patch: pytest.MonkeyPatch, policy: Policy, tokens: int, *, where: str, gradient: bool) -> None:
        self.sizes: list[tuple[int, bool]] = []
        run = policy.hidden_states

        def hidden_states(batch: TokenBatch, *arguments: Any, **options: Any) -> torch.Tensor:
            self.sizes.append((batch.num_tokens, torch.is_grad_enabled()))
            is_full = batch.num_tokens > tokens and torch.is_grad_enabled() == gradient
            if is_full and where == "forward":
                raise out()
            hidden = run(batch, *arguments, **options)
            if is_full:
                hidden.register_hook(self._fail)
            return hidden

        patch.setattr(policy, "hidden_states", hidden_states)

    @staticmethod
    def _fail(_: torch.Tensor) -> None:
        raise out()


# -- what a pass holds ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["images_first", "shared_prefix"])
def test_passes_stay_within_the_budget_and_count_the_prefix_once(
    moving: TrainConfig, start: Path, monkeypatch: pytest.MonkeyPatch, layout: str
) -> None:
    optim, env = (
        dataclasses.replace(moving.optim, microbatch_tokens=130),
        dataclasses.replace(moving.env, prompt_layout=layout),
    )
    trainer = build(dataclasses.replace(moving, optim=optim, env=env), start)
    batch = trainer.collect()
    packing = Packing.of(batch, trainer.policy.image_token_id, trainer.policy.budget)
    assert (packing.shared > 0) == (layout == "shared_prefix")
    memory = Memory(monkeypatch, trainer.policy, 10**9, where="forward", gradient=True)
    metrics = trainer.update(batch)
    trained = [tokens for tokens, has_gradient in memory.sizes if has_gradient]
    assert len(trained) > 4 and 65 < max(trained) <= 130
    assert sum(tokens - packing.shared for tokens in trained[1:]) == 2 * packing.own.sum()  # the first is the audit's
    rows = np.arange(8)
    parts = packing.split(rows)
    assert sorted(np.concatenate(parts).tolist()) == list(range(8)) and len(parts) > 1
    assert metrics["optim/microbatch_tokens"] == 130
    useful = 2 * packing.own.sum() + 4 * packing.shared  # two epochs of two optimiser batches
    assert metrics["optim/packed_frac"] == pytest.approx(useful / sum(trained[1:]))


@pytest.mark.parametrize("recipe", ["quickstart", "quickstart-miniworld"])
def test_hardly_a_token_is_run_in_vain_with_the_recipes_budget(recipe: str, tmp_path: Path) -> None:
    from vldac.clone import warm_start

    sizes = {"tiny.clone_updates": 1, "env.num_envs": 16, "rollout.steps_per_update": 128, "optim.epochs": 1}
    config = load_config(recipe, sizes | {"optim.warmup_updates": 0, "eval.episodes": 0, "num_threads": 1})
    trainer = Trainer(config, warm_start(tmp_path / "start", config.env, config.tiny, seed=0))
    metrics = trainer.update(trainer.collect())
    assert metrics["optim/packed_frac"] >= 0.95
    assert metrics["optim/microbatch_tokens"] == trainer.policy.budget.tokens == 2**19 // config.tiny.hidden_size


def test_the_size_of_the_passes_does_not_change_the_result(moving: TrainConfig, start: Path) -> None:
    results = []
    for tokens in (1, 130, 10_000):
        optim = dataclasses.replace(moving.optim, microbatch_tokens=tokens)
        trainer = build(dataclasses.replace(moving, optim=optim), start)
        trainer.update(trainer.collect())
        results.append(lora(trainer))
    for other in results[1:]:
        assert float((results[0] - other).norm() / results[0].norm()) < 1e-3


# -- out of memory ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["forward", "backward"])
@pytest.mark.parametrize("source", ["decode", "trainer"])
def test_out_of_memory_halves_the_passes_and_changes_nothing_else(
    moving: TrainConfig, start: Path, monkeypatch: pytest.MonkeyPatch, where: str, source: str
) -> None:
    """The same gradients as in small passes from the start, to the last bit: nothing of the failed passes is left."""
    moving = dataclasses.replace(moving, rollout=dataclasses.replace(moving.rollout, old_logprob=source))
    told: list[str] = []
    trainer, small = build(moving, start), build(moving, start)
    trainer.policy.budget.say = told.append
    batch, same = trainer.collect(), small.collect()
    monkeypatch.setattr("vldac.trainer.start_audit", lambda *_: None)
    memory = Memory(monkeypatch, trainer.policy, 150, where=where, gradient=True)
    found = trainer.update(batch)
    budget = trainer.policy.budget.tokens
    assert 0 < budget <= 150 and found["optim/microbatch_tokens"] == budget and len(told) >= 1
    assert re.fullmatch(
        r"out of memory in a pass of (\d+) tokens \(\d+ steps\): optim.microbatch_tokens \1 -> \d+, and the optimiser batch is "
        rf"run again; to start there, set optim.microbatch_tokens {budget}",
        told[-1],
    )
    small.policy.budget.tokens = budget
    expected = small.update(same)
    assert torch.equal(lora(trainer), lora(small))
    timeless = {key: value for key, value in found.items() if not key.startswith("time/")}
    assert timeless == {key: expected[key] for key in timeless}
    sizes = [tokens for tokens, has_gradient in memory.sizes if has_gradient]
    assert max(sizes) > 150 and sum(size > 150 for size in sizes) == len(told)


def test_out_of_memory_while_scoring_halves_the_passes_too(
    moving: TrainConfig, start: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moving = dataclasses.replace(moving, rollout=dataclasses.replace(moving.rollout, old_logprob="trainer"))
    trainer, told = build(moving, start), list[str]()
    trainer.policy.budget.say = told.append
    batch = trainer.collect()
    monkeypatch.setattr("vldac.trainer.start_audit", lambda *_: None)
    Memory(monkeypatch, trainer.policy, 150, where="forward", gradient=False)
    metrics = trainer.update(batch)
    assert told and trainer.policy.budget.tokens <= 150 and metrics["policy/first_ratio_deviation"] == 0


def test_out_of_memory_in_a_warm_up_update_is_survived(
    config: TrainConfig, start: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer, told = build(config, start), list[str]()
    trainer.policy.budget.say = told.append
    batch = trainer.collect()
    monkeypatch.setattr("vldac.trainer.start_audit", lambda *_: None)
    Memory(monkeypatch, trainer.policy, 80, where="forward", gradient=False)
    assert trainer.update(batch)["policy/is_frozen"] == 1 and told


def test_a_single_step_that_does_not_fit_ends_with_the_largest_use_of_memory(
    moving: TrainConfig, start: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer, told = build(moving, start), list[str]()
    trainer.policy.budget.say = told.append
    batch = trainer.collect()
    monkeypatch.setattr("vldac.trainer.start_audit", lambda *_: None)
    Memory(monkeypatch, trainer.policy, 0, where="backward", gradient=True)
    with pytest.raises(DeviceMemoryError, match="memory for a forward and backward pass of one step") as error:
        trainer.update(batch)
    assert re.search(r"largest use by the estimate: .*, \d+\.\d [kMG]B", str(error.value)) and len(told) >= 2
    assert all(p.grad is None for p in trainer.policy.parameters())


def test_the_budget_of_a_run_goes_on_with_it(
    moving: TrainConfig, start: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A halved budget is in the checkpoint, and the resumed run's next update equals the uninterrupted one's, bit for bit."""
    trainer = build(moving, start)
    trainer.policy.budget.say = lambda _: None
    monkeypatch.setattr("vldac.trainer.start_audit", lambda *_: None)
    with pytest.MonkeyPatch.context() as patch:
        Memory(patch, trainer.policy, 150, where="backward", gradient=True)
        trainer.update(trainer.collect())
    trainer.policy.budget.prefill_rows = 3
    path = trainer.save(tmp_path / "one")
    passes = {"microbatch_tokens": trainer.policy.budget.tokens, "prefill_rows": 3}
    assert read_checkpoint(path)["json"]["passes"] == passes
    resumed = build(moving, start)
    assert resumed.policy.budget.tokens == 0
    restore(resumed, path)
    for one in (trainer, resumed):
        one.update(one.collect())
    assert torch.equal(lora(trainer), lora(resumed))


def test_prompts_are_read_in_parts_when_memory_runs_out(
    moving: TrainConfig, start: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rollout goes on, and samples what it would have sampled."""
    trainer, whole, told = build(moving, start), build(moving, start), list[str]()
    trainer.policy.budget.say = told.append
    Memory(monkeypatch, trainer.policy, 60, where="forward", gradient=False)
    batch, expected = trainer.collect(), whole.collect()
    assert len(told) == 1 and trainer.policy.budget.prefill_rows == 2
    assert told[0].startswith("out of memory while reading 4 prompts (") and "2 at a time from here on" in told[0]
    assert (batch.buffer.tokens == expected.buffer.tokens).all()
    np.testing.assert_allclose(batch.buffer.value, expected.buffer.value, atol=1e-5)


def test_a_prompt_that_does_not_fit_alone_is_an_error(
    moving: TrainConfig, start: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = build(moving, start)
    trainer.policy.budget.say = lambda _: None
    Memory(monkeypatch, trainer.policy, 0, where="forward", gradient=False)
    with pytest.raises(DeviceMemoryError, match="memory for a pass of one prompt"):
        trainer.collect()


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (out(), True),
        (MemoryError(), True),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes"),
            True,
        ),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), False),
        (ValueError("out of range"), False),
    ],
)
def test_errors_of_memory_are_told_from_others(error: Exception, expected: bool) -> None:
    assert is_out_of_memory(error) == expected


def test_other_errors_pass_through() -> None:
    with pytest.raises(RuntimeError, match="illegal"), sized_pass(tokens=1, rows=2):
        raise RuntimeError("CUDA error: an illegal memory access was encountered")


def test_what_a_failed_pass_held_is_free_before_the_next_begins() -> None:
    import weakref

    held: list[weakref.ref[torch.Tensor]] = []
    alive: list[bool] = []

    def run(part: slice) -> int:
        alive.append(any(ref() is not None for ref in held))
        tensor = torch.ones(4)
        held.append(weakref.ref(tensor))
        if part.stop - part.start > 1:
            raise out()
        return int(tensor.sum())

    budget = PassBudget(say=lambda _: None)
    assert in_parts(budget, 4, run, lambda part: part.stop - part.start) == [4, 4, 4, 4]
    assert alive == [False] * 6 and budget.prefill_rows == 1


def test_a_budget_shrinks_from_what_did_not_fit() -> None:
    told: list[str] = []
    budget = PassBudget(tokens=8000, say=told.append)
    budget.shrink(PassSize(tokens=3000, rows=20, told="no"))
    assert budget.tokens == 1500 and "3000 -> 1500" in told[0]
    with pytest.raises(DeviceMemoryError, match="one step"):
        budget.shrink(PassSize(tokens=400, rows=1, told="no"))
    assert issubclass(PassTooLarge, Exception) and budget.tokens == 1500
