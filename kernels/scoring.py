"""Log-probs of given tokens: from hidden states and the language head, or from logits."""

from __future__ import annotations

import torch
from torch import Tensor
from vldac.kernels.options import column_bias, temperature_tensor
from vldac.kernels.tier import accumulate_dtype
from vldac.kernels.types import LinearLogprobOutput

from vldac.kernels import checks, ops  # noqa: F401 -- ops defines torch.ops.vldac


def linear_logprob(
    hidden: Tensor,
    weight: Tensor,
    target: Tensor,
    *,
    bias: Tensor | None = None,
    temperature: float | Tensor = 1.0,
    softcap: float | None = None,
    banned_ids: Tensor | None = None,
    ignore_index: int = -100,
    return_entropy: bool = False,
    return_lse: bool = False,
    entropy_grad: bool = False,
    chunk_rows: int | None = None,
    batch_invariant: bool = False,
    backend: str = "auto",
) -> LinearLogprobOutput:
    """Log-prob of target under softmax(softcap(hidden weight^T + bias) / temperature) over the ids that are not banned.

    Never holds [N, V]. With a frozen head (weight.requires_grad False: LoRA) the gradient d logprob / d hidden = (onehot - p) W /
    T is built in the forward pass, two products in all, and backward only scales its rows; a trainable head or bias, or entropy_grad,
    recomputes the logits in backward. Not twice differentiable.

    hidden: [N, H] float16, bfloat16, float32 or float64, any strides. weight: [V, H] of the same dtype. target: [N] int64 or int32 in
    [0, V), or ignore_index (log-prob 0, no gradient; such a row's hidden state may be anything). bias: [V]; -inf excludes a column.
    temperature: > 0, a number or [N]. softcap: z -> softcap tanh(z / softcap) before the temperature (Gemma 2). banned_ids: [number]
    ids of probability 0. entropy_grad: the entropy is differentiable (and returned). chunk_rows: rows per chunk (default: a table).
    batch_invariant: a row's value does not depend on the other rows, bit for bit, at the cost of a padded product.
    backend: "auto", "torch", "cpp", "triton" or "triton_fused" (see `explain`).

    Returns (logprob [N], entropy [N] or None, lse [N] or None), float32 (float64 for float64), lse without gradient.
    Raises KernelError (shapes, options, a back end that cannot run), KernelTypeError (dtypes, devices) and, on the CPU,
    KernelIndexError for a target outside the vocabulary; on a GPU that row is NaN, because nothing here waits for the device.
    """
    where = "linear_logprob"
    checks.shape(where, "hidden", hidden, "N", "H")
    checks.shape(where, "weight", weight, "V", hidden.shape[1])
    count, vocab = hidden.shape[0], weight.shape[0]
    checks.shape(where, "target", target, count)
    checks.dtype(where, "hidden", hidden, checks.FLOATS)
    checks.dtype(where, "target", target, checks.INTEGERS)
    checks.same_dtype(where, hidden=hidden, weight=weight)
    checks.one_device(where, hidden=hidden, weight=weight, target=target, bias=bias, banned_ids=banned_ids)
    if softcap is not None:
        checks.positive(where, "softcap", softcap)
    if chunk_rows is not None:
        checks.positive(where, "chunk_rows", chunk_rows)
    wide = accumulate_dtype(hidden.dtype)
    columns = column_bias(where, bias, banned_ids, vocab, wide, hidden.device)
    warmth = temperature_tensor(where, temperature, count, wide, hidden.device)
    cap, rows = softcap or 0.0, chunk_rows or 0
    recomputes = entropy_grad or weight.requires_grad or (columns is not None and columns.requires_grad)
    if torch.is_grad_enabled() and recomputes:
        logprob, entropy, lse = torch.ops.vldac.linear_logprob_recompute(
            hidden, weight, target.long(), columns, warmth, cap, ignore_index, rows, batch_invariant, backend
        )
    else:
        needs_gradient = torch.is_grad_enabled() and hidden.requires_grad
        logprob, entropy, lse, _ = torch.ops.vldac.linear_logprob(
            hidden,
            weight,
            target.long(),
            columns,
            warmth,
            cap,
            ignore_index,
            needs_gradient,
            rows,
            batch_invariant,
            backend,
        )
    if not entropy_grad:
        entropy = entropy.detach()
    return LinearLogprobOutput(
        logprob, entropy if return_entropy or entropy_grad else None, lse if return_lse else None
    )


def selective_log_softmax(
    logits: Tensor,
    target: Tensor,
    *,
    temperature: float | Tensor = 1.0,
    banned_ids: Tensor | None = None,
    ignore_index: int = -100,
    return_entropy: bool = False,
    return_lse: bool = False,
    entropy_grad: bool = False,
    inplace_backward: bool = False,
    backend: str = "auto",
) -> LinearLogprobOutput:
    """Log-prob of target under softmax(logits / temperature), from logits that exist: one read forward, one read and write backward.

    logits: [N, V] floating, columns contiguous, any row stride. inplace_backward: write the gradient over the logits (a second
    backward through them then raises torch's error about a tensor modified in place). The other arguments, the result and the
    errors are those of `linear_logprob`.
    """
    where = "selective_log_softmax"
    checks.shape(where, "logits", logits, "N", "V")
    checks.shape(where, "target", target, logits.shape[0])
    checks.dtype(where, "logits", logits, checks.FLOATS)
    checks.dtype(where, "target", target, checks.INTEGERS)
    checks.one_device(where, logits=logits, target=target, banned_ids=banned_ids)
    wide = accumulate_dtype(logits.dtype)
    columns = column_bias(where, None, banned_ids, logits.shape[1], wide, logits.device)
    warmth = temperature_tensor(where, temperature, logits.shape[0], wide, logits.device)
    if logits.shape[1] > 1 and logits.stride(1) != 1:
        logits = logits.contiguous()
    logprob, entropy, lse = torch.ops.vldac.selective_log_softmax(
        logits, target.long(), columns, warmth, ignore_index, inplace_backward, backend
    )
    if not entropy_grad:
        entropy = entropy.detach()
    return LinearLogprobOutput(
        logprob, entropy if return_entropy or entropy_grad else None, lse if return_lse else None
    )
