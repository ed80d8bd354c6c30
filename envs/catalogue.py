"""What native environments there are: their ids, actions, limits and options, as the extension declares them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vldac import _core
from vldac.errors import EnvError, nearest

_SPECS: dict[str, _core.EnvSpec] = {spec.id: spec for spec in _core.env_specs()}


def list_ids() -> list[str]:
    """Return the ids of the native environments."""
    return [env_id for env_id, spec in _SPECS.items() if spec.is_listed]


def native_spec(env_id: str) -> _core.EnvSpec:
    """Return the specification of a native environment. Raises EnvError for an unknown id."""
    if env_id not in _SPECS:
        raise EnvError(
            expected=f"one of {', '.join(list_ids())}{nearest(env_id, list_ids())}",
            got=repr(env_id), where="environment id", do="run `vldac envs` to list them",
        )  # fmt: skip
    return _SPECS[env_id]


_NEED_DATA: dict[str, dict[str, Any]] = {
    "ALFWorld-v0": {"data": "generated", "num_games": 24, "difficulty": "small", "split": "valid_seen"},
}


def sample_options(env_id: str) -> dict[str, Any]:
    """Return options with which an environment plays without data of the user's: for checks, tests and demonstrations."""
    return dict(_NEED_DATA.get(env_id, {}))


_SET_BY_MAKE = ("task", "builtin_assets")


def public_options(spec: _core.EnvSpec) -> list[_core.EnvOption]:
    """Return the options that callers may set; `make` sets the others from its own arguments."""
    return [option for option in spec.options if option.name not in _SET_BY_MAKE]


def described_options(spec: _core.EnvSpec) -> list[str]:
    """Return one line per option that callers may set."""
    from vldac.envs.file_worlds import option_help

    told = option_help(spec.id)
    if told is not None:
        return [f"{name}: {text}" for name, text in told.items()]
    return [f"{option.name}={option.initial:g}: {option.help}" for option in public_options(spec)]


def native_options(spec: _core.EnvSpec, given: dict[str, Any]) -> dict[str, float]:
    """Return an environment's options as numbers (a bool is 0 or 1). Raises EnvError for a name or value it does not know."""
    known = [option.name for option in public_options(spec)]
    for name, value in given.items():
        if name not in known:
            raise EnvError(
                expected=f"options of make() or of the environment: {', '.join(known) or 'it has none of its own'}"
                f"{nearest(name, known)}",
                got=name, where=f"make({spec.id!r})", do="remove or correct it",
            )  # fmt: skip
        if not isinstance(value, bool | int | float):
            raise EnvError(
                expected="True, False or a number", got=repr(value), where=f"make({spec.id!r}), {name}", do="correct it"
            )
    return {name: float(value) for name, value in given.items()}


def is_foreign(env_id: str) -> bool:
    """Whether an id is another library's: "gymnasium:<id>" or "envpool:<id>"."""
    return env_id.startswith(("gymnasium:", "envpool:"))


def own_options(env_id: str, given: Mapping[str, float | str]) -> dict[str, Any]:
    """Return the arguments of `make` for options of an environment's own; those of foreign environments go to their `make`.

    Names of games are among those of environments that play games from files, which check them themselves.
    Raises EnvError for a name that a native environment does not know.
    """
    if is_foreign(env_id):
        return {"env_kwargs": dict(given)} if given else {}
    if native_spec(env_id).is_text:
        return dict(given)
    return dict(native_options(native_spec(env_id), dict(given)))
