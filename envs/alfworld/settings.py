"""What `make("ALFWorld-v0", ...)` takes, as the native environment's numbers: games by folder and split, the rest by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vldac.envs.alfworld.panel import Panel, find_games
from vldac.envs.file_worlds import Chosen, check_names, number_of, word_of

from vldac import _core
from vldac.errors import EnvError

ENV_ID = "ALFWorld-v0"
REWARDS = ("success", "rl4vlm", "vldac", "increase")
PICTURES = ("none", "ego", "schematic", "panel")
LAYERS = ("auto", "fast", "generic")
ORDERS = ("random", "seed")
_WORDS = {"reward": REWARDS, "picture": PICTURES, "layer": LAYERS, "game_order": ORDERS}
_GENERATED = {
    "num_games": 1000,
    "games_seed": 0,
    "difficulty": "full",
    "wording": "new",
    "rooms": (),
    "objects": "",
    "receptacles": "",
}
_MAX_LOADED = 4096
"""Games that a process keeps in memory."""

HELP = {
    "data": "folder of the games (json_2.1.1 in it), or generated; default: the folder that ALFWORLD_DATA names",
    "split": "train, valid_seen or valid_unseen; default train",
    "tasks": "some of pick, look, clean, heat, cool, pick_two, with commas between them; default: all",
    "reward": "success, rl4vlm, vldac or increase; default success, with task vldac increase",
    "picture": "none, ego, schematic or panel; default ego",
    "decals": "numbers on receptacles and objects, 0 or 1; default 1",
    "human_goals": "probability that the task is told in people's words, where the game has such; default 0",
    "game_order": "random, or seed: environment i plays game number seed + i + episode of the panel; default random",
    "layer": "auto, fast or generic (the interpreter of each game's own rules); default auto",
    "num_games": "data generated: games; default 1000",
    "games_seed": "data generated: seed of the generator; default 0",
    "difficulty": "data generated: full (whole floor plans) or small (4 to 6 receptacles, all things in view); default full",
    "rooms": "data generated: some of Kitchen, LivingRoom, Bedroom, Bathroom; default: all that the tasks have",
    "objects": "data generated: fewest and most things in a room, such as 2-3; default: as released games, 3-6 in small rooms",
    "receptacles": "data generated: fewest and most receptacles, such as 3-4; default: the whole floor plan, 4-6 in small rooms",
    "wording": "data generated: new (move X to Y) or old (put X in/on Y); default new",
}
"""Every option of `make`, in words."""


def choose(given: Mapping[str, Any], task: str | None) -> Chosen:
    """Return the panel and the numbers for options of `make`. task: its argument of that name.

    Raises EnvError for names and values that are not known, and where there are no games.
    """
    options, where = dict(given), f"make({ENV_ID!r})"
    check_names(options, HELP, where)
    panel = _panel(options, where)
    numbers = {"panel": float(keep_panel(panel))}
    words = {
        "reward": "success" if task is None else "increase",
        "picture": "ego",
        "layer": "auto",
        "game_order": "random",
    }
    for name, known in _WORDS.items():
        numbers[name] = float(known.index(word_of(options.get(name, words[name]), known, f"{where}, {name}")))
    numbers["decals"] = number_of(options.get("decals", 1), 0, 1, f"{where}, decals")
    numbers["human_goals"] = number_of(options.get("human_goals", 0), 0, 1, f"{where}, human_goals")
    return Chosen(played=panel, numbers=numbers)


def keep_panel(panel: Panel) -> int:
    """Make a panel known to the native environments, and return its number, which follows from the games' contents."""
    number = int(panel.hash[:13], 16)  # 52 bits: a float holds it exactly
    _core.alfworld_keep_panel(number, list(panel.paths), [list(goals) for goals in panel.human_goals], _MAX_LOADED)
    return number


def _panel(options: Mapping[str, Any], where: str) -> Panel:
    data, split = options.get("data"), str(options.get("split", "train"))
    tasks = _names(options.get("tasks", ()), "tasks")
    if data != "generated":
        for name in _GENERATED:
            if name in options:
                raise EnvError(
                    expected=f"{name} with data='generated' alone",
                    got=f"data={data!r}",
                    where=where,
                    do=f"remove {name}",
                )
        return find_games(split, data=data, tasks=tasks)
    from vldac.envs.alfworld.generated import generated_panel_folder
    from vldac.envs.alfworld.options import GeneratorOptions

    chosen = {name: options.get(name, initial) for name, initial in _GENERATED.items()}
    num = int(number_of(chosen["num_games"], 1, 1_000_000, f"{where}, num_games"))
    seed = int(number_of(chosen["games_seed"], 0, 2**53, f"{where}, games_seed"))
    difficulty = word_of(chosen["difficulty"], ("full", "small"), f"{where}, difficulty")
    wording = word_of(chosen["wording"], ("new", "old"), f"{where}, wording")
    extra: dict[str, Any] = {"tasks": tasks} if tasks else {}
    rooms = _names(chosen["rooms"], "rooms")
    extra |= {"rooms": rooms} if rooms else {}
    for name in ("objects", "receptacles"):
        bounds = _bounds(chosen[name], f"{where}, {name}")
        extra |= {f"num_{name}": bounds} if bounds else {}
    generator = GeneratorOptions(difficulty=difficulty, wording=wording, **extra)  # type: ignore[arg-type]
    folder = generated_panel_folder(num, split=split, seed=seed, options=generator)  # type: ignore[arg-type]
    return find_games(split, data=folder, tasks=tasks)


def _names(given: Any, name: str) -> tuple[str, ...]:
    if isinstance(given, str):
        return tuple(part for part in given.replace(",", " ").split() if part)
    if isinstance(given, Sequence) and all(isinstance(part, str) for part in given):
        return tuple(given)
    raise EnvError(
        expected=f"names of {name}, with commas between them", got=repr(given), where=f"make({ENV_ID!r}), {name}",
        do="correct it",
    )  # fmt: skip


def _bounds(given: Any, where: str) -> tuple[int, int] | None:
    """(fewest, most) of "2-3", 2 or (2, 3); None of nothing."""
    if given in ("", None):
        return None
    parts = given.split("-") if isinstance(given, str) else given if isinstance(given, Sequence) else [given, given]
    try:
        low, high = (int(part) for part in parts)
    except (TypeError, ValueError) as error:
        raise EnvError(expected="two numbers, such as 2-3", got=repr(given), where=where, do="correct it") from error
    return low, high
