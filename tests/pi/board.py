"""An emulated board as a farm and a technician know it: its valve, its two services, its gateway, and its figures."""

import re
import statistics
import time
from collections import defaultdict
from datetime import UTC, datetime
from signal import Signals

from contract.messages import ChannelSettings, Outcome
from contract.topics import Channel
from irrigation.run import ENDS
from tests.pi.card import Kernel
from tests.pi.emulator import Line, Pi, Silent
from tests.unit.edge import board as bench

GUARD, AGENT = "tuoi-guard", "tuoi-agent"
PIN, PIN_LOW = 17, 18  # a relay that a high level switches on, and one that a low level does
METERED, PIN_METERED = "v3", 23  # a valve of a wired board only
PULSES_PER_LITRE = 100
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

# What /etc/wires of the guest has: a chip of its own with the meter's contact, one converter, and none at 0x49. No guard
# of the meter or the soil speaks: pulses come and moisture jumps as the tests have it, also after a run that ended dry.
WIRED = """
[watch]
no_flow_s = 3600
fill_s = 3600
night_window_s = 86400
[soil]
samples = 1
rise_pct_h = 1e9
fall_pct_h = 1e9
[[valve]]
channel = "v3"
pin = 23
max_open_s = 3600
max_day_s = 86400
[valve.meter]
chip = 2
pin = 0
pulses_per_litre = 100
most_l_min = 100000
[[probe]]
sensor = "soil-48"
adc = 0
ads1115 = { i2c_bus = 0, address = 0x48, range_v = 4.096 }
reference_v = 3.3
points = [[0.2, 60.0], [0.8, 0.0]]
[[probe]]
sensor = "soil-49"
adc = 0
ads1115 = { i2c_bus = 0, address = 0x49 }
points = [[0.2, 60.0], [0.8, 0.0]]
"""
METERED_ZONE = ChannelSettings(channel=METERED, zone_id="rice", max_run_s=600.0, flow_l_min=8.0)


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
    """One Pi with its valves, the guard and the agent of its card, and a broker on the other end of its cable."""

    def __init__(self, pi: Pi, kernel: Kernel, broker_port: int, measured: Measured) -> None:
        self.pi = pi
        self.kernel = kernel.name
        self.wired = kernel.wired
        self.farm_id = f"pi-{kernel.name}"
        self.held: dict[tuple[str, str], int] = {}  # what its gateway has stored, over the tests
        self.started_s = 0.0
        self.started_at = datetime.now(UTC)
        self.pressed = 0  # how often its meter's contact was closed, over the tests
        self._measured = measured
        file = pi.folder / "board.toml"
        file.write_text(BOARD.format(farm_id=self.farm_id, port=broker_port) + (WIRED if kernel.wired else ""))
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

    def memory_mb(self, service: str) -> tuple[float, float]:
        """What the service holds in memory in MB of 1,024 kB: all that is mapped, and with its share of what is shared.

        The first, the bench's, also counts whole what other processes map too, some 3 MB of Python and its libraries.
        """
        rollup = self.pi.sh(f"grep -E '^(Rss|Pss):' /proc/$(cat /run/{service}.pid)/smaps_rollup")
        resident, share = re.findall(r"(?:Rss|Pss):\s+(\d+) kB", rollup)
        return int(resident) / 1024, int(share) / 1024

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

    def press(self, times: int) -> None:
        """Close and open the contact of its meter; return when all is done."""
        self.pressed += times
        self.pi.sh(f"press {times}", PATIENCE_S)

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
        self._wired = board.wired
        self._orders = int(time.monotonic() * 1000)  # no order has the number of another test's

    async def ready(self) -> None:
        """Return once the board has its settings, and agent and guard close when they are told to."""
        await self.until(lambda: self.link.connected and self.states)
        settings = bench.farm_settings(max_run_s=600.0)
        if self._wired:
            settings = settings.model_copy(update={"channels": (*settings.channels, METERED_ZONE)})
        await self.say(Channel.CONFIG, settings)
        await self.configured(1)
        while (await self.answered(await self.close_all())).outcome is not Outcome.DONE:
            pass

    def is_over(self, order: str, run_id: str) -> bool:
        """Whether the board has refused the order, or said that its run has ended."""
        return self._over(order, run_id) is not None

    async def why_over(self, order: str, run_id: str) -> str:
        """Return the code of why the board refused the order or its run ended, once that is told; or just `done`."""
        code: str = await self.until(lambda: self._over(order, run_id))
        return code

    def _over(self, order: str, run_id: str) -> str | None:
        refusals = [(reply.outcome, reply.reason) for reply in self.answers(order) if reply.outcome is Outcome.REFUSED]
        ends = [(event.state, event.reason) for event in self.runs(run_id) if event.state in ENDS]
        return next((reason.code if reason else how.value for how, reason in (*refusals, *ends)), None)
