"""Image to `pixel_values`: the native emitter against `Qwen2VLImageProcessorPil`, both in one process and one thread.

    python benchmarks/patches.py

CPU time per frame (user and system of the process) from uint8 NumPy frames to patches. Every repeat runs every variant once, one
after the other, so that a busy moment meets all. The processor is given its cheapest way out (`return_tensors="np"`), and is
measured with single frames and with batches, which spare it its fixed cost per call. Both sides return fresh memory, and "kept"
variants write into memory that is kept, as the environments' batches do: in fresh memory a large batch costs us more in page
faults than in work.
Before anything is timed, the float32 patches of both must be equal to the last bit. Writes one JSON row; exit code 1 if a
target is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from vldac.known import known_processor
from vldac.provenance import commit, processor_name, versions
from vldac.vision import ImageSpec, image_spec, patch_emitter

ROOT = Path(__file__).resolve().parent.parent
MODEL = "Qwen/Qwen2-VL-7B-Instruct"
SIZES = {(84, 56): 400, (224, 224): 60, (448, 448): 16, (300, 300): 16, (80, 60): 400}
"""Frame sizes (width, height), and frames per repeat and variant. 300x300 and 80x60 are resized, to 308x308 and 84x56."""
TARGETS = {
    (84, 56): {"uint8": 10.0, "float32": 10.0},
    (224, 224): {"uint8": 10.0, "float32": 10.0},
    (448, 448): {"uint8": 10.0, "float32": 6.0},
}
"""Least ratio of the processor's time to ours."""


def main() -> int:
    """Measure, print and write the row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=11)
    parser.add_argument("--batch", type=int, default=8, help="frames per call of the batched variants")
    parser.add_argument("--json", type=Path, default=ROOT / "benchmarks" / "results" / "patches.json")
    arguments = parser.parse_args()
    if os.environ.get("OMP_NUM_THREADS") != "1":
        raise SystemExit("set OMP_NUM_THREADS=1: NumPy and torch must not use other cores")
    load = os.getloadavg()
    rows = [measure(size, frames, arguments) for size, frames in SIZES.items()]
    holds = all(target["holds"] for row in rows for target in row["targets"].values())
    spec = image_spec(known_processor(MODEL))
    result = {
        "what": "CPU time per frame, uint8 [H, W, 3] to patches", "processor": f"Qwen2VLImageProcessorPil of {MODEL}",
        "claim": {"targets": "least ratio of the processor's median to ours, single frames", "holds": holds},
        "sizes": rows, "repeats": arguments.repeats, "batch": arguments.batch,
        "isa": patch_emitter(spec, (84, 56)).isa, "threads": 1, "load_before": load, "load_after": os.getloadavg(),
        "device": {"cpu": processor_name(), "cores": os.cpu_count()},
        "command": f"OMP_NUM_THREADS=1 python benchmarks/patches.py --repeats {arguments.repeats} --batch {arguments.batch}",
        "date": time.strftime("%Y-%m-%d"), "commit": commit(ROOT),
        "versions": versions(("vldac", "torch", "transformers", "numpy", "pillow")),
    }  # fmt: skip
    arguments.json.write_text(json.dumps(result, indent=1) + "\n")
    print(f"targets {'hold' if holds else 'do NOT hold'}; wrote {arguments.json}")
    return 0 if holds else 1


def measure(size: tuple[int, int], frames: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """Time all variants at one size."""
    spec = image_spec(known_processor(MODEL))
    images = np.random.default_rng(0).integers(0, 256, (arguments.batch, size[1], size[0], 3), dtype=np.uint8)
    variants = make_variants(spec, size, images)
    times: dict[str, list[float]] = {name: [] for name in variants}
    for repeat in range(arguments.repeats + 1):
        for name, (per_call, call) in variants.items():
            calls = max(1, frames // per_call)
            tick = time.process_time()
            for _ in range(calls):
                call()
            if repeat:  # the first warms up
                times[name].append((time.process_time() - tick) / (calls * per_call) * 1e3)
    median = {name: statistics.median(values) for name, values in times.items()}
    row: dict[str, Any] = {"width": size[0], "height": size[1], "ms_per_frame": {}, "ratio": {}, "targets": {}}
    for name, values in times.items():
        row["ms_per_frame"][name] = {"median": median[name], "min": min(values), "max": max(values)}
    for name in ("float32", "bfloat16", "uint8"):
        row["ratio"][name] = median["processor"] / median[name]
        for kind in (f"{name}, batch", f"{name}, batch, kept"):
            row["ratio"][kind] = median["processor, batch"] / median[kind]
    for name, least in TARGETS.get(size, {}).items():
        row["targets"][name] = {"least": least, "holds": row["ratio"][name] >= least}
    ratios = ", ".join(f"{name} {value:.1f}x" for name, value in row["ratio"].items())
    print(f"{size[0]}x{size[1]}: processor {median['processor']:.3f} ms; {ratios}", flush=True)
    return row


def make_variants(
    spec: ImageSpec, size: tuple[int, int], images: np.ndarray
) -> dict[str, tuple[int, Callable[[], object]]]:
    """Return name to (frames per call, call), after both sides were found to give equal float32 patches."""
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    processor = Qwen2VLImageProcessorPil(**known_processor(MODEL))
    singles, batch = [images[0]], list(images)
    theirs = processor(images=batch, return_tensors="np")["pixel_values"]
    if not np.array_equal(theirs, patch_emitter(spec, size).emit(images)):
        raise SystemExit(f"{size}: the patches differ; nothing was timed")
    variants: dict[str, tuple[int, Callable[[], object]]] = {
        "processor": (1, lambda: processor(images=singles, return_tensors="np")),
        "processor, batch": (len(batch), lambda: processor(images=batch, return_tensors="np")),
    }
    for dtype in ("float32", "bfloat16", "uint8"):
        emitter = patch_emitter(spec, size, dtype=dtype)
        variants[dtype] = (1, lambda emit=emitter.emit: emit(images[:1]))  # type: ignore[misc]
        variants[f"{dtype}, batch"] = (len(batch), lambda emit=emitter.emit: emit(images))  # type: ignore[misc]
        items = {"float32": np.float32, "bfloat16": np.uint16, "uint8": np.uint8}[dtype]
        kept = np.empty((len(batch) * emitter.rows, emitter.columns), items)
        variants[f"{dtype}, batch, kept"] = (
            len(batch),
            lambda emit=emitter.emit_into, kept=kept: emit(images, kept),  # type: ignore[misc]
        )
    return variants


if __name__ == "__main__":
    sys.exit(main())
