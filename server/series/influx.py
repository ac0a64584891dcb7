"""The series in InfluxDB: 1.8, 2 and 3 all take line protocol at /api/v2/write and answer InfluxQL at /query.

Readings are acknowledged when they are in our own queue on disk (series/queue.py); a task moves them, a few thousand
at a time, and goes on when InfluxDB comes back. A point that it will never take is set aside.
"""

import asyncio
import json
import logging
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import urllib3
from influxdb_client.client.exceptions import InfluxDBError
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.domain.write_precision import WritePrecision
from influxdb_client.rest import ApiException

from contract.messages import Batch, Reading
from server.errors import Unavailable
from server.series.catalog import BAD, QUALITIES, from_us
from server.series.port import SUMMED, Accepted, Latest, Measured, Point, Sensor, Span, step_for
from server.series.queue import Queue, Waiting
from server.settings import InfluxSettings

log = logging.getLogger(__name__)

_MOVED_AT_ONCE = 5000
_IDLE_S = 0.2
_LONGEST_WAIT_S = 30.0
_TIMEOUT_S = 10
_POINTS_FAULT = frozenset({400, 422})  # what a retry of the same point cannot mend


_FLOATS = ("value", "raw", "temperature_c", "supply_v")
_TEXTS = ("reason", "raw_unit")


class _NotTaken(Exception):
    """InfluxDB answered that it does not take these points."""


class InfluxSeries:
    """See the port."""

    def __init__(self, settings: InfluxSettings, token: str, *, longest_wait_s: float = _LONGEST_WAIT_S) -> None:
        self._settings = settings
        self._token = token
        self._longest_wait_s = longest_wait_s
        self._queue = Queue(settings.queue, _line)
        self._client = InfluxDBClient(
            url=settings.url, token=token, org=settings.org, timeout=_TIMEOUT_S * 1000, retries=urllib3.Retry(0)
        )
        self._write_api = self._client.write_api(write_options=SYNCHRONOUS)
        self._wake = asyncio.Event()
        self._failing = ""

    def accept(self, farm_id: str, sender: str, batch: Batch) -> Accepted:
        """See the port."""
        accepted = self._queue.accept(farm_id, sender, batch)
        self._wake.set()
        return accepted

    async def span(self, sensors: Sequence[Sensor], start: datetime, end: datetime, points: int) -> Span:
        """See the port."""
        known = {latest.sensor: latest.at for sensor in sensors[:1] for latest in self._queue.latest(sensor.farm_id)}
        own = [sensor for sensor in sensors if sensor in known]
        if not own:
            return Span(step_s=0, points=(), last_at=None)
        last_at = max(known[sensor] for sensor in own)
        where = _where(own, start, end)
        name = _name(own[0].quantity)
        if len(own) == 1:
            found = await self._rows(f"SELECT value FROM {name} {where} LIMIT {points + 1}")  # noqa: S608 - see _where
            if len(found) <= points:
                return Span(
                    step_s=0, points=tuple(Point(row[0] / 1e6, *[row[1]] * 3) for row in found), last_at=last_at
                )
        step_s = step_for(start, end, points)
        first = start.timestamp() // step_s * step_s
        where = _where(own, datetime.fromtimestamp(first, start.tzinfo), end)
        summed = own[0].quantity in SUMMED
        mean = "sum(value)" if summed else "mean(value)"
        found = await self._rows(
            f"SELECT {mean}, min(value), max(value) FROM {name} {where}"  # noqa: S608 - see _where
            f" GROUP BY time({step_s}s) fill(none)"
        )
        shares = len(own) if summed else 1
        shown = tuple(Point(row[0] / 1e6, row[1] / shares, row[2], row[3]) for row in found)
        return Span(step_s=step_s, points=shown, last_at=last_at)

    async def readings(self, sensor: Sensor, start: datetime, end: datetime, limit: int) -> tuple[Measured, ...]:
        """See the port."""
        if all(known.sensor != sensor for known in self._queue.latest(sensor.farm_id)):
            return ()
        where = _where([sensor], start, end, below=len(QUALITIES))
        names = ", ".join(f'"{name}"' for name in ("quality", *_FLOATS, *_TEXTS))
        rows = await self._rows(
            f"SELECT {names} FROM {_name(sensor.quantity)} {where} ORDER BY time DESC LIMIT {limit}"  # noqa: S608 - see _where
        )
        return tuple(
            Measured(
                at=from_us(at), quality=QUALITIES[quality], value=value, raw=raw, temperature_c=temperature_c,
                supply_v=supply_v, reason=reason, raw_unit=raw_unit,
            ) for at, quality, value, raw, temperature_c, supply_v, reason, raw_unit in reversed(rows)
        )  # fmt: skip

    def latest(self, farm_id: str) -> list[Latest]:
        """See the port."""
        return self._queue.latest(farm_id)

    def backlog(self) -> int:
        """See the port."""
        return self._queue.depth()

    def set_aside(self) -> list[tuple[str, str]]:
        """Points that InfluxDB will never take, as line protocol, and what it said."""
        return self._queue.aside()

    async def check(self) -> None:
        """See the port."""
        await self._rows("SHOW MEASUREMENTS LIMIT 1")

    async def run(self) -> None:
        """Move what waits, for ever; back off while InfluxDB is away."""
        wait_s = 0.0
        while True:
            lines = self._queue.first(_MOVED_AT_ONCE)
            if not lines:
                self._wake.clear()
                await self._wake.wait()
                continue
            try:
                await self._move(lines)
            except Unavailable as exc:
                wait_s = min(max(2 * wait_s, _IDLE_S), self._longest_wait_s)
                self._fails(str(exc))
                await asyncio.sleep(wait_s)
            else:
                wait_s = 0.0
                self._fails("")

    def close(self) -> None:
        """See the port."""
        self._write_api.close()  # type: ignore[no-untyped-call]
        self._client.close()  # type: ignore[no-untyped-call]
        self._queue.close()

    async def _move(self, lines: list[Waiting]) -> None:
        try:
            await asyncio.to_thread(self._write, [line.line for line in lines])
        except _NotTaken as exc:
            if len(lines) == 1:
                self._queue.set_aside(lines[0], str(exc))
                log.warning("point set aside line=%r reason=%s", lines[0].line[:200], exc)
                return
            # Points are idempotent: those that were taken may be written again while we look for the one that is not.
            half = len(lines) // 2
            await self._move(lines[:half])
            await self._move(lines[half:])
        else:
            self._queue.delivered(lines)

    def _write(self, lines: list[str]) -> None:
        try:
            self._write_api.write(
                bucket=self._settings.bucket,
                record="\n".join(lines),
                write_precision=WritePrecision.US,  # type: ignore[arg-type]
            )
        except (ApiException, InfluxDBError) as exc:
            status = getattr(exc, "status", None) or getattr(getattr(exc, "response", None), "status", None)
            said = str(getattr(exc, "body", None) or getattr(exc, "message", None) or exc)[:500]
            if status in _POINTS_FAULT or (status == 413 and len(lines) > 1):
                raise _NotTaken(said) from exc
            raise Unavailable("series", f"write to {self._settings.url}: {status} {said}") from exc
        except (urllib3.exceptions.HTTPError, OSError) as exc:
            raise Unavailable("series", f"write to {self._settings.url}: {exc}") from exc

    async def _rows(self, query: str) -> list[list[Any]]:
        return await asyncio.to_thread(self._query, query)

    def _query(self, query: str) -> list[list[Any]]:
        asked = urllib.parse.urlencode({"db": self._settings.bucket, "q": query, "epoch": "u"})
        request = urllib.request.Request(  # noqa: S310 - the settings take http and https only
            f"{self._settings.url}/query?{asked}", headers={"Authorization": f"Token {self._token}"}
        )
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310
                said = json.load(answer)
        except (OSError, urllib.error.URLError, ValueError) as exc:
            raise Unavailable("series", f"query {self._settings.url}: {exc}") from exc
        result = said["results"][0]
        if "error" in result:
            raise Unavailable("series", f"query {self._settings.url}: {result['error']}")
        rows: list[list[Any]] = [row for series in result.get("series", []) for row in series["values"]]
        return rows

    def _fails(self, reason: str) -> None:
        if reason and not self._failing:
            log.error("influx away waiting=%d: %s", self._queue.depth(), reason)
        elif self._failing and not reason:
            log.info("influx back waiting=%d", self._queue.depth())
        self._failing = reason


def _line(farm_id: str, sender: str, reading: Reading) -> str:
    # Slugs need no escaping in line protocol; the wire lets nothing else through.
    at_us = round(reading.at.timestamp() * 1_000_000)
    fields = f"quality={QUALITIES.index(reading.quality)}i"
    for name in _FLOATS:
        if (number := getattr(reading, name)) is not None:
            fields += f",{name}={float(number)!r}"
    for name in _TEXTS:
        if (text := getattr(reading, name)) is not None:
            fields += f",{name}={_quoted(text)}"
    return (
        f"{reading.quantity.value},farm={farm_id},node={reading.node_id or sender},sensor={reading.sensor}"
        f" {fields} {at_us}"
    )


def _quoted(text: str) -> str:
    # A line break would end the line, and the wire lets one through in a raw unit.
    plain = "".join(" " if ord(char) < 32 else char for char in text)
    return '"' + plain.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _name(quantity: str) -> str:
    return f'"{quantity}"'


def _where(sensors: Sequence[Sensor], start: datetime, end: datetime, below: int = BAD) -> str:
    # Only sensors that were heard get here, and the wire lets nothing but slugs through: there is nothing to escape.
    each = " OR ".join(f"(\"node\" = '{s.node_id}' AND \"sensor\" = '{s.sensor}')" for s in sensors)
    first, last = (round(moment.timestamp() * 1_000_000) for moment in (start, end))
    return (
        f'WHERE "farm" = \'{sensors[0].farm_id}\' AND ({each}) AND "quality" < {below}'
        f" AND time >= {first}u AND time < {last}u"
    )
