"""`tuoi edge calibrate` on a simulated hillside: the soil really gets wetter, and board.toml learns it."""

import pytest

from edge.config import load_board
from tests.unit.edge.bench.hill import BOARD, Hill, Terminal

pytestmark = [pytest.mark.uses_broker, pytest.mark.timeout(120)]
QUICK = ("--sensor", "soil-1", "--samples", "3", "--language", "en")


def make_wet(hill: Hill, pct: float = 33) -> None:
    """Water the probe's ground for hours of the field's time, and let it rest."""
    hill.field.set_speed(3600)
    with hill.water_by_hand():
        while hill.field.moisture_pct("tea") < pct:
            pass  # each look asks the field
    hill.field.set_speed(0.01)


def test_a_technician_is_led_from_dry_to_soaked_soil_and_the_file_learns_it(hill: Hill) -> None:
    hill.field.set_speed(0.01)
    before = hill.path.read_text()
    terminal = Terminal(hill, "calibrate", "--sensor", "soil-1", "--samples", "3")
    terminal.wait_for("1. Dry soil.")
    terminal.answer("damp")
    terminal.wait_for("damp is no percentage")
    terminal.wait_for("1. Dry soil.")
    terminal.answer("5")
    terminal.wait_for("then Enter:")
    terminal.answer()
    terminal.wait_for("3 readings:")
    terminal.wait_for("2. Soaked soil")
    terminal.answer("41,5")
    terminal.wait_for("then Enter:")
    hill.field.fault("probe-open", "board-1/0")
    terminal.answer()
    terminal.wait_for("as with a broken wire")
    hill.field.fault("probe-open", "board-1/0", on=False)
    make_wet(hill)
    terminal.wait_for("then Enter:")
    terminal.answer()
    terminal.wait_for("only Enter to finish:")
    terminal.answer()
    terminal.wait_for("[Y/n]")
    assert hill.path.read_text() == before
    terminal.answer("y")
    assert terminal.end() == 0
    assert "systemctl reload tuoi-agent" in terminal.said
    points = load_board(hill.path).probe[0].points or ()
    assert [pct for _, pct in points] == [41.5, 5.0]
    assert points[0][0] == pytest.approx(2.8 / 3.3 - hill.field.moisture_pct("tea") * 1.6 / 60 / 3.3, abs=0.02)
    changed = [line for line in hill.path.read_text().splitlines() if line not in before.splitlines()]
    assert len(changed) == 1
    assert changed[0].endswith("# from the maker")
    assert [path.read_text() for path in hill.folder.glob("board.toml.*.bak")] == [before]


def test_a_script_takes_point_after_point_and_writes(hill: Hill) -> None:
    hill.field.set_speed(0.01)
    assert hill.type("calibrate", *QUICK, "--point", "5").returncode == 0
    early = hill.type("calibrate", *QUICK, "--write")
    assert early.returncode == 1
    assert "There are 1 points; 2 to 8 are needed" in early.stderr
    same = hill.type("calibrate", *QUICK, "--point", "40", "--write")
    assert same.returncode == 1
    assert "was the probe in different soil?" in same.stderr
    before = load_board(hill.path)
    make_wet(hill)
    done = hill.type("calibrate", *QUICK, "--point", "40", "--write")
    assert done.returncode == 0, done.stderr
    assert [pct for _, pct in load_board(hill.path).probe[0].points or ()] == [40.0, 5.0]
    assert before.probe[0].points == ((0.36, 60.0), (0.85, 0.0))
    assert hill.type("calibrate", *QUICK, "--write").returncode == 1  # what is written is forgotten


def test_a_probe_that_is_broken_gives_no_point(hill: Hill) -> None:
    hill.field.fault("probe-open", "board-1/0")
    done = hill.type("calibrate", *QUICK, "--point", "5")
    assert done.returncode == 1
    assert "as with a broken wire" in done.stderr
    assert not (hill.folder / "state").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--sensor", "soil-9", "--point", "1"), "has no probe 'soil-9'; it has soil-1"),
        (("--sensor", "soil-1", "--samples", "1"), "--samples must be between 3 and 500, not 1"),
    ],
)
def test_wrong_usage_is_one_sentence(hill: Hill, arguments: tuple[str, ...], sentence: str) -> None:
    done = hill.type("calibrate", *arguments)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1
    assert hill.path.read_text().startswith(BOARD[:20])
