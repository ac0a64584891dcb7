"""What a dose means for one zone: seconds and litres, its share on a day of the year, and its parts."""

import math
from dataclasses import dataclass, replace
from datetime import date

from irrigation.amount import MAX_LITRES, MAX_MINUTES, Adjust, CycleSoak, Dose
from irrigation.site import Zone

METER_RESERVE = 1.5  # a metered dose may take this much longer than at nominal flow before its time cap ends it
MAX_PARTS = 48
_LEAST_MINUTES, _LEAST_LITRES = 0.05, 0.1  # the smallest doses that there are


def gross_litres(depth_mm: float, zone: Zone) -> float:
    """Return the litres that give the zone's roots a net depth: depth x area / efficiency, as 1 mm on 1 m² is 1 L.

    Gross = net / Ea, the field application efficiency: FAO Irrigation Water Management Training Manual 4, annex I,
    table 8 (drip 0.9, sprinklers 0.75). The net depth is what FAO-56 calls the irrigation depth I.
    """
    return depth_mm * zone.area_m2 / zone.efficiency


def concrete(dose: Dose, zone: Zone) -> Dose:
    """Return the dose as a board can count it: a depth becomes litres, everything else stays as it is."""
    if dose.depth_mm is None:
        return dose
    litres = min(MAX_LITRES, max(_LEAST_LITRES, gross_litres(dose.depth_mm, zone)))
    return Dose(litres=round(litres, 1), max_minutes=dose.max_minutes)


def asked_s(dose: Dose, zone: Zone) -> int:
    """Return the seconds that the dose wants at the zone's nominal flow, before any cap; at least 1.

    A dose "until moisture" wants all of its `max_minutes`. Litres and depth never want more than their `max_minutes`.
    """
    dose = concrete(dose, zone)
    if dose.minutes is not None:
        minutes = dose.minutes
    elif dose.litres is not None:
        minutes = min(dose.litres / zone.flow_l_min, dose.max_minutes or math.inf)
    else:
        minutes = dose.max_minutes or 0.0  # the model requires it
    return max(1, round(minutes * 60))


def lease_s(dose: Dose, zone: Zone) -> int:
    """Return the time cap of the dose's lease in s, at least 1 and never above `zone.max_run_s`.

    Where a meter ends a litre dose, the cap is a safeguard: `max_minutes`, or 1.5 times the time at nominal flow.
    Without a meter the time at nominal flow is the dose itself.
    """
    dose = concrete(dose, zone)
    wanted = asked_s(dose, zone)
    if dose.litres is not None and zone.has_meter:
        minutes = dose.max_minutes or dose.litres / zone.flow_l_min * METER_RESERVE
        wanted = max(wanted, round(minutes * 60))
    return min(wanted, zone.max_run_s)


def expected_litres(dose: Dose, zone: Zone) -> float | None:
    """Return the litres that the dose gives at nominal flow within its lease; None when only the soil can tell."""
    if dose.until_moisture_pct is not None:
        return None
    dose = concrete(dose, zone)
    litres_in_lease = zone.flow_l_min * lease_s(dose, zone) / 60
    return litres_in_lease if dose.litres is None else min(dose.litres, litres_in_lease)


@dataclass(frozen=True, slots=True)
class Share:
    """What is given of a dose on a day: None when it is too little to be of use. `owed_s` is carried to the next."""

    dose: Dose | None
    pct: float
    owed_s: float


def share(dose: Dose, zone: Zone, adjust: Adjust, day: date, owed_s: float) -> Share:
    """Return what `adjust` gives of the dose on that date, with `owed_s` (s at the zone's flow) from before.

    Always of the dose as programmed, so that adjusting is never cumulative. "Until moisture" is not adjusted: the soil
    says how much. What is owed stays below the least useful run and one step, so it cannot pile up.
    """
    if dose.until_moisture_pct is not None:
        return Share(dose, 100.0, 0.0)
    dose = concrete(dose, zone)
    full_s = (dose.minutes or 0.0) * 60 if dose.litres is None else dose.litres / zone.flow_l_min * 60
    pct = adjust.pct_on(day)
    wanted_s = full_s * pct / 100 + owed_s
    given_s = math.floor(wanted_s / adjust.step_s + 1e-9) * adjust.step_s
    given = scaled(dose, given_s / full_s) if given_s >= max(1.0, adjust.least_minutes * 60) else None
    if given is None:
        return Share(None, pct, min(round(wanted_s, 3), 86_400.0))
    return Share(given, pct, round(max(0.0, wanted_s - given_s), 3))


def scaled(dose: Dose, factor: float) -> Dose | None:
    """Return that much of a concrete dose, within what a dose may be; None when it is less than there is."""
    if dose.minutes is not None:
        minutes = min(MAX_MINUTES, dose.minutes * factor)
        return replace(dose, minutes=minutes) if minutes >= _LEAST_MINUTES else None
    if dose.litres is not None:
        litres = min(MAX_LITRES, dose.litres * factor)
        return replace(dose, litres=litres) if litres >= _LEAST_LITRES else None
    minutes = (dose.max_minutes or 0.0) * factor
    return replace(dose, max_minutes=minutes) if minutes >= _LEAST_MINUTES else None


def parts(dose: Dose, zone: Zone, cycle: CycleSoak | None) -> tuple[Dose, ...]:
    """Return the concrete dose in equal parts of at most `cycle.on_minutes` at nominal flow, `MAX_PARTS` at most.

    A later part of a dose "until moisture" waters only if the soil, measured after the soak, is still below the mark.
    """
    dose = concrete(dose, zone)
    count = 1 if cycle is None else math.ceil(asked_s(dose, zone) / (cycle.on_minutes * 60) - 1e-9)
    if cycle is None or count <= 1:
        return (dose,)
    given = min(count, MAX_PARTS)  # what is more than that is left out: less water, never longer cycles
    if dose.minutes is not None:
        each = replace(dose, minutes=max(_LEAST_MINUTES, dose.minutes / count))
        return (each,) * given
    cap = None if dose.max_minutes is None else max(_LEAST_MINUTES, dose.max_minutes / count)
    if dose.litres is not None:
        return (replace(dose, litres=max(_LEAST_LITRES, dose.litres / count), max_minutes=cap),) * given
    first = replace(dose, max_minutes=cap)
    return (first, *(replace(first, start_below_pct=dose.until_moisture_pct),) * (given - 1))
