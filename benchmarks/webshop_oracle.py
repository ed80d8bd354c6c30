"""How well scripted shoppers do on every goal of the shipped shop: one that reads the goal's fields, and the rule that is the floor.

    python benchmarks/webshop_oracle.py          # 5,758 goals, 4 and 10 products a page, ours and compat; seconds

The oracle searches the product's name, leafs to the product, chooses the wanted options and buys; the rule searches the instruction
and buys the first product as it is (the rule baseline of the WebShop paper, which reports a score of 45.6 and a success of 9.6 on
its own catalogue). Score is 100 times the mean reward, success the share of rewards of exactly 1. Nouns of titles come from the rule
(webshop_nouns.py). A row goes to benchmarks/results. Exit code 1 if the oracle is paid in full on less than 99 % of any set of goals.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from vldac.envs.webshop.agents import OracleShopper, RuleShopper, shop
from vldac.envs.webshop.files import ATTRIBUTES_FILE, INSTRUCTIONS_FILE, PRODUCTS_FILE, shipped_shop

from vldac import _core
from vldac.metrics import wilson_interval
from vldac.provenance import commit, processor_name, versions

ROOT = Path(__file__).resolve().parent.parent
CLAIM = 0.99
MAX_STEPS = 50
SHOPPERS = {"oracle": OracleShopper, "rule": RuleShopper}


def open_shop(folder: Path) -> _core.WebshopCatalogue:
    """Return the catalogue of a folder of upstream's three files."""
    with tempfile.TemporaryDirectory() as store:
        file = str(Path(store) / "shop.store")
        _core.webshop_build(
            str(folder / PRODUCTS_FILE), str(folder / ATTRIBUTES_FILE), file, human=str(folder / INSTRUCTIONS_FILE)
        )
        return _core.WebshopCatalogue(file)  # mapped: it stays when the file goes


def play(session: _core.WebshopSession, num_goals: int, name: str) -> dict[str, Any]:
    """Let a shopper try every goal once."""
    rewards, steps, failed = np.zeros(num_goals), np.zeros(num_goals, np.int64), []
    look = lambda: (session.clickables(), session.has_search_bar)  # noqa: E731
    for number in range(num_goals):
        session.reset(number)
        goal = session.goal
        rewards[number], steps[number] = shop(SHOPPERS[name](goal), session.step, look, max_steps=MAX_STEPS)
        if rewards[number] != 1.0:
            failed.append(goal["asin"])
    full = int((rewards == 1.0).sum())
    return {
        "score": 100 * float(rewards.mean()), "success": full / num_goals, "success_ci": list(wilson_interval(full, num_goals)),
        "zero": float((rewards == 0.0).mean()), "steps_mean": float(steps.mean()), "steps_max": int(steps.max()),
        "within_15_steps": float((steps <= 15).mean()),
    } | ({"failed_asins": failed} if name == "oracle" else {})  # fmt: skip


def main() -> int:
    """Play all sets of goals, print, write the row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shop", type=Path, help="folder of the three files (default: the shipped shop)")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results", help="folder of the row")
    arguments = parser.parse_args()
    catalogue, runs = open_shop(arguments.shop or shipped_shop()), []
    for human, compat, page_size in itertools.product((True, False), (False, True), (10, 4)):
        goals = _core.WebshopGoals(catalogue, human=human, compat=compat)
        session = _core.WebshopSession(goals, page_size=page_size, compat=compat)
        facts = {"goals": "human" if human else "synthetic", "compat": compat, "page_size": page_size}
        results = {name: play(session, len(goals), name) for name in SHOPPERS}
        runs.append(facts | {"num_goals": len(goals)} | results)
        shown = "  ".join(f"{name} {row['score']:.1f} / {100 * row['success']:.1f}" for name, row in results.items())
        print(f"{len(goals)} goals, {facts}: score / success {shown}", flush=True)
    holds = all(run["oracle"]["success"] >= CLAIM for run in runs)
    row = {
        "claim": {"oracle_success_min": CLAIM, "holds": holds}, "runs": runs, "nouns": "rule", "max_steps": MAX_STEPS,
        "shop": arguments.shop.name if arguments.shop else "shipped", "command": "python benchmarks/webshop_oracle.py",
        "load": os.getloadavg(), "date": time.strftime("%Y-%m-%d"), "processor": processor_name(), "commit": commit(ROOT),
        "versions": versions(("vldac", "numpy")),
    }  # fmt: skip
    path = arguments.out / "webshop_oracle.json"
    path.write_text(json.dumps(row, indent=1) + "\n", encoding="utf-8")
    print(f"{'holds' if holds else 'DOES NOT HOLD'}: {path}")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
