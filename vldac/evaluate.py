"""Evaluation on held-out seeds: each episode has a seed of its own and is played to its end exactly once."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vldac.actions import parse_actions, resolve
from vldac.config import TrainConfig
from vldac.errors import ConfigError
from vldac.metrics import wilson_interval
from vldac.policy import Policy
from vldac.rollout import Rollout

_ROWS = 64
"""Episodes played side by side."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EvalResult:
    """Outcome of an evaluation."""

    env_id: str
    seed: int
    episodes: int
    success_rate: float
    success_ci: tuple[float, float]
    """95 % Wilson interval"""
    return_mean: float
    episode_length: float
    invalid_action_frac: float

    def as_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self) | {"success_ci": list(self.success_ci)}


def refuse_overlap(train_seeds: tuple[int, int], seed: int, episodes: int) -> None:
    """Raise ConfigError if evaluation seeds [seed, seed + episodes) meet the training seeds [first, last]."""
    first, last = train_seeds
    if seed <= last and first < seed + episodes:
        raise ConfigError(
            expected=f"evaluation seeds apart from the training seeds {first}..{last}",
            got=f"{seed}..{seed + episodes - 1}",
            where="evaluation seed",
            do="choose another --seed, or pass --allow-seed-overlap if you mean to evaluate on training episodes",
        )


def play_episodes(policy: Policy, config: TrainConfig, *, episodes: int, seed: int) -> EvalResult:
    """Play `episodes` held-out episodes, sampled at the training temperature, and return their statistics."""
    from vldac.trainer import build_env

    outcomes: list[tuple[bool, float, int]] = []
    invalid = total = 0
    for start in range(0, episodes, _ROWS):
        count = min(_ROWS, episodes - start)
        env = build_env(config, count)
        player = Rollout(policy, env, config)
        obs, _ = env.reset(seed=seed + start)
        player.state.images = obs["image"].copy()
        done = np.zeros(count, bool)
        while not done.all():
            rows = np.flatnonzero(~done)
            said = player.respond(rows, purpose="eval", base=seed + start)
            replies = policy.model_info.tokenizer.batch_decode(said.ids, skip_special_tokens=True)
            parsed, _ = parse_actions(replies, env.action_names)
            parsed = np.where(said.has_end, parsed, -1)
            step = player.state.steps_taken
            chosen = resolve(parsed, config.env.fallback, len(env.action_names), seed, rows + start, step)
            actions = np.zeros(count, np.int64)
            actions[rows] = chosen
            invalid, total = invalid + int((parsed < 0).sum()), total + len(rows)
            obs, _, terminated, truncated, info = env.step(actions)
            for e in rows[(terminated | truncated)[rows]]:
                final = info["final_info"]
                outcomes.append((bool(final["success"][e]), float(final["return"][e]), int(final["length"][e])))
                done[e] = True
            player.advance(obs["image"], terminated | truncated)
        env.close()
    successes = sum(success for success, _, _ in outcomes)
    return EvalResult(
        env_id=config.env.id,
        seed=seed,
        episodes=len(outcomes),
        success_rate=successes / len(outcomes),
        success_ci=wilson_interval(successes, len(outcomes)),
        return_mean=float(np.mean([r for _, r, _ in outcomes])),
        episode_length=float(np.mean([n for *_, n in outcomes])),
        invalid_action_frac=invalid / max(1, total),
    )


def evaluate(
    checkpoint: str | Path, env: str | None = None, *, episodes: int = 200, seed: int = 1_000_000,
    allow_seed_overlap: bool = False,
) -> EvalResult:  # fmt: skip
    """Evaluate a checkpoint folder on episodes with seeds seed, seed + 1, ...; a meeting with training seeds is refused."""
    import torch

    from vldac.checkpoint import load_weights, read_checkpoint
    from vldac.configuration import parse_config
    from vldac.model import load_model
    from vldac.trainer import pick_device

    path = Path(checkpoint)
    state = read_checkpoint(path)
    overrides = {"env.id": env} if env else {}
    config = parse_config(json.dumps(state["json"]["config"]), where=str(path), overrides=overrides)
    if not allow_seed_overlap:
        refuse_overlap(tuple(state["json"]["train_seeds"]), seed, episodes)
    model = load_model(state["json"]["model"], dtype=getattr(torch, config.model.dtype))
    policy = Policy(model, config.model, device=pick_device(config.device), seed=config.seed)
    load_weights(policy, state["tensors"], path)
    return play_episodes(policy, config, episodes=episodes, seed=seed)
