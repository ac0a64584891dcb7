"""Orders to water and to stop: written down, sent, and followed until something is known about their end."""

import asyncio
import logging
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from contract.messages import Close, CloseAll, Open, Origin, Outcome, Reason, Reply, ValvePosition
from contract.topics import Channel
from irrigation.dose import asked_s, lease_s
from irrigation.model import Dose, Zone
from irrigation.queue import QUEUE_LIFE
from irrigation.run import UNDER_WAY, RunState
from server import alerts, runs
from server.errors import Refused, Unavailable
from server.gateways import Gateways
from server.ingest import Changes
from server.ledger import accounts, history
from server.ledger.database import Ledger
from server.live import Live
from server.records import Account, AlertRecord, RunRecord, StopAllRecord
from server.view import FarmView

log = logging.getLogger(__name__)

ANSWER_MARGIN = timedelta(seconds=3)
"""The gateway gives up on an order in its last moment; its word has this long to reach us before we do too."""
RESEND_S = 3.0
KEY_LIFE = timedelta(hours=48)
_STOP_LIFE = timedelta(seconds=60)
_STOP_ALL_FOR = timedelta(minutes=10)
_ANSWER_S = 1.0
_LOST_AFTER = timedelta(minutes=10)


@dataclass(slots=True)
class _StopAll:
    """A wish that the ledger keeps, and the orders that said it since this process started."""

    wish: StopAllRecord
    commands: set[str] = field(default_factory=set)


class Watering:
    """Runs as people order and end them."""

    def __init__(
        self,
        ledger: Ledger,
        live: Live,
        gateways: Gateways,
        now: Callable[[], datetime],
        *,
        order_life_s: float,
        offline_after_s: float,
    ) -> None:
        self._ledger = ledger
        self._live = live
        self._gateways = gateways
        self._now = now
        self._order_life = timedelta(seconds=order_life_s)
        self._offline_after = timedelta(seconds=offline_after_s)
        with ledger.read() as connection:
            kept = history.open_stop_alls(connection)
        self._stop_alls = {wish.farm_id: _StopAll(wish) for wish in kept}
        self._wake = asyncio.Event()
        self._started_at = now()
        gateways.on_reply.append(self.replied)
        gateways.on_return = lambda _farm_id: self._wake.set()

    # --- what people ask ---

    async def ask(
        self, account: Account, view: FarmView, zone: Zone, dose: Dose, *, key: str, request: str
    ) -> RunRecord:
        """Order water for a zone; the same key gives the same run. Raise Refused when a rule says no."""
        known = self.known(account, key, request)
        if known:
            return known[0]
        check_dose(zone, dose, "dose")
        if view.farm.hold is not None and view.farm.hold.paused(self._now()):
            raise Refused("farm-paused")
        (run,) = self.written(account, view, [(zone, dose)], None, key, request)
        sending = asyncio.ensure_future(self._send_order(view, run))
        await asyncio.sleep(0)  # the order is on its way before anybody is told of it
        self._live.tell(view.farm.id)
        return await sending

    async def stop(self, account: Account, view: FarmView, run: RunRecord) -> RunRecord:
        """Want a run ended: said again and again until it has. One that has ended stays as it is."""
        if run.state not in UNDER_WAY:
            return run
        if run.stop_by is None:
            run = replace(run, stop_by=account.name)
            with self._ledger.begin() as tx:
                history.put_run(tx, run)
                accounts.write_down(tx, self._now(), account.name, run.farm_id, "stop", run.id)
            self._show(view, run)
        await self._send_stop(run)
        return run

    async def stop_all(self, account: Account, view: FarmView) -> str:
        """Want every valve of a farm closed; return the wish's id."""
        now = self._now()
        farm_id = view.farm.id
        wish = StopAllRecord(
            farm_id=farm_id, id=f"stop-{secrets.token_hex(6)}", actor=account.name, until=now + _STOP_ALL_FOR
        )
        stopped = [replace(run, stop_by=account.name) for run in view.runs.values() if run.state in UNDER_WAY]
        with self._ledger.begin() as tx:
            for run in stopped:
                history.put_run(tx, run)
            history.put_stop_all(tx, wish)
            accounts.write_down(tx, now, account.name, farm_id, "stop-all", wish.id)
        for run in stopped:
            view.put_run(run)
        self._live.tell(farm_id)
        self._stop_alls[farm_id] = _StopAll(wish)
        await self._send_stop_all(self._stop_alls[farm_id])
        return wish.id

    async def acknowledge(self, account: Account, view: FarmView, alert: AlertRecord) -> AlertRecord:
        """A person has seen an alert."""
        now = self._now()
        seen = alerts.acknowledged(alert, account.name, now)
        if seen != alert:
            with self._ledger.begin() as tx:
                history.put_alert(tx, seen)
                accounts.write_down(tx, now, account.name, alert.farm_id, "acknowledge", alert.id)
            view.put_alert(seen)
            self._live.tell(alert.farm_id)
        return seen

    # --- what is heard ---

    def replied(self, farm_id: str, reply: Reply) -> None:
        """A gateway's answer to a command. Events say more; but a refusal is shown as soon as it is known."""
        stop_all = self._stop_alls.get(farm_id)
        if stop_all is not None and reply.command_id in stop_all.commands and reply.outcome is not Outcome.REFUSED:
            self._end_stop_all(farm_id)
            return
        if reply.outcome is not Outcome.REFUSED:
            return
        with self._ledger.begin() as tx:
            run = history.run_of_command(tx, reply.command_id)
            if run is None or run.farm_id != farm_id or run.state is not RunState.ASKED:
                return
            refused = runs.end(run, RunState.REFUSED, reply.reason or Reason(code="refused"), reply.at)
            history.put_run(tx, refused)
        view = self._live.view(farm_id)
        if view is not None:
            self._show(view, refused)

    # --- what time brings ---

    async def run(self) -> None:
        """Give up on orders that nobody answers, and say stops again."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await self._wake.wait()
            self._wake.clear()
            try:
                self.tick(self._now())
            except Unavailable as exc:
                log.error("orders not looked after: %s", exc)

    async def resend(self) -> None:
        """Say every stop again that has not been met."""
        while True:
            await asyncio.sleep(RESEND_S)
            await self.say_stops(self._now())

    async def say_stops(self, now: datetime) -> None:
        """Say every stop that has not been met, once."""
        for view in self._live.views():
            stop_all = self._stop_alls.get(view.farm.id)
            if stop_all is not None and now > stop_all.wish.until:
                self._end_stop_all(view.farm.id)
            elif stop_all is not None:
                await self._send_stop_all(stop_all)
            for run in [one for one in view.runs.values() if one.stop_by is not None and one.state in UNDER_WAY]:
                await self._send_stop(run)

    def tick(self, now: datetime) -> None:
        """End orders that expired unanswered and runs whose report is lost; raise and clear alerts about silence."""
        for view in self._live.views():
            changes = Changes()
            for run in list(view.runs.values()):
                ended = self._overdue(view, run, now)
                if ended is not None:
                    changes.runs[run.id] = ended
            for alert in self._silences(view, now):
                changes.alerts[alert.id] = alert
            if not changes.runs and not changes.alerts:
                continue
            with self._ledger.begin() as tx:
                for run in changes.runs.values():
                    history.put_run(tx, run)
                for alert in changes.alerts.values():
                    history.put_alert(tx, alert)
            self._live.changes(view.farm.id, changes)

    # --- parts ---

    def known(self, account: Account, key: str, request: str) -> list[RunRecord]:
        """Return the runs that were asked for with that key before; raise Refused when it was for something else."""
        with self._ledger.read() as connection:
            remembered = history.remembered(connection, account.name, key)
            if remembered is None:
                return []
            request_hash, run_ids = remembered
            if request_hash != request:
                raise Refused("key-reused", field="Idempotency-Key")
            found = [history.run(connection, run_id) for run_id in run_ids]
        return [run for run in found if run is not None]

    def written(
        self,
        account: Account,
        view: FarmView,
        wanted: Sequence[tuple[Zone, Dose]],
        program_id: str | None,
        key: str | None,
        request: str,
        command_id: str | None = None,
    ) -> list[RunRecord]:
        """Return the runs that are asked for, written down before they are sent, by an order of that id or one each."""
        farm = view.farm
        if farm.hold is not None and farm.hold.emergency:
            raise Refused("farm-held-by-stop")
        if not self._gateways.reachable(farm.id):
            raise Unavailable("gateway", "not connected")
        now = self._now()
        expires_at = now + self._order_life
        asked = [
            RunRecord(
                id=f"run-{secrets.token_hex(8)}", farm_id=farm.id, zone_id=zone.id, state=RunState.ASKED, dose=dose,
                max_s=lease_s(dose, zone), actor=account.name, origin=Origin.PERSON.value, asked_at=now, at=now,
                has_meter=zone.has_meter, program_id=program_id, command_id=command_id or f"cmd-{secrets.token_hex(8)}",
                expires_at=expires_at,
            )
            for zone, dose in wanted
        ]  # fmt: skip
        with self._ledger.begin() as tx:
            for run in asked:
                history.put_run(tx, run)
                accounts.write_down(tx, now, account.name, farm.id, "water", run.id, zone_id=run.zone_id,
                                    dose=history.dose_body(run.dose))  # fmt: skip
            if key is not None:
                history.remember(tx, account.name, key, request, [run.id for run in asked], now, now - KEY_LIFE)
        for run in asked:
            view.put_run(run)
        return asked

    async def _send_order(self, view: FarmView, run: RunRecord) -> RunRecord:
        assert run.command_id is not None  # noqa: S101
        assert run.expires_at is not None  # noqa: S101
        order = Open(
            id=run.command_id, issued_at=run.asked_at, expires_at=run.expires_at, actor=run.actor, run_id=run.id,
            zone_id=run.zone_id, dose=run.dose, max_s=run.max_s, program_id=run.program_id,
        )  # fmt: skip
        try:
            async with asyncio.timeout(_ANSWER_S):
                life_s = int(self._order_life.total_seconds())
                await self._gateways.send(run.farm_id, Channel.COMMAND, order, expires_s=life_s)
        except TimeoutError:
            # The broker may or may not have it: the run stays asked until it is answered or expires.
            return view.runs.get(run.id, run)
        except Unavailable:
            unsent = runs.give_up(run, self._now())
            with self._ledger.begin() as tx:
                history.put_run(tx, unsent)
            self._show(view, unsent)
            raise
        return view.runs.get(run.id, run)

    async def _send_stop(self, run: RunRecord) -> None:
        now = self._now()
        order = Close(
            id=f"cmd-{secrets.token_hex(8)}", issued_at=now, expires_at=now + _STOP_LIFE, actor=run.stop_by or "server",
            run_id=run.id,
        )  # fmt: skip
        await self._try(run.farm_id, order)

    async def _send_stop_all(self, stop_all: _StopAll) -> None:
        now, wish = self._now(), stop_all.wish
        order = CloseAll(id=f"cmd-{secrets.token_hex(8)}", issued_at=now, expires_at=now + _STOP_LIFE, actor=wish.actor)
        stop_all.commands.add(order.id)
        await self._try(wish.farm_id, order)

    def _end_stop_all(self, farm_id: str) -> None:
        with self._ledger.begin() as tx:
            history.end_stop_all(tx, farm_id)
        del self._stop_alls[farm_id]

    async def _try(self, farm_id: str, order: Close | CloseAll) -> None:
        try:
            async with asyncio.timeout(_ANSWER_S):
                await self._gateways.send(farm_id, Channel.COMMAND, order, expires_s=int(_STOP_LIFE.total_seconds()))
        except (TimeoutError, Unavailable) as exc:
            log.debug("stop will be said again farm=%s: %s", farm_id, exc)

    def _overdue(self, view: FarmView, run: RunRecord, now: datetime) -> RunRecord | None:
        if run.state is RunState.ASKED:
            late = run.expires_at is None or now > run.expires_at + ANSWER_MARGIN
            return runs.give_up(run, now) if late else None
        if run.state not in UNDER_WAY:
            return None
        if run.state is RunState.QUEUED:  # the gateway says when it has waited too long; if it is there at all
            return runs.give_up(run, now) if now > run.asked_at + QUEUE_LIFE + _LOST_AFTER else None
        # Its end should have been reported long ago. When its board, heard since, shows the valve closed, it has ended.
        begun = run.opened_at or max(run.expires_at or run.asked_at, run.at)  # a queued one is accepted much later
        deadline = run.closes_at or begun + timedelta(seconds=run.max_s)
        if now < deadline + _LOST_AFTER or not view.gateway_online or run.id in view.progress:
            return None
        zone = next((zone for zone in view.farm.zones if zone.id == run.zone_id), None)
        report = None if zone is None else view.nodes.get(zone.node_id)
        if zone is None or report is None or report.state is None:
            return None
        closed = any(
            valve.channel == zone.channel and valve.position is ValvePosition.CLOSED for valve in report.state.valves
        )
        all_told = report.state.outbox_events == 0 and report.state.at > deadline
        return runs.end(run, RunState.INTERRUPTED, Reason(code="report-lost"), now) if closed and all_told else None

    def _silences(self, view: FarmView, now: datetime) -> list[AlertRecord]:
        opened = list(view.alerts.values())
        heard = max(view.gateway_heard or self._started_at, self._started_at)
        if view.gateway_online or now - heard > self._offline_after:
            raised = [self._silence(view, None, not view.gateway_online, view.gateway_heard, now, opened)]
        else:
            raised = []
        if view.gateway_online:  # otherwise nothing is known of the boards
            for report in view.nodes.values():
                since = max(report.last_heard or self._started_at, self._started_at)
                if report.online or now - since > self._offline_after:
                    raised.append(
                        self._silence(view, report.node_id, not report.online, report.last_heard, now, opened)
                    )
        return [alert for alert in raised if alert is not None]

    def _silence(
        self,
        view: FarmView,
        node_id: str | None,
        silent: bool,
        since: datetime | None,
        now: datetime,
        opened: list[AlertRecord],
    ) -> AlertRecord | None:
        return alerts.offline(view.farm.id, node_id, silent, since, now, opened, f"alert-{secrets.token_hex(8)}")

    def _show(self, view: FarmView, run: RunRecord) -> None:
        view.put_run(run)
        self._live.tell(view.farm.id)


def check_dose(zone: Zone, dose: Dose, field: str) -> None:
    """Raise Refused when the zone may not have this dose, naming the field at fault."""
    cap_minutes = zone.max_run_s / 60
    if dose.until_moisture_pct is not None and not zone.sensors:
        raise Refused("dose-needs-probe", field=f"{field}.until_moisture_pct", zone=zone.name)
    if dose.minutes is not None and dose.minutes > cap_minutes:
        raise Refused("dose-above-cap", field=f"{field}.minutes", max_minutes=cap_minutes)
    if dose.max_minutes is not None and dose.max_minutes > cap_minutes:
        raise Refused("dose-above-cap", field=f"{field}.max_minutes", max_minutes=cap_minutes)
    if dose.depth_mm is not None and asked_s(dose, zone) > zone.max_run_s:
        most_mm = round(zone.max_run_s / asked_s(dose, zone) * dose.depth_mm, 1)
        raise Refused("depth-above-cap", field=f"{field}.depth_mm", max_mm=most_mm, max_minutes=cap_minutes)
    if dose.litres is not None and dose.litres / zone.flow_l_min > cap_minutes:
        litres = float(int(cap_minutes * zone.flow_l_min))
        raise Refused("litres-above-cap", field=f"{field}.litres", max_litres=litres, max_minutes=cap_minutes)
