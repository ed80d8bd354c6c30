"""The contract of a tier for the operations of decoder layers, without autograd, on inputs that were validated. See `tier`.

Shapes: N rows (tokens), H hidden, I intermediate, D head width, A rows of a decode batch. F is float32, or float64 where the inputs
are float64. A tier rounds to the dtype of its inputs where Hugging Face's layers do, so that bfloat16 results are theirs.
"""

from __future__ import annotations

from typing import Protocol

from torch import Tensor


class DecoderTier(Protocol):
    """One back end; a subset will do."""

    def rms_norm(self, x: Tensor, weight: Tensor, eps: float) -> tuple[Tensor, Tensor]:
        """(y [N, H], inverse [N] F = 1 / sqrt(mean x^2 + eps)): y = weight * (x inverse rounded to x's dtype). Any strides."""

    def rms_norm_backward(
        self, grad: Tensor, x: Tensor, weight: Tensor, inverse: Tensor, needs_weight: bool
    ) -> tuple[Tensor, Tensor | None]:
        """Gradients of x [N, H] and, where wanted, of weight [H], in their dtypes, accumulated in F."""

    def swiglu(self, gate: Tensor, up: Tensor) -> Tensor:
        """silu(gate) * up, [N, I]; any strides."""

    def swiglu_backward(self, grad: Tensor, gate: Tensor, up: Tensor) -> tuple[Tensor, Tensor]:
        """Gradients of gate and up, [N, I] each."""

    def rotary(self, x: Tensor, cos: Tensor, sin: Tensor, is_inverse: bool) -> Tensor:
        """x [N, heads, D] of any strides, cos and sin [N, D / 2] in x's dtype: (x1 cos - x2 sin, x2 cos + x1 sin), contiguous.

        is_inverse: with -sin, which is the derivative.
        """

    def slot_attention(
        self, query: Tensor, key_cache: Tensor, value_cache: Tensor, slot: Tensor, length: Tensor, prefix_key: Tensor | None,
        prefix_value: Tensor | None, scale: float,
    ) -> Tensor:  # fmt: skip
        """[A, heads, D], contiguous: each query over the prefix [P, kv_heads, D] and the first length[a] keys in slot[a].

        Caches [slots, C, kv_heads, D], any strides. Sums in F. On the CPU slot in [0, slots) and length in [1, C] were checked; on a
        GPU a row that is not so is NaN.
        """

    def prefix_attention(
        self, query: Tensor, key: Tensor, value: Tensor, prefix_key: Tensor | None, prefix_value: Tensor | None,
        offsets: Tensor, query_offsets: Tensor, scale: float,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """(out [Nq, heads, D], lse [Nq, heads] F): causal attention of packed rows behind a shared prefix.

        key, value [T, kv_heads, D] of any strides; row r owns tokens offsets[r] ... offsets[r + 1] - 1, and the queries
        query_offsets[r] ... are its last tokens. Offsets: int64 on the CPU, checked. lse: of the scaled scores; 0 from a tier whose
        backward needs none.
        """

    def prefix_attention_backward(
        self, grad: Tensor, query: Tensor, key: Tensor, value: Tensor, prefix_key: Tensor | None, prefix_value: Tensor | None,
        offsets: Tensor, query_offsets: Tensor, scale: float, out: Tensor, lse: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor | None, Tensor | None]:  # fmt: skip
        """Gradients of query, key, value, prefix_key and prefix_value, contiguous; the prefix's are sums over rows."""
