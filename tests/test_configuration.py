"""Configurations: recipes are valid, mistakes are told, round trips lose nothing."""

import subprocess
import sys

import pytest

from vldac.cli import main
from vldac.configuration import load_config, parse_config, recipe_names, to_yaml
from vldac.errors import ConfigError


@pytest.mark.parametrize("name", recipe_names())
def test_recipes_load_and_survive_a_round_trip(name: str) -> None:
    config = load_config(name)
    assert parse_config(to_yaml(config), where="round trip") == config


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("optim.learning_rate", 1, "learning_rate"),
        ("optim.epoch", 1, "did you mean 'epochs'"),
        ("env.max_episode_steps", 0, "step limit of at least 1"),
        ("rollout.steps_per_update", 100, "multiple of env.num_envs"),
        ("rollout.temperature", 0, "temperature above 0"),
        ("model.lora_dropout", 0.1, "ratio differ from 1"),
        ("eval.seed", 10, "apart from the training seeds"),
        ("optim.epochs", "two", "got 'two'"),
    ],
)
def test_mistakes_are_refused_with_the_reason(key: str, value: object, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load_config("quickstart", {key: value})


def test_broken_yaml_and_unknown_recipes_exit_with_2(tmp_path, capsys) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text("a: [1,\n")
    for argument, words in (
        (str(broken), "valid YAML"),
        ("quickstrat", "did you mean 'quickstart'"),
        ("no.yaml", "readable"),
    ):
        assert main(["train", argument, "--dry-run"]) == 2
        assert words in capsys.readouterr().err
    assert main(["train", "quickstart", "--env", "gym_cards/NumberLine", "--dry-run"]) == 2
    assert "did you mean 'gym_cards/NumberLine-v0'" in capsys.readouterr().err


def test_an_existing_run_folder_is_refused(tmp_path, capsys) -> None:
    (tmp_path / "something").write_text("kept")
    assert main(["train", "quickstart", "--run-dir", str(tmp_path)]) == 2
    assert "--overwrite" in capsys.readouterr().err and (tmp_path / "something").read_text() == "kept"


def test_import_touches_neither_torch_nor_transformers() -> None:
    code = "import sys, vldac; assert not {'torch', 'transformers'} & set(sys.modules)"
    subprocess.run([sys.executable, "-P", "-c", code], check=True)
