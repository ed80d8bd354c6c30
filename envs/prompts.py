"""Prompt templates: one user turn, the image first, then one text. "paper" asks for thoughts and an action, "short" for the
fields that name what is on the picture and the action, in as few words as a tiny model needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vldac.envs.alfworld import prompts as alfworld
from vldac.envs.miniworld import prompts as miniworld
from vldac.envs.webshop import prompts as webshop

_ALFWORLD, _WEBSHOP = "ALFWorld-v0", "WebShop-v0"
_PAPER = {
    "gym_cards/NumberLine-v0": (
        "You see a number line game: a target number and a current number. Move the current number to the target. "
        'Actions: "-" lowers the current number by one, "+" raises it by one. '
        'Answer with one JSON object: {{"thoughts": "<reason step by step>", "action": "<- or +>"}}'
    ),
    "gym_cards/EZPoints-v0": (
        "You see two cards; J, Q and K count 10, A counts 1. Write a formula that uses each card's number exactly once and "
        'equals {target}, one symbol at a time. The formula so far: "{formula}". '
        'Choose the next symbol from "1" to "10", "+", "*", "="; "=" ends the game. '
        'Answer with one JSON object: {{"thoughts": "<reason step by step>", "action": "<symbol>"}}'
    ),
    "gym_cards/Points24-v0": (
        "You see four cards; {faces}, A counts 1. Write a formula that uses each card's number exactly once and equals "
        '{target}, one symbol at a time. The formula so far: "{formula}". '
        'Choose the next symbol from "1" to "{largest}", "+", "-", "*", "/", "(", ")", "="; "=" ends the game. '
        'Answer with one JSON object: {{"thoughts": "<reason step by step>", "action": "<symbol>"}}'
    ),
    "gym_cards/Blackjack-v0": (
        "You play blackjack: you see one card of the dealer, and yours. J, Q and K count 10, A counts 11 or 1. Get closer to 21 "
        'than the dealer, but not over it. Actions: "hit" takes another card, "stand" ends your turn. '
        'Answer with one JSON object: {{"thoughts": "<reason step by step>", "action": "<stand or hit>"}}'
    ),
    "Blackjack-symbolic-v0": (
        "You play blackjack: you hold {points} points (usable aces: {usable_ace}), the dealer shows {dealer}; an ace is shown as 1. "
        'Get closer to 21 than the dealer, but not over it. Actions: "hit" takes another card, "stand" ends your turn. '
        'Answer with one JSON object: {{"thoughts": "<reason step by step>", "action": "<stand or hit>"}}'
    ),
    "test/Doors-v0": (
        'You see three doors. {observation} Commands: {commands}. Answer in JSON: {{"humming": <door>, "action": "<command>"}}'
    ),
    "test/Template-v0": (
        'Name the colour of the square. Answer in JSON: {{"thoughts": "<what you see>", "action": "<red, green or blue>"}}'
    ),
}
_SHORT = {
    "gym_cards/NumberLine-v0": "Move current to target with - or +. Answer in JSON.",
    "gym_cards/EZPoints-v0": "Make {target}. Answer in JSON.",
    "gym_cards/Points24-v0": "Make {target}. Answer in JSON.",
    "gym_cards/Blackjack-v0": "Stand or hit. Answer in JSON.",
    "Blackjack-symbolic-v0": "Points {points}, usable ace {usable_ace}, dealer {dealer}. Stand or hit. Answer in JSON.",
    "test/Doors-v0": "{observation} Commands: {commands}. Answer in JSON.",
    "test/Template-v0": "Name the colour. Answer in JSON.",
}


def styles(env_id: str) -> tuple[str, ...]:
    """Return the names of an environment's prompts."""
    if miniworld.is_miniworld(env_id):
        return ("paper", "short", *miniworld.VERSIONS)
    return ("paper", "short", *{_ALFWORLD: alfworld.STYLES, _WEBSHOP: webshop.STYLES}.get(env_id, ()))


def accepts_numbers(env_id: str) -> bool:
    """Whether an environment's prompts number the actions, so that a response may say 2 for the third."""
    return miniworld.is_miniworld(env_id)


def template(env_id: str, style: str, actions: Sequence[str]) -> str:
    """Return the text of an environment's prompt, with {slots} for the facts that it names; empty where there is none.

    style: one of `styles(env_id)`. actions: their names, for prompts that list them.
    """
    if miniworld.is_miniworld(env_id):
        return miniworld.template(env_id, style, actions)
    if env_id == _ALFWORLD:
        return alfworld.template(style)
    if env_id == _WEBSHOP:
        return webshop.template(style)
    return (_SHORT if style == "short" else _PAPER).get(env_id, "")


def messages(text: str, has_image: bool = True) -> list[dict[str, Any]]:
    """Return the chat messages of one observation."""
    image = [{"type": "image"}] if has_image else []
    return [{"role": "user", "content": [*image, {"type": "text", "text": text}]}]
