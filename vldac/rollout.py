"""Collecting one update's steps: exactly T from every environment, all environments generated in one batch.

The hops are those of the design: env recv -> prompts -> act -> parse -> env send -> buffer. The state that outlives an
update (current observation, image window, counters) is `RolloutState`; it is all that a resumed run needs besides the
environments' own bytes.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from vldac import seeding
from vldac.actions import ParseStatus, parse_actions, resolve
from vldac.config import TrainConfig
from vldac.data import EpisodeEnd, RolloutBatch, Step
from vldac.errors import EnvError, NonFiniteError
from vldac.policy import FrameFeatures, Policy, Responses
from vldac.prompting import Prompt


@dataclass(slots=True)
class RolloutState:
    """Where the environments stand between two updates."""

    images: np.ndarray
    """[E, height, width, 3] uint8, current observation"""
    windows: list[list[np.ndarray]]
    """Per environment the earlier frames of the running episode that a prompt may still show, oldest first."""
    episode: np.ndarray
    """[E] int64"""
    index: np.ndarray
    """[E] int64, step number inside the episode"""
    steps_taken: int
    """Steps taken by every environment since the start of the run."""


class Rollout:
    """Plays a policy in a vector environment."""

    def __init__(self, policy: Policy, env: Any, config: TrainConfig) -> None:
        self.policy, self.env, self.config = policy, env, config
        self.num_envs: int = env.num_envs
        self.should_stop: Callable[[], bool] = lambda: False
        obs, _ = env.reset(seed=config.seed)
        self.state = RolloutState(
            images=obs["image"].copy(),
            windows=[[] for _ in range(self.num_envs)],
            episode=np.zeros(self.num_envs, np.int64),
            index=np.zeros(self.num_envs, np.int64),
            steps_taken=0,
        )

    def collect(self) -> RolloutBatch:
        """Take T = steps_per_update / num_envs steps in every environment."""
        steps_per_env = self.config.rollout.steps_per_update // self.num_envs
        columns: list[list[Step]] = []
        episodes: list[EpisodeEnd] = []
        seconds: dict[str, float] = defaultdict(float)
        for _ in range(steps_per_env):
            columns.append(self._step(episodes, seconds))
        prompts, features, _, _ = self._look(seconds)
        bootstrap = self.policy.values(prompts, features).double().cpu().numpy()
        steps = [column[e] for e in range(self.num_envs) for column in columns]
        offsets = np.arange(self.num_envs + 1, dtype=np.int64) * steps_per_env
        return RolloutBatch(
            steps=steps, segment_offsets=offsets, bootstrap=bootstrap, episodes=episodes, seconds=dict(seconds)
        )

    # -- one step in every environment ------------------------------------------------------------------------------

    def _step(self, episodes: list[EpisodeEnd], seconds: dict[str, float]) -> list[Step]:
        config, state = self.config, self.state
        prompts, features, frames, texts = self._look(seconds)
        start = time.perf_counter()
        env_ids = np.arange(self.num_envs)
        said = self.policy.act(
            prompts,
            features,
            seeds=seeding.response_seeds(config.seed, env_ids, state.steps_taken),
            max_new_tokens=config.rollout.max_new_tokens,
            temperature=config.rollout.temperature,
            top_k=config.rollout.top_k,
        )
        seconds["generate"] += time.perf_counter() - start
        start = time.perf_counter()
        replies = self.policy.model_info.tokenizer.batch_decode(said.ids, skip_special_tokens=True)
        parsed, statuses = parse_actions(replies, self.env.action_names)
        parsed = np.where(said.has_end, parsed, -1)
        actions = resolve(
            parsed, config.env.fallback, len(self.env.action_names), config.seed, env_ids, state.steps_taken
        )
        obs, reward, terminated, truncated, info = self.env.step(actions)
        seconds["env"] += time.perf_counter() - start
        is_valid = parsed >= 0
        reward = reward + np.where(is_valid, 0.0, config.env.penalty if config.env.fallback == "penalty" else 0.0)
        if not np.isfinite(reward).all():
            raise NonFiniteError(
                expected="finite rewards",
                got=f"{reward[~np.isfinite(reward)][0]} from environment {int(np.flatnonzero(~np.isfinite(reward))[0])}",
                where=f"{config.env.id}, step {state.steps_taken}",
                do="fix the environment; its reward never reached the loss",
            )
        final_values = self._final_values(truncated, info, seconds)
        steps = []
        for e in range(self.num_envs):
            ended = bool(terminated[e] or truncated[e])
            final = _final_info(info, e) if ended else {}
            fault = final.get("fault") or None
            steps.append(
                Step(
                    env=e,
                    episode=int(state.episode[e]),
                    index=int(state.index[e]),
                    prompt=prompts[e],
                    features=tuple(features[e]),
                    frames=tuple(frames[e]),
                    prompt_text=texts[e],
                    response=said.ids[e],
                    old_logprob=said.logprob[e],
                    response_text=replies[e],
                    action=int(actions[e]),
                    parse_status=ParseStatus(int(statuses[e])).name if said.has_end[e] else "LENGTH_LIMIT",
                    is_valid=bool(is_valid[e]),
                    has_end=bool(said.has_end[e]),
                    entropy=float(said.entropy[e]),
                    value=float(said.value[e]),
                    reward=float(reward[e]),
                    terminated=bool(terminated[e]),
                    truncated=bool(truncated[e]),
                    final_value=final_values.get(e, 0.0),
                    success=bool(final["success"]) if ended else None,
                    fault=fault,
                )
            )
            if ended:
                episodes.append(
                    EpisodeEnd(
                        success=bool(final["success"]),
                        episode_return=float(final["return"]),
                        length=int(final["length"]),
                        fault=fault,
                    )
                )
        self.advance(obs["image"], terminated | truncated)
        return steps

    def _look(
        self, seconds: dict[str, float]
    ) -> tuple[list[Prompt], list[list[FrameFeatures]], list[list[np.ndarray]], list[str]]:
        """Return prompts, frame features, frames and prompt texts of the current observations."""
        start = time.perf_counter()
        state = self.state
        messages = self.env.prompts()
        frames = [[*state.windows[e], state.images[e]] for e in range(self.num_envs)]
        result = self._encode(messages, frames)
        seconds["encode"] += time.perf_counter() - start
        return result

    def _encode(
        self, messages: list[Any], frames: list[list[np.ndarray]]
    ) -> tuple[list[Prompt], list[list[FrameFeatures]], list[list[np.ndarray]], list[str]]:
        flat = np.stack([frame for row in frames for frame in row])
        encoded = iter(self.policy.encode_frames(flat))
        features = [[next(encoded) for _ in row] for row in frames]
        prompts, texts, frame_id = [], [], 0
        for message, row in zip(messages, features, strict=True):
            shown = with_images(message, len(row))
            ids = range(frame_id, frame_id + len(row))
            prompts.append(self.policy.encoder.encode(shown, list(ids), row[0].grid))
            texts.append(self.policy.encoder.text(shown))
            frame_id += len(row)
        return prompts, features, frames, texts

    def _final_values(self, truncated: np.ndarray, info: dict[str, Any], seconds: dict[str, float]) -> dict[int, float]:
        """Values of the final observations of truncated episodes (autoreset has already replaced them)."""
        rows = np.flatnonzero(truncated)
        if self.config.algorithm.timeout != "bootstrap" or not len(rows):
            return {}
        messages = [_final_info(info, int(e))["prompt"] for e in rows]
        keep = self.config.env.num_images - 1
        frames = []
        for e in rows:
            earlier = [*self.state.windows[e], self.state.images[e]][-keep:] if keep else []
            frames.append([*earlier, info["final_obs"][e]["image"]])
        prompts, features, _, _ = self._encode(messages, frames)
        values = self.policy.values(prompts, features).tolist()
        return {int(e): value for e, value in zip(rows, values, strict=True)}

    def advance(self, images: np.ndarray, ended: np.ndarray) -> None:
        """Move on to the next observations, [E, height, width, 3] uint8; `ended` [E] bool says which episodes are over."""
        state, keep = self.state, self.config.env.num_images - 1
        for e in range(self.num_envs):
            window = [] if ended[e] or not keep else [*state.windows[e], state.images[e]]
            state.windows[e] = window[-keep:] if keep else []
        state.episode += ended
        state.index = np.where(ended, 0, state.index + 1)
        state.images = images.copy()
        state.steps_taken += 1

    def respond(self, rows: np.ndarray, *, purpose: str, base: int) -> Responses:
        """Responses of the environments `rows` alone, with sampling streams of their own (evaluation)."""
        messages = self.env.prompts()
        frames = [[*self.state.windows[e], self.state.images[e]] for e in rows]
        prompts, features, _, _ = self._encode([messages[e] for e in rows], frames)
        return self.policy.act(
            prompts,
            features,
            seeds=seeding.response_seeds(base, rows, self.state.steps_taken, purpose=purpose),
            max_new_tokens=self.config.rollout.max_new_tokens,
            temperature=self.config.rollout.temperature,
            top_k=self.config.rollout.top_k,
        )


def with_images(messages: list[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """Return the messages with their one image item repeated `count` times (the window, oldest first)."""
    if count == 1:
        return messages
    result = []
    for message in messages:
        content = message["content"]
        images = [part for part in content if part["type"] == "image"]
        if not images:
            result.append(message)
            continue
        rest = [part for part in content if part["type"] != "image"]
        result.append({**message, "content": [{"type": "image"}] * count + rest})
    return result


def _final_info(info: dict[str, Any], e: int) -> dict[str, Any]:
    """One environment's entry of Gymnasium's batched final_info."""
    final = info.get("final_info")
    if final is None:
        raise EnvError(
            expected="final_info for an episode that ended (same-step autoreset)",
            got="none",
            where=f"environment {e}",
            do="wrap the environment with autoreset_mode=SAME_STEP",
        )
    return {key: values[e] for key, values in final.items() if not key.startswith("_")}
