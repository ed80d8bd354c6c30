"""The report of a run: learning curves (PNG and SVG) and one HTML page, drawn from `metrics.jsonl`."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vldac.errors import ConfigError
from vldac.metrics import GLOSSARY, entry_of, read_lines, read_metrics, time_shares

# Okabe-Ito palette: tells apart for the common kinds of colour blindness.
_BLUE, _GREEN, _ORANGE, _RED, _PURPLE, _SKY = "#0072b2", "#009e73", "#e69f00", "#d55e00", "#cc79a7", "#56b4e9"
_PANELS = (
    ("rollout/return_mean", "return", _BLUE),
    ("rollout/success_rate", "success rate (95 % band)", _GREEN),
    ("policy/kl_ref_k3", "KL to the start (k3)", _RED),
    ("value/explained_variance", "explained variance", _PURPLE),
    ("policy/clip_frac", "clip fraction", _ORANGE),
    ("rollout/entropy_mean", "token entropy, nats", _SKY),
    ("time/env_steps_per_s", "env steps per second", "#000000"),
    ("value/loss", "value loss", _PURPLE),
)
_HOP_COLOURS = {
    "generate": _BLUE, "encode": _SKY, "env": _GREEN, "rest": "#999999", "reference": _PURPLE, "advantage": "#f0e442",
    "update": _ORANGE,
}  # fmt: skip
_STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:1100px;margin:2rem auto;padding:0 1rem;color:#1a1a1a}
img{max-width:100%}table{border-collapse:collapse;width:100%}td,th{padding:.25rem .6rem;border-bottom:1px solid #ddd;
text-align:left}td.number{text-align:right;font-variant-numeric:tabular-nums}pre{background:#f5f5f5;padding:1rem;
overflow:auto}"""


def write_report(run_dir: str | Path) -> list[Path]:
    """Write plots/curve.png, plots/curve.svg and report.html into the run folder and return their paths.

    Raises ConfigError if the run has no metrics yet.
    """
    run_dir = Path(run_dir)
    lines = read_metrics(run_dir)
    if not lines:
        raise ConfigError(
            expected="at least one finished update", got="no metrics", where=str(run_dir / "metrics.jsonl"),
            do="pass the folder of a run, or wait for its first update",
        )  # fmt: skip
    figure = _draw(lines, run_dir.resolve().name, _start_success(run_dir))
    plots = run_dir / "plots"
    plots.mkdir(exist_ok=True)
    png, svg, page = plots / "curve.png", plots / "curve.svg", run_dir / "report.html"
    figure.savefig(png, dpi=110)
    figure.savefig(svg, metadata={"Date": None})
    page.write_text(_page(run_dir, lines, png.read_bytes()), encoding="utf-8")
    return [png, svg, page]


def wall_seconds(lines: Sequence[dict[str, Any]]) -> list[float]:
    """Return the training time at each line, from its steps and steps per second (so pauses do not count)."""
    total, before, result = 0.0, 0.0, []
    for line in lines:
        steps, rate = line.get("rollout/env_steps", before), line.get("time/env_steps_per_s")
        if rate:
            total += (steps - before) / rate
        else:
            total += line.get("time/collect_s", 0.0) + line.get("time/update_s", 0.0)
        before = steps
        result.append(total)
    return result


def _start_success(run_dir: Path) -> float | None:
    """Return the held-out success before the first update, which no line of the metrics has."""
    path = run_dir / "evaluations.jsonl"
    lines = read_lines(path) if path.exists() else []
    return float(lines[0]["success_rate"]) if lines and lines[0]["update"] == 0 else None


def _draw(lines: list[dict[str, Any]], name: str, start: float | None) -> Any:
    from matplotlib.figure import Figure

    shares = [time_shares(line) for line in lines]
    has_times = any(shares)
    figure = Figure(figsize=(17, 9.5 if has_times else 7), layout="constrained")
    grid = figure.add_gridspec(3 if has_times else 2, 5, height_ratios=[1, 1, 0.7][: 3 if has_times else 2])
    axes = np.array([[figure.add_subplot(grid[row, column]) for column in range(5)] for row in range(2)])
    if has_times:
        _share_panel(figure.add_subplot(grid[2, :]), [line["update"] for line in lines], shares)
    steps = [line.get("rollout/env_steps", line["update"]) for line in lines]
    minutes = [seconds / 60 for seconds in wall_seconds(lines)]
    over_steps, over_time = axes[:, :4].ravel(), axes[:, 4]
    for axis, (key, title, colour) in zip(over_steps, _PANELS, strict=True):
        _panel(axis, lines, steps, key, title, colour)
        axis.set_xlabel("environment steps")
        _shade_frozen(axis, lines, steps)
    for axis, (key, title, colour) in zip(over_time, _PANELS[:2], strict=True):
        _panel(axis, lines, minutes, key, title, colour)
        axis.set_xlabel("training time, minutes")
        axis.set_xlim(left=0)
    held_out = [
        (x, line["eval/success_rate"]) for x, line in zip(steps, lines, strict=True) if "eval/success_rate" in line
    ]
    if start is not None:
        held_out.insert(0, (0.0, start))
    if held_out:
        over_steps[1].plot(*zip(*held_out, strict=True), "kD", markersize=5, label="held-out evaluation")
        over_steps[1].legend(loc="best", fontsize=8)
    frozen = ", grey: value warm-up" if any(line.get("policy/is_frozen") for line in lines) else ""
    figure.suptitle(f"{name}: one run up to update {lines[-1]['update']}{frozen}", fontsize=12)
    return figure


def _panel(axis: Any, lines: list[dict[str, Any]], x: Sequence[float], key: str, title: str, colour: str) -> None:
    known = [index for index, line in enumerate(lines) if key in line]
    places = [x[index] for index in known]
    marker = "o" if len(known) <= 60 else None
    axis.set_title(title, fontsize=10)
    axis.grid(alpha=0.3)
    axis.spines[["top", "right"]].set_visible(False)
    if not known:
        axis.text(0.5, 0.5, "not measured", ha="center", va="center", transform=axis.transAxes, color="#555555")
        axis.set(xticks=[], yticks=[])
        return
    axis.plot(places, [lines[index][key] for index in known], color=colour, marker=marker, markersize=3, linewidth=1.5)
    if key == "rollout/success_rate":
        bands = [index for index in known if {"rollout/success_ci_low", "rollout/success_ci_high"} <= set(lines[index])]
        low, high = ([lines[i][f"rollout/success_ci_{end}"] for i in bands] for end in ("low", "high"))
        if len(bands) == 1:
            axis.vlines([x[i] for i in bands], low, high, color=colour, alpha=0.5)
        else:
            axis.fill_between([x[i] for i in bands], low, high, color=colour, alpha=0.2, linewidth=0)
        axis.set_ylim(-0.02, 1.02)
    elif all(lines[index][key] >= 0 for index in known):
        axis.set_ylim(0, 1.08 * max(lines[index][key] for index in known) or 1.0)


def _share_panel(axis: Any, updates: Sequence[int], shares: Sequence[dict[str, float]]) -> None:
    """Stack the hops' shares of time: one column per update, from half an update before its number to half after."""
    edges = np.append(np.array(updates) - 0.5, updates[-1] + 0.5)
    low = np.zeros(len(edges))
    for hop, colour in _HOP_COLOURS.items():
        own = np.array([line.get(hop, 0.0) for line in shares])
        mean = own[[bool(line) for line in shares]].mean()
        high = low + np.append(own, own[-1])
        axis.fill_between(edges, low, high, step="post", color=colour, linewidth=0, label=f"{hop} {100 * mean:.1f} %")
        low = high
    axis.set_title("share of an update's time", fontsize=10)
    axis.set(xlabel="update", xlim=(edges[0], edges[-1]), ylim=(0, 1), yticks=[0, 0.5, 1])
    axis.xaxis.get_major_locator().set_params(integer=True)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=9, frameon=False, reverse=True, title="mean")


def _shade_frozen(axis: Any, lines: list[dict[str, Any]], steps: Sequence[float]) -> None:
    frozen = [step for step, line in zip(steps, lines, strict=True) if line.get("policy/is_frozen")]
    if frozen:
        axis.axvspan(0, max(frozen), color="#888888", alpha=0.15, linewidth=0)


def _page(run_dir: Path, lines: list[dict[str, Any]], png: bytes) -> str:
    name = html.escape(run_dir.resolve().name)
    last = lines[-1]
    rows = "".join(
        f"<tr><td><code>{html.escape(key)}</code></td><td class=number>{html.escape(_format(value))}</td>"
        f"<td>{html.escape(GLOSSARY.get(entry_of(key), ''))}</td></tr>\n"
        for key, value in sorted(last.items()) if key != "update"
    )  # fmt: skip
    config_path = run_dir / "config.yaml"
    config = config_path.read_text(encoding="utf-8") if config_path.exists() else "(no config.yaml in the run folder)"
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{name} - vldac report</title>\n'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
        "style-src 'unsafe-inline'\">\n"
        f"<style>{_STYLE}</style></head><body>\n<h1>{name}</h1>\n"
        f'<img alt="Learning curves of the run" src="data:image/png;base64,{base64.b64encode(png).decode()}">\n'
        f"<h2>Metrics of update {html.escape(str(last['update']))}</h2>\n"
        f"<table><tr><th>key</th><th>value</th><th>meaning</th></tr>\n{rows}</table>\n"
        f"<h2>Configuration</h2>\n<pre>{html.escape(config)}</pre>\n</body></html>\n"
    )


def _format(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
