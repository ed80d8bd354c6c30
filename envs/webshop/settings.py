"""What `make("WebShop-v0", ...)` takes, as the native environment's numbers: the shop by its files, the rest by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vldac.envs.file_worlds import Chosen, check_names, number_of, word_of
from vldac.envs.webshop.shop import SHIPPED, SPLITS, GoalChoice, open_shop

ENV_ID = "WebShop-v0"
PAGE_SIZE = {None: 10, "vldac": 4}
"""Results on a page: the original's, and the paper's."""
_WORDS = {
    "goal_order": ("random", "seed"),
    "observation_mode": ("text", "text_rich", "html"),
    "picture": ("none", "raster"),
    "reward": ("score", "success"),
}
_INITIAL = {"goal_order": "random", "observation_mode": "text", "picture": "raster", "reward": "score"}

HELP = {
    "data": "shipped (1,000 invented products), short (12, for tiny models), or a folder with upstream's files; default shipped",
    "split": "all, train, eval or test; default all",
    "goals": "human (written by people; the shipped ones from templates) or synthetic; default human",
    "goals_seed": "seed of the price ceilings and of the goals' order; default 0",
    "split_by": "asin (no product has goals in two splits) or goal; default asin",
    "num_test": "goals of the split test, at least; default a fifth, at most 500 (compat: 500)",
    "num_eval": "goals of the split eval, at least; default a fifth, at most 1,000 (compat: 1,000)",
    "goal_order": "random (by weight), or seed: environment i has goal number seed + i + episode of the split; default random",
    "goal": "number of the only goal; default: those of the split",
    "num_products": "the first rows of the products' file that count; default all",
    "page_size": "results on a page, 1 to 50; default 10, with task vldac 4",
    "observation_mode": "the text: text, text_rich or html; default text",
    "picture": "none or raster; default raster",
    "photos": "folder of product pictures (<asin>.jpg, .png, .webp); default drawings",
    "nouns": "file with the nouns of product names, {asin: [noun, ...]}; default by rule",
    "reward": "score (upstream's) or success (1 where that is 1, else 0); default score",
    "compat": "upstream's pages, names, order of goals and quirks, 0 or 1; default 0",
    "show_attributes": "a sub page with the attributes that goals ask for, 0 or 1; default 0",
    "lossy_lengths": "search with Lucene's rounded document lengths, 0 or 1; default 0",
    "strict": "a malformed row of the files is an error instead of being skipped and counted, 0 or 1; default 0",
}
"""Every option of `make`, in words."""


def choose(given: Mapping[str, Any], task: str | None) -> Chosen:
    """Return the shop and the numbers for options of `make`. task: its argument of that name.

    Raises EnvError for names and values that are not known, and for a shop that cannot be opened.
    """
    options, where = dict(given), f"make({ENV_ID!r})"
    check_names(options, HELP, where)

    def flag(name: str) -> bool:
        return bool(number_of(options.get(name, 0), 0, 1, f"{where}, {name}"))

    def whole(name: str, initial: int, low: int, high: int) -> int:
        return int(number_of(options.get(name, initial), low, high, f"{where}, {name}", is_whole=True))

    most = 10**9
    choice = GoalChoice(
        is_human=word_of(options.get("goals", "human"), ("human", "synthetic"), f"{where}, goals") == "human",
        is_compat=flag("compat"),
        is_by_asin=word_of(options.get("split_by", "asin"), ("asin", "goal"), f"{where}, split_by") == "asin",
        seed=whole("goals_seed", 0, 0, 2**53),
        num_test=whole("num_test", -1, -1, most),
        num_eval=whole("num_eval", -1, -1, most),
    )
    split = word_of(options.get("split", "all"), SPLITS, f"{where}, split")
    data = options.get("data", "shipped")
    shop = open_shop(
        data if data in SHIPPED else str(data), goals=choice, split=split,
        num_products=whole("num_products", -1, -1, most), is_strict=flag("strict"), nouns=options.get("nouns"),
        photos=options.get("photos"),
    )  # fmt: skip
    numbers = {"shop": float(shop.number), "split": float(SPLITS.index(split))}
    for name, known in _WORDS.items():
        numbers[name] = float(known.index(word_of(options.get(name, _INITIAL[name]), known, f"{where}, {name}")))
    numbers["goal"] = float(whole("goal", -1, -1, len(shop.goals) - 1))
    numbers["page_size"] = float(whole("page_size", PAGE_SIZE[task], 1, 50))
    for name in ("compat", "show_attributes", "lossy_lengths"):
        numbers[name] = float(flag(name))
    return Chosen(played=shop, numbers=numbers)
