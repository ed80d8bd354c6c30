"""How many tokens go through the model at once: micro-batches by a budget of packed tokens, halved whenever memory runs out.

A pass costs its rows' own tokens, and the shared prefix once. The size of micro-batches changes results by rounding alone, but it
does change them: the budget in use is part of a checkpoint and of the metrics.
"""

from __future__ import annotations

import contextlib
import gc
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch

from vldac import _core
from vldac.batch import prefix_of
from vldac.errors import DeviceMemoryError

if TYPE_CHECKING:
    from vldac.data import RolloutBatch

Rows = np.ndarray
"""[steps of a micro-batch] int64, positions in the batch"""
_Result = TypeVar("_Result")


def _no_estimate() -> tuple[str, str]:
    return "not known here", "use fewer environments, shorter prompts or a smaller model"


@dataclass(kw_only=True, slots=True)
class PassBudget:
    """What one pass of a policy may hold. Part of a trainer's state."""

    tokens: int = 0
    """Packed tokens of one forward and backward pass; 0: not chosen yet, no limit"""
    rows: int = 0
    """Steps of one; 0: no limit"""
    prefill_rows: int = 0
    """Prompts that are read at once; 0: no limit"""
    say: Callable[[str], None] = print
    explain: Callable[[], tuple[str, str]] = _no_estimate
    """The largest use of memory and what makes it smaller, in words"""

    def shrink(self, low: PassSize) -> None:
        """Halve the tokens of a pass that did not fit. Raises DeviceMemoryError where it was one row."""
        if low.rows <= 1:
            raise self._error(low, "a forward and backward pass of one step")
        before = min(self.tokens or low.tokens, low.tokens)
        self.tokens = before // 2
        self.say(
            f"out of memory in a pass of {low.tokens} tokens ({low.rows} steps): optim.microbatch_tokens {before} -> "
            f"{self.tokens}, and the optimiser batch is run again; to start there, set optim.microbatch_tokens {self.tokens}"
        )

    def shrink_prefill(self, low: PassSize) -> None:
        """Halve the prompts of a pass without gradient that did not fit. Raises DeviceMemoryError where it was one."""
        if low.rows <= 1:
            raise self._error(low, "a pass of one prompt")
        self.prefill_rows = low.rows // 2
        self.say(
            f"out of memory while reading {low.rows} prompts ({low.tokens} tokens): {self.prefill_rows} at a time from here "
            "on; fewer environments (env.num_envs) or shorter responses (rollout.max_new_tokens) leave more room"
        )

    def _error(self, low: PassSize, what: str) -> DeviceMemoryError:
        largest, remedy = self.explain()
        return DeviceMemoryError(
            expected=f"memory for {what}", got=f"none left at {low.tokens} tokens: {low.told}",
            where=f"largest use by the estimate: {largest}", do=remedy,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class PassSize:
    """A pass that did not fit into memory: numbers and words, so that nothing of the pass itself is kept alive."""

    tokens: int
    rows: int
    told: str


class PassTooLarge(Exception):
    """Memory ran out inside `sized_pass`; for `until_it_fits`."""

    def __init__(self, size: PassSize) -> None:
        super().__init__(size.told)
        self.size = size


@contextlib.contextmanager
def sized_pass(*, tokens: int, rows: int) -> Iterator[None]:
    """Inside, running out of memory is a PassTooLarge of that size."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise PassTooLarge(PassSize(tokens=tokens, rows=rows, told=str(error).splitlines()[0][:200])) from error


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out: of a GPU, of its libraries, or of the machine."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    told = str(error)
    return any(words in told for words in ("out of memory", "can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED"))


def until_it_fits(attempt: Callable[[], _Result], shrink: Callable[[PassSize], None]) -> _Result:
    """Return what `attempt` does; each time a pass in it is too large, free its memory, `shrink`, and begin again."""
    while True:
        try:
            return attempt()
        except PassTooLarge as error:
            low = error.size
        gc.collect()  # the failed pass hung on the exception's frames
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()
        shrink(low)


def in_parts(
    budget: PassBudget, count: int, run: Callable[[slice], _Result], tokens: Callable[[slice], int]
) -> list[_Result]:
    """Return what `run` says of rows 0 to `count`, in parts of at most `budget.prefill_rows`; fewer once memory runs out.

    run: a pass without gradient over a slice of the rows. tokens: how many such a slice has.
    """
    results: list[_Result] = []
    first = 0

    def attempt() -> tuple[int, _Result]:
        part = slice(first, min(count, first + (budget.prefill_rows or count)))
        with sized_pass(tokens=tokens(part), rows=part.stop - part.start):
            return part.stop, run(part)

    while first < count:
        first, result = until_it_fits(attempt, budget.shrink_prefill)
        results.append(result)
    return results


@dataclass(frozen=True, kw_only=True, slots=True)
class Packing:
    """How the steps of one update are put together."""

    budget: PassBudget
    own: np.ndarray
    """[S] int64, tokens of each step behind the shared prefix, the last response token apart: it is not run"""
    shared: int
    """tokens of the prefix that all steps share"""

    @classmethod
    def of(cls, batch: RolloutBatch, image_token_id: int, budget: PassBudget) -> Packing:
        shared = prefix_of(batch.prompts, image_token_id)
        return cls(budget=budget, own=batch.lengths() - 1 - shared, shared=shared)

    def split(self, rows: Rows) -> list[Rows]:
        """Micro-batches of steps of similar length, within the budget as it is now."""
        order, offsets = _core.plan_microbatches(
            self.own[rows], shared=self.shared, max_rows=self.budget.rows, max_tokens=self.budget.tokens
        )
        return [rows[order[start:end]] for start, end in itertools.pairwise(offsets)]

    def sized_pass(self, rows: Rows) -> contextlib.AbstractContextManager[None]:
        """`sized_pass` of a micro-batch."""
        return sized_pass(tokens=self.tokens(rows), rows=len(rows))

    def tokens(self, rows: Rows) -> int:
        """Tokens that the trunk runs for a micro-batch."""
        return self.shared + int(self.own[rows].sum())
