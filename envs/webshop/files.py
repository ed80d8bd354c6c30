"""Writes products as upstream's three files, row by row, and hands the shipped shop to those who name no folder."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from vldac.envs.webshop.catalogue_maker import Product, make_products
from vldac.envs.webshop.short_shop import make_short_shop

from vldac.errors import ConfigError, EnvError

PRODUCTS_FILE = "items_shuffle.json"
ATTRIBUTES_FILE = "items_ins_v2.json"
INSTRUCTIONS_FILE = "items_human_ins.json"
FILES = (PRODUCTS_FILE, ATTRIBUTES_FILE, INSTRUCTIONS_FILE)

SHIPPED_PRODUCTS = 1000
_CACHE_VERSION = 2  # to be raised when the same arguments give other files


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """What was written."""

    folder: Path
    num_products: int
    num_human_goals: int
    """Instructions of items_human_ins.json that name an attribute: as many goals as upstream makes of them"""
    num_bytes: int


def write_catalogue(
    folder: Path,
    products: Iterable[Product],
    *,
    overwrite: bool = False,
    on_product: Callable[[int], None] | None = None,
) -> Report:
    """Write the three files into `folder`, which appear there complete or not at all; `on_product` hears how many are done.

    Raises ConfigError where they are there already and `overwrite` is not set, EnvError where the disk refuses.
    """
    present = [name for name in FILES if (folder / name).exists()]
    if present and not overwrite:
        raise ConfigError(
            expected="a folder without a shop", got=f"{', '.join(present)} in {folder}", where="folder of the shop",
            do="name another folder, or allow overwriting (--overwrite)",
        )  # fmt: skip
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".webshop-", dir=folder) as draft:
            counts = _write(Path(draft), products, on_product)
            num_bytes = sum((Path(draft) / name).stat().st_size for name in FILES)
            for name in FILES:
                os.replace(Path(draft) / name, folder / name)
    except OSError as error:
        raise EnvError(
            expected="a folder that can be written to",
            got=str(error),
            where=str(folder),
            do="free the disk or name another folder",
        ) from error
    return Report(folder=folder, num_products=counts[0], num_human_goals=counts[1], num_bytes=num_bytes)


def shipped_shop(kind: str = "full") -> Path:
    """Return the folder of the shop that ships with the package: "full" (1,000 products) or "short" (12, goals of few words).

    Written at the first call (0.3 s) to $VLDAC_CACHE, else $XDG_CACHE_HOME/vldac, else ~/.cache/vldac; a folder of the system's
    temporary files, new in each process, where none of these can be written to. Raises ConfigError for another kind.
    """
    makers = {"full": lambda: make_products(SHIPPED_PRODUCTS), "short": make_short_shop}
    if kind not in makers:
        raise ConfigError(
            expected="full or short", got=repr(kind), where="kind of the shipped shop",
            do="name one of them, or the folder of a shop of your own",
        )  # fmt: skip
    name = f"webshop-{kind}-{_CACHE_VERSION}"
    for parent in cache_folders():
        folder = parent / name
        if folder.is_dir():
            return folder
        try:
            return _install(folder, makers[kind]())
        except OSError:
            continue  # read-only homes are common in containers
    return write_catalogue(Path(tempfile.mkdtemp(prefix=f"{name}-")), makers[kind]()).folder


def cache_folders() -> list[Path]:
    """Return the folder of the user's cache, for what is made once and kept."""
    named = os.environ.get("VLDAC_CACHE")
    if named:
        return [Path(named)]
    home = os.environ.get("XDG_CACHE_HOME")
    return [(Path(home) if home else Path("~/.cache").expanduser()) / "vldac"]


def _install(folder: Path, products: Iterable[Product]) -> Path:
    """Write a shop beside its place and rename it there; another process may win that race with the same files."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        _write(draft, products, None)
        draft.chmod(0o755)
        draft.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder


def _write(folder: Path, products: Iterable[Product], on_product: Callable[[int], None] | None) -> tuple[int, int]:
    """Write the three files, one row a line; return the number of products and of human goals."""
    num_products = num_goals = num_instructed = 0
    with (
        _open(folder / PRODUCTS_FILE) as rows,
        _open(folder / ATTRIBUTES_FILE) as attributes,
        _open(folder / INSTRUCTIONS_FILE) as instructions,
    ):
        rows.write("[\n")
        attributes.write("{\n")
        instructions.write("{\n")
        for product in products:
            rows.write((",\n" if num_products else "") + _json(product.row))
            attributes.write((",\n" if num_products else "") + f"{_json(product.asin)}: {_json(product.attributes)}")
            if product.instructions:
                separator = ",\n" if num_instructed else ""
                instructions.write(f"{separator}{_json(product.asin)}: {_json(product.instructions)}")
                num_instructed += 1
            num_goals += sum(bool(entry["instruction_attributes"]) for entry in product.instructions)
            num_products += 1
            if on_product is not None:
                on_product(num_products)
        rows.write("\n]\n")
        attributes.write("\n}\n")
        instructions.write("\n}\n")
    return num_products, num_goals


def _open(path: Path) -> TextIO:
    return path.open("w", encoding="utf-8", newline="\n")


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
