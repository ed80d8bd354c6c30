"""Sizes, values and memory layouts at which log-prob kernels of others went wrong; each test names the fault it guards against."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

from tests.kernels.backends import (
    ENTROPY_ERROR,
    GRADIENT_ERROR,
    LOGPROB_ERROR,
    Kernels,
    close,
    draw,
    draw_ids,
    naive_rows,
    norm_error,
    problem,
)


def both(
    kernels: Kernels, logits: Tensor, target: Tensor, **options: object
) -> tuple[tuple[Tensor, Tensor, Tensor], ...]:
    """(logprob, entropy, gradient of the logits) of selective_log_softmax, and of linear_logprob with the identity as head."""
    results = []
    for is_linear in (False, True):
        leaf = logits.detach().clone().requires_grad_()
        if is_linear:
            eye = torch.eye(logits.shape[1], dtype=logits.dtype)
            out = kernels.linear_logprob(leaf, eye, target, return_entropy=True, **options)
        else:
            out = kernels.selective_log_softmax(leaf, target, return_entropy=True, **options)
        out.logprob.sum().backward()
        results.append((out.logprob.detach(), out.entropy, leaf.grad))
    return tuple(results)


def test_ragged_vocabularies_have_no_padded_columns(kernels: Kernels) -> None:
    """A padded column counted as logit 0 shows with near-zero logits, and hides everything under strongly negative ones."""
    for size, offset in itertools.product(kernels.sizes(37, 127, 128, 129, 1000), (0.0, -1e4, 1e4)):
        # Logits that float32 holds exactly beside the offset, so that rounding does not enter.
        logits = (draw(3, size, dtype=torch.float64) * 8).round() / 8 * (0.125 if offset == 0 else 1) + offset
        target = torch.tensor([0, size - 1, size // 2])
        logprob, entropy, _ = naive_rows(logits, target)
        out = kernels.selective_log_softmax(logits.to(kernels.step_dtypes[-1]), target, return_entropy=True)
        close(out.logprob, logprob, LOGPROB_ERROR[torch.float32], what=f"V = {size}")
        close(out.entropy, entropy, ENTROPY_ERROR[torch.float32], what=f"V = {size}")
        bias = logits[0].to(torch.float32)
        hidden, weight = torch.zeros(3, 8), draw(size, 8)
        out = kernels.linear_logprob(hidden, weight, target, bias=bias, return_entropy=True)
        logprob, entropy, _ = naive_rows(logits[:1].expand(3, -1), target)
        close(out.logprob, logprob, LOGPROB_ERROR[torch.float32], what=f"V = {size}")
        close(out.entropy, entropy, ENTROPY_ERROR[torch.float32], what=f"V = {size}")


def test_a_vocabulary_of_151936_is_summed_to_the_last_column(kernels: Kernels, dtype: torch.dtype) -> None:
    """No multiple of 256 or 192: the mask of the last tile is live."""
    size = 151_936
    if not kernels.sizes(size) or dtype == torch.float16:
        pytest.skip("too large for the interpreter, or half a type too many")
    hidden, weight, _ = problem(dtype, rows=3, hidden=8, vocab=size, scale=2.0)
    target = torch.tensor([0, size - 1, 77_777])
    out = kernels.linear_logprob(hidden, weight, target, return_entropy=True)
    out.logprob.sum().backward()
    states = hidden.detach().double().requires_grad_()
    logits = states @ weight.double().T
    logprob, entropy, _ = naive_rows(logits, target)
    (gradient,) = torch.autograd.grad(logprob.sum(), states)
    wide = torch.promote_types(dtype, torch.float32)
    plain = hidden.detach().to(wide).requires_grad_()
    (rounded,) = torch.autograd.grad(naive_rows(plain @ weight.to(wide).T, target)[0].sum(), plain)
    close(out.logprob, logprob, LOGPROB_ERROR[dtype])
    close(out.entropy, entropy, ENTROPY_ERROR[dtype])
    # A float32 product over 151,936 terms has an error of its own (4e-5 here).
    assert norm_error(hidden.grad, gradient) <= max(GRADIENT_ERROR[dtype], 2 * norm_error(rounded, gradient))
    rows = logits.detach().to(dtype)
    logprob, entropy, _ = naive_rows(rows.double(), target)
    chosen = kernels.selective_log_softmax(rows, target, return_entropy=True)
    close(chosen.logprob, logprob, LOGPROB_ERROR[dtype])
    close(chosen.entropy, entropy, ENTROPY_ERROR[dtype])


def test_any_number_of_rows_gives_the_rows_of_one_call_each(kernels: Kernels) -> None:
    hidden, weight, target = problem(torch.float32, rows=131, hidden=8, vocab=37)
    logprob, entropy, _ = naive_rows(hidden.detach().double() @ weight.double().T, target)
    for rows in (1, 2, 127, 128, 129, 131):
        leaf = hidden.detach()[:rows].clone().requires_grad_()
        out = kernels.linear_logprob(leaf, weight, target[:rows], return_entropy=True)
        (gradient,) = torch.autograd.grad(out.logprob.sum(), leaf)
        close(out.logprob, logprob[:rows], LOGPROB_ERROR[torch.float32])
        close(out.entropy, entropy[:rows], ENTROPY_ERROR[torch.float32])
        assert gradient.shape == leaf.shape and bool((gradient != 0).any(1).all())


def test_no_rows_give_empty_results_attached_to_the_graph(kernels: Kernels, dtype: torch.dtype) -> None:
    weight, none = draw(37, 8, dtype=dtype).requires_grad_(), torch.zeros(0, dtype=torch.int64)
    for frozen in (True, False):
        hidden = torch.zeros(0, 8, dtype=dtype, requires_grad=True)
        head = weight.detach() if frozen else weight
        out = kernels.linear_logprob(hidden, head, none, return_entropy=True, entropy_grad=not frozen, return_lse=True)
        assert out.logprob.shape == out.entropy.shape == out.lse.shape == (0,)
        out.logprob.sum().backward()
        assert hidden.grad is not None and hidden.grad.shape == (0, 8)
    assert weight.grad is not None and not bool(weight.grad.any())
    logits = torch.zeros(0, 37, dtype=dtype, requires_grad=True)
    out = kernels.selective_log_softmax(logits, none, return_entropy=True)
    out.logprob.sum().backward()
    assert out.entropy.shape == (0,) and logits.grad.shape == (0, 37)


def test_extreme_logits_stay_exact(kernels: Kernels) -> None:
    """A maximum started at 0, or none taken: exp overflows at +1e4 and every term vanishes at -1e4."""
    for value in (1e-30, -1e-30, 1e4, -1e4):
        logits = torch.full((2, 40), value)
        logits[1, 5] += 2.0
        target = torch.tensor([3, 5])
        exact = logits.double().requires_grad_()
        logprob, entropy, _ = naive_rows(exact, target)
        (gradient,) = torch.autograd.grad(logprob.sum(), exact)
        # A backward pass from a saved lse knows it to half a unit in the last place: 5e-4 at 1e4.
        near = 1e-3 if abs(value) > 1 else 1e-6
        for ours in both(kernels, logits, target):
            close(ours[0], logprob, LOGPROB_ERROR[torch.float32])
            close(ours[1], entropy, ENTROPY_ERROR[torch.float32])
            close(ours[2], gradient, near)


def test_a_row_with_one_certain_id_has_no_entropy_and_no_gradient(kernels: Kernels) -> None:
    """0 times -inf, and exp of a difference that underflows."""
    logits = torch.full((2, 40), -1e4)
    logits[0, 7], logits[1, 39] = 1e4, 0.0
    target = torch.tensor([7, 39])
    for logprob, entropy, gradient in both(kernels, logits, target):
        assert logprob.tolist() == [0.0, 0.0] and entropy.tolist() == [0.0, 0.0]
        assert not bool(gradient.any())
    for logprob, entropy, gradient in both(kernels, logits, torch.tensor([8, 0])):
        close(logprob, torch.tensor([-2e4, -1e4]), 1e-3)
        assert entropy.tolist() == [0.0, 0.0] and bool(torch.isfinite(gradient).all())
        assert gradient[0, 8] == 1.0 and gradient[0, 7] == -1.0


def test_columns_whose_bias_is_minus_infinity_are_left_out(kernels: Kernels, dtype: torch.dtype) -> None:
    wide = torch.promote_types(dtype, torch.float32)
    hidden, weight, target = problem(dtype, vocab=40)
    kept = torch.tensor([i for i in range(40) if i not in (0, 13, 39)])
    inside = kept[target % len(kept)]
    bias = draw(40, dtype=wide)
    bias[[0, 13, 39]] = -torch.inf
    for softcap in (None, 3.0):  # a soft-cap of -inf is finite: the column must stay out all the same
        out = kernels.linear_logprob(hidden, weight, inside, bias=bias, softcap=softcap, return_entropy=True)
        (gradient,) = torch.autograd.grad(out.logprob.sum(), hidden)
        small = kernels.linear_logprob(
            hidden, weight[kept], target % len(kept), bias=bias[kept], softcap=softcap, return_entropy=True
        )
        (expected,) = torch.autograd.grad(small.logprob.sum(), hidden)
        close(out.logprob, small.logprob, 64 * torch.finfo(wide).eps)
        close(out.entropy, small.entropy, 64 * torch.finfo(wide).eps)
        assert norm_error(gradient, expected) <= GRADIENT_ERROR[dtype]
        assert bool(torch.isfinite(out.entropy).all())


def test_banned_ids_are_left_out_whatever_their_logit(kernels: Kernels) -> None:
    logits, banned = draw(4, 20), torch.tensor([2, 19])
    logits[:, 2] = 1e4
    logits[0, 19] = torch.nan
    kept = [i for i in range(20) if i not in (2, 19)]
    target = torch.tensor([0, 1, 18, 7])
    logprob, entropy, _ = naive_rows(logits[:, kept].double(), torch.tensor([kept.index(int(t)) for t in target]))
    out = kernels.selective_log_softmax(logits, target, banned_ids=banned, return_entropy=True)
    close(out.logprob, logprob, LOGPROB_ERROR[torch.float32])
    close(out.entropy, entropy, ENTROPY_ERROR[torch.float32])


def test_an_excluded_target_is_minus_infinity_with_a_finite_gradient(kernels: Kernels, dtype: torch.dtype) -> None:
    hidden, weight, target = problem(dtype, rows=4, vocab=20)
    target[:] = torch.tensor([5, 1, 5, 2])
    out = kernels.linear_logprob(hidden, weight, target, banned_ids=torch.tensor([5]), return_entropy=True)
    assert torch.isneginf(out.logprob).tolist() == [True, False, True, False]
    assert bool(torch.isfinite(out.entropy).all())
    (gradient,) = torch.autograd.grad(out.logprob.sum(), hidden)
    # What is left of the row: minus the mean of the rows of the head under the policy.
    probs = (hidden.detach().double() @ weight.double().T).index_fill(1, torch.tensor([5]), -torch.inf).softmax(-1)
    assert norm_error(gradient[[0, 2]], -(probs @ weight.double())[[0, 2]]) <= GRADIENT_ERROR[dtype]


def test_a_row_that_is_not_finite_touches_no_other_row(kernels: Kernels, dtype: torch.dtype) -> None:
    hidden, weight, target = problem(dtype, rows=6)
    clean = kernels.linear_logprob(hidden, weight, target, return_entropy=True)
    (expected,) = torch.autograd.grad(clean.logprob.sum(), hidden)
    for poison in (torch.nan, torch.inf):
        broken = hidden.detach().clone()
        broken[2, 3] = poison
        broken.requires_grad_()
        out = kernels.linear_logprob(broken, weight, target, return_entropy=True)
        (gradient,) = torch.autograd.grad(out.logprob.sum(), broken)
        others = [0, 1, 3, 4, 5]
        assert torch.isnan(out.logprob[2]) and torch.isnan(out.entropy[2])
        assert bool(torch.isnan(gradient[2]).any())
        close(out.logprob[others], clean.logprob[others], 64 * torch.finfo(out.logprob.dtype).eps)
        close(out.entropy[others], clean.entropy[others], 64 * torch.finfo(out.logprob.dtype).eps)
        assert norm_error(gradient[others], expected[others]) <= GRADIENT_ERROR[dtype]


def test_logits_of_nan_or_plus_infinity_make_their_own_row_nan(kernels: Kernels) -> None:
    logits, target = draw(5, 33), draw_ids(5, 33)
    logits[1, 32], logits[3, 0], logits[4] = torch.nan, torch.inf, -torch.inf
    out = kernels.selective_log_softmax(logits, target, return_entropy=True)
    assert torch.isnan(out.logprob).tolist() == [False, True, False, True, True]
    assert torch.isnan(out.entropy).tolist()[:4] == [False, True, False, True]


def test_an_ignored_row_leaves_no_trace_even_if_it_is_not_finite(kernels: Kernels, dtype: torch.dtype) -> None:
    hidden, weight, target = problem(dtype, rows=6)
    target[1], target[4] = -100, -100
    poisoned = hidden.detach().clone()
    poisoned[1], poisoned[4, 0] = torch.nan, torch.inf
    kept = [0, 2, 3, 5]
    for trainable in (False, True):
        head, expected_head = (weight.detach().clone().requires_grad_(trainable) for _ in range(2))
        leaf, other = poisoned.clone().requires_grad_(), hidden.detach()[kept].requires_grad_()
        out = kernels.linear_logprob(leaf, head, target, return_entropy=True, return_lse=True, entropy_grad=trainable)
        small = kernels.linear_logprob(other, expected_head, target[kept], return_entropy=True, entropy_grad=trainable)
        assert out.logprob[[1, 4]].tolist() == out.entropy[[1, 4]].tolist() == out.lse[[1, 4]].tolist() == [0.0, 0.0]
        close(out.logprob[kept], small.logprob, 64 * torch.finfo(out.logprob.dtype).eps)
        (out.logprob.sum() + (out.entropy.sum() if trainable else 0.0)).backward()
        (small.logprob.sum() + (small.entropy.sum() if trainable else 0.0)).backward()
        assert not bool(leaf.grad[[1, 4]].any())
        assert norm_error(leaf.grad[kept], other.grad) <= GRADIENT_ERROR[dtype]
        if trainable:
            assert norm_error(head.grad, expected_head.grad) <= GRADIENT_ERROR[dtype]
    logits = (hidden.detach() @ weight.T).index_fill(0, torch.tensor([1, 4]), torch.nan).requires_grad_()
    out = kernels.selective_log_softmax(logits, target, return_entropy=True)
    out.logprob.sum().backward()
    assert out.logprob[[1, 4]].tolist() == [0.0, 0.0] and bool(torch.isfinite(logits.grad).all())
    assert not bool(logits.grad[[1, 4]].any()) and bool(logits.grad[kept].any(1).all())


def test_a_batch_of_ignored_rows_is_zero_with_zero_gradient(kernels: Kernels) -> None:
    hidden, weight, target = problem(torch.float32, rows=5)
    hidden = (hidden.detach() * torch.nan).requires_grad_()
    out = kernels.linear_logprob(hidden, weight, torch.full_like(target, -7), ignore_index=-7, return_entropy=True)
    out.logprob.sum().backward()
    assert out.logprob.tolist() == out.entropy.tolist() == [0.0] * 5 and not bool(hidden.grad.any())


def test_strides_do_not_matter(kernels: Kernels, dtype: torch.dtype) -> None:
    hidden, weight, target = problem(dtype, rows=7)
    base = kernels.linear_logprob(hidden, weight, target, return_entropy=True)
    (expected,) = torch.autograd.grad(base.logprob.sum(), hidden)
    wide_rows = draw(7, 48, dtype=dtype, seed=9)
    wide_rows[:, ::2] = hidden.detach()
    layouts = {
        "every second column": (wide_rows[:, ::2], weight),
        "transposed hidden": (hidden.detach().T.contiguous().T, weight),
        "transposed weight": (hidden.detach(), weight.T.contiguous().T),
        "a slice of a longer head": (hidden.detach(), torch.cat([weight, weight])[: len(weight)]),
        "reversed in memory": (hidden.detach().flip(0).contiguous().flip(0), weight),
    }
    for name, (states, head) in layouts.items():
        leaf = states.requires_grad_()
        out = kernels.linear_logprob(leaf, head, target, return_entropy=True)
        (gradient,) = torch.autograd.grad(out.logprob.sum(), leaf)
        close(out.logprob, base.logprob, 64 * torch.finfo(out.logprob.dtype).eps, what=name)
        close(out.entropy, base.entropy, 64 * torch.finfo(out.logprob.dtype).eps, what=name)
        assert norm_error(gradient, expected) <= GRADIENT_ERROR[dtype], name


def test_strides_of_logits_do_not_matter(kernels: Kernels, dtype: torch.dtype) -> None:
    values, target = draw(7, 40, dtype=dtype), draw_ids(7, 40)
    base = kernels.selective_log_softmax(values, target, return_entropy=True)
    leaf = values.clone().requires_grad_()
    kernels.selective_log_softmax(leaf, target).logprob.sum().backward()
    padded = torch.full((7, 64), torch.nan, dtype=dtype)
    padded[:, :40] = values
    third = torch.full((21, 40), torch.nan, dtype=dtype)
    third[::3] = values
    layouts = {
        "rows of a wider tensor": padded[:, :40],
        "every third row": third[::3],
        "transposed": values.T.contiguous().T,
    }
    for name, logits in layouts.items():
        other = logits.detach().requires_grad_()
        out = kernels.selective_log_softmax(other, target, return_entropy=True)
        out.logprob.sum().backward()
        close(out.logprob, base.logprob, 0.0 if name != "transposed" else 1e-6, what=name)
        close(out.entropy, base.entropy, 1e-6, what=name)
        close(other.grad, leaf.grad, 1e-2 if dtype in (torch.bfloat16, torch.float16) else 1e-6, what=name)
    one = kernels.selective_log_softmax(values[:1].expand(7, -1), target)
    repeated = kernels.selective_log_softmax(values[:1].repeat(7, 1), target)
    assert torch.equal(one.logprob, repeated.logprob)


def test_targets_may_be_int32(kernels: Kernels) -> None:
    hidden, weight, target = problem(torch.float32)
    target[3] = -100
    first = kernels.linear_logprob(hidden, weight, target)
    second = kernels.linear_logprob(hidden, weight, target.int())
    assert torch.equal(first.logprob, second.logprob)
    logits = draw(13, 101)
    assert torch.equal(
        kernels.selective_log_softmax(logits, target).logprob,
        kernels.selective_log_softmax(logits, target.int()).logprob,
    )


def test_the_incoming_gradient_scales_every_row_by_itself(kernels: Kernels, dtype: torch.dtype) -> None:
    """A kernel that ignores its upstream gradient is right for .sum() alone."""
    hidden, weight, target = problem(dtype)
    wide = torch.promote_types(dtype, torch.float32)
    upstream = torch.linspace(-2.0, 3.0, 13, dtype=wide)
    logits = draw(13, 64, dtype=dtype)

    def gradient(scale: Tensor) -> tuple[Tensor, Tensor]:
        leaf, rows = hidden.detach().clone().requires_grad_(), logits.clone().requires_grad_()
        (kernels.linear_logprob(leaf, weight, target).logprob * scale).sum().backward()
        (kernels.selective_log_softmax(rows, target % 64).logprob * scale).sum().backward()
        return leaf.grad, rows.grad

    near = 8 * torch.finfo(dtype).eps
    once, thrice, weighted = gradient(torch.ones(13, dtype=wide)), gradient(torch.full((13,), 3.0)), gradient(upstream)
    for base, three, each in zip(once, thrice, weighted, strict=True):
        assert norm_error(three, 3 * base.double()) <= near
        assert norm_error(each, base.double() * upstream[:, None].double()) <= near


def test_two_backward_passes_and_a_sum_of_losses_add_up(kernels: Kernels) -> None:
    hidden, weight, target = problem(kernels.wide)
    (once,) = torch.autograd.grad(kernels.linear_logprob(hidden, weight, target).logprob.sum(), hidden)
    logprob = kernels.linear_logprob(hidden, weight, target).logprob
    first, second = logprob.sum(), logprob.square().sum()
    (a,) = torch.autograd.grad(first, hidden, retain_graph=True)
    (again,) = torch.autograd.grad(first, hidden, retain_graph=True)
    (b,) = torch.autograd.grad(second, hidden, retain_graph=True)
    (c,) = torch.autograd.grad(first + second, hidden)
    assert torch.equal(a, again)
    near = GRADIENT_ERROR[kernels.wide]
    assert norm_error(a, once) <= near and norm_error(c, a + b) <= near
    weight = weight.detach().requires_grad_()
    logprob = kernels.linear_logprob(hidden, weight, target).logprob
    a = torch.autograd.grad(logprob.sum(), (hidden, weight), retain_graph=True)
    b = torch.autograd.grad(logprob.square().sum(), (hidden, weight), retain_graph=True)
    c = torch.autograd.grad(logprob.sum() + logprob.square().sum(), (hidden, weight))
    for x, y, z in zip(a, b, c, strict=True):
        assert norm_error(z, x + y) <= near


def test_a_frozen_head_gets_no_gradient_and_no_inputs_mean_no_graph(kernels: Kernels) -> None:
    hidden, weight, target = problem(torch.float32)
    kernels.linear_logprob(hidden, weight, target).logprob.sum().backward()
    assert weight.grad is None and hidden.grad is not None
    assert not kernels.linear_logprob(hidden.detach(), weight, target).logprob.requires_grad
    with torch.no_grad():
        assert not kernels.linear_logprob(hidden, weight, target).logprob.requires_grad
    trainable = weight.requires_grad_()
    kernels.linear_logprob(hidden.detach(), trainable, target).logprob.sum().backward()
    assert trainable.grad is not None and bool(trainable.grad.any())


def test_a_vocabulary_of_one_id_is_certain(kernels: Kernels) -> None:
    hidden, weight, _ = problem(torch.float32, vocab=1)
    out = kernels.linear_logprob(hidden, weight, torch.zeros(13, dtype=torch.int64), return_entropy=True)
    out.logprob.sum().backward()
    assert out.logprob.tolist() == [0.0] * 13 and out.entropy.tolist() == [0.0] * 13
    assert bool(torch.isfinite(hidden.grad).all()) and float(hidden.grad.abs().max()) <= 1e-6


def test_a_tiny_or_a_large_temperature_keeps_its_limits(kernels: Kernels) -> None:
    logits = draw(4, 30)
    best = logits.argmax(-1)
    cold = kernels.selective_log_softmax(logits, best, temperature=1e-3, return_entropy=True)
    hot = kernels.selective_log_softmax(logits, best, temperature=1e6, return_entropy=True)
    assert bool((cold.logprob > -1e-3).all()) and bool((cold.entropy < 1e-2).all())
    close(hot.logprob, torch.full((4,), -math.log(30)), 1e-4)
    close(hot.entropy, torch.full((4,), math.log(30)), 1e-4)
