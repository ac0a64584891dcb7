"""A whole board but for its pins: the real agent on fake hardware, a real guard, a real broker, and a gateway's ear."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from contract.clock import Clock
from contract.link import Incoming, Link, LinkSettings
from contract.messages import (
    Ack,
    Batch,
    ChannelSettings,
    Close,
    CloseAll,
    Event,
    FaultEvent,
    Hello,
    NodeConfig,
    NodeState,
    Open,
    Pulse,
    Reading,
    Reply,
    Reset,
    Restart,
    RunEvent,
)
from contract.topics import Channel, farm_up_filter
from edge.app import Agent
from edge.config import BoardSettings, load_board
from edge.hardware.fakes import FakeHardware
from irrigation.model import Dose
from irrigation.run import RunState
from tests.fixtures.processes import Process, Processes

ROOT = Path(__file__).parents[3]
NODE = "board-1"
PATIENCE_S = 10.0
WATER_S = 40.0  # what a meter needs to show what is amiss

BOARD = """
farm_id = "{farm_id}"
node_id = "board-1"
state_dir = "state"
report_every_s = 1
[watch]
no_flow_s = {no_flow_s}
fill_s = 0
night_window_s = 20
[gpio]
factory = "mock"
[mqtt]
port = {port}
retry_least_s = 0.05
retry_most_s = 0.2
[[valve]]
channel = "v1"
pin = 17
max_open_s = 60
max_day_s = 100
[valve.meter]
pin = 22
pulses_per_litre = 10
[[valve]]
channel = "v2"
pin = 18
max_open_s = 60
[[probe]]
sensor = "soil-1"
adc = 0
points = [[0.2, 60.0], [0.8, 0.0]]
"""


class Gateway:
    """Hears all that the board says, acknowledges its batches, and orders."""

    def __init__(self, farm_id: str, port: int) -> None:
        self.farm_id = farm_id
        self.patience_s = PATIENCE_S
        self.events: list[Event] = []
        self.readings: list[Reading] = []
        self.replies: list[Reply] = []
        self.hellos: list[Hello] = []
        self.states: list[NodeState] = []
        self._held: dict[tuple[str, str], int] = {}
        self.tells_time = False
        self._news = asyncio.Condition()
        self._orders = 0
        settings = LinkSettings(port=port, retry_least_s=0.05, retry_most_s=0.2)
        self.link = Link(
            settings,
            client_id=f"{farm_id}-gateway",
            subscriptions=[farm_up_filter(farm_id)],
            on_message=self._hear,
            on_connect=self._connected,
        )

    async def _connected(self) -> None:
        await self._wake()

    async def _wake(self) -> None:
        async with self._news:
            self._news.notify_all()

    async def _hear(self, incoming: Incoming) -> None:
        message = incoming.message
        match message:
            case Batch():
                await self._take(message)
            case Reply():
                self.replies.append(message)
            case Hello():
                self.hellos.append(message)
            case NodeState():
                self.states.append(message)
        await self._wake()

    async def _take(self, batch: Batch) -> None:
        key = (batch.boot_id, batch.lane.value)
        held = self._held.get(key, 0)
        if batch.after_seq <= held:
            for record in batch.records:
                if record.seq > held:
                    (self.readings if isinstance(record, Reading) else self.events).append(record)  # type: ignore[arg-type]
                    held = record.seq
        self._held[key] = held
        at = datetime.now(UTC) if self.tells_time else None
        await self.say(Channel.ACK, Ack(boot_id=batch.boot_id, lane=batch.lane, seq=held, at=at))

    async def say(self, channel: Channel, message: Any) -> None:
        await self.link.publish(self.farm_id, NODE, channel, message)

    async def until(self, what: Callable[[], Any], patience_s: float = 0.0) -> Any:
        """Return what `what` returns, once that is true."""
        async with asyncio.timeout(max(patience_s, self.patience_s)), self._news:
            while not (found := what()):
                await self._news.wait()
            return found

    # --- what it saw ---

    def states_of(self, run_id: str) -> list[RunState]:
        return [event.state for event in self.runs(run_id)]

    def runs(self, run_id: str) -> list[RunEvent]:
        return [event for event in self.events if isinstance(event, RunEvent) and event.run_id == run_id]

    async def reached(self, run_id: str, state: RunState, patience_s: float = PATIENCE_S) -> RunEvent:
        """Return the run's event of that state, once it came."""
        found: RunEvent = await self.until(
            lambda: next((event for event in self.runs(run_id) if event.state is state), None), patience_s
        )
        return found

    async def answered(self, command_id: str) -> Reply:
        """Return the first answer to a command, once it came."""
        found: Reply = await self.until(
            lambda: next((reply for reply in self.replies if reply.command_id == command_id), None)
        )
        return found

    def faults(self) -> list[tuple[str, bool]]:
        """Return what faults were told: code, and whether it is over."""
        return [(event.code, event.cleared) for event in self.events if isinstance(event, FaultEvent)]

    async def told(self, code: str, *, cleared: bool = False) -> FaultEvent:
        """Return the first fault of that code (or its end), once it came."""
        found: FaultEvent = await self.until(
            lambda: next(
                (
                    event
                    for event in self.events
                    if isinstance(event, FaultEvent) and (event.code, event.cleared) == (code, cleared)
                ),
                None,
            ),
            WATER_S,
        )
        return found

    async def configured(self, version: int) -> None:
        """Return once the board shows that it holds this version of its settings."""
        await self.until(lambda: bool(self.states) and self.states[-1].config_version == version)

    def answers(self, command_id: str) -> list[Reply]:
        return [reply for reply in self.replies if reply.command_id == command_id]

    # --- what it orders ---

    def order(self, **more: Any) -> dict[str, Any]:
        """Return the fields that every order has, with the changes."""
        self._orders += 1
        now = datetime.now(UTC)
        common = {"id": f"c{self._orders}", "issued_at": now, "expires_at": now + timedelta(seconds=30), "actor": "hoa"}
        return {**common, **more}

    async def open(self, run_id: str, *, dose: Dose | None = None, **more: Any) -> str:
        """Order a watering; return the command's id."""
        fields = {"zone_id": "tea", "channel": "v1", "max_s": 30.0, "dose": dose or Dose(minutes=0.5), **more}
        command = Open(**self.order(run_id=run_id, **fields))
        await self.say(Channel.COMMAND, command)
        return command.id

    async def close(self, run_id: str) -> str:
        command = Close(**self.order(run_id=run_id))
        await self.say(Channel.COMMAND, command)
        return command.id

    async def close_all(self) -> str:
        command = CloseAll(**self.order())
        await self.say(Channel.COMMAND, command)
        return command.id

    async def pulse(self, channel: str) -> str:
        command = Pulse(**self.order(channel=channel, seconds=1.0))
        await self.say(Channel.COMMAND, command)
        return command.id

    async def reset(self, channel: str) -> str:
        command = Reset(**self.order(channel=channel))
        await self.say(Channel.COMMAND, command)
        return command.id

    async def restart(self) -> str:
        command = Restart(**self.order())
        await self.say(Channel.COMMAND, command)
        return command.id


class Bench:
    """A board's parts, each of which can be started and taken away."""

    def __init__(self, folder: Path, farm_id: str, port: int, processes: Processes, *, no_flow_s: float = 30) -> None:
        self.path = folder / "board.toml"
        self.path.write_text(BOARD.format(farm_id=farm_id, port=port, no_flow_s=no_flow_s))
        self.settings: BoardSettings = load_board(self.path)
        self.hardware = FakeHardware()
        self.gateway = Gateway(farm_id, port)
        self._processes = processes

    def reload(self) -> None:
        """Read the board's file again, after a test has changed it."""
        self.settings = load_board(self.path)

    def start_guard(self) -> Process:
        """Start a guard whose valves tell what they do, and return when it is ready."""
        guard = self._processes.start(
            sys.executable, "-m", "tests.unit.edge.guard.guarded", self.path, cwd=ROOT, name="guard"
        )
        guard.wait_for("guard ready")
        return guard

    @asynccontextmanager
    async def agent(self, make_clock: Callable[[datetime | None], Clock] | None = None) -> AsyncIterator[Agent]:
        """Run an agent, from its greeting to its farewell; raise StoreUnavailable when its store has failed."""
        agent = Agent(self.settings, self.hardware, make_clock)
        stop = asyncio.Event()
        running = asyncio.create_task(agent.run(stop), name="agent")
        try:
            await self.gateway.until(lambda: any(one.boot_id == agent.boot_id for one in self.gateway.hellos))
            yield agent
        finally:
            stop.set()
            await running

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Gateway]:
        """Run the gateway's ear."""
        running = asyncio.create_task(self.gateway.link.run(), name="gateway")
        try:
            await self.gateway.until(lambda: self.gateway.link.connected)
            yield self.gateway
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


class Flowing:
    """Water through v1's meter for as long as it is entered."""

    def __init__(self, bench: Bench, l_min: float) -> None:
        self._counter = bench.hardware.pulses(22)
        self._pulse_s = 60 / l_min / 10
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> None:
        self._task = asyncio.create_task(self._run(), name="water")

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._pulse_s)
            self._counter.add(1)


def farm_settings(version: int = 1, max_run_s: float = 60.0) -> NodeConfig:
    """Return what a farm would tell this board: zone `tea` behind v1."""
    channel = ChannelSettings(
        channel="v1", zone_id="tea", max_run_s=max_run_s, flow_l_min=8.0, source_l_min=40.0, sensors=("soil-1",)
    )
    return NodeConfig(version=version, tz="Asia/Ho_Chi_Minh", channels=(channel,), report_every_s=1.0)
