"""The state of an installation: versions, processor, threads, GPU, native core, optional packages, one environment each.

Every check that fails becomes a problem with what to do about it; none of them stops the others.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import platform
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from vldac.provenance import processor_name, version

_VERSIONS = ("torch", "transformers", "peft", "numpy", "gymnasium", "tokenizers", "safetensors")
_OPTIONAL = {
    "triton": "compiled kernels on a GPU",
    "flash_attn": "faster attention on a GPU",
    "torchvision": "not needed; used by transformers if there",
    "tensorboard": "log: [tensorboard]",
    "wandb": "log: [wandb]",
    "trackio": "log: [trackio]",
    "miniworld": "MiniWorld's textures (else built-in ones); oracle of tests",
    "alfworld": "oracle of tests",
    "envpool": "environments envpool:<id>",
}
_ISA_FLAGS = ("sse4_1", "avx2", "fma", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "sve")


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """Something that will not work, and what to do about it."""

    what: str
    do: str


@dataclass(kw_only=True, slots=True)
class Findings:
    """What the examination found; filled section by section."""

    sections: dict[str, dict[str, str]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def note(self, section: str, name: str, value: object) -> None:
        """Record one finding."""
        self.sections.setdefault(section, {})[name] = str(value)

    def as_text(self) -> str:
        """Return the findings for a reader."""
        lines = []
        for section, entries in self.sections.items():
            lines.append(section)
            width = max(map(len, entries))
            lines += [f"  {name:<{width}}  {value}" for name, value in entries.items()]
        for problem in self.problems:
            lines.append(f"PROBLEM  {problem.what}\n     do  {problem.do}")
        lines.append(f"\n{len(self.problems)} problem(s) found." if self.problems else "\nNo problem found.")
        return "\n".join(lines)

    def as_json(self) -> dict[str, Any]:
        """Return plain JSON values: sections, and problems as {"what", "do"}."""
        return {**self.sections, "problems": [{"what": p.what, "do": p.do} for p in self.problems]}


def examine() -> Findings:
    """Run every check."""
    findings = Findings()
    checks: tuple[tuple[str, Callable[[Findings], None]], ...] = (
        ("versions", _versions),
        ("requirements", _requirements),
        ("processor", _processor),
        ("torch", _torch),
        ("native core", _native_core),
        ("kernels", _kernels),
        ("environments", _environments),
        ("optional", _optional),
    )
    for name, check in checks:
        try:
            check(findings)
        except Exception as error:  # noqa: BLE001 -- whatever a broken installation raises is the finding
            findings.problems.append(
                Problem(
                    what=f"{name}: {type(error).__name__}: {error}",
                    do="reinstall with `pip install -c constraints.txt .`; if it stays, report it with this output",
                )
            )
    return findings


def _versions(findings: Findings) -> None:
    findings.note("versions", "vldac", metadata.version("vldac"))
    findings.note("versions", "python", f"{platform.python_version()} ({sys.executable})")
    findings.note("versions", "system", platform.platform())
    for name in _VERSIONS:
        findings.note("versions", name, version(name) or "missing")
    if sys.platform == "win32":
        findings.problems.append(Problem(what="Windows is not supported", do="use Linux, or WSL"))


def _requirements(findings: Findings) -> None:
    """Compare what is installed with the ranges that the package declares."""
    from packaging.requirements import Requirement

    for text in metadata.requires("vldac") or []:
        requirement = Requirement(text)
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        installed = version(requirement.name)
        if installed is None or not requirement.specifier.contains(installed, prereleases=True):
            findings.problems.append(
                Problem(
                    what=f"needs {requirement.name}{requirement.specifier}, found {installed or 'none'}",
                    do=f"pip install -c constraints.txt '{requirement.name}{requirement.specifier}'",
                )
            )


def _processor(findings: Findings) -> None:
    flags: set[str] = set()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() in ("flags", "Features"):
                flags = set(value.split())
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    findings.note("processor", "model", processor_name())
    findings.note("processor", "instructions", " ".join(f for f in _ISA_FLAGS if f in flags) or "baseline")
    findings.note("processor", "cores", f"{usable} usable of {os.cpu_count()}")


def _torch(findings: Findings) -> None:
    import torch

    limit = os.environ.get("OMP_NUM_THREADS", "unset")
    findings.note("torch", "threads", f"{torch.get_num_threads()} (OMP_NUM_THREADS {limit})")
    findings.note("torch", "built for", f"CUDA {torch.version.cuda}" if torch.version.cuda else "CPU")
    if not torch.cuda.is_available():
        findings.note("torch", "gpu", "none: runs use the CPU")
        if torch.version.cuda and Path("/dev/nvidiactl").exists():
            findings.problems.append(
                Problem(what="a GPU is there, but torch cannot use it", do="check the driver version with nvidia-smi")
            )
        return
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        size, tier = properties.total_memory / 1e9, f"sm_{properties.major}{properties.minor}"
        findings.note("torch", f"gpu {index}", f"{properties.name}, {size:.1f} GB, {tier}")
    (torch.ones(8, device="cuda") @ torch.ones(8, device="cuda")).item()


def _native_core(findings: Findings) -> None:
    from vldac import _core
    from vldac.actions import parse_action

    file = Path(str(_core.__file__))
    findings.note("native core", "file", file)
    findings.note("native core", "size", f"{file.stat().st_size:,} bytes")
    findings.note("native core", "is editable", "no" if file.parent == Path(__file__).parent else "yes")
    parsed = parse_action('{"action": "+"}', ["-", "+"])
    if parsed.action != 1:
        raise RuntimeError(f"the action parser read {parsed} from a correct response")


def _kernels(findings: Findings) -> None:
    """Which tier each device takes, and that it scores a row as the specification does."""
    import torch

    from vldac.kernels import explain, linear_logprob, reference

    places = [("CPU, float32", "cpu", torch.float32)]
    if torch.cuda.is_available():
        places.append(("GPU, bfloat16", "cuda", torch.bfloat16))
    for name, device, dtype in places:
        findings.note("kernels", name, explain("linear_logprob", device, dtype))
        hidden, weight = (torch.arange(n * 16, device=device).reshape(n, 16).cos().to(dtype) for n in (2, 40))
        target = torch.tensor([3, 39], device=device)
        ours, theirs = (score(hidden, weight, target).logprob for score in (linear_logprob, reference.linear_logprob))
        if not bool((ours - theirs).abs().max() < 1e-3):
            raise RuntimeError(f"log-probs {ours.tolist()} on the {name}, {theirs.tolist()} by the specification")


def _environments(findings: Findings) -> None:
    """Play each native environment for one episode, with its scripted expert where there is one, and look at the picture."""
    import numpy as np

    from vldac.envs import list_ids, make
    from vldac.envs.catalogue import sample_options
    from vldac.errors import EnvError

    for env_id in list_ids():
        env = make(env_id, 2, task="vldac", num_threads=2, **sample_options(env_id))
        obs, _ = env.reset(seed=0)
        if isinstance(obs, dict) and obs["image"].min() == obs["image"].max():
            raise RuntimeError(f"{env_id} draws an empty picture")
        steps, has_ended = 0, False
        while not has_ended and steps < 1000:
            actions: Any
            try:
                actions = env.oracle_commands() if env.is_text else env.oracle_actions()
            except EnvError:
                actions = np.full(2, steps % len(env.action_names))
            obs, _, terminated, truncated, info = env.step(actions)
            steps, has_ended = steps + 1, bool((terminated | truncated).any())
        env.close()
        if not has_ended:
            raise RuntimeError(f"{env_id} did not end within {steps} steps")
        faults = [fault for fault in info["final_info"]["fault"] if fault]
        if faults:
            raise RuntimeError(f"{env_id} reports {faults[0]}")
        findings.note("environments", env_id, f"plays; the first episode ended after {steps} step(s)")


def _optional(findings: Findings) -> None:
    for name, use in _OPTIONAL.items():
        is_there = importlib.util.find_spec(name) is not None
        findings.note("optional", name, (version(name) or "present") if is_there else f"absent ({use})")
