"""A board for each kernel, one after the other for as long as its tests go on; and the table of what they took."""

import asyncio
from collections.abc import AsyncIterator, Generator, Iterator

import pytest

from tests.fixtures.mosquitto import Mosquitto
from tests.pi.board import Board, Gateway, Measured
from tests.pi.card import KERNELS, Kernel, card
from tests.pi.emulator import Pi

_measured = Measured()


@pytest.fixture(scope="session")
def measured() -> Measured:
    """Where a test notes what it measured; printed at the end."""
    return _measured


@pytest.fixture(scope="session", params=KERNELS, ids=lambda kernel: kernel.name)
def board(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    shared_mosquitto: Mosquitto,
    measured: Measured,
) -> Iterator[Board]:
    """A board with one of the kernels, which boots while the first test waits for it."""
    kernel: Kernel = request.param
    folder = tmp_path_factory.mktemp("pi") / kernel.name
    made = Board(Pi(folder, card(), kernel), kernel, shared_mosquitto.port, measured)
    made.start()
    try:
        yield made
    finally:
        made.pi.cut()


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


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test shows what the board's services have said: nobody can look into a card that is gone."""
    report = yield
    board = getattr(item, "funcargs", {}).get("board")
    if report.failed and board is not None:
        report.sections.append(("the board's own words", board.last_words()))
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if lines := _measured.lines():
        terminalreporter.section("the emulated board")
        for line in lines:
            terminalreporter.write_line(line)
