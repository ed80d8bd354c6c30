"""A shop for tiny models: a dozen products with one option group, and goals of a few words ("mug in red").

The same three files as the large shops, so the same loader, search, pages and reward. Each product is a thing and nothing else,
sold in a few colors; goals are all (product, color, wording) in an order drawn from the seed. The price is above the last price
ceiling that goals can have (upstream draws ceilings below 1,000 dollars), so that no instruction ends in a price sentence.
"""

from __future__ import annotations

from collections.abc import Iterator

from vldac.envs.webshop.catalogue_maker import Product
from vldac.envs.webshop.draws import Draws

from vldac.errors import ConfigError

THINGS = ("mug", "lamp", "chair", "shirt", "shoes", "phone", "soap", "tea", "clock", "bag", "rug", "brush",
          "bowl", "desk", "coat", "socks", "camera", "candle", "bread", "vase", "hat", "towel", "radio", "bench")  # fmt: skip
COLORS = ("red", "blue", "green", "white", "black", "pink", "brown", "gold")
WORDINGS = (
    "{color} {thing}",
    "{thing}, {color}",
    "{thing} in {color}",
    "{color} {thing} please",
    "a {color} {thing}",
    "the {color} {thing}",
    "buy {color} {thing}",
    "get {color} {thing}",
    "find {color} {thing}",
    "my {color} {thing}",
    "{thing}, {color} please",
    "need {color} {thing}",
)
_DEPARTMENTS = ("beauty", "electronics", "fashion", "garden", "grocery")
_PRICE_USD = 990  # no ceiling: the grid of ceilings ends here


def make_short_shop(num: int = 12, *, num_colors: int = 6, seed: int = 0) -> Iterator[Product]:
    """Yield `num` products in `num_colors` colors, with a goal per product, color and wording.

    Raises ConfigError for more products or colors than there are words for.
    """
    if not (1 <= num <= len(THINGS) and 1 <= num_colors <= len(COLORS)):
        raise ConfigError(
            expected=f"1 to {len(THINGS)} products in 1 to {len(COLORS)} colors",
            got=f"{num} products in {num_colors} colors", where="short shop", do="ask for fewer, or for a full shop",
        )  # fmt: skip
    for index, thing in enumerate(THINGS[:num]):
        yield _product(index, thing, COLORS[:num_colors], seed)


def _product(index: int, thing: str, colors: tuple[str, ...], seed: int) -> Product:
    draws = Draws(f"webshop short {seed} {index}")
    asin = f"S{index + 1:02}"
    goals = [(color, wording) for color in colors for wording in WORDINGS]
    goals = [goals.pop(draws.below(len(goals))) for _ in range(len(goals))]
    row = {
        "asin": asin, "name": thing, "brand": "", "full_description": f"a plain {thing}.", "small_description": [f"one {thing}"],
        "pricing": f"${_PRICE_USD}.00", "images": [f"{asin}.png"], "category": _DEPARTMENTS[index % len(_DEPARTMENTS)],
        "query": thing, "product_category": f"Shop \u203a {thing}", "product_information": {},
        "customization_options": {"color": [{"value": color, "image": None} for color in colors]},
    }  # fmt: skip
    return Product(
        row=row,
        attributes={
            "attributes": [thing],
            "instruction": f"Find me {thing}",
            "instruction_attributes": [thing],
        },
        instructions=[
            {
                "asin": asin,
                "instruction": wording.format(color=color, thing=thing),
                "attributes": [thing],
                "options": [color],
                "worker_id": "template",
                "instruction_attributes": [thing],
                "instruction_options": [color],
            }
            for color, wording in goals
        ],
    )
