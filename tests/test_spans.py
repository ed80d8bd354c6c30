"""Spans: seconds for the metrics, ranges for the profilers."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

import vldac
from vldac import _core, spans
from vldac.metrics import GLOSSARY, time_shares
from vldac.spans import span, time_metrics, traced


def test_a_span_adds_its_time_to_that_of_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([10.0, 12.5, 20.0, 21.0])
    monkeypatch.setattr(spans, "perf_counter", lambda: next(clock))
    seconds = {"env": 3.0}
    for _ in range(2):
        with span("encode", seconds):
            pass
    assert seconds == {"env": 3.0, "encode": 3.5}
    assert time_metrics(seconds) == {"time/env_s": 3.0, "time/encode_s": 3.5}


def test_a_span_that_raises_is_counted_and_lets_the_error_through() -> None:
    seconds: dict[str, float] = {}
    with pytest.raises(ZeroDivisionError), span("encode", seconds):
        1 / 0  # noqa: B018
    assert list(seconds) == ["encode"]


def test_spans_nest_with_names_of_their_own() -> None:
    seconds: dict[str, float] = {}
    with span("generate", seconds), span("prefill"), span("encode", seconds):
        pass
    assert set(seconds) == {"generate", "encode"} and seconds["generate"] >= seconds["encode"]


def profiled_names(*, is_traced: bool) -> set[str]:
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        if is_traced:
            with traced(), span("prefill"):
                torch.ones(2) + 1
        with span("outside"):
            torch.ones(2) + 1
    return {event.key for event in profile.key_averages()}


def test_spans_are_ranges_of_a_trace_only_while_one_is_taken() -> None:
    names = profiled_names(is_traced=True)
    assert "prefill" in names and "aten::add" in names and "outside" not in names
    assert "outside" not in profiled_names(is_traced=False)


def test_a_failure_inside_a_trace_ends_the_trace() -> None:
    with pytest.raises(ZeroDivisionError), traced():
        1 / 0  # noqa: B018
    assert "outside" not in profiled_names(is_traced=False)


def test_nvtx_ranges_are_pushed_and_popped_where_cuda_is_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda.nvtx, "range_push", seen.append)
    monkeypatch.setattr(torch.cuda.nvtx, "range_pop", lambda: seen.append("pop"))
    with pytest.raises(ZeroDivisionError), span("generate"), span("prefill"):
        1 / 0  # noqa: B018
    assert seen == ["generate", "prefill", "pop", "pop"]


def test_shares_of_an_update_sum_to_one_and_name_what_no_hop_has() -> None:
    line = {"time/collect_s": 5.0, "time/generate_s": 3.0, "time/encode_s": 1.0, "time/env_s": 0.5,
            "time/reference_s": 1.0, "time/advantage_s": 0.0, "time/update_s": 4.0, "time/forward_s": 2.0}  # fmt: skip
    assert set(line) <= set(GLOSSARY)
    shares = time_shares(line)
    assert shares == {"generate": 0.3, "encode": 0.1, "env": 0.05, "reference": 0.1, "advantage": 0.0, "update": 0.4,
                      "rest": 0.05}  # fmt: skip
    assert time_shares({"rollout/env_steps": 3.0}) == {}


LIBRARY = """
#include <string.h>
static char names[1 << 16];
static int depth = 0, deepest = 0;
int nvtxRangePushA(const char* name) {
  if (strlen(names) + strlen(name) + 2 < sizeof names) { strcat(names, name); strcat(names, ";"); }
  if (++depth > deepest) deepest = depth;
  return depth;
}
int nvtxRangePop(void) { return --depth; }
const char* said(void) { return names; }
int left_open(void) { return depth; }
"""


def test_the_environments_threads_name_what_they_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for NVIDIA's library, one environment on one thread: every range is closed, and named after what it is."""
    if shutil.which("cc") is None:
        pytest.skip("no C compiler")
    source, library = tmp_path / "nvtx.c", tmp_path / "libnvtx.so"
    source.write_text(LIBRARY)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
    monkeypatch.setenv("VLDAC_NVTX", str(library))
    assert spans.name_native_ranges() == str(library)
    fake = ctypes.CDLL(str(library))
    fake.said.restype = ctypes.c_char_p
    try:
        env = vldac.envs.make("gym_cards/NumberLine-v0", 1, num_threads=1)
        env.reset(seed=0)
        env.step(np.zeros(1, np.int64))
        env.close()
    finally:
        _core.set_range_functions(0, 0)
    assert fake.said().decode() == "env reset;env draw;env step;env draw;" and fake.left_open() == 0
    monkeypatch.setenv("VLDAC_NVTX", str(tmp_path / "nowhere.so"))
    assert spans.name_native_ranges() is None
