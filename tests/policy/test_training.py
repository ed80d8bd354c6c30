"""What is trained, what is not, and what the reference is."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from vldac.batch import TokenBatch
from vldac.config import ModelConfig
from vldac.errors import ModelError, SelfCheckError
from vldac.model import VisionLanguageModel, load_model
from vldac.policy import Policy

CPU = torch.device("cpu")
PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def whole_batch(policy: Policy, rows: Any) -> TokenBatch:
    return policy.collate(rows.prompts, rows.responses, rows.features)


def train_steps(policy: Policy, batch: TokenBatch, count: int = 3) -> None:
    """A few updates of adapter and value head, scoring the reference in between as the trainer does."""
    optimizer = torch.optim.Adam([p for p in policy.parameters() if p.requires_grad], lr=1e-2)
    for _ in range(count):
        with policy.reference(), torch.no_grad():
            policy(batch, temperature=1.0)
        evaluation = policy(batch, temperature=1.0)
        (evaluation.logprob.mean() + (evaluation.value**2).mean()).backward()
        optimizer.step()
        optimizer.zero_grad()


def test_only_the_language_projections_and_the_value_head_are_trained(make_policy: Callable[..., Policy]) -> None:
    policy = make_policy()
    adapted = set()
    for name, parameter in policy.named_parameters():
        if not parameter.requires_grad:
            continue
        if name.startswith("value_head."):
            continue
        match = re.search(r"language_model\.layers\.(\d+)\.(?:self_attn|mlp)\.(\w+)\.lora_[AB]\.default\.weight$", name)
        assert match, name
        adapted.add((int(match[1]), match[2]))
    assert adapted == {(layer, projection) for layer in range(2) for projection in PROJECTIONS}
    assert not any(p.requires_grad for p in policy.network.model.visual.parameters())


def test_every_adapter_tensor_gets_a_gradient_and_the_base_gets_none(
    make_policy: Callable[..., Policy], make_rows: Any
) -> None:
    policy = make_policy()
    policy(whole_batch(policy, make_rows(policy)), temperature=1.0).logprob.sum().backward()
    for name, parameter in policy.peft.named_parameters():
        assert (parameter.grad is not None and bool(parameter.grad.abs().max() > 0)) == ("lora_" in name), name


@pytest.mark.parametrize("checkpointing", [False, True])
def test_the_reference_is_the_initial_model_bit_for_bit_after_updates(
    make_policy: Callable[..., Policy], make_rows: Any, checkpoint: Path, checkpointing: bool
) -> None:
    policy = make_policy(gradient_checkpointing=checkpointing)
    rows = make_rows(policy)
    batch = whole_batch(policy, rows)
    with torch.no_grad():
        initial = Policy.frozen(load_model(str(checkpoint), dtype=torch.float32))(batch, temperature=1.0)
    train_steps(policy, batch)
    with policy.reference(), torch.no_grad():
        reference = policy(batch, temperature=1.0)
    with torch.no_grad():
        trained = policy(batch, temperature=1.0)
    assert torch.equal(reference.logprob, initial.logprob)
    assert torch.equal(reference.value_input, initial.value_input)
    assert float((trained.logprob - initial.logprob).abs().max()) > 1e-2


def test_the_reference_between_forward_and_backward_changes_no_gradient(
    make_policy: Callable[..., Policy], make_rows: Any
) -> None:
    for checkpointing in (False, True):
        gradients = []
        for interrupted in (False, True):
            policy = make_policy(gradient_checkpointing=checkpointing)
            batch = whole_batch(policy, make_rows(policy))
            evaluation = policy(batch, temperature=1.0)
            if interrupted:
                with policy.reference(), torch.no_grad():
                    policy(batch, temperature=1.0)
            evaluation.logprob.sum().backward()
            gradients.append([p.grad for _, p in policy.lora_parameters()])
        assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))


def test_gradient_checkpointing_gives_the_same_gradients_and_decoding(
    make_policy: Callable[..., Policy], make_rows: Any
) -> None:
    results = []
    for checkpointing in (False, True):
        policy = make_policy(gradient_checkpointing=checkpointing)
        rows = make_rows(policy)
        evaluation = policy(whole_batch(policy, rows), temperature=1.0)
        (evaluation.logprob.sum() + evaluation.value.sum()).backward()
        gradients = [p.grad for p in policy.parameters() if p.requires_grad]
        said = policy.act(rows.prompts, rows.features, seeds=torch.arange(4), max_new_tokens=6, temperature=1.0)
        results.append((gradients, said))
    (plain, said), (checkpointed, said_again) = results
    for a, b in zip(plain, checkpointed, strict=True):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-5)
    assert all(torch.equal(a, b) for a, b in zip(said.ids, said_again.ids, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(said.logprob, said_again.logprob, strict=True))


def saved_bytes(policy: Policy, batch: TokenBatch) -> int:
    """Bytes of activations that a forward pass keeps for backward (each storage once, parameters apart)."""
    own = {p.untyped_storage().data_ptr() for p in policy.parameters()}
    kept: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        evaluation = policy(batch, temperature=1.0)
    assert evaluation.logprob.requires_grad
    return sum(kept.values())


def test_gradient_checkpointing_keeps_far_fewer_activations(make_policy: Callable[..., Policy], make_rows: Any) -> None:
    """The policy stays in evaluation mode, where transformers skips checkpointing in silence: it must be on all the same."""
    plain, checkpointed = make_policy(), make_policy(gradient_checkpointing=True)
    batch = whole_batch(plain, make_rows(plain))
    assert saved_bytes(checkpointed, batch) < 0.5 * saved_bytes(plain, batch)


def test_no_layer_is_left_in_training_mode(make_policy: Callable[..., Policy], make_rows: Any) -> None:
    policy = make_policy(gradient_checkpointing=True)
    policy(whole_batch(policy, make_rows(policy)), temperature=1.0)
    assert not any(module.training for module in policy.modules())


def test_bfloat16_scores_repeat_exactly_and_the_mismatch_of_decoding_is_bounded(
    make_policy: Callable[..., Policy], make_rows: Any, record_property: Callable[[str, Any], None]
) -> None:
    """In bfloat16 the trainer's path gives ratio 1 with the same packing; decoding differs, which is measured."""
    policy = make_policy(dtype=torch.bfloat16)
    assert policy.head_weight.dtype == torch.bfloat16
    rows = make_rows(policy)
    said = policy.act(rows.prompts, rows.features, seeds=torch.arange(4), max_new_tokens=24, temperature=1.0)
    batch = policy.collate(rows.prompts, said.ids, rows.features)
    with torch.no_grad():
        old = policy(batch, temperature=1.0)
    again = policy(batch, temperature=1.0)
    assert old.logprob.dtype == torch.float32 and again.logprob.requires_grad
    assert float((old.logprob - again.logprob).detach().abs().max()) <= 1e-4
    mismatch = (torch.cat(said.logprob) - old.logprob).abs()
    record_property("decode_mismatch_mean", float(mismatch.mean()))
    record_property("decode_mismatch_max", float(mismatch.max()))
    assert 0 < float(mismatch.mean()) < 0.1


def test_bfloat16_weights_keep_float32_rotary_frequencies(make_policy: Callable[..., Policy]) -> None:
    """Rounding inv_freq to bfloat16 turns positions by 0.46 rad at 400 tokens; it must stay as float32 gives it."""
    low, full = make_policy(dtype=torch.bfloat16), make_policy()
    frequencies = low.network.model.language_model.rotary_emb.inv_freq
    assert frequencies.dtype == torch.float32
    assert torch.equal(frequencies, full.network.model.language_model.rotary_emb.inv_freq)


def test_bfloat16_adapters_and_values_are_float32(make_policy: Callable[..., Policy]) -> None:
    policy = make_policy(dtype=torch.bfloat16)
    assert {p.dtype for p in policy.parameters() if p.requires_grad} == {torch.float32}


def test_a_folder_with_an_adapter_is_refused(model: VisionLanguageModel, checkpoint: Path, tmp_path: Path) -> None:
    """With an adapter that was not fresh at the start, "adapter off" is not the initial policy."""
    from peft import LoraConfig, get_peft_model

    network = get_peft_model(model.network, LoraConfig(r=2, target_modules=r".*language_model.*\.q_proj"))
    network.save_pretrained(tmp_path / "adapter")
    with pytest.raises(ModelError, match="merge the adapter into its base") as error:
        load_model(str(tmp_path / "adapter"), dtype=torch.float32)
    assert "adapter_config.json" in str(error.value)
    for file in (*checkpoint.iterdir(), *(tmp_path / "adapter").iterdir()):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    with pytest.raises(ModelError, match="merge the adapter into its base"):
        load_model(str(tmp_path), dtype=torch.float32)


def test_a_loaded_model_that_carries_an_adapter_is_refused(model: VisionLanguageModel) -> None:
    from peft import LoraConfig, get_peft_model

    get_peft_model(model.network, LoraConfig(r=2, target_modules=r".*language_model.*\.q_proj"))
    with pytest.raises(ModelError, match="merge the adapter into its base"):
        Policy(model, ModelConfig(lora_rank=2, value_hidden=(8,)), device=CPU, seed=0)


def test_no_reference_is_scored_with_a_trained_tower(make_policy: Callable[..., Policy]) -> None:
    """With the adapter off such a model is not the initial policy."""
    policy = make_policy()
    policy.network.model.visual.requires_grad_(True)
    with pytest.raises(SelfCheckError, match="frozen vision tower"), policy.reference():
        pass
