"""A probe's raw value at the bench, beside a running agent: converters are shared, no line is claimed."""

from collections.abc import Callable

from edge.config import BoardSettings
from edge.hardware.gpio import GpioHardware


def open_probe(board: BoardSettings, sensor: str) -> Callable[[], float]:
    """Return what reads the probe of that name as a share of the converter's reference; raise HardwareError."""
    hardware = GpioHardware(board.gpio.factory)
    probe = next(one for one in board.probe if one.sensor == sensor)
    return hardware.analog(probe.adc).read
