"""What boards do when their timetable has run out and nobody answers: the same safe starts on each due day."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

from irrigation.calendar import due_dates, gaps, local_to_utc
from irrigation.dose import lease_s
from irrigation.flow import FlowProfile, first_free, micro
from irrigation.model import BaseEntry, Entry, Farm, Program, Timetable
from irrigation.occurrence import due_id

_DAY_S = 86_400
_TICK = timedelta(microseconds=1)
_SHORTER_AT_MOST = timedelta(days=1)
_LOOK_AHEAD_DAYS = 400  # the furthest due date of a calendar, and a year of clock changes


def base_plan(farm: Farm, now: datetime) -> tuple[BaseEntry, ...]:
    """Return the starts of the enabled programs, placed as if all of them were due on one day; sorted by start.

    Whichever are due on a day, their flows then never exceed a source and no zone has two at once, also on days when
    the clocks change: nothing is placed across an hour that they jump over in the coming 400 days. Left out is a zone
    that alone wants more than its source gives, or whose watering would run past midnight. A hold stays in force: an
    emergency stop leaves no plan at all.
    """
    hold = farm.hold
    if hold is not None and hold.emergency:
        return ()
    not_before = hold.until.astimezone(UTC) if hold is not None and hold.until > now else None
    sources = {source.id: FlowProfile(micro(source.capacity_l_min)) for source in farm.sources}
    zones = {zone.id: zone for zone in farm.zones}
    busy = {zone.id: FlowProfile(1) for zone in farm.zones}
    for begin, end in _jumped_s(farm, now):
        for profile in busy.values():
            profile.take(begin, end, 1)
    found: list[BaseEntry] = []
    for due, program in _starts(farm.programs):
        turn = _second(due)
        for part in program.zones:
            zone = zones[part.zone_id]
            source, flow, max_s = sources[zone.source_id], micro(zone.flow_l_min), lease_s(part.dose, zone)
            if flow > source.capacity:
                continue
            start = first_free(source, busy[zone.id], turn, max_s, flow)
            if start + max_s > _DAY_S:
                continue
            turn = start + max_s
            source.take(start, turn, flow)
            busy[zone.id].take(start, turn, 1)
            found.append(
                BaseEntry(
                    program_id=program.id,
                    zone_id=zone.id,
                    node_id=zone.node_id,
                    channel=zone.channel,
                    calendar=program.calendar,
                    start=_time(start),
                    max_s=max_s,
                    dose=part.dose,
                    due=due,
                    flow_l_min=zone.flow_l_min,
                    not_before=not_before,
                )
            )
    return tuple(sorted(found, key=lambda entry: entry.start))


def handed_over_at_rest(timetable: Timetable, late: timedelta) -> Timetable:
    """Return the timetable with an end at which all of its waterings are over, also those begun late by `late`.

    Its last runs then never meet the first of the base plan, whose flows were not added up with theirs. What is due
    after the earlier end is left to the base plan. Where nothing ever rests for a day it is returned as it is.
    """
    over_by = [(entry.due, entry.start + timedelta(seconds=entry.max_s) + late) for entry in timetable.entries]
    until = timetable.valid_until
    while astride := [due for due, over in over_by if due <= until < over]:
        until = min(astride) - _TICK
    if until == timetable.valid_until or until <= max(timetable.compiled_at, timetable.valid_until - _SHORTER_AT_MOST):
        return timetable
    return replace(
        timetable,
        valid_until=until,
        entries=tuple(entry for entry in timetable.entries if entry.due <= until),
        skipped=tuple(skip for skip in timetable.skipped if skip.due <= until),
    )


def due_base(
    base: Iterable[BaseEntry],
    tz: ZoneInfo,
    after_utc: datetime,
    before_utc: datetime,
    *,
    due_after: datetime | None = None,
) -> tuple[Entry, ...]:
    """Return the base plan's waterings with after_utc < start ≤ before_utc as entries, in the order of start.

    Their ids are those of the same due waterings in a timetable: what ran by the one does not run again by the other.
    `due_after` is the end of the timetable that they follow: what was due until then was its to decide, also to skip.
    """
    first, last = _local_dates(after_utc, before_utc)
    found = [
        entry
        for line in base
        for entry in _entries(line, first, last, tz)
        if after_utc < entry.start <= before_utc and (due_after is None or entry.due > due_after)
    ]
    return tuple(sorted(found, key=lambda entry: (entry.start, entry.id)))


def next_base_start(base: Iterable[BaseEntry], tz: ZoneInfo, after_utc: datetime) -> datetime | None:
    """Return the first start (UTC) of the base plan after that moment; None when there is none within 400 days."""
    first, last = _local_dates(after_utc, after_utc + timedelta(days=_LOOK_AHEAD_DAYS))
    starts: list[datetime] = []
    for line in base:
        later = (entry.start for entry in _entries(line, first, last, tz) if entry.start > after_utc)
        starts.extend(islice(later, 1))
    return min(starts, default=None)


def _entries(line: BaseEntry, first: date, last: date, tz: ZoneInfo) -> Iterator[Entry]:
    """Yield the line's due waterings on local dates from `first` to `last`, without those that a hold covers."""
    for day in due_dates(line.calendar, first, last):
        entry = _entry(line, day, tz)
        if line.not_before is None or entry.due >= line.not_before:
            yield entry


def _entry(line: BaseEntry, day: date, tz: ZoneInfo) -> Entry:
    due = line.due or line.start
    return Entry(
        id=due_id(line.program_id, day, due, line.zone_id),
        program_id=line.program_id,
        zone_id=line.zone_id,
        node_id=line.node_id,
        channel=line.channel,
        due=local_to_utc(day, due, tz),
        start=local_to_utc(day, line.start, tz),
        max_s=line.max_s,
        dose=line.dose,
        flow_l_min=line.flow_l_min,
    )


def _starts(programs: Sequence[Program]) -> list[tuple[time, Program]]:
    """Return the starts of enabled programs by time of day, then in the programs' order."""
    starts = [(start, program) for program in programs if program.enabled for start in program.starts]
    return sorted(starts, key=lambda one: one[0])


def _jumped_s(farm: Farm, now: datetime) -> Iterator[tuple[int, int]]:
    """Yield the spans of the wall clock, in seconds of the day, that the farm's clocks will jump over."""
    tz = ZoneInfo(farm.tz)
    for begin, end in gaps(tz, now.astimezone(tz).date(), _LOOK_AHEAD_DAYS):
        first = _second(begin.time())
        yield first, min(_DAY_S, first + round((end - begin).total_seconds()))


def _local_dates(after_utc: datetime, before_utc: datetime) -> tuple[date, date]:
    """Return first and last date anywhere on earth in that span, with room for a jump of a day."""
    margin = timedelta(days=2)
    return after_utc.astimezone(UTC).date() - margin, before_utc.astimezone(UTC).date() + margin


def _second(at: time) -> int:
    return at.hour * 3600 + at.minute * 60 + at.second


def _time(second: int) -> time:
    return time(second // 3600, second // 60 % 60, second % 60)
