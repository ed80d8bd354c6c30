"""The native MiniWorld beside the miniworld package (2.1.x, NumPy 2): the same worlds, poses, rewards and ends, bit for bit.

    pip install '.[miniworld]'
    python benchmarks/miniworld_worlds.py   # 200 seeds per id and mode, at least 1,000,000 steps in all

Both sides get the same seeds and actions; no state is injected. The package's drawing (render_obs, _render_static) is switched off:
it takes most of its time and changes nothing that is compared. Worlds: rooms, openings, textures and their variants, walls, collision
segments, things with sizes, colours, positions and headings, lights, camera. Steps: position and heading of every thing, what is
carried, reward, terminated, truncated; many episodes of one stream. Three ways to act: at random, along walls, and around walls
to things, which are picked up, carried into walls and dropped; all eight actions of the package for every id, whose own may be
fewer. Modes: the defaults, domain_rand, other domain parameters, other options. A row goes to benchmarks/results. Exit code 1 if
anything differs.
"""

from __future__ import annotations

import argparse
import importlib
import json
import math
import os
import re
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from vldac import _core
from vldac.provenance import commit, processor_name, versions

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
NUM_ACTIONS = 8
SMALL_WINDOW = {"window_width": 8, "window_height": 8}  # nobody looks at it

# Options of the package that are not its defaults, by the id's middle.
OTHER_OPTIONS: dict[str, dict[str, Any]] = {
    "CollectHealth": {"size": 9},
    "Hallway": {"length": 7.5},
    "Maze": {"num_rows": 3, "num_cols": 5, "room_size": 2.5, "max_episode_steps": 90},
    "MazeS2": {"room_size": 4},
    "MazeS3": {"num_rows": 1, "num_cols": 4},
    "MazeS3Fast": {"max_episode_steps": 40},
    "OneRoom": {"size": 4.5, "max_episode_steps": 33},
    "OneRoomS6": {"size": 3},
    "OneRoomS6Fast": {"size": 12},
    "PickupObjects": {"size": 7, "num_objs": 9},
    "PutNext": {"size": 8.5},
    "RoomObjects": {"size": 13},
    "Sign": {"size": 11, "color_index": 2, "goal": 1, "max_episode_steps": 35},
    "TMaze": {"goal_pos": [9.0, 0, 5.0]},
    "TMazeLeft": {"goal_pos": [11, 0, -4]},
    "TMazeRight": {"goal_pos": None},
    "YMaze": {"goal_pos": [3.0, 0, 5.5]},
    "YMazeLeft": {"goal_pos": None},
    "YMazeRight": {"goal_pos": [3.5, 0, 6]},
}


def native_options(options: dict[str, Any]) -> dict[str, float]:
    """Return the package's keywords as the native environment's numbers."""
    numbers: dict[str, float] = {}
    for name, value in options.items():
        if name == "goal_pos":
            numbers["goal_pos"] = float(value is not None)
            if value is not None:
                numbers |= {"goal_pos.x": value[0], "goal_pos.z": value[2]}
        elif name == "max_episode_steps":
            numbers["own_max_episode_steps"] = value
        elif name == "params":
            for key, param in value.params.items():
                is_vector = isinstance(param.default, np.ndarray)
                letters = "xyz" if key == "light_pos" else "rgb"
                for i, letter in enumerate(letters if is_vector else "-"):
                    for ending, number in (("", param.default), (".min", param.min), (".max", param.max)):
                        full = f"params.{key}.{letter}{ending}" if is_vector else f"params.{key}{ending}"
                        numbers[full] = float(number[i]) if is_vector else float(number)
        else:
            numbers[name] = float(value)
    return numbers


class Package:
    """One environment of the package, without its pictures, seen as the native one's `WorldProbe` is."""

    def __init__(self, env_id: str, options: dict[str, Any]) -> None:
        modules = package_modules()
        name = modules.spec(env_id).entry_point.split(":")
        self.env = getattr(importlib.import_module(name[0]), name[1])(**SMALL_WINDOW, **options)
        self.textures = importlib.import_module("miniworld.opengl").Texture.tex_cache
        self.numbers: dict[int, int] = {}

    def reset(self, seed: int | None) -> None:
        """Begin an episode, of a new stream if there is a seed."""
        self.env.reset(seed=seed)
        self.numbers = {id(entity): number for number, entity in enumerate(self.env.entities)}

    def step(self, action: int) -> tuple[float, bool, bool]:
        """Return reward, terminated, truncated."""
        _, reward, terminated, truncated, _ = self.env.step(action)
        return float(reward), bool(terminated), bool(truncated)

    @property
    def carrying(self) -> int | None:
        """The number of what the agent holds."""
        held = self.env.agent.carrying
        return self.numbers[id(held)] if held else None

    def poses(self) -> np.ndarray:
        """Return number, position and heading of everything, [entities, 5]."""
        return np.array(
            [[self.numbers[id(entity)], *entity.pos, entity.dir] for entity in self.env.entities], np.float64
        )

    def variant(self, texture: Any) -> int:
        """Return which file of its name a texture is."""
        path = next(path for path, known in self.textures.items() if known is texture)
        return int(re.search(r"_(\d+)\.png$", path)[1]) - 1  # type: ignore[index]

    def room(self, room: Any) -> dict[str, Any]:
        """Return what is compared of a room."""
        return {
            "outline": np.asarray(room.outline, np.float64),
            "portals": [[(p["start_pos"], p["end_pos"], p["min_y"], p["max_y"]) for p in wall] for wall in room.portals],
            "wall_height": room.wall_height,
            "has_ceiling": not room.no_ceiling,
            **{part: (getattr(room, f"{short}_tex_name"), self.variant(getattr(room, f"{short}_tex")))
               for part, short in (("wall", "wall"), ("floor", "floor"), ("ceiling", "ceil"))},
        }  # fmt: skip

    def entity(self, entity: Any) -> dict[str, Any]:
        """Return what is compared of a thing."""
        kinds = {"Box": "box", "ImageFrame": "image_frame", "TextFrame": "text_frame", "Agent": "agent"}
        kind = kinds.get(type(entity).__name__, "mesh")
        seen = {
            "kind": kind, "is_static": entity.is_static, "position": tuple(entity.pos), "heading": entity.dir,
            "radius": float(entity.radius), "height": float(entity.height),
        }  # fmt: skip
        if kind == "box":
            seen |= {"size": tuple(entity.size), "colour": tuple(entity.color_vec)}
        elif kind == "mesh":
            known = importlib.import_module("miniworld.objmesh").ObjMesh.cache
            path = next(path for path, mesh in known.items() if mesh is entity.mesh)
            seen |= {"mesh": Path(path).stem, "scale": float(entity.scale)}
        elif kind == "text_frame":
            seen |= {"text": entity.str}
        return seen

    def snapshot(self) -> dict[str, Any]:
        """Return what is compared of a world."""
        env, agent = self.env, self.env.agent
        walls = [
            np.stack([room.wall_verts[0::4], room.wall_verts[2::4], room.wall_norms[0::4]], axis=1)
            for room in env.rooms if len(room.wall_verts)
        ]  # fmt: skip
        return {
            "rooms": [self.room(room) for room in env.rooms],
            "segments": np.asarray(env.wall_segs),
            "walls": np.concatenate(walls),
            "entities": [self.entity(entity) for entity in env.entities],
            "sky": {name: tuple(getattr(env, name)) for name in ("sky_color", "light_pos", "light_color", "light_ambient")},
            "camera": {
                **{name: getattr(agent, name) for name in ("cam_height", "cam_fwd_disp", "cam_pitch", "cam_fov_y")},
                "position": tuple(agent.cam_pos), "direction": tuple(agent.cam_dir),
            },
            "max_forward_step": env.max_forward_step,
        }  # fmt: skip


def package_modules() -> Any:
    """Import the package without a display and switch its drawing off; return Gymnasium."""
    pyglet = importlib.import_module("pyglet")
    pyglet.options["headless"] = True
    base = importlib.import_module("miniworld.miniworld").MiniWorldEnv
    importlib.import_module("miniworld.envs")
    base.render_obs = lambda self, frame_buffer=None: None
    base._render_static = lambda self: None
    return importlib.import_module("gymnasium")


def differences(ours: Any, theirs: Any, where: str = "") -> Iterator[str]:
    """Yield what differs; numbers must be equal, not close."""
    if isinstance(ours, dict):
        if ours.keys() != theirs.keys():
            yield f"{where}: {sorted(ours.keys() ^ theirs.keys())} on one side only"
        for key in ours.keys() & theirs.keys():
            yield from differences(ours[key], theirs[key], f"{where}.{key}")
    elif isinstance(ours, np.ndarray):
        if ours.shape != theirs.shape or not np.array_equal(ours, theirs):
            yield f"{where}: {ours.tolist()} != {theirs.tolist()}"
    elif isinstance(ours, list | tuple) and not isinstance(theirs, str):
        if len(ours) != len(theirs):
            yield f"{where}: {len(ours)} != {len(theirs)} entries"
        for i, (one, other) in enumerate(zip(ours, theirs, strict=False)):
            yield from differences(one, other, f"{where}[{i}]")
    elif ours != theirs:
        yield f"{where}: {ours!r} != {theirs!r}"


# -- ways to act ------------------------------------------------------------------------------------------------------


CELL = 0.2  # metres


class Way:
    """The shortest way to a place over a grid of where the agent can be."""

    def __init__(self, env: Any, target: Any) -> None:
        agent = env.agent
        self.origin = np.array([env.min_x, env.min_z])
        self.shape = tuple(int(n) + 1 for n in (np.array([env.max_x, env.max_z]) - self.origin) / CELL)
        points = self.origin + CELL * np.stack(np.meshgrid(*map(np.arange, self.shape), indexing="ij"), axis=-1)
        free = np.ones(self.shape, bool)
        for start, end in env.wall_segs[:, :, [0, 2]]:
            along = np.clip(((points - start) @ (end - start)) / ((end - start) @ (end - start)), 0, 1)
            free &= np.linalg.norm(points - start - along[..., None] * (end - start), axis=-1) > agent.radius + 0.03
        for entity in env.entities:
            if entity is not agent and entity is not target:
                place = np.array([entity.pos[0], entity.pos[2]])
                free &= np.linalg.norm(points - place, axis=-1) > agent.radius + entity.radius + 0.03
        self.distance = np.full(self.shape, -1)
        goal = (
            np.linalg.norm(points - np.array([target.pos[0], target.pos[2]]), axis=-1)
            < agent.radius + target.radius + 0.3
        )
        front = deque(map(tuple, np.argwhere(goal)))
        for cell in front:
            self.distance[cell] = 0
        while front:
            i, j = front.popleft()
            for other in ((i + 1, j), (i - 1, j), (i, j + 1), (i, j - 1)):
                is_inside = 0 <= other[0] < self.shape[0] and 0 <= other[1] < self.shape[1]
                if is_inside and free[other] and self.distance[other] < 0:
                    self.distance[other] = self.distance[i, j] + 1
                    front.append(other)

    def next(self, position: Any) -> np.ndarray | None:
        """Return a place a few cells along the way, [x, z]; None at its end and off it."""
        cell = np.round((np.array([position[0], position[2]]) - self.origin) / CELL).astype(int)
        for _ in range(4):
            around = [cell + (i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)]
            around = [c for c in around if (c >= 0).all() and (c < self.shape).all() and self.distance[tuple(c)] >= 0]
            if not around:
                return None
            cell = min(around, key=lambda c: self.distance[tuple(c)])
        return None if self.distance[tuple(cell)] == 0 else self.origin + CELL * cell


class Seeker:
    """Goes to things around walls, picks them up, carries them about (into walls, too) and drops them."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng, self.patience = rng, 0
        self.target: Any = None
        self.goal: Any = None

    def __call__(self, env: Any) -> int:
        """Return the next action."""
        agent = env.agent
        others = [entity for entity in env.entities if entity is not agent and not entity.is_static]
        if self.rng.random() < 0.08 or not others:
            return int(self.rng.integers(NUM_ACTIONS))
        if agent.carrying and agent.carrying is getattr(env, "red_box", None):  # PutNext
            return 5 if env.near(env.red_box, env.yellow_box) else self.walk(env, env.yellow_box)
        if agent.carrying:
            return 5 if self.rng.random() < 0.05 else int(self.rng.choice([2, 2, 2, 2, 3, 0, 1]))
        self.patience -= 1
        if self.patience < 0 or not any(self.target is entity for entity in others):
            self.target, self.patience = getattr(env, "red_box", others[self.rng.integers(len(others))]), 200
        return self.walk(env, self.target)

    def walk(self, env: Any, target: Any) -> int:
        """Return the next action on the way to a thing, at whose end it may be picked up."""
        agent = env.agent
        if self.goal is not target or self.patience == 200:
            self.goal, self.way = target, Way(env, target)
        place = self.way.next(agent.pos)
        x, z = (target.pos[0], target.pos[2]) if place is None else place
        bearing = math.remainder(math.atan2(agent.pos[2] - z, x - agent.pos[0]) - agent.dir, 2 * math.pi)
        if abs(bearing) > math.radians(env.params.params["turn_step"].default) * 0.6:
            return 0 if bearing > 0 else 1
        reach = float(target.radius) + agent.radius + 0.25
        return (
            4
            if math.hypot(x - agent.pos[0], z - agent.pos[2]) < reach and place is None and self.rng.random() < 0.7
            else 2
        )


def actor(kind: str, rng: np.random.Generator) -> Callable[[Any], int]:
    """Return one of the ways to act."""
    if kind == "toward things":
        return Seeker(rng)
    if kind == "along walls":
        return lambda env: int(rng.choice([2, 2, 2, 2, 2, 2, 2, 3, 0, 1]))
    return lambda env: int(rng.integers(NUM_ACTIONS))


KINDS = ("at random", "along walls", "toward things")


# -- comparisons ------------------------------------------------------------------------------------------------------


def modes_of(env_id: str) -> dict[str, dict[str, Any]]:
    """Return the package's options of each mode that an id is compared in."""
    name = env_id.split("-")[1]
    modes: dict[str, dict[str, Any]] = {"default": {}}
    if name != "Sign":
        modes["domain_rand"] = {"domain_rand": True}
        params = importlib.import_module("miniworld.params").DEFAULT_PARAMS.copy()
        params.set("forward_step", 0.4, 0.2, 0.5)
        params.set("turn_step", 30, 20, 33)
        params.set("forward_drift", 0.01, -0.1, 0.1)
        params.set("light_pos", [1, 3, -2], [-10, 2, -5], [4, 6, 3])
        params.set("cam_pitch", 1, -3, 4)
        modes["params"] = {"domain_rand": True, "params": params}
    if name in OTHER_OPTIONS:
        modes["options"] = OTHER_OPTIONS[name]
    return modes


class Pair:
    """Both sides of one id and mode."""

    def __init__(self, env_id: str, options: dict[str, Any]) -> None:
        self.theirs = Package(env_id, options)
        self.ours = _core.WorldProbe(env_id, native_options(options))
        self.order: list[float] = []

    def world(self, seed: int | None) -> list[str]:
        """Begin an episode; return what differs between the worlds."""
        self.ours.reset(seed)
        self.theirs.reset(seed)
        self.order = list(range(len(self.theirs.env.entities)))
        return list(differences(self.ours.snapshot(), self.theirs.snapshot()))

    def step(self, action: int, counts: Counter[str]) -> tuple[list[str], bool]:
        """Take one step; return what differs, and whether the episode is over."""
        ours, theirs = self.ours.step(action), self.theirs.step(action)
        found = list(differences(ours, theirs, "step"))
        poses = self.theirs.poses()
        found += differences(self.ours.poses(), poses, "poses")
        found += differences(self.ours.carrying, self.theirs.carrying, "carrying")
        counts["carried"] += self.ours.carrying is not None
        counts["taken"] += self.order != poses[:, 0].tolist()  # what was picked up disappeared or came back elsewhere
        self.order = poses[:, 0].tolist()
        counts["terminated"] += theirs[1]
        counts["truncated"] += theirs[2]
        counts["rewarded"] += theirs[0] != 0
        return found, theirs[1] or theirs[2]


def compare(env_id: str, num_seeds: int, num_steps: int) -> dict[str, Any]:
    """Compare an id in all its modes; return its run."""
    counts: Counter[str] = Counter()
    found: list[str] = []
    modes = modes_of(env_id)
    for mode, options in modes.items():
        pair = Pair(env_id, options)
        for seed in range(num_seeds):
            found += [f"{mode}, seed {seed}: {what}" for what in pair.world(seed)]
            counts["worlds"] += 1
        for k, kind in enumerate(KINDS):
            rng = np.random.default_rng(k)
            act = actor(kind, rng)
            is_over, length = True, 0
            seed: int | None = 1000 + k
            for step in range(num_steps // (len(modes) * len(KINDS)) + 1):
                if is_over or length == 1000:
                    found += [f"{mode}, {kind}, step {step}: {what}" for what in pair.world(seed)]
                    seed, length = None, 0
                    counts["episodes"] += 1
                action = act(pair.theirs.env)
                different, is_over = pair.step(action, counts)
                found += [f"{mode}, {kind}, step {step}: {what}" for what in different]
                length += 1
                counts["steps"] += 1
                if len(found) > 20:
                    break
    return {
        "env_id": env_id, "modes": list(modes), "counts": dict(counts), "different": len(found), "first_differences": found[:3],
        "is_met": not found,
    }  # fmt: skip


def main() -> int:
    """Run the comparison and return 0 if nothing differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=200, help="worlds per id and mode")
    parser.add_argument("--steps", type=int, default=44_000, help="per id")
    parser.add_argument("--only", default="", help="ids that contain this")
    parser.add_argument("--out", type=Path, help="folder of the row (default: benchmarks/results)")
    arguments = parser.parse_args()
    ids = [spec.id for spec in _core.env_specs() if spec.id.startswith("MiniWorld-") and arguments.only in spec.id]
    package_modules()
    runs = []
    for env_id in ids:
        start = time.perf_counter()
        runs.append(compare(env_id, arguments.seeds, arguments.steps))
        print(
            f"{env_id}: {runs[-1]['counts']}, {runs[-1]['different']} differences, {time.perf_counter() - start:.0f} s",
            flush=True,
        )
        for what in runs[-1]["first_differences"]:
            print("   ", what[:400])
    steps = sum(run["counts"]["steps"] for run in runs)
    claim = {
        "worlds": "rooms, openings, textures, walls, segments, things, lights and camera equal, no state injected",
        "steps": "every pose, what is carried, reward, terminated and truncated equal, bit for bit",
        "total_steps": steps,
        "drawing": "the package's render_obs and _render_static are switched off",
        "holds": all(run["is_met"] for run in runs),
    }  # fmt: skip
    row = {
        "claim": claim, "runs": runs, "command": "python " + " ".join(["benchmarks/miniworld_worlds.py", *sys.argv[1:]]),
        "load": os.getloadavg(), "date": time.strftime("%Y-%m-%d"), "processor": processor_name(), "commit": commit(ROOT),
        "versions": versions(("vldac", "numpy", "gymnasium", "miniworld")),
    }  # fmt: skip
    (arguments.out or RESULTS).mkdir(parents=True, exist_ok=True)
    path = (arguments.out or RESULTS) / "miniworld_worlds.json"
    path.write_text(json.dumps(row, indent=1) + "\n")
    print(f"{'holds' if claim['holds'] else 'DOES NOT HOLD'}: {path}, {steps} steps")
    return 0 if claim["holds"] else 1


if __name__ == "__main__":
    sys.exit(main())
