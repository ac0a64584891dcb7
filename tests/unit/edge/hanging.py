"""An agent whose driver blocks the event loop: `python -m tests.unit.edge.hanging BOARD.toml FILE`, once FILE is there."""

import asyncio
import sys
import threading
from pathlib import Path

from edge.app import Agent
from edge.config import load_board
from edge.hardware.fakes import FakeHardware, FakePulses
from edge.heartbeat import beat


class HangingPulses(FakePulses):
    """A counter that does not come back."""

    def __init__(self, hang: Path) -> None:
        super().__init__()
        self._hang = hang

    def count(self) -> int:
        if self._hang.exists():
            threading.Event().wait()
        return super().count()


async def main() -> None:
    """As `tuoi edge agent`, with less patience."""
    hardware = FakeHardware()
    hardware.counters[22] = HangingPulses(Path(sys.argv[2]))
    agent = Agent(load_board(Path(sys.argv[1])), hardware)
    async with asyncio.TaskGroup() as group:
        group.create_task(beat(hang_s=4.0))
        group.create_task(agent.run(asyncio.Event()))


if __name__ == "__main__":
    asyncio.run(main())
