"""Which tier runs an operation, and why.

`auto` takes the fastest tier that can: Triton on a GPU, C++ on the CPU, else torch. An explicit tier that cannot run is an error; an
automatic step down from the tier of the device says so once. VLDAC_KERNELS names the tier that `auto` means, for a whole process; any
but torch: for what that tier is for, as `vector_backend` and `decoder_backend` say.
"""

from __future__ import annotations

import functools
import importlib
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import torch

from vldac.errors import FourPartError, nearest

BACKENDS = ("auto", "torch", "cpp", "triton", "triton_fused")
OPERATIONS = (
    "linear_logprob", "linear_logprob_backward", "selective_log_softmax", "selective_log_softmax_backward", "ppo_clip_loss",
    "value_loss", "gae", "masked_whiten", "sample", "rms_norm", "rms_norm_backward", "swiglu", "swiglu_backward", "rotary",
    "slot_attention", "prefix_attention", "prefix_attention_backward",
)  # fmt: skip
_SCORING, _DECODER = OPERATIONS[:4], OPERATIONS[OPERATIONS.index("rms_norm") :]
_MODULES = {
    "torch": ("torch_tier", "decoder_torch"),
    "cpp": ("cpp_rows", "cpp_vectors", "cpp_decoder"),
    "triton": ("triton_tier", "triton_decoder_tier"),
    "triton_fused": ("triton_fused_tier", "triton_tier", "triton_decoder_tier"),
}
"""Modules of a back end; the first that has an operation, and what the call needs, serves it. triton_fused: one pass without logits
where no gradient is wanted, the chunked products elsewhere."""
ODD_WIDTH = "heads whose width is no multiple of 16"
NEEDS = ("gradient", "truncation", ODD_WIDTH)
"""What a call may need beyond its operation: the Jacobian row of linear_logprob; top-k, top-p or min-p of sample; odd heads of
attention. A module's LACKS says which of them its operations do not have."""
VARIABLE = "VLDAC_KERNELS"


class KernelError(FourPartError):
    """An operation that was called with something it cannot take, or with a back end that cannot run."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """A tier and the reason for it."""

    backend: str
    """torch, cpp, triton or triton_fused"""
    reason: str
    function: Callable[..., Any]
    """the tier's own function, without autograd"""


def choose(
    operation: str, device: torch.device, dtype: torch.dtype, backend: str = "auto", *, need: str | None = None
) -> Choice:
    """Return the tier for an operation; `need` is one of NEEDS.

    Raises KernelError for an unknown back end and for an explicit one that cannot run.
    """
    if operation not in OPERATIONS:
        raise KernelError(
            expected=f"one of the operations {', '.join(OPERATIONS)}{nearest(operation, OPERATIONS)}", got=repr(operation),
            where="vldac.kernels.explain", do="name an operation as the list does",
        )  # fmt: skip
    asked, source = _asked(operation, backend)
    return _choose(operation, device.type, device.index, dtype, asked, source, need)


def explain(
    operation: str, device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32, backend: str = "auto"
) -> str:
    """Say which tier an operation would run on, and why, e.g. "cpp: float32 on the CPU (avx512, 2 threads of torch's pool)"."""
    choice = choose(operation, torch.device(device), dtype, backend)
    return f"{choice.backend}: {choice.reason}"


def vector_backend(backend: str) -> str:
    """The back end of the other operations where `backend` is that of scoring: Triton has kernels for the rows of the head only."""
    return backend if backend in ("torch", "cpp") else "auto"


def decoder_backend(backend: str) -> str:
    """The back end of the decoder's operations where `backend` is that of scoring: C++ there has float32 only, so `auto` chooses."""
    return backend if backend == "torch" else "auto"


def _asked(operation: str, backend: str) -> tuple[str, str]:
    """(back end, who asked for it) after the environment variable."""
    asked, source = backend, "backend"
    if backend == "auto" and os.environ.get(VARIABLE):
        asked, source = os.environ[VARIABLE], VARIABLE
    if asked not in BACKENDS:
        raise KernelError(
            expected=f"one of the back ends {', '.join(BACKENDS)}{nearest(asked, BACKENDS)}",
            got=repr(asked), where=source, do="name one of them, or leave it out",
        )  # fmt: skip
    if source == VARIABLE and operation not in _SCORING:
        asked = decoder_backend(asked) if operation in _DECODER else vector_backend(asked)
    return asked, source


@functools.lru_cache(maxsize=512)
def _choose(
    operation: str, device_type: str, index: int | None, dtype: torch.dtype, asked: str, source: str, need: str | None
) -> Choice:
    device = torch.device(device_type) if index is None else torch.device(device_type, index)
    where = f"{_name(dtype)} on the {'GPU' if device_type == 'cuda' else device_type.upper()}"
    if asked != "auto":
        function, why_not = _find(operation, asked, device, dtype, need)
        if function is None:
            raise KernelError(
                expected=f"a back end that can run {operation} in {where}", got=f"{asked!r}: {why_not}", where=source,
                do='use backend="auto", which takes one that can, or see vldac.kernels.explain',
            )  # fmt: skip
        return Choice(backend=asked, reason=f"asked for by {source}, {where} ({_describe(asked)})", function=function)
    preferred = "triton" if device_type == "cuda" else "cpp" if device_type == "cpu" else "torch"
    function, why_not = _find(operation, preferred, device, dtype, need)
    if function is not None:
        return Choice(backend=preferred, reason=f"{where} ({_describe(preferred)})", function=function)
    if not why_not.startswith(_LACKING):  # so on every machine; a machine without the tier is told of once
        warnings.warn(f"{operation}: the {preferred} back end cannot run here ({why_not}); torch is used", stacklevel=4)
    function, _ = _find(operation, "torch", device, dtype, need)
    assert function is not None, "the torch tier has every operation"
    return Choice(backend="torch", reason=f"{where}; {preferred}: {why_not}", function=function)


_LACKING = "it has no "


def _find(
    operation: str, backend: str, device: torch.device, dtype: torch.dtype, need: str | None
) -> tuple[Callable[..., Any] | None, str]:
    """(the tier's function, "") or (None, why not)."""
    why_not = f"{_LACKING}such operation"
    for name in _MODULES[backend]:
        try:
            module = _module(name)
        except ImportError as error:
            return None, str(error)
        function = getattr(module, operation, None)
        if function is None:
            continue
        unavailable = module.unavailable(device, dtype)
        if unavailable:
            return None, str(unavailable)
        if need in getattr(module, "LACKS", {}).get(operation, ()):
            why_not = f"{_LACKING}{need}"
            continue
        return function, ""
    return None, why_not


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"vldac.kernels.{name}")


def _describe(backend: str) -> str:
    return str(_module(_MODULES[backend][0]).describe())


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
