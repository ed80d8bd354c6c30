"""A run survives: resume is bit-exact from any point, signals save, kills lose at most the update in flight."""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from tests.e2e.conftest import build, quiet
from vldac import checkpoint as checkpoints
from vldac.checkpoint import restore, save_checkpoint
from vldac.config import TrainConfig
from vldac.configuration import to_yaml
from vldac.errors import CheckpointError, Stopped
from vldac.metrics import read_metrics
from vldac.progress import make_progress
from vldac.run import run
from vldac.signals import EXIT_STOPPED
from vldac.trainer import Trainer

fork = multiprocessing.get_context("fork")


def everything(trainer: Trainer) -> tuple[dict[str, torch.Tensor], bytes, dict]:
    state = trainer.state_dict()
    return state["tensors"], state["env"], state["json"]


def assert_same(ours: Trainer, theirs: Trainer) -> None:
    a, b = everything(ours), everything(theirs)
    assert a[0].keys() == b[0].keys()
    assert [name for name in a[0] if not torch.equal(a[0][name], b[0][name])] == []
    assert a[1:] == b[1:]


def without_times(line: dict) -> dict:
    return {key: value for key, value in line.items() if not key.startswith(("time/", "memory/", "rollout/wait_frac"))}


def with_window(config: TrainConfig, num_images: int) -> TrainConfig:
    return dataclasses.replace(config, env=dataclasses.replace(config.env, num_images=num_images))


def test_three_and_three_updates_equal_six(config: TrainConfig, start: Path, tmp_path: Path) -> None:
    whole, first = build(config, start), build(config, start)
    for _ in range(6):
        whole.update(whole.collect())
    for _ in range(3):
        first.update(first.collect())
    save_checkpoint(first, tmp_path / "update_000003")
    second = build(config, start)
    restore(second, tmp_path / "update_000003")
    for _ in range(3):
        second.update(second.collect())
    assert_same(second, whole)


@pytest.mark.parametrize("num_images", [1, 3])
def test_a_rollout_cut_between_two_steps_goes_on_as_if_uncut(
    config: TrainConfig, start: Path, tmp_path: Path, num_images: int
) -> None:
    rollout = dataclasses.replace(config.rollout, steps_per_update=48)
    config = dataclasses.replace(with_window(config, num_images), rollout=rollout)
    whole, first = build(config, start), build(config, start)
    expected = [whole.update(whole.collect()) for _ in range(3)]
    first.update(first.collect())
    answers = iter([False] * 9 + [True])
    first.rollout.should_stop = lambda: next(answers)
    with pytest.raises(Stopped):
        first.collect()
    save_checkpoint(first, tmp_path / "update_000001_partial")
    second = build(config, start)
    restore(second, tmp_path / "update_000001_partial")
    buffer = second.rollout.buffer
    assert int(buffer.filled[0]) == 9
    ended = (buffer.terminated | buffer.truncated).reshape(4, 12)[:, :9]
    assert ended[:, :-1].any() and second.rollout.episodes
    got = [second.update(second.collect()) for _ in range(2)]
    assert_same(second, whole)
    assert [without_times(line) for line in got] == [without_times(line) for line in expected[1:]]


# -- whole runs in processes of their own -----------------------------------------------------------------------------


def run_in(folder: Path, config: TrainConfig, *, resume: bool = False) -> None:
    """Train in this (forked) process; exit as the command does."""
    with (folder.parent / f"{folder.name}.log").open("a") as log:
        try:
            folder.mkdir(exist_ok=True)
            run(config, folder, resume=resume, progress=make_progress(1, is_terminal=False, stream=log))
        except Stopped:
            os._exit(EXIT_STOPPED)
    os._exit(0)


def spawn(folder: Path, config: TrainConfig, *, resume: bool = False) -> multiprocessing.Process:
    process = fork.Process(target=run_in, args=(folder, config), kwargs={"resume": resume})
    process.start()
    return process


def end_state(folder: Path) -> tuple[dict, list[dict]]:
    """Digest of every file of the last checkpoint, and the metrics without times."""
    manifest = json.loads((folder / "checkpoints" / "last" / "manifest.json").read_text())
    return manifest, [without_times(line) for line in read_metrics(folder)]


@pytest.fixture(scope="session")
def run_config(config: TrainConfig, start: Path) -> TrainConfig:
    tiny = dataclasses.replace(config.tiny, clone_dir=str(start))
    return dataclasses.replace(config, tiny=tiny, checkpoint_every=1, eval=dataclasses.replace(config.eval, every=2))


@pytest.fixture(scope="session")
def uninterrupted(run_config: TrainConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "whole"
    process = spawn(folder, run_config)
    process.join()
    assert process.exitcode == 0
    return folder


def wait_for(condition, process: multiprocessing.Process, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end and process.is_alive(), "the run ended or hung before the condition held"
        time.sleep(0.005)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_the_resumed_run_ends_the_same(
    run_config: TrainConfig, uninterrupted: Path, tmp_path: Path, number: signal.Signals
) -> None:
    folder = tmp_path / "run"
    process = spawn(folder, run_config)
    wait_for(lambda: len(read_metrics(folder)) >= 1, process)
    os.kill(process.pid, number)
    process.join()
    assert process.exitcode == EXIT_STOPPED
    assert (folder / "checkpoints" / "last").exists() and number.name in (tmp_path / "run.log").read_text()
    again = spawn(folder, run_config, resume=True)
    again.join()
    assert again.exitcode == 0
    assert [line["update"] for line in read_metrics(folder)] == [1, 2, 3, 4]
    assert end_state(folder) == end_state(uninterrupted)


def test_a_second_signal_ends_at_once(run_config: TrainConfig, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    slow = dataclasses.replace(run_config, optim=dataclasses.replace(run_config.optim, epochs=400, warmup_updates=0))
    process = spawn(folder, slow)
    wait_for(lambda: (folder / "evaluations.jsonl").exists() and (folder / "evaluations.jsonl").stat().st_size, process)
    time.sleep(1.0)  # inside the long first update, which the first signal lets finish
    os.kill(process.pid, signal.SIGTERM)
    time.sleep(0.3)
    assert process.is_alive()
    os.kill(process.pid, signal.SIGTERM)
    process.join(5)
    assert process.exitcode == -signal.SIGTERM


def test_kills_at_random_instants_lose_nothing(run_config: TrainConfig, uninterrupted: Path, tmp_path: Path) -> None:
    """benchmarks/survival.py does this twenty times with whole commands."""
    folder, rng, kills = tmp_path / "run", random.Random(7), 0
    process = spawn(folder, run_config)
    while kills < 4:
        process.join(rng.uniform(0.2, 1.6))
        if process.exitcode is not None:
            break
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        kills += 1
        process = spawn(folder, run_config, resume=True)
    process.join()
    assert process.exitcode == 0 and kills >= 2
    assert [line["update"] for line in read_metrics(folder)] == [1, 2, 3, 4]
    assert end_state(folder) == end_state(uninterrupted)
    assert not list((folder / "checkpoints").glob(".*"))


# -- checkpoints that are not whole, or not of this model -------------------------------------------------------------


def test_an_altered_last_checkpoint_is_refused_and_the_one_before_is_used_when_asked(
    run_config: TrainConfig, uninterrupted: Path, tmp_path: Path
) -> None:
    import shutil

    folder = tmp_path / "run"
    shutil.copytree(uninterrupted, folder, symlinks=True)
    file = folder / "checkpoints" / "last" / "env_state.bin"
    file.write_bytes(file.read_bytes()[:-1])
    more = dataclasses.replace(run_config, optim=dataclasses.replace(run_config.optim, num_updates=5))
    with pytest.raises(
        CheckpointError, match=r"(?s)env_state\.bin is truncated or altered.*--resume-from.*update_000003"
    ):
        run(more, folder, resume=True, progress=quiet())
    result = run(more, folder, resume_from=folder / "checkpoints" / "update_000003", progress=quiet())
    assert [line["update"] for line in result.metrics] == [1, 2, 3, 4, 5]


def test_a_checkpoint_of_another_model_is_refused(config: TrainConfig, start: Path, tmp_path: Path) -> None:
    path = build(config, start).save(tmp_path / "one")
    other = build(config, start)
    with torch.no_grad():
        other.policy.head_weight[0, 0] += 1
    with pytest.raises(CheckpointError, match="other base weights"):
        restore(other, path)
    narrow = build(dataclasses.replace(config, model=dataclasses.replace(config.model, lora_rank=4)), start)
    before = everything(narrow)
    with pytest.raises(CheckpointError, match="of shape"):
        restore(narrow, path)
    after = everything(narrow)
    assert all(torch.equal(before[0][name], after[0][name]) for name in before[0])


def test_the_adapter_loads_without_this_package(config: TrainConfig, start: Path, tmp_path: Path) -> None:
    from peft import PeftModel
    from transformers import AutoModelForImageTextToText, AutoTokenizer

    from vldac.model import read_spec

    trainer = build(config, start)
    for _ in range(2):
        trainer.update(trainer.collect())
    path = trainer.save(tmp_path / "one")
    base = AutoModelForImageTextToText.from_pretrained(start, dtype=torch.float32)
    theirs = PeftModel.from_pretrained(base, path).eval()
    ids = torch.arange(5, 25)[None]
    with torch.no_grad():
        expected = trainer.policy.peft(input_ids=ids).logits
        plain = base.get_base_model() if hasattr(base, "get_base_model") else base
        torch.testing.assert_close(theirs(input_ids=ids).logits, expected, atol=1e-5, rtol=0)
        with theirs.disable_adapter():
            assert (plain(input_ids=ids).logits - expected).abs().max() > 1e-4
    assert len(AutoTokenizer.from_pretrained(path)) == len(trainer.policy.model_info.tokenizer)
    assert read_spec(str(path)) == trainer.policy.model_info.spec


def test_a_full_disk_gives_a_clear_error_and_keeps_the_last_checkpoint(
    config: TrainConfig, start: Path, tmp_path: Path
) -> None:
    trainer = build(config, start)
    path = trainer.save(tmp_path / "one")
    digests = (path / "manifest.json").read_text()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
        with pytest.raises(CheckpointError, match=r"(?s)room and permission.*previous checkpoint is untouched"):
            trainer.save(tmp_path / "one")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert (path / "manifest.json").read_text() == digests and [p.name for p in tmp_path.iterdir()] == ["one"]
    checkpoints.read_checkpoint(path)


def test_what_a_kill_left_is_cleared_or_put_back(tmp_path: Path) -> None:
    for name in (".update_000002.tmp-12", ".update_000001.old", ".update_000003.old", "update_000003"):
        (tmp_path / name).mkdir()
    (tmp_path / ".last.tmp-12").symlink_to("update_000003")
    checkpoints.recover(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["update_000001", "update_000003"]


def test_pruning_keeps_the_newest_the_linked_and_the_good(tmp_path: Path) -> None:
    for update in (1, 2, 3, 4, 5):
        (tmp_path / f"update_{update:06d}").mkdir()
    (tmp_path / "update_000005_partial").mkdir()
    checkpoints.point(tmp_path, "best", tmp_path / "update_000002")
    checkpoints.prune(tmp_path, 2, {"update_000001"})
    names = [p.name for p in checkpoints.numbered(tmp_path)]
    assert names == ["update_000001", "update_000002", "update_000005", "update_000005_partial"]


def test_the_command_ends_with_the_distinct_code(run_config: TrainConfig, tmp_path: Path) -> None:
    recipe, folder = tmp_path / "small.yaml", tmp_path / "run"
    recipe.write_text(to_yaml(run_config))
    command = [sys.executable, "-P", "-m", "vldac", "train", str(recipe), "--run-dir", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    while process.poll() is None and not read_metrics(folder):
        time.sleep(0.02)
    process.terminate()
    output, _ = process.communicate(timeout=60)
    assert process.returncode == EXIT_STOPPED, output
    assert "--resume" in output and "Traceback" not in output
