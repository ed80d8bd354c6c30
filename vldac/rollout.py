"""Collecting one update's steps: exactly T from every environment.

The hops are those of the design: env recv -> prompts -> act -> parse -> env send -> rollout buffer. What outlives an update is the
native buffer (its frames, its counters), the features of the frames that the next prompts show, and the environments' own bytes.

`rollout.mode: sync` takes one step in all environments at a time, their responses generated in one batch; a rollout that was cut
between two steps goes on from there as if nothing had happened. `async` (`vldac.continuous`) lets every environment go on as soon as
its own response has ended; it is whole or not at all: one that was cut is taken back to where it began.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from vldac import _core, seeding
from vldac.config import TrainConfig
from vldac.continuous import ContinuousPlay, check_env
from vldac.data import EpisodeEnd, RolloutBatch
from vldac.errors import EnvError, EnvHangError, NonFiniteError, Stopped
from vldac.frames import Frame, StepFeatures, Window
from vldac.outcomes import Outcomes, score_of
from vldac.player import Answers, Asked, Player
from vldac.policy import Policy
from vldac.prompting import Prompt
from vldac.spans import span
from vldac.tracks import Tracker, has_map, points

_PLACE = ("filled", "next_episode", "next_index", "next_shown")
"""Columns of the buffer that say where an environment stands."""


@dataclass(frozen=True, slots=True)
class _Start:
    """Where an update began."""

    env: bytes
    place: dict[str, np.ndarray]
    shown: list[list[Frame]]
    seen: list[int]
    returns: np.ndarray


class Rollout:
    """Plays a policy in a vector environment and fills one buffer per update."""

    def __init__(self, policy: Policy, env: Any, config: TrainConfig) -> None:
        self.policy, self.env, self.config = policy, env, config
        policy.graphs.pads &= config.rollout.cuda_graphs
        self.num_envs: int = env.num_envs
        self.steps_per_env = config.rollout.steps_per_update // self.num_envs
        self.should_stop: Callable[[], bool] = lambda: False
        if config.rollout.mode == "async":
            check_env(env, config)
        self.player = Player(policy, env, config)
        self.env_ids = np.arange(self.num_envs)
        self.tracker: Tracker | None = None
        self._before_cut: bytes | None = None
        """The environments' bytes to go on from, where they cannot be asked any more or have run ahead of the buffer"""
        self._is_lost = False
        """The environments have run ahead of the buffer and cannot be taken back."""
        self.begin_anew(rounds_done=0)

    def begin_anew(self, *, rounds_done: int) -> None:
        """Reset the environments and start an empty buffer, after `rounds_done` full ones (0: the run's own seeds)."""
        config = self.config
        # A run whose environments cannot be restored goes on with new episodes, seeded by where it stands.
        obs, _ = self.env.reset(seed=config.seed + rounds_done * self.num_envs)
        height, width = obs["image"].shape[1:3]
        self._start_buffer(
            _core.RolloutBuffer(
                self.num_envs, self.steps_per_env, height, width, config.env.num_images, config.rollout.max_new_tokens
            )
        )
        self.buffer.begin(self.env_ids, obs["image"])
        self.rounds_done = rounds_done
        """Full buffers before this one."""
        self.player.frames.forget(self.env_ids)
        self.returns = np.zeros(self.num_envs)
        """Rewards of each environment's running episode so far, as the environment gave them"""
        self._is_lost = False

    def _start_buffer(self, buffer: _core.RolloutBuffer) -> None:
        policy = self.policy
        self.buffer = buffer
        self.prompts: list[list[Prompt]] = [[] for _ in range(self.num_envs)]
        """Per environment, one per step written"""
        self.windows: list[list[Window]] = [[] for _ in range(self.num_envs)]
        """The features that those prompts show"""
        self.commands: list[list[str]] = [[] for _ in range(self.num_envs)]
        """Text environments: per environment what it was told, one per step written; else empty"""
        self.value_input = torch.zeros(
            self.num_envs, self.steps_per_env, policy.hidden_size, dtype=policy.dtype, device=policy.device
        )
        """[E, T, H], as `Responses.value_input`: never computed twice, so a checkpoint holds what is written, too"""
        self.episodes: list[EpisodeEnd] = []
        self.num_cut = 0
        """Episodes of this buffer that were cut because a prompt no longer fitted the context"""

    @property
    def steps_done(self) -> int:
        """Steps that every environment has taken since the start of the run."""
        return int(self.rounds_done * self.steps_per_env + self.buffer.filled.min())

    def counters(self, env_ids: np.ndarray) -> np.ndarray:
        """[R] int64, steps that each of `env_ids` has taken since the start of the run: what its next draws are keyed by."""
        counters: np.ndarray = self.rounds_done * self.steps_per_env + self.buffer.filled[env_ids]
        return counters

    def seeds(self, env_ids: np.ndarray) -> torch.Tensor:
        """[R] int64, sampling seeds of the next responses."""
        return seeding.response_seeds(self.config.seed, env_ids, self.counters(env_ids))

    def collect(self) -> RolloutBatch:
        """Take T steps in every environment. Raises Stopped when `should_stop` says so: between two steps, or (async) at once."""
        if self._is_lost:
            self.begin_anew(rounds_done=self.rounds_done)
        if self.buffer.is_full:
            self._start_buffer(self.buffer.next())
            self.rounds_done += 1
        seconds: dict[str, float] = {}
        self.policy.clock.begin()
        self.policy.graphs.share()  # what was decoded before is not this update's
        self.tracker = Tracker(self.env, self.steps_per_env) if self._is_tracked() else None
        with span("encode", seconds):
            self._refresh_frames()
        stats = self._play_async(seconds) if self.config.rollout.mode == "async" else self._play_sync(seconds)
        with span("generate", seconds):
            asked = self.ask(self.env_ids)
            bootstrap = self._values(asked.prompts, asked.windows)
        idle = self.policy.clock.idle_frac()
        if self.num_cut:
            stats["rollout/context_cut"] = float(self.num_cut)
        if idle is not None:
            stats["rollout/device_idle_frac"] = idle
        replayed = self.policy.graphs.share()
        if replayed is not None:
            stats["rollout/graph_frac"] = replayed
        return RolloutBatch(
            buffer=self.buffer,
            prompts=[prompt for own in self.prompts for prompt in own],
            commands=[command for own in self.commands for command in own],
            features=StepFeatures(self.policy, self.buffer, self.windows, self.player.frames.version),
            bootstrap=bootstrap,
            value_input=self.value_input.flatten(0, 1),
            episodes=list(self.episodes),
            seconds=seconds,
            tracks=self.tracker.tracks() if self.tracker else None,
            stats=stats,
        )

    def _is_tracked(self) -> bool:
        """Whether this update's trajectories are recorded, of an environment with a map or with things to click."""
        return self.config.is_recorded(self.rounds_done + 1) and (has_map(self.env) or points(self.env))

    def _refresh_frames(self) -> None:
        """Encode the frames that the buffer holds where no features are there, or those of another tower; else do nothing."""
        buffer, frames, images = self.buffer, self.player.frames, self.buffer.num_images
        if frames.is_current and all(frames.shown) and len(self.windows[0]) == buffer.filled[0]:
            return
        first = buffer.shown.reshape(self.num_envs, -1)[:, 0] if buffer.filled[0] else buffer.next_shown
        before = self.rounds_done * self.steps_per_env
        frames.forget(self.env_ids)
        frames.seen = [before + 1 - int(count) for count in first]
        for slot in range(images):
            rows = np.flatnonzero(first >= images - slot)
            if len(rows):
                frames.see(buffer.frames[rows, slot], rows)
        ended = (buffer.terminated | buffer.truncated).reshape(self.num_envs, -1)
        self.windows = [[] for _ in range(self.num_envs)]
        for t in range(int(buffer.filled[0])):
            for e in range(self.num_envs):
                self.windows[e].append(frames.window(e))
            self.player.observe(buffer.frames[:, images + t], ended[:, t], self.env_ids)

    # -- one step at a time -----------------------------------------------------------------------------------------

    def _play_sync(self, seconds: dict[str, float]) -> dict[str, float]:
        while not self.buffer.is_full:
            if self.should_stop():
                raise Stopped(
                    f"between two environment steps, {int(self.buffer.filled[0])} of {self.steps_per_env} taken"
                )
            with span("generate", seconds):
                asked = self.ask(self.env_ids)
            self.track(self.env_ids)
            with span("generate", seconds):
                answers = self.player.answer(
                    asked, self.seeds(self.env_ids), self.counters(self.env_ids), seed=self.config.seed
                )
            self.point(self.env_ids, answers)
            with span("env", seconds):
                came = Outcomes.of(self._step_env(answers.moves.told), self.env_ids)
            try:
                self.respond(self.env_ids, answers)
                self.receive(came, seconds)
            except Exception:
                self._is_lost = True
                raise
        return {}

    def _step_env(self, actions: np.ndarray | list[str]) -> Any:
        """Step the environments, and remember their state before it if one of them does not come back."""
        before = self.env_state()
        try:
            return self.env.step(actions)
        except EnvHangError:
            self._before_cut = before
            raise

    def env_state(self) -> bytes:
        """The environments' own bytes between two steps; empty where they have none."""
        if self._before_cut is not None or not hasattr(self.env, "get_state"):
            return self._before_cut or b""
        return bytes(self.env.get_state())

    # -- row by row -------------------------------------------------------------------------------------------------

    def _play_async(self, seconds: dict[str, float]) -> dict[str, float]:
        start = _Start(
            env=self.env_state(),
            place={name: getattr(self.buffer, name).copy() for name in _PLACE},
            shown=[list(own) for own in self.player.frames.shown],
            seen=list(self.player.frames.seen),
            returns=self.returns.copy(),
        )
        play = ContinuousPlay(self, seconds)
        tick = time.perf_counter()
        try:
            return play.run() | {"rollout/wait_frac": seconds["wait"] / (time.perf_counter() - tick)}
        except (Stopped, KeyboardInterrupt):
            self._take_back(start)
            self._before_cut = start.env  # in case that one of those under way does not come back
            play.receive_all()
            self._before_cut = None
            self._restore_env(start)
            raise
        except EnvHangError:
            self._take_back(start)
            self._before_cut = start.env
            raise
        except Exception:
            self._take_back(start)
            self._is_lost = True
            raise

    def _take_back(self, start: _Start) -> None:
        """Forget the running buffer's steps."""
        for name in _PLACE:
            getattr(self.buffer, name)[:] = start.place[name]
        self._start_buffer(self.buffer)
        self.returns = start.returns
        frames = self.player.frames
        frames.forget(self.env_ids)
        frames.seen = list(start.seen)
        for own, shown in zip(frames.shown, start.shown, strict=True):
            own.extend(shown)

    def _restore_env(self, start: _Start) -> None:
        if start.env:
            self.env.set_state(start.env)
        else:
            self._is_lost = True

    # -- rows, however many -----------------------------------------------------------------------------------------

    def track(self, env_ids: np.ndarray) -> None:
        """Note where the agents of `env_ids` are, before their next steps, if this update is tracked."""
        if self.tracker:
            step, buffer = self.buffer.filled[env_ids], self.buffer
            is_new = (buffer.next_index[env_ids] == 0) | (step == 0)
            self.tracker.see(env_ids, step, buffer.next_episode[env_ids], is_new)

    def point(self, env_ids: np.ndarray, answers: Answers) -> None:
        """Note what the answers of `env_ids` point to, before the environments hear them, if this update is tracked."""
        if self.tracker:
            self.tracker.point(env_ids, self.buffer.filled[env_ids], answers.moves.commands)

    def ask(self, env_ids: np.ndarray, land: Callable[[], None] = lambda: None) -> Asked:
        """Return the next prompts of `env_ids` [R].

        An episode whose prompt no longer fits the context is truncated, and its environment begins the next one; `land` is called
        before, so that nothing is in flight. Raises EnvError where a first prompt does not fit.
        """
        asked = self.player.ask(env_ids)
        if asked.fits.all():
            return asked
        land()
        self._cut(asked)
        asked = self.player.ask(env_ids)
        if not asked.fits.all():
            row = int(np.flatnonzero(~asked.fits)[0])
            self.player.refuse(int(env_ids[row]), len(asked.prompts[row].ids))
        return asked

    def _cut(self, asked: Asked) -> None:
        """Truncate the episodes of prompts that do not fit, with a bootstrap; the steps that led there are in the buffer already."""
        buffer, rows = self.buffer, np.flatnonzero(~asked.fits)
        env_ids = asked.env_ids[rows]
        for row, e in zip(rows.tolist(), env_ids.tolist(), strict=True):
            if buffer.next_index[e] == 0 or buffer.filled[e] == 0:
                self.player.refuse(e, len(asked.prompts[row].ids))
        steps = env_ids * self.steps_per_env + buffer.filled[env_ids] - 1
        if self.config.algorithm.timeout == "bootstrap":
            windows = [asked.windows[row] for row in rows]
            buffer.final_value[steps] = self._values([asked.prompts[row] for row in rows], windows, steps)
        buffer.truncated[steps] = True
        self.episodes += [
            EpisodeEnd(
                success=False, episode_return=float(self.returns[e]), length=int(buffer.next_index[e]), fault=None
            )
            for e in env_ids
        ]
        self.num_cut += len(rows)
        mask = np.zeros(self.num_envs, bool)
        mask[env_ids] = True
        obs, _ = self.env.reset(options={"reset_mask": mask})
        buffer.frames[env_ids, buffer.num_images - 1 + buffer.filled[env_ids]] = obs["image"][env_ids]
        buffer.next_episode[env_ids] += 1
        buffer.next_index[env_ids], buffer.next_shown[env_ids], self.returns[env_ids] = 0, 1, 0.0
        self.player.observe(obs["image"][env_ids], np.ones(len(env_ids), bool), env_ids)

    def respond(self, env_ids: np.ndarray, answers: Answers) -> None:
        """Write what the policy said in `env_ids` [R]; the steps are complete once `receive` has their outcomes."""
        said, moves, at = answers.said, answers.moves, torch.from_numpy(env_ids)
        self.value_input[at, torch.from_numpy(self.buffer.filled[env_ids])] = said.value_input
        offsets = np.concatenate([[0], np.cumsum([len(ids) for ids in said.ids])])
        self.buffer.respond(
            env_ids, torch.cat(said.ids).numpy(), torch.cat(said.logprob).numpy(), offsets, moves.action,
            moves.status, moves.is_valid, said.has_end, said.entropy.numpy(), said.value.double().numpy(),
        )  # fmt: skip
        for e, prompt, window in zip(env_ids.tolist(), answers.prompts, answers.windows, strict=True):
            self.prompts[e].append(prompt)
            self.windows[e].append(window)
        for e, command in zip(env_ids.tolist(), moves.commands or (), strict=False):
            self.commands[e].append(command)

    def receive(self, came: Outcomes, seconds: dict[str, float]) -> None:
        """Write what came of the last responses of some environments, and look at their next observations."""
        config, buffer, env_ids = self.config, self.buffer, came.env_ids
        reward = came.reward
        self.returns[env_ids] = np.where(came.ended, 0.0, self.returns[env_ids] + reward)
        if config.env.fallback == "penalty":
            is_valid = buffer.is_valid.reshape(self.num_envs, -1)[env_ids, buffer.filled[env_ids]]
            reward = reward + np.where(is_valid, 0.0, config.env.penalty)
        self._check(came, reward)
        with span("generate", seconds):
            final_value = self._final_values(came)
        final = came.final
        buffer.observe(
            env_ids, reward, came.terminated, came.truncated, final_value,
            np.array([f.get("success", False) for f in final], bool), np.array([bool(f.get("fault")) for f in final]),
            came.images,
        )  # fmt: skip
        self.episodes += [
            EpisodeEnd(
                success=bool(f["success"]), episode_return=float(f["return"]), length=int(f["length"]),
                fault=f.get("fault") or None, task_type=str(f.get("facts", {}).get("task_type") or ""), score=score_of(f),
            )
            for f in final if f
        ]  # fmt: skip
        with span("encode", seconds):
            self.player.observe(came.images, came.ended, env_ids)

    def _values(
        self, prompts: Sequence[Prompt], windows: Sequence[Window], steps: np.ndarray | None = None
    ) -> np.ndarray:
        """[R] float64: values of prompts; steps: [R] int64, those that led there, whose own value stands for what has no room."""
        has_room = [len(prompt.ids) <= self.policy.context for prompt in prompts]
        if steps is None or all(has_room):
            return self.policy.values(prompts, windows).double().cpu().numpy()
        values: np.ndarray = self.buffer.value[steps]
        rows = np.flatnonzero(has_room).tolist()
        if rows:
            values[rows] = self._values([prompts[row] for row in rows], [windows[row] for row in rows])
        return values

    def _final_values(self, came: Outcomes) -> np.ndarray:
        """[R] float64: values of the final observations of truncated episodes (autoreset has already replaced them), else 0."""
        values, rows = np.zeros(len(came.env_ids)), np.flatnonzero(came.truncated)
        if self.config.algorithm.timeout == "bootstrap" and len(rows):
            env_ids = came.env_ids[rows]
            windows = self.player.frames.ending_with(np.stack([came.final_images[i] for i in rows]), env_ids)
            prompts = self.player.prompts([came.final[i]["prompt"] for i in rows], windows)
            steps = env_ids * self.steps_per_env + self.buffer.filled[env_ids]
            values[rows] = self._values(prompts, windows, steps)
        return values

    def _check(self, came: Outcomes, reward: np.ndarray) -> None:
        bad, size = np.flatnonzero(~np.isfinite(reward)), self.buffer.frames.shape[2:]
        if len(bad):
            raise NonFiniteError(
                expected="finite rewards",
                got=f"{reward[bad[0]]} from environment {came.env_ids[bad[0]]}",
                where=f"{self.config.env.id}, step {self.counters(came.env_ids)[bad[0]]}",
                do="fix the environment; its reward never reached the loss",
            )
        if came.images.shape[1:] != size:
            raise EnvError(
                expected=f"frames {list(size)}, as at the start of the run", got=str(list(came.images.shape[1:])),
                where=f"{self.config.env.id}, environments {came.env_ids.tolist()}",
                do="make the environment draw at one size, or set env.image_size",
            )  # fmt: skip
