"""Chat messages and images to model inputs, without `AutoProcessor` (which needs torchvision).

Image placeholders are expanded exactly once, here; everything downstream handles token ids. Image preprocessing equals
`Qwen2VLImageProcessorPil` (tested): resize to a multiple of patch x merge with Pillow's bicubic filter, rescale, normalise,
cut into patches with the single frame repeated over the temporal axis. (The torchvision back end that `AutoProcessor` takes
where torchvision is installed resizes differently: up to 0.3 in normalised units on noise; see the tests.)

Text that comes from an environment is not trusted. A web page may well contain "<|im_end|>" or "<|image_pad|>"; read as a
special token it would end the turn or stand for a picture that is not there. Such strings are broken up with a space
("< |im_end|>") before the chat template sees them: the model still reads them, as plain text, and the template's own tokens
are the only special ones. `PromptEncoder.neutralised` counts them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image

from vldac.errors import ConfigError, ModelError

Message = dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageSpec:
    """How a checkpoint wants its images; read from its image processor, never assumed."""

    patch_size: int
    merge_size: int
    temporal_patch_size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    min_pixels: int
    max_pixels: int

    @property
    def factor(self) -> int:
        """Image sides are multiples of this many pixels."""
        return self.patch_size * self.merge_size


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


def smart_resize(height: int, width: int, spec: ImageSpec) -> tuple[int, int]:
    """Return the (height, width) in pixels the model sees (Qwen2-VL's rule)."""
    if max(height, width) / min(height, width) > 200:
        raise ConfigError(
            expected="an image with an aspect ratio of at most 200",
            got=f"{width}x{height}",
            where="image preprocessing",
            do="choose another env.image_size",
        )
    factor = spec.factor
    new_height = round(height / factor) * factor
    new_width = round(width / factor) * factor
    if new_height * new_width > spec.max_pixels:
        beta = math.sqrt(height * width / spec.max_pixels)
        new_height = max(factor, math.floor(height / beta / factor) * factor)
        new_width = max(factor, math.floor(width / beta / factor) * factor)
    elif new_height * new_width < spec.min_pixels:
        beta = math.sqrt(spec.min_pixels / (height * width))
        new_height = math.ceil(height * beta / factor) * factor
        new_width = math.ceil(width * beta / factor) * factor
    return new_height, new_width


def image_patches(images: np.ndarray, spec: ImageSpec) -> tuple[torch.Tensor, tuple[int, int, int]]:
    """Return the model's patches of a batch of equally sized images, and the (t, h, w) grid of one image.

    images: [N, height, width, 3] uint8. Patches: [N * h * w, 3 * temporal * patch * patch] float32, normalised.
    """
    height, width = smart_resize(images.shape[1], images.shape[2], spec)
    if (height, width) != images.shape[1:3]:
        bicubic = Image.Resampling.BICUBIC
        images = np.stack([np.asarray(Image.fromarray(frame).resize((width, height), bicubic)) for frame in images])
    patch, merge = spec.patch_size, spec.merge_size
    grid_h, grid_w = height // patch, width // patch
    mean = np.asarray(spec.mean, np.float32)
    std = np.asarray(spec.std, np.float32)
    pixels = (images.astype(np.float32) * np.float32(1 / 255) - mean) / std
    blocks = pixels.reshape(len(images), grid_h // merge, merge, patch, grid_w // merge, merge, patch, 3)
    # [N, block row, block column, row in block, column in block, channel, patch y, patch x]
    blocks = blocks.transpose(0, 1, 4, 2, 5, 7, 3, 6)[:, :, :, :, :, :, None]
    blocks = np.repeat(blocks, spec.temporal_patch_size, axis=6)
    return torch.from_numpy(np.ascontiguousarray(blocks.reshape(len(images) * grid_h * grid_w, -1))), (
        1,
        grid_h,
        grid_w,
    )


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
