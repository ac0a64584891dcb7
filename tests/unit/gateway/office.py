"""The gateway's parts that need no loop, put together over a real journal, at a time of our choice."""

from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

from contract.clock import Clock
from contract.inbox import Inbox
from contract.messages import Batch, Event, FarmConfig, Hello, Lane, Reading, Status
from contract.outbox import Outbox
from contract.store import open_database
from gateway.boards import Boards
from gateway.journal import Journal
from gateway.orders import Orders
from gateway.plan import Plan
from gateway.reports import Reports
from irrigation.model import Farm
from irrigation.planner import compile_timetable
from irrigation.run import RunState
from tests.unit.gateway import farm as f

NOW = f.NOW
_LIVES = count(1)  # no two gateways of a journal have the same boot


class Office:
    """The gateway's parts that need no loop."""

    def __init__(self, path: Path, shows: datetime = NOW) -> None:
        self.clock_shows = shows
        self.up_s = 0.0
        self.db = open_database(path)
        self.journal = Journal(self.db)
        self.outbox = Outbox(self.db, boot_id=f"boot-{next(_LIVES)}")
        self.boards = Boards(self.journal)
        self.plan = Plan(
            "mai",
            journal=self.journal,
            outbox=self.outbox,
            boards=self.boards,
            clock=Clock(None, lambda: self.clock_shows, monotonic=lambda: self.up_s),
            compile_timetable=compile_timetable,
            days=3,
        )
        self.orders = Orders(self.journal, self.outbox, self.boards, self.plan)
        self.reports = Reports(self.journal, Inbox(self.db), self.outbox, self.plan, self.orders)
        self._seq: dict[str, int] = {}
        self._told: dict[str, int] = {}

    def after(self, before: "Office") -> "Office":
        """Return it as the next life of another, whose boards go on to number what they tell."""
        self._seq, self._told = before._seq, before._told
        return self

    def show(self, at: datetime) -> None:
        """Let time pass until then, on every clock."""
        self.up_s += (at - self.clock_shows).total_seconds()
        self.clock_shows = at

    def configure(self, farm: Farm, version: int = 1, now: datetime = NOW) -> bool:
        return self.plan.apply(FarmConfig(version=version, farm=farm), now)

    def hear(self, *node_ids: str, now: datetime = NOW, version: int = 0) -> None:
        """Have these boards in hearing."""
        for node_id in node_ids:
            self.boards.heard(node_id, now)
            self.boards.status(node_id, Status(online=True, boot_id="b", at=now), now)
            self.boards.hello(node_id, hello(now, version))

    def report(self, node_id: str, *events: Event, now: datetime = NOW) -> Any:
        after = self._seq.get(node_id, 0)
        self._seq[node_id] = after + len(events)
        numbered = tuple(event.model_copy(update={"seq": after + n}) for n, event in enumerate(events, 1))
        return self.reports.take(node_id, Batch(boot_id="b", lane=Lane.EVENTS, after_seq=after, events=numbered), now)

    def measure(self, node_id: str, *readings: Reading, now: datetime = NOW) -> bool:
        """Have a board tell these; return whether the plan must be looked at again."""
        after = self._told.get(node_id, 0)
        self._told[node_id] = after + len(readings)
        numbered = tuple(one.model_copy(update={"seq": after + n}) for n, one in enumerate(readings, 1))
        batch = Batch(boot_id="b", lane=Lane.READINGS, after_seq=after, readings=numbered)
        return self.reports.take(node_id, batch, now).replan

    def told(self, kind: type[Any]) -> list[Any]:
        """Return the events on their way to the server."""
        parcel = self.outbox.batch(Lane.EVENTS, 0, 2000)
        events = Batch.model_validate_json(parcel.payload).events if parcel else ()
        return [event for event in events if isinstance(event, kind)]

    def run_state(self, run_id: str) -> RunState:
        run = self.journal.run(run_id)
        assert run is not None
        return run.state


def hello(now: datetime, version: int = 0) -> Hello:
    """Return what a board says of itself that holds that timetable."""
    return Hello(boot_id="b", at=now, clock_trusted=True, software="", timetable_version=version)
