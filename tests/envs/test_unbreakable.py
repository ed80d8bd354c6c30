"""Faults, hangs, forks and use after the end: told, contained, and never a reward."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import numpy as np
import pytest

from vldac.envs import make
from vldac.errors import EnvError, EnvHangError


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (0, "failed on purpose"),
        (1, "no finite number"),
        (3, "step budget"),
        (5, "cannot draw"),
        (6, "unknown type"),
        (7, "unknown type"),
    ],
)
def test_a_fault_ends_one_episode_and_nothing_else(kind: int, message: str) -> None:
    env = make("test/Misbehaving-v0", 12, image_size=(28, 28), kind=kind, odds=0.3, at_step=3, step_timeout=0.02)
    env.reset(seed=0)
    faults = 0
    length = np.zeros(12, int)
    for _ in range(40):
        obs, reward, terminated, truncated, info = env.step(np.zeros(12, int))
        length += 1
        told = info["final_info"]["fault"] if "final_info" in info else [None] * 12
        for e in range(12):
            if told[e]:
                faults += 1
                assert (
                    message in told[e]
                    and f"(environment {e}, seed {e}, episode " in told[e]
                    and told[e].endswith("step 3)")
                )
                assert truncated[e] and not terminated[e] and reward[e] == 0.0 and length[e] == 3
                assert not info["final_info"]["success"][e] and info["final_info"]["return"][e] == 2.0
                assert (obs["image"][e] == 0).all()  # the next episode has begun
                length[e] = 0
            else:
                assert reward[e] == 1.0
                if truncated[e]:
                    assert length[e] == 10 and info["final_info"]["success"][e]
                    length[e] = 0
    assert faults > 20 and env.fault_count == faults


def test_a_fault_at_the_start_of_an_episode_skips_to_the_next_one() -> None:
    env = make("test/Misbehaving-v0", 6, image_size=(28, 28), kind=4, odds=0.4)
    env.reset(seed=0)
    for _ in range(50):
        _, reward, *_ = env.step(np.zeros(6, int))
        assert (reward == 1.0).all()
    assert env.fault_count > 5


def test_a_first_picture_that_cannot_be_drawn_is_no_end_of_an_episode() -> None:
    env = make("test/Misbehaving-v0", 8, image_size=(28, 28), kind=5, odds=0.3, at_step=0)
    _, info = env.reset(seed=0)
    assert "final_info" not in info and env.fault_count > 0
    assert info["episode_id"].sum() == env.fault_count
    assert (env.step(np.zeros(8, int))[1] == 1.0).all()


def test_an_environment_that_never_starts_is_an_error() -> None:
    env = make("test/Misbehaving-v0", 2, image_size=(28, 28), kind=4)
    with pytest.raises(EnvError, match=r"8 episodes in a row could not start.*reset failed on purpose"):
        env.reset(seed=0)
    with pytest.raises(EnvError, match="could not start"):
        env.step(np.zeros(2, int))
    env.close()


def test_a_hang_is_named_and_the_pool_can_still_be_closed() -> None:
    code = """
import numpy as np
from vldac.envs import make
from vldac.errors import EnvHangError
env = make("test/Misbehaving-v0", 4, image_size=(28, 28), num_threads=2, kind=2, at_step=2, odds=0.5, step_timeout=0.3)
env.reset(seed=100)
try:
    for _ in range(10):
        env.step(np.zeros(4, int))
except EnvHangError as error:
    print(error)
try:
    env.step(np.zeros(4, int))
except Exception as error:
    print(type(error).__name__, "hangs" in str(error))
env.close()
print("closed")
"""
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "environment " in done.stdout and ", seed 10" in done.stdout and "one call took more than 1.3" in done.stdout
    assert "EnvError True" in done.stdout and done.stdout.endswith("closed\n")


def test_close_is_idempotent_and_use_after_it_is_told() -> None:
    env = make("gym_cards/NumberLine-v0", 2, image_size=(28, 28))
    obs, _ = env.reset(seed=0)
    image = obs["image"]
    before = image.copy()
    env.close()
    env.close()
    for call in (
        lambda: env.step(np.zeros(2, int)),
        env.reset,
        env.recv,
        env.get_state,
        env.facts,
        env.prompts,
        env.observe,
    ):
        with pytest.raises(EnvError, match="closed"):
            call()
    assert np.array_equal(image, before)


def test_a_fork_is_told() -> None:
    env = make("gym_cards/NumberLine-v0", 2, image_size=(28, 28), num_threads=2)
    env.reset(seed=0)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            env.step(np.zeros(2, int))
            told = "no error"
        except EnvError as error:
            told = error.got
        env.close()
        os.write(writer, told.encode())
        os._exit(0)
    os.close(writer)
    told = os.read(reader, 1000).decode()
    assert os.waitpid(child, 0)[1] == 0 and "fork" in told
    env.step(np.zeros(2, int))


def test_a_pool_is_not_pickled() -> None:
    import pickle

    with pytest.raises(TypeError, match="get_state"):
        pickle.dumps(make("gym_cards/NumberLine-v0", 1))


def test_a_slow_environment_is_no_hang() -> None:
    env = make(
        "test/Misbehaving-v0", 2, image_size=(28, 28), num_threads=1, odds=0, jitter_us=150_000, step_timeout=0.05
    )
    env.reset(seed=0)
    started = time.perf_counter()
    for _ in range(3):
        env.step(np.zeros(2, int))
    assert time.perf_counter() - started > 0.1
    assert issubclass(EnvHangError, EnvError)
