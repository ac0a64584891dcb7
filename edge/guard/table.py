"""Who may hold which valve open, and until when: the guard's rules as a pure table.

    state of a channel   event                          next      act
    closed               open within the caps           open      drive the line
    closed               open above a cap               closed    refuse
    open                 open with the same lease       open      answer again; its deadline stays
    open                 open with another lease        open      refuse
    open                 renew with the lease           open      later renewal limit
    any                  close, close-all               closed    release the line
    any                  deadline, no renewal in time   closed    release the line
    any                  agent gone, guard ends         closed    release the line

Times are monotonic seconds. Nothing here waits, reads a clock, or can extend a lease.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum

DAY_S = 86_400.0


class Cause(str, Enum):  # noqa: UP042 - StrEnum would do the same; this module stays importable everywhere
    """Why a valve closed."""

    TOLD = "told"
    DEADLINE = "deadline"
    NOT_RENEWED = "not-renewed"
    AGENT_GONE = "agent-gone"
    ENDING = "ending"


class Refused(ValueError):
    """The guard does not open; `code` is stable, the message is for the log."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Cap:
    """The hard limits of one channel in s: of one lease, and of all within 24 hours."""

    max_open_s: float
    max_day_s: float


@dataclass(slots=True)
class _Lease:
    lease_id: str
    opened_s: float
    deadline_s: float
    renew_by_s: float


@dataclass(slots=True)
class _Channel:
    cap: Cap
    lease: _Lease | None = None
    used: list[tuple[float, float]] = field(default_factory=list)  # (when it closed, for how long it was open)


@dataclass(frozen=True, slots=True)
class Closed:
    """A channel that must be closed now."""

    channel: str
    lease_id: str
    cause: Cause
    open_s: float


class Table:
    """The leases of one board."""

    def __init__(self, caps: dict[str, Cap], renew_s: float) -> None:
        self._channels = {name: _Channel(cap) for name, cap in caps.items()}
        self._renew_s = renew_s

    def open(self, channel: str, lease_id: str, seconds: float, at_s: float) -> tuple[bool, float]:
        """Grant a lease and return (whether the line must be driven now, its deadline); raise Refused."""
        known = self._known(channel)
        if known.lease is not None:
            if known.lease.lease_id == lease_id:
                return False, known.lease.deadline_s
            raise Refused("busy", f"{channel} is open under lease {known.lease.lease_id}")
        if not 0 < seconds <= known.cap.max_open_s:
            raise Refused("above-cap", f"{channel} may be open for {known.cap.max_open_s:g} s at most, not {seconds:g}")
        used_s = self._used_s(known, at_s)
        if used_s + seconds > known.cap.max_day_s:
            raise Refused(
                "daily-cap",
                f"{channel} was open for {used_s:.0f} s of {known.cap.max_day_s:g} in 24 h, {seconds:g} is too much",
            )
        known.lease = _Lease(lease_id, at_s, at_s + seconds, at_s + self._renew_s)
        return True, known.lease.deadline_s

    def renew(self, lease_ids: Iterable[str], at_s: float) -> None:
        """Say that the agent still wants these leases; unknown ones are passed over. No deadline moves."""
        wanted = frozenset(lease_ids)
        for channel in self._channels.values():
            if channel.lease is not None and channel.lease.lease_id in wanted:
                channel.lease.renew_by_s = at_s + self._renew_s

    def close(self, channel: str, at_s: float, cause: Cause = Cause.TOLD) -> list[Closed]:
        """End the lease of a channel; nothing if it has none. Raise Refused for an unknown channel."""
        known = self._known(channel)
        if known.lease is None:
            return []
        lease, known.lease = known.lease, None
        open_s = max(0.0, at_s - lease.opened_s)
        known.used.append((at_s, open_s))
        return [Closed(channel, lease.lease_id, cause, open_s)]

    def close_all(self, at_s: float, cause: Cause) -> list[Closed]:
        """End every lease."""
        return [closed for channel in self._channels for closed in self.close(channel, at_s, cause)]

    def due(self, at_s: float) -> list[Closed]:
        """End the leases whose deadline has passed or that were not renewed in time."""
        closed: list[Closed] = []
        for name, channel in self._channels.items():
            if channel.lease is None:
                continue
            if at_s >= channel.lease.deadline_s:
                closed += self.close(name, at_s, Cause.DEADLINE)
            elif at_s >= channel.lease.renew_by_s:
                closed += self.close(name, at_s, Cause.NOT_RENEWED)
        return closed

    def next_s(self) -> float | None:
        """When `due` must be asked next; None with everything closed."""
        times = [
            min(channel.lease.deadline_s, channel.lease.renew_by_s)
            for channel in self._channels.values()
            if channel.lease is not None
        ]
        return min(times, default=None)

    def leases(self) -> dict[str, str | None]:
        """Return the lease of each channel; None = closed."""
        return {name: channel.lease.lease_id if channel.lease else None for name, channel in self._channels.items()}

    def _known(self, channel: str) -> _Channel:
        if channel not in self._channels:
            raise Refused("unknown-channel", f"no channel {channel!r}, only {', '.join(self._channels)}")
        return self._channels[channel]

    def _used_s(self, channel: _Channel, at_s: float) -> float:
        channel.used = [(closed_s, open_s) for closed_s, open_s in channel.used if closed_s > at_s - DAY_S]
        return sum(open_s for _, open_s in channel.used)
