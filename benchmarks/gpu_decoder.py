"""How fast the decoder's kernels are on a GPU, beside the operations that Hugging Face's layers run: a part of `gpu_kernels.py`.

An entry: milliseconds of every side, the share of the measured copy bandwidth that ours reaches on the bytes that must move, and the
largest error of ours against float64 on the same inputs, relative by norm.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from vldac import kernels
from vldac.kernels import decoder_reference as plain

SHAPES = {"7B": (3584, 18944, 28, 4, 128), "2B": (1536, 8960, 12, 2, 128), "toy": (48, 64, 4, 2, 16)}
"""(hidden, intermediate, heads, heads of keys, width of a head) of Qwen2-VL"""
ROWS, TOY_ROWS = 4096, 6
DECODE = {"rows": 64, "prefix": 300, "capacity": 512, "own": 160}
TOY_DECODE = {"rows": 3, "prefix": 5, "capacity": 9, "own": 7}
# Written before any run on a GPU, on an H200 (4.3 TB/s copy).
PREDICTED = {
    "rms_norm": ">= 70% of copy bandwidth at 4096 rows, 4x the eager chain",
    "swiglu": ">= 80% of copy bandwidth, 1.7x the eager chain",
    "apply_rotary": ">= 60% of copy bandwidth, 4x the eager chain",
    "slot_attention": "40-90 us at 64 rows of 300 + 1 ... 160 keys at 7B, 3x padded attention",
    "prefix_attention": "torch's attention on padded rows; backward in F is 3-6x its forward (no kernel of ours yet)",
}
ERROR = {torch.float32: 1e-5, torch.bfloat16: 1e-2}


def measure(machine: Any, shapes: dict[str, Any], copy_tb_s: float) -> dict[str, Any]:
    """Every operation at every shape."""
    found: dict[str, Any] = {"predicted": PREDICTED}
    for name in shapes:
        for operation, cases in (("elements", elements), ("slot_attention", decoding), ("prefix_attention", training)):
            for label, sides, bytes_moved, error in cases(machine, SHAPES[name]):
                assert error < ERROR[machine.dtype], f"{operation} {label}: an error of {error}"
                milliseconds = {side: machine.median(run) for side, run in sides.items()}
                entry: dict[str, Any] = {**milliseconds, "error": error}
                if bytes_moved:
                    entry["bandwidth_share"] = bytes_moved / (milliseconds["ours"] * 1e-3) / (copy_tb_s * 1e12)
                found[f"{name} {label}"] = entry
    return found


def draw(machine: Any, *shape: int) -> Tensor:
    """Normal numbers in the machine's dtype."""
    return torch.randn(*shape, device=machine.device, dtype=machine.dtype)


def error_of(ours: Tensor, exact: Tensor) -> float:
    """|ours - exact| / |exact|"""
    return float((ours.double() - exact).norm() / exact.norm())


def elements(machine: Any, shape: tuple[int, ...]) -> list[tuple[str, dict[str, Callable[[], Any]], int, float]]:
    """(label, sides, bytes, error) of norm, activation and rotary embedding, forward, and forward with backward."""
    width, inner, heads, _, head_width = shape
    rows = TOY_ROWS if machine.is_quick else ROWS
    backend = "triton"
    weight, cos, sin = draw(machine, width), draw(machine, rows, head_width // 2), draw(machine, rows, head_width // 2)
    problems: list[tuple[str, Callable[..., Tensor], Callable[..., Tensor], tuple[Tensor, ...], tuple[Any, ...]]] = [
        ("rms_norm", kernels.rms_norm, plain.rms_norm, (draw(machine, rows, width),), (weight, 1e-6)),
        ("swiglu", kernels.swiglu, plain.swiglu, (draw(machine, rows, inner), draw(machine, rows, inner)), ()),
        ("apply_rotary", kernels.apply_rotary, plain.apply_rotary, (draw(machine, rows, heads, head_width),), (cos, sin)),
    ]  # fmt: skip
    cases = []
    for name, ours, theirs, leaves, rest in problems:
        wide = [t.double() if isinstance(t, Tensor) else t for t in rest]
        error = error_of(ours(*leaves, *rest, backend=backend), theirs(*(t.double() for t in leaves), *wide))
        forward = {
            "ours": lambda f=ours, a=(*leaves, *rest): f(*a, backend=backend),
            "eager": lambda f=theirs, a=(*leaves, *rest): f(*a),
        }
        size, count = leaves[0].numel() * machine.dtype.itemsize, len(leaves)
        cases.append((name, forward, (count + 1) * size, error))
        tracked = tuple(t.detach().requires_grad_() for t in leaves)
        upstream = torch.randn_like(leaves[0])
        both = {
            "ours": lambda f=ours, t=tracked, r=rest, g=upstream: torch.autograd.grad(f(*t, *r, backend=backend), t, g),
            "eager": lambda f=theirs, t=tracked, r=rest, g=upstream: torch.autograd.grad(f(*t, *r), t, g),
        }
        # Backward reads what was kept (rotary: nothing) and the upstream gradient, and writes the gradients.
        kept = 0 if name == "apply_rotary" else count
        cases.append((f"{name} and backward", both, (2 * count + 2 + kept) * size, error))
    return cases


def slot_problem(machine: Any, shape: tuple[int, ...]) -> tuple[Any, ...]:
    """What `slot_attention` takes: rows of 1 to `own` keys of their own."""
    _, _, heads, kv_heads, width = shape
    sizes = TOY_DECODE if machine.is_quick else DECODE
    rows = sizes["rows"]
    caches = [draw(machine, rows, sizes["capacity"], kv_heads, width) for _ in range(2)]
    shared = [draw(machine, sizes["prefix"], kv_heads, width) for _ in range(2)]
    length = torch.linspace(1, sizes["own"], rows, device=machine.device).long()
    return draw(machine, rows, heads, width), *caches, torch.randperm(rows, device=machine.device), length, *shared


def decoding(machine: Any, shape: tuple[int, ...]) -> list[tuple[str, dict[str, Callable[[], Any]], int, float]]:
    """A decoded token's attention beside torch's on gathered slots of full capacity with a mask (what a graph can capture)."""
    query, key, value, slot, length, *shared = problem = slot_problem(machine, shape)
    rows, heads, width = query.shape
    group, prefix, scale = heads // key.shape[2], len(shared[0]), width**-0.5

    def padded() -> Tensor:
        pair = [
            torch.cat([before.expand(rows, *before.shape), cache[slot]], 1).transpose(1, 2).repeat_interleave(group, 1)
            for before, cache in zip(shared, (key, value), strict=True)
        ]
        seen = (torch.arange(prefix + key.shape[1], device=query.device) < prefix + length[:, None])[:, None, None]
        return torch.nn.functional.scaled_dot_product_attention(query[:, :, None], *pair, attn_mask=seen)

    def ours() -> Tensor:
        return kernels.slot_attention(*problem, scale=scale, backend="triton")

    wide = [t.double() if t.is_floating_point() else t for t in problem]
    own = int(length.sum()) * key[0, 0].numel() * 2 * machine.dtype.itemsize
    sides: dict[str, Callable[[], Any]] = {"ours": ours, "padded attention": padded}
    return [("slot_attention", sides, own, error_of(ours(), plain.slot_attention(*wide, scale=scale)))]


def training(machine: Any, shape: tuple[int, ...]) -> list[tuple[str, dict[str, Callable[[], Any]], int, float]]:
    """Packed rows behind a prefix: forward, and forward with backward, on the tier that `auto` takes."""
    _, _, heads, kv_heads, width = shape
    rows, length, prefix = (2, 4, 3) if machine.is_quick else (32, 160, 260)
    offsets = torch.arange(rows + 1) * length
    sizes = [(rows * length, heads), *[(rows * length, kv_heads)] * 2, *[(prefix, kv_heads)] * 2]
    leaves = [draw(machine, *size, width).requires_grad_() for size in sizes]

    def ours() -> Tensor:
        return kernels.prefix_attention(*leaves, offsets, scale=width**-0.5)

    wide = [t.detach().double() for t in leaves]
    error = error_of(ours().detach(), plain.prefix_attention(*wide, offsets, scale=width**-0.5))
    upstream = draw(machine, rows * length, heads, width)
    both: dict[str, Callable[[], Any]] = {"ours": lambda: torch.autograd.grad(ours(), leaves, upstream)}
    return [("prefix_attention", {"ours": ours}, 0, error), ("prefix_attention and backward", both, 0, error)]
