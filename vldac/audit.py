"""Start-up audit: the errors that every other trainer trains through in silence, caught before the first update.

Each check has a name; a run can waive it by name (`waive`), and the waiver is printed at start.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np
import torch

from vldac.batch import TokenBatch
from vldac.config import TrainConfig
from vldac.data import RolloutBatch
from vldac.errors import SelfCheckError
from vldac.kernels import linear_logprob, reference
from vldac.packing import Packing, Rows, until_it_fits
from vldac.padded import padded_hidden_states
from vldac.policy import Policy
from vldac.update import token_batch

CHECKS = (
    "value-gradient", "policy-gradient", "image-ablation", "mask", "decoder", "kernels", "first-ratio", "dropout",
    "truncated-sampling",
)  # fmt: skip
_ROWS = 8
_TOKENS = 64
"""Response tokens that are scored by the reference, too: it holds [tokens, V]."""
_TOLERANCE = {torch.float32: (1e-4, 1e-4), torch.bfloat16: (2e-3, 1e-2)}
"""By dtype of the weights: log-prob, absolute; gradient of the hidden states, relative in norm."""
_HIDDEN_TOLERANCE = {torch.float32: 2e-5, torch.bfloat16: 2e-2}
"""By dtype of the weights: relative difference of hidden states in norm, mean over the tokens, per root of the number of layers.
Measured with random weights, at 2 and at 8 layers: 4e-7 and 6e-3. Faults below bfloat16's rounding are seen in float32 alone."""
_WORST = 5.0
"""How much further than the mean one token may be."""


def start_audit(policy: Policy, batch: RolloutBatch, config: TrainConfig, packing: Packing) -> None:
    """Run every check that is not waived on a few steps of the first rollout, in passes that fit. Raises SelfCheckError."""

    def attempt() -> None:
        rows = packing.split(np.arange(len(batch))[:: max(1, len(batch) // _ROWS)][:_ROWS])[0]
        with packing.sized_pass(rows):
            _audit(policy, batch, rows, config)

    until_it_fits(attempt, packing.budget.shrink)


def _audit(policy: Policy, batch: RolloutBatch, rows: Rows, config: TrainConfig) -> None:
    if "mask" not in config.waive:
        check_mask(policy, batch, rows)
    if "dropout" not in config.waive:
        check_dropout(policy)
    tokens = token_batch(policy, batch, rows)
    if "value-gradient" not in config.waive or "policy-gradient" not in config.waive:
        check_gradients(policy, tokens, config)
    if "decoder" not in config.waive:
        check_decoder(policy, tokens)
    if "kernels" not in config.waive:
        check_kernels(policy, tokens, config)
    if "image-ablation" not in config.waive:
        check_images(policy, batch, rows, config)


def check_mask(policy: Policy, batch: RolloutBatch, rows: Rows) -> None:
    """The scored tokens are exactly the sampled ones, each behind its own prompt, and no placeholder was sampled."""
    tokens = token_batch(policy, batch, rows)
    sampled = torch.cat([batch.response(r) for r in rows])
    shared = 0 if tokens.prefix is None else len(tokens.prefix.ids)
    whole = torch.cat([part for r in rows for part in (batch.prompts[r].ids[shared:], batch.response(r)[:-1])])
    prompts_agree = tokens.prefix is None or all(
        torch.equal(batch.prompts[r].ids[:shared], tokens.prefix.ids) for r in rows
    )
    predicted_from = tokens.input_ids[tokens.keep].cpu()
    before = torch.cat([torch.cat([batch.prompts[r].ids[-1:], batch.response(r)[:-1]]) for r in rows])
    if not (
        torch.equal(tokens.targets.cpu(), sampled) and torch.equal(tokens.input_ids.cpu(), whole) and prompts_agree
        and torch.equal(predicted_from, before)
    ):  # fmt: skip
        raise SelfCheckError(
            expected="packed rows of prompt and response, scored at exactly the sampled tokens",
            got=f"{len(tokens.targets)} scored tokens for {len(sampled)} sampled ones, or other ids",
            where="batch collation",
            do="report this: the rows are shifted",
        )
    banned = torch.isin(sampled, policy.banned_ids.cpu())
    if bool(banned.any()):
        raise SelfCheckError(
            expected="no media placeholder and no id without a string among the sampled tokens",
            got=f"id {int(sampled[banned][0])}",
            where="sampler",
            do="report this: banned ids must never be sampled",
        )


def check_dropout(policy: Policy) -> None:
    """No dropout is active: it would make the ratio differ from 1 before any update."""
    for name, module in policy.named_modules():
        if isinstance(module, torch.nn.Dropout) and module.p > 0 and module.training:
            raise SelfCheckError(
                expected="no active dropout while sampling and scoring",
                got=f"p = {module.p} in training mode",
                where=name,
                do="set model.lora_dropout to 0, or waive the check 'dropout'",
            )


def check_gradients(policy: Policy, batch: TokenBatch, config: TrainConfig) -> None:
    """The value loss reaches the head and nothing else; the policy loss reaches every adapter tensor that can move."""
    adapters, head = policy.lora_parameters(), list(policy.value_head.named_parameters())
    evaluation = policy(batch, temperature=config.rollout.temperature)
    parameters = [p for _, p in adapters] + [p for _, p in head]
    names = [n for n, _ in adapters] + [f"value_head.{n}" for n, _ in head]
    value_gradients = torch.autograd.grad(
        ((evaluation.value - 1.0) ** 2).sum(), parameters, retain_graph=True, allow_unused=True
    )
    policy_gradients = torch.autograd.grad(evaluation.logprob.sum(), parameters, allow_unused=True)
    if "value-gradient" not in config.waive:
        leaks = [n for n, g in zip(names, value_gradients, strict=True) if not n.startswith("value_head") and _moves(g)]
        reached = [n for n, g in zip(names, value_gradients, strict=True) if n.startswith("value_head") and _moves(g)]
        if leaks or not reached:
            raise SelfCheckError(
                expected="a value gradient that is zero in the backbone and non-zero in the value head",
                got=f"leaks into {leaks[:3]}" if leaks else "no gradient in the value head",
                where="gradient audit",
                do="keep the stop-gradient before the value head",
            )
    if "policy-gradient" not in config.waive:
        # lora_A has a zero gradient while lora_B is zero (PEFT's initialisation): only a missing graph is a fault there.
        missing = [
            n
            for n, g in zip(names, policy_gradients, strict=True)
            if not n.startswith("value_head") and (g is None or ("lora_B" in n and not _moves(g)))
        ]
        if missing:
            raise SelfCheckError(
                expected="a policy gradient in every adapter tensor",
                got=f"none in {len(missing)} of {len(adapters)}: {missing[:3]}",
                where="gradient audit",
                do="check which modules the adapter targets and that nothing detaches the hidden states",
            )


def _moves(gradient: torch.Tensor | None) -> bool:
    return gradient is not None and bool(gradient.abs().max() > 0)


@torch.no_grad()
def check_decoder(policy: Policy, batch: TokenBatch) -> None:
    """Our own layers give the hidden states that transformers' forward pass of the same rows gives, through PEFT's adapter.

    A fresh adapter changes nothing, so that for this comparison it gets weights that act; it gets its own back afterwards.
    """
    adapters = [parameter for name, parameter in policy.lora_parameters() if "lora_B" in name]
    before, noise = [parameter.clone() for parameter in adapters], torch.Generator().manual_seed(0)
    try:
        for parameter in adapters:
            parameter.copy_(torch.randn(parameter.shape, generator=noise).mul_(0.02))
        ours, theirs = policy.hidden_states(batch).double(), padded_hidden_states(policy, batch).double()
    finally:
        for parameter, own in zip(adapters, before, strict=True):
            parameter.copy_(own)
    apart = (ours - theirs).norm(dim=-1) / theirs.norm(dim=-1)
    mean, worst = float(apart.mean()), float(apart.max())
    limit = _HIDDEN_TOLERANCE.get(policy.dtype, _HIDDEN_TOLERANCE[torch.bfloat16]) * len(policy.decoder.layers) ** 0.5
    if not (mean <= limit and worst <= _WORST * limit):
        raise SelfCheckError(
            expected=f"hidden states within {limit:.1e} of transformers' own forward pass (a token: {_WORST * limit:.1e}), relative",
            got=f"{mean:.1e} (worst {worst:.1e}) over {len(apart)} tokens of {batch.num_rows} rows",
            where=f"decoder layers of {policy.model_info.name!r}, {policy.dtype}",
            do='report this with the versions of torch, transformers and peft; the check "decoder" can be waived',
        )


def check_kernels(policy: Policy, batch: TokenBatch, config: TrainConfig) -> None:
    """The kernels that were chosen score the first batch as their specification does: log-probs, and the gradient they hand back."""
    with torch.no_grad():
        hidden = policy.hidden_states(batch)
        hidden = hidden if batch.row_index is None else hidden[batch.row_index]
    weight, target = policy.head_weight.detach(), batch.targets[:_TOKENS]
    options: dict[str, Any] = {"temperature": config.rollout.temperature, "banned_ids": policy.banned_ids}
    scored = []
    for score in (functools.partial(linear_logprob, backend=policy.kernels), reference.linear_logprob):
        rows = hidden[:_TOKENS].detach().requires_grad_()
        logprob = score(rows, weight, target, **options).logprob
        (gradient,) = torch.autograd.grad(logprob.sum(), rows)
        scored.append((logprob.detach(), gradient.double()))
    (ours, our_gradient), (theirs, their_gradient) = scored
    apart = float((ours - theirs).abs().max()) if len(target) else 0.0
    scale = float(their_gradient.norm())
    gradient_apart = float((our_gradient - their_gradient).norm()) / scale if scale > 0 else 0.0
    limit, gradient_limit = _TOLERANCE.get(weight.dtype, _TOLERANCE[torch.bfloat16])
    if not (apart <= limit and gradient_apart <= gradient_limit):
        raise SelfCheckError(
            expected=f"log-probs within {limit:g} of the reference's, gradients within {gradient_limit:g} in norm",
            got=f"{apart:g} and {gradient_apart:g} on {len(target)} response tokens",
            where=f"kernels ({policy.kernel_choice})",
            do='set model.kernels "torch" and report this, or waive the check "kernels"',
        )


@torch.no_grad()
def check_images(policy: Policy, batch: RolloutBatch, rows: Rows, config: TrainConfig) -> None:
    """Replacing the images by noise must change the log-probs: otherwise the images never reach the model."""
    noise = np.random.Generator(np.random.PCG64(0))
    features = list(batch.features)
    for r in rows:
        frames = np.stack([noise.integers(0, 256, frame.shape, np.uint8) for frame in batch.frames(r)])
        features[r] = tuple(policy.encode_frames(frames))
    changed = dataclasses.replace(batch, features=features)
    own, other = (
        policy(token_batch(policy, some, rows), temperature=config.rollout.temperature).logprob
        for some in (batch, changed)
    )
    if float((own - other).abs().max()) < 1e-6:
        raise SelfCheckError(
            expected="log-probs that depend on the images",
            got="the same log-probs with the images replaced by noise",
            where="image ablation",
            do="check that pixel values reach the vision tower and that placeholders are filled",
        )
