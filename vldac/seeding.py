"""One integer seed; every random stream is keyed by (seed, purpose, counters), so a resumed run draws the same numbers."""

from __future__ import annotations

import numpy as np
import torch

PURPOSES = {"response": 1, "fallback": 2, "shuffle": 3, "control": 4, "weights": 5, "eval": 6, "words": 7}


def generator(seed: int, purpose: str, *counters: int) -> np.random.Generator:
    """Return a fresh generator for this purpose and these counters."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, PURPOSES[purpose], *counters])))


def response_seeds(
    seed: int, env_ids: np.ndarray, step: int | np.ndarray, *, purpose: str = "response"
) -> torch.Tensor:
    """Return one int64 sampling seed per environment for its step number `step` (one for all, or [E]). Shape [E]."""
    words = [
        np.random.SeedSequence([seed, PURPOSES[purpose], int(e), int(t)]).generate_state(1, np.uint64)[0]
        for e, t in zip(env_ids, np.broadcast_to(step, len(env_ids)), strict=True)
    ]
    return torch.from_numpy((np.array(words, np.uint64) >> np.uint64(1)).astype(np.int64))
