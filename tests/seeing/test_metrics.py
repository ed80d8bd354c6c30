"""metrics.jsonl, its glossary, trackers and intervals."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from vldac.errors import ConfigError
from vldac.metrics import GLOSSARY, MetricsWriter, read_metrics, wilson_interval


def test_written_lines_read_back(tmp_path: Path) -> None:
    writer = MetricsWriter(tmp_path)
    writer.write(1, {"policy/loss": 0.5, "rollout/episodes": 3})
    writer.write(2, {"policy/loss": float("nan"), "rollout/episodes": 4})
    assert read_metrics(tmp_path) == [
        {"update": 1, "policy/loss": 0.5, "rollout/episodes": 3},
        {"update": 2, "rollout/episodes": 4},
    ]
    for line in writer.path.read_text(encoding="utf-8").splitlines():
        json.loads(line, parse_constant=pytest.fail)


def test_a_key_without_a_glossary_entry_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="policy/lost"):
        MetricsWriter(tmp_path).write(1, {"policy/lost": 0.0})
    assert read_metrics(tmp_path) == []


def test_glossary_keys_and_texts_are_well_formed() -> None:
    areas = "rollout|value|policy|optim|time|memory|eval|alarm"
    for key, text in GLOSSARY.items():
        assert re.fullmatch(rf"({areas})/[a-z][a-z0-9_]*(/\*)?", key) and text


def test_truncate_drops_later_updates_and_a_torn_line(tmp_path: Path) -> None:
    writer = MetricsWriter(tmp_path)
    for update in (1, 2, 3):
        writer.write(update, {"policy/loss": float(update)})
    with writer.path.open("a", encoding="utf-8") as file:
        file.write('{"update": 4, "policy/lo')
    assert [line["update"] for line in read_metrics(tmp_path)] == [1, 2, 3]
    writer.truncate_to(2)
    assert writer.path.read_text(encoding="utf-8").count("\n") == 2
    writer.write(3, {"policy/loss": 9.0})
    assert [line["update"] for line in read_metrics(tmp_path)] == [1, 2, 3]
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.jsonl"]


def test_truncate_without_a_file_does_nothing(tmp_path: Path) -> None:
    MetricsWriter(tmp_path).truncate_to(3)
    assert read_metrics(tmp_path) == []


def test_wilson_interval_has_known_values() -> None:
    assert wilson_interval(0, 0) == (0.0, 1.0)
    assert wilson_interval(5, 10) == pytest.approx((0.2366, 0.7634), abs=1e-4)
    assert wilson_interval(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert wilson_interval(10, 10)[1] == pytest.approx(1.0)


def test_tensorboard_gets_the_scalars(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    writer = MetricsWriter(tmp_path, trackers=("tensorboard",))
    writer.write(1, {"policy/loss": 0.5})
    writer.close()
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    (value,) = events.Tensors("policy/loss")
    assert value.step == 1 and value.tensor_proto.float_val[0] == 0.5


@pytest.mark.parametrize("name", ["wandb", "trackio", "tensorboard"])
def test_a_missing_tracker_is_a_clear_error(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, "tensorboard.summary", None)
    with pytest.raises(ConfigError, match=f"pip install {name}"):
        MetricsWriter(tmp_path, trackers=(name,))


def test_an_unknown_tracker_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="tensorbord"):
        MetricsWriter(tmp_path, trackers=("tensorbord",))


def test_hosted_trackers_get_every_update(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[object, ...]] = []

    class Fake:
        def init(self, **options: object) -> None:
            calls.append(("init", options["project"]))

        def log(self, metrics: dict[str, float], step: int) -> None:
            calls.append(("log", metrics, step))

        def finish(self) -> None:
            calls.append(("finish",))

    monkeypatch.setitem(sys.modules, "trackio", Fake())
    writer = MetricsWriter(tmp_path, trackers=("trackio",))
    writer.write(4, {"policy/loss": 1.0})
    writer.close()
    assert calls == [("init", "vldac"), ("log", {"policy/loss": 1.0}, 4), ("finish",)]


def test_no_seeing_module_imports_torch() -> None:
    code = (
        "import sys, types, pathlib; package = types.ModuleType('vldac'); import importlib.util as u;"
        "package.__path__ = list(u.find_spec('vldac').submodule_search_locations); sys.modules['vldac'] = package;"
        "import vldac.metrics, vldac.progress, vldac.report, vldac.view, vldac.trajectories;"
        "bad = {'torch', 'transformers', 'matplotlib', 'rich'} & set(sys.modules); assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
