"""Soil probes with Modbus RTU on RS-485: any that tell their values in registers."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from contract.messages import Quantity
from edge.hardware.drivers.driver import ValuePart, each_once
from edge.hardware.drivers.wired import SerialSettings
from edge.hardware.ports import Hardware, Probe, Sample

if TYPE_CHECKING:
    from edge.hardware.modbus import ModbusLine

WORDS = {"u16": 1, "s16": 1, "u32": 2, "s32": 2, "f32": 2}  # registers of each format
MOST_AT_ONCE = 125  # registers (Modbus Application Protocol 1.1b3, 6.3)
TRIES = 3


class RegisterPart(ValuePart):
    """Where a value stands: `address` as on the wire (0-based: 40001 in a manual is 0), of two words the high first."""

    address: Annotated[int, Field(ge=0, le=0xFFFF)]
    function: Literal[3, 4] = 3
    format: Literal["u16", "s16", "u32", "s32", "f32"] = "u16"


class ModbusProbe(SerialSettings):
    """A probe by its unit (slave address) and its registers."""

    driver: Literal["modbus"] = "modbus"
    baud: Annotated[int, Field(ge=300, le=921_600)] = 9600
    framing: Literal["8N1", "8E1", "8O1", "8N2", "7E1"] = "8N1"
    unit_id: Annotated[int, Field(ge=1, le=247)]
    registers: Annotated[tuple[RegisterPart, ...], Field(min_length=1, max_length=8)]
    timeout_s: Annotated[float, Field(gt=0, le=10)] = 0.5

    @model_validator(mode="after")
    def _tells_each_once(self) -> "ModbusProbe":
        each_once(self.registers)
        return self

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """What the registers hold."""
        return tuple(register.quantity for register in self.registers)

    @property
    def patience_s(self) -> float:
        """As long as all requests time out at every try, and a second."""
        return 1.0 + TRIES * self.timeout_s * len(blocks(self.registers))

    def open(self, hardware: Hardware) -> Probe:
        """Return the probe on its shared line."""
        from edge.hardware.modbus import ModbusLine
        from edge.hardware.serial_port import SerialPort

        line = hardware.bus(self.bus, lambda: ModbusLine(SerialPort(self.port, self.baud, self.framing)))
        return _Registers(line, self)


@dataclass(frozen=True, slots=True)
class Block:
    """Registers that one request reads."""

    function: int
    address: int
    count: int


def blocks(registers: Sequence[RegisterPart]) -> tuple[Block, ...]:
    """Return the fewest requests that read the registers and none between them: some probes refuse a gap."""
    spans = sorted({(one.function, one.address, one.address + WORDS[one.format]) for one in registers})
    if not spans:
        return ()
    found: list[Block] = []
    function, begin, end = spans[0]
    for (_, _, _), (next_function, next_begin, next_end) in pairwise(spans):
        if next_function == function and next_begin <= end and next_end - begin <= MOST_AT_ONCE:
            end = max(end, next_end)
        else:
            found.append(Block(function, begin, end - begin))
            function, begin, end = next_function, next_begin, next_end
    return (*found, Block(function, begin, end - begin))


class _Registers:
    def __init__(self, line: "ModbusLine", settings: ModbusProbe) -> None:
        self._line, self._settings = line, settings
        self._blocks = blocks(settings.registers)

    def read(self) -> tuple[Sample, ...]:
        """Read all registers and return a sample of each; raise ProbeFault."""
        from edge.hardware.modbus import number

        told = self._settings
        words: dict[tuple[int, int], int] = {}
        for block in self._blocks:
            got = self._line.registers(told.unit_id, block.function, block.address, block.count, told.timeout_s, TRIES)
            words |= {(block.function, block.address + place): word for place, word in enumerate(got)}
        samples = []
        for one in told.registers:
            own = [words[one.function, one.address + place] for place in range(WORDS[one.format])]
            samples.append(Sample(one.quantity, one.raw(number(own, one.format)), told.unit(one.quantity)))
        return tuple(samples)

    def close(self) -> None:
        """Nothing to give back: the line is shared."""
