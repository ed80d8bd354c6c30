"""Goals against upstream's lists (compat), and the default's promises: one order, no leakage, ceilings that stay."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from vldac.envs.webshop.catalogue_maker import make_products
from vldac.envs.webshop.files import write_catalogue

from vldac import _core

Shop = tuple[_core.WebshopCatalogue, dict[str, Any]]
SPLITS = ("test", "eval", "train")


@pytest.fixture(scope="module")
def shop(build_webshop: Callable[..., Shop], tmp_path_factory: pytest.TempPathFactory) -> _core.WebshopCatalogue:
    folder = tmp_path_factory.mktemp("shop")
    write_catalogue(folder, make_products(200, seed=5))
    return build_webshop(folder, folder / "store")[0]


def all_goals(goals: _core.WebshopGoals) -> list[dict[str, Any]]:
    return [goals.goal(number) for number in range(len(goals))]


@pytest.mark.parametrize("kind", ["human", "synthetic"])
def test_compat_goals_are_upstreams_in_its_order_with_its_ceilings(
    kind: str, webshop_golden: Callable[[str], Any], odd_webshop: Shop
) -> None:
    golden = webshop_golden("goals")
    goals = _core.WebshopGoals(odd_webshop[0], human=kind == "human", compat=True, seed=golden["seed"])
    theirs = golden[kind]
    assert len(goals) == len(theirs) > 50
    for number, goal in enumerate(theirs):
        ours = goals.goal(number)
        assert {field: ours[field] for field in goal} == goal, number
    assert {asin: goals.price(asin) for asin in golden[f"{kind}_prices"]} == golden[f"{kind}_prices"]


def test_compat_ceilings_depend_on_the_seed_of_the_process_and_the_order_does_not(odd_webshop: Shop) -> None:
    one, two = (all_goals(_core.WebshopGoals(odd_webshop[0], compat=True, seed=seed)) for seed in (1, 2))
    assert [goal["price_upper"] for goal in one] != [goal["price_upper"] for goal in two]
    assert [(goal["asin"], goal["attributes"]) for goal in one] == [(goal["asin"], goal["attributes"]) for goal in two]


def test_the_default_has_the_same_goals_in_every_process_and_other_ceilings_for_another_seed(
    shop: _core.WebshopCatalogue,
) -> None:
    one, again, other = (all_goals(_core.WebshopGoals(shop, seed=seed)) for seed in (3, 3, 4))
    assert one == again
    ceilings = [
        {(g["asin"], g["instruction_text"].split(", and price")[0]): g["price_upper"] for g in goals}
        for goals in (one, other)
    ]
    assert ceilings[0].keys() == ceilings[1].keys()
    assert ceilings[0] != ceilings[1]


@pytest.mark.parametrize("human", [True, False])
def test_the_default_and_compat_have_the_same_goals_but_for_ceilings_and_order(
    shop: _core.WebshopCatalogue, human: bool
) -> None:
    def kept(goal: dict[str, Any]) -> str:
        return repr({key: goal[key] for key in ("asin", "attributes", "goal_options", "query", "name")})

    default, compat = (
        all_goals(_core.WebshopGoals(shop, human=human, compat=is_compat)) for is_compat in (False, True)
    )
    assert Counter(map(kept, default)) == Counter(map(kept, compat))


@pytest.mark.parametrize("human", [True, False])
@pytest.mark.parametrize("compat", [True, False])
def test_ceilings_are_one_of_the_next_four_tens_above_the_price_but_the_first(
    shop: _core.WebshopCatalogue, human: bool, compat: bool
) -> None:
    goals = _core.WebshopGoals(shop, human=human, compat=compat, seed=9)
    ceilings = Counter[int]()
    for goal in all_goals(goals):
        price = goals.price(goal["asin"])
        above = [10.0 * n for n in range(1, 100) if 10.0 * n > price][:4]
        if len(above) < 2:
            assert goal["price_upper"] == 1_000_000
            assert "price lower than" not in goal["instruction_text"]
            continue
        assert goal["price_upper"] in above[1:]
        assert goal["instruction_text"].endswith(f", and price lower than {goal['price_upper']:.2f} dollars")
        ceilings[above.index(goal["price_upper"])] += 1
    if human or not compat:  # upstream draws one for all combinations of a product
        assert ceilings[3] > ceilings[2] > ceilings[1] > 0, "the larger of two different draws: 3 to 2 to 1"


def test_splits_share_no_goal_and_by_asin_no_product(shop: _core.WebshopCatalogue) -> None:
    for by_asin in (True, False):
        goals = _core.WebshopGoals(shop, by_asin=by_asin, num_test=50, num_eval=60)
        spans = [goals.range(split) for split in SPLITS]
        assert [spans[0][0], spans[1][0], spans[2][0], spans[2][1]] == [0, spans[0][1], spans[1][1], len(goals)]
        assert spans[0][1] - spans[0][0] >= 50
        assert spans[1][1] - spans[1][0] >= 60
        products = [{goals.goal(number)["asin"] for number in range(*span)} for span in spans]
        shared = (products[0] & products[2]) | (products[1] & products[2]) | (products[0] & products[1])
        assert not shared if by_asin else shared


def test_compat_splits_are_the_first_500_the_next_1000_and_the_rest(shop: _core.WebshopCatalogue) -> None:
    goals = _core.WebshopGoals(shop, human=False, compat=True)
    assert len(goals) > 500
    assert goals.range("test") == (0, 500)
    assert goals.range("eval") == (500, min(1500, len(goals)))


def test_draws_stay_in_their_split_and_follow_the_weights(shop: _core.WebshopCatalogue) -> None:
    goals = _core.WebshopGoals(shop, human=False)
    low, high = goals.range("train")
    drawn = [goals.draw((n + 0.5) / 5000, "train") for n in range(5000)]
    assert min(drawn) >= low and max(drawn) < high
    total = sum(goals.goal(number)["weight"] for number in range(low, high))
    for number in (low, (low + high) // 2, high - 1):
        expected = goals.goal(number)["weight"] / total
        assert abs(drawn.count(number) / 5000 - expected) <= 1 / 5000


def test_compats_own_draw_never_takes_the_first_goal(shop: _core.WebshopCatalogue) -> None:
    """Upstream's weighted draw is off by one."""
    goals = _core.WebshopGoals(shop, compat=True)
    assert 0 not in goals.draw_compat(20 * len(goals))


def test_a_goal_out_of_range_is_refused_with_the_range(shop: _core.WebshopCatalogue) -> None:
    goals = _core.WebshopGoals(shop)
    with pytest.raises((ValueError, IndexError), match=str(len(goals))):
        goals.goal(len(goals))
    session = _core.WebshopSession(goals)
    with pytest.raises((ValueError, IndexError), match=str(len(goals))):
        session.reset(len(goals))
    session.reset(len(goals) - 1)
    assert session.goal_index == len(goals) - 1


def test_a_shop_without_instructions_is_refused(build_webshop: Callable[..., Shop], tmp_path: Path) -> None:
    write_catalogue(tmp_path, list(make_products(5)))
    (tmp_path / "items_human_ins.json").write_text("{}", encoding="utf-8")
    catalogue = build_webshop(tmp_path, tmp_path / "store")[0]
    with pytest.raises(ValueError, match="no human goals"):
        _core.WebshopGoals(catalogue)
