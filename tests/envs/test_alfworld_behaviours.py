"""Fourteen ways of ALFWorld's text games that a native engine has to share, and some more that real games show.

Each is tested in both native layers, and in TextWorld itself where it is installed, which keeps the expectations honest.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent / "alfworld"))
from engines import ENGINES, Play
from household import game, problem

NOTHING = "Nothing happens."


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    """The engine that plays."""
    return str(request.param)


def begin(engine: str, wording: str = "package", **parts: Any) -> Play:
    return Play(engine, game(problem(**parts), wording))


KITCHEN: dict[str, Any] = {
    "receptacles": ["Cabinet|1 @ a", "CounterTop|1 @ b", "Fridge|1 @ c", "Microwave|1 @ d", "Sink|1|SinkBasin @ e"],
    "objects": ["Apple|1 in Fridge|1", "Mug|1 in CounterTop|1", "Knife|1 in CounterTop|1", "Egg|1 in CounterTop|1"],
    "goal": "pick Mug Cabinet",
}
SHARED: dict[str, Any] = {
    "receptacles": ["Cabinet|1 @ a", "Drawer|1 @ a", "Desk|1 @ a", "Bed|1 @ b"],
    "objects": ["Book|1 in Desk|1", "Pen|1 in Drawer|1", "Book|2 in Bed|1"],
    "goal": "pick Book Bed",
}


# -- 1 to 3: commands and names ---------------------------------------------------------------------------------------


def test_admissible_commands_are_sorted_and_each_is_there_once(engine: str) -> None:
    play = begin(
        engine, **{**KITCHEN, "receptacles": [*KITCHEN["receptacles"], *(f"Drawer|{i} @ f" for i in range(12))]}
    )
    assert play.commands() == sorted(set(play.commands()))
    assert [c for c in play.commands("go to drawer")][:4] == [
        "go to drawer 1", "go to drawer 10", "go to drawer 11", "go to drawer 12"
    ]  # fmt: skip
    play.say("go to countertop 1", "take mug 1 from countertop 1")
    assert play.commands() == sorted(set(play.commands()))


@pytest.mark.parametrize(
    "command",
    ["", "dance", "Look", "go to", "go to countertop", "go  to countertop 1", "go to countertop 1.", "open fridge 1"],
)
def test_a_command_that_is_not_admissible_changes_nothing(engine: str, command: str) -> None:
    play = begin(engine, **KITCHEN)
    before = play.commands()
    assert play.say(command) == NOTHING
    assert play.commands() == before and play.outcome == (0, False, False)


def test_spaces_around_a_command_do_not_count(engine: str) -> None:
    assert begin(engine, **KITCHEN).say("  go to fridge 1 \n") == "You arrive at fridge 1. The fridge 1 is closed."


def test_the_first_id_in_order_gets_the_highest_number(engine: str) -> None:
    play = begin(
        engine, receptacles=["Shelf|-01.00|+01.50 @ a", "Shelf|+00.20|+01.00 @ b", "Shelf|+01.10|+01.00 @ c"],
        objects=["Mug|-01.00|+01.60 in Shelf|-01.00|+01.50", "Mug|+01.10|+01.10 in Shelf|+01.10|+01.00"], goal="pick Mug Shelf",
    )  # fmt: skip
    assert "you see a shelf 3, a shelf 2, and a shelf 1." in play.opening
    assert play.say("go to shelf 3") == "You arrive at shelf 3. On the shelf 3, you see a mug 2."
    assert play.say("go to shelf 1") == "You arrive at shelf 1. On the shelf 1, you see a mug 1."


def test_an_id_that_mentions_a_basin_is_called_so(engine: str) -> None:
    play = begin(
        engine, receptacles=["Sink|1|SinkBasin @ a", "Sink|2 @ b", "Bathtub|1|BathtubBasin @ c"], objects=["Mug|1 in Sink|2"],
        goal="pick Mug SinkBasin",
    )  # fmt: skip
    assert "you see a bathtubbasin 1, a sinkbasin 1, and a sink 1." in play.opening


@pytest.mark.parametrize("layer", ["auto", "generic", ENGINES[-1]])
def test_an_id_without_a_bar_has_no_number_but_a_space_and_its_commands_never_match(layer: str) -> None:
    play = begin(layer, receptacles=["Safe @ a", "Desk|1 @ b"], objects=["Mug|1 in Desk|1"], goal="pick Mug Safe")
    assert "you see a desk 1, and a safe ." in play.opening
    assert play.commands("go to") == ["go to desk 1", "go to safe "]
    assert play.say("go to safe ") == NOTHING


# -- 4, 5, 7: receptacles that share a location -----------------------------------------------------------------------


def test_nobody_goes_to_a_receptacle_at_the_present_location(engine: str) -> None:
    play = begin(engine, **SHARED)
    assert play.commands("go to") == ["go to bed 1", "go to cabinet 1", "go to desk 1", "go to drawer 1"]
    play.say("go to desk 1")
    assert play.commands("go to") == ["go to bed 1"]
    assert play.say("go to drawer 1") == NOTHING


def test_receptacles_at_one_location_are_opened_and_examined_from_there(engine: str) -> None:
    play = begin(engine, **SHARED)
    assert play.say("go to desk 1") == "You arrive at desk 1. On the desk 1, you see a book 2."
    assert play.commands("open") == ["open cabinet 1", "open drawer 1"]
    assert play.say("open drawer 1") == "You open the drawer 1. The drawer 1 is open. In it, you see a pen 1."
    assert play.say("examine desk 1") == "On the desk 1, you see a book 2."
    assert play.say("examine cabinet 1") == "The cabinet 1 is closed."
    assert play.say("look") == "You are facing the cabinet 1, desk 1, and drawer 1. Next to it, you see nothing."


def test_a_list_of_two_has_a_comma_too(engine: str) -> None:
    play = begin(
        engine,
        receptacles=["Desk|1 @ a", "Drawer|1 @ a"],
        objects=["Pen|1 in Desk|1", "Mug|1 in Desk|1"],
        goal="pick Pen Drawer",
    )
    assert "you see a desk 1, and a drawer 1." in play.opening
    assert play.say("go to drawer 1", "examine desk 1") == "On the desk 1, you see a mug 1, and a pen 1."
    assert play.say("look") == "You are facing the desk 1, and drawer 1. Next to it, you see nothing."


def test_what_was_moved_between_receptacles_at_one_location_is_next_to_it(engine: str) -> None:
    play = begin(engine, **SHARED)
    play.say("go to desk 1", "take book 2 from desk 1")
    assert play.say("look").endswith("Next to it, you see nothing.")  # held
    play.say("open drawer 1", "move book 2 to drawer 1")
    assert play.say("look").endswith("Next to it, you see a book 2.")  # not in the desk, of which that is known
    play.say("take book 2 from drawer 1", "move book 2 to cabinet 1")
    assert play.say("inventory") == "You are carrying: a book 2."  # the cabinet is closed
    play.say("open cabinet 1", "move book 2 to cabinet 1")
    assert play.say("look").endswith("Next to it, you see a book 2, and a book 2.")  # in neither of two
    play.say("take book 2 from cabinet 1", "move book 2 to desk 1")
    assert play.say("look").endswith("Next to it, you see a book 2, and a book 2.")
    play.say("take book 2 from desk 1", "go to bed 1", "move book 2 to bed 1", "go to desk 1")
    assert play.say("look").endswith("Next to it, you see nothing.")


# -- 6, 8: what can be examined ---------------------------------------------------------------------------------------


def test_only_what_is_held_can_be_examined_while_the_domain_has_its_comma(engine: str) -> None:
    play = begin(engine, **KITCHEN)
    play.say("go to countertop 1")
    assert play.commands("examine") == ["examine countertop 1"]
    play.say("take egg 1 from countertop 1")
    assert play.commands("examine") == ["examine countertop 1", "examine egg 1"]
    assert play.say("examine egg 1") == "There's nothing special about egg 1."


def test_without_the_comma_what_is_in_sight_can_be_examined(engine: str) -> None:
    play = begin(engine, "comma removed", **KITCHEN)
    play.say("go to countertop 1")
    assert play.commands("examine") == ["examine countertop 1", "examine egg 1", "examine knife 1", "examine mug 1"]
    play.say("go to fridge 1")
    assert play.commands("examine") == ["examine fridge 1"]
    play.say("open fridge 1")
    assert play.commands("examine") == ["examine apple 1", "examine fridge 1"]


def test_a_mug_is_normal_and_empty_whatever_happens_to_it(engine: str) -> None:
    play = begin(engine, **KITCHEN)
    play.say("go to countertop 1", "take mug 1 from countertop 1")
    for tool, command in (("microwave", "heat"), ("fridge", "cool"), ("sinkbasin", "clean")):
        said = play.say(f"go to {tool} 1", f"{command} mug 1 with {tool} 1")
        assert said == f"You {command} the mug 1 using the {tool} 1."
        assert play.say("examine mug 1") == "This is a normal mug 1. In it, you see nothing."


def test_what_a_plate_holds_at_the_start_it_holds_for_good(engine: str) -> None:
    play = begin(
        engine, receptacles=["Desk|1 @ a"], objects=["Plate|1 in Desk|1", "Egg|1 in Desk|1"], goal="pick Egg Desk",
        facts=["(inReceptacleObject Egg|1 Plate|1)"],
    )  # fmt: skip
    play.say(
        "go to desk 1", "take egg 1 from desk 1", "examine egg 1", "move egg 1 to desk 1", "take plate 1 from desk 1"
    )
    assert play.say("examine plate 1") == "This is a normal plate 1. In it, you see a egg 1."


# -- 9, 10: lamps -----------------------------------------------------------------------------------------------------

LAMPS: dict[str, Any] = {
    "receptacles": ["Desk|1 @ a", "Drawer|1 @ b", "Bed|1 @ c"],
    "objects": ["DeskLamp|1 in Desk|1", "DeskLamp|2 in Drawer|1", "FloorLamp|1 @ c", "Book|1 in Bed|1"],
    "goal": "look Book DeskLamp",
}


def test_a_lamp_that_is_used_again_turns_on_again(engine: str) -> None:
    play = begin(engine, **LAMPS)
    play.say("go to desk 1")
    assert [play.say("use desklamp 2") for _ in range(3)] == ["You turn on the desklamp 2."] * 3
    assert play.say("go to drawer 1", "use desklamp 1") == "You turn on the desklamp 1."  # in a closed drawer


def test_a_lamp_that_stands_in_no_receptacle_cannot_be_used(engine: str) -> None:
    play = begin(engine, **LAMPS)
    assert play.say("go to bed 1") == "You arrive at bed 1. On the bed 1, you see a book 1."
    assert play.commands("use") == []
    assert play.say("use floorlamp 1") == NOTHING


def test_a_look_is_won_beside_a_lamp_that_was_ever_used(engine: str) -> None:
    play = begin(engine, **LAMPS)
    play.say("go to desk 1", "use desklamp 2", "use desklamp 2", "go to bed 1", "take book 1 from bed 1")
    assert play.outcome == (0, False, False)
    play.say("go to desk 1")
    assert play.outcome == (1, True, True)
    play.say("go to drawer 1")
    assert play.outcome == (0, False, False)


# -- 11 to 14 ---------------------------------------------------------------------------------------------------------


def test_the_score_is_lost_again_when_the_goal_no_longer_holds(engine: str) -> None:
    play = begin(engine, **KITCHEN)
    play.say("go to countertop 1", "take mug 1 from countertop 1", "go to cabinet 1", "open cabinet 1")
    assert play.outcome == (0, False, False)
    play.say("move mug 1 to cabinet 1")
    assert play.outcome == (1, True, True)
    assert play.say("close cabinet 1") == "You close the cabinet 1."  # the game goes on
    assert play.outcome == (1, True, True)
    play.say("open cabinet 1", "take mug 1 from cabinet 1")
    assert play.outcome == (0, False, False)
    play.say("move mug 1 to cabinet 1")
    assert play.outcome == (1, True, True)


def test_two_objects_have_to_be_two(engine: str) -> None:
    play = begin(
        engine, receptacles=["Desk|1 @ a", "Drawer|1 @ b", "Drawer|2 @ b"], goal="two Pen Drawer",
        objects=["Pen|1 in Desk|1", "Pen|2 in Desk|1"],
    )  # fmt: skip
    play.say(
        "go to desk 1",
        "take pen 1 from desk 1",
        "go to drawer 1",
        "open drawer 1",
        "open drawer 2",
        "move pen 1 to drawer 1",
    )
    assert play.outcome == (0, False, False)
    play.say("go to desk 1", "take pen 2 from desk 1", "go to drawer 1", "move pen 2 to drawer 2")
    assert play.outcome == (0, False, False)  # in different drawers
    play.say("take pen 2 from drawer 2", "move pen 2 to drawer 1")
    assert play.outcome == (1, True, True)


def test_texts_list_things_in_the_order_of_their_ids_not_of_the_file(engine: str) -> None:
    parts = {**SHARED, "objects": ["Pen|1 in Desk|1", "Book|1 in Desk|1", "CD|1 in Desk|1", "Book|2 in Desk|1"]}
    play = begin(engine, **parts)
    mirrored = begin(engine, **{**parts, "objects": parts["objects"][::-1], "receptacles": parts["receptacles"][::-1]})
    assert mirrored.opening == begin(engine, **parts).opening
    play = begin(engine, **parts)
    assert play.say("go to desk 1").endswith("On the desk 1, you see a book 2, a book 1, a cd 1, and a pen 1.")
    mirrored = begin(engine, **{**parts, "objects": parts["objects"][::-1]})
    assert mirrored.say("go to desk 1").endswith("On the desk 1, you see a book 2, a book 1, a cd 1, and a pen 1.")


def test_hands_that_hold_something_open_close_and_go_but_take_nothing(engine: str) -> None:
    play = begin(engine, **KITCHEN)
    play.say("go to countertop 1")
    assert play.commands("take") == [f"take {thing} 1 from countertop 1" for thing in ("egg", "knife", "mug")]
    play.say("take egg 1 from countertop 1")
    assert play.commands("take") == []
    assert play.say("go to fridge 1") == "You arrive at fridge 1. The fridge 1 is closed."
    assert play.commands("move") == []
    assert play.say("open fridge 1").endswith("In it, you see a apple 1.")
    assert play.commands("take") == [] and play.commands("move") == ["move egg 1 to fridge 1"]
    assert play.say("close fridge 1") == "You close the fridge 1."
    assert play.say("inventory") == "You are carrying: a egg 1."


def test_a_look_at_the_start_sees_nothing_but_the_opening_sees_the_room(engine: str) -> None:
    nothing = "You are in the middle of a room. Looking quickly around you, you see nothing."
    play = begin(engine, **KITCHEN)
    assert "you see a cabinet 1, a countertop 1, a fridge 1, a microwave 1, and a sinkbasin 1." in play.opening
    assert play.say("look") == nothing
    assert play.say("inventory", "look") == nothing
    assert play.say("go to fridge 1", "look") == "You are facing the fridge 1. Next to it, you see nothing."


def test_the_opening_before_a_receptacle_faces_it(engine: str) -> None:
    play = begin(engine, **{**SHARED, "start": "a"})
    facing = "You are facing the cabinet 1, desk 1, and drawer 1. Next to it, you see nothing."
    assert play.opening == f"-= Welcome to TextWorld, ALFRED! =-\n\n{facing}\n\nYour task is to: do something."
    assert play.say("look") == facing


def test_a_sliced_object_keeps_its_name_and_is_sliced_again(engine: str) -> None:
    play = begin(engine, **KITCHEN)
    play.say("go to countertop 1", "take knife 1 from countertop 1")
    assert play.commands("slice") == []
    play.say("go to fridge 1")
    assert play.commands("slice") == ["slice apple 1 with knife 1"]  # the closed door is no matter
    assert play.say("slice apple 1 with knife 1") == "You sliced the apple 1 with the knife 1."
    assert play.say("slice apple 1 with knife 1") == "You sliced the apple 1 with the knife 1."
    play.say("open fridge 1", "move knife 1 to fridge 1", "take apple 1 from fridge 1")
    assert play.say("examine apple 1") == "This is a sliced apple 1."


# -- more that real games show ----------------------------------------------------------------------------------------


def test_heating_undoes_cooling_and_cleaning_stays(engine: str) -> None:
    play = begin(engine, **{**KITCHEN, "facts": ["(isCool Apple|1)"]})
    play.say("go to fridge 1", "open fridge 1", "take apple 1 from fridge 1")
    assert play.say("examine apple 1") == "This is a cold apple 1."
    assert (
        play.say("go to sinkbasin 1", "clean apple 1 with sinkbasin 1", "examine apple 1")
        == "This is a cool and clean apple 1."
    )
    assert (
        play.say("go to microwave 1", "heat apple 1 with microwave 1", "examine apple 1")
        == "This is a hot and clean apple 1."
    )
    assert (
        play.say("go to fridge 1", "close fridge 1", "cool apple 1 with fridge 1")
        == "You cool the apple 1 using the fridge 1."
    )
    assert play.say("examine apple 1") == "This is a cool and clean apple 1."


def test_what_is_in_two_receptacles_stays_in_one_when_it_is_taken_from_the_other(engine: str) -> None:
    play = begin(
        engine, receptacles=["StoveBurner|1 @ a", "StoveBurner|2 @ b", "Desk|1 @ c"], goal="pick Pan Desk",
        objects=["Pan|1 in StoveBurner|1, StoveBurner|2"],
    )  # fmt: skip
    assert play.say("go to stoveburner 2").endswith("you see a pan 1.")
    play.say("take pan 1 from stoveburner 2", "go to stoveburner 1")
    assert play.say("examine stoveburner 1") == "On the stoveburner 1, you see a pan 1."
    assert play.say("inventory") == "You are carrying: a pan 1."
    assert play.commands("take") == [] and play.commands("move") == ["move pan 1 to stoveburner 1"]
    play.say("go to desk 1", "move pan 1 to desk 1")
    assert play.outcome == (1, True, True)
    assert play.say("go to stoveburner 1", "take pan 1 from stoveburner 1").startswith("You pick up the pan 1")
    assert play.outcome == (1, True, True)  # it is on the desk, too


def test_what_does_not_fit_is_not_put(engine: str) -> None:
    play = begin(engine, **{**KITCHEN, "cannot": [("CounterTop", "Mug")]})
    play.say("go to countertop 1", "take mug 1 from countertop 1")
    assert play.commands("move") == []
    assert play.say("go to sinkbasin 1") and play.commands("move") == ["move mug 1 to sinkbasin 1"]


def test_what_is_open_at_the_start_is_open(engine: str) -> None:
    play = begin(engine, **{**KITCHEN, "facts": ["(opened Fridge|1)"]})
    assert play.say("go to fridge 1") == "You arrive at fridge 1. The fridge 1 is open. In it, you see a apple 1."
    assert play.commands("close") == ["close fridge 1"] and play.commands("open") == []


def test_repeated_facts_and_other_spellings_mean_the_same(engine: str) -> None:
    text = problem(**KITCHEN)
    line = next(line for line in text.splitlines() if "inReceptacle" in line)
    shouted = text.replace(line, f"{line}\n\n{line.upper()} ; twice\n\t{line}")
    one, other = Play(engine, game(text)), None
    said = [one.opening, *(one.say(c) for c in ("go to fridge 1", "open fridge 1"))]
    other = Play(engine, game(shouted))
    assert [other.opening, *(other.say(c) for c in ("go to fridge 1", "open fridge 1"))] == said


def test_the_old_wording_puts_in_or_on_and_arrives_at_a_numbered_location(engine: str) -> None:
    play = begin(engine, "2.1.1", **KITCHEN)
    assert play.commands("help") == [] and play.say("help") == NOTHING
    said = [play.say("go to countertop 1"), play.say("take mug 1 from countertop 1"), play.say("go to cabinet 1")]
    assert said[0] == "You arrive at loc 4. On the countertop 1, you see a egg 1, a knife 1, and a mug 1."
    assert said[2] == "You arrive at loc 3. The cabinet 1 is closed."
    play.say("open cabinet 1")
    assert play.commands("put") == ["put mug 1 in/on cabinet 1"] and play.commands("move") == []
    assert play.say("put mug 1 in/on cabinet 1") == "You put the mug 1 in/on the cabinet 1."
    assert play.outcome == (1, True, True)


@pytest.mark.parametrize("wording", ["package", "2.1.2"])
def test_help_lists_the_commands_and_ends_in_a_newline(engine: str, wording: str) -> None:
    said = begin(engine, wording, **KITCHEN).say("help")
    assert said.startswith("Available commands:\n  look:   ") and said.endswith("using a sharp object\n")


@pytest.mark.parametrize("layer", ["auto", "generic", ENGINES[-1]])
def test_in_the_first_games_one_receptacle_is_open_and_lamps_are_used_by_place(layer: str) -> None:
    play = begin(layer, "first", **{**LAMPS, "receptacles": [*LAMPS["receptacles"], "Drawer|2 @ b"]})
    assert play.say("go to drawer 1") == "You arrive at loc 2. The drawer 1 is closed."
    assert play.say("open drawer 1") == "You open the drawer 1."
    assert play.commands("open") == []  # the other drawer, too
    assert play.say("go to bed 1", "use floorlamp 1") == "You turn on the floorlamp 1."


@pytest.mark.parametrize("layer", ["auto", "generic", ENGINES[-1]])
def test_a_text_of_the_grammar_that_breaks_off_is_cut_there(layer: str) -> None:
    content = game(problem(**KITCHEN))
    cut = content["grammar"].replace("You pick up the {o.name} from", "You pick up the {o.name from", 1)
    play = Play(layer, {**content, "grammar": cut})
    assert play.say("go to countertop 1", "take mug 1 from countertop 1") == "You pick up the "
    assert play.say("inventory") == "You are carrying: a mug 1."
