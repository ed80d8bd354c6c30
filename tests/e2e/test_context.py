"""Prompts that outgrow the model's context end their episode as a cut; what cannot be played at all is told before it starts."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.e2e.conftest import build
from tests.e2e.test_continuous import assert_same_steps, set_rollout, shake_value_head, trainer_of
from tests.e2e.test_survival import assert_same
from vldac.advantage import step_advantages
from vldac.checkpoint import restore
from vldac.config import TrainConfig
from vldac.envs import make
from vldac.errors import ConfigError, EnvError
from vldac.evaluation import play_episodes
from vldac.policy import Policy
from vldac.trainer import Trainer

LINE = "And one more thing was said. "


@pytest.fixture
def talkative(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> TrainConfig:
    """Environment 2's prompts grow by a line with each step of its episode; the context has room for four."""
    monkeypatch.setattr(Policy, "context", property(lambda policy: 40 + 4 * policy.line + 12))
    monkeypatch.setattr(Policy, "line", property(lambda p: len(p.model_info.tokenizer(LINE).input_ids)), raising=False)
    env = dataclasses.replace(config.env, num_envs=4, max_episode_steps=9)
    return set_rollout(dataclasses.replace(config, env=env), steps_per_update=48, max_new_tokens=12)


def talk(trainer: Trainer, monkeypatch: pytest.MonkeyPatch, *, first: int = 0) -> None:
    env, own, buffer = trainer.env, trainer.env.prompts, trainer.rollout

    def prompts(env_ids: Any = None) -> Any:
        rows = np.arange(4) if env_ids is None else env_ids
        told = []
        for e, (message,) in zip(rows, own(env_ids), strict=True):
            lines = first + int(buffer.buffer.next_index[e]) if e == 2 else 0
            told.append([{**message, "content": [{"type": "image"}, {"type": "text", "text": "Go. " + LINE * lines}]}])
        return told

    monkeypatch.setattr(env, "prompts", prompts)


@pytest.fixture
def pair(talkative: TrainConfig, start: Path, monkeypatch: pytest.MonkeyPatch) -> list[Trainer]:
    trainers = [trainer_of(set_rollout(talkative, mode=mode), start) for mode in ("sync", "async")]
    for trainer in trainers:
        talk(trainer, monkeypatch)
        shake_value_head(trainer)
    return trainers


def test_an_episode_whose_prompt_no_longer_fits_is_truncated_with_a_bootstrap(pair: list[Trainer]) -> None:
    expected = [pair[0].collect() for _ in range(2)]
    cut = [0, 0]
    for number, theirs in enumerate(expected):
        buffer = theirs.buffer
        index, is_cut = buffer.index.reshape(4, 12), buffer.truncated.reshape(4, 12)
        terminated = buffer.terminated.reshape(4, 12)
        longest = int(index[2].max())
        assert longest < index[[0, 1, 3]].max() and (is_cut[2] == ((index[2] == longest) & ~terminated[2])).all()
        values = buffer.final_value.reshape(4, 12)[2][is_cut[2]]
        assert len(values) and (np.abs(values) > 0).all() and len(set(values.tolist())) > 1
        cut[number] = int(is_cut[2].sum())
        assert theirs.stats["rollout/context_cut"] == cut[number]
        follows = np.flatnonzero(is_cut[2][:-1]) + 1
        assert (index[2][follows] == 0).all() and (buffer.shown.reshape(4, 12)[2][follows] == 1).all()
        room = pair[0].policy.context - 12
        assert max(len(prompt.ids) for prompt in theirs.prompts) <= room
        lengths = [e.length for e in theirs.episodes if not e.success]
        assert lengths.count(longest + 1) >= cut[number]
        weight = step_advantages(theirs, pair[0].config.algorithm, seed=0, update=number).weight
        assert float(weight.min()) == 1.0
    for theirs in expected:
        assert_same_steps(pair[1].collect(), theirs)


def test_a_run_with_cut_episodes_resumes_bit_for_bit(
    pair: list[Trainer], talkative: TrainConfig, start: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for trainer in pair:
        trainer.update(trainer.collect())
        path = trainer.save(tmp_path / trainer.config.rollout.mode)
        resumed = trainer_of(trainer.config, start)
        talk(resumed, monkeypatch)
        restore(resumed, path)
        for each in (trainer, resumed):
            each.update(each.collect())
        assert_same(trainer, resumed)


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_a_first_prompt_that_does_not_fit_names_environment_length_and_limit(
    talkative: TrainConfig, start: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    trainer = trainer_of(set_rollout(talkative, mode=mode), start)
    talk(trainer, monkeypatch, first=9)
    monkeypatch.setattr(trainer.policy, "act", None)
    with pytest.raises(
        EnvError, match=rf"(?s)at most {trainer.policy.context - 12} tokens.*got \d+ tokens.*environment 2"
    ):
        trainer.collect()


def test_an_evaluation_counts_an_episode_that_outgrows_the_context_as_no_success(
    talkative: TrainConfig, start: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = build(talkative, start).policy
    steps, make_env = iter(range(1000)), "vldac.evaluation.build_env"

    def growing(config: TrainConfig, count: int) -> Any:
        env = make(config.env.id, count, task="vldac", prompt="short", image_size=(84, 84), max_episode_steps=9)
        own = env.prompts

        def prompts(env_ids: Any = None) -> Any:
            said = LINE * next(steps)
            return [
                [{**m, "content": [{"type": "image"}, {"type": "text", "text": "Go. " + said}]}]
                for (m,) in own(env_ids)
            ]

        env.prompts = prompts  # type: ignore[method-assign]
        return env

    monkeypatch.setattr(make_env, growing)
    result = play_episodes(policy, talkative, episodes=4, seed=50_000)
    assert result.episodes == 4 and result.episode_length < 9


def test_a_response_limit_beyond_the_context_is_refused_before_anything_is_played(
    config: TrainConfig, start: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vldac.envs.NativeVectorEnv.reset", None)
    with pytest.raises(ConfigError, match=r"(?s)context of 4096 tokens.*up to 5000.*rollout\.max_new_tokens"):
        build(set_rollout(config, max_new_tokens=5000), start)


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_frames_that_change_their_size_are_refused(
    config: TrainConfig, start: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    trainer = build(set_rollout(config, mode=mode), start)
    name = "step" if mode == "sync" else "recv"
    own, calls = getattr(trainer.env, name), iter(range(1000))

    def shrinking(argument: Any) -> Any:
        obs, *rest = own(argument)
        return ({"image": obs["image"][:, :56]} if next(calls) > 1 else obs), *rest

    monkeypatch.setattr(trainer.env, name, shrinking)
    with pytest.raises(EnvError, match=r"(?s)frames.*56.*one size"):
        trainer.collect()
    assert torch.isfinite(trainer.rollout.value_input).all()
