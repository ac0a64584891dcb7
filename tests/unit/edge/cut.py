"""A board that loses its power at one step of an open: both processes die by SIGKILL, the one that is there kills first.

`python -m tests.unit.edge.cut guard|agent BOARD.toml STEP`, two composition roots around the real guard and the real
agent. The steps are seen from outside: SQLite tells each statement before it runs, the valve is a port, and so is asking
the guard. Nothing of the product knows.
"""

import asyncio
import os
import signal
import sqlite3
import sys
from pathlib import Path
from typing import Any

from edge.app import Agent
from edge.config import load_board
from edge.guard.process import Guard
from edge.guard.settings import read_settings
from edge.guard_client import Granted
from edge.hardware.fakes import FakeHardware
from tests.unit.edge.guard.guarded import TellingValve

IN_TRANSACTION = {
    "lease": "INSERT INTO lease",
    "opened": "UPDATE lease SET opened_at",
    "answer": "INSERT OR REPLACE INTO answer",
    "progress": "INSERT OR REPLACE INTO progress",
    "end": "DELETE FROM lease",
}


class Power:
    """Cut when it comes to `step`. Each process has left its number in the folder."""

    def __init__(self, folder: Path, role: str, step: str) -> None:
        self._other = folder / ("agent.pid" if role == "guard" else "guard.pid")
        self._step = step
        (folder / f"{role}.pid").write_text(str(os.getpid()))

    def at(self, step: str) -> None:
        if step == self._step:
            os.kill(int(self._other.read_text()), signal.SIGKILL)
            os.kill(os.getpid(), signal.SIGKILL)


class CutValve(TellingValve):
    """A valve at which the power is cut before or after its line is driven."""

    def __init__(self, channel: str, folder: Path, power: Power) -> None:
        super().__init__(channel, folder, always=False)
        self._power = power

    def set(self, is_open: bool) -> None:
        was_open = self._is_open
        if is_open or was_open:
            self._power.at("guard drives" if is_open else "guard closes")
        super().set(is_open)
        if is_open or was_open:
            self._power.at("guard has driven" if is_open else "guard has closed")


def watch_statements(db: sqlite3.Connection, power: Power) -> None:
    """Cut inside a transaction, before its commit, or at whatever statement comes after it."""
    kind = committed = ""

    def see(statement: str) -> None:
        nonlocal kind, committed
        if committed:
            power.at(f"{committed} is committed")
            committed = ""
        kind = next((name for name, start in IN_TRANSACTION.items() if statement.startswith(start)), kind)
        if statement == "COMMIT":
            power.at(f"{kind} is written")
            kind, committed = "", kind

    db.set_trace_callback(see)


def guard(path: Path, step: str) -> None:
    settings = read_settings(path)
    power = Power(path.parent, "guard", step)
    Guard(settings, {output.channel: CutValve(output.channel, path.parent, power) for output in settings.outputs}).run()


async def agent(path: Path, step: str) -> None:
    power = Power(path.parent, "agent", step)
    open_board = Agent.__init__.__globals__["open_board"]

    def open_watched(database: Path) -> Any:
        db = open_board(database)
        watch_statements(db, power)
        return db

    Agent.__init__.__globals__["open_board"] = open_watched
    made = Agent(load_board(path), FakeHardware())
    ask = made.guard.open

    async def open_valve(channel: str, lease_id: str, seconds: float) -> Granted:
        power.at("agent asks")
        granted = await ask(channel, lease_id, seconds)
        power.at("guard has answered")
        return granted

    made.guard.open = open_valve  # type: ignore[method-assign]
    await made.run(asyncio.Event())


if __name__ == "__main__":
    role, board, at_step = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    if role == "guard":
        guard(board, at_step)
    else:
        asyncio.run(agent(board, at_step))
