"""Values and spaces as bytes: msgpack with NumPy arrays and scalars, which keep their dtype and shape. Never pickle.

Worker processes send their spaces and infos in this form. Tuples and sets arrive as lists; an object that is neither plain data nor
NumPy cannot be sent (`encode_info` leaves it out and says so).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import msgspec
import numpy as np
from gymnasium import spaces

from vldac.errors import EnvError

_ARRAY, _SCALAR = 1, 2
"""msgpack extension types: msgpack of (dtype, shape, bytes); msgpack of (dtype, bytes)."""


def encode(value: Any) -> bytes:
    """Return a value as bytes. Raises TypeError, OverflowError or RecursionError for what cannot be sent."""
    return _ENCODER.encode(value)


def decode(data: bytes | memoryview) -> Any:
    """Return what `encode` was given; arrays are writable copies."""
    return _DECODER.decode(data)


def encode_info(info: Mapping[Any, Any], limit_bytes: int) -> tuple[bytes, dict[str, str]]:
    """Return an info as bytes, and what was left out: {key: reason}. The smallest entries that fit are kept."""
    try:
        data = encode(info)
        if len(data) <= limit_bytes:
            return data, {}
    except (TypeError, OverflowError, RecursionError, ValueError):
        pass
    kept, left_out, sizes, size = {}, {}, dict[Any, int](), 8
    parts: dict[Any, bytes] = {}
    for key, value in info.items():
        try:
            parts[key], key_size = encode(value), len(encode(key))
            sizes[key] = len(parts[key]) + key_size
        except (TypeError, OverflowError, RecursionError, ValueError) as error:
            left_out[str(key)] = f"{type(value).__name__}: {error}"
    for key in sorted(sizes, key=lambda name: sizes[name]):
        size += sizes[key]
        if size > limit_bytes:
            left_out[str(key)] = f"{len(parts[key])} bytes, over the limit of {limit_bytes} together"
        else:
            kept[key] = msgspec.Raw(parts[key])
    return encode({key: kept[key] for key in info if key in kept}), left_out


def encode_space(space: gym.Space[Any], where: str) -> dict[str, Any]:
    """Return a space as plain data. Raises EnvError for kinds that have no fixed size."""
    match space:
        case spaces.Box():
            return {"kind": "Box", "low": _bound(space.low), "high": _bound(space.high), "shape": list(space.shape),
                    "dtype": space.dtype.str}  # fmt: skip
        case spaces.Discrete():
            return {"kind": "Discrete", "n": int(space.n), "start": int(space.start), "dtype": space.dtype.str}
        case spaces.MultiDiscrete():
            return {"kind": "MultiDiscrete", "nvec": space.nvec, "start": space.start, "dtype": space.dtype.str}
        case spaces.MultiBinary():
            return {
                "kind": "MultiBinary",
                "n": list(np.atleast_1d(space.n).tolist()),
                "is_flat": isinstance(space.n, int),
            }
        case spaces.Text():
            return {"kind": "Text", "max": space.max_length, "min": space.min_length, "characters": space.characters}
        case spaces.Dict():
            inner = [[key, encode_space(part, f"{where}[{key!r}]")] for key, part in space.spaces.items()]
            return {"kind": "Dict", "spaces": inner}
        case spaces.Tuple():
            parts = [encode_space(part, f"{where}[{i}]") for i, part in enumerate(space.spaces)]
            return {"kind": "Tuple", "spaces": parts}
    raise EnvError(
        expected="a space of Box, Discrete, MultiDiscrete, MultiBinary, Text, or a Dict or Tuple of these",
        got=repr(space), where=where, do="wrap the environment so that its spaces have a fixed size",
    )  # fmt: skip


def decode_space(data: dict[str, Any]) -> gym.Space[Any]:
    """Return the space that `encode_space` described."""
    match data:
        case {"kind": "Box", "low": low, "high": high, "shape": shape, "dtype": dtype}:
            kind = np.dtype(dtype)
            return spaces.Box(_unbound(low, shape, kind), _unbound(high, shape, kind), tuple(shape), kind.type)
        case {"kind": "Discrete", "n": n, "start": start, "dtype": dtype}:
            return spaces.Discrete(n, start=start, dtype=np.dtype(dtype).type)
        case {"kind": "MultiDiscrete", "nvec": nvec, "start": start, "dtype": dtype}:
            return spaces.MultiDiscrete(nvec, dtype=np.dtype(dtype).type, start=start)
        case {"kind": "MultiBinary", "n": n, "is_flat": is_flat}:
            return spaces.MultiBinary(n[0] if is_flat else n)
        case {"kind": "Text", "max": longest, "min": shortest, "characters": characters}:
            return spaces.Text(longest, min_length=shortest, charset=characters)
        case {"kind": "Dict", "spaces": inner}:
            return spaces.Dict({key: decode_space(part) for key, part in inner})
        case {"kind": "Tuple", "spaces": parts}:
            return spaces.Tuple([decode_space(part) for part in parts])
    raise ValueError(f"not a space: {data!r}")


def _bound(bound: np.ndarray) -> Any:
    """One scalar where all entries are equal (pictures), else the array."""
    first = bound.flat[0] if bound.size else bound.dtype.type(0)
    return np.asarray(first) if (bound == first).all() else bound


def _unbound(bound: np.ndarray, shape: list[int], dtype: np.dtype[Any]) -> np.ndarray:
    return np.array(np.broadcast_to(bound, shape), dtype)


def _pack(value: Any) -> msgspec.msgpack.Ext:
    if isinstance(value, np.ndarray) and not value.dtype.hasobject and value.dtype.fields is None:
        return msgspec.msgpack.Ext(_ARRAY, encode((value.dtype.str, value.shape, value.tobytes())))
    if isinstance(value, np.generic) and not value.dtype.hasobject and value.dtype.fields is None:
        return msgspec.msgpack.Ext(_SCALAR, encode((value.dtype.str, value.tobytes())))
    raise TypeError(f"{type(value).__name__} is neither plain data nor a NumPy array")


def _unpack(code: int, data: memoryview) -> Any:
    if code == _ARRAY:
        dtype, shape, content = msgspec.msgpack.decode(data)
        return np.frombuffer(content, np.dtype(dtype)).reshape(shape).copy()
    if code == _SCALAR:
        dtype, content = msgspec.msgpack.decode(data)
        return np.frombuffer(content, np.dtype(dtype))[0]
    raise ValueError(f"unknown extension {code}")


_ENCODER = msgspec.msgpack.Encoder(enc_hook=_pack)
_DECODER = msgspec.msgpack.Decoder(ext_hook=_unpack)
