"""The specification itself: against naive torch, finite differences, and properties that a broken version fails."""

import pytest
import torch

from vldac.kernels import (
    linear_logprob,
    masked_whiten,
    pack_action_rows,
    ppo_clip_loss,
    sample_with_logprob,
    value_loss,
)

torch.set_num_threads(1)


def problem(rows: int = 7, hidden: int = 5, vocab: int = 11, dtype: torch.dtype = torch.float64):
    torch.manual_seed(0)
    return (
        torch.randn(rows, hidden, dtype=dtype, requires_grad=True),
        torch.randn(vocab, hidden, dtype=dtype),
        torch.randint(vocab - 2, (rows,)),
    )


def test_linear_logprob_equals_naive_torch_with_gradient() -> None:
    hidden, weight, target = problem()
    banned = torch.tensor([9, 10])
    out = linear_logprob(hidden, weight, target, temperature=0.7, banned_ids=banned, return_entropy=True)
    logits = (hidden @ weight.T / 0.7).index_fill(1, banned, -torch.inf)
    naive = logits.log_softmax(-1).gather(1, target[:, None])[:, 0]
    torch.testing.assert_close(out.logprob, naive, atol=1e-12, rtol=0)
    upstream = torch.randn(len(target), dtype=torch.float64)
    (ours,) = torch.autograd.grad((out.logprob * upstream).sum(), hidden)
    (theirs,) = torch.autograd.grad((naive * upstream).sum(), hidden)
    torch.testing.assert_close(ours, theirs, atol=1e-12, rtol=0)
    assert out.entropy is not None and bool((out.entropy >= 0).all())


def test_linear_logprob_passes_gradcheck() -> None:
    hidden, weight, target = problem(rows=3)
    assert torch.autograd.gradcheck(lambda h: linear_logprob(h, weight, target, temperature=1.3).logprob, (hidden,))


def test_ignored_rows_leak_nothing() -> None:
    hidden, weight, target = problem()
    target[2] = -100
    poisoned = hidden.detach().clone()
    poisoned[2] = torch.nan
    poisoned.requires_grad_()
    out = linear_logprob(poisoned, weight, target).logprob
    out.sum().backward()
    assert out[2] == 0 and bool(torch.isfinite(out).all())
    assert bool((poisoned.grad[2] == 0).all())


def test_a_target_outside_the_vocabulary_raises() -> None:
    hidden, weight, target = problem()
    target[0] = 11
    with pytest.raises(IndexError, match=r"\[0, 11\)"):
        linear_logprob(hidden, weight, target)


def test_clipped_tokens_have_no_gradient_and_others_have() -> None:
    old = torch.zeros(4)
    logprob = torch.tensor([0.5, -0.5, 0.5, -0.5], requires_grad=True)
    advantages, index = torch.tensor([1.0, -1.0]), torch.tensor([0, 1, 1, 0])
    loss, stats = ppo_clip_loss(logprob, old, advantages, index, torch.full((4,), 0.25), clip_low=0.2, clip_high=0.2)
    loss.backward()
    # positive advantage, ratio too high: clipped; negative, ratio too low: clipped; the other two push back.
    assert (logprob.grad != 0).tolist() == [False, False, True, True]
    assert float(stats.clip_frac) == 1.0


def test_kl_term_is_zero_at_the_reference_and_positive_elsewhere() -> None:
    logprob, zero = torch.tensor([-1.0, -2.0]), torch.zeros(1)
    index, weight = torch.zeros(2, dtype=torch.int64), torch.full((2,), 0.5)
    at, _ = ppo_clip_loss(logprob, logprob, zero, index, weight, ref_logprob=logprob, kl_coef=1.0)
    off, _ = ppo_clip_loss(logprob, logprob, zero, index, weight, ref_logprob=logprob + 0.3, kl_coef=1.0)
    assert float(at) == 0.0
    assert float(off) == pytest.approx(2.718281828**0.3 - 0.3 - 1, abs=1e-6)


def test_ratio_guard_flips_the_whole_step() -> None:
    old, index = torch.zeros(2), torch.zeros(2, dtype=torch.int64)
    weight, advantage = torch.full((2,), 0.5), torch.tensor([-1.0])
    for ratio, guarded in ((9.9, False), (10.1, True)):
        logprob = torch.log(torch.tensor([ratio, 0.5]))
        loss, stats = ppo_clip_loss(logprob, old, advantage, index, weight, ratio_guard=10.0)
        assert bool(stats.guard_steps) is guarded
        assert float(loss) == pytest.approx((1.1 + 0.9) / 2 if guarded else (ratio + 0.9) / 2, rel=1e-5)


def test_value_loss_is_half_the_weighted_squared_error() -> None:
    value, returns, weight = torch.tensor([1.0, 2.0]), torch.tensor([0.0, 4.0]), torch.tensor([0.5, 0.5])
    assert float(value_loss(value, None, returns, weight)[0]) == 0.5 * (0.5 * 1 + 0.5 * 4)


def test_pack_shifts_by_one_and_refuses_a_response_without_prompt() -> None:
    hidden = torch.arange(12.0).reshape(2, 6, 1)
    mask = torch.tensor([[0, 0, 1, 1, 0, 0], [0, 1, 0, 0, 0, 0]], dtype=torch.bool)
    rows, step_index, position = pack_action_rows(hidden, mask)
    assert rows[:, 0].tolist() == [1.0, 2.0, 6.0]
    assert step_index.tolist() == [0, 0, 1] and position.tolist() == [2, 3, 1]
    with pytest.raises(ValueError, match="position 0"):
        pack_action_rows(hidden, torch.ones(2, 6, dtype=torch.bool))


def test_whitening_has_zero_mean_unit_spread_and_survives_no_spread() -> None:
    values, mask = torch.tensor([1.0, 2.0, 3.0, 99.0]), torch.tensor([True, True, True, False])
    white = masked_whiten(values, mask)
    assert float(white.sum()) == pytest.approx(0, abs=1e-6) and float(white[:3].std()) == pytest.approx(1, abs=1e-5)
    assert white[3] == 0
    assert masked_whiten(torch.ones(3), torch.ones(3, dtype=torch.bool)).tolist() == [0, 0, 0]


def test_sampling_follows_the_distribution_and_ignores_neighbours() -> None:
    torch.manual_seed(0)
    logits = torch.randn(1, 6)
    count = 40_000
    seed, position = torch.arange(count), torch.zeros(count, dtype=torch.int64)
    out = sample_with_logprob(logits.expand(count, -1), seed=seed, position=position)
    expected = logits.softmax(-1)[0] * count
    observed = torch.bincount(out.token, minlength=6)
    assert float(((observed - expected) ** 2 / expected).sum()) < 20.5  # chi-square, 5 degrees of freedom, 0.1 %
    alone = sample_with_logprob(logits, seed=seed[7:8], position=position[:1])
    assert int(alone.token) == int(out.token[7])
    assert float(alone.logprob_raw) == pytest.approx(float(logits.log_softmax(-1)[0, alone.token]), abs=1e-6)


def test_banned_ids_are_never_sampled_whatever_the_logits() -> None:
    logits = torch.zeros(500, 8)
    logits[:, 3] = 1e4
    out = sample_with_logprob(
        logits, banned_ids=torch.tensor([3]), seed=torch.arange(500), position=torch.zeros(500, dtype=torch.int64)
    )
    assert not bool((out.token == 3).any()) and bool(out.valid.all())


def test_rows_that_are_not_finite_are_flagged() -> None:
    logits = torch.zeros(3, 4)
    logits[0, 1], logits[1] = torch.nan, -torch.inf
    out = sample_with_logprob(logits, seed=torch.arange(3), position=torch.zeros(3, dtype=torch.int64))
    assert out.valid.tolist() == [False, False, True]
    assert out.token[:2].tolist() == [0, 0]
