"""Training in somebody else's Python environment, from the one call and from the command line."""

from __future__ import annotations

import importlib
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

import vldac
from vldac.errors import ConfigError
from vldac.model import load_model

SMALL: dict[str, Any] = {
    "rollout__steps_per_update": 16, "rollout__max_new_tokens": 8, "optim__num_updates": 2, "optim__minibatch_steps": 8,
    "optim__microbatch_steps": 4, "eval__episodes": 0, "num_threads": 1,
}  # fmt: skip


@pytest.fixture
def envs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "envs"))
    importlib.import_module("worker_envs")


def test_a_python_environment_is_trained_in_and_a_killed_worker_costs_an_episode_only(
    envs: None, start: Path, tmp_path: Path
) -> None:
    model = load_model(str(start), dtype=torch.float32)
    env = vldac.envs.make("gymnasium:vldac_test/Walk-v0", 4, num_workers=2, prompt="short", imports=["worker_envs"])

    class KillOnce:
        def on_update_end(self, trainer: Any, metrics: Any) -> None:
            if trainer.updates_done == 1:
                os.kill(env.worker_pids[1], signal.SIGKILL)

    limits = {"env__max_fault_frac": 0.5}
    result = vldac.train(
        model, env, config="quickstart", run_dir=tmp_path / "run", callbacks=[KillOnce()], **(SMALL | limits)
    )
    assert [line["rollout/env_steps"] for line in result.metrics] == [16.0, 32.0]
    assert [line["rollout/fault_frac"] for line in result.metrics] == [0.0, 2 / 16]
    assert env.restart_count.tolist() == [0, 1] and env.fault_count.tolist() == [0, 0, 1, 1]
    config = (tmp_path / "run" / "config.yaml").read_text()
    assert "gymnasium:vldac_test/Walk-v0" in config


def test_the_command_line_trains_in_a_gymnasium_id(start: Path, tmp_path: Path) -> None:
    pytest.importorskip("pygame", reason="CartPole is drawn with pygame")
    from vldac.cli import main

    run = tmp_path / "run"
    flags = [part for key, value in SMALL.items() for part in (f"--{key.replace('__', '.')}", str(value))]
    code = main(
        ["train", "quickstart", "--run-dir", str(run), "--env.id", "gymnasium:CartPole-v1", "--env.num-envs", "2",
         "--tiny.clone-dir", str(start), *flags]
    )  # fmt: skip
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert code == 0 and [line["rollout/env_steps"] for line in lines] == [16.0, 32.0]
    assert lines[1]["rollout/return_mean"] > 0


def test_a_tiny_model_cannot_be_cloned_in_a_foreign_environment(envs: None, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"(?s)native environment.*tiny\.clone_dir"):
        vldac.train("tiny", "gymnasium:CartPole-v1", run_dir=tmp_path / "run", env__num_envs=2, **SMALL)
