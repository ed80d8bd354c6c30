"""From a rollout batch to the trajectory records that `vldac view` shows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vldac.actions import ParseStatus
from vldac.advantage import Advantages
from vldac.config import TrainConfig
from vldac.data import RolloutBatch
from vldac.packing import Packing, until_it_fits
from vldac.policy import Policy
from vldac.tracks import MapView
from vldac.trajectories import StepRecord, write_trajectories
from vldac.update import score


def record_update(
    run_dir: Path, update: int, policy: Policy, batch: RolloutBatch, advantages: Advantages, config: TrainConfig,
    action_names: list[str],
) -> Path:  # fmt: skip
    """Write one update's steps with the log-probs of the policy as it is after the update."""
    buffer, tokenizer = batch.buffer, policy.model_info.tokenizer
    packing = Packing.of(batch, policy.image_token_id, policy.budget)
    logprobs = until_it_fits(
        lambda: score(policy, batch, packing, [np.arange(len(batch))], temperature=config.rollout.temperature),
        policy.budget.shrink,
    )
    placeholder = re.escape(tokenizer.decode([policy.encoder.image_token_id]))
    images: dict[str, np.ndarray] = {}
    records = []
    for i in range(len(batch)):
        frames = batch.frames(i)
        keys = [f"{i}/{k}" for k in range(len(frames))]
        images.update(zip(keys, frames, strict=True))
        place = _place(batch, i)
        if place.map is not None and place.view is not None:
            images[place.map] = place.view.picture
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
                action=_action_of(batch, i, action_names) + ("" if buffer.is_valid[i] else " (fallback)"),
                parse_status=parse_status(batch, i),
                reward=float(buffer.reward[i]),
                value=float(buffer.value[i]),
                ret=float(advantages.returns[i]),
                terminated=bool(buffer.terminated[i]),
                truncated=bool(buffer.truncated[i]),
                success=bool(buffer.success[i]) if ended else None,
                pose=place.pose,
                map=place.map,
                map_frame=None if place.view is None else list(place.view.frame),
                box=_box(batch, i),
            )
        )
    return write_trajectories(run_dir, update, records, images)


def _action_of(batch: RolloutBatch, i: int, names: list[str]) -> str:
    """What the environment was told at step i, in words."""
    if batch.commands:
        return batch.commands[i] or "(nothing)"
    return names[int(batch.buffer.action[i])]


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the agent was at a step: its pose, and the map of its episode with a name for the picture."""

    pose: list[float] | None = None
    map: str | None = None
    view: MapView | None = None


def _place(batch: RolloutBatch, i: int) -> _Place:
    """Return where the agent was at step i; nothing of it where that was not tracked."""
    if batch.tracks is None:
        return _Place()
    env, episode = i // batch.buffer.steps, int(batch.buffer.episode[i])
    pose = batch.tracks.poses[i]
    view = batch.tracks.maps.get((env, episode))
    name = None if view is None else f"map {env}/{episode}"
    return _Place(None if np.isnan(pose).any() else pose.tolist(), name, view)


def _box(batch: RolloutBatch, i: int) -> list[int] | None:
    """What step i's command points to on its last frame, if that was noted and is anything."""
    if batch.tracks is None or batch.tracks.boxes[i, 2] <= 0:
        return None
    box: list[int] = batch.tracks.boxes[i].tolist()
    return box


def parse_status(batch: RolloutBatch, i: int) -> str:
    """Return how step i's response was read: "ok", "tolerant", or why it held no usable action."""
    if not batch.buffer.has_end[i]:
        return "length_limit"
    return ParseStatus(int(batch.buffer.status[i])).name.lower()
