"""From a rollout batch to the trajectory records that `vldac view` shows."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from vldac.actions import ParseStatus
from vldac.advantage import Advantages
from vldac.config import TrainConfig
from vldac.data import RolloutBatch
from vldac.policy import Policy
from vldac.trajectories import StepRecord, write_trajectories
from vldac.update import microbatches, score


def record_update(
    run_dir: Path, update: int, policy: Policy, batch: RolloutBatch, advantages: Advantages, config: TrainConfig,
    action_names: list[str],
) -> Path:  # fmt: skip
    """Write one update's steps with the log-probs of the policy as it is after the update."""
    buffer, tokenizer = batch.buffer, policy.model_info.tokenizer
    plan = microbatches(batch.lengths(), np.arange(len(batch)), config.optim)
    logprobs = score(policy, batch, plan, temperature=config.rollout.temperature)
    placeholder = re.escape(tokenizer.decode([policy.encoder.image_token_id]))
    images: dict[str, np.ndarray] = {}
    records = []
    for i in range(len(batch)):
        frames = batch.frames(i)
        keys = [f"{i}/{k}" for k in range(len(frames))]
        images.update(zip(keys, frames, strict=True))
        ids = batch.response(i).tolist()
        ended = bool(buffer.terminated[i] or buffer.truncated[i])
        records.append(
            StepRecord(
                update=update,
                env=i // buffer.steps,
                episode=int(buffer.episode[i]),
                step=int(buffer.index[i]),
                frames=keys,
                prompt=re.sub(f"(?:{placeholder})+", "<image>", tokenizer.decode(batch.prompts[i].ids)),
                response=tokenizer.decode(ids, skip_special_tokens=True),
                tokens=[tokenizer.decode([token]) for token in ids],
                token_logprob=logprobs[i].tolist(),
                token_old_logprob=batch.decode_logprob(i).tolist(),
                advantage=float(advantages.advantage[i]),
                action=action_names[int(buffer.action[i])] + ("" if buffer.is_valid[i] else " (fallback)"),
                parse_status=parse_status(batch, i),
                reward=float(buffer.reward[i]),
                value=float(buffer.value[i]),
                ret=float(advantages.returns[i]),
                terminated=bool(buffer.terminated[i]),
                truncated=bool(buffer.truncated[i]),
                success=bool(buffer.success[i]) if ended else None,
            )
        )
    return write_trajectories(run_dir, update, records, images)


def parse_status(batch: RolloutBatch, i: int) -> str:
    """Return how step i's response was read: "ok", "tolerant", or why it held no usable action."""
    if not batch.buffer.has_end[i]:
        return "length_limit"
    return ParseStatus(int(batch.buffer.status[i])).name.lower()
