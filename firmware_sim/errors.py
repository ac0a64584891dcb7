"""The errors of the simulated field.

FieldError
├── FieldLost     the field's process does not answer
├── Refused       the field said no: an unknown node or pin, a line that another process holds
└── DemoError     the demo cannot start as asked, in one sentence for the person who typed it
    └── NotReady  it started, but one of its processes does not do its part
"""


class FieldError(Exception):
    """Root of what can go wrong in the simulation."""


class FieldLost(FieldError, ConnectionError):
    """The field's process is away; `tried` says what was asked of it."""

    def __init__(self, tried: str, why: object) -> None:
        super().__init__(f"the simulated field did not answer to {tried!r}: {why}")


class Refused(FieldError, ValueError, OSError):
    """The field knows no such thing, or it belongs to another process (a kernel would answer EBUSY)."""


class DemoError(FieldError):
    """The demo cannot start as asked."""


class NotReady(DemoError):
    """A process of the demo does not do its part; the message has its last words."""
