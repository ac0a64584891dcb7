"""The fault matrix's valves and pipes, broken in the simulated field under the unchanged agent and guard."""

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path

import pytest

from contract.messages import ChannelSettings, NodeConfig, RunEvent, ValvePosition
from contract.topics import Channel
from firmware_sim.field_client import FieldClient
from irrigation.model import Dose
from irrigation.run import RunState
from tests.fixtures.mosquitto import Mosquitto
from tests.fixtures.processes import Processes
from tests.unit.edge.board import ROOT, WATER_S, Gateway

pytestmark = pytest.mark.uses_broker
_farms = count(1)
_S = RunState

FIELD = """
kind = "field"
socket = "{folder}/field.sock"
pipe_fill_s = 0
[[sources]]
id = "tank"
capacity_l_min = 200
[[zones]]
id = "tea"
source = "tank"
area_m2 = 100
flow_l_min = 30
[[zones]]
id = "rice"
source = "tank"
area_m2 = 100
flow_l_min = 30
[[zones]]
id = "beans"
source = "tank"
area_m2 = 100
flow_l_min = 30
[[boards]]
node = "board-1"
supplies = [{{ id = "pump", gpio = 23 }}]
valves = [
  {{ gpio = 17, zone = "tea" }},
  {{ gpio = 18, zone = "rice", supply = "pump" }},
  {{ gpio = 19, zone = "beans", supply = "pump" }},
]
meters = [{{ gpio = 22, zone = "tea", pulses_per_litre = 10 }}, {{ gpio = 24, zone = "rice", pulses_per_litre = 10 }}]
"""
BOARD = """
farm_id = "{farm_id}"
node_id = "board-1"
state_dir = "{folder}"
gpio = {{ factory = "sim" }}
mqtt = {{ port = {port}, retry_least_s = 0.05, retry_most_s = 0.2 }}
watch = {{ no_flow_s = 3, fill_s = 0, night_window_s = 20 }}
[[valve]]
channel = "v1"
pin = 17
max_open_s = 60
meter = {{ pin = 22, pulses_per_litre = 10 }}
[[valve]]
channel = "v2"
pin = 18
max_open_s = 60
supply = "pump"
meter = {{ pin = 24, pulses_per_litre = 10 }}
[[valve]]
channel = "v3"
pin = 19
max_open_s = 60
supply = "pump"
[[supply]]
name = "pump"
pin = 23
max_open_s = 600
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path: the kernel takes 108 characters for a unix socket."""
    with tempfile.TemporaryDirectory(prefix="tuoi-") as made:
        yield Path(made)


@pytest.fixture
def field(folder: Path, processes: Processes) -> Iterator[FieldClient]:
    (folder / "field.toml").write_text(FIELD.format(folder=folder))
    process = processes.start(sys.executable, "-m", "tuoi", "field", "--config", folder / "field.toml", cwd=ROOT)
    process.wait_for("field ready")
    with FieldClient(folder / "field.sock") as client:
        yield client


@pytest.fixture
async def gateway(
    folder: Path, field: FieldClient, shared_mosquitto: Mosquitto, processes: Processes
) -> AsyncIterator[Gateway]:
    """A gateway's ear on a board of real processes in the field, which has its zone's settings."""
    farm_id = f"field-farm-{next(_farms)}"
    board = folder / "board.toml"
    board.write_text(BOARD.format(folder=folder, farm_id=farm_id, port=shared_mosquitto.port))
    env = {"TUOI_FIELD_SOCKET": str(folder / "field.sock"), "TUOI_FIELD_NODE": "board-1"}
    ear = Gateway(farm_id, shared_mosquitto.port)
    listening = asyncio.create_task(ear.link.run(), name="gateway")
    try:
        await ear.until(lambda: ear.link.connected)
        for part in ("guard", "agent"):
            argv = (sys.executable, "-m", "tuoi", "edge", part, "--config", board)
            processes.start(*argv, cwd=ROOT, env=env, name=part)
        await ear.until(lambda: ear.hellos, WATER_S)
        zones = tuple(
            ChannelSettings(channel=channel, zone_id=zone_id, max_run_s=60.0, flow_l_min=30.0, source_l_min=200.0)
            for channel, zone_id in (("v1", "tea"), ("v2", "rice"), ("v3", "beans"))
        )
        await ear.say(Channel.CONFIG, NodeConfig(version=1, tz="UTC", channels=zones))
        await ear.configured(1)
        await ear.until(lambda: ear.states[-1].valves[0].position is ValvePosition.CLOSED)
        yield ear
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


async def failed(gateway: Gateway, run_id: str, code: str) -> RunEvent:
    ended = await gateway.reached(run_id, _S.FAILED, WATER_S)
    assert ended.reason is not None
    assert ended.reason.code == code
    return ended


async def refused(gateway: Gateway, run_id: str) -> dict[str, float | str]:
    """Return what the next order is refused with."""
    reply = await gateway.answered(await gateway.open(run_id))
    assert reply.reason is not None
    assert gateway.runs(run_id) == []
    return {"code": reply.reason.code, **reply.reason.params}


async def test_row_5_a_valve_that_sticks_open_is_told_and_the_zone_is_locked_out(
    gateway: Gateway, field: FieldClient
) -> None:
    await gateway.open("run-1", dose=Dose(litres=2.0))
    await gateway.reached("run-1", _S.WATERING)
    with field.broken("valve-stuck-open", "board-1/17"):
        await gateway.reached("run-1", _S.DONE)  # its line is shut; what the meter says comes next
        assert (await gateway.told("flow-while-closed")).zone_id == "tea"
        await gateway.until(lambda: gateway.states[-1].valves[0].position is ValvePosition.CLOSE_FAILED)
        assert (await refused(gateway, "run-2"))["fault"] == "flow-while-closed"
        # A person says that it is mended, and it is not: told and locked again.
        await gateway.reset("v1")
        await gateway.told("flow-while-closed", cleared=True)
        await gateway.until(lambda: gateway.faults()[-1] == ("flow-while-closed", False), WATER_S)
    await gateway.reset("v1")
    await gateway.until(lambda: gateway.states[-1].valves[0].quarantine is None)
    await gateway.open("run-3", dose=Dose(litres=1.0))
    assert (await gateway.reached("run-3", _S.DONE)).litres is not None


async def test_row_5_water_through_a_shut_valve_stops_the_pump_and_keeps_it_off(
    gateway: Gateway, field: FieldClient
) -> None:
    with field.broken("valve-stuck-open", "board-1/18"):  # seen as soon as the pump runs for a neighbour
        await gateway.open("run-1", zone_id="beans", channel="v3")
        await gateway.reached("run-1", _S.OPEN)
        assert field.runs("board-1", "pump")
        assert (await gateway.told("flow-while-closed")).zone_id == "rice"
        ended = await gateway.reached("run-1", _S.INTERRUPTED)
        assert ended.reason is not None
        assert ended.reason.code == "locked"
        assert not field.runs("board-1", "pump")
        again = await gateway.answered(await gateway.open("run-2", zone_id="beans", channel="v3"))
        assert again.reason is not None
        assert (again.reason.code, again.reason.params) == (
            "supply-locked",
            {"supply": "pump", "fault": "flow-while-closed"},
        )
    assert (await gateway.answered(await gateway.reset("v2"))).reason is None
    await gateway.open("run-3", zone_id="beans", channel="v3", max_s=1.0, dose=Dose(minutes=0.05))
    await gateway.reached("run-3", _S.DONE)


@pytest.mark.parametrize(("fault", "key"), [("valve-stuck-shut", "board-1/17"), ("source-dry", "tank")])
async def test_row_6_no_water_closes_without_a_retry(
    gateway: Gateway, field: FieldClient, fault: str, key: str
) -> None:
    with field.broken(fault, key):
        await gateway.open("run-1")
        await failed(gateway, "run-1", "no-flow")
        await gateway.told("no-flow")
        field.wait_valve("board-1", 17, open=False)
    raised = [line for line in field.history() if (line["gpio"], line["level"]) == (17, 1)]
    assert len(raised) == 1
    await gateway.open("run-2", dose=Dose(litres=1.0))
    await gateway.told("no-flow", cleared=True)


async def test_row_7_a_burst_line_is_closed_and_locked_out(gateway: Gateway, field: FieldClient) -> None:
    with field.broken("pipe-burst", "tea"):
        await gateway.open("run-1")
        ended = await failed(gateway, "run-1", "burst")
        assert ended.reason is not None
        assert float(ended.reason.params["flow_l_min"]) == pytest.approx(120, rel=0.1)
        field.wait_valve("board-1", 17, open=False)
    assert (await refused(gateway, "run-2"))["fault"] == "burst"


async def test_row_7_a_slow_leak_is_found_with_everything_closed(gateway: Gateway, field: FieldClient) -> None:
    with field.broken("valve-leaks", "board-1/17"):  # 1.5 L/min, a twentieth of the zone's flow
        await gateway.told("night-flow")
    assert (await refused(gateway, "run-1"))["fault"] == "night-flow"


@pytest.mark.parametrize("fault", ["meter-dead", "meter-jumps"])
async def test_row_8_a_broken_meter_floods_nothing(gateway: Gateway, field: FieldClient, fault: str) -> None:
    with field.broken(fault, "board-1/22"):
        await gateway.open("run-1", dose=Dose(litres=500.0), max_s=4.0)
        ended = await gateway.until(
            lambda: next((event for event in gateway.runs("run-1") if event.state in {_S.DONE, _S.FAILED}), None)
        )
        field.wait_valve("board-1", 17, open=False)
        assert ended.reason is not None
        # Pulses that stay away are a drought, for all that the board can tell; too many end no dose.
        assert (ended.state, ended.reason.code) == (
            (_S.FAILED, "no-flow") if fault == "meter-dead" else (_S.DONE, "meter-jump")
        )
