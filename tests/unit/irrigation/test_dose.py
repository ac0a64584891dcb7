"""Doses become seconds and litres."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from irrigation.dose import asked_s, expected_litres, lease_s
from irrigation.model import Dose
from tests.unit.irrigation.farms import zone

PLAIN = zone("a", flow_l_min=10, max_run_s=7200)
METERED = zone("a", flow_l_min=10, max_run_s=7200, has_meter=True)


@pytest.mark.parametrize(
    ("dose", "metered", "asked", "lease", "litres"),
    [
        (Dose(minutes=20), False, 1200, 1200, 200),
        (Dose(minutes=20), True, 1200, 1200, 200),
        (Dose(minutes=0.05), False, 3, 3, 0.5),
        (Dose(minutes=200), True, 12_000, 7200, 1200),
        (Dose(litres=300), False, 1800, 1800, 300),  # no meter: the time is the dose
        (Dose(litres=300), True, 1800, 2700, 300),  # a meter: the time is a safeguard, half as much again
        (Dose(litres=0.1), False, 1, 1, 0.1),
        (Dose(litres=900), True, 5400, 7200, 900),  # the reserve is cut, not the dose
        (Dose(litres=3000), True, 18_000, 7200, 1200),
        (Dose(litres=300, max_minutes=60), True, 1800, 3600, 300),
        (Dose(litres=300, max_minutes=10), True, 600, 600, 100),
        (Dose(litres=300, max_minutes=60), False, 1800, 1800, 300),
        (Dose(litres=300, max_minutes=10), False, 600, 600, 100),
        (Dose(until_moisture_pct=36, max_minutes=45), False, 2700, 2700, None),
        (Dose(until_moisture_pct=36, max_minutes=300), False, 18_000, 7200, None),
    ],
)
def test_a_dose_means_seconds_and_litres(
    dose: Dose, metered: bool, asked: int, lease: int, litres: float | None
) -> None:
    where = METERED if metered else PLAIN
    assert asked_s(dose, where) == asked
    assert lease_s(dose, where) == lease
    assert expected_litres(dose, where) == (None if litres is None else pytest.approx(litres))


@given(
    st.one_of(
        st.builds(Dose, minutes=st.floats(0.05, 1440)),
        st.builds(Dose, litres=st.floats(0.1, 1e6), max_minutes=st.none() | st.floats(0.05, 1440)),
        st.builds(Dose, until_moisture_pct=st.floats(1, 70), max_minutes=st.floats(0.05, 1440)),
    ),
    st.floats(0.01, 10_000),
    st.integers(1, 86_400),
    st.booleans(),
)
def test_a_lease_is_never_above_the_zones_limit_nor_empty(
    dose: Dose, flow_l_min: float, max_run_s: int, has_meter: bool
) -> None:
    where = zone("a", flow_l_min=flow_l_min, max_run_s=max_run_s, has_meter=has_meter)
    assert 1 <= lease_s(dose, where) <= max_run_s
    assert lease_s(dose, where) >= min(asked_s(dose, where), max_run_s)
    litres = expected_litres(dose, where)
    assert litres is None or 0 < litres <= (dose.litres or float("inf"))
