"""Make one game: draw a household until the expert wins it within the limit, and write it as upstream's three files."""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from vldac.envs.alfworld.annotations import annotate
from vldac.envs.alfworld.household import Goal, Household
from vldac.envs.alfworld.options import GeneratorOptions, Wording
from vldac.envs.alfworld.placement import Rejected, draw_household
from vldac.envs.alfworld.problem import write_problem
from vldac.envs.alfworld.tables import CELL_M, Split, load_facts, read_data

from vldac._core import AlfworldGame, AlfworldPlayer
from vldac.errors import EnvError

GENERATOR_VERSION = 1  # raised when the games of the same seed become others: cached panels are named by it
MAX_DRAWS = 200  # of one game; with the default options hardly any is rejected


@dataclass(frozen=True, kw_only=True, slots=True)
class Game:
    """A generated game. `files` are the texts that upstream's loaders read, by file name."""

    index: int
    split: Split
    goal: Goal
    floor_plan: int
    room: str
    walkthrough: tuple[str, ...]
    files: dict[str, str]
    folder: str
    """Where it belongs below the split's folder: "<task>-<object>-None-<receptacle>-<scene>/trial_<id>"."""
    rejected: Counter[str] = field(default_factory=Counter)
    """Draws that were thrown away before this one, by reason."""


def make_game(index: int, *, split: Split = "train", seed: int = 0, options: GeneratorOptions | None = None) -> Game:
    """Return game `index` of a seed and split. It depends on nothing else: not on how many are made, nor in which order.

    Raises EnvError when the options leave no game: no goal of the task fits, no plan is short or long enough.
    """
    options = options or GeneratorOptions()
    rng = random.Random(f"vldac/alfworld/{seed}/{split}/{index}")
    task = options.full_tasks[index % len(options.full_tasks)]
    rejected: Counter[str] = Counter()
    for _ in range(MAX_DRAWS):
        try:
            household = draw_household(rng, task, split, options)
            game = _game_file(rng, household, index, options.wording)
            game["walkthrough"] = _play(game, options)
        except Rejected as reason:
            rejected[str(reason)] += 1
            continue
        return _finish(rng, household, game, index, split, seed, rejected)
    worst = ", ".join(f"{reason} ({count})" for reason, count in rejected.most_common(3))
    raise EnvError(
        expected=f"a {task} game within {MAX_DRAWS} draws", got=worst, where=f"game {index} of {split}, seed {seed}",
        do="allow more rooms, objects, receptacles or steps",
    )  # fmt: skip


def _game_file(rng: random.Random, household: Household, index: int, wording: Wording) -> dict[str, Any]:
    """Return game.tw-pddl, still without a walkthrough."""
    return {
        "pddl_domain": read_data("alfred.pddl" if wording == "new" else "alfred-old.pddl"),
        "grammar": _grammar(rng, household.goal, wording),
        "pddl_problem": write_problem(household, index),
        "solvable": True,
        "walkthrough": None,
    }


def _play(game: dict[str, Any], options: GeneratorOptions) -> list[str]:
    """Return the commands by which the expert wins the game. Raises Rejected if it does not, or not within the bounds."""
    player = AlfworldPlayer(AlfworldGame.parse(json.dumps(game).encode(), "generated game"))
    commands: list[str] = []
    while not player.won:
        command = player.expert()
        if command is None:
            raise Rejected("the expert finds no plan")
        if len(commands) == options.max_plan_length:
            raise Rejected("the expert needs too many steps")
        player.step(command)
        commands.append(command)
    if not commands:
        raise Rejected("the goal is met at the start")
    if len(commands) < options.min_plan_length:
        raise Rejected("the expert needs too few steps")
    return commands


def _finish(
    rng: random.Random, household: Household, game: dict[str, Any], index: int, split: Split, seed: int,
    rejected: Counter[str],
) -> Game:  # fmt: skip
    goal, plan, walkthrough = household.goal, household.floor_plan, game["walkthrough"]
    trial = f"trial_S{seed}_{index:06d}"
    trajectory = _trajectory(rng, household, walkthrough, trial)
    trajectory["vldac"] = {
        "seed": seed,
        "index": index,
        "split": split,
        "difficulty": _difficulty(household, walkthrough),
    }
    return Game(
        index=index, split=split, goal=goal, floor_plan=plan.number, room=plan.room, walkthrough=tuple(walkthrough),
        files={
            "game.tw-pddl": json.dumps(game),
            "initial_state.pddl": game["pddl_problem"],
            "traj_data.json": json.dumps(trajectory, indent=1),
        },
        folder=f"{goal.task}-{goal.target}-None-{goal.parent or goal.toggle}-{plan.number}/{trial}",
        rejected=rejected,
    )  # fmt: skip


def _grammar(rng: random.Random, goal: Goal, wording: Wording) -> str:
    sentence = rng.choice(load_facts().tasks[goal.task].sentences)
    sentence = sentence.format(obj=goal.target.lower(), recep=goal.parent.lower(), toggle=goal.toggle.lower())
    return read_data("alfred.twl2" if wording == "new" else "alfred-old.twl2").replace("UNKNOWN GOAL", sentence)


def _trajectory(rng: random.Random, household: Household, walkthrough: list[str], trial: str) -> dict[str, object]:
    """Return traj_data.json: the keys that upstream's loaders and its simulator's reset read."""
    goal, plan, (x, z, turns, pitch) = household.goal, household.floor_plan, household.start
    return {
        "task_id": trial,
        "task_type": goal.task,
        "pddl_params": {
            "object_target": goal.target, "parent_target": goal.parent, "mrecep_target": "", "toggle_target": goal.toggle,
            "object_sliced": False,
        },
        "scene": {
            "floor_plan": f"FloorPlan{plan.number}",
            "scene_num": plan.number,
            "random_seed": 0,
            "dirty_and_empty": False,
            "init_action": {
                "action": "TeleportFull", "rotateOnTeleport": True, "x": x * CELL_M, "y": 0.9, "z": z * CELL_M,
                "rotation": turns * 90, "horizon": pitch,
            },
            "object_poses": [
                {
                    "objectName": f"{item.kind}_{i:08x}",
                    "position": dict(zip("xyz", (round(value, 3) for value in item.position), strict=True)),
                    "rotation": {"x": 0.0, "y": 0.0, "z": 0.0},
                }
                for i, item in enumerate(household.items)
            ],
            "object_toggles": [],
        },
        "turk_annotations": {"anns": annotate(rng, goal, walkthrough)},
        "plan": {"high_pddl": [], "low_actions": []},
        "images": [],
    }  # fmt: skip


def _difficulty(household: Household, walkthrough: list[str]) -> dict[str, int]:
    """Return how hard the search is: receptacles that may hold the target by their type, and those of them with a door."""
    facts, target = load_facts(), household.goal.target
    places = [r for r in household.receptacles if target in facts.can_contain[r.kind]]
    return {
        "plan_length": len(walkthrough),
        "num_receptacles": len(household.receptacles),
        "num_objects": len(household.items),
        "num_places_to_search": len(places),
        "num_closed_places": sum(r.kind in facts.openable for r in places),
    }
