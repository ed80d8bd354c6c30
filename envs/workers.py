"""Any Python environment as a batch over worker processes: `send`, `recv`, `step`, faults as data.

Each worker holds several environments and writes into one shared-memory segment (`shared_memory`). A batch is a fresh copy, gathered
from the environments' slots: a slot is overwritten as soon as its environment is sent on, in `ready` order a batch is scattered over
the segment anyway, and one memory copy is small beside a Python environment's step. So what is returned is the caller's for good.

A worker that dies or hangs is killed and started anew. Its episodes end as truncated with reward 0 and `final_info["fault"]`; other
workers go on meanwhile. One thread at a time may call.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space, iterate
from vldac.envs.infos import add_info
from vldac.envs.shared_memory import ArraySlots, Segment, create_memory, space_slots
from vldac.envs.values import decode, decode_space, encode
from vldac.envs.worker_process import WorkerProcess
from vldac.envs.worker_protocol import MESSAGE, Command, Mark, Status, segment_fields

from vldac.errors import EnvError

_IDLE, _BUSY, _DONE = 0, 1, 2
_STEP, _RESET, _RECOVER = int(Command.STEP), int(Command.RESET), int(Command.RECOVER)
_SLOT, _BEGAN, _INFO, _OBSERVED = (
    int(Mark.SLOT),
    int(Mark.BEGAN),
    int(Mark.INFO),
    int(Mark.OBSERVED),
)  # plain: these are hot
_MAX_SEED = 2**62
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
class _Result:
    """The answer to one request, as far as it does not lie in the segment."""

    info: dict[str, Any] = field(default_factory=dict)
    final_info: dict[str, Any] | None = None
    fault: str | None = None
    last_obs: Any = None
    """Of a faulted episode: the observation that was seen last."""


class WorkerVectorEnv(VectorEnv[Any, Any, Any]):
    """A vector environment over worker processes. Made by `vldac.envs.make("gymnasium:<id>", ...)`."""

    def __init__(self, settings: WorkerSettings) -> None:
        """Start the workers and wait for them. Raises EnvError, with the worker's own message, if an environment cannot be made."""
        self.settings, self.num_envs, self.env_id = settings, settings.num_envs, f"gymnasium:{settings.env_id}"
        count, workers = settings.num_envs, settings.num_workers
        self._owner = np.arange(count) * workers // count
        """[E]: the worker of each environment; neighbours share one"""
        self._pid, self._lock = os.getpid(), threading.Lock()
        self._state = np.full(count, _IDLE)
        self._pending = np.zeros(count, np.int64)
        """[E]: the command that a worker has not answered yet, or 0"""
        self._num_pending = [0] * workers
        self._sequence = np.zeros(count, np.int64)
        self._sent_episode = np.zeros(count, np.int64)
        self._slot = np.zeros(count, np.int64)
        self._lost: list[_Result | None] = [None] * count
        """The fault that the next answer will tell of: the episode is gone already."""
        self._results = [_Result() for _ in range(count)]
        self._order: deque[int] = deque()
        """Environments that were sent on and not received, as sent"""
        self._finished: deque[int] = deque()
        """Those of them whose answer is there, as answered"""
        self._is_reset, self._ended = np.zeros(count, bool), np.zeros(count, bool)
        self._return, self._length = np.zeros(count), np.zeros(count, np.int64)
        self.infos: list[dict[str, Any]] = [{} for _ in range(count)]
        """The info that came with each environment's present observation"""
        self.fault_count = np.zeros(count, np.int64)
        """[E]: faults so far"""
        self.restart_count = np.zeros(workers, np.int64)
        """[workers]: processes started anew so far"""
        self._deaths = np.zeros(workers, np.int64)
        self._sent_s = np.zeros(workers)
        self._is_unsure = False
        self._warned: set[str] = set()
        self._is_open = True
        self._memory = create_memory()
        self._workers: list[WorkerProcess] = []
        self._poller = select.poll()
        self._by_fd: dict[int, int] = {}
        self._finalizer = weakref.finalize(self, _shut_down, self._pid, self._workers, self._memory)
        _watch_forks(self)
        self._segment: Segment | None = None
        self._report: dict[str, Any] = {}
        try:
            for w in range(workers):
                self._start(w)
            self._wait(lambda: all(worker.is_running for worker in self._workers), None)
        except BaseException:
            self._finalizer()
            raise

    # -- gymnasium --------------------------------------------------------------------------------------------------

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin episodes: environment i with seed + i (or seed[i]); without a seed the next episode of the same seed.

        options={"reset_mask": [E] bool, ...} resets some; the rest of the options goes to the environments. Answers that were not
        received are dropped.
        """
        with self._alone():
            options = dict(options or {})
            rows = self._masked(options.pop("reset_mask", None))
            seeds = self._seeds(seed)
            data = self._encode_options(options)
            self._wait_for(rows)
            self._drop(rows)
            self._arrays["options"][: len(data)] = np.frombuffer(data, np.uint8)
            self._arrays["options_length"][0] = len(data)
            for e in rows:
                self._new_episode(int(e), seeds[e])
            self._command(rows, _RESET)
            self._wait_for(rows)
            self._drop(rows)
            infos: dict[str, Any] = {}
            for e in rows:
                self._begin(int(e), self._results[e].info)
                add_info(infos, self._results[e].info, int(e), self.num_envs)
            self._is_reset[rows] = True
            return self._obs.gather(self._slot * self.num_envs + np.arange(self.num_envs)), infos

    def step(self, actions: Any) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Step every environment; in same-step mode ended ones are in their next episode, the end is in final_obs and final_info."""
        with self._alone():
            if self._order:
                raise EnvError(
                    expected="step() with nothing in flight", got=f"{len(self._order)} environments that were sent and not received",
                    where=self.env_id, do="use send() and recv() only, or step() only; reset() drops what is in flight",
                )  # fmt: skip
            rows = np.arange(self.num_envs)
            self._send(actions, rows)
            self._wait_for(rows)
            return self._receive(rows)

    def send(self, actions: Any, env_ids: Sequence[int] | np.ndarray | None = None) -> None:
        """Start a step in `env_ids` [R] (None: all), with one action each; `recv` returns what comes of it."""
        with self._alone():
            self._send(actions, self._checked_ids(env_ids))

    def recv(self, timeout: float | None = None) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Return the next `batch_size` answers, as `step` does, with their environments in info["env_id"] [batch_size] int64.

        fifo: in the order in which they were sent; ready: the first that are there. Raises TimeoutError after `timeout` seconds
        (nothing is lost: call again).
        """
        with self._alone():
            count = self.settings.batch_size
            if len(self._order) < count:
                raise EnvError(
                    expected=f"at least {count} environments in flight (batch_size)", got=str(len(self._order)), where="recv",
                    do="send actions first",
                )  # fmt: skip
            if self.settings.order == "fifo":
                first = [self._order[i] for i in range(count)]
                self._wait(lambda: bool((self._state[first] == _DONE).all()), timeout)
                rows = np.array(first)
            else:
                self._wait(lambda: len(self._finished) >= count, timeout)
                rows = np.array([self._finished[i] for i in range(count)])
            obs, reward, terminated, truncated, info = self._receive(rows)
            return obs, reward, terminated, truncated, info | {"env_id": rows}

    def render(self) -> tuple[np.ndarray, ...] | None:
        """Return each environment's present picture, where the observations have one."""
        picture = getattr(self._obs, "parts", {}).get("image")
        return (
            None
            if picture is None
            else tuple(picture.read(int(k) * self.num_envs + e) for e, k in enumerate(self._slot))
        )

    def close_extras(self, **kwargs: Any) -> None:
        """End the worker processes. `close()` can be called again and again."""
        self._is_open = False
        self._finalizer()

    @property
    def worker_pids(self) -> list[int]:
        """Process ids of the workers."""
        return [worker.pid for worker in self._workers]

    @property
    def in_flight(self) -> int:
        """Environments that were sent on and not received."""
        return len(self._order)

    # -- hooks of the face that shows the environment to a model ----------------------------------------------------

    def _final_extras(self, env: int, final_info: dict[str, Any], obs: Any) -> dict[str, Any]:
        """What is added to final_info beside return, length and fault."""
        return {}

    # -- requests ---------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """One caller, in the process that made the workers, before close()."""
        if os.getpid() != self._pid:
            raise EnvError(
                expected="the process that made the environments", got=f"process {os.getpid()}, forked from {self._pid}",
                where=self.env_id, do="make the environments after forking, or start processes with the spawn method",
            )  # fmt: skip
        if not self._is_open:
            raise EnvError(expected="open environments", got="closed ones", where=self.env_id, do="make new ones")
        if not self._lock.acquire(blocking=False):
            raise EnvError(
                expected="one caller at a time", got="a call during a call", where=self.env_id,
                do="call from one thread, or put a lock around the calls",
            )  # fmt: skip
        try:
            yield
        except EnvError:
            raise
        except BaseException:
            self._is_unsure = True  # Ctrl-C anywhere: what was sent or read may be half booked
            raise
        finally:
            self._lock.release()

    def _send(self, actions: Any, rows: np.ndarray) -> None:
        self._check_ready(rows)
        self._write_actions(actions, rows)
        self._state[rows] = _BUSY
        self._order.extend(rows.tolist())
        is_lost = [e for e in rows.tolist() if self._lost[e] is not None]
        for e in is_lost:
            if not self._pending[e]:
                self._tell_fault(e)
        self._command(np.setdiff1d(rows, is_lost) if is_lost else rows, _STEP)

    def _check_ready(self, rows: np.ndarray) -> None:
        for is_wrong, expected, do in (
            (~self._is_reset[rows], "reset() before the first step", "call reset(seed=...)"),
            (self._state[rows] != _IDLE, "environments that are not in flight", "receive their answers first"),
            (self._ended[rows] if self.settings.autoreset_mode is AutoresetMode.DISABLED else np.zeros(len(rows), bool),
             "environments whose episode has not ended", 'call reset(options={"reset_mask": ended}) first'),
        ):  # fmt: skip
            if is_wrong.any():
                got = f"environment {int(rows[np.flatnonzero(is_wrong)[0]])}"
                raise EnvError(expected=expected, got=got, where=self.env_id, do=do)

    def _command(self, rows: np.ndarray, command: int) -> None:
        """Write commands to the workers of `rows`; those of a worker that is starting are sent once it runs."""
        self._sequence[rows] += 1
        self._sent_episode[rows] = self._arrays["episode"][rows]
        self._pending[rows] = command
        now = time.monotonic()
        messages: dict[int, list[bytes]] = {}
        for e, w, sequence in zip(
            rows.tolist(), self._owner[rows].tolist(), self._sequence[rows].tolist(), strict=True
        ):
            messages.setdefault(w, []).append(MESSAGE.pack(e, command, 0, sequence & 0xFFFF))
        for w, parts in messages.items():
            self._sent_s[w] = now
            self._num_pending[w] += len(parts)
            if self._workers[w].is_running:
                self._workers[w].send(b"".join(parts))

    def _resend(self, w: int) -> None:
        """Ask again for what a worker has not answered."""
        rows = np.flatnonzero((self._owner == w) & (self._pending != 0)).tolist()
        self._num_pending[w] = len(rows)
        if rows and self._workers[w].is_running:
            messages = [MESSAGE.pack(e, int(self._pending[e]), 0, int(self._sequence[e]) & 0xFFFF) for e in rows]
            self._workers[w].send(b"".join(messages))

    # -- answers ----------------------------------------------------------------------------------------------------

    def _wait(self, is_done: Callable[[], bool], timeout_s: float | None) -> None:
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
                    f"{self.env_id}: no {settings.batch_size} answers within {timeout_s} s; call recv() again"
                )
            if now >= next_check:
                self._check_deadlines(now)
                next_check = now + interval
            until = next_check if end is None else min(next_check, end)
            for fd, _ in self._poller.poll(max(0.0, until - now) * 1000 + 0.5):
                if fd in self._by_fd:
                    self._read(self._by_fd[fd])

    def _wait_for(self, rows: np.ndarray) -> None:
        """Wait until no request of `rows` is open. One worker after the other: fewer wake-ups than answers."""
        if self._is_unsure:
            self._resynchronise()
        interval = max(0.01, min(1.0, self.settings.step_timeout_s / 4))
        next_check = time.monotonic() + interval
        for w in np.unique(self._owner[rows]).tolist() if len(rows) < self.num_envs else range(len(self._workers)):
            while self._num_pending[w]:
                now = time.monotonic()
                if now >= next_check:
                    self._check_deadlines(now)
                    next_check = now + interval
                elif self._workers[w].has_results(next_check - now):
                    self._read(w)

    def _read(self, w: int) -> None:
        worker = self._workers[w]
        data = worker.read()
        if data is None:
            self._fail(w, None)
        elif worker.is_running:
            for env, status, marks, sequence in MESSAGE.iter_unpack(data[: len(data) // MESSAGE.size * MESSAGE.size]):
                if self._pending[env] and int(self._sequence[env]) & 0xFFFF == sequence:
                    self._answered(env, status, marks)
        else:
            frame = worker.frame(data)
            if frame is not None:
                self._attach(w, decode(frame))

    def _answered(self, env: int, status: int, marks: int) -> None:
        """Book an answer. Done again after an interrupt it comes to the same."""
        record: dict[str, Any] = {}
        if marks & _INFO:
            record = decode(self._arrays["info"][env, : self._arrays["info_length"][env]].tobytes())
            self._warn_of(record.get("left_out", {}))
        if status == Status.HOPELESS:
            self._fail(int(self._owner[env]), "; ".join(record["faults"]))
            return
        command, result = int(self._pending[env]), _Result(record.get("info", {}), record.get("final_info"))
        faults = record.get("faults", [])
        if status == Status.FAULT:
            result.last_obs = self._obs.read(int(self._slot[env]) * self.num_envs + env)
            result.fault = self._fault_text(env, f"environment raised {faults[0]}")
        if command == _STEP and status == Status.OK:
            self._deaths[self._owner[env]] = 0
        lost = self._lost[env]
        if command == _RECOVER and lost is not None:
            lost.info = result.info
        else:
            self._results[env] = result
        self.fault_count[env] += len(faults)
        if command == _STEP:
            self._arrays["episode"][env] = self._sent_episode[env] + bool(marks & _BEGAN)
        if marks & _OBSERVED:
            self._slot[env] = self._arrays["seen"][env] = bool(marks & _SLOT)
        self._marks[env] = marks
        self._pending[env] = 0
        self._num_pending[self._owner[env]] -= 1
        if lost is not None and command == _RECOVER:
            if self._state[env] == _BUSY:
                self._tell_fault(env)
        elif self._state[env] == _BUSY:
            self._state[env] = _DONE
            self._finished.append(env)

    def _tell_fault(self, env: int) -> None:
        """The answer to the request in flight is the fault that is known already."""
        lost = self._lost[env]
        assert lost is not None, "a fault to tell of"
        self._results[env], self._lost[env] = lost, None
        self._marks[env] = _BEGAN if self.settings.autoreset_mode is AutoresetMode.SAME_STEP else 0
        self._state[env] = _DONE
        self._finished.append(env)

    def _receive(self, rows: np.ndarray) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Hand out the answers of `rows` [R]."""
        arrays, count, same_step = self._arrays, self.num_envs, self.settings.autoreset_mode is AutoresetMode.SAME_STEP
        obs = self._obs.gather(self._slot[rows] * count + rows)
        reward, terminated, truncated = (arrays[name][rows] for name in ("reward", "terminated", "truncated"))
        results = [self._results[e] for e in rows]
        faulty = [i for i, result in enumerate(results) if result.fault is not None]
        reward[faulty], terminated[faulty], truncated[faulty] = 0.0, False, True
        ended = terminated | truncated
        began = (self._marks[rows] & _BEGAN) != 0
        played = rows if same_step else rows[~began]  # a next-step reset is not a step
        self._return[played] += reward if same_step else reward[~began]
        self._length[played] += 1
        infos: dict[str, Any] = {}
        for i, (e, result) in enumerate(zip(rows.tolist(), results, strict=True)):
            if ended[i] and same_step:
                final = self._final(e, result)
                add_info(infos, final, i, len(rows))
            elif result.fault is not None:
                add_info(infos, {"fault": result.fault}, i, len(rows))
            if result.info:
                add_info(infos, result.info, i, len(rows))
            if began[i]:
                self._begin(e, result.info)
            else:
                self.infos[e] = result.info
        self._ended[rows] = ended & (not same_step)
        self._state[rows] = _IDLE
        if len(rows) == len(self._order):
            self._order.clear()
            self._finished.clear()
        else:
            for e in rows.tolist():
                self._order.remove(e)
                self._finished.remove(e)
        return obs, reward, terminated, truncated, infos

    def _final(self, env: int, result: _Result) -> dict[str, Any]:
        obs = self._obs.read(2 * self.num_envs + env) if result.fault is None else result.last_obs
        own = result.final_info or {}
        added = {"return": float(self._return[env]), "length": int(self._length[env]), "fault": result.fault}
        return {"final_obs": obs, "final_info": {**own, **added, **self._final_extras(env, own | added, obs)}}

    def _begin(self, env: int, info: dict[str, Any]) -> None:
        """A new episode's first observation is there."""
        self._return[env], self._length[env], self.infos[env] = 0.0, 0, info
        self._ended[env] = False

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
        if w < len(self._workers):
            self._workers[w] = worker
        else:
            self._workers.append(worker)
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
        elif encode(report) != encode(self._report):
            self.close()
            raise EnvError(
                expected="the same spaces and actions from every worker", got=f"others from worker {w}", where=self.env_id,
                do="make environments whose spaces do not depend on chance",
            )  # fmt: skip
        layout = {"observation": report["observation"], "action": report["action"], "sizes": self._sizes}
        self._workers[w].send_frame(encode(layout))
        self._workers[w].is_running = True
        self._sent_s[w] = time.monotonic()
        self._resend(w)

    def _lay_out(self, report: dict[str, Any]) -> None:
        settings, count = self.settings, self.num_envs
        self._report = report
        self.single_observation_space = decode_space(report["observation"])
        self.single_action_space = decode_space(report["action"])
        self.observation_space = batch_space(self.single_observation_space, count)
        self.action_space = batch_space(self.single_action_space, count)
        self.metadata = {**report["metadata"], "autoreset_mode": settings.autoreset_mode}
        self.render_mode = "rgb_array" if report["renders"] else None
        self._sizes = {
            "num_envs": count, "num_workers": settings.num_workers, "info_bytes": settings.info_bytes,
            "text_bytes": settings.text_bytes,
        }  # fmt: skip
        fields = segment_fields(self.single_observation_space, self.single_action_space, **self._sizes)
        self._segment = Segment(self._memory, fields, is_owner=True)
        arrays = self._arrays = self._segment.arrays
        self._obs, self._actions = (
            space_slots(self.single_observation_space, "obs", arrays), space_slots(self.single_action_space, "action", arrays)
        )  # fmt: skip
        self._marks = np.zeros(count, np.int64)
        arrays["serving"][:] = -1

    def _fail(self, w: int, cause: str | None) -> None:
        """A worker is gone or must go: end it, start another, and book its environments' episodes as faults."""
        worker = self._workers[w]
        served = int(self._arrays["serving"][w]) if self._segment is not None else -1
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
                expected=f"worker {w} to step again within {self.settings.max_restarts} restarts", got=cause, where=self.env_id,
                do="run this environment alone and repair it; max_restarts allows more attempts",
            )  # fmt: skip
        where = f" in environment {served}" if served >= 0 else ""
        self._lose(w, f"worker {w} (process {worker.pid}) {cause}{where}")
        self.restart_count[w] += 1
        self._start(w)

    def _lose(self, w: int, cause: str) -> None:
        same_step = self.settings.autoreset_mode is AutoresetMode.SAME_STEP
        recover = []
        for e in np.flatnonzero(self._owner == w).tolist():
            command = int(self._pending[e])
            is_playing = self._is_reset[e] and not self._ended[e] and self._lost[e] is None
            if command in (_RESET, _RECOVER):
                self.fault_count[e] += 1
                recover.append(e)
            elif command == _STEP or is_playing:
                self.fault_count[e] += 1
                self._lost[e] = _Result(fault=self._fault_text(e, cause), last_obs=self._last_seen(e))
                self._pending[e] = 0
                if same_step:
                    recover.append(e)
                elif self._state[e] == _BUSY:
                    self._tell_fault(e)
            elif self._lost[e] is not None and same_step:
                recover.append(e)
        if recover:
            self._arrays["episode"][recover] += 1
            self._command_later(np.array(recover))
        self._num_pending[w] = int((self._pending[self._owner == w] != 0).sum())

    def _command_later(self, rows: np.ndarray) -> None:
        """RECOVER, once the new process runs (`_attach` sends it)."""
        self._sequence[rows] += 1
        self._sent_episode[rows] = self._arrays["episode"][rows]
        self._pending[rows] = _RECOVER

    def _check_deadlines(self, now: float) -> None:
        settings = self.settings
        for w, worker in enumerate(self._workers):
            if not worker.is_running:
                if now - self._sent_s[w] > settings.start_timeout_s:
                    self._fail(w, f"did not start within {settings.start_timeout_s:g} s (start_timeout)")
            elif worker.has_exited():
                self._read_rest(w)
            elif self._num_pending[w]:
                if worker.has_results(0):  # nobody has looked yet
                    self._read(w)
                    continue
                alive = max(float(self._arrays["beat_ns"][w]) / 1e9, float(self._sent_s[w]))
                if now - alive > settings.step_timeout_s:
                    self._fail(w, f"hung for {settings.step_timeout_s:g} s (step_timeout)")

    def _read_rest(self, w: int) -> None:
        """A worker is gone although its pipe has no end: a child of its own holds it open."""
        poller = select.poll()
        poller.register(self._workers[w].results, select.POLLIN)
        worker = self._workers[w]
        while self._workers[w] is worker and poller.poll(0):
            self._read(w)
        if self._workers[w] is worker:
            self._fail(w, None)

    def _resynchronise(self) -> None:
        """After an interrupt: ask again for everything that has no answer, and book what has one."""
        for e in self._order:
            if self._state[e] == _DONE and e not in self._finished:
                self._finished.append(e)
        for w in range(len(self._workers)):
            self._resend(w)
        self._is_unsure = False

    # -- checks -----------------------------------------------------------------------------------------------------

    def _checked_ids(self, env_ids: Sequence[int] | np.ndarray | None) -> np.ndarray:
        if env_ids is None:
            return np.arange(self.num_envs)
        rows = np.asarray(env_ids)
        is_fine = rows.ndim == 1 and len(rows) and np.issubdtype(rows.dtype, np.integer)
        if not is_fine or rows.min() < 0 or rows.max() >= self.num_envs or len(np.unique(rows)) != len(rows):
            raise EnvError(
                expected=f"different environments in 0..{self.num_envs - 1}", got=repr(env_ids), where="send, env_ids",
                do="pass info['env_id'] of recv()",
            )  # fmt: skip
        return rows.astype(np.int64)

    def _masked(self, mask: Any) -> np.ndarray:
        if mask is None:
            return np.arange(self.num_envs)
        mask = np.asarray(mask)
        if mask.shape != (self.num_envs,) or mask.dtype != np.bool_ or not mask.any():
            raise EnvError(
                expected=f"a bool array [{self.num_envs}] with at least one True", got=repr(mask),
                where='reset, options["reset_mask"]',
                do="pass terminated | truncated",
            )  # fmt: skip
        return np.flatnonzero(mask)

    def _seeds(self, seed: int | Sequence[int | None] | None) -> list[int | None]:
        count = self.num_envs
        if seed is None:
            return [None] * count
        seeds = [int(seed) + i for i in range(count)] if isinstance(seed, int | np.integer) else list(seed)
        wrong = [s for s in seeds if s is not None and not 0 <= s < _MAX_SEED]
        if len(seeds) != count or wrong:
            raise EnvError(
                expected=f"a seed, or {count} of them, in 0..2**62", got=repr(seed), where="reset", do="use other seeds"
            )
        return seeds

    def _new_episode(self, env: int, seed: int | None) -> None:
        if seed is None and not self._is_reset[env]:
            seed = self.settings.seed + env
        if seed is None:
            self._arrays["episode"][env] += 1
        else:
            self._arrays["seed"][env], self._arrays["episode"][env] = seed, 0

    def _drop(self, rows: np.ndarray) -> None:
        """Forget answers and faults that were not received."""
        self._state[rows] = _IDLE
        for e in rows.tolist():
            self._lost[e] = None
            for queue in (self._order, self._finished):
                if e in queue:
                    queue.remove(e)

    def _encode_options(self, options: dict[str, Any]) -> bytes:
        if not options:
            return b""
        try:
            data = encode(options)
        except (TypeError, OverflowError, RecursionError, ValueError) as error:
            raise EnvError(
                expected="reset options of plain values and NumPy arrays",
                got=str(error),
                where="reset, options",
                do="simplify them",
            ) from error
        if len(data) > len(self._arrays["options"]):
            raise EnvError(
                expected=f"reset options of at most {len(self._arrays['options'])} bytes", got=f"{len(data)} bytes",
                where="reset, options", do="pass less",
            )  # fmt: skip
        return data

    def _write_actions(self, actions: Any, rows: np.ndarray) -> None:
        space = self.single_action_space
        if isinstance(self._actions, ArraySlots):
            self._actions.array[rows] = self._checked_actions(np.asarray(actions), len(rows))
            return
        try:
            items = list(iterate(batch_space(space, len(rows)), actions))
        except (TypeError, KeyError, ValueError, AssertionError) as error:
            raise self._bad_action(actions, len(rows)) from error
        if len(items) != len(rows) or not all(space.contains(item) for item in items):
            raise self._bad_action(actions, len(rows))
        for e, item in zip(rows.tolist(), items, strict=True):
            self._actions.write(e, item)

    def _checked_actions(self, actions: np.ndarray, count: int) -> np.ndarray:
        space = self.single_action_space
        assert space.shape is not None and space.dtype is not None, "an array space"
        if actions.shape != (count, *space.shape) or actions.dtype.kind not in "iubf":
            raise self._bad_action(actions, count)
        is_number = np.issubdtype(space.dtype, np.floating)
        if not np.isfinite(actions).all() if is_number else actions.dtype.kind == "f":
            raise self._bad_action(actions, count)
        match space:
            case gym.spaces.Discrete(n=n, start=start):
                is_fine = (actions >= start) & (actions < start + n)
            case gym.spaces.MultiDiscrete(nvec=nvec, start=start):
                is_fine = (actions >= start) & (actions < start + nvec)
            case gym.spaces.MultiBinary():
                is_fine = (actions == 0) | (actions == 1)
            case _:
                return actions  # bounds of a Box are the environment's matter, as in Gymnasium
        if not is_fine.all():
            raise self._bad_action(actions, count)
        return actions

    def _bad_action(self, actions: Any, count: int) -> EnvError:
        return EnvError(
            expected=f"{count} actions of {self.single_action_space}",
            got=repr(actions)[:300],
            where=self.env_id,
            do="check them",
        )

    def _last_seen(self, env: int) -> Any:
        return self._obs.read(int(self._slot[env]) * self.num_envs + env)

    def _fault_text(self, env: int, cause: str) -> str:
        arrays = self._arrays
        return (
            f"{cause}; environment {env} of worker {int(self._owner[env])}, seed {int(arrays['seed'][env])}, "
            f"episode {int(arrays['episode'][env])}, step {int(self._length[env])}"
        )

    def _warn_of(self, left_out: dict[str, str]) -> None:
        for key, reason in left_out.items():
            if key not in self._warned:
                self._warned.add(key)
                print(f"vldac: {self.env_id}: {key} cannot cross processes and is left out ({reason})", file=sys.stderr)


# -- ends and forks -----------------------------------------------------------------------------------------------------

_live: weakref.WeakSet[WorkerVectorEnv] = weakref.WeakSet()
_is_watching = False


def _shut_down(pid: int, workers: list[WorkerProcess], memory: int) -> None:
    """End every worker and close the descriptors, in the process that made them; in a forked child only close."""
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


def _watch_forks(env: WorkerVectorEnv) -> None:
    """A forked child must not hold the pipes open: the workers would outlive their parent."""
    global _is_watching
    _live.add(env)
    if not _is_watching:
        _is_watching = True
        os.register_at_fork(after_in_child=_forget_all)


def _forget_all() -> None:
    for env in list(_live):
        env._finalizer()
