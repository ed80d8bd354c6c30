"""A rollout whose decoding pads its rows and replays steps takes the same steps as one that does neither, in both modes."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from tests.e2e.test_continuous import assert_same_steps, set_rollout, trainer_of
from vldac.config import TrainConfig
from vldac.decode_graphs import DecodeGraphs


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_padded_and_replayed_rollouts_take_the_same_steps(config: TrainConfig, start: Path, mode: str) -> None:
    env = dataclasses.replace(config.env, num_envs=12, num_images=2, max_episode_steps=5, num_threads=1)
    config = set_rollout(dataclasses.replace(config, env=env), steps_per_update=72, max_new_tokens=8, mode=mode)
    plain, ours = trainer_of(config, start), trainer_of(config, start)
    graphs = ours.policy.graphs = DecodeGraphs(ours.policy.device, lambda work, pool: work)
    graphs.pads = True
    for _ in range(2):
        theirs = plain.collect()
        assert_same_steps(ours.collect(), theirs)
        assert theirs.buffer.num_tokens.min() == 1 < theirs.buffer.num_tokens.max()
        with torch.no_grad():
            for trainer in (plain, ours):
                for _, parameter in trainer.policy.lora_parameters():
                    parameter.mul_(0.9).add_(0.002)


def test_cuda_graphs_can_be_switched_off_and_are_not_told_of_on_a_cpu(config: TrainConfig, start: Path) -> None:
    for is_on in (True, False):
        trainer = trainer_of(set_rollout(config, cuda_graphs=is_on), start)
        graphs = trainer.policy.graphs
        assert not graphs.pads, "padding costs on a CPU, and brings nothing"
        graphs.pads = True  # as on a GPU
        trainer.rollout.__init__(trainer.policy, trainer.env, trainer.config)  # type: ignore[misc]
        assert graphs.pads == is_on
    assert "rollout/graph_frac" not in trainer.collect().stats
