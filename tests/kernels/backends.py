"""What the tests of the kernels run on: the specification, and every tier that can run here behind the same public functions.

A test takes `kernels` (the specification and the tiers) or `tier` (the tiers alone) and often `dtype`; tests/kernels/test_mutants.py
calls the same functions with kernels that are wrong in one place.
"""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import torch
import vldac.kernels
from torch import Tensor
from vldac.kernels import reference

torch.set_num_threads(1)

OPERATIONS = (
    "linear_logprob", "selective_log_softmax", "ppo_clip_loss", "value_loss", "fused_linear_ppo_loss",
    "generalized_advantage_estimate", "masked_whiten", "pack_action_rows", "sample_with_logprob",
)  # fmt: skip
DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)


@dataclass(frozen=True)
class Kernels:
    """The public functions bound to one back end: `kernels.linear_logprob(hidden, weight, target)`."""

    name: str
    functions: dict[str, Callable[..., Any]]
    dtypes: tuple[torch.dtype, ...] = DTYPES
    """of hidden states and logits"""
    device: torch.device = torch.device("cpu")  # noqa: RUF009 (a constant)
    is_interpreted: bool = False
    """Triton's interpreter: small sizes only"""

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        try:
            return self.functions[operation]
        except KeyError:
            raise AttributeError(operation) from None

    def sizes(self, *sizes: int) -> tuple[int, ...]:
        """Those of `sizes` that this back end gets through quickly."""
        return tuple(size for size in sizes if size <= 1000 or not self.is_interpreted)

    @property
    def step_dtypes(self) -> tuple[torch.dtype, ...]:
        """Of values per token or step."""
        return tuple(dtype for dtype in self.dtypes if dtype in (torch.float64, torch.float32))

    @property
    def wide(self) -> torch.dtype:
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


def specification(module: ModuleType = reference, name: str = "reference") -> Kernels:
    """The functions of kernels/reference.py, or of a wrong copy of it."""
    functions = {operation: getattr(module, operation) for operation in OPERATIONS}
    for operation in ("linear_logprob", "selective_log_softmax"):
        functions[operation] = _with_flags(functions[operation])
    return Kernels(name, functions)


def public(backend: str, **properties: Any) -> Kernels:
    """The functions of `vldac.kernels` with `backend` given."""
    functions = {}
    for operation in OPERATIONS:
        function = getattr(vldac.kernels, operation)
        takes_backend = "backend" in inspect.signature(function).parameters
        functions[operation] = functools.partial(function, backend=backend) if takes_backend else function
    return Kernels(backend, functions, **properties)


def tiers() -> list[Kernels]:
    """Every tier that can run here."""
    return []


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
"""Absolute for log-prob and entropy, relative by norm for the gradient; for bfloat16 and float16 against float64 on the same inputs."""
STEP_ERROR = {torch.float64: 1e-12, torch.float32: 1e-6}
"""PPO and value losses and their coefficients, relative"""


def backends_for_environment() -> str:
    return os.environ.get("TRITON_INTERPRET", "")
