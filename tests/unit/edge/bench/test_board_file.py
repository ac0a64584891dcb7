"""A program that changes a person's file: only what it was asked to, and never a file that would not load."""

import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.errors import ConfigError
from edge.bench.board_file import replace, with_points
from edge.config import load_board

EXAMPLE = (Path(__file__).parents[4] / "configs" / "board.toml").read_text()
POINTS = ((0.31, 52.0), (0.5, 30.0), (0.88, 0.0))
NOW = datetime(2026, 11, 25, 8, 0, tzinfo=UTC)


def test_only_the_points_change_and_every_comment_stays() -> None:
    changed = with_points(EXAMPLE, "soil-1", POINTS)
    before, after = EXAMPLE.splitlines(), changed.splitlines()
    differ = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert len(differ) == 1
    old, new = differ[0]
    assert new == old.replace("[[0.36, 60.0], [0.85, 0.0]]", "[[0.31, 52.0], [0.5, 30.0], [0.88, 0.0]]")
    assert "# share of the reference" in new


HARD = """\
text = '''
[[probe]]
sensor = "soil-2"   # not a table: a text
points = [[1, 2]]
'''
list = [ "]", # a bracket in a text and in a comment ]
  "[[probe]]",
]
"quoted.key" = "=#["

[[probe]] # the first
points = [  # over
  [0.1, 60.0], # several ] lines
  [0.9, 0.0],
]           # the end
sensor = 'soil-1'
adc = 0

  [[ probe ]]
sensor = "soil-2"
adc = 1
points=[[0.2,40],[0.8,0]]
[probe.extra]
points = "not these"
[[probe]]
adc = 3
sensor = "soil-3"
[battery]
adc = 6
"""


@pytest.mark.parametrize("sensor", ["soil-1", "soil-2", "soil-3"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_however_the_file_is_written(sensor: str, newline: str) -> None:
    text = HARD.replace("\n", newline)
    changed = with_points(text, sensor, POINTS)
    table, before = tomllib.loads(changed), tomllib.loads(text)
    for now, then in zip(table["probe"], before["probe"], strict=True):
        assert now.get("points") == (
            [list(point) for point in POINTS] if now["sensor"] == sensor else then.get("points")
        )
    for comment in ("# the first", "# the end", "# a bracket in a text and in a comment ]"):
        assert comment in changed
    assert changed.count(newline) >= text.count(newline) - 4


def test_a_sensor_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigError, match=r"no \[\[probe\]\] with sensor 'soil-9'; there is soil-1"):
        with_points(EXAMPLE, "soil-9", POINTS)


def test_an_inline_table_is_left_to_the_person_with_the_line_to_write() -> None:
    text = 'probe = [{ sensor = "soil-1", adc = 0, points = [[0.1, 9.0], [0.2, 1.0]] }]\n'
    with pytest.raises(ConfigError, match=r"only a person can change: points = \[\[0.31, 52.0\]"):
        with_points(text, "soil-1", POINTS)


NAMES = st.text("ab[]#='\"\\ \n", max_size=8)


@given(NAMES, st.booleans(), st.lists(st.tuples(st.floats(0, 1), st.floats(0, 100)), min_size=1, max_size=3))
def test_nothing_else_ever_changes(other: str, comments: bool, points: list[tuple[float, float]]) -> None:
    escaped = other.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    tail = " # a ] comment [" if comments else ""
    text = (
        f'name = "{escaped}"{tail}\nlist = ["{escaped}",{tail}\n]\n[[probe]]{tail}\nnote = "{escaped}"{tail}\n'
        f'sensor = "s"{tail}\npoints = [[0.1, 1],{tail}\n[0.2, 2]]{tail}\nafter = 1{tail}'
    )
    wanted = tomllib.loads(text)
    wanted["probe"][0]["points"] = [list(point) for point in points]
    changed = with_points(text, "s", points)
    assert tomllib.loads(changed) == wanted
    assert changed.count("# a ]") >= (6 if comments else 0)


def board(tmp_path: Path) -> Path:
    path = tmp_path / "board.toml"
    path.write_text(EXAMPLE)
    path.chmod(0o640)
    return path


def test_the_new_file_takes_the_place_of_the_old_one_which_is_kept(tmp_path: Path) -> None:
    path = board(tmp_path)
    new = with_points(EXAMPLE, "soil-1", POINTS)
    kept = replace(path, EXAMPLE, new, load_board, NOW)
    assert path.read_text() == new
    assert kept == tmp_path / "board.toml.20261125T080000Z.bak"
    assert kept.read_text() == EXAMPLE
    assert path.stat().st_mode & 0o777 == kept.stat().st_mode & 0o777 == 0o640
    assert sorted(tmp_path.iterdir()) == [path, kept]


def test_a_file_that_would_not_load_leaves_the_old_one(tmp_path: Path) -> None:
    path = board(tmp_path)
    with pytest.raises(ConfigError, match="points must have rising"):
        replace(path, EXAMPLE, with_points(EXAMPLE, "soil-1", POINTS[::-1]), load_board, NOW)
    assert path.read_text() == EXAMPLE
    assert list(tmp_path.iterdir()) == [path]


def test_another_s_change_is_not_overwritten(tmp_path: Path) -> None:
    path = board(tmp_path)
    path.write_text(EXAMPLE + "# mine\n")
    with pytest.raises(ConfigError, match="changed by somebody else"):
        replace(path, EXAMPLE, with_points(EXAMPLE, "soil-1", POINTS), load_board, NOW)
    assert path.read_text() == EXAMPLE + "# mine\n"


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "gone" / "board.toml"
    with pytest.raises(ConfigError, match="cannot be written: No such file"):
        replace(path, EXAMPLE, EXAMPLE, load_board, NOW)
