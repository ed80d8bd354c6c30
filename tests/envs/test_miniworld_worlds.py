"""The native MiniWorld's worlds, steps and ends: against the miniworld package, against the pool, and against themselves."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vldac
from vldac import _core
from vldac.errors import EnvError

ROOT = Path(__file__).resolve().parents[2]
IDS = [spec.id for spec in _core.env_specs() if spec.id.startswith("MiniWorld-")]
SEEDS = (0, 1, 2)
GOLDEN = {
    "MiniWorld-CollectHealth-v0": "7719e1ba7e1f0888",
    "MiniWorld-FourRooms-v0": "da13e3176f3fb0c4",
    "MiniWorld-Hallway-v0": "6975df936842a026",
    "MiniWorld-Maze-v0": "9c4853681f178061",
    "MiniWorld-MazeS2-v0": "9b20f8ea6bf55231",
    "MiniWorld-MazeS3-v0": "94a97811b450942e",
    "MiniWorld-MazeS3Fast-v0": "197ab9b3a8c1f63c",
    "MiniWorld-OneRoom-v0": "5e1ad87c6e41c088",
    "MiniWorld-OneRoomS6-v0": "ee5e4c857dbbd525",
    "MiniWorld-OneRoomS6Fast-v0": "fa64231eb12d6efb",
    "MiniWorld-PickupObjects-v0": "ad7b659e7be1851d",
    "MiniWorld-PutNext-v0": "d6bc0f1e64b60853",
    "MiniWorld-RoomObjects-v0": "e34303e8f77abedb",
    "MiniWorld-Sidewalk-v0": "6ed853d9a8a00afa",
    "MiniWorld-Sign-v0": "8847a5ba8f86cfa4",
    "MiniWorld-TMaze-v0": "fde5017352e46c8b",
    "MiniWorld-TMazeLeft-v0": "bc66af1b2c5d02c7",
    "MiniWorld-TMazeRight-v0": "77a6ef98aadba233",
    "MiniWorld-ThreeRooms-v0": "4b0365e0559cf1bd",
    "MiniWorld-WallGap-v0": "34c832407243131c",
    "MiniWorld-YMaze-v0": "28c1f9d9d0d09ddd",
    "MiniWorld-YMazeLeft-v0": "77d72f90400a518a",
    "MiniWorld-YMazeRight-v0": "05e6f54642dfa07e",
}
"""Made when benchmarks/miniworld_worlds.py held."""


def has_domain(env_id: str) -> bool:
    return "Sign" not in env_id


def summed(value: Any, sink: Any) -> None:
    """Feed every number and word of nested data into a hash; 0 and -0 are one."""
    if isinstance(value, dict):
        for key in sorted(value):
            sink.update(key.encode())
            summed(value[key], sink)
    elif isinstance(value, list | tuple):
        for entry in value:
            summed(entry, sink)
    elif isinstance(value, str):
        sink.update(value.encode())
    else:
        sink.update((np.asarray(value, np.float64) + 0.0).tobytes())


def fingerprint(env_id: str) -> str:
    """Worlds of three seeds and 300 steps in each, with domain randomisation and without."""
    sink = hashlib.sha256()
    for options in ({}, {"domain_rand": 1.0}) if has_domain(env_id) else ({},):
        probe = _core.WorldProbe(env_id, options)
        for seed in SEEDS:
            probe.reset(seed)
            summed(probe.snapshot(), sink)
            actions = np.random.default_rng(seed).choice([0, 1, 2, 2, 2, 2, 3, 4, 5], 300)
            for action in actions.tolist():
                summed(probe.step(action), sink)
                summed(probe.poses(), sink)
    return sink.hexdigest()[:16]


@pytest.mark.parametrize("env_id", IDS)
def test_worlds_and_steps_are_those_that_were_compared_with_the_package(env_id: str) -> None:
    assert fingerprint(env_id) == GOLDEN[env_id]


def test_worlds_poses_rewards_and_ends_equal_the_packages(tmp_path: Path) -> None:
    """benchmarks/miniworld_worlds.py on a sample; its whole run is in benchmarks/results."""
    if importlib.util.find_spec("miniworld") is None:
        pytest.skip("the miniworld package is not installed (extra miniworld)")
    command = [sys.executable, "-P", str(ROOT / "benchmarks" / "miniworld_worlds.py")]
    command += ["--seeds", "3", "--steps", "600", "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    path = tmp_path / "miniworld_worlds.json"
    if not path.exists() and any(word in done.stderr for word in ("NoSuchDisplay", "EGL", "GLException", "libGL")):
        pytest.skip(f"no OpenGL for the package: {done.stderr.splitlines()[-1]}")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    row = json.loads(path.read_text())
    assert row["claim"]["holds"] and row["claim"]["total_steps"] >= 23 * 600
    assert sorted(run["env_id"] for run in row["runs"]) == sorted(IDS) and len(IDS) == 23
    assert all(run["different"] == 0 for run in row["runs"])
    assert sum(run["counts"]["carried"] for run in row["runs"]) > 100
    assert sum(run["counts"]["rewarded"] for run in row["runs"]) > 100


def test_the_comparison_notices_the_smallest_difference() -> None:
    spec = importlib.util.spec_from_file_location("miniworld_worlds", ROOT / "benchmarks" / "miniworld_worlds.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    probe = _core.WorldProbe("MiniWorld-ThreeRooms-v0", {})
    probe.reset(1)
    one, other = probe.snapshot(), probe.snapshot()
    assert not list(module.differences(one, other))
    other["entities"][2]["heading"] = math.nextafter(other["entities"][2]["heading"], 10)
    assert len(list(module.differences(one, other))) == 1
    other["segments"][3, 1, 2] = np.nextafter(other["segments"][3, 1, 2], 10)
    assert len(list(module.differences(one, other))) == 2


@pytest.mark.parametrize("env_id", IDS)
def test_the_pool_plays_the_same_worlds(env_id: str) -> None:
    """Poses, rewards and ends over several episodes of one stream, in two environments of a pool with threads."""
    probes = [_core.WorldProbe(env_id, {}) for _ in range(2)]
    env = vldac.envs.make(env_id, 2, num_threads=2, rng="stream", textures="builtin", image_size=(28, 28))
    env.reset(seed=40)
    for i, probe in enumerate(probes):
        probe.reset(40 + i)
    rng = np.random.default_rng(3)
    for _ in range(150):
        actions = rng.integers(len(env.action_names), size=2)
        _, reward, terminated, truncated, _ = env.step(actions)
        for i, probe in enumerate(probes):
            result = probe.step(int(actions[i]))
            assert result == (reward[i], terminated[i], truncated[i])
            if result[1] or result[2]:
                probe.reset(None)
        agents = [next(row for row in probe.poses() if row[0] == len(probe.poses()) - 1) for probe in probes]
        if all(len(probe.poses()) == len(probe.snapshot()["entities"]) for probe in probes) and "Pickup" not in env_id:
            assert env.poses().tolist() == [[row[1], row[3], row[4]] for row in agents]
    env.close()


def test_actions_horizons_and_goals_are_the_packages() -> None:
    specs = {spec.id.split("-")[1]: spec for spec in _core.env_specs() if spec.id in IDS}
    names = ["turn_left", "turn_right", "move_forward", "move_back", "pickup", "drop", "toggle", "done"]
    counts = {"CollectHealth": 8, "PickupObjects": 5, "PutNext": 8, "RoomObjects": 8, "Sign": 4}
    steps = {
        "CollectHealth": 1000, "FourRooms": 250, "Hallway": 250, "Maze": 1536, "MazeS2": 96, "MazeS3": 216, "MazeS3Fast": 300,
        "OneRoom": 180, "OneRoomS6": 100, "OneRoomS6Fast": 50, "PickupObjects": 400, "PutNext": 250, "RoomObjects": 0,
        "Sidewalk": 150, "Sign": 20, "TMaze": 280, "TMazeLeft": 280, "TMazeRight": 280, "ThreeRooms": 400, "WallGap": 300,
        "YMaze": 280, "YMazeLeft": 280, "YMazeRight": 280,
    }  # fmt: skip
    assert {name: spec.max_episode_steps for name, spec in specs.items()} == steps
    for name, spec in specs.items():
        wanted = names[: counts.get(name, 3)] if name != "Sign" else [*names[:3], "end_episode"]
        assert spec.action_names == wanted
        assert spec.actions({"task": 1.0}) == ["turn left", "turn right", "move forward", "move back"]


def test_the_fourth_action_ends_sign_and_in_the_task_only_moves_back() -> None:
    upstream, task = (_core.WorldProbe("MiniWorld-Sign-v0", {"task": float(flag)}) for flag in (0, 1))
    upstream.reset(0)
    task.reset(0)
    before = task.poses()
    assert upstream.step(3) == (0.0, True, False) and task.step(3) == (0.0, False, False)
    assert (upstream.poses() == task.poses()).all() and (before != task.poses()).any()


def test_success_is_the_reward_of_reaching_the_goal() -> None:
    """Walk each OneRoom episode toward the box by the facts alone: success, reward and termination come together."""
    env = vldac.envs.make("MiniWorld-OneRoomS6-v0", 8, num_threads=1, textures="builtin", image_size=(28, 28))
    env.reset(seed=0)
    ended = 0
    choose = {"left": 0, "behind": 0, "right": 1, "ahead": 2}
    for _ in range(300):
        actions = np.array([choose[str(facts["goal_side"])] for facts in env.facts()])
        _, reward, terminated, truncated, info = env.step(actions)
        assert ((reward > 0) == terminated).all() and not truncated.any()
        if "final_info" in info:
            over = info["_final_info"]
            assert (info["final_info"]["success"][over]).all()
            length = info["final_info"]["length"][over]
            assert (reward[over] == 1.0 - 0.2 * (length / 100)).all()
            ended += int(over.sum())
    assert ended > 40
    env.close()


def test_facts_tell_where_the_goal_is() -> None:
    """Turning on the spot in OneRoom (24 turns of 15 degrees) shows every side; ahead is visible in an empty room."""
    env = vldac.envs.make("MiniWorld-OneRoom-v0", 1, num_threads=1, textures="builtin", image_size=(28, 28))
    env.reset(seed=5)
    seen = []
    for _ in range(24):
        facts = env.facts()[0]
        seen.append((facts["goal_side"], facts["goal_visible"], facts["goal_distance"]))
        env.step(np.array([0]))
    sides = [side for side, _, _ in seen]
    assert {side: sides.count(side) for side in set(sides)} == {"ahead": 2, "left": 7, "right": 7, "behind": 8}
    assert all(visible == "yes" for side, visible, _ in seen if side == "ahead")
    assert all(visible == "no" for side, visible, _ in seen if side == "behind")
    assert len({distance for _, _, distance in seen}) == 1
    env.close()


def test_a_wall_hides_the_goal() -> None:
    """In WallGap the box is behind the wall: seen only through the gap."""
    env = vldac.envs.make("MiniWorld-WallGap-v0", 64, num_threads=1, textures="builtin", image_size=(28, 28))
    env.reset(seed=0)
    ahead = []
    for _ in range(24):
        ahead += [facts["goal_visible"] for facts in env.facts() if facts["goal_side"] == "ahead"]
        env.step(np.zeros(64, np.int64))
    assert ahead.count("no") > ahead.count("yes") > 0
    env.close()


def test_a_carried_thing_is_told_and_its_place_is_ahead() -> None:
    probe = _core.WorldProbe("MiniWorld-RoomObjects-v0", {})
    rng = np.random.default_rng(0)
    probe.reset(0)
    while probe.carrying is None:
        probe.step(int(rng.choice([0, 2, 2, 2, 4])))
    rows = {int(row[0]): row for row in probe.poses()}
    agent, held = rows[max(rows)], rows[probe.carrying]
    offset = held[1:4] - agent[1:4]
    assert math.remainder(math.atan2(-offset[2], offset[0]) - agent[4], 2 * math.pi) == pytest.approx(0, abs=1e-6)
    assert held[4] == agent[4] and held[2] > 0
    probe.step(5)
    assert probe.carrying is None and next(row for row in probe.poses() if row[0] == held[0])[2] == 0


@pytest.mark.parametrize(
    ("env_id", "options", "words"),
    [
        ("OneRoom", {"size": 1}, "size"),
        ("OneRoom", {"size": math.nan}, "size"),
        ("OneRoom", {"own_max_episode_steps": 1.5}, "own_max_episode_steps"),
        ("Maze", {"num_rows": 0}, "num_rows"),
        ("Maze", {"num_cols": 33}, "num_cols"),
        ("PickupObjects", {"num_objs": 101}, "num_objs"),
        ("Sign", {"color_index": 3}, "color_index"),
        ("Sign", {"goal": -1}, "goal"),
        ("Hallway", {"domain_rand": 2}, "domain_rand"),
        ("Hallway", {"params.forward_step": 0.3}, "params.forward_step.max"),
        ("Hallway", {"params.light_pos.y.min": math.inf}, "params.light_pos.y"),
    ],
)
def test_unusable_options_are_refused_by_name(env_id: str, options: dict[str, float], words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        _core.WorldProbe(f"MiniWorld-{env_id}-v0", options)
    assert "expected" in str(caught.value) and "got" in str(caught.value)


def test_sign_takes_no_domain_parameters_as_upstream() -> None:
    with pytest.raises(EnvError, match="domain_rand"):
        vldac.envs.make("MiniWorld-Sign-v0", 1, domain_rand=True)


def test_a_world_without_room_for_its_things_says_so() -> None:
    probe = _core.WorldProbe("MiniWorld-PickupObjects-v0", {"size": 2.0, "num_objs": 30.0})
    with pytest.raises(RuntimeError, match="too small"):
        probe.reset(0)
