"""Any folder or id of the three families loads through one path; what cannot be used is refused in four parts."""

from __future__ import annotations

import dataclasses
import json
import shutil
import socket
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from vldac import model as loading
from vldac.config import ModelConfig
from vldac.errors import ModelError
from vldac.known import known_config, known_processor
from vldac.model import VisionLanguageModel, load_model, random_model
from vldac.policy import Policy
from vldac.vision import ImageSpec

KNOWN = {
    "qwen2_vl": "Qwen/Qwen2-VL-7B-Instruct",
    "qwen2_5_vl": "Qwen/Qwen2.5-VL-7B-Instruct",
    "qwen3_vl": "Qwen/Qwen3-VL-8B-Instruct",
}


def shrunken(name: str) -> Any:
    """A known configuration with the real vocabulary and ids, and everything else small."""
    config = known_config(name)
    text, vision = config.text_config, config.vision_config
    text.num_hidden_layers, text.hidden_size, text.intermediate_size = 2, 128, 64
    text.num_attention_heads, text.num_key_value_heads = 4, 2
    text.layer_types = ["full_attention"] * 2
    text.rope_parameters = {**text.rope_parameters, "mrope_section": [4, 6, 6]}
    vision.depth, vision.num_heads = 2, 4
    if hasattr(vision, "embed_dim"):
        vision.embed_dim, vision.hidden_size = 64, 128
    else:
        vision.hidden_size, vision.out_hidden_size, vision.intermediate_size = 64, 128, 96
    if hasattr(text, "head_dim"):
        text.head_dim = 32
        vision.deepstack_visual_indexes = [0, 1]
    if hasattr(vision, "fullatt_block_indexes"):
        vision.fullatt_block_indexes = [1]
    return config


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """No network: every look-up of a host name fails at once, and is recorded."""
    asked: list[tuple[Any, ...]] = []

    def fail(*args: Any, **_: Any) -> Any:
        asked.append(args)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return asked


def test_a_folder_is_loaded_without_asking_the_network(offline: list[tuple[Any, ...]], checkpoint: Path) -> None:
    for random_weights in (False, True):
        load_model(str(checkpoint), dtype=torch.float32, random_weights=random_weights, say=lambda text: None)
    assert offline == []


def test_a_folder_loads_with_its_family_tokenizer_and_spec(model: VisionLanguageModel, family: str) -> None:
    assert model.family == family
    assert not any(module.training for module in model.network.modules())
    assert model.tokenizer.convert_tokens_to_ids("<|image_pad|>") == model.network.config.image_token_id


def test_a_known_id_without_a_network_fails_within_seconds_and_says_why(
    offline: list[tuple[Any, ...]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """transformers retries each file for about 25 s; one probe decides instead."""
    said: list[str] = []
    start = time.perf_counter()
    with pytest.raises(ModelError, match="hub is out of reach"):
        load_model("Qwen/Qwen2-VL-7B-Instruct", dtype=torch.float32, say=said.append)
    assert time.perf_counter() - start < 10
    assert len(offline) == 1
    assert said == ["the model hub cannot be reached, and Qwen/Qwen2-VL-7B-Instruct is not in the local cache"]


def cache_as(folder: Path, name: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a checkpoint folder into a hub cache, as a download of the id `name` would."""
    repository = cache / f"models--{name.replace('/', '--')}"
    shutil.copytree(folder, repository / "snapshots" / ("0" * 40))
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0" * 40, encoding="utf-8")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))


def test_an_id_in_the_cache_loads_without_a_network(
    offline: list[tuple[Any, ...]], checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache_as(checkpoint, "someone/tiny", tmp_path, monkeypatch)
    model, stored = load_model("someone/tiny", dtype=torch.float32), load_model(str(checkpoint), dtype=torch.float32)
    assert model.name == "someone/tiny" and model.spec == stored.spec
    assert torch.equal(model.network.lm_head.weight, stored.network.lm_head.weight)
    assert len(offline) == 1


def test_an_id_whose_repository_has_an_adapter_is_refused(
    offline: list[tuple[Any, ...]], checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """transformers loads base and adapter together, without a word."""
    from peft import LoraConfig, get_peft_model

    network = load_model(str(checkpoint), dtype=torch.float32).network
    folder = shutil.copytree(checkpoint, tmp_path / "folder")
    adapted = get_peft_model(network, LoraConfig(r=2, target_modules=r".*language_model.*\.q_proj"))
    adapted.save_pretrained(folder)
    cache_as(folder, "someone/adapted", tmp_path / "cache", monkeypatch)
    with pytest.raises(ModelError, match="merge the adapter into its base"):
        load_model("someone/adapted", dtype=torch.float32)


def test_a_misspelt_id_is_answered_with_the_nearest_known_one(offline: list[tuple[Any, ...]]) -> None:
    with pytest.raises(ModelError, match="did you mean 'Qwen/Qwen2-VL-7B-Instruct'"):
        load_model("Qwen/Qwen2-VL-7B-Instrct", dtype=torch.float32, say=lambda text: None)


def test_random_weights_of_a_known_id_need_no_network(
    offline: list[tuple[Any, ...]], family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The path of the real id, with its configuration shrunken: real vocabulary, local tokenizer, asked dtype, said aloud."""
    name = KNOWN[family]
    monkeypatch.setattr(loading, "known_config", shrunken)
    said: list[str] = []
    model = load_model(name, dtype=torch.bfloat16, random_weights=True, say=said.append)
    rows = 152_064 if family != "qwen3_vl" else 151_936
    assert model.network.get_output_embeddings().weight.shape == (rows, 128)
    assert {p.dtype for p in model.network.parameters()} == {torch.bfloat16}
    assert model.network.model.language_model.rotary_emb.inv_freq.dtype == torch.float32
    assert model.spec.max_pixels == known_processor(name)["max_pixels"]
    assert any("no tokenizer at hand, one is built locally" in text for text in said)
    assert any("random weights (bfloat16, cpu)" in text for text in said)
    banned = model.banned_ids()
    assert len(banned) >= rows - len(model.tokenizer)
    assert model.network.config.image_token_id in banned.tolist()
    assert model.network.config.text_config.eos_token_id == model.tokenizer.eos_token_id


def test_random_weights_of_a_folder_with_only_a_configuration_get_a_local_tokenizer(
    checkpoint: Path, tmp_path: Path
) -> None:
    """transformers would return an empty tokenizer for it, without a word."""
    for file in ("config.json", "preprocessor_config.json"):
        shutil.copy(checkpoint / file, tmp_path / file)
    said: list[str] = []
    model = load_model(str(tmp_path), dtype=torch.float32, random_weights=True, say=said.append)
    assert len(model.tokenizer) > 256
    assert model.tokenizer("<|image_pad|>").input_ids == [model.network.config.image_token_id]
    assert "no tokenizer at hand, one is built locally" in said[0]
    with pytest.raises(ModelError):
        load_model(str(tmp_path), dtype=torch.float32)


def test_a_random_model_acts_and_scores(offline: list[tuple[Any, ...]], family: str) -> None:
    import numpy as np

    constants = known_processor(KNOWN[family])
    model = random_model(
        shrunken(KNOWN[family]), loading.image_spec(constants), None, name="shrunken", dtype=torch.float32,
        say=lambda text: None,
    )  # fmt: skip
    config = ModelConfig(lora_rank=2, value_hidden=(8,))
    policy = Policy(model, config, device=torch.device("cpu"), seed=0)
    features = policy.encode_frames(np.random.default_rng(0).integers(0, 256, (2, 100, 100, 3), dtype=np.uint8))
    content = [{"type": "image"}, {"type": "text", "text": "Move the current number to the target."}]
    prompts = [policy.encoder.encode([{"role": "user", "content": content}], [i], features[0].grid) for i in range(2)]
    own = [[frame] for frame in features]
    said = policy.act(prompts, own, seeds=torch.arange(2), max_new_tokens=4, temperature=1.0)
    with torch.no_grad():
        scored = policy(policy.collate(prompts, said.ids, own), temperature=1.0)
    assert float((torch.cat(said.logprob) - scored.logprob).abs().max()) < 1e-4
    assert not bool(torch.isin(torch.cat(said.ids), policy.banned_ids).any())


def test_random_weights_are_the_same_at_each_call_and_leave_the_random_state_alone(checkpoint: Path) -> None:
    """A resumed run builds the same base model again."""
    torch.manual_seed(11)
    before = torch.get_rng_state()
    one, two = (
        load_model(str(checkpoint), dtype=torch.float32, random_weights=True, say=lambda text: None) for _ in range(2)
    )
    assert torch.equal(before, torch.get_rng_state())
    own = load_model(str(checkpoint), dtype=torch.float32)
    for (name, a), (_, b) in zip(one.network.named_parameters(), two.network.named_parameters(), strict=True):
        assert torch.equal(a, b), name
    assert not torch.equal(one.network.lm_head.weight, own.network.lm_head.weight)
    assert one.tokenizer.get_vocab() == own.tokenizer.get_vocab()


def test_a_model_with_a_tied_head_loads_and_trains_without_moving_the_head(family: str, tmp_path: Path) -> None:
    """2B, 3B and 4B tie head and embeddings: the file has no head, and nothing may be reported missing or be trained."""
    from transformers import AutoModelForImageTextToText

    name = KNOWN[family]
    config = shrunken(name)
    config.tie_word_embeddings = config.text_config.tie_word_embeddings = True
    spec = loading.image_spec(known_processor(name))
    built = random_model(config, spec, None, name="tied", dtype=torch.float32, say=lambda text: None)
    built.network.save_pretrained(tmp_path)
    built.tokenizer.save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(known_processor(name)), encoding="utf-8")
    assert "lm_head.weight" not in load_file(tmp_path / "model.safetensors")
    model = load_model(str(tmp_path), dtype=torch.float32)
    network = model.network
    assert network.get_output_embeddings().weight is network.get_input_embeddings().weight
    assert isinstance(network, type(AutoModelForImageTextToText.from_config(config)))
    policy = Policy(model, ModelConfig(lora_rank=2, value_hidden=(8,)), device=torch.device("cpu"), seed=0)
    assert not policy.head_weight.requires_grad
    assert len(policy.lora_parameters()) == 2 * 7 * 2


def test_a_folder_under_the_home_directory_is_found(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(checkpoint, tmp_path / "mine")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load_model("~/mine", dtype=torch.float32).name == str(tmp_path / "mine")


def test_making_a_policy_is_silent(
    model: VisionLanguageModel, recwarn: pytest.WarningsRecorder, capfd: pytest.CaptureFixture[str]
) -> None:
    Policy(model, ModelConfig(lora_rank=2, value_hidden=(8,)), device=torch.device("cpu"), seed=0)
    assert [str(w.message) for w in recwarn] == [] and capfd.readouterr().out == ""


def test_a_text_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "qwen2"}', encoding="utf-8")
    for random_weights in (False, True):
        with pytest.raises(ModelError, match="model_type 'qwen2'"):
            load_model(str(tmp_path), dtype=torch.float32, random_weights=random_weights)


@pytest.mark.parametrize("content", ["", "{", '{"model_type": "no_such_family"}', "{}"])
def test_an_unreadable_configuration_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.json").write_text(content, encoding="utf-8")
    with pytest.raises(ModelError, match="without a readable checkpoint"):
        load_model(str(tmp_path), dtype=torch.float32)


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json", "preprocessor_config.json", "model.safetensors"])
def test_a_folder_with_a_missing_or_cut_file_is_refused(checkpoint: Path, tmp_path: Path, file: str) -> None:
    folder = shutil.copytree(checkpoint, tmp_path / "copy")
    whole = (folder / file).read_bytes()
    (folder / file).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError):
        load_model(str(folder), dtype=torch.float32)
    (folder / file).unlink()
    with pytest.raises(ModelError):
        load_model(str(folder), dtype=torch.float32)


def test_a_checkpoint_that_lacks_a_tensor_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    """transformers would fill it with random numbers."""
    folder = shutil.copytree(checkpoint, tmp_path / "copy")
    tensors = load_file(folder / "model.safetensors")
    name = next(n for n in tensors if n.endswith("layers.1.self_attn.k_proj.weight"))
    del tensors[name]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"layers\.1\.self_attn\.k_proj\.weight \(they would be random\)"):
        load_model(str(folder), dtype=torch.float32)


def test_an_image_processor_of_another_family_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(checkpoint, tmp_path / "copy")
    path = folder / "preprocessor_config.json"
    stored = json.loads(path.read_text(encoding="utf-8"))
    stored["patch_size"] = 30 - stored["patch_size"]
    path.write_text(json.dumps(stored), encoding="utf-8")
    with pytest.raises(ModelError, match="as in the vision tower"):
        load_model(str(folder), dtype=torch.float32)


def test_an_image_processor_without_its_constants_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(checkpoint, tmp_path / "copy")
    (folder / "preprocessor_config.json").write_text(
        '{"patch_size": 14, "size": {"shortest_edge": 784}}', encoding="utf-8"
    )
    with pytest.raises(ModelError, match="no merge_size, temporal_patch_size, image_mean, image_std, max_pixels"):
        load_model(str(folder), dtype=torch.float32)


def test_constants_are_found_in_every_place_where_transformers_writes_them(
    checkpoint: Path, tmp_path: Path, model: VisionLanguageModel
) -> None:
    """Old files have min_pixels and max_pixels beside or inside size; new ones may sit inside processor_config.json."""
    stored = json.loads((checkpoint / "preprocessor_config.json").read_text(encoding="utf-8"))
    size = stored.pop("size")
    limits = {"min_pixels": size["shortest_edge"], "max_pixels": size["longest_edge"]}
    for place, (file, content) in enumerate(
        (
            ("preprocessor_config.json", stored | limits),
            ("preprocessor_config.json", stored | {"size": limits}),
            ("preprocessor_config.json", stored | limits | {"size": {"shortest_edge": 1, "longest_edge": 2}}),
            ("processor_config.json", {"image_processor": stored | {"size": size}}),
        )
    ):
        folder = shutil.copytree(checkpoint, tmp_path / str(place))
        (folder / "preprocessor_config.json").unlink()
        (folder / file).write_text(json.dumps(content), encoding="utf-8")
        assert load_model(str(folder), dtype=torch.float32).spec == model.spec


def test_a_tokenizer_of_another_model_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    from vldac import tiny

    folder = shutil.copytree(checkpoint, tmp_path / "copy")
    tiny.build_tokenizer(["some other text, with more and other words in it"] * 3, 280).save_pretrained(folder)
    with pytest.raises(ModelError, match="an image placeholder at id"):
        load_model(str(folder), dtype=torch.float32)


def test_the_processor_of_a_known_id_must_fit_its_vision_tower() -> None:
    spec = loading.image_spec(known_processor(KNOWN["qwen3_vl"]))
    with pytest.raises(ModelError, match="as in the vision tower"):
        random_model(shrunken(KNOWN["qwen2_vl"]), spec, None, name="mixed", dtype=torch.float32)


def test_the_hub_is_not_asked_when_offline_mode_is_set(
    offline: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert not loading.hub_reachable()
    assert offline == []


def test_spec_values_are_plain_numbers(model: VisionLanguageModel) -> None:
    assert isinstance(model.spec, ImageSpec)
    assert all(type(v) is int or all(type(x) is float for x in v) for v in dataclasses.asdict(model.spec).values())
