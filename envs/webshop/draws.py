"""Random draws that are the same on every Python and platform: they use Random.random() alone, which Python keeps stable."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

Item = TypeVar("Item")


class Draws:
    """One stream of draws, named by text: the same name gives the same draws."""

    def __init__(self, name: str) -> None:
        self._uniform = random.Random(name).random  # seeded by the text itself, never by its hash

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self._uniform() < probability

    def below(self, count: int) -> int:
        """Uniform on 0..count-1."""
        return int(self._uniform() * count)

    def between(self, low: float, high: float) -> float:
        """Uniform on [low, high)."""
        return low + (high - low) * self._uniform()

    def pick(self, items: Sequence[Item]) -> Item:
        """One of the items."""
        return items[self.below(len(items))]

    def skewed(self, items: Sequence[Item], count: int) -> list[Item]:
        """`count` different items (all, if there are fewer), the n-th of which weighs 1/n."""
        left, weights = list(items), [1.0 / (n + 1) for n in range(len(items))]
        chosen: list[Item] = []
        while left and len(chosen) < count:
            at, point = 0, self._uniform() * sum(weights)
            while at < len(left) - 1 and point >= weights[at]:
                point -= weights[at]
                at += 1
            chosen.append(left.pop(at))
            del weights[at]
        return chosen

    def subset(self, items: Sequence[Item], count: int) -> list[Item]:
        """`count` different items (all, if there are fewer), in the order they have in `items`."""
        places = list(range(len(items)))
        while len(places) > count:
            del places[self.below(len(places))]
        return [items[place] for place in places]
