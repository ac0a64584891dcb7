"""All farms in memory, and those who watch them: a snapshot first, then each change once.

What people and valves do is told at once; what only drifts (moisture, ages) twice a second at most.
"""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Callable
from datetime import datetime, timedelta
from typing import Any

from contract.codec import decode
from contract.errors import ContractError
from contract.messages import FarmState, NodeState, Quantity, Reading
from contract.topics import GATEWAY, Channel
from irrigation.model import Timetable
from server.errors import Unavailable
from server.ingest import Changes
from server.ledger import farms, history
from server.ledger.database import Ledger
from server.series.port import SUMMED, Series
from server.shapes import iso
from server.view import SHOWN_AFTER_END, FarmView, local_midnight

log = logging.getLogger(__name__)

HEARTBEAT_S = 15.0
_DRIFT_S = 0.5
_TIDY_EVERY_S = 10.0
_LATELY = timedelta(days=1)
_WAITING = 64  # messages that a slow phone may be behind; then it gets a new snapshot instead

Message = tuple[str, int, str]  # event, id, JSON


class Subscription:
    """One who watches a farm."""

    def __init__(self, view: FarmView, now: Callable[[], datetime]) -> None:
        self._view = view
        self._now = now
        self._queue: asyncio.Queue[Message | None] = asyncio.Queue(_WAITING)
        self._behind = True
        self._last_id = 0

    def tell(self, message: Message | None) -> None:
        """Queue a change; None ends it."""
        try:
            self._queue.put_nowait(message)
        except asyncio.QueueFull:
            self._behind = True
            while not self._queue.empty():
                self._queue.get_nowait()
            if message is None:
                self._queue.put_nowait(None)

    async def messages(self) -> AsyncGenerator[Message, None]:
        """Snapshot, changes and heartbeats, until the server ends."""
        while True:
            if self._behind:
                self._behind = False
                while not self._queue.empty():
                    if self._queue.get_nowait() is None:
                        return
                yield "snapshot", self._last_id, encode(self._view.snapshot(self._now()))
            try:
                async with asyncio.timeout(HEARTBEAT_S):
                    message = await self._queue.get()
            except TimeoutError:
                yield "heartbeat", self._last_id, encode({"at": iso(self._now())})
                continue
            if message is None:
                return
            self._last_id = message[1]
            if not self._behind:
                yield message


class Live:
    """The views of all farms; told by ingest, by the gateways' messages and by what people do."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._views: dict[str, FarmView] = {}
        self._watching: dict[str, set[Subscription]] = {}
        self._last_id = 0

    # --- views ---

    def build(self, ledger: Ledger, series: Series) -> None:
        """Read every farm from the stores; at the start, and when a farm was added."""
        now = self._now()
        with ledger.read() as connection:
            for farm_id in farms.ids(connection):
                record = farms.get(connection, farm_id)
                if record is None:
                    continue
                view = FarmView(record)
                for run in history.runs_since(connection, farm_id, now - SHOWN_AFTER_END):
                    view.put_run(run)
                for alert in history.open_alerts(connection, farm_id):
                    view.put_alert(alert)
                view.last_dose = history.last_doses(connection, farm_id)
                for decision in history.decisions_between(connection, farm_id, None, now - _LATELY, now, 1000):
                    view.put_decision(decision)
                view.settled |= dict.fromkeys(history.settled(connection, farm_id, now - timedelta(days=3)), now)
                for channel, (payload, at) in history.said(connection, farm_id).items():
                    _resume(view, Channel(channel), payload, at)
                for latest in series.latest(farm_id):
                    view.put_reading(latest)
                self._views[farm_id] = view

    async def warm(self, series: Series) -> None:
        """Count what has rained today; without an answer from the series it counts from now on."""
        now = self._now()
        for view in self._views.values():
            gauges = [one.sensor for one in series.latest(view.farm.id) if one.sensor.quantity in SUMMED]
            gauges = [sensor for sensor in gauges if sensor.quantity is Quantity.RAIN]
            try:
                span = await series.span(gauges[:1], local_midnight(view.farm, now), now, 2000)
            except Unavailable as exc:
                log.warning("rain of today is not known farm=%s: %s", view.farm.id, exc)
                continue
            view.add_rain(now, sum(point.mean for point in span.points), now)

    def view(self, farm_id: str) -> FarmView | None:
        """A farm; None when there is none."""
        return self._views.get(farm_id)

    def views(self) -> list[FarmView]:
        """All farms."""
        return list(self._views.values())

    def names(self) -> dict[str, str]:
        """All farms' names."""
        return {farm_id: view.farm.name for farm_id, view in self._views.items()}

    # --- ingest's watcher ---

    def readings(self, farm_id: str, sender: str, readings: tuple[Reading, ...]) -> None:
        """Readings have been stored."""
        view = self._views.get(farm_id)
        if view is not None:
            view.readings(sender, readings, self._now())

    def changes(self, farm_id: str, changes: Changes) -> None:
        """Events have been stored."""
        view = self._views.get(farm_id)
        if view is None:
            return
        for run in changes.runs.values():
            view.put_run(run)
        for alert in changes.alerts.values():
            view.put_alert(alert)
        for decision in changes.decisions:
            view.put_decision(decision)
        self.tell(farm_id)

    # --- watchers ---

    def subscribe(self, farm_id: str) -> Subscription:
        """Begin to watch; `leave` ends it."""
        subscription = Subscription(self._views[farm_id], self._now)
        self._watching.setdefault(farm_id, set()).add(subscription)
        return subscription

    def leave(self, farm_id: str, subscription: Subscription) -> None:
        """Watch no more."""
        self._watching.get(farm_id, set()).discard(subscription)

    def watchers(self) -> int:
        """How many watch."""
        return sum(len(watching) for watching in self._watching.values())

    def tell(self, farm_id: str) -> None:
        """Tell those who watch a farm what has changed, now."""
        view = self._views[farm_id]
        watching = self._watching.get(farm_id)
        if not watching or not view.changed:
            return
        delta = view.delta(self._now())
        if delta is None:
            return
        self._last_id += 1
        message = ("delta", self._last_id, encode(delta))
        for subscription in watching:
            subscription.tell(message)

    async def run(self) -> None:
        """Tell what drifts, and tidy."""
        loop = asyncio.get_running_loop()
        tidied = loop.time()
        while True:
            await asyncio.sleep(_DRIFT_S)
            if loop.time() - tidied >= _TIDY_EVERY_S:
                tidied = loop.time()
                for view in self._views.values():
                    view.tidy(self._now())
            for farm_id in self._views:
                self.tell(farm_id)

    def close(self) -> None:
        """End every subscription: the server goes."""
        for watching in self._watching.values():
            for subscription in watching:
                subscription.tell(None)


def encode(value: Any) -> str:
    """JSON in one line."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _resume(view: FarmView, channel: Channel, payload: str, at: datetime) -> None:
    try:
        said = decode(channel, payload.encode())
    except ContractError as exc:
        # Kept by an older version of ours; the gateway says it anew when it connects.
        log.warning("last word not understood farm=%s node=%s channel=%s: %s", view.farm.id, GATEWAY, channel, exc)
        return
    if isinstance(said, FarmState):
        view.state(said)
        view.gateway(online=None, heard_at=at)
    elif isinstance(said, Timetable):
        view.set_plan(said)
    elif isinstance(said, NodeState):
        log.warning("a board's state where the gateway's belongs farm=%s", view.farm.id)
