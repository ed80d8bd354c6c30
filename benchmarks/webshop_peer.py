"""Asks upstream's WebShop in a process of its own (webshop_upstream.py), and draws what to ask it: rewards, episodes."""

from __future__ import annotations

import dataclasses
import json
import random
import re
import subprocess
from pathlib import Path
from typing import Any

from webshop_pairs import edited
from webshop_upstream import nouns_by_rule

HERE = Path(__file__).resolve().parent
ACTIONS_PER_EPISODE = 14
SPECIAL = ("<a>", "<c>", "<q>", "<r>")
BUTTONS = {"back to search", "next >", "< prev", "description", "features", "reviews", "attributes", "buy now"}


class Oracle:
    """Upstream in another interpreter."""

    def __init__(self, python: Path, upstream: Path) -> None:
        command = [str(python), "-W", "ignore", str(HERE / "webshop_upstream.py"), "--upstream", str(upstream)]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
        )
        self.goals: list[dict[str, Any]] = []
        self.prices: dict[str, float] = {}
        self.names: dict[str, str] = {}
        self.options: dict[str, dict[str, list[str]]] = {}

    def __enter__(self) -> Oracle:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)

    def ask(self, what: str, **arguments: Any) -> Any:
        """Return the answer to a request. RuntimeError where the other process has ended."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": what, **arguments}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"upstream's process ended (asked for {what}): is its interpreter complete?")
        return json.loads(line)

    def load(
        self,
        folder: Path,
        *,
        human: bool,
        seed: int,
        length: str = "exact",
        attributes_page: bool = False,
        page_size: int = 10,
    ) -> None:
        """Load a shop; goals are in upstream's shuffled order."""
        answer = self.ask("load", folder=str(folder), human=human, seed=seed, length=length, attributes_page=attributes_page,
                          page_size=page_size)  # fmt: skip
        if "error" in answer:
            raise RuntimeError(answer["error"])
        self.goals, self.prices = answer["goals"], answer["prices"]
        self.names, self.options = answer["names"], answer["options"]

    # -- what to ask --

    def draw_reward_call(self, rng: random.Random) -> dict[str, Any]:
        """Return one direct reward call: a goal, a product that is more or less like it, options, a price, nouns of both names."""
        goal = dict(rng.choice(self.goals))
        product = goal["asin"] if rng.random() < 0.35 else rng.choice(list(self.names))
        if rng.random() < 0.3:
            goal["attributes"] = [_changed(rng, attribute) for attribute in goal["attributes"]]
        options = {
            group: rng.choice(values)
            for group, values in self.options[product].items()
            if values and rng.random() < 0.8
        }
        wanted = goal["goal_options"]
        for value in wanted.values() if isinstance(wanted, dict) else wanted:
            if rng.random() < 0.3:
                options[f"extra {len(options)}"] = _changed(rng, value)
        if rng.random() < 0.2:
            goal["price_upper"] = 1_000_000
        price = self.prices[product] if rng.random() < 0.7 else goal["price_upper"] + rng.choice((-0.01, 0.0, 0.01))
        names = (self.names[product], goal["name"])
        return {"asin": product, "goal": goal, "price": price, "options": options, "nouns": _draw_nouns(rng, names)}

    def draw_query(self, rng: random.Random) -> str:
        """Return a query: a piece of a goal's instruction or name."""
        return _query(rng, rng.choice(self.goals))

    def draw_action(self, rng: random.Random, goal: dict[str, Any], available: dict[str, Any]) -> str:
        """Return an action: mostly one that does something, toward the goal or away from it; now and then a bad one."""
        draw, clickables = rng.random(), available["clickables"]
        if draw < 0.08:
            return rng.choice(_bad_actions(rng, clickables))
        if available["has_search_bar"] or draw < 0.12 or not clickables:
            return f"search[{_special(rng, goal) if rng.random() < 0.04 else _query(rng, goal)}]"
        wanted = goal["goal_options"]
        good = [goal["asin"].lower(), *(wanted.values() if isinstance(wanted, dict) else wanted)]
        toward = [name for name in clickables if name in good]
        if toward and rng.random() < 0.5:
            return f"click[{rng.choice(toward)}]"
        rare = {"buy now": 0.4, "back to search": 0.25, "next >": 0.6}
        away = [name for name in clickables if rng.random() < rare.get(name, 1)] or clickables
        name = rng.choice(away)
        return f"click[{name.title() if rng.random() < 0.2 else name}]"

    def play(self, rng: random.Random, number: int, *, after_end: float = 0.0) -> Episode:
        """Play an episode with a goal; of those that end, a share of `after_end` is played on, as upstream allows."""
        seen, actions, kinds = [self.ask("reset", goal=number)], list[str](), list[str]()
        plays_on, crash = rng.random() < after_end, ""
        while len(actions) < ACTIONS_PER_EPISODE and (plays_on or not seen[-1]["done"]):
            is_over = len(actions) > 6 and "buy now" in seen[-1]["available"]["clickables"] and rng.random() < 0.4
            if is_over:
                action = "click[Buy Now]"
            elif actions and rng.random() < 0.03:
                action = rng.choice(actions)
            else:
                action = self.draw_action(rng, self.goals[number], seen[-1]["available"])
            kind = f"{seen[-1]['page']}: {self._kind(action, seen[-1]['available']['clickables'], actions)}"
            answer = self.ask("step", action=action)
            if "error" in answer:  # upstream's session is half changed now
                crash = f"{kind}: {answer['error']}"
                break
            actions.append(action)
            kinds.append(kind)
            seen.append(answer)
        return Episode(seen=seen, actions=actions, kinds=kinds, crash=crash)

    def _kind(self, action: str, clickables: list[str], actions: list[str]) -> str:
        """Return what an action is to upstream on a page with these clickables, after these actions."""
        parts = re.match(r"(.+)\[(.+)\]", action)
        name, argument = parts.groups() if parts else (action, "")
        argument = argument.lower()
        if name == "search" and argument:
            again = " again" if action in actions else ""
            first = argument.split(" ")[0]
            return (f"search[{first} ...]" if first in SPECIAL else "search") + again
        if name == "click" and argument in clickables and argument != "search":
            return argument if argument in BUTTONS else "a product" if argument.upper() in self.names else "an option"
        return "invalid"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Episode:
    """What was done, and what was seen: the first page, and one after each action."""

    seen: list[dict[str, Any]]
    actions: list[str]
    kinds: list[str]
    """of each action: "page: what" """
    crash: str
    """the kind of the action that ended it, and upstream's exception; empty where none did"""


def _changed(rng: random.Random, text: str) -> str:
    for _ in range(int(rng.random() * 4)):
        text = edited(rng, text)
    return text


def _draw_nouns(rng: random.Random, names: tuple[str, str]) -> dict[str, list[str]]:
    """Return noun lists of names: by the rule, or drawn from few words so that every bracket of the title score is met."""
    if rng.random() < 0.5:
        return {name: nouns_by_rule(name) for name in names}
    words = [f"noun{number}" for number in range(30)]
    return {name: [rng.choice(words) for _ in range(int(rng.random() * 16))] for name in names}


def _query(rng: random.Random, goal: dict[str, Any]) -> str:
    words = (goal["name"] if rng.random() < 0.6 else goal["instruction_text"]).split(" ")
    start = int(rng.random() * len(words))
    text = " ".join(words[start : start + 1 + int(rng.random() * 8)])
    draw = rng.random()
    if draw < 0.03:
        return "zzz qqq"
    if draw < 0.06:
        return f"  {text}  [{text}] "
    return text.upper() if draw < 0.1 else text


def _special(rng: random.Random, goal: dict[str, Any]) -> str:
    """Return a query that upstream looks up; not <r>, which it answers at random."""
    category, query = goal["category"], goal["query"]
    return rng.choice([
        f"<c> {category}", f"<c> {category} and more", f"<c>  {category}", "<c> nothing", "<c>", f"<C> {category}", f"<c>{category}",
        f"<q> {query}", f"<q>  {query} ", f"<q> {query.title()}", "<q> nothing", "<q>", f"<a> {goal['attributes'][0]}", "<a>",
    ])  # fmt: skip


def _bad_actions(rng: random.Random, clickables: list[str]) -> list[str]:
    some = rng.choice(clickables) if clickables else "x"
    return [
        "", "click", "click[]", "search[]", "search[ ]", "click[search]", "click[Search]", "buy now", f"click[ {some}]",
        f"Click[{some}]",
        f"please click[{some}]", f"click[{some}] now", f"click[{some}", f"click[{some}]]", "click[b000000000]", "think[what now]",
        "click[next >]", "click[< prev]", "click[back to search]", "click[description]", f"click[{some}]\nclick[buy now]",
    ]  # fmt: skip
