from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.messages import PlanSource
from edge.control.schedule import AHEAD, LATE, WAIT_S, agenda, source, waterings
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
    yesterday, today = waterings(plan, day)
    assert yesterday.start == today.start - timedelta(days=1)
    assert today.start == datetime(2026, 12, 9, 5, 30, tzinfo=UTC)
    assert waterings(plan, day - AHEAD - timedelta(hours=1)) == (yesterday,)
    assert waterings(plan, datetime(2026, 12, 7, 3, 0, tzinfo=UTC)) == ()


def test_what_the_timetable_had_is_not_done_again_by_the_base_plan() -> None:
    last = entry(datetime(2026, 12, 7, 5, 30, tzinfo=UTC))
    plan = timetable(last, valid_until=datetime(2026, 12, 7, 5, 31, tzinfo=UTC))
    assert waterings(plan, datetime(2026, 12, 7, 5, 32, tzinfo=UTC)) == (last,)


def test_the_agenda_tells_missed_due_and_later_apart_and_leaves_out_what_is_done() -> None:
    missed, latest, due, later, done = (
        entry(NOW - LATE - timedelta(seconds=1)),
        replace(entry(NOW - LATE, "rice"), max_s=1200),
        entry(NOW, "plum"),
        entry(NOW + timedelta(seconds=1), "corn"),
        entry(NOW, "done"),
    )
    found = agenda((later, due, done, latest, missed), {done.id}, NOW)
    assert (found.missed, found.due, found.later) == ((missed,), (latest, due), (later,))


# --- a board that was away ---


@pytest.mark.parametrize(
    ("looked_at", "told"),
    [(None, 1), (datetime(2026, 12, 12, 0, 0, tzinfo=UTC), 3), (datetime(2026, 12, 8, 0, 0, tzinfo=UTC), 7)],
    ids=["a day at least", "since the last look", "a week at most"],
)
def test_the_base_plan_reaches_back_to_what_was_missed(looked_at: datetime | None, told: int) -> None:
    plan = timetable(valid_until=datetime(2026, 12, 7, 0, 0, tzinfo=UTC))
    now = datetime(2026, 12, 15, 3, 0, tzinfo=UTC)
    entries = waterings(plan, now, looked_at=looked_at)
    found = agenda(entries, (), now)
    assert len(found.missed) == told
    assert (found.due, found.later) == ((), ())


def test_what_was_due_before_the_last_look_and_begins_after_it_is_told_as_well() -> None:
    table = timetable(valid_until=datetime(2026, 12, 7, 0, 0, tzinfo=UTC))
    plan = replace(table, base=(replace(table.base[0], due=time(5, 0)),))  # after half an hour of its neighbours' turns
    looked_at, now = datetime(2026, 12, 12, 5, 15, tzinfo=UTC), datetime(2026, 12, 15, 3, 0, tzinfo=UTC)
    missed = agenda(waterings(plan, now, looked_at=looked_at), (), now).missed
    assert [one.start.day for one in missed] == [12, 13, 14]


def test_a_plan_that_has_run_out_before_it_came_starts_nothing_that_was_due_before() -> None:
    plan = timetable(valid_until=datetime(2026, 12, 7, 0, 0, tzinfo=UTC))
    came = datetime(2026, 12, 9, 5, 31, tzinfo=UTC)
    assert waterings(plan, came, taken_at=came) == ()
    (tomorrow,) = waterings(plan, came + timedelta(days=1), taken_at=came)
    assert tomorrow.start == datetime(2026, 12, 10, 5, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("untrusted_s", "expected"),
    [(0.0, PlanSource.TIMETABLE), (1.0, PlanSource.NONE), (WAIT_S - 1, PlanSource.NONE), (WAIT_S, PlanSource.FALLBACK)],
)
def test_a_plan_waits_for_a_clock_and_then_goes_on_without_one(untrusted_s: float, expected: PlanSource) -> None:
    assert source(timetable(), NOW, untrusted_s) is expected
    assert source(None, NOW, untrusted_s) is PlanSource.NONE


def test_nothing_falls_out_of_the_replayed_span_while_the_plan_waits_for_a_clock() -> None:
    assert timedelta(seconds=WAIT_S) + timedelta(seconds=30) < LATE  # 30 s: the agent's slowest look


# --- what runs together ---


def test_a_start_waits_for_a_run_that_was_to_be_over_before_it_and_for_no_other() -> None:
    minute = timedelta(minutes=1)
    under_way = replace(entry(NOW - 10 * minute, "first"), max_s=600)
    beside = replace(entry(NOW - minute, "beside"), max_s=60)
    after = entry(NOW, "after")
    found = agenda((beside, after), (), NOW, (under_way,))
    assert (found.due, found.held, found.missed) == ((beside,), (after,), ())
    late = NOW + LATE + minute
    found = agenda((after,), (), late, (under_way,))
    assert (found.held, found.missed) == ((after,), ())  # as long as the one before it waters it is not missed
    assert agenda((after,), (), late).missed == (after,)


@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(1, 40), st.integers(1, 10)), min_size=1, max_size=8),
    st.integers(1, 900),
    st.integers(0, 60),
)
@settings(max_examples=300)
def test_however_late_a_board_begins_its_flows_never_exceed_what_the_plan_had_at_once(
    plan: list[tuple[int, int, int]], off_s: int, off_at_min: int
) -> None:
    """A board is off for up to 15 minutes; afterwards every second it starts what its agenda lets it start."""
    entries = [
        replace(entry(NOW + timedelta(minutes=at), f"z{number}"), id=f"z{number}", max_s=60 * long, flow_l_min=flow)
        for number, (at, long, flow) in enumerate(plan)
    ]
    capacity = max(flow_at(one.start, [(each, each.start) for each in entries]) for one in entries)
    begun: list[tuple[Entry, datetime]] = []
    done: set[str] = set()
    now = NOW + timedelta(minutes=off_at_min, seconds=off_s)
    done |= {one.id for one in entries if one.start <= now - timedelta(seconds=off_s)}
    for _ in range(150):
        under_way = [one for one, at in begun if now < at + timedelta(seconds=one.max_s)]
        found = agenda(entries, done, now, under_way)
        assert not found.missed
        done |= {one.id for one in found.due}
        begun += [(one, now) for one in found.due]
        assert flow_at(now, begun) <= capacity
        now += timedelta(minutes=1)
    assert done == {one.id for one in entries}


def flow_at(moment: datetime, runs: list[tuple[Entry, datetime]]) -> float:
    return sum(one.flow_l_min for one, at in runs if at <= moment < at + timedelta(seconds=one.max_s))


# --- a year with its clock changes ---


@pytest.mark.parametrize("tz", ["Europe/Paris", "America/Santiago", "Australia/Lord_Howe", "Asia/Ho_Chi_Minh"])
@pytest.mark.parametrize("at", [time(0, 15), time(2, 15)], ids=["00:15", "02:15"])
def test_over_a_year_with_its_clock_changes_the_base_plan_starts_each_due_watering_once(tz: str, at: time) -> None:
    """A board alone looks every ten minutes, and starts what its agenda says; the local times are in gaps and folds."""
    first = datetime(2026, 12, 7, 0, 0, tzinfo=UTC)
    plan = timetable(valid_until=first)
    plan = replace(plan, tz=tz, base=(replace(plan.base[0], start=at),))
    started: dict[str, datetime] = {}
    now = first
    while now < first + timedelta(days=365):
        entries = waterings(plan, now, taken_at=NOW)
        found = agenda(entries, started.keys(), now)
        assert not found.missed
        started |= {one.id: one.start for one in found.due}
        asleep = min((one.start for one in found.later), default=now + AHEAD)
        now = max(now + timedelta(minutes=10), min(asleep, now + AHEAD))
    days = [name.split(":")[1] for name in started]
    assert len(days) == len(set(days))
    assert len(days) in (364, 365)
    local = [start.astimezone(ZoneInfo(tz)) for start in started.values()]
    assert [moment.strftime("%Y%m%d") for moment in local] == days
    assert sum(moment.time() != at for moment in local) <= 1  # the day of the gap: the first moment after it
