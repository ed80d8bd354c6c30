"""Invented WebShop catalogues: what they hold, that they never change by accident, what is refused."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from vldac.envs.webshop.catalogue_maker import Product, make_products
from vldac.envs.webshop.files import FILES, shipped_shop, write_catalogue
from vldac.envs.webshop.short_shop import COLORS, THINGS, WORDINGS, make_short_shop
from vldac.envs.webshop.vocabulary import load_vocabulary

from vldac.cli import main
from vldac.errors import ConfigError

SHA256_OF_THE_SHIPPED_SHOP = "1d4254675bb89fd8f4dba2b3109991e1b0efd5ff87707e7daf9a40905e3e6d5d"
SHA256_OF_THE_SHORT_SHOP = "8478c0d199454a3923cbc41bd475297a714f86953913ee06344e1f0c65fa4d05"
COLOR_WORDS = [
    "black",
    "blue",
    "green",
    "red",
    "rose",
    "tan",
    "sand",
    "mint",
    "grape",
    "lime",
    "gold",
    "ash",
    "light",
    "wine",
    "ivy",
    "natural",
]
REAL_BRANDS = re.compile(
    r"\b(nike|adidas|sony|samsung|apple|l'oreal|nestle|ikea|dell|bose|philips|levi's|amazon)\b", re.I
)


@pytest.fixture(scope="module")
def products() -> list[Product]:
    return list(make_products(1000))


def digest(folder: Path) -> str:
    return hashlib.sha256(b"".join((folder / name).read_bytes() for name in FILES)).hexdigest()


def text_of(product: Product) -> str:
    bullets = product.row["small_description"]
    return " ".join(
        [product.row["name"], product.row["full_description"], *([bullets] if isinstance(bullets, str) else bullets)]
    )


def groups_of(product: Product) -> dict[str, list[str]]:
    options: Any = product.row["customization_options"] or {}
    return {group: [content["value"] for content in contents] for group, contents in options.items() if contents}


def test_the_shipped_shops_are_byte_for_byte_the_ones_that_results_were_reported_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Raise _CACHE_VERSION in files.py with these numbers, or old caches keep being served."""
    monkeypatch.setenv("VLDAC_CACHE", str(tmp_path))
    assert digest(shipped_shop()) == SHA256_OF_THE_SHIPPED_SHOP
    assert digest(shipped_shop("short")) == SHA256_OF_THE_SHORT_SHOP
    assert sorted(path.name for path in tmp_path.iterdir()) == ["webshop-full-2", "webshop-short-2"], (
        "no drafts are left behind"
    )


def test_a_shop_that_is_there_is_used_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLDAC_CACHE", str(tmp_path))
    folder = shipped_shop("short")
    times = {name: (folder / name).stat().st_mtime_ns for name in FILES}
    assert shipped_shop("short") == folder
    assert {name: (folder / name).stat().st_mtime_ns for name in FILES} == times


def test_a_cache_that_cannot_be_written_to_costs_a_temporary_folder_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder", encoding="utf-8")
    monkeypatch.setenv("VLDAC_CACHE", str(blocked))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    folder = shipped_shop("short")
    assert folder.parent == tmp_path
    assert digest(folder) == SHA256_OF_THE_SHORT_SHOP


def test_a_larger_shop_begins_with_the_smaller_one(products: list[Product]) -> None:
    assert list(itertools.islice(make_products(2000), 40)) == products[:40]
    assert list(make_products(40, seed=1)) != products[:40]


def test_products_have_upstreams_fields_and_valid_ids(products: list[Product]) -> None:
    asins = [product.asin for product in products]
    assert len(set(asins)) == 1000
    assert all(re.fullmatch(r"B0[0-9A-Z]{8}", asin) for asin in asins)
    read_by_upstream = {
        "asin", "name", "full_description", "small_description", "pricing", "category", "query", "product_category", "images",
        "customization_options",
    }  # fmt: skip
    assert all(read_by_upstream <= set(product.row) for product in products)
    assert all(len(product.row["product_category"].split("\u203a")) >= 3 for product in products)


def test_departments_are_five_of_like_size(products: list[Product]) -> None:
    sizes = Counter(product.row["category"] for product in products)
    assert set(sizes) == {"beauty", "electronics", "fashion", "garden", "grocery"}
    assert min(sizes.values()) > 150


def test_brands_are_invented(products: list[Product]) -> None:
    assert [text_of(product) for product in products if REAL_BRANDS.search(text_of(product))] == []


def test_a_quarter_or_more_of_the_products_differ_from_another_in_one_attribute(products: list[Product]) -> None:
    listed = {product.asin: tuple(product.attributes.get("attributes", ())) for product in products}
    families: dict[tuple[str, str], list[tuple[str, ...]]] = {}
    for product in products:
        model = product.row["product_information"]["Model"]
        families.setdefault((product.row["brand"], model), []).append(listed[product.asin])
    near = [
        (one, two)
        for family in families.values()
        for one, two in itertools.pairwise(family)
        if one and two and one[1:] == two[1:] and one[0] != two[0]
    ]
    assert len(near) > 200


def test_attributes_are_skewed(products: list[Product]) -> None:
    counts = sorted(
        Counter(a for product in products for a in product.attributes.get("attributes", ())).values(), reverse=True
    )
    assert counts[0] > 10 * counts[len(counts) // 2] > 10
    assert sum("attributes" not in product.attributes for product in products) > 5, "some have upstream's dummy"


def test_prices_are_single_ranges_or_missing(products: list[Product]) -> None:
    kinds = Counter(product.row["pricing"].count("$") for product in products)
    assert kinds[0] > 10 and kinds[1] > 700 and kinds[2] > 80
    assert (
        sum(
            float(price.split("$")[1].replace(",", "")) >= 980
            for price in (p.row["pricing"] for p in products)
            if price
        )
        > 5
    )


def test_products_have_zero_to_three_option_groups_and_no_value_twice(products: list[Product]) -> None:
    assert set(Counter(len(groups_of(product)) for product in products)) == {0, 1, 2, 3}
    for product in products:
        values = [value for group in groups_of(product).values() for value in group]
        assert len(set(values)) == len(values)


def test_no_option_value_hides_a_color_inside_another_word() -> None:
    """Upstream reduces an option to the first color its letters contain: of "grapefruit", "grape", which then matches no goal."""
    for values in load_vocabulary().pools.values():
        for value in values:
            words = re.split(r"\W+", value)
            hidden = [
                color for color in COLOR_WORDS if color in value and not any(word.startswith(color) for word in words)
            ]
            assert hidden == [], value


def test_instructions_name_what_they_want(products: list[Product]) -> None:
    entries = [(product, entry) for product in products for entry in product.instructions]
    assert len(entries) > 1500
    for product, entry in entries:
        assert entry["instruction"] == entry["instruction"].lower()
        assert all(value in entry["instruction"] for value in entry["instruction_options"])
        assert set(entry["instruction_attributes"]) <= set(entry["attributes"])
        offered = {
            value.strip().replace("/", " | ").lower() for values in groups_of(product).values() for value in values
        }
        assert set(entry["instruction_options"]) <= offered


def test_machine_written_instructions_are_as_frequent_as_upstreams(products: list[Product]) -> None:
    with_instruction = [product for product in products if product.attributes.get("instruction")]
    assert 370 < len(with_instruction) < 460
    assert all(product.attributes["instruction_attributes"] for product in with_instruction)


def test_the_short_shop_has_one_group_and_goals_of_few_words() -> None:
    shop = list(make_short_shop(12))
    goals = [entry["instruction"] for product in shop for entry in product.instructions]
    assert len(goals) == len(set(goals)) == 12 * 6 * len(WORDINGS)
    assert max(len(goal.split()) for goal in goals) <= 3
    assert all(list(groups_of(product)) == ["color"] for product in shop)
    assert all(float(product.row["pricing"][1:]) > 980 for product in shop), "goals get no price sentence"


@pytest.mark.parametrize(("num", "num_colors"), [(0, 4), (len(THINGS) + 1, 4), (3, 0), (3, len(COLORS) + 1)])
def test_a_short_shop_that_the_words_do_not_suffice_for_is_refused(num: int, num_colors: int) -> None:
    with pytest.raises(ConfigError, match="expected 1 to 24 products in 1 to 8 colors"):
        list(make_short_shop(num, num_colors=num_colors))


def test_the_command_writes_a_shop_and_leaves_one_that_is_there_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["envs", "generate-webshop", "--num", "20", "--out", str(tmp_path), "--seed", "3"]
    assert main(words) == 0
    assert "20 products" in capsys.readouterr().out
    rows = json.loads((tmp_path / "items_shuffle.json").read_text(encoding="utf-8"))
    assert rows == [product.row for product in make_products(20, seed=3)]
    before = digest(tmp_path)
    assert main([*words[:-1], "4"]) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert digest(tmp_path) == before
    assert main([*words[:-1], "4", "--overwrite"]) == 0
    assert digest(tmp_path) != before


@pytest.mark.parametrize("words", [["--num", "0"], ["--num", "40", "--goals", "short"]])
def test_the_command_says_what_it_cannot_write(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["envs", "generate-webshop", "--out", str(tmp_path), *words]) == 2
    assert "expected" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    def interrupted() -> Any:
        yield from make_products(3)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_catalogue(tmp_path, interrupted())
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_shop_is_refused() -> None:
    with pytest.raises(ConfigError, match="expected full or short"):
        shipped_shop("tiny")
