"""The errors of the hardware.

HardwareError
├── UnknownFactory   the configuration names a GPIO factory that is not installed
└── LineFault        a line or bus did not do what it was told, or does not answer
"""


class HardwareError(Exception):
    """Root of what can go wrong at the pins."""


class UnknownFactory(HardwareError, LookupError):
    """No GPIO factory of that name; the message lists those that there are."""


class LineFault(HardwareError, OSError):
    """A line did not follow; the message names it and the last value seen."""
