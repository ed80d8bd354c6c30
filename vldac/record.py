"""From a rollout batch to the trajectory records that `vldac view` shows."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vldac.advantage import Advantages
from vldac.data import RolloutBatch
from vldac.policy import Policy
from vldac.trajectories import StepRecord, write_trajectories
from vldac.update import score


def record_update(
    run_dir: Path, update: int, policy: Policy, batch: RolloutBatch, advantages: Advantages, *, temperature: float
) -> Path:
    """Write one update's steps with the log-probs of the policy as it is after the update."""
    steps, tokenizer = batch.steps, policy.model_info.tokenizer
    logprobs = score(policy, steps, temperature=temperature, size=32)
    images: dict[str, np.ndarray] = {}
    records = []
    for i, step in enumerate(steps):
        keys = [f"{i}/{k}" for k in range(len(step.frames))]
        images.update(zip(keys, step.frames, strict=True))
        records.append(
            StepRecord(
                update=update,
                env=step.env,
                episode=step.episode,
                step=step.index,
                frames=keys,
                prompt=step.prompt_text,
                response=step.response_text,
                tokens=[tokenizer.decode([token]) for token in step.response.tolist()],
                token_logprob=logprobs[i].tolist(),
                token_old_logprob=step.old_logprob.tolist(),
                advantage=float(advantages.advantage[i]),
                action=str(step.action),
                parse_status="ok" if step.is_valid else step.parse_status.lower(),
                reward=step.reward,
                value=step.value,
                ret=float(advantages.returns[i]),
                terminated=step.terminated,
                truncated=step.truncated,
                success=step.success,
            )
        )
    return write_trajectories(run_dir, update, records, images)
