"""Decoding steps over padded numbers of rows, on a GPU by replay of CUDA graphs: one launch per token instead of one per kernel.

The number of rows is padded to 8, 16, 32, ... up to the slots, so that few graphs serve a rollout in which rows come and go. All that
a step reads and writes stays in its place: the rows' state (`vldac.slots`), the weights, the adapter's cast copies (`vldac.lora`),
and the shared prefix, whose keys and values are copied to a place of their own here. Which rows take part is a tensor, too; padding
decodes in the spare slot, and nothing of it is read.

A graph holds for one number of rows, one length of the prefix, one way of sampling, and the adapter on or off. It is captured when a
step is wanted for the second time: the first time the step runs as it is, on a stream of its own, so that kernels are compiled and
library handles exist. Graphs go when a place changes, the oldest beyond `_KEPT` too. Where capture fails, decoding goes on without,
and says so once.
"""

from __future__ import annotations

import copy
import warnings
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import torch

from vldac.attention import Prefix
from vldac.slots import Slots

Step = Callable[[torch.Tensor], torch.Tensor]
"""[A] int64 slots to [A] int8: one token in each, and what became of it"""
Capture = Callable[[Callable[[], None], Any], Callable[[], None]]
"""(work, memory pool) to what repeats the work. Raises RuntimeError where the work cannot be captured."""

_SMALLEST = 8
_KEPT = 32
"""Graphs at most, of all numbers of rows, prefixes and ways of sampling together."""
_PREFIX_UNIT = 64
"""The prefix's place is a multiple of so many tokens, so that it moves seldom."""


def padded(rows: int, slots: int) -> int:
    """Return the number of rows that `rows` are padded to: a power of two from 8 on, at most all slots."""
    return min(max(_SMALLEST, 1 << (rows - 1).bit_length()), slots)


class DecodeGraphs:
    """Runs the steps of a policy's generators."""

    def __init__(self, device: torch.device, capture: Capture | None = None) -> None:
        """capture: None takes CUDA's graphs on a GPU, and nothing elsewhere."""
        self._device = device
        self._capture = capture or (_capture if device.type == "cuda" else None)
        self.pads = device.type == "cuda"
        """Whether steps run over padded numbers of rows; without, they run as they are."""
        self.decoded = self.replayed = 0
        """Tokens since the last `share`: all, and those by replay"""
        self._slots: Slots | None = None
        self._stream: torch.cuda.Stream | None = None
        self._keys = self._values = torch.empty(0)
        """[layers, places, kv heads, D] each, the prefix's place"""
        self._held: Prefix | None = None
        """What lies there"""
        self.forget()

    def forget(self) -> None:
        """Throw the graphs away."""
        self._graphs: OrderedDict[Hashable, Callable[[], None] | None] = OrderedDict()
        """None: the step ran once, and may be captured"""
        self._pool = torch.cuda.graph_pool_handle() if self._device.type == "cuda" else None

    def hold(self, prefix: Prefix) -> Prefix:
        """Copy a prefix to its place, unless it lies there, and return it as it lies there."""
        keys, values = prefix.key, prefix.value
        first = keys[0]
        assert first is not None, "a prefix that was run"
        length = len(first)
        if self._keys.dim() != 4 or self._keys.shape[1] < length:
            shape = (len(keys), -(-length // _PREFIX_UNIT) * _PREFIX_UNIT, *first.shape[1:])
            self._keys, self._values = first.new_zeros(shape), first.new_zeros(shape)
            self._held = None
            self.forget()
        place = copy.copy(prefix)
        place.key, place.value = ([layer[:length] for layer in room] for room in (self._keys, self._values))
        if self._held is not prefix:
            for room, tensors in ((self._keys, keys), (self._values, values)):
                for layer, tensor in zip(room, tensors, strict=True):
                    assert tensor is not None, "a prefix that was run"
                    layer[:length].copy_(tensor)
            self._held = prefix
        return place

    def run(self, slots: Slots, active: Sequence[int], key: Hashable, step: Step) -> torch.Tensor:
        """Take a step in the slots `active` and return what became of each, [A] int8 on the device, good until the next step.

        key: all that a step depends on beside the rows' number and what lies in places that stay; tensors in it are kept alive, and
        another tensor is another key. With `pads`, `step` must read and write nothing else.
        """
        self.decoded += len(active)
        if not self.pads:
            return step(torch.tensor(active, device=self._device))
        if slots is not self._slots:
            self._take(slots)
        count = padded(len(active), slots.count)
        rows, states = self._rows[:count], self._states[:count]
        self._name(active, slots.spare)

        def work() -> None:
            states.copy_(step(rows))

        repeat = self._graph((count, key), work)
        if repeat is None:
            self._run_apart(work)
        else:
            repeat()
            self.replayed += len(active)
        return states[: len(active)]

    def share(self) -> float | None:
        """Return the share of the tokens decoded by replay since it was last asked for; None off a GPU, or without any."""
        decoded, replayed = self.decoded, self.replayed
        self.decoded = self.replayed = 0
        return replayed / decoded if decoded and self._device.type == "cuda" else None

    # -- parts ------------------------------------------------------------------------------------------------------

    def _take(self, slots: Slots) -> None:
        self._slots = slots
        self._named = [slots.spare] * slots.count
        self._names = torch.full((slots.count,), slots.spare, pin_memory=self._device.type == "cuda")
        """On the host"""
        self._rows = self._names.to(self._device)
        self._states = torch.zeros(slots.count, dtype=torch.int8, device=self._device)
        self.forget()

    def _name(self, active: Sequence[int], spare: int) -> None:
        """Put the active slots first, and the spare one behind them; the step before has been waited for."""
        named = [*active, *[spare] * (len(self._named) - len(active))]
        if named != self._named:
            self._named = named
            self._names.copy_(torch.tensor(named))
            self._rows.copy_(self._names, non_blocking=True)

    def _graph(self, key: Hashable, work: Callable[[], None]) -> Callable[[], None] | None:
        """Return what repeats the work; None where it must run as it is."""
        if self._capture is None:
            return None
        if key not in self._graphs:
            self._graphs[key] = None
            if len(self._graphs) > _KEPT:
                self._graphs.popitem(last=False)
            return None
        self._graphs.move_to_end(key)
        repeat = self._graphs[key]
        if repeat is None:
            try:
                self._graphs[key] = repeat = self._capture(work, self._pool)
            except RuntimeError as error:
                reason = (str(error).strip() or type(error).__name__).splitlines()[0]
                warnings.warn(f"decoding goes on without CUDA graphs: their capture failed ({reason})", stacklevel=4)
                self._capture = None
                self.forget()
        return repeat

    def _run_apart(self, work: Callable[[], None]) -> None:
        """On a stream of its own, as a capture will."""
        if self._capture is None or self._device.type != "cuda":
            work()
            return
        if self._stream is None:
            self._stream = torch.cuda.Stream(self._device)
        current = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            work()
        current.wait_stream(self._stream)


def _capture(work: Callable[[], None], pool: Any) -> Callable[[], None]:
    """Capture work on the current GPU; other threads may go on using it."""
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"):
        work()
    return graph.replay
