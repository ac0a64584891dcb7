"""The rows of an outbox: records that are dropped only when the next hop has committed them and said so."""

import json
import sqlite3
from dataclasses import dataclass
from datetime import datetime

from contract.errors import OutboxFull
from contract.messages import MAX_BATCH, Ack, Event, GapEvent, Lane, Reading
from contract.store import transaction

Record = Reading | Event

MAX_PAYLOAD = 256 * 1024

# `row` counts on over boots, so rows of earlier boots come first; within a boot, row = base + seq.
_ROWS = """
CREATE TABLE IF NOT EXISTS outbox (
    lane TEXT NOT NULL,
    row INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (lane, row)
) STRICT, WITHOUT ROWID
"""
_LANES = """
CREATE TABLE IF NOT EXISTS outbox_lane (
    lane TEXT NOT NULL,
    boot_id TEXT NOT NULL,
    base INTEGER NOT NULL,
    last_seq INTEGER NOT NULL,
    acked INTEGER NOT NULL,
    stored INTEGER NOT NULL,
    PRIMARY KEY (lane, boot_id)
) STRICT, WITHOUT ROWID
"""


@dataclass(frozen=True, slots=True)
class Parcel:
    """A batch ready to be sent: `payload` is its JSON; `first_row` and `last_row` are its place in the outbox."""

    boot_id: str
    lane: Lane
    after_seq: int
    last_seq: int
    first_row: int
    last_row: int
    count: int
    payload: bytes


class Outbox:
    """Readings and events in the caller's SQLite connection, each lane with sequence numbers from 1 in every boot.

    Bounded: above `max_readings`, and when the database is full, the oldest readings are thinned and one GapEvent says
    how many. Events are never dropped. Rows of earlier boots are kept and sent first, under their own boot_id.
    """

    def __init__(self, db: sqlite3.Connection, *, boot_id: str, max_readings: int = 500_000) -> None:
        self._db = db
        self.boot_id = boot_id
        self._max_readings = max_readings
        self._handed_out = 0  # row of the last event that may be on the wire; later ones may still be changed
        self._gap_row = 0  # row of the last GapEvent that this process told
        db.execute(_ROWS)
        db.execute(_LANES)
        self._begin_boot()

    def append(self, *records: Record, origin: str | None = None) -> None:
        """Store records inside the caller's transaction; whatever `seq` they carry is replaced by the lane's next.

        `origin` is stamped on them as `node_id`, by a node that passes on what another one measured. Raise OutboxFull
        when the database is at its limit and no reading is left to thin.
        """
        readings = [record for record in records if isinstance(record, Reading)]
        events = [record for record in records if not isinstance(record, Reading)]
        with transaction(self._db):
            for lane, new in ((Lane.READINGS, readings), (Lane.EVENTS, events)):
                if new:
                    bodies = [_body(record, origin) for record in new]
                    self._make_room(lane, bodies, new[-1])
                    self._insert(lane, bodies)
            excess = self.depth(Lane.READINGS) - self._max_readings
            if readings and excess > 0:
                # A hundredth more than needed, so that a full outbox does not thin (and tell) at every record.
                self._thin(excess + self._max_readings // 100, readings[-1])

    def batch(self, lane: Lane, after_row: int, limit: int) -> Parcel | None:
        """Return the next records of one boot after `after_row` (0 = the oldest), at most `limit`; None at the end.

        Its `after_seq` is what the receiver holds, or the record at `after_row` when that batch is still on its way.
        """
        for boot_id, base, last_seq, acked in self._boots(lane):
            if base + last_seq <= after_row:
                continue
            start = max(after_row, base + acked)
            rows = self._db.execute(
                "SELECT row, body FROM outbox WHERE lane = ? AND row > ? AND row <= ? ORDER BY row LIMIT ?",
                (lane.value, start, base + last_seq, min(limit, MAX_BATCH)),
            ).fetchall()
            if rows:
                return self._parcel(boot_id, lane, base, start, rows)
        return None

    def acknowledge(self, ack: Ack) -> None:
        """Drop what the receiver has committed, in a transaction of its own unless the caller has one open.

        An Ack below an earlier one means that the receiver was restored from a backup: what is still here will build
        on its watermark. A late duplicate of an old Ack looks the same and does no harm. Unknown boots are ignored.
        """
        lane = ack.lane.value
        known = self._db.execute(
            "SELECT base, last_seq, acked FROM outbox_lane WHERE lane = ? AND boot_id = ?", (lane, ack.boot_id)
        ).fetchone()
        if known is None:
            return
        base, last_seq, acked = known
        seq = min(ack.seq, last_seq)
        if seq == acked:
            return
        with transaction(self._db):
            dropped = self._db.execute(
                "DELETE FROM outbox WHERE lane = ? AND row > ? AND row <= ?", (lane, base, base + seq)
            ).rowcount
            self._db.execute(
                "UPDATE outbox_lane SET acked = ?, stored = stored - ? WHERE lane = ? AND boot_id = ?",
                (seq, dropped, lane, ack.boot_id),
            )
            self._db.execute(
                "DELETE FROM outbox_lane WHERE lane = ? AND stored = 0 AND boot_id <> ?", (lane, self.boot_id)
            )

    def depth(self, lane: Lane) -> int:
        """Return how many records of the lane are not yet acknowledged."""
        (stored,) = self._db.execute(
            "SELECT coalesce(sum(stored), 0) FROM outbox_lane WHERE lane = ?", (lane.value,)
        ).fetchone()
        return int(stored)

    def acked(self, lane: Lane, boot_id: str) -> int:
        """Return what the receiver last said it holds of that boot; 0 = nothing or not known here."""
        row = self._db.execute(
            "SELECT acked FROM outbox_lane WHERE lane = ? AND boot_id = ?", (lane.value, boot_id)
        ).fetchone()
        return row[0] if row else 0

    def _begin_boot(self) -> None:
        with transaction(self._db):
            for lane in Lane:
                self._db.execute(
                    "INSERT OR IGNORE INTO outbox_lane SELECT ?1, ?2, coalesce(max(base + last_seq), 0), 0, 0, 0"
                    " FROM outbox_lane WHERE lane = ?1",
                    (lane.value, self.boot_id),
                )
                self._db.execute(
                    "DELETE FROM outbox_lane WHERE lane = ? AND stored = 0 AND boot_id <> ?", (lane.value, self.boot_id)
                )

    def _boots(self, lane: Lane) -> list[tuple[str, int, int, int]]:
        return self._db.execute(
            "SELECT boot_id, base, last_seq, acked FROM outbox_lane WHERE lane = ? AND stored > 0 ORDER BY base",
            (lane.value,),
        ).fetchall()

    def _parcel(self, boot_id: str, lane: Lane, base: int, start: int, rows: list[tuple[int, str]]) -> Parcel:
        texts: list[str] = []
        size = 0
        for row, body in rows:
            text = _json(row - base, body)
            size += len(text) + 1
            if texts and size > MAX_PAYLOAD:
                break
            texts.append(text)
        last_row = rows[len(texts) - 1][0]
        if lane is Lane.EVENTS:
            self._handed_out = max(self._handed_out, last_row)
        after_seq = start - base
        head = f'{{"boot_id":{json.dumps(boot_id)},"lane":"{lane}","after_seq":{after_seq},"{lane}":['
        return Parcel(
            boot_id=boot_id,
            lane=lane,
            after_seq=after_seq,
            last_seq=last_row - base,
            first_row=rows[0][0],
            last_row=last_row,
            count=len(texts),
            payload=f"{head}{','.join(texts)}]}}".encode(),
        )

    def _insert(self, lane: Lane, bodies: list[str]) -> int:
        """Write rows of the lane and return the last one's number."""
        (base, last_seq) = self._db.execute(
            "SELECT base, last_seq FROM outbox_lane WHERE lane = ? AND boot_id = ?", (lane.value, self.boot_id)
        ).fetchone()
        first = base + last_seq + 1
        try:
            self._db.executemany(
                "INSERT INTO outbox VALUES (?, ?, ?)",
                [(lane.value, row, body) for row, body in enumerate(bodies, first)],
            )
            self._db.execute(
                "UPDATE outbox_lane SET last_seq = last_seq + ?1, stored = stored + ?1"
                " WHERE lane = ?2 AND boot_id = ?3",
                (len(bodies), lane.value, self.boot_id),
            )
        except sqlite3.OperationalError as exc:
            if exc.sqlite_errorcode != sqlite3.SQLITE_FULL:
                raise
            # Not our limit but the disk: the write-ahead log cannot grow, so not even thinning is possible.
            raise OutboxFull(f"outbox: the disk has no room for {len(bodies)} more {lane}") from exc
        return int(first) + len(bodies) - 1

    def _make_room(self, lane: Lane, bodies: list[str], newest: Record) -> None:
        # Ahead of time, because SQLite answers an INSERT that does not fit by rolling back the caller's transaction.
        (page_size,) = self._db.execute("PRAGMA page_size").fetchone()
        (most,) = self._db.execute("PRAGMA max_page_count").fetchone()
        # Pages may be half empty after a split. Readings leave a reserve to events and to the process's other tables.
        need = 2 * sum(map(len, bodies)) // page_size + 8 + (most // 50 if lane is Lane.READINGS else 0)
        while self._free_pages(most) < need:
            waiting = self.depth(Lane.READINGS)
            if waiting == 0:
                raise OutboxFull(
                    f"outbox: no room for {len(bodies)} more {lane}, {self.depth(Lane.EVENTS)} events are waiting"
                )
            self._thin(max(100, waiting // 100), newest)

    def _free_pages(self, most: int) -> int:
        (used,) = self._db.execute("PRAGMA page_count").fetchone()
        (free,) = self._db.execute("PRAGMA freelist_count").fetchone()
        return int(most - used + free)

    def _thin(self, count: int, newest: Record) -> None:
        """Drop the `count` oldest readings and tell it in a GapEvent, one with the last if that was not yet sent."""
        edge = self._db.execute(
            "SELECT row, body FROM outbox WHERE lane = ? ORDER BY row LIMIT 1 OFFSET ?",
            (Lane.READINGS.value, count - 1),
        ).fetchone()
        if edge is None:
            edge = self._db.execute(
                "SELECT row, body FROM outbox WHERE lane = ? ORDER BY row DESC LIMIT 1", (Lane.READINGS.value,)
            ).fetchone()
        (oldest,) = self._db.execute(
            "SELECT body FROM outbox WHERE lane = ? ORDER BY row LIMIT 1", (Lane.READINGS.value,)
        ).fetchone()
        dropped = 0
        for boot_id, base, last_seq, _ in self._boots(Lane.READINGS):
            gone = self._db.execute(
                "DELETE FROM outbox WHERE lane = ? AND row > ? AND row <= ?",
                (Lane.READINGS.value, base, min(edge[0], base + last_seq)),
            ).rowcount
            self._db.execute(
                "UPDATE outbox_lane SET stored = stored - ? WHERE lane = ? AND boot_id = ?",
                (gone, Lane.READINGS.value, boot_id),
            )
            dropped += gone
        times = sorted((_at(oldest), _at(edge[1])))
        self._tell_gap(
            GapEvent(
                seq=1,
                at=newest.at,
                clock_trusted=newest.clock_trusted,
                count=dropped,
                first_at=times[0],
                last_at=times[-1],
            )
        )

    def _tell_gap(self, gap: GapEvent) -> None:
        if self._gap_row > self._handed_out:
            told = self._db.execute(
                "SELECT body FROM outbox WHERE lane = ? AND row = ?", (Lane.EVENTS.value, self._gap_row)
            ).fetchone()
            # The row can be another event's by now, when the caller rolled back the transaction that told the gap.
            if told is not None and json.loads(_json(1, told[0]))["kind"] == "gap":
                earlier = GapEvent.model_validate_json(_json(1, told[0]))
                merged = gap.model_copy(
                    update={
                        "count": gap.count + earlier.count,
                        "first_at": min(gap.first_at, earlier.first_at),
                        "last_at": max(gap.last_at, earlier.last_at),
                    }
                )
                self._db.execute(
                    "UPDATE outbox SET body = ? WHERE lane = ? AND row = ?",
                    (_body(merged), Lane.EVENTS.value, self._gap_row),
                )
                return
        self._gap_row = self._insert(Lane.EVENTS, [_body(gap)])


def _body(record: Record, origin: str | None = None) -> str:
    """Return the record's JSON from after its first field, which is `seq`: the row's number stands for that."""
    if origin is not None and record.node_id is not None:
        record = record.model_copy(update={"node_id": origin})
        origin = None
    text = record.model_dump_json(exclude_none=True)
    rest = text[text.index(",") + 1 :]
    return rest if origin is None else f'"node_id":"{origin}",{rest}'


def _json(seq: int, body: str) -> str:
    return f'{{"seq":{seq},{body}'


def _at(body: str) -> datetime:
    return datetime.fromisoformat(json.loads(_json(1, body))["at"])


def waiting(db: sqlite3.Connection) -> tuple[int, datetime | None]:
    """Return how many events the next hop has not stored yet, and when the oldest of them happened; changes nothing."""
    (count,) = db.execute("SELECT count(*) FROM outbox WHERE lane = ?", (Lane.EVENTS.value,)).fetchone()
    oldest = db.execute("SELECT body FROM outbox WHERE lane = ? ORDER BY row LIMIT 1", (Lane.EVENTS.value,)).fetchone()
    return count, _at(oldest[0]) if oldest else None
