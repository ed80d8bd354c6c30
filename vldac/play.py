"""You are the policy: the prompt the model would see, the picture, and a line of yours as the response.

Works at a terminal and piped. What you type is parsed exactly as a model's response; an unparsable one takes a random legal
action, as in training. In text environments a command, or its number in the list, is enough.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from PIL import Image

from vldac.actions import ParseStatus
from vldac.errors import EnvError
from vldac.moves import is_text, read_moves
from vldac.typed import numbered_list, page_of, response_of

_CELLS = 60
"""Widest picture in the terminal, in characters."""
_QUIT = ("q", "quit", "exit")


@dataclass(frozen=True, kw_only=True, slots=True)
class PlaySummary:
    """What came of a session."""

    steps: int
    unparsable: int
    returns: tuple[float, ...]
    """One per episode that ended."""
    successes: int

    def as_text(self) -> str:
        """Return the closing lines."""
        episodes = len(self.returns)
        text = f"{self.steps} step(s), {self.unparsable} unparsable response(s), {episodes} episode(s) ended"
        if not episodes:
            return text
        return f"{text}: {self.successes} succeeded, mean return {float(np.mean(self.returns)):.2f}"


def play(
    env_id: str, *, seed: int = 0, prompt: str = "paper", image_size: tuple[int, int] | None = None,
    options: Mapping[str, float | str] | None = None, pictures: str = "auto", picture_dir: Path | None = None,
    source: TextIO | None = None, sink: TextIO | None = None,
) -> PlaySummary:  # fmt: skip
    """Play until "q", the end of the input, or Ctrl-C; return the summary, which is also printed. Raises EnvError."""
    from vldac.envs import make
    from vldac.envs.catalogue import own_options

    source, sink = source or sys.stdin, sink or sys.stdout
    env = make(env_id, 1, task="vldac", prompt=prompt, image_size=image_size, **own_options(env_id, options or {}))
    try:
        _ = env.image_size  # an error where there is none
        gallery = _Gallery(pictures, picture_dir, sink)
        session = _Session(env, seed, gallery, source, sink)
        return session.run()
    finally:
        env.close()


class _Session:
    def __init__(self, env: Any, seed: int, gallery: _Gallery, source: TextIO, sink: TextIO) -> None:
        self.env, self.seed, self.gallery, self.source, self.sink = env, seed, gallery, source, sink
        self.steps = self.unparsable = self.successes = 0
        self.returns: list[float] = []
        self.shown_text = ""
        self.in_words = is_text(env)

    def say(self, text: str = "", end: str = "\n") -> None:
        print(text, end=end, file=self.sink, flush=True)

    def run(self) -> PlaySummary:
        obs, _ = self.env.reset(seed=self.seed)
        self._greet()
        try:
            while True:
                self._show(obs)
                response = self._read()
                if response is None:
                    break
                obs = self._step(response)
        except KeyboardInterrupt:
            self.say()
        summary = PlaySummary(
            steps=self.steps, unparsable=self.unparsable, returns=tuple(self.returns), successes=self.successes
        )
        self.say(f"\n{summary.as_text()}")
        return summary

    def _greet(self) -> None:
        where = f"{self.env.env_id}, seed {self.seed}."
        if self.in_words:
            self.say(f"{where} The prompt is what a model is told; the page and the list are for you.")
            self.say(
                'Type a command, its number ("1 red shoes" where words are asked for), or a whole response; q ends.\n'
            )
            return
        names = self.env.action_names
        self.say(f"{where} Actions: {', '.join(names)}")
        self.say(f'Type one response a line, e.g. {{"action": "{names[0]}"}}; q ends.\n')

    def _show(self, obs: dict[str, Any]) -> None:
        text = _prompt_text(self.env.prompts()[0])
        if not self.in_words:
            self.say("prompt   (the same)" if text == self.shown_text else f"prompt   {text}")
        elif not self.shown_text:  # later ones repeat what the page says
            self.say(f"prompt   {text}")
        self.shown_text = text
        if self.in_words:
            self.say(_indented("page", page_of(obs["text"][0])))
            facts = self.env.facts()[0]
            for name in ("chosen", "notice"):  # not in every observation's text
                told = str(facts.get(name, "")).strip()
                if told not in ("", "nothing"):
                    self.say(f"{name:<9}{told}")
            self.say(_indented("commands", numbered_list(self.env.commands()[0])))
        self.gallery.show(obs["image"][0])

    def _read(self) -> str | None:
        """Return the next response, or None at the end; empty lines are asked again."""
        while True:
            self.say("command > " if self.in_words else "response > ", end="")
            line = self.source.readline()
            if not line or line.strip().lower() in _QUIT:
                self.say("" if line else "(end of input)")
                return None
            if not self.source.isatty():
                self.say(line.rstrip("\n"))  # a terminal echoes by itself
            if not line.strip():
                self.say("an empty response has no action; type one, or q to end")
                continue
            response = response_of(line, self.env.commands()[0]) if self.in_words else line.rstrip("\n")
            if response is not None:
                return response
            self.say("that is no command here; type one of the list, its number, or q to end")

    def _step(self, response: str) -> dict[str, Any]:
        moves = read_moves(
            self.env, [response], np.zeros(1, np.int64), mode="tolerant", fallback="random_legal", seed=self.seed,
            counter=self.steps,
        )  # fmt: skip
        is_valid = bool(moves.is_valid[0])
        action = moves.commands[0] if moves.commands else self.env.action_names[int(moves.action[0])]
        obs, reward, terminated, truncated, info = self.env.step(moves.told)
        self.steps += 1
        self.unparsable += not is_valid
        how = "" if is_valid else " (drawn at random: the response names no action)"
        self.say(
            f"parsed   {ParseStatus(int(moves.status[0])).name}\naction   {action}{how}\nreward   {float(reward[0]):g}"
        )
        if terminated[0] or truncated[0]:
            final = info["final_info"]
            success, total, length = bool(final["success"][0]), float(final["return"][0]), int(final["length"][0])
            self.successes += success
            self.returns.append(total)
            why = "terminated" if terminated[0] else "step limit"
            self.say(f"END      {'success' if success else 'failure'} ({why}), return {total:g} in {length} step(s)")
            met = _met({name: values[0] for name, values in final.get("facts", {}).items()})
            if met:
                self.say(f"met      {met}")
            self.say("\nThe next episode has begun.")
        self.say()
        result: dict[str, Any] = obs
        return result


def _indented(name: str, text: str) -> str:
    """Lines behind a name, one below the other."""
    return f"{name:<9}" + text.replace("\n", "\n" + " " * 9)


def _met(facts: Mapping[str, Any]) -> str:
    """What an episode met of its goal, where its facts count that: "attributes 2 of 2, price yes"."""
    parts = []
    for name, value in facts.items():
        base = name.removesuffix("_met")
        if base != name:
            parts.append(f"{base} {value} of {facts[base]}" if base in facts else f"{base} {'yes' if value else 'no'}")
    return ", ".join(parts)


def _prompt_text(messages: list[dict[str, Any]]) -> str:
    """Return the messages as one text, "[picture]" where the model sees one."""
    parts = [part for message in messages for part in message["content"]]
    return " ".join("[picture]" if part["type"] == "image" else str(part["text"]) for part in parts)


class _Gallery:
    """Shows pictures: half-block characters where the terminal has colours, else PNG files whose path is printed."""

    def __init__(self, pictures: str, folder: Path | None, sink: TextIO) -> None:
        from rich.console import Console

        is_forced = pictures == "terminal"
        self.sink = sink
        self.console = Console(
            file=sink, force_terminal=True if is_forced else None, color_system="truecolor" if is_forced else "auto"
        )
        has_colours = self.console.is_terminal and self.console.color_system in ("256", "truecolor")
        self.in_terminal = is_forced or (pictures == "auto" and folder is None and has_colours)
        self.count = 0
        if not self.in_terminal:
            self.folder = folder or Path(tempfile.mkdtemp(prefix="vldac-play-"))
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise EnvError(
                    expected="a folder for the pictures", got=str(error), where="--picture-dir", do="choose another"
                ) from error

    def show(self, image: np.ndarray) -> None:
        """Show one picture, [height, width, 3] uint8."""
        if self.in_terminal:
            self.console.print(half_blocks(image, min(_CELLS, self.console.width)))
            return
        path = self.folder / f"step_{self.count:03d}.png"
        Image.fromarray(image).save(path)
        self.count += 1
        print(f"picture  {path}", file=self.sink, flush=True)


def half_blocks(image: np.ndarray, cells: int) -> Any:
    """Return a `rich` text of upper half blocks, two pixels a character: image [height, width, 3] uint8, `cells` wide."""
    from rich.color import Color
    from rich.style import Style
    from rich.text import Text

    height, width = image.shape[:2]
    rows = max(1, round(cells * height / width / 2))
    small = np.asarray(Image.fromarray(image).resize((cells, rows * 2), Image.Resampling.BOX))
    text = Text()
    for row in range(rows):
        for column in range(cells):
            upper, lower = (Color.from_rgb(*map(int, small[2 * row + half, column])) for half in (0, 1))
            text.append("\u2580", Style(color=upper, bgcolor=lower))
        text.append("\n")
    return text
