"""`vldac train --profile`: the window it takes, the traces it writes, and that nothing else changes."""

from __future__ import annotations

import gzip
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

import vldac
from tests.cli.test_run import SMALL
from vldac.cli import main
from vldac.errors import ConfigError
from vldac.profiling import Profiler, Window, parse_window, refuse_past

NAMES = {"collect", "env", "encode", "generate", "prompts", "prefill", "sample", "decode", "parse", "reference", "advantage",
         "update", "pack", "forward", "backward", "optimizer", "checkpoint"}  # fmt: skip


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same three updates twice: profiled in the second and third one, and not at all."""
    folder = tmp_path_factory.mktemp("runs")
    words = ["train", "quickstart", "--num-updates", "3", "--checkpoint-every", "1", "--keep-checkpoints", "3", *SMALL]
    words[-1] = "--eval.episodes=0"
    for name, more in (("profiled", ["--profile", "2:3"]), ("plain", [])):
        assert main([*words, "--num-threads", "1", "--run-dir", str(folder / name), *more]) == 0
    return {name: folder / name for name in ("profiled", "plain")}


def lines_of(run: Path) -> list[dict[str, Any]]:
    """The metrics without times and memory."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return [{k: v for k, v in line.items() if not k.startswith(("time/", "memory/"))} for line in lines]


def events_of(trace: Path) -> list[dict[str, Any]]:
    with gzip.open(trace, "rt", encoding="utf-8") as file:
        return list(json.load(file)["traceEvents"])


def test_a_profiled_run_has_the_metrics_and_the_configuration_of_one_that_is_not(runs: dict[str, Path]) -> None:
    assert lines_of(runs["profiled"]) == lines_of(runs["plain"]) and len(lines_of(runs["plain"])) == 3
    assert (runs["profiled"] / "config.yaml").read_bytes() == (runs["plain"] / "config.yaml").read_bytes()


def test_each_update_of_the_window_has_one_trace_and_nothing_else_lies_there(runs: dict[str, Path]) -> None:
    names = sorted(path.name for path in (runs["profiled"] / "profile").iterdir())
    assert names == ["trace_update_000002.json.gz", "trace_update_000003.json.gz"]
    assert not (runs["plain"] / "profile").exists()


@pytest.mark.parametrize("update", [2, 3])
def test_a_trace_holds_every_hop_and_the_operations_inside_it(runs: dict[str, Path], update: int) -> None:
    events = events_of(runs["profiled"] / "profile" / f"trace_update_{update:06d}.json.gz")
    ranges = [e for e in events if e.get("cat") == "user_annotation"]
    assert {e["name"] for e in ranges} >= NAMES
    assert sum(e["name"] == "collect" for e in ranges) == sum(e["name"] == "update" for e in ranges) == 1
    inside = next(e for e in ranges if e["name"] == "backward")
    operations = [e for e in events if e.get("cat") == "cpu_op"]
    assert any(inside["ts"] <= e["ts"] <= inside["ts"] + inside["dur"] for e in operations)


def test_the_end_of_a_run_says_where_its_trace_is_and_a_resumed_run_takes_one_too(
    vldac, runs: dict[str, Path], tmp_path: Path
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(runs["plain"], folder, symlinks=True)
    code, out, err = vldac(
        "train", "quickstart", "--run-dir", str(folder), "--resume", "--num-updates", "4", "--profile", "4"
    )
    assert code == 0, err
    trace = folder / "profile" / "trace_update_000004.json.gz"
    told = next(line for line in out.splitlines() if line.startswith("profile: "))
    assert str(trace) in told and "perfetto" in told and trace.is_file()


def test_the_page_on_profiling_names_every_span_and_its_script_sums_a_trace(
    capsys: pytest.CaptureFixture[str], runs: dict[str, Path]
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "profiling.md").read_text(encoding="utf-8")
    assert {name for name in {*NAMES, "record", "evaluate", "profile"} if f"| `{name}` |" not in page} == set()
    script = re.search(r"```python\n(.*?)```", page, re.DOTALL)
    assert script is not None
    shown = "runs/quick/profile/trace_update_000003.json.gz"
    assert shown in script[1]
    exec(script[1].replace(shown, str(runs["profiled"] / "profile" / "trace_update_000002.json.gz")), {})
    told = {line.split()[0] for line in capsys.readouterr().out.splitlines()}
    assert told >= NAMES


@pytest.mark.parametrize(
    ("window", "told"),
    [
        ("0:2", "updates count from 1"), ("3:2", "updates count from 1"), ("2:17", "updates up to 16"), ("1:11", "at most 10"),
        ("a:b", "the first and the last"), ("1:2:3", "the first and the last"), ("-1:2", "the first and the last"),
        ("", "the first and the last"), ("1.5:2", "the first and the last"),
    ],
)  # fmt: skip
def test_a_window_that_cannot_be_is_refused_before_anything_is_written(refuses, window: str, told: str) -> None:
    assert told in refuses("train", "quickstart", f"--profile={window}")
    assert told in refuses("train", "quickstart", f"--profile={window}", "--dry-run")


def test_a_window_that_a_resumed_run_has_behind_it_is_refused(vldac, runs: dict[str, Path]) -> None:
    run = runs["plain"]
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    words = ["train", "quickstart", "--run-dir", str(run), "--num-updates", "5", "--profile", "3:4"]
    code, _, err = vldac(*words, "--resume")
    assert code == 2 and "updates from 4 on" in err
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
    refuse_past(Window(3, 4), 2)
    with pytest.raises(ConfigError, match="updates from 4 on"):
        refuse_past(Window(3, 4), 3)


def test_one_number_is_a_window_of_one_update() -> None:
    assert parse_window("4", 4) == Window(4, 4) and parse_window(" 2:4", 9) == Window(2, 4)


class Cuda:
    """Records the calls that open and close Nsight's window."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[str] = []
        monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
        monkeypatch.setattr(torch.cuda, "synchronize", lambda: self.calls.append("wait"))
        monkeypatch.setattr(torch.cuda.profiler, "start", lambda: self.calls.append("start"))
        monkeypatch.setattr(torch.cuda.profiler, "stop", lambda: self.calls.append("stop"))
        for name in ("range_push", "range_pop"):
            monkeypatch.setattr(torch.cuda.nvtx, name, lambda *_: None)
        monkeypatch.setenv("NSYS_PROFILING_SESSION_ID", "1")


def test_the_window_of_nsight_opens_before_its_first_update_and_closes_after_its_last(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cuda, profiler = Cuda(monkeypatch), Profiler(Window(2, 3), tmp_path, {})
    for update in range(1, 5):
        with profiler.around(update, print):
            cuda.calls.append(str(update))
    assert cuda.calls == ["1", "wait", "start", "2", "3", "wait", "stop", "4"] and len(profiler.files) == 2


def test_an_update_that_fails_closes_the_window_and_leaves_no_trace(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cuda, profiler = Cuda(monkeypatch), Profiler(Window(1, 2), tmp_path, {})
    with pytest.raises(ZeroDivisionError), profiler.around(1, print):
        1 / 0  # noqa: B018
    assert cuda.calls == ["wait", "start", "wait", "stop"] and list(tmp_path.iterdir()) == []


def test_a_trace_that_cannot_be_written_is_told_and_the_run_goes_on(tmp_path: Path) -> None:
    (tmp_path / "profile").write_text("a file where the folder should be", encoding="utf-8")
    told: list[str] = []
    with Profiler(Window(1, 1), tmp_path, {}).around(1, told.append):
        torch.ones(2) + 1
    assert len(told) == 1 and told[0].startswith("the trace of update 1 could not be written: ")


def test_the_python_call_refuses_and_takes_the_same_windows(runs: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="updates up to 16"):
        vldac.train("tiny", run_dir=tmp_path / "new", profile="17:17")
    assert not (tmp_path / "new").exists()
    shutil.copytree(runs["plain"], tmp_path / "run", symlinks=True)
    vldac.train("tiny", run_dir=tmp_path / "run", resume=True, profile="4:4", optim__num_updates=4)
    assert [path.name for path in (tmp_path / "run" / "profile").iterdir()] == ["trace_update_000004.json.gz"]
