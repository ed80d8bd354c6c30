"""Writes tests/envs/webshop/golden: a small shop full of oddities, and what upstream makes of it.

    python benchmarks/webshop_parity.py golden --upstream WebShop --oracle-python upstream-venv/bin/python

So that the tests need neither upstream nor thefuzz. Review the difference as code.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from vldac.envs.webshop.catalogue_maker import Product, make_products
from vldac.envs.webshop.files import write_catalogue
from webshop_hard import hard_products
from webshop_peer import Oracle
from webshop_upstream import nouns_by_rule

GOLDEN = Path(__file__).resolve().parent.parent / "tests" / "envs" / "webshop" / "golden"
SEED = 20
NUM_HARD = 20
NUM_GENERATED, NUM_PAIRS, NUM_REWARDS, NUM_EPISODES = 30, 1000, 200, 8
ODD_PAIRS = (
    ("", ""), ("", "a"), ("!!!", "a"), ("A-B c", "a b c"), ("a_b", "a b"), ("caf\u00e9", "caf"), ("\u4e2d\u6587", "\u4e2d"),
    ("('color', 'navy blue')", "blue"), ("red red red", "red"), ("  a   b ", "b a"), ("18\" x 18\"", "18 x 18"),
    ("abc " * 60, "abc " * 61), ("ab" * 120, "ba" * 130), ("x" * 250, "x" * 240 + " y"), ("easy use", "easy to use"),
    ("\u0130stanbul", "istanbul"), ("stra\u00dfe", "strasse"), ("\u00aa\u00b5\u00ba", "\u00b5"),
    ("9.5 women | 8 men", "9.5 women/8 men"),
)  # fmt: skip


def write(oracle: Oracle) -> None:
    """Write every golden file."""
    folder = GOLDEN / "shop"
    write_catalogue(folder, [*make_products(NUM_GENERATED, seed=SEED), *_odd_products()], overwrite=True)
    scores = oracle.ask("ratio", pairs=ODD_PAIRS)
    file = GOLDEN / "ratio.part"
    oracle.ask("pairs", file=str(file), seed=SEED, count=NUM_PAIRS)
    pairs = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    file.unlink()
    _save("ratio", [*([*pair, score] for pair, score in zip(ODD_PAIRS, scores, strict=True)), *pairs])
    goals: dict[str, Any] = {"seed": SEED}
    rng = random.Random(SEED)
    for kind in ("synthetic", "human"):
        oracle.load(folder, human=kind == "human", seed=SEED)
        goals[kind], goals[f"{kind}_prices"] = oracle.goals, oracle.prices
        calls = [oracle.draw_reward_call(rng) for _ in range(NUM_REWARDS // 2)]
        answers = oracle.ask("reward", calls=calls)
        goals[f"{kind}_rewards"] = [
            {"call": call, "reward": answer} for call, answer in zip(calls, answers, strict=True)
        ]
    _save("reward", [row for kind in ("synthetic", "human") for row in goals.pop(f"{kind}_rewards")])
    _save("goals", goals)
    oracle.ask("nouns", table={})
    odd = [number for number, goal in enumerate(oracle.goals) if goal["asin"].startswith("ODD")]
    numbers = [rng.choice(odd if turn % 2 else range(len(oracle.goals))) for turn in range(NUM_EPISODES)]
    _save_episodes("episodes", oracle, rng, numbers)
    write_catalogue(GOLDEN / "hard", hard_products(SEED, NUM_HARD), overwrite=True)
    oracle.load(GOLDEN / "hard", human=True, seed=SEED, attributes_page=True)
    _save_episodes("hard_episodes", oracle, rng, [rng.randrange(NUM_HARD) for _ in range(NUM_EPISODES)])
    queries = [
        "potato chips",
        "women's running shoes",
        "EASY to assemble, wood-frame",
        "the",
        "",
        "zzz",
        '18" x 18"',
        "caf\u00e9",
        "a.b.c 3.5 1,000",
    ]
    _save("search", {length: _found(oracle, folder, length, queries) for length in ("exact", "lucene")})


def _save_episodes(name: str, oracle: Oracle, rng: random.Random, numbers: list[int]) -> None:
    episodes: dict[str, Any] = {"nouns": {asin: nouns_by_rule(name) for asin, name in oracle.names.items()}}
    for turn, number in enumerate(numbers):
        episode = oracle.play(rng, number)
        episodes[str(turn)] = {"goal": number, "actions": episode.actions, "seen": episode.seen}
    _save(name, episodes)


def _found(oracle: Oracle, folder: Path, length: str, queries: list[str]) -> list[dict[str, Any]]:
    oracle.load(folder, human=True, seed=SEED, length=length)
    return [{"query": query, "asins": oracle.ask("search", query=query, k=50)} for query in queries]


def _save(name: str, value: Any) -> None:
    """Write a list with one item a line, anything else with one entry a line."""
    if isinstance(value, list):
        text = "[\n" + ",\n".join(json.dumps(item, ensure_ascii=False) for item in value) + "\n]\n"
    else:
        rows = (f"{json.dumps(key)}: {json.dumps(item, ensure_ascii=False)}" for key, item in value.items())
        text = "{\n" + ",\n".join(rows) + "\n}\n"
    (GOLDEN / f"{name}.json").write_text(text, encoding="utf-8")


def _odd_products() -> list[Product]:
    """Return products with everything that upstream accepts and a loader may stumble over."""
    prices = ["$1,299.00", "$5.00 - $7.50", None, "", "$9.99$19.99$29.99", "$985.10", "$980", "$0.5"]
    products = [_odd_product(number, pricing) for number, pricing in enumerate(prices)]
    for number, asin in (
        (1, products[0].asin),
        (2, "TOOLONGASIN1"),
        (3, "nan"),
    ):  # a duplicate, and two that upstream drops
        bad = _odd_product(90 + number, "$1.00")
        products.append(
            Product(row=bad.row | {"asin": asin, "name": f"dropped {number}"}, attributes={}, instructions=[])
        )
    return products


def _odd_product(number: int, pricing: str | None) -> Product:
    options: Any = {
        "Color": [{"value": " Navy/Blue ", "image": "a.png"}, {"value": "features"}, {"value": "Red & \"Gold\" <b>", "image": None}],
        "SIZE": [{"value": "features"}, {"value": "5' x 8'"}, {"value": "5' x 8'"}, {"value": "caf\u00e9 \u2013 \u4e2d"}],
        "Null": None,
    }  # fmt: skip
    if number == 6:
        options["Empty"] = []  # leaves the product without synthetic goals
    name = ["<script>alert('x')</script> Rug & \"Mat\"", "  Caf\u00e9 au lait \u2122 \U0001f600 mug  ", "Desk"][
        number % 3
    ]
    asin = f"ODD{number:02}"
    row = {
        "asin": asin, "name": name, "full_description": "Tom's  <b>best</b>\nrug &amp; mat.\t(U.S.A.) 3.5in" if number % 2 else "",
        "small_description": "one text" if number == 3 else ["First <li>", "  second  ", ""], "pricing": pricing,
        "images": [f"{asin}.png", "second.png"], "category": "garden", "query": "  Area RUGS ",
        "product_category": "Home \u203a Rugs\u203aHome \u203a" if number % 2 else "Rugs",
        "extra": {"deep": [1, 2.5e3, None, True, "\u00e9"]},
        "customization_options": {} if number == 4 else options if number else "",
    }  # fmt: skip
    if pricing is None:
        del row["pricing"]
    entry = {
        "attributes": ["stain resistant", "Non-Slip"],
        "instruction": f"Find me rug {number}",
        "instruction_attributes": ["non slip"],
    }
    instruction = {
        "asin": asin, "instruction": f".i want rug {number}, caf\u00e9...",
        "instruction_attributes": ["stain resistant", "tom's  <b>best"],
        "instruction_options": ["navy | blue", "5' x 8'"],
    }  # fmt: skip
    skipped = instruction | {"instruction_attributes": []}
    return Product(row=row, attributes=entry if number != 5 else {}, instructions=[instruction, skipped])


__all__ = ["GOLDEN", "write"]
