"""The native generator equals NumPy's, bit for bit."""

import numpy as np
import pytest

from vldac import _core


@pytest.mark.parametrize("entropy", [[0], [1], [12345], [2**40 + 7], [3, 5], [2**63, 1], [1, 2, 3, 4, 5, 6]])
def test_stream_equals_numpy(entropy: list[int]) -> None:
    ours = _core.Pcg64(entropy)
    theirs = np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy)))
    bounds = np.random.default_rng(0)
    for _ in range(500):
        high = int(bounds.integers(1, 2**31))
        small = int(bounds.integers(2, 20))
        assert ours.integers(0, small) == theirs.integers(0, small)
        assert ours.uniform() == theirs.random()
        assert ours.integers(-5, high) == theirs.integers(-5, high)


@pytest.mark.parametrize("seed", range(8))
def test_mixed_draws_of_a_world_equal_numpy(seed: int) -> None:
    ours = _core.Pcg64([seed])
    theirs = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed)))
    plan = np.random.default_rng(seed + 100)
    for _ in range(3000):
        kind = int(plan.integers(0, 5))
        n = int(plan.integers(1, 140))
        if kind == 0:
            low = float(plan.normal())
            assert ours.uniform(low, low + n) == theirs.uniform(low, low + n)
        elif kind == 1:
            lows = plan.normal(size=3)
            highs = lows + plan.random(3)
            drawn = [ours.uniform(low, high) for low, high in zip(lows.tolist(), highs.tolist(), strict=True)]
            assert drawn == theirs.uniform(low=lows.tolist(), high=highs.tolist()).tolist()
        elif kind == 2:
            assert ours.integers(0, n) == theirs.choice(n)
        elif kind == 3:
            areas = plan.random(n) + 0.01
            areas /= np.sum(areas)
            assert ours.choice(areas.tolist()) == theirs.choice(n, p=areas)
        else:
            assert ours.integers(0, n) == theirs.integers(0, n)
