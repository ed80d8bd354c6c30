"""Recorded updates of environments with a map keep where the agents went, and the page shows it."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from vldac.clone import warm_start
from vldac.config import TrainConfig
from vldac.configuration import load_config
from vldac.model import load_model
from vldac.progress import make_progress
from vldac.run import run
from vldac.trainer import Trainer
from vldac.trajectories import read_trajectories, trajectory_updates
from vldac.view import write_view


@pytest.fixture(scope="module")
def world_config() -> TrainConfig:
    return load_config(
        "quickstart-miniworld",
        {
            "tiny.clone_updates": 3, "tiny.clone_batch": 8, "tiny.hidden_size": 64, "tiny.vision_dim": 48, "env.num_envs": 4,
            "rollout.steps_per_update": 48, "rollout.max_new_tokens": 6, "optim.minibatch_steps": 24, "optim.num_updates": 2,
            "optim.microbatch_steps": 12, "optim.epochs": 1, "eval.episodes": 0, "num_threads": 1, "env.max_episode_steps": 5,
        },
    )  # fmt: skip


@pytest.fixture(scope="module")
def world_start(tmp_path_factory: pytest.TempPathFactory, world_config: TrainConfig) -> Path:
    folder = tmp_path_factory.mktemp("start") / "warm_start"
    warm_start(folder, world_config.env, world_config.tiny, seed=0)
    return folder


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_only_recorded_updates_are_tracked_and_poses_follow_the_actions(
    world_config: TrainConfig, world_start: Path, mode: str
) -> None:
    world_config = dataclasses.replace(world_config, rollout=dataclasses.replace(world_config.rollout, mode=mode))
    trainer = Trainer(world_config, load_model(str(world_start), dtype=torch.float32))
    first = trainer.collect()
    assert first.tracks is None
    trainer.update(first)
    batch = trainer.collect()
    assert batch.tracks is not None
    poses, buffer = batch.tracks.poses.reshape(4, 12, 3), batch.buffer
    assert np.isfinite(poses).all()
    actions, index = buffer.action.reshape(4, 12), buffer.index.reshape(4, 12)
    for e in range(4):
        for t in range(11):
            if index[e, t + 1] == 0:
                continue
            (x, z, heading), (next_x, next_z, next_heading) = poses[e, t], poses[e, t + 1]
            turned = {0: 45.0, 1: -45.0}.get(int(actions[e, t]), 0.0)
            np.testing.assert_allclose(next_heading - heading, np.radians(turned), atol=1e-9)
            moved = {2: 0.7, 3: -0.7}.get(int(actions[e, t]), 0.0)
            step = np.array([next_x - x, next_z - z])
            ahead = moved * np.array([np.cos(heading), -np.sin(heading)])
            assert np.allclose(step, ahead, atol=1e-9) or np.allclose(step, 0, atol=1e-12)  # or a wall was in the way
    episodes = {(i // 12, int(buffer.episode[i])) for i in range(48)}
    assert set(batch.tracks.maps) == episodes and len(episodes) > 8


def test_a_runs_page_shows_the_last_update_on_maps(
    world_config: TrainConfig, world_start: Path, tmp_path: Path
) -> None:
    config = dataclasses.replace(world_config, tiny=dataclasses.replace(world_config.tiny, clone_dir=str(world_start)))
    run(config, tmp_path / "run", progress=make_progress(1, is_terminal=False, stream=io.StringIO()))
    assert trajectory_updates(tmp_path / "run") == [2]
    records = read_trajectories(tmp_path / "run")
    assert all(r.pose and r.map and r.map_frame for r in records)
    for r in records[:3]:
        picture = np.asarray(Image.open(tmp_path / "run" / "trajectories" / str(r.map))).astype(int)
        is_red = (picture[..., 0] > 120) & (picture[..., 1] < 60) & (picture[..., 2] < 60)
        assert picture.shape == (192, 256, 3) and is_red.sum() > 20  # the goal, and the agent at its start
        min_x, min_z, scale_x, scale_z = r.map_frame or []
        first = min((q for q in records if (q.env, q.episode) == (r.env, r.episode)), key=lambda q: q.step)
        x, z, _ = first.pose or []
        column, row = int((x - min_x) * scale_x), int((z - min_z) * scale_z)
        assert is_red[row - 2 : row + 3, column - 2 : column + 3].any()
    assert write_view(tmp_path / "run").stat().st_size > 10_000
