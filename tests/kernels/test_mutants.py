"""A tolerance that passes a broken kernel is no test: every mutant must fail in the tests of its operation."""

from __future__ import annotations

import importlib
import inspect
import sys

import pytest
import torch
from torch.autograd.gradcheck import GradcheckError

from tests.kernels.backends import Kernels, public, specification
from tests.kernels.mutants import MUTANTS, Mutant
from vldac.kernels import decoder_reference, dispatch, reference

SPECIFICATIONS = (reference, decoder_reference)
FAILURES = (AssertionError, GradcheckError, pytest.fail.Exception)


def first_failure(kernels: Kernels, mutant: Mutant) -> str | None:
    """The first test of the mutant's files that fails for `kernels`."""
    for file in mutant.tests:
        module = importlib.import_module(f"tests.kernels.{file}")
        for name, test in vars(module).items():
            parameters = list(inspect.signature(test).parameters) if name.startswith("test_") else []
            subject = "kernels" if mutant.of in SPECIFICATIONS else "tier"
            if not {"kernels", subject} & set(parameters) or not set(parameters) <= {"kernels", "tier", "dtype"}:
                continue
            for dtype in kernels.dtypes if "dtype" in parameters else [None]:
                try:
                    test(kernels, *([dtype] if dtype is not None else []))
                except FAILURES:
                    return name
                except pytest.skip.Exception:
                    continue
    return None


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.fault for mutant in MUTANTS])
def test_every_mutant_fails_in_the_tests_of_its_operation(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    module = mutant.build()
    if mutant.of not in SPECIFICATIONS:
        monkeypatch.setitem(sys.modules, mutant.of.__name__, module)
        dispatch._choose.cache_clear()
        kernels = public("torch", torch.device("cpu"))
        assert kernels is not None
    else:
        kernels = specification(module, mutant.fault)
    try:
        assert first_failure(kernels, mutant) is not None, f"no test notices that {mutant.fault}"
    finally:
        dispatch._choose.cache_clear()


def test_an_edit_that_no_longer_applies_is_an_error() -> None:
    with pytest.raises(LookupError, match="up to date"):
        Mutant("nothing", (), (("text that is not there", ""),)).build()
