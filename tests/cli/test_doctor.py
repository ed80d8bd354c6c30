"""The doctor tells the truth about this installation, and about a broken one."""

import json
import sys
from importlib import metadata
from pathlib import Path

import pytest
import torch

from vldac import _core
from vldac.doctor import examine
from vldac.envs import list_ids


def test_a_sound_installation_has_no_problem(vldac, tmp_path: Path) -> None:
    code, out, err = vldac("doctor", "--json", "findings.json")
    assert (code, err) == (0, "") and out.endswith("No problem found.\n")
    found = json.loads((tmp_path / "findings.json").read_text(encoding="utf-8"))
    assert found["problems"] == []
    assert found["versions"]["torch"] == torch.__version__ == metadata.version("torch")
    assert found["native core"]["file"] == _core.__file__
    assert found["environments"].keys() == set(list_ids())
    assert all(
        str(value) in out for section in found.values() if isinstance(section, dict) for value in section.values()
    )


def test_a_broken_environment_is_a_problem_and_the_rest_is_still_told(vldac, monkeypatch) -> None:
    class Broken:
        def __init__(self, *_: object) -> None:
            raise RuntimeError("no stepper")

    monkeypatch.setattr(_core, "Pool", Broken)
    code, out, _ = vldac("doctor")
    assert code == 1 and "PROBLEM  environments: RuntimeError: no stepper" in out
    assert "     do  reinstall" in out and "1 problem(s) found." in out and "optional" in out


@pytest.mark.parametrize(("version", "told"), [("2.4.0", "found 2.4.0"), (None, "found none")])
def test_a_package_out_of_range_or_missing_is_a_problem(monkeypatch, version: str | None, told: str) -> None:
    real = metadata.version

    def fake(name: str) -> str:
        if name != "torch":
            return real(name)
        if version is None:
            raise metadata.PackageNotFoundError(name)
        return version

    monkeypatch.setattr(metadata, "version", fake)
    problems = examine().problems
    assert len(problems) == 1 and told in problems[0].what and problems[0].what.startswith("needs torch")
    assert "pip install" in problems[0].do


def test_a_torch_that_does_not_import_is_a_problem(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    assert any(p.what.startswith("torch: ModuleNotFoundError") for p in examine().problems)
