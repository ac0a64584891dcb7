import math

import pytest

from edge.guard.table import Cap, Cause, Moved, Refused, Supply, Table, Valve
from edge.guard.use import DAY_S, QUARTER_S

VALVES = {"v1": Valve(Cap(600, 1000)), "v2": Valve(Cap(60, 60))}
FIRST = Supply(Cap(3000, 9000), start_after_s=-3, stop_after_s=-2)
"""A pump that runs 3 s before its valve opens, and stops 2 s before it shuts."""
LAST = Supply(Cap(3000, 9000), start_after_s=3, stop_after_s=2)
"""A pump that starts 3 s after its valve has opened, and runs on for 2 s."""


def table() -> Table:
    return Table(VALVES, renew_s=2.0)


def pumped(supply: Supply, renew_s: float = 1e6) -> Table:
    valves = {name: Valve(Cap(600, 2000), "pump") for name in ("v1", "v2")}
    return Table({**valves, "v3": Valve(Cap(600, 2000))}, renew_s, {"pump": supply})


def refusal(rules: Table, channel: str, lease_id: str, seconds: float, at_s: float) -> str:
    with pytest.raises(Refused) as caught:
        rules.open(channel, lease_id, seconds, at_s)
    return caught.value.code


def opened(rules: Table, channel: str, lease_id: str, seconds: float, at_s: float) -> list[Moved]:
    rules.open(channel, lease_id, seconds, at_s)
    return rules.due(at_s)


def told(rules: Table, channel: str, at_s: float) -> list[Moved]:
    rules.close(channel, at_s)
    return rules.due(at_s)


def shut(channel: str, lease_id: str, cause: Cause, open_s: float) -> Moved:
    return Moved(channel, is_open=False, lease_id=lease_id, cause=cause, open_s=open_s)


ON, OFF = Moved("pump", is_open=True), Moved("pump", is_open=False)


def run_through(rules: Table, until_s: float) -> list[tuple[float, str]]:
    """Wake when the table asks for it; return when each line moved, and how: `+` opened, `-` shut."""
    seen: list[tuple[float, str]] = []
    while (at_s := rules.next_s()) is not None and at_s <= until_s:
        seen += [(at_s, ("+" if move.is_open else "-") + move.name) for move in rules.due(at_s)]
    return seen


# --- leases ---


def test_everything_is_closed_at_the_beginning() -> None:
    rules = table()
    assert rules.leases() == {"v1": None, "v2": None}
    assert rules.next_s() is None
    assert rules.due(1e9) == []


def test_a_lease_drives_the_line_and_has_a_deadline() -> None:
    rules = table()
    assert rules.open("v1", "a", 300, 10.0) == (10.0, 310.0)
    assert rules.due(10.0) == [Moved("v1", is_open=True, lease_id="a", shuts_s=310.0)]
    assert rules.leases() == {"v1": "a", "v2": None}
    assert (rules.is_on("v1"), rules.is_on("v2")) == (True, False)
    assert rules.next_s() == 12.0


def test_the_same_lease_asked_again_gets_the_same_deadline() -> None:
    rules = table()
    opened(rules, "v1", "a", 300, 10.0)
    assert rules.open("v1", "a", 600, 11.0) == (10.0, 310.0)
    assert rules.due(11.0) == []


@pytest.mark.parametrize("seconds", [601, 0, -1, math.nan, math.inf])
def test_above_the_cap_and_nonsense_is_refused(seconds: float) -> None:
    assert refusal(table(), "v1", "a", seconds, 0) == "above-cap"


def test_another_lease_and_an_unknown_channel_are_refused() -> None:
    rules = pumped(FIRST)
    opened(rules, "v1", "a", 300, 0)
    assert refusal(rules, "v1", "b", 300, 1) == "busy"
    assert refusal(rules, "v9", "b", 300, 1) == "unknown-channel"
    assert refusal(rules, "pump", "b", 300, 1) == "unknown-channel"  # nobody asks for a supply
    for name in ("v9", "pump"):
        with pytest.raises(Refused):
            rules.close(name, 1)


def test_it_closes_at_the_deadline_however_often_it_is_renewed() -> None:
    rules = table()
    opened(rules, "v1", "a", 5, 0.0)
    for at_s in (1.0, 2.0, 3.0, 4.0, 4.9):
        rules.renew(["a"], at_s)
        assert rules.due(at_s) == []
    assert rules.next_s() == 5.0
    assert rules.due(5.0) == [shut("v1", "a", Cause.DEADLINE, 5.0)]


def test_it_closes_when_nobody_renews() -> None:
    rules = table()
    opened(rules, "v1", "a", 300, 0.0)
    rules.renew(["a", "of nobody"], 1.0)
    assert rules.due(2.9) == []
    assert rules.due(3.0) == [shut("v1", "a", Cause.NOT_RENEWED, 3.0)]
    assert rules.leases()["v1"] is None


def test_renewing_other_leases_keeps_this_one_not_open() -> None:
    rules = table()
    opened(rules, "v1", "a", 300, 0.0)
    rules.renew(["b"], 1.0)
    assert [move.cause for move in rules.due(2.0)] == [Cause.NOT_RENEWED]


def test_closing_what_is_closed_is_nothing() -> None:
    rules = table()
    opened(rules, "v1", "a", 300, 0.0)
    assert told(rules, "v1", 7.0) == [shut("v1", "a", Cause.TOLD, 7.0)]
    assert told(rules, "v1", 8.0) == []


def test_a_close_never_comes_later_by_a_second_one() -> None:
    rules = pumped(FIRST)
    opened(rules, "v1", "a", 300, 0.0)
    rules.due(3.0)
    assert told(rules, "v1", 100.0) == [OFF]
    assert told(rules, "v1", 101.5) == []
    assert rules.next_s() == 102.0


def test_all_are_closed_together() -> None:
    rules = table()
    opened(rules, "v1", "a", 300, 0.0)
    opened(rules, "v2", "b", 60, 0.5)
    rules.close_all(1.0, Cause.AGENT_GONE)
    assert [(move.name, move.cause) for move in rules.due(1.0)] == [("v1", Cause.AGENT_GONE), ("v2", Cause.AGENT_GONE)]
    rules.close_all(1.0, Cause.ENDING)
    assert rules.due(1.0) == []


# --- the day ---


def test_a_day_s_cap_counts_what_was_really_open_and_forgets_after_a_day() -> None:
    rules = table()
    opened(rules, "v1", "a", 600, 0.0)
    told(rules, "v1", 500.0)
    assert refusal(rules, "v1", "b", 501, 600.0) == "daily-cap"
    opened(rules, "v1", "b", 500, 600.0)
    told(rules, "v1", 1100.0)
    assert refusal(rules, "v1", "c", 1, 1200.0) == "daily-cap"
    opened(rules, "v1", "c", 500, 2 * QUARTER_S + DAY_S)


def test_the_same_watering_every_day_at_the_same_hour_is_within_a_cap_of_one_and_a_half() -> None:
    rules = table()
    for day in range(5):
        assert opened(rules, "v1", f"run-{day}", 600, day * DAY_S + 1000)
        told(rules, "v1", day * DAY_S + 1600)


def test_what_was_used_and_what_is_granted_is_there_for_the_next_guard() -> None:
    rules = table()
    opened(rules, "v1", "a", 600, 0.0)
    told(rules, "v1", 500.0)
    opened(rules, "v1", "b", 300, 1000.0)
    assert rules.used(1000.0) == {"v1": {0: 500.0, 1: 300.0}, "v2": {}}
    told(rules, "v1", 1010.0)
    assert rules.used(1010.0) == {"v1": {0: 500.0, 1: 10.0}, "v2": {}}
    again = Table(VALVES, renew_s=2.0, used={**rules.used(1010.0), "gone": {0: 1.0}})
    assert refusal(again, "v1", "c", 491, 1100.0) == "daily-cap"
    assert again.open("v1", "c", 490, 1100.0) == (1100.0, 1590.0)
    again.due(1100.0)
    again.close_all(1200.0, Cause.TOLD)
    again.due(1200.0)
    assert again.used(DAY_S + QUARTER_S) == {"v1": {1: 110.0}, "v2": {}}


# --- supplies ---


def test_a_supply_that_goes_first_runs_before_the_valve_opens_and_stops_before_it_shuts() -> None:
    rules = pumped(FIRST)
    assert rules.open("v1", "a", 60, 100.0) == (103.0, 163.0)
    assert rules.due(100.0) == [ON]
    assert run_through(rules, 200) == [(103.0, "+v1"), (161.0, "-pump"), (163.0, "-v1")]


def test_a_supply_that_goes_last_starts_after_the_valve_has_opened_and_runs_on() -> None:
    rules = pumped(LAST)
    assert rules.open("v1", "a", 60, 100.0) == (100.0, 160.0)
    assert [move.name for move in rules.due(100.0)] == ["v1"]
    assert run_through(rules, 200) == [(103.0, "+pump"), (160.0, "-v1"), (162.0, "-pump")]


def test_without_delays_the_valve_opens_first_and_the_supply_stops_first_in_the_same_moment() -> None:
    rules = pumped(Supply(Cap(3000, 9000)))
    assert [move.name for move in opened(rules, "v1", "a", 60, 0.0)] == ["v1", "pump"]
    assert [move.name for move in told(rules, "v1", 5.0)] == ["pump", "v1"]


def test_told_to_close_the_supply_s_delay_is_kept_and_never_goes_beyond_the_deadline() -> None:
    rules = pumped(FIRST)
    opened(rules, "v1", "a", 60, 0.0)
    rules.due(3.0)
    assert told(rules, "v1", 10.0) == [OFF]
    assert rules.leases()["v1"] == "a"  # until the valve has shut
    assert rules.due(12.0) == [shut("v1", "a", Cause.TOLD, 9.0)]
    opened(rules, "v1", "b", 60, 20.0)
    rules.due(23.0)
    rules.due(81.5)  # stopped for the deadline at 83 already
    told(rules, "v1", 82.0)
    assert rules.next_s() == 83.0


def test_told_to_close_while_it_waits_for_its_supply_the_valve_never_opens() -> None:
    rules = pumped(FIRST)
    opened(rules, "v1", "a", 60, 0.0)
    assert told(rules, "v1", 1.0) == [OFF, shut("v1", "a", Cause.TOLD, 0.0)]
    rules = pumped(LAST)
    opened(rules, "v1", "a", 60, 0.0)
    assert told(rules, "v1", 1.0) == [shut("v1", "a", Cause.TOLD, 1.0)]
    assert run_through(rules, 100) == []  # its pump had not started, so that nothing runs on


@pytest.mark.parametrize("supply", [FIRST, LAST])
def test_a_supply_is_shared_and_stops_with_the_last_of_its_valves(supply: Supply) -> None:
    rules = pumped(supply)
    opened(rules, "v1", "a", 60, 0.0)
    rules.due(3.0)
    opened(rules, "v2", "b", 60, 10.0)
    # It runs already: nothing to wait for, at either end.
    assert rules.is_on("v2")
    assert told(rules, "v1", 20.0) == [shut("v1", "a", Cause.TOLD, rules_open_s(supply, 20.0))]
    assert rules.is_on("pump")
    assert told(rules, "v2", 30.0)[0].name == ("pump" if supply is FIRST else "v2")
    assert run_through(rules, 100) == ([(32.0, "-v2")] if supply is FIRST else [(32.0, "-pump")])


def rules_open_s(supply: Supply, at_s: float) -> float:
    return at_s - max(0.0, -supply.start_after_s)


def test_a_second_valve_waits_only_for_what_is_left_of_the_delay() -> None:
    rules = pumped(FIRST)
    opened(rules, "v1", "a", 60, 0.0)
    assert rules.open("v2", "b", 60, 1.0) == (3.0, 63.0)


def test_a_valve_opened_while_the_pump_runs_on_takes_it_over() -> None:
    rules = pumped(Supply(Cap(3000, 9000), start_after_s=-3, stop_after_s=10))
    opened(rules, "v1", "a", 60, 0.0)
    rules.due(3.0)
    told(rules, "v1", 20.0)
    assert rules.is_on("pump")
    assert opened(rules, "v2", "b", 60, 25.0) == [Moved("v2", is_open=True, lease_id="b", shuts_s=85.0)]
    assert run_through(rules, 200) == [(85.0, "-v2"), (95.0, "-pump")]


@pytest.mark.parametrize("cause", [Cause.AGENT_GONE, Cause.ENDING, Cause.TOLD])
def test_with_all_closed_nothing_waits_and_nothing_runs_on(cause: Cause) -> None:
    for supply in (FIRST, LAST):
        rules = pumped(supply)
        opened(rules, "v1", "a", 60, 0.0)
        rules.due(3.0)
        told(rules, "v1", 10.0)
        rules.close_all(10.5, cause)
        assert OFF in rules.due(10.5) or not rules.is_on("pump")
        assert not rules.is_on("v1")
        assert rules.next_s() is None


def test_a_lease_that_nobody_renews_ends_at_once_without_the_delay() -> None:
    rules = pumped(FIRST, renew_s=5.0)
    opened(rules, "v1", "a", 60, 0.0)
    rules.due(3.0)
    assert rules.due(5.0) == [OFF, shut("v1", "a", Cause.NOT_RENEWED, 2.0)]


def test_a_supply_never_runs_longer_than_its_own_caps() -> None:
    rules = pumped(Supply(Cap(900, 1800), stop_after_s=10))
    opened(rules, "v1", "a", 590, 0.0)
    rules.due(300.0)
    assert refusal(rules, "v2", "b", 591, 300.0) == "supply-cap"
    opened(rules, "v2", "b", 590, 300.0)
    assert run_through(rules, 2000) == [(590.0, "-v1"), (890.0, "-v2"), (900.0, "-pump")]
    opened(rules, "v1", "c", 600, 1000.0)
    rules.due(1600.0)
    rules.due(1610.0)
    assert refusal(rules, "v1", "d", 300, 1700.0) == "daily-cap"
    assert rules.open("v1", "d", 280, 1700.0) == (1700.0, 1980.0)


def test_what_is_granted_of_a_supply_counts_for_the_next_guard() -> None:
    rules = pumped(FIRST)
    opened(rules, "v1", "a", 60, 0.0)
    assert rules.used(0.0)["pump"] == {0: 61.0}
    rules.due(3.0)
    rules.close_all(10.0, Cause.TOLD)
    rules.due(10.0)
    assert rules.used(10.0) == {"pump": {0: 10.0}, "v1": {0: 7.0}, "v2": {}, "v3": {}}


# --- locks ---


def test_a_locked_valve_shuts_at_once_and_stays_shut_until_it_is_unlocked() -> None:
    rules = Table(VALVES, renew_s=1e6)
    opened(rules, "v1", "a", 300, 0.0)
    rules.lock("v1", "leak", 5.0)
    assert rules.due(5.0) == [shut("v1", "a", Cause.LOCKED, 5.0)]
    assert refusal(rules, "v1", "b", 300, 6.0) == "locked"
    assert [move.name for move in opened(rules, "v2", "c", 5, 6.0)] == ["v2"]
    rules.lock("v1", "burst", 7.0)
    assert rules.locked == {"v1": "burst"}
    rules.unlock("v1")
    rules.unlock("v1")
    assert rules.due(8.0) == []
    assert rules.open("v1", "b", 300, 8.0) == (8.0, 308.0)


def test_a_locked_supply_takes_all_its_valves_along_and_no_other() -> None:
    rules = pumped(LAST)
    for channel in ("v1", "v2", "v3"):
        opened(rules, channel, f"lease-{channel}", 300, 0.0)
    rules.due(3.0)
    rules.lock("pump", "leak", 5.0)
    assert [move.name for move in rules.due(5.0)] == ["pump", "v1", "v2"]
    assert refusal(rules, "v1", "b", 300, 6.0) == "locked"
    assert rules.is_on("v3")


def test_locks_are_taken_over_from_before_and_only_of_what_there_is() -> None:
    rules = Table(VALVES, 2.0, locked={"v1": "leak", "gone": "leak"})
    assert rules.locked == {"v1": "leak"}
    assert refusal(rules, "v1", "a", 5, 0.0) == "locked"
    with pytest.raises(Refused, match="nothing is called 'gone', only v1, v2"):
        rules.lock("gone", "leak", 0.0)
    with pytest.raises(Refused, match="nothing is called 'gone', only v1, v2"):
        rules.unlock("gone")


def test_a_valve_knows_its_supply() -> None:
    rules = pumped(FIRST)
    assert (rules.supply_of("v1"), rules.supply_of("v3"), rules.supply_of("pump")) == ("pump", None, None)
