"""What a run will cost: exact parameter counts, and an estimate of the memory with each of its terms.

Counts come from the real classes on torch's meta device, so nothing is allocated. Weights, LoRA, gradients and Adam are
exact. What a pass keeps and needs are the formulas of `vldac.activations`. Not counted: the CUDA context, fragmentation, and the
workspaces of libraries.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vldac.activations import (
    DecoderShape,
    PassShape,
    cpu_tokens,
    forward_bytes,
    gpu_tokens,
    kept_bytes,
    logits_bytes,
    pass_bytes,
)
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

if TYPE_CHECKING:
    from vldac.policy import Policy

PLANNED_GPU = 80 * 10**9
"""Memory that is planned with where there is no GPU to ask."""


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
    plan: PassPlan
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
class PassPlan:
    """One forward and backward pass of the update, responses at their longest."""

    steps: int
    tokens: int
    """The steps' own and the shared prefix"""
    budget: int
    """optim.microbatch_tokens, or what is chosen for 0"""
    source: str
    """Where the budget comes from, in words"""


def plan_pass(config: TrainConfig, shape: DecoderShape, prompt: PromptSize, *, free: int | None) -> PassPlan:
    """Return the largest pass of this run. free: bytes of the GPU beside what is always there; None on a CPU."""
    optim, own = config.optim, prompt.total - prompt.shared + config.rollout.max_new_tokens - 1
    most = min(optim.microbatch_steps or optim.minibatch_steps, optim.minibatch_steps, config.rollout.steps_per_update)
    budget, source = optim.microbatch_tokens, "optim.microbatch_tokens"
    if not budget and free is None:
        budget, source = cpu_tokens(shape, shared=prompt.shared), "automatic: the fastest on a CPU"
    elif not budget:
        budget, source = gpu_tokens(shape, free=max(free or 0, 0), **_pass_settings(config)), "automatic: what fits"
    steps = max(1, min(most, (budget - prompt.shared) // own))
    return PassPlan(steps=steps, tokens=prompt.shared + steps * own, budget=budget, source=source)


def _pass_settings(config: TrainConfig) -> dict[str, Any]:
    return {
        "rank": config.model.lora_rank, "dtype_bytes": 4 if config.model.dtype == "float32" else 2,
        "is_checkpointing": config.model.gradient_checkpointing,
    }  # fmt: skip


def automatic_tokens(policy: Policy, config: TrainConfig, *, shared: int) -> int:
    """Return the tokens of a pass for optim.microbatch_tokens 0, on the policy's device as it is now: a GPU's free memory counts.

    Kept free: the gradients of the first update, and Adam's moments.
    """
    import torch

    shape = DecoderShape.of(policy.network.config)
    if policy.device.type != "cuda":
        return cpu_tokens(shape, shared=shared)
    free, _ = torch.cuda.mem_get_info(policy.device)
    free += torch.cuda.memory_reserved(policy.device) - torch.cuda.memory_allocated(policy.device)
    trained = sum(p.numel() for p in policy.parameters() if p.requires_grad)
    return gpu_tokens(shape, free=free - 12 * trained, **_pass_settings(config))


def estimate_running(policy: Policy, config: TrainConfig) -> MemoryEstimate:
    """Return the memory estimate of a run that has its model: parameters counted, the prompt measured."""
    network, info = policy.network, policy.model_info
    facts = ModelFacts(config=network.config, spec=info.spec, tokenizer=info.tokenizer, source="loaded")
    return estimate_memory(config, facts, count_parameters(config, facts), prompt_size(config, facts))


def estimate_memory(
    config: TrainConfig, facts: ModelFacts, counts: ParameterCounts, prompt: PromptSize
) -> MemoryEstimate:
    """Return the terms of the memory that this run needs."""
    shape = DecoderShape.of(facts.config)
    b = 4 if config.model.dtype == "float32" else 2
    envs, steps, images = config.env.num_envs, config.rollout.steps_per_update, config.env.num_images
    response, own = config.rollout.max_new_tokens, prompt.total - prompt.shared
    device = "cpu" if config.device == "cpu" else "cuda"  # "auto": the machine that is planned for has a GPU
    deepstack = len(getattr(facts.config.vision_config, "deepstack_visual_indexes", None) or [])
    one_frame = prompt.image_tokens // images * shape.hidden * b * (1 + deepstack)
    term = MemoryTerm
    always = (
        term(name=f"frozen weights, {config.model.dtype}", size=counts.base_bytes, phase="always",
             remedy="take a smaller model" if b == 2 else "set model.dtype bfloat16"),
        term(name="LoRA, float32: weights and Adam", size=counts.lora * 12, phase="always",
             remedy="lower model.lora_rank"),
        term(name="value head, float32: weights and Adam", size=counts.value_head * 12, phase="always",
             remedy="narrow model.value_hidden"),
        term(name=f"image features of {steps} steps", size=(steps + envs * images) * one_frame, phase="always",
             remedy="lower rollout.steps_per_update or env.image_size"),
        term(name=f"KV cache, {envs} x {own + response} tokens", phase="always", remedy="lower env.num_envs",
             size=envs * (own + response) * shape.layers * 2 * shape.key * b),
        term(name=f"KV of the shared prefix, {prompt.shared} tokens", phase="always", remedy="shorten the prompt",
             size=2 * prompt.shared * shape.layers * 2 * shape.key * b),
    )  # fmt: skip
    gradients = counts.trainable * 4
    free = None
    if device == "cuda":
        free = gpu_bytes() - sum(each.size for each in always) - gradients
    plan = plan_pass(config, shape, prompt, free=free)
    size = PassShape(
        tokens=plan.tokens - prompt.shared, kept=plan.steps * response, shared=prompt.shared, **_pass_settings(config)
    )
    kept, scoring = kept_bytes(shape, size), logits_bytes(shape, rows=size.kept, dtype_bytes=b, device=device)
    workspace = pass_bytes(shape, size, device=device) - kept
    casts = 0 if b == 4 else counts.lora * b  # LoRA in the weights' dtype, for the products
    prefill = forward_bytes(shape, tokens=envs * own, dtype_bytes=b)
    decode = 4 * (envs + 3) * shape.vocab  # float32 logits, and which ids are banned
    widest = "logits" if scoring >= workspace else "backward pass"
    fewer_tokens, fewer_envs = f"set optim.microbatch_tokens below {plan.tokens}", "lower env.num_envs"
    what = "layer inputs, and one layer recomputed" if size.is_checkpointing else "all layers"
    terms = (
        *always,
        term(name=f"rollout workspace, {envs} rows", phase="rollout", remedy=fewer_envs,
             size=max(prefill, decode, vision_workspace_bytes(facts, prompt, frames=envs, dtype_bytes=b))),
        term(name="gradients, LoRA and value head", size=gradients, phase="update", remedy="lower model.lora_rank"),
        term(name=f"activations of {plan.tokens} tokens ({what})", phase="update",
             size=kept + casts,
             remedy=fewer_tokens if size.is_checkpointing else f"{fewer_tokens}, or set "
             "model.gradient_checkpointing true"),
        term(name=f"workspace of the {widest}", size=workspace, phase="update", remedy=fewer_tokens),
    )  # fmt: skip
    width, height = prompt.rendered
    return MemoryEstimate(terms=terms, plan=plan, frames=(steps + envs * images) * width * height * 3)


def gpu_bytes() -> int:
    """Bytes of this machine's first GPU; of one of 80 GB where there is none."""
    import torch

    return int(torch.cuda.mem_get_info(0)[1]) if torch.cuda.is_available() else PLANNED_GPU


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
        "# sizes\n" + _size_text(config, prompt, memory.plan),
        "# memory (estimate)\n" + _memory_text(memory, config.device),
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


def _size_text(config: TrainConfig, prompt: PromptSize, plan: PassPlan) -> str:
    optim, steps, envs = config.optim, config.rollout.steps_per_update, config.env.num_envs
    batches = math.ceil(steps / optim.minibatch_steps)
    rows = min(optim.minibatch_steps, steps)
    guess = f"estimated at {CHARACTERS_PER_TOKEN} characters a token and {CHAT_FORMAT_TOKENS} of chat format: no tokenizer here"
    text = "counted with its tokenizer" if prompt.is_exact else guess
    width, height = prompt.seen
    lines = [
        f"prompt           {prompt.total} tokens: {prompt.image_tokens} of {config.env.num_images} image(s) at {width}x{height}, "
        f"{prompt.text_tokens} of text ({text}); {prompt.shared} of them shared and run once",
        f"response         at most {config.rollout.max_new_tokens} tokens",
        f"update           {steps} environment steps: {envs} environments x {steps // envs}",
        f"optimiser steps  {optim.epochs * batches} per update: {optim.epochs} epoch(s) x {batches} of {rows} steps, "
        f"each in {math.ceil(rows / plan.steps)} micro-batch(es) of at most {plan.steps}",
        f"micro-batch      at most {plan.budget:,} tokens ({plan.source}); {plan.steps} of the longest steps are {plan.tokens:,}",
        f"run              {optim.num_updates} updates, {optim.num_updates * steps:,} environment steps; the first "
        f"{optim.warmup_updates} train the value head alone (at most {max(optim.warmup_updates, optim.warmup_cap)})",
    ]
    if steps % optim.minibatch_steps:
        lines.append(f"                 the last optimiser step of an epoch has {steps % optim.minibatch_steps} steps")
    if config.env.max_episode_steps:
        lines.append(f"episode          at most {config.env.max_episode_steps} steps")
    return "\n".join(lines)


def _memory_text(memory: MemoryEstimate, device: str) -> str:
    lines = [f"{readable(term.size):>10}  {term.phase:<8} {term.name}" for term in memory.terms]
    largest = memory.largest
    lines += [
        f"{readable(memory.total('rollout')):>10}  peak of the rollout",
        f"{readable(memory.total('update')):>10}  peak of the update",
        f"largest term: {largest.name}, {100 * largest.size / memory.peak:.0f} % of the peak; to shrink it: {largest.remedy}",
        f"host memory: {readable(memory.frames)} of pictures, each stored once",
        "not counted: CUDA context, fragmentation" + ("" if device == "cpu" else _planned_for()),
    ]
    return "\n".join(lines)


def _planned_for() -> str:
    import torch

    return "" if torch.cuda.is_available() else f"; planned for a GPU of {readable(PLANNED_GPU)}: there is none here"


def readable(size: int) -> str:
    """Return a size in bytes as "12.3 GB" (powers of 1000)."""
    for unit, scale in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= scale:
            return f"{size / scale:.1f} {unit}"
    return f"{size} B"
