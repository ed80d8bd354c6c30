"""Finds ALFWorld's game files: which are played, in a fixed order, with one hash for all of them, and why the others are not.

As upstream's loader does: every folder below the split with a traj_data.json is a game; those whose path (below the data folder) says
movable or Sliced are left out, and so is what has no game.tw-pddl, or none that is marked solvable. Unlike upstream's, the order
is that of the paths and not of the disk.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec
from vldac.envs.alfworld.tables import DATA_FOLDER, SPLITS, TASK_NAMES, full_task_name

from vldac.errors import EnvError, nearest

_T = TypeVar("_T")
_GAME, _TRAJECTORY = "game.tw-pddl", "traj_data.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Panel:
    """The games that are played."""

    split: str
    root: str
    """Folder of the split"""
    paths: tuple[str, ...]
    """Game files, sorted by their path below `root`"""
    task_types: tuple[str, ...]
    """Upstream's name of each game's task"""
    human_goals: tuple[tuple[str, ...], ...]
    """What people wrote of each game's task; () where nobody did"""
    hash: str
    """64 hex digits of the paths below `root`, the files' contents and the human goals"""
    left_out: tuple[tuple[str, str], ...]
    """(path, reason) of games that are not played, those of tasks that were not asked for apart"""

    @property
    def kind(self) -> str:
        """What it is, in a word."""
        return "games"

    @property
    def counts(self) -> dict[str, int]:
        """Games by the short name of their task, tasks without any included."""
        found = Counter(self.task_types)
        return {short: found[name] for short, name in TASK_NAMES.items()}

    @property
    def reasons(self) -> dict[str, int]:
        """How many games were left out, by reason, the most frequent first; details after a colon are dropped."""
        return dict(Counter(reason.partition(":")[0] for _, reason in self.left_out).most_common())

    def summary(self) -> str:
        """One line for people."""
        tasks = ", ".join(f"{count} {name}" for name, count in self.counts.items() if count)
        out = f"; left out {len(self.left_out)}: {_listed(self.reasons)}" if self.left_out else ""
        return f"{len(self.paths)} games of {self.split} ({tasks}), hash {self.hash[:12]}{out}"


class _GameFile(msgspec.Struct):
    pddl_domain: str
    grammar: str
    pddl_problem: str
    solvable: bool | None = None


class _Annotation(msgspec.Struct):
    task_desc: str = ""


class _Annotations(msgspec.Struct):
    anns: list[_Annotation] = []


class _Trajectory(msgspec.Struct):
    task_type: str
    turk_annotations: _Annotations = msgspec.field(default_factory=_Annotations)


class _LeftOut(Exception):
    """Why a game is not played."""


def find_games(split: str, *, data: str | Path | None = None, tasks: Sequence[str] = ()) -> Panel:
    """Return the games of a split.

    data: the folder that holds json_2.1.1 (or the splits themselves); default: the folder that ALFWORLD_DATA names, else upstream's
    in the home. tasks: upstream's names of tasks, or pick, look, clean, heat, cool, pick_two; () is all six.
    A game that cannot be read, or is not known to be solvable, is left out and counted. Raises EnvError for an unknown split or
    task, where the data is not, and where no game is left.
    """
    wanted = {_task_name(task) for task in tasks} or set(TASK_NAMES.values())
    root = _root(split, data)
    digest = hashlib.sha256()
    paths: list[str] = []
    kinds: list[str] = []
    goals: list[tuple[str, ...]] = []
    left_out: list[tuple[str, str]] = []
    for folder in _folders(root):
        relative = folder.relative_to(root).as_posix()
        try:
            if "movable" in relative or "Sliced" in relative:
                raise _LeftOut("movable receptacle or sliced object, which upstream leaves out")
            trajectory = _decoded(folder / _TRAJECTORY, _Trajectory)[0]
            if trajectory.task_type not in TASK_NAMES.values():
                raise _LeftOut(f"unknown task: {trajectory.task_type}")
            if trajectory.task_type not in wanted:
                continue
            game, content = _decoded(folder / _GAME, _GameFile)
            if not game.solvable:
                raise _LeftOut("not solvable" if game.solvable is False else "not known to be solvable")
        except _LeftOut as error:
            left_out.append((str(folder / _GAME), str(error)))
            continue
        said = tuple(text for ann in trajectory.turk_annotations.anns if (text := " ".join(ann.task_desc.split())))
        for part in (relative.encode(), content, *(text.encode() for text in said)):
            digest.update(len(part).to_bytes(8, "little"))
            digest.update(part)
        paths.append(str(folder / _GAME))
        kinds.append(trajectory.task_type)
        goals.append(said)
    panel = Panel(
        split=split, root=str(root), paths=tuple(paths), task_types=tuple(kinds), human_goals=tuple(goals),
        hash=digest.hexdigest(), left_out=tuple(left_out),
    )  # fmt: skip
    if not paths:
        asked = ", ".join(tasks) if tasks else "any task"
        raise EnvError(
            expected=f"games of {asked} that can be played",
            got=f"none; left out {len(left_out)}: {_listed(panel.reasons)}" if left_out else f"none with a {_TRAJECTORY}",
            where=str(root), do="correct the folder, the split or the tasks",
        )  # fmt: skip
    return panel


def _folders(root: Path) -> Iterator[Path]:
    """Every folder with a trajectory, by its path."""
    found = [Path(folder) for folder, _, files in os.walk(root) if _TRAJECTORY in files]
    yield from sorted(found, key=lambda folder: folder.relative_to(root).as_posix())


def _decoded(path: Path, kind: type[_T]) -> tuple[_T, bytes]:
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise _LeftOut(f"no {path.name}") from error
    except OSError as error:
        raise _LeftOut(f"{path.name} cannot be read: {error.strerror}") from error
    try:
        return msgspec.json.decode(content, type=kind), content
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise _LeftOut(f"{path.name} is not what it should be: {error}") from error


def _task_name(task: str) -> str:
    name = full_task_name(task)
    if name not in TASK_NAMES.values():
        known = [*TASK_NAMES, *TASK_NAMES.values()]
        raise EnvError(
            expected=f"tasks of {', '.join(TASK_NAMES)} (or upstream's names){nearest(task, known)}", got=repr(task),
            where="ALFWorld's tasks", do="correct it",
        )  # fmt: skip
    return name


def _root(split: str, data: str | Path | None) -> Path:
    """The split's folder."""
    if data is not None:
        base, said = Path(data).expanduser(), "data"
    elif os.environ.get("ALFWORLD_DATA"):
        base, said = Path(os.environ["ALFWORLD_DATA"]).expanduser(), "ALFWORLD_DATA"
    else:
        base, said = Path("~/.cache/alfworld").expanduser(), "upstream's folder; ALFWORLD_DATA is not set"
    parent = base / DATA_FOLDER if (base / DATA_FOLDER).is_dir() else base
    root = parent / split
    if root.is_dir() and split not in ("", ".", "..") and "/" not in split:
        return root
    has_splits = parent != base or any((base / name).is_dir() for name in SPLITS)
    found = sorted(folder.name for folder in parent.iterdir() if folder.is_dir()) if has_splits else []
    if split not in SPLITS:
        known = list(dict.fromkeys([*SPLITS, *found]))
        raise EnvError(
            expected=f"a split of {', '.join(known)}{nearest(split, known)}", got=repr(split), where=f"{parent} ({said})",
            do="choose from the list",
        )  # fmt: skip
    raise EnvError(
        expected=f"ALFWorld's games in {base / DATA_FOLDER / split}",
        got=f"only {', '.join(found)}" if found else "a folder without them" if base.is_dir() else "no such folder",
        where=f"{base} ({said})",
        do="download them (pip install alfworld && alfworld-download) and set ALFWORLD_DATA or data to their folder, or make new "
        "ones (vldac envs generate-alfworld, or data='generated')",
    )  # fmt: skip


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in counts.items())
