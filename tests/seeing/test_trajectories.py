"""Trajectories on disk."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.seeing.conftest import frame, record
from vldac.errors import ConfigError
from vldac.trajectories import read_trajectories, trajectory_updates, write_trajectories


def test_records_read_back_and_equal_frames_are_stored_once(tmp_path: Path) -> None:
    records = [record(), record(step=1, frames=["a", "b"], success=True), record(step=2, frames=["c"])]
    path = write_trajectories(tmp_path, 7, records, {"a": frame(0), "b": frame(5), "c": frame(0)})
    assert path == tmp_path / "trajectories" / "update_000007.jsonl"
    first, second, third = read_trajectories(tmp_path, 7)
    assert first.frames == third.frames and second.success is True and second.frames[0] == first.frames[0]
    assert first.tokens == record().tokens and first.token_logprob == record().token_logprob
    pictures = sorted((path.parent / "frames").iterdir())
    assert len(pictures) == 2
    np.testing.assert_array_equal(np.asarray(Image.open(path.parent / second.frames[1])), frame(5))


def test_the_last_update_is_read_by_default(tmp_path: Path) -> None:
    for update in (3, 12):
        write_trajectories(tmp_path, update, [record(update=update)], {"a": frame(0)})
    assert trajectory_updates(tmp_path) == [3, 12]
    assert read_trajectories(tmp_path)[0].update == 12
    with pytest.raises(ConfigError, match="trajectories of update 4"):
        read_trajectories(tmp_path, 4)


def test_not_a_number_survives_as_valid_json(tmp_path: Path) -> None:
    path = write_trajectories(tmp_path, 7, [record(advantage=math.nan, reward=np.float32(0.5))], {"a": frame(0)})
    json.loads(path.read_text(encoding="utf-8"), parse_constant=pytest.fail)
    (read,) = read_trajectories(tmp_path)
    assert math.isnan(read.advantage) and read.reward == 0.5


def test_no_trajectories_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected trajectories"):
        read_trajectories(tmp_path)


@pytest.mark.parametrize(
    "bad", [{"frames": ["z"]}, {"frames": ["grey"]}, {"token_logprob": [0.0]}, {"update": 8}], ids=str
)
def test_a_record_that_cannot_be_right_is_refused(tmp_path: Path, bad: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        write_trajectories(tmp_path, 7, [record(**bad)], {"a": frame(0), "grey": np.zeros((4, 4), np.uint8)})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "change",
    [
        {"schema_version": 4},
        {"schema_version": 2},
        {"schema_version": 1},
        {"schema_version": [3]},
        {"extra": 1},
        {"frames": ["../../secret.png"]},
        {"frames": ["/etc/passwd"]},
        {"map": "../map.png"},
        {"pose": [0.0, 1.0]},
        {"pose": ["x", 0, 0]},
        {"map_frame": [1, 2, 3]},
        {"box": [1, 2, 3]},
        {"box": [1, 2, 3, "4"]},
    ],
    ids=str,
)
def test_a_foreign_file_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    path = write_trajectories(tmp_path, 7, [record()], {"a": frame(0)})
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | change) + "\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"update_000007\.jsonl:1"):
        read_trajectories(tmp_path)


def test_places_read_back_and_the_map_is_one_picture(mapped_run: Path) -> None:
    *steps, other = read_trajectories(mapped_run)
    assert [step.pose for step in steps] == [[1.0, 1.0, 0.0], [3.0, 1.0, np.pi / 2], [3.0, -0.5, np.pi / 2]]
    assert {step.map for step in steps} == {steps[0].map} and steps[0].map_frame == [-1.0, -2.0, 10.0, 8.0]
    assert other.pose is None and other.map is None and other.map_frame is None
    picture = np.asarray(Image.open(mapped_run / "trajectories" / str(steps[0].map)))
    assert picture.shape == (60, 80, 3) and len(list((mapped_run / "trajectories" / "frames").iterdir())) == 3


@pytest.mark.parametrize(("version", "lacks"), [(1, ("pose", "map", "map_frame", "box")), (2, ("box",))])
def test_files_of_older_versions_are_still_read(tmp_path: Path, version: int, lacks: tuple[str, ...]) -> None:
    path = write_trajectories(tmp_path, 7, [record()], {"a": frame(0)})
    fields = json.loads(path.read_text(encoding="utf-8"))
    old = {key: fields[key] for key in fields if key not in lacks} | {"schema_version": version}
    path.write_text(json.dumps(old) + "\n", encoding="utf-8")
    (read,) = read_trajectories(tmp_path)
    assert read.pose is None and read.map is None and read.box is None and read.frames == fields["frames"]


def test_unicode_line_separators_do_not_split_records(tmp_path: Path) -> None:
    write_trajectories(tmp_path, 7, [record(response="a\u2028b\x85c\nd")], {"a": frame(0)})
    assert read_trajectories(tmp_path)[0].response == "a\u2028b\x85c\nd"
