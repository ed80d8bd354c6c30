"""Fixtures of the environment tests: WebShop's golden files, and shops built from folders of upstream's three files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from vldac.envs.webshop.files import ATTRIBUTES_FILE, INSTRUCTIONS_FILE, PRODUCTS_FILE

from vldac import _core

_GOLDEN = Path(__file__).parent / "webshop" / "golden"


@pytest.fixture(scope="session")
def webshop_golden() -> Callable[[str], Any]:
    """Return golden files by name: what upstream made of the odd shop (benchmarks/webshop_parity.py golden)."""
    return lambda name: json.loads((_GOLDEN / f"{name}.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def build_webshop() -> Callable[..., tuple[_core.WebshopCatalogue, dict[str, Any]]]:
    """Return what builds the store of a folder: (folder, store file, **options) -> catalogue and report."""

    def build(folder: Path, store: Path, **options: Any) -> tuple[_core.WebshopCatalogue, dict[str, Any]]:
        human = folder / INSTRUCTIONS_FILE
        files = [str(folder / name) for name in (PRODUCTS_FILE, ATTRIBUTES_FILE)]
        report = _core.webshop_build(*files, str(store), human=str(human) if human.exists() else "", **options)
        return _core.WebshopCatalogue(str(store)), report

    return build


@pytest.fixture(scope="session")
def odd_webshop(
    build_webshop: Callable[..., tuple[_core.WebshopCatalogue, dict[str, Any]]],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[_core.WebshopCatalogue, dict[str, Any]]:
    """Return the shop full of oddities that the golden files are about, and the report of its building."""
    return build_webshop(_GOLDEN / "shop", tmp_path_factory.mktemp("webshop") / "odd.store")
