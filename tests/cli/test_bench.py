"""`vldac bench`: every side of every kernel runs and is right; how fast is never asked here."""

import json
import math
from pathlib import Path

import pytest
import torch

from vldac.bench import kernels, timing
from vldac.bench.cases import CASES
from vldac.bench.memory import peak_extra_bytes

# Of toy sizes in float32, against float64.
LARGEST_ERROR = {
    "logprob": 2e-6,
    "entropy": 5e-6,
    "gradient_relative": 1e-5,
    "loss": 1e-6,
    "advantage": 1e-5,
    "returns": 1e-5,
}


@pytest.fixture
def quick_row(vldac, tmp_path: Path) -> dict:
    threads = torch.get_num_threads()
    code, out, err = vldac("bench", "kernels", "--quick", "--rounds", "3", "--json", str(tmp_path / "row.json"))
    torch.set_num_threads(threads)
    assert (code, err) == (0, "")
    assert all(name in out for name in CASES) and "over eager" in out and "extra MiB" in out
    return json.loads((tmp_path / "row.json").read_text(encoding="utf-8"))


def test_the_quick_benchmark_measures_every_tier_and_every_one_is_right(quick_row) -> None:
    assert {"claim", "command", "commit", "date", "device", "load", "measurements", "versions"} <= set(quick_row)
    assert quick_row["versions"].keys() >= {"python", "torch", "vldac"} and quick_row["claim"]["holds"] is None
    assert [m["case"] for m in quick_row["measurements"]] == list(CASES)
    for measured in quick_row["measurements"]:
        assert list(measured["sides"]) == ["eager", "torch", "cpp"] and list(measured["skipped"]) == ["compiled"]
        for name, side in measured["sides"].items():
            times = side["ms"]
            assert 0 < times["min"] <= times["p20"] <= times["median"] <= times["p80"] and times["rounds"] == 3
            assert side["speedup_over_eager"] > 0 and side["error"]
            for what, error in side["error"].items():
                assert error <= LARGEST_ERROR[what], (measured["case"], name, what)
        has_memory = ["extra_memory_mib" in side for side in measured["sides"].values()]
        assert has_memory == [measured["case"] == "linear_logprob"] * 3


@pytest.mark.parametrize("name", list(CASES))
def test_a_wrong_result_shows_as_an_error(name: str) -> None:
    problem = CASES[name].build(CASES[name].small)
    outputs = dict(problem.providers["cpp"]())
    for what in [w for w in outputs if w not in ("token", "entropy")]:
        wrong = problem.errors(outputs | {what: outputs[what] * 1.001 + 1e-3})
        assert max(error / LARGEST_ERROR[w] for w, error in wrong.items()) > 10, what


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["bench", "kernles"], "did you mean 'kernels'"),
        (["bench"], "the argument name"),
        (["bench", "kernels", "--rounds", "0"], "--rounds"),
        (["bench", "kernels", "--threads", "0"], "--threads"),
        (["bench", "kernels", "--json", "no/such/folder/row.json"], "--json"),
        (["bench", "kernels", "--original", "folder"], "--original"),
        (["bench", "trian"], "did you mean 'train'"),
        (["bench", "train", "--rounds", "0"], "--rounds"),
        (["bench", "train", "--json", "no/such/folder/row.json"], "--json"),
        (["bench", "train", "--hidden", "100"], "use 128"),
        (["bench", "rollout", "--tokens", "0"], "--tokens"),
        (["bench", "train", "--model", "Qwen/Qwen2-VL-2B-Instruct", "--hidden", "64"], "leave one out"),
        (["bench", "train", "--random-weights"], "name a model"),
        (["bench", "train", "--set", "optim.lrr=1"], "--set"),
        (["bench", "train", "--set", "optim.lr=fast", "--quick"], "a number"),
        (["bench", "train", "--steps", "33"], "env.num_envs"),
        (["bench", "train", "--original-python", "python3"], "--original"),
        (["bench", "train", "--original", "no/such/folder"], "docs/benchmarks.md"),
    ],
)
def test_a_benchmark_that_cannot_run_is_refused(refuses, words: list[str], said: str) -> None:
    assert said in refuses(*words)


def test_every_round_calls_every_side_and_ratios_are_taken_within_a_round(monkeypatch) -> None:
    now, order = [0.0], []
    monkeypatch.setattr(timing.time, "perf_counter", lambda: now[0])

    def takes(name: str, seconds: float):
        def call() -> None:
            order.append(name)
            now[0] += seconds * (3 if len(order) > 14 else 1)  # the machine grows slow half-way

        return call

    times = timing.interleave({"slow": takes("slow", 0.4), "fast": takes("fast", 0.1)}, rounds=9, budget_s=100.0)
    # Two calls each to warm up and to see how long one takes; then the first alternates.
    assert order == ["slow"] * 2 + ["fast"] * 2 + (["slow", "fast"] + ["fast", "slow"]) * 4 + ["slow", "fast"]
    assert times["slow"].calls == 1 and times["slow"].median_s == pytest.approx(0.4, rel=3)
    assert timing.speedup(times["slow"], times["fast"]) == pytest.approx(4.0)
    few = timing.interleave({"slow": takes("slow", 5.0)}, rounds=9, budget_s=1.0)
    assert len(few["slow"].samples) == 3
    short = timing.interleave({"short": takes("short", 1e-5)}, rounds=4, budget_s=1.0)
    assert short["short"].calls > 10 and len(short["short"].samples) == 4


def test_quantiles_interpolate() -> None:
    assert [timing.quantile([4.0, 1.0, 2.0, 3.0, 5.0], share) for share in (0.0, 0.2, 0.5, 1.0)] == [1.0, 1.8, 3.0, 5.0]


def test_the_peak_of_a_call_is_what_it_held_at_once() -> None:
    size = 64 << 20

    def freed_between() -> None:
        for _ in range(3):
            bytearray(size)

    for function, times in ((freed_between, 1), (lambda: (bytearray(size), bytearray(size)), 2)):
        extra = peak_extra_bytes(function)
        if extra is None:
            pytest.skip("this system does not let a process reset its peak")
        assert abs(extra - times * size) < size / 4


def test_goals_hold_where_their_figure_is_on_the_right_side() -> None:
    measured = {
        "sizes": {"T": 10, "E": 10},
        "sides": {"cpp": {"speedup_over_eager": 4.9, "ms": {"median": 9e-4, "min": 2e-4}}, "eager": {}},
    }
    faster, short = kernels.FULL[-2].goals
    assert not faster.judge(measured, "cpp")["holds"]
    assert short.judge(measured, "cpp") == {
        "what": "ns per element", "tier": "cpp", "figure": pytest.approx(2.0), "at_most": 3.0, "holds": True,
    }  # fmt: skip
    share = kernels.FULL[2].goals[0]
    unknown = share.judge({"sizes": {}, "sides": {"cpp": {"extra_memory_mib": None}, "eager": {}}}, "cpp")
    assert unknown["figure"] is None and not unknown["holds"] and math.isclose(share.at_most or 0, 0.05)
