"""What goes wrong during a run is isolated, counted, dumped and told."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.e2e.conftest import build, quiet
from vldac.advantage import step_advantages
from vldac.checkpoint import read_checkpoint
from vldac.config import TrainConfig
from vldac.envs import NativeVectorEnv, make
from vldac.errors import EnvError, EnvHangError, NonFiniteError
from vldac.model import load_model
from vldac.progress import make_progress
from vldac.run import run
from vldac.trainer import Trainer
from vldac.update import decode_mismatch


def test_a_fault_is_no_reward_and_never_reaches_the_loss(config: TrainConfig, start: Path) -> None:
    env = make("test/Misbehaving-v0", 4, image_size=(84, 84), odds=0.5, at_step=1)  # every second episode fails at once
    trainer = Trainer(config, load_model(str(start), dtype=torch.float32), env)
    batch = trainer.collect()
    fault = batch.buffer.fault
    assert 2 <= fault.sum() <= 14
    assert (batch.buffer.reward[fault] == 0).all() and (batch.buffer.reward[~fault] == 1).all()
    assert batch.buffer.truncated[fault].all()
    told = [e.fault for e in batch.episodes if e.fault]
    assert len(told) == fault.sum() and all("failed on purpose (environment " in message for message in told)
    advantages = step_advantages(batch, config.algorithm, seed=0, update=0)
    assert (advantages.weight == torch.from_numpy(~fault).float()).all()
    with pytest.raises(EnvError, match=r"(?s)at most 5\.0%.*failed on purpose"):
        trainer.update(batch)


def test_a_hang_ends_the_run_with_a_checkpoint_of_just_before_it(
    config: TrainConfig, start: Path, tmp_path: Path
) -> None:
    def make_env(**options: float) -> NativeVectorEnv:
        return make("test/Misbehaving-v0", 4, image_size=(84, 84), kind=2, at_step=6, odds=1, **options)

    told = io.StringIO()
    small = dataclasses.replace(config, eval=dataclasses.replace(config.eval, episodes=0))
    model = load_model(str(start), dtype=torch.float32)
    with pytest.raises(EnvHangError, match=r"environment \d, seed \d, episode 0: one call took more than"):
        run(
            small,
            tmp_path / "run",
            model=model,
            env=make_env(step_timeout=0.2),
            progress=make_progress(1, is_terminal=False, stream=told),
        )
    assert "an environment hangs: saved" in told.getvalue()
    saved = read_checkpoint((tmp_path / "run" / "checkpoints" / "last").resolve())
    # One update of four steps, then one step, all without a hang; the sixth is the one.
    assert saved["json"]["updates_done"] == 1 and saved["tensors"]["rollout/filled"].tolist() == [1] * 4
    twin = make_env()
    twin.reset(seed=config.seed)
    for _ in range(5):
        twin.step(np.zeros(4, int))
    assert saved["env"] == twin.get_state()


def test_steps_before_a_fault_bootstrap_from_its_value(config: TrainConfig, start: Path) -> None:
    trainer = build(config, start)
    batch = trainer.collect()
    buffer = batch.buffer
    buffer.terminated[:], buffer.truncated[:], buffer.fault[:] = False, False, False
    buffer.fault[2], buffer.truncated[2], buffer.reward[2], buffer.final_value[2] = True, True, 0.0, 1e6
    algorithm = dataclasses.replace(config.algorithm, normalize_advantages=False)
    got = step_advantages(batch, algorithm, seed=0, update=0).advantage
    gamma, lam, value = algorithm.gamma, algorithm.gae_lambda, buffer.value
    last = buffer.reward[1] + gamma * value[2] - value[1]
    first = buffer.reward[0] + gamma * value[1] - value[0] + gamma * lam * last
    np.testing.assert_allclose(got[:3].numpy(), [first, last, 0.0], atol=1e-6)


@pytest.mark.parametrize("timeout", ["terminal", "bootstrap", "drop"])
def test_a_time_limit_is_an_end_a_cut_or_nothing(config: TrainConfig, start: Path, timeout: str) -> None:
    """terminal: V' = 0 after the last reward; bootstrap: V' = the final observation's; drop: A = 0, weight 0, return V."""
    batch = build(config, start).collect()
    buffer = batch.buffer
    buffer.terminated[:], buffer.truncated[:], buffer.fault[:] = False, False, False
    buffer.truncated[1], buffer.reward[1], buffer.final_value[1] = True, -1.0, 0.75
    algorithm = dataclasses.replace(config.algorithm, normalize_advantages=False, timeout=timeout)
    got = step_advantages(batch, algorithm, seed=0, update=0)
    gamma, lam, value = algorithm.gamma, algorithm.gae_lambda, buffer.value
    last = {"terminal": -1.0 - value[1], "bootstrap": -1.0 + gamma * 0.75 - value[1], "drop": 0.0}[timeout]
    first = buffer.reward[0] + gamma * value[1] - value[0] + gamma * lam * last
    np.testing.assert_allclose(got.advantage[:2].numpy(), [first, last], atol=1e-6)
    np.testing.assert_allclose(float(got.returns[1]), value[1] + last, atol=1e-6)
    assert got.weight.tolist() == [float(i != 1 or timeout != "drop") for i in range(len(batch))]


def test_a_non_finite_loss_leaves_a_dump_that_loads(
    config: TrainConfig, start: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Poison:
        def on_rollout_end(self, trainer: Trainer, batch: object) -> None:
            if trainer.updates_done == 1:
                batch.buffer.reward[3] = np.inf  # type: ignore[attr-defined]

    tiny = dataclasses.replace(config.tiny, clone_dir=str(start))
    with pytest.raises(NonFiniteError, match="finite loss"):
        run(dataclasses.replace(config, tiny=tiny), tmp_path / "run", callbacks=[Poison()], progress=quiet())
    dump = load_file(tmp_path / "run" / "dumps" / "update_000002.safetensors")
    assert {"rows", "prompt_ids", "response_ids", "old_logprob", "advantage", "returns", "reward"} <= set(dump)
    assert len(dump["rows"]) == config.optim.minibatch_steps and not torch.isfinite(dump["returns"]).all()


def test_callbacks_see_every_hook_in_order(config: TrainConfig, start: Path, tmp_path: Path) -> None:
    seen: list[str] = []

    class Listener:
        def __getattr__(self, name: str):
            if name.startswith("on_"):
                return lambda *_: seen.append(name)
            raise AttributeError(name)

    small = dataclasses.replace(
        config, tiny=dataclasses.replace(config.tiny, clone_dir=str(start)),
        optim=dataclasses.replace(config.optim, num_updates=2), eval=dataclasses.replace(config.eval, episodes=0),
    )  # fmt: skip
    result = run(small, tmp_path / "run", callbacks=[Listener(), object()], progress=quiet())
    each = ["on_rollout_end", "on_update_end", "on_checkpoint"]
    assert seen == ["on_train_begin", *each, *each, "on_train_end"]
    assert result.best_checkpoint is None and result.end is None and result.last_checkpoint.exists()


def test_the_mismatch_of_decoding_is_what_it_says() -> None:
    found = decode_mismatch(torch.tensor([0.0, 0.0, 0.0, 0.2]), 0.1)
    assert found["policy/decode_mismatch_mean"] == pytest.approx(0.05)
    assert found["policy/decode_mismatch_clip_frac"] == 0.25 and found["policy/decode_mismatch_p99"] > 0.19


@pytest.mark.parametrize("source", ["decode", "trainer"])
def test_the_mismatch_is_measured_before_the_weights_move(config: TrainConfig, start: Path, source: str) -> None:
    rollout = dataclasses.replace(config.rollout, old_logprob=source)
    optim = dataclasses.replace(config.optim, warmup_updates=0, lr=0.5)  # a later micro-batch would be far off
    trainer = build(dataclasses.replace(config, rollout=rollout, optim=optim), start)
    batch = trainer.collect()
    batch.buffer.logprob[:] += np.float32(3e-5)  # as if decoding were a little off
    found = trainer.update(batch)
    assert found["policy/decode_mismatch_mean"] == pytest.approx(3e-5, abs=1e-5)
    assert found["policy/first_ratio_deviation"] == pytest.approx(3e-5 if source == "decode" else 0.0, abs=1e-5)
