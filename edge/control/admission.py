"""Whether an order may open a valve: one list of checks, the first reason wins."""

from dataclasses import dataclass
from datetime import datetime

from contract.messages import Reason
from edge.control.order import Order


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelStanding:
    """What the checks must know of a channel. Caps in s; `zone_id` is None until the farm's settings came.

    `no_disk_cap_s` is the longest lease while none can be written down; None while they can.
    """

    max_open_s: float
    max_day_s: float
    used_day_s: float
    zone_id: str | None = None
    zone_max_run_s: float | None = None
    run_id: str | None = None
    has_meter: bool = False
    moisture_pct: float | None = None  # the lowest of its zone's good probes; None without one
    close_failed: bool = False
    quarantine: Reason | None = None
    supply_lock: tuple[str, str] | None = None  # the pump or master valve that is locked, and why
    no_disk_cap_s: float | None = None


def refuse(
    order: Order, channel: ChannelStanding | None, now: datetime, *, was_closed: bool, guard_up: bool
) -> Reason | None:
    """Return why the order must not open its valve, or None when it may.

    `was_closed`: the run was ended before it came. The guard keeps caps of its own; these give the better sentence.
    """
    if order.expires_at is not None and now >= order.expires_at:
        return Reason(code="expired", params={"expires_at": order.expires_at.isoformat()})
    if was_closed:
        return Reason(code="stopped-before")
    if channel is None:
        return Reason(code="unknown-channel", params={"channel": order.channel})
    if channel.zone_id is not None and channel.zone_id != order.zone_id:
        return Reason(code="zone-mismatch", params={"zone_id": channel.zone_id})
    cap_s = min(channel.max_open_s, channel.zone_max_run_s or channel.max_open_s)
    if order.max_s > cap_s:
        return Reason(code="above-cap", params={"max_s": cap_s, "asked_s": order.max_s})
    if channel.no_disk_cap_s is not None and order.max_s > channel.no_disk_cap_s:
        return Reason(code="no-disk", params={"max_s": channel.no_disk_cap_s, "asked_s": order.max_s})
    if channel.used_day_s + order.max_s > channel.max_day_s:
        return Reason(code="daily-cap", params={"max_day_s": channel.max_day_s, "used_s": round(channel.used_day_s)})
    if channel.run_id is not None:
        return Reason(code="zone-busy", params={"run_id": channel.run_id})
    if (locked := _locked(order, channel)) is not None:
        return locked
    if (by_soil := _by_soil(order, channel.moisture_pct)) is not None:
        return by_soil
    if not guard_up:
        return Reason(code="guard-lost")
    return None


def _locked(order: Order, channel: ChannelStanding) -> Reason | None:
    """Return what faults have locked of the valve, its supply, or the whole board."""
    if channel.quarantine is not None:
        return Reason(code="quarantined", params={"fault": channel.quarantine.code, **channel.quarantine.params})
    if channel.supply_lock is not None:
        supply, fault = channel.supply_lock
        return Reason(code="supply-locked", params={"supply": supply, "fault": fault})
    if channel.close_failed:
        return Reason(code="close-failed", params={"channel": order.channel})
    return None


def _by_soil(order: Order, moisture_pct: float | None) -> Reason | None:
    """Return why a dose "until moisture" does not start: the soil is unknown, or not dry enough to begin."""
    if order.dose.until_moisture_pct is None:
        return None
    if moisture_pct is None:
        return Reason(code="no-fresh-probe")
    below_pct = order.dose.start_below_pct
    if below_pct is not None and moisture_pct >= below_pct:
        return Reason(code="wet-enough", params={"moisture_pct": moisture_pct, "below_pct": below_pct})
    return None
