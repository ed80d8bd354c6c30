"""A vision tower fed with bytes says what it says of the processor's floats."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from vldac.errors import ModelError
from vldac.fold import KeptFold, fed_with_bytes, fold_patch_embed
from vldac.model import VisionLanguageModel, load_model
from vldac.policy import Policy
from vldac.prompting import image_bytes, image_patches


def frames(kind: str) -> np.ndarray:
    """[2, 84, 112, 3]. White is the hardest: all of it is the mean's share, which the fold moves into the bias."""
    shape = (2, 84, 112, 3)
    if kind == "noise":
        return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    ramp = np.linspace(0, 255, 112).astype(np.uint8)[:, None]
    return np.full(shape, 255, np.uint8) if kind == "white" else np.broadcast_to(ramp, shape).copy()


def with_biases(network: Any) -> Any:
    """The network with random patch-embedding biases where it has any; they are born zero, and a lost one would not show."""
    projection = network.model.visual.patch_embed.proj
    if projection.bias is not None:
        projection.bias.data.normal_(generator=torch.Generator().manual_seed(0))
    return network


def features(network: Any, patches: torch.Tensor, grid: tuple[int, int, int]) -> torch.Tensor:
    """What the tower says of two frames, deep-stack features included: [values]."""
    with torch.no_grad():
        out = network.model.get_image_features(patches, torch.tensor([grid] * 2))
    parts = [*out.pooler_output]
    for layer in getattr(out, "deepstack_features", None) or []:
        parts += [layer] if isinstance(layer, torch.Tensor) else list(layer)
    return torch.cat([part.flatten() for part in parts]).double()


def apart(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    """The largest difference over the largest value."""
    return float((ours - theirs).abs().max() / theirs.abs().max())


@pytest.mark.parametrize("kind", ["noise", "white", "ramp"])
def test_in_float32_bytes_give_the_features_of_floats(model: VisionLanguageModel, kind: str) -> None:
    """Measured: up to 3.1e-6 apart, each up to 2.6e-6 from float64."""
    network, images = with_biases(model.network), frames(kind)
    floats, grid = image_patches(images, model.spec)
    theirs = features(network, floats, grid)
    byte, same_grid = image_bytes(images, model.spec)
    with fed_with_bytes(network.model.visual, model.spec):
        ours = features(network, byte, grid)
    assert grid == same_grid and byte.dtype == torch.uint8
    assert byte.nbytes * 8 == floats.nbytes
    assert apart(ours, theirs) < 6e-6


@pytest.mark.parametrize("kind", ["noise", "white", "ramp"])
def test_in_bfloat16_bytes_are_no_further_from_the_truth_than_floats(
    checkpoint: Any, model: VisionLanguageModel, kind: str
) -> None:
    """Of the first layer with the same bfloat16 weights. Measured: 1.7e-3 to 3.2e-3 of the largest value with bytes, 2.2e-3 to
    4.3e-3 with floats; a bfloat16 result alone is off by up to 3.9e-3 of its own value."""
    network, images = with_biases(load_model(str(checkpoint), dtype=torch.bfloat16).network), frames(kind)
    embed = network.model.visual.patch_embed
    floats, _ = image_patches(images, model.spec)
    byte, _ = image_bytes(images, model.spec)
    with torch.no_grad():
        theirs, ours = embed(floats), fold_patch_embed(network.model.visual, model.spec)(byte)
        truth = embed.double()(floats.double())
    assert ours.dtype == theirs.dtype == torch.bfloat16
    assert apart(ours.double(), truth) <= 1.05 * apart(theirs.double(), truth)
    assert apart(ours.double(), truth) < 4e-3


@pytest.mark.parametrize("kind", ["noise", "white", "ramp"])
def test_in_bfloat16_the_whole_tower_agrees_as_far_as_bfloat16_goes(
    checkpoint: Any, model: VisionLanguageModel, kind: str
) -> None:
    """Measured: each up to 1.3e-2 from float64, up to 1.1e-2 apart."""
    network, images = with_biases(load_model(str(checkpoint), dtype=torch.bfloat16).network), frames(kind)
    floats, grid = image_patches(images, model.spec)
    theirs = features(network, floats, grid)
    with fed_with_bytes(network.model.visual, model.spec):
        ours = features(network, image_bytes(images, model.spec)[0], grid)
    assert apart(ours, theirs) < 2.5e-2


def test_the_policy_encodes_frames_as_the_model_does_from_the_processors_floats(
    make_policy: Callable[..., Policy],
) -> None:
    policy, images = make_policy(), frames("noise")
    with_biases(policy.network)
    floats, grid = image_patches(images, policy.model_info.spec)
    ours = policy.encode_frames(images)
    parts = [f.embeds.flatten() for f in ours]
    for layer in range(len(ours[0].deepstack)):
        parts += [f.deepstack[layer].flatten() for f in ours]
    assert [f.grid for f in ours] == [grid] * 2
    assert apart(torch.cat(parts).double(), features(policy.network, floats, grid)) < 6e-6


def test_the_fold_follows_the_weights(make_policy: Callable[..., Policy]) -> None:
    """A fold kept from before a change would be wrong without a word."""
    policy, images = make_policy(), frames("noise")
    before = policy.encode_frames(images)[0].embeds
    with torch.no_grad():
        policy.network.model.visual.patch_embed.proj.weight.mul_(-1)
    floats, grid = image_patches(images, policy.model_info.spec)
    after = torch.cat([f.embeds for f in policy.encode_frames(images)])
    theirs = features(policy.network, floats, grid)[: after.numel()]
    assert apart(after.flatten().double(), theirs) < 6e-6
    assert apart(after[: len(before)], before) > 0.1


def test_outside_the_tower_is_as_it_was_even_after_an_error(model: VisionLanguageModel) -> None:
    vision = model.network.model.visual
    original, names = vision.patch_embed, list(model.network.state_dict())
    with pytest.raises(ZeroDivisionError), fed_with_bytes(vision, model.spec):
        assert vision.patch_embed is not original
        raise ZeroDivisionError
    assert vision.patch_embed is original and list(model.network.state_dict()) == names


def test_a_tower_of_another_shape_is_refused(model: VisionLanguageModel) -> None:
    other = dataclasses.replace(model.spec, patch_size=model.spec.patch_size + 2)
    for vision, spec in ((model.network.model.visual, other), (model.network.model.language_model, model.spec)):
        with pytest.raises(ModelError, match=r"a vision tower whose patch_embed\.proj is a Conv3d"):
            fold_patch_embed(vision, spec)


def test_a_kept_fold_is_made_again_for_weights_that_moved_or_were_replaced(model: VisionLanguageModel) -> None:
    vision, kept = model.network.model.visual, KeptFold()
    first = kept.of(vision, model.spec)
    assert kept.of(vision, model.spec) is first
    with torch.no_grad():
        vision.patch_embed.proj.weight.mul_(2)
    moved = kept.of(vision, model.spec)
    assert torch.equal(moved.weight, 2 * first.weight)
    vision.patch_embed.proj.weight = torch.nn.Parameter(vision.patch_embed.proj.weight.detach() / 2)
    assert torch.equal(kept.of(vision, model.spec).weight, first.weight)
