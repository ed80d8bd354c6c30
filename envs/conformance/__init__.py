"""A conformance kit: checks that anybody can run on a vector environment, native or Python, before an agent is trained in it.

    report = vldac.envs.conformance.check(lambda num_envs: MyVectorEnv(num_envs), steps=1000, seed=0)
    print(report.as_text()); assert report.is_conformant

    python -m vldac.envs.conformance gym_cards/NumberLine-v0

A check passes, fails with what was expected and what came, or is skipped with the reason (an environment without snapshots may still
be trained in). The contract is Gymnasium's for vector environments, and beyond it what `docs/python.md` says of environments.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vldac.envs.conformance.checks import CHECKS, Broken, Make, Skipped, Subject

from vldac.errors import EnvError


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """What one check found."""

    name: str
    outcome: str
    """pass, fail or skip"""
    message: str
    """Empty for pass; what was expected and what came; the reason of a skip."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """What all checks found."""

    findings: tuple[Finding, ...]

    @property
    def is_conformant(self) -> bool:
        """True if no check failed."""
        return not any(finding.outcome == "fail" for finding in self.findings)

    def outcome(self, name: str) -> str:
        """Return a check's outcome: pass, fail or skip."""
        return next(finding.outcome for finding in self.findings if finding.name == name)

    def as_text(self) -> str:
        """Return one line per check, and a last one."""
        lines = [f"{f.outcome:4}  {f.name:16}  {f.message}".rstrip() for f in self.findings]
        counts = {o: sum(f.outcome == o for f in self.findings) for o in ("pass", "fail", "skip")}
        verdict = "conformant" if self.is_conformant else "NOT conformant"
        return "\n".join([*lines, f"{verdict}: " + ", ".join(f"{n} {o}" for o, n in counts.items())])

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {"is_conformant": self.is_conformant, "findings": [asdict(finding) for finding in self.findings]}


def check(
    make: Make | str, *, steps: int = 1000, seed: int = 0, num_envs: int = 4,
    provoke_fault: Callable[[Any], None] | None = None,
) -> Report:  # fmt: skip
    """Run every check on a vector environment and return what they found.

    make: called with a number of environments, several times; or an id for `vldac.envs.make` (with task="vldac" where there is one).
    steps: vector steps of the longer checks. provoke_fault: makes something go wrong in environment 0 at the next step of the
    vector environment that it is given; without it the check of faults is skipped.
    """
    subject = Subject(_by_id(make) if isinstance(make, str) else make, steps, seed, num_envs, provoke_fault)
    return Report(findings=tuple(_run(name, one, subject) for name, one in CHECKS.items()))


def _by_id(env_id: str) -> Make:
    from vldac.envs.catalogue import sample_options

    from vldac.envs import make

    return lambda num_envs: make(env_id, num_envs, task="vldac", **sample_options(env_id))


def _run(name: str, one: Callable[[Subject], None], subject: Subject) -> Finding:
    try:
        one(subject)
    except Skipped as reason:
        return Finding(name=name, outcome="skip", message=str(reason))
    except Broken as broken:
        return Finding(name=name, outcome="fail", message=str(broken))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding
        return Finding(
            name=name, outcome="fail", message=f"{type(error).__name__}: {' '.join(str(error).split())}"[:500]
        )
    return Finding(name=name, outcome="pass", message="")


def main(argv: Sequence[str] | None = None) -> int:
    """Check an environment by its id; 0 if it is conformant, 1 if not, 2 if it cannot be made."""
    parser = argparse.ArgumentParser(prog="python -m vldac.envs.conformance", description="Check a vector environment.")
    parser.add_argument("env_id", help="an id for vldac.envs.make, e.g. gymnasium:CartPole-v1")
    parser.add_argument("--steps", type=int, default=1000, help="vector steps of the longer checks")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--num-envs", type=int, default=4)
    parser.add_argument("--json", type=Path, help="write the report there, too")
    arguments = parser.parse_args(argv)
    try:
        _by_id(arguments.env_id)(1).close()
    except EnvError as error:
        print(error, file=sys.stderr)
        return 2
    report = check(arguments.env_id, steps=arguments.steps, seed=arguments.seed, num_envs=arguments.num_envs)
    print(report.as_text())
    if arguments.json:
        arguments.json.write_text(json.dumps(report.as_json(), indent=1) + "\n", encoding="utf-8")
    return 0 if report.is_conformant else 1
