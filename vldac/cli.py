"""The `vldac` command: one function per sub-command. User mistakes end with a four-part message and exit code 2.

`vldac --help` and `vldac envs` import neither torch nor transformers.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vldac.errors import CheckpointError, ConfigError, FourPartError, Stopped, nearest

if TYPE_CHECKING:
    from vldac.arguments import TrainArguments
    from vldac.config import TrainConfig

_HELP = """\
usage: vldac COMMAND ...

Train vision-language agents with VL-DAC: token-wise PPO, one value per environment step.

  vldac train quickstart                    the whole thing on two CPU cores, nothing to download
  vldac train paper --env ID --dry-run      check a big run: configuration, parameters, memory

commands
  train RECIPE|FILE.yaml [--a.b value]      train; `vldac train RECIPE --help` lists every setting
  eval --checkpoint DIR                     success rate and return on held-out episodes
  envs                                      list the environments
  envs generate-alfworld --out DIR          write ALFWorld games for the 120 real floor plans
  envs generate-webshop --out DIR           write a WebShop of invented products
  play ENV                                  answer the prompt the model sees
  view RUN                                  write the trajectory page of a run (HTML)
  report RUN                                write the curves and the report of a run
  bench kernels|rollout|train               measure this machine: kernels, steps per second of the rollout, of training
  doctor                                    check this installation
  recipes [NAME]                            list the recipes, or print one

`vldac COMMAND --help` says more; `vldac --version` prints the version.
"""


def main(argv: list[str] | None = None) -> int:
    """Run one command and return the exit code.

    0; 1 if the doctor found a problem; 2 for a mistake in what was asked; 75 for a run that was stopped and saved.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help", "help"):
        print(_HELP, end="", file=sys.stdout if words else sys.stderr)
        return 0 if words else 2
    if words[0] == "--version":
        import vldac

        print(f"vldac {vldac.__version__}")
        return 0
    try:
        if words[0] not in _COMMANDS:
            raise ConfigError(
                expected=f"one of the commands {', '.join(_COMMANDS)}{nearest(words[0], _COMMANDS)}",
                got=repr(words[0]), where="command line", do="see vldac --help",
            )  # fmt: skip
        return _COMMANDS[words[0]](words[1:])
    except FourPartError as error:
        print(f"vldac: {type(error).__name__}\n{error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # e.g. `vldac recipes paper | head`
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 -- nothing is flushed into the closed pipe at exit
        return 0


def _train(argv: Sequence[str]) -> int:
    from vldac.arguments import parse_train

    arguments, config = parse_train(argv)
    _check_resume(arguments)
    from vldac.profiling import parse_window

    profile = None if arguments.profile is None else parse_window(arguments.profile, config.optim.num_updates)
    folder = arguments.run_dir or Path(f"runs/{Path(arguments.recipe).stem}-{time.strftime('%Y%m%d-%H%M%S')}")
    from vldac.estimate import dry_run
    from vldac.preflight import preflight

    if arguments.dry_run:
        print(dry_run(config))
        return 0
    for note in [*_resume_notes(arguments, config, argv), *preflight(config)]:
        print(f"note: {note}")
    from vldac.run import prepare_run_dir, run
    from vldac.signals import EXIT_STOPPED

    _hush_transformers()

    try:
        prepare_run_dir(folder, arguments.resume or arguments.resume_from is not None, arguments.overwrite)
    except OSError as error:
        raise ConfigError(
            expected="a run folder that can be made", got=str(error), where=str(folder), do="choose another --run-dir"
        ) from error
    try:
        run(config, folder, resume=arguments.resume, resume_from=arguments.resume_from, profile=profile)
    except Stopped:
        return EXIT_STOPPED
    return 0


def _check_resume(arguments: TrainArguments) -> None:
    """Refuse combinations that say two things at once."""
    is_resumed = arguments.resume or arguments.resume_from is not None
    if is_resumed and arguments.overwrite:
        raise ConfigError(
            expected="--resume or --overwrite", got="both", where="vldac train", do="remove one: they contradict"
        )
    if arguments.resume and arguments.run_dir is None:
        raise ConfigError(
            expected="--run-dir with --resume", got="--resume alone", where="vldac train",
            do="name the folder of the run to go on with",
        )  # fmt: skip
    if arguments.resume_from is not None and not arguments.resume_from.is_dir():
        raise CheckpointError(
            expected="a checkpoint folder", got="no such folder", where=str(arguments.resume_from),
            do="check the path; a run keeps its checkpoints in <run>/checkpoints",
        )  # fmt: skip


def _resume_notes(arguments: TrainArguments, config: TrainConfig, argv: Sequence[str]) -> list[str]:
    """Say what a resumed run does not take from the command line: it keeps its own configuration but for num_updates."""
    if not (arguments.resume or arguments.resume_from is not None):
        return []
    stored = (arguments.run_dir or Path()) / "config.yaml"
    if arguments.run_dir is None or not stored.is_file():
        return [] if arguments.resume_from else [f"nothing to resume in {arguments.run_dir}: a new run starts there"]
    from vldac.arguments import given_settings
    from vldac.configuration import read_config, setting_value

    kept = read_config(stored.read_text(encoding="utf-8"), where=str(stored))
    names = [name for name in given_settings(argv) if name != "optim.num_updates"]
    return [
        f"--{name} {setting_value(config, name)} is ignored: the resumed run keeps {setting_value(kept, name)} of {stored}"
        for name in names
        if setting_value(config, name) != setting_value(kept, name)
    ]


def _eval(argv: Sequence[str]) -> int:
    from vldac.arguments import EvalArguments, parse

    arguments = parse(EvalArguments, argv, prog="vldac eval")
    if arguments.json:
        _check_writable(arguments.json)
    if arguments.episodes < 1:
        raise ConfigError(expected="at least 1 episode", got=str(arguments.episodes), where="--episodes", do="raise it")
    from vldac.evaluation import evaluate

    _hush_transformers()
    result = evaluate(
        arguments.checkpoint, arguments.env, episodes=arguments.episodes, seed=arguments.seed,
        allow_seed_overlap=arguments.allow_seed_overlap,
    )  # fmt: skip
    _print_json(json.dumps(result.as_json(), indent=1), arguments.json)
    return 0


_OPTIONS_IN_LIST = 8  # environments with more are shown in full one at a time


def _envs(argv: Sequence[str]) -> int:
    if argv[:1] == ["generate-alfworld"]:
        return _generate_alfworld(argv[1:])
    if argv[:1] == ["generate-webshop"]:
        return _generate_webshop(argv[1:])
    from vldac.arguments import EnvsArguments, parse

    chosen = parse(EnvsArguments, argv, prog="vldac envs").env
    from vldac.envs.catalogue import described_options, list_ids, native_spec

    for env_id in [native_spec(chosen).id] if chosen else list_ids():
        spec = native_spec(env_id)
        width, height = spec.image_size
        kind = spec.observation({})
        is_image = kind == "image"
        shown = f"picture  {width}x{height}, any size from 28x28 (env.image_size)" if is_image else "vector   "
        print(f"{env_id}\n    actions  {', '.join(spec.action_names) or 'commands, in words'}")
        print(f"    {shown if is_image else shown + kind}")
        print(f"    steps    {spec.task_episode_steps} (task vldac), {spec.max_episode_steps or 'no limit'} (upstream)")
        options = described_options(spec)
        if chosen is None and len(options) > _OPTIONS_IN_LIST:
            print(f"    options  {len(options)}: vldac envs {env_id}")
            continue
        for option in options:
            print(f"    option   {option}")
    if chosen:
        return 0
    print("\ngymnasium:<id> and envpool:<id> reach everything else (docs/foreign_environments.md).")
    print("Try one yourself: vldac play gym_cards/NumberLine-v0")
    return 0


def _generate_alfworld(argv: Sequence[str]) -> int:
    from vldac.arguments import GenerateAlfworldArguments, parse

    arguments = parse(GenerateAlfworldArguments, argv, prog="vldac envs generate-alfworld")
    from vldac.envs.alfworld.command import run

    run(arguments)
    return 0


def _generate_webshop(argv: Sequence[str]) -> int:
    from vldac.arguments import GenerateWebshopArguments, parse

    arguments = parse(GenerateWebshopArguments, argv, prog="vldac envs generate-webshop")
    from vldac.envs.webshop.command import run

    run(arguments)
    return 0


def _play(argv: Sequence[str]) -> int:
    from vldac.arguments import PlayArguments, parse

    arguments = parse(PlayArguments, argv, prog="vldac play")
    from vldac.play import play

    play(
        arguments.env, seed=arguments.seed, prompt=arguments.prompt, image_size=arguments.image_size, options=arguments.options,
        pictures=arguments.pictures, picture_dir=arguments.picture_dir,
    )  # fmt: skip
    return 0


def _view(argv: Sequence[str]) -> int:
    from vldac.arguments import ViewArguments, parse

    run_dir = _existing_run(parse(ViewArguments, argv, prog="vldac view").run_dir)
    from vldac.view import write_view

    print(write_view(run_dir))
    return 0


def _report(argv: Sequence[str]) -> int:
    from vldac.arguments import ReportArguments, parse

    run_dir = _existing_run(parse(ReportArguments, argv, prog="vldac report").run_dir)
    from vldac.report import write_report

    print("\n".join(str(path) for path in write_report(run_dir)))
    return 0


def _recipes(argv: Sequence[str]) -> int:
    from vldac.arguments import RecipesArguments, parse

    arguments = parse(RecipesArguments, argv, prog="vldac recipes")
    from vldac.configuration import recipe_names, recipe_text

    if arguments.name is not None:
        print(recipe_text(arguments.name), end="")
        return 0
    for name in recipe_names():
        print(recipe_text(name).splitlines()[0].removeprefix("# "))
    print("\nTo start from one: vldac recipes quickstart > mine.yaml, edit it, vldac train mine.yaml")
    return 0


def _bench(argv: Sequence[str]) -> int:
    from vldac.bench import bench, parse_bench

    arguments = parse_bench(argv)
    if arguments.json:
        _check_writable(arguments.json)
    row = bench(arguments)
    if arguments.json:
        _write(arguments.json, json.dumps(row, indent=1))
    return 0


def _doctor(argv: Sequence[str]) -> int:
    from vldac.arguments import DoctorArguments, parse

    arguments = parse(DoctorArguments, argv, prog="vldac doctor")
    if arguments.json:
        _check_writable(arguments.json)
    from vldac.doctor import examine

    findings = examine()
    print(findings.as_text())
    if arguments.json:
        _write(arguments.json, json.dumps(findings.as_json(), indent=1))
    return 1 if findings.problems else 0


def _hush_transformers() -> None:
    """Loading bars would tear the live table and fill logs; the table says that the model is being loaded."""
    from transformers.utils import logging

    logging.disable_progress_bar()


def _existing_run(folder: Path) -> Path:
    if not folder.is_dir():
        raise ConfigError(
            expected="the folder of a run", got="no such folder", where=str(folder), do="check the path; see runs/"
        )
    return folder


def _check_writable(path: Path) -> None:
    """Refuse before the work what could not be written after it."""
    if not path.parent.is_dir() or path.is_dir():
        raise ConfigError(
            expected="a file in a folder that exists", got=str(path), where="--json", do="create the folder first"
        )


def _print_json(text: str, path: Path | None) -> None:
    print(text)
    if path:
        _write(path, text)


def _write(path: Path, text: str) -> None:
    """Write a text file through a temporary name, so that a reader never sees half of it."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(text + "\n", encoding="utf-8")
    temporary.replace(path)


_COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "train": _train, "eval": _eval, "envs": _envs, "play": _play, "view": _view, "report": _report, "doctor": _doctor,
    "recipes": _recipes, "bench": _bench,
}  # fmt: skip
