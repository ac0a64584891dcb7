"""Tells the server how the farm stands: birth, hello, the retained snapshot and the retained plan."""

import asyncio
import logging
from enum import Flag, auto
from typing import Any

from contract.clock import Clock
from contract.errors import ContractError, NotConnected
from contract.messages import FarmState, Hello, Lane, Status
from contract.outbox import Outbox, Publisher
from contract.topics import GATEWAY, Channel
from gateway.boards import Boards
from gateway.plan import Plan

log = logging.getLogger(__name__)

COALESCE_S = 0.05
"""A snapshot waits this long for what else changes: the events in it went at once, and a person waits for those."""


class News(Flag):
    """What is still to be told."""

    NOTHING = 0
    STATE = auto()
    PLAN = auto()
    BIRTH = auto()


class Herald:
    """One task towards the server; what could not be told is told at the next connection."""

    def __init__(
        self, link: Publisher, *, boards: Boards, plan: Plan, outbox: Outbox, clock: Clock, software: str
    ) -> None:
        self._link = link
        self._boards = boards
        self._plan = plan
        self._outbox = outbox
        self._clock = clock
        self._software = software
        self._pending = News.NOTHING
        self._news = asyncio.Event()

    def tell(self, news: News = News.STATE) -> None:
        """Have it told soon."""
        self._pending |= news
        self._news.set()

    async def run(self) -> None:
        """Tell what is new, as long as the process lives."""
        while True:
            await self._news.wait()
            await asyncio.sleep(COALESCE_S)
            self._news.clear()
            if self._link.connected and self._pending:
                await self._tell_all()

    async def _tell_all(self) -> None:
        pending, self._pending = self._pending, News.NOTHING
        try:
            if News.BIRTH in pending:
                await self._say(Channel.STATUS, self._birth())
                await self._say(Channel.HELLO, self._hello())
            if News.STATE in pending:
                await self._say(Channel.STATE, self.state())
            if News.PLAN in pending and self._plan.timetable is not None:
                await self._say(Channel.PLAN, self._plan.timetable)
        except NotConnected:
            self._pending |= pending  # the next connection rings
        except ContractError as exc:
            log.error("the farm's state was not taken: %s", exc)

    async def _say(self, channel: Channel, message: Any) -> None:
        await self._link.publish(self._plan.farm_id, GATEWAY, channel, message)

    def _birth(self) -> Status:
        return Status(online=True, boot_id=self._outbox.boot_id, at=self._clock.now(), software=self._software)

    def _hello(self) -> Hello:
        return Hello(
            boot_id=self._outbox.boot_id,
            at=self._clock.now(),
            clock_trusted=self._clock.trusted(),
            software=self._software,
            config_version=self._plan.config_version,
            timetable_version=self._plan.timetable_version,
        )

    def state(self) -> FarmState:
        """Return the farm as the gateway knows it now."""
        now = self._clock.now()
        timetable = self._plan.timetable
        return FarmState(
            boot_id=self._outbox.boot_id,
            at=now,
            clock_trusted=self._clock.trusted(),
            software=self._software,
            nodes=self._boards.reports(self._plan.nodes(), now),
            config_version=self._plan.config_version,
            timetable_version=self._plan.timetable_version,
            valid_until=timetable.valid_until if timetable else None,
            outbox_events=self._outbox.depth(Lane.EVENTS),
            outbox_readings=self._outbox.depth(Lane.READINGS),
        )
