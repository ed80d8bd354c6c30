"""Game files that are no games: each is refused with its name, the part and the position; none hangs or crashes."""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent / "alfworld"))
from household import encoded, game, problem

from vldac import _core

GOOD = game(
    problem(
        receptacles=["Cabinet|1 @ a", "CounterTop|1 @ b"], objects=["Mug|1 in CounterTop|1", "Egg|1 in Cabinet|1"],
        goal="pick Mug Cabinet",
    )
)  # fmt: skip
NAME = "bad.tw-pddl"


def refusal(data: bytes) -> str:
    with pytest.raises(ValueError) as caught:
        _core.AlfworldGame.parse(data, NAME)
    assert str(caught.value).startswith(f"{NAME}: "), str(caught.value)
    return str(caught.value)


def changed(part: str, change: Callable[[str], str]) -> bytes:
    content = dict(GOOD)
    content[part] = change(content[part])
    assert content[part] != GOOD[part]
    return encoded(content)


def test_the_unchanged_file_is_read() -> None:
    player = _core.AlfworldPlayer(_core.AlfworldGame.parse(encoded(GOOD), "good"), "auto")
    assert "you see a cabinet 1, and a countertop 1." in player.reset()


@pytest.mark.parametrize(
    ("data", "where"),
    [
        (b"", "file 1:1"), (b"hello", "file 1:1"), (b"[]", "file 1:1"), (b'{"pddl_domain": "x",}', "file 1:21"),
        (b'{"a": 01}', "file 1:"), (b'{"a": "\\x"}', "file 1:"), (b'{"a": 1} 2', "file 1:10"), (b"\xff\xfe{}", "file 1:1"),
        (b'{\n "a": nul}', "file 2:7"),
    ],
)  # fmt: skip
def test_what_is_no_json_object_is_refused_at_its_place(data: bytes, where: str) -> None:
    assert where in refusal(data)


@pytest.mark.parametrize("part", ["pddl_domain", "grammar", "pddl_problem"])
def test_a_file_without_a_part_is_refused_with_the_parts_name(part: str) -> None:
    assert part in refusal(encoded({key: value for key, value in GOOD.items() if key != part}))
    for wrong in (None, 3, ["a"], {"a": 1}, True):
        assert part in refusal(encoded({**GOOD, part: wrong}))
    refusal(encoded({**GOOD, part: ""}))


def test_solvable_and_walkthrough_have_to_be_what_they_are() -> None:
    assert "solvable" in refusal(encoded({**GOOD, "solvable": "yes"}))
    assert "walkthrough" in refusal(encoded({**GOOD, "walkthrough": "look"}))
    assert "expected a string, got a number" in refusal(encoded({**GOOD, "walkthrough": [1]}))


def test_a_file_may_leave_out_solvable_and_walkthrough() -> None:
    rest = {key: value for key, value in GOOD.items() if key not in ("solvable", "walkthrough")}
    assert _core.AlfworldGame.parse(encoded(rest), "older").solvable is None
    assert _core.AlfworldGame.parse(encoded({**GOOD, "solvable": False}), "unsolvable").solvable is False
    assert _core.AlfworldGame.parse(encoded({**GOOD, "walkthrough": ["look"]}), "good").walkthrough == ["look"]


def test_a_truncated_file_is_refused_wherever_it_ends() -> None:
    data = encoded(GOOD)
    for end in range(0, len(data), 499):
        refusal(data[:end])
    refusal(data[:-1])


@pytest.mark.parametrize("part", ["pddl_domain", "grammar", "pddl_problem"])
def test_a_truncated_part_is_refused_at_a_line_and_column(part: str) -> None:
    label = {"pddl_domain": "domain", "grammar": "grammar", "pddl_problem": "problem"}[part]
    text = GOOD[part]
    for end in range(10, len(text.rstrip()) - 1, max(1, len(text) // 23)):
        if part != "grammar" or not _is_whole_grammar(text[:end]):
            message = refusal(encoded({**GOOD, part: text[:end]}))
            assert message.startswith(f"{NAME}: "), message
            assert f"{label} " in message or "symbol" in message, message


def _is_whole_grammar(text: str) -> bool:
    return text.rstrip().endswith(("}", ";")) and text.count('"""') % 2 == 0


@pytest.mark.parametrize(
    ("part", "old", "new", "where"),
    [
        ("pddl_domain", "(:action look", "(:durative-action look", "domain"),
        ("pddl_domain", "(:action look", "(:derived (x) (y)) (:action look", "domain"),
        ("pddl_domain", "(:action inventory", "(:action look", "domain"),
        ("pddl_domain", "(not (opened ?r))\n            )\n    :effect", "(preference p (opened ?r)))\n    :effect", "domain"),
        ("pddl_domain", "(not (opened ?r))\n            )\n    :effect", "(>= (total-cost) 3))\n    :effect", "domain"),
        ("pddl_domain", "(holdsAny ?a)\n", "(holdsMany ?a)\n", "domain"),
        ("pddl_domain", ":adl", ":timed-initial-literals", "domain"),
        ("pddl_problem", "(:init", "(:init (at 5 (opened Cabinet_bar_1)) ", "problem"),
        ("pddl_problem", "(:init", "(:init (openable Nowhere_bar_1) ", "problem"),
        ("pddl_problem", "(:init", "(:init (openable Cabinet_bar_1 Cabinet_bar_1) ", "problem"),
        ("pddl_problem", "(:init", "(:inits", "problem"),
        ("pddl_problem", "(:goal (and", "(:goal (xor", "problem"),
        ("pddl_problem", "(inReceptacle ?o ?r)", "(inReceptacle ?o ?q)", "problem"),
        ("pddl_problem", " - receptacle", " - cupboard", "problem"),
        ("pddl_problem", "(:domain alfred)", "(:domain other)", "problem"),
        ("grammar", "#look.feedback#\\n", "#nowhere#\\n", "grammar"),
        ("grammar", "{o.name} from", "{__import__('os').getcwd()} from", "grammar"),
        ("grammar", "{o.name} from", "{o.colour} from", "grammar"),
        ("grammar", "holdsany(a:agent)", "holdsany(a:agent", "grammar"),
        ("grammar", "action OpenObject {", "action OpenObject", "grammar"),
        ("grammar", '"rhs": "TODO"', '"rhs": ["TODO"]', "grammar"),
    ],
)  # fmt: skip
def test_a_construct_that_is_not_known_is_refused_at_its_place(part: str, old: str, new: str, where: str) -> None:
    message = refusal(changed(part, lambda text: text.replace(old, new, 1)))
    assert message.startswith(f"{NAME}: {where} "), message
    line, column = message.split(": ")[1].split()[1].split(":")
    assert int(line) >= 1 and int(column) >= 1


@pytest.mark.parametrize("depth", [300, 100_000])
def test_nesting_without_end_is_refused(depth: int) -> None:
    refusal(b"[" * depth)
    refusal(b'{"pddl_domain":' * depth)
    refusal(encoded({**GOOD, "pddl_domain": "(" * depth + ")" * depth}))
    refusal(encoded({**GOOD, "pddl_problem": GOOD["pddl_problem"].replace("(:goal (and", "(:goal " + "(not " * depth)}))
    refusal(
        changed("grammar", lambda text: text.replace('"condition":', '"more": ' + "[" * depth + ', "condition":', 1))
    )


def test_a_grammar_that_never_ends_is_refused_or_stops() -> None:
    data = changed("grammar", lambda text: text.replace("You are not carrying anything.", "#inventory.feedback#"))
    with pytest.raises(ValueError):
        player = _core.AlfworldPlayer(_core.AlfworldGame.parse(data, NAME), "generic")
        player.reset()
        player.step("inventory")


def test_altered_bytes_give_a_game_or_a_refusal() -> None:
    rng, data, refused = random.Random(7), encoded(GOOD), 0
    for _ in range(300):
        altered = bytearray(data)
        for _ in range(rng.randint(1, 4)):
            altered[rng.randrange(len(altered))] = rng.choice(b' ()[]{}"\\#?-:;.0azAZ\x00\xff')
        try:
            player = _core.AlfworldPlayer(_core.AlfworldGame.parse(bytes(altered), NAME), "auto")
            player.reset()
            for command in list(player.commands())[:3]:
                player.step(command)
        except ValueError as error:
            refused += 1
            assert str(error)
    assert 0 < refused < 300


def test_a_saved_state_that_was_altered_is_refused() -> None:
    played = _core.AlfworldPlayer(_core.AlfworldGame.parse(encoded(GOOD), "good"), "auto")
    played.reset()
    played.step("go to cabinet 1")
    saved = played.save()
    for bad in (b"", saved[:-1], saved + b"\0", b"\xff" * len(saved)):
        with pytest.raises(ValueError):
            played.load(bad)
    played.load(saved)
    assert "open cabinet 1" in played.commands()


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.tw-pddl", tmp_path):
        with pytest.raises((ValueError, OSError), match=str(path)):
            _core.AlfworldGame.load(str(path))


def test_games_that_mean_the_same_have_one_hash() -> None:
    def hash_of(content: dict[str, Any]) -> str:
        return str(_core.AlfworldGame.parse(json.dumps(content).encode(), "x").content_hash)

    same = {
        **GOOD,
        "pddl_domain": GOOD["pddl_domain"] + "\n; a comment\n",
        "pddl_problem": GOOD["pddl_problem"].upper(),
    }
    assert hash_of(GOOD) == hash_of(dict(reversed(GOOD.items()))) == hash_of(same)
    other = {**GOOD, "pddl_problem": GOOD["pddl_problem"].replace("(inReceptacle Egg_bar_1 Cabinet_bar_1)", "")}
    assert other["pddl_problem"] != GOOD["pddl_problem"] and hash_of(other) != hash_of(GOOD)
