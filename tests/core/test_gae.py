"""The native advantage scan equals its specification, and the specification equals the definition."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from vldac.kernels.reference import generalized_advantage_estimate

from vldac.kernels import cpp_vectors


def definition(reward, value, final_value, terminated, truncated, bootstrap, gamma, lam):
    """Sum of discounted TD errors, forward from each step of one segment."""
    count = len(reward)
    advantage = np.zeros(count)
    for start in range(count):
        weight = 1.0
        for t in range(start, count):
            ahead = final_value[t] if truncated[t] else value[t + 1] if t + 1 < count else bootstrap
            live = 0.0 if terminated[t] else 1.0
            advantage[start] += weight * (reward[t] + gamma * live * ahead - value[t])
            if terminated[t] or truncated[t]:
                break
            weight *= gamma * lam
    return advantage


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), gamma=st.floats(0, 1), lam=st.floats(0, 1))
def test_gae_equals_its_definition(seed: int, gamma: float, lam: float) -> None:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 9, size=3)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    total = offsets[-1]
    reward, value, final = rng.normal(size=(3, total))
    kind = rng.integers(0, 4, size=total)
    terminated, truncated = kind == 0, kind == 1
    bootstrap = rng.normal(size=3)
    native, returns = cpp_vectors.gae(
        *(torch.from_numpy(x) for x in (reward, value, bootstrap, terminated, truncated, final, offsets)), gamma, lam
    )
    parts = [slice(offsets[k], offsets[k + 1]) for k in range(3)]
    expected = np.concatenate(
        [
            definition(reward[p], value[p], final[p], terminated[p], truncated[p], bootstrap[k], gamma, lam)
            for k, p in enumerate(parts)
        ]
    )
    np.testing.assert_allclose(native, expected, atol=1e-12)
    np.testing.assert_allclose(returns, expected + value, atol=1e-12)
    reference, _ = generalized_advantage_estimate(
        *(torch.from_numpy(x) for x in (reward, value, bootstrap, terminated, truncated)),
        gamma=gamma, lam=lam, final_value=torch.from_numpy(final), segment_offsets=torch.from_numpy(offsets),
    )  # fmt: skip
    np.testing.assert_allclose(reference.numpy(), expected, atol=1e-12)
