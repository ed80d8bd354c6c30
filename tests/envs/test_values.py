"""Values and spaces that cross processes: what arrives is what was sent, or is said to be left out."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from vldac.envs.foreign.shared_memory import Segment, create_memory, space_fields, space_slots
from vldac.envs.foreign.values import decode, decode_space, encode, encode_info, encode_space

from vldac.errors import EnvError

DTYPES = st.sampled_from([np.bool_, np.uint8, np.int16, np.int64, np.float16, np.float32, np.float64])
ARRAYS = DTYPES.flatmap(lambda d: hnp.arrays(d, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)))
SCALARS = DTYPES.flatmap(lambda d: hnp.arrays(d, 1).map(lambda a: a[0]))
NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | ARRAYS | SCALARS
LEAVES = st.none() | st.booleans() | st.text() | st.binary() | NUMBERS
VALUES = st.recursive(
    LEAVES, lambda v: st.lists(v, max_size=4) | st.dictionaries(st.text(), v, max_size=4), max_leaves=12
)


def same(a: Any, b: Any) -> bool:
    if isinstance(b, dict):
        return isinstance(a, dict) and list(a) == list(b) and all(same(a[k], b[k]) for k in b)
    if isinstance(b, list):
        return isinstance(a, list) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(b, np.ndarray | np.generic):
        return type(a) is type(b) and a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    return type(a) is type(b) and a == b


@given(VALUES)
def test_what_is_sent_arrives(value: Any) -> None:
    assert same(decode(encode(value)), value)


def test_a_received_array_is_writable() -> None:
    array = decode(encode(np.arange(3)))
    array[0] = 7
    assert array.tolist() == [7, 1, 2]


@given(st.dictionaries(st.text(min_size=1), VALUES | st.builds(object), max_size=6), st.integers(64, 2000))
def test_an_info_keeps_what_fits_and_names_the_rest(info: dict[str, Any], limit: int) -> None:
    data, left_out = encode_info(info, limit)
    arrived = decode(data)
    assert (
        len(data) <= limit and arrived.keys() | left_out.keys() == info.keys() and not arrived.keys() & left_out.keys()
    )
    assert all(same(arrived[key], info[key]) for key in arrived)
    if not left_out:
        assert list(arrived) == list(info)


SPACES: list[gym.Space[Any]] = [
    spaces.Box(0, 255, (4, 5, 3), np.uint8), spaces.Box(-1, np.inf, (2,), np.float64), spaces.Box(0, 1, (), np.float32),
    spaces.Box(np.array([-1.0, 0.0]), np.array([1.0, 5.0]), dtype=np.float32), spaces.Discrete(5), spaces.Discrete(3, start=-1),
    spaces.MultiDiscrete([3, 4]), spaces.MultiDiscrete(np.array([[2, 3], [4, 5]])), spaces.MultiBinary(4),
    spaces.MultiBinary((2, 3)), spaces.Text(7, charset="aé漢"), spaces.Dict({"b": spaces.Discrete(2), "a": spaces.Text(3)}),
    spaces.Tuple([spaces.Discrete(2), spaces.Dict({"x": spaces.Box(0, 1, (0,), np.float32)})]),
]  # fmt: skip


@pytest.mark.parametrize("space", SPACES, ids=str)
def test_a_space_and_its_samples_arrive(space: gym.Space[Any]) -> None:
    arrived = decode_space(decode(encode(encode_space(space, "test"))))
    assert arrived == space and arrived.dtype == space.dtype and repr(arrived) == repr(space)
    fields = space_fields(arrived, "obs", 3, 100)
    memory = create_memory()
    ours, theirs = Segment(memory, fields, is_owner=True), Segment(memory, fields, is_owner=False)
    space.seed(0)
    samples = [space.sample() for _ in range(3)]
    writer, reader = space_slots(arrived, "obs", ours.arrays), space_slots(arrived, "obs", theirs.arrays)
    for i, sample in enumerate(samples):
        writer.write(i, sample)
    assert all(str(reader.read(i)) == str(sample) for i, sample in enumerate(samples))
    wanted = gym.vector.utils.concatenate(space, samples, gym.vector.utils.create_empty_array(space, 3))
    assert str(reader.gather(np.arange(3))) == str(wanted)
    for field in fields:
        assert theirs.arrays[field.name].ctypes.data % 64 == 0


def test_spaces_without_a_fixed_size_are_refused() -> None:
    for space in (spaces.Sequence(spaces.Discrete(2)), spaces.Dict({"g": spaces.Graph(spaces.Discrete(2), None)})):
        with pytest.raises(EnvError, match="Box, Discrete, MultiDiscrete, MultiBinary, Text"):
            encode_space(space, "observation space")


def test_a_sample_that_does_not_fit_is_refused() -> None:
    fields = space_fields(SPACES[0], "obs", 1, 100) + space_fields(spaces.Text(50), "text", 1, 20)
    arrays = Segment(create_memory(), fields, is_owner=True).arrays
    picture, text = space_slots(SPACES[0], "obs", arrays), space_slots(spaces.Text(50), "text", arrays)
    with pytest.raises(ValueError, match=r"of shape \(4, 5, 3\) expected"):
        picture.write(0, np.zeros((4, 5), np.uint8))
    with pytest.raises(TypeError, match="Cannot cast"):
        picture.write(0, np.zeros((4, 5, 3), np.float32))
    with pytest.raises(ValueError, match="longer than text_bytes=20"):
        text.write(0, "x" * 21)
