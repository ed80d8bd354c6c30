"""How far the shop's rule for the nouns of titles agrees with spaCy's en_core_web_sm, which upstream asks, and what that changes.

    pip install spacy && python -m spacy download en_core_web_sm
    python benchmarks/webshop_nouns.py                              # titles of the shipped shop, half a minute; a row in results
    python benchmarks/webshop_nouns.py --data WebShop/data          # of real files
    python benchmarks/webshop_nouns.py --write nouns.json           # a table for the setting that names one, made by spaCy
    python benchmarks/webshop_nouns.py --table nouns.json           # against a table instead of spaCy

A table is JSON, {asin: [noun, ...]}, lower case, in order, with repeats. Precision and recall are of tokens (multisets, summed over
titles); `r_type` is the reward's factor that nouns decide, compared for products that an agent may buy for a goal: the 50 that its
instruction finds, and 50 drawn at random. Exit code 2, without figures, where spaCy or its model is missing.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vldac.envs.webshop.files import shipped_shop
from webshop_oracle import open_shop

from vldac import _core
from vldac.provenance import commit, processor_name, versions

ROOT = Path(__file__).resolve().parent.parent
MODEL = "en_core_web_sm"
TAGS = ("PNOUN", "NOUN", "PROPN")  # as upstream has them; there is no PNOUN
PER_GOAL = 50
Nouns = Mapping[str, list[str]]


class MissingError(Exception):
    """What is needed for figures is not here."""


def nouns_of_spacy(names: Mapping[str, str], model: str) -> tuple[dict[str, list[str]], str]:
    """Return the nouns that spaCy finds in names, by asin, and which spaCy it was."""
    if importlib.util.find_spec("spacy") is None:
        raise MissingError("spaCy is not installed: pip install spacy, or compare with a table (--table).")
    spacy = importlib.import_module("spacy")
    try:
        tagger = spacy.load(model, exclude=["ner", "lemmatizer"])
    except OSError as error:
        raise MissingError(
            f"spaCy's model {model} is missing: python -m spacy download {MODEL}, or compare with a table (--table)."
        ) from error
    texts = tagger.pipe(names.values(), batch_size=64)
    found = [[token.text.lower() for token in text if token.pos_ in TAGS] for text in texts]
    label = f"spaCy {spacy.__version__}, {tagger.meta['lang']}_{tagger.meta['name']} {tagger.meta['version']}"
    return dict(zip(names, found, strict=True)), label


def nouns_of_table(names: Mapping[str, str], file: Path) -> dict[str, list[str]]:
    """Return the nouns of a table; products that it lacks are left out."""
    table = json.loads(file.read_text(encoding="utf-8"))
    is_table = isinstance(table, dict) and all(
        isinstance(words, list) and all(isinstance(word, str) for word in words) for words in table.values()
    )
    if not is_table:
        raise MissingError(f"{file} is no table of nouns: it should hold {{asin: [noun, ...]}}.")
    return {asin: table[asin] for asin in names if asin in table}


def token_figures(ours: Nouns, theirs: Nouns) -> dict[str, Any]:
    """Return precision and recall of our nouns, how many titles are equal, and which words differ most."""
    shared = found = wanted = equal = equal_sets = 0
    extra, lacking = Counter[str](), Counter[str]()
    for asin, their_words in theirs.items():
        a, b = Counter(ours[asin]), Counter(their_words)
        shared, found, wanted = shared + (a & b).total(), found + a.total(), wanted + b.total()
        equal, equal_sets = equal + (a == b), equal_sets + (set(a) == set(b))
        extra.update(a - b)
        lacking.update(b - a)
    return {
        "titles": len(theirs), "nouns_of_rule": found, "nouns_of_reference": wanted,
        "precision": shared / found if found else None, "recall": shared / wanted if wanted else None,
        "titles_equal": equal / len(theirs), "titles_equal_as_sets": equal_sets / len(theirs),
        "titles_without_nouns": {
            "rule": sum(not ours[asin] for asin in theirs), "reference": sum(not words for words in theirs.values()),
        },
        "most_often_extra": dict(extra.most_common(15)), "most_often_lacking": dict(lacking.most_common(15)),
    }  # fmt: skip


def type_figures(catalogue: _core.WebshopCatalogue, ours: Nouns, theirs: Nouns, seed: int) -> dict[str, Any]:
    """Return for how many (goal, product) pairs r_type differs."""
    goals, rng = _core.WebshopGoals(catalogue), random.Random(seed)
    products = {product["asin"]: product for product in map(catalogue.product, range(len(catalogue)))}
    asins, runs = list(theirs), {}
    pairs: dict[str, list[tuple[dict[str, Any], str]]] = {"found by the instruction": [], "drawn": []}
    for number in range(len(goals)):
        goal = goals.goal(number)
        if goal["asin"] not in theirs:
            continue
        found = [asin for asin, _ in catalogue.search(goal["instruction_text"], PER_GOAL) if asin in theirs]
        pairs["found by the instruction"] += [(goal, asin) for asin in found]
        pairs["drawn"] += [(goal, asin) for asin in rng.sample(asins, min(PER_GOAL, len(asins)))]
    for name, rows in pairs.items():
        counts = Counter((_type(products, ours, *row), _type(products, theirs, *row)) for row in rows)
        different = sum(count for (a, b), count in counts.items() if a != b)
        runs[name] = {
            "pairs": len(rows), "different": different, "share": different / len(rows) if rows else None,
            "rule -> reference": {f"{a} -> {b}": count for (a, b), count in sorted(counts.items())},
        }  # fmt: skip
    return runs


def _type(products: Mapping[str, dict[str, Any]], nouns: Nouns, goal: dict[str, Any], asin: str) -> float:
    product = products[asin] | {"attributes": [], "bullets": [], "description": ""}  # of no account to r_type
    wanted = goal | {"attributes": [], "goal_options": []}
    parts = _core.webshop_reward(product, wanted, 0.0, [], nouns[asin], nouns[goal["asin"]])
    return float(parts["r_type"])


def _command(arguments: argparse.Namespace) -> str:
    """Return the command without folders of this machine."""
    options = {"--data": arguments.data, "--table": arguments.table}
    if arguments.model != MODEL:
        options["--model"] = Path(arguments.model)
    return " ".join(
        ["python benchmarks/webshop_nouns.py", *(f"{name} {path.name}" for name, path in options.items() if path)]
    )


def main(argv: list[str] | None = None) -> int:
    """Compare, print, write the row; or write a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of upstream's three files (default: the shipped shop)")
    parser.add_argument("--table", type=Path, help="nouns by asin to compare with, instead of spaCy's")
    parser.add_argument("--write", type=Path, help="write spaCy's nouns to this file, and compare nothing")
    parser.add_argument("--model", default=MODEL, help="name or folder of spaCy's model")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results", help="folder of the row")
    arguments = parser.parse_args(argv)
    catalogue = open_shop(arguments.data or shipped_shop())
    names = {product["asin"]: product["name"] for product in map(catalogue.product, range(len(catalogue)))}
    try:
        if arguments.table and not arguments.write:
            theirs, reference = nouns_of_table(names, arguments.table), f"table {arguments.table.name}"
        else:
            theirs, reference = nouns_of_spacy(names, arguments.model)
    except (MissingError, OSError, json.JSONDecodeError) as error:
        print(error, file=sys.stderr)
        return 2
    if arguments.write:
        rows = (f"{json.dumps(asin)}: {json.dumps(words, ensure_ascii=False)}" for asin, words in theirs.items())
        arguments.write.write_text("{\n" + ",\n".join(rows) + "\n}\n", encoding="utf-8")
        print(f"{len(theirs)} titles, {sum(map(len, theirs.values()))} nouns by {reference}: {arguments.write}")
        return 0
    if not theirs:
        print(f"{arguments.table} names no product of this shop.", file=sys.stderr)
        return 2
    ours = {asin: _core.webshop_nouns(name) for asin, name in names.items()}
    tokens, types = token_figures(ours, theirs), type_figures(catalogue, ours, theirs, arguments.seed)
    row = {
        "reference": reference, "shop": arguments.data.name if arguments.data else "shipped", "tokens": tokens, "r_type": types,
        "command": _command(arguments), "load": os.getloadavg(), "date": time.strftime("%Y-%m-%d"),
        "processor": processor_name(), "commit": commit(ROOT), "versions": versions(("vldac", "numpy", "spacy")),
    }  # fmt: skip
    path = arguments.out / "webshop_nouns.json"
    path.write_text(json.dumps(row, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(
        f"{reference}: precision {tokens['precision']}, recall {tokens['recall']}, equal titles {tokens['titles_equal']}"
    )
    print(", ".join(f"r_type differs for {run['share']} of pairs {name}" for name, run in types.items()), f"({path})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
