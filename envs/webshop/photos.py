"""Pictures of products from a folder on this machine, in place of the drawings.

The files are anybody's: they are read as JPEG, PNG or WebP alone, never from outside the folder (links are followed first), and
never decoded before their size is known to be bounded.
"""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from vldac import _core
from vldac.errors import EnvError

FORMATS = ("JPEG", "PNG", "WEBP")
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
MAX_FILE_BYTES = 32 * 1024 * 1024
MAX_PIXELS = 40_000_000
MAX_TOTAL_BYTES = 1024 * 1024 * 1024
_DAMAGE: tuple[type[Exception], ...] = (
    OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, Image.DecompressionBombWarning,
    Image.DecompressionBombError,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedPhotos:
    """The pictures of a folder."""

    photos: _core.WebshopPhotos
    """For `_core.WebshopPainter`"""
    skipped: tuple[str, ...]
    """Why a file was left out, one entry each; empty unless `skips_bad_files`"""


def load_photos(
    folder: str | Path, paths: Mapping[str, str] | None = None, *, side: int = 256, skips_bad_files: bool = False
) -> LoadedPhotos:
    """Read pictures of products and make them at most `side` pixels wide and high.

    paths: product (asin) to file, relative to `folder`; None: every `<asin>.jpg`, `.jpeg`, `.png`, `.webp` in it. Raises EnvError for
    a folder that is none, a side outside 16..512, a path that leaves the folder, a file that is too large or damaged (listed
    in `skipped` instead, with skips_bad_files), and more than 1 GiB of pictures.
    """
    root = Path(folder)
    if not root.is_dir():
        raise EnvError(expected="a folder of pictures", got=str(folder), where="load_photos", do="correct the path")
    if not 16 <= side <= 512:
        raise EnvError(expected="a side of 16 to 512 pixels", got=str(side), where="load_photos", do="correct it")
    root = root.resolve()
    photos, skipped = _core.WebshopPhotos(), list[str]()
    for product, name in _files(root) if paths is None else paths.items():
        try:
            photos.add(product, read_photo(root, name, side=side))
        except EnvError as error:
            if not skips_bad_files:
                raise
            skipped.append(f"{name}: {error.got}")
        if photos.bytes > MAX_TOTAL_BYTES:
            raise EnvError(
                expected=f"at most {MAX_TOTAL_BYTES} bytes of pictures", got=f"more, with {len(photos)} of them read",
                where=str(folder), do="choose a smaller side, or fewer products",
            )  # fmt: skip
    return LoadedPhotos(photos=photos, skipped=tuple(skipped))


def read_photo(root: Path, name: str, *, side: int) -> NDArray[np.uint8]:
    """Return one picture of a resolved folder, [H, W, 3] uint8, made small; transparent parts are white. Raises EnvError."""
    path = _inside(root, name)
    size = path.stat().st_size
    if size > MAX_FILE_BYTES:
        raise _bad(name, f"at most {MAX_FILE_BYTES} bytes", f"{size} bytes")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=list(FORMATS)) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise _bad(name, f"at most {MAX_PIXELS} pixels", f"{image.width}x{image.height} pixels")
                image.draft("RGB", (2 * side, 2 * side))  # JPEG: decode at a fraction of the size
                return _made_small(image, side)
    except EnvError:
        raise
    except _DAMAGE as error:
        raise _bad(name, "a JPEG, PNG or WebP file", f"{type(error).__name__}: {error}") from error


def _made_small(image: Image.Image, side: int) -> NDArray[np.uint8]:
    upright = ImageOps.exif_transpose(image).convert("RGBA")
    upright.thumbnail((side, side), Image.Resampling.LANCZOS)
    ground = Image.new("RGBA", upright.size, (255, 255, 255, 255))
    ground.alpha_composite(upright)
    return np.array(ground.convert("RGB"))


def _files(root: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(root.iterdir()):
        if path.suffix.lower() in SUFFIXES:
            yield path.stem, path.name


def _inside(root: Path, name: str) -> Path:
    try:
        path = (root / name).resolve(strict=True)
    except (OSError, ValueError, RuntimeError) as error:
        raise _bad(name, "a file in the folder", f"{type(error).__name__}: {error}") from error
    if not path.is_relative_to(root) or not path.is_file():
        raise _bad(name, "a file inside the folder", "a path that leaves it, or no plain file")
    return path


def _bad(name: str, expected: str, got: str) -> EnvError:
    return EnvError(
        expected=expected, got=got, where=repr(name), do="correct or remove the file, or pass skips_bad_files=True"
    )
