"""The arguments of every command, as frozen dataclasses that tyro turns into flags, help and values.

The settings of `train` are `vldac.config.TrainConfig` itself: types, help and names are written there once, and the defaults
shown are those of the chosen recipe. tyro parses; what it refuses is told as a four-part message with the nearest flag.
Nothing here imports torch.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import re
import typing
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import tyro

from vldac.config import TrainConfig
from vldac.configuration import check_config, describe_type, read_config, recipe_names, recipe_text, setting_types
from vldac.errors import ConfigError, nearest

Kind = TypeVar("Kind")
Switch = tyro.conf.FlagCreatePairsOff[bool]
"""A flag without a value: off unless given."""


@dataclass(frozen=True, kw_only=True)
class TrainArguments:
    """Train a model in an environment, from a recipe or a YAML file; every setting can be changed by its flag.

    Later wins: library defaults, then the recipe or file, then flags. Values are written as in YAML or as separate words:
    --env.image_size 84 84, --env.image_size [84,84] and --env.image-size null all work.
    """

    recipe: tyro.conf.Positional[str]
    """Name of a recipe (see `vldac recipes`), or a .yaml file."""
    model: str | None = None
    """Same as --model.name."""
    env: str | None = None
    """Same as --env.id."""
    num_updates: int | None = None
    """Same as --optim.num-updates: the total, also when resuming."""
    run_dir: Path | None = None
    """Folder of the run; null is runs/<recipe>-<time>. One that exists is refused unless resumed or overwritten."""
    resume: Switch = False
    """Go on from the newest checkpoint of --run-dir."""
    resume_from: Path | None = None
    """Go on from this checkpoint folder instead of the newest one."""
    overwrite: Switch = False
    """Remove the run folder first."""
    dry_run: Switch = False
    """Check everything, print the configuration, parameter counts and a memory estimate; write nothing."""
    profile: str | None = None
    """Updates A:B (first and last, from 1) to profile: a Perfetto trace of each, and Nsight's window (docs/profiling.md)."""
    settings: Annotated[TrainConfig, tyro.conf.arg(name=""), tyro.conf.FlagConversionOff] = field(
        default_factory=TrainConfig
    )


@dataclass(frozen=True, kw_only=True)
class EvalArguments:
    """Evaluate a checkpoint on held-out episodes: success rate with its 95 % interval, and mean return."""

    checkpoint: Path
    """Checkpoint folder, e.g. runs/<run>/checkpoints/last."""
    env: str | None = None
    """Environment id; null is the one it was trained on."""
    episodes: int = 200
    """Episodes to play; episode i has seed `seed` + i."""
    seed: int = 1_000_000
    """First seed. Seeds that the checkpoint was trained on are refused."""
    json: Path | None = None
    """Also write the result to this file."""
    allow_seed_overlap: Switch = False
    """Evaluate on training seeds all the same."""


@dataclass(frozen=True, kw_only=True)
class PlayArguments:
    """You are the policy: read the prompt the model would see, look at the picture, type a response."""

    env: tyro.conf.Positional[str]
    """Environment id (see `vldac envs`)."""
    seed: int = 0
    """Seed of the first episode."""
    prompt: Literal["paper", "short", "text", "compat", "v1", "v2", "v3"] = "paper"
    """Prompt template; v1 to v3 are MiniWorld's, text ALFWorld's and WebShop's, compat WebShop's."""
    options: dict[str, float | str] = field(default_factory=dict)
    """The environment's own options, names and values in turn (data generated); `vldac envs` lists them."""
    image_size: tuple[int, int] | None = None
    """(width, height) in pixels; null is the environment's own size."""
    pictures: Literal["auto", "png", "terminal"] = "auto"
    """Where pictures go: PNG files, or half-block characters in the terminal; auto is the terminal if it has colours."""
    picture_dir: Path | None = None
    """Folder of the PNG files; null is a new temporary folder."""


@dataclass(frozen=True, kw_only=True)
class ViewArguments:
    """Write the trajectory page of a run: one HTML file with every picture, prompt, response and advantage."""

    run_dir: tyro.conf.Positional[Path]
    """Folder of the run."""


@dataclass(frozen=True, kw_only=True)
class ReportArguments:
    """Draw the curves of a run and write its report."""

    run_dir: tyro.conf.Positional[Path]
    """Folder of the run."""


@dataclass(frozen=True, kw_only=True)
class EnvsArguments:
    """List the environments: id, actions, step limits, picture, options."""

    env: tyro.conf.Positional[str | None] = None
    """One environment alone, with all its options."""


@dataclass(frozen=True, kw_only=True)
class GenerateAlfworldArguments:
    """Write ALFWorld games for the 120 real floor plans, each with a plan that wins it; upstream's loaders read them too.

    They go below --out as json_2.1.1/<split>/<task>-<object>-None-<receptacle>-<scene>/trial_<id>/, as released games do.
    """

    out: Path
    """Folder of the data, to be used as data=DIR or ALFWORLD_DATA. Games of the split that are there are refused."""
    num: int = 1000
    """Games to write."""
    split: Literal["train", "valid_seen", "valid_unseen"] = "train"
    """train and valid_seen share floor plans and no goal; valid_unseen has the first six floor plans of each room."""
    seed: int = 0
    """Game i depends on the seed, the split and i alone."""
    tasks: tuple[str, ...] = ("pick", "look", "clean", "heat", "cool", "pick_two")
    """Tasks by short or full name; they take turns."""
    rooms: tuple[str, ...] = ("Kitchen", "LivingRoom", "Bedroom", "Bathroom")
    """Kinds of rooms."""
    difficulty: Literal["full", "small"] = "full"
    """full: whole floor plans, things behind doors. small: four to six receptacles, few objects, all of them in view."""
    num_objects: tuple[int, int] | None = None
    """Fewest and most objects; null is as many as released games have, and 3 to 6 in small rooms."""
    num_receptacles: tuple[int, int] | None = None
    """Fewest and most receptacles; null is all of the floor plan, and 4 to 6 in small rooms."""
    max_plan_length: int = 50
    """Steps in which the expert must win."""
    min_plan_length: int = 1
    """Steps that the expert must need at least."""
    wording: Literal["new", "old"] = "new"
    """new: "move X to Y", as games since 0.4.0. old: "put X in/on Y", and no help command."""
    overwrite: Switch = False
    """Replace games of this split that the generator wrote there; nothing else is ever removed."""


@dataclass(frozen=True, kw_only=True)
class GenerateWebshopArguments:
    """Write a WebShop of invented products: upstream's three files, which its own loader reads too.

    items_shuffle.json (products), items_ins_v2.json (attributes, machine-written instructions), items_human_ins.json
    (instructions in the manner of upstream's annotators).
    """

    out: Path
    """Folder of the files, to be used as data=DIR. Files that are there are refused."""
    num: int = 1000
    """Products to write; product i depends on the seed and i alone."""
    seed: int = 0
    """Another seed gives other products."""
    goals: Literal["full", "short"] = "full"
    """full: instructions of a sentence or two. short: up to 24 plain things in four colors, goals of a few words."""
    overwrite: Switch = False
    """Replace these three files; nothing else is ever removed."""


@dataclass(frozen=True, kw_only=True)
class RecipesArguments:
    """List the recipes, or print one."""

    name: tyro.conf.Positional[str | None] = None
    """Recipe to print as YAML."""


@dataclass(frozen=True, kw_only=True)
class DoctorArguments:
    """Check this installation: versions, processor, native core, GPU, optional packages, and one environment step."""

    json: Path | None = None
    """Also write the findings to this file."""


@dataclass(frozen=True, kw_only=True)
class BenchArguments:
    """Measure this machine: both sides of every comparison in turn. Benchmarks: kernels (on the CPU), and rollout and train, which
    have flags of their own (`vldac bench train --help`)."""

    name: tyro.conf.Positional[str]
    """What to measure: kernels, rollout or train."""
    json: Path | None = None
    """Also write the row (times, errors, versions, commit, device) to this file."""
    threads: int = 1
    """Threads of torch's pool."""
    rounds: int = 20
    """Rounds of every measurement; each calls every side once. Slow ones get fewer, as the row tells."""
    quick: Switch = False
    """Toy sizes: shows that everything runs and is right, not how fast it is."""


def parse(kind: type[Kind], argv: Sequence[str], *, prog: str, default: Kind | None = None) -> Kind:
    """Return the arguments of a command. Raises ConfigError for what does not parse; --help prints and exits with 0."""
    tokens = yaml_tokens(argv)
    start = _with_required(kind, tyro.MISSING) if default is None else default
    if {"-h", "--help"} & set(tokens):
        tyro.cli(kind, args=["--help"], default=start, prog=prog)
    # return_unknown_args keeps tyro from exiting on unknown flags; other refusals end in SystemExit.
    with contextlib.redirect_stderr(io.StringIO()):
        try:
            value, unknown = tyro.cli(kind, args=tokens, default=start, prog=prog, return_unknown_args=True)
        except SystemExit:
            value, unknown = None, []
    if value is None or unknown:
        raise _refusal(kind, tokens, unknown, prog)
    return value


def parse_train(argv: Sequence[str]) -> tuple[TrainArguments, TrainConfig]:
    """Return the arguments of `train` and the checked configuration: defaults < recipe or file < flags."""
    recipe, rest = _split_recipe(argv)
    prog = "vldac train"
    if recipe is None:
        if {"-h", "--help"} & set(argv):
            parse(TrainArguments, ["--help"], prog=prog)
        raise ConfigError(
            expected=f"a recipe ({', '.join(recipe_names())}) or a .yaml file as first argument",
            got=" ".join(argv) or "none",
            where=prog,
            do="for a first run: vldac train quickstart",
        )
    base = read_config(recipe_text(recipe), where=recipe)
    # tyro turns a dictionary's own keys into flags; here --env.options always takes names and values, which come last.
    bare = dataclasses.replace(
        base, env=dataclasses.replace(base.env, options={}), eval=dataclasses.replace(base.eval, options={})
    )
    default = TrainArguments(recipe=recipe, settings=bare)
    arguments = parse(TrainArguments, [recipe, *rest], prog=prog, default=default)
    config = _apply_named(arguments, rest)
    env = dataclasses.replace(config.env, options=base.env.options | config.env.options)
    held_out = dataclasses.replace(config.eval, options=base.eval.options | config.eval.options)
    config = dataclasses.replace(config, env=env, eval=held_out)
    check_config(config)
    return arguments, config


def yaml_tokens(argv: Sequence[str]) -> list[str]:
    """Return the arguments with YAML spellings of values as tyro wants them: [84,84], null, true, --a.b=c."""
    tokens: list[str] = []
    for word in argv:
        name, is_joined, value = word.partition("=") if re.match(r"--[\w.-]+=", word) else (word, "", "")
        if is_joined:
            tokens += [name, *_yaml_value(value)]
        else:
            tokens += [word] if word.startswith("--") else _yaml_value(word)
    return tokens


def _yaml_value(word: str) -> list[str]:
    plain = {"null": "None", "~": "None", "true": "True", "false": "False"}
    if re.fullmatch(r"\[.*\]", word):
        return [plain.get(part, part) for part in re.split(r"[,\s]+", word[1:-1].strip()) if part]
    return [plain.get(word, word)]


def _split_recipe(argv: Sequence[str]) -> tuple[str | None, list[str]]:
    """Return the recipe and the other arguments; it comes first, or stands anywhere if it cannot be a flag's value."""
    takes_value = {"--model", "--env", "--num-updates", "--num_updates", "--run-dir", "--run_dir", "--resume-from",
                   "--resume_from", "--profile"}  # fmt: skip
    known = recipe_names()
    for index, word in enumerate(argv):
        is_first = index == 0 and not word.startswith("-")
        follows_flag = index > 0 and argv[index - 1] in takes_value
        if is_first or (not follows_flag and (word in known or word.endswith((".yaml", ".yml")))):
            return word, [*argv[:index], *argv[index + 1 :]]
    return None, list(argv)


def _apply_named(arguments: TrainArguments, rest: Sequence[str]) -> TrainConfig:
    """Return the settings with --model, --env and --num-updates in their places; both spellings at once are refused."""
    config = arguments.settings
    named = {
        "model": ("model", "name", arguments.model),
        "env": ("env", "id", arguments.env),
        "num_updates": ("optim", "num_updates", arguments.num_updates),
    }
    given = _flags(rest)
    for short, (section, key, value) in named.items():
        if value is None:
            continue
        if f"{section}.{key}" in given:
            raise ConfigError(
                expected=f"--{short.replace('_', '-')} or --{section}.{key}, which are the same setting",
                got="both",
                where="vldac train",
                do="remove one of them",
            )
        inner = dataclasses.replace(getattr(config, section), **{key: value})
        config = dataclasses.replace(config, **{section: inner})
    return config


def given_settings(argv: Sequence[str]) -> list[str]:
    """Return the dotted names of the settings that the arguments of `train` name, each once."""
    named = {"model": "model.name", "env": "env.id", "num_updates": "optim.num_updates"}
    return [name for name in dict.fromkeys(named.get(flag, flag) for flag in _flags(argv)) if name in setting_types()]


def _flags(argv: Sequence[str]) -> list[str]:
    return [_plain(word.partition("=")[0]) for word in argv if word.startswith("--")]


def _plain(flag: str) -> str:
    return flag.lstrip("-").replace("-", "_")


def flag_types(kind: type[Any]) -> dict[str, Any]:
    """Return the type of every flag of a command by its name with underscores, dotted for settings."""
    result: dict[str, Any] = {}
    for name, hint in typing.get_type_hints(kind).items():
        if hint is TrainConfig:
            result |= setting_types()
        else:
            result[name] = hint
    return result


def _with_required(kind: type[Kind], value: Any) -> Kind:
    required = [f.name for f in dataclasses.fields(kind) if _is_required(f)]  # type: ignore[arg-type]
    return kind(**dict.fromkeys(required, value))


def _is_required(f: dataclasses.Field[Any]) -> bool:
    return f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING


def _refusal(kind: type[Any], tokens: list[str], unknown: Sequence[str], prog: str) -> ConfigError:
    """Say in four parts what tyro refused: an unknown flag, a value of another type, or an argument that is missing."""
    hints = flag_types(kind)
    do = f"see {prog} --help"
    for word in unknown:
        if word.startswith("-"):
            return ConfigError(
                expected=f"a flag of {prog}{_nearest_flag(word, hints)}", got=word, where="command line", do=do
            )
    groups, lone = _groups(tokens)
    for flag, values in groups:
        hint = hints.get(_plain(flag))
        if hint is None:
            return ConfigError(
                expected=f"a flag of {prog}{_nearest_flag(flag, hints)}", got=flag, where="command line", do=do
            )
        if not _parses_alone(kind, [flag, *values]):
            got = repr(" ".join(values)) if values else "no value"
            return ConfigError(
                expected=describe_type(hint), got=got, where=flag, do=f"for example {flag} {_example(flag, hint)}"
            )
    missing = [f.name for f in dataclasses.fields(kind) if _is_required(f)]
    positional = [name for name in missing if name in ("recipe", "env", "run_dir", "name")]
    absent = [n for n in missing if n not in {_plain(flag) for flag, _ in groups} and not (n in positional and lone)]
    if absent:
        name = absent[0] if absent[0] in positional else f"--{absent[0]}"
        return ConfigError(expected=f"the argument {name}", got=" ".join(tokens) or "nothing", where=prog, do=do)
    return ConfigError(
        expected=f"no further arguments for {prog}", got=" ".join(unknown or tokens), where="command line", do=do
    )


def _groups(tokens: Sequence[str]) -> tuple[list[tuple[str, list[str]]], list[str]]:
    """Split tokens into (flag, its values), and the words before the first flag."""
    groups: list[tuple[str, list[str]]] = []
    lone: list[str] = []
    for word in tokens:
        if word.startswith("--"):
            groups.append((word, []))
        elif groups:
            groups[-1][1].append(word)
        else:
            lone.append(word)
    return groups, lone


def _parses_alone(kind: type[Any], tokens: list[str]) -> bool:
    with contextlib.redirect_stderr(io.StringIO()):
        try:
            _, unknown = tyro.cli(kind, args=tokens, default=_with_required(kind, "x"), return_unknown_args=True)
        except SystemExit:
            return False
    return not unknown


def _nearest_flag(word: str, hints: dict[str, Any]) -> str:
    """Suggest the nearest flag: by its whole name, or by its last part alone (e.g. --optim.lr for --lr)."""
    plain = _plain(word.partition("=")[0])
    section, _, last = plain.rpartition(".")
    same_last = [name for name in hints if name.rpartition(".")[2] == last]
    inside = [name.rpartition(".")[2] for name in hints if name.rpartition(".")[0] == section]
    if same_last:
        return f", did you mean '--{same_last[0]}'?"
    if section and inside:
        return nearest(last, inside).replace("'", f"'--{section}.", 1)
    return nearest(plain, hints).replace("'", "'--", 1)


def _example(flag: str, hint: Any) -> str:
    if _plain(flag).endswith("image_size"):
        return "84 84"
    arguments = [part for part in typing.get_args(hint) if part is not type(None)]
    if typing.get_origin(hint) is Literal:
        return str(arguments[0])
    if arguments:
        return _example(flag, arguments[0])
    return {int: "8", float: "0.1", bool: "true", Path: "PATH"}.get(hint, "TEXT")
