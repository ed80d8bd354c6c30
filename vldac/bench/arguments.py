"""The arguments of `vldac bench rollout` and `vldac bench train`. Nothing here imports torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from vldac.arguments import Switch


@dataclass(frozen=True, kw_only=True)
class ThroughputArguments:
    """Environment steps per second: of the rollout alone (rollout), or of rollout, reference and update (train).

    Without --model, a tiny random Qwen2-VL in the three shapes of the project's figures, or in one shape of your own. Every response
    has exactly --tokens tokens.
    """

    name: tyro.conf.Positional[str]
    """What to measure: rollout or train."""
    json: Path | None = None
    """Also write the row (rates, shares, versions, commit, device) to this file."""
    threads: int = 1
    """Threads of torch's pool and of the environments, on both sides."""
    rounds: int = 3
    """Rounds; in each every side does one update, in turn."""
    quick: Switch = False
    """A toy size: shows that everything runs, not how fast it is."""
    hidden: int | None = None
    """Width of the tiny model, a multiple of 32 (128 if only --layers or --tokens is given)."""
    layers: int | None = None
    """Its decoder layers (3)."""
    tokens: int | None = None
    """Tokens of every response (32; with --model 96)."""
    num_envs: int = 32
    """Environments side by side."""
    env_id: str = "MiniWorld-OneRoom-v0"
    """Environment id."""
    num_images: int = 4
    """Images per prompt."""
    image_size: tuple[int, int] | None = None
    """(width, height) in pixels; null is the environment's own size."""
    steps: int = 512
    """Environment steps per update over all environments."""
    epochs: int = 2
    """Passes over the steps of an update."""
    prompt_tokens: int = 350
    """Tokens of a full prompt: the tiny model's tokenizer is made so coarse or fine that the text has about as many."""
    model: str | None = None
    """A Hugging Face id or folder instead of the tiny model."""
    random_weights: Switch = False
    """Build --model from its configuration alone."""
    dtype: Literal["float32", "bfloat16"] | None = None
    """Of the base weights: float32, with --model bfloat16."""
    device: str = "auto"
    """auto takes a GPU if there is one."""
    set: tuple[str, ...] = ()
    """Settings of our side, as in `vldac train`: --set optim.microbatch_steps=16 model.kernels=torch."""
    switches: Switch = False
    """Measure what each switch contributes: all off, then one more on at a time."""
    original: Path | None = None
    """Checkout of the original repository: its loop is the other side (docs/benchmarks.md)."""
    original_python: Path | None = None
    """Python interpreter of the environment that the original runs in."""
