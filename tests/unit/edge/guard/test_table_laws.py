"""The guard's table against the laws that it is there for, whatever is asked of it in whatever order."""

import math

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from edge.guard.table import DAY_S, Cap, Cause, Refused, Table

RENEW_S = 2.0
CAPS = {"v1": Cap(20, 50), "v2": Cap(5, 5)}
CHANNELS = st.sampled_from([*CAPS, "v9"])
LEASES = st.sampled_from(["a", "b", "c"])
STEPS = st.floats(0, 3) | st.sampled_from([RENEW_S, 19.0, DAY_S])


class GuardMachine(RuleBasedStateMachine):
    """`lines` are the outputs as they would be driven; `renewed` and `opened` what a stern observer remembers."""

    @initialize()
    def boot(self) -> None:
        self.table = Table(CAPS, RENEW_S)
        self.at_s = 0.0
        self.lines: dict[str, str] = {}
        self.opened: dict[str, float] = {}
        self.promised: dict[str, float] = {}
        self.renewed: dict[str, float] = {}
        self.used: dict[str, list[tuple[float, float]]] = {name: [] for name in CAPS}

    def follow(self, closed: list[object]) -> None:
        for one in closed:
            channel, lease_id = one.channel, one.lease_id  # type: ignore[attr-defined]
            assert self.lines.pop(channel) == lease_id
            assert one.open_s == self.at_s - self.opened[channel]  # type: ignore[attr-defined]
            self.used[channel].append((self.at_s, one.open_s))  # type: ignore[attr-defined]

    def used_s(self, channel: str) -> float:
        return sum(open_s for closed_s, open_s in self.used[channel] if closed_s > self.at_s - DAY_S)

    @rule(
        channel=CHANNELS,
        lease_id=LEASES,
        seconds=st.floats(0.001, 25) | st.sampled_from([math.nan, math.inf, -1.0, 0.0, 5.0, 20.0]),
    )
    def open(self, channel: str, lease_id: str, seconds: float) -> None:
        try:
            drive, deadline_s = self.table.open(channel, lease_id, seconds, self.at_s)
        except Refused:
            fits = channel in CAPS and 0 < seconds <= CAPS[channel].max_open_s
            fits = fits and self.used_s(channel) + seconds <= CAPS[channel].max_day_s
            assert not fits or self.lines.get(channel) not in (None, lease_id)
            return
        assert drive is (channel not in self.lines)
        if drive:
            self.lines[channel] = lease_id
            self.opened[channel] = self.renewed[channel] = self.at_s
            self.promised[channel] = self.at_s + seconds
        assert self.lines[channel] == lease_id
        assert deadline_s == self.promised[channel]

    @rule(lease_ids=st.lists(LEASES))
    def renew(self, lease_ids: list[str]) -> None:
        self.table.renew(lease_ids, self.at_s)
        for channel, lease_id in self.lines.items():
            if lease_id in lease_ids:
                self.renewed[channel] = self.at_s

    @rule(channel=st.sampled_from(list(CAPS)))
    def close(self, channel: str) -> None:
        self.follow([*self.table.close(channel, self.at_s)])
        assert channel not in self.lines  # CLOSE is legal everywhere

    @rule(cause=st.sampled_from([Cause.TOLD, Cause.AGENT_GONE, Cause.ENDING]))
    def close_all(self, cause: Cause) -> None:
        self.follow([*self.table.close_all(self.at_s, cause)])
        assert not self.lines

    @rule(step_s=STEPS)
    def time_passes(self, step_s: float) -> None:
        until_s = self.at_s + step_s
        while (next_s := self.table.next_s()) is not None and next_s <= until_s:  # the process wakes for each
            self.at_s = next_s
            self.follow([*self.table.due(self.at_s)])
        self.at_s = until_s
        self.follow([*self.table.due(self.at_s)])

    @invariant()
    def nothing_is_open_past_its_time(self) -> None:
        for channel in self.lines:
            assert self.at_s < self.promised[channel]
            assert self.at_s < self.renewed[channel] + RENEW_S
            assert self.promised[channel] - self.opened[channel] <= CAPS[channel].max_open_s + 1e-6

    @invariant()
    def the_next_look_is_in_time(self) -> None:
        next_s = self.table.next_s()
        ends = [min(self.promised[name], self.renewed[name] + RENEW_S) for name in self.lines]
        assert next_s == min(ends, default=None)

    @invariant()
    def the_table_and_the_lines_agree(self) -> None:
        assert {name: lease for name, lease in self.table.leases().items() if lease} == self.lines

    @invariant()
    def no_day_is_above_its_cap(self) -> None:
        for channel, cap in CAPS.items():
            assert self.used_s(channel) <= cap.max_day_s + 1e-6


TestGuardLaws = GuardMachine.TestCase
TestGuardLaws.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
