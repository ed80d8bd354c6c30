"""Each frame goes through the vision tower once while the tower stands still, and whenever it is used once it is trained."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.e2e.conftest import build
from vldac.checkpoint import restore
from vldac.config import TrainConfig
from vldac.frames import StepFeatures
from vldac.trainer import Trainer
from vldac.update import token_batch


@pytest.fixture(params=["sync", "async"])
def windowed(config: TrainConfig, request: pytest.FixtureRequest) -> TrainConfig:
    """Three pictures per prompt, episodes that are cut after three steps; the audit's noise is not for the counts."""
    return dataclasses.replace(
        config, env=dataclasses.replace(config.env, num_images=3, max_episode_steps=3),
        rollout=dataclasses.replace(config.rollout, steps_per_update=32, mode=request.param),
        optim=dataclasses.replace(config.optim, warmup_updates=1), waive=(*config.waive, "image-ablation"),
    )  # fmt: skip


class Counter:
    """Counts the frames that a trainer's tower sees."""

    def __init__(self, trainer: Trainer, monkeypatch: pytest.MonkeyPatch) -> None:
        self.frames, encode = 0, trainer.policy.encode_frames

        def counted(images: np.ndarray):
            self.frames += len(images)
            return encode(images)

        monkeypatch.setattr(trainer.policy, "encode_frames", counted)


def test_three_updates_encode_one_frame_per_step_and_the_first_and_final_ones(
    windowed: TrainConfig, start: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer, truncated = build(windowed, start), 0
    counter = Counter(trainer, monkeypatch)
    for _ in range(3):
        batch = trainer.collect()
        truncated += int(batch.buffer.truncated.sum())
        trainer.update(batch)
    assert truncated > 10 and counter.frames == 3 * 32 + 4 + truncated
    path = trainer.save(tmp_path / "one")
    resumed = build(windowed, start)
    restore(resumed, path)
    counter = Counter(resumed, monkeypatch)
    batch = resumed.collect()
    assert counter.frames == 32 + int(batch.buffer.truncated.sum())


def test_a_windows_features_are_those_of_the_frames_that_the_buffer_holds(windowed: TrainConfig, start: Path) -> None:
    trainer = build(windowed, start)
    trainer.update(trainer.collect())
    batch = trainer.collect()
    before = int(batch.buffer.shown[::8].sum()) - 4  # frames of the update before that the first prompts show
    assert len(batch.features) == 32 and len({frame for p in batch.prompts for frame in p.frames}) == 32 + before
    for i, window in enumerate(batch.features):
        expected = trainer.policy.encode_frames(np.stack(batch.frames(i)))
        assert len(window) == int(batch.buffer.shown[i]) == len(batch.prompts[i].frames)
        for ours, theirs in zip(window, expected, strict=True):
            torch.testing.assert_close(ours.embeds, theirs.embeds, atol=1e-5, rtol=0)


def test_a_frames_id_names_it_in_every_prompt(windowed: TrainConfig, start: Path) -> None:
    trainer = build(windowed, start)
    pictures: dict[int, np.ndarray] = {}
    for _ in range(2):
        batch = trainer.collect()
        for i, prompt in enumerate(batch.prompts):
            for number, picture in zip(prompt.frames, batch.frames(i), strict=True):
                assert number % 4 == i // 8
                np.testing.assert_array_equal(pictures.setdefault(number, picture), picture)
        trainer.update(batch)


def test_a_tower_that_has_moved_encodes_what_is_shown_again(
    windowed: TrainConfig, start: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = build(windowed, start)
    before = trainer.collect()
    with torch.no_grad():
        next(trainer.policy.network.model.visual.parameters()).mul_(1.5)
    assert not torch.equal(before.features[5][0].embeds, before.features._windows[0][5][0].embeds)  # type: ignore[attr-defined]
    counter = Counter(trainer, monkeypatch)
    shown = int(before.buffer.next().next_shown.sum())
    batch = trainer.collect()
    assert counter.frames == shown + 32 + int(batch.buffer.truncated.sum())
    again = trainer.policy.encode_frames(np.stack(batch.frames(0)))
    torch.testing.assert_close(batch.features[0][0].embeds, again[0].embeds, atol=1e-5, rtol=0)


def test_a_trained_tower_is_run_with_a_graph_whenever_its_features_are_used(
    windowed: TrainConfig, start: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = build(windowed, start)
    batch = trainer.collect()
    policy, rows = trainer.policy, np.arange(3)
    frozen = policy(token_batch(policy, batch, rows), temperature=1.0).logprob.detach()
    weight = policy.network.model.visual.patch_embed.proj.weight.requires_grad_()
    counter = Counter(trainer, monkeypatch)
    logprob = policy(token_batch(policy, batch, rows), temperature=1.0).logprob
    assert (
        isinstance(batch.features, StepFeatures) and counter.frames == 3
    )  # one episode's first steps: each frame once
    torch.testing.assert_close(logprob.detach(), frozen, atol=1e-4, rtol=0)
    logprob.sum().backward()
    assert weight.grad is not None and float(weight.grad.abs().max()) > 0
    with torch.no_grad():
        assert not batch.features[0][0].embeds.requires_grad
