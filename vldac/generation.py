"""Generating responses: a slot per row, prefill and decoding apart, rows admitted and retired one by one.

`admit` runs the prompts of new rows (behind the shared prefix, whose keys and values are there already), reads their values and
samples their first tokens; `advance` decodes one token in every row that is not done. A row's tokens depend on its own prompt and
seed, not on its neighbours (within rounding), so rows may come and go in any order: one batch at a time (`Policy.act`), or
whenever an environment is ready (`vldac.rollout`).

Shapes: B rows admitted, A rows that decode, H hidden, N token limit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from vldac.attention import PrefillAttention, Prefix, SlotAttention, check_capacity
from vldac.batch import FrameFeatures, collate, prefix_tokens
from vldac.errors import SelfCheckError
from vldac.kernels import sample_with_logprob
from vldac.kernels.dispatch import vector_backend
from vldac.kernels.product import head_logits
from vldac.packing import in_parts
from vldac.prompting import Prompt
from vldac.spans import span

if TYPE_CHECKING:
    from vldac.policy import Policy


@dataclass(frozen=True, kw_only=True, slots=True)
class Responses:
    """One response per row."""

    ids: list[torch.Tensor]
    """Per row [tokens] int64, end-of-turn included when it was reached."""
    logprob: list[torch.Tensor]
    """Per row [tokens] float32, log-prob of decoding."""
    entropy: torch.Tensor
    """[B] float32, mean over the row's tokens"""
    value: torch.Tensor
    """[B] float32, from the prefill"""
    value_input: torch.Tensor
    """[B, H] in the model's dtype, on the policy's device: the prefill's hidden states that the values were read from"""
    has_end: np.ndarray
    """[B] bool, False where the response was cut at the limit"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sampling:
    """How tokens are drawn."""

    max_new_tokens: int
    temperature: float
    top_k: int = 0
    greedy: bool = False


class Generator:
    """Rows being generated, each in a slot from `admit` to `take`. One adapter state: make a new one when the weights move.

    A policy has one set of slots, so that one generator decodes at a time.
    """

    def __init__(self, policy: Policy, sampling: Sampling, *, slots: int, capacity: int) -> None:
        """slots: rows at a time. capacity: tokens of a slot, a prompt's own behind the shared prefix and its response."""
        self.policy, self.sampling = policy, sampling
        self.slots = policy.slots(slots=slots, capacity=capacity, limit=sampling.max_new_tokens)
        self.active: list[int] = []
        """Slots whose response goes on, in the order of their admission."""
        self._shared = 0
        self._prefix: Prefix | None = None
        if policy.graphs.pads:
            policy.decoder.refresh_adapter(policy.dtype)

    @torch.no_grad()
    def admit(
        self,
        slots: Sequence[int],
        prompts: Sequence[Prompt],
        features: Sequence[Sequence[FrameFeatures]],
        seeds: torch.Tensor,
        *,
        shared: int,
    ) -> list[int]:
        """Start a response in each of `slots`; returns those that are done with their first token.

        seeds: [B] int64. shared: tokens of the prompts' common prefix, the same for all rows that decode together. Where memory
        runs out, the rows are read in parts.
        """

        def run(part: slice) -> list[int]:
            return self._admit(slots[part], prompts[part], features[part], seeds[part], shared=shared)

        def tokens(part: slice) -> int:
            return sum(len(prompt.ids) - shared for prompt in prompts[part])

        return [slot for done in in_parts(self.policy.budget, len(slots), run, tokens) for slot in done]

    def _admit(
        self,
        slots: Sequence[int],
        prompts: Sequence[Prompt],
        features: Sequence[Sequence[FrameFeatures]],
        seeds: torch.Tensor,
        *,
        shared: int,
    ) -> list[int]:
        policy, state = self.policy, self.slots
        if self.active and shared != self._shared:
            raise SelfCheckError(
                expected=f"rows that share the running rows' prefix of {self._shared} tokens", got=str(shared),
                where="admission to the generator", do="report this: rows of two prefixes met",
            )  # fmt: skip
        self._shared, tokens = shared, prefix_tokens(prompts[0], shared)
        self._prefix = None if tokens is None else policy.prefix(tokens)
        if self._prefix is not None and policy.graphs.pads:
            self._prefix = policy.graphs.hold(self._prefix)
        nothing = torch.empty(0, dtype=torch.int64)
        batch = collate(
            prompts, [nothing] * len(prompts), features, policy.device, policy.image_token_id, shared=shared
        )
        lengths, capacity = batch.layout.lengths, state.cache.capacity
        check_capacity(int(lengths.max()) + self.sampling.max_new_tokens - 1, capacity, "admission to a slot")
        rows = torch.tensor(list(slots))
        inside = torch.arange(len(batch.input_ids)) - batch.layout.offsets[:-1].repeat_interleave(lengths)
        place = rows.repeat_interleave(lengths) * capacity + inside
        with span("prefill"):
            hidden = policy.hidden_states(
                batch, lambda rows: PrefillAttention(rows, state.cache, place.to(policy.device))
            )
            value = policy.value_head(hidden)
        on = rows.to(policy.device)
        state.seed[on] = seeds.to(policy.device)
        state.places[on] = lengths.to(policy.device)
        state.position[on] = torch.tensor([p.next_position for p in prompts], device=policy.device)
        state.said[on] = 0
        state.value[on], state.value_input[on] = value, hidden
        with span("sample"):
            done = self._done(list(slots), self._sample(on, hidden).tolist())
        self.active += [slot for slot in slots if slot not in done]
        return done

    @torch.no_grad()
    def advance(self, meanwhile: Callable[[], None] | None = None) -> list[int]:
        """Decode one token in every active row; returns the slots whose response is done.

        meanwhile: called when the work is handed to the device, before its answer is waited for. It must not touch this generator.
        """
        policy, active = self.policy, self.active
        key = (self.sampling, self._shared, policy.is_adapted, policy.banned_ids, policy.end_ids)
        with span("decode"):
            states = _on_its_way(policy.graphs.run(self.slots, active, key, self._step))
        if meanwhile is not None:
            meanwhile()
        with span("decode"):
            done = self._done(active, states())
        if done:
            gone = set(done)
            self.active = [slot for slot in active if slot not in gone]
        return done

    def _step(self, on: torch.Tensor) -> torch.Tensor:
        """Decode one token in each of the slots `on` [A]; returns what became of it, [A] int8 (see `_sample`).

        Nothing waits for the device, and every tensor that outlives the step stays in its place: it may be captured in a graph.
        """
        policy, state = self.policy, self.slots
        token = state.tokens[on, state.said[on] - 1]
        decoder = policy.decoder
        attend = SlotAttention(
            state.cache, self._prefix, on, state.places[on], scale=decoder.scale, backend=decoder.backend
        )
        hidden = decoder(decoder.embed(token), state.position[on], attend, is_adapted=policy.is_adapted)
        one = (on != state.spare).to(torch.int64)
        state.places[on] += one
        state.position[on] += one
        return self._sample(on, hidden)

    def _sample(self, on: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
        """Draw the next token of each slot; hidden: [A, H]. Returns [A] int8: 0 goes on, 1 is done, 2 and 3 have no finite logits."""
        policy, sampling, state = self.policy, self.sampling, self.slots
        said = state.said[on]
        sampled = sample_with_logprob(
            head_logits(hidden, policy.head_weight),
            temperature=sampling.temperature,
            banned_ids=policy.banned_ids,
            top_k=sampling.top_k,
            seed=state.seed[on],
            position=said,
            greedy=sampling.greedy,
            backend=vector_backend(policy.kernels),
        )
        state.tokens[on, said] = sampled.token
        state.logprob[on, said] = sampled.logprob_raw
        state.entropy[on, said] = sampled.entropy
        is_end = (sampled.token[:, None] == policy.end_ids).any(1)
        said = said + (on != state.spare)
        state.said[on], state.has_end[on] = said, is_end
        is_done = is_end | (said == sampling.max_new_tokens)
        states: torch.Tensor = is_done.to(torch.int8) + 2 * (~sampled.valid).to(torch.int8)
        return states

    def _done(self, slots: Sequence[int], states: Sequence[int]) -> list[int]:
        """Those of `slots` that are done. Raises SelfCheckError where the logits were not finite."""
        if max(states) > 1:
            slot = slots[states.index(max(states))]
            raise SelfCheckError(
                expected="finite logits",
                got="NaN or infinite logits while decoding",
                where=f"response token {int(self.slots.said[slot]) - 1}",
                do="check the weights and the learning rate; resume from the last good checkpoint",
            )
        return [slot for slot, state in zip(slots, states, strict=True) if state]

    def take(self, slots: Sequence[int]) -> Responses:
        """Return the responses of slots that are done, in the given order; the slots are free again."""
        state, on = self.slots, torch.tensor(list(slots), device=self.policy.device)
        lengths = state.said[on].tolist()
        tokens, logprobs, entropies = (rows[on].cpu() for rows in (state.tokens, state.logprob, state.entropy))
        is_said = torch.arange(tokens.shape[1]) < torch.tensor(lengths)[:, None]
        return Responses(
            ids=[tokens[i, :n].clone() for i, n in enumerate(lengths)],
            logprob=[logprobs[i, :n].clone() for i, n in enumerate(lengths)],
            entropy=entropies.masked_fill(~is_said, 0.0).sum(1) / is_said.sum(1),
            value=state.value[on].cpu(),
            value_input=state.value_input[on],
            has_end=state.has_end[on].cpu().numpy(),
        )


def _on_its_way(tensor: torch.Tensor) -> Callable[[], list[int]]:
    """Start to copy a tensor to the host; what is returned waits for this copy alone, not for work that was queued behind it."""
    if tensor.device.type != "cuda":
        return tensor.tolist
    copy, there = tensor.to("cpu", non_blocking=True), torch.cuda.Event()
    there.record()

    def wait() -> list[int]:
        there.synchronize()
        values: list[int] = copy.tolist()
        return values

    return wait
