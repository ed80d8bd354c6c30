"""The decoder's kernels beside the torch operations that Hugging Face's layers run, on the CPU.

    python benchmarks/decoder_kernels.py [--only elements] [--threads 1] [--rounds 15]

Every case runs its sides in turn, round after round, in one process, and prints the median of each and the ratio of the first, the
torch operations, over the others. With one thread it is processor time, so that a busy machine counts for little. float32;
gradients to what a frozen decoder with adapters needs (x, gate and up, queries, keys, values and the prefix's).
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from vldac import kernels
from vldac.kernels import decoder_reference as plain

Run = Callable[[], object]


@dataclass(frozen=True)
class Case:
    """One problem and the sides that solve it, the first of which is the yardstick."""

    name: str
    sides: dict[str, Run]


def main(argv: list[str] | None = None) -> int:
    """Time every case and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=sorted(SUITES))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args(argv)
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    for suite in [arguments.only] if arguments.only else SUITES:
        for case in SUITES[suite]():
            seconds = measure(case.sides, arguments.rounds)
            first = next(iter(seconds.values()))
            columns = (
                f"{name} {value * 1e6:9.1f} us" + ("" if value is first else f" ({first / value:4.2f}x)")
                for name, value in seconds.items()
            )
            print(f"{case.name:44} {'  '.join(columns)}", flush=True)
    return 0


def measure(sides: dict[str, Run], rounds: int) -> dict[str, float]:
    """Median seconds of a call of each side, in turn; short calls are timed by the dozen."""
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    calls = {}
    for name, run in sides.items():
        run()
        start = clock()
        run()
        calls[name] = max(1, min(200, int(0.02 / max(1e-7, clock() - start))))
    found: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, run in sides.items():
            start = clock()
            for _ in range(calls[name]):
                run()
            found[name].append((clock() - start) / calls[name])
    return {name: statistics.median(values) for name, values in found.items()}


def step(function: Callable[..., Tensor], leaves: tuple[Tensor, ...], *rest: object, **options: object) -> Run:
    """Forward and backward to the leaves, with the upstream gradient of a sum with weights."""
    upstream = torch.randn_like(function(*leaves, *rest, **options))

    def run() -> object:
        return torch.autograd.grad(function(*leaves, *rest, **options), leaves, upstream)

    return run


def elements() -> Iterator[Case]:
    """RMS norm, SwiGLU and rotary embedding, forward and backward, then a decoded token's forward."""
    tiers = ("cpp", "torch")
    for rows, width in ((2048, 256), (4096, 1024), (32, 256), (32, 64)):
        x, gate, up = (torch.randn(rows, width, requires_grad=True) for _ in range(3))
        weight = torch.randn(width)
        turned = torch.randn(rows, width // 32, 32, requires_grad=True)
        cos, sin = torch.randn(2, rows, 16).unbind()
        wide_cos, wide_sin = (torch.cat([t, t], -1)[:, None] for t in (cos, sin))
        size = f"[{rows}, {width}]"
        problems: dict[str, tuple[Callable[..., Tensor], Callable[..., Tensor], tuple[Tensor, ...], tuple, tuple]] = {
            "rms_norm": (plain.rms_norm, kernels.rms_norm, (x,), (weight, 1e-6), (weight, 1e-6)),
            "swiglu": (plain.swiglu, kernels.swiglu, (gate, up), (), ()),
            "apply_rotary": (their_rotary, kernels.apply_rotary, (turned,), (wide_cos, wide_sin), (cos, sin)),
        }
        for name, (theirs, ours, leaves, their_rest, our_rest) in problems.items():
            sides = {"torch operations": step(theirs, leaves, *their_rest)}
            sides |= {tier: step(ours, leaves, *our_rest, backend=tier) for tier in tiers}
            yield Case(f"{name} {size} forward, backward", sides)
            if rows == 32:
                bare = tuple(leaf.detach() for leaf in leaves)
                quiet = {"torch operations": lambda f=theirs, a=(*bare, *their_rest): f(*a)}
                quiet |= {tier: lambda f=ours, a=(*bare, *our_rest), t=tier: f(*a, backend=t) for tier in tiers}
                yield Case(f"{name} {size} forward", quiet)


def their_rotary(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Hugging Face's: two products of full width and a rotated copy."""
    half = x.shape[-1] // 2
    return x * cos + torch.cat((-x[..., half:], x[..., :half]), -1) * sin


def decoding() -> Iterator[Case]:
    """A decoded token's attention: rows of 1 to C keys of their own behind a prefix of P, beside scaled_dot_product_attention."""
    for rows, heads, kv_heads, width, prefix, capacity in (
        (32, 4, 2, 16, 20, 60), (32, 4, 2, 32, 260, 100), (64, 4, 2, 32, 20, 100), (64, 4, 2, 64, 260, 160),
        (64, 8, 2, 64, 300, 200), (64, 4, 4, 32, 0, 200),
    ):  # fmt: skip
        query = torch.randn(rows, heads, width)
        cache = torch.randn(2, rows, capacity, kv_heads, width).unbind()
        shared = torch.randn(2, prefix, kv_heads, width).unbind() if prefix else (None, None)
        slot, length = torch.randperm(rows), torch.randint(1, capacity + 1, (rows,))
        problem = (query, *cache, slot, length, *shared)
        sides: dict[str, Run] = {"sdpa, padded": lambda p=problem: padded_attention(*p)}
        for tier in ("cpp", "torch"):
            sides[tier] = lambda p=problem, t=tier: kernels.slot_attention(*p, scale=p[0].shape[-1] ** -0.5, backend=t)
        yield Case(f"A {rows} heads {heads}/{kv_heads} D {width} P {prefix} C {capacity}", sides)


def padded_attention(
    query: Tensor, key: Tensor, value: Tensor, slot: Tensor, length: Tensor, prefix_key: Tensor | None,
    prefix_value: Tensor | None,
) -> Tensor:  # fmt: skip
    """The batch padded to its longest row, the prefix repeated, one call of torch."""
    longest, prefix = int(length.max()), 0 if prefix_key is None else len(prefix_key)
    pair = []
    for cache, shared in ((key, prefix_key), (value, prefix_value)):
        own = cache[slot, :longest]
        pair.append(own if shared is None else torch.cat([shared.expand(len(own), -1, -1, -1), own], 1))
    mask = (torch.arange(prefix + longest) < (prefix + length)[:, None])[:, None, None]
    out = torch.nn.functional.scaled_dot_product_attention(
        query[:, :, None], *(t.transpose(1, 2) for t in pair), attn_mask=mask, enable_gqa=True
    )
    return out[:, :, 0]


def training() -> Iterator[Case]:
    """Attention of packed rows, forward and backward, beside scaled_dot_product_attention on padded rows with a mask."""
    for count, length, prefix, heads, kv_heads, width in (
        (32, 70, 260, 4, 2, 64), (64, 45, 20, 4, 2, 32), (32, 165, 260, 4, 2, 32), (32, 360, 0, 4, 2, 64),
    ):  # fmt: skip
        for spread, name in ((0, ""), (length // 2, f" +- {length // 2}")):
            lengths = torch.randint(length - spread, length + spread + 1, (count,)).tolist()
            offsets = torch.tensor([0, *lengths]).cumsum(0)
            shapes = [
                (int(offsets[-1]), heads),
                *[(int(offsets[-1]), kv_heads)] * 2,
                *[(prefix, kv_heads)] * (2 if prefix else 0),
            ]
            leaves = tuple(torch.randn(*shape, width, requires_grad=True) for shape in shapes)
            sides = {"sdpa, padded": step(lambda *t, o=offsets: padded_rows(*t, offsets=o), leaves)}
            for tier in ("cpp", "torch"):
                sides[tier] = step(lambda *t, o=offsets, b=tier: packed_rows(*t, offsets=o, backend=b), leaves)
            yield Case(f"{count} rows of {length}{name} P {prefix} heads {heads}/{kv_heads} D {width}", sides)


def packed_rows(
    query: Tensor, key: Tensor, value: Tensor, prefix_key: Tensor | None = None, prefix_value: Tensor | None = None, *,
    offsets: Tensor, backend: str,
) -> Tensor:  # fmt: skip
    """Ours."""
    scale = query.shape[-1] ** -0.5
    return kernels.prefix_attention(query, key, value, prefix_key, prefix_value, offsets, scale=scale, backend=backend)


def padded_rows(
    query: Tensor, key: Tensor, value: Tensor, prefix_key: Tensor | None = None, prefix_value: Tensor | None = None, *,
    offsets: Tensor,
) -> Tensor:  # fmt: skip
    """One call of torch with its autograd: rows padded on the right, the prefix repeated, keys of groups shared."""
    lengths = offsets.diff()
    rows, longest = len(lengths), int(lengths.max())
    place = torch.cat([torch.arange(n) + i * longest for i, n in enumerate(lengths.tolist())])

    def pad(tensor: Tensor, shared: Tensor | None) -> Tensor:
        whole = tensor.new_zeros(rows * longest, *tensor.shape[1:]).index_copy(0, place, tensor)
        whole = whole.view(rows, longest, *tensor.shape[1:])
        return (whole if shared is None else torch.cat([shared.expand(rows, *shared.shape), whole], 1)).transpose(1, 2)

    prefix = 0 if prefix_key is None else len(prefix_key)
    mask = torch.ones(longest, prefix + longest, dtype=torch.bool).tril(prefix)
    out = torch.nn.functional.scaled_dot_product_attention(
        pad(query, None), pad(key, prefix_key), pad(value, prefix_value), attn_mask=mask, enable_gqa=True
    )
    return out.transpose(1, 2).flatten(0, 1)[place]


SUITES: dict[str, Callable[[], Iterator[Case]]] = {"elements": elements, "decoding": decoding, "training": training}

if __name__ == "__main__":
    raise SystemExit(main())
