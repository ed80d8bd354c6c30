"""The other side of `vldac bench rollout` and `vldac bench train`: the original repository's own training loop, timed.

    python benchmarks/original_loop.py --original DIR --texts                        # its prompt texts, as JSON
    python benchmarks/original_loop.py --original DIR --model FOLDER --tokens 32     # rounds of its loop, one JSON line each

Runs in an environment of its own: transformers 4.50.3, accelerate 1.3.0, peft 0.14, stable-baselines3 2.4.1, qwen-vl-utils,
torchvision, miniworld (docs/benchmarks.md says how to make it). DIR is a checkout of the original (`corl-team/VL-DAC`); its
classes are imported from there and none of its code is copied. FOLDER is what `vldac bench` wrote: a Qwen2-VL with its tokenizer
and weights in the hub's format.

Theirs and untouched: policy and value head (`VLMPolicy`, `VLMValue`), sampling (`generate`, one row), scoring, the reference pass,
PPO, the rollout storage, the prompt (version v3), the vector environment (one MiniWorld environment, drawn by the miniworld
package), LoRA's rank, alpha, dropout 0.1 and targets, their optimiser and its settings. The loop around them follows the order of
`main_legacy`, whose entry point needs DeepSpeed, a hub model and a tracker. Their two value-only updates at the start are skipped:
every update is a full one.

Patches, all of them here:
1. DeepSpeed: `main_legacy` writes into the DeepSpeed plugin's configuration; without the plugin there is none, so the loop here
   does not. Plain accelerate takes its place.
2. Response length: `model_generate` hard-codes 1024 new tokens. The generation configuration it makes is given `--tokens`, and the
   model's end ids are removed, so that each response has exactly that many.
3. Value head: created in float16, which does not multiply with a float32 model's states; moved to the model's dtype.
4. The action: their `text_projection` runs Python's `eval` on the response, and takes 0 or 1 at random where that fails, as it does
   on a random model's text. Here the response is not run: 0 or 1 at random. (This only takes work off them.)
5. Output: what they print goes to the null device.
6. Steps per update: as many as fill one accumulation of 128 micro-batches (64 at 2 epochs), so that a round is short and has one
   optimiser step per 64 environment steps, as in the paper's 512 steps, 2 epochs, 128.
7. torchvision (qwen-vl-utils imports it): a build for another torch than the one installed lacks its C++ operators, and its import
   then fails at two of them. Those are declared first. No operator of it is called.

A line has the seconds of the round by part (each without the parts inside it), and environment steps per second: `all_in` (rollout,
reference, update), and `rollout` (generation, their second forward for log-probs and value, environment and storage; no reference);
the same per second of processor time (`all_in_cpu`, `rollout_cpu`), which a busy machine disturbs less.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import os
import platform
import sys
import tempfile
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

os.environ.setdefault(
    "LP_NUM_THREADS", "0"
)  # the software renderer draws in the calling thread: one thread is one thread
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

LORA = {"r": 16, "lora_alpha": 32, "lora_dropout": 0.1, "bias": "none"}
LORA_TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "down_proj", "up_proj"]
ACCUMULATION = 128
SETTINGS = {  # of their run script and the paper's table
    "temperature": 0.2, "thought_prob_coef": 1.0, "stop_grad": "yes", "clip_param": 0.1, "value_loss_coef": 0.25,
    "entropy_coef": 0.01, "kl_beta": 0.05, "max_grad_norm": 1.0, "lr": 5e-5, "eps": 1e-7, "gamma": 0.99, "gae_lambda": 0.95,
    "max_episode_steps": 128,
}  # fmt: skip

_KEPT: list[Any] = []
"""What torch forgets with its last reference."""


class Parts:
    """Wall time by part; a part inside another is taken off it."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._open = ["rest"]
        self._since = time.perf_counter()

    def begin_anew(self) -> None:
        self.seconds.clear()
        self._since = time.perf_counter()

    def _turn(self) -> None:
        now = time.perf_counter()
        self.seconds[self._open[-1]] += now - self._since
        self._since = now

    @contextlib.contextmanager
    def part(self, name: str) -> Iterator[None]:
        self._turn()
        self._open.append(name)
        try:
            yield
        finally:
            self._turn()
            self._open.pop()

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, its time counted as `name`."""

        @functools.wraps(function)
        def call(*arguments: Any, **options: Any) -> Any:
            with self.part(name):
                return function(*arguments, **options)

        return call

    def end(self) -> dict[str, float]:
        self._turn()
        return dict(self.seconds)


def import_original(folder: Path) -> None:
    """Make the checkout importable, and MiniWorld able to draw without a display."""
    if not (folder / "a2c_ppo_acktr" / "algo" / "ppo.py").is_file():
        sys.exit(f"--original: expected a checkout of corl-team/VL-DAC, got {folder}")
    here = str(Path(__file__).resolve().parent)  # its miniworld.py is not the package
    sys.path[:] = [str(folder.resolve()), *(path for path in sys.path if path != here)]
    import pyglet
    import torch

    pyglet.options["headless"] = True
    try:
        import torchvision
    except RuntimeError:  # patch 7
        for name in [name for name in sys.modules if name.startswith("torchvision")]:
            del sys.modules[name]
        torchvision_ops = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            torchvision_ops.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _KEPT.append(torchvision_ops)
        import torchvision  # noqa: F401


def prompt_texts(env_id: str, num_images: int) -> list[str]:
    """Their prompt with 1 to `num_images` pictures."""
    from a2c_ppo_acktr.rl_utils import make_observation

    conversations = [make_observation([None] * count, env_id, [], "v3") for count in range(1, num_images + 1)]
    return [part["text"] for c in conversations for part in c[0]["content"] if part["type"] == "text"]


def load_model(folder: Path) -> tuple[Any, Any]:
    """The network with the folder's weights, and a processor with its tokenizer, as transformers 4.50 spells them."""
    from safetensors.torch import load_file
    from transformers import (
        Qwen2TokenizerFast,
        Qwen2VLConfig,
        Qwen2VLForConditionalGeneration,
        Qwen2VLImageProcessor,
        Qwen2VLProcessor,
    )

    new = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    text = dict(new.pop("text_config"))
    rope = text.pop("rope_parameters")
    for name in ("model_type", "layer_types", "dtype"):
        text.pop(name, None)
    media = {name: value for name, value in new.items() if name.endswith("token_id")}
    config = Qwen2VLConfig(
        **text | media, vision_config=new["vision_config"], rope_theta=rope["rope_theta"],
        rope_scaling={"type": "mrope", "mrope_section": rope["mrope_section"]},
    )  # fmt: skip
    config.tie_word_embeddings = new["tie_word_embeddings"]
    config.eos_token_id = None  # patch 2: nothing ends a response
    network = Qwen2VLForConditionalGeneration(config)
    network.load_state_dict(load_file(folder / "model.safetensors"), strict=True)
    network.generation_config.eos_token_id = None
    names = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    tokenizer = Qwen2TokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"), eos_token=names["eos_token"], pad_token=names["pad_token"],
        additional_special_tokens=names.get("extra_special_tokens", []),
    )  # fmt: skip
    chat = (folder / "chat_template.jinja").read_text(encoding="utf-8")
    pictures = json.loads((folder / "preprocessor_config.json").read_text(encoding="utf-8"))["size"]
    images = Qwen2VLImageProcessor(min_pixels=pictures["shortest_edge"], max_pixels=pictures["longest_edge"])
    return network, Qwen2VLProcessor(image_processor=images, tokenizer=tokenizer, chat_template=chat)


class Original:
    """Their objects, put together as their entry point does it."""

    def __init__(self, arguments: argparse.Namespace, parts: Parts, log_dir: str) -> None:
        import accelerate
        import numpy as np
        import torch
        from a2c_ppo_acktr import algo, model, utils
        from a2c_ppo_acktr.envs import make_vec_envs
        from a2c_ppo_acktr.model_interface import interface
        from a2c_ppo_acktr.rl_utils import make_observation
        from a2c_ppo_acktr.storage import RolloutStorage
        from peft import LoraConfig, TaskType, get_peft_model
        from transformers import GenerationConfig

        def configured(**options: Any) -> Any:  # patch 2
            return GenerationConfig(**options | {"max_new_tokens": arguments.tokens})

        interface.GenerationConfig = configured
        self.parts, self.arguments = parts, arguments
        self.make_observation, self.image_wrap = make_observation, utils.image_wrap
        accelerate.utils.set_seed(arguments.seed)
        random = np.random.default_rng(arguments.seed)
        self.accelerator = accelerate.Accelerator(gradient_accumulation_steps=ACCUMULATION, cpu=True)
        network, processor = load_model(arguments.model)
        base = get_peft_model(network, LoraConfig(task_type=TaskType.CAUSAL_LM, target_modules=LORA_TARGETS, **LORA))
        value_model = model.VLMValue(base)
        value_model.value_head.to(base.dtype)  # patch 3
        settings = argparse.Namespace(
            model_path="Qwen2-VL, random weights", max_new_tokens=arguments.tokens, **SETTINGS
        )
        policy = model.VLMPolicy(
            accelerator=self.accelerator, processor=processor, value_model=value_model, reference_model=None,
            projection_f=lambda texts: int(random.integers(2)), args=settings,  # patch 4
        )  # fmt: skip
        adam = torch.optim.Adam([{"params": policy.value_model.parameters(), "lr": settings.lr}], eps=settings.eps)
        self.policy, optimizer = self.accelerator.prepare(policy, adam)
        self.agent = algo.PPO(
            self.policy, optimizer, self.accelerator, settings.clip_param, arguments.epochs, 1, settings.value_loss_coef,
            settings.entropy_coef, settings.kl_beta, max_grad_norm=settings.max_grad_norm, grad_accum_steps=ACCUMULATION,
        )  # fmt: skip
        self.env = make_vec_envs(
            arguments.env_id, arguments.seed, 0, settings.gamma, log_dir, "cpu", False, 1,
            max_episode_steps=settings.max_episode_steps,
        )  # fmt: skip
        self.storage = functools.partial(
            RolloutStorage, num_processes=1, action_space=self.env.action_space, max_new_tokens=arguments.tokens
        )
        self.frames: deque[Any] = deque([self.image_wrap(self.env.reset())], maxlen=arguments.num_images)
        self.observation = self._observe()
        base.generate = parts.timed("generate", base.generate)
        interface.model_evaluate = parts.timed("evaluate", interface.model_evaluate)
        model.model_evaluate = parts.timed("update forward", model.model_evaluate)
        model.model_evaluate_reference = parts.timed("reference", model.model_evaluate_reference)
        policy.process_obs = parts.timed("preprocess", policy.process_obs)
        self.accelerator.backward = parts.timed("backward", self.accelerator.backward)
        self.accelerator.clip_grad_norm_ = parts.timed("optimizer", self.accelerator.clip_grad_norm_)
        optimizer.step = parts.timed("optimizer", optimizer.step)
        self.env.step = parts.timed("env", self.env.step)

    def _observe(self) -> Any:
        return self.make_observation(self.frames, self.arguments.env_id, [], "v3")

    def round(self, steps: int, *, has_update: bool) -> dict[str, Any]:
        """One update of `steps` environment steps: roll out with the reference, returns, epochs; or the rollout alone."""
        import torch

        storage, parts = self.storage(steps), self.parts
        storage.obs[0] = self.observation
        shown, lengths = [], []
        parts.begin_anew()
        start, cpu = time.perf_counter(), time.process_time()
        reference_s = reference_cpu_s = 0.0
        for _ in range(steps):
            shown.append(len(self.frames))
            value, output, action, logprobs, _ = self.policy.act(self.observation)
            before, cpu_before = time.perf_counter(), time.process_time()
            reference = self.policy.get_reference_model_logits(self.observation, output) if has_update else logprobs
            reference_s += time.perf_counter() - before
            reference_cpu_s += time.process_time() - cpu_before
            frame, reward, done, infos = self.env.step([action])
            reward = torch.from_numpy(reward)
            if done[0]:
                self.frames.clear()
                if reward <= 0:
                    reward = torch.Tensor([-1])
            self.frames.append(self.image_wrap(frame))
            lengths.append(output.shape[1])
            self.observation = self._observe()
            masks = torch.FloatTensor([[0.0] if done[0] else [1.0]])
            bad = torch.FloatTensor([[0.0] if infos[0].get("TimeLimit.truncated") else [1.0]])
            storage.insert(
                self.observation, output, torch.tensor(action), logprobs, reference, value, reward, masks, bad
            )
        rollout_s = time.perf_counter() - start - reference_s
        rollout_cpu_s = time.process_time() - cpu - reference_cpu_s
        if has_update:
            next_value = self.policy.get_value(storage.obs[-1]).detach()
            storage.compute_returns(next_value, True, SETTINGS["gamma"], SETTINGS["gae_lambda"], False)
            self.agent.update(storage, only_value_loss=False, kl=True)
        total_s, total_cpu_s = time.perf_counter() - start, time.process_time() - cpu
        seconds = parts.end()
        if set(lengths) != {self.arguments.tokens}:
            raise RuntimeError(f"responses of {set(lengths)} tokens, not {self.arguments.tokens}")
        return {
            "steps": steps, "all_in": steps / total_s if has_update else None, "rollout": steps / rollout_s,
            "all_in_cpu": steps / total_cpu_s if has_update else None, "rollout_cpu": steps / rollout_cpu_s, "seconds": seconds,
            "wall_s": {"rollout": rollout_s, "reference": reference_s, "update": total_s - rollout_s - reference_s},
            "images": sum(shown) / steps, "load": os.getloadavg()[0],
        }  # fmt: skip

    def prompt_tokens(self) -> int:
        """Tokens of the present prompt."""
        return int(self.policy.process_obs(self.observation)["input_ids"].shape[1])


def main() -> int:
    """Rounds on request."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--original", type=Path, required=True, help="checkout of the original repository")
    parser.add_argument("--texts", action="store_true", help="only print the prompts, with 1 to --num-images pictures")
    parser.add_argument("--model", type=Path, help="model folder")
    parser.add_argument("--env-id", default="MiniWorld-OneRoom-v0")
    parser.add_argument("--num-images", type=int, default=4)
    parser.add_argument("--tokens", type=int, default=32, help="tokens of every response")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--steps", type=int, default=64, help="environment steps per round (patch 6)")
    parser.add_argument("--rollout-only", action="store_true", help="neither reference pass nor update in the rounds")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--wait", action="store_true", help="wait for a line on the standard input before each round")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    if arguments.model is None and not arguments.texts:
        parser.error("--model is required")
    import_original(arguments.original)
    lines = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    with open(os.devnull, "w", encoding="utf-8") as null, contextlib.redirect_stdout(null):  # patch 5
        if arguments.texts:
            print(json.dumps(prompt_texts(arguments.env_id, arguments.num_images)), file=lines)
            return 0
        import torch

        torch.set_num_threads(arguments.threads)
        with tempfile.TemporaryDirectory() as log_dir:
            original = Original(arguments, Parts(), log_dir)
            original.round(arguments.num_images, has_update=True)  # first calls, and a full window
            packages = ("torch", "transformers", "accelerate", "peft", "numpy", "miniworld")
            ready = {
                "prompt_tokens": original.prompt_tokens(), "accumulation": ACCUMULATION, "settings": SETTINGS, "lora": LORA,
                "versions": {"python": platform.python_version()} | {name: metadata.version(name) for name in packages},
            }  # fmt: skip
            print(json.dumps(ready), file=lines)
            for _ in range(arguments.rounds):
                if arguments.wait and not sys.stdin.readline():
                    break
                print(json.dumps(original.round(arguments.steps, has_update=not arguments.rollout_only)), file=lines)
    return 0


if __name__ == "__main__":
    sys.exit(main())
