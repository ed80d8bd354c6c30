"""The asynchronous rollout: the same trajectories as the synchronous one, row by row, in an order of its own."""

from __future__ import annotations

import dataclasses
import importlib
import io
import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import vldac
from tests.e2e.test_survival import assert_same, end_state, spawn, wait_for, without_times
from vldac.checkpoint import read_checkpoint, restore, save_checkpoint
from vldac.config import TrainConfig
from vldac.data import RolloutBatch
from vldac.envs import make
from vldac.errors import ConfigError, EnvError, EnvHangError, NonFiniteError, Stopped
from vldac.generation import Generator
from vldac.metrics import read_metrics
from vldac.model import load_model
from vldac.progress import make_progress
from vldac.run import run
from vldac.signals import EXIT_STOPPED
from vldac.trainer import Trainer


def set_rollout(config: TrainConfig, **values: Any) -> TrainConfig:
    return dataclasses.replace(config, rollout=dataclasses.replace(config.rollout, **values))


@pytest.fixture
def uneven(config: TrainConfig) -> TrainConfig:
    """Eight environments, twelve steps of each, two pictures, episodes of up to five steps."""
    env = dataclasses.replace(config.env, num_envs=8, num_images=2, max_episode_steps=5, num_threads=1)
    return set_rollout(dataclasses.replace(config, env=env), steps_per_update=96, max_new_tokens=12, mode="async")


def trainer_of(config: TrainConfig, start: Path, env: Any = None) -> Trainer:
    """A trainer whose responses end after one to twelve tokens: every fifth id ends one."""
    trainer = Trainer(config, load_model(str(start), dtype=torch.float32), env)
    trainer.policy.end_ids = torch.arange(0, trainer.policy.head_weight.shape[0], 5)
    return trainer


def assert_same_steps(ours: RolloutBatch, theirs: RolloutBatch) -> None:
    """The same tokens, actions and rewards; what is a float of the model within rounding."""
    a, b = ours.buffer, theirs.buffer
    for name in (
        "num_tokens",
        "action",
        "episode",
        "index",
        "shown",
        "has_end",
        "is_valid",
        "status",
        "terminated",
        "truncated",
    ):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)
    np.testing.assert_array_equal(a.reward, b.reward)
    np.testing.assert_array_equal(a.frames, b.frames)
    for i in range(len(ours)):
        assert torch.equal(ours.response(i), theirs.response(i)) and torch.equal(
            ours.prompts[i].ids, theirs.prompts[i].ids
        )
        assert ours.prompts[i].frames == theirs.prompts[i].frames
        torch.testing.assert_close(ours.decode_logprob(i), theirs.decode_logprob(i), atol=1e-4, rtol=0)
    for name in ("value", "final_value", "entropy"):
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), atol=1e-4, err_msg=name)
    np.testing.assert_allclose(ours.bootstrap, theirs.bootstrap, atol=1e-4)
    torch.testing.assert_close(ours.value_input, theirs.value_input, atol=1e-4, rtol=0)
    told = [sorted((e.length, e.episode_return, e.success) for e in batch.episodes) for batch in (ours, theirs)]
    assert told[0] == told[1]


def shake_value_head(trainer: Trainer) -> None:
    """A fresh head says 0 of everything."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in trainer.policy.value_head[-1].parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.1)


class Admissions:
    """Watches a generator: (rows admitted, rows that decode meanwhile) of each admission."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seen: list[tuple[int, int]] = []
        self.shared: list[int] = []
        self.capacities: list[int] = []
        admit = Generator.admit

        def watched(generator: Generator, slots: Any, *arguments: Any, shared: int) -> list[int]:
            self.seen.append((len(slots), len(generator.active)))
            self.shared.append(shared)
            self.capacities.append(generator.slots.cache.capacity)
            return admit(generator, slots, *arguments, shared=shared)

        monkeypatch.setattr(Generator, "admit", watched)


@pytest.mark.parametrize(
    ("order", "admit_envs", "env_tokens"), [("fifo", 0, 0), ("fifo", 4, 0), ("fifo", 0, 5), ("ready", 1, 0)]
)
def test_every_row_is_that_of_the_synchronous_rollout(
    uneven: TrainConfig, start: Path, monkeypatch: pytest.MonkeyPatch, order: str, admit_envs: int, env_tokens: int
) -> None:
    sync = trainer_of(set_rollout(uneven, mode="sync"), start)
    ours = trainer_of(set_rollout(uneven, order=order, admit_envs=admit_envs, env_tokens=env_tokens), start)
    for trainer in (sync, ours):
        shake_value_head(trainer)
    expected = [sync.collect() for _ in range(2)]
    admissions = Admissions(monkeypatch)
    for theirs in expected:
        tick = time.perf_counter()
        batch = ours.collect()
        elapsed = time.perf_counter() - tick
        assert min(batch.seconds.values()) >= 0 and sum(batch.seconds.values()) <= elapsed, (
            "seconds that are counted twice"
        )
        assert_same_steps(batch, theirs)
        assert (batch.buffer.filled == 12).all() and batch.buffer.num_tokens.min() == 1 < batch.buffer.num_tokens.max()
        assert float(np.abs(batch.buffer.final_value).max()) > 0 and batch.buffer.truncated.sum() > 5
        assert 0 <= batch.stats["rollout/drain_frac"] < 1 and 0 <= batch.stats["rollout/wait_frac"] < 1
    joined = [rows for rows, active in admissions.seen if active]
    assert sum(rows for rows, _ in admissions.seen) == 2 * 96
    assert len(joined) > len(admissions.seen) / 2, "environments wait for the longest response"
    if admit_envs == 4:
        assert max(joined) >= 4


@pytest.mark.parametrize("env_tokens", [0, 4])
def test_two_runs_in_fifo_order_give_equal_bytes_whatever_the_environments_take(
    uneven: TrainConfig, start: Path, monkeypatch: pytest.MonkeyPatch, env_tokens: int
) -> None:
    uneven = set_rollout(uneven, env_tokens=env_tokens)
    trainers = [
        trainer_of(dataclasses.replace(uneven, env=dataclasses.replace(uneven.env, num_threads=n)), start)
        for n in (1, 3)
    ]
    slow, recv, rng = trainers[1].env, trainers[1].env.recv, np.random.default_rng(0)

    def late(timeout: float | None = None) -> Any:
        time.sleep(rng.uniform(0, 2e-3))
        return recv(timeout)

    monkeypatch.setattr(slow, "recv", late)
    for _ in range(2):
        for trainer in trainers:
            trainer.update(trainer.collect())
    a, b = (trainer.state_dict() for trainer in trainers)
    assert [name for name in a["tensors"] if not torch.equal(a["tensors"][name], b["tensors"][name])] == []
    assert a["env"] == b["env"] and a["json"]["rollout"] == b["json"]["rollout"]


def test_two_and_two_updates_equal_four(uneven: TrainConfig, start: Path, tmp_path: Path) -> None:
    whole, first = trainer_of(uneven, start), trainer_of(uneven, start)
    expected = [without_times(whole.update(whole.collect())) for _ in range(4)]
    for _ in range(2):
        first.update(first.collect())
    save_checkpoint(first, tmp_path / "update_000002")
    second = trainer_of(uneven, start)
    restore(second, tmp_path / "update_000002")
    got = [without_times(second.update(second.collect())) for _ in range(2)]
    assert_same(second, whole)
    assert got == expected[2:]


def test_a_rollout_that_is_asked_to_stop_is_taken_back_to_where_it_began(
    uneven: TrainConfig, start: Path, tmp_path: Path
) -> None:
    whole, first = trainer_of(uneven, start), trainer_of(uneven, start)
    for _ in range(3):
        whole.update(whole.collect())
    first.update(first.collect())
    before = first.state_dict()
    answers = iter([False] * 40 + [True])
    first.rollout.should_stop = lambda: next(answers)
    with pytest.raises(Stopped, match="taken back"):
        first.collect()
    after = first.state_dict()
    assert after["env"] == before["env"] and after["json"] == before["json"]
    assert all(torch.equal(after["tensors"][name], tensor) for name, tensor in before["tensors"].items())
    save_checkpoint(first, tmp_path / "update_000001")
    second = trainer_of(uneven, start)
    restore(second, tmp_path / "update_000001")
    first.rollout.should_stop = lambda: False
    for trainer in (first, second):  # in this process, and in another
        for _ in range(2):
            trainer.update(trainer.collect())
        assert_same(trainer, whole)


def test_an_environment_without_state_begins_anew_after_a_stop(uneven: TrainConfig, start: Path) -> None:
    class WithoutState:
        def __init__(self, env: Any) -> None:
            self._env = env

        def prompts(self, env_ids: np.ndarray | None = None) -> Any:
            return self._env.prompts(env_ids)

        def __getattr__(self, name: str) -> Any:
            if name in ("get_state", "set_state", "clone"):
                raise AttributeError(name)
            return getattr(self._env, name)

    env = make("gym_cards/NumberLine-v0", 8, task="vldac", prompt="short", image_size=(84, 84), batch_size=1)
    trainer = trainer_of(uneven, start, WithoutState(env))
    answers = iter([False] * 20 + [True])
    trainer.rollout.should_stop = lambda: next(answers)
    with pytest.raises(Stopped):
        trainer.collect()
    trainer.rollout.should_stop = lambda: False
    batch = trainer.collect()
    assert (batch.buffer.filled == 12).all() and (batch.buffer.episode[::12] == 0).all()


def test_a_hang_ends_the_run_with_a_checkpoint_of_the_updates_start(
    config: TrainConfig, start: Path, tmp_path: Path
) -> None:
    def make_env(**options: Any) -> Any:
        return make("test/Misbehaving-v0", 4, image_size=(84, 84), kind=2, at_step=6, odds=1, **options)

    told = io.StringIO()
    small = set_rollout(dataclasses.replace(config, eval=dataclasses.replace(config.eval, episodes=0)), mode="async")
    with pytest.raises(EnvHangError, match=r"environment \d, seed \d, episode 0: one call took more than"):
        run(
            small, tmp_path / "run", model=load_model(str(start), dtype=torch.float32),
            env=make_env(step_timeout=0.2, batch_size=1), progress=make_progress(1, is_terminal=False, stream=told),
        )  # fmt: skip
    assert "an environment hangs: saved" in told.getvalue()
    saved = read_checkpoint((tmp_path / "run" / "checkpoints" / "last").resolve())
    assert saved["json"]["updates_done"] == 1 and saved["tensors"]["rollout/filled"].tolist() == [0] * 4
    twin = make_env()
    twin.reset(seed=config.seed)
    for _ in range(4):
        twin.step(np.zeros(4, int))
    assert saved["env"] == twin.get_state()


def test_faults_and_bad_rewards_are_told_as_in_the_synchronous_rollout(
    config: TrainConfig, start: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = set_rollout(config, mode="async")
    env = make("test/Misbehaving-v0", 4, image_size=(84, 84), odds=0.5, at_step=1, batch_size=1)
    trainer = Trainer(config, load_model(str(start), dtype=torch.float32), env)
    batch = trainer.collect()
    fault = batch.buffer.fault
    assert 2 <= fault.sum() <= 14 and len([e for e in batch.episodes if e.fault]) == fault.sum()
    assert (batch.buffer.reward[fault] == 0).all() and batch.buffer.truncated[fault].all()
    recv = trainer.env.recv

    def broken(timeout: float | None = None) -> Any:
        obs, reward, *rest = recv(timeout)
        return obs, reward * np.nan, *rest

    monkeypatch.setattr(trainer.env, "recv", broken)
    with pytest.raises(NonFiniteError, match=r"(?s)rewards.*from environment \d"):
        trainer.collect()


def test_a_prompt_that_shares_less_or_is_longer_waits_until_the_running_rows_have_finished(
    uneven: TrainConfig, start: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From step 2 on one environment says a sentence six times before the picture, all others once."""
    uneven = dataclasses.replace(uneven, env=dataclasses.replace(uneven.env, prompt_layout="shared_prefix"))
    trainers = [trainer_of(set_rollout(uneven, mode=mode), start) for mode in ("sync", "async")]
    for trainer in trainers:
        env, own = trainer.env, trainer.env.prompts

        def prompts(env_ids: Any = None, own: Any = own, trainer: Trainer = trainer) -> Any:
            rows = np.arange(8) if env_ids is None else env_ids
            told = []
            for e, (message,) in zip(rows, own(env_ids), strict=True):
                said = "Look at the line of numbers. " * (1 if trainer.rollout.buffer.filled[e] < 2 or e != 5 else 6)
                rest = [part for part in message["content"] if part["type"] != "image"]
                told.append([{**message, "content": [{"type": "text", "text": said}, {"type": "image"}, *rest]}])
            return told

        monkeypatch.setattr(env, "prompts", prompts)
    expected = trainers[0].collect()
    admissions = Admissions(monkeypatch)
    assert_same_steps(trainers[1].collect(), expected)
    assert len(set(admissions.shared)) == 2 and admissions.shared == sorted(admissions.shared, reverse=True)
    assert admissions.shared[-1] >= 8 and admissions.capacities == sorted(admissions.capacities)
    first = admissions.shared.index(admissions.shared[-1])
    assert admissions.seen[first][1] == 0 and len(set(admissions.capacities)) == 2


def test_a_python_environment_is_played_row_by_row(
    uneven: TrainConfig, start: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "envs"))
    importlib.import_module("worker_envs")
    env = dataclasses.replace(
        uneven.env, id="gymnasium:vldac_test/Walk-v0", num_envs=4, num_images=1, image_size=None, max_episode_steps=None
    )
    small = set_rollout(dataclasses.replace(uneven, env=env), steps_per_update=16)
    batches = []
    for mode in ("sync", "async"):
        options = {} if mode == "sync" else {"batch_size": 1}
        pool = vldac.envs.make(
            "gymnasium:vldac_test/Walk-v0", 4, num_workers=2, prompt="short", imports=["worker_envs"], **options
        )
        trainer = trainer_of(set_rollout(small, mode=mode), start, pool)
        batches.append([trainer.collect() for _ in range(2)])
        trainer.close()
    for ours, theirs in zip(*batches, strict=True):
        assert_same_steps(ours, theirs)


def test_a_killed_worker_costs_an_episode_only(
    config: TrainConfig, start: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "envs"))
    importlib.import_module("worker_envs")
    pool = vldac.envs.make(
        "gymnasium:vldac_test/Walk-v0", 4, num_workers=2, prompt="short", imports=["worker_envs"], batch_size=1
    )
    trainer = trainer_of(set_rollout(config, mode="async"), start, pool)
    first = trainer.collect()
    os.kill(pool.worker_pids[1], signal.SIGKILL)
    second = trainer.collect()
    assert not first.buffer.fault.any() and second.buffer.fault.reshape(4, 4).sum(1).tolist() == [0, 0, 1, 1]
    assert second.buffer.truncated[second.buffer.fault].all() and pool.restart_count.tolist() == [0, 1]
    trainer.close()


def test_environments_that_cannot_be_played_row_by_row_are_refused(uneven: TrainConfig, start: Path) -> None:
    def trainer(env: Any) -> Trainer:
        return Trainer(uneven, load_model(str(start), dtype=torch.float32), env)

    class Plain:
        num_envs, action_names = 8, ["a"]

        def prompts(self) -> list[Any]:
            return []

    with pytest.raises(ConfigError, match=r"(?s)send\(\) and recv\(\).*rollout.mode sync"):
        trainer(Plain())
    whole = make("gym_cards/NumberLine-v0", 8, task="vldac", prompt="short", image_size=(84, 84))
    with pytest.raises(ConfigError, match=r"(?s)batch_size=1.*batch_size 8"):
        trainer(whole)
    with pytest.raises(ConfigError, match=r"(?s)rollout\.mode.*use sync"):
        vldac.train("tiny", "envpool:Pong-v5", rollout__mode="async")
    env = make("gym_cards/NumberLine-v0", 2, batch_size=1)
    env.reset(seed=0)
    env.send(np.array([0]), np.array([1]))
    assert len(env.prompts(np.array([0]))) == 1
    with pytest.raises(EnvError, match="environment 1 is in flight"):
        env.prompts(np.array([1]))


def test_a_signal_takes_the_running_update_back_and_the_resumed_run_ends_the_same(
    uneven: TrainConfig, start: Path, tmp_path: Path
) -> None:
    config = dataclasses.replace(uneven, tiny=dataclasses.replace(uneven.tiny, clone_dir=str(start)))
    whole = spawn(tmp_path / "whole", config)
    folder = tmp_path / "run"
    process = spawn(folder, config)
    wait_for(lambda: len(read_metrics(folder)) >= 1, process)
    os.kill(process.pid, signal.SIGTERM)
    process.join()
    assert process.exitcode == EXIT_STOPPED
    assert not (folder / "checkpoints" / "last").resolve().name.endswith("_partial")
    again = spawn(folder, config, resume=True)
    for each in (again, whole):
        each.join()
        assert each.exitcode == 0
    assert [line["update"] for line in read_metrics(folder)] == [1, 2, 3, 4]
    assert end_state(folder) == end_state(tmp_path / "whole")
    assert all("rollout/drain_frac" in line for line in read_metrics(folder))


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_a_rollout_that_failed_is_begun_anew(
    uneven: TrainConfig, start: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    trainer = trainer_of(set_rollout(uneven, mode=mode), start)
    name = "step" if mode == "sync" else "recv"
    own, calls = getattr(trainer.env, name), iter(range(1000))

    def broken(argument: Any) -> Any:
        obs, reward, *rest = own(argument)
        return obs, reward * (np.nan if next(calls) == 6 else 1), *rest

    monkeypatch.setattr(trainer.env, name, broken)
    with pytest.raises(NonFiniteError):
        trainer.collect()
    batch = trainer.collect()
    assert (batch.buffer.filled == 12).all() and np.isfinite(batch.buffer.reward).all()
    assert len(batch.prompts) == len(batch.features) == 96 and (batch.buffer.index[::12] == 0).all()
