"""Drawing a token and its log-prob from the logits of a decoding step."""

from __future__ import annotations

import torch
from torch import Tensor
from vldac.kernels.options import column_bias, temperature_tensor
from vldac.kernels.tier import accumulate_dtype
from vldac.kernels.types import SampleOutput

from vldac.kernels import checks, ops  # noqa: F401 -- ops defines torch.ops.vldac


@torch.no_grad()
def sample_with_logprob(
    logits: Tensor,
    *,
    temperature: float | Tensor = 1.0,
    banned_ids: Tensor | None = None,
    top_k: int | Tensor = 0,
    top_p: float | Tensor = 1.0,
    min_p: float = 0.0,
    seed: Tensor,
    position: Tensor,
    greedy: bool | Tensor = False,
    backend: str = "auto",
) -> SampleOutput:
    """Sample one id per row by Gumbel-max, with its log-prob before and after truncation.

    logits: [B, V] floating. Order: temperature, banned ids, top-k, renormalise, top-p, min-p (a share of the most likely id's
    probability); the most likely id always stays; ties go to the lowest id, greedy included. temperature, top_k (0: all), top_p
    (1: all), greedy: a value or [B]. seed, position: [B] int64 key the noise (SplitMix64 of seed, position and column), so that a
    row's sample does not depend on its neighbours. banned_ids: [number] ids that are never sampled.

    A ratio needs both log-probs by one definition: logprob_raw is the trainer's (`linear_logprob` at the same temperature and
    banned ids); without truncation logprob_processed equals it. A row with a NaN or +inf logit, or with nothing left to sample, is
    not valid: token 0, log-probs NaN. Raises KernelError, KernelTypeError, KernelIndexError.
    """
    where = "sample_with_logprob"
    checks.shape(where, "logits", logits, "B", "V")
    checks.dtype(where, "logits", logits, checks.FLOATS)
    count, vocab = logits.shape
    for name, key in (("seed", seed), ("position", position)):
        checks.shape(where, name, key, count)
        checks.dtype(where, name, key, (torch.int64,))
    checks.one_device(where, logits=logits, seed=seed, position=position, banned_ids=banned_ids)
    if isinstance(greedy, Tensor):
        checks.shape(where, "greedy", greedy, count)
        checks.dtype(where, "greedy", greedy, (torch.bool,))
        checks.one_device(where, logits=logits, greedy=greedy)
    checks.fraction(where, "min_p", min_p)
    wide, device = accumulate_dtype(logits.dtype), logits.device
    if vocab > 1 and logits.stride(1) != 1:
        logits = logits.contiguous()
    fields = torch.ops.vldac.sample(
        logits,
        column_bias(where, None, banned_ids, vocab, wide, device),
        temperature_tensor(where, temperature, count, wide, device),
        _per_row(where, "top_k", top_k, 0, count, torch.int64, device),
        _per_row(where, "top_p", top_p, 1.0, count, wide, device),
        min_p,
        seed,
        position,
        greedy if isinstance(greedy, Tensor) else torch.full((count,), greedy, dtype=torch.bool, device=device),
        backend,
    )
    return SampleOutput(*fields)


def _per_row(
    where: str, name: str, option: float | Tensor, off: float, count: int, dtype: torch.dtype, device: torch.device
) -> Tensor | None:
    """The option as [count], or None where it is switched off."""
    if isinstance(option, Tensor):
        checks.shape(where, name, option, count)
        return option.to(device=device, dtype=dtype)
    if name == "top_p":
        checks.fraction(where, name, option)
    else:
        checks.positive(where, name, option, zero=True)
    return None if option == off else torch.full((count,), option, dtype=dtype, device=device)
