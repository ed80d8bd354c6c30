"""`masked_whiten`: mean, spread, and the values that have none."""

from __future__ import annotations

import statistics

import torch

from tests.kernels.backends import Kernels, close, draw


def test_whitened_values_equal_their_definition(kernels: Kernels) -> None:
    for dtype in kernels.step_dtypes:
        values, mask = draw(50, dtype=dtype, scale=3.0) + 7, draw(50, seed=1) > -0.5
        chosen = values[mask].double().tolist()
        for unbiased, eps in ((True, 1e-8), (False, 1e-8), (True, 0.5)):
            spread = statistics.stdev(chosen) if unbiased else statistics.pstdev(chosen)
            expected = (values.double() - statistics.fmean(chosen)) / (spread + eps)
            ours = kernels.masked_whiten(values, mask, unbiased=unbiased, eps=eps)
            near = 1e-12 if dtype == torch.float64 else 1e-5
            close(ours, torch.where(mask, expected, torch.zeros(50, dtype=torch.float64)), near)
            assert ours.dtype == dtype


def test_the_spread_is_the_unbiased_one_by_default(kernels: Kernels) -> None:
    """Two values: +-1/sqrt(2) with n - 1 below, +-1 with n."""
    both = torch.ones(2, dtype=torch.bool)
    close(kernels.masked_whiten(torch.tensor([1.0, 3.0]), both), torch.tensor([-(0.5**0.5), 0.5**0.5]), 1e-6)
    close(kernels.masked_whiten(torch.tensor([1.0, 3.0]), both, unbiased=False), torch.tensor([-1.0, 1.0]), 1e-6)


def test_masked_entries_are_zero_and_leave_no_trace(kernels: Kernels) -> None:
    values, mask = draw(20, dtype=kernels.step_wide), torch.ones(20, dtype=torch.bool)
    mask[[3, 9]] = False
    base = kernels.masked_whiten(values, mask)
    values[3], values[9] = torch.nan, torch.inf
    ours = kernels.masked_whiten(values, mask)
    assert torch.equal(ours, base) and ours[[3, 9]].tolist() == [0.0, 0.0]


def test_values_without_spread_or_with_one_entry_are_zero(kernels: Kernels) -> None:
    for value in (0.0, 0.1, -1e6, 3.3333333):
        same = torch.full((37,), value, dtype=kernels.step_wide)
        assert not bool(kernels.masked_whiten(same, torch.ones(37, dtype=torch.bool)).any())
    values = draw(5, dtype=kernels.step_wide)
    for count in (0, 1):
        assert not bool(kernels.masked_whiten(values, torch.arange(5) < count).any())
    assert kernels.masked_whiten(values[:0], torch.zeros(0, dtype=torch.bool)).shape == (0,)


def test_a_large_mean_does_not_eat_the_spread(kernels: Kernels) -> None:
    """The sum of squares minus the square of the sum cancels: variance 1 around 10,000 in float32."""
    values = draw(1000).round() + 10_000
    expected = (values.double() - values.double().mean()) / values.double().std()
    close(kernels.masked_whiten(values, torch.ones(1000, dtype=torch.bool)), expected, 2e-3)


def test_shape_and_strides_are_kept(kernels: Kernels) -> None:
    values, mask = draw(6, 8, dtype=kernels.step_wide), draw(6, 8, seed=2) > 0
    base = kernels.masked_whiten(values, mask)
    assert base.shape == (6, 8)
    near = 1e-6 if kernels.step_wide == torch.float32 else 1e-14
    close(kernels.masked_whiten(values.T, mask.T), base.T, near)
    close(kernels.masked_whiten(values.flatten(), mask.flatten()), base.flatten(), near)
    chosen = base[mask].double()
    close(chosen.mean(), torch.tensor(0.0), 1e-6)
    close(chosen.std(), torch.tensor(1.0), 1e-6)
