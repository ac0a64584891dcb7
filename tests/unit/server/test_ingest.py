"""What a gateway reports is stored once, whatever happens between the commit and the acknowledgement."""

import os
import random
import signal
import subprocess
import sys
import textwrap
from datetime import timedelta
from pathlib import Path

from contract.messages import Ack, Batch, Lane, Origin, RunEvent
from contract.topics import Channel
from irrigation.model import Decision, Dose, Result, Rule
from irrigation.run import RunState
from server.ledger import history
from tests.unit.server.coop import NOW, Coop, reading

KILLED = """
    import os, signal, sys
    from pathlib import Path
    from tests.unit.server.coop import Coop
    from tests.unit.server.test_ingest import events, readings

    coop = Coop.open(Path(sys.argv[1]))
    for batch in (readings(1, 50), events(1, 5)):
        coop.app.ingest.batch("mai", batch)
    print("stored", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def readings(first: int, last: int, boot: str = "g1") -> Batch:
    own = tuple(reading(n, 20 + n % 5, NOW + timedelta(seconds=n)) for n in range(first, last + 1))
    return Batch(boot_id=boot, lane=Lane.READINGS, after_seq=first - 1, readings=own)


def event(seq: int, state: RunState | None = None) -> RunEvent:
    return RunEvent(
        seq=seq, node_id="board-1", at=NOW + timedelta(seconds=seq), run_id=f"run-{seq}" if state is None else "run-1",
        zone_id="dau-tay", channel="v1", state=state or RunState.DONE, origin=Origin.PROGRAM, actor="sang-dau-tay",
        dose=Dose(minutes=5), max_s=300.0, program_id="sang-dau-tay", opened_at=NOW, litres=10.0, open_s=60.0,
    )  # fmt: skip


def events(first: int, last: int, boot: str = "g1") -> Batch:
    own = tuple(event(seq) for seq in range(first, last + 1))
    return Batch(boot_id=boot, lane=Lane.EVENTS, after_seq=first - 1, events=own)


async def totals(coop: Coop) -> tuple[float, int, int]:
    """Litres, runs, readings."""
    async with coop.client("mai") as mai:
        span = "from=2026-11-23T00:00:00Z&to=2026-11-24T00:00:00Z"
        rows = (await mai.get(f"/farms/mai/water-use?by=zone&{span}")).json()["rows"]
        runs = (await mai.get("/zones/dau-tay/runs?limit=500")).json()["runs"]
        points = (await mai.get(f"/zones/dau-tay/series?points=5000&{span}")).json()["points"]
    return sum(row["litres"] for row in rows), len(runs), len(points)


async def test_a_server_killed_between_commit_and_ack_stores_what_comes_again_once(coop: Coop) -> None:
    coop.close()
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(KILLED), str(coop.folder)],
        stdout=subprocess.PIPE, cwd=Path(__file__).parents[3], check=False, timeout=50,
        env=os.environ | {"PYTHONPATH": "."},
    )  # fmt: skip
    assert (done.stdout, done.returncode) == (b"stored\n", -signal.SIGKILL)
    again = Coop.open(coop.folder)
    assert again.app.ingest.batch("mai", readings(1, 50)) == Ack(boot_id="g1", lane=Lane.READINGS, seq=50)
    assert again.app.ingest.batch("mai", events(1, 5)) == Ack(boot_id="g1", lane=Lane.EVENTS, seq=5)
    assert await totals(again) == (50.0, 5, 50)
    again.close()


async def test_shuffled_doubled_and_overlapping_batches_store_each_record_once(coop: Coop) -> None:
    chance = random.Random(7)
    pieces = [make(first, min(first + 6, 60)) for make in (readings, events) for first in range(1, 61, 4)]
    held = {Lane.READINGS: 0, Lane.EVENTS: 0}
    while min(held.values()) < 60:
        batch = chance.choice(pieces)
        ack = coop.app.ingest.batch("mai", batch)
        assert ack.seq >= held[batch.lane]
        held[batch.lane] = ack.seq
    assert await totals(coop) == (600.0, 60, 60)


async def test_the_acknowledgement_is_sent_and_the_last_says_all(coop: Coop) -> None:
    import asyncio

    task = asyncio.create_task(coop.app.services.gateways.send_acks())
    for first in (1, 11, 21):
        await coop.link.says("mai", Channel.BATCH, readings(first, first + 9))
    while not coop.link.sent:
        await asyncio.sleep(0)
    task.cancel()
    acks = [message for _, channel, message in coop.link.sent if channel is Channel.ACK]
    assert acks[-1] == Ack(boot_id="g1", lane=Lane.READINGS, seq=30)
    await asyncio.gather(task, return_exceptions=True)


async def test_a_farm_that_is_not_set_up_is_not_heard(coop: Coop) -> None:
    await coop.link.says("nobody", Channel.BATCH, readings(1, 3))
    assert coop.link.sent == []
    assert coop.app.ingest.stored[Lane.READINGS] == 0


async def test_late_reports_of_a_run_do_not_undo_its_end(coop: Coop) -> None:
    states = (RunState.OPEN, RunState.DONE, RunState.WATERING, RunState.CLOSING)
    own = tuple(event(seq, state) for seq, state in enumerate(states, 1))
    coop.app.ingest.batch("mai", Batch(boot_id="g1", lane=Lane.EVENTS, after_seq=0, events=own))
    async with coop.client("mai") as mai:
        (run,) = (await mai.get("/zones/dau-tay/runs")).json()["runs"]
        assert (run["state"], run["ended_at"], run["origin"]) == ("done", "2026-11-23T05:00:02.000Z", "program")


async def test_a_report_about_another_farms_run_is_refused(coop: Coop) -> None:
    coop.app.ingest.batch("mai", events(1, 1))
    coop.app.ingest.batch("lan", Batch(boot_id="x", lane=Lane.EVENTS, after_seq=0, events=(event(1, RunState.FAILED),)))
    with coop.app.services.ledger.read() as connection:
        run = history.run(connection, "run-1")
    assert run is not None
    assert (run.farm_id, run.state) == ("mai", RunState.DONE)


async def test_decisions_are_told_newest_first_and_by_zone(coop: Coop) -> None:
    from contract.messages import DecisionEvent

    def decided(seq: int, zone_id: str) -> DecisionEvent:
        decision = Decision(
            id=f"entry-{seq}", program_id="sang-dau-tay", zone_id=zone_id, due=NOW - timedelta(days=seq),
            result=Result.SKIPPED, rule=Rule.HOLD, params={"reason": "mưa"},
        )  # fmt: skip
        return DecisionEvent(seq=seq, at=NOW, decision=decision)

    own = (decided(1, "dau-tay"), decided(2, "rau-cai-meo"), decided(3, "dau-tay"))
    coop.app.ingest.batch("mai", Batch(boot_id="g1", lane=Lane.EVENTS, after_seq=0, events=own))
    async with coop.client("mai") as mai:
        found = (await mai.get("/farms/mai/decisions?zone_id=dau-tay&to=2026-11-23T05:00:00Z")).json()["decisions"]
        assert [one["id"] for one in found] == ["entry-1", "entry-3"]
        assert found[0] == {
            "id": "entry-1", "zone_id": "dau-tay", "program_id": "sang-dau-tay", "due": "2026-11-22T05:00:00.000Z",
            "result": "skipped", "rule": "hold", "params": {"reason": "mưa"}, "at": "2026-11-23T05:00:00.000Z",
            "run_id": None, "next_at": None,
            "sentence": "Dâu tây nhà lưới was not watered 22/11 at 12:00. Programs were on hold.",
        }  # fmt: skip
