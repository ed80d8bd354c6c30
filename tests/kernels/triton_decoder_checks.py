"""The Triton kernels of decoder layers against the specification, and broken ones, which must be told from the right ones.

`test_triton_interpreter.py` runs this file in processes of its own; tests/kernels/test_decoder.py runs on the same kernels through
the public functions.
"""

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor
from vldac.kernels.triton_launch import is_interpreting

from vldac.kernels import decoder_reference as reference
from vldac.kernels import triton_decoder_tier as tier

torch.set_num_threads(1)

IS_COMPILED = not is_interpreting()
if IS_COMPILED and not torch.cuda.is_available():
    pytest.skip("needs TRITON_INTERPRET=1 or a GPU", allow_module_level=True)
DEVICE = torch.device("cuda" if IS_COMPILED else "cpu")
pytestmark = pytest.mark.filterwarnings("ignore:.*encountered.*:RuntimeWarning")


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator("cpu").manual_seed(seed)).to(DEVICE)


def close(ours: Tensor, theirs: Tensor, atol: float = 3e-6) -> None:
    torch.testing.assert_close(ours, theirs.detach().to(ours.dtype), atol=atol, rtol=1e-5, equal_nan=True)


def check_norm(rows: int = 9, width: int = 300) -> None:
    x, weight, grad = draw(rows, width), draw(width, seed=1), draw(rows, width, seed=2)
    leaves = [x.double().requires_grad_(), weight.double().requires_grad_()]
    expected = reference.rms_norm(*leaves, 1e-6)
    y, inverse = tier.rms_norm(x, weight, 1e-6)
    close(y, expected)
    for ours, theirs in zip(
        tier.rms_norm_backward(grad, x, weight, inverse, True), torch.autograd.grad(expected, leaves, grad), strict=True
    ):
        close(ours, theirs, 1e-5)


def check_swiglu(rows: int = 5, width: int = 1500) -> None:
    fused, grad = draw(rows, 2 * width), draw(rows, width, seed=2)
    leaves = [t.double().requires_grad_() for t in fused.chunk(2, -1)]
    expected = reference.swiglu(*leaves)
    close(tier.swiglu(*fused.chunk(2, -1)), expected)
    for ours, theirs in zip(
        tier.swiglu_backward(grad, *fused.chunk(2, -1)), torch.autograd.grad(expected, leaves, grad), strict=True
    ):
        close(ours, theirs, 1e-5)


def check_rotary(rows: int = 7, heads: int = 3, width: int = 24) -> None:
    x, cos, sin = draw(rows, heads + 2, width)[:, 1:-1], draw(rows, width // 2, seed=1), draw(rows, width // 2, seed=2)
    close(tier.rotary(x, cos, sin, False), reference.apply_rotary(x, cos, sin))
    close(tier.rotary(x, cos, sin, True), reference.apply_rotary(x, cos, -sin))


def slot_problem(
    rows: int = 3, group: int = 3, capacity: int = 70, prefix: int = 90, width: int = 24
) -> tuple[object, ...]:
    caches = [draw(rows + 2, capacity, 2, width, seed=seed) for seed in (1, 2)]
    shared = [draw(prefix, 2, width, seed=seed) if prefix else None for seed in (3, 4)]
    slot, length = torch.arange(rows, device=DEVICE).flip(0), torch.arange(capacity, capacity - rows, -1, device=DEVICE)
    return draw(rows, 2 * group, width), *caches, slot, length, *shared, width**-0.5


def check_slots(**shape: int) -> None:
    *tensors, scale = slot_problem(**shape)
    close(tier.slot_attention(*tensors, scale), reference.slot_attention(*tensors, scale=scale))


@pytest.mark.parametrize(
    "shape", [{}, {"prefix": 0}, {"capacity": 3, "prefix": 1}, {"group": 1, "width": 128}, {"group": 17, "rows": 1}]
)
def test_decoding_attention_equals_the_specification(shape: dict[str, int]) -> None:
    check_slots(**shape)


def test_a_row_outside_the_cache_is_nan_and_disturbs_no_other() -> None:
    query, key, value, slot, length, *rest = slot_problem(rows=4)
    right = tier.slot_attention(query, key, value, slot, length, *rest)
    for wrong_slot, wrong_length in ((99, 5), (-1, 5), (0, 71), (0, 0)):
        slots, lengths = slot.clone(), length.clone()
        slots[1], lengths[1] = wrong_slot, wrong_length
        out = tier.slot_attention(query, key, value, slots, lengths, *rest)
        assert bool(torch.isnan(out[1]).all()) and torch.equal(out[[0, 2, 3]], right[[0, 2, 3]])


gpu_test = pytest.mark.skipif(not IS_COMPILED, reason="needs a GPU")


@gpu_test
def test_a_captured_graph_serves_every_length() -> None:
    query, key, value, slot, length, *rest = slot_problem(rows=8, capacity=200)
    tier.slot_attention(query, key, value, slot, length, *rest)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = tier.slot_attention(query, key, value, slot, length, *rest)
    for most in (1, 64, 200):
        length.copy_(torch.arange(8, device=DEVICE) % most + 1)
        graph.replay()
        close(captured, reference.slot_attention(query, key, value, slot, length, *rest[:2], scale=rest[2]))


@gpu_test
def test_decoding_attention_waits_for_nothing() -> None:
    problem = slot_problem()
    tier.slot_attention(*problem)
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        tier.slot_attention(*problem)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize(("rows", "width"), [(1, 1), (3, 37), (9, 300), (2, 9000)])
def test_norm_equals_the_specification(rows: int, width: int) -> None:
    check_norm(rows, width)


@pytest.mark.parametrize("width", [1, 37, 1024, 1500])
def test_swiglu_equals_the_specification(width: int) -> None:
    check_swiglu(width=width)


@pytest.mark.parametrize(("heads", "width"), [(1, 2), (3, 24), (7, 128)])
def test_rotary_equals_the_specification(heads: int, width: int) -> None:
    check_rotary(heads=heads, width=width)


LONG_NORM: Callable[[], None] = lambda: check_norm(2, 9000)  # noqa: E731
MUTANTS: dict[str, tuple[str, list[tuple[str, str]], Callable[[], None]]] = {
    "norm_without_eps": ("triton_decoder", [("total / size + eps", "total / size + 0.0 * eps + 0.001")], check_norm),
    "norm_of_the_last_block_alone": ("triton_decoder", [("total += tl.sum(x * x, 1)", "total = tl.sum(x * x, 1)")], LONG_NORM),
    "norm_without_weight": ("triton_decoder", [("(unit * weight[None, :])", "unit")], check_norm),
    "norm_gradient_without_projection": ("triton_decoder", [("along = total / size", "along = 0.0 * total")], check_norm),
    "norm_gradient_of_the_last_block_alone": (
        "triton_decoder", [("total += tl.sum(grad", "total = tl.sum(grad")], LONG_NORM,
    ),
    "swiglu_that_ignores_the_stride_of_up": ("triton_decoder", [("up_ptr + row * up_stride", "up_ptr + row * size")], check_swiglu),
    "swiglu_without_its_second_stretch": (
        "triton_decoder", [("columns = tl.program_id(1) * BLOCK", "columns = 0 * BLOCK")], check_swiglu,
    ),
    "swiglu_gradient_without_slope": ("triton_decoder", [("1.0 + gate * (1.0 - share)", "1.0")], check_swiglu),
    "rotary_of_one_head": ("triton_decoder", [("head * x_head_stride", "0 * x_head_stride")], check_rotary),
    "rotary_that_never_turns_back": ("triton_decoder", [(".to(tl.float32) * sign", ".to(tl.float32)")], check_rotary),
    "attention_with_a_sum_that_is_not_rescaled": ("triton_attention", [("total * keep", "total")], check_slots),
    "attention_with_values_that_are_not_rescaled": ("triton_attention", [("out * keep[:, None]", "out")], check_slots),
    "attention_without_scale": ("triton_attention", [('input_precision="ieee") * scale', 'input_precision="ieee")')], check_slots),
    "attention_in_the_wrong_base": ("triton_attention", [("scale *= 1.4426950408889634", "scale *= 1.0")], check_slots),
    "attention_to_keys_behind_the_last": (
        "triton_attention", [("scores = tl.where((at < count)[None, :], scores, -float(\"inf\"))", "scores = scores")], check_slots,
    ),
    "attention_with_the_first_slot": ("triton_attention", [("key_ptr + slot * key_slot_stride", "key_ptr")], check_slots),
    "attention_without_prefix": ("triton_attention", [("range(0, prefix_count, BLOCK)", "range(0, 0, BLOCK)")], check_slots),
    "attention_of_one_head_of_keys": ("triton_attention", [("kv_head * value_head_stride", "0 * value_head_stride")], check_slots),
}  # fmt: skip


@pytest.mark.parametrize("name", MUTANTS)
def test_a_broken_kernel_is_told_from_the_right_one(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, changes, check = MUTANTS[name]
    check()
    plain = tier._kernels
    source = Path(str(plain(file).__file__)).read_text(encoding="utf-8")
    for old, new in changes:
        assert old in source, f"the mutant {name} no longer fits the source: {old}"
        source = source.replace(old, new)
    path = tmp_path / f"mutant_{name}.py"
    path.write_text(source, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    mutant = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, path.stem, mutant)
    spec.loader.exec_module(mutant)
    monkeypatch.setattr(tier, "_kernels", lambda wanted: mutant if wanted == file else plain(wanted))
    with pytest.raises(AssertionError):
        check()
