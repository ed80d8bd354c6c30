"""The built-in set of textures and meshes: what the environments draw with where the MiniWorld package is not installed.

Names, variants and extents are upstream's, so that worlds, physics and random draws are the same; pictures are not, and
observations say which set they were drawn with.
"""

from __future__ import annotations

from vldac.envs.miniworld.builtin_meshes import builtin_meshes
from vldac.envs.miniworld.builtin_textures import builtin_textures
from vldac.envs.miniworld.inventory import AssetSource


def builtin_assets() -> AssetSource:
    """Return the built-in set: always the same bytes."""
    return AssetSource(name="builtin", textures=builtin_textures(), meshes=builtin_meshes())
