"""The page that shows trajectories: self-contained, inert, and usable in a browser."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from tests.seeing.conftest import HOSTILE
from vldac.errors import ConfigError
from vldac.view import write_view

Opened = tuple[Any, list[str], list[str]]
"""A browser's page, the errors in it, and the addresses that it asked for."""


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_a_hostile_response_cannot_inject_markup(viewed_run: Path) -> None:
    text = write_view(viewed_run).read_text(encoding="utf-8")
    parser = _Tags()
    parser.feed(text)
    tags = [tag for tag, _ in parser.tags]
    assert tags.count("script") == 2 and "img" not in tags
    assert text.count("</script>") == 2 and "<script>window" not in text and "\u2028" not in text
    data = re.search(r'id="data">(.*?)</script>', text, re.DOTALL)
    assert data is not None and not set("<>&") & set(data[1])
    steps = [step for episode in json.loads(data[1])["episodes"] for step in episode["steps"]]
    assert sum(step["response"] == HOSTILE for step in steps) == 1
    script = text[text.rindex("<script>") :]
    assert "innerHTML" not in script and "insertAdjacentHTML" not in script and "document.write" not in script


def test_a_hostile_run_name_is_escaped(viewed_run: Path) -> None:
    run = viewed_run / "<img src=x onerror=alert(1)>"
    run.mkdir()
    shutil.copytree(viewed_run / "trajectories", run / "trajectories")
    assert "<img" not in write_view(run).read_text(encoding="utf-8")


def test_the_page_is_self_contained(viewed_run: Path) -> None:
    parser = _Tags()
    parser.feed(write_view(viewed_run).read_text(encoding="utf-8"))
    for tag, attributes in parser.tags:
        assert tag not in {"link", "iframe", "object"} and not {"src", "href"} & set(attributes), tag


def test_paths_and_updates(viewed_run: Path, tmp_path: Path) -> None:
    assert write_view(viewed_run) == viewed_run / "view_update_000007.html"
    assert write_view(viewed_run, 7, tmp_path / "new" / "page.html").exists()
    with pytest.raises(ConfigError, match="update 8"):
        write_view(viewed_run, 8)
    next((viewed_run / "trajectories" / "frames").iterdir()).unlink()
    with pytest.raises(ConfigError, match="every frame"):
        write_view(viewed_run)


@pytest.fixture
def open_page() -> Iterator[Callable[[Path], Opened]]:
    """Return a function that opens a page in Chromium; it says what went wrong and what was fetched."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs the playwright package")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("needs a chromium executable on the path")
    quiet = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
    quiet += ["--disable-component-update", "--disable-sync"]
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=quiet)

        def opened(path: Path) -> Opened:
            page = browser.new_page(viewport={"width": 1200, "height": 900})
            problems: list[str] = []
            requests: list[str] = []
            page.on("pageerror", lambda error: problems.append(str(error)))
            page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
            page.on("request", lambda request: requests.append(request.url))
            page.goto(path.as_uri())
            return page, problems, requests

        yield opened
        browser.close()


def test_an_episode_on_a_map_shows_the_way_of_the_agent(mapped_run: Path, open_page: Callable[[Path], Opened]) -> None:
    page, problems, requests = open_page(write_view(mapped_run))
    arrows = page.locator("#map [data-step]")
    arrows.first.wait_for()
    # Pixels: x = (X + 1) * 10, y = (Z + 2) * 8; heading pi / 2 faces -z, which is up.
    transforms = {a.get_attribute("data-step"): a.get_attribute("transform") for a in arrows.all()}
    numbers = {
        key: [float(x) for x in re.findall(r"-?[\d.]+(?:e-?\d+)?", str(text))] for key, text in transforms.items()
    }
    assert {key: [round(x) for x in value] for key, value in numbers.items()} == {
        "0": [20, 24, 0], "1": [40, 24, -90], "2": [40, 12, -90]
    }  # fmt: skip
    assert page.locator("#map polyline").first.get_attribute("points") == "20,24 40,24 40,12"
    box = page.locator("#map image").bounding_box()
    assert box is not None and box["height"] > 200
    film = page.locator("#film").bounding_box()
    assert film is not None and film["y"] >= box["y"] + box["height"]  # the frames are below
    labels = page.locator("#film button").all_inner_texts()
    assert [label.strip() for label in labels[:2]] == ["0: move forward", "1: move forward"] and "+0.88" in labels[2]
    if shot := os.environ.get("VLDAC_SCREENSHOT"):
        page.screenshot(path=shot)
    page.locator('#map [data-step="2"]').click()
    page.wait_for_selector('#map [data-step="2"][fill="#d55e00"]')
    assert "step 2 (3 of 3), success" in page.locator("#where").inner_text()
    assert page.locator("#response span").count() == 3  # the tokens are still there
    page.keyboard.press("ArrowDown")
    assert page.locator("#map svg").count() == 0 and page.locator("#images img").count() == 1
    assert problems == [] and all(url.startswith(("file:", "data:")) for url in requests)


def test_what_an_action_clicked_has_a_frame_around_it(clicked_run: Path, open_page: Callable[[Path], Opened]) -> None:
    page, problems, _ = open_page(write_view(clicked_run))
    page.locator("#images .shot i").wait_for()
    assert page.locator("#images .shot i").count() == 1  # on the last of the two frames alone
    picture, mark = (page.locator(f"#images .shot:last-child {tag}").bounding_box() for tag in ("img", "i"))
    assert picture is not None and mark is not None
    scale = picture["height"] / 500
    wanted = {
        "x": picture["x"] + 50 * scale,
        "y": picture["y"] + 100 * scale,
        "width": 100 * scale,
        "height": 30 * scale,
    }
    assert all(abs(mark[key] - value) <= 2 for key, value in wanted.items()), (mark, wanted)
    assert picture["height"] > 400  # a page is shown large enough to be read
    if shot := os.environ.get("VLDAC_SCREENSHOT"):
        page.screenshot(path=shot)
    page.keyboard.press("ArrowRight")
    assert page.locator("#images .shot i").count() == 0 and problems == []


def test_clicking_through_the_page(viewed_run: Path, open_page: Callable[[Path], Opened]) -> None:
    page, problems, requests = open_page(write_view(viewed_run))
    where = page.locator("#where")
    assert page.locator("#list button").count() == 3 and "env 0, episode 0, step 0" in where.inner_text()
    page.keyboard.press("ArrowRight")
    assert "step 1 (2 of 2), success" in where.inner_text() and page.locator("#images img").count() == 2
    assert page.evaluate("[...document.images].every(i => i.complete && i.naturalWidth === 32)")
    colour = "document.querySelector('#response span:nth-child(3)').style.background"
    by_advantage = page.evaluate(colour)
    page.keyboard.press("c")
    assert page.locator("#colour").input_value() == "ratio" and page.evaluate(colour) != by_advantage
    if shot := os.environ.get("VLDAC_SCREENSHOT"):
        page.screenshot(path=shot)
    page.keyboard.press("ArrowDown")
    assert "env 1" in where.inner_text() and page.locator("#response").inner_text() == HOSTILE
    assert page.locator("#prompt").text_content() == HOSTILE
    page.locator("#more summary").click()
    assert page.locator("#prompt").is_visible()
    for choice, count in {"success": 1, "failure": 1, "invalid": 1, "all": 3}.items():
        page.select_option("#filter", choice)
        assert page.locator("#list button").count() == count
    page.locator("#list button").nth(2).click()
    assert "env 2" in where.inner_text()
    assert page.evaluate("window.stolen") is None and problems == []
    assert all(url.startswith(("file:", "data:")) for url in requests)
