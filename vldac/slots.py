"""What a generator knows of the rows that it decodes: one slot per row, in tensors that stay in their place.

A step of decoding reads and writes nothing else, so a CUDA graph captured over them (`vldac.decode_graphs`) serves every rollout. One
slot more than rows, `spare`, belongs to no row: what pads a batch is decoded there, and forgotten.

Shapes: S slots (with the spare one), N token limit, H hidden.
"""

from __future__ import annotations

import torch

from vldac.attention import SlotCache

_UNIT = 64
"""Slots have room for a multiple of so many tokens, so that prompts that are a little longer still fit."""


class Slots:
    """State of S slots. One generator at a time uses them."""

    def __init__(
        self, *, num_layers: int, slots: int, capacity: int, limit: int, kv_heads: int, head_size: int, hidden_size: int,
        dtype: torch.dtype, device: torch.device,
    ) -> None:  # fmt: skip
        """slots: rows at a time. capacity: tokens of a row behind the shared prefix. limit: of a response."""
        self.count, self.spare, self.limit = slots, slots, limit
        count = slots + 1
        self.cache = SlotCache(
            num_layers=num_layers, slots=count, capacity=-(-capacity // _UNIT) * _UNIT, kv_heads=kv_heads, head_size=head_size,
            dtype=dtype, device=device,
        )  # fmt: skip

        def zeros(*more: int, dtype: torch.dtype = torch.int64) -> torch.Tensor:
            return torch.zeros(count, *more, dtype=dtype, device=device)

        self.seed = zeros()
        self.places = zeros()
        """[S] int64, places taken in the cache"""
        self.position = zeros()
        """[S] int64, rotary position of the next token"""
        self.said = zeros()
        """[S] int64, tokens said"""
        self.has_end = zeros(dtype=torch.bool)
        self.tokens = zeros(limit)
        self.logprob = zeros(limit, dtype=torch.float32)
        self.entropy = zeros(limit, dtype=torch.float32)
        self.value = zeros(dtype=torch.float32)
        self.value_input = zeros(hidden_size, dtype=dtype)

    def fits(self, *, slots: int, capacity: int, limit: int) -> bool:
        """Whether so many rows of so many tokens have room."""
        return slots <= self.count and capacity <= self.cache.capacity and limit <= self.limit
