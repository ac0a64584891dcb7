"""Pulses counted from the kernel's edge events (linux/gpio.h, version 2 of its interface), by the standard library.

The kernel stamps each edge and numbers it, so nothing has to run at the time of a pulse, and what its buffer could not
hold is known by the gap in the numbers. No thread, no callback: whoever asks for the count takes the edges that wait.
"""

import logging
import os
import struct
from fcntl import ioctl

from edge.hardware.errors import LineFault

log = logging.getLogger(__name__)

GET_LINE = 0xC250B407  # _IOWR(0xB4, 0x07, struct gpio_v2_line_request)
REQUEST = struct.Struct("=64I 32s Q I 20x 240x I I 20x i")  # lines, consumer, flags, no attributes, count, buffer, fd
EVENT = struct.Struct("=Q I I I I 24x")  # time in ns (monotonic), id, line, number in the request, number on the line
INPUT, RISING, FALLING, PULL_UP = 1 << 2, 1 << 4, 1 << 5, 1 << 8  # GPIO_V2_LINE_FLAG_*
BUFFER = 1024  # edges, the most that the kernel keeps for a line
AT_ONCE = 64
WRAPS_AT = 1 << 32  # the kernel's numbers


class Edges:
    """What edges mean in pulses.

    Without a debounce only falls are told, and each is a pulse: two of them are a whole pulse apart, so the kernel has
    time for each. With one, falls and rises are told, edges less than `debounce_ns` apart are one change of a contact
    that bounces, and two changes are a pulse: a contact that stays closed for seconds bounces when it opens, too.
    """

    def __init__(self, debounce_ns: int) -> None:
        self._debounce_ns = debounce_ns
        self._per_pulse = 2 if debounce_ns else 1
        self._last_ns: int | None = None
        self._number = 0
        self._changes = 0

    @property
    def pulses(self) -> int:
        """All pulses so far, each from its first edge on."""
        return -(-self._changes // self._per_pulse)

    def take(self, at_ns: int, number: int) -> None:
        """Note one edge; `number` is the kernel's, which begins at 1 and counts those too that it had no room for."""
        missed = (number - self._number - 1) % WRAPS_AT
        self._number = number
        if self._last_ns is None or missed or at_ns - self._last_ns >= self._debounce_ns:
            self._changes += 1
        self._changes += missed  # bounces or not: nobody can tell any more
        self._last_ns = at_ns


class KernelPulses:
    """Counts the pulses of a contact to ground on one line of a /dev/gpiochip.

    `debounce_us` is 0 for what does not bounce; else more than the contact bounces, and less than it is closed or open.
    """

    def __init__(self, pin: int, *, chip: int, debounce_us: int) -> None:
        self._name = f"GPIO {pin} of gpiochip{chip}"
        self._edges = Edges(debounce_us * 1000)
        self._lost = False
        lines = (pin, *(0,) * 63)
        flags = INPUT | PULL_UP | FALLING | (RISING if debounce_us else 0)
        request = bytearray(REQUEST.pack(*lines, b"tuoi", flags, 0, 1, BUFFER, 0))
        try:
            chip_file = os.open(f"/dev/gpiochip{chip}", os.O_RDWR | os.O_CLOEXEC)
            try:
                ioctl(chip_file, GET_LINE, request)
            finally:
                os.close(chip_file)
        except OSError as exc:
            raise LineFault(f"{self._name}: cannot be claimed: {exc.strerror}") from exc
        self._file = int(REQUEST.unpack(request)[-1])
        os.set_blocking(self._file, False)

    def count(self) -> int:
        """Return all pulses since the line was claimed."""
        try:
            while events := os.read(self._file, AT_ONCE * EVENT.size):
                for at_ns, _, _, _, number in EVENT.iter_unpack(events):
                    self._edges.take(at_ns, number)
        except BlockingIOError:
            pass  # that was all
        except OSError as exc:  # its chip is gone: from now on no pulse comes, which is told as no flow
            if not self._lost:
                self._lost = True
                log.error("pulses are no longer counted: %s: %s", self._name, exc.strerror)
        return self._edges.pulses

    def close(self) -> None:
        """Stop counting and give the line back."""
        os.close(self._file)
