"""The law of the gateway: whatever people order and programs want, no source is asked for more than it gives."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from contract.messages import Outcome
from irrigation.model import Entry
from irrigation.run import RunState
from tests.unit.gateway import farm as f
from tests.unit.gateway.office import Office

MINUTE = timedelta(minutes=1)
BEGIN = f.NOW.replace(hour=22)  # 05:00 on the farm
SMALL = replace(f.FARM.sources[0], capacity_l_min=90.0)
ZONES = (
    f.zone("a", channel="v1", flow=40.0),
    f.zone("b", channel="v2", flow=30.0),
    f.zone("c", node_id="board-2", channel="v1", flow=50.0),
    f.zone("d", node_id="board-2", channel="v2", flow=25.0),
)
PROGRAMS = (
    f.program("p", "a", "b", minutes=12, start="05:30"),
    f.program("q", "c", "a", minutes=17, start="05:35"),
    f.program("r", "d", "c", "b", minutes=9, start="06:10"),
)
FARM = f.farm(sources=(SMALL,), zones=ZONES, programs=PROGRAMS)


@dataclass(frozen=True)
class Open:
    """A valve that is open at its board."""

    zone_id: str
    node_id: str
    until: datetime
    entry: Entry | None = None


class Field:
    """Boards that obey at once, keep the last part that was compiled for them, and report what they do."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self.now = BEGIN
        self.open: dict[str, Open] = {}
        self.begun: set[str] = set()
        self.orders: dict[str, object] = {}
        office.configure(FARM, now=self.now)

    def hear(self) -> None:
        self.office.hear("board-1", "board-2", now=self.now, version=self.office.plan.timetable_version)

    def order(self, zone_id: str, minutes: int) -> None:
        self.hear()
        order = f.open_order(zone_id, self.now, minutes=minutes)
        if self.office.orders.handle(order, self.now).outcome is not Outcome.ACCEPTED:
            return
        until = self.now + minutes * MINUTE
        node_id = FARM.zone(zone_id).node_id
        channel = FARM.zone(zone_id).channel
        self.open[order.run_id] = Open(zone_id, node_id, until)
        self.orders[order.run_id] = order
        report = f.report(order, RunState.OPEN, self.now, closes_at=until, channel=channel)
        self.office.report(node_id, report, now=self.now)
        self.replan()

    def stop(self, pick: int) -> None:
        if self.open:
            self.end(sorted(self.open)[pick % len(self.open)], RunState.STOPPED)

    def end(self, run_id: str, state: RunState) -> None:
        valve = self.open.pop(run_id)
        if valve.entry is not None:
            report = f.due_report(valve.entry, state, self.now)
        else:
            order = self.orders[run_id]
            channel = FARM.zone(valve.zone_id).channel
            report = f.report(order, state, self.now, channel=channel)  # type: ignore[arg-type]
        self.office.report(valve.node_id, report, now=self.now)
        self.replan()

    def begin(self, entry: Entry) -> None:
        self.begun.add(entry.id)
        until = self.now + timedelta(seconds=entry.max_s)
        self.open[f"run-{entry.id}"] = Open(entry.zone_id, entry.node_id, until, entry)
        report = f.due_report(entry, RunState.OPEN, self.now, closes_at=until)
        self.office.report(entry.node_id, report, now=self.now)
        self.replan()

    def replan(self) -> None:
        self.hear()
        self.office.plan.compile(self.now)

    def starts(self) -> list[Entry]:
        parts = self.office.plan.parts.values()
        return [
            entry for part in parts for entry in part.entries if entry.id not in self.begun and entry.start >= self.now
        ]

    def wait(self, seconds: int) -> None:
        """Let time pass; whatever ends or begins on the way does so at its moment, ends first."""
        until = self.now + timedelta(seconds=seconds)
        while True:
            ends = [(valve.until, 0, run_id) for run_id, valve in self.open.items()]
            starts = [(entry.start, 1, entry.id) for entry in self.starts()]
            at, kind, name = min([*ends, *starts], default=(until, 2, ""))
            if kind == 2 or at > until:
                break
            self.now = max(at, self.now)
            if kind == 0:
                self.end(name, RunState.DONE)
            else:
                self.begin(next(entry for entry in self.starts() if entry.id == name))
            self.check()
        self.now = until

    def check(self) -> None:
        flow = sum(FARM.zone(valve.zone_id).flow_l_min for valve in self.open.values())
        assert flow <= SMALL.capacity_l_min + 1e-6, self.open
        zones = [valve.zone_id for valve in self.open.values()]
        assert len(set(zones)) == len(zones), self.open


@contextmanager
def office() -> Iterator[Office]:
    with tempfile.TemporaryDirectory() as folder:
        made = Office(Path(folder) / "journal.sqlite3")
        yield made
        made.db.close()


steps = st.one_of(
    st.tuples(st.just("order"), st.sampled_from("abcd"), st.integers(1, 40)),
    st.tuples(st.just("wait"), st.integers(1, 1500), st.just(0)),
    st.tuples(st.just("stop"), st.integers(0, 3), st.just(0)),
)


@settings(max_examples=25, deadline=None)
@given(st.lists(steps, min_size=5, max_size=25))
def test_orders_and_programs_together_never_ask_a_source_for_more_than_it_gives(
    script: list[tuple[str, str | int, int]],
) -> None:
    with office() as made:
        field = Field(made)
        for what, first, second in script:
            if what == "order":
                field.order(str(first), second)
            elif what == "wait":
                field.wait(int(first))
            else:
                field.stop(int(first))
            field.check()
        field.wait(3 * 3600)
        due = {entry_id for entry_id in field.begun if ":20261125:" in entry_id}
        settled = made.journal.settled(BEGIN - timedelta(days=1))
        assert due <= settled


def test_in_a_quiet_morning_everything_that_is_due_runs() -> None:
    with office() as made:
        field = Field(made)
        field.wait(3 * 3600)
        assert len(field.begun) == 7
        assert field.open == {}
