"""Moves an outbox over a link until the other side has acknowledged everything."""

import asyncio
import logging
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Protocol

from contract.errors import ContractError, NotConnected, TooLarge
from contract.messages import Ack, Lane
from contract.outbox.rows import Outbox, Parcel
from contract.topics import Channel

log = logging.getLogger(__name__)

WINDOW = 4
"""Batches of a lane that may be on their way at once, when the connection is quick."""
FIRST_LIMIT, LEAST_LIMIT, MOST_LIMIT = 20, 5, 1000
"""Records in the first batch of a connection, whose speed is not known: 20 readings take 3 s at 8 kbit/s."""
QUICK_S, SLOW_S = 0.5, 2.0  # time to PUBACK below which batches grow and above which they shrink


class Publisher(Protocol):
    """What a Sender needs of a link."""

    @property
    def connected(self) -> bool:
        """Whether a broker answers now."""
        ...

    async def publish(
        self, farm_id: str, node_id: str, channel: Channel, message: Any, *, expires_s: int | None = None
    ) -> None:
        """Send one message; return when the broker has it."""
        ...


@dataclass(slots=True)
class _Way:
    """A lane on its way: the batches not yet acknowledged and where the next one starts."""

    lane: Lane
    flight: deque[Parcel] = field(default_factory=deque)
    cursor: int = 0  # row of the last record sent
    tries: int = 0  # resends since the last acknowledgement
    resend_at: float = 0.0  # loop time; counts while something is in flight

    def rewind(self) -> None:
        self.flight.clear()
        self.cursor = 0


class Sender:
    """Sends batches, events before readings, a few at once; sends again when acknowledgements stay away.

    One per outbox and link. The caller passes every Ack of the link to `on_ack`, tells each connection by `on_connect`
    and each commit that appended by `wake`. Durations are the loop's monotonic time, in seconds.
    """

    def __init__(
        self,
        outbox: Outbox,
        link: Publisher,
        farm_id: str,
        node_id: str,
        *,
        resend_s: float = 5.0,
        resend_most_s: float = 120.0,
    ) -> None:
        self._outbox = outbox
        self._link = link
        self._farm_id = farm_id
        self._node_id = node_id
        self._resend_s = resend_s
        self._resend_most_s = resend_most_s
        self._ways = [_Way(Lane.EVENTS), _Way(Lane.READINGS)]
        self._news = asyncio.Event()
        self._limit = FIRST_LIMIT
        self._quick = False  # until a PUBACK has shown it
        self._hold_until = 0.0  # no sending before: the broker refused
        self._refused = ""  # the last refusal that was logged

    def wake(self) -> None:
        """Look for records to send: there was a commit that appended."""
        self._news.set()

    def on_ack(self, ack: Ack) -> None:
        """Drop what the receiver has committed; go back when it holds less than the batches on their way build on."""
        self._outbox.acknowledge(ack)
        way = next(way for way in self._ways if way.lane is ack.lane)
        arrived = False
        while way.flight and way.flight[0].boot_id == ack.boot_id and way.flight[0].last_seq <= ack.seq:
            way.flight.popleft()
            arrived = True
        if arrived:
            way.tries = 0
            self._set_alarm(way)
        elif way.flight and way.flight[0].boot_id == ack.boot_id and way.flight[0].after_seq > ack.seq:
            log.info(
                "outbox goes back node_id=%s lane=%s boot_id=%s seq=%d", self._node_id, ack.lane, ack.boot_id, ack.seq
            )
            way.rewind()
        if ack.resume:  # what was sent found nobody; somebody is there now, so the wait is over
            self._start_over()
        self._news.set()

    def on_connect(self) -> None:
        """Send again from the last acknowledgement: what was on its way may be lost. Begin with little."""
        self._start_over()
        self._limit, self._quick = FIRST_LIMIT, False
        self._hold_until = 0.0
        self._news.set()

    async def run(self) -> None:
        """Send for ever; a task in the process's TaskGroup."""
        async with asyncio.TaskGroup() as sends:
            while True:
                self._news.clear()
                self._go_back_where_acks_stay_away()
                while (parcel := self._next()) is not None:
                    sends.create_task(self._send(parcel), name=f"send {parcel.lane} {parcel.last_seq}")
                    await asyncio.sleep(0)  # an event committed meanwhile goes before the next batch of readings
                await self._wait()

    def _start_over(self) -> None:
        for way in self._ways:
            way.rewind()
            way.tries = 0

    def _next(self) -> Parcel | None:
        if not self._link.connected or self._now() < self._hold_until:
            return None
        for way in self._ways:
            # After a silence one batch asks whether the other side is there; a slow line gets no queue either, since
            # an event would have to wait for all of it.
            room = WINDOW if self._quick and way.tries == 0 else 1
            if len(way.flight) >= room:
                continue
            parcel = self._outbox.batch(way.lane, way.cursor, self._limit)
            if parcel is not None:
                way.cursor = parcel.last_row
                way.flight.append(parcel)
                if len(way.flight) == 1:
                    self._set_alarm(way)
                return parcel
        return None

    async def _send(self, parcel: Parcel) -> None:
        started = self._now()
        try:
            await self._link.publish(self._farm_id, self._node_id, Channel.BATCH, parcel.payload)
        except NotConnected:
            return  # on_connect starts again
        except ContractError as exc:
            if isinstance(exc, TooLarge):
                self._limit = max(1, min(self._limit, parcel.count) // 2)
            self._refuse(parcel, exc)
            return
        if self._refused:
            log.info("outbox is taken again node_id=%s", self._node_id)
            self._refused = ""
        took = self._now() - started
        self._quick = took < QUICK_S
        if took > SLOW_S:
            self._limit = max(LEAST_LIMIT, min(self._limit, parcel.count) // 2)
        elif self._quick and parcel.count >= self._limit:
            self._limit = min(MOST_LIMIT, self._limit * 2)
        way = next(way for way in self._ways if way.lane is parcel.lane)
        if parcel in way.flight:
            self._set_alarm(way)  # the wait for its Ack begins now, however long the line took to carry it
        self._news.set()

    def _refuse(self, parcel: Parcel, exc: ContractError) -> None:
        if str(exc) != self._refused:
            log.error(
                "outbox is refused node_id=%s lane=%s count=%d: %s", self._node_id, parcel.lane, parcel.count, exc
            )
            self._refused = str(exc)
        for way in self._ways:
            way.rewind()
        self._hold_until = self._now() + self._resend_s
        self._news.set()

    def _go_back_where_acks_stay_away(self) -> None:
        for way in self._ways:
            if way.flight and self._now() >= way.resend_at:
                if way.tries == 0:
                    log.info("acknowledgements stay away node_id=%s lane=%s", self._node_id, way.lane)
                way.tries += 1
                way.rewind()

    def _set_alarm(self, way: _Way) -> None:
        # Exponent bounded: 2.0 ** 1100 would be an OverflowError after some days of silence.
        way.resend_at = self._now() + min(self._resend_s * 2.0 ** min(way.tries, 30), self._resend_most_s)

    async def _wait(self) -> None:
        alarms = [way.resend_at for way in self._ways if way.flight]
        if self._hold_until > self._now():
            alarms.append(self._hold_until)
        try:
            async with asyncio.timeout_at(min(alarms, default=None)):
                await self._news.wait()
        except TimeoutError:
            pass

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
