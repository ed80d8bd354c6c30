"""The conformance kit: every check passes a sound environment and fails one that is broken in just that way."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from vldac.envs.catalogue import sample_options
from vldac.envs.conformance import CHECKS, check

from vldac.envs import conformance, list_ids, make


class Sound(VectorEnv[Any, Any, Any]):
    """Counters that count by the action and a die until they reach 6: all that the contract asks for, in one process."""

    def __init__(self, num_envs: int) -> None:
        self.num_envs = num_envs
        self.metadata = {"autoreset_mode": AutoresetMode.SAME_STEP}
        self.single_observation_space = gym.spaces.Dict({"image": gym.spaces.Box(0, 255, (2, 2, 3), np.uint8)})
        self.single_action_space = gym.spaces.Discrete(2)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.action_names = ["stay", "go"]
        self.rngs = [np.random.default_rng(0) for _ in range(num_envs)]
        self.count, self.total, self.length = ([0] * num_envs for _ in range(3))
        self.is_open, self.fails_next = True, False

    def first(self, e: int) -> None:
        self.count[e], self.total[e], self.length[e] = int(self.rngs[e].integers(4)), 0, 0

    def look(self) -> Any:
        return {"image": np.repeat(np.array(self.count, np.uint8), 12).reshape(self.num_envs, 2, 2, 3)}

    def reset(self, *, seed: Any = None, options: Any = None) -> Any:
        rows = np.flatnonzero((options or {}).get("reset_mask", np.ones(self.num_envs, bool)))
        seeds = [seed + e for e in range(self.num_envs)] if isinstance(seed, int) else seed
        for e in rows:
            if seeds is not None:
                self.rngs[e] = np.random.default_rng(seeds[e])
            self.first(e)
        return self.look(), {}

    def step(self, actions: Any) -> Any:
        actions = np.asarray(actions)
        if not self.is_open or actions.shape != (self.num_envs,) or not ((actions >= 0) & (actions < 2)).all():
            raise ValueError("refused")
        reward, terminated, truncated = (
            np.zeros(self.num_envs),
            np.zeros(self.num_envs, bool),
            np.zeros(self.num_envs, bool),
        )
        faults: list[str | None] = [None] * self.num_envs
        for e in range(self.num_envs):
            if self.fails_next and e == 0:
                truncated[e], faults[e], self.fails_next = True, "it broke", False
            else:
                self.count[e] += int(actions[e] * self.rngs[e].integers(1, 3))
                reward[e], terminated[e] = actions[e], self.count[e] >= 6
                self.total[e] += int(reward[e])
            self.length[e] += 1
        ended, info = terminated | truncated, {}
        if ended.any():
            info = self.final(ended, faults)
            for e in np.flatnonzero(ended):
                self.first(e)
        return self.look(), reward, terminated, truncated, info

    def final(self, ended: np.ndarray, faults: list[str | None]) -> dict[str, Any]:
        last, prompts = self.look()["image"], self.prompts()
        final_obs, final_prompts = np.full(self.num_envs, None, object), np.full(self.num_envs, None, object)
        for e in np.flatnonzero(ended):
            final_obs[e], final_prompts[e] = {"image": last[e]}, prompts[e]
        final_info = {
            "success": np.array([count >= 6 for count in self.count]), "return": np.array(self.total, float),
            "length": np.array(self.length), "fault": np.array(faults, object), "prompt": final_prompts,
        }  # fmt: skip
        return {
            "final_obs": final_obs,
            "_final_obs": ended.copy(),
            "final_info": final_info,
            "_final_info": ended.copy(),
        }

    def prompts(self) -> Any:
        return [[{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "?"}]}] for _ in self.count]

    def get_state(self) -> bytes:
        state = [self.count, self.total, self.length, [rng.bit_generator.state for rng in self.rngs]]
        return json.dumps(state).encode()

    def set_state(self, state: bytes) -> None:
        self.count, self.total, self.length, streams = json.loads(state)
        for rng, stream in zip(self.rngs, streams, strict=True):
            rng.bit_generator.state = stream

    def clone(self) -> Any:
        twin = type(self)(self.num_envs)
        twin.set_state(self.get_state())
        return twin

    def send(self, actions: Any) -> None:
        self.sent = self.step(actions)

    def recv(self) -> Any:
        return *self.sent[:4], self.sent[4] | {"env_id": np.arange(self.num_envs)}

    def close_extras(self, **kwargs: Any) -> None:
        self.is_open = False


def fail_next(env: Any) -> None:
    env.fails_next = True


def verdict(kind: Callable[[int], Any], **options: Any) -> Any:
    return check(kind, steps=80, seed=3, provoke_fault=fail_next, **options)


def test_a_sound_environment_passes_every_check() -> None:
    report = verdict(Sound)
    assert report.is_conformant and {f.outcome for f in report.findings} == {"pass"}, report.as_text()


# -- one broken environment per check, and more -------------------------------------------------------------------------


class WrongSpace(Sound):
    def __init__(self, num_envs: int) -> None:
        super().__init__(num_envs)
        self.observation_space = self.single_observation_space


class NoMode(Sound):
    def __init__(self, num_envs: int) -> None:
        super().__init__(num_envs)
        self.metadata = {"autoreset_mode": "SameStep"}


class FloatReward(Sound):
    def step(self, actions: Any) -> Any:
        obs, reward, *rest = super().step(actions)
        return obs, reward.astype(np.float32), *rest


class IntFlags(Sound):
    def step(self, actions: Any) -> Any:
        obs, reward, terminated, truncated, info = super().step(actions)
        return obs, reward, terminated.astype(int), truncated, info


class FloatPicture(Sound):
    def look(self) -> Any:
        return {"image": super().look()["image"].astype(np.float32)}


class NanReward(Sound):
    def step(self, actions: Any) -> Any:
        obs, reward, *rest = super().step(actions)
        return obs, np.where(np.array(self.count) == 5, np.nan, reward), *rest


class GlobalDice(Sound):
    dice = np.random.default_rng(0)

    def first(self, e: int) -> None:
        super().first(e)
        self.count[e] = int(self.dice.integers(4))


class SameSeed(Sound):
    def reset(self, *, seed: Any = None, options: Any = None) -> Any:
        return super().reset(seed=[seed] * self.num_envs if isinstance(seed, int) else seed, options=options)


class NoMask(Sound):
    def reset(self, *, seed: Any = None, options: Any = None) -> Any:
        return super().reset(seed=seed)


class MaskDisturbs(Sound):
    def reset(self, *, seed: Any = None, options: Any = None) -> Any:
        result = super().reset(seed=seed, options=options)
        if options:
            for rng in self.rngs:
                rng.integers(9)
        return result


class FinalOfTheNext(Sound):
    def final(self, ended: np.ndarray, faults: Any) -> Any:
        return {key: value for key, value in super().final(ended, faults).items() if key != "_final_obs"}


class FullMask(Sound):
    def final(self, ended: np.ndarray, faults: Any) -> Any:
        return super().final(ended, faults) | {"_final_info": np.ones(self.num_envs, bool)}


class StackedFinal(Sound):
    def final(self, ended: np.ndarray, faults: Any) -> Any:
        return super().final(ended, faults) | {"final_obs": self.look()["image"]}


class OneBuffer(Sound):
    def look(self) -> Any:
        if not hasattr(self, "buffer"):
            self.buffer = super().look()["image"]
        self.buffer[:] = super().look()["image"]
        return {"image": self.buffer}


class TwoBuffers(Sound):
    def look(self) -> Any:
        self.buffers = [*getattr(self, "buffers", []), super().look()["image"]][-6:]
        return {"image": self.buffers[0] if len(self.buffers) == 6 else self.buffers[-1]}


class Forgetful(Sound):
    def set_state(self, state: bytes) -> None:
        streams = [rng.bit_generator.state for rng in self.rngs]
        super().set_state(state)
        for rng, stream in zip(self.rngs, streams, strict=True):
            rng.bit_generator.state = stream


class Gullible(Sound):
    def set_state(self, state: bytes) -> None:
        if len(state) > 2 and state.endswith(b"]"):
            super().set_state(state)


class TiedClone(Sound):
    def clone(self) -> Any:
        return self if hasattr(self, "is_clone") else _tied(self)


def _tied(env: Any) -> Any:
    class Tied(Sound):
        step = staticmethod(env.step)  # type: ignore[assignment]

    return Tied(env.num_envs)


class CloseOnce(Sound):
    def close(self, **kwargs: Any) -> None:
        if not self.is_open:
            raise RuntimeError("closed")
        self.is_open = False


class Undead(Sound):
    def close_extras(self, **kwargs: Any) -> None:
        pass


class Clips(Sound):
    def step(self, actions: Any) -> Any:
        return super().step(np.clip(np.resize(actions, self.num_envs), 0, 1))


class StepsFirst(Sound):
    def step(self, actions: Any) -> Any:
        self.rngs[-1].integers(9) if np.shape(actions) != (self.num_envs,) else None
        return super().step(actions)


class TerminatesFaults(Sound):
    def step(self, actions: Any) -> Any:
        obs, reward, terminated, truncated, info = super().step(actions)
        return obs, reward, terminated | truncated, terminated & truncated, info


class PaysFaults(Sound):
    def step(self, actions: Any) -> Any:
        obs, reward, terminated, truncated, info = super().step(actions)
        return obs, np.where(truncated, -1.0, reward), terminated, truncated, info


class HidesFaults(Sound):
    def final(self, ended: np.ndarray, faults: Any) -> Any:
        return super().final(ended, [None] * self.num_envs)


class FaultSpreads(Sound):
    def step(self, actions: Any) -> Any:
        failing = self.fails_next
        obs, reward, terminated, truncated, info = super().step(actions)
        return obs, reward, terminated, truncated | failing, info


class NoImageInPrompt(Sound):
    def prompts(self) -> Any:
        return [[{"role": "user", "content": [{"type": "text", "text": "?"}]}] for _ in self.count]


class FewPrompts(Sound):
    def prompts(self) -> Any:
        return super().prompts()[:1]


class OneName(Sound):
    def __init__(self, num_envs: int) -> None:
        super().__init__(num_envs)
        self.action_names = ["go", "go"]


class WrongReturn(Sound):
    def final(self, ended: np.ndarray, faults: Any) -> Any:
        info = super().final(ended, faults)
        info["final_info"]["return"] += 1
        return info


class NoOutcome(Sound):
    def final(self, ended: np.ndarray, faults: Any) -> Any:
        info = super().final(ended, faults)
        del info["final_info"]["success"]
        return info


class Swapped(Sound):
    def recv(self) -> Any:
        *rest, info = super().recv()
        return *rest, info | {"env_id": info["env_id"][::-1]}


class Anonymous(Sound):
    def recv(self) -> Any:
        return self.sent


BROKEN: dict[str, list[type[Sound]]] = {
    "spaces": [WrongSpace, FloatPicture], "metadata": [NoMode], "step_types": [FloatReward, IntFlags, FloatPicture, NanReward],
    "determinism": [GlobalDice], "seeds": [SameSeed], "reset_mask": [NoMask, MaskDisturbs],
    "autoreset": [FinalOfTheNext, FullMask, StackedFinal], "aliasing": [OneBuffer, TwoBuffers],
    "snapshot": [Forgetful, Gullible, TiedClone], "close": [CloseOnce, Undead], "bad_actions": [Clips, StepsFirst],
    "faults": [TerminatesFaults, PaysFaults, HidesFaults, FaultSpreads],
    "model": [NoImageInPrompt, FewPrompts, OneName, WrongReturn, NoOutcome], "asynchronous": [Swapped, Anonymous],
}  # fmt: skip


def test_every_check_has_an_environment_that_fails_it() -> None:
    assert BROKEN.keys() == CHECKS.keys()


@pytest.mark.parametrize(("name", "kind"), [(name, kind) for name, kinds in BROKEN.items() for kind in kinds])
def test_a_check_fails_what_is_broken_in_its_way(name: str, kind: type[Sound]) -> None:
    report = verdict(kind)
    assert report.outcome(name) == "fail" and not report.is_conformant, report.as_text()


# -- the environments of this package -----------------------------------------------------------------------------------


@pytest.mark.parametrize("env_id", [*list_ids(), "test/Template-v0", "test/Doors-v0"])
def test_native_environments_conform(env_id: str) -> None:
    report = check(
        lambda num_envs: make(env_id, num_envs, task="vldac", image_size=(28, 28), **sample_options(env_id)), steps=300
    )
    assert report.is_conformant, report.as_text()
    assert report.outcome("snapshot") == report.outcome("asynchronous") == "pass"
    is_seen = env_id != "Blackjack-symbolic-v0"
    assert report.outcome("model") == ("pass" if is_seen else "skip")


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_python_environments_conform(mode: AutoresetMode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    importlib.import_module("worker_envs")

    def build(num_envs: int) -> Any:
        options = {"imports": ["worker_envs"], "num_workers": num_envs, "autoreset_mode": mode}
        return make("gymnasium:vldac_test/Walk-v0", num_envs, **options)

    report = check(build, steps=60, num_envs=2, provoke_fault=kill_first_worker)
    failed = [f.name for f in report.findings if f.outcome == "fail"]
    assert failed == ([] if mode is AutoresetMode.SAME_STEP else ["model"]), report.as_text()
    assert [f.name for f in report.findings if f.outcome == "skip"] == ["snapshot"]


def kill_first_worker(env: Any) -> None:
    import os
    import signal

    os.kill(env.worker_pids[0], signal.SIGKILL)


def test_the_command_line_says_and_returns_the_verdict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "report.json"
    code = conformance.main(["gym_cards/NumberLine-v0", "--steps", "50", "--num-envs", "2", "--json", str(path)])
    told, stored = capsys.readouterr().out, json.loads(path.read_text())
    assert code == (0 if stored["is_conformant"] else 1) and ("NOT conformant" in told) == (code == 1)
    assert [f["name"] for f in stored["findings"]] == list(CHECKS)
    assert conformance.main(["gym_cards/NumberLin-v0"]) == 2
    assert "did you mean 'gym_cards/NumberLine-v0'" in capsys.readouterr().err
