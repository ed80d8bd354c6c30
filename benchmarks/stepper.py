"""What the batched stepper costs: against EnvPool, in memory, and over ten million steps.

    python benchmarks/stepper.py overhead   # CPU per live environment step and p99 of step, beside EnvPool (pip install envpool)
    python benchmarks/stepper.py memory     # PSS per extra environment, 300x300 pictures
    python benchmarks/stepper.py soak       # 10^7 steps: resident memory every 10^6

overhead: the sides in one process, one alive at a time, interleaved; the same actions; through the Python API of each. CPU is
user + system time of the process, all threads. EnvPool resets in a step of its own after an episode's end and ignores that
action: such dead steps are not counted as steps. "vldac_threads" is ours with may_caller_step=False: by default environments
that declare every call short run on the calling thread where waking another costs more, whatever num_threads.
Rows go to benchmarks/results. Exit code 1 if a target is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from vldac.envs.catalogue import native_spec

from vldac.envs import list_ids, make
from vldac.provenance import commit, processor_name, versions

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
PAIRS = {"Blackjack-symbolic-v0": "Blackjack-v1", "test/CartPole-v0": "CartPole-v1"}
"""Our environment and EnvPool's of the same rules and observation."""
TARGET_ENVS = 64
TARGETS = {"cpu_ratio_min": 3.0, "p99_ratio_max": 1.0}
MAX_BYTES_PER_ENV = 2**20


def overhead(arguments: argparse.Namespace) -> bool:
    """Compare the CPU time per live step and the latency of step."""
    import envpool

    runs, holds = [], True
    for ours, theirs in PAIRS.items():
        for num_envs in (1, TARGET_ENVS, 1024):
            for threads in (1, 2):
                sides: dict[str, Callable[[], Any]] = {
                    "vldac": lambda o=ours, n=num_envs, t=threads: make(o, n, num_threads=t),
                    "vldac_threads": lambda o=ours, n=num_envs, t=threads: make(
                        o, n, num_threads=t, may_caller_step=False
                    ),
                    "envpool": lambda o=theirs, n=num_envs, t=threads: envpool.make_gymnasium(
                        o, num_envs=n, num_threads=t, seed=0
                    ),
                }
                rows: dict[str, list[dict[str, float]]] = {name: [] for name in sides}
                for _ in range(arguments.repeats):
                    for name, build in sides.items():
                        rows[name].append(play(build(), num_envs, arguments.steps))
                run = compare(rows) | {"env": ours, "num_envs": num_envs, "threads": threads}
                is_target = num_envs == TARGET_ENVS
                run["is_met"] = not is_target or bool(
                    run["cpu_ratio"] >= TARGETS["cpu_ratio_min"] and run["p99_ratio"] <= TARGETS["p99_ratio_max"]
                )
                holds &= run["is_met"]
                runs.append(run)
                print(
                    f"{ours} x {num_envs}, {threads} thread(s): {run['vldac_ns']:.0f} ns CPU per step, EnvPool "
                    f"{run['envpool_ns']:.0f} ({run['cpu_ratio']:.1f}x, on threads {run['threads_cpu_ratio']:.1f}x); p99 "
                    f"{run['vldac_p99_us']:.0f} us, on threads {run['vldac_threads_p99_us']:.0f}, EnvPool "
                    f"{run['envpool_p99_us']:.0f}",
                    flush=True,
                )
    claim = {"targets": TARGETS, "at_envs": TARGET_ENVS, "holds": holds, "envpool": envpool.__version__}
    write_row("stepper_overhead", arguments, claim, runs)
    return holds


def play(env: Any, num_envs: int, steps: int) -> dict[str, float]:
    """Step an environment through a fixed script and return its cost per live step."""
    script = np.random.default_rng(0).integers(0, 2, (512, num_envs))
    env.reset(seed=0) if hasattr(env, "get_state") else env.reset()
    for actions in script[:100]:
        env.step(actions)
    is_same_step, dead = hasattr(env, "get_state"), 0
    ended = np.zeros(num_envs, bool)
    latency = np.empty(steps)
    cpu = time.process_time()
    for i in range(steps):
        tick = time.perf_counter()
        _, _, terminated, truncated, _ = env.step(script[i % 512])
        latency[i] = time.perf_counter() - tick
        if not is_same_step:
            dead += int(ended.sum())
            ended = terminated | truncated
    cpu = time.process_time() - cpu
    live = steps * num_envs - dead
    env.close()
    p50, p99 = np.percentile(latency, [50, 99])
    return {
        "ns": 1e9 * cpu / live,
        "p50_us": 1e6 * p50,
        "p99_us": 1e6 * p99,
        "steps_per_s": live / float(latency.sum()),
    }


def compare(rows: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    """Return medians and spreads of the sides, and the ratios of the medians."""
    found: dict[str, Any] = {}
    for name, side in rows.items():
        for key in side[0]:
            values = [row[key] for row in side]
            found[f"{name}_{key}"] = statistics.median(values)
            found[f"{name}_{key}_range"] = [float(min(values)), float(max(values))]
    found["cpu_ratio"] = found["envpool_ns"] / found["vldac_ns"]
    found["threads_cpu_ratio"] = found["envpool_ns"] / found["vldac_threads_ns"]
    found["p99_ratio"] = found["vldac_p99_us"] / found["envpool_p99_us"]
    return found


def memory(arguments: argparse.Namespace) -> bool:
    """Measure the PSS of processes with 1 and with 1 + 64 environments, one batch held as a training loop does."""
    runs = []
    for env_id in (env_id for env_id in list_ids() if not native_spec(env_id).is_text):
        few, many = (pss(env_id, count) for count in (1, 65))
        per_env = (many - few) / 64
        runs.append(
            {
                "env": env_id,
                "pss_1": few,
                "pss_65": many,
                "bytes_per_env": per_env,
                "is_met": per_env < MAX_BYTES_PER_ENV,
            }
        )
        print(f"{env_id}: {per_env / 1024:.0f} KiB per extra environment", flush=True)
    holds = all(run["is_met"] for run in runs)
    write_row("stepper_memory", arguments, {"max_bytes_per_env": MAX_BYTES_PER_ENV, "holds": holds}, runs)
    return holds


def pss(env_id: str, num_envs: int) -> int:
    """Return the proportional set size in bytes of a fresh process after 300 steps."""
    code = f"""
import numpy as np
from vldac.envs import make
env = make({env_id!r}, {num_envs}, num_threads=1)
obs, info = env.reset(seed=0)
rng = np.random.default_rng(0)
for _ in range(300):
    obs, *rest, info = env.step(rng.integers(env.single_action_space.n, size={num_envs}))
print(next(line.split()[1] for line in open("/proc/self/smaps_rollup") if line.startswith("Pss:")))
"""
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    return 1024 * int(done.stdout)


def soak(arguments: argparse.Namespace) -> bool:
    """Take 10^7 steps, faults among them, and watch the resident memory."""
    ids = [
        *(env_id for env_id in list_ids() if not native_spec(env_id).is_text),
        "test/CartPole-v0",
        "test/Misbehaving-v0",
    ]
    options: dict[str, dict[str, Any]] = {"test/Misbehaving-v0": {"odds": 0.05}}
    envs = [
        make(
            env_id,
            64,
            num_threads=2,
            **({} if "symbolic" in env_id else {"image_size": (84, 84)}),
            **options.get(env_id, {}),
        )
        for env_id in ids
    ]
    rng = np.random.default_rng(0)
    for env in envs:
        env.reset(seed=0)
    taken, faults, resident = 0, 0, []
    tick = time.perf_counter()
    while taken < arguments.total:
        for env in envs:
            for _ in range(100):
                info = env.step(rng.integers(env.single_action_space.n, size=64))[4]
                if "final_info" in info:
                    faults += sum(fault is not None for fault in info["final_info"]["fault"])
                taken += 64
        if taken // (arguments.total // 10) > len(resident):
            resident.append(rss())
            print(f"{taken} steps, {resident[-1] / 2**20:.1f} MiB, {faults} faults", flush=True)
    growth = resident[-1] - resident[1]
    claim = {
        "steps": taken, "seconds": time.perf_counter() - tick, "faults": faults, "growth_after_2_tenths_bytes": growth,
        "holds": growth < 2 * 2**20, "rings": {env.env_id: env.ring for env in envs},
    }  # fmt: skip
    write_row("stepper_soak", arguments, claim, [{"resident_bytes": resident}])
    return bool(claim["holds"])


def rss() -> int:
    """Resident bytes of this process."""
    return os.sysconf("SC_PAGE_SIZE") * int(Path("/proc/self/statm").read_text().split()[1])


def write_row(name: str, arguments: argparse.Namespace, claim: dict[str, Any], runs: list[dict[str, Any]]) -> None:
    """Write one JSON row file."""
    row = {
        "claim": claim, "runs": runs, "command": f"python benchmarks/stepper.py {arguments.what}", "load": os.getloadavg(),
        "date": time.strftime("%Y-%m-%d"), "processor": processor_name(), "commit": commit(ROOT), "versions": versions(),
    }  # fmt: skip
    (arguments.out or RESULTS).mkdir(parents=True, exist_ok=True)
    path = (arguments.out or RESULTS) / f"{name}.json"
    path.write_text(json.dumps(row, indent=1) + "\n")
    print(f"{'holds' if claim['holds'] else 'DOES NOT HOLD'}: {path}")


def main() -> int:
    """Run one measurement and return 0 if its claim holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("overhead", "memory", "soak"))
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--steps", type=int, default=3000, help="vector steps of one repeat")
    parser.add_argument("--total", type=int, default=10**7, help="environment steps of the soak")
    parser.add_argument("--out", type=Path, help="folder of the row (default: benchmarks/results)")
    arguments = parser.parse_args()
    return 0 if {"overhead": overhead, "memory": memory, "soak": soak}[arguments.what](arguments) else 1


if __name__ == "__main__":
    sys.exit(main())
