import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from contract.errors import ConfigError
from contract.messages import Quantity
from edge.config import load_board
from edge.hardware.drivers.driver import OURS, ProbeSettings, find, settings_of
from edge.hardware.drivers.modbus import Block, ModbusProbe, blocks
from edge.hardware.errors import UnknownDriver
from edge.hardware.fakes import FakeHardware

CONFIGS = Path(__file__).parents[4] / "configs"
EXAMPLE = CONFIGS / "board-probes.toml"

TENSIOMETER = """
from contract.messages import Quantity
from edge.hardware.drivers.driver import ProbeSettings
from edge.hardware.ports import Sample


class Tensiometer(ProbeSettings):
    driver: str = "tensiometer"
    depth_cm: int

    @property
    def bus(self):
        return "tensiometers"

    @property
    def quantities(self):
        return (Quantity.SOIL_MOISTURE,)

    def open(self, hardware):
        return Reads(self.depth_cm)


class Reads:
    def __init__(self, depth_cm):
        self.depth_cm = depth_cm

    def read(self):
        return (Sample(Quantity.SOIL_MOISTURE, float(self.depth_cm), "%"),)

    def close(self):
        pass
"""


def install(folder: Path, name: str, points: str, **modules: str) -> None:
    """Put a package where Python finds it, with the metadata that pip would leave behind."""
    for module, source in modules.items():
        (folder / f"{module}.py").write_text(source)
    info = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[tuoi_probe_drivers]\n{points}\n")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of installed packages."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    return folder


def board(tmp_path: Path, probe: str) -> Path:
    path = tmp_path / "board.toml"
    head = 'farm_id="mai"\nnode_id="b"\nstate_dir="s"\n[gpio]\nfactory="mock"\n[[valve]]\nchannel="v1"\npin=17\nmax_open_s=60\n'
    path.write_text(f"{head}[[probe]]\nsensor = 'soil-1'\n{probe}\n")
    return path


def said(tmp_path: Path, probe: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load_board(board(tmp_path, probe))
    return str(caught.value)


# --- the registry ---


def test_the_example_uses_every_driver_that_ships() -> None:
    used = {type(probe) for probe in load_board(EXAMPLE).probes}
    assert used == {find(name) for name in OURS}


def test_a_driver_that_does_not_exist_is_said_with_those_that_do(tmp_path: Path) -> None:
    sentence = said(tmp_path, "driver = 'crystal-ball'")
    assert sentence == (
        f"{tmp_path}/board.toml: probe.0: there is no driver 'crystal-ball', only"
        " capacitive, ds18b20, modbus, sdi12, supply, tmp36"
    )


def test_another_package_adds_a_driver_with_settings_of_its_own(tmp_path: Path, site: Path) -> None:
    install(site, "farm-tensiometer", "tensiometer = farm_tensiometer:Tensiometer", farm_tensiometer=TENSIOMETER)
    probe = load_board(board(tmp_path, "driver = 'tensiometer'\ndepth_cm = 30")).probe[0]
    assert (probe.bus, probe.quantities) == ("tensiometers", (Quantity.SOIL_MOISTURE,))
    assert [sample.raw for sample in probe.open(FakeHardware()).read()] == [30.0]
    assert "probe.0.depth_cm: Field required" in said(tmp_path, "driver = 'tensiometer'")
    assert "probe.0.colour" in said(tmp_path, "driver = 'tensiometer'\ndepth_cm = 30\ncolour = 'red'")
    assert "only capacitive, ds18b20, modbus, sdi12, supply, tensiometer, tmp36" in said(tmp_path, "driver = 'x'")


def test_a_driver_that_does_not_load_says_why(tmp_path: Path, site: Path) -> None:
    install(site, "broken", "broken = broken_driver:Probe\nlost = nowhere:Probe", broken_driver="Probe = 5")
    assert "driver 'broken' (broken_driver:Probe) is not a ProbeSettings" in said(tmp_path, "driver = 'broken'")
    assert "driver 'lost' (nowhere:Probe) does not load: No module named 'nowhere'" in said(tmp_path, "driver = 'lost'")


def test_two_packages_with_a_driver_of_one_name_are_not_chosen_between(tmp_path: Path, site: Path) -> None:
    install(site, "one", "tensiometer = farm_one:Tensiometer", farm_one=TENSIOMETER)
    install(site, "two", "tensiometer = farm_two:Tensiometer", farm_two=TENSIOMETER)
    assert "driver 'tensiometer' is in more than one installed package: one (" in said(
        tmp_path, "driver = 'tensiometer'\ndepth_cm = 30"
    )


def test_nobody_takes_the_place_of_a_driver_that_ships(site: Path) -> None:
    install(site, "grab", "modbus = grab:Tensiometer", grab=TENSIOMETER)
    assert find("modbus") is ModbusProbe


def test_settings_of_no_driver_are_refused() -> None:
    for table in (5, {"driver": 5}, [1]):
        with pytest.raises((ValueError, ValidationError)):
            settings_of(table)
    with pytest.raises(UnknownDriver):
        find("")


# --- what is wrong in the file ---

PORT = "port = '/dev/ttyUSB0'"
MODBUS = f"driver = 'modbus'\n{PORT}\nunit_id = 1\nregisters = [{{ quantity = 'soil_moisture', address = 0 }}]"
SDI12 = f"driver = 'sdi12'\n{PORT}\naddress = '0'\nvalues = [{{ quantity = 'soil_moisture', place = 1 }}]"
CAPACITIVE = "driver = 'capacitive'\nadc = 0\npoints = [[0.3, 60.0], [0.8, 0.0]]"


@pytest.mark.parametrize(
    ("probe", "sentence"),
    [
        (CAPACITIVE.replace("0.8,", "1.8,"), "probe.0: points must have rising shares between 0 and 1"),
        (CAPACITIVE.replace("0.3,", "0.9,"), "probe.0: points must have rising raw values"),
        ("driver = 'capacitive'\nadc = 0", "probe.0.points: Field required"),
        (f"{CAPACITIVE}\nads1115 = {{ range_v = 5.0 }}", "probe.0.ads1115.range_v: range_v must be one of 0.256"),
        (f"{CAPACITIVE}\nads1115 = {{ address = 0x50 }}", "probe.0.ads1115.address"),
        (
            CAPACITIVE.replace("adc = 0", "adc = 4") + "\nads1115 = {}",
            "probe.0: adc must be 0 to 3 on an ADS1115, not 4",
        ),
        (MODBUS.replace("unit_id = 1", "unit_id = 0"), "probe.0.unit_id"),
        (MODBUS.replace("'soil_moisture'", "'volume'"), "probe.0.registers.0: quantity must be one of soil_moisture"),
        (MODBUS.replace("address = 0", "address = 0, function = 6"), "probe.0.registers.0.function"),
        (MODBUS.replace("/dev/ttyUSB0", "ttyUSB0"), "probe.0.port"),
        (
            MODBUS.replace("0 }", "0 }, { quantity = 'soil_moisture', address = 1 }"),
            "probe.0: quantity soil_moisture is given twice",
        ),
        (SDI12.replace("'0'", "'?'"), "probe.0.address"),
        (f"{SDI12}\nmeasure = 'C'", "probe.0.measure"),
        ("driver = 'ds18b20'\nid = '10-000802b5'", "probe.0.id"),
        (f"{CAPACITIVE}\n[[probe]]\nsensor = 'soil-2'\n{CAPACITIVE}", "adc channel 0 is given twice"),
        (f"{CAPACITIVE}\n[[probe]]\nsensor = 'soil-1'\n{MODBUS}", "probe.sensor soil-1 is given twice"),
        (
            f"{MODBUS}\n[[probe]]\nsensor = 'soil-2'\nbaud = 4800\n{MODBUS}",
            "probes soil-1 and soil-2 do not agree on how /dev/ttyUSB0 is set",
        ),
        (f"{MODBUS}\n[[probe]]\nsensor = 'soil-2'\n{SDI12}", "probes soil-1 and soil-2 do not agree on how"),
    ],
)
def test_what_is_wrong_is_said_with_the_field(tmp_path: Path, probe: str, sentence: str) -> None:
    assert sentence in said(tmp_path, probe)


def test_the_same_channel_of_two_converters_is_two_channels(tmp_path: Path) -> None:
    second = CAPACITIVE + "\nads1115 = { address = 0x49 }"
    path = board(tmp_path, f"{CAPACITIVE}\n[[probe]]\nsensor = 'soil-2'\n{second}")
    assert [probe.bus for probe in load_board(path).probe] == ["spi-0", "i2c-1"]


def test_what_a_raw_value_is_depends_on_the_points(tmp_path: Path) -> None:
    plain = load_board(board(tmp_path, MODBUS)).probe[0]
    own = load_board(board(tmp_path, f"{MODBUS}\npoints = [[1819.0, 0.0], [3000.0, 45.0]]")).probe[0]
    assert (plain.unit(Quantity.SOIL_MOISTURE), own.unit(Quantity.SOIL_MOISTURE)) == ("%", "raw")
    assert own.unit(Quantity.SOIL_EC) == "dS/m"


# --- memory ---


def test_a_board_loads_no_library_of_a_driver_that_it_does_not_use(tmp_path: Path) -> None:
    import subprocess

    code = (
        "import sys; from pathlib import Path; from edge.config import load_board;"
        "load_board(Path(sys.argv[1])); print(sorted({'pymodbus', 'serial', 'lgpio', 'gpiozero', 'ctypes'} & sys.modules.keys()))"
    )
    root = Path(__file__).parents[4]
    told = subprocess.run([sys.executable, "-c", code, EXAMPLE], cwd=root, capture_output=True, text=True, check=True)
    assert "pymodbus" not in told.stdout, told.stdout
    assert "serial" not in told.stdout, told.stdout


# --- requests ---


def registers(*places: tuple[int, int, str]) -> Any:
    quantities = ["soil_moisture", "soil_temperature", "soil_ec", "battery"]
    probe: ProbeSettings = settings_of(
        {
            "driver": "modbus", "sensor": "s", "port": "/dev/x", "unit_id": 1,
            "registers": [
                {"quantity": quantity, "function": function, "address": address, "format": form}
                for quantity, (function, address, form) in zip(quantities, places, strict=False)
            ],
        }
    )  # fmt: skip
    assert isinstance(probe, ModbusProbe)
    return probe.registers


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        ([(3, 0, "u16")], [(3, 0, 1)]),
        ([(3, 0, "u16"), (3, 1, "s16"), (3, 2, "u16")], [(3, 0, 3)]),
        ([(3, 2, "u16"), (3, 0, "f32")], [(3, 0, 3)]),
        ([(3, 0, "u16"), (3, 2, "u16")], [(3, 0, 1), (3, 2, 1)]),
        ([(3, 0, "u16"), (4, 1, "u16")], [(3, 0, 1), (4, 1, 1)]),
        ([(3, 5, "u16"), (3, 5, "s16")], [(3, 5, 1)]),
    ],
)
def test_registers_become_the_fewest_requests_without_a_gap(
    places: list[tuple[int, int, str]], expected: list[tuple[int, int, int]]
) -> None:
    assert blocks(registers(*places)) == tuple(Block(*one) for one in expected)


def test_a_mast_and_a_tank_tell_wind_and_level_by_their_registers() -> None:
    probe = settings_of(
        {
            "sensor": "mast", "driver": "modbus", "port": "/dev/ttyUSB0", "unit_id": 4,
            "registers": [
                {"quantity": "wind", "address": 0, "scale": 0.1},
                {"quantity": "level", "address": 1, "scale": 0.05, "offset": -20.0},  # a transmitter's 400 to 2400
            ],
        }
    )  # fmt: skip
    assert isinstance(probe, ModbusProbe)
    assert probe.quantities == (Quantity.WIND, Quantity.LEVEL)
    wind, level = probe.registers
    assert (wind.raw(34), level.raw(400), level.raw(2400)) == pytest.approx((3.4, 0, 100))


def test_no_registers_are_no_request() -> None:
    assert blocks(()) == ()
