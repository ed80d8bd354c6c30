"""`train`: build or load the model, then collect and update until done; checkpoint, evaluate, draw the curve."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from vldac.checkpoint import restore, save_checkpoint
from vldac.config import TrainConfig
from vldac.configuration import check_config, load_config, parse_config, to_yaml
from vldac.data import RolloutBatch
from vldac.errors import ConfigError
from vldac.evaluate import EvalResult, play_episodes
from vldac.metrics import MetricsWriter
from vldac.model import VisionLanguageModel, load_model
from vldac.record import record_update
from vldac.report import write_report
from vldac.trainer import Trainer
from vldac.trajectories import trajectory_updates
from vldac.view import write_view

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainResult:
    """What a run leaves behind."""

    run_dir: Path
    metrics: list[dict[str, float]]
    last_checkpoint: Path
    start: EvalResult | None
    """Held-out evaluation before training"""
    end: EvalResult | None
    """Held-out evaluation after training"""
    seconds: dict[str, float]


def train(
    model: str = "tiny", env: str | None = None, *, config: TrainConfig | str | None = None, run_dir: str | Path = "",
    resume: bool = False, overwrite: bool = False, say: Say = print, **overrides: Any,
) -> TrainResult:  # fmt: skip
    """Train `model` ("tiny", Hugging Face id or folder) in `env`; `config` is a TrainConfig or recipe name.

    Overrides are dotted settings with "__" for the dot, e.g. optim__num_updates=3. Raises ConfigError before anything is written.
    """
    if not isinstance(config, TrainConfig):
        recipe = config or ("quickstart" if model == "tiny" else "default")
        chosen = {"model.name": model} | ({"env.id": env} if env else {})
        config = load_config(recipe, chosen | {key.replace("__", "."): value for key, value in overrides.items()})
    check_config(config)
    folder = prepare_run_dir(Path(run_dir or f"runs/train-{time.strftime('%Y%m%d-%H%M%S')}"), resume, overwrite)
    return run(config, folder, resume=resume, say=say)


def prepare_run_dir(folder: Path, resume: bool, overwrite: bool) -> Path:
    """Create the run folder; an existing one is refused unless it is resumed or overwritten."""
    if folder.exists() and any(folder.iterdir()) and not (resume or overwrite):
        raise ConfigError(
            expected="a new run folder", got="one that exists", where=str(folder),
            do="pass --resume to go on, --overwrite to start again, or another --run-dir",
        )  # fmt: skip
    if overwrite and folder.exists():
        import shutil

        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def run(config: TrainConfig, folder: Path, *, resume: bool, say: Say) -> TrainResult:
    """Run (or go on with) a configuration in a folder."""
    seconds: dict[str, float] = {}
    config = _stored_config(config, folder) if resume else config
    (folder / "config.yaml").write_text(to_yaml(config), encoding="utf-8")
    if config.num_threads:
        torch.set_num_threads(config.num_threads)
    for name in config.waive:
        say(f"waived self-check: {name}")
    tick = time.perf_counter()
    trainer = Trainer(config, _model(config, folder, say))
    seconds["start"] = time.perf_counter() - tick
    writer, metrics = MetricsWriter(folder), []
    start = None
    if resume and (folder / "checkpoints" / "last").exists():
        restore(trainer, folder / "checkpoints" / "last")
        writer.truncate_to(trainer.updates_done)
        say(f"resumed after update {trainer.updates_done}")
    elif config.eval.episodes:
        start = _evaluate(trainer, "before training", say)
    tick = time.perf_counter()
    while trainer.updates_done < config.optim.num_updates:
        batch, line = one_update(trainer)
        metrics.append({"update": trainer.updates_done, **line})
        writer.write(trainer.updates_done, line)
        say(_describe(trainer.updates_done, config.optim.num_updates, line))
        is_last = trainer.updates_done == config.optim.num_updates
        if is_last or trainer.updates_done % config.checkpoint_every == 0:
            save_checkpoint(trainer, folder / "checkpoints" / "last")
        if is_last and trainer.last_advantages is not None:
            record_update(
                folder, trainer.updates_done, trainer.policy, batch, trainer.last_advantages,
                temperature=config.rollout.temperature,
            )  # fmt: skip
    seconds["train"] = time.perf_counter() - tick
    tick = time.perf_counter()
    end = _evaluate(trainer, "after training", say) if config.eval.episodes else None
    seconds["evaluate"] = time.perf_counter() - tick
    trainer.close()
    write_report(folder)
    if trajectory_updates(folder):
        say(f"trajectories: {write_view(folder)}")
    say(f"curve:      {folder / 'plots' / 'curve.png'}\ncheckpoint: {folder / 'checkpoints' / 'last'}")
    say("seconds:    " + ", ".join(f"{name} {value:.0f}" for name, value in seconds.items()))
    return TrainResult(
        run_dir=folder, metrics=metrics, last_checkpoint=folder / "checkpoints" / "last", start=start, end=end,
        seconds=seconds,
    )  # fmt: skip


def one_update(trainer: Trainer) -> tuple[RolloutBatch, dict[str, float]]:
    """Collect, update, and return the batch and the metrics with the update's wall time in them."""
    tick = time.perf_counter()
    batch = trainer.collect()
    collected = time.perf_counter() - tick
    line = trainer.update(batch)
    line["time/collect_s"] = collected
    line["time/env_steps_per_s"] = len(batch.steps) / (time.perf_counter() - tick)
    return batch, line


def _model(config: TrainConfig, folder: Path, say: Say) -> VisionLanguageModel:
    if config.model.name != "tiny":
        dtype = getattr(torch, config.model.dtype)
        return load_model(config.model.name, dtype=dtype, random_weights=config.model.random_weights)
    from vldac.clone import reading_accuracy, warm_start

    place = Path(config.tiny.clone_dir) if config.tiny.clone_dir else folder / "warm_start"
    if (place / "model.safetensors").exists():
        return load_model(str(place), dtype=torch.float32)
    say("building a tiny Qwen2-VL and cloning its warm start: truthful fields, random actions")
    tick, total = time.perf_counter(), config.tiny.clone_updates

    def on_update(update: int, loss: float) -> None:
        if update % 40 == 0 or update == total:
            say(f"  clone {update}/{total}  loss {loss:.4f}  {time.perf_counter() - tick:.0f} s")

    model = warm_start(place, config.env, config.tiny, seed=config.seed, on_update=on_update)
    reads = reading_accuracy(model, config.env, action=config.tiny.clone_action)
    say(
        f"  reads its images: {reads.own_images:.3f} right, {reads.shuffled_images:.3f} with images shuffled, "
        f"chance {reads.chance:.3f}"
    )
    return model


def _evaluate(trainer: Trainer, when: str, say: Say) -> EvalResult:
    config = trainer.config.eval
    result = play_episodes(trainer.policy, trainer.config, episodes=config.episodes, seed=config.seed)
    low, high = result.success_ci
    say(f"{when}: success {result.success_rate:.3f} [{low:.3f}, {high:.3f}], return {result.return_mean:.3f}")
    return result


def _describe(update: int, total: int, line: dict[str, float]) -> str:
    value = {key: line.get(key, float("nan")) for key in ("rollout/success_rate", "rollout/return_mean")}
    return (
        f"update {update}/{total}  steps {line['rollout/env_steps']:.0f}  success {value['rollout/success_rate']:.3f}  "
        f"return {value['rollout/return_mean']:.2f}  kl {line['policy/kl_ref_k3']:.3f}  "
        f"ev {line['value/explained_variance']:.2f}  {line['time/env_steps_per_s']:.1f} steps/s"
    )


def _stored_config(config: TrainConfig, folder: Path) -> TrainConfig:
    """A resumed run keeps its own configuration; only the total number of updates may grow."""
    path = folder / "config.yaml"
    if not path.exists():
        return config
    stored = parse_config(path.read_text(encoding="utf-8"), where=str(path))
    return dataclasses.replace(stored, optim=dataclasses.replace(stored.optim, num_updates=config.optim.num_updates))
