"""Spans: one name for each hop of an update, heard in three places.

`with span("encode", seconds):` adds the block's wall time to `seconds["encode"]` (the metric `time/encode_s`), opens an NVTX range
where CUDA is in use (Nsight shows it), and a range of torch's profiler while `vldac train --profile` takes a trace. Nothing waits
for the device: on a GPU the seconds are those of the host, the profilers show the device's. The names are explained in
docs/profiling.md.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import os
from collections.abc import Iterator, Mapping, MutableMapping
from pathlib import Path
from time import perf_counter

import torch

from vldac import _core

_is_traced = False


class span:
    """Name a block, and add its wall time to `seconds[name]` where `seconds` is given. Spans nest; an exception ends them, too."""

    __slots__ = ("_has_nvtx", "_name", "_range", "_seconds", "_start")

    def __init__(self, name: str, seconds: MutableMapping[str, float] | None = None) -> None:
        self._name, self._seconds = name, seconds

    def __enter__(self) -> None:
        self._range = torch.profiler.record_function(self._name) if _is_traced else None
        if self._range is not None:
            self._range.__enter__()
        self._has_nvtx = torch.cuda.is_initialized()
        if self._has_nvtx:
            torch.cuda.nvtx.range_push(self._name)
        self._start = perf_counter()

    def __exit__(self, *error: object) -> None:
        if self._seconds is not None:
            self._seconds[self._name] = self._seconds.get(self._name, 0.0) + perf_counter() - self._start
        if self._has_nvtx:
            torch.cuda.nvtx.range_pop()
        if self._range is not None:
            self._range.__exit__(*error)


def time_metrics(seconds: Mapping[str, float]) -> dict[str, float]:
    """Return the metrics of spans: {"encode": 1.5} is {"time/encode_s": 1.5}."""
    return {f"time/{name}_s": value for name, value in seconds.items()}


@contextlib.contextmanager
def traced() -> Iterator[None]:
    """Inside, spans are ranges of torch's profiler, too."""
    global _is_traced
    _is_traced = True
    try:
        yield
    finally:
        _is_traced = False


def name_native_ranges() -> str | None:
    """Let the environments' threads open NVTX ranges, too: "env step", "env reset", "env draw". Returns the library used, or None.

    The native core links no CUDA, so the two functions are looked for in NVIDIA's tools library: the file in VLDAC_NVTX, one that the
    linker knows, or one in NVIDIA's Python packages, which CUDA builds of torch bring. Without one there are no such ranges.
    """
    for path in _nvtx_libraries():
        try:
            library = ctypes.CDLL(path)
            push, pop = library.nvtxRangePushA, library.nvtxRangePop
        except (OSError, AttributeError):
            continue
        _libraries.append(library)
        _core.set_range_functions(*(ctypes.cast(function, ctypes.c_void_p).value or 0 for function in (push, pop)))
        return path
    return None


_libraries: list[ctypes.CDLL] = []
"""Kept loaded: native threads may be inside."""


def _nvtx_libraries() -> Iterator[str]:
    if named := os.environ.get("VLDAC_NVTX"):
        yield named
        return
    yield from ("libnvToolsExt.so.1", "libnvToolsExt.so")
    spec = importlib.util.find_spec("nvidia")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        for name in ("libnvToolsExt.so*", "libnvtx3interop.so*"):
            yield from sorted(map(str, Path(folder).glob(f"*/lib/{name}")))
