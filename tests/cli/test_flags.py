"""Flags come from the configuration dataclasses: names, types, help and defaults are written once."""

import re
from pathlib import Path

import pytest

from vldac.arguments import parse_train, setting_types, yaml_tokens
from vldac.configuration import load_config

GOLDEN = Path(__file__).parent / "train_flags.txt"
NAMED = (
    "--model",
    "--env",
    "--num-updates",
    "--run-dir",
    "--resume",
    "--resume-from",
    "--overwrite",
    "--dry-run",
    "--profile",
)


def flags_in(help_text: str) -> list[str]:
    """The flags a help page offers, in order."""
    return list(re.findall(r"^. (--[a-z][\w.-]*)", help_text, flags=re.MULTILINE))


def test_the_flags_of_train_are_the_golden_list(vldac) -> None:
    """To accept a change, write the list anew: vldac train quickstart --help | grep -oE '^. --[a-z.-]+' | grep -oe '--.*'"""
    code, out, _ = vldac("train", "quickstart", "--help")
    assert code == 0
    assert flags_in(out) == GOLDEN.read_text(encoding="utf-8").split()


def test_every_setting_is_a_flag_with_help(vldac) -> None:
    _, out, _ = vldac("train", "quickstart", "--help")
    flags = flags_in(out)
    assert sorted(flags) == sorted([*NAMED, *(f"--{name.replace('_', '-')}" for name in setting_types())])
    entries = re.split(r"^. (?=--[a-z])", out, flags=re.MULTILINE)[1:]
    without = [e.split()[0] for e in entries if not re.search(r"[a-z]{3,}.*\(default", " ".join(e.split()[2:]))]
    assert without == []


@pytest.mark.parametrize(("recipe", "shown"), [("quickstart", "(default: 0.001)"), ("paper", "(default: 5e-05)")])
def test_help_shows_the_defaults_of_the_recipe(vldac, recipe: str, shown: str) -> None:
    _, out, _ = vldac("train", recipe, "--help")
    text = " ".join(re.sub("[|\u2502]", " ", out).split())
    entry = text[text.index("--optim.lr FLOAT") :]
    assert shown in entry[: entry.index("--optim.lr-final")]


@pytest.mark.parametrize(
    ("words", "name", "value"),
    [
        (["--env.image_size", "84", "56"], "image_size", (84, 56)),
        (["--env.image-size", "84", "56"], "image_size", (84, 56)),
        (["--env.image_size", "[84, 56]"], "image_size", (84, 56)),
        (["--env.image_size=[84,56]"], "image_size", (84, 56)),
        (["--env.image_size", "null"], "image_size", None),
        (["--env.num-envs=16"], "num_envs", 16),
        (["--env.num_envs", "8", "--env.num-envs", "16"], "num_envs", 16),
        (["--env.penalty", "-1e-1"], "penalty", -0.1),
        (["--env.max_episode_steps", "~"], "max_episode_steps", None),
    ],
)
def test_values_are_written_as_in_yaml_or_as_words(words: list[str], name: str, value: object) -> None:
    _, config = parse_train(["quickstart", *words])
    assert getattr(config.env, name) == value


def test_lists_and_truth_values_parse() -> None:
    _, config = parse_train(
        ["quickstart", "--waive", "dropout", "first-ratio", "--log", "[tensorboard]", "--model.random_weights", "true"]
    )
    assert config.waive == ("dropout", "first-ratio") and config.log == ("tensorboard",)
    assert config.model.random_weights is True
    _, config = parse_train(["repo-yaml", "--waive", "[dropout,first-ratio,truncated-sampling]"])
    assert config.waive == ("dropout", "first-ratio", "truncated-sampling")


def test_a_flag_beats_the_file_and_the_file_beats_the_default(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("optim:\n  lr: 1e-3\n  epochs: 3\n", encoding="utf-8")
    _, config = parse_train([str(file), "--optim.lr", "1e-4"])
    assert (config.optim.lr, config.optim.epochs, config.optim.minibatch_steps) == (1e-4, 3, 128)


def test_a_flag_can_mend_a_file_that_alone_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("env:\n  num_envs: 7\n", encoding="utf-8")
    _, config = parse_train([str(file), "--rollout.steps_per_update", "14"])
    assert config.rollout.steps_per_update == 14


def test_named_flags_are_their_settings() -> None:
    words = ["--model", "some/model", "--env", "gym_cards/EZPoints-v0", "--num_updates", "3", "paper", "--dry-run"]
    arguments, config = parse_train(words)
    assert (config.model.name, config.env.id, config.optim.num_updates) == ("some/model", "gym_cards/EZPoints-v0", 3)
    assert arguments.recipe == "paper" and arguments.dry_run and not arguments.resume


def test_flags_that_change_nothing_give_the_recipe_itself() -> None:
    for recipe in ("quickstart", "paper", "repo-yaml", "default"):
        assert parse_train([recipe])[1] == load_config(recipe)


def test_yaml_spellings_become_words() -> None:
    words = ["--a.b=[1, 2]", "--c", "[x]", "--d", "null", "--e=true", "--f", "[]"]
    assert yaml_tokens(words) == ["--a.b", "1", "2", "--c", "x", "--d", "None", "--e", "True", "--f"]


def test_an_environments_own_options_come_from_the_file_and_from_flags(tmp_path: Path) -> None:
    recipe = tmp_path / "r.yaml"
    recipe.write_text("env: {id: test/Misbehaving-v0, options: {odds: 0.5, kind: 1}}", encoding="utf-8")
    _, config = parse_train([str(recipe), "--env.options", "odds", "0.7", "at_step", "2"])
    assert config.env.options == {"odds": 0.7, "kind": 1, "at_step": 2}
    assert parse_train([str(recipe)])[1].env.options == {"odds": 0.5, "kind": 1}
