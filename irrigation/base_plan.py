"""What boards do when their timetable has run out and nobody answers: the same safe starts on each due day."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from irrigation.calendar import due_dates, gaps, local_to_utc
from irrigation.days import BaseCalendar, Calendar, Cron, Dates, EveryNDays, Weekly, in_season
from irrigation.model import BaseEntry, Farm, Knowledge, PlanState, Program, Timetable, Window
from irrigation.occurrence import Firing, Sequencer, repeats
from irrigation.room import EPOCH, Room
from irrigation.starts import start_key
from irrigation.turns import Turns
from irrigation.verdict import needs_gateway
from irrigation.windows import Place

DATES_AHEAD = timedelta(days=60)
"""How far a calendar that boards cannot reckon is told as dates; alone for longer, they water nothing by it."""

_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)
_TICK = timedelta(microseconds=1)
_SHORTER_AT_MOST = timedelta(days=1)
_LOOK_AHEAD_DAYS = 400  # a year of clock changes


def base_plan(farm: Farm, now: datetime) -> tuple[BaseEntry, ...]:
    """Return the starts of the enabled programs, placed as if all of them were due on one day; sorted by start.

    Whichever are due on a day, their flows then never exceed a source or a group and no zone has two at once, also on
    days when the clocks change: nothing is placed across an hour that they jump over in the coming 400 days. Sunrise,
    sunset and shares of the year are those of today. Left out is what alone wants more than its source gives, what
    would run past midnight or outside its hours, what would not be finished by its time, and what does not run without
    a condition's value, for a board alone has none. A hold stays in force: an emergency stop leaves no plan at all.
    """
    hold = farm.hold
    if hold is not None and hold.emergency:
        return ()
    not_before = hold.until.astimezone(UTC) if hold is not None and hold.until > now else None
    place = Place(ZoneInfo(farm.tz), farm.lat, farm.lon)
    today = now.astimezone(place.tz).date()
    day = _OneDay(farm, place, today)
    alone = [program for program in farm.programs if program.enabled and not needs_gateway(farm, program)]
    lines = [line for program in alone for line in _lines(program, farm, place, today)]
    found: list[BaseEntry] = []
    for line in sorted(lines, key=lambda line: (line.program.priority, line.at)):
        found += [replace(entry, not_before=not_before) for entry in day.add(line)]
    return tuple(sorted(found, key=lambda entry: entry.start))


@dataclass(frozen=True, slots=True)
class _Line:
    """A program's start at a fixed time of the day, on the days of a calendar that boards know."""

    program: Program
    at: time
    key: str
    calendar: BaseCalendar


class _OneDay:
    """The one day on which everything is due: 1 January 1970, by a clock that never changes."""

    def __init__(self, farm: Farm, place: Place, today: date) -> None:
        self._today = today
        self._sequencer = Sequencer(farm)
        self._fixed = {
            each: _fixed(each, place, today)
            for each in {farm.windows, *(source.power for source in farm.sources), *(p.windows for p in farm.programs)}
        }
        self._shut = {each for each, fixed in self._fixed.items() if each and not fixed}
        self._powers = {source.id: source.power for source in farm.sources}
        self._farm_windows = farm.windows
        timeless = replace(
            farm,
            tz="UTC",
            programs=(),
            rotas=(),
            windows=self._fixed[farm.windows],
            sources=tuple(replace(source, power=self._fixed[source.power]) for source in farm.sources),
        )
        self._room = Room(timeless, PlanState(), EPOCH, EPOCH + _DAY)
        for begin, end in gaps(place.tz, today, _LOOK_AHEAD_DAYS):
            first = EPOCH + _time_of_day(begin.time())
            self._room.close(first, min(EPOCH + _DAY, first + (end - begin)))

    def add(self, line: _Line) -> list[BaseEntry]:
        """Place a line's waterings, those that find a place on the day."""
        program = line.program
        found, _ = self._sequencer.pieces(Firing(program, self._today, line.key, EPOCH))
        finish = EPOCH + _time_of_day(line.at)
        begin = finish if program.finish is None else finish - self._sequencer.span_s(found) * _SECOND
        if begin < EPOCH or program.windows in self._shut or self._farm_windows in self._shut:
            return []
        due = _clock(begin)
        turn, soaked, entries = begin, dict[str, datetime](), list[BaseEntry]()
        for piece in found:
            zone, power = piece.zone, self._powers[piece.zone.source_id]
            if self._room.too_much_for(zone) or power in self._shut:
                continue
            ready = begin if program.order == "together" else turn
            ready = max(ready, soaked.get(zone.id, ready))
            start = self._room.earliest(zone, self._fixed[program.windows], ready, piece.length_s)
            end = start + piece.length_s * _SECOND
            if end > EPOCH + _DAY or (program.finish is not None and end > finish):
                continue
            self._room.take(zone, start, piece.length_s)
            turn = max(turn, start, end + program.pause_s * _SECOND)
            soaked[zone.id] = end + piece.soak_s * _SECOND
            entries.append(
                BaseEntry(
                    program_id=program.id,
                    zone_id=zone.id,
                    node_id=zone.node_id,
                    channel=zone.channel,
                    calendar=line.calendar,
                    start=_clock(start),
                    max_s=piece.max_s,
                    dose=piece.dose,
                    due=due,
                    flow_l_min=zone.flow_l_min,
                    key=None if line.key == start_key(due) else line.key,
                    part=piece.part,
                )
            )
        return entries


def in_their_turns(base: tuple[BaseEntry, ...], farm: Farm, known: Knowledge, now: datetime) -> tuple[BaseEntry, ...]:
    """Return the base plan with the starts at sources that go by turns on those dates only on which their turn holds.

    That is, as the turns of the coming `DATES_AHEAD` are known today: a board that is alone cannot reckon them.
    """
    if not farm.rotas:
        return base
    turns, tz = Turns(farm, known, now, now + DATES_AHEAD), ZoneInfo(farm.tz)
    today = now.astimezone(tz).date()
    found = []
    for entry in base:
        zone = farm.zone(entry.zone_id)
        length = timedelta(seconds=farm.source(zone.source_id).supply_before_s + entry.max_s)
        starts = {
            day: local_to_utc(day, entry.start, tz)
            for day in due_dates(entry.calendar, today - _DAY, today + DATES_AHEAD)
        }
        days = tuple(day for day, start in starts.items() if turns.hold(zone, start, start + length))
        if not turns.bind(zone):
            found.append(entry)
        elif days:
            found.append(replace(entry, calendar=Dates(dates=days)))
    return tuple(found)


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


def _lines(program: Program, farm: Farm, place: Place, today: date) -> Iterator[_Line]:
    """Yield the program's starts as fixed times of the day: the sun's as of today."""
    calendar = _for_boards(program, farm, today)
    if calendar is None:
        return
    if isinstance(program.calendar, Cron):
        from irrigation.cron import cron_starts

        found = cron_starts(program.calendar.expression, today - _DAY, today + DATES_AHEAD)
        for at in dict.fromkeys(at for _, at in found):  # every due day has the same times
            yield _Line(program, at, start_key(at), calendar)
        return
    for start in program.starts:
        moment = place.moment(start, today)
        if moment is None:
            continue
        at = start if isinstance(start, time) else moment.astimezone(place.tz).time().replace(second=0)
        for again in range(repeats(program.repeat, moment, place.tz) + 1):
            moved = (
                EPOCH + _time_of_day(at) + again * timedelta(minutes=program.repeat.every_min if program.repeat else 0)
            )
            if moved < EPOCH + _DAY:
                yield _Line(program, _clock(moved), start_key(start, again), calendar)


def _for_boards(program: Program, farm: Farm, today: date) -> BaseCalendar | None:
    """Return the program's due days as a board can reckon them; None when there are none for a while."""
    dries = [dry for dry in (farm.dry_days, program.dry_days) if dry is not None]
    calendar: Calendar = program.calendar
    if isinstance(calendar, Weekly | EveryNDays) and not dries and not program.seasons:
        return calendar
    days = tuple(
        day
        for day in due_dates(calendar, today - _DAY, today + DATES_AHEAD)
        if in_season(program.seasons, day) and not any(dry.has(day) for dry in dries)
    )
    return Dates(dates=days) if days else None


def _fixed(windows: tuple[Window, ...], place: Place, today: date) -> tuple[Window, ...]:
    """Return the windows with the sun's times of today; without those that the sun does not open today."""
    found = []
    for window in windows:
        ends = [place.moment(at, today) for at in (window.begin, window.end)]
        begin, end = (None if at is None else at.astimezone(place.tz).time().replace(second=0) for at in ends)
        if begin is not None and end is not None and begin != end:
            found.append(
                Window(
                    begin=window.begin if isinstance(window.begin, time) else begin,
                    end=window.end if isinstance(window.end, time) else end,
                )
            )
    return tuple(found)


def _time_of_day(at: time) -> timedelta:
    return timedelta(hours=at.hour, minutes=at.minute, seconds=at.second)


def _clock(moment: datetime) -> time:
    return moment.time()
