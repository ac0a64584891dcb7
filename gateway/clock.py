"""The time of records, and whether it can be believed."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

EARLIEST = datetime(2024, 1, 1, tzinfo=UTC)
"""No true clock shows less: this program did not exist. Machines without a battery start in 1970 or 2000."""
TOLERANCE = timedelta(seconds=60)


class Clock:
    """Aware UTC. A clock below the last time that the journal knows is not trusted, and nothing is planned by it."""

    def __init__(self, last_known: datetime | None, read: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._read = read
        self._floor = max(last_known or EARLIEST, EARLIEST)

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
