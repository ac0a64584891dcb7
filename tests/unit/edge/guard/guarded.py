"""A guard whose outputs tell what they do: `python -m tests.unit.edge.guard.guarded BOARD.toml` prints `valve v1 open`.

Files beside the board's file break things: while `stuck` or `stuck-NAME` is there, an open output does not close; while
`jammed-NAME` is there, one does not open; while `no-reserve` is there, there is no charge to close a latching valve.
`later` holds the seconds by which its clock is ahead; with `strangers` no process is one of its user's.
"""

import sys
import time
from pathlib import Path

from edge.guard.process import Guard
from edge.guard.settings import read_settings
from edge.hardware.errors import LineFault


class TellingValve:
    """Says every change of its line, and with `always` every pulse."""

    def __init__(self, channel: str, folder: Path, *, always: bool) -> None:
        self._channel = channel
        self._stuck = (folder / "stuck", folder / f"stuck-{channel}")
        self._jammed = folder / f"jammed-{channel}"
        self._always = always
        self._is_open: bool | None = None

    def set(self, is_open: bool) -> None:
        stuck = not is_open and (self._is_open or self._always) and any(path.exists() for path in self._stuck)
        if stuck or (is_open and self._jammed.exists()):
            raise LineFault(f"{self._channel}: told {is_open}, reads {self._is_open}")
        if self._always or is_open is not self._is_open:
            print(f"valve {self._channel} {'open' if is_open else 'closed'}", flush=True)
        self._is_open = is_open

    def close(self) -> None:
        print(f"valve {self._channel} released", flush=True)


class Reserve:
    """There is charge unless a file says otherwise; a folder in its place cannot be read."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "no-reserve"

    def is_on(self) -> bool:
        if self._path.is_dir():
            raise LineFault("reserve: no answer")
        return not self._path.exists()


if __name__ == "__main__":
    path = Path(sys.argv[1])
    settings = read_settings(path)
    names = {supply.name: False for supply in settings.supplies}
    names |= {output.channel: output.latch is not None for output in settings.outputs}
    outputs = {name: TellingValve(name, path.parent, always=latches) for name, latches in names.items()}
    later = path.parent / "later"

    def clock() -> float:
        return time.monotonic() + (float(later.read_text()) if later.exists() else 0.0)

    strangers = frozenset[int]() if (path.parent / "strangers").exists() else None
    Guard(settings, outputs, Reserve(path.parent) if settings.reserve else None, clock, strangers).run()
