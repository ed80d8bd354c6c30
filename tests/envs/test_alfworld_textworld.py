"""A sample of benchmarks/alfworld_parity.py: generated games, played live by TextWorld and by both native layers.

The whole comparison is in benchmarks/results/alfworld_parity.json.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent / "alfworld"))
from engines import LAYERS, Play, benchmark, needs_textworld, reference
from household import game, problem


def content_of(room: str, wording: str, seed: int) -> dict[str, Any]:
    """Return the game file of a generated game."""
    from vldac.envs.alfworld.generate import generate_games
    from vldac.envs.alfworld.options import GeneratorOptions

    made = next(generate_games(1, seed=seed, options=GeneratorOptions(rooms=(room,), tasks=("pick",), wording=wording)))
    content: dict[str, Any] = json.loads(made.files["game.tw-pddl"])
    return content


@needs_textworld
@pytest.mark.parametrize(
    ("room", "wording", "seed"),
    [("Bathroom", "new", 3), ("Bedroom", "old", 4), ("LivingRoom", "new", 5), ("Kitchen", "old", 6)],
)
def test_generated_games_are_played_as_textworld_plays_them(room: str, wording: str, seed: int) -> None:
    content = content_of(room, wording, seed)
    parity = benchmark("alfworld_parity")
    told, counts = benchmark("alfworld_reference").transcript(reference(), content, seed, 24, parity.START)
    assert counts["won"] >= 1, "the expert wins from the middle on"
    for layer in LAYERS:
        assert list(parity.differences({"name": room, "game": content, **told}, layer)) == []


@pytest.mark.parametrize("layer", LAYERS)
def test_a_transcript_of_another_game_differs(layer: str) -> None:
    parts: dict[str, Any] = {"receptacles": ["Desk|1 @ a"], "goal": "pick Mug Desk"}
    content = game(problem(objects=["Mug|1 in Desk|1"], **parts))
    play = Play(layer, content)
    opening, commands = play.opening, play.commands()
    said = play.say("go to desk 1")
    come, gone = sorted(set(play.commands()) - set(commands)), sorted(set(commands) - set(play.commands()))
    step = ["go to desk 1", said, gone, come, [int(word) for word in play.outcome]]
    entry = {
        "name": "x",
        "game": content,
        "reset": {"text": opening, "commands": commands, "won": True},
        "steps": [step],
    }
    differences = benchmark("alfworld_parity").differences
    assert list(differences(entry, layer)) == []
    other = {**entry, "game": game(problem(objects=["Mug|1 in Desk|1", "Mug|2 in Desk|1"], **parts))}
    assert "step 1 'go to desk 1': 'You arrive" in next(differences(other, layer))
    for i, wrong in ((2, ["look"]), (3, [*come, "dance"]), (4, [0, 0, 0])):
        changed = [*step[:i], wrong, *step[i + 1 :]]
        assert len(list(differences({**entry, "steps": [changed]}, layer))) == 1
    assert len(list(differences({**entry, "reset": {**entry["reset"], "commands": commands[1:]}}, layer))) == 1
