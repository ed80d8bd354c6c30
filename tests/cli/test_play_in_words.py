"""Playing text environments by hand: what may be typed, what is shown."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from vldac.envs import make
from vldac.play import play
from vldac.typed import numbered_list, page_of, response_of

COMMANDS = ["search[<words>]", "click[Buy Now]", "click[B0ABC12345]", "click[10 inch]", "look"]


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache of the test's own, where shops and their stores are kept."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VLDAC_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("search[red shoes]", "search[red shoes]"),
        ("1 red shoes", "search[red shoes]"),
        ("1: red shoes", "search[red shoes]"),
        ("1", None),  # words are missing
        ("2", "click[Buy Now]"),
        ("click[buy now]", "click[Buy Now]"),
        ("Buy now", "click[Buy Now]"),
        (" b0abc12345 ", "click[B0ABC12345]"),
        ("10 inch", "click[10 inch]"),
        ("LOOK", "look"),
        ("6", None),
        ("0", None),
        ("buy", None),
        ("<words>", None),
        ("red shoes", None),
    ],
)
def test_a_command_its_number_or_its_name_is_enough(line: str, command: str | None) -> None:
    response = response_of(line, COMMANDS)
    assert (None if response is None else json.loads(response)["action"]) == command


def test_a_response_stays_as_it_is_whatever_it_holds() -> None:
    for line in ('{"thoughts": "2", "action": "look"}', '{"action": "nothing of the kind"}', "Action: look"):
        assert response_of(line, COMMANDS) == line


def test_lists_and_pages_are_wrapped_between_their_parts() -> None:
    lines = numbered_list([f"click[option number {i}]" for i in range(40)], width=60).splitlines()
    assert max(map(len, lines)) <= 60 and all(re.match(r"\d+ click\[", line) for line in lines)
    assert page_of("WebShop [SEP] Instruction: [SEP]  [SEP] buy\nnow") == "WebShop\nInstruction:\nbuy\nnow"


def test_a_purchase_by_hand_says_what_was_met(tmp_path: Path) -> None:
    env = make("WebShop-v0", 1, task="vldac", data="short")
    env.reset(seed=4)
    lines = []
    while True:
        (command,) = env.oracle_commands()
        known = env.commands()[0]
        lines.append(str(known.index(command) + 1) if command in known else f"1 {command[7:-1]}")
        if env.step([command])[2][0]:
            break
    env.close()
    sink = io.StringIO()
    summary = play(
        "WebShop-v0", seed=4, options={"data": "short"}, source=io.StringIO("\n".join(["what?", *lines, "q"])), sink=sink,
        picture_dir=tmp_path,
    )  # fmt: skip
    out = sink.getvalue()
    assert (summary.steps, summary.unparsable, summary.successes) == (len(lines), 0, 1)
    assert out.count("that is no command here") == 1 and "search[<words>]" in out
    assert re.search(r"met      attributes 1 of 1, options 1 of 1, price yes", out)
    assert re.search(r"chosen   \w+", out) and out.count("prompt   ") == 1 and out.count("page     ") == len(lines) + 1
    assert len(list(tmp_path.glob("*.png"))) == len(lines) + 1


def test_a_whole_response_that_names_no_command_takes_a_random_one(tmp_path: Path) -> None:
    sink = io.StringIO()
    source = io.StringIO('1 mug\n{"action": "click[Buy Now]"}\nq\n')
    play("WebShop-v0", options={"data": "short"}, source=source, sink=sink, picture_dir=tmp_path)
    assert "drawn at random" in sink.getvalue()
