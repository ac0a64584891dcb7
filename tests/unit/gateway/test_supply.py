"""The gateway learns from its zones' runs that a source gives nothing, keeps it, and moves the turns of those who wait."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from contract.messages import Outcome, Reason
from gateway.planning.runs import Run
from gateway.planning.supply import Dry, after_dry, after_end
from irrigation.model import Farm, Household, Rota, Share, ShareUnit, Shortage, SourceTrouble, Trouble
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
