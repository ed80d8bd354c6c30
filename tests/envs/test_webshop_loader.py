"""Loading upstream's files: what is cleaned, what is dropped, what is malformed, and what is said about it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from vldac.envs.webshop.catalogue_maker import make_products
from vldac.envs.webshop.files import write_catalogue

from vldac import _core

Build = Callable[..., tuple[_core.WebshopCatalogue, dict[str, Any]]]

GOOD: dict[str, Any] = {
    "asin": "B000000001",
    "name": "Rug",
    "full_description": "A rug.",
    "small_description": ["soft"],
    "pricing": "$5.00",
    "category": "garden",
    "query": "rugs",
    "product_category": "Home \u203a Rugs",
    "images": ["a.png"],
    "customization_options": {},
}


def write(folder: Path, rows: Any, attributes: Any = None, human: Any = None) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "items_shuffle.json").write_text(json.dumps(rows), encoding="utf-8")
    (folder / "items_ins_v2.json").write_text(json.dumps(attributes or {}), encoding="utf-8")
    (folder / "items_human_ins.json").write_text(json.dumps(human or {}), encoding="utf-8")
    return folder


def build_one(build: Build, folder: Path, **changes: Any) -> dict[str, Any]:
    """Return the only product of a shop of one row; a change to None leaves the field out, the text "null" makes it null."""
    row = {key: value for key, value in (GOOD | changes).items() if value is not None}
    row = {key: None if isinstance(value, str) and value == "null" else value for key, value in row.items()}
    catalogue, report = build(write(folder, [row]), folder / "store")
    assert report["problems"] == []
    return catalogue.product(0)


def problems_of(build: Build, folder: Path, row: Any) -> str:
    """Return what is said about a malformed row between two good ones, which are kept."""
    rows = [GOOD, row, GOOD | {"asin": "B000000002"}]
    catalogue, report = build(write(folder, rows), folder / "store")
    assert (report["rows"], report["malformed"], len(catalogue)) == (3, 1, 2)
    (problem,) = report["problems"]
    return str(problem)


def test_products_are_cleaned_as_upstream_cleans_them(
    odd_webshop: tuple[_core.WebshopCatalogue, dict[str, Any]],
) -> None:
    catalogue, report = odd_webshop
    odd = {product["asin"]: product for product in (catalogue.product(number) for number in range(len(catalogue)))}
    assert report["duplicates"] == 1 and report["bad_asins"] == 2 and report["malformed"] == 0
    assert [name for name in odd if "dropped" in odd[name]["name"]] == []
    one = odd["ODD01"]
    assert one["name"] == "  Caf\u00e9 au lait \u2122 \U0001f600 mug  "
    assert one["query"] == "area rugs"
    assert one["bullets"] == ["First <li>", "  second  ", ""]
    assert one["options"] == {
        "color": ["navy | blue", "features", 'red & "gold" <b>'],
        "size": ["features", "5' x 8'", "5' x 8'", "caf\u00e9 \u2013 \u4e2d"],
    }
    assert odd["ODD00"]["options"] == odd["ODD04"]["options"] == {}
    assert odd["ODD03"]["bullets"] == ["one text"]
    assert odd["ODD05"]["attributes"] == ["DUMMY_ATTR"]
    assert odd["ODD06"]["options"]["empty"] == []


@pytest.mark.parametrize(
    ("pricing", "prices", "tag"),
    [
        ("$7.99", [7.99], "$7.99"),
        ("$1,299.00", [1299.0], "$1299.0"),
        ("$5 - $7.50", [5.0, 7.5], "$5.0 to $7.5"),
        ("$1.00$2.00$3.00", [1.0, 2.0], "$1.0 to $2.0"),
        ("", [100.0], "$100.0"),
        ("null", [100.0], "$100.0"),
        (None, [100.0], "$100.0"),
        ("from $0.1 a piece", [0.1], "$0.1"),
        ("$123456789.99", [123456789.99], "$123456789.99"),
    ],
)
def test_prices_are_read_and_shown_as_upstream_does(
    build_webshop: Build, tmp_path: Path, pricing: str | None, prices: list[float], tag: str
) -> None:
    product = build_one(build_webshop, tmp_path, pricing=pricing)
    assert product["pricing"] == prices
    assert product["price_tag"] == tag


@given(st.lists(st.floats(0, 1e9).map(lambda x: round(x, 3)), min_size=1, max_size=3))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
def test_price_tags_have_pythons_digits(build_webshop: Build, tmp_path: Path, prices: list[float]) -> None:
    amounts = [f"{price:.3f}" for price in prices]
    product = build_one(build_webshop, tmp_path, pricing="$" + "$".join(amounts))
    kept = [float(amount) for amount in amounts[:2]]
    assert product["pricing"] == kept
    assert product["price_tag"] == " to ".join(f"${price}" for price in kept)


@pytest.mark.parametrize("empty", ["", "null", {}, []])
def test_nothing_counts_as_no_options(build_webshop: Build, tmp_path: Path, empty: Any) -> None:
    assert build_one(build_webshop, tmp_path, customization_options=empty)["options"] == {}


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (17, "no object"),
        ([], "no object"),
        ({}, "asin"),
        (GOOD | {"name": None}, "'name' is no text"),
        (GOOD | {"asin": 5}, "'asin'"),
        ({key: value for key, value in GOOD.items() if key != "category"}, "'category' is missing"),
        (GOOD | {"pricing": "call us"}, "'pricing'"),
        (GOOD | {"pricing": 5.5}, "'pricing'"),
        (GOOD | {"pricing": "$1.2.3"}, "'pricing'"),
        (GOOD | {"customization_options": 7}, "'customization_options'"),
        (GOOD | {"customization_options": {"size": "L"}}, "'size'"),
        (GOOD | {"customization_options": {"size": [{"image": None}]}}, "'value'"),
        (GOOD | {"small_description": [1]}, "'small_description'"),
    ],
)
def test_a_malformed_row_is_skipped_counted_and_named_with_file_and_position(
    build_webshop: Build, tmp_path: Path, row: Any, words: str
) -> None:
    problem = problems_of(build_webshop, tmp_path, row)
    assert words in problem
    assert "items_shuffle.json" in problem
    assert "row 2" in problem
    position = len(json.dumps([GOOD])) - 1
    assert any(str(position + shift) in problem for shift in range(4)), problem


def test_a_malformed_row_is_fatal_where_that_is_asked_for(build_webshop: Build, tmp_path: Path) -> None:
    folder = write(tmp_path, [GOOD, {"asin": "B000000002"}])
    with pytest.raises(ValueError, match=r"items_shuffle\.json.*row 2"):
        build_webshop(folder, tmp_path / "store", strict=True)
    assert not (tmp_path / "store").exists()


def test_malformed_attributes_and_instructions_are_told_of(build_webshop: Build, tmp_path: Path) -> None:
    attributes = {"B000000001": {"attributes": "soft"}, "B000000002": 3}
    human = {
        "B000000001": [
            {"instruction": "a rug", "instruction_attributes": ["soft"], "instruction_options": []},
            {"instruction": 5},
        ]
    }
    folder = write(tmp_path, [GOOD], attributes, human)
    catalogue, report = build_webshop(folder, tmp_path / "store")
    assert report["malformed"] == 3
    assert sum("items_ins_v2.json" in problem for problem in report["problems"]) == 2
    assert sum("items_human_ins.json" in problem for problem in report["problems"]) == 1
    assert catalogue.product(0)["attributes"] == ["DUMMY_ATTR"]
    assert len(_core.WebshopGoals(catalogue)) == 1, "the good instruction of the product is kept"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "ends"),
        ("{}", "list of products"),
        ('[{"asin": "B0"', "ends"),
        ("[1,]", "value"),
        ("[] x", "follows"),
        ('[{"asin": "\\q"}]', "escape"),
        ('[{"asin": "a\nb"}]', "control"),
        ("[" * 5000, "nested"),
        ('[{"asin" 5}]', "':'"),
    ],
)
def test_a_file_that_is_no_catalogue_is_refused_with_its_name_and_what_is_wrong(
    build_webshop: Build, tmp_path: Path, text: str, words: str
) -> None:
    folder = write(tmp_path, [])
    (folder / "items_shuffle.json").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=words) as raised:
        build_webshop(folder, tmp_path / "store")
    assert "items_shuffle.json" in str(raised.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "items_human_ins.json",
        "items_ins_v2.json",
        "items_shuffle.json",
    ]


def test_text_that_is_not_utf8_is_refused(build_webshop: Build, tmp_path: Path) -> None:
    folder = write(tmp_path, [])
    (folder / "items_shuffle.json").write_bytes(json.dumps([GOOD]).encode().replace(b"Rug", b"R\xff\xfeg", 1))
    with pytest.raises(ValueError, match="UTF-8"):
        build_webshop(folder, tmp_path / "store")


def test_a_missing_file_is_named(build_webshop: Build, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"items_ins_v2\.json.*(opened|No such file)"):
        build_webshop(tmp_path, tmp_path / "store")


def test_only_so_many_rows_are_taken_as_asked_for(build_webshop: Build, tmp_path: Path) -> None:
    write_catalogue(tmp_path, make_products(30))
    whole = build_webshop(tmp_path, tmp_path / "whole")[0]
    part, report = build_webshop(tmp_path, tmp_path / "part", max_products=10)
    assert (len(whole), len(part), report["rows"]) == (30, 10, 10)
    assert [part.product(n) for n in range(10)] == [whole.product(n) for n in range(10)]


def test_a_store_gives_back_what_was_built_into_it_after_the_files_are_gone(
    build_webshop: Build, tmp_path: Path
) -> None:
    write_catalogue(tmp_path / "files", make_products(30))
    catalogue = build_webshop(tmp_path / "files", tmp_path / "store", source="made of words")[0]
    products = [catalogue.product(number) for number in range(30)]
    for file in (tmp_path / "files").iterdir():
        file.unlink()
    again = _core.WebshopCatalogue(str(tmp_path / "store"))
    again.verify()
    assert [again.product(number) for number in range(30)] == products
    assert again.source == "made of words"
    with pytest.raises((ValueError, IndexError)):
        again.product(30)


def test_an_altered_or_cut_store_is_refused_or_found_out(build_webshop: Build, tmp_path: Path) -> None:
    write_catalogue(tmp_path, make_products(30))
    build_webshop(tmp_path, tmp_path / "store")
    whole = (tmp_path / "store").read_bytes()
    broken = tmp_path / "broken"
    for size in (0, 10, len(whole) // 2, len(whole) - 1):
        broken.write_bytes(whole[:size])
        with pytest.raises(ValueError, match="broken"):
            _core.WebshopCatalogue(str(broken))
    for place in range(0, len(whole), max(1, len(whole) // 40)):
        broken.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        try:
            _core.WebshopCatalogue(str(broken)).verify()
        except ValueError as error:
            assert "broken" in str(error)
        else:
            padding = whole[max(0, place - 8) : place + 8]
            assert padding.count(0) >= 1, f"byte {place} of the store is covered by no checksum"


def test_a_failed_build_keeps_the_old_store(build_webshop: Build, tmp_path: Path) -> None:
    write_catalogue(tmp_path, make_products(5))
    build_webshop(tmp_path, tmp_path / "store")
    before = (tmp_path / "store").read_bytes()
    (tmp_path / "items_shuffle.json").write_text("[", encoding="utf-8")
    with pytest.raises(ValueError, match="ends"):
        build_webshop(tmp_path, tmp_path / "store")
    assert (tmp_path / "store").read_bytes() == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_that_cannot_be_written_to_is_named(build_webshop: Build, tmp_path: Path) -> None:
    write_catalogue(tmp_path, make_products(2))
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    with pytest.raises(ValueError, match="locked"):
        build_webshop(tmp_path, locked / "store")
