"""Both native layers say what TextWorld said: every text and admissible command that benchmarks/alfworld_golden.py recorded."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent / "alfworld"))
from engines import LAYERS, Play, benchmark, needs_textworld, reference
from household import FOLDER, WORDINGS, game

from vldac import _core

FILES = sorted((FOLDER / "golden").glob("*.json"))
GENERIC_ONLY = {"first"}
"""Wordings whose rules the fast path does not know"""
TASKS = {"pick", "look", "clean", "heat", "cool", "two"}
ROOMS = {"kitchen", "living", "bedroom", "bathroom"}


def read(path: Path) -> dict[str, Any]:
    entry: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return entry


def content_of(entry: dict[str, Any]) -> dict[str, Any]:
    return game(entry["problem"], entry["wording"], entry["sentence"])


def replay(play: Play, entry: dict[str, Any]) -> None:
    """Say a transcript's commands; every answer must be its own."""
    assert play.opening == entry["reset"]["text"]
    assert play.commands() == entry["reset"]["commands"]
    commands = set(entry["reset"]["commands"])
    for i, (command, text, gone, come, outcome) in enumerate(entry["steps"]):
        assert play.say(command) == text, f"step {i}: {command!r}"
        commands = (commands - set(gone)) | set(come)
        assert play.commands() == sorted(commands), f"step {i}: {command!r}"
        assert play.outcome == (outcome[0], bool(outcome[1]), bool(outcome[2])), f"step {i}: {command!r}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
@pytest.mark.parametrize("layer", LAYERS)
def test_every_answer_is_textworlds(path: Path, layer: str) -> None:
    entry = read(path)
    if layer == "fast" and entry["wording"] in GENERIC_ONLY:
        with pytest.raises(ValueError, match="fast"):
            Play("fast", content_of(entry))
    else:
        replay(Play(layer, content_of(entry)), entry)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
@pytest.mark.parametrize("layer", LAYERS)
def test_a_game_begins_again_as_it_began_and_goes_on_where_it_was_saved(path: Path, layer: str) -> None:
    entry = read(path)
    play = Play("generic" if entry["wording"] in GENERIC_ONLY else layer, content_of(entry))
    middle = len(entry["steps"]) // 2
    for step in entry["steps"][:middle]:
        play.say(step[0])
    saved, commands = play.player.save(), play.commands()
    assert play.player.reset() == play.opening == entry["reset"]["text"]
    assert play.commands() == entry["reset"]["commands"]
    other = Play("generic" if entry["wording"] in GENERIC_ONLY else layer, content_of(entry))
    other.player.load(saved)
    assert other.commands() == commands
    assert [other.say(step[0]) for step in entry["steps"][middle:]] == [step[1] for step in entry["steps"][middle:]]


def test_a_known_game_is_played_by_the_fast_path_and_another_by_the_interpreter() -> None:
    for path in FILES:
        entry = read(path)
        played = _core.AlfworldPlayer(
            _core.AlfworldGame.parse(json.dumps(content_of(entry)).encode(), path.name), "auto"
        )
        assert played.is_fast == (entry["wording"] not in GENERIC_ONLY), path.name


def test_the_transcripts_cover_every_action_room_task_wording_and_event() -> None:
    entries = [read(path) for path in FILES]
    assert {entry["wording"] for entry in entries} == WORDINGS.keys()
    assert {entry["name"].split("-")[1] for entry in entries if entry["name"].startswith("real")} == TASKS
    assert {entry["name"].split("-")[2] for entry in entries if entry["name"].startswith("real")} == ROOMS
    said: Counter[str] = Counter()
    for entry in entries:
        receptacles = {word for c in entry["reset"]["commands"] if c.startswith("go to ") for word in [c[6:]]}
        commands, was_won = set(entry["reset"]["commands"]), False
        for command, text, gone, come, (_, won, _) in entry["steps"]:
            word, _, rest = command.strip().partition(" ")
            is_admissible = command.strip() in commands
            assert is_admissible or text == "Nothing happens."
            kind = {"examine": "examine receptacle" if rest in receptacles else "examine object", "move": "put"}.get(
                word, word
            )
            said[kind if is_admissible else "not admissible"] += 1
            said["padded"] += is_admissible and command != command.strip()
            said["undone"] += was_won and not won
            said["faces several"] += text.startswith("You are facing the") and ", and " in text.split(". ")[0]
            said["next to it"] += "Next to it, you see a" in text
            said["sees nothing at the start"] += "looking quickly around you, you see nothing" in text.lower()
            was_won = bool(won)
            commands = (commands - set(gone)) | set(come)
        assert entry["steps"][0][0] == "look", "`look` before the first move"
    wanted = {
        "look", "inventory", "help", "examine receptacle", "examine object", "go", "open", "close", "take", "put", "clean", "heat",
        "cool", "use", "slice", "not admissible", "padded", "undone", "faces several", "next to it", "sees nothing at the start",
    }  # fmt: skip
    assert wanted <= {kind for kind, count in said.items() if count}


@needs_textworld
def test_textworld_still_says_what_it_said() -> None:
    entry = read(FOLDER / "golden" / "small-shared.json")
    again = {key: entry[key] for key in ("name", "source", "wording", "sentence", "problem")}
    benchmark("alfworld_golden").record(reference(), again, len(entry["steps"]))
    assert again["reset"] == entry["reset"] and again["steps"] == entry["steps"]
