"""Prompts of WebShop, in our own words: what the customer wants, the screenshot, what can be clicked, and the form of the answer.

"paper" has what VL-DAC's authors meant their prompt to have. "compat" has what their released prompt had: neither the goal nor what
can be clicked, since both were lost on the way; the goal is on the screenshot alone. "text" plays without pictures, "short" is for
tiny models.
"""

from __future__ import annotations

STYLES = ("text", "compat")
"""Beside "paper" and "short"."""

_GOAL = 'The customer\'s instruction: "{task}"\n'
_ACTIONS = (
    "{notice}Your actions now: [{commands}]\n"
    "search[<words>] takes any words; click[...] takes a name of the list. Choose the options that the customer wants before "
    "you click Buy Now, which ends the task.\n"
)
_ANSWER = (
    'Answer with one JSON object: {{"thoughts": "<%sthen reason about which action brings the purchase forward>", '
    '"action": "<one action, such as search[red shoes] or click[Buy Now]>"}}'
)
_TEXTS = {
    "paper": "You shop in a web store for a customer. You see the page in the screenshot.\n"
    + _GOAL
    + _ACTIONS
    + _ANSWER % "describe what you see on the page, ",
    "text": "You shop in a web store for a customer.\n"
    + _GOAL
    + 'The page: "{observation}"\n'
    + _ACTIONS
    + _ANSWER % "say what the page offers, ",
    "compat": "You shop in a web store. You see the page in the screenshot. Your task is to complete the purchase that it asks for.\n"
    "Your actions are search[keywords] and click[element].\n" + _ANSWER % "describe what you see on the page, ",
    "short": "Answer in JSON. Task: {task}. Actions: {commands}.",
}


def template(style: str) -> str:
    """Return the text of a prompt, with {slots} for facts. style: "paper", "short" or one of STYLES."""
    return _TEXTS[style]
