from pathlib import Path

import pytest

from contract.errors import ConfigError
from edge.config import load_board
from edge.guard.settings import BadSettings, Latch, Output, Reserve, SupplyOutput, read_settings

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
            "channel: each needs its own",
        ),
        (
            "max_open_s = 3600",
            'max_open_s = 60\n[[valve]]\nchannel = "v2"\npin = 17\nmax_open_s = 60',
            "pin: each needs its own",
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


PUMPED = (
    BOARD.replace("max_open_s = 3600", 'max_open_s = 3600\nactive_high = false\nsupply = "pump"')
    + """
[[valve]]
channel = "v2"
pin = 18
max_open_s = 60
[valve.latch]
close_pin = 19
pulse_ms = 50
[[supply]]
name = "pump"
pin = 23
active_high = false
max_open_s = 7200
start_after_s = -3
stop_after_s = 5
[reserve]
pin = 24
active_high = false
"""
)


def test_supplies_latches_and_the_reserve_are_the_agent_s_too(tmp_path: Path) -> None:
    path = tmp_path / "board.toml"
    path.write_text(PUMPED)
    settings, board = read_settings(path), load_board(path)
    assert settings.outputs == (
        Output("v1", 17, 3600, 14400, active_high=False, supply="pump"),
        Output("v2", 18, 60, 240, latch=Latch(19, 0.05, 600)),
    )
    assert settings.supplies == (
        SupplyOutput("pump", 23, 7200, 28800, active_high=False, start_after_s=-3, stop_after_s=5),
    )
    assert settings.reserve == Reserve(24, active_high=False)
    for mine, its in zip(settings.outputs, board.valve, strict=True):
        assert (mine.active_high, mine.supply, mine.max_day_s) == (its.active_high, its.supply, its.day_s)
    (pump,) = board.supply
    assert (pump.name, pump.pin, pump.day_s, pump.active_high) == ("pump", 23, 28800, False)
    assert (pump.start_after_s, pump.stop_after_s) == (-3, 5)
    latch = board.valve[1].latch
    assert latch is not None
    assert (latch.close_pin, latch.pulse_ms, latch.reclose_s) == (19, 50, 600)
    assert board.reserve is not None
    assert (board.reserve.pin, board.reserve.active_high) == (24, False)


BOTH = [
    ('supply = "pump"', 'supply = "well"', "valve v1: there is no [[supply]] 'well'"),
    ("close_pin = 19", "close_pin = 23", "pin"),
    ("pin = 24", "pin = 17", "pin"),
    ('name = "pump"', 'name = "v1"', "channel"),
    ("[reserve]\npin = 24\nactive_high = false\n", "", "valve.latch needs [reserve]"),
    ("pulse_ms = 50", "pulse_ms = 5", "latch.pulse_ms"),
    ("close_pin = 19", "close_pin = 19\nreclose_s = 5", "latch.reclose_s"),
    ("close_pin = 19", "close_pins = 19", "latch.close_pin"),
    ("start_after_s = -3", "start_after_s = -61", "start_after_s"),
    ("stop_after_s = 5", "stop_after_s = true", "stop_after_s"),
    ("max_open_s = 7200", "max_open_s = 7200\nmax_day_s = 60", "max_day_s"),
    ('[[supply]]\nname = "pump"', '[supply]\nname = "pump"', "supply"),
    ("active_high = false\nmax_open_s = 7200", 'active_high = "no"\nmax_open_s = 7200', "active_high"),
    ("[valve.latch]\nclose_pin = 19\npulse_ms = 50", "latch = 5", "latch"),
    ("[reserve]\npin = 24\nactive_high = false", "[[reserve]]\npin = 24", "reserve"),
]


@pytest.mark.parametrize(("old", "new", "said"), BOTH)
def test_what_is_wrong_with_outputs_is_said_by_guard_and_agent_alike(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    assert old in PUMPED
    assert said in read(tmp_path, PUMPED.replace(old, new))
    with pytest.raises(ConfigError) as caught:
        load_board(tmp_path / "board.toml")
    assert said in str(caught.value)


def test_all_latching_valves_together_take_no_longer_than_an_answer_may(tmp_path: Path) -> None:
    latches = "".join(
        f'[[valve]]\nchannel = "l{n}"\npin = {n}\nmax_open_s = 60\n[valve.latch]\nclose_pin = {n + 26}\npulse_ms = 200\n'
        for n in range(8)
    )
    text = PUMPED.replace("pin = 17", "pin = 47") + latches
    said = "valve.latch.pulse_ms: all pulses together must be 1500 ms at most"
    assert said in read(tmp_path, text)
    with pytest.raises(ConfigError, match="all pulses together must be 1500 ms at most"):
        load_board(tmp_path / "board.toml")
