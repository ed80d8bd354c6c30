"""Commands that need no model start without torch; the help of all of them works."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("words", [["--help"], ["envs"], ["recipes"], ["train", "paper", "--help"], ["--version"]])
def test_light_commands_import_neither_torch_nor_transformers(words: list[str]) -> None:
    code = (
        "import sys\nfrom vldac.cli import main\n"
        f"try:\n    main({words!r})\nexcept SystemExit as stop:\n    assert not stop.code\n"
        "assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-P", "-c", code], check=True, capture_output=True)


@pytest.mark.parametrize("command", ["train", "eval", "envs", "play", "view", "report", "doctor", "recipes"])
def test_every_command_is_in_the_help_and_has_its_own(vldac, command: str) -> None:
    code, out, _ = vldac("--help")
    assert code == 0 and f"\n  {command}" in out
    code, out, err = vldac(command, "--help")
    assert code == 0 and f"usage: vldac {command}" in out and err == ""


def test_without_a_command_the_help_goes_to_standard_error_with_code_2(vldac) -> None:
    code, out, err = vldac()
    assert (code, out) == (2, "") and err.startswith("usage: vldac COMMAND")


def test_envs_lists_every_environment_with_its_actions(vldac) -> None:
    from vldac.envs import list_ids

    code, out, _ = vldac("envs")
    assert code == 0 and all(f"\n{env_id}\n" in f"\n{out}" for env_id in list_ids())
    assert "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, +, *, =" in out and "20 (task vldac), 300 (upstream)" in out


def test_a_printed_recipe_is_a_file_that_trains(vldac, tmp_path) -> None:
    from vldac.configuration import load_config

    _, out, _ = vldac("recipes", "repo-yaml")
    (tmp_path / "mine.yaml").write_text(out, encoding="utf-8")
    assert load_config(str(tmp_path / "mine.yaml")) == load_config("repo-yaml")
