"""Generated ALFWorld games: what they hold, what splits have in common, what is refused, and that upstream plays them."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from vldac.envs.alfworld.game import GENERATOR_VERSION, Game, make_game
from vldac.envs.alfworld.generate import generate, generate_games
from vldac.envs.alfworld.generated import generated_panel_folder
from vldac.envs.alfworld.options import ROOMS, TASK_NAMES, GeneratorOptions
from vldac.envs.alfworld.placement import possible_goals
from vldac.envs.alfworld.tables import SPLITS, floor_plans_of, load_facts, load_floor_plans

from vldac._core import AlfworldGame, AlfworldPlayer
from vldac.cli import main
from vldac.errors import ConfigError, EnvError

NUM_GAMES = 36
UPSTREAM_FILES = {"game.tw-pddl", "initial_state.pddl", "traj_data.json"}


@pytest.fixture(scope="module")
def games() -> list[Game]:
    return [game for split in SPLITS for game in generate_games(NUM_GAMES // 3, split=split, seed=5)]


def facts_of(game: Game) -> dict[str, list[tuple[str, ...]]]:
    """Return the facts of the problem's init by predicate, ids still escaped."""
    init = game.files["initial_state.pddl"].split("(:init")[1].split("(:goal")[0]
    facts: dict[str, list[tuple[str, ...]]] = {}
    for fact in re.findall(r"\((\w[^()=]*)\)", init):
        name, *arguments = fact.split()
        facts.setdefault(name, []).append(tuple(arguments))
    return facts


def test_floor_plans_are_the_120_of_alfred_with_all_upstream_receptacles() -> None:
    plans = load_floor_plans()
    assert Counter(plan.room for plan in plans.values()) == dict.fromkeys(ROOMS, 30)
    for plan in plans.values():
        keys = [receptacle.key for receptacle in plan.receptacles]
        assert len(set(keys)) == len(keys)
        assert {r.kind for r in plan.receptacles} <= set(load_facts().can_contain)
        assert all(r.pose[:2] in plan.cells for r in plan.receptacles), "an agent can stand where it uses each of them"
    shipped = json.loads(
        (Path(__file__).parents[2] / "third_party/alfworld/floor_plans.json").read_text(encoding="utf-8")
    )
    assert sum(len(plan["receptacles"]) for plan in shipped) == 1755


def test_each_kitchen_has_what_its_tasks_need() -> None:
    for plan in load_floor_plans().values():
        kinds = {receptacle.kind for receptacle in plan.receptacles}
        if plan.room == "Kitchen":
            assert {"Fridge", "Microwave", "SinkBasin", "StoveBurner", "Toaster", "CoffeeMachine"} <= kinds
        for task in load_facts().tasks.values():
            if plan.room in task.rooms:
                assert possible_goals(plan, task.name, "valid_unseen"), (plan.number, task.name)


def test_a_game_depends_on_its_seed_split_and_index_alone() -> None:
    first = make_game(7, split="train", seed=3)
    assert list(generate_games(8, split="train", seed=3))[7].files == first.files
    assert make_game(7, split="train", seed=4).files != first.files
    assert make_game(7, split="valid_seen", seed=3).files != first.files
    assert make_game(8, split="train", seed=3).files != first.files


def test_unseen_games_have_the_first_six_floor_plans_of_each_room(games: list[Game]) -> None:
    for game in games:
        assert (game.floor_plan % 100 <= 6) == (game.split == "valid_unseen")
    assert [plan.number for plan in floor_plans_of("valid_unseen") if plan.room == "Bedroom"] == [*range(301, 307)]


def test_train_and_valid_seen_share_floor_plans_and_no_goal() -> None:
    assert floor_plans_of("train") == floor_plans_of("valid_seen")
    for task in load_facts().tasks:
        train, seen = (
            {goal for plan in floor_plans_of(split) for goal in possible_goals(plan, task, split)}
            for split in ("train", "valid_seen")
        )
        assert seen, task
        assert not train & seen, task
        assert len(seen) == pytest.approx(0.1 * len(train | seen), abs=1), task


def test_all_tasks_and_rooms_occur(games: list[Game]) -> None:
    assert Counter(game.goal.task for game in games) == dict.fromkeys(TASK_NAMES.values(), NUM_GAMES // 6)
    assert {game.room for game in games} == set(ROOMS)
    assert all(game.room in load_facts().tasks[game.goal.task].rooms for game in games)


def test_the_goal_is_not_met_at_the_start(games: list[Game]) -> None:
    for game in games:
        facts, goal = facts_of(game), game.goal
        kind_of = dict(facts["objectType"]) | dict(facts["receptacleType"])
        in_place = Counter(
            r
            for o, r in facts["inReceptacle"]
            if kind_of[o] == f"{goal.target}Type" and kind_of[r] == f"{goal.parent}Type"
        )
        assert not {"isClean", "isHot", "isToggled", "holds"} & set(facts)
        cold = {kind_of[o] for (o,) in facts.get("isCool", [])}
        assert goal.task != "pick_cool_then_place_in_recep" or f"{goal.target}Type" not in cold
        if goal.task == "pick_and_place_simple":
            assert not in_place
        if goal.task == "pick_two_obj_and_place":
            assert max(in_place.values(), default=0) < 2
            assert sum(kind == f"{goal.target}Type" for kind in kind_of.values()) >= 2
        if goal.task == "look_at_obj_in_light":
            lamps = {o for o, kind in facts["objectType"] if kind == "DeskLampType"}
            assert lamps & {o for o, _ in facts["inReceptacle"]} == lamps, (
                "a lamp outside all receptacles cannot be used"
            )


def test_each_walkthrough_wins_in_the_native_engine_and_not_before_its_end(games: list[Game]) -> None:
    for game in games:
        native = AlfworldGame.parse(game.files["game.tw-pddl"].encode(), game.folder)
        assert native.task()["kind"] == game.goal.task and native.is_fast
        player = AlfworldPlayer(native)
        for command in game.walkthrough:
            assert not player.won and command in player.commands()
            player.step(command)
        assert player.won and player.score == 1 and len(game.walkthrough) <= 50


def test_problems_declare_every_name_once_and_place_every_object(games: list[Game]) -> None:
    for game in games:
        problem, facts = game.files["initial_state.pddl"], facts_of(game)
        declared = dict(re.findall(r"^\s+(\S+) - (\w+)$", problem.split("(:init")[0], flags=re.MULTILINE))
        names = re.findall(r"^\s+(\S+) - \w+$", problem.split("(:init")[0], flags=re.MULTILINE)
        assert len({name.lower() for name in names}) == len(names)
        used = {argument for rows in facts.values() for row in rows for argument in row}
        assert used <= set(declared)
        assert {"SinkBasinType", "MicrowaveType", "FridgeType", "KnifeType", "ButterKnifeType"} <= set(declared)
        stands_at, lies_at = dict(facts["receptacleAtLocation"]), dict(facts["objectAtLocation"])
        assert set(lies_at) == {name for name, kind in declared.items() if kind == "object"}
        place = dict(reversed(facts["inReceptacle"]))  # the first one counts
        assert all(lies_at[o] == stands_at[r] for o, r in place.items())
        portable = {o for (o,) in facts["pickupable"]}
        assert portable == {o for o in place if dict(facts["objectType"])[o] != "DeskLampType"}
        can = set(facts["canContain"])
        rtype, otype = dict(facts["receptacleType"]), dict(facts["objectType"])
        assert all((rtype[r], otype[o]) in can for o, r in place.items() if otype[o] != "DeskLampType")
        assert "(:metric" not in problem and problem.count("(") == problem.count(")")


def test_rooms_are_as_full_as_released_ones(games: list[Game]) -> None:
    at = Counter()
    for game in games:
        facts = facts_of(game)
        portable = {o for (o,) in facts["pickupable"]}
        copies = Counter(kind for o, kind in facts["objectType"] if o in portable)
        assert max(copies.values()) <= 3
        places = Counter(location for _, location in facts["receptacleAtLocation"])
        at["shared"] += sum(count for count in places.values() if count > 1)
        at["all"] += places.total()
        if game.room == "Kitchen":
            assert 25 <= copies.total() <= 60
    assert 0.1 < at["shared"] / at["all"] < 0.3, "receptacles share a location as in the tables"


def test_whole_rooms_have_what_is_odd_about_released_ones() -> None:
    odd = Counter()
    for game in generate_games(60, seed=8):
        facts = facts_of(game)
        kind_of, place = dict(facts["objectType"]), dict(facts["receptacleType"])
        times = Counter(o for o, _ in facts["inReceptacle"])
        odd["twice"] += sum(count == 2 for count in times.values())
        odd["nowhere"] += sum(o not in times for o in kind_of)
        holder = {o: r for o, r in reversed(facts["inReceptacle"])}
        for inner, outer in facts.get("inReceptacleObject", []):
            assert holder[inner] == holder[outer] and (outer,) in facts["isReceptacleObject"]
            odd["inside"] += 1
        cold = {o for (o,) in facts.get("isCool", [])}
        assert cold == {o for o, r in holder.items() if place[r] == "FridgeType" and (o,) in facts["coolable"]}
        odd["cold"] += len(cold)
    assert min(odd[name] for name in ("twice", "nowhere", "inside", "cold")) > 3, odd


def test_the_difficulty_is_recorded(games: list[Game]) -> None:
    for game in games:
        difficulty = json.loads(game.files["traj_data.json"])["vldac"]["difficulty"]
        facts, goal = facts_of(game), game.goal
        assert difficulty["plan_length"] == len(game.walkthrough)
        holders = {rtype for rtype, otype in facts["canContain"] if otype == f"{goal.target}Type"}
        places = {r for r, kind in facts["receptacleType"] if kind in holders}
        assert difficulty["num_places_to_search"] == len(places)
        assert difficulty["num_closed_places"] == len(
            places & {r for (r,) in facts["openable"]} if "openable" in facts else ()
        )


def test_folders_hold_what_upstream_reads(tmp_path: Path) -> None:
    report = generate(tmp_path, 12, split="valid_unseen")
    assert report.folder == tmp_path / "json_2.1.1" / "valid_unseen"
    folders = sorted(path.parent for path in report.folder.rglob("game.tw-pddl"))
    assert len(folders) == 12 == report.tasks.total() == report.rooms.total()
    assert not list(report.folder.parent.glob(".*")), "no draft is left"
    for folder in folders:
        assert {path.name for path in folder.iterdir()} == UPSTREAM_FILES
        game = json.loads((folder / "game.tw-pddl").read_text(encoding="utf-8"))
        assert set(game) == {"pddl_domain", "grammar", "pddl_problem", "solvable", "walkthrough"}
        assert game["solvable"] is True and "UNKNOWN GOAL" not in game["grammar"]
        assert game["pddl_problem"] == (folder / "initial_state.pddl").read_text(encoding="utf-8")
        traj = json.loads((folder / "traj_data.json").read_text(encoding="utf-8"))
        params = traj["pddl_params"]
        assert set(params) == {"object_target", "parent_target", "mrecep_target", "toggle_target", "object_sliced"}
        parent = params["parent_target"] or params["toggle_target"]
        assert (
            folder.parent.name
            == f"{traj['task_type']}-{params['object_target']}-None-{parent}-{traj['scene']['scene_num']}"
        )
        assert folder.name == traj["task_id"]
        assert 2 <= len(traj["turk_annotations"]["anns"]) <= 3
        assert all(len(each["high_descs"]) == len(game["walkthrough"]) for each in traj["turk_annotations"]["anns"])


def test_the_old_wording_is_the_older_files() -> None:
    game = json.loads(make_game(0, options=GeneratorOptions(wording="old")).files["game.tw-pddl"])
    assert "put {o} in/on {r}" in game["grammar"] and "{lend.name}" in game["grammar"]
    assert "action help" not in game["grammar"] and ":action help" not in game["pddl_domain"]
    assert re.search(r"put \w+ \d+ in/on", game["walkthrough"][-1])
    newer = json.loads(make_game(0).files["game.tw-pddl"])
    assert newer["pddl_problem"] == game["pddl_problem"], "the wording changes nothing else"


def test_small_rooms_are_small_and_show_everything() -> None:
    options = GeneratorOptions(tasks=("pick", "look"), difficulty="small")
    panel = list(generate_games(60, options=options))
    for game in panel:
        facts, goal = facts_of(game), game.goal
        assert 3 <= len(facts["receptacleType"]) <= 6
        assert 1 <= len(facts["objectType"]) <= 6
        doors = {r for (r,) in facts.get("openable", [])}
        assert not doors & {r for _, r in facts["inReceptacle"]}
        assert all(kind == f"{goal.parent}Type" for r, kind in facts["receptacleType"] if r in doors)
        assert len(game.walkthrough) <= 5
    assert len({game.files["initial_state.pddl"] for game in panel}) == len(panel)


def test_panels_of_different_splits_have_no_room_and_goal_in_common() -> None:
    options = GeneratorOptions(tasks=("pick", "look"), difficulty="small")
    train, seen, unseen = (
        {(game.floor_plan, game.goal) for game in generate_games(60, split=split, options=options)} for split in SPLITS
    )
    assert not train & seen and not {plan for plan, _ in train | seen} & {plan for plan, _ in unseen}


def test_plan_lengths_stay_within_their_bounds() -> None:
    options = GeneratorOptions(tasks=("clean", "heat", "cool", "two"), min_plan_length=7, max_plan_length=8)
    made = list(generate_games(24, options=options))
    assert {len(game.walkthrough) for game in made} <= {7, 8}
    reasons = sum((game.rejected for game in made), Counter())
    assert set(reasons) <= {"the expert needs too few steps", "the expert needs too many steps"} and reasons


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"tasks": ("pik",)}, "did you mean 'pick'"),
        ({"tasks": ()}, "tasks among"),
        ({"rooms": ("Attic",)}, "rooms among"),
        ({"tasks": ("heat",), "rooms": ("Bedroom",)}, "a room for pick_heat_then_place_in_recep: Kitchen"),
        ({"num_objects": (5, 3)}, "num_objects as two numbers"),
        ({"num_receptacles": (0, 3)}, "num_receptacles as two numbers"),
        ({"min_plan_length": 9, "max_plan_length": 8}, "min_plan_length <= max_plan_length"),
        ({"wording": "older"}, "wording among new, old"),
    ],
)
def test_options_that_cannot_work_are_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        GeneratorOptions(**wrong)


def test_options_that_leave_no_game_are_an_error_that_says_why() -> None:
    with pytest.raises(EnvError, match="the expert needs too few steps"):
        make_game(0, options=GeneratorOptions(tasks=("look",), min_plan_length=40))


def test_unknown_splits_and_numbers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="one of the splits"):
        generate(tmp_path, 1, split="valid")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="at least 1 game"):
        generate(tmp_path, 0)


def test_a_folder_with_games_is_refused_and_only_own_games_are_replaced(tmp_path: Path) -> None:
    generate(tmp_path, 2)
    with pytest.raises(ConfigError, match="or overwrite"):
        generate(tmp_path, 2)
    generate(tmp_path, 3, split="valid_seen")  # another split is no obstacle
    assert generate(tmp_path, 4, overwrite=True).num_games == 4
    assert len(list((tmp_path / "json_2.1.1" / "train").rglob("game.tw-pddl"))) == 4
    (tmp_path / "json_2.1.1" / "train" / "generator.json").unlink()  # as if they were the released games
    with pytest.raises(ConfigError, match="not the generator's"):
        generate(tmp_path, 2, overwrite=True)
    assert len(list((tmp_path / "json_2.1.1" / "train").rglob("game.tw-pddl"))) == 4


def test_an_interrupted_run_leaves_what_was_there(tmp_path: Path) -> None:
    generate(tmp_path, 2)

    def stop(game: Game) -> None:
        if game.index == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate(tmp_path, 9, overwrite=True, on_game=stop)
    assert len(list(tmp_path.rglob("game.tw-pddl"))) == 2
    assert [path.name for path in (tmp_path / "json_2.1.1").iterdir()] == ["train"]


def test_a_cached_panel_is_made_once_and_named_by_its_parameters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLDAC_CACHE", str(tmp_path / "cache"))
    options = GeneratorOptions(tasks=("pick", "look"), difficulty="small")
    folder = generated_panel_folder(4, split="valid_unseen", options=options)
    assert len(list((folder / "json_2.1.1" / "valid_unseen").rglob("game.tw-pddl"))) == 4
    times = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert generated_panel_folder(4, split="valid_unseen", options=options) == folder
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == times
    others = {
        generated_panel_folder(5, split="valid_unseen", options=options),
        generated_panel_folder(4, split="valid_unseen", options=options, seed=1),
        generated_panel_folder(4, split="train", options=options),
        generated_panel_folder(4, split="valid_unseen", options=GeneratorOptions(tasks=("pick",), difficulty="small")),
    }
    assert len(others | {folder}) == 5
    assert set((tmp_path / "cache").iterdir()) == others | {folder}, "no draft is left"


def test_a_cache_that_cannot_be_written_is_an_error_that_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("not a folder", encoding="utf-8")
    monkeypatch.setenv("VLDAC_CACHE", str(tmp_path / "file"))
    with pytest.raises(ConfigError, match="set VLDAC_CACHE"):
        generated_panel_folder(1)
    with pytest.raises(ConfigError, match="at least 1 game"):
        generated_panel_folder(0)


def test_the_games_of_this_version_are_these() -> None:
    """Raise GENERATOR_VERSION with this sum: cached panels of the same name must hold the same games."""
    told = "".join(game.files[name] for game in generate_games(24, seed=11) for name in sorted(game.files))
    assert (GENERATOR_VERSION, hashlib.sha256(told.encode()).hexdigest()[:16]) == (1, "03e95258497137f3")


def test_the_page_about_games_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).parents[2] / "docs" / "alfworld_games.md").read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VLDAC_CACHE", str(tmp_path / "cache"))
    for commands in re.findall(r"^vldac (.*?)(?: +#.*)?$", page, flags=re.MULTILINE):
        assert main(re.sub(r"--num \d+", "--num 4", commands).split()) == 0, commands
    scope: dict[str, object] = {}
    exec(
        re.search(r"^```python\n(.*?)^```", page.replace('Path("games")', 'Path("more")'), re.DOTALL | re.MULTILINE)[1],
        scope,
    )
    assert scope["report"].num_games == 20 and scope["panel"].is_dir() and scope["game"].walkthrough


def test_the_command_says_what_it_wrote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["envs", "generate-alfworld", "--num", "6", "--out", str(tmp_path), "--split", "valid_seen", "--seed", "2"]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "6 games in" in said and "valid_seen" in said and "games/s" in said
    assert all(re.search(rf"\b1  {task}\n", said) for task in TASK_NAMES.values())
    assert re.search(r"rejected  \d+ of \d+ draws", said)
    assert main(words) == 2
    assert "choose another folder, or overwrite" in capsys.readouterr().err
    assert main([*words, "--overwrite", "--tasks", "pick", "--difficulty", "small", "--num-objects", "[2,4]"]) == 0
    assert main(["envs", "generate-alfworld", "--out", str(tmp_path), "--tasks", "slice"]) == 2


def test_the_tables_are_what_the_package_has(tmp_path: Path) -> None:
    """Needs the alfworld package: its data, written by the same script, is the committed one."""
    pytest.importorskip("alfworld")
    from vldac.envs.alfworld import make_tables

    make_tables.main(tmp_path)
    for path in sorted(tmp_path.iterdir()):
        committed = Path(__file__).parents[2] / "third_party" / "alfworld" / path.name
        assert path.read_text(encoding="utf-8") == committed.read_text(encoding="utf-8"), path.name


@pytest.mark.parametrize("wording", ["new", "old"])
def test_upstream_loads_the_folders_and_wins_by_the_walkthroughs(tmp_path: Path, wording: str) -> None:
    """Needs the alfworld package. In a process of its own: importing the planner overwrites sys.argv."""
    pytest.importorskip("alfworld")
    pytest.importorskip("textworld")
    generate(tmp_path, 6, split="valid_unseen", seed=1, options=GeneratorOptions(wording=wording))  # type: ignore[arg-type]
    played = subprocess.run(
        [sys.executable, "-c", _UPSTREAM, str(tmp_path / "json_2.1.1" / "valid_unseen")],
        capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    assert played.returncode == 0, played.stderr
    assert json.loads(played.stdout.splitlines()[-1]) == {"games": 6, "won": 6}


_UPSTREAM = """
import json, sys
folder = sys.argv[1]
from alfworld.agents.environment.alfred_tw_env import AlfredTWEnv
config = {
    "env": {"goal_desc_human_anns_prob": 0, "task_types": [1, 2, 3, 4, 5, 6], "domain_randomization": False,
            "expert_type": "handcoded"},
    "dataset": {"data_path": folder, "eval_id_data_path": folder, "eval_ood_data_path": folder, "num_train_games": -1,
                "num_eval_games": -1},
    "general": {"training_method": "dqn"}, "rl": {"training": {"max_nb_steps_per_episode": 50}},
}
upstream = AlfredTWEnv(config, train_eval="eval_out_of_distribution")
env = upstream.init_env(batch_size=1)
won = 0
for _ in range(upstream.num_games):
    _, info = env.reset()
    with open(info["extra.gamefile"][0], encoding="utf-8") as file:
        plan = json.load(file)["walkthrough"]
    for command in plan:
        assert not info["won"][0] and command in info["admissible_commands"][0], command
        _, _, done, info = env.step([command])
    won += bool(info["won"][0] and done[0])
env.close()
print(json.dumps({"games": upstream.num_games, "won": won}))
"""
