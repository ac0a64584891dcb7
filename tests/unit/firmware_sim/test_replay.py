"""Scenarios in virtual time: each file of tests/scenarios runs as it expects, and the laws hold at any moment."""

from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from firmware_sim.replay.cli import lines, load, main
from firmware_sim.replay.run import replayed
from firmware_sim.replay.scenario import Happening, Scenario
from irrigation.model import Farm, PlanState, Result
from irrigation.planner import compile_timetable
from tests.unit.irrigation.farms import crowded, farms, moments, moments_near_changes

FOLDER = Path(__file__).parents[2] / "scenarios"
SCENARIOS = sorted(path for path in FOLDER.glob("*.toml") if path.name != "farm.toml")
NIGHT = load(FOLDER / "night.toml")
DAY = 'begin = 2026-11-23T00:00:00\nend = 2026-11-24T00:00:00\nfarm_file = "farm.toml"\n'
DAWN = datetime(2026, 11, 23, 4, 55)  # noqa: DTZ001 - farm-local


def ran(scenario: Scenario, *, shortcut: bool = True) -> list[str]:
    with replayed(scenario, shortcut=shortcut) as happened:
        return lines(scenario, happened)


def with_events(*events: Happening) -> Scenario:
    return NIGHT.model_copy(update={"events": events, "end": datetime(2026, 11, 24)})  # noqa: DTZ001


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_a_scenario_runs_as_it_expects(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert load(path).expect is not None
    code = main([str(path), "--quiet"])
    assert (code, capsys.readouterr().out.strip()) == (0, "as expected")


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_it_runs_the_same_when_the_gateway_plans_anew_at_every_report(path: Path) -> None:
    assert ran(load(path), shortcut=False) == ran(load(path))


def test_what_differs_is_told_and_ends_with_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = (FOLDER / "night.toml").read_text(encoding="utf-8").replace("05:20 plum 10 min", "05:20 plum 11 min", 1)
    (tmp_path / "night.toml").write_text(wrong, encoding="utf-8")
    (tmp_path / "farm.toml").write_text((FOLDER / "farm.toml").read_text(encoding="utf-8"), encoding="utf-8")
    assert main([str(tmp_path / "night.toml"), "--language", "vi"]) == 1
    out = capsys.readouterr().out
    assert "-2026-11-23 05:20 plum 11 min" in out
    assert "+2026-11-23 05:20 plum 10 min" in out
    assert "Herbs đã được tưới, khác với lịch 23/11 lúc 05:10." in out


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("begin = 2026-11-23T00:00:00", "end: Field required"),
        ('begin = 2026-11-23T00:00:00\nend = 2026-11-22T00:00:00\nfarm_file = "farm.toml"', "end must be after begin"),
        ("not toml", "night.toml"),
        (f'{DAY}[[meters]]\nzone = "tea"\npulses_per_litre = 10', "meters: zone must be one that has_meter, not 'tea'"),
        (f'{DAY}[[probes]]\nnode = "board-1"\nsensor = "s"\nadc = 0\npoints = [[0.5, 9.0]]', "probes.0.points"),
        (f'{DAY}[[probes]]\nnode = "b"\nsensor = "s"\nadc = 0\npoints = [[0.1, 9.0], [0.2, 3.0]]', "not 'b'"),
        (f'{DAY}[[events]]\nat = 2026-11-23T01:00:00\ndo = "raw"\nsensor = "s"', "raw needs a probe"),
        (f'{DAY}[[events]]\nat = 2026-11-23T01:00:00\ndo = "meter-back"\nzone = "tea"', "meter-back needs a zone"),
    ],
)
def test_a_file_at_fault_ends_with_2_and_says_where(
    said: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "farm.toml").write_text((FOLDER / "farm.toml").read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "night.toml").write_text(said, encoding="utf-8")
    assert main([str(tmp_path / "night.toml")]) == 2
    assert told in capsys.readouterr().err


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 60), st.integers(1, 90))
def test_a_gateway_restarted_at_any_moment_of_a_night_waters_exactly_what_it_would_have(minute: int, away: int) -> None:
    down = DAWN + timedelta(minutes=minute, seconds=7)
    up = down + timedelta(minutes=away)
    restart = with_events(Happening(at=down, do="gateway-down"), Happening(at=up, do="gateway-up"))
    assert ran(restart) == ran(restart, shortcut=False) == ran(with_events(), shortcut=False)


@settings(max_examples=12, deadline=None)
@given(st.integers(6, 60))
def test_an_edit_at_any_moment_changes_nothing_of_what_has_begun(minute: int) -> None:
    edit = Happening(
        at=DAWN + timedelta(minutes=minute),
        do="edit",
        program="dawn",
        set={"zones": [{"zone_id": "tea", "dose": {"minutes": 5}}]},
    )
    assert ran(with_events(edit), shortcut=False) == ran(with_events(), shortcut=False)


@pytest.mark.timeout(600)  # eight times sixty days
@settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # each example takes seconds: to shrink one takes too long
)
@given(farms().filter(lambda of: len(of.programs) > 1).map(crowded), moments_near_changes | moments)
def test_what_the_preview_shows_is_what_boards_and_gateway_do_for_sixty_days(farm: Farm, now: datetime) -> None:
    begin = now.astimezone(ZoneInfo(farm.tz)).replace(tzinfo=None, hour=12, minute=0, second=0, microsecond=0)
    # How far the gateway plans ahead changes nothing, by this law; two days cost a seventh of the usual fourteen.
    scenario = Scenario(begin=begin, end=begin + timedelta(days=60), farm=farm, days=2)
    first, last = scenario.utc(begin), scenario.utc(scenario.end)
    preview = compile_timetable(farm, PlanState(), first, days=61, version=1)
    with replayed(scenario, shortcut=False) as happened:
        ran = {(run.entry_id, run.opened_at) for run in happened.runs}
        skipped = {(one.id, one.rule) for one in happened.decisions if one.result is Result.SKIPPED}
    assert ran == {(one.id, one.start) for one in preview.entries if one.start < last}
    assert skipped == {(one.id, one.rule) for one in preview.skipped if one.due < last}
