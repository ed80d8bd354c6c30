"""Chat messages and images to model inputs, without `AutoProcessor` (which needs torchvision).

Image placeholders are expanded exactly once, here; everything downstream handles token ids. Images are preprocessed natively
(see `vldac.vision`) and equal `Qwen2VLImageProcessorPil` to the last bit (tested): resize to a multiple of patch x merge with
Pillow's bicubic filter, rescale, normalise, cut into patches with the single frame repeated over the temporal axis. (The
torchvision back end that `AutoProcessor` takes where torchvision is installed resizes differently: up to 0.3 in normalised
units on noise; see the tests.)

Text that comes from an environment is not trusted. A web page may well contain "<|im_end|>" or "<|image_pad|>"; read as a
special token it would end the turn or stand for a picture that is not there. Such strings are broken up with a space
("< |im_end|>") before the chat template sees them: the model still reads them, as plain text, and the template's own tokens
are the only special ones. `PromptEncoder.neutralised` counts them.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from vldac._core import PatchEmitter
from vldac.config import PromptLayout
from vldac.errors import ModelError
from vldac.vision import ImageSpec, PatchFormat, patch_emitter

Message = dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Prompt:
    """One tokenised prompt with the identity of its frames."""

    ids: torch.Tensor
    """[prompt] int64, image placeholders expanded."""
    positions: torch.Tensor
    """[3, prompt] int64, M-RoPE positions (time, height, width)."""
    next_position: int
    """Position of the first response token, equal on the three axes."""
    frames: tuple[int, ...]
    """Frame ids in the order of their placeholders."""
    image_tokens: int | None = None
    """Number of image placeholders in `ids`; None where the prompt was made by other means."""


def image_patches(images: np.ndarray, spec: ImageSpec) -> tuple[torch.Tensor, tuple[int, int, int]]:
    """Return the model's patches of a batch of equally sized images, and the (t, h, w) grid of one image.

    images: [N, height, width, 3] uint8. Patches: [N * h * w, 3 * temporal * patch * patch] float32, normalised.
    """
    emitter = _emitter(spec, (images.shape[2], images.shape[1]), "float32")
    return torch.from_numpy(emitter.emit(images)), emitter.grid


def image_bytes(images: np.ndarray, spec: ImageSpec) -> tuple[torch.Tensor, tuple[int, int, int]]:
    """Return the patches of `image_patches` before normalisation, for a tower inside `vldac.fold.fed_with_bytes`.

    images: [N, height, width, 3] uint8. Patches: [N * h * w, 3 * patch * patch] uint8.
    """
    emitter = _emitter(spec, (images.shape[2], images.shape[1]), "uint8")
    return torch.from_numpy(emitter.emit(images)), emitter.grid


@functools.lru_cache(maxsize=16)
def _emitter(spec: ImageSpec, size: tuple[int, int], dtype: PatchFormat) -> PatchEmitter:
    return patch_emitter(spec, size, dtype=dtype)


def arrange(messages: Sequence[Message], count: int, layout: PromptLayout) -> list[Message]:
    """Return the messages with `count` pictures (the window, oldest first) in place of an environment's one.

    layout "images_first": the pictures, then the text, as VL-DAC prompts. "shared_prefix": the text, then the pictures, so that
    prompts of the same instructions share everything up to their first picture.
    """
    result = []
    for message in messages:
        content = message["content"]
        if not isinstance(content, str) and any(part["type"] == "image" for part in content):
            images = [{"type": "image"}] * count
            rest = [part for part in content if part["type"] != "image"]
            message = {**message, "content": rest + images if layout == "shared_prefix" else images + rest}
        result.append(message)
    return result


class PromptEncoder:
    """Turns chat messages into token ids with expanded placeholders; caches texts that repeat."""

    def __init__(self, tokenizer: Any, model: Any, spec: ImageSpec) -> None:
        self.tokenizer, self.spec = tokenizer, spec
        self._rope_index = model.get_rope_index
        self.image_token_id: int = model.config.image_token_id
        self._image_token: str = tokenizer.convert_ids_to_tokens(self.image_token_id)
        self._cache: dict[tuple[str, int, tuple[int, int, int]], tuple[torch.Tensor, torch.Tensor, int]] = {}
        special = sorted(_special_tokens(tokenizer), key=len, reverse=True)
        self._special = re.compile("|".join(map(re.escape, special)))
        self.neutralised = 0
        """Special tokens found in texts so far, and broken up."""
        if not tokenizer.chat_template:
            raise ModelError(
                expected="a tokenizer with a chat template",
                got="none",
                where=f"tokenizer of {tokenizer.name_or_path!r}",
                do="use an instruct model, or set tokenizer.chat_template",
            )

    def text(self, messages: Sequence[Message]) -> str:
        """Return the prompt as text, generation prompt included, one placeholder per image, texts neutralised."""
        safe = [self._neutral_message(message) for message in messages]
        return str(self.tokenizer.apply_chat_template(safe, tokenize=False, add_generation_prompt=True))

    def _neutral_message(self, message: Message) -> Message:
        content = message["content"]
        if isinstance(content, str):
            return {**message, "content": self._neutral(content)}
        parts = [{**part, "text": self._neutral(part["text"])} if "text" in part else part for part in content]
        return {**message, "content": parts}

    def _neutral(self, text: str) -> str:
        """Put a space after the first character of every special token."""
        text, found = self._special.subn(lambda match: f"{match[0][0]} {match[0][1:]}", text)
        self.neutralised += found
        return text

    def encode(self, messages: Sequence[Message], frames: Sequence[int], grid: tuple[int, int, int]) -> Prompt:
        """Return the prompt of `messages` whose images, in order, are `frames`, each of `grid` patches."""
        text = self.text(messages)
        key = (text, len(frames), grid)
        if key not in self._cache:
            if len(self._cache) > 4096:
                self._cache.clear()
            self._cache[key] = self._tokenize(text, len(frames), grid)
        ids, positions, next_position = self._cache[key]
        image_tokens = len(frames) * math.prod(grid) // self.spec.merge_size**2
        return Prompt(
            ids=ids,
            positions=positions,
            next_position=next_position,
            frames=tuple(frames),
            image_tokens=image_tokens,
        )

    def _tokenize(
        self, text: str, num_frames: int, grid: tuple[int, int, int]
    ) -> tuple[torch.Tensor, torch.Tensor, int]:
        per_frame = math.prod(grid) // self.spec.merge_size**2
        images = text.count(self._image_token)
        if images != num_frames:
            raise ModelError(
                expected=f"one image item in the chat messages per frame: {num_frames}",
                got=str(images),
                where="prompt encoding",
                do="give as many image items as frames, and a chat template that writes one placeholder for each",
            )
        ids = torch.tensor(
            self.tokenizer(text.replace(self._image_token, self._image_token * per_frame)).input_ids, dtype=torch.int64
        )
        is_image = ids == self.image_token_id
        if int(is_image.sum()) != per_frame * num_frames:
            raise ModelError(
                expected=f"{per_frame * num_frames} image placeholders for {num_frames} frames of grid {grid}",
                got=f"{int(is_image.sum())} in the tokenised prompt",
                where="prompt encoding",
                do="report this: the tokenizer splits or joins placeholders",
            )
        grids = torch.tensor([grid] * num_frames, dtype=torch.int64) if num_frames else None
        if grids is None:
            positions = torch.arange(len(ids)).expand(3, -1).clone()
        else:
            positions = self._rope_index(
                input_ids=ids[None],
                mm_token_type_ids=is_image[None].int(),
                image_grid_thw=grids,
                attention_mask=torch.ones_like(ids)[None],
            )[0][:, 0]
        return ids, positions, int(positions.max()) + 1


def _special_tokens(tokenizer: Any) -> set[str]:
    """Strings that the tokenizer reads as one special id."""
    added = {token.content for token in tokenizer.added_tokens_decoder.values() if token.special}
    return {token for token in added | set(tokenizer.all_special_tokens) if len(token) > 1}
