"""The `info` of a batch: Gymnasium's layout of arrays with `_` masks, built when it is looked at.

Most steps nobody looks; then an info costs one small dictionary. It holds the batch's memory like every other view of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from vldac.envs.prompts import messages

from vldac import _core

_IDENTITY = ("env_id", "episode_id", "elapsed_step", "frame_id")
_LAYOUT: dict[str, Any] = {name: None for key in _IDENTITY for name in (key, f"_{key}")}
_DRAWN_LAYOUT: dict[str, Any] = {**_LAYOUT, "textures": None, "_textures": None}
_TEXT_LAYOUT: dict[str, Any] = {**_LAYOUT, "admissible_commands": None, "_admissible_commands": None}
_FINAL_LAYOUT: dict[str, Any] = {key: None for key in ("final_obs", "_final_obs", "final_info", "_final_info")}


class BatchInfo(dict[str, Any]):
    """A dictionary whose values come from a batch on first access; once changed it is an ordinary one."""

    def __init__(
        self,
        batch: _core.Batch,
        *,
        is_same_step: bool,
        has_image: bool,
        wrap: Callable[[_core.Batch, int], Any],
        textures: str | None = None,
        is_text: bool = False,
    ) -> None:
        super().__init__(_TEXT_LAYOUT if is_text else _LAYOUT if textures is None else _DRAWN_LAYOUT)
        self._batch: _core.Batch | None = batch
        self._has_image, self._wrap, self._textures = has_image, wrap, textures
        if batch.num_ended:
            if is_same_step:
                super().update(_FINAL_LAYOUT)
            else:
                super().update({k: v for k, v in self._final_info().items() if k not in self})

    def _build(self, key: str) -> Any:
        batch = self._batch
        assert batch is not None
        if key in _IDENTITY:
            return getattr(batch, key)
        if key == "final_obs":
            final = np.full(batch.rows, None, dtype=object)
            for row in np.flatnonzero(batch.ended):
                final[row] = self._wrap(batch, int(row))
            return final
        if key == "final_info":
            return self._final_info()
        if key == "admissible_commands":
            return batch.commands()
        if key == "textures":
            return np.full(batch.rows, self._textures, dtype=object)
        if key in ("_final_obs", "_final_info"):
            return batch.ended.copy()
        return np.ones(batch.rows, bool)

    def __getitem__(self, key: str) -> Any:
        value = super().__getitem__(key)
        if value is None and (key in _DRAWN_LAYOUT or key in _TEXT_LAYOUT or key in _FINAL_LAYOUT):
            value = self._build(key)
            super().__setitem__(key, value)
        return value

    def _final_info(self) -> dict[str, Any]:
        batch = self._batch
        assert batch is not None
        final = _final_info(batch, self._has_image)
        if self._textures is not None:
            drawn_with = np.full(batch.rows, None, dtype=object)
            drawn_with[batch.ended] = self._textures
            final["textures"] = drawn_with
            final["_textures"] = batch.ended.copy()
        return final

    def _all(self) -> dict[str, Any]:
        return {key: self[key] for key in self}

    def get(self, key: str, default: Any = None) -> Any:
        return self[key] if key in self else default  # noqa: SIM401 (this is get)

    # dict(info) and {**info} take a subclass's raw values unless it has an __iter__ of its own.
    def __iter__(self) -> Iterator[str]:
        return super().__iter__()

    def items(self) -> Any:
        return self._all().items()

    def values(self) -> Any:
        return self._all().values()

    def pop(self, key: str, *default: Any) -> Any:
        if key in self:
            value = self[key]
            super().__delitem__(key)
            return value
        return super().pop(key, *default)

    def copy(self) -> dict[str, Any]:
        """Return an ordinary dictionary of the same values."""
        return self._all()

    def __reduce__(self) -> Any:
        return dict, (self._all(),)

    def __repr__(self) -> str:
        return repr(self._all())

    def __eq__(self, other: object) -> bool:
        return self._all() == other

    __hash__ = None


def _final_info(batch: _core.Batch, has_image: bool) -> dict[str, Any]:
    """What is known of the episodes that ended, valid where its `_` masks say so."""
    ended, rows = batch.ended, batch.rows
    final: dict[str, Any] = {
        "success": batch.success,
        "return": batch.episode_return,
        "length": batch.length,
        "episode_id": batch.final_episode_id,
        "frame_id": batch.final_frame_id,
    }
    final = {key: np.where(ended, value, np.zeros((), value.dtype)) for key, value in final.items()}
    final["env_id"] = np.where(ended, batch.env_id, np.int32(0))
    final["elapsed_step"] = final["length"].copy()
    prompt, fault = np.full(rows, None, dtype=object), np.full(rows, None, dtype=object)
    facts: dict[str, np.ndarray] = {}
    for row in map(int, np.flatnonzero(ended)):
        prompt[row], fault[row] = messages(batch.prompt(row) or "", has_image), batch.fault(row)
        for name, value in (batch.facts(row) or {}).items():
            kind = np.int64 if isinstance(value, int) else object
            facts.setdefault(name, np.zeros(rows, kind) if kind is np.int64 else np.full(rows, None, kind))[row] = value
    final |= {"prompt": prompt, "fault": fault, "facts": facts | {f"_{name}": ended.copy() for name in facts}}
    return final | {f"_{key}": ended.copy() for key in final}
