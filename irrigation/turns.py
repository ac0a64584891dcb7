"""The turns of a farm as a plan sees them: which household has the water of which source when, and who is bound."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from irrigation.farm import Farm
from irrigation.flow import FlowProfile, only_within
from irrigation.knowledge import Knowledge, SourceTrouble
from irrigation.rota import Rota, Shortage, merged
from irrigation.rounds import Round, rounds
from irrigation.site import Source, Zone
from irrigation.source import gives_again

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)
_PAST = timedelta(days=3)  # turns that ended longer ago say nothing about a plan
_FOR_GOOD = datetime(9000, 1, 1, tzinfo=UTC)


def rotas_in_force(farm: Farm, source_id: str, known: Knowledge, now: datetime) -> tuple[Rota, ...]:
    """Return the source's rotas in order, each with all that the source lacked: told by people, over, or lasting."""
    source = farm.source(source_id)
    lacked = [*known.shortages.get(source_id, ())]
    trouble = known.troubles.get(source_id)
    if trouble is not None:
        lacked.append(_lasting(source, trouble, now))
    return tuple(
        replace(each, shortages=merged([*each.shortages, *lacked])) if lacked else each
        for each in farm.rotas_of(source_id)
    )


def rounds_in_force(rotas: Iterable[Rota], source: Source, tz: str, until: datetime) -> Iterator[tuple[Rota, Round]]:
    """Yield the rounds of `rotas_in_force` that begin before `until`, each with its rota.

    A round that the next rota cuts short keeps what of its turns comes before that.
    """
    order = tuple(rotas)
    for rota, then in zip(order, [*order[1:], None], strict=True):
        end = None if then is None else then.anchor
        for one in rounds(rota, source.capacity_l_min, tz, until if end is None else min(until, end)):
            yield rota, one if end is None else _cut(one, end)


def after_troubles(
    known: Knowledge, troubles: dict[str, SourceTrouble], farm: Farm, now: datetime
) -> dict[str, tuple[Shortage, ...]]:
    """Return the shortages of `known` with those whose trouble is over now that the sources are in `troubles` only.

    Sources without a rota have none. A trouble has lasted as long as the plan had it last.
    """
    found = dict(known.shortages)
    for source_id, before in known.troubles.items():
        still = troubles.get(source_id)
        if not farm.rotas_of(source_id) or (still is not None and still.since == before.since) or now <= before.since:
            continue
        found[source_id] = merged([*found.get(source_id, ()), Shortage(start=before.since, end=now)])
    return found


class Turns:
    """The turns of all sources as far as `until`, in UTC; times of `hours` in ticks (irrigation.room)."""

    def __init__(self, farm: Farm, known: Knowledge, now: datetime, until: datetime) -> None:
        self._first = {each: farm.rotas_of(each)[0].anchor for each in {rota.source_id for rota in farm.rotas}}
        self._shares = {(rota.source_id, share.household_id) for rota in farm.rotas for share in rota.shares}
        strangers = {(source_id, "") for source_id in self._first}
        self._spans = {each: [(_EPOCH, self._first[each[0]].astimezone(UTC))] for each in self._shares | strangers}
        for source_id in self._first:
            rotas = rotas_in_force(farm, source_id, known, now)
            for _, one in rounds_in_force(rotas, farm.source(source_id), farm.tz, until):
                for turn in one.turns:
                    if turn.spans[-1][1] > now - _PAST:
                        _join(self._spans[source_id, turn.household_id], turn.spans)
        self._hours = {each: _profile(spans) for each, spans in self._spans.items()}

    def bind(self, zone: Zone) -> bool:
        """Whether the zone's source goes by turns."""
        return zone.source_id in self._first

    def no_share(self, zone: Zone, at: datetime) -> bool:
        """Whether the zone's source goes by turns then and its household has a share in none."""
        return self.bind(zone) and at >= self._first[zone.source_id] and self._key(zone) not in self._shares

    def hours(self, zone: Zone) -> FlowProfile:
        """Return what is free in the turns of the zone's household, and before the first rota; nothing after that."""
        return self._hours[self._key(zone)]

    def next(self, zone: Zone, after: datetime) -> datetime | None:
        """Return when the next of its household's turns begins or goes on, if that is known yet."""
        return next((start for start, _ in self._spans[self._key(zone)] if start > after), None)

    def hold(self, zone: Zone, start: datetime, end: datetime) -> bool:
        """Whether the zone may water from `start` to `end`: its source goes by no turns, or it is its household's."""
        if not self.bind(zone):
            return True
        return any(first <= start and end <= last for first, last in self._spans[self._key(zone)])

    def _key(self, zone: Zone) -> tuple[str, str]:
        key = (zone.source_id, zone.household_id or "")
        return key if key in self._shares else (zone.source_id, "")


def _lasting(source: Source, trouble: SourceTrouble, now: datetime) -> Shortage:
    """A trouble that lasts, until the plan counts on the source again."""
    return Shortage(start=trouble.since, end=gives_again(source, trouble, now))


def _cut(one: Round, end: datetime) -> Round:
    turns = []
    for turn in one.turns:
        spans = tuple((start, min(stop, end)) for start, stop in turn.spans if start < end)
        if spans:
            turns.append(replace(turn, spans=spans, whole=turn.whole and turn.spans[-1][1] <= end))
    return replace(one, turns=tuple(turns))


def _join(spans: list[tuple[datetime, datetime]], more: Iterable[tuple[datetime, datetime]]) -> None:
    """Add later spans; what touches becomes one."""
    for start, end in more:
        if spans and spans[-1][1] == start:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((start, end))


def _profile(spans: list[tuple[datetime, datetime]]) -> FlowProfile:
    profile = only_within((_ticks(start), _ticks(end)) for start, end in spans)
    profile.take(_ticks(spans[-1][1]), _ticks(_FOR_GOOD), 1)
    return profile


def _ticks(moment: datetime) -> int:
    return (moment - _EPOCH) // _TICK
