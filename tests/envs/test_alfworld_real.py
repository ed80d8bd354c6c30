"""ALFWorld's own games, where ALFWORLD_DATA says where they are: found, won, and played alike by both layers."""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

import pytest
from vldac.envs.alfworld.panel import SPLITS, find_games

from vldac import _core

sys.path.insert(0, str(Path(__file__).resolve().parent / "alfworld"))
from engines import benchmark

DATA = os.environ.get("ALFWORLD_DATA", "")
FOUND = [split for split in SPLITS if DATA and (Path(DATA) / "json_2.1.1" / split).is_dir()]
pytestmark = pytest.mark.skipif(not FOUND, reason="needs ALFWorld's games (ALFWORLD_DATA)")
OFFICIAL = {
    "train": {"pick": 790, "look": 308, "clean": 650, "heat": 459, "cool": 533, "pick_two": 813},
    "valid_seen": {"pick": 35, "look": 13, "clean": 27, "heat": 16, "cool": 25, "pick_two": 24},
    "valid_unseen": {"pick": 24, "look": 18, "clean": 31, "heat": 23, "cool": 21, "pick_two": 17},
}


@pytest.mark.parametrize("split", FOUND)
def test_a_whole_split_has_the_official_numbers_of_each_task(split: str) -> None:
    panel = find_games(split, data=DATA)
    if len(panel.paths) < sum(OFFICIAL[split].values()):
        pytest.skip(f"a part of the split: {panel.summary()}")
    assert panel.counts == OFFICIAL[split]


@pytest.mark.parametrize("split", FOUND)
def test_the_expert_and_the_walkthroughs_win_real_games(split: str) -> None:
    lost = []
    panel = find_games(split, data=DATA)
    for i, path in enumerate(panel.paths):
        game = _core.AlfworldGame.load(path)
        for layer in ("fast", "generic") if i % 8 == 0 else ("fast",):
            player = _core.AlfworldPlayer(game, layer)
            player.reset()
            for _ in range(50):
                if player.won or (command := player.expert()) is None:
                    break
                assert command in player.commands(), path
                player.step(command)
            lost += [] if player.won else [(layer, path)]
            if game.walkthrough:
                player.reset()
                assert all(player.step(command) != "Nothing happens." for command in game.walkthrough), path
                assert player.won, path
    assert len(lost) <= 0.05 * len(panel.paths), lost


@pytest.mark.parametrize("split", FOUND)
def test_both_layers_play_real_games_alike(split: str) -> None:
    wander = benchmark("alfworld_reference").Wanderer
    for seed, path in enumerate(find_games(split, data=DATA).paths):
        game = _core.AlfworldGame.load(path)
        fast, generic = _core.AlfworldPlayer(game, "fast"), _core.AlfworldPlayer(game, "generic")
        choose = wander(random.Random(seed))
        assert fast.reset() == generic.reset(), path
        for step in range(40):
            command = choose(tuple(fast.commands()))
            assert fast.step(command) == generic.step(command), (path, step, command)
            assert fast.commands() == generic.commands(), (path, step, command)
            assert (fast.score, fast.won, fast.done) == (generic.score, generic.won, generic.done), (
                path,
                step,
                command,
            )
            assert fast.conditions() == generic.conditions(), (path, step, command)
