"""Pictures of the card games: layout, legibility in numbers, the same bytes for the same state."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from vldac.envs import make

TABLE = (0x35, 0x65, 0x4D)
IDS = ("gym_cards/NumberLine-v0", "gym_cards/EZPoints-v0", "gym_cards/Points24-v0", "gym_cards/Blackjack-v0")


def table_mask(image: np.ndarray) -> np.ndarray:
    return (image == np.array(TABLE, np.uint8)).all(-1)


def boxes(image: np.ndarray, rows: slice) -> list[tuple[int, int]]:
    """Columns [from, until) of what is not table between these rows."""
    columns = np.flatnonzero((~table_mask(image[rows])).any(0))
    cuts = np.flatnonzero(np.diff(columns) > 1)
    starts, ends = [columns[0], *columns[cuts + 1]], [*columns[cuts], columns[-1]]
    return [(int(a), int(b) + 1) for a, b in zip(starts, ends, strict=True)]


def test_cards_lie_where_upstream_lays_them() -> None:
    """300x300: EZPoints 135x189 at x 5, 153, y 55; Points24 67x93 at 5, 78, 152, 226, y 103; Blackjack 70x98 at 5 + 74 i."""
    image = first_frame("gym_cards/EZPoints-v0")
    assert boxes(image, slice(80, 220)) == [(5, 140), (153, 288)]
    assert np.flatnonzero((~table_mask(image[:250])).any(1))[[0, -1]].tolist() == [55, 243]
    image = first_frame("gym_cards/Points24-v0")
    assert boxes(image, slice(120, 180)) == [(5, 72), (78, 145), (152, 219), (226, 293)]
    assert np.flatnonzero((~table_mask(image[:200])).any(1))[[0, -1]].tolist() == [103, 195]
    image = first_frame("gym_cards/Blackjack-v0")
    assert boxes(image, slice(40, 110)) == [(5, 75), (78, 148)]
    assert boxes(image, slice(160, 240)) == [(5, 75), (79, 149)]
    assert np.flatnonzero((~table_mask(image[22:126])).any(1))[[0, -1]].tolist() == [3, 100]
    assert boxes(image, slice(150, 151)) == [(7, 73), (81, 147)]  # the first row, between the rounded corners
    assert np.flatnonzero((~table_mask(image[200:])).any(1))[-1] == 47


def first_frame(env_id: str, **options: Any) -> np.ndarray:
    env = make(env_id, 1, num_threads=1, **options)
    frame: np.ndarray = env.reset(seed=0)[0]["image"][0]
    return frame


def hand_of(n: int, **options: Any) -> np.ndarray:
    """The 300x300 picture of a Blackjack hand of n cards: of the first seed that gets so far."""
    scout = make("gym_cards/Blackjack-v0", 2000, num_threads=1, image_size=(28, 28))
    scout.reset(seed=0)
    alive = np.ones(2000, bool)
    for _ in range(n - 2):
        alive &= ~scout.step(np.ones(2000, np.int64))[2]
    env = make("gym_cards/Blackjack-v0", 1, num_threads=1, **options)
    obs, _ = env.reset(seed=int(np.flatnonzero(alive)[0]))
    for _ in range(n - 2):
        obs, *_ = env.step(np.ones(1, np.int64))
    assert len(env.facts()[0]["player"].split()) == n
    picture: np.ndarray = obs["image"][0]
    return picture


def test_long_hands_stay_on_the_picture_unless_compat_loses_cards_as_upstream() -> None:
    """Upstream draws the fifth card at x 301, outside, and the sixth from y 252, cut off."""
    for n in (2, 3, 4):
        assert np.array_equal(hand_of(n), hand_of(n, compat=True))
    for n in (5, 6):
        image = hand_of(n)
        assert boxes(image, slice(160, 240)) == [(5, 297)]
        assert table_mask(image[250:]).all() and table_mask(image[:, 298:]).all()
    compat = hand_of(5, compat=True)
    assert boxes(compat, slice(160, 240)) == [(5, 75), (79, 149), (153, 223), (227, 297)]
    compat = hand_of(6, compat=True)
    assert boxes(compat, slice(260, 300)) == [(5, 75)]


@pytest.mark.parametrize("size", [(84, 84), (112, 84), (224, 224), (300, 300)])
def test_every_card_has_its_own_picture_and_ranks_differ_much(size: tuple[int, int]) -> None:
    """All 52 cards in the first place of Points24. Any two ranks of one suit differ in more than 20 dark pixels."""
    env = make("gym_cards/Points24-v0", 50, num_threads=1, image_size=size)
    width, cards = size[0] // 4, dict[str, np.ndarray]()
    for seed in range(0, 5000, 50):
        obs, _ = env.reset(seed=seed)
        for i, facts in enumerate(env.facts()):
            cards.setdefault(facts["hand"].split()[0], obs["image"][i][: size[1] * 66 // 100, :width].copy())
        if len(cards) == 52:
            break
    assert len(cards) == 52 and len({card.tobytes() for card in cards.values()}) == 52
    dark = {name: (card.min(-1) < 128) & ~table_mask(card) for name, card in cards.items()}
    for suit in "SHCD":
        ranks = [name for name in cards if name[-1] == suit]
        assert min((dark[a] ^ dark[b]).sum() for i, a in enumerate(ranks) for b in ranks[:i]) > 20


@pytest.mark.parametrize("env_id", IDS)
@pytest.mark.parametrize("size", [(84, 84), (300, 300)])
def test_pictures_depend_on_the_state_alone(env_id: str, size: tuple[int, int]) -> None:
    """Drawn over another picture, by another environment, with another history of sizes: the same bytes."""
    env = make(env_id, 6, num_threads=1, image_size=size)
    env.reset(seed=0)
    for _ in range(3):
        obs, *_ = env.step(np.zeros(6, np.int64))
    other = make(env_id, 6, num_threads=2, image_size=(224, 224))
    other.reset(seed=5)
    copy = env.clone()
    assert np.array_equal(copy.observe()["image"], obs["image"])
    pictures: dict[str, bytes] = {}
    many = make(env_id, 300, num_threads=1, image_size=(84, 84))
    obs, _ = many.reset(seed=0)
    for facts, image in zip(many.facts(), obs["image"], strict=True):
        key = str(
            {k: v for k, v in facts.items() if k != "dealer_hand"} | {"up": facts.get("dealer_hand", "").split(" ")[0]}
        )
        assert pictures.setdefault(key, image.tobytes()) == image.tobytes()


@pytest.mark.parametrize("size", [(84, 84), (100, 84), (199, 199), (200, 200), (224, 224), (300, 300), (448, 448)])
def test_formulas_of_every_length_can_be_told_apart(size: tuple[int, int]) -> None:
    """Every item that is typed changes the picture of Points24, up to the last one (a blank aside)."""
    env = make("gym_cards/Points24-v0", 8, num_threads=1, image_size=size, max_episode_steps=0)
    obs, _ = env.reset(seed=1)
    rng = np.random.default_rng(0)
    for _ in range(21):
        before = obs["image"].copy()
        obs, *_ = env.step(rng.integers(10, 16, size=8))
        assert all((a != b).any() for a, b in zip(before, obs["image"], strict=True))
        assert (obs["image"][:, :, -1] == np.array(TABLE, np.uint8)).all()
        assert (obs["image"][:, -1] == np.array(TABLE, np.uint8)).all()
