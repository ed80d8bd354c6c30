"""What can be known of a run before anything is written: the environment, the model's configuration, its tokenizer.

Answers come from the local disk: a folder, the Hugging Face cache, or the configurations that ship with the package. The
network is asked only for a model that none of them knows, and only where that is allowed; an unreachable hub is told after
seconds, not after transformers' half minute of retries.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vldac.config import TrainConfig
from vldac.errors import ConfigError, ModelError, nearest
from vldac.vision import ImageSpec, smart_resize


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelFacts:
    """A model's configuration without its weights."""

    config: Any
    """transformers configuration object"""
    spec: ImageSpec
    tokenizer: Any | None
    """None where no tokenizer is on this machine"""
    source: str
    """Where the configuration comes from, in words."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PromptSize:
    """Tokens of the first prompt of the environment."""

    image_tokens: int
    """All images together."""
    text_tokens: int
    """Everything else: instructions and chat format."""
    shared: int = 0
    """First tokens that all prompts share: they end before the first image at the latest, and are run once."""
    is_exact: bool
    """False where the text was estimated for want of a tokenizer."""
    seen: tuple[int, int]
    """(width, height) in pixels of one image as the model sees it."""
    rendered: tuple[int, int]
    """(width, height) in pixels as the environment draws it."""

    @property
    def total(self) -> int:
        return self.image_tokens + self.text_tokens


CHARACTERS_PER_TOKEN = 4
CHAT_FORMAT_TOKENS = 24
"""Estimate without a tokenizer: English text, and Qwen2-VL's chat format with its default system message."""
_COMPARED = 4
"""Environments whose first prompts are compared for what they share."""


def check_env(config: TrainConfig) -> tuple[int, int]:
    """Return (width, height) in pixels of the environment's pictures. Raises EnvError if it cannot be made."""
    from vldac.player import build_env

    env = build_env(config, 1)
    env.close()
    size: tuple[int, int] = env.image_size
    return size


def check_device(name: str) -> None:
    """Raise ConfigError for a GPU that is not there."""
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    index = int(name.partition(":")[2] or 0)
    if name.startswith("cuda") and index >= count:
        raise ConfigError(
            expected=f"a GPU that torch can use; there are {count}",
            got=repr(name),
            where="device",
            do="use auto or cpu; `vldac doctor` says what torch sees",
        )


def find_model(config: TrainConfig, *, may_use_network: bool) -> ModelFacts:
    """Return the facts of `model.name`. Raises ModelError if they cannot be had."""
    name = config.model.name
    if name == "tiny" and not config.tiny.clone_dir:
        return _tiny(config)
    folder = Path(config.tiny.clone_dir if name == "tiny" else name).expanduser()
    if folder.exists():
        return _folder(folder, name)
    if name == "tiny" or _looks_like_a_path(name):
        raise _missing(name, "no such folder", f"check the path{_near_known(name)}")
    return _hub_id(name, may_use_network, needs_weights=not config.model.random_weights)


def _tiny(config: TrainConfig) -> ModelFacts:
    """The tokenizer is trained on the texts of the warm start (small pictures: they do not matter), so the counts are exact."""
    import dataclasses

    import torch

    from vldac import tiny
    from vldac.clone import corpus, play_samples

    env = dataclasses.replace(config.env, image_size=(28, 28))
    samples = play_samples(
        env,
        max(config.tiny.clone_samples, config.tiny.clone_batch * 16),
        seed=config.seed,
        action=config.tiny.clone_action,
    )
    tokenizer = tiny.build_tokenizer(corpus(samples[:2048]), config.tiny.vocab_size)
    with torch.device("meta"):
        network = tiny.build_model(tokenizer, config.tiny, seed=config.seed)
    spec = _tiny_spec()
    return ModelFacts(config=network.config, spec=spec, tokenizer=tokenizer, source="built locally")


def _tiny_spec() -> ImageSpec:
    from vldac.tiny import build_image_processor
    from vldac.vision import image_spec

    return image_spec(build_image_processor().to_dict())


def _folder(folder: Path, name: str) -> ModelFacts:
    from transformers import AutoConfig

    from vldac.model import check_family, read_spec

    if not (folder / "config.json").is_file():
        is_adapter = (folder / "adapter_config.json").is_file()
        do = "to go on from a checkpoint: --resume-from; to evaluate it: vldac eval" if is_adapter else "check the path"
        raise _missing(name, "a folder without config.json" + (" (an adapter or checkpoint)" if is_adapter else ""), do)
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
        spec = read_spec(str(folder))
    except (OSError, ValueError) as error:
        raise _missing(name, _first_line(error), "repair the folder, or download the model again") from error
    check_family(config, name)
    return ModelFacts(config=config, spec=spec, tokenizer=_tokenizer(str(folder)), source=f"folder {folder}")


def _hub_id(name: str, may_use_network: bool, *, needs_weights: bool) -> ModelFacts:
    from transformers import AutoConfig

    from vldac.known import known_config, known_processor
    from vldac.model import check_family, read_spec
    from vldac.vision import image_spec

    cached, known = _cached_folder(name), known_config(name)
    if may_use_network and cached is None and (needs_weights or known is None):
        _require_hub(name)
    if known is not None:
        spec, tokenizer = image_spec(known_processor(name)), _tokenizer(cached) if cached else None
        return ModelFacts(config=known, spec=spec, tokenizer=tokenizer, source="shipped with vldac")
    if cached is None and not may_use_network:
        do = "download the model first, or give its folder" + _near_known(name)
        raise _missing(name, "an id whose configuration is neither in the local cache nor shipped with vldac", do)
    place = cached or name
    try:
        config = AutoConfig.from_pretrained(place)
        check_family(config, name)
        spec = read_spec(place)
    except (OSError, ValueError) as error:
        if isinstance(error, ModelError):
            raise
        raise _missing(name, _first_line(error), f"check the spelling{_near_known(name)}") from error
    source = "local cache" if cached else "hub"
    return ModelFacts(config=config, spec=spec, tokenizer=_tokenizer(cached) if cached else None, source=source)


def _looks_like_a_path(name: str) -> bool:
    return name.startswith((".", "/", "~")) or name.count("/") != 1


def _missing(name: str, got: str, do: str) -> ModelError:
    return ModelError(
        expected='"tiny", a folder with config.json, tokenizer and weights, or a Hugging Face id "organisation/model"',
        got=got,
        where=f"model.name = {name!r}",
        do=do,
    )


def _near_known(name: str) -> str:
    from vldac.known import known_ids

    return nearest(name, known_ids())


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:200]


def _tokenizer(folder: str) -> Any | None:
    """Return the tokenizer of a folder, or None; the estimate says which."""
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder)
    except (OSError, ValueError):
        return None
    return tokenizer if tokenizer.chat_template else None


def _cached_folder(name: str) -> str | None:
    """Return where the hub's client keeps `name` on this machine (transformers asks the network for an id even if it is there)."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(name, "config.json")
    return str(Path(found).parent) if isinstance(found, str) else None


def _require_hub(name: str) -> None:
    """Raise ModelError if the hub cannot be reached within seconds."""
    from vldac.model import hub_reachable

    if not hub_reachable():
        do = f"check the spelling and the network, or give the folder of a downloaded model{_near_known(name)}"
        raise _missing(name, "not on this machine, and the hub cannot be reached", do)


def prompt_size(config: TrainConfig, facts: ModelFacts) -> PromptSize:
    """Return how many tokens the environment's first prompt has for this model."""
    import torch

    from vldac.attention import shared_prefix
    from vldac.batch import MIN_SHARED
    from vldac.player import build_env
    from vldac.prompting import arrange

    env = build_env(config, min(_COMPARED, config.env.num_envs))
    obs, _ = env.reset(seed=config.seed)
    chats = [arrange(messages, config.env.num_images, config.env.prompt_layout) for messages in env.prompts()]
    env.close()
    rendered_height, rendered_width = obs["image"].shape[1:3]
    height, width = smart_resize(rendered_height, rendered_width, facts.spec)
    per_image = (height // facts.spec.factor) * (width // facts.spec.factor)
    count = config.env.num_images
    if facts.tokenizer is not None:
        template = facts.tokenizer.apply_chat_template
        texts = [template(messages, tokenize=False, add_generation_prompt=True) for messages in chats]
        ids = [facts.tokenizer(text).input_ids for text in texts]
        text_tokens = len(ids[0]) - count
        shared = shared_prefix([torch.tensor(own) for own in ids], facts.config.image_token_id)
    else:
        columns = zip(*(_words_before_image(messages) for messages in chats), strict=False)
        common = sum(1 for _ in itertools.takewhile(lambda column: len(set(column)) == 1, columns))
        words = "".join(part.get("text", "") for m in chats[0] for part in m["content"])
        text_tokens = math.ceil(len(words) / CHARACTERS_PER_TOKEN) + CHAT_FORMAT_TOKENS + 2 * (count - 1)
        shared = common // CHARACTERS_PER_TOKEN + CHAT_FORMAT_TOKENS // 2
    return PromptSize(
        image_tokens=per_image * count,
        text_tokens=text_tokens,
        shared=shared if shared >= MIN_SHARED else 0,
        is_exact=facts.tokenizer is not None,
        seen=(width, height),
        rendered=(rendered_width, rendered_height),
    )


def _words_before_image(messages: Sequence[Any]) -> str:
    parts = [part for message in messages for part in message["content"]]
    before = itertools.takewhile(lambda part: part["type"] != "image", parts)
    return "".join(part.get("text", "") for part in before)


def image_note(rendered: tuple[int, int], spec: ImageSpec) -> str | None:
    """Return what happens to pictures of `rendered` (width, height) that the model cannot take as they are, or None.

    Such pictures are resized, as the models' own processors do; a side ratio above 200 is refused (ConfigError).
    """
    width, height = rendered
    seen_height, seen_width = smart_resize(height, width, spec)
    if (seen_width, seen_height) == rendered:
        return None
    return (
        f"pictures of {width}x{height} are resized to {seen_width}x{seen_height}: this model takes sides that are multiples of "
        f"{spec.factor}, and {spec.min_pixels} to {spec.max_pixels} pixels; set env.image_size to draw them at that size"
    )


def preflight(config: TrainConfig) -> list[str]:
    """Check environment and model before anything is written; return notes for the user. Raises EnvError, ModelError."""
    check_device(config.device)
    rendered = check_env(config)
    if config.model.name == "tiny" and not config.tiny.clone_dir:
        spec = _tiny_spec()
    else:
        spec = find_model(config, may_use_network=True).spec
    note = image_note(rendered, spec)
    return [note] if note else []
