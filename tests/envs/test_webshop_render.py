"""The shop's pages: one model, and what its text, HTML, pictures and a real browser say about it agrees."""

from __future__ import annotations

import importlib.util
import io
import random
import re
import shutil
import struct
import zlib
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from vldac.envs.webshop.browser import PageBrowser, page_html
from vldac.envs.webshop.photos import load_photos

from vldac._core import WebshopPage, WebshopPainter, WebshopPhotos
from vldac.errors import EnvError

GOAL = "find me a long-sleeve shirt that is machine washable, size x-large, price lower than 40.00 dollars"
HOSTILE = (
    "</title></style><script>document.title = 'owned'</script><img src=http://x.invalid/a onerror=alert(1)>"
    '" onclick="x()" \'&lt;'
)
LONG_WORD = "supercalifragilisticexpialidociousandmorelettersthananylinecanholdatonceinanywindow"
ADDRESS = "http://www.example.com/some/path?x=1&y=2"
PLAIN = "organic cotton women's (pack of 2) 12-count black/white high-quality 3.5mm [new] 100% & co. gluten-free, non-gmo; a/b/c"
SIGNS = '"soft touch" 24" ok! what?yes {a} <b>bold</b> 1,000.00 $5 #1 e.g. size:large -5 (-20\xb0c) +5 @home foo|bar _x_ ~y a=b'
OTHERS = "caf\xe9 cr\xe8me\u2122 \u2013 \u2014 \xbd \xb1 'quoted' ...dots\u2026 \xd7 10\u2033 \u2605\u2606 ok)(no hyphen-ated"
WORDS = [*PLAIN.split(), *SIGNS.split(), *OTHERS.split(), LONG_WORD, ADDRESS]


def words(rng: random.Random, count: int) -> str:
    return " ".join(rng.choice(WORDS) for _ in range(count))


def index_page(goal: str = GOAL) -> WebshopPage:
    page = WebshopPage("index", "WebShop")
    page.add("heading", "WebShop")
    page.add("instruction", goal)
    page.add("search_bar", "Search...")
    page.add("button", "Search", "click[search]")
    return page


def results_page(products: list[tuple[str, str, str]], number: int = 1, visited: str = "") -> WebshopPage:
    page = WebshopPage("results", "Results")
    page.add("instruction", GOAL)
    page.add("button", "Back to Search", "click[back to search]")
    page.add("page_number", f"Page {number} (Total results: 50)")
    if number > 1:
        page.add("button", "< Prev", "click[< prev]")
    page.add("button", "Next >", "click[next >]")
    for asin, title, price in products:
        page.add("link", asin, f"click[{asin.lower()}]", asin, asin == visited)
        page.add("image", product=asin, choices=[("fashion", False)])
        page.add("heading", title)
        page.add("price", price)
    return page


def item_page(title: str, groups: dict[str, list[str]], selected: str = "", asin: str = "B01") -> WebshopPage:
    page = WebshopPage("item", title)
    page.add("instruction", GOAL)
    page.add("button", "Back to Search", "click[back to search]")
    page.add("button", "< Prev", "click[< prev]")
    page.add("image", product=asin, choices=[("fashion", False)] + ([(selected, True)] if selected else []))
    for name, values in groups.items():
        page.add("options", name, choices=[(value, value == selected) for value in values])
    page.add("heading", title)
    page.add("price", "Price: $29.99")
    page.add("text", "Rating: N.A.")
    for label in ("Description", "Features", "Reviews", "Buy Now"):
        page.add("button", label, f"click[{label.lower()}]")
    return page


def features_page(lines: list[str]) -> WebshopPage:
    page = WebshopPage("item_sub", "Features")
    page.add("instruction", GOAL)
    page.add("button", "Back to Search")
    page.add("button", "< Prev")
    page.add("list", "\n".join(lines))
    page.add("button", "Last")  # its place says how high the list is
    return page


def random_page(rng: random.Random) -> WebshopPage:
    kind = rng.choice(["index", "results", "item", "sub"])
    if kind == "index":
        return index_page(words(rng, rng.randrange(1, 40)))
    if kind == "results":
        count = rng.randrange(0, 11)
        return results_page(
            [(f"B{i:09}", words(rng, rng.randrange(1, 25)), f"${rng.uniform(1, 999):.2f}") for i in range(count)], 2
        )
    if kind == "item":
        groups = {
            f"{words(rng, 1)} {i}": [words(rng, rng.choice([1, 1, 1, 2, 3, 12])) for _ in range(rng.randrange(1, 20))]
            for i in range(rng.randrange(4))
        }
        return item_page(words(rng, rng.randrange(1, 30)), groups)
    return features_page([words(rng, rng.choice([0, 1, 5, 29])) for _ in range(rng.randrange(1, 9))])


class _Seen(HTMLParser):
    """What a parser of HTML finds: tags with their attributes, and the strings that a reader would see."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.strings: list[str] = []
        self._open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in ("meta", "input", "img"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip() and not {"title", "style"} & set(self._open):
            self.strings.append(data)

    def commands(self) -> list[str]:
        return [attributes["data-command"] for _, attributes in self.tags if "data-command" in attributes]


# -- text ---------------------------------------------------------------------------------------------------------------------------


def test_text_joins_the_visible_strings_as_upstream_does() -> None:
    page = results_page([("B07", "A shirt", "$10.00"), ("B08", "", "$11.00 to $12.50")], 2)
    assert page.text() == (
        f"Instruction: [SEP] {GOAL} [SEP] Back to Search [SEP] Page 2 (Total results: 50) [SEP] < Prev [SEP] Next > [SEP] "
        "B07 [SEP] A shirt [SEP] $10.00 [SEP] B08 [SEP] $11.00 to $12.50"
    )
    assert index_page("do").text() == "WebShop [SEP] Instruction: [SEP] do [SEP] Search"
    done = WebshopPage("done")
    done.add("heading", "Thank you for shopping with us!")
    done.add("score", "0.75")
    assert done.text() == "Thank you for shopping with us! [SEP] Your score (min 0.0, max 1.0) [SEP] 0.75"


def test_text_does_not_show_which_options_are_selected_and_rich_text_does() -> None:
    page = item_page("A shirt", {"color": ["red", "blue"], "size": ["s", "m"]}, "blue")
    assert page.text() == item_page("A shirt", {"color": ["red", "blue"], "size": ["s", "m"]}).text()
    assert page.text_rich() == (
        f"You have clicked blue.\nInstruction:\n{GOAL}\n[button] Back to Search [button_]\n[button] < Prev [button_]\ncolor\n"
        "  [button] red [button_]\n  [clicked button] blue [clicked button_]\nsize\n  [button] s [button_]\n  [button] m [button_]\n"
        "A shirt\nPrice: $29.99\nRating: N.A.\n[button] Description [button_]\n[button] Features [button_]\n"
        "[button] Reviews [button_]\n[button] Buy Now [button_]\n"
    )


def test_rich_text_names_the_option_of_the_last_group_first() -> None:
    page = WebshopPage("item")
    page.add("options", "color", choices=[("red", True)])
    page.add("options", "size", choices=[("s", False), ("m", True)])
    assert page.text_rich().startswith("You have clicked m.\nYou have clicked red.\ncolor\n")


def test_rich_text_marks_products_that_were_visited() -> None:
    page = results_page([("B07", "A shirt", "$10.00"), ("B08", "A sock", "$11.00")], 1, visited="B08")
    assert page.text_rich().endswith(
        "\n[button] B07 [button_]\nA shirt\n$10.00\n\n[clicked button] B08 [clicked button_]\nA sock\n$11.00\n"
    )


def test_rich_text_keeps_the_blanks_of_upstreams_templates() -> None:
    assert index_page("do").text_rich() == "WebShop\nInstruction: \ndo\n[button] Search [button_]\n"
    assert features_page(["soft", "warm"]).text_rich().endswith("\n soft\n warm\n[button] Last [button_]\n")


def test_an_empty_bullet_is_a_string_as_upstreams_is() -> None:
    page = features_page(["soft", "", "warm", ""])
    assert page.text().endswith(" [SEP] soft [SEP]  [SEP] warm [SEP]  [SEP] Last")
    assert page.text_rich().endswith("\n soft\n \n warm\n \n[button] Last [button_]\n")
    assert features_page([""]).text().endswith("< Prev [SEP]  [SEP] Last")


# -- HTML ---------------------------------------------------------------------------------------------------------------------------


def test_html_shows_the_strings_of_the_text_and_nothing_else() -> None:
    rng = random.Random(8)
    for _ in range(60):
        page = random_page(rng)
        visible = [string for string in page.text().split(" [SEP] ") if string]
        assert [string.strip() for string in _Seen(page.html()).strings] == visible


def test_markup_in_the_catalogue_is_text() -> None:
    for hostile, plain in (
        (item_page(HOSTILE, {HOSTILE: [HOSTILE, "b"]}, HOSTILE, HOSTILE), item_page("t", {"g": ["a", "b"]}, "a", "p")),
        (results_page([(HOSTILE, HOSTILE, HOSTILE)]), results_page([("B", "t", "$1")])),
        (features_page([HOSTILE]), features_page(["f"])),
        (index_page(HOSTILE), index_page()),
    ):
        seen, expected = _Seen(hostile.html()), _Seen(plain.html())
        assert [(tag, sorted(attributes)) for tag, attributes in seen.tags] == [
            (tag, sorted(attributes)) for tag, attributes in expected.tags
        ]
        assert HOSTILE in seen.strings


def test_html_stands_alone() -> None:
    rng = random.Random(9)
    for page in (random_page(rng) for _ in range(20)):
        for tag, attributes in _Seen(page_html(page)).tags:
            assert tag not in {"script", "link", "iframe", "object", "embed", "base"}
            assert not any(name.startswith("on") or name in ("action", "style") for name in attributes)
            assert attributes.get("src", "data:image/png;").startswith("data:image/png;") and attributes.get(
                "href", "?click="
            ).startswith("?click=")
        assert "default-src 'none'" in page.html() and "@import" not in page.html() and "url(" not in page.html()


def test_links_say_what_they_click() -> None:
    rng = random.Random(10)
    for page in (random_page(rng) for _ in range(20)):
        for tag, attributes in _Seen(page.html()).tags:
            if tag == "a":
                query = parse_qs(urlsplit(attributes["href"]).query, strict_parsing=True)
                assert {f"click[{value}]" for value in query["click"]} == {attributes["data-command"]}


# -- pictures -----------------------------------------------------------------------------------------------------------------------


def test_the_picture_and_the_html_have_the_same_clickables_in_the_same_order() -> None:
    rng, painter = random.Random(11), WebshopPainter()
    for page in (random_page(rng) for _ in range(30)):
        painter.draw(page)
        assert [box[0] for box in painter.boxes] == _Seen(page.html()).commands()


def test_a_picture_depends_on_the_page_alone() -> None:
    rng, used = random.Random(12), WebshopPainter()
    pages = [random_page(rng) for _ in range(6)]
    first = [used.draw(page) for page in pages]
    assert len({picture.tobytes() for picture in first}) == len(pages)
    for page, picture in zip(reversed(pages), reversed(first), strict=True):
        assert np.array_equal(used.draw(page), picture) and np.array_equal(WebshopPainter().draw(page), picture)


def test_boxes_lie_on_the_page_and_apart_from_each_other() -> None:
    rng, painter = random.Random(13), WebshopPainter(shrinks=False)
    for width in (224, 360, 512, 1024):
        for page in (random_page(rng) for _ in range(10)):
            height = painter.draw(page, width, 0).shape[0]
            taken = np.zeros((height, width), np.uint8)
            for command, x, y, w, h, is_visible in painter.boxes:
                assert is_visible and w > 0 and h > 0 and x >= 0 and y >= 0 and x + w <= width and y + h <= height, (
                    command
                )
                taken[y : y + h, x : x + w] += 1
            assert taken.max(initial=0) <= 1


def _inside(picture: NDArray[np.uint8], painter: WebshopPainter, command: str) -> NDArray[np.uint8]:
    (box,) = [box for box in painter.boxes if box[0] == command]
    _, x, y, w, h, _ = box
    return picture[y : y + h, x : x + w]


def test_a_selected_option_looks_different_and_nothing_else_but_the_product_does() -> None:
    painter = WebshopPainter()
    plain = painter.draw(item_page("A shirt", {"size": ["s", "m", "l"]}))
    chosen = painter.draw(item_page("A shirt", {"size": ["s", "m", "l"]}, "m"))
    ground = [tuple(_inside(picture, painter, "click[m]")[4, 14]) for picture in (plain, chosen)]
    assert ground == [(245, 243, 241), (255, 226, 138)]
    rows, columns = np.nonzero((plain != chosen).any(2))
    (_, x, y, w, h, _) = next(box for box in painter.boxes if box[0] == "click[m]")
    assert rows.min() >= y and rows.max() < y + h and columns.min() >= x and columns.max() < x + w


def test_letters_outside_the_font_are_counted_boxes() -> None:
    painter = WebshopPainter()
    counts = []
    for title in (
        "plain ascii",
        "caf\xe9 \u2014 \u201cquoted\u201d \u2122 \u2605",
        "\u65e5\u672c\u8a9e",
        "\u65e5\u672c\u8a9e " * 200,
        "a\u200bb\ufeff",
    ):
        painter.draw(item_page(title, {}))
        counts.append(painter.missing_glyphs)
    assert counts == [0, 0, 3, 600, 0]
    pictures = [painter.draw(item_page(title, {})) for title in ("a", "a\u65e5", "a\u672c")]
    assert not np.array_equal(pictures[0], pictures[1]) and np.array_equal(pictures[1], pictures[2])


def test_a_tall_page_is_drawn_smaller_and_a_taller_one_is_cut_with_a_note() -> None:
    painter = WebshopPainter()
    products = [
        (f"B{i:09}", "A shirt of a colour that takes two lines to describe in full, and then some", "$1.00")
        for i in range(40)
    ]
    painter.draw(results_page(products[:4]))
    assert painter.zoom == 1.0 and not painter.is_cut and all(box[5] for box in painter.boxes)
    painter.draw(results_page(products[:10]))
    assert painter.zoom == 0.625 and not painter.is_cut and all(box[5] for box in painter.boxes)
    picture = painter.draw(results_page(products))
    hidden = [box for box in painter.boxes if not box[5]]
    assert painter.is_cut and 0 < len(hidden) < len(painter.boxes) and all(box[2] + box[4] > 870 for box in hidden)
    assert tuple(picture[-3, 3]) == (243, 246, 251)  # the strip's ground
    whole = WebshopPainter(shrinks=False)
    assert whole.draw(results_page(products), 512, 0).shape[0] > 3000 and all(box[5] for box in whole.boxes)


def test_a_narrow_picture_keeps_letters_of_eight_pixels() -> None:
    painter = WebshopPainter()
    painter.draw(results_page([("B01", "A shirt", "$1.00")] * 10), 224, 392)
    assert painter.zoom * 14 >= 8 and painter.is_cut


def test_a_marked_box_gets_a_frame_around_it_and_nothing_else_changes() -> None:
    painter, page = WebshopPainter(), item_page("A shirt", {"size": ["s", "m"]})
    plain = painter.draw(page)
    index = [box[0] for box in painter.boxes].index("click[buy now]")
    marked = painter.draw(page, marked=index)
    _, x, y, w, h, _ = painter.boxes[index]
    assert np.array_equal(plain[y : y + h, x : x + w], marked[y : y + h, x : x + w])
    rows, columns = np.nonzero((plain != marked).any(2))
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (y - 5, y + h + 4, x - 5, x + w + 4)
    assert tuple(marked[y - 4, x + 5]) == (214, 0, 120)


def test_sizes_and_kinds_that_cannot_be_are_refused() -> None:
    painter, page = WebshopPainter(), index_page()
    for width, height in ((0, 10), (9000, 10), (10, -1), (10, 20000)):
        with pytest.raises(ValueError, match="expected a width of 1 to 8192"):
            painter.draw(page, width, height)
    with pytest.raises(ValueError, match="expected a zoom"):
        WebshopPainter(zoom=float("nan"))
    with pytest.raises(ValueError, match="expected one of heading, text"):
        page.add("headline", "x")
    with pytest.raises(ValueError, match="expected one of index, results"):
        WebshopPage("start")
    assert painter.draw(page, 1, 1).shape == (1, 1, 3)


def test_a_megabyte_in_one_word_is_laid_out_and_cut() -> None:
    page = WebshopPage("item_sub")
    page.add("text", "x" * 1_000_000)
    painter = WebshopPainter()
    painter.draw(page)
    assert painter.is_cut and painter.page_size[1] > 100_000


def _main_color(picture: NDArray[np.uint8]) -> tuple[int, ...]:
    colors, counts = np.unique(picture.reshape(-1, 3), axis=0, return_counts=True)
    order = np.argsort(-counts)
    return tuple(int(c) for c in colors[order[1]])  # the ground is the most frequent


def _drawing(
    title: str, asin: str = "B01", options: tuple[str, ...] = (), category: str = "fashion"
) -> NDArray[np.uint8]:
    page = WebshopPage("results")
    page.add("link", asin, product=asin)
    page.add("image", product=asin, choices=[(category, False), *((option, True) for option in options)])
    page.add("heading", title)
    return page.pictures(96)[asin]


def test_a_drawing_shows_what_the_title_names_in_the_colour_of_the_option() -> None:
    assert np.array_equal(_drawing("A dress shirt"), _drawing("Shirts for a dress"))  # a shirt
    assert not np.array_equal(_drawing("A shirt"), _drawing("A sofa"))
    assert _main_color(_drawing("A shirt", options=("x-large", "navy blue"))) == (32, 48, 104)
    assert _main_color(_drawing("A red shirt")) == (206, 48, 48)
    assert _main_color(_drawing("A reddish shirt")) != (206, 48, 48)
    assert len({_drawing("A shirt", f"B{i:09}").tobytes() for i in range(50)}) > 40
    assert not np.array_equal(
        _drawing("Thing", category="Grocery & Gourmet Food"), _drawing("Thing", category="electronics")
    )


# -- photos -------------------------------------------------------------------------------------------------------------------------


def _save(path: Path, color: tuple[int, int, int], size: tuple[int, int] = (400, 200)) -> None:
    Image.new("RGB", size, color).save(path)


def test_photos_take_the_place_of_drawings_and_keep_their_shape(tmp_path: Path) -> None:
    _save(tmp_path / "B01.png", (10, 200, 30))
    (tmp_path / "notes.txt").write_text("not a picture")
    loaded = load_photos(tmp_path, side=100)
    assert len(loaded.photos) == 1 and loaded.photos.bytes == 100 * 50 * 3 and loaded.skipped == ()
    painter = WebshopPainter(photos=loaded.photos)
    shown = painter.draw(item_page("A shirt", {}))[140:300, 12:172]
    assert tuple(shown[80, 80]) == (10, 200, 30) and tuple(shown[20, 80]) == (255, 255, 255)
    assert np.array_equal(
        painter.draw(item_page("A shirt", {}, asin="B02")), WebshopPainter().draw(item_page("A shirt", {}, asin="B02"))
    )


def test_transparent_photos_stand_on_white(tmp_path: Path) -> None:
    Image.new("RGBA", (64, 64), (255, 0, 0, 0)).save(tmp_path / "B01.png")
    painter = WebshopPainter(photos=load_photos(tmp_path).photos)
    assert (painter.draw(item_page("A shirt", {}))[145:295, 20:160] == 255).all()


def test_photos_outside_the_folder_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    _save(tmp_path / "secret.png", (1, 2, 3))
    _save(folder / "fine.png", (1, 2, 3))
    (folder / "B01.png").symlink_to(tmp_path / "secret.png")
    for paths in ({"B01": "../secret.png"}, {"B01": str(tmp_path / "secret.png")}, None):
        with pytest.raises(EnvError, match="a file inside the folder"):
            load_photos(folder, paths)
    with pytest.raises(EnvError, match="a file in the folder"):
        load_photos(folder, {"B01": "missing.png"})
    with pytest.raises(EnvError, match="a folder of pictures"):
        load_photos(folder / "fine.png")
    loaded = load_photos(folder, {"B01": "../secret.png", "B02": "fine.png"}, skips_bad_files=True)
    assert len(loaded.photos) == 1 and len(loaded.skipped) == 1 and "secret.png" in loaded.skipped[0]


def _bomb(width: int, height: int) -> bytes:
    """A PNG that says it is large, and would be."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(b"\0" * (3 * width + 1) * 16)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def _cut_short() -> bytes:
    out = io.BytesIO()
    Image.effect_noise((64, 64), 50).save(out, format="PNG")
    return out.getvalue()[:2000]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(_bomb(30000, 30000), "DecompressionBomb", id="bomb"),
        pytest.param(_bomb(11000, 9000), "DecompressionBombWarning", id="smaller bomb"),
        pytest.param(_bomb(8000, 6000), "8000x6000 pixels", id="too large"),
        pytest.param(_cut_short(), "truncated", id="cut short"),
        pytest.param(b"GIF89a" + b"\0" * 50, "UnidentifiedImageError", id="GIF"),
        pytest.param(b"", "UnidentifiedImageError", id="empty"),
    ],
)
def test_bombs_and_damaged_photos_are_refused(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "B01.png").write_bytes(data)
    with pytest.raises(EnvError, match=message):
        load_photos(tmp_path)
    assert len(load_photos(tmp_path, skips_bad_files=True).skipped) == 1


def test_the_extension_takes_small_pictures_alone() -> None:
    photos = WebshopPhotos()
    with pytest.raises(ValueError, match="1 to 512 pixels"):
        photos.add("B01", np.zeros((8, 513, 3), np.uint8))
    with pytest.raises(ValueError, match=re.escape("[height, width, 3]")):
        photos.add("B01", np.zeros((8, 8), np.uint8))
    photos.add("B01", np.zeros((8, 8, 3), np.uint8))
    photos.add("B01", np.zeros((4, 4, 3), np.uint8))
    assert len(photos) == 1 and photos.bytes == 48


# -- a real browser -----------------------------------------------------------------------------------------------------------------

MakeBrowser = Callable[..., PageBrowser]


@pytest.fixture
def make_browser() -> Iterator[MakeBrowser]:
    """Return a function that opens a PageBrowser; all are closed at the end."""
    if importlib.util.find_spec("playwright") is None or shutil.which("chromium") is None:
        pytest.skip("needs the playwright package and a chromium executable on the path")
    opened: list[PageBrowser] = []

    def make(**options: object) -> PageBrowser:
        for earlier in opened:
            earlier.close()
        opened[:] = [PageBrowser(**options)]  # type: ignore[arg-type]
        return opened[0]

    yield make
    for browser in opened:
        browser.close()


@pytest.mark.parametrize(("width", "zoom"), [(512, 1.0), (360, 1.0), (512, 0.8)])
def test_every_box_is_where_chromium_has_it(make_browser: MakeBrowser, width: int, zoom: float) -> None:
    """Edges of ours are whole pixels (half a pixel), the browser's are 64ths: a width is off by one pixel at most."""
    browser, painter, rng = (
        make_browser(width=width, zoom=zoom),
        WebshopPainter(zoom=zoom, shrinks=False),
        random.Random(width),
    )
    for page in [random_page(rng) for _ in range(12)]:
        browser.show(page.html(width / zoom))
        painter.draw(page, width, 600)
        dom = browser.boxes()
        assert [box.command for box in dom] == [" ".join(box[0].split()) for box in painter.boxes]
        for ours, theirs in zip(painter.boxes, dom, strict=True):
            assert np.abs(np.subtract(ours[1:5], (theirs.x, theirs.y, theirs.width, theirs.height))).max() <= 1.0, (
                ours,
                theirs,
            )
        assert abs(painter.page_size[1] * zoom - browser.page_height()) <= 1.0
    assert browser.requests == []


def test_the_browsers_picture_resembles_ours(make_browser: MakeBrowser) -> None:
    """Text and boxes, blurred to what a reader sees, differ by little; another page differs by far more."""
    browser, painter = make_browser(), WebshopPainter()
    pages = [
        item_page("A cotton shirt, " * 4, {"color": ["red", "blue"], "size": ["small", "medium", "large"]}, "blue"),
        index_page(),
    ]
    ours, theirs = [painter.draw(page) for page in pages], []
    for page in pages:
        browser.show(page_html(page))
        theirs.append(browser.screenshot())

    def difference(left: NDArray[np.uint8], right: NDArray[np.uint8]) -> float:
        small = [
            np.asarray(Image.fromarray(picture).resize((128, 224), Image.Resampling.BOX), np.float64)
            for picture in (left, right)
        ]
        return float(np.abs(small[0] - small[1]).mean())

    assert max(difference(ours[i], theirs[i]) for i in range(2)) < 0.25 * difference(ours[0], theirs[1])


def test_scripts_in_product_names_do_nothing_even_where_scripts_may_run(make_browser: MakeBrowser) -> None:
    browser = make_browser(allows_scripts=True)
    for page in (
        item_page(HOSTILE, {HOSTILE: [HOSTILE]}, HOSTILE, HOSTILE),
        results_page([(HOSTILE, HOSTILE, HOSTILE)]),
        features_page([HOSTILE]),
    ):
        browser.show(page_html(page))
        assert browser.evaluate("document.scripts.length") == 0 and browser.evaluate("document.title") != "owned"
        assert browser.evaluate("document.querySelectorAll('[onclick],[onerror]').length") == 0
        assert HOSTILE in browser.evaluate("document.body.innerText") and browser.requests == []


def test_the_browser_runs_no_scripts_and_asks_for_nothing(make_browser: MakeBrowser) -> None:
    browser = make_browser()
    browser.show("<title>before</title><script>document.title = 'after'</script><img src='http://x.invalid/a.png'>")
    assert browser.evaluate("document.title") == "before" and browser.evaluate("document.images[0].naturalWidth") == 0


def test_the_browser_says_what_is_missing() -> None:
    with pytest.raises(EnvError, match="whole number of CSS pixels"):
        PageBrowser(width=512, zoom=0.75)


def test_screenshots_are_pictures(make_browser: MakeBrowser) -> None:
    browser = make_browser(width=300, height=200)
    browser.show(index_page().html(300))
    assert browser.screenshot().shape == (200, 300, 3) and browser.screenshot(full_page=True).dtype == np.uint8
    assert browser.version.split(".")[0].isdigit()
