"""The warm start: what its responses say, what its actions are drawn from, and that it appears whole or not at all."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from vldac.envs.grammar import continuations

from vldac import clone
from vldac.clone import chance_level, play_samples, reading_accuracy, warm_start
from vldac.config import EnvConfig, TinyConfig
from vldac.errors import ConfigError

torch.set_num_threads(1)

NUMBER_LINE = EnvConfig(id="gym_cards/NumberLine-v0", prompt="short", image_size=(84, 84))
EZ_POINTS = EnvConfig(id="gym_cards/EZPoints-v0", prompt="short", image_size=(112, 84))
TINY = TinyConfig(hidden_size=64, vision_dim=48, num_layers=1, vision_depth=1, clone_updates=2, clone_batch=4)
SYMBOLS = [*map(str, range(1, 11)), "+", "*", "="]


@pytest.mark.parametrize(("env", "action"), [(NUMBER_LINE, "uniform"), (EZ_POINTS, "grammatical")])
def test_cloned_fields_are_truthful_and_the_picture_shows_them(env: EnvConfig, action: str) -> None:
    """The response's fields are the environment's own facts, and equal pictures never have different fields."""
    samples = play_samples(env, 512, seed=3, action=action)
    seen: dict[tuple[object, ...], set[bytes]] = {}
    owner: dict[bytes, tuple[object, ...]] = {}
    for sample in samples:
        said = json.loads(sample.response)
        assert {key: said[key] for key in sample.facts} == sample.facts
        assert set(said) == set(sample.facts) | {"action"}
        label = tuple(sample.facts.values())
        seen.setdefault(label, set()).add(sample.image.tobytes())
        assert owner.setdefault(sample.image.tobytes(), label) == label
    assert len(seen) >= 25


def test_number_line_actions_are_a_fair_coin_whatever_the_picture_says() -> None:
    samples = play_samples(NUMBER_LINE, 4096, seed=1)
    plus = [json.loads(s.response)["action"] == "+" for s in samples]
    is_right = [p == (s.facts["target"] > s.facts["current"]) for p, s in zip(plus, samples, strict=True)]
    for share in (np.mean(plus), np.mean(is_right)):
        assert abs(share - 0.5) < 4 * (0.25 / 4096) ** 0.5  # four standard deviations


def test_ez_points_actions_are_uniform_over_the_grammatical_continuations() -> None:
    """After the first number "+", "*" and "=" each have odds of a third, for pairs to add and for pairs to multiply alike."""
    samples = play_samples(EZ_POINTS, 4096, seed=1, action="grammatical")
    for sample in samples:
        assert json.loads(sample.response)["action"] in continuations(EZ_POINTS.id, sample.facts, SYMBOLS)
    after_one = [s for s in samples if s.facts["formula"].isdigit()]
    for is_product in (False, True):
        chosen = [s for s in after_one if (set(s.facts["cards"].split()) in ({"2", "6"}, {"3", "4"})) == is_product]
        counts = Counter(json.loads(s.response)["action"] for s in chosen)
        spread = 4 * (len(chosen) * (1 / 3) * (2 / 3)) ** 0.5
        assert set(counts) == {"+", "*", "="} and len(chosen) > 100
        assert all(abs(n - len(chosen) / 3) < spread for n in counts.values())


@pytest.mark.parametrize(
    ("cards", "formula", "expected"),
    [
        ("2 Q", "", ["10", "2"]),
        ("5 5", "", ["5"]),
        ("2 Q", "10", ["+", "*", "="]),
        ("2 Q", "10 *", ["2"]),
        ("A K", "10 +", ["1"]),
        ("2 Q", "10 + 2", ["="]),
        ("2 Q", "2 2", ["="]),
        ("2 Q", "7", ["="]),
    ],
)
def test_continuations_use_each_card_once(cards: str, formula: str, expected: list[str]) -> None:
    facts = {"cards": cards, "formula": formula}
    assert continuations("gym_cards/EZPoints-v0", facts, SYMBOLS) == expected


def test_a_start_is_whole_without_its_reading_head_or_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that dies while it clones leaves no folder that could be taken for a start."""
    folder = tmp_path / "start"

    def die(update: int, loss: float) -> None:
        assert not folder.exists()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        warm_start(folder, NUMBER_LINE, TINY, seed=0, on_update=die)
    assert not list(tmp_path.iterdir())

    heads: list[clone.ReadingHead] = []
    real = clone.ReadingHead

    def kept(*arguments: object) -> clone.ReadingHead:
        heads.append(real(*arguments))
        return heads[-1]

    monkeypatch.setattr(clone, "ReadingHead", kept)
    model = warm_start(folder, NUMBER_LINE, TINY, seed=0)
    assert [p.name for p in tmp_path.iterdir()] == ["start"] and model.name == str(folder)
    from safetensors.torch import load_file
    from transformers import Qwen2VLForConditionalGeneration

    stored = load_file(folder / "model.safetensors")
    readers = [p for p in heads[0].parameters() if p.dim() == 2]
    assert readers and not any(t.shape == r.shape and torch.equal(t, r) for t in stored.values() for r in readers)
    _, loading = Qwen2VLForConditionalGeneration.from_pretrained(folder, output_loading_info=True)
    assert not loading["unexpected_keys"] and not loading["missing_keys"]
    with pytest.raises(ConfigError, match="new or empty folder"):
        warm_start(folder, NUMBER_LINE, TINY, seed=0)


def test_balanced_cloning_shows_every_truth_and_prefers_no_action() -> None:
    """Half of the odds are equal over the truths; samples of one truth, whatever they did, have the same odds."""
    samples = play_samples(NUMBER_LINE, 512, seed=1)[:300] + play_samples(NUMBER_LINE, 64, seed=1)[:1] * 200
    odds = clone.sampling_odds(samples)
    assert abs(odds.sum() - 1.0) < 1e-12
    of_truth: dict[tuple[object, ...], list[float]] = {}
    for sample, one in zip(samples, odds.tolist(), strict=True):
        of_truth.setdefault(tuple(sample.facts.values()), []).append(one)
    assert all(max(same) - min(same) < 1e-15 for same in of_truth.values())
    shares = [sum(same) for same in of_truth.values()]
    counts = [len(same) for same in of_truth.values()]
    assert max(counts) > 200 and min(shares) > 0.5 / len(of_truth)
    expected = [0.5 * n / len(samples) + 0.5 / len(of_truth) for n in counts]
    assert np.allclose(shares, expected)


def test_balanced_cloning_trains_on_other_batches(tmp_path: Path) -> None:
    losses: dict[bool, list[float]] = {True: [], False: []}
    for is_balanced, heard in losses.items():
        config = dataclasses.replace(TINY, clone_balanced=is_balanced)
        warm_start(
            tmp_path / str(is_balanced),
            NUMBER_LINE,
            config,
            seed=0,
            on_update=lambda _, loss, to=heard: to.append(loss),
        )
    assert losses[True][0] != losses[False][0]


def test_the_reading_head_sees_fields_and_no_actions() -> None:
    """Samples that differ in the action alone have the same labels; each field's word has a label of its own."""
    samples = play_samples(EZ_POINTS, 256, seed=2, action="grammatical")
    head = clone.ReadingHead(samples, 64)
    labels: dict[tuple[object, ...], tuple[int, ...]] = {}
    for sample, row in zip(samples, head.labels.tolist(), strict=True):
        assert labels.setdefault(tuple(sample.facts.values()), tuple(row)) == tuple(row)
    assert len(set(labels.values())) == len(labels)
    rows = torch.arange(8)
    loss = head.loss(torch.zeros(8, 64), rows)
    expected = np.mean([np.log(reader.out_features) for reader in head.readers])
    assert abs(float(loss.detach()) - expected) < 1e-5


def test_an_uncloned_start_reads_nothing_and_chance_is_the_sum_of_squared_shares(tmp_path: Path) -> None:
    assert chance_level(["a", "a", "b", "c"]) == 0.25 + 2 / 16
    model = warm_start(tmp_path / "start", NUMBER_LINE, TINY, seed=0)
    reads = reading_accuracy(model, NUMBER_LINE, count=32)
    assert reads.own_images == 0.0 and reads.samples == 32 and set(reads.fields) == {"current", "target"}
