"""Upstream's WebShop (princeton-nlp/WebShop), run without a browser, Java, spaCy or a network, and asked over a pipe.

Started by webshop_parity.py with an interpreter of its own, which needs no vldac but what upstream's logic is made of:

    pip install thefuzz==0.19.0 beautifulsoup4==4.11.1 flask==2.1.2 "werkzeug<2.2" tqdm rich rank_bm25 numpy

(thefuzz without python-Levenshtein, as upstream's requirements have it.) Its own files run unchanged: loader, goals, reward, pages,
text. Stand-ins replace what only surrounds them: gym's base class, torch and cleantext (not called), spaCy (a noun function, the
same table or rule as on the other side), pyserini (BM25 of webshop_bm25.py over the documents that upstream indexes).

Protocol: one JSON request a line on stdin, {"do": name, ...}; one JSON answer a line on stdout, {"error": text} for an exception.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import os
import random
import re
import sys
import types
from pathlib import Path
from typing import Any

from webshop_bm25 import K1, B, Index, analyse
from webshop_pairs import scored_pairs

NOUN_TAG = "NOUN"


def nouns_by_rule(text: str) -> list[str]:
    """Return the words of a text that count as nouns where no table names it: those of three letters or more."""
    return re.findall(r"[a-z]{3,}", text.lower())


class Token:
    """What upstream reads of spaCy's tokens."""

    def __init__(self, text: str) -> None:
        self.text, self.pos_ = text, NOUN_TAG


class Hit:
    """What upstream reads of a search result."""

    def __init__(self, docid: str) -> None:
        self.docid = docid

    def raw(self) -> str:
        """Return the stored document."""
        return json.dumps({"id": self.docid})


class Upstream:
    """Upstream's modules and the one server and environment that are made of them."""

    def __init__(self, folder: Path) -> None:
        self.digest = digest(folder)
        self.nouns: dict[str, list[str]] = {}
        self.index: Index | None = None
        self._install(folder)
        self.utils = importlib.import_module("web_agent_site.utils")
        self.engine = importlib.import_module("web_agent_site.engine.engine")
        self.goal = importlib.import_module("web_agent_site.engine.goal")
        self.site = importlib.import_module("web_agent_site.envs.web_agent_text_env")
        self.env: Any = None
        self.other: Any = None
        self._cache_templates()
        self._note_pages()
        self.engine.print("")  # rich draws from Python's random at its first use, and upstream prints while it loads

    def _install(self, folder: Path) -> None:
        """Put the stand-ins where upstream imports them from."""
        env = type("Env", (), {})
        tokens = self.tokens
        stands: dict[str, dict[str, Any]] = {
            "gym": {"Env": env}, "torch": {}, "cleantext": {}, "spacy": {"load": lambda _name: tokens}, "pyserini": {},
            "pyserini.search": {}, "pyserini.search.lucene": {"LuceneSearcher": lambda _path: self},
        }  # fmt: skip
        for name, members in stands.items():
            module = types.ModuleType(name)
            module.__dict__.update(members)
            sys.modules[name] = module
        package = types.ModuleType("web_agent_site.envs")  # its __init__ would start a browser driver
        package.__path__ = [str(folder / "web_agent_site" / "envs")]
        sys.modules["web_agent_site.envs"] = package
        sys.path.insert(0, str(folder))

    def _cache_templates(self) -> None:
        """Let Flask compile each page once; it would for every page."""
        templates: dict[str, Any] = {}

        def render(source: str, **values: Any) -> str:
            app = self.site.app
            if source not in templates:
                templates[source] = app.jinja_env.from_string(source)
            app.update_template_context(values)
            return str(templates[source].render(values))

        self.engine.render_template_string = render

    def _note_pages(self) -> None:
        """Keep the name of the page that was made last."""
        make = self.site.map_action_to_html
        names = {"start": "index", "search": "results", "click": "item", "click[Buy Now]": "done"}

        def make_and_note(action: str, **values: Any) -> str:
            html = make(action, **values)
            self.page = names[action] if action in names else action[6:-1].lower()
            if self.page == "results" and not values["products"]:
                self.page = "empty results"
            return str(html)

        self.page, self.site.map_action_to_html = "", make_and_note

    def _parse_once(self) -> None:
        """Let the environment parse each page once; it would for each of its questions, and it only reads what it gets."""
        parse, kept = self.env._parse_html, {"html": None, "parsed": None}

        def parse_once(html: str | None = None) -> Any:
            html = self.env.state["html"] if html is None else html
            if html != kept["html"]:
                kept.update(html=html, parsed=parse(html))
            return kept["parsed"]

        self.env._parse_html = parse_once

    # -- what the stand-ins do --

    def tokens(self, text: str) -> list[Token]:
        """spaCy: nouns alone, from the table or by the rule."""
        return [
            Token(word) for word in self.nouns.get(text, None) or ([] if text in self.nouns else nouns_by_rule(text))
        ]

    def search(self, keywords: str, k: int) -> list[Hit]:
        """pyserini: the best k documents."""
        assert self.index is not None
        return [Hit(self.index.ids[place]) for place in self.index.search(keywords, k)]

    def doc(self, docid: str) -> Hit:
        """pyserini: the document of an id."""
        return Hit(docid)

    # -- requests --

    def do_versions(self) -> dict[str, str]:
        """Return the versions that decide results."""
        from importlib import metadata

        names = ("thefuzz", "flask", "jinja2", "beautifulsoup4")
        levenshtein = "Levenshtein" in sys.modules
        return {name: metadata.version(name) for name in names} | {
            "files": self.digest,
            "python": sys.version.split()[0],
            "python-Levenshtein": "in use" if levenshtein else "not in use",
        }

    def do_ratio(self, pairs: list[list[str]]) -> list[int]:
        """Return token_set_ratio of each pair."""
        return [int(self.goal.fuzz.token_set_ratio(a, b)) for a, b in pairs]

    def do_pairs(self, file: str, seed: int, count: int) -> None:
        """Write pairs with their ratios to a file, one JSON list a line, half of them near the threshold."""
        with open(file, "w", encoding="utf-8") as lines:
            for pair in scored_pairs(seed, count, self.goal.fuzz.token_set_ratio):
                lines.write(json.dumps(pair) + "\n")

    def do_nouns(self, table: dict[str, list[str]]) -> None:
        """Set the noun lists of texts, lower case, in order, with repeats."""
        self.nouns = table

    def do_load(
        self, folder: str, human: bool, seed: int, length: str, attributes_page: bool, page_size: int
    ) -> dict[str, Any]:
        """Load a catalogue, with Python's random seeded at `seed` before prices and ceilings are drawn; return the shuffled goals."""
        files = {
            "DEFAULT_ATTR_PATH": "items_ins_v2.json",
            "HUMAN_ATTR_PATH": "items_human_ins.json",
        }
        for name, file in files.items():
            setattr(self.engine, name, str(Path(folder) / file))
        self.engine.PRODUCT_WINDOW = page_size
        random.seed(seed)
        if human:
            self.engine.init_search_engine = lambda num_products=None: self
        self.site.init_search_engine = lambda num_products=None: self
        self.site.time.time = lambda: 0.0
        server = self.site.SimServer("http://127.0.0.1:3000", str(Path(folder) / "items_shuffle.json"), human_goals=human,
                                     show_attrs=attributes_page)  # fmt: skip
        self.env = self.site.WebAgentTextEnv(observation_mode="html", server=server, session="parity")
        self._parse_once()
        self.index, self.other = Index(self.do_documents(), length=length), None
        return {
            "goals": server.goals, "prices": server.product_prices, "num_products": len(server.all_products),
            "names": {p["asin"]: p["name"] for p in server.all_products},
            "options": {p["asin"]: p["options"] for p in server.all_products},
        }  # fmt: skip

    def do_draws(self, count: int) -> list[int]:
        """Return the goals of new sessions, as a process draws them that did nothing else since its goals were ready."""
        server = self.env.server
        places = {id(goal): place for place, goal in enumerate(server.goals)}
        server.user_sessions.clear()
        random.seed(233)
        random.shuffle(list(range(len(server.goals))))
        drawn = []
        for _ in range(count):
            self.env.reset()
            drawn.append(places[id(server.user_sessions[self.env.session]["goal"])])
        return drawn

    def do_reward(self, calls: list[dict[str, Any]]) -> list[list[Any]]:
        """Return reward and its parts of direct calls: asin, goal (its number or fields), price, options (group: value), nouns."""
        server, answers = self.env.server, []
        for call in calls:
            self.nouns = call["nouns"]
            goal = server.goals[call["goal"]] if isinstance(call["goal"], int) else call["goal"]
            product = server.product_item_dict[call["asin"]]
            reward, info = self.goal.get_reward(
                product, goal, price=call["price"], options=call["options"], verbose=True
            )
            answers.append([reward, info])
        return answers

    def do_reset(self, goal: int) -> dict[str, Any]:
        """Start an episode with a goal of the shuffled list."""
        self.env.server.user_sessions.clear()
        self.env.reset(session=goal)
        return self._seen(0.0, False)

    def do_step(self, action: str) -> dict[str, Any]:
        """Take an action."""
        _, reward, is_done, _ = self.env.step(action)
        return self._seen(reward, is_done)

    def do_search(self, query: str, k: int) -> list[str]:
        """Return the ids that the BM25 of this side finds."""
        return [hit.docid for hit in self.search(query, k)]

    def do_documents(self) -> list[tuple[str, str]]:
        """Return id and text of what upstream indexes, in order."""
        return [(product["asin"], document(product)) for product in self.env.server.all_products]

    def do_bm25s_scores(self, query: str) -> list[float]:
        """Return the score of every document by another implementation: bm25s, Lucene's formula."""
        if self.other is None:
            import bm25s

            self.other = bm25s.BM25(method="lucene", k1=K1, b=B)
            self.other.index([analyse(text) for _, text in self.do_documents()], show_progress=False)
        known = [term for term in analyse(query) if term in self.other.vocab_dict]
        return (
            [float(score) for score in self.other.get_scores(known)]
            if known
            else [0.0] * len(self.env.server.all_products)
        )

    def _seen(self, reward: float, is_done: bool) -> dict[str, Any]:
        html, env = self.env.state["html"], self.env
        text, rich = (env.convert_html_to_text(html, simple=is_simple) for is_simple in (True, False))
        if self.page == "done":
            text, rich = without_bookkeeping(text, " [SEP] "), without_bookkeeping(rich, "\n")
        return {
            "reward": reward, "done": is_done, "text": text, "text_rich": rich, "available": env.get_available_actions(),
            "page": self.page,
        }  # fmt: skip


def digest(folder: Path) -> str:
    """Return the SHA-256 of the files that decide results, each as its path and its bytes."""
    total = hashlib.sha256()
    for part in ("engine", "envs", "templates", "utils.py"):
        root = folder / "web_agent_site" / part
        for file in sorted([root, *root.rglob("*")]):
            if file.suffix in (".py", ".html"):
                total.update(file.relative_to(folder).as_posix().encode() + b"\0" + file.read_bytes())
    return f"sha256:{total.hexdigest()}"


def without_bookkeeping(text: str, separator: str) -> str:
    """Return the last page without the crowd worker's code and the fields, all empty, of a block that browsers do not show."""
    parts = text.split(separator)
    score = next(place for place, part in enumerate(parts) if part.startswith("Your score"))
    last = [""] if parts[-1] == "" else []
    return separator.join([parts[0], *parts[score : score + 2], *last])


def document(product: dict[str, Any]) -> str:
    """Return the text that upstream's convert_product_file_format.py indexes for a product."""
    options = ", and ".join(f"{name}: {', '.join(values)}" for name, values in product.get("options", {}).items())
    return " ".join([product["Title"], product["Description"], product["BulletPoints"][0], options]).lower()


def main() -> int:
    """Answer requests until stdin ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--upstream", type=Path, required=True, help="checkout of princeton-nlp/WebShop")
    arguments = parser.parse_args()
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # upstream prints
    upstream = Upstream(arguments.upstream)
    for line in sys.stdin:
        request = json.loads(line)
        name = request.pop("do")
        try:
            answer: Any = getattr(upstream, f"do_{name}")(**request)
        except Exception as error:  # noqa: BLE001 - told to the caller, who compares it
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
