"""A configuration and a warm start that are small enough to train in a second."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import torch

from vldac.clone import warm_start
from vldac.config import TrainConfig
from vldac.configuration import load_config
from vldac.model import load_model
from vldac.progress import Progress, make_progress
from vldac.trainer import Trainer

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def config() -> TrainConfig:
    return load_config(
        "quickstart",
        {
            "tiny.clone_updates": 3, "tiny.clone_batch": 8, "tiny.hidden_size": 64, "tiny.vision_dim": 48, "env.num_envs": 4,
            "rollout.steps_per_update": 16, "rollout.max_new_tokens": 8, "optim.minibatch_steps": 8,
            "optim.microbatch_steps": 4, "optim.num_updates": 4, "optim.epochs": 2, "eval.episodes": 3, "num_threads": 1,
        },
    )  # fmt: skip


@pytest.fixture(scope="session")
def start(tmp_path_factory: pytest.TempPathFactory, config: TrainConfig) -> Path:
    folder = tmp_path_factory.mktemp("start") / "warm_start"
    warm_start(folder, config.env, config.tiny, seed=0)
    return folder


def build(config: TrainConfig, start: Path) -> Trainer:
    """Return a trainer that starts from the session's warm start."""
    return Trainer(config, load_model(str(start), dtype=torch.float32))


def quiet() -> Progress:
    """Return a progress that nobody reads."""
    return make_progress(1, is_terminal=False, stream=io.StringIO())
