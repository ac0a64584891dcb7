"""Whatever the network does to batches and acknowledgements, each record arrives once and in order."""

import sqlite3
from collections import defaultdict
from datetime import UTC, datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from contract.codec import decode
from contract.inbox import Inbox, Record
from contract.messages import Ack, Batch, BootEvent, GapEvent, Lane, Quantity, Reading
from contract.outbox import Outbox
from contract.store import transaction
from contract.topics import Channel

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
Stream = tuple[str, Lane]


def record(lane: Lane, number: int) -> Record:
    """A record that says which one it is."""
    at = NOON + timedelta(seconds=number)
    if lane is Lane.EVENTS:
        return BootEvent(seq=1, at=at, boot_id="b", why=str(number))
    return Reading(seq=1, sensor="soil-1", quantity=Quantity.SOIL_MOISTURE, value=number, unit="%", at=at)


def number_of(item: Record) -> int:
    """Which one it is; 0 for the outbox's own news of a gap."""
    if isinstance(item, Reading):
        return int(item.value or 0)
    return int(item.why) if isinstance(item, BootEvent) else 0


class Hop(RuleBasedStateMachine):
    """A sender whose process restarts, a network that shuffles, doubles and drops, a receiver restored from backups."""

    max_readings = 1_000_000

    def __init__(self) -> None:
        super().__init__()
        self.outbox_db = sqlite3.connect(":memory:", isolation_level=None)
        self.inbox_db = sqlite3.connect(":memory:", isolation_level=None)
        self.inbox = Inbox(self.inbox_db)
        self.boots = 0
        self.count = 0
        self.cursor = dict.fromkeys(Lane, 0)
        self.committed: dict[Stream, list[int]] = defaultdict(list)
        self.stored: dict[Stream, list[tuple[int, int]]] = defaultdict(list)
        self.gaps: list[GapEvent] = []
        self.batches: list[Batch] = []
        self.acks: list[Ack] = []
        self.start_the_sender_anew()

    @rule()
    def start_the_sender_anew(self) -> None:
        self.boots += 1
        self.outbox = Outbox(self.outbox_db, boot_id=f"boot-{self.boots}", max_readings=self.max_readings)
        self.cursor = dict.fromkeys(Lane, 0)

    @rule(lane=st.sampled_from(Lane), many=st.integers(1, 8), keep=st.booleans())
    def append(self, lane: Lane, many: int, keep: bool) -> None:
        numbers = range(self.count + 1, self.count + 1 + many)
        self.outbox_db.execute("BEGIN")
        self.outbox.append(*(record(lane, number) for number in numbers))
        self.outbox_db.execute("COMMIT" if keep else "ROLLBACK")
        if keep:
            self.count += many
            self.committed[self.outbox.boot_id, lane].extend(numbers)

    @rule(lane=st.sampled_from(Lane), limit=st.integers(1, 5))
    def send(self, lane: Lane, limit: int) -> None:
        parcel = self.outbox.batch(lane, self.cursor[lane], limit)
        if parcel is not None:
            batch = decode(Channel.BATCH, parcel.payload)
            assert (batch.boot_id, batch.lane, batch.after_seq) == (parcel.boot_id, lane, parcel.after_seq)
            assert len(batch.records) == parcel.count <= limit
            assert batch.records[-1].seq == parcel.last_seq
            self.cursor[lane] = parcel.last_row
            self.batches.append(batch)

    @rule(lane=st.sampled_from(Lane))
    def go_back(self, lane: Lane) -> None:
        self.cursor[lane] = 0

    @precondition(lambda self: self.batches)
    @rule(data=st.data(), again=st.booleans())
    def deliver_any_batch(self, data: st.DataObject, again: bool) -> None:
        batch = data.draw(st.sampled_from(self.batches))
        if not again:
            self.batches.remove(batch)
        self.acks.append(self.receive(batch))

    @precondition(lambda self: self.batches)
    @rule(data=st.data())
    def drop_a_batch(self, data: st.DataObject) -> None:
        self.batches.remove(data.draw(st.sampled_from(self.batches)))

    @precondition(lambda self: self.acks)
    @rule(data=st.data(), again=st.booleans())
    def deliver_any_ack(self, data: st.DataObject, again: bool) -> None:
        ack = data.draw(st.sampled_from(self.acks))
        if not again:
            self.acks.remove(ack)
        self.outbox.acknowledge(ack)

    @precondition(lambda self: self.acks)
    @rule(data=st.data())
    def drop_an_ack(self, data: st.DataObject) -> None:
        self.acks.remove(data.draw(st.sampled_from(self.acks)))

    def receive(self, batch: Batch) -> Ack:
        with transaction(self.inbox_db):
            records, ack = self.inbox.accept("board-east", batch)
        self.stored[batch.boot_id, batch.lane].extend((item.seq, number_of(item)) for item in records)
        self.gaps.extend(item for item in records if isinstance(item, GapEvent))
        return ack

    def drain(self) -> None:
        """A quiet network: what is left arrives."""
        for lane in Lane:
            while (parcel := self.outbox.batch(lane, 0, 7)) is not None:
                self.outbox.acknowledge(self.receive(decode(Channel.BATCH, parcel.payload)))
            assert self.outbox.depth(lane) == 0

    @invariant()
    def nothing_is_stored_twice_or_out_of_order(self) -> None:
        for rows in self.stored.values():
            seqs = [seq for seq, _ in rows]
            assert seqs == sorted(set(seqs))


class LosslessHop(Hop):
    @invariant()
    def what_is_stored_is_the_beginning_of_what_was_committed(self) -> None:
        for stream, rows in self.stored.items():
            assert [number for _, number in rows] == self.committed[stream][: len(rows)]
            assert [seq for seq, _ in rows] == list(range(1, len(rows) + 1))

    @invariant()
    def what_is_not_stored_is_still_in_the_outbox(self) -> None:
        for lane in Lane:
            stored = sum(len(rows) for (_, its), rows in self.stored.items() if its is lane)
            committed = sum(len(numbers) for (_, its), numbers in self.committed.items() if its is lane)
            assert self.outbox.depth(lane) >= committed - stored

    def teardown(self) -> None:
        self.drain()
        assert {stream: [number for _, number in rows] for stream, rows in self.stored.items() if rows} == {
            stream: numbers for stream, numbers in self.committed.items() if numbers
        }
        self.outbox_db.close()
        self.inbox_db.close()


class FullHop(Hop):
    """The outbox holds twelve readings."""

    max_readings = 12

    @invariant()
    def the_outbox_is_bounded(self) -> None:
        assert self.outbox.depth(Lane.READINGS) <= self.max_readings

    def teardown(self) -> None:
        self.drain()
        stored = {stream: [number for _, number in rows if number] for stream, rows in self.stored.items()}
        lost = 0
        for stream, numbers in self.committed.items():
            if stream[1] is Lane.EVENTS:
                assert stored.get(stream, []) == numbers, "events are never thinned"
            else:
                assert set(stored.get(stream, [])) <= set(numbers)
                lost += len(numbers) - len(stored.get(stream, []))
        # A reading can be thinned after it arrived, when its acknowledgement was still on the way.
        assert sum(gap.count for gap in self.gaps) >= lost
        assert all(gap.first_at <= gap.last_at for gap in self.gaps)
        self.outbox_db.close()
        self.inbox_db.close()


class RestoredHop(Hop):
    """The receiver is restored from a backup now and then, and so forgets what it had already acknowledged."""

    def __init__(self) -> None:
        super().__init__()
        self.backup: list[tuple[object, ...]] = []
        self.backed_up: dict[Stream, list[tuple[int, int]]] = {}

    @rule()
    def back_up(self) -> None:
        self.backup = self.inbox_db.execute("SELECT * FROM inbox").fetchall()
        self.backed_up = {stream: list(rows) for stream, rows in self.stored.items()}

    @rule()
    def restore(self) -> None:
        with transaction(self.inbox_db):
            self.inbox_db.execute("DELETE FROM inbox")
            self.inbox_db.executemany("INSERT INTO inbox VALUES (?, ?, ?, ?, ?)", self.backup)
        self.stored = defaultdict(list, {stream: list(rows) for stream, rows in self.backed_up.items()})

    def teardown(self) -> None:
        waiting = {lane: self.outbox.depth(lane) for lane in Lane}
        before = {lane: self.arrived(lane) for lane in Lane}
        self.drain()
        self.nothing_is_stored_twice_or_out_of_order()
        for lane in Lane:
            # All that was still here is there now: either it came just now, or it was there already.
            assert len(self.arrived(lane)) >= max(waiting[lane], len(before[lane]))
        self.outbox_db.close()
        self.inbox_db.close()

    def arrived(self, lane: Lane) -> set[int]:
        return {number for (_, its), rows in self.stored.items() if its is lane for _, number in rows}


_SETTINGS = settings(max_examples=60, stateful_step_count=40)
TestLosslessHop = LosslessHop.TestCase
TestLosslessHop.settings = _SETTINGS
TestFullHop = FullHop.TestCase
TestFullHop.settings = _SETTINGS
TestRestoredHop = RestoredHop.TestCase
TestRestoredHop.settings = _SETTINGS
