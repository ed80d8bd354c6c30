"""The conformance kit's checks: each takes a `Subject`, raises `Broken` or `Skipped`, and says in its docstring what it wants."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from vldac.envs.conformance.comparison import arrays_of, contains, outline, row_of, same

from vldac.actions import fill_form, is_form

Make = Callable[[int], Any]
"""Makes a vector environment of so many environments; called several times."""
SNAPSHOT_STEPS = 1000


class Broken(Exception):
    """A check failed."""


class Skipped(Exception):
    """A check does not apply."""


@dataclass(frozen=True, slots=True)
class Subject:
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
        """The same random actions for every instance: in text environments admissible commands, and now and then any text."""
        if getattr(env, "is_text", False):
            rng = np.random.default_rng(self.seed)
            while True:
                every = [[*known, f"no such command {rng.integers(9)}"] for known in env.commands()]
                told = [known[int(rng.integers(len(known)))] for known in every]
                for i, number in enumerate(rng.integers(2**63, size=len(told))):
                    if is_form(told[i]) and hasattr(env, "random_words"):
                        told[i] = fill_form(told[i], env.random_words(np.array([i]))[0], int(number))
                yield told
        space = copy.deepcopy(env.action_space)
        space.seed(self.seed)
        while True:
            yield space.sample()


def _spaces(subject: Subject) -> None:
    """The batched spaces are the single ones, num_envs times; a reset's observation lies in them."""
    with subject.env(is_reset=False) as env:
        _expect(env.num_envs == subject.num_envs, f"num_envs {subject.num_envs}", env.num_envs)
        for kind in ("observation", "action"):
            single, batched = getattr(env, f"single_{kind}_space"), getattr(env, f"{kind}_space")
            wanted = batch_space(single, env.num_envs)
            _expect(batched == wanted, f"{kind}_space {wanted}", batched)
        obs, info = env.reset(seed=subject.seed)
        _expect(contains(env.observation_space, obs), "an observation of reset() in observation_space", outline(obs))
        _expect(isinstance(info, dict), "info as a dict", type(info).__name__)


def _metadata(subject: Subject) -> None:
    """The autoreset mode is declared; same-step wastes no response of a model."""
    with subject.env() as env:
        mode = env.metadata.get("autoreset_mode")
        _expect(isinstance(mode, AutoresetMode), 'metadata["autoreset_mode"] as an AutoresetMode', repr(mode))


def _step_types(subject: Subject) -> None:
    """Reward float64 [E], flags bool [E], observations in their space, at every step."""
    with subject.env() as env:
        count = env.num_envs
        for _, result in _play(env, subject, subject.steps):
            obs, reward, terminated, truncated, info = result
            for name, value, dtype in (
                ("reward", reward, np.float64), ("terminated", terminated, np.bool_), ("truncated", truncated, np.bool_)
            ):  # fmt: skip
                is_fine = isinstance(value, np.ndarray) and value.dtype == dtype and value.shape == (count,)
                _expect(is_fine, f"{name} {np.dtype(dtype).name} [{count}]", outline(value))
            _expect(bool(np.isfinite(reward).all()), "finite rewards", reward)
            _expect(contains(env.observation_space, obs), "observations in observation_space", outline(obs))
            _expect(isinstance(info, dict), "info as a dict", type(info).__name__)


def _determinism(subject: Subject) -> None:
    """Two instances with one seed and the same actions show the same; so does one that is reset to that seed again."""
    with subject.env() as first, subject.env() as second:
        steps = min(subject.steps, 300)
        for (i, a), (_, b) in zip(_play(first, subject, steps), _play(second, subject, steps), strict=True):
            _expect(same(a, b), "two instances with the same seed to go the same way", f"a difference in step {i}")
        reference = _record(first, subject, 50)
        _expect(same(reference, _record(first, subject, 50)), "reset(seed) to begin the same again", "a difference")


def _seeds(subject: Subject) -> None:
    """Environment i begins with seed + i, as in Gymnasium."""
    with subject.env() as env:
        rows = env.reset(seed=subject.seed)[0]
        for i in range(env.num_envs):
            other = env.reset(seed=subject.seed + i)[0]
            _expect(
                same(row_of(env, rows, i), row_of(env, other, 0)), f"reset(seed=s) to begin environment {i} with s + {i}",
                "another beginning",
            )  # fmt: skip
        listed = env.reset(seed=[subject.seed + i for i in range(env.num_envs)])[0]
        _expect(same(listed, rows), "a list of seeds to mean the same", "another beginning")


def _reset_mask(subject: Subject) -> None:
    """reset(options={"reset_mask": m}) begins new episodes there and leaves the others where they are."""
    with subject.env() as env, subject.env() as twin:
        for _, result in _play(env, subject, 3):
            before = result[0]
        mask = np.arange(env.num_envs) % 2 == 0
        obs = env.reset(seed=subject.seed + 77, options={"reset_mask": mask.copy()})[0]
        fresh = twin.reset(seed=subject.seed + 77)[0]
        for i in range(env.num_envs):
            is_fine = same(row_of(env, obs, i), row_of(env, fresh if mask[i] else before, i))
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
            ours = [(row_of(env, a[0], e), a[1][e], a[2][e], a[3][e]) for e in rows]
            theirs = [(row_of(env, b[0], e), b[1][e], b[2][e], b[3][e]) for e in rows]
            _expect(same(ours, theirs), "the others to go on untouched by a masked reset", f"a difference in step {i}")
            if (ended := (a[2] | a[3] | b[2] | b[3])).any():
                _revive(env, a[2] | a[3])
                _revive(twin, b[2] | b[3])
                if ended[1:].any():
                    break


def _autoreset(subject: Subject) -> None:
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
            raise Skipped(f"no episode ended in {subject.steps} steps of {env.num_envs} environments")


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
    _expect(is_fine, f"final_obs as an object array [{env.num_envs}]", outline(final))
    for e in range(env.num_envs):
        if ended[e]:
            is_fine = contains(env.single_observation_space, final[e])
            _expect(is_fine, "final observations in single_observation_space", outline(final[e]))
        else:
            _expect(final[e] is None, "None in final_obs where no episode ended", outline(final[e]))
    _expect(isinstance(info["final_info"], dict), "final_info as a dict of arrays", type(info["final_info"]).__name__)


def _aliasing(subject: Subject) -> None:
    """What was returned stays as it was, and shares no memory with what is returned later."""
    with subject.env() as env:
        kept: list[tuple[Any, Any]] = []
        for _, result in _play(env, subject, 20):
            final = [item for item in result[4].get("final_obs", ()) if item is not None]
            arrays = arrays_of((result[:4], final))
            kept.append((arrays, copy.deepcopy(arrays)))
        for i, (arrays, frozen) in enumerate(kept):
            _expect(same(arrays, frozen), "returned arrays that stay as they were", f"those of step {i} changed later")
            later = [array for others, _ in kept[i + 1 :] for array in others]
            shared = any(np.shares_memory(a, b) for a in arrays for b in later)
            _expect(not shared, "returned arrays of their own memory", f"step {i} shares memory with a later one")


def _snapshot(subject: Subject) -> None:
    """get_state and set_state restore every environment bit for bit, in this instance and in a new one; clone goes on alone."""
    with subject.env() as env:
        if not hasattr(env, "get_state"):
            raise Skipped("no get_state: a resumed run begins new episodes and is not bit-exact")
        for _ in _play(env, subject, 20):
            pass
        state = env.get_state()
        _expect(isinstance(state, bytes), "get_state() as bytes", type(state).__name__)
        reference = [copy.deepcopy(result) for _, result in _play(env, subject, SNAPSHOT_STEPS)]
        env.set_state(state)
        for i, result in _play(env, subject, SNAPSHOT_STEPS):
            _expect(same(result, reference[i]), "set_state to restore bit for bit", f"a difference after {i} steps")
        with subject.env() as fresh:
            fresh.set_state(state)
            for i, result in _play(fresh, subject, 100):
                _expect(
                    same(result, reference[i]), "set_state to restore a new instance", f"a difference after {i} steps"
                )
        for name, bad in (("a truncated state", state[: len(state) // 2]), ("an empty state", b"")):
            _refuses(env.set_state, bad, name)
        env.set_state(state)
        if hasattr(env, "clone"):
            with contextlib.closing(env.clone()) as twin:
                for i, result in _play(twin, subject, 50):
                    _expect(
                        same(result, reference[i]), "clone() to go on the same way", f"a difference after {i} steps"
                    )
                is_apart = same(next(_play(env, subject, 1))[1], reference[0])
                _expect(is_apart, "a clone that leaves the original where it is", "an original that moved")


def _close(subject: Subject) -> None:
    """close() can be called twice; a step after it is an error, no crash and no wait."""
    with subject.env() as env:
        action = next(subject.actions(env))
        env.close()
        env.close()
        _refuses(env.step, action, "step() after close()")


def _bad_actions(subject: Subject) -> None:
    """Actions that cannot be meant are refused, and nothing has been stepped then."""
    with subject.env() as env, subject.env() as twin:
        good = next(subject.actions(env))
        for name, bad in _wrong_actions(env, good):
            _refuses(env.step, bad, name)
        a, b = env.step(copy.deepcopy(good)), twin.step(copy.deepcopy(good))
        _expect(same(a, b), "an environment that is untouched by refused actions", "another answer to the next action")


def _faults(subject: Subject) -> None:
    """A fault is truncated, reward 0, and told in final_info["fault"]; the others go on, and so does the environment itself."""
    if subject.provoke_fault is None:
        raise Skipped("no provoke_fault was given")
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
        is_fine = same((reward[rows], terminated[rows], truncated[rows]), tuple(part[rows] for part in other[1:4]))
        _expect(is_fine, "the other environments to be untouched", "another answer from them")
        _revive(env, terminated | truncated)
        for _ in range(3):
            env.step(next(actions))


def _model(subject: Subject) -> None:
    """What training a vision-language model needs: a picture, prompts with one image, named actions, outcomes of episodes."""
    with subject.env() as env:
        if not hasattr(env, "prompts"):
            raise Skipped("no prompts(): a model is not to play it")
        if not isinstance(env.single_observation_space, gym.spaces.Dict):
            raise Skipped("observations without a picture: not for a model that sees")
        obs = env.reset(seed=subject.seed)[0]
        picture = obs.get("image") if isinstance(obs, dict) else None
        is_fine = (
            isinstance(picture, np.ndarray)
            and picture.dtype == np.uint8
            and picture.ndim == 4
            and picture.shape[3] == 3
        )
        _expect(is_fine, 'obs["image"] uint8 [E, height, width, 3]', outline(obs))
        names, space = getattr(env, "action_names", None), env.single_action_space
        if getattr(env, "is_text", False):
            known = env.commands()
            is_fine = len(known) == env.num_envs and all(own and len(own) == len(set(own)) for own in known)
            _expect(is_fine, f"{env.num_envs} lists of admissible commands, each once", known)
        if isinstance(space, gym.spaces.Discrete):
            is_fine = names is not None and len(names) == space.n == len(set(names))
            _expect(is_fine, f"{space.n} different action_names", names)
        ended_seen, returns, lengths = 0, np.zeros(env.num_envs), np.zeros(env.num_envs, int)
        for _, (_, reward, terminated, truncated, info) in _play(env, subject, min(subject.steps, 300)):
            _check_prompts(env)
            returns, lengths, ended = returns + reward, lengths + 1, terminated | truncated
            if env.metadata["autoreset_mode"] is not AutoresetMode.SAME_STEP:
                raise Broken(
                    "expected same-step autoreset (a response per episode is lost otherwise), got " + str(env.metadata)
                )
            for e in np.flatnonzero(ended).tolist():
                _check_outcome(
                    {key: row_of(env, value, e) for key, value in info["final_info"].items()}, returns[e], lengths[e]
                )
                ended_seen += 1
            returns[ended], lengths[ended] = 0.0, 0
        if not ended_seen:
            raise Skipped("prompts are fine; no episode ended, so that its outcome could not be checked")


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


def _asynchronous(subject: Subject) -> None:
    """send and recv answer every environment once, as step would."""
    with subject.env() as env, subject.env() as twin:
        if not (hasattr(env, "send") and hasattr(env, "recv")):
            raise Skipped("no send() and recv()")
        for i, action in zip(range(20), subject.actions(env), strict=False):
            seen: list[int] = []
            whole = twin.step(copy.deepcopy(action))
            env.send(copy.deepcopy(action))
            while len(seen) < env.num_envs:
                obs, reward, terminated, truncated, info = env.recv()
                _expect("env_id" in info, 'info["env_id"] of recv()', list(info))
                for row, e in enumerate(np.asarray(info["env_id"]).tolist()):
                    seen.append(e)
                    ours = (row_of(env, obs, row), reward[row], terminated[row], truncated[row])
                    theirs = (row_of(env, whole[0], e), whole[1][e], whole[2][e], whole[3][e])
                    _expect(
                        same(ours, theirs), "recv to answer as step does", f"a difference in step {i}, environment {e}"
                    )
            _expect(sorted(seen) == list(range(env.num_envs)), "every environment once", seen)
            for one in (env, twin):
                _revive(one, whole[2] | whole[3])


CHECKS: dict[str, Callable[[Subject], None]] = {
    "spaces": _spaces, "metadata": _metadata, "step_types": _step_types, "determinism": _determinism, "seeds": _seeds,
    "reset_mask": _reset_mask, "autoreset": _autoreset, "aliasing": _aliasing, "snapshot": _snapshot, "close": _close,
    "bad_actions": _bad_actions, "faults": _faults, "model": _model, "asynchronous": _asynchronous,
}  # fmt: skip
"""The checks by name, in order; each docstring says what it wants."""


# -- helpers ------------------------------------------------------------------------------------------------------------


def _expect(is_fine: bool, expected: str, got: Any) -> None:
    if not is_fine:
        raise Broken(f"expected {expected}, got {got}"[:500])


def _refuses(call: Callable[[Any], Any], argument: Any, what: str) -> None:
    try:
        call(argument)
    except Exception:  # noqa: BLE001 - any error is a refusal
        return
    raise Broken(f"expected an error for {what}, got none")


def _play(env: Any, subject: Subject, steps: int) -> Iterator[tuple[int, Any]]:
    """Step with the subject's actions; where the mode asks for it, ended episodes are reset afterwards."""
    actions = subject.actions(env)
    for i in range(steps):
        result = env.step(next(actions))
        yield i, result
        _revive(env, result[2] | result[3])


def _revive(env: Any, ended: np.ndarray) -> None:
    if env.metadata["autoreset_mode"] is AutoresetMode.DISABLED and ended.any():
        env.reset(options={"reset_mask": ended.copy()})


def _record(env: Any, subject: Subject, steps: int) -> list[Any]:
    start = copy.deepcopy(env.reset(seed=subject.seed))
    results = [start, *(copy.deepcopy(result) for _, result in _play(env, subject, steps))]
    return [(*result[:-1], _without_frame_ids(result[-1])) for result in results]


def _without_frame_ids(info: dict[str, Any]) -> dict[str, Any]:
    """Frame ids are never used twice, whatever the seed."""
    kept = {key: value for key, value in info.items() if key.lstrip("_") != "frame_id"}
    return {key: _without_frame_ids(value) if isinstance(value, dict) else value for key, value in kept.items()}


def _wrong_actions(env: Any, good: Any) -> list[tuple[str, Any]]:
    """Actions that no environment of this kind can take."""
    space = env.single_action_space
    if isinstance(space, gym.spaces.Dict | gym.spaces.Tuple | gym.spaces.Text):
        few = (
            [("too few commands", good[:-1]), ("numbers", list(range(len(good))))]
            if getattr(env, "is_text", False)
            else []
        )
        return [("no actions", None), *few]
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
