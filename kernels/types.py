"""What the kernels return: named tuples of tensors, on the device, never read by the host.

Shapes: N response tokens, S environment steps, B rows of a decode batch. All float32 (float64 for float64 inputs).
"""

from __future__ import annotations

from typing import NamedTuple

import torch


class LinearLogprobOutput(NamedTuple):
    """What `linear_logprob` and `selective_log_softmax` return."""

    logprob: torch.Tensor
    """[N], differentiable"""
    entropy: torch.Tensor | None
    """[N], differentiable where that was asked for"""
    lse: torch.Tensor | None
    """[N], log-sum-exp of the logits over the temperature; no gradient"""


class PPOStats(NamedTuple):
    """Statistics of `ppo_clip_loss`: scalars without gradient; means are weighted by token_weight. Tokens of weight 0 never count."""

    ratio_mean: torch.Tensor
    ratio_max: torch.Tensor
    clip_frac: torch.Tensor
    """outside [1 - clip_low, 1 + clip_high], whatever the advantage"""
    clip_frac_low: torch.Tensor
    clip_frac_high: torch.Tensor
    guard_steps: torch.Tensor
    """steps that the ratio guard flipped, a count"""
    kl_old_k1: torch.Tensor
    kl_old_k3: torch.Tensor
    kl_ref_k1: torch.Tensor
    """0 without ref_logprob, as kl_ref_k3"""
    kl_ref_k3: torch.Tensor
    log_ratio_abs_max: torch.Tensor
    """before the cap"""
    capped_tokens: torch.Tensor
    """log-ratios beyond log_ratio_cap, a count"""
    tokens: torch.Tensor
    """tokens of non-zero weight, a count"""
    active_tokens: torch.Tensor
    """tokens whose gradient is not zero, a count"""


class ValueStats(NamedTuple):
    """Statistics of `value_loss`: scalars without gradient, weighted by step_weight. Steps of weight 0 never count."""

    error_mean: torch.Tensor
    """value - return"""
    error_abs_max: torch.Tensor
    clip_frac: torch.Tensor
    """steps whose clipped error is the larger one; 0 without clip"""


class SampleOutput(NamedTuple):
    """What `sample_with_logprob` returns; each field has shape [B]."""

    token: torch.Tensor
    """int64; 0 where not valid"""
    logprob_raw: torch.Tensor
    """under temperature and banned ids: the trainer's definition"""
    logprob_processed: torch.Tensor
    """after truncation (top-k, top-p, min-p)"""
    entropy: torch.Tensor
    """of the distribution of logprob_raw"""
    valid: torch.Tensor
    """bool, False where a logit was NaN or +inf, or nothing was left to sample; the log-probs are NaN there"""
