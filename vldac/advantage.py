"""Step-level advantages of one update (paper section 0, items 2 and 3): GAE over flat segments, then whitening."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from vldac import seeding
from vldac.config import AlgorithmConfig
from vldac.data import RolloutBatch
from vldac.kernels import generalized_advantage_estimate, masked_whiten
from vldac.kernels.dispatch import vector_backend


@dataclass(frozen=True, kw_only=True, slots=True)
class Advantages:
    """Per environment step, in the order of the batch's steps."""

    advantage: torch.Tensor
    """[S] float32, whitened (unless switched off)"""
    returns: torch.Tensor
    """[S] float32, value targets"""
    weight: torch.Tensor
    """[S] float32, 0 for faulty steps and, with timeout = "drop", for truncated ones (they never reach the loss), else 1"""
    explained_variance: float


def step_advantages(
    batch: RolloutBatch, config: AlgorithmConfig, *, seed: int, update: int, kernels: str = "auto"
) -> Advantages:
    """Return advantages and returns of every step. delta = r + gamma V' (1 - term) - V; cut at episode ends."""
    buffer = batch.buffer
    reward, value, fault = buffer.reward, buffer.value, buffer.fault
    terminated, truncated = buffer.terminated, buffer.truncated
    if config.timeout == "terminal":
        terminated, truncated = terminated | truncated, np.zeros_like(truncated)
    # A step that is left out has no advantage, and the steps before it bootstrap from its value: delta = V - V, then a cut.
    out = fault | truncated if config.timeout == "drop" else fault
    reward, terminated = np.where(out, value, reward), terminated | out
    advantage, value_target = generalized_advantage_estimate(
        torch.from_numpy(reward), torch.from_numpy(value), torch.from_numpy(batch.bootstrap), torch.from_numpy(terminated),
        torch.from_numpy(truncated), gamma=config.gamma, lam=config.gae_lambda, final_value=torch.from_numpy(buffer.final_value),
        segment_offsets=torch.from_numpy(batch.segment_offsets), backend=vector_backend(kernels),
    )  # fmt: skip
    returns = value_target.numpy()
    weight = torch.from_numpy(np.where(out, 0.0, 1.0).astype(np.float32))
    result = advantage.float()
    if config.normalize_advantages:
        result = masked_whiten(result, weight > 0, backend=vector_backend(kernels))
    if config.shuffle_advantages:
        order = seeding.generator(seed, "control", update).permutation(len(result))
        result = result[torch.from_numpy(order)]
    counted = ~out
    spread = float(np.var(returns[counted])) if counted.any() else 0.0
    explained = 1.0 - float(np.var((returns - value)[counted])) / spread if spread > 0 else 0.0
    return Advantages(
        advantage=result,
        returns=value_target.float(),
        weight=weight,
        explained_variance=explained,
    )
