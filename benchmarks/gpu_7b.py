"""How fast does a 7B model train on one GPU, what is each switch worth, and how near are the limits? One call of ten minutes.

    python benchmarks/gpu_7b.py                             # everything, most wanted first
    python benchmarks/gpu_7b.py --parts ceilings,shared     # some of it
    python benchmarks/gpu_7b.py --stand-in                  # every line of it on a CPU: the configurations, shrunken

Qwen2-VL-7B from its published configuration, random weights (their values change neither time nor memory; nothing is downloaded),
LoRA, MiniWorld with four frames of 80x60, 64 environments, responses of exactly 96 tokens (what ends one is banned, in sampling and
scoring alike), 2 epochs, reference pass with k3, old log-probs by the update's own path, as bfloat16 has it by default.

A part is one figure or one setting; see `parts`. Its row is appended to --out (JSON lines) as soon as it is there, so that a run that
is cut keeps what it has; a part that needs more time than is left is skipped, and says so. PREDICTED was written before any run.

Parts of the trainer take a round that does not count (kernels compile, the first update's checks run), then one to --rounds rounds.
"update_share" is the arithmetic that the update needs (products of trunk, LoRA and head, forward and backward; no attention, nothing
that is computed twice) per second, over the measured ceiling of products at the trunk's shapes. "bandwidth_share" of decoding is the
bytes that a token needs (language weights, head, adapter, keys and values, the shared prefix once) over the measured copy bandwidth,
over the time. Peaks stand beside the estimate of `vldac train --dry-run`.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import statistics
import sys
import tempfile
import time
import traceback
import typing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

ROOT = Path(__file__).resolve().parent.parent
HERE = str(ROOT / "benchmarks")
sys.path.insert(0, HERE)
import gpu_7b_original  # noqa: E402

sys.path[:] = [path for path in sys.path if path != HERE]  # its miniworld.py is not the package

from vldac.batch import prefix_of  # noqa: E402
from vldac.bench.arguments import ThroughputArguments  # noqa: E402
from vldac.bench.workload import Ours, configuration  # noqa: E402
from vldac.config import ModelConfig, TrainConfig  # noqa: E402
from vldac.configuration import check_config, setting_types  # noqa: E402
from vldac.errors import FourPartError, SelfCheckError  # noqa: E402
from vldac.generation import Generator, Sampling  # noqa: E402
from vldac.model import VisionLanguageModel, load_model  # noqa: E402
from vldac.provenance import commit, processor_name, versions  # noqa: E402

MODELS = {"7B": "Qwen/Qwen2-VL-7B-Instruct", "2B": "Qwen/Qwen2-VL-2B-Instruct"}
GIB = 1 << 30

# Written before any run on a GPU, for one H200 (790 TFLOP/s of bf16 products, 4.3 TB/s copied): (low, high), and what is wanted.
# A token takes 13.05 GFLOP in the trunk. A step of 272 + 96 tokens (the tokenizer that is built here): prefill 3.6, decode 1.3, old
# log-probs 4.8, reference 4.8, update 19.2 TFLOP: 23 a second at most. With 234 of them shared 12.2 TFLOP: 65, 45 with what decoding
# must read (3.6 ms a token). Half of that is expected: attention, the products' small shapes, and what is between them are not in it.
PREDICTED: dict[str, tuple[float, float]] = {
    "ceilings.product_tflop_s": (680, 800), "ceilings.copy_tb_s": (4.0, 4.5),
    "shared.all_in": (17, 30), "shared.update_share": (0.35, 0.6), "shared.peak_over_estimate": (0.85, 1.15),
    "images_first.all_in": (8, 14), "images_first.update_share": (0.4, 0.65), "images_first.peak_over_estimate": (0.85, 1.15),
    "decode.ms_per_token": (4.3, 6.0), "decode.bandwidth_share": (0.6, 0.85), "decode.eager_ms_per_token": (12, 40),
    "original.all_in": (0.2, 0.45), "eager.all_in": (9, 22), "async.all_in": (16, 28), "checkpointing.all_in": (14, 24),
    "2B shared.all_in": (40, 90), "2B images_first.all_in": (25, 45),
}  # fmt: skip
WANTED = {
    "shared.all_in": 20.0,
    "images_first.all_in": 8.0,
    "shared.update_share": 0.45,
    "images_first.update_share": 0.45,
    "decode.bandwidth_share": 0.6,
}
OTHER_FIGURES = (
    "python -m pytest tests/policy/test_decode_graphs.py tests/kernels/test_gpu.py",
    "python benchmarks/gpu_kernels.py",
    "vldac bench train --model Qwen/Qwen2-VL-7B-Instruct --random-weights --num-envs 64 --rounds 1 --switches --steps 128",
)
FAILURES = (
    FourPartError, RuntimeError, ValueError, TypeError, ImportError, AttributeError, AssertionError, LookupError, OSError,
)  # fmt: skip
"""What a part may raise without ending the others."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """One thing to measure."""

    run: Callable[[Bench], dict[str, Any]]
    seconds: float
    """It is not begun with less time left."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Products:
    """Floating-point operations of a text model's products."""

    layers: int
    key_value: tuple[int, int]
    """(base, adapter) per token and layer, of the two projections that every token needs in every layer"""
    query: tuple[int, int]
    """The same of q, in the last layer at kept tokens only, as all that follows"""
    rest: tuple[int, int]
    lora_input: int
    """per token, of what the first layer's backward leaves out of the adapters of q, k and v"""
    head: int
    """per scored token"""

    @classmethod
    def of(cls, config: Any, rank: int) -> Products:
        """config: transformers' text configuration."""
        hidden, inner = config.hidden_size, config.intermediate_size
        width = getattr(config, "head_dim", None) or hidden // config.num_attention_heads
        query, kv = config.num_attention_heads * width, config.num_key_value_heads * width

        def both(*pairs: tuple[int, int]) -> tuple[int, int]:
            return sum(2 * a * b for a, b in pairs), sum(2 * rank * (a + b) for a, b in pairs)

        return cls(
            layers=config.num_hidden_layers, key_value=both((hidden, kv), (hidden, kv)), query=both((hidden, query)),
            rest=both((query, hidden), (hidden, inner), (hidden, inner), (inner, hidden)), lora_input=6 * rank * hidden,
            head=2 * hidden * config.vocab_size,
        )  # fmt: skip

    def needed(self, tokens: int, kept: int, scored: int, *, has_gradient: bool, is_adapted: bool = True) -> int:
        """Forward, and backward: through the frozen base to its input, but not to the embeddings; to the adapter's weights, too."""
        everywhere, rest = self.layers * tokens, (self.layers - 1) * tokens + kept
        base, adapter = (
            everywhere * self.key_value[i] + rest * (self.query[i] + self.rest[i]) for i in (0, 1)
        )  # fmt: skip
        first = (tokens if self.layers > 1 else kept) * self.query[0] + tokens * self.key_value[0]
        forward = base + scored * self.head + (adapter if is_adapted else 0)
        return forward + (forward - first + adapter - tokens * self.lora_input if has_gradient else 0)


class Bench:
    """The machine, the model that is loaded, and what was found so far."""

    def __init__(self, arguments: argparse.Namespace, scratch: Path) -> None:
        self.arguments, self._scratch = arguments, scratch
        self.deadline = time.perf_counter() + arguments.seconds
        self.device = torch.device("cpu" if arguments.stand_in else "cuda")
        self.dtype = torch.float32 if arguments.stand_in else torch.bfloat16
        self.found: dict[str, dict[str, Any]] = {}
        """Rows by part"""
        self._size, self._model = "", None

    @property
    def left(self) -> float:
        """Seconds."""
        return self.deadline - time.perf_counter()

    def name(self, size: str) -> str:
        """The model's id, or the folder of its shrunken configuration."""
        folder = self._scratch / size
        return stand_in(folder, MODELS[size]) if self.arguments.stand_in else MODELS[size]

    def model(self, size: str) -> VisionLanguageModel:
        """Load a model, instead of the one before."""
        if self._size != size:
            self._model = None
            self.free()
            self._size = size
            self._model = load_model(self.name(size), dtype=self.dtype, random_weights=True, device=self.device)
        assert self._model is not None
        return self._model

    def config(self, size: str, overrides: dict[str, Any]) -> TrainConfig:
        """The workload's configuration with these settings."""
        a = self.arguments
        workload = ThroughputArguments(
            name="train", model=MODELS[size], random_weights=True, dtype=str(self.dtype).removeprefix("torch."),
            num_envs=a.num_envs, steps=a.steps, threads=a.threads, device=str(self.device), set=tuple(a.set),
        )  # fmt: skip
        own = {"model.value_hidden": [64, 32], "optim.minibatch_steps": 4} if a.stand_in else {}
        config = configuration(workload, self.name(size), a.tokens, own | overrides)
        check_config(config)
        return config

    @contextmanager
    def ours(self, size: str, overrides: dict[str, Any]) -> Iterator[Ours]:
        """A trainer of the loaded model."""
        config = self.config(size, overrides)
        with self.bare(size) as model:
            ours = Ours(config, model=model)
            try:
                yield ours
            finally:
                ours.close()

    @contextmanager
    def bare(self, size: str) -> Iterator[VisionLanguageModel]:
        """The loaded model, to be given an adapter; afterwards it has none."""
        model = self.model(size)
        try:
            yield model
        finally:
            strip_adapter(model.network)
            self.free()

    def free(self) -> None:
        """Give memory back to the device."""
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def synchronize(self) -> None:
        """Wait for the device."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def time(self, function: Callable[[], Any], samples: int = 10) -> float:
        """Median seconds of a call after two that do not count."""
        for _ in range(2):
            function()
        seconds = []
        for _ in range(2 if self.arguments.stand_in else samples):
            self.synchronize()
            tick = time.perf_counter()
            function()
            self.synchronize()
            seconds.append(time.perf_counter() - tick)
        return statistics.median(seconds)

    def reset_peak(self) -> None:
        """Forget the peak so far."""
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()

    def peak(self) -> int | None:
        """Peak bytes since `reset_peak`; None on a CPU."""
        return int(torch.cuda.max_memory_allocated()) if self.device.type == "cuda" else None


# -- parts ------------------------------------------------------------------------------------------------------------


def ceilings(bench: Bench) -> dict[str, Any]:
    """What this machine can do at most: copies, and products at the trunk's shapes and the head's."""
    is_small = bench.arguments.stand_in
    copied = 2**20 if is_small else 2**31
    copy_s = copy_seconds(bench, copied)
    text = bench.model("7B").network.config.get_text_config()
    hidden, inner = text.hidden_size, text.intermediate_size
    kv = text.num_key_value_heads * hidden // text.num_attention_heads
    shapes = {
        "qkv": (hidden, hidden + 2 * kv),
        "o": (hidden, hidden),
        "gate_up": (hidden, 2 * inner),
        "down": (inner, hidden),
    }
    rows, rates, flop, seconds = (64 if is_small else 8192), {}, 0.0, 0.0
    for name, (width, columns) in shapes.items():
        x, weight = (torch.randn(n, width, dtype=bench.dtype, device=bench.device) for n in (rows, columns))
        took = bench.time(lambda x=x, weight=weight: torch.nn.functional.linear(x, weight))
        rates[name] = 2e-12 * rows * width * columns / took
        flop, seconds = flop + 2e-12 * rows * width * columns, seconds + took
    return {
        "copy_tb_s": 2e-12 * copied / copy_s,
        "product_tflop_s": flop / seconds,
        "product_tflop_s_by_shape": rates,
        "rows": rows,
    }


def copy_seconds(bench: Bench, size: int) -> float:
    """Of so many bytes, from the device's memory to the device's memory."""
    source = torch.empty(size, dtype=torch.uint8, device=bench.device)
    target = torch.empty_like(source)
    return bench.time(lambda: target.copy_(source))


def trained(size: str, **overrides: Any) -> Callable[[Bench], dict[str, Any]]:
    """A part that trains: rounds of rollout and update with these settings ("__" for the dot)."""
    settings = {name.replace("__", "."): value for name, value in overrides.items()}

    def run(bench: Bench) -> dict[str, Any]:
        row: dict[str, Any] = {"settings": settings, "steps_per_round": bench.arguments.steps}
        try:
            return row | rounds_of(size, settings, bench)
        except SelfCheckError as error:  # the figure is wanted all the same, and so is what the check said
            print(f"a self-check failed, once more without the checks of the start:\n{error}")
            waived = {"waive": ["decoder", "kernels", "first-ratio", "image-ablation"]}
            return row | {"self_check": str(error)} | rounds_of(size, settings | waived, bench)

    return run


ROUND_SECONDS = 35.0
"""No further round of a part is begun that would pass this, from the end of its warm-up."""


def rounds_of(size: str, settings: dict[str, Any], bench: Bench) -> dict[str, Any]:
    """A round that does not count, then as many as there is time for, at least one."""
    began, limit = time.perf_counter(), bench.left
    with bench.ours(size, settings) as ours:
        row = memory_estimate(ours, bench)
        watch = Watch(ours, bench)
        ours.warm_up(has_update=True)
        warm_s = time.perf_counter() - began
        rounds: list[dict[str, Any]] = []
        while len(rounds) < bench.arguments.rounds:
            tick = time.perf_counter()
            rounds.append(watch.round())
            now = time.perf_counter()
            if now - began - warm_s + (now - tick) > min(limit - warm_s, ROUND_SECONDS):
                break
        row |= {"warm_up_s": warm_s, "prompt_tokens": ours.prompt_tokens}
    return row | summary(rounds, row, bench)


class Watch:
    """Notes what a trainer's rounds compute and allocate."""

    def __init__(self, ours: Ours, bench: Bench) -> None:
        self._ours, self._bench = ours, bench
        trainer, policy = ours.trainer, ours.trainer.policy
        self._flops = Products.of(policy.network.config.get_text_config(), trainer.config.model.lora_rank)
        self._update, self._forward = trainer.update, policy.forward
        trainer.update, policy.forward = self._watched_update, self._watched_forward  # type: ignore[method-assign]
        self._noted: dict[str, Any] = {}

    def round(self) -> dict[str, Any]:
        """Take one; rates, seconds by part, arithmetic and peaks."""
        self._noted = {"scored_flop": 0, "trained_flop": 0, "trained_tokens": 0, "scored_tokens": 0, "passes": 0}
        self._bench.reset_peak()
        sample = self._ours.round(has_update=True)
        rates = {"all_in": sample.all_in, "rollout": sample.rollout, "seconds": dict(sample.seconds)}
        return self._noted | rates

    def _watched_update(self, batch: Any) -> dict[str, float]:
        self._bench.synchronize()
        self._noted["rollout_peak"] = self._bench.peak()
        self._bench.reset_peak()
        metrics = self._update(batch)
        self._bench.synchronize()
        names = (
            "rollout/graph_frac",
            "rollout/device_idle_frac",
            "policy/decode_mismatch_mean",
            "optim/microbatch_tokens",
        )
        self._noted |= {"update_peak": self._bench.peak(), "told": {n: metrics[n] for n in names if n in metrics}}
        self._noted |= {"update_s": metrics["time/update_s"], "scoring_s": metrics["time/reference_s"]}
        return metrics

    def _watched_forward(self, batch: Any, **options: Any) -> Any:
        result = self._forward(batch, **options)
        has_gradient, is_adapted = torch.is_grad_enabled(), self._ours.trainer.policy.is_adapted
        scored, kept = len(batch.targets), len(batch.keep)
        flop = self._flops.needed(
            batch.num_tokens, kept, scored, has_gradient=has_gradient, is_adapted=is_adapted
        )  # fmt: skip
        what = "trained" if has_gradient else "scored"
        self._noted[f"{what}_flop"] = self._noted.get(f"{what}_flop", 0) + flop
        self._noted[f"{what}_tokens"] = self._noted.get(f"{what}_tokens", 0) + batch.num_tokens
        self._noted["passes"] = self._noted.get("passes", 0) + 1
        return result


def summary(rounds: list[dict[str, Any]], estimate: dict[str, Any], bench: Bench) -> dict[str, Any]:
    """Medians over the rounds, shares of the ceiling, and peaks beside the estimate."""
    row: dict[str, Any] = {name: statistics.median(r[name] for r in rounds) for name in ("all_in", "rollout")}
    row |= {
        "rounds": rounds,
        "update_tflop_s": statistics.median(1e-12 * r["trained_flop"] / r["update_s"] for r in rounds),
    }
    row["scoring_tflop_s"] = statistics.median(1e-12 * r["scored_flop"] / r["scoring_s"] for r in rounds)
    ceiling = bench.found.get("ceilings", {}).get("product_tflop_s")
    if ceiling:
        row |= {"update_share": row["update_tflop_s"] / ceiling, "scoring_share": row["scoring_tflop_s"] / ceiling}
    total = sum(sum(r["seconds"].values()) for r in rounds)
    names = {name for r in rounds for name in r["seconds"]}
    row["shares"] = {name: sum(r["seconds"].get(name, 0.0) for r in rounds) / total for name in sorted(names)}
    peaks = {phase: max(r[f"{phase}_peak"] or 0 for r in rounds) for phase in ("rollout", "update")}
    if bench.device.type == "cuda":
        row |= {f"{phase}_peak_gib": peak / GIB for phase, peak in peaks.items()}
        ratios = [peak / estimate[f"{phase}_estimate_bytes"] for phase, peak in peaks.items()]
        row |= {"rollout_over_estimate": ratios[0], "update_over_estimate": ratios[1]}
        row["peak_over_estimate"] = max(peaks.values()) / max(
            estimate[f"{phase}_estimate_bytes"] for phase in peaks
        )  # fmt: skip
    return row


def memory_estimate(ours: Ours, bench: Bench) -> dict[str, Any]:
    """The estimate of `--dry-run` of this configuration, bytes."""
    from vldac.estimate import count_parameters, estimate_memory
    from vldac.preflight import ModelFacts, prompt_size

    config, policy = ours.trainer.config, ours.trainer.policy
    info = policy.model_info
    facts = ModelFacts(config=policy.network.config, spec=info.spec, tokenizer=info.tokenizer, source="loaded")
    key = (config.model.name, config.model.lora_rank)
    if key not in _COUNTS:
        _COUNTS[key] = count_parameters(config, facts)
    memory = estimate_memory(config, facts, _COUNTS[key], prompt_size(config, facts))
    terms = {term.name: term.size for term in memory.terms}
    return {f"{phase}_estimate_bytes": memory.total(phase) for phase in ("rollout", "update")} | {"terms": terms}


_COUNTS: dict[tuple[str, int], Any] = {}


def decode(bench: Bench) -> dict[str, Any]:
    """Milliseconds of a decoded token in all rows: replayed, and launched kernel by kernel; beside the bytes that it must read."""
    with bench.ours("7B", {"env.prompt_layout": "shared_prefix"}) as ours:
        trainer = ours.trainer
        policy, env_ids, tokens = trainer.policy, trainer.rollout.env_ids, trainer.config.rollout.max_new_tokens
        asked, _ = full_windows(trainer)
        shared = prefix_of(asked.prompts, policy.image_token_id)
        own = [len(prompt.ids) - shared for prompt in asked.prompts]
        row: dict[str, Any] = {"rows": len(own), "prefix": shared, "own_prompt_tokens": max(own), "tokens": tokens}
        for name, pads in (("", policy.graphs.pads), ("eager_", False)):
            policy.graphs.pads = pads
            milliseconds: list[float] = []
            for _ in range(2):  # the first captures
                generator = Generator(
                    policy, Sampling(max_new_tokens=tokens, temperature=1.0), slots=len(own), capacity=max(own) + tokens
                )  # fmt: skip
                generator.admit(env_ids.tolist(), asked.prompts, asked.windows, torch.arange(len(own)), shared=shared)
                bench.synchronize()
                milliseconds = []
                while generator.active:
                    tick = time.perf_counter()
                    generator.advance()
                    milliseconds.append(1e3 * (time.perf_counter() - tick))
            row[f"{name}ms_per_token"] = statistics.median(milliseconds)
            row[f"{name}graph_frac"] = policy.graphs.share()
        bytes_needed = decode_bytes(policy, shared, sum(own) + len(own) * tokens / 2)
        row |= {"bytes": bytes_needed, "tokens_per_s": 1e3 * len(own) / row["ms_per_token"]}
        bandwidth = bench.found.get("ceilings", {}).get("copy_tb_s")
        if bandwidth:
            limit_ms = bytes_needed / bandwidth * 1e-9
            row |= {"limit_ms": limit_ms, "bandwidth_share": limit_ms / row["ms_per_token"]}
        return row


def decode_bytes(policy: Any, prefix: int, own: float) -> float:
    """Bytes that a token in all rows must read: weights of layers and head, adapter, prefix once, `own` other keys and values."""
    layers = list(policy.network.model.language_model.layers.parameters())
    base = sum(p.numel() * p.element_size() for p in layers if not p.requires_grad)
    head = policy.head_weight.numel() * policy.head_weight.element_size()
    adapter = sum(p.numel() for _, p in policy.lora_parameters()) * policy.dtype.itemsize
    decoder = policy.decoder
    key_value = 2 * len(decoder.layers) * decoder.kv_heads * decoder.head_size * policy.dtype.itemsize
    return base + head + adapter + (prefix + own) * key_value


def original(bench: Bench) -> dict[str, Any]:
    """The original's pattern on this GPU: one environment, rows of one, three forward passes, every frame encoded anew."""
    with bench.ours("7B", {"env.prompt_layout": "images_first"}) as ours:
        asked, frames = full_windows(ours.trainer)
    steps = 2 if bench.arguments.stand_in else 4
    with bench.bare("7B") as model:
        row = gpu_7b_original.measure(
            model, asked.prompts[0], frames[0], tokens=bench.arguments.tokens, steps=steps, epochs=2,
            synchronize=bench.synchronize, is_small=bench.arguments.stand_in,
        )  # fmt: skip
    shared = bench.found.get("shared", {}).get("all_in")
    return row | ({"shared_over_original": shared / row["all_in"]} if shared else {})


def full_windows(trainer: Any) -> tuple[Any, np.ndarray]:
    """What is asked once every prompt shows all its pictures, and these pictures, [E, images, height, width, 3] uint8."""
    player, env, env_ids = trainer.rollout.player, trainer.env, trainer.rollout.env_ids
    observation, _ = env.reset(seed=trainer.config.seed)
    player.frames.forget(env_ids)
    player.frames.see(observation["image"], env_ids)
    seen = [observation["image"].copy()]
    while len(seen) < trainer.config.env.num_images:
        observation, _, terminated, truncated, _ = env.step(np.zeros(len(env_ids), np.int64))
        player.observe(observation["image"], terminated | truncated, env_ids)
        seen.append(observation["image"].copy())
    return player.ask(env_ids), np.stack(seen, axis=1)


def profile(bench: Bench) -> dict[str, Any]:
    """Which kernels an update spends its time in: the 25 longest by device time (on the CPU: operations by processor time)."""
    activity = torch.profiler.ProfilerActivity
    is_cuda = bench.device.type == "cuda"
    with bench.ours("7B", {"env.prompt_layout": "shared_prefix"}) as ours:
        ours.warm_up(has_update=True)
        batch = ours.trainer.collect()
        bench.synchronize()
        with torch.profiler.profile(activities=[activity.CUDA] if is_cuda else [activity.CPU]) as taken:
            tick = time.perf_counter()
            ours.trainer.update(batch)
            bench.synchronize()
            seconds = time.perf_counter() - tick
    own = "self_device_time_total" if is_cuda else "self_cpu_time_total"
    events = sorted(taken.key_averages(), key=lambda event: getattr(event, own), reverse=True)
    total = sum(getattr(event, own) for event in events)
    longest = [
        {"name": event.key[:90], "calls": event.count, "share": getattr(event, own) / max(1, total)} for event in events[:25]
    ]  # fmt: skip
    return {"update_s": seconds, "busy_s": total / 1e6, "longest": longest}


def parts() -> dict[str, Part]:
    """Name to part, most wanted first."""
    shared, first = {"env__prompt_layout": "shared_prefix"}, {"env__prompt_layout": "images_first"}
    chosen = {
        "ceilings": Part(run=ceilings, seconds=15),
        "shared": Part(run=trained("7B", **shared), seconds=60),
        "images_first": Part(run=trained("7B", **first), seconds=80),
        "decode": Part(run=decode, seconds=25),
        "decoded": Part(run=trained("7B", rollout__old_logprob="decode", waive=["first-ratio"], **shared), seconds=45),
        "profile": Part(run=profile, seconds=40),
        "original": Part(run=original, seconds=45),
        "eager": Part(run=trained("7B", rollout__cuda_graphs=False, **shared), seconds=50),
        "async": Part(run=trained("7B", rollout__mode="async", **shared), seconds=45),
        "checkpointing": Part(run=trained("7B", model__gradient_checkpointing=True, **shared), seconds=45),
    }
    if "model.attention" in setting_types():
        for kind in typing.get_args(typing.get_type_hints(ModelConfig)["attention"]):
            if kind != "auto":
                chosen[f"attention {kind}"] = Part(run=trained("7B", model__attention=kind, **shared), seconds=45)
    chosen["2B shared"] = Part(run=trained("2B", **shared), seconds=30)
    chosen["2B images_first"] = Part(run=trained("2B", **first), seconds=35)
    return chosen


# -- the run ----------------------------------------------------------------------------------------------------------


def main(argv: list[str] | None = None) -> int:
    """Run the parts; exit code 1 if one failed or was skipped."""
    arguments = parse(argv)
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(line_buffering=True)
    chosen = parts()
    wanted = list(chosen) if arguments.parts is None else arguments.parts.split(",")
    unknown = sorted(set(wanted) - set(chosen))
    if unknown:
        sys.exit(f"--parts: expected some of {', '.join(chosen)}, got {', '.join(unknown)}")
    is_whole = True
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(arguments, Path(scratch))
        append(arguments.out, header(arguments, bench))
        for name in (name for name in chosen if name in wanted):
            row = run_part(name, chosen[name], bench)
            bench.found[name] = row
            append(arguments.out, {"part": name} | row)
            is_whole &= "error" not in row and "skipped" not in row
    if arguments.stand_in:
        print("\nshrunken models on a CPU: what was predicted is not about these")
    compare(bench.found)
    print("other figures that want a GPU:", *OTHER_FIGURES, sep="\n    ")
    print(f"appended to {arguments.out}")
    return 0 if is_whole else 1


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", help="names, comma-separated: " + ", ".join(parts()))
    parser.add_argument("--seconds", type=float, default=560.0, help="time for everything but the interpreter's start")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of a part at most")
    parser.add_argument("--steps", type=int, help="environment steps per update (256)")
    parser.add_argument("--num-envs", type=int, help="environments (64)")
    parser.add_argument("--tokens", type=int, help="tokens of every response (96)")
    parser.add_argument("--threads", type=int, help="CPU threads (8, or the cores)")
    parser.add_argument("--stand-in", action="store_true", help="shrunken models on the CPU, few steps")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a dotted setting, repeatable")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "gpu_7b.jsonl")
    arguments = parser.parse_args(argv)
    small = arguments.stand_in
    arguments.steps = arguments.steps or (4 if small else 256)
    arguments.num_envs = arguments.num_envs or (2 if small else 64)
    arguments.tokens = arguments.tokens or (3 if small else 96)
    arguments.threads = arguments.threads or (1 if small else min(8, os.cpu_count() or 1))
    arguments.rounds = 1 if small else arguments.rounds
    arguments.command = " ".join(["python benchmarks/gpu_7b.py", *(sys.argv[1:] if argv is None else argv)])
    return arguments


def run_part(name: str, part: Part, bench: Bench) -> dict[str, Any]:
    """The part's row, why it failed, or that there was no time for it."""
    if bench.left < part.seconds and not bench.arguments.stand_in:
        print(f"{name}: skipped, {bench.left:.0f} s are left and it needs {part.seconds:.0f}")
        return {"skipped": f"{bench.left:.0f} s left of {part.seconds:.0f}"}
    tick = time.perf_counter()
    try:
        row = part.run(bench)
    except FAILURES as error:
        traceback.print_exc(limit=8)
        row = {"error": f"{type(error).__name__}: {error}", "traceback": traceback.format_exc(limit=-6)}
        bench.free()
    row["took_s"] = time.perf_counter() - tick
    figures = {k: v for k, v in row.items() if isinstance(v, float)}
    print(f"{name}: " + row.get("error", ", ".join(f"{k} {v:.4g}" for k, v in figures.items())))
    return row


def compare(found: dict[str, dict[str, Any]]) -> None:
    """Print what was predicted beside what came."""
    print(f"\n{'figure':34} {'predicted':>15} {'wanted':>8} {'measured':>10}")
    for name, (low, high) in PREDICTED.items():
        part, _, figure = name.rpartition(".")
        value = found.get(part, {}).get(figure)
        if value is None:
            continue
        wanted = WANTED.get(name)
        said = "as predicted" if low <= value <= high else "below" if value < low else "above"
        missed = " MISSED" if wanted and value < wanted else ""
        print(f"{name:34} {f'{low:g} - {high:g}':>15} {wanted or '':>8} {value:>10.4g}  {said}{missed}")


def header(arguments: argparse.Namespace, bench: Bench) -> dict[str, Any]:
    """What runs, on what, with which versions."""
    name = torch.cuda.get_device_name() if bench.device.type == "cuda" else processor_name()
    return {
        "benchmark": "gpu_7b", "date": time.strftime("%Y-%m-%d"), "commit": commit(ROOT), "command": arguments.command,
        "versions": versions(), "device": {"name": name, "type": bench.device.type, "cores": os.cpu_count()},
        "model": MODELS["7B"] + (", shrunken" if arguments.stand_in else ""), "dtype": str(bench.dtype).removeprefix("torch."),
        "workload": {
            "env": "MiniWorld-OneRoom-v0", "images": 4, "num_envs": arguments.num_envs, "steps": arguments.steps,
            "tokens": arguments.tokens, "epochs": 2, "settings": arguments.set,
        },
        "predicted": PREDICTED, "wanted": WANTED,
    }  # fmt: skip


def strip_adapter(network: Any) -> None:
    """Put the base's own layers back where PEFT has wrapped them."""
    for name, module in list(network.named_modules()):
        if hasattr(module, "base_layer"):
            parent, _, leaf = name.rpartition(".")
            setattr(network.get_submodule(parent), leaf, module.base_layer)
    if hasattr(network, "peft_config"):
        del network.peft_config
    network.requires_grad_(False)


def stand_in(folder: Path, name: str) -> str:
    """Write a configuration with two small layers, real vocabulary, and its image constants; return the folder."""
    from vldac.known import known_config, known_processor

    config = known_config(name)
    text, vision = config.text_config, config.vision_config
    text.num_hidden_layers, text.hidden_size, text.intermediate_size = 2, 128, 256
    text.num_attention_heads, text.num_key_value_heads, text.layer_types = 4, 2, ["full_attention"] * 2
    text.rope_parameters = {**text.rope_parameters, "mrope_section": [4, 6, 6]}
    vision.depth, vision.embed_dim, vision.num_heads, vision.hidden_size = 2, 64, 4, 128
    config.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(known_processor(name)), encoding="utf-8")
    return str(folder)


def append(path: Path, row: dict[str, Any]) -> None:
    """Write one line, at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")
        file.flush()
        os.fsync(file.fileno())


if __name__ == "__main__":
    sys.exit(main())
