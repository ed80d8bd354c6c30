"""Which actions continue the text of an observation grammatically. Grammar only: nothing here knows which one is right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def continuations(env_id: str, facts: dict[str, Any], names: Sequence[str]) -> Sequence[str]:
    """Return the action names that may follow; all of them where the environment has no grammar."""
    if env_id == "gym_cards/EZPoints-v0":
        return _ez_points(facts)
    return _points24(facts) if env_id == "gym_cards/Points24-v0" else names


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


def _points24(facts: dict[str, Any]) -> list[str]:
    """As EZPoints with four operators and brackets. A bracket is opened only where enough cards are left to put an operator into
    it and into every open one, and closed only around an operator. "=" may follow where no bracket is open."""
    values = {"A": "1", "J": "10", "Q": "10", "K": "10"}
    if facts["largest"] == 13:
        values |= {"J": "11", "Q": "12", "K": "13"}
    left = [values.get(card, card) for card in facts["cards"].split()]
    needs_number = True
    has_operator = [False]  # of the whole formula and of every open bracket
    for item in facts["formula"].split():
        if (item.isdigit() or item == "(") != needs_number or (item.isdigit() and item not in left):
            return ["="]
        if item == ")" and len(has_operator) == 1:
            return ["="]
        if item.isdigit():
            left.remove(item)
            needs_number = False
        elif item == "(":
            has_operator.append(False)
        elif item == ")":
            has_operator.pop()
        else:
            has_operator[-1] = needs_number = True
    num_bare = sum(not operator for operator in has_operator[1:])  # open brackets that still need a card
    is_open = len(has_operator) > 1
    if needs_number:
        return sorted(set(left), key=int) + ["("] * (len(left) >= num_bare + 2) or ["="]
    is_bare = is_open and not has_operator[-1]
    operators = ["+", "-", "*", "/"] if len(left) > num_bare - is_bare else []
    closers = ([] if is_bare else [")"]) if is_open else ["="]
    return operators + closers or ["="]
