"""The GPIO lines of all boards as a kernel keeps them: one owner each, and released when the owner goes."""

from collections import deque
from dataclasses import dataclass
from enum import StrEnum

from firmware_sim.errors import Refused

HISTORY = 1000


class Function(StrEnum):
    """What a line is now."""

    FREE = "free"
    INPUT = "input"
    OUTPUT = "output"


@dataclass(frozen=True, slots=True)
class Line:
    """One line. `since_ns` (monotonic) is when it last changed; `owner` is a connection's number, `pid` its process."""

    node: str
    gpio: int
    function: Function = Function.FREE
    level: int = 0
    owner: int | None = None
    pid: int | None = None
    since_ns: int = 0


class Lines:
    """All lines by node and pin. A line that nobody owns floats, and its pull-down resistor reads 0."""

    def __init__(self) -> None:
        self._lines: dict[tuple[str, int], Line] = {}
        self.history: deque[Line] = deque(maxlen=HISTORY)

    def at(self, node: str, gpio: int) -> Line:
        """Return a line as it is now."""
        return self._lines.get((node, gpio), Line(node, gpio))

    def all(self) -> list[Line]:
        """Return every line that was ever used."""
        return list(self._lines.values())

    def claim(self, line: Line) -> Line:
        """Make a line what `line.owner` wants of it and return it as it is now; raise Refused if another holds it."""
        now = self.at(line.node, line.gpio)
        if now.owner not in {None, line.owner}:
            raise Refused(f"pin {line.gpio} of {line.node} is held by process {now.pid}")
        same = (now.function, now.level, now.owner) == (line.function, line.level, line.owner)
        return now if same else self._put(line)

    def release(self, owner: int, at_ns: int, gpio: int | None = None) -> list[Line]:
        """Free one line, or all, of an owner; return those that changed."""
        mine = [line for line in self._lines.values() if line.owner == owner and gpio in {None, line.gpio}]
        return [self._put(Line(line.node, line.gpio, since_ns=at_ns)) for line in mine]

    def _put(self, line: Line) -> Line:
        self._lines[line.node, line.gpio] = line
        self.history.append(line)
        return line
