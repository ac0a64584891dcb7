"""Thirty days lived fast must look like thirty days lived."""

from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from contract.messages import DecisionEvent, Lane, Quality, Quantity, Reading, RunEvent
from firmware_sim.demo.files import farm_file, read_farm
from firmware_sim.history import STEP, Past, live
from firmware_sim.layout import field_settings
from firmware_sim.settings import FieldSettings
from firmware_sim.world import World
from irrigation.model import Dose, Farm, Knowledge, Result
from irrigation.run import RunState, advance
from irrigation.turns import Turns

NOW = datetime(2026, 11, 24, 3, 7, tzinfo=UTC)
DAYS = 4


@pytest.fixture(scope="module")
def farm() -> Farm:
    return read_farm(farm_file(), NOW)


@pytest.fixture(scope="module")
def settings(farm: Farm) -> FieldSettings:
    return field_settings(farm, socket=Path("field.sock"), state=Path("state.json"), speed=1)


@pytest.fixture(scope="module")
def past(settings: FieldSettings, farm: Farm) -> Past:
    return live(settings, farm, NOW, days=DAYS)


def _runs(past: Past) -> dict[str, list[RunEvent]]:
    runs: dict[str, list[RunEvent]] = defaultdict(list)
    for event in past.events:
        if isinstance(event, RunEvent):
            runs[event.run_id].append(event)
    return runs


def test_every_run_goes_through_the_table_to_its_end(past: Past) -> None:
    runs = _runs(past)
    assert len(runs) >= 3 * DAYS
    for events in runs.values():
        state = RunState.ACCEPTED
        for event in events:
            state = advance(state, event.state)
        assert state is RunState.DONE
        assert [event.at for event in events] == sorted(event.at for event in events)


def test_litres_are_what_flowed_while_the_valve_was_open(past: Past, farm: Farm) -> None:
    for events in _runs(past).values():
        end, zone = events[-1], farm.zone(events[-1].zone_id)
        assert end.open_s is not None
        assert end.open_s <= end.max_s + 1
        if not zone.has_meter:
            assert end.litres is None
            continue
        assert end.litres == pytest.approx(zone.flow_l_min * end.open_s / 60, rel=0.02)
        if end.dose.litres is not None:
            assert end.litres == pytest.approx(end.dose.litres, rel=0.02)


def test_the_streams_zones_watered_in_their_households_turns_only(past: Past, farm: Farm) -> None:
    turns = Turns(farm, Knowledge(), NOW - timedelta(days=DAYS), NOW)
    by_turns = [events for events in _runs(past).values() if turns.bind(farm.zone(events[0].zone_id))]
    assert {farm.zone(events[0].zone_id).household_id for events in by_turns} == {"mai", "lan"}
    for events in by_turns:
        assert turns.hold(farm.zone(events[0].zone_id), events[0].at, events[-2].at)


def test_a_source_never_gave_more_than_it_has(past: Past, farm: Farm) -> None:
    changes: dict[str, list[tuple[datetime, float]]] = defaultdict(list)
    for events in _runs(past).values():
        zone = farm.zone(events[0].zone_id)
        changes[zone.source_id] += [(events[0].at, zone.flow_l_min), (events[-2].at, -zone.flow_l_min)]
    for source_id, moves in changes.items():
        flow = 0.0
        for _, change in sorted(moves):
            flow += change
            assert flow <= farm.source(source_id).capacity_l_min


def test_every_due_watering_has_its_decision(past: Past) -> None:
    decisions = [event.decision for event in past.events if isinstance(event, DecisionEvent)]
    assert {decision.run_id for decision in decisions if decision.result is not Result.SKIPPED} == set(_runs(past))
    assert len({decision.id for decision in decisions}) == len(decisions)


def test_sensors_are_read_every_ten_minutes_and_nothing_is_from_the_future(past: Past, farm: Farm) -> None:
    by_sensor: dict[tuple[str | None, str, Quantity], list[Reading]] = defaultdict(list)
    for reading in past.readings:
        by_sensor[reading.node_id, reading.sensor, reading.quantity].append(reading)
        assert reading.at <= NOW
        assert reading.quality is Quality.GOOD
    assert len(by_sensor) == 7 + 2 * 5 + 3 + 2  # probes, meters twice, batteries, weather
    for readings in by_sensor.values():
        assert len(readings) == DAYS * 24 * 6
        assert {later.at - sooner.at for sooner, later in pairwise(readings)} == {STEP}
    for zone in farm.zones:
        for sensor in zone.sensors:
            seen = [one.value or 0.0 for one in by_sensor[zone.node_id, sensor, Quantity.SOIL_MOISTURE]]
            assert 10 < min(seen) < max(seen) < 50
    for key, readings in by_sensor.items():
        if key[2] is Quantity.VOLUME:
            values = [one.value or 0.0 for one in readings]
            assert values == sorted(values)


def test_batches_hold_everything_in_order(past: Past) -> None:
    held = {Lane.EVENTS: 0, Lane.READINGS: 0}
    for batch in past.batches():
        assert batch.after_seq == held[batch.lane]
        held[batch.lane] = batch.records[-1].seq
    assert held == {Lane.EVENTS: len(past.events), Lane.READINGS: len(past.readings)}


def test_the_same_seed_lives_the_same_days(past: Past, settings: FieldSettings, farm: Farm) -> None:
    again = live(settings, farm, NOW, days=DAYS)
    assert (again.readings, again.events) == (past.readings, past.events)


def test_the_field_goes_on_from_the_ground_that_history_left(
    past: Past, settings: FieldSettings, farm: Farm, tmp_path: Path
) -> None:
    past.world.save(tmp_path / "state.json")
    world = World(settings, NOW)
    world.load(tmp_path / "state.json")
    assert world.at == past.world.at
    for zone in farm.zones:
        assert world.moisture_pct(zone.id, 0.15) == past.world.moisture_pct(zone.id, 0.15)
        assert world.pipes[zone.id].litres == past.world.pipes[zone.id].litres
    before = {zone.id: world.moisture_pct(zone.id, 0.15) for zone in farm.zones}
    world.catch_up(NOW + timedelta(days=5))
    assert world.at == NOW + timedelta(days=5)
    assert all(world.moisture_pct(zone, 0.15) < pct for zone, pct in before.items())  # nobody watered meanwhile


def test_a_field_that_was_ahead_of_the_clock_keeps_its_ground(settings: FieldSettings, farm: Farm) -> None:
    world = World(settings, NOW)
    world.pass_time(timedelta(days=2), {}, {})
    ahead = {zone.id: world.moisture_pct(zone.id, 0.15) for zone in farm.zones}
    world.catch_up(NOW)
    assert world.at == NOW
    assert {zone.id: world.moisture_pct(zone.id, 0.15) for zone in farm.zones} == ahead


def test_a_dose_until_moisture_ends_when_the_ground_is_wet_enough(settings: FieldSettings, farm: Farm) -> None:
    wet = Dose(until_moisture_pct=29, max_minutes=60)
    programs = tuple(
        replace(program, zones=tuple(replace(part, dose=wet) for part in program.zones[:1]))
        for program in farm.programs
    )
    runs = _runs(live(settings, replace(farm, programs=programs), NOW, days=2))
    assert runs
    assert any((events[-1].open_s or 0) < 3000 for events in runs.values())
    assert all((events[-1].open_s or 0) <= events[-1].max_s + 1 for events in runs.values())
