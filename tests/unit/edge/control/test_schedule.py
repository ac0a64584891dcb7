from datetime import UTC, datetime, time, timedelta

import pytest

from contract.messages import PlanSource
from edge.control.schedule import AHEAD, LATE, agenda, source, waterings
from irrigation.model import BaseEntry, Dose, Entry, Timetable, Weekly
from tests.unit.edge.control.orders import NOW

DAILY = Weekly(days=(1, 2, 3, 4, 5, 6, 7))
END = NOW + timedelta(days=14)


def entry(start: datetime, zone_id: str = "tea") -> Entry:
    return Entry(
        id=f"morning:{start:%Y%m%d}:{start:%H%M}:{zone_id}",
        program_id="morning",
        zone_id=zone_id,
        node_id="board-1",
        channel="v1",
        due=start,
        start=start,
        max_s=60,
        dose=Dose(minutes=1),
        flow_l_min=8,
    )


def timetable(*entries: Entry, valid_until: datetime = END) -> Timetable:
    base = BaseEntry(
        program_id="morning",
        zone_id="tea",
        node_id="board-1",
        channel="v1",
        calendar=DAILY,
        start=time(5, 30),
        max_s=60,
        dose=Dose(minutes=1),
        flow_l_min=8,
    )
    return Timetable(version=1, compiled_at=NOW, valid_until=valid_until, tz="UTC", entries=entries, base=(base,))


def test_a_board_without_a_plan_waters_by_none() -> None:
    assert source(None, NOW) is PlanSource.NONE
    assert waterings(None, NOW) == ()


@pytest.mark.parametrize(
    ("late", "expected"), [(timedelta(seconds=-1), PlanSource.TIMETABLE), (timedelta(0), PlanSource.BASE)]
)
def test_the_base_plan_follows_when_the_timetable_has_run_out(late: timedelta, expected: PlanSource) -> None:
    assert source(timetable(), END + late) is expected


def test_long_before_its_end_the_timetable_stands_alone() -> None:
    only = entry(NOW + timedelta(days=1))
    assert waterings(timetable(only), NOW) == (only,)


def test_after_its_end_the_base_plan_waters_every_due_day() -> None:
    plan = timetable(valid_until=datetime(2026, 12, 7, 0, 0, tzinfo=UTC))
    day = datetime(2026, 12, 9, 5, 0, tzinfo=UTC)
    (found,) = waterings(plan, day)
    assert found.start == datetime(2026, 12, 9, 5, 30, tzinfo=UTC)
    assert waterings(plan, day - AHEAD - timedelta(hours=1)) == ()


def test_what_the_timetable_had_is_not_done_again_by_the_base_plan() -> None:
    last = entry(datetime(2026, 12, 7, 5, 30, tzinfo=UTC))
    plan = timetable(last, valid_until=datetime(2026, 12, 7, 5, 31, tzinfo=UTC))
    assert waterings(plan, datetime(2026, 12, 7, 5, 32, tzinfo=UTC)) == (last,)


def test_the_agenda_tells_missed_due_and_later_apart_and_leaves_out_what_is_done() -> None:
    missed, latest, due, later, done = (
        entry(NOW - LATE - timedelta(seconds=1)),
        entry(NOW - LATE, "rice"),
        entry(NOW, "plum"),
        entry(NOW + timedelta(seconds=1), "corn"),
        entry(NOW, "done"),
    )
    found = agenda((later, due, done, latest, missed), {done.id}, NOW)
    assert (found.missed, found.due, found.later) == ((missed,), (latest, due), (later,))
