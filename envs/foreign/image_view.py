"""How a Python environment is shown to a model: which part of its observation is the picture, and what its actions are called."""

from __future__ import annotations

import enum
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from vldac.errors import EnvError


def is_picture(space: gym.Space[Any]) -> bool:
    """Return whether a space holds pictures: uint8 [height, width, 3]."""
    return isinstance(space, spaces.Box) and space.dtype == np.uint8 and len(space.shape) == 3 and space.shape[2] == 3


def shows_picture(space: gym.Space[Any]) -> bool:
    """Return whether an observation is a picture, or has one as its entry "image"."""
    return is_picture(space) or (
        isinstance(space, spaces.Dict) and "image" in space.spaces and is_picture(space["image"])
    )


class ImageView:
    """Maps observations of an environment to what the vector environment returns.

    An observation that is a picture becomes {"image": it}. With `render_image` the rendered picture is "image", beside the entries
    of a Dict observation or beside "state", the observation itself. Everything else stays as it is.
    image_size: (width, height) in pixels to which pictures are resized (Pillow's bicubic), None leaves them.
    """

    def __init__(
        self, env: gym.Env[Any, Any], *, render_image: bool, image_size: tuple[int, int] | list[int] | None
    ) -> None:
        self._renders = render_image
        self._size: tuple[int, int] | None = (image_size[0], image_size[1]) if image_size else None
        inner = env.observation_space
        self._is_picture = is_picture(inner) and not render_image
        self._is_dict = isinstance(inner, spaces.Dict)
        if self._is_picture:
            self.space: gym.Space[Any] = spaces.Dict({"image": self._sized(inner)})
        elif render_image:
            env.reset(seed=0)
            frame = self._frame(env)
            picture = spaces.Box(0, 255, frame.shape, np.uint8)
            rest = dict(inner.spaces) if isinstance(inner, spaces.Dict) else {"state": inner}
            if "image" in rest:
                raise EnvError(
                    expected='no entry "image" in an observation beside which the rendered picture is wanted', got=repr(inner),
                    where="render_image", do="leave render_image out; the observation has its own picture",
                )  # fmt: skip
            self.space = spaces.Dict({"image": picture, **rest})
        elif isinstance(inner, spaces.Dict) and "image" in inner.spaces and is_picture(inner["image"]):
            self.space = spaces.Dict({**inner.spaces, "image": self._sized(inner["image"])})
        else:
            self.space, self._size = inner, None

    def apply(self, obs: Any, env: gym.Env[Any, Any]) -> Any:
        """Return what the vector environment shows for an observation of `env`."""
        if self._renders:
            return {"image": self._frame(env), **(obs if self._is_dict else {"state": obs})}
        if self._is_picture:
            return {"image": self._resize(obs)}
        return {**obs, "image": self._resize(obs["image"])} if self._size else obs

    def _sized(self, space: gym.Space[Any]) -> gym.Space[Any]:
        return spaces.Box(0, 255, (self._size[1], self._size[0], 3), np.uint8) if self._size else space

    def _frame(self, env: gym.Env[Any, Any]) -> np.ndarray:
        frame = env.render()
        if not isinstance(frame, np.ndarray) or frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
            got = f"{frame.dtype} {frame.shape}" if isinstance(frame, np.ndarray) else type(frame).__name__
            raise EnvError(
                expected="render() of uint8 [height, width, 3] in render_mode rgb_array", got=got, where="render_image",
                do="use an environment that can be drawn, or its own observation",
            )  # fmt: skip
        return self._resize(frame)

    def _resize(self, frame: np.ndarray) -> np.ndarray:
        if self._size is None or frame.shape[1::-1] == self._size:
            return frame
        from PIL import Image

        return np.asarray(Image.fromarray(np.ascontiguousarray(frame)).resize(self._size, Image.Resampling.BICUBIC))


def find_action_names(env: gym.Env[Any, Any]) -> list[str] | None:
    """Return names of discrete actions: the environment's own (an enum `actions`, `get_action_meanings()`), else their numbers.

    None where the actions are not numbered from 0.
    """
    space = env.action_space
    if not isinstance(space, spaces.Discrete) or space.start != 0:
        return None
    count, inner = int(space.n), env.unwrapped
    meanings = getattr(inner, "get_action_meanings", None)
    names = [str(name).lower() for name in meanings()] if callable(meanings) else []
    actions = getattr(inner, "actions", None)
    if not names and isinstance(actions, type) and issubclass(actions, enum.IntEnum):
        names = [member.name for member in sorted(actions)]
    names = names[:count]
    return names if len(names) == count and len(set(names)) == count else [str(i) for i in range(count)]
