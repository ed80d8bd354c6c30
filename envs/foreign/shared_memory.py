"""One shared-memory segment: a struct of arrays, each array 64-byte aligned, laid out alike in the parent and in every worker.

The segment is an anonymous file (memfd): it has no name, so that nothing is left behind however the processes end. Observations lie
in three slots per environment: two that take turns, so that what was seen last survives a worker that is killed while it writes, and
one for the final observation of an episode that ended in the same step.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from vldac.errors import EnvError

ALIGNMENT = 64
"""Bytes; a cache line."""


@dataclass(frozen=True, slots=True)
class Field:
    """An array of the segment."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    @property
    def num_bytes(self) -> int:
        """Size without padding."""
        return int(self.dtype.itemsize * np.prod(self.shape, dtype=np.int64))


def create_memory() -> int:
    """Return a file descriptor of anonymous shared memory, empty as yet."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("vldac-envs", os.MFD_CLOEXEC)
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


class Segment:
    """The mapped arrays by name. Both sides build it from the same fields; `is_owner` sets the size."""

    def __init__(self, fd: int, fields: Sequence[Field], *, is_owner: bool) -> None:
        offsets, size = [], 0
        for field in fields:
            offsets.append(size)
            size += -(-field.num_bytes // ALIGNMENT) * ALIGNMENT
        if is_owner:
            os.ftruncate(fd, max(size, ALIGNMENT))
        self.num_bytes = size
        self._map = mmap.mmap(fd, max(size, ALIGNMENT))
        self.arrays = {
            field.name: np.frombuffer(self._map, field.dtype, field.num_bytes // field.dtype.itemsize, offset).reshape(
                field.shape
            )
            for field, offset in zip(fields, offsets, strict=True)
        }


class Slots(ABC):
    """Rows of one space in a segment: written and read one by one, gathered into batches and scattered from them."""

    @abstractmethod
    def write(self, slot: int, value: Any) -> None:
        """Put one sample into a slot. Raises ValueError or TypeError if it does not fit the space's shape or dtype."""

    @abstractmethod
    def read(self, slot: int) -> Any:
        """Return a copy of one sample."""

    @abstractmethod
    def gather(self, slots: np.ndarray) -> Any:
        """Return a fresh batch of the slots' samples, as Gymnasium's `batch_space` has them."""


class ArraySlots(Slots):
    """Box, Discrete, MultiDiscrete, MultiBinary."""

    def __init__(self, array: np.ndarray, name: str) -> None:
        self.array, self._name = array, name

    def write(self, slot: int, value: Any) -> None:
        value = np.asarray(value)
        if value.shape != self.array.shape[1:]:
            raise ValueError(f"{self._name} of shape {self.array.shape[1:]} expected, got {value.shape}")
        np.copyto(self.array[slot, ...], value, casting="same_kind")

    def read(self, slot: int) -> Any:
        row = self.array[slot]
        return row.copy() if isinstance(row, np.ndarray) else row

    def gather(self, slots: np.ndarray) -> np.ndarray:
        return self.array.take(slots, axis=0)


class TextSlots(Slots):
    """Text as UTF-8 with its length in bytes."""

    def __init__(self, content: np.ndarray, length: np.ndarray, name: str) -> None:
        self._content, self._length, self._name = content, length, name

    def write(self, slot: int, value: Any) -> None:
        data = value.encode("utf-8")
        if len(data) > self._content.shape[1]:
            raise ValueError(f"{self._name} of {len(data)} bytes is longer than text_bytes={self._content.shape[1]}")
        self._content[slot, : len(data)] = np.frombuffer(data, np.uint8)
        self._length[slot] = len(data)

    def read(self, slot: int) -> str:
        return self._content[slot, : self._length[slot]].tobytes().decode("utf-8")

    def gather(self, slots: np.ndarray) -> tuple[str, ...]:
        return tuple(self.read(int(slot)) for slot in slots)


class DictSlots(Slots):
    """A Dict of spaces."""

    def __init__(self, parts: dict[str, Slots]) -> None:
        self.parts = parts

    def write(self, slot: int, value: Any) -> None:
        if not isinstance(value, dict) or value.keys() != self.parts.keys():
            raise ValueError(
                f"entries {', '.join(self.parts)} expected, got {list(value) if isinstance(value, dict) else value!r}"
            )
        for key, part in self.parts.items():
            part.write(slot, value[key])

    def read(self, slot: int) -> dict[str, Any]:
        return {key: part.read(slot) for key, part in self.parts.items()}

    def gather(self, slots: np.ndarray) -> dict[str, Any]:
        return {key: part.gather(slots) for key, part in self.parts.items()}


class TupleSlots(Slots):
    """A Tuple of spaces."""

    def __init__(self, parts: list[Slots]) -> None:
        self.parts = parts

    def write(self, slot: int, value: Any) -> None:
        for part, item in zip(self.parts, value, strict=True):
            part.write(slot, item)

    def read(self, slot: int) -> tuple[Any, ...]:
        return tuple(part.read(slot) for part in self.parts)

    def gather(self, slots: np.ndarray) -> tuple[Any, ...]:
        return tuple(part.gather(slots) for part in self.parts)


def space_fields(space: gym.Space[Any], name: str, num_slots: int, text_bytes: int) -> list[Field]:
    """Return the arrays that hold `num_slots` samples of a space; `text_bytes` caps a Text, in UTF-8 bytes."""
    match space:
        case spaces.Dict():
            return _join(
                space_fields(part, f"{name}.{key}", num_slots, text_bytes) for key, part in space.spaces.items()
            )
        case spaces.Tuple():
            return _join(
                space_fields(part, f"{name}.{i}", num_slots, text_bytes) for i, part in enumerate(space.spaces)
            )
        case spaces.Text():
            size = min(4 * space.max_length, text_bytes)
            return [
                Field(name, np.dtype(np.uint8), (num_slots, size)),
                Field(f"{name}#", np.dtype(np.int32), (num_slots,)),
            ]
    if space.dtype is None or space.shape is None:
        raise EnvError(expected="a space of a fixed shape", got=repr(space), where=name, do="wrap the environment")
    return [Field(name, np.dtype(space.dtype), (num_slots, *space.shape))]


def space_slots(space: gym.Space[Any], name: str, arrays: dict[str, np.ndarray]) -> Slots:
    """Return the accessor of the arrays that `space_fields` described."""
    match space:
        case spaces.Dict():
            return DictSlots({key: space_slots(part, f"{name}.{key}", arrays) for key, part in space.spaces.items()})
        case spaces.Tuple():
            return TupleSlots([space_slots(part, f"{name}.{i}", arrays) for i, part in enumerate(space.spaces)])
        case spaces.Text():
            return TextSlots(arrays[name], arrays[f"{name}#"], name)
    return ArraySlots(arrays[name], name)


def _join(lists: Iterable[list[Field]]) -> list[Field]:
    return [field for part in lists for field in part]
