"""WebShop beside its upstream, princeton-nlp/WebShop, which is not part of this repository.

    git clone https://github.com/princeton-nlp/WebShop
    python -m venv upstream-venv
    upstream-venv/bin/pip install thefuzz==0.19.0 beautifulsoup4==4.11.1 flask==2.1.2 "werkzeug<2.2" tqdm rich rank_bm25 bm25s numpy
    python benchmarks/webshop_parity.py WHAT --upstream WebShop --oracle-python upstream-venv/bin/python

ratio   token-set ratio of 1,000,000 pairs, half of them scored 80 to 90, against thefuzz 0.19.0 without python-Levenshtein
search  best 50 of 2,000 queries against BM25 in plain Python (exact and Lucene's lengths), and its scores against bm25s
goals   all goals, human and synthetic, in upstream's order, with every field, and 1,000 draws, for several seeds of the process
reward  200,000 direct calls, with the same noun lists on both sides
pages   2,000 episodes: text, rich text, clickables, reward and end of every page; 200 more with the page of attributes and 4 products
        a page, 200 more in ten shops of difficult text
golden  writes the files that the tests compare with, so that they need neither upstream nor thefuzz

Both sides read the same files (--shop, or the shipped shop); ours runs in compat mode. Rows go to
benchmarks/results/webshop_parity_*.json. Exit code 1 if a claim does not hold.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import webshop_golden
from vldac.envs.webshop.files import shipped_shop, write_catalogue
from webshop_bm25 import Index
from webshop_hard import hard_products
from webshop_ours import Ours, ratio
from webshop_peer import Oracle

from vldac.provenance import commit, processor_name, versions

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
COUNTS = {"ratio": 1_000_000, "search": 2_000, "goals": 5, "reward": 200_000, "pages": 2_000, "golden": 0}
REWARD_BATCH, DRAWS = 2_000, 1_000
HARD_SHOPS, HARD_PRODUCTS = 10, 25
GOAL_FIELDS = (
    "asin",
    "category",
    "query",
    "name",
    "product_category",
    "instruction_text",
    "attributes",
    "price_upper",
    "goal_options",
    "weight",
)


class Differences:
    """Counts comparisons and keeps the first few that differ."""

    def __init__(self) -> None:
        self.compared, self.different, self.first = 0, 0, list[Any]()

    def compare(self, ours: Any, theirs: Any, *what: Any) -> bool:
        """Note one comparison; `what` says of what. Returns whether both are equal."""
        self.compared += 1
        if ours == theirs:
            return True
        self.different += 1
        if len(self.first) < 5:
            self.first.append({"of": what, "ours": ours, "upstream": theirs})
        return False

    def facts(self) -> dict[str, Any]:
        """Return the counts as a row has them."""
        return {
            "compared": self.compared,
            "different": self.different,
            "first": self.first,
            "is_met": not self.different,
        }


def compare_ratio(oracle: Oracle, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Compare the ratio of pairs, which are kept in --keep for the next run."""
    file = arguments.keep / f"pairs-{arguments.seed}-{arguments.count}.jsonl"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(".part")
        oracle.ask("pairs", file=str(part), seed=arguments.seed, count=arguments.count)
        part.rename(file)
    scores, decisions, kinds = Differences(), Differences(), Counter[str]()
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            first, second, theirs = json.loads(line)
            ours = ratio(first, second)
            scores.compare(ours, theirs, first, second)
            decisions.compare(ours > 85, theirs > 85, first, second)
            kinds["80 to 90"] += 80 <= theirs <= 90
            kinds["above 85"] += theirs > 85
            kinds["second over 200 characters"] += len(second) >= 200
    return [{"what": "score", **scores.facts(), "pairs": dict(kinds)}, {"what": "decision > 85", **decisions.facts()}]


def compare_search(oracle: Oracle, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Compare the best 50 products of queries made of instructions and names."""
    oracle.load(arguments.shop, human=True, seed=arguments.seed)
    rng, runs, found = random.Random(arguments.seed), [], dict[str, list[list[str]]]()
    queries = [oracle.draw_query(rng) for _ in range(arguments.count)]
    documents = oracle.ask("documents")
    for length in ("exact", "lucene"):
        shop, theirs = Ours(arguments.shop, length=length), Index(documents, length=length)
        differences, found[length] = Differences(), []
        for query in queries:
            found[length].append(shop.search(query, 50))
            differences.compare(found[length][-1], [theirs.ids[place] for place in theirs.search(query, 50)], query)
        runs.append({"what": f"best 50, {length} lengths", **differences.facts()})
    largest = 0.0
    index = Index(documents)
    for query in queries[:200]:
        ours, other = index.scores(query), oracle.ask("bm25s_scores", query=query)
        largest = max(largest, *(abs(ours.get(place, 0.0) - score) for place, score in enumerate(other)))
    what = "scores of the plain BM25 and of bm25s (float32), 200 queries"
    runs.append({"what": what, "largest_difference": largest, "is_met": largest < 1e-4})
    by_id = [[index.ids[place] for place in index.search(query, 50, ties_by_id=True)] for query in queries]
    runs.append(_changes("what Lucene's one-byte lengths change", found["exact"], found["lucene"]))
    runs.append(_changes("what an order of equal scores by asin, as Anserini's, changes", found["exact"], by_id))
    return runs


def _changes(what: str, before: list[list[str]], after: list[list[str]]) -> dict[str, Any]:
    pairs = [(a, b) for a, b in zip(before, after, strict=True) if a]
    return {
        "what": what, "is_met": True, "queries": len(pairs),
        "same_order": sum(a == b for a, b in pairs) / len(pairs), "same_first": sum(a[0] == b[0] for a, b in pairs) / len(pairs),
        "shared_of_first_10": _shared(pairs, 10), "shared_of_first_50": _shared(pairs, 50),
    }  # fmt: skip


def _shared(found: list[tuple[list[str], list[str]]], k: int) -> float:
    return sum(len(set(a[:k]) & set(b[:k])) / len(a[:k]) for a, b in found) / len(found)


def compare_goals(oracle: Oracle, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Compare all goals, field by field, for --count seeds of the process."""
    runs = []
    for human in (True, False):
        differences = Differences()
        for seed in range(arguments.seed, arguments.seed + arguments.count):
            oracle.load(arguments.shop, human=human, seed=seed)
            shop = Ours(arguments.shop, human=human, seed=seed)
            differences.compare(shop.num_goals(), len(oracle.goals), "number of goals", seed)
            for number, theirs in enumerate(oracle.goals[: shop.num_goals()]):
                ours = shop.goal(number)
                for field in GOAL_FIELDS:
                    differences.compare(ours[field], theirs[field], seed, number, field)
            for asin, price in oracle.prices.items():
                differences.compare(shop.price(asin), price, seed, asin, "price")
            for number, (ours, theirs) in enumerate(
                zip(shop.draws(DRAWS), oracle.ask("draws", count=DRAWS), strict=True)
            ):
                differences.compare(ours, theirs, seed, "draw", number)
        runs.append({"what": _kind(human), "goals": len(oracle.goals), **differences.facts()})
    return runs


def compare_reward(oracle: Oracle, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Compare direct calls: half with human, half with synthetic goals."""
    runs = []
    for human in (True, False):
        oracle.load(arguments.shop, human=human, seed=arguments.seed)
        shop, rng = Ours(arguments.shop, human=human, seed=arguments.seed), random.Random(arguments.seed)
        rewards, types, differences = Counter[str](), Counter[str](), Differences()
        left = arguments.count // 2
        while left:
            calls = [oracle.draw_reward_call(rng) for _ in range(min(left, REWARD_BATCH))]
            left -= len(calls)
            for call, (theirs, info) in zip(calls, oracle.ask("reward", calls=calls), strict=True):
                differences.compare(shop.reward(call), theirs, call)
                rewards["1" if theirs == 1 else "0" if theirs == 0 else "between"] += 1
                types[str(info["r_type"])] += 1
        runs.append({"what": _kind(human), **differences.facts(), "rewards": dict(rewards), "r_type": dict(types)})
    return runs


def compare_pages(oracle: Oracle, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Play the same actions on both sides; every page must be equal in full."""
    half, tenth = arguments.count // 2, arguments.count // 10
    runs = [
        _play_episodes(oracle, arguments.shop, arguments.seed, half, human=True),
        _play_episodes(oracle, arguments.shop, arguments.seed, half, human=False),
        _play_episodes(oracle, arguments.shop, arguments.seed, tenth, human=True, attributes_page=True, page_size=4),
    ]
    with tempfile.TemporaryDirectory() as folder:
        for number in range(HARD_SHOPS):
            shop, seed = Path(folder) / str(number), arguments.seed + number
            write_catalogue(shop, hard_products(seed, HARD_PRODUCTS))
            how = {"human": number % 2 == 0, "attributes_page": number % 4 > 1}
            runs.append(
                _play_episodes(oracle, shop, seed, tenth // HARD_SHOPS, **how) | {"shop": f"difficult text, {seed}"}
            )
    return runs


def _play_episodes(
    oracle: Oracle,
    folder: Path,
    seed: int,
    count: int,
    *,
    human: bool,
    attributes_page: bool = False,
    page_size: int = 10,
) -> dict[str, Any]:
    """Play `count` episodes on both sides."""
    oracle.load(folder, human=human, seed=seed, attributes_page=attributes_page, page_size=page_size)
    shop = Ours(folder, human=human, seed=seed, attributes_page=attributes_page, page_size=page_size)
    oracle.ask("nouns", table=shop.nouns(oracle.names.values()))
    rng, differences = random.Random(seed), Differences()
    pages, actions, crashes, rewards = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    for _ in range(count):
        number = int(rng.random() * len(oracle.goals))
        episode = oracle.play(rng, number, after_end=0.1)
        actions.update(episode.kinds)
        crashes.update([episode.crash] if episode.crash else [])
        ours = shop.reset(number)
        for step, theirs in enumerate(episode.seen):
            if step:
                ours = shop.step(episode.actions[step - 1])
            pages[theirs["page"]] += 1
            if theirs["done"]:
                rewards["1" if theirs["reward"] == 1 else "0" if theirs["reward"] == 0 else "between"] += 1
            before = (number, episode.actions[:step])
            if not all([differences.compare(ours[key], theirs[key], key, *before) for key in ours]):
                break
    return {
        "what": _kind(human), "episodes": count, "attributes_page": attributes_page, "page_size": page_size, **differences.facts(),
        "pages": _sorted(pages), "rewards": _sorted(rewards), "actions": _sorted(actions), "upstream_crashes": _sorted(crashes),
    }  # fmt: skip


def _sorted(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items()))


def _kind(human: bool) -> str:
    return "human goals" if human else "synthetic goals"


CLAIMS = {
    "ratio": "0 different scores and 0 different decisions above 85; thefuzz 0.19.0, difflib, half of the pairs scored 80 to 90",
    "search": "the same 50 products in the same order as BM25 in plain Python, k1 0.9, b 0.4, equal scores in document order",
    "goals": "every field of every goal, every price and 1,000 weighted draws equal, in the same order (compat)",
    "reward": "the same double, with the same noun lists on both sides",
    "pages": "text, rich text, clickables in order, search bar, reward and end of every page equal (compat); same nouns, same BM25",
}


def write_row(arguments: argparse.Namespace, oracle: Oracle, runs: list[dict[str, Any]]) -> bool:
    """Write one JSON row file and return whether the claim holds."""
    holds = all(run["is_met"] for run in runs)
    row = {
        "claim": {arguments.what: CLAIMS[arguments.what], "holds": holds}, "runs": runs,
        "command": f"python benchmarks/webshop_parity.py {arguments.what} --count {arguments.count} --seed {arguments.seed} "
        "--upstream WebShop --oracle-python upstream-venv/bin/python",
        "shop": "shipped" if arguments.is_shipped else arguments.shop.name, "upstream": oracle.ask("versions"),
        "seconds": round(time.perf_counter() - arguments.start), "load": os.getloadavg(), "date": time.strftime("%Y-%m-%d"),
        "processor": processor_name(), "commit": commit(ROOT), "versions": versions(("vldac", "numpy")),
    }  # fmt: skip
    folder = arguments.out or RESULTS
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"webshop_parity_{arguments.what}.json"
    path.write_text(json.dumps(row, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{'holds' if holds else 'DOES NOT HOLD'}: {path}")
    return holds


COMPARISONS = {
    "ratio": compare_ratio, "search": compare_search, "goals": compare_goals, "reward": compare_reward, "pages": compare_pages,
}  # fmt: skip


def main() -> int:
    """Run one comparison and return 0 if its claim holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=(*COMPARISONS, "golden"))
    parser.add_argument("--upstream", type=Path, required=True, help="checkout of princeton-nlp/WebShop")
    parser.add_argument(
        "--oracle-python", type=Path, required=True, help="interpreter with thefuzz 0.19.0, flask, beautifulsoup4"
    )
    parser.add_argument("--count", type=int, help="pairs, queries, seeds, calls or episodes (default: as claimed)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--shop", type=Path, help="folder of the three files (default: the shipped shop)")
    parser.add_argument(
        "--keep", type=Path, default=Path("webshop-pairs"), help="folder for scored pairs, which take ten minutes"
    )
    parser.add_argument("--out", type=Path, help="folder of the row (default: benchmarks/results)")
    arguments = parser.parse_args()
    arguments.is_shipped, arguments.start = arguments.shop is None, time.perf_counter()
    arguments.shop = (arguments.shop or shipped_shop()).resolve()
    arguments.keep = arguments.keep.resolve()
    arguments.count = COUNTS[arguments.what] if arguments.count is None else arguments.count
    with Oracle(arguments.oracle_python, arguments.upstream.resolve()) as oracle:
        if arguments.what == "golden":
            webshop_golden.write(oracle)
            return 0
        return 0 if write_row(arguments, oracle, COMPARISONS[arguments.what](oracle, arguments)) else 1


if __name__ == "__main__":
    sys.exit(main())
