"""What tokens see of each other: rows behind a shared prefix, and one new token per slot of a cache.

A *row* is one environment step: the part of its prompt behind the shared prefix, then its response. Inside a row attention is causal;
every row sees the whole prefix; no row sees another. The prefix is run once, whatever the number of rows, and its keys and values
are exact: causal attention never lets a prefix token see what comes behind it.

Shapes: P prefix tokens, R rows, T packed tokens, N queries, D head size; C places of a slot.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from vldac.errors import SelfCheckError
from vldac.kernels import slot_attention
from vldac.row_attention import Rows, causal, rows_for


class Prefix:
    """Keys and values of the tokens that all rows share; `collect` is the `Attend` that fills it."""

    def __init__(self, num_layers: int, scale: float, backend: str = "auto", attention: str = "auto") -> None:
        """attention: see `vldac.row_attention`. backend: of the operator."""
        self.key: list[torch.Tensor | None] = [None] * num_layers
        """one [P, kv heads, D] per layer, rotated"""
        self.value: list[torch.Tensor | None] = [None] * num_layers
        self._scale, self._backend, self._attention = scale, backend, attention

    def __len__(self) -> int:
        """P"""
        return 0 if self.key[0] is None else len(self.key[0])

    def collect(self, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        """Causal attention of the prefix's own tokens. Keeps what it is given."""
        if self.key[layer] is None:  # recomputation in backward must not replace what the rows have read
            self.key[layer], self.value[layer] = key, value
        if not len(query):
            return query
        return causal(self._attention, query, key, value, scale=self._scale, kernels=self._backend)


@dataclass(frozen=True, kw_only=True, slots=True)
class RowLayout:
    """Where rows lie among packed tokens; on the host, so that nothing waits for the device."""

    offsets: torch.Tensor
    """[R + 1] int64, CPU: row r is tokens offsets[r] to offsets[r + 1]"""
    kept: torch.Tensor
    """[R + 1] int64, CPU: row r's last kept[r + 1] - kept[r] tokens are those whose output is read"""

    @property
    def lengths(self) -> torch.Tensor:
        """[R] int64"""
        return self.offsets.diff()


class RowAttention:
    """Attention of packed rows behind an optional prefix: an `Attend` of the update, of the reference and of the prefill."""

    def __init__(
        self, layout: RowLayout, prefix: Prefix | None, *, num_layers: int, scale: float, backend: str = "auto",
        attention: str = "auto",
    ) -> None:  # fmt: skip
        """attention: see `vldac.row_attention`. backend: of the operator."""
        self._layout, self._prefix, self._last = layout, prefix, num_layers - 1
        self._scale, self._backend, self._attention = scale, backend, attention
        self._rows: dict[bool, Rows] = {}
        """for the kept tokens alone, and for all"""

    def __call__(self, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        """[N, heads, D]; in the last layer the queries are those of the kept tokens."""
        layout, prefix, is_last = self._layout, self._prefix, layer == self._last
        if is_last not in self._rows:
            self._rows[is_last] = rows_for(
                self._attention, layout.offsets, layout.kept if is_last else layout.offsets, scale=self._scale,
                shared=0 if prefix is None else len(prefix), device=query.device, kernels=self._backend,
            )  # fmt: skip
        shared = (None, None) if prefix is None else (prefix.key[layer], prefix.value[layer])
        return self._rows[is_last](query, key, value, *shared)


class SlotCache:
    """Keys and values of rows that are being decoded, each in a slot of its own, in a fixed place."""

    def __init__(
        self, *, num_layers: int, slots: int, capacity: int, kv_heads: int, head_size: int, dtype: torch.dtype,
        device: torch.device,
    ) -> None:  # fmt: skip
        shape = (num_layers, slots, capacity, kv_heads, head_size)
        self.key = torch.zeros(shape, dtype=dtype, device=device)
        """[layers, slots, C, kv heads, D]"""
        self.value = torch.zeros(shape, dtype=dtype, device=device)
        self.slots, self.capacity = slots, capacity

    def write(self, layer: int, place: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> None:
        """place: [T] int64, slot * C + position."""
        self.key[layer].flatten(0, 1).index_copy_(0, place, key)
        self.value[layer].flatten(0, 1).index_copy_(0, place, value)


class PrefillAttention:
    """`RowAttention` that leaves each row's keys and values in its slot."""

    def __init__(self, rows: RowAttention, cache: SlotCache, place: torch.Tensor) -> None:
        self._rows, self._cache, self._place = rows, cache, place

    def __call__(self, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        """As `RowAttention`."""
        self._cache.write(layer, self._place, key, value)
        return self._rows(layer, query, key, value)


class SlotAttention:
    """One new token in each of A slots: writes its key and value, and looks at the prefix and at its slot."""

    def __init__(
        self, cache: SlotCache, prefix: Prefix | None, slots: torch.Tensor, lengths: torch.Tensor, *, scale: float,
        backend: str = "auto",
    ) -> None:  # fmt: skip
        """slots: [A] int64. lengths: [A] int64, places taken before the new token."""
        self._cache, self._prefix, self._slots, self._lengths, self._scale = cache, prefix, slots, lengths + 1, scale
        self._place, self._backend = slots * cache.capacity + lengths, backend

    def __call__(self, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        """[A, heads, D] each to [A, heads, D]."""
        cache, prefix = self._cache, self._prefix
        cache.write(layer, self._place, key, value)
        return slot_attention(
            query, cache.key[layer], cache.value[layer], self._slots, self._lengths,
            None if prefix is None else prefix.key[layer], None if prefix is None else prefix.value[layer], scale=self._scale,
            backend=self._backend,
        )  # fmt: skip


def shared_prefix(prompts: Sequence[torch.Tensor], image_token_id: int) -> int:
    """Return how many first tokens all prompts share, images apart, so that each keeps at least one of its own.

    prompts: [tokens] int64 each, CPU. Behind the first image placeholder nothing is shared: the ids agree there, the pictures don't.
    """
    different = {id(ids): ids for ids in prompts}.values()
    first = next(iter(different))
    at_image = (first == image_token_id).nonzero()
    length = min(int(at_image[0]) if len(at_image) else len(first) - 1, len(first) - 1)
    for ids in different:
        length = min(length, len(ids) - 1)
        apart = (ids[:length] != first[:length]).nonzero()
        length = int(apart[0]) if len(apart) else length
    return max(0, length)


def check_capacity(needed: int, capacity: int, where: str) -> None:
    """Raise SelfCheckError where a row does not fit its slot."""
    if needed > capacity:
        raise SelfCheckError(
            expected=f"rows of at most {capacity} tokens behind the shared prefix", got=str(needed), where=where,
            do="report this: the cache was made for shorter prompts",
        )  # fmt: skip
