"""What a set of MiniWorld's textures and meshes holds, whoever makes it: names, variants, and the meshes' extents."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

TEXTURES: dict[str, int] = {
    "floor_tiles_bw": 1, "concrete": 4, "concrete_tiles": 1, "brick_wall": 1, "asphalt": 1, "cinder_blocks": 1, "slime": 1,
    "logo_mila": 1, **{f"chars/ch_0x{ord(letter)}": 1 for letter in "BDEGLNRU"},
}  # fmt: skip
"""Variants of each texture that the 23 environments draw. Domain randomisation draws one of upstream's variants, which are no more
than these; letters have more, but Sign, which alone shows any, is never randomised and takes the first."""

EXTENTS: dict[str, tuple[float, float, float]] = {
    **{f"ball_{colour}": (1.284565, 2.564372, 1.285002) for colour in ("blue", "green", "grey", "purple", "red", "yellow")},
    **{f"key_{colour}": (0.401406, 2.0, 2.4187405) for colour in ("blue", "green", "grey", "purple", "red", "yellow")},
    "medkit": (28.1319, 51.0648, 15.62425), "duckie": (0.8303055, 1.518421, 0.58813),
    "building": (1.84, 3.45, 1.22), "cone": (10.0, 31.5229, 10.0),
}  # fmt: skip
"""The largest x, y and z of each mesh, in its own units, float32: sizes and radii of what collides follow from them."""

COLOURS: dict[str, tuple[float, float, float]] = {
    "blue": (0.0, 0.0, 1.0), "green": (0.0, 1.0, 0.0), "grey": (0.39, 0.39, 0.39), "purple": (0.44, 0.15, 0.76),
    "red": (1.0, 0.0, 0.0), "yellow": (1.0, 1.0, 0.0),
}  # fmt: skip
"""Red, green and blue of the named colours, 0..1"""


@dataclass(frozen=True, kw_only=True, slots=True)
class MeshData:
    """Triangles with a colour and a normal per corner."""

    positions: np.ndarray
    """[triangles, 3, 3] float32: corners, (x, y, z); the lowest at y = 0"""
    normals: np.ndarray
    """[triangles, 3, 3] float32"""
    uvs: np.ndarray
    """[triangles, 3, 2] float32, v upwards"""
    colours: np.ndarray
    """[triangles, 3, 3] float32, 0..1"""
    parts: tuple[tuple[int, np.ndarray | None], ...]
    """(number of triangles, their texture [height, width, 3] uint8, the top row first, or None), in order"""

    @property
    def extent(self) -> np.ndarray:
        """The largest x, y and z, [3] float32."""
        extent: np.ndarray = self.positions.max(axis=(0, 1))
        return extent


@dataclass(frozen=True, kw_only=True, slots=True)
class AssetSource:
    """Everything that the 23 environments draw with, made or read while it is iterated over, once: a whole set of pictures in
    Python's memory would stay resident beside the extension's."""

    name: str
    """what observations call it"""
    textures: Iterator[tuple[str, np.ndarray]]
    """names and pictures [height, width, 3] uint8, the top row first, one variant after the other"""
    meshes: Iterator[tuple[str, MeshData]]
