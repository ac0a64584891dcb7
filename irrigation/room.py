"""What sources, zones, groups, hours and clocks leave free, and the first place for a watering."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from irrigation.farm import Farm
from irrigation.flow import Claim, FlowProfile, first_free, micro, only_within
from irrigation.knowledge import PlanState
from irrigation.site import Group, Zone
from irrigation.source import gives_again
from irrigation.starts import Window
from irrigation.turns import Turns
from irrigation.windows import Place, spans

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TICK = timedelta(microseconds=1)
SECOND = 1_000_000  # ticks
_AROUND = timedelta(days=3)
_AFTER = timedelta(days=10)


class Room:
    """Profiles over time, in ticks since 1970, of all that a watering needs. Longer than `until` by some days."""

    def __init__(self, farm: Farm, state: PlanState, now: datetime, until: datetime) -> None:
        self._place = Place(ZoneInfo(farm.tz), farm.lat, farm.lon)
        self._dates = (now - _AROUND).date(), (until + _AFTER).date()
        self._hours: dict[tuple[Window, ...], FlowProfile] = {}
        self._needs: dict[str, tuple[Claim, ...]] = {}  # by zone id: the same for each of its waterings
        self._open: dict[tuple[str, tuple[Window, ...]], tuple[Claim, ...]] = {}
        self._farm_windows = farm.windows
        self.turns = Turns(farm, state.known, now, until + _AFTER)
        self._sources = {source.id: source for source in farm.sources}
        self._flows = {source.id: FlowProfile(micro(source.capacity_l_min)) for source in farm.sources}
        self._idle = {zone.id: FlowProfile(1) for zone in farm.zones}
        self._groups: dict[str, list[tuple[Group, FlowProfile, FlowProfile]]] = {zone.id: [] for zone in farm.zones}
        for group in farm.groups:
            shared = (group, FlowProfile(micro(group.max_l_min or 0.0)), FlowProfile(group.max_zones or 0))
            for zone_id in group.zone_ids:
                self._groups[zone_id].append(shared)
        for source in farm.sources:
            again = gives_again(source, state.known.troubles.get(source.id), now)
            self._flows[source.id].take(ticks(now), ticks(again), micro(source.capacity_l_min))
        zones = {zone.id: zone for zone in farm.zones}
        for run in state.active:
            if run.zone_id in zones:
                since = ticks(max(now, run.since or now))
                for claim in self._claims(zones[run.zone_id], micro(run.flow_l_min)):
                    claim.of.take(since, ticks(run.until), claim.flow)

    def earliest(self, zone: Zone, windows: tuple[Window, ...], ready: datetime, length_s: int) -> datetime:
        """Return the first moment from `ready` on at which the zone may water and has the flow, for that long."""
        claims = self._needed(zone) + self._open_hours(zone, windows) + self._turn(zone)
        return EPOCH + first_free(claims, ticks(ready), length_s * SECOND) * TICK

    def earliest_by_person(self, zone: Zone, ready: datetime, length_s: int) -> datetime:
        """Return the same for a person's order, which no allowed hours bind, only those of the pump's power."""
        claims = self._needed(zone) + self._powered(zone)
        return EPOCH + first_free(claims, ticks(ready), length_s * SECOND) * TICK

    def allowed(self, zone: Zone, windows: tuple[Window, ...], ready: datetime, length_s: int) -> datetime:
        """Return the same for a farm on which nothing else waters: what the allowed hours alone say."""
        return EPOCH + first_free(self._open_hours(zone, windows), ticks(ready), length_s * SECOND) * TICK

    def in_turn(self, zone: Zone, windows: tuple[Window, ...], ready: datetime, length_s: int) -> datetime:
        """Return the same with its household's turns: what the allowed hours and they alone say."""
        claims = self._open_hours(zone, windows) + self._turn(zone)
        return EPOCH + first_free(claims, ticks(ready), length_s * SECOND) * TICK

    def take(self, zone: Zone, start: datetime, length_s: int, *, back: bool = False) -> None:
        """Take a place, or give one back."""
        begin = ticks(start)
        end = begin + length_s * SECOND
        for of, flow, _ in self._needed(zone):
            of.take(begin, end, -flow if back else flow)

    def close(self, begin: datetime, end: datetime) -> None:
        """Let no zone water during that span."""
        for idle in self._idle.values():
            idle.take(ticks(begin), ticks(end), 1)

    def too_much_for(self, zone: Zone) -> tuple[float, str] | None:
        """Return the limit (L/min, and whose) that the zone alone exceeds, None when it exceeds none."""
        source = self._sources[zone.source_id]
        if zone.flow_l_min > source.capacity_l_min and micro(zone.flow_l_min) > micro(source.capacity_l_min):
            return source.capacity_l_min, source.id
        for group, _, _ in self._groups[zone.id]:
            if group.max_l_min is not None and micro(zone.flow_l_min) > micro(group.max_l_min):
                return group.max_l_min, group.id
        return None

    def _needed(self, zone: Zone) -> tuple[Claim, ...]:
        if zone.id not in self._needs:
            self._needs[zone.id] = self._claims(zone, micro(zone.flow_l_min))
        return self._needs[zone.id]

    def _claims(self, zone: Zone, flow: int) -> tuple[Claim, ...]:
        source = self._flows[zone.source_id]
        claims = [Claim(source, source.capacity if zone.exclusive else flow), Claim(self._idle[zone.id], 1)]
        for group, flows, count in self._groups[zone.id]:
            if group.max_l_min is not None:
                claims.append(Claim(flows, flow))
            if group.max_zones is not None:
                claims.append(Claim(count, 1))
        return tuple(claims)

    def _open_hours(self, zone: Zone, windows: tuple[Window, ...]) -> tuple[Claim, ...]:
        asked = zone.source_id, windows
        if asked not in self._open:
            found = tuple(Claim(self._hours_of(each), 1) for each in (self._farm_windows, windows) if each)
            self._open[asked] = found + self._powered(zone)
        return self._open[asked]

    def _turn(self, zone: Zone) -> tuple[Claim, ...]:
        return (Claim(self.turns.hours(zone), 1),) if self.turns.bind(zone) else ()

    def _powered(self, zone: Zone) -> tuple[Claim, ...]:
        source = self._sources[zone.source_id]
        if not source.power:
            return ()
        return (Claim(self._hours_of(source.power), 1, source.supply_after_s * SECOND),)

    def _hours_of(self, windows: tuple[Window, ...]) -> FlowProfile:
        if windows not in self._hours:
            first, last = self._dates
            self._hours[windows] = open_hours(windows, self._place, first, last)
        return self._hours[windows]


def open_hours(windows: Iterable[Window], place: Place, first: date, last: date) -> FlowProfile:
    """Return a profile that is free within the windows, in ticks."""
    return only_within((ticks(begin), ticks(end)) for begin, end in spans(windows, place, first, last))


def ticks(moment: datetime) -> int:
    """Return the microseconds since 1970."""
    return (moment - EPOCH) // TICK
