"""Log-prob, loss, advantage and sampling kernels. `reference` is their specification in plain torch."""

from vldac.kernels.reference import (
    fused_linear_ppo_loss,
    generalized_advantage_estimate,
    linear_logprob,
    masked_whiten,
    pack_action_rows,
    ppo_clip_loss,
    sample_with_logprob,
    selective_log_softmax,
    value_loss,
)
from vldac.kernels.types import LinearLogprobOutput, PPOStats, SampleOutput, ValueStats

__all__ = [
    "LinearLogprobOutput",
    "PPOStats",
    "SampleOutput",
    "ValueStats",
    "fused_linear_ppo_loss",
    "generalized_advantage_estimate",
    "linear_logprob",
    "masked_whiten",
    "pack_action_rows",
    "ppo_clip_loss",
    "sample_with_logprob",
    "selective_log_softmax",
    "value_loss",
]
