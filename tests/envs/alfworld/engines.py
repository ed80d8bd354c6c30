"""A game played by one of three engines: both layers of the native one, and TextWorld where it is installed."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from household import encoded

from vldac import _core

ROOT = Path(__file__).resolve().parents[3]
HAS_TEXTWORLD = all(importlib.util.find_spec(name) for name in ("alfworld", "textworld", "fast_downward"))
needs_textworld = pytest.mark.skipif(not HAS_TEXTWORLD, reason="needs the alfworld package (pip install '.[alfworld]')")
LAYERS = ("fast", "generic")
ENGINES = (*LAYERS, pytest.param("textworld", marks=needs_textworld))


class Play:
    """A game in progress."""

    def __init__(self, engine: str, content: Mapping[str, Any], name: str = "a game of this test") -> None:
        if engine == "textworld":
            self.player: Any = _TextWorld(content)
        else:
            self.player = _core.AlfworldPlayer(_core.AlfworldGame.parse(encoded(content), name), engine)
        self.opening: str = self.player.reset()

    def say(self, *commands: str) -> str:
        """Give commands; return what the last one says."""
        text = ""
        for command in commands:
            text = self.player.step(command)
        return text

    def commands(self, beginning: str = "") -> list[str]:
        """Return the admissible commands with this beginning."""
        return [command for command in self.player.commands() if command.startswith(beginning)]

    @property
    def outcome(self) -> tuple[int, bool, bool]:
        """Score, won, done."""
        return self.player.score, self.player.won, self.player.done


class _TextWorld:
    """Its Reference with the native player's methods."""

    def __init__(self, content: Mapping[str, Any]) -> None:
        self.reference = reference()
        self.turn = self.reference.load(content)

    def reset(self) -> str:
        self.turn = self.reference.reset()
        return str(self.turn.text)

    def step(self, command: str) -> str:
        self.turn = self.reference.step(command)
        return str(self.turn.text)

    def commands(self) -> list[str]:
        return list(self.turn.commands)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.turn, name)


@cache
def reference() -> Any:
    """Return TextWorld's side of benchmarks/alfworld_reference.py; one game at a time."""
    return benchmark("alfworld_reference").Reference()


@cache
def benchmark(name: str) -> Any:
    """Return a module of benchmarks/."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "benchmarks" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look it up
    spec.loader.exec_module(module)
    return module
