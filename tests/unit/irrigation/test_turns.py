"""A program's zone waters in its household's turn: placed there, or skipped with the reason; shortages move the turns."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irrigation.base_due import due_base
from irrigation.dose import asked_s
from irrigation.model import (
    Farm,
    Finish,
    Household,
    IfLate,
    Knowledge,
    Loan,
    PlanState,
    Rota,
    Share,
    ShareUnit,
    Shortage,
    SourceTrouble,
    Swap,
    Timetable,
    Trouble,
    Zone,
)
from irrigation.planner import compile_timetable
from irrigation.rounds import Turn
from irrigation.turns import Turns, after_troubles, rotas_in_force, rounds_in_force
from tests.unit.irrigation.farms import NOTHING, everything, farm, nows, program, source, zone
from tests.unit.irrigation.rich import Night, length, rich_farms

ANCHOR = datetime(2026, 11, 23, 5, 0, tzinfo=UTC)  # a Monday; the farm's clock is UTC
NOW = ANCHOR - timedelta(minutes=1)


def of(household: str, name: str, **more: Any) -> Zone:
    return replace(zone(name), household_id=household, **more)


def rota(**more: Any) -> Rota:
    """Mai from 05:00 to 06:00, Lan to 08:00, Tung to 09:00, every two days."""
    given_: dict[str, Any] = {
        "source_id": "tank", "unit": ShareUnit.MINUTES, "anchor": ANCHOR, "period_days": 2,
        "shares": tuple(Share(household_id=who, amount=of_round) for who, of_round in (("mai", 60), ("lan", 120), ("tung", 60))),
    }  # fmt: skip
    return Rota(**given_ | more)


def shared(*programs: Any, rotas: tuple[Rota, ...] | None = None, **more: Any) -> Farm:
    """Zone m is Mai's, l is Lan's, t is Tung's, x is nobody's."""
    zones = of("mai", "m"), of("lan", "l"), of("tung", "t"), zone("x")
    plain = farm(*programs, zones=tuple(replace(each, household_id=None) for each in zones), **more)
    households = tuple(Household(id=who, name=who.title()) for who in ("mai", "lan", "tung", "hoa"))
    return replace(plain, zones=zones, households=households, rotas=(rota(),) if rotas is None else rotas)


def plan(on: Farm, now: datetime = NOW, days: int = 3, **state: Any) -> Timetable:
    return compile_timetable(on, PlanState(**state), now, days=days, version=1)


def told(table: Timetable) -> list[tuple[str, str, str]]:
    """Day and time of each start (or of the due time of a skip), the zone, and why."""
    everything = [(one.start, one.zone_id, one.rule) for one in table.entries]
    everything += [(one.due, one.zone_id, one.rule) for one in table.skipped]
    return [(f"{at:%a %H:%M}", zone_id, rule.value) for at, zone_id, rule in sorted(everything)]


def test_a_watering_waits_for_its_households_turn_and_says_so() -> None:
    assert told(plan(shared(program("p", ("l", 20), start="05:00")), days=1)) == [("Mon 06:00", "l", "turn-comes")]


def test_a_turn_that_does_not_come_in_time_is_a_skip_that_tells_the_next() -> None:
    table = plan(shared(program("p", ("t", 20), start="05:30")), days=2)
    assert told(table) == [("Mon 05:30", "t", "outside-turn"), ("Tue 05:30", "t", "outside-turn")]
    assert [one.params["turn"] for one in table.skipped] == ["2026-11-23T08:00:00+00:00", "2026-11-25T08:00:00+00:00"]


def test_it_waters_wholly_within_the_turn_or_not_at_all() -> None:
    fits = plan(shared(program("p", ("m", 60), start="05:00")), days=1)
    assert told(fits) == [("Mon 05:00", "m", "as-programmed")]
    assert told(plan(shared(program("p", ("m", 60), start="05:01")), days=1)) == [("Mon 05:01", "m", "outside-turn")]


@pytest.mark.parametrize("who", ["x", "h"])
def test_a_zone_whose_household_has_no_share_does_not_water(who: str) -> None:
    on = shared(program("p", (who, 20), start="05:00")) if who == "x" else None
    if on is None:
        with_hoa = shared()
        on = replace(with_hoa, zones=(*with_hoa.zones, of("hoa", "h")), programs=(program("p", ("h", 20)),))
    assert told(plan(on, days=1)) == [("Mon 05:00", who, "no-share")]


def test_other_sources_go_on_as_ever() -> None:
    on = shared(program("p", ("x", 20), start="05:00"), sources=(source(), source("well")))
    elsewhere = replace(on, zones=tuple(replace(z, source_id="well") if z.id == "x" else z for z in on.zones))
    assert told(plan(elsewhere, days=1)) == [("Mon 05:00", "x", "as-programmed")]


def test_before_the_first_rota_begins_the_source_is_everybodys() -> None:
    on = shared(program("p", ("m", 20), ("x", 20), start="05:00"), rotas=(rota(anchor=ANCHOR + timedelta(days=1)),))
    assert told(plan(on, days=1)) == [
        ("Mon 05:00", "m", "as-programmed"), ("Mon 05:20", "x", "as-programmed"),
    ]  # fmt: skip
    assert ("Tue 05:00", "x", "no-share") in told(plan(on, days=2))


def test_a_rota_holds_until_the_next_one_begins_and_cuts_its_turn_short() -> None:
    turned = tuple(Share(household_id=who, amount=60) for who in ("tung", "mai"))
    then = rota(anchor=ANCHOR + timedelta(hours=2), period_days=1, shares=turned)
    on = shared(program("p", ("l", 40), ("t", 20), start="06:00"), program("q", ("l", 30), start="07:00"))
    assert told(plan(replace(on, rotas=(then, rota())), days=1)) == [
        ("Mon 06:00", "l", "as-programmed"), ("Mon 07:00", "l", "outside-turn"), ("Mon 07:00", "t", "turn-comes"),
    ]  # fmt: skip
    begun = list(rounds_in_force((rota(), then), source(), "UTC", ANCHOR + timedelta(days=1)))
    turns = [turn for _, one in begun for turn in one.turns]
    assert [(turn.household_id, turn.whole) for turn in turns] == [
        ("mai", True), ("lan", False), ("tung", True), ("mai", True),
    ]  # fmt: skip
    assert turns[1].spans[-1][1] == then.anchor


def test_a_swap_and_a_loan_move_the_water_of_programs() -> None:
    on = shared(program("p", ("m", 60), start="06:00"), program("q", ("l", 60), start="05:00"))
    assert told(plan(on, days=1)) == [("Mon 06:00", "l", "turn-comes"), ("Mon 06:00", "m", "outside-turn")]
    swap = Swap(id="s", round=0, household_a="mai", household_b="lan", agreed=("mai", "lan"))
    swapped = replace(on, rotas=(rota(swaps=(swap,)),))
    assert told(plan(swapped, days=1)) == [("Mon 05:00", "l", "as-programmed"), ("Mon 07:00", "m", "turn-comes")]
    loan = Loan(id="l", round=0, lender="lan", borrower="mai", amount=60, agreed=("mai", "lan"))
    lent = replace(on, rotas=(rota(loans=(loan,)),))
    assert told(plan(lent, days=1)) == [("Mon 06:00", "m", "as-programmed"), ("Mon 07:00", "l", "turn-comes")]


def test_a_shortage_that_is_over_has_moved_the_turns() -> None:
    on = shared(program("p", ("l", 20), start="06:00"))
    out: dict[str, tuple[Shortage, ...]] = {"tank": (Shortage(start=ANCHOR, end=ANCHOR + timedelta(hours=1)),)}
    assert told(plan(on, days=1, known=Knowledge(shortages=out))) == [("Mon 07:00", "l", "turn-comes")]
    told_by_people = replace(on, rotas=(rota(shortages=out["tank"]),))
    assert told(plan(told_by_people, days=1)) == [("Mon 07:00", "l", "turn-comes")]


def test_a_trouble_that_lasts_moves_the_turns_for_as_long_as_the_plan_gives_it() -> None:
    on = shared(program("p", ("l", 20), start="06:00"))  # a trouble is looked at again every 30 minutes
    trouble = {"tank": SourceTrouble(kind=Trouble.LOW, since=ANCHOR)}
    later = ANCHOR + timedelta(minutes=45)
    assert told(plan(on, later, days=1, known=Knowledge(troubles=trouble)))[0] == ("Mon 07:00", "l", "turn-comes")
    assert told(plan(on, days=1))[0] == ("Mon 06:00", "l", "as-programmed")


def test_an_outage_without_an_end_leaves_no_turn_to_water_in() -> None:
    on = shared(program("p", ("l", 20), start="06:00"), rotas=(rota(shortages=(Shortage(start=ANCHOR),)),))
    table = plan(on, days=1)
    assert told(table) == [("Mon 06:00", "l", "outside-turn")]
    assert "turn" not in table.skipped[0].params


def test_a_trouble_that_has_ended_becomes_a_shortage_of_sources_with_turns() -> None:
    on = shared(sources=(source(), source("well")))
    since = {
        "tank": SourceTrouble(kind=Trouble.LOW, since=ANCHOR),
        "well": SourceTrouble(kind=Trouble.LOW, since=ANCHOR),
    }
    known, now = Knowledge(troubles=since), ANCHOR + timedelta(minutes=40)
    assert after_troubles(known, {}, on, now) == {"tank": (Shortage(start=ANCHOR, end=now),)}
    assert after_troubles(known, since, on, now) == {}
    worse = {"tank": SourceTrouble(kind=Trouble.RAN_DRY, since=now)}
    assert after_troubles(known, worse, on, now) == {"tank": (Shortage(start=ANCHOR, end=now),)}


def test_alone_a_board_waters_on_the_dates_only_on_which_its_start_is_in_the_turn() -> None:
    table = plan(shared(program("p", ("m", 60), start="05:00"), program("q", ("x", 20), start="09:00")), days=1)
    entries = due_base(table.base, ZoneInfo("UTC"), NOW, NOW + timedelta(days=6))
    assert [f"{one.start:%a %H:%M} {one.zone_id}" for one in entries] == ["Mon 05:00 m", "Wed 05:00 m", "Fri 05:00 m"]


def test_a_program_that_is_to_be_finished_begins_in_its_turn() -> None:
    to_end = replace(program("p", ("m", 30), start="06:30"), finish=Finish(if_late=IfLate.EARLIER))
    assert told(plan(shared(to_end), days=1)) == [("Mon 05:30", "m", "started-earlier")]


@pytest.mark.parametrize(
    ("broken", "sentence"),
    [
        (lambda on: replace(on, households=on.households[1:]), "household_id 'mai' is none of this farm's households"),
        (lambda on: replace(on, rotas=(rota(source_id="sea"),)), "source_id 'sea' is none of this farm's sources"),
        (lambda on: replace(on, rotas=(rota(), rota())), "must begin at different times"),
        (
            lambda on: replace(on, zones=(), households=on.households[:1]),
            "rota of tank: household_id 'lan' is none of this farm's households",
        ),
        (lambda on: replace(on, households=(*on.households, on.households[0])), "farm.households must have different"),
    ],
)
def test_what_does_not_fit_together_says_why(broken: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        broken(shared())


# --- laws -----------------------------------------------------------------------------------------------------------

WHO = ("mai", "lan", "tung")


@st.composite
def by_turns(draw: st.DrawFn, now: datetime) -> tuple[Farm, Knowledge]:
    """Any farm of any programs whose one source is shared by turns, and what its source has lacked."""
    on = draw(rich_farms())
    begins = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=draw(st.integers(-30, 200)))
    sizes = draw(st.lists(st.integers(30, 900), min_size=3, max_size=3))
    zones = tuple(replace(each, household_id=draw(st.sampled_from((*WHO, None)))) for each in on.zones)
    hours = [now + timedelta(hours=at) for at in sorted(draw(st.lists(st.integers(-150, 60), max_size=4, unique=True)))]
    lacked = tuple(
        Shortage(start=first, end=last, flow_share=draw(st.sampled_from((0.0, 0.5))))
        for first, last in zip(hours[::2], hours[1::2], strict=False)
    )
    first = rota(
        source_id="s0", anchor=begins, period_days=draw(st.integers(1, 4)), unit=draw(st.sampled_from(ShareUnit)),
        shares=tuple(Share(household_id=who, amount=size) for who, size in zip(WHO, sizes, strict=True)),
    )  # fmt: skip
    rotas = (first, replace(first, anchor=begins + timedelta(hours=100), shares=first.shares[::-1]))
    households = tuple(Household(id=who, name="") for who in WHO)
    on = replace(on, zones=zones, households=households, rotas=rotas[: draw(st.integers(1, 2))])
    return on, Knowledge(shortages={"s0": lacked} if lacked else {})


def turns_of(on: Farm, known: Knowledge, now: datetime) -> list[Turn]:
    rotas = rotas_in_force(on, "s0", known, now)
    until = now + timedelta(days=20)
    return [turn for _, one in rounds_in_force(rotas, on.sources[0], on.tz, until) for turn in one.turns]


@given(st.data(), nows)
@settings(max_examples=60)
def test_nobody_waters_in_anothers_turn(data: st.DataObject, now: datetime) -> None:
    on, known = data.draw(by_turns(now))
    whose = {each.id: each.household_id for each in on.zones}
    turns = turns_of(on, known, now)
    spans = sorted(span for turn in turns for span in turn.spans)
    assert all(one[1] <= other[0] for one, other in pairwise(spans))
    table = compile_timetable(on, PlanState(known=known), now, days=4, version=1)
    alone = due_base(table.base, ZoneInfo(on.tz), table.valid_until, table.valid_until + timedelta(days=5))
    first, own = on.rotas[0].anchor, Turns(on, known, now, now + timedelta(days=20))
    for entry in (*table.entries, *alone):
        begin, end = entry.start, entry.start + length(on, entry)
        others = [turn for turn in turns if turn.household_id != whose[entry.zone_id]]
        assert not any(begin < stop and start < end for turn in others for start, stop in turn.spans), entry
        assert end <= first or own.hold(on.zone(entry.zone_id), begin, end), entry


@given(st.data(), nows)
@settings(max_examples=60)
def test_a_rota_never_adds_water(data: st.DataObject, now: datetime) -> None:
    on, known = data.draw(by_turns(now))
    programs = tuple(replace(each, adjust=None, finish=None) for each in on.programs)
    ample = replace(on.sources[0], capacity_l_min=10_000, power=())
    zones = tuple(replace(each, exclusive=False) for each in on.zones)
    alone = replace(on, programs=programs, zones=zones, groups=(), sources=(ample,))
    free = compile_timetable(replace(alone, rotas=()), NOTHING, now, days=4, version=1)
    bound = compile_timetable(alone, PlanState(known=known), now, days=4, version=1)
    programmed = {(p.id, part.zone_id): part.dose for p in programs for part in p.zones}
    due = {one.id for one in everything(free)}
    assert {entry.id for entry in bound.entries} <= due
    for entry in bound.entries:  # none gets more than its program says, however the turns lie
        zone_of = on.zone(entry.zone_id)
        assert asked_s(entry.dose, zone_of) <= asked_s(programmed[entry.program_id, entry.zone_id], zone_of)
    assert len(bound.entries) + len(bound.skipped) == len(due)


@pytest.mark.timeout(300)
@given(st.data(), nows)
@settings(max_examples=15)
def test_what_is_previewed_is_what_runs_in_turns_too(data: st.DataObject, now: datetime) -> None:
    on, known = data.draw(by_turns(now))
    preview = compile_timetable(on, PlanState(known=known), now, days=12, version=1)
    night = Night(on, preview, known)
    near = [entry.start + length(on, entry) for entry in preview.entries]
    extra = data.draw(st.lists(st.sampled_from(near), max_size=4)) if near else []
    end = now + timedelta(days=12)
    for moment in sorted({*(now + timedelta(days=day) for day in range(1, 12, 3)), *(at for at in extra if at < end)}):
        night.until(moment)
        night.compile(moment, days=max(0, 13 - (moment - now).days))
    night.until(end + timedelta(seconds=1))
    whole = {one.id: (one.start, one.max_s) for one in preview.entries if one.start <= end and one.due <= end}
    assert {i: (e.start, e.max_s) for i, e in night.ran.items() if e.start <= end and e.due <= end} == whole
