from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.settings import load_toml
from edge.config import BoardSettings, load_board
from edge.control.reload import merge

BOARD = load_board(Path(__file__).parents[4] / "configs" / "board.toml")


def changed(tmp_path: Path, *pairs: tuple[str, str]) -> dict[str, Any]:
    text = (Path(__file__).parents[4] / "configs" / "board.toml").read_text()
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new, 1)
    path = tmp_path / "board.toml"
    path.write_text(text)
    return load_toml(path, BoardSettings).model_dump() | {"state_dir": BOARD.state_dir}


def test_the_same_file_changes_nothing() -> None:
    assert merge(BOARD.model_dump(), BOARD.model_dump()) == (BOARD.model_dump(), ())


def test_numbers_to_calculate_with_are_taken(tmp_path: Path) -> None:
    new = changed(
        tmp_path,
        ("report_every_s = 60", "report_every_s = 5"),
        ('log = "info"', 'log = "debug"'),
        ("[0.36, 60.0]", "[0.40, 55.0]"),
        ("pulses_per_litre = 10", "pulses_per_litre = 450"),
    )
    merged, needs_restart = merge(BOARD.model_dump(), new)
    assert needs_restart == ()
    board = BoardSettings.model_validate(merged)
    assert board == BoardSettings.model_validate(new)
    assert board.probe[0].points == ((0.40, 55.0), (0.85, 0.0))


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("pin = 17", "pin = 5", "valve.v1.pin"),
        ("max_open_s = 3600                     #", "max_open_s = 7200 #", "valve.v1.max_open_s"),
        ("renew_s = 2.0", "renew_s = 10.0", "guard.renew_s"),
        ("adc = 0", "adc = 1", "probe.soil-1.adc"),
        ('channel = "v2"', 'channel = "v3"', "valve"),
        ('host = "127.0.0.1"', 'host = "10.0.0.1"', "mqtt.host"),
        ('node_id = "board-1"', 'node_id = "board-2"', "node_id"),
        ("[battery] ", "[battery]\nreference_v = 5.0\n#", "battery.reference_v"),
        ("[rain_gauge]\npin = 27\nmm_per_tip = 0.2", "", "rain_gauge"),
    ],
)
def test_what_is_wired_stays_as_it_was_and_is_named(tmp_path: Path, old: str, new: str, place: str) -> None:
    merged, needs_restart = merge(BOARD.model_dump(), changed(tmp_path, (old, new)))
    assert needs_restart == (place,)
    assert BoardSettings.model_validate(merged) == BOARD


VALVE = st.fixed_dictionaries(
    {"channel": st.sampled_from(["v1", "v2", "v3"]), "pin": st.integers(0, 30), "max_open_s": st.integers(1, 9)},
    optional={"meter": st.fixed_dictionaries({"pin": st.integers(0, 9), "pulses_per_litre": st.floats(1, 99)})},
)
TREE = st.fixed_dictionaries(
    {"report_every_s": st.floats(1, 99), "valve": st.lists(VALVE, min_size=1, max_size=3).map(tuple)},
    optional={"guard": st.fixed_dictionaries({"renew_s": st.floats(1, 9)})},
)


def wiring(tree: dict[str, Any]) -> dict[str, Any]:
    """All but the numbers to calculate with."""
    valves = [
        {**valve, "meter": {"pin": valve["meter"]["pin"]} if valve.get("meter") else None} for valve in tree["valve"]
    ]
    return {"guard": tree.get("guard"), "valve": valves}


@given(TREE, TREE)
def test_whatever_the_new_file_says_no_pin_and_no_cap_changes(old: dict[str, Any], new: dict[str, Any]) -> None:
    merged, needs_restart = merge(old, new)
    assert wiring(merged) == wiring(old)
    assert merged["report_every_s"] == new["report_every_s"]
    # What was not taken is named: nothing is passed over in silence.
    assert bool(needs_restart) == (wiring(old) != wiring(new) or merged != {**old, **new})
