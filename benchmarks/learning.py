"""Does it learn, and is it RL that did it? Runs the real command, one process per run, and writes one JSON row file per claim.

    python benchmarks/learning.py seeds     # quickstart, seeds 0-4: success and return before and after
    python benchmarks/learning.py control   # the same from the same starts, advantages shuffled over the steps
    python benchmarks/learning.py reading   # does the warm start read its pictures? own, shuffled, chance
    python benchmarks/learning.py ezpoints  # the recipe ezpoints: from below 0.40 to 0.80 or more
    python benchmarks/learning.py kernels   # the torch and the default kernels from the same starts: the same success
    python benchmarks/learning.py miniworld --recipe quickstart-miniworld  # or another MiniWorld recipe; one row each

Run folders go to --work-dir (default runs/learning) and are reused by `control` and `reading`; rows go to benchmarks/results.
Exit code 1 if a claim does not hold. Runs use --num-threads torch threads, one run at a time.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from vldac.provenance import commit, processor_name, versions

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
CONTROL_EPISODES = 400
"""Held-out episodes per evaluation of the control: a rise of 0.06 above 0.61 is then significant."""
TARGETS = {
    "quickstart": {"end_success_min": 0.98, "end_return_min": 0.9},
    "ezpoints": {"start_success_max": 0.40, "end_success_min": 0.80},
    "quickstart-alfworld": {"start_success_max": 0.35, "end_success_min": 0.50},
    "quickstart-webshop": {"start_success_max": 0.20, "end_success_min": 0.60},
    "quickstart-miniworld": {"start_success_max": 0.70, "end_success_min": 0.95},
    "miniworld-hallway": {"start_success_max": 0.40, "end_success_min": 0.95},
    "miniworld-oneroom": {"start_success_max": 0.40, "end_success_min": 0.90},
    "miniworld-fourrooms": {},  # recorded as they come out
    "miniworld-wallgap": {},
}
WALL_S_MAX = {
    "quickstart": 300.0, "quickstart-alfworld": 1200.0, "quickstart-webshop": 1200.0, "ezpoints": 1800.0,
    "quickstart-miniworld": 300.0,
    "miniworld-hallway": 1800.0,
    "miniworld-oneroom": 2700.0, "miniworld-fourrooms": 2700.0, "miniworld-wallgap": 2700.0,
}  # fmt: skip
"""Limit of the whole command by the clock, judged apart from learning: on a busy machine see `cpu_s` beside `wall_s`."""

READING_MIN = {"quickstart-miniworld": 0.90, "miniworld-hallway": 0.90, "miniworld-oneroom": 0.90}
"""Share of pictures that the start must read right, where it is not 0.95: sides and distances have borders (2.5 and 5 m, half a turn,
the edge of the picture), at which a centimetre decides."""


# -- the claims ------------------------------------------------------------------------------------------------------


def seeds(arguments: argparse.Namespace) -> bool:
    """Train `--recipe` with every seed; the claim holds if four of five meet the targets, and all are within the time."""
    runs, limit = [], WALL_S_MAX[arguments.recipe]
    for seed in arguments.seeds:
        run = {"seed": seed} | train(arguments, arguments.recipe, seed, fresh=not arguments.reuse)
        runs.append(run | {"is_met": is_met(run, TARGETS[arguments.recipe]), "is_in_time": run["wall_s"] <= limit})
        print(f"  targets {'met' if runs[-1]['is_met'] else 'NOT met'}: {TARGETS[arguments.recipe]}", flush=True)
    met, needed = sum(run["is_met"] for run in runs), math.ceil(0.8 * len(runs))
    claim = {
        "targets": TARGETS[arguments.recipe], "seeds_met": met, "seeds_needed": needed, "holds": met >= needed,
        "wall_s_max": limit, "holds_in_time": all(run["is_in_time"] for run in runs),
    }  # fmt: skip
    write_row(f"learning_{arguments.recipe}", arguments, claim, runs)
    return claim["holds"] and claim["holds_in_time"]


def control(arguments: argparse.Namespace) -> bool:
    """For every seed: with shuffled advantages the end is not significantly above the start, with real ones it is.

    One-sided two-proportion z test, pooled variance, 5 % (z > 1.645), on the same held-out episodes before and after. wall_s and
    cpu_s are those of the whole real run: warm start, evaluations and training.
    """
    runs = []
    for seed in arguments.seeds:
        real = train(arguments, arguments.recipe, seed, fresh=False)
        start_folder = run_folder(arguments, arguments.recipe, seed) / "warm_start"
        shuffled = train(
            arguments, arguments.recipe, seed, fresh=not arguments.reuse, name="control",
            settings={"algorithm.shuffle_advantages": "true", "eval.episodes": str(CONTROL_EPISODES)},
            folders={"tiny.clone_dir": start_folder},
        )  # fmt: skip
        real_end = evaluate(run_folder(arguments, arguments.recipe, seed), CONTROL_EPISODES)
        start, control_end = shuffled["start"], shuffled["end"]
        z_control, z_real = z_above(control_end, start), z_above(real_end, start)
        is_met = z_control <= 1.645 < z_real
        runs.append(
            {
                "seed": seed, "start": start, "shuffled_end": control_end, "real_end": real_end, "z_shuffled": z_control,
                "z_real": z_real, "is_met": is_met, "wall_s": real["wall_s"], "cpu_s": real["cpu_s"],
            }
        )  # fmt: skip
        print(f"  seed {seed}: z shuffled {z_control:.2f}, real {z_real:.2f} (limit 1.645)", flush=True)
    claim = {
        "test": "one-sided two-proportion z test, pooled variance, 5 %: z <= 1.645 shuffled, z > 1.645 real",
        "holds": all(run["is_met"] for run in runs),
    }
    write_row(f"learning_{arguments.recipe}_control", arguments, claim, runs)
    return claim["holds"]


def kernels(arguments: argparse.Namespace) -> bool:
    """From the same start the torch kernels and the default ones end within each other's 95 % interval, and meet the targets."""
    runs = []
    for seed in arguments.seeds:
        default = train(arguments, arguments.recipe, seed, fresh=not arguments.reuse)
        start_folder = run_folder(arguments, arguments.recipe, seed) / "warm_start"
        plain = train(
            arguments, arguments.recipe, seed, fresh=not arguments.reuse, name="torch",
            settings={"model.kernels": "torch"}, folders={"tiny.clone_dir": start_folder},
        )  # fmt: skip
        ends = [run["end"] for run in (default, plain)]
        agree = all(
            one["success_ci"][0] <= other["success_rate"] <= one["success_ci"][1] for one, other in (ends, ends[::-1])
        )
        met = agree and all(is_met(run, TARGETS[arguments.recipe]) for run in (default, plain))
        runs.append({"seed": seed, "default": default, "torch": plain, "is_met": met})
        print(f"  seed {seed}: {ends[0]['success_rate']:.3f} and {ends[1]['success_rate']:.3f} (torch)", flush=True)
    claim = {
        "test": "each end within the other's 95 % interval, and within the targets",
        "targets": TARGETS[arguments.recipe], "holds": all(run["is_met"] for run in runs),
    }  # fmt: skip
    write_row(f"learning_{arguments.recipe}_kernels", arguments, claim, runs)
    return claim["holds"]


def reading(arguments: argparse.Namespace) -> bool:
    """The start names at least 95 % (or READING_MIN) of its samples right, and with shuffled pictures no more than chance + 4 sd.

    The samples come from other episodes than cloning's, but NumberLine has few different pictures, all of which cloning has
    shown: this says that the start reads its picture, not that it would read one it has never seen.
    """
    import torch

    from vldac.clone import reading_accuracy
    from vldac.configuration import load_config
    from vldac.model import load_model

    torch.set_num_threads(arguments.num_threads)
    config, runs, least = load_config(arguments.recipe), [], READING_MIN.get(arguments.recipe, 0.95)
    for seed in arguments.seeds:
        folder = run_folder(arguments, arguments.recipe, seed) / "warm_start"
        if not folder.exists():
            train(arguments, arguments.recipe, seed, fresh=True)
        model = load_model(str(folder), dtype=torch.float32)
        reads = reading_accuracy(model, config.env, count=arguments.samples, action=config.tiny.clone_action)
        named = {"all fields": reads} | reads.fields
        row: dict[str, Any] = {"seed": seed, "samples": reads.samples}
        for name, one in named.items():
            limit = one.chance + 4 * math.sqrt(one.chance * (1 - one.chance) / reads.samples)
            row[name] = {
                "own_images": one.own_images, "shuffled_images": one.shuffled_images, "chance": one.chance,
                "shuffled_limit": limit, "is_met": one.own_images >= least and one.shuffled_images <= limit,
            }  # fmt: skip
            print(f"  seed {seed}, {name}: {row[name]}", flush=True)
        row["is_met"] = all(row[name]["is_met"] for name in named)
        runs.append(row)
    claim = {
        "test": f"own images >= {least}; shuffled images <= chance + 4 standard deviations of chance",
        "chance": "sum of squared label shares of these very samples",
        "holds": all(run["is_met"] for run in runs),
    }
    write_row(f"learning_{arguments.recipe}_reading", arguments, claim, runs)
    return claim["holds"]


# -- running the command --------------------------------------------------------------------------------------------------


def run_folder(arguments: argparse.Namespace, recipe: str, seed: int, name: str = "seed") -> Path:
    """Return where a run lives."""
    return Path(arguments.work_dir).resolve() / f"{recipe}_{name}_{seed}"


def train(
    arguments: argparse.Namespace, recipe: str, seed: int, *, fresh: bool, name: str = "seed",
    settings: dict[str, str] | None = None, folders: dict[str, Path] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Run `vldac train` in a process of its own and return its figures; with `fresh` False a finished run is read instead.

    The end is measured again by `vldac eval` from the checkpoint on disk and must equal what the run said.
    """
    folder = run_folder(arguments, recipe, seed, name)
    log = folder.with_suffix(".log")
    options = {"seed": str(seed), "num_threads": str(arguments.num_threads)} | (settings or {})
    if fresh or not (folder / "checkpoints" / "last").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        command = [*vldac(), "train", recipe, "--run-dir", str(folder)]
        for key, value in (options | {k: str(v) for k, v in (folders or {}).items()}).items():
            command += [f"--{key}", value]
        print(f"vldac train {recipe} " + " ".join(f"--{k} {v}" for k, v in options.items()), flush=True)
        tick, spent = time.perf_counter(), children_cpu_s()
        done = subprocess.run(command, env=environment(arguments), capture_output=True, text=True, check=False)
        wall = time.perf_counter() - tick
        log.write_text(
            f"{done.stdout}\n{done.stderr}\nwall_s {wall:.1f} cpu_s {children_cpu_s() - spent:.1f}\n", encoding="utf-8"
        )
        if done.returncode:
            raise SystemExit(f"vldac train ended with {done.returncode}:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    text = log.read_text(encoding="utf-8")
    start, said = evaluations(folder)
    end = evaluate(folder, said["episodes"])
    if {key: said[key] for key in end} != end:
        raise SystemExit(f"the checkpoint on disk does not play like the run that wrote it: {said} against {end}")
    wall, cpu = map(float, re.findall(r"^wall_s (\S+) cpu_s (\S+)$", text, re.M)[-1])
    result = {"start": start, "end": end, "wall_s": wall, "cpu_s": cpu, **training_figures(folder, wall)}
    print(
        f"  success {start['success_rate']:.3f} -> {end['success_rate']:.3f}, return {start['return_mean']:.3f} -> "
        f"{end['return_mean']:.3f}, {wall:.0f} s",
        flush=True,
    )
    return result


def evaluate(folder: Path, episodes: int) -> dict[str, Any]:
    """Run `vldac eval` on a run's last checkpoint and return what it wrote."""
    out = folder / f"eval_{episodes}.json"
    command = [*vldac(), "eval", "--checkpoint", str(folder / "checkpoints" / "last"), "--episodes", str(episodes)]
    environ = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run([*command, "--json", str(out)], check=True, env=environ, stdout=subprocess.DEVNULL)
    return outcome(json.loads(out.read_text(encoding="utf-8")))


def evaluations(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the run's own evaluations before and after training, from its evaluations.jsonl."""
    lines = [json.loads(line) for line in (folder / "evaluations.jsonl").read_text(encoding="utf-8").splitlines()]
    if len(lines) < 2 or lines[0]["update"] != 0:
        raise SystemExit(f"expected an evaluation before and one after training in {folder / 'evaluations.jsonl'}")
    return outcome(lines[0]), outcome(lines[-1])


def outcome(result: dict[str, Any]) -> dict[str, Any]:
    """Return the figures of an evaluation that a row keeps, and the number of successes."""
    kept = ("success_rate", "success_ci", "return_mean", "episode_length", "episodes", "seed")
    score = {} if result.get("score_mean") is None else {"score_mean": result["score_mean"]}  # of 100: WebShop
    return (
        {"successes": round(result["success_rate"] * result["episodes"])} | {key: result[key] for key in kept} | score
    )


def vldac() -> list[str]:
    """Return the command as this interpreter starts it (`-P`: never the repository's own folders)."""
    return [sys.executable, "-P", "-m", "vldac"]


def environment(arguments: argparse.Namespace) -> dict[str, str]:
    """Return the environment of a run: as many OpenMP threads as torch threads."""
    return dict(os.environ) | {"OMP_NUM_THREADS": str(arguments.num_threads)}


def children_cpu_s() -> float:
    """Return the processor seconds of the processes that ended so far; on a shared machine they say more than the clock."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def training_figures(folder: Path, wall: float) -> dict[str, Any]:
    """Return what metrics.jsonl says of the whole run: steps, seconds per phase, and the value's explained variance."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    moving = [line for line in lines if not line["policy/is_frozen"]]
    explained = [line["value/explained_variance"] for line in moving]
    phases = {name: sum(line[f"time/{name}_s"] for line in lines) for name in ("collect", "reference", "update")}
    return {
        "updates": len(lines),
        "env_steps": int(lines[-1]["rollout/env_steps"]),
        "explained_variance": {"best": max(explained), "last": explained[-1]},
        "kl_ref_k3_last": lines[-1]["policy/kl_ref_k3"],
        "seconds": {name: round(value, 1) for name, value in phases.items()}
        | {"start_cloning_evaluation_and_report": round(wall - sum(phases.values()), 1)},
        "return_by_update": [line.get("rollout/return_mean") for line in lines],
    }


# -- judging and recording ------------------------------------------------------------------------------------------------


def is_met(run: dict[str, Any], targets: dict[str, float]) -> bool:
    """Say whether a run meets every target."""
    measured = {
        "end_success_min": run["end"]["success_rate"], "end_return_min": run["end"]["return_mean"],
        "start_success_max": run["start"]["success_rate"],
    }  # fmt: skip
    return all(
        measured[key] >= limit if key.endswith("_min") else measured[key] <= limit for key, limit in targets.items()
    )


def z_above(after: dict[str, Any], before: dict[str, Any]) -> float:
    """Return the pooled two-proportion z of `after` above `before`; 0 where both are all or nothing."""
    n, m = after["episodes"], before["episodes"]
    pooled = (after["successes"] + before["successes"]) / (n + m)
    spread = math.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
    return (after["successes"] / n - before["successes"] / m) / spread if spread else 0.0


def write_row(name: str, arguments: argparse.Namespace, claim: dict[str, Any], runs: list[dict[str, Any]]) -> None:
    """Write one row file: what was run, with what, and what came out."""
    command = f"python benchmarks/learning.py {arguments.command} --recipe {arguments.recipe} --seeds " + " ".join(
        map(str, arguments.seeds)
    )
    name = name.replace("-", "_")
    row: dict[str, Any] = {
        "benchmark": name,
        "date": time.strftime("%Y-%m-%d"),
        "commit": arguments.commit,
        "command": f"{command} --num-threads {arguments.num_threads}" + (" --reuse" if arguments.reuse else ""),
        "versions": versions(),
        "device": {"cpu": processor_name(), "cores": os.cpu_count(), "torch_threads": arguments.num_threads},
        "claim": claim,
        "runs": runs,
    }
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    if arguments.command == "miniworld":  # one file, one row per recipe
        path = RESULTS / "learning_miniworld.json"
        known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        row = known | {arguments.recipe: row}
    path.write_text(json.dumps(row, indent=1) + "\n", encoding="utf-8")
    late = "" if claim.get("holds_in_time", True) else ", but NOT within the time"
    print(f"{'holds' if claim['holds'] else 'DOES NOT HOLD'}{late}: {path.relative_to(ROOT)}")


def main(argv: list[str] | None = None) -> int:
    """Run one claim's benchmark; 0 if the claim holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, recipe, numbers in (
        ("seeds", "quickstart", [0, 1, 2, 3, 4]),
        ("control", "quickstart", [0, 1, 2]),
        ("kernels", "quickstart", [0, 1]),
        ("reading", "quickstart", [0]),
        ("ezpoints", "ezpoints", [0]),
        ("miniworld", "quickstart-miniworld", [0]),
    ):
        command = commands.add_parser(name)
        command.add_argument("--recipe", default=recipe, choices=sorted(TARGETS))
        command.add_argument("--seeds", type=int, nargs="+", default=numbers)
        command.add_argument("--num-threads", type=int, default=1, help="torch threads of a run (default 1)")
        command.add_argument("--work-dir", default="runs/learning")
        command.add_argument("--reuse", action="store_true", help="judge finished runs in --work-dir again")
        command.add_argument("--samples", type=int, default=4096, help="samples of `reading` (default 4096)")
    arguments = parser.parse_args(argv)
    arguments.commit = commit(ROOT)
    claims = {
        "seeds": seeds,
        "control": control,
        "kernels": kernels,
        "reading": reading,
        "ezpoints": seeds,
        "miniworld": seeds,
    }
    return 0 if claims[arguments.command](arguments) else 1


if __name__ == "__main__":
    sys.exit(main())
