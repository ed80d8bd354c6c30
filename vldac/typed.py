"""What a person types in a text environment: a response as a model's, or less: a command, its number, the words of its end."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Sequence

from vldac.actions import ANY_WORDS, is_form, parse_command

_NUMBERED = re.compile(r"(\d+)(?:[ .:]+(.*))?")
_BRACKETS = re.compile(r"[^\[\]]*\[(.+)\]")


def response_of(line: str, commands: Sequence[str]) -> str | None:
    """Return the response that a line stands for, None where it is none of the commands and no response.

    "{...}" is a response as it is; else a command, or its number in the list from 1 ("1 red shoes" fills a form), or what stands in
    its brackets ("buy now" for click[Buy Now]), in any case.
    """
    line = line.strip()
    if "{" in line or "action" in line.lower():
        return line
    numbered = _NUMBERED.fullmatch(line)
    if numbered and 1 <= int(numbered[1]) <= len(commands):
        command, words = commands[int(numbered[1]) - 1], (numbered[2] or "").strip()
        if is_form(command):
            return _says(command.replace(ANY_WORDS, words)) if words else None
        if not words:
            return _says(command)
    for command in commands:
        bracketed = _BRACKETS.fullmatch(command)
        names = {command.lower(), bracketed[1].lower() if bracketed else command.lower()}
        if line.lower() in names and not is_form(command):
            return _says(command)
    found = parse_command(json.dumps({"action": line}), commands)
    return None if found.command is None else _says(found.command)


def numbered_list(commands: Sequence[str], width: int = 96) -> str:
    """Return the commands with their numbers, as many on a line as fit."""
    parts = [f"{number} {command}".replace(" ", "\u00a0") for number, command in enumerate(commands, 1)]
    return textwrap.fill("   ".join(parts), width, break_long_words=False, break_on_hyphens=False).replace(
        "\u00a0", " "
    )


def page_of(text: str, width: int = 96) -> str:
    """Return an observation's text for people: one line per part, long ones wrapped."""
    lines = [line.strip() for part in text.split("[SEP]") for line in part.splitlines()]
    return "\n".join(textwrap.fill(line, width) for line in lines if line)


def _says(command: str) -> str:
    return json.dumps({"action": command})
