"""The time of records and whether it can be believed; durations never come from here."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

BUILT = datetime(2026, 11, 1, tzinfo=UTC)
"""No true clock shows less: this program did not exist."""
TOLERANCE = timedelta(seconds=60)


class Clock:
    """Aware UTC. Below the last time that the board knew, the clock is not trusted and no calendar is followed."""

    def __init__(self, last_known: datetime | None, read: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._read = read
        self._floor = max(last_known or BUILT, BUILT)

    def now(self) -> datetime:
        """Return the time of this machine."""
        return self._read()

    def trusted(self) -> bool:
        """Whether the time is not below what is known to be past."""
        now = self._read()
        if now < self._floor - TOLERANCE:
            return False
        self._floor = max(self._floor, now)
        return True
