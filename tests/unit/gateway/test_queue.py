"""The gateway's queue: what waits opens once, in its turn, judged like any order; cancelled or too old, never."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from contract.messages import Enqueue, Open, Outcome, QueuedPart, Reply, RunEvent
from gateway.planning.dispatch import Wishes, due_sends
from irrigation.model import Dose, Farm, Hold, QueuePolicy, Source
from irrigation.run import RunState
from tests.unit.gateway import farm as f
from tests.unit.gateway.office import Office

NOW = f.NOW
MINUTE = timedelta(minutes=1)
SMALL = f.farm(sources=(Source(id="tank", name="Tank", capacity_l_min=50.0), f.FARM.sources[1]))
"""The tank gives one of its zones at a time."""
_ids = count(1)


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    made = Office(tmp_path / "journal.sqlite3")
    made.hear("board-1", "board-2")
    made.configure(SMALL)
    yield made
    made.db.close()


def part(zone_id: str, minutes: float = 10, **more: Any) -> QueuedPart:
    return QueuedPart(run_id=f"asked-{next(_ids)}", zone_id=zone_id, dose=Dose(minutes=minutes), **more)


def enqueue(*parts: QueuedPart, policy: QueuePolicy = QueuePolicy.APPEND, now: datetime = NOW, **more: Any) -> Enqueue:
    given: dict[str, Any] = {"give_up_at": now + timedelta(hours=6)} | more
    return Enqueue(
        id=f"enqueue-{next(_ids)}", issued_at=now, expires_at=now + timedelta(seconds=90), actor="mai", policy=policy,
        parts=parts, **given,
    )  # fmt: skip


def ask(office: Office, zone_id: str, now: datetime = NOW, **more: Any) -> str:
    """Queue water for a zone and let the gateway plan; return the run's id."""
    one = part(zone_id)
    assert office.orders.handle(enqueue(one, now=now, **more), now).outcome is Outcome.ACCEPTED
    look(office, now)
    return one.run_id


def look(office: Office, now: datetime) -> None:
    """What the gateway's task does when it looks."""
    office.hear("board-1", "board-2", now=now)
    office.orders.expire(now)
    office.plan.compile(now)
    office.orders.take_turns(now)
    office.plan.compile(now)


def occupy(office: Office, zone_id: str = "beans", minutes: float = 20) -> Open:
    """Have a person's run under way, which the tank can just give."""
    order = f.open_order(zone_id, minutes=minutes)
    assert office.orders.handle(order, NOW).outcome is Outcome.ACCEPTED
    tell(office, order.run_id, RunState.OPEN, NOW)
    return order


def tell(office: Office, run_id: str, state: RunState, now: datetime, **more: Any) -> None:
    run = office.journal.run(run_id)
    assert run is not None
    if state is RunState.OPEN:
        more = {"closes_at": now + timedelta(seconds=run.max_s)} | more
    office.report(run.node_id, f.report(run, state, now, **more), now=now)


def states(office: Office, run_id: str) -> list[RunState]:
    return [event.state for event in office.told(RunEvent) if event.run_id == run_id]


def reason(office: Office, run_id: str) -> str | None:
    found = [event.reason.code for event in office.told(RunEvent) if event.run_id == run_id and event.reason]
    return found[-1] if found else None


def expected(office: Office) -> dict[str, float | None]:
    """Return in how many minutes each of the queue may expect its turn."""
    turns = office.plan.turns()
    return {one.run_id: None if one.start is None else round((one.start - NOW) / MINUTE, 2) for one in turns}


def sent(office: Office, now: datetime) -> list[Open]:
    """Return the orders for water that go to boards now."""
    wishes = Wishes(opens=office.orders.waiting())
    sends, _ = due_sends(wishes, {}, now, 0.0, lambda: "x")
    return [send.message for send in sends if isinstance(send.message, Open)]


def test_with_room_at_the_source_it_is_ordered_at_once(office: Office) -> None:
    run_id = ask(office, "beans")
    assert states(office, run_id) == [RunState.QUEUED, RunState.ACCEPTED]
    (order,) = sent(office, NOW)
    assert (order.run_id, order.channel, order.max_s, order.actor) == (run_id, "v1", 600, "mai")
    assert office.orders.queue.waiting() == ()


def test_while_the_source_is_busy_it_waits_with_its_expected_start_and_no_board_hears_of_it(office: Office) -> None:
    occupy(office)
    first, second = ask(office, "plums"), ask(office, "tea")
    assert states(office, first) == states(office, second) == [RunState.QUEUED]
    assert expected(office) == {first: 20, second: 30}
    assert all(order.run_id not in {first, second} for order in sent(office, NOW))
    assert office.plan.parts["board-1"].queue is None


def test_its_turn_comes_when_the_one_before_has_ended_also_early(office: Office) -> None:
    order = occupy(office)
    first, second = ask(office, "plums"), ask(office, "tea")
    early = NOW + 5 * MINUTE
    tell(office, order.run_id, RunState.STOPPED, early)
    look(office, early)
    assert states(office, first) == [RunState.QUEUED, RunState.ACCEPTED]
    assert states(office, second) == [RunState.QUEUED]
    (opened,) = sent(office, early)
    assert (opened.run_id, opened.expires_at) == (first, early + timedelta(seconds=90))


def test_the_front_goes_before_the_queue_and_before_programs(office: Office) -> None:
    program = f.program("p", "tea", minutes=30, start="10:20")  # in twenty minutes
    office.configure(replace(SMALL, programs=(program,)), version=2)
    occupy(office)
    last, first = ask(office, "plums"), ask(office, "plums", policy=QueuePolicy.FRONT)
    assert expected(office) == {first: 20, last: 60}
    assert office.plan.timetable is not None
    assert office.plan.timetable.entries[0].start == NOW + 30 * MINUTE


def test_replace_stops_what_runs_cancels_what_waits_and_opens_when_the_valve_is_closed(office: Office) -> None:
    order = occupy(office)
    other = ask(office, "plums")
    run_id = ask(office, "tea", policy=QueuePolicy.REPLACE)
    assert states(office, other) == [RunState.QUEUED, RunState.STOPPED]
    assert [close.run_id for close in office.journal.closes()] == [order.run_id]
    assert states(office, run_id) == [RunState.QUEUED]  # closing is not told yet
    closed = NOW + timedelta(seconds=3)
    tell(office, order.run_id, RunState.STOPPED, closed)
    look(office, closed)
    assert states(office, run_id) == [RunState.QUEUED, RunState.ACCEPTED]


def test_replace_leaves_other_sources_alone(office: Office) -> None:
    fits = f.farm(
        sources=(SMALL.sources[0], Source(id="well", name="", capacity_l_min=60)), zones=f.FARM.zones
    )  # fmt: skip
    office.configure(fits, version=2)
    order = occupy(office, "rice")
    ask(office, "tea", policy=QueuePolicy.REPLACE)
    assert office.journal.closes() == ()
    assert office.run_state(order.run_id) is RunState.OPEN


def test_cancelled_before_its_turn_it_never_opens(office: Office) -> None:
    order = occupy(office)
    run_id = ask(office, "plums")
    assert office.orders.handle(f.close_order(run_id), NOW).outcome is Outcome.DONE
    assert states(office, run_id) == [RunState.QUEUED, RunState.STOPPED]
    assert reason(office, run_id) == "stopped-before-opening"
    tell(office, order.run_id, RunState.DONE, NOW + MINUTE)
    look(office, NOW + MINUTE)
    assert run_id not in {one.run_id for one in sent(office, NOW + MINUTE)}
    assert office.run_state(run_id) is RunState.STOPPED


def test_cancelled_before_the_order_itself_came_it_is_refused(office: Office) -> None:
    one = part("plums")
    office.orders.handle(f.close_order(one.run_id), NOW)
    reply = office.orders.handle(enqueue(one), NOW)
    assert reply.outcome is Outcome.REFUSED
    assert reason(office, one.run_id) == "closed-before"


def test_close_all_empties_the_queue(office: Office) -> None:
    occupy(office)
    run_id = ask(office, "plums")
    office.orders.handle(f.close_all_order(), NOW)
    assert (states(office, run_id)[-1], office.orders.queue.waiting()) == (RunState.STOPPED, ())


def test_an_emergency_stop_empties_it_and_lets_nothing_in(office: Office) -> None:
    occupy(office)
    run_id = ask(office, "plums")
    held = replace(SMALL, hold=Hold(until=NOW + MINUTE, emergency=True))
    if office.configure(held, version=2):
        with office.journal.transaction():
            office.orders.want_all_closed("emergency-stop", NOW)
    assert office.run_state(run_id) is RunState.STOPPED
    reply = office.orders.handle(enqueue(part("tea")), NOW)
    assert reply.reason is not None
    assert reply.reason.code == "emergency-stop"


def test_what_has_waited_too_long_expires(office: Office) -> None:
    occupy(office, minutes=60)
    run_id = ask(office, "plums", give_up_at=NOW + 30 * MINUTE)
    assert expected(office) == {run_id: None}
    assert office.orders.next_turn(NOW) == NOW + 30 * MINUTE
    look(office, NOW + 30 * MINUTE)
    assert (states(office, run_id)[-1], reason(office, run_id)) == (RunState.EXPIRED, "queued-too-long")
    assert office.orders.next_turn(NOW + 30 * MINUTE) is None


def test_a_gateway_that_was_dead_for_a_day_opens_nothing_of_yesterday(office: Office, tmp_path: Path) -> None:
    occupy(office)
    run_id = ask(office, "plums")
    again, later = Office(tmp_path / "journal.sqlite3"), NOW + timedelta(days=1)
    look(again, later)
    assert again.run_state(run_id) is RunState.EXPIRED
    assert sent(again, later) == []
    again.db.close()


def test_a_restarted_gateway_opens_it_in_its_turn_and_once(office: Office, tmp_path: Path) -> None:
    occupy(office)
    run_id, later = ask(office, "plums"), NOW + 21 * MINUTE
    again = Office(tmp_path / "journal.sqlite3")
    look(again, later)
    (first,) = sent(again, later)
    third = Office(tmp_path / "journal.sqlite3")  # killed after it had decided: the same order goes out
    look(third, later + timedelta(seconds=5))
    assert sent(third, later + timedelta(seconds=5)) == [first]
    assert first.run_id == run_id
    again.db.close()
    third.db.close()


def test_a_board_out_of_hearing_is_waited_for(office: Office) -> None:
    late = NOW + 5 * MINUTE
    office.plan.compile(late)  # nothing was heard of the boards for so long
    one = part("plums")
    office.orders.handle(enqueue(one, now=late), late)
    office.plan.compile(late)
    office.orders.take_turns(late)
    assert states(office, one.run_id) == [RunState.QUEUED]
    office.hear("board-1", "board-2", now=late + MINUTE)
    assert office.plan.unlocked(late + MINUTE)
    look(office, late + MINUTE)
    assert states(office, one.run_id) == [RunState.QUEUED, RunState.ACCEPTED]


def test_a_turn_that_the_source_cannot_give_after_all_is_waited_for(office: Office) -> None:
    one = part("plums")
    office.orders.handle(enqueue(one), NOW)
    office.plan.compile(NOW)
    occupy(office)  # between the plan and the look
    assert not office.orders.take_turns(NOW)
    assert office.run_state(one.run_id) is RunState.QUEUED
    assert office.orders.next_turn(NOW) == NOW + timedelta(seconds=5)


def test_the_parts_of_a_cycle_wait_for_the_soak_and_go_with_the_one_they_follow(office: Office) -> None:
    first = part("plums", 5)
    second = part("plums", 5, after=first.run_id, soak_s=900)
    office.orders.handle(enqueue(first, second, program_id="p"), NOW)
    look(office, NOW)
    assert states(office, first.run_id)[-1] is RunState.ACCEPTED
    ended = NOW + 6 * MINUTE
    tell(office, first.run_id, RunState.DONE, ended)
    look(office, ended)
    assert expected(office) == {second.run_id: 21}
    look(office, NOW + 21 * MINUTE)
    assert states(office, second.run_id)[-1] is RunState.ACCEPTED


def test_what_stands_behind_another_waits_for_its_end_whatever_that_was(office: Office) -> None:
    office.configure(f.FARM, version=2)  # the tank has room for two
    first = part("plums", 5)
    second = part("tea", 5, behind=first.run_id, pause_s=60)
    third = part("beans", 5, behind=second.run_id)
    office.orders.handle(enqueue(first, second, third), NOW)
    assert expected(office) == {}
    look(office, NOW)
    assert states(office, second.run_id) == [RunState.QUEUED]
    office.orders.handle(f.close_order(second.run_id), NOW)  # the third moves up, and waits for the first
    look(office, NOW)
    assert states(office, third.run_id) == [RunState.QUEUED]
    tell(office, first.run_id, RunState.STOPPED, NOW + MINUTE)
    look(office, NOW + MINUTE)
    assert states(office, third.run_id) == [RunState.QUEUED, RunState.ACCEPTED]


@pytest.mark.parametrize("state", [RunState.STOPPED, RunState.FAILED, RunState.INTERRUPTED])
def test_what_follows_one_that_was_not_given_whole_is_not_given(office: Office, state: RunState) -> None:
    first = part("plums", 5)
    second = part("plums", 5, after=first.run_id)
    third = part("plums", 5, after=second.run_id)
    office.orders.handle(enqueue(first, second, third), NOW)
    look(office, NOW)
    tell(office, first.run_id, state, NOW + MINUTE)
    assert [office.run_state(one.run_id) for one in (second, third)] == [RunState.STOPPED] * 2
    assert office.orders.queue.waiting() == ()


def test_an_order_that_the_board_never_answers_takes_what_follows_with_it(office: Office) -> None:
    first = part("plums", 5)
    second = part("plums", 5, after=first.run_id)
    office.orders.handle(enqueue(first, second), NOW)
    look(office, NOW)
    look(office, NOW + 2 * MINUTE)
    assert office.run_state(first.run_id) is RunState.EXPIRED
    assert office.run_state(second.run_id) is RunState.STOPPED


@pytest.mark.parametrize(
    ("parts", "code"),
    [
        ((part("plums"), part("moon")), "unknown-zone"),
        ((part("plums"), part("tea", 61)), "above-cap"),
        ((part("rice"),), "flow-above-source"),
    ],
)
def test_an_order_is_taken_whole_or_not_at_all(office: Office, parts: tuple[QueuedPart, ...], code: str) -> None:
    reply = office.orders.handle(enqueue(*parts), NOW)
    assert (reply.outcome, reply.reason and reply.reason.code) == (Outcome.REFUSED, code)
    assert office.orders.queue.waiting() == ()
    assert {reason(office, one.run_id) for one in parts} == {code}


def test_an_order_past_its_deadline_or_without_a_farm_is_refused(office: Office, tmp_path: Path) -> None:
    order = enqueue(part("plums"))
    assert office.orders.handle(order, order.expires_at).outcome is Outcome.REFUSED
    bare = Office(tmp_path / "bare.sqlite3")
    reply: Reply = bare.orders.handle(enqueue(part("plums")), NOW)
    assert reply.outcome is Outcome.REFUSED
    bare.db.close()


def test_said_twice_it_waits_once(office: Office) -> None:
    occupy(office)
    order = enqueue(part("plums"))
    first = office.orders.handle(order, NOW)
    assert office.orders.handle(order, NOW + MINUTE) == first
    again = enqueue(*order.parts)
    assert office.orders.handle(again, NOW).outcome is Outcome.REFUSED
    assert len(office.orders.queue.waiting()) == 1


def test_a_queue_has_an_end(office: Office) -> None:
    occupy(office)
    for _ in range(4):
        office.orders.handle(enqueue(*(part("plums") for _ in range(100))), NOW)
    reply = office.orders.handle(enqueue(part("plums")), NOW)
    assert reply.reason is not None
    assert reply.reason.code == "queue-full"


def test_what_waits_takes_no_water_yet(office: Office) -> None:
    occupy(office)
    run = office.journal.run(ask(office, "plums"))
    assert run is not None
    assert not run.takes_water(NOW)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"give_up_at": NOW + timedelta(hours=6, seconds=1)}, "6 hours at most"),
        ({"give_up_at": NOW}, "after issued_at"),
        ({"parts": ()}, "at least 1"),
    ],
)
def test_an_order_to_queue_has_an_end_and_parts(change: dict[str, Any], why: str) -> None:
    given: dict[str, Any] = dict(enqueue(part("plums"))) | change
    with pytest.raises(ValidationError, match=why):
        Enqueue(**given)


def test_parts_follow_one_that_stands_before_them() -> None:
    one = part("plums", after="nobody")
    with pytest.raises(ValidationError, match="come after one before them"):
        enqueue(one)


def test_the_farm_of_these_tests_gives_one_zone_at_a_time() -> None:
    assert isinstance(SMALL, Farm)
    assert SMALL.sources[0].capacity_l_min < 2 * 40
