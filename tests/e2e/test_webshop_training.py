"""A tiny model in the shop: free text from its responses, what it clicked in the records, the literature's score."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from vldac import _core
from vldac.actions import fill_form, is_form, parse_command
from vldac.clone import play_samples
from vldac.config import TrainConfig
from vldac.configuration import load_config
from vldac.envs import make
from vldac.moves import NOTHING, read_moves
from vldac.run import run
from vldac.start import start_model
from vldac.trajectories import read_trajectories

COMMANDS = ("search[<words>]", "click[Buy Now]", "click[B0ABC12345]", "click[red]")


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache of the test's own, where shops and their stores are kept."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VLDAC_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.mark.parametrize(
    ("response", "command"),
    [
        ('{"thoughts": "click[red] comes later", "action": "search[red mug, 12 oz]"}', "search[red mug, 12 oz]"),
        ('{"action": "SEARCH[Red mug]"}', "SEARCH[Red mug]"),
        ('{"action": "I will search[red mug] now"}', "search[red mug]"),
        ('{"action": "search[size \\"M\\" [new]]"}', 'search[size "M" [new]]'),
        ("action: search[red mug]", "search[red mug]"),
        ('{"action": "search[caf\\u00e9]"}', "search[caf\u00e9]"),
        ('{"action": "click[buy now]"}', "click[Buy Now]"),
        ('{"action": "click[b0abc12345]."}', "click[B0ABC12345]"),
        ('{"action": "click[green]"}', None),
        ('{"action": "search[]"}', None),
        ('{"action": "search[red mug"}', None),
        ('{"action": "research[red mug]"}', None),
        ('{"action": "search[' + "x" * 1100 + ']"}', None),
    ],
)
def test_a_response_fills_a_form_with_its_own_words(response: str, command: str | None) -> None:
    assert parse_command(response, COMMANDS).command == command


def test_forms_are_filled_with_words_of_a_text() -> None:
    text = "WebShop [SEP] find me a Red T-shirt, size 12.  [SEP] Search"
    seen = {fill_form("search[<words>]", text, number) for number in range(3000)}
    assert {
        "search[red]",
        "search[red t-shirt]",
        "search[red t-shirt size]",
        "search[12 search]",
        "search[search]",
    } <= seen
    assert not any("sep" in filled for filled in seen) and len(seen) == 9 + 8 + 7
    assert fill_form("search[<words>]", "[SEP] ...", 5) == "search[<words>]" and fill_form("look", text, 5) == "look"


def test_a_response_without_an_action_searches_for_words_of_the_instruction() -> None:
    env = make("WebShop-v0", 8, data="short", picture="none")
    env.reset(seed=0)
    arguments = {"mode": "tolerant", "fallback": "random_legal", "seed": 0, "counter": 0}
    moves = read_moves(env, ["?"] * 8, np.arange(8), **arguments)
    assert not moves.is_valid.any() and moves.commands is not None
    for command, words in zip(moves.commands, env.random_words(), strict=True):
        assert command.startswith("search[") and not is_form(command)
        assert set(command[7:-1].split()) <= set(words.replace(",", "").split())
    assert moves.commands == read_moves(env, ["?"] * 8, np.arange(8), **arguments).commands
    assert len(set(moves.commands)) > 2
    assert read_moves(env, ["?"], np.arange(1), **arguments | {"fallback": "noop"}).commands == [NOTHING]


def config(**settings: object) -> TrainConfig:
    return load_config(
        "quickstart",
        {
            "env.id": "WebShop-v0", "env.options": {"data": "short"}, "env.num_envs": 4, "env.image_size": (112, 196),
            "env.prompt": "short", "env.max_episode_steps": 5, "rollout.steps_per_update": 40, "rollout.max_new_tokens": 48,
            "optim.num_updates": 2, "optim.epochs": 1, "optim.minibatch_steps": 20, "tiny.clone_updates": 4, "tiny.clone_batch": 8,
            "tiny.hidden_size": 64, "eval.episodes": 8, "eval.every": 2, **settings,
        },
    )  # fmt: skip


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a warm start."""
    folder = tmp_path_factory.mktemp("warm") / "start"
    start_model(config(**{"tiny.clone_dir": str(folder)}), say=lambda _: None)
    return str(folder)


def test_cloned_responses_search_for_words_of_the_instruction() -> None:
    samples = play_samples(config().env, 512, seed=0)
    actions = [json.loads(sample.response)["action"] for sample in samples]
    searches = [action for action in actions if action.startswith("search[")]
    assert len(searches) >= 64 and not any(is_form(action) for action in actions)
    assert {json.loads(sample.response)["page"] for sample in samples} >= {"index", "results", "item"}


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_records_say_what_was_clicked_and_where(tmp_path: Path, warm: str, mode: str) -> None:
    settings = {"tiny.clone_dir": warm, "rollout.mode": mode, "trajectories_every": 1}
    run(config(**settings), tmp_path / "run")
    boxes = 0
    for record in read_trajectories(tmp_path / "run", 1):
        command = record.action.removesuffix(" (fallback)")
        if record.box is None:
            continue
        x, y, width, height = record.box
        assert command.startswith(("click[", "search[")) and x >= 0 and x + width <= 112 and height > 0 and y >= 0
        boxes += 1
    assert boxes >= 20
    metrics = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert any(key.startswith("rollout/success_rate_of/") for line in metrics for key in line)


def test_the_words_that_were_said_reach_the_shop(warm: str) -> None:
    env = make("WebShop-v0", 1, data="short", picture="none", goal=0)
    env.reset(seed=0)
    goal = env.panel.goals.goal(0)
    obs, *_ = env.step_text([json.dumps({"action": f"search[{goal['name']}]"})])
    session = _core.WebshopSession(env.panel.goals)
    session.reset(0)
    session.step(f"search[{goal['name']}]")
    assert obs["text"][0] == session.page().text() and goal["asin"] in obs["text"][0]
