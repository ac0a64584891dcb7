"""What the guard asks of its lines, apart from the other ports: those know the wire, which is 10 MB too much for it."""

from typing import Protocol


class ValveOutput(Protocol):
    """One valve or supply."""

    def set(self, is_open: bool) -> None:
        """Drive the line and read it back; raise LineFault if it does not follow."""
        ...

    def close(self) -> None:
        """Release the line, which closes a valve that needs current to be open; a latching one stays as it is."""
        ...


class Level(Protocol):
    """An input that is on or off."""

    def is_on(self) -> bool:
        """Read it; raise LineFault."""
        ...
