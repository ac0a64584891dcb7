import itertools

import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from edge.control.calibration import moisture
from edge.control.fit import LEAST_STEP, Shot, curve, shoot
from edge.errors import Unfit


def shot(share: float, pct: float) -> Shot:
    return Shot(pct, share, 0.0, 15)


def test_a_point_is_the_median_of_steady_readings() -> None:
    assert shoot(0, [0.84, 0.841, 0.843, 0.8405, 0.841]) == Shot(0, 0.841, 0.003, 5)


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
        shoot(pct, shares)
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
        curve(shots)
    assert refused.value.code == code


def test_points_stand_with_rising_shares_whatever_the_order_they_were_taken_in() -> None:
    assert curve([shot(0.85, 0), shot(0.36, 60), shot(0.5, 40)]) == ((0.36, 60), (0.5, 40), (0.85, 0))


@given(st.lists(st.tuples(st.floats(0.02, 0.98), st.floats(0, 100)), min_size=2, max_size=8))
def test_what_was_taken_is_what_the_probe_shows_afterwards(taken: list[tuple[float, float]]) -> None:
    shots = [shot(round(share, 4), pct) for share, pct in taken]
    try:
        points = curve(shots)
    except Unfit:
        reject()
    for one in shots:
        assert moisture(one.share, points)[0] == pytest.approx(one.pct)
    assert all(right[0] - left[0] >= LEAST_STEP for left, right in itertools.pairwise(points))
