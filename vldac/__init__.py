"""VL-DAC: train vision-language agents with token-wise PPO and one value per environment step (arXiv 2508.04280).

Names are imported on first use, so that `import vldac` touches neither torch nor transformers.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

try:
    from vldac import _core as _core
except ImportError as error:
    raise ImportError(
        "vldac: the native extension vldac._core is missing. Likely causes: (1) the package is not installed: run "
        "`pip install -c constraints.txt .`; (2) `python -m` was started in the repository's root, which hides the "
        "installed package: use the `vldac` command, or `python -P -m vldac`; (3) the extension was built for another "
        f"Python: reinstall. ({error})"
    ) from error

_NAMES = {
    "train": "vldac.run",
    "TrainResult": "vldac.run",
    "Trainer": "vldac.trainer",
    "EvalResult": "vldac.evaluation",
    "TrainConfig": "vldac.config",
    "evaluate": "vldac.evaluation",
    "parse_action": "vldac.actions",
    "ParseResult": "vldac.actions",
    "ParseStatus": "vldac.actions",
}
__all__ = [
    "EvalResult",
    "ParseResult",
    "ParseStatus",
    "TrainConfig",
    "TrainResult",
    "Trainer",
    "evaluate",
    "parse_action",
    "train",
]


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        value = getattr(importlib.import_module(_NAMES[name]), name)
        globals()[name] = value
        return value
    if name in ("envs", "kernels"):
        return importlib.import_module(f"vldac.{name}")
    raise AttributeError(f"module 'vldac' has no attribute {name!r}")
