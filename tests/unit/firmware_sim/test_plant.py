"""Laws of the simulated ground, pipes, air and battery."""

import json
from datetime import date, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_sim.plant import battery, climate, hydraulics, soil, weather
from firmware_sim.plant.crops import CROPS, crop
from firmware_sim.plant.site import Pipe, Plot, Site, flow_on

textures = st.sampled_from(sorted(soil.TEXTURES))
mm = st.floats(0, 60)


def ground(texture: str = "loam") -> soil.Ground:
    return soil.Ground(soil.TEXTURES[texture], (100, 100, 200, 400), 600, 0.4)


@given(textures, st.lists(st.tuples(mm, st.floats(0, 3), st.floats(0.01, 1)), max_size=40), st.floats(0, 1))
def test_every_step_closes_its_water_balance_and_stays_between_wilting_and_saturation(
    texture: str, steps: list[tuple[float, float, float]], start: float
) -> None:
    column = ground(texture)
    water = column.wet_at(start)
    for applied_mm, demand_mm, hours in steps:
        before = sum(water)
        water, fluxes = soil.step(column, water, hours, applied_mm=applied_mm, demand_mm=demand_mm)
        out = fluxes.evaporated_mm + fluxes.transpired_mm + fluxes.percolated_mm
        assert sum(water) - before == pytest.approx(fluxes.infiltrated_mm - out, abs=1e-9)
        assert applied_mm == pytest.approx(fluxes.infiltrated_mm + fluxes.runoff_mm, abs=1e-9)
        assert min(fluxes.runoff_mm, out, fluxes.evaporated_mm, fluxes.transpired_mm, fluxes.percolated_mm) >= -1e-9
        for layer_mm, thickness_mm in zip(water, column.thickness_mm, strict=True):
            assert column.texture.wilting - 1e-9 <= layer_mm / thickness_mm <= column.texture.saturation + 1e-9


def test_water_stress_follows_the_published_example() -> None:
    """FAO-56 Example 37: tomato on a silty soil, ten dry days."""
    texture = soil.Texture(0.12, 0.32, 0.45, 500)
    column = soil.Ground(texture, (800,), 800, 0.4, evaporation_share=0)
    water: tuple[float, ...] = (0.32 * 800 - 55,)
    stress, depleted = [], []
    for _ in range(10):
        stress.append(soil.stress_factor(column, water))
        water, _ = soil.step(column, water, 24, applied_mm=0, demand_mm=6.0)
        depleted.append(0.32 * 800 - water[0])
    assert stress == pytest.approx([1, 1, 0.97, 0.91, 0.85, 0.80, 0.75, 0.70, 0.66, 0.62], abs=0.006)
    assert depleted == pytest.approx([61.0, 67.0, 72.8, 78.3, 83.4, 88.2, 92.6, 96.9, 100.8, 104.5], abs=0.1)


def test_a_wetted_top_layer_drains_to_the_layers_below() -> None:
    column = ground()
    water = column.wet_at(0.2)
    water, _ = soil.step(column, water, 0.5, applied_mm=10, demand_mm=0)
    top = soil.moisture_at(column, water, 0.1)
    assert top == pytest.approx(0.3)
    water, _ = soil.step(column, water, 0.5, applied_mm=10, demand_mm=0)
    assert soil.moisture_at(column, water, 0.15) > 0.25
    assert soil.moisture_at(column, water, 3.0) == pytest.approx(0.2)


def test_a_soil_that_holds_less_than_it_wilts_at_is_refused() -> None:
    with pytest.raises(ValueError, match="wilting < field capacity"):
        soil.Texture(0.3, 0.2, 0.4, 100)
    with pytest.raises(ValueError, match="ksat_mm_day"):
        soil.Texture(0.1, 0.2, 0.4, 0)


flows = st.dictionaries(st.text(min_size=1, max_size=3), st.floats(0.1, 200), min_size=1, max_size=8)


@given(flows, st.floats(1, 500))
def test_flows_never_exceed_the_source_nor_the_nominal(nominal: dict[str, float], most: float) -> None:
    shared = hydraulics.share_flow(nominal, most)
    assert sum(shared.values()) <= most * (1 + 1e-9)
    assert all(0 < shared[valve] <= nominal[valve] * (1 + 1e-9) for valve in nominal)


@given(flows, st.floats(0.1, 200), st.floats(1, 500))
def test_one_valve_more_never_raises_the_flow_of_the_others(
    nominal: dict[str, float], more: float, most: float
) -> None:
    before = hydraulics.share_flow(nominal, most)
    after = hydraulics.share_flow({**nominal, "one more": more}, most)
    assert all(after[valve] <= before[valve] + 1e-9 for valve in nominal)


def test_a_source_holds_the_nominal_flow_up_to_its_capacity() -> None:
    most = hydraulics.max_flow_l_min(60)
    assert sum(hydraulics.share_flow({"a": 30, "b": 30}, most).values()) == pytest.approx(60)
    assert sum(hydraulics.share_flow({"a": 45, "b": 45}, most).values()) < 85
    assert hydraulics.share_flow({"a": 30}, 0.0) == {"a": 0.0}


def _site() -> Site:
    def plot(source: str) -> Plot:
        return Plot(source, 500, 0.4, 30, ground(), crop("strawberry"))

    return Site({"a": plot("tank"), "b": plot("tank"), "c": plot("well")}, {"tank": 40, "well": 20})


@given(st.lists(st.tuples(st.frozensets(st.sampled_from("abc")), st.floats(0, 20), st.booleans()), max_size=30))
def test_meters_only_rise_and_the_sum_stays_within_the_source(steps: list[tuple[frozenset[str], float, bool]]) -> None:
    site, pipes = _site(), dict.fromkeys("abc", Pipe())
    for open_zones, seconds, dry in steps:
        after = flow_on(site, pipes, open_zones, seconds, dry_sources={"tank"} if dry else ())
        for zone in "abc":
            assert after[zone].litres >= pipes[zone].litres
            assert after[zone].litres - pipes[zone].litres <= 30 * seconds / 60 + 1e-9
            assert zone in open_zones or after[zone].flow_l_min == 0
        assert after["a"].flow_l_min + after["b"].flow_l_min <= 40 + 1e-9
        pipes = after


def test_a_dry_source_gives_nothing() -> None:
    site = _site()
    pipes = flow_on(site, dict.fromkeys("abc", Pipe()), {"a", "c"}, 60, dry_sources={"tank"})
    assert pipes["a"] == Pipe(0.0, 0.0)
    assert pipes["c"].litres > 10


def test_radiation_and_daylight_follow_the_published_examples() -> None:
    """FAO-56 Examples 8 and 9: 3 September at 20° S."""
    assert climate.extraterrestrial_mj_m2(-20, 246) == pytest.approx(32.2, abs=0.1)
    assert climate.daylight_h(-20, 246) == pytest.approx(11.7, abs=0.05)
    assert climate.daylight_h(80, 1) == 0


@given(st.floats(-60, 60), st.integers(1, 365))
def test_the_shares_of_the_light_sum_to_one_day(latitude_deg: float, day_of_year: int) -> None:
    total = sum(climate.sun_share_per_h(latitude_deg, day_of_year, step / 20) / 20 for step in range(480))
    assert total == pytest.approx(1, abs=0.02)


def _days(first: date, count: int) -> list[weather.Day]:
    days = [first + timedelta(index) for index in range(count)]
    return [weather.draw(day, climate.LATITUDE_DEG, Random(f"1:{day}")) for day in days]


def test_drawn_weather_has_the_normals_of_its_month() -> None:
    november = [day for year in range(40) for day in _days(date(1990 + year, 11, 1), 30)]
    july = [day for year in range(40) for day in _days(date(1990 + year, 7, 1), 31)]
    assert sum(day.rain_mm for day in november) / 40 == pytest.approx(35, rel=0.35)
    assert sum(day.rain_mm for day in july) / 40 == pytest.approx(265, rel=0.25)
    assert sum(day.t_max_c for day in november) / len(november) == pytest.approx(24.1, abs=0.5)
    assert 2 < sum(day.et0_mm for day in november) / len(november) < 4  # mm/day in the dry season
    assert all(day.t_min_c < day.t_max_c for day in november + july)


@given(st.dates(date(2020, 1, 1), date(2030, 12, 31)), st.integers())
def test_the_hours_of_a_day_sum_to_the_day(day: date, seed: int) -> None:
    drawn = weather.draw(day, climate.LATITUDE_DEG, Random(seed))
    step_h = 0.05
    hours = [(index + 0.5) * step_h for index in range(480)]
    assert sum(weather.rain_mm_h(drawn, hour) * step_h for hour in hours) == pytest.approx(
        drawn.rain_mm, rel=0.15, abs=0.01
    )
    assert sum(weather.et0_mm_h(drawn, hour) * step_h for hour in hours) == pytest.approx(drawn.et0_mm, rel=0.03)
    temperatures = [weather.temperature_c(drawn, hour) for hour in hours]
    assert drawn.t_min_c - 1e-6 <= min(temperatures) <= max(temperatures) <= drawn.t_max_c + 1e-6
    assert weather.temperature_c(drawn, 14) == pytest.approx(drawn.t_max_c)
    assert weather.temperature_c(drawn, 5) == pytest.approx(drawn.t_min_c)


@given(st.floats(0, 1), st.lists(st.tuples(st.floats(0, 1000), st.integers(0, 4)), max_size=50))
def test_the_battery_stays_between_empty_and_full(charge: float, steps: list[tuple[float, int]]) -> None:
    supply = battery.Supply()
    for light_w_m2, open_valves in steps:
        charge = battery.step(supply, charge, 1, light_w_m2=light_w_m2, open_valves=open_valves)
        assert 0 <= charge <= 1
        assert 11 < battery.voltage_v(charge, light_w_m2=light_w_m2, open_valves=open_valves) <= 13.8


def test_coefficients_are_those_of_the_published_table() -> None:
    assert {len(known.kc) for known in CROPS.values()} == {12}
    assert max(crop("strawberry").kc) == 0.85
    assert min(crop("strawberry").kc) == 0.40
    assert crop("of no table").kc_in(7) == 1.0
    json.dumps({name: known.kc for name, known in CROPS.items()}, allow_nan=False)
