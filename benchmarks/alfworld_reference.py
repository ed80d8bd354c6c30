"""TextWorld's ALFWorld, as the side that is right: texts, admissible commands, score, won and done of a game; and ways to act in it.

Needs the alfworld package (textworld and fast-downward-textworld come with it). Nothing here is imported by the library.
"""

from __future__ import annotations

import copy
import functools
import importlib
import json
import os
import random
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

KINDS = (
    "look", "inventory", "help", "examine receptacle", "examine object", "go", "open", "close", "take", "put", "clean",
    "heat", "cool", "use", "slice", "not admissible",
)  # fmt: skip
"""What is counted: the actions of the domain, and commands that match none."""

EVENTS = ("won", "undone", "at a shared location", "next to it", "in it")
"""Counted, too: a goal reached and lost again, what is said of things that were moved about, a plate that holds something."""

Facts = Mapping[str, set[tuple[str, ...]]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Turn:
    """What is compared after a reset or a command."""

    text: str
    commands: tuple[str, ...]
    score: int
    won: bool
    done: bool


class Reference:
    """One game after another in PddlEnv with the names that ALFWorld gives its things."""

    def __init__(self, *, keeps_parses: bool = False) -> None:
        """keeps_parses: parse each text of a grammar once. TextWorld parses it at every use, which is most of its time."""
        arguments = sys.argv[:]
        os.environ.setdefault("ALFWORLD_DATA", os.path.dirname(__file__))  # else the import makes a folder in the home
        textworld = importlib.import_module("textworld")
        pddl = importlib.import_module("textworld.envs")
        wrapper = importlib.import_module("alfworld.agents.environment.alfred_tw_env")
        if keeps_parses:
            _keep_parses()
        self._env = wrapper.AlfredDemangler(pddl.PddlEnv(textworld.EnvInfos(admissible_commands=True, won=True)))
        self._arguments = arguments
        self.names: dict[str, str] = {}
        """Of everything, by its id; a type's name ends in a space."""

    def load(self, game: Mapping[str, Any] | str) -> Turn:
        """Load a game file or its content and begin."""
        self._env.load(game if isinstance(game, str) else dict(game))
        self.names = {name: info.name for name, info in self._env._entity_infos.items()}
        return self.reset()

    def reset(self) -> Turn:
        """Begin the game again."""
        state = self._env.reset()
        sys.argv[:] = self._arguments  # fast_downward writes its own
        return self._turn(state, False)

    def step(self, command: str) -> Turn:
        """Give a command."""
        state, _, done = self._env.step(command)
        return self._turn(state, done)

    def _turn(self, state: Any, done: bool) -> Turn:
        won = bool(state["won"])
        score = int(state.get("score") or 0)
        self._facts = state["_facts"]
        return Turn(
            text=state.feedback, commands=tuple(state["admissible_commands"]), score=score, won=won, done=bool(done)
        )

    def facts(self) -> Facts:
        """What holds now: argument tuples by predicate. Facts that say that something does not hold begin with not_."""
        found: dict[str, set[tuple[str, ...]]] = defaultdict(set)
        for fact in self._facts:
            found[fact.name].add(tuple(argument.name for argument in fact.arguments))
        return found


def _keep_parses() -> None:
    textgen, logic = importlib.import_module("textworld.envs.pddl.textgen"), importlib.import_module("textworld.logic")
    if hasattr(textgen._parse_and_convert, "cache_info"):
        return
    parse, query = functools.cache(textgen._parse_and_convert), functools.cache(logic.Rule.parse_conjunctive_query)
    textgen._parse_and_convert = lambda *args, **kwargs: copy.deepcopy(parse(*args, **kwargs))
    textgen._parse_and_convert.cache_info = parse.cache_info
    logic.Rule.parse_conjunctive_query = staticmethod(query)


def kind_of(command: str, commands: Iterable[str], receptacle_names: Iterable[str]) -> str:
    """Return which of `KINDS` a command is, where `commands` are admissible."""
    word, _, rest = command.strip().partition(" ")
    if command.strip() not in commands:
        return "not admissible"
    if word == "examine":
        return "examine receptacle" if rest in receptacle_names else "examine object"
    return "put" if word == "move" else word


# -- goals and an expert ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """What a game asks for, read off its goal."""

    object_type: str
    receptacle_type: str | None
    lamp_type: str | None
    treatment: str | None
    """clean, heat or cool"""
    count: int

    @classmethod
    def of(cls, problem: str) -> Task:
        """Read a problem's goal."""
        goal = problem[problem.index("(:goal") :].lower()
        types = re.findall(r"\(objecttype \?(\w+) (\w+)\)", goal)
        treatment = re.search(r"\((isclean|ishot|iscool) ", goal)
        lamps = [kind for variable, kind in types if variable == "ot"]
        receptacles = re.findall(r"\(receptacletype \?\w+ (\w+)\)", goal)
        return cls(
            object_type=next(kind for variable, kind in types if variable != "ot"),
            receptacle_type=receptacles[0] if receptacles else None, lamp_type=lamps[0] if lamps else None,
            treatment={"isclean": "clean", "ishot": "heat", "iscool": "cool"}[treatment[1]] if treatment else None,
            count=2 if "?o2" in goal else 1,
        )  # fmt: skip


TOOLS = {
    "clean": ("sinkbasintype", "isclean", "cleanable"),
    "heat": ("microwavetype", "ishot", "heatable"),
    "cool": ("fridgetype", "iscool", "coolable"),
}


class Expert:
    """Says the next command toward the goal, from what TextWorld knows; None where it sees no way, or the goal holds."""

    def __init__(self, problem: str, names: Mapping[str, str]) -> None:
        self.task, self.names = Task.of(problem), names

    def __call__(self, facts: Facts, commands: tuple[str, ...]) -> str | None:
        """Return an admissible command or None."""
        wanted = self._wanted(facts)
        return None if wanted is None else next((c for c in commands if re.fullmatch(wanted, c)), None)

    def _wanted(self, facts: Facts) -> str | None:
        task = self.task
        where = {r: place for r, place in facts["receptacleatlocation"]}
        here = next(iter(facts["atlocation"]))[1]
        held = next((o for _, o in facts["holds"]), None)
        kinds: dict[str, str] = {o: kind for o, kind in facts["objecttype"]}
        receptacle_kinds = {r: kind for r, kind in facts["receptacletype"]}
        inside = sorted((o, r) for o, r in facts["inreceptacle"] if r in where)

        def at(receptacle: str, then: str, must_be_open: bool = True) -> str:
            if where[receptacle] != here:
                return f"go to {self.names[receptacle]}"
            if must_be_open and (receptacle,) in facts["openable"] and (receptacle,) not in facts["opened"]:
                return f"open {self.names[receptacle]}"
            return then.format(r=re.escape(self.names[receptacle]), o=re.escape(self.names[held or ""]) if held else "")

        put = "(?:move {o} to|put {o} in/on) {r}"
        if held is not None and kinds.get(held) != task.object_type:
            homes = [r for r in sorted(where) if (receptacle_kinds.get(r), kinds.get(held)) in facts["cancontain"]]
            homes.sort(key=lambda r: (where[r] != here, (r,) in facts["openable"]))
            return at(homes[0], put) if homes else None
        if held is None:
            goals = [r for r in sorted(where) if receptacle_kinds.get(r) == task.receptacle_type]
            placed = Counter(r for o, r in inside if kinds.get(o) == task.object_type and r in goals)
            best = max(goals, key=lambda r: placed[r], default=None)
            free = [
                (o, r) for o, r in inside
                if kinds.get(o) == task.object_type and (o,) in facts["pickupable"] and (task.count == 1 or r != best)
                and (task.treatment is None or (o,) in facts[TOOLS[task.treatment][2]])
            ]  # fmt: skip
            if not free:
                return None
            thing, receptacle = min(free, key=lambda pair: where[pair[1]] != here)
            return at(receptacle, f"take {re.escape(self.names[thing])} from {{r}}")
        if task.lamp_type is not None:
            lamps = [(o, r) for o, r in inside if kinds.get(o) == task.lamp_type and (o,) in facts["toggleable"]]
            if not lamps:
                return None
            lamp, receptacle = min(lamps, key=lambda pair: where[pair[1]] != here)
            return at(receptacle, f"use {re.escape(self.names[lamp])}", must_be_open=False)
        if task.treatment is not None and (held,) not in facts[TOOLS[task.treatment][1]]:
            tools = [r for r in sorted(where) if receptacle_kinds.get(r) == TOOLS[task.treatment][0]]
            return at(tools[0], task.treatment + " {o} with {r}", must_be_open=False) if tools else None
        goals = [r for r in sorted(where) if receptacle_kinds.get(r) == task.receptacle_type]
        placed = Counter(r for o, r in inside if kinds.get(o) == task.object_type and o != held)
        goals.sort(key=lambda r: -placed[r] if task.count == 2 else 0)
        return at(goals[0], put) if goals else None


# -- random commands --------------------------------------------------------------------------------------------------

WEIGHTS = {
    "go": 4.0, "take": 6.0, "move": 3.0, "put": 3.0, "open": 6.0, "close": 1.0, "clean": 8.0, "heat": 8.0, "cool": 8.0,
    "slice": 8.0, "use": 6.0, "examine": 2.5, "look": 1.0, "inventory": 0.5, "help": 0.3,
}  # fmt: skip
"""How likely a word is where it is admissible; its commands share it."""
DRAWN_TO = ("sinkbasin", "microwave", "fridge")
NONSENSE = ("dance", "", "go to nowhere 1", "Look", "go  to fridge 1", "take all", "examine", "open", "look around")


class Wanderer:
    """Chooses commands at random, the rarer and more eventful ones more often than their share; now and then ones that match none."""

    def __init__(self, rng: random.Random, nonsense: float = 0.05) -> None:
        self.rng, self.nonsense = rng, nonsense
        self.seen: list[str] = []

    def __call__(self, commands: tuple[str, ...]) -> str:
        """Return a command."""
        rng = self.rng
        chosen = rng.random()
        if chosen < self.nonsense:
            stale = [command for command in self.seen if command not in commands]
            return rng.choice(stale) if stale and rng.random() < 0.6 else rng.choice(NONSENSE)
        groups: dict[str, list[str]] = defaultdict(list)
        for command in commands:
            groups[command.partition(" ")[0]].append(command)
        self.seen = sorted({*self.seen, *(c for c in commands if not c.startswith(("look", "inventory", "help")))})
        words = sorted(groups)
        word = rng.choices(words, [WEIGHTS.get(w, 1.0) for w in words])[0]
        if word == "go" and rng.random() < 0.4:
            near = [c for c in groups["go"] if c.split()[2] in DRAWN_TO]
            groups["go"] = near or groups["go"]
        command = rng.choice(groups[word])
        return f"  {command} " if chosen < self.nonsense + 0.01 else command  # spaces around a command are dropped


# -- transcripts ------------------------------------------------------------------------------------------------------


def transcript(
    reference: Reference, game: Mapping[str, Any], seed: int, num_steps: int, script: Sequence[str]
) -> tuple[dict[str, Any], Counter[str]]:
    """Play a game; return what TextWorld said, and how often each kind of action and event occurred.

    First the script, then a wanderer, from the middle on the expert until it has won; then that is undone and the wanderer goes on.
    A step is [command, text, commands that go, commands that come, [score, won, done]].
    """
    counts: Counter[str] = Counter()
    turn = reference.load(game)
    rng, left, has_won = random.Random(seed), list(script), False
    expert, wanderer = Expert(game["pddl_problem"], reference.names), Wanderer(rng)
    facts = reference.facts()
    receptacles = {reference.names[r] for r, _ in facts["receptacleatlocation"]}
    places = Counter(where for _, where in facts["receptacleatlocation"])
    told: dict[str, Any] = {"reset": {"text": turn.text, "commands": list(turn.commands), "won": turn.won}, "steps": []}
    for i in range(num_steps):
        if left:
            command = left.pop(0)
        elif i >= num_steps // 2 and not has_won:
            command = expert(reference.facts(), turn.commands) or wanderer(turn.commands)
        elif has_won and turn.won and (undo := [c for c in turn.commands if c.startswith("take ")]):
            command = rng.choice(undo)  # of the place where it was won
        else:
            command = wanderer(turn.commands)
        before, turn = turn, reference.step(command)
        has_won = has_won or turn.won
        counts[kind_of(command, before.commands, receptacles)] += 1
        counts["won"] += turn.won and not before.won
        counts["undone"] += before.won and not turn.won
        counts["at a shared location"] += places[next(iter(reference.facts()["atlocation"]))[1]] > 1
        counts["next to it"] += "Next to it, you see a" in turn.text
        counts["in it"] += "This is a normal" in turn.text and "you see a" in turn.text
        gone, come = set(before.commands) - set(turn.commands), set(turn.commands) - set(before.commands)
        told["steps"].append(
            [command, turn.text, sorted(gone), sorted(come), [turn.score, int(turn.won), int(turn.done)]]
        )
    return told, counts


def dumps(value: Any) -> str:
    """Compact JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
