"""The C++ tier of the operations over vectors: losses, advantages, whitening. float32 and float64 on the CPU.

Tensors are handed over as views of their memory; only one that is not contiguous is copied.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from vldac import _core

_DTYPES = (torch.float32, torch.float64)


def describe() -> str:
    """What this tier is on this machine."""
    return f"{_core.kernel_isa()}, one thread"


def unavailable(device: torch.device, dtype: torch.dtype) -> str | None:
    """Why it cannot run there; None if it can."""
    if device.type != "cpu":
        return "it runs on the CPU only"
    return None if dtype in _DTYPES else f"it takes float32 and float64, not {str(dtype).removeprefix('torch.')}"


def ppo_clip_loss(
    logprob: Tensor,
    old_logprob: Tensor,
    advantages: Tensor,
    step_index: Tensor,
    token_weight: Tensor,
    ref_logprob: Tensor | None,
    clip_low: float,
    clip_high: float,
    kl_coef: float,
    kl_estimator: str,
    ratio_guard: float,
    dual_clip: float,
    log_ratio_cap: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """(loss [], stats [14], coefficient [N]); see `tier.Tier.ppo_clip_loss`. An index outside the steps raises IndexError."""
    loss, stats, coefficient = _core.ppo_clip_loss(
        _array(logprob), _array(old_logprob), _array(advantages), _array(step_index), _array(token_weight),
        _optional(ref_logprob), clip_low, clip_high, kl_coef, kl_estimator, ratio_guard, dual_clip, log_ratio_cap,
    )  # fmt: skip
    return torch.from_numpy(loss), torch.from_numpy(stats), torch.from_numpy(coefficient)


def value_loss(
    value: Tensor,
    old_value: Tensor | None,
    returns: Tensor,
    step_weight: Tensor,
    clip: float,
    huber: float,
    coef: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """(loss [], stats [3], coefficient [S]); see `tier.Tier.value_loss`."""
    loss, stats, coefficient = _core.value_loss(
        _array(value), _optional(old_value), _array(returns), _array(step_weight), clip, huber, coef
    )
    return torch.from_numpy(loss), torch.from_numpy(stats), torch.from_numpy(coefficient)


def gae(
    reward: Tensor,
    value: Tensor,
    bootstrap: Tensor,
    terminated: Tensor,
    truncated: Tensor,
    final_value: Tensor | None,
    segment_offsets: Tensor | None,
    gamma: float,
    lam: float,
) -> tuple[Tensor, Tensor]:
    """(advantage, returns) of the shape of value; see `tier.Tier.gae`."""
    advantage, returns = _core.step_gae(
        _array(reward), _array(value), _array(bootstrap), _array(terminated), _array(truncated),
        _optional(final_value), _optional(segment_offsets), gamma, lam,
    )  # fmt: skip
    return torch.from_numpy(advantage), torch.from_numpy(returns)


def masked_whiten(values: Tensor, mask: Tensor, unbiased: bool, eps: float) -> Tensor:
    """Whitened values of the same shape; see `tier.Tier.masked_whiten`."""
    return torch.from_numpy(_core.masked_whiten(_array(values), _array(mask), unbiased, eps))


def _array(tensor: Tensor) -> Any:
    return tensor.detach().contiguous().numpy()


def _optional(tensor: Tensor | None) -> Any:
    return None if tensor is None else _array(tensor)
