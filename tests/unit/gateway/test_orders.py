"""Orders, reports, boards and plan over a real journal, without a broker and at a time of our choice."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from contract.messages import (
    Batch,
    DecisionEvent,
    Lane,
    NodeState,
    Open,
    Outcome,
    PlanSource,
    Pulse,
    Reason,
    Reply,
    Restart,
    RunEvent,
    RunProgress,
    Status,
    ValvePosition,
    ValveReport,
)
from gateway.boards import SILENCE
from gateway.errors import ConfigRefused
from gateway.orders import ANSWER_MARGIN, Minted
from gateway.planning.dispatch import WantedClose
from irrigation.model import Decision, Hold, Result, Rule, Timetable
from irrigation.run import RunState
from tests.unit.gateway import farm as f
from tests.unit.gateway.office import Office

NOW = f.NOW
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)


def shows(*positions: ValvePosition, at: datetime = NOW) -> NodeState:
    return NodeState(
        boot_id="b",
        at=at,
        clock_trusted=True,
        valves=tuple(ValveReport(channel=f"v{n}", position=p, zone_id="beans") for n, p in enumerate(positions, 1)),
        plan=PlanSource.TIMETABLE,
        config_version=1,
        timetable_version=1,
    )


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    made = Office(tmp_path / "journal.sqlite3")
    made.configure(f.FARM)
    made.hear("board-1", "board-2")
    yield made
    made.db.close()


# --- orders ---


def test_a_repeated_order_gets_the_answer_that_it_got_even_if_it_would_be_another_now(office: Office) -> None:
    order = f.open_order()
    first = office.orders.handle(order, NOW)
    assert office.orders.handle(order, NOW + timedelta(hours=1)) == first
    assert len(office.told(RunEvent)) == 1


def test_a_run_id_that_is_known_is_not_opened_again_by_another_order(office: Office) -> None:
    order = f.open_order()
    office.orders.handle(order, NOW)
    again = office.orders.handle(f.open_order(run_id=order.run_id), NOW)
    assert again.reason == Reason(code="run-known")
    assert office.run_state(order.run_id) is RunState.ACCEPTED
    assert [event.state for event in office.told(RunEvent)] == [RunState.ACCEPTED]


def test_closing_what_nobody_knows_is_done_and_keeps_it_from_opening_later(office: Office) -> None:
    order = f.open_order()
    assert office.orders.handle(f.close_order(order.run_id), NOW).outcome is Outcome.DONE
    reply = office.orders.handle(order, NOW)
    assert reply.reason == Reason(code="closed-before")


def test_closing_an_ended_run_is_done_at_once(office: Office) -> None:
    order = f.open_order()
    office.orders.handle(order, NOW)
    office.report("board-1", f.report(order, RunState.DONE))
    assert office.orders.handle(f.close_order(order.run_id), NOW).outcome is Outcome.DONE
    assert office.journal.closes() == ()


def test_an_expired_stop_is_still_right_and_an_expired_stop_of_everything_is_not(office: Office) -> None:
    order = f.open_order()
    office.orders.handle(order, NOW)
    late = NOW + 2 * MINUTE
    assert office.orders.handle(f.close_order(order.run_id), late).outcome is Outcome.ACCEPTED
    assert office.orders.handle(f.close_all_order(), late).reason == Reason(code="expired")


def test_a_technicians_order_that_names_no_board_is_refused(office: Office) -> None:
    pulse = Pulse(id="p", issued_at=NOW, expires_at=NOW + MINUTE, actor="tuan", channel="v1", seconds=2)
    assert office.orders.handle(pulse, NOW).reason == Reason(code="unknown-board", params={"node_id": ""})
    restart = Restart(id="r", issued_at=NOW, expires_at=NOW + MINUTE, actor="tuan")
    assert office.orders.handle(restart, NOW).reason == Reason(code="not-for-gateway")


def test_a_board_that_closed_before_it_opened_ends_the_run(office: Office) -> None:
    order, stop = f.open_order(), None
    office.orders.handle(order, NOW)
    stop = f.close_order(order.run_id)
    office.orders.handle(stop, NOW)
    answer = Reply(command_id="minted", at=NOW, outcome=Outcome.DONE)
    assert office.orders.answered("board-2", answer, Minted(order.run_id, "board-1"), NOW) == ()
    (done,) = office.orders.answered("board-1", answer, Minted(order.run_id, "board-1"), NOW)
    assert (done.command_id, done.outcome) == (stop.id, Outcome.DONE)
    assert office.run_state(order.run_id) is RunState.STOPPED
    assert office.journal.closes() == ()


def test_an_answer_from_another_board_counts_for_nothing(office: Office) -> None:
    order = f.open_order()
    office.orders.handle(order, NOW)
    refusal = Reply(command_id=order.id, at=NOW, outcome=Outcome.REFUSED, reason=Reason(code="daily-cap"))
    assert office.orders.answered("board-2", refusal, None, NOW) == ()
    assert office.run_state(order.run_id) is RunState.ACCEPTED


def test_an_answered_order_does_not_expire(office: Office) -> None:
    order = f.open_order()
    office.orders.handle(order, NOW)
    office.orders.answered("board-1", Reply(command_id=order.id, at=NOW, outcome=Outcome.ACCEPTED), None, NOW)
    assert office.orders.next_expiry() is None
    assert not office.orders.expire(order.expires_at + MINUTE)


def test_an_unanswered_order_expires_a_moment_after_its_deadline(office: Office) -> None:
    order = f.open_order()
    office.orders.handle(order, NOW)
    assert office.orders.next_expiry() == order.expires_at + ANSWER_MARGIN
    assert not office.orders.expire(order.expires_at)
    assert office.orders.expire(order.expires_at + ANSWER_MARGIN)
    assert office.run_state(order.run_id) is RunState.EXPIRED
    assert [close.run_id for close in office.journal.closes()] == [order.run_id]


def test_a_valve_that_did_not_close_blocks_orders_on_its_source(office: Office) -> None:
    office.boards.state("board-1", shows(ValvePosition.CLOSE_FAILED), NOW, retained=False)
    reply = office.orders.handle(f.open_order("tea"), NOW)
    assert reply.reason == Reason(code="close-failed", params={"zone_id": "beans"})


def test_a_stop_of_everything_waits_for_each_boards_own_word(office: Office) -> None:
    stop = f.close_all_order()
    assert office.orders.handle(stop, NOW).outcome is Outcome.ACCEPTED
    office.boards.state("board-1", shows(ValvePosition.CLOSED, at=NOW - MINUTE), NOW + SECOND, retained=True)
    assert office.orders.shown(office.boards["board-1"], NOW) == ()  # the broker kept that from before the order
    office.boards.state("board-1", shows(ValvePosition.CLOSED, ValvePosition.OPEN), NOW + SECOND, retained=False)
    assert office.orders.shown(office.boards["board-1"], NOW) == ()
    for node_id in ("board-1", "board-2"):
        assert len(office.journal.close_alls()) == (2 if node_id == "board-1" else 1)
        office.boards.state(node_id, shows(ValvePosition.CLOSED), NOW + 2 * SECOND, retained=False)
        replies = office.orders.shown(office.boards[node_id], NOW + 2 * SECOND)
    assert [(reply.command_id, reply.outcome) for reply in replies] == [(stop.id, Outcome.DONE)]


def test_water_that_is_asked_for_after_a_stop_of_everything_goes_to_a_board_that_has_shown_that_it_closed(
    office: Office,
) -> None:
    office.orders.handle(f.close_all_order(), NOW)
    order = f.open_order()
    assert office.orders.handle(order, NOW).outcome is Outcome.ACCEPTED
    assert office.orders.to_send(NOW) == ()  # the stop is said again until then, and would end it
    office.boards.state("board-1", shows(ValvePosition.CLOSED), NOW + SECOND, retained=False)
    office.orders.shown(office.boards["board-1"], NOW + SECOND)
    assert [run.run_id for run in office.orders.to_send(NOW + SECOND)] == [order.run_id]


@pytest.mark.parametrize(("shown", "code"), [(False, "board-away"), (True, "guard-close-failed")])
def test_an_order_to_a_board_that_does_not_close_all_ends_with_that_reason(
    office: Office, shown: bool, code: str
) -> None:
    office.orders.handle(f.close_all_order(), NOW)
    order = f.open_order()
    office.orders.handle(order, NOW)
    if shown:
        office.boards.state("board-1", shows(ValvePosition.OPEN), NOW + SECOND, retained=False)
    office.orders.expire(order.expires_at + ANSWER_MARGIN)
    (told,) = [event for event in office.told(RunEvent) if event.state is RunState.EXPIRED]
    assert told.reason == Reason(code=code, params={"node_id": "board-1"})


def test_a_stop_of_everything_on_a_farm_without_boards_is_done(tmp_path: Path) -> None:
    office = Office(tmp_path / "empty.sqlite3")
    assert office.orders.handle(f.close_all_order(), NOW).outcome is Outcome.DONE
    office.db.close()


# --- reports ---


def test_a_report_about_another_boards_run_goes_nowhere(office: Office) -> None:
    order = f.open_order()
    office.orders.handle(order, NOW)
    taken = office.report("board-2", f.report(order, RunState.DONE))
    assert taken.ack.seq == 1
    assert office.run_state(order.run_id) is RunState.ACCEPTED
    assert len(office.told(RunEvent)) == 1
    assert office.reports.foreign == 1


def test_the_end_of_a_run_fulfils_the_stop_and_says_so(office: Office) -> None:
    order = f.open_order()
    office.orders.handle(order, NOW)
    stop = f.close_order(order.run_id)
    office.orders.handle(stop, NOW)
    taken = office.report("board-1", f.report(order, RunState.STOPPED))
    assert [(reply.command_id, reply.outcome) for reply in taken.replies] == [(stop.id, Outcome.DONE)]
    assert taken.replan
    assert office.orders.handle(stop, NOW).outcome is Outcome.DONE


def test_reports_are_passed_on_with_their_origin_whatever_they_claim(office: Office) -> None:
    office.reports.take(
        "board-1",
        Batch(
            boot_id="b",
            lane=Lane.READINGS,
            after_seq=0,
            readings=tuple(r.model_copy(update={"node_id": "board-9"}) for r in f.readings(1, 2)),
        ),
        NOW,
    )
    parcel = office.outbox.batch(Lane.READINGS, 0, 10)
    assert parcel is not None
    assert {r.node_id for r in Batch.model_validate_json(parcel.payload).readings} == {"board-1"}


def test_a_run_overrules_an_earlier_word_that_it_was_missed(office: Office) -> None:
    office.configure(f.farm(programs=(f.program("p", "beans"),)), 2)
    assert office.plan.timetable is not None
    entry = office.plan.timetable.entries[0]
    missed = Decision(
        id=entry.id, program_id="p", zone_id="beans", due=entry.due, result=Result.SKIPPED, rule=Rule.MISSED
    )
    office.report("board-1", DecisionEvent(seq=1, at=NOW, decision=missed))
    office.report("board-1", f.due_report(entry, RunState.OPENING, NOW))
    office.report("board-1", f.due_report(entry, RunState.OPEN, NOW))
    assert [event.decision.result for event in office.told(DecisionEvent)] == [Result.SKIPPED, Result.RAN]


# --- plan ---


def test_what_a_hold_skips_is_decided_when_it_is_due_and_not_made_up_for(office: Office) -> None:
    programs = (f.program("p", "beans", start="11:00"),)  # 04:00 UTC
    due = NOW + timedelta(hours=1)
    office.configure(f.farm(programs=programs, hold=Hold(until=due + MINUTE, reason="rain")), 2)
    assert office.plan.next_skip(NOW) == due
    assert not office.plan.settle_skips(due - SECOND)
    assert office.plan.settle_skips(due)
    assert not office.plan.settle_skips(due)
    office.configure(f.farm(programs=programs), 3, now=due + 30 * SECOND)
    assert office.plan.timetable is not None
    assert office.plan.timetable.entries[0].due == due + timedelta(days=1)
    (event,) = office.told(DecisionEvent)
    assert (event.decision.result, event.decision.rule) == (Result.SKIPPED, Rule.HOLD)


def test_a_hold_that_is_lifted_late_still_does_not_make_up_for_what_it_skipped(office: Office) -> None:
    programs = (f.program("p", "beans", start="11:00"),)
    due = NOW + timedelta(hours=1)
    office.configure(f.farm(programs=programs, hold=Hold(until=due + MINUTE)), 2)
    office.configure(f.farm(programs=programs), 3, now=due + 30 * SECOND)  # nobody looked in between
    assert office.plan.timetable is not None
    assert office.plan.timetable.entries[0].due == due + timedelta(days=1)


def test_settings_that_cannot_be_used_leave_the_last_good_ones(office: Office) -> None:
    before = office.plan.timetable, office.plan.config, dict(office.plan.parts)
    with pytest.raises(ConfigRefused, match="other"):
        office.configure(f.farm(id="other"), 2)

    def unable(*_: Any, **__: Any) -> Timetable:
        raise ValueError("the planner cannot")

    office.plan._compile = unable
    with pytest.raises(ConfigRefused, match="the planner cannot"):
        office.configure(f.farm(programs=(f.program("p", "beans"),)), 2)
    assert (office.plan.timetable, office.plan.config, office.plan.parts) == before
    assert office.journal.config() == before[1]


def test_settings_are_taken_but_nothing_is_planned_while_the_clock_shows_1970(tmp_path: Path) -> None:
    office = Office(tmp_path / "1970.sqlite3")
    office.clock_shows = NOW.replace(year=1970)
    office.configure(f.farm(programs=(f.program("p", "beans"),)), now=office.clock_shows)
    assert not office.plan.compile(office.clock_shows)
    assert (office.plan.config_version, office.plan.timetable, office.plan.parts) == (1, None, {})
    assert set(office.plan.configs) == {"board-1", "board-2"}
    assert office.plan.nodes() == ("board-1", "board-2")
    office.clock_shows = NOW
    assert office.plan.compile(NOW)
    assert office.plan.parts["board-1"].entries
    office.db.close()


def test_an_emergency_stop_begins_once(office: Office) -> None:
    stopped = f.farm(hold=Hold(until=NOW + MINUTE, emergency=True))
    assert office.configure(stopped, 2)
    assert not office.configure(replace(stopped, name="Other"), 3)


def test_a_run_of_a_person_moves_what_the_plan_wanted_at_that_time(office: Office) -> None:
    small = replace(f.FARM.sources[0], capacity_l_min=50.0)
    programs = (f.program("p", "tea", start="10:10"),)
    office.configure(f.farm(sources=(small, f.FARM.sources[1]), programs=programs), 2)
    version = office.plan.timetable_version
    assert office.orders.handle(f.open_order("beans", minutes=30), NOW).outcome is Outcome.ACCEPTED
    assert office.plan.compile(NOW)
    assert office.plan.timetable is not None
    entry = office.plan.timetable.entries[0]
    assert entry.rule is Rule.SOURCE_BUSY
    assert entry.start >= NOW + 30 * MINUTE
    assert office.plan.parts["board-1"].version <= version  # it has nothing to do with it
    assert office.plan.parts["board-2"].version == version + 1


def test_nothing_new_is_no_new_version(office: Office) -> None:
    office.configure(f.farm(programs=(f.program("p", "beans"),)), 2)
    version = office.plan.timetable_version
    assert not office.plan.compile(NOW + timedelta(hours=1))
    assert office.plan.timetable_version == version


def test_a_journal_that_was_lost_goes_on_above_what_the_boards_hold(office: Office) -> None:
    office.hear("board-1", version=57)
    assert office.plan.overtaken()
    office.plan.compile(NOW)
    assert office.plan.parts["board-1"].version == 58
    assert not office.plan.overtaken()


def test_a_board_that_has_no_zone_any_more_is_told_to_do_nothing(office: Office) -> None:
    office.configure(f.farm(programs=(f.program("p", "tea"),)), 2)
    assert office.plan.parts["board-2"].entries
    zones = tuple(zone for zone in f.FARM.zones if zone.node_id == "board-1")
    office.configure(f.farm(zones=zones), 3)
    assert office.plan.parts["board-2"].entries == ()
    assert office.plan.configs["board-2"].channels == ()
    assert "board-2" in office.plan.nodes()


def test_the_day_begins_on_the_farm_not_at_greenwich(office: Office) -> None:
    assert office.plan.next_daily(NOW) == datetime.fromisoformat("2026-11-24T17:05:00+00:00")


def test_everything_is_as_it_was_after_a_restart(office: Office, tmp_path: Path) -> None:
    order = f.open_order()
    office.orders.handle(order, NOW)
    again = Office(tmp_path / "journal.sqlite3")
    assert (again.plan.config, again.plan.timetable) == (office.plan.config, office.plan.timetable)
    assert (again.plan.parts, again.plan.configs) == (office.plan.parts, office.plan.configs)
    assert again.orders.next_expiry() == office.orders.next_expiry()
    assert again.boards["board-1"].timetable_version == 0
    again.db.close()


# --- boards ---


def test_a_board_is_in_hearing_while_the_broker_says_so_and_it_speaks(office: Office) -> None:
    assert office.boards["board-1"].in_hearing(NOW)
    assert not office.boards["board-1"].in_hearing(NOW + SILENCE)
    office.boards.heard("board-1", NOW + MINUTE)
    assert office.boards["board-1"].in_hearing(NOW + SILENCE)
    office.boards.status("board-1", Status(online=False, boot_id="b", at=NOW), NOW)
    assert office.boards.away(["board-1", "board-2", "board-9"], NOW) == {"board-1", "board-9"}


def test_a_board_that_starts_anew_has_to_be_told_again(office: Office) -> None:
    assert not office.boards.status("board-1", Status(online=True, boot_id="b", at=NOW), NOW)
    assert office.boards.status("board-1", Status(online=True, boot_id="c", at=NOW), NOW)


def test_a_snapshot_that_the_broker_kept_does_not_replace_a_newer_one(office: Office) -> None:
    office.boards.state("board-1", shows(ValvePosition.CLOSED), NOW, retained=False)
    office.boards.state("board-1", shows(ValvePosition.OPEN, at=NOW - MINUTE), NOW, retained=True)
    assert not office.boards.stuck_zones()
    assert office.boards["board-1"].state == shows(ValvePosition.CLOSED)


def test_a_close_is_wanted_from_the_board_that_shows_the_run_when_the_journal_was_lost(office: Office) -> None:
    order: Open = f.open_order()
    office.orders.handle(order, NOW)
    run = office.journal.run(order.run_id)
    assert run is not None
    state = shows(ValvePosition.OPEN)
    valve = state.valves[0].model_copy(update={"run": _progress(order)})
    office.boards.state("board-1", state.model_copy(update={"valves": (valve,)}), NOW, retained=False)
    office.db.execute("DELETE FROM runs")
    assert office.orders.handle(f.close_order(order.run_id), NOW).outcome is Outcome.ACCEPTED
    assert office.journal.closes() == (WantedClose(run_id=order.run_id, node_id="board-1", actor="mai"),)


def _progress(order: Open) -> Any:
    return RunProgress(
        run_id=order.run_id,
        zone_id=order.zone_id,
        state=RunState.OPEN,
        origin=order.origin,
        actor=order.actor,
        dose=order.dose,
        max_s=1200,
    )
