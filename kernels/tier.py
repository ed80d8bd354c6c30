"""The contract of a tier: what each back end implements, without autograd, on inputs that were validated.

A tier is a module with these functions (any subset; `dispatch` knows which). `vldac.kernels.ops` makes torch operators of them.

Shapes: N rows, H hidden, V vocabulary, S steps, K segments, T x E a rectangle of steps, B decode rows. F is float32, or float64
where the inputs are float64. Conventions:

* `column_bias` [V] F or None is added to the logits; a column where it is -inf is excluded: probability 0, gradient 0, whatever
  the soft-cap. (Banned ids arrive this way.)
* logits: u = hidden weight^T + column_bias; z = softcap tanh(u / softcap) if softcap > 0 else u; then z / temperature.
* `temperature` [1] or [N] F, on the device. `softcap` 0.0 means none.
* `target` [N] int64; `ignore_index` rows give logprob, entropy and lse 0 and a zero gradient row, whatever their hidden state.
  Other ids outside [0, V) were refused on the CPU; on a GPU the row is NaN. An excluded target: logprob -inf, and its own column
  contributes no gradient.
* logprob = (z_y - max) - log(sum exp(z - max)), so that it is <= 0 in any rounding. entropy = lse - sum p z, clamped at 0.
* A NaN or +inf logit makes its own row NaN and no other.
* Nothing reads a tensor's value on the host (GPU tiers), nothing holds [N, V] at once.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

Rows = tuple[Tensor, Tensor, Tensor]
"""logprob, entropy, lse: [N] F each"""


class Tier(Protocol):
    """One back end."""

    def linear_logprob(
        self, hidden: Tensor, weight: Tensor, target: Tensor, column_bias: Tensor | None, temperature: Tensor, softcap: float,
        ignore_index: int, *, needs_gradient: bool, chunk_rows: int, batch_invariant: bool,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
        """(logprob, entropy, lse, gradient): gradient [N, H] in hidden's dtype is d logprob / d hidden, or [0, H] if not needed.

        hidden [N, H], weight [V, H] of one dtype, any strides. chunk_rows: rows per chunk, 0 for the tier's own choice.
        """

    def linear_logprob_backward(
        self, grad_logprob: Tensor, grad_entropy: Tensor | None, hidden: Tensor, weight: Tensor, target: Tensor,
        column_bias: Tensor | None, temperature: Tensor, softcap: float, ignore_index: int, lse: Tensor, entropy: Tensor, *,
        needs_hidden: bool, needs_weight: bool, needs_bias: bool, chunk_rows: int,
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None]:  # fmt: skip
        """Recompute the logits chunk by chunk: gradients of hidden, weight (its dtype, accumulated in F) and column_bias (F)."""

    def selective_log_softmax(
        self, logits: Tensor, target: Tensor, column_bias: Tensor | None, temperature: Tensor, ignore_index: int
    ) -> Rows:
        """logits [N, V] of any floating dtype, column stride 1, any row stride; read once."""

    def selective_log_softmax_backward(
        self, grad_logprob: Tensor, grad_entropy: Tensor | None, logits: Tensor, target: Tensor, column_bias: Tensor | None,
        temperature: Tensor, ignore_index: int, lse: Tensor, entropy: Tensor, *, inplace: bool,
    ) -> Tensor:  # fmt: skip
        """Gradient [N, V] in the dtype of logits; with inplace it is written over logits, which is returned."""

    def ppo_clip_loss(
        self, logprob: Tensor, old_logprob: Tensor, advantages: Tensor, step_index: Tensor, token_weight: Tensor,
        ref_logprob: Tensor | None, clip_low: float, clip_high: float, kl_coef: float, kl_estimator: str, ratio_guard: float,
        dual_clip: float, log_ratio_cap: float,
    ) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
        """(loss [], stats [len(PPOStats)], coefficient [N] = d loss / d logprob), F. ratio_guard, dual_clip 0.0: none."""

    def value_loss(
        self,
        value: Tensor,
        old_value: Tensor | None,
        returns: Tensor,
        step_weight: Tensor,
        clip: float,
        huber: float,
        coef: float,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(loss [], stats [len(ValueStats)], coefficient [S] = d loss / d value), F. clip, huber 0.0: none."""

    def gae(
        self, reward: Tensor, value: Tensor, bootstrap: Tensor, terminated: Tensor, truncated: Tensor, final_value: Tensor | None,
        segment_offsets: Tensor | None, gamma: float, lam: float,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """(advantage, returns) F, [T, E] with bootstrap [E], or flat [S] with segment_offsets [K + 1] int64 and bootstrap [K].

        terminated, truncated: bool. Accumulated in float64 on the CPU.
        """

    def masked_whiten(self, values: Tensor, mask: Tensor, unbiased: bool, eps: float) -> Tensor:
        """(values - mean) / (std + eps) where mask, else 0; all zero without spread or with fewer than two entries."""

    def sample(
        self, logits: Tensor, column_bias: Tensor | None, temperature: Tensor, top_k: Tensor | None, top_p: Tensor | None,
        min_p: float, seed: Tensor, position: Tensor, greedy: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
        """The fields of SampleOutput. logits [B, V]; temperature [1] or [B]; top_k [B] int64 (0: all), top_p [B] F or None.

        seed, position [B] int64; greedy [B] bool. The noise of column j is that of `reference.counter_uniform`.
        """


def accumulate_dtype(dtype: torch.dtype) -> torch.dtype:
    """F of a dtype: float64 stays, the others accumulate in float32."""
    return torch.promote_types(dtype, torch.float32)
