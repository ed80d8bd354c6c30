"""How fast, how exact and how lean are the fused head's kernels, beside everybody else's? One process, providers interleaved.

    python benchmarks/gpu_kernels.py --third-party DIR    # DIR: unpacked wheels of the others; 8 minutes on one GPU
    TRITON_INTERPRET=1 python benchmarks/gpu_kernels.py --device cpu --quick --out DIR     # every line of it, at toy shapes

Order: the machine's ceilings (copy, an 8192^3 product, the head's two products), the open questions (rate of the fp32-output
product, rate of the second product, bandwidth of the row kernel, bits across batch sizes, chunk sizes), checks that only a GPU can
make (no host sync, graph capture, offsets beyond 2^31 elements), the decoder's layers (`gpu_decoder.py`), then per shape, number of
rows and regime all providers round-robin, at last compute-sanitizer with --sanitizer. Results are written after every part, so that a
run that is cut keeps what it has.

A row: milliseconds (median, 20th and 80th percentile), TFLOP/s on the FLOPs needed (2P forward and backward with a frozen head,
P = 2 N H V; 1P for scoring), share of the measured product ceiling, ratio to the two products of the same shapes in the same rounds,
peak extra memory, largest log-prob error and relative gradient error against float64 on sampled rows, whether two runs agree bit by
bit, and seconds of the first call. "products" is what a provider computes, not what it needs to.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))
import gpu_decoder  # noqa: E402
import gpu_kernel_providers as who  # noqa: E402

from vldac.provenance import commit, processor_name, versions  # noqa: E402

SHAPES = {"7B": (3584, 152064), "2B": (1536, 151936)}
TOY_SHAPES = {"toy": (48, 1000)}
CELLS = [
    ("7B", 4096, "flat"), ("7B", 16384, "flat"), ("7B", 4096, "peaked"), ("2B", 4096, "flat"), ("7B", 64, "flat"),
    ("7B", 1024, "flat"), ("2B", 16384, "flat"), ("7B", 256, "flat"), ("7B", 16384, "peaked"), ("2B", 1024, "flat"),
    ("2B", 64, "flat"), ("2B", 256, "flat"),
]  # fmt: skip
"""most wanted first: a run that is short of time leaves out the last"""
TOY_CELLS = [("toy", 16, "flat"), ("toy", 20, "peaked")]
FEW_ROWS = 8
"""rows of the checks that ask how, not how fast"""
COMPILED_CELLS = {("7B", 4096, "flat"), ("7B", 16384, "flat"), ("2B", 4096, "flat"), ("toy", 16, "flat")}

# Written before any run on a GPU: milliseconds (low, high) of forward and backward at 7B, N = 4096, on an H200 (790 TFLOP/s bf16,
# 4.3 TB/s copy), and the peak extra memory. Other numbers of rows scale with N from 1024 up.
PREDICTED = {
    "two products": ((11.3, 12.0), "buffers"),
    "ours, triton": ((13.0, 14.0), "1.0 GiB"),
    "ours, triton, batch-invariant": ((13.0, 14.0), "1.0 GiB"),
    "ours, torch": ((14.0, 18.0), "1-2 GiB"),
    "ours, public function": ((13.0, 14.2), "1.0 GiB"),
    "ours, scoring, triton": ((6.4, 7.2), "0.7 GiB"),
    "ours, scoring, triton_fused": ((7.2, 8.2), "5 MiB"),
    "eager, action rows": ((19.0, 20.0), "12.8 GiB"),
    "torch.compile, action rows": ((14.0, 15.0), "2.3-3.5 GiB"),
    "torch chunks, checkpointed": ((25.0, 30.0), "3.2 GiB"),
    "torch linear_cross_entropy": ((15.0, 30.0), "?"),
    "TRL selective": ((20.0, 26.0), "5-7 GiB"),
    "Liger scaled CE": ((26.0, 26.0), "1.3-2.3 GiB"),
    "verl Triton": ((30.0, 40.0), "1.1 GiB"),
    "verl torch": ((80.0, 95.0), "0.6 GiB + dW"),
    "CCE, filtered": ((20.0, 42.0), "small"),
    "CCE, exact": ((31.0, 42.0), "small"),
    "QuACK rows": ((13.0, 15.0), "2.4 GiB"),
    "ours, triton, summed": ((13.0, 14.0), "1.0 GiB"),
    "QuACK chunked": ((11.8, 13.0), "1.2 GiB"),
    "Liger fused linear CE": ((95.0, 145.0), "0.1-1.3 GiB"),
    "Liger chunked GRPO": ((150.0, 180.0), "2.2 GiB + chunk"),
}
PREDICTED_ANSWERS = {
    "fp32_output_rate": ">= 90% of the 16-bit-output rate at every chunk size",
    "second_product": ">= 700 TFLOP/s at 1152, 2304 and 3584 rows",
    "row_kernel": ">= 80% of copy bandwidth, 0.9-1.5 ms per 4096 rows",
    "batch_invariance": "log-probs differ by up to 1e-5 across N without the mode, by no bit with it",
}
COLUMNS = (
    "shape", "rows", "regime", "provider", "block", "products", "ms", "ms_p20", "ms_p80", "samples", "tflops", "ceiling_share",
    "over_two_products", "peak_mib", "logprob_error", "gradient_error", "is_deterministic", "first_seconds", "predicted_ms",
    "predicted_memory", "note",
)  # fmt: skip


def failures() -> tuple[type[BaseException], ...]:
    """What foreign code may raise without ending the run."""
    known: list[type[BaseException]] = [
        who.Missing, RuntimeError, ValueError, TypeError, ImportError, AttributeError, AssertionError, LookupError, OSError,
    ]  # fmt: skip
    try:
        from triton.errors import TritonError
    except ImportError:
        return tuple(known)
    return (*known, TritonError)


@dataclass
class Machine:
    """Where it runs, and how time and memory are read there."""

    device: torch.device
    dtype: torch.dtype
    is_quick: bool
    deadline: float

    @property
    def is_cuda(self) -> bool:
        """True on a GPU."""
        return self.device.type == "cuda"

    def synchronize(self) -> None:
        """Wait for the device."""
        if self.is_cuda:
            torch.cuda.synchronize()

    def time(self, function: Callable[[], Any]) -> float:
        """Milliseconds of one call; on a GPU between events, after the L2 cache was overwritten."""
        if not self.is_cuda:
            start = time.perf_counter()
            function()
            return (time.perf_counter() - start) * 1e3
        self.flush()
        start_event, end_event = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start_event.record()
        function()
        end_event.record()
        torch.cuda.synchronize()
        return start_event.elapsed_time(end_event)

    def flush(self) -> None:
        """Overwrite the L2 cache."""
        if not hasattr(self, "_flush"):
            self._flush = torch.empty(2**28, dtype=torch.uint8, device=self.device)
        self._flush.zero_()

    def median(self, function: Callable[[], Any], samples: int = 15) -> float:
        """Median milliseconds after two warm-up calls."""
        for _ in range(2):
            function()
        return percentile([self.time(function) for _ in range(3 if self.is_quick else samples)], 0.5)

    def peak(self, function: Callable[[], Any]) -> tuple[Any, float | None]:
        """(result, MiB allocated on top of what was there) of a call."""
        if not self.is_cuda:
            return function(), None
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        result = function()
        torch.cuda.synchronize()
        return result, (torch.cuda.max_memory_allocated() - before) / 2**20

    def left(self) -> float:
        """Seconds of the budget that are left."""
        return self.deadline - time.perf_counter()


def main(argv: list[str] | None = None) -> int:
    """Run everything; exit code 1 if a check failed (a missing or slow provider is no failure)."""
    arguments = parse(argv)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    for folder in arguments.third_party:
        sys.path.append(str(folder))
    torch.manual_seed(0)
    device = torch.device(arguments.device)
    machine = Machine(
        device, torch.bfloat16 if device.type == "cuda" else torch.float32, arguments.quick,
        time.perf_counter() + arguments.seconds,
    )  # fmt: skip
    record: dict[str, Any] = header(arguments, machine)
    shapes, cells = (TOY_SHAPES, TOY_CELLS) if arguments.quick else (SHAPES, CELLS)
    write(arguments.out, record)
    section(record, arguments.out, "ceilings", lambda: ceilings(machine, shapes))
    section(record, arguments.out, "answers", lambda: answers(machine, shapes))
    section(record, arguments.out, "checks", lambda: checks(machine, shapes))
    section(record, arguments.out, "decoder", lambda: decoder(machine, shapes, record))
    for place, cell in enumerate(cells):
        cost = record["seconds_per_cell"][-1] if record["seconds_per_cell"] else 0.0
        if machine.left() < 1.2 * cost:
            record["skipped_cells"] = [list(c) for c in cells[place:]]
            print(f"out of time: {len(cells) - place} cells left out")
            break
        start = time.perf_counter()
        record["rows"] += run_cell(machine, shapes, cell, record, arguments)
        record["seconds_per_cell"].append(time.perf_counter() - start)
        write(arguments.out, record)
    if arguments.sanitizer:
        section(record, arguments.out, "sanitizer", sanitizer)
    print(f"written: {arguments.out / 'gpu_kernels.json'} and .csv")
    return int(any(str(value).startswith("FAILED") for value in record.get("checks", {}).values()))


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--quick", action="store_true", help="toy shapes and three samples: does every line run?")
    parser.add_argument("--seconds", type=float, default=450.0, help="no new cell is started that would pass this")
    parser.add_argument("--cell-seconds", type=float, default=8.0, help="timed seconds of one cell")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    parser.add_argument(
        "--third-party", type=Path, action="append", default=[], help="folder on the path for others' packages"
    )
    parser.add_argument("--only", nargs="*", default=None, help="providers whose name contains one of these")
    parser.add_argument("--no-compile", action="store_true", help="leave torch.compile out")
    parser.add_argument(
        "--sanitizer", action="store_true", help="run the kernel checks under compute-sanitizer, if it is there"
    )
    return parser.parse_args(argv)


def header(arguments: argparse.Namespace, machine: Machine) -> dict[str, Any]:
    """What the numbers were made with, and what was expected of them."""
    name = torch.cuda.get_device_name() if machine.is_cuda else processor_name()
    print(f"{name}, {machine.dtype}, commit {commit(ROOT)[:12]}")
    return {
        "benchmark": "gpu_kernels", "command": "python benchmarks/gpu_kernels.py " + " ".join(sys.argv[1:]),
        "commit": commit(ROOT), "versions": versions(("vldac", "numpy", *who.INSTALLED)), "device": name,
        "dtype": str(machine.dtype), "quick": arguments.quick, "predicted_ms_7B_4096": PREDICTED,
        "predicted_answers": PREDICTED_ANSWERS, "rows": [], "seconds_per_cell": [],
    }  # fmt: skip


def section(record: dict[str, Any], out: Path, name: str, run: Callable[[], dict[str, Any]]) -> None:
    """Run one part; what it raises is written down and the rest goes on."""
    start = time.perf_counter()
    try:
        record[name] = run()
    except failures() as error:
        record[name] = {"failed": f"FAILED: {describe(error)}"}
        traceback.print_exc()
    record[name]["seconds"] = round(time.perf_counter() - start, 2)
    print(f"{name}:")
    for key, value in record[name].items():
        print(f"  {key}: {value}")
    write(out, record)


def describe(error: BaseException) -> str:
    """One line."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:200] if lines else ''}"


def write(out: Path, record: dict[str, Any]) -> None:
    """Both files, whole."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "gpu_kernels.json").write_text(json.dumps(record, indent=1) + "\n")
    with (out / "gpu_kernels.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(record["rows"])


# The machine's ceilings.


def ceilings(machine: Machine, shapes: dict[str, tuple[int, int]]) -> dict[str, Any]:
    """Copy in TB/s (read plus write), a square product, the head's products by rows; TFLOP/s. Random data: zeros run faster."""
    found: dict[str, Any] = {"copy_tb_s": copy_rate(machine)}
    edge = 128 if machine.is_quick else 8192
    a, b = (torch.randn(edge, edge, device=machine.device, dtype=machine.dtype) for _ in range(2))
    found["square_tflops"] = rate(2 * edge**3, machine.median(partial(torch.mm, a, b)), 1e12)
    for name, (width, size) in shapes.items():
        rows = 16 if machine.is_quick else 4096
        hidden, weight = matrices(machine, rows, width, size)
        logits, work = hidden @ weight.T, 2 * rows * width * size
        found[f"{name}_first_tflops"] = rate(work, machine.median(partial(torch.mm, hidden, weight.T)), 1e12)
        found[f"{name}_second_tflops"] = rate(work, machine.median(partial(torch.mm, logits, weight)), 1e12)
    found["product_tflops"] = max(value for key, value in found.items() if key.endswith("tflops"))
    return found


def copy_rate(machine: Machine) -> float:
    """TB/s of a device copy of 1 GiB, read and write counted."""
    size = 2**16 if machine.is_quick else 2**28
    source, sink = torch.randn(size, device=machine.device), torch.empty(size, device=machine.device)
    return rate(8 * size, machine.median(lambda: sink.copy_(source)), 1e12)


def matrices(machine: Machine, rows: int, width: int, size: int) -> tuple[Tensor, Tensor]:
    """Random hidden states and head; logits of order one."""
    hidden = torch.randn(rows, width, device=machine.device, dtype=machine.dtype)
    weight = torch.randn(size, width, device=machine.device, dtype=machine.dtype) * width**-0.5
    return hidden, weight


def rate(amount: float, milliseconds: float, unit: float) -> float:
    """amount per second, in units."""
    return amount / (milliseconds * 1e-3) / unit


# The open questions.


def answers(machine: Machine, shapes: dict[str, tuple[int, int]]) -> dict[str, Any]:
    """Rates of the two products by chunk rows and output dtype, the row kernel's bandwidth, bits across N, chunk sizes."""
    found: dict[str, Any] = {}
    for name, shape in shapes.items():
        found |= {f"{name}_{key}": value for key, value in answers_at(machine, *shape).items()}
    return found


def answers_at(machine: Machine, width: int, size: int) -> dict[str, Any]:
    """The answers at one shape."""
    from vldac.kernels import triton_table, triton_tier

    rows_list = (8, 16) if machine.is_quick else (1152, 2304, 2816, 3584, 4096)
    hidden, weight = matrices(machine, max(rows_list), width, size)
    slopes = torch.softmax(torch.randn(max(rows_list), size, device=machine.device), -1).to(machine.dtype)
    found: dict[str, Any] = {
        "products": [product_rates(machine, hidden[:rows], weight, slopes[:rows]) for rows in rows_list]
    }
    if machine.is_cuda:
        found["second_product_kernels"] = kernel_names(partial(triton_tier._multiply, slopes[: rows_list[0]], weight))
    del slopes
    reason = triton_tier.unavailable(machine.device, machine.dtype)
    if reason is not None:
        return found | {"triton": reason}
    found["row_kernel"] = row_kernel(machine, rows_list[0], size)
    found["chunk_rows_ms"] = {
        str(rows): machine.median(partial(score, triton_tier, hidden, weight, chunk_rows=rows), 7)
        for rows in ((8, 16) if machine.is_quick else (576, 1152, 1408, 2304, 2816, 3584))
    }
    found["batch_invariance"] = invariance(machine, hidden, weight)
    found["table_rows"] = triton_table.chunk_rows(machine.device, machine.dtype, width, size)
    return found


def product_rates(machine: Machine, hidden: Tensor, weight: Tensor, slopes: Tensor) -> dict[str, float]:
    """TFLOP/s of both products at one number of rows, with 16-bit and with fp32 output."""
    from vldac.kernels.triton_tier import _matrix, _multiply

    rows, width = hidden.shape
    logits, back = _matrix(hidden, rows, len(weight), torch.float32), torch.empty(rows, width, device=hidden.device)
    plain_logits, plain_back = torch.empty_like(slopes), torch.empty_like(hidden)
    work = 2 * rows * width * len(weight)
    timed = {
        "first": lambda: torch.mm(hidden, weight.T, out=plain_logits), "first_fp32": lambda: _multiply(hidden, weight.T, logits),
        "second": lambda: torch.mm(slopes, weight, out=plain_back), "second_fp32": lambda: _multiply(slopes, weight, back),
    }  # fmt: skip
    return {"rows": rows} | {key: rate(work, machine.median(run, 9), 1e12) for key, run in timed.items()}


def kernel_names(function: Callable[[], Any]) -> list[str]:
    """Names of the device kernels of a call: does cuBLAS split K?"""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CUDA]) as profiler:
        function()
        torch.cuda.synchronize()
    return [event.key for event in profiler.key_averages()]


def row_kernel(machine: Machine, rows: int, size: int) -> list[dict[str, Any]]:
    """Milliseconds and TB/s of the row kernel by block and warps, with and without gradient; bytes as if each were moved once."""
    from vldac.kernels import triton_table, triton_tier

    logits = torch.randn(rows, size, device=machine.device)
    slopes = torch.empty(rows, size, device=machine.device, dtype=machine.dtype)
    target = torch.randint(size, (rows,), device=machine.device)
    out = tuple(torch.empty(rows, device=machine.device) for _ in range(3))
    temperature = torch.ones(1, device=machine.device)
    before = triton_table.ROW_BLOCK, triton_table.ROW_WARPS
    found = []
    try:
        for block, warps in (
            ((1024, 4),) if machine.is_quick else ((8192, 16), (4096, 8), (4096, 16), (2048, 4), (16384, 16))
        ):
            triton_table.ROW_BLOCK, triton_table.ROW_WARPS = block, warps
            for gradient in (None, slopes):
                run = partial(triton_tier._row_kernel, logits, target, None, temperature, 0.0, -100, out, gradient, 1.0)
                milliseconds = machine.median(run)
                moved = rows * size * (4 + (0 if gradient is None else machine.dtype.itemsize))
                found.append(
                    {
                        "block": block, "warps": warps, "with_gradient": gradient is not None, "rows": rows, "ms": milliseconds,
                        "tb_s": rate(moved, milliseconds, 1e12),
                        "tb_s_if_read_twice": rate(moved + (0 if gradient is None else rows * size * 4), milliseconds, 1e12),
                    }
                )  # fmt: skip
    finally:
        triton_table.ROW_BLOCK, triton_table.ROW_WARPS = before
    return found


def score(tier: Any, hidden: Tensor, weight: Tensor, *, chunk_rows: int = 0, batch_invariant: bool = False) -> Any:
    """Log-probs and Jacobian rows of the ids 0, 1, 2, ..."""
    target = torch.arange(len(hidden), device=hidden.device) % len(weight)
    return tier.linear_logprob(
        hidden, weight, target, None, torch.ones(1, device=hidden.device), 0.0, -100,
        needs_gradient=True, chunk_rows=chunk_rows, batch_invariant=batch_invariant,
    )  # fmt: skip


def invariance(machine: Machine, hidden: Tensor, weight: Tensor) -> dict[str, Any]:
    """Largest change of the first rows' log-probs and gradients when fewer rows come with them."""
    from vldac.kernels import triton_tier

    found = {}
    for mode in (False, True):
        whole = score(triton_tier, hidden, weight, batch_invariant=mode)
        logprob_change = gradient_change = 0.0
        for rows in (1, 3) if machine.is_quick else (1, 64, 100, 1000, 2000):
            part = score(triton_tier, hidden[:rows], weight, batch_invariant=mode)
            logprob_change = max(logprob_change, float((part[0] - whole[0][:rows]).abs().max()))
            gradient_change = max(gradient_change, float((part[3].float() - whole[3][:rows].float()).abs().max()))
        found["batch_invariant" if mode else "plain"] = {"logprob": logprob_change, "gradient": gradient_change}
    return found


# The providers, round-robin.


def run_cell(
    machine: Machine, shapes: dict[str, tuple[int, int]], cell: tuple[str, int, str], record: dict[str, Any],
    arguments: argparse.Namespace,
) -> list[dict[str, Any]]:  # fmt: skip
    """All providers on one shape, number of rows and regime."""
    shape, rows, regime = cell
    if machine.is_cuda:
        torch.cuda.empty_cache()
    width, size = shapes[shape]
    hidden, weight = matrices(machine, rows, width, size)
    if regime == "peaked":
        hidden *= 10.0
    target = drawn(hidden, weight)
    coefficient = torch.randn(rows, device=machine.device)
    problem = who.Problem(hidden, weight, target, coefficient)
    as_sum = who.Problem(hidden, weight, target, -torch.ones(rows, device=machine.device))
    sample = torch.randperm(rows, device=machine.device)[:32]
    exact = exact_rows(problem, sample)
    print(f"\n{shape}, {rows} rows, {regime} (entropy {float(exact[2].mean()):.2f})")
    table: list[dict[str, Any]] = []
    runs: dict[str, who.Run] = {}
    for provider in who.providers():
        if arguments.only is not None and not any(word in provider.name for word in arguments.only):
            continue
        row: dict[str, Any] = {
            "shape": shape, "rows": rows, "regime": regime, "provider": provider.name, "block": provider.block,
            "products": provider.products, "note": "",
        } | prediction(provider.name, shape, rows)  # fmt: skip
        table.append(row)
        if provider.is_compiled and (arguments.no_compile or cell not in COMPILED_CELLS):
            row["note"] = "not run at this shape"
            continue
        if provider.needs_cuda and not machine.is_cuda:
            row["note"] = availability(provider, as_sum if provider.block == "summed" else problem)
            continue
        try:
            prepare(machine, provider, as_sum if provider.block == "summed" else problem, sample, exact, row, runs)
        except failures() as error:
            row["note"] = str(error) if isinstance(error, who.Missing) else describe(error)
            if machine.is_cuda:
                torch.cuda.empty_cache()
    samples = interleave(machine, runs, arguments.cell_seconds)
    finish(table, samples, (width, size), record.get("ceilings", {}))
    for row in table:
        print_row(row)
    return table


def availability(provider: who.Provider, problem: who.Problem) -> str:
    """Without a GPU: is the package there, and does it import?"""
    try:
        provider.build(problem)
    except failures() as error:
        return str(error) if isinstance(error, who.Missing) else f"needs CUDA ({describe(error)})"
    return "needs CUDA"


def drawn(hidden: Tensor, weight: Tensor) -> Tensor:
    """Ids drawn from the model's own distribution, as a policy's are."""
    parts = [torch.softmax((h @ weight.T).float(), -1).multinomial(1)[:, 0] for h in hidden.split(1024)]
    return torch.cat(parts)


def exact_rows(problem: who.Problem, sample: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(logprob, d logprob / d hidden, entropy) of the sampled rows in float64, the head taken in slabs."""
    hidden = problem.hidden[sample].double()
    logits = torch.cat([hidden @ slab.double().T for slab in problem.weight.split(16384)], 1)
    log_p = logits.log_softmax(-1)
    p = log_p.exp()
    back = sum(part @ slab.double() for part, slab in zip(p.split(16384, 1), problem.weight.split(16384), strict=True))
    target = problem.target[sample]
    return log_p.gather(1, target[:, None])[:, 0], problem.weight[target].double() - back, -(p * log_p).sum(-1)


def prepare(
    machine: Machine, provider: who.Provider, problem: who.Problem, sample: Tensor, exact: tuple[Tensor, Tensor, Tensor],
    row: dict[str, Any], runs: dict[str, who.Run],
) -> None:  # fmt: skip
    """Build, first call, errors, determinism, peak memory."""
    start = time.perf_counter()
    run = provider.build(problem)
    run()
    machine.synchronize()
    row["first_seconds"] = round(time.perf_counter() - start, 2)
    (logprob, gradient), row["peak_mib"] = machine.peak(run)
    if logprob is not None:
        row["logprob_error"] = float((logprob[sample].double() - exact[0]).abs().max())
    if len(gradient):
        want = exact[1] * problem.coefficient[sample, None].double()
        got = gradient[sample].double()
        if provider.block == "loss inside":
            want, got = (torch.nn.functional.normalize(x, dim=1) for x in (exact[1], -got))
        row["gradient_error"] = float((got - want).norm() / want.norm())
    if provider.block != "ceiling":
        again = run()
        row["is_deterministic"] = torch.equal(gradient, again[1]) and (
            logprob is None or torch.equal(logprob, again[0])
        )  # type: ignore[arg-type]
    runs[provider.name] = run


def interleave(machine: Machine, runs: dict[str, who.Run], seconds: float) -> dict[str, list[float]]:
    """A B C A B C ...: three rounds of all; then those that are cheap go on until the time is used or 25 samples are there."""
    samples: dict[str, list[float]] = {name: [] for name in runs}
    start = time.perf_counter()
    for turn in range(3 if machine.is_quick else 25):
        for name, run in runs.items():
            spent = sum(samples[name]) * 1e-3
            if turn >= 3 and (time.perf_counter() - start > seconds or spent > seconds / 8):
                continue
            samples[name].append(machine.time(run))
    return samples


def finish(
    table: list[dict[str, Any]], samples: dict[str, list[float]], shape: tuple[int, int], measured: dict[str, Any]
) -> None:
    """Percentiles, rates and ratios."""
    floor = percentile(samples["two products"], 0.5) if samples.get("two products") else None
    for row in table:
        taken = samples.get(row["provider"])
        if not taken:
            continue
        row |= {"ms": percentile(taken, 0.5), "ms_p20": percentile(taken, 0.2), "ms_p80": percentile(taken, 0.8)}
        row["samples"] = len(taken)
        needed = (1 if row["block"] == "forward" else 2) * 2 * row["rows"] * shape[0] * shape[1]
        row["tflops"] = rate(needed, row["ms"], 1e12)
        if "product_tflops" in measured:
            row["ceiling_share"] = row["tflops"] / measured["product_tflops"]
        if floor is not None:
            row["over_two_products"] = row["ms"] / floor


def percentile(values: list[float], share: float) -> float:
    """The value below which a share lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def prediction(name: str, shape: str, rows: int) -> dict[str, str]:
    """What was expected at 7B; in proportion to the rows from 1024 up."""
    if name not in PREDICTED or shape != "7B" or rows < 1024:
        return {"predicted_ms": "", "predicted_memory": ""}
    (low, high), memory = PREDICTED[name]
    return {"predicted_ms": f"{low * rows / 4096:.1f}-{high * rows / 4096:.1f}", "predicted_memory": memory}


def print_row(row: dict[str, Any]) -> None:
    """One line of the table."""

    def cell(key: str, form: str, width: int) -> str:
        value = row.get(key)
        return f"{'-' if value is None else format(value, form):>{width}}"

    if "ms" not in row:
        print(f"  {row['provider']:32} {row['note']}")
        return
    print(
        f"  {row['provider']:32}" + cell("ms", ".2f", 9) + f" ms ({row['predicted_ms'] or '-'})" + cell("tflops", ".0f", 6)
        + " TFLOP/s" + cell("ceiling_share", ".0%", 6) + cell("over_two_products", ".2f", 7) + "x" + cell("peak_mib", ".0f", 8)
        + " MiB" + cell("logprob_error", ".1e", 9) + cell("gradient_error", ".1e", 9)
        + f"  {'same bits' if row.get('is_deterministic') else 'bits vary' if 'is_deterministic' in row else ''}"
        + cell("first_seconds", ".1f", 7) + " s"
    )  # fmt: skip


def decoder(machine: Machine, shapes: dict[str, tuple[int, int]], record: dict[str, Any]) -> dict[str, Any]:
    """Layers of a decoder, see `gpu_decoder`."""
    from vldac.kernels import triton_decoder_tier

    reason = triton_decoder_tier.unavailable(machine.device, machine.dtype)
    if reason is not None:
        return {"triton": reason}
    return gpu_decoder.measure(machine, shapes, record["ceilings"].get("copy_tb_s", 1.0))


# Checks that only a GPU can make.


def checks(machine: Machine, shapes: dict[str, tuple[int, int]]) -> dict[str, Any]:
    """Each one's outcome: "ok", a figure, why it was not made, or "FAILED: ..."."""
    from vldac.kernels import triton_tier

    reason = triton_tier.unavailable(machine.device, machine.dtype)
    if reason is not None:
        return {"triton": reason}
    width, size = next(iter(shapes.values()))
    found: dict[str, Any] = {}
    for name, check in {
        "no_host_sync": no_host_sync, "sampler_in_a_graph": sampler_graph, "linear_logprob_in_a_graph": head_graph,
        "decoding_attention_in_a_graph": attention_graph, "far_offsets": far_offsets, "sampler_ms": sampler_time,
    }.items():  # fmt: skip
        try:
            found[name] = check(machine, width, size)
        except failures() as error:
            found[name] = f"FAILED: {describe(error)}"
            traceback.print_exc()
    return found


def sampler_inputs(machine: Machine, rows: int, size: int) -> tuple[Any, ...]:
    """Arguments of the tier's sampler, no truncation."""
    ids = torch.arange(rows, device=machine.device)
    greedy = torch.zeros(rows, dtype=torch.bool, device=machine.device)
    logits = 3 * torch.randn(rows, size, device=machine.device)
    return logits, None, torch.ones(1, device=machine.device), None, None, 0.0, ids, ids.clone(), greedy


@contextmanager
def sync_is_an_error(machine: Machine) -> Iterator[None]:
    """Anything that waits for the device raises."""
    if machine.is_cuda:
        torch.cuda.synchronize()
        torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        if machine.is_cuda:
            torch.cuda.set_sync_debug_mode("default")


def no_host_sync(machine: Machine, width: int, size: int) -> str:
    """Scoring, gradient and sampling never wait for the device."""
    from vldac.kernels import triton_fused_tier, triton_tier

    hidden, weight = matrices(machine, FEW_ROWS, width, size)
    options = sampler_inputs(machine, 4, size)
    target, temperature = torch.arange(FEW_ROWS, device=machine.device), torch.ones(1, device=machine.device)

    def everything() -> None:
        logprob, entropy, lse, _ = score(triton_tier, hidden, weight)
        head = (hidden, weight, target, None, temperature, 0.0, -100)
        triton_fused_tier.linear_logprob(*head, needs_gradient=False, chunk_rows=0, batch_invariant=False)
        triton_tier.linear_logprob_backward(
            logprob, entropy, *head, lse, entropy, needs_hidden=True, needs_weight=True, needs_bias=True, chunk_rows=0
        )
        triton_tier.sample(*options)

    everything()
    with sync_is_an_error(machine):
        everything()
    return "ok"


def captured(machine: Machine, function: Callable[[], Any]) -> tuple[Callable[[], None], Any]:
    """(replay, its outputs): a CUDA graph; without a GPU the call itself, its outputs copied in place."""
    function()
    if not machine.is_cuda:
        outputs = function()

        def replay() -> None:
            for old, new in zip(outputs, function(), strict=True):
                old.copy_(new)

        return replay, outputs
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        outputs = function()
    return graph.replay, outputs


def sampler_graph(machine: Machine, width: int, size: int) -> str:
    """A captured sampler draws anew at every position, what an eager call draws."""
    from vldac.kernels import triton_tier

    options = sampler_inputs(machine, 8, size)
    position = options[7]
    replay, outputs = captured(machine, lambda: triton_tier.sample(*options))
    seen = []
    for step in range(3):
        position.fill_(step)
        replay()
        seen.append(outputs[0].clone())
        assert torch.equal(seen[-1], triton_tier.sample(*options)[0]), "a replayed sample differs from an eager one"
    assert not torch.equal(seen[0], seen[1]), "a replayed graph repeats its samples"
    return "ok"


def head_graph(machine: Machine, width: int, size: int) -> str:
    """A captured linear_logprob gives, on new hidden states, what an eager call gives."""
    from vldac.kernels import triton_tier

    hidden, weight = matrices(machine, FEW_ROWS, width, size)
    replay, outputs = captured(machine, lambda: score(triton_tier, hidden, weight, chunk_rows=FEW_ROWS))
    hidden.copy_(torch.randn_like(hidden))
    replay()
    for got, want in zip(outputs, score(triton_tier, hidden, weight, chunk_rows=FEW_ROWS), strict=True):
        torch.testing.assert_close(got, want, atol=1e-5, rtol=1e-2)
    return "ok"


def attention_graph(machine: Machine, width: int, size: int) -> str:
    """Captured once, decoding attention serves other lengths and waits for nothing."""
    from vldac.kernels import triton_decoder_tier

    query, key, value, slot, length, *shared = gpu_decoder.slot_problem(machine, gpu_decoder.SHAPES["toy"])

    def attend() -> tuple[Tensor]:
        return (triton_decoder_tier.slot_attention(query, key, value, slot, length, *shared, 0.25),)

    replay, outputs = captured(machine, attend)
    for least in (1, 3):
        length.fill_(least)
        with sync_is_an_error(machine):
            replay()
        torch.testing.assert_close(outputs[0], attend()[0], atol=0, rtol=0)
    return "ok"


def far_offsets(machine: Machine, width: int, size: int) -> str:
    """Rows that lie beyond 2^31 elements of a chunk come out as they do alone."""
    from vldac.kernels import triton_tier

    rows = 24 if machine.is_quick else -(-(2**31) // size) + 64
    per_element = 4 + machine.dtype.itemsize
    if machine.is_cuda and 1.2 * rows * size * per_element > torch.cuda.mem_get_info()[0]:
        return f"not enough memory for {rows} rows in one chunk"
    hidden, weight = matrices(machine, rows, width, size)
    whole = score(triton_tier, hidden, weight, chunk_rows=rows)
    target = torch.arange(rows, device=machine.device) % size
    last = slice(rows - 16, rows)
    alone = triton_tier.linear_logprob(
        hidden[last], weight, target[last], None, torch.ones(1, device=machine.device), 0.0, -100,
        needs_gradient=True, chunk_rows=16, batch_invariant=False,
    )  # fmt: skip
    torch.testing.assert_close(whole[0][last], alone[0], atol=1e-3, rtol=0)
    torch.testing.assert_close(whole[3][last], alone[3], atol=1e-2, rtol=2e-2)
    return f"ok, {rows} rows x {size} columns"


def sampler_time(machine: Machine, width: int, size: int) -> dict[str, float]:
    """Milliseconds of one decode step's sampling at batch 64: ours, and softmax + multinomial + log-softmax + gather."""
    from vldac.kernels import triton_tier

    options = sampler_inputs(machine, 4 if machine.is_quick else 64, size)
    logits = options[0]

    def chain() -> None:
        token = torch.softmax(logits, -1).multinomial(1)
        logits.log_softmax(-1).gather(-1, token)

    return {"ours": machine.median(lambda: triton_tier.sample(*options)), "torch": machine.median(chain)}


def sanitizer() -> dict[str, Any]:
    """The kernel checks under compute-sanitizer, a few shapes of each kernel."""
    tool = shutil.which("compute-sanitizer")
    if tool is None:
        return {"result": "compute-sanitizer is not installed"}
    checks_file = ROOT / "tests" / "kernels" / "triton_checks.py"
    words = "equals_the_specification and 127 or samples_are and 1000 or advantage_scan and 256 or recomputing"
    command = [
        tool,
        "--tool",
        "memcheck",
        "--error-exitcode",
        "9",
        sys.executable,
        "-P",  # the installed package, not the sources beside it
        "-m",
        "pytest",
        "-q",
        "--import-mode=importlib",
        str(checks_file),
    ]
    try:
        run = subprocess.run([*command, "-k", words], capture_output=True, text=True, check=False, timeout=150)
    except subprocess.TimeoutExpired:
        return {"result": "not done within 150 s"}
    return {
        "result": "clean" if run.returncode == 0 else f"FAILED: exit code {run.returncode}",
        "tail": (run.stdout + run.stderr)[-600:],
    }


if __name__ == "__main__":
    sys.exit(main())
