"""The native rollout buffer: windows, counters and carry-over are what a plain Python list of steps says; views never dangle."""

import gc
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vldac import _core

HEIGHT, WIDTH, TOKENS = 2, 3, 4


def frame(rng: np.random.Generator, count: int) -> np.ndarray:
    return rng.integers(0, 256, (count, HEIGHT, WIDTH, 3), dtype=np.uint8)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), num_envs=st.integers(1, 3), steps=st.integers(1, 5), images=st.integers(1, 3))
def test_rounds_equal_a_plain_list_of_steps(seed: int, num_envs: int, steps: int, images: int) -> None:
    rng = np.random.default_rng(seed)
    buffer = _core.RolloutBuffer(num_envs, steps, HEIGHT, WIDTH, images, TOKENS)
    envs = np.arange(num_envs)
    now = frame(rng, num_envs)
    buffer.begin(envs, now)
    windows = [[now[e]] for e in envs]
    episode, index = np.zeros(num_envs, int), np.zeros(num_envs, int)
    for _ in range(3):
        expected: list[list[dict]] = [[] for _ in envs]
        for _ in range(steps):
            counts = rng.integers(0, TOKENS + 1, num_envs)
            offsets = np.concatenate([[0], np.cumsum(counts)])
            tokens, logprob = rng.integers(0, 99, offsets[-1]), rng.normal(size=offsets[-1]).astype(np.float32)
            value, reward = rng.normal(size=(2, num_envs))
            terminated, truncated = rng.random((2, num_envs)) < 0.3
            said = rng.random((2, num_envs)) < 0.5
            buffer.respond(
                envs,
                tokens,
                logprob,
                offsets,
                counts,
                counts.astype(np.uint8),
                said[0],
                said[1],
                value.astype(np.float32),
                value,
            )
            now = frame(rng, num_envs)
            buffer.observe(envs, reward, terminated, truncated, value, said[0], said[1], now)
            for e in envs:
                row = {"tokens": tokens[offsets[e] : offsets[e + 1]], "window": list(windows[e]), "reward": reward[e]}
                expected[e].append(row | {"episode": episode[e], "index": index[e], "terminated": terminated[e]})
                ended = terminated[e] or truncated[e]
                episode[e], index[e] = episode[e] + ended, 0 if ended else index[e] + 1
                windows[e] = [now[e]] if ended else [*windows[e], now[e]][-images:]
        assert buffer.is_full
        for e in envs:
            for t, row in enumerate(expected[e]):
                i = e * steps + t
                assert buffer.tokens[i, : buffer.num_tokens[i]].tolist() == row["tokens"].tolist()
                end = images + t
                assert np.array_equal(buffer.frames[e, end - buffer.shown[i] : end], np.stack(row["window"]))
                got = (buffer.reward[i], buffer.episode[i], buffer.index[i], buffer.terminated[i])
                assert got == (row["reward"], row["episode"], row["index"], row["terminated"])
            assert np.array_equal(buffer.frames[e, images + steps - 1], now[e])
        buffer = buffer.next()
        assert not buffer.filled.any()


def test_mistakes_are_refused_and_nothing_is_written() -> None:
    buffer = _core.RolloutBuffer(2, 1, HEIGHT, WIDTH, 1, TOKENS)
    one, flags = np.array([0]), np.zeros(1, bool)
    said = (np.zeros(1, np.uint8), flags, flags, np.zeros(1, np.float32), np.zeros(1))
    with pytest.raises(ValueError, match="no observation"):
        buffer.respond(one, np.zeros(0, int), np.zeros(0, np.float32), np.array([0, 0]), one, *said)
    buffer.begin(np.arange(2), np.zeros((2, HEIGHT, WIDTH, 3), np.uint8))
    with pytest.raises(ValueError, match="room for 4"):
        buffer.respond(one, np.zeros(5, int), np.zeros(5, np.float32), np.array([0, 5]), one, *said)
    with pytest.raises(ValueError, match="offsets that do not decrease"):
        buffer.respond(one, np.zeros(2, int), np.zeros(2, np.float32), np.array([0, 3]), one, *said)
    with pytest.raises(ValueError, match="no environment 2"):
        buffer.begin(np.array([2]), np.zeros((1, HEIGHT, WIDTH, 3), np.uint8))
    with pytest.raises(ValueError, match="one frame of 2 x 3 x 3 bytes"):
        buffer.begin(one, np.zeros((1, HEIGHT, WIDTH + 1, 3), np.uint8))
    with pytest.raises(ValueError, match="not full"):
        buffer.next()
    empty = np.zeros((1, HEIGHT, WIDTH, 3), np.uint8)
    buffer.observe(one, np.zeros(1), flags, flags, np.zeros(1), flags, flags, empty)
    with pytest.raises(ValueError, match="already has its steps"):
        buffer.observe(one, np.zeros(1), flags, flags, np.zeros(1), flags, flags, empty)
    assert buffer.filled.tolist() == [1, 0]


def test_a_view_keeps_the_buffer_alive() -> None:
    buffer = _core.RolloutBuffer(4, 64, 32, 32, 1, 8)
    view = buffer.frames
    view[:] = 7
    del buffer
    gc.collect()
    others = [_core.RolloutBuffer(4, 64, 32, 32, 1, 8) for _ in range(4)]
    assert (view == 7).all() and not any(other.frames.any() for other in others)


@settings(max_examples=200, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 50), max_size=40), shared=st.sampled_from([0, 5, 70]), rows=st.integers(0, 9),
    tokens=st.sampled_from([0, 1, 60, 200]),
)  # fmt: skip
def test_a_plan_is_a_permutation_within_its_limits(lengths: list[int], shared: int, rows: int, tokens: int) -> None:
    """In as few micro-batches as rows in order of length allow, the largest of them as small as possible."""
    order, offsets = _core.plan_microbatches(
        np.array(lengths, np.int64), shared=shared, max_rows=rows, max_tokens=tokens
    )
    assert sorted(order.tolist()) == list(range(len(lengths)))
    assert offsets[0] == 0 and offsets[-1] == len(lengths) and (np.diff(offsets) > 0).all()
    own = [sum(lengths[i] for i in order[start:end]) for start, end in itertools.pairwise(offsets)]
    for size, total in zip(np.diff(offsets), own, strict=True):
        assert (rows == 0 or size <= rows) and (tokens == 0 or size == 1 or shared + total <= tokens)

    def parts(limit: float) -> int:
        """Micro-batches of rows in order of length, each as full as `limit` own tokens allow."""
        count = size = total = 0
        for length in sorted(lengths):
            if count == 0 or (size and (size == rows or total + length > limit)):
                count, size, total = count + 1, 0, 0
            size, total = size + 1, total + length
        return count

    assert len(own) == parts(tokens - shared if tokens else float("inf"))
    smallest = next((limit for limit in range(sum(lengths) + 1) if parts(limit) == len(own)), 0)
    assert not own or max(own) <= max(smallest, *lengths)
