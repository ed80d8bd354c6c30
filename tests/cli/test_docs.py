"""Pages that repeat what the code says are current, and what they point to exists."""

import importlib.util
import re
from pathlib import Path

import pytest
import torch

import vldac
from vldac.arguments import setting_types
from vldac.configuration import load_config, recipe_names

ROOT = Path(__file__).parents[2]
CODE = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
FENCED = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_the_metrics_page_is_current() -> None:
    """If this fails: python docs/make_metrics.py"""
    spec = importlib.util.spec_from_file_location("make_metrics", ROOT / "docs" / "make_metrics.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8") == module.page()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_settings_named_in_a_page_exist(page: Path) -> None:
    text = FENCED.sub("", page.read_text(encoding="utf-8"))
    sections = {name.split(".")[0] for name in setting_types() if "." in name}
    named = set(re.findall(rf"\b((?:{'|'.join(sections)})\.[a-z_]+)\b", text))
    files = {"adapter_model.safetensors", "model.safetensors"}
    assert [name for name in named if name not in setting_types() and not is_function(name) and name not in files] == []


def test_the_python_page_is_python_and_its_environments_play() -> None:
    blocks = CODE.findall((ROOT / "docs" / "python.md").read_text(encoding="utf-8"))
    assert len(blocks) >= 4
    for block in blocks:
        compile(block, "docs/python.md", "exec")
    scope: dict = {"vldac": vldac}
    exec(next(block for block in blocks if "envs.make" in block), scope)
    assert scope["obs"]["image"].shape == (64, 84, 84, 3) and (scope["reward"] >= 0).all()


def test_the_examples_of_the_environments_page_run(capsys: pytest.CaptureFixture[str]) -> None:
    blocks = CODE.findall((ROOT / "docs" / "environments.md").read_text(encoding="utf-8"))
    playing, copying, batches = blocks[:3]
    scope: dict = {"buffer": {}, "t": 0, "torch": torch}
    exec(playing.replace("env.close()", ""), scope)
    assert "10." in capsys.readouterr().out
    exec(copying, scope)
    assert torch.is_tensor(scope["kept"]) and (scope["buffer"][0] == scope["obs"]["image"]).all()
    exec(batches, scope)
    assert scope["obs"]["image"].shape[0] == 16


def test_the_page_of_foreign_environments_runs() -> None:
    blocks = CODE.findall((ROOT / "docs" / "foreign_environments.md").read_text(encoding="utf-8"))
    scope: dict = {"vldac": vldac}
    for block in blocks:
        exec(block, scope)
    assert scope["obs"].shape == (8, 4) and "pass  determinism" in scope["report"].as_text()


def is_function(name: str) -> bool:
    """Whether "optim.clip_and_step", say, is a function of `vldac/optim.py`."""
    module, function = name.split(".")
    file = ROOT / "vldac" / f"{module}.py"
    return file.exists() and f"def {function}(" in file.read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_paths_and_recipes_named_in_a_page_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for path in re.findall(r"`((?:docs|csrc|kernels|envs|tests|benchmarks|\.ci|vldac)/[\w./-]*)`", text):
        assert (ROOT / path).exists(), path
    for recipe in re.findall(r"vldac train ([a-z-]+)\b(?!\.yaml)", text):
        assert recipe in recipe_names(), recipe


def test_numbers_of_the_deviations_page_are_those_of_the_recipes() -> None:
    paper, default, repo = (load_config(name) for name in ("paper", "default", "repo-yaml"))
    assert (paper.algorithm.gamma, paper.algorithm.gae_lambda, paper.algorithm.kl_coef) == (1, 1, 0.05)
    assert (paper.algorithm.value_coef, paper.env.max_episode_steps, paper.rollout.max_new_tokens) == (0.15, 20, 96)
    assert (paper.optim.warmup_updates, paper.optim.warmup_cap, default.optim.warmup_cap) == (2, 2, 10)
    assert {c.algorithm.clip for c in (paper, default, repo)} == {
        0.1
    } and paper.env.num_envs == default.env.num_envs == 64
    assert (
        paper.rollout.steps_per_update == default.rollout.steps_per_update == 512
        and repo.rollout.steps_per_update == 256
    )
    assert (paper.optim.lr, paper.optim.lr_final) == (paper.optim.value_lr, paper.optim.value_lr_final) == (5e-5, 1e-7)
    assert default.algorithm.timeout == "bootstrap" and default.env.fallback == "random_legal"
    assert {c.optim.max_grad_norm for c in (paper, default)} == {1.0} and paper.optim.adam_eps == 1e-7
    assert (repo.rollout.temperature, repo.rollout.top_k, repo.model.lora_dropout) == (0.2, 1, 0.1)
    assert (repo.algorithm.value_clip, repo.algorithm.ratio_guard) == (0.1, 10.0)
    assert default.eval.episodes == 200
    world = load_config("paper-miniworld")
    assert (world.algorithm.gamma, world.algorithm.gae_lambda, world.env.num_images, world.env.prompt) == (
        0.99,
        0.95,
        4,
        "v3",
    )
    assert world.optim == paper.optim and world.rollout.steps_per_update == 512 and world.env.image_size is None
    assert {load_config(name).algorithm.timeout for name in recipe_names() if "miniworld" in name} == {"terminal"}
    assert repo.algorithm.timeout == "drop"
