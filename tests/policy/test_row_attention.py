"""Every way to compute the attention of packed rows gives the same numbers and gradients."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from typing import Any

import pytest
import torch

from tests.policy.test_decoder import INSTRUCTION, run
from vldac.attention import RowAttention, RowLayout
from vldac.configuration import load_config
from vldac.errors import ConfigError
from vldac.policy import Policy
from vldac.row_attention import behind_prefix, rows_for

CPU = torch.device("cpu")
LENGTHS = {
    "several": ([5, 1, 9, 3], [2, 1, 9, 1]),
    "one": ([7], [3]),
    "more than a block": ([150, 90, 40], [20, 90, 1]),
}


def dense(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, prefix: tuple[torch.Tensor, torch.Tensor] | None,
    lengths: list[int], counts: list[int], scale: float,
) -> torch.Tensor:  # fmt: skip
    """Row after row, with softmax written out."""
    out, ends, asked = [], 0, 0
    for length, count in zip(lengths, counts, strict=True):
        k, v = key[ends : ends + length], value[ends : ends + length]
        if prefix is not None:
            k, v = torch.cat([prefix[0], k]), torch.cat([prefix[1], v])
        group = query.shape[1] // key.shape[1]
        k, v = k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)
        scores = scale * torch.einsum("qhd,khd->hqk", query[asked : asked + count], k)
        last = torch.arange(len(k) - count, len(k))
        scores = scores.masked_fill(torch.arange(len(k)) > last[:, None], -torch.inf)
        out.append(torch.einsum("hqk,khd->qhd", scores.softmax(-1), v))
        ends, asked = ends + length, asked + count
    return torch.cat(out)


def flash_stand_in(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, *, cu_seqlens_q: torch.Tensor, cu_seqlens_k: torch.Tensor,
    max_seqlen_q: int, max_seqlen_k: int, softmax_scale: float, causal: bool,
) -> torch.Tensor:  # fmt: skip
    """What flash_attn_varlen_func documents: causal masks are aligned to the bottom right; offsets are int32."""
    assert causal and cu_seqlens_q.dtype == cu_seqlens_k.dtype == torch.int32
    counts, lengths = cu_seqlens_q.diff().tolist(), cu_seqlens_k.diff().tolist()
    assert (max(counts), max(lengths)) == (max_seqlen_q, max_seqlen_k) and len(k) == int(cu_seqlens_k[-1])
    return dense(q, k, v, None, lengths, counts, softmax_scale)


@pytest.fixture
def flash(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("flash_attn")
    module.flash_attn_varlen_func = flash_stand_in  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "flash_attn", module)


@pytest.mark.usefixtures("flash")
@pytest.mark.parametrize("shared", [0, 6])
@pytest.mark.parametrize("rows", LENGTHS)
@pytest.mark.parametrize("name", ["auto", "sdpa", "flex", "flash"])
def test_every_attention_equals_the_definition(name: str, rows: str, shared: int) -> None:
    """Results and gradients of all five tensors in float64, 1e-12, with queries at the rows' ends; grouped heads.

    Of flex attention the results alone: torch has no backward pass for it on a CPU.
    """
    lengths, counts = LENGTHS[rows]
    draw = torch.Generator().manual_seed(3)

    def tensor(count: int, heads: int) -> torch.Tensor:
        return torch.randn(count, heads, 16, generator=draw, dtype=torch.float64).requires_grad_()

    query, key, value = tensor(sum(counts), 4), tensor(sum(lengths), 2), tensor(sum(lengths), 2)
    prefix = (tensor(shared, 2), tensor(shared, 2)) if shared else None
    offsets, queries = (torch.tensor([0, *sizes]).cumsum(0) for sizes in (lengths, counts))
    weight = torch.randn(sum(counts), 4, 16, generator=draw, dtype=torch.float64)
    inputs = [query, key, value, *(prefix or ())]
    attend = rows_for(name, offsets, queries, shared=shared, scale=0.3, device=CPU, kernels="auto")
    given = [query, key, value, *(prefix or (None, None))]
    if name == "flex":
        given = [None if tensor is None else tensor.detach() for tensor in given]
    found = attend(*given)
    expected = dense(query, key, value, prefix, lengths, counts, 0.3)
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=1e-12)
    if name == "flex":
        return
    gradients = [torch.autograd.grad((weight * out).sum(), inputs) for out in (found, expected)]
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-12, rtol=1e-10)


@pytest.mark.usefixtures("flash")
@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("name", ["sdpa", "flash"])
def test_the_policy_is_the_same_with_every_attention(
    make_policy: Callable[..., Policy], make_rows: Any, name: str, checkpointing: bool
) -> None:
    """Log-probs, states and LoRA gradients in float64, to 1e-10, behind a shared prefix."""
    results = []
    for attention in ("auto", name):
        policy = make_policy(dtype=torch.float64, gradient_checkpointing=checkpointing)
        policy.decoder.attention = attention  # the configuration refuses flash without a GPU
        results.append(run(policy, make_rows(policy, instruction=INSTRUCTION), [[0, 1, 2, 3]]))
    assert results[1].furthest(results[0]) < 1e-10


@pytest.mark.usefixtures("flash")
@pytest.mark.parametrize("name", ["sdpa", "flex", "flash"])
def test_responses_are_the_same_with_every_attention(
    make_policy: Callable[..., Policy], make_rows: Any, name: str
) -> None:
    said = []
    for attention in ("auto", name):
        policy = make_policy()
        policy.decoder.attention = attention
        rows = make_rows(policy, instruction=INSTRUCTION)
        options = {"seeds": torch.arange(4), "max_new_tokens": 6, "temperature": 1.0}
        said.append(policy.act(rows.prompts, rows.features, **options))
    assert all(torch.equal(a, b) for a, b in zip(said[0].ids, said[1].ids, strict=True))
    torch.testing.assert_close(said[0].value, said[1].value, atol=2e-5, rtol=0)


@pytest.mark.parametrize("name", ["auto", "sdpa", "flex"])
def test_the_masks_of_a_micro_batch_are_made_once(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """One for the layers before the last, one for the kept queries of the last."""
    made: list[str] = []

    def counted(chosen: str, *arguments: Any, **options: Any) -> Any:
        made.append(chosen)
        return rows_for(chosen, *arguments, **options)

    monkeypatch.setattr("vldac.attention.rows_for", counted)
    offsets, kept = torch.tensor([0, 5, 9]), torch.tensor([0, 2, 3])
    attend = RowAttention(RowLayout(offsets=offsets, kept=kept), None, num_layers=4, scale=1.0, attention=name)
    for layer in range(4):
        count = 3 if layer == 3 else 9
        out = attend(layer, torch.randn(count, 2, 8), torch.randn(9, 2, 8), torch.randn(9, 2, 8))
        assert out.shape == (count, 2, 8)
    assert made == [name, name]


def test_a_row_reads_the_prefix_and_then_its_own() -> None:
    assert behind_prefix(torch.tensor([0, 2, 3]), 2).tolist() == [0, 1, 2, 3, 0, 1, 4]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model.dtype": "bfloat16"}, r"(?s)flash-attn.*not installed.*vldac\[gpu\]"),
        ({"model.dtype": "float32"}, "model.dtype bfloat16"),
        ({"device": "cpu"}, "a GPU, or auto or sdpa"),
    ],
)
def test_flash_is_refused_at_configuration_where_it_cannot_run(
    settings: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "flash_attn", None)
    monkeypatch.setattr("vldac.configuration.importlib.util.find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=message):
        load_config("paper", {"model.attention": "flash", **settings})
    with pytest.raises(ConfigError, match="flex"):
        load_config("paper", {"model.attention": "fles"})


@pytest.mark.parametrize("name", ["flex", "flash"])
def test_a_policy_on_the_cpu_refuses_what_trains_on_a_gpu_alone(make_policy: Callable[..., Policy], name: str) -> None:
    with pytest.raises(ConfigError, match=r"(?s)a GPU.*device cpu.*use model.attention auto or sdpa"):
        make_policy(attention=name)
