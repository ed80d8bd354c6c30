"""EnvPool's environments under this package's contract; skipped where EnvPool (1 GB) is not installed."""

from __future__ import annotations

import sys
from contextlib import closing
from typing import Any

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from vldac.envs.conformance import check

from vldac.envs import make
from vldac.errors import EnvError


@pytest.fixture
def envpool() -> Any:
    return pytest.importorskip("envpool", reason="envpool is not installed (extra envpool)")


def test_a_missing_envpool_is_told_with_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "envpool", None)
    with pytest.raises(EnvError, match=r"vldac\[envpool\]"):
        make("envpool:CartPole-v1", 1)


@pytest.mark.filterwarnings("ignore")
def test_same_step_resets_show_what_envpool_shows_without_its_dead_steps(envpool: Any) -> None:
    raw = envpool.make_gymnasium("CartPole-v1", num_envs=1, seed=[7], max_episode_steps=20)
    raw.reset()
    rng, expected = np.random.default_rng(0), []
    actions = rng.integers(2, size=200)
    for action in actions:
        obs, reward, terminated, truncated, info = raw.step(np.array([action], np.int32))
        final = obs[0]
        if terminated[0] or truncated[0]:
            obs, *_ = raw.step(np.zeros(1, np.int32))  # EnvPool resets here, whatever the action
        expected.append((obs[0], final, float(reward[0]), terminated[0], truncated[0], info["elapsed_step"][0]))
    with closing(make("envpool:CartPole-v1", 1, seed=7, max_episode_steps=20)) as env:
        env.reset()
        ends = 0
        for action, (first, final, reward, terminated, truncated, elapsed) in zip(actions, expected, strict=True):
            obs, r, te, tr, info = env.step(np.array([action]))
            assert np.array_equal(obs[0], first) and (r[0], te[0], tr[0]) == (reward, terminated, truncated)
            assert r.dtype == np.float64 and te.dtype == tr.dtype == np.bool_
            if terminated or truncated:
                ends += 1
                assert np.array_equal(info["final_obs"][0], final) and info["final_info"]["length"][0] == elapsed
                assert info["final_info"]["return"][0] == elapsed and info["elapsed_step"][0] == 0
        assert ends > 8


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP])
def test_envpool_environments_conform(envpool: Any, mode: AutoresetMode) -> None:
    def build(num_envs: int) -> Any:
        return make(
            "envpool:CartPole-v1", num_envs, task="vldac", image_size=(48, 36), autoreset_mode=mode, num_threads=1
        )

    report = check(build, steps=100)
    failed = {f.name for f in report.findings if f.outcome == "fail"}
    cannot = {"reset_mask"}  # with a seed: EnvPool's seeds are those of a whole pool
    assert failed == (cannot if mode is AutoresetMode.SAME_STEP else cannot | {"model"}), report.as_text()
    assert {f.name for f in report.findings if f.outcome == "skip"} == {"snapshot", "faults", "asynchronous"}


@pytest.mark.filterwarnings("ignore")
def test_what_envpool_cannot_do_is_refused(envpool: Any) -> None:
    for options, says in (
        ({"batch_size": 1}, "mix with resets"), ({"rng": "episode"}, "no seeds of their own"),
        ({"autoreset_mode": AutoresetMode.DISABLED}, "SAME_STEP or NEXT_STEP"), ({"colour": 1}, "known options"),
    ):  # fmt: skip
        with pytest.raises(EnvError, match=says):
            make("envpool:CartPole-v1", 2, **options)
    with pytest.raises(EnvError, match="did you mean 'CartPole-v1'"):
        make("envpool:CartPol-v1", 2)
    with closing(make("envpool:CartPole-v1", 2)) as env:
        with pytest.raises(EnvError, match=r"pass render_image=True"):
            env.prompts()
        env.reset(seed=0)
        with pytest.raises(EnvError, match="cannot seed some"):
            env.reset(seed=0, options={"reset_mask": np.array([True, False])})
