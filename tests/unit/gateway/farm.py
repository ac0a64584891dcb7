"""A small farm, and orders and reports about it."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from itertools import count
from typing import Any

from contract.messages import Close, CloseAll, Open, Origin, Quantity, Reading, RunEvent
from gateway.planning.runs import Run, from_order
from irrigation.model import Dose, Entry, Farm, Program, Source, Weekly, Zone, ZoneDose
from irrigation.run import RunState

NOW = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
EVERY_DAY = Weekly(days=(1, 2, 3, 4, 5, 6, 7))
_ids = count(1)


def zone(zone_id: str, node_id: str = "board-1", channel: str = "v1", flow: float = 40.0, **more: Any) -> Zone:
    """Return a zone of the source `tank`."""
    given: dict[str, Any] = {"source_id": "tank", "area_m2": 400.0, "max_run_s": 3600} | more
    return Zone(id=zone_id, name=zone_id, node_id=node_id, channel=channel, flow_l_min=flow, **given)


def program(program_id: str, *zones: str, minutes: float = 20, start: str = "05:30", **more: Any) -> Program:
    """Return a program of every day, made long ago."""
    parts = tuple(ZoneDose(zone_id=name, dose=Dose(minutes=minutes)) for name in zones)
    given: dict[str, Any] = {"calendar": EVERY_DAY, "since": NOW - timedelta(days=30)} | more
    return Program(id=program_id, name=program_id, starts=(time.fromisoformat(start),), zones=parts, **given)


FARM = Farm(
    id="mai",
    name="Mai",
    tz="Asia/Ho_Chi_Minh",
    lat=21.33,
    lon=103.91,
    sources=(Source(id="tank", name="Tank", capacity_l_min=100.0), Source(id="well", name="Well", capacity_l_min=30.0)),
    zones=(
        zone("beans"),
        zone("plums", channel="v2"),
        zone("tea", node_id="board-2"),
        zone("rice", node_id="board-2", channel="v2", flow=50.0, source_id="well"),
    ),
)


def farm(**changes: Any) -> Farm:
    """Return the farm with something else in it."""
    return replace(FARM, **changes)


def open_order(zone_id: str = "beans", now: datetime = NOW, minutes: float = 20, **more: Any) -> Open:
    """Return an order for water, each with ids of its own."""
    number = next(_ids)
    given: dict[str, Any] = {
        "id": f"order-{number}",
        "run_id": f"run-{number}",
        "issued_at": now,
        "expires_at": now + timedelta(seconds=90),
        "actor": "mai",
        "zone_id": zone_id,
        "dose": Dose(minutes=minutes),
    }
    return Open(**(given | more))


def close_order(run_id: str, now: datetime = NOW) -> Close:
    """Return an order to end a run."""
    until = now + timedelta(seconds=90)
    return Close(id=f"order-{next(_ids)}", issued_at=now, expires_at=until, actor="mai", run_id=run_id)


def close_all_order(now: datetime = NOW) -> CloseAll:
    """Return an order to close every valve."""
    return CloseAll(id=f"order-{next(_ids)}", issued_at=now, expires_at=now + timedelta(seconds=90), actor="mai")


def accepted(zone_id: str = "beans", now: datetime = NOW, **more: Any) -> Run:
    """Return the run of an accepted order."""
    return from_order(open_order(zone_id, now, **more), FARM.zone(zone_id), now)


def report(run: Run | Open, state: RunState, at: datetime = NOW, **more: Any) -> RunEvent:
    """Return what a board says of a run."""
    given: dict[str, Any] = {
        "seq": 1,
        "at": at,
        "run_id": run.run_id,
        "zone_id": run.zone_id,
        "channel": more.get("channel") or run.channel or FARM.zone(run.zone_id).channel,
        "state": state,
        "origin": run.origin,
        "actor": run.actor,
        "dose": run.dose,
        "max_s": run.max_s or 1200,
        "program_id": run.program_id,
    }
    return RunEvent(**(given | more))


def due_report(entry: Entry, state: RunState, at: datetime, **more: Any) -> RunEvent:
    """Return what a board says of a due watering that it carries out."""
    given: dict[str, Any] = {
        "seq": 1,
        "at": at,
        "run_id": f"run-{entry.id}",
        "zone_id": entry.zone_id,
        "channel": entry.channel,
        "state": state,
        "origin": Origin.PROGRAM,
        "actor": entry.program_id,
        "dose": entry.dose,
        "max_s": entry.max_s,
        "entry_id": entry.id,
        "program_id": entry.program_id,
    }
    return RunEvent(**(given | more))


def readings(first: int, last: int, at: datetime = NOW) -> tuple[Reading, ...]:
    """Return readings with these sequence numbers."""
    return tuple(
        Reading(seq=seq, sensor="soil-1", quantity=Quantity.SOIL_MOISTURE, value=20 + seq % 10, unit="%", at=at)
        for seq in range(first, last + 1)
    )
