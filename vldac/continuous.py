"""The asynchronous rollout: every environment goes on as soon as its own response has ended (continuous batching).

A tick decodes one token in every row. Responses that are done are parsed and sent to the environments at once; the environments step
in their own threads or processes while the other rows go on decoding. What comes back is received, encoded and made a prompt of while
a tick is at work on the device, and waits until enough rows are there for one prefill (`rollout.admit_envs`), since that is dearer
for one row than for several together.

In fifo order answers are received in the order in which they were sent, and which tick receives which answer depends on numbers of
tokens alone, never on time: two runs give equal bytes. An environment has `rollout.env_tokens` ticks before it is waited for. In
ready order what is there first is received first.

All rows that decode together share one prefix and fit one size of slot: those of the prompts at the start of the rollout. When a
prompt comes that shares less, or is longer, the running rows finish first; the rollout goes on with less shared, or larger slots.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from vldac.batch import prefix_of
from vldac.config import TrainConfig
from vldac.errors import ConfigError, Stopped
from vldac.frames import Window
from vldac.generation import Generator, Sampling
from vldac.outcomes import Outcomes
from vldac.player import Asked, takes_env_ids
from vldac.prompting import Prompt
from vldac.spans import span

if TYPE_CHECKING:
    from vldac.rollout import Rollout

_SLOT_UNIT = 64
"""Slots are a multiple of so many tokens, so that a prompt that is a little longer still fits."""


def check_env(env: Any, config: TrainConfig) -> None:
    """Raise ConfigError for a vector environment that cannot be played row by row."""
    batch = getattr(env, "batch_size", None)
    checks = {
        "send() and recv()": all(callable(getattr(env, name, None)) for name in ("send", "recv")),
        "prompts(env_ids)": takes_env_ids(env),
        "batches of one environment (batch_size=1)": batch == 1,
    }
    for expected, holds in checks.items():
        if not holds:
            raise ConfigError(
                expected=f"a vector environment with {expected}",
                got=f"batch_size {batch}" if "batch" in expected else f"{type(env).__name__} without",
                where=f"rollout.mode async, {config.env.id}",
                do="set rollout.mode sync, or use a native or gymnasium: environment (made with batch_size=1)",
            )  # fmt: skip


class ContinuousPlay:
    """One update's steps, row by row."""

    def __init__(self, rollout: Rollout, seconds: dict[str, float]) -> None:
        config = rollout.config.rollout
        self._rollout, self._seconds, self._num_envs = rollout, seconds, rollout.num_envs
        seconds.setdefault("wait", 0.0)
        self._sampling = Sampling(
            max_new_tokens=config.max_new_tokens, temperature=config.temperature, top_k=config.top_k
        )
        self._is_fifo, self._admit_envs = config.order == "fifo", config.admit_envs
        self._env_tokens = config.env_tokens
        self._waiting = list(range(self._num_envs))
        """Environments whose next prompt waits for its admission, in the order in which their observations came"""
        self._asked: dict[int, tuple[Prompt, Window]] = {}
        """Prompts that wait or are answered now"""
        self._flying: list[tuple[int, int]] = []
        """(environment, tick) that were sent on and not received, as sent"""
        self._landed: list[Outcomes] = []
        """Ready order: received, not yet looked at"""
        self._ticks = self._drained = 0
        self._through = 0
        """Environments that have all their responses"""
        self._generator: Generator | None = None
        self._anchor: Prompt | None = None
        self._shared = self._capacity = 0

    def run(self) -> dict[str, float]:
        """Take every environment to its T steps; return what is to be told of it. Raises Stopped at once when asked to."""
        rollout = self._rollout
        while not rollout.buffer.is_full:
            if rollout.should_stop():
                raise Stopped("inside an asynchronous rollout, which is taken back to where it began")
            if self._decoding:
                self._advance()
            else:
                self._look()
            self._admit()
        return {"rollout/drain_frac": self._drained / max(1, self._ticks * self._num_envs)}

    def receive_all(self) -> None:
        """Wait for what is under way, and drop it."""
        while self._flying:
            self._rollout.env.recv()
            self._flying.pop()

    # -- from the environments --------------------------------------------------------------------------------------

    def _look(self) -> None:
        """Receive what there is to receive, and make its prompts. While others decode, this runs beside their work on the device."""
        is_idle = not self._decoding
        if self._is_fifo:
            came = [self._receive_one(None) for _ in range(self._due())]
        else:
            came = self._landed + self._receive_ready(must=is_idle and not self._waiting and not self._landed)
            is_due = is_idle or len(came) + len(self._waiting) >= self._wanted()
            self._landed, came = ([], came) if is_due else (came, [])
        self._take_in(came)
        self._ask()

    def _due(self) -> int:
        """Fifo order: how many of those under way are waited for now; depends on numbers of tokens alone."""
        due = sum(tick + self._env_tokens <= self._ticks for _, tick in self._flying)
        if not self._decoding:
            return max(due, min(self._wanted(), len(self._flying)) if self._env_tokens else len(self._flying))
        return due if due + len(self._waiting) >= self._wanted() else 0

    def _take_in(self, came: Sequence[Outcomes]) -> None:
        """Write outcomes down; environments with steps left wait for their next response."""
        if came:
            rows = Outcomes.joined(came)
            self._rollout.receive(rows, self._seconds)
            left = self._rollout.buffer.filled[rows.env_ids] < self._rollout.steps_per_env
            self._waiting += rows.env_ids[left].tolist()

    def _land(self) -> None:
        """Receive everything that is under way."""
        came, self._landed = self._landed, []
        self._take_in(came + [self._receive_one(None) for _ in range(len(self._flying))])

    def _receive_one(self, timeout: float | None) -> Outcomes:
        with span("wait", self._seconds):
            result = self._rollout.env.recv(timeout)
        (env,) = np.asarray(result[4]["env_id"]).tolist()
        self._flying.remove(next(sent for sent in self._flying if sent[0] == env))
        return Outcomes.of(result, np.array([env]))

    def _receive_ready(self, *, must: bool) -> list[Outcomes]:
        came: list[Outcomes] = []
        while self._flying:
            try:
                came.append(self._receive_one(None if must and not came else 0.0))
            except TimeoutError:
                break
        return came

    def _ask(self) -> None:
        """Make the prompts of the rows that wait."""
        while fresh := [e for e in self._waiting if e not in self._asked]:
            with self._generating():
                asked = self._rollout.ask(np.array(fresh, np.int64), self._land)
            self._asked |= dict(zip(fresh, zip(asked.prompts, asked.windows, strict=True), strict=True))

    # -- to the model -----------------------------------------------------------------------------------------------

    @property
    def _decoding(self) -> list[int]:
        return self._generator.active if self._generator else []

    @contextlib.contextmanager
    def _generating(self) -> Iterator[None]:
        """The span "generate", without the seconds of the spans inside it that are counted by themselves."""
        seconds, own, before = self._seconds, dict[str, float](), sum(self._seconds.values())
        with span("generate", own):
            yield
        inside = sum(seconds.values()) - before
        seconds["generate"] = seconds.get("generate", 0.0) + own["generate"] - inside

    def _wanted(self) -> int:
        """Rows that a prefill is held back for while others decode; fewer when few environments still have steps to take."""
        playing = int((self._rollout.buffer.filled < self._rollout.steps_per_env).sum())
        if self._admit_envs:
            return max(1, min(self._admit_envs, playing // 2))
        return max(1, playing // (8 if self._rollout.policy.device.type == "cuda" else 4))

    def _admit(self) -> None:
        """Start the responses of the waiting rows, all together, once there are enough of them or nothing decodes."""
        rollout, rows = self._rollout, list(self._waiting)
        if not rows or (self._decoding and len(rows) < self._wanted()):
            return
        with self._generating():
            prompts, windows = map(list, zip(*(self._asked[e] for e in rows), strict=True))
            if self._generator is None or not all(map(self._fits, prompts)):
                if self._decoding:
                    return
                self._regroup(prompts)
            assert self._generator is not None, "made by the first admission"
            env_ids, self._waiting = np.array(rows, np.int64), []
            rollout.track(env_ids)
            seeds = rollout.seeds(env_ids)
            with rollout.policy.clock.piece():
                done = self._generator.admit(rows, prompts, windows, seeds, shared=self._shared)
        self._send(done)

    def _fits(self, prompt: Prompt) -> bool:
        shared, anchor = self._shared, self._anchor
        assert anchor is not None, "there is one once rows were admitted"
        own = len(prompt.ids) - shared
        return (
            own >= 1
            and own + self._sampling.max_new_tokens <= self._capacity
            and torch.equal(prompt.ids[:shared], anchor.ids[:shared])
        )

    def _regroup(self, prompts: Sequence[Prompt]) -> None:
        """Share what these prompts and all before them have in common, in slots that these fit. Nothing decodes now."""
        policy, anchor = self._rollout.policy, self._anchor
        shared = prefix_of(list(prompts) if anchor is None else [anchor, *prompts], policy.image_token_id)
        self._shared = shared if anchor is None else min(shared, self._shared)
        self._anchor = anchor or prompts[0]
        needed = max(len(prompt.ids) for prompt in prompts) - self._shared + self._sampling.max_new_tokens
        self._capacity = max(self._capacity, -(-needed // _SLOT_UNIT) * _SLOT_UNIT)
        self._generator = Generator(policy, self._sampling, slots=self._num_envs, capacity=self._capacity)

    def _advance(self) -> None:
        """Decode one token in every row, and look at the environments meanwhile."""
        assert self._generator is not None, "it decodes"
        with self._generating(), self._rollout.policy.clock.piece():
            done = self._generator.advance(self._look)
        self._drained += self._through
        self._ticks += 1
        self._send(done)

    def _send(self, done: Sequence[int]) -> None:
        """Write down the responses that are done, and send their actions to the environments."""
        if not done:
            return
        assert self._generator is not None, "it has decoded them"
        rollout, env_ids = self._rollout, np.array(done, np.int64)
        with self._generating():
            said = self._generator.take(done)
            prompts, windows = map(list, zip(*(self._asked.pop(e) for e in done), strict=True))
            asked = Asked(env_ids=env_ids, prompts=prompts, windows=windows, fits=np.ones(len(done), bool))
            answers = rollout.player.read(asked, said, rollout.counters(env_ids), seed=rollout.config.seed)
            rollout.respond(env_ids, answers)
        rollout.point(env_ids, answers)
        self._through += int((rollout.buffer.filled[env_ids] + 1 == rollout.steps_per_env).sum())
        with span("env", self._seconds):
            rollout.env.send(answers.moves.told, env_ids)
        self._flying += [(e, self._ticks) for e in done]
