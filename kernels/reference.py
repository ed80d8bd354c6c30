"""The specification of every kernel, in plain torch.

Faster tiers must equal these functions within the tolerances of the tests. All reductions run in float32 (float64 for
float64 input). No [rows, vocabulary] tensor outlives a chunk of rows.

Shapes: N response tokens, S environment steps, V vocabulary, H hidden, B rows of a decode batch, K segments.
"""

from __future__ import annotations

from typing import NamedTuple

import torch


class LinearLogprobOutput(NamedTuple):
    """What `linear_logprob` returns."""

    logprob: torch.Tensor
    """[N] float32"""
    entropy: torch.Tensor | None
    """[N] float32, no gradient"""
    lse: torch.Tensor | None
    """[N] float32, no gradient"""


class PPOStats(NamedTuple):
    """Statistics of `ppo_clip_loss`: scalars on the device, no gradient, weighted by token_weight where a mean."""

    ratio_mean: torch.Tensor
    ratio_max: torch.Tensor
    clip_frac: torch.Tensor
    guard_steps: torch.Tensor
    kl_old_k1: torch.Tensor
    kl_ref_k3: torch.Tensor
    log_ratio_abs_max: torch.Tensor
    capped_tokens: torch.Tensor


class SampleOutput(NamedTuple):
    """What `sample_with_logprob` returns; each field has shape [B]."""

    token: torch.Tensor
    """int64"""
    logprob_raw: torch.Tensor
    """float32, under temperature and banned ids: the trainer's definition"""
    logprob_processed: torch.Tensor
    """float32, after truncation"""
    entropy: torch.Tensor
    """float32, of the distribution of logprob_raw"""
    valid: torch.Tensor
    """bool, False where the logits of the row were not finite"""


def _chunk_logits(
    hidden: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    temperature: float,
    banned_ids: torch.Tensor | None,
) -> torch.Tensor:
    """Logits of a chunk at the given temperature, accumulated in float32; banned columns are -inf."""
    accumulate = torch.promote_types(hidden.dtype, torch.float32)
    logits = hidden.to(accumulate) @ weight.to(accumulate).T
    if bias is not None:
        logits = logits + bias.to(accumulate)
    logits = logits / temperature
    if banned_ids is not None:
        logits[:, banned_ids] = -torch.inf
    return logits


def _entropy(log_probs: torch.Tensor) -> torch.Tensor:
    probs = log_probs.exp()
    return -(probs * log_probs.masked_fill(probs == 0, 0)).sum(-1)


class _LinearLogprob(torch.autograd.Function):
    """Two-product form for a frozen head: G = d logprob / d hidden = (onehot - p) W / T is built in the forward pass."""

    @staticmethod
    def forward(ctx, hidden, weight, target, bias, temperature, banned_ids, chunk_rows):  # type: ignore[no-untyped-def]
        needs_gradient = hidden.requires_grad
        accumulate = torch.promote_types(hidden.dtype, torch.float32)
        num_rows = hidden.shape[0]
        logprob = hidden.new_empty(num_rows, dtype=accumulate)
        entropy, lse = torch.empty_like(logprob), torch.empty_like(logprob)
        gradient = torch.empty_like(hidden) if needs_gradient else hidden.new_empty(0)
        for start in range(0, num_rows, chunk_rows):
            rows = slice(start, start + chunk_rows)
            logits = _chunk_logits(hidden[rows], weight, bias, temperature, banned_ids)
            lse[rows] = torch.logsumexp(logits, -1)
            log_probs = logits - lse[rows][:, None]
            logprob[rows] = log_probs.gather(-1, target[rows][:, None])[:, 0]
            entropy[rows] = _entropy(log_probs)
            if needs_gradient:
                delta = log_probs.exp_().neg_()
                delta.scatter_add_(-1, target[rows][:, None], delta.new_ones(len(delta), 1))
                gradient[rows] = ((delta / temperature) @ weight.to(accumulate)).to(hidden.dtype)
        ctx.save_for_backward(gradient)
        ctx.mark_non_differentiable(entropy, lse)
        return logprob, entropy, lse

    @staticmethod
    def backward(ctx, upstream, _entropy_upstream, _lse_upstream):  # type: ignore[no-untyped-def]
        (gradient,) = ctx.saved_tensors
        return (gradient * upstream[:, None]).to(gradient.dtype), None, None, None, None, None, None


def linear_logprob(
    hidden: torch.Tensor,
    weight: torch.Tensor,
    target: torch.Tensor,
    *,
    bias: torch.Tensor | None = None,
    temperature: float = 1.0,
    banned_ids: torch.Tensor | None = None,
    ignore_index: int = -100,
    return_entropy: bool = False,
    return_lse: bool = False,
    chunk_rows: int = 1024,
) -> LinearLogprobOutput:
    """Log-prob of `target` under softmax((hidden W^T + bias) / temperature) over the ids that are not banned.

    hidden: [N, H] floating. weight: [V, H]. target: [N] integer in [0, V) or `ignore_index` (logprob 0, no gradient, and the
    row's hidden values never leak). The head is frozen: asking for its gradient raises. Raises IndexError on other ids.
    """
    if weight.requires_grad and torch.is_grad_enabled():
        raise ValueError(
            "linear_logprob: expected a frozen head (weight.requires_grad False), got a trainable one; detach it, or use "
            "selective_log_softmax on explicit logits"
        )
    target = target.long()
    keep = target != ignore_index
    if bool(((target < 0) | (target >= weight.shape[0]))[keep].any()):
        raise IndexError(
            f"linear_logprob: expected targets in [0, {weight.shape[0]}) or {ignore_index}, got {target[keep]}"
        )
    rows = torch.where(keep[:, None], hidden, torch.zeros_like(hidden))
    logprob, entropy, lse = _LinearLogprob.apply(
        rows, weight, target.clamp_min(0), bias, temperature, banned_ids, chunk_rows
    )
    zero = torch.zeros_like(logprob)
    return LinearLogprobOutput(
        torch.where(keep, logprob, zero),
        torch.where(keep, entropy, zero) if return_entropy else None,
        lse if return_lse else None,
    )


def selective_log_softmax(logits: torch.Tensor, target: torch.Tensor, *, temperature: float = 1.0) -> torch.Tensor:
    """Log-prob of target [N] under logits [N, V] at a temperature; float32, differentiable."""
    scaled = logits.to(torch.promote_types(logits.dtype, torch.float32)) / temperature
    return scaled.gather(-1, target.long()[:, None])[:, 0] - torch.logsumexp(scaled, -1)


def ppo_clip_loss(
    logprob: torch.Tensor,
    old_logprob: torch.Tensor,
    advantages: torch.Tensor,
    step_index: torch.Tensor,
    token_weight: torch.Tensor,
    *,
    ref_logprob: torch.Tensor | None = None,
    clip_low: float = 0.1,
    clip_high: float = 0.1,
    kl_coef: float = 0.0,
    ratio_guard: float | None = None,
    log_ratio_cap: float = 20.0,
) -> tuple[torch.Tensor, PPOStats]:
    """Token-wise clipped surrogate with the step's advantage on each of its tokens, plus k3 KL (paper Eq. 3, 5, 6).

    logprob, old_logprob, ref_logprob, token_weight: [N]. advantages: [S]. step_index: [N] into S. The weight carries mask and
    aggregation: 1 / (tokens in the step x steps in the batch) gives the paper's mean. Loss is minimised.
    k3 = exp(ref - logprob) - (ref - logprob) - 1 >= 0, an estimate of KL(policy || reference).
    """
    raw = logprob - old_logprob
    log_ratio = raw.clamp(-log_ratio_cap, log_ratio_cap)
    ratio = log_ratio.exp()
    advantage = advantages[step_index]
    clipped = ratio.clamp(1.0 - clip_low, 1.0 + clip_high) * advantage
    surrogate = torch.minimum(ratio * advantage, clipped)
    zero = logprob.new_zeros(())
    guard_steps = zero
    if ratio_guard is not None:
        hits = torch.zeros_like(advantages).index_add(
            0, step_index, (ratio.detach() > ratio_guard).to(advantages.dtype)
        )
        surrogate = torch.where(hits[step_index] > 0, clipped, surrogate)
        guard_steps = (hits > 0).sum().to(logprob.dtype)
    per_token = -surrogate
    k3 = None
    if ref_logprob is not None:
        difference = (ref_logprob - logprob).clamp(-log_ratio_cap, log_ratio_cap)
        k3 = torch.expm1(difference) - difference
        per_token = per_token + kl_coef * k3
    loss = (token_weight * per_token).sum()
    with torch.no_grad():
        total = token_weight.sum().clamp_min(torch.finfo(token_weight.dtype).tiny)
        is_clipped = (ratio < 1.0 - clip_low) | (ratio > 1.0 + clip_high)
        some = len(logprob) > 0
        stats = PPOStats(
            ratio_mean=(token_weight * ratio).sum() / total,
            ratio_max=ratio.max() if some else zero,
            clip_frac=(token_weight * is_clipped).sum() / total,
            guard_steps=guard_steps,
            kl_old_k1=-(token_weight * raw).sum() / total,
            kl_ref_k3=(token_weight * k3).sum() / total if k3 is not None else zero,
            log_ratio_abs_max=raw.abs().max() if some else zero,
            capped_tokens=(raw.abs() > log_ratio_cap).sum().to(logprob.dtype),
        )
    return loss, PPOStats(*(s.detach() for s in stats))


def value_loss(
    value: torch.Tensor,
    returns: torch.Tensor,
    step_weight: torch.Tensor,
    *,
    old_value: torch.Tensor | None = None,
    clip: float | None = None,
) -> torch.Tensor:
    """Weighted half squared error of one value per step (paper Eq. 4), all [S]; `clip` limits the move from old_value."""
    error = (value - returns) ** 2
    if clip is not None:
        if old_value is None:
            raise ValueError("value_loss: clip needs old_value")
        moved = old_value + (value - old_value).clamp(-clip, clip)
        error = torch.maximum(error, (moved - returns) ** 2)
    return 0.5 * (step_weight * error).sum()


def fused_linear_ppo_loss(
    hidden: torch.Tensor,
    weight: torch.Tensor,
    target: torch.Tensor,
    old_logprob: torch.Tensor,
    advantages: torch.Tensor,
    step_index: torch.Tensor,
    token_weight: torch.Tensor,
    *,
    ref_logprob: torch.Tensor | None = None,
    temperature: float = 1.0,
    banned_ids: torch.Tensor | None = None,
    clip_low: float = 0.1,
    clip_high: float = 0.1,
    kl_coef: float = 0.0,
) -> tuple[torch.Tensor, PPOStats, torch.Tensor]:
    """`linear_logprob` followed by `ppo_clip_loss`: (loss, statistics, log-probs [N] detached)."""
    logprob = linear_logprob(hidden, weight, target, temperature=temperature, banned_ids=banned_ids).logprob
    loss, stats = ppo_clip_loss(
        logprob, old_logprob, advantages, step_index, token_weight,
        ref_logprob=ref_logprob, clip_low=clip_low, clip_high=clip_high, kl_coef=kl_coef,
    )  # fmt: skip
    return loss, stats, logprob.detach()


def generalized_advantage_estimate(
    reward: torch.Tensor,
    value: torch.Tensor,
    terminated: torch.Tensor,
    truncated: torch.Tensor,
    segment_offsets: torch.Tensor,
    bootstrap: torch.Tensor,
    *,
    gamma: float,
    lam: float,
    final_value: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Step-level GAE over flat segments: (advantage [S], returns [S]).

    reward, value, terminated, truncated, final_value: [S]; segment_offsets: [K + 1]; bootstrap: [K], the value after each
    segment. A terminated step bootstraps nothing, a truncated one its final_value, an open tail its bootstrap.
    """
    advantage = torch.zeros_like(value)
    offsets = segment_offsets.tolist()
    for k in range(len(offsets) - 1):
        carry, following = value.new_zeros(()), bootstrap[k]
        for t in reversed(range(offsets[k], offsets[k + 1])):
            ahead = following
            if bool(truncated[t]):
                ahead = final_value[t] if final_value is not None else value.new_zeros(())
            live = 0.0 if bool(terminated[t]) else 1.0
            delta = reward[t] + gamma * live * ahead - value[t]
            carry = delta + gamma * lam * live * (0.0 if bool(truncated[t]) else 1.0) * carry
            advantage[t], following = carry, value[t]
    return advantage, advantage + value


def masked_whiten(
    values: torch.Tensor, mask: torch.Tensor, *, unbiased: bool = True, eps: float = 1e-8
) -> torch.Tensor:
    """(values - mean) / (std + eps) over the masked entries, [S]; zero outside the mask, all zero without spread."""
    chosen = values[mask]
    if len(chosen) < 2 or float(chosen.max() - chosen.min()) == 0.0:
        return torch.zeros_like(values)
    whitened = (values - chosen.mean()) / (chosen.std(unbiased=unbiased) + eps)
    return torch.where(mask, whitened, torch.zeros_like(values))


def pack_action_rows(
    hidden: torch.Tensor, action_mask: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Gather the hidden states that predict the response tokens: (rows [N, H], step_index [N], position [N]).

    hidden: [B, L, H]. action_mask: [B, L] bool, True at response tokens. The causal shift happens here and nowhere else: the
    token at position t is predicted by the hidden state at t - 1. A response token at position 0 raises ValueError.
    """
    if bool(action_mask[:, 0].any()):
        raise ValueError(
            "pack_action_rows: expected a prompt token before the first response token, got a mask at position 0"
        )
    step_index, position = action_mask.nonzero(as_tuple=True)
    return hidden[step_index, position - 1], step_index, position


_GOLDEN = -7046029254386353131  # 0x9E3779B97F4A7C15 as int64


def _mix(x: torch.Tensor) -> torch.Tensor:
    """SplitMix64 finaliser on int64 tensors (wrapping arithmetic, logical shifts)."""
    x = (x ^ ((x >> 30) & 0x3FFFFFFFF)) * -4658895280553007687
    x = (x ^ ((x >> 27) & 0x1FFFFFFFFF)) * -7723592293110705685
    return x ^ ((x >> 31) & 0x1FFFFFFFF)


def counter_uniform(seed: torch.Tensor, position: torch.Tensor, num_columns: int) -> torch.Tensor:
    """Uniforms in (0, 1), [B, num_columns] float64, that depend on (seed, position, column) alone. seed, position: [B]."""
    row = _mix(_mix(seed + _GOLDEN) + (position + 1) * _GOLDEN)
    column = torch.arange(1, num_columns + 1, device=seed.device, dtype=torch.int64) * _GOLDEN
    bits = (_mix(row[:, None] + column[None]) >> 11) & ((1 << 53) - 1)
    return (bits.double() + 0.5) * 2.0**-53


def sample_with_logprob(
    logits: torch.Tensor,
    *,
    temperature: float = 1.0,
    banned_ids: torch.Tensor | None = None,
    top_k: int = 0,
    top_p: float = 1.0,
    seed: torch.Tensor,
    position: torch.Tensor,
    greedy: bool = False,
) -> SampleOutput:
    """Sample one id per row by Gumbel-max, with its log-prob.

    logits: [B, V]; seed, position: [B] int64 key the noise, so a row's sample does not depend on its neighbours. Order:
    temperature, banned ids, top-k, top-p. A row with a NaN or +inf logit, or nothing left to sample, is not valid: token 0.
    Greedy takes the lowest id among ties.
    """
    scaled = logits.to(torch.promote_types(logits.dtype, torch.float32)) / temperature
    if banned_ids is not None:
        scaled = scaled.index_fill(1, banned_ids, -torch.inf)
    top = scaled.max(-1).values
    valid = torch.isfinite(top)
    raw = torch.where(valid[:, None], scaled, torch.zeros_like(scaled)).log_softmax(-1)
    kept = raw
    if top_k or top_p < 1.0:
        ordered, index = raw.sort(dim=-1, descending=True, stable=True)
        if top_k:
            ordered[:, top_k:] = -torch.inf
        probs = ordered.softmax(-1)
        ordered = ordered.masked_fill((probs.cumsum(-1) - probs >= top_p) & (probs.cumsum(-1) > probs), -torch.inf)
        kept = torch.empty_like(raw).scatter_(-1, index, ordered)
    if greedy:
        token = kept.argmax(-1)
    else:
        noise = -torch.log(-torch.log(counter_uniform(seed, position, logits.shape[1])))
        token = (kept.double() + noise).argmax(-1)
    processed = kept.log_softmax(-1) if kept is not raw else raw
    nan = torch.full_like(top, torch.nan)
    pick = token[:, None]
    return SampleOutput(
        token=torch.where(valid, token, torch.zeros_like(token)),
        logprob_raw=torch.where(valid, raw.gather(-1, pick)[:, 0], nan),
        logprob_processed=torch.where(valid, processed.gather(-1, pick)[:, 0], nan),
        entropy=torch.where(valid, _entropy(raw), nan),
        valid=valid,
    )
