"""Reading responses in four modes: never an exception, never an evaluation, the same answers as the formats' own readers."""

import ast
import json
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import vldac
from vldac import _core
from vldac.actions import ActionNames, ParseMode, ParseStatus, parse_action, parse_actions
from vldac.errors import ConfigError, EnvError

NAMES = ["-", "+", "10", "1"]
EZ_POINTS = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "+", "*", "="]
POINTS24 = [*EZ_POINTS[:11], "-", "*", "/", "(", ")", "="]
BLACKJACK = ["stand", "hit"]
MAZE = ActionNames(
    ["turn_left", "turn_right", "move_forward", "move_back"],
    {"left": "turn_left", "go straight": "move_forward", "forward": "move_forward"},
    accepts_index=True,
)
MODES: tuple[ParseMode, ...] = ("tolerant", "vldac", "rl4vlm", "json")
PASSES = {"tolerant": 9, "vldac": 8, "rl4vlm": 4 + len(NAMES), "json": 4}
"""How often a mode may look at a byte: `max_passes` of csrc/core/action_parse.h."""

OK, TOLERANT, NO_ACTION, UNKNOWN_ACTION, TOO_LONG, MALFORMED, AMBIGUOUS = ParseStatus


@pytest.mark.parametrize(
    ("text", "action", "status"),
    [
        ('{"action": "+"}', 1, OK),
        ('  {"thoughts": "a { b", "action": "-"}\n', 0, OK),
        ('{"action": 10}', 2, OK),
        ('{"action": " + "}', 1, OK),
        ('{"a": {"action": "+"}, "action": "-"}', 0, OK),
        ('{"action": "-", "action": "+"}', 1, OK),
        ('{"action": "\\u002b"}', 1, OK),
        ('{"\\u0061ction": "+"}', 1, OK),
        ('```json\n{"action": "+"}\n```', 1, TOLERANT),
        ("{'action': '+'}", 1, TOLERANT),
        ('I think.\n{"action": "1"} and so on', 3, TOLERANT),
        ('{"thoughts": true, "action": "+"', 1, TOLERANT),
        ('{"thoughts": "one\ntwo", "action": "+"}', 1, TOLERANT),
        ('{"action": 10.0}', 2, TOLERANT),
        ('{"action": "jump"}', None, UNKNOWN_ACTION),
        ('{"action": null}', None, UNKNOWN_ACTION),
        ('{"action": ["+"]}', None, UNKNOWN_ACTION),
        ('{"action": "+1"}', None, UNKNOWN_ACTION),
        ('{"action": +1}', None, UNKNOWN_ACTION),
        ("plus", None, NO_ACTION),
        ("", None, NO_ACTION),
        ('{"action": ', None, NO_ACTION),
        ('{"reaction": "+", "actions": "-"}', None, NO_ACTION),
        ('__import__("os").system("true")', None, NO_ACTION),
        ("[" * 70_000, None, TOO_LONG),
        ("{" * 60_000, None, NO_ACTION),
    ],
)
def test_parse_action_gives_the_action_or_the_reason(text: str, action: int | None, status: ParseStatus) -> None:
    result = vldac.parse_action(text, NAMES)
    assert (result.action, result.status) == (action, status)


@pytest.mark.parametrize(
    ("text", "action"),
    [
        ('{"thoughts": "x", "action": "+",}', "+"),
        ("{thoughts: 'x', action: +}", "+"),
        ("{'thoughts': 'I don't know, it's 5', 'action': '+'}", "+"),
        ('{"thoughts": "they said "hi, there" twice", "action": "+"}', "+"),
        ('{"thoughts": "write {\\"action\\": \\"-\\"}", "action": "+", "why": "not \'action\': \'-\'"} ok', "+"),
        ('{"action": "-"} no: {"action": "+"}', "+"),
        ('{"action": "+"} since the key "action": "-" is wrong', "+"),
        ('{"action": "-"} better {"thoughts": "cut off", "action": "+"', "+"),
        ('{"action": "+", "thoughts": "and here the limit', "+"),
        ('{"action": "+', "+"),
        ('{"steps": [{"action": "-"}, {"action": "+"}]} ok', "+"),
        ('so {"action": "+", "inner": {"action": "-"}}', "+"),
        ('{"action": {"action": "+"}}', "+"),
        ("{ I think { so {'action': '+'}", "+"),
        ('{"thoughts": true // note\n "Action": "+"}', "+"),
        ("Thought: one more.\nAction: +", "+"),
        ("**Action**: 10\n", "10"),
        ("{\"action\": '10'}", "10"),
        ('{"action": "<+>"}', "+"),
        ('{"action": "1."}', "1"),
    ],
)
def test_tolerant_mode_finds_the_action_in_a_damaged_response(text: str, action: str) -> None:
    assert parse_action(text, NAMES) == vldac.ParseResult(NAMES.index(action), TOLERANT)


@pytest.mark.parametrize(
    "text", ['{"action": "1', '{"action": "+ or -"}', '{"action": "1, 10"}', "action: + and -", '{"action": "-|+"}']
)
def test_an_action_that_names_two_is_none(text: str) -> None:
    assert parse_action(text, NAMES) == vldac.ParseResult(None, AMBIGUOUS)


@pytest.mark.parametrize("text", ['{"action": "(2"}', '{"action": "+("}', '{"action": "2/3"}', '{"action": "(2)"}'])
def test_a_formula_is_no_single_symbol(text: str) -> None:
    assert parse_action(text, POINTS24).action is None


@pytest.mark.parametrize(
    ("answer", "action", "status"),
    [
        ('"move_forward"', 2, OK),
        ("2", 2, OK),
        ('"2"', 2, OK),
        ('"Move Forward"', 2, TOLERANT),
        ('"move-forward."', 2, TOLERANT),
        ('"go  straight"', 2, TOLERANT),
        ('"LEFT"', 0, TOLERANT),
        ('"2: move forward"', 2, TOLERANT),
        ('"move forward (2)"', 2, TOLERANT),
        ('"forward and forward"', 2, TOLERANT),
        ("2.0", 2, TOLERANT),
        ('"3: move forward"', None, AMBIGUOUS),
        ('"turn left or move forward"', None, AMBIGUOUS),
        ('"do not move forward"', None, UNKNOWN_ACTION),
        ('"4"', None, UNKNOWN_ACTION),
        ("-1", None, UNKNOWN_ACTION),
        ("2.5", None, UNKNOWN_ACTION),
        ("true", None, UNKNOWN_ACTION),
    ],
)
def test_synonyms_case_and_indices_name_actions(answer: str, action: int | None, status: ParseStatus) -> None:
    assert parse_action(f'{{"action": {answer}}}', MAZE) == vldac.ParseResult(action, status)
    assert parse_action(f'{{"action": {answer}}}', MAZE, "json").action == (action if status is OK else None)


@pytest.mark.parametrize(
    ("text", "action", "status"),
    [
        ('{"action": "+"}', 1, OK),
        ('{"action": "+",}', None, MALFORMED),
        ("{'action': '+'}", None, MALFORMED),
        ('{"action": "+"} ', 1, OK),
        ('{"action": "+"}.', None, MALFORMED),
        ('["action", "+"]', None, NO_ACTION),
        ('{"a": {"action": "+"}}', None, NO_ACTION),
        ('{"action": 01}', None, MALFORMED),
        ('{"action": 1.0}', None, UNKNOWN_ACTION),
        ('{"action": true}', None, UNKNOWN_ACTION),
        ('{"action": "hit"}', None, UNKNOWN_ACTION),
        ('{"action": "+", "b": "\t"}', None, MALFORMED),
        ("[" * 65 + "]" * 65, None, MALFORMED),
        ("[" * 64 + "]" * 64, None, NO_ACTION),
        ("", None, MALFORMED),
    ],
)
def test_json_mode_tells_malformed_from_missing_and_unknown(text: str, action: int | None, status: ParseStatus) -> None:
    assert parse_action(text, NAMES, "json") == vldac.ParseResult(action, status)


@pytest.mark.parametrize(
    ("text", "card", "index"),
    [
        ("{'action': '+'}", "+", None),
        ('{"thoughts": "it\'s", "action": "10",}', "10", None),
        ("{'action': 10}", "10", None),
        ("{'action': 1_0}", "10", None),
        ("{'action': 0b1010}", "10", None),
        ("{'action': 0x2}", None, 2),
        ("{'action': 1e-400}", None, 0),
        ("{'action': 1e400}", None, None),
        ("{'action': 2}", None, 2),
        ("{'action': 2.0}", None, 2),
        ("{'action': True}", None, 1),
        ("{'action': ' 2 '}", None, 2),
        ("{'action': '-0'}", None, 0),
        ("{'action': -1}", None, None),
        ("{'action': 2.5}", None, None),
        ("{'action': ' +'}", None, None),
        ("{'action': None}", None, None),
        ("{'action': 'turn_left'}", None, None),
    ],
)
def test_vldac_mode_takes_the_values_that_the_original_took(text: str, card: str | None, index: int | None) -> None:
    assert parse_action(text, NAMES, "vldac").action == (None if card is None else NAMES.index(card))
    assert parse_action(text, MAZE, "vldac").action == index


@pytest.mark.parametrize(
    "text",
    [
        '```json\n{"action": "+"}\n```', '{"action": "+", "ok": true}', '{"action": "+"} end', "{'action': '+', [1]: 2}",
        "{'action': f'+'}", "{'action': '+' + ''}", "__import__('os').system('true')", "{'action': '+', **{}}",
        "{'action': '+'", "\n  {'action': '+'}", "{'action': '+', 'n': 007}", "{'a\nb': 1, 'action': '+'}",
    ],
)  # fmt: skip
def test_vldac_mode_refuses_what_is_no_python_literal(text: str) -> None:
    assert parse_action(text, NAMES, "vldac") == vldac.ParseResult(None, MALFORMED)


@pytest.mark.parametrize(
    ("text", "names", "action", "status"),
    [
        ('{"thoughts": "10 - 2", "action": "+"}', NAMES, "+", OK),
        ('{"ACTION": "HIT"}', BLACKJACK, "hit", OK),
        ('{"action": "10"}', EZ_POINTS, "10", OK),
        ('{"action": "1"', EZ_POINTS, "1", OK),
        ('{"action": "1100"}', EZ_POINTS, None, AMBIGUOUS),
        ('{"action": "1 or 2"}', EZ_POINTS, None, AMBIGUOUS),
        ('{"action": "+"}, I chose that over "-"', NAMES, None, AMBIGUOUS),
        ('{"action": "stick"}', BLACKJACK, None, UNKNOWN_ACTION),
        ('{"action" : "+"} ', NAMES, None, NO_ACTION),
        ("the answer is +", NAMES, "+", TOLERANT),
        ("the answer is 10", NAMES, None, NO_ACTION),
        ("", NAMES, None, NO_ACTION),
    ],
)
def test_rl4vlm_mode_wants_exactly_one_name_behind_the_key(
    text: str, names: list[str], action: str | None, status: ParseStatus
) -> None:
    expected = None if action is None else names.index(action)
    assert parse_action(text, names, "rl4vlm") == vldac.ParseResult(expected, status)


# -- properties -----------------------------------------------------------------------------------------------------------

TOKENS = st.sampled_from(
    [
        *"\"':{}[](),\\+-1 \nérb#_.\x00\ud800\U0001f600",
        "10",
        "action",
        '"action":',
        "'action'",
        "Action:",
        '"""',
        "hit",
        "\\u002b",
    ]
    + ["True", "true", "null", "1e5", "0x1"]
)
TEXTS = st.one_of(st.lists(TOKENS, max_size=40).map("".join), st.text(max_size=200))


def utf8(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")


@settings(max_examples=500, deadline=None)
@given(TEXTS)
def test_any_text_has_an_action_exactly_if_its_status_says_so(text: str) -> None:
    for mode in MODES:
        result = parse_action(text, NAMES, mode)
        assert (result.action is None) == (result.status >= ParseStatus.NO_ACTION)
        assert result.action is None or 0 <= result.action < len(NAMES)


@settings(max_examples=200, deadline=None)
@given(st.lists(TOKENS, min_size=1, max_size=8).map("".join), st.lists(TOKENS, max_size=4).map("".join))
def test_reading_a_repeated_text_looks_at_each_byte_a_fixed_number_of_times(part: str, start: str) -> None:
    text = utf8(start + part * (20_000 // len(part)))
    names = _core.ActionNames(NAMES, [], False, False)
    for mode in MODES:
        assert _core.parse_work(text, names, mode) <= PASSES[mode] * (len(text.encode()) + 16)


def refuse(constant: str) -> None:
    raise ValueError(constant)


def read_json(text: str) -> tuple[bool, Any]:
    """Is it JSON, and what does it hold? Numbers stay text: ("integer" or "number", digits)."""
    try:
        return True, json.loads(
            text, parse_constant=refuse, parse_int=lambda s: ("integer", s), parse_float=lambda s: ("number", s)
        )
    except ValueError:
        return False, None


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8) | st.just("action"), inner, max_size=3)
    ),
    max_leaves=8,
)
ANSWERS = st.sampled_from([*NAMES, " + ", 1, 10, -1, "hit", None])
JSON_FIELDS = st.dictionaries(st.text(max_size=8), JSON_VALUES, max_size=3)
OBJECTS = st.builds(
    lambda before, answer, after: {**before, "action": answer, **after}, JSON_FIELDS, ANSWERS, JSON_FIELDS
)


@st.composite
def damaged(draw: st.DrawFn, texts: st.SearchStrategy[str]) -> str:
    """A text with up to three characters removed, replaced or put in."""
    text = list(draw(texts))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(text)))
        text[at : at + draw(st.integers(0, 1))] = draw(st.sampled_from(["", " ", "0", draw(TOKENS)]))
    return "".join(text)


DUMPS = st.builds(
    lambda value, is_ascii, indent: json.dumps(value, ensure_ascii=is_ascii, indent=indent),
    OBJECTS | JSON_VALUES, st.booleans(), st.none() | st.integers(0, 2),
)  # fmt: skip


@settings(max_examples=1000, deadline=None)
@given(TEXTS | damaged(DUMPS))
def test_json_mode_agrees_with_pythons_json_on_any_text(text: str) -> None:
    text = utf8(text)
    is_json, value = read_json(text)
    result = parse_action(text, NAMES, "json")
    assert is_json == (result.status is not MALFORMED)
    has_action = isinstance(value, dict) and "action" in value
    assert (is_json and not has_action) == (result.status is NO_ACTION)
    if has_action:
        answer = value["action"]
        name = answer.strip(" \t\n\r") if isinstance(answer, str) else None
        if isinstance(answer, tuple) and answer[0] == "integer":
            name = str(int(answer[1]))
        assert result.action == (NAMES.index(name) if name in NAMES else None)


@settings(max_examples=500, deadline=None)
@given(TEXTS | damaged(DUMPS))
def test_what_json_mode_takes_tolerant_mode_takes_alike(text: str) -> None:
    strict, tolerant = parse_action(text, NAMES, "json"), parse_action(text, NAMES)
    assert (strict.status is OK) == (tolerant.status is OK)
    assert strict.action is None or strict == tolerant


PROSE = st.text(st.characters(exclude_characters="{}[]\"'", exclude_categories=["Cs"]), max_size=60).filter(
    lambda text: "action" not in text.lower()
)
FIELDS = st.dictionaries(
    st.text(max_size=8).filter(lambda key: key.lower().strip() != "action"), st.text(max_size=30), max_size=3
)


@settings(max_examples=500, deadline=None)
@given(PROSE, FIELDS, st.sampled_from(NAMES), PROSE, st.booleans())
def test_tolerant_mode_finds_an_object_in_prose(
    before: str, fields: dict[str, str], action: str, after: str, is_fenced: bool
) -> None:
    answer = json.dumps({**fields, "action": action})
    text = f"{before}\n```json\n{answer}\n```\n{after}" if is_fenced else f"{before}{answer}{after}"
    assert parse_action(text, NAMES).action == NAMES.index(action)


@settings(max_examples=300, deadline=None)
@given(FIELDS, st.sampled_from(NAMES), st.integers(1, 30))
def test_tolerant_mode_finds_the_action_of_an_object_cut_off_behind_it(
    fields: dict[str, str], action: str, cut: int
) -> None:
    text = json.dumps({**fields, "action": action, "more": "x" * 30})
    assert parse_action(text[:-cut], NAMES).action == NAMES.index(action)


PYTHON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.binary(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.tuples(inner, inner) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    | st.sets(st.integers() | st.booleans(), min_size=1, max_size=3),
    max_leaves=8,
)  # fmt: skip
PYTHON_ACTIONS = st.sampled_from([*NAMES, " +", "2", 1, 10, 2.0, -0.0, 2.5, True, False, None, "move_back", (1,)])
PYTHON_KEYS = st.text(max_size=4) | st.integers() | st.none() | st.tuples(st.integers()) | st.binary(max_size=2)


@st.composite
def python_dicts(draw: st.DrawFn) -> str:
    """The literal of a dict, mostly with an action, in one of the ways in which Python would write and read it."""
    items = draw(st.lists(st.tuples(PYTHON_KEYS, PYTHON_VALUES), max_size=3))
    if draw(st.integers(0, 4)):
        items.insert(draw(st.integers(0, len(items))), ("action", draw(PYTHON_ACTIONS)))
    gap = draw(st.sampled_from(["", " ", "\n", "\t", " # note\n", "\\\n"]))
    quoted = draw(st.sampled_from([repr, lambda v: f'"""{v}"""' if v == "action" else repr(v), lambda v: f"({v!r})"]))
    inner = ",".join(f"{gap}{quoted(key)}{gap}:{gap}{value!r}{gap}" for key, value in items)
    end = draw(st.sampled_from(["", ","])) if items else ""
    return draw(st.sampled_from(["{}", " {}", "{}\n", "({})", "\n{}# end"])).replace("{}", "{" + inner + end + "}")


def read_python(text: str) -> tuple[bool, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # escapes that are none
        try:
            return True, ast.literal_eval(text)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            return False, None


def original_card(answer: Any) -> int | None:
    """What VL-DAC's code makes of "action" in a card game: str() of an integer, then the position in the list."""
    name = str(answer) if isinstance(answer, int) else answer
    return NAMES.index(name) if isinstance(name, str) and name in NAMES else None


def original_index(answer: Any) -> int | None:
    """What it makes of it in MiniWorld: int() of a string; the number then is the action."""
    try:
        number = int(answer) if isinstance(answer, str) else answer
    except ValueError:
        return None
    return int(number) if isinstance(number, (int, float)) and number in range(len(MAZE)) else None


@settings(max_examples=500, deadline=None)
@given(python_dicts())
def test_vldac_mode_agrees_with_literal_eval_on_dict_literals(text: str) -> None:
    is_literal, value = read_python(text)
    cards, maze = parse_action(text, NAMES, "vldac"), parse_action(text, MAZE, "vldac")
    assert is_literal == (cards.status is not MALFORMED) == (maze.status is not MALFORMED)
    if not is_literal:
        return
    assert ("action" not in value) == (cards.status is NO_ACTION) == (maze.status is NO_ACTION)
    if "action" in value:
        assert (cards.action, maze.action) == (original_card(value["action"]), original_index(value["action"]))


@settings(max_examples=1000, deadline=None)
@given(TEXTS | damaged(python_dicts()))
def test_vldac_mode_takes_nothing_that_literal_eval_refuses(text: str) -> None:
    text = utf8(text)
    for names, original in ((NAMES, original_card), (MAZE, original_index)):
        result = parse_action(text, names, "vldac")
        if result.action is not None:
            is_literal, value = read_python(text)
            assert is_literal and original(value["action"]) == result.action


def substring_rule(text: str, names: list[str]) -> int | None:
    """RL4VLM's rule in other words."""
    _, key, behind = text.lower().partition('"action":')
    rest = key + behind if key else text.lower()[-1:]
    found = {"10"} if "10" in names and "10" in rest else set()
    if found:
        rest = rest.replace("10", "")
    found |= {name for name in names if name in rest}
    return names.index(found.pop()) if len(found) == 1 else None


@settings(max_examples=500, deadline=None)
@given(
    st.lists(st.sampled_from(['"action":', '"Action": "', "10", "1", "0", "+", "-", "*", "(", "hit", "STAND", " ", "é"]), max_size=8)
)  # fmt: skip
def test_rl4vlm_mode_follows_the_substring_rule(parts: list[str]) -> None:
    text = "".join(parts)
    for names in (["-", "+"], BLACKJACK, EZ_POINTS, POINTS24):
        assert parse_action(text, names, "rl4vlm").action == substring_rule(text, names)


# -- batches and arguments ------------------------------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(st.lists(TEXTS, max_size=6), st.sampled_from(MODES))
def test_a_buffer_of_bytes_is_read_as_the_list_of_its_texts(texts: list[str], mode: ParseMode) -> None:
    encoded = [text.encode("utf-8", "replace") for text in texts]
    data = np.frombuffer(b"".join(encoded), np.uint8)
    offsets = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
    from_list, from_buffer = parse_actions(texts, NAMES, mode), parse_actions((data, offsets), NAMES, mode)
    one_by_one = [parse_action(text, NAMES, mode) for text in texts]
    for action, status in (from_list, from_buffer):
        assert action.dtype == np.int64 and status.dtype == np.uint8
        assert [None if a < 0 else a for a in action.tolist()] == [result.action for result in one_by_one]
        assert status.tolist() == [result.status for result in one_by_one]


def test_a_lone_surrogate_reads_as_a_question_mark() -> None:
    names = ["?", "+"]
    assert parse_action('{"action": "\ud800"}', names).action == 0
    assert parse_action('{"x": "\ud800", "action": "+"}', names, "json") == vldac.ParseResult(1, OK)


@pytest.mark.parametrize("offsets", [[0, 9], [1, 0], [-1, 2], []])
def test_offsets_outside_the_bytes_are_refused(offsets: list[int]) -> None:
    with pytest.raises(EnvError, match="offsets"):
        parse_actions((np.zeros(8, np.uint8), np.array(offsets, np.int64)), NAMES)


def test_an_unknown_mode_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(ConfigError, match="did you mean 'tolerant'"):
        parse_action("", NAMES, "tolerent")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("names", "synonyms", "message"),
    [
        (["a", "a"], {}, 'two actions are named "a"'),
        (["a", ""], {}, "is empty"),
        (["a" * 1025], {}, "longer than 1,024 bytes"),
        (["a", "b"], {"B": "a"}, 'the synonym "B" means both "b" and "a"'),
        (["a", "b"], {"x": "a", "X ": "b"}, 'means both "a" and "b"'),
        (["a"], {"x": "c"}, "not in tuple"),
    ],
)
def test_names_and_synonyms_that_mean_two_things_are_refused(
    names: list[str], synonyms: dict[str, str], message: str
) -> None:
    with pytest.raises(EnvError, match=message):
        ActionNames(names, synonyms)


def test_one_text_in_place_of_a_batch_is_refused() -> None:
    with pytest.raises(EnvError, match="one string"):
        parse_actions("text", NAMES)


def test_a_batch_member_that_is_no_string_is_refused() -> None:
    with pytest.raises(TypeError, match="expected strings"):
        parse_actions(["text", b"bytes"], NAMES)  # type: ignore[list-item]
