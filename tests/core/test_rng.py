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
