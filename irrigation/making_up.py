"""Where the rests of waterings that trouble cut short find a place: after all that programs want, moving none of it."""

from collections.abc import Collection
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from irrigation.after_trouble import MakeUp
from irrigation.calendar import local_to_utc
from irrigation.dose import lease_s
from irrigation.farm import Farm
from irrigation.knowledge import PlanState
from irrigation.program import Program
from irrigation.room import Room
from irrigation.site import Zone
from irrigation.timetable import Entry, Rule, Skip

_DAY = timedelta(days=1)


def made_up(farm: Farm, state: PlanState, room: Room, now: datetime) -> tuple[list[Entry], list[Skip]]:
    """Return an entry for each rest that finds a place in `room`, which it takes, and a skip for each that does not.

    What has begun or is settled has neither, nor has what the farm has no zone or program for any more. A rest that
    may still find room until its time is over has a skip that is due then.
    """
    done = state.settled | {run.entry_id for run in state.active if run.entry_id is not None}
    zones = {zone.id: zone for zone in farm.zones}
    programs = {program.id: program for program in farm.programs}
    entries, skips = list[Entry](), list[Skip]()
    for one in sorted(state.known.make_ups, key=lambda one: (one.cut, one.id)):
        zone, program = zones.get(one.zone_id), programs.get(one.program_id)
        if zone is None or program is None or one.id in done:
            continue
        rule = _unwanted(farm, program, one, now)
        if rule is not None:
            skips.append(_skip(one, rule, one.cut))
            continue
        lead_s = farm.source(zone.source_id).supply_before_s
        length_s = lead_s + lease_s(one.dose, zone)
        start = None if room.too_much_for(zone) else _place(farm, program, zone, one, room, now, length_s)
        if start is None:
            skips.append(_skip(one, Rule.NOT_MADE_UP, one.until))
            continue
        room.take(zone, start, length_s)
        entries.append(_entry(one, zone, start))
    return entries, skips


def _unwanted(farm: Farm, program: Program, one: MakeUp, now: datetime) -> Rule | None:
    """Return why people do not want the rest any more, if that is so."""
    if one.id in farm.skips or one.of in farm.skips:
        return Rule.SKIPPED_BY_PERSON
    if farm.hold is not None and farm.hold.covers(max(now, one.since)):
        return Rule.HOLD
    edited = not program.enabled or program.since > one.cut
    gone = edited or all(part.zone_id != one.zone_id for part in program.zones)
    return Rule.NOT_MADE_UP if gone else None


def _place(
    farm: Farm, program: Program, zone: Zone, one: MakeUp, room: Room, now: datetime, length_s: int
) -> datetime | None:
    """Return the first moment at which there is room for it, on a day with water; None when that is too late."""
    tz = ZoneInfo(farm.tz)
    ready = max(now, one.since)
    while (start := room.earliest(zone, program.windows, ready, length_s)) <= one.until:
        day = start.astimezone(tz).date()
        if not _is_dry(farm, program, day):
            return start
        ready = local_to_utc(day + _DAY, time(0), tz)
    return None


def _is_dry(farm: Farm, program: Program, day: date) -> bool:
    return any(dry is not None and dry.has(day) for dry in (farm.dry_days, program.dry_days))


def _entry(one: MakeUp, zone: Zone, start: datetime) -> Entry:
    return Entry(
        id=one.id, program_id=one.program_id, zone_id=zone.id, node_id=zone.node_id, channel=zone.channel, due=one.cut,
        start=start, max_s=lease_s(one.dose, zone), dose=one.dose, flow_l_min=zone.flow_l_min, rule=Rule.MADE_UP,
        params=dict(one.params),
    )  # fmt: skip


def _skip(one: MakeUp, rule: Rule, due: datetime) -> Skip:
    params = dict(one.params)
    return Skip(id=one.id, program_id=one.program_id, zone_id=one.zone_id, due=due, rule=rule, params=params)


def newest(waiting: Collection[MakeUp], new: MakeUp) -> tuple[tuple[MakeUp, ...], tuple[MakeUp, ...]]:
    """Return what waits with the new one, and what does not any more: of each program and zone one waits at most.

    So what a board missed in days is not made up all at once.
    """
    same = (new.program_id, new.zone_id)
    dropped = tuple(one for one in waiting if (one.program_id, one.zone_id) == same)
    return (*(one for one in waiting if one not in dropped), new), dropped
