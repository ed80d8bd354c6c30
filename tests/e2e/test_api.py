"""The public Python calls: train, Trainer, evaluate."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from vldac.envs.miniworld.assets import ensure_assets

import vldac
import vldac.evaluation
from tests.e2e.conftest import build
from vldac.checkpoint import restore
from vldac.config import TrainConfig
from vldac.envs import make
from vldac.errors import CheckpointError, ConfigError
from vldac.evaluation import play_episodes, summarise
from vldac.model import load_model
from vldac.outcomes import final_info
from vldac.trainer import Trainer


@pytest.fixture
def short(config: TrainConfig, start: Path) -> TrainConfig:
    tiny = dataclasses.replace(config.tiny, clone_dir=str(start))
    return dataclasses.replace(config, tiny=tiny, optim=dataclasses.replace(config.optim, num_updates=2))


def test_train_takes_a_loaded_model_and_an_environment_object(config: TrainConfig, start: Path, tmp_path: Path) -> None:
    model = load_model(str(start), dtype=torch.float32)
    env = vldac.envs.make(
        "gym_cards/NumberLine-v0", 4, task="vldac", prompt="short", image_size=(84, 84), num_threads=1
    )
    small: dict[str, Any] = {
        "rollout__steps_per_update": 8, "rollout__max_new_tokens": 8, "optim__num_updates": 1, "eval__episodes": 0,
        "env__prompt": "short", "env__image_size": [84, 84],
    }  # fmt: skip
    result = vldac.train(model, env, config="quickstart", run_dir=tmp_path / "run", **small)
    assert [line["rollout/env_steps"] for line in result.metrics] == [8.0]
    assert result.run_dir == tmp_path / "run" and (result.last_checkpoint / "adapter_model.safetensors").exists()
    assert "num_envs: 4" in (tmp_path / "run" / "config.yaml").read_text()


def test_train_refuses_what_it_cannot_use(short: TrainConfig, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"(?s)num_envs, prompts\(\) and action_names.*without"):
        vldac.train("tiny", object(), run_dir=tmp_path / "run")
    with pytest.raises(ConfigError, match="overrides with a recipe's name"):
        vldac.train(config=short, run_dir=tmp_path / "run", optim__epochs=3)
    assert not (tmp_path / "run").exists()


def test_resume_from_goes_on_from_the_named_checkpoint(short: TrainConfig, tmp_path: Path) -> None:
    short = dataclasses.replace(short, checkpoint_every=1, keep_checkpoints=3)
    first = vldac.train(config=short, run_dir=tmp_path / "run")
    named = tmp_path / "run" / "checkpoints" / "update_000001"
    again = vldac.train(config=short, run_dir=tmp_path / "run", resume_from=named)
    strip = [
        {k: v for k, v in m.items() if not k.startswith(("time/", "memory/"))} for m in (*first.metrics, *again.metrics)
    ]
    assert strip[:2] == strip[2:] and first.end == again.end
    assert again.best_checkpoint is not None and again.best_checkpoint.resolve() == again.last_checkpoint.resolve()


class WithoutState:
    """A vector environment that can be played but not saved."""

    def __init__(self, env: Any) -> None:
        self._env = env

    def __getattr__(self, name: str) -> Any:
        if name in ("get_state", "set_state", "clone"):
            raise AttributeError(name)
        return getattr(self._env, name)


def test_an_environment_without_state_resumes_with_new_episodes(
    config: TrainConfig, start: Path, tmp_path: Path
) -> None:
    def make() -> WithoutState:
        env = vldac.envs.make("gym_cards/NumberLine-v0", 4, task="vldac", prompt="short", image_size=(84, 84))
        return WithoutState(env)

    model = load_model(str(start), dtype=torch.float32)
    first = Trainer(config, model, make())
    first.update(first.collect())
    path = first.save(tmp_path / "update_000001")
    second = Trainer(config, load_model(str(start), dtype=torch.float32), make())
    before = second.rollout.buffer.frames[:, 0].copy()
    restore(second, path)
    assert second.updates_done == 1 and second.rollout.steps_done == 4
    assert not (second.rollout.buffer.frames[:, 0] == before).all()
    assert second.update(second.collect())["rollout/env_steps"] == 32.0


def test_a_trainer_needs_a_configuration_only(short: TrainConfig) -> None:
    trainer = vldac.Trainer(short)
    batch = trainer.collect()
    metrics = trainer.update(batch)
    assert len(batch) == 16 and metrics["rollout/env_steps"] == 16.0
    trainer.close()


def test_evaluate_plays_a_checkpoint_of_a_run_that_has_moved(config: TrainConfig, tmp_path: Path) -> None:
    run = vldac.train(
        config=dataclasses.replace(config, optim=dataclasses.replace(config.optim, num_updates=1)),
        run_dir=tmp_path / "a",
    )
    shutil.move(tmp_path / "a", tmp_path / "b")
    result = vldac.evaluate(tmp_path / "b" / "checkpoints" / "last", episodes=3, seed=config.eval.seed)
    assert result == run.end
    with pytest.raises(ConfigError, match="apart from the training seeds"):
        vldac.evaluate(tmp_path / "b" / "checkpoints" / "last", episodes=3, seed=2)


def test_an_episode_does_not_depend_on_how_many_play_beside_it(
    config: TrainConfig, start: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = build(config, start).policy
    together = play_episodes(policy, config, episodes=6, seed=50_000)
    monkeypatch.setattr(vldac.evaluation, "_ROWS", 4)
    assert play_episodes(policy, config, episodes=6, seed=50_000) == together


def test_evaluate_refuses_a_checkpoint_on_other_base_weights(config: TrainConfig, start: Path, tmp_path: Path) -> None:
    """Of the same shape: it would play, as another policy."""
    shutil.copytree(start, tmp_path / "warm_start")
    path = build(config, tmp_path / "warm_start").save(tmp_path / "checkpoints" / "update_000000")
    assert vldac.evaluate(path, episodes=2).episodes == 2
    other = load_model(str(start), dtype=torch.float32)
    with torch.no_grad():
        other.network.get_output_embeddings().weight[0, 0] += 1
    other.network.save_pretrained(tmp_path / "warm_start")
    with pytest.raises(CheckpointError, match="other base weights"):
        vldac.evaluate(path, episodes=2)


def test_success_over_solvable_deals_is_told_apart() -> None:
    env = make("gym_cards/Points24-v0", 200, task="vldac", image_size=(28, 28))
    env.reset(seed=0)
    outcomes: list[dict] = []
    while len(outcomes) < 400:
        *_, terminated, truncated, info = env.step(env.oracle_actions())
        final = final_info(info, terminated | truncated)
        outcomes += [one for one in final if one]
    found = summarise(outcomes, env_id="gym_cards/Points24-v0", seed=0, invalid_action_frac=0.0)
    assert (
        found.solvable_success_rate == 1.0 and 0.6 < found.success_rate < 0.85
    )  # the expert; 73 % of deals can be solved
    plain = [{key: value for key, value in one.items() if key != "facts"} for one in outcomes]
    assert summarise(plain, env_id="x", seed=0, invalid_action_frac=0.0).solvable_success_rate is None


def test_a_run_in_miniworld_names_its_textures_and_evaluates_with_them(
    start: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn_with = "builtin" if ensure_assets("auto") == "builtin" else "miniworld"
    small: dict[str, Any] = {
        "rollout__steps_per_update": 8, "rollout__max_new_tokens": 8, "optim__num_updates": 1, "eval__episodes": 0,
        "env__num_envs": 4, "env__num_images": 2, "tiny__clone_dir": str(start),
    }  # fmt: skip
    result = vldac.train(
        "tiny",
        "MiniWorld-OneRoomS6Fast-v0",
        config="quickstart",
        run_dir=tmp_path / "run",
        env__prompt="short",
        **small,
    )
    stored = (tmp_path / "run" / "config.yaml").read_text()
    assert f"textures: {drawn_with}" in stored
    assert result.metrics[0]["rollout/env_steps"] == 8.0
    found = vldac.evaluate(result.last_checkpoint, episodes=2, seed=5_000)
    assert found.episodes == 2 and found.env_id == "MiniWorld-OneRoomS6Fast-v0"
    monkeypatch.setattr("vldac.evaluation.play_episodes", lambda policy, config, **_: config)
    config = vldac.evaluate(result.last_checkpoint, "gym_cards/NumberLine-v0", episodes=2, seed=5_000)
    assert config.env.textures == "auto"
