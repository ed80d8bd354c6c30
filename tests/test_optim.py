"""The optimiser step: what it says of itself."""

from __future__ import annotations

import math

import pytest
import torch

from vldac.config import OptimConfig
from vldac.errors import NonFiniteError
from vldac.optim import adam, clip_and_step


def stepped(gradient: float) -> tuple[torch.nn.Parameter, torch.optim.Adam]:
    parameter = torch.nn.Parameter(torch.zeros(3))
    parameter.grad = torch.full((3,), gradient)
    return parameter, adam([parameter], 0.1, OptimConfig())


def test_a_step_shows_in_the_version_of_the_weights() -> None:
    """Copies of the adapter and the keys of a shared prefix are kept by it: a step that did not show would leave them stale."""
    parameter, optimizer = stepped(1.0)
    before = parameter._version
    assert clip_and_step(optimizer, 10.0, "test") == pytest.approx(math.sqrt(3))
    assert parameter._version > before and parameter.grad is None
    torch.testing.assert_close(parameter.detach(), torch.full((3,), -0.1), atol=1e-5, rtol=0)


def test_a_gradient_that_is_not_finite_moves_nothing() -> None:
    parameter, optimizer = stepped(math.inf)
    with pytest.raises(NonFiniteError, match="finite gradient norm"):
        clip_and_step(optimizer, 10.0, "test")
    assert torch.equal(parameter.detach(), torch.zeros(3))
