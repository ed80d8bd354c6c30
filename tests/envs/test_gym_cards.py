"""The card games: rules, experts, options, facts. Oracles: exact dynamic programming in this file, Gymnasium, known counts."""

from __future__ import annotations

import functools
import itertools
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from vldac.envs.grammar import continuations

from vldac import _core
from vldac.envs import NativeVectorEnv, make
from vldac.errors import EnvError

SMALL = (28, 28)
CARDS = tuple(range(1, 11))
ODDS = {card: (4 if card == 10 else 1) / 13 for card in CARDS}

# -- Blackjack by dynamic programming ---------------------------------------------------------------------------------


def total(points: int, ace: bool) -> int:
    return points + 10 if ace and points + 10 <= 21 else points


@functools.cache
def dealer_ends(points: int, ace: bool) -> dict[int, float]:
    """Probability of each final total of the dealer; 0: bust."""
    if points > 21:
        return {0: 1.0}
    if total(points, ace) >= 17:
        return {total(points, ace): 1.0}
    ends: dict[int, float] = {}
    for card in CARDS:
        for end, odds in dealer_ends(points + card, ace or card == 1).items():
            ends[end] = ends.get(end, 0.0) + ODDS[card] * odds
    return ends


Outcome = tuple[float, float, float]
"""Probabilities of a win, a draw and a loss."""


@functools.cache
def after_stand(points: int, ace: bool, dealer: int) -> Outcome:
    mine, odds = total(points, ace), [0.0, 0.0, 0.0]
    for hidden in CARDS:
        for theirs, share in dealer_ends(dealer + hidden, 1 in (dealer, hidden)).items():
            odds[0 if mine > theirs else 1 if mine == theirs else 2] += ODDS[hidden] * share
    return odds[0], odds[1], odds[2]


def worth(outcome: Outcome, wants_wins: bool) -> float:
    return outcome[0] if wants_wins else outcome[0] - outcome[2]


@functools.cache
def after_hit(points: int, ace: bool, dealer: int, wants_wins: bool) -> Outcome:
    odds = [0.0, 0.0, 0.0]
    for card in CARDS:
        rest = (0.0, 0.0, 1.0)
        if points + card <= 21:
            rest = best(points + card, ace or card == 1, dealer, wants_wins)
        odds = [o + ODDS[card] * r for o, r in zip(odds, rest, strict=True)]
    return odds[0], odds[1], odds[2]


@functools.cache
def best(points: int, ace: bool, dealer: int, wants_wins: bool) -> Outcome:
    choices = after_stand(points, ace, dealer), after_hit(points, ace, dealer, wants_wins)
    return max(choices, key=lambda outcome: worth(outcome, wants_wins))


def of_the_game(wants_wins: bool) -> Outcome:
    odds = np.zeros(3)
    for first, second, dealer in itertools.product(CARDS, repeat=3):
        outcome = best(first + second, 1 in (first, second), dealer, wants_wins)
        odds += ODDS[first] * ODDS[second] * ODDS[dealer] * np.array(outcome)
    return float(odds[0]), float(odds[1]), float(odds[2])


def test_the_known_levels_of_blackjack_are_those_of_this_dynamic_program() -> None:
    wins, draws, losses = of_the_game(wants_wins=False)
    assert (round(wins, 4), round(draws, 4), round(wins - losses, 4)) == (0.4295, 0.0945, -0.0466)
    assert round(of_the_game(wants_wins=True)[0], 4) == 0.4316


def ended_rewards(env: NativeVectorEnv, episodes: int) -> np.ndarray:
    """Rewards of the last steps of the expert's first episodes, the same number from every environment."""
    env.reset(seed=1)
    per_env = -(-episodes // env.num_envs)
    counts, rewards = np.zeros(env.num_envs, int), []
    while (counts < per_env).any():
        _, reward, terminated, truncated, _ = env.step(env.oracle_actions())
        assert not truncated.any()
        ended = terminated & (counts < per_env)
        rewards.append(reward[ended].copy())
        counts += ended
    return np.concatenate(rewards)


@pytest.mark.parametrize("wants_wins", [False, True])
@pytest.mark.parametrize("env_id", ["gym_cards/Blackjack-v0", "Blackjack-symbolic-v0"])
def test_the_expert_of_blackjack_plays_at_its_exact_level(env_id: str, wants_wins: bool) -> None:
    """Without naturals' special rule, as upstream plays it; four standard deviations."""
    options: dict[str, Any] = {"image_size": SMALL} if "gym_cards" in env_id else {"sab": False}
    env = make(env_id, 1000, num_threads=1, win_oracle=wants_wins, **options)
    rewards = ended_rewards(env, 100_000)
    outcome = of_the_game(wants_wins)
    assert len(rewards) == 100_000
    for value, share in zip((1.0, 0.0, -1.0), outcome, strict=True):
        assert abs(np.mean(rewards == value) - share) < 4 * (share * (1 - share) / len(rewards)) ** 0.5


@pytest.mark.parametrize("wants_wins", [False, True])
def test_the_expert_of_blackjack_takes_the_best_action_in_every_state(wants_wins: bool) -> None:
    env = make("gym_cards/Blackjack-v0", 2000, num_threads=1, win_oracle=wants_wins, image_size=SMALL)
    env.reset(seed=0)
    seen = set()
    for _ in range(60):
        for facts, action in zip(env.facts(), env.oracle_actions(), strict=True):
            ace = bool(facts["usable_ace"])
            points = facts["points"] - 10 * ace
            dealer = 1 if facts["dealer"] == "A" else 10 if facts["dealer"] in "JQK" else int(facts["dealer"])
            hit = worth(after_hit(points, ace, dealer, wants_wins), wants_wins)
            stand = worth(after_stand(points, ace, dealer), wants_wins)
            assert abs(hit - stand) < 1e-12 or action == (hit > stand), facts
            seen.add((points, ace, dealer))
        env.step(np.random.default_rng(len(seen)).integers(2, size=2000))
    assert len(seen) > 270  # of 280


@pytest.mark.parametrize(("natural", "sab"), [(False, False), (True, False), (False, True), (True, True)])
def test_the_options_of_symbolic_blackjack_are_gymnasiums(natural: bool, sab: bool) -> None:
    count, steps = 8, 1500
    ours = make("Blackjack-symbolic-v0", count, natural=natural, sab=sab, rng="stream")
    theirs = gym.vector.SyncVectorEnv(
        [lambda: gym.make("Blackjack-v1", natural=natural, sab=sab)] * count,
        autoreset_mode=gym.vector.AutoresetMode.SAME_STEP,
    )
    a, b = ours.reset(seed=4)[0], theirs.reset(seed=4)[0]
    rewards = set()
    for t in range(steps):
        assert np.array_equal(a, np.stack(b, 1))
        actions = (a[:, 0] < 11 + t % 9).astype(np.int64)
        (a, reward, terminated, *_), (b, their_reward, their_end, *_) = ours.step(actions), theirs.step(actions)
        assert np.array_equal(reward, their_reward) and np.array_equal(terminated, their_end)
        rewards |= set(reward.tolist())
    assert (1.5 in rewards) == (natural and not sab)


def naturals(**options: Any) -> np.ndarray:
    """Rewards of standing on naturals of Blackjack with pictures, beside whether the dealer drew."""
    env = make("gym_cards/Blackjack-v0", 4000, num_threads=1, image_size=SMALL, autoreset_mode="DISABLED", **options)
    env.reset(seed=2)
    before = env.facts()
    rows = [(facts["points"] == 21, facts["dealer"]) for facts in before]
    _, reward, *_ = env.step(np.zeros(4000, np.int64))
    dealers = [len(facts["dealer_hand"].split()) for facts in env.facts()]
    return np.array([[r, n] for (is_natural, _), r, n in zip(rows, reward, dealers, strict=True) if is_natural])


def test_natural_and_sab_work_unless_compat_repeats_that_they_never_fire() -> None:
    """Upstream compares a list of tuples with [1, 10]."""
    plain, natural, sab = naturals(), naturals(natural=True), naturals(sab=True)
    assert len(plain) > 100 and set(plain[:, 0]) <= {0.0, 1.0}
    assert np.array_equal(natural[:, 0] == 1.5, plain[:, 0] == 1.0)
    drawn = (plain[:, 0] == 0.0) & (
        plain[:, 1] > 2
    )  # 21 against 21 of three cards and more: a win for Sutton and Barto
    assert drawn.any() and (sab[drawn, 0] == 1.0).all()
    assert np.array_equal(sab[~drawn], plain[~drawn])
    assert np.array_equal(naturals(natural=True, compat=True), plain)
    assert np.array_equal(naturals(sab=True, compat=True), plain)


def test_hidden_cards_are_not_on_the_picture_nor_in_the_prompt() -> None:
    """The same state with another hidden card, dealt by another seed, gives the same bytes and words."""
    env = make("gym_cards/Blackjack-v0", 4000, num_threads=1, image_size=(56, 56))
    obs, _ = env.reset(seed=0)
    prompts = env.prompts()
    known: dict[tuple[str, str], tuple[str, bytes, Any]] = {}
    pairs = 0
    for facts, picture, prompt in zip(env.facts(), obs["image"], prompts, strict=True):
        shown = (facts["dealer_hand"].split()[0], facts["player_hand"])
        row = (facts["dealer_hand"], picture.tobytes(), prompt)
        other = known.setdefault(shown, row)
        if other[0] != row[0]:
            pairs += 1
            assert other[1:] == row[1:]
    assert pairs > 5


# -- formulas ---------------------------------------------------------------------------------------------------------


def numbers_of(facts: dict[str, Any], faces: int = 10) -> list[int]:
    named = {"A": 1, "J": 11, "Q": 12, "K": 13}
    return [min(named.get(card) or int(card), faces) for card in facts["cards"].split()]


def dealt(env_id: str, wanted: list[int], **options: Any) -> tuple[NativeVectorEnv, int]:
    """An environment of which one member holds these numbers, and which."""
    env = make(env_id, 2000, num_threads=1, image_size=SMALL, **options)
    for seed in range(0, 400_000, 2000):
        env.reset(seed=seed)
        for i, facts in enumerate(env.facts()):
            if sorted(numbers_of(facts)) == sorted(wanted):
                return env, i
    raise AssertionError(f"{wanted} was not dealt")


def typed(env_id: str, wanted: list[int], items: str, **options: Any) -> tuple[list[float], bool, bool]:
    """Rewards of typing items, and whether the last one terminated and truncated."""
    env, i = dealt(env_id, wanted, **options)
    rewards = []
    for item in items.split():
        actions = np.full(env.num_envs, env.action_names.index("+"))
        actions[i] = env.action_names.index(item)
        _, reward, terminated, truncated, _ = env.step(actions)
        rewards.append(float(reward[i]))
    return rewards, bool(terminated[i]), bool(truncated[i])


P24, EZP = "gym_cards/Points24-v0", "gym_cards/EZPoints-v0"


@pytest.mark.parametrize(
    ("env_id", "numbers", "formula", "exact", "compat"),
    [
        (P24, [2, 4, 7, 7], "2 4 + 7 - 7 =", -1, 10),  # digits concatenate
        (P24, [3, 3, 8, 8], "8 / ( 3 - 8 / 3 ) =", 10, -1),  # 23.99999999999999 in doubles
        (P24, [1, 5, 5, 5], "5 * ( 5 - 1 / 5 ) =", 10, 10),
        (P24, [1, 2, 5, 8], "5 * * 2 - 1 =", -1, -1),  # 24, but with three cards
        (P24, [1, 1, 2, 5], "( 5 * * 2 - 1 ) / 1 =", -1, 10),  # a power
        (P24, [1, 3, 8, 9], "9 / / 8 * 3 * 8 =", -1, -1),  # the second 8 is not there
        (P24, [3, 8, 8, 9], "9 / / 8 * 3 * 8 =", -1, 10),  # a floor
        (P24, [2, 4, 6, 8], "- 4 * 2 + 8 * 6 =", -1, -1),
        (P24, [2, 4, 6, 8], "- 2 * 4 + 8 * 6 - ( 8 ) =", -1, -1),
        (P24, [2, 4, 4, 8], "- 2 * 4 + 4 * 8 =", -1, 10),  # a sign
        (P24, [2, 2, 4, 6], "4 * 6 * 2 / 2 =", 10, 10),
        (P24, [2, 2, 4, 6], "4 * 6 =", -1, -1),  # two cards are left
        (P24, [2, 2, 4, 6], "4 * 6 ( 2 - 2 ) =", -1, -1),
        (EZP, [2, 10], "2 + 10 =", 10, 10),
        (EZP, [2, 10], "+ 2 + 10 =", -1, 10),
        (EZP, [2, 10], "2 + + 10 =", -1, 10),
        (EZP, [2, 6], "2 * 6 =", 10, 10),
        (EZP, [2, 6], "2 * * 6 =", -1, -1),
        (EZP, [3, 4], "3 4 =", -1, -1),
        (EZP, [3, 4], "3 * 4 + =", -1, -1),
    ],
)
def test_a_formula_scores_exactly_by_default_and_as_upstream_with_compat(
    env_id: str, numbers: list[int], formula: str, exact: int, compat: int
) -> None:
    for is_compat, expected in ((False, exact), (True, compat)):
        rewards, terminated, truncated = typed(env_id, numbers, formula, compat=is_compat)
        assert rewards[-1] == expected and terminated and not truncated, is_compat


def test_a_number_that_is_not_left_costs_one_and_leaves_a_blank() -> None:
    env, i = dealt(P24, [2, 2, 4, 6])
    rewards = []
    for item in ["4", "*", "4", "6", "+", "2", "-", "2", "="]:
        actions = np.full(env.num_envs, env.action_names.index("+"))
        actions[i] = env.action_names.index(item)
        formula = env.facts()[i]["formula"]
        rewards.append(float(env.step(actions)[1][i]))
    assert rewards == [0, 0, -1, 0, 0, 0, 0, 0, 10]
    assert formula == "4 *  6 + 2 - 2"  # the blank is an item without a name
    assert typed(P24, [2, 2, 4, 6], "4 9 * 6 * 2 / 2 =")[0] == [0, -1, 0, 0, 0, 0, 0, 0, 10]


def test_a_formula_of_more_than_twenty_items_truncates() -> None:
    rewards, terminated, truncated = typed(P24, [2, 2, 4, 6], " ".join(["+"] * 21))
    assert rewards == [0.0] * 21 and not terminated and not truncated
    rewards, terminated, truncated = typed(P24, [2, 2, 4, 6], " ".join(["+"] * 21) + " =")
    assert rewards[-1] == -1.0 and truncated and not terminated


def test_a_right_formula_without_its_end_is_no_success() -> None:
    env = make(EZP, 64, num_threads=1, image_size=SMALL, max_episode_steps=3)
    env.reset(seed=0)
    for _ in range(3):
        *_, truncated, info = env.step(env.oracle_actions())
    assert truncated.all() and not info["final_info"]["success"].any()


@pytest.mark.parametrize("compat", [False, True])
@pytest.mark.parametrize("env_id", [EZP, "gym_cards/NumberLine-v0"])
def test_the_expert_always_succeeds_where_it_can(env_id: str, compat: bool) -> None:
    env = make(env_id, 64, num_threads=1, image_size=SMALL, **({"compat": compat} if "EZ" in env_id else {}))
    rewards = ended_rewards(env, 2000)
    assert (rewards == (10.0 if "EZ" in env_id else 1.0)).all()


@pytest.mark.parametrize("faces", [10, 13])
@pytest.mark.parametrize("compat", [False, True])
def test_the_expert_of_points24_wins_exactly_the_solvable_deals(faces: int, compat: bool) -> None:
    """73.09 % of them, with faces as 11 to 13 79.2 %. With compat 8/(3-8/3) is not 24: a deal of that kind is lost."""
    env = make(P24, 500, num_threads=1, image_size=SMALL, treat_face_cards_as_10=faces == 10, compat=compat)
    assert len(env.action_names) == faces + 7 == env.single_action_space.n
    won, solvable = [], []
    for seed in range(0, 3000, 500):
        env.reset(seed=seed)
        facts, first = env.facts(), np.full(500, np.nan)
        while np.isnan(first).any():
            _, reward, terminated, truncated, _ = env.step(env.oracle_actions())
            assert not truncated.any()
            first = np.where(np.isnan(first) & terminated, reward, first)
        for fact, reward in zip(facts, first, strict=True):
            solution = _core.solve_points(numbers_of(fact, faces), 24, [])
            assert (solution is not None) == bool(fact["is_solvable"]) == bool(fact["can_solve"])
            assert fact["solution"].split() == (solution or [])
            solvable.append(solution is not None)
            counts = solution is not None and (not compat or _core.evaluate_formula(solution, True) == 24)
            won.append(reward == 10.0)
            assert won[-1] == counts
    share = 0.7309 if faces == 10 else 0.792
    assert abs(np.mean(solvable) - share) < 4 * (share * (1 - share) / len(solvable)) ** 0.5 + 0.0005


def test_solvable_only_deals_can_all_be_solved_and_are_dealt_in_proportion() -> None:
    env = make(P24, 2000, num_threads=1, image_size=SMALL, solvable_only=True)
    assert (ended_rewards(env, 4000) == 10.0).all()
    env.reset(seed=0)
    aces = np.mean([facts["cards"].split().count("A") for facts in env.facts()])
    exact = weight = 0.0
    for deal in itertools.combinations_with_replacement(range(1, 11), 4):
        if _core.solve_points(deal, 24, []) is not None:
            orders = len(set(itertools.permutations(deal)))
            odds = orders * np.prod([ODDS[value] for value in deal])
            exact, weight = exact + odds * deal.count(1), weight + odds
    assert abs(aces - exact / weight) < 4 * (0.3 / 2000) ** 0.5


def test_can_solve_says_from_which_formulas_a_solution_can_still_be_reached() -> None:
    """While the expert plays it stays 1; a first item that it calls hopeless never is completed by it."""
    env = make(P24, 500, num_threads=1, image_size=SMALL, solvable_only=True)
    env.reset(seed=3)
    rng = np.random.default_rng(0)
    for _ in range(2):
        env.step(rng.integers(len(env.action_names) - 1, size=500))  # anything but "="
    can = np.array([facts["can_solve"] for facts in env.facts()], bool)
    assert 50 < can.sum() < 450
    first = np.full(500, np.nan)
    while np.isnan(first).any():
        _, reward, terminated, *_ = env.step(env.oracle_actions())
        first = np.where(np.isnan(first) & terminated, reward, first)
    assert np.array_equal(first == 10.0, can)


def test_targets_and_lengths_are_options() -> None:
    env = make(P24, 300, num_threads=1, image_size=SMALL, target_points=10, solvable_only=True)
    assert (ended_rewards(env, 600) == 10.0).all()
    assert "equals 10," in env.prompts()[0][0]["content"][1]["text"]
    env = make(
        "gym_cards/NumberLine-v0", 500, num_threads=1, image_size=SMALL, max_position=30, autoreset_mode="DISABLED"
    )
    env.reset(seed=0)
    facts = env.facts()
    assert max(f["current"] for f in facts) == 30 and all(f["current"] != f["target"] for f in facts)
    away = np.array([int(f["target"] < f["current"]) for f in facts])
    for t in range(60):
        _, reward, _, truncated, _ = env.step(away)
        assert truncated.all() == (t == 59) and (reward == -1.0).all()


@pytest.mark.parametrize(
    ("env_id", "options"),
    [
        (P24, {"target_points": 1}), (P24, {"target_points": 24.5}), (P24, {"target_points": 983, "solvable_only": 1}),
        (EZP, {"target_points": 0}), ("gym_cards/NumberLine-v0", {"max_position": 1}),
        ("gym_cards/NumberLine-v0", {"max_position": 2.5}),
    ],
)  # fmt: skip
def test_options_that_cannot_be_are_refused(env_id: str, options: dict[str, Any]) -> None:
    with pytest.raises(EnvError, match=r"expected|no four cards make"):
        make(env_id, 1, **options)


def test_full_face_values_are_told_in_the_prompt_and_typed_as_numbers() -> None:
    env = make(P24, 500, num_threads=1, image_size=SMALL, treat_face_cards_as_10=False)
    env.reset(seed=0)
    assert env.action_names[10:13] == ["11", "12", "13"]
    assert "J counts 11, Q 12 and K 13" in env.prompts()[0][0]["content"][1]["text"]
    assert '"1" to "13"' in env.prompts()[0][0]["content"][1]["text"]
    i = next(i for i, facts in enumerate(env.facts()) if "K" in facts["cards"].split())
    assert env.step(np.full(500, 12))[1][i] == 0.0
    assert env.facts()[i]["formula"] == "13"


@pytest.mark.parametrize("style", ["paper", "short"])
def test_prompts_say_what_the_task_is(style: str) -> None:
    for env_id, words in (
        ("gym_cards/Blackjack-v0", "hit"),
        (P24, "24"),
        (EZP, "12"),
        ("Blackjack-symbolic-v0", "hit"),
    ):
        env = make(env_id, 2, prompt=style)
        env.reset(seed=0)
        content = env.prompts()[0][0]["content"]
        assert [part["type"] for part in content] == ["image"] * ("symbolic" not in env_id) + ["text"]
        assert words in content[-1]["text"] and "{" not in content[-1]["text"].split("JSON")[0]


@pytest.mark.parametrize("faces", [10, 13])
def test_grammatical_play_of_points24_always_comes_to_a_formula_with_a_value(faces: int) -> None:
    """Whatever is drawn among the continuations: no dead end, at most 17 items; "=" may come early, else all cards are used."""
    env = make(P24, 300, num_threads=1, image_size=SMALL, treat_face_cards_as_10=faces == 10)
    env.reset(seed=0)
    rng, whole, ended = np.random.default_rng(0), 0, 0
    while ended < 1500:
        actions = []
        for facts in env.facts():
            choices = list(continuations(P24, facts, env.action_names))
            longer = [choice for choice in choices if choice != "="]
            choice = (
                choices[rng.integers(len(choices))]
                if rng.random() < 0.2 or not longer
                else longer[rng.integers(len(longer))]
            )
            items = facts["formula"].split()
            if choice == "=":
                ended += 1
                value = _core.evaluate_formula(items, False)
                assert value is not None or "/" in items, items  # a division by zero is grammatical
                whole += sorted(int(n) for n in items if n.isdigit()) == sorted(numbers_of(facts, faces))
            assert len(items) <= 17
            actions.append(env.action_names.index(choice))
        assert (env.step(np.array(actions))[1] != -1.0)[[a != len(env.action_names) - 1 for a in actions]].all()
    assert whole > 200


def test_an_ungrammatical_formula_of_points24_can_only_be_ended() -> None:
    names = make(P24, 1, image_size=SMALL).action_names
    for formula in ("3 4", "( )", "* 3", "3 )", "3 ( 4", "9", "3 * * 4", "( 3 ) 4", "( )"):
        facts = {"cards": "3 4 J A", "formula": formula, "largest": 10}
        assert continuations(P24, facts, names) == ["="], formula
    facts = {"cards": "3 4 J A", "formula": "( 3", "largest": 10}
    assert continuations(P24, facts, names) == ["+", "-", "*", "/"]
    assert continuations(P24, facts | {"formula": "( 3 + 4"}, names) == ["+", "-", "*", "/", ")"]
    assert continuations(P24, facts | {"formula": "( 3 + 4 ) *"}, names) == ["1", "10", "("]
    assert continuations(P24, facts | {"formula": "3 + 4 * J"}, names) == ["="]
