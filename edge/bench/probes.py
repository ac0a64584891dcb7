"""A probe's raw value at the bench, beside a running agent where its bus bears it: converters and 1-wire are shared."""

from collections.abc import Callable
from dataclasses import dataclass

from contract.messages import Quantity
from edge.bench.running import Running
from edge.config import BoardSettings
from edge.hardware.drivers.driver import ProbeSettings
from edge.hardware.drivers.wired import SerialSettings
from edge.hardware.errors import LineFault, ProbeFault
from edge.hardware.gpio import GpioHardware
from edge.hardware.ports import SHARE, Sample


@dataclass(frozen=True, slots=True)
class Raw:
    """What a probe tells of the soil's moisture, before any calibration. `unit` is SHARE for a converter's input."""

    read: Callable[[], float]
    unit: str

    @property
    def is_share(self) -> bool:
        """Whether a broken wire and a short circuit can be told by the value."""
        return self.unit == SHARE


def taken_by_agent(probe: ProbeSettings, runs: Running) -> bool:
    """Whether only the agent may speak on the probe's bus now: a serial port has one user."""
    return runs.agent and isinstance(probe, SerialSettings)


def open_probe(board: BoardSettings, sensor: str) -> Raw:
    """Return what reads the moisture of the probe of that name; raise HardwareError."""
    settings = next(one for one in board.probe if one.sensor == sensor)
    probe = settings.open(GpioHardware(board.gpio.factory))

    def moisture() -> Sample:
        for sample in probe.read():
            if sample.quantity is Quantity.SOIL_MOISTURE:
                return sample
        raise ProbeFault("no-moisture", f"{sensor}: this probe tells no moisture, there is nothing to calibrate")

    try:
        unit = moisture().unit
    except LineFault:
        unit = SHARE if settings.bus.startswith(("spi", "i2c")) else ""  # it may answer yet
    return Raw(lambda: moisture().raw, unit)
