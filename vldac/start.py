"""The model a run starts from: any Hugging Face id or folder, or the tiny one that is built and cloned on the spot."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from vldac.config import TrainConfig
from vldac.errors import Stopped
from vldac.model import VisionLanguageModel, load_model
from vldac.policy import pick_device

Say = Callable[[str], None]


def start_model(
    config: TrainConfig, folder: Path | None = None, say: Say = print, should_stop: Callable[[], bool] = lambda: False
) -> VisionLanguageModel:
    """Load `config.model.name`. "tiny" is loaded from tiny.clone_dir or `folder`/warm_start, or built there first."""
    if config.model.name != "tiny":
        dtype = getattr(torch, config.model.dtype)
        device = pick_device(config.device)
        return load_model(
            config.model.name, dtype=dtype, random_weights=config.model.random_weights, device=device, say=say
        )
    place = (
        Path(config.tiny.clone_dir) if config.tiny.clone_dir else (folder or Path(tempfile.mkdtemp())) / "warm_start"
    )
    if (place / "config.json").exists():
        return load_model(str(place), dtype=torch.float32)
    return _clone(config, place, say, should_stop)


def _clone(config: TrainConfig, place: Path, say: Say, should_stop: Callable[[], bool]) -> VisionLanguageModel:
    from vldac.clone import reading_accuracy, warm_start

    for leftover in place.parent.glob(f".{place.name}.building-*") if not config.tiny.clone_dir else ():
        shutil.rmtree(leftover, ignore_errors=True)  # of a killed process: the run folder has one owner
    has_expert = config.tiny.clone_action == "quarter_oracle"
    actions = "the expert's action in one step of four, else any" if has_expert else "random actions"
    say(f"building a tiny Qwen2-VL and cloning its warm start: truthful fields, {actions}")
    tick, total = time.perf_counter(), config.tiny.clone_updates

    def on_update(update: int, loss: float) -> None:
        if should_stop():
            raise Stopped("while the warm start was cloned; nothing is saved of it")
        if update % 40 == 0 or update == total:
            say(f"  clone {update}/{total}  loss {loss:.4f}  {time.perf_counter() - tick:.0f} s")

    model = warm_start(place, config.env, config.tiny, seed=config.seed, on_update=on_update)
    reads = reading_accuracy(model, config.env, action=config.tiny.clone_action)
    say(
        f"  reads its images: {reads.own_images:.3f} right, {reads.shuffled_images:.3f} with images shuffled, "
        f"chance {reads.chance:.3f}"
    )
    return model
