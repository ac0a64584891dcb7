"""Texas Instruments ADS1115 (data sheet SBAS444E): four inputs, 16 bit, one conversion at a time and then asleep."""

import time

from edge.hardware.errors import ProbeFault
from edge.hardware.i2c import WordBus

CONVERSION, CONFIG = 0, 1  # registers, table 8-1
# Config register, table 8-3: OS starts a conversion and is 1 again when it is done.
OS, SINGLE_ENDED, SINGLE_SHOT, RATE_128, NO_COMPARATOR = 1 << 15, 0b100 << 12, 1 << 8, 0b100 << 5, 0b11
PGA = {6.144: 0, 4.096: 1, 2.048: 2, 1.024: 3, 0.512: 4, 0.256: 5}  # full scale in V to the gain's bits 11:9
FULL_SCALE = 0x7FFF
READY_S, POLL_S = 0.1, 0.001  # a conversion takes 8 ms at 128 samples per second, give or take a tenth


class Ads1115Input:
    """One input against ground. A share of 1.0 is `reference_v`; the converter ends at `range_v`."""

    def __init__(
        self, bus: WordBus, address: int, channel: int, *, range_v: float = 4.096, reference_v: float = 3.3
    ) -> None:
        self._bus, self._address, self._channel = bus, address, channel
        self._range_v, self._reference_v = range_v, reference_v
        self._config = SINGLE_ENDED | channel << 12 | PGA[range_v] << 9 | SINGLE_SHOT | RATE_128 | NO_COMPARATOR

    def read(self) -> float:
        """Convert once and return the share of `reference_v`, 0.0 to 1.0; raise ProbeFault. Blocks for about 9 ms."""
        self._bus.write_word(self._address, CONFIG, OS | self._config)
        self._wait()
        code = self._bus.read_word(self._address, CONVERSION)
        if code == FULL_SCALE and self._range_v < self._reference_v:
            raise ProbeFault("over-range", f"{self._name()}: above its range of {self._range_v:g} V")
        signed = code - 0x10000 if code & 0x8000 else code
        volts = signed * self._range_v / 0x8000
        return min(1.0, max(0.0, volts / self._reference_v))  # a hair below ground is noise

    def close(self) -> None:
        """Nothing to give back: the bus is shared, and the chip sleeps."""

    def _wait(self) -> None:
        give_up_s = time.monotonic() + READY_S
        late = False  # asked before each look: a board that was busy for so long looks once more
        while not (seen := self._bus.read_word(self._address, CONFIG)) & OS:
            if late:
                raise ProbeFault("no-answer", f"{self._name()}: no conversion in {READY_S:g} s")
            time.sleep(POLL_S)
            late = time.monotonic() > give_up_s
        if seen & ~OS != self._config:
            raise ProbeFault("wrong-answer", f"{self._name()}: told {self._config:#06x}, holds {seen & ~OS:#06x}")

    def _name(self) -> str:
        return f"ADS1115 at {self._address:#04x} channel {self._channel}"
