"""The library `vldac` of torch operators: how one is defined."""

from __future__ import annotations

from typing import Any

import torch

_LIBRARY = torch.library.Library("vldac", "DEF")
_DEVICES = ("CPU", "CUDA")


def define(schema: str, function: Any, fake: Any) -> None:
    """Define an operator by its schema, an implementation for every device and a fake (shapes alone)."""
    name = schema.split("(")[0]
    _LIBRARY.define(schema)
    for key in _DEVICES:
        _LIBRARY.impl(name, function, key)
    torch.library.register_fake(f"vldac::{name}", fake, lib=_LIBRARY)


def derivative(name: str, backward: Any, setup_context: Any) -> None:
    """Give an operator its derivative."""
    torch.library.register_autograd(f"vldac::{name}", backward, setup_context=setup_context, lib=_LIBRARY)
