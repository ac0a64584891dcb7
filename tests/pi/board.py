"""An emulated board as a farm and a technician know it: its valve, its two services, its gateway, and its figures."""

import re
import statistics
import time
from collections import defaultdict
from datetime import UTC, datetime
from signal import Signals

from contract.messages import Outcome, Reason
from contract.topics import Channel
from irrigation.run import ENDS
from tests.pi.emulator import Line, Pi, Silent
from tests.unit.edge import board as bench

GUARD, AGENT = "tuoi-guard", "tuoi-agent"
PIN, PIN_LOW = 17, 18  # a relay that a high level switches on, and one that a low level does
PATIENCE_S = 240.0  # a bound for a busy machine; what is waited for are events
LIMIT_S = 3.0  # rows 1 to 4 of the fault matrix
BOARD = """
farm_id = "{farm_id}"
node_id = "board-1"
state_dir = "/var/lib/tuoi/board-1"
report_every_s = 60
[gpio]
factory = "lgpio"
[mqtt]
host = "10.0.2.2"
port = {port}
retry_least_s = 0.1
retry_most_s = 1
[[valve]]
channel = "v1"
pin = 17
max_open_s = 3600
[[valve]]
channel = "v2"
pin = 18
active_high = false
max_open_s = 3600
"""


class Measured:
    """What the tests measured, by kernel."""

    def __init__(self) -> None:
        self._values: dict[tuple[str, str], list[float]] = defaultdict(list)

    def note(self, kernel: str, what: str, value: float) -> None:
        """Keep a value; `what` names its unit."""
        self._values[what, kernel].append(value)

    def lines(self) -> list[str]:
        """Return a table: one value as it is, several as median and 95th percentile."""
        return [f"{what:<58} {kernel:<11} {_shown(values)}" for (what, kernel), values in sorted(self._values.items())]


def _shown(values: list[float]) -> str:
    if len(values) < 3:
        return ", ".join(f"{value:.2f}" for value in values)
    return f"median {statistics.median(values):.2f}, p95 {statistics.quantiles(values, n=20)[-1]:.2f} of {len(values)}"


class Board:
    """One Pi with one valve, the guard and the agent of its card, and a broker on the other end of its cable."""

    def __init__(self, pi: Pi, kernel: str, broker_port: int, measured: Measured) -> None:
        self.pi = pi
        self.kernel = kernel
        self.farm_id = f"pi-{kernel}"
        self.held: dict[tuple[str, str], int] = {}  # what its gateway has stored, over the tests
        self.started_s = 0.0
        self.started_at = datetime.now(UTC)
        self._measured = measured
        file = pi.folder / "board.toml"
        file.write_text(BOARD.format(farm_id=self.farm_id, port=broker_port))
        pi.put(file, "/etc/tuoi/board.toml")

    def start(self) -> None:
        """Give it power."""
        self.started_s = time.monotonic()
        self.started_at = datetime.now(UTC)
        self.pi.start()

    def note(self, what: str, value: float) -> None:
        """Keep a figure for the table."""
        self._measured.note(self.kernel, what, value)

    def line(self) -> Line:
        """The valve's line, from outside."""
        return self.pi.line(PIN)

    def pid(self, service: str) -> int:
        """The service's process now."""
        return int(self.pi.sh(f"cat /run/{service}.pid"))

    def resident_mb(self, service: str) -> float:
        """What the service holds in memory, shared pages too, in MB of 1,024 kB as in the bench."""
        return int(self.pi.sh(f"grep VmRSS /proc/$(cat /run/{service}.pid)/status").split()[1]) / 1024

    def allowed_s(self) -> float:
        """The promised seconds, and what this emulator needs now for the least thing that a board can do."""
        begun_s = time.monotonic()
        self.pi.sh("true")
        return LIMIT_S + time.monotonic() - begun_s

    def signal(self, service: str, number: Signals) -> float:
        """Send a signal; return when it was asked for, in monotonic s."""
        pid = self.pid(service)
        at_s = time.monotonic()
        self.pi.type(f"kill -{number.value} {pid}")
        return at_s

    def closed_within(self, within_s: float) -> None:
        """Return when the line is off; raise Silent."""
        self.pi.watch(PIN, on=False, within_s=within_s)

    def linked_after_s(self) -> float:
        """Return how many s after power its agent reached the broker the first time, by its own log."""
        when = re.search(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)\S* .*link up", self.log(AGENT))
        assert when is not None, "the agent's log has no 'link up'"
        linked_at = datetime.fromisoformat(f"{when[1]}T{when[2]}+00:00")  # the board's clock was set at its start
        return (linked_at - self.started_at).total_seconds()

    def log(self, service: str) -> str:
        """What the service has said since the board was started."""
        return self.pi.sh(f"cat /run/{service}.log")

    def last_words(self) -> str:
        """The ends of both logs, for a person to read."""
        try:
            return self.pi.sh(f"tail -n 40 /run/{AGENT}.log /run/{GUARD}.log")
        except (Silent, OSError) as exc:
            return f"the board does not answer: {exc}"


class Gateway(bench.Gateway):
    """A gateway that knows what it stored of this board before, and that the board is slow."""

    def __init__(self, board: Board, port: int) -> None:
        super().__init__(board.farm_id, port)
        self.patience_s = PATIENCE_S
        self._held = board.held
        self._orders = int(time.monotonic() * 1000)  # no order has the number of another test's

    async def ready(self) -> None:
        """Return once the board has its settings, and agent and guard close when they are told to."""
        await self.until(lambda: self.link.connected and self.states)
        await self.say(Channel.CONFIG, bench.farm_settings(max_run_s=600.0))
        await self.configured(1)
        while (await self.answered(await self.close_all())).outcome is not Outcome.DONE:
            pass

    def is_over(self, order: str, run_id: str) -> bool:
        """Whether the board has refused the order, or said that its run has ended."""
        return self._over(order, run_id) is not None

    async def why_over(self, order: str, run_id: str) -> str:
        """Return the code of why the board refused the order or its run ended, once that is told."""
        reason: Reason = await self.until(lambda: self._over(order, run_id))
        return reason.code

    def _over(self, order: str, run_id: str) -> Reason | None:
        refusals = [reply.reason for reply in self.answers(order) if reply.outcome is Outcome.REFUSED]
        ends = [event.reason for event in self.runs(run_id) if event.state in ENDS]
        return next((reason for reason in (*refusals, *ends) if reason is not None), None)
