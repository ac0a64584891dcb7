"""docs/programs.md: each example is loaded, compiled, and starts when the page says."""

import json
import re
import tomllib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from pydantic import TypeAdapter

from irrigation.after_trouble import WITHIN, shortfall
from irrigation.condition import ConditionKind, Missing, Observed
from irrigation.model import (
    Dose,
    Entry,
    Farm,
    Group,
    Household,
    Knowledge,
    MakeUp,
    PlanState,
    Queued,
    Skip,
    Source,
    Timetable,
    Zone,
)
from irrigation.planner import compile_timetable
from irrigation.queue import QUEUE_LIFE
from irrigation.verdict import with_latches
from server.farms import HouseholdFile, RotaFile
from server.rules import ProgramRules

PAGE = (Path(__file__).parents[3] / "docs/programs.md").read_text()
EXAMPLES = re.findall(
    r"```json\n(.*?)```\n```starts from=([\d-]+(?: [\d:]+)?) days=(\d+)"
    r"(?: cut=(\S+) after_min=(\d+)(?: told_min=(\d+))?)?( in-turns)?(?: now=(\S+) queue=(\S+))?\n(.*?)```",
    PAGE,
    re.DOTALL,
)
TZ = ZoneInfo("Asia/Ho_Chi_Minh")
TANK = Source(id="tank", name="Tank", capacity_l_min=30)
ZONES = tuple(
    Zone(
        id=name, name=name, node_id="board", channel=name, source_id="tank", area_m2=100, flow_l_min=flow,
        has_meter=name == "tea", sensors=("soil",),
    )
    for name, flow in (("tea", 20.0), ("plum", 10.0), ("herbs", 10.0))
)  # fmt: skip


def told(one: Entry | Skip) -> str:
    if isinstance(one, Skip):
        return f"skip {one.due.astimezone(TZ):%Y-%m-%d %H:%M} {one.zone_id} {one.rule}"
    return f"{one.start.astimezone(TZ):%Y-%m-%d %H:%M} {one.zone_id} {amount(one.dose)}"


def known_of(line: str) -> Observed:
    """What stands in the page as `given KIND VALUE at TIME`, with ` of SUBJECT` and ` over HOURS h` where it has them."""
    found = re.fullmatch(r"given (\S+) (\S+) at (\S+ \S+?)(?: of (\S+))?(?: over (\d+) h)?", line)
    assert found is not None, line
    kind, value, at, subject_id, hours = found.groups()
    return Observed(
        kind=ConditionKind(kind), value=float(value), at=datetime.fromisoformat(at).replace(tzinfo=TZ),
        subject_id=subject_id, hours=None if hours is None else int(hours),
    )  # fmt: skip


def amount(dose: Dose) -> str:
    if dose.until_moisture_pct is not None:
        below = f" from below {dose.start_below_pct:g} %" if dose.start_below_pct is not None else ""
        return f"{dose.max_minutes:g} min at most, to {dose.until_moisture_pct:g} %{below}"
    return f"{dose.minutes:g} min" if dose.minutes is not None else f"{dose.litres:g} L"


def in_turns(farm: Farm) -> Farm:
    """The farm with the households and the rota that the page shows as a farm file takes them."""
    _, written = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    table = json.dumps(tomllib.loads(written), default=lambda value: value.isoformat())
    file = TypeAdapter(dict[str, tuple[HouseholdFile | RotaFile, ...]]).validate_json(table)
    households = tuple(
        Household(id=one.id, name=one.name) for one in file["households"] if isinstance(one, HouseholdFile)
    )
    rotas = tuple(one.rota(one.source_id) for one in file["rotas"] if isinstance(one, RotaFile))
    whose = {"tea": "mai", "plum": "lan"}
    zones = tuple(replace(zone, household_id=whose.get(zone.id)) for zone in farm.zones)
    return replace(farm, zones=zones, households=households, rotas=rotas)


def test_the_page_has_an_example_of_every_setting() -> None:
    assert PAGE.count("```json") == PAGE.count("```starts") == len(EXAMPLES)
    kinds = {json.loads(example[0])["calendar"]["kind"] for example in EXAMPLES}
    assert kinds >= {"weekly", "every_n_days", "odd_days", "month_days", "dates", "cron"}
    written = [condition for example in EXAMPLES for condition in json.loads(example[0]).get("conditions", [])]
    assert {condition["kind"] for condition in written} == set(ConditionKind)
    assert {condition.get("missing", "run") for condition in written} == set(Missing)
    missing = [name for name in ProgramRules.model_fields if f'"{name}"' not in PAGE and f"`{name}`" not in PAGE]
    assert missing == ["name", "enabled"]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example[0][13:60])
def test_an_example_starts_when_the_page_says(example: tuple[str, ...]) -> None:
    written, first, days, cut, after_min, told_min, by_turns, at, queue, starts = example
    rules = ProgramRules.model_validate_json(json.dumps({"name": "Example"} | json.loads(written)))
    now = datetime.fromisoformat(first).replace(tzinfo=TZ)
    program = rules.program("example", datetime(2020, 1, 1, tzinfo=UTC))
    farm = Farm(id="f", name="F", tz=TZ.key, lat=21.19, lon=104.1, sources=(TANK,), zones=ZONES, programs=(program,))
    farm = in_turns(farm) if by_turns else farm
    given = [known_of(line) for line in starts.splitlines() if line.startswith("given ")]
    state = PlanState(known=with_latches(farm, Knowledge(observed=tuple(given)), {}))
    table = compile_timetable(farm, state, now - timedelta(minutes=1), days=int(days), version=1)
    if cut:
        begun = next(one for one in table.entries if one.zone_id == cut)
        table = after_trouble(farm, begun, int(after_min), int(told_min or after_min), int(days))
    if queue:
        table = with_queue(farm, datetime.fromisoformat(f"{first}T{at}").replace(tzinfo=TZ), queue, int(days))
    everything: list[Entry | Skip] = [*table.entries, *table.skipped]
    by_hand = [
        f"{one.start.astimezone(TZ):%Y-%m-%d %H:%M} {one.run_id} by hand" for one in table.queue or () if one.start
    ]
    expected = [line for line in starts.splitlines() if not line.startswith("given ")]
    assert by_hand + [told(one) for one in everything] == expected


def with_queue(farm: Farm, now: datetime, asked: str, days: int) -> Timetable:
    """The plan when these were asked for, as zone:minutes:policy."""
    waiting = tuple(
        Queued(
            run_id=f"{zone_id} {minutes} min", zone_id=zone_id, dose=Dose(minutes=float(minutes)), since=now,
            until=now + QUEUE_LIFE, front=policy != "append",
        )
        for zone_id, minutes, policy in (one.split(":") for one in asked.split(","))
    )  # fmt: skip
    return compile_timetable(farm, PlanState(known=Knowledge(queue=waiting)), now, days=days, version=1)


def after_trouble(farm: Farm, entry: Entry, after_min: int, told_min: int, days: int) -> Timetable:
    """The plan after that watering was cut short, told so long after its start; a meter counted as it should have."""
    at, policy = entry.start + timedelta(minutes=after_min), farm.programs[0].after_trouble
    zone = farm.zone(entry.zone_id)
    dose = shortfall(entry.dose, zone, open_s=after_min * 60, litres=after_min * zone.flow_l_min)
    assert dose is not None
    rest = MakeUp(
        of=entry.id, program_id=entry.program_id, zone_id=zone.id, dose=dose, cut=at, since=at,
        until=at + WITHIN[policy],
    )  # fmt: skip
    state = PlanState(settled=frozenset({entry.id}), ended={entry.id: at}, known=Knowledge(make_ups=(rest,)))
    return compile_timetable(farm, state, entry.start + timedelta(minutes=told_min), days=days, version=1)


def test_the_page_shows_sources_and_groups_as_a_farm_file_takes_them() -> None:
    written, _ = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    table = tomllib.loads(written)
    sources = TypeAdapter(tuple[Source, ...]).validate_json(json.dumps(table["sources"]))
    groups = TypeAdapter(tuple[Group, ...]).validate_json(json.dumps(table["groups"]))
    Farm(id="f", name="F", tz="UTC", lat=0, lon=0, sources=sources, zones=ZONES, groups=groups)
    assert (sources[0].enough_pct, groups[1].max_zones) == (30, 1)
