"""`generalized_advantage_estimate`: the recurrence against its definition as a sum, its scan form, its ends."""

from __future__ import annotations

import itertools
from typing import Any

import torch
from torch import Tensor

from tests.kernels.backends import Kernels, close, draw

GAE_ERROR = {torch.float64: 1e-12, torch.float32: 1e-5}
OPTIONS = {"gamma": 0.97, "lam": 0.9}


def rectangle(dtype: torch.dtype, steps: int = 12, envs: int = 5, *, ends: float = 0.3) -> dict[str, Tensor]:
    """[T, E] with terminations and truncations, sometimes both at once, and at the last step too."""
    generator = torch.Generator("cpu").manual_seed(11)
    flags = [(torch.rand(steps, envs, generator=generator, device="cpu") < ends / 2) for _ in range(2)]
    flags[0][2, 1] = flags[1][2, 1] = flags[0][-1, 0] = flags[1][-1, 1] = True
    terminated, truncated = (x.to(torch.get_default_device()) for x in flags)
    return {
        "reward": draw(steps, envs, dtype=dtype, seed=1), "value": draw(steps, envs, dtype=dtype, seed=2),
        "bootstrap": draw(envs, dtype=dtype, seed=3), "terminated": terminated, "truncated": truncated,
        "final_value": draw(steps, envs, dtype=dtype, seed=4),
    }  # fmt: skip


def run(kernels: Kernels, data: dict[str, Any], **options: Any) -> tuple[Tensor, Tensor]:
    data = {**OPTIONS, **data, **options}
    positional = [data.pop(name) for name in ("reward", "value", "bootstrap", "terminated", "truncated")]
    return kernels.generalized_advantage_estimate(*positional, **data)


def by_definition(data: dict[str, Tensor], gamma: float, lam: float) -> Tensor:
    """A_t = sum over k of (gamma lam)^k delta_{t + k}, as far as the episode goes, in float64."""
    reward, value, bootstrap, final = (data[k].double() for k in ("reward", "value", "bootstrap", "final_value"))
    terminated, truncated = data["terminated"], data["truncated"]
    steps, envs = reward.shape
    advantage = torch.zeros(steps, envs, dtype=torch.float64)
    for t, e in itertools.product(range(steps), range(envs)):
        for k in range(t, steps):
            ahead = value[k + 1, e] if k + 1 < steps else bootstrap[e]
            if truncated[k, e]:
                ahead = final[k, e]
            if terminated[k, e]:
                ahead = 0.0
            advantage[t, e] += (gamma * lam) ** (k - t) * (reward[k, e] + gamma * ahead - value[k, e])
            if terminated[k, e] or truncated[k, e]:
                break
    return advantage


def test_the_recurrence_equals_the_sum_of_discounted_errors(kernels: Kernels) -> None:
    for dtype in kernels.step_dtypes:
        data = rectangle(dtype)
        for gamma, lam in ((0.97, 0.9), (1.0, 1.0), (0.9, 0.0), (0.0, 0.5)):
            advantage, returns = run(kernels, data, gamma=gamma, lam=lam)
            expected = by_definition(data, gamma, lam)
            close(advantage, expected, GAE_ERROR[dtype], GAE_ERROR[dtype])
            close(returns, expected + data["value"].double(), GAE_ERROR[dtype], GAE_ERROR[dtype])
            assert advantage.dtype == returns.dtype == dtype


def test_the_recurrence_equals_its_scan_form(kernels: Kernels) -> None:
    """(a, b) o (c, d) = (a + b c, b d) over pairs (delta, gamma lam live), combined in a tree from the right."""
    data = rectangle(kernels.step_wide, steps=16)
    ahead = torch.cat([data["value"][1:], data["bootstrap"][None]])
    ahead = torch.where(data["truncated"], data["final_value"], ahead).masked_fill(data["terminated"], 0.0)
    a = data["reward"] + 0.97 * ahead - data["value"]
    b = torch.where(data["terminated"] | data["truncated"], torch.zeros_like(a), torch.full_like(a, 0.97 * 0.9))
    shift = 1
    while shift < 16:
        later_a = torch.cat([a[shift:], torch.zeros_like(a[:shift])])
        later_b = torch.cat([b[shift:], torch.ones_like(b[:shift])])
        a, b, shift = a + b * later_a, b * later_b, 2 * shift
    close(run(kernels, data)[0], a, GAE_ERROR[kernels.step_wide], GAE_ERROR[kernels.step_wide])


def test_lambda_one_gives_the_discounted_return_and_lambda_zero_the_one_step_error(kernels: Kernels) -> None:
    data = rectangle(kernels.step_wide, ends=0.0)
    data["terminated"] = torch.zeros_like(data["terminated"])
    data["truncated"] = torch.zeros_like(data["truncated"])
    total = data["bootstrap"]
    near = GAE_ERROR[kernels.step_wide]
    _, returns = run(kernels, data, lam=1.0)
    for t in reversed(range(12)):
        total = data["reward"][t] + 0.97 * total
        close(returns[t], total, near, near)
    ahead = torch.cat([data["value"][1:], data["bootstrap"][None]])
    close(run(kernels, data, lam=0.0)[0], data["reward"] + 0.97 * ahead - data["value"], near, near)


def test_a_termination_bootstraps_nothing_and_a_truncation_its_final_value(kernels: Kernels) -> None:
    one = torch.ones(1, 1, dtype=kernels.step_wide)
    no, yes = torch.zeros(1, 1, dtype=torch.bool), torch.ones(1, 1, dtype=torch.bool)
    base = {"reward": one, "value": 0.5 * one, "bootstrap": 100 * one[0], "final_value": 7 * one}
    for terminated, truncated, expected in (
        (yes, no, 0.5), (no, yes, 0.5 + 0.97 * 7), (yes, yes, 0.5), (no, no, 0.5 + 0.97 * 100),
    ):  # fmt: skip
        advantage, _ = run(kernels, base | {"terminated": terminated, "truncated": truncated})
        close(advantage, torch.tensor([[expected]]), 1e-5)
    without = {**base, "terminated": no, "truncated": yes, "final_value": None}
    close(run(kernels, without)[0], torch.tensor([[0.5]]), 1e-6)


def test_nothing_behind_a_cut_reaches_the_steps_before_it(kernels: Kernels) -> None:
    """Values and rewards behind an episode's end, and final values that no cut uses, are NaN: only a product lets them through."""
    data = rectangle(kernels.step_wide, envs=3)
    data["terminated"], data["truncated"] = torch.zeros(12, 3, dtype=torch.bool), torch.zeros(12, 3, dtype=torch.bool)
    data["terminated"][4, 0] = data["truncated"][6, 1] = data["terminated"][11, 2] = True
    expected, _ = run(kernels, data)
    broken = {k: v.clone() for k, v in data.items()}
    for name in ("reward", "value"):
        broken[name][5:, 0] = torch.nan
        broken[name][7:, 1] = torch.inf
    broken["bootstrap"][:] = torch.nan
    broken["final_value"][~data["truncated"]] = torch.nan
    advantage, returns = run(kernels, broken)
    for env, end in ((0, 5), (1, 7), (2, 12)):
        close(advantage[:end, env], expected[:end, env], 0.0)
        assert bool(torch.isfinite(returns[:end, env]).all())
    # A cut of both kinds is a termination: its final value is not looked at.
    data["truncated"][4, 0] = True
    data["final_value"][4, 0] = torch.nan
    close(run(kernels, data)[0], expected, 0.0)


def test_environments_do_not_touch_each_other(kernels: Kernels) -> None:
    data = rectangle(kernels.step_wide)
    whole = run(kernels, data)
    for env in range(5):
        column = {k: v[..., env : env + 1] for k, v in data.items()}
        for part, full in zip(run(kernels, column), whole, strict=True):
            close(part[:, 0], full[:, env], 1e-6 if kernels.step_wide == torch.float32 else 1e-14)


def flat(data: dict[str, Tensor], lengths: list[int]) -> dict[str, Tensor]:
    """The first lengths[e] steps of each environment, one after the other."""
    segments = {
        k: torch.cat([data[k][:n, e] for e, n in enumerate(lengths)])
        for k in ("reward", "value", "terminated", "truncated", "final_value")
    }
    offsets = torch.tensor([0, *itertools.accumulate(lengths)])
    return {**segments, "bootstrap": data["bootstrap"], "segment_offsets": offsets}


def test_flat_segments_equal_the_rectangle(kernels: Kernels) -> None:
    for dtype in kernels.step_dtypes:
        data = rectangle(dtype)
        whole = run(kernels, data)
        for both, part in zip(whole, run(kernels, flat(data, [12] * 5)), strict=True):
            close(part, both.T.flatten(), 1e-6 if dtype == torch.float32 else 1e-14)


def test_flat_segments_may_be_ragged_or_empty_and_do_not_leak(kernels: Kernels) -> None:
    data, lengths = rectangle(kernels.step_wide), [3, 0, 12, 1, 7]
    advantage, returns = run(kernels, flat(data, lengths))
    place = 0
    for env, length in enumerate(lengths):
        if length:
            column = {k: v[..., env : env + 1] for k, v in data.items()}
            column = {k: v[:length] if k != "bootstrap" else v for k, v in column.items()}
            alone = run(kernels, column)
            close(
                advantage[place : place + length], alone[0][:, 0], 1e-6 if kernels.step_wide == torch.float32 else 1e-14
            )
            close(
                returns[place : place + length], alone[1][:, 0], 1e-6 if kernels.step_wide == torch.float32 else 1e-14
            )
        place += length
    assert len(advantage) == place
    none = {k: v[:0] for k, v in flat(data, [0]).items()}
    none["segment_offsets"] = torch.zeros(1, dtype=torch.int64)
    assert run(kernels, none)[0].shape == run(kernels, none)[1].shape == (0,)


def test_strides_and_empty_rectangles_are_taken_as_they_are(kernels: Kernels) -> None:
    data = rectangle(kernels.step_wide)
    expected = run(kernels, data)
    strided = {k: (v.T.contiguous().T if v.dim() == 2 else v.repeat_interleave(2)[::2]) for k, v in data.items()}
    for a, b in zip(run(kernels, strided), expected, strict=True):
        assert torch.equal(a, b)
    for steps, envs in ((0, 3), (4, 0)):
        empty = {k: (v[:steps, :envs] if v.dim() == 2 else v[:envs]) for k, v in data.items()}
        advantage, returns = run(kernels, empty)
        assert advantage.shape == returns.shape == (steps, envs)


def test_a_long_episode_keeps_its_precision(kernels: Kernels) -> None:
    """A thousand steps with gamma = lam = 1 sum a thousand terms; float32 inputs, accumulated in float64 on the CPU."""
    data = rectangle(torch.float32, steps=1000, envs=2, ends=0.0)
    for name in ("terminated", "truncated"):
        data[name] = torch.zeros_like(data[name])
    advantage, _ = run(kernels, data, gamma=1.0, lam=1.0)
    total = data["reward"].double().flip(0).cumsum(0).flip(0) + data["bootstrap"].double() - data["value"].double()
    close(advantage, total, 1e-4, 1e-5)
