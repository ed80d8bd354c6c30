"""The warm start of the tiny model: behaviour cloning of responses that see but cannot act.

Each cloned response names truthfully what is on the picture and takes an action drawn at random (`TinyConfig.clone_action`), never
an expert's, unless "quarter_oracle" asks for that in one step of four. So perception comes from cloning and decisions from RL.
That the start reads its images is measured, not assumed: `reading_accuracy` compares its fields with the truth, on the right pictures
and on pictures shuffled between samples.

While cloning, a throw-away linear head (`ReadingHead`) also reads the truthful fields, never the action, from the last prompt
token. The first response token is the same everywhere, so without it that token's hidden state, where the value is read,
would say nothing of the picture. The head is dropped before the start is saved.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from vldac import tiny
from vldac.actions import fill_form, is_form
from vldac.config import EnvConfig, TinyConfig
from vldac.envs.grammar import continuations
from vldac.errors import ConfigError
from vldac.model import VisionLanguageModel, load_model
from vldac.moves import is_text
from vldac.prompting import Prompt, PromptEncoder, arrange, image_patches

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
class FieldReading:
    """How often one field, or all of them together, is named truthfully. Shares of the samples."""

    own_images: float
    shuffled_images: float
    """With the pictures permuted between the samples."""
    chance: float
    """What a perfect reader of a picture drawn at random from the samples would score: sum of squared label shares."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadingAccuracy:
    """What the start reads of its pictures; the first three are of responses whose fields are all true."""

    own_images: float
    shuffled_images: float
    chance: float
    fields: dict[str, FieldReading]
    samples: int


def response_text(facts: dict[str, Any], action: str) -> str:
    """Return the response the prompt asks for: the facts, then the action, as one JSON object."""
    return json.dumps({**facts, "action": action})


def action_choices(env_id: str, facts: dict[str, Any], names: Sequence[str], mode: str) -> list[str]:
    """Return the actions that a cloned response draws from, each with equal odds. No one is preferred for being right."""
    return list(continuations(env_id, facts, names)) if mode == "grammatical" else list(names)


def play_samples(env_config: EnvConfig, count: int, *, seed: int, action: str = "uniform") -> list[Sample]:
    """Play at random (`action` as in TinyConfig.clone_action) from cloning seeds and return `count` samples."""
    from vldac.envs.catalogue import is_foreign
    from vldac.player import make_env

    if is_foreign(env_config.id):
        raise ConfigError(
            expected="a native environment, whose pictures come with the truth about them, to clone a tiny model in",
            got=env_config.id, where="model.name = tiny",
            do="train a Hugging Face model there, or reuse a warm start with tiny.clone_dir",
        )  # fmt: skip
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, 1])))
    num_envs = min(count, 64)
    env = make_env(env_config, num_envs, num_threads=1)
    _ = env.image_size  # an error where there are no pictures
    obs, _ = env.reset(seed=_CLONE_SEED_BASE + seed * 100_000)
    samples: list[Sample] = []
    while len(samples) < count:
        told: list[str] = []
        expert = _expert(env) if action == "quarter_oracle" else None
        every = env.commands() if is_text(env) else [env.action_names] * num_envs
        for i, (messages, facts, names) in enumerate(zip(env.prompts(), env.facts(), every, strict=True)):
            choices = action_choices(env_config.id, facts, names, action)
            chosen = choices[int(rng.integers(len(choices)))]
            if expert is not None and rng.random() < 0.25:
                chosen = expert[i]
            if is_form(chosen):
                chosen = fill_form(chosen, env.random_words(np.array([i]))[0], int(rng.integers(2**63)))
            told.append(chosen)
            fields = {key: facts[key] for key in env.response_fields}
            response = response_text(fields, chosen)
            samples.append(
                Sample(
                    messages=arrange(messages, 1, env_config.prompt_layout),
                    image=obs["image"][i].copy(),
                    facts=fields,
                    response=response,
                )
            )
        obs, *_ = env.step(
            told if is_text(env) else np.array([env.action_names.index(name) for name in told], np.int64)
        )
    env.close()
    return samples[:count]


def _expert(env: Any) -> list[str]:
    """The scripted expert's actions in words."""
    return env.oracle_commands() if is_text(env) else [env.action_names[int(a)] for a in env.oracle_actions()]


def warm_start(
    folder: Path,
    env_config: EnvConfig,
    config: TinyConfig,
    *,
    seed: int,
    on_update: Callable[[int, float], None] = lambda update, loss: None,
) -> VisionLanguageModel:
    """Build the tiny model, clone it, save it to `folder`, and return it as loaded from there.

    The folder appears whole or not at all: it is built under a temporary name and renamed at the end. Raises ConfigError if
    it exists and is not empty.
    """
    if folder.exists() and any(folder.iterdir()):
        raise ConfigError(
            expected="a new or empty folder for the warm start", got="one with files in it", where=str(folder),
            do="choose another tiny.clone_dir, or remove the folder",
        )  # fmt: skip
    count = max(config.clone_samples, config.clone_batch * 16)
    samples = play_samples(env_config, count, seed=seed, action=config.clone_action)
    folder.parent.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(prefix=f".{folder.name}.building-", dir=folder.parent))
    try:
        tokenizer = tiny.build_tokenizer(corpus(samples[:2048]), config.vocab_size)
        tiny.save(building, tiny.build_model(tokenizer, config, seed=seed), tokenizer)
        model = load_model(str(building), dtype=torch.float32)
        _clone(model, samples, config, seed=seed, on_update=on_update)
        model.network.save_pretrained(building)
        for file in building.iterdir():
            with file.open("rb") as handle:
                os.fsync(handle.fileno())
        building.chmod(0o755)
        os.replace(building, folder)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return load_model(str(folder), dtype=torch.float32)


def corpus(samples: Sequence[Sample]) -> list[str]:
    """Return what the tokenizer is trained on: responses, prompt texts, and the words of the chat template."""
    texts = [part["text"] for s in samples for m in s.messages for part in m["content"] if "text" in part]
    return [s.response for s in samples] + texts + ["user\n", "assistant\n"] * len(samples)


class ReadingHead(nn.Module):
    """Throw-away linear classifiers of the words of every field, from the last prompt token's hidden state."""

    def __init__(self, samples: Sequence[Sample], hidden_size: int) -> None:
        super().__init__()
        rows = [_words(sample.facts) for sample in samples]
        width = max(len(row) for row in rows)
        padded = [(*row, *[("", "")] * (width - len(row))) for row in rows]
        classes = [sorted(set(column)) for column in zip(*padded, strict=True)]
        index = [{label: i for i, label in enumerate(column)} for column in classes]
        self.labels = torch.tensor([[index[c][label] for c, label in enumerate(row)] for row in padded])
        """[samples, words] int64"""
        readers = [nn.Linear(hidden_size, len(column)) for column in classes]
        for reader in readers:
            nn.init.normal_(reader.weight, std=hidden_size**-0.5)
            nn.init.zeros_(reader.bias)
        self.readers = nn.ModuleList(readers)

    def loss(self, hidden: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """Mean cross-entropy over samples and words. hidden: [B, H]; rows: [B] int64, which samples these are."""
        labels = self.labels[rows]
        losses = [functional.cross_entropy(reader(hidden), labels[:, c]) for c, reader in enumerate(self.readers)]
        return torch.stack(losses).mean()


def _words(facts: dict[str, Any]) -> list[tuple[str, str]]:
    """The fields' values cut at spaces, each with its field's name."""
    return [(key, word) for key, value in facts.items() for word in str(value).split() or [""]]


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
    _, grid = image_patches(samples[0].image[None], model.spec)
    prepared = [_prepare(encoder, sample, grid, model) for sample in samples]
    network = model.network.train()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        reading = ReadingHead(samples, network.config.get_text_config().hidden_size)
    parameters = [*network.parameters(), *reading.parameters()]
    optimizer = torch.optim.AdamW(
        [
            {"params": [p for p in parameters if p.dim() >= 2], "weight_decay": 0.02},
            {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0},
        ],
        lr=config.clone_lr,
        betas=(0.9, 0.98),
    )
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, 2])))
    odds = sampling_odds(samples) if config.clone_balanced else None
    for update in range(config.clone_updates):
        warm = min(1.0, (update + 1) / 30)
        lr = config.clone_lr * warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * update / config.clone_updates)))
        for group in optimizer.param_groups:
            group["lr"] = lr
        if odds is None:
            rows = torch.from_numpy(rng.integers(len(prepared), size=config.clone_batch))
        else:
            rows = torch.from_numpy(rng.choice(len(prepared), size=config.clone_batch, p=odds))
        patches, _ = image_patches(np.stack([samples[r].image for r in rows.tolist()]), model.spec)
        loss, last_prompt = _clone_loss(model, [prepared[r] for r in rows.tolist()], patches, grid)
        total = loss + config.clone_reading_coef * reading.loss(last_prompt, rows)
        optimizer.zero_grad(set_to_none=True)
        total.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        on_update(update + 1, float(loss.detach()))
    network.eval()


def sampling_odds(samples: Sequence[Sample]) -> np.ndarray:
    """[samples] float64, sum 1: half the odds are equal over the samples, half are equal over the different truths among them."""
    truths = [json.dumps(sample.facts, sort_keys=True) for sample in samples]
    counts = Counter(truths)
    balanced = np.array([1.0 / (len(counts) * counts[truth]) for truth in truths])
    return 0.5 / len(samples) + 0.5 * balanced


def _prepare(
    encoder: PromptEncoder, sample: Sample, grid: tuple[int, int, int], model: VisionLanguageModel
) -> tuple[Prompt, torch.Tensor]:
    """Return the prompt and the response's token ids, [tokens] int64."""
    ids = model.tokenizer(sample.response + "<|im_end|>").input_ids
    return encoder.encode(sample.messages, [0], grid), torch.tensor(ids, dtype=torch.int64)


def _clone_loss(
    model: VisionLanguageModel,
    rows: list[tuple[Prompt, torch.Tensor]],
    patches: torch.Tensor,
    grid: tuple[int, int, int],
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the cross-entropy of the response tokens, and the last prompt tokens' hidden states [B, H]."""
    from vldac.attention import RowAttention
    from vldac.batch import collate
    from vldac.decoder import Decoder

    network, device = model.network, torch.device("cpu")
    embeds = torch.cat(list(network.model.get_image_features(patches, torch.tensor([grid] * len(rows))).pooler_output))
    none: list[list[Any]] = [[] for _ in rows]
    prompts, responses = [prompt for prompt, _ in rows], [response for _, response in rows]
    batch = collate(prompts, responses, none, device, network.config.image_token_id)
    decoder, shared = Decoder(network, model.name), batch.prefix
    prefix = None if shared is None else decoder.prefix(shared.ids, shared.positions, is_adapted=False)
    attend = RowAttention(batch.layout, prefix, num_layers=len(decoder.layers), scale=decoder.scale)
    inputs = decoder.embed(batch.input_ids).index_copy(0, batch.image_index, embeds)
    hidden = decoder(inputs, batch.positions, attend, is_adapted=False, keep=batch.keep)
    loss = functional.cross_entropy(network.lm_head(hidden), batch.targets)
    return loss, hidden[batch.value_index]


def reading_accuracy(
    model: VisionLanguageModel, env_config: EnvConfig, *, count: int = 256, seed: int = 7_000, action: str = "uniform"
) -> ReadingAccuracy:
    """Measure how often greedy responses name the truth, with the right pictures and with pictures shuffled."""
    samples = play_samples(env_config, count, seed=seed, action=action)
    order = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, 3]))).permutation(count)
    own = _read(model, samples, [s.image for s in samples])
    shuffled = _read(model, samples, [samples[i].image for i in order])

    def reading(keys: Sequence[str]) -> FieldReading:
        def share(said: list[dict[str, Any]]) -> float:
            right = [all(one.get(k) == s.facts[k] for k in keys) for one, s in zip(said, samples, strict=True)]
            return sum(right) / count

        labels = [tuple(s.facts[k] for k in keys) for s in samples]
        return FieldReading(own_images=share(own), shuffled_images=share(shuffled), chance=chance_level(labels))

    keys = list(samples[0].facts)
    whole = reading(keys)
    return ReadingAccuracy(
        own_images=whole.own_images, shuffled_images=whole.shuffled_images, chance=whole.chance,
        fields={key: reading([key]) for key in keys}, samples=count,
    )  # fmt: skip


def chance_level(labels: Sequence[Hashable]) -> float:
    """Return the probability that two labels drawn from `labels` with replacement are equal."""
    return sum((n / len(labels)) ** 2 for n in Counter(labels).values())


def _read(model: VisionLanguageModel, samples: list[Sample], images: list[np.ndarray]) -> list[dict[str, Any]]:
    """Return what the greedy response to each sample's prompt with the given picture says; {} where it is no JSON object."""
    from vldac.policy import Policy

    policy = Policy.frozen(model)
    limit = max(len(model.tokenizer(s.response).input_ids) for s in samples) + 2
    said: list[dict[str, Any]] = []
    for start in range(0, len(samples), 64):
        chunk = samples[start : start + 64]
        features = policy.encode_frames(np.stack(images[start : start + 64]))
        prompts = [policy.encoder.encode(s.messages, [0], features[0].grid) for s in chunk]
        seeds = torch.arange(len(chunk))
        responses = policy.act(
            prompts, [[f] for f in features], seeds=seeds, max_new_tokens=limit, temperature=1.0, greedy=True
        )
        texts = model.tokenizer.batch_decode(responses.ids, skip_special_tokens=True)
        said += [_json_object(text) for text in texts]
    return said


def _json_object(text: str) -> dict[str, Any]:
    try:
        said = json.loads(text)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}
