"""`train`: build or load the model, then collect and update until done; checkpoint, evaluate, draw the curve.

A run folder holds config.yaml, metrics.jsonl (each update exactly once), evaluations.jsonl, checkpoints/, plots/, trajectories/,
report.html. A run that is killed goes on from its last checkpoint; one that is asked to stop (SIGINT, SIGTERM) saves first, between
two environment steps.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from vldac import checkpoint as checkpoints
from vldac.alarms import alarms, refuse_collapse
from vldac.callbacks import Callback, notify
from vldac.config import TrainConfig
from vldac.configuration import check_config, load_config, parse_config, to_yaml
from vldac.errors import CheckpointError, ConfigError, EnvHangError, NonFiniteError, Stopped
from vldac.evaluation import EvalResult, play_episodes
from vldac.metrics import MetricsWriter, read_lines, read_metrics
from vldac.model import VisionLanguageModel
from vldac.moves import is_text
from vldac.profiling import Profiler, Window, parse_window, refuse_past
from vldac.progress import Progress, make_progress
from vldac.record import record_update
from vldac.report import write_report
from vldac.signals import StopOnSignal
from vldac.spans import span, time_metrics
from vldac.start import start_model
from vldac.trainer import Trainer
from vldac.trajectories import trajectory_updates
from vldac.view import write_view


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainResult:
    """What a run leaves behind."""

    run_dir: Path
    metrics: list[dict[str, Any]]
    """One dictionary per update, those before a resume included."""
    last_checkpoint: Path
    best_checkpoint: Path | None
    """The one with the best held-out evaluation (success, then return); None without evaluations."""
    start: EvalResult | None
    """Held-out evaluation before training"""
    end: EvalResult | None
    """Held-out evaluation after training"""
    seconds: dict[str, float]


def train(
    model: str | Path | VisionLanguageModel = "tiny", env: Any = None, *, config: TrainConfig | str | None = None,
    callbacks: Sequence[Callback] = (), resume_from: str | Path | None = None, run_dir: str | Path = "",
    resume: bool = False, overwrite: bool = False, profile: str = "", **overrides: Any,
) -> TrainResult:  # fmt: skip
    """Train `model` in `env` and return what the run leaves behind.

    model: "tiny", a Hugging Face id or folder, or what `vldac.model.load_model` returned. env: an id, or a vector environment with
    same-step autoreset, `prompts()` and `action_names` (its number of environments and its id are the run's then).
    config: a TrainConfig or the name of a recipe or YAML file. Overrides are dotted settings with "__" for the dot, e.g.
    optim__num_updates=3. `resume` goes on from the run folder's last checkpoint, `resume_from` from the one that is named.
    `profile`: updates to profile, e.g. "3:4" (docs/profiling.md).
    Raises ConfigError before anything is written, and Stopped after a SIGINT or SIGTERM, with everything saved.
    """
    loaded = model if isinstance(model, VisionLanguageModel) else None
    name = loaded.name if loaded else str(model)
    if not isinstance(config, TrainConfig):
        recipe = config or ("quickstart" if name == "tiny" else "default")
        chosen: dict[str, Any] = {"model.name": name} | _env_settings(env)
        config = load_config(recipe, chosen | {key.replace("__", "."): value for key, value in overrides.items()})
    elif overrides:
        raise ConfigError(
            expected="overrides with a recipe's name, or none", got=", ".join(overrides), where="vldac.train",
            do="put them into the TrainConfig with dataclasses.replace",
        )  # fmt: skip
    check_config(config)
    window = parse_window(profile, config.optim.num_updates) if profile else None
    folder = Path(run_dir or f"runs/train-{time.strftime('%Y%m%d-%H%M%S')}")
    prepare_run_dir(folder, resume or resume_from is not None, overwrite)
    vector_env = None if env is None or isinstance(env, str) else env
    return run(
        config, folder, resume=resume, resume_from=Path(resume_from) if resume_from else None, model=loaded, env=vector_env,
        callbacks=callbacks, profile=window,
    )  # fmt: skip


def _env_settings(env: Any) -> dict[str, Any]:
    if env is None:
        return {}
    if isinstance(env, str):
        return {"env.id": env}
    needed = ("num_envs", "prompts", "commands" if is_text(env) else "action_names")
    missing = [name for name in needed if not hasattr(env, name)]
    if missing:
        raise ConfigError(
            expected="an environment id, or a vector environment with num_envs, prompts() and action_names",
            got=f"{type(env).__name__} without {', '.join(missing)}", where="vldac.train",
            do="wrap it so that prompts() returns one list of chat messages per environment",
        )  # fmt: skip
    return {"env.id": getattr(env, "env_id", type(env).__name__), "env.num_envs": env.num_envs}


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


def run(
    config: TrainConfig, folder: Path, *, resume: bool = False, resume_from: Path | None = None,
    model: VisionLanguageModel | None = None, env: Any = None, callbacks: Sequence[Callback] = (),
    progress: Progress | None = None, profile: Window | None = None,
) -> TrainResult:  # fmt: skip
    """Run (or go on with) a configuration in a folder. Raises Stopped when a signal came; everything is saved then."""
    refuse_past(profile, _updates_done(folder, resume, resume_from))
    config = _stored_config(config, folder) if resume or resume_from else config
    config = _with_known_textures(config, env)
    folder.mkdir(parents=True, exist_ok=True)
    _write_config(config, folder)
    progress = progress or make_progress(config.optim.num_updates)
    with StopOnSignal() as signals:
        try:
            return Run(config, folder, progress, signals, callbacks, profile).go(model, env, resume, resume_from)
        finally:
            progress.close()


class Run:
    """One process's share of a run: owns the trainer, the metrics, the checkpoints folder."""

    def __init__(
        self,
        config: TrainConfig,
        folder: Path,
        progress: Progress,
        signals: StopOnSignal,
        callbacks: Sequence[Callback],
        profile: Window | None = None,
    ) -> None:
        self.config, self.folder, self.progress, self.signals, self.callbacks = (
            config,
            folder,
            progress,
            signals,
            callbacks,
        )
        self.checkpoints = folder / "checkpoints"
        self.seconds: dict[str, float] = {}
        self.profiler = Profiler(profile, folder, self.seconds)
        self.evaluations: list[tuple[int, EvalResult]] = []
        self.metrics: list[dict[str, Any]] = []
        self.alarmed: set[str] = set()
        self.last_good: str | None = None

    def go(self, model: VisionLanguageModel | None, env: Any, resume: bool, resume_from: Path | None) -> TrainResult:
        """The whole of it: start, update until done, evaluate, draw."""
        config, say = self.config, self.progress.message
        if config.num_threads:
            torch.set_num_threads(config.num_threads)
        for name in config.waive:
            say(f"waived self-check: {name}")
        tick = time.perf_counter()
        self.progress.phase("load the model")
        model = model or start_model(config, self.folder, say, self.signals.should_stop)
        self.trainer = Trainer(config, model, env)
        self.trainer.rollout.should_stop = self.signals.should_stop
        self.trainer.policy.budget.say = self.progress.message
        say(f"kernels:      {self.trainer.policy.kernel_choice}")
        panel = getattr(self.trainer.env, "panel", None)
        if panel is not None:
            say(f"{panel.kind + ':':<14}{panel.summary()}")
        trackers = config.log or (("tensorboard",) if importlib.util.find_spec("tensorboard") else ())
        self.writer = MetricsWriter(self.folder, trackers)
        self.seconds["start"] = time.perf_counter() - tick
        try:
            self._resume(resume, resume_from)
            notify(self.callbacks, "on_train_begin", self.trainer, self.folder)
            tick = time.perf_counter()
            while self.trainer.updates_done < config.optim.num_updates:
                with self.profiler.around(self.trainer.updates_done + 1, say):
                    self._one_update()
                self._evaluate_if_due()
            apart = sum(self.seconds.get(name, 0.0) for name in ("evaluate", "checkpoint", "profile"))
            self.seconds["train"] = time.perf_counter() - tick - apart
            notify(self.callbacks, "on_train_end", self.trainer, self.metrics)
        except Stopped as stop:
            self._save()
            say(
                f"{self.signals.requested or 'stopped'}: {stop}; saved in {self.checkpoints / 'last'}, go on with --resume"
            )
            raise
        except EnvHangError:
            self._save()
            say(f"an environment hangs: saved as it was before that step in {self.checkpoints / 'last'}")
            raise
        finally:
            self.writer.close()
            self.trainer.close()
        self.progress.phase("draw")
        return self._finish()

    # -- parts ------------------------------------------------------------------------------------------------------

    def _resume(self, resume: bool, resume_from: Path | None) -> None:
        """Restore the last or the named checkpoint, and drop what later updates left in the metrics."""
        checkpoints.recover(self.checkpoints)
        last = self.checkpoints / "last"
        source = resume_from or (last if resume and last.exists() else None)
        if resume and source is None and checkpoints.numbered(self.checkpoints):
            raise CheckpointError(
                expected="checkpoints/last", got="no such link", where=str(self.checkpoints),
                do="pass the checkpoint to go on from with --resume-from",
            )  # fmt: skip
        if source is not None:
            checkpoints.restore(self.trainer, source)
            self.progress.message(f"resumed {source.resolve().name} after update {self.trainer.updates_done}")
            if not hasattr(self.trainer.env, "get_state"):
                self.progress.message(
                    "the environment has no get_state: it begins new episodes, the run is not bit-exact"
                )
        self.writer.truncate_to(self.trainer.updates_done)
        self.metrics = read_metrics(self.folder)
        self.evaluations = _read_evaluations(self.folder, self.trainer.updates_done) if source is not None else []
        _write_evaluations(self.folder, self.evaluations)
        if self.trainer.updates_done == 0 or self.metrics:
            self._evaluate_if_due()

    def _one_update(self) -> None:
        """Collect, update, write the metrics, record and save if due: a kill in between repeats the update."""
        trainer, config = self.trainer, self.config
        tick, seconds = time.perf_counter(), dict[str, float]()
        self.progress.phase("collect")
        with span("collect", seconds):
            batch = trainer.collect()
        notify(self.callbacks, "on_rollout_end", trainer, batch)
        self.progress.phase("update")
        try:
            line = trainer.update(batch)
        except NonFiniteError as error:
            self._dump(error)
            raise
        update = trainer.updates_done
        line |= time_metrics(seconds)
        line["time/env_steps_per_s"] = len(batch) / (time.perf_counter() - tick)
        line["memory/peak_bytes"] = peak_memory(trainer.device)
        found = alarms([*self.metrics, {"update": update, **line}], config.alarms)
        for key in found.keys() - self.alarmed:
            self.progress.message(f"ALARM after update {update}: {found[key]}")
        self.alarmed = set(found)
        line["alarm/count"] = float(len(found))
        self.writer.write(update, line)
        self.metrics = read_metrics(self.folder)
        self.progress.update(self.metrics[-1])
        notify(self.callbacks, "on_update_end", trainer, line)
        if config.is_recorded(update):
            names, advantages = getattr(trainer.env, "action_names", []), trainer.last_advantages
            assert advantages is not None, "an update leaves its advantages"
            with span("record"):
                record_update(self.folder, update, trainer.policy, batch, advantages, config, names)
        if not self._is_evaluated() and (self._is_last() or update % config.checkpoint_every == 0):
            self._save()
        refuse_collapse(self.metrics, config.alarms)

    def _is_last(self) -> bool:
        return self.trainer.updates_done == self.config.optim.num_updates

    def _is_evaluated(self) -> bool:
        """True if the configuration wants an evaluation of the present weights (it saves them, too)."""
        config, update = self.config.eval, self.trainer.updates_done
        is_due = update == 0 or self._is_last() or (config.every and update % config.every == 0)
        return bool(config.episodes and is_due)

    def _evaluate_if_due(self) -> None:
        """Evaluate the present weights unless that is done, add the result to their line of the metrics, and save."""
        config, trainer, update = self.config.eval, self.trainer, self.trainer.updates_done
        known = [result for at, result in self.evaluations if at == update]
        if known or not self._is_evaluated():
            trainer.last_evaluation = known[-1] if known else None
            return
        self.progress.phase("evaluate")
        with span("evaluate", self.seconds):
            result = play_episodes(
                trainer.policy,
                self.config,
                episodes=config.episodes,
                seed=config.seed,
                should_stop=self.signals.should_stop,
            )
        low, high = result.success_ci
        when = "before training" if update == 0 else f"after update {update}"
        score = "" if result.score_mean is None else f", score {result.score_mean:.1f}"
        self.progress.message(
            f"held-out, {when}: success {result.success_rate:.3f} [{low:.3f}, {high:.3f}], return {result.return_mean:.3f}"
            f"{score} ({result.episodes} episodes)"
        )
        trainer.last_evaluation = result
        self.evaluations.append((update, result))
        _write_evaluations(self.folder, self.evaluations)
        if update:
            line = {key: value for key, value in self.metrics[-1].items() if key != "update"}
            self.writer.truncate_to(update - 1)
            self.writer.write(update, line | _metrics_of(result))
            self.metrics = read_metrics(self.folder)
            self._save()

    def _save(self) -> None:
        """Save a numbered checkpoint, move the links, prune. One inside a rollout is called partial."""
        self.progress.phase("checkpoint")
        with span("checkpoint", self.seconds):
            path = self._write_checkpoint()
        notify(self.callbacks, "on_checkpoint", self.trainer, path)

    def _write_checkpoint(self) -> Path:
        trainer, update = self.trainer, self.trainer.updates_done
        is_partial = int(trainer.rollout.buffer.filled[0]) > 0 and not trainer.rollout.buffer.is_full
        name = f"update_{update:06d}{'_partial' if is_partial else ''}"
        path = checkpoints.save_checkpoint(trainer, self.checkpoints / name)
        checkpoints.point(self.checkpoints, "last", path)
        is_good = not (self.metrics and self.metrics[-1].get("alarm/count"))
        ranked = [(result.success_rate, result.return_mean, at) for at, result in self.evaluations if at > 0]
        if is_good and not is_partial:
            self.last_good = name
        if ranked and max(ranked)[2] == update and not is_partial:
            checkpoints.point(self.checkpoints, "best", path)
        checkpoints.prune(self.checkpoints, self.config.keep_checkpoints, {self.last_good} if self.last_good else set())
        return path

    def _dump(self, error: NonFiniteError) -> None:
        """Write the offending batch where it can be looked at."""
        from safetensors.torch import save_file

        if error.batch is None:
            return
        path = self.folder / "dumps" / f"update_{self.trainer.updates_done + 1:06d}.safetensors"
        path.parent.mkdir(exist_ok=True)
        save_file({name: tensor.contiguous() for name, tensor in error.batch.items()}, path)
        self.progress.message(f"the offending batch is in {path}")

    def _finish(self) -> TrainResult:
        """Draw the curve and the pages, and say where everything is."""
        folder, say = self.folder, self.progress.message
        write_report(folder)
        if trajectory_updates(folder):
            say(f"trajectories: {write_view(folder)}")
        left_out: list[tuple[str, str]] = getattr(self.trainer.env, "left_out", list)()
        if left_out:
            path, reason = left_out[-1]
            say(f"left out of the files, the rest was played: {len(left_out)}, the last {path}: {reason}")
        best = self.checkpoints / "best"
        say(f"curve:        {folder / 'plots' / 'curve.png'}\nreport:       {folder / 'report.html'}")
        say(f"checkpoint:   {self.checkpoints / 'last'}")
        if self.profiler.files:
            say(self.profiler.summary())
        say("seconds:      " + ", ".join(f"{name} {value:.0f}" for name, value in self.seconds.items()))
        ends = [r for update, r in self.evaluations if update == self.trainer.updates_done]
        return TrainResult(
            run_dir=folder, metrics=self.metrics, last_checkpoint=self.checkpoints / "last",
            best_checkpoint=best if best.exists() else None,
            start=next((r for update, r in self.evaluations if update == 0), None), end=ends[-1] if ends else None,
            seconds=self.seconds,
        )  # fmt: skip


def peak_memory(device: torch.device) -> float:
    """Largest memory in use since the start, in bytes: of the GPU if there is one, else of the process."""
    if device.type == "cuda":
        return float(torch.cuda.max_memory_allocated(device))
    import resource

    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * 1024


def _metrics_of(result: EvalResult) -> dict[str, float]:
    low, high = result.success_ci
    by_task = {f"eval/success_rate_of/{task}": found["success_rate"] for task, found in result.success_by_task.items()}
    score = {} if result.score_mean is None else {"eval/score_mean": result.score_mean}
    return by_task | score | {
        "eval/success_rate": result.success_rate, "eval/success_ci_low": low, "eval/success_ci_high": high,
        "eval/return_mean": result.return_mean, "eval/episode_length_mean": result.episode_length,
        "eval/episodes": float(result.episodes),
    }  # fmt: skip


def _updates_done(folder: Path, resume: bool, resume_from: Path | None) -> int:
    """Updates behind the run: 0 for a new one and where the checkpoint does not tell (restoring it says what is wrong)."""
    source = resume_from or (folder / "checkpoints" / "last" if resume else None)
    if source is None or not (source / "trainer_state.json").is_file():
        return 0
    try:
        return int(json.loads((source / "trainer_state.json").read_text(encoding="utf-8"))["updates_done"])
    except (ValueError, KeyError, TypeError):
        return 0


def _write_config(config: TrainConfig, folder: Path) -> None:
    _replace(folder / "config.yaml", to_yaml(config))


def _replace(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)


def _write_evaluations(folder: Path, evaluations: Sequence[tuple[int, EvalResult]]) -> None:
    lines = [json.dumps({"update": update, **result.as_json()}) + "\n" for update, result in evaluations]
    _replace(folder / "evaluations.jsonl", "".join(lines))


def _read_evaluations(folder: Path, updates_done: int) -> list[tuple[int, EvalResult]]:
    """Return the evaluations of the updates that the checkpoint has (the later ones are done again)."""
    path = folder / "evaluations.jsonl"
    if not path.exists():
        return []
    lines = [line for line in read_lines(path) if line["update"] <= updates_done]
    return [(line.pop("update"), EvalResult(**line | {"success_ci": tuple(line["success_ci"])})) for line in lines]


def _with_known_textures(config: TrainConfig, env: Any) -> TrainConfig:
    """Name the textures that a run's own MiniWorld environments are drawn with, so that nobody goes on, or evaluates, with others."""
    if env is not None or config.env.textures != "auto" or not config.env.id.startswith("MiniWorld-"):
        return config
    from vldac.envs.miniworld.assets import ensure_assets

    textures: Literal["miniworld", "builtin"] = "builtin" if ensure_assets("auto") == "builtin" else "miniworld"
    return dataclasses.replace(config, env=dataclasses.replace(config.env, textures=textures))


def _stored_config(config: TrainConfig, folder: Path) -> TrainConfig:
    """A resumed run keeps its own configuration; only the total number of updates may change."""
    path = folder / "config.yaml"
    if not path.exists():
        return config
    stored = parse_config(path.read_text(encoding="utf-8"), where=str(path))
    return dataclasses.replace(stored, optim=dataclasses.replace(stored.optim, num_updates=config.optim.num_updates))
