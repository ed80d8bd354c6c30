"""transformers' own forward pass of packed rows, through its modules and PEFT's: what `vldac.decoder` is held against.

Each row whole, its prefix included, padded on the right. Nothing trains or acts through this: it is slower by what packing saves.

Shapes: R rows, L tokens of the longest, N kept tokens, H hidden.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import torch

from vldac.batch import TokenBatch

if TYPE_CHECKING:
    from vldac.policy import Policy


def padded_hidden_states(policy: Policy, batch: TokenBatch) -> torch.Tensor:
    """Post-norm hidden states [N, H] of a batch's kept tokens by `network.model.language_model`, adapter included."""
    shared = 0 if batch.prefix is None else len(batch.prefix.ids)
    offsets = batch.layout.offsets.tolist()
    lengths = [shared + end - start for start, end in itertools.pairwise(offsets)]
    device, shape = policy.device, (len(lengths), max(lengths))
    ids = torch.zeros(shape, dtype=torch.int64, device=device)
    positions = torch.zeros(3, *shape, dtype=torch.int64, device=device)
    for row, (start, length) in enumerate(zip(offsets, lengths, strict=False)):
        if batch.prefix is not None:
            ids[row, :shared] = batch.prefix.ids.to(device)
            positions[:, row, :shared] = batch.prefix.positions.to(device)
        ids[row, shared:length] = batch.input_ids[start : start + length - shared]
        positions[:, row, shared:length] = batch.positions[:, start : start + length - shared]
    is_token = torch.arange(shape[1], device=device) < torch.tensor(lengths, device=device)[:, None]
    inputs, extra = policy.network.get_input_embeddings()(ids), dict[str, Any]()
    is_image = (ids == policy.image_token_id) & is_token
    if len(batch.embeds):
        inputs = inputs.masked_scatter(is_image[..., None], batch.embeds.to(inputs.dtype))
    if batch.deepstack:
        extra = {"visual_pos_masks": is_image, "deepstack_visual_embeds": list(batch.deepstack)}
    out = policy.network.model.language_model(
        inputs_embeds=inputs, attention_mask=is_token.long(), position_ids=positions, use_cache=False, **extra
    )
    hidden: torch.Tensor = out.last_hidden_state
    own = is_token & (torch.arange(shape[1], device=device) >= shared)
    return hidden[own][batch.keep]
