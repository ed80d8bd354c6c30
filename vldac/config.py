"""Configuration: frozen dataclasses, one per concern, loaded from YAML and overridden by dotted flags.

Precedence: defaults < recipe or file < dotted flags. Unknown keys are errors with the nearest suggestion. Derived values are
properties. This module imports neither torch nor transformers, so that `vldac --help` is quick.
The string under each field is its help text, once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

PromptLayout = Literal["shared_prefix", "images_first"]


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Which model acts, and which of its weights are trained."""

    name: str = "Qwen/Qwen2-VL-7B-Instruct"
    """"tiny" (built and cloned locally), or any Hugging Face id or folder of the Qwen2-VL, Qwen2.5-VL or Qwen3-VL family."""
    dtype: Literal["float32", "bfloat16"] = "bfloat16"
    """dtype of the frozen base weights; LoRA and value head are float32."""
    random_weights: bool = False
    """Build the model from its configuration alone, with random weights (throughput runs and tests)."""
    lora_rank: int = 16
    """Rank of the LoRA update on the language projections."""
    lora_alpha: int = 32
    """LoRA scale is alpha / rank."""
    lora_dropout: float = 0.0
    """Dropout inside LoRA; anything but 0 breaks ratio = 1 and is refused unless waived (see `waive`)."""
    value_hidden: tuple[int, ...] = (3072, 2048)
    """Widths of the value head's hidden layers."""
    gradient_checkpointing: bool = False
    """Trade compute for memory in the update."""
    kernels: Literal["auto", "torch", "cpp", "triton", "triton_fused"] = "auto"
    """Back end of scoring, losses, advantages and sampling; auto is Triton on a GPU, C++ on the CPU."""
    attention: Literal["auto", "sdpa", "flex", "flash"] = "auto"
    """How packed rows attend: sdpa pads them; flex (GPU) has a block mask; flash needs a GPU and flash-attn; auto is C++ on the
    CPU, sdpa on a GPU."""


@dataclass(frozen=True, kw_only=True)
class TinyConfig:
    """The locally built Qwen2-VL and its cloned warm start (only with model.name = "tiny")."""

    hidden_size: int = 128
    """Width of the decoder; a multiple of 32."""
    num_layers: int = 3
    """Decoder layers."""
    vision_dim: int = 96
    """Width of the vision tower; a multiple of 24."""
    vision_depth: int = 2
    """Layers of the vision tower."""
    vocab_size: int = 512
    """Size of the byte-level BPE vocabulary before the special tokens."""
    clone_updates: int = 500
    """Optimiser steps of behaviour cloning: truthful fields, random action."""
    clone_batch: int = 48
    """Samples per step of behaviour cloning."""
    clone_samples: int = 4096
    """Observations that are played for behaviour cloning, drawn from with replacement."""
    clone_lr: float = 2e-3
    """Peak learning rate of behaviour cloning."""
    clone_action: Literal["uniform", "grammatical", "quarter_oracle"] = "uniform"
    """Which actions a cloned response draws from, all with equal odds: every action, or those that continue the text grammatically
    with what is on the picture (EZPoints: a card not yet used, an operator, "="); neither is an expert's. quarter_oracle: in one step
    of four the scripted expert's action, else any: for tasks that random play practically never solves."""
    clone_balanced: bool = False
    """Half of each batch of cloning has every different truth equally often, for facts that random play rarely shows; the other half
    is as it was played. In each situation the actions have the same odds either way."""
    clone_reading_coef: float = 0.5
    """Weight of a throw-away head that reads the fields, never the action, from the last prompt token while cloning."""
    clone_dir: str = ""
    """Folder of an existing warm start to reuse; empty builds one inside the run folder."""


@dataclass(frozen=True, kw_only=True)
class EnvConfig:
    """Which environment, and how it is shown to the model."""

    id: str = "gym_cards/NumberLine-v0"
    """Environment id; `vldac envs` lists them."""
    num_envs: int = 32
    """Environments stepped side by side; their responses are generated in one batch."""
    task: str = "vldac"
    """"vldac" adds the paper's prompts, step limit and rewards to the upstream environment."""
    prompt: Literal["paper", "short", "text", "compat", "v1", "v2", "v3"] = "paper"
    """Prompt template: the paper's, or a short one for tiny models. MiniWorld has the original's versions, too: "v1" asks for a
    description, "v2" tells the layout, "v3" is "paper". ALFWorld and WebShop have "text", which tells the page or the room in
    words; WebShop has "compat", the original's, without the goal."""
    prompt_layout: PromptLayout = "shared_prefix"
    """Where the pictures stand in a prompt: "shared_prefix" behind the text, so that the text, the same in every step, is run once
    for many steps; or "images_first", as VL-DAC's prompts."""
    image_size: tuple[int, int] | None = None
    """(width, height) in pixels; null is the environment's own size. Sides that the model cannot take are resized to the nearest
    multiple of its patch x merge (28 or 32 pixels), as its own processor does, and a note says so."""
    max_episode_steps: int | None = None
    """Step limit of an episode; null is the task's own."""
    num_images: int = 1
    """Images per prompt: the current frame and the ones before it in the episode, oldest first."""
    parse_mode: Literal["tolerant", "json", "vldac", "rl4vlm"] = "tolerant"
    """How a response is read: see docs/parsing.md."""
    fallback: Literal["random_legal", "noop", "penalty"] = "random_legal"
    """What an unparsable response does."""
    penalty: float = 0.0
    """Reward added to an unparsable response's step."""
    num_threads: int | None = None
    """Threads of the native stepper; null picks min(num_envs, cores)."""
    options: dict[str, float | str] = field(default_factory=dict)
    """The environment's own options, names and values in turn (solvable_only 1); `vldac envs` lists them."""
    textures: Literal["auto", "miniworld", "builtin"] = "auto"
    """MiniWorld's textures and meshes: the installed package's, the built-in ones, or the first of these that is there."""
    max_fault_frac: float = 0.05
    """An update in which more than this share of the steps were environment faults ends the run."""


@dataclass(frozen=True, kw_only=True)
class RolloutConfig:
    """How one update's data is sampled."""

    steps_per_update: int = 512
    """Environment steps per update over all environments; a multiple of env.num_envs."""
    max_new_tokens: int = 96
    """Token limit of one response, end-of-turn token included."""
    temperature: float = 1.0
    """Sampling temperature; old, new and reference log-probs are taken at the same temperature."""
    top_k: int = 0
    """0 is no truncation; anything else needs the waiver "truncated-sampling"."""
    mode: Literal["sync", "async"] = "sync"
    """sync: all environments step together, after the longest response. async: each goes on as soon as its own response has ended,
    and its environment steps while the others decode; for environments with send and recv (docs/environments.md)."""
    order: Literal["fifo", "ready"] = "fifo"
    """async: answers of the environments are taken as they were sent (reproducible), or as they are ready."""
    env_tokens: int = 0
    """async, fifo: tokens that are decoded in all rows before an environment is waited for. Raise it where an environment's step
    takes longer than a token (rollout/wait_frac tells), e.g. to 32 for Python environments on a small model."""
    admit_envs: int = 0
    """async: while others decode, new prompts wait until so many are there for one prefill; 0 is a quarter of the environments that
    still have steps to take on the CPU, an eighth on a GPU."""
    cuda_graphs: bool = True
    """Decode by replay of CUDA graphs, over padded numbers of rows. No effect on the CPU."""
    old_logprob: Literal["auto", "decode", "trainer"] = "auto"
    """Where the old log-prob comes from: decoding (exact in float32) or one no-grad pass on the update's own path."""


@dataclass(frozen=True, kw_only=True)
class AlgorithmConfig:
    """PPO with one value per environment step (paper Eq. 3-6)."""

    gamma: float = 0.99
    """Discount per environment step."""
    gae_lambda: float = 0.95
    """Lambda of generalized advantage estimation, over environment steps."""
    clip: float = 0.1
    """PPO clip radius of the token ratio."""
    kl_coef: float = 0.05
    """Weight of the k3 estimate of KL to the initial policy."""
    value_coef: float = 0.15
    """Weight of the value loss."""
    value_clip: float | None = None
    """Clip radius of the value, in units of return; null is the paper's unclipped half squared error."""
    ratio_guard: float | None = None
    """Original code's guard: a step with a token ratio above this keeps only its clamped branch."""
    normalize_advantages: bool = True
    """Whiten the advantages over all steps of the update."""
    timeout: Literal["terminal", "bootstrap", "drop"] = "bootstrap"
    """What a time limit means for GAE: a true end; a cut that bootstraps from the final observation; or "drop", the original code's
    use_proper_time_limits: the accumulator is set to 0 there, so that nothing is learned from that step or its reward."""
    shuffle_advantages: bool = False
    """Control experiment: permute the advantages over the steps of the update."""


@dataclass(frozen=True, kw_only=True)
class OptimConfig:
    """Optimisation of one update, and the schedule over the run."""

    num_updates: int = 100
    """Updates of the whole run (a resumed run counts the earlier ones)."""
    epochs: int = 2
    """Passes over the steps of an update."""
    minibatch_steps: int = 128
    """Environment steps per optimiser step."""
    microbatch_tokens: int = 0
    """Tokens per forward and backward pass, the shared prefix counted once; 0 is automatic: what fits into the free memory of a GPU,
    what runs fastest on a CPU. No effect on the result beyond rounding; halved, with a message, when memory runs out."""
    microbatch_steps: int = 0
    """At most so many environment steps per forward and backward pass; 0 is no limit beside microbatch_tokens."""
    lr: float = 5e-5
    """Learning rate of the adapter at the first update."""
    lr_final: float = 1e-7
    """Cosine schedule from lr to lr_final over num_updates, constant afterwards."""
    value_lr: float = 5e-5
    """Learning rate of the value head at the first update."""
    value_lr_final: float = 1e-7
    """Learning rate of the value head at the last update, by the same schedule."""
    max_grad_norm: float = 1.0
    """Norm limit, for policy and value parameters separately."""
    adam_eps: float = 1e-7
    """Epsilon of Adam; no weight decay."""
    warmup_updates: int = 2
    """First updates that train the value head alone (floor)."""
    warmup_cap: int = 10
    """Value warm-up ends here even if its explained variance stays below the threshold."""
    warmup_explained_variance: float = 0.0
    """Value warm-up ends once the explained variance reaches this (after the floor)."""


@dataclass(frozen=True, kw_only=True)
class EvalConfig:
    """Evaluation on held-out seeds."""

    episodes: int = 200
    """Held-out episodes of one evaluation; 0 is none."""
    seed: int = 1_000_000
    """First seed; episode i uses seed + i. Overlap with the training seeds is refused."""
    options: dict[str, float | str] = field(default_factory=dict)
    """Options of the environment that are others in an evaluation, e.g. split valid_unseen; over env.options."""
    every: int = 0
    """Evaluate every so many updates; 0 is only before the first and after the last. `best` is the best by these."""


@dataclass(frozen=True, kw_only=True)
class AlarmConfig:
    """Signs of collapse; each is a message when it begins, and counts in alarm/count."""

    entropy_min: float = 1e-5
    """Mean token entropy of the rollout, in nats, below which the policy has collapsed."""
    invalid_action_max: float = 0.5
    """Share of responses without a usable action."""
    repetition_max: float = 0.95
    """Share of responses equal to the one before in the same episode."""
    kl_min: float = 0.5
    """KL (k3) below this is never a spike."""
    kl_spike: float = 10.0
    """KL above this many times the median of the ten updates before is a spike."""
    decode_mismatch_max: float = 0.05
    """Mean |log-ratio| between decoding and the update's own path above which sampling and training disagree."""
    stop_after: int = 0
    """End the run after so many updates in a row with an alarm; 0 only warns."""


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """One run."""

    model: ModelConfig = field(default_factory=ModelConfig)
    tiny: TinyConfig = field(default_factory=TinyConfig)
    env: EnvConfig = field(default_factory=EnvConfig)
    rollout: RolloutConfig = field(default_factory=RolloutConfig)
    algorithm: AlgorithmConfig = field(default_factory=AlgorithmConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    eval: EvalConfig = field(default_factory=EvalConfig)
    alarms: AlarmConfig = field(default_factory=AlarmConfig)
    seed: int = 0
    """Seed of everything: environment i of the run starts from seed + i."""
    device: str = "auto"
    """"auto" takes a GPU if there is one."""
    num_threads: int = 0
    """torch CPU threads; 0 leaves torch's choice."""
    checkpoint_every: int = 1
    """Save every so many updates, and always at the end: what a killed run can lose."""
    keep_checkpoints: int = 2
    """Numbered checkpoints kept besides the best and the last good one."""
    trajectories_every: int = 0
    """Record every so many updates for `vldac view`; 0 records the last one only."""
    waive: tuple[str, ...] = ()
    """Self-checks that this run waives by name; printed at start."""
    log: tuple[Literal["tensorboard", "wandb", "trackio"], ...] = ()
    """Trackers beside metrics.jsonl; none named: TensorBoard if it is installed."""

    def is_recorded(self, update: int) -> bool:
        """Whether trajectories are recorded of the run's update number `update`, which counts from 1."""
        every = self.trajectories_every
        return update == self.optim.num_updates or (every > 0 and update % every == 0)
