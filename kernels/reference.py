"""The specification of every kernel, in plain differentiable torch.

Faster tiers must equal these functions within the tolerances of the tests (float64: 1e-12). Reductions run in float32, or in float64
for float64 input. Nothing here is chunked, fused or fast, and nothing but the tests and the start-up comparison calls it.

Shapes: N response tokens, S environment steps, V vocabulary, H hidden, B rows of a decode batch, K segments, T x E steps.
"""

from __future__ import annotations

import itertools
from typing import Any

import torch
from torch import Tensor
from vldac.kernels.tier import accumulate_dtype
from vldac.kernels.types import LinearLogprobOutput, PPOStats, SampleOutput, ValueStats


def _column(values: float | Tensor, like: Tensor) -> Tensor:
    """A scalar or [N] option as something that divides or compares with rows of `like`."""
    values = torch.as_tensor(values, dtype=like.dtype, device=like.device)
    return values[:, None] if values.dim() else values


def _scaled(
    logits: Tensor, bias: Tensor | None, banned_ids: Tensor | None, softcap: float | None, temperature: float | Tensor
) -> Tensor:
    """Bias, soft-cap, temperature; then -inf in the columns that are excluded: banned ids, and those whose bias is -inf."""
    excluded = torch.zeros(logits.shape[-1], dtype=torch.bool, device=logits.device)
    if bias is not None:
        excluded = bias == -torch.inf
        logits = logits + bias.to(logits.dtype).masked_fill(excluded, 0.0)
    if banned_ids is not None:
        excluded = excluded.index_fill(0, banned_ids.long(), True)
    if softcap:
        logits = softcap * torch.tanh(logits / softcap)
    return (logits / _column(temperature, logits)).masked_fill(excluded, -torch.inf)


def _rows(scaled: Tensor, target: Tensor, ignore_index: int) -> tuple[Tensor, Tensor, Tensor]:
    """(logprob, entropy, lse) of scaled logits [N, V]; 0 where the target is ignored."""
    keep = target != ignore_index
    scaled = torch.where(keep[:, None], scaled, torch.zeros_like(scaled))
    log_probs = scaled.log_softmax(-1)
    logprob = log_probs.gather(-1, torch.where(keep, target, 0).long()[:, None])[:, 0]
    zero = torch.zeros_like(logprob)
    lse = torch.logsumexp(scaled, -1)
    lse = torch.where(torch.isinf(lse), torch.nan, lse)  # a +inf logit, or nothing left, spoils the whole row
    return torch.where(keep, logprob, zero), torch.where(keep, _entropy(log_probs), zero), torch.where(keep, lse, zero)


def _entropy(log_probs: Tensor) -> Tensor:
    probs = log_probs.exp()
    return -(probs * log_probs.masked_fill(probs == 0, 0)).sum(-1).clamp_max(0.0)


def _check_targets(target: Tensor, size: int, ignore_index: int, where: str) -> None:
    outside = ((target < 0) | (target >= size)) & (target != ignore_index)
    if bool(outside.any()):
        raise IndexError(
            f"{where}: expected targets in [0, {size}) or {ignore_index}, got {target[outside][:4].tolist()}"
        )


def linear_logprob(
    hidden: Tensor,
    weight: Tensor,
    target: Tensor,
    *,
    bias: Tensor | None = None,
    temperature: float | Tensor = 1.0,
    softcap: float | None = None,
    banned_ids: Tensor | None = None,
    ignore_index: int = -100,
) -> LinearLogprobOutput:
    """Log-prob of target [N] under softmax(softcap(hidden [N, H] weight [V, H]^T + bias [V]) / temperature), banned ids left out."""
    _check_targets(target, weight.shape[0], ignore_index, "linear_logprob")
    wide = accumulate_dtype(hidden.dtype)
    # Ignored rows never meet the product: their hidden state may be anything.
    rows = torch.where((target != ignore_index)[:, None], hidden, torch.zeros_like(hidden)).to(wide)
    scaled = _scaled(rows @ weight.to(wide).T, bias, banned_ids, softcap, temperature)
    return LinearLogprobOutput(*_rows(scaled, target, ignore_index))


def selective_log_softmax(
    logits: Tensor,
    target: Tensor,
    *,
    temperature: float | Tensor = 1.0,
    banned_ids: Tensor | None = None,
    ignore_index: int = -100,
) -> LinearLogprobOutput:
    """The same from logits [N, V]."""
    _check_targets(target, logits.shape[-1], ignore_index, "selective_log_softmax")
    scaled = _scaled(logits.to(accumulate_dtype(logits.dtype)), None, banned_ids, None, temperature)
    return LinearLogprobOutput(*_rows(scaled, target, ignore_index))


def _kl_estimate(difference: Tensor, estimator: str) -> Tensor:
    """KL(policy || other) per token of difference = other - policy: k1, k2 or k3 (Schulman 2020)."""
    if estimator == "k1":
        return -difference
    return 0.5 * difference**2 if estimator == "k2" else torch.expm1(difference) - difference


def _kept(weight: Tensor, values: Tensor) -> Tensor:
    """values where the weight is not zero, else 0: a masked NaN leaves no trace."""
    return torch.where(weight != 0, values, torch.zeros_like(values))


def ppo_clip_loss(
    logprob: Tensor,
    old_logprob: Tensor,
    advantages: Tensor,
    step_index: Tensor,
    token_weight: Tensor,
    *,
    ref_logprob: Tensor | None = None,
    clip_low: float = 0.1,
    clip_high: float = 0.1,
    kl_coef: float = 0.0,
    kl_estimator: str = "k3",
    ratio_guard: float | None = None,
    dual_clip: float | None = None,
    log_ratio_cap: float = 20.0,
) -> tuple[Tensor, PPOStats]:
    """Token-wise clipped surrogate with the step's advantage on each of its tokens, plus KL (paper Eq. 3, 5, 6).

    sum_i w_i (-min(r_i A, clip(r_i, 1 - clip_low, 1 + clip_high) A) + kl_coef kl_i), r = exp(logprob - old), A = advantages[step].
    """
    logprob, old_logprob = _kept(token_weight, logprob), _kept(token_weight, old_logprob)
    raw = logprob - old_logprob
    ratio = raw.clamp(-log_ratio_cap, log_ratio_cap).exp()
    advantage = advantages[step_index]
    clipped = ratio.clamp(1.0 - clip_low, 1.0 + clip_high) * advantage
    surrogate = torch.minimum(ratio * advantage, clipped)
    if dual_clip:
        surrogate = torch.where(advantage < 0, torch.maximum(surrogate, dual_clip * advantage), surrogate)
    zero = logprob.new_zeros(())
    guard_steps = zero
    if ratio_guard:
        over = (ratio.detach() > ratio_guard).to(advantages.dtype)
        hits = torch.zeros_like(advantages).index_add(0, step_index, over)
        surrogate = torch.where(hits[step_index] > 0, clipped, surrogate)
        guard_steps = (hits > 0).sum().to(logprob.dtype)
    per_token, difference = -surrogate, torch.zeros_like(logprob)
    if ref_logprob is not None:
        difference = (_kept(token_weight, ref_logprob) - logprob).clamp(-log_ratio_cap, log_ratio_cap)
        per_token = per_token + kl_coef * _kl_estimate(difference, kl_estimator)
    loss = (token_weight * per_token).sum()
    (coefficient,) = (
        torch.autograd.grad(loss, logprob, retain_graph=True) if logprob.requires_grad else (torch.zeros_like(logprob),)
    )
    with torch.no_grad():
        total = token_weight.sum().clamp_min(torch.finfo(token_weight.dtype).tiny)
        low, high = ratio < 1.0 - clip_low, ratio > 1.0 + clip_high
        change = raw.clamp(-log_ratio_cap, log_ratio_cap)
        some = len(logprob) > 0

        def mean(values: Tensor) -> Tensor:
            return (token_weight * values).sum() / total

        stats = PPOStats(
            ratio_mean=mean(ratio),
            ratio_max=_kept(token_weight, ratio).max() if some else zero,
            clip_frac=mean(low | high),
            clip_frac_low=mean(low),
            clip_frac_high=mean(high),
            guard_steps=guard_steps,
            kl_old_k1=-mean(raw),
            kl_old_k3=mean(torch.expm1(change) - change),
            kl_ref_k1=-mean(difference),
            kl_ref_k3=mean(torch.expm1(difference) - difference),
            log_ratio_abs_max=raw.abs().max() if some else zero,
            capped_tokens=(raw.abs() > log_ratio_cap).sum().to(logprob.dtype),
            tokens=(token_weight != 0).sum().to(logprob.dtype),
            active_tokens=(coefficient != 0).sum().to(logprob.dtype),
        )
    return loss, PPOStats(*(s.detach() for s in stats))


def value_loss(
    value: Tensor,
    old_value: Tensor | None,
    returns: Tensor,
    step_weight: Tensor,
    *,
    clip: float | None = None,
    huber: float | None = None,
    coef: float = 0.5,
) -> tuple[Tensor, ValueStats]:
    """Weighted squared error of one value per step (paper Eq. 4), all [S], times coef; `clip` limits the move from old_value.

    With huber = d the square becomes d (2 |e| - d) beyond |e| = d (so that coef 0.5 gives the Huber loss itself).
    """

    def penalty(error: Tensor) -> Tensor:
        return error**2 if not huber else torch.where(error.abs() <= huber, error**2, huber * (2 * error.abs() - huber))

    value, returns = _kept(step_weight, value), _kept(step_weight, returns)
    error = value - returns
    loss, is_moved = penalty(error), torch.zeros_like(step_weight, dtype=torch.bool)
    if clip:
        if old_value is None:
            raise ValueError("value_loss: clip needs old_value, got None")
        old = _kept(step_weight, old_value)
        moved = penalty(old + (value - old).clamp(-clip, clip) - returns)
        is_moved = (moved > loss) & ((value - old).abs() > clip)
        loss = torch.maximum(loss, moved)
    with torch.no_grad():
        total = step_weight.sum().clamp_min(torch.finfo(step_weight.dtype).tiny)
        stats = ValueStats(
            error_mean=(step_weight * error).sum() / total,
            error_abs_max=error.abs().max() if len(error) else value.new_zeros(()),
            clip_frac=(step_weight * is_moved).sum() / total,
        )
    return coef * (step_weight * loss).sum(), ValueStats(*(s.detach() for s in stats))


def fused_linear_ppo_loss(
    hidden: Tensor,
    weight: Tensor,
    target: Tensor,
    old_logprob: Tensor,
    advantages: Tensor,
    step_index: Tensor,
    token_weight: Tensor,
    *,
    ref_logprob: Tensor | None = None,
    bias: Tensor | None = None,
    temperature: float | Tensor = 1.0,
    softcap: float | None = None,
    banned_ids: Tensor | None = None,
    ignore_index: int = -100,
    **loss_options: object,
) -> tuple[Tensor, PPOStats, Tensor]:
    """`linear_logprob` followed by `ppo_clip_loss`: (loss, statistics, log-probs [N] detached)."""
    logprob = linear_logprob(
        hidden, weight, target,
        bias=bias, temperature=temperature, softcap=softcap, banned_ids=banned_ids, ignore_index=ignore_index,
    ).logprob  # fmt: skip
    loss, stats = ppo_clip_loss(
        logprob, old_logprob, advantages, step_index, token_weight, ref_logprob=ref_logprob, **loss_options  # type: ignore[arg-type]
    )  # fmt: skip
    return loss, stats, logprob.detach()


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
) -> tuple[Tensor, Tensor]:
    """Step-level GAE: (advantage, returns = advantage + value).

    delta_t = r_t + gamma (1 - terminated_t) V'_t - V_t;  A_t = delta_t + gamma lam (1 - terminated_t)(1 - truncated_t) A_{t+1}.
    V'_t is final_value_t (0 without it) at a truncation, the bootstrap at the end, else V_{t+1}. Rectangular [T, E] with bootstrap
    [E], or flat [S] with segment_offsets [K + 1] and bootstrap [K].
    """
    if segment_offsets is not None:

        def column(values: Tensor | None, part: slice) -> Any:
            return None if values is None else values[part, None]

        parts = []
        for k, (start, end) in enumerate(itertools.pairwise(segment_offsets.tolist())):
            part = slice(start, end)
            advantage, _ = generalized_advantage_estimate(
                column(reward, part), column(value, part), bootstrap[k : k + 1], column(terminated, part), column(truncated, part),
                gamma=gamma, lam=lam, final_value=column(final_value, part),
            )  # fmt: skip
            parts.append(advantage[:, 0])
        advantage = torch.cat([value.new_empty(0), *parts])
        return advantage, advantage + value
    advantage, carry, following = torch.empty_like(value), torch.zeros_like(bootstrap), bootstrap
    for t in reversed(range(len(reward))):
        at_cut = torch.zeros_like(following) if final_value is None else final_value[t]
        ahead = torch.where(truncated[t], at_cut, following)
        live, goes_on = (~terminated[t]).to(value.dtype), (~(terminated[t] | truncated[t])).to(value.dtype)
        # where, not a product: what lies behind an episode's end may be anything.
        ahead = torch.where(terminated[t], torch.zeros_like(ahead), ahead)
        carry = torch.where(goes_on > 0, carry, torch.zeros_like(carry))
        carry = reward[t] + gamma * live * ahead - value[t] + gamma * lam * carry
        advantage[t], following = carry, value[t]
    return advantage, advantage + value


def masked_whiten(values: Tensor, mask: Tensor, *, unbiased: bool = True, eps: float = 1e-8) -> Tensor:
    """(values - mean) / (std + eps) over the masked entries; zero outside the mask, all zero without spread."""
    chosen = values[mask]
    if len(chosen) < 2 or bool(chosen.max() == chosen.min()):
        return torch.zeros_like(values)
    whitened = (values - chosen.mean()) / (chosen.std(unbiased=unbiased) + eps)
    return torch.where(mask, whitened, torch.zeros_like(values))


def pack_action_rows(
    hidden: Tensor, action_mask: Tensor, *, row_index: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Gather the hidden states that predict the response tokens: (rows [N, H], step_index [N], position [N]).

    hidden: [B, L, H]. action_mask: [B, L] bool, True at response tokens. The causal shift happens here and nowhere else: the
    token at position t is predicted by the hidden state at t - 1. row_index [N] are the flat places of the True entries, if known.
    """
    if row_index is None:
        row_index = action_mask.flatten().nonzero()[:, 0]
    step_index, position = row_index // action_mask.shape[1], row_index % action_mask.shape[1]
    if bool((position == 0).any()):
        raise ValueError(
            "pack_action_rows: expected a prompt token before the first response token, got a mask at position 0"
        )
    return hidden[step_index, position - 1], step_index, position


_GOLDEN = -7046029254386353131  # 0x9E3779B97F4A7C15 as int64


def _mix(x: Tensor) -> Tensor:
    """SplitMix64 finaliser on int64 tensors (wrapping arithmetic, logical shifts)."""
    x = (x ^ ((x >> 30) & 0x3FFFFFFFF)) * -4658895280553007687
    x = (x ^ ((x >> 27) & 0x1FFFFFFFFF)) * -7723592293110705685
    return x ^ ((x >> 31) & 0x1FFFFFFFF)


def counter_uniform(seed: Tensor, position: Tensor, num_columns: int) -> Tensor:
    """Uniforms in (0, 1), [B, num_columns] float64, that depend on (seed, position, column) alone. seed, position: [B] int64."""
    row = _mix(_mix(seed + _GOLDEN) + (position + 1) * _GOLDEN)
    column = torch.arange(1, num_columns + 1, device=seed.device, dtype=torch.int64) * _GOLDEN
    bits = (_mix(row[:, None] + column[None]) >> 11) & ((1 << 53) - 1)
    return (bits.double() + 0.5) * 2.0**-53


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
) -> SampleOutput:
    """Sample one id per row of logits [B, V] by Gumbel-max, with its log-prob.

    Order: temperature, banned ids, top-k, renormalise, top-p, min-p (a share of the most likely id's probability). The most likely id
    always stays. seed, position [B] key the noise, so a row's sample does not depend on its neighbours. A row with a NaN or +inf
    logit, or nothing left to sample, is not valid: token 0. Greedy takes the lowest id among ties.
    """
    scaled = _scaled(logits.to(accumulate_dtype(logits.dtype)), None, banned_ids, None, temperature)
    valid = torch.isfinite(scaled.max(-1).values)
    raw = torch.where(valid[:, None], scaled, torch.zeros_like(scaled)).log_softmax(-1)
    ordered, index = raw.sort(dim=-1, descending=True, stable=True)
    rank = torch.arange(raw.shape[-1], device=raw.device)
    limit = torch.as_tensor(top_k, device=raw.device)
    limit = torch.where(limit <= 0, raw.shape[-1], limit)
    ordered = ordered.masked_fill(rank >= (limit[:, None] if limit.dim() else limit), -torch.inf)
    probs = ordered.softmax(-1)
    share = _column(top_p, raw)
    is_cut = ((probs.cumsum(-1) - probs >= share) & (share < 1)) | (probs < min_p * probs[:, :1])
    is_cut[:, 0] = False
    kept = torch.empty_like(raw).scatter_(-1, index, ordered.masked_fill(is_cut, -torch.inf))
    noise = -torch.log(-torch.log(counter_uniform(seed, position, raw.shape[-1])))
    noise = torch.where(_column(greedy, raw) != 0, torch.zeros_like(noise), noise)
    token = (kept.double() + noise).argmax(-1)
    pick, nan = token[:, None], raw.new_full((len(raw),), torch.nan)
    return SampleOutput(
        token=torch.where(valid, token, torch.zeros_like(token)),
        logprob_raw=torch.where(valid, raw.gather(-1, pick)[:, 0], nan),
        logprob_processed=torch.where(valid, kept.log_softmax(-1).gather(-1, pick)[:, 0], nan),
        entropy=torch.where(valid, _entropy(raw), nan),
        valid=valid,
    )
