"""The pool as a Gymnasium vector environment: contract, order, memory, determinism."""

from __future__ import annotations

import gc
import hashlib
import itertools
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers.vector import DictInfoToList, RecordEpisodeStatistics
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from vldac.envs.catalogue import native_spec

from vldac.envs import NativeVectorEnv, list_ids, make
from vldac.errors import EnvError
from vldac.known import known_processor
from vldac.vision import image_spec

SIZE = (56, 56)
ENVS = [
    *(env_id for env_id in list_ids() if not native_spec(env_id).is_text),
    "test/CartPole-v0",
    "test/Template-v0",
    "test/Misbehaving-v0",
]


class SingleEnv(gym.Env):
    """One native environment without autoreset, as Gymnasium's environments are."""

    def __init__(self, env_id: str, rng: str) -> None:
        self.env = make(env_id, 1, image_size=SIZE, rng=rng, autoreset_mode=AutoresetMode.DISABLED, num_threads=1)
        self.observation_space, self.action_space = self.env.single_observation_space, self.env.single_action_space

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        obs, info = self.env.reset(seed=seed)
        return self._one(obs), self._info(info)

    def step(self, action):
        obs, reward, terminated, truncated, info = self.env.step(np.array([action]))
        return self._one(obs), float(reward[0]), bool(terminated[0]), bool(truncated[0]), self._info(info)

    @staticmethod
    def _one(obs):
        return {key: value[0].copy() for key, value in obs.items()} if isinstance(obs, dict) else obs[0].copy()

    @classmethod
    def _info(cls, info):
        """The first row of a batched info, as a single environment has it."""
        found = {}
        for key in (key for key in info if not key.startswith("_") and key not in ("env_id", "frame_id")):
            if isinstance(info[key], dict):
                found[key] = cls._info(info[key])
            elif info[f"_{key}"][0]:
                value = info[key][0]
                found[key] = value.item() if isinstance(value, np.bool_) else value
        return found


def same(a: Any, b: Any, path: str = "") -> None:
    """Fail unless two observations or infos are equal, dtypes included; what a mask hides does not count."""
    if isinstance(a, dict):
        assert a.keys() == b.keys(), path
        for key in a:
            if f"_{key}" in a and not isinstance(a[key], dict):
                same(a[f"_{key}"], b[f"_{key}"], f"{path}._{key}")
                rows = np.flatnonzero(a[f"_{key}"])
                assert a[key].dtype == b[key].dtype and a[key].shape == b[key].shape, (path, key)
                for row in rows:
                    same(a[key][row], b[key][row], f"{path}.{key}[{row}]")
            elif not (key.startswith("_") and key[1:] in a and not isinstance(a[key[1:]], dict)):
                same(a[key], b[key], f"{path}.{key}")
    elif isinstance(a, np.ndarray | np.generic):
        assert np.asarray(a).dtype == np.asarray(b).dtype and np.array_equal(a, b), path
    else:
        assert type(a) is type(b) and a == b, path


def without_pool_ids(info: dict[str, Any]) -> dict[str, Any]:
    """Leave out what only a pool can know: which environment, and frames counted over it."""
    kept = {}
    for key in info:
        if key.lstrip("_") not in ("env_id", "frame_id"):
            kept[key] = without_pool_ids(info[key]) if isinstance(info[key], dict) else info[key]
    return kept


@pytest.mark.parametrize("env_id", ENVS[:-1])
@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_it_equals_a_sync_vector_env_of_single_environments(env_id: str, mode: AutoresetMode) -> None:
    count = 5
    ours = make(env_id, count, image_size=SIZE, rng="stream", autoreset_mode=mode)
    theirs = SyncVectorEnv([lambda: SingleEnv(env_id, "stream")] * count, autoreset_mode=mode)
    for name in ("single_observation_space", "single_action_space", "observation_space", "action_space"):
        assert getattr(ours, name) == getattr(theirs, name)
    assert ours.metadata["autoreset_mode"] is theirs.metadata["autoreset_mode"] is mode
    (obs, info), (their_obs, their_info) = ours.reset(seed=3), theirs.reset(seed=3)
    same(obs, their_obs)
    same(without_pool_ids(info), their_info)
    rng = np.random.default_rng(0)
    ended_before = np.zeros(count, bool)
    for _ in range(120):
        if mode is AutoresetMode.DISABLED and ended_before.any():
            got, expected = (e.reset(options={"reset_mask": ended_before.copy()}) for e in (ours, theirs))
            same(got[0], expected[0])
        actions = rng.integers(ours.single_action_space.n, size=count)
        mine, other = ours.step(actions), theirs.step(actions)
        same(mine[0], other[0])
        for a, b in zip(mine[1:4], other[1:4], strict=True):
            same(a, b)
        assert mine[1].dtype == np.float64 and mine[2].dtype == mine[3].dtype == np.bool_
        assert ours.observation_space.contains(mine[0]) or env_id == "test/CartPole-v0"
        same(without_pool_ids(mine[4]), other[4])
        ended_before = mine[2] | mine[3]
    ours.close()


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_gymnasiums_wrappers_work(mode: AutoresetMode) -> None:
    env = RecordEpisodeStatistics(make("gym_cards/NumberLine-v0", 6, image_size=SIZE, autoreset_mode=mode))
    env = DictInfoToList(env)
    env.reset(seed=1)
    ended, before = 0, np.zeros(6, bool)
    for _ in range(60):
        if mode is AutoresetMode.DISABLED and before.any():
            env.reset(options={"reset_mask": before.copy()})
        *_, terminated, truncated, infos = env.step(env.unwrapped.oracle_actions())
        before = terminated | truncated
        for e in np.flatnonzero(before):
            final = infos[e]["final_info"] if mode is AutoresetMode.SAME_STEP else infos[e]
            assert infos[e]["episode"]["r"] == final["return"] == 1.0
            assert infos[e]["episode"]["l"] == final["length"]
            assert ("final_obs" in infos[e]) == (mode is AutoresetMode.SAME_STEP)
            ended += 1
    assert ended > 50


def test_a_masked_reset_leaves_the_others_as_they_are() -> None:
    env = make("gym_cards/EZPoints-v0", 4, image_size=SIZE)
    env.reset(seed=0)
    env.step(np.full(4, 10))
    before = env.facts()
    obs, _ = env.reset(options={"reset_mask": np.array([False, True, False, True])})
    after = env.facts()
    assert [a["formula"] for a in after] == ["+", "", "+", ""] and before[0] == after[0] and before[2] == after[2]
    assert np.array_equal(obs["image"], env.observe()["image"])
    for bad in (np.zeros(4, bool), np.ones(3, bool), np.ones(4, int)):
        with pytest.raises(EnvError, match="reset_mask"):
            env.reset(options={"reset_mask": bad})


def test_final_observations_are_made_when_they_are_looked_at() -> None:
    env = make("gym_cards/NumberLine-v0", 16, image_size=SIZE)
    env.reset(seed=0)
    *_, terminated, _, info = env.step(env.oracle_actions())
    assert terminated.any() and "final_obs" in info
    assert dict.__getitem__(info, "final_obs") is None
    final = info["final_obs"]
    assert final.dtype == object and info["final_obs"] is final is {**info}["final_obs"] is dict(info)["final_obs"]
    assert [image is not None for image in final] == terminated.tolist()
    assert info.get("nothing", 5) == 5 and info.copy().keys() == info.keys()


def digest(parts: Iterator[Any]) -> str:
    found = hashlib.sha256()
    for part in parts:
        found.update(np.ascontiguousarray(part).tobytes())
    return found.hexdigest()


def transcript(env: NativeVectorEnv, steps: int, batch: int | None) -> str:
    """Hash `steps` steps of every environment, sent in turn through batches of `batch` (None: whole steps)."""
    count, actions = env.num_envs, env.single_action_space.n
    per_env: list[list[bytes]] = [[] for _ in range(count)]

    def note(result: Any) -> None:
        obs, reward, terminated, truncated, info = result
        for row, e in enumerate(info["env_id"]):
            picture = obs["image"][row] if isinstance(obs, dict) else obs[row]
            key = info["frame_id"][row], info["episode_id"][row], info["elapsed_step"][row]
            record = (picture, reward[row], terminated[row], truncated[row], np.array(key))
            per_env[e].append(b"".join(np.ascontiguousarray(part).tobytes() for part in record))

    def action(e: int, t: int) -> int:
        return (e * 7919 + t * 104729) // 3 % int(actions)

    env.reset(seed=11)
    if batch is None:
        for t in range(steps):
            note(env.step(np.array([action(e, t) for e in range(count)])))
    else:
        taken = np.ones(count, int)
        env.send(np.array([action(e, 0) for e in range(count)]), np.arange(count))
        for _ in range(steps * count // batch):
            result = env.recv()
            note(result)
            ids = np.array([e for e in result[4]["env_id"] if taken[e] < steps], np.int64)
            env.send(np.array([action(e, taken[e]) for e in ids], np.int64), ids)
            taken[ids] += 1
    assert all(len(records) == steps for records in per_env)
    return hashlib.sha256(b"".join(itertools.chain(*per_env))).hexdigest()


@pytest.mark.parametrize("env_id", ENVS)
def test_threads_batches_and_order_change_nothing(env_id: str) -> None:
    """10,000 steps each way: 8 environments x 1,250."""
    hashes = set()
    for threads, batch, order in (
        (1, None, "fifo"),
        (2, None, "fifo"),
        (4, None, "fifo"),
        (2, 8, "fifo"),
        (4, 4, "fifo"),
        (2, 1, "ready"),
    ):
        env = make(env_id, 8, image_size=(28, 28), num_threads=threads, batch_size=batch, order=order)
        hashes.add(transcript(env, 1250, batch))
        env.close()
    assert len(hashes) == 1


def test_fifo_batches_come_in_the_order_of_sending() -> None:
    env = make("test/Misbehaving-v0", 6, image_size=(28, 28), num_threads=4, batch_size=2, odds=0, jitter_us=300)
    env.reset(seed=0)
    order = np.array([4, 0, 5, 2, 1, 3])
    env.send(np.zeros(6, int), order)
    seen = np.concatenate([env.recv()[4]["env_id"] for _ in range(3)])
    assert seen.tolist() == order.tolist()


def test_ready_batches_do_not_wait_for_a_slow_environment() -> None:
    env = make("test/Misbehaving-v0", 2, image_size=(28, 28), num_threads=2, batch_size=1, order="ready", kind=3, at_step=1,
               odds=0.5, step_timeout=0.4)  # fmt: skip
    seed = next(s for s in range(50) if is_bad(s) and not is_bad(s + 1))
    env.reset(seed=seed)
    env.send(np.zeros(2, int), np.arange(2))
    assert env.recv()[4]["env_id"].tolist() == [1]
    *_, truncated, info = env.recv()
    assert info["env_id"].tolist() == [0] and truncated[0] and "step budget exceeded" in info["final_info"]["fault"][0]


def is_bad(seed: int) -> bool:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed))).random() < 0.5


def test_misuse_is_told_and_changes_nothing() -> None:
    env = make("gym_cards/NumberLine-v0", 4, image_size=SIZE, batch_size=2)
    with pytest.raises(EnvError, match="reset"):
        env.step(np.zeros(4, int))
    env.reset(seed=0)
    state = env.get_state()
    with pytest.raises(EnvError, match="send more"):
        env.recv()
    with pytest.raises(EnvError, match="named twice"):
        env.send(np.zeros(2, int), np.array([1, 1]))
    with pytest.raises(EnvError, match="0 to 3, got 4"):
        env.send(np.zeros(1, int), np.array([4]))
    with pytest.raises(EnvError, match="got 2"):
        env.send(np.array([2]), np.array([0]))
    with pytest.raises(EnvError, match="int64"):
        env.step(np.full(4, 0.5))
    assert env.get_state() == state
    env.send(np.zeros(3, int), np.arange(3))
    for call in (env.get_state, env.observe, lambda: env.step(np.zeros(4, int)), lambda: env.prompts(np.array([0]))):
        with pytest.raises(EnvError, match="in flight"):
            call()
    assert len(env.prompts(np.array([3]))) == 1
    env.recv()
    env.send(np.zeros(1, int), np.array([3]))
    assert env.recv()[4]["env_id"].tolist() == [2, 3]
    env.send(np.zeros(4, int), np.arange(4))
    env.reset(seed=0)  # drops what is in flight
    assert [f["current"] for f in env.facts()] == [f["current"] for f in make_like(env, state).facts()]


def make_like(env: NativeVectorEnv, state: bytes) -> NativeVectorEnv:
    copy = NativeVectorEnv(env.config)
    copy.set_state(state)
    return copy


def test_a_batch_is_not_used_again_while_any_view_of_it_lives() -> None:
    env = make("gym_cards/NumberLine-v0", 8, image_size=SIZE)
    held, copies = [], []
    obs, _ = env.reset(seed=0)
    rng = np.random.default_rng(0)
    for step in range(60):
        obs, reward, *_, info = env.step(rng.integers(2, size=8))
        kind = step % 4
        view = (obs["image"][3], reward, torch.from_numpy(obs["image"])[1], torch.from_dlpack(obs["image"]))[kind]
        if "final_obs" in info:
            view = next(final for final in info["final_obs"] if final is not None)["image"]
        held.append(view)
        copies.append(np.array(view))
    del obs, reward, info, view
    assert env.ring["held"] == 60
    assert all(np.array_equal(a, b) for a, b in zip(held, copies, strict=True))
    addresses = {np.asarray(v).__array_interface__["data"][0] for v in held}
    assert len(addresses) == 60
    env.close()
    del env
    gc.collect()
    assert all(np.array_equal(a, b) for a, b in zip(held, copies, strict=True))


def test_the_ring_stays_small_where_views_are_dropped_and_refuses_beyond_its_cap() -> None:
    env = make("gym_cards/NumberLine-v0", 4, image_size=SIZE, max_ring_bytes=5 * 4 * (56 * 56 * 3 + 128))
    obs, _ = env.reset(seed=0)
    for _ in range(50):
        obs, *_ = env.step(np.zeros(4, int))
        assert obs["image"].__array_interface__["data"][0] % 64 == 0
    assert env.ring["batches"] <= 3
    kept = [env.step(np.zeros(4, int))[0]["image"] for _ in range(4)]
    state = env.get_state()
    with pytest.raises(EnvError, match=r"(?s)5 batches of .* still held.*copy what you keep"):
        env.step(np.zeros(4, int))
    assert env.get_state() == state
    assert env.ring["held"] == env.ring["batches"] == 5
    kept.clear()
    env.step(np.zeros(4, int))


def test_a_waiting_recv_can_be_interrupted_and_goes_on() -> None:
    env = make("test/Misbehaving-v0", 1, image_size=(28, 28), kind=3, at_step=1, step_timeout=2.0)
    env.reset(seed=0)
    previous = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(KeyboardInterrupt):
            env.step(np.zeros(1, int))
    finally:
        signal.signal(signal.SIGALRM, previous)
    with pytest.raises(EnvError, match="interrupted"):
        env.send(np.zeros(1, int), np.zeros(1, int))
    with pytest.raises(TimeoutError):
        env.recv(timeout=0)  # it had not waited for the step to end
    *_, truncated, _ = env.recv()
    assert truncated[0]


def test_other_threads_of_python_go_on_while_a_step_waits() -> None:
    env = make("test/Misbehaving-v0", 1, image_size=(28, 28), kind=3, at_step=1, step_timeout=0.5)
    env.reset(seed=0)
    seen, is_done = [], threading.Event()

    def tick() -> None:
        while not is_done.wait(0.01):
            seen.append(time.perf_counter())

    thread = threading.Thread(target=tick)
    thread.start()
    env.step(np.zeros(1, int))  # half a second in native code
    is_done.set()
    thread.join()
    assert len(seen) >= 3


def test_recv_keeps_its_batch_past_a_timeout() -> None:
    env = make("test/Misbehaving-v0", 1, image_size=(28, 28), kind=3, at_step=1, step_timeout=0.5)
    env.reset(seed=0)
    env.send(np.zeros(1, int), np.zeros(1, int))
    with pytest.raises(TimeoutError):
        env.recv(timeout=0.05)
    assert env.recv(timeout=30)[3][0]


def test_a_second_thread_is_refused_and_harms_nothing() -> None:
    env = make("test/Misbehaving-v0", 4, image_size=(28, 28), num_threads=2, odds=0, jitter_us=500)
    env.reset(seed=0)
    outcomes: list[str] = []

    def play() -> None:
        for _ in range(40):
            try:
                env.step(np.zeros(4, int))
                outcomes.append("step")
            except EnvError as error:
                outcomes.append("refused" if "another thread" in str(error) else str(error))

    threads = [threading.Thread(target=play) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(outcomes) == {"step", "refused"} and len(outcomes) == 120
    assert env.step(np.zeros(4, int))[1].tolist() == [1.0] * 4


def test_frames_have_ids_that_are_never_used_twice() -> None:
    env = make("gym_cards/NumberLine-v0", 8, image_size=(28, 28))
    _, info = env.reset(seed=0)
    seen = set(info["frame_id"].tolist())
    pictures = 8
    for _ in range(100):
        *_, info = env.step(env.oracle_actions())
        new = info["frame_id"].tolist()
        if "final_info" in info:
            new += info["final_info"]["frame_id"][info["_final_info"]].tolist()
        pictures += len(new)
        seen.update(new)
    assert len(seen) == pictures
    assert {i % 8 for i in info["frame_id"]} == set(range(8))
    again = make_like(env, env.get_state())
    assert (
        again.step(again.oracle_actions())[4]["frame_id"].tolist()
        == env.step(env.oracle_actions())[4]["frame_id"].tolist()
    )


def test_any_episode_can_be_replayed_alone_from_its_seed_environment_and_number() -> None:
    env = make("gym_cards/EZPoints-v0", 3, image_size=SIZE)
    env.reset(seed=40)
    rng = np.random.default_rng(1)
    episodes: dict[tuple[int, int], list[tuple[int, bytes]]] = {}
    for _ in range(120):
        obs = env.observe()["image"]
        actions = rng.integers(13, size=3)
        at = [(e, int(i)) for e, i in enumerate(env.episode_ids())]
        for (e, number), action in zip(at, actions, strict=True):
            episodes.setdefault((e, number), []).append((int(action), obs[e].tobytes()))
        env.step(actions)
    assert len(episodes) > 30
    for (e, number), steps in list(episodes.items())[3::7]:
        alone = make("gym_cards/EZPoints-v0", 1, image_size=SIZE)
        alone.reset(seed=40 + e)
        for _ in range(number):
            alone.reset()
        for action, picture in steps:
            assert alone.observe()["image"][0].tobytes() == picture
            alone.step(np.array([action]))


@pytest.mark.parametrize("env_id", ENVS)
@pytest.mark.parametrize("rng", ["episode", "stream"])
def test_a_restored_pool_goes_the_same_way_for_a_thousand_steps(env_id: str, rng: str) -> None:
    env = make(env_id, 4, image_size=(28, 28), rng=rng)
    env.reset(seed=7)
    choose = np.random.default_rng(5)
    count = int(env.single_action_space.n)
    for _ in range(37):
        env.step(choose.integers(count, size=4))
    copy = env.clone()
    hashes = [hashlib.sha256(), hashlib.sha256()]
    for _ in range(1000):
        actions = choose.integers(count, size=4)
        for which, found in zip((env, copy), hashes, strict=True):
            obs, reward, terminated, truncated, info = which.step(actions)
            picture = obs["image"] if isinstance(obs, dict) else obs
            for part in (picture, reward, terminated, truncated, info["frame_id"], info["episode_id"]):
                found.update(part.tobytes())
    assert hashes[0].hexdigest() == hashes[1].hexdigest()
    assert env.get_state() == copy.get_state()


def test_a_state_is_restored_wholly_or_not_at_all() -> None:
    env = make("gym_cards/EZPoints-v0", 3, image_size=SIZE)
    env.reset(seed=0)
    state = env.get_state()
    env.step(np.zeros(3, int))
    now = env.get_state()
    for bad in (b"", state[:-1], state + b"x", state[:40] + b"\xff" + state[41:]):
        with pytest.raises(EnvError):
            env.set_state(bad)
        assert env.get_state() == now
    with pytest.raises(EnvError, match="another environment id or of other options"):
        make("gym_cards/NumberLine-v0", 3).set_state(state)
    with pytest.raises(EnvError, match="other options"):
        make("test/Misbehaving-v0", 1, odds=0.5).set_state(_started("test/Misbehaving-v0").get_state())
    with pytest.raises(EnvError, match="another number"):
        make("gym_cards/EZPoints-v0", 2).set_state(state)


def _started(env_id: str) -> NativeVectorEnv:
    env = make(env_id, 1)
    env.reset(seed=0)
    return env


@pytest.mark.parametrize(
    ("env_id", "theirs_id"), [("test/CartPole-v0", "CartPole-v1"), ("Blackjack-symbolic-v0", "Blackjack-v1")]
)
@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP])
def test_it_equals_gymnasiums_own(env_id: str, theirs_id: str, mode: AutoresetMode) -> None:
    """Seeds, draws, rules, autoreset: step by step beside Gymnasium's Python."""
    ours = make(env_id, 4, rng="stream", autoreset_mode=mode)
    theirs = SyncVectorEnv([lambda: gym.make(theirs_id)] * 4, autoreset_mode=mode)
    rng = np.random.default_rng(0)

    def column(obs: Any) -> np.ndarray:
        return np.stack(obs, axis=1) if isinstance(obs, tuple) else obs

    assert np.array_equal(ours.reset(seed=9)[0], column(theirs.reset(seed=9)[0]))
    ended = 0
    for _ in range(2000):
        actions = rng.integers(2, size=4)
        mine, other = ours.step(actions), theirs.step(actions)
        assert np.array_equal(mine[0], column(other[0]))
        for a, b in zip(mine[1:4], other[1:4], strict=True):
            assert np.array_equal(a, b)
        if "final_obs" in other[4]:
            for e in np.flatnonzero(other[4]["_final_obs"]):
                assert np.array_equal(mine[4]["final_obs"][e], np.asarray(other[4]["final_obs"][e]))
        ended += int(mine[2].sum())
    assert ended > 200


def test_responses_become_steps() -> None:
    env = make("gym_cards/NumberLine-v0", 4, image_size=SIZE)
    twin = make("gym_cards/NumberLine-v0", 4, image_size=SIZE)
    env.reset(seed=0)
    twin.reset(seed=0)
    replies = ['{"action": "+"}', "I think {'action': '-'}", '{"action": "jump"}', "\ud800 nothing"]
    _, reward, *_, info = env.step_text(replies, fallback="penalty", penalty=-3.0)
    assert info["parse_status"].tolist()[:2] == [0, 1] and (info["parse_status"][2:] > 1).all()
    assert info["action"].tolist()[:2] == [1, 0]
    _, plain, *_ = twin.step(info["action"])
    assert (reward - plain).tolist() == [0, 0, -3, -3]
    assert env.step_text(["?"] * 4, fallback="noop")[4]["action"].tolist() == [0] * 4
    with pytest.raises(EnvError, match="4 responses"):
        env.step_text(["x"])


def test_random_fallbacks_depend_on_the_state_alone() -> None:
    drawn = []
    for _ in range(2):
        env = make("gym_cards/EZPoints-v0", 16, image_size=(28, 28))
        env.reset(seed=3)
        drawn.append([env.step_text(["?"] * 16)[4]["action"].tolist() for _ in range(20)])
    assert drawn[0] == drawn[1]
    assert len({tuple(row) for row in drawn[0]}) == 20 and {a for row in drawn[0] for a in row} == set(range(13))


def test_prompts_come_as_text_and_as_bytes() -> None:
    env = make("gym_cards/EZPoints-v0", 3, image_size=SIZE)
    env.reset(seed=0)
    env.step(np.full(3, 11))
    text, offsets = env.prompt_bytes()
    assert text.dtype == np.uint8 and offsets.dtype == np.int64 and offsets[-1] == len(text)
    for e, message in enumerate(env.prompts()):
        words = message[0]["content"][1]["text"]
        assert words == text[offsets[e] : offsets[e + 1]].tobytes().decode()
        assert 'so far: "*"' in words and '{"thoughts"' in words


SPEC = image_spec(known_processor("Qwen/Qwen2-VL-7B-Instruct"))


@pytest.mark.parametrize("size", [(84, 56), (80, 60), (300, 300)])
def test_patches_are_what_the_image_processor_makes_of_the_pictures(size: tuple[int, int]) -> None:
    processor = Qwen2VLImageProcessorPil(**known_processor("Qwen/Qwen2-VL-7B-Instruct"))
    formats = ("hwc", "patches", "patches_bf16", "patches_u8")
    envs = {
        f: make("gym_cards/NumberLine-v0", 6, image_size=size, image_format=f, image_spec=processor) for f in formats
    }
    for step in range(8):
        results = [env.reset(seed=1) if step == 0 else env.step(env.oracle_actions()) for env in envs.values()]
        plain, floats, bf16, raw = (result[0] for result in results)
        expected = processor(images=list(plain["image"]), return_tensors="np")
        columns = expected["pixel_values"].shape[1]
        assert np.array_equal(floats["pixel_values"].reshape(-1, columns), expected["pixel_values"])
        assert envs["patches"].image_grid == tuple(expected["image_grid_thw"][0])
        assert envs["patches"].observation_space.contains(floats) and envs["patches_u8"].observation_space.contains(raw)
        tensor = torch.from_dlpack(bf16["pixel_values"])
        assert tensor.dtype == torch.bfloat16 and tensor.shape == floats["pixel_values"].shape
        assert torch.equal(tensor, torch.from_numpy(floats["pixel_values"]).bfloat16())
        assert raw["pixel_values"].shape == (6, floats["pixel_values"].shape[1], columns // 2)
        infos = [result[-1] for result in results]
        if "final_obs" in infos[0]:
            for e in np.flatnonzero(infos[0]["_final_obs"]):
                picture = infos[0]["final_obs"][e]["image"]
                alone = processor(images=[picture], return_tensors="np")["pixel_values"]
                assert np.array_equal(infos[1]["final_obs"][e]["pixel_values"], alone)


def test_a_bfloat16_tensor_keeps_its_batch_from_being_used_again() -> None:
    env = make("gym_cards/NumberLine-v0", 4, image_size=(84, 56), image_format="patches_bf16", image_spec=SPEC)
    tensors = [torch.from_dlpack(env.reset(seed=0)[0]["pixel_values"])]
    copies = [tensors[0].clone()]
    for _ in range(20):
        tensors.append(torch.from_dlpack(env.step(env.oracle_actions())[0]["pixel_values"]))
        copies.append(tensors[-1].clone())
    assert len({t.data_ptr() for t in tensors}) == 21 and env.ring["held"] == 21
    env.close()
    del env
    gc.collect()
    assert all(torch.equal(a, b) for a, b in zip(tensors, copies, strict=True))


def test_a_patch_format_needs_to_know_the_processor() -> None:
    with pytest.raises(EnvError, match="image processor or ImageSpec"):
        make("gym_cards/NumberLine-v0", 1, image_format="patches")
    with pytest.raises(EnvError, match="patches_bf16"):
        make("gym_cards/NumberLine-v0", 1, image_format="chw")


def test_environments_that_are_not_in_flight_can_be_looked_at_meanwhile() -> None:
    env, twin = (
        make("MiniWorld-Hallway-v0", 4, batch_size=1, image_size=(84, 84), textures="builtin") for _ in range(2)
    )
    obs = env.reset(seed=3)[0]["image"].copy()
    twin.reset(seed=3)
    env.send(np.zeros(2, int), np.array([1, 3]))
    still = np.array([2, 0])
    assert np.array_equal(env.poses(still), twin.poses()[still])
    assert np.array_equal(env.pictures(84, 84, still), obs[still])
    assert np.array_equal(env.map_view(40, 30, still)[0], twin.map_view(40, 30)[0][still])
    assert env.prompts(still) == [twin.prompts()[e] for e in still]
    for look in (env.poses, lambda ids: env.pictures(84, 84, ids), lambda ids: env.map_view(40, 30, ids), env.prompts):
        with pytest.raises(EnvError, match="environment 3 is in flight"):
            look(np.array([0, 3]))
    for e in (1, 3):
        assert env.recv()[4]["env_id"].tolist() == [e]
    assert env.poses().shape == (4, 3)
