"""Who answers on a serial bus: asked when a probe is silent, for its address is what is wrong most often."""

from contextlib import suppress

from edge.hardware.drivers.driver import ProbeSettings
from edge.hardware.drivers.modbus import ModbusProbe
from edge.hardware.drivers.sdi12 import Sdi12Probe
from edge.hardware.errors import LineFault, ProbeFault
from edge.hardware.ports import Hardware

UNITS = range(1, 33)  # as far as anyone sets a probe's Modbus address by hand
SDI12 = "0123456789"
ANSWER_S = 0.1


def answering(probe: ProbeSettings, hardware: Hardware) -> list[str]:
    """Return the addresses that answer on the probe's bus, with its baud and framing; empty if it is no serial bus."""
    with suppress(LineFault):  # the port itself is at fault: told by the probe's own row
        if isinstance(probe, ModbusProbe):
            return _units(probe, hardware)
        if isinstance(probe, Sdi12Probe):
            return _sdi12(probe, hardware)
    return []


def _units(probe: ModbusProbe, hardware: Hardware) -> list[str]:
    from edge.hardware.modbus import ModbusLine
    from edge.hardware.serial_port import SerialPort

    line = hardware.bus(probe.bus, lambda: ModbusLine(SerialPort(probe.port, probe.baud, probe.framing)))
    found = []
    for unit in UNITS:
        try:
            line.registers(unit, 3, 0, 1, ANSWER_S, 1)
        except ProbeFault as exc:
            if exc.code != "refused":  # it knows no such register, but it is there
                continue
        found.append(str(unit))
    return found


def _sdi12(probe: Sdi12Probe, hardware: Hardware) -> list[str]:
    from edge.hardware.sdi12 import Sdi12Line
    from edge.hardware.serial_port import SerialPort

    port = SerialPort(probe.port, probe.baud, probe.framing)
    line = hardware.bus(probe.bus, lambda: Sdi12Line(port, send_break=probe.send_break))
    return [address for address in SDI12 if line.answers(address)]
