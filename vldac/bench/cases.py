"""The operations that `vldac bench kernels` measures: inputs, each side as a function, and its error against float64.

Sides: `eager` is what one writes in torch without this library, `compiled` the same under torch.compile, the others are the tiers of
vldac.kernels by name. All answer the same question; inputs are float32 on the CPU, from a fixed seed.
Legend: N rows or tokens, V vocabulary, H hidden, S steps, T x E a rectangle of steps, B rows of a decode batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from vldac import kernels
from vldac.kernels import reference
from vldac.kernels.dispatch import KernelError, choose

Outputs = Mapping[str, Tensor]
Side = Callable[[], Outputs]
Sizes = dict[str, int]

_CHECKED_ROWS = 8
"""Rows whose float64 values are worked out: at V = 152,064 and H = 256 those of all 1,024 would take gigabytes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """Inputs of one size, and who solves it."""

    providers: dict[str, Side]
    errors: Callable[[Outputs], dict[str, float]]
    """outputs of a side to its errors by name"""
    skipped: dict[str, str] = field(default_factory=dict)
    """tiers that cannot run here, and why"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """An operation."""

    what: str
    build: Callable[[Sizes], Problem]
    small: Sizes
    """sizes at which every side takes milliseconds"""


def _tiers(make: Callable[[str], Side], *operations: str) -> tuple[dict[str, Side], dict[str, str]]:
    """(tier to its side, tier to why it is missing) for the tiers that run all the operations."""
    sides, skipped = {}, {}
    for backend in ("torch", "cpp"):
        try:
            for operation in operations:
                choose(operation, torch.device("cpu"), torch.float32, backend)
        except KernelError as error:
            skipped[backend] = error.got
        else:
            sides[backend] = make(backend)
    return sides, skipped


def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function under torch.compile, whose seconds of imports are spent at the first call."""
    made: list[Callable[..., Any]] = []

    def call(*tensors: Tensor) -> Any:
        if not made:
            made.append(torch.compile(function))
        return made[0](*tensors)

    return call


def _largest(ours: Tensor, exact: Tensor) -> float:
    return float((ours.detach().double() - exact).abs().max())


def _relative(ours: Tensor, exact: Tensor) -> float:
    return float((ours.detach().double() - exact).norm() / exact.norm().clamp_min(1e-300))


def _spread_rows(count: int) -> Tensor:
    rows: Tensor = torch.linspace(0, count - 1, min(count, _CHECKED_ROWS)).long().unique()
    return rows


def _row_errors(logits: Tensor, target: Tensor, outputs: Outputs, rows: Tensor) -> tuple[dict[str, float], Tensor]:
    """(errors of log-prob and entropy, onehot - p) of rows whose exact logits are given."""
    log_probs = logits.log_softmax(-1)
    probs = log_probs.exp()
    exact = {"logprob": log_probs.gather(-1, target[rows, None])[:, 0], "entropy": -(probs * log_probs).sum(-1)}
    found = {name: _largest(outputs[name][rows], value) for name, value in exact.items() if name in outputs}
    return found, -probs.scatter_add(-1, target[rows, None], -torch.ones_like(probs[:, :1]))


# -- selective_log_softmax ----------------------------------------------------------------------------------------------


def _eager_rows(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    log_probs = logits.log_softmax(-1)
    fixed = log_probs.detach()
    return log_probs.gather(-1, target[:, None])[:, 0], -(fixed.exp() * fixed).sum(-1)


def _selective(sizes: Sizes) -> Problem:
    torch.manual_seed(0)
    count, vocab = sizes["N"], sizes["V"]
    logits = (2 * torch.randn(count, vocab)).requires_grad_()
    target, upstream = torch.randint(vocab, (count,)), torch.randn(count)

    def with_backward(rows: Callable[[Tensor, Tensor], Any]) -> Side:
        def side() -> Outputs:
            logprob, entropy = rows(logits, target)[:2]
            (gradient,) = torch.autograd.grad(logprob, logits, upstream)
            return {"logprob": logprob, "entropy": entropy, "gradient": gradient}

        return side

    def tier(backend: str) -> Side:
        return with_backward(lambda z, y: kernels.selective_log_softmax(z, y, return_entropy=True, backend=backend))

    def errors(outputs: Outputs) -> dict[str, float]:
        rows = _spread_rows(count)
        found, delta = _row_errors(logits[rows].detach().double(), target, outputs, rows)
        exact = delta * upstream[rows, None].double()
        return found | {"gradient_relative": _relative(outputs["gradient"][rows], exact)}

    sides, skipped = _tiers(tier, "selective_log_softmax", "selective_log_softmax_backward")
    eager = {"eager": with_backward(_eager_rows), "compiled": with_backward(_compiled(_eager_rows))}
    return Problem(providers=eager | sides, errors=errors, skipped=skipped)


# -- linear_logprob -----------------------------------------------------------------------------------------------------


def _eager_head(hidden: Tensor, weight: Tensor, target: Tensor) -> Tensor:
    return (hidden @ weight.T).log_softmax(-1).gather(-1, target[:, None])[:, 0]


def _linear(sizes: Sizes) -> Problem:
    torch.manual_seed(0)
    count, vocab, width = sizes["N"], sizes["V"], sizes["H"]
    hidden = torch.randn(count, width, requires_grad=True)
    weight = torch.randn(vocab, width) * (2 / width**0.5)
    target, upstream = torch.randint(vocab, (count,)), torch.randn(count)

    def with_backward(score: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Side:
        def side() -> Outputs:
            logprob = score(hidden, weight, target)
            (gradient,) = torch.autograd.grad(logprob, hidden, upstream)
            return {"logprob": logprob, "gradient": gradient}

        return side

    def tier(backend: str) -> Side:
        return with_backward(lambda h, w, y: kernels.linear_logprob(h, w, y, backend=backend).logprob)

    def errors(outputs: Outputs) -> dict[str, float]:
        rows = _spread_rows(count)
        exact_weight = weight.double()
        found, delta = _row_errors(hidden[rows].detach().double() @ exact_weight.T, target, outputs, rows)
        exact = (delta @ exact_weight) * upstream[rows, None].double()
        return found | {"gradient_relative": _relative(outputs["gradient"][rows], exact)}

    sides, skipped = _tiers(tier, "linear_logprob")
    eager = {"eager": with_backward(_eager_head), "compiled": with_backward(_compiled(_eager_head))}
    return Problem(providers=eager | sides, errors=errors, skipped=skipped)


# -- sample_with_logprob ------------------------------------------------------------------------------------------------


def _eager_sample(logits: Tensor) -> tuple[Tensor, Tensor]:
    token = torch.multinomial(logits.softmax(-1), 1)
    return token, logits.log_softmax(-1).gather(-1, token)[:, 0]


def _sample(sizes: Sizes) -> Problem:
    torch.manual_seed(0)
    count, vocab = sizes["B"], sizes["V"]
    logits = 2 * torch.randn(count, vocab)
    seed, position = torch.arange(count), torch.full((count,), 17)

    def eager(draw: Callable[[Tensor], tuple[Tensor, Tensor]]) -> Side:
        def side() -> Outputs:
            token, logprob = draw(logits)
            return {"token": token[:, 0], "logprob": logprob}

        return side

    def tier(backend: str) -> Side:
        def side() -> Outputs:
            drawn = kernels.sample_with_logprob(logits, seed=seed, position=position, backend=backend)
            return {"token": drawn.token, "logprob": drawn.logprob_raw, "entropy": drawn.entropy}

        return side

    def errors(outputs: Outputs) -> dict[str, float]:
        rows = _spread_rows(count)
        return _row_errors(logits[rows].double(), outputs["token"], outputs, rows)[0]

    sides, skipped = _tiers(tier, "sample")
    plain = {"eager": eager(_eager_sample), "compiled": eager(_compiled(_eager_sample))}
    return Problem(providers=plain | sides, errors=errors, skipped=skipped)


# -- ppo_clip_loss ------------------------------------------------------------------------------------------------------

_CLIP, _KL_COEF = 0.1, 0.04


def _eager_loss(
    logprob: Tensor, old: Tensor, advantages: Tensor, index: Tensor, weight: Tensor, ref: Tensor
) -> tuple[Tensor, Tensor]:
    """The loss and the four metrics that a trainer cannot do without."""
    change, difference = logprob - old, ref - logprob
    ratio, advantage = change.exp(), advantages[index]
    surrogate = torch.minimum(ratio * advantage, ratio.clamp(1 - _CLIP, 1 + _CLIP) * advantage)
    kl = torch.expm1(difference) - difference
    fixed, total = ratio.detach(), weight.sum()
    metrics = [fixed, ((fixed - 1).abs() > _CLIP).to(weight.dtype), -change.detach(), kl.detach()]
    return (weight * (_KL_COEF * kl - surrogate)).sum(), torch.stack([(weight * m).sum() / total for m in metrics])


def _loss(sizes: Sizes) -> Problem:
    torch.manual_seed(0)
    count, steps = sizes["N"], max(1, sizes["N"] // 32)
    old = -torch.rand(count)
    logprob, ref = (old + 0.1 * torch.randn(count)).requires_grad_(), old + 0.1 * torch.randn(count)
    advantages, index = torch.randn(steps), torch.arange(count) % steps
    given = (old, advantages, index, torch.full((count,), 1 / count), ref)

    def with_backward(loss_of: Callable[..., Any]) -> Side:
        def side() -> Outputs:
            loss = loss_of(logprob, *given)[0]
            (gradient,) = torch.autograd.grad(loss, logprob)
            return {"loss": loss, "gradient": gradient}

        return side

    def tier(backend: str) -> Side:
        def ours(logprob: Tensor, old: Tensor, advantages: Tensor, index: Tensor, weight: Tensor, ref: Tensor) -> Any:
            return kernels.ppo_clip_loss(
                logprob, old, advantages, index, weight,
                ref_logprob=ref, clip_low=_CLIP, clip_high=_CLIP, kl_coef=_KL_COEF, backend=backend,
            )  # fmt: skip

        return with_backward(ours)

    def errors(outputs: Outputs) -> dict[str, float]:
        leaf = logprob.detach().double().requires_grad_()
        old, advantages, index, weight, ref = (x.double() if x.is_floating_point() else x for x in given)
        exact, _ = reference.ppo_clip_loss(
            leaf, old, advantages, index, weight,
            ref_logprob=ref, clip_low=_CLIP, clip_high=_CLIP, kl_coef=_KL_COEF,
        )  # fmt: skip
        (gradient,) = torch.autograd.grad(exact, leaf)
        return {
            "loss": _largest(outputs["loss"], exact.detach()),
            "gradient_relative": _relative(outputs["gradient"], gradient),
        }

    sides, skipped = _tiers(tier, "ppo_clip_loss")
    eager = {"eager": with_backward(_eager_loss), "compiled": with_backward(_compiled(_eager_loss))}
    return Problem(providers=eager | sides, errors=errors, skipped=skipped)


# -- generalized_advantage_estimate -------------------------------------------------------------------------------------

_GAMMA, _LAMBDA = 0.99, 0.95


def _eager_advantages(
    reward: Tensor, value: Tensor, bootstrap: Tensor, terminated: Tensor, truncated: Tensor, final: Tensor
) -> tuple[Tensor, Tensor]:
    """The usual loop over T, everything else over all steps or environments at once."""
    ahead = torch.where(truncated, final, torch.cat([value[1:], bootstrap[None]]))
    delta = reward + _GAMMA * ahead * ~terminated - value
    decay = _GAMMA * _LAMBDA * (~(terminated | truncated)).to(value.dtype)
    advantage, carry = torch.empty_like(value), torch.zeros_like(bootstrap)
    for t in range(len(value) - 1, -1, -1):
        carry = delta[t] + decay[t] * carry
        advantage[t] = carry
    return advantage, advantage + value


def _advantages(sizes: Sizes) -> Problem:
    torch.manual_seed(0)
    shape = (sizes["T"], sizes["E"])
    reward, value, final = torch.randn(3, *shape)
    kind = torch.randint(50, shape)
    given = (reward, value, torch.randn(shape[1]), kind == 0, kind == 1)

    def tier(backend: str) -> Side:
        def side() -> Outputs:
            advantage, returns = kernels.generalized_advantage_estimate(
                *given, gamma=_GAMMA, lam=_LAMBDA, final_value=final, backend=backend
            )
            return {"advantage": advantage, "returns": returns}

        return side

    def eager() -> Outputs:
        advantage, returns = _eager_advantages(*given, final)
        return {"advantage": advantage, "returns": returns}

    def errors(outputs: Outputs) -> dict[str, float]:
        exact = reference.generalized_advantage_estimate(
            *(x.double() if x.is_floating_point() else x for x in given),
            gamma=_GAMMA, lam=_LAMBDA, final_value=final.double(),
        )  # fmt: skip
        return {name: _largest(outputs[name], e) for name, e in zip(("advantage", "returns"), exact, strict=True)}

    sides, skipped = _tiers(tier, "gae")
    skipped["compiled"] = "torch.compile unrolls the loop over T: minutes"
    return Problem(providers={"eager": eager} | sides, errors=errors, skipped=skipped)


CASES: dict[str, Case] = {
    "selective_log_softmax": Case(
        what="log-prob and entropy from logits, forward and backward", build=_selective, small={"N": 4, "V": 64}
    ),
    "linear_logprob": Case(
        what="log-prob from hidden states and a frozen head, forward and backward", build=_linear,
        small={"N": 4, "V": 64, "H": 8},
    ),
    "sample_with_logprob": Case(
        what="a token and its log-prob (eager: softmax, multinomial, log_softmax, gather)", build=_sample,
        small={"B": 4, "V": 64},
    ),
    "ppo_clip_loss": Case(
        what="loss with KL and statistics, forward and backward", build=_loss, small={"N": 64}
    ),
    "generalized_advantage_estimate": Case(
        what="advantages and returns (eager: a loop over T)", build=_advantages, small={"T": 8, "E": 20}
    ),
}  # fmt: skip
"""By the name of the public function."""
