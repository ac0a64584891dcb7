from pathlib import Path

import pytest

from edge.config import load_board
from edge.guard.settings import BadSettings, Output, read_settings

BOARD = """
farm_id = "mai"
node_id = "board-1"
state_dir = "state"
[gpio]
factory = "lgpio"
[[valve]]
channel = "v1"
pin = 17
max_open_s = 3600
"""
EXAMPLE = Path(__file__).parents[4] / "configs" / "board.toml"


def read(folder: Path, text: str) -> str:
    path = folder / "board.toml"
    path.write_text(text)
    with pytest.raises(BadSettings) as caught:
        read_settings(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_defaults_are_the_agent_s(tmp_path: Path) -> None:
    path = tmp_path / "board.toml"
    path.write_text(BOARD)
    settings, board = read_settings(path), load_board(path)
    assert settings.outputs == (Output("v1", 17, 3600, 14400),)
    assert settings.socket == board.guard_socket == tmp_path / "state" / "guard.sock"
    assert settings.renew_s == board.guard.renew_s


def test_guard_and_agent_read_the_same_from_the_example() -> None:
    settings, board = read_settings(EXAMPLE), load_board(EXAMPLE)
    assert [(one.channel, one.pin, one.max_open_s, one.max_day_s) for one in settings.outputs] == [
        (valve.channel, valve.pin, valve.max_open_s, valve.day_s) for valve in board.valve
    ]
    assert settings.socket == board.guard_socket
    assert settings.factory == board.gpio.factory == "lgpio"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('state_dir = "state"', "", "state_dir must be a text"),
        ("[gpio]", "[gpios]", "gpio must be a table"),
        ('factory = "lgpio"', "factory = 5", "gpio.factory must be a text"),
        ("pin = 17", "", "valve[0].pin must be a GPIO number"),
        ("pin = 17", "pin = true", "valve[0].pin must be a GPIO number"),
        ("max_open_s = 3600", "", "valve[0].max_open_s must be between"),
        ("max_open_s = 3600", "max_open_s = nan", "valve[0].max_open_s must be between"),
        ("max_open_s = 3600", "max_open_s = true", "valve[0].max_open_s must be between"),
        ("max_open_s = 3600", "max_open_s = 90000", "valve[0].max_open_s must be between 1 and 86400 s, not 90000"),
        ("max_open_s = 3600", "max_open_s = 60\nmax_day_s = 59", "valve[0].max_day_s must be between 60 and"),
        ("[[valve]]", "[guard]\nrenew_s = 61\n[[valve]]", "guard.renew_s must be between"),
        (
            "max_open_s = 3600",
            'max_open_s = 60\n[[valve]]\nchannel = "v1"\npin = 18\nmax_open_s = 60',
            "valve.channel: each valve needs its own",
        ),
        (
            "max_open_s = 3600",
            'max_open_s = 60\n[[valve]]\nchannel = "v2"\npin = 17\nmax_open_s = 60',
            "valve.pin: each valve needs its own",
        ),
    ],
)
def test_what_is_wrong_is_said_with_file_and_field(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert said in read(tmp_path, BOARD.replace(old, new))


def test_a_board_without_valves_needs_no_guard(tmp_path: Path) -> None:
    assert "at least one [[valve]]" in read(tmp_path, BOARD[: BOARD.index("[[valve]]")])
    assert "valve[0] must be a table" in read(tmp_path, "valve = [5]\n" + BOARD[: BOARD.index("[[valve]]")])


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match=r"none\.toml"):
        read_settings(tmp_path / "none.toml")
