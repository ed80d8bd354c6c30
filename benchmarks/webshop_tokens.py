"""How many vision tokens a page costs, drawn by the extension and by Chromium: `python benchmarks/webshop_pages.py tokens`."""

from __future__ import annotations

import itertools
import random
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vldac.envs.webshop.browser import PageBrowser, page_html
from vldac.envs.webshop.files import shipped_shop, write_catalogue
from webshop_hard import hard_products
from webshop_oracle import open_shop

from vldac import _core
from vldac.vision import ImageSpec, smart_resize

QWEN2_VL = ImageSpec(
    patch_size=14, merge_size=2, temporal_patch_size=2, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), min_pixels=56 * 56,
    max_pixels=28 * 28 * 16_384,
)  # fmt: skip
"""As Qwen2-VL's checkpoints have it; mean and std do not decide sizes."""


def tokens(height: int, width: int) -> int:
    """Return how many vision tokens Qwen2-VL makes of a picture: one per 28x28 pixels of the resized one."""
    new_height, new_width = smart_resize(height, width, QWEN2_VL)
    return new_height // QWEN2_VL.factor * (new_width // QWEN2_VL.factor)


def walk(num_goals: int, page_size: int, seed: int) -> Iterator[tuple[str, _core.WebshopPage]]:
    """Yield pages of the shipped shop by kind: of each goal a start page, results, an item, its sub pages, the last page."""
    rng = random.Random(seed)
    goals = _core.WebshopGoals(open_shop(shipped_shop()))
    session = _core.WebshopSession(goals, page_size=page_size)
    for number in rng.sample(range(len(goals)), num_goals):
        session.reset(number)
        yield "start", session.page()
        session.step(f"search[{session.goal['instruction_text']}]")
        yield f"results of {page_size}", session.page()
        session.step("click[Next >]")
        yield f"results of {page_size}", session.page()
        shown = [name for name in session.clickables() if name in session.results]
        session.step(f"click[{rng.choice(shown)}]")
        yield "item", session.page()
        for name in ("Description", "Features", "Reviews"):
            session.step(f"click[{name}]")
            yield name.lower(), session.page()
            session.step("click[< Prev]")
        session.step("click[Buy Now]")
        yield "done", session.page()


def walk_hard(num_goals: int, seed: int) -> Iterator[tuple[str, _core.WebshopPage]]:
    """Yield pages of a shop of difficult text: markup, blanks of all kinds, letters outside the font."""
    with tempfile.TemporaryDirectory() as folder:
        write_catalogue(Path(folder), hard_products(seed, num_goals))
        goals = _core.WebshopGoals(open_shop(Path(folder)))
    session = _core.WebshopSession(goals, page_size=4, show_attributes=True)
    for number in range(num_goals):
        session.reset(number)
        for action in ("search[rug mat blue]", "click[{}]", "click[Features]", "click[< Prev]", "click[Attributes]"):
            session.step(action.format(session.results[number % len(session.results)] if session.results else ""))
            yield "difficult text", session.page()


def measure(num_goals: int, width: int, seed: int = 1) -> dict[str, Any]:
    """Return tokens of whole pages by kind, on both sides, and the largest relative difference."""
    painter, found = _core.WebshopPainter(), dict[str, list[tuple[int, int, int, int]]]()
    # A whole-page screenshot is never lower than the window.
    with PageBrowser(width=width, height=28) as browser:
        walks = walk(num_goals, 4, seed), walk(num_goals, 10, seed), walk_hard(num_goals, seed)
        for kind, page in itertools.chain(*walks):
            drawn = painter.draw(page, width, 0)
            browser.show(page_html(page, css_width=width))
            shot = browser.screenshot(full_page=True)
            heights = drawn.shape[0], shot.shape[0]
            found.setdefault(kind, []).append((*heights, *(tokens(height, width) for height in heights)))
        version = browser.version
    kinds = {}
    for kind, rows in found.items():
        ours, theirs = ([row[side] for row in rows] for side in (2, 3))
        pairs = list(zip(ours, theirs, strict=True))
        kinds[kind] = {
            "pages": len(rows), "tokens_min": min(ours), "tokens_median": statistics.median(ours), "tokens_max": max(ours),
            "chromium_tokens_median": statistics.median(theirs), "pages_with_other_tokens": sum(a != b for a, b in pairs),
            "largest_relative_difference": max(abs(a - b) / b for a, b in pairs),
            "largest_difference_in_height_pixels": max(abs(a - b) for a, b, _, _ in rows),
            "total_ratio": sum(ours) / sum(theirs),
        }  # fmt: skip
    return {"kinds": kinds, "chromium_version": version}


__all__ = ["measure", "tokens", "walk"]
