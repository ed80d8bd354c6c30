"""Episodes against upstream's pages (compat), what bad actions do, and that text of products never becomes markup."""

from __future__ import annotations

import html.parser
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vldac.envs.webshop.agents import OracleShopper, RuleShopper, shop
from vldac.envs.webshop.catalogue_maker import make_products
from vldac.envs.webshop.files import write_catalogue
from vldac.envs.webshop.short_shop import make_short_shop

from vldac import _core

GOLDEN = Path(__file__).parent / "webshop" / "golden"
Shop = tuple[_core.WebshopCatalogue, dict[str, Any]]
BAD_ACTIONS = [
    "",
    " ",
    "\n",
    "[",
    "]",
    "[]",
    "click",
    "click[",
    "click]",
    "click[]",
    "click[ ]",
    "click[nothing of the kind]",
    "search",
    "search[",
    "search[]",
    "buy now",
    "Click[Buy Now]",
    "clicK[buy now]",
    "click [buy now]",
    "please click[buy now]",
    "think[hard]",
    "\x00",
    "click[\x00]",
    "click[" * 1000,
    "]" * 1000,
    "click[" + "x" * 1_000_000 + "]",
    "\u00e9" * 100_000,
    "click[\U0001f600]",
    "search\n[x]",
]


@pytest.fixture(scope="module")
def goals(build_webshop: Callable[..., Shop], tmp_path_factory: pytest.TempPathFactory) -> _core.WebshopGoals:
    folder = tmp_path_factory.mktemp("shop")
    write_catalogue(folder, make_products(200, seed=8))
    return _core.WebshopGoals(build_webshop(folder, folder / "store")[0])


def seen(session: _core.WebshopSession) -> tuple[Any, ...]:
    page = session.page()
    return page.text(), page.text_rich(), session.clickables(), session.has_search_bar, session.is_done


def walk(session: _core.WebshopSession, shopper: OracleShopper | RuleShopper) -> float:
    return shop(shopper, session.step, lambda: (session.clickables(), session.has_search_bar))[0]


@pytest.mark.parametrize(("folder", "name"), [("shop", "episodes"), ("hard", "hard_episodes")])
def test_compat_episodes_show_upstreams_pages_word_for_word(
    webshop_golden: Callable[[str], Any], build_webshop: Callable[..., Shop], tmp_path: Path, folder: str, name: str
) -> None:
    episodes = webshop_golden(name)
    catalogue = build_webshop(GOLDEN / folder, tmp_path / "store")[0]
    catalogue.set_nouns(episodes.pop("nouns"))
    goals = _core.WebshopGoals(catalogue, compat=True, seed=webshop_golden("goals")["seed"])
    session = _core.WebshopSession(goals, compat=True, show_attributes=folder == "hard")
    rewards = []
    for episode in episodes.values():
        session.reset(episode["goal"])
        outcome: tuple[float, bool] = (0.0, False)
        for number, theirs in enumerate(episode["seen"]):
            if number:
                outcome = session.step(episode["actions"][number - 1])
            page, where = session.page(), (episode["goal"], episode["actions"][:number])
            assert page.text() == theirs["text"], where
            assert page.text_rich() == theirs["text_rich"], where
            assert session.clickables() == theirs["available"]["clickables"], where
            assert session.has_search_bar == theirs["available"]["has_search_bar"], where
            assert outcome == (theirs["reward"], theirs["done"]), where
        rewards.append(outcome[0])
    assert sum(reward > 0 for reward in rewards) >= 2


def test_a_product_without_attributes_has_an_empty_page_of_them(
    build_webshop: Callable[..., Shop], tmp_path: Path
) -> None:
    catalogue = build_webshop(GOLDEN / "hard", tmp_path / "store")[0]
    products = [catalogue.product(number) for number in range(len(catalogue))]
    empty = next(product for product in products if not product["attributes"] and _core.webshop_terms(product["name"]))
    session = _core.WebshopSession(_core.WebshopGoals(catalogue), show_attributes=True)
    session.reset(0)
    for action in (f"search[{' '.join(empty['name'].split())}]", f"click[{empty['asin']}]", "click[Attributes]"):
        session.step(action)
        assert session.notice == ""
    shown = [text for text in (empty["category"], empty["query"], empty["product_category"]) if text.strip()]
    assert session.page().text().split(" [SEP] ")[4:] == [text.strip() for text in shown]


@pytest.mark.parametrize("compat", [False, True])
@pytest.mark.parametrize("action", BAD_ACTIONS, ids=range(len(BAD_ACTIONS)))
def test_a_bad_action_changes_nothing_on_any_page(goals: _core.WebshopGoals, action: str, compat: bool) -> None:
    session = _core.WebshopSession(goals, compat=compat)
    session.reset(0)
    ways = ["", "search[shoes]", f"click[{first_product(goals, 'shoes')}]", "click[Features]"]
    for way in ways:
        session.step(way)
        before = seen(session)
        assert session.step(action) == (0.0, False)
        assert seen(session) == before
        assert bool(session.notice) is not compat, "the default says what was wrong, upstream is silent"
        assert len(session.notice) < 300


def first_product(goals: _core.WebshopGoals, query: str) -> str:
    session = _core.WebshopSession(goals)
    session.reset(0)
    session.step(f"search[{query}]")
    return session.results[0]


def test_a_missing_button_is_named(goals: _core.WebshopGoals) -> None:
    session = _core.WebshopSession(goals)
    session.reset(0)
    session.step("click[Buy Now]")
    assert "Buy Now" in session.notice
    session.step("search[shoes]")
    assert session.notice == ""


def test_an_episode_that_is_over_stays_over(goals: _core.WebshopGoals) -> None:
    session = _core.WebshopSession(goals)
    session.reset(0)
    walk(session, RuleShopper(session.goal))
    before = seen(session)
    for action in ("search[shoes]", "click[Back to Search]", "click[Buy Now]", ""):
        assert session.step(action) == (0.0, True)
    assert seen(session) == before


@pytest.mark.parametrize("page_size", [4, 10])
def test_next_ends_with_the_results_and_shows_each_once(goals: _core.WebshopGoals, page_size: int) -> None:
    session = _core.WebshopSession(goals, page_size=page_size)
    session.reset(0)
    session.step("search[women dress]")
    shown: list[str] = []
    while True:
        asins = [name for name in session.clickables() if name in session.results]
        assert 0 < len(asins) <= page_size
        shown += asins
        if "Next >" not in session.clickables():
            break
        session.step("click[Next >]")
    assert shown == session.results
    while "< Prev" in session.clickables():
        session.step("click[< Prev]")
    assert [name for name in session.clickables() if name in session.results] == shown[:page_size]


def test_a_second_value_of_a_group_replaces_the_first(odd_webshop: Shop) -> None:
    session = _core.WebshopSession(_core.WebshopGoals(odd_webshop[0]))
    session.reset(0)
    session.step("search[rug mat]")
    session.step("click[ODD03]")
    for value in ("navy | blue", 'red & "gold" <b>', "5' x 8'"):
        session.step(f"click[{value}]")
    assert session.options == {"color": 'red & "gold" <b>', "size": "5' x 8'"}


@pytest.mark.parametrize("human", [True, False])
@pytest.mark.parametrize("page_size", [4, 10])
def test_the_oracle_is_paid_in_full_and_the_rule_is_not(
    build_webshop: Callable[..., Shop], tmp_path: Path, human: bool, page_size: int
) -> None:
    write_catalogue(tmp_path, make_products(1000))
    goals = _core.WebshopGoals(build_webshop(tmp_path, tmp_path / "store")[0], human=human)
    session = _core.WebshopSession(goals, page_size=page_size)
    rewards: dict[type, list[float]] = {OracleShopper: [], RuleShopper: []}
    for kind in (OracleShopper, RuleShopper):
        for number in range(0, len(goals), 7):
            session.reset(number)
            rewards[kind].append(walk(session, kind(session.goal)))
    oracle, rule = rewards[OracleShopper], rewards[RuleShopper]
    assert oracle.count(1.0) >= 0.99 * len(oracle)
    assert 0.3 < sum(rule) / len(rule) < 0.85
    assert rule.count(1.0) < 0.3 * len(rule)


def test_every_goal_of_the_short_shop_can_be_met_in_four_steps(
    build_webshop: Callable[..., Shop], tmp_path: Path
) -> None:
    write_catalogue(tmp_path, make_short_shop(12))
    goals = _core.WebshopGoals(build_webshop(tmp_path, tmp_path / "store")[0])
    assert len(goals) == 864
    session = _core.WebshopSession(goals, page_size=4)
    for number in range(len(goals)):
        session.reset(number)
        look = lambda: (session.clickables(), session.has_search_bar)  # noqa: E731
        assert shop(OracleShopper(session.goal), session.step, look, max_steps=4) == (1.0, 4)
        assert "price lower than" not in session.goal["instruction_text"]


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 1_000_000), st.text(max_size=12)), max_size=15), st.booleans())
def test_a_saved_session_goes_on_as_the_one_it_was_saved_from(
    goals: _core.WebshopGoals, moves: list[tuple[int, str]], compat: bool
) -> None:
    session, other = (_core.WebshopSession(goals, compat=compat, page_size=4) for _ in range(2))
    session.reset(moves[0][0] % len(goals) if moves else 0)
    for number, text in moves:
        names = session.clickables()
        action = (
            f"search[shoes {text}]"
            if session.has_search_bar
            else f"click[{names[number % len(names)]}]"
            if names
            else text
        )
        session.step(text if number % 5 == 0 else action)
        other.load(session.save())
        assert seen(other) == seen(session)
        assert other.save() == session.save()
        assert other.parts == session.parts


def test_an_altered_state_is_refused(goals: _core.WebshopGoals) -> None:
    session = _core.WebshopSession(goals)
    session.reset(3)
    session.step("search[shoes]")
    state = session.save()
    with pytest.raises(ValueError):
        session.load(state[:-1])
    with pytest.raises(ValueError):
        session.load(b"\xff" * len(state))
    with pytest.raises(ValueError):
        session.load(state + b"\x00")
    session.load(state)


class Tags(html.parser.HTMLParser):
    """Collects the tags and attributes of a document, and the text between them."""

    def __init__(self) -> None:
        super().__init__()
        self.names, self.attributes, self.text = set[str](), set[str](), ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


def test_markup_in_names_options_queries_and_goals_stays_text(odd_webshop: Shop) -> None:
    goals = _core.WebshopGoals(odd_webshop[0])
    number = next(n for n in range(len(goals)) if "<b>" in str(goals.goal(n)["attributes"]))
    session = _core.WebshopSession(goals)
    session.reset(number)
    ways = [
        "search[<script>alert(1)</script> rug <img src=x onerror=alert(2)>]",
        "click[ODD03]",
        'click[red & "gold" <b>]',
        "click[Description]",
        "click[< Prev]",
        "click[Buy Now]",
    ]
    for way in ways:
        session.step(way)
        assert session.notice == "", way
        tags = Tags()
        tags.feed(session.page().html())
        assert not tags.names & {"script", "b", "iframe", "object"}, way
        assert not {name for name in tags.attributes if name.startswith("on")}, way
    session.reset(number)
    session.step("search[rug mat]")
    tags = Tags()
    tags.feed(session.page().html())
    assert "<script>alert('x')</script> Rug & \"Mat\"" in tags.text
