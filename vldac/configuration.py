"""Reading and writing configurations: recipes, YAML files, dotted overrides; every mistake is a ConfigError."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import types
import typing
from importlib import resources
from pathlib import Path
from typing import Any

from vldac.config import TrainConfig
from vldac.errors import ConfigError, nearest


def recipe_names() -> list[str]:
    """Return the shipped recipes."""
    folder = resources.files("vldac") / "recipes"
    return sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def recipe_text(name: str) -> str:
    """Return the YAML text of a recipe or file. Raises ConfigError if there is none."""
    path = Path(name)
    if path.suffix in (".yaml", ".yml"):
        try:
            return path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                expected="a readable YAML file",
                got=str(error),
                where=f"{name!r}",
                do="check the path and its permissions",
            ) from error
    known = recipe_names()
    if name not in known:
        raise ConfigError(
            expected=f"one of the recipes {', '.join(known)}, or a .yaml file{nearest(name, known)}",
            got=repr(name),
            where="command line",
            do="run `vldac recipes` to list them",
        )
    return (resources.files("vldac") / "recipes" / f"{name}.yaml").read_text(encoding="utf-8")


def load_config(name: str, overrides: dict[str, Any] | None = None) -> TrainConfig:
    """Return the configuration of a recipe or YAML file with dotted overrides, e.g. {"env.id": "..."} applied."""
    return parse_config(recipe_text(name), where=name, overrides=overrides)


def parse_config(text: str, *, where: str, overrides: dict[str, Any] | None = None) -> TrainConfig:
    """Parse YAML text (safe loader) and apply dotted overrides."""
    import yaml

    try:
        tree = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise ConfigError(
            expected="valid YAML", got=" ".join(str(error).split()), where=where, do="fix the marked line"
        ) from error
    if not isinstance(tree, dict):
        raise ConfigError(
            expected="a mapping of settings", got=type(tree).__name__, where=where, do="see `vldac recipes`"
        )
    for key, value in (overrides or {}).items():
        _assign(tree, key, value)
    config: TrainConfig = _build(TrainConfig, tree, where)
    check_config(config)
    return config


def _assign(tree: dict[str, Any], key: str, value: Any) -> None:
    *path, last = key.split(".")
    for part in path:
        tree = tree.setdefault(part, {})
    tree[last] = value


def _build(kind: Any, tree: dict[str, Any], where: str) -> Any:
    hints = typing.get_type_hints(kind)
    for key in tree:
        if key not in hints:
            raise ConfigError(
                expected=f"one of {', '.join(hints)}{nearest(str(key), hints)}",
                got=repr(key),
                where=where,
                do="correct or remove the key",
            )
    values = {}
    for key, value in tree.items():
        hint, place = hints[key], f"{where}: {key}"
        if dataclasses.is_dataclass(hint):
            if not isinstance(value, dict):
                raise ConfigError(expected="a mapping", got=repr(value), where=place, do="indent its settings under it")
            values[key] = _build(hint, value, place)
        else:
            values[key] = _convert(hint, value, place)
    return kind(**values)


def _convert(hint: Any, value: Any, where: str) -> Any:
    import msgspec

    if hint is float and isinstance(value, str):
        with contextlib.suppress(ValueError):
            value = float(value)  # YAML 1.1 reads 1e-4 as a string
    if isinstance(hint, types.UnionType) and value is None:
        return None
    try:
        return msgspec.convert(value, hint)
    except msgspec.ValidationError as error:
        raise ConfigError(
            expected=str(getattr(hint, "__name__", hint)), got=repr(value), where=where, do=str(error)
        ) from error


def check_config(config: TrainConfig) -> None:
    """Raise ConfigError for settings that cannot work together."""

    def refuse(ok: bool, expected: str, got: object, where: str, do: str) -> None:
        if not ok:
            raise ConfigError(expected=expected, got=repr(got), where=where, do=do)

    env, rollout, optim, algorithm = config.env, config.rollout, config.optim, config.algorithm
    refuse(env.num_envs >= 1, "at least 1 environment", env.num_envs, "env.num_envs", "raise it")
    refuse(env.num_images >= 1, "at least 1 image", env.num_images, "env.num_images", "raise it")
    limit = env.max_episode_steps
    refuse(
        limit is None or limit >= 1, "a step limit of at least 1", limit, "env.max_episode_steps", "raise or drop it"
    )
    steps = rollout.steps_per_update
    refuse(
        steps >= env.num_envs and steps % env.num_envs == 0,
        f"a positive multiple of env.num_envs = {env.num_envs}",
        steps,
        "rollout.steps_per_update",
        f"use {max(1, round(steps / env.num_envs)) * env.num_envs}",
    )
    refuse(
        rollout.max_new_tokens >= 1, "at least 1 token", rollout.max_new_tokens, "rollout.max_new_tokens", "raise it"
    )
    refuse(rollout.temperature > 0, "a temperature above 0", rollout.temperature, "rollout.temperature", "use 1.0")
    refuse(
        rollout.top_k == 0 or "truncated-sampling" in config.waive,
        "top_k 0: the ratio of truncated sampling is biased",
        rollout.top_k,
        "rollout.top_k",
        "use 0, or waive 'truncated-sampling'",
    )
    refuse(
        config.model.lora_dropout == 0 or "dropout" in config.waive,
        "lora_dropout 0: dropout makes the ratio differ from 1",
        config.model.lora_dropout,
        "model.lora_dropout",
        "use 0, or waive 'dropout' and 'first-ratio'",
    )
    refuse(optim.num_updates >= 1, "at least 1 update", optim.num_updates, "optim.num_updates", "raise it")
    refuse(optim.epochs >= 1, "at least 1 epoch", optim.epochs, "optim.epochs", "raise it")
    refuse(optim.minibatch_steps > 0, "at least 1 step", optim.minibatch_steps, "optim.minibatch_steps", "raise it")
    refuse(optim.microbatch_steps > 0, "at least 1 step", optim.microbatch_steps, "optim.microbatch_steps", "raise it")
    refuse(0 <= algorithm.gamma <= 1, "0 <= gamma <= 1", algorithm.gamma, "algorithm.gamma", "use 0.99")
    refuse(0 <= algorithm.gae_lambda <= 1, "0 <= lambda <= 1", algorithm.gae_lambda, "algorithm.gae_lambda", "use 0.95")
    if env.image_size is not None:
        refuse(min(env.image_size) >= 28, "sides of at least 28 pixels", env.image_size, "env.image_size", "enlarge it")
    last = config.seed + env.num_envs - 1
    overlap = config.seed <= config.eval.seed + config.eval.episodes - 1 and config.eval.seed <= last
    refuse(
        not overlap or config.eval.episodes == 0,
        f"evaluation seeds apart from the training seeds {config.seed}..{last}",
        config.eval.seed,
        "eval.seed",
        "choose a far away number",
    )


def to_yaml(config: TrainConfig) -> str:
    """Return a configuration as YAML that `load_config` reads back."""
    import yaml

    tree = json.loads(json.dumps(dataclasses.asdict(config)))
    return str(yaml.safe_dump(tree, sort_keys=False))
