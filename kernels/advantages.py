"""Step-level advantages: GAE over a rectangle or flat segments, and whitening."""

from __future__ import annotations

import torch
from torch import Tensor
from vldac.kernels.dispatch import KernelError

from vldac.kernels import checks, ops  # noqa: F401 -- ops defines torch.ops.vldac

_WIDE = (torch.float32, torch.float64)


@torch.no_grad()
def generalized_advantage_estimate(
    reward: Tensor,
    value: Tensor,
    bootstrap: Tensor,
    terminated: Tensor,
    truncated: Tensor,
    *,
    gamma: float,
    lam: float,
    final_value: Tensor | None = None,
    segment_offsets: Tensor | None = None,
    backend: str = "auto",
) -> tuple[Tensor, Tensor]:
    """Step-level GAE (arXiv 1506.02438): (advantage, returns = advantage + value), without gradient.

    delta_t = r_t + gamma (1 - terminated_t) V'_t - V_t;  A_t = delta_t + gamma lam (1 - terminated_t)(1 - truncated_t) A_{t+1}.
    V'_t is the value after the step: final_value_t (0 without it) where truncated, the bootstrap at the end of the data, else
    V_{t+1}. Nothing behind an episode's end is read, NaN or not.

    Rectangular: reward, value, terminated, truncated, final_value [T, E], bootstrap [E]. Flat: all of them [S], with segment_offsets
    [K + 1] int64 from 0 to S and bootstrap [K]. reward, value, bootstrap, final_value: float32 or float64, one dtype; the flags bool.
    On the CPU sums run in float64. Raises KernelError, KernelTypeError.
    """
    where = "generalized_advantage_estimate"
    sizes = tuple(value.shape)
    if segment_offsets is None:
        checks.shape(where, "value", value, "T", "E")
        checks.shape(where, "bootstrap", bootstrap, sizes[1])
    else:
        checks.shape(where, "value", value, "S")
        checks.shape(where, "segment_offsets", segment_offsets, len(bootstrap) + 1)
        checks.dtype(where, "segment_offsets", segment_offsets, checks.INTEGERS)
        segment_offsets = _check_offsets(where, segment_offsets.long(), len(value))
    floats = {"reward": reward, "value": value, "bootstrap": bootstrap, "final_value": final_value}
    present = {name: t for name, t in floats.items() if t is not None}
    for name, tensor in (present | {"terminated": terminated, "truncated": truncated}).items():
        if name != "bootstrap":
            checks.shape(where, name, tensor, *sizes)
    checks.dtype(where, "value", value, _WIDE)
    checks.dtype(where, "terminated", terminated, (torch.bool,))
    checks.dtype(where, "truncated", truncated, (torch.bool,))
    checks.same_dtype(where, **present)
    checks.one_device(where, terminated=terminated, truncated=truncated, segment_offsets=segment_offsets, **present)
    checks.fraction(where, "gamma", gamma)
    checks.fraction(where, "lam", lam)
    advantage, returns = torch.ops.vldac.gae(
        reward, value, bootstrap, terminated, truncated, final_value, segment_offsets, gamma, lam, backend
    )
    return advantage, returns


def _check_offsets(where: str, offsets: Tensor, count: int) -> Tensor:
    """On the CPU: from 0 to the number of steps, never decreasing."""
    if offsets.device.type == "cpu" and not torch.compiler.is_compiling():
        bounds = offsets.tolist()
        if bounds[0] != 0 or bounds[-1] != count or any(a > b for a, b in zip(bounds[:-1], bounds[1:], strict=True)):  # noqa: RUF007
            raise KernelError(
                expected=f"segment_offsets from 0 to {count} that do not decrease", got=str(bounds[:8]), where=where,
                do="give the first step of every segment, and the number of steps at the end",
            )  # fmt: skip
    return offsets


@torch.no_grad()
def masked_whiten(
    values: Tensor, mask: Tensor, *, unbiased: bool = True, eps: float = 1e-8, backend: str = "auto"
) -> Tensor:
    """(values - mean) / (std + eps) over the masked entries, without gradient.

    values: float32 or float64, any shape. mask: bool, same shape. Zero outside the mask (NaN there leaves no trace); all zero
    where the masked entries have no spread or are fewer than two. Raises KernelError, KernelTypeError.
    """
    where = "masked_whiten"
    checks.dtype(where, "values", values, _WIDE)
    checks.dtype(where, "mask", mask, (torch.bool,))
    checks.shape(where, "mask", mask, *values.shape)
    checks.one_device(where, values=values, mask=mask)
    checks.positive(where, "eps", eps, zero=True)
    result: Tensor = torch.ops.vldac.masked_whiten(values, mask, unbiased, eps, backend)
    return result
