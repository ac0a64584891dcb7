"""Programs, what has happened and the time go in; the timetable comes out, with a reason for everything in it.

The same function plans for the gateway and previews for the app. Compiled again at any later moment, with what has
started since in `state`, it gives the same future: each due watering has an identity, is placed in the order of due,
and keeps its place because what was placed before it still stands (docs/decisions/0005).
"""

from datetime import UTC, datetime, timedelta

from irrigation.base_plan import base_plan
from irrigation.dose import asked_s, lease_s
from irrigation.flow import FlowProfile, first_free, micro
from irrigation.model import Entry, Farm, PlanState, Rule, Skip, Timetable
from irrigation.occurrence import Firing, Occurrence, firings

LATE_WINDOW = timedelta(hours=2)  # a watering that cannot start within this of its turn is not worth queueing

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)


def compile_timetable(farm: Farm, state: PlanState, now: datetime, *, days: int, version: int) -> Timetable:
    """Return what will run and what will not, of all that is due until `days` after `now`, and why.

    At no moment do the flows of entries and of `state.active` together exceed a source, unless those under way do so
    alone; no zone has two at once. What is settled or under way is not planned again. A run under way of a zone that
    the farm no longer has counts for no source. `now` must be aware, `days` at least 0; ValueError otherwise.
    """
    if now.tzinfo is None or days < 0:
        raise ValueError(f"now must carry a time zone and days be at least 0, not {now} and {days}")
    now = now.astimezone(UTC)
    until = now + timedelta(days=days)
    plan = _Plan(farm, state, now)
    for firing in firings(farm, now - LATE_WINDOW, until):
        plan.add(firing)
    return Timetable(
        version=version,
        compiled_at=now,
        valid_until=until,
        tz=farm.tz,
        entries=tuple(sorted(plan.entries, key=lambda entry: entry.start)),
        skipped=tuple(plan.skipped),
        base=base_plan(farm, now),
    )


class _Plan:
    """What has been placed so far, and what that leaves free."""

    def __init__(self, farm: Farm, state: PlanState, now: datetime) -> None:
        self.entries: list[Entry] = []
        self.skipped: list[Skip] = []
        self._now = now
        self._hold = farm.hold
        self._skips = frozenset(farm.skips)
        self._ends = {run.entry_id: run.until for run in state.active if run.entry_id is not None}
        self._settled = state.settled | self._ends.keys()
        self._capacity = {source.id: source.capacity_l_min for source in farm.sources}
        self._sources = {source.id: FlowProfile(micro(source.capacity_l_min)) for source in farm.sources}
        self._zones = {zone.id: FlowProfile(1) for zone in farm.zones}
        source_of = {zone.id: zone.source_id for zone in farm.zones}
        for run in state.active:
            if run.zone_id in source_of:
                since = _ticks(max(now, run.since or now))
                self._sources[source_of[run.zone_id]].take(since, _ticks(run.until), micro(run.flow_l_min))
                self._zones[run.zone_id].take(since, _ticks(run.until), 1)

    def add(self, firing: Firing) -> None:
        """Place a program's zones one after the other. Firings must come in the order of due."""
        turn = max(firing[0].due, self._now)
        for one in firing:
            if one.id in self._settled:
                turn = max(turn, self._ends.get(one.id, turn))
            elif one.planned > self._now - LATE_WINDOW:
                placed = self._judge(one, turn)
                if isinstance(placed, Entry):
                    self.entries.append(placed)
                    turn = placed.start + timedelta(seconds=placed.max_s)
                else:
                    self.skipped.append(placed)

    def _judge(self, one: Occurrence, turn: datetime) -> Entry | Skip:
        capacity = self._capacity[one.zone.source_id]
        if one.id in self._skips:
            return _skip(one, Rule.SKIPPED_BY_PERSON)
        if self._hold is not None and self._hold.covers(one.due):
            return _skip(one, Rule.HOLD, until=self._hold.until.astimezone(UTC).isoformat())
        if micro(one.zone.flow_l_min) > micro(capacity):
            return _skip(one, Rule.FLOW_ABOVE_SOURCE, flow_l_min=one.zone.flow_l_min, capacity_l_min=capacity)
        max_s = lease_s(one.dose, one.zone)
        start = self._earliest(one, turn, max_s)
        if start - one.planned > LATE_WINDOW:
            return _skip(
                one, Rule.TOO_LATE, capacity_l_min=capacity, late_window_min=LATE_WINDOW / timedelta(minutes=1)
            )
        self._take(one, start, max_s)
        rule, params = self._reason(one, start, capacity)
        return Entry(
            id=one.id,
            program_id=one.program_id,
            zone_id=one.zone.id,
            node_id=one.zone.node_id,
            channel=one.zone.channel,
            due=one.due,
            start=start,
            max_s=max_s,
            dose=one.dose,
            flow_l_min=one.zone.flow_l_min,
            rule=rule,
            params=params,
        )

    def _earliest(self, one: Occurrence, turn: datetime, max_s: int) -> datetime:
        """Return the first moment from `turn` on at which both the source and the zone are free for that long."""
        source, zone = self._sources[one.zone.source_id], self._zones[one.zone.id]
        past = _ticks(max(one.due, self._now))
        source.forget(past)
        zone.forget(past)
        start = first_free(source, zone, _ticks(turn), _length(max_s), micro(one.zone.flow_l_min))
        return _EPOCH + start * _TICK

    def _take(self, one: Occurrence, start: datetime, max_s: int) -> None:
        begin = _ticks(start)
        end = begin + _length(max_s)
        self._sources[one.zone.source_id].take(begin, end, micro(one.zone.flow_l_min))
        self._zones[one.zone.id].take(begin, end, 1)

    def _reason(self, one: Occurrence, start: datetime, capacity: float) -> tuple[Rule, dict[str, float | str]]:
        """Say why the entry is as it is. A start that only waits for `now` was not kept waiting by the source."""
        rule = Rule.AS_PROGRAMMED
        params: dict[str, float | str] = {}
        wanted_s = asked_s(one.dose, one.zone)
        if wanted_s > one.zone.max_run_s:
            rule = Rule.CUT_TO_CAP
            params |= {"max_run_s": float(one.zone.max_run_s), "asked_s": float(wanted_s)}
        if start > max(one.planned, self._now):
            rule = Rule.SOURCE_BUSY
            late_min = round((start - one.planned) / timedelta(minutes=1), 1)
            params |= {"late_min": late_min, "capacity_l_min": capacity}
        return rule, params


def _skip(one: Occurrence, rule: Rule, **params: float | str) -> Skip:
    return Skip(id=one.id, program_id=one.program_id, zone_id=one.zone.id, due=one.due, rule=rule, params=params)


def _ticks(moment: datetime) -> int:
    return (moment - _EPOCH) // _TICK


def _length(seconds: int) -> int:
    return seconds * 1_000_000
