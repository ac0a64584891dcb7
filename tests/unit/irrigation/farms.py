"""Farms to plan for: a small one that reads well, and any farm at all for the laws."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

from hypothesis import strategies as st

from irrigation.model import (
    ActiveRun,
    Calendar,
    Dose,
    Entry,
    EveryNDays,
    Farm,
    Hold,
    PlanState,
    Program,
    Skip,
    Source,
    Timetable,
    Weekly,
    Zone,
    ZoneDose,
)

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
DAILY = Weekly(days=(1, 2, 3, 4, 5, 6, 7))
CHANGING_ZONES = (
    "America/Santiago",  # jumps at midnight
    "Africa/Casablanca",  # back for Ramadan
    "Australia/Lord_Howe",  # by half an hour
    "Europe/Paris",
    "America/New_York",
)
TIME_ZONES = (*CHANGING_ZONES, "Asia/Ho_Chi_Minh", "Pacific/Apia", "Asia/Kathmandu")


def source(name: str = "tank", capacity_l_min: float = 30.0) -> Source:
    return Source(id=name, name=name, capacity_l_min=capacity_l_min)


def zone(
    name: str, *, flow_l_min: float = 20.0, source_id: str = "tank", max_run_s: int = 3600, has_meter: bool = False
) -> Zone:
    return Zone(
        id=name,
        name=name,
        node_id="board",
        channel=f"valve-{name}",
        source_id=source_id,
        area_m2=100.0,
        flow_l_min=flow_l_min,
        has_meter=has_meter,
        max_run_s=max_run_s,
    )


def program(
    name: str,
    *parts: tuple[str, float],
    start: str = "05:00",
    calendar: Calendar = DAILY,
    since: datetime = LONG_AGO,
    enabled: bool = True,
) -> Program:
    """Return a program that waters each (zone, minutes) in turn, at each of the starts given as "05:00 17:30"."""
    return Program(
        id=name,
        name=name,
        calendar=calendar,
        starts=tuple(time.fromisoformat(each) for each in start.split()),
        zones=tuple(ZoneDose(zone_id=zone_id, dose=Dose(minutes=minutes)) for zone_id, minutes in parts),
        since=since,
        enabled=enabled,
    )


def farm(
    *programs: Program,
    zones: tuple[Zone, ...] = (zone("a"), zone("b"), zone("c")),
    sources: tuple[Source, ...] = (source(),),
    tz: str = "UTC",
    hold: Hold | None = None,
    skips: tuple[str, ...] = (),
) -> Farm:
    return Farm(
        id="farm",
        name="Farm",
        tz=tz,
        lat=21.3,
        lon=103.9,
        sources=sources,
        zones=zones,
        programs=programs,
        hold=hold,
        skips=skips,
    )


# --- any farm -------------------------------------------------------------------------------------------------------

_MINUTES = st.floats(0.05, 200)
_DOSES = st.one_of(
    st.builds(Dose, minutes=_MINUTES),
    st.builds(Dose, litres=st.floats(1, 5000), max_minutes=st.none() | _MINUTES),
    st.builds(Dose, until_moisture_pct=st.just(36.0), max_minutes=_MINUTES),
)
_CALENDARS = st.one_of(
    st.just(DAILY),
    st.builds(Weekly, days=st.lists(st.integers(1, 7), min_size=1, unique=True).map(tuple)),
    st.builds(EveryNDays, n=st.integers(1, 5), anchor=st.dates(date(2026, 2, 20), date(2026, 12, 1))),
)
# Mostly within one hour and a half, so that programs are in each other's way; some in the hours that clocks change.
_STARTS = st.one_of(
    st.builds(time, st.sampled_from((5, 5, 6)), st.sampled_from((0, 10, 30, 45))),
    st.builds(time, st.integers(0, 23), st.integers(0, 59)),
)
moments = st.datetimes(datetime(2026, 3, 1), datetime(2026, 11, 30), timezones=st.just(UTC))  # noqa: DTZ001
moments_near_changes = st.sampled_from(
    (
        datetime(2026, 2, 14, tzinfo=UTC),  # Casablanca, back
        datetime(2026, 3, 7, tzinfo=UTC),  # New York, on
        datetime(2026, 3, 28, tzinfo=UTC),  # Paris, on
        datetime(2026, 4, 4, tzinfo=UTC),  # Santiago and Lord Howe, back
        datetime(2026, 9, 5, tzinfo=UTC),  # Santiago, on
        datetime(2026, 10, 3, tzinfo=UTC),  # Lord Howe, on
        datetime(2026, 10, 24, tzinfo=UTC),  # Paris, back
    )
)
nows = moments | moments_near_changes


@st.composite
def farms(draw: st.DrawFn) -> Farm:
    """Any small farm whose programs are in each other's way."""
    sources = tuple(source(f"s{i}", draw(st.integers(10, 60)) + 0.1) for i in range(draw(st.integers(1, 2))))
    zones = tuple(
        zone(
            f"z{i}",
            flow_l_min=draw(st.floats(0.5, 70)),
            source_id=draw(st.sampled_from(sources)).id,
            max_run_s=draw(st.integers(30, 9000)),
            has_meter=draw(st.booleans()),
        )
        for i in range(draw(st.integers(1, 5)))
    )
    ids = [each.id for each in zones]
    programs = tuple(
        Program(
            id=f"p{i}",
            name="",
            calendar=draw(_CALENDARS),
            starts=tuple(draw(st.lists(_STARTS, min_size=1, max_size=3, unique=True))),
            zones=tuple(
                ZoneDose(zone_id=zone_id, dose=draw(_DOSES))
                for zone_id in draw(st.lists(st.sampled_from(ids), min_size=1, max_size=4, unique=True))
            ),
            since=draw(st.just(LONG_AGO) | moments),
            enabled=draw(st.sampled_from((True, True, True, False))),
        )
        for i in range(draw(st.integers(1, 4)))
    )
    hold = draw(st.none() | st.builds(Hold, until=moments))
    return farm(*programs, zones=zones, sources=sources, tz=draw(st.sampled_from(TIME_ZONES)), hold=hold)


def crowded(of: Farm) -> Farm:
    """Return the farm with all its programs at work, whose sources give to any zone but seldom to two at once.

    Nothing measures, for a meter ends doses earlier than planned; nothing holds.
    """
    return replace(
        of,
        sources=tuple(replace(each, capacity_l_min=max(10.1, each.capacity_l_min / 3)) for each in of.sources),
        zones=tuple(replace(each, has_meter=False, flow_l_min=min(each.flow_l_min, 10.0)) for each in of.zones),
        programs=tuple(replace(each, enabled=True, since=LONG_AGO, starts=each.starts[:2]) for each in of.programs),
        hold=None,
    )


@st.composite
def active_runs(draw: st.DrawFn, of: Farm, now: datetime) -> tuple[ActiveRun, ...]:
    """Runs under way that people ordered, each in a zone of its own; together they may exceed a source."""
    running = draw(st.lists(st.sampled_from(of.zones), max_size=3, unique_by=lambda each: each.id))
    return tuple(
        ActiveRun(
            zone_id=each.id, until=now + timedelta(seconds=draw(st.integers(-60, 9000))), flow_l_min=each.flow_l_min
        )
        for each in running
    )


# --- what the laws look at ------------------------------------------------------------------------------------------


def end(entry: Entry) -> datetime:
    return entry.start + timedelta(seconds=entry.max_s)


def assert_within_sources(of: Farm, entries: tuple[Entry, ...], active: tuple[ActiveRun, ...] = ()) -> None:
    """Whenever an entry waters, its source gives what all want; a flow can only rise where something starts."""
    source_of = {each.id: each.source_id for each in of.zones}
    for at in {entry.start for entry in entries}:
        for each in of.sources:
            watering = [
                entry for entry in entries if entry.start <= at < end(entry) and source_of[entry.zone_id] == each.id
            ]
            running = [run for run in active if at < run.until and source_of[run.zone_id] == each.id]
            flow = sum(entry.flow_l_min for entry in watering) + sum(run.flow_l_min for run in running)
            assert not watering or flow <= each.capacity_l_min + 1e-4, (at, each, watering, running)


def assert_zones_have_one_at_a_time(entries: tuple[Entry, ...], active: tuple[ActiveRun, ...] = ()) -> None:
    free = {run.zone_id: run.until for run in active}
    for entry in sorted(entries, key=lambda entry: entry.start):
        assert entry.zone_id not in free or free[entry.zone_id] <= entry.start, entry
        free[entry.zone_id] = end(entry)


def everything(timetable: Timetable) -> list[Entry | Skip]:
    return [*timetable.entries, *timetable.skipped]


def plan_ids(timetable: Timetable) -> list[str]:
    return [one.id for one in everything(timetable)]


NOTHING = PlanState()
