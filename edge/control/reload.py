"""What of a board's file that was read again can be taken while the agent runs, and what needs a restart. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

LIVE = frozenset(
    {
        "report_every_s",
        "log",
        "probe.*.points",
        "soil.samples",
        "soil.porosity_pct",
        "soil.rise_pct_h",
        "soil.fall_pct_h",
        "valve.*.meter.pulses_per_litre",
    }
)
"""Settings that are numbers to calculate with. Pins, channels and caps are the guard's, who reads its file once."""

NAMES = ("channel", "sensor")  # by which a table in a list is known


def merge(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return `old` with the live settings of `new`, and the names of the others that differ, which stay as in `old`."""
    waiting: list[str] = []
    return _table(old, new, "", "", waiting), tuple(waiting)


def _table(
    old: Mapping[str, Any], new: Mapping[str, Any], shape: str, place: str, waiting: list[str]
) -> dict[str, Any]:
    merged = {}
    for name in {**old, **new}:
        inner, here = f"{shape}{name}", f"{place}{name}"
        merged[name] = _value(old.get(name), new.get(name), inner, here, waiting)
    return merged


def _value(old: Any, new: Any, shape: str, place: str, waiting: list[str]) -> Any:
    if shape in LIVE and old is not None and new is not None:
        return new
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return _table(old, new, f"{shape}.", f"{place}.", waiting)
    names = _names(old)
    if names and names == _names(new):
        pairs = zip(names, old, new, strict=True)
        return tuple(_table(one, other, f"{shape}.*.", f"{place}.{name}.", waiting) for name, one, other in pairs)
    if old != new:
        waiting.append(place)
    return old


def _names(value: Any) -> list[str]:
    """The names of the tables in a list; none if it is no list of named tables."""
    if not isinstance(value, Sequence) or not all(isinstance(one, Mapping) for one in value):
        return []
    return [str(one.get(key)) for one in value for key in NAMES if key in one]
