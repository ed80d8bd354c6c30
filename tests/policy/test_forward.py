"""The policy's forward pass is the model's own, whatever the padding, the packing and the state that the model keeps."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from vldac.policy import Policy


def full_logits(policy: Policy, rows: Any, row: int) -> torch.Tensor:
    """Hugging Face's own forward pass of one row without any of our tensors but the ids: [tokens, vocabulary]."""
    from vldac.prompting import image_patches

    network = policy.network
    ids = torch.cat([rows.prompts[row].ids, rows.responses[row]])[None]
    inputs: dict[str, Any] = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    inputs["mm_token_type_ids"] = (ids == network.config.image_token_id).int()
    if rows.images[row]:
        own = list(rows.prompts[row].frames)
        patches, grid = image_patches(rows.frames[own], policy.model_info.spec)
        inputs |= {"pixel_values": patches, "image_grid_thw": torch.tensor([grid] * len(own))}
    with torch.no_grad():
        logits: torch.Tensor = network(**inputs).logits[0].float()
    return logits


def expected_logprob(policy: Policy, rows: Any, row: int, temperature: float) -> torch.Tensor:
    logits = full_logits(policy, rows, row) / temperature
    logits[:, policy.banned_ids] = -torch.inf
    response = rows.responses[row]
    at = logits[-len(response) - 1 : -1].log_softmax(-1)
    return at.gather(-1, response[:, None])[:, 0]


def batch_of(policy: Policy, rows: Any, chosen: list[int]) -> Any:
    return policy.collate(
        [rows.prompts[i] for i in chosen], [rows.responses[i] for i in chosen], [rows.features[i] for i in chosen]
    )


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_logprobs_equal_the_models_own_forward_pass(
    make_policy: Callable[..., Policy], make_rows: Any, temperature: float
) -> None:
    """Rows with one, two, no and three images in one right-padded batch, against each row alone through the model."""
    policy = make_policy()
    rows = make_rows(policy)
    with torch.no_grad():
        ours = policy(batch_of(policy, rows, [0, 1, 2, 3]), temperature=temperature).logprob
    theirs = torch.cat([expected_logprob(policy, rows, row, temperature) for row in range(4)])
    # Trunks of other shapes round otherwise: logits of about 30 have 2e-6 an ulp.
    torch.testing.assert_close(ours, theirs, atol=2e-5 / temperature, rtol=0)


def test_a_row_does_not_depend_on_its_neighbours_or_the_padding(
    make_policy: Callable[..., Policy], make_rows: Any
) -> None:
    policy = make_policy()
    rows = make_rows(policy)
    with torch.no_grad():
        together = policy(batch_of(policy, rows, [3, 1, 0, 2]), temperature=1.0)
        for place, row in enumerate([3, 1, 0, 2]):
            alone = policy(batch_of(policy, rows, [row]), temperature=1.0)
            part = together.logprob[together.step_index == place]
            torch.testing.assert_close(part, alone.logprob, atol=2e-5, rtol=0)
            torch.testing.assert_close(together.value[place], alone.value[0], atol=2e-5, rtol=0)


def test_decoding_and_scoring_agree(make_policy: Callable[..., Policy], make_rows: Any) -> None:
    """Left-padded cached decoding and right-padded scoring: ratio 1 within 1e-4, and equal values."""
    policy = make_policy()
    rows = make_rows(policy)
    said = policy.act(
        rows.prompts, rows.features, seeds=torch.arange(4), max_new_tokens=12, temperature=0.9
    )  # fmt: skip
    with torch.no_grad():
        scored = policy(policy.collate(rows.prompts, said.ids, rows.features), temperature=0.9)
    assert float((torch.cat(said.logprob) - scored.logprob).abs().max()) < 1e-4
    torch.testing.assert_close(said.value, scored.value, atol=2e-5, rtol=0)
    torch.testing.assert_close(policy.values(rows.prompts, rows.features), scored.value, atol=2e-5, rtol=0)
    assert float(scored.value.std()) > 1e-2
    entropy = torch.zeros(4).index_add(0, scored.step_index, scored.entropy)
    torch.testing.assert_close(said.entropy, entropy / torch.tensor([len(i) for i in said.ids]), atol=1e-4, rtol=0)


def test_a_sampled_response_does_not_depend_on_its_neighbours(
    make_policy: Callable[..., Policy], make_rows: Any
) -> None:
    policy = make_policy()
    rows = make_rows(policy)
    seeds = torch.tensor([7, 8, 9, 10])
    together = policy.act(rows.prompts, rows.features, seeds=seeds, max_new_tokens=10, temperature=1.0)
    for row in range(4):
        alone = policy.act(
            [rows.prompts[row]], [rows.features[row]], seeds=seeds[row : row + 1], max_new_tokens=10, temperature=1.0
        )
        assert torch.equal(alone.ids[0], together.ids[row])
        torch.testing.assert_close(alone.logprob[0], together.logprob[row], atol=2e-5, rtol=0)


def test_rows_that_end_early_do_not_disturb_the_others(make_policy: Callable[..., Policy], make_rows: Any) -> None:
    """With a third of the vocabulary as end tokens rows leave the batch at every length; all still score the same."""
    policy = make_policy()
    rows = make_rows(policy)
    policy.end_ids = torch.arange(0, policy.head_weight.shape[0], 3)
    prompts, features = rows.prompts * 4, rows.features * 4
    said = policy.act(prompts, features, seeds=torch.arange(16), max_new_tokens=12, temperature=1.0)
    assert len({len(ids) for ids in said.ids}) >= 4
    with torch.no_grad():
        scored = policy(policy.collate(prompts, said.ids, features), temperature=1.0)
    assert float((torch.cat(said.logprob) - scored.logprob).abs().max()) < 1e-4


def test_state_that_the_model_keeps_from_another_batch_does_not_matter(
    make_policy: Callable[..., Policy], make_rows: Any
) -> None:
    """Hugging Face models keep `rope_deltas` of the last batch; ours must be bit for bit the same before and after."""
    policy = make_policy()
    rows = make_rows(policy)
    batch = batch_of(policy, rows, [0, 1, 2, 3])

    def everything() -> list[torch.Tensor]:
        with torch.no_grad():
            scored = policy(batch, temperature=1.0)
        said = policy.act(rows.prompts, rows.features, seeds=torch.arange(4), max_new_tokens=6, temperature=1.0)
        return [scored.logprob, scored.value, *said.ids, *said.logprob]

    before = everything()
    for row in (1, 3):
        full_logits(policy, rows, row)
    assert policy.network.model.rope_deltas is not None
    policy.network.model.rope_deltas = torch.tensor([[1234]])
    assert all(torch.equal(a, b) for a, b in zip(before, everything(), strict=True))


def test_text_positions_in_place_of_the_image_positions_would_be_noticed(
    make_policy: Callable[..., Policy], make_rows: Any
) -> None:
    """What the model falls back to without positions (0, 1, 2, ... on all axes) changes the log-probs by far more than 1e-4."""
    policy = make_policy()
    rows = make_rows(policy)
    batch = batch_of(policy, rows, [0, 1, 3])
    with torch.no_grad():
        right = policy(batch, temperature=1.0).logprob
        text = torch.cat([torch.arange(n) for n in batch.layout.lengths.tolist()]).expand(3, -1)
        wrong = policy(dataclasses.replace(batch, positions=text), temperature=1.0).logprob
    assert float((right - wrong).abs().max()) > 1e-2


class LargestRows(TorchDispatchMode):
    """Records the largest number of rows of any tensor as wide as the vocabulary, views of the head apart."""

    def __init__(self, head: torch.Tensor) -> None:
        super().__init__()
        self.width, self.rows = head.shape[0], 0
        self.head = head.untyped_storage().data_ptr()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = function(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, (tuple, list)) else [out]:
            if not isinstance(tensor, torch.Tensor) or not tensor.dim() or tensor.shape[-1] != self.width:
                continue
            if tensor.untyped_storage().data_ptr() != self.head:
                self.rows = max(self.rows, tensor.numel() // self.width)
        return out


def test_no_tensor_of_logits_has_more_rows_than_a_chunk(make_policy: Callable[..., Policy], make_rows: Any) -> None:
    """1,400 response tokens, forward and backward: no [rows, vocabulary] tensor exceeds 1,024 rows (one chunk)."""
    policy = make_policy()
    rows = make_rows(policy)
    allowed = torch.tensor([i for i in range(64) if i not in set(policy.banned_ids.tolist())])
    responses = [allowed[torch.arange(350) % len(allowed)] for _ in range(4)]
    assert policy.head_weight.shape[0] not in (policy.hidden_size, 192, 64)
    with LargestRows(policy.head_weight) as watch:
        evaluation = policy(policy.collate(rows.prompts, responses, rows.features), temperature=1.0)
        evaluation.logprob.sum().backward()
    assert len(evaluation.logprob) == 1400
    assert 0 < watch.rows <= 1024


def test_decoding_makes_one_row_of_logits_per_response(make_policy: Callable[..., Policy], make_rows: Any) -> None:
    policy = make_policy()
    rows = make_rows(policy)
    with LargestRows(policy.head_weight) as watch:
        policy.act(rows.prompts, rows.features, seeds=torch.arange(4), max_new_tokens=4, temperature=1.0)
    assert watch.rows == 4
