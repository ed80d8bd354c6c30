"""`fused_linear_ppo_loss`, and finite differences through the whole chain pack -> log-prob -> loss."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from tests.kernels.backends import GRADIENT_ERROR, STEP_ERROR, Kernels, close, draw, draw_ids, norm_error

OPTIONS: dict[str, Any] = {"clip_low": 0.2, "clip_high": 0.3, "kl_coef": 0.1, "ratio_guard": 3.0}


def batch(kernels: Kernels, dtype: torch.dtype, steps: int = 3, length: int = 8) -> dict[str, Tensor]:
    """Padded hidden states [B, L, H] of three steps, and what the loss needs of them."""
    wide = torch.promote_types(dtype, torch.float32)
    hidden = draw(steps, length, 6, dtype=dtype)
    mask = torch.zeros(steps, length, dtype=torch.bool)
    mask[0, 2:6], mask[1, 5:6], mask[2, 1:8] = True, True, True
    rows, step_index, _ = kernels.pack_action_rows(hidden, mask)
    count = len(rows)
    weight = draw(19, 6, dtype=dtype, seed=1)
    target = draw_ids(count, 19, seed=2)
    target[target == 18] = 0
    logprob = torch.log_softmax(rows.to(wide) @ weight.to(wide).T, -1).gather(1, target[:, None])[:, 0]
    lengths = torch.bincount(step_index)
    return {
        "hidden": hidden, "mask": mask, "rows": rows, "weight": weight, "target": target, "step_index": step_index,
        "old_logprob": logprob + draw(count, dtype=wide, scale=0.3, seed=3), "advantages": draw(steps, dtype=wide, seed=4),
        "ref_logprob": logprob + draw(count, dtype=wide, scale=0.3, seed=5),
        "token_weight": (1.0 / (lengths[step_index] * steps)).to(wide),
    }  # fmt: skip


def arguments(data: dict[str, Tensor]) -> list[Tensor]:
    return [data[k] for k in ("weight", "target", "old_logprob", "advantages", "step_index", "token_weight")]


def test_the_chain_from_padded_hidden_states_to_the_loss_passes_finite_differences(kernels: Kernels) -> None:
    if torch.float64 not in kernels.dtypes or torch.float64 not in kernels.step_dtypes:
        pytest.skip(f"{kernels.name} takes no float64")
    data = batch(kernels, torch.float64)

    def loss(hidden: Tensor) -> Tensor:
        rows, step_index, _ = kernels.pack_action_rows(hidden, data["mask"])
        scored = kernels.linear_logprob(
            rows, data["weight"], data["target"], temperature=0.9, banned_ids=torch.tensor([18])
        )
        return kernels.ppo_clip_loss(
            scored.logprob, data["old_logprob"], data["advantages"], step_index, data["token_weight"],
            ref_logprob=data["ref_logprob"], **OPTIONS,
        )[0]  # fmt: skip

    hidden = data["hidden"].requires_grad_()
    assert torch.autograd.gradcheck(loss, (hidden,), atol=1e-6)
    (gradient,) = torch.autograd.grad(loss(hidden), hidden)
    used = torch.zeros_like(data["mask"])
    used[:, :-1] = data["mask"][:, 1:]
    assert not bool(gradient[~used].any()), "only the states before response tokens are scored"


def test_the_fused_loss_is_the_composition_of_its_parts(kernels: Kernels, dtype: torch.dtype) -> None:
    data = batch(kernels, dtype)
    wide = torch.promote_types(dtype, torch.float32)
    rows = data["rows"].clone().requires_grad_()
    options = {"temperature": 0.9, "banned_ids": torch.tensor([18])}
    loss, stats, logprob = kernels.fused_linear_ppo_loss(
        rows, *arguments(data), ref_logprob=data["ref_logprob"], **options, **OPTIONS
    )
    loss.backward()
    other = data["rows"].clone().requires_grad_()
    scored = kernels.linear_logprob(other, data["weight"], data["target"], **options).logprob
    expected, expected_stats = kernels.ppo_clip_loss(
        scored, data["old_logprob"], data["advantages"], data["step_index"], data["token_weight"],
        ref_logprob=data["ref_logprob"], **OPTIONS,
    )  # fmt: skip
    expected.backward()
    assert not logprob.requires_grad and data["weight"].grad is None
    close(loss, expected, STEP_ERROR[wide])
    close(logprob, scored, 1e-6)
    close(torch.stack(list(stats)), torch.stack(list(expected_stats)), 1e-5)
    assert norm_error(rows.grad, other.grad) <= GRADIENT_ERROR[dtype]


def test_the_gradient_equals_float64_autograd_through_everything(kernels: Kernels, dtype: torch.dtype) -> None:
    data = batch(kernels, dtype)
    rows = data["rows"].clone().requires_grad_()
    loss, _, _ = kernels.fused_linear_ppo_loss(rows, *arguments(data), temperature=0.9, clip_low=0.2, clip_high=0.3)
    loss.backward()
    exact = data["rows"].clone().double().requires_grad_()
    logits = exact @ data["weight"].double().T / 0.9
    logprob = logits.log_softmax(-1).gather(1, data["target"][:, None])[:, 0]
    ratio = (logprob - data["old_logprob"].double()).exp()
    advantage = data["advantages"].double()[data["step_index"]]
    surrogate = torch.minimum(ratio * advantage, ratio.clamp(0.8, 1.3) * advantage)
    expected = -(data["token_weight"].double() * surrogate).sum()
    expected.backward()
    close(loss, expected, 1e-3 if dtype in (torch.bfloat16, torch.float16) else 2e-5)
    assert norm_error(rows.grad, exact.grad) <= 2 * GRADIENT_ERROR[dtype]


def test_reference_hidden_states_are_scored_without_gradient_by_the_same_head(tier: Kernels) -> None:
    data = batch(tier, tier.wide)
    other = draw(*data["rows"].shape, dtype=tier.wide, seed=9).requires_grad_()
    ref = tier.linear_logprob(other.detach(), data["weight"], data["target"]).logprob
    losses = []
    for reference in ({"ref_hidden": other}, {"ref_logprob": ref}):
        rows = data["rows"].clone().requires_grad_()
        loss, stats, _ = tier.fused_linear_ppo_loss(rows, *arguments(data), **reference, kl_coef=0.2)
        loss.backward()
        losses.append((loss.detach(), stats.kl_ref_k3, rows.grad))
    assert other.grad is None
    for a, b in zip(*losses, strict=True):
        close(a, b, 1e-6)
    with pytest.raises(ValueError, match="both"):
        tier.fused_linear_ppo_loss(rows, *arguments(data), ref_hidden=other, ref_logprob=ref)


def test_an_empty_batch_gives_a_loss_of_zero_attached_to_the_graph(kernels: Kernels) -> None:
    hidden, weight = draw(2, 4, 6).requires_grad_(), draw(19, 6)
    rows, step_index, _ = kernels.pack_action_rows(hidden, torch.zeros(2, 4, dtype=torch.bool))
    none = torch.zeros(0)
    loss, _, logprob = kernels.fused_linear_ppo_loss(
        rows, weight, torch.zeros(0, dtype=torch.int64), none, torch.ones(2), step_index, none
    )
    loss.backward()
    assert loss.item() == 0.0 and logprob.shape == (0,)
    assert hidden.grad is not None and not bool(hidden.grad.any())


def test_a_masked_token_leaves_no_trace_from_its_hidden_state_to_the_loss(kernels: Kernels) -> None:
    """Masked twice over: an ignored target, and a weight of 0."""
    data = batch(kernels, kernels.wide)
    data["target"][4], data["token_weight"][4] = -100, 0.0
    results = []
    for poison in (0.0, torch.nan):
        rows = data["rows"].clone()
        rows[4] += poison
        rows.requires_grad_()
        loss, _, _ = kernels.fused_linear_ppo_loss(rows, *arguments(data), ref_logprob=data["ref_logprob"], kl_coef=0.1)
        loss.backward()
        results.append((loss.detach(), rows.grad))
    assert torch.equal(results[0][0], results[1][0]) and torch.equal(results[0][1], results[1][1])
    assert not bool(results[0][1][4].any())


def test_a_weight_of_zero_alone_keeps_a_row_that_is_not_finite_out_of_the_gradient(tier: Kernels) -> None:
    data = batch(tier, tier.wide)
    data["token_weight"][4] = 0.0
    rows = data["rows"].clone()
    rows[4] = torch.nan
    rows.requires_grad_()
    loss, _, _ = tier.fused_linear_ppo_loss(rows, *arguments(data))
    loss.backward()
    assert bool(torch.isfinite(loss)) and bool(torch.isfinite(rows.grad).all()) and not bool(rows.grad[4].any())
