"""The features of frames in a checkpoint, so that a resumed run goes on with the very bits that playing made.

Encoding the same frames again would give them only in the same batches; stored, they also cost a resumed run nothing.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import torch

from vldac.batch import FrameFeatures
from vldac.frames import Frame, FrameStore, Window

_PREFIX = "rollout/features/"


def features_state(frames: FrameStore, windows: list[list[Window]]) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Return what `restore_features` reads: tensors ([frames, tokens, H] each) and JSON values; nothing of a tower that has moved.

    windows: per environment, those of the steps written.
    """
    if not (frames.is_current and all(frames.shown)):
        return {}, {}
    numbers: dict[int, int] = {}
    distinct: list[FrameFeatures] = []

    def number(features: FrameFeatures) -> int:
        if id(features) not in numbers:
            numbers[id(features)] = len(distinct)
            distinct.append(features)
        return numbers[id(features)]

    state = {
        "grid": list(frames.shown[0][0].features.grid),
        "seen": list(frames.seen),
        "shown": [[[frame.id, number(frame.features)] for frame in own] for own in frames.shown],
        "windows": [[[number(features) for features in window] for window in own] for own in windows],
    }
    tensors = {f"{_PREFIX}embeds": torch.stack([one.embeds for one in distinct]).cpu()}
    for layer in range(len(distinct[0].deepstack)):
        tensors[f"{_PREFIX}deepstack/{layer}"] = torch.stack([one.deepstack[layer] for one in distinct]).cpu()
    return tensors, state


def restore_features(frames: FrameStore, tensors: dict[str, torch.Tensor], state: dict[str, Any]) -> list[list[Window]]:
    """Put a store into the state of a checkpoint; return the windows of the steps written, per environment."""
    device = frames.device
    embeds = tensors[f"{_PREFIX}embeds"].to(device)
    depth = sum(name.startswith(f"{_PREFIX}deepstack/") for name in tensors)
    layers = [tensors[f"{_PREFIX}deepstack/{layer}"].to(device) for layer in range(depth)]
    grid = tuple(state["grid"])
    distinct = [
        FrameFeatures(embeds=embeds[i], deepstack=tuple(layer[i] for layer in layers), grid=grid)
        for i in range(len(embeds))
    ]
    shown = [[Frame(frame, distinct[number]) for frame, number in own] for own in state["shown"]]
    frames.restore([deque(own, maxlen=frames.num_images) for own in shown], list(state["seen"]))
    return [[tuple(distinct[number] for number in window) for window in own] for own in state["windows"]]
