"""A serial port that several probes share: one question and its answer at a time, opened again after an error."""

import select
import termios
import time
from collections.abc import Callable

import serial

from edge.hardware.errors import ProbeFault

# Framing by name: data bits, parity, stop bits.
FRAMINGS: dict[str, tuple[int, str, int]] = {
    "8N1": (8, "N", 1),
    "8E1": (8, "E", 1),
    "8O1": (8, "O", 1),
    "8N2": (8, "N", 2),
    "7E1": (7, "E", 1),
}
MOST = 512  # bytes at once
BROKEN = (OSError, termios.error)  # pyserial lets the latter, which is no OSError, through


class SerialPort:
    """A port by its path, for one thread: that of its bus. Nobody else may have it open."""

    def __init__(self, path: str, baud: int, framing: str) -> None:
        self._path, self._baud, self._framing = path, baud, framing
        self._port: serial.Serial | None = None

    @property
    def char_s(self) -> float:
        """How long one character takes on the wire."""
        bits, parity, stop = FRAMINGS[self._framing]
        return (1 + bits + int(parity != "N") + stop) / self._baud

    def say(self, question: bytes, *, break_s: float = 0.0, mark_s: float = 0.0) -> None:
        """Drop what came unasked and send, after a break and a mark if they have a length; raise ProbeFault."""
        try:
            port = self._opened()
            if break_s:
                port.break_condition = True
                time.sleep(break_s)
                port.break_condition = False
            time.sleep(mark_s)
            port.reset_input_buffer()
            port.write(question)
            port.flush()
        except BROKEN as exc:
            raise self._lost(exc) from exc

    def hear(self, enough: Callable[[bytes], bool], within_s: float) -> bytes:
        """Return what has come as soon as it is `enough`, or whatever came `within_s`; raise ProbeFault."""
        heard = b""
        give_up_s = time.monotonic() + within_s
        try:
            port = self._opened()
            while not enough(heard) and (left_s := give_up_s - time.monotonic()) > 0:
                if select.select([port], [], [], left_s)[0]:
                    heard += port.read(MOST)
        except BROKEN as exc:
            raise self._lost(exc) from exc
        return heard

    def close(self) -> None:
        """Give the port back."""
        if self._port is not None:
            self._port.close()
            self._port = None

    def _opened(self) -> serial.Serial:
        if self._port is None:
            bits, parity, stop = FRAMINGS[self._framing]
            self._port = serial.Serial(
                self._path,
                self._baud,
                bytesize=bits,
                parity=parity,
                stopbits=stop,
                timeout=0,  # select waits: another timeout would set the whole port anew
                write_timeout=2.0,
                exclusive=True,
            )
        return self._port

    def _lost(self, exc: Exception) -> ProbeFault:
        self.close()
        return ProbeFault("bus-error", f"{self._path}: {exc}")
