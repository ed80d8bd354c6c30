"""`prefix_attention`: results and gradients against float64 row by row, and what holds for packed rows behind a prefix."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import pytest
import torch
from torch import Tensor

from tests.kernels.backends import DECODER_ERROR, Kernels, close, draw, norm_error


@dataclass(frozen=True)
class Rows:
    """Packed rows: what `prefix_attention` takes."""

    query: Tensor
    key: Tensor
    value: Tensor
    prefix_key: Tensor | None
    prefix_value: Tensor | None
    offsets: Tensor
    query_offsets: Tensor | None
    scale: float

    def leaves(self) -> list[Tensor]:
        return [t for t in (self.query, self.key, self.value, self.prefix_key, self.prefix_value) if t is not None]

    def run(self, kernels: Kernels) -> Tensor:
        out: Tensor = kernels.prefix_attention(
            self.query, self.key, self.value, self.prefix_key, self.prefix_value, self.offsets, self.query_offsets, scale=self.scale
        )  # fmt: skip
        return out

    def exact(self) -> Tensor:
        """One query of one head at a time."""
        owned = self.offsets.tolist()
        asked = owned if self.query_offsets is None else self.query_offsets.tolist()
        group, out = self.query.shape[1] // self.key.shape[1], []
        for row in range(len(owned) - 1):
            count = asked[row + 1] - asked[row]
            for i in range(count):
                end = owned[row + 1] - count + i + 1
                for head in range(self.query.shape[1]):
                    keys, values = (t[owned[row] : end, head // group] for t in (self.key, self.value))
                    if self.prefix_key is not None and self.prefix_value is not None:
                        keys = torch.cat([self.prefix_key[:, head // group], keys])
                        values = torch.cat([self.prefix_value[:, head // group], values])
                    share = torch.softmax(self.scale * (keys @ self.query[asked[row] + i, head]), 0)
                    out.append(share @ values)
        return torch.stack(out).view(self.query.shape) if out else self.query * 0

    def wide(self) -> Rows:
        """The same in float64, as new leaves."""
        return replace(self, **{
            f.name: t.detach().double().requires_grad_() for f in fields(self)
            if isinstance(t := getattr(self, f.name), Tensor) and t.is_floating_point()
        })  # fmt: skip


def rows(
    dtype: torch.dtype, lengths: tuple[int, ...] = (5, 1, 9), asked: tuple[int, ...] | None = None, heads: int = 4,
    kv_heads: int = 2, width: int = 16, prefix: int | None = 7, seed: int = 0,
) -> Rows:  # fmt: skip
    with torch.device("cpu"):
        offsets = torch.tensor((0, *lengths)).cumsum(0)
        queries = None if asked is None else torch.tensor((0, *asked)).cumsum(0)
    count = int(offsets[-1]) if queries is None else int(queries[-1])
    shapes = [(count, heads), (int(offsets[-1]), kv_heads), (int(offsets[-1]), kv_heads)]
    shapes += [] if prefix is None else [(prefix, kv_heads)] * 2
    leaves = [draw(*shape, width, dtype=dtype, seed=seed + i).requires_grad_() for i, shape in enumerate(shapes)]
    shared = leaves[3:] or [None, None]
    return Rows(*leaves[:3], *shared, offsets, queries, width**-0.5)


SHAPES = (
    {}, {"prefix": None}, {"asked": (2, 1, 3)}, {"asked": (0, 1, 9), "prefix": None}, {"lengths": (1,), "prefix": None},
    {"lengths": (30, 3), "asked": (5, 3), "heads": 6, "kv_heads": 1}, {"lengths": (0, 4, 0), "width": 32},
    {"lengths": (13, 2), "heads": 3, "kv_heads": 3, "prefix": 70, "width": 48}, {"width": 24}, {"prefix": 0},
    {"lengths": (66,), "prefix": 65, "heads": 2, "kv_heads": 1}, {"lengths": (130, 1), "asked": (3, 1), "prefix": 64, "heads": 2},
    {"lengths": (2, 3), "heads": 30, "kv_heads": 1},
)  # fmt: skip


def gradients(problem: Rows, function: Callable[[], Tensor], upstream: Tensor | None = None) -> list[Tensor]:
    """[the result, the gradients of a weighted sum]"""
    out = function()
    weights = draw(*out.shape, seed=21).to(out.dtype) if upstream is None else upstream
    return [out.detach(), *torch.autograd.grad(out, problem.leaves(), weights)]


def test_results_and_gradients_are_exact_within_rounding(kernels: Kernels) -> None:
    for dtype in kernels.decoder_dtypes:
        for shape in SHAPES:
            if shape.get("width", 16) % 16 and not kernels.takes_odd_heads:
                continue
            problem = rows(dtype, **shape)
            wide = problem.wide()
            found = gradients(problem, lambda p=problem: p.run(kernels))
            wanted = gradients(wide, wide.exact)
            for place, (value, expected) in enumerate(zip(found, wanted, strict=True)):
                assert value.dtype == dtype and value.shape == expected.shape
                if not expected.numel():
                    continue
                size = float(expected.norm())
                error = norm_error(value, expected) if size > 0 else float(value.double().norm())
                # A row of one token without prefix has one key: gradients of scores that are differences of equals.
                assert error < DECODER_ERROR[dtype] or size < 1e-6, f"{dtype} {shape}, output {place}: {error}"


def test_the_derivative_passes_gradcheck(kernels: Kernels) -> None:
    if torch.float64 not in kernels.decoder_dtypes:
        pytest.skip("no float64")
    problem = rows(torch.float64, (3, 2), (2, 2), heads=2, kv_heads=1, width=4, prefix=2)

    def run(*leaves: Tensor) -> Tensor:
        return Rows(*leaves, problem.offsets, problem.query_offsets, 0.7).run(kernels)

    assert torch.autograd.gradcheck(run, problem.leaves())


def test_packed_rows_equal_rows_one_by_one_and_the_prefix_sums_their_gradients(kernels: Kernels) -> None:
    dtype = kernels.decoder_dtypes[0]
    problem = rows(dtype, (5, 3, 8), (5, 1, 4))
    weights = draw(10, 4, 16, seed=5).to(dtype)
    packed = gradients(problem, lambda: problem.run(kernels), weights)
    starts, asked = problem.offsets.tolist(), problem.query_offsets.tolist()
    alone = []
    for row in range(3):
        at, own = slice(asked[row], asked[row + 1]), slice(starts[row], starts[row + 1])
        with torch.device("cpu"):
            ends = torch.tensor([0, own.stop - own.start]), torch.tensor([0, at.stop - at.start])
        one = replace(
            problem, query=problem.query[at].detach().requires_grad_(), key=problem.key[own].detach().requires_grad_(),
            value=problem.value[own].detach().requires_grad_(), offsets=ends[0], query_offsets=ends[1],
        )  # fmt: skip
        alone.append(gradients(one, lambda p=one: p.run(kernels), weights[at]))
    near = 20 * DECODER_ERROR[dtype]
    for place in range(4):
        close(packed[place], torch.cat([one[place] for one in alone]), near)
    for place in (4, 5):
        close(packed[place], sum(one[place] for one in alone), near)


def test_a_token_sees_nothing_behind_it_and_nothing_of_other_rows(kernels: Kernels) -> None:
    dtype = kernels.decoder_dtypes[0]
    problem = rows(dtype, (6, 6))
    before = problem.run(kernels).detach()
    for token in range(12):
        key, value = problem.key.detach().clone(), problem.value.detach().clone()
        key[token], value[token] = 50.0, -70.0
        changed = replace(problem, key=key, value=value).run(kernels).detach()
        moved = (changed != before).flatten(1).any(1)
        row_end = 6 if token < 6 else 12
        expected = [token <= place < row_end for place in range(12)]
        assert moved.tolist() == expected


def test_the_last_queries_alone_equal_those_of_all(kernels: Kernels) -> None:
    dtype = kernels.decoder_dtypes[0]
    problem = rows(dtype, (7, 4), (2, 3))
    kept = [5, 6, 8, 9, 10]
    everything = draw(11, 4, 16, dtype=dtype, seed=9)
    whole = replace(problem, query=everything, query_offsets=None).run(kernels)
    some = replace(problem, query=everything[kept]).run(kernels)
    close(some, whole[kept], 10 * DECODER_ERROR[dtype])


def fused_views(problem: Rows, fused: Tensor) -> Rows:
    """Queries, keys and values as views of one projection [10, 8, 16], the prefix among them."""
    keys, values = fused[:, 4:6], fused[:, 6:]
    return replace(problem, query=fused[:, :4], key=keys, value=values, prefix_key=keys[:3], prefix_value=values[:3])


def test_views_of_fused_projections_are_taken_as_they_are(kernels: Kernels) -> None:
    dtype = kernels.decoder_dtypes[0]
    problem = rows(dtype, (4, 6), prefix=3)
    fused = draw(10, 8, 16, dtype=dtype, seed=3)
    leaf, wide = fused.clone().requires_grad_(), fused.double().requires_grad_()
    ours, theirs = fused_views(problem, leaf).run(kernels), fused_views(problem, wide).exact()
    assert norm_error(ours.detach(), theirs.detach()) < DECODER_ERROR[dtype]
    assert torch.equal(fused_views(problem, fused).run(kernels), ours)
    (gradient,), (expected,) = torch.autograd.grad(ours.sum(), leaf), torch.autograd.grad(theirs.sum(), wide)
    assert norm_error(gradient, expected) < DECODER_ERROR[dtype]


def test_no_queries_give_no_rows_and_zero_gradients(kernels: Kernels) -> None:
    dtype = kernels.decoder_dtypes[0]
    problem = rows(dtype, (4, 2), (0, 0))
    out = problem.run(kernels)
    assert out.shape == (0, 4, 16)
    if out.requires_grad:
        for gradient in torch.autograd.grad(out.sum(), problem.leaves(), allow_unused=True):
            assert gradient is None or not gradient.any()


def test_a_nan_stays_in_its_row(kernels: Kernels) -> None:
    problem = rows(torch.float32, (4, 4, 4))
    key = problem.key.detach().clone()
    key[5] = torch.nan
    out = replace(problem, key=key).run(kernels)
    broken = torch.isnan(out).flatten(1).any(1).tolist()
    assert broken[5:8] == [True, True, True] and not any(broken[:4] + broken[8:])


def test_backward_keeps_inputs_result_and_one_number_per_query(tier: Kernels) -> None:
    problem = rows(tier.decoder_dtypes[0], (20, 30), (20, 4), prefix=40)
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        kept[id(tensor)] = tensor.numel()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        out = problem.run(tier)
    assert (
        sum(kept.values()) <= sum(t.numel() for t in problem.leaves()) + out.numel() + out.shape[0] * out.shape[1] + 6
    )


def test_a_call_without_gradient_gives_what_the_operator_gives(tier: Kernels) -> None:
    problem = rows(tier.decoder_dtypes[0])
    tracked = problem.run(tier)
    with torch.no_grad():
        plain = problem.run(tier)
    assert tracked.requires_grad and not plain.requires_grad and torch.equal(tracked, plain)
