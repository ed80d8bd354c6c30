"""Panels of generated games that are made once and kept in the user's cache folder."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import asdict
from pathlib import Path

from vldac.envs.alfworld.game import GENERATOR_VERSION
from vldac.envs.alfworld.generate import generate
from vldac.envs.alfworld.options import GeneratorOptions
from vldac.envs.alfworld.tables import Split

from vldac.errors import ConfigError


def generated_panel_folder(
    num: int, *, seed: int = 0, split: Split = "train", options: GeneratorOptions | None = None
) -> Path:  # fmt: skip
    """Return a data folder with `num` generated games in json_2.1.1/`split`, made at the first call.

    It is named by everything that it depends on, and complete or absent, also when several processes want it at once. The cache is
    $VLDAC_CACHE, else vldac in $XDG_CACHE_HOME or ~/.cache. Raises ConfigError for a cache that cannot be written, and what
    `generate` raises.
    """
    options = options or GeneratorOptions()
    told = json.dumps(asdict(options), sort_keys=True)
    digest = hashlib.sha256(told.encode()).hexdigest()[:12]
    folder = cache_folder() / f"alfworld-v{GENERATOR_VERSION}-{split}-{num}-seed{seed}-{digest}"
    if folder.is_dir():
        return folder
    draft = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    try:
        generate(draft, num, split=split, seed=seed, options=options)
        try:
            draft.replace(folder)
        except OSError:
            if not folder.is_dir():  # else another process was faster
                raise
    except (OSError, ConfigError) as error:
        if isinstance(error, ConfigError) and not isinstance(error.__cause__, OSError):
            raise  # an argument that cannot work
        raise ConfigError(
            expected="a cache folder that can be written", got=str(error.__cause__ or error), where=str(folder.parent),
            do="set VLDAC_CACHE to a folder of yours",
        ) from error  # fmt: skip
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder


def cache_folder() -> Path:
    """Return where the package keeps what it can make again: $VLDAC_CACHE, else vldac in $XDG_CACHE_HOME or ~/.cache."""
    told = os.environ.get("VLDAC_CACHE")
    if told:
        return Path(told).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "vldac"
