"""Native environments: rules, seeds, autoreset, snapshots, pictures."""

import numpy as np
import pytest
from vldac.envs.catalogue import native_spec

from vldac.envs import list_ids, make
from vldac.errors import EnvError

WITH_PICTURES = [
    env_id
    for env_id in list_ids()
    if native_spec(env_id).observation({}) == "image" and not native_spec(env_id).is_text
]
CARDS = [env_id for env_id in WITH_PICTURES if env_id.startswith("gym_cards/")]


@pytest.mark.parametrize("env_id", WITH_PICTURES)
def test_thread_count_changes_nothing(env_id: str) -> None:
    records = []
    for threads in (1, 3):
        env = make(env_id, 9, num_threads=threads, image_size=(56, 56))
        obs, _ = env.reset(seed=5)
        rng = np.random.default_rng(0)
        record = [obs["image"]]
        for _ in range(60):
            obs, reward, *_ = env.step(rng.integers(len(env.action_names), size=9))
            record += [obs["image"], reward]
        records.append(record)
    assert all(np.array_equal(a, b) for a, b in zip(*records, strict=True))


def test_random_play_of_number_line_meets_its_exact_level() -> None:
    """Exact dynamic programming: success 0.611, return -2.48."""
    env = make("gym_cards/NumberLine-v0", 500, task="vldac", image_size=(28, 28))
    env.reset(seed=1)
    rng = np.random.default_rng(1)
    successes, returns = [], []
    counted = np.zeros(500, int)  # the same number of episodes from each environment: short ones would be over-counted
    while (counted < 20).any():
        *_, terminated, truncated, info = env.step(rng.integers(2, size=500))
        for e in np.flatnonzero((terminated | truncated) & (counted < 20)):
            counted[e] += 1
            successes.append(info["final_info"]["success"][e])
            returns.append(info["final_info"]["return"][e])
    assert len(successes) == 10_000
    assert abs(np.mean(successes) - 0.611) < 4 * 0.49 / len(successes) ** 0.5
    assert abs(np.mean(returns) + 2.48) < 4 * np.std(returns) / len(returns) ** 0.5 + 0.005


@pytest.mark.parametrize(("env_id", "best"), [("gym_cards/NumberLine-v0", 1.0), ("gym_cards/EZPoints-v0", 10.0)])
def test_the_expert_always_succeeds(env_id: str, best: float) -> None:
    env = make(env_id, 64, image_size=(28, 28))
    env.reset(seed=3)
    ended = 0
    for _ in range(60):
        *_, terminated, truncated, info = env.step(env.oracle_actions())
        assert not truncated.any()
        ended += int(terminated.sum())
        if terminated.any():
            assert info["final_info"]["success"][terminated].all()
            assert (info["final_info"]["return"][terminated] == best).all()
    assert ended > 500


def test_a_wrong_number_costs_and_a_long_formula_truncates() -> None:
    env = make("gym_cards/EZPoints-v0", 1, image_size=(84, 84))
    env.reset(seed=0)
    taken = {int(f) if f.isdigit() else 10 if f != "A" else 1 for f in env.facts()[0]["cards"].split()}
    wrong = next(n for n in range(1, 11) if n not in taken)
    _, reward, terminated, truncated, _ = env.step(np.array([wrong - 1]))
    assert reward[0] == -1.0 and not terminated[0] and not truncated[0]
    for _ in range(5):
        _, _, terminated, truncated, _ = env.step(np.array([10]))
        assert not truncated[0]
    _, reward, terminated, truncated, _ = env.step(np.array([12]))
    assert truncated[0] and not terminated[0] and reward[0] == -1.0


def start_of(entropy: list[int]) -> dict[str, int]:
    """Upstream's rule: both uniform on 0..5; if equal, target = (target + 1) mod 5."""
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy)))
    current, target = int(rng.integers(0, 6)), int(rng.integers(0, 6))
    return {"current": current, "target": (target + 1) % 5 if target == current else target}


def test_episodes_start_as_their_seed_says_and_can_be_replayed_alone() -> None:
    env = make("gym_cards/NumberLine-v0", 200, image_size=(28, 28))
    env.reset(seed=10)
    assert env.facts() == [start_of([10 + i]) for i in range(200)]
    env.reset()
    assert env.facts() == [start_of([10 + i, 1]) for i in range(200)]


def test_autoreset_keeps_the_final_observation() -> None:
    env = make("gym_cards/NumberLine-v0", 32, image_size=(84, 84))
    obs, _ = env.reset(seed=2)
    before = obs["image"].copy()
    _, _, terminated, _, info = env.step(env.oracle_actions())
    assert terminated.any()
    for e in np.flatnonzero(terminated):
        assert not np.array_equal(info["final_obs"][e]["image"], before[e])
        assert info["_final_obs"][e] and info["final_info"]["length"][e] == 1
    assert all(info["final_obs"][e] is None for e in np.flatnonzero(~terminated))


@pytest.mark.parametrize("env_id", WITH_PICTURES)
def test_snapshot_restores_bit_for_bit(env_id: str) -> None:
    env = make(env_id, 6, image_size=(56, 56))
    env.reset(seed=4)
    rng = np.random.default_rng(7)
    actions = rng.integers(len(env.action_names), size=(40, 6))
    for a in actions[:13]:
        env.step(a)
    copy = env.clone()
    for a in actions[13:]:
        ours, theirs = env.step(a), copy.step(a)
        assert np.array_equal(ours[0]["image"], theirs[0]["image"])
    assert env.get_state() == copy.get_state()
    with pytest.raises(EnvError, match="altered"):
        env.set_state(env.get_state()[:-9] + b"x" + env.get_state()[-8:])


def test_every_number_line_state_has_its_own_picture() -> None:
    for size in ((84, 84), (300, 300)):
        env = make("gym_cards/NumberLine-v0", 400, image_size=size)
        obs, _ = env.reset(seed=0)
        pictures: dict[tuple[int, int], bytes] = {}
        for facts, image in zip(env.facts(), obs["image"], strict=True):
            pictures[facts["current"], facts["target"]] = image.tobytes()
        assert len(pictures) == 30 and len(set(pictures.values())) == 30


@pytest.mark.parametrize("env_id", CARDS)
@pytest.mark.parametrize("size", [(56, 56), (84, 84), (112, 84), (196, 196), (224, 224), (300, 300), (480, 320)])
def test_nothing_is_cut_off_at_the_right_edge(env_id: str, size: tuple[int, int]) -> None:
    """At 300x300 the current number of NumberLine once ran out of the picture; so did long formulas."""
    env = make(env_id, 64, image_size=size)
    obs, _ = env.reset(seed=0)
    rng = np.random.default_rng(0)
    for _ in range(6):
        assert (obs["image"][:, :, -1] == obs["image"][:, :1, -1]).all()
        actions = rng.integers(len(env.action_names), size=64)
        obs, *_ = env.step(np.where(actions == 12, 10, actions))  # a long formula: never "="


def test_mistakes_have_a_four_part_message() -> None:
    with pytest.raises(EnvError, match="did you mean 'gym_cards/NumberLine-v0'"):
        make("gym_cards/NumberLin-v0", 1)
    with pytest.raises(EnvError, match="at least 0"):
        make("gym_cards/NumberLine-v0", 1, max_episode_steps=-1)
    env = make("gym_cards/NumberLine-v0", 2)
    env.reset(seed=0)
    with pytest.raises(EnvError, match=r"actions in 0\.\.1"):
        env.step(np.array([0, 2]))


def test_a_failed_episode_pays_the_failure_reward_and_a_good_one_its_own() -> None:
    plain = make("gym_cards/NumberLine-v0", 16, image_size=(28, 28), max_episode_steps=3)
    changed = make("gym_cards/NumberLine-v0", 16, image_size=(28, 28), max_episode_steps=3, failure_reward=-7.0)
    plain.reset(seed=0), changed.reset(seed=0)
    rng, kinds = np.random.default_rng(0), set()
    for _ in range(40):
        action = rng.integers(2, size=16)
        _, reward, terminated, truncated, info = plain.step(action)
        _, other, _, _, other_info = changed.step(action)
        ended = terminated | truncated
        failed = ended & (reward <= 0)
        assert np.array_equal(other, np.where(failed, -7.0, reward))
        kinds |= {(bool(e), bool(f)) for e, f in zip(ended, failed, strict=True)}
        if ended.any():
            difference = other_info["final_info"]["return"] - info["final_info"]["return"]
            assert np.allclose(difference[failed], -7.0 - reward[failed]) and (difference[ended & ~failed] == 0).all()
    assert kinds == {(False, False), (True, True), (True, False)}


def test_pictures_for_people_have_any_size_and_change_nothing() -> None:
    env = make("gym_cards/NumberLine-v0", 3, image_size=(84, 84), render_mode="rgb_array")
    obs, _ = env.reset(seed=4)
    before = env.get_state()
    frames = env.render()
    assert frames is not None and np.array_equal(np.stack(frames), obs["image"])
    large = env.pictures(300, 200, np.array([2, 0]))
    assert large.shape == (2, 200, 300, 3)
    alone = make("gym_cards/NumberLine-v0", 3, image_size=(300, 200))
    assert np.array_equal(large, alone.reset(seed=4)[0]["image"][[2, 0]])
    assert env.get_state() == before
    with pytest.raises(EnvError, match="expected 0 to 2, got 3"):
        env.pictures(30, 30, np.array([3]))
    with pytest.raises(EnvError, match="a map"):
        env.map_view(30, 30)
    with pytest.raises(EnvError, match="textures"):
        make("gym_cards/NumberLine-v0", 1, textures="builtin")
