"""Gives `kernels`, `tier` and `dtype` to the tests of this folder: see backends.py."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from tests.kernels.backends import Kernels, specification, tiers


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    names = [name for name in ("kernels", "tier") if name in metafunc.fixturenames]
    if not names:
        return
    kernels = ([specification()] if names == ["kernels"] else []) + list(tiers())
    if "dtype" in metafunc.fixturenames:
        pairs = [pytest.param(k, dtype, id=f"{_name(k)}-{str(dtype)[6:]}") for k in kernels for dtype in k.dtypes]
        metafunc.parametrize((names[0], "dtype"), pairs)
    else:
        metafunc.parametrize(names[0], kernels, ids=[_name(k) for k in kernels])


def _name(kernels: Kernels) -> str:
    return kernels.name if kernels.device.type == "cpu" else f"{kernels.name}_gpu"


@pytest.fixture(autouse=True)
def device_of_the_kernels(request: pytest.FixtureRequest) -> Iterator[None]:
    """Tensors are made where the kernels run."""
    parameters = request.node.callspec.params if hasattr(request.node, "callspec") else {}
    kernels = parameters.get("kernels", parameters.get("tier"))
    if kernels is None or kernels.device.type == "cpu":
        yield
        return
    with torch.device(kernels.device):
        yield
