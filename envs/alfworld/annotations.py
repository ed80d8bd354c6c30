"""English for a generated game in the form of ALFRED's human annotations: what is to be done, and the steps."""

from __future__ import annotations

import random
import re

from vldac.envs.alfworld.household import Goal

_SENTENCES = {
    "pick_and_place_simple": (
        "Put {obj} {place}.", "Find {obj} and leave it {place}.", "Move {obj} so that it is {place}.",
    ),
    "look_at_obj_in_light": (
        "Look at {obj} by the light of a {toggle}.", "Hold {obj} and turn on a {toggle}.", "Examine {obj} under a {toggle}.",
    ),
    "pick_clean_then_place_in_recep": (
        "Put a washed {bare} {place}.", "Wash {obj} and put it {place}.", "Rinse {obj} in the sink, then leave it {place}.",
    ),
    "pick_heat_then_place_in_recep": (
        "Put a heated {bare} {place}.", "Warm {obj} in the microwave and put it {place}.", "Heat {obj}, then leave it {place}.",
    ),
    "pick_cool_then_place_in_recep": (
        "Put a chilled {bare} {place}.", "Chill {obj} in the fridge and put it {place}.", "Cool {obj}, then leave it {place}.",
    ),
    "pick_two_obj_and_place": (
        "Put {obj} {place}, and another one with it.", "Find {obj} and another one, and put both {place}.",
        "Move {obj} and a second {bare} so that both are {place}.",
    ),
}  # fmt: skip
_INSIDE = frozenset(
    {"Fridge", "Cabinet", "Microwave", "Drawer", "Safe", "GarbageCan", "SinkBasin", "BathtubBasin", "LaundryHamper"}
)


def annotate(rng: random.Random, goal: Goal, walkthrough: list[str]) -> list[dict[str, object]]:
    """Return two or three annotations as traj_data.json lists them: task_desc, high_descs, votes."""
    words = {
        "obj": f"{_article(goal.target)} {readable(goal.target)}",
        "bare": readable(goal.target),
        "place": f"{'in' if goal.parent in _INSIDE else 'on'} the {readable(goal.parent)}",
        "toggle": readable(goal.toggle),
    }
    steps = [_step(command) for command in walkthrough]
    sentences = rng.sample(_SENTENCES[goal.task], rng.choice((2, 3)))
    return [
        {
            "assignment_id": f"template_{i}",
            "high_descs": steps,
            "task_desc": sentence.format(**words),
            "votes": [1, 1, 1],
        }
        for i, sentence in enumerate(sentences)
    ]


def readable(kind: str) -> str:
    """Return a type as English: "AlarmClock" is "alarm clock"."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", kind).lower()


def _article(kind: str) -> str:
    return "an" if kind[0] in "AEIOU" else "a"


def _step(command: str) -> str:
    words = re.sub(r" \d+", "", command).replace("in/on", "to").replace("put", "move").split()
    plain = ("to", "from", "with")
    text = " ".join([words[0], *(word if word in plain else f"the {word}" for word in words[1:])])
    return f"{text.capitalize()}."
