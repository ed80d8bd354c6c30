"""The meshes of the built-in set: own shapes with exactly the extents of upstream's, so that physics is the same with either set.

Made with + - * / and sqrt alone, so that every machine makes the same bytes. Where an extent must be hit, one factor is exactly 1.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
from vldac.envs.miniworld.inventory import COLOURS, EXTENTS, MeshData

Vector = Sequence[float]
WHITE = (1.0, 1.0, 1.0)


def builtin_meshes() -> Iterator[tuple[str, MeshData]]:
    """Yield every mesh and its name."""
    for colour, rgb in COLOURS.items():
        yield f"ball_{colour}", _ball(rgb)
        yield f"key_{colour}", _key(rgb)
    yield "medkit", _medkit()
    yield "duckie", _duckie()
    yield "building", _building()
    yield "cone", _cone()


class _Solid:
    """Triangles as they come together, counter-clockwise seen from outside.

    has_paint: colours are textures of one texel, not the corners' colours. Light multiplies the latter and is cut off at white, and
    small meshes get more of it than there is, since normals are scaled with them: orange turns yellow. Textures are multiplied after.
    """

    def __init__(self, *, has_paint: bool = False) -> None:
        self.has_paint = has_paint
        self.batches: dict[bytes, list[tuple[np.ndarray, ...]]] = {}  # by texture
        self.textures: dict[bytes, np.ndarray | None] = {}

    def add(
        self, corners: np.ndarray, normals: np.ndarray, colour: Vector, uvs: np.ndarray | None = None,
        texture: np.ndarray | None = None,
    ) -> None:  # fmt: skip
        """Add triangles: corners and normals [triangles, 3, 3], uvs [triangles, 3, 2], texture [height, width, 3] uint8."""
        if self.has_paint and texture is None:
            texture, colour = np.array([[[round(255 * channel) for channel in colour]]], np.uint8), WHITE
        key = b"" if texture is None else texture.tobytes()
        self.textures[key] = texture
        colours = np.broadcast_to(np.asarray(colour, np.float64), corners.shape)
        where = np.zeros((len(corners), 3, 2)) if uvs is None else uvs
        self.batches.setdefault(key, []).append((corners, normals, where, colours))

    def quad(
        self, corners: Sequence[Vector], colour: Vector, uvs: Sequence[Vector] | None = None, texture: np.ndarray | None = None
    ) -> None:  # fmt: skip
        """Add a flat quadrilateral of four corners."""
        split = np.array([[0, 1, 2], [0, 2, 3]])
        flat = np.array(corners, np.float64)[split]
        normal = _unit(np.cross(flat[0, 1] - flat[0, 0], flat[0, 2] - flat[0, 0]))
        where = None if uvs is None else np.array(uvs, np.float64)[split]
        self.add(flat, np.broadcast_to(normal, flat.shape), colour, where, texture)

    def box(self, low: Vector, high: Vector, colour: Vector) -> None:
        """Add a box from its lowest to its highest corner."""
        for axis in range(3):
            for side in (0, 1):
                self.panel((axis, side), low, high, (0.0, 1.0), [[colour]])

    def panel(
        self, side_of: tuple[int, int], low: Vector, high: Vector, cuts: Vector, colours: Sequence[Sequence[Vector]]
    ) -> None:
        """Add the low (0) or high (1) side of a box along an axis, cut at shares of both its lengths into coloured cells."""
        axis, side = side_of
        u, v = (axis + 1) % 3, (axis + 2) % 3
        for i, row in enumerate(colours):
            for j, colour in enumerate(row):
                corners = []
                for a, b in ((i, j), (i + 1, j), (i + 1, j + 1), (i, j + 1)):
                    corner = [0.0, 0.0, 0.0]
                    corner[axis] = (low, high)[side][axis]
                    corner[u] = low[u] * (1 - cuts[a]) + high[u] * cuts[a]
                    corner[v] = low[v] * (1 - cuts[b]) + high[v] * cuts[b]
                    corners.append(corner)
                self.quad(corners if side else corners[::-1], colour)

    def ball(self, centre: Vector, radii: Vector, colour: Vector, levels: int) -> None:
        """Add an ellipsoid of 8 * 4^levels triangles with smooth normals."""
        unit, stretch = _sphere(levels), np.asarray(radii, np.float64)
        self.add(np.asarray(centre) + unit * stretch, _unit(unit / stretch), colour)

    def tube(self, circle: np.ndarray, rings: Sequence[tuple[float, float]], colours: Sequence[Vector]) -> None:
        """Add a solid of revolution about the y axis: (radius, height) of its rings upwards, a colour for each band between."""
        for ((r0, y0), (r1, y1)), colour in zip(itertools.pairwise(rings), colours, strict=True):
            lean = (r0 - r1) / (y1 - y0)
            length = np.sqrt(1 + lean * lean)
            for (c0, s0), (c1, s1) in _sides(circle):
                a, b = (r0 * c0, y0, -r0 * s0), (r0 * c1, y0, -r0 * s1)
                c, d = (r1 * c1, y1, -r1 * s1), (r1 * c0, y1, -r1 * s0)
                n0, n1 = np.array([c0, lean, -s0]) / length, np.array([c1, lean, -s1]) / length
                self.add(np.array([[a, b, c], [a, c, d]]), np.array([[n0, n1, n1], [n0, n1, n0]]), colour)

    def finish(self) -> MeshData:
        """Return the mesh, with a part for each texture."""
        batches = [batch for of_texture in self.batches.values() for batch in of_texture]
        positions, normals, uvs, colours = (
            np.concatenate(arrays).astype(np.float32) for arrays in zip(*batches, strict=True)
        )
        parts = tuple(
            (sum(len(batch[0]) for batch in self.batches[key]), texture) for key, texture in self.textures.items()
        )
        return MeshData(positions=positions, normals=normals, uvs=uvs, colours=colours, parts=parts)


def _extent(name: str) -> tuple[float, float, float]:
    """Return the extent of a mesh as the float32 numbers that it must have."""
    x, y, z = (float(np.float32(value)) for value in EXTENTS[name])
    return x, y, z


def _unit(vectors: np.ndarray) -> np.ndarray:
    squares = vectors * vectors
    total = squares[..., 0]
    for axis in range(1, vectors.shape[-1]):
        total = total + squares[..., axis]
    unit: np.ndarray = vectors / np.sqrt(total)[..., None]
    return unit


def _circle(doublings: int) -> np.ndarray:
    """Return 4 * 2^doublings points [points, 2] (cosine, sine) around the unit circle."""
    points = np.array([(1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0)])
    for _ in range(doublings):
        between = _unit(points + np.roll(points, -1, axis=0))
        points = np.stack([points, between], axis=1).reshape(-1, 2)
    return points


def _sides(circle: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the two ends of each side of a closed polygon [points, 2]."""
    return zip(circle, np.roll(circle, -1, axis=0), strict=True)


def _sphere(levels: int) -> np.ndarray:
    """Return the triangles [8 * 4^levels, 3, 3] of an octahedron, refined toward the unit sphere."""
    triangles = []
    for x in (1.0, -1.0):
        for y in (1.0, -1.0):
            for z in (1.0, -1.0):
                corners = [(x, 0.0, 0.0), (0.0, y, 0.0), (0.0, 0.0, z)]
                triangles.append(corners if x * y * z > 0 else corners[::-1])
    faces = np.array(triangles)
    for _ in range(levels):
        a, b, c = faces[:, 0], faces[:, 1], faces[:, 2]
        ab, bc, ca = _unit(a + b), _unit(b + c), _unit(c + a)
        parts = ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))
        faces = np.concatenate([np.stack(part, axis=1) for part in parts])
    return faces


def _ball(colour: Vector) -> MeshData:
    x, y, z = _extent("ball_red")
    solid = _Solid()
    solid.ball((0.0, y / 2, 0.0), (x, y / 2, z), colour, 3)
    return solid.finish()


def _key(colour: Vector) -> MeshData:
    """A key that stands on edge along z: a ring, a shaft, two teeth."""
    x, y, z = _extent("key_red")
    solid = _Solid()
    circle = _circle(2)
    centre_y, centre_z, outer, inner = y / 2, -z + y / 2, y / 2, 0.24 * y
    for (c0, s0), (c1, s1) in _sides(circle):
        outer0, outer1 = (centre_y + outer * c0, centre_z + outer * s0), (centre_y + outer * c1, centre_z + outer * s1)
        inner0, inner1 = (centre_y + inner * c0, centre_z + inner * s0), (centre_y + inner * c1, centre_z + inner * s1)
        solid.quad([(x, *inner0), (x, *outer0), (x, *outer1), (x, *inner1)], colour)
        solid.quad([(-x, *inner1), (-x, *outer1), (-x, *outer0), (-x, *inner0)], colour)
        solid.quad([(x, *outer0), (-x, *outer0), (-x, *outer1), (x, *outer1)], colour)
        solid.quad([(x, *inner1), (-x, *inner1), (-x, *inner0), (x, *inner0)], colour)
    half = 0.11 * y
    solid.box((-0.6 * x, centre_y - half, centre_z + outer - 0.1), (0.6 * x, centre_y + half, z), colour)
    for start, stop in ((0.45, 0.62), (0.78, 0.95)):
        solid.box((-0.6 * x, 0.12 * y, start * z), (0.6 * x, centre_y - half, stop * z), colour)
    return solid.finish()


def _medkit() -> MeshData:
    """A red case with a white cross on every side."""
    x, y, z = _extent("medkit")
    white, red = (0.93, 0.93, 0.91), (0.68, 0.12, 0.12)
    cross = [[red, white, red], [white, white, white], [red, white, red]]
    solid = _Solid(has_paint=True)
    for axis in range(3):
        for side in (0, 1):
            solid.panel((axis, side), (-x, 0.0, -z), (x, y, z), (0.0, 0.4, 0.6, 1.0), cross)
    return solid.finish()


def _duckie() -> MeshData:
    """A duck that looks along x: body, tail, head, beak and eyes."""
    x, y, z = _extent("duckie")
    yellow, orange, black = (1.0, 0.84, 0.02), (1.0, 0.45, 0.0), (0.05, 0.05, 0.05)
    solid = _Solid(has_paint=True)
    solid.ball((-0.08, 0.46, 0.0), (0.72, 0.46, z), yellow, 2)
    solid.ball((-0.66, 0.66, 0.0), (0.17, 0.2, 0.2), yellow, 1)
    solid.ball((0.30, y - 0.42, 0.0), (0.40, 0.42, 0.40), yellow, 2)
    solid.ball((x - 0.22, y - 0.52, 0.0), (0.22, 0.08, 0.2), orange, 1)
    for side in (-1.0, 1.0):
        solid.ball((0.56, y - 0.32, 0.21 * side), (0.09, 0.1, 0.09), black, 1)
    return solid.finish()


def _cone() -> MeshData:
    """A traffic cone on a square foot."""
    x, y, z = _extent("cone")
    orange, white, black = (0.95, 0.42, 0.06), (0.92, 0.93, 0.95), (0.20, 0.19, 0.19)
    foot, top, bottom, tip = 0.05 * y, y, 0.68 * x, 0.13 * x
    solid = _Solid(has_paint=True)
    solid.box((-x, 0.0, -z), (x, foot, z), black)
    heights = [foot + (top - foot) * share for share in (0.0, 0.34, 0.64)] + [top]
    rings = [(bottom + (tip - bottom) * (height - foot) / (top - foot), height) for height in heights]
    circle = _circle(2)
    solid.tube(circle, rings, (orange, white, orange))
    centre = (0.0, top, 0.0)
    lid = np.array([
        [centre, (tip * c0, top, -tip * s0), (tip * c1, top, -tip * s1)] for (c0, s0), (c1, s1) in _sides(circle)
    ])  # fmt: skip
    solid.add(lid, np.broadcast_to(np.array([0.0, 1.0, 0.0]), lid.shape), orange)
    return solid.finish()


def _building() -> MeshData:
    """A house of nine floors with rows of windows and a flat roof."""
    x, y, z = _extent("building")
    solid, window, floors = _Solid(has_paint=True), _window(), 9.0
    around = ((-x, z), (x, z), (x, -z), (-x, -z), (-x, z))
    for ((x0, z0), (x1, z1)), windows in zip(itertools.pairwise(around), (10.0, 7.0, 10.0, 7.0), strict=True):
        corners = [(x0, 0.0, z0), (x1, 0.0, z1), (x1, y, z1), (x0, y, z0)]
        solid.quad(corners, WHITE, [(0.0, 0.0), (windows, 0.0), (windows, floors), (0.0, floors)], window)
    solid.quad([(-x, y, z), (x, y, z), (x, y, -z), (-x, y, -z)], (0.42, 0.41, 0.40))
    return solid.finish()


def _window() -> np.ndarray:
    """Return a picture of one window in its wall, [64, 64, 3] uint8."""
    picture = np.empty((64, 64, 3), np.uint8)
    picture[:] = (186, 182, 174)
    picture[58:] = (150, 147, 141)  # the ledge between floors
    picture[12:48, 16:48] = (232, 231, 226)
    picture[15:45, 19:45] = (74, 96, 122)
    picture[15:24, 19:45] = (112, 138, 166)  # the sky in the panes
    picture[12:48, 31:33] = (232, 231, 226)
    return picture
