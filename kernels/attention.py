"""Attention of decoder layers over a prefix that all rows share: decoding from a cache of slots, and packed rows in training."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor
from vldac.kernels.decoder import is_traced
from vldac.kernels.dispatch import KernelError

from vldac.kernels import checks, decoder_ops


def slot_attention(
    query: Tensor,
    key_cache: Tensor,
    value_cache: Tensor,
    slot: Tensor,
    length: Tensor,
    prefix_key: Tensor | None = None,
    prefix_value: Tensor | None = None,
    *,
    scale: float,
    backend: str = "auto",
) -> Tensor:
    """Decoding attention: one query per row over the shared prefix and the first length[a] keys of the row's slot.

    No row pays for another's length, and nothing is padded or gathered (on C++ and Triton). A row's result does not depend on the
    other rows, bit for bit. On a GPU nothing is read back, so a CUDA graph that was captured at full capacity serves every length.

    query: [A, heads, D] floating. key_cache, value_cache: [slots, C, kv_heads, D] of its dtype, the present token's key and value
    already written; head h reads kv head h // (heads // kv_heads). slot, length: [A] int64, in [0, slots) and [1, C]. prefix_key,
    prefix_value: [P, kv_heads, D], keys before every row's own, or None. Any strides. scale: > 0, of the scores. Softmax and sums are
    float32 (float64 for float64). Not differentiable.

    Returns [A, heads, D], contiguous. Raises KernelError (shapes, scale, an input that requires a gradient, a back end that cannot
    run), KernelTypeError (dtypes, devices) and, on the CPU, KernelIndexError for a slot or length outside the cache; on a GPU that
    row is NaN.
    """
    if not _are_slots(query, key_cache, value_cache, slot, length, prefix_key, prefix_value, scale):
        _refuse_slots(query, key_cache, value_cache, slot, length, prefix_key, prefix_value, scale)
    is_operator = is_traced(query)
    if not is_operator and slot.is_cpu and slot.numel():
        _check_places(key_cache, slot, length)
    run = torch.ops.vldac.slot_attention if is_operator else decoder_ops.slot_attention
    return run(query, key_cache, value_cache, slot, length, prefix_key, prefix_value, scale, backend)


def prefix_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    prefix_key: Tensor | None,
    prefix_value: Tensor | None,
    offsets: Tensor,
    query_offsets: Tensor | None = None,
    *,
    scale: float,
    backend: str = "auto",
) -> Tensor:
    """Causal attention of packed rows behind a shared prefix, with gradients: the prefix is computed once and seen by every row.

    key, value: [T, kv_heads, D] floating, row after row: row r owns tokens offsets[r] ... offsets[r + 1] - 1. query: [Nq, heads, D]
    of their dtype; query_offsets[r] ... query_offsets[r + 1] - 1 are the row's last tokens (all of them by default). A query sees the
    prefix and its row's tokens up to its own; head h reads kv head h // (heads // kv_heads). prefix_key, prefix_value: [P, kv_heads,
    D], or None. Any strides. offsets, query_offsets: [R + 1] int64 on the CPU, whatever the device of the others. scale: > 0.

    Differentiable in query, key, value and, summed over rows, in the prefix; backward keeps the inputs, the result and one number
    per query and head. C++ (float32 on the CPU) pads nothing, and its result does not depend on the number of threads; elsewhere
    torch's attention runs on rows padded to the longest, with a copy of the prefix each.

    Returns [Nq, heads, D], contiguous. Raises KernelError (shapes, offsets, scale, a back end that cannot run) and KernelTypeError
    (dtypes, devices).
    """
    where = "prefix_attention"
    if query_offsets is None:
        query_offsets = offsets
    _check_rows(where, query, key, value, prefix_key, prefix_value, offsets, query_offsets, scale)
    tensors = (query, key, value, prefix_key, prefix_value)
    needs_gradient = torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in tensors)
    run = torch.ops.vldac.prefix_attention if needs_gradient or is_traced(query) else decoder_ops.prefix_attention
    return run(*tensors, offsets, query_offsets, scale, backend)[0]


def _check_rows(
    where: str, query: Tensor, key: Tensor, value: Tensor, prefix_key: Tensor | None, prefix_value: Tensor | None,
    offsets: Tensor, query_offsets: Tensor, scale: float,
) -> None:  # fmt: skip
    checks.shape(where, "query", query, "Nq", "heads", "D")
    checks.shape(where, "key", key, "T", "kv_heads", query.shape[2])
    checks.shape(where, "value", value, *key.shape)
    checks.groups(where, query.shape[1], key.shape[1])
    checks.dtype(where, "query", query, checks.FLOATS)
    checks.same_dtype(where, query=query, key=key, value=value)
    check_prefix(where, query, key.shape[1], prefix_key, prefix_value)
    checks.one_device(where, query=query, key=key, value=value, prefix_key=prefix_key, prefix_value=prefix_value)
    checks.positive(where, "scale", scale)
    for name, tensor, like in (("offsets", offsets, offsets), ("query_offsets", query_offsets, offsets)):
        checks.shape(where, name, tensor, "R + 1" if tensor is like else like.shape[0])
        checks.dtype(where, name, tensor, (torch.int64,))
        if tensor.device.type != "cpu" and not tensor.is_meta:
            raise checks.KernelTypeError(
                expected=f"{name} on the CPU", got=str(tensor.device), where=where,
                do="keep the packer's own copy: nothing here waits for a device",
            )  # fmt: skip
    if is_traced(query):
        return
    owned, asked = offsets.tolist(), query_offsets.tolist()
    for name, values, count in (("offsets", owned, key.shape[0]), ("query_offsets", asked, query.shape[0])):
        if not values or values[0] != 0 or values[-1] != count or any(a > b for a, b in itertools.pairwise(values)):
            raise KernelError(
                expected=f"{name} that rise from 0 to {count}", got=f"{values[:8]}{' ...' if len(values) > 8 else ''}", where=where,
                do="give the running sums of the rows' lengths",
            )  # fmt: skip
    for row in range(len(owned) - 1):
        if asked[row + 1] - asked[row] > owned[row + 1] - owned[row]:
            raise KernelError(
                expected="at most as many queries as tokens in a row",
                got=f"{asked[row + 1] - asked[row]} queries and {owned[row + 1] - owned[row]} tokens in row {row}", where=where,
                do="queries are the last tokens of their row",
            )  # fmt: skip


def _are_slots(
    query: Tensor, key_cache: Tensor, value_cache: Tensor, slot: Tensor, length: Tensor, prefix_key: Tensor | None,
    prefix_value: Tensor | None, scale: float,
) -> bool:  # fmt: skip
    """True where `_refuse_slots` finds nothing: in one expression, since this runs in every layer of every token."""
    shape, device, dtype = key_cache.shape, query.device, query.dtype
    if prefix_key is None or prefix_value is None:
        shared: tuple[Tensor, ...] = ()
        is_wrong = prefix_key is not prefix_value
    else:
        shared = (prefix_key, prefix_value)
        is_wrong = prefix_key.shape != prefix_value.shape or prefix_key.shape[1:] != shape[2:] or prefix_key.dim() != 3
    return not (
        is_wrong
        or query.dim() != 3
        or len(shape) != 4
        or value_cache.shape != shape
        or query.shape[2] != shape[3]
        or shape[2] == 0
        or query.shape[1] % shape[2]
        or not slot.shape == length.shape == query.shape[:1]
        or not slot.dtype == length.dtype == torch.int64
        or not device == slot.device == length.device
        or not query.is_floating_point()
        or not 0 < scale < torch.inf
        or any(
            t.dtype != dtype or t.device != device or t.requires_grad for t in (query, key_cache, value_cache, *shared)
        )
    )


def _refuse_slots(
    query: Tensor, key_cache: Tensor, value_cache: Tensor, slot: Tensor, length: Tensor, prefix_key: Tensor | None,
    prefix_value: Tensor | None, scale: float,
) -> None:  # fmt: skip
    where = "slot_attention"
    checks.shape(where, "query", query, "A", "heads", "D")
    checks.shape(where, "key_cache", key_cache, "slots", "C", "kv_heads", query.shape[2])
    checks.shape(where, "value_cache", value_cache, *key_cache.shape)
    checks.groups(where, query.shape[1], key_cache.shape[2])
    checks.dtype(where, "query", query, checks.FLOATS)
    checks.same_dtype(where, query=query, key_cache=key_cache, value_cache=value_cache)
    for name, tensor in (("slot", slot), ("length", length)):
        checks.shape(where, name, tensor, query.shape[0])
        checks.dtype(where, name, tensor, (torch.int64,))
    check_prefix(where, query, key_cache.shape[2], prefix_key, prefix_value)
    checks.positive(where, "scale", scale)
    caches = {
        "key_cache": key_cache,
        "value_cache": value_cache,
        "prefix_key": prefix_key,
        "prefix_value": prefix_value,
    }
    checks.one_device(where, query=query, **caches, slot=slot, length=length)
    checks.no_gradient(where, query=query, **caches)


def _check_places(key_cache: Tensor, slot: Tensor, length: Tensor) -> None:
    """On the CPU, where looking costs nothing."""
    for name, tensor, low, high in (
        ("slot", slot, 0, key_cache.shape[0] - 1),
        ("length", length, 1, key_cache.shape[1]),
    ):
        values = tensor.tolist()
        if min(values) < low or max(values) > high:
            raise checks.KernelIndexError(
                expected=f"every {name} from {low} to {high}", got=f"from {min(values)} to {max(values)}", where="slot_attention",
                do="admit a row only while its slot has room, and count the present token in its length",
            )  # fmt: skip


def check_prefix(
    where: str, query: Tensor, kv_heads: int, prefix_key: Tensor | None, prefix_value: Tensor | None
) -> None:
    """Both or neither, of [P, kv_heads, D] in the query's dtype."""
    if prefix_key is None and prefix_value is None:
        return
    if prefix_key is None or prefix_value is None:
        missing = "prefix_key" if prefix_key is None else "prefix_value"
        raise KernelError(
            expected="prefix_key and prefix_value, or neither", got=f"no {missing}", where=where, do="give both"
        )
    shape = (prefix_key.shape[0] if prefix_key.dim() else 0, kv_heads, query.shape[2])
    if (
        prefix_key.shape != shape
        or prefix_value.shape != shape
        or not query.dtype == prefix_key.dtype == prefix_value.dtype
    ):
        checks.shape(where, "prefix_key", prefix_key, "P", kv_heads, query.shape[2])
        checks.shape(where, "prefix_value", prefix_value, *prefix_key.shape)
        checks.same_dtype(where, query=query, prefix_key=prefix_key, prefix_value=prefix_value)
