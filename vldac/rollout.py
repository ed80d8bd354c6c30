"""Collecting one update's steps: exactly T from every environment, all environments generated in one batch.

The hops are those of the design: env recv -> prompts -> act -> parse -> env send -> rollout buffer. What outlives an update is the
native buffer (its frames, its counters) and the environments' own bytes; a rollout that was cut between two environment steps goes
on from them as if nothing had happened.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from vldac import _core, seeding
from vldac.config import TrainConfig
from vldac.data import EpisodeEnd, RolloutBatch
from vldac.errors import EnvError, EnvHangError, NonFiniteError, Stopped
from vldac.player import Answers, Player, Window
from vldac.policy import Policy
from vldac.prompting import Prompt
from vldac.spans import span
from vldac.tracks import Tracker, has_map


class Rollout:
    """Plays a policy in a vector environment and fills one buffer per update."""

    def __init__(self, policy: Policy, env: Any, config: TrainConfig) -> None:
        self.policy, self.env, self.config = policy, env, config
        self.num_envs: int = env.num_envs
        self.steps_per_env = config.rollout.steps_per_update // self.num_envs
        self.should_stop: Callable[[], bool] = lambda: False
        self.player = Player(policy, env, config)
        self.env_ids = np.arange(self.num_envs)
        self._before_hang: bytes | None = None
        self._tracker: Tracker | None = None
        self.begin_anew(rounds_done=0)

    def begin_anew(self, *, rounds_done: int) -> None:
        """Reset the environments and start an empty buffer, after `rounds_done` full ones (0: the run's own seeds)."""
        config = self.config
        # A run whose environments cannot be restored goes on with new episodes, seeded by where it stands.
        obs, _ = self.env.reset(seed=config.seed + rounds_done * self.num_envs)
        height, width = obs["image"].shape[1:3]
        self.buffer = _core.RolloutBuffer(
            self.num_envs, self.steps_per_env, height, width, config.env.num_images, config.rollout.max_new_tokens
        )
        self.buffer.begin(self.env_ids, obs["image"])
        self.rounds_done = rounds_done
        """Full buffers before this one."""
        self.prompts: list[Prompt] = []
        """[steps written], time-major: the prompts of the running buffer"""
        self.value_inputs: list[torch.Tensor] = []
        """One [E, H] per round written, as `Responses.value_input`: never computed twice, so a checkpoint holds them, too"""
        self.episodes: list[EpisodeEnd] = []

    @property
    def steps_done(self) -> int:
        """Steps that every environment has taken since the start of the run."""
        return int(self.rounds_done * self.steps_per_env + self.buffer.filled[0])

    def collect(self) -> RolloutBatch:
        """Take T steps in every environment. Raises Stopped between two steps when `should_stop` says so."""
        if self.buffer.is_full:
            self.buffer, self.prompts, self.value_inputs, self.episodes = self.buffer.next(), [], [], []
            self.rounds_done += 1
        seconds: dict[str, float] = {}
        self._tracker = Tracker(self.env, self.steps_per_env) if self._is_tracked() else None
        with span("encode", seconds):
            windows = self._rebuild_windows()
        while not self.buffer.is_full:
            if self.should_stop():
                raise Stopped(
                    f"between two environment steps, {int(self.buffer.filled[0])} of {self.steps_per_env} taken"
                )
            windows.append(self._step(seconds))
        with span("generate", seconds):
            bootstrap = self._values(self.env.prompts(), [self.player.window.of(e) for e in self.env_ids])
        return RolloutBatch(
            buffer=self.buffer,
            prompts=_env_major(self.prompts, self.num_envs),
            features=[column[e] for e in self.env_ids for column in windows],
            bootstrap=bootstrap,
            value_input=torch.stack(self.value_inputs, dim=1).flatten(0, 1),
            episodes=list(self.episodes),
            seconds=seconds,
            tracks=self._tracker.tracks() if self._tracker else None,
        )

    def _is_tracked(self) -> bool:
        """Whether this update's trajectories are recorded, of an environment with a map."""
        return self.config.is_recorded(self.rounds_done + 1) and has_map(self.env)

    def _rebuild_windows(self) -> list[list[Window]]:
        """Encode the frames that the buffer holds, in the batches in which playing encodes them; return the written steps' windows.

        Features never outlive an update: an uninterrupted run re-encodes here what a resumed one has to.
        """
        buffer, window, images = self.buffer, self.player.window, self.buffer.num_images
        first = buffer.shown.reshape(self.num_envs, -1)[:, 0] if buffer.filled[0] else buffer.next_shown
        window.forget(self.env_ids)
        for slot in range(images):
            rows = np.flatnonzero(first >= images - slot)
            if len(rows):
                window.see(buffer.frames[rows, slot], rows)
        ended = (buffer.terminated | buffer.truncated).reshape(self.num_envs, -1)
        windows = []
        for t in range(int(buffer.filled[0])):
            windows.append([window.of(e) for e in self.env_ids])
            self.player.observe(buffer.frames[:, images + t], ended[:, t], self.env_ids)
        return windows

    def _step(self, seconds: dict[str, float]) -> list[Window]:
        """Take one step in every environment and return the windows that the prompts showed."""
        config, counter = self.config, self.steps_done
        if self._tracker:
            step, buffer = int(self.buffer.filled[0]), self.buffer
            is_new = buffer.next_index == 0 if step else np.ones(self.num_envs, bool)
            self._tracker.see(step, buffer.next_episode, is_new)
        with span("generate", seconds):
            seeds = seeding.response_seeds(config.seed, self.env_ids, counter)
            answers = self.player.answer(self.env_ids, seeds, counter, seed=config.seed)
        with span("env", seconds):
            obs, reward, terminated, truncated, info = self._step_env(answers.action)
        if config.env.fallback == "penalty":
            reward = reward + np.where(answers.is_valid, 0.0, config.env.penalty)
        self._check_rewards(reward)
        ended = terminated | truncated
        final = final_info(info, ended)
        with span("generate", seconds):
            final_value = self._final_values(truncated, info, final)
        self._respond(answers)
        self.buffer.observe(
            self.env_ids, reward, terminated, truncated, final_value, np.array([f.get("success", False) for f in final], bool),
            np.array([bool(f.get("fault")) for f in final]), obs["image"],
        )  # fmt: skip
        self.prompts += answers.prompts
        self.value_inputs.append(answers.said.value_input)
        self.episodes += [
            EpisodeEnd(
                success=bool(f["success"]), episode_return=float(f["return"]), length=int(f["length"]),
                fault=f.get("fault") or None,
            )
            for f in final if f
        ]  # fmt: skip
        with span("encode", seconds):
            self.player.observe(obs["image"], ended, self.env_ids)
        return answers.windows

    def _step_env(self, actions: np.ndarray) -> Any:
        """Step the environments, and remember their state before it if one of them does not come back."""
        before = self.env_state()
        try:
            return self.env.step(actions)
        except EnvHangError:
            self._before_hang = before
            raise

    def env_state(self) -> bytes:
        """The environments' own bytes between two steps; empty where they have none."""
        if self._before_hang is not None or not hasattr(self.env, "get_state"):
            return self._before_hang or b""
        return bytes(self.env.get_state())

    def _respond(self, answers: Answers) -> None:
        said = answers.said
        offsets = np.concatenate([[0], np.cumsum([len(ids) for ids in said.ids])])
        self.buffer.respond(
            self.env_ids, torch.cat(said.ids).numpy(), torch.cat(said.logprob).numpy(), offsets, answers.action,
            answers.status, answers.is_valid, said.has_end, said.entropy.numpy(), said.value.double().numpy(),
        )  # fmt: skip

    def _values(self, messages: list[Any], windows: list[Window]) -> np.ndarray:
        return self.policy.values(self.player.prompts(messages, windows), windows).double().cpu().numpy()

    def _final_values(self, truncated: np.ndarray, info: dict[str, Any], final: list[dict[str, Any]]) -> np.ndarray:
        """[E] float64: values of the final observations of truncated episodes (autoreset has already replaced them), else 0."""
        values, rows = np.zeros(self.num_envs), np.flatnonzero(truncated)
        if self.config.algorithm.timeout == "bootstrap" and len(rows):
            images = np.stack([info["final_obs"][e]["image"] for e in rows])
            windows = self.player.window.ending_with(images, rows)
            values[rows] = self._values([final[e]["prompt"] for e in rows], windows)
        return values

    def _check_rewards(self, reward: np.ndarray) -> None:
        bad = np.flatnonzero(~np.isfinite(reward))
        if len(bad):
            raise NonFiniteError(
                expected="finite rewards",
                got=f"{reward[bad[0]]} from environment {bad[0]}",
                where=f"{self.config.env.id}, step {self.steps_done}",
                do="fix the environment; its reward never reached the loss",
            )


def _env_major(time_major: list[Any], num_envs: int) -> list[Any]:
    return [time_major[i] for e in range(num_envs) for i in range(e, len(time_major), num_envs)]


def final_info(info: dict[str, Any], ended: np.ndarray) -> list[dict[str, Any]]:
    """Split Gymnasium's batched final_info: one dictionary per environment, empty where no episode ended."""
    final = info.get("final_info")
    if final is None and ended.any():
        raise EnvError(
            expected="final_info for an episode that ended (same-step autoreset)",
            got="none",
            where=f"environment {int(np.flatnonzero(ended)[0])}",
            do="wrap the environment with autoreset_mode=SAME_STEP",
        )
    return [_of_one(final, e) if final and ended[e] else {} for e in range(len(ended))]


def _of_one(batch: dict[str, Any], row: int) -> dict[str, Any]:
    """One environment's entries; dictionaries are batched inside, and masks begin with "_"."""
    return {
        key: _of_one(values, row) if isinstance(values, dict) else values[row]
        for key, values in batch.items()
        if not key.startswith("_")
    }
