"""The decoder layers of Qwen2-VL, Qwen2.5-VL and Qwen3-VL, over Hugging Face's own weights, on packed tokens.

One layer, for every pass there is. Tokens of all rows lie one behind the other, [T, H], without padding: what rows have to do with
each other is the attention's business alone (`attend`), so scoring, prefill, decoding and the shared prefix are the same code. The
last layer runs its queries and its MLP only where its output is read (`keep`): at response tokens, or at the last prompt token.

Equal to transformers' forward within rounding in all three families (tests/policy/test_decoder.py; the self-check `decoder`).

Shapes: T packed tokens, N kept ones, H hidden, D head size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.checkpoint import checkpoint

from vldac.attention import Prefix
from vldac.errors import ModelError
from vldac.kernels import apply_rotary, rms_norm, swiglu
from vldac.kernels.dispatch import decoder_backend
from vldac.lora import Group, Projection
from vldac.rotary import Rotary

Attend = Callable[[int, torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
"""(layer, query [N, heads, D], key [T, kv heads, D], value [T, kv heads, D]) to [N, heads, D]; N queries, those kept."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Deepstack:
    """Qwen3-VL's picture features that are added behind the first layers."""

    index: torch.Tensor
    """[image tokens] int64, their places among the packed tokens"""
    features: tuple[torch.Tensor, ...]
    """one [image tokens, H] per layer"""


@dataclass(frozen=True, slots=True)
class _Layer:
    input_norm: torch.Tensor
    query_key_value: Group
    query: Group
    key_value: Group
    query_norm: torch.Tensor | None
    key_norm: torch.Tensor | None
    out: Group
    mlp_norm: torch.Tensor
    gate_up: Group
    down: Group

    @classmethod
    def of(cls, layer: Any, name: str) -> _Layer:
        attention, mlp = layer.self_attn, layer.mlp
        q, k, v, o = (Projection.of(getattr(attention, f"{p}_proj"), name) for p in "qkvo")
        gate, up, down = (Projection.of(getattr(mlp, f"{p}_proj"), name) for p in ("gate", "up", "down"))
        norms = [getattr(attention, f"{p}_norm", None) for p in "qk"]
        return cls(
            input_norm=layer.input_layernorm.weight, query_key_value=Group([q, k, v]), query=Group([q]),
            key_value=Group([k, v]), query_norm=None if norms[0] is None else norms[0].weight,
            key_norm=None if norms[1] is None else norms[1].weight, out=Group([o]),
            mlp_norm=layer.post_attention_layernorm.weight, gate_up=Group([gate, up]), down=Group([down]),
        )  # fmt: skip


class Decoder:
    """Runs the language model of a `Qwen*VLForConditionalGeneration`, adapter included. Holds no weights of its own."""

    def __init__(self, network: Any, name: str, *, kernels: str = "auto", attention: str = "auto") -> None:
        """network: `Qwen*VLForConditionalGeneration`. kernels: the back end of scoring (`model.kernels`). attention: of packed rows
        (`model.attention`)."""
        language_model = network.model.language_model
        config = language_model.config
        _check(config, name)
        self._embedding = network.get_input_embeddings()
        self._norm = language_model.norm.weight
        self.layers = tuple(_Layer.of(layer, name) for layer in language_model.layers)
        self.rotary = Rotary(language_model, name)
        self.eps = float(config.rms_norm_eps)
        self.heads, self.kv_heads = int(config.num_attention_heads), int(config.num_key_value_heads)
        self.head_size = int(getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads)
        self.scale = self.head_size**-0.5
        self.backend, self.attention = decoder_backend(kernels), attention

    def embed(self, ids: torch.Tensor) -> torch.Tensor:
        """[T] int64 to [T, H]."""
        embedded: torch.Tensor = self._embedding(ids)
        return embedded

    def __call__(
        self,
        inputs: torch.Tensor,
        positions: torch.Tensor,
        attend: Attend,
        *,
        is_adapted: bool,
        keep: torch.Tensor | None = None,
        deepstack: Deepstack | None = None,
        is_checkpointing: bool = False,
    ) -> torch.Tensor:
        """Return post-norm hidden states, [N, H], of the tokens in `keep` ([N] int64; None: of all T).

        inputs: [T, H] embeddings. positions: [3, T] int64, or [T] where the axes agree. With `is_checkpointing` a layer keeps its
        input alone and recomputes in backward.
        """
        cos, sin = self.rotary(positions, inputs.dtype)
        hidden, last = inputs, len(self.layers) - 1
        for index in range(len(self.layers)):
            kept = keep if index == last else None
            arguments = (index, hidden, cos, sin, attend, is_adapted, kept)
            if is_checkpointing and torch.is_grad_enabled():
                hidden = checkpoint(self._layer, *arguments, use_reentrant=False, preserve_rng_state=False)
            else:
                hidden = self._layer(*arguments)
            if deepstack is not None and index < len(deepstack.features) and kept is None:
                hidden = hidden.index_add(0, deepstack.index, deepstack.features[index].to(hidden.dtype))
        return self._rms_norm(hidden, self._norm)

    def prefix(
        self, ids: torch.Tensor, positions: torch.Tensor, *, is_adapted: bool, is_checkpointing: bool = False
    ) -> Prefix:
        """Return keys and values of shared tokens: ids [P] int64, positions [3, P]. The last layer ends with them."""
        prefix = Prefix(len(self.layers), self.scale, self.backend, self.attention)
        nothing = torch.empty(0, dtype=torch.int64, device=ids.device)
        self(
            self.embed(ids), positions, prefix.collect, is_adapted=is_adapted, keep=nothing,
            is_checkpointing=is_checkpointing,
        )  # fmt: skip
        return prefix

    def refresh_adapter(self, dtype: torch.dtype) -> None:
        """Bring every copy of the adapter in `dtype` up to date, for a captured graph that cannot do so itself."""
        for layer in self.layers:
            for group in (layer.query_key_value, layer.out, layer.gate_up, layer.down):
                group.refresh(dtype)

    def _layer(
        self, index: int, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, attend: Attend, is_adapted: bool,
        keep: torch.Tensor | None,
    ) -> torch.Tensor:  # fmt: skip
        attended = self._attention(index, x, cos, sin, attend, is_adapted, keep)
        x = x if keep is None else x[keep]
        if not len(x):
            return x
        (out,) = self.layers[index].out(attended.flatten(1), is_adapted=is_adapted)
        del attended
        x = x + out
        del out
        return x + self._mlp(index, x, is_adapted)

    def _attention(
        self, index: int, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, attend: Attend, is_adapted: bool,
        keep: torch.Tensor | None,
    ) -> torch.Tensor:  # fmt: skip
        layer, backend = self.layers[index], self.backend
        normed = self._rms_norm(x, layer.input_norm)
        if keep is None:
            query, key, value = layer.query_key_value(normed, is_adapted=is_adapted)
            query_cos, query_sin = cos, sin
        else:
            key, value = layer.key_value(normed, is_adapted=is_adapted)
            (query,) = layer.query(normed[keep], is_adapted=is_adapted)
            query_cos, query_sin = cos[keep], sin[keep]
        query = query.view(-1, self.heads, self.head_size)
        key, value = (part.view(-1, self.kv_heads, self.head_size) for part in (key, value))
        if layer.query_norm is not None and layer.key_norm is not None:
            query, key = self._rms_norm(query, layer.query_norm), self._rms_norm(key, layer.key_norm)
        query = apply_rotary(query, query_cos, query_sin, backend=backend)
        key = apply_rotary(key, cos, sin, backend=backend)
        return attend(index, query, key, value)

    def _mlp(self, index: int, x: torch.Tensor, is_adapted: bool) -> torch.Tensor:
        layer = self.layers[index]
        gate, up = layer.gate_up(self._rms_norm(x, layer.mlp_norm), is_adapted=is_adapted)
        (down,) = layer.down(swiglu(gate, up, backend=self.backend), is_adapted=is_adapted)
        return down

    def _rms_norm(self, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """Over the last dimension: of tokens [T, H], or of heads [T, heads, D]."""
        return rms_norm(x.reshape(-1, x.shape[-1]), weight, self.eps, backend=self.backend).view(x.shape)


def _check(config: Any, name: str) -> None:
    """Raise ModelError for a decoder that these layers would not compute."""
    kinds: Sequence[str] = getattr(config, "layer_types", None) or ()
    checks = {
        "hidden_act silu": (config.hidden_act == "silu", config.hidden_act),
        "full attention in every layer": (all(kind == "full_attention" for kind in kinds), "a sliding window"),
    }
    for expected, (holds, got) in checks.items():
        if not holds:
            raise ModelError(
                expected=expected, got=str(got), where=f"text configuration of {name!r}",
                do="use an unchanged Qwen2-VL, Qwen2.5-VL or Qwen3-VL configuration",
            )  # fmt: skip
