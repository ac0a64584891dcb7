import math

import pytest

from edge.guard.table import DAY_S, Cap, Cause, Closed, Refused, Table

CAPS = {"v1": Cap(600, 1000), "v2": Cap(60, 60)}


def table() -> Table:
    return Table(CAPS, renew_s=2.0)


def refusal(rules: Table, channel: str, lease_id: str, seconds: float, at_s: float) -> str:
    with pytest.raises(Refused) as caught:
        rules.open(channel, lease_id, seconds, at_s)
    return caught.value.code


def test_everything_is_closed_at_the_beginning() -> None:
    rules = table()
    assert rules.leases() == {"v1": None, "v2": None}
    assert rules.next_s() is None
    assert rules.due(1e9) == []


def test_a_lease_drives_the_line_and_has_a_deadline() -> None:
    rules = table()
    assert rules.open("v1", "a", 300, 10.0) == (True, 310.0)
    assert rules.leases() == {"v1": "a", "v2": None}
    assert rules.next_s() == 12.0


def test_the_same_lease_asked_again_gets_the_same_deadline() -> None:
    rules = table()
    rules.open("v1", "a", 300, 10.0)
    assert rules.open("v1", "a", 600, 11.0) == (False, 310.0)


@pytest.mark.parametrize("seconds", [601, 0, -1, math.nan, math.inf])
def test_above_the_cap_and_nonsense_is_refused(seconds: float) -> None:
    assert refusal(table(), "v1", "a", seconds, 0) == "above-cap"


def test_another_lease_and_an_unknown_channel_are_refused() -> None:
    rules = table()
    rules.open("v1", "a", 300, 0)
    assert refusal(rules, "v1", "b", 300, 1) == "busy"
    assert refusal(rules, "v9", "b", 300, 1) == "unknown-channel"
    with pytest.raises(Refused):
        rules.close("v9", 1)


def test_it_closes_at_the_deadline_however_often_it_is_renewed() -> None:
    rules = table()
    rules.open("v1", "a", 5, 0.0)
    for at_s in (1.0, 2.0, 3.0, 4.0, 4.9):
        rules.renew(["a"], at_s)
        assert rules.due(at_s) == []
    assert rules.next_s() == 5.0
    assert rules.due(5.0) == [Closed("v1", "a", Cause.DEADLINE, 5.0)]


def test_it_closes_when_nobody_renews() -> None:
    rules = table()
    rules.open("v1", "a", 300, 0.0)
    rules.renew(["a", "of nobody"], 1.0)
    assert rules.due(2.9) == []
    assert rules.due(3.0) == [Closed("v1", "a", Cause.NOT_RENEWED, 3.0)]
    assert rules.leases()["v1"] is None


def test_renewing_other_leases_keeps_this_one_not_open() -> None:
    rules = table()
    rules.open("v1", "a", 300, 0.0)
    rules.renew(["b"], 1.0)
    assert [closed.cause for closed in rules.due(2.0)] == [Cause.NOT_RENEWED]


def test_closing_what_is_closed_is_nothing() -> None:
    rules = table()
    rules.open("v1", "a", 300, 0.0)
    assert rules.close("v1", 7.0) == [Closed("v1", "a", Cause.TOLD, 7.0)]
    assert rules.close("v1", 8.0) == []


def test_all_are_closed_together() -> None:
    rules = table()
    rules.open("v1", "a", 300, 0.0)
    rules.open("v2", "b", 60, 0.5)
    assert [one.channel for one in rules.close_all(1.0, Cause.AGENT_GONE)] == ["v1", "v2"]
    assert rules.close_all(1.0, Cause.ENDING) == []


def test_a_day_s_cap_counts_what_was_really_open_and_forgets_after_a_day() -> None:
    rules = table()
    rules.open("v1", "a", 600, 0.0)
    rules.close("v1", 500.0)
    assert refusal(rules, "v1", "b", 501, 600.0) == "daily-cap"
    rules.open("v1", "b", 500, 600.0)
    rules.close("v1", 1100.0)
    assert refusal(rules, "v1", "c", 1, 1200.0) == "daily-cap"
    rules.open("v1", "c", 500, 500.0 + DAY_S)
