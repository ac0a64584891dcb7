"""Which reports become alerts, and when alerts clear. Pure."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from contract.messages import FaultEvent, GapEvent
from irrigation.identity import is_later_part
from irrigation.model import Result, Rule
from irrigation.run import RunState
from server.records import AlertRecord, DecisionRecord, RunRecord

CRITICAL = frozenset(
    {"close-failed", "flow-while-closed", "night-flow", "burst", "guard-lost", "gateway-offline", "daily-cap"}
)

TOLD_BY_FAULT = frozenset({"no-flow", "burst", "guard-line-fault"})
"""Why a run failed, where the valve's own fault raises the alert and says what to do."""

PASSING = frozenset({"interrupted", "run-failed", "outbox-gap", "ask-person"})
"""Something that happened rather than lasts: it clears when a person has acknowledged it."""


def from_fault(
    farm_id: str, event: FaultEvent, sender: str, opened: Iterable[AlertRecord], id: str
) -> AlertRecord | None:
    """The alert that a fault raises or clears; None when there is nothing to change."""
    node_id = event.node_id or sender
    known = _same(opened, event.code, node_id, event.zone_id, event.channel)
    if event.cleared:
        return None if known is None else replace(known, cleared_at=event.at)
    if known is not None:
        return None
    return AlertRecord(
        id=id, farm_id=farm_id, kind=event.code, severity=severity(event.code), raised_at=event.at,
        zone_id=event.zone_id, node_id=node_id, channel=event.channel, params=dict(event.params),
    )  # fmt: skip


def from_gap(farm_id: str, event: GapEvent, sender: str, opened: Iterable[AlertRecord], id: str) -> AlertRecord:
    """The alert that tells of readings which are lost; more of them are added to the one that nobody has seen yet."""
    node_id = event.node_id or sender
    known = _same(opened, "outbox-gap", node_id, None, None)
    if known is not None:
        count = float(known.params.get("count", 0)) + event.count
        return replace(known, params=known.params | {"count": count, "last_at": event.last_at.isoformat()})
    params: dict[str, float | str] = {
        "count": event.count, "first_at": event.first_at.isoformat(), "last_at": event.last_at.isoformat(),
    }  # fmt: skip
    return AlertRecord(
        id=id,
        farm_id=farm_id,
        kind="outbox-gap",
        severity="warning",
        raised_at=event.at,
        node_id=node_id,
        params=params,
    )


def from_run(run: RunRecord, opened: Iterable[AlertRecord], id: str) -> list[AlertRecord]:
    """The alerts that the end of a run raises, or clears because its zone waters again."""
    own = [alert for alert in opened if alert.zone_id == run.zone_id and alert.kind in PASSING]
    if run.state is RunState.DONE:
        return [replace(alert, cleared_at=run.at) for alert in own]
    kind = {RunState.INTERRUPTED: "interrupted", RunState.FAILED: "run-failed"}.get(run.state)
    if kind is None or run.reason_code in TOLD_BY_FAULT or any(alert.kind == kind for alert in own):
        return []
    params: dict[str, float | str] = {"run_id": run.id}
    if run.reason_code:
        params |= {"reason": run.reason_code}
    return [
        AlertRecord(
            id=id, farm_id=run.farm_id, kind=kind, severity="warning", raised_at=run.at, zone_id=run.zone_id,
            params=params,
        )
    ]  # fmt: skip


def from_decision(decision: DecisionRecord, opened: Iterable[AlertRecord], id: str) -> AlertRecord | None:
    """The alert that asks people about a watering left out for want of a value; the last one of a zone is told."""
    if (decision.rule, decision.result) != (Rule.ASK_PERSON, Result.SKIPPED) or is_later_part(decision.id):
        return None
    params = {name: value for name, value in decision.params.items() if name in ("of", "age_min")}
    params |= {"program_id": decision.program_id, "due": decision.due.isoformat()}
    known = _same(opened, "ask-person", None, decision.zone_id, None)
    if known is not None:
        return replace(known, raised_at=decision.at, params=params, acknowledged_at=None, acknowledged_by=None)
    return AlertRecord(
        id=id, farm_id=decision.farm_id, kind="ask-person", severity="warning", raised_at=decision.at,
        zone_id=decision.zone_id, params=params,
    )  # fmt: skip


def offline(
    farm_id: str,
    node_id: str | None,
    is_offline: bool,
    since: datetime | None,
    now: datetime,
    opened: Iterable[AlertRecord],
    id: str,
) -> AlertRecord | None:
    """The alert that a board (or with None the gateway) raises when it has long been silent, or clears."""
    kind = "gateway-offline" if node_id is None else "node-offline"
    known = _same(opened, kind, node_id, None, None)
    if is_offline == (known is not None):
        return None
    if known is not None:
        return replace(known, cleared_at=now)
    params: dict[str, float | str] = {} if since is None else {"last_heard": since.isoformat()}
    return AlertRecord(
        id=id, farm_id=farm_id, kind=kind, severity=severity(kind), raised_at=now, node_id=node_id, params=params
    )


def acknowledged(alert: AlertRecord, by: str, now: datetime) -> AlertRecord:
    """The alert after a person has seen it; what has only happened is cleared by that."""
    if alert.acknowledged_at is not None:
        return alert
    cleared_at = now if alert.kind in PASSING else alert.cleared_at
    return replace(alert, acknowledged_at=now, acknowledged_by=by, cleared_at=cleared_at)


def severity(kind: str) -> str:
    """How bad it is: *critical* may flood or burn something, *warning* may leave soil dry."""
    return "critical" if kind in CRITICAL else "warning"


def _same(
    opened: Iterable[AlertRecord], kind: str, node_id: str | None, zone_id: str | None, channel: str | None
) -> AlertRecord | None:
    key = (kind, node_id, zone_id, channel)
    return next((a for a in opened if (a.kind, a.node_id, a.zone_id, a.channel) == key), None)
