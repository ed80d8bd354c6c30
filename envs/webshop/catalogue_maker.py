"""Invented products with upstream's file schema, no real brands: five departments, near-duplicates, options, price ranges.

Product i depends on the seed and i alone, so a catalogue of a million products needs no memory and begins with the one of a
thousand. A third of the products are near-duplicates: an earlier product with another first attribute and price.
Attributes are skewed as upstream's are (the nth of a type is drawn 1/n as often as the first), and so is the number of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from vldac.envs.webshop import wording
from vldac.envs.webshop.draws import Draws
from vldac.envs.webshop.vocabulary import ProductType, Vocabulary, load_vocabulary

_DUPLICATE_SHARE = 1 / 3
_SYNTHETIC_SHARE = 0.415  # of upstream's 1,000 products, 415 have a machine-written instruction
_NUM_HUMAN_GOALS = (0, 0, 1, 1, 2, 2, 3, 3, 3, 4)
_NUM_ATTRIBUTES = (1, 2, 2, 3, 3, 3, 4, 4, 5, 5, 6, 8)
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_NUM_ASINS = 36**8
_ASIN_STEP = 1_103_515_245_077  # prime to 36: a walk that visits every asin once


@dataclass(frozen=True, kw_only=True, slots=True)
class Product:
    """One product as its rows in upstream's three files."""

    row: dict[str, Any]
    """Entry of items_shuffle.json."""
    attributes: dict[str, Any]
    """Value of its asin in items_ins_v2.json."""
    instructions: list[dict[str, Any]]
    """Value of its asin in items_human_ins.json; empty: the asin is not there."""

    @property
    def asin(self) -> str:
        """Its id: 10 capitals and digits."""
        asin = self.row["asin"]
        assert isinstance(asin, str)
        return asin


@dataclass(frozen=True, kw_only=True, slots=True)
class _Draft:
    """What a product is, before it is put into words."""

    kind: ProductType
    brand: str
    model: str
    use: str
    attributes: tuple[str, ...]
    price_usd: float
    words: str
    """Name of the stream that its wording is drawn from."""


def make_products(num: int, *, seed: int = 0) -> Iterator[Product]:
    """Yield products 0 to num - 1 of a seed."""
    vocabulary = load_vocabulary()
    for index in range(num):
        yield _product(vocabulary, index, seed)


def _product(vocabulary: Vocabulary, index: int, seed: int) -> Product:
    draws = Draws(f"webshop product {seed} {index}")
    draft = _draft(vocabulary, index, seed)
    if index and draws.chance(_DUPLICATE_SHARE):
        draft = _near(draws, _draft(vocabulary, draws.below(index), seed))
    asin = _asin(index, seed)
    groups = _options(draws, draft.kind)
    return Product(
        row=_row(draws, draft, asin, groups),
        attributes=_attributes(draws, draft),
        instructions=_instructions(draws, draft, asin, groups),
    )


def _draft(vocabulary: Vocabulary, index: int, seed: int) -> _Draft:
    """Return the product that number `index` is unless it is a near-duplicate."""
    name = f"webshop draft {seed} {index}"
    draws = Draws(name)
    kind = draws.pick(vocabulary.types)
    low, high = kind.price
    return _Draft(
        kind=kind, brand="".join(draws.pick(syllables) for syllables in vocabulary.brand_syllables),
        model=f"{draws.pick('ABCDEFGHKLMNPRSTVX')}{10 + draws.below(990)}", use=draws.pick(kind.uses),
        attributes=tuple(draws.skewed(kind.attributes, draws.pick(_NUM_ATTRIBUTES))),
        price_usd=low + (high - low) * draws.between(0, 1) ** 2, words=name,
    )  # fmt: skip


def _near(draws: Draws, draft: _Draft) -> _Draft:
    """Return the same product with another first attribute and price, in the same words."""
    others = [attribute for attribute in draft.kind.attributes if attribute not in draft.attributes]
    first = draws.pick(others) if others else draft.attributes[0]
    price = draft.price_usd * draws.between(0.8, 1.25)
    return replace(draft, attributes=(first, *draft.attributes[1:]), price_usd=price)


def _asin(index: int, seed: int) -> str:
    number, text = (index * _ASIN_STEP + seed * 7_919 + 20_508_428_037) % _NUM_ASINS, ""
    for _ in range(8):
        number, digit = divmod(number, 36)
        text = _DIGITS[digit] + text
    return "B0" + text


def _options(draws: Draws, kind: ProductType) -> dict[str, list[str]]:
    """Return zero to three option groups with two to six values each."""
    return {group: draws.subset(values, 2 + draws.below(5)) for group, values in kind.groups if draws.chance(0.85)}


def _row(draws: Draws, draft: _Draft, asin: str, groups: dict[str, list[str]]) -> dict[str, Any]:
    words = Draws(draft.words + " words")
    facts = {"brand": draft.brand, "model": draft.model, "head": draft.kind.head, "use": draft.use}
    bullets = wording.bullet_points(words, facts, draft.attributes)
    return {
        "asin": asin, "name": wording.title(words, facts, draft.attributes), "brand": draft.brand, "brand_url": "",
        "full_description": wording.description(words, facts, draft.attributes),
        "small_description": bullets[0] if draws.chance(0.05) else bullets, "small_description_old": bullets[0],
        "pricing": _pricing(draws, draft.price_usd), "list_price": "", "availability_quantity": None,
        "availability_status": "In Stock.", "images": [f"{asin}.png"], "category": draft.kind.department,
        "query": draft.kind.query, "page": 1 + draws.below(5), "product_category": " \u203a ".join(draft.kind.path),
        "average_rating": round(draws.between(3.2, 5.0), 1), "total_reviews": draws.below(4000),
        "total_answered_questions": draws.below(60), "product_information": {"Model": draft.model, "ASIN": asin},
        "customization_options": _customization(draws, groups), "seller_id": "", "seller_name": draft.brand,
        "fulfilled_by_amazon": "", "fast_track_message": "", "aplus_present": False,
    }  # fmt: skip


def _pricing(draws: Draws, price_usd: float) -> str:
    """Return upstream's price text: one amount, a range, or none."""
    draw = draws.between(0, 1)
    if draw < 0.03:
        return ""
    cents = f"{max(1, int(price_usd)):,}.{draws.pick(('99', '95', '00', '49'))}"
    return f"${cents}" if draw < 0.85 else f"${cents}${price_usd * draws.between(1.3, 2.5) + 2:,.2f}"


def _customization(draws: Draws, groups: dict[str, list[str]]) -> dict[str, Any] | str:
    """Return upstream's customization_options; a product without options has an empty text there, and now and then a null group."""
    if not groups:
        return ""
    fields = {"is_selected": False, "url": None, "price_string": "", "price": 0, "image": None}
    options: dict[str, Any] = {
        wording.title_case(group): [fields | {"value": wording.title_case(value)} for value in values]
        for group, values in groups.items()
    }
    return {**options, "Material": None} if draws.chance(0.03) else options


def _attributes(draws: Draws, draft: _Draft) -> dict[str, Any]:
    """Return the entry of items_ins_v2.json; one product in fifty has no attributes, which gives it upstream's dummy."""
    if draws.chance(0.02):
        return {}
    entry: dict[str, Any] = {"attributes": list(draft.attributes), "instruction": None, "instruction_attributes": None}
    if draws.chance(_SYNTHETIC_SHARE):
        wanted = draws.subset(draft.attributes, 1 + draws.below(3))
        entry |= {
            "instruction": wording.request(draft.kind.head, draft.use, wanted),
            "instruction_attributes": wanted,
        }
    return entry


def _instructions(draws: Draws, draft: _Draft, asin: str, groups: dict[str, list[str]]) -> list[dict[str, Any]]:
    """Return the entries of items_human_ins.json; one in fifty names no attribute, which upstream skips."""
    entries = []
    for _ in range(draws.pick(_NUM_HUMAN_GOALS)):
        wanted = draws.subset(draft.attributes, 1 + draws.below(3))
        chosen = {group: _cleaned(draws.pick(values)) for group, values in groups.items() if draws.chance(0.8)}
        instruction = wording.wish(draws, draft.kind.head, draft.use, wanted, chosen)
        entries.append(
            {
                "asin": asin,
                "instruction": instruction,
                "attributes": list(draft.attributes),
                "options": list(chosen.values()),
                "worker_id": f"template-{draws.below(40):02}",
                "instruction_attributes": [] if draws.chance(0.02) else wanted,
                "instruction_options": list(chosen.values()),
            }
        )
    return entries


def _cleaned(value: str) -> str:
    """Return the value of an option as pages show it."""
    return value.strip().replace("/", " | ").lower()
