"""board.toml read again while the agent runs: a bad file changes nothing, a good one is taken when no valve is open."""

import logging
from collections.abc import Callable
from datetime import datetime

from contract.errors import ConfigError
from contract.logs import set_level
from contract.messages import FaultEvent
from contract.outbox import Outbox
from contract.service import notify, reloading
from edge.config import BoardSettings
from edge.control.reload import merge
from edge.store import Store

log = logging.getLogger(__name__)

REFUSED = "config-refused"


class Reload:
    """Keeps what was read until it may be `take`n. Pins and valves are never touched: they are the guard's."""

    def __init__(
        self,
        settings: BoardSettings,
        *,
        store: Store,
        outbox: Outbox,
        busy: Callable[[], bool],
        take: Callable[[BoardSettings], None],
    ) -> None:
        self._settings = settings
        self._store = store
        self._outbox = outbox
        self._busy = busy
        self._take = take
        self._waiting: BoardSettings | None = None

    def read(self, load: Callable[[], BoardSettings], now: datetime) -> None:
        """Read the file anew by `load`; refuse, take or keep what it says, and tell which."""
        reloading()
        try:
            self._weigh(load(), now)
        except ConfigError as exc:
            log.error("configuration refused, the last good one stays: %s", exc)
            self._tell_refused(str(exc), now)
        finally:
            notify("READY=1")

    def look(self) -> None:
        """Take what was read, unless a watering is under way: its dose is counted to the end as it was begun."""
        if self._waiting is None or self._busy():
            return
        settings, self._waiting = self._waiting, None
        self._settings = settings
        set_level(settings.log)
        self._take(settings)
        log.info("configuration taken report_every_s=%g log=%s", settings.report_every_s, settings.log)

    def tell_good(self, now: datetime) -> None:
        """Say that the file is good again, if it was told to be bad; inside the caller's transaction."""
        if self._store.fact(REFUSED, bool):
            self._store.note(REFUSED, bool, False)  # noqa: FBT003 - a value, not a flag
            self._outbox.append(FaultEvent(seq=1, at=now, code=REFUSED, cleared=True))

    def _weigh(self, new: BoardSettings, now: datetime) -> None:
        merged, needs_restart = merge(self._settings.model_dump(), new.model_dump())
        with self._store.transaction():
            self.tell_good(now)
        if needs_restart:
            log.warning("these settings need a restart of agent and guard fields=%s", ",".join(needs_restart))
        self._waiting = BoardSettings.model_validate(merged)
        if self._busy():
            log.info("configuration read: it is taken when the watering under way has ended")
        self.look()

    def _tell_refused(self, why: str, now: datetime) -> None:
        if self._store.fact(REFUSED, bool):
            return
        with self._store.transaction():
            self._store.note(REFUSED, bool, True)  # noqa: FBT003 - a value, not a flag
            self._outbox.append(FaultEvent(seq=1, at=now, code=REFUSED, params={"why": why[:200]}))
