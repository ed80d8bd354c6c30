"""The Triton kernels against the specification: in Triton's interpreter on the CPU, compiled where there is a GPU.

`test_triton_interpreter.py` runs this file in processes of its own, since Triton reads TRITON_INTERPRET when a kernel is decorated.
Every check is also run on broken kernels (source substitutions), which it must tell from the right ones.
"""

import importlib.util
import mmap
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor
from vldac.kernels.triton_launch import is_interpreting

from vldac.kernels import reference, triton_fused_tier, triton_tier

torch.set_num_threads(1)

IS_COMPILED = not is_interpreting()
DEVICE = torch.device("cuda" if IS_COMPILED else "cpu")
gpu_test = pytest.mark.skipif(not IS_COMPILED, reason="needs a GPU")
pytestmark = pytest.mark.filterwarnings("ignore:.*encountered.*:RuntimeWarning")

VOCABULARIES = (37, 127, 1000)


def problem(
    vocabulary: int, *, shift: float = 0.0, scale: float = 1.0, rows: int = 9, dtype: torch.dtype = torch.float32
):
    """Hidden [rows, 24], weight, targets (last column, an excluded one and an ignored row among them), bias, temperature per row."""
    torch.manual_seed(vocabulary)
    hidden = (scale * torch.randn(rows, 24)).to(dtype)
    weight = torch.randn(vocabulary, 24).to(dtype)
    target = torch.randint(vocabulary, (rows,))
    target[0], target[2] = vocabulary - 1, -100
    bias = torch.full((vocabulary,), shift) + 0.1 * torch.randn(vocabulary)
    bias[vocabulary // 2] = -torch.inf
    target[4] = vocabulary // 2
    temperature = torch.rand(rows) + 0.5
    return tuple(x.to(DEVICE) for x in (hidden, weight, target, bias, temperature))


def close(ours: Tensor, theirs: Tensor, atol: float = 2e-5, rtol: float = 0.0) -> None:
    torch.testing.assert_close(ours, theirs.detach(), atol=atol, rtol=rtol, equal_nan=True)


def norm_close(ours: Tensor, theirs: Tensor, relative: float = 1e-5) -> None:
    """||ours - theirs|| / ||theirs||, with NaN and -inf nowhere."""
    assert bool(torch.isfinite(ours).all())
    assert float((ours.double() - theirs.double()).norm()) <= relative * float(theirs.double().norm())


def check_linear_logprob(
    head: ModuleType, *, shift: float, softcap: float = 0.0, size: int = 127, with_bias: bool = True
) -> None:
    """Log-prob, entropy, lse and (where there is one) the Jacobian row equal the specification's."""
    hidden, weight, target, bias, temperature = problem(size, shift=shift)
    column_bias = bias if with_bias else None
    has_gradient = head is triton_tier
    wide = hidden.clone().requires_grad_()
    expected = reference.linear_logprob(
        wide, weight, target, bias=column_bias, temperature=temperature, softcap=softcap or None
    )
    ours = head.linear_logprob(
        hidden, weight, target, column_bias, temperature, softcap, -100,
        needs_gradient=has_gradient, chunk_rows=4, batch_invariant=False,
    )  # fmt: skip
    tolerance = 2e-5 + 6e-7 * abs(shift)  # a few units in the last place of the largest logit
    for got, want in zip(ours, expected, strict=False):
        close(got, want, tolerance)
    assert ours[0][2] == 0 and bool((ours[0] <= 0).all()) and bool((ours[1] >= 0).all())
    if has_gradient:
        (gradient,) = torch.autograd.grad(expected.logprob.sum(), wide)
        norm_close(ours[3], gradient, tolerance)
        assert bool((ours[3][2] == 0).all())


def check_linear_logprob_backward(
    *, softcap: float = 3.0, dtype: torch.dtype = torch.float32, upstream: float = 1.0
) -> None:
    """Gradients of hidden, weight and bias, with an entropy gradient, equal autograd's through the specification."""
    hidden, weight, target, bias, temperature = problem(127, shift=1.0, dtype=dtype)
    target[4] = 5
    leaves = [x.double().requires_grad_() for x in (hidden, weight, bias)]
    expected = reference.linear_logprob(
        leaves[0], leaves[1], target, bias=leaves[2], temperature=temperature.double(), softcap=softcap
    )
    grad_logprob, grad_entropy = upstream * torch.randn(9, device=DEVICE), upstream * torch.randn(9, device=DEVICE)
    loss = (expected.logprob * grad_logprob).sum() + (expected.entropy * grad_entropy).sum()
    want = torch.autograd.grad(loss, leaves)
    hidden = hidden.clone()
    hidden[2] = torch.nan  # ignored: no trace in any gradient
    _, entropy, lse, _ = triton_tier.linear_logprob(
        hidden,
        weight,
        target,
        bias,
        temperature,
        softcap,
        -100,
        needs_gradient=False,
        chunk_rows=4,
        batch_invariant=False,
    )
    ours = triton_tier.linear_logprob_backward(
        grad_logprob, grad_entropy, hidden, weight, target, bias, temperature, softcap, -100, lse, entropy,
        needs_hidden=True, needs_weight=True, needs_bias=True, chunk_rows=4,
    )  # fmt: skip
    for got, exact in zip(ours, want, strict=True):
        assert got is not None
        norm_close(got, exact, {torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 1e-2}[dtype])
    assert ours[0] is not None and bool((ours[0][2] == 0).all())


def check_selective(*, dtype: torch.dtype = torch.float32, size: int = 127, shift: float = 0.0) -> None:
    """Statistics and gradient of logits with a free row stride equal the specification's; in place over the logits."""
    torch.manual_seed(size)
    logits = (4 * torch.randn(7, size + 13) + shift).to(dtype).to(DEVICE)[:, :size]
    target = torch.randint(size - 1, (7,), device=DEVICE)
    target[3], target[0] = -100, size - 2
    logits[3, 1] = torch.nan
    temperature = torch.rand(7, device=DEVICE) + 0.5
    bias = torch.zeros(size, device=DEVICE)
    bias[size - 1] = -torch.inf
    leaf = logits.float().requires_grad_()
    expected = reference.selective_log_softmax(
        leaf, target, temperature=temperature, banned_ids=torch.tensor([size - 1], device=DEVICE)
    )
    logprob, entropy, lse = triton_tier.selective_log_softmax(logits, target, bias, temperature, -100)
    for got, want in zip((logprob, entropy, lse), expected, strict=True):
        close(got, want)
    upstream = torch.randn(2, 7, device=DEVICE)
    (gradient,) = torch.autograd.grad(
        (expected.logprob * upstream[0]).sum() + (expected.entropy * upstream[1]).sum(), leaf
    )
    options = (logits, target, bias, temperature, -100, lse, entropy)
    ours = triton_tier.selective_log_softmax_backward(upstream[0], upstream[1], *options, inplace=False)
    assert ours.dtype == dtype
    norm_close(ours, gradient, {torch.float32: 2e-6, torch.float16: 1e-3, torch.bfloat16: 4e-3}[dtype])
    over = triton_tier.selective_log_softmax_backward(upstream[0], upstream[1], *options, inplace=True)
    assert over.data_ptr() == logits.data_ptr() and torch.equal(over, ours)


def check_sample(size: int = 1000, rows: int = 24) -> None:
    """Tokens, log-probs, entropies and validity equal the specification's, row by row."""
    torch.manual_seed(size)
    logits = 3 * torch.randn(rows, size, device=DEVICE)
    logits[1, 5], logits[2, size - 1], logits[3], logits[4, ::3] = torch.nan, torch.inf, -torch.inf, logits[4].max() + 1
    logits[5] -= 500
    logits[6, : size // 2] = -torch.inf
    seed = torch.randint(-(2**62), 2**62, (rows,), device=DEVICE)
    position = torch.arange(rows, device=DEVICE) * 7
    seed[8], position[8] = seed[7], position[7] + 1
    logits[8] = logits[7]
    temperature, greedy = torch.rand(rows, device=DEVICE) + 0.5, torch.arange(rows, device=DEVICE) % 4 == 0
    bias = torch.zeros(size, device=DEVICE)
    bias[10:13] = -torch.inf
    expected = reference.sample_with_logprob(
        logits,
        temperature=temperature,
        banned_ids=torch.arange(10, 13, device=DEVICE),
        seed=seed,
        position=position,
        greedy=greedy,
    )
    ours = triton_tier.sample(logits, bias, temperature, None, None, 0.0, seed, position, greedy)
    for got, want in zip(ours, expected, strict=True):
        close(got, want, 2e-5, 1e-6)


def check_gae(steps: int = 300, columns: int = 3, *, has_final: bool = True) -> None:
    """Advantage and returns equal the specification's; what lies behind an episode's end may be NaN."""
    torch.manual_seed(steps)
    reward, value, final = (torch.randn(steps, columns, device=DEVICE) for _ in range(3))
    terminated, truncated = (torch.rand(steps, columns, device=DEVICE) < 0.1 for _ in range(2))
    terminated[-1, 0] = True
    bootstrap = torch.randn(columns, device=DEVICE)
    bootstrap[0] = torch.nan
    if steps > 1 and columns > 1:  # the last episode of the last column is all NaN, the one before it ends at -2
        reward[-1, -1], truncated[-2, -1] = torch.nan, True
    final = torch.where(terminated, torch.nan, final) if has_final else None
    want = reference.generalized_advantage_estimate(
        reward, value, bootstrap, terminated, truncated, gamma=0.99, lam=0.95, final_value=final
    )
    ours = triton_tier.gae(reward, value, bootstrap, terminated, truncated, final, None, 0.99, 0.95)
    for got, exact in zip(ours, want, strict=True):
        assert bool(torch.isfinite(exact[:-1]).all())
        close(got, exact, 1e-5, 1e-5)


def check_flat_gae() -> None:
    """Segments, empty ones among them, end with their own bootstrap and hand nothing to one another."""
    torch.manual_seed(0)
    offsets = torch.tensor([0, 0, 5, 5, 290, 301, 301], device=DEVICE)
    reward, value, final = (torch.randn(301, device=DEVICE) for _ in range(3))
    terminated, truncated = (torch.rand(301, device=DEVICE) < 0.05 for _ in range(2))
    bootstrap = torch.randn(6, device=DEVICE)
    want = reference.generalized_advantage_estimate(
        reward, value, bootstrap, terminated, truncated, gamma=0.9, lam=0.8, final_value=final, segment_offsets=offsets
    )
    ours = triton_tier.gae(reward, value, bootstrap, terminated, truncated, final, offsets, 0.9, 0.8)
    for got, exact in zip(ours, want, strict=True):
        close(got, exact, 1e-5, 1e-5)


def check_far_rows() -> None:
    """A row whose offset passes 2^31 elements is read where it lies."""
    size, stride, before = 37, 2**30 + 16, 2**31
    logits = far_rows(size, stride, before)
    target = torch.tensor([1, 2, 3], device=DEVICE)
    want = reference.selective_log_softmax(logits.float(), target)
    ours = triton_tier.selective_log_softmax(logits, target, None, torch.ones(1, device=DEVICE), -100)
    for got, exact in zip(ours, want, strict=True):
        close(got, exact)


def far_rows(size: int, stride: int, before: int) -> Tensor:
    """bf16 [3, size] of a stride over 2^30, `before` elements of memory ahead of it. On the CPU untouched pages cost nothing."""
    count = before + 2 * stride + size
    if IS_COMPILED:
        storage = torch.zeros(count, dtype=torch.bfloat16, device=DEVICE)
    else:
        no_reserve = getattr(mmap, "MAP_NORESERVE", 0x4000)  # named since Python 3.13
        memory = mmap.mmap(-1, 2 * count, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | no_reserve)
        storage = torch.frombuffer(memory, dtype=torch.bfloat16)
    rows = storage.as_strided((3, size), (stride, 1), before)
    torch.manual_seed(0)
    rows.copy_(torch.randn(3, size))
    return rows


@pytest.mark.parametrize("size", VOCABULARIES)
@pytest.mark.parametrize("shift", [0.0, -200.0, 40.0])
@pytest.mark.parametrize("head", [triton_tier, triton_fused_tier], ids=["chunked", "fused"])
def test_linear_logprob_equals_the_specification(head: ModuleType, shift: float, size: int) -> None:
    check_linear_logprob(head, shift=shift, size=size)


@pytest.mark.parametrize("head", [triton_tier, triton_fused_tier], ids=["chunked", "fused"])
@pytest.mark.parametrize("softcap", [0.05, 3.0, 50.0])
def test_a_softcap_bends_value_and_gradient(head: ModuleType, softcap: float) -> None:
    check_linear_logprob(head, shift=1.0, softcap=softcap)
    check_linear_logprob(head, shift=1.0, softcap=softcap, with_bias=False)


@pytest.mark.parametrize("head", [triton_tier, triton_fused_tier], ids=["chunked", "fused"])
def test_padded_columns_count_for_nothing_where_all_logits_are_zero(head: ModuleType) -> None:
    hidden, weight, target, _, _ = problem(37)
    logprob, entropy, lse, _ = head.linear_logprob(
        0 * hidden, weight, target, None, torch.ones(1, device=DEVICE), 0.0, -100,
        needs_gradient=False, chunk_rows=0, batch_invariant=False,
    )  # fmt: skip
    scored = target != -100
    for values, sign in ((logprob, -1), (entropy, 1), (lse, 1)):
        close(values[scored], torch.full_like(values[scored], sign * torch.tensor(37.0).log().item()), 1e-6)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("head", [triton_tier, triton_fused_tier], ids=["chunked", "fused"])
def test_16_bit_inputs_are_as_exact_as_their_fp32_logits(head: ModuleType, dtype: torch.dtype) -> None:
    hidden, weight, target, bias, temperature = problem(1000, dtype=dtype)
    has_gradient = head is triton_tier
    ours = head.linear_logprob(
        hidden, weight, target, bias, temperature, 0.0, -100,
        needs_gradient=has_gradient, chunk_rows=4, batch_invariant=False,
    )  # fmt: skip
    wide = hidden.double().requires_grad_()
    exact = reference.linear_logprob(
        wide, weight.double(), target, bias=bias.double(), temperature=temperature.double()
    )
    for got, want in zip(ours, exact, strict=False):
        close(got.double(), want, 2e-5, 1e-6)
    if has_gradient:
        (gradient,) = torch.autograd.grad(exact.logprob.sum(), wide)
        norm_close(ours[3], gradient, 5e-3 if dtype == torch.bfloat16 else 1e-3)


@pytest.mark.parametrize("head", [triton_tier, triton_fused_tier], ids=["chunked", "fused"])
def test_bad_rows_stay_alone(head: ModuleType) -> None:
    hidden, weight, target, _, temperature = problem(127)
    clean = hidden.clone()
    target[4], target[7] = 4, 127
    hidden[1], hidden[3, 0], hidden[2] = torch.nan, torch.inf, torch.nan
    ours, theirs = (
        head.linear_logprob(
            h, weight, target, None, temperature, 0.0, -100,
            needs_gradient=head is triton_tier, chunk_rows=4, batch_invariant=False,
        )
        for h in (hidden, clean)
    )  # fmt: skip
    is_bad = torch.tensor([1, 3, 7], device=DEVICE)
    assert bool(ours[0][is_bad].isnan().all()) and bool(theirs[0][7].isnan())
    good = torch.tensor([0, 2, 4, 5, 6, 8], device=DEVICE)
    for got, want in zip(ours, theirs, strict=True):
        if len(got):
            assert torch.equal(got[good], want[good]) and bool(torch.isfinite(got[good]).all())
    assert ours[0][2] == 0 and ours[1][2] == 0 and ours[2][2] == 0


@pytest.mark.parametrize("head", [triton_tier, triton_fused_tier], ids=["chunked", "fused"])
def test_extreme_logits_give_one_hot_rows_without_nan(head: ModuleType) -> None:
    hidden = torch.zeros(4, 24, device=DEVICE)
    hidden[:, 0] = torch.tensor([1e4, -1e4, 1e4, 0.0])
    weight = torch.zeros(37, 24, device=DEVICE)
    weight[5, 0] = 1.0
    target = torch.tensor([5, 5, 6, 0], device=DEVICE)
    logprob, entropy, _, _ = head.linear_logprob(
        hidden, weight, target, None, torch.ones(1, device=DEVICE), 0.0, -100,
        needs_gradient=False, chunk_rows=0, batch_invariant=False,
    )  # fmt: skip
    log_v = torch.tensor([36.0, 37.0]).log()
    close(logprob.cpu(), torch.tensor([0.0, -1e4 - log_v[0], -1e4, -log_v[1]]), 1e-6, 1e-7)
    close(entropy.cpu(), torch.tensor([0.0, log_v[0], 0.0, log_v[1]]), 1e-6)


def test_probabilities_sum_to_one_and_jacobian_rows_to_nothing() -> None:
    hidden, weight, _, _, _ = problem(37)
    rows = hidden[:1].expand(37, -1)
    logprob, _, _, gradient = triton_tier.linear_logprob(
        rows, weight, torch.arange(37, device=DEVICE), None, torch.ones(1, device=DEVICE), 0.0, -100,
        needs_gradient=True, chunk_rows=8, batch_invariant=False,
    )  # fmt: skip
    close(logprob.exp().sum(), torch.tensor(1.0, device=DEVICE), 1e-6)
    # sum_y p_y d logprob_y / d hidden = 0, and a constant shift of all weights moves no gradient: D sums to 0.
    close((logprob.exp()[:, None] * gradient).sum(0), torch.zeros(24, device=DEVICE), 1e-5)
    moved = triton_tier.linear_logprob(
        rows, weight + 1.0, torch.arange(37, device=DEVICE), None, torch.ones(1, device=DEVICE), 0.0, -100,
        needs_gradient=True, chunk_rows=8, batch_invariant=False,
    )  # fmt: skip
    close(moved[0], logprob, 2e-5)
    close(moved[3], gradient, 1e-4)


def test_the_fused_head_reads_transposed_inputs() -> None:
    hidden, weight, target, bias, temperature = problem(37)
    options = {"needs_gradient": False, "chunk_rows": 0, "batch_invariant": False}
    plain = triton_fused_tier.linear_logprob(hidden, weight, target, bias, temperature, 0.0, -100, **options)
    for h, w in ((hidden.T.contiguous().T, weight), (hidden, weight.T.contiguous().T)):
        out = triton_fused_tier.linear_logprob(h, w, target, bias, temperature, 0.0, -100, **options)
        for one, other in zip(plain, out, strict=True):
            close(one, other, 1e-5)


@pytest.mark.parametrize("chunk_rows", [1, 4, 9, 64])
def test_the_chunk_size_changes_nothing(chunk_rows: int) -> None:
    hidden, weight, target, bias, temperature = problem(127)
    run = [
        triton_tier.linear_logprob(
            hidden,
            weight,
            target,
            bias,
            temperature,
            0.0,
            -100,
            needs_gradient=True,
            chunk_rows=rows,
            batch_invariant=False,
        )
        for rows in (0, chunk_rows)
    ]
    for one, other in zip(*run, strict=True):
        close(one, other, 1e-5)


@pytest.mark.parametrize("head", [triton_tier, triton_fused_tier], ids=["chunked", "fused"])
def test_batch_invariant_rows_keep_every_bit_whatever_their_neighbours(head: ModuleType) -> None:
    hidden, weight, target, bias, temperature = problem(127, rows=11)

    def run(rows: slice) -> tuple[Tensor, ...]:
        return head.linear_logprob(
            hidden[rows], weight, target[rows], bias, temperature[rows], 0.0, -100,
            needs_gradient=head is triton_tier, chunk_rows=8, batch_invariant=True,
        )  # fmt: skip

    whole = run(slice(0, 11))
    for rows in (slice(0, 3), slice(5, 6), slice(3, 11)):
        for part, all_rows in zip(run(rows), whole, strict=True):
            if len(all_rows):
                assert torch.equal(part, all_rows[rows])


@pytest.mark.parametrize("head", [triton_tier, triton_fused_tier], ids=["chunked", "fused"])
def test_no_rows_give_empty_results(head: ModuleType) -> None:
    hidden, weight, target, bias, temperature = problem(37)
    out = head.linear_logprob(
        hidden[:0], weight, target[:0], bias, temperature[:0], 0.0, -100,
        needs_gradient=head is triton_tier, chunk_rows=0, batch_invariant=False,
    )  # fmt: skip
    assert [tuple(x.shape) for x in out] == [(0,), (0,), (0,), (0, 24)]
    empty = triton_tier.selective_log_softmax(weight[:0], target[:0], None, temperature[:0], -100)
    assert [len(x) for x in empty] == [0, 0, 0]


def test_strided_inputs_are_read_as_they_lie() -> None:
    hidden, weight, target, bias, temperature = problem(37)
    options = {"needs_gradient": True, "chunk_rows": 4, "batch_invariant": False}
    plain = triton_tier.linear_logprob(hidden, weight, target, bias, temperature, 0.0, -100, **options)
    strided = triton_tier.linear_logprob(
        hidden.T.contiguous().T, weight.repeat_interleave(2, 0)[::2], target.repeat_interleave(2)[::2], bias, temperature,
        0.0, -100, **options,
    )  # fmt: skip
    for one, other in zip(plain, strided, strict=True):
        close(one, other, 1e-5)
    with pytest.raises(ValueError, match="column stride 1"):
        triton_tier.selective_log_softmax(weight.T, target, None, temperature, -100)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_the_recomputing_backward_equals_autograd(dtype: torch.dtype) -> None:
    check_linear_logprob_backward(dtype=dtype)
    check_linear_logprob_backward(dtype=dtype, softcap=0.0)


def test_tiny_loss_weights_survive_float16() -> None:
    check_linear_logprob_backward(dtype=torch.float16, upstream=0.02)
    hidden, weight, target, _, _ = problem(1000, dtype=torch.float16)
    scale, temperature = 2.0**-14, torch.ones(1, device=DEVICE)
    _, entropy, lse, _ = triton_tier.linear_logprob(
        hidden, weight, target, None, temperature, 0.0, -100, needs_gradient=False, chunk_rows=0, batch_invariant=False
    )
    grads = [
        triton_tier.linear_logprob_backward(
            torch.full((9,), factor, device=DEVICE), None, hidden, weight, target, None, temperature, 0.0, -100, lse, entropy,
            needs_hidden=True, needs_weight=False, needs_bias=False, chunk_rows=0,
        )[0]
        for factor in (scale, 1.0)
    ]  # fmt: skip
    assert grads[0] is not None and grads[1] is not None
    norm_close(grads[0].float(), grads[1].float() * scale, 2e-3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("size", VOCABULARIES)
def test_selective_log_softmax_equals_the_specification(dtype: torch.dtype, size: int) -> None:
    check_selective(dtype=dtype, size=size)


@pytest.mark.parametrize("size", [37, 1000, 9000])
def test_samples_are_those_of_the_specification(size: int) -> None:
    check_sample(size)


def test_greedy_takes_the_lowest_id_among_ties_across_splits() -> None:
    logits = torch.zeros(1, 9000, device=DEVICE)
    logits[0, [8999, 4500, 700, 701]] = 3.0
    zero = torch.zeros(1, dtype=torch.int64, device=DEVICE)
    token = triton_tier.sample(
        logits,
        None,
        torch.ones(1, device=DEVICE),
        None,
        None,
        0.0,
        zero,
        zero,
        torch.ones(1, dtype=torch.bool, device=DEVICE),
    )[0]
    assert token.tolist() == [700]


def test_a_sample_depends_on_its_own_seed_and_position_alone() -> None:
    torch.manual_seed(1)
    logits = torch.randn(12, 127, device=DEVICE)
    seed, position = torch.arange(12, device=DEVICE), torch.arange(12, device=DEVICE) + 3
    options = (None, torch.ones(1, device=DEVICE), None, None, 0.0)
    greedy = torch.zeros(12, dtype=torch.bool, device=DEVICE)
    whole = triton_tier.sample(logits, *options, seed, position, greedy)
    part = triton_tier.sample(logits[5:7], *options, seed[5:7], position[5:7], greedy[5:7])
    for one, other in zip(part, whole, strict=True):
        assert torch.equal(one, other[5:7])
    same = logits[:1].expand(12, -1)
    assert len(set(triton_tier.sample(same, *options, seed, position * 0, greedy)[0].tolist())) > 4
    assert len(set(triton_tier.sample(same, *options, seed * 0, position, greedy)[0].tolist())) > 4


def test_truncation_is_left_to_another_tier() -> None:
    top_k = torch.ones(1, dtype=torch.int64)
    assert triton_tier.supports_sample(None, None, 0.0)
    assert not triton_tier.supports_sample(top_k, None, 0.0)
    assert not triton_tier.supports_sample(None, torch.ones(1), 0.0)
    assert not triton_tier.supports_sample(None, None, 0.1)
    with pytest.raises(NotImplementedError, match="truncate"):
        triton_tier.sample(torch.zeros(1, 4), None, torch.ones(1), top_k, None, 0.0, top_k, top_k, top_k > 0)


@pytest.mark.parametrize("steps", [1, 5, 256, 300])
@pytest.mark.parametrize("has_final", [True, False])
def test_the_advantage_scan_equals_the_specification(steps: int, has_final: bool) -> None:
    check_gae(steps, 1 if steps == 5 else 11, has_final=has_final)


def test_flat_segments_hand_nothing_to_one_another() -> None:
    check_flat_gae()


def test_rows_beyond_two_to_the_31_elements_are_read_where_they_lie() -> None:
    check_far_rows()


def test_the_fused_head_refuses_a_gradient() -> None:
    hidden, weight, target, _, temperature = problem(37)
    with pytest.raises(NotImplementedError, match="no gradient"):
        triton_fused_tier.linear_logprob(
            hidden,
            weight,
            target,
            None,
            temperature,
            0.0,
            -100,
            needs_gradient=True,
            chunk_rows=0,
            batch_invariant=False,
        )


CHUNKED: Callable[..., None] = lambda **options: check_linear_logprob(triton_tier, **options)  # noqa: E731
FUSED: Callable[..., None] = lambda **options: check_linear_logprob(triton_fused_tier, **options)  # noqa: E731
UNMASKED = [
    ("is_kept = is_inside", "is_kept = columns >= 0"), ('mask=is_inside, other=-float("inf")).to', "mask=is_inside, other=0.0).to"),
]  # fmt: skip
SPLIT_SUM = "tl.load(partial_ptr + out * 5 + 1, mask=is_inside, other=0.0)"
MUTANTS: dict[str, tuple[str, list[tuple[str, str]], Callable[[], None]]] = {
    "rows_without_column_mask": ("triton_rows", UNMASKED, lambda: CHUNKED(shift=0.0, with_bias=False)),
    "rows_with_maximum_from_zero": (
        "triton_rows", [('chosen = -float("inf"), 0.0', "chosen = 0.0, 0.0")], lambda: CHUNKED(shift=-200.0),
    ),
    "rows_without_temperature": ("triton_rows", [("z * inverse_temperature", "z")], lambda: CHUNKED(shift=0.0)),
    "rows_without_temperature_in_the_gradient": (
        "triton_rows", [("scale = inverse * gradient_scale", "scale = gradient_scale")], lambda: CHUNKED(shift=0.0),
    ),
    "rows_with_the_next_target": ("triton_rows", [("columns == target,", "columns == target + 1,")], lambda: CHUNKED(shift=0.0)),
    "rows_with_the_next_target_in_the_gradient": (
        "triton_rows", [("one_hot = tl.where((columns == target)", "one_hot = tl.where((columns == target + 1)")],
        lambda: CHUNKED(shift=0.0),
    ),
    "rows_where_an_excluded_target_has_a_gradient": (
        "triton_rows", [("one_hot = tl.where((columns == target) & (z != -float(\"inf\")", "one_hot = tl.where((columns == target")],
        lambda: CHUNKED(shift=0.0),
    ),
    "rows_where_ignored_ones_count": (
        "triton_rows", [("is_scored = target != ignore_index", "is_scored = target != ignore_index + 1")],
        lambda: CHUNKED(shift=0.0),
    ),
    "rows_without_softcap_in_the_gradient": (
        "triton_rows", [("slope = 1.0 - bent * bent", "slope = 1.0 - 0.0 * bent")], lambda: CHUNKED(shift=1.0, softcap=3.0),
    ),
    "rows_where_exclusion_comes_before_the_softcap": (
        "triton_rows", [("tl.where(is_kept, z * inverse_temperature, -float(\"inf\"))", "z * inverse_temperature"),
                        ("z += tl.where(is_kept, bias, 0.0)", "z += bias")],
        lambda: CHUNKED(shift=1.0, softcap=3.0),
    ),
    "rows_with_a_sum_that_is_not_rescaled": (
        "triton_rows", [("return after, keep * total", "return after, total")], lambda: CHUNKED(shift=0.0, size=20000),
    ),
    "rows_with_int32_offsets": ("triton_rows", [("tl.program_id(0).to(tl.int64)", "tl.program_id(0)")], check_far_rows),
    "gradient_without_upstream": ("triton_rows", [("value = upstream * (", "value = 1.0 * (")], check_selective),
    "gradient_without_temperature": ("triton_rows", [("    scale = inverse\n", "    scale = 1.0\n")], check_selective),
    "gradient_with_a_wrong_entropy_sign": ("triton_rows", [("value -= tl.load", "value += tl.load")], check_selective),
    "gradient_with_the_next_target": (
        "triton_rows", [("upstream * (tl.where((columns == target)", "upstream * (tl.where((columns == target + 1)")],
        check_selective,
    ),
    "gradient_of_entropy_without_the_entropy": (
        "triton_rows", [("(log_p + tl.load(entropy_ptr + row))", "log_p")], check_linear_logprob_backward,
    ),
    "head_without_column_mask": ("triton_head", [("is_kept = in_size", "is_kept = column >= 0")],
                                 lambda: FUSED(shift=0.0, with_bias=False)),
    "head_with_maximum_from_zero": (
        "triton_head", [('largest = tl.full([BLOCK_N], -float("inf"), tl.float32)', "largest = tl.zeros([BLOCK_N], tl.float32)")],
        lambda: FUSED(shift=-200.0),
    ),
    "head_without_temperature": ("triton_head", [("z * inverse[:, None]", "z")], lambda: FUSED(shift=0.0)),
    "head_with_the_next_target": (
        "triton_head", [("column[None, :] == target[:, None]", "column[None, :] == target[:, None] + 1")],
        lambda: FUSED(shift=0.0),
    ),
    "head_that_loses_a_split": ("triton_head", [("is_inside = split < NUM_SPLITS", "is_inside = (split < NUM_SPLITS) & (split > 0)")],
                                lambda: FUSED(shift=0.0, size=1000)),
    "sampler_that_forgets_the_position": ("triton_sampling", [("(position.to(tl.uint64) + 1)", "(position.to(tl.uint64) * 0 + 1)")],
                                          check_sample),
    "sampler_that_is_always_greedy": ("triton_sampling", [("!= 0, 0.0, noise", "!= 5, 0.0, noise")], check_sample),
    "sampler_that_loses_a_nan": ("triton_sampling", [(SPLIT_SUM, f"tl.where({SPLIT_SUM} >= 0, {SPLIT_SUM}, 1.0)")], check_sample),
    "scan_that_lets_a_cut_leak": ("triton_scan", [("is_cut = decay == 0.0", "is_cut = decay < -1.0")], check_gae),
    "scan_that_forgets_the_carry": ("triton_scan", [("sums + weights * carry[None, :]", "sums")], check_gae),
    "scan_without_final_values": ("triton_scan", [("tl.where(truncated, at_cut, ahead)", "ahead")], check_gae),
    "scan_without_segment_ends": ("triton_scan", [("other=0) != 0)\n        else:", "other=0) > 1)\n        else:")], check_flat_gae),
}  # fmt: skip


@pytest.mark.parametrize("name", MUTANTS)
def test_a_broken_kernel_is_told_from_the_right_one(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, changes, check = MUTANTS[name]
    check()
    right = triton_tier._kernels(file)
    source = Path(str(right.__file__)).read_text(encoding="utf-8")
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
    plain = triton_tier._kernels
    for head in (triton_tier, triton_fused_tier):
        monkeypatch.setattr(head, "_kernels", lambda wanted: mutant if wanted == file else plain(wanted))
    with pytest.raises(AssertionError):
        check()


@gpu_test
def test_nothing_waits_for_the_device() -> None:
    hidden, weight, target, bias, temperature = problem(1000)
    ids, greedy = torch.arange(9, device=DEVICE), torch.zeros(9, dtype=torch.bool, device=DEVICE)
    offsets = torch.tensor([0, 4, 9], device=DEVICE)
    rewards, cuts = torch.randn(9, 24, device=DEVICE), torch.zeros(9, 24, dtype=torch.bool, device=DEVICE)

    def everything() -> None:
        for head, needs_gradient in ((triton_tier, True), (triton_fused_tier, False)):
            logprob, entropy, lse, _ = head.linear_logprob(
                hidden, weight, target, bias, temperature, 0.0, -100,
                needs_gradient=needs_gradient, chunk_rows=0, batch_invariant=False,
            )  # fmt: skip
        triton_tier.linear_logprob_backward(
            logprob, None, hidden, weight, target, bias, temperature, 0.0, -100, lse, entropy,
            needs_hidden=True, needs_weight=True, needs_bias=True, chunk_rows=0,
        )  # fmt: skip
        triton_tier.sample(weight[:9], None, temperature, None, None, 0.0, ids, ids, greedy)
        triton_tier.gae(rewards, rewards, rewards[0], cuts, cuts, None, None, 0.99, 0.95)
        triton_tier.gae(
            rewards[:, 0], rewards[:, 1], rewards[0, :2], cuts[:, 0], cuts[:, 1], None, offsets, 0.99, 0.95
        )  # fmt: skip

    everything()
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        everything()
    finally:
        torch.cuda.set_sync_debug_mode("default")


@gpu_test
def test_a_captured_graph_samples_anew_at_every_position() -> None:
    logits, ids = torch.randn(8, 9000, device=DEVICE), torch.arange(8, device=DEVICE)
    position, temperature = torch.zeros(8, dtype=torch.int64, device=DEVICE), torch.ones(1, device=DEVICE)
    greedy = torch.zeros(8, dtype=torch.bool, device=DEVICE)
    options = (logits, None, temperature, None, None, 0.0, ids, position, greedy)
    triton_tier.sample(*options)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = triton_tier.sample(*options)
    seen = []
    for step in range(4):
        position.fill_(step)
        graph.replay()
        seen.append(captured[0].clone())
        assert torch.equal(seen[-1], triton_tier.sample(*options)[0])
    assert not torch.equal(seen[0], seen[1])
