"""The original's pattern of work in plain transformers and PEFT, for `gpu_7b.py`: written from its description, none of its code.

Per environment step, one row at a time: `generate` with its cache, keeping logits and all layers' hidden states; a second forward of
prompt and response for log-probs and the value, with a graph that nobody uses; a third with the adapter off for the reference. Per
update, each step by itself, as many times as there are epochs: a forward with LoRA's dropout on and logits at every position, and its
backward. Frames are cut into patches and encoded in every one of these passes. The adapter is of the base's dtype, and the value head
is the same as ours. Left out, which only helps it: the environment, its resizing of the pictures by Pillow, parsing, storage.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from vldac.model import LORA_TARGETS, VisionLanguageModel
from vldac.policy import ValueHead
from vldac.prompting import Prompt, image_patches

LORA = {"r": 16, "lora_alpha": 32, "lora_dropout": 0.1}
SAMPLING = {"do_sample": True, "temperature": 0.2, "top_k": 1, "top_p": 0.001}
KL, CLIP, VALUE = 0.05, 0.1, 0.15


class Pattern:
    """The model with an adapter and a value head, one row at a time."""

    def __init__(
        self, model: VisionLanguageModel, prompt: Prompt, frames: np.ndarray, *, tokens: int, is_small: bool
    ) -> None:
        """frames: [images, height, width, 3] uint8, those that the prompt shows."""
        from peft import LoraConfig, get_peft_model

        network = model.network
        self.device, self.dtype, self._spec = network.device, network.get_input_embeddings().weight.dtype, model.spec
        self._frames, self._tokens = frames, tokens
        lora = LoraConfig(target_modules=LORA_TARGETS, bias="none", task_type="CAUSAL_LM", **LORA)  # type: ignore[arg-type]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # PEFT asks transformers by a name that 5.23 deprecates
            self.peft = get_peft_model(network, lora, autocast_adapter_dtype=False)
        self.image_token = int(network.config.image_token_id)
        self.prompt = prompt.ids[None].to(self.device)
        hidden = int(network.config.get_text_config().hidden_size)
        self.head = ValueHead(hidden, (64, 32) if is_small else (3072, 2048)).to(self.device)
        self.optimizer = torch.optim.Adam(
            [*(p for p in self.peft.parameters() if p.requires_grad), *self.head.parameters()], lr=5e-5, eps=1e-7
        )
        config = network.config
        # What ends a response may not be said, so that each has its full length; a placeholder would want a picture.
        media = (config.image_token_id, config.video_token_id, config.vision_start_token_id, config.vision_end_token_id)
        self._banned = sorted({*map(int, model.end_ids()), *map(int, media)})

    def inputs(self, ids: torch.Tensor) -> dict[str, Any]:
        """Everything that a pass is given, made anew as their processor does."""
        patches, grid = image_patches(self._frames, self._spec)
        return {
            "input_ids": ids,
            "attention_mask": torch.ones_like(ids),
            "mm_token_type_ids": (ids == self.image_token).int(),
            "pixel_values": patches.to(self.device, self.dtype),
            "image_grid_thw": torch.tensor([grid] * len(self._frames), device=self.device),
        }

    def generate(self) -> torch.Tensor:
        """[1, prompt + response]"""
        with torch.no_grad():
            out = self.peft.generate(
                **self.inputs(self.prompt), max_new_tokens=self._tokens, min_new_tokens=self._tokens, suppress_tokens=self._banned,
                return_dict_in_generate=True, output_scores=True, output_logits=True, output_hidden_states=True, **SAMPLING,
            )  # fmt: skip
        ids: torch.Tensor = out.sequences
        assert ids.shape[1] == self.prompt.shape[1] + self._tokens, "a response that ended early"
        assert not bool(torch.isin(ids[0, self.prompt.shape[1] :], torch.tensor(self._banned, device=ids.device)).any())
        return ids

    def score(self, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(log-probs [tokens] in the model's dtype, value [1]) by a whole forward pass."""
        out = self.peft(**self.inputs(ids), output_hidden_states=True, use_cache=False)
        start = self.prompt.shape[1]
        logits = out.logits[0, start - 1 : -1].float().log_softmax(-1).to(self.dtype)
        value: torch.Tensor = self.head(out.hidden_states[-1][:, start - 1].detach())
        return logits.gather(-1, ids[0, start:, None])[:, 0], value

    def reference(self, ids: torch.Tensor) -> torch.Tensor:
        """[tokens] log-probs with the adapter off."""
        with self.peft.disable_adapter():
            return self.score(ids)[0].detach()

    def train(self, ids: torch.Tensor, old: torch.Tensor, reference: torch.Tensor) -> None:
        """Forward and backward of one step."""
        logprob, value = self.score(ids)
        ratio = (logprob.float() - old.float()).exp()
        gap = reference.float() - logprob.float()
        loss = -torch.minimum(ratio, ratio.clamp(1 - CLIP, 1 + CLIP)).mean() + KL * (gap.exp() - gap - 1).mean()
        (loss + VALUE * (value - 1).square().mean()).backward()


def measure(
    model: VisionLanguageModel, prompt: Prompt, frames: np.ndarray, *, tokens: int, steps: int, epochs: int,
    synchronize: Callable[[], None], is_small: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """Seconds of each part and environment steps per second, over `steps` steps after one that does not count."""
    pattern = Pattern(model, prompt, frames, tokens=tokens, is_small=is_small)
    seconds = {"generate": 0.0, "score": 0.0, "reference": 0.0, "update": 0.0}

    def timed(name: str, function: Callable[[], Any]) -> Any:
        synchronize()
        tick = time.perf_counter()
        result = function()
        synchronize()
        seconds[name] += time.perf_counter() - tick
        return result

    def round_of(count: int) -> None:
        pattern.peft.train()
        for name in seconds:
            seconds[name] = 0.0
        for _ in range(count):
            ids = timed("generate", pattern.generate)
            old = timed("score", lambda ids=ids: pattern.score(ids)[0].detach())
            reference = timed("reference", lambda ids=ids: pattern.reference(ids))
            for _ in range(epochs):
                timed("update", lambda a=(ids, old, reference): pattern.train(*a))
        timed("update", pattern.optimizer.step)  # one for all; theirs is one for 128 passes
        pattern.optimizer.zero_grad(set_to_none=True)

    try:
        round_of(1)
        round_of(steps)
    finally:
        pattern.peft.eval()
    return {
        "all_in": steps / sum(seconds.values()),
        "rollout": steps / (seconds["generate"] + seconds["score"]),
        "steps": steps,
        "prompt_tokens": int(pattern.prompt.shape[1]),
        "seconds_per_step": {name: value / steps for name, value in seconds.items()},
    }
