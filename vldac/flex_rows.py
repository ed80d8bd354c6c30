"""Attention of packed rows by torch's flex attention: a block mask says which tiles of queries and keys meet at all.

Compiled on a GPU: it has trained on an H200 (benchmarks/results/gpu_7b.json); its gradients were not compared there. On a CPU torch
has no backward pass for it: there it runs uncompiled, in tests, for the exactness of the masks.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch.nn.attention.flex_attention import create_block_mask, flex_attention

from vldac.row_attention import row_numbers


class FlexRows:
    """See `vldac.row_attention.Rows`. Keys: the prefix's, then the rows' own. A query sees the prefix, and its row up to itself."""

    def __init__(
        self, offsets: torch.Tensor, queries: torch.Tensor, *, shared: int, scale: float, device: torch.device
    ) -> None:
        self._scale, self._is_compiled = scale, device.type == "cuda"
        key_row = torch.cat([torch.full((shared,), -1), row_numbers(offsets)]).to(device)
        row = row_numbers(queries)
        # A row's queries are its last tokens: the place among the keys of the query's own key.
        place = shared + torch.arange(len(row)) + (offsets[1:] - queries[1:])[row]
        query_row, query_place = row.to(device), place.to(device)

        def sees(batch: Any, head: Any, query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
            own = (key_row[key] == query_row[query]) & (key <= query_place[query])
            return (key < shared) | own

        self._mask = None
        if len(row):
            make: Callable[..., Any] = _compiled_mask() if self._is_compiled else create_block_mask
            self._mask = make(sees, None, None, len(row), len(key_row), device=device)

    def __call__(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, prefix_key: torch.Tensor | None,
        prefix_value: torch.Tensor | None,
    ) -> torch.Tensor:  # fmt: skip
        """See `Rows`."""
        if not len(query):
            return query
        pair = [
            (own if shared is None else torch.cat([shared, own])).transpose(0, 1)[None]
            for own, shared in ((key, prefix_key), (value, prefix_value))
        ]
        attend: Callable[..., Any] = _compiled() if self._is_compiled else flex_attention
        out: torch.Tensor = attend(
            query.transpose(0, 1)[None], *pair, block_mask=self._mask, scale=self._scale,
            enable_gqa=query.shape[1] != key.shape[1],
        )  # fmt: skip
        return out[0].transpose(0, 1)


@functools.cache
def _compiled() -> Any:
    return torch.compile(flex_attention, dynamic=True)


@functools.cache
def _compiled_mask() -> Any:
    """Uncompiled, it would hold one byte for every pair of a query and a key."""
    return torch.compile(create_block_mask, dynamic=True)
