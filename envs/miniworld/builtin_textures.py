"""The textures of the built-in set: an own look with upstream's names, scale (512 texels are a metre) and brightness.

Drawn with integer hashes and + - * / and sqrt alone, so that every machine draws the same bytes.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

Point = tuple[float, float]

# Strokes of capital letters on a board of 0..1, y downwards.
_STROKES: dict[str, list[list[Point]]] = {
    "B": [
        [(0.30, 0.18), (0.30, 0.82), (0.56, 0.82), (0.67, 0.77), (0.71, 0.67), (0.67, 0.55), (0.56, 0.50), (0.30, 0.50)],
        [(0.56, 0.50), (0.64, 0.45), (0.68, 0.34), (0.64, 0.23), (0.55, 0.18), (0.30, 0.18)],
    ],
    "D": [
        [(0.30, 0.18), (0.30, 0.82), (0.48, 0.82), (0.62, 0.75), (0.70, 0.61), (0.70, 0.39), (0.62, 0.25), (0.48, 0.18),
         (0.30, 0.18)],
    ],
    "E": [[(0.68, 0.18), (0.32, 0.18), (0.32, 0.82), (0.68, 0.82)], [(0.32, 0.50), (0.62, 0.50)]],
    "G": [
        [(0.70, 0.30), (0.64, 0.22), (0.52, 0.18), (0.40, 0.21), (0.31, 0.33), (0.28, 0.50), (0.31, 0.67), (0.40, 0.79),
         (0.52, 0.82), (0.64, 0.79), (0.71, 0.70), (0.71, 0.54), (0.54, 0.54)],
    ],
    "L": [[(0.34, 0.18), (0.34, 0.82), (0.68, 0.82)]],
    "N": [[(0.29, 0.82), (0.29, 0.18), (0.71, 0.82), (0.71, 0.18)]],
    "R": [
        [(0.30, 0.82), (0.30, 0.18), (0.55, 0.18), (0.65, 0.22), (0.69, 0.34), (0.65, 0.46), (0.55, 0.51), (0.30, 0.51)],
        [(0.52, 0.51), (0.71, 0.82)],
    ],
    "U": [[(0.29, 0.18), (0.29, 0.62), (0.34, 0.75), (0.44, 0.82), (0.56, 0.82), (0.66, 0.75), (0.71, 0.62), (0.71, 0.18)]],
}  # fmt: skip


def builtin_textures() -> Iterator[tuple[str, np.ndarray]]:
    """Yield the name and the picture [height, width, 3] uint8, the top row first, of every texture, variant after variant."""
    yield "floor_tiles_bw", _checkered()
    for tone, seed in ((153, 1), (133, 2), (176, 3), (136, 4)):
        yield "concrete", _concrete(tone, seed)
    yield "concrete_tiles", _ceiling_tiles()
    yield "brick_wall", _bricks((8, 4), stone=(126, 95, 82), mortar=(168, 160, 150), seed=6)
    yield "cinder_blocks", _bricks((4, 2), stone=(120, 119, 113), mortar=(84, 84, 80), seed=7)
    yield "asphalt", _asphalt()
    yield "slime", _slime()
    yield "logo_mila", _emblem()
    for letter in _STROKES:
        yield f"chars/ch_0x{ord(letter)}", _letter(letter)


def hashed(x: np.ndarray, y: np.ndarray, seed: int) -> np.ndarray:
    """Return numbers in [0, 1) that follow from integers x and y (any one shape) and the seed as if drawn."""
    with np.errstate(over="ignore"):
        h = x.astype(np.uint32) * np.uint32(0x9E3779B1) + y.astype(np.uint32) * np.uint32(0x85EBCA77) + np.uint32(seed)
        for _ in range(2):
            h = (h ^ (h >> np.uint32(15))) * np.uint32(0x2C1B3C6D)
            h = (h ^ (h >> np.uint32(12))) * np.uint32(0x297A2D39)
    spread: np.ndarray = (h ^ (h >> np.uint32(15))) / 2.0**32
    return spread


def _grid(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return column and row numbers [size, size]."""
    rows, columns = np.indices((size, size))
    return columns, rows


def _noise(size: int, cells: int, seed: int) -> np.ndarray:
    """Return smooth noise [size, size] in -1..1 that repeats at the borders, with a value per cell."""
    values = hashed(*_grid(cells), seed)
    at = np.arange(size) * cells / size
    first = at.astype(np.int64)
    weight = at - first
    weight = weight * weight * (3 - 2 * weight)
    second = (first + 1) % cells
    along = values[:, first] * (1 - weight) + values[:, second] * weight
    down = weight[:, None]
    return 2 * (along[first] * (1 - down) + along[second] * down) - 1


def _painted(base: Sequence[float], shade: np.ndarray) -> np.ndarray:
    """Return a picture [height, width, 3] uint8: the base colour plus a shade [height, width] in levels."""
    colour = np.asarray(base, np.float64) + shade[..., None]
    picture: np.ndarray = np.clip(colour + 0.5, 0, 255).astype(np.uint8)
    return picture


def _concrete(tone: float, seed: int) -> np.ndarray:
    grain = hashed(*_grid(256), seed + 100) - 0.5
    shade = 7 * _noise(256, 4, seed) + 4 * _noise(256, 16, seed + 10) + 6 * grain
    return _painted((tone, tone, tone - 3), shade)


def _checkered() -> np.ndarray:
    columns, rows = _grid(512)
    is_light = (columns // 128 + rows // 128) % 2 == 1
    vein = np.abs(_noise(512, 10, 20) + 0.5 * _noise(512, 28, 21))
    stone = np.clip(1 - 9 * vein, 0, 1)
    tile = hashed(columns // 128, rows // 128, 22)
    shade = np.where(is_light, 222 + 12 * tile - 28 * stone, 40 + 10 * tile + 26 * stone)
    is_joint = (columns % 128 < 2) | (rows % 128 < 2)
    return _painted((0, 0, -3), np.where(is_joint, 120, shade))


def _ceiling_tiles() -> np.ndarray:
    columns, rows = _grid(512)
    dots = hashed(columns // 8, rows // 8, 30) > 0.8
    is_hole = dots & (np.maximum(np.abs(columns % 8 - 3.5), np.abs(rows % 8 - 3.5)) < 2)
    is_joint = (columns % 256 < 4) | (rows % 256 < 4)
    shade = 164 + 5 * _noise(512, 6, 31) - 22 * is_hole
    return _painted((0, 0, 0), np.where(is_joint, 108, shade))


def _bricks(per_metre: tuple[int, int], *, stone: Sequence[float], mortar: Sequence[float], seed: int) -> np.ndarray:
    """Return a wall in stretcher bond with so many (courses, bricks in a course) per metre."""
    columns, rows = _grid(512)
    height, width = 512 // per_metre[0], 512 // per_metre[1]
    course = rows // height
    shifted = (columns + course % 2 * (width // 2)) % 512
    tone = hashed(shifted // width, course, seed) - 0.5
    grain = hashed(columns, rows, seed + 1) - 0.5
    shade = 34 * tone + 6 * _noise(512, 24, seed + 2) + 14 * grain
    joint = max(2, height // 12)
    is_joint = (rows % height < joint) | (shifted % width < joint)
    return np.where(is_joint[..., None], _painted(mortar, 10 * grain), _painted(stone, shade))


def _asphalt() -> np.ndarray:
    columns, rows = _grid(256)
    grain = hashed(columns // 2, rows // 2, 40) + hashed(columns, rows, 41) - 1
    return _painted((108, 109, 111), 52 * grain + 5 * _noise(256, 5, 42))


def _slime() -> np.ndarray:
    """Return green slime with round hollows, whose rims shine."""
    shade = 10 * _noise(512, 5, 50)
    numbers = np.arange(11)
    centres = zip(512 * hashed(numbers, numbers, 51), 512 * hashed(numbers, numbers, 52), strict=True)
    for (x, y), radius in zip(centres, 22 + 46 * hashed(numbers, numbers, 53), strict=True):
        reach = np.arange(-100, 101)
        dx, dy = (reach + int(x) - x) / radius, (reach + int(y) - y) / radius
        distance = np.sqrt(dx * dx + (dy * dy)[:, None])
        within = np.ix_((reach + int(y)) % 512, (reach + int(x)) % 512)
        shade[within] += 16 * np.clip(1 - 5 * np.abs(distance - 1.1), 0, 1) - 44 * np.clip(3 - 3 * distance, 0, 1)
    return _painted((132, 178, 12), shade)


def _coverage(distance: np.ndarray) -> np.ndarray:
    """Return how much ink a pixel gets, 0..1, at a signed distance in pixels outside a shape."""
    return np.clip(0.5 - distance, 0, 1)


def _stroke(columns: np.ndarray, rows: np.ndarray, points: Sequence[Point], half_width: float) -> np.ndarray:
    """Return the signed distance in pixels of each pixel's centre outside a round pen drawn along points in pixels."""
    x, y = columns + 0.5, rows + 0.5
    nearest = np.full(x.shape, np.inf)
    for (x0, y0), (x1, y1) in itertools.pairwise(points):
        dx, dy = x1 - x0, y1 - y0
        along = np.clip(((x - x0) * dx + (y - y0) * dy) / (dx * dx + dy * dy), 0, 1)
        ax, ay = x - x0 - along * dx, y - y0 - along * dy
        nearest = np.minimum(nearest, np.sqrt(ax * ax + ay * ay))
    return nearest - half_width


def _letter(letter: str) -> np.ndarray:
    columns, rows = _grid(128)
    ink = np.zeros((128, 128))
    for stroke in _STROKES[letter]:
        points = [(128 * x, 128 * y) for x, y in stroke]
        ink = np.maximum(ink, _coverage(_stroke(columns, rows, points, 8.0)))
    return _painted((250, 250, 250), -232 * ink)


def _emblem() -> np.ndarray:
    """A dark emblem on a white board, of upstream's proportions: a ring, steps that lead up, and a frame."""
    rows, columns = np.indices((255, 512))
    x, y = columns + 0.5, rows + 0.5
    ring = np.abs(np.sqrt((x - 120) * (x - 120) + (y - 127) * (y - 127)) - 62) - 13
    dot = np.sqrt((x - 120) * (x - 120) + (y - 127) * (y - 127)) - 22
    stair = [(236, 196), (300, 196), (300, 144), (364, 144), (364, 92), (440, 92), (440, 58)]
    steps = _stroke(columns, rows, stair, 11.0)
    edge = np.minimum(np.minimum(x, 512 - x), np.minimum(y, 255 - y)) - 7
    ink = np.maximum.reduce([_coverage(shape) for shape in (ring, dot, steps, edge)])
    return _painted((244, 244, 240), -206 * ink)
