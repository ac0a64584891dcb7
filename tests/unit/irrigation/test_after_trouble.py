"""The rest of a watering that trouble cut short: how much it is, where it finds a place, and that it is one."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irrigation.after_trouble import LEAST_S, shortfall
from irrigation.making_up import newest
from irrigation.model import (
    ActiveRun,
    AfterTrouble,
    Dose,
    DryDays,
    Entry,
    Farm,
    Hold,
    Knowledge,
    MakeUp,
    PlanState,
    Program,
    Rule,
    Timetable,
    Window,
)
from irrigation.planner import compile_timetable
from tests.unit.irrigation.farms import NOTHING, assert_zones_have_one_at_a_time, farm, farms, nows, program, zone
from tests.unit.irrigation.rich import length, rich_farms

MIDNIGHT = datetime(2026, 11, 23, tzinfo=UTC)  # a Monday
A_AT_5 = "p:20261123:0500:a"


def at(clock: str, day: int = 23) -> datetime:
    return datetime.fromisoformat(f"2026-11-{day}T{clock}+00:00")


def rest(
    of: str = A_AT_5, zone_id: str = "a", *, minutes: float = 12, cut: datetime | None = None, h: float = 2
) -> MakeUp:
    cut = cut or at("05:08")
    return MakeUp(
        of=of, program_id="p", zone_id=zone_id, dose=Dose(minutes=minutes), cut=cut, since=cut,
        until=cut + timedelta(hours=h), params={"why": "restarted"},
    )  # fmt: skip


def after(of: Farm, *rests: MakeUp, now: str = "05:08", settled: tuple[str, ...] = (A_AT_5,)) -> Timetable:
    """Compile after the 05:00 of zone a was cut short."""
    state = PlanState(
        settled=frozenset(settled), ended={A_AT_5: at("05:08")}, known=Knowledge(make_ups=rests or (rest(),))
    )
    return compile_timetable(of, state, at(now), days=2, version=1)


def made(table: Timetable) -> list[Entry]:
    return [entry for entry in table.entries if entry.rule is Rule.MADE_UP]


def why_not(table: Timetable) -> list[tuple[str, Rule, datetime]]:
    return [(skip.id, skip.rule, skip.due) for skip in table.skipped if skip.id.endswith(".r")]


# --- how much ---


@pytest.mark.parametrize(
    ("dose", "open_s", "litres", "left"),
    [
        (Dose(minutes=20), 480.0, None, Dose(minutes=12)),
        (Dose(minutes=20), 480.0, 170.0, Dose(minutes=12)),  # minutes stay minutes, whatever the meter says
        (Dose(litres=400), 480.0, 150.0, Dose(litres=250)),
        (Dose(litres=400), 480.0, None, Dose(litres=240)),  # without a meter by time: 8 of 20 minutes
        (Dose(litres=400, max_minutes=25), 480.0, 150.0, Dose(litres=250, max_minutes=17)),
        (Dose(until_moisture_pct=36, max_minutes=20), 480.0, None, Dose(until_moisture_pct=36, max_minutes=12)),
        (Dose(minutes=20), 0.0, None, Dose(minutes=20)),
        (Dose(minutes=20), 1090.0, None, None),  # less than two minutes
        (Dose(litres=400), 60.0, 410.0, None),
        (Dose(minutes=1), 0.0, None, Dose(minutes=1)),  # a short one that had nothing is short, not useless
    ],
)
def test_what_is_short_is_what_was_not_given(
    dose: Dose, open_s: float, litres: float | None, left: Dose | None
) -> None:
    found = shortfall(dose, zone("a", has_meter=True), open_s=open_s, litres=litres)
    assert found == left or (found is not None and left is not None and _near(found, left))


def _near(one: Dose, other: Dose) -> bool:
    pairs = ((one.minutes, other.minutes), (one.litres, other.litres), (one.max_minutes, other.max_minutes))
    return all(a == pytest.approx(b) for a, b in pairs) and one.until_moisture_pct == other.until_moisture_pct


@given(st.floats(0.5, 600), st.floats(0, 40_000), st.none() | st.floats(0, 20_000), st.booleans())
def test_what_was_given_and_the_rest_are_never_more_than_the_whole(
    minutes: float, open_s: float, litres: float | None, in_litres: bool
) -> None:
    of = zone("a", has_meter=True)
    dose = Dose(litres=minutes * of.flow_l_min) if in_litres else Dose(minutes=minutes)
    left = shortfall(dose, of, open_s=open_s, litres=litres)
    if left is None:
        return
    if dose.litres is not None and left.litres is not None:
        given_l = open_s / 60 * of.flow_l_min if litres is None else litres
        assert given_l + left.litres <= dose.litres + of.flow_l_min / 60  # a second of rounding
    elif dose.minutes is not None and left.minutes is not None:
        assert open_s / 60 + left.minutes <= dose.minutes + 1 / 60
        assert left.minutes * 60 >= min(LEAST_S, dose.minutes * 60) - 1


# --- where ---


def test_the_rest_comes_when_the_source_is_free_and_moves_nothing_that_is_programmed() -> None:
    of = farm(program("p", ("a", 20), ("b", 10)), program("q", ("c", 10), start="05:20"))
    without = after(of, rest("other", "a"), settled=(A_AT_5, "other.r"))
    found = after(of)
    assert [entry for entry in found.entries if entry.rule is not Rule.MADE_UP] == list(without.entries)
    (entry,) = made(found)  # b waters until 05:18, c from 05:20 to 05:30: twelve minutes find room after that
    assert (entry.id, entry.due, entry.start, entry.max_s) == (f"{A_AT_5}.r", at("05:08"), at("05:30"), 720)
    assert (entry.program_id, entry.dose, entry.params) == ("p", Dose(minutes=12), {"why": "restarted"})


def test_it_is_placed_once_and_not_when_it_has_begun_or_is_settled() -> None:
    of = farm(program("p", ("a", 20)))
    assert made(after(of, settled=(A_AT_5, f"{A_AT_5}.r"))) == []
    run = ActiveRun(zone_id="a", until=at("05:25"), flow_l_min=20, entry_id=f"{A_AT_5}.r")
    state = PlanState(active=(run,), settled=frozenset({A_AT_5}), known=Knowledge(make_ups=(rest(),)))
    assert made(compile_timetable(of, state, at("05:15"), days=1, version=1)) == []


def test_a_rest_that_finds_no_room_in_its_time_says_so_when_that_is_over() -> None:
    of = farm(program("p", ("a", 20)), program("q", ("b", 60), ("c", 60), start="05:10"))
    assert why_not(after(of)) == [(f"{A_AT_5}.r", Rule.NOT_MADE_UP, at("07:08"))]
    late = after(of, now="07:09")
    assert why_not(late) == [(f"{A_AT_5}.r", Rule.NOT_MADE_UP, at("07:08"))]


def test_it_keeps_to_the_programs_hours_and_waits_for_those_of_the_next_night_if_it_may() -> None:
    night = (Window(begin=time(20), end=time(5, 15)),)
    of = farm(replace(program("p", ("a", 20), start="04:50"), windows=night))
    resumed, topped_up = after(of, rest()), after(of, rest(h=24))
    assert why_not(resumed) == [(f"{A_AT_5}.r", Rule.NOT_MADE_UP, at("07:08"))]
    assert [entry.start for entry in made(topped_up)] == [at("20:00")]


def test_a_day_without_water_is_left_out() -> None:
    late = rest(cut=at("23:55"), h=24)
    of = farm(program("p", ("a", 20)))
    assert [one.start for one in made(after(of, late, now="23:55"))] == [at("23:55")]
    dry = replace(of, dry_days=DryDays(dates=(date(2026, 11, 23),)))
    assert [one.start for one in made(after(dry, late, now="23:55"))] == [at("00:00", 24)]


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"hold": Hold(until=at("09:00"))}, Rule.HOLD),
        ({"hold": Hold(until=at("01:00"), emergency=True)}, Rule.HOLD),
        ({"skips": (f"{A_AT_5}.r",)}, Rule.SKIPPED_BY_PERSON),
        ({"programs": (program("p", ("a", 20), enabled=False),)}, Rule.NOT_MADE_UP),
        ({"programs": (program("p", ("b", 20)),)}, Rule.NOT_MADE_UP),
        ({"programs": (program("p", ("a", 20), since=at("05:08:01")),)}, Rule.NOT_MADE_UP),
    ],
)
def test_what_people_do_not_want_any_more_is_not_made_up(changes: dict[str, object], rule: Rule) -> None:
    found = after(replace(farm(program("p", ("a", 20))), **changes))  # type: ignore[arg-type]
    assert not made(found)
    assert why_not(found) == [(f"{A_AT_5}.r", rule, at("05:08"))]


def test_of_a_program_that_is_gone_there_is_nothing_to_say() -> None:
    found = after(farm(program("q", ("a", 20))))
    assert (made(found), why_not(found)) == ([], [])


def test_the_rest_of_a_rest_is_refused() -> None:
    with pytest.raises(ValueError, match="not itself a make-up"):
        rest(f"{A_AT_5}.r")


def test_of_many_that_were_missed_in_days_one_waits_for_each_zone() -> None:
    waiting: tuple[MakeUp, ...] = ()
    dropped: list[str] = []
    for day in range(23, 29):
        for zone_id in ("a", "b"):
            new = rest(f"p:202611{day}:0500:{zone_id}", zone_id, cut=at("05:00", day))
            waiting, gone = newest(waiting, new)
            dropped += [one.of for one in gone]
    assert [one.of for one in waiting] == ["p:20261128:0500:a", "p:20261128:0500:b"]
    assert len(dropped) == 10


# --- laws ---


def _id(entry: Entry) -> str:
    return entry.id


@st.composite
def cut_short(draw: st.DrawFn, any_farm: st.SearchStrategy[Farm]) -> tuple[Farm, PlanState, datetime]:
    """Any farm at a moment at which some of what it had planned has just been cut short."""
    of, now = draw(any_farm), draw(nows)
    entries = compile_timetable(of, NOTHING, now, days=2, version=1).entries
    picked = draw(st.lists(st.sampled_from(entries), min_size=1, max_size=4, unique_by=_id)) if entries else []
    when = max((entry.start for entry in picked), default=now) + timedelta(seconds=30)
    begun = [entry for entry in entries if entry.start < when]
    rests: tuple[MakeUp, ...] = ()
    for entry in picked:
        new = MakeUp(
            of=entry.id, program_id=entry.program_id, zone_id=entry.zone_id, dose=entry.dose, cut=when, since=when,
            until=when + timedelta(hours=draw(st.sampled_from((2, 24)))),
        )  # fmt: skip
        rests, _ = newest(rests, new)
    state = PlanState(
        active=tuple(
            ActiveRun(
                zone_id=one.zone_id, until=one.start + length(of, one), flow_l_min=one.flow_l_min, entry_id=one.id
            )
            for one in begun
            if one not in picked and one.start + length(of, one) > when
        ),
        settled=frozenset(one.id for one in begun),
        ended={one.id: when for one in picked},
        known=Knowledge(make_ups=rests),
    )
    return of, state, when


@given(cut_short(rich_farms()))
@settings(max_examples=40)
def test_rests_never_exceed_a_source_a_group_or_a_cap_and_move_nothing(case: tuple[Farm, PlanState, datetime]) -> None:
    of, state, now = case
    plain = compile_timetable(of, replace(state, known=Knowledge()), now, days=3, version=1)
    table = compile_timetable(of, state, now, days=3, version=1)
    assert [entry for entry in table.entries if entry.rule is not Rule.MADE_UP] == list(plain.entries)
    ids = [one.id for one in made(table)] + [id_ for id_, _, _ in why_not(table)]
    assert len(ids) == len(set(ids)) <= len(state.known.make_ups)
    zones = {each.id: each for each in of.zones}
    assert_zones_have_one_at_a_time(table.entries, state.active)
    for one in made(table):
        assert one.max_s <= zones[one.zone_id].max_run_s
        assert one.start >= now
        active = [run for run in state.active if one.start < run.until]
        on = [entry for entry in table.entries if entry.start <= one.start < entry.start + length(of, entry)]
        flow = sum(entry.flow_l_min for entry in on) + sum(run.flow_l_min for run in active)
        assert flow <= of.sources[0].capacity_l_min + 1e-6


@given(cut_short(farms()), st.integers(1, 90))
@settings(max_examples=40)
def test_compiled_again_a_rest_that_did_not_begin_keeps_its_place(
    case: tuple[Farm, PlanState, datetime], minutes: int
) -> None:
    of, state, now = case
    first = {one.id: one.start for one in made(compile_timetable(of, state, now, days=3, version=1))}
    later = min([now + timedelta(minutes=minutes), *first.values()])
    begun = [one for one in compile_timetable(of, state, now, days=3, version=1).entries if one.start < later]
    runs = tuple(
        ActiveRun(zone_id=one.zone_id, until=one.start + length(of, one), flow_l_min=one.flow_l_min, entry_id=one.id)
        for one in begun
    )
    again = replace(
        state,
        active=tuple(run for run in (*state.active, *runs) if run.until > later),
        settled=state.settled | {one.id for one in begun},
        ended=state.ended
        | {run.entry_id: run.until for run in (*state.active, *runs) if run.entry_id and run.until <= later},
    )
    second = {one.id: one.start for one in made(compile_timetable(of, again, later, days=3, version=1))}
    assert {id_: start for id_, start in first.items() if id_ not in again.settled} == second


def test_a_program_says_its_policy_and_skips_unless_it_does() -> None:
    plain = program("p", ("a", 20))
    assert plain.after_trouble is AfterTrouble.SKIP
    assert isinstance(replace(plain, after_trouble=AfterTrouble.RESUME), Program)
