"""`sample_with_logprob`: the distribution it draws from, what its noise depends on, truncation, ties, rows that cannot be sampled."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from vldac.kernels.reference import counter_uniform

from tests.kernels.backends import ENTROPY_ERROR, LOGPROB_ERROR, Kernels, close, draw, naive_rows

CHI_SQUARE_0001 = {0: 1e-9, 1: 10.83, 2: 13.82, 3: 16.27, 4: 18.47, 5: 20.52, 15: 37.70}
"""Exceeded by one correct sampler in a thousand, by degrees of freedom; seeds are fixed, so the tests do not flicker."""


def keys(count: int, start: int = 0) -> dict[str, Tensor]:
    return {"seed": torch.arange(start, start + count), "position": torch.zeros(count, dtype=torch.int64)}


def truncating(kernels: Kernels) -> Kernels:
    if not kernels.truncates:
        pytest.skip(f"the {kernels.name} sampler does not truncate")
    return kernels


def processed(logits: list[float], temperature: float = 1.0, banned: tuple[int, ...] = (), top_k: int = 0,
              top_p: float = 1.0, min_p: float = 0.0) -> list[float]:  # fmt: skip
    """Probabilities after temperature, banned ids, top-k, renormalisation, top-p and min-p, in Python floats."""
    weights = [0.0 if i in banned else math.exp(z / temperature) for i, z in enumerate(logits)]
    order = sorted(range(len(weights)), key=lambda i: (-weights[i], i))
    kept = [i for i in order[: top_k or None] if weights[i] > 0]
    total, before, final = sum(weights[i] for i in kept), 0.0, []
    for i in kept:
        share = weights[i] / total
        if not final or ((before < top_p or top_p >= 1) and share >= min_p * weights[kept[0]] / total):
            final.append(i)
        before += share
    total = sum(weights[i] for i in final)
    return [weights[i] / total if i in final else 0.0 for i in range(len(weights))]


def chi_square(token: Tensor, expected: list[float]) -> tuple[float, int]:
    """(statistic, degrees of freedom); ids of probability 0 must not occur."""
    observed = torch.bincount(token, minlength=len(expected)).tolist()
    assert all(o == 0 for o, e in zip(observed, expected, strict=True) if e == 0), observed
    likely = [(o, e * len(token)) for o, e in zip(observed, expected, strict=True) if e > 0]
    return sum((o - e) ** 2 / e for o, e in likely), len(likely) - 1


def test_tokens_follow_the_distribution_at_the_temperature_without_banned_ids(kernels: Kernels) -> None:
    count = kernels.sizes(20_000, 200)[0]
    logits = draw(1, 6, scale=1.5)
    for options in ({}, {"temperature": 0.7}, {"temperature": 1.6, "banned": (2, 5)}):
        banned = options.get("banned", ())
        out = kernels.sample_with_logprob(
            logits.expand(count, -1), temperature=options.get("temperature", 1.0),
            banned_ids=torch.tensor(banned) if banned else None, **keys(count),
        )  # fmt: skip
        expected = processed(logits[0].tolist(), **options)
        statistic, freedom = chi_square(out.token, expected)
        assert statistic < CHI_SQUARE_0001[freedom]
        close(out.logprob_raw, torch.tensor([math.log(expected[t]) for t in out.token.tolist()]), 1e-5)
        assert torch.equal(out.logprob_raw, out.logprob_processed) and bool(out.valid.all())


TRUNCATIONS: list[dict[str, Any]] = [
    {"top_k": 4}, {"top_p": 0.5}, {"top_p": 0.8}, {"min_p": 0.3}, {"top_k": 3, "top_p": 0.5, "temperature": 1.3},
    {"top_k": 5, "top_p": 0.85, "min_p": 0.2, "banned": (0,)}, {"top_k": 1}, {"top_p": 0.0}, {"top_k": 99}, {"min_p": 1.0},
]  # fmt: skip


def test_truncated_tokens_follow_the_processed_distribution_and_both_log_probs_say_their_own(kernels: Kernels) -> None:
    count = truncating(kernels).sizes(8_000, 200)[0]
    logits = torch.tensor([[1.0, 0.5, 0.9, -1.0, 0.2, -0.3]])
    for options in TRUNCATIONS:
        options = dict(options)
        expected = processed(logits[0].tolist(), **options)
        raw = processed(logits[0].tolist(), options.get("temperature", 1.0), options.get("banned", ()))
        banned = options.pop("banned", ())
        out = kernels.sample_with_logprob(
            logits.expand(count, -1), banned_ids=torch.tensor(banned) if banned else None, **options, **keys(count)
        )
        statistic, freedom = chi_square(out.token, expected)
        assert statistic < CHI_SQUARE_0001[freedom], options
        tokens = out.token.tolist()
        close(out.logprob_processed, torch.tensor([math.log(expected[t]) for t in tokens]), 1e-5, what=str(options))
        close(out.logprob_raw, torch.tensor([math.log(raw[t]) for t in tokens]), 1e-5, what=str(options))


def test_the_order_is_top_k_then_renormalise_then_top_p(kernels: Kernels) -> None:
    logits = torch.tensor([0.4, 0.3, 0.2, 0.1]).log().expand(300, -1)
    out = truncating(kernels).sample_with_logprob(logits, top_k=2, top_p=0.5, **keys(300))
    # 0.4 / 0.7 alone exceeds a half; without renormalising, 0.4 does not and id 1 would stay.
    assert out.token.tolist() == [0] * 300 and out.logprob_processed.tolist() == [0.0] * 300


def test_a_sample_depends_on_seed_and_position_and_on_nothing_else(kernels: Kernels) -> None:
    logits = draw(24, 50)
    key = {"seed": torch.arange(24) * 7919 - 5, "position": torch.arange(24) % 5}
    base = kernels.sample_with_logprob(logits, **key)
    again = kernels.sample_with_logprob(logits, **key)
    assert all(torch.equal(a, b) for a, b in zip(base, again, strict=True))
    order = torch.arange(24).flip(0).roll(5)
    moved = kernels.sample_with_logprob(logits[order], **{k: v[order] for k, v in key.items()})
    assert torch.equal(moved.token, base.token[order])
    for row in (0, 9, 23):
        at = slice(row, row + 1)
        alone = kernels.sample_with_logprob(logits[at], **{k: v[at] for k, v in key.items()})
        assert int(alone.token) == int(base.token[row])
        close(alone.logprob_raw, base.logprob_raw[at], 1e-6)
    same = logits[:1].expand(200, -1)
    by_seed = kernels.sample_with_logprob(same, **keys(200)).token
    by_position = kernels.sample_with_logprob(
        same, seed=torch.zeros(200, dtype=torch.int64), position=torch.arange(200)
    ).token
    assert len(by_seed.unique()) > 10 and len(by_position.unique()) > 10 and not torch.equal(by_seed, by_position)


def test_consecutive_positions_and_neighbouring_seeds_are_independent(kernels: Kernels) -> None:
    """Pairs of draws over four equally likely ids: 16 cells, 15 degrees of freedom."""
    count = kernels.sizes(16_000, 200)[0]
    flat = torch.zeros(count, 4)
    zeros, numbers = torch.zeros(count, dtype=torch.int64), torch.arange(count)
    for seed, position in ((zeros + 12345, numbers), (numbers, zeros), (numbers * 2**40, zeros), (-numbers, zeros + 3)):
        token = kernels.sample_with_logprob(flat, seed=seed, position=position).token
        statistic, freedom = chi_square(token[0::2] * 4 + token[1::2], [1 / 16] * 16)
        assert statistic < CHI_SQUARE_0001[freedom]
    # seed s at position p + 1 is not seed s + 1 at position p.
    one = kernels.sample_with_logprob(flat, seed=numbers, position=zeros + 1).token
    other = kernels.sample_with_logprob(flat, seed=numbers + 1, position=zeros).token
    statistic, freedom = chi_square(one * 4 + other, [1 / 16] * 16)
    assert statistic < CHI_SQUARE_0001[freedom]


def test_tiers_draw_the_same_tokens_except_at_near_ties(kernels: Kernels) -> None:
    rows, vocab = 40, 97
    logits = draw(rows, vocab, scale=2.0)
    key = {"seed": torch.arange(rows) * 31 + 7, "position": torch.arange(rows)}
    out = kernels.sample_with_logprob(logits, temperature=0.9, **key)
    noise = -torch.log(-torch.log(counter_uniform(key["seed"], key["position"], vocab)))
    perturbed = torch.log_softmax(logits.double() / 0.9, -1) + noise
    best = perturbed.topk(2, -1)
    sure = best.values[:, 0] - best.values[:, 1] > 1e-4
    assert int(sure.sum()) >= rows - 2
    assert torch.equal(out.token[sure], best.indices[sure, 0])


def test_greedy_takes_the_lowest_id_among_ties(kernels: Kernels) -> None:
    logits = torch.zeros(3, 300)
    logits[1, [17, 200, 299]] = 4.0
    logits[2, 299] = 1e-3
    out = kernels.sample_with_logprob(logits, greedy=True, **keys(3))
    assert out.token.tolist() == [0, 17, 299]
    close(out.logprob_raw, logits.log_softmax(-1).gather(1, out.token[:, None])[:, 0], 1e-5)
    mixed = kernels.sample_with_logprob(logits[:1].expand(60, -1), greedy=torch.arange(60) % 2 == 0, **keys(60)).token
    assert mixed[::2].tolist() == [0] * 30 and len(mixed[1::2].unique()) > 20


def test_top_k_of_one_takes_the_lowest_id_among_ties(kernels: Kernels) -> None:
    logits = torch.zeros(50, 40)
    logits[:, [11, 30]] = 1.0
    out = truncating(kernels).sample_with_logprob(logits, top_k=1, **keys(50))
    assert out.token.tolist() == [11] * 50
    out = kernels.sample_with_logprob(logits, top_p=0.0, **keys(50))
    assert out.token.tolist() == [11] * 50


def test_options_that_cut_nothing_change_nothing(kernels: Kernels) -> None:
    logits = draw(60, 30)
    base = kernels.sample_with_logprob(logits, **keys(60))
    for options in ({"top_k": 30}, {"top_k": 10_000}, {"top_k": torch.zeros(60, dtype=torch.int64)},
                    {"top_p": torch.ones(60)}, {"min_p": 1e-30}):  # fmt: skip
        out = truncating(kernels).sample_with_logprob(logits, **options, **keys(60))
        assert torch.equal(out.token, base.token), options
        close(out.logprob_processed, base.logprob_raw, 1e-5, what=str(options))


def test_options_per_row_equal_one_call_per_row(kernels: Kernels) -> None:
    logits = draw(8, 30, scale=2.0)
    options: dict[str, Tensor] = {"temperature": torch.linspace(0.5, 2.0, 8), "greedy": torch.arange(8) % 3 == 0}
    if kernels.truncates:
        options |= {"top_k": torch.tensor([0, 1, 2, 3, 5, 8, 30, 99]), "top_p": torch.linspace(0.2, 1.0, 8)}
    whole = kernels.sample_with_logprob(logits, **options, **keys(8, 3))
    for row in range(8):
        at = slice(row, row + 1)
        one = {name: value[row].item() for name, value in options.items()}
        part = kernels.sample_with_logprob(logits[at], **one, **keys(1, 3 + row))
        assert int(part.token) == int(whole.token[row])
        for name in ("logprob_raw", "logprob_processed", "entropy"):
            close(getattr(part, name), getattr(whole, name)[at], 1e-5, what=name)


def test_the_raw_log_prob_is_the_one_that_the_trainer_computes(kernels: Kernels, dtype: torch.dtype) -> None:
    """One definition: temperature and banned ids of the sampler, from the same logits."""
    logits, banned = draw(30, 64, dtype=dtype, scale=2.0), torch.tensor([0, 9])
    options = {"temperature": 0.8, "banned_ids": banned}
    if kernels.truncates:
        options["top_k"] = 5
    out = kernels.sample_with_logprob(logits, **options, **keys(30))
    scored = kernels.selective_log_softmax(logits, out.token, temperature=0.8, banned_ids=banned, return_entropy=True)
    logprob, entropy, _ = naive_rows((logits.double() / 0.8).index_fill(1, banned, -torch.inf), out.token)
    close(out.logprob_raw, logprob, LOGPROB_ERROR[dtype])
    close(out.logprob_raw, scored.logprob, LOGPROB_ERROR[dtype])
    close(out.entropy, entropy, ENTROPY_ERROR[dtype])
    if kernels.truncates:
        assert bool((out.logprob_processed > out.logprob_raw).all())
    assert bool((out.logprob_raw <= 0).all()) and bool((out.logprob_processed <= 0).all())


def test_rows_that_cannot_be_sampled_are_flagged_and_touch_no_other_row(kernels: Kernels) -> None:
    logits = draw(7, 20)
    clean = kernels.sample_with_logprob(logits, banned_ids=torch.tensor([4]), **keys(7))
    logits[1, 3], logits[2, 19], logits[3] = torch.nan, torch.inf, -torch.inf
    logits[5, :4] = logits[5, 5:] = -torch.inf  # only the banned id is left
    for greedy in (False, True):
        out = kernels.sample_with_logprob(logits, banned_ids=torch.tensor([4]), greedy=greedy, **keys(7))
        bad, good = [1, 2, 3, 5], [0, 4, 6]
        assert out.valid.tolist() == [i not in bad for i in range(7)]
        assert out.token[bad].tolist() == [0] * 4
        for name in ("logprob_raw", "logprob_processed"):
            assert bool(torch.isnan(getattr(out, name)[bad]).all()) and bool(
                torch.isfinite(getattr(out, name)[good]).all()
            )
        if not greedy:
            assert torch.equal(out.token[good], clean.token[good])


def test_banned_ids_are_never_drawn_even_where_their_logit_is_not_finite(kernels: Kernels) -> None:
    logits = draw(200, 8)
    logits[:, 3] = 1e4
    logits[100:, 3] = torch.nan
    out = kernels.sample_with_logprob(logits, banned_ids=torch.tensor([3]), **keys(200))
    assert bool(out.valid.all()) and not bool((out.token == 3).any())


def test_the_last_id_of_a_large_vocabulary_can_be_drawn(kernels: Kernels) -> None:
    for vocab in kernels.sizes(1, 2, 37, 127, 128, 129, 1000, 151_936):
        logits = torch.full((2, vocab), -torch.inf)
        logits[0, -1], logits[1, 0] = -3.0, 1e4
        out = kernels.sample_with_logprob(logits, **keys(2))
        assert out.token.tolist() == [vocab - 1, 0] and out.logprob_raw.tolist() == [0.0, 0.0]
        assert out.entropy.tolist() == [0.0, 0.0]
        flat = kernels.sample_with_logprob(torch.zeros(1, vocab), **keys(1))
        close(flat.logprob_raw, torch.tensor([-math.log(vocab)]), 2e-5)
        close(flat.entropy, torch.tensor([math.log(vocab)]), 5e-5)


def test_strides_and_an_empty_batch_are_taken_as_they_are(kernels: Kernels) -> None:
    logits = draw(9, 40)
    base = kernels.sample_with_logprob(logits, **keys(9))
    padded = torch.full((9, 64), torch.nan)
    padded[:, :40] = logits
    for other in (padded[:, :40], logits.T.contiguous().T):
        assert torch.equal(kernels.sample_with_logprob(other, **keys(9)).token, base.token)
    key = {"seed": torch.arange(18)[::2] // 2, "position": torch.zeros(1, dtype=torch.int64).expand(9)}
    assert torch.equal(kernels.sample_with_logprob(logits, **key).token, base.token)
    empty = kernels.sample_with_logprob(logits[:0], **keys(0))
    assert [len(field) for field in empty] == [0] * 5 and empty.token.dtype == torch.int64
