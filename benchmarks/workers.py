"""Python environments in worker processes against `gymnasium.vector.AsyncVectorEnv`: steps per second, latency, idle CPU.

    python benchmarks/workers.py --json benchmarks/results/workers.json

Both sides run the same environments with the same seeds, actions and autoreset mode, one process per environment, at their fastest
settings (AsyncVectorEnv: shared memory, and copy=False, which hands out its one buffer; ours always copies). The sides take turns
within each repeat. Three workloads, 8 environments each: "jitter" (exponential sleep of mean 2 ms, 0.2 ms of CPU), "even" (the same
without the sleep) and CartPole-v1. Ours is measured in synchronous `step` and, on jitter, in `ready` order with batch_size 4, as
an agent would use it that need not wait for the slowest. Medians over the repeats, and the median of the ratios within a repeat.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AsyncVectorEnv, AutoresetMode

from vldac.envs import make
from vldac.provenance import commit, processor_name, versions

FOLDER = Path(__file__).resolve().parent
NUM_ENVS = 8
JITTER = "vldac_benchmark/Jitter-v0"
WORKLOADS: dict[str, tuple[str, dict[str, Any], int]] = {
    "jitter": (JITTER, {}, 300),
    "even": (JITTER, {"wait_s": 0.0}, 600),
    "cartpole": ("CartPole-v1", {}, 1000),
}
"""id, arguments, steps of each environment per measurement"""


def theirs(env_id: str, kwargs: dict[str, Any], *, copy: bool) -> AsyncVectorEnv:
    """One process per environment, as it always is."""

    def one() -> gym.Env[Any, Any]:
        importlib.import_module("jitter_env")
        return gym.make(env_id, disable_env_checker=True, **kwargs)

    return AsyncVectorEnv([one] * NUM_ENVS, shared_memory=True, copy=copy, autoreset_mode=AutoresetMode.SAME_STEP)


def ours(env_id: str, kwargs: dict[str, Any], **options: Any) -> Any:
    """As many processes unless said otherwise."""
    options = {"num_workers": NUM_ENVS, "rng": "stream"} | options
    return make(f"gymnasium:{env_id}", NUM_ENVS, env_kwargs=kwargs, imports=["jitter_env"], **options)


def play_sync(env: Any, steps: int, seed: int) -> tuple[float, list[float]]:
    """Seconds of `steps` steps of every environment, and of each call."""
    env.reset(seed=seed)
    actions = np.random.default_rng(seed).integers(2, size=(steps, NUM_ENVS))
    calls = []
    start = time.perf_counter()
    for row in actions:
        tick = time.perf_counter()
        env.step(row)
        calls.append(time.perf_counter() - tick)
    return time.perf_counter() - start, calls


def play_ready(env: Any, steps: int, seed: int) -> tuple[float, list[float]]:
    """As many environment steps, received as they come; what came is sent on at once."""
    env.reset(seed=seed)
    rng = np.random.default_rng(seed)
    batch, calls, done = env.settings.batch_size, [], 0
    env.send(rng.integers(2, size=NUM_ENVS))
    start = time.perf_counter()
    while done < steps * NUM_ENVS:
        tick = time.perf_counter()
        info = env.recv()[4]
        env.send(rng.integers(2, size=batch), info["env_id"])
        calls.append(time.perf_counter() - tick)
        done += batch
    return (time.perf_counter() - start) * steps * NUM_ENVS / done, calls


def tree_cpu_s(env: Any) -> float:
    """CPU seconds so far of this process and of the environment's workers."""
    pids = env.worker_pids if hasattr(env, "worker_pids") else [process.pid for process in env.processes]
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return time.process_time() + ticks / os.sysconf("SC_CLK_TCK")


def idle_cpu_frac(env: Any, seconds: float = 5.0) -> float:
    """Share of one core that the processes burn while nobody asks anything."""
    env.reset(seed=0)
    before = tree_cpu_s(env)
    time.sleep(seconds)
    return (tree_cpu_s(env) - before) / seconds


def summary(name: str, runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians over the repeats of one side, and the ratios to AsyncVectorEnv within each repeat."""
    sides = [run[name] for run in runs]
    ratios = sorted(run[name]["steps_per_s"] / run["async_vector_env"]["steps_per_s"] for run in runs)
    row = {key: round(statistics.median(side[key] for side in sides), 4) for key in sides[0]}
    return row | {
        "ratio": round(statistics.median(ratios), 3),
        "ratio_range": [round(ratios[0], 3), round(ratios[-1], 3)],
    }


def measure(workload: str, repeats: int) -> dict[str, Any]:
    """One workload, all sides in turns."""
    env_id, kwargs, steps = WORKLOADS[workload]
    Player = Callable[[Any, int, int], tuple[float, list[float]]]
    sides: dict[str, tuple[Any, Player]] = {
        "async_vector_env": (theirs(env_id, kwargs, copy=False), play_sync),
        "async_vector_env_copy": (theirs(env_id, kwargs, copy=True), play_sync),
        "step": (ours(env_id, kwargs), play_sync),
        "step_2_workers": (ours(env_id, kwargs, num_workers=2), play_sync),
    }
    if workload == "jitter":
        sides["ready_4"] = (ours(env_id, kwargs, batch_size=4, order="ready"), play_ready)
        sides["fifo_4"] = (ours(env_id, kwargs, batch_size=4), play_ready)
    with contextlib.ExitStack() as stack:
        for env, _ in sides.values():
            stack.callback(env.close)
        for env, play in sides.values():
            play(env, 30, 0)
        runs = []
        for repeat in range(repeats):
            run = {}
            names = list(sides)
            for name in names[repeat % len(names) :] + names[: repeat % len(names)]:
                env, play = sides[name]
                cpu = tree_cpu_s(env)
                seconds, calls = play(env, steps, repeat)
                run[name] = {
                    "steps_per_s": steps * NUM_ENVS / seconds, "p50_ms": 1e3 * float(np.quantile(calls, 0.5)),
                    "p99_ms": 1e3 * float(np.quantile(calls, 0.99)),
                    "cpu_us_per_step": 1e6 * (tree_cpu_s(env) - cpu) / (steps * NUM_ENVS),
                }  # fmt: skip
            runs.append(run)
        idle = {name: round(idle_cpu_frac(sides[name][0]), 4) for name in ("async_vector_env", "step")}
    rows = {name: summary(name, runs) for name in sides}
    return {"steps_per_env": steps, "sides": rows, "idle_cpu_frac": idle}


def main() -> int:
    """Measure, print, write the row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--workloads", nargs="+", default=list(WORKLOADS), choices=list(WORKLOADS))
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    sys.path.insert(0, str(FOLDER))
    load = os.getloadavg()[0]
    results = {}
    for workload in arguments.workloads:
        results[workload] = measure(workload, arguments.repeats)
        for name, row in results[workload]["sides"].items():
            print(f"{workload:9} {name:22} " + "  ".join(f"{key} {value}" for key, value in row.items()), flush=True)
        print(f"{workload:9} idle CPU, share of a core: {results[workload]['idle_cpu_frac']}")
    row = {
        "what": "Python environments in worker processes against AsyncVectorEnv", "num_envs": NUM_ENVS, "repeats": arguments.repeats,
        "workloads": results, "load_average_before_and_after": [load, os.getloadavg()[0]], "cores": os.cpu_count(),
        "processor": processor_name(), "command": "python benchmarks/workers.py", "date": str(date.today()),
        "commit": commit(FOLDER.parent), "versions": versions(("vldac", "gymnasium", "numpy")),
    }  # fmt: skip
    if arguments.json:
        arguments.json.write_text(json.dumps(row, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
