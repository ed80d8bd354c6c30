"""The card games beside their upstream, RL4VLM's gym_cards, which is not part of this repository: rules, pictures, speed.

    git clone https://github.com/RL4VLM/RL4VLM
    python benchmarks/gym_cards.py parity --upstream RL4VLM/gym-cards   # rules of 100,000 transitions and 500 pictures per game
    python benchmarks/gym_cards.py speed --upstream RL4VLM/gym-cards    # steps/s per core with 300x300 pictures

parity: both sides draw from the same NumPy stream (upstream's `random` is replaced while it runs, Blackjack has one anyway), so that
they deal the same cards; ours runs with compat. Random play, the expert, and formulas full of quirks; rewards, ends and infos
must be equal. Upstream's drawing is switched off for that, and on for the pictures: all that is no card must be equal, pixel by
pixel; of the cards, whose art is our own, the places are compared. Where the default mode scores differently is counted.

speed: CPU time (user + system of the process, one thread) per step, resets included, uniformly random actions; the sides take
turns. "cached" is upstream with a cache of decoded and resized cards, patched in here. Needs Pillow and the DejaVu fonts.
Rows go to benchmarks/results. Exit code 1 if a claim does not hold.
"""

from __future__ import annotations

import argparse
import importlib
import itertools
import json
import os
import statistics
import sys
import time
import types
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from vldac import _core
from vldac.envs import NativeVectorEnv, make
from vldac.provenance import commit, processor_name, versions

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
MODULES = {"NumberLine": "numberline", "EZPoints": "ezpoints", "Points24": "points", "Blackjack": "blackjack"}
TARGET_FPS = 15_000
TARGET_RATIO = {"NumberLine": 10, "EZPoints": 100, "Points24": 100, "Blackjack": 100}
TABLE = np.array([0x35, 0x65, 0x4D], np.uint8)


def id_of(game: str) -> str:
    """Return the environment id, the same on both sides."""
    return f"gym_cards/{game}-v0"


# -- upstream ---------------------------------------------------------------------------------------------------------


class NumpyRandom:
    """What upstream uses of Python's `random`, drawn from a NumPy stream in the way that the native environments draw."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed)))

    def randint(self, low: int, high: int) -> int:
        """Uniform on low..high."""
        return int(self.rng.integers(low, high + 1))

    def choice(self, options: list[Any]) -> Any:
        """One of the options."""
        return options[int(self.rng.integers(0, len(options)))]

    def random(self) -> float:
        """Uniform on [0, 1)."""
        return float(self.rng.random())


class CachedCard:
    """A card image that is decoded and resized once."""

    def __init__(self, image: Any) -> None:
        self.image, self.sizes = image, dict[Any, Any]()

    def resize(self, size: tuple[int, int]) -> Any:
        """Return the resized image."""
        if size not in self.sizes:
            self.sizes[size] = self.image.resize(size)
        return self.sizes[size]


class Upstream:
    """RL4VLM's package, imported from a checkout; patches are made and undone here."""

    def __init__(self, folder: Path) -> None:
        sys.path.insert(0, str(folder))
        importlib.import_module("gym_cards")
        self.modules = {game: importlib.import_module(f"gym_cards.envs.{module}") for game, module in MODULES.items()}
        self.get_image = {game: m.get_image for game, m in self.modules.items() if hasattr(m, "get_image")}

    def make(self, game: str) -> gym.Env[Any, Any]:
        """Return upstream's environment as it registers it, time limit included."""
        return gym.make(id_of(game), disable_env_checker=True)

    def seed(self, game: str, seed: int) -> None:
        """Replace Python's `random` in the module of a game."""
        if hasattr(self.modules[game], "random"):
            self.modules[game].random = NumpyRandom(seed)  # type: ignore[attr-defined]

    def set_cache(self, game: str, is_on: bool) -> None:
        """Cache decoded and resized cards, or not."""
        if game in self.get_image:
            original, cards = self.get_image[game], dict[str, CachedCard]()

            def cached(name: str) -> CachedCard:
                if name not in cards:
                    cards[name] = CachedCard(original(name))
                return cards[name]

            self.modules[game].get_image = cached if is_on else original  # type: ignore[attr-defined]

    def without_drawing(self, game: str, env: gym.Env[Any, Any]) -> None:
        """Let the environment return no picture and load no card."""
        blank = np.zeros((300, 300, 3), np.uint8)
        core = env.unwrapped
        for name in ("_get_observation", "_get_obs"):
            if hasattr(core, name):
                setattr(core, name, types.MethodType(lambda _self: blank, core))
        if game in self.get_image:
            self.modules[game].get_image = lambda _name: types.SimpleNamespace(resize=lambda _size: None)  # type: ignore[attr-defined]


# -- parity -----------------------------------------------------------------------------------------------------------


def script(game: str, env: NativeVectorEnv, rng: np.random.Generator) -> Iterator[Callable[[], int]]:
    """Yield a way to choose actions for each episode: at random, the expert's, or (formulas) toward the quirks."""
    names = env.action_names

    def anything() -> int:
        return int(rng.integers(len(names)))

    def expert() -> int:
        return int(env.oracle_actions()[0])

    def mostly_expert() -> int:
        return anything() if rng.random() < 0.15 else expert()

    def quirky() -> int:
        """Numbers that are left, doubled operators, signs and brackets; "=" once every number is used."""
        facts = env.facts()[0]
        items = facts["formula"].split()
        left = numbers(facts)
        for item in items:
            if item.isdigit():
                left.remove(int(item))
        draw = rng.random()
        if not left and (items.count("(") <= items.count(")") or draw < 0.1):
            return names.index("=") if draw < 0.8 else int(rng.integers(len(names) - 7, len(names)))
        if not left:
            return names.index(")")
        is_behind_number = bool(items) and (items[-1].isdigit() or items[-1] == ")")
        if draw < (0.12 if is_behind_number else 0.75):
            return names.index(str(left[int(rng.integers(len(left)))]))
        choices = ["+", "*"] if game == "EZPoints" else ["+", "-", "*", "/", "*", "/"]
        choices += [] if game == "EZPoints" else [")"] if is_behind_number and "(" in items else ["(", "-"]
        return names.index(choices[int(rng.integers(len(choices)))]) if draw < 0.97 else anything()

    is_formula_game = game in ("EZPoints", "Points24")
    ways = [anything, expert, mostly_expert] + [quirky] * 2 * is_formula_game
    while True:
        way = int(rng.integers(len(ways) + 2 * is_formula_game))
        yield ways[way] if way < len(ways) else sought(game, env, rng)


def sought(game: str, env: NativeVectorEnv, rng: np.random.Generator) -> Callable[[], int]:
    """Type a formula that is right by Python's eval alone (in 3000 tries; else whatever was tried last), then "="."""
    facts = env.facts()[0]
    items: list[str] = []
    for _ in range(3000):
        items = random_formula(game, [str(n) for n in rng.permutation(numbers(facts))], rng)
        value = _core.evaluate_formula(items, True)
        if value == facts["target"] and _core.evaluate_formula(items, False) != (facts["target"], 1):
            break
    typed = iter([*items, *["="] * 99])

    def sought_formula() -> int:
        return env.action_names.index(next(typed))

    return sought_formula


def random_formula(game: str, left: list[str], rng: np.random.Generator) -> list[str]:
    """Return a formula of these numbers with doubled operators, signs, brackets and concatenated digits, at most 20 items."""
    is_small = game == "EZPoints"
    joins = [["+"], ["*"], ["*", "*"], []] if is_small else [["+"], ["-"], ["*"], ["/"], ["*", "*"], ["/", "/"], []]

    def part(left: list[str]) -> list[str]:
        if len(left) == 1:
            items = left
        else:
            cut = int(rng.integers(1, len(left)))
            join = joins[int(rng.integers(len(joins)))]
            items = [*part(left[:cut]), *join, *part(left[cut:])]
            if not is_small and join and rng.random() < 0.4:
                items = ["(", *items, ")"]
        return [("+" if is_small else "+-"[int(rng.integers(2))]), *items] if rng.random() < 0.1 else items

    items = part(left)
    return items if len(items) <= (5 if is_small else 20) else left


def numbers(facts: dict[str, Any]) -> list[int]:
    """Return the numbers of the cards of a formula game."""
    named = {"A": 1, "J": 10, "Q": 10, "K": 10}
    return [named.get(card) or int(card) for card in facts["cards"].split()]


def as_upstream(game: str, facts: dict[str, Any]) -> dict[str, Any]:
    """Return the facts of a native environment as upstream's info; the formula as one string, blanks without a name."""
    if game == "NumberLine":
        return {"Target": facts["target"], "Current": facts["current"]}
    if game == "Blackjack":
        hands = {"Dealer Card": facts["dealer_hand"], "Player Card": facts["player_hand"]}
        worth = {"A": 1, "J": 10, "Q": 10, "K": 10}
        return {
            key: [(worth.get(card[:-1]) or int(card[:-1]), card[:-1], card[-1]) for card in hand.split()]
            for key, hand in hands.items()
        }
    cards = [card[-1] + card[:-1].replace("10", "T") for card in facts["hand"].split()]
    return {"Cards": cards, "Numbers": numbers(facts), "Formula": facts["formula"]}


def plain(info: dict[str, Any]) -> dict[str, Any]:
    """Return upstream's info with the formula as a string and NumPy strings as Python's."""
    info = {key: value for key, value in info.items() if key != "TimeLimit.truncated"}
    if "Formula" in info:
        info["Formula"] = " ".join("" if item == " " else str(item) for item in info["Formula"])
    if "Dealer Card" in info:
        info = {key: [(v, str(face), str(suit)) for v, face, suit in cards] for key, cards in info.items()}
    return info


def pair(upstream: Upstream, game: str, seed: int) -> tuple[NativeVectorEnv, gym.Env[Any, Any]]:
    """Return both environments, dealt from one stream, not yet reset."""
    options: dict[str, Any] = {} if game == "NumberLine" else {"compat": True}
    ours = make(id_of(game), 1, num_threads=1, rng="stream", autoreset_mode="DISABLED", seed=seed, **options)
    theirs = upstream.make(game)
    upstream.seed(game, seed)
    return ours, theirs


def rules(upstream: Upstream, game: str, transitions: int) -> dict[str, Any]:
    """Step both sides with the same actions and compare everything but the pictures."""
    ours, theirs = pair(upstream, game, seed=0)
    upstream.without_drawing(game, theirs)
    choose = script(game, ours, np.random.default_rng(1))
    taken, found, first = 0, Counter[str](), None
    differences: dict[str, list[str]] = {}
    while taken < transitions:
        _, info = theirs.reset(seed=0) if not taken and game == "Blackjack" else theirs.reset()
        ours.reset(seed=0) if not taken else ours.reset()
        found["episodes"] += 1
        found["different"] += plain(info) != as_upstream(game, ours.facts()[0])
        action_of, over = next(choose), False
        found[action_of.__name__] += 1
        while not over:
            action = action_of()
            if ours.action_names[action] == "=" and is_a_tower(ours.facts()[0]):
                action, found["towers left open"] = ours.action_names.index("+"), found["towers left open"] + 1
            _, reward, terminated, truncated, info = theirs.step(action)
            _, our_reward, our_terminated, our_truncated, _ = ours.step(np.array([action]))
            row = (float(reward), bool(terminated), bool(truncated), plain(info))
            facts = ours.facts()[0]
            our_row = (float(our_reward[0]), bool(our_terminated[0]), bool(our_truncated[0]), as_upstream(game, facts))
            taken += 1
            over = terminated or truncated
            if row != our_row:
                found["different"] += 1
                first = first or f"transition {taken}, action {ours.action_names[action]}: {row} and {our_row}"
            found[f"reward {float(reward):g}"] += 1
            found["truncated"] += bool(truncated)
            if terminated and "formula" in facts:
                classify(facts, float(reward), differences, found)
    ours.close()
    theirs.close()
    upstream.set_cache(game, False)
    print(f"{game}: {taken} transitions, {found['different']} different", *([first] if first else []), flush=True)
    return {
        "game": game, "transitions": taken, "different": found.pop("different"), "first_difference": first,
        "counts": dict(found), "default_differs": differences, "is_met": first is None,
    }  # fmt: skip


def is_a_tower(facts: dict[str, Any]) -> bool:
    """Whether upstream might compute a power of a power for hours: such a formula is not ended."""
    return facts["formula"].replace(" ", "").count("**") > 1


def classify(facts: dict[str, Any], reward: float, differences: dict[str, list[str]], found: Counter[str]) -> None:
    """Count an ended formula that the default mode scores differently, and keep some examples."""
    items = [item or " " for item in facts["formula"].split(" ")] if facts["formula"] else []
    is_whole = sorted(int(i) for i in items if i.isdigit()) == sorted(numbers(facts))
    value = _core.evaluate_formula(items, False)
    default = 10.0 if is_whole and value == (facts["target"], 1) else -1.0
    if default == reward:
        return
    text = "".join(items)
    if reward < 0:
        cause = "upstream's doubles miss an exact target"
    elif "**" in text or "//" in text:
        cause = '"**" or "//"'
    elif any(a.isdigit() and b.isdigit() for a, b in itertools.pairwise(items)):
        cause = "digits concatenate"
    else:
        cause = "signs"
    found[f"default differs: {cause}"] += 1
    examples = differences.setdefault(cause, [])
    if len(examples) < 5 and text not in examples:
        examples.append(text)


def card_boxes(game: str, info: dict[str, Any]) -> list[tuple[int, int, int, int]]:
    """Return the rectangles (x, y, width, height) in which upstream pastes cards."""
    if game == "EZPoints":
        return [(x, 55, 135, 189) for x in (5, 153)]
    if game == "Points24":
        return [(x, 103, 67, 93) for x in (5, 78, 152, 226)]
    if game == "Blackjack":
        count = len(info["Player Card"])
        player = [(5 + 74 * i, 150, 70, 98) if i < 5 else (5 + 74 * (i - 5), 252, 70, 98) for i in range(count)]
        return [(5, 25, 70, 98), (78, 25, 70, 98), *player]
    return []


def pictures(upstream: Upstream, game: str, count: int) -> dict[str, Any]:
    """Compare pictures of the same states: what is no card pixel by pixel, of the cards where they are."""
    ours, theirs = pair(upstream, game, seed=1)
    upstream.set_cache(game, True)
    choose = script(game, ours, np.random.default_rng(2))
    compared, worst, outside, holes, texts = 0, 0, 0, 0, 0
    seen = set()
    while compared < count:
        image, info = theirs.reset(seed=1) if not compared and game == "Blackjack" else theirs.reset()
        obs = (ours.reset(seed=1) if not compared else ours.reset())[0]["image"][0]
        action_of, over = next(choose), False
        while True:
            is_card = np.zeros((300, 300), bool)
            for x, y, width, height in card_boxes(game, info):
                box = (slice(y, y + height), slice(x, x + width))
                is_card[box] = True
                inner = (slice(y + 10, y + height - 10), slice(x + 10, x + width - 10))
                if obs[inner].size:
                    holes += bool((obs[inner] == TABLE).all(-1).any())
                    holes += bool((image[inner] == TABLE).all(-1).mean() > 0.02)
            difference = np.abs(obs.astype(int) - image).max(-1)
            worst = max(worst, int(difference[~is_card].max()))
            outside += int((difference[~is_card] > 0).sum())
            background = np.array([255, 255, 255], np.uint8) if game == "NumberLine" else TABLE
            texts += int((image[~is_card] != background).any(-1).sum())
            seen.add(image.tobytes())
            compared += 1
            if over or compared >= count:
                break
            action = action_of()
            if ours.action_names[action] == "=" and is_a_tower(ours.facts()[0]):
                action = ours.action_names.index("+")
            image, _, terminated, truncated, info = theirs.step(action)
            obs = ours.step(np.array([action]))[0]["image"][0]
            over = terminated or truncated
    ours.close()
    theirs.close()
    upstream.set_cache(game, False)
    print(
        f"{game}: {compared} pictures ({len(seen)} distinct), {outside} different pixels outside the cards", flush=True
    )
    return {
        "game": game, "pictures": compared, "distinct_pictures": len(seen), "text_pixels_compared": texts,
        "different_pixels_outside_cards": outside, "largest_difference_outside_cards": worst,
        "cards_that_show_table": holes, "is_met": outside == 0 and holes == 0,
    }  # fmt: skip


def parity(arguments: argparse.Namespace) -> bool:
    """Compare rules and pictures of all four games."""
    from PIL import __version__, features

    warnings.simplefilter("ignore", SyntaxWarning)  # what upstream's eval says to "2(3)"
    upstream = Upstream(arguments.upstream)
    by_rule = [rules(upstream, game, arguments.transitions) for game in MODULES]
    by_picture = [pictures(upstream, game, arguments.images) for game in MODULES]
    holds = all(run["is_met"] for run in by_rule + by_picture)
    claim = {
        "rules": "rewards, terminated, truncated and infos equal with compat, cards from the same stream",
        "pictures": "300x300: background and text equal pixel by pixel outside of the card rectangles; inside them neither side "
        "shows the table 10 pixels from the edge; the art inside is our own and is not compared",
        "pillow": __version__, "pillow_raqm": features.check("raqm"), "holds": holds,
    }  # fmt: skip
    write_row("gym_cards_parity", arguments, claim, by_rule + by_picture)
    return holds


# -- speed ------------------------------------------------------------------------------------------------------------


def native_cost(game: str, num_envs: int, steps: int) -> float:
    """Return microseconds of CPU per environment step of the native pool, one thread, resets included."""
    env = make(id_of(game), num_envs, num_threads=1)
    env.reset(seed=0)
    actions = np.random.default_rng(0).integers(len(env.action_names), size=(steps, num_envs))
    for row in actions[:50]:
        env.step(row)
    cpu = time.process_time()
    for row in actions:
        env.step(row)
    cpu = time.process_time() - cpu
    env.close()
    return 1e6 * cpu / (steps * num_envs)


def upstream_cost(upstream: Upstream, game: str, steps: int, is_cached: bool) -> float:
    """Return microseconds of CPU per step of upstream's environment, resets included."""
    upstream.set_cache(game, is_cached)
    upstream.seed(game, 0)
    env = upstream.make(game)
    env.reset(seed=0)
    rng = np.random.default_rng(0)
    if is_cached:  # every card once
        for name in [suit + rank for suit in "CDHS" for rank in "A23456789TJQK"] + ["card"]:
            if game in upstream.get_image:
                for size in ((135, 189), (67, 93), (70, 98)):
                    upstream.modules[game].get_image(name).resize(size)
    actions = rng.integers(env.action_space.n, size=steps)  # type: ignore[attr-defined]
    cpu = time.process_time()
    for action in actions:
        *_, terminated, truncated, _ = env.step(int(action))
        if terminated or truncated:
            env.reset()
    cpu = time.process_time() - cpu
    env.close()
    upstream.set_cache(game, False)
    return 1e6 * cpu / steps


def speed(arguments: argparse.Namespace) -> bool:
    """Compare the CPU time per step with 300x300 pictures."""
    upstream = Upstream(arguments.upstream)
    slow = {"NumberLine": 2000, "EZPoints": 200, "Points24": 200, "Blackjack": 100}
    runs, holds = [], True
    for game in MODULES:
        sides: dict[str, Callable[[], float]] = {
            "vldac": lambda g=game: native_cost(g, arguments.num_envs, arguments.steps),
            "upstream": lambda g=game: upstream_cost(upstream, g, slow[g], is_cached=False),
            "cached": lambda g=game: upstream_cost(upstream, g, 1000, is_cached=True),
        }
        times: dict[str, list[float]] = {name: [] for name in sides}
        for _ in range(arguments.repeats):
            for name, measure in sides.items():
                times[name].append(measure())
        run: dict[str, Any] = {"game": game, "num_envs": arguments.num_envs}
        for name, values in times.items():
            run[f"{name}_us"] = statistics.median(values)
            run[f"{name}_us_range"] = [min(values), max(values)]
        run["frames_per_s_core"] = 1e6 / run["vldac_us"]
        run["upstream_ratio"] = run["upstream_us"] / run["vldac_us"]
        run["cached_ratio"] = run["cached_us"] / run["vldac_us"]
        run["is_met"] = bool(run["frames_per_s_core"] >= TARGET_FPS and run["upstream_ratio"] >= TARGET_RATIO[game])
        holds &= run["is_met"]
        runs.append(run)
        print(
            f"{game}: {run['vldac_us']:.1f} us CPU per step = {run['frames_per_s_core']:.0f} frames/s per core; upstream "
            f"{run['upstream_us']:.0f} us ({run['upstream_ratio']:.0f}x), with cached cards {run['cached_us']:.0f} us "
            f"({run['cached_ratio']:.0f}x)",
            flush=True,
        )
    claim = {"frames_per_s_core_min": TARGET_FPS, "upstream_ratio_min": TARGET_RATIO, "holds": holds}
    write_row("gym_cards_speed", arguments, claim, runs)
    return holds


def write_row(name: str, arguments: argparse.Namespace, claim: dict[str, Any], runs: list[dict[str, Any]]) -> None:
    """Write one JSON row file."""
    row = {
        "claim": claim, "runs": runs, "command": f"python benchmarks/gym_cards.py {arguments.what} --upstream RL4VLM/gym-cards",
        "load": os.getloadavg(), "date": time.strftime("%Y-%m-%d"), "processor": processor_name(), "commit": commit(ROOT),
        "versions": versions(("vldac", "numpy", "gymnasium", "pillow")),
    }  # fmt: skip
    (arguments.out or RESULTS).mkdir(parents=True, exist_ok=True)
    path = (arguments.out or RESULTS) / f"{name}.json"
    path.write_text(json.dumps(row, indent=1) + "\n")
    print(f"{'holds' if claim['holds'] else 'DOES NOT HOLD'}: {path}")


def main() -> int:
    """Run one comparison and return 0 if its claim holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("parity", "speed"))
    parser.add_argument("--upstream", type=Path, required=True, help="folder of upstream's gym-cards")
    parser.add_argument("--transitions", type=int, default=100_000, help="per game")
    parser.add_argument("--images", type=int, default=500, help="per game")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--steps", type=int, default=1000, help="vector steps of one repeat of ours")
    parser.add_argument("--num-envs", type=int, default=8)
    parser.add_argument("--out", type=Path, help="folder of the row (default: benchmarks/results)")
    arguments = parser.parse_args()
    return 0 if {"parity": parity, "speed": speed}[arguments.what](arguments) else 1


if __name__ == "__main__":
    sys.exit(main())
