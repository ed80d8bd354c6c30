"""What shows a foreign environment to a vision-language model: chat messages, names of actions, what counts as success."""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium as gym

from vldac.errors import EnvError, nearest

PROMPTS = {
    "paper": (
        "You see the present state of the environment {env_id}, step {step} of this episode. "
        "Actions: {actions}. "
        'Answer with one JSON object: {{"thoughts": "<reason step by step>", "action": "<one of the actions>"}}'
    ),
    "short": "Actions: {actions}. Answer in JSON.",
}
"""Templates for environments that have none of their own, by the names that a configuration knows."""
Prompt = str | Callable[[dict[str, Any]], str | list[dict[str, Any]]]


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelFace:
    """The prompts and outcomes of one environment id."""

    env_id: str
    prompt: Prompt
    """A name of `PROMPTS`, a template, or a function of the facts that returns a text or chat messages"""
    action_names: tuple[str, ...]
    reward_threshold: float | None
    """Return from which an episode is a success, where the id is registered with one"""

    def messages(
        self, *, env: int, step: int, texts: Mapping[str, Any], info: Mapping[str, Any]
    ) -> list[dict[str, Any]]:
        """Chat messages for one observation, with one image item.

        texts: the observation's entries beside the picture; they and the infos fill the template by name.
        """
        facts: dict[str, Any] = {
            "env_id": self.env_id, "env": env, "step": step, "actions": ", ".join(self.action_names), "obs": texts, "info": info,
        }  # fmt: skip
        if isinstance(self.prompt, str):
            named = {key: value for key, value in {**texts, **info}.items() if key not in facts}
            text: Any = _fill(PROMPTS.get(self.prompt, self.prompt), facts | named)
        else:
            text = self.prompt(facts)
        if not isinstance(text, str):
            return list(text)
        return [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": text}]}]

    def is_success(self, *, info: Mapping[str, Any], returned: float, reward: float, terminated: bool) -> bool:
        """The environment's own notion (info["success"], info["is_success"]), else its threshold, else a reward for the last step."""
        for key in ("success", "is_success"):
            if key in info:
                return bool(info[key])
        if self.reward_threshold is not None:
            return returned >= self.reward_threshold
        return terminated and reward > 0


def picture_size(space: gym.Space[Any], where: str) -> tuple[int, int]:
    """Return (width, height) in pixels of obs["image"]. Raises EnvError where there is no picture."""
    if not (isinstance(space, gym.spaces.Dict) and "image" in space.spaces and space["image"].shape is not None):
        raise EnvError(
            expected="observations with a picture", got=str(space), where=where,
            do='pass render_image=True (or task="vldac"), so that the environment is drawn',
        )  # fmt: skip
    height, width = space["image"].shape[:2]
    return int(width), int(height)


def checked_names(names: Sequence[str] | None, found: Sequence[str] | None, space: gym.Space[Any]) -> list[str] | None:
    """Return the names that were given, else those that were found. Raises EnvError if the given ones do not fit."""
    if names is None:
        return None if found is None else list(found)
    if not (isinstance(space, gym.spaces.Discrete) and space.n == len(names) == len(set(names))):
        raise EnvError(
            expected=f"a different name for each action of {space}", got=repr(list(names)), where="action_names",
            do="correct them",
        )  # fmt: skip
    return list(names)


def check_template(prompt: Prompt) -> None:
    """Raise EnvError for a template that is none."""
    if isinstance(prompt, str):
        _fields(PROMPTS.get(prompt, prompt))


def _fill(template: str, facts: Mapping[str, Any]) -> str:
    unknown = sorted(_fields(template) - facts.keys())
    if unknown:
        raise EnvError(
            expected=f"fields of {', '.join(facts)}{nearest(unknown[0], facts)}", got="{" + unknown[0] + "}", where="prompt",
            do="use these fields (infos and entries of the observation by name), or pass a function",
        )  # fmt: skip
    return template.format(**facts)


def _fields(template: str) -> set[str]:
    try:
        names = {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}
    except ValueError as error:
        raise EnvError(
            expected="a template of str.format", got=str(error), where="prompt", do="write {{ and }} for braces"
        ) from error
    return {name.split(".")[0].split("[")[0] for name in names}
