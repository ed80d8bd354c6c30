"""Banned ids are never sampled, whatever the logits say, and the scorer uses the same set."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import hypothesis
import pytest
import torch
from hypothesis import strategies as st
from vldac.kernels.product import head_logits

from vldac.errors import SelfCheckError
from vldac.kernels import linear_logprob, sample_with_logprob
from vldac.model import VisionLanguageModel
from vldac.policy import Policy

EXTREMES = st.sampled_from([0.0, 1.0, -1.0, 50.0, 1e4, 3e38, -3e38])


def test_media_tokens_and_rows_without_a_string_are_banned_and_ends_are_not(model: VisionLanguageModel) -> None:
    banned = set(model.banned_ids().tolist())
    vocab = model.tokenizer.get_vocab()
    media = ("<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>", "<|im_start|>")
    assert {vocab[token] for token in media} <= banned
    rows = model.network.get_output_embeddings().weight.shape[0]
    assert rows > len(vocab)
    assert set(range(rows)) - set(vocab.values()) <= banned
    assert not banned & set(model.end_ids())
    assert len(model.end_ids()) == 2


@hypothesis.given(
    st.lists(EXTREMES, min_size=12, max_size=12), st.integers(0, 2**40), st.sampled_from([0.2, 1.0, 3.0]),
    st.sampled_from([0, 1, 3]), st.booleans(),
)  # fmt: skip
@hypothesis.settings(max_examples=200, deadline=None)
def test_banned_ids_are_never_sampled_from_adversarial_logits(
    values: list[float], seed: int, temperature: float, top_k: int, greedy: bool
) -> None:
    banned = torch.tensor([0, 3, 7, 11])
    logits = torch.tensor([values]).repeat(4, 1)
    logits[:, banned] = 3e38
    sampled = sample_with_logprob(
        logits, temperature=temperature, banned_ids=banned, top_k=top_k, seed=torch.arange(4) + seed,
        position=torch.zeros(4, dtype=torch.int64), greedy=greedy,
    )  # fmt: skip
    assert not bool(torch.isin(sampled.token, banned)[sampled.valid].any())
    assert bool((sampled.logprob_raw[sampled.valid] <= 1e-6).all())


@hypothesis.given(st.integers(0, 2**31), st.booleans())
@hypothesis.settings(
    max_examples=25, deadline=None, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture]
)
def test_a_head_that_wants_only_banned_ids_still_never_says_one(
    adversary: tuple[Policy, Any], seed: int, greedy: bool
) -> None:
    """Every banned row of the head is the final hidden state itself, scaled up: unbanned they would be certain."""
    policy, rows = adversary
    said = policy.act(
        rows.prompts, rows.features, seeds=torch.arange(4) + seed, max_new_tokens=4, temperature=1.0, greedy=greedy
    )
    ids = torch.cat(said.ids)
    assert not bool(torch.isin(ids, policy.banned_ids).any())
    with torch.no_grad():
        scored = policy(policy.collate(rows.prompts, said.ids, rows.features), temperature=1.0)
    assert float((torch.cat(said.logprob) - scored.logprob).abs().max()) < 1e-4


@pytest.fixture
def adversary(make_policy: Callable[..., Policy], make_rows: Any) -> tuple[Policy, Any]:
    policy = make_policy()
    rows = make_rows(policy)
    batch = policy.collate(rows.prompts, rows.responses, rows.features)
    with torch.no_grad():
        hidden = policy(batch, temperature=1.0).value_input.mean(0)
        policy.head_weight[policy.banned_ids] = 40.0 * hidden
    return policy, rows


def test_without_the_ban_the_adversarial_head_says_nothing_else(adversary: tuple[Policy, Any]) -> None:
    """The test above could fail: with an empty ban list the first token is a banned id."""
    policy, rows = adversary
    banned = policy.banned_ids
    policy.banned_ids = banned[:0]
    said = policy.act(rows.prompts, rows.features, seeds=torch.arange(4), max_new_tokens=1, temperature=1.0)
    assert bool(torch.isin(torch.cat(said.ids), banned).all())


def test_scored_probabilities_sum_to_one_over_the_ids_that_may_be_sampled(
    make_policy: Callable[..., Policy], make_rows: Any
) -> None:
    policy = make_policy()
    rows = make_rows(policy)
    allowed = [i for i in range(policy.head_weight.shape[0]) if i not in set(policy.banned_ids.tolist())]
    prompts, features = rows.prompts[:1] * len(allowed), rows.features[:1] * len(allowed)
    with torch.no_grad():
        batch = policy.collate(prompts, [torch.tensor([i]) for i in allowed], features)
        total = policy(batch, temperature=0.8).logprob.exp().sum()
    assert abs(float(total) - 1.0) < 1e-4


def test_logits_that_are_not_finite_stop_decoding(make_policy: Callable[..., Policy], make_rows: Any) -> None:
    policy = make_policy()
    rows = make_rows(policy)
    with torch.no_grad():
        policy.head_weight[70] = torch.nan
    with pytest.raises(SelfCheckError, match="finite logits"):
        policy.act(rows.prompts, rows.features, seeds=torch.arange(4), max_new_tokens=3, temperature=1.0)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_decoding_logits_equal_those_of_a_float32_copy_of_the_head(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    hidden, weight = torch.randn(5, 96).to(dtype), torch.randn(2500, 96).to(dtype)
    logits = head_logits(hidden, weight)
    assert logits.dtype == torch.float32
    torch.testing.assert_close(logits, hidden.float() @ weight.float().T, atol=1e-4, rtol=1e-6)


def test_sampler_and_scorer_see_the_same_logprobs_in_bfloat16() -> None:
    torch.manual_seed(0)
    hidden, weight = torch.randn(6, 96).bfloat16(), torch.randn(2500, 96).bfloat16()
    banned = torch.tensor([1, 2, 2499])
    sampled = sample_with_logprob(
        head_logits(hidden, weight), temperature=0.7, banned_ids=banned, seed=torch.arange(6), position=torch.zeros(6).long()
    )  # fmt: skip
    scored = linear_logprob(hidden, weight, sampled.token, temperature=0.7, banned_ids=banned)
    torch.testing.assert_close(sampled.logprob_raw, scored.logprob, atol=2e-5, rtol=0)


def test_decoding_never_makes_a_float32_copy_of_the_head() -> None:
    """The largest float32 tensor is a block of 1,024 rows or the logits, not [V, H]."""
    from torch.utils._python_dispatch import TorchDispatchMode

    largest = 0

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            nonlocal largest
            out = function(*args, **(kwargs or {}))
            if isinstance(out, torch.Tensor) and out.dtype == torch.float32:
                largest = max(largest, out.numel())
            return out

    hidden, weight = torch.randn(2, 64).bfloat16(), torch.randn(20_000, 64).bfloat16()
    with Watch():
        head_logits(hidden, weight)
    assert largest == 1024 * 64


def test_end_tokens_stop_a_row_and_are_part_of_its_response(make_policy: Callable[..., Policy], make_rows: Any) -> None:
    policy = make_policy()
    rows = make_rows(policy)
    said = policy.act(rows.prompts * 8, rows.features * 8, seeds=torch.arange(32), max_new_tokens=40, temperature=1.5)
    ends = set(policy.end_ids.tolist())
    assert 0 < said.has_end.sum() < 32
    for ids, has_end in zip(said.ids, said.has_end, strict=True):
        inner = set(ids[:-1].tolist())
        assert not inner & ends
        assert (int(ids[-1]) in ends) == bool(has_end)
        assert has_end or len(ids) == 40
