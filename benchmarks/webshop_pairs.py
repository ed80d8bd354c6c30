"""Pairs of phrases for the token-set ratio, most of them made by small edits so that many scores are near the threshold of 85."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

_TEXT = """easy use clean long lasting hair care face cream dry skin machine wash hand gluten free high speed fast charging stainless
steel wood frame navy blue light brown dark red rose gold x-large small medium 5x 2.5 pack of 1 6 ounce count (pack fl oz women men
women's men's non-slip non slip memory foam size color for with and 18" x 20 usb-c 4k 1080p caf\u00e9 na\u00efve \u00fc
100% cotton/poly |
bluetooth wireless headphones rubber sole moisturizer waterproof portable anti-aging sulfate paraben fragrance natural_item living
room mid-century modern furniture snack chocolate caramel protein bars keto friendly non-gmo organic decaf coffee beans"""
WORDS = _TEXT.split()
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789 -_'\"./|\u00e9\u4e2d"


def scored_pairs(seed: int, count: int, score: Callable[[str, str], int]) -> Iterator[tuple[str, str, int]]:
    """Yield `count` pairs with their scores, half of them (rounded down) with a score of 80 to 90; the same seed, the same pairs.

    A pair that is near stays the start of the next edits for a while, which finds others far sooner than new phrases would.
    """
    rng, wanted = random.Random(seed), {"near": count // 2, "far": count - count // 2}
    first = second = ""
    age = 0
    while any(wanted.values()):
        if age == 0:
            first = phrase(rng, _length(rng))
            second = phrase(rng, _length(rng)) if rng.random() < 0.1 else edited(rng, edited(rng, first))
        else:
            second = edited(rng, second)
        pair = (second, first) if rng.random() < 0.5 else (first, second)
        value = score(*pair)
        is_near = 80 <= value <= 90
        age = age + 1 if age < 12 and (is_near or 70 <= value < 100) else 0
        kind = "near" if is_near else "far"
        if wanted[kind]:
            wanted[kind] -= 1
            yield (*pair, value)


def phrase(rng: random.Random, num_words: int) -> str:
    """Return words in a row, now and then in capitals or with double spaces."""
    words = [rng.choice(WORDS) for _ in range(num_words)]
    text = ("  " if rng.random() < 0.02 else " ").join(words)
    return text.title() if rng.random() < 0.05 else text


def edited(rng: random.Random, text: str) -> str:
    """Return the text with one edit: of a letter, of a word, or of the order."""
    words, draw = text.split(" "), rng.random()
    at = int(rng.random() * (len(text) + 1))
    if draw < 0.2:
        return text[:at] + rng.choice(LETTERS) + text[at:]
    if draw < 0.4:
        return text[:at] + text[at + 1 :]
    if draw < 0.55:
        return text[:at] + rng.choice(LETTERS) + text[at + 1 :]
    if draw < 0.7:
        rng.shuffle(words)
    elif draw < 0.85:
        words.insert(int(rng.random() * (len(words) + 1)), rng.choice(WORDS))
    elif len(words) > 1:
        del words[int(rng.random() * len(words))]
    return " ".join(words)


def _length(rng: random.Random) -> int:
    draw = rng.random()
    if draw < 0.005:
        return 0
    if draw < 0.02:
        return 30 + int(rng.random() * 40)  # over 200 characters: difflib treats frequent characters otherwise
    return 1 + int(rng.random() * 7)
