"""Textures and meshes of the MiniWorld environments: the installed package's, read from its files, and the built-in ones."""

from __future__ import annotations

import hashlib
import importlib
import json
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from vldac.envs.miniworld import assets, obj, package
from vldac.envs.miniworld.builtin import builtin_assets
from vldac.envs.miniworld.inventory import COLOURS, EXTENTS, TEXTURES, AssetSource, MeshData

from vldac import _core
from vldac.envs import make
from vldac.errors import EnvError


@dataclass(frozen=True)
class Assets:
    """A set as a whole."""

    name: str
    textures: dict[str, list[np.ndarray]]
    meshes: dict[str, MeshData]


def whole(source: AssetSource) -> Assets:
    textures: dict[str, list[np.ndarray]] = {}
    for name, texture in source.textures:
        textures.setdefault(name, []).append(texture)
    return Assets(source.name, textures, dict(source.meshes))


TRIANGLE = "v 0 0 0\nv 1 0 0\nv 0 2 1\nvn 0 0 1\n"


# -- OBJ and MTL ------------------------------------------------------------------------------------------------------


def test_triangles_are_sorted_by_material_and_keep_their_order_within_it() -> None:
    """Faces a b a b none: "" sorts first; corners tell which face is which."""
    text = "".join(f"v {n} 0 0\n" for n in range(7)) + "vn 0 1 0\n"
    for n, material in enumerate(("b", "a", "b", "a", "unknown")):
        text += f"usemtl {material}\nf {n + 1}//1 {n + 2}//1 {n + 3}//1\n"
    mesh = obj.parse_obj(text, {"a", "b"}, "test.obj")
    assert mesh.parts == (("", 1), ("a", 2), ("b", 2))
    first = mesh.positions[:, 0, 0] - mesh.positions[:, 0, 0].min()
    assert first.tolist() == [4, 1, 3, 0, 2]


def test_corners_with_and_without_texture_coordinates_are_read() -> None:
    mesh = obj.parse_obj(TRIANGLE + "vt 0.25 0.5\nvn 0 1 0\nf 1/1/1 2//2 3//1\n", set(), "test.obj")
    assert mesh.uvs.tolist() == [[[0.25, 0.5], [0, 0], [0, 0]]]
    assert mesh.normals.tolist() == [[[0, 0, 1], [0, 1, 0], [0, 0, 1]]]


def test_the_middle_is_upstreams_and_not_the_middle() -> None:
    """Largest x per corner: 4, 3, 9. Upstream takes the least of them: the middle of 0 and 3 is 1.5, and 7.5 remains."""
    text = "v 4 1 0\nv 3 1 0\nv 9 5 0\nv 0 1 2\nvn 0 1 0\nf 1//1 2//1 3//1\nf 1//1 4//1 3//1\n"
    mesh = obj.parse_obj(text, set(), "test.obj")
    assert mesh.positions[..., 0].tolist() == [[2.5, 1.5, 7.5], [2.5, -1.5, 7.5]]
    assert mesh.positions[..., 1].min() == 0
    assert mesh.positions.dtype == np.float32


@pytest.mark.parametrize(
    ("text", "expected", "line"),
    [
        ("f 1//1 2//1 3//1 1//1", "three corners", 5),
        ("f 1//1 2//1", "three corners", 5),
        ("f 1//1 2//1 4//1", "at most 3 positions", 5),
        ("f 1//1 2//1 3//2", "1 normals", 5),
        ("f 1/1/1 2//1 3//1", "0 texture coordinates", 5),
        ("f 0//1 2//1 3//1", "from 1", 5),
        ("f -1//1 2//1 3//1", "from 1", 5),
        ("f 1/1 2/1 3/1", "v//n or v/t/n", 5),
        ("f 1 2 3", "v//n or v/t/n", 5),
        ("\n# note\nv 1 2", "v and 3 numbers", 7),
        ("v 1 2 3 4", "v and 3 numbers", 5),
        ("v 1 2 x", "v and 3 numbers", 5),
        ("vt 1 nan", "vt and 2 numbers", 5),
        ("vn 1 0 inf", "vn and 3 numbers", 5),
        ("usemtl", "usemtl and one name", 5),
        ("", "at least one face", None),
    ],
)
def test_what_is_wrong_in_an_obj_file_is_named_with_its_line(text: str, expected: str, line: int | None) -> None:
    with pytest.raises(EnvError) as caught:
        obj.parse_obj(TRIANGLE + text + "\n", set(), "test.obj")
    assert expected in caught.value.expected
    assert caught.value.where == ("test.obj" if line is None else f"test.obj, line {line}")
    assert "textures='builtin'" in caught.value.do


def test_a_material_file_gives_colours_and_textures() -> None:
    found = obj.parse_mtl("# two\nnewmtl a\nKd 0.1 0.2 0.3\nNs 5\nnewmtl b\nmap_Kd -s 1 b.png\nKd 1 1 1\n", "test.mtl")
    assert found["a"] == obj.Material(colour=(0.1, 0.2, 0.3), texture=None)
    assert found["b"] == obj.Material(colour=(1.0, 1.0, 1.0), texture="b.png")


@pytest.mark.parametrize(
    ("text", "expected", "where"),
    [
        ("Kd 1 1 1", "newmtl before", "line 1"),
        ("newmtl a\nKd 1 1", "Kd and 3 numbers", "material a"),
        ("newmtl a\nmap_Kd a.png", "Kd and 3 numbers", "material a"),
        ("newmtl", "newmtl and one name", "line 1"),
    ],
)
def test_what_is_wrong_in_a_material_file_is_named(text: str, expected: str, where: str) -> None:
    with pytest.raises(EnvError) as caught:
        obj.parse_mtl(text, "test.mtl")
    assert expected in caught.value.expected
    assert caught.value.where == f"test.mtl, {where}"


# -- pictures ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_a_picture_of_any_mode_becomes_its_red_green_and_blue(tmp_path: Path, mode: str) -> None:
    """Alpha, here 0 in places, changes nothing; a palette is looked up; grey is red, green and blue."""
    rng = np.random.default_rng(0)
    rgba = rng.integers(0, 256, (5, 7, 4), dtype=np.uint8)
    rgba[0, :, 3] = 0
    if mode in ("RGB", "RGBA"):
        image, expected = Image.fromarray(rgba[..., : len(mode)]), rgba[..., :3]
    elif mode in ("L", "LA"):
        image, expected = Image.fromarray(rgba[..., 2 : 2 + len(mode)].squeeze()), rgba[..., [2, 2, 2]]
    elif mode == "P":
        image = Image.frombytes("P", (7, 5), (rgba[..., 0] % 3).tobytes())
        image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
        expected = np.array([[10, 20, 30], [40, 50, 60], [70, 80, 90]], np.uint8)[rgba[..., 0] % 3]
    else:
        image, expected = Image.fromarray(rgba[..., 0] > 127), np.uint8(255) * (rgba[..., :1] > 127).repeat(3, -1)
    assert image.mode == mode
    image.save(tmp_path / "a.png")
    assert np.array_equal(package.read_picture(tmp_path / "a.png"), expected)


def test_a_colour_profile_and_gamma_change_nothing(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png", icc_profile=b"not a profile that anyone reads", gamma=0.3)
    assert np.array_equal(package.read_picture(tmp_path / "a.png"), pixels)


def png(tmp_path: Path, size: tuple[int, int] = (16, 16)) -> Path:
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)).save(tmp_path / "a.png")
    return tmp_path / "a.png"


def test_a_picture_that_is_cut_anywhere_is_an_error(tmp_path: Path) -> None:
    whole = png(tmp_path).read_bytes()
    for length in range(len(whole)):
        (tmp_path / "a.png").write_bytes(whole[:length])
        with pytest.raises(EnvError) as caught:
            package.read_picture(tmp_path / "a.png")
        assert caught.value.where == str(tmp_path / "a.png")


def test_a_picture_with_any_byte_altered_is_an_error(tmp_path: Path) -> None:
    whole = png(tmp_path, (4, 4)).read_bytes()
    for position in range(len(whole)):
        altered = bytearray(whole)
        altered[position] ^= 0x20
        (tmp_path / "a.png").write_bytes(altered)
        with pytest.raises(EnvError):
            package.read_picture(tmp_path / "a.png")


def test_a_picture_that_no_texture_can_hold_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(EnvError, match="at most 4096 pixels a side"):
        package.read_picture(png(tmp_path, (1, 4097)))
    Image.fromarray(np.zeros((4, 4), np.uint16)).save(tmp_path / "a.png")
    with pytest.raises(EnvError, match="eight bits"):
        package.read_picture(tmp_path / "a.png")


# -- a package's folder -----------------------------------------------------------------------------------------------


def box(extent: tuple[float, float, float]) -> str:
    """An OBJ file of a box; each triangle in all three rotations, so that upstream's middle is the middle."""
    corners = [(x, y, z) for x in (-1, 1) for y in (0, 1) for z in (-1, 1)]
    lines = [
        "v " + " ".join(repr(float(np.float32(e)) * s) for e, s in zip(extent, corner, strict=True))
        for corner in corners
    ]
    lines += ["vn 0 1 0"]
    for axis in range(3):
        for side in (-1, 1):
            face = [
                n + 1 for n, corner in enumerate(corners) if corner[axis] == (side if axis != 1 else (side + 1) // 2)
            ]
            for a, b, c in ((face[0], face[1], face[2]), (face[1], face[3], face[2])):
                lines += [f"f {p}//1 {q}//1 {r}//1" for p, q, r in ((a, b, c), (b, c, a), (c, a, b))]
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def small_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like the package's, with small pictures and boxes for meshes."""
    folder = tmp_path_factory.mktemp("site") / "miniworld"
    (folder / "textures" / "chars").mkdir(parents=True)
    (folder / "meshes").mkdir()
    (folder / "__init__.py").write_text('raise ImportError("imported")\n__version__ = "2.1.99"\n')
    (folder / "miniworld.py").touch()
    rng = np.random.default_rng(0)
    for name, variants in TEXTURES.items():
        for k in range(variants):
            Image.fromarray(rng.integers(0, 256, (6, 4, 3), dtype=np.uint8)).save(
                folder / "textures" / f"{name}_{k + 1}.png"
            )
    for name, extent in EXTENTS.items():
        (folder / "meshes" / f"{name}.obj").write_text("usemtl m\n" + box(extent))
    for name, colour in COLOURS.items():
        (folder / "meshes" / f"key_{name}.mtl").write_text("newmtl m\nKd {} {} {}\n".format(*colour))
    for name in ("cone", "duckie"):
        Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(folder / "meshes" / f"{name}.png")
    (folder / "meshes" / "duckie.mtl").write_text("newmtl m\nKd 0.5 1 1\nmap_Kd cone.png\n")
    return folder


@pytest.fixture
def folder(small_package: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(small_package, tmp_path / "miniworld"))


def test_a_packages_files_become_a_set(folder: Path) -> None:
    data = whole(package.package_assets(folder))
    assert data.name == "miniworld 2.1.99"
    assert {name: len(variants) for name, variants in data.textures.items()} == TEXTURES
    with Image.open(folder / "textures" / "concrete_3.png") as image:
        assert np.array_equal(data.textures["concrete"][2], np.asarray(image))
    assert list(data.meshes) == list(EXTENTS)
    assert np.unique(data.meshes["key_purple"].colours.reshape(-1, 3), axis=0).tolist() == [
        list(map(np.float32, COLOURS["purple"]))
    ]
    assert data.meshes["key_red"].parts == ((36, None),)


def test_a_mesh_takes_the_picture_of_its_name_unless_its_material_names_one(folder: Path) -> None:
    data = whole(package.package_assets(folder))
    cone = package.read_picture(folder / "meshes" / "cone.png")
    for name in ("cone", "duckie"):
        ((count, texture),) = data.meshes[name].parts
        assert count == 36 and texture is not None and np.array_equal(texture, cone)
    assert data.meshes["medkit"].parts == ((36, None),)


def remove_texture(folder: Path) -> Path:
    (folder / "textures" / "concrete_4.png").unlink()
    return folder / "textures" / "concrete_4.png"


def remove_mesh(folder: Path) -> Path:
    (folder / "meshes" / "cone.obj").unlink()
    return folder / "meshes" / "cone.obj"


def cut_texture(folder: Path) -> Path:
    path = folder / "textures" / "chars" / "ch_0x76_1.png"
    path.write_bytes(path.read_bytes()[:-20])
    return path


def remove_material_picture(folder: Path) -> Path:
    (folder / "meshes" / "duckie.mtl").write_text("newmtl m\nKd 1 1 1\nmap_Kd feathers.png\n")
    return folder / "meshes" / "feathers.png"


def binary_mesh(folder: Path) -> Path:
    (folder / "meshes" / "medkit.obj").write_bytes(b"\xff\xfe\x00")
    return folder / "meshes" / "medkit.obj"


@pytest.mark.parametrize("damage", [remove_texture, remove_mesh, cut_texture, remove_material_picture, binary_mesh])
def test_a_missing_or_damaged_file_is_named(folder: Path, damage: Callable[[Path], Path]) -> None:
    path = damage(folder)
    with pytest.raises(EnvError) as caught:
        whole(package.package_assets(folder))
    assert caught.value.where == str(path)
    assert "--force-reinstall miniworld" in caught.value.do


def test_a_mesh_of_another_size_is_refused_since_physics_would_differ(folder: Path) -> None:
    wrong = (
        EXTENTS["medkit"][0],
        np.nextafter(np.float32(EXTENTS["medkit"][1]), np.float32(99)).item(),
        EXTENTS["medkit"][2],
    )
    (folder / "meshes" / "medkit.obj").write_text(box(wrong))
    with pytest.raises(EnvError) as caught:
        whole(package.package_assets(folder))
    assert "from which a radius follows" in caught.value.expected
    assert caught.value.where == f"mesh medkit of {folder}"


# -- which set --------------------------------------------------------------------------------------------------------


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A process that has installed nothing: the names of what is installed from here on, none of it in the extension."""
    names: list[str] = []
    core = SimpleNamespace(AssetSet=_core.AssetSet, install_assets=lambda name, _: names.append(name))
    monkeypatch.setattr(assets, "_core", core)
    monkeypatch.setattr(assets, "_FULL_NAMES", {})
    monkeypatch.delitem(sys.modules, "miniworld", raising=False)
    return names


def test_the_extension_has_the_set_that_was_asked_for() -> None:
    assert assets.ensure_assets("builtin") == assets.ensure_assets("builtin") == "builtin"
    assert _core.has_assets("builtin")


def test_a_set_is_installed_once_by_many_threads(installed: list[str]) -> None:
    names: list[str] = []
    threads = [threading.Thread(target=lambda: names.append(assets.ensure_assets("builtin"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert names == ["builtin"] * 8 and installed == ["builtin"]


def test_auto_takes_the_package_where_it_is_without_importing_it(
    monkeypatch: pytest.MonkeyPatch, small_package: Path, installed: list[str]
) -> None:
    monkeypatch.setattr(sys, "path", [str(small_package.parent), *sys.path])
    assert assets.ensure_assets() == "miniworld 2.1.99"  # its __init__ would raise
    assert assets.ensure_assets("builtin") == "builtin"
    assert assets.ensure_assets("auto") == assets.ensure_assets("miniworld") == "miniworld 2.1.99"
    assert installed == ["miniworld", "builtin"]


def test_auto_takes_the_builtin_set_where_there_is_no_package(
    monkeypatch: pytest.MonkeyPatch, installed: list[str]
) -> None:
    monkeypatch.setattr(assets, "package_folder", lambda: None)
    assert assets.ensure_assets() == "builtin"
    with pytest.raises(EnvError, match=r"not installed(?s:.*)pip install 'vldac\[miniworld\]'"):
        assets.ensure_assets("miniworld")
    assert installed == ["builtin"]


def test_a_damaged_package_is_never_passed_over(
    monkeypatch: pytest.MonkeyPatch, folder: Path, installed: list[str]
) -> None:
    remove_texture(folder)
    monkeypatch.setattr(assets, "package_folder", lambda: folder)
    for which in ("auto", "miniworld"):
        with pytest.raises(EnvError, match=r"concrete_4\.png"):
            assets.ensure_assets(which)
    assert installed == []
    assert assets.ensure_assets("builtin") == "builtin"


def test_a_folder_called_miniworld_is_no_package(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, installed: list[str]
) -> None:
    """Run in a folder with a subfolder of that name, our own envs/ for one."""
    (tmp_path / "miniworld").mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert package.package_folder() is None
    (tmp_path / "miniworld" / "__init__.py").touch()
    importlib.invalidate_caches()
    assert package.package_folder() is None


def test_an_unknown_set_is_an_error_with_a_suggestion() -> None:
    with pytest.raises(EnvError, match="did you mean 'builtin'"):
        assets.ensure_assets("buildin")


# -- the built-in set -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def builtin() -> Assets:
    return whole(builtin_assets())


def digest(data: Assets) -> str:
    found = hashlib.sha256()
    for _, variants in sorted(data.textures.items()):
        for texture in variants:
            found.update(repr(texture.shape).encode() + texture.tobytes())
    for _, mesh in sorted(data.meshes.items()):
        for array in (mesh.positions, mesh.normals, mesh.uvs, mesh.colours):
            assert array.dtype == np.float32
            found.update(repr(array.shape).encode() + array.tobytes())
        for count, texture in mesh.parts:
            found.update(repr(count).encode() + (b"" if texture is None else texture.tobytes()))
    return found.hexdigest()


def test_the_builtin_set_is_always_the_same_bytes(builtin: Assets) -> None:
    """Pictures of environments change with these bytes. If that is meant, put the new digest here."""
    assert digest(builtin) == "9383acaa40f0f83e7027fd9c5ca71159cba9083028d2a245e0a953c081dfeb9b"


def test_the_builtin_set_has_upstreams_names_variants_and_extents(builtin: Assets) -> None:
    assert {name: len(variants) for name, variants in builtin.textures.items()} == TEXTURES
    assert set(builtin.meshes) == set(EXTENTS)
    for name, mesh in builtin.meshes.items():
        assert np.array_equal(mesh.extent, np.array(EXTENTS[name], np.float32)), name
        assert mesh.positions[..., 1].min() == 0, name


def test_builtin_meshes_are_seen_from_outside(builtin: Assets) -> None:
    """Corners run counter-clockwise around normals of length 1 that point away: the enclosed volume is positive."""
    for name, mesh in builtin.meshes.items():
        a, b, c = (mesh.positions[:, k] for k in range(3))
        across = np.cross(b - a, c - a)
        assert ((across[:, None] * mesh.normals).sum(-1) > 0).all(), name
        assert np.allclose((mesh.normals**2).sum(-1), 1, atol=1e-6), name
        assert (a * np.cross(b, c)).sum() > 0, name
        assert sum(count for count, _ in mesh.parts) == len(mesh.positions), name


def test_the_worlds_are_built_on_the_same_inventory() -> None:
    """csrc/envs/miniworld/materials.h: names, variants (of letters, which are never drawn at random, one will do), extents."""
    source = (Path(__file__).parents[2] / "csrc" / "envs" / "miniworld" / "materials.h").read_text()
    variants = {name: int(count) for name, count in re.findall(r'\{"([\w/]+)", (\d)\}', source)}
    assert {name: 1 if "chars" in name else count for name, count in variants.items()} == TEXTURES
    number = r"(0x[\dp.+a-f-]+?)f"
    shared = {
        name: tuple(map(float.fromhex, values))
        for name, *values in re.findall(rf"(k\w+Extent)\{{{number}, {number}, {number}\}}", source)
    }
    own = {
        name: tuple(map(float.fromhex, values))
        for name, *values in re.findall(rf'\{{"(\w+)", \{{{number}, {number}, {number}\}}\}}', source)
    }
    own |= {name: shared[extent] for name, extent in re.findall(r'\{"(\w+)", (k\w+Extent)\}', source)}
    assert own == {name: tuple(np.array(extent, np.float32).tolist()) for name, extent in EXTENTS.items()}


MESH_IDS = (
    "MiniWorld-CollectHealth-v0", "MiniWorld-PickupObjects-v0", "MiniWorld-Sidewalk-v0", "MiniWorld-ThreeRooms-v0",
)  # fmt: skip


@pytest.mark.parametrize("env_id", MESH_IDS)
def test_worlds_and_physics_are_the_same_with_either_set(env_id: str) -> None:
    """And pictures are not; the observation says which set they were drawn with."""
    if package.package_folder() is None:
        pytest.skip("the miniworld package is not installed (extra miniworld)")
    options: dict[str, Any] = {"num_threads": 1, "domain_rand": True, "image_size": (84, 56)}
    envs = [make(env_id, 4, textures=which, **options) for which in ("builtin", "miniworld")]
    (_, info), (_, other) = (env.reset(seed=0) for env in envs)
    assert info["textures"].tolist() == ["builtin"] * 4
    assert other["textures"][0].startswith("miniworld 2.")
    actions = np.random.default_rng(0).integers(envs[0].single_action_space.n, size=(200, 4))
    for row in actions:
        (obs, reward, *ends, _), (other_obs, other_reward, *other_ends, _) = (env.step(row) for env in envs)
        assert np.array_equal(reward, other_reward) and np.array_equal(ends, other_ends)
        assert np.array_equal(envs[0].poses(), envs[1].poses())
    assert (obs["image"] != other_obs["image"]).mean() > 0.2


def test_builtin_textures_are_as_bright_as_upstreams(builtin: Assets) -> None:
    """Mean levels of the package's files, measured: a model that learned on one set meets no darkness in the other."""
    upstream = {
        "floor_tiles_bw": 132, "concrete": 151, "concrete_tiles": 161, "brick_wall": 102, "asphalt": 110,
        "cinder_blocks": 112, "slime": 103,
    }  # fmt: skip
    for name, level in upstream.items():
        assert builtin.textures[name][0].mean() == pytest.approx(level, abs=7), name


def test_builtin_textures_repeat_without_a_seam(builtin: Assets) -> None:
    """Across the border of a texture that repeats, neighbours differ no more than they do inside."""
    for name in ("concrete", "concrete_tiles", "asphalt", "slime", "brick_wall", "cinder_blocks"):
        for texture in builtin.textures[name]:
            grey = texture.mean(-1)
            for axis in (0, 1):
                steps = np.abs(np.diff(np.concatenate([grey, grey.take([0], axis)], axis), axis=axis)).mean(1 - axis)
                assert steps[-1] <= steps[:-1].max() + 1, (name, axis)


def test_both_sets_fit_the_memory_for_shared_assets() -> None:
    folder = package.package_folder()
    assert assets.asset_set(builtin_assets()).bytes < 12 * 2**20
    if folder is not None:
        assert assets.asset_set(package.package_assets(folder)).bytes < 48 * 2**20


# -- the real package -------------------------------------------------------------------------------------------------

UPSTREAM = """
import json, sys
import pyglet
pyglet.options["headless"] = True
import hashlib
import numpy as np
made = []
pyglet.graphics.vertex_list = lambda count, *data: made.append({kind: values for kind, values in data})
import miniworld.objmesh as module
class Loaded:
    @staticmethod
    def load(path):
        image = pyglet.image.load(path).get_image_data()
        return hashlib.sha256(bytes(image.get_data("RGB", -3 * image.width))).hexdigest()
module.Texture = Loaded
found = {}
for name in json.loads(sys.argv[1]):
    made.clear()
    mesh = module.ObjMesh.get(name)
    arrays = {kind: hashlib.sha256(np.concatenate([part[kind] for part in made]).tobytes()).hexdigest() for kind in made[0]}
    found[name] = [arrays, [float(v) for v in mesh.max_coords], mesh.textures]
textures = {path: Loaded.load(path) for path in json.loads(sys.argv[2])}
print(json.dumps([found, textures]))
"""


def test_what_is_read_equals_what_the_package_itself_reads() -> None:
    """Every corner, normal, coordinate and colour of all meshes, and every pixel, against its own loader."""
    folder = package.package_folder()
    if folder is None:
        pytest.skip("the miniworld package is not installed (extra miniworld)")
    paths = [str(folder / "textures" / f"{name}_{k + 1}.png") for name, count in TEXTURES.items() for k in range(count)]
    done = subprocess.run(
        [sys.executable, "-P", "-c", UPSTREAM, json.dumps(list(EXTENTS)), json.dumps(paths)],
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    if done.returncode and ("EGL" in done.stderr or "libGL" in done.stderr):
        pytest.skip(f"no OpenGL for the package: {done.stderr.splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    meshes, textures = json.loads(done.stdout)

    def sha(array: np.ndarray) -> str:
        return hashlib.sha256(array.tobytes()).hexdigest()

    data = whole(package.package_assets(folder))
    for name, mesh in data.meshes.items():
        arrays, extent, pictures = meshes[name]
        assert extent == mesh.extent.tolist() == [np.float32(v) for v in EXTENTS[name]]
        ours = {"v3f": mesh.positions, "t2f": mesh.uvs, "n3f": mesh.normals, "c3f": mesh.colours}
        assert {kind: sha(array) for kind, array in ours.items()} == arrays, name
        assert [None if picture is None else sha(picture) for _, picture in mesh.parts] == pictures, name
    for path, expected in textures.items():
        assert sha(package.read_picture(Path(path))) == expected, path
