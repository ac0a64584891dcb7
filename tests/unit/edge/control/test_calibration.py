import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.messages import Quality
from edge.control.calibration import moisture

POINTS = ((0.36, 60.0), (0.6, 30.0), (0.85, 0.0))


@pytest.mark.parametrize(("share", "pct"), [(0.36, 60.0), (0.48, 45.0), (0.6, 30.0), (0.725, 15.0), (0.85, 0.0)])
def test_between_the_points_the_line_is_straight(share: float, pct: float) -> None:
    value, quality, reason = moisture(share, POINTS)
    assert value == pytest.approx(pct)
    assert (quality, reason) == (Quality.GOOD, None)


@pytest.mark.parametrize(("share", "pct"), [(0.3, 60.0), (0.9, 0.0)])
def test_outside_the_points_the_value_is_clamped_and_suspect(share: float, pct: float) -> None:
    assert moisture(share, POINTS) == (pct, Quality.SUSPECT, "clamped")


@pytest.mark.parametrize(("share", "reason"), [(1.0, "open-circuit"), (0.0, "short-circuit")])
def test_a_broken_or_shorted_wire_is_bad_and_says_which(share: float, reason: str) -> None:
    _, quality, said = moisture(share, POINTS)
    assert (quality, said) == (Quality.BAD, reason)


@given(st.floats(0, 1), st.floats(0, 1))
def test_wetter_soil_never_reads_drier(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert moisture(low, POINTS)[0] >= moisture(high, POINTS)[0]
