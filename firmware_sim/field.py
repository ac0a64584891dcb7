"""The field's own process: boards connect to its unix socket and drive their pins; it moves the water and the soil.

One JSON object per line in both directions. A connection that begins with `hello` is a board's process: the lines that
it drives are its own, and are released when it closes, however it ends, as a kernel does. Other connections inspect:
they read lines back, hear of changes, and break things. Times are CLOCK_MONOTONIC in ns, the same for all processes.
"""

import asyncio
import json
import logging
import signal
import socket
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

from firmware_sim.errors import Refused
from firmware_sim.lines import Function, Line, Lines
from firmware_sim.settings import FieldSettings, ValvePart
from firmware_sim.wiring import Wiring
from firmware_sim.world import World

TICK_S = 0.05
SOIL_EVERY_S = 0.5
SAVE_EVERY_S = 30.0
MAX_WAITING_BYTES = 4 * 1024 * 1024

log = logging.getLogger("field")


@dataclass(eq=False, slots=True)
class Connection:
    """One process at the other end. `node` is set by its hello; `watching` are the input pins whose pulses it hears."""

    number: int
    writer: asyncio.StreamWriter
    pid: int
    node: str | None = None
    watching: set[int] = field(default_factory=set)
    inspecting: bool = False

    def say(self, message: dict[str, Any]) -> None:
        """Send one message; a process that does not read is cut off rather than waited for."""
        if self.writer.transport.get_write_buffer_size() > MAX_WAITING_BYTES:
            self.writer.transport.abort()
        elif not self.writer.is_closing():
            self.writer.write(json.dumps(message).encode() + b"\n")


class Field:
    """Answers the boards and the inspectors, and keeps the world moving."""

    def __init__(self, settings: FieldSettings, now: datetime) -> None:
        self._settings = settings
        self._world = World(settings, now)
        if settings.state is not None and settings.state.exists():
            self._take_up(settings.state, now)
        self._lines = Lines()
        self._wiring = Wiring(settings, self._world, self._lines)
        self._connections: set[Connection] = set()
        self._numbers = count(1)
        self._piped_to_s = self._soaked_to_s = time.monotonic()
        self._litres: dict[str, float] = {}
        self._open: dict[tuple[str, int], tuple[bool, int]] = {}
        self._acts: dict[str, Callable[[Connection, dict[str, Any]], Any]] = {
            "hello": self._hello,
            "drive": self._drive,
            "listen": self._listen,
            "free": self._free,
            "read": lambda connection, ask: self._wiring.level(_node(connection), ask["gpio"]),
            "adc": lambda connection, ask: self._wiring.adc(_node(connection), ask["channel"]),
            "watch": lambda connection, ask: connection.watching.add(ask["gpio"]),
            "unwatch": lambda connection, ask: connection.watching.discard(ask["gpio"]),
            "inspect": self._inspect,
            "snapshot": lambda _connection, _ask: self.snapshot(),
            "history": lambda _connection, _ask: [asdict(line) for line in self._lines.history],
            "fault": self._fault,
            "moisture": lambda _connection, ask: self._world.moisture_pct(ask["zone"], ask["depth_m"]),
            "speed": self._speed,
        }
        self._rate = settings.speed
        self._note_valves()

    def _take_up(self, state: Path, now: datetime) -> None:
        try:
            self._world.load(state)
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            log.warning("state unreadable path=%s why=%r; the ground is as the settings say", state, exc)
            self._world = World(self._settings, now)
        self._world.catch_up(now)

    # --- life ---------------------------------------------------------------------------------------------------------

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until told to stop; then save the state."""
        path = self._settings.socket
        path.unlink(missing_ok=True)
        server = await asyncio.start_unix_server(self._serve, path)
        log.info("field ready socket=%s boards=%d speed=%g", path, len(self._settings.boards), self._rate)
        ticking = asyncio.create_task(self._tick(), name="tick")
        try:
            await asyncio.wait([ticking, asyncio.create_task(stop.wait(), name="stop")], return_when="FIRST_COMPLETED")
        finally:
            ticking.cancel()
            server.close()
            for connection in list(self._connections):
                connection.writer.transport.abort()
            with suppress(asyncio.CancelledError):
                await ticking
            path.unlink(missing_ok=True)
            self._save()

    async def _tick(self) -> None:
        saved_s = time.monotonic()
        while True:
            await asyncio.sleep(TICK_S)
            self._move_water()
            if self._piped_to_s - self._soaked_to_s >= SOIL_EVERY_S:
                self._move_soil()
            if self._piped_to_s - saved_s >= SAVE_EVERY_S:
                saved_s = self._piped_to_s
                self._save()

    def _save(self) -> None:
        if self._settings.state is not None:
            self._world.save(self._settings.state)

    def _move_water(self) -> None:
        """Bring the pipes to now with the valves as they have been; done before every change of a valve."""
        now_s = time.monotonic()
        wiring = self._wiring
        moved = self._world.pipe_water(
            wiring.open_zones(), now_s - self._piped_to_s, wiring.dry_sources(), wiring.shares()
        )
        self._piped_to_s = now_s
        for zone, litres in moved.items():
            self._litres[zone] = self._litres.get(zone, 0.0) + litres
        for (node, gpio), pulses in self._wiring.pulses().items():
            for connection in self._connections:
                if connection.node == node and gpio in connection.watching:
                    connection.say({"event": "pulses", "gpio": gpio, "count": pulses})

    def _move_soil(self) -> None:
        span = timedelta(seconds=(self._piped_to_s - self._soaked_to_s) * self._rate)
        self._soaked_to_s = self._piped_to_s
        received = {zone: litres * self._rate for zone, litres in self._litres.items()}
        self._litres.clear()
        self._world.pass_time(span, received, self._wiring.open_valves())

    # --- what others ask ----------------------------------------------------------------------------------------------

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(next(self._numbers), writer, _peer_pid(writer))
        self._connections.add(connection)
        try:
            async for raw in reader:
                connection.say(self._answer(connection, raw))
        except ConnectionError:
            pass  # killed: the same as closed
        finally:
            self._connections.discard(connection)
            self._leave(connection)
            writer.close()

    def _answer(self, connection: Connection, raw: bytes) -> dict[str, Any]:
        try:
            ask = json.loads(raw)
            return {"ok": self._acts[ask["do"]](connection, ask)}
        except Refused as exc:
            return {"error": str(exc)}
        except (KeyError, TypeError, ValueError, AttributeError) as exc:
            return {"error": f"not understood: {raw[:200]!r} ({type(exc).__name__}: {exc})"}

    def _hello(self, connection: Connection, ask: dict[str, Any]) -> None:
        connection.node = self._wiring.board(ask["node"]).node

    def _drive(self, connection: Connection, ask: dict[str, Any]) -> int:
        self._move_water()
        line = Line(_node(connection), ask["gpio"], Function.OUTPUT, int(bool(ask["level"])))
        return self._change(line, connection).level

    def _listen(self, connection: Connection, ask: dict[str, Any]) -> int:
        self._move_water()
        line = Line(_node(connection), ask["gpio"], Function.INPUT, int(ask.get("pull") == "up"))
        return self._change(line, connection).level

    def _change(self, line: Line, connection: Connection) -> Line:
        line = replace(line, owner=connection.number, pid=connection.pid, since_ns=time.monotonic_ns())
        now = self._lines.claim(line)
        if now is line:
            self._tell(now)
        return now

    def _free(self, connection: Connection, ask: dict[str, Any]) -> None:
        self._move_water()
        for line in self._lines.release(connection.number, time.monotonic_ns(), ask["gpio"]):
            self._tell(line)

    def _leave(self, connection: Connection) -> None:
        self._move_water()
        released = self._lines.release(connection.number, time.monotonic_ns())
        for line in released:
            self._tell(line)
        if released:
            log.info("lines released node=%s pid=%d lines=%d", connection.node, connection.pid, len(released))

    def _inspect(self, connection: Connection, _ask: dict[str, Any]) -> dict[str, Any]:
        connection.inspecting = True
        return self.snapshot()

    def _fault(self, _connection: Connection, ask: dict[str, Any]) -> None:
        self._move_water()
        self._wiring.set_fault(ask["name"], ask["key"], on=bool(ask["on"]))
        log.info("fault name=%s key=%s on=%s", ask["name"], ask["key"], bool(ask["on"]))
        self._note_valves()

    def _speed(self, _connection: Connection, ask: dict[str, Any]) -> None:
        self._move_water()
        self._move_soil()
        self._rate = min(100_000.0, max(0.01, float(ask["speed"])))

    def _tell(self, line: Line) -> None:
        self._wiring.noticed(line)
        self._announce({"event": "line", **asdict(line)})
        self._note_valves(line.since_ns)

    def _note_valves(self, at_ns: int = 0) -> None:
        """Notice which valves have changed, and say so."""
        for node, valve in self._wiring.valves():
            is_open = self._wiring.is_open(node, valve)
            if self._open.get((node, valve.gpio), (None, 0))[0] != is_open:
                self._open[node, valve.gpio] = (is_open, at_ns or time.monotonic_ns())
                self._announce({"event": "valve", **self._valve(node, valve)})

    def _announce(self, message: dict[str, Any]) -> None:
        for connection in self._connections:
            if connection.inspecting:
                connection.say(message)

    # --- read-back ----------------------------------------------------------------------------------------------------

    def _valve(self, node: str, valve: ValvePart) -> dict[str, Any]:
        line, (is_open, since_ns) = self._lines.at(node, valve.gpio), self._open[node, valve.gpio]
        pipe = self._world.pipes[valve.zone]
        return {
            "node": node,
            "gpio": valve.gpio,
            "zone": valve.zone,
            "open": is_open,
            "since_ns": since_ns,
            "pid": line.pid,
            "flow_l_min": pipe.flow_l_min,
            "litres": pipe.litres,
        }

    def snapshot(self) -> dict[str, Any]:
        """Return all that an inspector may see: lines, outputs, soil by zone and depth, rain, batteries, field time."""
        self._move_water()
        depths_m = {zone.id: {0.05, 0.15, 0.3} for zone in self._settings.zones}
        for board in self._settings.boards:
            for probe in board.probes:
                depths_m[probe.zone].add(probe.depth_m)
        moisture = {
            zone: {f"{depth_m:g}": self._world.moisture_pct(zone, depth_m) for depth_m in sorted(depths)}
            for zone, depths in depths_m.items()
        }
        return {
            "at": self._world.at.isoformat(),
            "now_ns": time.monotonic_ns(),
            "lines": [asdict(line) for line in self._lines.all()],
            "valves": [self._valve(node, valve) for node, valve in self._wiring.valves()],
            "supplies": [
                {"node": node, "id": supply.id, "gpio": supply.gpio, "on": runs}
                for node, supply, runs in self._wiring.supplies()
            ],
            "moisture_pct": moisture,
            "litres": {zone: pipe.litres for zone, pipe in self._world.pipes.items()},
            "rain_mm": self._world.rain_mm,
            "charge": self._world.charge,
        }


def _node(connection: Connection) -> str:
    if connection.node is None:
        raise Refused("a board's process begins with hello")
    return connection.node


def _peer_pid(writer: asyncio.StreamWriter) -> int:
    """The process at the other end, as the kernel knows it."""
    peer = writer.get_extra_info("socket")
    pid, _, _ = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    return int(pid)


async def _until_signalled(settings: FieldSettings) -> None:
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    await Field(settings, datetime.now(UTC)).run(stop)


def serve(settings: FieldSettings) -> int:
    """Run the field's process until SIGTERM or SIGINT."""
    asyncio.run(_until_signalled(settings))
    return 0
