"""The learning curve of a run, drawn from `metrics.jsonl`."""

from __future__ import annotations

from pathlib import Path

from vldac.errors import ConfigError
from vldac.metrics import read_lines

_PANELS = (
    ("rollout/success_rate", "success"),
    ("rollout/return_mean", "return"),
    ("policy/kl_ref_k3", "KL to the start (k3)"),
    ("value/explained_variance", "explained variance"),
    ("policy/clip_frac", "clip fraction"),
    ("rollout/entropy_mean", "entropy, nats"),
    ("value/loss", "value loss"),
    ("time/env_steps_per_s", "env steps/s"),
)


def draw_curve(run_dir: Path) -> Path:
    """Draw `plots/curve.png` over environment steps and return its path. Raises ConfigError without metrics."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    path = run_dir / "metrics.jsonl"
    lines = read_lines(path) if path.exists() else []
    if not lines:
        raise ConfigError(expected="at least one update", got="no metrics", where=str(path), do="train first")
    figure, axes = pyplot.subplots(2, 4, figsize=(14, 6), constrained_layout=True)
    for axis, (key, title) in zip(axes.flat, _PANELS, strict=True):
        known = [line for line in lines if key in line]
        steps = [line["rollout/env_steps"] for line in known]
        axis.plot(steps, [line[key] for line in known], color="#0072b2", marker="o", markersize=3)
        if key == "rollout/success_rate":
            low = [line["rollout/success_ci_low"] for line in known]
            axis.fill_between(
                steps, low, [line["rollout/success_ci_high"] for line in known], color="#0072b2", alpha=0.2, linewidth=0
            )
            axis.set_ylim(0, 1.02)
        axis.set_title(title)
        axis.set_xlabel("environment steps")
        axis.grid(alpha=0.3)
    target = run_dir / "plots" / "curve.png"
    target.parent.mkdir(exist_ok=True)
    figure.savefig(target, dpi=110)
    pyplot.close(figure)
    return target
