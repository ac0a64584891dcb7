"""The errors of the hardware.

HardwareError
├── UnknownFactory   the configuration names a GPIO factory that is not installed
├── UnknownDriver    the configuration names a driver that is not installed, or does not load
└── LineFault        a line or bus did not do what it was told, or does not answer
    └── ProbeFault   a probe has no value to give, with a code that a reading can carry
"""


class HardwareError(Exception):
    """Root of what can go wrong at the pins."""


class UnknownFactory(HardwareError, LookupError):
    """No GPIO factory of that name; the message lists those that there are."""


class UnknownDriver(HardwareError, LookupError):
    """No driver of that name; the message lists those that there are."""


class LineFault(HardwareError, OSError):
    """A line did not follow; the message names it and the last value seen."""


class ProbeFault(LineFault):
    """A probe has no value to give; `code` is stable and short.

    no-answer, bad-checksum, wrong-answer (of another probe, or not understood), refused (the probe says why),
    over-range, bus-error (the port or its adapter), driver-failed, hung.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
