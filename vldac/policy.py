"""The acting model: trunk with LoRA, language head, and one value per environment step.

Trunk, head and value share one `forward`. The value head reads the final-norm hidden state of the last prompt token through a
stop-gradient (paper Eq. 4). Log-probs are float32, at the sampling temperature, over the ids that may be sampled; logits
exist only at response tokens. While the vision tower is frozen every frame is encoded once
(`vldac.frames`).

Shapes: B rows (environment steps), T packed tokens, N kept ones, H hidden, V vocabulary.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from vldac.attention import Prefix, RowAttention
from vldac.batch import FrameFeatures, PrefixTokens, TokenBatch, collate, prefix_of
from vldac.clock import device_clock
from vldac.config import ModelConfig
from vldac.decode_graphs import DecodeGraphs
from vldac.decoder import Attend, Decoder, Deepstack
from vldac.errors import SelfCheckError
from vldac.fold import KeptFold, fed_with_bytes
from vldac.generation import Generator, Responses, Sampling
from vldac.kernels import explain, linear_logprob
from vldac.model import LORA_TARGETS, VisionLanguageModel, refuse_adapter
from vldac.packing import PassBudget, in_parts
from vldac.prompting import Prompt, image_bytes, image_patches
from vldac.row_attention import check_attention
from vldac.slots import Slots

_KEPT_PREFIXES = 4
"""Shared prefixes whose keys and values are kept, for the policy and for its reference each."""


def pick_device(name: str) -> torch.device:
    """ "auto" is a GPU if there is one, else the CPU."""
    return torch.device(("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name)


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
        check_attention(config.attention, device)
        self.model_info = model
        self.encoder = model.encoder()
        self.hidden_size = int(model.network.config.get_text_config().hidden_size)
        self.kernels: str = config.kernels
        """The back end of scoring and sampling."""
        self.attention: str = config.attention
        """How packed rows attend; see `vldac.row_attention`."""
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
        policy.is_checkpointing, policy.kernels, policy.attention = False, "auto", "auto"
        policy._settle(model.network.device)
        return policy

    def _settle(self, device: torch.device) -> None:
        self.to(device)
        self.eval()
        self.device = device
        self.decoder = Decoder(self.network, self.model_info.name, kernels=self.kernels, attention=self.attention)
        self.dtype: torch.dtype = self.network.get_input_embeddings().weight.dtype
        self.image_token_id = int(self.network.config.image_token_id)
        self.is_adapted = True
        """False inside `reference`."""
        self.clock = device_clock(device)
        """Told of each piece of work that playing gives to the device."""
        self._adapter = tuple(parameter for _, parameter in self.lora_parameters())
        self._tower = tuple(self.network.model.visual.parameters())
        self._fold = KeptFold()
        self._prefixes: dict[tuple[bytes, bool, int], Prefix] = {}
        self._slots: Slots | None = None
        self.graphs = DecodeGraphs(device)
        self.budget = PassBudget()
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

    @property
    def context(self) -> int:
        """Tokens of prompt and response together that the model was made for."""
        return int(self.network.config.get_text_config().max_position_embeddings)

    def lora_parameters(self) -> list[tuple[str, nn.Parameter]]:
        """Trainable adapter tensors by name, in a fixed order."""
        return [(name, p) for name, p in self.peft.named_parameters() if p.requires_grad]

    @contextlib.contextmanager
    def reference(self) -> Iterator[None]:
        """Inside, the policy is the initial model: adapter off, so that nothing has a gradient.

        Raises SelfCheckError where the vision tower is trained: then the adapter alone does not make the difference.
        """
        if self.is_tower_trained:
            raise SelfCheckError(
                expected="a frozen vision tower: the reference is the model with the adapter switched off",
                got="a tower with trainable weights", where="scoring the initial policy",
                do="set algorithm.kl_coef 0, or freeze the tower (model.visual.requires_grad_(False))",
            )  # fmt: skip
        self.is_adapted = False
        try:
            yield
        finally:
            self.is_adapted = True

    # -- vision -----------------------------------------------------------------------------------------------------

    @property
    def is_tower_trained(self) -> bool:
        """Whether any weight of the vision tower has a gradient."""
        return any(parameter.requires_grad for parameter in self._tower)

    def tower_version(self) -> int:
        """A number that grows whenever a weight of the vision tower changes in place."""
        return sum(parameter._version for parameter in self._tower)

    def encode_frames(self, images: np.ndarray) -> list[FrameFeatures]:
        """Encode frames, [N, height, width, 3] uint8, with the vision tower; with a graph if that is trained and gradients are on."""
        spec, (height, width) = self.model_info.spec, images.shape[1:3]
        if torch.is_grad_enabled() and self.is_tower_trained:
            pixels, grid = image_patches(images, spec)
            return self._encode(pixels, grid, len(images))

        def run(part: slice) -> list[FrameFeatures]:
            patches, grid = image_bytes(images[part], spec)
            with self.clock.piece(), torch.no_grad(), fed_with_bytes(self.network.model.visual, spec, self._fold):
                return self._encode(patches, grid, len(images[part]))

        patches = height * width // spec.patch_size**2
        parts = in_parts(self.budget, len(images), run, lambda part: patches * (part.stop - part.start))
        return [features for part in parts for features in part]

    def _encode(self, patches: torch.Tensor, grid: tuple[int, int, int], count: int) -> list[FrameFeatures]:
        """patches: [count * t * h * w, columns], on the host; page-locked on the way to a GPU, so that nothing waits for the copy."""
        if self.device.type == "cuda":
            patches = patches.pin_memory()
        grids = torch.tensor([grid] * count, dtype=torch.int64, device=self.device)
        out = self.network.model.get_image_features(patches.to(self.device, non_blocking=True), grids)
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

    def collate(
        self,
        prompts: Sequence[Prompt],
        responses: Sequence[torch.Tensor],
        features: Sequence[Sequence[FrameFeatures]],
        *,
        shared: int | None = None,
    ) -> TokenBatch:
        """Pack rows for this policy; see `vldac.batch.collate`."""
        return collate(prompts, responses, features, self.device, self.image_token_id, shared=shared)

    def hidden_states(
        self, batch: TokenBatch, attend: Callable[[RowAttention], Attend] = lambda rows: rows
    ) -> torch.Tensor:
        """Post-norm hidden states [N, H] of a batch's kept tokens. `attend` wraps the rows' attention: the prefill keeps keys."""
        decoder = self.decoder
        prefix = None if batch.prefix is None else self.prefix(batch.prefix)
        rows = RowAttention(
            batch.layout, prefix, num_layers=len(decoder.layers), scale=decoder.scale, backend=decoder.backend,
            attention=decoder.attention,
        )  # fmt: skip
        inputs, deepstack = self._embed(batch)
        return decoder(
            inputs, batch.positions, attend(rows), is_adapted=self.is_adapted, keep=batch.keep, deepstack=deepstack,
            is_checkpointing=self.is_checkpointing,
        )  # fmt: skip

    def _embed(self, batch: TokenBatch) -> tuple[torch.Tensor, Deepstack | None]:
        """Embeddings [T, H] with the pictures' features at their placeholders."""
        inputs = self.decoder.embed(batch.input_ids)
        if len(batch.image_index) != len(batch.embeds):
            raise SelfCheckError(
                expected=f"{len(batch.embeds)} image placeholders, one per image feature",
                got=f"{len(batch.image_index)} in the token ids",
                where="forward pass",
                do="report this: a frame was dropped or a placeholder was sampled",
            )
        if not len(batch.embeds):
            return inputs, None
        levels = len(getattr(self.network.config.vision_config, "deepstack_visual_indexes", ()))
        if len(batch.deepstack) != levels:
            raise SelfCheckError(
                expected=f"{levels} deep-stack features per frame, as the vision tower has",
                got=str(len(batch.deepstack)),
                where="forward pass",
                do="report this: frame features were stored without their deep-stack part",
            )
        inputs = inputs.index_copy(0, batch.image_index, batch.embeds.to(inputs.dtype))
        return inputs, Deepstack(index=batch.image_index, features=batch.deepstack) if levels else None

    def prefix(self, tokens: PrefixTokens) -> Prefix:
        """Keys and values of a shared prefix: part of the graph where gradients are on, else computed once for these weights.

        The initial policy's are therefore those of the whole run, the policy's those of one rollout.
        """
        if torch.is_grad_enabled():
            return self._run_prefix(tokens)
        state = (tokens.ids.numpy().tobytes(), self.is_adapted, self.weight_version() if self.is_adapted else 0)
        if state not in self._prefixes:
            stale = [key for key in self._prefixes if key[1] == self.is_adapted]
            for key in stale[: max(0, len(stale) - _KEPT_PREFIXES + 1)]:
                del self._prefixes[key]
            self._prefixes[state] = self._run_prefix(tokens)
        return self._prefixes[state]

    def _run_prefix(self, tokens: PrefixTokens) -> Prefix:
        return self.decoder.prefix(
            tokens.ids.to(self.device), tokens.positions.to(self.device), is_adapted=self.is_adapted,
            is_checkpointing=self.is_checkpointing,
        )  # fmt: skip

    def weight_version(self) -> int:
        """A number that grows whenever the adapter's weights change in place."""
        return sum(parameter._version for parameter in self._adapter)

    def forward(self, batch: TokenBatch, *, temperature: float) -> Evaluation:
        """Score the response tokens of a batch and read one value per row."""
        hidden = self.hidden_states(batch)
        scored = linear_logprob(
            hidden if batch.row_index is None else hidden[batch.row_index],
            self.head_weight,
            batch.targets,
            temperature=temperature,
            banned_ids=self.banned_ids,
            return_entropy=True,
            backend=self.kernels,
        )
        assert scored.entropy is not None, "it was asked for"
        value_input = hidden[batch.value_index].detach().float()
        return Evaluation(
            logprob=scored.logprob,
            entropy=scored.entropy.detach(),
            step_index=batch.step_index,
            value=self.value_head(value_input),
            value_input=value_input,
        )

    @torch.no_grad()
    def values(self, prompts: Sequence[Prompt], features: Sequence[Sequence[FrameFeatures]]) -> torch.Tensor:
        """Value of prompts without a response (bootstrap). [B] float32."""
        empty = torch.empty(0, dtype=torch.int64)

        def run(part: slice) -> torch.Tensor:
            batch = self.collate(prompts[part], [empty] * len(prompts[part]), features[part])
            with self.clock.piece():
                values: torch.Tensor = self.value_head(self.hidden_states(batch))
            return values

        return torch.cat(in_parts(self.budget, len(prompts), run, lambda part: sum(len(p.ids) for p in prompts[part])))

    # -- acting -----------------------------------------------------------------------------------------------------

    def slots(self, *, slots: int, capacity: int, limit: int) -> Slots:
        """Return state for at least so many rows of so many tokens, responses of `limit`; the same as long as it is large enough."""
        kept, decoder = self._slots, self.decoder
        if kept is None or not kept.fits(slots=slots, capacity=capacity, limit=limit):
            if kept is not None:  # what came before is to fit again
                slots, capacity, limit = (
                    max(slots, kept.count), max(capacity, kept.cache.capacity), max(limit, kept.limit)
                )  # fmt: skip
            self._slots = kept = None  # not both at once
            self._slots = kept = Slots(
                num_layers=len(decoder.layers), slots=slots, capacity=capacity, limit=limit, kv_heads=decoder.kv_heads,
                head_size=decoder.head_size, hidden_size=self.hidden_size, dtype=self.dtype, device=self.device,
            )  # fmt: skip
        return kept

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
        """Sample one response per prompt, all rows in one batch; rows that are done leave the batch at once.

        seeds: [B] int64. A row's tokens depend on its own seed and prompt, not on its neighbours.
        """
        sampling = Sampling(max_new_tokens=max_new_tokens, temperature=temperature, top_k=top_k, greedy=greedy)
        shared, rows = prefix_of(prompts, self.image_token_id), range(len(prompts))
        longest = max(len(prompt.ids) for prompt in prompts) - shared + max_new_tokens
        generator = Generator(self, sampling, slots=len(prompts), capacity=longest)
        with self.clock.piece():
            generator.admit(rows, prompts, features, seeds, shared=shared)
        while generator.active:
            with self.clock.piece():
                generator.advance()
        return generator.take(rows)
