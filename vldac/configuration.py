"""Reading and writing configurations: recipes, YAML files, dotted overrides; every mistake is a ConfigError."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import importlib.util
import json
import math
import re
import types
import typing
from importlib import resources
from pathlib import Path
from typing import Any

from vldac.config import TrainConfig
from vldac.errors import ConfigError, nearest

MAX_SIDE = 4096
"""Longest side of a rendered picture, in pixels."""


WAIVERS = (
    "value-gradient",
    "policy-gradient",
    "image-ablation",
    "mask",
    "decoder",
    "kernels",
    "first-ratio",
    "dropout",
    "truncated-sampling",
)
"""Self-checks that a run can waive; those of `vldac.audit.CHECKS`."""


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
    """Parse YAML text (safe loader), apply dotted overrides, and check the result. Raises ConfigError."""
    config = read_config(text, where=where, overrides=overrides)
    check_config(config)
    return config


def read_config(text: str, *, where: str, overrides: dict[str, Any] | None = None) -> TrainConfig:
    """Parse YAML text without checking how the settings fit together (flags may still change them)."""
    tree = _load_yaml(text, where)
    for key, value in (overrides or {}).items():
        _assign(tree, key, value)
    config: TrainConfig = _build(TrainConfig, tree, where)
    return config


@functools.cache
def setting_types() -> dict[str, Any]:
    """Return the type of every setting by its dotted name, e.g. {"env.num_envs": int, ...}, in order of declaration."""
    result: dict[str, Any] = {}
    for name, hint in typing.get_type_hints(TrainConfig).items():
        if dataclasses.is_dataclass(hint):
            result |= {f"{name}.{inner}": kind for inner, kind in typing.get_type_hints(hint).items()}
        else:
            result[name] = hint
    return result


def describe_type(hint: Any) -> str:
    """Return what a setting of this type accepts, in words."""
    words = {int: "an integer", float: "a number", str: "text", bool: "true or false", Path: "a path"}
    if hint in words:
        return words[hint]
    arguments = typing.get_args(hint)
    if isinstance(hint, types.UnionType):
        inner = " or ".join(describe_type(part) for part in arguments if part is not types.NoneType)
        return f"{inner}, or null" if types.NoneType in arguments else inner
    if typing.get_origin(hint) is typing.Literal:
        return "one of " + ", ".join(map(str, arguments))
    if typing.get_origin(hint) is dict:
        return "names and numbers"
    if typing.get_origin(hint) is tuple:
        if arguments[-1] is Ellipsis:
            return f"a list, each entry {describe_type(arguments[0])}"
        return f"a list of {len(arguments)}, each entry {describe_type(arguments[0])}"
    return str(getattr(hint, "__name__", hint))


def _load_yaml(text: str, where: str) -> dict[str, Any]:
    """Parse YAML with the safe loader; a key that occurs twice in one mapping is an error, not the last one wins."""
    import yaml

    class Loader(yaml.SafeLoader):
        pass

    def mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[Any, Any]:
        seen: dict[Any, int] = {}
        for key_node, _ in node.value:
            key, line = key_node.value, key_node.start_mark.line + 1
            if isinstance(key, str) and key in seen:
                raise ConfigError(
                    expected="each key once",
                    got=f"{key!r} in line {seen[key]} and in line {line}",
                    where=where,
                    do="remove one of them",
                )
            seen[str(key)] = line
        loader.flatten_mapping(node)
        return loader.construct_mapping(node, deep=True)

    Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, mapping)
    try:
        tree = yaml.load(text, Loader)
    except (yaml.YAMLError, ValueError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(
            expected="valid YAML", got=" ".join(str(error).split()), where=where, do="fix the marked line"
        ) from error
    tree = {} if tree is None else tree
    if not isinstance(tree, dict):
        raise ConfigError(
            expected="a mapping of settings", got=type(tree).__name__, where=where, do="see `vldac recipes quickstart`"
        )
    return tree


def _assign(tree: dict[str, Any], key: str, value: Any) -> None:
    *path, last = key.split(".")
    for part in path:
        if tree.get(part) is None:
            tree[part] = {}
        tree = tree[part]
        if not isinstance(tree, dict):
            return  # `_build` tells that this section is no mapping
    tree[last] = value


def _build(kind: Any, tree: dict[Any, Any], where: str) -> Any:
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
            if not isinstance(value, dict | None):
                raise ConfigError(expected="a mapping", got=repr(value), where=place, do="indent its settings under it")
            values[key] = _build(hint, value or {}, place)
        else:
            values[key] = _convert(hint, value, place)
    return kind(**values)


def _convert(hint: Any, value: Any, where: str) -> Any:
    import msgspec

    accepts_float = hint is float or float in typing.get_args(hint)
    if accepts_float and isinstance(value, str):
        with contextlib.suppress(ValueError):
            value = float(value)  # YAML 1.1 reads 1e-4 as a string
    try:
        return msgspec.convert(value, hint)
    except msgspec.ValidationError as error:
        raise ConfigError(
            expected=describe_type(hint), got=repr(value), where=where, do="write a value of that kind"
        ) from error


def check_config(config: TrainConfig) -> None:
    """Raise ConfigError for settings that cannot work, alone or together."""

    from vldac.envs.prompts import styles

    def refuse(ok: bool, expected: str, got: object, where: str, do: str) -> None:
        if not ok:
            raise ConfigError(expected=expected, got=repr(got), where=where, do=do)

    env, rollout, algorithm, model = config.env, config.rollout, config.algorithm, config.model
    for name, value in _flat(config):
        refuse(
            not isinstance(value, float) or math.isfinite(value), "a finite number", value, name, "write a finite one"
        )
    for name, value in _flat(config):
        if name in _AT_LEAST_ONE and value is not None:
            refuse(value >= 1, _AT_LEAST_ONE[name], value, name, "raise it")
        if name in _POSITIVE:
            refuse(value > 0, _POSITIVE[name], value, name, "raise it")
        if name in _NOT_NEGATIVE and value is not None:
            refuse(value >= 0, "0 or more", value, name, "raise it")
    refuse(min(model.value_hidden, default=1) >= 1, "widths of at least 1", model.value_hidden, "model.value_hidden",
           "raise them")  # fmt: skip
    if model.name == "tiny":
        hidden, vision = config.tiny.hidden_size, config.tiny.vision_dim
        refuse(hidden % 32 == 0, "a multiple of 32 (heads have 32)", hidden, "tiny.hidden_size", "use 128")
        refuse(vision % 24 == 0, "a multiple of 24 (heads have 24)", vision, "tiny.vision_dim", "use 96")
    known = styles(env.id)
    refuse(env.prompt in known, f"one of {', '.join(known)} for {env.id}", env.prompt, "env.prompt", "use 'paper'")
    drawn = env.id.startswith("MiniWorld-") or env.textures == "auto"
    refuse(drawn, f"'auto' for {env.id}, which draws with no textures", env.textures, "env.textures", "remove it")
    steps = rollout.steps_per_update
    refuse(
        steps >= env.num_envs and steps % env.num_envs == 0,
        f"a positive multiple of env.num_envs = {env.num_envs}",
        steps,
        "rollout.steps_per_update",
        f"use {max(1, round(steps / env.num_envs)) * env.num_envs}",
    )
    refuse(
        rollout.mode == "sync" or not env.id.startswith("envpool:"),
        f"sync for {env.id}: EnvPool's environments have no send and recv of some",
        rollout.mode, "rollout.mode", "use sync",
    )  # fmt: skip
    refuse(
        rollout.top_k == 0 or "truncated-sampling" in config.waive,
        "top_k 0: the ratio of truncated sampling is biased",
        rollout.top_k,
        "rollout.top_k",
        "use 0, or waive 'truncated-sampling'",
    )
    refuse(
        config.device != "cpu" or model.attention not in ("flex", "flash"), "a GPU, or auto or sdpa", model.attention,
        "model.attention", "use auto",
    )  # fmt: skip
    if model.attention == "flash":
        _check_flash(config)
    refuse(
        model.lora_dropout == 0 or "dropout" in config.waive,
        "lora_dropout 0: dropout makes the ratio differ from 1",
        model.lora_dropout,
        "model.lora_dropout",
        "use 0, or waive 'dropout' and 'first-ratio'",
    )
    refuse(
        re.fullmatch(r"auto|cpu|cuda(:\d+)?", config.device) is not None,
        "auto, cpu, cuda or cuda:N", config.device, "device", "use auto",
    )  # fmt: skip
    for name in config.waive:
        refuse(name in WAIVERS, f"names of self-checks: {', '.join(WAIVERS)}{nearest(name, WAIVERS)}", name, "waive",
               "correct the name")  # fmt: skip
    share = env.max_fault_frac
    refuse(0 <= share <= 1, "a share between 0 and 1", share, "env.max_fault_frac", "use 0.05")
    refuse(model.lora_dropout < 1, "a dropout below 1", model.lora_dropout, "model.lora_dropout", "use 0")
    refuse(0 <= algorithm.gamma <= 1, "0 <= gamma <= 1", algorithm.gamma, "algorithm.gamma", "use 0.99")
    refuse(0 <= algorithm.gae_lambda <= 1, "0 <= lambda <= 1", algorithm.gae_lambda, "algorithm.gae_lambda", "use 0.95")
    if env.image_size is not None:
        size = env.image_size
        refuse(min(size) >= 28, "sides of at least 28 pixels", size, "env.image_size", "enlarge it")
        refuse(max(size) <= MAX_SIDE, f"sides of at most {MAX_SIDE} pixels", size, "env.image_size", "reduce it")
        refuse(
            max(size) <= 200 * min(size), "an aspect ratio of at most 200", size, "env.image_size", "make it squarer"
        )
    last = config.seed + env.num_envs - 1
    overlap = config.seed <= config.eval.seed + config.eval.episodes - 1 and config.eval.seed <= last
    refuse(
        not overlap or config.eval.episodes == 0,
        f"evaluation seeds apart from the training seeds {config.seed}..{last}",
        config.eval.seed,
        "eval.seed",
        "choose a far away number",
    )


def _check_flash(config: TrainConfig) -> None:
    """Raise ConfigError where FlashAttention cannot run."""
    where = "model.attention = 'flash'"
    if config.model.dtype != "bfloat16":
        raise ConfigError(
            expected="model.dtype bfloat16, which the kernel takes", got=config.model.dtype, where=where,
            do="set model.dtype bfloat16, or model.attention sdpa",
        )  # fmt: skip
    if importlib.util.find_spec("flash_attn") is None:
        raise ConfigError(
            expected="the package flash-attn", got="not installed", where=where,
            do="pip install --no-build-isolation 'vldac[gpu]', or use model.attention sdpa or flex",
        )  # fmt: skip


_AT_LEAST_ONE = {
    "model.lora_rank": "a rank of at least 1",
    "env.num_envs": "at least 1 environment",
    "env.num_images": "at least 1 image",
    "env.max_episode_steps": "a step limit of at least 1",
    "env.num_threads": "at least 1 thread, or null",
    "rollout.max_new_tokens": "at least 1 token",
    "optim.num_updates": "at least 1 update",
    "optim.epochs": "at least 1 epoch",
    "optim.minibatch_steps": "at least 1 step",
    "checkpoint_every": "at least 1 update",
    "tiny.hidden_size": "a width of at least 1",
    "tiny.num_layers": "at least 1 layer",
    "tiny.vision_dim": "a width of at least 1",
    "tiny.vision_depth": "at least 1 layer",
    "tiny.clone_batch": "at least 1 sample",
}
_POSITIVE = {
    "rollout.temperature": "a temperature above 0 (1.0 samples from the policy itself)",
    "algorithm.clip": "a clip radius above 0",
    "optim.max_grad_norm": "a norm limit above 0",
}
_NOT_NEGATIVE = (
    "seed", "num_threads", "keep_checkpoints", "rollout.top_k", "model.lora_dropout", "algorithm.kl_coef",
    "algorithm.value_coef", "algorithm.value_clip", "algorithm.ratio_guard", "optim.lr", "optim.lr_final", "optim.value_lr",
    "optim.value_lr_final", "optim.adam_eps", "optim.warmup_updates", "optim.warmup_cap", "eval.episodes", "eval.seed", "eval.every",
    "tiny.clone_updates", "optim.microbatch_tokens", "optim.microbatch_steps", "trajectories_every", "alarms.stop_after",
    "rollout.admit_envs", "rollout.env_tokens",
)  # fmt: skip


def setting_value(config: TrainConfig, name: str) -> Any:
    """Return the value of a setting by its dotted name."""
    return functools.reduce(getattr, name.split("."), config)


def _flat(config: TrainConfig) -> list[tuple[str, Any]]:
    return [(name, setting_value(config, name)) for name in setting_types()]


def to_yaml(config: TrainConfig) -> str:
    """Return a configuration as YAML that `load_config` reads back."""
    import yaml

    class Dumper(yaml.SafeDumper):
        pass

    def sequence(dumper: yaml.SafeDumper, data: list[Any]) -> yaml.Node:
        return dumper.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=True)

    Dumper.add_representer(list, sequence)
    tree = json.loads(json.dumps(dataclasses.asdict(config)))
    return yaml.dump(tree, Dumper=Dumper, sort_keys=False, default_flow_style=False)
