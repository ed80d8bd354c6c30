"""Parsing model text: strict, then tolerant, never an exception, never an evaluation."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import vldac
from vldac.actions import ParseStatus

NAMES = ["-", "+", "10", "1"]


@pytest.mark.parametrize(
    ("text", "action", "status"),
    [
        ('{"action": "+"}', 1, ParseStatus.OK),
        ('  {"thoughts": "a { b", "action": "-"}\n', 0, ParseStatus.OK),
        ('{"action": 10}', 2, ParseStatus.OK),
        ('{"a": {"action": "+"}, "action": "-"}', 0, ParseStatus.OK),
        ('{"action": "-", "action": "+"}', 1, ParseStatus.OK),
        ('```json\n{"action": "+"}\n```', 1, ParseStatus.TOLERANT),
        ("{'action': '+'}", 1, ParseStatus.TOLERANT),
        ('I think.\n{"action": "1"} and so on', 3, ParseStatus.TOLERANT),
        ('{"thoughts": true, "action": "+"', 1, ParseStatus.TOLERANT),
        ('{"action": "jump"}', None, ParseStatus.UNKNOWN_ACTION),
        ('{"action": null}', None, ParseStatus.UNKNOWN_ACTION),
        ("plus", None, ParseStatus.NO_ACTION),
        ("", None, ParseStatus.NO_ACTION),
        ('__import__("os").system("true")', None, ParseStatus.NO_ACTION),
        ("[" * 70_000, None, ParseStatus.TOO_LONG),
        ("{" * 60_000, None, ParseStatus.NO_ACTION),
    ],
)
def test_parse_action_gives_the_action_or_the_reason(text: str, action: int | None, status: ParseStatus) -> None:
    result = vldac.parse_action(text, NAMES)
    assert (result.action, result.status) == (action, status)


@settings(max_examples=500, deadline=None)
@given(
    st.lists(
        st.sampled_from(['"', "'", "action", ":", "{", "}", "[", "]", ",", "\\", "+", " ", "é", "\x00"]), max_size=40
    )
)
def test_parse_action_never_raises(parts: list[str]) -> None:
    result = vldac.parse_action("".join(parts), NAMES)
    assert (result.action is None) == (result.status >= ParseStatus.NO_ACTION)
