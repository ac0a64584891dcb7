"""A guard whose valves tell what they do: `python -m tests.unit.edge.guard.guarded BOARD.toml` prints `valve v1 open`.

While a file `stuck` lies beside the board's file, an open valve does not close.
"""

import sys
from pathlib import Path

from edge.guard.process import Guard
from edge.guard.settings import read_settings
from edge.hardware.errors import LineFault


class TellingValve:
    """Says every change of its line."""

    def __init__(self, channel: str, folder: Path) -> None:
        self._channel = channel
        self._stuck = folder / "stuck"
        self._is_open: bool | None = None

    def set(self, is_open: bool) -> None:
        if not is_open and self._is_open and self._stuck.exists():
            raise LineFault(f"{self._channel}: told {is_open}, reads {self._is_open}")
        if is_open is not self._is_open:
            print(f"valve {self._channel} {'open' if is_open else 'closed'}", flush=True)
        self._is_open = is_open

    def close(self) -> None:
        print(f"valve {self._channel} released", flush=True)


if __name__ == "__main__":
    path = Path(sys.argv[1])
    settings = read_settings(path)
    Guard(settings, {output.channel: TellingValve(output.channel, path.parent) for output in settings.outputs}).run()
