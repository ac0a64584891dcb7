"""Says to the boards what the journal wants of them: orders, closes, settings and plan, until they have taken them."""

import asyncio
import logging
from collections import OrderedDict
from itertools import count

from contract.clock import Clock
from contract.errors import ContractError, NotConnected
from contract.messages import Close
from contract.outbox import Publisher
from contract.topics import Channel
from gateway.journal import Journal
from gateway.orders import Minted, Orders
from gateway.plan import Plan
from gateway.planning.dispatch import Send, Wishes, due_sends
from irrigation.model import Timetable

log = logging.getLogger(__name__)

MINTED_KEPT = 2000


class Dispatcher:
    """One task towards the boards. All it remembers is when it last said what; after a restart it says it again."""

    def __init__(
        self, link: Publisher, *, journal: Journal, orders: Orders, plan: Plan, clock: Clock, boot_id: str
    ) -> None:
        self._link = link
        self._journal = journal
        self._orders = orders
        self._plan = plan
        self._clock = clock
        self._boot_id = boot_id
        self._numbers = count(1)
        self._news = asyncio.Event()
        self._sent_at_s: dict[str, float] = {}
        self._keys_of: dict[str, set[str]] = {}
        self._minted: OrderedDict[str, Minted] = OrderedDict()
        self._failed: set[str] = set()

    def wake(self) -> None:
        """Look again: the journal or a board's versions have changed."""
        self._news.set()

    def again(self, node_id: str | None = None) -> None:
        """Say everything again: to that board, which is back; or to all, because the broker is back."""
        if node_id is None:
            self._sent_at_s.clear()
            self._keys_of.clear()
        for key in self._keys_of.pop(node_id or "", ()):
            self._sent_at_s.pop(key, None)
        self._news.set()

    def minted(self, command_id: str) -> Minted | None:
        """Return what an order was about that the gateway made up itself."""
        return self._minted.get(command_id)

    async def run(self) -> None:
        """Send what is due, then sleep until something is."""
        while True:
            self._news.clear()
            wait_s = await self._round()
            try:
                async with asyncio.timeout(wait_s):
                    await self._news.wait()
            except TimeoutError:
                pass

    async def _round(self) -> float | None:
        """Send what is due; return after how many seconds something will be again."""
        if not self._link.connected:
            return None  # the connection wakes
        sends, wait_s = due_sends(self.wishes(), self._sent_at_s, self._clock.now(), self._now_s(), self._new_id)
        for send in sends:
            if self._news.is_set() and send.channel is not Channel.COMMAND:
                return 0.0  # a timetable can be long: orders that came meanwhile go first
            if not await self._send(send):
                return None
        return wait_s

    def wishes(self) -> Wishes:
        """Return what is wanted of the boards now."""
        now = self._clock.now()
        return Wishes(
            opens=self._orders.to_send(now),
            closes=self._journal.closes(),
            close_alls=self._journal.close_alls(),
            errands=self._orders.errands.waiting(),
            boards=self._plan.held(now),
        )

    async def _send(self, send: Send) -> bool:
        if isinstance(send.message, Timetable) and not self._plan.give(send.node_id, send.message):
            return True  # planned anew since we looked
        if isinstance(send.message, Close):
            self._minted[send.message.id] = Minted(send.message.run_id, send.node_id)
            if len(self._minted) > MINTED_KEPT:
                self._minted.popitem(last=False)
        self._sent_at_s[send.key] = self._now_s()
        self._keys_of.setdefault(send.node_id, set()).add(send.key)
        try:
            await self._link.publish(
                self._plan.farm_id, send.node_id, send.channel, send.message, expires_s=send.expires_s
            )
        except NotConnected:
            self._sent_at_s.pop(send.key, None)
            return False
        except ContractError as exc:
            if send.key not in self._failed:
                log.error("not sent key=%s node=%s: %s", send.key, send.node_id, exc)
                self._failed.add(send.key)
        else:
            self._failed.discard(send.key)
        return True

    def _new_id(self) -> str:
        return f"{self._boot_id}-{next(self._numbers)}"

    def _now_s(self) -> float:
        return asyncio.get_running_loop().time()
