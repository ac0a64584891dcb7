from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from edge.control.wetting import Unmoved, Wetting, moved_by_itself

LEAST_S, WAIT_S = 600.0, 7200.0
POROSITY = {"a": 60.0, "b": 60.0, "c": 60.0}


def watering(
    said: Mapping[str, list[float]], before: Mapping[str, Unmoved] | None = None, *, open_s: float = 1200.0
) -> dict[str, Unmoved]:
    """Water once while the probes say these values, and wait for it."""
    wetting = Wetting(LEAST_S, WAIT_S)
    wetting.opened(0.0)
    for sensor, values in said.items():
        for value in values:
            wetting.heard(sensor, value)
    wetting.closed(open_s)
    assert wetting.settle(before or {}, open_s + WAIT_S - 1, porosity_pct=POROSITY) == {}
    return wetting.settle(before or {}, open_s + WAIT_S, porosity_pct=POROSITY)


def test_a_probe_that_stands_still_while_another_gets_wet_is_behind() -> None:
    once = watering({"a": [20, 20, 20.1], "b": [22, 25, 31]})
    assert once == {"a": Unmoved(1, 0, 20), "b": Unmoved()}
    assert watering({"a": [20, 20.2], "b": [24, 30]}, once)["a"] == Unmoved(2, 0, 20)


def test_a_probe_that_is_alone_is_counted_apart_and_only_where_there_is_room_to_rise() -> None:
    assert watering({"a": [20, 20]}) == {"a": Unmoved(0, 1, 20)}
    assert watering({"a": [55, 55]}) == {}


def test_when_no_probe_of_the_zone_moved_nothing_is_proven() -> None:
    assert watering({"a": [20, 20], "b": [22, 22.3]}) == {}


def test_a_short_watering_proves_nothing() -> None:
    assert watering({"a": [20, 20], "b": [20, 30]}, open_s=LEAST_S - 1) == {}


def test_a_probe_that_moves_clears_its_evidence() -> None:
    assert watering({"a": [20, 23]}, {"a": Unmoved(1, 2, 20)}) == {"a": Unmoved()}


def test_waterings_that_follow_soon_are_one() -> None:
    wetting = Wetting(LEAST_S, WAIT_S)
    for begin_s in (0.0, 1000.0):
        wetting.opened(begin_s)
        wetting.heard("a", 20.0)
        wetting.closed(begin_s + 400)
    assert wetting.settle({}, 1400 + WAIT_S, porosity_pct=POROSITY) == {"a": Unmoved(0, 1, 20)}
    assert not wetting.wet


def test_without_water_a_probe_may_stand_still_for_ever() -> None:
    wetting = Wetting(LEAST_S, WAIT_S)
    for hour in range(24 * 365):
        wetting.heard("a", 12.5)
        wetting.closed(3600.0 * hour)
        assert wetting.settle({}, 3600.0 * hour, porosity_pct=POROSITY) == {}
    assert not wetting.wet


def test_a_probe_that_leaves_its_place_by_itself_is_not_stuck() -> None:
    assert moved_by_itself(Unmoved(2, 0, 20), 18)
    assert not moved_by_itself(Unmoved(2, 0, 20), 19)
    assert not moved_by_itself(Unmoved(), 50)


@given(
    st.dictionaries(st.sampled_from("abc"), st.lists(st.floats(0, 60), min_size=1), min_size=1),
    st.dictionaries(st.sampled_from("abc"), st.builds(Unmoved, st.integers(0, 3), st.integers(0, 3))),
)
def test_one_watering_adds_at_most_one_to_the_evidence_and_only_against_who_stood_still(
    said: dict[str, list[float]], before: dict[str, Unmoved]
) -> None:
    for sensor, after in watering(said, before).items():
        known = before.get(sensor, Unmoved())
        if max(said[sensor]) - min(said[sensor]) >= 0.5:
            assert after == Unmoved()
        else:
            assert after.behind + after.alone == known.behind + known.alone + 1
