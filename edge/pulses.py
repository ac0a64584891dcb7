"""Valves opened for a moment, so that a technician can hear which one it is: under a lease, within the caps, no run."""

import logging
from collections.abc import Callable

from contract.clock import Clock
from contract.messages import Origin, Outcome, Pulse, Reason, Reply
from edge.control.admission import refuse
from edge.control.order import Order
from edge.control.watering import by_cause
from edge.guard_client import GuardClient, GuardNews
from edge.store import Store
from edge.waterings import Waterings
from irrigation.model import Dose

log = logging.getLogger(__name__)


class Pulses:
    """The pulses under way. Each command is answered when it is taken and, by `tell`, when its valve has closed."""

    def __init__(
        self,
        store: Store,
        guard: GuardClient,
        waterings: Waterings,
        clock: Clock,
        *,
        changed: Callable[[], None],
        tell: Callable[[Reply], None],
    ) -> None:
        self._store = store
        self._guard = guard
        self._waterings = waterings
        self._clock = clock
        self._changed = changed
        self._tell = tell
        self._open: dict[str, tuple[str, Order]] = {}  # by lease: the command, and what it asked for

    async def start(self, command: Pulse) -> Reason | None:
        """Open the valve, or return why not. Raise GuardLost or GuardRefused."""
        standing = self._waterings.standing(command.channel)
        order = Order(
            run_id=f"pulse-{command.id}"[:80],
            zone_id=(standing.zone_id if standing else None) or "none",
            channel=command.channel,
            dose=Dose(minutes=1.0),  # the least that can be said of a pulse; `max_s` is what counts
            max_s=command.seconds,
            actor=command.actor,
            origin=Origin.PERSON,
        )
        reason = refuse(order, standing, self._clock.now(), was_closed=False, guard_up=self._guard.up)
        if reason is not None:
            return reason
        self._open[order.run_id] = (command.id, order)
        try:
            await self._guard.open(order.channel, order.run_id, order.max_s)
        except BaseException:
            self._open.pop(order.run_id, None)
            raise
        self._changed()
        return None

    def guard_news(self, news: GuardNews) -> None:
        """Count the seconds of a pulse that has ended for the day, and tell its end."""
        if news.event not in {"closed", "close-failed"} or news.lease_id not in self._open:
            return
        command_id, order = self._open.pop(news.lease_id)
        with self._store.transaction():
            self._store.end_lease(order, self._clock.now(), news.open_s)
        if news.event == "close-failed":
            self._end(command_id, Outcome.FAILED, "close-failed")
        else:
            _, code = by_cause(news.cause)
            self._end(command_id, Outcome.FAILED if code else Outcome.DONE, code)

    def guard_lost(self) -> None:
        """The guard is gone, and with it every lease: how long they lasted is not known, so all of it counts."""
        while self._open:
            _, (command_id, order) = self._open.popitem()
            with self._store.transaction():
                self._store.end_lease(order, self._clock.now(), order.max_s)
            self._end(command_id, Outcome.FAILED, "guard-lost")

    def _end(self, command_id: str, outcome: Outcome, code: str | None) -> None:
        reason = Reason(code=code) if code else None
        self._tell(Reply(command_id=command_id, at=self._clock.now(), outcome=outcome, reason=reason))
        log.info("pulse ended id=%s outcome=%s reason=%s", command_id, outcome, code or "")
        self._changed()
