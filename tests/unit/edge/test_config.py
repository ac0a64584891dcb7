from pathlib import Path

import pytest

from contract.errors import ConfigError
from contract.messages import Quantity
from edge.config import load_board

EXAMPLE = Path(__file__).parents[3] / "configs" / "board.toml"


def said(folder: Path, old: str, new: str) -> str:
    text = EXAMPLE.read_text()
    assert old in text
    path = folder / "board.toml"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(ConfigError) as caught:
        load_board(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_the_example_is_a_board_with_two_valves() -> None:
    board = load_board(EXAMPLE)
    channels, sensors = board.has()
    assert [(one.channel, one.has_meter, one.max_open_s) for one in channels] == [
        ("v1", True, 3600),
        ("v2", False, 3600),
    ]
    assert {(one.sensor, one.quantity) for one in sensors} == {
        ("soil-1", Quantity.SOIL_MOISTURE),
        ("v1-meter", Quantity.VOLUME),
        ("v1-meter", Quantity.FLOW),
        ("battery", Quantity.BATTERY),
        ("air", Quantity.AIR_TEMPERATURE),
        ("rain", Quantity.RAIN),
    }


def test_a_relative_state_dir_is_beside_the_file(tmp_path: Path) -> None:
    path = tmp_path / "board.toml"
    path.write_text(EXAMPLE.read_text().replace("/var/lib/tuoi/board-1", "state"))
    assert load_board(path).guard_socket == tmp_path / "state" / "guard.sock"


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("pin = 17", 'pin = "17"', "valve.0.pin"),
        ("pin = 17", "pin = 22", "pin 22 is given twice"),
        ("pin = 18", "pin = 99", "valve.1.pin"),
        ("adc = 6", "adc = 0", "adc channel 0 is given twice"),
        ('channel = "v2"', 'channel = "v1"', "channel v1 is given twice"),
        ('node_id = "board-1"', 'node_id = "gateway"', "node_id 'gateway' is the farm's gateway"),
        ("max_day_s = 14400", "max_day_s = 60", "max_day_s must be at least max_open_s"),
        ("max_open_s = 3600", "max_open_s = nan", "valve.0.max_open_s: a finite number is needed"),
        ("max_open_s = 3600", "max_opens_s = 3600", "valve.0.max_opens_s"),
        ("active_high = true", 'active_high = "low"', "valve.0.active_high"),
        ("[[0.36, 60.0], [0.85, 0.0]]", "[[0.85, 0.0], [0.36, 60.0]]", "points must have rising raw values"),
        ("[[0.36, 60.0], [0.85, 0.0]]", "[[0.1, 0.0], [0.2, 50.0], [0.3, 20.0]]", "only rise or only fall"),
        ("[[0.36, 60.0], [0.85, 0.0]]", "[[0.36, 60.0]]", "probe.0.points"),
        (
            'driver = "capacitive"',
            'driver = "resistive"',
            "probe.0: there is no driver 'resistive', only capacitive, ds18b20, modbus, ",
        ),
        ("pulses_per_litre = 10", "pulses_per_litre = 0", "valve.0.meter.pulses_per_litre"),
    ],
)
def test_what_is_wrong_is_said_with_file_and_field(tmp_path: Path, old: str, new: str, sentence: str) -> None:
    assert sentence in said(tmp_path, old, new)
