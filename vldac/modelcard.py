"""The model card of a checkpoint: what it is, how it was trained, what it reached, how to load it."""

from __future__ import annotations

from typing import Any

from vldac.provenance import versions


def model_card(trainer: Any) -> str:
    """Return README.md of a checkpoint of `trainer`."""
    config = trainer.config
    rows = "".join(f"| {name} | {value} |\n" for name, value in versions().items())
    evaluation = trainer.last_evaluation
    result = "not evaluated on held-out episodes yet"
    if evaluation is not None:
        low, high = evaluation.success_ci
        result = (
            f"success {evaluation.success_rate:.3f} [{low:.3f}, {high:.3f}] (95 %), return {evaluation.return_mean:.3f} on "
            f"{evaluation.episodes} episodes with seeds {evaluation.seed} to {evaluation.seed + evaluation.episodes - 1}"
        )
    return f"""---
library_name: peft
tags: [vldac, reinforcement-learning, vision-language]
---
# LoRA adapter trained with VL-DAC (arXiv 2508.04280)

Base model: `{trainer.policy.model_info.name}`. Environment: `{config.env.id}`, task `{config.env.task}`.
After {trainer.updates_done} updates ({trainer.env_steps} environment steps), training seed {config.seed}.
Held-out evaluation: {result}. One training run; the licence is the base model's.

The adapter is in PEFT's format. `value_head.safetensors` is the critic and is not needed to act.

| package | version |
| --- | --- |
{rows}"""
