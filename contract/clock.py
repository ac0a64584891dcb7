"""The time of records, and whether it can be believed; durations never come from here.

A machine without a battery wakes in 1970, or at the moment when it was last switched off. What it was told before that
moment is still true: time has passed since. So there is always a time below which it cannot be, and while the machine
shows less than that, it is not believed and that bound is used in its place.
"""

import ctypes
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

EARLIEST = datetime(2024, 1, 1, tzinfo=UTC)
"""No true clock shows less: this program did not exist."""
TOLERANCE = timedelta(seconds=60)
STEP = timedelta(seconds=5)
"""A clock that gains more than this against monotonic time was set, not slewed."""

_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised


def kernel_keeps_time() -> bool:
    """Whether the kernel says that its clock is kept right by NTP, PTP or GPS (adjtimex)."""
    # A struct of zeros asks and changes nothing. 512 bytes are more than it has anywhere.
    return ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.create_string_buffer(512)) not in (_TIME_ERROR, -1)


def set_from_battery(rtcs: Path = Path("/sys/class/rtc")) -> bool:
    """Whether the kernel took its time from a clock with a battery when it started."""
    return "1" in [one.read_text().strip() for one in rtcs.glob("*/hctosys")]


class Clock:
    """Aware UTC, with a bound that it cannot be below: the last known time plus what has passed since, monotonic.

    `last_known` is what the process wrote down in its last life: its `now`, believed or not. With `proof` the clock is
    also not believed before the kernel has said once that somebody set it: `kept` now, or a battery at its start.
    """

    def __init__(
        self,
        last_known: datetime | None,
        read: Callable[[], datetime] = lambda: datetime.now(UTC),
        *,
        monotonic: Callable[[], float] = time.monotonic,
        kept: Callable[[], bool] = kernel_keeps_time,
        proof: bool = False,
    ) -> None:
        self._read = read
        self._monotonic = monotonic
        self._kept = kept
        self._bound = max(last_known or EARLIEST, EARLIEST)
        self._bound_s = self._believed_s = monotonic()
        self._proven = not proof or set_from_battery()
        self._looked = False
        self._set_ahead = timedelta(0)

    def now(self) -> datetime:
        """Return the machine's time while it can be believed, else the bound: the truth is that or later."""
        shown, trusted = self._look()
        return shown if trusted else self._bound

    def trusted(self) -> bool:
        """Whether the machine's time can be believed: proven if that is asked for, and not below the bound."""
        return self._look()[1]

    def untrusted_s(self) -> float:
        """Return for how long it has not been believed, in s; 0.0 while it is."""
        self._look()
        return self._bound_s - self._believed_s

    def set_ahead(self) -> timedelta:
        """Return by how much it has been set ahead in all since it was first believed; durations know nothing of it."""
        self._look()
        return self._set_ahead

    def heard(self, at: datetime) -> None:
        """Take note of a time that somebody with a better clock has stamped on a message: it is past."""
        self._look()
        self._bound = max(self._bound, at)

    def vouched(self, at: datetime) -> None:
        """Take the time that somebody with a better clock says it is now: also a bound that is ahead comes down to it.

        A machine that shows more is believed all the same, and raises the bound again.
        """
        self._look()
        if at > self._bound or at < self._bound - TOLERANCE:
            self._bound = max(at, EARLIEST)

    def _look(self) -> tuple[datetime, bool]:
        at_s = self._monotonic()
        self._bound += timedelta(seconds=at_s - self._bound_s)
        self._bound_s = at_s
        shown = self._read()
        self._proven = self._proven or self._kept()
        if shown < self._bound - TOLERANCE:
            # Kept right and yet below: then what was known came from a clock that had jumped ahead.
            if not self._kept() or shown < EARLIEST:
                return shown, False
            self._bound = shown
        if not self._proven:
            return shown, False
        if self._looked and shown - self._bound > STEP:
            self._set_ahead += shown - self._bound
        self._looked = True
        self._bound = max(self._bound, shown)
        self._believed_s = at_s
        return shown, True
