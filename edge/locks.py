"""What faults keep shut, said to the guard until it says so too: locked valves, and the supplies of those that run on.

The agent decides and the guard holds (decision 0011): each keeps its list, and after a loss the longer one counts.
"""

import logging

from edge.config import BoardSettings
from edge.control.faults import Fault
from edge.errors import GuardLost, GuardRefused
from edge.guard_client import GuardClient
from edge.valves import CLOSE_FAILED, Valves

log = logging.getLogger(__name__)


class Locks:
    """Keeps the guard's locks as the valves' faults want them; only `free`, on a person's word, opens one early."""

    def __init__(self, settings: BoardSettings, guard: GuardClient, valves: Valves) -> None:
        self._supply_of = {valve.channel: valve.supply for valve in settings.valve if valve.supply is not None}
        self._channels = [valve.channel for valve in settings.valve]
        self._guard = guard
        self._valves = valves
        self._refused: set[str] = set()

    def wanted(self) -> dict[str, str]:
        """Return what must be shut, and why: valves by their channel, supplies by their name."""
        wanted: dict[str, str] = {}
        for channel in self._channels:
            valve = self._valves[channel]
            if valve.lock is not None:
                wanted[channel] = valve.lock.value
            if valve.shuts_supply and channel in self._supply_of:
                wanted[self._supply_of[channel]] = valve.lock.value if valve.lock else CLOSE_FAILED
        return wanted

    def supply_lock(self, channel: str) -> tuple[str, str] | None:
        """Return the locked supply of a valve and why it is, None while it may run."""
        supply = self._supply_of.get(channel)
        why = self.wanted().get(supply, self._guard.locked.get(supply)) if supply else None
        return (supply, why) if supply and why else None

    @property
    def amiss(self) -> bool:
        """Whether the guard holds other locks than are wanted."""
        return self._guard.up and set(self._guard.locked) - self._refused != set(self.wanted()) - self._refused

    async def keep(self) -> None:
        """Bring both lists together; a guard that is lost is asked again by the next call."""
        wanted = self.wanted()
        try:
            for name, why in wanted.items():
                if name not in self._guard.locked:
                    await self._guard.lock(name, why)
                    log.warning("locked name=%s why=%s", name, why)
            for name, why in list(self._guard.locked.items()):
                if name not in wanted:
                    await self._settle(name, why)
        except GuardLost as exc:
            log.error("locks not kept: %s", exc)
        except GuardRefused as exc:
            self._refused.add(name)
            log.error("lock refused name=%s code=%s: %s", name, exc.code, exc)

    async def free(self, channel: str) -> None:
        """Unlock a valve, and its supply unless another valve shuts it. Raise GuardLost or GuardRefused."""
        supply = self._supply_of.get(channel)
        neighbours = [one for one in self._channels if one != channel and self._supply_of.get(one) == supply]
        if any(self._valves[one].shuts_supply for one in neighbours):
            supply = None
        for name in (channel, supply):
            if name is not None and name in self._guard.locked:
                await self._guard.unlock(name)
                log.info("unlocked name=%s", name)

    async def _settle(self, name: str, why: str) -> None:
        """A lock that only the guard knows: of a line that has closed since, or kept through the loss of our store."""
        if name in self._channels and why in set(Fault):
            self._valves.adopt(name, Fault(why))
        elif why == CLOSE_FAILED:
            await self._guard.unlock(name)
        else:
            self._refused.add(name)  # another hand's, or of a supply whose faulty valve nobody knows any more
