"""The rule for the nouns of titles, tables of nouns, and the command that compares them (benchmarks/webshop_nouns.py)."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from vldac import _core

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
GOLDEN_SHOP = Path(__file__).parent / "webshop" / "golden" / "shop"


@pytest.fixture(scope="module")
def command() -> Iterator[ModuleType]:
    sys.path.insert(0, str(BENCHMARKS))
    try:
        import webshop_nouns

        yield webshop_nouns
    finally:
        sys.path.remove(str(BENCHMARKS))


@pytest.fixture
def run(command: ModuleType, tmp_path: Path) -> Callable[..., tuple[int, dict[str, Any] | None]]:
    def run(*arguments: str) -> tuple[int, dict[str, Any] | None]:
        code = command.main(["--data", str(GOLDEN_SHOP), "--out", str(tmp_path), *arguments])
        row = tmp_path / "webshop_nouns.json"
        return code, json.loads(row.read_text(encoding="utf-8")) if row.exists() else None

    return run


@pytest.fixture
def table(odd_webshop: tuple[_core.WebshopCatalogue, Any]) -> dict[str, list[str]]:
    """Return the rule's own nouns of every title."""
    catalogue = odd_webshop[0]
    products = [catalogue.product(number) for number in range(len(catalogue))]
    return {product["asin"]: _core.webshop_nouns(product["name"]) for product in products}


@pytest.mark.parametrize(
    ("title", "nouns"),
    [
        ("Easy Assemble Bookshelf G488", ["easy", "assemble", "bookshelf", "g488"]),
        ("Cotton Shirt for Men, Pack of 12", ["cotton", "shirt", "men", "pack"]),
        ("Women's Long-Sleeve Dress With Pockets", ["women", "long", "sleeve", "dress", "pockets"]),
        ("organic decaf coffee beans, 5oz, easy to use", ["decaf", "coffee", "beans", "use"]),
        ("Vitamin C 1000 mg and D3", ["vitamin", "c", "mg", "d3"]),
        ("RED RED red rug", ["red", "red", "rug"]),
        ("", []),
        ("\u00c9clair \u4e2d\u6587 \u2122", ["\u00e9clair", "\u4e2d\u6587"]),
    ],
)
def test_the_rule_takes_capitalised_words_and_drops_adjectives_in_lower_case(title: str, nouns: list[str]) -> None:
    assert _core.webshop_nouns(title) == nouns


def test_a_table_like_the_rule_agrees_in_everything(run: Any, table: dict[str, list[str]], tmp_path: Path) -> None:
    file = tmp_path / "nouns.json"
    file.write_text(json.dumps(table), encoding="utf-8")
    code, row = run("--table", str(file))
    assert code == 0
    assert row is not None and row["reference"] == "table nouns.json"
    tokens = row["tokens"]
    assert (tokens["precision"], tokens["recall"], tokens["titles_equal"]) == (1.0, 1.0, 1.0)
    assert tokens["titles"] == len(table)
    assert [run["different"] for run in row["r_type"].values()] == [0, 0]
    assert all(run["pairs"] > 0 for run in row["r_type"].values())


def test_words_that_a_table_has_besides_lower_recall_and_those_it_lacks_precision(
    run: Any, table: dict[str, list[str]], tmp_path: Path
) -> None:
    total = sum(map(len, table.values()))
    first, second, third = list(table)[:3]
    table[first] = [*table[first], "extra", "extra"]
    lost = table[second].pop()
    del table[third]  # not in the table, not compared
    file = tmp_path / "nouns.json"
    file.write_text(json.dumps(table), encoding="utf-8")
    code, row = run("--table", str(file))
    assert code == 0 and row is not None
    ours = total - len(_nouns_of(third))
    assert row["tokens"]["precision"] == pytest.approx((ours - 1) / ours)
    assert row["tokens"]["recall"] == pytest.approx((ours - 1) / (ours + 1))
    assert row["tokens"]["titles_equal"] == pytest.approx((len(table) - 2) / len(table))
    assert row["tokens"]["most_often_lacking"] == {"extra": 2}
    assert row["tokens"]["most_often_extra"] == {lost: 1}


def _nouns_of(asin: str) -> list[str]:
    rows = json.loads((GOLDEN_SHOP / "items_shuffle.json").read_text(encoding="utf-8"))
    return _core.webshop_nouns(next(row["name"] for row in rows if row["asin"] == asin))


def test_foreign_nouns_change_what_a_purchase_is_worth(run: Any, table: dict[str, list[str]], tmp_path: Path) -> None:
    file = tmp_path / "nouns.json"
    file.write_text(json.dumps({asin: [f"only {asin}"] for asin in table}), encoding="utf-8")
    code, row = run("--table", str(file))
    assert code == 0 and row is not None
    drawn = row["r_type"]["drawn"]
    assert drawn["different"] > 0
    assert drawn["different"] == sum(
        count for way, count in drawn["rule -> reference"].items() if len(set(way.split(" -> "))) == 2
    )


@pytest.mark.parametrize("text", ["[]", '{"ODD00": "rug"}', '{"ODD00": [1]}', "{", '{"nothing": ["rug"]}'])
def test_a_file_that_is_no_table_of_this_shop_gives_no_figures(
    run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    file = tmp_path / "nouns.json"
    file.write_text(text, encoding="utf-8")
    assert run("--table", str(file)) == (2, None)
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err != ""


@pytest.mark.skipif(importlib.util.find_spec("spacy") is not None, reason="spaCy is installed")
def test_without_spacy_nothing_is_claimed(run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([], ["--write", str(tmp_path / "nouns.json")]):
        assert run(*arguments) == (2, None)
        captured = capsys.readouterr()
        assert captured.out == "" and "spaCy is not installed" in captured.err
    assert not (tmp_path / "nouns.json").exists()


def test_a_catalogue_loads_the_table_that_the_command_reads(
    build_webshop: Callable[..., tuple[_core.WebshopCatalogue, Any]], table: dict[str, list[str]], tmp_path: Path
) -> None:
    catalogue = build_webshop(GOLDEN_SHOP, tmp_path / "store")[0]
    file = tmp_path / "nouns.json"
    file.write_text(json.dumps({asin: words for asin, words in list(table.items())[:5]}), encoding="utf-8")
    assert catalogue.load_nouns(str(file)) == len(table) - 5
