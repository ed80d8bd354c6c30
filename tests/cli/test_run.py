"""The commands on a real, small run: train, eval, view, report."""

import json
import shutil
from pathlib import Path

import pytest

from vldac.cli import main
from vldac.configuration import load_config

SMALL = [
    "--tiny.clone_updates=1",
    "--env.num_envs=4",
    "--rollout.steps_per_update=8",
    "--rollout.max_new_tokens=8",
    "--optim.epochs=1",
    "--optim.minibatch_steps=8",
    "--eval.episodes=2",
]


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of one update, started by the command."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    assert main(["train", "quickstart", "--num-updates", "1", "--run-dir", str(folder), *SMALL]) == 0
    return folder


def test_a_run_keeps_the_configuration_that_the_flags_made(run_dir: Path) -> None:
    config = load_config(str(run_dir / "config.yaml"))
    assert (config.optim.num_updates, config.env.num_envs, config.rollout.steps_per_update) == (1, 4, 8)
    assert (config.optim.lr, config.model.name) == (load_config("quickstart").optim.lr, "tiny")


def test_eval_prints_and_writes_the_same_json(vldac, run_dir: Path, tmp_path: Path) -> None:
    checkpoint = str(run_dir / "checkpoints" / "last")
    code, out, _ = vldac(
        "eval", "--checkpoint", checkpoint, "--episodes", "3", "--seed", "77000", "--json", "result.json"
    )
    assert code == 0
    result = json.loads((tmp_path / "result.json").read_text(encoding="utf-8"))
    assert json.loads(out[out.index("{") :]) == result
    assert (result["env_id"], result["episodes"], result["seed"]) == ("gym_cards/NumberLine-v0", 3, 77000)
    low, high = result["success_ci"]
    assert 0 <= low <= result["success_rate"] <= high <= 1 and isinstance(result["return_mean"], float)
    assert [p.name for p in tmp_path.iterdir()] == ["result.json"]


def test_eval_refuses_training_seeds_unless_told(refuses, vldac, run_dir: Path) -> None:
    words = ["eval", "--checkpoint", str(run_dir / "checkpoints" / "last"), "--episodes", "2", "--seed", "0"]
    assert "--allow-seed-overlap" in refuses(*words)
    code, out, _ = vldac(*words, "--allow-seed-overlap")
    assert code == 0 and '"seed": 0' in out


def test_view_and_report_name_files_that_exist(vldac, run_dir: Path) -> None:
    for command in ("view", "report"):
        code, out, _ = vldac(command, str(run_dir))
        assert code == 0 and out.split() and all(Path(line).is_file() for line in out.splitlines())


def test_a_second_run_in_the_same_folder_is_refused(refuses, run_dir: Path) -> None:
    before = (run_dir / "metrics.jsonl").read_bytes()
    assert "--resume" in refuses("train", "quickstart", "--run-dir", str(run_dir), *SMALL)
    assert (run_dir / "metrics.jsonl").read_bytes() == before


def test_resuming_tells_which_flags_it_ignores_and_goes_on(vldac, run_dir: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(run_dir, folder, symlinks=True)
    words = ["--resume", "--num-updates", "2", "--env.num_envs", "2", "--optim.epochs", "1"]
    code, out, err = vldac("train", "quickstart", "--run-dir", str(folder), *words)
    assert code == 0, err
    notes = [line for line in out.splitlines() if line.startswith("note: ")]
    assert len(notes) == 1 and notes[0].startswith("note: --env.num_envs 2 is ignored: the resumed run keeps 4 of ")
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line["update"] for line in lines] == [1, 2]
