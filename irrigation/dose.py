"""What a dose means for one zone: seconds and litres."""

from irrigation.model import Dose, Zone

METER_RESERVE = 1.5  # a metered dose may take this much longer than at nominal flow before its time cap ends it


def asked_s(dose: Dose, zone: Zone) -> int:
    """Return the seconds that the dose wants at the zone's nominal flow, before any cap; at least 1.

    A dose "until moisture" wants all of its `max_minutes`. A litre dose never wants more than its `max_minutes`.
    """
    if dose.minutes is not None:
        minutes = dose.minutes
    elif dose.litres is not None:
        minutes = min(dose.litres / zone.flow_l_min, dose.max_minutes or float("inf"))
    else:
        minutes = dose.max_minutes or 0.0  # the model requires it
    return max(1, round(minutes * 60))


def lease_s(dose: Dose, zone: Zone) -> int:
    """Return the time cap of the dose's lease in s, at least 1 and never above `zone.max_run_s`.

    Where a meter ends a litre dose, the cap is a safeguard: `max_minutes`, or 1.5 times the time at nominal flow.
    Without a meter the time at nominal flow is the dose itself.
    """
    wanted = asked_s(dose, zone)
    if dose.litres is not None and zone.has_meter:
        minutes = dose.max_minutes or dose.litres / zone.flow_l_min * METER_RESERVE
        wanted = max(wanted, round(minutes * 60))
    return min(wanted, zone.max_run_s)


def expected_litres(dose: Dose, zone: Zone) -> float | None:
    """Return the litres that the dose gives at nominal flow within its lease; None when only the soil can tell."""
    if dose.until_moisture_pct is not None:
        return None
    litres_in_lease = zone.flow_l_min * lease_s(dose, zone) / 60
    return litres_in_lease if dose.litres is None else min(dose.litres, litres_in_lease)
