"""Textures and meshes of the installed MiniWorld package, read from its files without importing it (that would start OpenGL).

Pictures are decoded as the package's pyglet does: red, green and blue as they are in the file, alpha and colour profiles ignored.
Files are read whole and their checksums compared, so that a damaged one is an error and never a black wall.
"""

from __future__ import annotations

import importlib.util
import io
import re
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image
from vldac.envs.miniworld.inventory import EXTENTS, TEXTURES, AssetSource, MeshData
from vldac.envs.miniworld.obj import Geometry, Material, damaged, parse_mtl, parse_obj

MAX_SIZE = 4096
"""Texels a side"""
_PNG = b"\x89PNG\r\n\x1a\n"


def package_folder() -> Path | None:
    """Return the folder of the installed package, or None."""
    spec = importlib.util.find_spec("miniworld")
    folder = Path(spec.origin).parent if spec and spec.origin else None
    return folder if folder and (folder / "miniworld.py").exists() else None


def package_assets(folder: Path) -> AssetSource:
    """Return the package's set.

    Iterating over it raises EnvError for a file that is missing or damaged, and for a mesh whose extents are others.
    """
    version = re.search(r'^__version__ = "([^"]+)"', _text(folder / "__init__.py"), re.MULTILINE)
    if version is None:
        raise damaged("the package's __version__", "none", str(folder / "__init__.py"))
    return AssetSource(name=f"miniworld {version[1]}", textures=_textures(folder), meshes=_meshes(folder))


def _textures(folder: Path) -> Iterator[tuple[str, np.ndarray]]:
    for name, variants in TEXTURES.items():
        for k in range(1, variants + 1):
            yield name, read_picture(folder / "textures" / f"{name}_{k}.png")


def _meshes(folder: Path) -> Iterator[tuple[str, MeshData]]:
    parsed: dict[tuple[str, frozenset[str]], Geometry] = {}
    for name, extent in EXTENTS.items():
        mesh = read_mesh(folder / "meshes" / f"{name}.obj", parsed)
        if not np.array_equal(mesh.extent, np.array(extent, np.float32)):
            expected = f"largest x, y and z of {extent}, from which a radius follows"
            raise damaged(expected, str(mesh.extent), f"mesh {name} of {folder}")
        yield name, mesh


def read_mesh(path: Path, parsed: dict[tuple[str, frozenset[str]], Geometry]) -> MeshData:
    """Return the mesh of an OBJ file with its materials: the MTL file and, for what has no material in it, the PNG file of its name.

    parsed: the geometry read before, by text and names of materials; balls and keys differ in their materials' colours alone.
    """
    materials_path, picture_path = path.with_suffix(".mtl"), path.with_suffix(".png")
    materials = parse_mtl(_text(materials_path), str(materials_path)) if materials_path.exists() else {}
    key = _text(path), frozenset(materials)
    geometry = parsed[key] = parsed.get(key) or parse_obj(*key, str(path))
    default = Material(colour=(1.0, 1.0, 1.0), texture=picture_path.name if picture_path.exists() else None)
    used = [(materials[name] if name else default, count) for name, count in geometry.parts]
    colours = np.repeat(np.array([m.colour for m, _ in used], np.float32), [3 * count for _, count in used], axis=0)
    return MeshData(
        positions=geometry.positions, normals=geometry.normals, uvs=geometry.uvs, colours=colours.reshape(-1, 3, 3),
        parts=tuple((n, read_picture(path.with_name(m.texture)) if m.texture else None) for m, n in used),
    )  # fmt: skip


def read_picture(path: Path) -> np.ndarray:
    """Return the pixels of a PNG file, [height, width, 3] uint8, the top row first. Raises EnvError if it is damaged."""
    data = _read(path)
    _check_png(data, path)
    try:
        with Image.open(io.BytesIO(data)) as image:
            if max(image.size) > MAX_SIZE:
                raise damaged(f"at most {MAX_SIZE} pixels a side", f"{image.width} x {image.height}", str(path))
            if image.mode not in ("1", "P", "L", "LA", "RGB", "RGBA"):
                raise damaged("eight bits of grey, a palette, or red, green and blue", f"mode {image.mode}", str(path))
            return np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise damaged("a picture that can be decoded", str(error), str(path)) from error


def _check_png(data: bytes, path: Path) -> None:
    """Raise EnvError unless the chunks of a PNG file are complete and agree with their checksums."""
    if not data.startswith(_PNG):
        raise damaged("a PNG file", f"one that begins with {data[:8]!r}", str(path))
    position, kind = len(_PNG), b""
    while kind != b"IEND":
        size = int.from_bytes(data[position : position + 4], "big")
        kind, end = data[position + 4 : position + 8], position + 8 + size
        if len(data) < end + 4:
            raise damaged("a whole PNG file", f"its first {len(data)} bytes", str(path))
        if zlib.crc32(data[position + 4 : end]) != int.from_bytes(data[end : end + 4], "big"):
            raise damaged("bytes that agree with their checksum", f"others, from byte {position}", str(path))
        position = end + 4


def _text(path: Path) -> str:
    try:
        return _read(path).decode()
    except UnicodeDecodeError as error:
        raise damaged("a text file", str(error), str(path)) from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise damaged("a file that can be read", error.strerror or str(error), str(path)) from error
