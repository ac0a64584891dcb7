"""Runs, decisions, alerts and watermarks in the ledger."""

from dataclasses import asdict, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, delete, func, or_, select, update

from contract.messages import Lane
from irrigation.model import Dose
from irrigation.run import RunState
from server.ledger.database import upsert
from server.ledger.tables import alerts, decisions, idempotency_keys, last_said, run_events, runs, stop_alls, watermarks
from server.records import AlertRecord, DecisionRecord, RunRecord, StopAllRecord


def dose_body(dose: Dose) -> dict[str, float]:
    """A dose without what it does not say."""
    said = {
        "minutes": dose.minutes, "litres": dose.litres, "until_moisture_pct": dose.until_moisture_pct,
        "max_minutes": dose.max_minutes, "depth_mm": dose.depth_mm, "start_below_pct": dose.start_below_pct,
    }  # fmt: skip
    return {name: value for name, value in said.items() if value is not None}


# --- runs -----------------------------------------------------------------------------------------------------------

_RUN_FIELDS = tuple(field.name for field in fields(RunRecord))


def put_run(tx: Connection, run: RunRecord) -> None:
    """Add a run or change one."""
    values = {name: getattr(run, name) for name in _RUN_FIELDS}
    values |= {"state": run.state.value, "dose": dose_body(run.dose)}
    upsert(tx, runs, values)


# Asked and said with every report: built once, because building a statement costs more than running it.
_RUN_BY_ID = select(runs).where(runs.c.id == bindparam("run_id"))


def run(connection: Connection, run_id: str) -> RunRecord | None:
    """A run by its id."""
    return _first_run(connection.execute(_RUN_BY_ID, {"run_id": run_id}).first())


def run_of_command(connection: Connection, command_id: str) -> RunRecord | None:
    """The run that a command asked for."""
    return _first_run(connection.execute(select(runs).where(runs.c.command_id == command_id)).first())


def runs_of_zone(connection: Connection, zone_id: str, limit: int) -> list[RunRecord]:
    """The latest runs of a zone, newest first."""
    query = select(runs).where(runs.c.zone_id == zone_id).order_by(runs.c.asked_at.desc(), runs.c.id).limit(limit)
    return [_run(row) for row in connection.execute(query)]


def runs_since(connection: Connection, farm_id: str, since: datetime) -> list[RunRecord]:
    """A farm's runs that are under way or have ended since."""
    query = select(runs).where(runs.c.farm_id == farm_id, or_(runs.c.ended_at.is_(None), runs.c.ended_at >= since))
    return [_run(row) for row in connection.execute(query.order_by(runs.c.asked_at))]


def runs_ended(connection: Connection, farm_id: str, start: datetime, end: datetime) -> list[RunRecord]:
    """A farm's runs that ended in [start, end) and had a valve open."""
    query = select(runs).where(
        runs.c.farm_id == farm_id, runs.c.ended_at >= start, runs.c.ended_at < end,
        or_(runs.c.opened_at.is_not(None), runs.c.open_s > 0),
    )  # fmt: skip
    return [_run(row) for row in connection.execute(query.order_by(runs.c.ended_at))]


def last_doses(connection: Connection, farm_id: str) -> dict[str, Dose]:
    """What a person chose last, by zone."""
    latest = (
        select(runs.c.zone_id, func.max(runs.c.asked_at).label("asked_at"))
        .where(runs.c.farm_id == farm_id, runs.c.origin == "person")
        .group_by(runs.c.zone_id)
        .subquery()
    )
    same = and_(runs.c.zone_id == latest.c.zone_id, runs.c.asked_at == latest.c.asked_at, runs.c.origin == "person")
    rows = connection.execute(select(runs.c.zone_id, runs.c.dose).join(latest, same))
    return {row.zone_id: Dose(**row.dose) for row in rows}


def settled(connection: Connection, farm_id: str, since: datetime) -> frozenset[str]:
    """Ids of due waterings that have started or been decided since."""
    started = select(runs.c.entry_id).where(
        runs.c.farm_id == farm_id, runs.c.entry_id.is_not(None), runs.c.asked_at >= since
    )
    decided = select(decisions.c.id).where(decisions.c.farm_id == farm_id, decisions.c.due >= since)
    return frozenset(connection.execute(started.union(decided)).scalars())


def add_run_events(tx: Connection, rows: list[dict[str, Any]]) -> None:
    """Keep what was reported of runs, as it was reported."""
    if rows:
        upsert(tx, run_events, rows, keep=True)


def _first_run(row: Row[Any] | None) -> RunRecord | None:
    return None if row is None else _run(row)


def _run(row: Row[Any]) -> RunRecord:
    values = row._asdict()
    return RunRecord(**values | {"state": RunState(row.state), "dose": Dose(**row.dose)})


# --- commands that must act once ------------------------------------------------------------------------------------


_REMEMBERED = select(idempotency_keys).where(
    idempotency_keys.c.account == bindparam("account"), idempotency_keys.c.key == bindparam("key")
)
_FORGOTTEN = delete(idempotency_keys).where(idempotency_keys.c.created_at < bindparam("before"))


def remembered(connection: Connection, account: str, key: str) -> tuple[str, list[str]] | None:
    """What this person asked under this key: the request's hash and the runs that came of it."""
    row = connection.execute(_REMEMBERED, {"account": account, "key": key}).first()
    return None if row is None else (row.request_hash, list(row.run_ids))


def remember(
    tx: Connection, account: str, key: str, request_hash: str, run_ids: list[str], now: datetime, before: datetime
) -> None:
    """Keep a key with what came of it; forget those made `before`."""
    tx.execute(_FORGOTTEN, {"before": before})
    values = {"account": account, "key": key, "request_hash": request_hash, "run_ids": run_ids, "created_at": now}
    upsert(tx, idempotency_keys, values)


# --- wishes to close everything --------------------------------------------------------------------------------------


def put_stop_all(tx: Connection, wish: StopAllRecord) -> None:
    """Keep a farm's wish; a later one takes its place."""
    upsert(tx, stop_alls, asdict(wish))


def end_stop_all(tx: Connection, farm_id: str) -> None:
    """The gateway has taken it, or its time is over."""
    tx.execute(delete(stop_alls).where(stop_alls.c.farm_id == farm_id))


def open_stop_alls(connection: Connection) -> list[StopAllRecord]:
    """The wishes of all farms."""
    return [StopAllRecord(**row._asdict()) for row in connection.execute(select(stop_alls))]


# --- decisions ------------------------------------------------------------------------------------------------------


def put_decision(tx: Connection, decision: DecisionRecord) -> None:
    """Keep a decision; a later one about the same due watering replaces it."""
    upsert(tx, decisions, asdict(decision))


def decisions_between(
    connection: Connection, farm_id: str, zone_id: str | None, start: datetime, end: datetime, limit: int
) -> list[DecisionRecord]:
    """Decisions about what was due in [start, end), newest first."""
    query = select(decisions).where(decisions.c.farm_id == farm_id, decisions.c.due >= start, decisions.c.due < end)
    if zone_id is not None:
        query = query.where(decisions.c.zone_id == zone_id)
    rows = connection.execute(query.order_by(decisions.c.due.desc(), decisions.c.id).limit(limit))
    return [DecisionRecord(**row._asdict()) for row in rows]


# --- alerts ---------------------------------------------------------------------------------------------------------


def put_alert(tx: Connection, alert: AlertRecord) -> None:
    """Add an alert or change one."""
    upsert(tx, alerts, asdict(alert))


def alert(connection: Connection, alert_id: str) -> AlertRecord | None:
    """An alert by its id."""
    row = connection.execute(select(alerts).where(alerts.c.id == alert_id)).first()
    return None if row is None else AlertRecord(**row._asdict())


def open_alerts(connection: Connection, farm_id: str) -> list[AlertRecord]:
    """A farm's alerts that have not been cleared, oldest first."""
    query = select(alerts).where(alerts.c.farm_id == farm_id, alerts.c.cleared_at.is_(None))
    rows = connection.execute(query.order_by(alerts.c.raised_at))
    return [AlertRecord(**row._asdict()) for row in rows]


# --- what has been received -----------------------------------------------------------------------------------------


_STREAM = and_(*(watermarks.c[name] == bindparam(f"of_{name}") for name in ("farm_id", "node_id", "boot_id", "lane")))
_HELD = select(watermarks.c.seq).where(_STREAM)
_HOLD = update(watermarks).where(_STREAM).values(seq=bindparam("up_to"))


def held(connection: Connection, farm_id: str, node_id: str, boot_id: str, lane: Lane) -> int:
    """The last sequence number that is stored; 0 = none."""
    return connection.execute(_HELD, _stream(farm_id, node_id, boot_id, lane)).scalar() or 0


def hold(tx: Connection, farm_id: str, node_id: str, boot_id: str, lane: Lane, seq: int) -> None:
    """Note that everything up to `seq` is stored by this transaction."""
    known = tx.execute(_HOLD, _stream(farm_id, node_id, boot_id, lane) | {"up_to": seq})
    if not known.rowcount:
        values = {"farm_id": farm_id, "node_id": node_id, "boot_id": boot_id, "lane": lane.value, "seq": seq}
        upsert(tx, watermarks, values)


def _stream(farm_id: str, node_id: str, boot_id: str, lane: Lane) -> dict[str, str]:
    return {"of_farm_id": farm_id, "of_node_id": node_id, "of_boot_id": boot_id, "of_lane": lane.value}


def keep_said(tx: Connection, farm_id: str, channel: str, payload: str, now: datetime) -> None:
    """Keep what the gateway said last on a retained channel."""
    upsert(tx, last_said, {"farm_id": farm_id, "channel": channel, "payload": payload, "at": now})


def said(connection: Connection, farm_id: str) -> dict[str, tuple[str, datetime]]:
    """What the gateway said last, by channel."""
    rows = connection.execute(select(last_said).where(last_said.c.farm_id == farm_id))
    return {row.channel: (row.payload, row.at) for row in rows}
