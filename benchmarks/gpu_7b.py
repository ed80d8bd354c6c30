"""How fast does a 7B model train, and how much memory does it need? Three updates of the paper preset with random weights.

    python benchmarks/gpu_7b.py                       # Qwen2-VL-7B, one GPU, within ten minutes
    python benchmarks/gpu_7b.py --stand-in            # the same code path on a CPU: the 7B configuration, shrunken

The weights are random (their values change neither time nor memory), configuration and tokenizer need no network. Per update:
environment steps per second, seconds per phase, peak memory beside the estimate of `vldac train --dry-run`. The row file is
written after every update, so a run that is cut keeps what it has; an update that would not fit into --seconds is not started.
In the preset the first two updates train the value head alone; --no-warmup makes every update a full one.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from vldac.provenance import commit, processor_name, versions

ROOT = Path(__file__).resolve().parent.parent
SEVEN_B = "Qwen/Qwen2-VL-7B-Instruct"
STAND_IN = {
    "model.dtype": "float32", "model.value_hidden": [64, 32], "env.num_envs": 4, "rollout.steps_per_update": 8,
    "rollout.max_new_tokens": 6, "optim.minibatch_steps": 4, "optim.microbatch_steps": 2, "device": "cpu",
}  # fmt: skip


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark; exit code 1 if not every update was done."""
    arguments = parse(argv)
    start = time.perf_counter()
    import torch

    from vldac.configuration import check_config, load_config
    from vldac.model import load_model
    from vldac.trainer import Trainer, pick_device

    with tempfile.TemporaryDirectory() as scratch:
        name = stand_in(Path(scratch)) if arguments.stand_in else arguments.model
        config = load_config(arguments.recipe, {"model.name": name, "model.random_weights": True} | settings(arguments))
        check_config(config)
        device = pick_device(config.device)
        model = load_model(name, dtype=getattr(torch, config.model.dtype), random_weights=True, device=device)
        trainer = Trainer(config, model)
        row = header(arguments, config, device)
        row["model"] |= {"name": SEVEN_B + ", shrunken" if arguments.stand_in else name}
        row["memory"] = {"estimate": estimate(config, model), "weights_bytes": allocated(device)}
        row["seconds_to_start"] = time.perf_counter() - start
        longest = 0.0
        while trainer.updates_done < arguments.updates:
            if time.perf_counter() - start + longest > arguments.seconds:
                print(f"stopping: another update of {longest:.0f} s would pass --seconds {arguments.seconds:.0f}")
                break
            row["updates"].append(one_update(trainer, device))
            longest = max(longest, row["updates"][-1]["seconds"])
            summarise(row, device)
            write(arguments.json, row)
        trainer.close()
    print(f"written: {arguments.json}")
    return 0 if len(row["updates"]) == arguments.updates else 1


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=SEVEN_B, help="a known id (see vldac.known)")
    parser.add_argument("--recipe", default="paper")
    parser.add_argument("--updates", type=int, default=3)
    parser.add_argument(
        "--seconds", type=float, default=560.0, help="time for everything, from the start of the process"
    )
    parser.add_argument("--no-warmup", action="store_true", help="train the policy from the first update on")
    parser.add_argument("--stand-in", action="store_true", help="a shrunken model on the CPU, small updates")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a dotted setting, repeatable")
    parser.add_argument("--json", type=Path, default=ROOT / "benchmarks" / "results" / "gpu_7b.json")
    arguments = parser.parse_args(argv)
    arguments.command = "python benchmarks/gpu_7b.py " + " ".join(sys.argv[1:] if argv is None else argv)
    return arguments


def settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """Overrides of the recipe: stand-in sizes, then --no-warmup, then --set."""
    import yaml

    chosen: dict[str, Any] = dict(STAND_IN) if arguments.stand_in else {}
    if arguments.no_warmup:
        chosen |= {"optim.warmup_updates": 0, "optim.warmup_cap": 0}
    for item in arguments.set:
        key, _, value = item.partition("=")
        chosen[key] = yaml.safe_load(value)
    return chosen


def stand_in(folder: Path) -> str:
    """Write the 7B configuration with two small layers, real vocabulary, and its image constants; return the folder."""
    from vldac.known import known_config, known_processor

    config = known_config(SEVEN_B)
    text, vision = config.text_config, config.vision_config
    text.num_hidden_layers, text.hidden_size, text.intermediate_size = 2, 128, 256
    text.num_attention_heads, text.num_key_value_heads, text.layer_types = 4, 2, ["full_attention"] * 2
    text.rope_parameters = {**text.rope_parameters, "mrope_section": [4, 6, 6]}
    vision.depth, vision.embed_dim, vision.num_heads, vision.hidden_size = 2, 64, 4, 128
    config.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(known_processor(SEVEN_B)), encoding="utf-8")
    return str(folder)


def one_update(trainer: Any, device: Any) -> dict[str, Any]:
    """Collect and update once; return seconds, rates and peaks."""
    reset_peak(device)
    tick = time.perf_counter()
    batch = trainer.collect()
    collected = time.perf_counter() - tick
    rollout_peak = peak(device)
    reset_peak(device)
    metrics = trainer.update(batch)
    seconds = time.perf_counter() - tick
    steps = trainer.config.rollout.steps_per_update
    result = {
        "update": trainer.updates_done,
        "is_value_warmup": bool(metrics["policy/is_frozen"]),
        "env_steps": steps,
        "seconds": seconds,
        "env_steps_per_s": steps / seconds,
        "collect_s": collected,
        "update_s": seconds - collected,
        "phases_s": {key[5:].removesuffix("_s"): metrics[key] for key in metrics if key.startswith("time/")},
        "response_tokens_mean": metrics["rollout/response_tokens_mean"],
        "first_ratio_deviation": metrics["policy/first_ratio_deviation"],
        "decode_mismatch_mean": metrics.get("policy/decode_mismatch_mean"),
        "rollout_peak_bytes": rollout_peak,
        "update_peak_bytes": peak(device),
    }
    kind = "value warm-up" if result["is_value_warmup"] else "full"
    print(
        f"update {result['update']} ({kind}): {seconds:.1f} s, {result['env_steps_per_s']:.2f} env steps/s, "
        f"collect {collected:.1f} s, peaks {rollout_peak / 1e9:.2f} and {result['update_peak_bytes'] / 1e9:.2f} GB",
        flush=True,
    )
    return result


def estimate(config: Any, model: Any) -> dict[str, Any]:
    """The estimate of `--dry-run`, with the prompt counted by the tokenizer that is used."""
    from vldac.estimate import count_parameters, estimate_memory
    from vldac.preflight import ModelFacts, prompt_size

    facts = ModelFacts(config=model.network.config, spec=model.spec, tokenizer=model.tokenizer, source="loaded")
    counts, prompt = count_parameters(config, facts), prompt_size(config, facts)
    memory = estimate_memory(config, facts, counts, prompt)
    return {
        "rollout_bytes": memory.total("rollout"),
        "update_bytes": memory.total("update"),
        "largest": memory.largest.name,
        "terms": {term.name: term.size for term in memory.terms},
        "prompt_tokens": prompt.total,
        "parameters": {"base": counts.base, "lora": counts.lora, "value_head": counts.value_head},
    }


def summarise(row: dict[str, Any], device: Any) -> None:
    """Peaks of all updates beside the estimate. On a CPU the process's peak has no phases and includes the interpreter."""
    memory, updates = row["memory"], row["updates"]
    measure = "process peak RSS" if device.type == "cpu" else "peak of allocated device memory"
    memory |= {"measured": measure, "rollout_peak_bytes": max(u["rollout_peak_bytes"] for u in updates)}
    memory["update_peak_bytes"] = max(u["update_peak_bytes"] for u in updates)
    for phase in ("rollout", "update"):
        ratio = memory[f"{phase}_peak_bytes"] / memory["estimate"][f"{phase}_bytes"]
        memory[f"{phase}_measured_over_estimate"] = ratio
    row["env_steps_per_s"] = sum(u["env_steps"] for u in updates) / sum(u["seconds"] for u in updates)
    print(
        "  peak / estimate: "
        + ", ".join(
            f"{phase} {memory[f'{phase}_peak_bytes'] / 1e9:.2f} / {memory['estimate'][f'{phase}_bytes'] / 1e9:.2f} GB"
            for phase in ("rollout", "update")
        ),
        flush=True,
    )


def header(arguments: argparse.Namespace, config: Any, device: Any) -> dict[str, Any]:
    """What runs, on what, with which versions."""
    import torch

    name = processor_name()
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
    return {
        "benchmark": "gpu_7b",
        "date": time.strftime("%Y-%m-%d"),
        "commit": commit(Path(__file__).resolve().parents[1]),
        "command": arguments.command.strip(),
        "versions": versions(),
        "device": {"name": name, "type": device.type, "cores": os.cpu_count()},
        "model": {"dtype": config.model.dtype, "lora_rank": config.model.lora_rank},
        "settings": {
            "env": config.env.id,
            "num_envs": config.env.num_envs,
            "steps_per_update": config.rollout.steps_per_update,
            "max_new_tokens": config.rollout.max_new_tokens,
            "epochs": config.optim.epochs,
            "minibatch_steps": config.optim.minibatch_steps,
            "microbatch_steps": config.optim.microbatch_steps,
            "gradient_checkpointing": config.model.gradient_checkpointing,
        },
        "updates": [],
    }


def reset_peak(device: Any) -> None:
    import torch

    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def peak(device: Any) -> int:
    """Peak bytes since `reset_peak`: allocated on the GPU, or of the whole process on a CPU (never reset)."""
    import torch

    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def allocated(device: Any) -> int | None:
    """Bytes on the GPU once the model is there; None on a CPU."""
    import torch

    return int(torch.cuda.memory_allocated(device)) if device.type == "cuda" else None


def write(path: Path, row: dict[str, Any]) -> None:
    """Write the row file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(json.dumps(row, indent=1) + "\n", encoding="utf-8")
    os.replace(temporary, path)


if __name__ == "__main__":
    sys.exit(main())
