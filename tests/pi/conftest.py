"""Two boards for the whole session, one for each kernel, both given power at once; and the table of what they took."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.fixtures.mosquitto import Mosquitto
from tests.pi.board import Board, Gateway, Measured
from tests.pi.card import KERNELS, card
from tests.pi.emulator import Pi

_measured = Measured()


@pytest.fixture(scope="session")
def measured() -> Measured:
    """Where a test notes what it measured; printed at the end."""
    return _measured


@pytest.fixture(scope="session")
def boards(
    tmp_path_factory: pytest.TempPathFactory, shared_mosquitto: Mosquitto, measured: Measured
) -> Iterator[dict[str, Board]]:
    """The boards by kernel, which boot while the first tests wait for theirs."""
    folder, files = tmp_path_factory.mktemp("pi"), card()
    boards = {
        kernel.name: Board(Pi(folder / kernel.name, files, kernel), kernel.name, shared_mosquitto.port, measured)
        for kernel in KERNELS
    }
    try:
        for board in boards.values():
            board.start()
        yield boards
    finally:
        for board in boards.values():
            board.pi.cut()


@pytest.fixture(scope="session", params=[kernel.name for kernel in KERNELS])
def board(request: pytest.FixtureRequest, boards: dict[str, Board]) -> Board:
    """A board with one of the kernels."""
    return boards[request.param]


@pytest.fixture
async def gateway(board: Board, shared_mosquitto: Mosquitto) -> AsyncIterator[Gateway]:
    """The farm's gateway as far as this board hears it, once the board is up and shows its state."""
    ear = Gateway(board, shared_mosquitto.port)
    running = asyncio.create_task(ear.link.run(), name="gateway")
    try:
        await ear.ready()
        yield ear
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if lines := _measured.lines():
        terminalreporter.section("the emulated board")
        for line in lines:
            terminalreporter.write_line(line)
