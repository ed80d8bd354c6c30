"""The acting model: trunk with LoRA, language head, and one value per environment step.

Trunk, head and value share one `forward`. The value head reads the final-norm hidden state of the last prompt token through a
stop-gradient (paper Eq. 4). Log-probs are float32, at the sampling temperature, over the ids that may be sampled; logits
exist only at response tokens. Every frame is encoded once, since the vision tower is frozen.

Shapes: B rows (environment steps), L padded tokens, P longest prompt, N response tokens of the batch, H hidden, V vocabulary.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from vldac.config import ModelConfig
from vldac.errors import SelfCheckError
from vldac.fold import fed_with_bytes
from vldac.kernels import explain, linear_logprob, pack_action_rows, sample_with_logprob
from vldac.kernels.dispatch import vector_backend
from vldac.kernels.product import head_logits
from vldac.model import LORA_TARGETS, VisionLanguageModel, refuse_adapter
from vldac.prompting import Prompt, image_bytes
from vldac.spans import span


def pick_device(name: str) -> torch.device:
    """ "auto" is a GPU if there is one, else the CPU."""
    return torch.device(("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name)


@dataclass(frozen=True, kw_only=True, slots=True)
class FrameFeatures:
    """What the frozen vision tower says of one frame."""

    embeds: torch.Tensor
    """[tokens, H]"""
    deepstack: tuple[torch.Tensor, ...]
    """Qwen3-VL: one [tokens, H] per deep-stack layer; empty for the other families."""
    grid: tuple[int, int, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenBatch:
    """Right-padded rows of prompt and response, ready for the trunk."""

    input_ids: torch.Tensor
    """[B, L] int64"""
    attention_mask: torch.Tensor
    """[B, L] bool"""
    positions: torch.Tensor
    """[3, B, L] int64"""
    action_mask: torch.Tensor
    """[B, L] bool, True at response tokens"""
    row_index: torch.Tensor
    """[N] int64, the flat places of the response tokens in [B x L], made on the host: nothing waits for the device"""
    last_prompt: torch.Tensor
    """[B] int64, index of the last prompt token"""
    embeds: torch.Tensor
    """[image tokens, H], in the order of the placeholders"""
    deepstack: tuple[torch.Tensor, ...]

    @property
    def targets(self) -> torch.Tensor:
        """[N] int64, the response tokens in row order."""
        return self.input_ids.flatten()[self.row_index]


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """What one forward pass says of a `TokenBatch`."""

    logprob: torch.Tensor
    """[N] float32"""
    entropy: torch.Tensor
    """[N] float32, no gradient"""
    step_index: torch.Tensor
    """[N] int64, row of each response token"""
    value: torch.Tensor
    """[B] float32"""
    value_input: torch.Tensor
    """[B, H] float32, detached"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Responses:
    """One response per row."""

    ids: list[torch.Tensor]
    """Per row [tokens] int64, end-of-turn included when it was reached."""
    logprob: list[torch.Tensor]
    """Per row [tokens] float32, log-prob of decoding."""
    entropy: torch.Tensor
    """[B] float32, mean over the row's tokens"""
    value: torch.Tensor
    """[B] float32, from the prefill"""
    value_input: torch.Tensor
    """[B, H] in the model's dtype, on the policy's device: the prefill's hidden states that the values were read from"""
    has_end: np.ndarray
    """[B] bool, False where the response was cut at the limit"""


class ValueHead(nn.Sequential):
    """MLP from a hidden state to one value, float32: H -> hidden... -> 1 with ReLU; the output layer starts at zero."""

    def __init__(self, hidden_size: int, hidden: Sequence[int]) -> None:
        layers: list[nn.Module] = []
        width = hidden_size
        for size in hidden:
            layers += [nn.Linear(width, size), nn.ReLU()]
            width = size
        output = nn.Linear(width, 1)
        nn.init.zeros_(output.weight)
        nn.init.zeros_(output.bias)
        super().__init__(*layers, output)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """[B, H] -> [B] float32."""
        values: torch.Tensor = super().forward(hidden.float())
        return values.squeeze(-1)


class Policy(nn.Module):
    """A vision-language model with LoRA and a value head."""

    banned_ids: torch.Tensor
    """Ids that may never be sampled, int64."""

    def __init__(self, model: VisionLanguageModel, config: ModelConfig, *, device: torch.device, seed: int) -> None:
        super().__init__()
        from peft import LoraConfig, get_peft_model

        refuse_adapter(model.network, model.name)
        self.model_info = model
        self.encoder = model.encoder()
        self.hidden_size = int(model.network.config.get_text_config().hidden_size)
        self.kernels: str = config.kernels
        """The back end of scoring and sampling."""
        lora = LoraConfig(
            r=config.lora_rank,
            lora_alpha=config.lora_alpha,
            lora_dropout=config.lora_dropout,
            bias="none",
            target_modules=LORA_TARGETS,
            task_type="CAUSAL_LM",
        )
        model.network.requires_grad_(False)
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            torch.manual_seed(seed)
            warnings.simplefilter("ignore", FutureWarning)  # PEFT asks transformers by a name that 5.23 deprecates
            self.peft = get_peft_model(model.network, lora, autocast_adapter_dtype=True)
            self.value_head = ValueHead(self.hidden_size, config.value_hidden)
        if config.gradient_checkpointing:
            network = model.network  # transformers before 5.23 knows only the second name
            enable = getattr(network, "activation_checkpointing_enable", None) or network.gradient_checkpointing_enable
            enable({"use_reentrant": False})
        self.is_checkpointing = config.gradient_checkpointing
        self._settle(device)

    @classmethod
    def frozen(cls, model: VisionLanguageModel) -> Policy:
        """Wrap a model as it is, without adapter, to act on its device; its value is 0."""
        policy = cls.__new__(cls)
        nn.Module.__init__(policy)
        policy.model_info, policy.encoder, policy.peft = model, model.encoder(), model.network
        policy.hidden_size = int(model.network.config.get_text_config().hidden_size)
        policy.value_head = ValueHead(policy.hidden_size, ())
        policy.is_checkpointing, policy.kernels = False, "auto"
        policy._settle(model.network.device)
        return policy

    def _settle(self, device: torch.device) -> None:
        self.to(device)
        self.eval()
        self.device = device
        self.register_buffer("banned_ids", self.model_info.banned_ids().to(device), persistent=False)
        self.end_ids = torch.tensor(self.model_info.end_ids(), device=device)
        self.kernel_choice = explain("linear_logprob", device, self.head_weight.dtype, self.kernels)

    # -- pieces of the Hugging Face model ---------------------------------------------------------------------------

    @property
    def network(self) -> Any:
        """The Hugging Face model, adapter included."""
        return self.model_info.network

    @property
    def head_weight(self) -> torch.Tensor:
        """[V, H]"""
        weight: torch.Tensor = self.network.get_output_embeddings().weight
        return weight

    def lora_parameters(self) -> list[tuple[str, nn.Parameter]]:
        """Trainable adapter tensors by name, in a fixed order."""
        return [(name, p) for name, p in self.peft.named_parameters() if p.requires_grad]

    @contextlib.contextmanager
    def reference(self) -> Iterator[None]:
        """Inside, the policy is the initial model: adapter off. Never run backward here (gradients would be lost)."""
        with self.peft.disable_adapter():
            yield

    # -- vision -----------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def encode_frames(self, images: np.ndarray) -> list[FrameFeatures]:
        """Encode frames, [N, height, width, 3] uint8, with the frozen vision tower."""
        patches, grid = image_bytes(images, self.model_info.spec)
        grids = torch.tensor([grid] * len(images), dtype=torch.int64, device=self.device)
        with fed_with_bytes(self.network.model.visual, self.model_info.spec):
            out = self.network.model.get_image_features(patches.to(self.device), grids)
        sizes = [len(embeds) for embeds in out.pooler_output]
        # transformers 5.23 splits the deep-stack features by frame, 5.17 gives one tensor per layer.
        deepstack = [
            layer.split(sizes) if isinstance(layer, torch.Tensor) else layer
            for layer in getattr(out, "deepstack_features", None) or []
        ]
        return [
            FrameFeatures(embeds=embeds, deepstack=tuple(layer[i] for layer in deepstack), grid=grid)
            for i, embeds in enumerate(out.pooler_output)
        ]

    # -- trunk ------------------------------------------------------------------------------------------------------

    def _trunk(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        positions: torch.Tensor,
        embeds: torch.Tensor,
        deepstack: tuple[torch.Tensor, ...],
        cache: object = None,
    ) -> torch.Tensor:
        """Return post-norm hidden states [B, L, H]. Positions are always explicit: without them M-RoPE is silently wrong."""
        network = self.network
        inputs = network.get_input_embeddings()(input_ids)
        is_image = input_ids == network.config.image_token_id
        count = int(is_image.sum())
        if count != len(embeds):
            raise SelfCheckError(
                expected=f"{len(embeds)} image placeholders, one per image feature",
                got=f"{count} in the token ids",
                where="forward pass",
                do="report this: a frame was dropped or a placeholder was sampled",
            )
        extra: dict[str, object] = {}
        if count:
            inputs = inputs.masked_scatter(is_image[..., None], embeds.to(inputs.dtype))
            levels = len(getattr(network.config.vision_config, "deepstack_visual_indexes", ()))
            if len(deepstack) != levels:
                raise SelfCheckError(
                    expected=f"{levels} deep-stack features per frame, as the vision tower has",
                    got=str(len(deepstack)),
                    where="forward pass",
                    do="report this: frame features were stored without their deep-stack part",
                )
            if levels:
                extra = {"visual_pos_masks": is_image, "deepstack_visual_embeds": list(deepstack)}
        return self._language_model(inputs, attention_mask, positions, cache, **extra)

    def _language_model(
        self,
        inputs: torch.Tensor,
        attention_mask: torch.Tensor,
        positions: torch.Tensor,
        cache: object,
        **extra: object,
    ) -> torch.Tensor:
        """Run the decoder layers on embeddings [B, L, H]; `extra` is Qwen3-VL's deep-stack input."""
        with self._checkpointed(self.is_checkpointing and cache is None and torch.is_grad_enabled()):
            out = self.network.model.language_model(
                inputs_embeds=inputs,
                attention_mask=attention_mask,
                position_ids=positions,
                past_key_values=cache,
                use_cache=cache is not None,
                **extra,
            )
        hidden: torch.Tensor = out.last_hidden_state
        return hidden

    @contextlib.contextmanager
    def _checkpointed(self, is_on: bool) -> Iterator[None]:
        """Let the decoder layers recompute their activations in backward.

        transformers skips gradient checkpointing without a word unless a layer says it is in training mode. The policy
        stays in evaluation mode (no dropout), so only the layers' own flag is set, not that of the modules inside.
        """
        layers = self.network.model.language_model.layers if is_on else ()
        for layer in layers:
            layer.training = True
        try:
            yield
        finally:
            for layer in layers:
                layer.training = False

    def hidden_states(self, batch: TokenBatch) -> torch.Tensor:
        """Post-norm hidden states [B, L, H] of a batch."""
        return self._trunk(batch.input_ids, batch.attention_mask, batch.positions, batch.embeds, batch.deepstack)

    def forward(self, batch: TokenBatch, *, temperature: float) -> Evaluation:
        """Score the response tokens of a batch and read one value per row."""
        hidden = self.hidden_states(batch)
        rows, step_index, _ = pack_action_rows(hidden, batch.action_mask, row_index=batch.row_index)
        scored = linear_logprob(
            rows,
            self.head_weight,
            batch.targets,
            temperature=temperature,
            banned_ids=self.banned_ids,
            return_entropy=True,
            backend=self.kernels,
        )
        assert scored.entropy is not None, "it was asked for"
        at_last = torch.arange(len(batch.last_prompt), device=hidden.device)
        value_input = hidden[at_last, batch.last_prompt].detach().float()
        return Evaluation(
            logprob=scored.logprob,
            entropy=scored.entropy.detach(),
            step_index=step_index,
            value=self.value_head(value_input),
            value_input=value_input,
        )

    @torch.no_grad()
    def values(self, prompts: Sequence[Prompt], features: Sequence[Sequence[FrameFeatures]]) -> torch.Tensor:
        """Value of prompts without a response (bootstrap). [B] float32."""
        empty = torch.empty(0, dtype=torch.int64)
        batch = collate(prompts, [empty] * len(prompts), features, self.device, self.pad_id)
        hidden = self.hidden_states(batch)
        last: torch.Tensor = hidden[torch.arange(len(prompts), device=self.device), batch.last_prompt]
        values: torch.Tensor = self.value_head(last)
        return values

    @property
    def pad_id(self) -> int:
        """Id used for padding; masked everywhere, so that its value never matters."""
        tokenizer = self.model_info.tokenizer
        return int(tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id)

    # -- acting -----------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def act(
        self,
        prompts: Sequence[Prompt],
        features: Sequence[Sequence[FrameFeatures]],
        *,
        seeds: torch.Tensor,
        max_new_tokens: int,
        temperature: float,
        top_k: int = 0,
        greedy: bool = False,
    ) -> Responses:
        """Sample one response per prompt, all rows in one batch; rows that ended leave the batch at once.

        seeds: [B] int64. A row's tokens depend on its own seed and prompt, not on its neighbours.
        """
        from transformers import DynamicCache

        count = len(prompts)
        batch, first_position = collate_left(prompts, features, self.device, self.pad_id)
        cache = DynamicCache()
        mask = batch.attention_mask
        with span("prefill"):
            hidden = self._trunk(batch.input_ids, mask, batch.positions, batch.embeds, batch.deepstack, cache)[:, -1]
            value_input = hidden.clone()  # the rows alone, without the prompts around them
            value = self.value_head(value_input)
        embedding = self.network.get_input_embeddings()
        rows = torch.arange(count, device=self.device)
        seeds = seeds.to(self.device)
        tokens = torch.zeros(count, max_new_tokens, dtype=torch.int64, device=self.device)
        logprobs = torch.zeros(count, max_new_tokens, device=self.device)
        entropies = torch.zeros(count, max_new_tokens, device=self.device)
        lengths = torch.full((count,), max_new_tokens, dtype=torch.int64, device=self.device)
        ended = torch.zeros(count, dtype=torch.bool, device=self.device)
        for index in range(max_new_tokens):
            with span("sample"):
                sampled = sample_with_logprob(
                    head_logits(hidden, self.head_weight),
                    temperature=temperature,
                    banned_ids=self.banned_ids,
                    top_k=top_k,
                    seed=seeds[rows],
                    position=torch.full_like(rows, index),
                    greedy=greedy,
                    backend=vector_backend(self.kernels),
                )
            is_end = torch.isin(sampled.token, self.end_ids)
            tokens[rows, index] = sampled.token
            logprobs[rows, index] = sampled.logprob_raw
            entropies[rows, index] = sampled.entropy
            lengths[rows] = torch.where(is_end, index + 1, lengths[rows])
            ended[rows] = is_end
            # The one host-device synchronisation of a token.
            is_valid, all_ended, any_ended = torch.stack([sampled.valid.all(), is_end.all(), is_end.any()]).tolist()
            if not is_valid:
                raise SelfCheckError(
                    expected="finite logits",
                    got="NaN or infinite logits while decoding",
                    where=f"response token {index}",
                    do="check the weights and the learning rate; resume from the last good checkpoint",
                )
            if index + 1 == max_new_tokens or all_ended:
                break
            token = sampled.token
            if any_ended:
                keep = (~is_end).nonzero()[:, 0]
                rows, mask, token = rows[keep], mask[keep], token[keep]
                cache.batch_select_indices(keep)
            mask = torch.cat([mask, mask.new_ones(len(rows), 1)], dim=1)
            position = (first_position[rows] + index).expand(3, -1)[..., None]
            with span("decode"):
                hidden = self._language_model(embedding(token[:, None]), mask, position, cache)[:, -1]
        host_lengths = lengths.tolist()
        token_rows, logprob_rows = tokens.cpu(), logprobs.cpu()
        within = torch.arange(max_new_tokens, device=self.device)[None] < lengths[:, None]
        return Responses(
            ids=[token_rows[i, :n].clone() for i, n in enumerate(host_lengths)],
            logprob=[logprob_rows[i, :n].clone() for i, n in enumerate(host_lengths)],
            entropy=((entropies * within).sum(1) / lengths).cpu(),
            value=value.cpu(),
            value_input=value_input,
            has_end=ended.cpu().numpy(),
        )


def _check_frames(prompts: Sequence[Prompt], features: Sequence[Sequence[FrameFeatures]]) -> None:
    """Row by row, features and placeholders must agree: a total that agrees could still hide frames in the wrong row."""
    if not any(features):
        return
    for row, (prompt, own) in enumerate(zip(prompts, features, strict=True)):
        given = sum(len(frame.embeds) for frame in own)
        if prompt.image_tokens is not None and given != prompt.image_tokens:
            raise SelfCheckError(
                expected=f"{prompt.image_tokens} image features, one per placeholder of the prompt",
                got=f"{given} from {len(own)} frames",
                where=f"row {row} of a batch",
                do="report this: a frame was dropped, added or put into another row",
            )


def _stack_features(
    features: Sequence[Sequence[FrameFeatures]], like: torch.device
) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
    flat = [frame for row in features for frame in row]
    if not flat:
        return torch.empty(0, 1, device=like), ()
    depth = len(flat[0].deepstack)
    embeds = torch.cat([frame.embeds for frame in flat])
    return embeds, tuple(torch.cat([frame.deepstack[layer] for frame in flat]) for layer in range(depth))


def collate(
    prompts: Sequence[Prompt],
    responses: Sequence[torch.Tensor],
    features: Sequence[Sequence[FrameFeatures]],
    device: torch.device,
    pad_id: int,
) -> TokenBatch:
    """Right-pad prompts followed by responses ([tokens] int64 each) into one batch on `device`.

    Raises SelfCheckError where a row's frames do not fill its placeholders (rows without any features pass: see `_trunk`).
    """
    _check_frames(prompts, features)
    prompt_lengths = [len(p.ids) for p in prompts]
    totals = [n + len(r) for n, r in zip(prompt_lengths, responses, strict=True)]
    length = max(totals)
    input_ids = torch.full((len(prompts), length), pad_id, dtype=torch.int64)
    positions = torch.zeros(3, len(prompts), length, dtype=torch.int64)
    for row, (prompt, response) in enumerate(zip(prompts, responses, strict=True)):
        start, end = prompt_lengths[row], totals[row]
        input_ids[row, :start], input_ids[row, start:end] = prompt.ids, response
        positions[:, row, :start] = prompt.positions
        positions[:, row, start:end] = prompt.next_position + torch.arange(len(response))
    column = torch.arange(length)[None]
    start_column, end_column = torch.tensor(prompt_lengths)[:, None], torch.tensor(totals)[:, None]
    embeds, deepstack = _stack_features(features, device)
    action_mask = (column >= start_column) & (column < end_column)
    return TokenBatch(
        input_ids=input_ids.to(device),
        attention_mask=(column < end_column).to(device),
        positions=positions.to(device),
        action_mask=action_mask.to(device),
        row_index=action_mask.flatten().nonzero()[:, 0].to(device),
        last_prompt=(start_column[:, 0] - 1).to(device),
        embeds=embeds,
        deepstack=deepstack,
    )


def collate_left(
    prompts: Sequence[Prompt], features: Sequence[Sequence[FrameFeatures]], device: torch.device, pad_id: int
) -> tuple[TokenBatch, torch.Tensor]:
    """Left-pad prompts for decoding; also returns the position of each row's first response token, [B] int64."""
    _check_frames(prompts, features)
    length = max(len(p.ids) for p in prompts)
    input_ids = torch.full((len(prompts), length), pad_id, dtype=torch.int64)
    positions = torch.zeros(3, len(prompts), length, dtype=torch.int64)
    mask = torch.zeros(len(prompts), length, dtype=torch.bool)
    for row, prompt in enumerate(prompts):
        start = length - len(prompt.ids)
        input_ids[row, start:], positions[:, row, start:], mask[row, start:] = prompt.ids, prompt.positions, True
    embeds, deepstack = _stack_features(features, device)
    batch = TokenBatch(
        input_ids=input_ids.to(device),
        attention_mask=mask.to(device),
        positions=positions.to(device),
        action_mask=torch.zeros_like(mask).to(device),
        row_index=torch.empty(0, dtype=torch.int64, device=device),
        last_prompt=torch.full((len(prompts),), length - 1, device=device),
        embeds=embeds,
        deepstack=deepstack,
    )
    return batch, torch.tensor([p.next_position for p in prompts], device=device)
