"""Step-level advantages of one update (paper section 0, items 2 and 3): GAE over flat segments, then whitening."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from vldac import _core, seeding
from vldac.config import AlgorithmConfig
from vldac.data import RolloutBatch
from vldac.kernels import masked_whiten


@dataclass(frozen=True, kw_only=True, slots=True)
class Advantages:
    """Per environment step, in the order of the batch's steps."""

    advantage: torch.Tensor
    """[S] float32, whitened (unless switched off)"""
    returns: torch.Tensor
    """[S] float32, value targets"""
    weight: torch.Tensor
    """[S] float32, 0 for faulty steps (they never reach the loss), else 1"""
    explained_variance: float


def step_advantages(batch: RolloutBatch, config: AlgorithmConfig, *, seed: int, update: int) -> Advantages:
    """Return advantages and returns of every step. delta = r + gamma V' (1 - term) - V; cut at episode ends."""
    steps = batch.steps
    value = np.array([s.value for s in steps], np.float64)
    terminated = np.array([s.terminated for s in steps], bool)
    truncated = np.array([s.truncated for s in steps], bool)
    if config.timeout == "terminal":
        terminated, truncated = terminated | truncated, np.zeros_like(truncated)
    advantage, returns = _core.gae(
        np.array([s.reward for s in steps], np.float64),
        value,
        np.array([s.final_value for s in steps], np.float64),
        terminated,
        truncated,
        batch.segment_offsets,
        batch.bootstrap,
        config.gamma,
        config.gae_lambda,
    )
    weight = torch.tensor([0.0 if s.fault else 1.0 for s in steps])
    result = torch.from_numpy(np.asarray(advantage, np.float32).copy())
    if config.normalize_advantages:
        result = masked_whiten(result, weight > 0)
    if config.shuffle_advantages:
        order = seeding.generator(seed, "control", update).permutation(len(result))
        result = result[torch.from_numpy(order)]
    spread = float(np.var(returns))
    explained = 1.0 - float(np.var(returns - value)) / spread if spread > 0 else 0.0
    return Advantages(
        advantage=result,
        returns=torch.from_numpy(np.asarray(returns, np.float32).copy()),
        weight=weight,
        explained_variance=explained,
    )
