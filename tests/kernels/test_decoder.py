"""`rms_norm`, `swiglu` and `apply_rotary`: accuracy and gradients against float64, and what Hugging Face's layers compute."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.kernels.backends import DECODER_ERROR, Kernels, close, draw, norm_error

SIZES = ((1, 1), (3, 7), (5, 24), (9, 64), (33, 130), (4, 1000))
HEADS = ((1, 1, 2), (3, 2, 6), (5, 4, 16), (7, 3, 64), (2, 5, 72))
EPS = 1e-5


def exact_norm(x: Tensor, weight: Tensor) -> Tensor:
    return weight * x / torch.sqrt((x * x).mean(-1, keepdim=True) + EPS)


def exact_swiglu(gate: Tensor, up: Tensor) -> Tensor:
    return gate * torch.sigmoid(gate) * up


def exact_rotary(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    half = x.shape[-1] // 2
    turned = torch.complex(x[..., :half], x[..., half:]) * torch.complex(cos, sin)[:, None]
    return torch.cat([turned.real, turned.imag], -1)


def gradients(function: Callable[..., Tensor], leaves: list[Tensor], *rest: Any) -> list[Tensor]:
    """[the result, the gradient of each leaf of a weighted sum of it]; nothing for a leaf that has none."""
    leaves = [leaf.detach().clone().requires_grad_() for leaf in leaves]
    out = function(*leaves, *rest)
    upstream = draw(*out.shape, seed=11).to(out.dtype)
    return [out.detach(), *torch.autograd.grad(out, leaves, upstream)]


def compare(ours: Callable[..., Tensor], exact: Callable[..., Tensor], leaves: list[Tensor], *rest: Tensor) -> None:
    """Result and gradients against the definition in float64 on the same inputs."""
    dtype = leaves[0].dtype
    found = gradients(ours, leaves, *rest)
    wanted = gradients(exact, [leaf.double() for leaf in leaves], *(t.to(dtype).double() for t in rest))
    for place, (value, expected) in enumerate(zip(found, wanted, strict=True)):
        assert value.dtype == dtype and value.shape == expected.shape
        error = norm_error(value, expected) if expected.norm() > 0 else float(value.abs().max())
        assert error < DECODER_ERROR[dtype], f"{dtype} {list(value.shape)}, output {place}: {error}"


def test_rms_norm_and_its_gradients_are_exact_within_rounding(kernels: Kernels) -> None:
    for dtype in kernels.decoder_dtypes:
        for rows, width in SIZES:
            if width == 1:
                continue  # its gradient is a difference of equals
            for scale in (1.0, 1e-3, 30.0):
                x, weight = draw(rows, width, dtype=dtype, scale=scale), draw(width, dtype=dtype, seed=1)
                compare(lambda x, w: kernels.rms_norm(x, w, EPS), exact_norm, [x, weight])


def test_swiglu_and_its_gradients_are_exact_within_rounding(kernels: Kernels) -> None:
    for dtype in kernels.decoder_dtypes:
        for rows, width in SIZES:
            gate, up = draw(rows, width, dtype=dtype, scale=3.0), draw(rows, width, dtype=dtype, seed=1)
            compare(kernels.swiglu, exact_swiglu, [gate, up])


def test_rotary_embedding_and_its_gradient_are_exact_within_rounding(kernels: Kernels) -> None:
    for dtype in kernels.decoder_dtypes:
        for rows, heads, width in HEADS:
            angle = draw(rows, width // 2, dtype=torch.float64, seed=2) * 3
            cos, sin = (t.to(torch.promote_types(dtype, torch.float32)) for t in (angle.cos(), angle.sin()))
            compare(kernels.apply_rotary, exact_rotary, [draw(rows, heads, width, dtype=dtype)], cos, sin)


def test_the_derivatives_pass_gradcheck(kernels: Kernels) -> None:
    if torch.float64 not in kernels.decoder_dtypes:
        pytest.skip("no float64")
    leaf = {"dtype": torch.float64}
    x, weight = draw(3, 5, **leaf).requires_grad_(), draw(5, **leaf, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda x, w: kernels.rms_norm(x, w, EPS), (x, weight))
    assert torch.autograd.gradcheck(kernels.swiglu, (x, draw(3, 5, **leaf, seed=2).requires_grad_()))
    heads = draw(3, 2, 6, **leaf).requires_grad_()
    cos, sin = draw(3, 3, **leaf, seed=3), draw(3, 3, **leaf, seed=4)
    assert torch.autograd.gradcheck(lambda x: kernels.apply_rotary(x, cos, sin), (heads,))


def test_a_low_precision_result_is_the_one_that_the_layers_round_to(kernels: Kernels) -> None:
    """To the last bit but for a few near ties: the quotient is rounded before the weight, silu before its product."""
    for dtype in kernels.decoder_dtypes:
        if dtype.itemsize != 2:
            continue
        x, weight, up = draw(9, 64, dtype=dtype), draw(64, dtype=dtype, seed=1), draw(9, 64, dtype=dtype, seed=2)
        wide = x.float()
        unit = (wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + EPS)).to(dtype)
        assert float((kernels.rms_norm(x, weight, EPS) == weight * unit).double().mean()) > 0.99
        assert float((kernels.swiglu(x, up) == torch.nn.functional.silu(x) * up).double().mean()) > 0.99
        heads, cos, sin = draw(9, 4, 16, dtype=dtype), draw(9, 8, seed=3), draw(9, 8, seed=4)
        c, s = cos.to(dtype)[:, None], sin.to(dtype)[:, None]
        a, b = heads[..., :8], heads[..., 8:]
        turned = torch.cat([a * c + -b * s, b * c + a * s], -1)
        assert float((kernels.apply_rotary(heads, cos, sin) == turned).double().mean()) > 0.99


def test_views_of_a_larger_projection_are_taken_as_they_are(kernels: Kernels) -> None:
    for dtype in kernels.decoder_dtypes[:1]:
        fused = draw(7, 40, dtype=dtype)
        gate, up = fused.chunk(2, -1)
        norm, heads = fused[:, 3:11], fused.view(7, 5, 8)[:, 1:4]
        weight, cos, sin = draw(8, dtype=dtype), draw(7, 4, dtype=dtype, seed=1), draw(7, 4, dtype=dtype, seed=2)
        pairs = [
            (kernels.swiglu, exact_swiglu, [gate, up], ()),
            (kernels.swiglu, exact_swiglu, [gate.T, up.T], ()),
            (lambda x, w: kernels.rms_norm(x, w, EPS), exact_norm, [norm, weight], ()),
            (lambda x, w: kernels.rms_norm(x.T[:, :3], w[:3], EPS), lambda x, w: exact_norm(x.T[:, :3], w[:3]), [norm, weight], ()),
            (kernels.apply_rotary, exact_rotary, [heads], (cos, sin)),
            (lambda x, c, s: kernels.apply_rotary(x.transpose(1, 2)[..., :2], c[:, :1], s[:, :1]),
             lambda x, c, s: exact_rotary(x.transpose(1, 2)[..., :2], c[:, :1], s[:, :1]), [heads], (cos, sin)),
        ]  # fmt: skip
        for ours, exact, leaves, rest in pairs:
            # Leaves are cloned for their gradients; without one the views themselves arrive.
            value = ours(*leaves, *rest)
            expected = exact(*(t.double() for t in leaves), *(t.double() for t in rest))
            assert norm_error(value, expected) < DECODER_ERROR[dtype]
            compare(ours, exact, leaves, *rest)


def test_results_are_contiguous_whatever_the_strides(tier: Kernels) -> None:
    """As the operators' fakes promise a compiler."""
    x = draw(6, 8, dtype=tier.decoder_dtypes[0])
    leaf, weight, angles = x.T.requires_grad_(), x[0, :6].clone(), x.T[:, :2]
    results = [
        tier.rms_norm(leaf, weight, EPS),
        tier.swiglu(leaf, x.T),
        tier.apply_rotary(leaf.view(8, 6, 1).mT.expand(8, 2, 6)[..., :4], angles, angles),
    ]
    for result in results:
        assert result.is_contiguous()
        (gradient,) = torch.autograd.grad(result, leaf, result.detach())
        assert gradient.shape == leaf.shape


def test_no_rows_give_no_rows_and_zero_gradients(kernels: Kernels) -> None:
    dtype = kernels.decoder_dtypes[0]
    x, weight = draw(0, 6, dtype=dtype).requires_grad_(), draw(6, dtype=dtype).requires_grad_()
    out = kernels.rms_norm(x, weight, EPS)
    out.sum().backward()
    assert out.shape == (0, 6) and x.grad is not None and weight.grad is not None and bool((weight.grad == 0).all())
    assert kernels.swiglu(x, x).shape == (0, 6)
    empty = draw(0, 3, dtype=dtype)
    assert kernels.apply_rotary(x.detach().view(0, 1, 6), empty, empty).shape == (0, 1, 6)


def test_a_row_does_not_depend_on_the_others_bit_for_bit(kernels: Kernels) -> None:
    dtype = kernels.decoder_dtypes[-1]
    x, up, weight = draw(37, 72, dtype=dtype), draw(37, 72, dtype=dtype, seed=1), draw(72, dtype=dtype, seed=2)
    cos, sin = draw(37, 12, seed=3), draw(37, 12, seed=4)
    whole = kernels.rms_norm(x, weight, EPS), kernels.swiglu(x, up), kernels.apply_rotary(x.view(37, 3, 24), cos, sin)
    x[1::2] = torch.nan
    for row in (0, 36):
        at = slice(row, row + 1)
        alone = (
            kernels.rms_norm(x[at], weight, EPS),
            kernels.swiglu(x[at], up[at]),
            kernels.apply_rotary(x[at].view(1, 3, 24), cos[at], sin[at]),
        )
        for one, all_rows in zip(alone, whole, strict=True):
            assert torch.equal(one[0], all_rows[row])


def test_extreme_gates_neither_overflow_nor_lose_their_gradient(kernels: Kernels) -> None:
    dtype = torch.float32
    gate = torch.tensor([[-1e4, -200.0, -88.0, -30.0, 0.0, 30.0, 88.0, 200.0, 1e4]], dtype=dtype)
    up = torch.ones_like(gate)
    value, for_gate, for_up = gradients(kernels.swiglu, [gate, up])
    expected = gradients(exact_swiglu, [gate.double(), up.double()])
    for ours, theirs in zip((value, for_gate, for_up), expected, strict=True):
        close(ours, theirs, 1e-30, 1e-6)


def test_a_nan_stays_in_its_row_of_the_norm_and_in_its_item_elsewhere(kernels: Kernels) -> None:
    x = draw(5, 8)
    x[2, 3] = torch.nan
    norm, gated = kernels.rms_norm(x, torch.ones(8), EPS), kernels.swiglu(x, torch.ones(5, 8))
    assert torch.isnan(norm).any(1).tolist() == [False, False, True, False, False] and bool(torch.isnan(norm[2]).all())
    assert torch.isnan(gated).nonzero().tolist() == [[2, 3]]


def test_backward_keeps_the_inputs_and_one_number_per_row(tier: Kernels) -> None:
    dtype = tier.decoder_dtypes[0]
    rows, width = 16, 32
    x, up = draw(rows, width, dtype=dtype).requires_grad_(), draw(rows, width, dtype=dtype, seed=1).requires_grad_()
    weight, cos = draw(width, dtype=dtype, seed=2), draw(rows, 4, dtype=dtype, seed=3)
    calls: list[tuple[Callable[[], Tensor], int]] = [
        (lambda: tier.rms_norm(x, weight, EPS), rows * width + width + rows),
        (lambda: tier.swiglu(x, up), 2 * rows * width),
        (lambda: tier.apply_rotary(x.view(rows, 4, 8), cos, cos), 2 * rows * 4),
    ]
    for call, most in calls:
        kept: dict[int, int] = {}

        def note(tensor: Tensor, kept: dict[int, int] = kept) -> Tensor:
            kept[id(tensor)] = tensor.numel()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            out = call()
        assert sum(kept.values()) <= most and out.requires_grad


def test_a_call_without_gradient_gives_what_the_operator_gives(tier: Kernels) -> None:
    for dtype in tier.decoder_dtypes:
        x, up, weight = draw(9, 24, dtype=dtype), draw(9, 24, dtype=dtype, seed=1), draw(24, dtype=dtype, seed=2)
        cos, sin = draw(9, 4, seed=3), draw(9, 4, seed=4)
        leaf = x.clone().requires_grad_()
        for plain, tracked in (
            (tier.rms_norm(x, weight, EPS), tier.rms_norm(leaf, weight, EPS)),
            (tier.swiglu(x, up), tier.swiglu(leaf, up)),
            (tier.apply_rotary(x.view(9, 3, 8), cos, sin), tier.apply_rotary(leaf.view(9, 3, 8), cos, sin)),
        ):
            assert tracked.requires_grad and not plain.requires_grad and torch.equal(plain, tracked)
        with torch.no_grad():
            assert not tier.rms_norm(leaf, weight, EPS).requires_grad


def test_the_layers_of_hugging_face_compute_the_same(kernels: Kernels) -> None:
    modeling = pytest.importorskip("transformers.models.qwen2_vl.modeling_qwen2_vl")
    rows, heads, width = 6, 3, 16
    x = draw(rows, heads * width)
    layer = modeling.Qwen2VLRMSNorm(heads * width, eps=1e-6)
    with torch.no_grad():
        layer.weight.copy_(draw(heads * width, seed=1))
        close(kernels.rms_norm(x.to(layer.weight.device), layer.weight, layer.variance_epsilon), layer(x), 1e-5)
    angle = draw(rows, width // 2, seed=2)
    cos, sin = angle.cos(), angle.sin()
    query = x.view(rows, heads, width).transpose(0, 1)[None]
    rotated = query * torch.cat([cos, cos], -1) + modeling.rotate_half(query) * torch.cat([sin, sin], -1)
    close(kernels.apply_rotary(x.view(rows, heads, width), cos, sin), rotated[0].transpose(0, 1), 1e-5)
