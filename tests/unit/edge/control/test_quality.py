from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.messages import Quality
from edge.control.quality import GOOD, TABLE, Evidence, Verdict, judge

GOOD_ONE = Evidence(share=0.6, value_pct=30.0, porosity_pct=60.0)
FAULTS: dict[str, tuple[dict[str, Any], Quality]] = {
    "no-answer": ({"fault": "no-answer"}, Quality.BAD),
    "not-a-number": ({"finite": False}, Quality.BAD),
    "open-circuit": ({"share": 0.99}, Quality.BAD),
    "short-circuit": ({"share": 0.01}, Quality.BAD),
    "out-of-range": ({"beyond": 0.2}, Quality.BAD),
    "below-zero": ({"value_pct": -0.1}, Quality.BAD),
    "above-porosity": ({"value_pct": 60.1}, Quality.BAD),
    "too-old": ({"age_s": 361.0, "max_age_s": 360.0}, Quality.STALE),
    "clamped": ({"beyond": 0.01}, Quality.SUSPECT),
    "jump": ({"pace": "jump"}, Quality.SUSPECT),
    "noisy": ({"spread_pct": 4.1}, Quality.SUSPECT),
    "stuck": ({"unmoved": 2}, Quality.BAD),
    "no-wetting": ({"unmoved_alone": 3}, Quality.SUSPECT),
    "drift": ({"drift_pct": 6.1}, Quality.SUSPECT),
    "settling": ({"doubt": "settling"}, Quality.SUSPECT),
}
WORSE = [Quality.GOOD, Quality.SUSPECT, Quality.STALE, Quality.BAD]

evidence = st.builds(
    Evidence,
    fault=st.sampled_from([None, None, None, "hung"]),
    doubt=st.sampled_from([None, "settling"]),
    finite=st.booleans(),
    share=st.none() | st.floats(0, 1),
    value_pct=st.none() | st.floats(-20, 120),
    porosity_pct=st.floats(20, 100),
    beyond=st.floats(0, 1),
    spread_pct=st.floats(0, 50),
    pace=st.sampled_from([None, "jump", "too-fast"]),
    unmoved=st.integers(0, 4),
    unmoved_alone=st.integers(0, 4),
    drift_pct=st.floats(0, 20),
    age_s=st.floats(0, 1000),
    max_age_s=st.floats(1, 1000),
)


def test_a_reading_that_nothing_speaks_against_is_good() -> None:
    assert judge(GOOD_ONE) == GOOD
    assert judge(Evidence()) == GOOD


@pytest.mark.parametrize("reason", FAULTS)
def test_each_fault_alone_is_found_with_its_reason(reason: str) -> None:
    changes, quality = FAULTS[reason]
    assert judge(replace(GOOD_ONE, **changes)) == Verdict(quality, reason)


def test_one_watering_missed_behind_others_is_a_doubt_and_two_are_a_verdict() -> None:
    assert judge(replace(GOOD_ONE, unmoved=1)) == Verdict(Quality.SUSPECT, "stuck")
    assert judge(replace(GOOD_ONE, unmoved=2)) == Verdict(Quality.BAD, "stuck")


@pytest.mark.parametrize("limit", [{"beyond": 0.15}, {"unmoved_alone": 2}, {"drift_pct": 6.0}, {"spread_pct": 4.0}])
def test_at_its_limit_a_reading_is_not_yet_what_it_is_beyond_it(limit: dict[str, Any]) -> None:
    assert judge(replace(GOOD_ONE, **limit)).quality is (Quality.SUSPECT if "beyond" in limit else Quality.GOOD)


def test_the_table_goes_from_the_worst_to_the_mildest() -> None:
    order = [Quality.BAD, Quality.STALE, Quality.SUSPECT]
    qualities = [quality for quality, _ in TABLE]
    assert qualities == sorted(qualities, key=order.index)


@given(evidence)
def test_a_verdict_is_a_function_of_the_evidence_and_a_reason_goes_with_each_that_is_not_good(known: Evidence) -> None:
    verdict = judge(known)
    assert judge(replace(known)) == verdict
    assert (verdict.reason is None) == (verdict.quality is Quality.GOOD)


@given(evidence, st.sampled_from(sorted(FAULTS)))
def test_one_fault_more_never_makes_a_reading_better(known: Evidence, reason: str) -> None:
    changes, _ = FAULTS[reason]
    worse = replace(known, **changes)
    if all(getattr(known, name) == getattr(GOOD_ONE, name) for name in changes):
        assert WORSE.index(judge(worse).quality) >= WORSE.index(judge(known).quality)


@given(evidence)
def test_a_good_reading_is_inside_of_its_calibration_its_rails_its_soil_and_its_time(known: Evidence) -> None:
    if judge(known).quality is Quality.GOOD:
        assert known.finite
        assert known.fault is None
        assert known.beyond == 0
        assert known.age_s <= known.max_age_s
        assert known.value_pct is None or 0 <= known.value_pct <= known.porosity_pct
