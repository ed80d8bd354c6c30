"""Pages of the shop, drawn by the extension and by headless Chromium from the same HTML: how many a second, and how many tokens.

    python benchmarks/webshop_pages.py                  # rates: one thread, a minute
    python benchmarks/webshop_pages.py tokens           # a few minutes
    python benchmarks/webshop_pages.py --out .

tokens: vision tokens that Qwen2-VL makes of whole pages, 512 pixels wide, of walks through the shipped shop (webshop_tokens.py), each
at most 5 percent from those of Chromium's screenshot; row webshop_tokens.json.

rates: the same pages on both sides: results of 4 and of 10 products, an item with options, a start page, an item's features. Both are
measured in turn, several rounds in one run; the median round counts. Chromium gets set_content and a PNG screenshot, decoded,
as a rollout would need it; its processes may use every core, ours is one thread. A row goes to benchmarks/results. Exit code 1 if
the claim (300 pages a second at 512x896 on one core) does not hold.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import webshop_tokens
from vldac.envs.webshop.browser import PageBrowser, page_html

from vldac._core import WebshopPage, WebshopPainter
from vldac.errors import EnvError
from vldac.provenance import commit, processor_name, versions

ROOT = Path(__file__).resolve().parent.parent
CLAIM_PAGES_S, CLAIM_TOKENS = 300.0, 0.05
GOAL = "find a women's long sleeve shirt in heather grey, machine washable, size x-large, and price lower than 40.00 dollars"
TITLE = (
    "Cove and Pine Women's Long-Sleeve Crewneck Shirt - Soft Heather Jersey, Machine Washable (Regular/Tall), Number"
)


def pages() -> dict[str, WebshopPage]:
    """Return the pages by name."""
    made = {"start": WebshopPage("index"), "item": WebshopPage("item"), "features": WebshopPage("item_sub")}
    made["start"].add("heading", "WebShop")
    for page in made.values():
        page.add("instruction", GOAL)
    made["start"].add("search_bar", "Search...")
    made["start"].add("button", "Search")
    for name in ("item", "features"):
        made[name].add("button", "Back to Search")
        made[name].add("button", "< Prev")
    item = made["item"]
    item.add("image", product="B000000000", choices=[("fashion", False), ("navy", True)])
    item.add(
        "options",
        "color",
        choices=[(color, color == "navy") for color in ("black", "heather grey", "navy", "white", "red")],
    )
    item.add("options", "size", choices=[(size, False) for size in ("small", "medium", "large", "x-large", "xx-large")])
    item.add("heading", TITLE)
    item.add("price", "Price: $29.99")
    item.add("text", "Rating: N.A.")
    for label in ("Description", "Features", "Reviews", "Buy Now"):
        item.add("button", label)
    made["features"].add("list", "\n".join(f"{TITLE} {i}" for i in range(8)))
    for count in (4, 10):
        page = made[f"results of {count}"] = WebshopPage("results")
        page.add("instruction", GOAL)
        page.add("button", "Back to Search")
        page.add("page_number", "Page 1 (Total results: 50)")
        page.add("button", "Next >")
        for i in range(count):
            page.add("link", f"B{i:09}")
            page.add("image", product=f"B{i:09}", choices=[("fashion", False)])
            page.add("heading", f"{TITLE} {i}")
            page.add("price", "$29.99 to $39.99")
    return made


def rate(work: Callable[[], object], seconds: float) -> float:
    """Return calls per second."""
    count, start = 0, time.perf_counter()
    while (passed := time.perf_counter() - start) < seconds:
        work()
        count += 1
    return count / passed


def measure(rounds: int, seconds: float, width: int, height: int) -> dict[str, Any]:
    """Return rates by page: ours, text, text_rich, HTML, Chromium's."""
    browser: PageBrowser | None
    try:
        browser = PageBrowser(width=width, height=height)
    except EnvError as error:
        print(f"Chromium is left out: {error.got}", file=sys.stderr)
        browser = None
    result: dict[str, Any] = {}
    for name, page in pages().items():
        painter, html = WebshopPainter(), page_html(page, css_width=width)
        painter.draw(page, width, height)

        def shoot(html: str = html) -> None:
            assert browser is not None
            browser.show(html)
            browser.screenshot()

        def draw(painter: WebshopPainter = painter, page: WebshopPage = page) -> None:
            painter.draw(page, width, height)

        works: dict[str, Callable[[], object]] = {
            "drawn": draw,
            "text": page.text,
            "text_rich": page.text_rich,
            "html": page.html,
        }
        if browser is not None:
            works["chromium"] = shoot
        rates: dict[str, list[float]] = {kind: [] for kind in works}
        for _ in range(rounds):
            for kind, work in works.items():
                rates[kind].append(rate(work, seconds))
        result[name] = {kind: round(statistics.median(values), 1) for kind, values in rates.items()} | {
            "zoom": painter.zoom
        }
    if browser is not None:
        result["chromium_version"] = browser.version
        browser.close()
    return result


def rates_row(arguments: argparse.Namespace) -> tuple[bool, dict[str, Any]]:
    """Measure rates and print them; return whether the claim holds, and what the row says."""
    width, height = map(int, arguments.size.split("x"))
    result = measure(arguments.rounds, arguments.seconds, width, height)
    rates = {name: row for name, row in result.items() if isinstance(row, dict)}
    for name, row in rates.items():
        print(f"{name:14} " + "  ".join(f"{kind} {value:,.0f}/s" for kind, value in row.items() if kind != "zoom"))
    slowest = min(row["drawn"] for row in rates.values())
    holds = slowest >= CLAIM_PAGES_S
    print(f"slowest page: {slowest:,.0f}/s")
    claim = {"pages_per_s_core_min": CLAIM_PAGES_S, "holds": holds}
    return holds, {"claim": claim, "size": arguments.size, "slowest_pages_per_s": slowest, "runs": result}


def tokens_row(arguments: argparse.Namespace) -> tuple[bool, dict[str, Any]]:
    """Count tokens and print them; return whether the claim holds, and what the row says."""
    width = int(arguments.size.split("x")[0])
    result = webshop_tokens.measure(arguments.goals, width)
    for name, row in result["kinds"].items():
        print(
            f"{name:14} {row['pages']} pages, {row['tokens_median']:g} tokens, {row['pages_with_other_tokens']} differ, "
            f"at most {row['largest_relative_difference']:.1%}"
        )
    holds = all(row["largest_relative_difference"] <= CLAIM_TOKENS for row in result["kinds"].values())
    claim = {"largest_relative_difference_max": CLAIM_TOKENS, "holds": holds}
    return holds, {"claim": claim, "width": width, "goals": arguments.goals, "runs": result}


def main() -> int:
    """Measure, print, write the row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=("rates", "tokens"), default="rates")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.4, help="of each measurement")
    parser.add_argument("--goals", type=int, default=20, help="whose pages are counted, for each page size")
    parser.add_argument("--size", default="512x896")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results", help="folder of the row")
    arguments = parser.parse_args()
    holds, row = rates_row(arguments) if arguments.what == "rates" else tokens_row(arguments)
    command = "python benchmarks/webshop_pages.py" + (" tokens" if arguments.what == "tokens" else "")
    row |= {
        "command": command, "load": os.getloadavg(), "date": time.strftime("%Y-%m-%d"), "processor": processor_name(),
        "commit": commit(ROOT), "versions": versions(("vldac", "numpy", "pillow", "playwright")),
    }  # fmt: skip
    path = arguments.out / ("webshop_pages.json" if arguments.what == "rates" else "webshop_tokens.json")
    path.write_text(json.dumps(row, indent=1) + "\n", encoding="utf-8")
    print(f"{'holds' if holds else 'DOES NOT HOLD'}: {path}")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
