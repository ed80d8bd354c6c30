"""The torch operators `vldac::*`: schema, fake and derivative agree; one node each under torch.compile; nothing reads the device."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from torch import Tensor

import vldac.kernels  # noqa: F401 (defines the operators)
from tests.kernels.backends import Kernels, draw, draw_ids

N, H, V, S = 7, 8, 37, 3


def rows(leaf: bool = True) -> tuple[Tensor, Tensor, Tensor]:
    return draw(N, H).requires_grad_(leaf), draw(V, H, seed=1), draw_ids(N, V)


def steps() -> list[Tensor]:
    return [draw(S, seed=5), draw_ids(N, S, seed=6), torch.full((N,), 1 / N)]


def operator_calls(backend: str) -> list[tuple[str, tuple[Any, ...]]]:
    """One or two calls of every operator, with and without its optional tensors."""
    hidden, weight, target = rows()
    frozen, trainable = hidden.detach(), weight.clone().requires_grad_()
    one, bias = torch.ones(1), draw(V, seed=2)
    lse, entropy, upstream = draw(N, seed=3), draw(N, seed=4).abs(), draw(N, seed=7)
    logits = draw(N, V, seed=8)
    flags = torch.zeros(6, 2, dtype=torch.bool)
    key = torch.arange(N)
    old, ref = draw(N, seed=9), draw(N, seed=10)
    loss = (0.1, 0.2, 0.05, "k3", 3.0, 0.0, 20.0, backend)
    value = draw(S).requires_grad_()
    matrix, heads = draw(N, H, seed=11), draw(N, 2, H, seed=12)
    cache, prefix, query = draw(3, 5, 1, 16, seed=14), draw(4, 1, 16, seed=15), draw(N, 2, 16, seed=16)
    offsets = torch.tensor([0, 3, N], device="cpu")
    rows_of = draw(N, 1, 16, seed=17), draw(N, 1, 16, seed=18)
    packed = [t.clone().requires_grad_() for t in (query, *rows_of)]
    leaf, angles = matrix.clone().requires_grad_(), draw(N, H // 2, seed=13)
    return [
        ("scale_rows", (frozen, upstream)),
        ("scale", (upstream, torch.tensor(2.0))),
        ("linear_logprob", (hidden, weight, target, None, one, 0.0, -100, True, 0, False, backend)),
        ("linear_logprob", (frozen, weight, target, bias, torch.linspace(0.5, 2, N), 3.0, -100, False, 2, True, backend)),
        ("linear_logprob_recompute", (hidden, trainable, target, bias.clone().requires_grad_(), one, 0.0, -100, 0, False, backend)),
        ("linear_logprob_backward", (upstream, entropy, frozen, weight, target, bias, one, 0.0, -100, lse, entropy,
                                     True, True, True, 0, backend)),
        ("linear_logprob_backward", (upstream, None, frozen, weight, target, None, one, 0.0, -100, lse, entropy,
                                     True, False, False, 3, backend)),
        ("selective_log_softmax", (logits.clone().requires_grad_(), target, None, one, -100, False, backend)),
        ("selective_log_softmax", (logits, target, bias, torch.linspace(0.5, 2, N), -100, False, backend)),
        ("selective_log_softmax_backward", (upstream, None, logits, target, None, one, -100, lse, entropy, backend)),
        ("selective_log_softmax_backward_", (upstream, entropy, logits.clone(), target, bias, one, -100, lse, entropy, backend)),
        ("ppo_clip_loss", (old.clone().requires_grad_(), old, *steps(), ref, *loss)),
        ("ppo_clip_loss", (old, ref, *steps(), None, *loss)),
        ("value_loss", (value, draw(S, seed=1), draw(S, seed=2), torch.ones(S), 0.2, 0.5, 0.5, backend)),
        ("value_loss", (value, None, draw(S, seed=2), torch.ones(S), 0.0, 0.0, 0.5, backend)),
        ("gae", (draw(6, 2), draw(6, 2), draw(2), flags, flags, draw(6, 2), None, 0.9, 0.9, backend)),
        ("gae", (draw(6), draw(6), draw(2), flags[:, 0], flags[:, 1], None, torch.tensor([0, 2, 6]), 0.9, 0.9, backend)),
        ("masked_whiten", (draw(3, 4), draw(3, 4) > 0, True, 1e-8, backend)),
        ("rms_norm", (leaf, draw(H).requires_grad_(), 1e-6, backend)),
        ("rms_norm", (matrix, draw(H), 1e-6, backend)),
        ("rms_norm_backward", (frozen, matrix, draw(H), upstream, True, backend)),
        ("rms_norm_backward", (frozen, matrix, draw(H), upstream, False, backend)),
        ("swiglu", (leaf, frozen, backend)),
        ("swiglu_backward", (frozen, matrix, frozen, backend)),
        ("rotary", (heads.clone().requires_grad_(), angles, angles, False, backend)),
        ("rotary", (heads, angles, angles, True, backend)),
        ("prefix_attention", (*packed, prefix.clone().requires_grad_(), prefix, offsets, offsets, 0.3, backend)),
        ("prefix_attention", (query, rows_of[0], rows_of[1], None, None, offsets, offsets, 0.3, backend)),
        ("prefix_attention_backward", (query, query, *rows_of, prefix, prefix, offsets, offsets, 0.3, query, draw(N, 2, seed=19),
                                       backend)),
        ("prefix_attention_backward", (query, query, *rows_of, None, None, offsets, offsets, 0.3, query, draw(N, 2, seed=19),
                                       backend)),
        ("slot_attention", (query, cache, cache, key[:N] % 3, key[:N] % 5 + 1, prefix, prefix, 0.3, backend)),
        ("slot_attention", (query, cache, cache, key[:N] % 3, key[:N] % 5 + 1, None, None, 0.3, backend)),
        ("sample", (logits, bias, one, None, None, 0.0, key, key, torch.zeros(N, dtype=torch.bool), backend)),
        ("sample", (logits, None, one, torch.full((N,), 5), torch.full((N,), 0.9), 0.1, key, key,
                    torch.ones(N, dtype=torch.bool), backend)),
    ]  # fmt: skip


TESTED = ("test_schema", "test_autograd_registration", "test_faketensor", "test_aot_dispatch_dynamic")


def test_every_operator_passes_opcheck(tier: Kernels) -> None:
    for name, arguments in operator_calls(tier.name):
        if name == "sample" and arguments[3] is not None and not tier.truncates:
            continue
        operator = getattr(torch.ops.vldac, name).default
        torch.library.opcheck(operator, arguments, test_utils=TESTED)


def test_the_calls_above_cover_every_operator() -> None:
    defined = {
        name.split("::")[1].split(".")[0]
        for name in torch._C._dispatch_get_all_op_names()
        if name.startswith("vldac::")
    }
    assert defined == {name for name, _ in operator_calls("torch")}


def public_calls() -> dict[str, tuple[Callable[..., Any], tuple[Tensor, ...]]]:
    """Each public function as a function of tensors, returning (a loss or None, tensors)."""
    hidden, weight, target = rows()
    logits = draw(N, V, seed=8).requires_grad_()
    advantages, index, token_weight = steps()
    old, ref = draw(N, seed=9), draw(N, seed=10)
    flags = draw(6, 2) > 1
    mask = torch.zeros(2, 5, dtype=torch.bool)
    mask[0, 2:4] = mask[1, 1] = True
    key = torch.arange(N)
    offsets = torch.tensor([0, 3, N], device="cpu")

    def linear(k: Kernels, h: Tensor, w: Tensor, t: Tensor, banned: Tensor, temperature: Tensor) -> Any:
        out = k.linear_logprob(h, w, t, temperature=temperature, softcap=4.0, banned_ids=banned, return_entropy=True)
        return out.logprob.sum(), (out.logprob, out.entropy)

    def trainable(k: Kernels, h: Tensor, w: Tensor, t: Tensor) -> Any:
        out = k.linear_logprob(h, w, t, return_entropy=True, entropy_grad=True)
        return (out.logprob + 0.1 * out.entropy).sum(), (out.logprob, out.entropy)

    def selective(k: Kernels, z: Tensor, t: Tensor) -> Any:
        out = k.selective_log_softmax(z, t, return_entropy=True, return_lse=True)
        return out.logprob.sum(), tuple(out)

    def ppo(k: Kernels, *tensors: Tensor) -> Any:
        loss, stats = k.ppo_clip_loss(*tensors[:5], ref_logprob=tensors[5], kl_coef=0.1, ratio_guard=5.0)
        return loss, tuple(stats)

    def value(k: Kernels, *tensors: Tensor) -> Any:
        loss, stats = k.value_loss(*tensors, clip=0.2)
        return loss, tuple(stats)

    def fused(k: Kernels, *tensors: Tensor) -> Any:
        loss, stats, logprob = k.fused_linear_ppo_loss(*tensors)
        return loss, (*stats, logprob)

    return {
        "linear_logprob": (linear, (hidden, weight, target % (V - 1), torch.tensor([V - 1]), torch.linspace(0.5, 2, N))),
        "linear_logprob, trainable head": (trainable, (hidden, weight.clone().requires_grad_(), target)),
        "selective_log_softmax": (selective, (logits, target)),
        "ppo_clip_loss": (ppo, (old.clone().requires_grad_(), old, advantages, index, token_weight, ref)),
        "value_loss": (value, (draw(S).requires_grad_(), draw(S, seed=1), draw(S, seed=2), torch.ones(S))),
        "fused_linear_ppo_loss": (fused, (hidden, weight, target, old, advantages, index, token_weight)),
        "generalized_advantage_estimate": (
            lambda k, *t: (None, k.generalized_advantage_estimate(*t, gamma=0.9, lam=0.8)),
            (draw(6, 2), draw(6, 2, seed=1), draw(2), flags, flags.flip(0)),
        ),
        "masked_whiten": (lambda k, *t: (None, (k.masked_whiten(*t),)), (draw(12), draw(12, seed=1) > 0)),
        "pack_action_rows": (
            lambda k, h, m, i: (k.pack_action_rows(h, m, row_index=i)[0].sum(), k.pack_action_rows(h, m, row_index=i)),
            (draw(2, 5, 4).requires_grad_(), mask, mask.flatten().nonzero()[:, 0]),
        ),
        "rms_norm": (
            lambda k, x, w: ((y := k.rms_norm(x, w, 1e-6)).square().sum(), (y,)),
            (draw(N, H).requires_grad_(), draw(H, seed=1)),
        ),
        "swiglu": (
            lambda k, *t: ((y := k.swiglu(*t)).square().sum(), (y,)),
            (draw(N, H).requires_grad_(), draw(N, H, seed=1).requires_grad_()),
        ),
        "apply_rotary": (
            lambda k, *t: ((y := k.apply_rotary(*t)).exp().sum(), (y,)),
            (draw(N, 2, H).requires_grad_(), draw(N, H // 2, seed=1), draw(N, H // 2, seed=2)),
        ),
        "prefix_attention": (
            lambda k, *t: ((y := k.prefix_attention(*t, offsets, scale=0.3)).square().sum(), (y,)),
            tuple(draw(*shape, 16, seed=i).requires_grad_() for i, shape in enumerate([(N, 2), (N, 1), (N, 1), (4, 1), (4, 1)])),
        ),
        "slot_attention": (
            lambda k, *t: (None, (k.slot_attention(*t, scale=0.3),)),
            (draw(N, 2, 16), *draw(2, 3, 5, 1, 16, seed=1), key % 3, key % 5 + 1, *draw(2, 4, 1, 16, seed=2)),
        ),
        "sample_with_logprob": (
            lambda k, z, s, p: (None, tuple(k.sample_with_logprob(z, temperature=0.9, seed=s, position=p))),
            (logits.detach(), key, key),
        ),
    }  # fmt: skip


def outputs(function: Callable[..., Any], arguments: tuple[Tensor, ...]) -> list[Tensor]:
    """What it returns, and the gradients of its loss."""
    leaves = [t.detach().clone().requires_grad_(t.requires_grad) for t in arguments]
    loss, results = function(*leaves)
    if loss is not None:
        loss.backward()
    gradients = [t.grad for t in leaves if t.requires_grad]
    assert all(g is not None for g in gradients)
    return [t.detach() for t in results] + gradients


def test_a_compiled_graph_equals_eager_and_has_no_break(tier: Kernels) -> None:
    for name, (function, arguments) in public_calls().items():
        torch._dynamo.reset()

        def call(*tensors: Tensor, f: Callable[..., Any] = function) -> Any:
            return f(tier, *tensors)

        eager = outputs(call, arguments)
        compiled = outputs(torch.compile(call, fullgraph=True, backend="aot_eager"), arguments)
        for a, b in zip(compiled, eager, strict=True):
            assert torch.equal(a, b), name


def test_no_public_function_reads_a_tensor_of_the_device_on_the_host(tier: Kernels) -> None:
    """Tensors of the meta device have shapes and no values: .item(), a boolean index or a Python branch on one raises."""
    for name, (function, arguments) in public_calls().items():
        real = outputs(lambda *t, f=function: f(tier, *t), arguments)
        leaves = [t.detach().to("meta").requires_grad_(t.requires_grad) for t in arguments]
        loss, results = function(tier, *leaves)
        assert [(t.shape, t.dtype) for t in results] == [(t.shape, t.dtype) for t in real[: len(results)]], name
        assert all(t.is_meta for t in results), name
        if loss is not None:
            loss.backward()
            assert all(t.grad is not None and t.grad.shape == t.shape for t in leaves if t.requires_grad), name


def test_two_runs_are_equal_bit_for_bit(tier: Kernels) -> None:
    for name, (function, arguments) in public_calls().items():
        first, second = (outputs(lambda *t, f=function: f(tier, *t), arguments) for _ in range(2))
        assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True)), name


def test_two_threads_at_once_compute_what_one_computes_alone(tier: Kernels) -> None:
    if tier.is_interpreted:
        pytest.skip("the interpreter patches the language while a kernel runs: one thread at a time")
    calls = public_calls()
    expected = {name: outputs(lambda *t, f=f: f(tier, *t), arguments) for name, (f, arguments) in calls.items()}

    def work(_: int) -> dict[str, list[Tensor]]:
        return {name: outputs(lambda *t, f=f: f(tier, *t), arguments) for name, (f, arguments) in calls.items()}

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(work, range(10)))
    for results in found:
        for name, tensors in results.items():
            assert all(torch.equal(a, b) for a, b in zip(tensors, expected[name], strict=True)), name
