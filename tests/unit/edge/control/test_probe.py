import math
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.messages import Quality
from edge.control.drift import Drift
from edge.control.probe import Expected, Memory, Probe
from edge.control.quality import GOOD, Verdict
from edge.control.wetting import Unmoved

POINTS = ((0.36, 60.0), (0.85, 0.0))
EXPECTED = Expected(points=POINTS)
HALF = 0.605  # 30 %


def heard(probe: Probe, *raws: float, at_s: float = 0.0, wet: bool = False, **more: Any) -> tuple[Quality, str | None]:
    is_share = probe.expected.points is not None
    judged = probe.heard(raws or (HALF,), at_s, wet=wet, is_share=is_share, **more)
    return judged.quality, judged.reason


@pytest.mark.parametrize(
    ("raws", "quality", "reason"),
    [
        ((HALF,) * 3, Quality.GOOD, None),
        ((1.0,) * 3, Quality.BAD, "open-circuit"),
        ((0.0,) * 3, Quality.BAD, "short-circuit"),
        ((0.25,) * 3, Quality.BAD, "out-of-range"),
        ((0.95,) * 3, Quality.BAD, "out-of-range"),
        ((0.34,) * 3, Quality.SUSPECT, "clamped"),
        ((0.40, HALF, 0.80), Quality.SUSPECT, "noisy"),
        ((math.nan,) * 3, Quality.BAD, "not-a-number"),
        ((math.inf, -math.inf), Quality.BAD, "not-a-number"),
        ((math.nan, HALF, HALF), Quality.GOOD, None),
    ],
)
def test_each_fault_of_the_samples_has_its_verdict(
    raws: tuple[float, ...], quality: Quality, reason: str | None
) -> None:
    assert heard(Probe(expected=EXPECTED), *raws) == (quality, reason)


def test_a_probe_without_points_tells_percent_itself_and_is_held_against_its_soil() -> None:
    probe = Probe(expected=Expected(porosity_pct=55.0))
    assert probe.heard([31.4], 0.0, wet=False).value_pct == 31.4
    assert heard(probe, 56.0) == (Quality.BAD, "above-porosity")
    assert heard(probe, -0.5) == (Quality.BAD, "below-zero")


def test_a_steady_value_is_not_dead_however_long_it_stays() -> None:
    probe = Probe(expected=EXPECTED)
    said = {heard(probe, 0.8, 0.8, 0.8, at_s=60.0 * minute) for minute in range(60 * 24 * 7)}
    assert said == {(Quality.GOOD, None)}


def test_a_probe_that_does_not_answer_is_bad_by_its_drivers_reason_and_well_again_when_it_does() -> None:
    probe = Probe(expected=EXPECTED)
    judged = probe.silent("hung", 5.0)
    assert (judged.quality, judged.reason, judged.value_pct) == (Quality.BAD, "hung", None)
    assert heard(probe, at_s=10.0) == (Quality.GOOD, None)


def test_what_was_good_or_doubtful_is_stale_when_it_is_too_old_and_what_was_bad_stays_bad() -> None:
    probe = Probe(expected=EXPECTED)
    good = probe.heard([HALF], 1000.0, wet=False, is_share=True)
    assert good.now(1360.0, 360.0) == GOOD
    assert good.now(1360.1, 360.0) == Verdict(Quality.STALE, "too-old")
    doubtful = probe.heard([0.34], 1000.0, wet=False, is_share=True)
    assert doubtful.now(1360.0, 360.0) == Verdict(Quality.SUSPECT, "clamped")
    assert doubtful.now(1361.0, 360.0) == Verdict(Quality.STALE, "too-old")
    assert probe.silent("hung", 1000.0).now(9999.0, 360.0) == Verdict(Quality.BAD, "hung")


def test_a_jump_is_doubted_and_a_watering_is_none() -> None:
    probe = Probe(expected=EXPECTED)
    assert heard(probe, at_s=0.0) == (Quality.GOOD, None)
    assert heard(probe, 0.45, at_s=60.0) == (Quality.SUSPECT, "jump")
    assert heard(probe, 0.45, at_s=120.0, wet=True) == (Quality.GOOD, None)


def test_a_broken_wire_leaves_no_trace_in_the_pace_when_it_is_mended() -> None:
    probe = Probe(expected=EXPECTED)
    told = [heard(probe, raw, at_s=60.0 * place) for place, raw in enumerate((HALF, 1.0, 1.0, HALF))]
    assert told == [(Quality.GOOD, None), *[(Quality.BAD, "open-circuit")] * 2, (Quality.GOOD, None)]


def test_a_stuck_probe_is_well_again_when_it_leaves_its_place_and_a_short_is_no_leaving() -> None:
    probe = Probe(expected=EXPECTED)
    assert heard(probe, at_s=0.0) == (Quality.GOOD, None)
    probe.unmoved(Unmoved(2, 0, 30.0))
    assert heard(probe, at_s=60.0) == (Quality.BAD, "stuck")
    assert heard(probe, 0.0, at_s=120.0) == (Quality.BAD, "short-circuit")
    assert heard(probe, at_s=180.0) == (Quality.BAD, "stuck")
    assert heard(probe, 0.625, at_s=240.0) == (Quality.GOOD, None)


def test_drift_is_a_doubt_that_a_new_calibration_ends() -> None:
    drifted = Drift(first_gaps=(0.0,) * 7, last_gaps=(9.0,) * 7)
    memory = Memory(points=POINTS, drift=drifted)
    assert heard(Probe(expected=EXPECTED, memory=memory)) == (Quality.SUSPECT, "drift")
    anew = replace(EXPECTED, points=((0.37, 60.0), (0.86, 0.0)))
    assert heard(Probe(expected=anew, memory=memory)) == (Quality.GOOD, None)


def test_only_believable_readings_are_evidence_of_drift() -> None:
    probe = Probe(expected=EXPECTED)
    for raw, counted in ((HALF, 1), (1.0, 1), (0.34, 1), (HALF, 2)):
        probe.heard([raw], 0.0, wet=True, is_share=True)
        probe.compared(date(2026, 1, 1), [25.0])
        assert probe.memory.drift.count == counted
    assert probe.memory.drift.sum_gap_pct == pytest.approx(10.0)
    probe.compared(date(2026, 1, 1) + timedelta(days=1), [])
    assert probe.memory.drift.gaps == 0


@given(st.floats(0.37, 0.84), st.floats(allow_nan=True, allow_infinity=True), st.permutations([0, 1, 2]))
def test_one_wild_sample_in_three_changes_nothing(good: float, wild: float, order: list[int]) -> None:
    samples = [good, good, wild]
    judged = Probe(expected=EXPECTED).heard([samples[place] for place in order], 0.0, wet=False, is_share=True)
    assert (judged.raw, judged.quality) == (good, Quality.GOOD)


@given(st.lists(st.floats(-0.5, 1.5), min_size=1, max_size=9), st.booleans())
def test_never_good_outside_of_what_was_calibrated(raws: list[float], wet: bool) -> None:
    judged = Probe(expected=EXPECTED).heard(raws, 0.0, wet=wet, is_share=True)
    if judged.quality is Quality.GOOD:
        assert judged.raw is not None
        assert POINTS[0][0] <= judged.raw <= POINTS[1][0]
    else:
        assert judged.reason is not None


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(1, 600)), max_size=50))
def test_the_same_readings_give_the_same_verdicts(told: list[tuple[float, float]]) -> None:
    def live() -> list[tuple[Quality, str | None]]:
        probe, at_s, said = Probe(expected=EXPECTED), 0.0, []
        for raw, after_s in told:
            at_s += after_s
            said.append(heard(probe, raw, at_s=at_s))
        return said

    assert live() == live()
