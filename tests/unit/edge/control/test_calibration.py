import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.control.calibration import Points, calibrated

POINTS = ((0.36, 60.0), (0.6, 30.0), (0.85, 0.0))


@st.composite
def points(draw: st.DrawFn) -> Points:
    """Any calibration that the configuration lets through."""
    raws = sorted(draw(st.sets(st.integers(0, 1000), min_size=2, max_size=8)))
    pcts = sorted(draw(st.lists(st.floats(0, 100), min_size=len(raws), max_size=len(raws))))
    falling = draw(st.booleans())
    return tuple((raw / 1000, pct) for raw, pct in zip(raws, reversed(pcts) if falling else pcts, strict=True))


@pytest.mark.parametrize(("raw", "pct"), [(0.36, 60.0), (0.48, 45.0), (0.6, 30.0), (0.725, 15.0), (0.85, 0.0)])
def test_between_the_points_the_line_is_straight(raw: float, pct: float) -> None:
    found = calibrated(raw, POINTS)
    assert found.value_pct == pytest.approx(pct)
    assert found.beyond == 0.0


@pytest.mark.parametrize(("raw", "pct", "beyond"), [(0.311, 60.0, 0.1), (0.899, 0.0, 0.1), (1.34, 0.0, 1.0)])
def test_outside_of_the_points_the_value_is_clamped_and_how_far_is_told(raw: float, pct: float, beyond: float) -> None:
    found = calibrated(raw, POINTS)
    assert found.value_pct == pct
    assert found.beyond == pytest.approx(beyond)


@given(points(), st.floats(-0.5, 1.5), st.floats(-0.5, 1.5))
def test_a_calibration_never_inverts_what_is_wetter(points: Points, one: float, other: float) -> None:
    low, high = sorted((one, other))
    rising = points[0][1] <= points[-1][1]
    drier, wetter = (low, high) if rising else (high, low)
    assert calibrated(drier, points).value_pct <= calibrated(wetter, points).value_pct


@given(points(), st.floats(-10, 10))
def test_a_value_never_leaves_the_points_and_says_when_the_raw_value_did(points: Points, raw: float) -> None:
    found = calibrated(raw, points)
    pcts = [pct for _, pct in points]
    assert min(pcts) <= found.value_pct <= max(pcts)
    assert (found.beyond > 0) == (not points[0][0] <= raw <= points[-1][0])


@given(points())
def test_each_point_is_met(points: Points) -> None:
    for raw, pct in points:
        assert calibrated(raw, points).value_pct == pytest.approx(pct)
