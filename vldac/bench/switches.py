"""What `--switches` turns on, one after the other. A new switch is one line of `SWITCHES`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Switch:
    """One setting that makes it faster."""

    name: str
    off: Mapping[str, Any]
    """Dotted settings without it; with it they are what they would be without this table."""
    on: Mapping[str, Any]
    """Where the default is not what it is about."""


SWITCHES = (
    Switch("environments in one batch", {"env.num_envs": 1}, {}),
    Switch("micro-batches", {"optim.microbatch_steps": 1}, {}),
    Switch("native kernels", {"model.kernels": "torch"}, {}),
    Switch("shared prefix", {"env.prompt_layout": "images_first"}, {"env.prompt_layout": "shared_prefix"}),
    Switch("asynchronous rollout", {"rollout.mode": "sync"}, {"rollout.mode": "async"}),
)


def ladder() -> dict[str, dict[str, Any]]:
    """Name to overrides: everything off, then one more on at a time, in the order of the table, until all are on."""
    steps: dict[str, dict[str, Any]] = {}
    for count in range(len(SWITCHES) + 1):
        overrides: dict[str, Any] = {}
        for index, switch in enumerate(SWITCHES):
            overrides |= switch.on if index < count else switch.off
        steps["+ " + SWITCHES[count - 1].name if count else "all off"] = overrides
    return steps
