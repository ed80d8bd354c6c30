"""What the rasteriser draws: the same bytes at every tier of instruction set, golden pictures, and the package's pixels.

The golden pictures are of scenes made here, so that nothing but the rasteriser can change them. To write them anew after a change
that is meant: VLDAC_WRITE_GOLDEN=1 pytest tests/envs/test_miniworld_pixels.py -k golden
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from vldac import _core
from vldac.envs import list_ids, make

IDS = [env_id for env_id in list_ids() if env_id.startswith("MiniWorld-")]
GOLDEN = Path(__file__).parent / "golden_scenes.json"
TIERS = _core.isa_tiers()
SIZES = ((80, 60), (84, 56), (75, 57), (224, 224))


# -- scenes of our own --------------------------------------------------------------------------------------------------


def noise(height: int, width: int, seed: int) -> np.ndarray:
    """A texture of integers, the same on every machine."""
    words = np.array([_core.counter_random(seed, 1, 2, i) for i in range(height * width)], np.uint64)
    smooth = np.add.outer(np.arange(height) * 200 // height, np.arange(width) * 55 // width)[..., None]
    picture = (
        smooth + (words.reshape(height, width)[..., None] >> np.array([0, 8, 16], np.uint64)).astype(np.int64) % 40
    )
    return np.clip(picture, 0, 255).astype(np.uint8)


def sphere(rings: int, is_textured: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Corners of a ball of radius 1 on the ground: positions, normals, uvs, colours."""
    latitude, longitude = np.linspace(-90, 90, rings + 1), np.linspace(0, 360, 2 * rings + 1)
    corners, uvs = [], []
    for i in range(rings):
        for j in range(2 * rings):
            square = [(i, j), (i + 1, j), (i + 1, j + 1), (i, j + 1)]
            for a, b in (square[k] for k in (0, 1, 2, 0, 2, 3)):
                up, around = np.round(np.deg2rad(latitude[a]), 6), np.round(np.deg2rad(longitude[b]), 6)
                corners.append(np.round([np.cos(up) * np.cos(around), np.sin(up), np.cos(up) * np.sin(around)], 5))
                uvs.append((b / (2 * rings), a / rings))
    normals = np.array(corners, np.float32)
    colours = np.ones_like(normals) if is_textured else np.abs(normals) * np.float32(0.5) + np.float32(0.5)
    return normals + np.array([0, 1, 0], np.float32), normals, np.array(uvs, np.float32), colours


def scene() -> _core.Scene:
    """A room with a long floor, walls, a pillar behind another, boxes, balls and a frame, some of them in the way of the eye."""
    assets = _core.AssetSet()
    assets.add_texture("square", noise(64, 64, 1))
    assets.add_texture("odd", noise(30, 51, 2))
    assets.add_mesh("plain", *sphere(12, False), [(0, 288, None), (288, 288, None)])
    assets.add_mesh("painted", *sphere(9, True), [(0, 324, noise(32, 16, 3))])
    made = _core.Scene(assets)
    made.set_light((0.25, 0.82, 1.0), (0.28, 0.95, 0.14), (0.6, 0.65, 0.7), (0.7, 0.6, 0.5))

    def quad(corners: list[tuple[float, ...]], normal: tuple[float, float, float], texture: str) -> None:
        made.add_polygon(np.array(corners, np.float32), normal, (1, 1, 1), texture, 0)

    quad([(-60, 0, 4, -60, 4), (90, 0, 4, 90, 4), (90, 0, -4, 90, -4), (-60, 0, -4, -60, -4)], (0, 1, 0), "square")
    quad([(90, 3, 4, 4, 3), (-60, 3, 4, -60, 3), (-60, 3, -4, -60, -4), (90, 3, -4, 4, -4)], (0, -1, 0), "odd")
    quad([(-60, 0, -4, 0, 0), (90, 0, -4, 75, 0), (90, 3, -4, 75, 1.5), (-60, 3, -4, 0, 1.5)], (0, 0, 1), "odd")
    quad([(90, 0, 4, 0, 0), (-60, 0, 4, 75, 0), (-60, 3, 4, 75, 1.5), (90, 3, 4, 0, 1.5)], (0, 0, -1), "square")
    quad([(30, 0, -4, 0, 0), (30, 0, 4, 8, 0), (30, 2, 4, 8, 2), (30, 2, -4, 0, 2)], (-1, 0, 0), "")
    made.add_box((4, 0, 1), 0.7, (0.8, 0.8, 0.8), (1, 0, 0))
    made.add_box((4, 0.2, 1.2), 0.7, (0.8, 0.3, 0.8), (0.39, 0.39, 0.39))
    made.add_box((0.05, 0, -0.5), 0.1, (0.4, 1.2, 0.4), (0, 0, 1))
    for x, z, scale in ((3, -1, 0.3), (9, 1.5, 0.45), (60, 0, 0.5), (0.4, 0.3, 0.4)):
        made.add_mesh("plain", (x, 0.1, z), 0.3, scale)
    made.add_mesh("painted", (5, 0.5, -0.4), 1.1, 0.6)
    return made


def views() -> Iterator[tuple[str, np.ndarray]]:
    """Pictures of the scene: name, bytes."""
    made = scene()
    for width, height in SIZES:
        for number, (eye, forward, fov) in enumerate(
            [
                ((0, 1.5, 0), (1, 0, 0), 60),
                ((0, 1.5, 0), (0.8, -0.1, 0.6), 62.5),
                ((0.2, 0.4, 0.1), (-0.6, 0.2, -0.8), 55),
            ]
        ):
            yield f"eye {number}, {width}x{height}", made.draw(eye, forward, fov, width, height)
            yield f"depth {number}, {width}x{height}", made.depth(eye, forward, fov, width, height)
        yield f"above, {width}x{height}", made.draw_top(-5, 12, -6, 6, width, height)


@pytest.mark.parametrize("tier", TIERS)
def test_golden_scenes_are_drawn_to_the_byte_at_every_tier(tier: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLDAC_ISA", tier)
    found = {name: hashlib.sha256(picture.tobytes()).hexdigest() for name, picture in views()}
    if os.environ.get("VLDAC_WRITE_GOLDEN"):
        GOLDEN.write_text(json.dumps(found, indent=1) + "\n")
    assert found == json.loads(GOLDEN.read_text())


def test_no_golden_scene_is_blank() -> None:
    for name, picture in views():
        assert len(np.unique(picture)) > 20, name


# -- the environments ---------------------------------------------------------------------------------------------------


def walk(env_id: str, size: tuple[int, int], threads: int = 1) -> bytes:
    """Pictures of four environments over some steps, with the built-in textures."""
    options = {} if env_id == "MiniWorld-Sign-v0" else {"domain_rand": True}
    env = make(env_id, 4, num_threads=threads, image_size=size, textures="builtin", **options)
    rng = np.random.default_rng(3)
    pictures = [env.reset(seed=5)[0]["image"].copy()]
    for _ in range(6):
        pictures.append(env.step(rng.integers(3, size=4))[0]["image"].copy())
    env.close()
    assert min(picture.std() for picture in pictures) > 5
    return np.stack(pictures).tobytes()


@pytest.mark.parametrize("env_id", IDS)
def test_pictures_depend_neither_on_the_tier_nor_on_threads(env_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for size in ((80, 60), (112, 84)):
        monkeypatch.delenv("VLDAC_ISA", raising=False)
        expected = walk(env_id, size)
        assert walk(env_id, size, threads=2) == expected
        for tier in TIERS:
            monkeypatch.setenv("VLDAC_ISA", tier)
            assert walk(env_id, size) == expected, tier


def test_what_was_drawn_before_leaves_no_trace() -> None:
    """Working memory is kept between pictures of other sizes and scenes."""
    made, empty = scene(), _core.Scene(_core.AssetSet())
    eye = ((0, 1.5, 0), (1, 0, 0), 60)
    first = made.draw(*eye, 80, 60)
    for width, height in ((300, 200), (28, 28), (801, 33)):
        made.draw(*eye, width, height)
        assert not empty.draw(*eye, width, height).any()  # a black sky
    assert np.array_equal(made.draw(*eye, 80, 60), first)


def test_a_camera_that_is_nowhere_sees_the_sky() -> None:
    made = scene()
    sky = np.broadcast_to(np.array([64, 209, 255], np.uint8), (60, 80, 3))
    nan = float("nan")
    for eye, forward, fov in (
        ((nan, 1.5, 0), (1, 0, 0), 60), ((0, 1.5, 0), (nan, 0, 0), 60), ((0, 1.5, 0), (0, 0, 0), 60),
        ((0, 1.5, 0), (1, 0, 0), nan), ((0, 1.5, 0), (0, 1, 0), 60), ((1e200, 0, 0), (1, 0, 0), 60),
    ):  # fmt: skip
        assert np.array_equal(made.draw(eye, forward, fov, 80, 60), sky)


# -- the package --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pixels() -> ModuleType:
    path = Path(__file__).resolve().parents[2] / "benchmarks" / "miniworld_pixels.py"
    spec = importlib.util.spec_from_file_location("miniworld_pixels", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["miniworld_pixels"] = module  # dataclasses look themselves up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def package(pixels: ModuleType) -> Iterator[object]:
    if importlib.util.find_spec("miniworld") is None:
        pytest.skip("the package miniworld is not installed: pip install '.[miniworld]'")
    package = pixels.Package()
    try:
        driver = package.driver()
    except RuntimeError:
        pytest.skip("the package miniworld finds no OpenGL here (EGL and Mesa are needed)")
    print(f"{driver['renderer']}, {driver['version']}")
    if not pixels.is_validated(driver):
        pytest.skip(f"not validated with this driver: {driver['renderer']}, {driver['version']}")
    yield package
    package.close()


@pytest.mark.parametrize("size", [(80, 60), (84, 56), (224, 224)])
@pytest.mark.parametrize("name", ["Hallway", "PutNext", "Sidewalk", "Sign", "ThreeRooms"])
def test_pixels_and_depths_are_the_packages(
    pixels: ModuleType, package: object, name: str, size: tuple[int, int]
) -> None:
    """A sample of benchmarks/miniworld_pixels.py, seed 2 with domain_rand."""
    row = pixels.compare(package, f"MiniWorld-{name}-v0", size, (1, 2), 30, 6)
    assert row["frames"] == 12 and row["depths"] >= 10
    assert row["is_met"], row
