"""Farms, their sources, zones, nodes and programs in the ledger."""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Connection, Row, Table, delete, insert, select, update

from irrigation.model import Forecast, Hold, Source, Zone
from server import rules
from server.ledger import accounts, rotas
from server.ledger.database import upsert
from server.ledger.tables import farms, nodes, programs, skips, sources, zones
from server.records import FarmRecord, HouseRules, ProgramRecord

_SOURCE: TypeAdapter[Source] = TypeAdapter(Source)
_ZONE: TypeAdapter[Zone] = TypeAdapter(Zone)
_HOLD: TypeAdapter[Hold] = TypeAdapter(Hold)
_FORECAST: TypeAdapter[Forecast] = TypeAdapter(Forecast)


def ids(connection: Connection) -> tuple[str, ...]:
    """All farms."""
    return tuple(connection.execute(select(farms.c.id).order_by(farms.c.id)).scalars())


def get(connection: Connection, farm_id: str) -> FarmRecord | None:
    """A farm with all that people have set up for it."""
    row = connection.execute(select(farms).where(farms.c.id == farm_id)).first()
    if row is None:
        return None

    def bodies(table: Any) -> list[Any]:
        rows = connection.execute(select(table.c.body).where(table.c.farm_id == farm_id).order_by(table.c.place))
        return list(rows.scalars())

    named = connection.execute(select(nodes).where(nodes.c.farm_id == farm_id).order_by(nodes.c.id))
    planned = connection.execute(select(programs).where(programs.c.farm_id == farm_id).order_by(programs.c.id))
    skipped = connection.execute(select(skips.c.entry_id).where(skips.c.farm_id == farm_id).order_by(skips.c.due))
    house = rules.house_from_body(row.rules or {})
    return FarmRecord(
        id=row.id, name=row.name, cooperative=row.cooperative, tz=row.tz, lat=row.lat, lon=row.lon,
        help_phone=row.help_phone, version=row.version, report_every_s=row.report_every_s,
        sources=tuple(_SOURCE.validate_python(body, strict=False) for body in bodies(sources)),
        zones=tuple(_ZONE.validate_python(body, strict=False) for body in bodies(zones)),
        node_names={node.id: node.name for node in named},
        programs=tuple(_program(record) for record in planned),
        hold=None if row.hold is None else _HOLD.validate_python(row.hold, strict=False),
        skips=tuple(skipped.scalars()), groups=house.groups, windows=house.windows, dry_days=house.dry_days,
        households=rotas.households_of(connection, farm_id), rotas=rotas.of_farm(connection, farm_id),
        conditions=house.conditions,
        forecast=None if row.forecast is None else _FORECAST.validate_python(row.forecast, strict=False),
    )  # fmt: skip


def put_site(
    tx: Connection,
    site: dict[str, Any],
    farm_sources: Iterable[Source],
    farm_zones: Iterable[Zone],
    node_names: dict[str, str],
) -> None:
    """Add a farm or change its site: everything but its programs, hold, forecast and skips. Its version rises."""
    known = tx.execute(select(farms).where(farms.c.id == site["id"])).first()
    kept = {name: None if known is None else getattr(known, name) for name in ("hold", "rules", "forecast")}
    upsert(tx, farms, site | kept | {"version": 1 if known is None else known.version + 1})
    for table in (sources, zones, nodes):
        tx.execute(delete(table).where(table.c.farm_id == site["id"]))
    of_table: list[tuple[Table, Iterable[Source | Zone]]] = [(sources, farm_sources), (zones, farm_zones)]
    for table, things in of_table:
        rows = [
            {"farm_id": site["id"], "id": thing.id, "place": place, "body": asdict(thing)}
            for place, thing in enumerate(things)
        ]
        if rows:
            tx.execute(insert(table), rows)
    if node_names:
        rows = [{"farm_id": site["id"], "id": node, "name": name} for node, name in node_names.items()]
        tx.execute(insert(nodes), rows)


def set_rules(tx: Connection, farm_id: str, house: HouseRules) -> None:
    """Keep what binds every program of the farm."""
    tx.execute(update(farms).where(farms.c.id == farm_id).values(rules=rules.house_body(house)))


def put_zone(tx: Connection, farm_id: str, zone: Zone) -> None:
    """Change a zone that is there."""
    tx.execute(update(zones).where(zones.c.farm_id == farm_id, zones.c.id == zone.id).values(body=asdict(zone)))


def zone_owner(connection: Connection, zone_id: str) -> str | None:
    """The farm that has this zone."""
    return connection.execute(select(zones.c.farm_id).where(zones.c.id == zone_id)).scalar()


def program_owner(connection: Connection, program_id: str) -> str | None:
    """The farm that has this program."""
    return connection.execute(select(programs.c.farm_id).where(programs.c.id == program_id)).scalar()


def put_program(tx: Connection, record: ProgramRecord) -> None:
    """Add a program or change one."""
    upsert(tx, programs, {
        "id": record.id, "farm_id": record.farm_id, "name": record.name, "enabled": record.planned.enabled,
        "body": rules.body(record.planned),
        "version": record.version, "updated_at": record.updated_at, "updated_by": record.updated_by,
    })  # fmt: skip


def delete_program(tx: Connection, program_id: str) -> None:
    """Forget a program."""
    tx.execute(delete(programs).where(programs.c.id == program_id))


def set_hold(tx: Connection, farm_id: str, hold: Hold | None) -> None:
    """Keep or release the farm's hold."""
    body = None if hold is None else _HOLD.dump_python(hold, mode="json")
    tx.execute(update(farms).where(farms.c.id == farm_id).values(hold=body))


def set_forecast(tx: Connection, farm_id: str, forecast: Forecast | None) -> None:
    """Keep the forecast that the farm goes by, or none."""
    body = None if forecast is None else _FORECAST.dump_python(forecast, mode="json")
    tx.execute(update(farms).where(farms.c.id == farm_id).values(forecast=body))


def add_skips(tx: Connection, farm_id: str, by: str, due: dict[str, datetime], before: datetime) -> None:
    """Keep due waterings that a person skips; those due `before` are history and are forgotten."""
    tx.execute(delete(skips).where(skips.c.farm_id == farm_id, skips.c.due < before))
    for entry_id, at in due.items():
        upsert(tx, skips, {"farm_id": farm_id, "entry_id": entry_id, "due": at, "by": by})


def raise_version(tx: Connection, farm_id: str, above: int = 0) -> None:
    """The farm has changed: its version rises, and above what the gateway holds already."""
    row = tx.execute(select(farms.c.version).where(farms.c.id == farm_id)).one()
    tx.execute(update(farms).where(farms.c.id == farm_id).values(version=max(row.version, above) + 1))


def commit(tx: Connection, now: datetime, by: str, farm_id: str, act: str, subject: str) -> FarmRecord:
    """End a person's change: the farm's version rises, and who did what is kept; return the farm as it has become."""
    raise_version(tx, farm_id)
    accounts.write_down(tx, now, by, farm_id, act, subject)
    record = get(tx, farm_id)
    assert record is not None  # noqa: S101
    return record


def _program(row: Row[Any]) -> ProgramRecord:
    planned = rules.from_body(row.body, id=row.id, name=row.name, enabled=row.enabled, since=row.updated_at)
    return ProgramRecord(
        farm_id=row.farm_id, version=row.version, updated_at=row.updated_at, updated_by=row.updated_by, planned=planned,
    )  # fmt: skip
