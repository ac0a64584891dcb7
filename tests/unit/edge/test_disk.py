"""A board whose disk fills up, goes read-only, or loses its head: valves close, the board goes on and says so."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest

from contract.errors import StoreUnavailable
from contract.messages import Outcome, PlanSource
from contract.topics import Channel
from edge.app import DATABASE, LEASE_IN_RAM_S
from edge.store import Store
from irrigation.model import Dose
from irrigation.run import RunState
from tests.fixtures.disks import SmallDisk
from tests.fixtures.mosquitto import Mosquitto
from tests.fixtures.processes import Processes
from tests.unit.edge.board import Bench
from tests.unit.edge.test_agent import entry, timetable

pytestmark = pytest.mark.uses_broker
_farms = count(1)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    made = SmallDisk(tmp_path / "disk")
    yield made
    made.close()


@pytest.fixture
def bench(tmp_path: Path, disk: SmallDisk, shared_mosquitto: Mosquitto, processes: Processes) -> Bench:
    """A board whose state is on the small disk, and whose guard's socket is not."""
    made = Bench(tmp_path, f"disk-farm-{next(_farms)}", shared_mosquitto.port, processes)
    text = made.path.read_text().replace('state_dir = "state"', f'state_dir = "{disk.path}"')
    text = text.replace("max_open_s = 60\nmax_day_s = 100", "max_open_s = 1800").replace(
        "[gpio]", f'[guard]\nsocket = "{tmp_path}/guard.sock"\n[gpio]'
    )
    made.path.write_text(text)
    made.reload()
    return made


async def test_a_disk_that_fills_up_closes_the_valves_and_the_next_life_runs_from_ram_until_there_is_room(
    bench: Bench, disk: SmallDisk
) -> None:
    guard = bench.start_guard()
    async with bench.listening() as gateway:
        with pytest.raises(StoreUnavailable, match="the store failed"):
            async with bench.agent() as agent:
                await gateway.say(
                    Channel.TIMETABLE, timetable(entry(datetime.now(UTC) + timedelta(hours=1)), version=7)
                )
                await gateway.open("run-1")
                await gateway.reached("run-1", RunState.OPEN)
                disk.fill()
                await agent.ending.wait()
        guard.wait_for("valve v1 closed", after=guard.number_of("valve v1 open"))
        async with bench.agent() as agent:
            fault = await gateway.told("no-disk")
            assert "disk" in str(fault.params["detail"])
            assert (await gateway.reached("run-1", RunState.INTERRUPTED)).channel == "v1"
            assert agent.plan.source() is PlanSource.TIMETABLE
            assert agent._timetable_version() == 7  # what the disk can still tell is known
            reply = await gateway.answered(await gateway.open("run-2", max_s=LEASE_IN_RAM_S + 1))
            assert reply.reason is not None
            assert (reply.outcome, reply.reason.code) == (Outcome.REFUSED, "no-disk")
            await gateway.open("run-3", max_s=0.3, dose=Dose(minutes=0.05))
            await gateway.reached("run-3", RunState.DONE)
            before = len(gateway.readings)
            await gateway.until(lambda: len(gateway.readings) > before)
            disk.free()
            agent.try_the_disk()
            await agent.ending.wait()
        async with bench.agent() as agent:
            await gateway.told("no-disk", cleared=True)
            assert agent.store.has_ended("run-3")  # done in RAM, and not forgotten
            assert agent._timetable_version() == 7
            assert agent.store.used_s("v1", agent.clock.now()) > 0


async def test_a_disk_that_is_read_only_at_the_start_is_read_and_the_board_waters_by_its_plan(
    bench: Bench, disk: SmallDisk
) -> None:
    guard = bench.start_guard()
    async with bench.listening() as gateway:
        async with bench.agent():
            await gateway.say(Channel.TIMETABLE, timetable(entry(datetime.now(UTC) + timedelta(seconds=6)), version=3))
            await gateway.until(lambda: bool(gateway.states) and gateway.states[-1].timetable_version == 3)
        disk.set_read_only(read_only=True)
        async with bench.agent():
            await gateway.told("no-disk")
            await gateway.reached("run-e1", RunState.DONE)
        disk.set_read_only(read_only=False)
    assert guard.lines.count("valve v1 open") == 1


async def test_a_database_that_is_harmed_while_it_is_in_use_is_set_aside_and_what_is_whole_of_it_is_kept(
    bench: Bench, disk: SmallDisk
) -> None:
    guard = bench.start_guard()
    path = disk.path / DATABASE
    due = entry(datetime.now(UTC) + timedelta(hours=1), name=f"entry-{200:060d}")
    async with bench.listening() as gateway:
        with pytest.raises(StoreUnavailable, match="malformed"):
            async with bench.agent() as agent:
                with agent.store.transaction():
                    for number in range(400):
                        agent.store.set_done(f"entry-{number:060d}", agent.clock.now())
                await gateway.say(Channel.TIMETABLE, timetable(due, version=9))
                await gateway.until(lambda: bool(gateway.states) and gateway.states[-1].timetable_version == 9)
                await gateway.open("run-1")
                await gateway.reached("run-1", RunState.OPEN)
                harm(agent.store, path, b"entry-%060d" % 201)  # not the page with the timetable, which names 200
                agent.plan.look()  # looks for what is done in a page that is no more
                await agent.ending.wait()
        guard.wait_for("valve v1 closed", after=guard.number_of("valve v1 open"))
        async with bench.agent() as agent:
            fault = await gateway.told("database-replaced")
            assert (disk.path / str(fault.params["file"])).exists()
            ends = {RunState.STOPPED, RunState.INTERRUPTED}  # by this life or by the last, as far as that could write
            await gateway.until(lambda: ends & set(gateway.states_of("run-1")))
            assert agent._timetable_version() == 9
            assert agent.store.has_ended("run-1")
            assert agent.store.used_s("v1", agent.clock.now()) > 0
            kept = agent.store.done(f"entry-{number:060d}" for number in range(400))
            assert 0 < len(kept) < 400  # those before the hole


def harm(store: Store, path: Path, what: bytes) -> None:
    """Overwrite every page on the disk that has `what` in it, and leave the store none in its memory."""
    store.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    whole = path.read_bytes()
    pages = [at for at in range(0, len(whole), 4096) if what in whole[at : at + 4096]]
    assert len(pages) >= 2  # in the table and in its index
    with path.open("r+b") as file:
        for at in pages:
            file.seek(at)
            file.write(b"\xff" * 4096)
    store.db.execute("PRAGMA cache_size = 0")
    store.db.execute("PRAGMA shrink_memory")
