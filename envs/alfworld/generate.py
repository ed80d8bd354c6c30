"""Generate games for the real floor plans: in memory, or as a folder that upstream's loaders read too.

`list(generate_games(200, split="valid_unseen", seed=1))` keeps them in memory; `generate(Path("games"), 1000, split="train")`
writes games/json_2.1.1/train/<task>-<object>-None-<receptacle>-<scene>/trial_.../ with upstream's three files each.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from vldac.envs.alfworld.game import Game, make_game
from vldac.envs.alfworld.options import GeneratorOptions
from vldac.envs.alfworld.tables import DATA_FOLDER, SPLITS, Split

from vldac.errors import ConfigError, nearest

_MARK = "generator.json"  # in a split's folder that was made here: what with


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """What was written."""

    folder: Path
    num_games: int
    tasks: Counter[str] = field(default_factory=Counter)
    rooms: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    """Draws that made no game, by reason."""


def generate_games(
    num: int, *, split: Split = "train", seed: int = 0, options: GeneratorOptions | None = None
) -> Iterator[Game]:  # fmt: skip
    """Yield games 0 to num - 1 of a seed and split. Raises ConfigError, EnvError."""
    _check(num, split)
    for index in range(num):
        yield make_game(index, split=split, seed=seed, options=options)


def generate(
    out: Path, num: int, *, split: Split = "train", seed: int = 0, options: GeneratorOptions | None = None,
    overwrite: bool = False, on_game: Callable[[Game], None] | None = None,
) -> Report:  # fmt: skip
    """Write `num` games below `out`/json_2.1.1/`split` and return what they are.

    The split's folder appears when it is complete, or not at all. One that exists and is not empty is refused; with
    `overwrite` it is replaced if the generator made it. `on_game` is called after each game. Raises ConfigError, EnvError.
    """
    options = options or GeneratorOptions()
    _check(num, split)
    target = out / DATA_FOLDER / split
    _check_target(target, overwrite)
    draft = target.with_name(f".{split}.{os.getpid()}.tmp")
    report = Report(folder=target, num_games=num)
    try:
        draft.mkdir(parents=True)
        for game in generate_games(num, split=split, seed=seed, options=options):
            _write_game(draft / game.folder, game)
            report.tasks[game.goal.task] += 1
            report.rooms[game.room] += 1
            report.rejected.update(game.rejected)
            if on_game is not None:
                on_game(game)
        mark = {"num": num, "split": split, "seed": seed, "options": asdict(options)}
        (draft / _MARK).write_text(json.dumps(mark, indent=1) + "\n", encoding="utf-8")
        if target.exists():
            shutil.rmtree(target)
        draft.replace(target)
    except OSError as error:
        raise ConfigError(
            expected="a folder that can be written", got=str(error), where=str(target), do="choose another folder"
        ) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return report


def _write_game(folder: Path, game: Game) -> None:
    folder.mkdir(parents=True)
    for name, text in game.files.items():
        (folder / name).write_text(text, encoding="utf-8")


def _check(num: int, split: str) -> None:
    if num < 1:
        raise ConfigError(expected="at least 1 game", got=str(num), where="game generator", do="raise the number")
    if split not in SPLITS:
        raise ConfigError(
            expected=f"one of the splits {', '.join(SPLITS)}{nearest(split, SPLITS)}", got=repr(split),
            where="game generator", do="choose from the list",
        )  # fmt: skip


def _check_target(target: Path, overwrite: bool) -> None:
    """Refuse to mix games with others, and to remove anything that was not made here."""
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return
    is_ours = (target / _MARK).is_file()
    if not (overwrite and is_ours):
        raise ConfigError(
            expected="a folder without games", got="files in it" if target.is_dir() else "a file", where=str(target),
            do="choose another folder, or overwrite" if is_ours else "choose another folder: these are not the generator's",
        )  # fmt: skip
