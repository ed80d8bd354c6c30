"""`slot_attention`: accuracy against float64 row by row, and what holds for every attention over a cache."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from tests.kernels.backends import DECODER_ERROR, Kernels, close, draw, draw_ids, norm_error


@dataclass(frozen=True)
class Slots:
    """A decode batch: what `slot_attention` takes."""

    query: Tensor
    key: Tensor
    value: Tensor
    slot: Tensor
    length: Tensor
    prefix_key: Tensor | None
    prefix_value: Tensor | None
    scale: float

    def run(self, kernels: Kernels) -> Tensor:
        out: Tensor = kernels.slot_attention(
            self.query,
            self.key,
            self.value,
            self.slot,
            self.length,
            self.prefix_key,
            self.prefix_value,
            scale=self.scale,
        )
        return out

    def exact(self) -> Tensor:
        """In float64, one head of one row at a time."""
        out = torch.empty(self.query.shape, dtype=torch.float64)
        group = self.query.shape[1] // self.key.shape[2]
        for row, (slot, length) in enumerate(zip(self.slot.tolist(), self.length.tolist(), strict=True)):
            for head in range(self.query.shape[1]):
                keys, values = (c[slot, :length, head // group].double() for c in (self.key, self.value))
                if self.prefix_key is not None and self.prefix_value is not None:
                    keys = torch.cat([self.prefix_key[:, head // group].double(), keys])
                    values = torch.cat([self.prefix_value[:, head // group].double(), values])
                share = torch.softmax(self.scale * (keys @ self.query[row, head].double()), 0)
                out[row, head] = share @ values
        return out


def slots(
    dtype: torch.dtype, rows: int = 5, heads: int = 4, kv_heads: int = 2, width: int = 16, capacity: int = 40,
    prefix: int | None = 23, spread: float = 1.0, seed: int = 0,
) -> Slots:  # fmt: skip
    """Rows in other slots than their own number, of lengths from 1 to the capacity; caches of one layer of several."""
    key, value = (draw(rows + 2, 3, capacity, kv_heads, width, dtype=dtype, seed=seed + i)[:, 1] for i in (1, 2))
    shared = [None if prefix is None else draw(prefix, kv_heads, width, dtype=dtype, seed=seed + i) for i in (3, 4)]
    length = draw_ids(rows, capacity, seed=seed) + 1
    length[0], length[-1] = capacity, 1
    query = draw(rows, heads + 2, width, dtype=dtype, scale=spread, seed=seed)[:, 1:-1]
    return Slots(query, key, value, (torch.arange(rows) * 3 + 1) % (rows + 2) if (rows + 2) % 3 else torch.arange(rows).flip(0),
                 length, *shared, width**-0.5)  # fmt: skip


SHAPES = (
    {}, {"prefix": None}, {"prefix": 1, "width": 64}, {"heads": 3, "kv_heads": 3, "width": 48}, {"heads": 7, "kv_heads": 1},
    {"rows": 1, "capacity": 1, "prefix": None}, {"rows": 31, "heads": 2, "kv_heads": 1, "capacity": 7}, {"width": 24},
    {"prefix": 64, "capacity": 65}, {"prefix": 130, "capacity": 129, "rows": 3}, {"heads": 12, "width": 128},
)  # fmt: skip


def test_decoding_attention_is_exact_within_rounding(kernels: Kernels) -> None:
    for dtype in kernels.decoder_dtypes:
        for shape in SHAPES:
            if shape.get("width", 16) % 16 and not kernels.takes_odd_heads:
                continue
            problem = slots(dtype, **shape)
            out = problem.run(kernels)
            assert out.dtype == dtype and out.shape == problem.query.shape
            error = norm_error(out, problem.exact())
            assert error < DECODER_ERROR[dtype], f"{dtype} {shape}: {error}"


def test_scores_far_apart_and_far_from_zero_are_no_trouble(kernels: Kernels) -> None:
    for dtype in kernels.decoder_dtypes[:2]:
        for spread in (1e-3, 40.0, 1000.0):
            problem = slots(dtype, spread=spread, rows=3)
            assert norm_error(problem.run(kernels), problem.exact()) < max(1.0, spread / 4) * DECODER_ERROR[dtype]


def test_equal_values_come_back_whatever_the_scores(kernels: Kernels) -> None:
    dtype = kernels.decoder_dtypes[0]
    problem = slots(dtype, spread=3.0)
    ones = replace(problem, value=torch.ones_like(problem.value), prefix_value=torch.ones_like(problem.prefix_value))
    close(ones.run(kernels), torch.ones(problem.query.shape), 1e-5)


def test_keys_behind_a_row_and_slots_of_others_are_never_read(kernels: Kernels) -> None:
    dtype = kernels.decoder_dtypes[0]
    problem = slots(dtype)
    before = problem.run(kernels)
    key, value = problem.key.clone(), problem.value.clone()
    seen = torch.zeros(key.shape[:2], dtype=torch.bool)
    for slot, length in zip(problem.slot.tolist(), problem.length.tolist(), strict=True):
        seen[slot, :length] = True
    assert not bool(seen.all())
    for cache in (key, value):
        cache[~seen] = torch.nan
    assert torch.equal(replace(problem, key=key, value=value).run(kernels), before)


def test_a_row_does_not_depend_on_its_neighbours_bit_for_bit(tier: Kernels) -> None:
    if tier.name == "torch":
        return  # its products see the whole batch
    for dtype in tier.decoder_dtypes:
        problem = slots(dtype, rows=17, heads=6, capacity=70)
        whole = problem.run(tier)
        for row in (0, 7, 16):
            at = slice(row, row + 1)
            one = replace(problem, query=problem.query[at], slot=problem.slot[at], length=problem.length[at])
            assert torch.equal(one.run(tier)[0], whole[row])


def test_a_prefix_is_what_every_row_has_before_its_own_keys(kernels: Kernels) -> None:
    dtype = kernels.decoder_dtypes[0]
    problem = slots(dtype, rows=4, capacity=20, prefix=11)
    shape = (problem.key.shape[0], 31, *problem.key.shape[2:])
    key, value = torch.empty(shape, dtype=dtype), torch.empty(shape, dtype=dtype)
    for whole, shared, own in ((key, problem.prefix_key, problem.key), (value, problem.prefix_value, problem.value)):
        whole[:, :11], whole[:, 11:] = shared, own
    alone = replace(problem, key=key, value=value, length=problem.length + 11, prefix_key=None, prefix_value=None)
    close(alone.run(kernels), problem.run(kernels), 10 * DECODER_ERROR[dtype])


def test_the_order_of_keys_does_not_matter_and_their_pairing_does(kernels: Kernels) -> None:
    dtype = kernels.decoder_dtypes[0]
    problem = slots(dtype, rows=1, capacity=30, prefix=None)
    order = torch.randperm(30, generator=torch.Generator("cpu").manual_seed(0), device="cpu").to(problem.key.device)
    shuffled = replace(problem, key=problem.key[:, order], value=problem.value[:, order], length=torch.tensor([30]))
    whole = replace(problem, length=torch.tensor([30]))
    close(shuffled.run(kernels), whole.run(kernels), 10 * DECODER_ERROR[dtype])
    assert norm_error(replace(shuffled, value=problem.value).run(kernels), whole.run(kernels)) > 0.1


def test_a_nan_stays_in_its_row(kernels: Kernels) -> None:
    problem = slots(torch.float32)
    query = problem.query.clone()
    query[2, 1, 3] = torch.nan
    out = replace(problem, query=query).run(kernels)
    assert torch.isnan(out).any(2).nonzero().tolist() == [[2, 1]]


def test_no_rows_give_no_rows(kernels: Kernels) -> None:
    problem = slots(kernels.decoder_dtypes[0])
    none = replace(problem, query=problem.query[:0], slot=problem.slot[:0], length=problem.length[:0])
    assert none.run(kernels).shape == (0, 4, 16)
    empty = replace(problem, prefix_key=problem.prefix_key[:0], prefix_value=problem.prefix_value[:0])
    bare = replace(problem, prefix_key=None, prefix_value=None)
    close(empty.run(kernels), bare.run(kernels), 1e-6)
