"""Pictures of ALFWorld's rooms: they show what the text lists and nothing hidden, things can be told apart, bytes are the same
everywhere. All floor plans: python benchmarks/alfworld_pictures.py parity.

To write the golden pictures anew after a change that is meant:
VLDAC_WRITE_GOLDEN=1 pytest tests/envs/test_alfworld_pictures.py -k golden
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import random
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from vldac.envs.alfworld.tables import load_facts, load_floor_plans

from vldac import _core

GOLDEN = Path(__file__).parent / "golden_alfworld_pictures.json"
MODES = ("ego", "schematic", "panel")
TYPES = [row[0] for row in _core.alfworld_receptacle_looks()]
CLASSES = [row[0] for row in _core.alfworld_object_looks()]
OPENABLE = {kind.lower() for kind in load_facts().openable}
PLANS = load_floor_plans()


def _benchmark() -> ModuleType:
    path = Path(__file__).resolve().parents[2] / "benchmarks" / "alfworld_pictures.py"
    spec = importlib.util.spec_from_file_location("alfworld_pictures", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


study = _benchmark()


def small_room(receptacles: list[str], objects: list[str]) -> dict[str, Any]:
    """Receptacles at one place, and another place from which they lie to the right."""
    names, things = study.named(receptacles), study.named(objects)
    return {
        "locations": [{"name": "loc 1", "pose": (0.0, 0.0, 0, 30)}, {"name": "loc 2", "pose": (-2.0, 1.0, 90, 30)}],
        "receptacles": [
            {
                "type": kind, "name": names[i], "position": (0.4 * i, 0.8, 1.0), "location": 0,
                "flags": ["openable"] if kind in OPENABLE else [],
            }
            for i, kind in enumerate(receptacles)
        ],
        "objects": [
            {"type": kind, "name": things[i], "position": (0.0, 0.0, 0.0)} for i, kind in enumerate(objects)
        ],
        "start": 1,
    }  # fmt: skip


def state_of(room: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Everything in the first receptacle, which is open as all others are."""
    count = len(room["objects"])
    contents: list[list[int]] = [[] for _ in room["receptacles"]]
    contents[0] = list(range(count))
    state = {
        "location": 0, "held": None, "contents": contents, "object_state": [[] for _ in range(count)],
        "is_open": [True] * len(room["receptacles"]),
    }  # fmt: skip
    return state | changes


def picture(
    room: dict[str, Any], mode: str = "ego", size: int = 300, decals: bool = True, **changes: Any
) -> np.ndarray:
    """A picture of the small room's state."""
    return _core.alfworld_picture(room, state_of(room, **changes), mode, size, size, decals)


# -- what is visible ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("decals", [True, False])
def test_everything_the_text_lists_here_has_16_pixels_and_nothing_hidden_any(decals: bool) -> None:
    plans = list(PLANS.values())[:: 12 if decals else 30]
    listed = 0
    for plan, room, state in study.places(plans, seed=7):
        found, hidden = study.pixels(room, state, 300, 300, decals)
        assert not hidden, (plan.number, state["location"], hidden)
        assert min(found.values(), default=16) >= 16, (plan.number, state["location"], found)
        listed += len(found)
    assert listed > 300


@pytest.mark.parametrize("copies", [1, 2, 4])
def test_twenty_objects_in_one_of_several_receptacles_are_all_visible(copies: int) -> None:
    rng = random.Random(copies)
    for kind in TYPES:
        held = [
            thing.lower() for key, value in load_facts().can_contain.items() if key.lower() == kind for thing in value
        ]
        for thing in rng.sample(sorted(held), min(3, len(held))):
            room, state = study.crowded_state(kind, copies, thing, rng.randrange(copies))
            found, _ = study.pixels(room, state, 300, 300)
            assert len(found) >= 1 and min(found.values()) >= 16, (kind, thing, found)


@pytest.mark.parametrize("kind", sorted(OPENABLE))
def test_what_is_behind_a_closed_door_appears_when_it_is_opened(kind: str) -> None:
    room = small_room([kind, kind], ["apple", "cup"])
    for mode in MODES:
        closed = picture(room, mode, is_open=[False, True])
        empty = picture(room, mode, is_open=[False, True], contents=[[], []])
        assert np.array_equal(closed, empty)
        assert not np.array_equal(picture(room, mode), picture(room, mode, contents=[[], []]))


def test_an_object_in_two_receptacles_is_drawn_in_both() -> None:
    room = small_room(["stoveburner", "stoveburner"], ["pan"])
    both, left, right = (
        np.count_nonzero(_core.alfworld_picture_ids(room, state_of(room, contents=contents), 300, 300) == 2)
        for contents in ([[0], [0]], [[0], []], [[], [0]])
    )
    assert both > 1.8 * min(left, right) and min(left, right) > 100


def test_the_held_object_is_in_the_lower_right() -> None:
    room = small_room(["fridge"], ["apple", "mug"])
    ids = _core.alfworld_picture_ids(room, state_of(room, held=1, contents=[[0]]), 300, 300)
    rows, columns = np.nonzero(ids == 2)
    assert len(rows) > 500 and rows.min() > 180 and columns.min() > 150


def test_the_view_from_the_middle_shows_receptacles_in_every_floor_plan() -> None:
    for plan in PLANS.values():
        rng = random.Random(plan.number)
        room = study.household(plan, rng, 12)
        state = study.state_at(room, room["start"], rng)
        ids = _core.alfworld_picture_ids(room, state, 112, 112)
        assert np.count_nonzero((ids >= 0) & (ids < len(room["receptacles"]))) > 60, plan.number


# -- what can be told apart -----------------------------------------------------------------------------------------------


def test_every_receptacle_type_is_drawn_unlike_all_others_and_unlike_itself_closed() -> None:
    seen: dict[bytes, str] = {}
    for kind in TYPES:
        room = small_room([kind], [])
        variants = [(kind, True)] + ([(kind, False)] if kind in OPENABLE else [])
        for name, is_open in variants:
            shown = picture(room, decals=False, is_open=[is_open]).tobytes()
            assert seen.setdefault(shown, f"{name} {is_open}") == f"{name} {is_open}"
    assert len(TYPES) == 37 and len(seen) == 37 + len(OPENABLE)


@pytest.mark.parametrize("size", [128, 84])
def test_every_object_class_is_drawn_unlike_all_others(size: int) -> None:
    room = small_room(["countertop"], CLASSES)
    shown = [picture(room, size=size, decals=False, contents=[[i]]) for i in range(len(CLASSES))]
    empty = picture(room, size=size, decals=False, contents=[[]])
    least = 25 if size == 128 else 10
    for i, one in enumerate(shown):
        assert np.count_nonzero(np.any(one != empty, 2)) > least, CLASSES[i]
        for j in range(i):
            assert np.count_nonzero(np.any(one != shown[j], 2)) > least // 5, (CLASSES[i], CLASSES[j])


def test_the_108_classes_and_their_slices_have_looks_of_their_own() -> None:
    looks = {(row[1], tuple(row[2]), tuple(row[3])) for row in _core.alfworld_object_looks()}
    assert len(looks) == len(CLASSES) == 114
    contained = {thing.lower() for value in load_facts().can_contain.values() for thing in value}
    assert contained <= set(CLASSES)


def test_states_change_what_an_object_looks_like() -> None:
    room = small_room(["countertop"], ["apple"])
    states = [[], ["hot"], ["cool"], ["clean"], ["sliced"], ["hot", "clean"], ["cool", "sliced"]]
    shown = [picture(room, decals=False, object_state=[state]) for state in states]
    for i, one in enumerate(shown):
        for other in shown[:i]:
            assert np.count_nonzero(np.any(one != other, 2)) > 60


def test_a_lamp_that_is_on_makes_the_room_brighter() -> None:
    room = small_room(["desk"], ["desklamp"])
    off, on = (picture(room, object_state=[state]).astype(int) for state in ([], ["on"]))
    assert on.mean() > off.mean() + 10


def test_numbers_are_written_where_decals_are_on_and_only_there() -> None:
    room, other = small_room(["drawer"], ["fork"]), small_room(["drawer"], ["fork"])
    other["receptacles"][0]["name"] = "drawer 12"
    other["objects"][0]["name"] = "fork 3"
    assert np.array_equal(picture(room, decals=False), picture(other, decals=False))
    for mode in MODES:
        assert not np.array_equal(picture(room, mode), picture(other, mode))


# -- the same bytes ---------------------------------------------------------------------------------------------------------


def golden_pictures() -> Iterator[tuple[str, np.ndarray]]:
    """Pictures of rooms that are written out here: name, bytes."""
    rooms = {
        "kitchen": small_room(["fridge", "microwave"], ["apple", "mug", "egg", "knife"]),
        "desk": small_room(["desk"], ["desklamp", "book", "pencil", "cellphone", "bowl"]),
        "bathroom": small_room(["toilet", "sinkbasin", "cabinet", "towelholder"], ["soapbar", "cloth", "towel"]),
    }
    for name, room in rooms.items():
        marks = [["hot"], ["on"], ["cool", "clean"], ["sliced"], []][: len(room["objects"])]
        contents = [list(range(len(room["objects"]) - 1)), *([] for _ in room["receptacles"][1:])]
        changes = {"object_state": marks, "contents": contents, "held": len(room["objects"]) - 1}
        for mode in MODES:
            for size in (300, 84):
                yield f"{name}, {mode}, {size}", picture(room, mode, size, **changes)
        yield f"{name}, from the side", picture(room, "ego", 150, location=1, **changes)


@pytest.mark.parametrize("tier", _core.isa_tiers())
def test_golden_rooms_are_drawn_to_the_byte_at_every_tier(tier: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLDAC_ISA", tier)
    found = {name: hashlib.sha256(shown.tobytes()).hexdigest() for name, shown in golden_pictures()}
    if os.environ.get("VLDAC_WRITE_GOLDEN"):
        GOLDEN.write_text(json.dumps(found, indent=1) + "\n")
    assert found == json.loads(GOLDEN.read_text())


def test_no_golden_room_is_blank() -> None:
    for name, shown in golden_pictures():
        assert len(np.unique(shown.reshape(-1, 3), axis=0)) > 10, name


def test_threads_draw_the_same_bytes_in_any_order() -> None:
    jobs = []
    for number in (3, 205, 309, 411):
        rng = random.Random(number)
        room = study.household(PLANS[number], rng)
        painter = _core.AlfworldPainter(room)
        jobs += [
            (painter, painter.state(study.state_at(room, location, rng)), mode, size)
            for location, mode, size in zip(range(6), MODES * 2, (84, 150, 224) * 2, strict=True)
        ]
    expected = [painter.draw(state, mode, size, size) for painter, state, mode, size in jobs]
    wrong: list[int] = []

    def work(seed: int) -> None:
        for i in random.Random(seed).sample(range(len(jobs)), len(jobs)):
            painter, state, mode, size = jobs[i]
            if not np.array_equal(painter.draw(state, mode, size, size), expected[i]):
                wrong.append(i)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


# -- sizes and mistakes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(56, 56), (56, 84), (320, 240), (200, 320), (448, 448), (28, 28)])
def test_pictures_of_every_size_show_the_faced_receptacle(size: tuple[int, int]) -> None:
    room = small_room(["drawer", "cabinet"], ["fork", "cup", "book"])
    for mode in MODES:
        shown = _core.alfworld_picture(room, state_of(room, held=2, contents=[[0], [1]]), mode, *size)
        assert shown.shape == (size[1], size[0], 3) and len(np.unique(shown.reshape(-1, 3), axis=0)) > 5
    ids = _core.alfworld_picture_ids(room, state_of(room, held=2, contents=[[0], [1]]), *size)
    assert {0, 1} <= set(ids.ravel().tolist())


def test_places_without_coordinates_are_drawn_too() -> None:
    room = small_room(["drawer", "shelf"], ["fork"])
    room["locations"] = [{"name": "loc 1", "pose": None}, {"name": "loc 2", "pose": None}]
    ids = _core.alfworld_picture_ids(room, state_of(room), 300, 300)
    assert {0, 1, 2} <= set(ids.ravel().tolist())
    for mode in MODES:
        assert picture(room, mode, location=1).shape == (300, 300, 3)
        assert picture(room, mode, location=None).shape == (300, 300, 3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"location": 9}, "the location: expected"),
        ({"held": 5}, "what is held: expected"),
        ({"contents": [[7]]}, "contents: expected objects"),
        ({"contents": []}, "contents: expected a list for each"),
        ({"object_state": [["boiled"]]}, "object_state: expected clean"),
        ({"is_open": []}, "expected a state of 1 objects"),
    ],
)
def test_states_of_no_such_room_are_refused(changes: dict[str, Any], message: str) -> None:
    room = small_room(["drawer"], ["fork"])
    with pytest.raises(ValueError, match=message):
        picture(room, **changes)


@pytest.mark.parametrize("size", [0, 27, 4097])
def test_sides_out_of_range_are_refused(size: int) -> None:
    with pytest.raises(ValueError, match="expected 28 to 4096 pixels"):
        picture(small_room(["drawer"], ["fork"]), size=size)


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(ValueError, match='expected "ego", "schematic" or "panel"'):
        picture(small_room(["drawer"], ["fork"]), "map")


def test_the_documentation_lists_every_class_under_its_shape() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "alfworld_pictures.md").read_text(encoding="utf-8")
    rows = dict(line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| "))
    for kind, shape, *_ in _core.alfworld_object_looks():
        assert kind in rows[shape].split(", ")
