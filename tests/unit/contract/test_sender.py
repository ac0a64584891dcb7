"""A sender against a broker and a receiver that misbehave, in a time that passes only when nobody has work to do."""

import asyncio
import random
import selectors
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.codec import decode
from contract.errors import ContractError, NotAllowed, NotConnected, TooLarge
from contract.inbox import Inbox, Record
from contract.messages import Batch, BootEvent, Lane, Quantity, Reading
from contract.outbox import Outbox, Sender
from contract.store import transaction
from contract.topics import Channel

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


class VirtualSelector(selectors.DefaultSelector):
    """Does not wait: what was asked to be waited for has passed."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout:
            self.now += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose hours are over in milliseconds."""

    def __init__(self) -> None:
        self.virtual = VirtualSelector()
        super().__init__(self.virtual)

    def time(self) -> float:
        return self.virtual.now


class Bench:
    """An outbox, its sender, a broker as the test wants it, and a receiver."""

    def __init__(self) -> None:
        self.connected = True
        self.in_order = True
        self.place = 0.0
        self.takes_s = 0.01  # from publish to PUBACK
        self.ack_s = 0.01  # from PUBACK to the Ack
        self.refuse: Callable[[Batch], ContractError | None] = lambda _: None
        self.lose_batch: Callable[[], bool] = lambda: False
        self.lose_ack: Callable[[], bool] = lambda: False
        self.sent: list[tuple[float, Batch]] = []
        self.underway = self.most_underway = 0
        self.stored: list[Record] = []
        self.all_stored = asyncio.Event()
        self.expected = 0
        self.outbox_db = sqlite3.connect(":memory:", isolation_level=None)
        self.inbox_db = sqlite3.connect(":memory:", isolation_level=None)
        self.outbox = Outbox(self.outbox_db, boot_id="b1")
        self.inbox = Inbox(self.inbox_db)
        self.sender = Sender(self.outbox, self, "mai", "board-east")

    def close(self) -> None:
        self.outbox_db.close()
        self.inbox_db.close()

    async def publish(
        self, farm_id: str, node_id: str, channel: Channel, message: Any, *, expires_s: int | None = None
    ) -> None:
        assert (farm_id, node_id, channel, expires_s) == ("mai", "board-east", Channel.BATCH, None)
        if not self.connected:
            raise NotConnected("no broker")
        batch = decode(channel, message)
        self.sent.append((asyncio.get_running_loop().time(), batch))
        refusal = self.refuse(batch)
        if refusal is not None:
            raise refusal
        self.underway += 1
        self.most_underway = max(self.most_underway, self.underway)
        await asyncio.sleep(self.after(self.takes_s))
        self.underway -= 1
        if not self.connected:
            raise NotConnected("the connection ended before the broker answered")
        if not self.lose_batch():
            asyncio.get_running_loop().call_later(self.after(self.ack_s), self.arrive, batch)

    def after(self, delay_s: float) -> float:
        """The delay, a little more each time: timers that end at the same moment have no order."""
        self.place += 1e-9
        return delay_s + (self.place if self.in_order else 0.0)

    def arrive(self, batch: Batch) -> None:
        with transaction(self.inbox_db):
            records, ack = self.inbox.accept("board-east", batch)
        self.stored.extend(records)
        if not self.lose_ack():
            self.sender.on_ack(ack)
        if len(self.stored) >= self.expected and not self.outbox.depth(Lane.EVENTS) + self.outbox.depth(Lane.READINGS):
            self.all_stored.set()

    def append(self, *records: Record) -> None:
        self.all_stored.clear()
        self.expected += len(records)
        self.outbox.append(*records)
        self.sender.wake()

    @property
    def batches(self) -> list[Batch]:
        return [batch for _, batch in self.sent]

    @property
    def values(self) -> list[float | None]:
        return [record.value for record in self.stored if isinstance(record, Reading)]


def reading(number: int) -> Reading:
    return Reading(seq=1, sensor="s", quantity=Quantity.BATTERY, value=number, unit="V", at=NOON)


def event(text: str = "start") -> BootEvent:
    return BootEvent(seq=1, at=NOON, boot_id="b", why=text)


def play(scene: Callable[[Bench], Awaitable[None]]) -> None:
    """Run a scene with the sender beside it, in virtual time."""

    async def whole() -> None:
        bench = Bench()
        running = asyncio.create_task(bench.sender.run())
        try:
            await scene(bench)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            bench.close()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(whole())


def test_everything_arrives_once_and_in_order() -> None:
    async def scene(bench: Bench) -> None:
        bench.append(*map(reading, range(5000)))
        await bench.all_stored.wait()
        assert bench.values == list(range(5000))
        assert sum(len(batch.records) for batch in bench.batches) == 5000  # and nothing was sent twice

    play(scene)


def test_news_goes_at_once() -> None:
    async def scene(bench: Bench) -> None:
        await asyncio.sleep(1000)
        bench.append(event())
        await bench.all_stored.wait()
        assert bench.sent[0][0] == 1000

    play(scene)


def test_an_event_overtakes_a_backlog_of_readings() -> None:
    async def scene(bench: Bench) -> None:
        bench.takes_s = 1.0
        bench.append(*map(reading, range(1000)))
        await asyncio.sleep(1.5)
        bench.append(event())
        await bench.all_stored.wait()
        place = [batch.lane for batch in bench.batches].index(Lane.EVENTS)
        assert bench.sent[place][0] == 1.5
        assert sum(len(batch.records) for batch in bench.batches[:place]) < 1000

    play(scene)


def test_events_are_looked_for_before_readings() -> None:
    async def scene(bench: Bench) -> None:
        bench.append(reading(1), event())
        await bench.all_stored.wait()
        assert [batch.lane for batch in bench.batches] == [Lane.EVENTS, Lane.READINGS]

    play(scene)


def test_a_few_batches_are_on_their_way_at_once_and_not_more() -> None:
    async def scene(bench: Bench) -> None:
        bench.takes_s, bench.ack_s = 0.2, 0.0
        bench.append(*map(reading, range(5000)))
        await bench.all_stored.wait()
        assert bench.most_underway == 4

    play(scene)


def test_a_slow_line_gets_small_batches_one_at_a_time() -> None:
    async def scene(bench: Bench) -> None:
        bench.takes_s = 3.0
        bench.append(*map(reading, range(500)))
        await bench.all_stored.wait()
        sizes = [len(batch.records) for batch in bench.batches]
        assert sizes[-2] == 5
        bench.most_underway = 0
        bench.append(*map(reading, range(50)))
        await bench.all_stored.wait()
        assert bench.most_underway == 1

    play(scene)


def test_a_line_begins_with_one_small_batch_and_a_quick_one_gets_larger_ones() -> None:
    async def scene(bench: Bench) -> None:
        bench.append(*map(reading, range(10_000)))
        await bench.all_stored.wait()
        sizes = [len(batch.records) for batch in bench.batches]
        assert sizes[:2] == [20, 40]
        assert bench.sent[0][0] < bench.sent[1][0]  # not before the first has shown how quick it is
        assert max(sizes) == 1000

    play(scene)


def test_when_acks_stay_away_it_asks_again_and_more_and_more_rarely() -> None:
    async def scene(bench: Bench) -> None:
        bench.lose_ack = lambda: True
        bench.append(*map(reading, range(1000)))
        await asyncio.sleep(3600)
        first, second = bench.batches[0], bench.batches[4]
        assert second.after_seq == first.after_seq
        again = [at for at, _ in bench.sent[4:]]
        waits = [round(later - earlier) for earlier, later in pairwise(again)]
        assert waits[:6] == [10, 20, 40, 80, 120, 120]
        assert len(bench.sent) < 45  # one batch each time, not the whole window
        bench.lose_ack = lambda: False
        await bench.all_stored.wait()
        assert bench.values == list(range(1000))

    play(scene)


def test_it_still_asks_after_a_year_of_silence() -> None:
    async def scene(bench: Bench) -> None:
        bench.lose_batch = lambda: True
        bench.append(event())
        await asyncio.sleep(2 * 86_400)
        bench.lose_batch = lambda: False
        await bench.all_stored.wait()
        assert len(bench.stored) == 1

    play(scene)


def test_a_greeting_ends_the_wait() -> None:
    async def scene(bench: Bench) -> None:
        bench.lose_batch = lambda: True  # nobody subscribes yet
        bench.append(event(), reading(1))
        await asyncio.sleep(100)
        bench.lose_batch = lambda: False
        before = len(bench.sent)
        bench.sender.on_ack(bench.inbox.greeting("board-east", "b1"))
        await asyncio.sleep(0.1)
        assert len(bench.stored) == 2
        assert len(bench.sent) == before + 2

    play(scene)


def test_without_a_broker_nothing_is_sent_and_after_a_connection_all_of_it() -> None:
    async def scene(bench: Bench) -> None:
        bench.connected = False
        bench.append(reading(1), event())
        await asyncio.sleep(86_400)
        assert bench.sent == []
        bench.connected = True
        bench.sender.on_connect()
        await bench.all_stored.wait()
        assert len(bench.stored) == 2

    play(scene)


def test_what_was_on_its_way_when_the_connection_broke_is_sent_again() -> None:
    async def scene(bench: Bench) -> None:
        bench.takes_s = 1.0
        bench.append(*map(reading, range(300)))
        await asyncio.sleep(0.5)
        bench.connected = False
        await asyncio.sleep(3)
        bench.connected = True
        bench.sender.on_connect()
        await bench.all_stored.wait()
        assert bench.values == list(range(300))

    play(scene)


def test_a_receiver_that_was_restored_gets_what_is_left() -> None:
    async def scene(bench: Bench) -> None:
        bench.append(*map(reading, range(50)))
        await bench.all_stored.wait()
        bench.inbox_db.execute("UPDATE inbox SET seq = 10")
        bench.append(*map(reading, range(50, 60)))
        await bench.all_stored.wait()
        assert bench.values == list(range(60))
        assert bench.batches[-1].after_seq == 10
        assert len(bench.sent) == 4
        assert bench.sent[-1][0] < 1.0  # noticed by the first answer, not by a timer

    play(scene)


def test_a_refusal_is_logged_once_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    async def scene(bench: Bench) -> None:
        bench.refuse = lambda _: NotAllowed("the broker's access control refused it")
        bench.append(reading(1))
        await asyncio.sleep(600)
        assert 10 < len(bench.sent) < 130
        assert [record.levelname for record in caplog.records] == ["ERROR"]
        bench.refuse = lambda _: None
        await bench.all_stored.wait()

    with caplog.at_level("ERROR"):
        play(scene)


def test_batches_shrink_until_the_broker_takes_them() -> None:
    async def scene(bench: Bench) -> None:
        bench.refuse = lambda batch: TooLarge("too large") if len(batch.records) > 7 else None
        bench.append(*map(reading, range(100)))
        await bench.all_stored.wait()
        assert bench.values == list(range(100))

    play(scene)


@settings(max_examples=40)
@given(st.integers(0, 2**32), st.floats(0, 0.6), st.floats(0, 0.6), st.floats(0, 0.4))
def test_on_a_bad_line_everything_arrives_once_and_in_order(seed: int, lost: float, deaf: float, gone: float) -> None:
    async def scene(bench: Bench) -> None:
        dice = random.Random(seed)
        bench.in_order = False
        bench.lose_batch = lambda: dice.random() < lost
        bench.lose_ack = lambda: dice.random() < deaf
        for number in range(60):
            bench.takes_s, bench.ack_s = dice.expovariate(2), dice.expovariate(2)
            if dice.random() < gone:
                bench.connected = False
                await asyncio.sleep(dice.expovariate(0.2))
                bench.connected = True
                bench.sender.on_connect()
            bench.append(reading(2 * number), event(str(number)), reading(2 * number + 1))
            await asyncio.sleep(dice.expovariate(1))
        await bench.all_stored.wait()
        assert bench.values == list(range(120))
        assert [record.why for record in bench.stored if isinstance(record, BootEvent)] == list(map(str, range(60)))

    play(scene)


@pytest.fixture(autouse=True)
def _no_loop_left() -> Iterator[None]:
    yield
    asyncio.set_event_loop(None)
