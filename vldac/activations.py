"""What one pass through the decoder keeps and needs, in bytes: formulas for the packed layers of `vldac.decoder`.

Tested against the tensors that autograd keeps and against the peak of live bytes (tests/cli/test_estimate.py).

Letters: H hidden, I MLP, Q = heads x head size, K = key-value heads x head size, r LoRA rank, b bytes of the weights' dtype.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class DecoderShape:
    """Sizes of a decoder, from its configuration."""

    layers: int
    hidden: int
    mlp: int
    heads: int
    kv_heads: int
    head_size: int
    vocab: int
    has_head_norms: bool
    """Qwen3-VL normalises queries and keys per head."""

    @classmethod
    def of(cls, model_config: Any) -> DecoderShape:
        text = model_config.get_text_config()
        return cls(
            layers=text.num_hidden_layers,
            hidden=text.hidden_size,
            mlp=text.intermediate_size,
            heads=text.num_attention_heads,
            kv_heads=text.num_key_value_heads,
            head_size=getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads,
            vocab=text.vocab_size,
            has_head_norms=model_config.model_type == "qwen3_vl",
        )

    @property
    def query(self) -> int:
        """Q"""
        return self.heads * self.head_size

    @property
    def key(self) -> int:
        """K"""
        return self.kv_heads * self.head_size


@dataclass(frozen=True, kw_only=True, slots=True)
class PassShape:
    """Sizes of a forward and backward pass."""

    tokens: int
    """T, tokens of the rows behind the shared prefix"""
    kept: int
    """N, tokens whose output is read: one per response token"""
    shared: int = 0
    """P, tokens of the shared prefix"""
    rank: int
    dtype_bytes: int
    is_checkpointing: bool = False


def layer_bytes(shape: DecoderShape, size: PassShape, tokens: int) -> int:
    """Bytes that autograd keeps of any layer but the last, for `tokens` of a pass.

    Inputs of both norms (2 H) with a number per token; what the projections read, once per group: normed inputs (2 H), attention's
    result (Q), the MLP's product (I); LoRA's low states (7 r); rotated queries, keys and values (Q + 2 K) with a number per head;
    gate and up (2 I). Qwen3-VL: queries and keys before their norms, too.
    """
    b, q, k = size.dtype_bytes, shape.query, shape.key
    per_token = b * (4 * shape.hidden + 2 * q + 2 * k + 3 * shape.mlp + 7 * size.rank) + 4 * (2 + shape.heads)
    if shape.has_head_norms:
        per_token += b * (q + k) + 4 * (shape.heads + shape.kv_heads)
    return tokens * per_token


def last_layer_bytes(shape: DecoderShape, size: PassShape) -> int:
    """Bytes that autograd keeps of the last layer and the final norm: keys and values of all tokens, the rest of the kept ones."""
    b, q, k = size.dtype_bytes, shape.query, shape.key
    per_token = b * (2 * shape.hidden + 2 * k + 2 * size.rank) + 4
    per_kept = b * (4 * shape.hidden + 2 * q + 3 * shape.mlp + 5 * size.rank) + 4 * (2 + shape.heads)
    if shape.has_head_norms:
        per_token += b * k + 4 * shape.kv_heads
        per_kept += b * q + 4 * shape.heads
    return (size.tokens + size.shared) * per_token + size.kept * per_kept


def kept_bytes(shape: DecoderShape, size: PassShape) -> int:
    """Bytes that a forward pass keeps for its backward pass, cosines and sines included.

    With checkpointing: the input of every layer, and keys and values of the shared prefix.
    """
    b, every = size.dtype_bytes, size.tokens + size.shared
    angles = every * shape.head_size * b
    if size.is_checkpointing:
        return (
            angles
            + b * shape.layers * (every * shape.hidden + 2 * size.shared * shape.key)
            + b * size.kept * shape.hidden
        )
    return angles + (shape.layers - 1) * layer_bytes(shape, size, every) + last_layer_bytes(shape, size)


def update_bytes(shape: DecoderShape, size: PassShape) -> int:
    """Most bytes at a time of a forward and backward pass, scoring left out.

    Beside what is kept: the gradients of gate and up, at the last layer for its kept tokens; or, once that is gone, at the layer
    before it for all, with the gradient of the residual stream. With checkpointing a layer is there whole while it is recomputed.
    """
    b, every, kept = size.dtype_bytes, size.tokens + size.shared, kept_bytes(shape, size)
    last, widest = last_layer_bytes(shape, size), max(size.tokens, size.shared)
    at_last = size.kept * b * 2 * shape.mlp
    before = b * (2 * shape.mlp + shape.hidden)
    if size.is_checkpointing:
        whole = layer_bytes(shape, size, widest) - widest * b * shape.hidden  # its input is kept anyway
        return kept + max(last - every * b * shape.hidden + at_last, whole + widest * before - every * b * shape.hidden)
    return max(kept + at_last, kept - last + size.tokens * before)


def forward_bytes(shape: DecoderShape, *, tokens: int, dtype_bytes: int) -> int:
    """Most bytes at a time of a pass without gradient: gate, up and their product, three times the residual stream, angles."""
    return tokens * dtype_bytes * (3 * shape.mlp + 4 * shape.hidden + shape.head_size)


def logits_bytes(shape: DecoderShape, *, rows: int, dtype_bytes: int, device: str = "cuda") -> int:
    """Bytes of scoring `rows` response tokens with their gradient, by the kernels of the device.

    A GPU holds one chunk of float32 logits, their gradient in the weights' dtype and its product with the head; the CPU a tile
    (three, where the head must be converted). Both keep the gradient of the hidden states [rows, H].
    """
    from vldac.kernels.cpp_rows import SCRATCH_BYTES, TILE_COLUMNS
    from vldac.kernels.triton_table import planned_rows

    kept = rows * shape.hidden * dtype_bytes
    if device == "cpu":
        tile = min(SCRATCH_BYTES, rows * min(shape.vocab, TILE_COLUMNS) * 4)
        return kept + (tile if dtype_bytes == 4 else tile + 2 * SCRATCH_BYTES) + 2 * 4 * rows * shape.hidden
    chunk = min(rows, planned_rows(dtype_bytes, shape.hidden, shape.vocab))
    return kept + chunk * (-(-shape.vocab // 16) * 16 * (4 + dtype_bytes) + 4 * shape.hidden)


def pass_bytes(shape: DecoderShape, size: PassShape, *, device: str) -> int:
    """Most bytes at a time of a forward pass, scoring, and the backward pass."""
    scoring = logits_bytes(shape, rows=size.kept, dtype_bytes=size.dtype_bytes, device=device)
    return max(update_bytes(shape, size), kept_bytes(shape, size) + scoring)


CPU_STATES = 2**19
"""Numbers in the hidden states of a pass on the CPU, tokens x H, up to which it got no slower (see docs/trunk.md)."""
SAFETY = 0.85
"""Share of a GPU's free memory that a pass may plan with: the rest is for fragments and the libraries' workspaces."""


def cpu_tokens(shape: DecoderShape, *, shared: int) -> int:
    """Return the tokens of a pass on the CPU: what stays in its caches, and at least eight times the prefix that every pass runs."""
    return max(256, CPU_STATES // shape.hidden, 8 * shared)


def gpu_tokens(shape: DecoderShape, *, free: int, rank: int, dtype_bytes: int, is_checkpointing: bool) -> int:
    """Return the tokens of a pass that `free` bytes of a GPU hold, if the output of all of them were read."""

    def needed(tokens: int) -> int:
        size = PassShape(
            tokens=tokens, kept=tokens, rank=rank, dtype_bytes=dtype_bytes, is_checkpointing=is_checkpointing
        )
        return pass_bytes(shape, size, device="cuda")

    low, high = 1, 2**24
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if needed(middle) <= SAFETY * free else (low, middle)
    return low
