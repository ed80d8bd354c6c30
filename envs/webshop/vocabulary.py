"""The words that invented products are made of: departments, types of products, attributes, values of options, brands."""

from __future__ import annotations

import functools
import importlib.resources
import json
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class ProductType:
    """One kind of product."""

    head: str
    """What it is: "face cream"."""
    query: str
    """The search it was found by, upstream's `query`."""
    department: str
    """Upstream's `category`: beauty, electronics, fashion, garden or grocery."""
    path: tuple[str, ...]
    """Levels of the category, the most general first."""
    attributes: tuple[str, ...]
    """What it can be praised for; the nth is drawn 1/n as often as the first."""
    groups: tuple[tuple[str, tuple[str, ...]], ...]
    """Option groups it can have, each with the values it can offer."""
    price: tuple[float, float]
    """Cheapest and dearest, in dollars."""
    uses: tuple[str, ...]
    """What it is for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Vocabulary:
    """Everything a catalogue is drawn from."""

    types: tuple[ProductType, ...]
    pools: dict[str, tuple[str, ...]]
    """Values of options by kind."""
    brand_syllables: tuple[tuple[str, ...], ...]
    """Beginnings, middles and ends of invented brands."""


@functools.cache
def load_vocabulary() -> Vocabulary:
    """Return the words that ship with the package."""
    file = importlib.resources.files("vldac.envs") / "webshop" / "vocabulary.json"
    words = json.loads(file.read_text(encoding="utf-8"))
    pools = {name: tuple(values) for name, values in words["pools"].items()}
    types = [
        ProductType(
            head=kind["head"], query=kind["query"], department=department,
            path=(facts["root"], *kind["path"]),
            attributes=_alternate(kind["attributes"], facts["attributes"]),
            groups=tuple((group, pools[pool]) for group, pool in kind["groups"].items()),
            price=(kind["price"][0], kind["price"][1]), uses=tuple(kind["uses"]),
        )
        for department, facts in words["departments"].items()
        for kind in facts["types"]
    ]  # fmt: skip
    return Vocabulary(types=tuple(types), pools=pools, brand_syllables=tuple(map(tuple, words["brands"].values())))


def _alternate(own: list[str], shared: list[str]) -> tuple[str, ...]:
    """Return both lists as one, an item of each in turn, so that either kind has frequent and rare attributes."""
    turns = [item for pair in zip(shared, own, strict=False) for item in pair]
    return tuple(dict.fromkeys(turns + own + shared))
