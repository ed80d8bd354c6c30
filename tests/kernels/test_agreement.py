"""The tiers against the specification on random problems: option values, sizes and magnitudes that no one chose by hand."""

from __future__ import annotations

import random
from typing import Any

import torch
from torch import Tensor

from tests.kernels.backends import Kernels, close, draw, draw_ids, specification

SPECIFICATION = specification()
ROUNDS = 40


def losses(kernels: Kernels, leaf: Tensor, *rest: Any, operation: str, options: dict[str, Any]) -> list[Tensor]:
    """[loss, statistics, gradient] of ppo_clip_loss or value_loss."""
    leaf = leaf.detach().clone().requires_grad_()
    loss, stats = getattr(kernels, operation)(leaf, *rest, **options)
    loss.backward()
    return [loss.detach(), torch.stack(list(stats)), leaf.grad]


def test_tiers_equal_the_specification_of_the_losses_whatever_the_options(tier: Kernels) -> None:
    choose = random.Random(7).choice
    for seed in range(ROUNDS):
        dtype, tokens, steps, spread = (
            choose(tier.step_dtypes),
            choose((1, 7, 16, 33, 100)),
            choose((1, 3, 8)),
            choose((0.05, 0.5, 60.0)),
        )
        logprob, other, ref, advantages = (
            draw(size, dtype=dtype, scale=spread if i < 3 else 1.0, seed=4 * seed + i)
            for i, size in enumerate((tokens, tokens, tokens, steps))
        )
        weight = draw(tokens, dtype=dtype, seed=seed + 900).abs() * (draw(tokens, seed=seed + 950) > -0.5)
        poisoned = torch.where(weight == 0, torch.nan, other) if seed % 3 == 0 else other
        near = 1e-11 if dtype == torch.float64 else 1e-5
        ppo = {
            "ref_logprob": choose((None, ref)), "clip_low": choose((0.0, 0.1, 1.0)), "clip_high": choose((0.0, 0.3, 5.0)),
            "kl_coef": choose((0.0, 0.1, 2.0)), "kl_estimator": choose(("k1", "k2", "k3")),
            "ratio_guard": choose((None, 1.5, 10.0)), "dual_clip": choose((None, 1.5, 3.0)), "log_ratio_cap": choose((0.5, 20.0)),
        }  # fmt: skip
        value = {"clip": choose((None, 0.1, 1.0)), "huber": choose((None, 0.5, 2.0)), "coef": choose((0.5, 1.5))}
        for operation, rest, options in (
            ("ppo_clip_loss", (poisoned, advantages, draw_ids(tokens, steps, seed), weight), ppo),
            ("value_loss", (poisoned, ref, weight), value),
        ):
            ours = losses(tier, logprob, *rest, operation=operation, options=options)
            theirs = losses(SPECIFICATION, logprob, *rest, operation=operation, options=options)
            scale = max(1.0, float(theirs[2].abs().max()), abs(float(theirs[0])))
            what = f"{operation} {dtype} N={tokens} S={steps} spread={spread} {options}"
            close(ours[0] / scale, theirs[0] / scale, 10 * near, what=what)
            close(ours[2] / scale, theirs[2] / scale, near, what=what)
            close(ours[1], theirs[1], 1e-4, 1e-4, what=what)


def test_tiers_equal_the_specification_of_gae_and_whitening_at_any_size(tier: Kernels) -> None:
    choose = random.Random(8).choice
    for seed in range(ROUNDS):
        dtype, (steps, envs) = choose(tier.step_dtypes), choose(((1, 1), (5, 3), (17, 16), (64, 33), (3, 100)))
        reward, value, final = (draw(steps, envs, dtype=dtype, seed=5 * seed + i) for i in range(3))
        terminated, truncated = (draw(steps, envs, seed=5 * seed + i) > 1.0 for i in (3, 4))
        behind = terminated.roll(1, 0) & (torch.arange(steps)[:, None] > 0)
        reward = torch.where(behind & (draw(steps, envs, seed=seed) > 1), torch.nan, reward)
        data = [reward, value, draw(envs, dtype=dtype, seed=seed), terminated, truncated]
        options = {"gamma": 0.97, "lam": 0.9, "final_value": choose((None, final))}
        wide = [x.double() if x.is_floating_point() else x for x in data]
        exact = {k: v.double() if isinstance(v, Tensor) else v for k, v in options.items()}
        near = 1e-11 if dtype == torch.float64 else 1e-4
        for ours, theirs in zip(
            tier.generalized_advantage_estimate(*data, **options),
            SPECIFICATION.generalized_advantage_estimate(*wide, **exact),
            strict=True,
        ):
            close(ours, theirs, near, 1e-5, what=f"{dtype} {steps} x {envs}")
        if "masked_whiten" in tier.functions:
            values = (value + choose((0.0, 3.0))) * choose((1e-6, 1.0, 1e6))
            mask = draw(steps, envs, seed=seed + 50) > -0.3
            # eps is 1 % of a spread of 1e-6: the specification is given the same numbers.
            close(tier.masked_whiten(values, mask), SPECIFICATION.masked_whiten(values.double(), mask), 1e-4)
