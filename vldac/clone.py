"""The warm start of the tiny model: behaviour cloning of responses that see but cannot act.

Each cloned response names truthfully what is on the picture and takes an action drawn uniformly at random. So perception
comes from cloning and decisions from RL. That the start reads its images is measured, not assumed: `reading_accuracy`
compares its fields with the truth, on the right pictures and on pictures shuffled between samples.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from vldac import tiny
from vldac.config import EnvConfig, TinyConfig
from vldac.model import VisionLanguageModel, load_model
from vldac.prompting import Prompt, PromptEncoder, image_patches

_CLONE_SEED_BASE = 2_000_000_000
"""Cloning plays environments from this seed on: far from training (run seed) and evaluation (1,000,000) seeds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """One picture, its prompt, and a truthful response with a random action."""

    messages: list[dict[str, Any]]
    image: np.ndarray
    facts: dict[str, Any]
    response: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadingAccuracy:
    """Share of responses whose truthful fields all equal the truth."""

    own_images: float
    shuffled_images: float


def response_text(facts: dict[str, Any], action: str) -> str:
    """Return the response the prompt asks for: the facts, then the action, as one JSON object."""
    return json.dumps({**facts, "action": action})


def play_samples(env_config: EnvConfig, count: int, *, seed: int) -> list[Sample]:
    """Play at random from cloning seeds and return `count` samples."""
    from vldac.envs import make

    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, 1])))
    num_envs = min(count, 64)
    env = make(
        env_config.id, num_envs, task=env_config.task, image_size=env_config.image_size, prompt=env_config.prompt,
        max_episode_steps=env_config.max_episode_steps, num_threads=1,
    )  # fmt: skip
    base = _CLONE_SEED_BASE + seed * 100_000
    obs, _ = env.reset(seed=base)
    samples: list[Sample] = []
    names = env.action_names
    while len(samples) < count:
        actions = rng.integers(len(names), size=num_envs)
        for i, (messages, facts) in enumerate(zip(env.prompts(), env.facts(), strict=True)):
            fields = {key: facts[key] for key in env.response_fields}
            response = response_text(fields, names[int(actions[i])])
            samples.append(Sample(messages=messages, image=obs["image"][i].copy(), facts=fields, response=response))
        obs, *_ = env.step(actions)
    env.close()
    return samples[:count]


def warm_start(
    folder: Path,
    env_config: EnvConfig,
    config: TinyConfig,
    *,
    seed: int,
    on_update: Callable[[int, float], None] = lambda update, loss: None,
) -> VisionLanguageModel:
    """Build the tiny model, clone it, save it to `folder`, and return it as loaded from there."""
    samples = play_samples(env_config, max(4096, config.clone_batch * 16), seed=seed)
    texts = [s.response for s in samples[:2048]] + [
        part["text"] for s in samples[:2048] for m in s.messages for part in m["content"] if "text" in part
    ]
    tokenizer = tiny.build_tokenizer(texts, config.vocab_size)
    network = tiny.build_model(tokenizer, config, seed=seed)
    tiny.save(folder, network, tokenizer)
    model = load_model(str(folder), dtype=torch.float32)
    _clone(model, samples, config, seed=seed, on_update=on_update)
    model.network.save_pretrained(folder)
    return model


def _clone(
    model: VisionLanguageModel,
    samples: list[Sample],
    config: TinyConfig,
    *,
    seed: int,
    on_update: Callable[[int, float], None],
) -> None:
    """Train every weight on the response tokens by cross-entropy, AdamW, cosine learning rate with a short warm-up."""
    encoder = model.encoder()
    prepared = [_prepare(encoder, sample, model) for sample in samples]
    patches = [p for p, *_ in prepared]
    network = model.network.train()
    decay = [p for p in network.parameters() if p.dim() >= 2]
    rest = [p for p in network.parameters() if p.dim() < 2]
    optimizer = torch.optim.AdamW(
        [{"params": decay, "weight_decay": 0.02}, {"params": rest, "weight_decay": 0.0}],
        lr=config.clone_lr,
        betas=(0.9, 0.98),
    )
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, 2])))
    for update in range(config.clone_updates):
        warm = min(1.0, (update + 1) / 30)
        lr = config.clone_lr * warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * update / config.clone_updates)))
        for group in optimizer.param_groups:
            group["lr"] = lr
        rows = rng.integers(len(prepared), size=config.clone_batch)
        loss = _clone_loss(model, [prepared[r] for r in rows], torch.cat([patches[r] for r in rows]))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        on_update(update + 1, float(loss.detach()))
    network.eval()


Prepared = tuple[torch.Tensor, tuple[int, int, int], Prompt, torch.Tensor]


def _prepare(encoder: PromptEncoder, sample: Sample, model: VisionLanguageModel) -> Prepared:
    patches, grid = image_patches(sample.image[None], model.spec)
    prompt = encoder.encode(sample.messages, [0], grid)
    ids = model.tokenizer(sample.response + "<|im_end|>").input_ids
    return patches, grid, prompt, torch.tensor(ids, dtype=torch.int64)


def _clone_loss(model: VisionLanguageModel, rows: list[Prepared], patches: torch.Tensor) -> torch.Tensor:
    from vldac.policy import collate

    network = model.network
    grids = torch.tensor([grid for _, grid, _, _ in rows])
    embeds = torch.cat(list(network.model.get_image_features(patches, grids).pooler_output))
    none: list[list[Any]] = [[] for _ in rows]
    prompts, responses = [p for _, _, p, _ in rows], [r for *_, r in rows]
    batch = collate(prompts, responses, none, torch.device("cpu"), model.tokenizer.pad_token_id)
    inputs = network.get_input_embeddings()(batch.input_ids)
    is_image = batch.input_ids == network.config.image_token_id
    hidden = network.model.language_model(
        inputs_embeds=inputs.masked_scatter(is_image[..., None], embeds),
        attention_mask=batch.attention_mask,
        position_ids=batch.positions,
        use_cache=False,
    ).last_hidden_state
    before = batch.action_mask.roll(-1, dims=1)
    before[:, -1] = False
    return functional.cross_entropy(network.lm_head(hidden[before]), batch.targets)


def reading_accuracy(
    model: VisionLanguageModel, env_config: EnvConfig, *, count: int = 256, seed: int = 7_000
) -> ReadingAccuracy:
    """Measure how often greedy responses name the truth, with the right pictures and with pictures shuffled."""
    samples = play_samples(env_config, count, seed=seed)
    order = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, 3]))).permutation(count)
    own = _accuracy(model, samples, [s.image for s in samples])
    shuffled = _accuracy(model, samples, [samples[i].image for i in order])
    return ReadingAccuracy(own_images=own, shuffled_images=shuffled)


def _accuracy(model: VisionLanguageModel, samples: list[Sample], images: list[np.ndarray]) -> float:
    from vldac.policy import Policy

    policy = Policy.frozen(model)
    limit = max(len(model.tokenizer(s.response).input_ids) for s in samples) + 2
    right = 0
    for start in range(0, len(samples), 64):
        chunk = samples[start : start + 64]
        features = policy.encode_frames(np.stack(images[start : start + 64]))
        prompts = [policy.encoder.encode(s.messages, [0], features[0].grid) for s in chunk]
        seeds = torch.arange(len(chunk))
        responses = policy.act(
            prompts, [[f] for f in features], seeds=seeds, max_new_tokens=limit, temperature=1.0, greedy=True
        )
        texts = model.tokenizer.batch_decode(responses.ids, skip_special_tokens=True)
        right += sum(_names_truth(text, s.facts) for text, s in zip(texts, chunk, strict=True))
    return right / len(samples)


def _names_truth(text: str, facts: dict[str, Any]) -> bool:
    try:
        said = json.loads(text)
    except ValueError:
        return False
    return isinstance(said, dict) and all(said.get(key) == value for key, value in facts.items())
