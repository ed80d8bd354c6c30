"""Decoding over padded rows, and by replay, says what decoding without says.

Without a GPU a captured graph is played by its work itself, run again as it was when it was captured, while a watch sees that it
reads and writes the very storages of then: what a real graph would do.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from vldac.attention import Prefix
from vldac.decode_graphs import DecodeGraphs, padded
from vldac.generation import Generator, Responses, Sampling
from vldac.policy import Policy

INSTRUCTION = "You see a number line game: a target number and a current number. "
MakePolicy = Callable[..., Policy]


class Storages(TorchDispatchMode):
    """Which storages the work inside reads or writes that it did not make."""

    def __init__(self) -> None:
        super().__init__()
        self.outer: set[int] = set()
        self._made: dict[int, torch.Tensor] = {}  # kept alive, so that no address comes twice

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = function(*args, **(kwargs or {}))
        given = {t.untyped_storage().data_ptr(): t for t in tree_leaves((args, kwargs)) if isinstance(t, torch.Tensor)}
        self.outer |= given.keys() - self._made.keys()
        for tensor in tree_leaves(out):
            if isinstance(tensor, torch.Tensor) and (place := tensor.untyped_storage().data_ptr()) not in self.outer:
                self._made[place] = tensor
        return out


class Played:
    """A capture that plays its work again, and looks where it reads and writes."""

    def __init__(self) -> None:
        self.captured = self.replayed = 0

    def __call__(self, work: Callable[[], None], pool: Any) -> Callable[[], None]:
        assert pool is None
        self.captured += 1
        places: list[set[int]] = []

        def replay() -> None:
            with Storages() as storages:
                work()
            self.replayed += 1
            places.append(storages.outer)
            assert places[-1] == places[0], "a graph would read or write what is no longer there"

        return replay


def pad(policy: Policy, capture: Any = None) -> Policy:
    policy.graphs = DecodeGraphs(policy.device, capture)
    policy.graphs.pads = True
    return policy


def ending(policy: Policy) -> Policy:
    """Every fifth id ends a response, so that rows leave at every length."""
    policy.end_ids = torch.arange(0, policy.head_weight.shape[0], 5)
    return policy


def say(policy: Policy, rows: Any, count: int, **options: Any) -> Responses:
    chosen = [i % len(rows.prompts) for i in range(count)]
    settings = {"max_new_tokens": 12, "temperature": 1.0, "seeds": torch.arange(count)} | options
    return policy.act([rows.prompts[i] for i in chosen], [rows.features[i] for i in chosen], **settings)


def assert_same(ours: Responses, theirs: Responses) -> None:
    for a, b in zip(ours.ids, theirs.ids, strict=True):
        assert torch.equal(a, b)
    for a, b in zip(ours.logprob, theirs.logprob, strict=True):
        torch.testing.assert_close(a, b, atol=2e-5, rtol=0)
    torch.testing.assert_close(ours.entropy, theirs.entropy, atol=2e-5, rtol=0)
    torch.testing.assert_close(ours.value, theirs.value, atol=2e-5, rtol=0)
    assert (ours.has_end == theirs.has_end).all()


@torch.no_grad()
def move(*policies: Policy) -> None:
    for policy in policies:
        for _, parameter in policy.lora_parameters():
            parameter.mul_(0.7).add_(0.01)


def test_rows_are_padded_to_powers_of_two_and_never_beyond_the_slots() -> None:
    assert [padded(n, 100) for n in (1, 8, 9, 16, 17, 63, 64, 65, 100)] == [8, 8, 16, 16, 32, 64, 64, 100, 100]
    assert [padded(n, 5) for n in (1, 5)] == [5, 5]


@pytest.mark.parametrize("instruction", ["", INSTRUCTION], ids=["no prefix", "prefix"])
@pytest.mark.parametrize("count", [3, 11])
def test_padded_rows_say_what_rows_without_padding_say(
    make_policy: MakePolicy, make_rows: Any, count: int, instruction: str
) -> None:
    policy = ending(make_policy())
    rows = make_rows(policy, instruction=instruction)
    plain = say(policy, rows, count)
    assert len({len(ids) for ids in plain.ids}) > 2, "rows that all end together need no padding"
    assert_same(say(pad(policy), rows, count), plain)


def test_replayed_steps_follow_rows_weights_prefixes_and_ways_of_sampling(
    make_policy: MakePolicy, make_rows: Any
) -> None:
    """One set of graphs through all that may change; each answer is that of a policy that pads and replays nothing."""
    played = Played()
    ours, theirs = pad(ending(make_policy(kernels="torch")), played), ending(make_policy(kernels="torch"))
    short, long = (make_rows(ours, instruction=text) for text in (INSTRUCTION, INSTRUCTION * 2))

    def both(rows: Any, count: int, **options: Any) -> None:
        assert_same(say(ours, rows, count, **options), say(theirs, rows, count, **options))

    both(long, 11)  # the largest first: nothing grows any more
    for rows, count in ((short, 11), (long, 4), (short, 9)):
        for options in ({}, {"temperature": 0.7, "max_new_tokens": 6}, {"top_k": 3}, {"greedy": True}):
            both(rows, count, **options)
            move(ours, theirs)
            both(rows, count, **options)
            with ours.reference(), theirs.reference():
                both(rows, count, **options)
    assert played.captured <= 32 and played.replayed > 4 * played.captured
    assert ours.graphs.replayed > 0.6 * ours.graphs.decoded


def test_other_banned_or_end_ids_are_obeyed(make_policy: MakePolicy, make_rows: Any) -> None:
    played = Played()
    policy = pad(make_policy(), played)
    rows = make_rows(policy)
    first = say(policy, rows, 8)
    often = torch.cat(first.ids).mode().values
    policy.banned_ids = torch.unique(torch.cat([policy.banned_ids, often[None]]))
    captured = played.captured
    assert not bool((torch.cat(say(policy, rows, 8).ids) == often).any())
    assert played.captured > captured


def test_the_adapters_copies_are_fresh_before_the_first_replay(make_policy: MakePolicy, make_rows: Any) -> None:
    """A graph cannot look whether the weights have moved, and the prefill does not read all copies that decoding reads."""
    policy = pad(make_policy())
    say(policy, make_rows(policy), 3)
    groups = [
        g for layer in policy.decoder.layers for g in (layer.query_key_value, layer.out, layer.gate_up, layer.down)
    ]
    before = [group._cast[1].clone() for group in groups]
    move(policy)
    Generator(policy, Sampling(max_new_tokens=4, temperature=1.0), slots=3, capacity=8)
    for group, stale in zip(groups, before, strict=True):
        assert torch.equal(group._cast[1], group.projections[0].lora_b) and not torch.equal(group._cast[1], stale)


def test_graphs_go_when_slots_or_the_prefixs_place_grow(make_policy: MakePolicy, make_rows: Any) -> None:
    played = Played()
    policy = pad(ending(make_policy()), played)
    plain = ending(make_policy())
    rows = make_rows(policy, instruction=INSTRUCTION)
    longer = make_rows(policy, instruction=INSTRUCTION * 8)
    seen = []
    for asked, count, limit in ((rows, 4, 12), (rows, 4, 12), (rows, 10, 12), (longer, 10, 12), (longer, 10, 90)):
        assert_same(
            say(policy, asked, count, max_new_tokens=limit), say(plain, asked, count, max_new_tokens=limit)
        )  # fmt: skip
        seen.append((id(policy.graphs._slots), policy.graphs._keys.data_ptr(), played.captured))
    assert seen[0] == seen[1], "what is asked for again is neither moved nor captured again"
    assert len({slots for slots, _, _ in seen}) == 3 and len({place for _, place, _ in seen}) == 2
    captured = [number for _, _, number in seen[1:]]
    assert captured == sorted(set(captured)), "old graphs were played after their places had moved"


def test_the_oldest_graphs_go_first_and_few_are_kept(make_policy: MakePolicy, make_rows: Any) -> None:
    policy = pad(make_policy(), Played())
    rows = make_rows(policy)
    for step in range(40):
        say(policy, rows, 3, temperature=1.0 + step / 100, max_new_tokens=5)
    temperatures = [key[1][0].temperature for key in policy.graphs._graphs]
    assert temperatures == [1.0 + step / 100 for step in range(8, 40)]


def test_decoding_goes_on_without_graphs_where_capture_fails_and_says_so_once(
    make_policy: MakePolicy, make_rows: Any
) -> None:
    def fails(work: Callable[[], None], pool: Any) -> Callable[[], None]:
        raise RuntimeError("operation not permitted when stream is capturing\nmore than that")

    policy = make_policy()
    rows = make_rows(policy)
    plain = [say(policy, rows, 5), say(policy, rows, 3)]
    pad(policy, fails)
    with pytest.warns(UserWarning, match=r"without CUDA graphs.*\(operation not permitted when stream is capturing\)"):
        first = say(policy, rows, 5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        second = say(policy, rows, 3)
    for ours, theirs in zip((first, second), plain, strict=True):
        assert_same(ours, theirs)
    assert policy.graphs.replayed == 0 < policy.graphs.decoded


def test_a_prefix_is_copied_once_and_lies_where_the_one_before_lay() -> None:
    graphs = DecodeGraphs(torch.device("cpu"))

    def prefix(length: int) -> Prefix:
        made = Prefix(2, 1.0)
        for layer in range(2):
            made.key[layer], made.value[layer] = torch.randn(length, 1, 4), torch.randn(length, 1, 4)
        return made

    first, second = prefix(20), prefix(9)
    held = graphs.hold(first)
    before = [held.key[1], held.value[0]]
    assert torch.equal(held.key[1], first.key[1]) and torch.equal(held.value[0], first.value[0])
    held.key[1].zero_()
    assert not bool(graphs.hold(first).key[1].any()), "it was copied again although it lay there"
    then = graphs.hold(second)
    assert torch.equal(then.key[1], second.key[1]) and torch.equal(then.value[0], second.value[0])
    assert [t.data_ptr() for t in (then.key[1], then.value[0])] == [t.data_ptr() for t in before]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_cuda_graphs_say_what_eager_decoding_says(checkpoint: Any, make_rows: Any, dtype: torch.dtype) -> None:
    """Bit for bit: the same kernels over the same padded rows."""
    from vldac.config import ModelConfig
    from vldac.model import load_model

    answers = []
    for captures in (True, False):
        model = load_model(str(checkpoint), dtype=dtype, device="cuda")
        policy = Policy(model, ModelConfig(lora_rank=4, value_hidden=(32,)), device=torch.device("cuda"), seed=3)
        for parameter in (p for _, p in policy.lora_parameters()):
            torch.nn.init.trunc_normal_(parameter, std=0.2, generator=torch.Generator("cuda").manual_seed(1))
        policy.end_ids = torch.arange(0, policy.head_weight.shape[0], 5, device="cuda")
        if not captures:
            policy.graphs._capture = None
        rows = make_rows(policy, instruction=INSTRUCTION)
        said = [say(policy, rows, count) for count in (11, 11, 4)]
        move(policy)
        answers.append([*said, say(policy, rows, 11)])
        share = policy.graphs.share()
        assert share is not None and (share > 0.5) == captures
    for ours, theirs in zip(*answers, strict=True):
        assert_same(ours, theirs)
        assert all(torch.equal(a, b) for a, b in zip(ours.logprob, theirs.logprob, strict=True))
