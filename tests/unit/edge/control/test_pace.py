import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.control.pace import BELIEVED_AFTER, Limits, Pace

MINUTE_S = 60.0


def say(
    pace: Pace, *values: float, every_s: float = MINUTE_S, begin_s: float = 0.0, wet: bool = False
) -> list[str | None]:
    return [pace.heard(value, begin_s + every_s * place, wet=wet) for place, value in enumerate(values)]


def test_soil_that_dries_and_is_rained_on_is_believed() -> None:
    assert set(say(Pace(Limits()), 30, 29.8, 29.5, 35, 39, 38.5, 38)) == {None}


def test_a_jump_is_doubted_and_forgotten_when_it_does_not_stay() -> None:
    assert say(Pace(Limits()), 30, 55, 30, 30) == [None, "jump", None, None]
    assert say(Pace(Limits()), 30, 10, 30, 30) == [None, "jump", None, None]


def test_a_new_level_is_believed_once_three_readings_agree_on_it() -> None:
    assert say(Pace(Limits()), 30, 50, 51, 50, 50.5) == [None, "jump", "jump", None, None]


def test_readings_that_jump_about_are_never_believed() -> None:
    assert set(say(Pace(Limits()), 30, 50, 5, 55, 0, 50, 5)[1:]) == {"jump"}


def test_a_fall_that_no_soil_makes_is_found_over_the_hour_though_each_step_is_small() -> None:
    told = say(Pace(Limits()), *[50 - 0.7 * minute for minute in range(30)])
    assert told[1] is None
    assert "too-fast" in told


def test_while_it_is_watered_it_may_rise_at_any_pace_but_not_fall() -> None:
    assert say(Pace(Limits()), 20, 45, wet=True) == [None, None]
    assert say(Pace(Limits()), 45, 20, wet=True) == [None, "jump"]


def test_what_rose_while_it_was_watered_is_no_rise_afterwards() -> None:
    pace = Pace(Limits())
    assert say(pace, 20, 45, wet=True) == [None, None]
    assert say(pace, 45, 44.9, begin_s=120.0) == [None, None]


def test_after_a_long_silence_a_change_is_no_jump() -> None:
    pace = Pace(Limits())
    assert pace.heard(40, 0.0, wet=False) is None
    assert pace.heard(22, 6 * 3600.0, wet=False) is None


@given(st.floats(0, 60), st.lists(st.floats(-1.0, 1.0), max_size=200))
def test_a_steady_value_with_noise_is_never_doubted(level: float, noise: list[float]) -> None:
    assert set(say(Pace(Limits()), level, *[level + one for one in noise])) == {None}


@given(st.lists(st.floats(0, 60), min_size=1, max_size=60), st.floats(0, 60))
def test_whatever_came_before_a_level_that_stays_is_believed_in_the_end(before: list[float], level: float) -> None:
    pace = Pace(Limits())
    say(pace, *before)
    assert say(pace, *[level] * BELIEVED_AFTER, begin_s=MINUTE_S * len(before))[-1] is None


@pytest.mark.parametrize("speed", [1.0, 60.0])
def test_the_limits_are_those_of_the_soil_at_hand(speed: float) -> None:
    pace = Pace(Limits(rise_pct_h=60 * speed, fall_pct_h=20 * speed))
    assert say(pace, 30, 30 - 5 - 20 * speed / 60 * 0.9) == [None, None]
    assert say(pace, 30 - 20 * speed - 40, begin_s=120.0) == ["jump"]
