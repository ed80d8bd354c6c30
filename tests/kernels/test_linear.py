"""`linear_logprob` and `selective_log_softmax`: accuracy against float64, gradients, and what holds for every softmax."""

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

BANNED = torch.tensor([3, 50, 100])


def exact(hidden: Tensor, weight: Tensor, target: Tensor, *, temperature: float | Tensor = 1.0, softcap: float | None = None,
          bias: Tensor | None = None, banned_ids: Tensor | None = None) -> tuple[Tensor, ...]:  # fmt: skip
    """(logprob, entropy, lse, d logprob.sum() / d hidden) in float64, from the inputs as they are."""
    states = hidden.detach().double().requires_grad_()
    logits = states @ weight.double().T
    if bias is not None:
        logits = logits + bias.double()
    if softcap:
        logits = softcap * torch.tanh(logits / softcap)
    logits = logits / (temperature.double()[:, None] if isinstance(temperature, Tensor) else temperature)
    if banned_ids is not None:
        logits = logits.index_fill(1, banned_ids, -torch.inf)
    rows = naive_rows(logits, target)
    return tuple(x.detach() for x in rows) + torch.autograd.grad(rows[0].sum(), states)


def options_of(dtype: torch.dtype, rows: int, vocab: int) -> list[dict[str, object]]:
    wide = torch.promote_types(dtype, torch.float32)
    temperature = draw(rows, dtype=wide, seed=7).abs() + 0.5
    return [
        {},
        {"temperature": 0.6},
        {"temperature": temperature},
        {"bias": draw(vocab, dtype=wide, seed=8)},
        {"softcap": 2.5, "temperature": 1.7},
        {"banned_ids": BANNED.to(torch.get_default_device())},
        {"bias": draw(vocab, dtype=wide, seed=8), "softcap": 4.0, "temperature": temperature,
         "banned_ids": BANNED.to(torch.get_default_device())},
    ]  # fmt: skip


def test_linear_logprob_equals_float64_with_every_option(kernels: Kernels, dtype: torch.dtype) -> None:
    hidden, weight, target = problem(dtype, scale=2.0)
    target[(target[:, None] == BANNED.to(target.device)).any(1)] = 7
    for options in options_of(dtype, *(len(target), len(weight))):
        hidden.grad = None
        out = kernels.linear_logprob(hidden, weight, target, return_entropy=True, return_lse=True, **options)
        out.logprob.sum().backward()
        logprob, entropy, lse, gradient = exact(hidden, weight, target, **options)
        close(out.logprob, logprob, LOGPROB_ERROR[dtype], what=f"logprob, {options.keys()}")
        close(out.entropy, entropy, ENTROPY_ERROR[dtype], what=f"entropy, {options.keys()}")
        close(out.lse, lse, LOGPROB_ERROR[dtype], what=f"lse, {options.keys()}")
        assert out.logprob.dtype == torch.promote_types(dtype, torch.float32) and hidden.grad.dtype == dtype
        assert norm_error(hidden.grad, gradient) <= GRADIENT_ERROR[dtype], options.keys()


def test_selective_log_softmax_equals_float64_with_every_option(kernels: Kernels, dtype: torch.dtype) -> None:
    logits, target = draw(13, 101, dtype=dtype, scale=2.0), draw_ids(13, 101)
    target[(target[:, None] == BANNED.to(target.device)).any(1)] = 7
    upstream = draw(13, dtype=torch.float64, seed=3)
    for options in options_of(dtype, 13, 101):
        if "bias" in options or "softcap" in options:
            continue
        leaf = logits.clone().requires_grad_()
        out = kernels.selective_log_softmax(leaf, target, return_entropy=True, return_lse=True, **options)
        (out.logprob * upstream.to(out.logprob.dtype)).sum().backward()
        double = logits.clone().double().requires_grad_()
        temperature = options.get("temperature", 1.0)
        scaled = double / (temperature.double()[:, None] if isinstance(temperature, Tensor) else temperature)
        if "banned_ids" in options:
            scaled = scaled.index_fill(1, options["banned_ids"], -torch.inf)
        logprob, entropy, lse = naive_rows(scaled, target)
        (logprob * upstream).sum().backward()
        close(out.logprob, logprob, LOGPROB_ERROR[dtype])
        close(out.entropy, entropy, ENTROPY_ERROR[dtype])
        close(out.lse, lse, LOGPROB_ERROR[dtype])
        assert out.logprob.dtype == torch.promote_types(dtype, torch.float32) and leaf.grad.dtype == dtype
        assert norm_error(leaf.grad, double.grad) <= GRADIENT_ERROR[dtype]


def test_bfloat16_errors_are_at_most_twice_those_of_plain_torch(kernels: Kernels) -> None:
    """Plain: the product in bfloat16, log-softmax in float32, gradients by autograd."""
    if torch.bfloat16 not in kernels.dtypes:
        pytest.skip(f"{kernels.name} takes no bfloat16")
    for scale in (1.0, 8.0):
        _compare_with_plain_bfloat16(kernels, scale)


def _compare_with_plain_bfloat16(kernels: Kernels, scale: float) -> None:
    hidden, weight, target = problem(torch.bfloat16, rows=32, hidden=48, vocab=257, scale=scale)
    logprob, entropy, _, gradient = exact(hidden, weight, target)
    plain = naive_rows((hidden @ weight.T).float(), target)
    (plain_gradient,) = torch.autograd.grad(plain[0].sum(), hidden)
    out = kernels.linear_logprob(hidden, weight, target, return_entropy=True)
    (ours,) = torch.autograd.grad(out.logprob.sum(), hidden)
    assert (out.logprob - logprob).abs().max() <= 2 * (plain[0] - logprob).abs().max()
    assert (out.entropy - entropy).abs().max() <= 2 * (plain[1] - entropy).abs().max()
    assert norm_error(ours, gradient) <= 2 * norm_error(plain_gradient, gradient)
    # Logits stay in float32: rounding them to bfloat16 costs ten times this and more.
    assert (out.logprob - logprob).abs().max() < 0.1 * (plain[0] - logprob).abs().max()


def test_linear_logprob_passes_gradcheck_in_every_input(kernels: Kernels) -> None:
    if torch.float64 not in kernels.dtypes:
        pytest.skip(f"{kernels.name} takes no float64")
    hidden, weight, target = problem(torch.float64, rows=4, hidden=5, vocab=11)
    bias, banned = draw(11, dtype=torch.float64, seed=9).requires_grad_(), target.new_tensor([10])
    target[1] = -100
    weight.requires_grad_()

    def logprob(h: Tensor) -> Tensor:
        return kernels.linear_logprob(h, weight.detach(), target % 10, softcap=3.0, temperature=0.7).logprob

    def both(h: Tensor, w: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        out = kernels.linear_logprob(
            h,
            w,
            target,
            bias=b,
            temperature=1.3,
            softcap=5.0,
            banned_ids=banned,
            return_entropy=True,
            entropy_grad=True,
        )
        return out.logprob, out.entropy

    target[target == 10] = 0
    assert torch.autograd.gradcheck(logprob, (hidden,), atol=1e-6)
    assert torch.autograd.gradcheck(both, (hidden, weight, bias), atol=1e-6)


def test_selective_log_softmax_passes_gradcheck(kernels: Kernels) -> None:
    if torch.float64 not in kernels.dtypes:
        pytest.skip(f"{kernels.name} takes no float64")
    logits, target = draw(4, 9, dtype=torch.float64).requires_grad_(), draw_ids(4, 9)
    target[2] = -100

    def both(z: Tensor) -> tuple[Tensor, Tensor]:
        out = kernels.selective_log_softmax(z, target, temperature=0.8, return_entropy=True, entropy_grad=True)
        return out.logprob, out.entropy

    assert torch.autograd.gradcheck(both, (logits,), atol=1e-6)


def test_a_trainable_head_and_an_entropy_bonus_get_the_gradients_of_float64(
    kernels: Kernels, dtype: torch.dtype
) -> None:
    hidden, weight, target = problem(dtype)
    weight.requires_grad_()
    up, down = draw(13, dtype=torch.float64, seed=3), draw(13, dtype=torch.float64, seed=4)
    for options in ({}, {"temperature": 0.8, "softcap": 3.0}):
        hidden.grad = weight.grad = None
        out = kernels.linear_logprob(hidden, weight, target, return_entropy=True, entropy_grad=True, **options)
        (out.logprob * up.to(out.logprob.dtype) + out.entropy * down.to(out.logprob.dtype)).sum().backward()
        states, head = (x.detach().double().requires_grad_() for x in (hidden, weight))
        logits = states @ head.T
        if options:
            logits = 3.0 * torch.tanh(logits / 3.0) / 0.8
        logprob, entropy, _ = naive_rows(logits, target)
        (logprob * up + entropy * down).sum().backward()
        assert norm_error(hidden.grad, states.grad) <= GRADIENT_ERROR[dtype]
        assert norm_error(weight.grad, head.grad) <= GRADIENT_ERROR[dtype] and weight.grad.dtype == dtype


def test_the_entropy_is_a_metric_without_gradient_unless_asked(kernels: Kernels) -> None:
    hidden, weight, target = problem(kernels.wide)
    out = kernels.linear_logprob(hidden, weight, target, return_entropy=True, return_lse=True)
    assert out.logprob.requires_grad and not out.entropy.requires_grad and not out.lse.requires_grad
    out = kernels.linear_logprob(hidden, weight, target, return_entropy=True, entropy_grad=True)
    assert out.entropy.requires_grad
    out = kernels.linear_logprob(hidden, weight, target)
    assert out.entropy is None and out.lse is None
    out = kernels.selective_log_softmax(draw(3, 5, dtype=kernels.wide).requires_grad_(), target[:3] % 5)
    assert out.entropy is None and out.lse is None


def test_adding_a_constant_to_all_logits_changes_nothing(kernels: Kernels, dtype: torch.dtype) -> None:
    """A constant in every row: through a bias for linear_logprob, in the logits themselves for selective_log_softmax."""
    hidden, weight, target = problem(dtype)
    wide = torch.promote_types(dtype, torch.float32)
    base = kernels.linear_logprob(hidden, weight, target, return_entropy=True)
    logits = draw(9, 64, dtype=wide)
    chosen = kernels.selective_log_softmax(logits, draw_ids(9, 64), return_entropy=True)
    for constant in (-300.0, 40.0):
        moved = kernels.linear_logprob(
            hidden, weight, target, bias=torch.full((len(weight),), constant, dtype=wide), return_entropy=True
        )
        near = 300 * torch.finfo(wide).eps  # of logits around 300
        close(moved.logprob, base.logprob, near)
        close(moved.entropy, base.entropy, 10 * near)
        shifted = kernels.selective_log_softmax(logits + constant, draw_ids(9, 64), return_entropy=True)
        close(shifted.logprob, chosen.logprob, near)
        close(shifted.entropy, chosen.entropy, 10 * near)


def test_permuting_the_vocabulary_changes_nothing(kernels: Kernels, dtype: torch.dtype) -> None:
    hidden, weight, target = problem(dtype)
    order = torch.randperm(len(weight), generator=torch.Generator("cpu").manual_seed(5), device="cpu").to(weight.device)
    place = order.argsort()  # where each id went
    base = kernels.linear_logprob(hidden, weight, target, return_entropy=True)
    (gradient,) = torch.autograd.grad(base.logprob.sum(), hidden)
    moved = kernels.linear_logprob(hidden, weight[order], place[target], return_entropy=True)
    (moved_gradient,) = torch.autograd.grad(moved.logprob.sum(), hidden)
    wide = torch.promote_types(dtype, torch.float32)
    close(moved.logprob, base.logprob, 40 * torch.finfo(wide).eps)
    close(moved.entropy, base.entropy, 40 * torch.finfo(wide).eps)
    assert norm_error(moved_gradient, gradient) <= GRADIENT_ERROR[dtype]


def test_probabilities_of_all_targets_sum_to_one(kernels: Kernels, dtype: torch.dtype) -> None:
    hidden, weight, _ = problem(dtype, rows=1, vocab=37)
    for banned, softcap in itertools.product((None, [0, 36]), (None, 2.0)):
        allowed = [i for i in range(37) if i not in (banned or [])]
        target = torch.tensor(allowed)
        out = kernels.linear_logprob(
            hidden.detach().expand(len(target), -1), weight, target, softcap=softcap, temperature=0.7,
            banned_ids=None if banned is None else torch.tensor(banned),
        )  # fmt: skip
        assert float(out.logprob.double().exp().sum()) == pytest.approx(1.0, abs=1e-6)
        logits = (hidden.detach() @ weight.T).expand(len(target), -1)
        chosen = kernels.selective_log_softmax(
            logits, target, banned_ids=None if banned is None else torch.tensor(banned)
        )
        assert float(chosen.logprob.double().exp().sum()) == pytest.approx(1.0, abs=1e-6)


def test_rows_of_the_delta_sum_to_zero(kernels: Kernels) -> None:
    """With the identity as head the gradient of hidden is the delta itself, (onehot - p) / temperature."""
    size = 53
    hidden = draw(size, size, dtype=kernels.wide, scale=3.0).requires_grad_()
    eye, target = torch.eye(size, dtype=kernels.wide), torch.arange(size).flip(0)
    temperature = torch.linspace(0.5, 2.0, size, dtype=kernels.wide)
    out = kernels.linear_logprob(hidden, eye, target, temperature=temperature)
    (delta,) = torch.autograd.grad(out.logprob.sum(), hidden)
    near = 64 * torch.finfo(kernels.wide).eps
    close(delta.sum(1), torch.zeros(size), near)
    off = torch.ones(size, size, dtype=torch.bool).scatter_(1, target[:, None], False)
    assert bool((delta[off] <= 0).all()) and bool((delta[~off] >= 0).all())
    probs = torch.softmax(hidden.detach().double() / temperature[:, None].double(), -1)
    close(delta, (eye[target].double() - probs) / temperature[:, None].double(), near)
    leaf = hidden.detach().clone().requires_grad_()
    kernels.selective_log_softmax(leaf, target, temperature=temperature).logprob.sum().backward()
    close(leaf.grad, delta, near)


def test_log_probs_are_never_positive_and_entropy_lies_in_its_range(kernels: Kernels, dtype: torch.dtype) -> None:
    for scale in (0.0, 1.0, 30.0):
        hidden, weight, _ = problem(dtype, rows=40, scale=scale)
        best = (hidden.detach().double() @ weight.double().T).argmax(-1)
        logits = (hidden.detach() @ weight.T).detach()
        chosen = logits.double().argmax(-1)
        for out in (
            kernels.linear_logprob(hidden, weight, best, return_entropy=True),
            kernels.selective_log_softmax(logits, chosen, return_entropy=True),
        ):
            assert bool((out.logprob <= 0).all())
            assert bool((out.entropy >= 0).all()) and bool((out.entropy <= math.log(101) + 1e-5).all())
        if scale == 0.0:
            close(out.entropy, torch.full((40,), math.log(101)), 1e-5)


def test_results_do_not_depend_on_chunks_rows_or_their_order(kernels: Kernels, dtype: torch.dtype) -> None:
    hidden, weight, target = problem(dtype, rows=23)
    wide = torch.promote_types(dtype, torch.float32)
    near, upstream = 64 * torch.finfo(wide).eps, draw(23, dtype=wide, seed=6)

    def run(states: Tensor, ids: Tensor, weights: Tensor, **options: object) -> tuple[Tensor, Tensor, Tensor]:
        leaf = states.detach().clone().requires_grad_()
        out = kernels.linear_logprob(leaf, weight, ids, return_entropy=True, **options)
        (out.logprob * weights).sum().backward()
        return out.logprob.detach(), out.entropy, leaf.grad

    base = run(hidden, target, upstream)
    order = torch.arange(23).roll(9).flip(0)
    back = order.argsort()
    first, second = (run(*(t[s] for t in (hidden, target, upstream))) for s in (slice(0, 11), slice(11, 23)))
    for other in (
        run(hidden, target, upstream, chunk_rows=1),
        run(hidden, target, upstream, chunk_rows=7),
        run(hidden, target, upstream, chunk_rows=1000),
        [x[back] for x in run(hidden[order], target[order], upstream[order], chunk_rows=5)],
        [torch.cat(both) for both in zip(first, second, strict=True)],
    ):  # fmt: skip
        close(other[0], base[0], near)
        close(other[1], base[1], near)
        assert norm_error(other[2], base[2]) <= GRADIENT_ERROR[dtype]


def test_a_trainable_head_gets_the_same_gradient_from_any_chunks(kernels: Kernels) -> None:
    hidden, weight, target = problem(kernels.wide, rows=23)
    weight.requires_grad_()
    gradients = []
    for chunk_rows in (None, 1, 7, 1000):
        out = kernels.linear_logprob(hidden, weight, target, chunk_rows=chunk_rows)
        gradients.append(torch.autograd.grad(out.logprob.square().sum(), (hidden, weight)))
    for states, head in gradients[1:]:
        assert norm_error(states, gradients[0][0]) <= GRADIENT_ERROR[kernels.wide]
        assert norm_error(head, gradients[0][1]) <= GRADIENT_ERROR[kernels.wide]


def test_batch_invariant_mode_gives_a_row_the_same_bits_in_any_batch(tier: Kernels, dtype: torch.dtype) -> None:
    hidden, weight, target = problem(dtype, rows=21, hidden=64)

    def run(s: slice) -> tuple[Tensor, Tensor, Tensor]:
        leaf = hidden.detach()[s].clone().requires_grad_()
        out = tier.linear_logprob(leaf, weight, target[s], return_entropy=True, chunk_rows=8, batch_invariant=True)
        out.logprob.sum().backward()
        return out.logprob.detach(), out.entropy, leaf.grad

    whole = run(slice(0, 21))
    for s in (slice(0, 1), slice(3, 4), slice(5, 14), slice(20, 21)):
        for part, all_rows in zip(run(s), whole, strict=True):
            assert torch.equal(part, all_rows[s]), s


def test_an_in_place_backward_gives_the_same_gradient_in_the_memory_of_the_logits(
    tier: Kernels, dtype: torch.dtype
) -> None:
    values, target = draw(9, 64, dtype=dtype), draw_ids(9, 64)
    target[4] = -100
    upstream = draw(9, dtype=torch.promote_types(dtype, torch.float32), seed=1)
    leaf = values.clone().requires_grad_()
    (tier.selective_log_softmax(leaf, target, temperature=0.9).logprob * upstream).sum().backward()
    other = values.clone().requires_grad_()
    logits = other * 1.0
    logits.retain_grad()
    out = tier.selective_log_softmax(logits, target, temperature=0.9, inplace_backward=True)
    (out.logprob * upstream).sum().backward()
    assert torch.equal(other.grad, leaf.grad)
    assert torch.equal(logits.detach(), leaf.grad)


def test_logits_that_changed_before_an_in_place_backward_raise(tier: Kernels) -> None:
    logits = draw(3, 16, dtype=tier.wide).requires_grad_() * 1.0
    out = tier.selective_log_softmax(logits, draw_ids(3, 16), inplace_backward=True)
    with torch.no_grad():
        logits.add_(1.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        out.logprob.sum().backward()
