"""The token-set ratio against what thefuzz 0.19.0 (without python-Levenshtein) said: benchmarks/webshop_parity.py golden."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vldac import _core

Pairs = list[tuple[str, str, int]]


@pytest.fixture(scope="module")
def pairs(webshop_golden: Callable[[str], Any]) -> Pairs:
    return [tuple(row) for row in webshop_golden("ratio")]


def test_ratios_are_thefuzzs(pairs: Pairs) -> None:
    assert [pair for pair in pairs if _core.webshop_ratio(pair[0], pair[1]) != pair[2]] == []


def test_the_golden_pairs_are_hard_ones(pairs: Pairs) -> None:
    assert len(pairs) > 1000
    assert sum(80 <= score <= 90 for _, _, score in pairs) >= 500
    assert sum(len(second) >= 200 for _, second, _ in pairs) > 5, "difflib's junk heuristic begins at 200 characters"
    assert {score > 85 for _, _, score in pairs} == {True, False}


@pytest.mark.parametrize("limit", [84, 85, 86])
def test_the_short_cut_decides_as_the_ratio_does(pairs: Pairs, limit: int) -> None:
    above = _core.webshop_ratios_above([a for a, _, _ in pairs], [b for _, b, _ in pairs], limit)
    assert above.tolist() == [score > limit for _, _, score in pairs]


@given(st.text(), st.text())
def test_ratios_of_any_text_are_between_0_and_100_and_agree_with_the_decision(first: str, second: str) -> None:
    score = _core.webshop_ratio(first, second)
    assert 0 <= score <= 100
    assert _core.webshop_ratios_above([first], [second], 85).tolist() == [score > 85]


@given(st.lists(st.text("abcdefgh", min_size=1), min_size=1, max_size=6), st.integers(0, 1000))
def test_order_case_and_repeats_of_words_do_not_matter(words: list[str], seed: int) -> None:
    shuffled = [word.upper() for word in words] + words[:1]
    random.Random(seed).shuffle(shuffled)
    assert _core.webshop_ratio(" ".join(words), "  ".join(shuffled)) == 100


def test_lists_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="one length"):
        _core.webshop_ratios_above(["a"], [], 85)
