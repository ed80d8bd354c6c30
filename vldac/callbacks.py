"""Hooks into a run. A callback is any object with some of these methods; what it raises ends the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from vldac.data import RolloutBatch


class Callback(Protocol):
    """The five hooks. Arguments are the run's own objects: read them, do not change them."""

    def on_train_begin(self, trainer: Any, run_dir: Path) -> None:
        """Before the first update of this process."""

    def on_rollout_end(self, trainer: Any, batch: RolloutBatch) -> None:
        """An update's steps are collected."""

    def on_update_end(self, trainer: Any, metrics: Mapping[str, float]) -> None:
        """An update is finished; its metrics are already written."""

    def on_checkpoint(self, trainer: Any, path: Path) -> None:
        """A checkpoint is whole on disk."""

    def on_train_end(self, trainer: Any, metrics: Sequence[Mapping[str, float]]) -> None:
        """All updates are finished."""


def notify(callbacks: Sequence[Any], hook: str, *arguments: Any) -> None:
    """Call `hook` of every callback that has it, in order."""
    for callback in callbacks:
        method = getattr(callback, hook, None)
        if method is not None:
            method(*arguments)
