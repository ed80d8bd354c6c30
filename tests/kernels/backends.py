"""What the tests of the kernels run on: the specification, and every tier that can run here behind the same public functions.

A test takes `kernels` (the specification and the tiers) or `tier` (the tiers alone) and often `dtype`; tests/kernels/test_mutants.py
calls the same functions with kernels that are wrong in one place.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor
from vldac.kernels.dispatch import ODD_WIDTH, choose

import vldac.kernels
from vldac.kernels import BACKENDS, KernelError, decoder_reference, reference

torch.set_num_threads(1)

OPERATIONS = (
    "linear_logprob", "selective_log_softmax", "ppo_clip_loss", "value_loss", "fused_linear_ppo_loss",
    "generalized_advantage_estimate", "masked_whiten", "pack_action_rows", "sample_with_logprob", "rms_norm", "swiglu",
    "apply_rotary", "slot_attention", "prefix_attention",
)  # fmt: skip
DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)


@dataclass(frozen=True)
class Kernels:
    """The public functions bound to one back end: `kernels.linear_logprob(hidden, weight, target)`."""

    name: str
    functions: dict[str, Callable[..., Any]]
    dtypes: tuple[torch.dtype, ...] = DTYPES
    """of hidden states and logits"""
    step_dtypes: tuple[torch.dtype, ...] = (torch.float64, torch.float32)
    """of one number per token or step"""
    decoder_dtypes: tuple[torch.dtype, ...] = DTYPES
    """of the layers of a decoder"""
    truncates: bool = True
    """its sampler knows top-k, top-p and min-p"""
    takes_odd_heads: bool = True
    """its attention takes heads whose width is no multiple of 16"""
    device: torch.device = torch.device("cpu")  # noqa: RUF009 (a constant)
    is_interpreted: bool = False
    """Triton's interpreter: small sizes only"""

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        if operation not in OPERATIONS:
            raise AttributeError(operation)
        if operation not in self.functions:
            pytest.skip(f"the {self.name} tier has no {operation}")
        return self.functions[operation]

    def sizes(self, *sizes: int) -> tuple[int, ...]:
        """Those of `sizes` that this back end gets through quickly."""
        return tuple(size for size in sizes if size <= 200 or not self.is_interpreted)

    @property
    def wide(self) -> torch.dtype:
        """The most precise dtype."""
        return self.dtypes[0]

    @property
    def step_wide(self) -> torch.dtype:
        return self.step_dtypes[0]


def _with_flags(function: Callable[..., Any]) -> Callable[..., Any]:
    """The public signature over a function of the specification, which always computes everything in one piece."""

    def call(
        *tensors: Tensor, return_entropy: bool = False, return_lse: bool = False, entropy_grad: bool = False,
        chunk_rows: int | None = None, batch_invariant: bool = False, inplace_backward: bool = False, **options: Any,
    ) -> Any:  # fmt: skip
        out = function(*tensors, **options)
        entropy = out.entropy if entropy_grad else out.entropy.detach()
        return out._replace(entropy=entropy if return_entropy else None, lse=out.lse.detach() if return_lse else None)

    return call


def specification(wrong: ModuleType | None = None, name: str = "reference") -> Kernels:
    """The functions of kernels/reference.py and decoder_reference.py, or of a wrong copy of one of them."""
    modules = [module for module in (wrong, reference, decoder_reference) if module is not None]
    functions = {
        operation: next(getattr(module, operation) for module in modules if hasattr(module, operation))
        for operation in OPERATIONS
    }
    for operation in ("linear_logprob", "selective_log_softmax"):
        functions[operation] = _with_flags(functions[operation])
    return Kernels(name, functions)


RAW = {
    "linear_logprob": "linear_logprob", "selective_log_softmax": "selective_log_softmax", "ppo_clip_loss": "ppo_clip_loss",
    "value_loss": "value_loss", "fused_linear_ppo_loss": "linear_logprob", "generalized_advantage_estimate": "gae",
    "masked_whiten": "masked_whiten", "sample_with_logprob": "sample", "rms_norm": "rms_norm", "swiglu": "swiglu",
    "apply_rotary": "rotary", "slot_attention": "slot_attention", "prefix_attention": "prefix_attention",
}  # fmt: skip
"""What a tier calls the operation behind a public function."""


def _runs(operation: str, backend: str, device: torch.device, dtype: torch.dtype, need: str | None = None) -> bool:
    try:
        choose(operation, device, dtype, backend, need=need)
    except KernelError:
        return False
    return True


def public(backend: str, device: torch.device) -> Kernels | None:
    """The functions of `vldac.kernels` with `backend` given; None where it has nothing that runs on the device."""
    single = torch.float32
    functions: dict[str, Callable[..., Any]] = {"pack_action_rows": vldac.kernels.pack_action_rows}
    for name, operation in RAW.items():
        if _runs(operation, backend, device, single):
            functions[name] = functools.partial(getattr(vldac.kernels, name), backend=backend)
    if len(functions) == 1:
        return None
    is_interpreted = backend.startswith("triton") and device.type == "cpu"
    dtypes = (single,) if is_interpreted else DTYPES  # one will do: a program of the interpreter takes milliseconds
    return Kernels(
        backend,
        functions,
        dtypes=tuple(dtype for dtype in dtypes if _runs("linear_logprob", backend, device, dtype)),
        step_dtypes=tuple(dtype for dtype in DTYPES[:2] if _runs("gae", backend, device, dtype)),
        # The interpreter truncates to bfloat16, and multiplies its bits.
        decoder_dtypes=tuple(
            dtype
            for dtype in DTYPES
            if _runs("rms_norm", backend, device, dtype) and not (is_interpreted and dtype == torch.bfloat16)
        ),
        takes_odd_heads=_runs("slot_attention", backend, device, single, need=ODD_WIDTH),
        truncates=_runs("sample", backend, device, single, need="truncation"),
        device=device,
        is_interpreted=is_interpreted,
    )


@functools.cache
def tiers() -> tuple[Kernels, ...]:
    """Every tier that can run here: on the GPU where there is one, else on the CPU (Triton there in its interpreter)."""
    devices = [torch.device("cpu")] + ([torch.device("cuda")] if torch.cuda.is_available() else [])
    found = [
        public(backend, device)
        for device in devices
        for backend in BACKENDS[1:]
        if device.type == "cpu" or backend != "cpp"
    ]
    return tuple(kernels for kernels in found if kernels is not None)


def draw(*shape: int, dtype: torch.dtype = torch.float32, scale: float = 1.0, seed: int = 0) -> Tensor:
    """Normal numbers in dtype, the same on every device."""
    generator = torch.Generator("cpu").manual_seed(seed)
    values = torch.randn(*shape, generator=generator, dtype=torch.float64, device="cpu") * scale
    return values.to(dtype).to(torch.get_default_device())


def draw_ids(rows: int, size: int, seed: int = 0) -> Tensor:
    """[rows] int64 in [0, size)."""
    generator = torch.Generator("cpu").manual_seed(seed)
    return torch.randint(size, (rows,), generator=generator, device="cpu").to(torch.get_default_device())


def problem(dtype: torch.dtype, rows: int = 13, hidden: int = 24, vocab: int = 101, scale: float = 1.0, seed: int = 0):
    """hidden [N, H] (a leaf with gradient), weight [V, H], target [N]: logits of standard deviation about `scale`."""
    states = draw(rows, hidden, dtype=dtype, seed=seed).requires_grad_()
    weight = draw(vocab, hidden, dtype=dtype, scale=scale * hidden**-0.5, seed=seed + 1)
    return states, weight, draw_ids(rows, vocab, seed=seed + 2)


def naive_rows(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(logprob, entropy, lse) in the dtype of logits, by their definitions."""
    log_probs = torch.log_softmax(logits, -1)
    return (
        log_probs.gather(-1, target.long()[:, None])[:, 0],
        torch.special.entr(log_probs.exp()).sum(-1),
        torch.logsumexp(logits, -1),
    )


def close(actual: Tensor, expected: Tensor, atol: float, rtol: float = 0.0, what: str = "") -> None:
    """Assert equality within a tolerance; both in float64, infinities and NaN equal to themselves."""
    torch.testing.assert_close(
        actual.double(), expected.double(), atol=atol, rtol=rtol, equal_nan=True, msg=lambda text: f"{what}: {text}"
    )


def norm_error(actual: Tensor, expected: Tensor) -> float:
    """|actual - expected| / |expected|."""
    return float((actual.double() - expected.double()).norm() / expected.double().norm())


LOGPROB_ERROR = {torch.float64: 1e-12, torch.float32: 2e-5, torch.bfloat16: 1e-3, torch.float16: 1e-3}
ENTROPY_ERROR = {torch.float64: 1e-12, torch.float32: 5e-5, torch.bfloat16: 2e-3, torch.float16: 2e-3}
GRADIENT_ERROR = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 5e-3, torch.float16: 5e-3}
"""Absolute for log-prob and entropy, relative by norm for the gradient; against float64 on the same inputs."""
DECODER_ERROR = {torch.float64: 1e-12, torch.float32: 1e-6, torch.bfloat16: 1e-2, torch.float16: 1.5e-3}
"""Of norms, activations and attention and their gradients: relative by norm, against float64 on the same inputs."""
STEP_ERROR = {torch.float64: 1e-12, torch.float32: 1e-6}
"""PPO and value losses and their coefficients, relative"""
