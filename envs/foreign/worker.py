"""A worker process: makes its environments, steps them on command, writes what comes of it into the shared segment.

It is started by `worker_process` as a fresh interpreter (never forked, and without running the user's main module). It
dies with its parent: the kernel kills its process group when the parent's end of a pipe closes. An environment that raises is
replaced by a fresh instance here; one that hangs or kills the process is the parent's matter.
"""

from __future__ import annotations

import ctypes
import faulthandler
import importlib
import math
import os
import signal
import sys
import time
import traceback
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from vldac.envs.foreign.image_view import ImageView, find_action_names, shows_picture
from vldac.envs.foreign.shared_memory import Segment, space_slots
from vldac.envs.foreign.values import decode, decode_space, encode, encode_info, encode_space
from vldac.envs.foreign.worker_protocol import LENGTH, MESSAGE, Command, Mark, Status, episode_seed, segment_fields

from vldac.errors import EnvError

_ATTEMPTS = 3
"""Instances that may fail to begin one episode before the process gives up."""
_FLUSH_NS = 1_000_000
"""Finished environments are told of at least this often."""
_PR_SET_PDEATHSIG = 1
_STEP, _CLOSE = int(Command.STEP), int(Command.CLOSE)
_SLOT, _BEGAN, _FINAL, _INFO, _OBSERVED = (
    int(getattr(Mark, name)) for name in ("SLOT", "BEGAN", "FINAL", "INFO", "OBSERVED")
)
_OK = int(Status.OK)


def main(commands: int, results: int, life: int, memory: int) -> None:
    """Serve until the parent says CLOSE or is gone. The arguments are file descriptors."""
    faulthandler.enable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_pipe(life)
    frame = read_frame(commands)
    if frame is None:
        return
    start = decode(frame)
    if start["dies_with_thread"]:
        die_with_thread(start["parent"])
    try:
        worker = Worker(start, commands, results)
    except Exception as error:
        write_frame(results, encode({"error": describe(error)}))
        if isinstance(error, gym.error.Error | EnvError | ImportError):
            sys.exit(1)  # the message says it all
        raise
    write_frame(results, encode(worker.report()))
    frame = read_frame(commands)
    if frame:  # empty: the parent says CLOSE already
        worker.attach(decode(frame), memory)
        worker.serve()


def die_with_pipe(life: int) -> None:
    """Have the kernel kill this process group once the other end of a pipe is closed, whatever this process is doing then.

    Unlike a watching thread this needs no GIL; unlike PR_SET_PDEATHSIG it is about the process, not the thread that started us.
    Elsewhere than on Linux a worker notices at its next command.
    """
    if sys.platform.startswith("linux"):
        import fcntl

        fcntl.fcntl(life, fcntl.F_SETSIG, signal.SIGKILL)  # nothing is ever written to this pipe: it can only hang up
        fcntl.fcntl(life, fcntl.F_SETOWN, -os.getpgrp())
        fcntl.fcntl(life, fcntl.F_SETFL, fcntl.fcntl(life, fcntl.F_GETFL) | os.O_ASYNC)


def die_with_thread(parent: int) -> None:
    """A second net, for a parent whose forked children hold the pipe open: die with the thread that started us (the main one)."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)


def read_frame(fd: int) -> bytes | None:
    """Return the next frame, or None if the other side is gone."""
    header = _read_exactly(fd, LENGTH.size)
    return None if header is None else _read_exactly(fd, LENGTH.unpack(header)[0])


def write_frame(fd: int, data: bytes) -> None:
    """Write a frame."""
    data = LENGTH.pack(len(data)) + data
    while data:
        data = data[os.write(fd, data) :]


def _read_exactly(fd: int, size: int) -> bytes | None:
    data = b""
    while len(data) < size:
        part = os.read(fd, size - len(data))
        if not part:
            return None
        data += part
    return data


def describe(error: BaseException) -> str:
    """Return an exception in one line: type, message, and the innermost place."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({os.path.basename(frames[-1].filename)}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:500]}{place}"


class Worker:
    """The environments of one process. `start` says what to make; see `vldac.envs.foreign.workers.WorkerVectorEnv`."""

    def __init__(self, start: dict[str, Any], commands: int, results: int) -> None:
        self._start, self._commands, self._results = start, commands, results
        self._index: int = start["index"]
        self._mode = AutoresetMode(start["autoreset_mode"])
        for name in start["imports"]:
            importlib.import_module(name)
        self._renders = self._must_render()
        self._envs = {int(e): self._make() for e in start["env_ids"]}
        first = next(iter(self._envs.values()))
        self._view = ImageView(first, render_image=self._renders, image_size=start["image_size"])
        self._needs_reset = dict.fromkeys(self._envs, True)
        self._served: dict[int, tuple[int, bytes]] = {}
        """The last sequence number of an environment, and the answer to it."""

    def report(self) -> dict[str, Any]:
        """What the parent has to know before it can lay out the segment."""
        first = next(iter(self._envs.values()))
        threshold = first.spec.reward_threshold if first.spec else None
        return {
            "observation": encode_space(self._view.space, "observation space"),
            "action": encode_space(first.action_space, "action space"),
            "action_names": find_action_names(first),
            "reward_threshold": threshold,
            "renders": self._renders,
            "metadata": {k: v for k, v in first.metadata.items() if isinstance(v, str | int | float | list)},
        }

    def attach(self, layout: dict[str, Any], memory: int) -> None:
        """Map the segment."""
        observation, action = decode_space(layout["observation"]), decode_space(layout["action"])
        fields = segment_fields(observation, action, **layout["sizes"])
        arrays = Segment(memory, fields, is_owner=False).arrays
        self._arrays = arrays
        self._num_envs: int = layout["sizes"]["num_envs"]
        self._obs, self._action = space_slots(observation, "obs", arrays), space_slots(action, "action", arrays)
        self._beat_ns, self._serving = arrays["beat_ns"], arrays["serving"]
        self._beat_ns[self._index] = time.monotonic_ns()

    def serve(self) -> None:
        """Answer commands; results of one batch of commands are told together unless one takes long or `is_eager`."""
        is_eager, rest = self._start["is_eager"], b""
        while True:
            data = os.read(self._commands, 1 << 15)
            if not data:
                return
            data, told, answers = rest + data, time.monotonic_ns(), []
            whole = len(data) // MESSAGE.size * MESSAGE.size
            for env, command, _, sequence in MESSAGE.iter_unpack(data[:whole]):
                if command == _CLOSE:
                    self._close()
                    return
                answers.append(self._answer(env, command, sequence))
                if is_eager or self._beat_ns[self._index] - told > _FLUSH_NS:
                    os.write(self._results, b"".join(answers))
                    told, answers = time.monotonic_ns(), []
            rest = data[whole:]
            if answers:
                os.write(self._results, b"".join(answers))

    # -- parts ------------------------------------------------------------------------------------------------------

    def _must_render(self) -> bool:
        """What was asked for; if it was left open: whether the observation is no picture."""
        asked = self._start["render_image"]
        if asked is not None or not self._start["renders_if_blind"]:
            return bool(asked)
        self._renders = False
        env = self._make()
        has_picture = shows_picture(env.observation_space)
        env.close()
        return not has_picture

    def _make(self) -> gym.Env[Any, Any]:
        start = self._start
        options: dict[str, Any] = {"disable_env_checker": True} | start["env_kwargs"]
        if self._renders:
            options["render_mode"] = "rgb_array"
        if start["max_episode_steps"] is not None:
            options["max_episode_steps"] = start["max_episode_steps"]
        return gym.make(start["env_id"], **options)

    def _answer(self, env: int, command: int, sequence: int) -> bytes:
        served = self._served.get(env)
        if served is not None and served[0] == sequence:
            return served[1]
        self._serving[self._index] = env
        self._beat_ns[self._index] = time.monotonic_ns()
        status = _OK
        try:
            marks = self._step(env) if command == _STEP else self._reset(env, command)
        except Exception as error:  # noqa: BLE001 - a fault of the environment is data
            status, marks = self._fault(env, error)
        self._serving[self._index] = -1
        self._beat_ns[self._index] = time.monotonic_ns()
        message = MESSAGE.pack(env, status, marks, sequence)
        self._served[env] = (sequence, message)
        return message

    def _step(self, env: int) -> int:
        """Step one environment. Nothing of the result is written unless the step succeeds."""
        arrays, same_step = self._arrays, self._mode is AutoresetMode.SAME_STEP
        if self._needs_reset[env]:
            if self._mode is not AutoresetMode.NEXT_STEP:
                raise RuntimeError("stepped before it was reset")
            arrays["reward"][env], arrays["terminated"][env], arrays["truncated"][env] = 0.0, False, False
            return self._begin(
                env, int(arrays["episode"][env]) + 1, is_recovery=False, options=None, final_info=None, marks=0
            )
        obs, reward, terminated, truncated, info = self._envs[env].step(self._action.read(env))
        reward = float(np.asarray(reward).item())
        if not math.isfinite(reward):
            raise ValueError(f"reward {reward}")
        terminated, truncated = bool(terminated), bool(truncated)
        ended = terminated or truncated
        final_slot = 2 * self._num_envs + env
        marks = 0 if ended and same_step else self._slot_mark(env)
        self._obs.write(
            final_slot if ended and same_step else self._slot_of(env), self._view.apply(obs, self._envs[env])
        )
        arrays["reward"][env], arrays["terminated"][env], arrays["truncated"][env] = reward, terminated, truncated
        if not ended:
            return marks | _OBSERVED | self._inform(env, info, None, ())
        self._needs_reset[env] = True
        if not same_step:
            return marks | _OBSERVED | self._inform(env, info, None, ())
        self._beat_ns[self._index] = time.monotonic_ns()
        episode = int(arrays["episode"][env]) + 1
        return self._begin(env, episode, is_recovery=False, options=None, final_info=info, marks=_FINAL)

    def _reset(self, env: int, command: int) -> int:
        arrays = self._arrays
        length = int(arrays["options_length"][0])
        options = decode(arrays["options"][:length].tobytes()) if length and command == Command.RESET else None
        is_recovery = command == Command.RECOVER
        return self._begin(
            env, int(arrays["episode"][env]), is_recovery=is_recovery, options=options, final_info=None, marks=0
        )

    def _begin(
        self, env: int, episode: int, *, is_recovery: bool, options: dict[str, Any] | None, final_info: Any, marks: int,
        faults: list[str] | None = None,
    ) -> int:  # fmt: skip
        """Begin an episode; an instance that cannot is replaced, a few times. `faults` are told with what goes wrong here."""
        faults, attempt = faults or [], 0
        while True:
            try:
                obs, info = self._envs[env].reset(seed=self._seed(env, episode, is_recovery, attempt), options=options)
                self._obs.write(self._slot_of(env), self._view.apply(obs, self._envs[env]))
                break
            except Exception as error:
                faults.append(f"reset: {describe(error)}")
                attempt += 1
                if attempt == _ATTEMPTS:
                    raise _Hopeless(f"{_ATTEMPTS} instances could not begin an episode: {describe(error)}") from error
                self._replace(env)
        self._needs_reset[env] = False
        marks |= self._slot_mark(env) | _OBSERVED | _BEGAN
        return marks | self._inform(env, info, final_info, faults)

    def _seed(self, env: int, episode: int, is_recovery: bool, attempt: int) -> int | None:
        seed = int(self._arrays["seed"][env])
        if attempt:
            return episode_seed(seed, (attempt << 32) + episode)
        if self._start["rng"] == "stream" and episode > 0 and not is_recovery:
            return None
        return episode_seed(seed, episode)

    def _fault(self, env: int, error: Exception) -> tuple[int, int]:
        """The episode is lost: go on with a fresh instance, in its next episode where the mode resets in the same step."""
        text = describe(error)
        try:
            if isinstance(error, _Hopeless):
                raise error
            self._replace(env)
            self._needs_reset[env] = True
            if self._mode is not AutoresetMode.SAME_STEP:
                return Status.FAULT, self._inform(env, {}, None, [text])
            episode = int(self._arrays["episode"][env]) + 1
            marks = self._begin(env, episode, is_recovery=True, options=None, final_info=None, marks=0, faults=[text])
            return Status.FAULT, marks
        except Exception as hopeless:  # noqa: BLE001 - the parent starts this process anew, or gives up
            return Status.HOPELESS, self._inform(env, {}, None, [describe(hopeless)])

    def _replace(self, env: int) -> None:
        try:
            self._envs[env].close()
        except Exception as error:  # noqa: BLE001 - it is broken already, and thrown away
            print(f"vldac worker {self._index}: closing environment {env}: {describe(error)}", file=sys.stderr)
        self._envs[env] = self._make()

    def _slot_of(self, env: int) -> int:
        """The slot that the parent may not be looking at."""
        return (1 - int(self._arrays["seen"][env])) * self._num_envs + env

    def _slot_mark(self, env: int) -> int:
        is_second_free: bool = self._arrays["seen"][env] == 0
        return _SLOT if is_second_free else 0

    def _inform(self, env: int, info: dict[str, Any], final_info: Any, faults: Any) -> int:
        """Write what goes with an observation; returns _INFO if there is anything."""
        if not info and final_info is None and not faults:
            return 0
        space = self._arrays["info"][env]
        record: dict[str, Any] = {"info": info, "faults": list(faults)}
        if final_info is not None:
            record["final_info"] = final_info
        try:
            data = encode(record)
        except (TypeError, OverflowError, RecursionError, ValueError):
            data = b""
        if not data or len(data) > len(space):
            data = self._shorten(record, len(space))
        space[: len(data)] = np.frombuffer(data, np.uint8)
        self._arrays["info_length"][env] = len(data)
        return _INFO

    @staticmethod
    def _shorten(record: dict[str, Any], limit: int) -> bytes:
        """Leave out what cannot be sent, and say which keys."""
        import msgspec

        left_out: dict[str, str] = {}
        record["faults"] = [text[:1000] for text in record["faults"]]
        for key in ("info", "final_info"):
            if key in record:
                data, missing = encode_info(record[key], limit // 2 - 6000)
                record[key] = msgspec.Raw(data)
                left_out |= {f"{key}[{name!r}]"[:100]: reason[:100] for name, reason in missing.items()}
        record["left_out"] = dict(list(left_out.items())[:10])
        return encode(record)

    def _close(self) -> None:
        for env in self._envs:
            try:
                self._envs[env].close()
            except Exception as error:  # noqa: BLE001 - the others want to be closed, too
                print(f"vldac worker {self._index}: closing environment {env}: {describe(error)}", file=sys.stderr)


class _Hopeless(RuntimeError):
    """An environment cannot begin an episode, whatever the instance."""
