"""Synthetic runs: learning curves and trajectories."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vldac.metrics import MetricsWriter, wilson_interval
from vldac.trajectories import StepRecord, write_trajectories

HOSTILE = "</script><script>window.stolen = 1</script><img src=x onerror='window.stolen = 1'>&amp;\u2028<!--"


def metrics_of(update: int) -> dict[str, float]:
    """Return the metrics of a run that learns."""
    rng = np.random.default_rng(update)
    success = int(rng.binomial(40, 0.1 + 0.8 * update / (update + 15)))
    low, high = wilson_interval(success, 40)
    return {
        "rollout/env_steps": 512.0 * update,
        "rollout/return_mean": 2 * success / 40 - 1,
        "rollout/success_rate": success / 40,
        "rollout/success_ci_low": low,
        "rollout/success_ci_high": high,
        "policy/kl_ref_k3": 0.02 * update**0.5 * rng.uniform(0.8, 1.2),
        "policy/clip_frac": rng.uniform(0.02, 0.08),
        "policy/is_frozen": float(update <= 3),
        "value/explained_variance": 1 - 1.5 / update + rng.normal(0, 0.03),
        "value/loss": 0.4 / update + 0.05,
        "rollout/entropy_mean": 0.9 / (1 + update / 30),
        "time/env_steps_per_s": rng.uniform(18, 24),
    }


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[[int], Path]:
    """Return a function that writes a run folder with so many updates."""

    def make(updates: int) -> Path:
        writer = MetricsWriter(tmp_path)
        for update in range(1, updates + 1):
            extra = {"eval/success_rate": 0.5} if update % 20 == 0 else {}
            writer.write(update, metrics_of(update) | extra)
        (tmp_path / "config.yaml").write_text("model:\n  name: '<b>tiny</b>'\n", encoding="utf-8")
        return tmp_path

    return make


def record(**changes: Any) -> StepRecord:
    """Return a plausible record."""
    fields: dict[str, Any] = {
        "update": 7, "env": 0, "episode": 0, "step": 0, "frames": ["a"], "prompt": "Reach 3.",
        "response": '{"action": "+"}', "tokens": ['{"action"', ': "', '+"}'], "token_logprob": [-0.1, -0.2, -0.7],
        "token_old_logprob": [-0.1, -0.25, -0.5], "advantage": 0.5, "action": "+", "parse_status": "OK", "reward": 0.0,
        "value": 0.25, "ret": 0.75, "terminated": False, "truncated": False, "success": None,
    }  # fmt: skip
    return StepRecord(**(fields | changes))


def frame(shade: int) -> np.ndarray:
    """Return a small picture."""
    image = np.full((24, 32, 3), 255, dtype=np.uint8)
    image[6:18, 4 + shade : 12 + shade] = (0, 60 + 10 * shade, 160)
    return image


@pytest.fixture
def viewed_run(tmp_path: Path) -> Path:
    """A run with a successful episode, a failed one with an invalid and hostile response, and an unfinished one."""
    end = {"terminated": True, "reward": 1.0, "success": True, "step": 1, "frames": ["a", "b"]}
    bad = {"env": 1, "parse_status": "NO_ACTION", "advantage": -0.8, "response": HOSTILE, "prompt": HOSTILE}
    bad |= {"tokens": [HOSTILE], "token_logprob": [-3.0], "token_old_logprob": [float("nan")], "action": HOSTILE}
    records = [
        record(), record(**end), record(**bad),
        record(env=1, step=1, frames=["b"], reward=-1.0, terminated=True, success=False), record(env=2, frames=["c"]),
    ]  # fmt: skip
    write_trajectories(tmp_path, 7, records, {"a": frame(0), "b": frame(6), "c": frame(0)})
    return tmp_path


@pytest.fixture
def clicked_run(tmp_path: Path) -> Path:
    """A run with a step that clicked something on a page of 200 x 500 pixels, and one that pointed to nothing."""
    page = np.full((500, 200, 3), 255, np.uint8)
    page[100:130, 50:150] = (250, 167, 13)
    steps = [record(frames=["a", "p"], action="click[Buy Now]", box=[50, 100, 100, 30]), record(step=1, frames=["p"])]
    write_trajectories(tmp_path, 7, steps, {"a": frame(0), "p": page})
    return tmp_path


@pytest.fixture
def mapped_run(tmp_path: Path) -> Path:
    """A run with an episode of three steps on a map (two walls of it, then the goal), and one episode without a map."""
    floor = np.full((60, 80, 3), 200, np.uint8)
    floor[10:20, 60:70] = (200, 0, 0)
    place = {"map": "m", "map_frame": [-1.0, -2.0, 10.0, 8.0]}
    poses = [[1.0, 1.0, 0.0], [3.0, 1.0, np.pi / 2], [3.0, -0.5, np.pi / 2]]
    steps = [record(step=i, pose=pose, action="move forward", **place) for i, pose in enumerate(poses)]
    steps[-1] = record(**(vars(steps[-1]) | {"terminated": True, "success": True, "reward": 0.875, "frames": ["b"]}))
    write_trajectories(tmp_path, 7, [*steps, record(env=1)], {"a": frame(0), "b": frame(6), "m": floor})
    return tmp_path
