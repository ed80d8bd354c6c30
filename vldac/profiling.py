"""`vldac train --profile A:B`: a Perfetto trace of each of these updates, and the window that Nsight Systems captures.

Inside the window CUDA's profiler is on (`nsys profile --capture-range=cudaProfilerApi` records exactly it) and torch's profiler
writes one compressed trace per update, so that no file grows with the window. Nothing here changes a result. docs/profiling.md
shows how to read both. torch is imported when the window begins: a command that only checks its arguments does not need it.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import re
import shutil
from collections.abc import Callable, Iterator, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vldac.errors import ConfigError

MOST_UPDATES = 10
"""A window is not longer: traces are large, and updates are alike."""


@dataclass(frozen=True, slots=True)
class Window:
    """Updates `first` to `last`, counted from 1, both included."""

    first: int
    last: int

    def __str__(self) -> str:
        return f"{self.first}:{self.last}"


def parse_window(text: str, num_updates: int) -> Window:
    """Read "3:6" or "3" for a run of `num_updates` updates. Raises ConfigError for a window that such a run does not have."""
    match = re.fullmatch(r"(\d+)(?::(\d+))?", text.strip())
    if match is None:
        raise _refusal("A:B, the first and the last update to profile", repr(text), "for example --profile 3:4")
    first, last = int(match[1]), int(match[2] or match[1])
    if not 1 <= first <= last:
        raise _refusal("1 <= A <= B: updates count from 1", text, "for example --profile 3:4")
    if last > num_updates:
        raise _refusal(
            f"updates up to {num_updates}, the run's last", text, "choose an earlier window, or raise --num-updates"
        )
    if last - first >= MOST_UPDATES:
        raise _refusal(
            f"at most {MOST_UPDATES} updates", f"{text}, {last - first + 1} updates", "profile fewer of them"
        )
    return Window(first, last)


def refuse_past(window: Window | None, updates_done: int) -> None:
    """Raise ConfigError if a resumed run has the window's first update behind it already."""
    if window is not None and window.first <= updates_done:
        raise _refusal(
            f"updates from {updates_done + 1} on: the checkpoint to resume has done {updates_done}", str(window),
            f"for example --profile {updates_done + 1}:{updates_done + 1}",
        )  # fmt: skip


def _refusal(expected: str, got: str, do: str) -> ConfigError:
    return ConfigError(expected=expected, got=got, where="--profile", do=do)


class Profiler:
    """Takes the traces of a window, or nothing at all without one."""

    def __init__(self, window: Window | None, run_dir: Path, seconds: MutableMapping[str, float]) -> None:
        """seconds: gets the time of writing traces as "profile", which is no part of any update."""
        self._window, self.folder, self._seconds = window, run_dir / "profile", seconds
        self.files: list[Path] = []

    @contextlib.contextmanager
    def around(self, update: int, say: Callable[[str], None]) -> Iterator[None]:
        """Profile the block, update number `update` (from 1), if it is in the window; one that raises leaves no trace file.

        A trace that cannot be written is told and does not end the run.
        """
        window = self._window
        if window is None or not window.first <= update <= window.last:
            yield
            return
        import torch

        from vldac.spans import span, traced

        is_cuda = torch.cuda.is_initialized()
        if not is_cuda:  # two lines of debugging would tear the table; with a GPU what it says may matter
            os.environ.setdefault("KINETO_LOG_LEVEL", "6")
        profile = torch.profiler.profile(activities=_activities(is_cuda))
        if is_cuda and update == window.first:
            torch.cuda.synchronize()
            torch.cuda.profiler.start()
        profile.start()
        try:
            with traced():
                yield
        except BaseException:
            profile.stop()
            _end_capture(is_cuda)
            raise
        if update == window.last:
            _end_capture(is_cuda)
        with span("profile", self._seconds):
            profile.stop()
            try:
                self.files.append(self._write(profile, update))
            except OSError as error:
                say(f"the trace of update {update} could not be written: {error}")

    def _write(self, profile: Any, update: int) -> Path:
        """Write through a temporary name (a reader never sees half of a trace), compressed 10 to 15 times."""
        self.folder.mkdir(exist_ok=True)
        path = self.folder / f"trace_update_{update:06d}.json.gz"
        plain, packed = (path.with_name(f".tmp-{update:06d}{end}") for end in (".json", ".json.gz"))
        try:
            profile.export_chrome_trace(str(plain))
            with plain.open("rb") as source, gzip.open(packed, "wb", compresslevel=3) as target:
                shutil.copyfileobj(source, target, 1 << 20)
            os.replace(packed, path)
        finally:
            plain.unlink(missing_ok=True)
            packed.unlink(missing_ok=True)
        return path

    def summary(self) -> str:
        """Say where the traces are and how to open one; empty if there are none."""
        if not self.files:
            return ""
        size = sum(path.stat().st_size for path in self.files) / 1e6
        where = self.files[0] if len(self.files) == 1 else f"{self.folder}, {len(self.files)} traces"
        return f"profile:      {where} ({size:.1f} MB); open at https://ui.perfetto.dev, read with docs/profiling.md"


def _activities(is_cuda: bool) -> list[Any]:
    """The CPU's always; the GPU's unless Nsight Systems runs, since the GPU's event interface (CUPTI) has room for one listener."""
    from torch.profiler import ProfilerActivity

    is_nsight = "NSYS_PROFILING_SESSION_ID" in os.environ
    return [ProfilerActivity.CPU, ProfilerActivity.CUDA] if is_cuda and not is_nsight else [ProfilerActivity.CPU]


def _end_capture(is_cuda: bool) -> None:
    import torch

    if is_cuda:
        torch.cuda.synchronize()
        torch.cuda.profiler.stop()
