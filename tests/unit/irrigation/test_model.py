"""Values check themselves, and a refusal is a sentence that names the field."""

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, time
from typing import Any

import pytest

from irrigation.model import (
    ActiveRun,
    BaseEntry,
    Dose,
    Entry,
    EveryNDays,
    Farm,
    Hold,
    Program,
    Rule,
    Skip,
    Timetable,
    Weekly,
    Zone,
    ZoneDose,
    slug,
)
from tests.unit.irrigation.farms import DAILY, farm, program, source, zone

NOW = datetime(2026, 11, 23, tzinfo=UTC)
NAIVE = datetime(2026, 11, 23)  # noqa: DTZ001
ENTRY = Entry(
    id="e", program_id="p", zone_id="a", node_id="n", channel="c",
    due=NOW, start=NOW, max_s=60, dose=Dose(minutes=1), flow_l_min=1.0,
)  # fmt: skip
BASE_ENTRY = BaseEntry(
    program_id="p", zone_id="a", node_id="n", channel="c", calendar=DAILY, start=time(5), max_s=60, dose=Dose(minutes=1)
)


def make_farm(**changes: Any) -> Callable[[], Farm]:
    return lambda: replace(farm(program("p", ("a", 5))), **changes)


def make_zone(**changes: Any) -> Callable[[], Zone]:
    return lambda: replace(zone("a"), **changes)


def make_program(**changes: Any) -> Callable[[], Program]:
    return lambda: replace(program("p", ("a", 5)), **changes)


PART = ZoneDose(zone_id="a", dose=Dose(minutes=1))


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: slug("Tea 1", "zone.id"), "zone.id must be 1 to 48 of a-z, 0-9 and hyphen, not 'Tea 1'"),
        (lambda: slug("", "zone.id"), "zone.id must be"),
        (lambda: slug("a" * 49, "zone.id"), "zone.id must be"),
        (lambda: slug("a\n", "zone.id"), "zone.id must be"),
        (Dose, "dose must have exactly one of minutes, litres, depth_mm or until_moisture_pct"),
        (lambda: Dose(minutes=1, litres=1), "dose must have exactly one of"),
        (lambda: Dose(minutes=0), "dose.minutes must be between 0.05 and 1440 min, not 0"),
        (lambda: Dose(minutes=math.nan), "dose.minutes must be between 0.05 and 1440 min, not nan"),
        (lambda: Dose(minutes=math.inf), "dose.minutes must be between"),
        (lambda: Dose(minutes=1441), "dose.minutes must be between"),
        (lambda: Dose(minutes=5, max_minutes=5), "dose.max_minutes goes with litres, depth_mm or until_moisture_pct"),
        (lambda: Dose(litres=0.01), "dose.litres must be between 0.1 and 1000000 L, not 0.01"),
        (lambda: Dose(litres=5, max_minutes=0), "dose.max_minutes must be between"),
        (lambda: Dose(until_moisture_pct=36), "dose.max_minutes is required with until_moisture_pct"),
        (
            lambda: Dose(until_moisture_pct=71, max_minutes=5),
            "dose.until_moisture_pct must be between 1 and 70 %, not 71",
        ),
        (lambda: source("Tank"), "source.id must be"),
        (lambda: source(capacity_l_min=0), "source tank: capacity_l_min must be between 0.1 and 100000 L/min, not 0"),
        (make_zone(id="A"), "zone.id must be"),
        (make_zone(node_id="A"), "zone.node_id must be"),
        (make_zone(channel="A"), "zone.channel must be"),
        (make_zone(source_id="A"), "zone.source_id must be"),
        (make_zone(area_m2=0), "zone a: area_m2 must be between 0.01 and 1000000 m²"),
        (make_zone(flow_l_min=-1), "zone a: flow_l_min must be between 0.01 and 10000 L/min, not -1"),
        (make_zone(max_run_s=0), "zone a: max_run_s must be between 1 and 86400 s, not 0"),
        (make_zone(moisture_low_pct=-1), "zone a: moisture_low_pct must be between 0 and 70 %, not -1"),
        (make_zone(moisture_low_pct=40.0), "zone a: moisture_high_pct must be between 40 and 70 %, not 36"),
        (lambda: Weekly(days=()), "calendar.days must be different ISO weekdays from 1"),
        (lambda: Weekly(days=(0,)), "calendar.days must be"),
        (lambda: Weekly(days=(1, 1)), "calendar.days must be"),
        (lambda: EveryNDays(n=0, anchor=date(2026, 1, 1)), "calendar.n must be between 1 and 366 days, not 0"),
        (make_program(id="P"), "program.id must be"),
        (make_program(since=NAIVE), "program.since must carry a time zone"),
        (make_program(starts=()), "program.starts must hold at least one time of day"),
        (make_program(starts=(time(5), time(5))), "program.starts must hold .* each only once"),
        (make_program(starts=(time(5, tzinfo=UTC),)), "program.starts are farm-local times such as 05:30"),
        (make_program(starts=(time(5, microsecond=1),)), "program.starts are .* without .* part of a second"),
        (make_program(zones=()), "program.zones must name at least one zone"),
        (make_program(zones=(PART, PART)), "program.zones must name .* each only once"),
        (lambda: Hold(until=NAIVE), "hold.until must carry a time zone"),
        (make_farm(id="F"), "farm.id must be"),
        (make_farm(tz="Asia/Hanoi"), "farm.tz must be an IANA time zone such as Asia/Ho_Chi_Minh, not 'Asia/Hanoi'"),
        (make_farm(tz=""), "farm.tz must be"),
        (make_farm(tz="../etc/passwd"), "farm.tz must be"),
        (make_farm(tz="Asia"), "farm.tz must be"),
        (make_farm(lat=91.0), "farm.lat must be between -90 and 90 °, not 91"),
        (make_farm(lon=181.0), "farm.lon must be between"),
        (make_farm(sources=(source(), source())), "farm.sources must have different ids"),
        (make_farm(zones=(zone("a"), zone("a"))), "farm.zones must have different ids"),
        (make_farm(programs=(program("p", ("a", 1)),) * 2), "farm.programs must have different ids"),
        (make_farm(sources=(source("well"),)), "zone a: source_id 'tank' is none of this farm's sources"),
        (make_farm(zones=(zone("b"),)), "program p: zone_id 'a' is none of this farm's zones"),
        (
            make_farm(zones=(zone("a"), replace(zone("b"), channel="valve-a"))),
            "farm.zones must each have a node and channel of their own",
        ),
        (lambda: replace(ENTRY, due=NAIVE), "entry.due must carry a time zone"),
        (lambda: replace(ENTRY, start=NAIVE), "entry.start must carry a time zone"),
        (lambda: replace(ENTRY, max_s=0), "entry e: max_s must be between 1 and 86400 s, not 0"),
        (
            lambda: Skip(id="e", program_id="p", zone_id="a", due=NAIVE, rule=Rule.HOLD),
            "skip.due must carry a time zone",
        ),
        (lambda: replace(BASE_ENTRY, max_s=0), "base entry p a: max_s must be between"),
        (lambda: replace(BASE_ENTRY, flow_l_min=-1.0), "base entry p a: flow_l_min must be between"),
        (lambda: replace(BASE_ENTRY, not_before=NAIVE), "base entry.not_before must carry a time zone"),
        (lambda: ActiveRun(zone_id="a", until=NAIVE, flow_l_min=1.0), "active run.until must carry a time zone"),
        (
            lambda: ActiveRun(zone_id="a", since=NAIVE, until=NOW, flow_l_min=1.0),
            "active run.since must carry a time zone",
        ),
        (
            lambda: ActiveRun(zone_id="a", until=NOW, flow_l_min=-1.0),
            "active run of zone a: flow_l_min must be between",
        ),
        (
            lambda: Timetable(version=1, compiled_at=NAIVE, valid_until=NOW, tz="UTC", entries=()),
            "timetable.compiled_at must carry a time zone",
        ),
        (
            lambda: Timetable(version=1, compiled_at=NOW, valid_until=NAIVE, tz="UTC", entries=()),
            "timetable.valid_until must carry a time zone",
        ),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_name(make: Callable[[], object], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        make()


@pytest.mark.parametrize(
    "make",
    [
        lambda: Dose(minutes=0.05),
        lambda: Dose(minutes=1440),
        lambda: Dose(litres=900, max_minutes=90),
        lambda: Dose(until_moisture_pct=36, max_minutes=60),
        lambda: Weekly(days=(7, 1)),
        lambda: replace(BASE_ENTRY, due=time(4)),
        make_farm(),
    ],
)
def test_a_value_within_its_limits_is_taken(make: Callable[[], object]) -> None:
    assert make() == make()


def test_a_farm_knows_its_zones_and_sources() -> None:
    there = farm()
    assert there.zone("b").id == "b"
    assert there.source("tank").capacity_l_min == 30
    with pytest.raises(KeyError, match="x"):
        there.zone("x")
    with pytest.raises(KeyError, match="well"):
        there.source("well")
