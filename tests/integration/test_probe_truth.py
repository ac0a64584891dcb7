"""Probes that break in the simulated field, as the unchanged board tells of them: real pins, guard, agent and broker."""

import asyncio
import sys
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from contract.messages import ChannelSettings, FaultEvent, NodeConfig, Quality, Quantity, Reading
from contract.topics import Channel
from firmware_sim.field_client import FieldClient
from irrigation.model import Dose
from irrigation.run import RunState
from tests.fixtures.mosquitto import Mosquitto
from tests.fixtures.processes import Processes
from tests.unit.edge.board import ROOT, Gateway

pytestmark = pytest.mark.uses_broker
_farms = count(1)

SPEED = 600.0

FIELD = """
socket = "{socket}"
speed = 600.0
pipe_fill_s = 0
[[sources]]
id = "tank"
capacity_l_min = 600
[[zones]]
id = "tea"
source = "tank"
area_m2 = 100
flow_l_min = 480
start_moisture_pct = 26
[[boards]]
node = "board-1"
valves = [{{ gpio = 17, zone = "tea" }}]
meters = [{{ gpio = 22, zone = "tea", pulses_per_litre = 10 }}]
probes = [{{ adc = 0, zone = "tea", depth_m = 0.05 }}, {{ adc = 1, zone = "tea", depth_m = 0.05 }}]
"""

BOARD = """
farm_id = "{farm_id}"
node_id = "board-1"
state_dir = "state"
report_every_s = 1
[gpio]
factory = "sim"
[mqtt]
port = {port}
[[valve]]
channel = "v1"
pin = 17
max_open_s = 60
[valve.meter]
pin = 22
pulses_per_litre = 10
[[probe]]
sensor = "soil-1"
adc = 0
points = [[0.3636, 60.0], [0.8485, 0.0]]
[[probe]]
sensor = "soil-2"
adc = 1
points = [[0.3636, 60.0], [0.8485, 0.0]]
[soil]
rise_pct_h = 36000.0
fall_pct_h = 12000.0
watering_least_s = 0.5
wetting_wait_s = 1.0
"""


@pytest.fixture
def farm(tmp_path: Path, shared_mosquitto: Mosquitto, processes: Processes) -> Iterator[tuple[FieldClient, Gateway]]:
    """A field, and a board of three real processes in it."""
    farm_id = f"field-farm-{next(_farms)}"
    with tempfile.TemporaryDirectory(prefix="tuoi-") as short:
        socket = Path(short) / "field.sock"
        (tmp_path / "field.toml").write_text(FIELD.format(socket=socket), encoding="utf-8")
        (tmp_path / "board.toml").write_text(
            BOARD.format(farm_id=farm_id, port=shared_mosquitto.port), encoding="utf-8"
        )
        tuoi = (sys.executable, "-m", "tuoi")
        field = processes.start(*tuoi, "field", "--config", tmp_path / "field.toml", cwd=ROOT, name="field")
        field.wait_for("field ready")
        env = {"TUOI_FIELD_SOCKET": str(socket), "TUOI_FIELD_NODE": "board-1"}
        for part in ("guard", "agent"):
            processes.start(*tuoi, "edge", part, "--config", tmp_path / "board.toml", cwd=ROOT, name=part, env=env)
        with FieldClient(socket) as client:
            yield client, Gateway(farm_id, shared_mosquitto.port)


async def told(gateway: Gateway, sensor: str, quality: Quality, reason: str | None) -> Reading:
    """Return the first new reading of a probe that has that quality and reason."""
    after = len(gateway.readings)
    found: Reading = await gateway.until(
        lambda: next(
            (
                one
                for one in gateway.readings[after:]
                if one.quantity is Quantity.SOIL_MOISTURE
                and (one.sensor, one.quality, one.reason) == (sensor, quality, reason)
            ),
            None,
        )
    )
    return found


async def test_what_breaks_in_the_field_is_told_by_the_board(farm: tuple[FieldClient, Gateway]) -> None:
    field, gateway = farm
    listening = asyncio.create_task(gateway.link.run(), name="gateway")
    try:
        await gateway.until(lambda: gateway.hellos)
        channel = ChannelSettings(
            channel="v1", zone_id="tea", max_run_s=60.0, flow_l_min=480.0, sensors=("soil-1", "soil-2")
        )
        await gateway.say(Channel.CONFIG, NodeConfig(version=1, tz="Asia/Ho_Chi_Minh", channels=(channel,)))
        await gateway.configured(1)
        for sensor in ("soil-1", "soil-2"):
            reading = await told(gateway, sensor, Quality.GOOD, None)
            assert reading.value == pytest.approx(field.moisture_pct("tea"), abs=2)
            assert reading.raw_unit == "share"
        for fault, reason in (("probe-open", "open-circuit"), ("probe-short", "short-circuit")):
            field.fault(fault, "board-1/0")
            await told(gateway, "soil-1", Quality.BAD, reason)
            assert (await told(gateway, "soil-2", Quality.GOOD, None)).reason is None
            field.fault(fault, "board-1/0", on=False)
            await told(gateway, "soil-1", Quality.GOOD, None)

        field.fault("probe-stuck", "board-1/0")
        await gateway.open("run-1", dose=Dose(minutes=0.05), max_s=3.0)
        await gateway.reached("run-1", RunState.DONE)
        await told(gateway, "soil-1", Quality.SUSPECT, "stuck")
        assert (await told(gateway, "soil-2", Quality.GOOD, None)).value == pytest.approx(
            field.moisture_pct("tea"), abs=2
        )
        raised: FaultEvent = await gateway.until(
            lambda: next((one for one in gateway.events if isinstance(one, FaultEvent) and not one.cleared), None)
        )
        assert (raised.code, raised.zone_id, raised.params) == (
            "probe-bad", "tea", {"sensors": "soil-1", "reason": "stuck"},
        )  # fmt: skip
        field.fault("probe-stuck", "board-1/0", on=False)
        await told(gateway, "soil-1", Quality.GOOD, None)
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
