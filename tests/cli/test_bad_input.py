"""Mistakes end with exit code 2 and a four-part message; nothing is written (the fixture checks both)."""

import re
import time
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["trian"], "did you mean 'train'"),
        (["train"], "vldac train quickstart"),
        (["train", "quickstrat"], "did you mean 'quickstart'"),
        (["train", "none.yaml"], "a readable YAML file"),
        (["train", "quickstart", "more"], "no further arguments"),
        (["train", "quickstart", "--optim.learning_rate", "1"], "did you mean '--optim.lr'"),
        (["train", "quickstart", "--lr", "1"], "did you mean '--optim.lr'"),
        (["train", "quickstart", "--env.numenvs=4"], "did you mean '--env.num_envs'"),
        (
            ["train", "quickstart", "--optim.epochs", "two"],
            "expected an integer\n     got 'two'\n   where --optim.epochs",
        ),
        (["train", "quickstart", "--optim.epochs"], "got no value"),
        (["train", "quickstart", "--env.image_size", "84"], "a list of 2, each entry an integer, or null"),
        (["train", "quickstart", "--env.prompt", "long"], "one of paper, short"),
        (["train", "quickstart", "--log", "tensorbord"], "one of tensorboard, wandb, trackio"),
        (["train", "quickstart", "--env.max_episode_steps", "0"], "a step limit of at least 1"),
        (["train", "quickstart", "--env.image_size", "84", "14"], "sides of at least 28 pixels"),
        (["train", "quickstart", "--env.image_size", "28", "3000000"], "sides of at most 4096 pixels"),
        (["train", "quickstart", "--algorithm.clip", "nan"], "a finite number"),
        (["train", "quickstart", "--tiny.hidden_size", "100"], "a multiple of 32"),
        (["train", "quickstart", "--env", "a", "--env.id", "b"], "which are the same setting"),
        (
            ["train", "quickstart", "--env", "gym_cards/NumberLine", "--dry-run"],
            "did you mean 'gym_cards/NumberLine-v0'",
        ),
        (["train", "quickstart", "--env", "nothing-like-it"], "vldac envs"),
        (["train", "quickstart", "--resume"], "--run-dir with --resume"),
        (["train", "quickstart", "--device", "cudaa"], "auto, cpu, cuda or cuda:N"),
        (["train", "quickstart", "--device", "cuda:99"], "a GPU that torch can use"),
        (["train", "quickstart", "--waive", "droput"], "did you mean 'dropout'"),
        (["train", "quickstart", "--env.max_fault_frac", "2"], "a share between 0 and 1"),
        (["train", "quickstart", "--resume-from", "absent"], "a checkpoint folder"),
        (["train", "quickstart", "--resume", "--overwrite", "--run-dir", "r"], "they contradict"),
        (["eval"], "the argument --checkpoint"),
        (["eval", "--checkpoint", "absent", "--json", "no/folder/x.json"], "a file in a folder that exists"),
        (["eval", "--checkpoint", "absent"], "absent"),
        (["eval", "--checkpoint", "absent", "--episodes", "0"], "at least 1 episode"),
        (["eval", "--checkpoint", "absent", "--episode", "3"], "did you mean '--episodes'"),
        (["view"], "the argument run_dir"),
        (["view", "absent"], "the folder of a run"),
        (["report", "absent"], "the folder of a run"),
        (["play"], "the argument env"),
        (["play", "gym_cards/EZPoint-v0"], "did you mean 'gym_cards/EZPoints-v0'"),
        (["play", "gym_cards/EZPoints-v0", "--image-size", "3", "3"], "sides of at least 28 pixels"),
        (["recipes", "papr"], "did you mean 'paper'"),
        (["envs", "--all"], "a flag of vldac envs"),
        (["envs", "gym_cards/EZPoint-v0"], "did you mean 'gym_cards/EZPoints-v0'"),
        (["doctor", "--json", "no/folder/x.json"], "a file in a folder that exists"),
    ],
)
def test_a_mistake_is_told_with_what_to_do(refuses, words: list[str], told: str) -> None:
    assert told in refuses(*words)


@pytest.mark.parametrize(
    ("text", "told", "where"),
    [
        ("a: [1,\n", "valid YAML", "mine.yaml"),
        ("? [1, 2]\n: 3\n", "valid YAML", "mine.yaml"),
        ("env: {id: x, id: y}\n", "each key once", "mine.yaml"),
        ("env:\n  id: x\nseed: 1\nenv:\n  id: y\n", "'env' in line 1 and in line 4", "mine.yaml"),
        ("- a\n- b\n", "a mapping of settings", "mine.yaml"),
        ("envs: {}\n", "did you mean 'env'", "mine.yaml"),
        ("1: 2\n", "one of model, tiny", "mine.yaml"),
        ("optim: {learning_rate: 1}\n", "did you mean 'lr'", "mine.yaml: optim"),
        ("optim: 3\n", "a mapping", "mine.yaml: optim"),
        ("env: {image_size: 84}\n", "a list of 2, each entry an integer, or null", "mine.yaml: env: image_size"),
        ("env: {image_size: [84, 84, 3]}\n", "a list of 2", "mine.yaml: env: image_size"),
        ("model: {value_hidden: 64}\n", "a list, each entry an integer", "mine.yaml: model: value_hidden"),
        ("log: tensorboard\n", "a list, each entry one of tensorboard, wandb, trackio", "mine.yaml: log"),
        ("optim: {epochs: two}\n", "an integer", "mine.yaml: optim: epochs"),
        ("optim: {epochs: null}\n", "an integer", "mine.yaml: optim: epochs"),
        ("model: {random_weights: 1}\n", "true or false", "mine.yaml: model: random_weights"),
        ("optim: {lr: .nan}\n", "a finite number", "optim.lr"),
        ("env: {max_episode_steps: 0}\n", "a step limit of at least 1", "env.max_episode_steps"),
        ("seed: -1\n", "0 or more", "seed"),
        ("env: {num_envs: 7}\n", "a positive multiple of env.num_envs = 7", "rollout.steps_per_update"),
    ],
)
def test_a_broken_file_is_told_with_its_place(refuses, tmp_path: Path, text: str, told: str, where: str) -> None:
    (tmp_path / "mine.yaml").write_text(text, encoding="utf-8")
    message = refuses("train", "mine.yaml", "--dry-run")
    assert told in message and f"   where {where}" in message


def test_a_file_that_is_no_text_is_told(refuses, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_bytes(b"\xff\xfe\x00\x81")
    assert "a readable YAML file" in refuses("train", "mine.yaml")
    (tmp_path / "folder.yaml").mkdir()
    assert "a readable YAML file" in refuses("train", "folder.yaml")


def test_an_existing_run_folder_is_refused_and_kept(refuses, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "something").write_text("kept", encoding="utf-8")
    assert "--overwrite" in refuses("train", "quickstart", "--run-dir", "run")
    assert (tmp_path / "run" / "something").read_text(encoding="utf-8") == "kept"


def test_a_run_folder_that_cannot_be_made_is_told(refuses, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept", encoding="utf-8")
    for place in ("file", "file/run"):
        assert "a run folder that can be made" in refuses("train", "quickstart", "--run-dir", place)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("./absent", "no such folder"),
        ("absent", "no such folder"),
        ("/absent/model/folder", "no such folder"),
        ("Qwen/Qwen2-VL-7B-Instrct", "did you mean 'Qwen/Qwen2-VL-7B-Instruct'"),
    ],
)
def test_a_missing_model_is_told_within_seconds(refuses, monkeypatch, name: str, told: str) -> None:
    """A hub that cannot be reached is asked once: transformers alone retries for half a minute. Port 9 of this machine is closed."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    for proxy in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(proxy, raising=False)
    for words in (["--dry-run"], ["--run-dir", "run"]):
        start = time.monotonic()
        assert told in refuses("train", "paper", "--model", name, *words)
        assert time.monotonic() - start < 15


def test_the_names_that_can_be_waived_are_those_of_the_audit() -> None:
    from vldac.audit import CHECKS
    from vldac.configuration import WAIVERS

    assert WAIVERS == CHECKS


@pytest.mark.parametrize(
    ("size", "note"),
    [
        (("90", "90"), "pictures of 90x90 are resized to 84x84"),
        (("84", "112"), ""),
        (("2000", "2000"), "pictures of 2000x2000 are resized to 980x980"),
    ],
)
def test_pictures_that_the_model_cannot_take_are_resized_and_said(vldac, size: tuple[str, str], note: str) -> None:
    """Decided: sides that are no multiples of 28 are resized, as the model's own processor does, not refused."""
    code, out, _ = vldac("train", "quickstart", "--env.image_size", *size, "--tiny.clone_batch", "1", "--dry-run")
    assert code == 0 and (note in out) and ("resized" in out) == bool(note)
    width, height = re.search(r"image\(s\) at (\d+)x(\d+)", out).groups()
    assert int(width) % 28 == int(height) % 28 == 0


def test_a_folder_that_is_no_model_is_told(refuses, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "a folder without config.json" in refuses("train", "paper", "--model", "./empty", "--dry-run")
    (tmp_path / "empty" / "adapter_config.json").write_text("{}", encoding="utf-8")
    assert "--resume-from" in refuses("train", "paper", "--model", "./empty", "--dry-run")
    (tmp_path / "empty" / "config.json").write_text('{"model_type": "bert"}', encoding="utf-8")
    assert "model.name = './empty'" in refuses("train", "paper", "--model", "./empty", "--dry-run")
