"""The gateway's rules, each as values in and values out."""

from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.messages import (
    Close,
    CloseAll,
    NodeState,
    Open,
    Origin,
    PlanSource,
    Reason,
    RunProgress,
    ValvePosition,
    ValveReport,
)
from contract.topics import Channel
from gateway.planning import decisions, parts
from gateway.planning.admission import admit, taken
from gateway.planning.commitment import committed, plan_state, standing, with_fixed
from gateway.planning.dispatch import (
    Held,
    WantedClose,
    WantedCloseAll,
    Wishes,
    all_closed,
    due_sends,
    open_order,
)
from gateway.planning.runs import Run, follow, from_event, unanswered
from irrigation.model import Dose, Hold, PlanState, Program, Result, Rule, Skip, Timetable
from irrigation.planner import compile_timetable
from irrigation.run import RunState
from tests.unit.gateway import farm as f

NOW = f.NOW
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)


def refused(verdict: Run | Reason) -> str:
    assert isinstance(verdict, Reason)
    return verdict.code


def plan(*programs: Program, **changes: Any) -> Timetable:
    farm = f.farm(programs=programs, **changes)
    return compile_timetable(farm, PlanState(), NOW, days=2, version=1)


# --- admission ---


def test_an_order_within_everything_is_accepted_with_its_lease() -> None:
    order = f.open_order(minutes=20)
    run = admit(order, f.FARM, (), NOW)
    assert isinstance(run, Run)
    assert (run.state, run.max_s, run.node_id, run.channel) == (RunState.ACCEPTED, 1200, "board-1", "v1")
    assert run.ends_by == order.expires_at + timedelta(minutes=20)


def test_an_order_at_its_deadline_is_refused() -> None:
    order = f.open_order()
    assert refused(admit(order, f.FARM, (), order.expires_at)) == "expired"


def test_a_zone_that_the_farm_has_not_is_refused() -> None:
    assert refused(admit(f.open_order("moon"), f.FARM, (), NOW)) == "unknown-zone"


def test_without_settings_no_zone_is_known() -> None:
    assert refused(admit(f.open_order(), None, (), NOW)) == "unknown-zone"


def test_nothing_opens_during_an_emergency_stop() -> None:
    farm = f.farm(hold=Hold(until=NOW + MINUTE, emergency=True, reason="burst"))
    assert refused(admit(f.open_order(), farm, (), NOW)) == "emergency-stop"


def test_an_emergency_stop_lasts_until_a_person_releases_it() -> None:
    farm = f.farm(hold=Hold(until=NOW - MINUTE, emergency=True))
    assert refused(admit(f.open_order(), farm, (), NOW)) == "emergency-stop"


def test_a_person_may_water_during_a_rain_delay() -> None:
    farm = f.farm(hold=Hold(until=NOW + MINUTE, reason="rain"))
    assert isinstance(admit(f.open_order(), farm, (), NOW), Run)


def test_more_minutes_than_the_zone_may_run_are_refused_not_cut() -> None:
    verdict = admit(f.open_order(minutes=61), f.FARM, (), NOW)
    assert verdict == Reason(code="above-cap", params={"max_s": 3600.0})


def test_a_channel_that_is_not_the_zones_is_refused() -> None:
    assert refused(admit(f.open_order(channel="v9"), f.FARM, (), NOW)) == "unknown-channel"


def test_a_zone_under_way_is_busy_and_says_by_which_run() -> None:
    run = f.accepted("beans")
    verdict = admit(f.open_order("beans"), f.FARM, taken([run], (), NOW), NOW)
    assert isinstance(verdict, Reason)
    assert (verdict.code, verdict.params["run_id"]) == ("zone-busy", run.run_id)


def test_a_source_that_cannot_give_more_is_busy_and_says_by_how_much() -> None:
    claims = taken([f.accepted("beans"), f.accepted("plums")], (), NOW)
    verdict = admit(f.open_order("tea"), f.FARM, claims, NOW)
    assert isinstance(verdict, Reason)
    assert verdict.code == "source-busy"
    assert verdict.params | {"free_at": ""} == {
        "source_id": "tank",
        "capacity_l_min": 100.0,
        "flow_l_min": 40.0,
        "used_l_min": 80.0,
        "free_at": "",
    }


def test_a_zone_that_alone_wants_more_than_its_source_gives_is_refused() -> None:
    assert refused(admit(f.open_order("rice"), f.FARM, (), NOW)) == "flow-above-source"


def test_a_source_that_is_filled_exactly_is_not_overfilled() -> None:
    farm = f.farm(zones=tuple(f.zone(f"z{n}", channel=f"v{n}", flow=100 / 3) for n in range(3)))
    runs: list[Run] = []
    for n in range(3):
        run = admit(f.open_order(f"z{n}"), farm, taken(runs, (), NOW), NOW)
        assert isinstance(run, Run)
        runs.append(run)


def test_a_valve_that_did_not_close_blocks_its_source() -> None:
    assert refused(admit(f.open_order("tea"), f.FARM, (), NOW, stuck_zones={"beans"})) == "close-failed"


def test_a_run_that_was_never_heard_to_end_frees_its_source_after_its_lease() -> None:
    run = f.accepted("beans")
    assert taken([run], (), run.ends_by)
    assert not taken([run], (), run.ends_by + MINUTE)


@given(
    capacity=st.floats(20, 200),
    flows=st.lists(st.floats(1, 120), min_size=1, max_size=6),
    steps=st.lists(st.tuples(st.sampled_from("oxt"), st.integers(0, 5), st.integers(1, 60)), max_size=60),
)
def test_whatever_is_ordered_in_whatever_order_flows_never_exceed_the_source(
    capacity: float, flows: list[float], steps: list[tuple[str, int, int]]
) -> None:
    zones = tuple(f.zone(f"z{n}", channel=f"v{n}", flow=flow) for n, flow in enumerate(flows))
    source = replace(f.FARM.sources[0], capacity_l_min=capacity)
    farm = f.farm(sources=(source,), zones=zones)
    runs: dict[str, Run] = {}
    now = NOW
    for what, pick, amount in steps:
        if what == "o":
            order = f.open_order(f"z{pick % len(zones)}", now, minutes=amount)
            verdict = admit(order, farm, taken(runs.values(), (), now), now)
            if isinstance(verdict, Run):
                runs[verdict.run_id] = verdict
        elif what == "x" and runs:
            run_id = sorted(runs)[pick % len(runs)]
            runs[run_id] = replace(runs[run_id], state=RunState.DONE)
        else:
            now += timedelta(minutes=amount)
        # A valve can be open from the order until its lease, taken in the last moment, has ended.
        may_be_open = [run for run in runs.values() if run.under_way and now < run.ends_by]
        assert sum(run.flow_l_min for run in may_be_open) <= capacity + 1e-6
        assert len({run.zone_id for run in may_be_open}) == len(may_be_open)


# --- what boards do whatever is said ---


def test_an_entry_about_to_start_takes_its_flow_already() -> None:
    timetable = plan(f.program("p", "beans", "plums", start="10:00"))
    first = timetable.entries[0]
    fixed = committed(timetable.entries, (), (), first.start - 5 * SECOND, NOW)
    assert [entry.id for entry in fixed] == [first.id]
    verdict = admit(f.open_order("beans", first.start - 5 * SECOND), f.FARM, taken((), fixed, NOW), NOW)
    assert refused(verdict) == "zone-busy"


def test_an_entry_in_the_distance_or_already_begun_takes_nothing() -> None:
    timetable = plan(f.program("p", "beans", start="11:00"))
    first = timetable.entries[0]
    assert committed(timetable.entries, (), (), first.start - MINUTE, NOW) == ()
    assert committed(timetable.entries, {first.id}, (), first.start, NOW) == ()


def test_a_board_in_hearing_that_tells_nothing_of_a_start_did_not_begin_it() -> None:
    timetable = plan(f.program("p", "beans", start="11:00"))
    first = timetable.entries[0]
    assert committed(timetable.entries, (), (), first.start + 5 * SECOND, NOW)
    assert not committed(timetable.entries, (), (), first.start + MINUTE, NOW)


def test_a_board_out_of_hearing_may_be_watering_by_its_timetable() -> None:
    timetable = plan(f.program("p", "beans", start="11:00"))
    first = timetable.entries[0]
    assert committed(timetable.entries, (), {"board-1"}, first.start + MINUTE, NOW) == (first,)
    end = first.start + timedelta(seconds=first.max_s)
    assert taken((), (first,), end + 14 * MINUTE)
    assert not taken((), (first,), end + 15 * MINUTE)


def test_what_a_board_out_of_hearing_should_have_done_is_not_planned_again() -> None:
    farm = f.farm(programs=(f.program("p", "beans", start="11:00"),))
    before = compile_timetable(farm, PlanState(), NOW, days=2, version=1)
    first = before.entries[0]
    for later in (5, 40, 119, 200):
        now = first.start + later * MINUTE
        fixed = committed(before.entries, (), {"board-1"}, now, now)
        state, stays = plan_state((), fixed, farm, (), now)
        after = with_fixed(compile_timetable(farm, state, now, days=2, version=2), stays)
        assert [entry for entry in after.entries if entry.id == first.id] in ([first], [])


def test_what_an_absent_board_will_begin_during_a_lease_counts_against_it() -> None:
    timetable = plan(f.program("p", "beans", start="11:00"))
    first = timetable.entries[0]
    now = first.start - 10 * MINUTE
    assert committed(timetable.entries, (), {"board-1"}, now, first.start + MINUTE) == (first,)
    assert committed(timetable.entries, (), {"board-1"}, now, first.start - MINUTE) == ()


def test_a_fixed_entry_is_kept_as_it_was_and_not_planned_twice() -> None:
    farm = f.farm(programs=(f.program("p", "beans", start="10:00"),))
    before = compile_timetable(farm, PlanState(), NOW - MINUTE, days=2, version=1)
    fixed = (before.entries[0],)
    now = before.entries[0].start + 3 * SECOND
    state, stays = plan_state((), fixed, farm, (), now)
    after = with_fixed(compile_timetable(farm, state, now, days=2, version=2), stays)
    assert [entry for entry in after.entries if entry.id == fixed[0].id] == list(fixed)
    assert (state.active[0].entry_id, state.active[0].since) == (fixed[0].id, fixed[0].start)


def test_a_fixed_entry_that_nobody_wants_any_more_takes_its_water_but_is_not_in_the_plan() -> None:
    fixed = plan(f.program("p", "beans", start="11:00")).entries[:1]
    state, stays = plan_state((), fixed, f.FARM, (), NOW)
    assert stays == ()
    assert state.settled == frozenset()
    assert (state.active[0].zone_id, state.active[0].since, state.active[0].entry_id) == ("beans", fixed[0].start, None)


def test_an_entry_stands_until_it_is_held_skipped_edited_or_dropped() -> None:
    programs = (f.program("p", "beans", start="11:00"),)
    entry = plan(*programs).entries[0]
    assert standing(entry, f.farm(programs=programs))
    assert not standing(entry, f.farm(programs=()))
    assert not standing(entry, f.farm(programs=(replace(programs[0], enabled=False),)))
    assert not standing(entry, f.farm(programs=(replace(programs[0], since=entry.due + SECOND),)))
    assert not standing(entry, f.farm(programs=programs, skips=(entry.id,)))
    assert not standing(entry, f.farm(programs=programs, hold=Hold(until=entry.due + SECOND)))
    assert standing(entry, f.farm(programs=programs, hold=Hold(until=entry.due)))
    assert not standing(entry, f.farm(programs=programs, hold=Hold(until=NOW, emergency=True)))


# --- runs ---


def test_a_stale_report_changes_nothing_but_that_the_board_has_answered() -> None:
    run = follow(f.accepted(), f.report(f.accepted(), RunState.OPEN), NOW)
    assert run.state is RunState.OPEN
    assert follow(run, f.report(run, RunState.OPENING), NOW) == run
    assert unanswered([run]) == ()


def test_a_run_that_opened_ends_by_its_own_deadline_not_by_the_orders() -> None:
    run = f.accepted()
    event = f.report(run, RunState.OPEN, closes_at=NOW + 20 * MINUTE)
    assert follow(run, event, NOW).ends_by == NOW + 20 * MINUTE


def test_a_report_from_a_board_whose_clock_is_wrong_counts_from_its_arrival() -> None:
    entry = plan(f.program("p", "beans")).entries[0]
    event = f.due_report(entry, RunState.OPEN, NOW.replace(year=1970), clock_trusted=False)
    run = from_event(event, "board-1", f.FARM.zone("beans"), NOW)
    assert run.ends_by == NOW + timedelta(seconds=entry.max_s)
    assert run.asked_at == NOW


# --- decisions ---


def test_the_first_report_of_a_due_watering_says_that_it_ran() -> None:
    entry = plan(f.program("p", "beans")).entries[0]
    decision = decisions.of_run(f.due_report(entry, RunState.OPENING, NOW), entry)
    assert decision is not None
    assert (decision.id, decision.result, decision.rule, decision.due) == (
        entry.id,
        Result.RAN,
        Rule.AS_PROGRAMMED,
        entry.due,
    )


def test_a_watering_that_the_plan_moved_was_changed_and_keeps_the_reason() -> None:
    entry = replace(plan(f.program("p", "beans")).entries[0], rule=Rule.SOURCE_BUSY, params={"wait_s": 600})
    decision = decisions.of_run(f.due_report(entry, RunState.OPENING, NOW), entry)
    assert decision is not None
    assert (decision.result, decision.rule, decision.params) == (Result.CHANGED, Rule.SOURCE_BUSY, {"wait_s": 600})


def test_a_watering_that_its_board_refused_is_told_with_the_boards_reason() -> None:
    entry = plan(f.program("p", "beans")).entries[0]
    event = f.due_report(entry, RunState.REFUSED, NOW, reason=Reason(code="daily-cap"))
    decision = decisions.of_run(event, entry)
    assert decision is not None
    assert (decision.result, decision.params["reason"]) == (Result.REFUSED, "daily-cap")


def test_a_persons_run_needs_no_decision() -> None:
    assert decisions.of_run(f.report(f.accepted(), RunState.OPEN), None) is None


def test_a_run_by_the_base_plan_says_so() -> None:
    event = f.report(f.accepted(), RunState.OPEN, origin=Origin.BASE_PLAN, program_id="p")
    decision = decisions.of_run(event, None)
    assert decision is not None
    assert (decision.id, decision.params) == (event.run_id, {"plan": "base"})


def test_a_skip_is_decided_when_its_time_has_come_and_once() -> None:
    skip = Skip(id="s", program_id="p", zone_id="beans", due=NOW, rule=Rule.HOLD)
    assert decisions.of_skips([skip], (), NOW - SECOND) == ()
    assert decisions.of_skips([skip], {"s"}, NOW) == ()
    (decision,) = decisions.of_skips([skip], (), NOW)
    assert (decision.id, decision.result, decision.rule) == ("s", Result.SKIPPED, Rule.HOLD)


# --- parts ---


def test_a_board_gets_its_own_entries_and_base_plan_only() -> None:
    timetable = plan(f.program("p", "beans", "tea"))
    part = parts.part(timetable, "board-2")
    assert {entry.zone_id for entry in part.entries} == {"tea"}
    assert {entry.zone_id for entry in part.base} == {"tea"}
    assert part.version == timetable.version


def test_the_same_plan_compiled_later_says_the_same() -> None:
    farm = f.farm(programs=(f.program("p", "beans"),))
    held = compile_timetable(farm, PlanState(), NOW, days=14, version=1)
    new = compile_timetable(farm, PlanState(), NOW + timedelta(hours=6), days=14, version=2)
    assert parts.says_the_same(held, new, NOW + timedelta(hours=6))


def test_a_plan_that_reaches_a_day_further_is_news() -> None:
    farm = f.farm(programs=(f.program("p", "beans"),))
    held = compile_timetable(farm, PlanState(), NOW, days=14, version=1)
    new = compile_timetable(farm, PlanState(), NOW + timedelta(days=1), days=14, version=2)
    assert not parts.says_the_same(held, new, NOW + timedelta(days=1))


def test_another_dose_is_news_for_its_board_alone() -> None:
    held = plan(f.program("p", "beans"), f.program("q", "tea", start="08:00"))
    new = plan(f.program("p", "beans", minutes=30), f.program("q", "tea", start="08:00"))
    assert not parts.says_the_same(parts.part(held, "board-1"), parts.part(new, "board-1"), NOW)
    assert parts.says_the_same(parts.part(held, "board-2"), parts.part(new, "board-2"), NOW)


def test_a_board_is_told_of_its_channels_and_of_none_when_it_has_none() -> None:
    config = parts.node_config(f.FARM, "board-1", 3)
    assert [(channel.channel, channel.zone_id) for channel in config.channels] == [("v1", "beans"), ("v2", "plums")]
    assert parts.node_config(f.FARM, "board-9", 3).channels == ()


def test_a_board_is_told_how_long_the_pump_of_its_source_may_run_dry() -> None:
    there = replace(f.FARM, sources=tuple(replace(one, dry_after_s=20) for one in f.FARM.sources))
    assert {channel.dry_after_s for channel in parts.node_config(there, "board-1", 3).channels} == {20}
    assert {channel.dry_after_s for channel in parts.node_config(f.FARM, "board-1", 3).channels} == {None}


def test_a_version_is_above_all_that_anybody_holds() -> None:
    assert parts.next_version(None, None) == 1
    assert parts.next_version(3, None, 57) == 58


# --- dispatch ---


def sends(wishes: Wishes, sent: dict[str, float] | None = None, at_s: float = 100.0, now: Any = NOW) -> Any:
    numbers = count(1)
    return due_sends(wishes, sent or {}, now, at_s, lambda: f"id-{next(numbers)}")


ONLINE = (Held(node_id="board-1", online=True), Held(node_id="board-2", online=True))


def test_an_open_goes_out_with_valve_lease_id_and_deadline() -> None:
    run = f.accepted()
    (send,), wait_s = sends(Wishes(opens=(run,), boards=ONLINE))
    assert isinstance(send.message, Open)
    assert (send.node_id, send.channel, send.expires_s, wait_s) == ("board-1", Channel.COMMAND, 90, 3.0)
    message = send.message
    assert (message.id, message.channel, message.max_s, message.expires_at) == (
        run.command_id,
        "v1",
        1200,
        run.expires_at,
    )


def test_an_open_is_repeated_until_its_deadline_with_the_same_id() -> None:
    run = f.accepted()
    wishes, sent = Wishes(opens=(run,), boards=ONLINE), {f"open:{run.run_id}": 100.0}
    assert sends(wishes, sent, 101.0) == ((), 2.0)
    ((send,), _) = sends(wishes, sent, 103.0)
    assert send.message.id == run.command_id
    assert sends(wishes, sent, 103.0, now=run.expires_at) == ((), None)


def test_a_close_is_repeated_each_time_as_a_fresh_order() -> None:
    wishes = Wishes(closes=(WantedClose(run_id="r", node_id="board-1", actor="mai"),), boards=ONLINE)
    ((first,), _) = sends(wishes)
    assert sends(wishes, {first.key: 100.0}, 102.9)[0] == ()
    ((second,), _) = due_sends(wishes, {first.key: 100.0}, NOW + 3 * SECOND, 103.0, lambda: "another")
    assert isinstance(second.message, Close)
    assert (first.message.id, second.message.id) == ("id-1", "another")
    assert second.message.expires_at > first.message.expires_at


def test_a_board_out_of_hearing_is_told_less_often() -> None:
    wishes = Wishes(closes=(WantedClose(run_id="r", node_id="board-9", actor="mai"),))
    assert sends(wishes, {"close:r": 100.0}, 110.0) == ((), 20.0)


def test_closing_goes_before_opening_and_both_before_the_plan() -> None:
    timetable = plan(f.program("p", "beans"))
    boards = (
        Held(node_id="board-1", online=True, timetable=timetable, config=parts.node_config(f.FARM, "board-1", 1)),
    )
    wishes = Wishes(
        opens=(f.accepted(),),
        closes=(WantedClose(run_id="r", node_id="board-1", actor="mai"),),
        close_alls=(WantedCloseAll(node_id="board-1", actor="mai", asked_at=NOW),),
        boards=boards,
    )
    assert [send.key.split(":")[0] for send in sends(wishes)[0]] == [
        "close-all",
        "close",
        "open",
        "config",
        "timetable",
    ]
    assert isinstance(sends(wishes)[0][0].message, CloseAll)


@pytest.mark.parametrize(("online", "version", "count_"), [(True, 1, 0), (True, 7, 1), (True, None, 1), (False, 7, 0)])
def test_a_board_in_hearing_that_holds_another_plan_gets_its_own(
    online: bool, version: int | None, count_: int
) -> None:
    board = Held(node_id="b", online=online, timetable=plan(f.program("p", "beans")), timetable_version=version)
    assert len(sends(Wishes(boards=(board,)))[0]) == count_


# --- close-all is met when the board shows it ---


def state(
    position: ValvePosition, opened_at: Any = None, run_state: RunState = RunState.OPEN, **more: Any
) -> NodeState:
    run = None
    if opened_at is not None:
        run = RunProgress(
            run_id="r",
            zone_id="beans",
            state=run_state,
            origin=Origin.PROGRAM,
            actor="p",
            dose=Dose(minutes=5),
            max_s=300,
            opened_at=opened_at,
        )
    given: dict[str, Any] = {
        "boot_id": "b",
        "at": NOW,
        "clock_trusted": True,
        "valves": (ValveReport(channel="v1", position=position, run=run),),
        "plan": PlanSource.TIMETABLE,
        "config_version": 1,
        "timetable_version": 1,
    }
    return NodeState(**(given | more))


WANTED = WantedCloseAll(node_id="board-1", actor="mai", asked_at=NOW)


@pytest.mark.parametrize("position", [p for p in ValvePosition if p is not ValvePosition.CLOSED])
def test_a_valve_that_is_not_shown_closed_is_not_closed(position: ValvePosition) -> None:
    assert not all_closed(WANTED, state(position), NOW + SECOND)


def test_a_valve_about_to_open_by_an_older_order_is_not_closed() -> None:
    opening = state(ValvePosition.CLOSED, NOW - SECOND, run_state=RunState.OPENING)
    assert not all_closed(WANTED, opening, NOW + SECOND)
    running_out = state(ValvePosition.CLOSED, NOW - SECOND, run_state=RunState.CLOSING)
    assert all_closed(WANTED, running_out, NOW + SECOND)


def test_only_what_was_true_after_the_order_counts() -> None:
    assert all_closed(WANTED, state(ValvePosition.CLOSED), NOW + SECOND)
    assert not all_closed(WANTED, state(ValvePosition.CLOSED), NOW - SECOND)
    assert not all_closed(WANTED, None, None)


def test_a_run_that_began_after_the_order_is_left_alone() -> None:
    assert all_closed(WANTED, state(ValvePosition.OPEN, NOW + MINUTE), NOW + 2 * MINUTE)
    assert not all_closed(WANTED, state(ValvePosition.OPEN, NOW - MINUTE), NOW + 2 * MINUTE)
    untrusted = state(ValvePosition.OPEN, NOW + MINUTE, clock_trusted=False)
    assert not all_closed(WANTED, untrusted, NOW + 2 * MINUTE)


def test_a_run_of_a_board_has_no_order_to_send() -> None:
    event = f.report(f.accepted(), RunState.OPEN)
    with pytest.raises(ValueError, match="begun by its board"):
        open_order(from_event(event, "board-1", None, NOW))
