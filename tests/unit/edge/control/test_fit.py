import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.control.calibration import calibrated
from edge.control.fit import LEAST_STEP, Shot, curve, shoot
from edge.errors import Unfit


def shot(share: float, pct: float) -> Shot:
    return Shot(pct, share, 0.0, 15)


def test_a_point_is_the_median_of_steady_readings() -> None:
    assert shoot(0, [0.84, 0.841, 0.843, 0.8405, 0.841], is_share=True) == Shot(0, 0.841, 0.003, 5)


@pytest.mark.parametrize(
    ("pct", "shares", "code"),
    [
        (0, [0.84, 0.86], "unsteady"),
        (0, [1.0, 1.0], "open-circuit"),
        (0, [0.0, 0.001], "short-circuit"),
        (101, [0.5], "not-a-percentage"),
        (-1, [0.5], "not-a-percentage"),
    ],
)
def test_what_is_no_point_is_refused(pct: float, shares: list[float], code: str) -> None:
    with pytest.raises(Unfit) as refused:
        shoot(pct, shares, is_share=True)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("shots", "code"),
    [
        ([shot(0.8, 0)], "points-count"),
        ([shot(0.1 * n, 10 * n) for n in range(1, 10)], "points-count"),
        ([shot(0.8, 0), shot(0.79, 45)], "points-close"),
        ([shot(0.8, 0), shot(0.5, 45), shot(0.3, 20)], "points-not-monotone"),
        ([shot(0.8, 20), shot(0.5, 20)], "points-not-monotone"),
    ],
)
def test_points_that_make_no_line_are_refused(shots: list[Shot], code: str) -> None:
    with pytest.raises(Unfit) as refused:
        curve(shots, is_share=True)
    assert refused.value.code == code


def test_points_stand_with_rising_shares_whatever_the_order_they_were_taken_in() -> None:
    assert curve([shot(0.85, 0), shot(0.36, 60), shot(0.5, 40)], is_share=True) == ((0.36, 60), (0.5, 40), (0.85, 0))


STEPS = st.lists(st.integers(1, 38), min_size=2, max_size=8, unique=True)
MOISTURES = st.lists(st.integers(0, 1000), min_size=8, max_size=8, unique=True)


@given(STEPS, MOISTURES, st.booleans())
def test_what_was_taken_is_what_the_probe_shows_afterwards(steps: list[int], tenths: list[int], falls: bool) -> None:
    pcts = sorted((tenth / 10 for tenth in tenths[: len(steps)]), reverse=falls)
    shots = [shot(round(step * LEAST_STEP * 1.25, 4), pct) for step, pct in zip(sorted(steps), pcts, strict=True)]
    points = curve(reversed(shots), is_share=True)
    for one in shots:
        assert calibrated(one.raw, points).value_pct == pytest.approx(one.pct)


def test_what_a_digital_probe_counts_has_no_rails_and_its_own_scale() -> None:
    dry, soaked = (shoot(pct, raws, is_share=False) for pct, raws in ((0, [412.0, 413.0]), (45, [1801.0, 1800.0])))
    assert curve([soaked, dry], is_share=False) == ((412.5, 0), (1800.5, 45))
    with pytest.raises(Unfit, match="unsteady"):
        shoot(0, [412.0, 420.0], is_share=False)
    with pytest.raises(Unfit, match="points-close"):
        curve([dry, shoot(45, [415.0], is_share=False)], is_share=False)
