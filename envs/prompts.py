"""Prompt templates: one user turn, the image first, then one text. "paper" asks for thoughts and an action, "short" for the
fields that name what is on the picture and the action, in as few words as a tiny model needs."""

from __future__ import annotations

from typing import Any

_PAPER = {
    "gym_cards/NumberLine-v0": (
        "You see a number line game: a target number and a current number. Move the current number to the target. "
        'Actions: "-" lowers the current number by one, "+" raises it by one. '
        'Answer with one JSON object: {{"thoughts": "<reason step by step>", "action": "<- or +>"}}'
    ),
    "gym_cards/EZPoints-v0": (
        "You see two cards; J, Q and K count 10, A counts 1. Write a formula that uses each card's number exactly once and "
        'equals 12, one symbol at a time. The formula so far: "{formula}". '
        'Choose the next symbol from "1" to "10", "+", "*", "="; "=" ends the game. '
        'Answer with one JSON object: {{"thoughts": "<reason step by step>", "action": "<symbol>"}}'
    ),
}
_SHORT = {
    "gym_cards/NumberLine-v0": "Move current to target with - or +. Answer in JSON.",
    "gym_cards/EZPoints-v0": "Make 12. Answer in JSON.",
}


def template(env_id: str, style: str) -> str:
    """Return the text of an environment's prompt, with {slots} for the facts that it names; empty where there is none."""
    return (_SHORT if style == "short" else _PAPER).get(env_id, "")


def messages(text: str) -> list[dict[str, Any]]:
    """Return the chat messages of one observation."""
    return [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": text}]}]
