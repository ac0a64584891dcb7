"""The laws of the queue: each opens at most once, a cancelled one never, none above its source, whatever restarts."""

import tempfile
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from contract.messages import Enqueue, Outcome, QueuedPart
from irrigation.model import Dose, Hold, QueuePolicy
from irrigation.queue import QUEUE_LIFE
from irrigation.run import RunState
from tests.unit.gateway import farm as f
from tests.unit.gateway.office import Office
from tests.unit.gateway.test_queue import SMALL

NODES = ("board-1", "board-2")
ZONES = ("beans", "plums", "tea")
CAPACITY = SMALL.sources[0].capacity_l_min


class Farm:
    """A gateway that may be killed at any step, and boards that open and close as they are told."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.now = f.NOW
        self.asked: dict[str, datetime] = {}
        self.cancelled: set[str] = set()
        self.opened: dict[str, datetime] = {}
        self.open: dict[str, tuple[str, datetime]] = {}  # by run: its zone, and when its lease ends
        self.version = 1
        self.office = Office(path)
        self.office.hear(*NODES, now=self.now)
        self.office.configure(SMALL, now=self.now)

    def enqueue(self, zone_id: str, minutes: int, policy: QueuePolicy) -> None:
        part = QueuedPart(run_id=f"run-{len(self.asked)}", zone_id=zone_id, dose=Dose(minutes=minutes))
        order = Enqueue(
            id=f"asked-{len(self.asked)}", issued_at=self.now, expires_at=self.now + timedelta(seconds=90), actor="mai",
            policy=policy, parts=(part,), give_up_at=self.now + QUEUE_LIFE,
        )  # fmt: skip
        self.asked[part.run_id] = self.now
        for _ in range(2):  # said twice, as on a bad line
            assert self.office.orders.handle(order, self.now).outcome is Outcome.ACCEPTED

    def cancel(self, pick: int) -> None:
        waiting = [one.run_id for one in self.office.orders.queue.waiting()]
        if waiting:
            run_id = waiting[pick % len(waiting)]
            self.office.orders.handle(f.close_order(run_id, self.now), self.now)
            self.cancelled.add(run_id)

    def restart(self) -> None:
        self.office.db.close()
        self.office = Office(self.path).after(self.office)

    def pause(self, minutes: int) -> None:
        self.version += 1
        hold = Hold(until=self.now + timedelta(minutes=minutes), pause=True)
        before = self.office.orders.pauses.on(self.now)
        with self.office.journal.transaction():
            self.office.configure(replace(SMALL, hold=hold), self.version, self.now)
            if not before:
                self.office.orders.pauses.begin()

    def wait(self, seconds: int) -> None:
        until = self.now + timedelta(seconds=seconds)
        while self.now < until:
            self.look()
            step = timedelta(seconds=60) if self._busy() else timedelta(minutes=10)
            self.now = min(until, self.now + step, *(end for _, end in self.open.values()))
        self.look()

    def _busy(self) -> bool:
        """Whether anything waits, is open or rests; if not, nothing should begin, and a look now and then sees that."""
        orders = self.office.orders
        return bool(self.open or orders.queue.waiting() or orders.waiting() or orders.pauses.on(self.now))

    def look(self) -> None:
        """What the gateway does when it looks, and its boards when they hear."""
        office = self.office
        office.hear(*NODES, now=self.now)
        for close in office.journal.closes():
            self.end(close.run_id, RunState.STOPPED)
        for run_id, (_, end) in list(self.open.items()):
            if end <= self.now:
                self.end(run_id, RunState.DONE)
        office.orders.expire(self.now)
        office.plan.compile(self.now)
        office.orders.take_turns(self.now)
        for run in office.orders.waiting():
            assert run.run_id not in self.cancelled
            assert run.run_id not in self.opened
            self.opened[run.run_id] = self.now
            end = self.now + timedelta(seconds=run.max_s)
            self.open[run.run_id] = (run.zone_id, end)
            office.report(run.node_id, f.report(run, RunState.OPEN, self.now, closes_at=end), now=self.now)
        self.check()

    def end(self, run_id: str, state: RunState) -> None:
        run = self.office.journal.run(run_id)
        if run is not None and self.open.pop(run_id, None) is not None:
            self.office.report(run.node_id, f.report(run, state, self.now, open_s=60.0), now=self.now)

    def check(self) -> None:
        zones = [zone_id for zone_id, _ in self.open.values()]
        assert len(set(zones)) == len(zones)
        assert sum(SMALL.zone(zone_id).flow_l_min for zone_id in zones) <= CAPACITY


steps = st.one_of(
    st.tuples(st.just("enqueue"), st.sampled_from(ZONES), st.integers(1, 50), st.sampled_from(QueuePolicy)),
    st.tuples(st.just("wait"), st.integers(1, 4000)),
    st.tuples(st.just("cancel"), st.integers(0, 5)),
    st.tuples(st.just("restart")),
    st.tuples(st.just("pause"), st.integers(1, 60)),
)


@given(st.lists(steps, min_size=2, max_size=12))
@settings(max_examples=15)
def test_whatever_is_asked_cancelled_paused_or_killed_each_opens_once_in_its_turn_or_not_at_all(
    script: list[tuple[object, ...]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        farm = Farm(Path(folder) / "journal.sqlite3")
        for name, *args in script:
            getattr(farm, str(name))(*args)
        farm.wait(7 * 3600)
        asked = {run_id: at for run_id, at in farm.opened.items() if run_id in farm.asked}
        assert all(at - farm.asked[run_id] < QUEUE_LIFE for run_id, at in asked.items())
        assert not farm.cancelled & set(farm.opened)
        for run_id in farm.asked:  # nobody is left without an answer
            run = farm.office.journal.run(run_id)
            assert run is not None
            assert run.state is not RunState.QUEUED
        farm.office.db.close()
