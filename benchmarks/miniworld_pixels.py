"""MiniWorld's pictures beside the package's: the same seeds and actions, the same pixels.

    python benchmarks/miniworld_pixels.py                                   # all ids and sizes, about ten minutes
    python benchmarks/miniworld_pixels.py --ids MiniWorld-Sign-v0 --sizes 80x60 --out .

The package draws in a process of its own, on Mesa's software driver with exact sampling (GALLIVM_PERF, set before OpenGL starts); it
plays, too: at random, and toward things, which it picks up, carries and drops. Ours plays the same actions from the same seeds,
with the package's textures and no state injected, with domain_rand off and on. Compared: observations at the start of episodes
and every few steps, and depths. A row goes to benchmarks/results. Exit code 1 if a claim does not hold, 2 where the driver is none
that this was validated with.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
EXACT = "no_brilinear,no_rho_approx,no_quad_lod,no_aos_sampling"
VALIDATED = ("Mesa 22.3.6",)
"""Software drivers whose exact mode was compared"""
SIZES = ((80, 60), (84, 56), (224, 224), (448, 448))
FAR_OFF = 8
"""Levels; pixels with a channel further off are counted"""
MAX_FAR_OFF = 0.001
MAX_DEPTH_ERROR_M = 0.01
Size = tuple[int, int]


def max_error(size: Size) -> float:
    """Return the largest mean absolute error, in levels of 255."""
    return 0.5 if size[0] < 100 else 0.3


# -- the package, in a process of its own -------------------------------------------------------------------------------


class Actor:
    """Chooses actions: at random, or toward the nearest thing that can be carried."""

    def __init__(self, env: Any, seed: int) -> None:
        self.env, self.rng = env, np.random.default_rng(seed)
        self.is_seeking = seed % 2 == 1

    def choose(self) -> int:
        """Return the next action, one of those that the environment declares."""
        action = self._choose()
        return action if action < self.env.action_space.n else 2

    def _choose(self) -> int:
        agent = self.env.agent
        things = [e for e in self.env.entities if not e.is_static and e is not agent and e is not agent.carrying]
        if agent.carrying:
            return int(self.rng.choice([0, 1, 2, 2, 3, 5], p=[0.2, 0.2, 0.25, 0.2, 0.1, 0.05]))
        if not self.is_seeking or not things or self.rng.random() < 0.1:
            return int(self.rng.choice([0, 1, 2, 2, 2, 3, 4]))
        nearest = min(things, key=lambda e: float(np.linalg.norm(e.pos - agent.pos)))
        x, _, z = nearest.pos - agent.pos
        turn = (math.atan2(-z, x) - agent.dir + math.pi) % (2 * math.pi) - math.pi
        if abs(turn) > 0.2:
            return 0 if turn > 0 else 1
        return 4 if math.hypot(x, z) < nearest.radius + 2.2 * agent.radius else 2


class PackagePlayer:
    """One environment of the package at a time."""

    def __init__(self) -> None:
        import pyglet

        pyglet.options["headless"] = True
        pyglet.options["debug_gl"] = False
        import gymnasium
        import miniworld  # noqa: F401  (registers the environments)

        self.make, self.env, self.opened = gymnasium.make, None, ("", (0, 0), False)
        self.open("MiniWorld-OneRoomS6Fast-v0", (80, 60), False)

    def driver(self) -> dict[str, str]:
        """Return the names of the renderer and its version."""
        from pyglet.gl import gl_info

        return {"renderer": gl_info.get_renderer(), "version": gl_info.get_version()}

    def open(self, env_id: str, size: Size, domain_rand: bool) -> None:
        """Make an environment unless it is the present one."""
        if self.opened == (env_id, size, domain_rand):
            return
        if self.env:
            self.env.close()
        options = {} if env_id == "MiniWorld-Sign-v0" else {"domain_rand": domain_rand}  # Sign has none
        made = self.make(env_id, disable_env_checker=True, obs_width=size[0], obs_height=size[1], **options)
        self.env, self.opened = made.unwrapped, (env_id, size, domain_rand)

    def play(self, seed: int, steps: int, every: int) -> tuple[dict[str, Any], list[np.ndarray], list[np.ndarray]]:
        """Return (actions, rewards, ends and what was kept), pictures and depths; a depth of zeros where there is none.

        A depth shows the world after the step, a picture what was there before things were taken away: kept where both are one.
        """
        env = self.env
        assert env is not None
        pictures, depths, kept, actions, rewards, ends, carried = [], [], [], [], [], [], 0

        def keep(observation: Any, at: int) -> None:
            picture = observation["obs"] if isinstance(observation, dict) else observation
            pictures.append(picture.copy())
            same = np.array_equal(env.render_obs(), picture)
            depth = env.render_depth()[..., 0] if same else np.zeros(picture.shape[:2], np.float32)
            depths.append(depth.astype(np.float32))
            kept.append(at)

        actor = Actor(env, seed)
        keep(env.reset(seed=seed)[0], 0)
        for step in range(1, steps + 1):
            action = actor.choose()
            observation, reward, terminated, truncated, _ = env.step(action)
            actions.append(action), rewards.append(float(reward)), ends.append(bool(terminated or truncated))
            if ends[-1]:
                observation, _ = env.reset()
            if step % every == 0:
                keep(observation, step)
                carried += env.agent.carrying is not None
        told = {"actions": actions, "rewards": rewards, "ends": ends, "kept": kept, "carried": carried}
        return told, pictures, depths


def serve() -> None:
    """Answer requests, one JSON object a line, with a line and the arrays' bytes behind it."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # the package prints
    player = PackagePlayer()
    for line in sys.stdin:
        request = json.loads(line)
        if request["do"] == "driver":
            answer, arrays = player.driver(), []
        else:
            player.open(request["id"], tuple(request["size"]), request["domain_rand"])
            answer, pictures, depths = player.play(request["seed"], request["steps"], request["every"])
            arrays = [np.stack(pictures), np.stack(depths)]
        out.write((json.dumps(answer) + "\n").encode())
        for array in arrays:
            out.write(array.tobytes())
        out.flush()


class Package:
    """The other side of `serve`."""

    def __init__(self) -> None:
        environment = os.environ | {"GALLIVM_PERF": EXACT, "LP_NUM_THREADS": "1", "LIBGL_ALWAYS_SOFTWARE": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-P", __file__, "--serve"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment,
        )  # fmt: skip

    def _ask(self, **request: Any) -> dict[str, Any]:
        assert self.process.stdin is not None and self.process.stdout is not None
        try:
            self.process.stdin.write((json.dumps(request) + "\n").encode())
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # the answer is missing, too
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the package's process ended; run {Path(__file__).name} --serve to see why")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def driver(self) -> dict[str, str]:
        """Return the renderer and the version of OpenGL. Raises RuntimeError where package or OpenGL are missing."""
        return self._ask(do="driver")

    def play(
        self, env_id: str, size: Size, domain_rand: bool, seed: int, steps: int, every: int
    ) -> tuple[dict[str, Any], np.ndarray, np.ndarray]:
        """Return what happened, pictures [N, H, W, 3] uint8 and depths [N, H, W] float32."""
        request = {"id": env_id, "size": size, "domain_rand": domain_rand, "seed": seed, "steps": steps, "every": every}
        told = self._ask(do="play", **request)
        count, (width, height) = len(told["kept"]), size
        assert self.process.stdout is not None
        pictures = np.frombuffer(self.process.stdout.read(count * height * width * 3), np.uint8)
        depths = np.frombuffer(self.process.stdout.read(count * height * width * 4), np.float32)
        return told, pictures.reshape(count, height, width, 3), depths.reshape(count, height, width)

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


# -- comparing ----------------------------------------------------------------------------------------------------------


@dataclass
class Errors:
    """Sums over frames of one environment and size."""

    mean: list[float] = field(default_factory=list)
    far_off: list[float] = field(default_factory=list)
    depth_m: list[float] = field(default_factory=list)
    carried: int = 0

    def add(self, ours: np.ndarray, theirs: np.ndarray) -> None:
        """Count a picture."""
        off = np.abs(ours.astype(np.int16) - theirs)
        self.mean.append(float(off.mean()))
        self.far_off.append(float((off.max(-1) > FAR_OFF).mean()))

    def row(self, env_id: str, size: Size) -> dict[str, Any]:
        """Return the figures, and whether they are good enough."""
        mean, far_off, depth = float(np.mean(self.mean)), float(np.mean(self.far_off)), float(np.mean(self.depth_m))
        return {
            "env": env_id, "width": size[0], "height": size[1], "frames": len(self.mean), "frames_carrying": self.carried,
            "mean_absolute_error": mean, "worst_frame": max(self.mean), "share_far_off": far_off,
            "worst_frame_far_off": max(self.far_off), "depths": len(self.depth_m), "mean_depth_error_m": depth,
            "is_met": mean <= max_error(size) and far_off <= MAX_FAR_OFF and depth <= MAX_DEPTH_ERROR_M,
        }  # fmt: skip


def compare(package: Package, env_id: str, size: Size, seeds: Sequence[int], steps: int, every: int) -> dict[str, Any]:
    """Play episodes on both sides and return the row of figures. Raises AssertionError where the worlds differ."""
    from vldac.envs import make

    errors = Errors()
    for seed in seeds:
        domain_rand = seed % 3 == 2 and env_id != "MiniWorld-Sign-v0"
        told, pictures, depths = package.play(env_id, size, domain_rand, seed, steps, every)
        env = make(
            env_id, 1, num_threads=1, rng="stream", image_size=size, textures="miniworld", max_episode_steps=0,
            **({"domain_rand": True} if domain_rand else {}),
        )  # fmt: skip
        observation, _ = env.reset(seed=seed)
        shown = dict(zip(told["kept"], zip(pictures, depths, strict=True), strict=True))
        for step in range(steps + 1):
            if step:
                observation, reward, terminated, truncated, _ = env.step(np.array([told["actions"][step - 1]]))
                end = bool(terminated[0] or truncated[0])
                assert (float(reward[0]), end) == (told["rewards"][step - 1], told["ends"][step - 1]), (
                    env_id,
                    seed,
                    step,
                )
            if step in shown:
                picture, depth = shown[step]
                errors.add(observation["image"][0], picture)
                if depth.any():
                    errors.depth_m.append(float(np.abs(env.depth(*size)[0, ..., 0] - depth).mean()))
        errors.carried += told["carried"]
        env.close()
    return errors.row(env_id, size)


def is_validated(driver: dict[str, str]) -> bool:
    """Whether this driver's exact mode was compared."""
    return "llvmpipe" in driver["renderer"] and any(version in driver["version"] for version in VALIDATED)


def main() -> int:
    """Compare, print and write the row."""
    from vldac.envs import list_ids
    from vldac.provenance import commit, processor_name, versions

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ids", nargs="*", default=[i for i in list_ids() if i.startswith("MiniWorld-")])
    parser.add_argument("--sizes", nargs="*", default=[f"{w}x{h}" for w, h in SIZES])
    parser.add_argument(
        "--seeds", type=int, default=6, help="streams of several episodes; every third with domain_rand"
    )
    parser.add_argument("--steps", type=int, default=60, help="of each stream")
    parser.add_argument("--every", type=int, default=5, help="how many steps between frames that are compared")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve()
        return 0
    package = Package()
    driver = package.driver()
    print(f"{driver['renderer']}, {driver['version']}")
    if not is_validated(driver):
        print(f"not validated with this driver: expected llvmpipe of {' or '.join(VALIDATED)}")
        return 2
    runs = []
    for name in arguments.sizes:
        width, height = map(int, name.split("x"))
        for env_id in arguments.ids:
            run = compare(package, env_id, (width, height), range(arguments.seeds), arguments.steps, arguments.every)
            runs.append(run)
            print(
                f"{env_id} {name}: {run['mean_absolute_error']:.3f} levels off (worst frame {run['worst_frame']:.3f}), "
                f"{100 * run['share_far_off']:.4f} % of pixels by more than {FAR_OFF} (worst "
                f"{100 * run['worst_frame_far_off']:.3f} %), depth {1000 * run['mean_depth_error_m']:.2f} mm, "
                f"{run['frames']} frames, {run['frames_carrying']} carrying{'' if run['is_met'] else '  NOT MET'}", flush=True,
            )  # fmt: skip
    package.close()
    holds = all(run["is_met"] for run in runs)
    claim = {
        "max_mean_absolute_error": {f"{w}x{h}": max_error((w, h)) for w, h in SIZES}, "far_off_levels": FAR_OFF,
        "max_share_far_off": MAX_FAR_OFF, "max_mean_depth_error_m": MAX_DEPTH_ERROR_M, "holds": holds,
    }  # fmt: skip
    row = {
        "claim": claim, "runs": runs, "command": "OMP_NUM_THREADS=1 python benchmarks/miniworld_pixels.py", "opengl": driver,
        "gallivm_perf": EXACT, "seeds": arguments.seeds, "steps": arguments.steps, "every": arguments.every,
        "date": time.strftime("%Y-%m-%d"), "processor": processor_name(), "commit": commit(ROOT),
        "versions": versions(("vldac", "numpy", "gymnasium", "miniworld", "pyglet", "pillow")),
    }  # fmt: skip
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / "miniworld_pixels.json"
    path.write_text(json.dumps(row, indent=1) + "\n")
    print(f"{'holds' if holds else 'DOES NOT HOLD'}: {path.name}")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
