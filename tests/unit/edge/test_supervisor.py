"""What becomes of a part that raises, and of a process whose store fails."""

import asyncio
import sqlite3

import pytest

from contract.errors import OutboxFull
from edge.supervisor import Supervisor, store_failed


class Agent:
    """Notes what a supervisor asks of it; its store can be broken."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.broken: Exception | None = None
        self.supervisor = Supervisor(close=self.close, tell=self.tell, lost=self.lost)

    async def close(self, part: str) -> None:
        self.done.append(f"close for {part}")

    def tell(self, part: str, well: bool) -> None:
        if self.broken is not None:
            raise self.broken
        self.done.append(f"{part} {'is well' if well else 'failed'}")

    def lost(self, exc: BaseException) -> None:
        self.done.append(f"lost by {exc}")


FULL = sqlite3.OperationalError("database or disk is full")


async def test_a_part_that_raises_has_the_valves_closed_before_it_is_told_and_is_begun_again() -> None:
    agent = Agent()
    lives = 0
    again = asyncio.Event()

    async def part() -> None:
        nonlocal lives
        lives += 1
        if lives == 1:
            raise RuntimeError("a bug")
        again.set()
        await asyncio.Event().wait()

    keeping = asyncio.create_task(agent.supervisor.keep("plan", part))
    await again.wait()
    assert agent.done == ["close for plan", "plan failed"]
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)


@pytest.mark.parametrize(
    "failure",
    [FULL, OutboxFull("no room"), sqlite3.DatabaseError("malformed"), ExceptionGroup("tasks", [ValueError(), FULL])],
    ids=["full", "outbox", "corrupt", "in a task group"],
)
async def test_a_part_whose_store_fails_is_not_begun_again(failure: Exception) -> None:
    agent = Agent()

    async def part() -> None:
        raise failure

    await agent.supervisor.keep("sample", part)
    assert agent.done == [f"lost by {failure}"]


async def test_a_failure_that_cannot_be_written_down_loses_the_store_after_the_valves_are_closed() -> None:
    agent = Agent()
    agent.broken = FULL

    async def part() -> None:
        raise RuntimeError("a bug")

    await agent.supervisor.keep("plan", part)
    assert agent.done == ["close for plan", f"lost by {FULL}"]
    agent.supervisor._well("plan")
    assert agent.done[-1] == f"lost by {FULL}"


@pytest.mark.parametrize(("exc", "failed"), [(ValueError(), False), (OSError(), False), (FULL, True)])
def test_only_what_a_store_raises_is_its_failure(exc: Exception, failed: bool) -> None:
    assert store_failed(exc) is failed
