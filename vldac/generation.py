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
from typing import TYPE_CHECKING, Any

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
    """Rows being generated, each in a slot from `admit` to `take`. One adapter state: make a new one when the weights move."""

    def __init__(self, policy: Policy, sampling: Sampling, *, slots: int, capacity: int) -> None:
        """slots: rows at a time. capacity: tokens of a slot, a prompt's own behind the shared prefix and its response."""
        device, limit = policy.device, sampling.max_new_tokens
        self.policy, self.sampling, self.slots = policy, sampling, slots
        self.cache = policy.slot_cache(slots=slots, capacity=capacity)
        self.active: list[int] = []
        """Slots whose response goes on, in the order of their admission."""
        self._shared = 0
        self._prefix: Prefix | None = None
        integers: dict[str, Any] = {"dtype": torch.int64, "device": device}
        # Per slot, on the device.
        self._seed = torch.zeros(slots, **integers)
        self._places = torch.zeros(slots, **integers)
        """places taken in the cache"""
        self._position = torch.zeros(slots, **integers)
        """rotary position of the next token"""
        self._count = torch.zeros(slots, **integers)
        """tokens said"""
        self._ended = torch.zeros(slots, dtype=torch.bool, device=device)
        self._tokens = torch.zeros(slots, limit, **integers)
        self._logprob = torch.zeros(slots, limit, device=device)
        self._entropy = torch.zeros(slots, limit, device=device)
        self._value = torch.zeros(slots, device=device)
        self._value_input = torch.zeros(slots, policy.hidden_size, dtype=policy.dtype, device=device)

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
        policy = self.policy
        if self.active and shared != self._shared:
            raise SelfCheckError(
                expected=f"rows that share the running rows' prefix of {self._shared} tokens", got=str(shared),
                where="admission to the generator", do="report this: rows of two prefixes met",
            )  # fmt: skip
        self._shared, tokens = shared, prefix_tokens(prompts[0], shared)
        self._prefix = None if tokens is None else policy.prefix(tokens)
        nothing = torch.empty(0, dtype=torch.int64)
        batch = collate(
            prompts, [nothing] * len(prompts), features, policy.device, policy.image_token_id, shared=shared
        )
        lengths = batch.layout.lengths
        check_capacity(
            int(lengths.max()) + self.sampling.max_new_tokens - 1, self.cache.capacity, "admission to a slot"
        )
        rows = torch.tensor(list(slots))
        inside = torch.arange(len(batch.input_ids)) - batch.layout.offsets[:-1].repeat_interleave(lengths)
        place = rows.repeat_interleave(lengths) * self.cache.capacity + inside
        with span("prefill"):
            hidden = policy.hidden_states(
                batch, lambda rows: PrefillAttention(rows, self.cache, place.to(policy.device))
            )
            value = policy.value_head(hidden)
        on = rows.to(policy.device)
        self._seed[on] = seeds.to(policy.device)
        self._places[on] = lengths.to(policy.device)
        self._position[on] = torch.tensor([p.next_position for p in prompts], device=policy.device)
        self._count[on] = 0
        self._value[on], self._value_input[on] = value, hidden
        done = self._sample(on, list(slots), hidden)
        self.active += [slot for slot in slots if slot not in done]
        return done

    @torch.no_grad()
    def advance(self, meanwhile: Callable[[], None] | None = None) -> list[int]:
        """Decode one token in every active row; returns the slots whose response is done.

        meanwhile: called when the work is handed to the device, before its answer is waited for. It must not touch this generator.
        """
        policy, on = self.policy, torch.tensor(self.active, device=self.policy.device)
        token = self._tokens[on, self._count[on] - 1]
        attend = SlotAttention(self.cache, self._prefix, on, self._places[on], scale=policy.decoder.scale)
        with span("decode"):
            hidden = policy.decoder(
                policy.decoder.embed(token), self._position[on], attend, is_adapted=policy.is_adapted
            )
        self._places[on] += 1
        self._position[on] += 1
        done = self._sample(on, self.active, hidden, meanwhile)
        if done:
            gone = set(done)
            self.active = [slot for slot in self.active if slot not in gone]
        return done

    def _sample(
        self, on: torch.Tensor, slots: Sequence[int], hidden: torch.Tensor, meanwhile: Callable[[], None] | None = None
    ) -> list[int]:
        """Draw the next token of each row; hidden: [A, H]. Returns the slots that are done: the one synchronisation of a token."""
        policy, sampling = self.policy, self.sampling
        count = self._count[on]
        with span("sample"):
            sampled = sample_with_logprob(
                head_logits(hidden, policy.head_weight),
                temperature=sampling.temperature,
                banned_ids=policy.banned_ids,
                top_k=sampling.top_k,
                seed=self._seed[on],
                position=count,
                greedy=sampling.greedy,
                backend=vector_backend(policy.kernels),
            )
        self._tokens[on, count] = sampled.token
        self._logprob[on, count] = sampled.logprob_raw
        self._entropy[on, count] = sampled.entropy
        is_end = torch.isin(sampled.token, policy.end_ids)
        self._count[on], self._ended[on] = count + 1, is_end
        is_done = is_end | (count + 1 == sampling.max_new_tokens)
        answer = _on_its_way(is_done.to(torch.int8) + 2 * (~sampled.valid).to(torch.int8))
        if meanwhile is not None:
            meanwhile()
        states = answer()
        if max(states) > 1:
            raise SelfCheckError(
                expected="finite logits",
                got="NaN or infinite logits while decoding",
                where=f"response token {int(count[states.index(max(states))])}",
                do="check the weights and the learning rate; resume from the last good checkpoint",
            )
        return [slot for slot, state in zip(slots, states, strict=True) if state]

    def take(self, slots: Sequence[int]) -> Responses:
        """Return the responses of slots that are done, in the given order; the slots are free again."""
        on = torch.tensor(list(slots), device=self.policy.device)
        counts = self._count[on]
        lengths = counts.tolist()
        tokens, logprobs, entropies = (rows[on].cpu() for rows in (self._tokens, self._logprob, self._entropy))
        is_said = torch.arange(self.sampling.max_new_tokens) < torch.tensor(lengths)[:, None]
        return Responses(
            ids=[tokens[i, :n].clone() for i, n in enumerate(lengths)],
            logprob=[logprobs[i, :n].clone() for i, n in enumerate(lengths)],
            entropy=entropies.masked_fill(~is_said, 0.0).sum(1) / is_said.sum(1),
            value=self._value[on].cpu(),
            value_input=self._value_input[on],
            has_end=self._ended[on].cpu().numpy(),
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
