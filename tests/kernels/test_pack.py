"""`pack_action_rows`: one gather with the causal shift, and its adjoint."""

from __future__ import annotations

import pytest
import torch

from tests.kernels.backends import Kernels, draw


def test_a_token_is_scored_by_the_hidden_state_before_it(kernels: Kernels) -> None:
    hidden = torch.arange(24.0).reshape(2, 6, 2)
    mask = torch.tensor([[0, 0, 1, 1, 0, 1], [0, 1, 0, 0, 0, 0]], dtype=torch.bool)
    rows, step_index, position = kernels.pack_action_rows(hidden, mask)
    assert rows.tolist() == [[2.0, 3.0], [4.0, 5.0], [8.0, 9.0], [12.0, 13.0]]
    assert step_index.tolist() == [0, 0, 0, 1] and position.tolist() == [2, 3, 5, 1]


def test_a_row_index_from_the_packer_gives_the_same_rows(kernels: Kernels, dtype: torch.dtype) -> None:
    hidden, mask = draw(4, 9, 5, dtype=dtype), draw(4, 9, seed=1) > 0.3
    mask[:, 0] = False
    index = mask.flatten().nonzero()[:, 0]
    for ours, other in zip(
        kernels.pack_action_rows(hidden, mask), kernels.pack_action_rows(hidden, mask, row_index=index), strict=True
    ):
        assert torch.equal(ours, other)
    # A packer's own order is kept.
    back = kernels.pack_action_rows(hidden, mask, row_index=index.flip(0))
    assert torch.equal(back[0], kernels.pack_action_rows(hidden, mask)[0].flip(0))


def test_the_gradient_is_scattered_back_to_where_the_rows_came_from(kernels: Kernels) -> None:
    hidden = draw(3, 7, 4, dtype=torch.float64).requires_grad_()
    mask = draw(3, 7, seed=2) > 0
    mask[:, 0] = False
    rows, step_index, position = kernels.pack_action_rows(hidden, mask)
    upstream = draw(*rows.shape, dtype=torch.float64, seed=3)
    (rows * upstream).sum().backward()
    expected = torch.zeros_like(hidden)
    expected[step_index, position - 1] = upstream
    assert torch.equal(hidden.grad, expected)
    assert torch.autograd.gradcheck(lambda h: kernels.pack_action_rows(h, mask)[0], (hidden,))


def test_strides_of_hidden_states_do_not_matter(kernels: Kernels) -> None:
    hidden, mask = draw(4, 9, 10), draw(4, 9, seed=1) > 0.3
    mask[:, 0] = False
    rows = kernels.pack_action_rows(hidden, mask)[0]
    assert torch.equal(kernels.pack_action_rows(hidden.transpose(0, 1).contiguous().transpose(0, 1), mask)[0], rows)
    assert torch.equal(kernels.pack_action_rows(hidden[..., ::2], mask)[0], rows[:, ::2])


def test_an_empty_selection_stays_attached_to_the_graph(kernels: Kernels) -> None:
    hidden = draw(2, 4, 3).requires_grad_()
    rows, step_index, position = kernels.pack_action_rows(hidden, torch.zeros(2, 4, dtype=torch.bool))
    assert rows.shape == (0, 3) and step_index.shape == position.shape == (0,)
    rows.sum().backward()
    assert hidden.grad is not None and not bool(hidden.grad.any())


def test_a_response_without_a_prompt_token_raises(kernels: Kernels) -> None:
    with pytest.raises(ValueError, match="position 0"):
        kernels.pack_action_rows(draw(2, 4, 3), torch.ones(2, 4, dtype=torch.bool))
