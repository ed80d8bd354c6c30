"""Any Python environment as a batch over worker processes: the Gymnasium side of `worker_pool`.

Each worker holds several environments and writes into one shared-memory segment (`shared_memory`). A batch is a fresh copy, gathered
from the environments' slots: a slot is overwritten as soon as its environment is sent on, in `ready` order a batch is scattered over
the segment anyway, and one memory copy is small beside a Python environment's step. So what is returned is the caller's for good.

A worker that dies or hangs is killed and started anew. Its episodes end as truncated with reward 0 and `final_info["fault"]`; other
workers go on meanwhile. One thread at a time may call.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space, iterate
from vldac.envs.foreign.infos import add_info
from vldac.envs.foreign.shared_memory import ArraySlots
from vldac.envs.foreign.values import encode
from vldac.envs.foreign.worker_pool import BEGAN, BUSY, DONE, IDLE, RESET, STEP, Result, WorkerPool, WorkerSettings
from vldac.envs.vector_arguments import array_actions, bad_actions, rows_of_ids, rows_of_mask, seeds_of

from vldac.errors import EnvError


class WorkerVectorEnv(VectorEnv[Any, Any, Any]):
    """A vector environment over worker processes. Made by `vldac.envs.make("gymnasium:<id>", ...)`."""

    def __init__(self, settings: WorkerSettings) -> None:
        """Start the workers and wait for them. Raises EnvError, with the worker's own message, if an environment cannot be made."""
        self.settings, self.num_envs, self.env_id = settings, settings.num_envs, f"gymnasium:{settings.env_id}"
        self._pool = pool = WorkerPool(settings)
        self.single_observation_space, self.single_action_space = pool.observation_space, pool.action_space
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self.metadata = {**pool.report["metadata"], "autoreset_mode": settings.autoreset_mode}
        self.render_mode = "rgb_array" if pool.report["renders"] else None
        self._order: deque[int] = deque()
        """Environments that were sent on and not received, as sent"""
        self._is_reset, self._ended = np.zeros(self.num_envs, bool), np.zeros(self.num_envs, bool)
        self._return = np.zeros(self.num_envs)
        self.infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        """The info that came with each environment's present observation"""

    # -- gymnasium --------------------------------------------------------------------------------------------------

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin episodes: environment i with seed + i (or seed[i]); without a seed the next episode of the same seed.

        options={"reset_mask": [E] bool, ...} resets some; the rest of the options goes to the environments. Answers that were not
        received are dropped.
        """
        pool = self._pool
        with pool.alone():
            options = dict(options or {})
            rows = rows_of_mask(options.pop("reset_mask", None), self.num_envs)
            seeds = seeds_of(seed, self.num_envs)
            data = self._encode_options(options)
            pool.wait_for(rows)
            self._drop(rows)
            pool.arrays["options"][: len(data)] = np.frombuffer(data, np.uint8)
            pool.arrays["options_length"][0] = len(data)
            for e in rows:
                self._new_episode(int(e), seeds[e])
            pool.command(rows, RESET)
            pool.wait_for(rows)
            infos: dict[str, Any] = {}
            for e in rows.tolist():
                self._begin(e, pool.results[e].info)
                add_info(infos, pool.results[e].info, e, self.num_envs)
            self._is_reset[rows] = True
            return pool.obs.gather(pool.shown_slots(np.arange(self.num_envs))), infos

    def step(self, actions: Any) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Step every environment; in same-step mode ended ones are in their next episode, the end is in final_obs and final_info."""
        with self._pool.alone():
            if self._order:
                raise EnvError(
                    expected="step() with nothing in flight", got=f"{len(self._order)} environments that were sent and not received",
                    where=self.env_id, do="use send() and recv() only, or step() only; reset() drops what is in flight",
                )  # fmt: skip
            rows = np.arange(self.num_envs)
            self._send(actions, rows)
            self._pool.wait_for(rows)
            return self._receive(rows)

    def send(self, actions: Any, env_ids: Sequence[int] | np.ndarray | None = None) -> None:
        """Start a step in `env_ids` [R] (None: all), with one action each; `recv` returns what comes of it."""
        with self._pool.alone():
            self._send(actions, rows_of_ids(env_ids, self.num_envs))

    def recv(self, timeout: float | None = None) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Return the next `batch_size` answers, as `step` does, with their environments in info["env_id"] [batch_size] int64.

        fifo: in the order in which they were sent; ready: the first that are there. Raises TimeoutError after `timeout` seconds
        (nothing is lost: call again).
        """
        pool, count = self._pool, self.settings.batch_size
        with pool.alone():
            if len(self._order) < count:
                raise EnvError(
                    expected=f"at least {count} environments in flight (batch_size)", got=str(len(self._order)), where="recv",
                    do="send actions first",
                )  # fmt: skip
            if self.settings.order == "fifo":
                first = [self._order[i] for i in range(count)]
                pool.wait(lambda: bool((pool.state[first] == DONE).all()), timeout)
                rows = np.array(first)
            else:
                pool.wait(lambda: len(pool.finished) >= count, timeout)
                rows = np.array([pool.finished[i] for i in range(count)])
            obs, reward, terminated, truncated, info = self._receive(rows)
            return obs, reward, terminated, truncated, info | {"env_id": rows}

    def render(self) -> tuple[np.ndarray, ...] | None:
        """Return each environment's present picture, where the observations have one."""
        picture = getattr(self._pool.obs, "parts", {}).get("image")
        if picture is None:
            return None
        return tuple(picture.read(slot) for slot in self._pool.shown_slots(np.arange(self.num_envs)).tolist())

    def close_extras(self, **kwargs: Any) -> None:
        """End the worker processes. `close()` can be called again and again."""
        self._pool.close()

    @property
    def batch_size(self) -> int:
        """Environments of one `recv`."""
        return self.settings.batch_size

    @property
    def worker_pids(self) -> list[int]:
        """Process ids of the workers."""
        return [worker.pid for worker in self._pool.workers]

    @property
    def in_flight(self) -> int:
        """Environments that were sent on and not received."""
        return len(self._order)

    @property
    def fault_count(self) -> np.ndarray:
        """[E] int64: faults so far."""
        return self._pool.fault_count.copy()

    @property
    def restart_count(self) -> np.ndarray:
        """[workers] int64: processes started anew so far."""
        return self._pool.restart_count.copy()

    # -- parts ------------------------------------------------------------------------------------------------------

    def _send(self, actions: Any, rows: np.ndarray) -> None:
        pool = self._pool
        self._check_ready(rows)
        self._write_actions(actions, rows)
        pool.state[rows] = BUSY
        self._order.extend(rows.tolist())
        is_lost = [e for e in rows.tolist() if pool.lost[e] is not None]
        for e in is_lost:
            if not pool.pending[e]:
                pool.tell_fault(e)
        pool.command(np.setdiff1d(rows, is_lost) if is_lost else rows, STEP)

    def _check_ready(self, rows: np.ndarray) -> None:
        for is_wrong, expected, do in (
            (~self._is_reset[rows], "reset() before the first step", "call reset(seed=...)"),
            (self._pool.state[rows] != IDLE, "environments that are not in flight", "receive their answers first"),
            (self._ended[rows] & (self.settings.autoreset_mode is AutoresetMode.DISABLED),
             "environments whose episode has not ended", 'call reset(options={"reset_mask": ended}) first'),
        ):  # fmt: skip
            if is_wrong.any():
                got = f"environment {int(rows[np.flatnonzero(is_wrong)[0]])}"
                raise EnvError(expected=expected, got=got, where=self.env_id, do=do)

    def _receive(self, rows: np.ndarray) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Hand out the answers of `rows` [R]."""
        pool, same_step = self._pool, self._pool.is_same_step
        obs = pool.obs.gather(pool.shown_slots(rows))
        reward, terminated, truncated = (pool.arrays[name][rows] for name in ("reward", "terminated", "truncated"))
        results = [pool.results[e] for e in rows]
        faulty = [i for i, result in enumerate(results) if result.fault is not None]
        reward[faulty], terminated[faulty], truncated[faulty] = 0.0, False, True
        ended, began = terminated | truncated, (pool.marks[rows] & BEGAN) != 0
        is_step = np.ones(len(rows), bool) if same_step else ~began  # the reset of next-step mode is none
        returned, length = self._return[rows] + np.where(is_step, reward, 0.0), pool.length[rows] + is_step
        infos: dict[str, Any] = {}
        for i, (e, result) in enumerate(zip(rows.tolist(), results, strict=True)):
            if ended[i] and same_step:
                add_info(infos, self._final(e, result, float(returned[i]), int(length[i])), i, len(rows))
            elif result.fault is not None:
                add_info(infos, {"fault": result.fault}, i, len(rows))
            if result.info:
                add_info(infos, result.info, i, len(rows))
        # Booked at the end: an interrupt before this leaves the answers to be received again.
        self._return[rows], pool.length[rows] = returned, length
        for i, (e, result) in enumerate(zip(rows.tolist(), results, strict=True)):
            self.infos[e] = result.info
            if began[i]:
                self._begin(e, result.info)
        self._ended[rows] = ended & (not same_step)
        pool.is_playing[rows] = ~self._ended[rows]
        pool.state[rows] = IDLE
        if len(rows) == len(self._order):
            self._order.clear()
            pool.finished.clear()
        else:
            for e in rows.tolist():
                self._order.remove(e)
                pool.finished.remove(e)
        return obs, reward, terminated, truncated, infos

    def _final(self, env: int, result: Result, returned: float, length: int) -> dict[str, Any]:
        obs = self._pool.obs.read(2 * self.num_envs + env) if result.fault is None else result.last_obs
        added = {"return": returned, "length": length, "fault": result.fault}
        final_info = {**(result.final_info or {}), **added}
        return {"final_obs": obs, "final_info": final_info | self._final_extras(env, final_info, obs)}

    def _final_extras(self, env: int, final_info: dict[str, Any], obs: Any) -> dict[str, Any]:
        """What a face for models adds to final_info."""
        return {}

    def _begin(self, env: int, info: dict[str, Any]) -> None:
        """A new episode's first observation is there."""
        self._return[env], self._pool.length[env], self.infos[env] = 0.0, 0, info
        self._ended[env], self._pool.is_playing[env] = False, True

    def _new_episode(self, env: int, seed: int | None) -> None:
        arrays = self._pool.arrays
        if seed is None and not self._is_reset[env]:
            seed = self.settings.seed + env
        if seed is None:
            arrays["episode"][env] += 1
        else:
            arrays["seed"][env], arrays["episode"][env] = seed, 0

    def _drop(self, rows: np.ndarray) -> None:
        """Forget answers and faults that were not received."""
        self._pool.state[rows] = IDLE
        for e in rows.tolist():
            self._pool.lost[e] = None
            for queue in (self._order, self._pool.finished):
                with contextlib.suppress(ValueError):
                    queue.remove(e)

    def _encode_options(self, options: dict[str, Any]) -> bytes:
        if not options:
            return b""
        try:
            data = encode(options)
        except (TypeError, OverflowError, RecursionError, ValueError) as error:
            raise EnvError(
                expected="reset options of plain values and NumPy arrays", got=str(error), where="reset, options",
                do="simplify them",
            ) from error  # fmt: skip
        limit = len(self._pool.arrays["options"])
        if len(data) > limit:
            raise EnvError(
                expected=f"reset options of at most {limit} bytes", got=f"{len(data)} bytes", where="reset, options",
                do="pass less",
            )  # fmt: skip
        return data

    def _write_actions(self, actions: Any, rows: np.ndarray) -> None:
        space, slots = self.single_action_space, self._pool.actions
        if isinstance(slots, ArraySlots):
            slots.array[rows] = array_actions(actions, len(rows), space, self.env_id)
            return
        try:
            items = list(iterate(batch_space(space, len(rows)), actions))
        except (TypeError, KeyError, ValueError, AssertionError) as error:
            raise bad_actions(actions, len(rows), space, self.env_id) from error
        if len(items) != len(rows) or not all(space.contains(item) for item in items):
            raise bad_actions(actions, len(rows), space, self.env_id)
        for e, item in zip(rows.tolist(), items, strict=True):
            slots.write(e, item)
