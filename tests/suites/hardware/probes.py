"""Every driver at a bench: the fake that ships, and each real one with what it speaks to at the other end."""

from pathlib import Path
from typing import Any, ClassVar, Protocol

from gpiozero.pins.mock import MockFactory

from contract.messages import UNIT, Quantity
from edge.hardware.drivers.driver import ProbeSettings, settings_of
from edge.hardware.fakes import FakeAds1115, FakeHardware, FakeProbe, FakeSdi12
from edge.hardware.gpio import GpioAnalog
from edge.hardware.ports import Hardware, Probe, Sample
from tests.suites.hardware.lines import ModbusBus, Sdi12Bus

MOISTURE, TEMPERATURE, EC = Quantity.SOIL_MOISTURE, Quantity.SOIL_TEMPERATURE, Quantity.SOIL_EC
POINTS = [[0.36, 60.0], [0.85, 0.0]]


class ProbeBench(Protocol):
    """A probe and the hand that turns what it measures. `steps` are raw values that it can show, with tolerance."""

    settings: ProbeSettings
    hardware: Hardware
    steps: tuple[tuple[float, ...], ...]
    within: float

    def turn(self, raws: tuple[float, ...]) -> None:
        """Let the probe measure these."""
        ...

    def cut(self) -> None:
        """Take the probe off its wire."""
        ...

    def mend(self) -> None:
        """Put it back."""
        ...

    def close(self) -> None:
        """Clear the bench."""
        ...


class FakeProbeSettings(ProbeSettings):
    """The fake that ships, as a driver."""

    driver: str = "fake"

    @property
    def bus(self) -> str:
        return "fake"

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        return (MOISTURE, TEMPERATURE)

    def open(self, hardware: Hardware) -> Probe:
        return hardware.bus("fake", FakeProbe)


class AtFake:
    def __init__(self, folder: Path) -> None:
        self.settings = FakeProbeSettings(sensor="soil")
        self.hardware: Hardware = FakeHardware()
        self.steps = ((31.0, 20.0), (0.0, -3.5))
        self.within = 0.0
        self._probe = self.hardware.bus("fake", FakeProbe)

    def turn(self, raws: tuple[float, ...]) -> None:
        pairs = zip(self.settings.quantities, raws, strict=True)
        self._probe.samples = tuple(Sample(quantity, raw, UNIT[quantity]) for quantity, raw in pairs)

    def cut(self) -> None:
        self._probe.fault = "no-answer"

    def mend(self) -> None:
        self._probe.fault = None

    def close(self) -> None:
        pass


class _Mcp3008:
    bits_per_word = 8

    def __init__(self) -> None:
        self.raw = 0
        self.broken = False

    def transfer(self, words: list[int]) -> list[int]:
        if self.broken:
            raise OSError(5, "Input/output error")
        return [0, self.raw >> 8, self.raw & 0xFF]

    def close(self) -> None:
        pass


class _OnSpi(FakeHardware):
    """A fake board whose converter is the real adapter over gpiozero, on a mock SPI bus."""

    def __init__(self, chip: _Mcp3008) -> None:
        super().__init__()
        self._factory = MockFactory()
        self._factory.spi = lambda **_: chip

    def analog(self, channel: int) -> Any:
        return GpioAnalog(self._factory, channel)


class AtMcp3008:
    table: ClassVar[dict[str, Any]] = {"driver": "capacitive", "sensor": "soil", "adc": 3, "points": POINTS}
    steps: tuple[tuple[float, ...], ...] = ((0.0,), (0.5,), (1.0,))
    within = 0.001
    scale, offset = 1.0, 0.0

    def __init__(self, folder: Path) -> None:
        self.settings = settings_of(self.table)
        self._chip = _Mcp3008()
        self.hardware: Hardware = _OnSpi(self._chip)

    def turn(self, raws: tuple[float, ...]) -> None:
        self._chip.raw = round((raws[0] - self.offset) / self.scale * 1023)

    def cut(self) -> None:
        self._chip.broken = True

    def mend(self) -> None:
        self._chip.broken = False

    def close(self) -> None:
        pass


class AtSupply(AtMcp3008):
    table: ClassVar[dict[str, Any]] = {"driver": "supply", "sensor": "battery", "adc": 6, "divider": 5.0}
    steps = ((0.0,), (12.4,), (16.5,))
    within = 0.02
    scale = 16.5


class AtTmp36(AtMcp3008):
    table: ClassVar[dict[str, Any]] = {"driver": "tmp36", "sensor": "air", "adc": 7}
    steps = ((-10.0,), (25.0,), (40.0,))
    within = 0.35
    scale, offset = 330.0, -50.0


class AtAds1115:
    def __init__(self, folder: Path) -> None:
        self.settings = settings_of(
            {"driver": "capacitive", "sensor": "soil", "adc": 2, "points": POINTS, "ads1115": {"address": 0x49}}
        )
        self._chip = FakeAds1115(0x49)
        fakes = FakeHardware()
        fakes.buses["i2c-1"] = self._chip
        self.hardware: Hardware = fakes
        self.steps = ((0.0,), (0.4371,), (1.0,))
        self.within = 0.0001

    def turn(self, raws: tuple[float, ...]) -> None:
        self._chip.volts[2] = raws[0] * 3.3

    def cut(self) -> None:
        self._chip.absent = True

    def mend(self) -> None:
        self._chip.absent = False

    def close(self) -> None:
        pass


class AtModbus:
    def __init__(self, folder: Path) -> None:
        self.line = ModbusBus({7: [0, 0, 0], 8: [111, 222, 333]})
        self.settings = settings_of(
            {
                "driver": "modbus",
                "sensor": "soil",
                "port": self.line.path,
                "unit_id": 7,
                "timeout_s": 0.2,
                "registers": [
                    {"quantity": "soil_moisture", "address": 0, "scale": 0.1},
                    {"quantity": "soil_temperature", "address": 1, "scale": 0.1, "format": "s16"},
                    {"quantity": "soil_ec", "address": 102, "function": 4, "scale": 0.001},
                ],
            }
        )
        self.hardware: Hardware = FakeHardware()
        self.steps = ((31.4, 19.7, 0.24), (0.0, -5.5, 0.0), (100.0, 80.0, 20.0))
        self.within = 1e-9

    def turn(self, raws: tuple[float, ...]) -> None:
        self.line.put(7, [round(raws[0] * 10), round(raws[1] * 10) & 0xFFFF, round(raws[2] * 1000)])

    def cut(self) -> None:
        self.line.mangle = lambda _: b""

    def mend(self) -> None:
        self.line.mangle = lambda answer: answer

    def close(self) -> None:
        self.line.close()


class AtSdi12:
    def __init__(self, folder: Path) -> None:
        self.probe = FakeSdi12("3", 0.0, 0.0, 0.0)
        self.line = Sdi12Bus(FakeSdi12("1", 9.0), self.probe)
        self.settings = settings_of(
            {
                "driver": "sdi12",
                "sensor": "soil",
                "port": self.line.path,
                "address": "3",
                "values": [
                    {"quantity": "soil_moisture", "place": 1, "scale": 100.0},
                    {"quantity": "soil_temperature", "place": 2},
                    {"quantity": "soil_ec", "place": 3, "scale": 0.001},
                ],
            }
        )
        self.hardware: Hardware = FakeHardware()
        self.steps = ((31.4, 19.7, 0.24), (0.0, -5.5, 0.0))
        self.within = 1e-9

    def turn(self, raws: tuple[float, ...]) -> None:
        self.probe.values = [raws[0] / 100, raws[1], raws[2] * 1000]

    def cut(self) -> None:
        self.probe.silent = True

    def mend(self) -> None:
        self.probe.silent = False

    def close(self) -> None:
        self.line.close()


class AtDs18b20:
    """The kernel's own files in a folder, as w1_therm writes them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "28-00000a1b2c3d"
        self._folder.mkdir()
        self.settings = settings_of(
            {"driver": "ds18b20", "sensor": "soil", "id": self._folder.name, "root": str(folder)}
        )
        self.hardware: Hardware = FakeHardware()
        self.steps = ((23.125,), (-0.5,), (125.0,))
        self.within = 0.0

    def turn(self, raws: tuple[float, ...]) -> None:
        self.write(raws[0])

    def write(self, celsius: float, *, crc: str = "YES", scratchpad: bytes | None = None) -> None:
        raw = scratchpad or round(celsius * 16).to_bytes(2, "little", signed=True) + bytes.fromhex("4b467fff0c1057")
        shown = raw.hex(" ")
        (self._folder / "w1_slave").write_text(
            f"{shown} : crc={raw[8]:02x} {crc}\n{shown} t={round(celsius * 1000)}\n", encoding="ascii"
        )

    def cut(self) -> None:
        self._folder.rename(self._folder.with_suffix(".gone"))

    def mend(self) -> None:
        self._folder.with_suffix(".gone").rename(self._folder)

    def close(self) -> None:
        pass


BENCHES: tuple[type[Any], ...] = (
    AtFake,
    AtMcp3008,
    AtAds1115,
    AtSupply,
    AtTmp36,
    AtModbus,
    AtSdi12,
    AtDs18b20,
)
