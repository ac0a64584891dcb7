"""The other end of the guard's socket, by hand; a board for it; and how a guard is started whose outputs tell."""

import json
import select
import socket
import sys
from pathlib import Path
from typing import Any

from tests.fixtures.processes import Process, Processes

ROOT = Path(__file__).parents[4]
BOARD = """
farm_id = "mai"
node_id = "board-1"
state_dir = "state"
[gpio]
factory = "mock"
[guard]
renew_s = 0.5
[[valve]]
channel = "v1"
pin = 17
max_open_s = 60
max_day_s = 100
[[valve]]
channel = "v2"
pin = 18
max_open_s = 60
"""


def start_guard(processes: Processes, board: Path) -> Process:
    """Start a guard on that board's file and return when it is ready."""
    guard = processes.start(sys.executable, "-m", "tests.unit.edge.guard.guarded", board, cwd=ROOT, name="guard")
    guard.wait_for("guard ready")
    return guard


def put_clock_ahead(folder: Path, seconds: float) -> None:
    """Put the clock of the guard in that folder ahead, in one step."""
    new = folder / "later.new"
    new.write_text(f"{seconds}")
    new.replace(folder / "later")


def socket_of(board: Path) -> Path:
    """Where the guard of that board's file listens."""
    return board.parent / "state" / "guard.sock"


class Agent:
    """Speaks line by line and waits for each answer."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(10)
        self._socket.connect(str(path))
        self._lines = self._socket.makefile("rb")

    def send(self, line: bytes) -> None:
        self._socket.sendall(line + b"\n")

    def hear(self) -> dict[str, Any]:
        heard: dict[str, Any] = json.loads(self._lines.readline())
        return heard

    def ask(self, **request: Any) -> dict[str, Any]:
        self.send(json.dumps(request).encode())
        return self.hear()

    def open(self, channel: str = "v1", lease_id: str = "a", seconds: float = 30) -> dict[str, Any]:
        return self.ask(do="open", channel=channel, lease_id=lease_id, seconds=seconds)

    def hears_the_end(self) -> bool:
        """Wait for what is said next; True if the guard ended the connection instead."""
        return self._lines.readline() == b""

    def waits_for_words(self) -> None:
        """Return when something is there to be heard, and do not hear it."""
        select.select([self._socket], [], [], 10)

    def close(self) -> None:
        self._lines.close()
        self._socket.close()
