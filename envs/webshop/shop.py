"""Opens a shop: finds its files, builds the store that the native environment maps (once per content), and makes its goals.

A store is built at the first use of a folder and kept beside the shipped shops (`files.cache_folders`); one whose files have changed
since (size or time) is built anew. 1.18 million products take minutes and 3 GB of disk.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vldac.envs.webshop.files import ATTRIBUTES_FILE, INSTRUCTIONS_FILE, PRODUCTS_FILE, cache_folders, shipped_shop

from vldac import _core
from vldac.errors import EnvError

SHIPPED = {"shipped": "full", "short": "short"}
"""Names of `data` that are no folders."""
SPLITS = ("all", "train", "eval", "test")


@dataclass(frozen=True, kw_only=True, slots=True)
class ShopFiles:
    """The published files of a shop."""

    products: Path
    attributes: Path
    instructions: Path | None
    """None: goals are synthetic alone"""


@dataclass(frozen=True, kw_only=True, slots=True)
class GoalChoice:
    """Which goals a shop's customers have."""

    is_human: bool = True
    is_compat: bool = False
    is_by_asin: bool = True
    """No product has goals in two splits"""
    seed: int = 0
    num_test: int = -1
    num_eval: int = -1
    """At least that many; -1: a fifth of all goals each, at most 500 and 1,000 (compat: 500 and 1,000)"""
    limit: int = -1
    """compat: upstream's limit_goals"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Shop:
    """What is sold, and to whom."""

    folder: Path
    catalogue: _core.WebshopCatalogue
    goals: _core.WebshopGoals
    split: str
    left_out: tuple[tuple[str, str], ...]
    """(file, what was wrong) of rows that were skipped; the first few in words, then one entry for the others"""
    nouns: str
    """"rule", or "table" with how many products it lacks"""
    number: int
    """52 bits of the contents: equal for equal shops, whatever the folder"""
    photos: _core.WebshopPhotos | None = field(default=None, repr=False)

    @property
    def kind(self) -> str:
        """What it is, in a word."""
        return "shop"

    def summary(self) -> str:
        """One line for people."""
        begin, end = self.goals.range(self.split)
        out = f"; left out {len(self.left_out)}" if self.left_out else ""
        pictures = "drawings" if self.photos is None else f"{len(self.photos)} photos"
        return f"{len(self.catalogue):,} products, {end - begin:,} goals of {self.split}, nouns: {self.nouns}, {pictures}{out}"


def find_files(folder: Path) -> ShopFiles:
    """Return the files of a shop's folder: those of all products where they are there, else the set of 1,000.

    Raises EnvError where one is missing, saying what is there.
    """
    if not folder.is_dir():
        raise EnvError(
            expected=f"a folder with {PRODUCTS_FILE} and {ATTRIBUTES_FILE}", got="no such folder", where=str(folder),
            do="correct data, or leave it out to play the shop that ships with the package",
        )  # fmt: skip
    found = {}
    for name in (PRODUCTS_FILE, ATTRIBUTES_FILE, INSTRUCTIONS_FILE):
        stem = name.removesuffix(".json")
        choices = [folder / name, folder / f"{stem}_1000.json", *sorted(folder.glob(f"{stem}*.json"))]
        found[name] = next((path for path in choices if path.is_file()), None)
    products, attributes = found[PRODUCTS_FILE], found[ATTRIBUTES_FILE]
    if products is None or attributes is None:
        missing = [name for name in (PRODUCTS_FILE, ATTRIBUTES_FILE) if found[name] is None]
        there = ", ".join(sorted(path.name for path in folder.iterdir())[:8]) or "nothing"
        raise EnvError(
            expected=f"{' and '.join(missing)} (or a set of another size, such as items_shuffle_1000.json)", got=there,
            where=str(folder), do="download upstream's files, or make a shop: vldac envs generate-webshop --out DIR",
        )  # fmt: skip
    return ShopFiles(products=products, attributes=attributes, instructions=found[INSTRUCTIONS_FILE])


def open_shop(
    data: str | Path = "shipped", *, goals: GoalChoice, split: str = "all", num_products: int = -1, is_strict: bool = False,
    nouns: str | Path | None = None, photos: str | Path | None = None,
) -> Shop:  # fmt: skip
    """Return a shop, with its store built if need be.

    data: "shipped" (1,000 products), "short" (12), or a folder with upstream's files. num_products: the first rows that count, -1 for
    all. is_strict: a malformed row is an error; otherwise it is skipped and counted. nouns: a file with the nouns of names,
    {asin: [noun, ...]}; by rule without. photos: a folder of pictures, `<asin>.jpg` or the like; drawings without.
    Raises EnvError for files that are missing or cannot be used.
    """
    folder = shipped_shop(SHIPPED[str(data)]) if str(data) in SHIPPED else Path(data).expanduser()
    files = find_files(folder)
    try:
        catalogue, report = _catalogue(files, num_products, is_strict)
        told = "rule"
        if nouns is not None:
            missing = catalogue.load_nouns(str(nouns))
            told = f"table, {missing:,} by rule" if missing else "table"
        choice = _core.WebshopGoals(
            catalogue, human=goals.is_human, compat=goals.is_compat, by_asin=goals.is_by_asin, seed=goals.seed,
            num_test=goals.num_test, num_eval=goals.num_eval, limit=goals.limit,
        )  # fmt: skip
    except ValueError as error:
        if isinstance(error, EnvError):
            raise
        raise EnvError(
            expected="files of a shop, as upstream publishes them", got=str(error), where=str(folder),
            do="correct the files or the options; without strict, malformed rows are skipped",
        ) from error  # fmt: skip
    pictures = None
    if photos is not None:
        from vldac.envs.webshop.photos import load_photos

        pictures = load_photos(photos, skips_bad_files=not is_strict).photos
    number = _number(catalogue.content, goals, _hash_of(nouns), "" if photos is None else str(Path(photos).resolve()))
    _core.webshop_keep_shop(number, choice, pictures)
    return Shop(
        folder=folder, catalogue=catalogue, goals=choice, split=split, left_out=_left_out(report), nouns=told,
        number=number, photos=pictures,
    )  # fmt: skip


def _catalogue(files: ShopFiles, num_products: int, is_strict: bool) -> tuple[_core.WebshopCatalogue, dict[str, Any]]:
    """Return the catalogue and what its building told: of the store that is there, or of a new one."""
    source = _source(files, num_products)
    name = f"webshop-store-{hashlib.sha256(source.encode()).hexdigest()[:16]}"
    for parent in cache_folders():
        store, told = parent / f"{name}.bin", parent / f"{name}.json"
        try:
            report = json.loads(told.read_text(encoding="utf-8"))
            catalogue = _core.WebshopCatalogue(str(store))
            if catalogue.source == source and not (is_strict and report["malformed"]):
                return catalogue, report
        except (OSError, ValueError):
            pass  # not there, or not whole: it is built
        try:
            parent.mkdir(parents=True, exist_ok=True)
            return _build(files, store, told, num_products, is_strict, source)
        except OSError:
            continue  # read-only homes are common in containers
    parent = Path(tempfile.mkdtemp(prefix="vldac-webshop-"))
    return _build(files, parent / f"{name}.bin", parent / f"{name}.json", num_products, is_strict, source)


def _build(
    files: ShopFiles, store: Path, told: Path, num_products: int, is_strict: bool, source: str
) -> tuple[_core.WebshopCatalogue, dict[str, Any]]:
    if not os.access(store.parent, os.W_OK):
        raise OSError(f"{store.parent} cannot be written to")
    human = "" if files.instructions is None else str(files.instructions)
    report = _core.webshop_build(
        str(files.products), str(files.attributes), str(store), human, num_products, is_strict, source
    )
    draft = told.with_name(f".{told.name}.{os.getpid()}")
    draft.write_text(json.dumps(report), encoding="utf-8")
    os.replace(draft, told)
    return _core.WebshopCatalogue(str(store)), report


def _source(files: ShopFiles, num_products: int) -> str:
    """What a store is built of, as text."""
    parts: list[Any] = [num_products]
    for path in (files.products, files.attributes, files.instructions):
        if path is not None:
            facts = path.stat()
            parts.append([str(path.resolve()), facts.st_size, facts.st_mtime_ns])
    return json.dumps(parts)


def _left_out(report: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    problems = [tuple(problem.split(": ", 1)) for problem in report["problems"]]
    shown = [(where[0], where[-1]) for where in problems]
    rest = report["malformed"] - len(shown)
    return (*shown, *([("other rows", f"{rest} more that are malformed")] if rest > 0 else []))


def _hash_of(path: str | Path | None) -> str:
    return "" if path is None else hashlib.sha256(Path(path).read_bytes()).hexdigest()


def _number(content: int, goals: GoalChoice, nouns: str, photos: str) -> int:
    """52 bits, which a float holds exactly."""
    text = json.dumps([content, repr(goals), nouns, photos])
    return int(hashlib.sha256(text.encode()).hexdigest()[:13], 16)
