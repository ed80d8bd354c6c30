"""A conformance kit: checks that anybody can run on a vector environment, native or Python, before an agent is trained in it.

    report = vldac.envs.conformance.check(lambda num_envs: MyVectorEnv(num_envs), steps=1000, seed=0)
    print(report.as_text()); assert report.is_conformant

    python -m vldac.envs.conformance gym_cards/NumberLine-v0

A check passes, fails with what was expected and what came, or is skipped with the reason (an environment without snapshots may still
be trained in). The contract is Gymnasium's for vector environments, and beyond it what `docs/python.md` says of environments.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space

from vldac.errors import EnvError

Make = Callable[[int], Any]
"""Makes a vector environment of so many environments; called several times."""
SNAPSHOT_STEPS = 1000


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


class _Broken(Exception):
    """A check failed."""


class _Skipped(Exception):
    """A check does not apply."""


@dataclass(frozen=True, slots=True)
class _Subject:
    """What is checked."""

    make: Make
    steps: int
    seed: int
    num_envs: int
    provoke_fault: Callable[[Any], None] | None

    @contextlib.contextmanager
    def env(self, num_envs: int | None = None, *, is_reset: bool = True) -> Iterator[Any]:
        """A new instance, reset with the seed, closed afterwards."""
        env = self.make(num_envs or self.num_envs)
        try:
            if is_reset:
                env.reset(seed=self.seed)
            yield env
        finally:
            env.close()

    def actions(self, env: Any) -> Iterator[Any]:
        """The same random actions for every instance."""
        space = copy.deepcopy(env.action_space)
        space.seed(self.seed)
        while True:
            yield space.sample()


def check(
    make: Make | str, *, steps: int = 1000, seed: int = 0, num_envs: int = 4,
    provoke_fault: Callable[[Any], None] | None = None,
) -> Report:  # fmt: skip
    """Run every check on a vector environment and return what they found.

    make: called with a number of environments, several times; or an id for `vldac.envs.make` (with task="vldac" where there is one).
    steps: vector steps of the longer checks. provoke_fault: makes something go wrong in environment 0 at the next step of the
    vector environment that it is given; without it the check of faults is skipped.
    """
    subject = _Subject(_by_id(make) if isinstance(make, str) else make, steps, seed, num_envs, provoke_fault)
    return Report(findings=tuple(_run(name, one, subject) for name, one in CHECKS.items()))


def _by_id(env_id: str) -> Make:
    from vldac.envs import make

    return lambda num_envs: make(env_id, num_envs, task="vldac")


def _run(name: str, one: Callable[[_Subject], None], subject: _Subject) -> Finding:
    try:
        one(subject)
    except _Skipped as reason:
        return Finding(name=name, outcome="skip", message=str(reason))
    except _Broken as broken:
        return Finding(name=name, outcome="fail", message=str(broken))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding
        return Finding(
            name=name, outcome="fail", message=f"{type(error).__name__}: {' '.join(str(error).split())}"[:500]
        )
    return Finding(name=name, outcome="pass", message="")


# -- checks -------------------------------------------------------------------------------------------------------------


def _spaces(subject: _Subject) -> None:
    """The batched spaces are the single ones, num_envs times; a reset's observation lies in them."""
    with subject.env(is_reset=False) as env:
        _expect(env.num_envs == subject.num_envs, f"num_envs {subject.num_envs}", env.num_envs)
        for kind in ("observation", "action"):
            single, batched = getattr(env, f"single_{kind}_space"), getattr(env, f"{kind}_space")
            wanted = batch_space(single, env.num_envs)
            _expect(batched == wanted, f"{kind}_space {wanted}", batched)
        obs, info = env.reset(seed=subject.seed)
        _expect(_contains(env.observation_space, obs), "an observation of reset() in observation_space", _outline(obs))
        _expect(isinstance(info, dict), "info as a dict", type(info).__name__)


def _metadata(subject: _Subject) -> None:
    """The autoreset mode is declared; same-step wastes no response of a model."""
    with subject.env() as env:
        mode = env.metadata.get("autoreset_mode")
        _expect(isinstance(mode, AutoresetMode), 'metadata["autoreset_mode"] as an AutoresetMode', repr(mode))


def _step_types(subject: _Subject) -> None:
    """Reward float64 [E], flags bool [E], observations in their space, at every step."""
    with subject.env() as env:
        count = env.num_envs
        for _, result in _play(env, subject, subject.steps):
            obs, reward, terminated, truncated, info = result
            for name, value, dtype in (
                ("reward", reward, np.float64), ("terminated", terminated, np.bool_), ("truncated", truncated, np.bool_)
            ):  # fmt: skip
                is_fine = isinstance(value, np.ndarray) and value.dtype == dtype and value.shape == (count,)
                _expect(is_fine, f"{name} {np.dtype(dtype).name} [{count}]", _outline(value))
            _expect(bool(np.isfinite(reward).all()), "finite rewards", reward)
            _expect(_contains(env.observation_space, obs), "observations in observation_space", _outline(obs))
            _expect(isinstance(info, dict), "info as a dict", type(info).__name__)


def _determinism(subject: _Subject) -> None:
    """Two instances with one seed and the same actions show the same; so does one that is reset to that seed again."""
    with subject.env() as first, subject.env() as second:
        steps = min(subject.steps, 300)
        for (i, a), (_, b) in zip(_play(first, subject, steps), _play(second, subject, steps), strict=True):
            _expect(_same(a, b), "two instances with the same seed to go the same way", f"a difference in step {i}")
        reference = _record(first, subject, 50)
        _expect(_same(reference, _record(first, subject, 50)), "reset(seed) to begin the same again", "a difference")


def _seeds(subject: _Subject) -> None:
    """Environment i begins with seed + i, as in Gymnasium."""
    with subject.env() as env:
        rows = env.reset(seed=subject.seed)[0]
        for i in range(env.num_envs):
            other = env.reset(seed=subject.seed + i)[0]
            _expect(
                _same(_row(env, rows, i), _row(env, other, 0)), f"reset(seed=s) to begin environment {i} with s + {i}",
                "another beginning",
            )  # fmt: skip
        listed = env.reset(seed=[subject.seed + i for i in range(env.num_envs)])[0]
        _expect(_same(listed, rows), "a list of seeds to mean the same", "another beginning")


def _reset_mask(subject: _Subject) -> None:
    """reset(options={"reset_mask": m}) begins new episodes there and leaves the others where they are."""
    with subject.env() as env, subject.env() as twin:
        for _, result in _play(env, subject, 3):
            before = result[0]
        mask = np.arange(env.num_envs) % 2 == 0
        obs = env.reset(seed=subject.seed + 77, options={"reset_mask": mask.copy()})[0]
        fresh = twin.reset(seed=subject.seed + 77)[0]
        for i in range(env.num_envs):
            is_fine = _same(_row(env, obs, i), _row(env, fresh if mask[i] else before, i))
            wanted = (
                "a new observation where the mask is True"
                if mask[i]
                else "the present observation where the mask is False"
            )
            _expect(is_fine, wanted, f"another in environment {i}")
    with subject.env() as env, subject.env() as twin:
        actions = subject.actions(env)
        env.reset(options={"reset_mask": np.arange(env.num_envs) == 0})
        for i in range(20):
            action = next(actions)
            a, b = env.step(copy.deepcopy(action)), twin.step(copy.deepcopy(action))
            rows = range(1, env.num_envs)
            ours = [(_row(env, a[0], e), a[1][e], a[2][e], a[3][e]) for e in rows]
            theirs = [(_row(env, b[0], e), b[1][e], b[2][e], b[3][e]) for e in rows]
            _expect(_same(ours, theirs), "the others to go on untouched by a masked reset", f"a difference in step {i}")
            if (ended := (a[2] | a[3] | b[2] | b[3])).any():
                _revive(env, a[2] | a[3])
                _revive(twin, b[2] | b[3])
                if ended[1:].any():
                    break


def _autoreset(subject: _Subject) -> None:
    """An episode's end looks as in SyncVectorEnv of the same mode."""
    with subject.env() as env:
        mode, ends = env.metadata["autoreset_mode"], 0
        ended = np.zeros(env.num_envs, bool)
        for _, (_, reward, terminated, truncated, info) in _play(env, subject, subject.steps):
            if mode is AutoresetMode.NEXT_STEP and ended.any():
                quiet = not reward[ended].any() and not (terminated | truncated)[ended].any()
                _expect(
                    quiet,
                    "reward 0 and no flag in the step that resets",
                    (reward[ended], terminated[ended], truncated[ended]),
                )
            ended = terminated | truncated
            ends += int(ended.sum())
            if mode is AutoresetMode.SAME_STEP:
                _same_step_layout(env, info, ended)
            else:
                _expect("final_obs" not in info, "final_obs in same-step mode only", "one")
        if not ends:
            raise _Skipped(f"no episode ended in {subject.steps} steps of {env.num_envs} environments")


def _same_step_layout(env: Any, info: dict[str, Any], ended: np.ndarray) -> None:
    if not ended.any():
        _expect(
            "final_obs" not in info and "final_info" not in info,
            "final_obs and final_info where an episode ended",
            list(info),
        )
        return
    for key in ("final_obs", "final_info"):
        _expect(key in info and f"_{key}" in info, f'info["{key}"] and its mask "_{key}"', list(info))
        mask = info[f"_{key}"]
        is_fine = isinstance(mask, np.ndarray) and mask.dtype == np.bool_ and np.array_equal(mask, ended)
        _expect(is_fine, f"_{key} as a bool array that is True where an episode ended", mask)
    final = info["final_obs"]
    is_fine = isinstance(final, np.ndarray) and final.dtype == object and final.shape == (env.num_envs,)
    _expect(is_fine, f"final_obs as an object array [{env.num_envs}]", _outline(final))
    for e in range(env.num_envs):
        if ended[e]:
            is_fine = _contains(env.single_observation_space, final[e])
            _expect(is_fine, "final observations in single_observation_space", _outline(final[e]))
        else:
            _expect(final[e] is None, "None in final_obs where no episode ended", _outline(final[e]))
    _expect(isinstance(info["final_info"], dict), "final_info as a dict of arrays", type(info["final_info"]).__name__)


def _aliasing(subject: _Subject) -> None:
    """What was returned stays as it was, and shares no memory with what is returned later."""
    with subject.env() as env:
        kept: list[tuple[Any, Any]] = []
        for _, result in _play(env, subject, 20):
            final = [item for item in result[4].get("final_obs", ()) if item is not None]
            arrays = _arrays((result[:4], final))
            kept.append((arrays, copy.deepcopy(arrays)))
        for i, (arrays, frozen) in enumerate(kept):
            _expect(_same(arrays, frozen), "returned arrays that stay as they were", f"those of step {i} changed later")
            later = [array for others, _ in kept[i + 1 :] for array in others]
            shared = any(np.shares_memory(a, b) for a in arrays for b in later)
            _expect(not shared, "returned arrays of their own memory", f"step {i} shares memory with a later one")


def _snapshot(subject: _Subject) -> None:
    """get_state and set_state restore every environment bit for bit, in this instance and in a new one; clone goes on alone."""
    with subject.env() as env:
        if not hasattr(env, "get_state"):
            raise _Skipped("no get_state: a resumed run begins new episodes and is not bit-exact")
        for _ in _play(env, subject, 20):
            pass
        state = env.get_state()
        _expect(isinstance(state, bytes), "get_state() as bytes", type(state).__name__)
        reference = [result for _, result in _play(env, subject, SNAPSHOT_STEPS)]
        env.set_state(state)
        for i, result in _play(env, subject, SNAPSHOT_STEPS):
            _expect(_same(result, reference[i]), "set_state to restore bit for bit", f"a difference after {i} steps")
        with subject.env() as fresh:
            fresh.set_state(state)
            for i, result in _play(fresh, subject, 100):
                _expect(
                    _same(result, reference[i]), "set_state to restore a new instance", f"a difference after {i} steps"
                )
        for name, bad in (("a truncated state", state[: len(state) // 2]), ("an empty state", b"")):
            _refuses(lambda bad=bad: env.set_state(bad), name)
        env.set_state(state)
        if hasattr(env, "clone"):
            with contextlib.closing(env.clone()) as twin:
                for i, result in _play(twin, subject, 50):
                    _expect(
                        _same(result, reference[i]), "clone() to go on the same way", f"a difference after {i} steps"
                    )
                is_apart = _same(next(_play(env, subject, 1))[1], reference[0])
                _expect(is_apart, "a clone that leaves the original where it is", "an original that moved")


def _close(subject: _Subject) -> None:
    """close() can be called twice; a step after it is an error, no crash and no wait."""
    with subject.env() as env:
        action = next(subject.actions(env))
        env.close()
        env.close()
        _refuses(lambda: env.step(action), "step() after close()")


def _bad_actions(subject: _Subject) -> None:
    """Actions that cannot be meant are refused, and nothing has been stepped then."""
    with subject.env() as env, subject.env() as twin:
        good = next(subject.actions(env))
        for name, bad in _wrong_actions(env, good):
            _refuses(lambda bad=bad: env.step(bad), name)
        a, b = env.step(copy.deepcopy(good)), twin.step(copy.deepcopy(good))
        _expect(_same(a, b), "an environment that is untouched by refused actions", "another answer to the next action")


def _faults(subject: _Subject) -> None:
    """A fault is truncated, reward 0, and told in final_info["fault"]; the others go on, and so does the environment itself."""
    if subject.provoke_fault is None:
        raise _Skipped("no provoke_fault was given")
    with subject.env() as env, subject.env() as twin:
        actions = subject.actions(env)
        subject.provoke_fault(env)
        action = next(actions)
        (_, reward, terminated, truncated, info), other = (
            env.step(copy.deepcopy(action)),
            twin.step(copy.deepcopy(action)),
        )
        _expect(
            bool(truncated[0]) and not terminated[0],
            "a fault as truncated, not terminated",
            (terminated[0], truncated[0]),
        )
        _expect(reward[0] == 0.0, "reward 0 for a fault", reward[0])
        told = info["final_info"] if env.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP else info
        message = told.get("fault", [None])[0]
        _expect(isinstance(message, str) and bool(message), 'a message in "fault"', repr(message))
        rows = slice(1, None)
        is_fine = _same((reward[rows], terminated[rows], truncated[rows]), tuple(part[rows] for part in other[1:4]))
        _expect(is_fine, "the other environments to be untouched", "another answer from them")
        _revive(env, terminated | truncated)
        for _ in range(3):
            env.step(next(actions))


def _model(subject: _Subject) -> None:
    """What training a vision-language model needs: a picture, prompts with one image, named actions, outcomes of episodes."""
    with subject.env() as env:
        if not hasattr(env, "prompts"):
            raise _Skipped("no prompts(): a model is not to play it")
        obs = env.reset(seed=subject.seed)[0]
        picture = obs.get("image") if isinstance(obs, dict) else None
        is_fine = (
            isinstance(picture, np.ndarray)
            and picture.dtype == np.uint8
            and picture.ndim == 4
            and picture.shape[3] == 3
        )
        _expect(is_fine, 'obs["image"] uint8 [E, height, width, 3]', _outline(obs))
        names, space = getattr(env, "action_names", None), env.single_action_space
        if isinstance(space, gym.spaces.Discrete):
            is_fine = names is not None and len(names) == space.n == len(set(names))
            _expect(is_fine, f"{space.n} different action_names", names)
        ended_seen, returns, lengths = 0, np.zeros(env.num_envs), np.zeros(env.num_envs, int)
        for _, (_, reward, terminated, truncated, info) in _play(env, subject, min(subject.steps, 300)):
            _check_prompts(env)
            returns, lengths, ended = returns + reward, lengths + 1, terminated | truncated
            if env.metadata["autoreset_mode"] is not AutoresetMode.SAME_STEP:
                raise _Broken(
                    "expected same-step autoreset (a response per episode is lost otherwise), got " + str(env.metadata)
                )
            for e in np.flatnonzero(ended):
                _check_outcome(
                    {key: _row(env, value, e) for key, value in info["final_info"].items()}, returns[e], lengths[e]
                )
                ended_seen += 1
            returns[ended], lengths[ended] = 0.0, 0
        if not ended_seen:
            raise _Skipped("prompts are fine; no episode ended, so that its outcome could not be checked")


def _check_prompts(env: Any) -> None:
    prompts = env.prompts()
    _expect(len(prompts) == env.num_envs, f"{env.num_envs} prompts", len(prompts))
    for messages in prompts:
        parts = [part for message in messages for part in message["content"] if isinstance(message["content"], list)]
        images = sum(part["type"] == "image" for part in parts)
        texts = [part["text"] for part in parts if part["type"] == "text"]
        _expect(images == 1 and any(texts), "chat messages with one image item and a text", messages)


def _check_outcome(final: dict[str, Any], returned: float, length: int) -> None:
    missing = [key for key in ("success", "return", "length", "fault", "prompt") if key not in final]
    _expect(not missing, "success, return, length, fault and prompt in final_info", f"no {', '.join(missing)}")
    _expect(abs(final["return"] - returned) < 1e-9, f"return {returned} (the sum of the rewards)", final["return"])
    _expect(int(final["length"]) == length, f"length {length}", final["length"])
    _expect(
        final["fault"] is None or isinstance(final["fault"], str), "fault as a message or None", repr(final["fault"])
    )


def _asynchronous(subject: _Subject) -> None:
    """send and recv answer every environment once, as step would."""
    with subject.env() as env, subject.env() as twin:
        if not (hasattr(env, "send") and hasattr(env, "recv")):
            raise _Skipped("no send() and recv()")
        for i, action in zip(range(20), subject.actions(env), strict=False):
            whole, seen = twin.step(copy.deepcopy(action)), []
            env.send(copy.deepcopy(action))
            while len(seen) < env.num_envs:
                obs, reward, terminated, truncated, info = env.recv()
                _expect("env_id" in info, 'info["env_id"] of recv()', list(info))
                for row, e in enumerate(info["env_id"]):
                    seen.append(int(e))
                    ours = (_row(env, obs, row), reward[row], terminated[row], truncated[row])
                    theirs = (_row(env, whole[0], e), whole[1][e], whole[2][e], whole[3][e])
                    _expect(
                        _same(ours, theirs), "recv to answer as step does", f"a difference in step {i}, environment {e}"
                    )
            _expect(sorted(seen) == list(range(env.num_envs)), "every environment once", seen)
            for one in (env, twin):
                _revive(one, whole[2] | whole[3])


CHECKS: dict[str, Callable[[_Subject], None]] = {
    "spaces": _spaces, "metadata": _metadata, "step_types": _step_types, "determinism": _determinism, "seeds": _seeds,
    "reset_mask": _reset_mask, "autoreset": _autoreset, "aliasing": _aliasing, "snapshot": _snapshot, "close": _close,
    "bad_actions": _bad_actions, "faults": _faults, "model": _model, "asynchronous": _asynchronous,
}  # fmt: skip
"""The checks by name, in order; each docstring says what it wants."""


# -- helpers ------------------------------------------------------------------------------------------------------------


def _expect(is_fine: bool, expected: str, got: Any) -> None:
    if not is_fine:
        raise _Broken(f"expected {expected}, got {got}"[:500])


def _refuses(call: Callable[[], Any], what: str) -> None:
    try:
        call()
    except Exception:  # noqa: BLE001 - any error is a refusal
        return
    raise _Broken(f"expected an error for {what}, got none")


def _play(env: Any, subject: _Subject, steps: int) -> Iterator[tuple[int, Any]]:
    """Step with the subject's actions; where the mode asks for it, ended episodes are reset afterwards."""
    actions = subject.actions(env)
    for i in range(steps):
        result = env.step(next(actions))
        yield i, result
        _revive(env, result[2] | result[3])


def _revive(env: Any, ended: np.ndarray) -> None:
    if env.metadata["autoreset_mode"] is AutoresetMode.DISABLED and ended.any():
        env.reset(options={"reset_mask": ended.copy()})


def _record(env: Any, subject: _Subject, steps: int) -> list[Any]:
    return [env.reset(seed=subject.seed), *(copy.deepcopy(result) for _, result in _play(env, subject, steps))]


def _row(env: Any, batch: Any, row: int) -> Any:
    """One environment's part of a batch of observations."""
    if isinstance(batch, dict):
        return {key: _row(env, part, row) for key, part in batch.items()}
    if isinstance(batch, tuple) and not (batch and isinstance(batch[0], str)):
        return tuple(_row(env, part, row) for part in batch)
    return batch[row]


def _contains(space: gym.Space[Any], value: Any) -> bool:
    """As `space.contains`, but strict about dtypes: a float32 picture is none, whatever its values."""
    if isinstance(space, gym.spaces.Dict):
        has_keys = isinstance(value, dict) and value.keys() == space.spaces.keys()
        return has_keys and all(_contains(part, value[key]) for key, part in space.spaces.items())
    if isinstance(space, gym.spaces.Tuple):
        return len(value) == len(space) and all(_contains(part, item) for part, item in zip(space, value, strict=True))
    is_typed = not isinstance(space, gym.spaces.Box) or (isinstance(value, np.ndarray) and value.dtype == space.dtype)
    return is_typed and bool(space.contains(value))


def _same(a: Any, b: Any) -> bool:
    """Equal all the way down; NaN equals NaN."""
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    if isinstance(a, tuple | list):
        return len(a) == len(b) and all(_same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, np.ndarray):
        if not isinstance(b, np.ndarray) or a.dtype != b.dtype or a.shape != b.shape:
            return False
        if a.dtype == object:
            return all(_same(x, y) for x, y in zip(a.ravel(), b.ravel(), strict=True))
        return np.array_equal(a, b, equal_nan=a.dtype.kind in "fc")
    return bool(a == b) or (a != a and b != b)


def _arrays(value: Any) -> list[np.ndarray]:
    if isinstance(value, dict):
        return [array for part in value.values() for array in _arrays(part)]
    if isinstance(value, tuple | list):
        return [array for part in value for array in _arrays(part)]
    return [value] if isinstance(value, np.ndarray) else []


def _outline(value: Any) -> str:
    """Dtypes and shapes rather than numbers."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {list(value.shape)}"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_outline(part)}" for key, part in value.items()) + "}"
    return repr(value)[:200] if value is None or isinstance(value, int | float | str) else type(value).__name__


def _wrong_actions(env: Any, good: Any) -> list[tuple[str, Any]]:
    """Actions that no environment of this kind can take."""
    space = env.single_action_space
    if isinstance(space, gym.spaces.Dict | gym.spaces.Tuple | gym.spaces.Text):
        return [("no actions", None)]
    wrong: list[tuple[str, Any]] = [
        ("too few actions", good[:-1]),
        ("too many actions", np.concatenate([good, good[:1]])),
    ]
    if isinstance(space, gym.spaces.Discrete):
        for name, value in (("too large", space.start + space.n), ("too small", space.start - 1)):
            action = np.array(good)
            action[0] = value
            wrong.append((f"an action that is {name}", action))
    return wrong


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


if __name__ == "__main__":
    sys.exit(main())
