"""The errors of a board's processes.

EdgeError
├── GuardLost      the valve guard does not answer; whatever was open is closed by it or by the kernel
├── GuardRefused   the guard does not open, and says why
└── Unfit          what a probe showed cannot be made a calibration of
"""


class EdgeError(Exception):
    """Root of what can go wrong between the parts of a board."""


class GuardLost(EdgeError, ConnectionError):
    """The guard does not answer."""


class GuardRefused(EdgeError, PermissionError):
    """The guard does not open; `code` is stable."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


class Unfit(EdgeError, ValueError):
    """What a probe showed is no point of a calibration; `code` names a sentence, `params` are its numbers."""

    def __init__(self, code: str, **params: float | str) -> None:
        super().__init__(f"{code} {params}")
        self.code = code
        self.params = params
