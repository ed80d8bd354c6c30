"""Published checkpoints whose configuration ships with the package, so that memory estimates, `--dry-run` and
random-weight runs need no network.

One JSON file per family in `known_models/`: what its checkpoints share (`config`, `processor`), and what each adds
(`models`). Facts only: sizes and constants as published, no weights and no tokenizer. A stored checkpoint is always loaded
with its own configuration. Each entry gives the published parameter count (tested), to the last digit for all but
Qwen2.5-VL-72B, of which only "73.4 B" was found. No public source confirmed rms_norm_eps of the two 72B models, which changes
neither memory nor time. Imports neither torch nor transformers until a configuration object is asked for.
"""

from __future__ import annotations

import copy
import functools
import json
from importlib import resources
from typing import Any

from vldac.errors import ModelError, nearest


def known_ids() -> list[str]:
    """Return the ids of all known checkpoints, sorted."""
    return sorted(_catalogue())


def known_config(name: str) -> Any | None:
    """Return the transformers configuration of a known checkpoint (a new object at each call), or None for other names."""
    if name not in _catalogue():
        return None
    from transformers import AutoConfig

    family, entry = _catalogue()[name]
    values = copy.deepcopy(_merge(family["config"], entry))
    return AutoConfig.for_model(family["model_type"], **values)


def known_processor(name: str) -> dict[str, Any]:
    """Return how a known checkpoint wants its images.

    Keys: patch_size, merge_size, temporal_patch_size, min_pixels, max_pixels (int), image_mean, image_std (three floats).
    Raises ModelError for an unknown id.
    """
    if name not in _catalogue():
        raise ModelError(
            expected=f"one of the known ids {', '.join(known_ids())}{nearest(name, known_ids())}",
            got=repr(name),
            where="known_processor",
            do="use a known id, or read the image processor of the checkpoint's folder",
        )
    family, _ = _catalogue()[name]
    return copy.deepcopy(family["processor"])


@functools.cache
def _catalogue() -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """Id to (family file, the model's own entry)."""
    result: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}
    for file in resources.files("vldac").joinpath("known_models").iterdir():
        if file.name.endswith(".json"):
            family = json.loads(file.read_text(encoding="utf-8"))
            result |= {name: (family, entry) for name, entry in family["models"].items()}
    return result


def _merge(base: dict[str, Any], extra: dict[str, Any]) -> dict[str, Any]:
    """Return `base` with `extra` laid over it, mapping by mapping."""
    merged = dict(base)
    for key, value in extra.items():
        merged[key] = _merge(merged[key], value) if isinstance(value, dict) and key in merged else value
    return merged
