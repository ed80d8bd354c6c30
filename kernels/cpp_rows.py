"""The C++ tier's row operations on CPU tensors: `tier.Tier` says what each function computes.

Products stay torch's. The head is streamed in tiles of vocabulary columns: product, one pass of csrc/ops over the tile (online
softmax, as in flash attention), second product; so that logits exist for one tile only. Scratch is at most `SCRATCH_BYTES` for the
tile of logits, and as much again for a tile of the weight where that must be converted and for its rows of hidden, whatever N and
V; beside it there are [N, H] sums.

Elementwise work runs on torch's own threads (`torch.set_num_threads`) and does not depend on their number. The environment variable
VLDAC_ISA forces an instruction set.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.dlpack import to_dlpack  # type: ignore[attr-defined]
from vldac.kernels.tier import Rows, accumulate_dtype
from vldac.kernels.types import SampleOutput

from vldac import _core

_DTYPES = (torch.float32, torch.bfloat16, torch.float16, torch.float64)
SCRATCH_BYTES = 32 << 20
TILE_COLUMNS = 8192
_INVARIANT_ROWS = 64
_ISA_NAMES = {"scalar": "scalar", "sse41": "scalar", "avx2": "AVX2", "avx512": "AVX-512"}


def unavailable(device: torch.device, dtype: torch.dtype) -> str | None:
    """Why it cannot run there; None if it can."""
    if device.type != "cpu":
        return "it runs on the CPU only"
    names = ", ".join(str(known).removeprefix("torch.") for known in _DTYPES)
    return None if dtype in _DTYPES else f"it takes {names}, not {str(dtype).removeprefix('torch.')}"


def describe() -> str:
    """The instruction set and the threads in use: "AVX-512, 2 threads of torch's pool"."""
    isa = _ISA_NAMES[_native().isa]
    if not _core.has_thread_pool():
        return f"{isa}, 1 thread (this torch does not share its pool)"
    threads = _core.pool_threads()
    return f"{isa}, {threads} {'thread' if threads == 1 else 'threads'} of torch's pool"


@functools.cache
def _native() -> _core.RowKernels:
    """The kernels of this machine, once torch's threads are theirs."""
    share_pool()
    return _core.RowKernels()


def share_pool() -> None:
    """Hand over the loop that torch exports to extensions (stable ABI, torch >= 2.10); without it loops are serial."""
    library = Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"
    if not library.exists():
        return
    exports = ctypes.CDLL(str(library))  # loaded already: this finds it
    if hasattr(exports, "torch_parallel_for") and hasattr(exports, "torch_get_num_threads"):
        loop, count = (
            ctypes.cast(function, ctypes.c_void_p).value or 0
            for function in (exports.torch_parallel_for, exports.torch_get_num_threads)
        )
        _core.set_thread_pool(loop, count)


def _lend(tensor: Tensor | None) -> object:
    """A capsule of the tensor's memory, for one call of the extension."""
    return None if tensor is None else to_dlpack(tensor.detach())


def _vector(tensor: Tensor | None) -> object:
    """The same of a small tensor of any strides."""
    return None if tensor is None else _lend(tensor.contiguous())


def _rows_like(logits: Tensor, count: int = 3) -> list[Tensor]:
    return [torch.empty(logits.shape[0], dtype=accumulate_dtype(logits.dtype)) for _ in range(count)]


@torch.no_grad()
def selective_log_softmax(
    logits: Tensor, target: Tensor, column_bias: Tensor | None, temperature: Tensor, ignore_index: int
) -> Rows:
    """See `Tier.selective_log_softmax`."""
    logprob, entropy, lse = _rows_like(logits)
    _native().log_softmax(
        _lend(logits), _vector(target), _vector(column_bias), _vector(temperature), ignore_index,
        _lend(logprob), _lend(entropy), _lend(lse),
    )  # fmt: skip
    return logprob, entropy, lse


@torch.no_grad()
def selective_log_softmax_backward(
    grad_logprob: Tensor, grad_entropy: Tensor | None, logits: Tensor, target: Tensor, column_bias: Tensor | None,
    temperature: Tensor, ignore_index: int, lse: Tensor, entropy: Tensor, *, inplace: bool,
) -> Tensor:  # fmt: skip
    """See `Tier.selective_log_softmax_backward`."""
    gradient = logits if inplace else torch.empty(logits.shape, dtype=logits.dtype)
    _native().gradient(
        _vector(grad_logprob), _vector(grad_entropy), _lend(logits), 0, logits.shape[1], _vector(target),
        _vector(column_bias), _vector(temperature), 0.0, ignore_index, _vector(lse), _vector(entropy), _lend(gradient),
    )  # fmt: skip
    return gradient


class _Tile(NamedTuple):
    """Logits of some rows under some columns, in the scratch."""

    rows: slice
    first_column: int
    hidden: Tensor
    """[rows, H] F"""
    weight: Tensor
    """[columns, H] F"""
    logits: Tensor
    """[rows, columns] F"""


def _tiles(hidden: Tensor, weight: Tensor, is_ignored: Tensor, chunk_rows: int) -> Iterator[_Tile]:
    """The product hidden weight^T tile by tile: columns outside, so that the weight is read once; rows inside.

    Ignored rows never meet a product: their hidden state may be anything.
    """
    wide, (count, size), some_ignored = accumulate_dtype(hidden.dtype), hidden.shape, bool(is_ignored.any())
    items = SCRATCH_BYTES // wide.itemsize
    columns = min(weight.shape[0], TILE_COLUMNS)
    if weight.dtype != wide:
        columns = min(columns, max(128, items // size // 128 * 128))
    rows = max(1, min(count, chunk_rows or items // columns))
    scratch = torch.empty(rows * columns, dtype=wide)
    for first in range(0, weight.shape[0], columns):
        part = weight[first : first + columns].to(wide)
        for start in range(0, count, rows):
            block = hidden[start : start + rows].to(wide)
            if some_ignored:
                block = block.masked_fill(is_ignored[start : start + rows, None], 0)
            logits = scratch[: block.shape[0] * part.shape[0]].view(block.shape[0], part.shape[0])
            torch.mm(block, part.T, out=logits)
            yield _Tile(slice(start, start + block.shape[0]), first, block, part, logits)


def _of_rows(values: Tensor, rows: slice) -> Tensor:
    """The temperature of some rows, if it has one per row."""
    return values[rows] if values.shape[0] > 1 else values


@torch.no_grad()
def linear_logprob(
    hidden: Tensor, weight: Tensor, target: Tensor, column_bias: Tensor | None, temperature: Tensor, softcap: float,
    ignore_index: int, *, needs_gradient: bool, chunk_rows: int, batch_invariant: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """See `Tier.linear_logprob`. batch_invariant pads to blocks of chunk_rows (64): products then have one shape for every N."""
    count, dtype, wide = hidden.shape[0], hidden.dtype, accumulate_dtype(hidden.dtype)
    target = target.contiguous()
    if batch_invariant:
        chunk_rows = chunk_rows or _INVARIANT_ROWS
        padding = -count % chunk_rows
        hidden = torch.nn.functional.pad(hidden, (0, 0, 0, padding))
        target = torch.nn.functional.pad(target, (0, padding), value=ignore_index)
        if temperature.shape[0] > 1:
            temperature = torch.nn.functional.pad(temperature, (0, padding), value=1.0)
    native, bias, vocabulary = _native(), None if column_bias is None else column_bias.contiguous(), weight.shape[0]
    states = torch.empty(hidden.shape[0], 5, dtype=torch.float64)
    total = torch.empty(hidden.shape, dtype=wide) if needs_gradient else None
    is_ignored = target == ignore_index
    for tile in _tiles(hidden, weight, is_ignored, chunk_rows):
        sums = None if total is None else total[tile.rows]
        native.fold_tile(
            _lend(tile.logits), tile.first_column, vocabulary, _lend(target[tile.rows]), _lend(bias),
            _vector(_of_rows(temperature, tile.rows)), softcap, ignore_index, _lend(states[tile.rows]), _lend(sums),
        )  # fmt: skip
        if sums is not None:
            sums.addmm_(tile.logits, tile.weight, beta=0 if tile.first_column == 0 else 1)
    logprob, entropy, lse = (torch.empty(hidden.shape[0], dtype=wide) for _ in range(3))
    step = max(1, SCRATCH_BYTES // (wide.itemsize * hidden.shape[1]))
    for rows in (slice(start, start + step) for start in range(0, hidden.shape[0], step)):
        sums, picked = None, None
        if total is not None:
            sums = total[rows]
            picked = weight.index_select(0, target[rows].masked_fill(is_ignored[rows], 0)).to(wide).contiguous()
        native.finish_tiles(
            _lend(target[rows]), _vector(_of_rows(temperature, rows)), softcap, ignore_index, _lend(states[rows]),
            _lend(logprob[rows]), _lend(entropy[rows]), _lend(lse[rows]), _lend(sums), _lend(picked),
        )  # fmt: skip
    gradient = hidden.new_empty(0, hidden.shape[1]) if total is None else total[:count].to(dtype)
    return logprob[:count], entropy[:count], lse[:count], gradient


@torch.no_grad()
def linear_logprob_backward(
    grad_logprob: Tensor, grad_entropy: Tensor | None, hidden: Tensor, weight: Tensor, target: Tensor,
    column_bias: Tensor | None, temperature: Tensor, softcap: float, ignore_index: int, lse: Tensor, entropy: Tensor, *,
    needs_hidden: bool, needs_weight: bool, needs_bias: bool, chunk_rows: int,
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:  # fmt: skip
    """See `Tier.linear_logprob_backward`."""
    wide, native, vocabulary = accumulate_dtype(hidden.dtype), _native(), weight.shape[0]
    vectors = [
        None if v is None else v.contiguous() for v in (grad_logprob, grad_entropy, target, lse, entropy, column_bias)
    ]
    bias = vectors.pop()
    grad_hidden = torch.zeros(hidden.shape, dtype=wide) if needs_hidden else None
    grad_weight = torch.empty(weight.shape, dtype=weight.dtype) if needs_weight else None
    grad_bias = torch.zeros(vocabulary, dtype=wide) if needs_bias else None
    part = torch.empty(0)
    for tile in _tiles(hidden, weight, target == ignore_index, chunk_rows):
        upstream, slope, ids, saved_lse, saved_entropy = (None if v is None else v[tile.rows] for v in vectors)
        native.gradient(
            _lend(upstream), _lend(slope), _lend(tile.logits), tile.first_column, vocabulary, _lend(ids), _lend(bias),
            _vector(_of_rows(temperature, tile.rows)), softcap, ignore_index, _lend(saved_lse), _lend(saved_entropy),
            _lend(tile.logits),
        )  # fmt: skip
        columns = slice(tile.first_column, tile.first_column + tile.weight.shape[0])
        if grad_hidden is not None:
            grad_hidden[tile.rows].addmm_(tile.logits, tile.weight)
        if grad_bias is not None:
            grad_bias[columns] += tile.logits.sum(0)
        if grad_weight is not None:
            # In F over the blocks of rows; written once, in the weight's dtype.
            product = tile.logits.T @ tile.hidden
            part = product if tile.rows.start == 0 else part.add_(product)
            if tile.rows.stop == hidden.shape[0]:
                grad_weight[columns] = part
    if grad_weight is not None and hidden.shape[0] == 0:
        grad_weight.zero_()
    return None if grad_hidden is None else grad_hidden.to(hidden.dtype), grad_weight, grad_bias


@torch.no_grad()
def sample(
    logits: Tensor, column_bias: Tensor | None, temperature: Tensor, top_k: Tensor | None, top_p: Tensor | None,
    min_p: float, seed: Tensor, position: Tensor, greedy: Tensor,
) -> SampleOutput:  # fmt: skip
    """See `Tier.sample`. Logits whose columns are not neighbours in memory are copied, some rows at a time."""
    if logits.shape[1] > 1 and logits.stride(1) != 1:
        step = max(1, SCRATCH_BYTES // (logits.element_size() * logits.shape[1]))
        parts = [
            sample(
                logits[rows].contiguous(), column_bias, _of_rows(temperature, rows), top_k if top_k is None else top_k[rows],
                top_p if top_p is None else top_p[rows], min_p, seed[rows], position[rows], greedy[rows],
            )
            for rows in (slice(start, start + step) for start in range(0, max(1, logits.shape[0]), step))
        ]  # fmt: skip
        return SampleOutput(*(torch.cat(fields) for fields in zip(*parts, strict=True)))
    token, valid = torch.empty(logits.shape[0], dtype=torch.int64), torch.empty(logits.shape[0], dtype=torch.bool)
    raw, processed, entropy = _rows_like(logits)
    _native().sample(
        _lend(logits), _vector(column_bias), _vector(temperature), _vector(top_k), _vector(top_p), min_p,
        _vector(seed), _vector(position), _vector(greedy),
        _lend(token), _lend(raw), _lend(processed), _lend(entropy), _lend(valid),
    )  # fmt: skip
    return SampleOutput(token, raw, processed, entropy, valid)
