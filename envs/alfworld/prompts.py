"""Prompts of ALFWorld, in our own words, with the contents of RL4VLM's and VL-DAC's: the scene in text, the task, what is
admissible now, and the form of the answer; the picture comes with it. "text" is the same for playing without pictures, "short" is
for tiny models.
"""

from __future__ import annotations

STYLES = ("text",)
"""Beside "paper" and "short"."""

_STATE = (
    'The text of the scene: "{observation}"\n'
    "Your task is to: {task}.\n"
    "The commands that are admissible now: [{commands}]\n"
)
_ANSWER = (
    'Answer with one JSON object: {{"thoughts": "<%sthen reason about which command brings the task forward>", '
    '"action": "<one admissible command, word for word>"}}'
)
_TEXTS = {
    "paper": "You are an expert in the household world ALFRED. You see the scene in the picture and in a text.\n"
    + _STATE
    + _ANSWER % "describe what you see in the picture with the help of the text, ",
    "text": "You are an expert in the household world ALFRED. You are told of the scene in a text.\n"
    + _STATE
    + _ANSWER % "say what the text tells, ",
    "short": "Answer in JSON. Task: {task}. Commands: {commands}.",
}


def template(style: str) -> str:
    """Return the text of a prompt, with {slots} for facts. style: "paper", "short" or one of STYLES."""
    return _TEXTS[style]
