"""The tier that runs everywhere: the contract of `tier` in torch operations, any device and dtype, in chunks of rows.

It equals `reference` and holds [chunk, V] at most. No function here reads a tensor on the host.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from vldac.kernels.product import head_logits, through_head
from vldac.kernels.reference import counter_uniform
from vldac.kernels.tier import Rows, accumulate_dtype

_CHUNK_BYTES = 8 << 20
"""Of one float32 [chunk, V] tensor on the CPU; four of them are alive at once."""
_GPU_ROWS = 1152
"""Rows of a chunk on a GPU: whole waves of tiles in the second product at the widths of 7B models."""


def describe() -> str:
    """What this tier is."""
    return "torch operations in chunks of rows"


def unavailable(device: torch.device, dtype: torch.dtype) -> str | None:
    """Why it cannot run: it always can."""
    return None


def chunk_size(vocab: int, device: torch.device, chunk_rows: int) -> int:
    """Rows per chunk: what was asked for, else a table by device and vocabulary; never from the number of rows."""
    return chunk_rows or (_GPU_ROWS if device.type == "cuda" else max(8, _CHUNK_BYTES // (4 * vocab)))


# -- rows of logits -----------------------------------------------------------------------------------------------------


class _Softmax(NamedTuple):
    """What a chunk of rows says: [C] statistics, and the tensors that the gradient needs."""

    logprob: Tensor
    entropy: Tensor
    lse: Tensor
    shifted: Tensor
    """[C, V] scaled logits less their row's maximum, -inf in excluded columns"""
    probs: Tensor
    """[C, V]"""
    slope: Tensor | None
    """[C, V] d z / d u of the soft-cap; None without"""


def _softmax(
    logits: Tensor, target: Tensor, column_bias: Tensor | None, temperature: Tensor, softcap: float
) -> _Softmax:
    slope = None
    if column_bias is not None:
        logits = logits + column_bias
    if softcap:
        bounded = torch.tanh(logits / softcap)
        slope = 1 - bounded**2
        logits = softcap * bounded
    scaled = logits / temperature[:, None]
    if column_bias is not None:
        # Not by the sum alone: the soft-cap of -inf is finite, and an excluded logit may be NaN or +inf.
        scaled.masked_fill_(column_bias == -torch.inf, -torch.inf)
    top = scaled.max(-1).values
    shifted = scaled.sub_(top[:, None])
    probs = shifted.exp()
    total = probs.sum(-1)
    log_total = total.log()
    probs /= total[:, None]
    # 0 times -inf is 0 here: the probability of an excluded column, or of a logit of -inf.
    weighted = shifted.clamp_min(torch.finfo(shifted.dtype).min).mul_(probs).sum(-1)
    return _Softmax(
        logprob=shifted.gather(-1, target[:, None])[:, 0] - log_total,
        entropy=(log_total - weighted).clamp_min(0.0),
        lse=top + log_total,
        shifted=shifted,
        probs=probs,
        slope=slope,
    )


def _delta(
    rows: _Softmax, target: Tensor, grad_logprob: Tensor | None, grad_entropy: Tensor | None, temperature: Tensor
) -> Tensor:
    """[C, V] d (upstream . outputs) / d u: (onehot - p) for the log-prob, -p (ln p + entropy) for the entropy, times the slopes."""
    delta = -rows.probs
    # An excluded target's own column is constant.
    own = (rows.shifted.gather(-1, target[:, None]) != -torch.inf).to(delta.dtype)
    delta.scatter_add_(-1, target[:, None], own)
    if grad_logprob is not None:
        delta *= grad_logprob[:, None]
    if grad_entropy is not None:
        log_probs = rows.probs.log()
        spread = rows.probs * (log_probs.masked_fill(rows.probs == 0, 0) + rows.entropy[:, None])
        delta -= spread * grad_entropy[:, None]
    delta /= temperature[:, None]
    return delta if rows.slope is None else delta * rows.slope


def _safe(target: Tensor, vocab: int, ignore_index: int) -> tuple[Tensor, Tensor, Tensor]:
    """(kept, inside, ids that can be gathered): on a GPU an id outside the vocabulary makes its row NaN instead of an error."""
    kept = target != ignore_index
    inside = (target >= 0) & (target < vocab)
    return kept, inside, torch.where(kept & inside, target, torch.zeros_like(target))


def _finish(values: Tensor, kept: Tensor, inside: Tensor) -> Tensor:
    """0 for ignored rows, NaN for ids outside the vocabulary."""
    values = torch.where(inside, values, torch.full_like(values, torch.nan))
    return torch.where(kept, values, torch.zeros_like(values))


def linear_logprob(
    hidden: Tensor, weight: Tensor, target: Tensor, column_bias: Tensor | None, temperature: Tensor, softcap: float,
    ignore_index: int, *, needs_gradient: bool, chunk_rows: int, batch_invariant: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """Two products for a frozen head: G = d logprob / d hidden = (onehot - p) W / T is built in the forward pass."""
    count, vocab = len(hidden), len(weight)
    size = chunk_size(vocab, hidden.device, chunk_rows)
    wide = accumulate_dtype(hidden.dtype)
    logprob, entropy, lse = (hidden.new_empty(count, dtype=wide) for _ in range(3))
    gradient = hidden.new_empty((count if needs_gradient else 0, hidden.shape[1]))
    kept, inside, ids = _safe(target, vocab, ignore_index)
    temperature = temperature.expand(count)
    for start in range(0, count, size):
        at = slice(start, min(start + size, count))
        # The logits are not named here: they are freed as soon as they are scaled.
        rows = _softmax(
            _chunk_logits(hidden[at], weight, size if batch_invariant else 0),
            ids[at],
            column_bias,
            temperature[at],
            softcap,
        )
        logprob[at], entropy[at], lse[at] = rows.logprob, rows.entropy, rows.lse
        if needs_gradient:
            delta = _delta(rows, ids[at], None, None, temperature[at])
            if batch_invariant:
                delta = torch.cat([delta, delta.new_zeros(size - len(delta), vocab)])
            product = through_head(delta, weight)[: at.stop - at.start]
            gradient[at] = torch.where((kept & inside)[at, None], product, torch.zeros_like(product))
    return _finish(logprob, kept, inside), _finish(entropy, kept, inside), _finish(lse, kept, inside), gradient


def _chunk_logits(hidden: Tensor, weight: Tensor, padded_rows: int) -> Tensor:
    """Logits of a chunk; with padded_rows the product always has that many rows, so that a row's sum does not depend on N."""
    count = len(hidden)
    if padded_rows > count:
        hidden = torch.cat([hidden, hidden.new_zeros(padded_rows - count, hidden.shape[1])])
    return head_logits(hidden, weight)[:count]


def linear_logprob_backward(
    grad_logprob: Tensor, grad_entropy: Tensor | None, hidden: Tensor, weight: Tensor, target: Tensor,
    column_bias: Tensor | None, temperature: Tensor, softcap: float, ignore_index: int, lse: Tensor, entropy: Tensor, *,
    needs_hidden: bool, needs_weight: bool, needs_bias: bool, chunk_rows: int,
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:  # fmt: skip
    """Recompute the logits chunk by chunk."""
    count, vocab = len(hidden), len(weight)
    size = chunk_size(vocab, hidden.device, chunk_rows)
    wide = accumulate_dtype(hidden.dtype)
    kept, inside, ids = _safe(target, vocab, ignore_index)
    temperature = temperature.expand(count)
    grad_hidden = torch.zeros_like(hidden) if needs_hidden else None
    grad_weight = torch.zeros(weight.shape, dtype=wide, device=weight.device) if needs_weight else None
    grad_bias = torch.zeros(vocab, dtype=wide, device=weight.device) if needs_bias else None
    for start in range(0, count, size):
        at = slice(start, min(start + size, count))
        counts = (kept & inside)[at, None]
        states = torch.where(counts, hidden[at], torch.zeros_like(hidden[at]))
        rows = _softmax(head_logits(states, weight), ids[at], column_bias, temperature[at], softcap)
        upstream = None if grad_entropy is None else grad_entropy[at]
        delta = _delta(rows, ids[at], grad_logprob[at], upstream, temperature[at])
        delta = torch.where(counts, delta, torch.zeros_like(delta))
        if grad_hidden is not None:
            grad_hidden[at] = through_head(delta, weight)
        if grad_weight is not None:
            grad_weight.addmm_(delta.T, states.to(wide))
        if grad_bias is not None:
            grad_bias += delta.sum(0)
    return grad_hidden, None if grad_weight is None else grad_weight.to(weight.dtype), grad_bias


def selective_log_softmax(
    logits: Tensor, target: Tensor, column_bias: Tensor | None, temperature: Tensor, ignore_index: int
) -> Rows:
    """Statistics of the rows of logits [N, V]."""
    count, vocab = logits.shape
    wide = accumulate_dtype(logits.dtype)
    logprob, entropy, lse = (logits.new_empty(count, dtype=wide) for _ in range(3))
    kept, inside, ids = _safe(target, vocab, ignore_index)
    temperature = temperature.expand(count)
    size = chunk_size(vocab, logits.device, 0)
    for start in range(0, count, size):
        at = slice(start, min(start + size, count))
        rows = _softmax(logits[at].to(wide), ids[at], column_bias, temperature[at], 0.0)
        logprob[at], entropy[at], lse[at] = rows.logprob, rows.entropy, rows.lse
    return _finish(logprob, kept, inside), _finish(entropy, kept, inside), _finish(lse, kept, inside)


def selective_log_softmax_backward(
    grad_logprob: Tensor, grad_entropy: Tensor | None, logits: Tensor, target: Tensor, column_bias: Tensor | None,
    temperature: Tensor, ignore_index: int, lse: Tensor, entropy: Tensor, *, inplace: bool,
) -> Tensor:  # fmt: skip
    """Gradient [N, V], written over logits with inplace."""
    count, vocab = logits.shape
    result = logits if inplace else torch.empty_like(logits)
    kept, inside, ids = _safe(target, vocab, ignore_index)
    temperature = temperature.expand(count)
    size = chunk_size(vocab, logits.device, 0)
    for start in range(0, count, size):
        at = slice(start, min(start + size, count))
        rows = _softmax(logits[at].to(lse.dtype), ids[at], column_bias, temperature[at], 0.0)
        upstream = None if grad_entropy is None else grad_entropy[at]
        delta = _delta(rows, ids[at], grad_logprob[at], upstream, temperature[at])
        result[at] = torch.where((kept & inside)[at, None], delta, torch.zeros_like(delta)).to(logits.dtype)
    return result


# -- losses on vectors --------------------------------------------------------------------------------------------------


def _kept(weight: Tensor, values: Tensor) -> Tensor:
    return torch.where(weight != 0, values, torch.zeros_like(values))


def ppo_clip_loss(
    logprob: Tensor, old_logprob: Tensor, advantages: Tensor, step_index: Tensor, token_weight: Tensor,
    ref_logprob: Tensor | None, clip_low: float, clip_high: float, kl_coef: float, kl_estimator: str, ratio_guard: float,
    dual_clip: float, log_ratio_cap: float,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Loss, statistics, and c_i = w_i (-A r [the branch that moves] + kl_coef d kl / d logprob)."""
    weight = token_weight
    logprob, old_logprob = _kept(weight, logprob), _kept(weight, old_logprob)
    raw = logprob - old_logprob
    change = raw.clamp(-log_ratio_cap, log_ratio_cap)
    ratio, within = change.exp(), (raw.abs() <= log_ratio_cap).to(raw.dtype)
    advantage = advantages[step_index]
    low, high = ratio < 1.0 - clip_low, ratio > 1.0 + clip_high
    in_range = ~(low | high)
    free, clipped = ratio * advantage, ratio.clamp(1.0 - clip_low, 1.0 + clip_high) * advantage
    surrogate, moves = torch.minimum(free, clipped), (in_range | (free < clipped)).to(raw.dtype)
    if dual_clip:
        floor = dual_clip * advantage
        is_floored = (advantage < 0) & (surrogate < floor)
        surrogate, moves = torch.where(is_floored, floor, surrogate), torch.where(is_floored, 0.0, moves)
    zero = raw.new_zeros(())
    guard_steps = zero
    if ratio_guard:
        hits = torch.zeros_like(advantages).index_add(0, step_index, (ratio > ratio_guard).to(advantages.dtype))
        is_guarded = hits[step_index] > 0
        surrogate = torch.where(is_guarded, clipped, surrogate)
        moves = torch.where(is_guarded, in_range.to(raw.dtype), moves)
        guard_steps = (hits > 0).sum().to(raw.dtype)
    per_token, slope = -surrogate, -free * moves * within
    difference = torch.zeros_like(raw)
    if ref_logprob is not None:
        apart = _kept(weight, ref_logprob) - logprob
        difference = apart.clamp(-log_ratio_cap, log_ratio_cap)
        kl, kl_slope = _kl(difference, kl_estimator)
        per_token = per_token + kl_coef * kl
        slope = slope - kl_coef * kl_slope * (apart.abs() <= log_ratio_cap)
    coefficient = _kept(weight, weight * slope)
    total = weight.sum().clamp_min(torch.finfo(weight.dtype).tiny)
    some = len(raw) > 0
    stats = [
        (weight * ratio).sum() / total,
        _kept(weight, ratio).max() if some else zero,
        (weight * (low | high)).sum() / total,
        (weight * low).sum() / total,
        (weight * high).sum() / total,
        guard_steps,
        -(weight * raw).sum() / total,
        (weight * (torch.expm1(change) - change)).sum() / total,
        -(weight * difference).sum() / total,
        (weight * (torch.expm1(difference) - difference)).sum() / total,
        raw.abs().max() if some else zero,
        (raw.abs() > log_ratio_cap).sum().to(raw.dtype),
        (weight != 0).sum().to(raw.dtype),
        (coefficient != 0).sum().to(raw.dtype),
    ]
    return (weight * per_token).sum(), torch.stack(stats), coefficient


def _kl(difference: Tensor, estimator: str) -> tuple[Tensor, Tensor]:
    """(estimate, its derivative with respect to difference = other - policy)."""
    if estimator == "k1":
        return -difference, -torch.ones_like(difference)
    if estimator == "k2":
        return 0.5 * difference**2, difference
    slope = torch.expm1(difference)
    return slope - difference, slope


def value_loss(
    value: Tensor,
    old_value: Tensor | None,
    returns: Tensor,
    step_weight: Tensor,
    clip: float,
    huber: float,
    coef: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Loss, statistics, d loss / d value."""
    value, returns = _kept(step_weight, value), _kept(step_weight, returns)
    error = value - returns
    loss, slope = _penalty(error, huber)
    is_moved = torch.zeros_like(step_weight, dtype=torch.bool)
    if clip and old_value is not None:
        step = value - _kept(step_weight, old_value)
        moved, moved_slope = _penalty(_kept(step_weight, old_value) + step.clamp(-clip, clip) - returns, huber)
        moved_slope = moved_slope * (step.abs() <= clip)
        is_moved = moved > loss
        slope = torch.where(is_moved, moved_slope, torch.where(moved == loss, 0.5 * (slope + moved_slope), slope))
        loss = torch.maximum(loss, moved)
    total = step_weight.sum().clamp_min(torch.finfo(step_weight.dtype).tiny)
    stats = [
        (step_weight * error).sum() / total,
        error.abs().max() if len(error) else value.new_zeros(()),
        (step_weight * is_moved).sum() / total,
    ]
    return coef * (step_weight * loss).sum(), torch.stack(stats), coef * step_weight * slope


def _penalty(error: Tensor, huber: float) -> tuple[Tensor, Tensor]:
    """(squared error, straight beyond `huber`; its derivative)."""
    if not huber:
        return error**2, 2 * error
    size = error.abs()
    return torch.where(size <= huber, error**2, huber * (2 * size - huber)), 2 * error.clamp(-huber, huber)


# -- advantages ---------------------------------------------------------------------------------------------------------


def gae(
    reward: Tensor, value: Tensor, bootstrap: Tensor, terminated: Tensor, truncated: Tensor, final_value: Tensor | None,
    segment_offsets: Tensor | None, gamma: float, lam: float,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """A_t = delta_t + decay_t A_{t+1} by doubling: log2(T) passes over all steps, segments and environments at once."""
    wide = torch.float64 if value.device.type == "cpu" else value.dtype
    count = len(value)
    if count == 0:
        return torch.empty_like(value), torch.empty_like(value)
    values = value.to(wide)
    if segment_offsets is None:
        following = torch.cat([values[1:], bootstrap.to(wide)[None]])
        is_last = torch.zeros_like(terminated)
        is_last[-1] = True
    else:
        # Empty segments have no last step: their bootstrap goes to a place behind the end.
        begin, end = segment_offsets[:-1], segment_offsets[1:]
        last = torch.where(end > begin, end - 1, torch.full_like(end, count))
        following = torch.cat([values[1:], values.new_zeros(2)]).scatter(0, last, bootstrap.to(wide))[:count]
        is_last = torch.zeros(count + 1, dtype=torch.bool, device=value.device)
        is_last = is_last.scatter(0, last, torch.ones_like(last, dtype=torch.bool))[:count]
    zero = torch.zeros_like(values)
    at_cut = zero if final_value is None else final_value.to(wide)
    ahead = torch.where(terminated, zero, torch.where(truncated, at_cut, following))
    advantage = reward.to(wide) + gamma * ahead - values
    decay = torch.where(terminated | truncated | is_last, zero, torch.full_like(values, gamma * lam))
    distance = 1
    while distance < count:
        behind = torch.cat([advantage[distance:], zero[:distance]])
        # where, not a product alone: what lies behind an episode's end may be anything.
        advantage = advantage + torch.where(decay == 0, zero, decay * behind)
        decay = decay * torch.cat([decay[distance:], zero[:distance]])
        distance *= 2
    return advantage.to(value.dtype), (advantage + values).to(value.dtype)


def masked_whiten(values: Tensor, mask: Tensor, unbiased: bool, eps: float) -> Tensor:
    """Mean 0 and standard deviation 1 over the mask."""
    if values.numel() == 0:
        return torch.empty_like(values)
    wide = torch.float64 if values.device.type == "cpu" else values.dtype
    chosen, zero = values.to(wide), values.new_zeros((), dtype=wide)
    count = mask.sum()
    mean = torch.where(mask, chosen, zero).sum() / count.clamp_min(1)
    centred = torch.where(mask, chosen - mean, zero)
    deviation = (centred.square().sum() / (count - int(unbiased)).clamp_min(1)).sqrt()
    high = torch.where(mask, chosen, -torch.inf).amax()
    low = torch.where(mask, chosen, torch.inf).amin()
    has_spread = (count >= 2) & (high != low)
    return torch.where(mask & has_spread, centred / (deviation + eps), zero).to(values.dtype)


# -- sampling -----------------------------------------------------------------------------------------------------------


def sample(
    logits: Tensor, column_bias: Tensor | None, temperature: Tensor, top_k: Tensor | None, top_p: Tensor | None,
    min_p: float, seed: Tensor, position: Tensor, greedy: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """Gumbel-max over what truncation leaves."""
    wide = accumulate_dtype(logits.dtype)
    scaled = logits.to(wide) / temperature.expand(len(logits))[:, None]
    if column_bias is not None:
        scaled = scaled.masked_fill(column_bias == -torch.inf, -torch.inf)
    valid = torch.isfinite(scaled.max(-1).values)
    raw = torch.where(valid[:, None], scaled, torch.zeros_like(scaled)).log_softmax(-1)
    is_truncated = top_k is not None or top_p is not None or min_p > 0
    kept = _truncate(raw, top_k, top_p, min_p) if is_truncated else raw
    noise = -torch.log(-torch.log(counter_uniform(seed, position, raw.shape[-1])))
    token = (kept.double() + noise.masked_fill(greedy[:, None], 0.0)).argmax(-1)
    pick, nan = token[:, None], raw.new_full((len(raw),), torch.nan)
    processed = kept.log_softmax(-1) if is_truncated else raw
    probs = raw.exp()
    entropy = -(probs * raw.masked_fill(probs == 0, 0)).sum(-1)
    return (
        torch.where(valid, token, torch.zeros_like(token)),
        torch.where(valid, raw.gather(-1, pick)[:, 0], nan),
        torch.where(valid, processed.gather(-1, pick)[:, 0], nan),
        torch.where(valid, entropy.clamp_min(0.0), nan),
        valid,
    )


def _truncate(raw: Tensor, top_k: Tensor | None, top_p: Tensor | None, min_p: float) -> Tensor:
    """-inf where top-k, then top-p, then min-p cut; the most likely id stays."""
    ordered, index = raw.sort(dim=-1, descending=True, stable=True)
    if top_k is not None:
        limit = torch.where(top_k <= 0, raw.shape[-1], top_k)
        ordered = ordered.masked_fill(torch.arange(raw.shape[-1], device=raw.device) >= limit[:, None], -torch.inf)
    probs = ordered.softmax(-1)
    is_cut = probs < min_p * probs[:, :1]
    if top_p is not None:
        share = top_p[:, None]
        is_cut |= (probs.cumsum(-1) - probs >= share) & (share < 1)
    is_cut[:, 0] = False
    return torch.empty_like(raw).scatter_(-1, index, ordered.masked_fill(is_cut, -torch.inf))
