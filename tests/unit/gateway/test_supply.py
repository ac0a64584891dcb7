"""The gateway learns from its zones' runs that a source gives nothing, keeps it, and moves the turns of those who wait."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from contract.messages import Outcome, Quantity, Reading, Reason
from gateway.planning.runs import Run
from gateway.planning.supply import Dry, after_dry, after_end
from irrigation.model import Farm, Household, Rota, Rule, SensorAt, Share, ShareUnit, Shortage, SourceTrouble, Trouble
from irrigation.run import RunState
from tests.unit.gateway import farm as f
from tests.unit.gateway.office import NOW, Office

MINUTE = timedelta(minutes=1)
RAN_DRY = SourceTrouble(kind=Trouble.RAN_DRY, since=NOW)


def ended(zone_id: str, at: datetime = NOW, litres: float | None = 0.0) -> Run:
    return replace(f.accepted(zone_id), state=RunState.FAILED, ended_at=at, litres=litres, open_s=60.0)


def test_one_dry_zone_is_a_valve_and_two_are_the_source() -> None:
    first = after_end((), ended("beans"), "no-flow")
    assert after_dry(None, first, ended("beans"), "no-flow")[0] is None
    again = after_end(first, ended("beans", NOW + MINUTE), "no-flow")
    assert after_dry(None, again, ended("beans"), "no-flow")[0] is None
    other = ended("plums", NOW + 2 * MINUTE)
    assert after_dry(None, after_end(again, other, "no-flow"), other, "no-flow") == (RAN_DRY, NOW)


@pytest.mark.parametrize(
    ("run", "code", "left"),
    [
        (ended("tea", litres=3.0), None, 0),  # water came
        (ended("tea", litres=0.2), "no-flow", 2),  # that was no water
        (ended("tea", litres=None), None, 1),  # without a meter nobody knows
        (ended("tea", NOW + timedelta(hours=7)), "no-flow", 1),  # too long after
    ],
)
def test_only_water_that_a_meter_saw_lifts_the_doubt(run: Run, code: str | None, left: int) -> None:
    assert len(after_end((Dry(zone_id="beans", at=NOW),), run, code)) == left


def test_another_trouble_is_not_ended_by_flow() -> None:
    low = SourceTrouble(kind=Trouble.LOW, since=NOW)
    assert after_dry(low, (), ended("tea", litres=9.0), None)[0] == low
    assert after_dry(RAN_DRY, (), ended("tea", litres=9.0), None) == (None, NOW - MINUTE)


def by_turns() -> Farm:
    """The zones of the tank are Mai's and Lan's: from 05:00 on, an hour each, every day; the tank is planned with again
    half an hour after it ran dry."""
    whose = {"beans": "mai", "plums": "lan", "tea": "lan"}
    zones = tuple(replace(zone, household_id=whose.get(zone.id), has_meter=True) for zone in f.FARM.zones)
    shares = tuple(Share(household_id=who, amount=60) for who in ("mai", "lan"))
    rota = Rota(
        source_id="tank", unit=ShareUnit.MINUTES, anchor=datetime.fromisoformat("2026-11-23T22:00Z"), period_days=1,
        shares=shares,
    )  # fmt: skip
    return f.farm(
        zones=zones, households=tuple(Household(id=who, name=who) for who in ("mai", "lan")), rotas=(rota,),
        programs=(f.program("morning", "plums", start="06:00"),),
    )  # fmt: skip


def dry(office: Office, zone_id: str, at: datetime) -> None:
    order = f.open_order(zone_id, at)
    office.orders.handle(order, at)
    node_id = f.FARM.zone(zone_id).node_id
    office.report(
        node_id,
        f.report(order, RunState.OPEN, at),
        f.report(order, RunState.FAILED, at + MINUTE, litres=0.0, open_s=60.0, reason=Reason(code="no-flow")),
        now=at + MINUTE,
    )


def test_a_persons_order_is_not_bound_by_turns(tmp_path: Path) -> None:
    office = Office(tmp_path / "journal.sqlite3")
    office.hear("board-1")
    office.configure(by_turns())  # at 10:00 at the farm it is nobody's turn
    reply = office.orders.handle(f.open_order("beans", NOW), NOW)
    assert reply.outcome is Outcome.ACCEPTED


def test_what_a_source_lacked_is_kept_and_moves_the_turns(tmp_path: Path) -> None:
    office = Office(tmp_path / "journal.sqlite3")
    office.hear("board-1", "board-2")
    office.configure(by_turns())
    four = datetime.fromisoformat("2026-11-24T22:00Z")  # 05:00 at the farm, as Mai's turn begins
    dry(office, "beans", four)
    dry(office, "tea", four + 5 * MINUTE)
    known = office.plan.learned.known(by_turns())
    assert known.troubles == {"tank": SourceTrouble(kind=Trouble.RAN_DRY, since=four + MINUTE)}

    again = Office(tmp_path / "journal.sqlite3")  # a restart later
    again.clock_shows = four + 20 * MINUTE
    again.hear("board-1", "board-2", now=four + 20 * MINUTE)
    again.plan.compile(four + 20 * MINUTE)
    assert again.plan.timetable is not None
    assert again.plan.timetable.known is not None
    assert again.plan.timetable.known.troubles == known.troubles
    assert again.plan.timetable.entries[0].start == four + 90 * MINUTE  # Lan's turn is half an hour later

    again._seq |= office._seq  # the boards go on where they were
    order = f.open_order("beans", four + 30 * MINUTE)
    again.orders.handle(order, four + 30 * MINUTE)
    flows = f.report(order, RunState.DONE, four + 50 * MINUTE, litres=300.0, open_s=600.0)
    again.report("board-1", flows, now=four + 50 * MINUTE)
    known = again.plan.learned.known(by_turns())
    assert known.troubles == {}
    assert known.shortages == {"tank": (Shortage(start=four + MINUTE, end=four + 40 * MINUTE),)}
    again.plan.compile(four + 50 * MINUTE)
    assert again.plan.timetable is not None
    assert again.plan.timetable.entries[0].start == four + 99 * MINUTE
    assert Office(tmp_path / "journal.sqlite3").plan.learned.known(by_turns()).shortages == known.shortages


# --- levels ---


TANK = replace(
    f.FARM.sources[0], low_pct=15.0, enough_pct=30.0, recovery_min=45.0,
    level=SensorAt(node_id="board-2", sensor="tank"),
)  # fmt: skip


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    made = Office(tmp_path / "journal.sqlite3")
    made.hear("board-1", "board-2")
    yield made
    made.db.close()


def trouble(office: Office) -> SourceTrouble | None:
    return office.plan.learned.trouble("tank")


def level(pct: float, at: datetime) -> Reading:
    return Reading(seq=1, sensor="tank", quantity=Quantity.LEVEL, value=pct, unit="%", at=at)


def test_a_level_makes_the_source_low_until_it_has_risen_enough_over_a_restart(office: Office) -> None:
    program = f.program("p", "beans", start="10:10")
    office.configure(f.farm(sources=(TANK, f.FARM.sources[1]), programs=(program,)), 2)
    assert not office.measure("board-2", level(20, NOW - 2 * MINUTE))
    assert office.measure("board-2", level(14, NOW))
    assert trouble(office) == SourceTrouble(kind=Trouble.LOW, since=NOW, level_pct=14)
    office.plan.load()
    assert trouble(office) is not None
    office.plan.compile(NOW)
    assert office.plan.timetable is not None
    (entry, *_) = office.plan.timetable.entries
    assert (entry.rule, entry.start) == (Rule.SOURCE_LOW, NOW + 45 * MINUTE)
    assert office.plan.next_look(NOW) == NOW + 43 * MINUTE
    later = NOW + 43 * MINUTE
    office.clock_shows = later
    assert not office.measure("board-2", level(29, later), now=later)
    office.plan.compile(later)
    assert office.plan.timetable.entries[0].start == NOW + 90 * MINUTE  # put off in time to tell the board
    assert office.measure("board-2", level(30, later + MINUTE), now=later + MINUTE)
    office.plan.compile(later + MINUTE)
    assert trouble(office) is None
    assert office.plan.timetable.entries[0].start == later + MINUTE


def test_a_level_that_nobody_tells_any_more_is_believed_to_have_risen(office: Office) -> None:
    farm = f.farm(sources=(TANK, f.FARM.sources[1]))
    office.configure(farm, 2)
    office.measure("board-2", level(10, NOW))
    for minutes, low in ((59, True), (61, False)):
        office.clock_shows = NOW + minutes * MINUTE
        office.plan.compile(office.clock_shows)
        assert (trouble(office) is not None) is low


def test_a_level_of_before_the_pump_ran_dry_does_not_end_that(office: Office) -> None:
    office.configure(f.farm(sources=(TANK, f.FARM.sources[1])), 2)
    office.measure("board-2", level(80, NOW - MINUTE))
    for zone_id, node_id in (("beans", "board-1"), ("plums", "board-1")):
        run = f.accepted(zone_id)
        office.journal.save_run(run)
        failed = f.report(run, RunState.FAILED, litres=0.0, open_s=60.0, reason=Reason(code="no-flow"))
        office.report(node_id, failed)
    assert trouble(office) == RAN_DRY
    assert not office.plan.levelled(NOW)
    assert trouble(office) == RAN_DRY
    assert office.measure("board-2", level(80, NOW + MINUTE), now=NOW + MINUTE)
    assert trouble(office) is None
