"""The kernel's I2C buses by SMBus words, with the standard library alone (Documentation/i2c/dev-interface.rst)."""

import ctypes
import errno
import os
from fcntl import ioctl
from typing import Protocol

from edge.hardware.errors import ProbeFault

I2C_SLAVE, I2C_SMBUS = 0x0703, 0x0720  # linux/i2c-dev.h
WRITE, READ, WORD_DATA = 0, 1, 3  # I2C_SMBUS_WRITE, I2C_SMBUS_READ, I2C_SMBUS_WORD_DATA
NOBODY = {errno.ENXIO, errno.EREMOTEIO, errno.ETIMEDOUT, errno.ENODEV}  # what adapters say when no chip acknowledges


class WordBus(Protocol):
    """An I2C bus whose chips have 16-bit registers, the high byte first on the wire."""

    def read_word(self, address: int, register: int) -> int:
        """Return a register, 0 to 65535; raise ProbeFault. May block."""
        ...

    def write_word(self, address: int, register: int, value: int) -> None:
        """Set a register, 0 to 65535; raise ProbeFault. May block."""
        ...


class _Data(ctypes.Union):
    _fields_ = (("word", ctypes.c_uint16), ("block", ctypes.c_uint8 * 34))


class _Request(ctypes.Structure):
    _fields_ = (
        ("read_write", ctypes.c_uint8),
        ("command", ctypes.c_uint8),
        ("size", ctypes.c_uint32),
        ("data", ctypes.POINTER(_Data)),
    )


class I2cBus:
    """/dev/i2c-N, opened when it is first needed and again after an error. For one thread: that of its bus."""

    def __init__(self, number: int) -> None:
        self._path = f"/dev/i2c-{number}"
        self._file: int | None = None
        self._address: int | None = None

    def read_word(self, address: int, register: int) -> int:
        """Return a register, 0 to 65535; raise ProbeFault."""
        return self._smbus(address, READ, register, 0)

    def write_word(self, address: int, register: int, value: int) -> None:
        """Set a register, 0 to 65535; raise ProbeFault."""
        self._smbus(address, WRITE, register, value)

    def close(self) -> None:
        """Give the bus back."""
        if self._file is not None:
            os.close(self._file)
            self._file = self._address = None

    def _smbus(self, address: int, direction: int, register: int, value: int) -> int:
        data = _Data(word=_swapped(value))
        request = _Request(direction, register, WORD_DATA, ctypes.pointer(data))
        try:
            if self._file is None:
                self._file = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
            if self._address != address:
                ioctl(self._file, I2C_SLAVE, address)
                self._address = address
            ioctl(self._file, I2C_SMBUS, request)
        except OSError as exc:
            self.close()
            code = "no-answer" if exc.errno in NOBODY else "bus-error"
            raise ProbeFault(code, f"{self._path}, address {address:#04x}: {exc.strerror}") from exc
        return _swapped(int(data.word))


def _swapped(word: int) -> int:
    # SMBus sends the low byte first, these chips the high one.
    return (word & 0xFF) << 8 | word >> 8
