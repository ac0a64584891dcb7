"""A Modbus RTU line (Modbus over Serial Line 1.02), by pymodbus's framer and messages over our own port.

Not its client: several probes share a port here, and a wrong checksum, a refusal and silence are different faults.
"""

import struct
from collections.abc import Sequence

from pymodbus.framer import FramerRTU
from pymodbus.pdu import DecodePDU, ExceptionResponse, ModbusPDU
from pymodbus.pdu.register_message import ReadHoldingRegistersRequest, ReadInputRegistersRequest

from edge.hardware.errors import ProbeFault
from edge.hardware.serial_port import SerialPort

REQUESTS = {3: ReadHoldingRegistersRequest, 4: ReadInputRegistersRequest}
FORMATS = {"u16": ">H", "s16": ">h", "u32": ">I", "s32": ">i", "f32": ">f"}
SILENCE_CHARS = 3.5  # between frames (2.5.1.1)
REFUSALS = {
    1: "function not known",
    2: "no such register",
    3: "value not allowed",
    4: "device failure",
    5: "still working",
    6: "busy",
}  # Modbus Application Protocol 1.1b3, section 7
AGAIN = {"no-answer", "bad-checksum", "wrong-answer"}  # what a second question may mend


class ModbusLine:
    """The master of one port. For one thread: that of its bus."""

    def __init__(self, port: SerialPort) -> None:
        self._port = port
        self._framer = FramerRTU(DecodePDU(False))  # noqa: FBT003 - answers, not requests

    def registers(
        self, unit: int, function: int, address: int, count: int, timeout_s: float, tries: int
    ) -> Sequence[int]:
        """Return `count` registers of a unit, 0 to 65535 each; raise ProbeFault. Blocks for tries x timeout at most."""
        request = REQUESTS[function](address=address, count=count, dev_id=unit)
        while True:
            tries -= 1
            try:
                return self._ask(request, timeout_s)
            except ProbeFault as exc:
                if tries <= 0 or exc.code not in AGAIN:
                    raise

    def close(self) -> None:
        """Give the port back."""
        self._port.close()

    def _ask(self, request: ModbusPDU, timeout_s: float) -> Sequence[int]:
        frame = self._framer.buildFrame(request)
        self._port.say(frame, mark_s=SILENCE_CHARS * self._port.char_s)
        heard = self._port.hear(lambda heard: self._framer.decode(_without_echo(heard, frame))[0] > 0, timeout_s)
        answer = _without_echo(heard, frame)
        used, unit, _, body = self._framer.decode(answer)
        who = f"Modbus unit {request.dev_id}, register {request.address}"
        if not used:
            raise ProbeFault("no-answer", f"{who}: {len(answer)} bytes of an answer in {timeout_s:g} s")
        if not body:
            raise ProbeFault("bad-checksum", f"{who}: wrong checksum in {answer.hex(' ')}")
        if unit != request.dev_id:
            raise ProbeFault("wrong-answer", f"{who}: unit {unit} answers")
        pdu = self._framer.decoder.decode(body)
        if isinstance(pdu, ExceptionResponse):
            why = REFUSALS.get(pdu.exception_code, "unknown")
            raise ProbeFault("refused", f"{who}: refuses with exception {pdu.exception_code} ({why})")
        if pdu is None or pdu.function_code != request.function_code or len(pdu.registers) != request.count:
            raise ProbeFault("wrong-answer", f"{who}: {answer.hex(' ')} is no answer to {frame.hex(' ')}")
        return pdu.registers


def number(words: Sequence[int], form: str) -> float:
    """Return what registers hold in that format, the high word first; a float may be NaN."""
    return float(struct.unpack(FORMATS[form], struct.pack(f">{len(words)}H", *words))[0])


def _without_echo(heard: bytes, frame: bytes) -> bytes:
    # Some adapters hear themselves.
    return heard.removeprefix(frame) if len(heard) >= len(frame) else heard
