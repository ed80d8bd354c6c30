"""Environments whose actions are commands in words: the pool's face, the trainer, the evaluation, a run that is cut."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from vldac.envs.text_steps import FALLBACKS

from vldac import checkpoint
from vldac.actions import ParseStatus, command_names, parse_action
from vldac.config import TrainConfig
from vldac.configuration import load_config
from vldac.envs import make
from vldac.errors import EnvError, Stopped
from vldac.moves import NOTHING, read_moves
from vldac.run import run
from vldac.start import start_model
from vldac.trainer import Trainer
from vldac.trajectories import read_trajectories

ID = "test/Doors-v0"


def test_observations_have_a_text_and_infos_the_admissible_commands() -> None:
    env = make(ID, 3, seed=0)
    obs, info = env.reset(seed=0)
    assert [text.startswith("You stand before three doors.") for text in obs["text"]] == [True] * 3
    assert info["admissible_commands"] == [["look", "open door 1", "open door 2", "open door 3"]] * 3
    first, second = info["admissible_commands"][:2]
    assert first[0] is second[0]  # one string per text and process
    assert obs["image"].shape == (3, 56, 56, 3)
    assert env.observation_space["text"].contains(tuple(obs["text"])) and env.action_space.contains(("look",) * 3)


def test_a_command_that_is_not_admissible_does_what_the_rules_say_and_the_last_text_is_in_final_obs() -> None:
    env = make(ID, 2, seed=0)
    env.reset(seed=0)
    obs, reward, terminated, _, info = env.step(["open the fridge", *env.oracle_commands()[1:]])
    assert (
        obs["text"][0] == "Nothing happens." and reward.tolist() == [-1.0, 1.0] and terminated.tolist() == [False, True]
    )
    assert info["final_obs"][1]["text"].endswith("Light!") and info["final_info"]["success"][1]
    assert info["final_info"]["facts"]["task_type"][1] in ("left", "other")
    assert info["admissible_commands"][1] == [
        "look",
        "open door 1",
        "open door 2",
        "open door 3",
    ]  # of the next episode


def test_without_a_picture_an_observation_is_its_text() -> None:
    env = make(ID, 2, picture=False)
    obs, _ = env.reset(seed=0)
    assert set(obs) == {"text"} and len(obs["text"]) == 2
    obs, *_, info = env.step(env.oracle_commands())
    assert info["final_obs"][0]["text"].endswith("Light!")
    with pytest.raises(EnvError, match="with pictures"):
        _ = env.image_size


@pytest.mark.parametrize("bad", [[1, 2], ["look"], ["look", None], ["look", "x" * 65537], np.array([0, 1])])
def test_bad_commands_are_refused_and_nothing_is_lost(bad: object) -> None:
    env = make(ID, 2, seed=0)
    before = env.reset(seed=0)[0]["text"]
    with pytest.raises(EnvError, match="2 commands, strings"):
        env.step(bad)
    assert env.observe()["text"] == before
    env.step(["look", "look"])


def test_send_and_recv_carry_commands_in_both_orders() -> None:
    for order in ("fifo", "ready"):
        env = make(ID, 4, batch_size=2, order=order, num_threads=2)
        env.reset(seed=0)
        env.send(env.oracle_commands(), np.arange(4))
        seen = []
        for _ in range(2):
            obs, reward, *_, info = env.recv()
            assert reward.tolist() == [1.0, 1.0] and len(obs["text"]) == 2
            seen += info["env_id"].tolist()
        assert sorted(seen) == [0, 1, 2, 3]
        env.close()


def test_a_restored_state_goes_on_with_the_same_texts_and_commands() -> None:
    env = make(ID, 4)
    env.reset(seed=3)
    env.step(["open door 1", "look", "open door 2", "x"])
    other = env.clone()
    for commands in (["look"] * 4, env.oracle_commands()):
        ours, theirs = env.step(commands), other.step(commands)
        assert (
            ours[0]["text"] == theirs[0]["text"] and ours[4]["admissible_commands"] == theirs[4]["admissible_commands"]
        )


def test_numbered_environments_refuse_commands_and_have_none() -> None:
    env = make("gym_cards/NumberLine-v0", 2)
    env.reset(seed=0)
    with pytest.raises(EnvError, match=r"0\.\.1, int64"):
        env.step(["+", "-"])
    with pytest.raises(EnvError, match="a text environment"):
        env.commands()


# -- reading responses ------------------------------------------------------------------------------------------------

COMMANDS = command_names(("go to cabinet 1", "go to cabinet 12", "look", "take mug 1 from cabinet 1"))


@pytest.mark.parametrize(
    ("response", "command"),
    [
        ('{"action": "go to cabinet 12"}', "go to cabinet 12"),
        ('{"action": "Go to Cabinet 1."}', "go to cabinet 1"),
        ('{"thoughts": "hm", "action": "I will go to cabinet 12 now"}', "go to cabinet 12"),
        ('{"action": "please take mug 1 from cabinet 1, then look"}', "take mug 1 from cabinet 1"),
        ('{"action": "go to cabinet 123"}', None),
        ('{"action": "overlook"}', None),
        ('{"action": "go to cabinet 1', None),  # cut off: 12 could follow
        ("action: look around", "look"),
    ],
)
def test_the_longest_command_between_word_boundaries_is_read(response: str, command: str | None) -> None:
    result = parse_action(response, COMMANDS)
    assert (None if result.action is None else COMMANDS.names[result.action]) == command


def test_rl4vlm_mode_takes_the_longest_command_instead_of_the_first_substring() -> None:
    result = parse_action('{"action": "go to cabinet 12"}', COMMANDS, "rl4vlm")
    assert result.action == 1 and result.status is ParseStatus.OK
    assert parse_action("go to cabinet 12", COMMANDS, "rl4vlm").action is None  # without the key: the last character


@pytest.mark.parametrize("fallback", FALLBACKS)
def test_a_response_without_an_action_falls_back_as_told(fallback: str) -> None:
    env = make(ID, 8)
    env.reset(seed=0)
    arguments = {"mode": "tolerant", "fallback": fallback, "seed": 0, "counter": 0}
    moves = read_moves(env, ["?"] * 8, np.arange(8), **arguments)
    assert not moves.is_valid.any() and moves.commands is not None
    if fallback == "noop":
        assert moves.commands == [NOTHING] * 8 and (moves.action == -1).all()
    else:
        assert len(set(moves.commands)) > 1 and set(moves.commands) <= set(env.commands()[0])
        assert moves.commands == read_moves(env, ["?"] * 8, np.arange(8), **arguments).commands
    obs, *_, info = env.step_text(['{"action": "look"}'] * 8, fallback=fallback)
    assert obs["text"][0].endswith("hums.") and info["action"] == ["look"] * 8


# -- training ---------------------------------------------------------------------------------------------------------


def config(**settings: object) -> TrainConfig:
    return load_config(
        "quickstart",
        {
            "env.id": ID, "env.num_envs": 4, "env.image_size": (56, 56), "rollout.steps_per_update": 32, "optim.num_updates": 2,
            "optim.epochs": 1, "optim.minibatch_steps": 16, "tiny.clone_updates": 4, "tiny.clone_batch": 8, "tiny.hidden_size": 64,
            "eval.episodes": 8, "tiny.clone_action": "quarter_oracle", **settings,
        },
    )  # fmt: skip


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a warm start."""
    folder = tmp_path_factory.mktemp("warm") / "start"
    start_model(config(**{"tiny.clone_dir": str(folder)}), say=lambda _: None)
    return str(folder)


def test_a_run_trains_records_and_evaluates_commands(warm: str, tmp_path: Path) -> None:
    result = run(config(**{"tiny.clone_dir": warm}), tmp_path / "run")
    line = result.metrics[-1]
    assert line["update"] == 2 and result.end is not None and set(result.end.success_by_task) <= {"left", "other"}
    assert sum(kind["episodes"] for kind in result.end.success_by_task.values()) == 8
    assert any(key.startswith("rollout/success_rate_of/") for key in line)
    records = read_trajectories(tmp_path / "run", 2)
    known = ("look", "open door 1", "open door 2", "open door 3")
    assert {record.action.removesuffix(" (fallback)") for record in records} <= set(known)


def test_asynchronous_rollouts_play_text_environments_row_for_row_as_synchronous_ones(warm: str) -> None:
    played = []
    for mode in ("sync", "async"):
        trainer = Trainer(config(**{"tiny.clone_dir": warm, "rollout.mode": mode}))
        batch = trainer.collect()
        played.append((batch.commands, batch.buffer.action.tolist(), batch.buffer.reward.tolist()))
        trainer.close()
    assert played[0] == played[1] and len(played[0][0]) == 32


def test_a_run_that_is_cut_inside_a_rollout_goes_on_with_the_commands_it_had(warm: str, tmp_path: Path) -> None:
    whole = Trainer(config(**{"tiny.clone_dir": warm}))
    expected = whole.collect()
    whole.close()
    cut = Trainer(config(**{"tiny.clone_dir": warm}))
    cut.rollout.should_stop = lambda: cut.rollout.buffer.filled[0] == 3
    with pytest.raises(Stopped):
        cut.collect()
    cut.save(tmp_path / "cut")
    cut.close()
    other = Trainer(config(**{"tiny.clone_dir": warm}))
    checkpoint.restore(other, tmp_path / "cut")
    assert [len(own) for own in other.rollout.commands] == [3] * 4
    assert other.collect().commands == expected.commands
    other.close()
