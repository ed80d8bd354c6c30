"""Rotary positions of the three model families (M-RoPE): which of the three axes turns which frequency.

Qwen2-VL and Qwen2.5-VL give each axis (time, height, width) a block of frequencies; Qwen3-VL interleaves them.
"""

from __future__ import annotations

from typing import Any

import torch

from vldac.errors import ModelError

_FIXED = ("default", "linear", "llama3", "yarn", "proportional")
"""Kinds of scaling whose frequencies do not depend on the length of the text."""


class Rotary:
    """Angles of positions, from a language model's own frequencies. The tables are float32, whatever the weights are."""

    def __init__(self, language_model: Any, name: str) -> None:
        embedding = language_model.rotary_emb
        kind = getattr(embedding, "rope_type", "default")
        if kind not in _FIXED:
            raise ModelError(
                expected=f"rotary positions of a kind among {', '.join(_FIXED)}", got=repr(kind),
                where=f"rope_parameters of {name!r}", do="set rope_type default in the checkpoint's config.json",
            )  # fmt: skip
        self._embedding = embedding
        self._scaling = float(embedding.attention_scaling)
        half = len(embedding.inv_freq)
        sections = list(language_model.config.rope_parameters["mrope_section"])
        if language_model.config.rope_parameters.get("mrope_interleaved") or "Qwen3" in type(language_model).__name__:
            axis = torch.zeros(half, dtype=torch.int64)
            for which in (1, 2):
                axis[which : sections[which] * 3 : 3] = which
        else:
            axis = torch.arange(3).repeat_interleave(torch.tensor(sections))
        if len(axis) != half:
            raise ModelError(
                expected=f"an mrope_section that sums to half a head, {half}", got=str(sections),
                where=f"rope_parameters of {name!r}", do="use the config.json that belongs to the checkpoint",
            )  # fmt: skip
        self.axis = axis
        """[D / 2] int64: 0 time, 1 height, 2 width"""
        self._axis_on: dict[torch.device, torch.Tensor] = {}

    def __call__(self, positions: torch.Tensor, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
        """Return (cos, sin), each [T, D / 2] in `dtype`. positions: [3, T] int64, or [T] where the axes agree."""
        frequencies = self._embedding.inv_freq.float()
        if positions.dim() == 1:
            turned = positions[:, None].float() * frequencies
        else:
            turned = positions.t()[:, self._axis(positions.device)].float() * frequencies
        return (turned.cos() * self._scaling).to(dtype), (turned.sin() * self._scaling).to(dtype)

    def _axis(self, device: torch.device) -> torch.Tensor:
        if device not in self._axis_on:
            self._axis_on[device] = self.axis.to(device)
        return self._axis_on[device]
