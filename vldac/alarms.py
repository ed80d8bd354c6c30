"""Collapse alarms: signs that a policy is degenerating, read off the metrics of the newest updates.

An alarm is a message (once, until it has ceased) and a metric; the newest checkpoint without an alarm is never pruned. With
`alarms.stop_after` the run ends after so many alarmed updates in a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

from vldac.config import AlarmConfig
from vldac.errors import CollapseError

_HISTORY = 10
"""Updates before the newest whose median KL is the yardstick of a spike."""


def alarms(lines: Sequence[dict[str, Any]], config: AlarmConfig) -> dict[str, str]:
    """Return the alarms that the last line of `lines` (metrics of the updates so far) raises: metric key to message."""
    line = lines[-1]
    found = {}

    def check(key: str, is_bad: bool, text: str) -> None:
        if key in line and is_bad:
            found[key] = f"{text} ({key} {line[key]:.4g})"

    entropy, invalid = line.get("rollout/entropy_mean", 1.0), line.get("rollout/invalid_action_frac", 0.0)
    repetition, kl = line.get("rollout/repetition_frac", 0.0), line.get("policy/kl_ref_k3", 0.0)
    check("rollout/entropy_mean", entropy < config.entropy_min, f"token entropy below {config.entropy_min:g} nats")
    check(
        "rollout/invalid_action_frac",
        invalid > config.invalid_action_max,
        f"more than {config.invalid_action_max:.0%} invalid",
    )
    check(
        "rollout/repetition_frac", repetition > config.repetition_max, f"more than {config.repetition_max:.0%} repeated"
    )
    earlier = [past["policy/kl_ref_k3"] for past in lines[-1 - _HISTORY : -1] if past.get("policy/kl_ref_k3")]
    is_spike = len(earlier) >= 3 and kl > config.kl_min and kl > config.kl_spike * median(earlier)
    check("policy/kl_ref_k3", is_spike, f"KL above {config.kl_spike:g} times its median of late")
    mismatch = line.get("policy/decode_mismatch_mean", 0.0)
    check(
        "policy/decode_mismatch_mean",
        mismatch > config.decode_mismatch_max,
        "decoding is far from the update's own path",
    )
    return found


def refuse_collapse(lines: Sequence[dict[str, Any]], config: AlarmConfig) -> None:
    """Raise CollapseError when the last `stop_after` updates all raised an alarm (0: never)."""
    late = [line.get("alarm/count", 0) for line in lines[-config.stop_after :]] if config.stop_after else []
    if config.stop_after and len(late) == config.stop_after and all(late):
        raise CollapseError(
            expected=f"fewer than {config.stop_after} updates in a row with a collapse alarm",
            got=f"{config.stop_after}, up to update {lines[-1].get('update', '?')}",
            where="alarms.stop_after",
            do="resume from the last good checkpoint with a lower learning rate or a higher kl_coef, or raise the limit",
        )
