"""Upstream's keyword options as the native environments' numbers.

What upstream's constructors take means the same here: `obs_width` and `obs_height` (image_size by another name), `window_width`,
`window_height` and `view` (of `render`), `domain_rand`, `params`, `goal_pos`, and each environment's own. One has another name: the
constructors' `max_episode_steps`, on which rewards depend, is `own_max_episode_steps`, since `make(max_episode_steps=...)` only adds
a limit, as `gymnasium.make` does.
"""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np
from vldac.envs.catalogue import public_options

from vldac._core import EnvSpec
from vldac.errors import EnvError, nearest

_WINDOW = {"window_width": 800, "window_height": 600}
_MIN_SIDE = 28
Size = tuple[int, int]


def upstream_options(
    spec: EnvSpec, given: Mapping[str, Any], image_size: Size | None
) -> tuple[Size | None, str, Size, dict[str, float]]:
    """Return (image_size, view, size of `render`'s pictures, numeric options) for options as upstream's constructors take them.

    given: also options by their native names, such as "params.turn_step.max". image_size: (width, height), or None.
    params: a `miniworld.params.DomainParams`, or {name: value} or {name: (value, least, largest)} over the environment's own. The
    value holds without domain_rand; given alone it is its own least and largest, as in upstream's `set`.
    Raises EnvError for a name that neither upstream nor the environment knows, with the nearest one, and for unusable values.
    """
    options, where = dict(given), f"make({spec.id!r})"
    native = {option.name: option.initial for option in public_options(spec)}
    _check_names(options, native, where)
    view = options.pop("view", "agent")
    if view not in ("agent", "top"):
        raise EnvError(expected="'agent' or 'top'", got=repr(view), where=f"{where}, view", do="correct it")
    width, height = (_side(options.pop(name, side), 1, f"{where}, {name}") for name, side in _WINDOW.items())
    image_size = _image_size(options, image_size, spec.image_size, where)
    for name in ("params", "goal_pos"):
        if name in options:
            read = _domain if name == "params" else _goal
            options |= read(options.pop(name), native, f"{where}, {name}")
    return (
        image_size,
        view,
        (width, height),
        {name: _number(value, f"{where}, {name}") for name, value in options.items()},
    )


def _check_names(options: Mapping[str, Any], native: Mapping[str, float], where: str) -> None:
    known = [name for name in native if "." not in name] + ["obs_width", "obs_height", "view", *_WINDOW]
    known += sorted({name.partition(".")[0] for name in native if "." in name})  # params, goal_pos
    for name in options:
        if name not in known and name not in native:
            words = [*known, *native] if "." in name else known
            raise EnvError(
                expected=f"options of make() or of the environment: {', '.join(known)}{nearest(name, words)}", got=name, where=where,
                do="remove or correct it",
            )  # fmt: skip


def _image_size(options: dict[str, Any], image_size: Size | None, initial: Size, where: str) -> Size | None:
    """Take obs_width and obs_height out of the options, and return (width, height) or None as image_size says."""
    names = [name for name in ("obs_width", "obs_height") if name in options]
    if not names:
        return image_size
    start = image_size or initial
    width = _side(options.pop("obs_width", start[0]), _MIN_SIDE, f"{where}, obs_width")
    height = _side(options.pop("obs_height", start[1]), _MIN_SIDE, f"{where}, obs_height")
    if image_size is not None and (width, height) != tuple(image_size):
        raise EnvError(
            expected=f"one size of the observation: image_size={tuple(image_size)} is there", got=f"{' and '.join(names)} of another",
            where=where, do="give image_size alone, (width, height)",
        )  # fmt: skip
    return width, height


def _domain(params: Any, native: Mapping[str, float], where: str) -> dict[str, float]:
    """Return the options "params.<name>[.<component>][.min | .max]" of upstream's object or a dict."""
    components: dict[str, list[str]] = {}
    for option in native:
        head, _, rest = option.partition(".")
        if head == "params" and not rest.endswith((".min", ".max")):
            components.setdefault(rest.partition(".")[0], []).append(option)
    is_object = not isinstance(params, Mapping)
    values = getattr(params, "params", None) if is_object else params
    if not isinstance(values, Mapping):
        wanted = "a miniworld.params.DomainParams, or a dict of names to values"
        raise EnvError(expected=wanted, got=repr(params), where=where, do="correct it")
    if is_object and (missing := sorted(set(components) - set(values))):
        raise EnvError(
            expected="a DomainParams with every parameter", got=f"one without {', '.join(missing)}", where=where,
            do="start from miniworld.params.DEFAULT_PARAMS.copy(), or give a dict of what differs",
        )  # fmt: skip
    found: dict[str, float] = {}
    for name, value in values.items():
        if name not in components:
            known = f"one of {', '.join(components)}{nearest(str(name), components)}"
            raise EnvError(expected=known, got=repr(name), where=where, do="correct it")
        bounds = _bounds(value, len(components[name]), f"{where}, {name}")
        for option, column in zip(components[name], bounds.T.tolist(), strict=True):
            found |= dict(zip((option, f"{option}.min", f"{option}.max"), column, strict=True))
    return found


def _bounds(value: Any, size: int, where: str) -> np.ndarray:
    """Return the rows (value, least, largest) of a parameter with `size` components, [3, size] float64."""
    if getattr(value, "type", "float") != "float":
        got = f"one of type {value.type!r}"
        raise EnvError(expected="a parameter of type 'float'", got=got, where=where, do="set it as a float")
    array = _array((value.default, value.min, value.max) if hasattr(value, "default") else value)
    if array.shape == (() if size == 1 else (size,)):
        array = np.stack([array] * 3)
    if size == 1 and array.shape == (3,):
        array = array[:, None]
    if array.shape != (3, size):
        shape = "a number" if size == 1 else f"{size} numbers"
        wanted = f"{shape}, or (value, least, largest) of {shape} each"
        raise EnvError(expected=wanted, got=repr(value), where=where, do="correct it")
    if not ((array[1] <= array[0]) & (array[0] <= array[2])).all():
        raise EnvError(expected="least <= value <= largest", got=repr(value), where=where, do="correct them")
    return array


def _goal(position: Any, _: Mapping[str, float], where: str) -> dict[str, float]:
    """Return the options of a goal's place: [x, y, z] in metres, whose y upstream does not use, or None for one at random."""
    if position is None:
        return {"goal_pos": 0.0}
    array = _array(position)
    if array.shape != (3,):
        raise EnvError(expected="[x, y, z] in metres, or None", got=repr(position), where=where, do="correct it")
    return {"goal_pos": 1.0, "goal_pos.x": float(array[0]), "goal_pos.z": float(array[2])}


def _array(value: Any) -> np.ndarray:
    """Return finite numbers as an array, and anything else as an array that no caller wants."""
    unusable = np.empty((0, 0))
    try:
        array = np.asarray(value)
    except ValueError:  # ragged
        return unusable
    return array.astype(np.float64) if array.dtype.kind in "iuf" and np.isfinite(array).all() else unusable


def _side(value: Any, least: int, where: str) -> int:
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        raise EnvError(
            expected=f"a whole number of pixels, at least {least}", got=repr(value), where=where, do="correct it"
        )
    return int(value)


def _number(value: Any, where: str) -> float:
    if not isinstance(value, bool | Real | np.bool_):
        raise EnvError(expected="True, False or a number", got=repr(value), where=where, do="correct it")
    return float(value)
