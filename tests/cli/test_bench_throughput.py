"""`vldac bench rollout` and `vldac bench train`: what a round is, whom it is compared with; how fast is never asked here."""

import dataclasses
import importlib.util
import json
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch

from vldac.bench import original, switches, throughput, workload
from vldac.bench.arguments import ThroughputArguments
from vldac.bench.throughput import Measured
from vldac.bench.workload import TOY, Ours, Sample, Shape, WithTexts
from vldac.config import EnvConfig
from vldac.configuration import setting_types
from vldac.errors import ConfigError
from vldac.model import load_model
from vldac.player import make_env

ROOT = Path(__file__).parents[2]
TOY_ARGUMENTS = ThroughputArguments(name="train", num_envs=2, steps=4)


@pytest.fixture(autouse=True)
def _threads():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def row_of(vldac, tmp_path: Path, *words: str) -> tuple[dict, str]:
    code, out, err = vldac("bench", *words, "--quick", "--json", str(tmp_path / "row.json"))
    assert (code, err) == (0, "")
    return json.loads((tmp_path / "row.json").read_text(encoding="utf-8")), out


@pytest.fixture(scope="module")
def toy(tmp_path_factory) -> Path:
    """A model folder of the toy's shape."""
    folder = tmp_path_factory.mktemp("toy") / "model"
    return workload.tiny_folder(folder, TOY, workload.own_texts(TOY_ARGUMENTS), TOY_ARGUMENTS)


def test_a_quick_training_benchmark_tells_rates_shares_and_where(vldac, tmp_path: Path) -> None:
    row, out = row_of(vldac, tmp_path, "train", "--rounds", "2")
    assert {"claim", "command", "commit", "date", "device", "load", "versions", "workload"} <= set(row)
    assert row["benchmark"] == "train" and row["claim"] == {"goals": [], "holds": None}
    assert "images_first" in out and "all-in" in out and "backward" in out
    (case,) = row["cases"]
    assert case["shape"] == {"hidden": 32, "layers": 1, "tokens": 4, "model": None}
    for side in case["sides"].values():
        rates = side["env_steps_per_s"]
        assert all(a < r for a, r in zip(rates["all_in"]["rounds"], rates["rollout"]["rounds"], strict=True))
        assert len(rates["all_in"]["rounds"]) == 2 and side["times_base"] == {} and side["steps_per_round"] == 4
        assert sum(side["shares"].values()) == pytest.approx(1.0)
        assert {"generate", "env", "reference", "forward", "backward", "optimizer", "rest"} <= set(side["shares"])
        assert "update" not in side["shares"] and 330 < side["prompt_tokens"] <= 350


def test_the_rollout_benchmark_updates_nothing(vldac, tmp_path: Path) -> None:
    row, out = row_of(vldac, tmp_path, "rollout", "--rounds", "1")
    (case,) = row["cases"]
    for side in case["sides"].values():
        assert list(side["env_steps_per_s"]) == ["rollout", "rollout_cpu"]
        assert "backward" not in side["shares"] and {"generate", "encode", "env"} <= set(side["shares"])
    assert "all-in" not in out


def test_every_switch_is_measured_beside_all_off(vldac, tmp_path: Path) -> None:
    row, out = row_of(vldac, tmp_path, "rollout", "--rounds", "1", "--switches")
    sides = row["cases"][0]["sides"]
    assert list(sides) == list(switches.ladder()) and next(iter(sides)) == "all off"
    assert all(side["times_base"]["rollout"]["median"] > 0 for side in sides.values())
    assert sides["all off"]["times_base"]["rollout"]["median"] == 1.0 and "times" in out


def test_the_ladder_turns_on_one_switch_at_a_time_and_ends_with_all() -> None:
    steps = list(switches.ladder().values())
    known = switches.SWITCHES
    assert len(steps) == len(known) + 1 and all(set(switch.off) <= set(setting_types()) for switch in known)
    assert steps[0] == {key: value for switch in known for key, value in switch.off.items()}
    for before, after, switch in zip(steps, steps[1:], known, strict=False):
        assert {k: v for k, v in before.items() if k not in switch.off} | switch.on == after
    assert steps[-1] == {key: value for switch in known for key, value in switch.on.items()}


def test_settings_of_our_side_reach_the_trainer() -> None:
    chosen = dataclasses.replace(TOY_ARGUMENTS, set=("optim.microbatch_steps=3", "model.kernels=torch"))
    config = workload.configuration(chosen, "tiny", 4, {"optim.microbatch_steps": 2, "env.num_envs": 1})
    assert (config.optim.microbatch_steps, config.model.kernels, config.env.num_envs) == (3, "torch", 1)
    assert config.optim.warmup_updates == 0 and config.model.dtype == "float32" and config.env.num_threads == 1


# -- the workload ----------------------------------------------------------------------------------------------------


def test_every_response_runs_to_its_limit_and_scoring_agrees_with_sampling(toy: Path) -> None:
    ours = Ours(workload.configuration(TOY_ARGUMENTS, str(toy), 4, {}))
    policy, end_ids = ours.trainer.policy, ours.trainer.policy.end_ids
    assert set(end_ids.tolist()) <= set(policy.banned_ids.tolist())
    batch = ours.trainer.collect()
    assert (batch.buffer.num_tokens == 4).all() and not batch.buffer.has_end.any()
    metrics = ours.trainer.update(batch)
    assert metrics["policy/first_ratio_deviation"] < 1e-5 and metrics["policy/is_frozen"] == 0
    # The other way round: a model that ends at once is found out.
    policy.banned_ids = policy.banned_ids[~torch.isin(policy.banned_ids, end_ids)]
    rows = policy.head_weight.shape[0]
    policy.end_ids = torch.arange(rows)
    with pytest.raises(RuntimeError, match=r"responses of \[1\] tokens, not 4"):
        ours.round(has_update=False)
    ours.close()


def test_a_round_accounts_for_all_its_time(toy: Path) -> None:
    ours = Ours(workload.configuration(TOY_ARGUMENTS, str(toy), 4, {}))
    for has_update in (True, False):
        sample = ours.round(has_update=has_update)
        total = sample.steps / (sample.all_in or sample.rollout)
        assert sample.steps == 4 and sum(sample.seconds.values()) == pytest.approx(total)
        assert sample.rollout_cpu > 0 and (sample.all_in_cpu is None) == (not has_update)
        assert (sample.all_in is None) == (not has_update) and 0 <= sample.seconds["rest"] < total
    ours.close()


@pytest.mark.parametrize("tokens", [250, 350])
def test_the_tiny_model_has_prompts_of_the_wanted_length(tmp_path: Path, tokens: int) -> None:
    arguments = dataclasses.replace(TOY_ARGUMENTS, prompt_tokens=tokens)
    texts = workload.own_texts(arguments)
    folder = workload.tiny_folder(tmp_path / "model", TOY, texts, arguments)
    model = load_model(str(folder), dtype=torch.float32)
    content = [{"type": "image"}] * 4 + [{"type": "text", "text": texts[0]}]
    prompt = model.encoder().encode([{"role": "user", "content": content}], range(4), (1, 4, 6))
    assert tokens - 12 < len(prompt.ids) <= tokens
    head = model.network.get_output_embeddings().weight
    assert head.shape == (workload.VOCABULARY, 32)
    placeholders = model.tokenizer.convert_tokens_to_ids(["<|image_pad|>", "<|vision_start|>", "<|im_end|>"])
    assert not head[placeholders].any() and head.any(dim=1).sum() == len(head) - 14


def test_prompts_say_the_text_of_their_number_of_pictures() -> None:
    texts = ["one picture", "two pictures", "three pictures"]
    arguments = {"id": "MiniWorld-OneRoom-v0", "max_episode_steps": 5}
    env = WithTexts(make_env(EnvConfig(**arguments), 2, num_threads=1, batch_size=1), texts)

    def said(*which: object) -> list[str]:
        return [part["text"] for messages in env.prompts(*which) for part in messages[0]["content"] if "text" in part]

    env.reset(seed=0)
    assert said() == [texts[0]] * 2 and env.num_envs == 2
    taken = np.zeros(2, int)
    for _ in range(12):
        _, _, terminated, truncated, _ = env.step(np.zeros(2, np.int64))
        taken = np.where(terminated | truncated, 0, taken + 1)
        assert said() == [texts[min(t, 2)] for t in taken]
        assert all(sum(part["type"] == "image" for part in m[0]["content"]) == 1 for m in env.prompts())
    assert 0 < taken.max() < 12, "an episode ended on the way"
    env.reset(seed=1)
    assert said() == [texts[0]] * 2
    for _ in range(2):  # one environment alone, as an asynchronous rollout steps it
        env.send(np.zeros(1, np.int64), np.array([1]))
        env.recv()
    assert said() == [texts[0], texts[2]] and said(np.array([1])) == [texts[2]]
    env.close()


# -- comparing -------------------------------------------------------------------------------------------------------


def measured(*rates: tuple[float, float]) -> Measured:
    seconds = {"generate": 1.0, "rest": 3.0}
    samples = [Sample(steps=8, all_in=a, rollout=r, all_in_cpu=2 * a, rollout_cpu=r, seconds=seconds) for a, r in rates]
    return Measured(what="", settings={}, samples=samples)


def test_ratios_are_taken_within_a_round_and_the_goal_is_held_against_their_median() -> None:
    # The machine is half as fast in the second round, for both.
    base, ours = measured((2.0, 4.0), (1.0, 2.0), (2.0, 4.0)), measured((24.0, 60.0), (12.0, 38.0), (26.0, 76.0))
    assert throughput.ratios(ours, base, "all_in") == [12.0, 12.0, 13.0]
    assert ours.shares() == {"rest": 0.75, "generate": 0.25}
    shape = Shape(hidden=64, layers=2, tokens=32, all_in_at_least=12, all_in_goal=15, rollout_at_least=20)
    goals = throughput._goals(shape, {throughput.ORIGINAL: base, "images_first": ours})
    assert [(goal["what"], goal["figure"], goal["holds"]) for goal in goals] == [
        ("all_in", 12.0, True), ("rollout", 19.0, False),
    ]  # fmt: skip
    assert (
        throughput._goal_text(goals[0]) == "met    images_first: all-in 12.0 times the original (at least 12, goal 15)"
    )
    assert throughput._goal_text(goals[1]).startswith("MISSED images_first: rollout 19.0")
    assert throughput._goals(shape, {"images_first": ours}) == []


class Turns:
    """A side that writes down its turns."""

    def __init__(self, name: str, log: list[str]) -> None:
        self.name, self.log, self.prompt_tokens, self.facts = name, log, 7, {"of": name}
        log.append(f"open {name}")

    def warm_up(self, *, has_update: bool) -> None:
        self.log.append(f"warm {self.name}")

    def round(self, *, has_update: bool) -> Sample:
        self.log.append(f"{self.name}{'+' if has_update else ''}")
        return Sample(steps=1, rollout=1.0, rollout_cpu=1.0, all_in=None, all_in_cpu=None, seconds={})

    def close(self) -> None:
        self.log.append(f"close {self.name}")


@pytest.mark.parametrize("keeps", [True, False])
def test_sides_take_turns_and_a_large_one_does_not_stay(keeps: bool) -> None:
    log: list[str] = []
    sides = {name: Measured(what="", settings={}) for name in "ab"}
    openers = {name: lambda name=name: Turns(name, log) for name in "ab"}
    arguments = ThroughputArguments(name="train", rounds=2)
    throughput._take_rounds(sides, openers, arguments, keeps=keeps)
    if keeps:
        assert log == ["open a", "warm a", "a+", "open b", "warm b", "b+", "b+", "a+", "close a", "close b"]
    else:
        one = {name: [f"open {name}", f"warm {name}", f"{name}+", f"close {name}"] for name in "ab"}
        assert log == one["a"] + one["b"] + one["b"] + one["a"]
    assert all(len(side.samples) == 2 and side.facts == {"of": name} for name, side in sides.items())


# -- the other side --------------------------------------------------------------------------------------------------

STAND_IN = """
import json, sys
if "--texts" in sys.argv:
    print(json.dumps(["say one", "say two, with more words in it"]))
    sys.exit()
if "--tokens" not in sys.argv or sys.argv[sys.argv.index("--tokens") + 1] == "13":
    sys.exit("a package is missing")
print(json.dumps({"prompt_tokens": 77, "versions": {}}), flush=True)
while sys.stdin.readline():
    row = {"steps": 4, "rollout": 1.0, "rollout_cpu": 2.0, "all_in": 0.5, "all_in_cpu": 0.25, "seconds": {"generate": 8.0}, "load": 1}
    if "--rollout-only" in sys.argv:
        row |= {"all_in": None, "all_in_cpu": None}
    print(json.dumps(row), flush=True)
"""


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch) -> list[str]:
    """A process that speaks like benchmarks/original_loop.py, and the flags that name it."""
    checkout = tmp_path / "checkout"
    (checkout / "a2c_ppo_acktr").mkdir(parents=True)
    driver = tmp_path / "driver.py"
    driver.write_text(textwrap.dedent(STAND_IN), encoding="utf-8")
    monkeypatch.setattr(original, "DRIVER", driver)
    return ["--original", str(checkout), "--original-python", sys.executable]


def test_the_original_is_asked_for_every_round_and_its_prompts_are_ours(vldac, tmp_path, stand_in) -> None:
    row, out = row_of(vldac, tmp_path, "train", "--rounds", "2", "--switches", *stand_in)
    sides = row["cases"][0]["sides"]
    assert next(iter(sides)) == "original" and "original" in out
    assert sides["original"]["env_steps_per_s"]["all_in"]["rounds"] == [0.5, 0.5]
    assert sides["original"]["prompt_tokens"] == 77 and sides["original"]["facts"]["versions"] == {}
    for side in list(sides.values())[1:]:
        assert side["times_base"]["all_in"]["rounds"] == [
            2 * rate for rate in side["env_steps_per_s"]["all_in"]["rounds"]
        ]
        # 31 letters, one or two tokens a word, beside four pictures of 6 and the chat format: not the environment's own 350
        assert side["prompt_tokens"] < 120
    row, _ = row_of(vldac, tmp_path, "rollout", "--rounds", "1", *stand_in)
    assert list(row["cases"][0]["sides"]["original"]["env_steps_per_s"]) == ["rollout", "rollout_cpu"]


def test_an_original_that_does_not_start_is_told_with_its_own_words(tmp_path, stand_in) -> None:
    arguments = ThroughputArguments(
        name="train", original=Path(stand_in[1]), original_python=Path(stand_in[3]), quick=True
    )
    with pytest.raises(ConfigError, match="a package is missing"):
        original.Original(arguments, tmp_path, tokens=13)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--model", "Qwen/Qwen2-VL-2B-Instruct"], "the tiny model"),
        (["--device", "cuda"], "--device"),
        (["--env-id", "gym_cards/NumberLine-v0"], "MiniWorld"),
        (["--image-size", "84", "84"], "MiniWorld"),
    ],
)
def test_what_the_original_cannot_do_is_refused(refuses, stand_in, words: list[str], said: str) -> None:
    assert said in refuses("bench", "train", *stand_in, *words)


@pytest.fixture(scope="module")
def driver():
    """benchmarks/original_loop.py as a module; its top level needs nothing of the original's environment."""
    spec = importlib.util.spec_from_file_location("original_loop", ROOT / "benchmarks" / "original_loop.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_part_inside_another_is_taken_off_it(driver, monkeypatch) -> None:
    now = [10.0]
    monkeypatch.setattr(driver.time, "perf_counter", lambda: now[0])

    def takes(seconds: float) -> None:
        now[0] += seconds

    parts = driver.Parts()
    parts.begin_anew()
    takes(1.0)
    preprocess = parts.timed("preprocess", takes)
    with parts.part("reference"):
        preprocess(2.0)
        takes(4.0)
    preprocess(8.0)
    takes(16.0)
    assert parts.end() == {"rest": 17.0, "reference": 4.0, "preprocess": 10.0}


def test_the_driver_refuses_a_folder_that_is_not_the_original(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "original_loop.py"), "--original", str(tmp_path)]
    done = subprocess.run([*command, "--texts"], capture_output=True, text=True, check=False)
    assert done.returncode != 0 and "expected a checkout of corl-team/VL-DAC" in done.stderr
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "--model is required" in done.stderr
