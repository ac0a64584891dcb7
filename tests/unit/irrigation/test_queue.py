"""The queue: who comes when, that programs wait for the front and not for the rest, and never more than a source gives."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irrigation.dose import lease_s
from irrigation.model import (
    ActiveRun,
    Dose,
    DryDays,
    Farm,
    Knowledge,
    PlanState,
    Queued,
    QueuePlace,
    Source,
    Timetable,
    Window,
    Zone,
)
from irrigation.planner import compile_timetable
from tests.unit.irrigation.farms import LONG_AGO, active_runs, farm, farms, nows, program, source, zone
from tests.unit.irrigation.rich import rich_farms

NOW = datetime(2026, 11, 23, 5, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def item(run_id: str, zone_id: str, minutes: float = 10, *, hours: float = 6, **more: object) -> Queued:
    given: dict[str, object] = {"since": NOW, "until": NOW + timedelta(hours=hours)} | more
    return Queued(run_id=run_id, zone_id=zone_id, dose=Dose(minutes=minutes), **given)  # type: ignore[arg-type]


def plan(of: Farm, *waiting: Queued, active: tuple[ActiveRun, ...] = (), now: datetime = NOW) -> Timetable:
    return compile_timetable(of, PlanState(active=active, known=Knowledge(queue=waiting)), now, days=1, version=1)


def busy(minutes: int, zone_id: str = "a") -> ActiveRun:
    return ActiveRun(zone_id=zone_id, until=NOW + minutes * MINUTE, flow_l_min=20)


def turns(table: Timetable) -> dict[str, float | None]:
    """Return in how many minutes each may expect its turn."""
    return {one.run_id: None if one.start is None else (one.start - NOW) / MINUTE for one in table.queue or ()}


def test_with_a_free_source_its_turn_is_now() -> None:
    assert plan(farm(), item("r", "b")).queue == (
        QueuePlace(run_id="r", zone_id="b", start=NOW, until=NOW + timedelta(hours=6)),
    )


def test_one_after_the_other_after_what_runs() -> None:
    assert turns(plan(farm(), item("r", "b"), item("s", "c", 5), active=(busy(7),))) == {"r": 7, "s": 17}


def test_none_overtakes_an_earlier_one_of_its_source_however_small_it_is() -> None:
    of = farm(zones=(zone("a"), zone("b"), zone("small", flow_l_min=5)))
    assert turns(plan(of, item("r", "b"), item("s", "small"), active=(busy(7),))) == {"r": 7, "s": 7}


def test_another_source_is_another_queue() -> None:
    of = farm(zones=(zone("a"), zone("b"), zone("far", source_id="well")), sources=(source(), source("well")))
    assert turns(plan(of, item("r", "b"), item("s", "far"), active=(busy(7),))) == {"r": 7, "s": 0}


def test_the_appended_leaves_programs_where_they_are_and_the_front_moves_them() -> None:
    of = farm(program("p", ("a", 20), start="05:05"))
    at_rest, appended, front = plan(of), plan(of, item("r", "b")), plan(of, item("r", "b", front=True))
    assert appended.entries == at_rest.entries
    assert turns(appended) == {"r": 25}  # five minutes before the program are not enough
    assert turns(front) == {"r": 0}
    assert front.entries[0].start == NOW + 10 * MINUTE


def test_parts_of_a_cycle_soak_between_them_and_others_fill_the_wait() -> None:
    parts = (item("r", "a", 5), item("r2", "a", 5, after="r", soak_s=900), item("s", "b", 8))
    assert turns(plan(farm(), *parts)) == {"r": 0, "r2": 20, "s": 25}
    inside = (item("r", "a", 5), item("s", "b", 8), item("r2", "a", 5, after="r", soak_s=900))
    assert turns(plan(farm(), *inside)) == {"r": 0, "s": 5, "r2": 20}


def test_a_zone_behind_another_waits_for_its_end_and_the_pause_though_there_is_room() -> None:
    of = farm(sources=(source(capacity_l_min=100),))
    assert turns(plan(of, item("r", "a"), item("s", "b", behind="r", pause_s=120))) == {"r": 0, "s": 12}
    assert turns(plan(of, item("r", "a"), item("s", "b"))) == {"r": 0, "s": 0}


def test_what_finds_no_room_in_its_time_says_so_and_so_does_what_follows_it() -> None:
    late = item("r", "b", hours=1)
    behind = item("r2", "b", after="r", soak_s=60)
    assert turns(plan(farm(), late, behind, item("s", "c"), active=(busy(61),))) == {"r": None, "r2": None, "s": 61}


def test_allowed_hours_bind_programs_and_not_people_but_the_pumps_power_binds_both() -> None:
    of = replace(farm(), windows=(Window(begin=time(20), end=time(4)),), dry_days=DryDays(weekdays=(1,)))
    assert turns(plan(of, item("r", "b"))) == {"r": 0}
    powered = replace(of, sources=(replace(of.sources[0], power=(Window(begin=time(6), end=time(20)),)),))
    assert turns(plan(powered, item("r", "b"))) == {"r": 60}


def test_a_zone_that_wants_more_than_its_source_gives_has_no_turn() -> None:
    of = Farm(
        id="f", name="", tz="UTC", lat=0, lon=0, sources=(Source(id="tank", name="", capacity_l_min=10),),
        zones=(zone("a"),),
    )  # fmt: skip
    assert turns(plan(of, item("r", "a"))) == {"r": None}


def test_a_zone_that_is_gone_has_no_place() -> None:
    assert plan(farm(), item("r", "gone")).queue is None


@pytest.mark.parametrize("soak_s", [-1, 86_401])
def test_a_soak_must_be_within_a_day(soak_s: int) -> None:
    with pytest.raises(ValueError, match="soak_s"):
        item("r", "a", soak_s=soak_s)


# --- laws ---


@st.composite
def queues(draw: st.DrawFn, any_farm: st.SearchStrategy[Farm]) -> tuple[Farm, PlanState, datetime]:
    """Any farm with runs under way and a queue."""
    of, now = draw(any_farm), draw(nows)
    waiting = tuple(
        Queued(
            run_id=f"r{number}", zone_id=draw(st.sampled_from(of.zones)).id,
            dose=Dose(minutes=draw(st.floats(0.1, 150))), since=LONG_AGO, front=draw(st.booleans()),
            until=now + timedelta(hours=draw(st.integers(0, 6))),
            after=f"r{number - 1}" if number and draw(st.booleans()) else None, soak_s=draw(st.integers(0, 3600)),
        )
        for number in range(draw(st.integers(1, 6)))
    )  # fmt: skip
    state = PlanState(active=draw(active_runs(of, now)), known=Knowledge(queue=waiting))
    return of, state, now


def zones_of(of: Farm) -> dict[str, Zone]:
    return {each.id: each for each in of.zones}


@given(queues(farms()) | queues(rich_farms()))
@settings(max_examples=60)
def test_queue_programs_and_runs_together_never_exceed_a_source_nor_a_zone_its_caps(
    case: tuple[Farm, PlanState, datetime],
) -> None:
    of, state, now = case
    table = compile_timetable(of, state, now, days=2, version=1)
    zones, waiting = zones_of(of), {one.run_id: one for one in state.known.queue}
    spans = [(one.start, one.start + timedelta(seconds=one.max_s), one.zone_id, True) for one in table.entries]
    for place in table.queue or ():
        if place.start is not None:
            length = timedelta(seconds=lease_s(waiting[place.run_id].dose, zones[place.zone_id]))
            assert now <= place.start <= place.until
            assert length <= timedelta(seconds=zones[place.zone_id].max_run_s)
            spans.append((place.start, place.start + length, place.zone_id, True))
    spans += [(now, run.until, run.zone_id, False) for run in state.active]
    for begin, _, _, placed in spans:
        on = [zone_id for first, last, zone_id, _ in spans if first <= begin < last]
        if not placed:
            continue
        assert len(set(on)) == len(on)
        for each in of.sources:
            flow = sum(zones[zone_id].flow_l_min for zone_id in on if zones[zone_id].source_id == each.id)
            starts_here = any(
                zones[zone_id].source_id == each.id for first, _, zone_id, mine in spans if mine and first == begin
            )
            assert not starts_here or flow <= each.capacity_l_min + 1e-4


@given(queues(farms()))
@settings(max_examples=40)
def test_what_is_appended_never_moves_what_programs_want(case: tuple[Farm, PlanState, datetime]) -> None:
    of, state, now = case
    at_the_back = tuple(replace(one, front=False) for one in state.known.queue)
    table = compile_timetable(of, replace(state, known=Knowledge(queue=at_the_back)), now, days=2, version=1)
    assert table.entries == compile_timetable(of, replace(state, known=Knowledge()), now, days=2, version=1).entries
    for each in of.sources:
        begins = [
            one.start for one in table.queue or () if one.start and zones_of(of)[one.zone_id].source_id == each.id
        ]
        assert begins == sorted(begins)
