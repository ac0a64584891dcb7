"""The gateway as a process, killed with SIGKILL and started again: nothing lost or doubled, no order forgotten."""

import asyncio
import random
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from contract.messages import Close, FarmState, Lane, Open, Outcome, Reply, Status
from contract.outbox import Outbox, Sender
from contract.store import open_database, transaction
from contract.topics import Channel, gateways_up_filter
from irrigation.run import RunState
from tests.fixtures.mosquitto import Mosquitto
from tests.fixtures.processes import Process, Processes
from tests.unit.gateway import farm as f
from tests.unit.gateway.scripted import Board, End, Server, utc

pytestmark = pytest.mark.uses_broker


class Killable:
    """A gateway process that can be killed and started again on the same journal."""

    def __init__(self, processes: Processes, port: int, folder: Path) -> None:
        self.config = folder / "gateway.toml"
        self.config.write_text(
            f'farm_id = "mai"\ndata_dir = "{folder / "gateway"}"\n'
            f"[mqtt]\nport = {port}\nretry_least_s = 0.05\nretry_most_s = 0.2\n"
        )
        self._processes = processes
        self._port = port
        self._process: Process | None = None
        self._births = 0

    async def start(self) -> None:
        """Start it and return when it hears."""
        async with End(self._port, "observer", [gateways_up_filter()], None) as observer:
            before = {status.boot_id for status in observer.got(Status)}
            self._process = self._processes.start(
                sys.executable, "-m", "tuoi", "gateway", "--config", self.config, name=f"gateway-{self._births}"
            )
            self._births += 1
            await observer.wait_for(Status, lambda status: status.online and status.boot_id not in before)

    def kill(self) -> None:
        """End it as a power cut would."""
        assert self._process is not None
        self._process.kill()

    def terminate(self) -> int:
        """End it as systemd would; return its exit code."""
        assert self._process is not None
        return self._process.terminate()


@pytest.fixture
def killable(processes: Processes, mosquitto: Mosquitto, tmp_path: Path) -> Killable:
    return Killable(processes, mosquitto.port, tmp_path)


async def test_an_order_under_way_keeps_its_deadline_through_a_kill(
    killable: Killable, mosquitto: Mosquitto, tmp_path: Path
) -> None:
    async with Server(mosquitto.port, tmp_path) as server:
        await killable.start()
        await server.configure(f.FARM)
        order = f.open_order("beans", utc(), expires_at=utc() + timedelta(seconds=5))
        assert (await server.order(order)).outcome is Outcome.ACCEPTED
        killable.kill()
        await killable.start()
        expired = await server.wait_run(order.run_id, RunState.EXPIRED)
        assert expired.reason is not None
        assert expired.reason.code == "board-away"
        assert [event.state for event in server.runs(order.run_id)] == [RunState.ACCEPTED, RunState.EXPIRED]


async def test_an_order_is_passed_on_after_a_kill_and_answered_as_before(
    killable: Killable, mosquitto: Mosquitto, tmp_path: Path
) -> None:
    async with Server(mosquitto.port, tmp_path) as server:
        await killable.start()
        await server.configure(f.FARM)
        order = f.open_order("beans", utc())
        await server.order(order)
        killable.kill()
        async with Board(mosquitto.port) as board:
            await killable.start()
            await server.wait_run(order.run_id, RunState.OPEN)
            await server.say(Channel.COMMAND, order)
            await server.heard.wait(lambda: len([r for r in server.got(Reply) if r.command_id == order.id]) == 2)
            assert {opened.id for opened in board.got(Open)} == {order.id}
            assert len(board.open) == 1


async def test_a_stop_is_said_again_after_a_kill(killable: Killable, mosquitto: Mosquitto, tmp_path: Path) -> None:
    async with Server(mosquitto.port, tmp_path) as server, Board(mosquitto.port) as board:
        await killable.start()
        await server.configure(f.FARM)
        order = f.open_order("beans", utc())
        await server.order(order)
        await server.wait_run(order.run_id, RunState.OPEN)
        board.deaf = True
        await server.order(f.close_order(order.run_id, utc()))
        first = await board.wait_for(Close)
        killable.kill()
        board.deaf = False
        await killable.start()
        again = await board.wait_for(Close, lambda close: close.id != first.id)
        assert again.run_id == order.run_id
        await server.wait_run(order.run_id, RunState.STOPPED)


async def test_what_boards_measured_arrives_once_however_often_the_gateway_is_killed(
    killable: Killable, mosquitto: Mosquitto, tmp_path: Path
) -> None:
    wanted = 6000
    db = open_database(tmp_path / "board.sqlite3")
    outbox = Outbox(db, boot_id="boot-1")
    with transaction(db):
        outbox.append(*f.readings(1, wanted, utc()))
    async with Server(mosquitto.port, tmp_path) as server, Board(mosquitto.port) as board:
        board.sender = Sender(outbox, board.link, "mai", "board-1", resend_s=0.3)
        moving = asyncio.create_task(board.sender.run(), name="board's sender")
        board.sender.on_connect()
        chance = random.Random(7)
        await killable.start()
        for share in (0.2, 0.5, 0.8):
            await server.have(int(share * wanted * chance.random()))
            killable.kill()
            await killable.start()
        await server.have(wanted)
        await board.heard.wait(lambda: outbox.depth(Lane.READINGS) == 0)
        moving.cancel()
        await asyncio.gather(moving, return_exceptions=True)
        assert len(server.stored.readings) == wanted
        values = [reading.value for _, reading in server.stored.readings]
        assert values == [reading.value for reading in f.readings(1, wanted)]
    db.close()


async def test_it_ends_cleanly_and_says_so(killable: Killable, mosquitto: Mosquitto, tmp_path: Path) -> None:
    async with Server(mosquitto.port, tmp_path) as server:
        await killable.start()
        await server.wait_for(FarmState)
        assert await asyncio.to_thread(killable.terminate) == 0
        await server.wait_for(Status, lambda status: not status.online)
        await killable.start()
        boots = await server.heard.wait(
            lambda: len(found := [e for _, e in server.stored.events if e.kind == "boot"]) == 2 and found
        )
        assert [boot.why for boot in boots] == ["start", "start"]
