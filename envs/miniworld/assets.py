"""Which textures and meshes the MiniWorld environments draw with: the installed package's, or the built-in ones.

A set is read and handed to the extension once per process, for all environments; it takes about as long as importing NumPy does.
"""

from __future__ import annotations

import threading
from pathlib import Path

from vldac.envs.miniworld.builtin import builtin_assets
from vldac.envs.miniworld.inventory import AssetSource
from vldac.envs.miniworld.package import package_assets, package_folder

from vldac import _core
from vldac.errors import EnvError, nearest

CHOICES = ("auto", "miniworld", "builtin")
_LOCK = threading.Lock()
_FULL_NAMES: dict[str, str] = {}  # of the sets that this process has installed as "miniworld" and "builtin"


def ensure_assets(which: str = "auto") -> str:
    """Install a set of textures and meshes unless it is there, and return its full name: "builtin", or "miniworld 2.1.0".

    which: "miniworld", the installed package's; "builtin"; "auto", the package's if it is installed, else the built-in ones. The
    extension knows the sets as "miniworld" and "builtin"; what was read first stays for the life of the process. Thread-safe.
    Raises EnvError for another word, a package that is not installed, and one with missing or damaged files ("auto", too: a
    damaged package is never passed over in silence).
    """
    if which not in CHOICES:
        raise EnvError(
            expected=f"one of {', '.join(map(repr, CHOICES))}{nearest(str(which), CHOICES)}", got=repr(which), where="textures",
            do="correct it",
        )  # fmt: skip
    with _LOCK:
        folder = package_folder()
        if which == "auto":
            which = "miniworld" if folder or "miniworld" in _FULL_NAMES else "builtin"
        if which not in _FULL_NAMES:
            source = builtin_assets() if which == "builtin" else package_assets(_required(folder))
            _core.install_assets(which, asset_set(source))
            _FULL_NAMES[which] = source.name
        return _FULL_NAMES[which]


def asset_set(source: AssetSource) -> _core.AssetSet:
    """Return the extension's copy of a set."""
    assets = _core.AssetSet()
    for name, texture in source.textures:
        assets.add_texture(name, texture)
    for name, mesh in source.meshes:
        chunks, first = [], 0
        for count, picture in mesh.parts:
            chunks.append((first, count, picture))
            first += count
        positions, normals, colours = (array.reshape(-1, 3) for array in (mesh.positions, mesh.normals, mesh.colours))
        assets.add_mesh(name, positions, normals, mesh.uvs.reshape(-1, 2), colours, chunks)
    return assets


def _required(folder: Path | None) -> Path:
    if folder is None:
        raise EnvError(
            expected="the MiniWorld package, whose textures were asked for", got="it is not installed", where="textures='miniworld'",
            do="pip install 'vldac[miniworld]', or use textures='builtin' or 'auto'",
        )  # fmt: skip
    return folder
