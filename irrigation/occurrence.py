"""Due waterings: what programs make due, and its parts in their sequence."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from math import inf
from typing import NamedTuple
from zoneinfo import ZoneInfo

from irrigation.calendar import due_dates, local_to_utc
from irrigation.days import Cron, in_season
from irrigation.dose import METER_RESERVE, concrete, lease_s, parts, scaled, share
from irrigation.farm import Farm
from irrigation.identity import due_id, part_id
from irrigation.model import Dose, Former, Order, Program, Zone, ZoneDose
from irrigation.sequence import sequence
from irrigation.starts import Repeat, start_key
from irrigation.windows import Place

_LARGEST_OFFSET = timedelta(days=2)  # a local date's moments are within this of the same date in UTC, jumps included
_NOON = time(12)
_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Firing:
    """A program at one of its starts. `due` is when it wants to begin; with a `finish`, so that it ends then.

    `in_sun` is False where the start is a sunrise or sunset that the day does not have; `due` is noon then.
    """

    program: Program
    day: date
    key: str
    due: datetime
    finish: datetime | None = None
    in_sun: bool = True

    def id_of(self, zone_id: str) -> str:
        """Return the id of a zone's due watering."""
        return due_id(self.program.id, self.day, self.key, zone_id)


class Piece(NamedTuple):
    """One part of a zone's due watering: a whole one is its only part. A tuple, as thousands are made for a plan.

    `offset_s` is its start after the program's begin, if nothing is in the way; `lead_s` is what its source's pump
    needs before, and `length_s` is from then to the end of its lease of `max_s`. `pct` is its adjustment, `owed_s` was
    carried to it, `carried_s` is carried on (None: not adjusted).
    """

    id: str
    whole_id: str
    zone: Zone
    dose: Dose
    part: int
    offset_s: int
    lead_s: int
    max_s: int
    soak_s: int
    pct: float | None = None
    owed_s: float = 0.0
    carried_s: float | None = None

    @property
    def length_s(self) -> int:
        """From the moment at which its supply is switched on to the end of its lease."""
        return self.lead_s + self.max_s

    def with_dose(self, dose: Dose) -> "Piece":
        """Return the same part with another dose."""
        return self._replace(dose=dose, max_s=lease_s(dose, self.zone))


@dataclass(frozen=True, slots=True)
class TooLittle:
    """A zone's due watering that is not worth giving; its `carried_s` is for the next."""

    id: str
    zone: Zone
    pct: float
    owed_s: float
    carried_s: float


def firings(farm: Farm, after: datetime, until: datetime, former: Iterable[Former] = ()) -> list[Firing]:
    """Return what the enabled programs make due until `until`, as far back as a part could have its turn after `after`.

    Left out is what was due before its program's `since`; that is its `former` version's, as far as the farm still has
    its zones. In the order of priority, then due, then programs.
    """
    sequencer = Sequencer(farm)
    place = Place(ZoneInfo(farm.tz), farm.lat, farm.lon)
    found: list[Firing] = []
    ends = [(program, until) for program in farm.programs if program.enabled]
    as_were = ((_with_zones_of(farm, one.program), one.until - _TICK) for one in former)
    ends += [(program, end) for program, end in as_were if program is not None]
    for program, end in ends:
        longest = timedelta(seconds=sequencer.longest_s(program))
        first, last = (after - longest - _LARGEST_OFFSET).date(), (until + longest + _LARGEST_OFFSET).date()
        for firing in moments(program, place, first, last):
            if program.finish is not None and firing.in_sun:
                length = timedelta(seconds=sequencer.span_s(sequencer.pieces(firing)[0]))
                firing = replace(firing, due=firing.due - length, finish=firing.due)  # noqa: PLW2901
            if after - longest < firing.due <= min(until, end) and firing.due >= program.since:
                found.append(firing)
    found.sort(key=lambda firing: (firing.program.priority, firing.due))  # stable
    return found


def _with_zones_of(farm: Farm, program: Program) -> Program | None:
    """Return the program without the zones that the farm no longer has; None when it has none of them."""
    there = {zone.id for zone in farm.zones}
    zones = tuple(part for part in program.zones if part.zone_id in there)
    return replace(program, zones=zones) if zones else None


def moments(program: Program, place: Place, first: date, last: date) -> Iterator[Firing]:
    """Yield the program's starts on due dates from `first` to `last`, those of a day in no order, without `finish`."""
    if isinstance(program.calendar, Cron):
        yield from _cron_moments(program, program.calendar, place, first, last)
        return
    for day in due_dates(program.calendar, first, last):
        if not in_season(program.seasons, day):
            continue
        for start in program.starts:
            at = place.moment(start, day)
            if at is None:
                noon = local_to_utc(day, _NOON, place.tz)
                yield Firing(program, day, start_key(start), noon, in_sun=False)
                continue
            for again in range(repeats(program.repeat, at, place.tz) + 1):
                moved = timedelta(minutes=program.repeat.every_min * again) if program.repeat else timedelta(0)
                yield Firing(program, day, start_key(start, again), at + moved)


def repeats(repeat: Repeat | None, start: datetime, tz: ZoneInfo) -> int:
    """Return how often a start (UTC) is repeated."""
    if repeat is None:
        return 0
    if repeat.until is None:
        return repeat.times or 0
    day = start.astimezone(tz).date()
    end = local_to_utc(day, repeat.until, tz)
    if end <= start:
        end = local_to_utc(day + timedelta(days=1), repeat.until, tz)
    return (end - start) // timedelta(minutes=repeat.every_min)


class Sequencer:
    """Lays out what a firing waters. `dryness` is by zone id, the driest first, and need not have every zone."""

    def __init__(self, farm: Farm, dryness: Mapping[str, float] | None = None) -> None:
        self._zones = {zone.id: zone for zone in farm.zones}
        self._leads = {source.id: source.supply_before_s for source in farm.sources}
        self._lags = {source.id: source.supply_after_s for source in farm.sources}
        self._dryness = dryness or {}
        self._always: dict[tuple[str, datetime], tuple[Piece, ...]] = {}  # by program and since, if always the same

    def pieces(
        self, firing: Firing, owed_s: Mapping[str, float] | None = None
    ) -> tuple[tuple[Piece, ...], tuple[TooLittle, ...]]:
        """Return the parts of a firing's waterings in their sequence, and the waterings that are too little to give.

        `owed_s` is by zone id, what is carried to this firing.
        """
        program = firing.program
        if program.adjust is None:
            key = program.id, program.since
            if key not in self._always:
                whole = [self._whole(firing, part, part.dose) for part in self._order(program)]
                self._always[key] = in_sequence(whole, program)
            return tuple(_named(piece, firing) for piece in self._always[key]), ()
        found, little = list[tuple[Piece, ...]](), list[TooLittle]()
        for part in self._order(program):
            before_s = (owed_s or {}).get(part.zone_id, 0.0)
            zone = self._zones[part.zone_id]
            given = share(part.dose, zone, program.adjust, firing.day, before_s)
            if given.dose is None:
                little.append(TooLittle(firing.id_of(zone.id), zone, given.pct, before_s, given.owed_s))
            else:
                whole_ = self._whole(firing, part, given.dose)
                found.append(
                    tuple(each._replace(pct=given.pct, owed_s=before_s, carried_s=given.owed_s) for each in whole_)
                )
        return in_sequence(found, program), tuple(little)

    def span_s(self, found: Iterable[Piece]) -> int:
        """Return the s from a sequence's begin to the moment when its last supply is off, if nothing is in the way."""
        return max((each.offset_s + each.length_s + self.lag_s(each) for each in found), default=0)

    def lag_s(self, piece: Piece) -> int:
        """Return how long the part's supply runs on after it."""
        return self._lags[piece.zone.source_id]

    def longest_s(self, program: Program) -> int:
        """Return at least the s that the program ever takes from begin to end, with nothing in the way."""
        adjust = program.adjust
        firing = Firing(program, date.min, "", program.since)
        whole, more_s = [], 0.0
        for part in program.zones:
            dose = concrete(part.dose, self._zones[part.zone_id])
            if adjust is not None and dose.until_moisture_pct is None:
                dose = scaled(dose, adjust.most_pct / 100) or dose
            whole.append(self._whole(firing, part, dose))
            if adjust is not None:  # what is carried makes it longer, by a part more at most
                more_s += METER_RESERVE * (adjust.least_minutes * 60 + adjust.step_s) + whole[-1][0].soak_s
        return self.span_s(in_sequence(whole, program)) + round(more_s)

    def _order(self, program: Program) -> Sequence[ZoneDose]:
        if program.order is not Order.DRIEST_FIRST:
            return program.zones
        return sorted(program.zones, key=lambda part: self._dryness.get(part.zone_id, inf))  # stable

    def _whole(self, firing: Firing, part: ZoneDose, dose: Dose) -> tuple[Piece, ...]:
        zone, id_ = self._zones[part.zone_id], firing.id_of(part.zone_id)
        cycle = part.cycle or zone.cycle
        lead_s, soak_s = self._leads[zone.source_id], 0 if cycle is None else round(cycle.soak_minutes * 60)
        return tuple(
            Piece(part_id(id_, number), id_, zone, each, number, 0, lead_s, lease_s(each, zone), soak_s)
            for number, each in enumerate(parts(dose, zone, cycle), 1)
        )


def in_sequence(whole: Sequence[Sequence[Piece]], program: Program) -> tuple[Piece, ...]:
    """Return the parts of the zones' waterings in the program's sequence, each with its offset."""
    slots = sequence(
        [[piece.length_s for piece in each] for each in whole],
        [each[0].soak_s for each in whole],
        program.pause_s,
        together=program.order is Order.TOGETHER,
    )
    return tuple(whole[slot.zone][slot.part]._replace(offset_s=slot.offset_s) for slot in slots)


def _named(piece: Piece, firing: Firing) -> Piece:
    whole_id = firing.id_of(piece.zone.id)
    return Piece(part_id(whole_id, piece.part), whole_id, *piece[2:])


def _cron_moments(program: Program, cron: Cron, place: Place, first: date, last: date) -> Iterator[Firing]:
    """Yield the expression's moments, each once: those that the clocks jump over fall on one."""
    from irrigation.cron import cron_starts

    before = None
    for day, at in cron_starts(cron.expression, first, last):
        due = local_to_utc(day, at, place.tz)
        if in_season(program.seasons, day) and due != before:
            yield Firing(program, day, start_key(at), due)
            before = due
