"""Options as the operators take them: tensors on the device, so that no value is baked into a kernel and none is read back."""

from __future__ import annotations

import torch
from torch import Tensor

from vldac.kernels import checks


def temperature_tensor(
    where: str, temperature: float | Tensor, count: int, dtype: torch.dtype, device: torch.device
) -> Tensor:
    """[1] or [count] in `dtype`. Numbers must be > 0; a tensor's values are the caller's."""
    if not isinstance(temperature, Tensor):
        checks.positive(where, "temperature", temperature)
        return torch.full((1,), temperature, dtype=dtype, device=device)
    checks.no_gradient(where, temperature=temperature)
    if temperature.numel() == 1:
        temperature = temperature.reshape(1)
    else:
        checks.shape(where, "temperature", temperature, count)
    return temperature.to(device=device, dtype=dtype)


def column_bias(
    where: str, bias: Tensor | None, banned_ids: Tensor | None, vocab: int, dtype: torch.dtype, device: torch.device
) -> Tensor | None:
    """[vocab] bias with -inf at banned ids; None without either. Differentiable in bias."""
    if bias is not None:
        checks.shape(where, "bias", bias, vocab)
        bias = bias.to(dtype)
    if banned_ids is None:
        return bias
    checks.shape(where, "banned_ids", banned_ids, "number of ids")
    checks.dtype(where, "banned_ids", banned_ids, checks.INTEGERS)
    if banned_ids.device.type == "cpu" and len(banned_ids) and not torch.compiler.is_compiling():
        low, high = int(banned_ids.min()), int(banned_ids.max())
        if low < 0 or high >= vocab:
            raise checks.KernelIndexError(
                expected=f"banned_ids in [0, {vocab})", got=f"ids from {low} to {high}", where=where,
                do="check the tokenizer against the head's vocabulary",
            )  # fmt: skip
    if bias is None:
        bias = torch.zeros(vocab, dtype=dtype, device=device)
    return bias.index_fill(0, banned_ids.long(), -torch.inf)
