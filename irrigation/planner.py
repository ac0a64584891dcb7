"""Programs, what has happened and the time go in; the timetable comes out, with a reason for everything in it.

The same function plans for the gateway and previews for the app. Compiled again at any later moment, with what has
started since in `state`, it gives the same future: each due watering has an identity, is placed in the order of
priority and due, and keeps its place because what was placed before it still stands (docs/decisions/0005 and 0021).
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from irrigation.base_plan import base_plan, in_their_turns
from irrigation.carried import carried_by, dryness, with_learned_flows
from irrigation.dose import asked_s, scaled
from irrigation.former import Versions
from irrigation.knowledge import Trouble
from irrigation.making_up import made_up
from irrigation.model import Entry, Farm, IfLate, PlanState, Rule, Skip, Timetable, Zone
from irrigation.occurrence import Firing, Piece, Sequencer, TooLittle, firings, in_sequence
from irrigation.queue import QueuePlace
from irrigation.queueing import QueuePlacer
from irrigation.room import Room
from irrigation.source import gives_again
from irrigation.starts import Window
from irrigation.verdict import Verdicts, left_out

LATE_WINDOW = timedelta(hours=2)  # a watering that cannot start within this of its turn is not worth queueing
LATE_FINISH = timedelta(minutes=15)  # what a board may begin late may end late by as much

_SECOND = timedelta(seconds=1)
_LOOK_ROUND = timedelta(minutes=5)
_TRIES = 24
_OF_TROUBLE = {Trouble.LOW: Rule.SOURCE_LOW, Trouble.RAN_DRY: Rule.SOURCE_RAN_DRY}
Params = dict[str, float | str]


def compile_timetable(farm: Farm, state: PlanState, now: datetime, *, days: int, version: int) -> Timetable:
    """Return what will run and what will not, of all that is due until `days` after `now`, and why.

    At no moment do the flows of entries and of `state.active` together exceed a source or a group, unless those under
    way do so alone; no zone has two at once. What is settled or under way is not planned again. A run under way of a
    zone that the farm no longer has counts for no source. `now` must be aware, `days` at least 0; ValueError otherwise.
    """
    if now.tzinfo is None or days < 0:
        raise ValueError(f"now must carry a time zone and days be at least 0, not {now} and {days}")
    now = now.astimezone(UTC)
    until = now + timedelta(days=days)
    farm = with_learned_flows(farm, state.known)
    beyond = until + _further(farm)
    plan = _Plan(farm, state, now, beyond)
    queue = plan.add_queue(state, front=True)
    plan.add_all(firings(farm, now - LATE_WINDOW, beyond, state.known.former))
    plan.add_rests(state)
    queue += plan.add_queue(state, front=False)
    return Timetable(
        version=version,
        compiled_at=now,
        valid_until=until,
        tz=farm.tz,
        entries=tuple(sorted((one for one in plan.entries if one.due <= until), key=lambda one: one.start)),
        skipped=tuple(sorted((one for one in plan.skipped if one.due <= until), key=lambda one: one.due)),
        base=in_their_turns(base_plan(farm, now), farm, state.known, now),
        known=state.known,
        queue=tuple(queue) or None,
    )


def _further(farm: Farm) -> timedelta:
    """How far beyond the horizon programs of more priority must be laid out, so that it never moves those before it."""
    levels = len({program.priority for program in farm.programs if program.enabled})
    return timedelta(days=2) * (levels - 1) if levels else timedelta(0)


class _Placed(NamedTuple):
    """A part with its place, or with the reason why it has none."""

    piece: Piece
    start: datetime | None
    rule: Rule
    params: Params


class _Plan:
    """What has been placed so far, and what that leaves free."""

    def __init__(self, farm: Farm, state: PlanState, now: datetime, until: datetime) -> None:
        self.entries: list[Entry] = []
        self.skipped: list[Skip] = []
        self._farm, self._now, self._known = farm, now, state.known
        self._room = Room(farm, state, now, until)
        self._queue = QueuePlacer(farm, self._room, now)
        self._paused_until = farm.hold.until if farm.hold is not None and farm.hold.paused(now) else None
        if self._paused_until is not None:
            self._room.close(now, self._paused_until)
        if state.not_before is not None:
            self._room.close(now, state.not_before)
        self._skips = frozenset(farm.skips)
        self._ends = state.ended | {run.entry_id: run.until for run in state.active if run.entry_id is not None}
        self._settled = state.settled | {run.entry_id for run in state.active if run.entry_id is not None}
        self._shortened, self._owed = state.shortened_pct, state.owed_s
        self._capacity = {source.id: source.capacity_l_min for source in farm.sources}
        self._again = {each.id: gives_again(each, state.known.troubles.get(each.id), now) for each in farm.sources}
        self._carried = {(each.program_id, each.zone_id): each for each in state.known.carried}
        self._verdicts = Verdicts(farm, state.known, now, self._settled)
        self._versions = Versions(farm)
        self._sequencer = Sequencer(farm, dryness(farm, state.known, now))

    def add_all(self, found: Sequence[Firing]) -> None:
        """Place firings, which must come in the order of priority and due."""
        for firing in self._versions.each_once(found, lambda one: self._pieces(one)[2]):
            self._add(firing)

    def _pieces(self, firing: Firing) -> tuple[Sequence[Piece], Sequence[TooLittle], bool]:
        found, little = self._sequencer.pieces(firing, self._owed_s(firing))
        return found, little, any(piece.id in self._settled for piece in found)

    def _add(self, firing: Firing) -> None:
        """Place a program's zones in its sequence."""
        found, little, begun = self._pieces(firing)
        rule, params = self._ruled_out(firing, begun=begun)
        if rule is not None:
            self._pass_over(firing, [(piece.id, piece.zone.id, piece.offset_s) for piece in found], rule, params)
            self._pass_over(firing, [(one.id, one.zone.id, 0) for one in little], rule, params)
            return
        self._too_little(firing, little)
        placed = self._finished(firing, found, begun=begun) if firing.finish else self._place(firing, found, firing.due)
        for one in placed:
            self._keep(firing, one)

    def add_rests(self, state: PlanState) -> None:
        """Place what trouble cut short, after all firings."""
        entries, skipped = made_up(self._farm, state, self._room, self._now)
        entries, against = self._verdicts.of_rests(entries, self._farm)
        self.entries += entries
        self.skipped += skipped + against

    def add_queue(self, state: PlanState, *, front: bool) -> list[QueuePlace]:
        """Place what people have queued: before all firings, or after them."""
        return self._queue.place(one for one in state.known.queue if one.front is front)

    # --- what does not run ---

    def _owed_s(self, firing: Firing) -> dict[str, float]:
        """Return what each zone of the firing was owed before it; for one that has begun, before it began."""
        owed = dict[str, float]()
        if firing.program.adjust is None:
            return owed
        for part in firing.program.zones:
            carried = self._carried.get((firing.program.id, part.zone_id))
            begun_with = self._owed.get(firing.id_of(part.zone_id))
            if begun_with is not None:
                owed[part.zone_id] = begun_with
            elif carried is not None:
                own = carried.by == firing.id_of(part.zone_id)
                owed[part.zone_id] = carried.before_s if own else carried.seconds
        return owed

    def _ruled_out(self, firing: Firing, *, begun: bool) -> tuple[Rule | None, Params]:
        """Return why nothing of the firing runs, if that is so."""
        hold = self._farm.hold
        if hold is not None and hold.covers(firing.due):
            return Rule.HOLD, {"until": hold.until.astimezone(UTC).isoformat()}
        for whose, dry in (("farm", self._farm.dry_days), ("program", firing.program.dry_days)):
            if dry is not None and dry.has(firing.day):
                return Rule.DRY_DAY, {"of": whose}
        if self._versions.forbids(firing, begun=begun):
            return Rule.PROGRAM_CHANGED, {}
        return (None, {}) if firing.in_sun else (Rule.NO_SUN, {})

    def _pass_over(self, firing: Firing, what: Sequence[tuple[str, str, int]], rule: Rule, params: Params) -> None:
        """Record skips of (id, zone id, offset in s), unless settled; one that a person skipped says so."""
        for id_, zone_id, offset_s in what:
            if id_ in self._settled or firing.due + offset_s * _SECOND <= self._now - LATE_WINDOW:
                continue
            by_person = firing.id_of(zone_id) in self._skips
            told = (Rule.SKIPPED_BY_PERSON, Params()) if by_person else (rule, dict(params))
            skip = Skip(
                id=id_, program_id=firing.program.id, zone_id=zone_id, due=firing.due, rule=told[0], params=told[1]
            )
            self.skipped.append(skip)
            self._carry(firing, skip)

    def _too_little(self, firing: Firing, little: Iterable[TooLittle]) -> None:
        for one in little:
            params: Params = {"pct": one.pct, "owed_s": one.owed_s, "carried_s": one.carried_s}
            self._pass_over(firing, [(one.id, one.zone.id, 0)], Rule.BELOW_LEAST, params)

    def _carry(self, firing: Firing, one: Entry | Skip) -> None:
        """Note what is owed after `one` for the program's next due watering of that zone."""
        after = carried_by(one)
        if after is not None:
            self._carried[firing.program.id, one.zone_id] = after

    # --- where it runs ---

    def _place(self, firing: Firing, found: Sequence[Piece], begin: datetime) -> list[_Placed]:
        """Take the first place for each part, from `begin` on, in their order; those settled keep theirs."""
        turn = max(begin, self._now)
        soaked: dict[str, datetime] = {}
        pause, together = firing.program.pause_s * _SECOND, firing.program.order == "together"
        placed = []
        for piece in found:
            ready = max(begin, self._now) if together else turn
            ready = max(ready, soaked.get(piece.zone.id, ready))
            if piece.id in self._settled:
                end = self._ends.get(piece.id)
                if end is not None:
                    turn = max(turn, end + pause)
                    soaked[piece.zone.id] = end + piece.soak_s * _SECOND
                continue
            planned = begin + piece.offset_s * _SECOND
            if planned <= self._now - LATE_WINDOW:
                continue
            one = self._judge(firing, piece, planned, ready)
            placed.append(one)
            if one.start is not None:
                self._room.take(piece.zone, one.start, piece.length_s)
                end = one.start + piece.length_s * _SECOND
                turn = max(turn, one.start, end + pause)
                soaked[piece.zone.id] = end + piece.soak_s * _SECOND
        return placed

    def _judge(self, firing: Firing, piece: Piece, planned: datetime, ready: datetime) -> _Placed:
        zone, windows = piece.zone, firing.program.windows
        if piece.whole_id in self._skips:
            return _Placed(piece, None, Rule.SKIPPED_BY_PERSON, {})
        above = self._room.too_much_for(zone)
        if above is not None:
            return _Placed(
                piece, None, Rule.FLOW_ABOVE_SOURCE, {"flow_l_min": zone.flow_l_min, "capacity_l_min": above[0]}
            )
        if self._room.turns.no_share(zone, planned):
            return _Placed(piece, None, Rule.NO_SHARE, {})
        start = self._room.earliest(zone, windows, ready, piece.length_s)
        if start <= planned or start <= self._now:
            return _Placed(piece, start, Rule.AS_PROGRAMMED, {})
        capacity = self._capacity[zone.source_id]
        if start - planned > LATE_WINDOW:
            window: Params = {"late_window_min": LATE_WINDOW / timedelta(minutes=1)}
            if self._room.allowed(zone, windows, ready, piece.length_s) - planned > LATE_WINDOW:
                return _Placed(piece, None, Rule.OUTSIDE_WINDOW, window)
            if self._room.in_turn(zone, windows, ready, piece.length_s) - planned > LATE_WINDOW:
                return _Placed(piece, None, Rule.OUTSIDE_TURN, window | self._next_turn(zone, planned))
            if self._again[zone.source_id] - planned > LATE_WINDOW:
                return _Placed(piece, None, *self._trouble(zone.source_id))
            return _Placed(piece, None, Rule.TOO_LATE, window | {"capacity_l_min": capacity})
        return self._late(piece, windows, planned, start)

    def _late(self, piece: Piece, windows: tuple[Window, ...], planned: datetime, start: datetime) -> _Placed:
        """Say why it starts later than it wants to."""
        zone = piece.zone
        late: Params = {"late_min": round((start - planned) / timedelta(minutes=1), 1)}
        if (until := self._paused_until) is not None and planned < until:
            return _Placed(piece, start, Rule.PAUSED, late | {"until": until.astimezone(UTC).isoformat()})
        if planned < self._again[zone.source_id] != self._now:
            rule, why = self._trouble(zone.source_id)
            return _Placed(piece, start, rule, late | why)
        if start == self._room.allowed(zone, windows, max(planned, self._now), piece.length_s):
            return _Placed(piece, start, Rule.WINDOW_OPENS, late)
        if start == self._room.in_turn(zone, windows, max(planned, self._now), piece.length_s):
            return _Placed(piece, start, Rule.TURN_COMES, late)
        return _Placed(piece, start, Rule.SOURCE_BUSY, late | {"capacity_l_min": self._capacity[zone.source_id]})

    def _next_turn(self, zone: Zone, after: datetime) -> Params:
        turn = self._room.turns.next(zone, after)
        return {} if turn is None else {"turn": turn.isoformat()}

    def _trouble(self, source_id: str) -> tuple[Rule, Params]:
        trouble = self._known.troubles[source_id]
        level: Params = {} if trouble.level_pct is None else {"level_pct": trouble.level_pct}
        return _OF_TROUBLE[trouble.kind], level | {"since": trouble.since.astimezone(UTC).isoformat()}

    def _give_back(self, placed: Iterable[_Placed]) -> None:
        for one in placed:
            if one.start is not None:
                self._room.take(one.piece.zone, one.start, one.piece.length_s, back=True)

    # --- finished by a time ---

    def _finished(self, firing: Firing, found: Sequence[Piece], *, begun: bool) -> list[_Placed]:
        """Place a firing so that it ends by its `finish`, or do what its program says for when it cannot.

        One that has begun goes on to its end, shortened as it began. One that nobody began in time may end later by as
        much, within `LATE_FINISH`.
        """
        finish, policy = firing.finish, firing.program.finish
        if finish is None or policy is None:
            raise ValueError("a firing without a finish cannot be finished by it")
        if begun:
            pct = next((self._shortened[piece.id] for piece in found if piece.id in self._shortened), None)
            found = found if pct is None else self._shortened_to(firing, found, pct) or found
            return self._place(firing, found, min(firing.due, self._now))  # it may have begun earlier than due
        begin = finish - self._sequencer.span_s(found) * _SECOND
        limit = finish + min(LATE_FINISH, max(timedelta(0), self._now - begin))
        placed = self._in_time(firing, found, begin, limit)
        if placed is not None:
            return placed
        if policy.if_late is IfLate.EARLIER:
            placed = self._earlier(firing, found, begin, finish, policy.earlier_min)
        elif policy.if_late is IfLate.SHORTEN:
            placed = self._shorter(firing, found, limit)
        if placed is not None:
            return placed
        not_by: Params = {"finish": finish.isoformat()}
        return [_Placed(one, None, Rule.NOT_FINISHED, not_by) for one in found if one.whole_id not in self._skips] + [
            _Placed(one, None, Rule.SKIPPED_BY_PERSON, {}) for one in found if one.whole_id in self._skips
        ]

    def _in_time(
        self, firing: Firing, found: Sequence[Piece], begin: datetime, finish: datetime
    ) -> list[_Placed] | None:
        """Place the parts from `begin` on if all that can run then end by `finish`; else leave all as it was."""
        placed = self._place(firing, found, begin)
        if self._end(placed) <= finish and not any(one.rule in _UNPLACED for one in placed):
            return placed
        self._give_back(placed)
        return None

    def _earlier(
        self, firing: Firing, found: Sequence[Piece], begin: datetime, finish: datetime, earlier_min: int
    ) -> list[_Placed] | None:
        first = max(self._now, begin - timedelta(minutes=earlier_min))
        for _ in range(_TRIES):
            placed = self._place(firing, found, begin)
            over = self._end(placed) - finish
            fits = over <= timedelta(0) and not any(one.rule in _UNPLACED for one in placed)
            if fits:
                return [one if one.start is None else one._replace(rule=Rule.STARTED_EARLIER) for one in placed]
            self._give_back(placed)
            begin -= max(over, _LOOK_ROUND) if over > timedelta(0) else _LOOK_ROUND
            if begin < first:
                return None
        return None

    def _shorter(self, firing: Firing, found: Sequence[Piece], finish: datetime) -> list[_Placed] | None:
        """Place as much of each part as ends in time, in whole percents, the most that does."""
        enough, too_much = 0, 100
        while too_much - enough > 1:
            pct = (enough + too_much) // 2
            shorter = self._shortened_to(firing, found, pct)
            placed = None if shorter is None else self._in_time(firing, shorter, firing.due, finish)
            if placed is not None:
                self._give_back(placed)
            enough, too_much = (enough, pct) if shorter is not None and placed is None else (pct, too_much)
        shorter = self._shortened_to(firing, found, enough)
        placed = None if shorter is None else self._in_time(firing, shorter, firing.due, finish)
        told: Params = {"shortened_pct": float(enough)}
        return None if placed is None else [
            one if one.start is None else one._replace(rule=Rule.SHORTENED, params=told) for one in placed
        ]  # fmt: skip

    def _shortened_to(self, firing: Firing, found: Sequence[Piece], pct: float) -> list[Piece] | None:
        """Return the parts with that much of their doses, in sequence; None when one is too little to be of use."""
        adjust = firing.program.adjust
        least_s = 120.0 if adjust is None else adjust.least_minutes * 60
        whole: dict[str, list[Piece]] = {}
        for piece in sorted(found, key=lambda piece: piece.part):
            dose = scaled(piece.dose, pct / 100)
            if dose is None or asked_s(dose, piece.zone) < min(least_s, asked_s(piece.dose, piece.zone)):
                return None
            whole.setdefault(piece.whole_id, []).append(piece.with_dose(dose))
        order = dict.fromkeys(piece.whole_id for piece in found)
        return list(in_sequence([tuple(whole[id_]) for id_ in order], firing.program))

    def _end(self, placed: Iterable[_Placed]) -> datetime:
        """Return when the last of them has ended and its supply is off; `now` when none runs."""
        ends = (
            one.start + (one.piece.length_s + self._sequencer.lag_s(one.piece)) * _SECOND
            for one in placed
            if one.start is not None
        )
        return max(ends, default=self._now)

    # --- what is kept of it ---

    def _keep(self, firing: Firing, one: _Placed) -> None:
        piece = one.piece
        if one.start is None:
            self._pass_over(firing, [(piece.id, piece.zone.id, piece.offset_s)], one.rule, one.params)
            return
        rule, params = one.rule, self._numbers(piece)
        verdict = self._verdicts.of_part(piece.whole_id, firing.program, piece.zone, one.start)
        if verdict.rule is not None:
            told = left_out(verdict, params | one.params, one.start, piece.length_s)
            self._pass_over(firing, [(piece.id, piece.zone.id, piece.offset_s)], verdict.rule, told)
            return
        if "asked_s" in params and rule is Rule.AS_PROGRAMMED:
            rule = Rule.CUT_TO_CAP
        entry = Entry(
            id=piece.id,
            program_id=firing.program.id,
            zone_id=piece.zone.id,
            node_id=piece.zone.node_id,
            channel=piece.zone.channel,
            due=firing.due,
            start=one.start,
            max_s=piece.max_s,
            dose=piece.dose,
            flow_l_min=piece.zone.flow_l_min,
            rule=rule,
            params=params | one.params if one.params else params,
            awaits=verdict.awaits,
        )
        self.entries.append(entry)
        self._carry(firing, entry)

    def _numbers(self, piece: Piece) -> Params:
        """Return the numbers behind the dose, other than those of its place."""
        params: Params = {}
        wanted_s = asked_s(piece.dose, piece.zone)
        if wanted_s > piece.zone.max_run_s:
            params |= {"max_run_s": float(piece.zone.max_run_s), "asked_s": float(wanted_s)}
        if piece.pct is not None:
            params["pct"] = piece.pct
            if piece.part == 1 and piece.carried_s is not None:
                params |= {"owed_s": piece.owed_s, "carried_s": piece.carried_s}
        return params


_UNPLACED = frozenset({Rule.TOO_LATE, Rule.OUTSIDE_WINDOW, Rule.OUTSIDE_TURN, *_OF_TROUBLE.values()})
