"""Probes with SDI-12 on a serial adapter: any that answer the measurement commands."""

from collections.abc import Hashable
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from contract.messages import Quantity
from edge.hardware.drivers.driver import ValuePart, each_once
from edge.hardware.drivers.wired import SerialSettings
from edge.hardware.errors import ProbeFault
from edge.hardware.ports import Hardware, Probe, Sample

if TYPE_CHECKING:
    from edge.hardware.sdi12 import Sdi12Line


class Sdi12Value(ValuePart):
    """Which of the answer's values it is; `place` counts from 1."""

    place: Annotated[int, Field(ge=1, le=9)]


class Sdi12Probe(SerialSettings):
    """A probe by its address. `measure` is M or M1 to M9; with `checksum` the C variant (MC, MC1), 1.3 and later.

    The usual settings are for an adapter that only shifts levels, where the break is ours to send. An adapter that has
    the protocol's timing in itself is asked at its own baud and framing, without a break.
    """

    driver: Literal["sdi12"] = "sdi12"
    baud: Annotated[int, Field(ge=300, le=921_600)] = 1200
    framing: Literal["8N1", "8E1", "8O1", "8N2", "7E1"] = "7E1"
    send_break: bool = True
    address: Annotated[str, Field(pattern=r"^[0-9A-Za-z]$")]
    measure: Annotated[str, Field(pattern=r"^M[1-9]?$")] = "M"
    checksum: bool = True
    longest_s: Annotated[float, Field(ge=1, le=999)] = 5.0
    values: Annotated[tuple[Sdi12Value, ...], Field(min_length=1, max_length=9)]

    @model_validator(mode="after")
    def _tells_each_once(self) -> "Sdi12Probe":
        each_once(self.values)
        return self

    @property
    def wire(self) -> Hashable:
        """The protocol and how the port is set."""
        return (super().wire, self.send_break)

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """What the values are."""
        return tuple(value.quantity for value in self.values)

    @property
    def patience_s(self) -> float:
        """The longest measurement, and time for its questions."""
        return self.longest_s + 10.0

    def open(self, hardware: Hardware) -> Probe:
        """Return the probe on its shared line."""
        from edge.hardware.sdi12 import Sdi12Line
        from edge.hardware.serial_port import SerialPort

        line = hardware.bus(
            self.bus,
            lambda: Sdi12Line(SerialPort(self.port, self.baud, self.framing), send_break=self.send_break),
        )
        return _Values(line, self)


class _Values:
    def __init__(self, line: "Sdi12Line", settings: Sdi12Probe) -> None:
        self._line, self._settings = line, settings

    def read(self) -> tuple[Sample, ...]:
        """Measure and return a sample of each value; raise ProbeFault."""
        told = self._settings
        got = self._line.measure(told.address, told.measure, checksum=told.checksum, longest_s=told.longest_s)
        samples = []
        for one in told.values:
            if one.place > len(got):
                raise ProbeFault("wrong-answer", f"SDI-12 {told.address}: {len(got)} values, none at {one.place}")
            samples.append(Sample(one.quantity, one.raw(got[one.place - 1]), told.unit(one.quantity)))
        return tuple(samples)

    def close(self) -> None:
        """Nothing to give back: the line is shared."""
