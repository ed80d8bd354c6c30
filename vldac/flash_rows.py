"""Attention of packed rows by FlashAttention's variable-length kernel (package flash-attn, extra `gpu`).

Unverified: it cannot be built on the machines that this was written on. What it is given is tested with a stand-in.
"""

from __future__ import annotations

from typing import Any

import torch

from vldac.row_attention import behind_prefix


class FlashRows:
    """See `vldac.row_attention.Rows`. A row's keys are a copy of the prefix and its own; the mask is causal, aligned at the ends."""

    def __init__(
        self, offsets: torch.Tensor, queries: torch.Tensor, *, shared: int, scale: float, device: torch.device
    ) -> None:
        from flash_attn import flash_attn_varlen_func

        self._run: Any = flash_attn_varlen_func
        rows = torch.arange(len(offsets))
        key_ends = offsets + shared * rows
        self._take = behind_prefix(offsets, shared).to(device) if shared else None
        self._settings = {
            "cu_seqlens_q": queries.to(torch.int32).to(device), "cu_seqlens_k": key_ends.to(torch.int32).to(device),
            "max_seqlen_q": int(queries.diff().max()), "max_seqlen_k": int(key_ends.diff().max()),
            "softmax_scale": scale, "causal": True,
        }  # fmt: skip

    def __call__(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, prefix_key: torch.Tensor | None,
        prefix_value: torch.Tensor | None,
    ) -> torch.Tensor:  # fmt: skip
        """See `Rows`."""
        if not len(query):
            return query
        if self._take is not None and prefix_key is not None and prefix_value is not None:
            key, value = torch.cat([prefix_key, key])[self._take], torch.cat([prefix_value, value])[self._take]
        out: torch.Tensor = self._run(query, key, value, **self._settings)
        return out
