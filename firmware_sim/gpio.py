"""gpiozero's pins in the simulated field: the factory `sim`, with an MCP3008 on its SPI bus.

Unchanged device code runs on it: DigitalOutputDevice, DigitalInputDevice, MCP3008. Lines belong to this process as they
would to a kernel's file handle: when it ends, however it ends, the field releases them. Light on purpose, because the
valve guard loads it: one blocking socket, and a second one with a thread only once somebody waits for edges.
"""

import json
import os
import socket
from contextlib import suppress
from threading import Lock, Thread
from time import monotonic
from typing import Any

from gpiozero.exc import PinFixedPull, PinInvalidFunction, PinPWMUnsupported, PinSetInput
from gpiozero.mixins import SharedMixin
from gpiozero.pins import SPI
from gpiozero.pins.pi import PiFactory, PiPin

from firmware_sim.errors import FieldLost, Refused

PI_ZERO_2_W = 0x902120
ANSWER_S = 5.0


class FieldSocket:
    """One connection to the field, for one process of one board."""

    def __init__(self, path: str, node: str) -> None:
        self._lock = Lock()
        self._buffer = b""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(ANSWER_S)
        try:
            self._socket.connect(path)
            self.ask("hello", node=node)
        except Refused:
            self._socket.close()
            raise
        except OSError as exc:
            self._socket.close()
            raise FieldLost(f"connect to {path}", exc) from exc

    def ask(self, do: str, **more: Any) -> Any:
        """Send one request and return the field's answer; raise Refused or FieldLost."""
        with self._lock:
            try:
                self._socket.sendall(json.dumps({"do": do, **more}).encode() + b"\n")
                answer = self.receive()
                while "event" in answer:
                    answer = self.receive()
            except OSError as exc:
                raise FieldLost(do, exc) from exc
        if "error" in answer:
            raise Refused(str(answer["error"]))
        return answer["ok"]

    def send(self, do: str, **more: Any) -> None:
        """Send one request whose answer the listener will pass over."""
        try:
            self._socket.sendall(json.dumps({"do": do, **more}).encode() + b"\n")
        except OSError as exc:
            raise FieldLost(do, exc) from exc

    def receive(self) -> dict[str, Any]:
        """Return the next message; raise ConnectionError when the field has ended."""
        while b"\n" not in self._buffer:
            more = self._socket.recv(4096)
            if not more:
                raise ConnectionResetError("the field has ended")
            self._buffer += more
        raw, _, self._buffer = self._buffer.partition(b"\n")
        message: dict[str, Any] = json.loads(raw)
        return message

    def wait_for_ever(self) -> None:
        """Let `receive` wait without a limit, as a listener does."""
        self._socket.settimeout(None)

    def close(self) -> None:
        """End the connection; a thread that waits in `receive` is woken."""
        with suppress(OSError):  # it has ended by itself
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


class SimPin(PiPin):  # type: ignore[misc]
    """One line of the board. Its state is read back from the field, never remembered."""

    def __init__(self, factory: "SimFactory", info: Any) -> None:
        super().__init__(factory, info)
        self._field = factory.field
        self._function = "input"
        self._pull = info.pull or "floating"
        self._bounce: float | None = None
        self._edges = "both"
        self._pulse_level: int | None = None
        self._claimed = False

    def close(self) -> None:
        """Stop listening and give the line back; an output's valve closes."""
        self.when_changed = None
        if self._claimed:
            self._claimed = False
            self._function = "input"
            self._field.ask("free", gpio=self._number)

    def output_with_state(self, state: float) -> None:
        """Make the line an output that begins at `state`: no moment at the other level."""
        self._drive(level=bool(state))

    def input_with_pull(self, pull: str) -> None:
        """Make the line an input with its pull resistor set."""
        self._pull = pull
        self._set_function("input")

    def _drive(self, *, level: bool) -> None:
        self._field.ask("drive", gpio=self._number, level=int(level))
        self._function, self._claimed = "output", True

    def _get_function(self) -> str:
        return self._function

    def _set_function(self, value: str) -> None:
        if value == "output":
            self._drive(level=False)
        elif value == "input":
            self._field.ask("listen", gpio=self._number, pull=self._pull)
            self._function, self._claimed = "input", True
        else:
            raise PinInvalidFunction(f"function of {self!r} must be input or output, not {value!r}")

    def _get_state(self) -> int:
        if self._pulse_level is not None:
            return self._pulse_level
        return int(self._field.ask("read", gpio=self._number))

    def _set_state(self, value: float) -> None:
        if self._function != "output":
            raise PinSetInput(f"cannot set state of input {self!r}")
        self._drive(level=bool(value))

    def _get_pull(self) -> str:
        return str(self._pull)

    def _set_pull(self, value: str) -> None:
        if self._function != "input":
            raise PinFixedPull(f"cannot set pull on non-input pin {self!r}")
        self._pull = value
        self._set_function("input")

    def _get_frequency(self) -> None:
        return None

    def _set_frequency(self, value: float | None) -> None:
        if value is not None:
            raise PinPWMUnsupported(f"{self!r} has no PWM")

    def _get_bounce(self) -> float | None:
        return self._bounce

    def _set_bounce(self, value: float | None) -> None:
        self._bounce = value  # the simulated reed contact does not bounce

    def _get_edges(self) -> str:
        return self._edges

    def _set_edges(self, value: str) -> None:
        self._edges = value

    def _enable_event_detect(self) -> None:
        self._factory.listen(self)

    def _disable_event_detect(self) -> None:
        self._factory.unlisten(self)

    def _call_when_changed(self, ticks: float | None = None, state: int | None = None) -> None:
        super()._call_when_changed(monotonic() if ticks is None else ticks, self.state if state is None else state)

    def pulse(self, count: int) -> None:
        """Go through `count` whole pulses, calling for each edge that is listened to."""
        idle = int(self._pull == "up")
        for _ in range(count):
            for level in (1 - idle, idle):
                self._pulse_level = level
                if self._edges == "both" or (self._edges == "rising") == (level == 1):
                    self._call_when_changed(monotonic(), level)
        self._pulse_level = None


class SimMcp3008(SPI):  # type: ignore[misc]
    """The SPI bus with an MCP3008 on it: answers its three-byte conversation (Microchip DS21295, figure 6-1)."""

    def __init__(
        self, clock_pin: int, mosi_pin: int, miso_pin: int, select_pin: int, pin_factory: "SimFactory"
    ) -> None:
        super().__init__(pin_factory=pin_factory)
        self._field: FieldSocket | None = pin_factory.field
        pin_factory.reserve_pins(self, clock_pin, mosi_pin, miso_pin, select_pin)

    def close(self) -> None:
        """Give the bus back."""
        if self._field is not None:
            self.pin_factory.release_all(self)
            self._field = None
        super().close()

    @property
    def closed(self) -> bool:
        """Whether the bus was given back."""
        return self._field is None

    def _conflicts_with(self, other: Any) -> bool:
        return not isinstance(other, SimMcp3008)

    def transfer(self, data: list[int]) -> list[int]:
        """Exchange words: start bit, then single-ended and channel, then room for the ten bits of the answer."""
        self._check_open()
        if self._field is None or len(data) != 3 or data[0] != 1:
            return [0] * len(data)
        raw = int(self._field.ask("adc", channel=(data[1] >> 4) & 7))
        return [0, raw >> 8, raw & 0xFF]

    def _get_bits_per_word(self) -> int:
        return 8


class SimMcp3008Shared(SharedMixin, SimMcp3008):  # type: ignore[misc]
    """The same bus for several devices, one per channel."""

    @classmethod
    def _shared_key(cls, clock_pin: int, mosi_pin: int, miso_pin: int, select_pin: int, pin_factory: Any) -> Any:  # noqa: ARG003
        return (clock_pin, select_pin)


class SimFactory(PiFactory):  # type: ignore[misc]
    """Pins of the board TUOI_FIELD_NODE in the field that listens at TUOI_FIELD_SOCKET."""

    def __init__(self, path: str | None = None, node: str | None = None) -> None:
        super().__init__()
        self._path = path or os.environ.get("TUOI_FIELD_SOCKET", "")
        self._node = node or os.environ.get("TUOI_FIELD_NODE", "")
        if not self._path or not self._node:
            raise FieldLost(
                "connect", "TUOI_FIELD_SOCKET and TUOI_FIELD_NODE must name the field's socket and the board"
            )
        self.pin_class = SimPin
        self.field = FieldSocket(self._path, self._node)
        self._edges: FieldSocket | None = None
        self._listening: dict[int, SimPin] = {}

    def close(self) -> None:
        """Give every line back and end both connections."""
        super().close()
        if self._edges is not None:
            self._edges.close()
            self._edges = None
        self.field.close()

    def _get_revision(self) -> int:
        return PI_ZERO_2_W

    def _get_spi_class(self, shared: bool, hardware: bool) -> type[SimMcp3008]:  # noqa: ARG002
        return SimMcp3008Shared if shared else SimMcp3008

    def ticks(self) -> float:
        """Return monotonic seconds."""
        return monotonic()

    def ticks_diff(self, later: float, earlier: float) -> float:
        """Return the seconds between two ticks."""
        return later - earlier

    def listen(self, pin: SimPin) -> None:
        """Pass the field's pulses on a pin on to it, from a thread of the factory."""
        if self._edges is None:
            self._edges = FieldSocket(self._path, self._node)
            self._edges.wait_for_ever()
            Thread(target=self._hear, args=(self._edges,), name="field-edges", daemon=True).start()
        self._listening[pin._number] = pin  # noqa: SLF001
        self._edges.send("watch", gpio=pin._number)  # noqa: SLF001

    def unlisten(self, pin: SimPin) -> None:
        """Pass nothing on any more."""
        if self._listening.pop(pin._number, None) is not None and self._edges is not None:  # noqa: SLF001
            self._edges.send("unwatch", gpio=pin._number)  # noqa: SLF001

    def _hear(self, edges: FieldSocket) -> None:
        while True:
            try:
                message = edges.receive()
            except (OSError, ValueError):
                return  # closed by us, or the field ended: the next request says so
            pin = self._listening.get(message.get("gpio", -1))
            if message.get("event") == "pulses" and pin is not None:
                pin.pulse(message["count"])
