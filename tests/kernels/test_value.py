"""`value_loss`: plain, clipped and Huber, against the definition one step at a time."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.kernels.backends import STEP_ERROR, Kernels, close, draw

VARIANTS = ({}, {"clip": 0.2}, {"huber": 0.7}, {"clip": 0.3, "huber": 0.5, "coef": 1.5})


def batch(dtype: torch.dtype, steps: int = 40) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(value leaf, old_value, returns, step_weight), one weight 0."""
    value, old = draw(steps, dtype=dtype, seed=1), draw(steps, dtype=dtype, seed=2)
    weight = draw(steps, dtype=dtype, seed=4).abs() / steps
    weight[3] = 0.0
    return value.requires_grad_(), (value.detach() + 0.4 * old), draw(steps, dtype=dtype, seed=3), weight


def by_hand(
    value: Tensor, old: Tensor, returns: Tensor, weight: Tensor, clip: float | None = None, huber: float | None = None,
    coef: float = 0.5,
) -> tuple[float, list[float], dict[str, float]]:  # fmt: skip
    def penalty(error: float) -> tuple[float, float]:
        if not huber or abs(error) <= huber:
            return error**2, 2 * error
        return huber * (2 * abs(error) - huber), 2 * huber * (1 if error > 0 else -1)

    total, loss, slopes, worst, mean, moved = 0.0, 0.0, [], 0.0, 0.0, 0.0
    for v, o, r, w in zip(*(x.detach().double().tolist() for x in (value, old, returns, weight)), strict=True):
        if w == 0:
            slopes.append(0.0)
            continue
        size, slope = penalty(v - r)
        if clip:
            move = max(-clip, min(clip, v - o))
            other, other_slope = penalty(o + move - r)
            if other > size:
                size, slope, moved = other, other_slope if abs(v - o) <= clip else 0.0, moved + w
        total, loss, mean, worst = total + w, loss + w * size, mean + w * (v - r), max(worst, abs(v - r))
        slopes.append(coef * w * slope)
    stats = {"error_mean": mean / total, "error_abs_max": worst, "clip_frac": moved / total}
    return coef * loss, slopes, stats


def test_loss_gradient_and_statistics_equal_the_step_by_step_definition(kernels: Kernels) -> None:
    for dtype in kernels.step_dtypes:
        near = STEP_ERROR[dtype]
        for options in VARIANTS:
            data = batch(dtype)
            loss, stats = kernels.value_loss(*data, **options)
            (gradient,) = torch.autograd.grad(loss, data[0])
            expected, slopes, expected_stats = by_hand(*data, **options)
            assert loss.item() == pytest.approx(expected, rel=near), options
            close(gradient, torch.tensor(slopes, dtype=torch.float64), near, what=str(options))
            for field, value in expected_stats.items():
                assert float(getattr(stats, field)) == pytest.approx(value, rel=1e-5, abs=1e-6), (options, field)
                assert not getattr(stats, field).requires_grad


def test_the_value_loss_passes_gradcheck_in_float64(kernels: Kernels) -> None:
    if torch.float64 not in kernels.step_dtypes:
        pytest.skip(f"{kernels.name} takes no float64")
    value, *rest = batch(torch.float64)
    for options in VARIANTS:
        assert torch.autograd.gradcheck(lambda v, o=options: kernels.value_loss(v, *rest, **o)[0], (value,), atol=1e-6)


def test_a_value_that_moved_past_the_clip_towards_its_return_gets_no_gradient(kernels: Kernels) -> None:
    """Equation: max of both errors. Towards the return the clipped one is larger, and flat; away from it the plain one is."""
    value = torch.tensor([1.0, -1.0, 0.05], requires_grad=True)
    loss, stats = kernels.value_loss(value, torch.zeros(3), torch.full((3,), 2.0), torch.full((3,), 1 / 3), clip=0.1)
    loss.backward()
    assert loss.item() == pytest.approx(0.5 * (1.9**2 + 3.0**2 + 1.95**2) / 3, rel=1e-6)
    close(value.grad, torch.tensor([0.0, -1.0, -1.95 / 3]), 1e-6)
    assert float(stats.clip_frac) == pytest.approx(1 / 3, rel=1e-6)


def test_without_options_it_is_half_the_squared_error_and_needs_no_old_value(kernels: Kernels) -> None:
    value, _, returns, weight = batch(kernels.step_wide)
    loss, stats = kernels.value_loss(value, None, returns, weight)
    close(loss, 0.5 * (weight * (value.detach() - returns) ** 2).sum(), STEP_ERROR[kernels.step_wide])
    assert float(stats.clip_frac) == 0.0


def test_huber_equals_torch_with_its_own_delta(kernels: Kernels) -> None:
    value, _, returns, _ = batch(kernels.step_wide)
    weight = torch.full_like(returns, 1 / len(returns))
    loss, _ = kernels.value_loss(value, None, returns, weight, huber=0.7)
    close(loss, torch.nn.functional.huber_loss(value, returns, delta=0.7), STEP_ERROR[kernels.step_wide])


def test_steps_of_weight_zero_leave_no_trace_whatever_they_hold(kernels: Kernels) -> None:
    value, old, returns, weight = batch(kernels.step_wide)
    weight[[4, 5, 6]] = 0.0
    for options in VARIANTS:
        base, base_stats = kernels.value_loss(value, old, returns, weight, **options)
        (expected,) = torch.autograd.grad(base, value)
        broken = [x.detach().clone() for x in (value, old, returns)]
        broken[0][4], broken[1][5], broken[2][6] = torch.nan, torch.inf, torch.nan
        broken[0].requires_grad_()
        loss, stats = kernels.value_loss(*broken, weight, **options)
        loss.backward()
        assert loss.item() == base.item() and torch.equal(broken[0].grad, expected)
        assert [float(a) for a in stats] == [float(b) for b in base_stats]


def test_no_steps_give_a_loss_of_zero_attached_to_the_graph(kernels: Kernels) -> None:
    value, none = torch.zeros(0, requires_grad=True), torch.zeros(0)
    loss, stats = kernels.value_loss(value * 1.0, none, none, none, clip=0.1)
    loss.backward()
    assert loss.item() == 0.0 and value.grad.shape == (0,) and [float(x) for x in stats] == [0.0, 0.0, 0.0]
    value = torch.ones(2, requires_grad=True)
    loss, stats = kernels.value_loss(value, None, torch.zeros(2), torch.zeros(2))
    loss.backward()
    assert loss.item() == 0.0 and value.grad.tolist() == [0.0, 0.0]


def test_the_value_loss_scales_with_its_incoming_gradient(kernels: Kernels) -> None:
    value, *rest = batch(kernels.step_wide)
    (once,) = torch.autograd.grad(kernels.value_loss(value, *rest)[0], value)
    (thrice,) = torch.autograd.grad(3.0 * kernels.value_loss(value, *rest)[0], value)
    close(thrice, 3 * once, STEP_ERROR[kernels.step_wide])


def test_detached_hidden_states_keep_the_value_loss_out_of_the_trunk(kernels: Kernels) -> None:
    trunk, head = torch.nn.Linear(4, 6), torch.nn.Linear(6, 1)
    hidden = trunk(draw(5, 4))
    value = head(hidden.detach())[:, 0]
    kernels.value_loss(value, None, draw(5, seed=1), torch.full((5,), 0.2))[0].backward()
    assert trunk.weight.grad is None and trunk.bias.grad is None
    assert bool(head.weight.grad.any())
