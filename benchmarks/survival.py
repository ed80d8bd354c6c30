"""Kill a run at random instants until it has died often enough; it must end exactly as the run that nobody touched.

    python benchmarks/survival.py --kills 20

Whole `vldac train` commands are started, killed with SIGKILL (cloning of the warm start included) and resumed. In the end every
file of the last checkpoint and every line of metrics.jsonl (times aside) must equal the uninterrupted run's. One JSON row.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from vldac.metrics import read_metrics
from vldac.provenance import commit, versions

RECIPE = """
model: {name: tiny, dtype: float32, value_hidden: [32]}
env: {id: gym_cards/NumberLine-v0, num_envs: 4, num_images: 2, prompt: short, image_size: [84, 84], num_threads: 1}
rollout: {steps_per_update: 32, max_new_tokens: 24}
algorithm: {gamma: 0.4, clip: 0.2, kl_coef: 0.01, value_coef: 1.0}
optim:
  {num_updates: 10, epochs: 2, minibatch_steps: 16, microbatch_steps: 8, lr: 1.0e-3, value_lr: 1.0e-3, warmup_updates: 1,
   warmup_cap: 1}
tiny: {hidden_size: 64, vision_dim: 48, num_layers: 2, clone_updates: 10, clone_batch: 16}
eval: {episodes: 8, every: 4}
checkpoint_every: 1
num_threads: 1
"""


def start(recipe: Path, folder: Path, *, resume: bool) -> subprocess.Popen[bytes]:
    """Start the command in a process of its own; its output goes to a log beside the run folder."""
    command = [sys.executable, "-P", "-m", "vldac", "train", str(recipe), "--run-dir", str(folder)]
    with (folder.parent / "log.txt").open("ab") as log:
        return subprocess.Popen(command + ["--resume"] * resume, stdout=log, stderr=subprocess.STDOUT)


def end_state(folder: Path) -> dict[str, Any]:
    """Return what must be equal: file digests of the last checkpoint, metrics without times, evaluations."""
    last = folder / "checkpoints" / "last"
    digests = json.loads((last / "manifest.json").read_text())
    state = json.loads((last / "trainer_state.json").read_text())
    for named_after_the_folder in ("README.md", "adapter_config.json", "trainer_state.json"):
        digests.pop(named_after_the_folder)
    state.pop("model")
    lines = [{k: v for k, v in line.items() if not k.startswith(("time/", "memory/"))} for line in read_metrics(folder)]
    evaluations = (folder / "evaluations.jsonl").read_text()
    return {"digests": digests, "state": state, "metrics": lines, "evaluations": evaluations}


def main() -> int:
    """Run the comparison and return 0 if nothing was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        row = measure(Path(name), arguments.kills, arguments.seed)
    print(json.dumps(row, indent=1))
    if arguments.json:
        arguments.json.write_text(json.dumps(row, indent=1) + "\n")
    return 0 if row["is_equal"] else 1


def measure(work: Path, kills_wanted: int, seed: int) -> dict[str, Any]:
    """Compare an uninterrupted run with runs that are killed `kills_wanted` times in all, each run to its end."""
    recipe = work / "small.yaml"
    recipe.write_text(RECIPE)
    whole = work / "whole" / "run"
    whole.parent.mkdir()
    tick = time.monotonic()
    if start(recipe, whole, resume=False).wait() != 0:
        raise SystemExit((whole.parent / "log.txt").read_text())
    length = time.monotonic() - tick
    expected, rng = end_state(whole), random.Random(seed)
    kills, runs, instants, differences = 0, 0, [], list[str]()
    while kills < kills_wanted:
        folder = work / f"killed-{runs}" / "run"
        folder.parent.mkdir()
        runs += 1
        process, is_whole = start(recipe, folder, resume=False), True
        while process.poll() is None:
            tick = time.monotonic()
            try:
                process.wait(rng.uniform(0.1, 0.9) * length if kills < kills_wanted else None)
                if is_whole:  # the first run may have been slow on a busy machine
                    length = min(length, time.monotonic() - tick)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.wait()
                kills += 1
                instants.append(len(read_metrics(folder)))
                process, is_whole = start(recipe, folder, resume=True), False
        if process.returncode != 0:
            raise SystemExit((folder.parent / "log.txt").read_text())
        found = end_state(folder)
        differences += [key for key in expected if found[key] != expected[key]]
    return {
        "what": "SIGKILL at random instants", "kills": kills, "runs": runs, "differences": differences,
        "is_equal": not differences, "updates_written_when_killed": instants, "updates": len(expected["metrics"]),
        "seed": seed, "command": f"python benchmarks/survival.py --kills {kills_wanted} --seed {seed}",
        "date": time.strftime("%Y-%m-%d"), "commit": commit(Path(__file__).resolve().parents[1]), "versions": versions(),
    }  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
