"""A program run by hand gives what one of its firings would give today."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings

from irrigation.by_hand import HandPart, expected, parts_now
from irrigation.model import (
    ActiveRun,
    Adjust,
    CycleSoak,
    Dose,
    Farm,
    Knowledge,
    Moisture,
    Order,
    PlanState,
    Program,
    Queued,
    QueuePolicy,
    ZoneDose,
)
from irrigation.occurrence import Firing, Sequencer
from tests.unit.irrigation.farms import farm, nows, program
from tests.unit.irrigation.rich import rich_farms

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


def parts(one: Program, known: Knowledge | None = None, of: Farm | None = None) -> tuple[HandPart, ...]:
    return parts_now(of or farm(one), one, known or Knowledge(), NOW)


def test_zones_come_one_after_the_other_with_the_pause() -> None:
    one = replace(program("p", ("a", 20), ("b", 10)), pause_s=45)
    assert parts(one) == (
        HandPart("a", Dose(minutes=20)),
        HandPart("b", Dose(minutes=10), behind=0, pause_s=45),
    )


def test_together_they_wait_for_nobody_and_an_overlap_is_no_pause() -> None:
    one = program("p", ("a", 20), ("b", 10))
    assert [part.behind for part in parts(replace(one, order=Order.TOGETHER))] == [None, None]
    assert [part.pause_s for part in parts(replace(one, pause_s=-60))] == [0, 0]


def test_cycles_soak_and_others_fill_the_wait() -> None:
    soaked = ZoneDose(zone_id="a", dose=Dose(minutes=20), cycle=CycleSoak(on_minutes=10, soak_minutes=15))
    one = replace(program("p", ("a", 1)), zones=(soaked, ZoneDose(zone_id="b", dose=Dose(minutes=12))))
    assert parts(one) == (
        HandPart("a", Dose(minutes=10)),
        HandPart("b", Dose(minutes=12), behind=0),
        HandPart("a", Dose(minutes=10), after=0, soak_s=900, behind=1),
    )


def test_todays_share_is_given_and_what_it_makes_too_little_is_left_out() -> None:
    one = replace(program("p", ("a", 20), ("b", 3)), adjust=Adjust(pct=50, least_minutes=2))
    assert [(part.zone_id, part.dose.minutes) for part in parts(one)] == [("a", 10.0)]
    assert parts(replace(one, adjust=Adjust(pct=0))) == ()


def test_until_moisture_and_depth_stay_what_a_board_can_count() -> None:
    wet = ZoneDose(zone_id="a", dose=Dose(until_moisture_pct=36, max_minutes=30))
    deep = ZoneDose(zone_id="b", dose=Dose(depth_mm=1.8))
    one = replace(program("p", ("a", 1)), zones=(wet, deep))
    assert [part.dose for part in parts(one)] == [wet.dose, Dose(litres=200)]


def test_the_driest_comes_first_if_the_program_says_so() -> None:
    known = Knowledge(moistures={"b": Moisture(pct=20, at=NOW - timedelta(hours=1))})
    one = replace(program("p", ("a", 20), ("b", 10)), order=Order.DRIEST_FIRST)
    assert [part.zone_id for part in parts(one, known)] == ["b", "a"]


def test_a_time_without_a_zone_is_refused() -> None:
    one = program("p", ("a", 20))
    with pytest.raises(ValueError, match="time zone"):
        parts_now(farm(one), one, Knowledge(), NOW.replace(tzinfo=None))


def in_minutes(
    policy: QueuePolicy, one: Program, *waiting: Queued, active: tuple[ActiveRun, ...] = ()
) -> list[int | None]:
    """Return in how many minutes each part of the program may expect its turn."""
    state = PlanState(active=active, known=Knowledge(queue=waiting))
    starts = expected(farm(), state, parts(one), policy, NOW)
    return [None if at is None else (at - NOW) // timedelta(minutes=1) for at in starts]


def test_the_expected_starts_are_those_of_the_queue_by_its_policy() -> None:
    one = replace(program("p", ("a", 20), ("b", 10)), pause_s=60)
    busy = ActiveRun(zone_id="c", until=NOW + timedelta(minutes=7), flow_l_min=20)
    waits = Queued(run_id="w", zone_id="c", dose=Dose(minutes=30), since=NOW, until=NOW + timedelta(hours=6))
    assert in_minutes(QueuePolicy.APPEND, one) == [0, 21]
    assert in_minutes(QueuePolicy.APPEND, one, waits, active=(busy,)) == [37, 58]
    assert in_minutes(QueuePolicy.FRONT, one, waits, active=(busy,)) == [7, 28]
    assert in_minutes(QueuePolicy.FRONT, one, replace(waits, front=True), active=(busy,)) == [7, 28]
    assert in_minutes(QueuePolicy.REPLACE, one, waits, active=(busy,)) == [0, 21]


def test_what_finds_no_room_in_its_six_hours_has_no_expected_start() -> None:
    busy = ActiveRun(zone_id="c", until=NOW + timedelta(hours=7), flow_l_min=20)
    assert in_minutes(QueuePolicy.APPEND, program("p", ("a", 20), ("b", 10)), active=(busy,)) == [None, None]


@given(rich_farms(), nows)
@settings(max_examples=60)
def test_it_gives_what_a_firing_gives_and_links_only_backwards(of: Farm, now: datetime) -> None:
    for one in of.programs:
        found = parts_now(of, one, Knowledge(), now)
        day = now.astimezone(ZoneInfo(of.tz)).date()
        pieces, _ = Sequencer(of).pieces(Firing(one, day, "x", now))
        assert [(part.zone_id, part.dose) for part in found] == [(piece.zone.id, piece.dose) for piece in pieces]
        for place, part in enumerate(found):
            assert all(link is None or link < place for link in (part.after, part.behind))
            if part.after is not None:
                assert found[part.after].zone_id == part.zone_id
