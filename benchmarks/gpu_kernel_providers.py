"""Who computes the log-prob of N response tokens from hidden states, and its gradient: the providers of `gpu_kernels.py`.

A provider builds, for one problem, a function that runs forward and backward of sum_i c_i logprob_i with a frozen head and returns
(logprob [N] or None, gradient of hidden [N, H]). Foreign packages are imported where they are installed; no code of theirs is here.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import inspect
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

Run = Callable[[], tuple[Tensor | None, Tensor]]
SEQUENCE = 64
"""tokens of a sequence, for losses that want sequences"""
POSITIONS = 8
"""scored positions per response token where all positions are scored, as the reference does"""


class Missing(Exception):
    """The provider cannot run here; the message says why."""


@dataclass(frozen=True)
class Problem:
    """N rows of one shape. coefficient [N] fp32: what the loss multiplies the log-probs with."""

    hidden: Tensor
    weight: Tensor
    target: Tensor
    coefficient: Tensor

    def leaf(self) -> Tensor:
        """hidden as something that wants a gradient."""
        return self.hidden.detach().requires_grad_()


@dataclass(frozen=True)
class Provider:
    """One way to compute it.

    block: "per-token" (log-probs come out, any loss), "forward" (scoring), "summed" (a summed cross-entropy only), "loss inside"
    (advantages go in; only the direction of the gradient compares), "ceiling". products: done, in units of P = 2 N H V.
    """

    name: str
    block: str
    products: float
    build: Callable[[Problem], Run]
    needs_cuda: bool = False
    is_compiled: bool = False
    """torch.compile: seconds per shape, so it runs on the main shapes only"""


def module(name: str, *bare: str) -> types.ModuleType:
    """Import a package; `bare` parents are made without running their __init__ (which would want a whole cluster's packages)."""
    try:
        for parent in bare:
            if parent not in sys.modules:
                spec = importlib.util.find_spec(parent)
                if spec is None or spec.submodule_search_locations is None:
                    raise Missing("not installed")
                shell = types.ModuleType(parent)
                shell.__path__ = list(spec.submodule_search_locations)
                sys.modules[parent] = shell
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        own = name.split(".")[0] == (error.name or "").split(".")[0]
        raise Missing("not installed" if own else f"not installed: {error.name}") from error
    except (ImportError, RuntimeError, AttributeError, OSError, ValueError, TypeError) as error:
        raise Missing(f"import fails: {type(error).__name__}: {str(error)[:120]}") from error


def differentiate(problem: Problem, logprob_of: Callable[[Tensor], Tensor]) -> Run:
    """Forward and backward of the per-token loss."""

    def run() -> tuple[Tensor | None, Tensor]:
        leaf = problem.leaf()
        logprob = logprob_of(leaf)
        (gradient,) = torch.autograd.grad((logprob * problem.coefficient).sum(), leaf)
        return logprob.detach(), gradient

    return run


def summed(problem: Problem, loss_of: Callable[[Tensor], Tensor]) -> Run:
    """Forward and backward of a summed cross-entropy."""

    def run() -> tuple[Tensor | None, Tensor]:
        leaf = problem.leaf()
        (gradient,) = torch.autograd.grad(loss_of(leaf), leaf)
        return None, gradient

    return run


class Jacobian(torch.autograd.Function):
    """logprob with the gradient row that a tier already formed."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, tier: types.ModuleType, problem: Problem, options: dict[str, Any]) -> Tensor:
        """Two products."""
        logprob, _, _, gradient = tier.linear_logprob(
            hidden, problem.weight, problem.target, None, torch.ones(1, device=hidden.device), 0.0, -100,
            needs_gradient=True, **{"chunk_rows": 0, "batch_invariant": False} | options,
        )  # fmt: skip
        ctx.save_for_backward(gradient)
        return logprob

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None, None, None]:
        """A row scaling."""
        (gradient,) = ctx.saved_tensors
        return gradient * upstream[:, None].to(gradient.dtype), None, None, None


def tier(name: str) -> types.ModuleType:
    """A tier of ours that can run on this machine's tensors."""
    return module(f"vldac.kernels.{name}")


def ours(name: str, problem: Problem, **options: Any) -> Run:
    """A tier's two-product form."""
    found = tier(name)
    if hasattr(found, "unavailable"):
        reason = found.unavailable(problem.hidden.device, problem.hidden.dtype)
        if reason is not None:
            raise Missing(reason)
    return differentiate(problem, lambda leaf: Jacobian.apply(leaf, found, problem, options))


def ours_fused_forward(problem: Problem) -> Run:
    """The fused head (one product, no gradient): its log-probs; no gradient comes back."""
    found = tier("triton_fused_tier")
    reason = found.unavailable(problem.hidden.device, problem.hidden.dtype)
    if reason is not None:
        raise Missing(reason)
    return forward_only(found, problem)


def ours_chunked_forward(problem: Problem) -> Run:
    """The chunked products without gradient: one product."""
    found = tier("triton_tier")
    reason = found.unavailable(problem.hidden.device, problem.hidden.dtype)
    if reason is not None:
        raise Missing(reason)
    return forward_only(found, problem)


def forward_only(found: types.ModuleType, problem: Problem) -> Run:
    """Scoring, as for old and reference log-probs."""
    temperature, nothing = torch.ones(1, device=problem.hidden.device), problem.hidden.new_empty(0)

    def run() -> tuple[Tensor | None, Tensor]:
        out = found.linear_logprob(
            problem.hidden, problem.weight, problem.target, None, temperature, 0.0, -100,
            needs_gradient=False, chunk_rows=0, batch_invariant=False,
        )  # fmt: skip
        return out[0], nothing

    return run


def our_public_function(problem: Problem) -> Run:
    """`vldac.kernels.linear_logprob` as a user calls it."""
    from vldac.kernels import linear_logprob

    if "backend" not in inspect.signature(linear_logprob).parameters:
        raise Missing("linear_logprob has no back ends in this version")
    return differentiate(problem, lambda leaf: linear_logprob(leaf, problem.weight, problem.target).logprob)


def two_products(problem: Problem) -> Run:
    """What cannot be saved: the two cuBLAS products of the same shapes, 16-bit output, buffers ready."""
    logits = problem.hidden.new_empty(len(problem.hidden), len(problem.weight))
    back = torch.empty_like(problem.hidden)
    torch.mm(problem.hidden, problem.weight.T, out=logits)
    logits.mul_(0.01)

    def run() -> tuple[Tensor | None, Tensor]:
        torch.mm(problem.hidden, problem.weight.T, out=logits)
        torch.mm(logits, problem.weight, out=back)
        return None, back[:0]

    return run


def rows_logprob(hidden: Tensor, weight: Tensor, target: Tensor) -> Tensor:
    """The plain way: 16-bit logits, fp32 log-softmax, gather."""
    return (hidden @ weight.T).float().log_softmax(-1).gather(-1, target[:, None])[:, 0]


def eager_rows(problem: Problem) -> Run:
    """Plain torch on the response rows."""
    return differentiate(problem, lambda leaf: rows_logprob(leaf, problem.weight, problem.target))


def eager_all(problem: Problem) -> Run:
    """Plain torch on all positions, POSITIONS for each response token, as the reference does."""
    needed = len(problem.hidden) * POSITIONS * len(problem.weight) * 18
    if problem.hidden.is_cuda and needed > torch.cuda.mem_get_info()[0]:
        raise Missing(f"would need about {needed / 2**30:.0f} GiB")
    return differentiate(problem, functools.partial(all_logprob, weight=problem.weight, target=problem.target))


def all_logprob(hidden: Tensor, weight: Tensor, target: Tensor) -> Tensor:
    """Every position scored, one in POSITIONS kept."""
    return rows_logprob(hidden.repeat_interleave(POSITIONS, 0), weight, target.repeat_interleave(POSITIONS))[
        ::POSITIONS
    ]


def compiled(problem: Problem, function: Callable[..., Tensor]) -> Run:
    """torch.compile of a plain function."""
    if function is all_logprob and problem.hidden.is_cuda:
        needed = len(problem.hidden) * POSITIONS * len(problem.weight) * 10
        if needed > torch.cuda.mem_get_info()[0]:
            raise Missing(f"would need about {needed / 2**30:.0f} GiB")
    torch._dynamo.reset()
    faster = torch.compile(function, dynamic=False)
    return differentiate(problem, lambda leaf: faster(leaf, problem.weight, problem.target))


def checkpointed(problem: Problem) -> Run:
    """Plain torch in chunks of 1024 rows, logits recomputed in the backward pass."""
    from torch.utils.checkpoint import checkpoint

    def logprob(leaf: Tensor) -> Tensor:
        parts = zip(leaf.split(1024), problem.target.split(1024), strict=True)
        return torch.cat([checkpoint(rows_logprob, h, problem.weight, y, use_reentrant=False) for h, y in parts])

    return differentiate(problem, logprob)


def trl_selective(problem: Problem) -> Run:
    """TRL's selective log-softmax on plain logits."""
    function = module("trl.trainer.utils").selective_log_softmax
    return differentiate(problem, lambda leaf: function((leaf @ problem.weight.T)[None], problem.target[None])[0])


def torch_linear_cross_entropy(problem: Problem) -> Run:
    """torch's own fused head (2.13 and later)."""
    function = getattr(torch.nn.functional, "linear_cross_entropy", None)
    if function is None:
        raise Missing("not in this torch")
    return differentiate(
        problem, lambda leaf: -function(leaf, problem.weight, problem.target, reduction="none").float()
    )


def liger_cross_entropy(problem: Problem) -> Run:
    """Liger's fused linear cross-entropy (Triton)."""
    function = module("liger_kernel.transformers.functional").liger_fused_linear_cross_entropy
    return summed(problem, lambda leaf: function(leaf, problem.weight, problem.target, reduction="sum"))


def liger_scaled(problem: Problem) -> Run:
    """Liger's per-token scaled cross-entropy."""
    function = module("liger_kernel.ops").LigerFusedLinearScaledCrossEntropyFunction

    def logprob(leaf: Tensor) -> Tensor:
        out = function.apply(leaf, problem.weight, problem.target)
        return -(out[0] if isinstance(out, tuple) else out).float()

    return differentiate(problem, logprob)


def liger_grpo(problem: Problem) -> Run:
    """Liger's chunked GRPO loss: one advantage per sequence of SEQUENCE tokens."""
    rows, width = problem.hidden.shape
    if rows % SEQUENCE:
        raise Missing(f"wants sequences of {SEQUENCE} tokens")
    loss = module("liger_kernel.chunked_loss").LigerFusedLinearGRPOLoss(beta=0.0, use_ref_model=False, loss_type="grpo")
    shape = (rows // SEQUENCE, SEQUENCE)
    mask, advantages = (
        torch.ones(shape, device=problem.hidden.device),
        torch.ones(shape[0], device=problem.hidden.device),
    )

    def run() -> tuple[Tensor | None, Tensor]:
        leaf = problem.leaf()
        value = loss(leaf.view(*shape, width), problem.weight, problem.target.view(shape), mask, advantages)
        (gradient,) = torch.autograd.grad(value[0] if isinstance(value, tuple) else value, leaf)
        return None, gradient

    return run


def cut_cross_entropy(problem: Problem, **options: Any) -> Run:
    """Apple's cut cross-entropy."""
    function = module("cut_cross_entropy").linear_cross_entropy
    return differentiate(
        problem, lambda leaf: -function(leaf, problem.weight, problem.target, reduction="none", **options).float()
    )


def verl_torch(problem: Problem) -> Run:
    """verl's chunked torch head."""
    bare = ("verl", "verl.utils", "verl.utils.experimental")
    head = module("verl.utils.experimental.torch_functional", *bare).FusedLinearForPPO()
    return differentiate(problem, lambda leaf: head(leaf, problem.weight, problem.target)[0].float())


def verl_triton(problem: Problem) -> Run:
    """verl's Triton head."""
    bare = ("verl", "verl.utils", "verl.utils.kernel")
    function = module("verl.utils.kernel.linear_cross_entropy", *bare).LinearCrossEntropy
    return differentiate(
        problem, lambda leaf: function.apply(leaf, problem.weight, problem.target, 1.0, "none")[0].float()
    )


def quack_chunked(problem: Problem) -> Run:
    """QuACK's chunked linear cross-entropy (CuTe)."""
    function = module("quack.linear_cross_entropy").chunked_linear_cross_entropy
    return summed(problem, lambda leaf: function(leaf, problem.weight, problem.target, reduction="sum"))


def quack_rows(problem: Problem) -> Run:
    """QuACK's cross-entropy row kernel on plain logits."""
    function = module("quack").cross_entropy
    return differentiate(
        problem, lambda leaf: -function(leaf @ problem.weight.T, problem.target, reduction="none").float()
    )


def providers() -> list[Provider]:
    """All of them; the order is that of the tables."""
    return [
        Provider("two products", "ceiling", 2, two_products),
        Provider("ours, triton", "per-token", 2, functools.partial(ours, "triton_tier")),
        Provider("ours, triton, batch-invariant", "per-token", 2, functools.partial(ours, "triton_tier", batch_invariant=True)),
        Provider("ours, torch", "per-token", 2, functools.partial(ours, "torch_tier")),
        Provider("ours, public function", "per-token", 2, our_public_function),
        Provider("ours, scoring, triton", "forward", 1, ours_chunked_forward),
        Provider("ours, scoring, triton_fused", "forward", 1, ours_fused_forward),
        Provider("eager, all positions", "per-token", 2 * POSITIONS, eager_all),
        Provider("eager, action rows", "per-token", 2, eager_rows),
        Provider("torch.compile, all positions", "per-token", 2 * POSITIONS, lambda p: compiled(p, all_logprob), is_compiled=True),
        Provider("torch.compile, action rows", "per-token", 2, lambda p: compiled(p, rows_logprob), is_compiled=True),
        Provider("torch chunks, checkpointed", "per-token", 3, checkpointed),
        Provider("torch linear_cross_entropy", "per-token", 3, torch_linear_cross_entropy),
        Provider("TRL selective", "per-token", 2, trl_selective),
        Provider("Liger scaled CE", "per-token", 4, liger_scaled, needs_cuda=True),
        Provider("CCE, filtered", "per-token", 3, cut_cross_entropy, needs_cuda=True),
        Provider("CCE, exact", "per-token", 3, functools.partial(cut_cross_entropy, filter_eps=None), needs_cuda=True),
        Provider(
            "CCE, torch_compile", "per-token", 2, functools.partial(cut_cross_entropy, impl="torch_compile"),
            needs_cuda=True, is_compiled=True,
        ),
        Provider("verl torch", "per-token", 4, verl_torch, needs_cuda=True),
        Provider("verl Triton", "per-token", 4, verl_triton, needs_cuda=True),
        Provider("QuACK rows", "per-token", 2, quack_rows, needs_cuda=True),
        Provider("ours, triton, summed", "summed", 2, functools.partial(ours, "triton_tier")),
        Provider("Liger fused linear CE", "summed", 2, liger_cross_entropy, needs_cuda=True),
        Provider("QuACK chunked", "summed", 2, quack_chunked, needs_cuda=True),
        Provider("Liger chunked GRPO", "loss inside", 4, liger_grpo, needs_cuda=True),
    ]  # fmt: skip


INSTALLED = ("torch", "triton", "liger-kernel", "cut-cross-entropy", "verl", "trl", "quack-kernels", "transformers")
"""packages whose versions go into the row file"""
