"""What is known taken into account: learned flows, the driest zones, and what due waterings leave owed to the next."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from irrigation.amount import Carried
from irrigation.farm import Farm
from irrigation.knowledge import Knowledge
from irrigation.site import Zone
from irrigation.timetable import Entry, Skip

MOISTURE_AGE = timedelta(hours=24)  # an older measurement says nothing of which zone is the driest


def with_learned_flows(farm: Farm, known: Knowledge) -> Farm:
    """Return the farm with the flows that were learned in place of the nominal ones."""
    if not known.flows_l_min:
        return farm
    learned = known.flows_l_min
    return replace(farm, zones=tuple(_with_flow(zone, learned.get(zone.id, zone.flow_l_min)) for zone in farm.zones))


def dryness(farm: Farm, known: Knowledge, now: datetime) -> dict[str, float]:
    """Return how far each zone's soil is above its lower limit, of those measured lately; the least is the driest."""
    found = {}
    for zone in farm.zones:
        measured = known.moistures.get(zone.id)
        if measured is not None and now - measured.at <= MOISTURE_AGE:
            found[zone.id] = measured.pct - zone.moisture_low_pct
    return found


def carried_after(known: Knowledge, done: Iterable[Entry | Skip]) -> Knowledge:
    """Return what is known after these have been carried out or passed over: what each says that it carries on."""
    carried = {(each.program_id, each.zone_id): each for each in known.carried}
    for one in done:
        after, held = carried_by(one), carried.get((one.program_id, one.zone_id))
        if after is not None and (held is None or held.due < one.due):
            carried[one.program_id, one.zone_id] = after
    return replace(known, carried=tuple(carried[key] for key in sorted(carried)))


def carried_by(one: Entry | Skip) -> Carried | None:
    """Return what a due watering leaves to the next of its program and zone; None when it says nothing of it."""
    after, before = one.params.get("carried_s"), one.params.get("owed_s", 0.0)
    if not isinstance(after, (int, float)) or not isinstance(before, (int, float)):
        return None
    return Carried(
        program_id=one.program_id, zone_id=one.zone_id, seconds=after, before_s=before, by=one.id, due=one.due
    )


def _with_flow(zone: Zone, flow_l_min: float) -> Zone:
    return zone if flow_l_min == zone.flow_l_min else replace(zone, flow_l_min=flow_l_min)
