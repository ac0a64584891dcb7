"""An edit changes nothing that has begun: the rest of it goes on as it was, or is told as changed."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from contract.messages import DecisionEvent
from irrigation.model import CycleSoak, Dose, Farm, Finish, Program, Result, Rule, ZoneDose
from irrigation.run import RunState
from tests.unit.gateway import farm as f
from tests.unit.gateway.office import Office

MINUTE = timedelta(minutes=1)
DUE = f.NOW.replace(hour=22, minute=30)  # 05:30 on the farm


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    made = Office(tmp_path / "journal.sqlite3", shows=DUE - MINUTE)
    made.hear("board-1", "board-2", now=DUE - MINUTE)
    yield made
    made.db.close()


def morning(**more: object) -> Program:
    return replace(f.program("morning", "beans", "tea", "plums", minutes=20), **more)  # type: ignore[arg-type]


def put(office: Office, farm: Farm, version: int, minute: int) -> None:
    office.show(DUE + minute * MINUTE)
    office.configure(farm, version, office.clock_shows)


def starts(office: Office) -> list[tuple[str, float, float | None]]:
    """Return (zone, minutes after the program's start, minutes of dose) of what is still to come of this morning."""
    assert office.plan.timetable is not None
    today = [
        entry for entry in office.plan.timetable.entries if office.clock_shows < entry.start < DUE + timedelta(hours=12)
    ]
    return [(entry.zone_id, (entry.start - DUE) / MINUTE, entry.dose.minutes) for entry in today]


def begin(office: Office, place: int = 0) -> None:
    """Have the board report that it has begun the first watering."""
    assert office.plan.timetable is not None
    entry = office.plan.timetable.entries[place]
    opened = f.due_report(entry, RunState.OPEN, entry.start, closes_at=entry.start + timedelta(seconds=entry.max_s))
    office.show(entry.start)
    office.report(entry.node_id, opened, now=entry.start)


def changed(office: Office) -> set[str]:
    told = [event.decision for event in office.told(DecisionEvent)]
    assert all(one.result is Result.SKIPPED for one in told if one.rule is Rule.PROGRAM_CHANGED)
    return {one.zone_id for one in told if one.rule is Rule.PROGRAM_CHANGED}


def test_the_rest_of_a_firing_goes_on_as_it_was_when_its_program_is_edited(office: Office) -> None:
    put(office, f.farm(programs=(morning(),)), 1, -1)
    begin(office)
    shorter = morning(zones=(ZoneDose(zone_id="beans", dose=Dose(minutes=5)),), since=DUE + 10 * MINUTE)
    put(office, f.farm(programs=(shorter,)), 2, 10)
    assert starts(office) == [("tea", 20.0, 20), ("plums", 40.0, 20)]
    put(office, f.farm(programs=(replace(shorter, name="again", since=DUE + 12 * MINUTE),)), 3, 12)
    assert starts(office) == [("tea", 20.0, 20), ("plums", 40.0, 20)]
    assert changed(office) == set()


def test_it_also_goes_on_in_another_life_of_the_gateway(office: Office) -> None:
    put(office, f.farm(programs=(morning(),)), 1, -1)
    begin(office)
    put(office, f.farm(programs=(morning(since=DUE + 10 * MINUTE),)), 2, 10)
    office.plan.load()
    office.plan.compile(DUE + 11 * MINUTE)
    assert starts(office) == [("tea", 20.0, 20), ("plums", 40.0, 20)]


def test_the_later_parts_of_a_watering_in_parts_go_on_too(office: Office) -> None:
    soaked = ZoneDose(zone_id="beans", dose=Dose(minutes=20), cycle=CycleSoak(on_minutes=10, soak_minutes=15))
    put(office, f.farm(programs=(morning(zones=(soaked,)),)), 1, -1)
    begin(office)
    put(office, f.farm(programs=(morning(since=DUE + 5 * MINUTE),)), 2, 5)
    assert starts(office) == [("beans", 25.0, 10)]


def test_what_has_not_begun_when_its_program_is_edited_is_told_as_changed(office: Office) -> None:
    put(office, f.farm(programs=(morning(),)), 1, -1)
    put(office, f.farm(programs=(morning(since=DUE + 10 * MINUTE),)), 2, 10)
    assert starts(office) == []
    assert changed(office) == {"beans", "tea", "plums"}


@pytest.mark.parametrize("left", [(), (morning(enabled=False),)])
def test_a_program_that_is_deleted_or_switched_off_ends_what_had_not_begun_of_it(
    office: Office, left: tuple[Program, ...]
) -> None:
    put(office, f.farm(programs=(morning(),)), 1, -1)
    begin(office)
    put(office, f.farm(programs=left), 2, 10)
    assert starts(office) == []
    assert changed(office) == {"tea", "plums"}


def test_a_program_with_other_starts_runs_by_its_new_ones_beside_what_goes_on(office: Office) -> None:
    put(office, f.farm(programs=(morning(),)), 1, -1)
    begin(office)
    later = f.program("morning", "beans", minutes=5, start="07:30", since=DUE + 10 * MINUTE)
    put(office, f.farm(programs=(later,)), 2, 10)
    assert starts(office) == [("tea", 20.0, 20), ("plums", 40.0, 20), ("beans", 120.0, 5)]


def test_what_is_to_be_finished_by_a_time_goes_on_once_and_as_it_was(office: Office) -> None:
    by = replace(f.program("morning", "beans", "tea", "plums", minutes=20, start="06:30"), finish=Finish())
    put(office, f.farm(programs=(by,)), 1, -1)
    begin(office)
    shorter = tuple(replace(part, dose=Dose(minutes=10)) for part in by.zones)  # would be due at 06:00
    put(office, f.farm(programs=(replace(by, zones=shorter, since=DUE + 10 * MINUTE),)), 2, 10)
    assert starts(office) == [("tea", 20.0, 20), ("plums", 40.0, 20)]


def test_what_is_to_be_finished_by_a_time_and_has_not_begun_is_planned_as_it_is_now(office: Office) -> None:
    by = replace(f.program("morning", "beans", "tea", minutes=30, start="06:30"), finish=Finish())
    put(office, f.farm(programs=(by,)), 1, -1)
    shorter = tuple(replace(part, dose=Dose(minutes=10)) for part in by.zones)
    put(office, f.farm(programs=(replace(by, zones=shorter, since=DUE + 5 * MINUTE),)), 2, 5)
    assert starts(office) == [("beans", 40.0, 10), ("tea", 50.0, 10)]
    assert changed(office) == set()


def test_a_zone_that_the_farm_no_longer_has_is_told_as_changed(office: Office) -> None:
    put(office, f.farm(programs=(morning(),)), 1, -1)
    begin(office)
    zones = tuple(zone for zone in f.FARM.zones if zone.id != "tea")
    rest = morning(zones=morning().zones[::2], since=DUE + 10 * MINUTE)
    put(office, f.farm(programs=(rest,), zones=zones), 2, 10)
    assert starts(office) == [("plums", 20.0, 20)]
    assert changed(office) == {"tea"}
