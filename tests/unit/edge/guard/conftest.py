"""A board's file, a guard on it, and an agent's hand at its socket."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fixtures.processes import Process, Processes
from tests.unit.edge.guard.agent import BOARD, Agent, socket_of, start_guard


@pytest.fixture
def board(tmp_path: Path) -> Path:
    path = tmp_path / "board.toml"
    path.write_text(BOARD)
    return path


@pytest.fixture
def guard(processes: Processes, board: Path) -> Process:
    return start_guard(processes, board)


@pytest.fixture
def agent(guard: Process, board: Path) -> Iterator[Agent]:
    connected = Agent(socket_of(board))
    yield connected
    connected.close()
