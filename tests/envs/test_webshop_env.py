"""WebShop-v0 in the pool: goals and their order, pages and commands, pictures, prompts, snapshots, what is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from vldac.envs.webshop.catalogue_maker import make_products
from vldac.envs.webshop.files import FILES, PRODUCTS_FILE, write_catalogue
from vldac.envs.webshop.shop import GoalChoice, open_shop

from vldac import _core
from vldac.actions import fill_form, is_form
from vldac.envs import make
from vldac.errors import EnvError

NUM = 120
GOLDEN_SHOP = Path(__file__).parent / "webshop" / "golden" / "shop"


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache of the test's own, where shops and their stores are kept."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("VLDAC_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop of a few departments."""
    out = tmp_path_factory.mktemp("shop")
    write_catalogue(out, make_products(NUM, seed=4))
    return out


def webshop(data: Path | str, num_envs: int = 4, **options: Any) -> Any:
    options.setdefault("picture", "none")
    return make("WebShop-v0", num_envs, data=str(data), num_threads=1, **options)


def play_at_random(env: Any, steps: int, seed: int = 0) -> Iterator[tuple[list[str], Any]]:
    """Commands told at random, forms filled with words of the instruction, and what `step` returned."""
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        told = [known[int(rng.integers(len(known)))] for known in env.commands()]
        words = env.random_words()
        told = [fill_form(c, words[i], int(rng.integers(2**63))) if is_form(c) else c for i, c in enumerate(told)]
        yield told, env.step(told)


# -- goals --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("goals", ["human", "synthetic"])
def test_the_expert_is_paid_in_full_on_99_percent_of_the_shipped_shops_goals(goals: str) -> None:
    env = make("WebShop-v0", 1, picture="none", goals=goals)
    count = min(2000, len(env.panel.goals))
    env = make("WebShop-v0", count, picture="none", goals=goals, goal_order="seed", max_episode_steps=50)
    env.reset(seed=0)
    rewards = np.full(count, np.nan)
    for _ in range(50):
        _, reward, terminated, truncated, info = env.step(env.oracle_commands())
        ended = (terminated | truncated) & np.isnan(rewards)
        rewards[ended] = reward[ended]
        assert (info["final_info"]["success"][ended] == (reward[ended] == 1.0)).all() if ended.any() else True
        if not np.isnan(rewards).any():
            break
    assert np.mean(rewards == 1.0) >= 0.99


def test_splits_share_no_product_and_goals_follow_the_seed(folder: Path) -> None:
    sold: dict[str, set[str]] = {}
    for split in ("train", "eval", "test"):
        env = webshop(folder, 1, split=split, goal_order="seed")
        begin, end = env.panel.goals.range(split)
        numbers = set()
        for seed in range(end - begin):
            env.reset(seed=seed)
            numbers.add(env.facts()[0]["goal"])
        assert numbers == set(range(begin, end))
        sold[split] = {env.panel.goals.goal(number)["asin"] for number in numbers}
    assert not sold["train"] & sold["test"] and not sold["train"] & sold["eval"] and not sold["eval"] & sold["test"]


def test_episodes_go_through_the_goals_in_order_and_one_goal_can_be_played_alone(folder: Path) -> None:
    env = webshop(folder, 2, goal_order="seed", max_episode_steps=1)
    env.reset(seed=3)
    for episode in range(4):
        assert [fact["goal"] for fact in env.facts()] == [3 + episode, 4 + episode]
        env.step(["", ""])
    env = webshop(folder, 2, goal=7)
    env.reset(seed=0)
    assert [fact["goal"] for fact in env.facts()] == [7, 7]
    assert env.facts()[0]["task"] == env.panel.goals.goal(7)["instruction_text"]


def test_compat_draws_goals_as_upstreams_process_does(folder: Path) -> None:
    options = {"compat": True, "goals": "synthetic", "goals_seed": 233, "max_episode_steps": 1}
    env = webshop(folder, 4, **options)
    theirs = env.panel.goals.draw_compat(12)
    env.reset(seed=0)
    for episode in range(8):
        assert [fact["goal"] for fact in env.facts()] == theirs[episode : episode + 4]
        if episode == 4:  # in the middle of the stream
            env = env.clone()
        env.step([""] * 4)


def test_a_success_reward_pays_nothing_for_a_near_miss(folder: Path) -> None:
    paid = {}
    for reward in ("score", "success"):
        env = webshop(folder, 32, reward=reward, goal_order="seed")
        env.reset(seed=0)
        while True:
            commands = env.oracle_commands()
            # Leaves the options out: buys at once where that is possible.
            commands = [
                "click[Buy Now]" if "click[Buy Now]" in k else c for c, k in zip(commands, env.commands(), strict=True)
            ]
            _, rewards, terminated, *_ = env.step(commands)
            if terminated.all():
                break
            assert not terminated.any()
        paid[reward] = rewards
    assert ((paid["score"] == 1.0) == (paid["success"] == 1.0)).all() and set(paid["success"]) == {0.0, 1.0}
    assert ((paid["score"] > 0) & (paid["score"] < 1)).sum() > 3


# -- pages --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["text", "text_rich", "html"])
@pytest.mark.parametrize("compat", [False, True])
def test_the_pool_shows_the_pages_of_a_session(folder: Path, mode: str, compat: bool) -> None:
    env = webshop(folder, 8, compat=compat, observation_mode=mode, goal_order="seed", max_episode_steps=0)
    env.reset(seed=0)
    sessions = [_core.WebshopSession(env.panel.goals, compat=compat) for _ in range(8)]
    goals = list(range(8))
    for session, goal in zip(sessions, goals, strict=True):
        session.reset(goal)
    for told, (obs, reward, terminated, _, info) in play_at_random(env, 150):
        for i, session in enumerate(sessions):
            assert session.step(told[i]) == (reward[i], terminated[i])
            if terminated[i]:
                assert getattr(session.page(), mode)() == info["final_obs"][i]["text"]
                goals[i] += 1
                session.reset(goals[i])
            assert obs["text"][i] == getattr(session.page(), mode)()
            names = [] if session.has_search_bar and not compat else [f"click[{name}]" for name in session.clickables()]
            searches = ["search[<words>]"] if session.has_search_bar or compat else []
            assert info["admissible_commands"][i] == [*searches, *dict.fromkeys(names)]


def test_page_size_and_limits_are_the_originals_and_the_papers(folder: Path) -> None:
    for task, size, limit in ((None, 10, 15), ("vldac", 4, 50)):
        env = webshop(folder, 1, task=task, goal=0)
        env.reset(seed=0)
        _, *_, info = env.step(["search[the product with options and easy use]"])
        products = [c for c in info["admissible_commands"][0] if c.startswith("click[B0")]
        assert len(products) == size
        steps = 1
        while True:
            steps += 1
            _, reward, terminated, truncated, _ = env.step(["click[no such thing]"])
            if truncated[0]:
                break
            assert not terminated[0]
        assert steps == limit and reward[0] == 0.0


def test_what_cannot_be_done_does_nothing_and_is_told(folder: Path) -> None:
    env = webshop(folder, 3, goal=0)
    before = env.reset(seed=0)[0]["text"]
    bad = ["click[Buy Now]", "dance", "search[" + "x " * 32_000 + "]"]
    obs, reward, terminated, *_ = env.step(bad)
    assert obs["text"][:2] == before[:2] and not reward.any() and not terminated.any()
    notices = [fact["notice"] for fact in env.facts()]
    assert "no such button on this page: Buy Now" in notices[0] and "search[words] or click[name]" in notices[1]
    assert "cut after" in notices[2]
    with pytest.raises(EnvError, match="65536 bytes"):
        env.step(["search[" + "x" * 1_000_000 + "]"] * 3)
    assert env.observe()["text"] == obs["text"]


def test_names_that_no_parser_takes_are_not_listed_but_can_be_clicked(tmp_path: Path) -> None:
    for name in FILES:
        shutil.copy(GOLDEN_SHOP / name, tmp_path / name)
    rows = json.loads((tmp_path / PRODUCTS_FILE).read_text())
    long = "very " * 300 + "long"
    rows[0]["customization_options"] = {"length": [{"value": long, "image": None}, {"value": "short", "image": None}]}
    (tmp_path / PRODUCTS_FILE).write_text(json.dumps(rows))
    env = webshop(tmp_path, 1, goals="synthetic")
    env.reset(seed=0)
    env.step([f"search[{rows[0]['name']}]"])
    *_, info = env.step([f"click[{rows[0]['asin']}]"])
    assert "click[short]" in info["admissible_commands"][0] and f"click[{long}]" not in info["admissible_commands"][0]
    env.step([f"click[{long}]"])
    assert env.facts()[0]["chosen"] == long


# -- pictures and prompts -----------------------------------------------------------------------------------------------


def test_commands_point_to_what_they_click(folder: Path) -> None:
    env = webshop(folder, 4, picture="raster", image_size=(512, 1600), goal_order="seed")
    env.reset(seed=0)
    seen = 0
    for told, (obs, *_) in play_at_random(env, 60):
        del told
        for i, commands in enumerate(env.commands()):
            for command in commands:
                x, y, width, height = env.locate([command], np.array([i]))[0].tolist()
                assert width > 8 and height > 8 and x >= 0 and x + width <= 512 and y + height <= 1600, command
                patch = obs["image"][i][y : y + height, x : x + width]
                assert len(np.unique(patch.reshape(-1, 3), axis=0)) > 2  # letters and their ground
                seen += 1
    assert seen > 500
    assert (env.locate(["click[nothing]"] * 4) == -1).all() and env.locate(["search[any words]"] * 4).shape == (4, 4)


def test_photos_take_the_place_of_drawings(folder: Path, tmp_path: Path) -> None:
    options = {"picture": "raster", "goal": 0, "image_size": (512, 896)}
    drawn = webshop(folder, 1, **options)
    asin = drawn.panel.goals.goal(0)["asin"]
    Image.new("RGB", (64, 64), (255, 0, 255)).save(tmp_path / f"{asin}.png")
    (tmp_path / "B000000000.png").write_bytes(b"no picture")
    taken = webshop(folder, 1, photos=str(tmp_path), **options)
    assert "1 photos" in taken.panel.summary() and drawn.panel.number != taken.panel.number
    pictures = []
    for env in (drawn, taken):
        env.reset(seed=0)
        for _ in range(2):
            obs, *_ = env.step(env.oracle_commands())
        pictures.append(obs["image"][0])
    is_pink = (np.stack(pictures) == (255, 0, 255)).all(-1)
    assert not is_pink[0].any() and is_pink[1].sum() > 5000
    with pytest.raises(EnvError, match="PNG or WebP"):
        webshop(folder, 1, photos=str(tmp_path), strict=True, **options)


def test_prompts_tell_the_goal_and_what_can_be_clicked_but_for_compat(folder: Path) -> None:
    texts = {}
    for style in ("paper", "short", "text", "compat"):
        env = webshop(folder, 1, picture="none" if style == "text" else "raster", prompt=style, goal=3, task="vldac")
        env.reset(seed=0)
        env.step([f"search[{env.facts()[0]['task'][:20]}]"])
        content = env.prompts()[0][0]["content"]
        assert [part["type"] for part in content] == (["text"] if style == "text" else ["image", "text"])
        texts[style] = content[-1]["text"]
        has_goal, has_list = env.facts()[0]["task"] in texts[style], ", ".join(env.commands()[0]) in texts[style]
        assert has_goal is has_list is (style != "compat")
    assert "[SEP]" in texts["text"] and "[SEP]" not in texts["paper"]


# -- state --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compat", [False, True])
def test_a_restored_shop_goes_on_the_same_way(folder: Path, compat: bool) -> None:
    env = webshop(folder, 6, compat=compat, picture="raster", image_size=(224, 224), max_episode_steps=9)
    env.reset(seed=5)
    for _ in play_at_random(env, 25):
        pass
    other = env.clone()
    assert env.observe()["text"] == other.observe()["text"]
    for _ in range(20):
        assert env.oracle_commands() == other.oracle_commands()
        ours, theirs = env.step(env.oracle_commands()), other.step(other.oracle_commands())
        assert ours[0]["text"] == theirs[0]["text"] and (ours[0]["image"] == theirs[0]["image"]).all()
        assert (ours[1] == theirs[1]).all()


def test_a_state_of_another_shop_is_refused(folder: Path) -> None:
    env, other = webshop(folder, 2), webshop(folder, 2, goals_seed=1)
    env.reset(seed=0), other.reset(seed=0)
    assert env.panel.number != other.panel.number
    with pytest.raises(EnvError, match=r"another shop|other options|another environment"):
        other.set_state(env.get_state())


def test_equal_shops_in_other_folders_are_the_same_shop(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "copy")
    assert webshop(folder, 1).panel.number == webshop(tmp_path / "copy", 1).panel.number


# -- files --------------------------------------------------------------------------------------------------------------


def test_a_store_is_built_once_and_anew_where_its_files_changed_or_it_is_damaged(tmp_path: Path, cache: Path) -> None:
    write_catalogue(tmp_path, make_products(30, seed=1))

    def stores() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in cache.glob("webshop-store-*.bin")}

    before = stores()
    open_shop(tmp_path, goals=GoalChoice())
    (store,) = set(stores()) - set(before)
    built = stores()
    open_shop(tmp_path, goals=GoalChoice())
    assert stores() == built
    store.write_bytes(store.read_bytes()[:-100])
    assert len(open_shop(tmp_path, goals=GoalChoice()).catalogue) == 30 and stores()[store] > built[store]
    write_catalogue(tmp_path, make_products(31, seed=1), overwrite=True)
    assert len(open_shop(tmp_path, goals=GoalChoice()).catalogue) == 31


def test_malformed_rows_are_counted_or_an_error(folder: Path, tmp_path: Path) -> None:
    for name in FILES:
        shutil.copy(folder / name, tmp_path / name)
    lines = (tmp_path / PRODUCTS_FILE).read_text().splitlines()
    lines[3] = '{"asin": "B0BAD00000", "name": 17},'
    (tmp_path / PRODUCTS_FILE).write_text("\n".join(lines))
    env = webshop(tmp_path, 1)
    assert len(env.panel.catalogue) == NUM - 1 and len(env.left_out()) == 1
    assert PRODUCTS_FILE in env.left_out()[0][0] and "left out 1" in env.panel.summary()
    with pytest.raises(EnvError, match=PRODUCTS_FILE):
        webshop(tmp_path, 1, strict=True)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"goal": 10**6}, "goal"),
        ({"goal": -2}, "goal"),
        ({"page_size": 0}, "page_size"),
        ({"page_size": 2.5}, "a whole number"),
        ({"split": "valid"}, "one of all, train, eval, test"),
        ({"goals": "humans"}, "did you mean 'human'"),
        ({"observation_mode": "image"}, "text_rich"),
        ({"pictures": "none"}, "did you mean 'picture'"),
        ({"nouns": "nowhere.json"}, "nowhere.json"),
        ({"photos": "nowhere"}, "a folder of pictures"),
        ({"split": "test", "num_test": 0}, "split"),
    ],
    ids=str,
)
def test_bad_options_are_told(folder: Path, options: dict[str, Any], match: str) -> None:
    with pytest.raises(EnvError, match=match):
        webshop(folder, 1, **options)


def test_missing_files_are_named_and_the_way_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(EnvError, match="no such folder"):
        webshop(tmp_path / "nowhere", 1)
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(
        EnvError, match=r"items_shuffle.json and items_ins_v2.json.*(?s:.*)notes.txt(?s:.*)generate-webshop"
    ):
        webshop(tmp_path, 1)
    for name in FILES:
        (tmp_path / name).write_text("[{")
    with pytest.raises(EnvError, match="items_"):
        webshop(tmp_path, 1)
