"""Any program that can be written, for the laws, and the plainest executor: what a gateway and its boards do, in virtual time."""

from dataclasses import replace
from datetime import date, datetime, time, timedelta

from hypothesis import strategies as st

from irrigation.carried import carried_after
from irrigation.model import (
    ActiveRun,
    Adjust,
    Cron,
    CurvePoint,
    CycleSoak,
    Dates,
    Dose,
    DryDays,
    EvenDays,
    EveryNDays,
    Farm,
    Finish,
    Group,
    IfLate,
    Knowledge,
    MonthDays,
    OddDays,
    Order,
    PlanState,
    Program,
    Repeat,
    Season,
    Skip,
    Sun,
    Timetable,
    Weekly,
    Window,
    ZoneDose,
)
from irrigation.planner import compile_timetable
from irrigation.timetable import Entry
from irrigation.verdict import final_from, with_left_out
from tests.unit.irrigation.farms import DAILY, LONG_AGO, TIME_ZONES, farm, source, zone

CALENDARS = st.one_of(
    st.just(DAILY),
    st.builds(Weekly, days=st.lists(st.integers(1, 7), min_size=1, unique=True).map(tuple)),
    st.builds(EveryNDays, n=st.integers(1, 5), anchor=st.dates(date(2026, 2, 20), date(2026, 12, 1))),
    st.just(OddDays()),
    st.just(EvenDays()),
    st.builds(
        MonthDays, days=st.lists(st.integers(1, 31), max_size=8, unique=True).map(tuple), last=st.sampled_from((True,))
    ),
    st.builds(Dates, dates=st.lists(st.dates(date(2026, 3, 1), date(2026, 12, 1)), min_size=1, unique=True).map(tuple)),
)
CLOCKS = st.builds(time, st.sampled_from((1, 2, 5, 5, 6, 22)), st.sampled_from((0, 10, 30)))
STARTS = st.one_of(
    CLOCKS, CLOCKS, st.builds(Sun, sun=st.sampled_from(("sunrise", "sunset")), offset_min=st.integers(-60, 60))
)
DOSES = st.one_of(
    st.builds(Dose, minutes=st.integers(2, 50).map(float)),
    st.builds(Dose, litres=st.integers(20, 900).map(float)),
    st.builds(Dose, depth_mm=st.integers(1, 8).map(float)),
    st.builds(Dose, until_moisture_pct=st.just(36.0), max_minutes=st.just(25.0)),
)
ADJUSTS = st.one_of(
    st.builds(Adjust, pct=st.sampled_from((5.0, 30.0, 80.0, 130.0)), step_s=st.sampled_from((1, 60))),
    st.builds(Adjust, months_pct=st.lists(st.sampled_from((0.0, 40.0, 100.0)), min_size=12, max_size=12).map(tuple)),
    st.just(Adjust(curve=(CurvePoint(day="01-15", pct=20), CurvePoint(day="07-01", pct=150)))),
)
FINISHES = st.builds(Finish, if_late=st.sampled_from(IfLate))
WINDOWS = st.sampled_from(
    (
        (Window(begin=time(20), end=time(8)),),
        (Window(begin=Sun(sun="sunset"), end=Sun(sun="sunrise", offset_min=90)), Window(begin=time(12), end=time(14))),
    )
)


@st.composite
def rich_programs(draw: st.DrawFn, number: int, zone_ids: list[str]) -> Program:
    """A program of any kind."""
    cron = draw(st.sampled_from((False, False, False, True)))
    finish = draw(st.none() | st.none() | FINISHES)
    repeats = (
        None if finish or cron else draw(st.none() | st.builds(Repeat, every_min=st.just(90), times=st.integers(1, 3)))
    )
    return Program(
        id=f"p{number}",
        name="",
        calendar=Cron(expression=draw(st.sampled_from(("0 5 * * *", "30 2,6 * * 1-5")))) if cron else draw(CALENDARS),
        starts=() if cron else tuple(draw(st.lists(STARTS, min_size=1, max_size=2, unique=True))),
        zones=tuple(
            ZoneDose(
                zone_id=zone_id,
                dose=draw(DOSES),
                cycle=draw(st.none() | st.just(CycleSoak(on_minutes=8, soak_minutes=15))),
            )
            for zone_id in draw(st.lists(st.sampled_from(zone_ids), min_size=1, max_size=3, unique=True))
        ),
        since=LONG_AGO,
        repeat=repeats,
        seasons=draw(st.sampled_from(((), (), (Season(first="10-01", last="06-30"),)))),
        dry_days=draw(st.none() | st.just(DryDays(weekdays=(7,)))),
        windows=draw(st.just(()) | WINDOWS),
        finish=finish,
        adjust=draw(st.none() | ADJUSTS),
        order=draw(st.sampled_from(Order)),
        pause_s=draw(st.sampled_from((0, 0, 45, -60))),
        priority=draw(st.integers(1, 3)),
    )


@st.composite
def rich_farms(draw: st.DrawFn) -> Farm:
    """A farm of a few zones and programs of any kind, with groups, pumps and hours."""
    tank = replace(
        source("s0", draw(st.integers(20, 60)) + 0.1),
        supply_before_s=draw(st.sampled_from((0, 20))),
        supply_after_s=draw(st.sampled_from((0, 10))),
        power=draw(st.just(()) | st.just((Window(begin=time(18), end=time(10)),))),
    )
    zones = tuple(
        replace(
            zone(f"z{i}", flow_l_min=draw(st.integers(5, 30)) + 0.1, source_id="s0", has_meter=draw(st.booleans())),
            exclusive=draw(st.sampled_from((False, False, False, True))),
        )
        for i in range(draw(st.integers(2, 4)))
    )
    ids = [each.id for each in zones]
    programs = tuple(draw(rich_programs(i, ids)) for i in range(draw(st.integers(1, 4))))
    of = farm(*programs, zones=zones, sources=(tank,), tz=draw(st.sampled_from(TIME_ZONES)))
    groups = draw(
        st.sampled_from(
            (
                (),
                (
                    Group(id="g", zone_ids=tuple(ids[:2]), max_l_min=31.0),
                    Group(id="h", zone_ids=(ids[-1], ids[0]), max_zones=1),
                ),
            )
        )
    )
    return replace(of, groups=groups)


def length(of: Farm, entry: Entry) -> timedelta:
    """How long an entry keeps its place: its pump's lead and its lease."""
    return timedelta(seconds=of.source(of.zone(entry.zone_id).source_id).supply_before_s + entry.max_s)


class Night:
    """Carries out timetables in virtual time: what is due starts, what was skipped is settled, all as it was planned."""

    def __init__(self, of: Farm, plan: Timetable, known: Knowledge | None = None) -> None:
        self.ran: dict[str, Entry] = {}
        self.passed: dict[str, Skip] = {}
        self.plan = plan
        self._farm = of
        self._known = known or Knowledge()

    def until(self, moment: datetime) -> None:
        """Start and settle all that comes before the moment, in order."""
        happens: list[Entry | Skip] = [entry for entry in self.plan.entries if entry.start < moment]
        happens += [skip for skip in self.plan.skipped if final_from(skip) <= moment]
        for one in sorted(happens, key=lambda one: one.due):
            if isinstance(one, Entry):
                self.ran[one.id] = one
            else:
                self.passed[one.id] = one
            self._known = carried_after(self._known, [one])

    def compile(self, now: datetime, days: int) -> None:
        """Plan anew from what has happened, as the gateway does."""
        ends = {entry.id: entry.start + length(self._farm, entry) for entry in self.ran.values()}
        state = PlanState(
            active=tuple(
                ActiveRun(zone_id=one.zone_id, until=ends[one.id], flow_l_min=one.flow_l_min, entry_id=one.id)
                for one in self.ran.values()
                if ends[one.id] > now
            ),
            settled=frozenset(self.ran) | frozenset(self.passed),
            ended={id_: end for id_, end in ends.items() if end <= now},
            shortened_pct={
                one.id: pct for one in self.ran.values() if isinstance(pct := one.params.get("shortened_pct"), float)
            },
            owed_s={one.id: owed for one in self.ran.values() if isinstance(owed := one.params.get("owed_s"), float)},
            known=self._known,
        )
        state = with_left_out(state, self.passed.values(), self._farm.zones, now)
        self.plan = compile_timetable(self._farm, state, now, days=days, version=1)
