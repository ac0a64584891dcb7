"""The demo as a whole: starts every process in the right order, says when the farm is ready, ends it all closed."""

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from firmware_sim.demo import broker
from firmware_sim.demo.accounts import Person, people
from firmware_sim.demo.children import Child, end_with_parent
from firmware_sim.demo.files import ORDER_LIFE_S, farm_file, read_farm, write_all
from firmware_sim.demo.places import Places, write_json
from firmware_sim.demo.ready import Visitor, answers, boards_ready
from firmware_sim.errors import DemoError, FieldError, NotReady
from firmware_sim.field_client import FieldClient
from irrigation.model import Farm

READY_S = 90.0
HISTORY_DAYS = 30


@dataclass(frozen=True, slots=True)
class Options:
    """What can be chosen about a demo. `port` 0 = any free one; `speed` = seconds of soil and weather per second."""

    data: Path
    host: str = "0.0.0.0"
    port: int = 8080
    days: int = HISTORY_DAYS
    speed: float = 1.0
    embedded: bool = False
    order_life_s: float = ORDER_LIFE_S


class Demo:
    """One farm on this machine. `start`, then `stop`; `kill` and `pids` are for tests."""

    def __init__(self, options: Options, say: Callable[[str], None]) -> None:
        self._options, self._tell = options, say
        self._places = Places(options.data.resolve())
        self._children: dict[str, Child] = {}
        self._lock: IO[str] | None = None
        self._begun_s = time.monotonic()
        self._dying: set[str] = set()
        self._told: dict[str, Any] | None = None
        self._farm: Farm
        self.url = ""
        self.people: tuple[Person, ...] = ()

    @property
    def pids(self) -> dict[str, int]:
        """The processes that run now, by name."""
        return {name: child.pid for name, child in self._children.items() if child.pid is not None}

    @property
    def field_socket(self) -> Path:
        """Where a FieldClient connects."""
        return self._places.field_socket

    def kill(self, name: str, number: int = signal.SIGKILL) -> int:
        """Send a signal to a process of the demo; return its pid."""
        pid = self.pids[name]
        os.kill(pid, number)
        return pid

    # --- start --------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Return once a person can sign in and water every zone; raise DemoError with a sentence otherwise."""
        port = self._port()
        self._lock = self._places.prepare()
        try:
            await self._start(port)
        except BaseException:
            await self.stop()
            raise

    async def _start(self, port: int) -> None:
        options, places = self._options, self._places
        mosquitto = None if options.embedded else broker.find_mosquitto()
        mqtt_port = broker.free_port()
        self._farm = read_farm(farm_file(), datetime.now(UTC))
        if not places.seeded.exists():
            places.clear(zone.node_id for zone in self._farm.zones)
        self.people = people(places)
        mqtt = broker.link(mqtt_port, mosquitto)
        write_all(
            places,
            self._farm,
            speed=options.speed,
            http=(options.host, port),
            mqtt=mqtt,
            order_life_s=options.order_life_s,
        )
        await self._run("broker", broker.command(places, mqtt_port, mosquitto))
        why = "as you asked" if options.embedded else "because mosquitto is not installed"
        what = "mosquitto" if mosquitto else f"a small one in Python (MQTT 3.1.1), {why}"
        self._say(f"broker: {what}, on 127.0.0.1:{mqtt_port}")

        seeding = await self._seed()
        await self._run("field", self._tuoi("field", "field"))
        await self._until(lambda: _listens(places.field_socket), "field", "the simulated field")
        nodes = list(dict.fromkeys(zone.node_id for zone in self._farm.zones))
        for node in nodes:
            env = {"TUOI_FIELD_SOCKET": str(places.field_socket), "TUOI_FIELD_NODE": node}
            await self._run(f"{node}-guard", self._tuoi("edge", node, "guard"), env)
            await self._run(f"{node}-agent", self._tuoi("edge", node, "agent"), env)
        await self._run("gateway", self._tuoi("gateway", "gateway"))
        self._say(f"field: {len(self._farm.zones)} zones; boards: {', '.join(nodes)}; gateway of farm {self._farm.id}")
        if seeding is not None:
            said = await self._seeded(seeding)
            self._say(f"history: {said}" if self._options.days else "farm and people are set up, without a past")

        await self._run("server", self._tuoi("server", "server"))
        here = options.host if options.host not in {"0.0.0.0", "::"} else "127.0.0.1"
        base = f"http://{here}:{port}"
        await self._until(lambda: answers(f"{base}/readyz"), "server", "the server")
        self._say("server: answers; waiting for the boards")
        visitor = Visitor(base, next(person for person in self.people if person.role == "manager"))

        def ready() -> bool:
            seen = visitor.snapshot(self._farm.id)
            return seen is not None and boards_ready(seen, nodes)

        await self._until(ready, "gateway", "every board")
        await asyncio.to_thread(visitor.leave)

        shown = _own_address() if options.host in {"0.0.0.0", "::"} else options.host
        self.url = f"http://{shown}:{port}"
        self._told = {
            "url": self.url,
            "accounts": [
                {"role": person.role, "name": person.name, "password": person.password} for person in self.people
            ],
            "mqtt": {"host": broker.HOST, "port": mqtt_port},
            "field": str(places.field_socket),
        }
        self._write_told()
        self._say("ready")

    def _port(self) -> int:
        """The port of the web; raise DemoError when another program has it."""
        if self._options.port == 0:
            return broker.free_port()
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((self._options.host, self._options.port))
            except OSError as exc:
                raise DemoError(
                    f"port {self._options.port} of {self._options.host} cannot be used ({exc.strerror}); "
                    "end the program that has it, or choose another with --port"
                ) from None
        return self._options.port

    def _tuoi(self, command: str, name: str, *more: str) -> list[str]:
        return [sys.executable, "-m", "tuoi", command, *more, "--config", str(self._places.config(name))]

    async def _run(self, name: str, argv: list[str], env: dict[str, str] | None = None) -> None:
        child = Child(name, argv, self._places.log(name), env=env)
        self._children[name] = child
        await child.start()
        child.watch(self._died, self._restarted)

    async def _seed(self) -> asyncio.subprocess.Process | None:
        """Start setting up farm, people and history, and return once the ground is known; None if all is there."""
        places = self._places
        if places.seeded.exists():
            return None
        with places.log("seed").open("wb") as log:
            seeding = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "firmware_sim.demo.seed", str(places.data), str(self._options.days)),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                start_new_session=True,
                preexec_fn=end_with_parent if sys.platform == "linux" else None,
            )
        self._children["seed"] = Child.of("seed", seeding, places.log("seed"))
        if self._options.days:
            self._say(f"history: living {self._options.days} days of the farm fast")
        await self._hear(seeding, b"ground")
        return seeding

    async def _seeded(self, seeding: asyncio.subprocess.Process) -> str:
        said = await self._hear(seeding, b"done")
        await seeding.wait()
        del self._children["seed"]
        return said.decode().removeprefix("done ").strip()

    async def _hear(self, seeding: asyncio.subprocess.Process, word: bytes) -> bytes:
        if seeding.stdout is None:
            raise NotReady("the seed has no output")
        line = await seeding.stdout.readline()
        if not line.startswith(word):
            raise NotReady(f"farm and history could not be set up:\n{self._children['seed'].last_words()}")
        return line

    async def _until(self, ready: Callable[[], bool], name: str, what: str) -> None:
        """Ask again and again, because most of them have no other way to tell; raise DemoError when time is out."""
        deadline_s = time.monotonic() + READY_S
        while not await asyncio.to_thread(ready):
            if time.monotonic() > deadline_s:
                words = self._children[name].last_words()
                raise NotReady(f"{what} is not ready after {READY_S:g} s; see {self._places.data / 'logs'}\n{words}")
            await asyncio.sleep(0.05)

    # --- life ---------------------------------------------------------------------------------------------------------

    def _died(self, child: Child, how: str) -> None:
        if child.name not in self._dying:
            self._dying.add(child.name)
            self._say(f"{child.name} {how}; starting it again (its log: {self._places.log(child.name)})")

    def _restarted(self, child: Child) -> None:
        asyncio.get_running_loop().call_later(10, self._dying.discard, child.name)
        if child.name == "field":
            # The kernel of these boards has gone: a board without its lines is a board to start again.
            for name, other in self._children.items():
                if name.endswith(("-guard", "-agent")):
                    self._dying.add(name)
                    other.kick()
        self._write_told()

    def _write_told(self) -> None:
        if self._told is not None:
            write_json(self._places.told, {**self._told, "processes": {**self.pids, "demo": os.getpid()}})

    def _say(self, sentence: str) -> None:
        self._tell(f"{time.monotonic() - self._begun_s:6.1f} s  {sentence}")

    # --- end ----------------------------------------------------------------------------------------------------------

    async def stop(self) -> None:
        """End every process: boards first, then see in the field itself that every valve is closed, the field last."""
        self._places.told.unlink(missing_ok=True)
        field = self._children.pop("field", None)
        agents = [child for name, child in self._children.items() if name.endswith("-agent")]
        guards = [child for name, child in self._children.items() if name.endswith("-guard")]
        rest = [child for child in self._children.values() if child not in agents + guards]
        if self._told is not None:
            self._say("closing every valve")
        for some in (agents, guards):
            await asyncio.gather(*(child.end() for child in some))
        closed = await asyncio.to_thread(self._all_closed) if field is not None and field.pid is not None else None
        await asyncio.gather(*(child.end() for child in rest))
        if field is not None:
            await field.end()
        if closed is not None:
            self._say("every valve is closed, every process has ended" if closed else "A VALVE IS STILL OPEN")
        self._children.clear()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _all_closed(self) -> bool:
        """Ask the field, not those who drove the valves."""
        with suppress(FieldError, TimeoutError), FieldClient(self._places.field_socket) as field:
            field.wait_all_closed(3)
            return not any(line["function"] == "output" for line in field.snapshot()["lines"])
        return False


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


def _own_address() -> str:
    """Where a phone in the same network reaches us; nothing is sent to find out."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # an address for documentation: only the route to it is looked up
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"
