"""Python environments in worker processes: equal to Gymnasium's own vector environment, and unbreakable."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from ctypes.util import find_library
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers.vector import DictInfoToList, RecordEpisodeStatistics
from vldac.envs.foreign.worker_protocol import episode_seed

from vldac.envs import make
from vldac.errors import EnvError

FINE, RAISE, HANG, KILL, NAN, SLOW, SHAPE = range(7)
Make = Callable[..., Any]


@pytest.fixture
def build(monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """make() that finds the test environments, in this process and in the workers; whatever it made is closed."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    importlib.import_module("worker_envs")
    made: list[Any] = []

    def build_one(name: str, num_envs: int, **options: Any) -> Any:
        made.append(make(f"gymnasium:{name}", num_envs, imports=["worker_envs"], **options))
        return made[-1]

    yield build_one
    for env in made:
        env.close()


def assert_same(ours: Any, theirs: Any, where: str = "") -> None:
    """Equal values, dtypes and keys, all the way down."""
    if isinstance(theirs, dict):
        assert isinstance(ours, dict) and list(ours) == list(theirs), where
        for key in theirs:
            assert_same(ours[key], theirs[key], f"{where}.{key}")
    elif isinstance(theirs, tuple | list):
        assert len(ours) == len(theirs), where
        for a, b in zip(ours, theirs, strict=True):
            assert_same(a, b, where)
    elif isinstance(theirs, np.ndarray):
        assert ours.dtype == theirs.dtype and ours.shape == theirs.shape, (where, ours.dtype, theirs.dtype)
        for a, b in zip(ours.ravel(), theirs.ravel(), strict=True) if theirs.dtype == object else ():
            assert_same(a, b, where)
        assert theirs.dtype == object or np.array_equal(ours, theirs), where
    else:
        assert type(ours) is type(theirs) and ours == theirs, where


ADDED = ("return", "length", "fault", "success", "prompt")
"""What final_info has besides."""


def without_added(info: dict[str, Any]) -> dict[str, Any]:
    if "final_info" not in info:
        return info
    final = {k: v for k, v in info["final_info"].items() if k.removeprefix("_") not in ADDED}
    return info | {"final_info": final}


def plain(value: Any) -> Any:
    """Observations as upstream has them: the picture alone."""
    if isinstance(value, np.ndarray) and value.dtype == object:
        result = np.full(value.shape, None, object)
        for i, item in enumerate(value):
            result[i] = plain(item)
        return result
    return value["image"] if isinstance(value, dict) and list(value) == ["image"] else value


def action_of(space: gym.Space[Any], rng: np.random.Generator) -> Any:
    space.seed(int(rng.integers(1 << 30)))
    return space.sample()


@pytest.mark.parametrize("mode", list(AutoresetMode))
@pytest.mark.parametrize("env_id", ["vldac_test/Walk-v0", "vldac_test/Mixed-v0", "CartPole-v1"])
@pytest.mark.parametrize("num_workers", [1, 3])
def test_it_equals_sync_vector_env(build: Make, mode: AutoresetMode, env_id: str, num_workers: int) -> None:
    ours = build(env_id, 5, num_workers=num_workers, autoreset_mode=mode, rng="stream")
    theirs = SyncVectorEnv([lambda: gym.make(env_id, disable_env_checker=True)] * 5, autoreset_mode=mode)
    assert ours.metadata["autoreset_mode"] is theirs.metadata["autoreset_mode"] is mode
    assert ours.single_action_space == theirs.single_action_space and ours.action_space == theirs.action_space
    if env_id == "vldac_test/Walk-v0":
        assert ours.observation_space["image"] == theirs.observation_space
    else:
        assert ours.observation_space == theirs.observation_space
    rng, ends = np.random.default_rng(0), 0
    (obs, info), (their_obs, their_info) = ours.reset(seed=7), theirs.reset(seed=7)
    assert_same(plain(obs), their_obs)
    assert_same(info, their_info)
    for _ in range(60):
        actions = action_of(theirs.action_space, rng)
        a, b = ours.step(actions), theirs.step(actions)
        info = without_added(a[4])
        info = info | {"final_obs": plain(info["final_obs"])} if "final_obs" in info else info
        assert_same((plain(a[0]), *a[1:4], info), b)
        ended = b[2] | b[3]
        ends += int(ended.sum())
        if mode is AutoresetMode.DISABLED and ended.any():
            with pytest.raises(EnvError, match="whose episode has not ended"):
                ours.step(actions)
            a, b = (env.reset(options={"reset_mask": ended.copy()}) for env in (ours, theirs))
            assert_same((plain(a[0]), a[1]), b)
    assert ends >= 5
    theirs.close()


def test_gymnasiums_wrappers_work(build: Make) -> None:
    ours = DictInfoToList(RecordEpisodeStatistics(build("vldac_test/Walk-v0", 3, rng="stream")))
    theirs = SyncVectorEnv([lambda: gym.make("vldac_test/Walk-v0")] * 3, autoreset_mode=AutoresetMode.SAME_STEP)
    wrapped = DictInfoToList(RecordEpisodeStatistics(theirs))
    ours.reset(seed=1)
    wrapped.reset(seed=1)
    for _ in range(20):
        ours_info, their_info = ours.step(np.ones(3, int))[4], wrapped.step(np.ones(3, int))[4]
        for a, b in zip(ours_info, their_info, strict=True):
            assert ("episode" in a) == ("episode" in b)
            if "episode" in b:
                assert (a["episode"]["r"], a["episode"]["l"]) == (b["episode"]["r"], b["episode"]["l"])


def play(env: Any, rounds: int) -> list[list[Any]]:
    """Per environment what it showed and paid, when asynchronous batches are sent on as they come."""
    obs, _ = env.reset(seed=3)
    count, size = env.num_envs, env.settings.batch_size
    record: list[list[Any]] = [[image.tobytes()] for image in obs["image"]]
    rngs = [np.random.default_rng(e) for e in range(count)]
    env.send(np.array([rng.integers(2) for rng in rngs]))
    while min(map(len, record)) < rounds:
        obs, reward, terminated, truncated, info = env.recv()
        assert len(info["env_id"]) == size == len(reward)
        for i, e in enumerate(info["env_id"]):
            record[e].append((obs["image"][i].tobytes(), reward[i], terminated[i], truncated[i]))
        env.send(np.array([rngs[e].integers(2) for e in info["env_id"]]), info["env_id"])
    return [one[:rounds] for one in record]


def test_an_environment_plays_the_same_whatever_runs_beside_it(build: Make) -> None:
    reference = play(build("vldac_test/Walk-v0", 6, num_workers=1), 25)
    for options in (
        {"num_workers": 3},
        {"num_workers": 2, "batch_size": 2},
        {"num_workers": 4, "batch_size": 3, "order": "ready"},
    ):
        assert play(build("vldac_test/Walk-v0", 6, **options), 25) == reference


def test_fifo_keeps_the_order_and_ready_takes_the_first(build: Make) -> None:
    actions = np.array([SLOW, FINE, FINE, FINE])
    fifo = build("vldac_test/Trouble-v0", 4, num_workers=4, batch_size=2)
    fifo.reset(seed=0)
    fifo.send(actions)
    assert [fifo.recv()[4]["env_id"].tolist() for _ in range(2)] == [[0, 1], [2, 3]]
    ready = build("vldac_test/Trouble-v0", 4, num_workers=4, batch_size=2, order="ready")
    ready.reset(seed=0)
    ready.send(actions)
    first, second = (ready.recv()[4]["env_id"].tolist() for _ in range(2))
    assert 0 not in first and second[-1] == 0


def test_every_episode_can_be_replayed_alone(build: Make) -> None:
    env = build("vldac_test/Walk-v0", 2, num_workers=1)
    obs, _ = env.reset(seed=11)
    episode = [0, 0]
    alone = gym.make("vldac_test/Walk-v0").unwrapped
    for _ in range(40):
        for e in range(2):
            first, _ = alone.reset(seed=episode_seed(11 + e, episode[e]))
            assert env.infos[e]["inner"]["count"] > 0 or np.array_equal(first, obs["image"][e])
        obs, _, terminated, truncated, _ = env.step(np.array([0, 1]))
        episode = [n + int(end) for n, end in zip(episode, terminated | truncated, strict=True)]
    assert min(episode) > 8


def test_returned_arrays_are_the_callers(build: Make) -> None:
    env = build("vldac_test/Walk-v0", 3)
    kept = [env.reset(seed=0)[0]["image"]]
    for _ in range(9):
        kept.append(env.step(np.array([0, 1, 1]))[0]["image"])
    frozen = [image.copy() for image in kept]
    kept[3][:] = 255  # writable, and nobody else's
    for _ in range(9):
        env.step(np.array([1, 0, 1]))
    assert all(np.array_equal(a, b) for i, (a, b) in enumerate(zip(kept, frozen, strict=True)) if i != 3)
    assert not any(np.shares_memory(a, b) for i, a in enumerate(kept) for b in kept[:i])


def test_an_environment_that_reuses_its_array_does_not_spoil_the_final_observation(build: Make) -> None:
    """SyncVectorEnv hands out the new episode's picture there."""
    envs = [build("vldac_test/Walk-v0", 3, env_kwargs={"reuses_its_array": reuses}) for reuses in (False, True)]
    for env in envs:
        env.reset(seed=0)
    ends = 0
    for _ in range(12):
        a, b = (env.step(np.array([0, 1, 0])) for env in envs)
        assert_same(a, b)
        ends += int((a[2] | a[3]).sum())
    assert ends > 5


# -- faults -------------------------------------------------------------------------------------------------------------


def check_fault(step: Any, before: np.ndarray, env: Any, row: int, says: str) -> None:
    """The step of `row` is a fault that names its place; the others are untouched."""
    obs, reward, terminated, truncated, info = step
    assert truncated[row] and not terminated[row] and reward[row] == 0.0
    fault = info["final_info"]["fault"][row]
    assert says in fault and f"environment {row} of worker" in fault and f"seed {20 + row}, episode 0, step 2" in fault
    assert np.array_equal(info["final_obs"][row]["image"], before[row]), "what was seen last"
    first = gym.make("vldac_test/Trouble-v0").reset(seed=episode_seed(20 + row, 1))[0]
    assert np.array_equal(obs["image"][row], first), "the first picture of the next episode"
    assert info["final_info"]["return"][row] == 2.0 and info["final_info"]["length"][row] == 3
    assert not info["final_info"]["success"][row] and env.fault_count[row] == 1


@pytest.mark.parametrize(
    ("action", "says"),
    [
        (RAISE, "RuntimeError: this step says no (worker_envs.py:"),
        (NAN, "reward nan"),
        (SHAPE, "obs.image of shape (28, 28, 3)"),
    ],
)
def test_an_environment_that_raises_is_replaced_alone(build: Make, action: int, says: str) -> None:
    env = build("vldac_test/Trouble-v0", 3, num_workers=1)
    env.reset(seed=20)
    for _ in range(2):
        before = env.step(np.zeros(3, int))[0]["image"]
    step = env.step(np.array([FINE, action, FINE]))
    check_fault(step, before, env, 1, says)
    assert step[1].tolist() == [1.0, 0.0, 1.0] and env.restart_count.tolist() == [0]
    assert env.step(np.zeros(3, int))[0]["image"][:, 0, 0, 0].tolist() == [4, 1, 4]


@pytest.mark.parametrize(("action", "says"), [(KILL, "killed by SIGKILL"), (HANG, "hung for 0.5 s (step_timeout)")])
@pytest.mark.parametrize("is_async", [False, True])
def test_a_worker_that_dies_or_hangs_costs_its_episode_only(
    build: Make, action: int, says: str, is_async: bool
) -> None:
    options = {"batch_size": 1, "order": "ready"} if is_async else {}
    env = build("vldac_test/Trouble-v0", 3, num_workers=3, step_timeout=0.5, **options)
    env.reset(seed=20)
    for _ in range(2):
        before = env.step(np.zeros(3, int))[0]["image"]
    pids = env.worker_pids
    if is_async:
        env.send(np.array([action]), [1])
        env.send(np.array([FINE]), [0])
        assert env.recv()[4]["env_id"].tolist() == [0], "the others do not wait"
        _, reward, _, truncated, info = env.recv()
        assert (
            info["env_id"].tolist() == [1]
            and truncated[0]
            and reward[0] == 0
            and says in info["final_info"]["fault"][0]
        )
    else:
        step = env.step(np.array([FINE, action, FINE]))
        check_fault(step, before, env, 1, says)
        assert step[0]["image"][:, 0, 0, 0].tolist() == [3, 0, 3] and step[1].tolist() == [1.0, 0.0, 1.0]
    assert env.worker_pids[1] != pids[1] and [env.worker_pids[0], env.worker_pids[2]] == [pids[0], pids[2]]
    assert env.restart_count.tolist() == [0, 1, 0] and env.fault_count.tolist() == [0, 1, 0]
    with pytest.raises(ProcessLookupError):
        os.kill(pids[1], 0)


def test_a_worker_killed_between_two_steps_is_a_fault_of_the_next(build: Make) -> None:
    env = build("vldac_test/Trouble-v0", 4, num_workers=2)
    env.reset(seed=20)
    for _ in range(2):
        before = env.step(np.zeros(4, int))[0]["image"]
    os.kill(env.worker_pids[1], signal.SIGKILL)
    time.sleep(0.1)
    step = env.step(np.zeros(4, int))
    for row in (2, 3):
        check_fault(step, before, env, row, "killed by SIGKILL")
    assert step[1].tolist() == [1.0, 1.0, 0.0, 0.0]
    assert env.step(np.zeros(4, int))[0]["image"][:, 0, 0, 0].tolist() == [4, 4, 1, 1]


def test_an_answer_that_waits_is_not_overwritten_when_its_worker_dies_and_comes_back(build: Make) -> None:
    """The recovered episode's picture was once handed out as the answer of the step before the fault."""
    env = build("vldac_test/Trouble-v0", 2, num_workers=2, batch_size=1, step_timeout=3.0)
    env.reset(seed=20)
    env.send(np.array([HANG, FINE]))
    threading.Timer(0.3, os.kill, (env.worker_pids[1], signal.SIGKILL)).start()
    assert "hung for 3 s" in env.recv()[4]["final_info"]["fault"][0]
    assert env.restart_count.tolist() == [1, 1] and not env._pool.pending.any(), "worker 1 is back, too"
    obs, reward, terminated, truncated, _ = env.recv()
    assert obs["image"][0, 0, 0, 0] == 1 and reward[0] == 1 and not (terminated | truncated)[0]
    env.send([FINE], [1])
    obs, reward, _, truncated, info = env.recv()
    assert truncated[0] and reward[0] == 0 and info["final_obs"][0]["image"][0, 0, 0] == 1
    assert obs["image"][0, 0, 0, 0] == 0 and "killed by SIGKILL" in info["final_info"]["fault"][0]


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.DISABLED])
@pytest.mark.parametrize("action", [RAISE, KILL])
def test_other_autoreset_modes_tell_faults_too(build: Make, mode: AutoresetMode, action: int) -> None:
    env = build("vldac_test/Trouble-v0", 2, num_workers=2, autoreset_mode=mode)
    env.reset(seed=20)
    before = env.step(np.zeros(2, int))[0]["image"]
    obs, reward, terminated, truncated, info = env.step(np.array([FINE, action]))
    assert truncated.tolist() == [False, True] and reward.tolist() == [1.0, 0.0] and not terminated.any()
    assert "episode 0" in info["fault"][1] and info["_fault"].tolist() == [False, True]
    assert np.array_equal(obs["image"][1], before[1])
    if mode is AutoresetMode.DISABLED:
        obs, _ = env.reset(options={"reset_mask": truncated})
    else:
        obs, reward, *_ = env.step(np.zeros(2, int))
        assert reward.tolist() == [1.0, 0.0]
    assert np.array_equal(obs["image"][1], gym.make("vldac_test/Trouble-v0").reset(seed=episode_seed(21, 1))[0])
    assert env.step(np.zeros(2, int))[0]["image"][1, 0, 0, 0] == 1


def test_a_worker_that_cannot_live_ends_the_run(build: Make) -> None:
    env = build("vldac_test/Trouble-v0", 1, max_restarts=2)
    env.reset(seed=0)
    with pytest.raises(EnvError, match=r"(?s)within 2 restarts.*killed by SIGKILL"):
        for _ in range(9):
            env.step(np.array([KILL]))
    assert env.restart_count.tolist() == [2]
    with pytest.raises(EnvError, match="open environments"):
        env.step(np.array([FINE]))


def test_what_cannot_start_is_told_in_its_own_words(build: Make) -> None:
    for name, options, says in (
        ("vldac_test/Nowhere-v0", {}, "NameNotFound"),
        ("vldac_test/Trouble-v0", {"env_kwargs": {"broken_start": True}}, "ValueError: the constructor says no"),
        ("vldac_test/Trouble-v0", {"env_kwargs": {"colour": 1}}, "unexpected keyword argument 'colour'"),
        ("vldac_test/Trouble-v0", {"render_image": True}, "render"),
    ):
        with pytest.raises(EnvError, match=r"(?s)can make.*worker [01]") as error:
            build(name, 2, **options)
        assert says in str(error.value)
    with pytest.raises(EnvError, match="No module named 'no_such_package'"):
        make("gymnasium:CartPole-v1", 1, imports=["no_such_package"])
    broken = build("vldac_test/Trouble-v0", 1, env_kwargs={"broken_reset": True}, max_restarts=1)
    with pytest.raises(EnvError, match="3 instances could not begin an episode: ValueError: the reset says no"):
        broken.reset(seed=0)


def test_mistakes_have_a_four_part_message(build: Make) -> None:
    for options, says in (
        ({"num_worker": 2}, "did you mean 'num_workers'"), ({"order": "lifo"}, "'fifo' or 'ready'"),
        ({"batch_size": 3}, "1 to num_envs"),
        ({"env_kwargs": {"f": object()}}, "not by pickle"), ({"action_names": ["a"]}, "a different name for each action"),
        ({"prompt": "{step"}, "template of str.format"),
    ):  # fmt: skip
        with pytest.raises(EnvError, match=says):
            build("vldac_test/Walk-v0", 2, **options)
    env = build("vldac_test/Walk-v0", 2, batch_size=1)
    with pytest.raises(EnvError, match=r"reset\(\) before the first step"):
        env.step(np.zeros(2, int))
    env.reset(seed=0)
    for actions in (np.array([0, 2]), np.array([0]), np.array([0.5, 0]), np.array([-1, 0]), None, "ab", [[0], [1]]):
        with pytest.raises(EnvError, match=r"2 actions of Discrete\(2\)"):
            env.step(actions)
    for call, says in (
        (lambda: env.recv(), "in flight"), (lambda: env.send([0], [2]), "different environments"),
        (lambda: env.reset(seed=-1), "a seed, or 2"), (lambda: env.reset(seed=[1]), "a seed, or 2"),
        (lambda: env.reset(options={"reset_mask": np.zeros(2, bool)}), "at least one True"),
        (lambda: env.reset(options={"x": object()}), "plain values"),
    ):  # fmt: skip
        with pytest.raises(EnvError, match=says):
            call()
    env.send([0], [1])
    with pytest.raises(EnvError, match="not in flight"):
        env.send([0], [1])
    with pytest.raises(EnvError, match="nothing in flight"):
        env.step([0, 0])
    assert env.recv()[4]["env_id"] == [1]


def test_reset_options_reach_the_environments(build: Make) -> None:
    _, info = build("vldac_test/Walk-v0", 3, num_workers=2).reset(seed=0, options={"position": 2})
    assert info["position"].tolist() == [2, 2, 2]


def test_what_infos_cannot_carry_is_left_out_with_a_word(build: Make, capfd: pytest.CaptureFixture[str]) -> None:
    env = build("vldac_test/Trouble-v0", 2, env_kwargs={"big_info": True}, info_bytes=1 << 14)
    env.reset(seed=0)
    for _ in range(3):
        info = env.step(np.zeros(2, int))[4]
    assert info["count"].tolist() == [3, 3] and "long" not in info
    told = capfd.readouterr().err
    assert told.count("info['long'] cannot cross processes") == 1 and told.count("info['thing']") == 1


# -- processes ----------------------------------------------------------------------------------------------------------


def test_a_timeout_loses_nothing(build: Make) -> None:
    env = build("vldac_test/Trouble-v0", 2, num_workers=2)
    env.reset(seed=0)
    env.send(np.array([SLOW, FINE]))
    with pytest.raises(TimeoutError, match=r"within 0\.05 s"):
        env.recv(timeout=0.05)
    assert env.recv(timeout=30)[0]["image"][:, 0, 0, 0].tolist() == [1, 1]


@pytest.mark.parametrize("is_sync", [True, False])
def test_an_interrupt_ends_the_wait_and_loses_nothing(build: Make, is_sync: bool) -> None:
    env = build("vldac_test/Trouble-v0", 2, num_workers=2)
    env.reset(seed=0)
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            if is_sync:
                env.step(np.array([SLOW, FINE]))
            else:
                env.send(np.array([SLOW, FINE]))
                env.recv()
    finally:
        signal.signal(signal.SIGINT, previous)
    assert env.recv()[0]["image"][:, 0, 0, 0].tolist() == [1, 1] and env.fault_count.sum() == 0
    assert env.step(np.zeros(2, int))[0]["image"][:, 0, 0, 0].tolist() == [2, 2]


def test_a_command_that_is_repeated_is_not_stepped_twice(build: Make) -> None:
    """What an interrupt may cause: the parent asks again for what it is not sure of."""
    env = build("vldac_test/Trouble-v0", 3, num_workers=1)
    env.reset(seed=0)
    for count in range(1, 4):
        env.send(np.zeros(3, int))
        env._pool._is_unsure = True
        assert env.recv()[0]["image"][:, 0, 0, 0].tolist() == [count] * 3


def test_reset_drops_what_is_in_flight(build: Make) -> None:
    env = build("vldac_test/Trouble-v0", 3, num_workers=2, batch_size=1)
    env.reset(seed=0)
    env.send(np.array([SLOW, FINE, FINE]))
    assert env.reset(seed=0)[0]["image"][:, 0, 0, 0].tolist() == [0, 0, 0] and env.in_flight == 0
    env.send(np.zeros(3, int))
    env.reset(options={"reset_mask": np.array([True, False, False])})
    assert [env.recv()[4]["env_id"].tolist() for _ in range(2)] == [[1], [2]]
    assert env.step(np.zeros(3, int))[0]["image"][:, 0, 0, 0].tolist() == [1, 2, 2]


def test_closed_forked_and_concurrent_use_is_refused(build: Make) -> None:
    env = build("vldac_test/Trouble-v0", 2, num_workers=2)
    env.reset(seed=0)
    answer, question = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            env.step(np.zeros(2, int))
            text = "stepped"
        except EnvError as error:
            text = str(error)
        os.write(question, text.encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert "forked from" in os.read(answer, 4096).decode()
    assert env.step(np.zeros(2, int))[0]["image"][:, 0, 0, 0].tolist() == [1, 1], "the child ended, the workers did not"

    thread = threading.Thread(target=env.step, args=(np.array([SLOW, FINE]),))
    thread.start()
    time.sleep(0.1)
    with pytest.raises(EnvError, match="one caller at a time"):
        env.step(np.zeros(2, int))
    thread.join()
    pids = env.worker_pids
    env.close()
    env.close()
    for call in (lambda: env.step(np.zeros(2, int)), env.reset, env.recv, env.prompts):
        with pytest.raises(EnvError, match="open environments"):
            call()
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_close_ends_a_worker_that_hangs(build: Make) -> None:
    env = build("vldac_test/Trouble-v0", 1)
    env.reset(seed=0)
    env.send(np.array([HANG]))
    pid = env.worker_pids[0]
    tick = time.monotonic()
    env.close()
    assert time.monotonic() - tick < 20
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


PARENT = """
    import os, sys, threading, time
    import numpy as np
    sys.path.insert(0, {folder!r})
    from vldac.envs import make
    made = []
    def build():
        made.append(make("gymnasium:vldac_test/Trouble-v0", 2, num_workers=2, imports=["worker_envs"]))
    if {in_thread}:
        thread = threading.Thread(target=build)
        thread.start()
        thread.join()
        time.sleep(0.3)
    else:
        build()
    env = made[0]
    env.reset(seed=0)
    env.step(np.zeros(2, int))
    if {with_child} and os.fork() == 0:
        time.sleep(60)
        os._exit(0)
    print(*env.worker_pids, flush=True)
    env.step(np.array([2, 2]))  # both hang, deaf to SIGTERM and SIGINT
"""


@pytest.mark.parametrize(("in_thread", "with_child"), [(False, False), (True, False), (False, True)])
def test_workers_die_with_their_parent(in_thread: bool, with_child: bool) -> None:
    """However it was started, whatever it forked, and although the workers hang; a thread that ends is no parent that dies."""
    code = textwrap.dedent(PARENT).format(folder=str(Path(__file__).parent), in_thread=in_thread, with_child=with_child)
    parent = subprocess.Popen(
        [sys.executable, "-P", "-c", code], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert parent.stdout is not None
    pids = [int(word) for word in parent.stdout.readline().split()]
    assert len(pids) == 2 and all(is_alive(pid) for pid in pids)
    time.sleep(0.3)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    end = time.monotonic() + 10
    while any(is_alive(pid) for pid in pids) and time.monotonic() < end:
        time.sleep(0.02)
    assert not any(is_alive(pid) for pid in pids)
    os.killpg(parent.pid, signal.SIGKILL) if with_child else None
    parent.stdout.close()


def is_alive(pid: int) -> bool:
    """True for a process that is there and no zombie (in a container nobody may reap it)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_collected_environment_leaves_no_process(build: Make) -> None:
    env = make("gymnasium:CartPole-v1", 2, num_workers=2)
    pids = env.worker_pids
    del env
    assert not any(is_alive(pid) for pid in pids)


# -- for a model --------------------------------------------------------------------------------------------------------


def test_prompts_know_the_step_the_actions_and_the_infos(build: Make) -> None:
    env = build("vldac_test/Walk-v0", 2, prompt="{env_id} {step} {actions} {name}", action_names=["left", "right"])
    env.reset(seed=0, options={"position": 0})
    env.step(np.array([0, 1]))
    texts = [message["content"][1]["text"] for (message,) in env.prompts()]
    assert texts == [f"vldac_test/Walk-v0 1 left, right at {p}" for p in (-1, 1)]
    assert env.prompts()[0][0]["content"][0] == {"type": "image"} and env.image_size == (30, 28)
    env.send(np.array([0]), np.array([0]))
    assert env.prompts(np.array([1])) == [
        [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": texts[1]}]}]
    ]
    with pytest.raises(EnvError, match="environment 0"):
        env.prompts(np.array([1, 0]))
    env.send(np.array([1]), np.array([1]))
    env.recv()
    final = env.step(np.array([0, 1]))[4]
    assert final["final_info"]["prompt"][1][0]["content"][1]["text"] == "vldac_test/Walk-v0 3 left, right at 3"
    assert final["final_info"]["success"].tolist() == [False, True], "a positive reward at the end"
    free = build("vldac_test/Walk-v0", 1, prompt=lambda facts: f"step {facts['step']}: {facts['info']['position']}")
    free.reset(seed=0, options={"position": 1})
    assert free.prompts()[0][0]["content"][1]["text"] == "step 0: 1"
    wrong = build("vldac_test/Walk-v0", 1, prompt="{positio}")
    wrong.reset(seed=0)
    with pytest.raises(EnvError, match="did you mean 'position'"):
        wrong.prompts()


def test_an_environment_without_a_picture_is_drawn_on_request() -> None:
    pytest.importorskip("pygame", reason="CartPole is drawn with pygame")
    with closing(make("gymnasium:CartPole-v1", 2, task="vldac", image_size=(84, 56), num_workers=1)) as env:
        obs, _ = env.reset(seed=0)
        assert obs["image"].shape == (2, 56, 84, 3) and obs["state"].shape == (2, 4)
        reference = gym.make("CartPole-v1", render_mode="rgb_array")
        state, _ = reference.reset(seed=0)
        assert np.array_equal(obs["state"][0], state)
        assert abs(obs["image"][0].mean() - reference.render().mean()) < 2  # resized
        assert env.image_size == (84, 56) and env.action_names == ["0", "1"]
    with closing(make("gymnasium:CartPole-v1", 1)) as env, pytest.raises(EnvError, match="pass render_image=True"):
        env.prompts()


def test_the_real_miniworld_runs_headless() -> None:
    if importlib.util.find_spec("miniworld") is None:
        pytest.skip("the miniworld package is not installed (extra miniworld)")
    if find_library("EGL") is None:
        pytest.skip("libEGL is not installed (Debian: libegl1 libgl1-mesa-dri libglu1-mesa)")
    with closing(make("gymnasium:MiniWorld-OneRoom-v0", 3, num_workers=2, task="vldac")) as env:
        obs, _ = env.reset(seed=0)
        assert obs["image"].shape == (3, 60, 80, 3) and env.action_names[:3] == [
            "turn_left",
            "turn_right",
            "move_forward",
        ]
        before = obs["image"].copy()
        obs, *_ = env.step(np.array([0, 1, 0]))
        assert all(not np.array_equal(a, b) for a, b in zip(obs["image"], before, strict=True))
        assert len(np.unique(obs["image"].reshape(-1, 3), axis=0)) > 100, "a textured scene, not an empty frame"
        again, _ = env.reset(seed=0)
        assert np.array_equal(again["image"], before)


@pytest.mark.parametrize("order", ["fifo", "ready"])
def test_killing_workers_at_random_loses_episodes_and_nothing_else(build: Make, order: str) -> None:
    """Each environment's counter goes on by one, or its episode ended in a fault that is told; no answer is lost or doubled."""
    seed = int(time.time_ns() % 2**32)
    print(f"seed {seed}")
    rng = np.random.default_rng(seed)
    env = build("vldac_test/Trouble-v0", 6, num_workers=3, batch_size=2, order=order, max_restarts=99)
    count = env.reset(seed=0)[0]["image"][:, 0, 0, 0].astype(int)
    env.send(np.zeros(6, int))
    faults = answers = 0
    while faults < 12 and answers < 20_000:
        obs, reward, terminated, truncated, info = env.recv(timeout=60)
        for i, e in enumerate(info["env_id"]):
            answers += 1
            ended = terminated[i] or truncated[i]
            if truncated[i]:
                faults += 1
                assert "killed by SIGKILL" in info["final_info"]["fault"][i] and reward[i] == 0
                assert info["final_obs"][i]["image"][0, 0, 0] == count[e], "the picture that was seen last"
            else:
                assert reward[i] == 1 and terminated[i] == (count[e] == 4)
            count[e] = 0 if ended else count[e] + 1
            assert obs["image"][i, 0, 0, 0] == count[e]
        env.send(np.zeros(2, int), info["env_id"])
        if rng.random() < 0.02:
            os.kill(env.worker_pids[rng.integers(3)], signal.SIGKILL)
    assert faults >= 12 and env.fault_count.sum() >= faults


def test_responses_become_steps() -> None:
    env = make("gymnasium:CartPole-v1", 3, num_workers=1)
    twin = make("gymnasium:CartPole-v1", 3, num_workers=1)
    try:
        env.reset(seed=0)
        twin.reset(seed=0)
        obs, reward, *_, info = env.step_text(
            ['{"action": "1"}', '{"action": "0"}', "?"], fallback="penalty", penalty=-2.0
        )
        assert info["parse_status"].tolist()[:2] == [0, 0] and info["action"].tolist()[:2] == [1, 0]
        plain = twin.step(info["action"])
        assert np.array_equal(obs, plain[0]) and (reward - plain[1]).tolist() == [0, 0, -2]
        drawn = [env.step_text(["?"] * 3)[4]["action"].tolist() for _ in range(12)]
        assert len({tuple(row) for row in drawn}) > 3
        with pytest.raises(EnvError, match="3 responses"):
            env.step_text(["?"])
    finally:
        env.close()
        twin.close()
