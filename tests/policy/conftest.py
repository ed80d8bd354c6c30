"""Tiny random checkpoints of the three families, saved to folders with a locally built tokenizer and image processor, and
loaded like any other checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from vldac import tiny
from vldac.batch import FrameFeatures
from vldac.config import ModelConfig
from vldac.model import FAMILIES, VisionLanguageModel, load_model
from vldac.policy import Policy
from vldac.prompting import Prompt

torch.set_num_threads(1)

CORPUS = [
    "You see a number line game: a target number and a current number. Move the current number to the target. ",
    'Answer with one JSON object: {"thoughts": "<reason step by step>", "action": "<- or +>"}',
    "system user assistant helpful image card formula equals twelve left right forward pick up the red box. ",
]
TEXTS = (
    "Move it.",
    "You see two cards and a formula that equals twelve. Move the current number.",
    "Go left, then right.",
)


def tiny_config(family: str, tokenizer: Any, **text: Any) -> Any:
    """A configuration of `family` with random-model sizes; `text` overrides its text settings."""
    from transformers import AutoConfig

    token = tokenizer.convert_tokens_to_ids
    rope: dict[str, Any] = {"rope_type": "default", "mrope_section": [4, 6, 6], "rope_theta": 1e4}
    sizes: dict[str, Any] = {
        "vocab_size": -(-len(tokenizer) // 64) * 64, "hidden_size": 128, "intermediate_size": 192, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 4096, "rope_parameters": rope,
        "bos_token_id": token("<|endoftext|>"), "eos_token_id": token("<|im_end|>"), "pad_token_id": token("<|endoftext|>"),
    }  # fmt: skip
    vision: dict[str, Any] = {
        "depth": 2, "num_heads": 4, "patch_size": 14, "spatial_merge_size": 2, "temporal_patch_size": 2, "in_channels": 3
    }  # fmt: skip
    if family == "qwen2_vl":
        vision |= {"embed_dim": 64, "hidden_size": 128, "mlp_ratio": 2}
    elif family == "qwen2_5_vl":
        vision |= {"hidden_size": 64, "out_hidden_size": 128, "intermediate_size": 96, "window_size": 56}
        vision |= {"fullatt_block_indexes": [1]}
    else:
        rope["mrope_interleaved"] = True
        sizes["head_dim"] = 32
        vision |= {"hidden_size": 64, "out_hidden_size": 128, "intermediate_size": 96, "num_position_embeddings": 256}
        vision |= {"deepstack_visual_indexes": [0, 1], "patch_size": 16}
    return AutoConfig.for_model(
        family, text_config=sizes | text, vision_config=vision, tie_word_embeddings=False,
        image_token_id=token("<|image_pad|>"), video_token_id=token("<|video_pad|>"),
        vision_start_token_id=token("<|vision_start|>"), vision_end_token_id=token("<|vision_end|>"),
    )  # fmt: skip


def save_checkpoint_folder(folder: Path, family: str, *, seed: int = 0, **text: Any) -> Path:
    """Write a random checkpoint of `family` as transformers would; `text` overrides its text settings."""
    from transformers import AutoModelForImageTextToText
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    tokenizer = tiny.build_tokenizer(CORPUS, 300)
    torch.manual_seed(seed)
    network = AutoModelForImageTextToText.from_config(tiny_config(family, tokenizer, **text))
    tiny.fan_in_init(network)
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    constants: dict[str, Any] = {"min_pixels": 28 * 28, "max_pixels": 1280 * 28 * 28}
    if family == "qwen3_vl":
        constants = {"patch_size": 16, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
        constants |= {"size": {"shortest_edge": 32 * 32, "longest_edge": 1280 * 32 * 32}}
    Qwen2VLImageProcessorPil(**constants).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session", params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def checkpoint(family: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_checkpoint_folder(tmp_path_factory.mktemp(family), family)


@pytest.fixture
def model(checkpoint: Path) -> VisionLanguageModel:
    return load_model(str(checkpoint), dtype=torch.float32)


@pytest.fixture
def make_policy(checkpoint: Path) -> Callable[..., Policy]:
    """A new policy of the checkpoint; adapter and value head drawn at random unless `fresh`."""

    def make(*, dtype: torch.dtype = torch.float32, fresh: bool = False, **settings: Any) -> Policy:
        model = load_model(str(checkpoint), dtype=dtype)
        config = ModelConfig(lora_rank=4, lora_alpha=8, value_hidden=(32,), **settings)
        policy = Policy(model, config, device=torch.device("cpu"), seed=3)
        if not fresh:
            randomise(policy)
        return policy

    return make


@torch.no_grad()
def randomise(policy: Policy, seed: int = 5, scale: float = 0.2) -> None:
    """Give the adapter and the value head weights that act: a fresh adapter changes nothing, a fresh head says 0."""
    generator = torch.Generator().manual_seed(seed)
    for _, parameter in policy.lora_parameters():
        parameter.normal_(0.0, scale, generator=generator)
    for parameter in policy.value_head.parameters():
        parameter.normal_(0.0, 0.3, generator=generator)


@pytest.fixture(scope="session")
def randomise_weights() -> Callable[..., None]:
    return randomise


class Rows:
    """Prompts of different length with one, two and no images, their frames, and random responses.

    Images first as the paper has them, or behind an instruction that all rows share.
    """

    def __init__(
        self, policy: Policy, *, images: tuple[int, ...] = (1, 2, 0, 3), size: tuple[int, int] = (84, 56),
        instruction: str = "",
    ) -> None:  # fmt: skip
        rng = np.random.default_rng(1)
        self.images = images
        self.frames = rng.integers(0, 256, (sum(images), size[1], size[0], 3), dtype=np.uint8)
        features = policy.encode_frames(self.frames)
        self.prompts: list[Prompt] = []
        self.features: list[list[FrameFeatures]] = []
        first = 0
        for row, count in enumerate(images):
            shared = [{"type": "text", "text": instruction}] if instruction else []
            content = [*shared, *[{"type": "image"}] * count, {"type": "text", "text": TEXTS[row % 3]}]
            messages: list[dict[str, Any]] = [{"role": "user", "content": content}]
            own = list(range(first, first + count))
            self.prompts.append(policy.encoder.encode(messages, own, features[0].grid))
            self.features.append([features[i] for i in own])
            first += count
        allowed = [i for i in range(len(policy.model_info.tokenizer)) if i not in set(policy.banned_ids.tolist())]
        lengths = [5, 1, 9, 3, 7][: len(images)]
        self.responses = [torch.tensor(rng.choice(allowed, size=n), dtype=torch.int64) for n in lengths]


@pytest.fixture(scope="session")
def make_rows() -> type[Rows]:
    return Rows
