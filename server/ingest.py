"""What a gateway reports is stored once; only then is it acknowledged and told to those who watch."""

import logging
import secrets
from dataclasses import dataclass, field
from typing import Any, Protocol

from sqlalchemy import Connection

from contract.inbox import fresh
from contract.messages import Ack, Batch, BootEvent, DecisionEvent, Event, FaultEvent, GapEvent, Lane, Reading, RunEvent
from contract.topics import GATEWAY
from server import alerts, runs
from server.ledger import farms, history
from server.ledger.database import Ledger
from server.records import AlertRecord, DecisionRecord, RunRecord
from server.series.port import Series

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Changes:
    """What a batch of events changed: the last state of each thing, by id."""

    runs: dict[str, RunRecord] = field(default_factory=dict)
    alerts: dict[str, AlertRecord] = field(default_factory=dict)
    decisions: list[DecisionRecord] = field(default_factory=list)


@dataclass(slots=True)
class _Reported:
    """What a batch says of runs. A tap's batch has three steps of one run: it is read once and written once."""

    known: dict[str, RunRecord | None] = field(default_factory=dict)  # as the batch found them
    rows: list[dict[str, Any]] = field(default_factory=list)  # every report, as it was reported


class Watcher(Protocol):
    """Is told of what has been stored."""

    def readings(self, farm_id: str, sender: str, readings: tuple[Reading, ...]) -> None:
        """These are new."""
        ...

    def changes(self, farm_id: str, changes: Changes) -> None:
        """These have changed."""
        ...


class Ingest:
    """Takes batches; needs no web and no broker. `watcher` is told after the commit, or nobody is."""

    def __init__(self, ledger: Ledger, series: Series, watcher: Watcher | None = None) -> None:
        self._ledger = ledger
        self._series = series
        self._watcher = watcher
        self._meters: dict[str, dict[str, bool]] = {}
        self.stored = dict.fromkeys(Lane, 0)

    def batch(self, farm_id: str, batch: Batch) -> Ack:
        """Store what is new in a batch of the farm's gateway; when this returns it is on disk.

        A batch that comes twice stores nothing and gives the same Ack. Raise Unavailable when a store does not answer:
        then nothing is stored and nothing may be acknowledged.
        """
        if batch.lane is Lane.READINGS:
            accepted = self._series.accept(farm_id, GATEWAY, batch)
            self.stored[batch.lane] += len(accepted.readings)
            if self._watcher is not None and accepted.readings:
                self._watcher.readings(farm_id, GATEWAY, accepted.readings)
            return accepted.ack
        with self._ledger.begin() as tx:
            held = history.held(tx, farm_id, GATEWAY, batch.boot_id, batch.lane)
            records, seq = fresh(held, batch)
            changes, reported = Changes(), _Reported()
            for record in records:
                if isinstance(record, RunEvent):
                    self._run(tx, farm_id, batch.boot_id, record, changes, reported)
                elif not isinstance(record, Reading):
                    self._event(tx, farm_id, record, changes)
            history.add_run_events(tx, reported.rows)
            for run in changes.runs.values():
                history.put_run(tx, run)
            if records:
                history.hold(tx, farm_id, GATEWAY, batch.boot_id, batch.lane, seq)
        self.stored[batch.lane] += len(records)
        if self._watcher is not None and records:
            self._watcher.changes(farm_id, changes)
        return Ack(boot_id=batch.boot_id, lane=batch.lane, seq=seq)

    def forget(self, farm_id: str) -> None:
        """The farm has been set up anew."""
        self._meters.pop(farm_id, None)

    def _event(self, tx: Connection, farm_id: str, event: Event, changes: Changes) -> None:
        match event:
            case DecisionEvent():
                decision = event.decision
                record = DecisionRecord(
                    id=decision.id, farm_id=farm_id, zone_id=decision.zone_id, program_id=decision.program_id,
                    due=decision.due, result=decision.result.value, rule=decision.rule.value, at=event.at,
                    params=dict(decision.params), run_id=decision.run_id,
                )  # fmt: skip
                history.put_decision(tx, record)
                changes.decisions.append(record)
                self._alert(tx, alerts.from_decision(record, history.open_alerts(tx, farm_id), _new_id()), changes)
            case FaultEvent():
                opened = history.open_alerts(tx, farm_id)
                self._alert(tx, alerts.from_fault(farm_id, event, GATEWAY, opened, _new_id()), changes)
            case GapEvent():
                opened = history.open_alerts(tx, farm_id)
                self._alert(tx, alerts.from_gap(farm_id, event, GATEWAY, opened, _new_id()), changes)
            case BootEvent():
                node_id = event.node_id or GATEWAY
                log.info("node started farm=%s node=%s why=%s boot=%s", farm_id, node_id, event.why, event.boot_id)

    def _run(
        self, tx: Connection, farm_id: str, boot_id: str, event: RunEvent, changes: Changes, reported: _Reported
    ) -> None:
        if event.run_id not in reported.known:
            reported.known[event.run_id] = history.run(tx, event.run_id)
        known = changes.runs.get(event.run_id) or reported.known[event.run_id]
        if known is not None and known.farm_id != farm_id:
            log.warning("report about another farm's run farm=%s run=%s", farm_id, event.run_id)
            return
        reported.rows.append({
            "farm_id": farm_id, "boot_id": boot_id, "seq": event.seq, "run_id": event.run_id,
            "node_id": event.node_id or GATEWAY, "state": event.state.value, "at": event.at,
            "clock_trusted": event.clock_trusted, "body": event.model_dump(mode="json", exclude_none=True),
        })  # fmt: skip
        run = runs.follow(known, event, farm_id=farm_id, has_meter=self._has_meter(tx, farm_id, event.zone_id))
        if run == known:
            return
        changes.runs[run.id] = run
        if run.ended_at is not None:
            for alert in alerts.from_run(run, history.open_alerts(tx, farm_id), _new_id()):
                self._alert(tx, alert, changes)

    def _alert(self, tx: Connection, alert: AlertRecord | None, changes: Changes) -> None:
        if alert is not None:
            history.put_alert(tx, alert)
            changes.alerts[alert.id] = alert

    def _has_meter(self, tx: Connection, farm_id: str, zone_id: str) -> bool:
        if farm_id not in self._meters:
            farm = farms.get(tx, farm_id)
            self._meters[farm_id] = {} if farm is None else {zone.id: zone.has_meter for zone in farm.zones}
        return self._meters[farm_id].get(zone_id, False)


def _new_id() -> str:
    return f"alert-{secrets.token_hex(8)}"
