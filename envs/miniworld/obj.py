"""Wavefront OBJ and MTL files to triangles, by the rules of the MiniWorld package.

Triangles only, corners `v//n` or `v/t/n`, 1-based; triangles are sorted by the name of their material, stably. Upstream's centring is
kept: the middle of x and z lies between the smallest value and the least of the three corners' largest values, so that a mesh may
stand a little beside its middle; radii follow from it. What upstream trips over or misreads (other faces and corners, indices out
of range, a material without a colour) is an error that names the line.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Set
from dataclasses import dataclass

import numpy as np

from vldac.errors import EnvError

_CORNER = re.compile(r"([1-9]\d*)/([1-9]\d*)?/([1-9]\d*)")
_SIZES = {"v": 3, "vt": 2, "vn": 3}


@dataclass(frozen=True, kw_only=True, slots=True)
class Material:
    """What an MTL file says of one material."""

    colour: tuple[float, ...]
    """red, green, blue in 0..1"""
    texture: str | None
    """name of a file beside the mesh"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Geometry:
    """Triangles of an OBJ file, centred and sorted by material."""

    positions: np.ndarray
    """[triangles, 3, 3] float32: corners, (x, y, z)"""
    normals: np.ndarray
    """[triangles, 3, 3] float32"""
    uvs: np.ndarray
    """[triangles, 3, 2] float32, v upwards"""
    parts: tuple[tuple[str, int], ...]
    """(material or "", number of triangles), in order"""


def parse_mtl(text: str, where: str) -> dict[str, Material]:
    """Return the materials of an MTL file by name. Raises EnvError naming `where` and the line."""
    found: dict[str, dict[str, list[str]]] = {}
    described: dict[str, list[str]] | None = None
    for at, words in _lines(text, where):
        if words[0] == "newmtl":
            described = found[_one(words, at)] = {}
        elif words[0] in ("Kd", "map_Kd"):
            if described is None:
                raise damaged("newmtl before what describes a material", words[0], at)
            described[words[0]] = words
    materials = {}
    for name, words_of in found.items():
        at = f"{where}, material {name}"
        colour = _floats(words_of.get("Kd", ["Kd"]), 3, at)
        materials[name] = Material(colour=colour, texture=words_of["map_Kd"][-1] if "map_Kd" in words_of else None)
    return materials


def parse_obj(text: str, materials: Set[str], where: str) -> Geometry:
    """Return the triangles of an OBJ file. materials: the known names. Raises EnvError naming `where` and the line."""
    values: dict[str, list[tuple[float, ...]]] = {kind: [] for kind in _SIZES}
    faces: list[tuple[str, list[tuple[int, ...]], str]] = []
    material = ""
    for at, words in _lines(text, where):
        kind = words[0]
        if kind in _SIZES:
            values[kind].append(_floats(words, _SIZES[kind], at))
        elif kind == "usemtl":
            material = _one(words, at)
            material = material if material in materials else ""
        elif kind == "f":
            if len(words) != 4:
                raise damaged("triangles: three corners per face", f"{len(words) - 1} corners", at)
            faces.append((material, [_corner(word, at) for word in words[1:]], at))
    if not faces:
        raise damaged("at least one face", "none", where)
    indices = np.array([corners for _, corners, _ in faces], np.int64)
    counts = [len(values[kind]) for kind in ("v", "vt", "vn")]
    is_out = (indices >= counts).any(axis=(1, 2))
    if is_out.any():
        limits = "at most {} positions, {} texture coordinates and {} normals".format(*counts)
        raise damaged(limits, "an index beyond them", faces[int(is_out.argmax())][2])
    order = sorted(range(len(faces)), key=lambda i: faces[i][0])
    parts: dict[str, int] = {}
    for i in order:
        parts[faces[i][0]] = parts.get(faces[i][0], 0) + 1
    indices = indices[order]
    values["vt"].append((0.0, 0.0))  # what the index -1 finds
    positions, uvs, normals = (np.array(values[kind], np.float32) for kind in ("v", "vt", "vn"))
    return Geometry(
        positions=_centred(positions[indices[..., 0]]), uvs=uvs[indices[..., 1]], normals=normals[indices[..., 2]],
        parts=tuple(parts.items()),
    )  # fmt: skip


def damaged(expected: str, got: str, where: str) -> EnvError:
    """The error for a file that is not what it should be."""
    return EnvError(
        expected=expected, got=got, where=where,
        do="install the package anew (pip install --force-reinstall miniworld), or use textures='builtin'",
    )  # fmt: skip


def _centred(positions: np.ndarray) -> np.ndarray:
    """Return positions [triangles, 3, 3] float32 with the lowest at y = 0 and x and z about upstream's middle."""
    low = positions.min(axis=(0, 1))
    middle = (low + positions.max(axis=0).min(axis=0)) / 2
    centred: np.ndarray = positions - np.array([middle[0], low[1], middle[2]], np.float32)
    return centred


def _lines(text: str, where: str) -> Iterator[tuple[str, list[str]]]:
    """Yield where each line is and its words, comments and blank lines left out."""
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if words and not words[0].startswith("#"):
            yield f"{where}, line {number}", words


def _one(words: list[str], at: str) -> str:
    if len(words) != 2:
        raise damaged(f"{words[0]} and one name", " ".join(words), at)
    return words[1]


def _floats(words: list[str], count: int, at: str) -> tuple[float, ...]:
    try:
        numbers = tuple(map(float, words[1:]))
    except ValueError:
        numbers = ()
    if len(numbers) != count or not all(map(math.isfinite, numbers)):
        raise damaged(f"{words[0]} and {count} numbers", " ".join(words), at)
    return numbers


def _corner(word: str, at: str) -> tuple[int, int, int]:
    """Return the 0-based indices of a corner's position, texture coordinate (-1: none) and normal."""
    match = _CORNER.fullmatch(word)
    if match is None:
        raise damaged("corners as v//n or v/t/n with indices from 1", word, at)
    return int(match[1]) - 1, int(match[2] or 0) - 1, int(match[3]) - 1
