"""The reward against upstream's get_reward(): golden calls with the same noun lists, and each rule by itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from vldac import _core

Shop = tuple[_core.WebshopCatalogue, dict[str, Any]]


def product_of(shop: Shop, asin: str) -> dict[str, Any]:
    index = shop[0].find(asin)
    assert index is not None, asin
    return shop[0].product(index)


def a_product(**changes: Any) -> dict[str, Any]:
    return {
        "name": "Blue Wool Rug",
        "description": "Warm and heavy.",
        "query": "area rugs",
        "product_category": "Home \u203a Rugs \u203a Wool",
        "bullets": ["stain resistant back", "easy to clean"],
        "attributes": ["non slip", "easy clean"],
    } | changes


def a_goal(**changes: Any) -> dict[str, Any]:
    return {
        "query": "area rugs",
        "product_category": "Home \u203a Rugs \u203a Wool",
        "attributes": ["non slip"],
        "price_upper": 50.0,
        "goal_options": ["blue", "5 x 8"],
    } | changes


def reward(
    product: dict[str, Any],
    goal: dict[str, Any],
    *,
    price: float = 20.0,
    options: tuple[str, ...] = ("blue", "5 x 8"),
    nouns: tuple[str, ...] = ("rug",),
    goal_nouns: tuple[str, ...] = ("rug",),
) -> float:
    parts = _core.webshop_reward(product, goal, price, list(options), list(nouns), list(goal_nouns))
    return float(parts["reward"])


def test_rewards_and_their_parts_are_upstreams(webshop_golden: Callable[[str], Any], odd_webshop: Shop) -> None:
    types: Counter[float] = Counter()
    for row in webshop_golden("reward"):
        call, (theirs, info) = row["call"], row["reward"]
        product, goal = product_of(odd_webshop, call["asin"]), call["goal"]
        nouns = call["nouns"]
        ours = _core.webshop_reward(
            product, goal, call["price"], list(call["options"].values()), nouns[product["name"]], nouns[goal["name"]]
        )
        assert ours["reward"] == theirs, call
        for part in ("r_type", "title_score", "query_match", "category_match", "r_price"):
            assert ours[part] == info[part], (part, call)
        assert ours["attributes_met"] / ours["num_attributes"] == info["r_att"], call
        assert (ours["options_met"] / ours["num_options"] if ours["num_options"] else None) == info.get("r_option"), (
            call
        )
        types[info["r_type"]] += 1
    assert set(types) == {0.0, 0.1, 0.5, 1.0}, "the golden calls meet every bracket of the type"


def test_a_purchase_that_meets_everything_is_worth_one() -> None:
    assert reward(a_product(), a_goal()) == 1.0


def test_a_price_above_the_ceiling_costs_its_share() -> None:
    assert reward(a_product(), a_goal(), price=50.0) == 1.0
    assert reward(a_product(), a_goal(), price=50.01) == 3 / 4


def test_an_attribute_counts_in_the_list_and_in_the_texts() -> None:
    for attribute in ("easy to clean", "STAIN", "heavy", "wool"):
        expected = 3 / 4 if attribute == "STAIN" else 1.0  # texts are put in lower case, the goal's attribute is not
        assert reward(a_product(), a_goal(attributes=[attribute])) == expected, attribute
    assert reward(a_product(), a_goal(attributes=["machine wash"])) == 3 / 4


def test_options_are_compared_by_their_first_color() -> None:
    assert reward(a_product(), a_goal(), options=("z02-navy blue", "5 x 8")) == 1.0
    assert reward(a_product(), a_goal(), options=("5 x 8",)) == 3 / 4
    assert reward(a_product(), a_goal(goal_options=["grapefruit"]), options=("grape juice",)) == 1.0


def test_options_of_synthetic_goals_are_compared_with_their_group() -> None:
    goal = a_goal(goal_options={"color": "blue", "size": "5 x 8"})
    assert reward(a_product(), goal) == 1.0
    hidden = a_goal(goal_options={"flavor": "grapefruit"})
    assert reward(a_product(), hidden, options=("grapefruit",)) == 2 / 3, (
        "upstream cuts the choice to grape, the goal not"
    )


def test_a_goal_without_options_has_two_parts() -> None:
    assert reward(a_product(), a_goal(goal_options=[]), options=()) == 1.0
    assert reward(a_product(), a_goal(goal_options=[]), options=(), price=60.0) == 1 / 2


@pytest.mark.parametrize(
    ("shared", "wanted", "is_alike", "expected"),
    [
        (0, 10, True, 0.0),
        (1, 11, True, 0.1),
        (1, 10, True, 1.0),
        (1, 10, False, 0.5),
        (2, 10, False, 0.5),
        (3, 10, False, 1.0),
        (0, 0, False, 0.5),
    ],
)
def test_the_type_depends_on_shared_nouns_and_then_on_query_and_category(
    shared: int, wanted: int, is_alike: bool, expected: float
) -> None:
    goal_nouns = tuple(f"noun{number}" for number in range(wanted))
    product = a_product() if is_alike else a_product(query="lamps", product_category="Home \u203a Lamps")
    assert reward(product, a_goal(), nouns=goal_nouns[:shared] or ("other",), goal_nouns=goal_nouns) == expected


def test_repeated_nouns_of_the_goal_count_in_the_denominator_alone() -> None:
    parts = _core.webshop_reward(a_product(), a_goal(), 1.0, [], ["rug", "rug"], ["rug", "rug", "rug", "mat"])
    assert parts["title_score"] == 1 / 4


def test_two_shared_levels_of_the_category_are_a_match_in_any_order() -> None:
    def is_match(category: str) -> bool:
        parts = _core.webshop_reward(a_product(product_category=category), a_goal(), 1.0, [], ["rug"], ["rug"])
        return bool(parts["category_match"])

    assert is_match("Wool \u203a Rugs")
    assert is_match("Wool\u203aRugs \u203a Else")
    assert not is_match("Rugs \u203a Rugs")
    assert not is_match("Home")
