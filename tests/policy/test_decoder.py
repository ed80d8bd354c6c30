"""Our own decoder layers on packed rows are exact: in float64 whatever shares a pass, in float32 against transformers and PEFT."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch

from vldac.attention import RowAttention
from vldac.audit import check_decoder
from vldac.batch import TokenBatch
from vldac.decoder import Decoder
from vldac.errors import ModelError, SelfCheckError
from vldac.lora import Group
from vldac.padded import padded_hidden_states
from vldac.policy import Policy

INSTRUCTION = (
    "You see a number line game: a target number and a current number. Move the current number to the target. Answer with one "
    "JSON object. "
)
PROMPTS = {"images first": "", "instruction first": INSTRUCTION}
MakePolicy = Callable[..., Policy]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Result:
    """What a way of running some rows says, row by row, and the gradient of a loss over all of them."""

    logprob: list[torch.Tensor]
    states: list[torch.Tensor]
    """hidden states that the log-probs are read from, one [tokens, H] per row"""
    gradient: list[torch.Tensor]

    def furthest(self, other: Result) -> float:
        """Largest difference of log-probs, states and gradients, relative to the largest entry of each tensor."""
        pairs = [
            (a, b) for name in ("logprob", "states", "gradient")
            for a, b in zip(getattr(self, name), getattr(other, name), strict=True)
        ]  # fmt: skip
        return max(float((a - b).abs().max() / b.abs().max()) for a, b in pairs)


def run(
    policy: Policy, rows: Any, parts: Sequence[Sequence[int]], *, shared: int | None = None,
    hidden_of: Callable[[Policy, TokenBatch], torch.Tensor] | None = None,
) -> Result:  # fmt: skip
    """Score `rows` in micro-batches `parts`, and differentiate sum of weight x log-prob, weights that tell rows and places apart."""
    logprob: list[Any] = [None] * len(rows.prompts)
    states: list[Any] = [None] * len(rows.prompts)
    policy.zero_grad(set_to_none=True)
    for part in parts:
        batch = policy.collate(
            [rows.prompts[i] for i in part], [rows.responses[i] for i in part], [rows.features[i] for i in part],
            shared=shared,
        )  # fmt: skip
        hidden = (hidden_of or Policy.hidden_states)(policy, batch)
        logits = hidden @ policy.head_weight.t()
        logits = logits.index_fill(1, policy.banned_ids, -torch.inf).to(
            hidden.dtype if hidden.dtype != torch.bfloat16 else torch.float32
        )
        said = logits.log_softmax(-1).gather(-1, batch.targets[:, None])[:, 0]
        counts = [len(rows.responses[i]) for i in part]
        weight = torch.cat(
            [torch.linspace(0.5 + i, 1.5 - i, n, dtype=said.dtype) for i, n in zip(part, counts, strict=True)]
        )
        (weight * said).sum().backward()
        for i, own, state in zip(part, said.detach().split(counts), hidden.detach().split(counts), strict=True):
            logprob[i], states[i] = own, state
    gradient = [parameter.grad for _, parameter in policy.lora_parameters()]
    assert all(g is not None and bool(g.abs().max() > 0) for g in gradient)
    return Result(logprob=logprob, states=states, gradient=gradient)  # type: ignore[arg-type]


@pytest.fixture
def policy64(make_policy: MakePolicy) -> Policy:
    policy = make_policy(dtype=torch.float64)
    assert {parameter.dtype for _, parameter in policy.lora_parameters()} == {torch.float64}
    return policy


@pytest.mark.parametrize("layout", PROMPTS)
def test_packed_rows_equal_each_row_alone_without_sharing(policy64: Policy, make_rows: Any, layout: str) -> None:
    """Log-probs, the states that values are read from, and every LoRA gradient to 1e-10; one, two, no and three images."""
    rows = make_rows(policy64, instruction=PROMPTS[layout])
    batch = policy64.collate(rows.prompts, rows.responses, rows.features)
    assert (batch.prefix is not None and len(batch.prefix.ids) > 30) == (layout == "instruction first")
    together = run(policy64, rows, [[0, 1, 2, 3]])
    alone = run(policy64, rows, [[0], [1], [2], [3]], shared=0)
    assert together.furthest(alone) < 1e-10


@pytest.mark.parametrize("shared", [1, 9, 20])
def test_a_prefix_may_end_anywhere_before_the_first_image(policy64: Policy, make_rows: Any, shared: int) -> None:
    rows = make_rows(policy64, instruction=INSTRUCTION)
    assert run(policy64, rows, [[0, 1, 2, 3]], shared=shared).furthest(run(policy64, rows, [[3, 0, 2, 1]])) < 1e-10


def test_the_loss_and_its_gradient_do_not_depend_on_the_packing(policy64: Policy, make_rows: Any) -> None:
    rows = make_rows(policy64, images=(1, 2, 0, 3, 1), instruction=INSTRUCTION)
    alone = run(policy64, rows, [[i] for i in range(5)])
    draw = random.Random(7)
    for _ in range(4):
        order = draw.sample(range(5), 5)
        cut = draw.randint(1, 4)
        assert run(policy64, rows, [order[:cut], order[cut:]]).furthest(alone) < 1e-10
    assert run(policy64, rows, [[4, 2, 0, 1, 3]]).furthest(alone) < 1e-10


@pytest.mark.parametrize("layout", PROMPTS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_checkpointing_gives_the_same_bits(
    make_policy: MakePolicy, make_rows: Any, layout: str, dtype: torch.dtype
) -> None:
    results = []
    for checkpointing in (False, True):
        policy = make_policy(dtype=dtype, gradient_checkpointing=checkpointing)
        results.append(run(policy, make_rows(policy, instruction=PROMPTS[layout]), [[0, 1], [2, 3]]))
    plain, recomputed = results
    for name in ("logprob", "states", "gradient"):
        pairs = zip(getattr(plain, name), getattr(recomputed, name), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs), name


def test_values_are_read_from_the_last_prompt_token_whatever_is_shared(policy64: Policy, make_rows: Any) -> None:
    rows = make_rows(policy64, instruction=INSTRUCTION)
    with torch.no_grad():
        together = policy64(policy64.collate(rows.prompts, rows.responses, rows.features), temperature=1.0)
        for i in range(4):
            alone = policy64.values([rows.prompts[i]], [rows.features[i]])
            torch.testing.assert_close(together.value[i], alone[0], atol=1e-5, rtol=0)  # the head itself is float32
    assert float(together.value.std()) > 1e-2


# -- against transformers and PEFT ------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", PROMPTS)
def test_float32_equals_transformers_forward_and_pefts_gradients(
    make_policy: MakePolicy, make_rows: Any, randomise_weights: Callable[..., None], layout: str
) -> None:
    """Relative to the largest entry: log-probs and hidden states 2e-5 (other shapes round otherwise), every gradient 1e-5 in norm."""
    policy = make_policy()
    randomise_weights(policy, scale=0.05)
    rows = make_rows(policy, instruction=PROMPTS[layout])
    ours = run(policy, rows, [[0, 1, 2, 3]])
    theirs = run(policy, rows, [[0, 1, 2, 3]], hidden_of=padded_hidden_states)
    for name in ("logprob", "states"):
        for a, b in zip(getattr(ours, name), getattr(theirs, name), strict=True):
            assert float((a - b).abs().max() / b.abs().max()) < 2e-5
    for (name, _), a, b in zip(policy.lora_parameters(), ours.gradient, theirs.gradient, strict=True):
        assert float((a - b).norm() / b.norm()) < 1e-5, name


def test_bfloat16_is_within_twice_the_rounding_of_transformers(
    make_policy: MakePolicy, make_rows: Any, randomise_weights: Callable[..., None]
) -> None:
    """Errors of hidden states and gradients, in norm over all tensors, against float32 on the same rounded weights.

    transformers' residual stream behind PEFT's float32 adapter is float32; ours stays bfloat16.
    """
    low, full = make_policy(dtype=torch.bfloat16), make_policy()
    for policy in (low, full):
        randomise_weights(policy, scale=0.05)
    full.network.load_state_dict(low.network.state_dict())
    rows, wide_rows = (make_rows(policy, instruction=INSTRUCTION) for policy in (low, full))
    for wide, own in zip(wide_rows.features, rows.features, strict=True):
        for i, frame in enumerate(own):
            deepstack = tuple(layer.float() for layer in frame.deepstack)
            wide[i] = dataclasses.replace(frame, embeds=frame.embeds.float(), deepstack=deepstack)
    parts = [[0, 1, 2, 3]]
    truth = run(full, wide_rows, parts)
    ours, theirs = run(low, rows, parts), run(low, rows, parts, hidden_of=padded_hidden_states)

    def error(result: Result, name: str) -> float:
        pairs = list(zip(getattr(result, name), getattr(truth, name), strict=True))
        wrong = sum(float((a.float() - b).pow(2).sum()) for a, b in pairs)
        return (wrong / sum(float(b.pow(2).sum()) for _, b in pairs)) ** 0.5

    for name in ("states", "gradient"):
        assert 1e-3 < error(ours, name) < 2 * error(theirs, name), (name, error(ours, name), error(theirs, name))


def test_the_self_check_passes_and_leaves_the_adapter_as_it_was(make_policy: MakePolicy, make_rows: Any) -> None:
    for dtype in (torch.float32, torch.bfloat16):
        policy = make_policy(dtype=dtype, fresh=True)
        rows = make_rows(policy, instruction=INSTRUCTION)
        before = [parameter.detach().clone() for _, parameter in policy.lora_parameters()]
        check_decoder(policy, policy.collate(rows.prompts, rows.responses, rows.features))
        after = [parameter for _, parameter in policy.lora_parameters()]
        assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def shift_rows(self: RowAttention, layout: Any, *arguments: Any, **options: Any) -> None:
    """A row begins with its neighbour's last token."""
    offsets = layout.offsets.clone()
    offsets[1:-1] -= 1
    INIT(self, dataclasses.replace(layout, offsets=offsets), *arguments, **options)


INIT = RowAttention.__init__
FAULTS: dict[str, Callable[[pytest.MonkeyPatch, Policy], None]] = {
    "a row sees its neighbour": lambda patch, _: patch.setattr(RowAttention, "__init__", shift_rows),
    "no adapter": lambda patch, policy: patch.setattr(policy, "is_adapted", False),
    "another scale of the adapter": lambda patch, policy: [
        patch.setattr(group, "scale", 2 * group.scale)
        for layer in policy.decoder.layers
        for group in (layer.query_key_value, layer.gate_up, layer.down, layer.out)
    ],
    "one axis of the positions for all three": lambda patch, policy: patch.setattr(
        policy.decoder, "rotary", lambda positions, dtype, right=policy.decoder.rotary: right(positions[0], dtype)
    ),
    "the wrong size of attention scores": lambda patch, policy: patch.setattr(policy.decoder, "scale", 1.0),
}


@pytest.mark.parametrize(
    ("dtype", "fault"),
    [(torch.float32, fault) for fault in FAULTS] + [(torch.bfloat16, fault) for fault in FAULTS if "axis" not in fault],
)
def test_the_self_check_notices(
    make_policy: MakePolicy, make_rows: Any, monkeypatch: pytest.MonkeyPatch, fault: str, dtype: torch.dtype
) -> None:
    policy = make_policy(dtype=dtype, fresh=True)
    rows = make_rows(policy, instruction=INSTRUCTION)
    batch = policy.collate(rows.prompts, rows.responses, rows.features)
    FAULTS[fault](monkeypatch, policy)
    with pytest.raises(SelfCheckError, match="transformers' own forward pass") as error:
        check_decoder(policy, batch)
    assert "worst" in str(error.value) and "waived" in str(error.value)


def test_a_row_that_sees_its_neighbour_would_be_noticed_in_float64(
    policy64: Policy, make_rows: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = make_rows(policy64)
    alone = run(policy64, rows, [[0], [1], [2], [3]])
    monkeypatch.setattr(RowAttention, "__init__", shift_rows)
    assert run(policy64, rows, [[0, 1, 2, 3]]).furthest(alone) > 1e-3


def test_transformers_leaks_across_packed_rows_without_text_positions(policy64: Policy, make_rows: Any) -> None:
    """The known fault of packing through transformers ([3, 1, T] positions): our comparison tells it from the right [4, 1, T]."""
    rows = make_rows(policy64, images=(0, 0, 1))
    prompts, responses = rows.prompts[:2], rows.responses[:2]
    ids = [torch.cat([p.ids, r]) for p, r in zip(prompts, responses, strict=True)]
    text = torch.cat([torch.arange(len(own)) for own in ids])
    batch = policy64.collate(prompts, responses, [[], []], shared=0)
    with torch.no_grad():
        ours = policy64.hidden_states(batch)
        embedded = policy64.decoder.embed(torch.cat(ids))[None]
        packed = [
            policy64.network.model.language_model(
                inputs_embeds=embedded, position_ids=text.expand(axes, 1, -1), use_cache=False
            ).last_hidden_state[0] for axes in (4, 3)
        ]  # fmt: skip
    ends = torch.tensor([len(own) for own in ids]).cumsum(0).tolist()
    kept = torch.cat([torch.arange(e - len(r) - 1, e - 1) for e, r in zip(ends, responses, strict=True)])
    right, leaking = (float((out[kept] - ours).abs().max() / ours.abs().max()) for out in packed)
    assert right < 1e-5 < 1e-2 < leaking  # transformers' norms and angles are float32


# -- the shared prefix ------------------------------------------------------------------------------------------------


def test_the_references_prefix_is_run_once_and_the_policys_after_each_step(
    make_policy: MakePolicy, make_rows: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = make_policy()
    rows = make_rows(policy, instruction=INSTRUCTION)
    batch = policy.collate(rows.prompts, rows.responses, rows.features)
    optimizer = torch.optim.Adam([parameter for _, parameter in policy.lora_parameters()], lr=1e-2)
    run_for: list[bool] = []
    original = Policy._run_prefix

    def counted(self: Policy, tokens: Any) -> Any:
        if not torch.is_grad_enabled():
            run_for.append(self.is_adapted)
        return original(self, tokens)

    monkeypatch.setattr(Policy, "_run_prefix", counted)
    seen = []
    for _ in range(3):
        with torch.no_grad():
            seen.append(policy(batch, temperature=1.0).logprob)
            policy(batch, temperature=1.0)
            policy.act(rows.prompts, rows.features, seeds=torch.arange(4), max_new_tokens=3, temperature=1.0)
            with policy.reference():
                policy(batch, temperature=1.0)
        policy(batch, temperature=1.0).logprob.mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    assert run_for.count(True) == 3 and run_for.count(False) == 1
    assert float((seen[0] - seen[1]).abs().max()) > 1e-3


def test_gradients_flow_through_the_prefix(policy64: Policy, make_rows: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys and values of the prefix that were detached would change the gradients, not the log-probs."""
    rows = make_rows(policy64, instruction=INSTRUCTION)
    right = run(policy64, rows, [[0, 1, 2, 3]])
    with_gradient = Policy.prefix

    def detached(self: Policy, tokens: Any) -> Any:
        prefix = with_gradient(self, tokens)
        prefix.key = [key.detach() for key in prefix.key if key is not None]
        return prefix

    monkeypatch.setattr(Policy, "prefix", detached)
    wrong = run(policy64, rows, [[0, 1, 2, 3]])
    assert all(torch.equal(a, b) for a, b in zip(right.logprob, wrong.logprob, strict=True))
    assert right.furthest(wrong) > 1e-4


# -- what these layers would not compute ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [({"hidden_act": "gelu"}, "hidden_act silu"), ({"layer_types": ["sliding_attention"] * 2}, "full attention")],
)
def test_another_kind_of_decoder_is_refused(model: Any, change: dict[str, Any], message: str) -> None:
    for name, value in change.items():
        setattr(model.network.model.language_model.config, name, value)
    with pytest.raises(ModelError, match=message):
        Decoder(model.network, "this model")


def test_a_replaced_linear_layer_is_refused(model: Any) -> None:
    class Quantised(torch.nn.Linear):
        pass

    model.network.model.language_model.layers[0].self_attn.q_proj = Quantised(128, 128)
    with pytest.raises(ModelError, match="without quantisation"):
        Decoder(model.network, "this model")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_adapters_weights_are_cast_once_until_they_change_and_then_in_their_place(
    make_policy: MakePolicy, dtype: torch.dtype
) -> None:
    policy = make_policy(dtype=dtype)
    group: Group = policy.decoder.layers[0].query_key_value
    first = group._weights(dtype)
    before = [weight.clone() for weight in first]
    with torch.no_grad():
        first[0].add_(1.0)
        assert torch.equal(group._weights(dtype)[0], first[0]), "they are read again although nothing has changed"
        policy.lora_parameters()[0][1].add_(1.0)
    again = group._weights(dtype)
    places = [weight.data_ptr() for weight in first]
    assert [weight.data_ptr() for weight in again] == places, "a captured graph would read the old ones"
    rank = len(policy.lora_parameters()[0][1])
    torch.testing.assert_close(again[0][:rank].float(), before[0][:rank].float() + 1.0, atol=1e-2, rtol=1e-2)
    assert all(
        torch.equal(a, b) for a, b in zip([again[0][rank:], *again[1:]], [before[0][rank:], *before[1:]], strict=True)
    )
