"""Water that waits its turn: what people ask for after the others, before them, or in their place."""

import asyncio
import logging
import secrets
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from contract.messages import Enqueue, QueuedPart
from contract.topics import Channel
from irrigation.by_hand import HandPart, expected, parts_now
from irrigation.model import Dose, QueuePolicy, Zone
from irrigation.queue import QUEUE_LIFE
from irrigation.run import RunState
from server import runs, shapes
from server.errors import Refused, Unavailable
from server.gateways import Gateways
from server.ledger import history
from server.ledger.database import Ledger
from server.live import Live
from server.records import Account, ProgramRecord, RunRecord
from server.shapes import Json, planned
from server.view import FarmView
from server.watering import Watering, check_dose

log = logging.getLogger(__name__)

_ANSWER_S = 1.0


def waiting(view: FarmView) -> list[Json]:
    """Return the runs that wait their turn, in the order in which it is expected; those without one last."""
    queued = [view.run_shape(run) for run in view.runs.values() if run.state is RunState.QUEUED]
    return sorted(queued, key=lambda run: (run["turn_at"] is None, run["turn_at"] or run["asked_at"]))


class Queueing:
    """Orders that the gateway queues. Their runs are `asked` until it has taken them, then `queued`."""

    def __init__(
        self, ledger: Ledger, live: Live, gateways: Gateways, watering: Watering, now: Callable[[], datetime]
    ) -> None:
        self._ledger = ledger
        self._live = live
        self._gateways = gateways
        self._watering = watering
        self._now = now

    async def ask(
        self,
        account: Account,
        view: FarmView,
        zone: Zone,
        dose: Dose,
        policy: QueuePolicy,
        *,
        key: str,
        request: str,
    ) -> RunRecord:
        """Ask for water that waits its turn; the same key gives the same run. Raise Refused when a rule says no."""
        known = self._watering.known(account, key, request)
        if known:
            return known[0]
        check_dose(zone, dose, "dose")
        (run,) = await self._enqueue(account, view, [HandPart(zone.id, dose)], None, policy, key, request)
        return run

    async def ask_program(
        self,
        account: Account,
        view: FarmView,
        program: ProgramRecord,
        policy: QueuePolicy,
        *,
        key: str | None,
        request: str,
    ) -> list[RunRecord]:
        """Ask for all that a program would give today, with its cycles, shares and order."""
        known = self._watering.known(account, key, request) if key else []
        if known:
            return known
        now = self._now()
        parts = parts_now(planned(view.farm), program.planned, view.plan_state(now).known, now)
        if not parts:
            raise Refused("nothing-to-give")
        return await self._enqueue(account, view, parts, program.id, policy, key, request)

    def foreseen(self, view: FarmView, program: ProgramRecord, policy: QueuePolicy) -> list[Json]:
        """What `ask_program` would ask for at this moment, each part with when it may expect its turn."""
        now = self._now()
        farm, state = planned(view.farm), view.plan_state(now)
        parts = parts_now(farm, program.planned, state.known, now)
        starts = expected(farm, state, parts, policy, now) if parts else ()
        return [shapes.hand_part(part, farm.zone(part.zone_id), at) for part, at in zip(parts, starts, strict=True)]

    async def _enqueue(
        self,
        account: Account,
        view: FarmView,
        parts: Sequence[HandPart],
        program_id: str | None,
        policy: QueuePolicy,
        key: str | None,
        request: str,
    ) -> list[RunRecord]:
        zones = {zone.id: zone for zone in view.farm.zones}
        command_id = f"cmd-{secrets.token_hex(8)}"
        wanted = [(zones[part.zone_id], part.dose) for part in parts]
        asked = self._watering.written(account, view, wanted, program_id, key, request, command_id)
        order = Enqueue(
            id=command_id, issued_at=asked[0].asked_at, expires_at=asked[0].expires_at or asked[0].asked_at,
            actor=account.name, policy=policy, give_up_at=asked[0].asked_at + QUEUE_LIFE, program_id=program_id,
            parts=tuple(
                QueuedPart(
                    run_id=run.id, zone_id=part.zone_id, dose=part.dose, soak_s=part.soak_s, pause_s=part.pause_s,
                    after=None if part.after is None else asked[part.after].id,
                    behind=None if part.behind is None else asked[part.behind].id,
                )
                for run, part in zip(asked, parts, strict=True)
            ),
        )  # fmt: skip
        self._live.tell(view.farm.id)
        try:
            async with asyncio.timeout(_ANSWER_S):
                life = order.expires_at - order.issued_at
                await self._gateways.send(view.farm.id, Channel.COMMAND, order, expires_s=life // timedelta(seconds=1))
        except TimeoutError:
            log.debug("queueing not confirmed farm=%s: the runs stay asked until it is answered", view.farm.id)
        except Unavailable:
            self._give_up(view, asked)
            raise
        return [view.runs.get(run.id, run) for run in asked]

    def _give_up(self, view: FarmView, asked: Sequence[RunRecord]) -> None:
        unsent = [runs.give_up(run, self._now()) for run in asked if run.state is RunState.ASKED]
        with self._ledger.begin() as tx:
            for run in unsent:
                history.put_run(tx, run)
        for run in unsent:
            view.put_run(run)
        self._live.tell(view.farm.id)
