"""The shop's pages in a real browser: the reference that the drawn pages are measured against.

Chromium comes from the system (Debian: apt install chromium), playwright from the extra `browser`. Scripts and the network are off:
pages are handed over as text, and every request that one might make is refused and written down. Not for training: a page
takes tens of milliseconds, see benchmarks/webshop_pages.py.
"""

from __future__ import annotations

import base64
import io
import shutil
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vldac import _core
from vldac.errors import EnvError

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
FLAGS += ["--disable-component-update", "--disable-sync", "--font-render-hinting=none"]
"""Unhinted letters have widths in proportion to their size, on every machine."""

_BOXES = """Array.from(document.querySelectorAll('[data-command]'), element => {
  const box = element.getBoundingClientRect();
  return [element.dataset.command, box.x + scrollX, box.y + scrollY, box.width, box.height];
})"""


@dataclass(frozen=True, slots=True, kw_only=True)
class DomBox:
    """Where the browser has something that can be clicked, in pixels of the picture."""

    command: str
    x: float
    y: float
    width: float
    height: float


class PageBrowser:
    """A headless Chromium with one page; use it as a context manager.

    width, height: of its pictures, in pixels. zoom: pixels per CSS pixel, as in `_core.WebshopPainter`. allows_scripts: for the test
    that shows that pages hold none. Raises EnvError where playwright or Chromium is missing, or width / zoom is not whole.
    """

    def __init__(
        self,
        *,
        width: int = 512,
        height: int = 896,
        zoom: float = 1.0,
        allows_scripts: bool = False,
        executable: str | None = None,
    ) -> None:
        if not zoom > 0.0 or (width / zoom) % 1.0 or width < 1 or height < 1:
            raise EnvError(
                expected="a width that is a whole number of CSS pixels", got=f"width {width}, height {height}, zoom {zoom}",
                where="PageBrowser", do="choose a zoom that divides the width, such as 1.0 or 0.8 at 512",
            )  # fmt: skip
        try:
            from playwright.sync_api import sync_playwright
        except ImportError as error:
            raise EnvError(
                expected="the package playwright",
                got=str(error),
                where="PageBrowser",
                do="pip install 'vldac[browser]'",
            ) from error
        path = executable or shutil.which("chromium")
        if path is None:
            raise EnvError(
                expected="an executable called chromium", got="none on the path", where="PageBrowser",
                do="install it (Debian: apt install chromium), or pass executable=",
            )  # fmt: skip
        self.zoom, self.requests = zoom, list[str]()
        self._playwright = sync_playwright().start()
        try:
            self._browser = self._playwright.chromium.launch(executable_path=path, args=FLAGS)
            self._page = self._browser.new_context(
                java_script_enabled=allows_scripts, offline=True, device_scale_factor=zoom,
                viewport={"width": round(width / zoom), "height": round(height / zoom)},
            ).new_page()  # fmt: skip
            self._page.route("**", self._refuse)
        except BaseException:
            self._playwright.stop()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the browser."""
        self._browser.close()
        self._playwright.stop()

    @property
    def version(self) -> str:
        """Of Chromium."""
        return str(self._browser.version)

    def show(self, html: str) -> None:
        """Load a page; `requests` begins anew."""
        self.requests.clear()
        self._page.set_content(html)

    def boxes(self) -> list[DomBox]:
        """Return the boxes of all clickable elements in the order of the document."""
        return [
            DomBox(
                command=command, x=x * self.zoom, y=y * self.zoom, width=width * self.zoom, height=height * self.zoom
            )
            for command, x, y, width, height in self._page.evaluate(_BOXES)
        ]

    def page_height(self) -> float:
        """Return the height of the whole page in pixels."""
        return float(self._page.evaluate("document.body.getBoundingClientRect().height")) * self.zoom

    def evaluate(self, expression: str) -> Any:
        """Return the value of a JavaScript expression, which is run beside the page, not by it."""
        return self._page.evaluate(expression)

    def screenshot(self, *, full_page: bool = False) -> NDArray[np.uint8]:
        """Return what the window shows, or the whole page: [H, W, 3] uint8."""
        data = self._page.screenshot(full_page=full_page)
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            return np.asarray(image.convert("RGB"))

    def _refuse(self, route: Any) -> None:
        self.requests.append(str(route.request.url))
        route.abort()


def page_html(page: _core.WebshopPage, *, css_width: float = 512.0, with_pictures: bool = True) -> str:
    """Return a page's HTML with the drawings of its products in it, as a browser shows them beside the text."""
    pictures = page.pictures(160) if with_pictures else {}
    return page.html(css_width, {product: _data_uri(rgb) for product, rgb in pictures.items()})


def _data_uri(rgb: NDArray[np.uint8]) -> str:
    out = io.BytesIO()
    Image.fromarray(rgb).save(out, format="PNG")
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode("ascii")
