"""A pause: everything closes, nothing opens, and what was left goes on when it is over, by itself or by a person's word."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from contract.messages import Outcome
from gateway.pauses import ACTOR
from irrigation.model import AfterTrouble, Entry, Farm, Hold, Rule
from irrigation.run import RunState
from tests.unit.gateway import farm as f
from tests.unit.gateway.office import Office
from tests.unit.gateway.test_queue import ask, enqueue, look, part, states, tell

NOW = f.NOW
MINUTE = timedelta(minutes=1)
DUE = NOW - 5 * MINUTE  # 09:55 on the farm
UNTIL = NOW + 30 * MINUTE
FARM = f.farm(programs=(f.program("p", "beans", "plums", start="09:55"), f.program("q", "tea", start="10:10")))


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    made = Office(tmp_path / "journal.sqlite3")
    made.hear("board-1", "board-2", now=DUE - MINUTE)
    made.configure(FARM, now=DUE - MINUTE)
    yield made
    made.db.close()


def pause(
    office: Office, of: Farm = FARM, *, until: datetime | None = UNTIL, now: datetime = NOW, version: int = 2
) -> None:
    """What the gateway does with settings that begin or end a pause."""
    office.hear("board-1", "board-2", now=now)
    paused = office.orders.pauses.on(now)
    with office.journal.transaction():
        office.configure(replace(of, hold=Hold(until=until, pause=True) if until else None), version, now)
        if office.orders.pauses.on(now) and not paused:
            office.orders.pauses.begin()


def beans_running(office: Office) -> Entry:
    assert office.plan.timetable is not None
    entry = next(one for one in office.plan.timetable.entries if one.zone_id == "beans")
    office.report("board-1", f.due_report(entry, RunState.OPEN, DUE, opened_at=DUE), now=DUE)
    return entry


def stopped(office: Office, entry: Entry, now: datetime = NOW) -> None:
    report = f.due_report(entry, RunState.STOPPED, now, opened_at=DUE, open_s=300.0)
    office.report("board-1", report, now=now)


def starts(office: Office) -> dict[str, float]:
    """Return in how many minutes each of today's entries starts."""
    assert office.plan.timetable is not None
    today = [one for one in office.plan.timetable.entries if one.start < NOW + timedelta(hours=6)]
    return {one.id.split(":")[-1]: (one.start - NOW) / MINUTE for one in today}


def test_what_waters_is_closed_and_its_rest_goes_on_when_the_pause_ends_by_itself(office: Office) -> None:
    entry = beans_running(office)
    pause(office)
    assert [(close.run_id, close.actor) for close in office.journal.closes()] == [(f"run-{entry.id}", ACTOR)]
    stopped(office, entry)
    look(office, NOW)
    assert starts(office) == {"beans.r": 50, "plums": 30, "tea": 30}
    (rest,) = [one for one in office.plan.parts["board-1"].entries if one.id == f"{entry.id}.r"]
    assert rest.dose.minutes == 15
    assert FARM.programs[0].after_trouble is AfterTrouble.SKIP  # a pause is no trouble


def test_what_falls_due_meanwhile_waits_and_says_why(office: Office) -> None:
    beans_running(office)
    pause(office)
    assert office.plan.timetable is not None
    tea = next(one for one in office.plan.timetable.entries if one.zone_id == "tea")
    assert (tea.start, tea.rule, tea.params["until"]) == (UNTIL, Rule.PAUSED, UNTIL.isoformat())
    assert not any(skip.rule is Rule.HOLD for skip in office.plan.timetable.skipped)


def test_resumed_by_a_person_it_goes_on_at_once(office: Office) -> None:
    entry = beans_running(office)
    pause(office)
    stopped(office, entry)
    early = NOW + 5 * MINUTE
    pause(office, until=None, now=early, version=3)
    look(office, early)
    assert starts(office)["plums"] == 5
    assert starts(office)["beans.r"] == 25
    assert office.orders.handle(f.open_order("tea", early), early).outcome is Outcome.ACCEPTED


def test_nothing_opens_in_a_pause_not_by_order_and_not_from_the_queue(office: Office) -> None:
    pause(office, f.FARM)
    reply = office.orders.handle(f.open_order("tea"), NOW)
    assert reply.reason is not None
    assert (reply.reason.code, reply.reason.params) == ("paused", {"until": "2026-11-24T03:30:00Z"})
    run_id = ask(office, "tea")
    assert states(office, run_id) == [RunState.QUEUED]
    look(office, UNTIL)
    assert states(office, run_id)[-1] is RunState.ACCEPTED


def persons_run(office: Office, opened: datetime = NOW - 5 * MINUTE) -> str:
    order = f.open_order("tea", opened, minutes=20)
    office.orders.handle(order, opened)
    tell(office, order.run_id, RunState.OPEN, opened)
    return order.run_id


def test_a_persons_run_goes_on_as_the_first_of_the_queue(office: Office) -> None:
    run_id = persons_run(office)
    other = ask(office, "tea")
    pause(office)
    tell(office, run_id, RunState.STOPPED, NOW, open_s=300.0)
    look(office, NOW)
    assert [one.run_id for one in office.orders.queue.waiting()] == [f"{run_id}.p", other]
    rest = office.journal.run(f"{run_id}.p")
    assert rest is not None
    assert (rest.state, rest.dose.minutes, rest.actor) == (RunState.QUEUED, 15, "mai")
    look(office, UNTIL)
    assert office.run_state(f"{run_id}.p") is RunState.ACCEPTED
    assert office.run_state(other) is RunState.QUEUED


def test_what_followed_it_follows_its_rest(office: Office) -> None:
    first = part("tea", 10)
    second = part("tea", 10, after=first.run_id, soak_s=600)
    office.orders.handle(enqueue(first, second, now=NOW - 5 * MINUTE), NOW - 5 * MINUTE)
    look(office, NOW - 5 * MINUTE)
    tell(office, first.run_id, RunState.OPEN, NOW - 5 * MINUTE)
    pause(office)
    tell(office, first.run_id, RunState.STOPPED, NOW, open_s=300.0)
    waiting = office.orders.queue.waiting()
    assert [(one.run_id, one.after) for one in waiting] == [
        (f"{first.run_id}.p", None),
        (second.run_id, f"{first.run_id}.p"),
    ]


def test_an_order_that_no_board_has_answered_yet_waits_whole(office: Office) -> None:
    order = f.open_order("tea")
    office.orders.handle(order, NOW)
    pause(office)
    run = office.journal.run(order.run_id)
    assert run is not None
    with office.journal.transaction():
        office.orders._end(run, RunState.STOPPED, NOW, None)
    assert [(one.run_id, one.dose.minutes) for one in office.orders.queue.waiting()] == [(f"{order.run_id}.p", 20)]


@pytest.mark.parametrize("all_of_it", [False, True])
def test_what_a_person_stops_in_a_pause_does_not_go_on(office: Office, *, all_of_it: bool) -> None:
    run_id = persons_run(office)
    pause(office)
    order: Any = f.close_all_order() if all_of_it else f.close_order(run_id)
    office.orders.handle(order, NOW)
    tell(office, run_id, RunState.STOPPED, NOW, open_s=300.0)
    assert office.orders.queue.waiting() == ()


def test_what_ended_by_itself_before_it_could_be_closed_is_done(office: Office) -> None:
    run_id = persons_run(office)
    pause(office)
    tell(office, run_id, RunState.DONE, NOW, open_s=1200.0)
    assert office.orders.queue.waiting() == ()


def test_what_a_board_begins_in_a_pause_all_the_same_is_closed_too(office: Office) -> None:
    pause(office)
    assert office.plan.timetable is not None
    entry = next(one for one in office.plan.timetable.entries if one.zone_id == "tea")
    office.report("board-2", f.due_report(entry, RunState.OPEN, NOW, opened_at=NOW), now=NOW)
    assert [close.run_id for close in office.journal.closes()] == [f"run-{entry.id}"]


def test_a_gateway_killed_meanwhile_still_knows_what_goes_on(office: Office, tmp_path: Path) -> None:
    run_id = persons_run(office)
    pause(office)
    again = Office(tmp_path / "journal.sqlite3")
    tell(again, run_id, RunState.STOPPED, NOW, open_s=300.0)
    tell(again, run_id, RunState.STOPPED, NOW, open_s=300.0)
    assert [one.run_id for one in again.orders.queue.waiting()] == [f"{run_id}.p"]
    again.db.close()


def test_what_has_waited_too_long_after_a_pause_is_dropped_and_says_so(office: Office) -> None:
    entry = beans_running(office)
    run_id = persons_run(office)
    pause(office)
    stopped(office, entry)
    tell(office, run_id, RunState.STOPPED, NOW, open_s=300.0)
    late = UNTIL + timedelta(hours=2, minutes=1)
    look(office, late)
    assert office.run_state(f"{run_id}.p") is RunState.EXPIRED
    decision = office.journal.decision(f"{entry.id}.r")
    assert decision is not None
    assert decision.rule is Rule.NOT_MADE_UP


def test_a_pause_is_no_emergency() -> None:
    with pytest.raises(ValueError, match="hold.pause does not go with hold.emergency"):
        Hold(until=UNTIL, pause=True, emergency=True)
