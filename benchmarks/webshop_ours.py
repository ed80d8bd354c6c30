"""Our side of webshop_parity.py: a shop in compat mode that answers as upstream's process does."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from vldac.envs.webshop.files import ATTRIBUTES_FILE, INSTRUCTIONS_FILE, PRODUCTS_FILE

from vldac import _core

ratio = _core.webshop_ratio


class Ours:
    """Catalogue, goals and one session over the files of a folder."""

    def __init__(
        self,
        folder: Path,
        *,
        human: bool = True,
        seed: int | None = None,
        length: str = "exact",
        attributes_page: bool = False,
        page_size: int = 10,
    ) -> None:
        """Build the store; goals and a session are made where a seed of the process is given. `length`: exact or lucene."""
        with tempfile.TemporaryDirectory() as store:
            file = str(Path(store) / "shop.store")
            self.report = _core.webshop_build(
                str(folder / PRODUCTS_FILE), str(folder / ATTRIBUTES_FILE), file, human=str(folder / INSTRUCTIONS_FILE)
            )
            self.catalogue = _core.WebshopCatalogue(file)  # mapped: it stays when the file goes
        self.is_lossy = length == "lucene"
        if seed is not None:
            self.goals = _core.WebshopGoals(self.catalogue, human=human, compat=True, seed=seed)
            self.session = _core.WebshopSession(
                self.goals, compat=True, lossy=self.is_lossy, show_attributes=attributes_page, page_size=page_size
            )

    def search(self, query: str, k: int) -> list[str]:
        """Return the asins that a query finds, the best first."""
        return [asin for asin, _ in self.catalogue.search(query, k, lossy=self.is_lossy)]

    def num_goals(self) -> int:
        """Return how many goals there are."""
        return len(self.goals)

    def goal(self, number: int) -> dict[str, Any]:
        """Return a goal with upstream's fields."""
        return self.goals.goal(number)

    def price(self, asin: str) -> float:
        """Return what a product costs."""
        return self.goals.price(asin)

    def draws(self, count: int) -> list[int]:
        """Return the goals that the first `count` sessions of a process get."""
        return self.goals.draw_compat(count)

    def product(self, asin: str) -> dict[str, Any]:
        """Return a product's fields."""
        index = self.catalogue.find(asin)
        assert index is not None, asin
        return self.catalogue.product(index)

    def reward(self, call: dict[str, Any]) -> float:
        """Return the reward of a direct call (webshop_peer.py says what is in it)."""
        product, goal, nouns = self.product(call["asin"]), call["goal"], call["nouns"]
        parts = _core.webshop_reward(
            product, goal, call["price"], list(call["options"].values()), nouns[product["name"]], nouns[goal["name"]]
        )
        return float(parts["reward"])

    def nouns(self, names: Iterable[str]) -> dict[str, list[str]]:
        """Return the nouns that sessions of ours find in names."""
        return {name: _core.webshop_nouns(name) for name in names}

    def reset(self, number: int) -> dict[str, Any]:
        """Start an episode; return what can be seen, as upstream's side does."""
        self.session.reset(number)
        return self._seen(0.0, False)

    def step(self, action: str) -> dict[str, Any]:
        """Take an action; return what can be seen."""
        return self._seen(*self.session.step(action))

    def _seen(self, reward: float, is_done: bool) -> dict[str, Any]:
        page = self.session.page()
        return {
            "reward": reward, "done": is_done, "text": page.text(), "text_rich": page.text_rich(),
            "available": {"has_search_bar": self.session.has_search_bar, "clickables": self.session.clickables()},
        }  # fmt: skip
