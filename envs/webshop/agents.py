"""Scripted shoppers: one that reads the goal's fields and should always be paid in full, and the rule that gives the floor.

They see what can be clicked and whether there is a search bar, and answer with an action; they know nothing of sessions, so the same
shopper walks ours and upstream's. One shopper plays one episode.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from vldac import _core

_NEXT, _BUY = "next >", "buy now"
_FIXED = {"search", "back to search", _NEXT, "< prev", "description", "features", "reviews", "attributes", _BUY}
_MAX_PAGES = 13  # 50 results of 4 a page


class Shopper(Protocol):
    """Chooses actions of one episode."""

    def act(self, clickables: Sequence[str], *, has_search_bar: bool) -> str:
        """Return the next action, "search[...]" or "click[...]", for a page with these clickables."""
        ...


class OracleShopper:
    """Searches the name of the goal's product, leafs through the results until it is there, chooses the wanted options, buys."""

    def __init__(self, goal: Mapping[str, Any]) -> None:
        """`goal` has upstream's fields; asin, name, query, attributes and goal_options (list of values, or group: value) are read."""
        self._asin = goal["asin"].lower()
        options = goal["goal_options"]
        self._wanted = list(options.values()) if isinstance(options, Mapping) else list(options)
        self._queries = [
            goal["name"],
            f"{goal['name']} {goal['query']}",
            f"{goal['query']} {' '.join(goal['attributes'])}",
        ]
        self._is_at_item, self._page = False, 0

    def act(self, clickables: Sequence[str], *, has_search_bar: bool) -> str:
        """Return the next action."""
        shown = {name.lower(): name for name in clickables}
        if has_search_bar:
            self._page = 0
            return f"search[{self._queries.pop(0) if len(self._queries) > 1 else self._queries[0]}]"
        if self._asin in shown:
            self._is_at_item = True
            return f"click[{shown[self._asin]}]"
        if not self._is_at_item:
            self._page += 1
            name = _NEXT if _NEXT in shown and self._page < _MAX_PAGES else "back to search"
            return f"click[{shown[name]}]"
        while self._wanted:
            value = self._wanted.pop(0)
            choice = _nearest(value, [name for name in shown if name not in _FIXED or name == value.lower()])
            if choice is not None:
                return f"click[{shown[choice]}]"
        return f"click[{shown[_BUY]}]"


class RuleShopper:
    """Searches the instruction and buys the first product as it is: the rule baseline of the WebShop paper."""

    def __init__(self, goal: Mapping[str, Any]) -> None:
        """`goal` has upstream's fields; instruction_text alone is read."""
        self._instruction = goal["instruction_text"]

    def act(self, clickables: Sequence[str], *, has_search_bar: bool) -> str:
        """Return the next action."""
        if has_search_bar:
            return f"search[{self._instruction}]"
        shown = {name.lower(): name for name in clickables}
        if _BUY in shown:
            return f"click[{shown[_BUY]}]"
        products = [name for name in clickables if name.lower() not in _FIXED]
        return f"click[{products[0] if products else shown['back to search']}]"


def shop(
    shopper: Shopper,
    step: Callable[[str], tuple[float, bool]],
    look: Callable[[], tuple[Sequence[str], bool]],
    *,
    max_steps: int = 50,
) -> tuple[float, int]:
    """Let a shopper play an episode that has begun; return the reward and the number of steps.

    `step` takes an action and returns reward and whether the episode is over; `look` returns the clickables and whether there is a
    search bar. The reward is 0 where the steps do not suffice.
    """
    for number in range(1, max_steps + 1):
        clickables, has_search_bar = look()
        reward, is_done = step(shopper.act(clickables, has_search_bar=has_search_bar))
        if is_done:
            return reward, number
    return 0.0, max_steps


def _nearest(value: str, names: Sequence[str]) -> str | None:
    """Return the name that is a wanted value, or is most like it as the reward measures it; None where nothing counts as like it."""
    if value.lower() in names:
        return value.lower()
    best = max(names, key=lambda name: _core.webshop_ratio(name, value), default=None)
    return best if best is not None and _core.webshop_ratio(best, value) > 85 else None
