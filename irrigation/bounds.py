"""What every value checks of itself: ids, ranges, times with a zone. Each failure names the field and what it wants."""

import math
import re
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

STRICT: dict[str, Any] = {"extra": "forbid", "strict": True, "allow_inf_nan": False}
"""What the codecs at the rim read from `__pydantic_config__`; nothing here imports pydantic."""

_SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,47}")


def slug(value: str, name: str) -> str:
    """Return `value` if it is an id of 1-48 of a-z, 0-9 and hyphen; raise ValueError naming `name` otherwise."""
    if not _SLUG.fullmatch(value):
        raise ValueError(f"{name} must be 1 to 48 of a-z, 0-9 and hyphen, not {value!r}")
    return value


def within(value: float, low: float, high: float, name: str, unit: str) -> float:
    """Return `value` if low ≤ value ≤ high; raise ValueError naming `name` and `unit` otherwise (NaN is outside)."""
    if not (math.isfinite(value) and low <= value <= high):
        raise ValueError(f"{name} must be between {low:.10g} and {high:.10g} {unit}, not {value:.10g}")
    return value


def aware(value: datetime, name: str) -> datetime:
    """Return `value` if it carries a time zone; raise ValueError naming `name` otherwise."""
    if value.tzinfo is None:
        raise ValueError(f"{name} must carry a time zone (UTC, as in 2026-11-23T05:30:00Z)")
    return value


def known_zone(value: str, name: str) -> str:
    """Return `value` if it is the name of a time zone; raise ValueError naming `name` otherwise."""
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError) as exc:
        raise ValueError(f"{name} must be an IANA time zone such as Asia/Ho_Chi_Minh, not {value!r}") from exc
    return value


def weekdays(days: tuple[int, ...], name: str) -> tuple[int, ...]:
    """Return `days` if they are different ISO weekdays, 1 = Monday … 7 = Sunday; raise ValueError naming `name`."""
    if any(day not in range(1, 8) for day in days) or len(set(days)) != len(days):
        raise ValueError(f"{name} must be different ISO weekdays from 1 (Monday) to 7 (Sunday), at least one")
    return days
