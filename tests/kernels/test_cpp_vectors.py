"""The C++ vector operations equal the specification: values, statistics and gradients, ties and NaN included."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from vldac.kernels.types import PPOStats, ValueStats

from vldac import _core
from vldac.kernels import cpp_vectors, reference

torch.set_num_threads(1)

# Tolerances of the specification: float64 to rounding, float32 to the rounding of float32 sums over some hundred tokens.
TOLERANCE = {torch.float64: {"atol": 1e-12, "rtol": 1e-12}, torch.float32: {"atol": 1e-6, "rtol": 2e-6}}
DTYPES = pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])


def close(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    torch.testing.assert_close(ours, theirs, equal_nan=True, **TOLERANCE[theirs.dtype])


def tokens(dtype: torch.dtype, count: int = 203, steps: int = 17, seed: int = 0):
    """Log-probs with ratios on both sides of the clip, unsorted steps, some of weight 0, an advantage that is 0."""
    generator = torch.Generator().manual_seed(seed)

    def normal(size: int) -> torch.Tensor:
        return torch.randn(size, generator=generator, dtype=torch.float64).to(dtype)

    old = -normal(count).abs()
    logprob, ref = old + 0.2 * normal(count), old + 0.3 * normal(count)
    index = torch.randint(steps, (count,), generator=generator)
    weight = torch.rand(count, generator=generator, dtype=torch.float64).to(dtype)
    weight[::7] = 0
    advantages = normal(steps)
    advantages[0] = 0
    return logprob, old, advantages, index, weight, ref


PPO = {
    "clip_low": 0.1, "clip_high": 0.2, "kl_coef": 0.0, "kl_estimator": "k3", "ratio_guard": 0.0, "dual_clip": 0.0,
    "log_ratio_cap": 20.0,
}  # fmt: skip


def check_ppo(logprob, old, advantages, index, weight, ref=None, **options) -> tuple[torch.Tensor, PPOStats]:
    """Compare loss, statistics and gradient with the specification; returns our coefficient and statistics."""
    options = PPO | options
    leaf = logprob.clone().requires_grad_()
    given = {name: value or None if name in ("ratio_guard", "dual_clip") else value for name, value in options.items()}
    loss, stats = reference.ppo_clip_loss(leaf, old, advantages, index, weight, ref_logprob=ref, **given)
    loss.backward()
    ours, our_stats, coefficient = cpp_vectors.ppo_clip_loss(
        logprob, old, advantages, index, weight, ref, **options
    )  # fmt: skip
    assert ours.dtype == our_stats.dtype == coefficient.dtype == logprob.dtype
    close(ours, loss.detach())
    close(coefficient, leaf.grad)
    for name, mine, theirs in zip(PPOStats._fields, our_stats, stats, strict=True):
        torch.testing.assert_close(
            mine, theirs, equal_nan=True, **TOLERANCE[theirs.dtype], msg=lambda m, name=name: f"{name}: {m}"
        )
    return coefficient, PPOStats(*our_stats)


@DTYPES
@pytest.mark.parametrize("kl", [None, "k1", "k2", "k3"])
@pytest.mark.parametrize("guard", [0.0, 1.4])
@pytest.mark.parametrize("dual", [0.0, 1.3])
def test_ppo_equals_the_specification(dtype: torch.dtype, kl: str | None, guard: float, dual: float) -> None:
    *given, ref = tokens(dtype)
    options = {"ratio_guard": guard, "dual_clip": dual}
    if kl is not None:
        options |= {"kl_coef": 0.04, "kl_estimator": kl, "ref": ref}
    _, stats = check_ppo(*given, **options)
    assert 0 < stats.clip_frac < 1 and 0 < stats.tokens < 203
    assert (stats.guard_steps > 0) == (guard > 0)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000), count=st.integers(0, 300), steps=st.integers(1, 6), guard=st.sampled_from([0.0, 1.1, 3.0]),
    dual=st.sampled_from([0.0, 2.0]), kl=st.sampled_from(["k1", "k2", "k3"]), spread=st.sampled_from([1.0, 30.0]),
)  # fmt: skip
def test_ppo_equals_the_specification_at_any_length(seed, count, steps, guard, dual, kl, spread) -> None:
    logprob, old, *rest, ref = tokens(torch.float64, count, steps, seed)
    logprob = old + spread * (logprob - old)
    check_ppo(logprob, old, *rest, ref, kl_coef=0.1, kl_estimator=kl, ratio_guard=guard, dual_clip=dual)


@DTYPES
def test_ppo_halves_the_gradient_where_torch_does(dtype: torch.dtype) -> None:
    # The ratio is exactly 1: at both bounds of a clip of 0 (clamp passes the gradient), and at dual_clip = 1 (maximum halves it).
    old = torch.full((6,), -1.5, dtype=dtype)
    advantages = torch.tensor([1.0, -1.0, 0.0], dtype=dtype)
    index = torch.tensor([0, 1, 2, 0, 1, 2])
    weight = torch.ones(6, dtype=dtype)
    for low, high, dual in itertools.product([0.0, 0.1], [0.0, 0.1], [0.0, 1.0]):
        coefficient, _ = check_ppo(old, old, advantages, index, weight, clip_low=low, clip_high=high, dual_clip=dual)
        assert coefficient.tolist() == [-1.0, 0.5 if dual else 1.0, 0.0] * 2


@DTYPES
def test_ppo_passes_the_gradient_at_a_bound_of_the_clip(dtype: torch.dtype) -> None:
    # exp(ln 2) = 2 and exp(-ln 2) = 0.5 exactly, which clips of 1 and 0.5 have as bounds.
    two = torch.log(torch.tensor(2.0, dtype=dtype))
    logprob, old = torch.stack([two, -two, two, -two]), torch.zeros(4, dtype=dtype)
    index, advantages = torch.tensor([0, 0, 1, 1]), torch.tensor([1.0, -1.0], dtype=dtype)
    weight = torch.ones(4, dtype=dtype)
    coefficient, stats = check_ppo(logprob, old, advantages, index, weight, clip_low=0.5, clip_high=1.0)
    assert stats.clip_frac == 0 and coefficient.tolist() == [-2.0, -0.5, 2.0, 0.5]


@DTYPES
def test_a_log_ratio_beyond_the_cap_is_counted_and_has_no_gradient(dtype: torch.dtype) -> None:
    old = torch.zeros(5, dtype=dtype)
    logprob = torch.tensor([100.0, -100.0, 20.0, -20.0, 0.0], dtype=dtype)
    index, weight = torch.tensor([0, 1, 1, 0, 0]), torch.full((5,), 0.2, dtype=dtype)
    advantages = torch.tensor([-1.0, 1.0], dtype=dtype)
    coefficient, stats = check_ppo(logprob, old, advantages, index, weight, ref=-logprob, kl_coef=0.5)
    assert bool(torch.isfinite(coefficient).all())
    assert stats.capped_tokens == 2 and stats.log_ratio_abs_max == 100
    assert coefficient[0] == 0 and coefficient[1] == 0  # the KL term is capped too


@DTYPES
def test_one_ratio_above_the_guard_flips_its_whole_step_and_no_other(dtype: torch.dtype) -> None:
    old = torch.zeros(6, dtype=dtype)
    index, weight = torch.tensor([1, 0, 1, 0, 2, 2]), torch.ones(6, dtype=dtype)
    advantages = torch.tensor([1.0, -1.0, -1.0], dtype=dtype)
    for ratio, flipped in ((10.1, 1), (9.9, 0)):
        logprob = torch.tensor([ratio, 1.0, 1.15, 1.05, 5.0, 1.0], dtype=dtype).log()
        coefficient, stats = check_ppo(logprob, old, advantages, index, weight, ratio_guard=10.0)
        assert stats.guard_steps == flipped
        # Negative advantages: unflipped, a ratio above the bound is pushed down; flipped, only those inside are.
        assert (coefficient[0] != 0) == (not flipped) and coefficient[2] != 0 and coefficient[4] != 0


@DTYPES
def test_nan_tokens_of_weight_zero_leave_no_trace(dtype: torch.dtype) -> None:
    logprob, old, advantages, index, weight, ref = tokens(dtype)
    clean, stats = check_ppo(logprob, old, advantages, index, weight, ref, kl_coef=0.1, ratio_guard=1.4)
    for poisoned in (logprob, old, ref):
        poisoned[weight == 0] = torch.nan
    coefficient, again = check_ppo(logprob, old, advantages, index, weight, ref, kl_coef=0.1, ratio_guard=1.4)
    assert torch.equal(coefficient, clean) and all(torch.equal(a, b) for a, b in zip(stats, again, strict=True))


@DTYPES
def test_a_counted_nan_reaches_the_loss(dtype: torch.dtype) -> None:
    for place in (0, 1, 5):
        given = list(tokens(dtype))
        given[4][3] = 0.7
        given[place][3] = torch.nan
        check_ppo(*given, kl_coef=0.1)


def test_an_int32_index_gives_the_same_bytes() -> None:
    logprob, old, advantages, index, weight, ref = tokens(torch.float32)
    wide, narrow = (
        cpp_vectors.ppo_clip_loss(logprob, old, advantages, i, weight, ref, *(PPO | {"ratio_guard": 1.4}).values())
        for i in (index, index.int())
    )
    assert all(torch.equal(a, b) for a, b in zip(wide, narrow, strict=True))


@pytest.mark.parametrize("bad", [-1, 17])
def test_a_step_index_outside_the_steps_raises(bad: int) -> None:
    logprob, old, advantages, index, weight, _ = tokens(torch.float32)
    index[5] = bad
    with pytest.raises(IndexError, match=r"\[0, 17\)"):
        cpp_vectors.ppo_clip_loss(logprob, old, advantages, index, weight, None, *PPO.values())


def test_a_wrong_dtype_is_refused_rather_than_converted() -> None:
    logprob, old, advantages, index, weight, _ = tokens(torch.float32)
    with pytest.raises(TypeError):
        cpp_vectors.ppo_clip_loss(logprob, old.double(), advantages, index, weight, None, *PPO.values())


def test_strided_and_expanded_vectors_are_read_right() -> None:
    logprob, old, _, index, weight, ref = tokens(torch.float64)
    strided = torch.stack([logprob, old, weight, ref], 1).unbind(1)
    advantages = torch.tensor([0.7], dtype=torch.float64).expand(17)
    check_ppo(strided[0], strided[1], advantages, index, strided[2], strided[3], kl_coef=0.1)


def steps(dtype: torch.dtype, count: int = 101):
    generator = torch.Generator().manual_seed(1)
    value, noise, returns = torch.randn(3, count, generator=generator, dtype=torch.float64).to(dtype)
    weight = torch.rand(count, generator=generator, dtype=torch.float64).to(dtype)
    weight[::5] = 0
    return value, value + 0.3 * noise, returns, weight


def check_value(value, old, returns, weight, clip: float = 0.0, huber: float = 0.0, coef: float = 0.5) -> ValueStats:
    leaf = value.clone().requires_grad_()
    loss, stats = reference.value_loss(leaf, old, returns, weight, clip=clip or None, huber=huber or None, coef=coef)
    loss.backward()
    ours, our_stats, coefficient = cpp_vectors.value_loss(value, old, returns, weight, clip, huber, coef)
    assert ours.dtype == our_stats.dtype == coefficient.dtype == value.dtype
    close(ours, loss.detach())
    close(coefficient, leaf.grad)
    close(our_stats, torch.stack(list(stats)))
    return ValueStats(*our_stats)


@DTYPES
@pytest.mark.parametrize("clip", [0.0, 0.1])
@pytest.mark.parametrize("huber", [0.0, 0.6])
def test_value_loss_equals_the_specification(dtype: torch.dtype, clip: float, huber: float) -> None:
    value, old, returns, weight = steps(dtype)
    stats = check_value(value, old if clip else None, returns, weight, clip, huber)
    assert (stats.clip_frac > 0) == (clip > 0)
    for vector in (value, old, returns):
        vector[weight == 0] = torch.nan
    again = check_value(value, old if clip else None, returns, weight, clip, huber)
    assert all(torch.equal(a, b) for a, b in zip(stats, again, strict=True))
    value[1] = torch.nan
    assert torch.isnan(check_value(value, old if clip else None, returns, weight, clip, huber).error_abs_max)


@DTYPES
def test_value_loss_halves_the_gradient_where_torch_does(dtype: torch.dtype) -> None:
    # In binary fractions old + (value - old) is value exactly, so that the clipped and the plain error tie; errors 0 and +-huber too.
    value = torch.tensor([0.5, 0.25, 1.0, 2.0, -1.0], dtype=dtype)
    old = torch.tensor([0.25, 0.25, 0.5, 1.0, 1.0], dtype=dtype)
    returns = torch.tensor([0.0, 0.25, 0.5, 2.5, 2.0], dtype=dtype)
    for clip, huber in itertools.product([0.0, 0.25, 1.0], [0.0, 0.5]):
        check_value(value, old, returns, torch.ones(5, dtype=dtype), clip, huber)


@DTYPES
def test_no_steps_no_tokens_and_no_weight_give_zeros(dtype: torch.dtype) -> None:
    none = torch.zeros(0, dtype=dtype)
    check_value(none, none, none, none, 0.1)
    check_ppo(none, none, torch.zeros(3, dtype=dtype), none.long(), none, none, ratio_guard=2.0)
    value, old, returns, weight = steps(dtype)
    check_value(value, old, returns, weight * 0, 0.1)
    logprob, old, advantages, index, weight, ref = tokens(dtype)
    coefficient, _ = check_ppo(logprob, old, advantages, index, weight * 0, ref, kl_coef=0.1)
    assert not coefficient.any()


def rollout(num_steps: int, num_columns: int, dtype: torch.dtype, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    reward, value, final = torch.randn(3, num_steps, num_columns, generator=generator, dtype=torch.float64).to(dtype)
    kind = torch.randint(8, (num_steps, num_columns), generator=generator)
    bootstrap = torch.randn(num_columns, generator=generator, dtype=torch.float64).to(dtype)
    return reward, value, bootstrap, kind % 4 == 0, kind % 4 == 1, final


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000), num_steps=st.integers(0, 12), num_columns=st.integers(0, 40), gamma=st.floats(0, 1),
    lam=st.floats(0, 1), has_final=st.booleans(),
)  # fmt: skip
def test_gae_equals_the_specification_in_both_forms(seed, num_steps, num_columns, gamma, lam, has_final) -> None:
    reward, value, bootstrap, terminated, truncated, final = rollout(num_steps, num_columns, torch.float64, seed)
    final = final if has_final else None
    given = (reward, value, bootstrap, terminated, truncated)
    theirs = reference.generalized_advantage_estimate(*given, gamma=gamma, lam=lam, final_value=final)
    for ours, wanted in zip(cpp_vectors.gae(*given, final, None, gamma, lam), theirs, strict=True):
        close(ours, wanted)
    flat = [x.T.flatten() if x is not None else None for x in (reward, value, terminated, truncated, final)]
    offsets = torch.arange(num_columns + 1) * num_steps
    ours = cpp_vectors.gae(flat[0], flat[1], bootstrap, flat[2], flat[3], flat[4], offsets, gamma, lam)
    for mine, wanted in zip(ours, theirs, strict=True):
        close(mine, wanted.T.flatten())


def test_gae_of_ragged_segments_equals_the_specification() -> None:
    offsets = torch.tensor([0, 3, 3, 10, 11])
    reward, value, _, terminated, truncated, final = (
        x[:, 0] if x.dim() == 2 else x for x in rollout(11, 1, torch.float64)
    )
    bootstrap = torch.tensor([0.3, torch.nan, -0.4, 0.5], dtype=torch.float64)
    ours = cpp_vectors.gae(reward, value, bootstrap, terminated, truncated, final, offsets, 0.99, 0.95)
    theirs = reference.generalized_advantage_estimate(
        reward,
        value,
        bootstrap,
        terminated,
        truncated,
        gamma=0.99,
        lam=0.95,
        final_value=final,
        segment_offsets=offsets,
    )
    for mine, wanted in zip(ours, theirs, strict=True):
        close(mine, wanted)


def test_gae_accumulates_in_double() -> None:
    given = rollout(512, 19, torch.float32)
    ours, _ = cpp_vectors.gae(*given, None, 0.999, 0.99)
    exact, _ = reference.generalized_advantage_estimate(
        *(x.double() if x.is_floating_point() else x for x in given[:5]),
        gamma=0.999, lam=0.99, final_value=given[5].double(),
    )  # fmt: skip
    # One rounding at the end: at most half a unit in the last place of float32.
    assert bool(((ours.double() - exact).abs() <= exact.abs() * 2.0**-24 + 1e-40).all())


@pytest.mark.parametrize("columns", [1, 21])
def test_nan_behind_the_end_of_an_episode_leaves_no_trace(columns: int) -> None:
    reward, value, bootstrap, terminated, truncated, final = rollout(9, columns, torch.float64)
    terminated[4], truncated[4], truncated[6], terminated[6] = True, False, True, False
    reward[5], value[5], bootstrap[:] = torch.nan, torch.nan, torch.nan
    ours, _ = cpp_vectors.gae(reward, value, bootstrap, terminated, truncated, final, None, 0.9, 0.8)
    assert (
        bool(torch.isfinite(ours[:5]).all())
        and bool(torch.isnan(ours[5]).all())
        and bool(torch.isfinite(ours[6]).all())
    )


@pytest.mark.parametrize("offsets", [[0, 5], [1, 5, 9], [0, 6, 5, 9], [0, 5, 8], [0, 12, 9]])
def test_segment_offsets_that_do_not_partition_the_steps_raise(offsets: list[int]) -> None:
    reward, value, bootstrap, terminated, truncated, _ = rollout(9, 2, torch.float64)
    flat = [x[:, 0].contiguous() for x in (reward, value, terminated, truncated)]
    with pytest.raises(ValueError, match="segment offsets"):
        cpp_vectors.gae(flat[0], flat[1], bootstrap, flat[2], flat[3], None, torch.tensor(offsets), 0.9, 0.9)


@DTYPES
@pytest.mark.parametrize("count", [0, 1, 2, 3, 8, 203])
@pytest.mark.parametrize("unbiased", [True, False])
def test_whitening_equals_the_specification(dtype: torch.dtype, count: int, unbiased: bool) -> None:
    values = torch.randn(count, generator=torch.Generator().manual_seed(count), dtype=torch.float64).to(dtype) * 3 + 7
    for every in (1, 2, 4):
        mask = torch.arange(count) % every == 0
        poisoned = torch.where(mask, values, torch.nan)
        for vector in (values, poisoned):
            close(
                cpp_vectors.masked_whiten(vector, mask, unbiased, 1e-8),
                reference.masked_whiten(vector, mask, unbiased=unbiased, eps=1e-8),
            )


@DTYPES
def test_whitening_without_spread_gives_zeros_and_with_nan_nan(dtype: torch.dtype) -> None:
    mask = torch.tensor([[True, True, False], [True, False, True]])
    values = torch.full((2, 3), 0.1, dtype=dtype)
    assert not cpp_vectors.masked_whiten(values, mask, True, 1e-8).any()
    values[1, 0] = torch.nan
    close(cpp_vectors.masked_whiten(values, mask, True, 1e-8), reference.masked_whiten(values, mask))


_BYTES = """
import torch
from vldac.kernels import cpp_vectors
g = torch.Generator().manual_seed(3)
r = lambda *s: torch.randn(*s, generator=g)
logprob, old, ref, weight = r(100), r(100), r(100), r(100).abs()
index = torch.randint(9, (100,), generator=g)
out = [*cpp_vectors.ppo_clip_loss(logprob, old, r(9), index, weight, ref, .1, .1, .04, "k3", 5., 2., 20.)]
out += cpp_vectors.gae(r(7, 23), r(7, 23), r(23), r(7, 23) > 1, r(7, 23) > 1, r(7, 23), None, .9, .95)
print([x.view(torch.int32).tolist() for x in out])
"""


def test_every_instruction_set_gives_the_same_bytes() -> None:
    outputs = {
        subprocess.run(
            [sys.executable, "-P", "-c", _BYTES], env=os.environ | {"VLDAC_ISA": isa}, capture_output=True, text=True, check=True
        ).stdout
        for isa in (_core.isa_tiers()[0], _core.isa_tiers()[-1])
    }  # fmt: skip
    assert len(outputs) == 1
