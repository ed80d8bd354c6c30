"""The recipe quickstart-webshop: whom it shops for, what its pictures show, and what its runs report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from vldac.clone import play_samples
from vldac.config import TrainConfig
from vldac.configuration import load_config
from vldac.errors import ConfigError
from vldac.outcomes import final_info, mean_score, score_of
from vldac.player import build_env, held_out
from vldac.run import run

torch.set_num_threads(1)
PAGES = {"index", "results", "item", "sub page"}
COLORS = {"red", "blue", "green", "white", "black", "pink"}


@pytest.fixture(scope="module")
def recipe() -> TrainConfig:
    return load_config("quickstart-webshop")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLDAC_CACHE", str(tmp_path_factory.getbasetemp() / "webshop-recipe"))


def tasks(env: Any) -> list[str]:
    return [facts["task"] for facts in env.facts()]


def test_the_held_out_goals_are_400_that_no_training_episode_has(recipe: TrainConfig) -> None:
    env = build_env(held_out(recipe), recipe.eval.episodes)
    env.reset(seed=recipe.eval.seed)
    asked = tasks(env)
    assert len(asked) == len(set(asked)) == 400
    trained: set[str] = set()
    env = build_env(recipe, 256)
    for seed in range(40):
        env.reset(seed=1000 * seed)
        trained.update(tasks(env))
    assert len(trained) == 464 and not trained & set(asked)
    words_of = lambda tasks: {word for task in tasks for word in task.replace(",", "").split()}  # noqa: E731
    assert words_of(asked) <= words_of(trained)


def test_the_pictures_of_the_recipe_show_which_page_it_is_and_what_is_chosen(recipe: TrainConfig) -> None:
    """The same picture never comes with different fields, and there are pictures of every page and color."""
    owner: dict[bytes, tuple[str, str]] = {}
    for sample in play_samples(recipe.env, 4096, seed=3):
        label = (sample.facts["page"], sample.facts["chosen"])
        assert list(json.loads(sample.response)) == ["page", "chosen", "action"]
        assert owner.setdefault(sample.image.tobytes(), label) == label
    assert {page for page, _ in owner.values()} == PAGES
    assert {chosen for page, chosen in owner.values() if page == "item"} == COLORS | {"nothing"}


def test_a_choice_changes_much_of_the_picture(recipe: TrainConfig) -> None:
    env = build_env(recipe, 32)
    env.reset(seed=0)
    for _ in range(2):
        obs, *_ = env.step(env.oracle_commands())
    before = obs["image"].copy()
    assert {facts["page"] for facts in env.facts()} == {"item"}
    obs, *_ = env.step(env.oracle_commands())
    changed = (obs["image"] != before).any(-1).mean((1, 2))
    assert {facts["page"] for facts in env.facts()} == {"item"} and (changed > 0.01).all()


def test_the_expert_meets_every_held_out_goal_in_four_steps(recipe: TrainConfig) -> None:
    env = build_env(held_out(recipe), recipe.eval.episodes)
    env.reset(seed=recipe.eval.seed)
    for step in range(4):
        *_, reward, terminated, truncated, info = env.step(env.oracle_commands())
        assert terminated.all() == (step == 3) and not truncated.any()
    assert (reward == 1.0).all()
    assert [score_of(final) for final in final_info(info, terminated)] == [100.0] * 400


@pytest.mark.parametrize("reward", ["score", "success"])
def test_the_score_is_a_hundred_times_upstreams_reward_whatever_is_paid(recipe: TrainConfig, reward: str) -> None:
    """Who searches the product and buys it without its color has two thirds; who does not buy has nothing."""
    env = build_env(recipe, 8)
    env.close()
    config = load_config("quickstart-webshop", {"env.options": recipe.env.options | {"reward": reward}})
    env = build_env(config, 8)
    env.reset(seed=0)
    for _ in range(2):
        env.step(env.oracle_commands())
    _, paid, terminated, truncated, info = env.step(["click[Buy Now]"] * 8)
    scores = [score_of(final) for final in final_info(info, terminated)]
    assert terminated.all() and scores == pytest.approx([200 / 3] * 8)
    assert paid == pytest.approx([2 / 3 if reward == "score" else 0.0] * 8)
    for _ in range(8):
        _, _, terminated, truncated, info = env.step([""] * 8)
    assert truncated.all() and [score_of(final) for final in final_info(info, truncated)] == [0.0] * 8


@pytest.mark.parametrize("prompt", ["paper", "text", "compat"])
def test_every_prompt_of_the_environment_can_be_trained_with(recipe: TrainConfig, prompt: str) -> None:
    config = load_config("quickstart-webshop", {"env.prompt": prompt, "env.num_envs": 2})
    env = build_env(config)
    env.reset(seed=0)
    (picture, text) = env.prompts()[0][0]["content"]
    assert picture == {"type": "image"} and (tasks(env)[0] in text["text"]) == (prompt != "compat")


@pytest.mark.parametrize("prompt", ["text", "compat"])
def test_prompts_of_other_environments_are_refused(prompt: str) -> None:
    with pytest.raises(ConfigError, match=f"one of paper, short for gym_cards.*\\n.*got '{prompt}'"):
        load_config("quickstart", {"env.prompt": prompt})


def test_the_mean_score_counts_episodes_without_one_as_nothing_and_is_absent_elsewhere() -> None:
    assert mean_score([100.0, None, 50.0]) == 50.0
    assert mean_score([None, None]) is None and mean_score([]) is None
    assert score_of({"facts": {"score": "66.5"}}) == 66.5
    assert score_of({"facts": {"target": 3}}) is None and score_of({}) is None


def test_a_small_run_of_the_recipe_reports_score_and_success(tmp_path: Path) -> None:
    settings = {
        "env.num_envs": 16, "rollout.steps_per_update": 256, "optim.num_updates": 1, "optim.epochs": 1, "optim.minibatch_steps": 64,
        "tiny.clone_updates": 1, "tiny.clone_batch": 2, "tiny.clone_samples": 64, "tiny.hidden_size": 64, "tiny.num_layers": 1,
        "eval.episodes": 64, "rollout.max_new_tokens": 2,
    }  # fmt: skip
    result = run(load_config("quickstart-webshop", settings), tmp_path / "run")
    (line,) = result.metrics
    assert {"rollout/score_mean", "eval/score_mean"} <= set(line)
    assert line["rollout/score_mean"] == pytest.approx(100 * line["rollout/return_mean"])
    last = json.loads((tmp_path / "run" / "evaluations.jsonl").read_text(encoding="utf-8").splitlines()[-1])
    assert last["score_mean"] == pytest.approx(100 * last["return_mean"]) and last["episodes"] == 64
    departments = last["success_by_task"]
    assert set(departments) == {"beauty", "electronics", "fashion", "garden", "grocery"}
    assert sum(found["episodes"] for found in departments.values()) == 64
    assert {f"eval/success_rate_of/{name}" for name in departments} <= set(line)
