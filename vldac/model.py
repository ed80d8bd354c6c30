"""Loading a vision-language model of the Qwen2-VL, Qwen2.5-VL or Qwen3-VL family: one code path for any id or folder.

`AutoProcessor` needs torchvision, so tokenizer, image processor and model are loaded one by one, and what the image
processor says is read, not assumed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from vldac.errors import ModelError
from vldac.prompting import ImageSpec, PromptEncoder

FAMILIES = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl")
LORA_TARGETS = r".*language_model.*\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)"
"""Language projections only: the vision tower and merger stay frozen in every family."""


@dataclass(frozen=True, kw_only=True, slots=True)
class VisionLanguageModel:
    """A loaded model with what is needed to feed it."""

    network: Any
    """`Qwen*VLForConditionalGeneration`."""
    tokenizer: Any
    spec: ImageSpec
    name: str

    @property
    def family(self) -> str:
        return str(self.network.config.model_type)

    def encoder(self) -> PromptEncoder:
        """Return the prompt encoder of this model."""
        return PromptEncoder(self.tokenizer, self.network.model, self.spec)

    def banned_ids(self) -> torch.Tensor:
        """Return the ids that may never be sampled: media placeholders, and head rows without a string. int64, sorted."""
        rows = self.network.get_output_embeddings().weight.shape[0]
        config, tokenizer = self.network.config, self.tokenizer
        known = set(tokenizer.get_vocab().values())
        media = {config.image_token_id, config.video_token_id, config.vision_start_token_id, config.vision_end_token_id}
        media |= {
            tokenizer.convert_tokens_to_ids(t) for t in ("<|vision_pad|>", "<|im_start|>") if t in tokenizer.get_vocab()
        }
        stringless = {row for row in range(rows) if row not in known}
        return torch.tensor(sorted(media | stringless), dtype=torch.int64)

    def end_ids(self) -> tuple[int, ...]:
        """Return the ids that end a response: end of turn and end of text."""
        vocab = self.tokenizer.get_vocab()
        ids = [vocab[t] for t in ("<|im_end|>", "<|endoftext|>") if t in vocab]
        return tuple(dict.fromkeys([*ids, self.tokenizer.eos_token_id]))


def load_model(name: str, *, dtype: torch.dtype, random_weights: bool = False) -> VisionLanguageModel:
    """Load a model from a Hugging Face id or a folder. Raises ModelError when it cannot be had or is of another family."""
    from transformers import AutoConfig, AutoModelForImageTextToText, AutoTokenizer

    try:
        config = AutoConfig.from_pretrained(name)
        if config.model_type not in FAMILIES:
            raise ModelError(
                expected=f"a model of the families {', '.join(FAMILIES)}",
                got=f"model_type {config.model_type!r}",
                where=f"model.name = {name!r}",
                do="choose a Qwen2-VL, Qwen2.5-VL or Qwen3-VL checkpoint",
            )
        tokenizer = AutoTokenizer.from_pretrained(name)
        spec = _read_spec(name, config)
        if random_weights:
            network = AutoModelForImageTextToText.from_config(config, dtype=dtype)
        else:
            network = AutoModelForImageTextToText.from_pretrained(name, dtype=dtype)
    except OSError as error:
        where = "an existing folder without a readable checkpoint" if Path(name).exists() else "no such folder or id"
        raise ModelError(
            expected="a Hugging Face id or a folder with config.json, tokenizer and weights",
            got=f"{where}: {str(error).splitlines()[0]}",
            where=f"model.name = {name!r}",
            do="check the spelling, download the model first, or pass its folder",
        ) from error
    return VisionLanguageModel(network=network.eval(), tokenizer=tokenizer, spec=spec, name=name)


def _read_spec(name: str, config: Any) -> ImageSpec:
    """Read the preprocessing constants of a checkpoint and check them against its vision tower."""
    from transformers import AutoImageProcessor

    processor = AutoImageProcessor.from_pretrained(name)
    size = dict(processor.size) if getattr(processor, "size", None) else {}
    spec = ImageSpec(
        patch_size=processor.patch_size,
        merge_size=processor.merge_size,
        temporal_patch_size=processor.temporal_patch_size,
        mean=tuple(processor.image_mean),
        std=tuple(processor.image_std),
        min_pixels=int(getattr(processor, "min_pixels", None) or size["shortest_edge"]),
        max_pixels=int(getattr(processor, "max_pixels", None) or size["longest_edge"]),
    )
    vision = config.vision_config
    theirs = (vision.patch_size, vision.spatial_merge_size, vision.temporal_patch_size)
    if theirs != (spec.patch_size, spec.merge_size, spec.temporal_patch_size):
        raise ModelError(
            expected=f"patch, merge and temporal sizes {theirs} as in the vision tower",
            got=f"{(spec.patch_size, spec.merge_size, spec.temporal_patch_size)} in the image processor",
            where=f"preprocessor_config.json of {name!r}",
            do="use the image processor that belongs to the checkpoint",
        )
    return spec
