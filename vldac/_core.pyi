"""Native core of vldac: environments, stepper, rollout buffer, advantages, parsing. Links neither torch nor CUDA.

Arrays are converted to the dtype that is named here and made contiguous. Mistakes raise ValueError.
Legend: E environments, T steps of each, S = E x T, R rows, N tokens or frames, K segments, H x W pixels.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

class PoolMisuse(RuntimeError):
    """A call that the pool's present state does not allow; nothing was done."""

class PoolTimeout(TimeoutError):
    """No batch in time; it can be waited for again."""

class EnvHang(RuntimeError):
    """An environment does not come back from a call."""

class EnvBroken(RuntimeError):
    """An environment cannot be started, whatever its episode."""

class RingFull(RuntimeError):
    """Every batch is held by a view, and the cap forbids another."""

class Batch:
    """B rows of results. Every array is a view that keeps the batch; those of ended episodes are valid where `ended`."""

    @property
    def rows(self) -> int: ...
    @property
    def num_ended(self) -> int: ...
    @property
    def obs(self) -> Any:
        """[B, H, W, 3] uint8, [B, size] int32 or float32, or patches [B, rows, columns]; bfloat16 as a DlpackArray."""

    def final_obs(self, row: int) -> Any:
        """The last observation of the episode that ended; None elsewhere."""

    def prompt(self, row: int) -> str | None:
        """The prompt of that observation."""

    def facts(self, row: int) -> dict[str, str | int] | None:
        """What was on it."""

    def texts(self) -> list[str]:
        """What the observations say, of text environments; else empty."""

    def commands(self) -> list[list[str]]:
        """Admissible commands with those texts; equal ones are the same object."""

    def final_text(self, row: int) -> str | None:
        """The text at the end of the episode that ended; None elsewhere."""

    def fault(self, row: int) -> str | None:
        """What went wrong in the environment; None if nothing did."""

    @property
    def reward(self) -> NDArray[np.float64]: ...
    @property
    def env_id(self) -> NDArray[np.int32]: ...
    @property
    def episode_id(self) -> NDArray[np.int64]: ...
    @property
    def elapsed_step(self) -> NDArray[np.int64]: ...
    @property
    def frame_id(self) -> NDArray[np.int64]:
        """Unique in the pool: observations that the environment has made * E + environment."""

    @property
    def episode_return(self) -> NDArray[np.float64]: ...
    @property
    def length(self) -> NDArray[np.int64]: ...
    @property
    def final_episode_id(self) -> NDArray[np.int64]: ...
    @property
    def final_frame_id(self) -> NDArray[np.int64]: ...
    @property
    def terminated(self) -> NDArray[np.bool_]: ...
    @property
    def truncated(self) -> NDArray[np.bool_]: ...
    @property
    def ended(self) -> NDArray[np.bool_]: ...
    @property
    def success(self) -> NDArray[np.bool_]: ...

class Pool:
    """A batch of one native environment. One caller at a time; the GIL is released; signals interrupt the waiting."""

    def __init__(
        self,
        env_id: str,
        options: Mapping[str, float],
        num_envs: int,
        num_threads: int,
        batch_size: int,
        width: int,
        height: int,
        autoreset: str,
        is_stream: bool,
        is_ready_order: bool,
        max_episode_steps: int,
        step_timeout: float,
        max_ring_bytes: int,
        may_caller_step: bool,
        prompt: str,
        patches: PatchEmitter | None,
        failure_reward: float,
    ) -> None: ...
    def reset(self, seeds: NDArray[np.uint64], mask: NDArray[np.uint8]) -> Batch:
        """Seed environment i with seeds[i] (empty: next episode), where mask[i] (empty: all)."""

    def step(self, actions: NDArray[np.int64]) -> Batch: ...
    def send(self, actions: NDArray[np.int64], env_ids: NDArray[np.int64]) -> None: ...
    def step_commands(self, commands: Sequence[str]) -> Batch:
        """`step` of text environments."""

    def send_commands(self, commands: Sequence[str], env_ids: NDArray[np.int64]) -> None: ...
    def commands(self, env_ids: NDArray[np.int64]) -> list[list[str]]:
        """Admissible now, per environment; equal texts are the same object."""

    def words(self, env_ids: NDArray[np.int64]) -> list[str]:
        """Where those who play at random find words for a command with "<words>" in it."""

    def locate(self, env_ids: NDArray[np.int64], commands: Sequence[str], width: int, height: int) -> NDArray[np.int64]:
        """What commands point to on pictures of that size: [R, 4] (x, y, width, height) pixels, -1 where nothing."""

    def oracle_commands(self) -> list[str | None]: ...
    def play_commands(self, rounds: int, seed: int) -> int:
        """Random admissible commands in all environments, without Python in between; the number of episodes that ended."""

    def recv(self, seconds: float) -> Batch:
        """Negative: as long as it takes."""

    def observe(self) -> Batch: ...
    def prompts(self, env_ids: NDArray[np.int64]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """UTF-8 bytes and offsets [R + 1]."""

    def facts(self) -> list[dict[str, str | int]]: ...
    def oracle_actions(self) -> NDArray[np.int64]:
        """[E], -1 where there is no expert."""

    def pictures(self, env_ids: NDArray[np.int64], width: int, height: int) -> NDArray[np.uint8]:
        """[R, height, width, 3], drawn anew."""

    def maps(
        self, env_ids: NDArray[np.int64], width: int, height: int
    ) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
        """Pictures from above [R, height, width, 3] and (min_x, min_z, pixels per metre in x, in z) [R, 4]."""

    def depths(self, env_ids: NDArray[np.int64], width: int, height: int) -> NDArray[np.float32]:
        """[R, height, width, 1] metres along the view."""

    def poses(self, env_ids: NDArray[np.int64]) -> NDArray[np.float64]:
        """[E, 3]: x and z in metres, heading in radians."""

    def has_map(self) -> bool: ...
    def save(self) -> bytes: ...
    def load(self, state: bytes) -> None: ...
    def close(self) -> None: ...
    def frame_ids(self) -> NDArray[np.int64]: ...
    def episode_ids(self) -> NDArray[np.int64]: ...
    def fault_count(self) -> int: ...
    @property
    def gauge(self) -> dict[str, int]: ...

class EnvOption:
    """A setting of an environment's own; bools are 0 and 1."""

    @property
    def name(self) -> str: ...
    @property
    def initial(self) -> float: ...
    @property
    def help(self) -> str: ...

class EnvSpec:
    """What does not change about a native environment."""

    @property
    def id(self) -> str: ...
    @property
    def action_names(self) -> list[str]: ...
    def actions(self, options: Mapping[str, float]) -> list[str]:
        """The names of the actions with these options; those that are not named have their initial values."""

    @property
    def max_episode_steps(self) -> int:
        """The limit that upstream registers."""

    @property
    def task_episode_steps(self) -> int:
        """The limit of task="vldac"."""

    @property
    def fields(self) -> list[str]:
        """The facts that a response to the "short" prompt names."""

    @property
    def options(self) -> list[EnvOption]: ...
    @property
    def is_listed(self) -> bool: ...
    @property
    def limits_itself(self) -> bool:
        """It truncates its episodes itself."""

    @property
    def task_failure_reward(self) -> float:
        """task="vldac": the last reward of an episode that paid nothing; NaN is no such rule."""

    @property
    def assets(self) -> str:
        """The set of textures and meshes that it draws with; empty: none."""

    @property
    def image_size(self) -> tuple[int, int]:
        """(width, height) in pixels of a picture whose size nobody chose."""

    @property
    def shown_options(self) -> list[tuple[str, int]]:
        """Options that are part of the observation, and how many values each has."""

    @property
    def is_text(self) -> bool:
        """Actions are commands, and observations have a text."""

    def observation(self, options: Mapping[str, float]) -> str:
        """With these options: "image", "int32", "float32" or "none" (text alone)."""

    @property
    def observation_size(self) -> int: ...
    @property
    def cardinality(self) -> list[int]: ...

class RolloutBuffer:
    """One update's steps, environment-major. Columns are views of its memory and keep it alive; [S] unless said."""

    def __init__(
        self, num_envs: int, steps: int, height: int, width: int, num_images: int, max_tokens: int
    ) -> None: ...
    def begin(self, env_ids: NDArray[np.int64], frames: NDArray[np.uint8]) -> None:
        """First observations, [R, H, W, 3]."""

    def respond(
        self,
        env_ids: NDArray[np.int64],
        tokens: NDArray[np.int64],
        logprob: NDArray[np.float32],
        offsets: NDArray[np.int64],
        action: NDArray[np.int64],
        status: NDArray[np.uint8],
        is_valid: NDArray[np.bool_],
        has_end: NDArray[np.bool_],
        entropy: NDArray[np.float32],
        value: NDArray[np.float64],
    ) -> None:
        """What the policy said: tokens and logprob [N] flat over the rows, offsets [R + 1], the rest [R]."""

    def observe(
        self,
        env_ids: NDArray[np.int64],
        reward: NDArray[np.float64],
        terminated: NDArray[np.bool_],
        truncated: NDArray[np.bool_],
        final_value: NDArray[np.float64],
        success: NDArray[np.bool_],
        fault: NDArray[np.bool_],
        frames: NDArray[np.uint8],
    ) -> None:
        """What came of it, [R] each; frames [R, H, W, 3] are the next observations."""

    def next(self) -> RolloutBuffer:
        """The empty buffer that goes on after this full one."""

    @property
    def is_full(self) -> bool: ...
    @property
    def num_envs(self) -> int: ...
    @property
    def steps(self) -> int: ...
    @property
    def num_images(self) -> int: ...
    @property
    def frames(self) -> NDArray[np.uint8]:
        """[E, num_images + T, H, W, 3]"""

    @property
    def tokens(self) -> NDArray[np.int64]:
        """[S, max_tokens]"""

    @property
    def logprob(self) -> NDArray[np.float32]:
        """[S, max_tokens]"""

    @property
    def num_tokens(self) -> NDArray[np.int64]: ...
    @property
    def episode(self) -> NDArray[np.int64]: ...
    @property
    def index(self) -> NDArray[np.int64]: ...
    @property
    def action(self) -> NDArray[np.int64]: ...
    @property
    def shown(self) -> NDArray[np.uint8]: ...
    @property
    def status(self) -> NDArray[np.uint8]: ...
    @property
    def is_valid(self) -> NDArray[np.bool_]: ...
    @property
    def has_end(self) -> NDArray[np.bool_]: ...
    @property
    def terminated(self) -> NDArray[np.bool_]: ...
    @property
    def truncated(self) -> NDArray[np.bool_]: ...
    @property
    def success(self) -> NDArray[np.bool_]: ...
    @property
    def fault(self) -> NDArray[np.bool_]: ...
    @property
    def entropy(self) -> NDArray[np.float32]: ...
    @property
    def reward(self) -> NDArray[np.float64]: ...
    @property
    def value(self) -> NDArray[np.float64]: ...
    @property
    def final_value(self) -> NDArray[np.float64]: ...
    @property
    def filled(self) -> NDArray[np.int64]:
        """[E], steps written"""

    @property
    def next_episode(self) -> NDArray[np.int64]:
        """[E]"""

    @property
    def next_index(self) -> NDArray[np.int64]:
        """[E]"""

    @property
    def next_shown(self) -> NDArray[np.uint8]:
        """[E]"""

class DlpackArray:
    """Memory of the core for `torch.from_dlpack` and other consumers of DLPack, without a copy: CPU, contiguous, kept alive."""

    def __dlpack__(
        self,
        *,
        stream: None = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> object: ...
    def __dlpack_device__(self) -> tuple[int, int]: ...
    @property
    def shape(self) -> tuple[int, ...]: ...

class PatchEmitter:
    """Frames [N, height, width, 3] to rows of patches (see `vldac.vision.patch_emitter`). Threads may share one; releases the GIL."""

    def __init__(
        self,
        patch: int,
        merge: int,
        temporal: int,
        mean: tuple[float, float, float],
        std: tuple[float, float, float],
        width: int,
        height: int,
        out_width: int,
        out_height: int,
        format: str,
    ) -> None:
        """format: float32, bfloat16 or uint8. Uses the instruction set in VLDAC_ISA, else the best."""

    def emit(self, images: NDArray[np.uint8]) -> Any:
        """[N * rows, columns]: an array of float32 or uint8, or a DlpackArray of bfloat16."""

    def emit_into(self, images: NDArray[np.uint8], out: NDArray[Any]) -> None:
        """Write into contiguous `out` [N * rows, columns]; bfloat16 as the bits of a uint16 array."""

    @property
    def rows(self) -> int:
        """Of one frame."""

    @property
    def columns(self) -> int: ...
    @property
    def grid(self) -> tuple[int, int, int]:
        """Patches of one frame: (time, height, width)."""

    @property
    def isa(self) -> str: ...

class WorldProbe:
    """One MiniWorld environment without a pool, seen from inside: for tests and for people who study its worlds."""

    def __init__(self, env_id: str, options: Mapping[str, float]) -> None: ...
    def reset(self, seed: int | None) -> None:
        """Without a seed the stream goes on."""

    def step(self, action: int) -> tuple[float, bool, bool]:
        """Reward, terminated, truncated."""

    def poses(self) -> NDArray[np.float64]:
        """[entities in the world, 5] in the package's order: number, x, y, z, heading (metres, radians)."""

    def snapshot(self) -> dict[str, Any]:
        """Rooms, segments [N, 2, 3], walls [N, 3, 3], entities, sky, camera."""

    @property
    def carrying(self) -> int | None:
        """The number of the entity in the agent's hands."""

    @property
    def success(self) -> bool: ...

class Pcg64:
    """NumPy's PCG64 over SeedSequence(entropy)."""

    def __init__(self, entropy: Sequence[int]) -> None: ...
    def uniform(self, low: float = 0.0, high: float = 1.0) -> float: ...
    def choice(self, probabilities: Sequence[float]) -> int: ...
    def integers(self, low: int, high: int) -> int: ...

def counter_random(seed: int, purpose: int, env: int, counter: int) -> int:
    """A 64-bit word that depends on its four keys alone."""

def evaluate_formula(tokens: Sequence[str], compat: bool) -> tuple[int, int] | int | float | None:
    """The exact value as (numerator, denominator); with compat what Python's eval makes of the joined items; None: no value.

    Items are "1" to "13", "+", "-", "*", "/", "(", ")" and a blank; at most 32 of them.
    """

def solve_points(numbers: Sequence[int], target: int, prefix: Sequence[str]) -> list[str] | None:
    """Items that complete `prefix` to a formula of at most 20 items that uses every number once and equals the target."""

def resolve_actions(
    parsed: NDArray[np.int64], num_actions: int, seed: int, env_ids: NDArray[np.int64], counters: NDArray[np.int64]
) -> NDArray[np.int64]:
    """`parsed` with its negative entries replaced by uniform actions that depend on (seed, environment, counter) alone; [R]."""

def env_specs() -> list[EnvSpec]: ...
def step_gae(
    reward: NDArray[Any],
    value: NDArray[Any],
    bootstrap: NDArray[Any],
    terminated: NDArray[np.bool_],
    truncated: NDArray[np.bool_],
    final_value: NDArray[Any] | None,
    segment_offsets: NDArray[np.int64] | None,
    gamma: float,
    lam: float,
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Advantages and returns: [T, E] with bootstrap [E], or [S] with segment_offsets [K + 1] and bootstrap [K].

    Here and in the three functions below, floating arguments are all float32 or all float64 and contiguous; nothing is converted.
    """

def ppo_clip_loss(
    logprob: NDArray[Any],
    old_logprob: NDArray[Any],
    advantages: NDArray[Any],
    step_index: NDArray[Any],
    token_weight: NDArray[Any],
    ref_logprob: NDArray[Any] | None,
    clip_low: float,
    clip_high: float,
    kl_coef: float,
    kl_estimator: str,
    ratio_guard: float,
    dual_clip: float,
    log_ratio_cap: float,
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Loss [], statistics [14] and coefficient [N]; step_index int32 or int64, IndexError where it is outside the advantages."""

def value_loss(
    value: NDArray[Any],
    old_value: NDArray[Any] | None,
    returns: NDArray[Any],
    step_weight: NDArray[Any],
    clip: float,
    huber: float,
    coef: float,
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Loss [], statistics [3] and coefficient [S]."""

def kernel_isa() -> str:
    """The instruction set of these functions: the last of `isa_tiers`, or what VLDAC_ISA said at their first call."""

def masked_whiten(values: NDArray[Any], mask: NDArray[np.bool_], unbiased: bool, eps: float) -> NDArray[Any]:
    """Whitened over the mask, 0 elsewhere."""

def alfworld_keep_panel(
    number: int, paths: Sequence[str], human_goals: Sequence[Sequence[str]], max_loaded: int
) -> None:
    """Make games known to ALFWorld environments by a number; the same games in other places take its place."""

def num_symbols() -> int:
    """Texts that observations share in this process, such as commands."""

def alfworld_left_out(number: int) -> list[tuple[str, str]]:
    """Games of a panel that could not be read when they were to be played: (path, reason)."""

class ActionNames:
    """The actions that a response may name, prepared once. `vldac.actions.ActionNames` is the public face."""

    def __init__(
        self, names: Sequence[str], synonyms: Sequence[tuple[str, int]], accepts_index: bool, finds_inside: bool
    ) -> None: ...

def parse_actions(texts: Sequence[str], names: ActionNames, mode: str) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Action index or -1, and `ParseStatus`, [R] each. The strings are not copied; the GIL is released."""

def parse_buffer(
    data: NDArray[np.uint8], offsets: NDArray[np.int64], names: ActionNames, mode: str
) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """The same for UTF-8 bytes [N], text i being data[offsets[i]:offsets[i + 1]]; offsets [R + 1]."""

def parse_commands(
    texts: Sequence[str], names: ActionNames, mode: str
) -> tuple[NDArray[np.int64], NDArray[np.uint8], list[str]]:
    """As `parse_actions`, and what was said where the action is a name with "<words>" in it, else ""."""

def fill_form(command: str, text: str, number: int) -> str:
    """A command with "<words>" in it, with one to three words of the text in their place."""

def parse_work(text: str, names: ActionNames, mode: str) -> int:
    """How many bytes parsing one text looks at, rereads included: the tests' measure of linear time."""

def plan_microbatches(
    lengths: NDArray[np.int64], *, shared: int, max_rows: int, max_tokens: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Order of the rows by length [R], and offsets of the micro-batches in it: few, even, each of at most max_rows rows, and of at
    most max_tokens tokens with the `shared` ones that each runs once; 0 is no limit."""

def resize_bicubic(images: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Frames [N, H, W, 3] at another size, as Pillow 13 makes them."""

def isa_tiers() -> list[str]:
    """The instruction sets that this machine runs, of scalar, sse41, avx2, avx512; the last is taken unless VLDAC_ISA says other."""

class AssetSet:
    """Textures and meshes under names; environments read it once it is installed."""

    def __init__(self) -> None: ...
    def add_texture(self, name: str, rgb: NDArray[np.uint8]) -> None:
        """The next variant of that name: [H, W, 3], the top row first, as image files give it; 1 to 4096 texels a side."""

    def add_mesh(
        self,
        name: str,
        positions: NDArray[np.float32],
        normals: NDArray[np.float32],
        uvs: NDArray[np.float32],
        colours: NDArray[np.float32],
        chunks: Sequence[tuple[int, int, NDArray[np.uint8] | None]],
    ) -> None:
        """A mesh with its bottom at y = 0, replacing one of that name. Arrays per corner, [3 * triangles, 3] (uvs: [.., 2]).

        v points upwards. Chunks follow one another and cover all triangles: (first triangle, number of triangles, texture
        [H, W, 3] top row first, or None).
        """

    def variants(self, name: str) -> int:
        """How many textures have that name."""

    def mesh_extent(self, name: str) -> tuple[float, float, float]:
        """The largest x, y and z of a mesh; float32 values."""

    @property
    def bytes(self) -> int: ...

class Scene:
    """A scene of its own, for tests and pictures: metres, y upwards, a heading a faces (cos a, 0, -sin a).

    Things are drawn in order."""

    def __init__(self, assets: AssetSet) -> None:
        """Shows what is in `assets` at this moment."""

    def set_light(
        self, sky: Sequence[float], light: Sequence[float], ambient: Sequence[float], diffuse: Sequence[float]
    ) -> None:
        """Colours are RGB in 0..1, light is a unit vector towards the light, ambient all light without direction."""

    def add_polygon(
        self,
        vertices: NDArray[np.float32],
        normal: Sequence[float],
        colour: Sequence[float],
        texture: str,
        variant: int,
    ) -> None:
        """Convex, counter-clockwise from its front: [corners, 5], (x, y, z, u, v) each; texture "" is plain colour."""

    def add_box(
        self, position: Sequence[float], heading: float, size: Sequence[float], colour: Sequence[float]
    ) -> None:
        """Its bottom's middle at `position`."""

    def add_mesh(self, name: str, position: Sequence[float], heading: float, scale: float) -> None: ...
    def draw(
        self, eye: Sequence[float], forward: Sequence[float], fov_y: float, width: int, height: int
    ) -> NDArray[np.uint8]:
        """[H, W, 3], the top row first; fov_y is the whole vertical angle in degrees."""

    def draw_top(
        self, min_x: float, max_x: float, min_z: float, max_z: float, width: int, height: int
    ) -> NDArray[np.uint8]: ...
    def depth(
        self, eye: Sequence[float], forward: Sequence[float], fov_y: float, width: int, height: int
    ) -> NDArray[np.float32]:
        """Metres along the view direction, [H, W]; 100 where there is nothing."""

def install_assets(name: str, assets: AssetSet) -> None:
    """Once per process and name; later additions to `assets` change nothing."""

def has_assets(name: str) -> bool: ...
def mip_levels(rgb: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """All levels of a texture [H, W, 3], from full size to one texel, the top row first."""

class WebshopPage:
    """A page of the shop as typed blocks, from which its text, its HTML and its picture are made.

    Kinds of pages: index, results, item, item_sub, done.
    """

    def __init__(self, kind: str, title: str = "") -> None: ...
    def add(
        self,
        kind: str,
        text: str = "",
        command: str = "",
        product: str = "",
        is_visited: bool = False,
        choices: Sequence[tuple[str, bool]] = [],
    ) -> None:
        """A block: heading, text, instruction, search_bar, button, link, options, price, image, list, page_number or score.

        Choices are (value, is selected) of an option group; of an image its category, then the options that are selected.
        """

    def clear(self) -> None: ...
    @property
    def kind(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def blocks(self) -> list[tuple[str, str, str, str, bool, list[tuple[str, bool]]]]:
        """(kind, text, command, product, is visited, choices) each, in reading order."""

    def text(self) -> str:
        """The visible strings with " [SEP] " between them."""

    def text_rich(self) -> str:
        """One string a line, buttons as [button] ... [button_], what is selected as [clicked button]."""

    def pictures(self, side: int) -> dict[str, NDArray[np.uint8]]:
        """The drawing of every product on the page, [side, side, 3] by its asin."""

    def html(self, css_width: float = 512.0, pictures: Mapping[str, str] = {}) -> str:
        """A page that stands alone: no script, no network. `pictures`: data: URIs by product."""

class WebshopPhotos:
    """Pictures of products, decoded and small: uint8 [H, W, 3] of at most 512 pixels a side."""

    def __init__(self) -> None: ...
    def add(self, product: str, rgb: NDArray[np.uint8]) -> None: ...
    def __len__(self) -> int: ...
    @property
    def bytes(self) -> int: ...

class WebshopPainter:
    """Draws pages, and says where what can be clicked is."""

    def __init__(self, zoom: float = 0.0, shrinks: bool = True, photos: WebshopPhotos | None = None) -> None:
        """zoom: picture pixels per CSS pixel, 0 as the width needs it. shrinks: draw pages smaller that are too tall."""

    def draw(self, page: WebshopPage, width: int = 512, height: int = 896, marked: int = -1) -> NDArray[np.uint8]:
        """[H, W, 3]; height 0: the whole page. `marked`: the box with that index gets a frame."""

    @property
    def boxes(self) -> list[tuple[str, int, int, int, int, bool]]:
        """(command, x, y, width, height, is visible) of everything that can be clicked on the last page, in pixels."""

    @property
    def zoom(self) -> float: ...
    @property
    def page_size(self) -> tuple[float, float]:
        """Width and height of the last page in CSS pixels."""

    @property
    def is_cut(self) -> bool: ...
    @property
    def missing_glyphs(self) -> int:
        """Code points of the last page that the font lacks; each is drawn as a box."""

def set_range_functions(push: int, pop: int) -> None:
    """Addresses of int (*)(const char*) and int (*)(): the environments' threads name what they do through them; 0, 0: no more."""

def set_thread_pool(parallel_for: int, num_threads: int) -> None:
    """Addresses of libtorch's C functions torch_parallel_for and torch_get_num_threads: loops of the kernels run there."""

def has_thread_pool() -> bool: ...
def pool_threads() -> int:
    """How many threads such a loop may use now; 1 without a pool."""

class AttentionKernels:
    """Attention of vldac.kernels.cpp_decoder. Tensors come as fresh DLPack capsules (CPU, float32), absent ones as None.

    The last stride of a tensor of heads is 1, its others are any; widths are multiples of 16. out is written.
    """

    def __init__(self, isa: str | None = None) -> None:
        """isa: one of isa_tiers(); None takes VLDAC_ISA or the best."""

    @property
    def isa(self) -> str: ...
    def slot_attention(
        self,
        query: object,
        key_cache: object,
        value_cache: object,
        slot: object,
        length: object,
        prefix_key: object,
        prefix_value: object,
        scale: float,
        out: object,
    ) -> None:
        """query, out [A, heads, D]; caches [slots, C, kv_heads, D]; slot, length [A] int64; the prefix [P, kv_heads, D]."""

    def packed_attention(
        self,
        query: object,
        key: object,
        value: object,
        prefix_key: object,
        prefix_value: object,
        offsets: object,
        query_offsets: object,
        scale: float,
        out: object,
        lse: object,
    ) -> None:
        """query, out [Nq, heads, D], key, value [T, kv_heads, D], offsets, query_offsets [R + 1] int64, lse [Nq, heads]."""

    def packed_attention_gradient(
        self,
        upstream: object,
        query: object,
        key: object,
        value: object,
        prefix_key: object,
        prefix_value: object,
        offsets: object,
        query_offsets: object,
        scale: float,
        out: object,
        lse: object,
        grad_query: object,
        grad_key: object,
        grad_value: object,
        grad_prefix_key: object,
        grad_prefix_value: object,
    ) -> None:
        """Overwrites the gradients; those of the prefix are sums over rows, in an order that does not depend on threads."""

class DecoderKernels:
    """Operations of vldac.kernels.cpp_decoder. Tensors come as fresh DLPack capsules (CPU, float32), absent ones as None.

    Inputs and outputs [N, H] have column stride 1 and any row stride; other tensors are contiguous. Results are written into y, ...
    """

    def __init__(self, isa: str | None = None) -> None:
        """isa: one of isa_tiers(); None takes VLDAC_ISA or the best."""

    @property
    def isa(self) -> str: ...
    def rms_norm(self, x: object, weight: object, eps: float, y: object, inverse: object) -> None:
        """x, y [N, H], weight [H], inverse [N]: y = weight x inverse, inverse = 1 / sqrt(mean x^2 + eps)."""

    def rms_norm_gradient(self, upstream: object, x: object, weight: object, inverse: object, gradient: object) -> None:
        """The gradient of x of an upstream gradient, [N, H]."""

    def swiglu(self, gate: object, up: object, y: object) -> None:
        """y = gate sigmoid(gate) up, [N, I]."""

    def swiglu_gradient(
        self, upstream: object, gate: object, up: object, grad_gate: object, grad_up: object
    ) -> None: ...
    def rotate(self, x: object, cosine: object, sine: object, is_inverse: bool, y: object) -> None:
        """x [N, heads, D] of last stride 1, cosine and sine [N, D / 2], y contiguous: pairs (x[i], x[i + D / 2]) turned, or back."""

class RowKernels:
    """Row operations of vldac.kernels.cpp_rows. Tensors come as fresh DLPack capsules (CPU), absent ones as None.

    F is float32, or float64 where the logits are. Logits have column stride 1 and any row stride; other tensors are contiguous.
    """

    def __init__(self, isa: str | None = None) -> None:
        """isa: one of isa_tiers(); None takes VLDAC_ISA or the best."""

    @property
    def isa(self) -> str: ...
    def log_softmax(
        self,
        logits: object,
        target: object,
        column_bias: object,
        temperature: object,
        ignore_index: int,
        logprob: object,
        entropy: object,
        lse: object,
    ) -> None:
        """Writes logprob, entropy, lse [N] F of logits [N, V] float32, bfloat16, float16 or float64."""

    def gradient(
        self,
        grad_logprob: object,
        grad_entropy: object,
        logits: object,
        first_column: int,
        vocabulary: int,
        target: object,
        column_bias: object,
        temperature: object,
        softcap: float,
        ignore_index: int,
        lse: object,
        entropy: object,
        out: object,
    ) -> None:
        """Writes the gradient of logits, columns first_column ... of V = vocabulary, to out (which may be logits)."""

    def fold_tile(
        self,
        tile: object,
        first_column: int,
        vocabulary: int,
        target: object,
        column_bias: object,
        temperature: object,
        softcap: float,
        ignore_index: int,
        states: object,
        total: object,
    ) -> None:
        """Counts a tile of logits F in states [N, 5] float64, which the tile of column 0 initialises.

        With total [N, H] F the tile becomes e^(z - max) and total is rescaled to the new maximum, so that tile @ weight can be added;
        not at column 0, where total may be anything.
        """

    def finish_tiles(
        self,
        target: object,
        temperature: object,
        softcap: float,
        ignore_index: int,
        states: object,
        logprob: object,
        entropy: object,
        lse: object,
        total: object,
        picked: object,
    ) -> None:
        """Writes the results; total becomes d logprob / d hidden, given picked = weight[target] [N, H] F."""

    def sample(
        self,
        logits: object,
        column_bias: object,
        temperature: object,
        top_k: object,
        top_p: object,
        min_p: float,
        seed: object,
        position: object,
        greedy: object,
        token: object,
        logprob_raw: object,
        logprob_processed: object,
        entropy: object,
        valid: object,
    ) -> None:
        """Writes the fields of SampleOutput, [B] each, for logits [B, V]."""

class WebshopCatalogue:
    """A shop's products and their search index, mapped from the store file that `webshop_build` wrote; shared by threads."""

    def __init__(self, store: str) -> None:
        """ValueError for a file that is missing, cut off, altered or of another version."""

    def __len__(self) -> int: ...
    def product(self, index: int) -> dict[str, Any]:
        """asin, name, description, bullets, attributes, options (group to values), pricing (one or two numbers), and more."""

    def find(self, asin: str) -> int | None: ...
    def search(self, query: str, k: int = 50, lossy: bool = False) -> list[tuple[str, float]]:
        """Asin and BM25 score, best first, equal ones in the catalogue's order. lossy: Lucene's one-byte lengths in float32."""

    def set_nouns(self, nouns: Mapping[str, Sequence[str]]) -> None:
        """Asin to the nouns of its name, in lower case, repeats included; products without go by the rule of `webshop_nouns`."""

    def load_nouns(self, path: str) -> int:
        """The same from a JSON file; returns how many products go by the rule."""

    def verify(self) -> None:
        """Read the whole store; ValueError where a checksum differs. Stores below 256 MiB are checked when they are opened."""

    @property
    def content(self) -> int:
        """64 bits of everything but the source."""

    @property
    def source(self) -> str:
        """The text that `webshop_build` was given."""

def webshop_build(
    items: str,
    attributes: str,
    store: str,
    human: str = "",
    max_products: int = -1,
    strict: bool = False,
    source: str = "",
) -> dict[str, Any]:
    """Read the published files (items_shuffle, items_ins_v2, items_human_ins) into a store; strict: no malformed row is skipped.

    Returns counts (rows, products, duplicates, bad_asins, malformed, repaired, terms, postings) and the first `problems`.
    ValueError, with file and byte, for what is no JSON or no UTF-8.
    """

def webshop_keep_shop(number: int, goals: WebshopGoals, photos: WebshopPhotos | None = None) -> None:
    """Make a shop known to WebShop environments by a number."""

class WebshopGoals:
    """All goals of a catalogue in one order: test first, then eval, then train; compat: upstream's order, of Python's generator."""

    def __init__(
        self,
        catalogue: WebshopCatalogue,
        human: bool = True,
        compat: bool = False,
        by_asin: bool = True,
        seed: int = 0,
        num_test: int = -1,
        num_eval: int = -1,
        limit: int = -1,
    ) -> None:
        """compat: `seed` is what upstream's process would have given random.seed() before it loaded its products."""

    def __len__(self) -> int: ...
    def goal(self, index: int) -> dict[str, Any]:
        """Upstream's fields; ValueError for an index out of range."""

    def range(self, split: str) -> tuple[int, int]:
        """The goals [first, second) of all, train, eval or test."""

    def draw(self, unit: float, split: str = "all") -> int:
        """A goal by weight, for a number in [0, 1)."""

    def draw_compat(self, count: int) -> list[int]:
        """The goals of upstream's first `count` sessions that name none."""

    def price(self, asin: str) -> float: ...

class WebshopSession:
    """One customer in the shop, at the index page of goal 0 until reset."""

    def __init__(
        self,
        goals: WebshopGoals,
        page_size: int = 10,
        compat: bool = False,
        show_attributes: bool = False,
        lossy: bool = False,
    ) -> None: ...
    def reset(self, goal: int) -> None: ...
    def step(self, action: str) -> tuple[float, bool]:
        """search[words] or click[name]: reward, and whether the purchase was made. Anything else does nothing."""

    def page(self) -> WebshopPage: ...
    def clickables(self) -> list[str]: ...
    def save(self) -> bytes: ...
    def load(self, state: bytes) -> None: ...
    @property
    def goal(self) -> dict[str, Any]: ...
    @property
    def goal_index(self) -> int: ...
    @property
    def has_search_bar(self) -> bool: ...
    @property
    def notice(self) -> str:
        """Why the last action did nothing; empty in compat."""

    @property
    def is_done(self) -> bool: ...
    @property
    def parts(self) -> dict[str, Any]:
        """What the reward is made of, once something was bought."""

    @property
    def product(self) -> str | None:
        """The asin that is open or bought."""

    @property
    def options(self) -> dict[str, str]: ...
    @property
    def results(self) -> list[str]:
        """The asins that the last search found."""

    @property
    def page_number(self) -> int: ...

def webshop_ratio(first: str, second: str) -> int:
    """fuzz.token_set_ratio of thefuzz 0.19.0 without python-Levenshtein, 0 to 100."""

def webshop_ratios_above(first: Sequence[str], second: Sequence[str], limit: int = 85) -> NDArray[np.bool_]:
    """Whether each pair's ratio is above the limit, decided as the reward decides it. Returns: [pairs]."""

def webshop_reward(
    product: Mapping[str, Any],
    goal: Mapping[str, Any],
    price: float,
    options: Sequence[str],
    product_nouns: Sequence[str],
    goal_nouns: Sequence[str],
) -> dict[str, Any]:
    """The reward of a purchase and its parts; product and goal as `product` and `goal` give them, options the chosen values."""

def webshop_terms(text: str) -> list[str]:
    """The words of a text as the search index keeps them."""

def webshop_nouns(name: str) -> list[str]:
    """The nouns of a product's name by the shipped rule."""

class AlfworldGame:
    """One game.tw-pddl, read; shared by its players. Errors are ValueError: "NAME: PART LINE:COLUMN: expected ..."."""

    @staticmethod
    def load(path: str) -> AlfworldGame: ...
    @staticmethod
    def parse(data: bytes, name: str) -> AlfworldGame: ...
    @property
    def name(self) -> str: ...
    @property
    def content_hash(self) -> str:
        """32 hex digits; equal for files that mean the same, whatever their white space."""

    @property
    def task_text(self) -> str:
        """The task's sentence without its full stop."""

    @property
    def solvable(self) -> bool | None: ...
    @property
    def walkthrough(self) -> list[str]: ...
    @property
    def is_fast(self) -> bool:
        """The fast layer knows its domain and grammar."""

    @property
    def why_not_fast(self) -> str: ...
    def task(self) -> dict[str, Any]:
        """kind (upstream's name, or "other"), number (1..6, or 0), is_sliced, object, receptacle, lamp (types); targets, places,
        lamps (indices into the room)."""

    def room(self) -> dict[str, Any]:
        """locations (name, pose: (x, z, yaw, pitch) in metres and degrees), receptacles and objects (type, name, position, flags;
        location, contents), start, fits (per receptacle: objects)."""

    def start(self) -> dict[str, Any]:
        """The state at the start, as AlfworldPlayer.state() has it."""

class AlfworldPlayer:
    """Plays a game, reset already. layer: "auto", "fast" (ValueError where the game has another form) or "generic"."""

    def __init__(self, game: AlfworldGame, layer: str = "auto") -> None: ...
    def reset(self) -> str:
        """Back to the start; the opening text."""

    def step(self, command: str) -> str:
        """What is said. A command that is not admissible changes nothing: "Nothing happens."."""

    @property
    def text(self) -> str: ...
    def commands(self) -> list[str]:
        """Admissible now, sorted."""

    @property
    def score(self) -> int: ...
    @property
    def won(self) -> bool: ...
    @property
    def done(self) -> bool: ...
    @property
    def is_fast(self) -> bool: ...
    def expert(self) -> str | None:
        """The expert's command now, of `commands()`: the first of the shortest plan. None when the goal holds or no plan is known."""
    def plan_length(self) -> int:
        """Commands until the goal holds: 0 when it does, -1 when no plan reaches it."""
    def conditions(self) -> tuple[int, int]:
        """Goal conditions that are true now, and how many there are."""

    def state(self) -> dict[str, Any]:
        """location, held (indices or None), receptacle_of and object_state (per object), is_open (per receptacle), contents and taken
        (per receptacle: objects), at (per location: objects)."""

    def room(self) -> dict[str, Any]: ...
    def save(self) -> bytes: ...
    def load(self, state: bytes) -> None: ...

class AlfworldRoomState:
    """A state that a painter has read."""

class AlfworldPainter:
    """Draws one room, given as AlfworldGame.room() returns it, on any number of threads at once. Mistakes raise ValueError."""

    def __init__(self, room: Mapping[str, Any]) -> None: ...
    def state(self, state: Mapping[str, Any]) -> AlfworldRoomState:
        """Read a state as AlfworldPlayer.state() returns it: location, held, contents, object_state and is_open count."""

    def draw(
        self, state: AlfworldRoomState, mode: str, width: int, height: int, decals: bool = True
    ) -> NDArray[np.uint8]:
        """[height, width, 3]. mode: "ego", "schematic" or "panel"; sides of 28 to 4096 pixels; decals: numbers are written."""

    def ids(self, state: AlfworldRoomState, width: int, height: int, decals: bool = True) -> NDArray[np.int32]:
        """What the "ego" picture shows where: [height, width], receptacles by number, then objects; -1 for none or several."""

def alfworld_picture(
    room: Mapping[str, Any], state: Mapping[str, Any], mode: str, width: int, height: int, decals: bool = True
) -> NDArray[np.uint8]:
    """AlfworldPainter(room).draw, from dictionaries."""

def alfworld_picture_ids(
    room: Mapping[str, Any], state: Mapping[str, Any], width: int, height: int, decals: bool = True
) -> NDArray[np.int32]:
    """AlfworldPainter(room).ids, from dictionaries."""

def alfworld_object_looks() -> list[tuple[str, str, list[float], list[float], float]]:
    """Type, shape, two colours in 0..1 and size of every object class, by type."""

def alfworld_receptacle_looks() -> list[tuple[str, list[float], list[float], list[float]]]:
    """Type, width, height and depth in metres, and two colours of every receptacle type, by type."""
