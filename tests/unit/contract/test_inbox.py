"""What a receiver takes of a batch."""

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract import inbox as inbox_module
from contract.inbox import Inbox, fresh
from contract.messages import Ack, Batch, BootEvent, Lane

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    db = sqlite3.connect(":memory:", isolation_level=None)
    yield Inbox(db)
    db.close()


def batch(after: int, *seqs: int, boot_id: str = "b1") -> Batch:
    events = tuple(BootEvent(seq=seq, at=NOON, boot_id=boot_id) for seq in seqs)
    return Batch(boot_id=boot_id, lane=Lane.EVENTS, after_seq=after, events=events)


@pytest.mark.parametrize(
    ("held", "given", "stored", "watermark"),
    [
        (0, batch(0, 1, 2), [1, 2], 2),
        (2, batch(2, 3, 4), [3, 4], 4),
        (3, batch(2, 3, 4), [4], 4),  # half of it again
        (4, batch(2, 3, 4), [], 4),  # all of it again
        (9, batch(2, 3, 4), [], 9),  # an old one
        (1, batch(2, 3, 4), [], 1),  # 2 is missing: nothing is stored
        (2, batch(2, 7, 9), [7, 9], 9),  # 3 to 6 and 8 were thinned by the sender
    ],
)
def test_a_batch_is_stored_as_far_as_it_is_new_and_follows(
    held: int, given: Batch, stored: list[int], watermark: int
) -> None:
    records, now_held = fresh(held, given)
    assert [record.seq for record in records] == stored
    assert now_held == watermark


@given(st.integers(0, 20), st.integers(0, 20), st.sets(st.integers(1, 20), min_size=1))
def test_the_watermark_never_falls_and_is_the_last_stored(held: int, after: int, steps: set[int]) -> None:
    records, now_held = fresh(held, batch(after, *(after + step for step in sorted(steps))))
    assert now_held == (records[-1].seq if records else held)
    assert all(record.seq > held for record in records)
    assert not records or after <= held


def test_senders_boots_and_lanes_are_held_apart(inbox: Inbox) -> None:
    inbox.accept("board-east", batch(0, 1, 2))
    assert inbox.held("board-east", batch(0, 1)) == 2
    assert inbox.held("board-west", batch(0, 1)) == 0
    assert inbox.held("board-east", batch(0, 1, boot_id="b2")) == 0


def test_an_ack_is_due_for_repeated_and_for_missing_records_too(inbox: Inbox) -> None:
    assert inbox.accept("n", batch(0, 1, 2))[1].seq == 2
    assert inbox.accept("n", batch(0, 1, 2))[1].seq == 2
    assert inbox.accept("n", batch(7, 8))[1].seq == 2


def test_a_greeting_says_what_is_held_of_the_events(inbox: Inbox) -> None:
    inbox.accept("board-east", batch(0, 1, 2))
    assert inbox.greeting("board-east", "b1") == Ack(boot_id="b1", lane=Lane.EVENTS, seq=2, resume=True)
    assert inbox.greeting("board-east", "b2").seq == 0


def test_a_board_that_starts_in_circles_does_not_fill_the_store(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox_module, "_BOOTS_REMEMBERED", 10)
    inbox.accept("other", batch(0, 1))
    for number in range(40):
        inbox.accept("n", batch(0, 1, boot_id=f"b{number}"))
    held = [inbox.held("n", batch(0, 1, boot_id=f"b{number}")) for number in range(40)]
    assert held == [0] * 30 + [1] * 10
    assert inbox.held("other", batch(0, 1)) == 1
