"""The `vldac` command. User mistakes end with a four-part message and exit code 2."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from vldac.errors import ConfigError, FourPartError


def main(argv: list[str] | None = None) -> int:
    """Run one command and return the exit code."""
    parser = argparse.ArgumentParser(prog="vldac", description="Train vision-language agents with VL-DAC.")
    commands = parser.add_subparsers(dest="command", required=True)
    train = commands.add_parser("train", help="train a recipe or a YAML file; settings as --a.b value")
    train.add_argument("recipe")
    train.add_argument("--run-dir", default="")
    train.add_argument("--model", help="same as --model.name")
    train.add_argument("--env", help="same as --env.id")
    train.add_argument("--num-updates", type=int, help="same as --optim.num_updates")
    for flag in ("resume", "overwrite", "dry-run"):
        train.add_argument(f"--{flag}", action="store_true")
    evaluate = commands.add_parser("eval", help="evaluate a checkpoint on held-out seeds")
    evaluate.add_argument("--checkpoint", required=True, type=Path)
    evaluate.add_argument("--env")
    evaluate.add_argument("--episodes", type=int, default=200)
    evaluate.add_argument("--seed", type=int, default=1_000_000)
    evaluate.add_argument("--json", type=Path)
    evaluate.add_argument("--allow-seed-overlap", action="store_true")
    for name, text in (("view", "write the trajectory page of a run"), ("report", "draw curve and report of a run")):
        commands.add_parser(name, help=text).add_argument("run_dir", type=Path)
    commands.add_parser("envs", help="list the environments")
    commands.add_parser("recipes", help="list the recipes")
    arguments, rest = parser.parse_known_args(argv)
    try:
        return _COMMANDS[arguments.command](arguments, rest)
    except FourPartError as error:
        print(f"vldac: {type(error).__name__}\n{error}", file=sys.stderr)
        return 2


def _overrides(rest: list[str]) -> dict[str, Any]:
    """Read "--a.b value" pairs; values are YAML scalars or lists."""
    import yaml

    if len(rest) % 2 or any(not key.startswith("--") for key in rest[::2]):
        raise ConfigError(
            expected="pairs of --a.b value", got=" ".join(rest), where="command line", do="see vldac train -h"
        )
    return {key[2:]: yaml.safe_load(value) for key, value in zip(rest[::2], rest[1::2], strict=True)}


def _train(arguments: argparse.Namespace, rest: list[str]) -> int:
    from vldac.configuration import load_config, to_yaml

    overrides = _overrides(rest)
    named = {"model.name": arguments.model, "env.id": arguments.env, "optim.num_updates": arguments.num_updates}
    overrides |= {key: value for key, value in named.items() if value is not None}
    config = load_config(arguments.recipe, overrides)
    from vldac.envs import make

    make(config.env.id, 1, task=config.env.task, image_size=config.env.image_size, prompt=config.env.prompt).close()
    if arguments.dry_run:
        print(to_yaml(config))
        return 0
    from vldac.errors import Stopped
    from vldac.run import prepare_run_dir, run
    from vldac.signals import EXIT_STOPPED

    name = Path(arguments.recipe).stem
    folder = Path(arguments.run_dir or f"runs/{name}-{time.strftime('%Y%m%d-%H%M%S')}")
    prepare_run_dir(folder, arguments.resume, arguments.overwrite)
    try:
        run(config, folder, resume=arguments.resume)
    except Stopped:
        return EXIT_STOPPED
    return 0


def _eval(arguments: argparse.Namespace, rest: list[str]) -> int:
    _no_more(rest)
    from vldac.evaluation import evaluate

    result = evaluate(
        arguments.checkpoint, arguments.env, episodes=arguments.episodes, seed=arguments.seed,
        allow_seed_overlap=arguments.allow_seed_overlap,
    )  # fmt: skip
    text = json.dumps(result.as_json(), indent=1)
    print(text)
    if arguments.json:
        arguments.json.write_text(text + "\n", encoding="utf-8")
    return 0


def _envs(_: argparse.Namespace, rest: list[str]) -> int:
    _no_more(rest)
    from vldac.envs import list_ids

    print("\n".join(list_ids()))
    return 0


def _recipes(_: argparse.Namespace, rest: list[str]) -> int:
    _no_more(rest)
    from vldac.configuration import recipe_names, recipe_text

    for name in recipe_names():
        print(recipe_text(name).splitlines()[0].removeprefix("# "))
    return 0


def _view(arguments: argparse.Namespace, rest: list[str]) -> int:
    _no_more(rest)
    from vldac.view import write_view

    print(write_view(arguments.run_dir))
    return 0


def _report(arguments: argparse.Namespace, rest: list[str]) -> int:
    _no_more(rest)
    from vldac.report import write_report

    print("\n".join(str(path) for path in write_report(arguments.run_dir)))
    return 0


def _no_more(rest: list[str]) -> None:
    if rest:
        raise ConfigError(expected="no further arguments", got=" ".join(rest), where="command line", do="see vldac -h")


_COMMANDS = {"train": _train, "eval": _eval, "envs": _envs, "recipes": _recipes, "view": _view, "report": _report}
