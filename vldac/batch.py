"""Packed rows of prompts and responses, ready for the trunk: no padding, and the prefix that all rows share only once.

A row's last response token is scored, but nothing is read behind it, so that it is not run at all: a row is its prompt behind the
shared prefix, and its response without the last token. The trunk's output is kept at the last prompt token (it predicts the first
response token, and the value is read there) and at the response tokens that follow: one hidden state per response token.

Shapes: R rows, P tokens of the shared prefix, T packed tokens behind it, N kept ones, H hidden.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from vldac.attention import RowLayout, shared_prefix
from vldac.errors import SelfCheckError
from vldac.prompting import Prompt

MIN_SHARED = 8
"""A shorter common prefix is not worth a pass of its own."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FrameFeatures:
    """What the frozen vision tower says of one frame."""

    embeds: torch.Tensor
    """[tokens, H]"""
    deepstack: tuple[torch.Tensor, ...]
    """Qwen3-VL: one [tokens, H] per deep-stack layer; empty for the other families."""
    grid: tuple[int, int, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class PrefixTokens:
    """The shared first tokens of some prompts; on the host."""

    ids: torch.Tensor
    """[P] int64"""
    positions: torch.Tensor
    """[3, P] int64"""


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenBatch:
    """Rows of prompt and response, packed."""

    prefix: PrefixTokens | None
    input_ids: torch.Tensor
    """[T] int64"""
    positions: torch.Tensor
    """[3, T] int64"""
    layout: RowLayout
    keep: torch.Tensor
    """[N] int64, places of the kept tokens"""
    value_index: torch.Tensor
    """[R] int64, each row's last prompt token among the kept ones"""
    row_index: torch.Tensor | None
    """[tokens] int64, those kept ones that predict a response token; None where all N do, in order"""
    targets: torch.Tensor
    """[tokens] int64, the response tokens in row order"""
    step_index: torch.Tensor
    """[tokens] int64, row of each response token"""
    image_index: torch.Tensor
    """[image tokens] int64, places of the image placeholders"""
    embeds: torch.Tensor
    """[image tokens, H], in the order of the placeholders"""
    deepstack: tuple[torch.Tensor, ...]

    @property
    def num_rows(self) -> int:
        return len(self.value_index)

    @property
    def num_tokens(self) -> int:
        """Tokens that the trunk runs, the shared prefix included."""
        return len(self.input_ids) + (0 if self.prefix is None else len(self.prefix.ids))


def prefix_of(prompts: Sequence[Prompt], image_token_id: int) -> int:
    """Return the length of the prefix that these prompts are worth sharing; 0: none."""
    length = shared_prefix([prompt.ids for prompt in prompts], image_token_id)
    return length if length >= MIN_SHARED else 0


def prefix_tokens(prompt: Prompt, length: int) -> PrefixTokens | None:
    """Return the first `length` tokens of a prompt, None for 0."""
    return PrefixTokens(ids=prompt.ids[:length], positions=prompt.positions[:, :length]) if length else None


def collate(
    prompts: Sequence[Prompt],
    responses: Sequence[torch.Tensor],
    features: Sequence[Sequence[FrameFeatures]],
    device: torch.device,
    image_token_id: int,
    *,
    shared: int | None = None,
) -> TokenBatch:
    """Pack prompts followed by responses ([tokens] int64 each, possibly none) onto `device`.

    shared: how many first tokens the prompts share; None finds out. Raises SelfCheckError where a row's frames do not fill its
    placeholders, row by row: a total that agrees could still hide frames in the wrong row.
    """
    check_frames(prompts, features)
    shared = prefix_of(prompts, image_token_id) if shared is None else shared
    ids, positions, lengths, kept = [], [], [], []
    for prompt, response in zip(prompts, responses, strict=True):
        read = response[:-1]
        ids += [prompt.ids[shared:], read]
        positions += [
            prompt.positions[:, shared:],
            (prompt.next_position + torch.arange(len(read))).expand(3, -1),
        ]
        lengths.append(len(prompt.ids) - shared + len(read))
        kept.append(max(1, len(response)))
    input_ids = torch.cat(ids)
    offsets, kept_offsets = _offsets(lengths), _offsets(kept)
    counts = torch.tensor([len(response) for response in responses])
    is_kept = torch.arange(len(input_ids)) >= (offsets[1:] - kept_offsets.diff()).repeat_interleave(offsets.diff())
    keep = is_kept.nonzero()[:, 0]
    image_index = (input_ids == image_token_id).nonzero()[:, 0]
    targets = torch.cat(list(responses))
    _check_kept(torch.cat([input_ids[keep], targets]), image_token_id)
    predicts = counts > 0
    embeds, deepstack = stack_features(features, device)
    return TokenBatch(
        prefix=prefix_tokens(prompts[0], shared),
        input_ids=input_ids.to(device),
        positions=torch.cat(positions, dim=1).to(device),
        layout=RowLayout(offsets=offsets, kept=kept_offsets),
        keep=keep.to(device),
        value_index=kept_offsets[:-1].to(device),
        row_index=None if bool(predicts.all()) else predicts.repeat_interleave(kept_offsets.diff()).nonzero()[:, 0].to(device),
        targets=targets.to(device),
        step_index=torch.arange(len(prompts)).repeat_interleave(counts).to(device),
        image_index=image_index.to(device),
        embeds=embeds,
        deepstack=deepstack,
    )  # fmt: skip


def _offsets(lengths: Sequence[int]) -> torch.Tensor:
    return torch.tensor([0, *lengths]).cumsum(0)


def check_frames(prompts: Sequence[Prompt], features: Sequence[Sequence[FrameFeatures]]) -> None:
    """Raise SelfCheckError where a row's features and placeholders disagree (without any features nothing is said)."""
    if not any(features):
        return
    for row, (prompt, own) in enumerate(zip(prompts, features, strict=True)):
        given = sum(len(frame.embeds) for frame in own)
        if prompt.image_tokens is not None and given != prompt.image_tokens:
            raise SelfCheckError(
                expected=f"{prompt.image_tokens} image features, one per placeholder of the prompt",
                got=f"{given} from {len(own)} frames",
                where=f"row {row} of a batch",
                do="report this: a frame was dropped, added or put into another row",
            )


def _check_kept(ids: torch.Tensor, image_token_id: int) -> None:
    if bool((ids == image_token_id).any()):
        raise SelfCheckError(
            expected="prompts that end in text, and no image placeholder among the response tokens",
            got="an image placeholder where the trunk's output is read",
            where="batch collation",
            do="use a chat template that ends with the assistant's turn; report this if a placeholder was sampled",
        )


def stack_features(
    features: Sequence[Sequence[FrameFeatures]], device: torch.device
) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
    """Return the rows' features one behind the other, [image tokens, H], and the same per deep-stack layer."""
    flat = [frame for row in features for frame in row]
    if not flat:
        return torch.empty(0, 1, device=device), ()
    depth = len(flat[0].deepstack)
    embeds = torch.cat([frame.embeds for frame in flat])
    return embeds, tuple(torch.cat([frame.deepstack[layer] for frame in flat]) for layer in range(depth))
