"""The Triton tier: cuBLAS product, one row kernel, cuBLAS product, in chunks of rows. See `tier` for the contract.

With a frozen head the first pass forms the Jacobian row G_i = d logprob_i / d hidden_i (two products, nothing of size V kept).
A trainable head or an entropy gradient recomputes the logits (`linear_logprob_backward`). Triton is imported by the first launch.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator
from types import ModuleType

import torch
from torch import Tensor
from vldac.kernels.triton_launch import contiguous, is_interpreting, launch, unavailable, version

from vldac.kernels import triton_table as table

__all__ = [
    "describe", "gae", "linear_logprob", "linear_logprob_backward", "sample", "selective_log_softmax",
    "selective_log_softmax_backward", "supports_sample", "unavailable",
]  # fmt: skip

LACKS = {"sample": ("truncation",)}
HALF_SCALE = 256.0
"""A float16 gradient row is scaled up before the second product: probabilities below 6e-8 would vanish otherwise."""
WEIGHT_SLAB = 16384
"""rows of the head whose gradient is summed at a time"""


def describe() -> str:
    """One line on what runs: version, and whether the interpreter stands in for a GPU."""
    found = version()
    number = "none" if found is None else f"{found[0]}.{found[1]}"
    return f"triton {number}, {'interpreter' if is_interpreting() else 'compiled'}, chunked products with a row kernel"


def linear_logprob(
    hidden: Tensor, weight: Tensor, target: Tensor, column_bias: Tensor | None, temperature: Tensor, softcap: float,
    ignore_index: int, *, needs_gradient: bool, chunk_rows: int, batch_invariant: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """(logprob, entropy, lse) [N] fp32 and the gradient [N, H], or [0, H]."""
    count, width = hidden.shape
    size = weight.shape[0]
    logprob, entropy, lse = _three(hidden)
    gradient = hidden.new_empty(count if needs_gradient else 0, width)
    if count == 0:
        return logprob, entropy, lse, gradient
    rows = chunk_rows or table.chunk_rows(hidden.device, hidden.dtype, width, size, memory_bound=not batch_invariant)
    if not batch_invariant:
        rows = min(rows, count)
    target, column_bias, temperature = _vectors(target, column_bias, temperature)
    logits = _matrix(hidden, rows, size, torch.float32)
    slopes = _matrix(hidden, rows, size, weight.dtype) if needs_gradient else None
    product = hidden.new_empty(rows, width, dtype=torch.float32) if needs_gradient else None
    scale = HALF_SCALE if weight.dtype == torch.float16 else 1.0
    padded = hidden.new_zeros(rows, width) if count % rows else None
    for start in range(0, count, rows):
        stop = min(start + rows, count)
        chunk, n = hidden[start:stop], stop - start
        if batch_invariant and padded is not None and n < rows:
            # The products see one shape, whatever N: then a row's value does not depend on its neighbours.
            padded[:n] = chunk
            chunk = padded
        used = len(chunk)
        _multiply(chunk, weight.T, logits[:used])
        _row_kernel(
            logits[:n], target[start:stop], column_bias, _part(temperature, start, stop), softcap, ignore_index,
            (logprob[start:stop], entropy[start:stop], lse[start:stop]), None if slopes is None else slopes[:n], scale,
        )  # fmt: skip
        if slopes is not None and product is not None:
            _multiply(slopes[:used], weight, product[:used])
            torch.mul(product[:n], 1.0 / scale, out=gradient[start:stop])
    return logprob, entropy, lse, gradient


def linear_logprob_backward(
    grad_logprob: Tensor, grad_entropy: Tensor | None, hidden: Tensor, weight: Tensor, target: Tensor,
    column_bias: Tensor | None, temperature: Tensor, softcap: float, ignore_index: int, lse: Tensor, entropy: Tensor, *,
    needs_hidden: bool, needs_weight: bool, needs_bias: bool, chunk_rows: int,
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:  # fmt: skip
    """Gradients of hidden, weight and column_bias, the logits recomputed chunk by chunk."""
    count, width = hidden.shape
    size = weight.shape[0]
    for_hidden = hidden.new_empty(count, width) if needs_hidden else None
    for_weight = weight.new_zeros(size, width, dtype=torch.float32) if needs_weight else None
    for_bias = weight.new_zeros(size, dtype=torch.float32) if needs_bias else None
    if count:
        rows = min(count, chunk_rows or table.chunk_rows(hidden.device, hidden.dtype, width, size))
        target, column_bias, temperature = _vectors(target, column_bias, temperature)
        lse, entropy, grad_logprob, grad_entropy = contiguous(lse, entropy, grad_logprob, grad_entropy)  # type: ignore[assignment]
        logits, slopes = _matrix(hidden, rows, size, torch.float32), _matrix(hidden, rows, size, weight.dtype)
        product = hidden.new_empty(rows, width, dtype=torch.float32) if needs_hidden else None
        scale = _upstream_scale(grad_logprob, grad_entropy, weight.dtype)
        back = 1.0 if scale is None else scale
        # An ignored row may hold anything; its gradient row is 0, but 0 times NaN is not.
        scored = torch.where((target != ignore_index)[:, None], hidden, 0.0) if needs_weight else hidden
        for start in range(0, count, rows):
            part = slice(start, min(start + rows, count))
            n = part.stop - start
            _multiply(hidden[part], weight.T, logits[:n])
            _gradient_kernel(
                logits[:n], target[part], column_bias, _part(temperature, start, part.stop), softcap, ignore_index, lse[part],
                entropy[part], grad_logprob[part], None if grad_entropy is None else grad_entropy[part], scale, slopes[:n],
            )  # fmt: skip
            if for_hidden is not None and product is not None:
                _multiply(slopes[:n], weight, product[:n])
                torch.mul(product[:n], back, out=for_hidden[part])
            if for_weight is not None:
                for low in range(0, size, WEIGHT_SLAB):
                    slab = slice(low, min(low + WEIGHT_SLAB, size))
                    for_weight[slab] += _multiply(slopes[:n, slab].T, scored[part])
            if for_bias is not None:
                for_bias += slopes[:n].sum(0, dtype=torch.float32)
        if for_weight is not None:
            for_weight *= back
        if for_bias is not None:
            for_bias *= back
    return for_hidden, None if for_weight is None else for_weight.to(weight.dtype), for_bias


def selective_log_softmax(
    logits: Tensor, target: Tensor, column_bias: Tensor | None, temperature: Tensor, ignore_index: int
) -> tuple[Tensor, Tensor, Tensor]:
    """(logprob, entropy, lse) [N] fp32 of logits [N, V], which are read once."""
    out = _three(logits)
    target, column_bias, temperature = _vectors(target, column_bias, temperature)
    _row_kernel(logits, target, column_bias, temperature, 0.0, ignore_index, out, None, 1.0)
    return out


def selective_log_softmax_backward(
    grad_logprob: Tensor, grad_entropy: Tensor | None, logits: Tensor, target: Tensor, column_bias: Tensor | None,
    temperature: Tensor, ignore_index: int, lse: Tensor, entropy: Tensor, *, inplace: bool,
) -> Tensor:  # fmt: skip
    """Gradient [N, V] in the dtype of logits; with inplace over the logits."""
    out = logits if inplace else logits.new_empty(logits.shape)
    target, column_bias, temperature = _vectors(target, column_bias, temperature)
    lse, entropy, grad_logprob, grad_entropy = contiguous(lse, entropy, grad_logprob, grad_entropy)  # type: ignore[assignment]
    _gradient_kernel(
        logits, target, column_bias, temperature, 0.0, ignore_index, lse, entropy, grad_logprob, grad_entropy, None, out
    )
    return out


def gae(
    reward: Tensor, value: Tensor, bootstrap: Tensor, terminated: Tensor, truncated: Tensor, final_value: Tensor | None,
    segment_offsets: Tensor | None, gamma: float, lam: float,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """(advantage, returns) fp32, [T, E] or flat [S] with segment_offsets."""
    advantage, returns = value.new_empty(value.shape), value.new_empty(value.shape)
    if value.numel() == 0:
        return advantage, returns
    following = is_last = None
    if segment_offsets is not None:
        following, is_last = _segments(value, bootstrap, segment_offsets)
    reward, value, bootstrap, terminated, truncated, final_value = contiguous(  # type: ignore[assignment]
        reward, value, bootstrap, terminated, truncated, final_value
    )
    steps, columns = (len(value), 1) if segment_offsets is not None else value.shape
    block_t, block_e = table.scan_block(steps, columns)
    launch(
        _kernels("triton_scan").advantage_scan, (-(-columns // block_e),), reward, value, bootstrap, terminated, truncated,
        final_value, following, is_last, advantage, returns, steps, columns, gamma, gamma * lam,
        BLOCK_T=block_t, BLOCK_E=block_e, num_warps=table.SCAN_WARPS,
    )  # fmt: skip
    return advantage, returns


def supports_sample(top_k: Tensor | None, top_p: Tensor | None, min_p: float) -> bool:
    """True without truncation, which is all that this tier samples."""
    return top_k is None and top_p is None and not min_p


def sample(
    logits: Tensor, column_bias: Tensor | None, temperature: Tensor, top_k: Tensor | None, top_p: Tensor | None,
    min_p: float, seed: Tensor, position: Tensor, greedy: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """(token, logprob_raw, logprob_processed, entropy, valid) [B], without truncation."""
    if not supports_sample(top_k, top_p, min_p):
        raise NotImplementedError("sample: the Triton tier does not truncate (supports_sample tells)")
    count, size = logits.shape
    block, warps = table.split_block(size)
    splits = -(-size // block)
    token = logits.new_empty(count, dtype=torch.int64)
    raw, processed, entropy = (logits.new_empty(count, dtype=torch.float32) for _ in range(3))
    valid = logits.new_empty(count, dtype=torch.bool)
    if count == 0:
        return token, raw, processed, entropy, valid
    partial = logits.new_empty(count, splits, 5, dtype=torch.float32)
    index = logits.new_empty(count, splits, dtype=torch.int32)
    column_bias, temperature, seed, position, greedy = contiguous(column_bias, temperature, seed, position, greedy)  # type: ignore[assignment]
    kernels = _kernels("triton_sampling")
    launch(
        kernels.sample_split, (count, splits), _unit_columns(logits), logits.stride(0), column_bias, temperature,
        int(temperature.numel() > 1), seed, position, greedy, partial, index, splits,
        size=size, BLOCK=block, num_warps=warps,
    )  # fmt: skip
    launch(
        kernels.sample_merge, (count,), partial, index, splits, token, raw, processed, entropy, valid,
        SPLITS=table.power_of_two(splits), num_warps=1,
    )  # fmt: skip
    return token, raw, processed, entropy, valid


def _kernels(name: str) -> ModuleType:
    return importlib.import_module(f"vldac.kernels.{name}")


def _row_kernel(
    logits: Tensor, target: Tensor, column_bias: Tensor | None, temperature: Tensor, softcap: float, ignore_index: int,
    out: tuple[Tensor, ...], slopes: Tensor | None, scale: float,
) -> None:  # fmt: skip
    count, size = logits.shape
    if count == 0:
        return
    block, warps = table.row_block(size, is_bent=softcap > 0)
    launch(
        _kernels("triton_rows").softmax_stats_grad, (count,), _unit_columns(logits), logits.stride(0), target, column_bias,
        temperature, int(temperature.numel() > 1), softcap, ignore_index, *out, slopes,
        0 if slopes is None else slopes.stride(0), scale,
        size=size, SOFTCAP=softcap > 0, BLOCK=block, num_warps=warps,
    )  # fmt: skip


def _gradient_kernel(
    logits: Tensor, target: Tensor, column_bias: Tensor | None, temperature: Tensor, softcap: float, ignore_index: int,
    lse: Tensor, entropy: Tensor, grad_logprob: Tensor, grad_entropy: Tensor | None, scale: Tensor | None, out: Tensor,
) -> None:  # fmt: skip
    count, size = logits.shape
    if count == 0:
        return
    block, warps = table.row_block(size, is_bent=softcap > 0)
    launch(
        _kernels("triton_rows").logits_gradient, (count,), _unit_columns(logits), logits.stride(0), target, column_bias,
        temperature, int(temperature.numel() > 1), softcap, ignore_index, lse, entropy, grad_logprob, grad_entropy, scale,
        out, out.stride(0), size=size, SOFTCAP=softcap > 0, BLOCK=block, num_warps=warps,
    )  # fmt: skip


def _upstream_scale(grad_logprob: Tensor, grad_entropy: Tensor | None, dtype: torch.dtype) -> Tensor | None:
    """[1] fp32: the largest finite upstream gradient, by which float16 rows are divided lest small loss weights vanish."""
    if dtype != torch.float16:
        return None
    largest = torch.stack(
        [torch.nan_to_num(g, 0.0, 0.0, 0.0).abs().amax() for g in (grad_logprob, grad_entropy) if g is not None]
    )
    return largest.amax().clamp_min(torch.finfo(torch.float32).tiny)[None] / HALF_SCALE


def _segments(value: Tensor, bootstrap: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
    """Per step of the flat form: the value after it (its segment's bootstrap at the end), and whether its segment ends there."""
    after = torch.arange(1, len(value) + 1, device=value.device)
    # The segment of step s is the first whose end lies past s; empty ones share their end with the one before and are passed over.
    segment = torch.searchsorted(offsets[1:].contiguous(), after)
    is_last = offsets[1:][segment] == after
    return torch.where(is_last, bootstrap[segment], torch.roll(value, -1)), is_last


def _three(like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Three vectors of their own storage: an operator's outputs may not alias."""
    a, b, c = (like.new_empty(len(like), dtype=torch.float32) for _ in range(3))
    return a, b, c


def _vectors(target: Tensor, column_bias: Tensor | None, temperature: Tensor) -> tuple[Tensor, Tensor | None, Tensor]:
    return target.contiguous(), None if column_bias is None else column_bias.contiguous(), temperature.contiguous()


def _part(temperature: Tensor, start: int, stop: int) -> Tensor:
    return temperature if temperature.numel() == 1 else temperature[start:stop]


def _unit_columns(matrix: Tensor) -> Tensor:
    if matrix.stride(1) != 1:
        raise ValueError(f"expected logits of column stride 1, got strides {matrix.stride()}")
    return matrix


def _matrix(like: Tensor, rows: int, columns: int, dtype: torch.dtype) -> Tensor:
    """Scratch [rows, columns]; its rows start at multiples of 16 elements, for cuBLAS and for vector loads."""
    return like.new_empty(rows, -(-columns // 16) * 16, dtype=dtype)[:, :columns]


def _multiply(a: Tensor, b: Tensor, out: Tensor | None = None) -> Tensor:
    """a b in fp32, accumulated in fp32: tensor cores for 16-bit inputs, TF32 never."""
    if out is None:
        out = a.new_empty(a.shape[0], b.shape[1], dtype=torch.float32)
    if a.dtype == torch.float32:
        with _without_tf32():
            return torch.mm(a, b, out=out)
    if a.device.type == "cpu":  # the interpreter's case: torch has no CPU product of 16-bit inputs with fp32 output
        return torch.mm(a.float(), b.float(), out=out)
    return torch.mm(a, b, out_dtype=torch.float32, out=out)


@contextlib.contextmanager
def _without_tf32() -> Iterator[None]:
    matmul = torch.backends.cuda.matmul
    before = matmul.fp32_precision
    if before not in ("tf32", "bf16"):
        yield
        return
    matmul.fp32_precision = "ieee"
    try:
        yield
    finally:
        matmul.fp32_precision = before
