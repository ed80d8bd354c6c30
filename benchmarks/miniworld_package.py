"""The real MiniWorld package in a process of its own, for benchmarks/miniworld.py, which sends one JSON object a line.

{"do": "open", "id": ..., "size": [width, height], "processor": bool}, then {"do": "play", "amount": seconds, "seeds": [...]} and
{"do": "reset", "amount": count}, then {"do": "close"}; {"do": "pss"} and {"do": "driver"} at any time. Each is answered with a line.
CPU time is user and system time of the whole process, OpenGL's threads included. What helps the package is done: no checks by
Gymnasium, no debugging of OpenGL, a first reset and some steps that nobody times.
"""

from __future__ import annotations

import json
import resource
import sys
from typing import Any

import numpy as np
import pyglet

pyglet.options["headless"] = True
pyglet.options["debug_gl"] = False

import gymnasium as gym  # noqa: E402
import miniworld  # noqa: E402, F401  (registers the environments)
from pyglet.gl import gl_info  # noqa: E402


def cpu_s() -> float:
    """CPU time of this process and its children, seconds."""
    times = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(t.ru_utime + t.ru_stime for t in times)


class Player:
    """One environment that plays a script of uniformly random actions, episode after episode."""

    def __init__(self, env_id: str, size: tuple[int, int], with_processor: bool) -> None:
        self.env = gym.make(env_id, disable_env_checker=True, obs_width=size[0], obs_height=size[1]).unwrapped
        self.script = np.random.default_rng(0).integers(self.env.action_space.n, size=4096).tolist()
        self.process = self._processor() if with_processor else None
        self.taken = 0
        self.env.reset(seed=0)
        self._some_steps(30)

    def _processor(self) -> Any:
        from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

        from vldac.known import known_processor

        processor = Qwen2VLImageProcessorPil(**known_processor("Qwen/Qwen2-VL-7B-Instruct"))
        return lambda obs: processor(images=[obs], return_tensors="np")["pixel_values"]

    def _look(self, obs: Any) -> None:
        if self.process is not None:
            self.process(obs["obs"] if isinstance(obs, dict) else obs)

    def play(self, amount: float, seeds: list[int]) -> dict[str, float]:
        """Step for so much CPU time, shared among the worlds of some seeds; resets are not counted in."""
        steps, step_s = 0, 0.0
        for seed in seeds:
            self.env.reset(seed=seed)
            self._some_steps(4)
            spent = 0.0
            while spent < amount / len(seeds):
                start = cpu_s()
                steps += self._some_steps(8)
                spent += cpu_s() - start
            step_s += spent
        return {"steps": steps, "step_s": step_s}

    def _some_steps(self, limit: int) -> int:
        for count in range(1, limit + 1):
            obs, _, terminated, truncated, _ = self.env.step(self.script[self.taken % 4096])
            self._look(obs)
            self.taken += 1
            if terminated or truncated:
                self.env.reset()
                return count
        return limit

    def reset(self, amount: int) -> dict[str, float]:
        """Reset so many times."""
        start = cpu_s()
        for _ in range(amount):
            self._look(self.env.reset()[0])
        return {"resets": amount, "reset_s": cpu_s() - start}


def pss_bytes() -> int:
    """Proportional set size of this process."""
    with open("/proc/self/smaps_rollup", encoding="ascii") as file:
        return 1024 * next(int(line.split()[1]) for line in file if line.startswith("Pss:"))


def main() -> None:
    """Answer requests until there are none."""
    player: Player | None = None
    answers, sys.stdout = sys.stdout, sys.stderr  # the package prints
    for line in sys.stdin:
        request = json.loads(line)
        answer: dict[str, Any] = {}
        if request["do"] == "open":
            player = Player(request["id"], tuple(request["size"]), request.get("processor", False))
        elif request["do"] == "close" and player is not None:
            player.env.close()
            player = None
        elif request["do"] == "pss":
            answer = {"pss": pss_bytes()}
        elif request["do"] == "driver":
            pyglet.window.Window(width=1, height=1, visible=False)
            answer = {"driver": f"{gl_info.get_renderer()}, {gl_info.get_version()}"}
        elif player is not None:
            answer = getattr(player, request.pop("do"))(**request)
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
