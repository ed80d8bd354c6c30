"""Checkpoints: a folder in PEFT's format plus what a bit-exact resume needs. safetensors and JSON, never pickle.

Written to a temporary name, synced, renamed; every file is in `manifest.json` with its SHA-256.
Every random stream is keyed by counters, so the counters are all the random state there is.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vldac.errors import CheckpointError

FORMAT = 1


def trainer_state(trainer: Any) -> dict[str, Any]:
    """Return everything a resumed trainer needs: {"tensors": {name: tensor}, "env": bytes, "json": {...}}."""
    policy, state = trainer.policy, trainer.rollout.state
    tensors = {f"lora/{name}": p.detach().cpu() for name, p in policy.lora_parameters()}
    tensors |= {f"value/{name}": p.detach().cpu() for name, p in policy.value_head.named_parameters()}
    for group, optimizer in trainer.optimizers.items():
        for index, slots in optimizer.state_dict()["state"].items():
            tensors |= {f"optim/{group}/{index}/{key}": torch.as_tensor(value).cpu() for key, value in slots.items()}
    tensors["rollout/images"] = torch.from_numpy(state.images)
    tensors["rollout/episode"] = torch.from_numpy(state.episode)
    tensors["rollout/index"] = torch.from_numpy(state.index)
    for env, window in enumerate(state.windows):
        if window:
            tensors[f"rollout/window/{env}"] = torch.from_numpy(np.stack(window))
    counters = {
        "format": FORMAT,
        "updates_done": trainer.updates_done,
        "env_steps": trainer.env_steps,
        "is_warm": trainer.is_warm,
        "steps_taken": state.steps_taken,
        "train_seeds": [trainer.config.seed, trainer.config.seed + trainer.rollout.num_envs - 1],
        "model": trainer.policy.model_info.name,
        "config": json.loads(json.dumps(dataclasses.asdict(trainer.config))),
    }
    return {"tensors": tensors, "env": trainer.env.get_state(), "json": counters}


def save_checkpoint(trainer: Any, path: Path) -> Path:
    """Write a checkpoint folder atomically (an older one at `path` is replaced) and return it."""
    from safetensors.torch import save_file

    state = trainer.state_dict()
    temporary = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    try:
        temporary.mkdir(parents=True)
        trainer.policy.peft.save_pretrained(temporary)
        save_file({k: v.contiguous().clone() for k, v in state["tensors"].items()}, temporary / "state.safetensors")
        (temporary / "env_state.bin").write_bytes(state["env"])
        (temporary / "trainer_state.json").write_text(json.dumps(state["json"], indent=1), encoding="utf-8")
        digests = {
            f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in sorted(temporary.iterdir()) if f.is_file()
        }
        (temporary / "manifest.json").write_text(json.dumps(digests, indent=1), encoding="utf-8")
        for file in temporary.iterdir():
            with file.open("rb") as handle:
                os.fsync(handle.fileno())
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise CheckpointError(
            expected="room and permission to write a checkpoint", got=str(error), where=str(path),
            do="free space and resume: the previous checkpoint is untouched",
        ) from error  # fmt: skip
    old = path.with_name(f".{path.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if path.exists():
        os.replace(path, old)
    os.replace(temporary, path)
    shutil.rmtree(old, ignore_errors=True)
    return path


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read and verify a checkpoint written by `save_checkpoint`. Raises CheckpointError if it is not whole."""
    from safetensors.torch import load_file

    def broken(got: str) -> CheckpointError:
        return CheckpointError(
            expected="a whole checkpoint folder", got=got, where=str(path), do="pass another checkpoint, or start again"
        )

    if not (path / "manifest.json").exists():
        raise broken("no manifest.json")
    try:
        manifest = json.loads((path / "manifest.json").read_text(encoding="utf-8"))
    except ValueError as error:
        raise broken(f"an unreadable manifest.json ({error})") from error
    for name, digest in manifest.items():
        file = path / name
        if not file.exists():
            raise broken(f"{name} is missing")
        if hashlib.sha256(file.read_bytes()).hexdigest() != digest:
            raise broken(f"{name} is truncated or altered")
    return {
        "tensors": load_file(path / "state.safetensors"),
        "env": (path / "env_state.bin").read_bytes(),
        "json": json.loads((path / "trainer_state.json").read_text(encoding="utf-8")),
    }


def restore(trainer: Any, path: Path) -> None:
    """Put a trainer into the state of a checkpoint, bit for bit. Raises CheckpointError if it is of another model."""
    state = read_checkpoint(path)
    tensors, counters = state["tensors"], state["json"]
    load_weights(trainer.policy, tensors, path)
    for group, optimizer in trainer.optimizers.items():
        own = optimizer.state_dict()
        prefix = f"optim/{group}/"
        slots: dict[int, dict[str, torch.Tensor]] = {}
        for name, tensor in tensors.items():
            if name.startswith(prefix):
                index, key = name.removeprefix(prefix).split("/")
                slots.setdefault(int(index), {})[key] = tensor
        optimizer.load_state_dict({"state": slots, "param_groups": own["param_groups"]})
    rollout = trainer.rollout.state
    rollout.images = tensors["rollout/images"].numpy()
    rollout.episode, rollout.index = tensors["rollout/episode"].numpy(), tensors["rollout/index"].numpy()
    rollout.windows = [
        list(tensors[name].numpy()) if (name := f"rollout/window/{env}") in tensors else []
        for env in range(trainer.rollout.num_envs)
    ]
    rollout.steps_taken = counters["steps_taken"]
    trainer.updates_done, trainer.env_steps = counters["updates_done"], counters["env_steps"]
    trainer.is_warm = counters["is_warm"]
    trainer.env.set_state(state["env"])


@torch.no_grad()
def load_weights(policy: Any, tensors: dict[str, torch.Tensor], path: Path) -> None:
    """Copy adapter and value head into a policy; names and shapes must agree."""
    pairs = [(f"lora/{n}", p) for n, p in policy.lora_parameters()]
    pairs += [(f"value/{n}", p) for n, p in policy.value_head.named_parameters()]
    for name, parameter in pairs:
        if name not in tensors or tensors[name].shape != parameter.shape:
            got = tuple(tensors[name].shape) if name in tensors else "no such tensor"
            raise CheckpointError(
                expected=f"{name} of shape {tuple(parameter.shape)}", got=str(got), where=str(path),
                do="use the checkpoint with the model it was trained on",
            )  # fmt: skip
        parameter.copy_(tensors[name])
