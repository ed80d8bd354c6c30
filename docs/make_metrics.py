"""Write docs/metrics.md from `vldac.metrics.GLOSSARY`:  python docs/make_metrics.py"""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from vldac.metrics import GLOSSARY

_HEAD = """\
# Metrics

Every update appends one line to `metrics.jsonl`: `update` and the keys below that have a value for it (without an ended episode there
is no `rollout/return_mean`). The same keys go to TensorBoard, wandb and trackio. A key that is not listed here cannot be logged.
Names end in their unit: `_s` seconds, `_bytes`, `_frac` a share from 0 to 1. A *step* is an environment step, an *update* one rollout
with its optimisation, a *response* the generated text of one step.

During value warm-up (`policy/is_frozen` 1) only the value head is trained, on hidden states that the rollout kept. The policy is run
for the first micro-batch alone, which gives `policy/first_ratio_deviation` and `policy/decode_mismatch_*` (of that micro-batch). What
needs the loss of the policy has no value in such an update: `policy/loss`, `policy/kl_*`, `policy/clip_frac`, `policy/ratio_max` and
`optim/grad_norm_policy`.

This page is written by `python docs/make_metrics.py`.
"""


def page() -> str:
    """Return the page: one table per area, keys in the order of the glossary."""
    parts = [_HEAD]
    for area, keys in groupby(GLOSSARY, key=lambda key: key.split("/")[0]):
        rows = "\n".join(f"| `{key}` | {GLOSSARY[key].replace('|', chr(92) + '|')} |" for key in keys)
        parts.append(f"## {area}\n\n| key | meaning |\n| --- | --- |\n{rows}\n")
    return "\n".join(parts)


if __name__ == "__main__":
    Path(__file__).with_name("metrics.md").write_text(page(), encoding="utf-8")
