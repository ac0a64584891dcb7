"""What the gateway makes up after trouble: by the program's word, once, never what a person ended, never all of many days."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from contract.messages import (
    DecisionEvent,
    NodeState,
    Origin,
    PlanSource,
    Reason,
    RunEvent,
    ValvePosition,
    ValveReport,
)
from irrigation.model import AfterTrouble, Decision, Entry, Farm, Hold, MakeUp, Result, Rule
from irrigation.run import RunState
from tests.unit.gateway import farm as f
from tests.unit.gateway.office import Office

DUE = f.NOW.replace(hour=22, minute=30)  # 05:30 on the farm
MINUTE = timedelta(minutes=1)
CUT = DUE + 8 * MINUTE


def farm(policy: AfterTrouble = AfterTrouble.RESUME) -> Farm:
    return f.farm(programs=(f.program("p", "beans", "plums", after_trouble=policy),))


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    made = Office(tmp_path / "journal.sqlite3")
    made.hear("board-1", "board-2")
    made.configure(farm())
    yield made
    made.db.close()


def beans(office: Office) -> Entry:
    assert office.plan.timetable is not None
    return next(entry for entry in office.plan.timetable.entries if entry.zone_id == "beans" and entry.due == DUE)


def cut(office: Office, state: RunState = RunState.INTERRUPTED, code: str = "restarted", at: datetime = CUT) -> Entry:
    """Have the watering of the beans begin at its time and end after eight minutes."""
    entry = beans(office)
    opened = {"opened_at": DUE}
    end = f.due_report(entry, state, at, reason=Reason(code=code), open_s=480.0, **opened)
    begin(office, entry)
    office.hear("board-1", "board-2", now=at)
    office.report("board-1", end, now=at)
    office.plan.compile(at)
    return entry


def begin(office: Office, entry: Entry) -> None:
    office.hear("board-1", "board-2", now=DUE)
    office.report("board-1", f.due_report(entry, RunState.OPEN, DUE, opened_at=DUE), now=DUE)


def rests(office: Office) -> list[Entry]:
    assert office.plan.timetable is not None
    return [entry for entry in office.plan.timetable.entries if entry.rule is Rule.MADE_UP]


def said(office: Office, rule: Rule = Rule.NOT_MADE_UP) -> list[Decision]:
    return [one.decision for one in office.told(DecisionEvent) if one.decision.rule is rule]


def locked(at: datetime, *, quarantine: Reason | None) -> NodeState:
    valve = ValveReport(channel="v1", zone_id="beans", position=ValvePosition.CLOSED, quarantine=quarantine)
    return NodeState(
        boot_id="b", at=at, clock_trusted=True, valves=(valve,), plan=PlanSource.TIMETABLE, config_version=0,
        timetable_version=0,
    )  # fmt: skip


def test_what_a_reboot_cut_short_is_resumed_when_the_source_is_free(office: Office) -> None:
    entry = cut(office)
    (rest,) = rests(office)
    assert (rest.id, rest.zone_id, rest.dose.minutes, rest.max_s) == (f"{entry.id}.r", "beans", 12.0, 720)
    assert rest.start >= CUT
    assert rest in office.plan.parts["board-1"].entries
    assert said(office) == []


def test_by_default_it_is_not_and_a_decision_says_so(office: Office) -> None:
    office.configure(farm(AfterTrouble.SKIP), version=2)
    entry = cut(office)
    assert rests(office) == []
    (decision,) = said(office)
    assert (decision.id, decision.result, decision.due) == (f"{entry.id}.r", Result.SKIPPED, CUT)
    assert decision.params == {"why": "restarted", "given_s": 480.0, "because": "program"}


@pytest.mark.parametrize("state", [RunState.STOPPED, RunState.DONE])
def test_what_a_person_stopped_or_what_was_done_is_never_made_up(office: Office, state: RunState) -> None:
    cut(office, state, "stopped")
    assert (rests(office), said(office), office.plan.rests.waiting()) == ([], [], ())


def test_a_report_that_follows_a_persons_stop_changes_nothing(office: Office) -> None:
    entry = cut(office, RunState.STOPPED, "stopped")
    end = f.due_report(entry, RunState.FAILED, CUT, reason=Reason(code="no-flow"), opened_at=DUE, open_s=480.0)
    office.report("board-1", end, now=CUT)
    assert (office.plan.rests.waiting(), said(office)) == ((), [])


def test_what_a_person_ordered_is_not_made_up(office: Office) -> None:
    order = f.open_order("tea", DUE)
    office.orders.handle(order, DUE)
    run = order.model_copy(update={"channel": "v1"})
    office.report("board-2", f.report(run, RunState.INTERRUPTED, CUT, reason=Reason(code="restarted")), now=CUT)
    assert office.plan.rests.waiting() == ()


def test_told_twice_late_or_again_after_a_restart_it_is_made_up_once(office: Office, tmp_path: Path) -> None:
    entry = cut(office)
    end = f.due_report(entry, RunState.FAILED, CUT + MINUTE, reason=Reason(code="no-flow"), opened_at=DUE, open_s=0.0)
    office.report("board-1", end, now=CUT + MINUTE)
    again = Office(tmp_path / "journal.sqlite3")  # killed between deciding and sending: another life of the gateway
    again.hear("board-1", "board-2", now=CUT)
    again.plan.compile(CUT)
    assert [one.of for one in again.plan.rests.waiting()] == [entry.id]
    assert [(one.id, one.dose.minutes) for one in rests(again)] == [(f"{entry.id}.r", 12.0)]
    again.db.close()


def test_the_rest_has_a_decision_and_what_cuts_it_short_in_turn_is_made_up_no_more(office: Office) -> None:
    entry = cut(office)
    (rest,) = rests(office)
    for state, at in ((RunState.OPEN, rest.start), (RunState.INTERRUPTED, rest.start + MINUTE)):
        office.report("board-1", f.due_report(rest, state, at, opened_at=rest.start, open_s=60.0), now=at)
        office.plan.compile(at)
    (decision,) = said(office, Rule.MADE_UP)
    assert (decision.id, decision.result, decision.run_id) == (f"{entry.id}.r", Result.CHANGED, f"run-{rest.id}")
    assert (rests(office), office.plan.rests.waiting()) == ([], ())


def test_what_has_its_decision_is_not_made_up_again_whoever_asks(office: Office) -> None:
    entry = cut(office)
    (rest,) = rests(office)
    office.report("board-1", f.due_report(rest, RunState.OPEN, CUT), now=CUT)
    end = f.due_report(entry, RunState.FAILED, CUT, reason=Reason(code="no-flow"), opened_at=DUE, open_s=0.0)
    with office.journal.transaction():
        office.plan.rests.run_ended(end, office.plan.farm, CUT)
    assert (office.plan.rests.waiting(), said(office)) == ((), [])


def test_a_report_that_comes_after_its_time_makes_up_nothing(office: Office) -> None:
    entry = beans(office)
    late = CUT + timedelta(hours=3)
    end = f.due_report(entry, RunState.INTERRUPTED, CUT, reason=Reason(code="restarted"), opened_at=DUE, open_s=480.0)
    office.report("board-1", end, now=late)
    assert office.plan.rests.waiting() == ()
    (decision,) = said(office)
    assert decision.params["because"] == "late"


def test_a_board_that_was_without_power_for_hours_counts_from_when_the_valve_closed(office: Office) -> None:
    back = CUT + timedelta(hours=3)
    cut(office, at=back)  # it tells the interruption when it is back
    assert rests(office) == []
    assert [one.due for one in said(office)] == [CUT]


def test_a_source_that_gave_no_water_is_given_its_recovery_time(office: Office) -> None:
    cut(office, RunState.FAILED, "no-flow")
    (rest,) = rests(office)
    assert rest.start == CUT + 30 * MINUTE


def test_nothing_is_made_up_through_a_locked_valve_until_a_person_has_reset_it(office: Office) -> None:
    entry = beans(office)
    begin(office, entry)
    office.boards.state("board-1", locked(CUT, quarantine=Reason(code="burst")), CUT, retained=False)
    end = f.due_report(entry, RunState.FAILED, CUT, reason=Reason(code="burst"), opened_at=DUE, open_s=480.0)
    office.hear("board-1", "board-2", now=CUT)
    office.report("board-1", end, now=CUT)
    office.plan.compile(CUT)
    assert rests(office) == []
    assert not office.plan.unlocked(CUT)
    later = CUT + 20 * MINUTE
    office.hear("board-1", "board-2", now=later)
    office.boards.state("board-1", locked(later, quarantine=None), later, retained=False)
    assert office.plan.unlocked(later)
    office.plan.compile(later)
    assert [one.id for one in rests(office)] == [f"{entry.id}.r"]


def test_one_that_stays_locked_is_told_when_its_time_is_over(office: Office) -> None:
    entry = beans(office)
    begin(office, entry)
    office.boards.state("board-1", locked(CUT, quarantine=Reason(code="burst")), CUT, retained=False)
    end = f.due_report(entry, RunState.FAILED, CUT, reason=Reason(code="burst"), opened_at=DUE, open_s=480.0)
    office.report("board-1", end, now=CUT)
    over = office.plan.rests.next_end(CUT)
    assert over == CUT + timedelta(hours=2)
    office.plan.compile(over + timedelta(seconds=1))
    assert [one.id for one in said(office)] == [f"{entry.id}.r"]
    assert office.plan.rests.waiting() == ()


def test_a_hold_that_begins_takes_the_rest_with_it(office: Office) -> None:
    entry = cut(office)
    held = replace(farm(), hold=Hold(until=CUT + timedelta(hours=12)))
    office.configure(held, version=3, now=CUT + MINUTE)
    assert rests(office) == []
    assert f"{entry.id}.r" in [one.id for one in said(office, Rule.HOLD)]
    assert office.plan.rests.waiting() == ()


# --- what nobody could begin ---


def missed(entry: Entry, day: int, at: datetime) -> DecisionEvent:
    due = entry.due - timedelta(days=day)
    decision = Decision(
        id=entry.id if day == 0 else f"p:past-{day}:0530:{entry.zone_id}", program_id="p", zone_id=entry.zone_id,
        due=due, result=Result.SKIPPED, rule=Rule.MISSED, params={"late_min": 20.0},
    )  # fmt: skip
    return DecisionEvent(seq=1, at=at, decision=decision)


def test_what_a_board_missed_is_begun_late_if_the_program_says_so(office: Office) -> None:
    entry, now = beans(office), DUE + 20 * MINUTE
    office.hear("board-1", "board-2", now=now)
    assert office.report("board-1", missed(entry, 0, now), now=now).replan
    office.plan.compile(now)
    assert [(one.id, one.dose.minutes) for one in rests(office)] == [(f"{entry.id}.r", 20.0)]


def test_what_was_missed_of_a_program_that_skips_has_no_second_decision(office: Office) -> None:
    office.configure(farm(AfterTrouble.SKIP), version=2)
    now = DUE + 20 * MINUTE
    office.report("board-1", missed(beans(office), 0, now), now=now)
    assert (office.plan.rests.waiting(), said(office)) == ((), [])


def test_after_days_away_not_all_that_was_missed_is_made_up(office: Office) -> None:
    office.configure(farm(AfterTrouble.TOP_UP), version=2)
    entry, now = beans(office), DUE + 20 * MINUTE
    office.hear("board-1", "board-2", now=now)
    old = [replace(entry, id=f"p:past-{day}:0530:beans", start=DUE - timedelta(days=day)) for day in range(1, 6)]
    with office.journal.transaction():
        office.journal.save_entries(tuple(old))
    office.report("board-1", *(missed(entry, day, now) for day in range(5, -1, -1)), now=now)
    office.plan.compile(now)
    assert [one.of for one in office.plan.rests.waiting()] == [entry.id]
    assert len(rests(office)) == 1
    assert [one.params["because"] for one in said(office)] == ["late", "late", "late", "late", "late"]


def test_a_newer_rest_takes_the_place_of_one_that_waits(office: Office) -> None:
    entry = cut(office)
    part = replace(entry, id=f"{entry.id}.2", start=CUT)
    with office.journal.transaction():
        office.journal.save_entries((part,))
    at = CUT + 2 * MINUTE
    end = f.due_report(part, RunState.INTERRUPTED, at, reason=Reason(code="guard-lost"), opened_at=CUT, open_s=120.0)
    office.report("board-1", end, now=at)
    assert [one.of for one in office.plan.rests.waiting()] == [part.id]
    assert [(one.id, one.params["because"]) for one in said(office)] == [(f"{entry.id}.r", "newer")]


def test_a_run_by_the_base_plan_is_made_up_too(office: Office) -> None:
    entry = beans(office)
    end = f.due_report(
        entry, RunState.INTERRUPTED, CUT, origin=Origin.BASE_PLAN, reason=Reason(code="restarted"), opened_at=DUE, open_s=480.0
    )  # fmt: skip
    office.report("board-1", end, now=CUT)
    assert [one.of for one in office.plan.rests.waiting()] == [entry.id]
    assert isinstance(office.plan.rests.waiting()[0], MakeUp)
    assert office.told(RunEvent)
