"""Collapse alarms ring for what they name, and only for that."""

import dataclasses

import pytest

from vldac.alarms import alarms, refuse_collapse
from vldac.config import AlarmConfig
from vldac.errors import CollapseError

HEALTHY = {
    "update": 9, "rollout/entropy_mean": 0.4, "rollout/invalid_action_frac": 0.02, "rollout/repetition_frac": 0.1,
    "policy/kl_ref_k3": 0.2, "policy/decode_mismatch_mean": 0.001,
}  # fmt: skip


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("rollout/entropy_mean", 1e-7),
        ("rollout/invalid_action_frac", 0.6),
        ("rollout/repetition_frac", 0.99),
        ("policy/kl_ref_k3", 3.0),
        ("policy/decode_mismatch_mean", 0.07),
    ],
)
def test_each_alarm_rings_alone(key: str, value: float) -> None:
    history = [HEALTHY] * 12
    assert alarms(history, AlarmConfig()) == {}
    found = alarms([*history, {**HEALTHY, key: value}], AlarmConfig())
    assert list(found) == [key] and f"{value:.4g}" in found[key]


def test_a_steady_or_young_kl_is_no_spike() -> None:
    assert alarms([{**HEALTHY, "policy/kl_ref_k3": 3.0}] * 12, AlarmConfig()) == {}
    assert alarms([HEALTHY, HEALTHY, {**HEALTHY, "policy/kl_ref_k3": 30.0}], AlarmConfig()) == {}


def test_the_run_ends_after_so_many_alarmed_updates_in_a_row() -> None:
    config = dataclasses.replace(AlarmConfig(), stop_after=3)
    bad, good = {"update": 5, "alarm/count": 1.0}, {"update": 5, "alarm/count": 0.0}
    refuse_collapse([bad, bad], config)
    refuse_collapse([bad, good, bad, bad], config)
    refuse_collapse([bad] * 50, AlarmConfig())
    with pytest.raises(CollapseError, match="3 updates in a row"):
        refuse_collapse([good, bad, bad, bad], config)
