"""Due waterings: each (program, local date, start, zone) is one, with an id that is the same whoever computes it."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import accumulate
from zoneinfo import ZoneInfo

from irrigation.calendar import due_dates, local_to_utc
from irrigation.dose import lease_s
from irrigation.model import Dose, Farm, Program, Zone

_LONGEST_ID = 80  # the wire's limit
_LARGEST_OFFSET = timedelta(days=2)  # a local date's moments are within this of the same date in UTC, jumps included


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One due watering. `due` is its program's start (UTC); `planned`, when its turn comes if nothing is in the way."""

    id: str
    program_id: str
    zone: Zone
    dose: Dose
    due: datetime
    planned: datetime


Firing = tuple[Occurrence, ...]  # a program's zones at one of its starts, in their order


def due_id(program_id: str, day: date, start: time, zone_id: str) -> str:
    """Return the id of a due watering: `program:date:start:zone`, or stumps and a hash where that is too long."""
    at = f"{start:%H%M%S}" if start.second else f"{start:%H%M}"
    full = f"{program_id}:{day:%Y%m%d}:{at}:{zone_id}"
    if len(full) <= _LONGEST_ID:
        return full
    digest = hashlib.sha256(full.encode()).hexdigest()[:12]
    return f"{program_id[:24]}:{day:%Y%m%d}:{at}:{zone_id[:20]}:{digest}"


def firings(farm: Farm, after: datetime, until: datetime) -> list[Firing]:
    """Return what the enabled programs make due until `until`, with a zone whose turn comes after `after`, by due.

    Left out is what was due before its program's `since`. Those due at one moment stand in the order of programs.
    """
    zones = {zone.id: zone for zone in farm.zones}
    tz = ZoneInfo(farm.tz)
    found: list[Firing] = []
    for program in farm.programs:
        if not program.enabled:
            continue
        parts = [(zones[part.zone_id], part.dose) for part in program.zones]
        lengths = (timedelta(seconds=lease_s(dose, zone)) for zone, dose in parts[:-1])
        delays = list(accumulate(lengths, initial=timedelta(0)))
        for day, start, due in _starts(program, tz, after - delays[-1], until):
            if due >= program.since:
                found.append(
                    tuple(
                        Occurrence(due_id(program.id, day, start, zone.id), program.id, zone, dose, due, due + delay)
                        for (zone, dose), delay in zip(parts, delays, strict=True)
                    )
                )
    found.sort(key=lambda firing: firing[0].due)  # stable
    return found


def _starts(program: Program, tz: ZoneInfo, after: datetime, until: datetime) -> Iterator[tuple[date, time, datetime]]:
    """Yield (local date, start, due in UTC) of the program's starts with after < due ≤ until."""
    first, last = (after - _LARGEST_OFFSET).date(), (until + _LARGEST_OFFSET).date()
    for day in due_dates(program.calendar, first, last):
        for start in program.starts:
            due = local_to_utc(day, start, tz)
            if after < due <= until:
                yield day, start, due
