"""From padded hidden states to the rows that predict response tokens: the causal shift, in one place."""

from __future__ import annotations

import torch
from torch import Tensor
from vldac.kernels.dispatch import KernelError

from vldac.kernels import checks


def pack_action_rows(
    hidden: Tensor, action_mask: Tensor, *, row_index: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Gather the hidden states that predict the response tokens: (rows [N, H], step_index [N], position [N]).

    hidden: [B, L, H]. action_mask: [B, L] bool, True at response tokens. The token at position t is predicted by the hidden state at
    t - 1. row_index: [N] int64, the flat places of the True entries in [B x L] in order, where the packer knows them: then nothing
    waits for the device. Differentiable in hidden; an empty mask gives no rows, attached to the graph.
    Raises KernelError for wrong shapes and, where the host can see it, for a response token at position 0.
    """
    where = "pack_action_rows"
    checks.shape(where, "hidden", hidden, "B", "L", "H")
    checks.shape(where, "action_mask", action_mask, *hidden.shape[:2])
    checks.dtype(where, "action_mask", action_mask, (torch.bool,))
    checks.one_device(where, hidden=hidden, action_mask=action_mask, row_index=row_index)
    length = hidden.shape[1]
    if row_index is None:
        row_index = action_mask.flatten().nonzero()[:, 0]
    else:
        checks.shape(where, "row_index", row_index, "N")
        checks.dtype(where, "row_index", row_index, (torch.int64,))
        _check_places(where, row_index, action_mask.numel())
    step_index, position = row_index // length, row_index % length
    if hidden.device.type == "cpu" and not torch.compiler.is_compiling() and bool((position == 0).any()):
        raise KernelError(
            expected="a prompt token before the first response token", got="an action mask at position 0", where=where,
            do="put the prompt first: the first token of a row is predicted by nothing",
        )  # fmt: skip
    return hidden.flatten(0, 1).index_select(0, row_index - 1), step_index, position


def _check_places(where: str, row_index: Tensor, count: int) -> None:
    """On the CPU, where looking costs nothing."""
    if row_index.device.type != "cpu" or torch.compiler.is_compiling() or not len(row_index):
        return
    low, high = int(row_index.min()), int(row_index.max())
    if low < 0 or high >= count:
        raise checks.KernelIndexError(
            expected=f"row_index in [0, {count}), the places of the mask", got=f"from {low} to {high}", where=where,
            do="give the flat places of the True entries in [B x L]",
        )  # fmt: skip
