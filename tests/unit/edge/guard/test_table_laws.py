"""The guard's table against the laws that it is there for, whatever is asked of it in whatever order."""

import math

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from edge.guard.table import Cap, Cause, Moved, Refused, Supply, Table, Valve
from edge.guard.use import DAY_S

RENEW_S = 2.0
VALVES = {
    "v1": Valve(Cap(20, 50), "pump"),
    "v2": Valve(Cap(15, 60), "pump"),
    "v3": Valve(Cap(5, 5), "master"),
    "v4": Valve(Cap(20, 50)),
}
DELAYS = st.sampled_from([0.0, 3.0, -3.0, 7.5, -7.5])
LEASES = st.sampled_from(["a", "b", "c"])
ASKED = st.floats(0.001, 25) | st.sampled_from([math.nan, math.inf, -1.0, 0.0, 5.0, 20.0])
STEPS = st.floats(0, 3) | st.sampled_from([RENEW_S, 19.0, 900.0, DAY_S - 20.0, DAY_S])
NAMES = ["v1", "v2", "v3", "v4", "pump", "master"]


class Line:
    """An output as a stern observer sees it: since when it is driven, under which lease, and all that it was."""

    def __init__(self) -> None:
        self.since_s: float | None = None
        self.lease_id: str | None = None
        self.past: list[tuple[float, float]] = []

    def open_s(self, from_s: float, at_s: float) -> float:
        spans = [*self.past, *([(self.since_s, at_s)] if self.since_s is not None else [])]
        return sum(max(0.0, min(to_s, at_s) - max(begun_s, from_s)) for begun_s, to_s in spans)


class GuardMachine(RuleBasedStateMachine):
    """Time passes as the process lets it: it wakes when the table asks for it, or `late_s` later."""

    @initialize(start_s=DELAYS, stop_s=DELAYS, late_s=st.sampled_from([0.0, 0.0, 0.02]))
    def boot(self, start_s: float, stop_s: float, late_s: float) -> None:
        self.supplies = {
            "pump": Supply(Cap(40, 90), start_s, stop_s),
            "master": Supply(Cap(60, 600), -stop_s, start_s),
        }
        self.table = Table(VALVES, RENEW_S, self.supplies)
        self.at_s, self.late_s = 100.0, late_s
        self.lines = {name: Line() for name in NAMES}
        self.granted: dict[str, tuple[str, float, float]] = {}  # channel: lease, its opening, its deadline
        self.renewed: dict[str, float] = {}
        self.locked: set[str] = set()
        self.told: set[str] = set()  # channels whose lease was closed in good order
        self.restarted = False

    # --- driving ---

    def follow(self) -> None:
        moves = self.table.due(self.at_s)
        assert [move.is_open for move in moves] == sorted(move.is_open for move in moves), "closings go first"
        for move in moves:
            self.drive(move)
        assert self.table.due(self.at_s) == [], "once is enough"

    def drive(self, move: Moved) -> None:
        line = self.lines[move.name]
        if move.is_open:
            assert line.since_s is None
            line.since_s, line.lease_id = self.at_s, move.lease_id
            if move.name in VALVES:
                lease_id, opens_s, shuts_s = self.granted[move.name]
                assert (move.lease_id, move.shuts_s) == (lease_id, shuts_s)
                assert self.at_s >= opens_s
            return
        if move.name in VALVES:
            assert self.granted.pop(move.name)[0] == move.lease_id
            self.told.discard(move.name)
            assert move.open_s == (0.0 if line.since_s is None else self.at_s - line.since_s)
        if line.since_s is not None:
            line.past.append((line.since_s, self.at_s))
        line.since_s = line.lease_id = None

    def may_open(self, channel: str, seconds: float) -> bool:
        """Whether the simplest case of all, a valve without a supply or lock, must be granted."""
        if VALVES[channel].supply is not None or channel in self.locked or channel in self.granted or self.restarted:
            return False
        cap, past = VALVES[channel].cap, self.lines[channel].past
        used_s = sum(end_s - begun_s for begun_s, end_s in past if end_s > self.at_s - DAY_S - 900)
        return 0 < seconds <= cap.max_open_s and used_s + seconds <= cap.max_day_s

    # --- what is asked ---

    @rule(channel=st.sampled_from(list(VALVES)), lease_id=LEASES, share=st.floats(0.05, 1.0) | st.just(1.0))
    def open_within_the_cap(self, channel: str, lease_id: str, share: float) -> None:
        self.open(channel, lease_id, share * VALVES[channel].cap.max_open_s)

    @rule(lease_id=LEASES, share=st.floats(0.5, 1.0))
    def open_all(self, lease_id: str, share: float) -> None:
        for channel in VALVES:
            self.open_within_the_cap(channel, lease_id, share)

    @rule(channel=st.sampled_from([*VALVES, "v9", "pump"]), lease_id=LEASES, seconds=ASKED)
    def open(self, channel: str, lease_id: str, seconds: float) -> None:
        before = self.granted.get(channel)
        try:
            opens_s, shuts_s = self.table.open(channel, lease_id, seconds, self.at_s)
        except Refused:
            assert before is None or before[0] != lease_id
            assert channel not in VALVES or not self.may_open(channel, seconds)
            return
        assert channel in VALVES
        if before is not None:
            assert before[0] == lease_id, "never two leases on a channel"
            assert shuts_s <= before[2], "asking again extends nothing"
            return
        supply = VALVES[channel].supply
        assert not self.locked & {channel, supply}
        assert 0 < seconds <= VALVES[channel].cap.max_open_s
        assert math.isclose(shuts_s - opens_s, seconds, abs_tol=1e-9)
        lead_s = max(0.0, -self.supplies[supply].start_after_s) if supply else 0.0
        assert self.at_s <= opens_s <= self.at_s + lead_s + 1e-9
        self.granted[channel] = (lease_id, opens_s, shuts_s)
        self.renewed[channel] = self.at_s
        self.follow()

    @precondition(lambda self: self.granted)
    @rule(lease_ids=st.lists(LEASES))
    def renew(self, lease_ids: list[str]) -> None:
        self.table.renew(lease_ids, self.at_s)
        for channel, (lease_id, _, _) in self.granted.items():
            if lease_id in lease_ids:
                self.renewed[channel] = self.at_s
        self.follow()

    def renew_all(self) -> None:
        self.renew(["a", "b", "c"])

    @precondition(lambda self: self.granted)
    @rule(channel=st.sampled_from(list(VALVES)))
    def close(self, channel: str) -> None:
        self.table.close(channel, self.at_s)
        if channel in self.granted:
            self.told.add(channel)
        self.follow()
        name = VALVES[channel].supply
        waits = name is not None and self.supplies[name].stop_after_s < 0
        assert waits or channel not in self.granted  # CLOSE is legal everywhere, and only a supply's stop may delay it

    @precondition(lambda self: self.granted)
    @rule(cause=st.sampled_from([Cause.TOLD, Cause.AGENT_GONE, Cause.ENDING]))
    def close_all(self, cause: Cause) -> None:
        self.table.close_all(self.at_s, cause)
        self.follow()
        assert all(line.since_s is None for line in self.lines.values())
        assert not self.granted
        assert self.table.next_s() is None

    @precondition(lambda self: self.granted)
    @rule(name=st.sampled_from(NAMES), cause=st.sampled_from([Cause.LINE_FAULT, Cause.NO_RESERVE, Cause.CLOSE_FAILED]))
    def shut(self, name: str, cause: Cause) -> None:
        self.table.shut(name, self.at_s, cause)
        self.follow()
        assert self.lines[name].since_s is None

    @precondition(lambda self: self.granted)
    @rule(name=st.sampled_from(NAMES))
    def lock(self, name: str) -> None:
        self.table.lock(name, "leak", self.at_s)
        self.locked.add(name)
        self.follow()

    @precondition(lambda self: self.locked)
    @rule()
    def unlock(self) -> None:
        for name in NAMES:
            self.table.unlock(name)
        self.locked.clear()
        self.follow()

    @rule(step_s=STEPS)
    def time_passes(self, step_s: float) -> None:
        until_s = self.at_s + step_s
        while (next_s := self.table.next_s()) is not None and next_s + self.late_s <= until_s:
            assert next_s + self.late_s >= self.at_s or self.late_s > 0
            self.at_s = max(self.at_s, next_s + self.late_s)
            self.follow()
        if self.late_s == 0:
            self.at_s = until_s
            self.follow()

    @precondition(lambda self: self.granted)
    @rule(steps=st.sampled_from([1, 3, 6, 14]))
    def time_passes_with_a_living_agent(self, steps: int) -> None:
        for _ in range(steps):
            self.renew_all()
            self.time_passes(1.75)

    @rule(channels=st.lists(st.sampled_from(list(VALVES)), min_size=2, max_size=7))
    def water_in_turns(self, channels: list[str]) -> None:
        """What a program does: one after another for as long as each may."""
        for channel in channels:
            self.open_within_the_cap(channel, "a", 1.0)
            self.time_passes_with_a_living_agent(int(VALVES[channel].cap.max_open_s / 1.75))

    @precondition(lambda self: self.granted)
    @rule()
    def guard_restarts(self) -> None:
        """Killed and started anew, perhaps in the middle: closed, and with what was written before it opened."""
        used = self.table.used(self.at_s)
        for line in self.lines.values():
            if line.since_s is not None:
                line.past.append((line.since_s, self.at_s))
            line.since_s = line.lease_id = None
        self.granted.clear()
        self.told.clear()
        self.restarted = True
        self.table = Table(VALVES, RENEW_S, self.supplies, used=used, locked=dict(self.table.locked))
        self.follow()

    # --- what must hold ---

    @invariant()
    def nothing_is_open_past_its_time(self) -> None:
        for channel, valve in VALVES.items():
            since_s = self.lines[channel].since_s
            if since_s is not None:
                _, opens_s, shuts_s = self.granted[channel]
                assert self.at_s < shuts_s + self.late_s
                assert self.at_s < self.renewed[channel] + RENEW_S + self.late_s
                assert since_s >= opens_s
                assert shuts_s - opens_s <= valve.cap.max_open_s + 1e-6

    @invariant()
    def the_next_look_is_in_time(self) -> None:
        next_s = self.table.next_s()
        for channel, (_, _, shuts_s) in self.granted.items():
            assert next_s is not None
            assert next_s <= min(shuts_s, self.renewed[channel] + RENEW_S)

    @invariant()
    def the_table_and_the_lines_agree(self) -> None:
        assert {name: lease for name, lease in self.table.leases().items() if lease} == {
            channel: lease_id for channel, (lease_id, _, _) in self.granted.items()
        }
        assert {name for name in NAMES if self.table.is_on(name)} == {
            name for name, line in self.lines.items() if line.since_s is not None
        }

    @invariant()
    def nothing_locked_is_open(self) -> None:
        for name in NAMES:
            if self.locked & {name, VALVES[name].supply if name in VALVES else None}:
                assert self.lines[name].since_s is None

    @invariant()
    def no_day_and_no_stretch_is_above_its_cap(self) -> None:
        for name, line in self.lines.items():
            cap = VALVES[name].cap if name in VALVES else self.supplies[name].cap
            late_s = 0.02 * (len(line.past) + 1) if self.late_s else 0.0
            assert line.open_s(self.at_s - DAY_S, self.at_s) <= cap.max_day_s + late_s + 1e-6
            assert line.since_s is None or self.at_s - line.since_s <= cap.max_open_s + late_s + 1e-6

    @invariant()
    def a_supply_is_on_when_its_delays_say_so(self) -> None:
        if self.late_s:
            return
        for name, supply in self.supplies.items():
            drinking = {channel for channel in self.granted if VALVES[channel].supply == name}
            wanted = {channel for channel in drinking - self.told if self.wants(channel, supply)}
            if wanted:
                assert self.lines[name].since_s is not None, f"{wanted} want {name}"
            elif self.lines[name].since_s is not None:
                # Nobody wants it: it runs on after the last one, for so long and no longer.
                last_s = max(
                    (to_s for one in VALVES if VALVES[one].supply == name for _, to_s in self.lines[one].past),
                    default=-1.0,
                )
                assert self.at_s < last_s + supply.stop_after_s, f"{name} runs for nobody"

    def wants(self, channel: str, supply: Supply) -> bool:
        _, opens_s, shuts_s = self.granted[channel]
        starts_s = -math.inf if supply.start_after_s < 0 else opens_s + supply.start_after_s
        return starts_s <= self.at_s < max(opens_s, shuts_s + min(0.0, supply.stop_after_s))


TestGuardLaws = GuardMachine.TestCase
TestGuardLaws.settings = settings(max_examples=100, stateful_step_count=30)
