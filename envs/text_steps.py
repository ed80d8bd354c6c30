"""Text in, step out: a batch of responses becomes a batch of actions, and those a step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from vldac.actions import ParseMode
from vldac.errors import EnvError
from vldac.moves import is_text, read_moves

FALLBACKS = ("random_legal", "noop", "penalty")


class TextSteps:
    """Gives a vector environment with `action_names` a `step_text`."""

    num_envs: int
    env_id: str
    action_names: list[str]

    def _text_seed(self) -> int:
        """Seed of the fallback's draws."""
        raise NotImplementedError

    def _text_counters(self) -> np.ndarray:
        """[E] int64, another number at every step of an environment."""
        raise NotImplementedError

    def step_text(
        self,
        responses: Sequence[str],
        *,
        mode: ParseMode = "tolerant",
        fallback: str = "random_legal",
        penalty: float = -1.0,
    ) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Parse one response per environment, step, and return what `step` does; info has "parse_status" and "action" [E].

        mode: how a response is read, see `vldac.parse_action`. fallback, for a response without an action: "random_legal" (drawn
        from the seed, the environment and its step), "noop" (action 0, or an empty command), or "penalty" (as random_legal, and
        `penalty` is added to the reward). Raises EnvError for another number of responses and for an environment without named
        actions.
        """
        names = getattr(self, "action_names", None)
        if (not names and not is_text(self)) or len(responses) != self.num_envs or fallback not in FALLBACKS:
            raise EnvError(
                expected=f"{self.num_envs} responses, a fallback among {', '.join(FALLBACKS)}, and actions with names",
                got=f"{len(responses)} responses, fallback {fallback!r}, {len(names or ())} actions with names",
                where=f"step_text of {self.env_id}", do="correct it",
            )  # fmt: skip
        rows = np.arange(self.num_envs)
        moves = read_moves(
            self, responses, rows, mode=mode, fallback=fallback, seed=self._text_seed(), counter=self._text_counters()
        )
        chosen, status = moves.told, moves.status
        obs, reward, terminated, truncated, info = self.step(chosen)  # type: ignore[attr-defined]
        if fallback == "penalty":
            reward = reward + np.where(moves.is_valid, 0.0, penalty)
        all_rows = np.ones(self.num_envs, bool)
        info |= {"parse_status": status, "_parse_status": all_rows, "action": chosen, "_action": all_rows.copy()}
        return obs, reward, terminated, truncated, info
