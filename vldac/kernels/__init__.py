"""Decoder, log-prob, loss, advantage and sampling kernels behind one dispatcher: C++ on the CPU, Triton on a GPU, torch anywhere.

`vldac.kernels.reference` is their specification in plain torch; `explain` says which tier an operation takes, and why. Importing this
starts no compilation and needs neither Triton nor a GPU.
"""

from vldac.kernels.advantages import generalized_advantage_estimate, masked_whiten
from vldac.kernels.attention import prefix_attention, slot_attention
from vldac.kernels.decoder import apply_rotary, rms_norm, swiglu
from vldac.kernels.dispatch import BACKENDS, OPERATIONS, KernelError, explain
from vldac.kernels.losses import fused_linear_ppo_loss, ppo_clip_loss, value_loss
from vldac.kernels.packing import pack_action_rows
from vldac.kernels.sampling import sample_with_logprob
from vldac.kernels.scoring import linear_logprob, selective_log_softmax
from vldac.kernels.types import LinearLogprobOutput, PPOStats, SampleOutput, ValueStats

__all__ = [
    "BACKENDS",
    "OPERATIONS",
    "KernelError",
    "LinearLogprobOutput",
    "PPOStats",
    "SampleOutput",
    "ValueStats",
    "apply_rotary",
    "explain",
    "fused_linear_ppo_loss",
    "generalized_advantage_estimate",
    "linear_logprob",
    "masked_whiten",
    "pack_action_rows",
    "ppo_clip_loss",
    "prefix_attention",
    "rms_norm",
    "sample_with_logprob",
    "selective_log_softmax",
    "slot_attention",
    "swiglu",
    "value_loss",
]
