"""Checkpoints: a folder in PEFT's format plus what a bit-exact resume needs. safetensors and JSON, never pickle.

| file | content |
| --- | --- |
| adapter_model.safetensors, adapter_config.json | PEFT's format; loads without this package |
| value_head.safetensors, value_head_config.json | the value head |
| optimizer.safetensors | both Adam states, by parameter name |
| trainer_state.json | counters, configuration, versions, what the random streams are keyed by |
| env_state.bin | every environment's state and random stream; empty for environments without `get_state` |
| rollout.safetensors | the running buffer: present frames with their features and, when stopped inside a rollout, its steps so far |
| tokenizer and preprocessor files | as the model came with them |
| README.md | model card |
| manifest.json | SHA-256 of every file |

Written to a temporary name, synced, renamed; `last` and `best` are relative links that are swapped in one rename. So a kill at any
instant leaves the previous checkpoint or the new one. Every random stream is keyed by counters, so the counters are all the
random state there is.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vldac.data import EpisodeEnd
from vldac.errors import CheckpointError
from vldac.framestate import features_state, restore_features
from vldac.modelcard import model_card
from vldac.prompting import Prompt

FORMAT = 2
_NUMBERED = re.compile(r"update_(\d{6,})(_partial)?")
_COLUMNS = (
    "tokens", "logprob", "num_tokens", "episode", "index", "action", "shown", "status", "is_valid", "has_end", "terminated",
    "truncated", "success", "fault", "entropy", "reward", "value", "final_value",
)  # fmt: skip
_ENV_COLUMNS = ("filled", "next_episode", "next_index", "next_shown")


# -- what a checkpoint holds ------------------------------------------------------------------------------------------


def trainer_state(trainer: Any) -> dict[str, Any]:
    """Return everything a resumed trainer needs: {"tensors": {name: tensor}, "env": bytes, "json": {...}}.

    Tensor names start with "lora/", "value/", "optim/" or "rollout/".
    """
    policy, rollout = trainer.policy, trainer.rollout
    tensors = {f"lora/{name}": p.detach().cpu() for name, p in policy.lora_parameters()}
    tensors |= {f"value/{name}": p.detach().cpu() for name, p in policy.value_head.named_parameters()}
    for group, optimizer in trainer.optimizers.items():
        names = [name for name, _ in trainer.group_parameters(group)]
        for index, slots in optimizer.state_dict()["state"].items():
            tensors |= {f"optim/{group}/{names[index]}/{k}": torch.as_tensor(v).cpu() for k, v in slots.items()}
    rollout_tensors, rollout_json = _rollout_state(rollout)
    counters = {
        "format": FORMAT,
        "updates_done": trainer.updates_done,
        "env_steps": trainer.env_steps,
        "is_warm": trainer.is_warm,
        "passes": {"microbatch_tokens": policy.budget.tokens, "prefill_rows": policy.budget.prefill_rows},
        "rollout": rollout_json,
        "random_streams": {
            "seed": trainer.config.seed,
            "keyed_by": ["purpose", "environment", "step", "update", "epoch"],
        },
        "train_seeds": [trainer.config.seed, trainer.config.seed + rollout.num_envs - 1],
        "model": policy.model_info.name,
        "base_fingerprint": fingerprint(policy),
        "config": json.loads(json.dumps(dataclasses.asdict(trainer.config))),
    }
    return {"tensors": tensors | rollout_tensors, "env": rollout.env_state(), "json": counters}


def _rollout_state(rollout: Any) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """A full buffer is stored as the empty one that follows it; unwritten frames are left out."""
    is_full = rollout.buffer.is_full
    buffer = rollout.buffer.next() if is_full else rollout.buffer
    filled = int(buffer.filled[0])
    prompts = [rollout.prompts[e][t] for t in range(filled) for e in range(buffer.num_envs)]
    frames = buffer.frames[:, : buffer.num_images + filled]
    tensors = {"rollout/frames": torch.from_numpy(np.ascontiguousarray(frames))}
    tensors |= {f"rollout/{name}": torch.from_numpy(getattr(buffer, name)).clone() for name in _ENV_COLUMNS}
    if filled:
        by_env = {name: getattr(buffer, name).reshape(buffer.num_envs, buffer.steps, -1) for name in _COLUMNS}
        tensors |= {f"rollout/{name}": torch.from_numpy(column[:, :filled].copy()) for name, column in by_env.items()}
        tensors["rollout/value_input"] = rollout.value_input[:, :filled].transpose(0, 1).cpu()  # [filled, E, H]
    unique: dict[int, int] = {}
    for prompt in prompts:
        if id(prompt.ids) not in unique:
            tensors[f"rollout/prompt/{len(unique)}/ids"] = prompt.ids.clone()
            tensors[f"rollout/prompt/{len(unique)}/positions"] = prompt.positions.clone()
            unique[id(prompt.ids)] = len(unique)
    state = {
        "rounds_done": rollout.rounds_done + is_full,
        "prompts": [[unique[id(p.ids)], p.next_position, list(p.frames), p.image_tokens] for p in prompts],
        "episodes": [] if is_full else [dataclasses.asdict(e) for e in rollout.episodes],
        "returns": rollout.returns.tolist(),
        "num_cut": 0 if is_full else rollout.num_cut,
        "commands": [] if is_full or not any(rollout.commands) else rollout.commands,
    }
    windows = [own[:filled] for own in rollout.windows]
    feature_tensors, state["features"] = features_state(rollout.player.frames, windows)
    return tensors | feature_tensors, state


def fingerprint(policy: Any) -> str:
    """Return a hash of the frozen base: every tensor's name, shape, dtype and first 64 values."""
    digest = hashlib.sha256()
    for name, p in policy.peft.named_parameters():
        if "lora_" not in name:
            digest.update(f"{name} {tuple(p.shape)} {p.dtype}".encode())
            digest.update(p.detach().flatten()[:64].float().cpu().numpy().tobytes())
    return digest.hexdigest()


# -- writing ----------------------------------------------------------------------------------------------------------


def save_checkpoint(trainer: Any, path: Path) -> Path:
    """Write a checkpoint folder atomically (an older one at `path` is replaced) and return it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    try:
        _write(trainer, temporary)
    except Exception as error:
        shutil.rmtree(temporary, ignore_errors=True)
        if not _is_write_error(error):
            raise
        raise CheckpointError(
            expected="room and permission to write a checkpoint", got=" ".join(str(error).split()), where=str(path),
            do="free space and resume: the previous checkpoint is untouched",
        ) from error  # fmt: skip
    old = path.with_name(f".{path.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if path.exists():
        os.replace(path, old)
    os.replace(temporary, path)
    _sync(path.parent)
    shutil.rmtree(old, ignore_errors=True)
    return path


def _is_write_error(error: Exception) -> bool:
    from safetensors import SafetensorError

    return isinstance(error, OSError | SafetensorError)


def _write(trainer: Any, folder: Path) -> None:
    from safetensors.torch import save_file

    state = trainer.state_dict()
    groups: dict[str, dict[str, torch.Tensor]] = {"lora": {}, "value": {}, "optim": {}, "rollout": {}}
    for name, tensor in state["tensors"].items():
        group, rest = name.split("/", 1)
        groups[group][rest] = tensor.contiguous()
    folder.mkdir(parents=True)
    policy = trainer.policy
    policy.peft.save_pretrained(folder, save_embedding_layers=False)
    save_file(groups["value"], folder / "value_head.safetensors")
    head = {"hidden_size": policy.hidden_size, "hidden": list(trainer.config.model.value_hidden), "activation": "relu"}
    _write_json(folder / "value_head_config.json", head)
    save_file(groups["optim"], folder / "optimizer.safetensors")
    save_file(groups["rollout"], folder / "rollout.safetensors")
    (folder / "env_state.bin").write_bytes(state["env"])
    _write_json(folder / "trainer_state.json", state["json"])
    policy.model_info.tokenizer.save_pretrained(folder)
    _write_json(folder / "preprocessor_config.json", preprocessor_config(policy.model_info.spec))
    (folder / "README.md").write_text(model_card(trainer), encoding="utf-8")
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    digests = {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
    _write_json(folder / "manifest.json", digests)
    for file in [*files, folder / "manifest.json", folder]:
        _sync(file)


def preprocessor_config(spec: Any) -> dict[str, Any]:
    """Return what `AutoImageProcessor` reads, from the constants that the run used."""
    return {
        "image_processor_type": "Qwen2VLImageProcessor",
        "patch_size": spec.patch_size, "merge_size": spec.merge_size, "temporal_patch_size": spec.temporal_patch_size,
        "image_mean": list(spec.mean), "image_std": list(spec.std),
        "min_pixels": spec.min_pixels, "max_pixels": spec.max_pixels,
        "size": {"shortest_edge": spec.min_pixels, "longest_edge": spec.max_pixels},
    }  # fmt: skip


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


# -- reading ----------------------------------------------------------------------------------------------------------


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read and verify a checkpoint written by `save_checkpoint`. Raises CheckpointError if it is not whole."""
    from safetensors.torch import load_file

    def broken(got: str) -> CheckpointError:
        others = [p.name for p in numbered(path.resolve().parent) if p != path.resolve()]
        do = (
            f"go on from another one with --resume-from, e.g. {others[-1]}"
            if others
            else "pass another checkpoint, or start again"
        )
        return CheckpointError(expected="a whole checkpoint folder", got=got, where=str(path), do=do)

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
    counters = json.loads((path / "trainer_state.json").read_text(encoding="utf-8"))
    if counters.get("format") != FORMAT:
        raise broken(f"format {counters.get('format')}, this version reads {FORMAT}")
    tensors: dict[str, torch.Tensor] = {}
    for group, file in (("value", "value_head"), ("optim", "optimizer"), ("rollout", "rollout")):
        tensors |= {f"{group}/{name}": t for name, t in load_file(path / f"{file}.safetensors").items()}
    adapter = load_file(path / "adapter_model.safetensors")
    tensors |= {f"lora/{name}": tensor for name, tensor in adapter.items()}
    return {"tensors": tensors, "env": (path / "env_state.bin").read_bytes(), "json": counters}


def restore(trainer: Any, path: Path) -> None:
    """Put a trainer into the state of a checkpoint. Raises CheckpointError if it is of another model.

    Bit for bit where the environment has `get_state` and `set_state`; one that has not begins new episodes.
    """
    state = read_checkpoint(path)
    tensors, counters = state["tensors"], state["json"]
    check_base(trainer.policy, counters, path)
    load_weights(trainer.policy, tensors, path)
    for group, optimizer in trainer.optimizers.items():
        slots: dict[int, dict[str, torch.Tensor]] = {}
        for index, (name, _) in enumerate(trainer.group_parameters(group)):
            prefix = f"optim/{group}/{name}/"
            found = {key.removeprefix(prefix): tensor for key, tensor in tensors.items() if key.startswith(prefix)}
            if found:
                slots[index] = found
        optimizer.load_state_dict({"state": slots, "param_groups": optimizer.state_dict()["param_groups"]})
    trainer.updates_done, trainer.env_steps = counters["updates_done"], counters["env_steps"]
    trainer.is_warm = counters["is_warm"]
    passes, budget = counters.get("passes", {}), trainer.policy.budget  # none before passes were sized by tokens
    budget.tokens, budget.prefill_rows = passes.get("microbatch_tokens", 0), passes.get("prefill_rows", 0)
    if state["env"]:
        trainer.env.set_state(state["env"])
        _restore_rollout(trainer.rollout, tensors, counters["rollout"], path)
    else:
        trainer.rollout.begin_anew(rounds_done=counters["rollout"]["rounds_done"])


def _restore_rollout(rollout: Any, tensors: dict[str, torch.Tensor], state: dict[str, Any], path: Path) -> None:
    buffer = rollout.buffer
    frames = tensors["rollout/frames"].numpy()
    if frames.shape[0] != buffer.num_envs or frames.shape[2:] != buffer.frames.shape[2:] or buffer.filled.any():
        raise CheckpointError(
            expected=f"{buffer.num_envs} environments with frames of {buffer.frames.shape[2:]}, and a trainer that has not played",
            got=f"frames of shape {frames.shape}", where=str(path), do="resume with the run's own configuration",
        )  # fmt: skip
    is_partial = bool(tensors["rollout/filled"].any())
    if is_partial and "rollout/value_input" not in tensors:
        raise CheckpointError(
            expected="the hidden states of the steps taken (rollout/value_input)", got="none: written before they were kept",
            where=str(path), do="go on from the last whole update's checkpoint with --resume-from",
        )  # fmt: skip
    buffer.frames[:, : frames.shape[1]] = frames
    for name in _ENV_COLUMNS:
        getattr(buffer, name)[:] = tensors[f"rollout/{name}"].numpy()
    filled = int(buffer.filled[0])
    for name in _COLUMNS if filled else ():
        column = getattr(buffer, name).reshape(buffer.num_envs, buffer.steps, -1)
        column[:, :filled] = tensors[f"rollout/{name}"].numpy()
    if is_partial:
        rollout.value_input[:, :filled] = tensors["rollout/value_input"].transpose(0, 1).to(rollout.policy.device)
    rollout.rounds_done = state["rounds_done"]
    rollout.returns = np.array(state.get("returns", [0.0] * buffer.num_envs))
    rollout.num_cut = state.get("num_cut", 0)
    rollout.commands = state.get("commands") or [[] for _ in range(buffer.num_envs)]
    rollout.episodes = [EpisodeEnd(**episode) for episode in state["episodes"]]
    prompts = [
        Prompt(
            ids=tensors[f"rollout/prompt/{number}/ids"], positions=tensors[f"rollout/prompt/{number}/positions"],
            next_position=next_position, frames=tuple(shown), image_tokens=image_tokens,
        )
        for number, next_position, shown, image_tokens in state["prompts"]
    ]  # fmt: skip
    rollout.prompts = [prompts[e :: buffer.num_envs] for e in range(buffer.num_envs)]
    if state.get("features"):  # checkpoints of older versions have none: their frames are encoded again
        rollout.windows = restore_features(rollout.player.frames, tensors, state["features"])


def check_base(policy: Any, counters: dict[str, Any], path: Path) -> None:
    """Raise CheckpointError if a policy's frozen base is not the one that the checkpoint was trained on."""
    if counters["base_fingerprint"] != fingerprint(policy):
        raise CheckpointError(
            expected=f"the base model that it was trained on ({counters['model']})", got="other base weights",
            where=str(path), do="pass the model of the run, unchanged",
        )  # fmt: skip


@torch.no_grad()
def load_weights(policy: Any, tensors: dict[str, torch.Tensor], path: Path) -> None:
    """Copy adapter and value head into a policy; names and shapes must agree."""
    pairs = [(f"lora/{n}".replace(".default.", "."), p) for n, p in policy.lora_parameters()]
    pairs += [(f"value/{n}", p) for n, p in policy.value_head.named_parameters()]
    for name, parameter in pairs:
        if name not in tensors or tensors[name].shape != parameter.shape:
            got = tuple(tensors[name].shape) if name in tensors else "no such tensor"
            raise CheckpointError(
                expected=f"{name} of shape {tuple(parameter.shape)}", got=str(got), where=str(path),
                do="use the checkpoint with the model it was trained on",
            )  # fmt: skip
    for name, parameter in pairs:
        parameter.copy_(tensors[name])


# -- the folder of a run's checkpoints --------------------------------------------------------------------------------


def numbered(folder: Path) -> list[Path]:
    """Return the numbered checkpoints of a folder, oldest first; a partial one comes after the update it follows."""
    found = [(match, p) for p in folder.glob("update_*") if (match := _NUMBERED.fullmatch(p.name)) and p.is_dir()]
    return [p for match, p in sorted(found, key=lambda pair: (int(pair[0][1]), bool(pair[0][2])))]


def point(folder: Path, name: str, target: Path) -> None:
    """Make the link `folder/name` point to a checkpoint in the same folder, in one rename."""
    temporary = folder / f".{name}.tmp-{os.getpid()}"
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target.name, target_is_directory=True)
    os.replace(temporary, folder / name)
    _sync(folder)


def recover(folder: Path) -> None:
    """Clear what a killed process left: half-written folders go, a folder that was being replaced comes back."""
    for leftover in folder.glob(".*.tmp-*"):
        leftover.unlink() if leftover.is_symlink() else shutil.rmtree(leftover, ignore_errors=True)
    for old in folder.glob(".*.old"):
        place = folder / old.name.removeprefix(".").removesuffix(".old")
        if place.exists():
            shutil.rmtree(old, ignore_errors=True)
        else:
            os.replace(old, place)


def prune(folder: Path, keep: int, protect: set[str]) -> None:
    """Remove numbered checkpoints but the newest `keep`, what links point to, and the names in `protect`."""
    linked = {(folder / name).resolve().name for name in ("last", "best") if (folder / name).exists()}
    for path in numbered(folder)[: -max(1, keep)]:
        if path.name not in linked | protect:
            shutil.rmtree(path)
