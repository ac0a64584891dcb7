"""Keeps the parts of the agent alive: one that raises is told, its valves are closed, and it is begun again.

What a part cannot be begun again from is a store that fails. Then the process ends, and its next life finds out whether
the disk takes anything: the service manager starts it at once.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from contract.store import STORE_FAILED

log = logging.getLogger(__name__)

RESTART_LEAST_S, RESTART_MOST_S = 0.5, 30.0
WELL_S = 60.0  # a part that has lasted so long since it was begun again is well


class Supervisor:
    """Runs parts for ever. `close` closes every valve; `tell` reports a part that failed or is well again.

    `lost` is called when the store fails, in whatever part; the caller ends the process.
    """

    def __init__(
        self,
        *,
        close: Callable[[str], Awaitable[object]],
        tell: Callable[[str, bool], None],
        lost: Callable[[BaseException], None],
    ) -> None:
        self._close = close
        self._tell = tell
        self._lost = lost

    async def keep(self, name: str, part: Callable[[], Awaitable[None]]) -> None:
        """Run a part until cancelled or until the store fails."""
        wait_s = RESTART_LEAST_S
        ill = False
        while True:
            begun_s = _now_s()
            well = asyncio.get_running_loop().call_later(WELL_S, self._well, name) if ill else None
            try:
                await part()
            except Exception as exc:  # the supervisor: whatever it is, the valves are closed and the board goes on
                log.exception("part failed name=%s again_in_s=%g", name, wait_s)
                if not await self._after(name, exc):
                    return
                ill = True
            finally:
                if well is not None:
                    well.cancel()
            wait_s = RESTART_LEAST_S if _now_s() - begun_s > RESTART_MOST_S else min(2 * wait_s, RESTART_MOST_S)
            await asyncio.sleep(wait_s)

    async def _after(self, name: str, exc: Exception) -> bool:
        """Close first, tell then; return whether the part may go on."""
        try:
            if store_failed(exc):
                raise exc
            await self._close(name)
            self._tell(name, False)  # noqa: FBT003 - it is well, or not
        except Exception as again:
            if not store_failed(again):
                raise
            self._lost(again)
            return False
        return True

    def _well(self, name: str) -> None:
        log.info("part is well again name=%s", name)
        try:
            self._tell(name, True)  # noqa: FBT003 - it is well, or not
        except STORE_FAILED as exc:
            self._lost(exc)


def store_failed(exc: BaseException) -> bool:
    """Whether the store is what failed; also within a group of a task group."""
    if isinstance(exc, BaseExceptionGroup):
        return any(store_failed(one) for one in exc.exceptions)
    return isinstance(exc, STORE_FAILED)


def _now_s() -> float:
    return asyncio.get_running_loop().time()
