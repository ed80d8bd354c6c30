"""Search against plain Python BM25: golden results, random shops, ties, cuts; terms against Lucene's rules."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vldac.envs.webshop.catalogue_maker import make_products
from vldac.envs.webshop.files import write_catalogue

from vldac import _core

_WORDS = "easy use long hair face dry skin gluten free navy blue shoes women's 8 oz case the"
WORDS = _WORDS.split()
Shop = tuple[_core.WebshopCatalogue, dict[str, Any]]


@pytest.fixture(scope="module")
def bm25() -> ModuleType:
    """Return the oracle of benchmarks/."""
    path = Path(__file__).parents[2] / "benchmarks" / "webshop_bm25.py"
    spec = importlib.util.spec_from_file_location("webshop_bm25", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def shop(build_webshop: Callable[..., Shop], tmp_path_factory: pytest.TempPathFactory) -> _core.WebshopCatalogue:
    folder = tmp_path_factory.mktemp("shop")
    write_catalogue(folder, make_products(400, seed=6))
    return build_webshop(folder, folder / "store")[0]


def document(product: dict[str, Any]) -> str:
    """Return what upstream indexes of a product."""
    options = ", and ".join(f"{name}: {', '.join(values)}" for name, values in product["options"].items())
    return " ".join([product["name"], product["description"], product["bullets"][0], options]).lower()


def asins(catalogue: _core.WebshopCatalogue, query: str, k: int = 50, *, lossy: bool = False) -> list[str]:
    return [asin for asin, _ in catalogue.search(query, k, lossy=lossy)]


@pytest.mark.parametrize("length", ["exact", "lucene"])
def test_results_are_those_of_the_plain_bm25_over_upstreams_documents(
    length: str, webshop_golden: Callable[[str], Any], odd_webshop: Shop
) -> None:
    for row in webshop_golden("search")[length]:
        assert asins(odd_webshop[0], row["query"], lossy=length == "lucene") == row["asins"], row["query"]


def test_scores_are_those_of_the_formula(shop: _core.WebshopCatalogue, bm25: ModuleType) -> None:
    products = [shop.product(number) for number in range(len(shop))]
    index = bm25.Index([(product["asin"], document(product)) for product in products])
    for query in (
        "gluten free potato chips",
        "shoes shoes running",
        "navy blue x-large dress for the beach",
        products[7]["name"],
    ):
        found = shop.search(query, 50)
        theirs = index.search(query, 50)
        assert [asin for asin, _ in found] == [index.ids[place] for place in theirs]
        scores = index.scores(query)
        assert [score for _, score in found] == pytest.approx([scores[place] for place in theirs], rel=1e-6)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.sampled_from(WORDS), max_size=12))
def test_any_words_find_what_the_plain_bm25_finds(
    bm25: ModuleType, shop: _core.WebshopCatalogue, words: list[str]
) -> None:
    if not hasattr(bm25, "of_shop"):
        products = [shop.product(number) for number in range(len(shop))]
        bm25.of_shop = bm25.Index([(product["asin"], document(product)) for product in products])  # type: ignore[attr-defined]
    query = " ".join(words)
    assert asins(shop, query, 7) == [bm25.of_shop.ids[place] for place in bm25.of_shop.search(query, 7)]


def test_equal_scores_keep_the_order_of_the_products(build_webshop: Callable[..., Shop], tmp_path: Path) -> None:
    first = next(iter(make_products(1)))
    rows = [first.row | {"asin": f"A{number}", "full_description": "x " * (number % 3)} for number in range(30)]
    (tmp_path / "items_shuffle.json").write_text(json.dumps(rows), encoding="utf-8")
    (tmp_path / "items_ins_v2.json").write_text("{}", encoding="utf-8")
    catalogue = build_webshop(tmp_path, tmp_path / "store")[0]
    word = first.row["name"].split(" ")[0]
    expected = [f"A{number}" for rest in range(3) for number in range(30) if number % 3 == rest]
    assert asins(catalogue, word) == expected
    assert asins(catalogue, word, 5) == expected[:5]


def test_equal_scores_keep_the_order_of_the_products_across_kinds(
    build_webshop: Callable[..., Shop], tmp_path: Path
) -> None:
    first = next(iter(make_products(1)))
    kinds = [("garden", "lamps"), ("beauty", "soaps"), ("garden", "chairs"), ("beauty", "combs")]
    rows, attributes = [], {}
    for number in range(900):  # each kind fills windows of its own
        category, query = kinds[number * 7 % 4]
        rows.append(first.row | {"asin": f"A{number}", "category": category, "query": query})
        attributes[f"A{number}"] = {"attributes": [f"attribute {number % 5}"]}
    (tmp_path / "items_shuffle.json").write_text(json.dumps(rows), encoding="utf-8")
    (tmp_path / "items_ins_v2.json").write_text(json.dumps(attributes), encoding="utf-8")
    catalogue = build_webshop(tmp_path, tmp_path / "store")[0]
    for k in (1, 50, 129, 2000):
        for lossy in (False, True):
            expected = [f"A{number}" for number in range(min(k, 900))]
            assert asins(catalogue, first.row["name"], k, lossy=lossy) == expected


def test_fifty_of_many_products_are_the_first_fifty_of_all(shop: _core.WebshopCatalogue) -> None:
    for number in range(0, len(shop), 7):
        for lossy in (False, True):
            everything = shop.search(shop.product(number)["name"], len(shop), lossy=lossy)
            assert shop.search(shop.product(number)["name"], 50, lossy=lossy) == everything[:50]


def test_the_benchmark_measures_and_compares(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = Path(__file__).parents[2] / "benchmarks"
    monkeypatch.syspath_prepend(str(path))
    spec = importlib.util.spec_from_file_location("webshop_search", path / "webshop_search.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "NUM_CHECKED_PRODUCTS", 100)
    module.main(["--products", "200", "--words", "20", "--queries", "20", "--rounds", "1", "--out", str(tmp_path)])
    (run,) = json.loads((tmp_path / "webshop_search.json").read_text(encoding="utf-8"))["runs"].values()
    assert run["compared"]["with all products"] == {"searches": 48, "different": 0}
    assert run["compared"]["with plain Python"] == {"searches": 80, "different": 0}
    assert run["searches"]["lucene lengths"]["short"]["warm"]["searches"] == 20


def test_nothing_is_found_for_stop_words_and_unknown_words(shop: _core.WebshopCatalogue) -> None:
    for query in ("", " ", "the and of", "qqqzzz", "!!!", "\U0001f600"):
        assert asins(shop, query) == []


def test_a_query_of_a_megabyte_is_cut_and_answered(shop: _core.WebshopCatalogue) -> None:
    words = "potato chips "
    assert asins(shop, words * 80_000) == asins(shop, words * 100)
    assert asins(shop, "x" * 1_000_000) == []
    assert asins(shop, "\u00e9" * 500_000) == []


def test_a_session_says_that_a_query_was_cut(shop: _core.WebshopCatalogue) -> None:
    session = _core.WebshopSession(_core.WebshopGoals(shop))
    session.reset(0)
    session.step("search[" + "potato chips " * 80_000 + "]")
    assert "cut" in session.notice
    assert len(session.page().text()) < 20_000


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("The Running SHOES, women's & men\u2019s", ["run", "shoe", "women", "men"]),
        ("easy-to-clean 3.5in U.S.A. 1,000 x_y", ["easi", "clean", "3.5in", "u.s.a", "1,000", "x_y"]),
        ("relational conditional hopefulness", ["relat", "condit", "hope"]),
        ("caf\u00e9 \u4e2d\u6587", ["caf\u00e9", "\u4e2d", "\u6587"]),
        ("5a\u00e9e a\u00e9\u00e9ed a\u1145ed", ["5a\u00e9e", "a\u00e9", "a\u1145"]),  # letters count, not bytes
        ("", []),
    ],
)
def test_terms_are_what_lucenes_english_analyser_makes(text: str, terms: list[str]) -> None:
    assert _core.webshop_terms(text) == terms


@given(st.text("abcdefgilmnorstuvyz' .,-_'\u20195\u00e9\u4e2d"))
def test_terms_are_those_of_the_plain_analyser(bm25: ModuleType, text: str) -> None:
    assert _core.webshop_terms(text) == bm25.analyse(text)
