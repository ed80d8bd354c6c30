"""`ppo_clip_loss`: the paper's equations 3, 5 and 6 written again one token at a time, its gradient, its guard, its statistics."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.kernels.backends import STEP_ERROR, Kernels, close, draw, draw_ids

STATISTICS = (
    "ratio_mean", "ratio_max", "clip_frac", "clip_frac_low", "clip_frac_high", "guard_steps", "kl_old_k1", "kl_old_k3",
    "kl_ref_k1", "kl_ref_k3", "log_ratio_abs_max", "capped_tokens", "tokens", "active_tokens",
)  # fmt: skip


def batch(dtype: torch.dtype, tokens: int = 60, steps: int = 9, spread: float = 0.3) -> tuple[Tensor, ...]:
    """(logprob leaf, old, advantages, step_index, token_weight, ref): steps of unequal length in no order, one weight 0."""
    logprob = -draw(tokens, dtype=dtype, seed=1).abs() - 0.1
    old = logprob + draw(tokens, dtype=dtype, scale=spread, seed=2)
    ref = logprob + draw(tokens, dtype=dtype, scale=spread, seed=3)
    step_index = torch.cat([torch.arange(steps), draw_ids(tokens - steps, steps, seed=4)])
    step_index = step_index[draw(tokens, seed=6).argsort()]
    length = torch.bincount(step_index, minlength=steps)[step_index]
    weight = (1.0 / (length * steps)).to(dtype)
    weight[5] = 0.0
    return logprob.requires_grad_(), old, draw(steps, dtype=dtype, seed=5), step_index, weight, ref


def by_hand(
    logprob: Tensor, old: Tensor, advantages: Tensor, step_index: Tensor, weight: Tensor, *, ref: Tensor | None = None,
    low: float = 0.1, high: float = 0.1, beta: float = 0.0, estimator: str = "k3", guard: float | None = None,
    dual: float | None = None, cap: float = 20.0,
) -> tuple[float, list[float], dict[str, float]]:  # fmt: skip
    """(loss, d loss / d logprob, statistics) in Python floats, from the coefficient form of the derivative."""
    cur, before, advantage = (x.detach().double().tolist() for x in (logprob, old, advantages))
    index, weights = step_index.tolist(), weight.double().tolist()
    other = cur if ref is None else ref.double().tolist()
    counted = [i for i in range(len(cur)) if weights[i] != 0]
    bounded = {i: max(-cap, min(cap, cur[i] - before[i])) for i in counted}
    over = {index[i] for i in counted if guard and math.exp(bounded[i]) > guard}
    total, loss, coefficient = sum(weights[i] for i in counted), 0.0, [0.0] * len(cur)
    sums = dict.fromkeys(STATISTICS, 0.0)
    for i in counted:
        a, r, w, change = advantage[index[i]], math.exp(bounded[i]), weights[i], cur[i] - before[i]
        inside, moving = 1 - low <= r <= 1 + high, abs(change) <= cap
        clipped = max(1 - low, min(1 + high, r)) * a
        if index[i] in over:
            gain, slope = clipped, r * a if inside else 0.0
        else:
            is_plain = r * a <= clipped
            gain, slope = (r * a, r * a) if is_plain else (clipped, 0.0)
            if dual and a < 0 and gain < dual * a:
                gain, slope = dual * a, 0.0
        x = max(-cap, min(cap, other[i] - cur[i]))
        k3 = math.expm1(x) - x
        kl, kl_slope = {
            "k1": (-x, 1.0), "k2": (x * x / 2, -x), "k3": (k3, 1.0 - math.exp(x)),
        }[estimator]  # fmt: skip
        if abs(other[i] - cur[i]) > cap:
            kl_slope = 0.0
        factor = beta if ref is not None else 0.0
        loss += w * (-gain + factor * kl)
        coefficient[i] = w * (-(slope if moving else 0.0) + factor * kl_slope)
        share = w / total
        sums["ratio_mean"] += share * r
        sums["ratio_max"] = max(sums["ratio_max"], r)
        sums["clip_frac_low"] += share * (r < 1 - low)
        sums["clip_frac_high"] += share * (r > 1 + high)
        sums["kl_old_k1"] -= share * change
        sums["kl_old_k3"] += share * (math.expm1(bounded[i]) - bounded[i])
        sums["kl_ref_k1"] -= share * x
        sums["kl_ref_k3"] += share * k3
        sums["log_ratio_abs_max"] = max(sums["log_ratio_abs_max"], abs(change))
        sums["capped_tokens"] += abs(change) > cap
        sums["tokens"] += 1
        sums["active_tokens"] += coefficient[i] != 0
    sums["clip_frac"] = sums["clip_frac_low"] + sums["clip_frac_high"]
    sums["guard_steps"] = len(over)
    return loss, coefficient, sums


VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "unequal clip": {"low": 0.2, "high": 0.3},
    "kl k3": {"beta": 0.04, "with_ref": True},
    "kl k1": {"beta": 0.5, "with_ref": True, "estimator": "k1"},
    "kl k2": {"beta": 0.5, "with_ref": True, "estimator": "k2"},
    "reference as a metric": {"with_ref": True},
    "guard": {"guard": 1.6},
    "dual clip": {"dual": 1.2},
    "log-ratios capped on both sides": {"cap": 0.25, "beta": 0.1, "with_ref": True},
    "everything": {"low": 0.1, "high": 0.2, "beta": 0.1, "with_ref": True, "guard": 1.8, "dual": 1.3, "cap": 0.7},
}


def ours(kernels: Kernels, data: tuple[Tensor, ...], *, low: float = 0.1, high: float = 0.1, beta: float = 0.0,
         estimator: str = "k3", guard: float | None = None, dual: float | None = None, cap: float = 20.0,
         ref: Tensor | None = None) -> tuple[Tensor, Any]:  # fmt: skip
    return kernels.ppo_clip_loss(
        *data[:5], ref_logprob=ref, clip_low=low, clip_high=high, kl_coef=beta, kl_estimator=estimator, ratio_guard=guard,
        dual_clip=dual, log_ratio_cap=cap,
    )  # fmt: skip


def test_loss_gradient_and_statistics_equal_the_token_by_token_definition(kernels: Kernels) -> None:
    for dtype in kernels.step_dtypes:
        near = STEP_ERROR[dtype]
        for name, variant in VARIANTS.items():
            options = dict(variant)
            data = batch(dtype)
            ref = data[5] if options.pop("with_ref", False) else None
            loss, stats = ours(kernels, data, ref=ref, **options)
            (gradient,) = torch.autograd.grad(loss, data[0])
            expected_loss, coefficient, expected = by_hand(*data[:5], ref=ref, **options)
            scale = sum(abs(c) for c in coefficient)
            assert loss.item() == pytest.approx(expected_loss, rel=near, abs=near), name
            close(gradient, torch.tensor(coefficient, dtype=torch.float64), near * scale, what=name)
            assert ((gradient != 0) == torch.tensor([c != 0 for c in coefficient])).all(), name
            assert stats._fields == STATISTICS
            for field in STATISTICS:
                # Float64 statistics may be kept in float32.
                assert float(getattr(stats, field)) == pytest.approx(expected[field], rel=1e-5, abs=1e-6), (name, field)
                assert not getattr(stats, field).requires_grad


def test_the_loss_passes_gradcheck_in_float64_guard_and_kl_included(kernels: Kernels) -> None:
    if torch.float64 not in kernels.step_dtypes:
        pytest.skip(f"{kernels.name} takes no float64")
    data = batch(torch.float64)
    for options in (
        {},
        {"guard": 1.6},
        {"beta": 0.3, "ref": data[5]},
        {"beta": 0.3, "ref": data[5], "estimator": "k2"},
    ):
        assert torch.autograd.gradcheck(
            lambda x, o=options: ours(kernels, (x, *data[1:]), **o)[0], (data[0],), atol=1e-6
        )


def test_clipped_tokens_have_exactly_no_gradient_without_kl(kernels: Kernels) -> None:
    for dtype in kernels.step_dtypes:
        old = torch.zeros(4, dtype=dtype)
        index, weight = torch.tensor([0, 0, 1, 1]), torch.full((4,), 0.25, dtype=dtype)
        advantages = torch.tensor([1.0, -2.0], dtype=dtype)
        logprob = torch.tensor([0.5, 0.2, -0.5, -0.2], dtype=dtype, requires_grad=True)
        loss, stats = kernels.ppo_clip_loss(logprob, old, advantages, index, weight)
        loss.backward()
        assert logprob.grad.tolist() == [0.0] * 4 and float(stats.active_tokens) == 0 and float(stats.clip_frac) == 1
        # With KL nothing is exactly zero: what is left is the KL part alone, w beta (1 - exp(ref - logprob)).
        logprob.grad, ref = None, logprob.detach() + 0.3
        loss, stats = kernels.ppo_clip_loss(logprob, old, advantages, index, weight, ref_logprob=ref, kl_coef=0.04)
        loss.backward()
        close(logprob.grad, torch.full((4,), 0.25 * 0.04 * (1 - math.exp(0.3))), 1e-7)
        assert float(stats.active_tokens) == 4


def test_unclipped_sides_push_back(kernels: Kernels) -> None:
    """Positive advantage with too low a ratio, negative with too high a one: the minimum is the unclipped term."""
    logprob = torch.tensor([-0.5, 0.5], requires_grad=True)
    loss, stats = kernels.ppo_clip_loss(
        logprob, torch.zeros(2), torch.tensor([1.0, -1.0]), torch.tensor([0, 1]), torch.full((2,), 0.5)
    )
    loss.backward()
    close(logprob.grad, torch.tensor([-0.5 * math.exp(-0.5), 0.5 * math.exp(0.5)]), 1e-6)
    assert float(stats.active_tokens) == 2 and float(stats.clip_frac) == 1.0


def test_ratio_guard_flips_the_whole_step_and_no_other(kernels: Kernels) -> None:
    index, weight = torch.tensor([1, 0, 1, 0]), torch.full((4,), 0.25)
    advantages = torch.tensor([-1.0, -1.0])
    for ratio, is_guarded in ((9.9, False), (10.1, True)):
        logprob = torch.tensor([math.log(ratio), math.log(2.0), math.log(1.05), math.log(0.5)], requires_grad=True)
        loss, stats = kernels.ppo_clip_loss(logprob, torch.zeros(4), advantages, index, weight, ratio_guard=10.0)
        loss.backward()
        assert float(stats.guard_steps) == float(is_guarded)
        # Step 0 (tokens 1 and 3) is never touched: 2.0 unclipped and 0.9 clipped.
        expected = (2.0 + 0.9 + 1.05 + (1.1 if is_guarded else ratio)) / 4
        assert loss.item() == pytest.approx(expected, rel=1e-6)
        close(logprob.grad, torch.tensor([0.0 if is_guarded else ratio, 2.0, 1.05, 0.0]) / 4, 1e-5)
    # The guarded step's token below 1 - clip_low: its unclipped term would push it, the clipped one does not.
    logprob = torch.tensor([math.log(11.0), math.log(0.5)], requires_grad=True)
    one, half = torch.tensor([1.0]), torch.full((2,), 0.5)
    loss, _ = kernels.ppo_clip_loss(logprob, torch.zeros(2), one, torch.tensor([0, 0]), half, ratio_guard=10.0)
    loss.backward()
    assert loss.item() == pytest.approx(-(1.1 + 0.9) / 2, rel=1e-6) and logprob.grad.tolist() == [0.0, 0.0]


def test_log_ratios_of_a_hundred_stay_finite_and_are_counted(kernels: Kernels) -> None:
    for advantage in (1.0, -1.0, 0.0):
        logprob = torch.tensor([100.0, -100.0, 0.0, 300.0], requires_grad=True)
        loss, stats = kernels.ppo_clip_loss(
            logprob, torch.zeros(4), torch.tensor([advantage]), torch.zeros(4, dtype=torch.int64), torch.full((4,), 0.25),
            ref_logprob=torch.zeros(4), kl_coef=0.04,
        )  # fmt: skip
        loss.backward()
        assert math.isfinite(loss.item()) and bool(torch.isfinite(logprob.grad).all())
        assert float(stats.capped_tokens) == 3 and float(stats.log_ratio_abs_max) == 300.0
        assert logprob.grad[[0, 1, 3]].tolist() == [0.0] * 3, "beyond the cap the loss is flat"
        assert all(math.isfinite(float(value)) for value in stats)


def test_zero_advantages_and_zero_weights_give_nothing(kernels: Kernels) -> None:
    logprob, old, advantages, index, weight, _ = batch(kernels.step_wide)
    loss, stats = kernels.ppo_clip_loss(logprob, old, torch.zeros_like(advantages), index, weight)
    loss.backward()
    assert loss.item() == 0.0 and not bool(logprob.grad.any()) and float(stats.active_tokens) == 0
    logprob.grad = None
    loss, stats = kernels.ppo_clip_loss(logprob, old, advantages, index, torch.zeros_like(weight))
    loss.backward()
    assert loss.item() == 0.0 and not bool(logprob.grad.any())
    assert float(stats.tokens) == 0 and all(math.isfinite(float(value)) for value in stats)


def test_tokens_of_weight_zero_leave_no_trace_whatever_they_hold(kernels: Kernels) -> None:
    logprob, old, advantages, index, weight, ref = batch(kernels.step_wide)
    weight[[7, 20, 31]] = 0.0
    options = {"beta": 0.1, "guard": 1.6}
    base, base_stats = ours(kernels, (logprob, old, advantages, index, weight), ref=ref, **options)
    (expected,) = torch.autograd.grad(base, logprob)
    poisoned, old, ref = logprob.detach().clone(), old.clone(), ref.clone()
    poisoned[7], old[20], ref[31], poisoned[31] = torch.nan, torch.nan, torch.inf, 50.0
    poisoned.requires_grad_()
    loss, stats = ours(kernels, (poisoned, old, advantages, index, weight), ref=ref, **options)
    loss.backward()
    assert loss.item() == base.item() and torch.equal(poisoned.grad, expected)
    assert [float(a) for a in stats] == [float(b) for b in base_stats]


def test_no_tokens_give_a_loss_of_zero_attached_to_the_graph(kernels: Kernels) -> None:
    for steps in (0, 3):
        logprob = torch.zeros(0, requires_grad=True)
        loss, stats = kernels.ppo_clip_loss(
            logprob * 1.0, torch.zeros(0), torch.ones(steps), torch.zeros(0, dtype=torch.int64), torch.zeros(0),
            ref_logprob=torch.zeros(0), kl_coef=0.1, ratio_guard=10.0,
        )  # fmt: skip
        loss.backward()
        assert loss.item() == 0.0 and logprob.grad.shape == (0,)
        assert [float(value) for value in stats] == [0.0] * len(STATISTICS)


def test_the_order_of_tokens_does_not_matter_and_one_token_steps_are_steps(kernels: Kernels) -> None:
    logprob, old, advantages, index, weight, ref = batch(kernels.step_wide)
    loss, stats = ours(kernels, (logprob, old, advantages, index, weight), ref=ref, guard=1.6, beta=0.1)
    (gradient,) = torch.autograd.grad(loss, logprob)
    order = torch.arange(60).flip(0).roll(11)
    moved, moved_stats = ours(
        kernels,
        (logprob[order], old[order], advantages, index[order], weight[order]),
        ref=ref[order],
        guard=1.6,
        beta=0.1,
    )
    (moved_gradient,) = torch.autograd.grad(moved, logprob)
    near = 4 * STEP_ERROR[kernels.step_wide]
    close(moved, loss, near)
    close(moved_gradient, gradient, near)
    close(torch.stack(list(moved_stats)), torch.stack(list(stats)), 1e-5)
    single = torch.arange(60)
    each = ours(kernels, (logprob, old, advantages[index], single, weight), ref=ref, beta=0.1)[0]
    close(each, ours(kernels, (logprob, old, advantages, index, weight), ref=ref, beta=0.1)[0], near)


def test_kl_is_zero_at_the_reference_positive_elsewhere_and_its_estimators_agree_nearby(kernels: Kernels) -> None:
    logprob, old, advantages, index, weight, _ = batch(kernels.step_wide)
    none = torch.zeros_like(advantages)
    for estimator in ("k1", "k2", "k3"):
        at = ours(kernels, (logprob, old, none, index, weight), ref=logprob.detach(), beta=1.0, estimator=estimator)[0]
        assert at.item() == 0.0
    for shift in (-3.0, -1e-3, 1e-3, 3.0):
        away = {}
        for estimator in ("k1", "k2", "k3"):
            ref = logprob.detach() + shift
            loss, stats = ours(kernels, (logprob, old, none, index, weight), ref=ref, beta=1.0, estimator=estimator)
            away[estimator] = loss.item() / float(weight.sum())
            assert float(stats.kl_ref_k3) >= 0
        assert away["k3"] == pytest.approx(math.expm1(shift) - shift, rel=1e-3) and away["k3"] > 0
        assert away["k2"] == pytest.approx(shift**2 / 2, rel=1e-4)
        assert away["k1"] == pytest.approx(-shift, rel=1e-4)


def test_the_loss_scales_with_its_incoming_gradient(kernels: Kernels) -> None:
    logprob, *rest = batch(kernels.step_wide)
    (once,) = torch.autograd.grad(kernels.ppo_clip_loss(logprob, *rest[:4])[0], logprob)
    (thrice,) = torch.autograd.grad(3.0 * kernels.ppo_clip_loss(logprob, *rest[:4])[0], logprob)
    close(thrice, 3 * once, STEP_ERROR[kernels.step_wide])
    loss = kernels.ppo_clip_loss(logprob, *rest[:4])[0]
    (first,) = torch.autograd.grad(loss, logprob, retain_graph=True)
    (second,) = torch.autograd.grad(loss, logprob)
    assert torch.equal(first, second) and torch.equal(first, once)


def test_expanded_advantages_and_int32_steps_are_taken_as_they_are(kernels: Kernels) -> None:
    logprob, old, _, index, weight, _ = batch(kernels.step_wide)
    one = torch.tensor([0.7], dtype=kernels.step_wide)
    base = kernels.ppo_clip_loss(logprob, old, one.repeat(9), index, weight)[0]
    assert kernels.ppo_clip_loss(logprob, old, one.expand(9), index, weight)[0].item() == base.item()
    assert kernels.ppo_clip_loss(logprob, old, one.repeat(9), index.int(), weight)[0].item() == base.item()
    wide = torch.stack([logprob.detach(), old], 1)
    strided = kernels.ppo_clip_loss(wide[:, 0], wide[:, 1], one.repeat(9), index, weight)[0]
    assert strided.item() == base.item()


def test_only_the_log_prob_gets_a_gradient(tier: Kernels) -> None:
    logprob, old, advantages, index, weight, ref = batch(tier.step_wide)
    loss = ours(tier, (logprob, old, advantages, index, weight), ref=ref, beta=0.1)[0]
    assert loss.requires_grad and loss.shape == ()
    assert not ours(tier, (logprob.detach(), old, advantages, index, weight))[0].requires_grad
