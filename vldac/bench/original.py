"""The other side: the original repository's loop in a process of its own, one round at a time (benchmarks/original_loop.py)."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import vldac
from vldac.bench.arguments import ThroughputArguments
from vldac.bench.workload import Sample
from vldac.errors import ConfigError

DRIVER = Path(vldac.__file__).resolve().parent.parent / "benchmarks" / "original_loop.py"


def check(arguments: ThroughputArguments) -> None:
    """Raise ConfigError where the original cannot be the other side."""

    def refuse(ok: bool, expected: str, got: str, where: str, do: str) -> None:
        if not ok:
            raise ConfigError(expected=expected, got=got, where=where, do=do)

    folder, python = arguments.original, arguments.original_python
    made = "docs/benchmarks.md says how to make it"
    refuse(folder is not None, "the checkout that it runs", "none", "--original", "name it, too")
    refuse((folder / "a2c_ppo_acktr").is_dir() if folder else False, "a checkout of the original repository (corl-team/VL-DAC)",
           str(folder), "--original", made)  # fmt: skip
    refuse(python is not None and os.access(python, os.X_OK), "the Python interpreter of the original's own environment",
           str(python or "none"), "--original-python", made)  # fmt: skip
    refuse(arguments.model is None, "the tiny model, which both sides can load", str(arguments.model), "--model with --original",
           "leave one of them out")  # fmt: skip
    refuse(arguments.device in ("auto", "cpu"), "the CPU, on which the original is driven", arguments.device, "--device",
           "leave it out")  # fmt: skip
    refuse(arguments.env_id.startswith("MiniWorld-") and arguments.image_size is None,
           "a MiniWorld environment at its own image size", f"{arguments.env_id}, {arguments.image_size}", "--original",
           "use MiniWorld-OneRoom-v0")  # fmt: skip
    refuse(DRIVER.is_file(), "the script that drives it, which is in the repository", f"no {DRIVER.name}", "--original",
           "run from a checkout of vldac (pip install -e .)")  # fmt: skip


class Original:
    """A process that waits for a line before each round. It has one environment and rows of one, as the original does."""

    def __init__(self, arguments: ThroughputArguments, model: Path | None = None, tokens: int = 0) -> None:
        """model: a folder in the hub's format; None starts nothing (see `texts`)."""
        self._arguments = arguments
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115 -- as long as the process
        self._process: subprocess.Popen[str] | None = None
        self.prompt_tokens = 0
        self.facts: dict[str, Any] = {}
        """Prompt tokens, versions and settings of the other side."""
        if model is not None:
            steps = 4 if arguments.quick else 128 // arguments.epochs
            words = [
                "--model", str(model), "--tokens", str(tokens), "--steps", str(steps), "--rounds", str(arguments.rounds), "--wait",
                "--epochs", str(arguments.epochs), "--threads", str(arguments.threads),
                *(["--rollout-only"] if arguments.name == "rollout" else []),
            ]  # fmt: skip
            self._process = self._start(words)
            self.facts = json.loads(self._line())
            self.prompt_tokens = int(self.facts["prompt_tokens"])

    def texts(self) -> list[str]:
        """The original's prompts, with 1 to `num_images` pictures."""
        self._process = self._start(["--texts"])
        texts: list[str] = json.loads(self._line())
        self.close()
        return texts

    def warm_up(self, *, has_update: bool) -> None:
        """It has warmed itself up before it said that it is ready."""

    def round(self, *, has_update: bool) -> Sample:
        """One of its updates, or its rollout alone: what it was started for."""
        process = self._running()
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
        row = json.loads(self._line())
        if has_update != (row["all_in"] is not None):
            raise RuntimeError("the other side was started for rounds of another kind")
        return Sample(**{f.name: row[f.name] for f in dataclasses.fields(Sample) if f.name in row})

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None
            self._errors.close()

    def _start(self, words: list[str]) -> subprocess.Popen[str]:
        arguments = self._arguments
        threads = str(arguments.threads)
        command = [str(arguments.original_python), str(DRIVER), "--original", str(arguments.original), "--env-id", arguments.env_id,
                   "--num-images", str(arguments.num_images), *words]  # fmt: skip
        environment = os.environ | {
            "OMP_NUM_THREADS": threads,
            "MKL_NUM_THREADS": threads,
            "OPENBLAS_NUM_THREADS": threads,
        }
        return subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, text=True, encoding="utf-8",
            env=environment,
        )  # fmt: skip

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None:
            raise RuntimeError("the other side is closed")
        return self._process

    def _line(self) -> str:
        process = self._running()
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            process.wait()
            self._errors.seek(0)
            said = self._errors.read()[-2000:].strip()
            self.close()
            raise ConfigError(
                expected="the original's loop to run in its own environment",
                got=f"an end: {said or 'no message'}",
                where=f"--original-python {self._arguments.original_python}",
                do="docs/benchmarks.md lists what that environment needs",
            )
        return line
