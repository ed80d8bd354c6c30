"""What a run will cost: exact parameter counts, and an estimate of the memory with each of its terms.

Counts come from the real classes on torch's meta device, so nothing is allocated. Weights, LoRA, gradients and Adam are
exact. Activations are a formula for the decoder layer of the Qwen2-VL families with float32 LoRA on a frozen base, tested
on the CPU against the tensors that autograd keeps and against the peak of live bytes. Not counted: the CUDA context,
fragmentation, and the workspaces of libraries.

Shapes: B rows of a micro-batch, L tokens of a row (longest prompt + token limit), E environments, S steps of an update.
H hidden, I MLP, Q = heads x head size, K = key-value heads x head size, V vocabulary, r LoRA rank.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Any

from vldac.config import TrainConfig
from vldac.preflight import (
    CHARACTERS_PER_TOKEN,
    CHAT_FORMAT_TOKENS,
    ModelFacts,
    PromptSize,
    check_env,
    find_model,
    image_note,
    prompt_size,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class ParameterCounts:
    """Numbers of parameters; tied weights count once."""

    language: int
    """Decoder, embeddings and head."""
    vision: int
    lora: int
    """Trainable."""
    value_head: int
    """Trainable."""
    base_bytes: int
    """Of the frozen weights in their dtype."""

    @property
    def base(self) -> int:
        return self.language + self.vision

    @property
    def trainable(self) -> int:
        return self.lora + self.value_head


@dataclass(frozen=True, kw_only=True, slots=True)
class MemoryTerm:
    """One use of device memory."""

    name: str
    size: int
    """bytes"""
    phase: str
    """"always", "rollout" or "update": the terms of the last two are not needed at the same time."""
    remedy: str
    """What makes it smaller."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MemoryEstimate:
    """Terms of the device memory, and what the host keeps."""

    terms: tuple[MemoryTerm, ...]
    frames: int
    """bytes on the host: the update's pictures, each once, uint8"""

    def total(self, phase: str) -> int:
        """Bytes needed while in "rollout" or "update"."""
        return sum(term.size for term in self.terms if term.phase in ("always", phase))

    @property
    def peak(self) -> int:
        return max(self.total("rollout"), self.total("update"))

    @property
    def largest(self) -> MemoryTerm:
        return max(self.terms, key=lambda term: term.size)


def count_parameters(config: TrainConfig, facts: ModelFacts) -> ParameterCounts:
    """Build model, LoRA and value head on the meta device and count."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForImageTextToText

    from vldac.model import LORA_TARGETS
    from vldac.policy import ValueHead

    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # PEFT asks transformers by an old name
        network = AutoModelForImageTextToText.from_config(facts.config, dtype=getattr(torch, config.model.dtype))
        base = list(network.parameters())
        vision = sum(p.numel() for p in network.model.visual.parameters())
        network.requires_grad_(False)
        lora = LoraConfig(r=config.model.lora_rank, target_modules=LORA_TARGETS, task_type="CAUSAL_LM")
        adapted = get_peft_model(network, lora, autocast_adapter_dtype=True)
        head = ValueHead(facts.config.get_text_config().hidden_size, config.model.value_hidden)
    return ParameterCounts(
        language=sum(p.numel() for p in base) - vision,
        vision=vision,
        lora=sum(p.numel() for p in adapted.parameters() if p.requires_grad),
        value_head=sum(p.numel() for p in head.parameters()),
        base_bytes=sum(p.numel() * p.element_size() for p in base),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class DecoderShape:
    """Sizes of a decoder, from its configuration."""

    layers: int
    hidden: int
    mlp: int
    heads: int
    kv_heads: int
    head_size: int
    vocab: int
    has_head_norms: bool
    """Qwen3-VL normalises queries and keys per head."""

    @classmethod
    def of(cls, model_config: Any) -> DecoderShape:
        text = model_config.get_text_config()
        return cls(
            layers=text.num_hidden_layers,
            hidden=text.hidden_size,
            mlp=text.intermediate_size,
            heads=text.num_attention_heads,
            kv_heads=text.num_key_value_heads,
            head_size=getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads,
            vocab=text.vocab_size,
            has_head_norms=model_config.model_type == "qwen3_vl",
        )


def layer_activation_bytes(shape: DecoderShape, *, rows: int, length: int, rank: int, dtype_bytes: int) -> int:
    """Bytes that autograd keeps for one decoder layer of a [rows, length] batch.

    Two RMSNorms keep a float32 copy of their input. A float32 LoRA on a bfloat16 base keeps a float32 copy of each module's
    input (q, k, v, gate, up: H; o: Q; down: I); in float32 the copies are the tensors themselves. SDPA keeps q, k, v (keys and
    values repeated to all heads) and its output; the MLP keeps three tensors of I and the mask is kept once per layer.
    """
    b, query = dtype_bytes, shape.heads * shape.head_size
    norms = 2 * 4 * (shape.hidden + 1)
    if b == 4:
        lora_inputs = 4 * (2 * shape.hidden + shape.mlp)
    else:
        lora_inputs = 4 * (5 * shape.hidden + query + shape.mlp)
    lora_hidden = 7 * 4 * rank
    attention = b * 4 * query + 4 * shape.heads + b * length
    if shape.has_head_norms:
        attention += 4 * (query + shape.kv_heads * shape.head_size + shape.heads + shape.kv_heads)
    per_token = norms + lora_inputs + lora_hidden + attention + 3 * b * shape.mlp
    return rows * length * per_token


def checkpointed_activation_bytes(shape: DecoderShape, layer: int, *, rows: int, length: int, dtype_bytes: int) -> int:
    """Bytes kept with gradient checkpointing: every layer's input, and the tensors of the one `layer` that is recomputed."""
    return shape.layers * rows * length * shape.hidden * dtype_bytes + layer


def forward_workspace_bytes(shape: DecoderShape, *, tokens: int, dtype_bytes: int) -> int:
    """Bytes of short-lived tensors of a pass without gradient, at its widest place: up_proj, whose LoRA sum is float32."""
    return tokens * shape.mlp * (2 * dtype_bytes + 12)


def backward_workspace_bytes(shape: DecoderShape, *, tokens: int, dtype_bytes: int) -> int:
    """Bytes of short-lived tensors of a backward pass: two gradients of down_proj's input, and the float32 hidden state's."""
    return tokens * (shape.mlp * (4 + dtype_bytes) + 4 * shape.hidden)


def logits_bytes(shape: DecoderShape, *, rows: int, dtype_bytes: int, device: str = "cuda") -> int:
    """Bytes of scoring `rows` response tokens with their gradient, by the kernels of the device.

    A GPU holds one chunk of float32 logits, their gradient in the weights' dtype and its product with the head; the CPU a tile
    (three, where the head must be converted). Both keep the gradient of the hidden states [rows, H].
    """
    from vldac.kernels.cpp_rows import SCRATCH_BYTES
    from vldac.kernels.triton_table import planned_rows

    kept = rows * shape.hidden * dtype_bytes
    if device == "cpu":
        return kept + (1 if dtype_bytes == 4 else 3) * SCRATCH_BYTES + 2 * 4 * rows * shape.hidden
    chunk = min(rows, planned_rows(dtype_bytes, shape.hidden, shape.vocab))
    return kept + chunk * (-(-shape.vocab // 16) * 16 * (4 + dtype_bytes) + 4 * shape.hidden)


def rows_per_pass(config: TrainConfig, prompt: PromptSize) -> int:
    """Return the environment steps of one forward and backward pass, responses at their longest."""
    optim, length = config.optim, prompt.total + config.rollout.max_new_tokens
    rows = min(optim.microbatch_steps, optim.minibatch_steps, config.rollout.steps_per_update)
    return max(1, min(rows, optim.microbatch_tokens // length)) if optim.microbatch_tokens else rows


def estimate_memory(
    config: TrainConfig, facts: ModelFacts, counts: ParameterCounts, prompt: PromptSize
) -> MemoryEstimate:
    """Return the terms of the memory that this run needs."""
    shape = DecoderShape.of(facts.config)
    b = 4 if config.model.dtype == "float32" else 2
    envs, steps, images = config.env.num_envs, config.rollout.steps_per_update, config.env.num_images
    rows, length = rows_per_pass(config, prompt), prompt.total + config.rollout.max_new_tokens
    layer = layer_activation_bytes(shape, rows=rows, length=length, rank=config.model.lora_rank, dtype_bytes=b)
    if config.model.gradient_checkpointing:
        activations = checkpointed_activation_bytes(shape, layer, rows=rows, length=length, dtype_bytes=b)
        what = "layer inputs, and one layer recomputed"
    else:
        activations = shape.layers * layer
        what = "with the float32 copies of LoRA's inputs" if b == 2 else "all layers"
    activations += 2 * rows * length * shape.head_size * b  # rotary cosines and sines, shared by the layers
    workspace = backward_workspace_bytes(shape, tokens=rows * length, dtype_bytes=b)
    device = "cpu" if config.device == "cpu" else "cuda"  # "auto": the machine that is planned for has a GPU
    scoring = logits_bytes(shape, rows=rows * config.rollout.max_new_tokens, dtype_bytes=b, device=device)
    kv = envs * length * shape.layers * 2 * shape.kv_heads * shape.head_size * b
    prefill = forward_workspace_bytes(shape, tokens=envs * prompt.total, dtype_bytes=b)
    decode = 4 * (envs + 3) * shape.vocab  # float32 logits, and which ids are banned
    deepstack = len(getattr(facts.config.vision_config, "deepstack_visual_indexes", None) or [])
    one_frame = prompt.image_tokens // images * shape.hidden * b * (1 + deepstack)
    widest = "logits" if scoring > workspace else "backward pass"
    fewer_rows, fewer_envs = "lower optim.microbatch_steps", "lower env.num_envs"
    term = MemoryTerm
    terms = (
        term(name=f"frozen weights, {config.model.dtype}", size=counts.base_bytes, phase="always",
             remedy="take a smaller model" if b == 2 else "set model.dtype bfloat16"),
        term(name="LoRA, float32: weights and Adam", size=counts.lora * 12, phase="always",
             remedy="lower model.lora_rank"),
        term(name="value head, float32: weights and Adam", size=counts.value_head * 12, phase="always",
             remedy="narrow model.value_hidden"),
        term(name=f"image features of {steps} steps", size=(steps + envs * images) * one_frame, phase="always",
             remedy="lower rollout.steps_per_update or env.image_size"),
        term(name=f"KV cache, {envs} x {length} tokens", size=kv, phase="rollout", remedy=fewer_envs),
        term(name=f"rollout workspace, {envs} rows", phase="rollout", remedy=fewer_envs,
             size=max(prefill, decode, vision_workspace_bytes(facts, prompt, frames=envs, dtype_bytes=b))),
        term(name="gradients, LoRA and value head", size=counts.trainable * 4, phase="update",
             remedy="lower model.lora_rank"),
        term(name=f"activations of {rows} x {length} tokens ({what})", size=activations, phase="update",
             remedy=fewer_rows if config.model.gradient_checkpointing else f"{fewer_rows}, or set "
             "model.gradient_checkpointing true"),
        term(name=f"workspace of the {widest}", size=max(scoring, workspace), phase="update", remedy=fewer_rows),
    )  # fmt: skip
    width, height = prompt.rendered
    return MemoryEstimate(terms=terms, frames=(steps + envs * images) * width * height * 3)


def vision_workspace_bytes(facts: ModelFacts, prompt: PromptSize, *, frames: int, dtype_bytes: int) -> int:
    """Bytes of encoding `frames` pictures at once: uint8 patches and their copy, and the embedding (see `vldac.fold`) or a block at
    its widest, whichever is more."""
    vision, spec = facts.config.vision_config, facts.spec
    width, height = prompt.seen
    patches = frames * (width // spec.patch_size) * (height // spec.patch_size)
    hidden = getattr(vision, "embed_dim", None) or vision.hidden_size
    mlp = getattr(vision, "intermediate_size", None) or int(vision.mlp_ratio * hidden)
    pixels = 3 * spec.patch_size**2
    embedding = (4 * pixels if dtype_bytes < 4 else 0) + hidden * (4 + dtype_bytes)
    is_gated = facts.config.model_type == "qwen2_5_vl"  # its MLP holds gate, activated gate and value at once
    block = dtype_bytes * (4 * hidden + (3 if is_gated else 2) * mlp)
    return int(patches * (pixels * (1 + dtype_bytes) + max(embedding, block)))


def dry_run(config: TrainConfig) -> str:
    """Check a configuration and return the report of `--dry-run`. Writes nothing and asks no network."""
    from vldac.configuration import to_yaml

    check_env(config)
    facts = find_model(config, may_use_network=False)
    counts, prompt = count_parameters(config, facts), prompt_size(config, facts)
    memory = estimate_memory(config, facts, counts, prompt)
    parts = [
        "# configuration\n" + to_yaml(config).rstrip(),
        "# parameters\n" + _parameter_text(config, facts, counts),
        "# sizes\n" + _size_text(config, prompt),
        "# memory (estimate)\n" + _memory_text(memory),
    ]
    note = image_note(prompt.rendered, facts.spec)
    if note:
        parts.append(f"# note\n{note}")
    return "\n\n".join(parts) + "\n\nThis configuration is valid. Nothing was written."


def _parameter_text(config: TrainConfig, facts: ModelFacts, counts: ParameterCounts) -> str:
    share = 100 * counts.trainable / counts.base
    lines = [
        f"{config.model.name}: {facts.config.model_type}, configuration {facts.source}",
        f"{counts.base:>16,}  base, frozen ({counts.language:,} language + {counts.vision:,} vision)",
        f"{counts.lora:>16,}  LoRA, trained (rank {config.model.lora_rank}, language projections)",
        f"{counts.value_head:>16,}  value head, trained",
        f"{counts.trainable:>16,}  trained in all, {share:.2f} % of the base",
    ]
    return "\n".join(lines)


def _size_text(config: TrainConfig, prompt: PromptSize) -> str:
    optim, steps, envs = config.optim, config.rollout.steps_per_update, config.env.num_envs
    batches = math.ceil(steps / optim.minibatch_steps)
    rows = min(optim.minibatch_steps, steps)
    per_pass = rows_per_pass(config, prompt)
    guess = f"estimated at {CHARACTERS_PER_TOKEN} characters a token and {CHAT_FORMAT_TOKENS} of chat format: no tokenizer here"
    text = "counted with its tokenizer" if prompt.is_exact else guess
    width, height = prompt.seen
    lines = [
        f"prompt           {prompt.total} tokens: {prompt.image_tokens} of {config.env.num_images} image(s) at {width}x{height}, "
        f"{prompt.text_tokens} of text ({text})",
        f"response         at most {config.rollout.max_new_tokens} tokens",
        f"update           {steps} environment steps: {envs} environments x {steps // envs}",
        f"optimiser steps  {optim.epochs * batches} per update: {optim.epochs} epoch(s) x {batches} of {rows} steps, "
        f"each in {math.ceil(rows / per_pass)} micro-batch(es) of at most {per_pass}",
        f"run              {optim.num_updates} updates, {optim.num_updates * steps:,} environment steps; the first "
        f"{optim.warmup_updates} train the value head alone (at most {max(optim.warmup_updates, optim.warmup_cap)})",
    ]
    if steps % optim.minibatch_steps:
        lines.append(f"                 the last optimiser step of an epoch has {steps % optim.minibatch_steps} steps")
    if config.env.max_episode_steps:
        lines.append(f"episode          at most {config.env.max_episode_steps} steps")
    return "\n".join(lines)


def _memory_text(memory: MemoryEstimate) -> str:
    lines = [f"{readable(term.size):>10}  {term.phase:<8} {term.name}" for term in memory.terms]
    largest = memory.largest
    lines += [
        f"{readable(memory.total('rollout')):>10}  peak of the rollout",
        f"{readable(memory.total('update')):>10}  peak of the update",
        f"largest term: {largest.name}, {100 * largest.size / memory.peak:.0f} % of the peak; to shrink it: {largest.remedy}",
        f"host memory: {readable(memory.frames)} of pictures, each stored once",
        "not counted: CUDA context, fragmentation",
    ]
    return "\n".join(lines)


def readable(size: int) -> str:
    """Return a size in bytes as "12.3 GB" (powers of 1000)."""
    for unit, scale in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= scale:
            return f"{size / scale:.1f} {unit}"
    return f"{size} B"
