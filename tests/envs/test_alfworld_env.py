"""ALFWorld-v0 in the pool: games and their order, rewards, goals, what is left out, what the model is told."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vldac.envs.alfworld.generate import generate
from vldac.envs.alfworld.options import GeneratorOptions

from vldac.configuration import load_config
from vldac.envs import make
from vldac.errors import EnvError
from vldac.progress import make_progress
from vldac.run import run

NUM = 24


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Generated games of all six tasks, with things behind doors."""
    out = tmp_path_factory.mktemp("games")
    generate(out, NUM, split="train", seed=5)
    return out


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small rooms, `pick` alone: four commands win."""
    out = tmp_path_factory.mktemp("small")
    generate(out, 12, split="train", seed=5, options=GeneratorOptions(difficulty="small", tasks=("pick",)))
    return out


def alfworld(data: Path, num_envs: int = 4, **options: Any) -> Any:
    options.setdefault("picture", "none")
    return make("ALFWorld-v0", num_envs, data=str(data), **options)


def play_expert(env: Any, limit: int = 60) -> tuple[list[list[float]], dict[str, np.ndarray]]:
    """Rewards of each environment's first episode under the expert, and final_info of those."""
    rewards: list[list[float]] = [[] for _ in range(env.num_envs)]
    final: dict[int, Any] = {}
    for _ in range(limit):
        _, reward, terminated, truncated, info = env.step(env.oracle_commands())
        for e in range(env.num_envs):
            if e not in final:
                rewards[e].append(float(reward[e]))
                if terminated[e] or truncated[e]:
                    final[e] = {
                        "success": bool(info["final_info"]["success"][e]),
                        "task": info["final_info"]["facts"]["task_type"][e],
                    }
        if len(final) == env.num_envs:
            break
    return rewards, final  # type: ignore[return-value]


def test_the_expert_wins_every_generated_game_and_the_task_type_is_told(folder: Path) -> None:
    env = alfworld(folder, NUM, game_order="seed")
    env.reset(seed=0)
    rewards, final = play_expert(env)
    assert len(final) == NUM and all(end["success"] for end in final.values())
    assert [final[e]["task"] for e in range(NUM)] == list(env.panel.task_types)
    assert all(sum(own) == 1.0 and own[-1] == 1.0 for own in rewards)  # success alone pays


def test_an_episode_ends_after_fifty_steps(folder: Path) -> None:
    env = alfworld(folder, 2)
    env.reset(seed=0)
    for step in range(50):
        *_, terminated, truncated, info = env.step(["look", "inventory"])
        assert truncated.tolist() == [step == 49] * 2 and not terminated.any()
    assert info["final_info"]["length"].tolist() == [50, 50] and not info["final_info"]["success"].any()


def test_games_in_order_of_the_seed_are_each_played_once_and_random_ones_depend_on_the_seed_alone(folder: Path) -> None:
    env = alfworld(folder, NUM, game_order="seed")
    env.reset(seed=3)
    names = [facts["game"] for facts in env.facts()]
    assert len(set(names)) == NUM
    env.reset(seed=4)
    assert [facts["game"] for facts in env.facts()] == names[1:] + names[:1]
    one, other = alfworld(folder, 8, num_threads=2), alfworld(folder, 8, num_threads=1)
    assert one.reset(seed=9)[0]["text"] == other.reset(seed=9)[0]["text"]


def test_white_space_around_a_command_costs_nothing(small: Path) -> None:
    env = alfworld(small, 3, reward="vldac")
    plain = env.reset(seed=0)[0]["text"]
    obs, reward, *_ = env.step([" look\n", "\tinventory", "look "])
    assert reward.tolist() == [0.0] * 3 and "Nothing happens." not in obs["text"] and obs["text"] != plain


@pytest.mark.parametrize("reward", ["rl4vlm", "vldac", "increase"])
def test_rewards_are_those_that_were_published_or_pay_an_increase_once(small: Path, reward: str) -> None:
    env = alfworld(small, 12, game_order="seed", reward=reward)
    env.reset(seed=0)
    bad = env.step(["dance"] * 12)
    assert (bad[1] == -1.0).all() and bad[0]["text"] == ["Nothing happens."] * 12  # no condition holds at the start
    rewards, final = play_expert(env)
    won = {"rl4vlm": 51.0, "vldac": 2.0, "increase": 2.0}[
        reward
    ]  # pick has one condition: the share is 1 when it is won
    assert all(own[-1] == won and not any(own[:-1]) for own in rewards) and all(
        end["success"] for end in final.values()
    )


def test_the_increase_of_conditions_is_paid_once_and_their_share_at_every_step(folder: Path) -> None:
    indices = [
        i for i, task in enumerate(alfworld(folder, 1).panel.task_types) if task == "pick_clean_then_place_in_recep"
    ]
    paid = {}
    for reward in ("vldac", "increase"):
        env = alfworld(folder, 1, game_order="seed", reward=reward)
        env.reset(seed=indices[0])
        steps, command = [], ""
        while not command.startswith("clean"):
            (command,) = env.oracle_commands()
            steps.append(float(env.step([command])[1][0]))
        steps += [float(env.step(["look"])[1][0]) for _ in range(3)]
        paid[reward] = steps
    treated = paid["vldac"][-4]
    assert paid["vldac"][-4:] == [treated] * 4 and treated > 0  # waiting is paid
    assert paid["increase"][-3:] == [0.0] * 3 and sum(paid["increase"]) == pytest.approx(treated)


def test_people_goals_replace_the_sentence_in_the_opening_and_the_prompt(folder: Path) -> None:
    env = alfworld(folder, NUM, game_order="seed", human_goals=1.0)
    obs, _ = env.reset(seed=0)
    for text, facts, goals in zip(obs["text"], env.facts(), env.panel.human_goals, strict=True):
        assert goals and facts["task"] in [goal.rstrip(". ") for goal in goals]
        assert text.endswith(f"Your task is to: {facts['task']}.")
    plain = alfworld(folder, NUM, game_order="seed").reset(seed=0)[0]["text"]
    assert [a.split("Your task")[0] for a in plain] == [b.split("Your task")[0] for b in obs["text"]] and plain != obs[
        "text"
    ]


def test_a_restored_state_goes_on_in_the_same_game_and_refuses_another_panel(folder: Path, small: Path) -> None:
    env = alfworld(folder, 4, human_goals=0.5)
    env.reset(seed=2)
    for _ in range(3):
        env.step(env.oracle_commands())
    other = alfworld(folder, 4, human_goals=0.5)
    other.set_state(env.get_state())
    for _ in range(5):
        commands = env.oracle_commands()
        assert commands == other.oracle_commands()
        ours, theirs = env.step(commands), other.step(commands)
        assert (
            ours[0]["text"] == theirs[0]["text"] and ours[4]["admissible_commands"] == theirs[4]["admissible_commands"]
        )
    assert [f["task"] for f in env.facts()] == [f["task"] for f in other.facts()]
    with pytest.raises(EnvError, match="of another environment id or of other options"):
        alfworld(small, 4, human_goals=0.5).set_state(env.get_state())


def test_a_game_that_cannot_be_read_is_left_out_counted_and_the_others_are_played(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "data")
    games = sorted((tmp_path / "data").rglob("game.tw-pddl"))
    torn, unknown = games[3], games[7]
    torn.write_bytes(torn.read_bytes()[:5000])
    content = json.loads(unknown.read_text(encoding="utf-8"))
    content["pddl_domain"] = content["pddl_domain"].replace("(:action GotoLocation", "(:process GotoLocation", 1)
    unknown.write_text(json.dumps(content), encoding="utf-8")
    env = alfworld(tmp_path / "data", NUM, game_order="seed")
    assert [path for path, _ in env.left_out()] == [str(torn)]  # no JSON: seen at once
    env.reset(seed=0)
    (known, reason), (met, why) = env.left_out()
    assert (known, met) == (str(torn), str(unknown)) and "game.tw-pddl" in reason and "domain" in why
    _, final = play_expert(env)
    assert len(final) == NUM and all(end["success"] for end in final.values())
    env.close()


def test_the_same_games_in_another_place_are_read_there(small: Path, tmp_path: Path) -> None:
    shutil.copytree(small, tmp_path / "old")
    first = alfworld(tmp_path / "old", 2).reset(seed=0)[0]["text"]
    (tmp_path / "old").rename(tmp_path / "new")
    env = alfworld(tmp_path / "new", 12, game_order="seed")
    env.reset(seed=0)
    assert not env.left_out() and alfworld(tmp_path / "new", 2).reset(seed=0)[0]["text"] == first


def test_where_no_game_can_be_read_the_error_names_the_first(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "data")
    for game in (tmp_path / "data").rglob("game.tw-pddl"):
        content = json.loads(game.read_text(encoding="utf-8"))
        game.write_text(json.dumps(content | {"pddl_problem": content["pddl_problem"][:300]}), encoding="utf-8")
    with pytest.raises(EnvError, match=rf"none of {NUM} games can be read.*problem"):
        alfworld(tmp_path / "data", 1).reset(seed=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"data": "/nowhere"}, "alfworld-download"),
        ({"split": "tain"}, "train"),
        ({"tasks": "pick,cook"}, "cook"),
        ({"reward": "rl4vl"}, "rl4vlm"),
        ({"picture": "photo"}, "schematic"),
        ({"human_goals": 2}, "from 0 to 1"),
        ({"datta": "x"}, "data"),
        ({"num_games": 5}, "data='generated' alone"),
    ],
)
def test_unusable_options_are_refused_with_what_is_expected(
    folder: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(EnvError, match=message):
        make("ALFWorld-v0", 1, **({"data": str(folder)} | options))


def test_generated_games_need_no_folder_and_are_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLDAC_CACHE", str(tmp_path))
    options = {
        "data": "generated",
        "num_games": 6,
        "difficulty": "small",
        "tasks": "pick,look",
        "split": "valid_unseen",
    }
    env = make("ALFWorld-v0", 2, picture="none", **options)
    assert len(env.panel.paths) == 6 and set(env.panel.task_types) <= {"pick_and_place_simple", "look_at_obj_in_light"}
    again = make("ALFWorld-v0", 2, picture="none", **options)
    assert again.panel.hash == env.panel.hash and again.reset(seed=1)[0]["text"] == env.reset(seed=1)[0]["text"]


@pytest.mark.parametrize("picture", ["ego", "schematic", "panel"])
def test_pictures_follow_the_state(folder: Path, picture: str) -> None:
    env = alfworld(folder, 3, picture=picture, image_size=(112, 84))
    before = env.reset(seed=0)[0]["image"].copy()
    assert before.shape == (3, 84, 112, 3) and before.std() > 5
    after = env.step(env.oracle_commands())[0]["image"]
    assert (before != after).reshape(3, -1).any(1).all()


def test_the_prompt_has_scene_task_and_commands_and_one_picture_unless_there_is_none(folder: Path) -> None:
    for options, images in (({"picture": "ego", "image_size": (56, 56)}, 1), ({"prompt": "text"}, 0)):
        env = alfworld(folder, 1, task="vldac", **options)
        obs, info = env.reset(seed=0)
        (message,) = env.prompts()[0]
        text = message["content"][-1]["text"]
        assert sum(part["type"] == "image" for part in message["content"]) == images
        assert obs["text"][0] in text and ", ".join(info["admissible_commands"][0]) in text
        assert f"Your task is to: {env.facts()[0]['task']}." in text


def test_both_layers_play_the_same(folder: Path) -> None:
    fast, generic = (alfworld(folder, 6, layer=layer, game_order="seed") for layer in ("fast", "generic"))
    assert fast.reset(seed=0)[0]["text"] == generic.reset(seed=0)[0]["text"]
    rng = np.random.default_rng(0)
    for _ in range(40):
        known = fast.commands()
        assert known == generic.commands()
        commands = [own[int(rng.integers(len(own)))] for own in known]
        ours, theirs = fast.step(commands), generic.step(commands)
        assert ours[0]["text"] == theirs[0]["text"] and (ours[1] == theirs[1]).all()


def test_a_run_says_which_games_it_plays_and_how_many_it_left_out(small: Path, tmp_path: Path) -> None:
    shutil.copytree(small, tmp_path / "data")
    (torn, *_) = sorted((tmp_path / "data").rglob("game.tw-pddl"))
    torn.write_bytes(torn.read_bytes()[:900])
    settings = {
        "env.options": {"data": str(tmp_path / "data")}, "env.num_envs": 4, "env.image_size": (28, 28), "rollout.steps_per_update": 8,
        "optim.num_updates": 1, "optim.epochs": 1, "optim.minibatch_steps": 8, "tiny.clone_updates": 1, "tiny.clone_batch": 2,
        "tiny.hidden_size": 64, "tiny.clone_samples": 8, "eval.episodes": 0, "rollout.max_new_tokens": 4,
    }  # fmt: skip
    said: list[str] = []
    progress = make_progress(1)
    progress.message = said.append  # type: ignore[method-assign]
    run(load_config("quickstart-alfworld", settings), tmp_path / "run", progress=progress)
    assert any(line.startswith("games:        11 games of train (11 pick)") and "left out 1" in line for line in said)
    assert any(line.startswith("left out of the files, the rest was played: 1") and str(torn) in line for line in said)
