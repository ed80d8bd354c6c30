"""One self-contained HTML page that shows what the agent saw, wrote and got.

The page opens from disk: no server, no external resource, no framework. Everything that comes from a run is untrusted:
it is embedded as JSON in which no markup character survives, and is shown through `textContent` only. The page's own
script is allowed by its hash in a content security policy; nothing else can run.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import html
import json
import math
from pathlib import Path
from typing import Any

from vldac.errors import ConfigError
from vldac.trajectories import StepRecord, read_trajectories

_VALID = ("ok", "tolerant")


def write_view(run_dir: str | Path, update: int | None = None, output: str | Path | None = None) -> Path:
    """Write the page of one update (None: the last with trajectories) and return its path.

    `output` defaults to `<run>/view_update_NNNNNN.html`. Raises ConfigError without trajectories or a frame.
    """
    run_dir = Path(run_dir)
    records = read_trajectories(run_dir, update)
    if not records:
        raise ConfigError(
            expected="at least one step record", got="an empty file", where=str(run_dir / "trajectories"),
            do="pass another update",
        )  # fmt: skip
    number = records[0].update
    target = Path(output) if output is not None else run_dir / f"view_update_{number:06d}.html"
    title = f"{run_dir.resolve().name}, update {number}"
    images = {name: _image(run_dir / "trajectories" / name) for record in records for name in record.pictures()}
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(_page(title, {"episodes": _episodes(records), "images": images}), encoding="utf-8")
    return target


def _image(path: Path) -> str:
    if not path.exists():
        raise ConfigError(
            expected="every frame that a record names", got="no such file", where=str(path),
            do="copy the run's whole trajectories folder",
        )  # fmt: skip
    return base64.b64encode(path.read_bytes()).decode()


def _episodes(records: list[StepRecord]) -> list[dict[str, Any]]:
    groups: dict[tuple[int, int], list[StepRecord]] = {}
    for record in records:
        groups.setdefault((record.env, record.episode), []).append(record)
    result = []
    for (env, episode), steps in sorted(groups.items()):
        steps.sort(key=lambda record: record.step)
        known = [record.success for record in steps if record.success is not None]
        invalid = sum(record.parse_status.lower() not in _VALID for record in steps)
        result.append({
            "env": env, "episode": episode, "success": known[-1] if known else None, "invalid": invalid,
            "reward": math.fsum(record.reward for record in steps), "steps": [_plain(record) for record in steps],
        })  # fmt: skip
    return result


def _plain(record: StepRecord) -> dict[str, Any]:
    fields = dataclasses.asdict(record)
    return fields | {"valid": record.parse_status.lower() in _VALID}


def _finite(value: Any) -> Any:
    """Replace non-finite numbers by None, at any depth."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return value


def _embed(data: Any) -> str:
    """Return JSON that is inert inside a script element: ASCII, and without <, > or &."""
    text = json.dumps(_finite(data), allow_nan=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _page(title: str, data: dict[str, Any]) -> str:
    digest = base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    title = html.escape(title)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title} - vldac view</title>\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n<style>{_STYLE}</style></head>\n<body>\n'
        f"<header><h1>{title}</h1>{_CONTROLS}</header>\n{_BODY}\n"
        f'<script type="application/json" id="data">{_embed(data)}</script>\n'
        f"<script>{_SCRIPT}</script>\n</body></html>\n"
    )


_STYLE = """
*{box-sizing:border-box}
body{margin:0;font:15px/1.45 system-ui,sans-serif;color:#1a1a1a;height:100vh;display:flex; flex-direction:column}
header{display:flex;flex-wrap:wrap;gap:.5rem 1.5rem;align-items:center;padding:.5rem 1rem; border-bottom:1px solid
#ccc;background:#f7f7f7}
h1{font-size:1.05rem;margin:0;overflow-wrap:anywhere}
h2{font-size:.85rem;margin:1rem 0 .3rem;color:#444}
main{flex:1;display:flex;min-height:0}
nav{width:17rem;overflow:auto;border-right:1px solid #ccc;flex:none}
section{flex:1;overflow:auto;padding:.5rem 1.5rem 2rem}
nav button{display:block;width:100%;text-align:left;border:0;border-bottom:1px solid #e5e5e5;background:none;
padding:.4rem .8rem;font:inherit;cursor:pointer}
nav button:hover{background:#eef4fa}
nav button[aria-current=true],#film button[aria-current=true]{background:#cfe3f3;outline:2px solid
#0072b2;outline-offset:-2px}
nav small{color:#555;display:block}
nav p{padding:0 .8rem;color:#555}
#film{display:flex;gap:.3rem;overflow-x:auto;padding:.2rem 0}
#film button{border:1px solid #ccc;background:#fff; padding:2px;cursor:pointer;flex:none;max-width:9rem;font:12px
system-ui,sans-serif}
#film em{float:right;font-style:normal;padding-left:.4rem;font-variant-numeric:tabular-nums}
#film span{display:block;overflow:hidden;white-space:nowrap;text-overflow:ellipsis}
#film img{display:block;height:48px;margin:auto;max-width:100%;object-fit:contain}
#scene{display:flex;gap:1rem;flex-wrap:wrap;align-items:flex-start}
#map:empty{display:none}
#map svg{display:block;width:auto;height:240px;max-width:100%;border:1px solid #ccc}
#map p{margin:.2rem 0;font-size:.8rem;color:#444}
#map [data-step]{cursor:pointer}
#images{display:flex;gap:.5rem;flex-wrap:wrap}
#images img{display:block;height:240px;max-width:100%;object-fit:contain; image-rendering:pixelated;border:1px solid #ccc}
#images .page img{height:min(896px,72vh);image-rendering:auto}
.shot{position:relative;display:inline-block;max-width:100%}
.shot i{position:absolute;border:3px solid #d55e00;border-radius:4px;box-shadow:0 0 0 2px #fff;pointer-events:none}
#film .shot{display:block;width:max-content;margin:auto}
#film .shot i{border-width:1px;box-shadow:none}
pre,#response{white-space:pre-wrap;overflow-wrap:anywhere; font:14px/1.7
ui-monospace,monospace;background:#fafafa;border:1px solid #e0e0e0;padding:.6rem;margin:0}
#response span{border-radius:2px}
#facts{display:flex;flex-wrap:wrap;gap:.3rem 1.5rem;margin:.6rem 0;padding:0}
#facts div{min-width:5rem}
#facts dt{font-size:.75rem;color:#555}
#facts dd{margin:0;font-variant-numeric:tabular-nums; overflow-wrap:anywhere}
.bad{color:#a33c00;font-weight:600}
.good{color:#00588a;font-weight:600}
#legend{font-size:.8rem;color:#444}
#legend i{display:inline-block;width:6rem;height:.7rem;vertical-align:middle;margin:0 .3rem;
background:linear-gradient(90deg,rgba(213,94,0,.75),#fff,rgba(0,114,178,.6))}
#chart svg{width:100%;max-width:40rem;height:110px}
kbd{border:1px solid #bbb;border-radius:3px;padding:0 .25rem;font-size:.8rem}
"""

_CONTROLS = """
<label>Episodes <select id="filter"><option value="all">all</option><option value="success">success</option>
<option value="failure">failure</option><option value="invalid">invalid action</option></select></label>
<label>Colour <select id="colour"><option value="advantage">advantage</option>
<option value="ratio">log-ratio</option></select></label>
<span><kbd>&larr;</kbd> <kbd>&rarr;</kbd> step, <kbd>&uarr;</kbd> <kbd>&darr;</kbd> episode, <kbd>c</kbd> colour</span>
"""

_BODY = """
<main><nav id="list" aria-label="Episodes"></nav><section id="step">
<h2 id="where"></h2><div id="scene"><div id="map"></div><div id="images"></div></div>
<div id="film" aria-label="Steps of the episode"></div><dl id="facts"></dl>
<h2>Response <span id="legend"></span></h2><div id="response"></div>
<details id="more"><summary>Prompt</summary><pre id="prompt"></pre></details>
<h2>Value (blue) and return (orange, dashed) over the episode</h2><div id="chart"></div>
</section></main>
"""

_SCRIPT = """
"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const at = id => document.getElementById(id);
const make = (tag, text, kind) => {
  const node = document.createElement(tag);
  if (text !== undefined) node.textContent = text;
  if (kind) node.className = kind;
  return node;
};
const number = (x, digits = 3) => x === null ? "-" : x.toFixed(digits);
const logRatio = (step, i) => step.token_logprob[i] === null || step.token_old_logprob[i] === null
  ? null : step.token_logprob[i] - step.token_old_logprob[i];
const measure = (step, i) => at("colour").value === "advantage" ? step.advantage : logRatio(step, i);
const scales = {advantage: 0, ratio: 0};
for (const episode of data.episodes) for (const step of episode.steps) {
  scales.advantage = Math.max(scales.advantage, Math.abs(step.advantage ?? 0));
  step.tokens.forEach((_, i) => { scales.ratio = Math.max(scales.ratio, Math.abs(logRatio(step, i) ?? 0)); });
}
const filters = {
  all: () => true, success: e => e.success === true, failure: e => e.success === false, invalid: e => e.invalid > 0,
};
let shown = [], current = 0, place = 0;

function image(name, label) {
  const node = make("img");
  node.alt = label;
  node.src = "data:image/png;base64," + data.images[name];
  return node;
}

// A picture with a frame around what the step's action clicked. Those that are large are pages, to be read.
function shot(name, label, box) {
  const picture = image(name, label), node = make("span", undefined, "shot");
  node.append(picture);
  const mark = () => {
    const width = picture.naturalWidth, height = picture.naturalHeight;
    if (height >= 448) node.classList.add("page");
    if (!box || !width) return;
    const frame = make("i"), part = (x, whole) => `${100 * x / whole}%`;
    frame.title = "what the action clicked";
    Object.assign(frame.style, {left: part(box[0], width), top: part(box[1], height), width: part(box[2], width),
      height: part(box[3], height)});
    node.append(frame);
  };
  if (picture.complete && picture.naturalWidth) mark();
  else picture.addEventListener("load", mark);
  return node;
}

function outcome(episode) {
  return episode.success === null ? "unfinished or unknown" : episode.success ? "success" : "failure";
}

function drawList() {
  shown = data.episodes.filter(filters[at("filter").value]);
  current = place = 0;
  const list = at("list");
  list.replaceChildren();
  shown.forEach((episode, i) => {
    const button = make("button", `env ${episode.env}, episode ${episode.episode}: ${outcome(episode)}`);
    const invalid = episode.invalid ? `, ${episode.invalid} invalid` : "";
    const count = episode.steps.length === 1 ? "1 step" : `${episode.steps.length} steps`;
    button.append(make("small", `${count}, reward ${number(episode.reward)}${invalid}`));
    button.addEventListener("click", () => go(i, 0));
    list.append(button);
  });
  if (!shown.length) list.append(make("p", "no such episode in this update"));
  at("step").hidden = !shown.length;
  if (shown.length) drawEpisode();
}

function go(episode, step) {
  if (!shown.length) return;
  const next = Math.max(0, Math.min(shown.length - 1, episode));
  const changed = next !== current;
  current = next;
  place = Math.max(0, Math.min(shown[current].steps.length - 1, step));
  if (changed) drawEpisode(); else drawStep();
}

function drawEpisode() {
  [...at("list").children].forEach((node, i) => node.setAttribute("aria-current", i === current));
  at("list").children[current].scrollIntoView({block: "nearest"});
  at("film").replaceChildren(...shown[current].steps.map((step, i) => {
    const button = make("button");
    if (step.frames.length) button.append(shot(step.frames[step.frames.length - 1], `frame of step ${step.step}`, step.box));
    const label = make("span", `${step.step}: ${step.action}`, step.valid ? "" : "bad");
    if (step.reward) label.prepend(make("em", (step.reward > 0 ? "+" : "") + number(step.reward, 2),
      step.reward < 0 ? "bad" : "good"));
    label.title = label.textContent;
    button.append(label);
    button.addEventListener("click", () => go(current, i));
    return button;
  }));
  drawStep();
}

const space = "http://www.w3.org/2000/svg";
function drawing(width, height, label) {
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", label);
  const add = (tag, attributes, text) => {
    const node = document.createElementNS(space, tag);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    if (text !== undefined) node.textContent = text;
    svg.append(node);
    return node;
  };
  return [svg, add];
}

// The way over the map: a ring at the start, an arrow along the agent's heading at every step, the shown step in orange.
function drawMap(steps) {
  const shot = steps.find(step => step.map && step.map_frame);
  if (!shot) return at("map").replaceChildren();
  const picture = image(shot.map, "The world from above");
  const paint = () => {
    const width = picture.naturalWidth, height = picture.naturalHeight, size = height / 28;
    const [svg, add] = drawing(width, height, "The agent's way over the map");
    add("image", {href: picture.src, width, height, style: "image-rendering:pixelated"});
    const [minX, minZ, scaleX, scaleZ] = shot.map_frame;
    const points = steps.map((step, i) => step.pose && {
      i, step, x: (step.pose[0] - minX) * scaleX, y: (step.pose[1] - minZ) * scaleZ,
      turn: Math.atan2(-Math.sin(step.pose[2]) * scaleZ, Math.cos(step.pose[2]) * scaleX) * 180 / Math.PI,
    }).filter(Boolean);
    const line = points.map(p => `${p.x},${p.y}`).join(" ");
    for (const [stroke, width] of [["#fff", size / 2], ["#0072b2", size / 5]])
      add("polyline", {points: line, fill: "none", stroke, "stroke-width": width, "stroke-linejoin": "round"});
    if (points.length) add("circle", {cx: points[0].x, cy: points[0].y, r: size * 1.1, fill: "none", stroke: "#0072b2",
      "stroke-width": size / 4});
    for (const p of [...points.filter(p => p.i !== place), ...points.filter(p => p.i === place)]) {
      const isHere = p.i === place, s = isHere ? size : size * 0.6;
      const arrow = add("path", {d: `M${s},0 L${-s * 0.7},${s * 0.6} L${-s * 0.3},0 L${-s * 0.7},${-s * 0.6} Z`,
        transform: `translate(${p.x} ${p.y}) rotate(${p.turn})`, fill: isHere ? "#d55e00" : "#0072b2", stroke: "#fff",
        "stroke-width": size / 12, "data-step": p.i});
      arrow.append(document.createElementNS(space, "title"));
      arrow.firstChild.textContent = `step ${p.step.step}: ${p.step.action}`;
      arrow.addEventListener("click", () => go(current, p.i));
    }
    at("map").replaceChildren(svg, make("p", points.length ? "ring: start; orange: this step; pick an arrow to go there"
      : "no poses were recorded"));
  };
  if (picture.complete && picture.naturalWidth) paint();
  else picture.addEventListener("load", () => { if (shown[current] && shown[current].steps === steps) paint(); });
}

function fact(name, text, kind) {
  const group = make("div");
  group.append(make("dt", name), make("dd", text, kind));
  return group;
}

function drawStep() {
  const episode = shown[current], step = episode.steps[place];
  [...at("film").children].forEach((node, i) => node.setAttribute("aria-current", i === place));
  at("film").children[place].scrollIntoView({block: "nearest", inline: "nearest"});
  at("where").textContent = `env ${step.env}, episode ${step.episode}, step ${step.step} (${place + 1} of ` +
    `${episode.steps.length}), ${outcome(episode)}`;
  at("images").replaceChildren(...step.frames.map((name, i) => shot(name,
    `frame ${i + 1} of ${step.frames.length}`, i === step.frames.length - 1 ? step.box : null)));
  const end = step.terminated ? "terminated" : step.truncated ? "truncated" : "no";
  at("facts").replaceChildren(
    fact("action", step.action), fact("parse status", step.parse_status, step.valid ? "" : "bad"),
    fact("reward", number(step.reward)), fact("value", number(step.value)), fact("return", number(step.ret)),
    fact("advantage", number(step.advantage)), fact("tokens", String(step.tokens.length)), fact("end", end));
  const mode = at("colour").value, scale = scales[mode], digits = mode === "ratio" ? 4 : 3;
  at("legend").replaceChildren(make("span", number(-scale, digits)), make("i"), make("span", number(scale, digits)));
  at("response").replaceChildren(...step.tokens.map((token, i) => {
    const span = make("span", token), x = measure(step, i), ratio = logRatio(step, i);
    const depth = scale && x !== null ? Math.min(1, Math.abs(x) / scale) : 0;
    span.style.background = x < 0 ? `rgba(213,94,0,${0.75 * depth})` : `rgba(0,114,178,${0.6 * depth})`;
    span.title = `log-prob ${number(step.token_logprob[i], 4)}, old ${number(step.token_old_logprob[i], 4)}, ` +
      `log-ratio ${number(ratio, 4)}, advantage ${number(step.advantage)}`;
    return span;
  }));
  if (!step.tokens.length) at("response").textContent = step.response;
  at("prompt").textContent = step.prompt;
  drawMap(episode.steps);
  drawChart(episode.steps);
}

function drawChart(steps) {
  const [svg, add] = drawing(600, 110, "Value and return over the steps of the episode");
  const all = steps.flatMap(step => [step.value, step.ret]).filter(x => x !== null);
  const low = Math.min(0, ...all), high = Math.max(0, ...all), spread = high - low || 1;
  const x = i => steps.length > 1 ? 60 + 530 * i / (steps.length - 1) : 325;
  const y = value => 100 - 90 * (value - low) / spread;
  add("line", {x1: x(place), x2: x(place), y1: 5, y2: 105, stroke: "#999"});
  add("line", {x1: 60, x2: 590, y1: y(0), y2: y(0), stroke: "#ddd"});
  add("text", {x: 52, y: y(high) + 4, "font-size": 11, "text-anchor": "end"}, number(high, 2));
  if (high > low) add("text", {x: 52, y: y(low) + 4, "font-size": 11, "text-anchor": "end"}, number(low, 2));
  for (const [key, colour, dash] of [["value", "#0072b2", "none"], ["ret", "#d55e00", "6 4"]]) {
    const points = steps.map((step, i) => step[key] === null ? null : [x(i), y(step[key])]).filter(Boolean);
    add("polyline", {points: points.join(" "), fill: "none", stroke: colour, "stroke-width": 2,
      "stroke-dasharray": dash});
    for (const [cx, cy] of points) add("circle", {cx, cy, r: 3, fill: colour});
  }
  at("chart").replaceChildren(svg);
}

at("filter").addEventListener("change", drawList);
at("colour").addEventListener("change", () => { if (shown.length) drawStep(); });
document.addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.tagName === "SELECT") return;
  const moves = {ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0]}[event.key];
  if (moves) {
    event.preventDefault();
    go(current + moves[0], moves[0] ? 0 : place + moves[1]);
  } else if (event.key === "c" && shown.length) {
    at("colour").value = at("colour").value === "advantage" ? "ratio" : "advantage";
    drawStep();
  }
});
drawList();
"""
