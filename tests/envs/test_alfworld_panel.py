"""Which game files are played: upstream's rules, a fixed order, one hash, and why the others are left out."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from vldac.envs.alfworld.panel import find_games
from vldac.envs.alfworld.tables import TASK_NAMES

from vldac.errors import EnvError

PARTS = {"pddl_domain": "(define)", "grammar": "g", "pddl_problem": "(define)"}


@pytest.fixture(autouse=True)
def _no_data_of_ones_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("ALFWORLD_DATA", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def write(
    root: Path, name: str, *, task: str = "pick", split: str = "train", goals: tuple[str, ...] = (), **game: Any,
) -> Path:  # fmt: skip
    """Write a game's two files and return its folder."""
    folder = root / "json_2.1.1" / split / name / "trial_T1"
    folder.mkdir(parents=True)
    trajectory = {
        "task_type": TASK_NAMES.get(task, task), "images": [{"high_idx": 0}], "pddl_params": {},
        "turk_annotations": {"anns": [{"task_desc": goal, "votes": [1]} for goal in goals]},
    }  # fmt: skip
    (folder / "traj_data.json").write_text(json.dumps(trajectory), encoding="utf-8")
    (folder / "game.tw-pddl").write_text(json.dumps({**PARTS, "solvable": True, **game}), encoding="utf-8")
    return folder


def test_games_come_sorted_with_their_tasks_and_human_goals(tmp_path: Path) -> None:
    write(tmp_path, "look-b", task="look", goals=("Look at\n the  book. ", "", "Read it"))
    write(tmp_path, "heat-a", task="heat")
    write(tmp_path, "seen", split="valid_seen")
    panel = find_games("train", data=tmp_path)
    assert [Path(path).parts[-3] for path in panel.paths] == ["heat-a", "look-b"]
    assert all(path.endswith("trial_T1/game.tw-pddl") and Path(path).is_file() for path in panel.paths)
    assert panel.task_types == ("pick_heat_then_place_in_recep", "look_at_obj_in_light")
    assert panel.human_goals == ((), ("Look at the book.", "Read it"))
    assert panel.counts == {"pick": 0, "look": 1, "clean": 0, "heat": 1, "cool": 0, "pick_two": 0}
    assert panel.left_out == () and panel.reasons == {}
    assert panel.summary() == f"2 games of train (1 look, 1 heat), hash {panel.hash[:12]}"


def test_what_upstream_leaves_out_is_left_out_and_counted(tmp_path: Path) -> None:
    write(tmp_path, "good")
    write(tmp_path, "pick_and_place_with_movable_recep-x")
    write(tmp_path, "pick-AppleSliced-x")
    write(tmp_path, "unsolvable", solvable=False)
    write(tmp_path, "unsolvable-too", solvable=False)
    write(tmp_path, "unknown", solvable=None)
    write(tmp_path, "other", task="dance")
    (write(tmp_path, "gone") / "game.tw-pddl").unlink()
    (tmp_path / "json_2.1.1" / "train" / "no-trajectory").mkdir()
    panel = find_games("train", data=tmp_path)
    assert [Path(path).parts[-3] for path in panel.paths] == ["good"]
    assert panel.reasons == {
        "movable receptacle or sliced object, which upstream leaves out": 2, "not solvable": 2, "not known to be solvable": 1,
        "unknown task": 1, "no game.tw-pddl": 1,
    }  # fmt: skip
    assert "left out 7: 2 movable receptacle" in panel.summary() and "2 not solvable" in panel.summary()
    reasons = {Path(path).parts[-3]: reason for path, reason in panel.left_out}
    assert reasons["other"] == "unknown task: dance" and reasons["gone"] == "no game.tw-pddl"


def test_a_folder_above_the_data_may_say_movable(tmp_path: Path) -> None:
    write(tmp_path / "movable-disk", "good")
    assert len(find_games("train", data=tmp_path / "movable-disk").paths) == 1


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("game.tw-pddl", '{"pddl_domain": "(def'), ("game.tw-pddl", "[]"), ("game.tw-pddl", '{"pddl_domain": "x", "solvable": true}'),
        ("game.tw-pddl", json.dumps({**PARTS, "grammar": 3, "solvable": True})), ("game.tw-pddl", "[" * 100_000),
        ("game.tw-pddl", json.dumps({**PARTS, "solvable": 1})), ("traj_data.json", "{}"),
        ("traj_data.json", '{"task_type": 3}'), ("traj_data.json", ""),
        ("traj_data.json", '{"task_type": "pick_and_place_simple", "turk_annotations": {"anns": 3}}'),
    ],
)  # fmt: skip
def test_a_file_that_is_not_what_it_should_be_is_left_out_and_the_rest_played(
    tmp_path: Path, file: str, text: str
) -> None:
    write(tmp_path, "good")
    (write(tmp_path, "bad") / file).write_text(text, encoding="utf-8")
    panel = find_games("train", data=tmp_path)
    assert [Path(path).parts[-3] for path in panel.paths] == ["good"]
    assert panel.reasons == {f"{file} is not what it should be": 1}


def test_a_file_that_is_not_utf8_is_left_out(tmp_path: Path) -> None:
    write(tmp_path, "good")
    (write(tmp_path, "bad") / "game.tw-pddl").write_bytes(json.dumps(PARTS).encode().replace(b'"g"', b'"\xff"'))
    assert find_games("train", data=tmp_path).reasons == {"game.tw-pddl is not what it should be": 1}


def test_tasks_are_chosen_by_either_name(tmp_path: Path) -> None:
    for task in TASK_NAMES:
        write(tmp_path, task, task=task)
    one = find_games("train", data=tmp_path, tasks=["pick_two", "look"])
    other = find_games("train", data=tmp_path, tasks=("look_at_obj_in_light", "pick_two_obj_and_place"))
    assert one == other and one.counts["look"] == one.counts["pick_two"] == 1 and len(one.paths) == 2
    assert one.left_out == ()  # what was not asked for is not missed
    assert len(find_games("train", data=tmp_path).paths) == 6
    with pytest.raises(EnvError, match="did you mean 'look'") as caught:
        find_games("train", data=tmp_path, tasks=["loook"])
    assert caught.value.got == "'loook'"


def test_the_hash_follows_contents_and_names_but_not_the_folder(tmp_path: Path) -> None:
    def hash_of(where: str, **changes: Any) -> str:
        write(tmp_path / where, changes.pop("name", "a"), goals=changes.pop("goals", ("say",)), **changes)
        write(tmp_path / where, "z")
        return find_games("train", data=tmp_path / where).hash

    first = hash_of("one")
    assert len(first) == 64 and hash_of("two") == first
    different = [
        hash_of("three", grammar="h"), hash_of("four", name="b"), hash_of("five", goals=("say", "more")),
        hash_of("six", goals=("says",)), hash_of("seven", solvable=False),
    ]  # fmt: skip
    assert len({first, *different}) == 6


def test_data_is_the_argument_or_the_variable_or_upstreams_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "argument", "argument")
    write(tmp_path / "variable", "variable")
    write(tmp_path / "home" / ".cache" / "alfworld", "home")
    assert "/home/" in find_games("train").paths[0]
    monkeypatch.setenv("ALFWORLD_DATA", str(tmp_path / "variable"))
    assert "/variable/" in find_games("train").paths[0]
    assert "/argument/" in find_games("train", data=str(tmp_path / "argument")).paths[0]
    inner = tmp_path / "argument" / "json_2.1.1"
    assert find_games("train", data=inner).hash == find_games("train", data=tmp_path / "argument").hash


def test_missing_data_say_where_they_should_be_and_how_to_get_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(EnvError) as caught:
        find_games("train")
    assert caught.value.got == "no such folder" and "ALFWORLD_DATA is not set" in caught.value.where
    assert "alfworld-download" in caught.value.do and "generate-alfworld" in caught.value.do
    assert caught.value.expected.endswith(os.path.join("json_2.1.1", "train"))
    monkeypatch.setenv("ALFWORLD_DATA", str(tmp_path))
    with pytest.raises(EnvError, match="a folder without them") as caught:
        find_games("train")
    assert f"{tmp_path} (ALFWORLD_DATA)" in caught.value.where
    write(tmp_path, "x", split="valid_seen")
    with pytest.raises(EnvError, match="only valid_seen"):
        find_games("train")


@pytest.mark.parametrize("split", ["valid_sen", "", "..", "../train", "test"])
def test_an_unknown_split_is_refused_with_those_that_are_known(tmp_path: Path, split: str) -> None:
    write(tmp_path, "x")
    write(tmp_path, "x", split="mine")
    with pytest.raises(EnvError, match="train, valid_seen, valid_unseen, mine") as caught:
        find_games(split, data=tmp_path)
    assert caught.value.got == repr(split)
    assert len(find_games("mine", data=tmp_path).paths) == 1  # a folder of one's own is a split


def test_a_split_without_a_playable_game_is_refused_with_the_reasons(tmp_path: Path) -> None:
    write(tmp_path, "a", solvable=False)
    write(tmp_path, "b", solvable=False)
    with pytest.raises(EnvError, match="none; left out 2: 2 not solvable"):
        find_games("train", data=tmp_path)
    write(tmp_path, "c", task="heat")
    with pytest.raises(EnvError, match="games of pick that can be played"):
        find_games("train", data=tmp_path, tasks=["pick"])
