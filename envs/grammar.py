"""Which actions continue the text of an observation grammatically. Grammar only: nothing here knows which one is right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def continuations(env_id: str, facts: dict[str, Any], names: Sequence[str]) -> Sequence[str]:
    """Return the action names that may follow; all of them where the environment has no grammar."""
    return _ez_points(facts) if env_id == "gym_cards/EZPoints-v0" else names


def _ez_points(facts: dict[str, Any]) -> list[str]:
    """A number is due at the start and after an operator: one of the cards not yet used. After a number: "+" or "*" while a
    card is left, or "=". A formula that is already ungrammatical can only be ended."""
    left = ["10" if card in "JQK" else "1" if card == "A" else card for card in facts["cards"].split()]
    needs_number = True
    for item in facts["formula"].split():
        if item.isdigit() != needs_number or (needs_number and item not in left):
            return ["="]
        if needs_number:
            left.remove(item)
        needs_number = not needs_number
    if needs_number:
        return sorted(set(left)) or ["="]
    return ["+", "*", "="] if left else ["="]
