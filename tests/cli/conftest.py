"""Help for the tests of the command line."""

from collections.abc import Callable
from pathlib import Path

import pytest

from vldac.cli import main

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def vldac(capsys, monkeypatch, tmp_path: Path) -> Run:
    """Run `vldac ARGUMENTS...` in an empty folder; returns (exit code, standard output, standard error)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("FORCE_COLOR", raising=False)

    def run(*words: str) -> tuple[int, str, str]:
        try:
            code = main(list(words))
        except SystemExit as stop:  # --help
            code = int(stop.code or 0)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


FOUR_PARTS = ("expected ", "     got ", "   where ", "      do ")


@pytest.fixture
def refuses(vldac: Run, tmp_path: Path) -> Callable[..., str]:
    """Run a command that must end with exit code 2 and a four-part message, and write nothing; returns the message."""

    def run(*words: str) -> str:
        before = sorted(tmp_path.rglob("*"))
        code, out, err = vldac(*words)
        assert code == 2, (out, err)
        lines = err.splitlines()
        assert "Traceback" not in err and lines[0].startswith("vldac: ")
        assert all(any(line.startswith(part) for line in lines) for part in FOUR_PARTS), err
        assert sorted(tmp_path.rglob("*")) == before, "something was written"
        return err

    return run
