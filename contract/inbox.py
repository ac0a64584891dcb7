"""What a receiver holds of each sender, so that repeated, shuffled and lost batches still give each record once."""

import sqlite3

from contract.messages import Ack, Batch, Event, Lane, Reading

Record = Reading | Event

_BOOTS_REMEMBERED = 1000  # per sender and lane: a board that starts in circles must not fill the disk

_TABLES = """
CREATE TABLE IF NOT EXISTS inbox (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    sender TEXT NOT NULL,
    boot_id TEXT NOT NULL,
    lane TEXT NOT NULL,
    seq INTEGER NOT NULL,
    UNIQUE (sender, lane, boot_id)
) STRICT
"""


def fresh(held: int, batch: Batch) -> tuple[tuple[Record, ...], int]:
    """Return the records above the watermark `held` of (node, boot, lane), and the watermark once they are stored.

    A batch that builds on records which the receiver has not (`after_seq` above `held`) gives none and `held` itself:
    the acknowledgement of `held` makes the sender go back. Never raises.
    """
    if batch.after_seq > held:
        return (), held
    records = tuple(record for record in batch.records if record.seq > held)
    return records, records[-1].seq if records else held


class Inbox:
    """The watermarks of all senders, in the receiver's own database and in the transaction that stores the records."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        db.execute(_TABLES)

    def held(self, sender: str, batch: Batch) -> int:
        """Return the highest seq stored of the batch's (boot, lane) from `sender`; 0 = none."""
        return self._held(sender, batch.lane, batch.boot_id)

    def greeting(self, sender: str, boot_id: str) -> Ack:
        """Return what is held of a sender's events: said when it appears, so that it does not wait for its alarm."""
        return Ack(boot_id=boot_id, lane=Lane.EVENTS, seq=self._held(sender, Lane.EVENTS, boot_id), resume=True)

    def accept(self, sender: str, batch: Batch) -> tuple[tuple[Record, ...], Ack]:
        """Return the records to store now and the Ack to send after the commit; inside the caller's transaction.

        The Ack is due even when there is nothing to store: it tells the sender where it stands.
        """
        held = self.held(sender, batch)
        records, seq = fresh(held, batch)
        if records:
            self._db.execute(
                "INSERT INTO inbox (sender, boot_id, lane, seq) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (sender, lane, boot_id) DO UPDATE SET seq = excluded.seq",
                (sender, batch.boot_id, batch.lane.value, seq),
            )
            if held == 0:
                self._forget_old_boots(sender, batch)
        return records, Ack(boot_id=batch.boot_id, lane=batch.lane, seq=seq)

    def _held(self, sender: str, lane: Lane, boot_id: str) -> int:
        row = self._db.execute(
            "SELECT seq FROM inbox WHERE sender = ? AND lane = ? AND boot_id = ?", (sender, lane.value, boot_id)
        ).fetchone()
        return row[0] if row else 0

    def _forget_old_boots(self, sender: str, batch: Batch) -> None:
        self._db.execute(
            "DELETE FROM inbox WHERE sender = ?1 AND lane = ?2 AND number <= (SELECT number FROM inbox"
            " WHERE sender = ?1 AND lane = ?2 ORDER BY number DESC LIMIT 1 OFFSET ?3)",
            (sender, batch.lane.value, _BOOTS_REMEMBERED),
        )
