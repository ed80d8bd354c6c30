"""The scripted expert of MiniWorld solves every id with a goal. Levels: benchmarks/results/miniworld_oracle.json, less some slack."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from vldac.envs import NativeVectorEnv, make
from vldac.errors import EnvError

SEEDS = 20
SEED = 4_000_000
GOALS = ["Hallway", "OneRoom", "OneRoomS6", "OneRoomS6Fast", "FourRooms", "WallGap", "TMaze", "TMazeLeft", "TMazeRight"]
GOALS += ["YMaze", "YMazeLeft", "YMazeRight", "MazeS2", "MazeS3", "MazeS3Fast", "Sidewalk", "Sign"]


def make_env(name: str, count: int = SEEDS, **options: Any) -> NativeVectorEnv:
    """Return an environment with the smallest pictures."""
    return make(
        f"MiniWorld-{name}-v0", count, seed=SEED, image_size=(28, 28), num_threads=1, textures="builtin", **options
    )


def play(env: NativeVectorEnv, steps: int = 10_000) -> dict[int, tuple[bool, int, float]]:
    """Return (success, length, return) of every environment's first episode under the expert."""
    env.reset(seed=SEED)
    outcomes: dict[int, tuple[bool, int, float]] = {}
    for _ in range(steps):
        _, _, terminated, truncated, info = env.step(env.oracle_actions())
        final = info.get("final_info")
        for e in np.flatnonzero(terminated | truncated):
            outcomes.setdefault(int(e), (bool(final["success"][e]), int(final["length"][e]), float(final["return"][e])))
        if len(outcomes) == env.num_envs:
            break
    return outcomes


@pytest.mark.parametrize("name", GOALS)
def test_goals_are_reached_within_the_papers_128_steps(name: str) -> None:
    outcomes = play(make_env(name, task="vldac"))
    won = [success for success, _, _ in outcomes.values()]
    assert len(won) == SEEDS and np.mean(won) >= (0.9 if name == "MazeS3" else 1.0)


@pytest.mark.parametrize(
    ("name", "least", "count"), [("Maze", 1.0, 4), ("PickupObjects", 1.0, 10), ("PutNext", 0.9, SEEDS)]
)
def test_what_takes_longer_or_hands_succeeds_under_upstreams_own_rules(name: str, least: float, count: int) -> None:
    outcomes = play(make_env(name, count))
    assert len(outcomes) == count and np.mean([success for success, _, _ in outcomes.values()]) >= least


def test_health_is_kept_far_longer_than_by_chance() -> None:
    """Without kits an agent lives 50 steps; random play hardly longer."""
    lengths = [length for _, length, _ in play(make_env("CollectHealth", 6), steps=1000).values()]
    assert len(lengths) == 6 and np.mean(lengths) > 500


def test_the_way_is_as_short_as_a_room_allows() -> None:
    """In one room the expert needs the turns to face the goal and the straight line, and at most three actions more."""
    env = make_env("OneRoom", task="vldac")
    env.reset(seed=SEED)
    pictures, frames = env.map_view(240, 240)
    least = []
    for (x, z, heading), picture, (min_x, min_z, scale_x, scale_z) in zip(env.poses(), pictures, frames, strict=True):
        rows, columns = np.nonzero((picture[..., 0] > 150) & (picture[..., 1] < 40) & (picture[..., 2] < 40))
        near = (
            np.hypot(columns / scale_x + min_x - x, rows / scale_z + min_z - z) < 0.6
        )  # the agent is a red triangle, too
        gx, gz = columns[~near].mean() / scale_x + min_x, rows[~near].mean() / scale_z + min_z
        bearing = np.remainder(np.arctan2(z - gz, gx - x) - heading + np.pi, 2 * np.pi) - np.pi
        metres = np.hypot(gx - x, gz - z) - (0.4 + 0.8 / 2**0.5 + 1.1 * 0.17)
        least.append(max(0.0, abs(bearing) - np.radians(7.5)) / np.radians(15) + max(0.0, metres) / 0.15)
    lengths = np.array([length for _, (_, length, _) in sorted(play(env).items())])
    excess = lengths - np.array(least)
    assert excess.min() > -2 and excess.max() <= 4, excess.round(1)


def test_a_planned_episode_survives_a_push_and_random_steps() -> None:
    """Off its way the expert plans again; where steps are random it goes on without a plan."""
    env = make_env("FourRooms", task="vldac")
    env.reset(seed=SEED)
    rng = np.random.default_rng(0)
    for _ in range(12):
        actions = env.oracle_actions()
        pushed = rng.random(SEEDS) < 0.3
        env.step(np.where(pushed, rng.integers(0, 4, SEEDS), actions))
    state = env.get_state()
    twin = env.clone()
    assert (twin.oracle_actions() == env.oracle_actions()).mean() >= 0.9  # equally short ways may differ
    assert state == env.get_state()
    shaken = play(make_env("OneRoom", task="vldac", domain_rand=True))
    assert np.mean([success for success, _, _ in shaken.values()]) == 1.0


@pytest.mark.parametrize(("name", "task"), [("RoomObjects", None), ("ThreeRooms", None), ("PickupObjects", "vldac")])
def test_there_is_no_expert_without_a_goal_or_hands(name: str, task: str | None) -> None:
    env = make_env(name, 1, task=task)
    env.reset(seed=0)
    with pytest.raises(EnvError, match="scripted expert"):
        env.oracle_actions()
