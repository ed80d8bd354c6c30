"""What the agent saw, wrote and got, step by step, on disk.

`<run>/trajectories/update_NNNNNN.jsonl` has one record per environment step; its frames are PNG files in
`trajectories/frames/`, named after their content, so that a frame that is seen twice is stored once.
Non-finite numbers are stored as null (JSON has no NaN) and read back as NaN.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vldac.errors import ConfigError

SCHEMA_VERSION = 3
_ADDED = {1: ("pose", "map", "map_frame", "box"), 2: ("box",)}
"""Fields that records of an older version lack; they are read as None."""
_KNOWN = (*_ADDED, SCHEMA_VERSION)
_FRAME = re.compile(r"frames/[0-9a-f]{32}\.png")
_NUMBERS = ("advantage", "reward", "value", "ret")
_PLACES = {"pose": 3, "map_frame": 4, "box": 4}
_NUMBER_LISTS = ("token_logprob", "token_old_logprob")


@dataclass(frozen=True, kw_only=True)
class StepRecord:
    """One environment step; the token lists are parallel."""

    schema_version: int = SCHEMA_VERSION
    update: int
    env: int
    episode: int
    step: int
    frames: list[str]
    """Before writing: keys of `images`; after reading: paths relative to the trajectories folder, oldest first."""
    prompt: str
    response: str
    tokens: list[str]
    token_logprob: list[float]
    token_old_logprob: list[float]
    advantage: float
    action: str
    parse_status: str
    """"ok", or why the response held no usable action."""
    reward: float
    value: float
    ret: float
    """The return that the value is trained towards."""
    terminated: bool
    truncated: bool
    success: bool | None
    """Of the episode, known at its last step."""
    pose: list[float] | None = None
    """x, z in metres and heading in radians (facing (cos a, 0, -sin a)) where the step's picture was seen; None without a map."""
    map: str | None = None
    """The world from above at the episode's first recorded step, a picture named as in `frames`."""
    map_frame: list[float] | None = None
    """(min_x, min_z, scale_x, scale_z): (x, z) is at column (x - min_x) * scale_x and row (z - min_z) * scale_z of the map."""
    box: list[int] | None = None
    """x, y, width and height in pixels of what the action clicked on the last frame; None where it points to nothing."""

    def pictures(self) -> list[str]:
        """Return the names of the frames and of the map."""
        return self.frames if self.map is None else [*self.frames, self.map]


def write_trajectories(
    run_dir: str | Path, update: int, records: Iterable[StepRecord], images: Mapping[str, np.ndarray]
) -> Path:
    """Write the records of one update (replacing an older file) and the frames they name; return the JSONL path.

    `images` maps the keys in `record.frames` and `record.map` to (height, width, 3) uint8 arrays. Raises ConfigError for a missing or
    misshapen image and for token lists of different lengths; nothing is written then.
    """
    records = list(records)
    names = {key: f"frames/{_content_hash(key, images)}.png" for record in records for key in record.pictures()}
    lines = [_to_line(record, update, names) for record in records]
    folder = Path(run_dir) / "trajectories"
    (folder / "frames").mkdir(parents=True, exist_ok=True)
    for key, name in names.items():
        if not (folder / name).exists():
            _write_png(folder / name, images[key])
    target = folder / f"update_{update:06d}.jsonl"
    temporary = target.with_name(f".{target.name}.tmp-{os.getpid()}")
    temporary.write_text("".join(lines), encoding="utf-8")
    os.replace(temporary, target)
    return target


def trajectory_updates(run_dir: str | Path) -> list[int]:
    """Return the updates whose trajectories are on disk, ascending."""
    found = (Path(run_dir) / "trajectories").glob("update_*.jsonl")
    return sorted(int(path.stem.removeprefix("update_")) for path in found if path.stem[7:].isdigit())


def read_trajectories(run_dir: str | Path, update: int | None = None) -> list[StepRecord]:
    """Return the records of `update` (None: the last one on disk). Raises ConfigError if there are none."""
    known = trajectory_updates(run_dir)
    if not known or (update is not None and update not in known):
        raise ConfigError(
            expected="trajectories" if update is None else f"trajectories of update {update}",
            got=f"updates {known[0]} to {known[-1]} ({len(known)} files)" if known else "none",
            where=str(Path(run_dir) / "trajectories"),
            do="pass one of the updates on disk" if known else "train with trajectories on, or pass another run folder",
        )
    path = Path(run_dir) / "trajectories" / f"update_{known[-1] if update is None else update:06d}.jsonl"
    lines = path.read_text(encoding="utf-8").split("\n")
    return [_from_line(line, f"{path}:{number}") for number, line in enumerate(lines, 1) if line]


def _content_hash(key: str, images: Mapping[str, np.ndarray]) -> str:
    image = images.get(key)
    if image is None or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ConfigError(
            expected="a (height, width, 3) uint8 array for every frame of a record",
            got="no image" if image is None else f"{image.dtype} {image.shape}",
            where=f"images[{key!r}]", do="pass every frame that a record names",
        )  # fmt: skip
    return hashlib.sha256(repr(image.shape).encode() + np.ascontiguousarray(image).tobytes()).hexdigest()[:32]


def _write_png(path: Path, image: np.ndarray) -> None:
    from PIL import Image

    temporary = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    Image.fromarray(np.ascontiguousarray(image)).save(temporary, format="PNG")
    os.replace(temporary, path)


def _to_line(record: StepRecord, update: int, names: Mapping[str, str]) -> str:
    lengths = {len(record.tokens), len(record.token_logprob), len(record.token_old_logprob)}
    if len(lengths) != 1 or record.update != update:
        raise ConfigError(
            expected=f"a record of update {update} with as many log-probs as tokens",
            got=f"update {record.update}, {len(record.tokens)} tokens, {len(record.token_logprob)} and "
            f"{len(record.token_old_logprob)} log-probs",
            where=f"env {record.env}, episode {record.episode}, step {record.step}", do="correct the record",
        )  # fmt: skip
    fields: dict[str, Any] = dataclasses.asdict(record)
    fields["frames"] = [names[key] for key in record.frames]
    fields["map"] = None if record.map is None else names[record.map]
    fields |= {key: _finite(fields[key]) for key in _NUMBERS}
    fields |= {key: [_finite(number) for number in fields[key]] for key in _NUMBER_LISTS}
    return json.dumps(fields, allow_nan=False) + "\n"


def _finite(number: float) -> float | None:
    number = float(number)
    return number if math.isfinite(number) else None


def _from_line(line: str, where: str) -> StepRecord:
    names = {field.name for field in dataclasses.fields(StepRecord)}
    try:
        fields = json.loads(line)
    except ValueError:
        fields = None
    version = fields.get("schema_version") if isinstance(fields, dict) else None
    names -= {name for old, added in _ADDED.items() if version == old for name in added}
    if not isinstance(fields, dict) or version not in _KNOWN or set(fields) != names:
        raise ConfigError(
            expected=f"a step record of schema version {' or '.join(map(str, _KNOWN))}",
            got="a line that is no JSON object" if version is None else f"schema version {version} or other fields",
            where=where, do="read it with the version of vldac that wrote it, or delete the file",
        )  # fmt: skip
    pictures = [*fields["frames"], *filter(None, [fields.get("map")])]
    if not all(isinstance(name, str) and _FRAME.fullmatch(name) for name in pictures):
        raise ConfigError(
            expected="pictures named frames/<32 hexadecimal digits>.png", got=repr(pictures)[:200], where=where,
            do="delete the file: vldac did not write it",
        )  # fmt: skip
    for name, size in _PLACES.items():
        if not _is_place(fields.get(name), size):
            raise ConfigError(
                expected=f"{name}: {size} finite numbers, or null", got=repr(fields[name])[:200], where=where,
                do="delete the file: vldac did not write it",
            )  # fmt: skip
    fields |= {key: _number(fields[key]) for key in _NUMBERS}
    fields |= {key: [_number(number) for number in fields[key]] for key in _NUMBER_LISTS}
    return StepRecord(**fields)


def _is_place(numbers: Any, size: int) -> bool:
    """Whether this is None or `size` finite numbers."""
    if numbers is None:
        return True
    return isinstance(numbers, list) and len(numbers) == size and all(map(_is_finite, numbers))


def _is_finite(number: Any) -> bool:
    return isinstance(number, int | float) and not isinstance(number, bool) and math.isfinite(number)


def _number(number: float | None) -> float:
    return math.nan if number is None else float(number)
