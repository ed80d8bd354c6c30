"""MiniWorld beside the package it is made after: CPU per frame, ready-to-feed patches, memory, resets.

    python benchmarks/miniworld.py speed     # CPU per step, resets included, at 80x60, 84x56, 224x224, 448x448
    python benchmarks/miniworld.py patches   # the same with pixel_values; the package with Hugging Face's processor
    python benchmarks/miniworld.py memory    # PSS per extra environment, shared assets
    python benchmarks/miniworld.py reset     # CPU per reset, with its picture

Both sides play uniformly random actions in the worlds of the same seeds, others in each turn, without a time limit of Gymnasium's,
with the package's textures. Ours runs in this process, `--num-envs` environments on one thread (and one alone, for the record); the
package in two processes of its own (benchmarks/miniworld_package.py) on the system's OpenGL, with LP_NUM_THREADS=0 and with Mesa's
default; the cheaper one counts. CPU time is user + system of the whole process. Sides take turns within each environment and size;
medians of the turns are compared. The package's resets are timed apart and counted as often as episodes ended in our turns. This
compares CPU with CPU: with a GPU, the package draws on that.
Needs the extra miniworld, EGL and Mesa. Rows go to benchmarks/results. Exit code 1 if a claim does not hold.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from vldac import _core
from vldac.envs import NativeVectorEnv, list_ids, make
from vldac.known import known_processor
from vldac.provenance import commit, processor_name, versions
from vldac.vision import image_spec

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
IDS = [env_id for env_id in list_ids() if env_id.startswith("MiniWorld-")]
SIZES = ((80, 60), (84, 56), (224, 224), (448, 448))
"""(width, height); for patches, 80x60 is resized to 84x56 on either side"""
MODEL = "Qwen/Qwen2-VL-7B-Instruct"
RATIOS = {"median": 8.0, "worst": 5.0}
"""Least ratio of the package's CPU to ours, at the sizes of FRAMES"""
FRAMES = {(80, 60): 20_000, (224, 224): 2_500}
"""Frames per second and core to work toward: reported, no claim"""
PATCH_RATIO = 10.0
MAX_ENV_BYTES, MAX_ASSET_BYTES = 2**20, 48 * 2**20
MAX_RESET_MS = 1.0
Size = tuple[int, int]


# -- the two sides ----------------------------------------------------------------------------------------------------


class Package:
    """The package in a process of its own."""

    def __init__(self, lp_num_threads: str | None) -> None:
        own = ("LP_NUM_THREADS", "GALLIVM_PERF")
        environment = {name: value for name, value in os.environ.items() if name not in own}
        if lp_num_threads is not None:
            environment["LP_NUM_THREADS"] = lp_num_threads
        self.process = subprocess.Popen(
            [sys.executable, "-P", str(ROOT / "benchmarks" / "miniworld_package.py")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment,
        )  # fmt: skip

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Send one request and return the answer."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("the package's process ended; run benchmarks/miniworld_package.py to see why")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


class Native:
    """Our pool, playing a script of uniformly random actions."""

    def __init__(self, env_id: str, size: Size, *, num_envs: int, **options: Any) -> None:
        options |= {"image_size": size, "rng": "stream", "textures": "miniworld"}
        self.env: NativeVectorEnv = make(env_id, num_envs, num_threads=1, **options)
        self.script = np.random.default_rng(0).integers(len(self.env.action_names), size=(4096, num_envs))
        self.taken = self.episodes = 0

    def _some_steps(self) -> None:
        for _ in range(8):
            _, _, terminated, truncated, _ = self.env.step(self.script[self.taken % 4096])
            self.episodes += int((terminated | truncated).sum())
            self.taken += 1

    def play(self, seconds: float, seed: int) -> float:
        """Step for so much CPU time, and return microseconds per environment step, resets included."""
        self.env.reset(seed=seed)
        self._some_steps()
        start, taken = time.process_time(), self.taken
        while time.process_time() - start < seconds:
            self._some_steps()
        return 1e6 * (time.process_time() - start) / ((self.taken - taken) * self.env.num_envs)

    def reset(self, count: int) -> float:
        """Reset so many times, and return microseconds per environment."""
        self.env.reset(seed=0)
        start = time.process_time()
        for _ in range(count):
            self.env.reset()
        return 1e6 * (time.process_time() - start) / (count * self.env.num_envs)


# -- speed and patches ------------------------------------------------------------------------------------------------


def all_turns(arguments: argparse.Namespace, formats: dict[str, dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Let both sides play every environment at every size; formats: options of `make` of our variants, by name."""
    for env_id in arguments.ids:
        packages = {"0": Package("0"), "default": Package(None)}
        for size in arguments.sizes or SIZES:
            yield turns(env_id, size, arguments, packages, formats)
        for package in packages.values():
            package.close()


def turns(
    env_id: str, size: Size, arguments: argparse.Namespace, packages: dict[str, Package], formats: dict[str, dict[str, Any]]
) -> dict[str, Any]:  # fmt: skip
    """Let both sides play one environment in turns."""
    for package in packages.values():
        package.ask("open", id=env_id, size=size, processor=arguments.what == "patches")
    ours = {
        name: Native(env_id, size, **{"num_envs": arguments.num_envs} | options) for name, options in formats.items()
    }
    times: dict[str, list[float]] = {name: [] for name in ours}
    answers: dict[str, list[dict[str, float]]] = {name: [] for name in packages}
    for turn in range(arguments.repeats):
        seeds = range(turn * arguments.num_envs, (turn + 1) * arguments.num_envs)
        for name, native in ours.items():
            times[name].append(native.play(arguments.seconds, seeds[0]))
        for threads, package in packages.items():
            played = package.ask("play", amount=2 * arguments.seconds, seeds=list(seeds))
            answers[threads].append(played | package.ask("reset", amount=3))
    first = next(iter(ours.values()))
    episodes_per_step = first.episodes / (first.taken * first.env.num_envs)
    run: dict[str, Any] = {"env": env_id, "width": size[0], "height": size[1], "episodes_per_step": episodes_per_step}
    for name, values in times.items():
        run |= {f"{name}_us": statistics.median(values), f"{name}_us_range": [min(values), max(values)]}
    costs = {}
    for threads, rows in answers.items():
        step_us = statistics.median(1e6 * row["step_s"] / row["steps"] for row in rows)
        reset_us = statistics.median(1e6 * row["reset_s"] / row["resets"] for row in rows)
        costs[threads] = step_us + reset_us * episodes_per_step
        run |= {f"package_{threads}_step_us": step_us, f"package_{threads}_reset_us": reset_us}
    run["package_us"] = min(costs.values())
    run["package_lp_num_threads"] = min(costs, key=costs.__getitem__)
    run["ratio"] = {name: run["package_us"] / run[f"{name}_us"] for name in ours}
    for native in ours.values():
        native.env.close()
    for package in packages.values():
        package.ask("close")
    return run


def summary(runs: list[dict[str, Any]], name: str) -> dict[str, dict[str, Any]]:
    """Return medians and the worst ratio over the environments, for each size."""
    found = {}
    for size in dict.fromkeys((run["width"], run["height"]) for run in runs):
        of_size = [run for run in runs if (run["width"], run["height"]) == size]
        worst = min(of_size, key=lambda run: run["ratio"][name])
        found[f"{size[0]}x{size[1]}"] = {
            "median_ratio": statistics.median(run["ratio"][name] for run in of_size),
            "worst_ratio": worst["ratio"][name], "worst_env": worst["env"], "num_envs": len(of_size),
            "median_us": statistics.median(run[f"{name}_us"] for run in of_size),
            "package_median_us": statistics.median(run["package_us"] for run in of_size),
            "frames_per_s_core": 1e6 / statistics.median(run[f"{name}_us"] for run in of_size),
        }  # fmt: skip
    return found


def speed(arguments: argparse.Namespace) -> bool:
    """Compare the CPU time per step with uint8 pictures."""
    runs = []
    for run in all_turns(arguments, {"vldac": {}, "vldac_alone": {"num_envs": 1}}):
        runs.append(run)
        print(
            f"{run['env']} {run['width']}x{run['height']}: {run['vldac_us']:.1f} us (alone {run['vldac_alone_us']:.1f}), package "
            f"{run['package_us']:.0f} us ({run['ratio']['vldac']:.1f}x)", flush=True,
        )  # fmt: skip
    sizes = summary(runs, "vldac")
    gated = [sizes[key] for size in FRAMES if (key := f"{size[0]}x{size[1]}") in sizes]
    holds = all(row["median_ratio"] >= RATIOS["median"] and row["worst_ratio"] >= RATIOS["worst"] for row in gated)
    toward = {f"{w}x{h}": frames for (w, h), frames in FRAMES.items()}
    claim = {
        "least_ratios": RATIOS, "at": list(toward), "toward_frames_per_s_core": toward, "sizes": sizes, "holds": holds,
    }  # fmt: skip
    write_row("miniworld_speed", arguments, claim, runs)
    return holds


def patches(arguments: argparse.Namespace) -> bool:
    """Compare the CPU time per step with pictures as the model takes them."""
    spec = image_spec(known_processor(MODEL))
    formats = {name: {"image_format": name, "image_spec": spec} for name in ("patches", "patches_u8")}
    runs = []
    for run in all_turns(arguments, formats):
        runs.append(run)
        print(
            f"{run['env']} {run['width']}x{run['height']}: float32 {run['patches_us']:.1f} us ({run['ratio']['patches']:.1f}x), "
            f"uint8 {run['patches_u8_us']:.1f} us ({run['ratio']['patches_u8']:.1f}x), package and processor "
            f"{run['package_us']:.0f} us",
            flush=True,
        )  # fmt: skip
    sizes = {name: summary(runs, name) for name in ("patches", "patches_u8")}
    holds = all(row["median_ratio"] >= PATCH_RATIO for row in sizes["patches"].values())
    claim = {"least_median_ratio": PATCH_RATIO, "sizes": sizes, "holds": holds}
    write_row("miniworld_patches", arguments, claim, runs)
    return holds


# -- memory and resets ------------------------------------------------------------------------------------------------

PSS = """
import json, sys, time
import numpy as np
from PIL import Image, PngImagePlugin
from vldac.envs import make
from vldac.envs.miniworld import assets, package

def pss():
    return 1024 * next(int(line.split()[1]) for line in open("/proc/self/smaps_rollup") if line.startswith("Pss:"))
"""
ASSETS = """
before, start = pss(), time.perf_counter()
name = assets.ensure_assets("miniworld")
seconds, resident = time.perf_counter() - start, pss() - before
held = assets.asset_set(package.package_assets(package.package_folder())).bytes
print(json.dumps({"name": name, "resident": resident, "held": held, "seconds": seconds}))
"""
OWN_PSS = """
env_id, num_envs, width, height = sys.argv[1], *map(int, sys.argv[2:])
env = make(env_id, num_envs, num_threads=1, image_size=(width, height), textures="miniworld")
obs, info = env.reset(seed=0)
rng = np.random.default_rng(0)
for _ in range(300):
    obs, *rest, info = env.step(rng.integers(env.single_action_space.n, size=num_envs))
print(pss())
"""


def own_pss(env_id: str, num_envs: int, size: Size) -> int:
    """Return the proportional set size in bytes of a fresh process after 300 steps, one batch held as a training loop does."""
    return int(run_python(OWN_PSS, env_id, *map(str, (num_envs, *size))))


def run_python(code: str, *arguments: str) -> str:
    """Return what a fresh process prints."""
    command = [sys.executable, "-P", "-c", PSS + code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def memory(arguments: argparse.Namespace) -> bool:
    """Measure processes with 1 and with 1 + 64 environments, the assets that they share, and the package's process."""
    shared = json.loads(run_python(ASSETS))
    runs, holds = [], shared["resident"] <= MAX_ASSET_BYTES
    for env_id in arguments.ids:
        for size in arguments.sizes or ((80, 60), (224, 224)):
            few, many = (own_pss(env_id, count, size) for count in (1, 65))
            package = Package("0")
            package.ask("open", id=env_id, size=size)
            run: dict[str, Any] = {
                "env": env_id,
                "width": size[0],
                "height": size[1],
                "bytes_per_env": (many - few) / 64,
            }
            run |= {"pss_1": few, "pss_65": many, "package_pss": package.ask("pss")["pss"]}
            package.close()
            run["is_met"] = run["bytes_per_env"] < MAX_ENV_BYTES
            holds &= run["is_met"]
            runs.append(run)
            print(
                f"{env_id} {size[0]}x{size[1]}: {run['bytes_per_env'] / 1024:.0f} KiB per extra environment; the package's process "
                f"{run['package_pss'] / 2**20:.0f} MiB", flush=True,
            )  # fmt: skip
    claim = {
        "max_bytes_per_env": MAX_ENV_BYTES, "max_asset_bytes": MAX_ASSET_BYTES, "assets": shared, "holds": holds,
    }  # fmt: skip
    write_row("miniworld_memory", arguments, claim, runs)
    return holds


def reset(arguments: argparse.Namespace) -> bool:
    """Compare the CPU time per reset at 80x60, the first picture included."""
    runs = []
    for env_id in arguments.ids:
        package = Package("0")
        package.ask("open", id=env_id, size=(80, 60))
        native = Native(env_id, (80, 60), num_envs=arguments.num_envs)
        ours, theirs = [], []
        for _ in range(arguments.repeats):
            ours.append(native.reset(20) / 1e3)
            answer = package.ask("reset", amount=5)
            theirs.append(1e3 * answer["reset_s"] / answer["resets"])
        native.env.close()
        package.close()
        run = {"env": env_id, "vldac_ms": statistics.median(ours), "package_ms": statistics.median(theirs)}
        runs.append(run)
        print(f"{env_id}: {run['vldac_ms']:.3f} ms, package {run['package_ms']:.1f} ms", flush=True)
    median = statistics.median(run["vldac_ms"] for run in runs)
    claim = {"max_median_ms": MAX_RESET_MS, "median_ms": median, "holds": median < MAX_RESET_MS}
    write_row("miniworld_reset", arguments, claim, runs)
    return median < MAX_RESET_MS


def write_row(name: str, arguments: argparse.Namespace, claim: dict[str, Any], runs: list[dict[str, Any]]) -> None:
    """Write one JSON row file."""
    command = shlex.join(["python", "benchmarks/miniworld.py", *sys.argv[1:]])
    row = {
        "claim": claim, "runs": runs, "command": f"OMP_NUM_THREADS=1 {command}",
        "isa": _core.isa_tiers()[-1], "num_envs": arguments.num_envs, "repeats": arguments.repeats, "load": os.getloadavg(),
        "date": time.strftime("%Y-%m-%d"), "processor": processor_name(), "cores": os.cpu_count(), "commit": commit(ROOT),
        "versions": versions(("vldac", "numpy", "gymnasium", "miniworld", "pyglet", "pillow", "transformers")),
        "opengl": opengl(),
    }  # fmt: skip
    (arguments.out or RESULTS).mkdir(parents=True, exist_ok=True)
    path = (arguments.out or RESULTS) / f"{name}.json"
    path.write_text(json.dumps(row, indent=1) + "\n")
    print(f"{'holds' if claim['holds'] else 'DOES NOT HOLD'}: {path}")


def opengl() -> str:
    """Return what draws for the package."""
    package = Package("0")
    driver: str = package.ask("driver")["driver"]
    package.close()
    return driver


def size_of(text: str) -> Size:
    """Return WIDTHxHEIGHT as numbers."""
    width, height = map(int, text.split("x"))
    return width, height


def main() -> int:
    """Run one comparison and return 0 if its claim holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("speed", "patches", "memory", "reset"))
    parser.add_argument("--ids", nargs="+", default=IDS, help="environments (default: all)")
    parser.add_argument("--sizes", nargs="+", type=size_of, help="WIDTHxHEIGHT (default: those of the claim)")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument(
        "--seconds", type=float, default=0.25, help="CPU time of one turn of ours; the package gets twice that"
    )
    parser.add_argument("--num-envs", type=int, default=8)
    parser.add_argument("--out", type=Path, help="folder of the row (default: benchmarks/results)")
    arguments = parser.parse_args()
    if os.environ.get("OMP_NUM_THREADS") != "1":
        raise SystemExit("set OMP_NUM_THREADS=1: NumPy and torch must not use other cores")
    return 0 if {"speed": speed, "patches": patches, "memory": memory, "reset": reset}[arguments.what](arguments) else 1


if __name__ == "__main__":
    sys.exit(main())
