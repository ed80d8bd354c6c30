"""Native environments as a `gymnasium.vector.VectorEnv`: a pool of C++ threads behind NumPy views."""

from __future__ import annotations

import contextlib
import functools
import itertools
import math
import string
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from vldac.envs.catalogue import native_spec
from vldac.envs.file_worlds import Played
from vldac.envs.info import BatchInfo
from vldac.envs.prompts import messages, template
from vldac.envs.text_steps import TextSteps

from vldac import _core
from vldac.errors import EnvError, EnvHangError
from vldac.vision import ImageSpec, PatchFormat, patch_emitter

PATCH_DTYPES: dict[str, PatchFormat] = {
    "patches": "float32",
    "patches_bf16": "bfloat16",
    "patches_u8": "uint8",
}
"""Image formats that a vision tower takes, by the dtype of their patches."""
MAX_COMMAND_BYTES = 65536
MAX_TEXT_BYTES = 65536
"""Longest command that is taken and longest text that is given, for Gymnasium's spaces (which count characters)."""
Step = tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]


@dataclass(frozen=True, kw_only=True, slots=True)
class NativeConfig:
    """Arguments of `vldac.envs.make`, checked and complete."""

    env_id: str
    num_envs: int
    seed: int
    num_threads: int
    batch_size: int
    order: str
    autoreset_mode: AutoresetMode
    rng: str
    task: str | None
    prompt: str
    image_size: tuple[int, int]
    """(width, height) in pixels"""
    max_episode_steps: int
    """0: no limit"""
    step_timeout: float
    """seconds"""
    max_ring_bytes: int
    may_caller_step: bool
    image_format: str = "hwc"
    image_spec: ImageSpec | None = None
    options: dict[str, float] = field(default_factory=dict)
    textures: str | None = None
    """full name of the set of textures and meshes; None: it draws with none"""
    failure_reward: float = math.nan
    """NaN: the environment's own rewards"""
    render_mode: str | None = None
    view: str = "agent"
    """what `render` shows: "agent" or "top" """
    window_size: tuple[int, int] | None = None
    """(width, height) of `render`; None: image_size"""
    panel: Played | None = None
    """what its files hold (ALFWorld's `panel.Panel`, WebShop's `shop.Shop`); None: it has none"""


class NativeVectorEnv(TextSteps, VectorEnv):
    """A pool of one native environment.

    Observations: {"image": [B, height, width, 3] uint8}; with a patch format {"pixel_values": [B, rows, columns]}, whose
    `reshape(-1, columns)` is what the model takes, `image_grid` for each picture; a plain array [B, size] where there is no
    picture. Text environments add "text", a list of B strings, and info["admissible_commands"], a list of strings each; their actions
    are commands. They are views of the pool's memory, which is not used again while one of them lives; copy what you want to keep
    (docs/environments.md). `step` and `reset` handle all E environments in order; `send` and `recv` batches of `batch_size`.
    """

    def __init__(self, config: NativeConfig) -> None:
        spec = native_spec(config.env_id)
        self.config = config
        self.env_id, self.num_envs, self.batch_size = config.env_id, config.num_envs, config.batch_size
        self.is_text: bool = spec.is_text
        """Whether actions are commands (strings), and observations have a text."""
        self.action_names: list[str] = spec.actions(config.options)
        """Names of the actions; none where they are commands, see `commands`."""
        self.response_fields = tuple(spec.fields)
        width, height = config.image_size
        emitter = _emitter(config)
        self.image_grid: tuple[int, int, int] | None = emitter.grid if emitter else None
        """(t, h, w) patches of one picture, with the patch formats"""
        with _translated(f"make({config.env_id!r})"):
            self._pool = _core.Pool(
                config.env_id, config.options, config.num_envs, config.num_threads, config.batch_size, width, height,
                config.autoreset_mode.value, config.rng == "stream", config.order == "ready", config.max_episode_steps,
                config.step_timeout, config.max_ring_bytes, config.may_caller_step,
                template(config.env_id, config.prompt, self.action_names), emitter, config.failure_reward,
            )  # fmt: skip
        self.has_map = self._pool.has_map()
        """Whether there are poses, maps and depths: worlds in space, such as MiniWorld."""
        self.render_mode = config.render_mode
        self.textures = config.textures
        """The set of textures and meshes that pictures are drawn with, None where there are none."""
        self.panel = config.panel
        """The games or the shop that is played, None where there are no files."""
        self._is_same_step = config.autoreset_mode is AutoresetMode.SAME_STEP
        self._key = ("pixel_values" if emitter else "image") if spec.observation(config.options) == "image" else None
        modes = ["rgb_array"] if self._key else []
        self.metadata = {"autoreset_mode": config.autoreset_mode, "render_modes": modes}
        self.single_action_space = (
            _text_space(MAX_COMMAND_BYTES) if self.is_text else gym.spaces.Discrete(len(self.action_names))
        )
        self._shown = {name: int(config.options.get(name, _initial(spec, name))) for name, _ in spec.shown_options}
        self.single_observation_space = _observation_space(spec, config, emitter)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self._is_reset = False
        self._received: np.ndarray = np.arange(self.num_envs)

    @property
    def image_size(self) -> tuple[int, int]:
        """(width, height) in pixels. Raises EnvError where there is no picture, which a model could not play."""
        if self._key is None:
            raise EnvError(
                expected="an environment with pictures", got=f"{self.env_id}, whose observations have none",
                where="image_size", do="choose another environment, or play it from Python",
            )  # fmt: skip
        return self.config.image_size

    @functools.cached_property
    def observation_space(self) -> gym.Space[Any]:  # type: ignore[override]
        """Space of E observations; made when asked for, since Gymnasium's bounds are four bytes per pixel and environment."""
        return batch_space(self.single_observation_space, self.num_envs)

    # -- Gymnasium --------------------------------------------------------------------------------------------------

    def reset(
        self, *, seed: int | Sequence[int] | np.ndarray | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Seed environment i with seed + i (or seed[i]) and start episode 0; without a seed start the next episode.

        options={"reset_mask": [E] bool} resets some and leaves the others as they are. Everything in flight is dropped.
        """
        mask = self._mask(options or {})
        if seed is None and not self._is_reset:
            seed = self.config.seed
        if seed is None:
            seeds: list[int] = []
        elif isinstance(seed, Sequence | np.ndarray):
            seeds = [int(s) for s in seed]
        else:
            seeds = [int(seed) + i for i in range(self.num_envs)]
        if len(seeds) not in (0, self.num_envs) or any(not 0 <= s < 2**64 for s in seeds):
            raise EnvError(
                expected=f"a seed, or {self.num_envs} of them, in 0..2^64 - 1",
                got=repr(seed),
                where="reset",
                do="use other seeds",
            )
        with _translated("reset"):
            if not self._is_reset and len(mask):
                self._pool.reset(np.array(seeds, np.uint64), np.empty(0, np.uint8))
            batch = self._pool.reset(np.array(seeds, np.uint64), mask)
        self._is_reset = True
        self._received = np.arange(self.num_envs)
        return self._observation(batch), self._info(batch)

    def step(self, actions: np.ndarray | Sequence[str]) -> Step:
        """Step every environment with actions [E]; returns (obs, reward float64, terminated, truncated bool, info).

        Text environments take E commands, of any text: one that is not admissible does what the environment's rules say.
        """
        try:
            batch = self._pool.step_commands(actions) if self.is_text else self._pool.step(actions)  # type: ignore[arg-type]
        except Exception as error:
            raise self._error(error, actions) from error
        return self._result(batch)

    def close_extras(self, **_: Any) -> None:
        """Stop the threads. Arrays that were handed out stay valid."""
        self._pool.close()

    # -- batches ----------------------------------------------------------------------------------------------------

    def send(self, actions: np.ndarray | Sequence[str], env_ids: np.ndarray | None = None) -> None:
        """Start steps: actions (or commands) [R] of environments env_ids [R] (default: those of the batch received last)."""
        ids = self._received if env_ids is None else env_ids
        try:
            if self.is_text:
                self._pool.send_commands(actions, ids)  # type: ignore[arg-type]
            else:
                self._pool.send(actions, ids)  # type: ignore[arg-type]
        except Exception as error:
            raise self._error(error, actions) from error

    def recv(self, timeout: float | None = None) -> Step:
        """Wait for a batch of `batch_size` environments; info["env_id"] says which.

        Raises TimeoutError after `timeout` seconds; nothing is lost, the batch can be waited for again.
        """
        with _translated("recv"):
            batch = self._pool.recv(-1.0 if timeout is None else max(0.0, timeout))
        self._received = batch.env_id
        return self._result(batch)

    def _text_seed(self) -> int:
        return self.config.seed

    def _text_counters(self) -> np.ndarray:
        return self.frame_ids() // self.num_envs

    # -- for vision-language models ---------------------------------------------------------------------------------

    def prompts(self, env_ids: np.ndarray | None = None) -> list[list[dict[str, Any]]]:
        """Chat messages per environment (default: all), with one image item where the observation is a picture.

        Those that are asked for must not be in flight; the others may.
        """
        text, offsets = self.prompt_bytes(env_ids)
        data = text.tobytes()
        return [messages(data[a:b].decode(), self._key is not None) for a, b in itertools.pairwise(offsets.tolist())]

    def prompt_bytes(self, env_ids: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """The prompts' texts as one UTF-8 buffer [bytes] uint8 and where each begins [R + 1] int64."""
        with _translated("prompts"):
            return self._pool.prompts(np.arange(self.num_envs) if env_ids is None else env_ids)

    def facts(self) -> list[dict[str, Any]]:
        """What is truly on each observation."""
        with _translated("facts"):
            return self._pool.facts()

    def commands(self, env_ids: np.ndarray | None = None) -> list[list[str]]:
        """The admissible commands of text environments now, per environment; those asked for must not be in flight.

        A command with "<words>" in it stands for all that have other words there.
        """
        self._need_text("commands")
        with _translated("commands"):
            return self._pool.commands(self._ids(env_ids))

    def random_words(self, env_ids: np.ndarray | None = None) -> list[str]:
        """Texts to take words from for a command with "<words>", per environment, for those who play at random."""
        self._need_text("random_words")
        with _translated("random_words"):
            return self._pool.words(self._ids(env_ids))

    def locate(self, commands: Sequence[str], env_ids: np.ndarray | None = None) -> np.ndarray:
        """Where commands point to on the present pictures: [R, 4] int64 (x, y, width, height) pixels, -1 where nowhere.

        WebShop's point to what they click.
        """
        self._need_text("locate")
        with _translated("locate"):
            return self._pool.locate(self._ids(env_ids), commands, *self.image_size)

    def oracle_commands(self) -> list[str]:
        """Commands of a scripted expert, one per text environment. Raises EnvError where it has none, or knows no way on."""
        self._need_text("oracle_commands")
        with _translated("oracle_commands"):
            commands = self._pool.oracle_commands()
        known = [command for command in commands if command is not None]
        if len(known) < len(commands):
            raise EnvError(
                expected="an environment with a scripted expert that knows the way", got=f"none in {commands.index(None)}",
                where="oracle_commands", do="reset that environment, or leave out games that cannot be won",
            )  # fmt: skip
        return known

    def oracle_actions(self) -> np.ndarray:
        """Actions of a scripted expert, [E] int64. Raises EnvError where the environment has none."""
        with _translated("oracle_actions"):
            actions = self._pool.oracle_actions()
        if (actions < 0).any():
            raise EnvError(
                expected="an environment with a scripted expert",
                got=self.env_id,
                where="oracle_actions",
                do="choose another",
            )
        return actions

    def observe(self) -> Any:
        """The current observation of all environments, drawn anew."""
        with _translated("observe"):
            return self._observation(self._pool.observe())

    def frame_ids(self) -> np.ndarray:
        """Ids of the present observations, [E] int64: never used twice, so that what was computed for a frame can be kept."""
        with _translated("frame_ids"):
            return self._pool.frame_ids()

    def episode_ids(self) -> np.ndarray:
        """Numbers of the running episodes, [E] int64; (seed, environment, episode) replays one alone."""
        with _translated("episode_ids"):
            return self._pool.episode_ids()

    # -- for people -------------------------------------------------------------------------------------------------

    def pictures(self, width: int, height: int, env_ids: np.ndarray | None = None) -> np.ndarray:
        """What the agents see now, drawn anew at another size: [R, height, width, 3] uint8."""
        _ = self.image_size  # an error where there are none
        with _translated("pictures"):
            return self._pool.pictures(self._ids(env_ids), width, height)

    def poses(self, env_ids: np.ndarray | None = None) -> np.ndarray:
        """Where the agents are, [R, 3] float64: x and z in metres, heading in radians (facing (cos a, 0, -sin a))."""
        self._need_map("poses")
        with _translated("poses"):
            return self._pool.poses(self._ids(env_ids))

    def map_view(self, width: int, height: int, env_ids: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """The worlds from above: pictures [R, height, width, 3] uint8, and where their pixels lie [R, 4] float64.

        A point (x, z) is at column (x - min_x) * scale_x and row (z - min_z) * scale_z of (min_x, min_z, scale_x, scale_z).
        """
        self._need_map("map_view")
        with _translated("map_view"):
            return self._pool.maps(self._ids(env_ids), width, height)

    def depth(
        self, width: int | None = None, height: int | None = None, env_ids: np.ndarray | None = None
    ) -> np.ndarray:
        """Distances along the view, [R, height, width, 1] float32 metres, at the observation's size unless told."""
        self._need_map("depth")
        own = self.image_size
        with _translated("depth"):
            return self._pool.depths(self._ids(env_ids), width or own[0], height or own[1])

    def render(self) -> tuple[np.ndarray, ...] | None:
        """With render_mode="rgb_array": a picture [height, width, 3] uint8 of every environment."""
        if self.render_mode is None:
            return None
        width, height = self.config.window_size or self.image_size
        return tuple(self.map_view(width, height)[0] if self.config.view == "top" else self.pictures(width, height))

    def _ids(self, env_ids: np.ndarray | None) -> np.ndarray:
        return np.arange(self.num_envs) if env_ids is None else np.asarray(env_ids)

    def _need_text(self, where: str) -> None:
        if not self.is_text:
            raise EnvError(
                expected="a text environment, such as ALFWorld", got=self.env_id, where=where, do="choose another"
            )

    def _need_map(self, where: str) -> None:
        if not self.has_map:
            raise EnvError(
                expected="an environment with a map, such as MiniWorld",
                got=self.env_id,
                where=where,
                do="choose another",
            )

    # -- state ------------------------------------------------------------------------------------------------------

    @property
    def ring(self) -> dict[str, int]:
        """Gauge of the batch memory: batches made, batches held by views, bytes, and the cap max_bytes."""
        return self._pool.gauge

    @property
    def fault_count(self) -> int:
        """Faults since the environments were made (or as the restored state says)."""
        with _translated("fault_count"):
            return self._pool.fault_count()

    def left_out(self) -> list[tuple[str, str]]:
        """What the files hold and is not played, and why: games or rows left out from the start, and games met since."""
        if self.panel is None:
            return []
        games = self.config.options.get("panel")
        return [*self.panel.left_out, *([] if games is None else _core.alfworld_left_out(int(games)))]

    def get_state(self) -> bytes:
        """Every environment's state and random stream; `set_state` restores it bit for bit. Nothing may be in flight."""
        with _translated("get_state"):
            return self._pool.save()

    def set_state(self, state: bytes) -> None:
        """Restore `get_state`, wholly or not at all. Raises EnvError if it is truncated, altered or of another environment."""
        with _translated("set_state", do="use the state of a checkpoint of this environment"):
            self._pool.load(state)
        self._is_reset = True

    def clone(self) -> NativeVectorEnv:
        """Return an independent copy that goes on the same way."""
        copy = NativeVectorEnv(self.config)
        copy.set_state(self.get_state())
        return copy

    def __reduce__(self) -> Any:
        raise TypeError(
            f"{self!r} cannot be pickled: it owns threads. Use get_state(), and set_state() in the other process"
        )

    # -- parts ------------------------------------------------------------------------------------------------------

    def _observation(self, batch: _core.Batch) -> Any:
        shown: dict[str, Any] = {name: np.full(batch.rows, value, np.int64) for name, value in self._shown.items()}
        if self.is_text:
            shown["text"] = batch.texts()
        elif not self._key:
            return batch.obs
        return {self._key: batch.obs, **shown} if self._key else shown

    def _single(self, batch: _core.Batch, row: int) -> Any:
        """One environment's last observation, as it appears in final_obs."""
        observation = batch.final_obs(row)
        shown: dict[str, Any] = {name: np.int64(value) for name, value in self._shown.items()}
        if self.is_text:
            shown["text"] = batch.final_text(row)
        elif not self._key:
            return observation
        return {self._key: observation, **shown} if self._key else shown

    def _info(self, batch: _core.Batch) -> dict[str, Any]:
        return BatchInfo(
            batch, is_same_step=self._is_same_step, has_image=self._key is not None, wrap=self._single,
            textures=self.textures, is_text=self.is_text,
        )  # fmt: skip

    def _result(self, batch: _core.Batch) -> Step:
        return self._observation(batch), batch.reward, batch.terminated, batch.truncated, self._info(batch)

    def _mask(self, options: dict[str, Any]) -> np.ndarray:
        mask = options.get("reset_mask")
        if mask is None:
            return np.empty(0, np.uint8)
        mask = np.asarray(mask)
        if mask.shape != (self.num_envs,) or mask.dtype != np.bool_ or not mask.any():
            raise EnvError(
                expected=f"a reset_mask [{self.num_envs}] bool with at least one True", got=repr(mask), where="reset, options",
                do="correct it",
            )  # fmt: skip
        return mask.view(np.uint8)

    def _error(self, error: Exception, actions: Any) -> Exception:
        """The user's error for what the extension raised about actions."""
        if isinstance(error, TypeError | ValueError) and not isinstance(error, EnvError):
            count = len(self.action_names)
            got = f"{actions!r}"[:400] if isinstance(error, TypeError) else str(error)
            return EnvError(
                expected=f"{self.num_envs} commands, strings of at most {MAX_COMMAND_BYTES} bytes"
                if self.is_text
                else f"{self.num_envs} actions in 0..{count - 1}, int64",
                got=got,
                where=self.env_id,
                do="check them",
            )
        return _user_error(error, self.env_id, "see the message")


def _emitter(config: NativeConfig) -> _core.PatchEmitter | None:
    if config.image_format == "hwc":
        return None
    assert config.image_spec is not None, "make() asks for it"
    return patch_emitter(config.image_spec, config.image_size, dtype=PATCH_DTYPES[config.image_format])


def _observation_space(spec: _core.EnvSpec, config: NativeConfig, emitter: _core.PatchEmitter | None) -> gym.Space[Any]:
    kind = spec.observation(config.options)
    if kind == "int32":
        return gym.spaces.MultiDiscrete(spec.cardinality, dtype=np.int32)
    if kind == "float32":
        return gym.spaces.Box(-np.inf, np.inf, (spec.observation_size,), np.float32)
    width, height = config.image_size
    shown: dict[str, gym.spaces.Space[Any]] = {name: gym.spaces.Discrete(n) for name, n in spec.shown_options}
    if spec.is_text:
        shown["text"] = _text_space(MAX_TEXT_BYTES)
    if kind == "none":
        return gym.spaces.Dict(shown)
    if emitter is None:
        return gym.spaces.Dict({"image": gym.spaces.Box(0, 255, (height, width, 3), np.uint8), **shown})
    shape = (emitter.rows, emitter.columns)
    if config.image_format == "patches_u8":
        return gym.spaces.Dict({"pixel_values": gym.spaces.Box(0, 255, shape, np.uint8), **shown})
    return gym.spaces.Dict({"pixel_values": gym.spaces.Box(-np.inf, np.inf, shape, np.float32), **shown})


def _text_space(size: int) -> gym.spaces.Text:
    return gym.spaces.Text(size, min_length=0, charset=string.printable)


def _initial(spec: _core.EnvSpec, name: str) -> float:
    return next(option.initial for option in spec.options if option.name == name)


@contextlib.contextmanager
def _translated(where: str, do: str = "see the message") -> Iterator[None]:
    """Turn the extension's exceptions into the package's."""
    try:
        yield
    except (ValueError, _core.PoolMisuse, _core.RingFull, _core.EnvHang, _core.EnvBroken) as error:
        if isinstance(error, EnvError):
            raise
        raise _user_error(error, where, do) from error


def _user_error(error: Exception, where: str, do: str) -> Exception:
    if isinstance(error, _core.RingFull):
        return EnvError(
            expected="memory for one more batch (max_ring_bytes)", got=str(error), where=where,
            do="drop the arrays and infos of earlier steps, copy what you keep (array.copy()), or raise max_ring_bytes",
        )  # fmt: skip
    if isinstance(error, _core.EnvHang):
        return EnvHangError(
            expected="an environment that returns within step_timeout", got=str(error), where=where,
            do="replay that seed and episode alone to find out why; make the environment anew to go on",
        )  # fmt: skip
    if not isinstance(error, ValueError | _core.PoolMisuse | _core.EnvBroken):
        return error
    expected = "usable arguments" if isinstance(error, ValueError) else "a call that the environment's state allows"
    return EnvError(expected=expected, got=str(error), where=where, do=do)
