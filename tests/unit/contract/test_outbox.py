"""The outbox by example: numbering, earlier boots, thinning, a full database, a process killed at any moment."""

import json
import random
import sqlite3
import sys
import textwrap
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from contract.codec import decode
from contract.errors import OutboxFull
from contract.inbox import Inbox
from contract.messages import Ack, Batch, BootEvent, GapEvent, Lane, Quantity, Reading
from contract.outbox import Outbox
from contract.store import open_database, transaction
from contract.topics import Channel
from tests.fixtures.processes import Processes

ROOT = Path(__file__).parents[3]
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    yield connection
    connection.close()


def reading(number: int, node_id: str | None = None) -> Reading:
    at = NOON + timedelta(seconds=number)
    return Reading(
        seq=999, node_id=node_id, sensor="soil-1", quantity=Quantity.SOIL_MOISTURE, value=number, unit="%", at=at
    )


def boot(text: str = "start") -> BootEvent:
    return BootEvent(seq=999, at=NOON, boot_id="b", why=text)


def first(outbox: Outbox, lane: Lane, limit: int = 100, after_row: int = 0) -> Batch:
    parcel = outbox.batch(lane, after_row, limit)
    assert parcel is not None
    batch = decode(Channel.BATCH, parcel.payload)
    assert isinstance(batch, Batch)
    return batch


def test_each_lane_counts_from_one_whatever_seq_was_given(db: sqlite3.Connection) -> None:
    outbox = Outbox(db, boot_id="b1")
    outbox.append(reading(1), boot(), reading(2))
    assert [record.seq for record in first(outbox, Lane.READINGS).records] == [1, 2]
    assert [record.seq for record in first(outbox, Lane.EVENTS).records] == [1]


def test_a_record_comes_out_as_it_went_in(db: sqlite3.Connection) -> None:
    outbox = Outbox(db, boot_id="b1")
    outbox.append(reading(7))
    assert first(outbox, Lane.READINGS).readings == (reading(7).model_copy(update={"seq": 1}),)


def test_every_event_of_the_golden_files_passes_through(db: sqlite3.Connection) -> None:
    outbox = Outbox(db, boot_id="b1")
    golden = sorted((ROOT / "tests" / "contract" / "golden" / "valid").glob("batch.*.json"))
    batches = [decode(Channel.BATCH, path.read_bytes()) for path in golden]
    for batch in batches:
        outbox.append(*batch.records)
    sent = [*first(outbox, Lane.EVENTS).records, *first(outbox, Lane.READINGS).records]
    given = [record for lane in Lane for batch in batches if batch.lane is lane for record in batch.records]
    assert [record.model_copy(update={"seq": 1}) for record in sent] == [
        record.model_copy(update={"seq": 1}) for record in given
    ]


@pytest.mark.parametrize("before", [None, "board-west"])
def test_the_origin_is_stamped_on_what_is_passed_on(db: sqlite3.Connection, before: str | None) -> None:
    outbox = Outbox(db, boot_id="gw-1")
    outbox.append(reading(7, before), origin="board-east")
    assert first(outbox, Lane.READINGS).readings[0].node_id == "board-east"


def test_what_an_earlier_boot_left_goes_first_under_its_own_name(db: sqlite3.Connection) -> None:
    Outbox(db, boot_id="b1").append(reading(1), reading(2))
    outbox = Outbox(db, boot_id="b2")
    outbox.append(reading(3))
    early = outbox.batch(Lane.READINGS, 0, 100)
    assert early is not None
    assert (early.boot_id, early.after_seq, early.count) == ("b1", 0, 2)
    late = outbox.batch(Lane.READINGS, early.last_row, 100)
    assert late is not None
    assert (late.boot_id, late.after_seq, late.last_seq) == ("b2", 0, 1)
    outbox.acknowledge(Ack(boot_id="b1", lane=Lane.READINGS, seq=2))
    assert first(outbox, Lane.READINGS).boot_id == "b2"
    assert outbox.depth(Lane.READINGS) == 1


def test_a_batch_builds_on_the_one_in_flight_and_after_an_ack_on_the_watermark(db: sqlite3.Connection) -> None:
    outbox = Outbox(db, boot_id="b1")
    outbox.append(*map(reading, range(10)))
    assert first(outbox, Lane.READINGS, 3, after_row=3).after_seq == 3
    outbox.acknowledge(Ack(boot_id="b1", lane=Lane.READINGS, seq=5))
    assert first(outbox, Lane.READINGS, 3).after_seq == 5
    assert outbox.acked(Lane.READINGS, "b1") == 5


def test_the_watermark_survives_a_restart_of_the_process(db: sqlite3.Connection) -> None:
    outbox = Outbox(db, boot_id="b1")
    outbox.append(reading(1), reading(2))
    outbox.acknowledge(Ack(boot_id="b1", lane=Lane.READINGS, seq=1))
    after = first(Outbox(db, boot_id="b2"), Lane.READINGS)
    assert (after.boot_id, after.after_seq, after.records[0].seq) == ("b1", 1, 2)


def test_a_receiver_that_forgot_gets_what_is_left_on_its_own_watermark(db: sqlite3.Connection) -> None:
    outbox = Outbox(db, boot_id="b1")
    outbox.append(*map(reading, range(10)))
    outbox.acknowledge(Ack(boot_id="b1", lane=Lane.READINGS, seq=8))
    outbox.acknowledge(Ack(boot_id="b1", lane=Lane.READINGS, seq=3))
    batch = first(outbox, Lane.READINGS)
    assert (batch.after_seq, [record.seq for record in batch.records]) == (3, [9, 10])


@pytest.mark.parametrize("seq", [11, 2**53 - 1])
def test_an_ack_beyond_what_was_ever_sent_drops_no_later_record(db: sqlite3.Connection, seq: int) -> None:
    outbox = Outbox(db, boot_id="b1")
    outbox.append(*map(reading, range(10)))
    outbox.acknowledge(Ack(boot_id="b1", lane=Lane.READINGS, seq=seq))
    outbox.append(reading(11))
    assert first(outbox, Lane.READINGS).records[0].seq == 11


def test_an_ack_for_an_unknown_boot_or_the_other_lane_drops_nothing(db: sqlite3.Connection) -> None:
    outbox = Outbox(db, boot_id="b1")
    outbox.append(reading(1))
    outbox.acknowledge(Ack(boot_id="b0", lane=Lane.READINGS, seq=1))
    outbox.acknowledge(Ack(boot_id="b1", lane=Lane.EVENTS, seq=1))
    assert outbox.depth(Lane.READINGS) == 1


def test_nothing_remains_of_a_boot_that_was_delivered(db: sqlite3.Connection) -> None:
    for number in range(50):
        outbox = Outbox(db, boot_id=f"b{number}")
        outbox.append(reading(number), boot())
        for lane in Lane:
            outbox.acknowledge(Ack(boot_id=f"b{number}", lane=lane, seq=1))
    assert db.execute("SELECT count(*) FROM outbox").fetchone() == (0,)
    assert db.execute("SELECT count(*) FROM outbox_lane").fetchone() == (2,)


def test_a_batch_stays_below_the_size_that_a_broker_takes(db: sqlite3.Connection) -> None:
    outbox = Outbox(db, boot_id="b1")
    outbox.append(*(boot("x" * 200) for _ in range(2000)))
    parcel = outbox.batch(Lane.EVENTS, 0, 2000)
    assert parcel is not None
    assert len(parcel.payload) < 300_000
    assert 500 < parcel.count < 2000
    following = outbox.batch(Lane.EVENTS, parcel.last_row, 2000)
    assert following is not None
    assert following.after_seq == parcel.last_seq == following.last_seq - following.count


# --- thinning -------------------------------------------------------------------------------------------------------


def test_a_full_outbox_thins_its_oldest_readings_and_says_so_once(db: sqlite3.Connection) -> None:
    outbox = Outbox(db, boot_id="b1", max_readings=1000)
    for number in range(1500):
        outbox.append(reading(number))
    assert 990 <= outbox.depth(Lane.READINGS) <= 1000
    (gap,) = first(outbox, Lane.EVENTS).records
    assert isinstance(gap, GapEvent)
    assert gap.count == 1500 - outbox.depth(Lane.READINGS)
    assert gap.first_at == NOON
    assert gap.last_at == NOON + timedelta(seconds=gap.count - 1)
    assert first(outbox, Lane.READINGS).records[0].seq == gap.count + 1


def test_a_gap_that_may_be_on_the_wire_is_not_changed_any_more(db: sqlite3.Connection) -> None:
    outbox = Outbox(db, boot_id="b1", max_readings=10)
    outbox.append(*map(reading, range(12)))
    sent = first(outbox, Lane.EVENTS)
    outbox.append(*map(reading, range(12, 15)))
    again = first(outbox, Lane.EVENTS)
    assert again.records[0] == sent.records[0]
    assert [event.count for event in again.events if isinstance(event, GapEvent)] == [2, 3]


def test_a_gap_of_an_earlier_process_is_not_changed_either(db: sqlite3.Connection) -> None:
    Outbox(db, boot_id="b1", max_readings=10).append(*map(reading, range(12)))
    outbox = Outbox(db, boot_id="b2", max_readings=10)
    outbox.append(*map(reading, range(3)))
    early = outbox.batch(Lane.EVENTS, 0, 10)
    assert early is not None
    assert [event["count"] for event in json.loads(early.payload)["events"]] == [2]
    assert [
        event.count for event in first(outbox, Lane.EVENTS, after_row=early.last_row).events if event.kind == "gap"
    ] == [3]


def test_a_gap_told_in_a_transaction_that_was_rolled_back_is_told_anew(db: sqlite3.Connection) -> None:
    outbox = Outbox(db, boot_id="b1", max_readings=10)
    outbox.append(*map(reading, range(10)))
    db.execute("BEGIN")
    outbox.append(reading(10))
    db.execute("ROLLBACK")
    outbox.append(boot())  # takes the row that the gap had
    outbox.append(reading(10))
    events = first(outbox, Lane.EVENTS).records
    assert [event.kind for event in events if not isinstance(event, Reading)] == ["boot", "gap"]


def test_thinning_reaches_over_boots(db: sqlite3.Connection) -> None:
    Outbox(db, boot_id="b1", max_readings=10).append(*map(reading, range(6)))
    outbox = Outbox(db, boot_id="b2", max_readings=10)
    outbox.append(*map(reading, range(6, 18)))
    batch = first(outbox, Lane.READINGS)
    assert (batch.boot_id, batch.after_seq, batch.records[0].seq) == ("b2", 0, 3)
    assert outbox.depth(Lane.READINGS) == 10


def test_a_full_database_thins_readings_for_events_and_refuses_when_none_is_left(tmp_path: Path) -> None:
    db = open_database(tmp_path / "outbox.db", max_pages=60)
    outbox = Outbox(db, boot_id="b1")
    with transaction(db):
        for number in range(600):
            outbox.append(reading(number))
    told = 0
    with pytest.raises(OutboxFull, match="events are waiting"):
        while True:
            with transaction(db):
                outbox.append(boot(f"event {told}"))
            told += 1
    assert outbox.depth(Lane.READINGS) == 0
    assert told > 100
    # Every event that was committed is there, and the outbox works again once they were acknowledged.
    texts = []
    gaps = 0
    row = 0
    while (parcel := outbox.batch(Lane.EVENTS, row, 100)) is not None:
        row = parcel.last_row
        for event in decode(Channel.BATCH, parcel.payload).events:
            texts += [event.why] if isinstance(event, BootEvent) else []
            gaps += event.count if isinstance(event, GapEvent) else 0
    assert texts == [f"event {number}" for number in range(told)]
    assert gaps == 600
    outbox.acknowledge(Ack(boot_id="b1", lane=Lane.EVENTS, seq=row))
    with transaction(db):
        outbox.append(boot())
    assert outbox.depth(Lane.EVENTS) == 1
    db.close()


def test_an_append_that_does_not_fit_leaves_nothing_of_itself(tmp_path: Path) -> None:
    db = open_database(tmp_path / "outbox.db", max_pages=20)
    outbox = Outbox(db, boot_id="b1")
    with pytest.raises(OutboxFull), transaction(db):
        outbox.append(*(boot("x" * 200) for _ in range(1000)))
    assert outbox.depth(Lane.EVENTS) == 0
    assert db.execute("SELECT count(*) FROM outbox").fetchone() == (0,)
    db.close()


# --- a process that is killed ---------------------------------------------------------------------------------------

WRITER = textwrap.dedent(
    """
    import sys
    from datetime import UTC, datetime
    from pathlib import Path
    from contract.codec import decode
    from contract.inbox import Inbox
    from contract.messages import Lane, Quantity, Reading
    from contract.outbox import Outbox
    from contract.store import open_database, transaction
    from contract.topics import Channel

    folder, boot_id, number = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    db = open_database(folder / "outbox.db")
    far = open_database(folder / "inbox.db")
    far.execute("CREATE TABLE IF NOT EXISTS stored (boot_id TEXT, seq INTEGER, number INTEGER)")
    outbox, inbox = Outbox(db, boot_id=boot_id), Inbox(far)
    while True:
        with transaction(db):
            for _ in range(3):
                number += 1
                at = datetime.now(UTC)
                outbox.append(Reading(seq=1, sensor="s", quantity=Quantity.BATTERY, value=number, unit="V", at=at))
        print("committed", number, flush=True)
        if number % 4 == 0 and (parcel := outbox.batch(Lane.READINGS, 0, 5)):
            batch = decode(Channel.BATCH, parcel.payload)
            with transaction(far):
                records, ack = inbox.accept("n", batch)
                for record in records:
                    far.execute("INSERT INTO stored VALUES (?, ?, ?)", (batch.boot_id, record.seq, int(record.value)))
            outbox.acknowledge(ack)
    """
)


def test_a_process_killed_at_any_moment_loses_and_doubles_nothing(tmp_path: Path, processes: Processes) -> None:
    promised = number = 0
    for life in range(5):
        writer = processes.start(
            sys.executable, "-c", WRITER, tmp_path, f"boot-{life}", str(number), env={"PYTHONPATH": str(ROOT)}
        )
        writer.wait_for(rf"committed {number + 3 * random.Random(life).randint(1, 60)}$", 30)
        writer.kill()
        # It may have committed more than it could say.
        promised = max(int(line.split()[1]) for line in writer.output.splitlines() if line.startswith("committed "))
        db = open_database(tmp_path / "outbox.db")
        far = open_database(tmp_path / "inbox.db")
        assert db.quarantined is None
        assert far.quarantined is None
        numbers = [row[0] for row in far.execute("SELECT number FROM stored")]
        outbox, inbox = Outbox(db, boot_id=f"look-{life}"), Inbox(far)
        row = 0
        while (parcel := outbox.batch(Lane.READINGS, row, 100)) is not None:
            row = parcel.last_row
            batch = decode(Channel.BATCH, parcel.payload)
            held = inbox.held("n", batch)
            # Stored there but not acknowledged here is no loss and no double: the receiver knows its watermark.
            numbers += [int(item.value) for item in batch.readings if item.seq > held]
        assert sorted(numbers) == list(range(1, len(numbers) + 1))
        assert len(numbers) >= promised
        number = len(numbers)
        db.close()
        far.close()
