"""Playing by hand, piped: what is typed is parsed, stepped and told; pictures are files or half blocks."""

import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vldac.envs import make
from vldac.errors import EnvError
from vldac.play import half_blocks, play

LINE = "gym_cards/NumberLine-v0"


def session(text: str, **options: object) -> tuple[object, str]:
    sink = io.StringIO()
    summary = play(LINE, source=io.StringIO(text), sink=sink, **options)
    return summary, sink.getvalue()


def expert_lines(seed: int) -> str:
    """The scripted expert's responses to the first episode."""
    env = make(LINE, 1, task="vldac")
    env.reset(seed=seed)
    lines, ended = "", False
    while not ended:
        action = env.oracle_actions()
        lines += f'{{"action": "{env.action_names[int(action[0])]}"}}\n'
        _, _, terminated, truncated, _ = env.step(action)
        ended = bool(terminated[0] or truncated[0])
    env.close()
    return lines


def test_the_experts_responses_win_the_episode(tmp_path: Path) -> None:
    lines = expert_lines(seed=5)
    summary, out = session(lines + "q\n", seed=5, picture_dir=tmp_path)
    count = lines.count("\n")
    assert (summary.steps, summary.unparsable, summary.successes, len(summary.returns)) == (count, 0, 1, 1)
    assert "END      success (terminated)" in out and out.count("parsed   OK") == count
    assert f"{count} step(s), 0 unparsable response(s), 1 episode(s) ended: 1 succeeded" in out.splitlines()[-1]


def test_a_response_without_action_takes_a_random_one_and_says_so(tmp_path: Path) -> None:
    summary, out = session('I would go up.\n{"action": "jump"}\n', picture_dir=tmp_path)
    assert (summary.steps, summary.unparsable) == (2, 2)
    assert "parsed   NO_ACTION" in out and "parsed   UNKNOWN_ACTION" in out
    assert out.count("drawn at random: the response names no action") == 2


def test_an_empty_line_is_asked_again_and_the_end_of_input_ends_it(tmp_path: Path) -> None:
    summary, out = session("\n  \n", picture_dir=tmp_path)
    assert summary.steps == 0 and out.count("an empty response has no action") == 2 and "(end of input)" in out


@pytest.mark.parametrize("word", ["q", "quit", "Q"])
def test_q_ends_it_before_later_lines(tmp_path: Path, word: str) -> None:
    summary, _ = session(f'{word}\n{{"action": "+"}}\n', picture_dir=tmp_path)
    assert summary.steps == 0


def test_pictures_are_the_observations(tmp_path: Path) -> None:
    _, out = session('{"action": "+"}\nq\n', seed=3, image_size=(84, 56), picture_dir=tmp_path)
    env = make(LINE, 1, task="vldac", image_size=(84, 56))
    first, _ = env.reset(seed=3)
    second, *_ = env.step([1])
    env.close()
    paths = re.findall(r"picture  (.*\.png)", out)
    assert len(paths) == 2
    for path, obs in zip(paths, (first, second), strict=True):
        assert np.array_equal(np.asarray(Image.open(path)), obs["image"][0])


def test_the_prompt_is_the_one_the_model_sees(tmp_path: Path) -> None:
    env = make("gym_cards/EZPoints-v0", 1, task="vldac", prompt="short")
    env.reset(seed=0)
    text = env.prompts()[0][0]["content"][1]["text"]
    env.close()
    sink = io.StringIO()
    play("gym_cards/EZPoints-v0", prompt="short", source=io.StringIO(""), sink=sink, picture_dir=tmp_path)
    assert f"prompt   [picture] {text}\n" in sink.getvalue()


def test_half_blocks_have_the_colours_of_the_picture() -> None:
    image = np.zeros((4, 2, 3), np.uint8)
    image[0:2, :, 0], image[2:4, :, 2] = 200, 100
    text = half_blocks(image, cells=1)
    assert text.plain == "\u2580\n"
    style = text.spans[0].style
    assert style.color.triplet == (200, 0, 0) and style.bgcolor.triplet == (0, 0, 100)


def test_a_terminal_gets_colours_and_no_files(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    _, out = session("q\n", pictures="terminal")
    assert out.count("\u2580") == 40 * 20 and "\x1b[" in out and "picture  " not in out


def test_a_picture_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(EnvError, match="a folder for the pictures"):
        session("q\n", picture_dir=tmp_path / "file")


def test_the_command_plays_from_a_pipe(vldac, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(expert_lines(seed=2)))
    code, out, err = vldac("play", LINE, "--seed", "2", "--picture-dir", "pictures")
    assert (code, err) == (0, "") and "1 succeeded" in out
    assert len(list((tmp_path / "pictures").glob("*.png"))) == expert_lines(seed=2).count("\n") + 1
