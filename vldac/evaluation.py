"""Evaluation on held-out seeds: each episode has a seed of its own and is played to its end exactly once."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vldac import seeding
from vldac.config import TrainConfig
from vldac.errors import ConfigError, Stopped
from vldac.metrics import success_by_task, wilson_interval
from vldac.outcomes import final_info, mean_score, score_of
from vldac.player import Player, build_env, held_out
from vldac.policy import Policy, pick_device

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
    return_std: float
    episode_length: float
    invalid_action_frac: float
    fault_frac: float
    solvable_success_rate: float | None = None
    """Success among the deals that can be won at all, where the environment tells (Points24); None elsewhere"""
    score_mean: float | None = None
    """Mean score of 100, unfinished episodes as 0, where the environment has one beside success (WebShop: 100 x the purchase's
    reward); None elsewhere"""
    success_by_task: dict[str, dict[str, float]] = field(default_factory=dict)
    """Per kind of task, where the environment has several (ALFWorld, WebShop): "success_rate" and "episodes" of each"""

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


def play_episodes(
    policy: Policy, config: TrainConfig, *, episodes: int, seed: int, should_stop: Callable[[], bool] = lambda: False
) -> EvalResult:
    """Play `episodes` held-out episodes, sampled at the training temperature, and return their statistics.

    Raises Stopped between two steps when `should_stop` says so.
    """
    outcomes: list[dict[str, Any]] = []
    config = held_out(config)
    invalid = total = 0
    for start in range(0, episodes, _ROWS):
        count = min(_ROWS, episodes - start)
        env = build_env(config, count)
        player = Player(policy, env, config)
        obs, _ = env.reset(seed=seed + start)
        rows, step, returned = np.arange(count), 0, np.zeros(count)
        player.observe(obs["image"], np.zeros(count, bool), rows)
        while len(rows):
            if should_stop():
                raise Stopped("during a held-out evaluation")
            asked = player.ask(rows)
            if not asked.fits.all():  # the episode cannot go on: it is over, and no success
                outcomes += [_cut(returned[e], step) for e in rows[~asked.fits]]
                rows = rows[asked.fits]
                continue
            seeds = seeding.response_seeds(seed, rows + start, step, purpose="eval")
            answers = player.answer(asked, seeds, step, seed=seed, shift=start)
            invalid, total, step = invalid + int((~answers.moves.is_valid).sum()), total + len(rows), step + 1
            obs, reward, terminated, truncated, info = env.step(answers.moves.told_all(rows, count))
            returned += reward
            ended = terminated | truncated
            final = final_info(info, ended)
            outcomes += [final[e] for e in rows[ended[rows]]]
            rows = rows[~ended[rows]]
            player.observe(obs["image"][rows], np.zeros(len(rows), bool), rows)
        env.close()
    return summarise(outcomes, env_id=config.env.id, seed=seed, invalid_action_frac=invalid / max(1, total))


def _cut(returned: float, length: int) -> dict[str, Any]:
    """What the environment would have told of an episode whose next prompt no longer fits the model's context."""
    return {"success": False, "return": float(returned), "length": length, "fault": None}


def summarise(outcomes: list[dict[str, Any]], *, env_id: str, seed: int, invalid_action_frac: float) -> EvalResult:
    """Return the statistics of ended episodes, given their final_info; every one counts, faulty ones as failures."""
    successes = sum(bool(o["success"]) for o in outcomes)
    solvable = [bool(o["success"]) for o in outcomes if o.get("facts", {}).get("is_solvable")]
    return EvalResult(
        env_id=env_id,
        seed=seed,
        episodes=len(outcomes),
        success_rate=successes / len(outcomes),
        success_ci=wilson_interval(successes, len(outcomes)),
        return_mean=float(np.mean([o["return"] for o in outcomes])),
        return_std=float(np.std([o["return"] for o in outcomes])),
        episode_length=float(np.mean([o["length"] for o in outcomes])),
        invalid_action_frac=invalid_action_frac,
        fault_frac=float(np.mean([bool(o.get("fault")) for o in outcomes])),
        solvable_success_rate=float(np.mean(solvable)) if solvable else None,
        score_mean=mean_score([score_of(o) for o in outcomes]),
        success_by_task=success_by_task([(o.get("facts", {}).get("task_type"), bool(o["success"])) for o in outcomes]),
    )


def evaluate(
    checkpoint: str | Path, env: str | None = None, *, episodes: int = 200, seed: int = 1_000_000,
    allow_seed_overlap: bool = False,
) -> EvalResult:  # fmt: skip
    """Evaluate a checkpoint folder on episodes with seeds seed, seed + 1, ...; a meeting with training seeds is refused."""
    import torch

    from vldac.checkpoint import check_base, load_weights, read_checkpoint
    from vldac.configuration import parse_config
    from vldac.model import load_model

    path = Path(checkpoint)
    state = read_checkpoint(path)
    overrides = {"env.id": env} if env else {}
    if env and not env.startswith("MiniWorld-"):
        overrides["env.textures"] = "auto"
    config = parse_config(json.dumps(state["json"]["config"]), where=str(path), overrides=overrides)
    if not allow_seed_overlap:
        refuse_overlap(tuple(state["json"]["train_seeds"]), seed, episodes)
    device = pick_device(config.device)
    name, dtype = base_model(path, state["json"]["model"]), getattr(torch, config.model.dtype)
    model = load_model(name, dtype=dtype, random_weights=config.model.random_weights, device=device)
    policy = Policy(model, config.model, device=device, seed=config.seed)
    check_base(policy, state["json"], path)
    load_weights(policy, state["tensors"], path)
    return play_episodes(policy, config, episodes=episodes, seed=seed)


def base_model(checkpoint: Path, name: str) -> str:
    """Return the base model's id or folder; a warm start is looked for in the checkpoint's own run folder first (runs can move)."""
    beside = checkpoint.resolve().parent.parent / os.path.basename(name)
    return str(beside) if (beside / "config.json").exists() else name
