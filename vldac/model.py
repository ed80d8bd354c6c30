"""Loading a vision-language model of the Qwen2-VL, Qwen2.5-VL or Qwen3-VL family: one code path for any id or folder.

`AutoProcessor` needs torchvision, so tokenizer, image processor and model are loaded one by one, and what the image
processor says is read, not assumed. Without a network nothing is retried: one short probe decides, and a cached or known
model is used, which is said.
"""

from __future__ import annotations

import ssl
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from vldac.errors import ModelError, nearest
from vldac.known import known_config, known_ids, known_processor
from vldac.prompting import PromptEncoder
from vldac.vision import ImageSpec, image_spec

FAMILIES = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl")
LORA_TARGETS = r".*language_model.*\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)"
"""Language projections only: the vision tower and merger stay frozen in every family."""

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class VisionLanguageModel:
    """A loaded model with what is needed to feed it."""

    network: Any
    """`Qwen*VLForConditionalGeneration`."""
    tokenizer: Any
    spec: ImageSpec
    name: str

    @property
    def family(self) -> str:
        return str(self.network.config.model_type)

    def encoder(self) -> PromptEncoder:
        """Return the prompt encoder of this model."""
        return PromptEncoder(self.tokenizer, self.network.model, self.spec)

    def banned_ids(self) -> torch.Tensor:
        """Return the ids that may never be sampled: media placeholders, and head rows without a string. int64, sorted."""
        rows = self.network.get_output_embeddings().weight.shape[0]
        config, vocab = self.network.config, self.tokenizer.get_vocab()
        media = {config.image_token_id, config.video_token_id, config.vision_start_token_id, config.vision_end_token_id}
        media |= {vocab[token] for token in ("<|vision_pad|>", "<|im_start|>") if token in vocab}
        stringless = set(range(rows)) - set(vocab.values())
        return torch.tensor(sorted(media | stringless), dtype=torch.int64)

    def end_ids(self) -> tuple[int, ...]:
        """Return the ids that end a response: end of turn and end of text."""
        vocab = self.tokenizer.get_vocab()
        ids = [vocab[t] for t in ("<|im_end|>", "<|endoftext|>") if t in vocab]
        return tuple(dict.fromkeys([*ids, self.tokenizer.eos_token_id]))


def load_model(
    name: str,
    *,
    dtype: torch.dtype,
    random_weights: bool = False,
    device: torch.device | str = "cpu",
    say: Say = print,
) -> VisionLanguageModel:
    """Load a model from a Hugging Face id or a folder onto `device`.

    With `random_weights` it is built there in `dtype` from its configuration alone, the same at each call; a known id (see
    `vldac.known`) then needs no network. Raises ModelError when the model cannot be had, is of another family, lacks
    weights, or carries an adapter.
    """
    from safetensors import SafetensorError

    folder = Path(name).expanduser()
    name = str(folder) if folder.exists() else name
    place = _locate(name, say)
    try:
        if random_weights:
            return _random_model(name, place, dtype=dtype, device=device, say=say)
        return _stored_model(name, place, dtype=dtype, device=device)
    except ModelError:
        raise
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        is_folder = place is not None and Path(place).exists()
        got = "an existing folder without a readable checkpoint" if is_folder else "no such folder or id"
        raise _unusable(name, f"{got}: {str(error).splitlines()[0]}") from error


def hub_reachable(timeout: float = 3.0) -> bool:
    """Whether the Hugging Face hub (or the mirror in HF_ENDPOINT) answers within `timeout` seconds.

    transformers itself retries for about 25 s per file, so an offline start would take minutes.
    """
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return False
    try:
        request = urllib.request.Request(constants.ENDPOINT, method="HEAD")
        with urllib.request.urlopen(request, timeout=timeout):
            return True
    except urllib.error.HTTPError:
        return True
    except urllib.error.URLError as error:
        return isinstance(error.reason, ssl.SSLError)  # it answered; the client of the hub has its own certificates
    except OSError:
        return False


def refuse_adapter(network: Any, name: str) -> None:
    """Raise ModelError if a network carries an adapter: with it switched off it would not be the initial policy."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    if any(isinstance(module, BaseTunerLayer) for module in network.modules()):
        raise _adapter_error(name, "a model whose layers already carry one")


def _adapter_error(name: str, got: str) -> ModelError:
    return ModelError(
        expected="a model without an adapter (the reference policy is the model with the trained adapter switched off)",
        got=got,
        where=f"model.name = {name!r}",
        do="merge the adapter into its base (merge_and_unload, save_pretrained) and pass that folder; to go on with a run "
        "use --resume; a model object that was trained must be loaded again",
    )


def _locate(name: str, say: Say) -> str | None:
    """Return what `from_pretrained` is given: a folder, the id where the hub answers, else the cached copy's folder or None.

    A folder, since transformers asks the network for an id even with local_files_only (5.23: the tokenizer once, the search for an
    adapter 23 s long).
    """
    if Path(name).exists() or hub_reachable():
        return name
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        folder = snapshot_download(name, local_files_only=True)
    except (LocalEntryNotFoundError, HFValidationError):
        say(f"the model hub cannot be reached, and {name} is not in the local cache")
        return None
    say(f"the model hub cannot be reached: {name} is taken from the local cache")
    return str(folder)


def _unusable(name: str, got: str) -> ModelError:
    return ModelError(
        expected="a Hugging Face id or a folder with config.json, tokenizer and weights",
        got=got,
        where=f"model.name = {name!r}",
        do="check the spelling, download the model first, or pass its folder"
        + ("" if Path(name).exists() else nearest(name, known_ids())),
    )


def _out_of_reach(name: str) -> ModelError:
    return _unusable(name, "no such folder, and an id that is not in the local cache while the hub is out of reach")


def _stored_model(
    name: str, place: str | None, *, dtype: torch.dtype, device: torch.device | str
) -> VisionLanguageModel:
    from transformers import AutoConfig, AutoModelForImageTextToText, AutoTokenizer

    if place is None:
        raise _out_of_reach(name)
    if (Path(place) / "adapter_config.json").exists():
        raise _adapter_error(name, "a folder with adapter_config.json")
    config = AutoConfig.from_pretrained(place)
    check_family(config, name)
    tokenizer = AutoTokenizer.from_pretrained(place)
    spec = read_spec(place)
    _check_spec(spec, config, name)
    loaded: Any = AutoModelForImageTextToText.from_pretrained(place, dtype=dtype, output_loading_info=True)
    network, report = loaded
    refuse_adapter(network, name)
    missing = sorted(report["missing_keys"])
    if missing:
        raise ModelError(
            expected="weights for every tensor of the model",
            got=f"none for {len(missing)}, such as {missing[0]} (they would be random)",
            where=f"model.name = {name!r}",
            do="use a whole checkpoint, or model.random_weights = true",
        )
    return _settled(network.to(device), tokenizer, spec, name)


def _random_model(
    name: str, place: str | None, *, dtype: torch.dtype, device: torch.device | str, say: Say
) -> VisionLanguageModel:
    from transformers import AutoConfig, AutoTokenizer

    config = known_config(name)
    if config is not None:
        spec = image_spec(known_processor(name))
    elif place is None:
        raise _out_of_reach(name)
    else:
        config = AutoConfig.from_pretrained(place)
        check_family(config, name)
        spec = read_spec(place)
    tokenizer = None
    if place is not None:
        tokenizer = AutoTokenizer.from_pretrained(place)
        if len(tokenizer) < 256:  # for a folder without one, transformers returns an empty tokenizer
            tokenizer = None
    return random_model(config, spec, tokenizer, name=name, dtype=dtype, device=device, say=say)


def random_model(
    config: Any,
    spec: ImageSpec,
    tokenizer: Any | None,
    *,
    name: str,
    dtype: torch.dtype,
    device: torch.device | str = "cpu",
    say: Say = print,
) -> VisionLanguageModel:
    """Build a model with random weights from a transformers configuration, directly in `dtype` on `device`.

    Without a tokenizer one is built locally, and the token ids of `config` are set to its ids; the number of head rows
    stays that of the configuration. The weights are the same at each call.
    """
    from transformers import AutoModelForImageTextToText

    _check_spec(spec, config, name)
    if tokenizer is None:
        tokenizer = _local_tokenizer(config)
        rows = _vocab_size(config)
        say(
            f"{name}: no tokenizer at hand, one is built locally with {len(tokenizer)} ids; the head keeps its {rows} rows"
        )
    device = torch.device(device)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []), device:
        torch.manual_seed(0)
        network = AutoModelForImageTextToText.from_config(config, dtype=dtype)
    count = sum(p.numel() for p in network.parameters())
    say(f"{name}: {count:,} random weights ({str(dtype).removeprefix('torch.')}, {device}); this model knows nothing")
    return _settled(network, tokenizer, spec, name)


def _vocab_size(config: Any) -> int:
    return int(config.get_text_config().vocab_size)


def _local_tokenizer(config: Any) -> Any:
    """Build a byte-level BPE tokenizer on this package's own text and point the configuration's ids at it."""
    from importlib import resources

    from vldac.tiny import build_tokenizer

    files = sorted((f for f in resources.files("vldac").iterdir() if f.name.endswith(".py")), key=lambda f: f.name)
    corpus = [line for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    tokenizer = build_tokenizer(corpus, min(4096, _vocab_size(config) - 64))
    token = tokenizer.convert_tokens_to_ids
    config.image_token_id, config.video_token_id = token("<|image_pad|>"), token("<|video_pad|>")
    config.vision_start_token_id, config.vision_end_token_id = token("<|vision_start|>"), token("<|vision_end|>")
    text = config.get_text_config()
    text.bos_token_id, text.eos_token_id = token("<|endoftext|>"), token("<|im_end|>")
    return tokenizer


def _settled(network: Any, tokenizer: Any, spec: ImageSpec, name: str) -> VisionLanguageModel:
    """Check that the tokenizer belongs to the network."""
    config, vocab = network.config, tokenizer.get_vocab()
    rows = min(network.get_input_embeddings().weight.shape[0], network.get_output_embeddings().weight.shape[0])
    placeholder = tokenizer.convert_ids_to_tokens(config.image_token_id)
    if placeholder not in tokenizer.get_added_vocab() or max(vocab.values()) >= rows:
        raise ModelError(
            expected=f"a tokenizer with ids below {rows} and an image placeholder at id {config.image_token_id}",
            got=f"ids up to {max(vocab.values())} and {placeholder!r} at that id",
            where=f"tokenizer of {name!r}",
            do="use the tokenizer that belongs to the checkpoint",
        )
    return VisionLanguageModel(network=network.eval(), tokenizer=tokenizer, spec=spec, name=name)


def check_family(config: Any, name: str) -> None:
    """Raise ModelError for a configuration of another family."""
    if config.model_type not in FAMILIES:
        raise ModelError(
            expected=f"a model of the families {', '.join(FAMILIES)}",
            got=f"model_type {config.model_type!r}",
            where=f"model.name = {name!r}",
            do="choose a Qwen2-VL, Qwen2.5-VL or Qwen3-VL checkpoint",
        )


def read_spec(place: str) -> ImageSpec:
    """Read the preprocessing constants of a checkpoint, a folder or an id, from its file.

    The classes are not asked: `AutoImageProcessor` needs torchvision before transformers 5.23.
    """
    from transformers.image_processing_base import ImageProcessingMixin

    stored, _ = ImageProcessingMixin.get_image_processor_dict(place)
    return image_spec(stored, where=f"preprocessor_config.json of {place!r}")


def _check_spec(spec: ImageSpec, config: Any, name: str) -> None:
    """The image processor must cut patches as the vision tower expects them."""
    vision = config.vision_config
    theirs = (vision.patch_size, vision.spatial_merge_size, vision.temporal_patch_size)
    if theirs != (spec.patch_size, spec.merge_size, spec.temporal_patch_size):
        raise ModelError(
            expected=f"patch, merge and temporal sizes {theirs} as in the vision tower",
            got=f"{(spec.patch_size, spec.merge_size, spec.temporal_patch_size)} in the image processor",
            where=f"preprocessor_config.json of {name!r}",
            do="use the image processor that belongs to the checkpoint",
        )
