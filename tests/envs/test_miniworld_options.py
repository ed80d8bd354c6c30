"""Upstream's keyword options of the MiniWorld environments, and what they become."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from vldac.envs.catalogue import list_ids, native_spec
from vldac.envs.miniworld.options import upstream_options
from vldac.envs.miniworld.package import package_folder

from vldac.envs import make
from vldac.errors import EnvError

SCALARS = {
    "forward_step": (0.15, 0.12, 0.17), "forward_drift": (0.0, -0.05, 0.05), "turn_step": (15.0, 10.0, 20.0),
    "bot_radius": (0.4, 0.38, 0.42), "cam_pitch": (0.0, -5.0, 5.0), "cam_fov_y": (60.0, 55.0, 65.0),
    "cam_height": (1.5, 1.45, 1.55), "cam_fwd_disp": (0.0, -0.05, 0.1),
}  # fmt: skip
VECTORS = {
    "sky_color": ("rgb", ((0.25, 0.82, 1.0), (0.1,) * 3, (1.0,) * 3)),
    "light_pos": ("xyz", ((0.0, 2.5, 0.0), (-40.0, 2.5, -40.0), (40.0, 5.0, 40.0))),
    "light_color": ("rgb", ((0.7,) * 3, (0.45,) * 3, (0.8,) * 3)),
    "light_ambient": ("rgb", ((0.45,) * 3, (0.35,) * 3, (0.55,) * 3)),
    "obj_color_bias": ("rgb", ((0.0,) * 3, (-0.2,) * 3, (0.2,) * 3)),
}


def domain_options() -> dict[str, float]:
    """Every parameter's options with upstream's defaults."""
    flat = {f"params.{name}": triple for name, triple in SCALARS.items()}
    for name, (components, triple) in VECTORS.items():
        flat |= {
            f"params.{name}.{component}": column
            for component, column in zip(components, np.array(triple).T.tolist(), strict=True)
        }
    return {
        f"{name}{end}": value
        for name, triple in flat.items()
        for end, value in zip(("", ".min", ".max"), triple, strict=True)
    }


def spec(**own: float) -> Any:
    """A specification as the extension declares it."""
    options = {"task": 0.0, "builtin_assets": 0.0, **own}
    return SimpleNamespace(
        id="MiniWorld-Test-v0", image_size=(80, 60),
        options=[SimpleNamespace(name=name, initial=value) for name, value in options.items()],
    )  # fmt: skip


ROOM = spec(size=10.0, domain_rand=0.0, **domain_options())
GOAL = spec(goal_pos=1.0, **{"goal_pos.x": 10.0, "goal_pos.z": -6.0})


def params(value: Any) -> dict[str, float]:
    return upstream_options(ROOM, {"params": value}, None)[3]


def test_nothing_given_is_upstreams_default() -> None:
    assert upstream_options(ROOM, {}, None) == (None, "agent", (800, 600), {})


def test_numbers_and_flags_become_floats() -> None:
    given = {"size": np.int64(6), "domain_rand": True, "params.turn_step.max": 30}
    assert upstream_options(ROOM, given, None)[3] == {"size": 6.0, "domain_rand": 1.0, "params.turn_step.max": 30.0}


def test_obs_width_and_height_are_the_image_size() -> None:
    assert upstream_options(ROOM, {"obs_width": 84, "obs_height": 56}, None)[0] == (84, 56)
    assert upstream_options(ROOM, {"obs_width": 84}, None)[0] == (84, 60)
    assert upstream_options(ROOM, {"obs_height": 56}, (84, 56))[0] == (84, 56)
    assert upstream_options(ROOM, {}, (84, 56))[0] == (84, 56)
    with pytest.raises(EnvError, match="one size of the observation"):
        upstream_options(ROOM, {"obs_width": 80}, (84, 56))


def test_view_and_window_are_of_render() -> None:
    assert upstream_options(ROOM, {"view": "top", "window_width": 400}, None)[1:3] == ("top", (400, 600))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"view": "side"}, "'agent' or 'top'"),
        ({"obs_width": 0}, "at least 28"),
        ({"obs_height": 60.0}, "a whole number of pixels"),
        ({"window_height": True}, "a whole number of pixels"),
        ({"size": "six"}, "True, False or a number"),
        ({"params": 3}, "DomainParams, or a dict"),
        ({"params": {"forward_step": "far"}}, "a number, or (value, least, largest)"),
        ({"params": {"forward_step": (1, 2)}}, "a number, or (value, least, largest)"),
        ({"params": {"forward_step": float("nan")}}, "a number, or (value, least, largest)"),
        ({"params": {"forward_step": (0.2, 0.3, 0.4)}}, "least <= value <= largest"),
        ({"params": {"sky_color": 1.0}}, "3 numbers, or (value, least, largest)"),
        ({"params": {"sky_color": [(1, 1, 1), (2, 0, 0), (2, 2, 2)]}}, "least <= value <= largest"),
    ],
)
def test_bad_values_are_named(given: dict[str, Any], expected: str) -> None:
    with pytest.raises(EnvError) as caught:
        upstream_options(ROOM, given, None)
    assert expected in caught.value.expected
    assert caught.value.where.startswith(f"make('MiniWorld-Test-v0'), {next(iter(given))}")


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [
        ("obs_widht", "obs_width"),
        ("domain_random", "domain_rand"),
        ("params.turn_stp", "params.turn_step"),
        ("siz", "size"),
    ],
)
def test_unknown_names_are_refused_with_the_nearest(name: str, suggestion: str) -> None:
    with pytest.raises(EnvError, match=f"did you mean '{suggestion}'") as caught:
        upstream_options(ROOM, {name: 1}, None)
    assert caught.value.expected.startswith("options of make() or of the environment: size, domain_rand, obs_width")
    assert "task" not in caught.value.expected


def test_a_parameter_in_the_wrong_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(EnvError, match="did you mean 'turn_step'"):
        params({"turn_steps": 15})


def test_a_value_alone_is_its_own_range_and_three_are_value_least_largest() -> None:
    found = params({"forward_step": 0.2, "turn_step": (15, 5, 45), "light_pos": [1, 2, 3]})
    assert found == {
        "params.forward_step": 0.2, "params.forward_step.min": 0.2, "params.forward_step.max": 0.2,
        "params.turn_step": 15.0, "params.turn_step.min": 5.0, "params.turn_step.max": 45.0,
        "params.light_pos.x": 1.0, "params.light_pos.x.min": 1.0, "params.light_pos.x.max": 1.0,
        "params.light_pos.y": 2.0, "params.light_pos.y.min": 2.0, "params.light_pos.y.max": 2.0,
        "params.light_pos.z": 3.0, "params.light_pos.z.min": 3.0, "params.light_pos.z.max": 3.0,
    }  # fmt: skip
    found = params({"sky_color": ([0.5, 0.6, 0.7], [0.1, 0.2, 0.3], [0.9, 1.0, 1.0])})
    assert [found[f"params.sky_color.{c}{end}"] for c in "rgb" for end in ("", ".min", ".max")] == [
        0.5, 0.1, 0.9, 0.6, 0.2, 1.0, 0.7, 0.3, 1.0,
    ]  # fmt: skip


def upstream_params() -> Any:
    """The package's own module of parameters, loaded alone: the package itself would start OpenGL."""
    folder = package_folder()
    if folder is None:
        pytest.skip("the miniworld package is not installed (extra miniworld)")
    found = importlib.util.spec_from_file_location("upstream_params", folder / "params.py")
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def test_upstreams_object_gives_every_parameter() -> None:
    module = upstream_params()
    assert params(module.DEFAULT_PARAMS) == domain_options()
    fast = module.DEFAULT_PARAMS.no_random()
    fast.set("forward_step", 0.7)
    fast.set("turn_step", 45)
    found = params(fast)
    assert found["params.forward_step.max"] == found["params.forward_step"] == 0.7
    assert found["params.light_pos.x.min"] == found["params.light_pos.x.max"] == 0.0


IDS = [env_id for env_id in list_ids() if env_id.startswith("MiniWorld-")]


@pytest.mark.parametrize("env_id", IDS)
def test_every_environment_has_upstreams_parameters_and_defaults(env_id: str) -> None:
    """The fast ones have larger steps and no ranges; Sign's cannot be chosen."""
    native = native_spec(env_id)
    initial = {option.name: option.initial for option in native.options if option.name.startswith("params.")}
    default = upstream_params().DEFAULT_PARAMS
    if env_id == "MiniWorld-Sign-v0":
        assert initial == {}
        return
    if "Fast" in env_id:
        default = default.no_random()
        default.set("forward_step", 0.7)
        default.set("turn_step", 45)
    assert upstream_options(native, {"params": default}, None)[3] == initial


def test_made_environments_obey_upstreams_options() -> None:
    env = make(
        "MiniWorld-OneRoom-v0", 1, size=4, obs_width=40, obs_height=30, window_width=64, window_height=48, view="top",
        params={"turn_step": 30, "forward_step": (0.2, 0.1, 0.3)}, render_mode="rgb_array", textures="builtin",
    )  # fmt: skip
    obs, _ = env.reset(seed=3)
    assert obs["image"].shape == (1, 30, 40, 3)
    pictures = env.render()
    assert pictures is not None and pictures[0].shape == (48, 64, 3)
    before = env.poses()[0]
    env.step(np.zeros(1, np.int64))
    assert env.poses()[0, 2] - before[2] == pytest.approx(np.pi / 6)
    turned = env.poses()[0]
    env.step(np.full(1, 2))
    moved = env.poses()[0]
    assert (moved[:2] > 0).all() and (moved[:2] < 4).all()
    assert np.hypot(*(moved - turned)[:2]) in (0.0, pytest.approx(0.2))


def test_a_goals_position_is_where_the_goal_is() -> None:
    env = make("MiniWorld-TMaze-v0", 1, goal_pos=[10, 0, 5.5], textures="builtin")
    env.reset(seed=0)
    x, _, z = map(float, env.facts()[0]["goal_pos"].split())
    assert abs(x - 10) < 0.6 and abs(z - 5.5) < 0.6  # somewhere within its radius


def test_an_object_that_lacks_a_parameter_or_counts_in_whole_numbers_is_refused() -> None:
    parameter = SimpleNamespace(default=15, min=10, max=20, type="int")
    everything = {name: SimpleNamespace(default=v[0], min=v[1], max=v[2], type="float") for name, v in SCALARS.items()}
    everything |= {
        name: SimpleNamespace(default=v[0], min=v[1], max=v[2], type="float") for name, (_, v) in VECTORS.items()
    }
    assert params(SimpleNamespace(params=everything)) == domain_options()
    with pytest.raises(EnvError, match="type 'float'"):
        params(SimpleNamespace(params=everything | {"turn_step": parameter}))
    del everything["cam_pitch"]
    with pytest.raises(EnvError, match=r"one without cam_pitch(?s:.*)DEFAULT_PARAMS\.copy"):
        params(SimpleNamespace(params=everything))


def test_an_environment_without_parameters_takes_none() -> None:
    for name in ("params", "domain_rand"):
        with pytest.raises(EnvError, match="remove or correct it"):
            upstream_options(GOAL, {name: {}}, None)


def test_a_goals_position_becomes_two_numbers_or_none() -> None:
    assert upstream_options(GOAL, {"goal_pos": [3.9, 0, -7.0]}, None)[3] == {
        "goal_pos": 1.0, "goal_pos.x": 3.9, "goal_pos.z": -7.0,
    }  # fmt: skip
    assert upstream_options(GOAL, {"goal_pos": None}, None)[3] == {"goal_pos": 0.0}
    for wrong in ([1, 2], "left", [1, 0, float("inf")]):
        with pytest.raises(EnvError, match=r"\[x, y, z\] in metres"):
            upstream_options(GOAL, {"goal_pos": wrong}, None)


def test_the_page_of_these_environments_runs() -> None:
    page = (Path(__file__).parents[2] / "docs" / "miniworld.md").read_text(encoding="utf-8")
    scope: dict[str, Any] = {}
    exec(re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)[0], scope)
    assert scope["poses"].shape == (16, 3) and scope["depth"].shape == (16, 224, 224, 1)
    assert scope["view"].shape == (16, 256, 256, 3)
    rows = re.findall(r"^\| ([A-Z][\w, ]+) \| \d", page, re.MULTILINE)
    assert {f"MiniWorld-{name.strip()}-v0" for row in rows for name in row.split(",")} == set(IDS)
