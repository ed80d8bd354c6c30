"""What a caller can get wrong: each mistake is told in four parts, by the type that Python uses for it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import vldac.kernels as k
from tests.kernels.backends import draw, draw_ids
from vldac.kernels import KernelError

ROWS, HIDDEN, VOCAB, STEPS = 5, 8, 16, 3


def linear(**changes: Any) -> Any:
    given: dict[str, Any] = {
        "hidden": draw(ROWS, HIDDEN),
        "weight": draw(VOCAB, HIDDEN),
        "target": draw_ids(ROWS, VOCAB),
    }
    given |= changes
    return k.linear_logprob(given.pop("hidden"), given.pop("weight"), given.pop("target"), **given)


def selective(**changes: Any) -> Any:
    given: dict[str, Any] = {"logits": draw(ROWS, VOCAB), "target": draw_ids(ROWS, VOCAB)} | changes
    return k.selective_log_softmax(given.pop("logits"), given.pop("target"), **given)


def ppo(**changes: Any) -> Any:
    given: dict[str, Any] = {
        "logprob": draw(ROWS), "old": draw(ROWS), "advantages": draw(STEPS), "step_index": draw_ids(ROWS, STEPS),
        "weight": torch.ones(ROWS),
    } | changes  # fmt: skip
    return k.ppo_clip_loss(*[given.pop(n) for n in ("logprob", "old", "advantages", "step_index", "weight")], **given)


def value(**changes: Any) -> Any:
    given: dict[str, Any] = {"value": draw(STEPS), "old": None, "returns": draw(STEPS), "weight": torch.ones(STEPS)}
    given |= changes
    return k.value_loss(*[given.pop(n) for n in ("value", "old", "returns", "weight")], **given)


def gae(**changes: Any) -> Any:
    flags = torch.zeros(4, 2, dtype=torch.bool)
    given: dict[str, Any] = {
        "reward": draw(4, 2), "value": draw(4, 2), "bootstrap": draw(2), "terminated": flags, "truncated": flags,
        "gamma": 0.9, "lam": 0.9,
    } | changes  # fmt: skip
    names = ("reward", "value", "bootstrap", "terminated", "truncated")
    return k.generalized_advantage_estimate(*[given.pop(n) for n in names], **given)


def flat(offsets: list[int], **changes: Any) -> Any:
    flags = torch.zeros(6, dtype=torch.bool)
    return gae(reward=draw(6), value=draw(6), terminated=flags, truncated=flags, segment_offsets=torch.tensor(offsets),
               **{"bootstrap": draw(2)} | changes)  # fmt: skip


def sample(**changes: Any) -> Any:
    key = torch.arange(ROWS)
    given: dict[str, Any] = {"logits": draw(ROWS, VOCAB), "seed": key, "position": key} | changes
    return k.sample_with_logprob(given.pop("logits"), **given)


def pack(**changes: Any) -> Any:
    mask = torch.zeros(2, 4, dtype=torch.bool)
    given: dict[str, Any] = {"hidden": draw(2, 4, 3), "mask": mask} | changes
    return k.pack_action_rows(given.pop("hidden"), given.pop("mask"), **given)


def whiten(**changes: Any) -> Any:
    given: dict[str, Any] = {"values": draw(4), "mask": torch.ones(4, dtype=torch.bool)} | changes
    return k.masked_whiten(given.pop("values"), given.pop("mask"), **given)


def norm(**changes: Any) -> Any:
    given: dict[str, Any] = {"x": draw(ROWS, HIDDEN), "weight": draw(HIDDEN), "eps": 1e-6} | changes
    return k.rms_norm(given.pop("x"), given.pop("weight"), given.pop("eps"), **given)


def gated(**changes: Any) -> Any:
    given: dict[str, Any] = {"gate": draw(ROWS, HIDDEN), "up": draw(ROWS, HIDDEN)} | changes
    return k.swiglu(given.pop("gate"), given.pop("up"), **given)


def turn(**changes: Any) -> Any:
    given: dict[str, Any] = {"x": draw(ROWS, 2, HIDDEN), "cos": draw(ROWS, HIDDEN // 2), "sin": draw(ROWS, HIDDEN // 2)}
    given |= changes
    return k.apply_rotary(given.pop("x"), given.pop("cos"), given.pop("sin"), **given)


def slots(**changes: Any) -> Any:
    cache = draw(3, 6, 2, HIDDEN)
    given: dict[str, Any] = {
        "query": draw(ROWS, 4, HIDDEN), "key": cache, "value": cache, "slot": draw_ids(ROWS, 3), "length": draw_ids(ROWS, 6) + 1,
        "scale": 0.3,
    } | changes  # fmt: skip
    return k.slot_attention(*[given.pop(n) for n in ("query", "key", "value", "slot", "length")], **given)


def packed(**changes: Any) -> Any:
    given: dict[str, Any] = {
        "query": draw(ROWS, 4, HIDDEN), "key": draw(6, 2, HIDDEN), "value": draw(6, 2, HIDDEN), "prefix_key": draw(3, 2, HIDDEN),
        "prefix_value": draw(3, 2, HIDDEN), "offsets": torch.tensor([0, 2, 6]), "query_offsets": torch.tensor([0, 2, 5]),
        "scale": 0.3,
    } | changes  # fmt: skip
    names = ("query", "key", "value", "prefix_key", "prefix_value", "offsets", "query_offsets")
    return k.prefix_attention(*[given.pop(n) for n in names], **given)


def bad_target(ids: int) -> Tensor:
    target = draw_ids(ROWS, VOCAB)
    target[3] = ids
    return target


CASES: list[tuple[Callable[..., Any], dict[str, Any], type[Exception], str]] = [
    # mixed dtypes and devices
    (linear, {"weight": draw(VOCAB, HIDDEN, dtype=torch.bfloat16)}, TypeError, "hidden float32, weight bfloat16"),
    (linear, {"hidden": draw(ROWS, HIDDEN).long()}, TypeError, "got int64"),
    (linear, {"target": draw(ROWS)}, TypeError, "got float32"),
    (linear, {"weight": draw(VOCAB, HIDDEN).to("meta")}, TypeError, "hidden on cpu, weight on meta"),
    (linear, {"target": draw_ids(ROWS, VOCAB).to("meta")}, TypeError, "target on meta"),
    (selective, {"target": draw_ids(ROWS, VOCAB).to("meta")}, TypeError, "target on meta"),
    (selective, {"logits": draw(ROWS, VOCAB).long()}, TypeError, "got int64"),
    (ppo, {"old": draw(ROWS, dtype=torch.float64)}, TypeError, "old_logprob float64"),
    (ppo, {"logprob": draw(ROWS, dtype=torch.bfloat16)}, TypeError, "got bfloat16"),
    (ppo, {"step_index": torch.zeros(ROWS)}, TypeError, "step_index of dtype int32 or int64"),
    (ppo, {"weight": torch.ones(ROWS, device="meta")}, TypeError, "token_weight on meta"),
    (value, {"returns": draw(STEPS, dtype=torch.float64)}, TypeError, "returns float64"),
    (gae, {"bootstrap": draw(2, dtype=torch.float64)}, TypeError, "bootstrap float64"),
    (gae, {"terminated": torch.zeros(4, 2)}, TypeError, "terminated of dtype bool"),
    (sample, {"seed": torch.arange(ROWS).int()}, TypeError, "seed of dtype int64"),
    (sample, {"position": torch.arange(ROWS, device="meta")}, TypeError, "position on meta"),
    (pack, {"mask": torch.zeros(2, 4)}, TypeError, "action_mask of dtype bool"),
    (whiten, {"mask": torch.ones(4)}, TypeError, "mask of dtype bool"),
    (whiten, {"values": draw(4, dtype=torch.bfloat16)}, TypeError, "got bfloat16"),
    # ranks and lengths
    (linear, {"hidden": draw(HIDDEN)}, ValueError, "hidden of shape [N, H]"),
    (linear, {"weight": draw(VOCAB)}, ValueError, "weight of shape [V, 8]"),
    (linear, {"weight": draw(VOCAB, HIDDEN + 1)}, ValueError, "got shape [16, 9]"),
    (linear, {"weight": torch.tensor(1.0)}, ValueError, "weight of shape [V, 8]"),
    (linear, {"target": draw_ids(ROWS + 1, VOCAB)}, ValueError, "target of shape [5]"),
    (linear, {"bias": draw(VOCAB + 1)}, ValueError, "bias of shape [16]"),
    (linear, {"temperature": torch.ones(ROWS + 1)}, ValueError, "temperature of shape [5]"),
    (linear, {"banned_ids": torch.tensor(3)}, ValueError, "banned_ids"),
    (selective, {"logits": draw(ROWS)}, ValueError, "logits of shape [N, V]"),
    (selective, {"target": draw_ids(ROWS - 1, VOCAB)}, ValueError, "target of shape [5]"),
    (ppo, {"old": draw(ROWS - 1)}, ValueError, "old_logprob of shape [5]"),
    (ppo, {"advantages": draw(STEPS, 1)}, ValueError, "advantages of shape [S]"),
    (ppo, {"ref_logprob": draw(ROWS, 1)}, ValueError, "ref_logprob of shape [5]"),
    (value, {"old": draw(STEPS + 1)}, ValueError, "old_value of shape [3]"),
    (gae, {"reward": draw(4, 3)}, ValueError, "reward of shape [4, 2]"),
    (gae, {"value": draw(4)}, ValueError, "value of shape [T, E]"),
    (gae, {"bootstrap": draw(3)}, ValueError, "bootstrap of shape [2]"),
    (gae, {"final_value": draw(4)}, ValueError, "final_value of shape [4, 2]"),
    (flat, {"offsets": [0, 2, 5]}, ValueError, "from 0 to 6"),
    (flat, {"offsets": [0, 7, 6]}, ValueError, "do not decrease"),
    (flat, {"offsets": [1, 2, 6]}, ValueError, "from 0 to 6"),
    (flat, {"offsets": [0, 6]}, ValueError, "segment_offsets of shape [3]"),
    (sample, {"logits": draw(VOCAB)}, ValueError, "logits of shape [B, V]"),
    (sample, {"seed": torch.arange(ROWS + 2)}, ValueError, "seed of shape [5]"),
    (sample, {"top_k": torch.ones(ROWS + 2, dtype=torch.int64)}, ValueError, "top_k of shape [5]"),
    (sample, {"greedy": torch.ones(ROWS + 2, dtype=torch.bool)}, ValueError, "greedy of shape [5]"),
    (pack, {"hidden": draw(2, 4)}, ValueError, "hidden of shape [B, L, H]"),
    (pack, {"mask": torch.zeros(2, 5, dtype=torch.bool)}, ValueError, "action_mask of shape [2, 4]"),
    (whiten, {"mask": torch.ones(5, dtype=torch.bool)}, ValueError, "mask of shape [4]"),
    # layers of a decoder
    (norm, {"weight": draw(HIDDEN, dtype=torch.float64)}, TypeError, "x float32, weight float64"),
    (norm, {"weight": draw(HIDDEN).to("meta")}, TypeError, "x on cpu, weight on meta"),
    (norm, {"x": draw(ROWS, HIDDEN).long(), "weight": draw(HIDDEN).long()}, TypeError, "got int64"),
    (norm, {"x": draw(ROWS, 2, HIDDEN)}, ValueError, "x of shape [N, H]"),
    (norm, {"weight": draw(HIDDEN + 1)}, ValueError, "weight of shape [8]"),
    (norm, {"eps": 0.0}, ValueError, "eps > 0"),
    (norm, {"eps": float("nan")}, ValueError, "eps > 0"),
    (gated, {"gate": draw(HIDDEN)}, ValueError, "gate of shape [N, I]"),
    (gated, {"up": draw(ROWS, HIDDEN + 1)}, ValueError, "up of shape [5, 8]"),
    (gated, {"up": draw(ROWS, HIDDEN, dtype=torch.bfloat16)}, TypeError, "gate float32, up bfloat16"),
    (gated, {"up": draw(ROWS, HIDDEN).to("meta")}, TypeError, "up on meta"),
    (turn, {"x": draw(ROWS, HIDDEN)}, ValueError, "x of shape [N, heads, D]"),
    (turn, {"x": draw(ROWS, 2, HIDDEN + 1)}, ValueError, "the last dimension of x even"),
    (turn, {"cos": draw(ROWS, HIDDEN)}, ValueError, "cos of shape [5, 4]"),
    (turn, {"sin": draw(ROWS + 1, HIDDEN // 2)}, ValueError, "sin of shape [5, 4]"),
    (turn, {"sin": draw(ROWS, HIDDEN // 2).long()}, TypeError, "got int64"),
    (turn, {"cos": draw(ROWS, HIDDEN // 2).to("meta")}, TypeError, "cos on meta"),
    (turn, {"cos": draw(ROWS, HIDDEN // 2).requires_grad_()}, ValueError, "cos without gradient"),
    (turn, {"backend": "triton2"}, ValueError, "did you mean 'triton'?"),
    (packed, {"query": draw(ROWS, HIDDEN)}, ValueError, "query of shape [Nq, heads, D]"),
    (packed, {"query": draw(ROWS, 3, HIDDEN)}, ValueError, "3 heads, 2 kv_heads"),
    (packed, {"key": draw(6, 2, HIDDEN + 2)}, ValueError, "key of shape [T, kv_heads, 8]"),
    (packed, {"value": draw(5, 2, HIDDEN)}, ValueError, "value of shape [6, 2, 8]"),
    (packed, {"value": draw(6, 2, HIDDEN).double()}, TypeError, "value float64"),
    (packed, {"prefix_key": None}, ValueError, "got no prefix_key"),
    (packed, {"prefix_value": draw(2, 2, HIDDEN)}, ValueError, "prefix_value of shape [3, 2, 8]"),
    (packed, {"prefix_value": draw(3, 2, HIDDEN).bfloat16()}, TypeError, "prefix_value bfloat16"),
    (packed, {"offsets": torch.tensor([0, 2, 5])}, ValueError, "offsets that rise from 0 to 6"),
    (packed, {"offsets": torch.tensor([0, 7, 6])}, ValueError, "offsets that rise from 0 to 6"),
    (packed, {"offsets": torch.tensor([0, 2, 6]).int()}, TypeError, "offsets of dtype int64"),
    (packed, {"query_offsets": torch.tensor([0, 5])}, ValueError, "query_offsets of shape [3]"),
    (packed, {"query_offsets": torch.tensor([0, 2, 6])}, ValueError, "query_offsets that rise from 0 to 5"),
    (packed, {"query_offsets": torch.tensor([0, 3, 5])}, ValueError, "3 queries and 2 tokens in row 0"),
    (packed, {"scale": float("inf")}, ValueError, "scale > 0"),
    (packed, {"prefix_key": draw(3, 2, HIDDEN).to("meta")}, TypeError, "prefix_key on meta"),
    (slots, {"query": draw(ROWS, HIDDEN)}, ValueError, "query of shape [A, heads, D]"),
    (slots, {"query": draw(ROWS, 3, HIDDEN)}, ValueError, "3 heads, 2 kv_heads"),
    (slots, {"key": draw(3, 6, HIDDEN)}, ValueError, "key_cache of shape [slots, C, kv_heads, 8]"),
    (slots, {"key": draw(3, 6, 2, HIDDEN + 1)}, ValueError, "key_cache of shape [slots, C, kv_heads, 8]"),
    (slots, {"value": draw(3, 5, 2, HIDDEN)}, ValueError, "value_cache of shape [3, 6, 2, 8]"),
    (slots, {"slot": draw_ids(ROWS + 1, 3)}, ValueError, "slot of shape [5]"),
    (slots, {"length": draw_ids(ROWS, 3).int() + 1}, TypeError, "length of dtype int64"),
    (slots, {"key": draw(3, 6, 2, HIDDEN).double()}, TypeError, "key_cache float64"),
    (slots, {"scale": 0.0}, ValueError, "scale > 0"),
    (slots, {"prefix_key": draw(4, 2, HIDDEN)}, ValueError, "got no prefix_value"),
    (slots, {"prefix_key": draw(4, 1, HIDDEN), "prefix_value": draw(4, 1, HIDDEN)}, ValueError, "prefix_key of shape [P, 2, 8]"),
    (slots, {"prefix_key": draw(4, 2, HIDDEN), "prefix_value": draw(3, 2, HIDDEN)}, ValueError, "prefix_value of shape [4, 2, 8]"),
    (slots, {"query": draw(ROWS, 4, HIDDEN).requires_grad_()}, ValueError, "query without gradient"),
    (slots, {"slot": torch.full((ROWS,), 3)}, IndexError, "every slot from 0 to 2"),
    (slots, {"slot": torch.full((ROWS,), -1)}, IndexError, "from -1 to -1"),
    (slots, {"length": torch.full((ROWS,), 7)}, IndexError, "every length from 1 to 6"),
    (slots, {"length": torch.zeros(ROWS, dtype=torch.int64)}, IndexError, "from 0 to 0"),
    (slots, {"length": torch.ones(ROWS, dtype=torch.int64, device="meta")}, TypeError, "length on meta"),
    # ids
    (linear, {"target": bad_target(VOCAB)}, IndexError, "[16] in rows [3]"),
    (linear, {"target": bad_target(-1)}, IndexError, "[-1] in rows [3]"),
    (selective, {"target": bad_target(VOCAB)}, IndexError, "targets in [0, 16)"),
    (selective, {"target": bad_target(-101)}, IndexError, "[-101] in rows [3]"),
    (linear, {"banned_ids": torch.tensor([0, VOCAB])}, IndexError, "banned_ids in [0, 16)"),
    (sample, {"banned_ids": torch.tensor([-1])}, IndexError, "banned_ids in [0, 16)"),
    (ppo, {"step_index": torch.full((ROWS,), STEPS)}, IndexError, "step_index in [0, 3)"),
    (ppo, {"step_index": torch.full((ROWS,), -1)}, IndexError, "step_index in [0, 3)"),
    (pack, {"row_index": torch.tensor([9])}, IndexError, "row_index in [0, 8)"),
    (pack, {"row_index": torch.tensor([-2])}, IndexError, "row_index in [0, 8)"),
    # options
    (linear, {"temperature": 0.0}, ValueError, "temperature > 0"),
    (linear, {"temperature": -1.0}, ValueError, "temperature > 0"),
    (linear, {"temperature": float("nan")}, ValueError, "temperature > 0"),
    (selective, {"temperature": 0.0}, ValueError, "temperature > 0"),
    (sample, {"temperature": 0.0}, ValueError, "temperature > 0"),
    (linear, {"softcap": -3.0}, ValueError, "softcap > 0"),
    (linear, {"chunk_rows": 0}, ValueError, "chunk_rows > 0"),
    (sample, {"top_p": 1.5}, ValueError, "top_p in [0, 1]"),
    (sample, {"top_k": -1}, ValueError, "top_k >= 0"),
    (sample, {"min_p": -0.1}, ValueError, "min_p in [0, 1]"),
    (ppo, {"clip_low": 1.5}, ValueError, "clip_low in [0, 1]"),
    (ppo, {"clip_high": -0.1}, ValueError, "clip_high >= 0"),
    (ppo, {"kl_estimator": "k4"}, ValueError, "kl_estimator among k1, k2, k3"),
    (ppo, {"ratio_guard": 0.5}, ValueError, "ratio_guard above 1"),
    (ppo, {"log_ratio_cap": 0.0}, ValueError, "log_ratio_cap > 0"),
    (value, {"clip": 0.2}, ValueError, "old_value, which clip needs"),
    (value, {"huber": -1.0}, ValueError, "huber > 0"),
    (gae, {"gamma": 1.5}, ValueError, "gamma in [0, 1]"),
    (gae, {"lam": -0.5}, ValueError, "lam in [0, 1]"),
    (whiten, {"eps": -1.0}, ValueError, "eps >= 0"),
    # gradients that would silently be missing
    (ppo, {"advantages": draw(STEPS).requires_grad_()}, ValueError, "advantages without gradient"),
    (ppo, {"ref_logprob": draw(ROWS).requires_grad_()}, ValueError, "ref_logprob without gradient"),
    (value, {"returns": draw(STEPS).requires_grad_()}, ValueError, "returns without gradient"),
    (linear, {"temperature": torch.ones(ROWS).requires_grad_()}, ValueError, "temperature without gradient"),
    # back ends
    (linear, {"backend": "tritan"}, ValueError, "did you mean 'triton'?"),
    (gae, {"backend": "cuda"}, ValueError, "one of the back ends auto, torch, cpp, triton, triton_fused"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "wrong", "error", "text"), CASES, ids=[f"{c[0].__name__}-{c[3]}" for c in CASES])
def test_a_mistake_is_told_in_four_parts(
    call: Callable[..., Any], wrong: dict[str, Any], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=re.escape(text)) as caught:
        call(**wrong)
    assert isinstance(caught.value, KernelError)
    assert all(part in str(caught.value) for part in ("expected ", "     got ", "   where ", "      do "))


def test_the_calls_without_a_mistake_succeed() -> None:
    """So that each case above fails for its own mistake."""
    for call in (linear, selective, ppo, value, gae, sample, whiten, pack, norm, gated, turn, slots, packed):
        call()
    flat([0, 2, 6])


def test_a_tier_that_cannot_run_is_an_error_when_asked_for_and_never_a_silent_change() -> None:
    meta = draw(ROWS, HIDDEN)
    for backend in ("triton", "triton_fused", "cpp"):
        try:
            k.linear_logprob(meta, draw(VOCAB, HIDDEN), draw_ids(ROWS, VOCAB), backend=backend)
        except KernelError as error:
            assert f"got {backend!r}: " in str(error) and "explain" in str(error)
        else:
            assert k.explain("linear_logprob", backend=backend).startswith(f"{backend}: ")


def test_explain_names_the_tier_and_the_reason() -> None:
    assert k.explain("ppo_clip_loss", backend="torch").startswith("torch: asked for by backend")
    assert re.match("(cpp|torch): .*float32 on the CPU", k.explain("linear_logprob"))
    with pytest.raises(KernelError, match="did you mean 'linear_logprob'"):
        k.explain("linear_logprobs")


def test_the_environment_names_the_tier_that_auto_means(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLDAC_KERNELS", "torch")
    assert k.explain("gae").startswith("torch: asked for by VLDAC_KERNELS")
    monkeypatch.setenv("VLDAC_KERNELS", "fast")
    with pytest.raises(KernelError, match="VLDAC_KERNELS"):
        gae()
    # An explicit argument wins.
    gae(backend="torch")


def test_a_tier_named_for_the_process_leaves_the_decoder_to_auto_unless_it_is_torch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """C++ has float32 alone: a process that asks for it must be able to run a decoder in bfloat16."""
    plain = k.explain("rms_norm", dtype=torch.bfloat16)
    monkeypatch.setenv("VLDAC_KERNELS", "cpp")
    assert k.explain("rms_norm", dtype=torch.bfloat16) == plain
    monkeypatch.setenv("VLDAC_KERNELS", "torch")
    assert k.explain("swiglu").startswith("torch: asked for by VLDAC_KERNELS")


def test_a_dtype_that_only_torch_has_is_no_warning(recwarn: pytest.WarningsRecorder) -> None:
    for dtype in (torch.float64, torch.bfloat16):
        norm(x=draw(ROWS, HIDDEN, dtype=dtype), weight=draw(HIDDEN, dtype=dtype))
    assert not [w for w in recwarn if "back end" in str(w.message)]


def test_a_triton_tier_named_for_the_process_is_that_of_scoring_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Losses and advantages have no Triton kernels that a trainer needs: a run must not end at its first loss."""
    plain = k.explain("ppo_clip_loss")
    monkeypatch.setenv("VLDAC_KERNELS", "triton_fused")
    assert k.explain("ppo_clip_loss") == plain
    gae()
    if not torch.cuda.is_available() and not os.environ.get("TRITON_INTERPRET"):
        with pytest.raises(KernelError, match="VLDAC_KERNELS"):
            k.explain("linear_logprob")
