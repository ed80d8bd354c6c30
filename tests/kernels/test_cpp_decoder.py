"""The C++ tier of decoder layers at every instruction set: odd widths, the number of threads, memory that is not contiguous."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from tests.kernels.backends import close, draw
from vldac import _core
from vldac.kernels import cpp_decoder, decoder_reference


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(params=_core.isa_tiers(), autouse=True)
def isa(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    cpp_decoder._native()  # hands the threads over
    kernels = _core.DecoderKernels(request.param)
    monkeypatch.setattr(cpp_decoder, "_native", lambda: kernels)
    attention = _core.AttentionKernels(request.param)
    monkeypatch.setattr(cpp_decoder, "_attention", lambda: attention)
    return str(request.param)


def test_the_elements_equal_the_specification_at_every_width(isa: str) -> None:
    for width in (*range(2, 36, 2), 62, 64, 66, 130):
        x, up, grad = (draw(3, width, seed=seed) for seed in range(3))
        weight = draw(width, seed=3)
        leaves = [t.double().requires_grad_() for t in (x, up)]
        norm = decoder_reference.rms_norm(leaves[0], weight.double(), 1e-6)
        y, inverse = cpp_decoder.rms_norm(x, weight, 1e-6)
        close(y, norm, 2e-6)
        close(cpp_decoder.rms_norm_backward(grad, x, weight, inverse, False)[0],
              torch.autograd.grad(norm, leaves[0], grad.double())[0], 1e-5)  # fmt: skip
        gated = decoder_reference.swiglu(*leaves)
        close(cpp_decoder.swiglu(x, up), gated, 2e-6)
        for ours, theirs in zip(
            cpp_decoder.swiglu_backward(grad, x, up), torch.autograd.grad(gated, leaves, grad.double()), strict=True
        ):
            close(ours, theirs, 5e-6)
        heads, cos, sin = draw(3, 2, width, seed=4), draw(3, width // 2, seed=5), draw(3, width // 2, seed=6)
        for back in (False, True):
            turned = decoder_reference.apply_rotary(heads.double(), cos.double(), sin.double() * (-1 if back else 1))
            close(cpp_decoder.rotary(heads, cos, sin, back), turned, 2e-6)


def test_nothing_is_written_past_the_end_of_a_row() -> None:
    for width in (1, 15, 17, 63):
        store = torch.full((4, width + 5), 7.0)
        kernels = cpp_decoder._native()
        lend = torch.utils.dlpack.to_dlpack
        kernels.swiglu(lend(draw(4, width)), lend(draw(4, width, seed=1)), lend(store[:, :width]))
        assert bool((store[:, width:] == 7).all()) and not bool((store[:, :width] == 7).any())


def slot_problem(rows: int, heads: int, kv_heads: int, width: int, capacity: int, prefix: int) -> tuple[object, ...]:
    cache = [draw(rows + 1, capacity, kv_heads, width, seed=seed) for seed in (1, 2)]
    shared = [draw(prefix, kv_heads, width, seed=seed) if prefix else None for seed in (3, 4)]
    length = torch.arange(capacity, capacity - rows, -1).clamp_min(1)
    return draw(rows, heads, width), *cache, torch.arange(rows).flip(0), length, *shared, width**-0.5


@pytest.mark.parametrize("width", [16, 32, 48, 64, 80, 128])
def test_decoding_attention_equals_the_specification_at_every_edge_of_a_block(width: int) -> None:
    for heads, kv_heads in ((1, 1), (2, 1), (6, 2), (7, 1), (5, 5)):
        for rows, capacity, prefix in ((1, 1, 0), (1, 17, 1), (3, 65, 63), (4, 67, 64), (14, 15, 65), (2, 130, 129)):
            problem = slot_problem(rows, heads, kv_heads, width, capacity, prefix)
            *tensors, scale = (t.double() if isinstance(t, Tensor) and t.is_floating_point() else t for t in problem)
            expected = decoder_reference.slot_attention(*tensors, scale=scale)
            close(
                cpp_decoder.slot_attention(*problem),
                expected,
                2e-6,
                what=f"{heads}/{kv_heads} {rows} {capacity} {prefix}",
            )


def packed_problem(
    lengths: list[int], asked: list[int], heads: int, kv_heads: int, width: int, prefix: int
) -> tuple[object, ...]:
    offsets, queries = torch.tensor([0, *lengths]).cumsum(0), torch.tensor([0, *asked]).cumsum(0)
    own = [draw(int(offsets[-1]), kv_heads, width, seed=seed) for seed in (1, 2)]
    shared = [draw(prefix, kv_heads, width, seed=seed) if prefix else None for seed in (3, 4)]
    return draw(int(queries[-1]), heads, width), *own, *shared, offsets, queries, width**-0.5


@pytest.mark.parametrize("width", [16, 32, 48, 80, 128])
def test_attention_of_packed_rows_equals_the_specification_at_every_edge_of_a_block(width: int) -> None:
    for lengths, asked, heads, kv_heads, prefix in (
        ([1], [1], 1, 1, 0), ([65, 3], [65, 3], 2, 1, 63), ([12, 13, 25], [12, 1, 25], 6, 3, 1), ([130], [67], 4, 2, 129),
        ([2, 0, 7], [2, 0, 0], 25, 1, 64), ([64, 64], [64, 1], 7, 7, 0),
    ):  # fmt: skip
        problem = packed_problem(lengths, asked, heads, kv_heads, width, prefix)
        *tensors, offsets, queries, scale = problem
        leaves = [None if t is None else t.double().requires_grad_() for t in tensors]
        expected = decoder_reference.prefix_attention(*leaves, offsets, queries, scale=scale)
        out, lse = cpp_decoder.prefix_attention(*problem)
        close(out, expected, 3e-6)
        grad = draw(*out.shape, seed=7)
        present = [t for t in leaves if t is not None]
        found = [g for g in cpp_decoder.prefix_attention_backward(grad, *problem, out, lse) if g is not None]
        for ours, theirs in zip(found, torch.autograd.grad(expected, present, grad.double()), strict=True):
            assert float((ours - theirs).norm()) <= 2e-6 * max(1.0, float(theirs.norm())), (lengths, heads, prefix)


def everything(threads: int) -> list[Tensor]:
    torch.set_num_threads(threads)
    x, up, weight = draw(300, 320), draw(300, 320, seed=1), draw(320, seed=2)
    cos, sin = draw(300, 32, seed=3), draw(300, 32, seed=4)
    y, inverse = cpp_decoder.rms_norm(x, weight, 1e-6)
    rows = packed_problem(
        [30, 1, 80, 20, 9, 33, 40, 2, 50, 70, 11], [30, 1, 80, 20, 9, 33, 1, 2, 50, 70, 11], 4, 2, 32, 100
    )
    out, lse = cpp_decoder.prefix_attention(*rows)
    return [
        y, inverse, *cpp_decoder.rms_norm_backward(up, x, weight, inverse, True), cpp_decoder.swiglu(x, up),
        *cpp_decoder.swiglu_backward(y, x, up), cpp_decoder.rotary(x.view(300, 5, 64), cos, sin, False),
        cpp_decoder.slot_attention(*slot_problem(40, 6, 2, 32, 90, 100)), out, lse,
        *cpp_decoder.prefix_attention_backward(draw(*out.shape, seed=8), *rows, out, lse),
    ]  # fmt: skip


def test_results_do_not_depend_on_the_number_of_threads() -> None:
    assert all(torch.equal(a, b) for a, b in zip(everything(1), everything(2), strict=True))


def test_the_binding_refuses_what_would_be_read_or_written_out_of_bounds() -> None:
    kernels, lend = cpp_decoder._native(), torch.utils.dlpack.to_dlpack
    x, y, weight, inverse = draw(3, 8), draw(3, 8), draw(8), draw(3)
    for call in (
        lambda: kernels.rms_norm(lend(x), lend(weight[:7]), 1e-6, lend(y), lend(inverse)),
        lambda: kernels.rms_norm(lend(x), lend(weight), 1e-6, lend(y[:2]), lend(inverse)),
        lambda: kernels.rms_norm(lend(x.double()), lend(weight), 1e-6, lend(y), lend(inverse)),
        lambda: kernels.swiglu(lend(x), lend(x[:, :7]), lend(y)),
        lambda: kernels.swiglu(lend(x.T), lend(x.T), lend(y.T)),
        lambda: kernels.rotate(lend(x.view(3, 1, 8)), lend(x[:, :4]), lend(x[:, :3]), False, lend(y)),
    ):
        with pytest.raises(ValueError, match="expected"):
            call()


def test_attention_refuses_what_lies_outside_the_cache() -> None:
    query, key, value, slot, length, prefix, _, scale = slot_problem(3, 4, 2, 16, 5, 4)

    def call(**changes: Tensor | None) -> None:
        given = {
            "query": query, "key_cache": key, "value_cache": value, "slot": slot, "length": length, "prefix_key": prefix,
            "prefix_value": prefix, "scale": scale, "out": torch.empty(3, 4, 16),
        } | changes  # fmt: skip
        lent = {name: torch.utils.dlpack.to_dlpack(t) if isinstance(t, Tensor) else t for name, t in given.items()}
        cpp_decoder._attention().slot_attention(**lent)

    call()
    call(prefix_key=None)
    for wrong in (
        {"slot": slot + 2}, {"slot": slot - 1}, {"length": length + 3}, {"length": length - 6}, {"length": length[:2]},
        {"slot": slot.int()}, {"value_cache": value[:, :4]}, {"query": query[:, :3]}, {"query": query[..., :8]},
        {"prefix_value": prefix[:3]}, {"prefix_value": prefix[..., :8]}, {"out": torch.empty(3, 4, 8)}, {"key_cache": key.double()},
    ):  # fmt: skip
        with pytest.raises(ValueError, match="expected"):
            call(**wrong)


def test_packed_attention_refuses_offsets_and_shapes_that_lie() -> None:
    query, key, value, prefix, _, offsets, queries, scale = packed_problem([4, 3], [4, 2], 4, 2, 16, 5)

    def call(**changes: Tensor | None) -> None:
        given = {
            "query": query, "key": key, "value": value, "prefix_key": prefix, "prefix_value": prefix, "offsets": offsets,
            "query_offsets": queries, "scale": scale, "out": torch.empty(6, 4, 16), "lse": torch.empty(6, 4),
        } | changes  # fmt: skip
        lent = {name: torch.utils.dlpack.to_dlpack(t) if isinstance(t, Tensor) else t for name, t in given.items()}
        cpp_decoder._attention().packed_attention(**lent)

    call()
    for wrong in (
        {"offsets": torch.tensor([0, 4, 8])}, {"offsets": torch.tensor([0, 8, 7])}, {"offsets": torch.tensor([1, 4, 7])},
        {"offsets": torch.tensor([0, 7])}, {"query_offsets": torch.tensor([0, 5, 6])}, {"query_offsets": torch.tensor([0, 4, 7])},
        {"key": key[:6]}, {"value": value[..., :8]}, {"query": query[:, :3]}, {"query": query[:, :, :8]},
        {"out": torch.empty(5, 4, 16)},
        {"lse": torch.empty(6, 3)}, {"prefix_value": prefix[:4]}, {"prefix_key": prefix[:, :1]}, {"offsets": offsets.int()},
    ):  # fmt: skip
        with pytest.raises(ValueError, match="expected"):
            call(**wrong)
