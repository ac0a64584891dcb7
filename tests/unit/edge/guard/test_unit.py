"""What the service manager does for the guard, and when: the unit as it is shipped."""

import configparser
from pathlib import Path

from edge.guard import process

UNIT = Path(__file__).parents[4] / "configs" / "tuoi-guard.service"


def service() -> configparser.SectionProxy:
    parsed = configparser.RawConfigParser(strict=False, interpolation=None)
    parsed.optionxform = str  # type: ignore[assignment,method-assign]
    parsed.read(UNIT)
    return parsed["Service"]


def test_a_guard_that_hangs_is_killed_soon_and_not_for_being_slow() -> None:
    unit = service()
    assert unit["Type"] == "notify"
    assert float(unit["TimeoutAbortSec"]) <= 1  # a stopped process does not take the signal that asks it where it hangs
    assert 2 * process.IDLE_S < float(unit["WatchdogSec"]) <= 10


def test_after_every_end_all_is_off_by_the_same_file() -> None:
    unit = service()
    assert unit["ExecStopPost"] == unit["ExecStart"].replace("edge.guard", "edge.guard --all-off")
