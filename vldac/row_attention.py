"""How the attention of packed rows is computed: `model.attention`. One answer, four ways to it.

| name | runs | what it is |
| --- | --- | --- |
| `auto` | anywhere | on the CPU the C++ operator (`vldac.kernels.prefix_attention`), on a GPU `sdpa` |
| `sdpa` | anywhere | torch's fused attention over rows padded to the longest, each behind a copy of the prefix |
| `flex` | a GPU | flex attention over packed rows with a block mask: nothing padded, nothing copied |
| `flash` | a GPU, bfloat16 | FlashAttention's variable-length kernel; each row behind a copy of the prefix |

Shapes: P prefix tokens, R rows, T packed tokens, N queries, D head size.
"""

from __future__ import annotations

import itertools
from typing import Protocol

import torch
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from vldac.errors import ConfigError
from vldac.kernels import prefix_attention

NAMES = ("auto", "sdpa", "flex", "flash")


def check_attention(name: str, device: torch.device) -> None:
    """Raise ConfigError for an attention that cannot train on a device."""
    if name in ("flex", "flash") and device.type != "cuda":
        raise ConfigError(
            expected="a GPU",
            got=f"device {device}",
            where=f"model.attention = {name!r}",
            do="use model.attention auto or sdpa",
        )


class Rows(Protocol):
    """The attention of one micro-batch, made once for all its layers."""

    def __call__(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, prefix_key: torch.Tensor | None,
        prefix_value: torch.Tensor | None,
    ) -> torch.Tensor:  # fmt: skip
        """query [N, heads, D], key and value [T, kv heads, D], the prefix's [P, kv heads, D]: [N, heads, D]."""


def rows_for(
    name: str, offsets: torch.Tensor, queries: torch.Tensor, *, shared: int, scale: float, device: torch.device, kernels: str
) -> Rows:  # fmt: skip
    """Return the attention `name` of rows at `offsets` [R + 1] whose last tokens at `queries` [R + 1] ask (int64, CPU).

    shared: P. kernels: back end of the operator, where `auto` takes it.
    """
    if name == "auto" and device.type == "cpu":
        return OperatorRows(offsets, queries, scale=scale, backend=kernels)
    if name in ("auto", "sdpa"):
        return SdpaRows(offsets, queries, shared=shared, scale=scale, device=device)
    if name == "flex":
        from vldac.flex_rows import FlexRows

        return FlexRows(offsets, queries, shared=shared, scale=scale, device=device)
    if name == "flash":
        from vldac.flash_rows import FlashRows

        return FlashRows(offsets, queries, shared=shared, scale=scale, device=device)
    raise AssertionError(f"an attention of no known name: {name}")


class OperatorRows:
    """The library's own operator."""

    def __init__(self, offsets: torch.Tensor, queries: torch.Tensor, *, scale: float, backend: str) -> None:
        self._offsets, self._queries, self._scale, self._backend = offsets, queries, scale, backend

    def __call__(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, prefix_key: torch.Tensor | None,
        prefix_value: torch.Tensor | None,
    ) -> torch.Tensor:  # fmt: skip
        """See `Rows`."""
        return prefix_attention(
            query, key, value, prefix_key, prefix_value, self._offsets, self._queries, scale=self._scale,
            backend=self._backend,
        )  # fmt: skip


class SdpaRows:
    """torch's scaled_dot_product_attention on a rectangle of rows, left-aligned, with a boolean mask."""

    def __init__(
        self, offsets: torch.Tensor, queries: torch.Tensor, *, shared: int, scale: float, device: torch.device
    ) -> None:
        self._scale = scale
        lengths, counts = offsets.diff(), queries.diff()
        self._keys, _ = _rectangle(offsets, device)
        self._queries, self._put = _rectangle(queries, device)
        place = (lengths - counts)[:, None] + torch.arange(self._queries.shape[1])  # of a query in its row
        seen = torch.arange(shared + self._keys.shape[1]) <= shared + place[:, :, None]
        self._mask = seen[:, None].to(device, non_blocking=True)  # [R, 1, queries, P + keys]

    def __call__(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, prefix_key: torch.Tensor | None,
        prefix_value: torch.Tensor | None,
    ) -> torch.Tensor:  # fmt: skip
        """See `Rows`. Kept for backward are the packed tensors; the rectangles, with their copies of the prefix, are made again."""
        if not len(query):
            return query
        given = (query, key, value, prefix_key, prefix_value)
        if torch.is_grad_enabled() and any(tensor is not None and tensor.requires_grad for tensor in given):
            kept: torch.Tensor = checkpoint(self._attend, *given, use_reentrant=False, preserve_rng_state=False)
            return kept
        return self._attend(*given)

    def _attend(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, prefix_key: torch.Tensor | None,
        prefix_value: torch.Tensor | None,
    ) -> torch.Tensor:  # fmt: skip
        pair = []
        for own, shared in ((key, prefix_key), (value, prefix_value)):
            rows = own[self._keys].transpose(1, 2)
            if shared is not None:
                rows = torch.cat([shared.transpose(0, 1).expand(len(rows), -1, -1, -1), rows], dim=2)
            # No fused kernel of a GPU takes grouped heads together with a mask.
            pair.append(rows.repeat_interleave(query.shape[1] // rows.shape[1], 1) if query.is_cuda else rows)
        out = functional.scaled_dot_product_attention(
            query[self._queries].transpose(1, 2), pair[0], pair[1], attn_mask=self._mask, scale=self._scale,
            enable_gqa=query.shape[1] != pair[0].shape[1],
        )  # fmt: skip
        return out.transpose(1, 2).flatten(0, 1)[self._put]


def _rectangle(offsets: torch.Tensor, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Return ([R, longest] packed place of each entry, [N] flat place on the rectangle of each packed token)."""
    counts = offsets.diff()
    column = torch.arange(int(counts.max()))[None]
    # Behind a row's end its last token is repeated: what stands there is never read, but must be finite.
    take = offsets[:-1, None] + torch.minimum(column, (counts[:, None] - 1).clamp(min=0))
    put = (column < counts[:, None]).flatten().nonzero()[:, 0]
    return take.clamp(max=max(0, int(offsets[-1]) - 1)).to(device, non_blocking=True), put.to(device, non_blocking=True)


def causal(
    name: str, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *, scale: float, kernels: str
) -> torch.Tensor:  # fmt: skip
    """Causal attention of one sequence, the shared prefix's own: [P, heads, D] by [P, kv heads, D] to [P, heads, D]."""
    if name == "auto" and not query.is_cuda:
        one = torch.tensor([0, len(key)])
        return prefix_attention(query, key, value, None, None, one, scale=scale, backend=kernels)
    q, k, v = (part.transpose(0, 1)[None] for part in (query, key, value))
    out = functional.scaled_dot_product_attention(
        q, k, v, is_causal=True, scale=scale, enable_gqa=query.shape[1] != key.shape[1]
    )
    return out[0].transpose(0, 1)


def row_numbers(offsets: torch.Tensor) -> torch.Tensor:
    """[T] int64, the row of each packed token."""
    lengths = offsets.diff()
    return torch.arange(len(lengths)).repeat_interleave(lengths)


def behind_prefix(offsets: torch.Tensor, shared: int) -> torch.Tensor:
    """[R x P + T] int64: which of the prefix's and the packed tokens, in this order, each row reads one behind the other."""
    prefix = torch.arange(shared)
    rows = [torch.cat([prefix, shared + torch.arange(a, b)]) for a, b in itertools.pairwise(offsets.tolist())]
    return torch.cat(rows)
