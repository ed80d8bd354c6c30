"""The real classes, end to end but small: cloning, rollout, update, audit, checkpoint, resume."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.e2e.conftest import build
from vldac.audit import check_dropout, check_gradients, check_images, check_kernels, check_mask
from vldac.checkpoint import read_checkpoint
from vldac.config import TrainConfig
from vldac.errors import CheckpointError, NonFiniteError, SelfCheckError
from vldac.evaluation import play_episodes
from vldac.kernels import linear_logprob
from vldac.model import load_model
from vldac.packing import Packing
from vldac.prompting import image_patches
from vldac.trainer import rollout_metrics
from vldac.update import check_first_ratio, score, token_batch


def scored(trainer, batch) -> list[torch.Tensor]:
    packing = Packing.of(batch, trainer.policy.image_token_id, trainer.policy.budget)
    return score(trainer.policy, batch, packing, [np.arange(len(batch))], temperature=1.0)


def test_the_adapter_moves_and_the_base_does_not(config: TrainConfig, start: Path) -> None:
    trainer = build(config, start)
    base = {n: p.detach().clone() for n, p in trainer.policy.peft.named_parameters() if not p.requires_grad}
    lora = {n: p.detach().clone() for n, p in trainer.policy.lora_parameters()}
    frozen = trainer.update(trainer.collect())
    assert frozen["policy/is_frozen"] == 1.0
    assert all(torch.equal(p, lora[n]) for n, p in trainer.policy.lora_parameters())
    trainer.update(trainer.collect())
    assert not all(torch.equal(p, lora[n]) for n, p in trainer.policy.lora_parameters())
    assert all(torch.equal(p, base[n]) for n, p in trainer.policy.peft.named_parameters() if n in base)


def test_decoding_and_update_agree_and_the_reference_is_the_start(config: TrainConfig, start: Path) -> None:
    trainer = build(config, start)
    batch = trainer.collect()
    first = scored(trainer, batch)
    for i, logprob in enumerate(first):
        torch.testing.assert_close(batch.decode_logprob(i), logprob, atol=1e-4, rtol=0)
    for _ in range(2):
        trainer.update(trainer.collect())
    with trainer.policy.reference():
        reference = scored(trainer, batch)
    assert all(torch.equal(a, b) for a, b in zip(first, reference, strict=True))


def test_microbatch_size_does_not_change_the_result(config: TrainConfig, start: Path) -> None:
    results = []
    for size in (1, 8):
        changed = dataclasses.replace(
            config, optim=dataclasses.replace(config.optim, microbatch_steps=size, warmup_updates=0)
        )
        trainer = build(changed, start)
        trainer.update(trainer.collect())
        results.append(torch.cat([p.detach().flatten() for _, p in trainer.policy.lora_parameters()]))
    assert float((results[0] - results[1]).norm() / results[0].norm()) < 1e-3


def test_audit_passes_and_catches_planted_faults(
    config: TrainConfig, start: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = build(config, start)
    policy, batch, rows = trainer.policy, trainer.collect(), np.arange(16)
    tokens = token_batch(policy, batch, rows)
    check_mask(policy, batch, rows)
    check_gradients(policy, tokens, config)
    check_images(policy, batch, rows, config)
    check_kernels(policy, tokens, config)

    for shifted in (
        dataclasses.replace(tokens, keep=tokens.keep - 1),
        dataclasses.replace(tokens, targets=tokens.targets.roll(1)),
    ):
        monkeypatch.setattr("vldac.audit.token_batch", lambda *_, shifted=shifted: shifted)
        with pytest.raises(SelfCheckError, match="shifted"):
            check_mask(policy, batch, rows)
        monkeypatch.undo()

    def warm(*arguments, temperature, **options):
        return linear_logprob(*arguments, temperature=1.01 * temperature, **options)

    monkeypatch.setattr("vldac.audit.linear_logprob", warm)
    with pytest.raises(SelfCheckError, match="the reference's"):
        check_kernels(policy, tokens, config)
    monkeypatch.undo()

    one = batch.features[0]
    monkeypatch.setattr(policy, "encode_frames", lambda frames: [one[0]] * len(frames))
    same = dataclasses.replace(batch, features=[one] * len(batch))
    with pytest.raises(SelfCheckError, match="noise"):
        check_images(policy, same, rows, config)
    monkeypatch.undo()

    placeholder = policy.model_info.network.config.image_token_id
    whole = batch.buffer.tokens[0].copy()
    batch.buffer.tokens[0] = placeholder
    with pytest.raises(SelfCheckError, match="placeholder"):
        policy(token_batch(policy, batch, rows[:1]), temperature=1.0)
    with pytest.raises(SelfCheckError, match="placeholder"):
        check_mask(policy, batch, rows)
    batch.buffer.tokens[0] = whole

    head = policy.value_head
    monkeypatch.setattr(torch.Tensor, "detach", lambda self: self)
    torch.nn.init.normal_(head[-1].weight)
    with pytest.raises(SelfCheckError, match="leaks"):
        check_gradients(policy, tokens, config)
    monkeypatch.undo()

    name, parameter = policy.lora_parameters()[0]
    monkeypatch.setattr(
        policy, "lora_parameters", lambda: [(name, parameter), ("unused.lora_B", torch.nn.Parameter(torch.ones(1)))]
    )
    with pytest.raises(SelfCheckError, match=r"unused\.lora_B"):
        check_gradients(policy, tokens, config)
    monkeypatch.undo()

    evaluation = policy(tokens, temperature=1.0)
    with pytest.raises(SelfCheckError, match="ratio 1"):
        check_first_ratio(evaluation, evaluation.logprob.detach().bfloat16().float() + 0.02, limit=1e-4)
    policy.add_module("forgotten", torch.nn.Dropout(0.1).train())
    with pytest.raises(SelfCheckError, match="dropout"):
        check_dropout(policy)


def test_a_reward_that_is_not_finite_stops_the_run(
    config: TrainConfig, start: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = build(config, start)
    step = trainer.env.step

    def broken(actions: np.ndarray):
        obs, reward, *rest = step(actions)
        return obs, reward * np.nan, *rest

    monkeypatch.setattr(trainer.env, "step", broken)
    with pytest.raises(NonFiniteError, match="rewards"):
        trainer.collect()


def test_damaged_checkpoints_are_refused(config: TrainConfig, start: Path, tmp_path: Path) -> None:
    trainer = build(config, start)
    path = trainer.save(tmp_path / "one")
    read_checkpoint(path)
    assert not [p for p in tmp_path.iterdir() if p != path]
    file = path / "optimizer.safetensors"
    whole = file.read_bytes()
    for damage in (whole[:-1], whole[:-1] + bytes([whole[-1] ^ 1])):
        file.write_bytes(damage)
        with pytest.raises(CheckpointError, match=r"optimizer\.safetensors is truncated or altered"):
            read_checkpoint(path)
    file.unlink()
    with pytest.raises(CheckpointError, match="missing"):
        read_checkpoint(path)


def test_evaluation_plays_every_episode_once(config: TrainConfig, start: Path) -> None:
    trainer = build(config, start)
    result = play_episodes(trainer.policy, config, episodes=5, seed=50_000)
    again = play_episodes(trainer.policy, config, episodes=5, seed=50_000)
    assert result == again and result.episodes == 5


def test_patches_equal_the_image_processor(start: Path) -> None:
    from vldac.tiny import build_image_processor

    spec = load_model(str(start), dtype=torch.float32).spec
    images = np.random.default_rng(0).integers(0, 256, (2, 84, 112, 3), dtype=np.uint8)
    patches, grid = image_patches(images, spec)
    theirs = build_image_processor()(images=list(images), return_tensors="pt")
    assert theirs["image_grid_thw"].tolist() == [list(grid)] * 2
    assert torch.equal(patches, theirs["pixel_values"])


def test_repetition_counts_equal_neighbours_inside_an_episode(config: TrainConfig, start: Path) -> None:
    trainer = build(config, start)
    batch = trainer.collect()
    buffer = batch.buffer
    buffer.tokens[:], buffer.num_tokens[:] = np.arange(16)[:, None], 3
    buffer.index[:] = [0, 1, 2, 0, 0, 1, 2, 3, 0, 0, 1, 2, 0, 1, 0, 1]  # nine of sixteen follow another step
    assert rollout_metrics(batch)["rollout/repetition_frac"] == 0.0
    buffer.tokens[1] = buffer.tokens[0]  # counts
    buffer.tokens[9] = buffer.tokens[8]  # both begin an episode
    buffer.tokens[6, 2] = 9
    buffer.num_tokens[6], buffer.num_tokens[7] = 2, 2
    buffer.tokens[7] = buffer.tokens[6]  # counts: equal up to their length
    buffer.tokens[7, 2] = 5
    assert rollout_metrics(batch)["rollout/repetition_frac"] == 2 / 9
