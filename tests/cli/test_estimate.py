"""The dry run: counts are exact, countable memory terms are exact, and activations are what autograd keeps."""

import dataclasses
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from vldac.activations import (
    SAFETY,
    DecoderShape,
    PassShape,
    cpu_tokens,
    forward_bytes,
    gpu_tokens,
    kept_bytes,
    logits_bytes,
    pass_bytes,
    update_bytes,
)
from vldac.arguments import parse_train
from vldac.attention import RowAttention, RowLayout
from vldac.config import ModelConfig, TrainConfig
from vldac.configuration import load_config
from vldac.decoder import Decoder
from vldac.estimate import (
    MemoryEstimate,
    automatic_tokens,
    count_parameters,
    estimate_memory,
    estimate_running,
    vision_workspace_bytes,
)
from vldac.known import known_config, known_processor
from vldac.model import LORA_TARGETS
from vldac.preflight import ModelFacts, PromptSize, find_model, prompt_size
from vldac.update import token_batch
from vldac.vision import image_spec


class LiveBytes(TorchDispatchMode):
    """Counts the bytes of all storages born inside and still alive; `peak` is their highest sum."""

    def __init__(self) -> None:
        super().__init__()
        self.live = self.peak = 0
        self.seen: set[int] = set()

    def _dead(self, key: int, size: int) -> None:
        self.seen.discard(key)
        self.live -= size

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        before = {t.untyped_storage()._cdata for t in _tensors((args, kwargs))}
        result = func(*args, **(kwargs or {}))
        for tensor in _tensors(result):
            storage = tensor.untyped_storage()
            if storage._cdata in self.seen or storage._cdata in before:
                continue
            self.seen.add(storage._cdata)
            self.live += storage.nbytes()
            weakref.finalize(storage, self._dead, storage._cdata, storage.nbytes())
        self.peak = max(self.peak, self.live)
        return result


def _tensors(tree: Any) -> list[torch.Tensor]:
    return [x for x in torch.utils._pytree.tree_leaves(tree) if isinstance(x, torch.Tensor)]


def small(name: str, dtype: torch.dtype) -> tuple[Any, Any]:
    """A small random model of a published checkpoint's family with LoRA as the policy attaches it; (model config, network)."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForImageTextToText

    config = known_config(name)
    text, vision = config.text_config, config.vision_config
    text.hidden_size, text.intermediate_size, text.num_hidden_layers, text.vocab_size = 256, 704, 3, 1024
    text.num_attention_heads, text.num_key_value_heads, text.layer_types = 8, 2, ["full_attention"] * 3
    if getattr(text, "head_dim", None):
        text.head_dim = 32
    text.rope_parameters["mrope_section"] = [4, 6, 6]
    vision.depth, vision.num_heads = 1, 4
    if config.model_type == "qwen2_vl":
        vision.embed_dim, vision.hidden_size = 96, 256
    else:
        vision.hidden_size, vision.out_hidden_size = 96, 256
    if config.model_type == "qwen3_vl":
        vision.deepstack_visual_indexes = [0]
    config.image_token_id, config.video_token_id = 1000, 1001
    config.vision_start_token_id, config.vision_end_token_id = 1002, 1003
    torch.manual_seed(0)
    network = AutoModelForImageTextToText.from_config(config, dtype=dtype)
    network.requires_grad_(False)
    get_peft_model(network, LoraConfig(r=16, target_modules=LORA_TARGETS, task_type="CAUSAL_LM"))
    return config, network.eval()


SHAPES = {
    "no prefix": {"rows": 8, "length": 100, "kept": 30, "shared": 0},
    "a prefix": {"rows": 8, "length": 100, "kept": 30, "shared": 64},
    "a prefix longer than the rows": {"rows": 4, "length": 60, "kept": 50, "shared": 200},
    "few long rows": {"rows": 2, "length": 300, "kept": 20, "shared": 0},
}


class Pass:
    """A pass of packed rows through a small decoder, and its sizes."""

    def __init__(
        self, name: str, dtype: torch.dtype, *, rows: int, length: int, kept: int, shared: int, checkpointing: bool = False,
        attention: str = "auto",
    ) -> None:  # fmt: skip
        config, self.network = small(name, dtype)
        self.shape, self.decoder = DecoderShape.of(config), Decoder(self.network, name, attention=attention)
        self.size = PassShape(
            tokens=rows * length, kept=rows * kept, shared=shared, rank=16, dtype_bytes=dtype.itemsize,
            is_checkpointing=checkpointing,
        )  # fmt: skip
        ends = torch.arange(rows + 1)
        self.layout = RowLayout(offsets=ends * length, kept=ends * kept)
        self.inputs = torch.randn(rows * length, self.shape.hidden, dtype=dtype)
        self.positions = shared + torch.arange(length).repeat(rows)
        self.keep = torch.cat([torch.arange(length - kept, length) + row * length for row in range(rows)])

    def forward(self) -> torch.Tensor:
        decoder, prefix, settings = (
            self.decoder,
            None,
            {"is_adapted": True, "is_checkpointing": self.size.is_checkpointing},
        )
        if self.size.shared:
            ids = torch.arange(self.size.shared)
            prefix = decoder.prefix(ids, ids.expand(3, -1), **settings)
        attend = RowAttention(
            self.layout, prefix, num_layers=len(decoder.layers), scale=decoder.scale, attention=decoder.attention
        )
        return decoder(self.inputs, self.positions, attend, keep=self.keep, **settings)

    def kept(self) -> int:
        """Bytes of the storages that autograd keeps from a forward pass, weights left out."""
        weights = {p.untyped_storage().data_ptr() for p in [*self.network.parameters(), *self.network.buffers()]}
        kept: dict[int, torch.Tensor] = {}

        def pack(tensor: torch.Tensor) -> torch.Tensor:
            kept.setdefault(tensor.untyped_storage().data_ptr(), tensor)
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            out = self.forward()
        assert out.requires_grad
        return sum(t.untyped_storage().nbytes() for key, t in kept.items() if key not in weights)

    @property
    def casts(self) -> int:
        """Bytes of the adapter in the dtype of the weights, one group of projections at a time in float32."""
        return sum(p.numel() for p in self.network.parameters() if p.requires_grad) * self.size.dtype_bytes


QWEN = ["Qwen/Qwen2-VL-7B-Instruct", "Qwen/Qwen2.5-VL-7B-Instruct", "Qwen/Qwen3-VL-8B-Instruct"]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", QWEN)
def test_activations_are_what_autograd_keeps(name: str, shape: str, dtype: torch.dtype) -> None:
    """Within 5 %, adapters in the weights' dtype included (in float32 only those of groups are copies)."""
    one = Pass(name, dtype, **SHAPES[shape])
    expected = kept_bytes(one.shape, one.size) + (one.casts if dtype == torch.bfloat16 else 0)
    assert one.kept() == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("shape", ["no prefix", "a prefix", "few long rows"])
def test_the_attention_of_a_gpu_keeps_no_copies_of_the_prefix(shape: str) -> None:
    """sdpa pads rows and puts the prefix before each: autograd must not keep that. Masks are the only thing beside the formula."""
    one = Pass(QWEN[0], torch.float32, **SHAPES[shape], attention="sdpa")
    assert one.kept() == pytest.approx(kept_bytes(one.shape, one.size), rel=0.05)


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", QWEN[::2])
def test_the_peak_of_forward_and_backward_is_the_estimate(
    name: str, shape: str, dtype: torch.dtype, checkpointing: bool
) -> None:
    """Within 7 %: the issue asks for 15."""
    one = Pass(name, dtype, **SHAPES[shape], checkpointing=checkpointing)
    with LiveBytes() as memory:
        one.forward().float().sum().backward()
    casts = one.casts if dtype == torch.bfloat16 and not checkpointing else 0
    gradients = sum(p.grad.nbytes for p in one.network.parameters() if p.grad is not None)
    assert memory.peak == pytest.approx(update_bytes(one.shape, one.size) + casts + gradients / 3, rel=0.07)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_peak_of_a_pass_without_gradient_is_the_estimate(shape: str, dtype: torch.dtype) -> None:
    """Within 15 %, the adapter's copies and the prefix's keys and values included."""
    one = Pass(QWEN[0], dtype, **SHAPES[shape])
    with LiveBytes() as memory, torch.no_grad():
        one.forward()
    b = one.size.dtype_bytes
    expected = forward_bytes(one.shape, tokens=max(one.size.tokens, one.size.shared), dtype_bytes=b)
    expected += one.casts * (1 if b == 2 else 0) + one.size.shared * one.shape.layers * 2 * one.shape.key * b
    assert memory.peak == pytest.approx(expected, rel=0.15)


def test_checkpointing_needs_far_less() -> None:
    plain, saving = (Pass(QWEN[0], torch.float32, **SHAPES["a prefix"], checkpointing=on) for on in (False, True))
    assert update_bytes(saving.shape, saving.size) < 0.6 * update_bytes(plain.shape, plain.size)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("rows", [64, 1152, 5000])
def test_the_logits_term_is_the_peak_of_scoring_on_a_gpu(dtype: torch.dtype, rows: int) -> None:
    """At the real size, on tensors without memory; within 3 %: vectors of [rows] are left out."""
    triton_tier = pytest.importorskip("vldac.kernels.triton_tier")
    pytest.importorskip("triton")
    from vldac.kernels.triton_launch import recording
    from vldac.kernels.triton_table import planned_rows

    shape = DecoderShape.of(known_config("Qwen/Qwen2-VL-7B-Instruct"))
    with torch.device("meta"):
        hidden, weight = (
            torch.empty(rows, shape.hidden, dtype=dtype),
            torch.empty(shape.vocab, shape.hidden, dtype=dtype),
        )
        target, temperature = torch.empty(rows, dtype=torch.int64), torch.empty(1)
        chunk = planned_rows(dtype.itemsize, shape.hidden, shape.vocab)
        with recording(), LiveBytes() as memory:
            triton_tier.linear_logprob(
                hidden,
                weight,
                target,
                None,
                temperature,
                0.0,
                -100,
                needs_gradient=True,
                chunk_rows=chunk,
                batch_invariant=False,
            )
    assert memory.peak == pytest.approx(logits_bytes(shape, rows=rows, dtype_bytes=dtype.itemsize), rel=0.03)


@pytest.mark.parametrize(("dtype", "hidden"), [(torch.float32, 96), (torch.bfloat16, 96), (torch.bfloat16, 1024)])
def test_the_logits_term_bounds_the_peak_of_scoring_on_the_cpu(dtype: torch.dtype, hidden: int) -> None:
    from vldac.kernels import cpp_rows

    rows = torch.randn(640, hidden, dtype=dtype)
    weight = torch.randn(8192, hidden, dtype=dtype)
    shape = DecoderShape.of(known_config("Qwen/Qwen2-VL-7B-Instruct"))
    shape = dataclasses.replace(shape, vocab=8192, hidden=hidden)
    with LiveBytes() as memory:
        cpp_rows.linear_logprob(
            rows, weight, torch.arange(640), None, torch.ones(1), 0.0, -100,
            needs_gradient=True, chunk_rows=0, batch_invariant=False,
        )  # fmt: skip
    term = logits_bytes(shape, rows=640, dtype_bytes=dtype.itemsize, device="cpu")
    assert 0.2 * term < memory.peak <= term


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    "name", ["Qwen/Qwen2-VL-7B-Instruct", "Qwen/Qwen2.5-VL-7B-Instruct", "Qwen/Qwen3-VL-8B-Instruct"]
)
def test_the_term_of_encoding_frames_is_right_within_a_quarter(name: str, dtype: torch.dtype) -> None:
    from vldac.fold import fed_with_bytes
    from vldac.prompting import image_bytes

    config, network = small(name, dtype)
    facts = ModelFacts(config=config, spec=image_spec(known_processor(name)), tokenizer=None, source="")
    side = 10 * facts.spec.factor
    prompt = PromptSize(
        image_tokens=100, text_tokens=1, is_exact=True, seen=(side, side), rendered=(side, side)
    )  # fmt: skip
    with LiveBytes() as memory, torch.no_grad(), fed_with_bytes(network.model.visual, facts.spec):
        patches, grid = image_bytes(np.zeros((6, side, side, 3), np.uint8), facts.spec)
        network.model.get_image_features(patches.clone(), torch.tensor([grid] * 6))
    expected = vision_workspace_bytes(facts, prompt, frames=6, dtype_bytes=torch.finfo(dtype).bits // 8)
    assert memory.peak == pytest.approx(expected, rel=1 / 4)


@pytest.fixture(scope="module")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[TrainConfig, Any]:
    """A tiny configuration and the trainer that it makes."""
    from vldac.clone import warm_start
    from vldac.trainer import Trainer

    words = ["--tiny.clone_updates", "1", "--env.num_envs", "4", "--rollout.steps_per_update", "16"]
    sizes = ["--optim.minibatch_steps", "16", "--optim.microbatch_steps", "16", "--eval.episodes", "0"]
    _, config = parse_train(["quickstart", *words, *sizes, "--optim.warmup_updates", "0"])
    torch.manual_seed(0)
    model = warm_start(tmp_path_factory.mktemp("tiny"), config.env, config.tiny, seed=config.seed)
    trainer = Trainer(config, model)
    yield config, trainer
    trainer.close()


def test_parameter_counts_are_those_of_the_real_policy(tiny_run: tuple[TrainConfig, Any]) -> None:
    config, trainer = tiny_run
    counts = count_parameters(config, find_model(config, may_use_network=False))
    policy = trainer.policy
    lora = dict(policy.lora_parameters())
    frozen = [p for p in policy.network.parameters() if not p.requires_grad]
    assert counts.lora == sum(p.numel() for p in lora.values())
    assert counts.value_head == sum(p.numel() for p in policy.value_head.parameters())
    assert counts.base == sum(p.numel() for p in frozen)
    assert counts.base_bytes == sum(p.untyped_storage().nbytes() for p in frozen)
    assert counts.vision == sum(p.numel() for p in policy.network.model.visual.parameters())


def test_countable_memory_terms_are_exact_after_an_update(tiny_run: tuple[TrainConfig, Any]) -> None:
    config, trainer = tiny_run
    facts = find_model(config, may_use_network=False)
    prompt = prompt_size(config, facts)
    terms = {t.name: t.size for t in estimate_memory(config, facts, count_parameters(config, facts), prompt).terms}
    batch = trainer.collect()
    assert {len(p.ids) for p in batch.prompts} == {prompt.total} and prompt.is_exact
    frames = {frame.embeds.data_ptr(): frame.embeds.numel() * 4 for step in batch.features for frame in step}
    assert len(frames) == 16 and terms["image features of 16 steps"] == sum(frames.values()) * 20 // 16
    trainer.update(batch)
    for name, optimizer, parameters in (
        ("LoRA, float32: weights and Adam", "policy", [p for _, p in trainer.policy.lora_parameters()]),
        ("value head, float32: weights and Adam", "value", list(trainer.policy.value_head.parameters())),
    ):
        state = trainer.optimizers[optimizer].state
        moments = sum(state[p][key].nbytes for p in parameters for key in ("exp_avg", "exp_avg_sq"))
        assert terms[name] == sum(p.nbytes for p in parameters) + moments


def test_the_peak_of_a_micro_batch_is_the_estimate(tiny_run: tuple[TrainConfig, Any]) -> None:
    """Forward, scoring, loss and backward on the real path; within 15 %."""
    config, trainer = tiny_run
    batch = trainer.collect()
    trainer.policy.zero_grad(set_to_none=True)
    with LiveBytes() as memory:
        tokens = token_batch(trainer.policy, batch, np.arange(16))
        evaluation = trainer.policy(tokens, temperature=1.0)
        (evaluation.logprob.sum() + evaluation.value.sum()).backward()
    facts = find_model(config, may_use_network=False)
    prompt = prompt_size(config, facts)
    shared = 0 if tokens.prefix is None else len(tokens.prefix.ids)
    assert prompt.shared == shared > 8
    longest = -(-len(tokens.targets) // 16)  # mean of the responses: the estimate is for 16 of one length
    limit = dataclasses.replace(config.rollout, max_new_tokens=longest)
    config = dataclasses.replace(config, rollout=limit, device="cpu")
    estimate = estimate_memory(config, facts, count_parameters(config, facts), prompt)
    assert estimate.plan.steps == 16 and estimate.plan.tokens == pytest.approx(tokens.num_tokens, rel=0.03)
    update_terms = sum(term.size for term in estimate.terms if term.phase == "update")
    assert memory.peak == pytest.approx(update_terms, rel=0.15)


def planned(*words: str) -> MemoryEstimate:
    _, config = parse_train(["paper", *words])
    facts = find_model(config, may_use_network=False)
    return estimate_memory(config, facts, count_parameters(config, facts), prompt_size(config, facts))


def test_checkpointing_shrinks_the_activations_and_the_largest_term_is_the_largest() -> None:
    large, small_ = (
        planned("--optim.microbatch_tokens", "8000"),
        planned("--optim.microbatch_tokens", "8000", "--model.gradient_checkpointing", "true"),
    )
    assert small_.total("update") < large.total("update") - 20e9
    assert large.largest.size == max(t.size for t in large.terms) and large.largest.name.startswith("activations")
    assert small_.largest.name.startswith("frozen weights")
    assert large.peak == max(large.total("rollout"), large.total("update"))


def test_a_token_limit_makes_the_passes_smaller() -> None:
    few, many = planned("--optim.microbatch_tokens", "1000"), planned("--optim.microbatch_tokens", "4000")
    assert few.plan.tokens <= 1000 and 3 * few.plan.steps < many.plan.steps
    assert any(t.name.startswith(f"activations of {few.plan.tokens} tokens") for t in few.terms)
    assert planned("--optim.microbatch_steps", "3").plan.steps == 3


def test_an_automatic_pass_takes_what_the_gpu_has_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = {}
    for gigabytes in (40, 80, 140):
        monkeypatch.setattr("vldac.estimate.gpu_bytes", lambda size=gigabytes * 10**9: size)
        estimate = planned("--optim.minibatch_steps", "100000", "--rollout.steps_per_update", "64")
        sizes[gigabytes] = estimate.plan.budget
        passes = sum(t.size for t in estimate.terms if t.phase == "update" and not t.name.startswith("gradients"))
        assert passes <= gigabytes * 10**9 - estimate.total("always")
    assert sizes[40] < sizes[80] < sizes[140] and 5_000 < sizes[80] < 20_000
    shape = DecoderShape.of(known_config("Qwen/Qwen2-VL-7B-Instruct"))
    settings = {"rank": 16, "dtype_bytes": 2}
    tokens = gpu_tokens(shape, free=60 * 10**9, is_checkpointing=False, **settings)
    for count, fits in ((tokens, True), (tokens + 1, False)):
        needed = pass_bytes(shape, PassShape(tokens=count, kept=count, **settings), device="cuda")
        assert (needed <= SAFETY * 60 * 10**9) == fits
    assert gpu_tokens(shape, free=60 * 10**9, is_checkpointing=True, **settings) > 5 * tokens
    assert gpu_tokens(shape, free=-5, is_checkpointing=False, **settings) == 1


def test_a_pass_on_the_cpu_is_sized_by_the_width_of_the_model(tiny_run: tuple[TrainConfig, Any]) -> None:
    config, trainer = tiny_run
    assert automatic_tokens(trainer.policy, config, shared=0) == 2**19 // 128
    shape = DecoderShape.of(trainer.policy.network.config)
    assert cpu_tokens(shape, shared=1000) == 8000


def test_the_running_estimate_is_the_dry_runs(tiny_run: tuple[TrainConfig, Any]) -> None:
    config, trainer = tiny_run
    facts = find_model(config, may_use_network=False)
    dry = estimate_memory(config, facts, count_parameters(config, facts), prompt_size(config, facts))
    assert estimate_running(trainer.policy, config) == dry


def test_the_original_value_head_and_the_7b_model_have_their_published_sizes() -> None:
    config = load_config("paper")
    counts = count_parameters(config, find_model(config, may_use_network=False))
    assert (counts.base, counts.value_head) == (8_291_375_616, 17_308_673)
    assert counts.base_bytes == 2 * counts.base
    # rank 16 on seven projections of 28 layers: q, o 3584 -> 3584; k, v 3584 -> 512; gate, up 3584 -> 18944; down back
    assert counts.lora == 28 * 16 * (2 * 7168 + 2 * 4096 + 3 * 22528)


def test_dry_run_of_the_7b_works_offline_and_writes_nothing(vldac, monkeypatch, tmp_path: Path) -> None:
    import socket

    def no_network(*_: Any, **__: Any) -> None:
        raise AssertionError("the dry run asked the network")

    monkeypatch.setattr(socket, "create_connection", no_network)
    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    code, out, err = vldac(
        "train", "paper", "--model", "Qwen/Qwen2-VL-7B-Instruct", "--env", "gym_cards/EZPoints-v0", "--dry-run"
    )
    assert (code, err) == (0, "") and list(tmp_path.iterdir()) == []
    for words in (
        "8,291,375,616  base, frozen",
        "17,308,673  value head",
        "largest term: activations",
        "8 per update: 2 epoch(s) x 4 of 128 steps, each in ",
        "tokens (automatic: what fits)",
        "shared and run once",
        "121 of 1 image(s) at 308x308",
        "pictures of 300x300 are resized to 308x308",
        "100 updates, 51,200 environment steps",
    ):
        assert words in out


def test_the_printed_configuration_is_the_one_that_would_run(vldac) -> None:
    from vldac.configuration import parse_config

    _, out, _ = vldac("train", "quickstart", "--env.num_envs", "16", "--seed", "7", "--dry-run")
    text = out.split("# parameters")[0]
    _, config = parse_train(["quickstart", "--env.num_envs", "16", "--seed", "7"])
    assert parse_config(text, where="dry run") == config


def test_a_dropout_recipe_counts_the_same_adapter() -> None:
    config = load_config("repo-yaml")
    assert config.model == ModelConfig(lora_dropout=0.1)
    facts = find_model(config, may_use_network=False)
    assert count_parameters(config, facts).lora == 40_370_176
