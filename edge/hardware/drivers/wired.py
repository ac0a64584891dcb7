"""What probes on a serial adapter share: the port, by name and by how it is set."""

from collections.abc import Hashable
from typing import Annotated, Literal

from pydantic import Field

from edge.hardware.drivers.driver import ProbeSettings


class SerialSettings(ProbeSettings):
    """A probe on a serial port; those of one port share it, and must be told the same about it.

    Name the port by /dev/serial/by-id/...: ttyUSB0 may be another adapter after a restart.
    """

    port: Annotated[str, Field(pattern=r"^/")]
    baud: Annotated[int, Field(ge=300, le=921_600)]
    framing: Literal["8N1", "8E1", "8O1", "8N2", "7E1"]

    @property
    def bus(self) -> str:
        """The port."""
        return self.port

    @property
    def wire(self) -> Hashable:
        """The protocol and how the port is set."""
        return (self.driver, self.baud, self.framing)
