"""The parent's handle on one worker process: start it, talk to it, end it for certain, say how it ended."""

from __future__ import annotations

import contextlib
import math
import os
import select
import signal
import subprocess
import sys
import threading
from typing import Any

from vldac.envs.foreign.values import encode
from vldac.envs.foreign.worker_protocol import LENGTH, MESSAGE, Command

HEADLESS = {
    "PYGLET_HEADLESS": "1",
    "SDL_VIDEODRIVER": "dummy",
    "PYGAME_HIDE_SUPPORT_PROMPT": "1",
    "LP_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}
"""Environment variables of a worker unless the parent has its own: no window, and one thread per process (llvmpipe, OpenMP)."""
if sys.platform.startswith("linux"):
    HEADLESS |= {"PYOPENGL_PLATFORM": "egl", "MUJOCO_GL": "egl"}

_MAIN = "import sys; sys.path[:] = {path!r}; from vldac.envs.foreign.worker import main; main(*map(int, sys.argv[1:]))"


class WorkerProcess:
    """One process, its two pipes, and whether it has said yet what it made. Not thread-safe."""

    def __init__(self, index: int, start: dict[str, Any], memory: int, variables: dict[str, str]) -> None:
        """index: of the worker; start: see `vldac.envs.foreign.worker.Worker`; memory: descriptor of the segment's file."""
        self.index = index
        self.is_running = False
        """True once the segment is attached."""
        self._received = b""
        commands_read, self._commands = os.pipe()
        self.results, results_write = os.pipe()
        # Nothing is ever written to it. One each: its owner and signal belong to the open file, which the workers would share.
        life, self._life = os.pipe()
        inherited = (commands_read, results_write, life, memory)
        code = _MAIN.format(path=[path or os.getcwd() for path in sys.path])
        try:
            # A process group of its own: Ctrl-C at the terminal reaches the parent alone, and what the worker starts ends with
            # it. Not a session: Linux schedules sessions as groups; 8 of them doubled the time of a step on two cores.
            self._process = subprocess.Popen(
                [sys.executable, "-c", code, *map(str, inherited)], stdin=subprocess.DEVNULL, stdout=_stderr(),
                pass_fds=inherited, process_group=0, env=HEADLESS | dict(os.environ) | variables,
            )  # fmt: skip
        except BaseException:
            self.forget()
            raise
        finally:
            for fd in (commands_read, results_write, life):
                os.close(fd)
        self._poller = select.poll()
        self._poller.register(self.results, select.POLLIN)
        is_main = threading.current_thread() is threading.main_thread()
        self.send_frame(encode(start | {"index": index, "parent": os.getpid(), "dies_with_thread": is_main}))

    @property
    def pid(self) -> int:
        """Process id, and id of its process group."""
        return self._process.pid

    def send_frame(self, data: bytes) -> None:
        """Write a start-up frame; a process that is gone is noticed when its results are read."""
        self._write(LENGTH.pack(len(data)) + data)

    def send(self, messages: bytes) -> None:
        """Write commands."""
        self._write(messages)

    def has_results(self, timeout_s: float) -> bool:
        """Wait until something can be read, or the process is gone, or the time is over."""
        return bool(self._poller.poll(math.ceil(max(0.0, timeout_s) * 1000)))

    def read(self) -> bytes | None:
        """Return what has arrived (it blocks if nothing has), None at the end of the process."""
        return os.read(self.results, 1 << 16) or None

    def frame(self, data: bytes) -> bytes | None:
        """Take a part of the start-up report; return it once it is whole."""
        self._received += data
        if len(self._received) < LENGTH.size:
            return None
        (size,) = LENGTH.unpack_from(self._received)
        whole = len(self._received) >= LENGTH.size + size
        return self._received[LENGTH.size : LENGTH.size + size] if whole else None

    def has_exited(self) -> bool:
        """True if the process is gone, even if a child of its own holds the pipes open. It is not reaped. (Linux; else False.)"""
        if not hasattr(os, "waitid"):
            return False
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def ask_to_close(self) -> None:
        """Say CLOSE; `end` waits for it."""
        if self._process.returncode is None:
            self._write(MESSAGE.pack(0, Command.CLOSE, 0, 0))

    def end(self, grace_s: float = 0.0) -> str:
        """End the process and everything in its group, wait for it, close the pipes; return how it ended, in words. Idempotent."""
        if self._process.returncode is None:
            if grace_s:
                self._await_end(grace_s)
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)  # not reaped yet, so that the group's id is still ours
            self._process.wait()
            self.forget()
        return describe_exit(self._process.returncode)

    def forget(self) -> None:
        """Close this process's ends of the pipes (all that a forked child may do)."""
        for name in ("_commands", "results", "_life"):
            fd = getattr(self, name)
            if fd >= 0:
                os.close(fd)
                setattr(self, name, -1)

    def _await_end(self, seconds: float) -> None:
        while self.has_results(seconds):
            if not os.read(self.results, 1 << 16):
                return

    def _write(self, data: bytes) -> None:
        with contextlib.suppress(BrokenPipeError):
            while data:
                data = data[os.write(self._commands, data) :]


def describe_exit(returncode: int) -> str:
    """Return how a process ended, in words."""
    if returncode >= 0:
        return f"exited with code {returncode}"
    try:
        return f"killed by {signal.Signals(-returncode).name}"
    except ValueError:
        return f"killed by signal {-returncode}"


def _stderr() -> int:
    """What a worker prints goes to standard error, so that the parent's output stays its own."""
    try:
        os.fstat(2)
    except OSError:
        return subprocess.DEVNULL
    return 2
