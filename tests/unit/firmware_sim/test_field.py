"""The simulated field with gpiozero's own device classes on it, each side a real process."""

import json
import signal
import socket
import sys
import tempfile
import threading
import time
import tomllib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from gpiozero import MCP3008, DigitalInputDevice, DigitalOutputDevice
from gpiozero.exc import GPIOPinInUse, PinInvalidFunction, PinPWMUnsupported, PinSetInput

from firmware_sim.errors import FieldLost, Refused
from firmware_sim.field_client import FieldClient
from firmware_sim.gpio import SimFactory
from firmware_sim.lines import Function, Line, Lines
from firmware_sim.settings import FieldSettings
from firmware_sim.wiring import JUMP_PULSES, Wiring
from firmware_sim.world import World
from tests.fixtures.processes import Processes

StartField = Callable[..., FieldClient]

FIELD = """
socket = "{socket}"
state = "{folder}/state.json"
speed = {speed}
pipe_fill_s = 0

[[sources]]
id = "tank"
capacity_l_min = 600

[[zones]]
id = "a"
source = "tank"
area_m2 = 100
flow_l_min = 480
start_moisture_pct = 30

[[zones]]
id = "b"
source = "tank"
area_m2 = 100
flow_l_min = 480

[[boards]]
node = "board-1"
valves = [{{ gpio = 17, zone = "a" }}, {{ gpio = 18, zone = "b", active_high = false }}]
meters = [{{ gpio = 22, zone = "a", pulses_per_litre = 10 }}]
probes = [{{ adc = 0, zone = "a", depth_m = 0.05, noise_v = 0 }}]
battery = {{ adc = 6 }}
thermometer = {{ adc = 7 }}

[[boards]]
node = "board-2"
"""

OWNER = """
import sys, time
from gpiozero import DigitalOutputDevice
from firmware_sim.gpio import SimFactory
valve = DigitalOutputDevice(17, initial_value=True, pin_factory=SimFactory(sys.argv[1], "board-1"))
print("driving", flush=True)
time.sleep(600)
"""


@pytest.fixture
def socket_path() -> Iterator[Path]:
    """A short path: the kernel takes 108 characters for a unix socket."""
    with tempfile.TemporaryDirectory(prefix="tuoi-") as folder:
        yield Path(folder) / "field.sock"


@pytest.fixture
def start_field(processes: Processes, socket_path: Path, tmp_path: Path) -> Iterator[StartField]:
    def start(speed: float = 1.0) -> FieldClient:
        settings = tmp_path / "field.toml"
        settings.write_text(FIELD.format(socket=socket_path, folder=tmp_path, speed=speed), encoding="utf-8")
        process = processes.start(sys.executable, "-m", "tuoi", "field", "--config", settings, name="field")
        process.wait_for("field ready")
        client = FieldClient(socket_path)
        clients.append(client)
        return client

    clients: list[FieldClient] = []
    yield start
    for client in clients:
        client.close()


@pytest.fixture
def field(start_field: StartField) -> FieldClient:
    return start_field()


@pytest.fixture
def factory(field: FieldClient, socket_path: Path) -> Iterator[SimFactory]:
    made = SimFactory(str(socket_path), "board-1")
    yield made
    made.close()


def test_an_output_opens_its_valve_and_reads_back_what_the_field_has(field: FieldClient, factory: SimFactory) -> None:
    asked_ns = time.monotonic_ns()
    with DigitalOutputDevice(17, pin_factory=factory) as device:
        assert device.value == 0
        assert not field.valve("board-1", 17).open
        device.on()
        assert device.value == 1
        opened = field.wait_valve("board-1", 17, open=True)
        assert asked_ns < opened.since_ns < time.monotonic_ns()
        assert field.line("board-1", 17)["function"] == "output"
        device.off()
        assert field.wait_valve("board-1", 17, open=False, after_ns=opened.since_ns).since_ns > opened.since_ns
    assert field.line("board-1", 17)["function"] == "free"


def test_an_output_begins_at_its_initial_value_without_a_moment_at_the_other(
    field: FieldClient, factory: SimFactory
) -> None:
    with DigitalOutputDevice(18, active_high=False, initial_value=False, pin_factory=factory):
        assert field.line("board-1", 18)["level"] == 1
        assert not field.valve("board-1", 18).open
    levels = [(line["function"], line["level"]) for line in field.history() if line["gpio"] == 18]
    assert levels == [("output", 1), ("free", 0)]


def test_closing_the_device_closes_an_active_low_valve_too(field: FieldClient, factory: SimFactory) -> None:
    with DigitalOutputDevice(18, active_high=False, initial_value=True, pin_factory=factory):
        field.wait_valve("board-1", 18, open=True)
    assert not field.valve("board-1", 18).open


def test_a_killed_owner_releases_its_lines(field: FieldClient, processes: Processes, socket_path: Path) -> None:
    owner = processes.start(sys.executable, "-c", OWNER, socket_path, name="owner")
    owner.wait_for("driving")
    assert field.wait_valve("board-1", 17, open=True).pid == owner.pid
    killed_ns = time.monotonic_ns()
    owner.signal(signal.SIGKILL)
    closed = field.wait_valve("board-1", 17, open=False, after_ns=killed_ns)
    assert closed.since_ns - killed_ns < 1e9
    assert closed.pid is None


def test_a_line_has_one_owner(factory: SimFactory, socket_path: Path) -> None:
    other = SimFactory(str(socket_path), "board-1")
    with DigitalOutputDevice(17, pin_factory=factory), pytest.raises(Refused, match="pin 17 of board-1 is held"):
        DigitalOutputDevice(17, pin_factory=other)
    DigitalOutputDevice(17, pin_factory=other).close()
    other.close()


def test_a_pin_is_reserved_within_a_process(factory: SimFactory) -> None:
    with DigitalOutputDevice(17, pin_factory=factory), pytest.raises(GPIOPinInUse):
        DigitalOutputDevice(17, pin_factory=factory)


def test_the_meter_pulses_once_for_every_tenth_of_a_litre(field: FieldClient, factory: SimFactory) -> None:
    counted, enough = [0], threading.Event()

    def count() -> None:
        counted[0] += 1
        if counted[0] == 40:
            enough.set()

    with DigitalInputDevice(22, pull_up=True, pin_factory=factory) as meter:
        meter.when_activated = count
        with DigitalOutputDevice(17, pin_factory=factory, initial_value=True):
            assert enough.wait(10)
        field.wait_valve("board-1", 17, open=False)
        litres = field.litres("a")
        assert field.litres("a") == litres  # nothing passes a closed valve
        caught_up = threading.Event()
        deadline_s = time.monotonic() + 5
        while counted[0] < int(litres * 10 + 1e-9) and time.monotonic() < deadline_s:
            caught_up.wait(0.01)
        assert counted[0] == int(litres * 10 + 1e-9)
        meter.when_activated = None


def test_two_valves_share_what_the_source_gives(field: FieldClient, factory: SimFactory) -> None:
    with DigitalOutputDevice(17, pin_factory=factory, initial_value=True):
        field.wait_valve("board-1", 17)
        alone = _flow(field, "a")
        with DigitalOutputDevice(18, active_high=False, pin_factory=factory, initial_value=True):
            field.wait_valve("board-1", 18)
            shared = _flow(field, "a") + _flow(field, "b")
    assert alone == pytest.approx(480)
    assert 600 < shared < 850
    assert _flow(field, "a") == 0


def _flow(field: FieldClient, zone: str) -> float:
    field.snapshot()  # moves the water on with the valves as they are now
    return field.zone_valve(zone).flow_l_min


def test_the_soil_gets_wetter_under_an_open_valve(start_field: StartField, socket_path: Path) -> None:
    field = start_field(3600)
    factory = SimFactory(str(socket_path), "board-1")
    before = field.moisture_pct("a")
    with MCP3008(channel=0, pin_factory=factory) as probe:
        dry_v = probe.voltage
        with DigitalOutputDevice(17, pin_factory=factory, initial_value=True):
            deadline_s = time.monotonic() + 10
            while field.moisture_pct("a") < before + 3 and time.monotonic() < deadline_s:
                threading.Event().wait(0.05)
        assert field.moisture_pct("a") >= before + 3
        assert probe.voltage < dry_v
    factory.close()


def test_the_converter_sees_probe_battery_and_thermometer(field: FieldClient, factory: SimFactory) -> None:
    with (
        MCP3008(channel=0, pin_factory=factory) as probe,
        MCP3008(channel=6, pin_factory=factory) as battery,
        MCP3008(channel=7, pin_factory=factory) as thermometer,
        MCP3008(channel=3, pin_factory=factory) as nothing,
    ):
        # 30 % on the line from 2.8 V at 0 % to 1.2 V at 60 %
        assert probe.voltage == pytest.approx(2.0, abs=0.05)
        assert 11 < battery.voltage * 5 < 14
        assert 0 < (thermometer.voltage - 0.5) * 100 < 45
        assert nothing.raw_value == 0
        field.fault("probe-open", "board-1/0")
        assert probe.raw_value == 1023
        field.fault("probe-open", "board-1/0", on=False)
        field.fault("probe-short", "board-1/0")
        assert probe.raw_value == 0


def pass_days(field: FieldClient, days: float) -> None:
    begun = datetime.fromisoformat(field.snapshot()["at"])
    while datetime.fromisoformat(field.snapshot()["at"]) < begun + timedelta(days=days):
        pass


def test_a_stuck_probe_says_what_it_said_and_a_drifting_one_leaves_it(
    start_field: StartField, socket_path: Path
) -> None:
    field = start_field(100_000)  # a field-day in less than a second
    factory = SimFactory(str(socket_path), "board-1")
    with MCP3008(channel=0, pin_factory=factory) as probe:
        field.fault("probe-stuck", "board-1/0")
        stuck = probe.raw_value
        pass_days(field, 1)
        assert probe.raw_value == stuck
        field.fault("probe-stuck", "board-1/0", on=False)
        assert probe.raw_value > stuck  # the ground has dried meanwhile
        field.fault("probe-drift", "board-1/0")
        pass_days(field, 4)
        true_v = 2.8 - 1.6 / 60 * field.moisture_pct("a")
        assert probe.voltage - true_v > 0.15  # 0.05 V a day, towards dry
    factory.close()


def test_faults_do_what_they_say(field: FieldClient, factory: SimFactory) -> None:
    field.fault("valve-stuck-shut", "board-1/17")
    with DigitalOutputDevice(17, pin_factory=factory, initial_value=True):
        assert field.line("board-1", 17)["level"] == 1
        assert not field.valve("board-1", 17).open
        field.fault("valve-stuck-shut", "board-1/17", on=False)
        field.wait_valve("board-1", 17, open=True)
        field.fault("source-dry", "tank")
        assert _flow(field, "a") == 0
    field.fault("valve-stuck-open", "board-1/17")
    field.wait_valve("board-1", 17, open=True)
    with pytest.raises(Refused, match="source-dry knows tank, not 'sea'"):
        field.fault("source-dry", "sea")
    with pytest.raises(Refused, match="there is no fault 'rust'"):
        field.fault("rust", "board-1/17")


def test_a_burst_line_draws_more_and_a_leaking_valve_a_trickle_while_it_is_shut(
    field: FieldClient, factory: SimFactory
) -> None:
    with field.broken("valve-leaks", "board-1/17"):
        assert not field.valve("board-1", 17).open
        assert _flow(field, "a") == pytest.approx(0.05 * 480)
        with DigitalOutputDevice(17, pin_factory=factory, initial_value=True):
            assert _flow(field, "a") == pytest.approx(480)  # open, it is as good as any
            with field.broken("pipe-burst", "a"):
                assert _flow(field, "a") > 600  # 4 x 480, as far as the source gives
    assert _flow(field, "a") == 0  # mended


def test_a_meter_that_jumps_counts_what_is_no_water(tmp_path: Path) -> None:
    text = FIELD.format(socket=tmp_path / "field.sock", folder=tmp_path, speed=1.0)
    settings = FieldSettings.model_validate_json(json.dumps({"kind": "field", **tomllib.loads(text)}))
    wiring = Wiring(settings, World(settings, datetime.now(UTC)), Lines())
    assert wiring.pulses() == {}
    wiring.set_fault("meter-jumps", "board-1/22", on=True)
    assert wiring.pulses() == {("board-1", 22): JUMP_PULSES}
    wiring.set_fault("meter-jumps", "board-1/22", on=False)
    assert wiring.pulses() == {}


def test_a_pump_that_sticks_gives_or_gives_not_whatever_its_line_says(tmp_path: Path) -> None:
    text = FIELD.format(socket=tmp_path / "field.sock", folder=tmp_path, speed=1.0)
    table = tomllib.loads(text)
    table["boards"][0]["supplies"] = [{"id": "pump", "gpio": 19}]
    table["boards"][0]["valves"][0]["supply"] = "pump"
    settings = FieldSettings.model_validate_json(json.dumps({"kind": "field", **table}))
    lines = Lines()
    wiring = Wiring(settings, World(settings, datetime.now(UTC)), lines)
    wiring.set_fault("valve-stuck-open", "board-1/17", on=True)
    assert "a" not in wiring.open_zones()
    wiring.set_fault("supply-stuck-on", "board-1/19", on=True)
    assert "a" in wiring.open_zones()
    wiring.set_fault("supply-stuck-on", "board-1/19", on=False)
    lines.claim(Line("board-1", 19, Function.OUTPUT, 1, owner=1))
    assert "a" in wiring.open_zones()
    wiring.set_fault("supply-stuck-off", "board-1/19", on=True)
    assert "a" not in wiring.open_zones()


def test_a_wait_that_is_not_met_says_what_was_seen_last(field: FieldClient) -> None:
    with pytest.raises(TimeoutError, match=r"valve not open within 0.05 s; last seen: Valve\(node='board-1', gpio=17"):
        field.wait_valve("board-1", 17, timeout=0.05)
    with pytest.raises(Refused, match="no such valve"):
        field.wait_valve("board-9", 17, timeout=0.05)
    field.wait_all_closed()


def test_a_pin_does_what_gpiozero_asks_of_pins(factory: SimFactory) -> None:
    pin = factory.pin(23)
    assert factory.pin("GPIO23") is pin
    pin.function = "input"
    with pytest.raises(PinSetInput):
        pin.state = 1
    with pytest.raises(PinInvalidFunction):
        pin.function = "antenna"
    with pytest.raises(PinPWMUnsupported):
        pin.frequency = 100
    pin.pull = "up"
    assert (pin.pull, pin.state, pin.bounce) == ("up", 1, None)
    pin.function = "output"
    pin.state = 1
    assert (pin.function, pin.state) == ("output", 1)
    pin.close()
    assert pin.function == "input"


def test_an_unknown_board_and_an_absent_field_are_said_plainly(
    field: FieldClient, socket_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Refused, match="there is no board 'board-9' in this field, only board-1, board-2"):
        SimFactory(str(socket_path), "board-9")
    with pytest.raises(FieldLost, match="connect to /nowhere"):
        SimFactory("/nowhere", "board-1")
    monkeypatch.delenv("TUOI_FIELD_SOCKET", raising=False)
    with pytest.raises(FieldLost, match="TUOI_FIELD_SOCKET and TUOI_FIELD_NODE"):
        SimFactory()


def test_the_factory_is_found_by_its_name() -> None:
    from importlib.metadata import entry_points

    (entry,) = entry_points(group="gpiozero_pin_factories", name="sim")
    assert entry.load() is SimFactory


def test_nonsense_on_the_socket_is_answered_and_harms_nobody(field: FieldClient, socket_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as raw:
        raw.settimeout(5)
        raw.connect(str(socket_path))
        for line in (b"not json", b"[]", b'{"do": "dance"}', b'{"do": "drive", "gpio": 17, "level": 1}'):
            raw.sendall(line + b"\n")
            assert b'"error"' in raw.recv(4096)
    assert not field.valve("board-1", 17).open


def test_the_field_keeps_its_state_over_a_restart(
    field: FieldClient, start_field: StartField, processes: Processes, socket_path: Path
) -> None:
    factory = SimFactory(str(socket_path), "board-1")
    with DigitalOutputDevice(17, pin_factory=factory, initial_value=True):
        deadline_s = time.monotonic() + 5
        while field.litres("a") < 1 and time.monotonic() < deadline_s:
            threading.Event().wait(0.05)
    litres = field.litres("a")
    assert litres >= 1
    factory.close()
    processes.reap()
    assert start_field().litres("a") == litres


def test_a_broken_state_file_does_not_keep_the_field_down(start_field: StartField, tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text('{"at": "yesterday"}')
    assert start_field().moisture_pct("a") == pytest.approx(30)


def test_a_wrong_field_file_is_refused_with_the_field_named(processes: Processes, tmp_path: Path) -> None:
    wrong = tmp_path / "field.toml"
    wrong.write_text(FIELD.format(socket="s", folder="f", speed=-1), encoding="utf-8")
    process = processes.start(sys.executable, "-m", "tuoi", "field", "--config", wrong)
    assert process.wait() == 2
    process.wait_for(r"field.toml: speed: .*greater than or equal to 0.01")


def test_the_example_file_describes_a_field() -> None:
    from contract.settings import load_toml
    from edge.config import load_board
    from edge.hardware.drivers.analog import Capacitive
    from firmware_sim.settings import FieldSettings

    example = Path(__file__).parents[3] / "configs" / "field.toml"
    settings = load_toml(example, FieldSettings)
    board = load_board(example.with_name("board.toml"))
    (wired,) = settings.boards
    assert wired.node == board.node_id
    assert [valve.gpio for valve in wired.valves] == [valve.pin for valve in board.valve]
    assert [meter.gpio for meter in wired.meters] == [valve.meter.pin for valve in board.valve if valve.meter]
    channels = [probe.adc for probe in board.probe if isinstance(probe, Capacitive)]
    assert [probe.adc for probe in wired.probes] == channels
