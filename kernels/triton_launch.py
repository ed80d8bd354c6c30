"""How a Triton kernel is started: on the right device, in the interpreter, or only written down to be compiled ahead of time."""

from __future__ import annotations

import contextlib
import importlib.util
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

OLDEST_TRITON = (3, 6)
OLDEST_CAPABILITY = (8, 0)
DTYPES = (torch.float32, torch.bfloat16, torch.float16)


@dataclass(frozen=True)
class Launch:
    """One recorded launch: the kernel, its positional arguments, its constants, and the number of warps and stages."""

    kernel: Any
    grid: tuple[int, ...]
    arguments: tuple[Any, ...]
    constants: dict[str, Any]
    num_warps: int
    num_stages: int


_recorder: list[Launch] | None = None


@contextlib.contextmanager
def recording() -> Iterator[list[Launch]]:
    """Write launches down instead of running them: give the tier tensors on the meta device and compile what comes out."""
    global _recorder
    launches: list[Launch] = []
    _recorder, before = launches, _recorder
    try:
        yield launches
    finally:
        _recorder = before


def launch(
    kernel: Any, grid: tuple[int, ...], *arguments: Any, num_warps: int, num_stages: int = 1, **constants: Any
) -> None:
    """Run kernel[grid](*arguments, **constants) on the device of the first argument, a tensor."""
    if _recorder is not None:
        _recorder.append(Launch(kernel, grid, arguments, constants, num_warps, num_stages))
        return
    device = arguments[0].device
    with torch.cuda.device(device) if device.type == "cuda" else contextlib.nullcontext():
        kernel[grid](*arguments, **constants, num_warps=num_warps, num_stages=num_stages)


def is_interpreting() -> bool:
    """True where TRITON_INTERPRET asks for the interpreter. Triton reads it once, when the kernels are imported."""
    return os.environ.get("TRITON_INTERPRET", "").lower() in ("1", "true", "yes", "on", "y")


def version() -> tuple[int, int] | None:
    """(major, minor) of the installed Triton, None without one. Triton is not imported."""
    if importlib.util.find_spec("triton") is None:
        return None
    from importlib.metadata import version as installed

    try:
        major, minor = installed("triton").split(".")[:2]
    except importlib.metadata.PackageNotFoundError:
        return None
    return int(major), int(minor)


def unavailable(device: torch.device, dtype: torch.dtype) -> str | None:
    """Why Triton kernels cannot run on tensors of this device and dtype; None if they can."""
    if dtype not in DTYPES:
        return f"{str(dtype).removeprefix('torch.')} is not a dtype of the Triton kernels (float32, bfloat16, float16)"
    found = version()
    if found is None:
        return "Triton is not installed"
    if found < OLDEST_TRITON:
        return f"Triton {found[0]}.{found[1]} is older than {OLDEST_TRITON[0]}.{OLDEST_TRITON[1]}"
    if is_interpreting():
        return None
    if device.type != "cuda":
        return (
            f"device {device.type} is not a CUDA device (TRITON_INTERPRET=1 runs the kernels in Triton's interpreter)"
        )
    if torch.version.cuda is None:
        return "this torch was not built for CUDA"
    capability = torch.cuda.get_device_capability(device)
    if capability < OLDEST_CAPABILITY:
        return f"compute capability {capability[0]}.{capability[1]} is below 8.0"
    return None


def contiguous(*tensors: Tensor | None) -> tuple[Tensor | None, ...]:
    """The tensors with unit stride, None where None came."""
    return tuple(None if t is None else t.contiguous() for t in tensors)
