"""What came of steps in some environments, one row each: the vector environment's five results with the ends of episodes apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vldac.errors import EnvError


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcomes:
    """R environments' steps."""

    env_ids: np.ndarray
    """[R] int64"""
    images: np.ndarray
    """[R, height, width, 3] uint8, the next observations; of the next episode where one ended"""
    reward: np.ndarray
    """[R] float64"""
    terminated: np.ndarray
    truncated: np.ndarray
    """[R] bool"""
    final: list[dict[str, Any]]
    """Per row the final_info of the episode that ended, else an empty dictionary."""
    final_images: list[Any]
    """Per row the picture at the end of a truncated episode, [height, width, 3] uint8, else None."""

    @property
    def ended(self) -> np.ndarray:
        """[R] bool"""
        ended: np.ndarray = self.terminated | self.truncated
        return ended

    @classmethod
    def of(cls, result: Any, env_ids: np.ndarray) -> Outcomes:
        """Take what `step` or `recv` returned, whose rows are `env_ids`."""
        obs, reward, terminated, truncated, info = result
        ended = terminated | truncated
        final = final_info(info, ended)
        pictures: Any = info["final_obs"] if truncated.any() else None
        return cls(
            env_ids=np.asarray(env_ids, np.int64), images=obs["image"], reward=reward, terminated=terminated, truncated=truncated,
            final=final, final_images=[pictures[i]["image"] if truncated[i] else None for i in range(len(ended))],
        )  # fmt: skip

    @classmethod
    def joined(cls, parts: Sequence[Outcomes]) -> Outcomes:
        """Return the rows of several as those of one. Raises EnvError where frames differ in size."""
        sizes = {part.images.shape[1:] for part in parts}
        if len(sizes) > 1:
            raise EnvError(
                expected="frames of one size", got=" and ".join(str(list(size)) for size in sorted(sizes)),
                where=f"environments {[e for part in parts for e in part.env_ids.tolist()]}",
                do="make the environment draw at one size, or set env.image_size",
            )  # fmt: skip
        names = ("env_ids", "images", "reward", "terminated", "truncated")
        return cls(
            **{name: np.concatenate([getattr(part, name) for part in parts]) for name in names},
            final=[one for part in parts for one in part.final],
            final_images=[one for part in parts for one in part.final_images],
        )


def final_info(info: dict[str, Any], ended: np.ndarray) -> list[dict[str, Any]]:
    """Split Gymnasium's batched final_info: one dictionary per row, empty where no episode ended."""
    final = info.get("final_info")
    if final is None and ended.any():
        raise EnvError(
            expected="final_info for an episode that ended (same-step autoreset)",
            got="none",
            where=f"environment {int(np.flatnonzero(ended)[0])}",
            do="wrap the environment with autoreset_mode=SAME_STEP",
        )
    return [_of_one(final, e) if final and ended[e] else {} for e in range(len(ended))]


def score_of(final: dict[str, Any]) -> float | None:
    """The score of 100 that an ended episode's final_info tells; None where the environment has none beside success."""
    score = final.get("facts", {}).get("score")
    return None if score is None else float(score)


def mean_score(scores: Sequence[float | None]) -> float | None:
    """The mean of episodes' scores, those without one as 0; None where no episode has one."""
    return float(np.mean([score or 0.0 for score in scores])) if any(score is not None for score in scores) else None


def _of_one(batch: dict[str, Any], row: int) -> dict[str, Any]:
    """One environment's entries; dictionaries are batched inside, and masks begin with "_"."""
    return {
        key: _of_one(values, row) if isinstance(values, dict) else values[row]
        for key, values in batch.items()
        if not key.startswith("_")
    }
