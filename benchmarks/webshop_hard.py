"""Products of difficult text for the pages of webshop_parity.py: markup, quotes, blanks of all kinds, letters outside ASCII."""

from __future__ import annotations

import random
from typing import Any

from vldac.envs.webshop.catalogue_maker import Product

# fmt: off
PIECES = (
    " ", " ", "\t", "\r", "\x0b", "\x0c", "\x1f", "\x85", "\xa0", "\u2009", "\u200b", "\u2028", "\x00",
    "&", "&amp;", "&lt", "&#39;", "&nbsp;", "<", ">", "<b>", "</p>", "<!--", "\"", "'", "`", "/", "\\", "-", ".", ",",
    ":", "$", "%", "|", "_", "{", "}", "{{", "[", "]", "5", "3.5", "\xe9", "\xdf", "\u0130", "\xbd", "\u2122",
    "\u4e2d", "\u30ab", "\U0001f600", "a", "b", "Rug", "mat", "blue", "Navy", "rug", "mat", "blue",
)
# fmt: on
PRICES = ("$1,299.00", "$5.00 - $7.50", "", "$9.99", "$980", "$985.1")


def hard_products(seed: int, count: int) -> list[Product]:
    """Return products of which every text is made of `PIECES`; upstream can load them and make goals of them."""
    rng = random.Random(seed)
    return [_product(rng, f"HARD{number:04}") for number in range(count)]


def _text(rng: random.Random, at_most: int) -> str:
    return "".join(rng.choice(PIECES) for _ in range(1 + int(rng.random() * at_most)))


def _line(rng: random.Random, at_most: int) -> str:
    return rng.choice(("", "rug ", "\n")) + _text(rng, at_most) + rng.choice(("", "", "\n"))


def _product(rng: random.Random, asin: str) -> Product:
    groups = {
        _text(rng, 3): [{"value": _text(rng, 4)} for _ in range(rng.randint(1, 3))] for _ in range(rng.randint(0, 2))
    }
    row: dict[str, Any] = {
        "asin": asin, "name": _line(rng, 11), "full_description": rng.choice(("", _line(rng, 19))),
        "small_description": [_text(rng, 7) for _ in range(rng.randint(1, 4))], "pricing": rng.choice(PRICES),
        "images": [f"{asin}.png"],
        "category": _line(rng, 2), "query": _line(rng, 5), "product_category": f"{_text(rng, 4)}\u203a{_text(rng, 4)} \u203a Rugs",
        "customization_options": groups,
    }  # fmt: skip
    attributes = {
        "attributes": [_text(rng, 6) for _ in range(rng.randint(0, 3))], "instruction": _line(rng, 9),
        "instruction_attributes": [_text(rng, 6)],
    }  # fmt: skip
    instruction = {
        "asin": asin, "instruction": _line(rng, 19), "instruction_attributes": [_text(rng, 4)],
        "instruction_options": [_text(rng, 4)],
    }  # fmt: skip
    return Product(row=row, attributes=attributes, instructions=[instruction])


__all__ = ["hard_products"]
