"""Due waterings: each (program, local date, start, zone) is one, with an id that is the same whoever computes it."""

import hashlib
from datetime import date, time
from functools import lru_cache

from irrigation.starts import start_key

_LONGEST_ID = 70  # the wire's limit is 80, of which `run-`, the part's `.48` and the rest's `.r` take up to 9
_REST = ".r"


def due_id(program_id: str, day: date, start: time | str, zone_id: str) -> str:
    """Return the id of a due watering: `program:date:start:zone`, or stumps and a hash where that is too long."""
    at = start_key(start) if isinstance(start, time) else start
    on = _date(day)
    full = f"{program_id}:{on}:{at}:{zone_id}"
    if len(full) <= _LONGEST_ID:
        return full
    digest = hashlib.sha256(full.encode()).hexdigest()[:12]
    return f"{program_id[:24]}:{on}:{at}:{zone_id[: 20 - len(at)]}:{digest}"


def part_id(whole_id: str, part: int) -> str:
    """Return the id of a part, from 1, of a due watering; the first has that of the whole."""
    return whole_id if part == 1 else f"{whole_id}.{part}"


def rest_id(entry_id: str) -> str:
    """Return the id under which the rest of a due watering, or of a part, is made up."""
    return f"{entry_id}{_REST}"


def is_rest(entry_id: str) -> bool:
    """Whether the id is that of a make-up."""
    return entry_id.endswith(_REST)


def is_later_part(id_: str) -> bool:
    """Whether the id is that of a part after the first, and not of a rest."""
    return "." in id_ and not is_rest(id_)


@lru_cache(maxsize=1024)  # asked thousands of times for the days of one plan
def _date(day: date) -> str:
    return day.isoformat().replace("-", "")
