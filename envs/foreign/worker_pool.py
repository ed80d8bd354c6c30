"""Worker processes and what is asked of them: commands out, answers in, and a new process for one that dies or hangs.

`WorkerPool` knows processes, the segment and one request at a time per environment; what a step means is `workers`' matter. Faults
are data here: the answer to a request may be that the episode is gone. One thread at a time may call.
"""

from __future__ import annotations

import contextlib
import math
import os
import select
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode
from vldac.envs.foreign.shared_memory import Segment, create_memory, space_slots
from vldac.envs.foreign.values import decode, decode_space, encode
from vldac.envs.foreign.worker_process import WorkerProcess
from vldac.envs.foreign.worker_protocol import MESSAGE, Command, Mark, Status, segment_fields

from vldac.errors import EnvError

IDLE, BUSY, DONE = 0, 1, 2
"""An environment waits for a request; for its worker; for somebody to take its answer."""
STEP, RESET, RECOVER = int(Command.STEP), int(Command.RESET), int(Command.RECOVER)
SLOT, BEGAN, INFO, OBSERVED = (
    int(Mark.SLOT),
    int(Mark.BEGAN),
    int(Mark.INFO),
    int(Mark.OBSERVED),
)  # plain: these are hot
_CLOSE_GRACE_S = 2.0


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerSettings:
    """What to make and how to run it."""

    env_id: str
    num_envs: int
    num_workers: int
    batch_size: int
    seed: int
    order: str
    rng: str
    autoreset_mode: AutoresetMode
    env_kwargs: dict[str, Any]
    imports: tuple[str, ...]
    max_episode_steps: int | None
    render_image: bool | None
    renders_if_blind: bool
    """With render_image None: draw environments whose observation is no picture."""
    image_size: tuple[int, int] | None
    step_timeout_s: float
    start_timeout_s: float
    max_restarts: int
    info_bytes: int
    text_bytes: int
    variables: dict[str, str]


@dataclass(slots=True)
class Result:
    """The answer to one request, as far as it does not lie in the segment."""

    info: dict[str, Any] = field(default_factory=dict)
    final_info: dict[str, Any] | None = None
    fault: str | None = None
    last_obs: Any = None
    """Of a faulted episode: the observation that was seen last."""


class WorkerPool:
    """The workers of one vector environment. Arrays are indexed by environment, [E], unless said."""

    def __init__(self, settings: WorkerSettings) -> None:
        """Start the workers and wait for them. Raises EnvError, with the worker's own message, if an environment cannot be made."""
        self.settings, self.num_envs, self.name = settings, settings.num_envs, f"gymnasium:{settings.env_id}"
        count, workers = settings.num_envs, settings.num_workers
        self.is_same_step = settings.autoreset_mode is AutoresetMode.SAME_STEP
        self._owner = np.arange(count) * workers // count  # neighbours share a worker
        self.state = np.full(count, IDLE)
        self.pending = np.zeros(count, np.int64)
        """The command that a worker has not answered yet, or 0"""
        self.results = [Result() for _ in range(count)]
        self.lost: list[Result | None] = [None] * count
        """The fault that the next answer will tell of: the episode is gone already."""
        self.marks = np.zeros(count, np.int64)
        self._slot = np.zeros(count, np.int64)
        """Of the newest observation; a recovered environment's is not shown before its fault is told"""
        self.finished: deque[int] = deque()
        """Environments that are DONE, as they were answered"""
        self.is_playing = np.zeros(count, bool)
        """By the caller: in an episode that it has seen"""
        self.length = np.zeros(count, np.int64)
        """By the caller: steps of the running episode"""
        self.fault_count = np.zeros(count, np.int64)
        self.restart_count = np.zeros(workers, np.int64)
        """[workers]"""
        self._sequence, self._sent_episode = np.zeros(count, np.int64), np.zeros(count, np.int64)
        self._num_pending, self._deaths, self._sent_s = [0] * workers, np.zeros(workers, np.int64), np.zeros(workers)
        self._pid, self._lock = os.getpid(), threading.Lock()
        self._is_unsure, self.is_open = False, True
        self._warned: set[str] = set()
        self._memory = create_memory()
        self.workers: list[WorkerProcess] = []
        self._poller = select.poll()
        self._by_fd: dict[int, int] = {}
        self._finalizer = weakref.finalize(self, _shut_down, self._pid, self.workers, self._memory)
        _watch_forks(self)
        self._segment: Segment | None = None
        self.report: dict[str, Any] = {}
        """What a worker said of its environments, see `vldac.envs.foreign.worker.Worker.report`"""
        try:
            for w in range(workers):
                self._start(w)
            self.wait(lambda: all(worker.is_running for worker in self.workers), None)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the processes. Idempotent."""
        self.is_open = False
        self._finalizer()

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """One caller, in the process that made the workers, before close()."""
        if os.getpid() != self._pid:
            raise EnvError(
                expected="the process that made the environments", got=f"process {os.getpid()}, forked from {self._pid}",
                where=self.name, do="make the environments after forking, or start processes with the spawn method",
            )  # fmt: skip
        if not self.is_open:
            raise EnvError(expected="open environments", got="closed ones", where=self.name, do="make new ones")
        if not self._lock.acquire(blocking=False):
            raise EnvError(
                expected="one caller at a time", got="a call during a call", where=self.name,
                do="call from one thread, or put a lock around the calls",
            )  # fmt: skip
        try:
            yield
        except (EnvError, TimeoutError):
            raise
        except BaseException:
            self._is_unsure = True  # Ctrl-C anywhere: what was sent or read may be half booked
            raise
        finally:
            self._lock.release()

    def last_seen(self, env: int) -> Any:
        """A copy of the observation that is shown."""
        return self.obs.read(int(self.shown_slots(np.array([env]))[0]))

    def shown_slots(self, rows: np.ndarray) -> np.ndarray:
        """Where the observations of `rows` lie that their last answers show: no worker writes there before the next request."""
        slots: np.ndarray = self.arrays["seen"][rows].astype(np.int64) * self.num_envs + rows
        return slots

    # -- requests ---------------------------------------------------------------------------------------------------

    def command(self, rows: np.ndarray, command: int) -> None:
        """Write commands to the workers of `rows`; those of a worker that is starting are sent once it runs."""
        self._sequence[rows] += 1
        self._sent_episode[rows] = self.arrays["episode"][rows]
        self.pending[rows] = command
        now = time.monotonic()
        messages: dict[int, list[bytes]] = {}
        for e, w, sequence in zip(
            rows.tolist(), self._owner[rows].tolist(), self._sequence[rows].tolist(), strict=True
        ):
            messages.setdefault(w, []).append(MESSAGE.pack(e, command, 0, sequence & 0xFFFF))
        for w, parts in messages.items():
            self._num_pending[w] += len(parts)
            if self.workers[w].is_running:
                self._sent_s[w] = now
                self.workers[w].send(b"".join(parts))

    def _resend(self, w: int) -> None:
        """Ask again for what a worker has not answered."""
        rows = np.flatnonzero((self._owner == w) & (self.pending != 0)).tolist()
        self._num_pending[w] = len(rows)
        if rows and self.workers[w].is_running:
            messages = [MESSAGE.pack(e, int(self.pending[e]), 0, int(self._sequence[e]) & 0xFFFF) for e in rows]
            self.workers[w].send(b"".join(messages))

    def tell_fault(self, env: int) -> None:
        """The answer to the request in flight is the fault that is known already."""
        lost = self.lost[env]
        assert lost is not None, "a fault to tell of"
        self.results[env], self.lost[env] = lost, None
        self.marks[env] = BEGAN if self.is_same_step else 0
        self.arrays["seen"][env] = self._slot[env]
        self.state[env] = DONE
        self.finished.append(env)

    # -- answers ----------------------------------------------------------------------------------------------------

    def wait(self, is_done: Callable[[], bool], timeout_s: float | None) -> None:
        """Read answers until `is_done`. Raises TimeoutError; workers that die or hang meanwhile are replaced."""
        settings = self.settings
        if self._is_unsure:
            self._resynchronise()
        end = None if timeout_s is None else time.monotonic() + timeout_s
        interval = max(0.01, min(1.0, settings.step_timeout_s / 4))
        next_check = time.monotonic() + interval
        while not is_done():
            now = time.monotonic()
            if end is not None and now >= end:
                raise TimeoutError(
                    f"{self.name}: no {settings.batch_size} answers within {timeout_s} s; call recv() again"
                )
            if now >= next_check:
                self._check_deadlines(now)
                next_check = now + interval
            until = next_check if end is None else min(next_check, end)
            for fd, _ in self._poller.poll(math.ceil(max(0.0, until - now) * 1000)):
                if fd in self._by_fd:
                    self._read(self._by_fd[fd])

    def wait_for(self, rows: np.ndarray) -> None:
        """Wait until no request of `rows` is open. One worker after the other: fewer wake-ups than answers."""
        if self._is_unsure:
            self._resynchronise()
        interval = max(0.01, min(1.0, self.settings.step_timeout_s / 4))
        next_check = time.monotonic() + interval
        for w in np.unique(self._owner[rows]).tolist() if len(rows) < self.num_envs else range(len(self.workers)):
            while self._num_pending[w]:
                now = time.monotonic()
                if now >= next_check:
                    self._check_deadlines(now)
                    next_check = now + interval
                elif self.workers[w].has_results(next_check - now):
                    self._read(w)

    def _read(self, w: int) -> None:
        worker = self.workers[w]
        data = worker.read()
        if data is None:
            self._fail(w, None)
        elif worker.is_running:
            for env, status, marks, sequence in MESSAGE.iter_unpack(data[: len(data) // MESSAGE.size * MESSAGE.size]):
                if self.pending[env] and int(self._sequence[env]) & 0xFFFF == sequence:
                    self._answered(env, status, marks)
        else:
            frame = worker.frame(data)
            if frame is not None:
                self._attach(w, decode(frame))

    def _answered(self, env: int, status: int, marks: int) -> None:
        """Book an answer. Done again after an interrupt it comes to the same."""
        record: dict[str, Any] = {}
        if marks & INFO:
            record = decode(self.arrays["info"][env, : self.arrays["info_length"][env]].tobytes())
            self._warn_of(record.get("left_out", {}))
        if status == Status.HOPELESS:
            self._fail(int(self._owner[env]), "; ".join(record["faults"]))
            return
        command, result = int(self.pending[env]), Result(record.get("info", {}), record.get("final_info"))
        faults = record.get("faults", [])
        if status == Status.FAULT:
            result.last_obs = self.last_seen(env)
            result.fault = self._fault_text(env, f"environment raised {faults[0]}")
        elif faults:
            self._say(f"environment {env}: {'; '.join(faults)}; a fresh instance took over")
        if command == STEP and status == Status.OK:
            self._deaths[self._owner[env]] = 0
        lost = self.lost[env]
        if command == RECOVER and lost is not None:
            lost.info = result.info
        else:
            self.results[env] = result
        self.fault_count[env] += len(faults)
        if command == STEP:
            self.arrays["episode"][env] = self._sent_episode[env] + bool(marks & BEGAN)
        if marks & OBSERVED:
            self._slot[env] = bool(marks & SLOT)
        is_hidden = (
            command == RECOVER and lost is not None
        )  # an answer may wait to be taken, and the fault after it to be told
        if not is_hidden:
            self.arrays["seen"][env], self.marks[env] = self._slot[env], marks
        self.pending[env] = 0
        self._num_pending[self._owner[env]] -= 1
        if is_hidden:
            if self.state[env] == BUSY:
                self.tell_fault(env)
        elif self.state[env] == BUSY:
            self.state[env] = DONE
            self.finished.append(env)

    # -- processes --------------------------------------------------------------------------------------------------

    def _start(self, w: int) -> None:
        settings = self.settings
        start = {
            "env_id": settings.env_id, "env_kwargs": settings.env_kwargs, "imports": settings.imports, "rng": settings.rng,
            "env_ids": np.flatnonzero(self._owner == w).tolist(), "autoreset_mode": settings.autoreset_mode.value,
            "max_episode_steps": settings.max_episode_steps, "render_image": settings.render_image,
            "renders_if_blind": settings.renders_if_blind, "image_size": settings.image_size,
            "is_eager": settings.batch_size < settings.num_envs,
        }  # fmt: skip
        worker = WorkerProcess(w, start, self._memory, settings.variables)
        if w < len(self.workers):
            self.workers[w] = worker
        else:
            self.workers.append(worker)
        self._sent_s[w] = time.monotonic()
        self._by_fd[worker.results] = w
        self._poller.register(worker.results, select.POLLIN)

    def _attach(self, w: int, report: dict[str, Any]) -> None:
        """A worker has made its environments: lay out the segment (the first time), let it go on with what is pending."""
        if "error" in report:
            self._fail(w, f"could not start: {report['error']}")
            return
        if self._segment is None:
            self._lay_out(report)
        elif encode(report) != encode(self.report):
            self.close()
            raise EnvError(
                expected="the same spaces and actions from every worker", got=f"others from worker {w}", where=self.name,
                do="make environments whose spaces do not depend on chance",
            )  # fmt: skip
        layout = {"observation": report["observation"], "action": report["action"], "sizes": self._sizes}
        self.workers[w].send_frame(encode(layout))
        self.workers[w].is_running = True
        self._sent_s[w] = time.monotonic()
        self._resend(w)

    def _lay_out(self, report: dict[str, Any]) -> None:
        settings, count = self.settings, self.num_envs
        self.report = report
        self.observation_space, self.action_space = decode_space(report["observation"]), decode_space(report["action"])
        self._sizes = {
            "num_envs": count, "num_workers": settings.num_workers, "info_bytes": settings.info_bytes,
            "text_bytes": settings.text_bytes,
        }  # fmt: skip
        fields = segment_fields(self.observation_space, self.action_space, **self._sizes)
        self._segment = Segment(self._memory, fields, is_owner=True)
        arrays = self.arrays = self._segment.arrays
        self.obs, self.actions = (
            space_slots(self.observation_space, "obs", arrays),
            space_slots(self.action_space, "action", arrays),
        )
        arrays["serving"][:] = -1

    def _fail(self, w: int, cause: str | None) -> None:
        """A worker is gone or must go: end it, start another, and book its environments' episodes as faults."""
        worker = self.workers[w]
        served = int(self.arrays["serving"][w]) if self._segment is not None else -1
        del self._by_fd[worker.results]
        self._poller.unregister(worker.results)
        was_running, how = worker.is_running, worker.end()
        cause = cause or how
        self._deaths[w] += 1
        if self._segment is None or (not was_running and self.restart_count[w] == 0):
            self.close()
            raise EnvError(
                expected=f"a worker process that can make {self.settings.env_id!r}", got=cause, where=f"worker {w}",
                do="correct the id, env_kwargs or imports (packages that register it); what the worker printed is on standard error",
            )  # fmt: skip
        if self._deaths[w] > self.settings.max_restarts:
            self.close()
            raise EnvError(
                expected=f"worker {w} to step again within {self.settings.max_restarts} restarts", got=cause, where=self.name,
                do="run this environment alone and repair it; max_restarts allows more attempts",
            )  # fmt: skip
        where = f" in environment {served}" if served >= 0 else ""
        self._lose(w, f"worker {w} (process {worker.pid}) {cause}{where}")
        self.restart_count[w] += 1
        self._start(w)

    def _lose(self, w: int, cause: str) -> None:
        recover = []
        over = (self.arrays["terminated"] | self.arrays["truncated"]) & (self.state == DONE) & (not self.is_same_step)
        for e in np.flatnonzero(self._owner == w).tolist():
            command = int(self.pending[e])
            is_playing = self.is_playing[e] and not over[e] and self.lost[e] is None
            if command in (RESET, RECOVER):
                self.fault_count[e] += 1
                recover.append(e)
            elif command == STEP or is_playing:
                self.fault_count[e] += 1
                self.lost[e] = Result(fault=self._fault_text(e, cause), last_obs=self.last_seen(e))
                self.pending[e] = 0
                if self.is_same_step:
                    recover.append(e)
                elif self.state[e] == BUSY:
                    self.tell_fault(e)
            elif self.lost[e] is not None and self.is_same_step:
                recover.append(e)
        if recover:
            self.arrays["episode"][recover] += 1
            self._command_later(np.array(recover))
        self._num_pending[w] = int((self.pending[self._owner == w] != 0).sum())

    def _command_later(self, rows: np.ndarray) -> None:
        """RECOVER, once the new process runs (`_attach` sends it)."""
        self._sequence[rows] += 1
        self._sent_episode[rows] = self.arrays["episode"][rows]
        self.pending[rows] = RECOVER

    def _check_deadlines(self, now: float) -> None:
        settings = self.settings
        for w, worker in enumerate(self.workers):
            if not worker.is_running:
                if now - self._sent_s[w] > settings.start_timeout_s:
                    self._fail(w, f"did not start within {settings.start_timeout_s:g} s (start_timeout)")
            elif worker.has_exited():
                self._read_rest(w)
            elif self._num_pending[w]:
                if worker.has_results(0):  # nobody has looked yet
                    self._read(w)
                    continue
                alive = max(float(self.arrays["beat_ns"][w]) / 1e9, float(self._sent_s[w]))
                if now - alive > settings.step_timeout_s:
                    self._fail(w, f"hung for {settings.step_timeout_s:g} s (step_timeout)")

    def _read_rest(self, w: int) -> None:
        """A worker is gone although its pipe has no end: a child of its own holds it open."""
        worker = self.workers[w]
        while self.workers[w] is worker and worker.has_results(0):
            self._read(w)
        if self.workers[w] is worker:
            self._fail(w, None)

    def _resynchronise(self) -> None:
        """After an interrupt: ask again for everything that has no answer, and book what has one."""
        self.finished.extend(e for e in np.flatnonzero(self.state == DONE).tolist() if e not in self.finished)
        for w in range(len(self.workers)):
            self._resend(w)
        self._is_unsure = False

    def _fault_text(self, env: int, cause: str) -> str:
        arrays = self.arrays
        return (
            f"{cause}; environment {env} of worker {int(self._owner[env])}, seed {int(arrays['seed'][env])}, "
            f"episode {int(arrays['episode'][env])}, step {int(self.length[env])}"
        )

    def _warn_of(self, left_out: dict[str, str]) -> None:
        for key, reason in left_out.items():
            if key not in self._warned:
                self._warned.add(key)
                self._say(f"{key} cannot cross processes and is left out ({reason})")

    def _say(self, text: str) -> None:
        print(f"vldac: {self.name}: {text}", file=sys.stderr)


# -- ends and forks -----------------------------------------------------------------------------------------------------

_live: weakref.WeakSet[WorkerPool] = weakref.WeakSet()
_is_watching = False


def _shut_down(pid: int, workers: list[WorkerProcess], memory: int) -> None:
    """End every worker and close the segment's file, in the process that made them; in a forked child only close."""
    if os.getpid() == pid:
        for worker in workers:
            worker.ask_to_close()
        end = time.monotonic() + _CLOSE_GRACE_S
        for worker in workers:
            worker.end(max(0.0, end - time.monotonic()))
    else:
        for worker in workers:
            worker.forget()
    os.close(memory)


def _watch_forks(pool: WorkerPool) -> None:
    """A forked child must not hold the pipes open: the workers would outlive their parent."""
    global _is_watching
    _live.add(pool)
    if not _is_watching:
        _is_watching = True
        os.register_at_fork(after_in_child=_forget_all)


def _forget_all() -> None:
    for pool in list(_live):
        pool.close()
